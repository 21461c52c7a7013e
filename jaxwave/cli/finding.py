"""Which beads of a file are fitted, in which windows, with which camera and known aberrations."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from jaxwave import io, psf
from jaxwave.beads import (
    Bead,
    BeadModel,
    Camera,
    bead_at,
    bead_window,
    cut_bead,
    find_beads,
    hot_pixels,
)
from jaxwave.beads.find import window_of
from jaxwave.beads.window import neighbor_light
from jaxwave.cli import checks
from jaxwave.cli.settings import Settings, UsageError, is_table
from jaxwave.units import length
from jaxwave.zernike import zernike_index, zernike_mode, zernike_name

_CAMERA = {
    "camera_offset": "offset",
    "camera_gain": "gain",
    "read_noise": "read_noise",
    "quantum_efficiency": "quantum_efficiency",
    "excess_noise": "excess_noise",
}


@dataclasses.dataclass(frozen=True)
class Field:
    """One file: its stack, its beads, the width of their windows, and its camera."""

    stack: io.Stack
    beads: list[Bead]
    size: int
    camera: Camera | None


def read_field(settings: Settings, path: str) -> Field:
    """Reads a file and finds its beads."""
    stack = io.read_stack(
        path,
        pixel=settings["pixel"],
        dz=settings["dz"],
        axes=settings["axes"],
        select=checks.chosen(settings["select"]),
        name=settings["name"],
        max_bytes=settings["max_bytes"],
        nan=settings["nan"],
        missing=settings["missing"],
    )
    size, optics = _size(settings, stack), _optics(settings)
    if settings["beads"]:
        beads = [bead_at(stack, place, size) for place in checks.places(settings["beads"])]
    else:
        dz, _, dx = stack.spacing
        tangent = optics["na"] / math.sqrt(optics["n"] ** 2 - optics["na"] ** 2)
        beads = find_beads(
            stack,
            size=size,
            threshold=settings["threshold"],
            radius=None if settings["radius"] is None else settings["radius"] / dx,
            cone=dz * tangent / dx,
        )
    hot = hot_pixels(stack)
    if hot.any():
        note = f"{np.count_nonzero(hot)} hot or dead pixels in {hot.shape[0]} planes are left out"
        stack = dataclasses.replace(stack, mask=stack.mask | hot, notes=(*stack.notes, note))
    return Field(stack, beads, size, camera(settings, stack.shape[1:]))


def _optics(settings: Settings) -> dict[str, float]:
    return {name: settings[name] for name in ("na", "n", "wavelength")}


def _size(settings: Settings, stack: io.Stack) -> int:
    """Width of the windows in pixels: as given, or what the light needs."""
    most = min(stack.shape[1:])
    pixels, width = checks.width(settings["size"])
    if pixels is None and width is None:
        return bead_window(stack, **_optics(settings))
    wide = pixels if width is None else round(width / stack.spacing[2])
    return min(max(int(wide or 0), 8), most)


def objective(settings: Settings, **options: object) -> psf.Objective:
    """The objective, with the layers that it looks through if the sample's index is another."""
    options = {"wavelength": settings["wavelength"]} | options
    given = {k: settings[k] for k in checks.LAYERS if settings[k] is not None}
    if not given:
        return psf.Objective(settings["na"], n=settings["n"], **options)
    thick = {"t_g": given.get("t_g_design", 170.0), "t_s": settings["t_s"]}
    index = {"n_s": settings["n"], "n_g": settings["n"], "n_i": settings["n"]}
    layers = psf.Layers(**{**thick, **index, **given})
    return psf.Objective(settings["na"], layers=layers, **options)


# -- what is known -------------------------------------------------------------------------


def camera(settings: Settings, shape: tuple[int, ...]) -> Camera | None:
    """The camera, if anything was said about it; maps come from files."""
    given = {name: settings[name] for name in _CAMERA if settings[name] is not None}
    if not given:
        return None
    if "camera_gain" not in given:
        raise UsageError(
            "--camera-gain is needed with what else is said about the camera: the electrons of one "
            "count, such as --camera-gain 0.46."
        )
    values = {_CAMERA[name]: _number_or_map(name, text) for name, text in given.items()}
    for name, value in values.items():
        if np.ndim(value) and np.shape(value) != tuple(shape):
            flag = next(k for k, v in _CAMERA.items() if v == name).replace("_", "-")
            raise UsageError(
                f"--{flag}: the map has {np.shape(value)} pixels, the stack {tuple(shape)}."
            )
    return Camera(**values)


def _number_or_map(name: str, text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        pass
    path = Path(text)
    if not path.is_file():
        flag = name.replace("_", "-")
        raise UsageError(f"--{flag} must be a number or a file with a map, got {text!r}.")
    if path.suffix == ".npy":
        return np.load(path, allow_pickle=False)
    stack = io.read_stack(path, pixel=1.0, dz=1.0)
    return np.asarray(stack.data, np.float64).mean(axis=0)


def camera_of(field: Field, bead: Bead) -> Camera | None:
    """The camera behind the window of a bead."""
    if field.camera is None or not field.camera.shape:
        return field.camera
    return field.camera.cut(*window_of(bead.center, (field.size, field.size), field.stack.shape))


def window_of_bead(settings: Settings, field: Field, bead: Bead) -> io.Stack:
    """The window of a bead, without the light of others that reaches into it."""
    window = cut_bead(field.stack, bead, field.size)
    lit = neighbor_light(field.stack, bead, field.beads, field.size, **_optics(settings))
    if not lit.any():
        return window
    note = f"{np.count_nonzero(lit)} values that other spots light up are left out"
    return dataclasses.replace(window, mask=window.mask | lit, notes=(*window.notes, note))


def known(settings: Settings, model: BeadModel, planes: int) -> np.ndarray | None:
    """Path differences that were added on purpose, of every plane or of all."""
    texts = settings["known"]
    if not texts:
        return None
    total = np.zeros((1, model.samples, model.samples))
    terms = [text for text in texts if not is_table(text)]
    if terms:
        modes = modes_and_lengths("--known", terms)
        total = total + model.opd(np.array(list(modes.values())), list(modes))
    for text in texts:
        if text not in terms:
            total = total + _table(Path(text), model, planes)
    return total


def _table(path: Path, model: BeadModel, planes: int) -> np.ndarray:
    """A table of coefficients with the columns n, m, nm, and plane where they differ."""
    if not path.is_file():
        raise UsageError(
            f"--known must be modes such as '2,2=15 nm', or a CSV file with the columns n, m, nm "
            f"(and plane), got {str(path)!r}."
        )
    total = np.zeros((planes, model.samples, model.samples))
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    try:
        for row in rows:
            plane = slice(None) if not row.get("plane") else int(row["plane"])
            total[plane] += model.opd(
                np.array([float(row["nm"]) / 1e3]), [(int(row["n"]), int(row["m"]))]
            )
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise UsageError(
            f"--known: {path.name} must have the columns n, m, nm (and plane, from 0 to "
            f"{planes - 1}): {error}."
        ) from None
    return total


def modes_and_lengths(
    flag: str, texts: list[str] | None, convention: str | None = None
) -> dict[tuple[int, int], float]:
    """Modes and their optical paths [µm], from texts such as ``2,2=15 nm`` or ``11=20 nm``."""
    result = {}
    for text in texts or []:
        name, _, value = text.partition("=")
        try:
            pair = tuple(int(part) for part in name.strip(" ()").split(","))
        except ValueError:
            pair = ()
        try:
            mode = pair if len(pair) == 2 else _mode(name.strip(), convention)
            zernike_name(*mode)  # knows the pairs that are modes
            result[mode] = float(length(value.strip()))
        except (ValueError, KeyError) as error:
            raise UsageError(
                f"{flag}: expected a mode and a length, such as '2,2=15 nm', got {text!r} "
                f"({error})."
            ) from None
    return result  # type: ignore[return-value]


def _mode(name: str, convention: str | None) -> tuple[int, int]:
    """A mode by its name, or by its number in a numbering."""
    if not name.isdecimal():
        return zernike_mode(name)
    if convention is None:
        raise ValueError("a single number needs a --convention, a pair 'n,m' needs none")
    return zernike_index(int(name), convention=convention)
