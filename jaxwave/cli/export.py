"""``jaxwave export``: PSFs, pupils and modes for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from jaxwave import io, report
from jaxwave.cli import batch, checks, options, outputs
from jaxwave.cli.settings import Settings, UsageError, inputs
from jaxwave.cli.terminal import say
from jaxwave.report.folder import write_table
from jaxwave.report.mean import alike, mean_bead


def export(arguments: argparse.Namespace) -> int:
    """Writes the PSF, the pupil and the modes of a calibrated bead."""
    settings = arguments.settings
    wanted = {kind: settings[kind] or [] for kind in checks.FORMATS}
    like = [settings["like"]] if settings["like"] else []
    _spare(wanted, like)
    saved, read, folders = _chosen(Path(arguments.folder), settings["bead"], best=arguments.best)
    own = [path for place in folders for path in place.iterdir() if path.name != "psf.ome.tif"]
    _spare(wanted, [*read, *own])
    for name in wanted["coefficients"]:
        _write_rows(Path(name), saved.result["zernikes"])
    for name in wanted["pupil"]:
        _write_pupil(Path(name), saved)
    if wanted["psf"]:
        psf, spacing = _psf(settings, saved)
        for name in wanted["psf"]:
            say(io.write_stack(name, psf / psf.sum(), spacing=spacing))
    return 0


def _chosen(
    folder: Path, name: str | None, *, best: bool
) -> tuple[report.SavedBead, list[str], list[Path]]:
    """The bead that is meant, by default a batch's mean; the files and folders behind it."""
    if best and name is not None:
        raise UsageError("--best and --bead are two ways to choose; pass one of them.")
    places = [] if best or name is not None else _good_beads(folder)
    if len(places) < 2:
        places = [bead_folder(folder, name)]
    beads = [report.load_bead_fit(place) for place in places]
    read = [path for bead in beads for path in inputs(options.CALIBRATE, bead.result["settings"])]
    if len(places) == 1:
        return beads[0], read, places
    beads = alike(beads)
    say(f"the mean of {len(beads)} good beads; --bead NAME or --best takes one")
    return mean_bead(beads), read, [folder, *places]


def _good_beads(folder: Path) -> list[Path]:
    """Folders of the good beads of a batch."""
    if not (folder / outputs.TABLE).is_file():
        return []
    rows = batch.read(folder)
    return [folder / row["folder"] for row in rows if row["folder"] and row["status"] == "ok"]


def bead_folder(folder: Path, name: str | None) -> Path:
    """The folder of the bead that is meant: the named one of a batch, or its best."""
    if not (folder / outputs.TABLE).is_file():
        return folder
    rows = [row for row in batch.read(folder) if row["folder"]]
    if not rows:
        raise UsageError(f"{str(folder)!r} holds no bead that was fitted.")
    known = {row["bead"]: row for row in rows}
    if name is not None:
        if name not in known:
            raise UsageError(f"--bead: there is no {name!r}; the beads are {', '.join(known)}.")
        return folder / known[name]["folder"]
    good = [row for row in rows if row["status"] == "ok"] or rows
    best = min(good, key=lambda row: float(row["heldout_nmse"] or np.inf))
    if len(rows) > 1:
        say(f"the best of {len(rows)} beads is {best['bead']}; --bead NAME takes another")
    return folder / best["folder"]


def _spare(wanted: dict[str, list[str]], inputs: list[Any]) -> None:
    """Requires that no output replaces the image, a measured stack, or the result itself."""
    for names in wanted.values():
        for name in names:
            outputs.spare(name, inputs, "Choose another name.")


def _psf(settings: Settings, saved: Any) -> tuple[np.ndarray, tuple[float, float, float]]:
    """The PSF on the voxel that was asked for, and that voxel."""
    model, z = saved.fit.model, saved.z
    dz = float(np.mean(np.abs(np.diff(z))))
    pixel, step = model.pixel, dz
    if settings["like"] is not None:
        image = io.read_stack(
            settings["like"],
            pixel=settings["pixel"],
            dz=settings["dz"],
            axes=settings["axes"],
            select=checks.chosen(settings["select"]),
            nan="mask",
        )
        step, dy, dx = image.spacing
        if abs(dy / dx - 1) > 1e-3:
            raise ValueError(f"export: square pixels are needed, {dy:g} x {dx:g} µm are given.")
        pixel = dx
    else:
        pixel, step = _given(settings["pixel"], pixel), _given(settings["dz"], step)
    extent = len(z) * dz
    planes = _given(settings["planes"], _odd(extent / step))
    size = _given(settings["size"], _odd(min(model.shape) * model.pixel / pixel))
    heights = (np.arange(planes) - planes // 2) * step * float(np.sign(z[-1] - z[0]))
    if planes * step > 1.01 * extent + step:
        say(f"note: {planes * step:.3g} µm of z are asked for, {extent:.3g} µm were measured")
    return report.calibrated_psf(saved.fit, heights, pixel=pixel, shape=size), (step, pixel, pixel)


def _given(value: Any, usual: Any) -> Any:
    return usual if value is None else value


def _odd(count: float) -> int:
    """The largest odd number not above a count, so that the focus is in the middle."""
    return max(2 * ((round(count) - 1) // 2) + 1, 1)


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    say(write_table(path, rows) if path.suffix.lower() == ".csv" else io.write_json(path, rows))


def _write_pupil(path: Path, saved: Any) -> None:
    """The pupil with its coordinates s = n sin(theta), sample by sample."""
    fit = saved.fit
    count = fit.model.pupil_samples
    place = (np.arange(count) - count // 2) * fit.model.step
    if path.suffix.lower() == ".npz":
        arrays = {"sy": place, "sx": place, "amplitude": fit.pupil_amplitude}
        say(io.save_arrays(path, {**arrays, "opd_um": fit.pupil_opd}))
        return
    lit = np.argwhere(fit.pupil_amplitude > 0)
    rows = [
        {
            "sy": round(float(place[j]), 6),
            "sx": round(float(place[i]), 6),
            "amplitude": float(fit.pupil_amplitude[j, i]),
            "opd_nm": 1e3 * float(fit.pupil_opd[j, i]),
        }
        for j, i in lit.tolist()
    ]
    _write_rows(path, rows)
