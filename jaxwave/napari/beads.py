"""Calibration of an open stack by the engine of ``jaxwave calibrate``; no screen is needed."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxwave import io
from jaxwave.cli import cache, checks, progress, terminal
from jaxwave.cli.outputs import TABLE
from jaxwave.cli.settings import Settings, UsageError
from jaxwave.napari import fields
from jaxwave.napari.layers import array_of, voxel

Report = Callable[..., None]
_TAKEN = ("mean", "calibration")  # names of files that a calibration writes


@dataclasses.dataclass(frozen=True)
class Spot:
    """One spot of the stack, and what becomes of it.

    Args:
        place: Center (y, x) [pixels].
        number: As in the table.
        fate: ``good``, ``rejected``, and after the fit ``ok``, ``poor``, ``failed``, ``skipped``.
        why: The reason, if it is not good.
    """

    place: tuple[float, float]
    number: int
    fate: str
    why: str


@dataclasses.dataclass(frozen=True)
class Found:
    """The spots of a stack, the width of their windows [pixels], and what the reader says."""

    spots: list[Spot]
    size: int
    text: str


def store(layer: Any, folder: Path) -> Path:
    """Writes the stack of a layer into the folder, as it is, with its voxel size.

    A file that holds the same stays, one that holds something else gets a neighbor.
    """
    stack = array_of(layer, "stack", 3, 3)
    name = re.sub(r"[^\w.-]+", "_", layer.name).strip("._") or "stack"
    arrays = {"data": stack}
    size = voxel(layer)
    if size is not None and np.all(np.isfinite(size)):
        arrays["spacing"] = np.asarray(size)
    for number in range(1, 1000):
        stem = name if number == 1 and name not in _TAKEN else f"{name}-{number}"
        path = folder / f"{stem}.npz"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            return io.save_arrays(path, arrays)
        if _holds(path, arrays):
            return path
    raise UsageError(f"folder: {str(folder)!r} holds a thousand stacks of this name already.")


def _holds(path: Path, arrays: dict[str, np.ndarray]) -> bool:
    try:
        found = io.load_arrays(path)
    except (ValueError, OSError, KeyError):
        return False
    return found.keys() == arrays.keys() and all(
        found[k].dtype == v.dtype and np.array_equal(found[k], v) for k, v in arrays.items()
    )


def settings_of(given: Mapping[str, Any], path: Path, folder: Path) -> Settings:
    """The settings of ``jaxwave calibrate`` for this file."""
    words = {**given, "files": [str(path)], "out": str(folder)}
    return checks.calibrate(argparse.Namespace(config=None, **words))


def find(layer: Any, given: Mapping[str, Any]) -> Found:
    """The spots of the layer, before anything is fitted."""
    with tempfile.TemporaryDirectory(prefix="jaxwave-") as place:
        path = store(layer, Path(place))
        return _find(settings_of(given, path, Path(place)), path)


def _find(settings: Settings, path: Path) -> Found:
    from jaxwave.cli import finding

    field = finding.read_field(settings, str(path))
    fates = [("good", "") if bead.ok else ("rejected", bead.rejected) for bead in field.beads]
    spots = [
        Spot((bead.center[1], bead.center[2]), number, *fate)
        for number, (bead, fate) in enumerate(zip(field.beads, fates, strict=True), 1)
    ]
    good = sum(spot.fate == "good" for spot in spots)
    dz, _, dx = field.stack.spacing
    text = (
        f"{terminal.count(len(spots), 'spot')} found, {good} good; windows of {field.size} pixels; "
        f"voxel {1e3 * dz:.4g} x {1e3 * dx:.4g} nm"
    )
    return Found(spots, field.size, text)


def calibrate(
    layer: Any, given: Mapping[str, Any], folder: Path, report: Report, *, force: bool = False
) -> tuple[Found, int]:
    """Calibrates the beads of a layer into a result folder, as the command line does.

    Args:
        layer: The stack.
        given: Texts of the fields that are filled in.
        folder: Result folder; the stack is written into it, too.
        report: Gets ``("found", Found)``, ``("step", stage, step, steps)`` and ``("line", text)``;
            it may raise to end the work, which ``jaxwave resume`` can take up again.
        force: Whether results of other settings are replaced.

    Returns:
        The spots with their fates, and the exit code of ``jaxwave calibrate``.
    """
    cache.use()
    array_of(layer, "stack", 3, 3)
    from jaxwave.cli import calibrate as command

    path = store(layer, folder)
    settings = settings_of(given, path, folder)
    found = _find(settings, path)
    report("found", found)
    arguments = argparse.Namespace(settings=settings, config=None, force=force)

    def step(stage: str, step: int, steps: int, *_: float) -> None:
        report("step", stage, step, steps)

    with terminal.heard_by(lambda text: report("line", text)), progress.watched_by(step):
        code = command.calibrate(arguments)
    return dataclasses.replace(found, spots=_fates(found.spots, folder)), code


def _fates(spots: list[Spot], folder: Path) -> list[Spot]:
    """The spots with what the table says about them."""
    with (folder / TABLE).open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    by_number = {int(row["bead"].rpartition("-")[2]): row for row in rows}
    result = []
    for spot in spots:
        row = by_number[spot.number]
        why, _ = fields.in_fields(row["reason"], fields.CALIBRATE)
        result.append(dataclasses.replace(spot, fate=row["status"], why=why))
    return result
