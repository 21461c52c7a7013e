"""``jaxwave export``: PSFs, pupils and modes for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from jaxwave import io, report
from jaxwave.cli import batch, checks, device, formats, options, outputs
from jaxwave.cli.settings import Settings, UsageError, inputs
from jaxwave.cli.terminal import say
from jaxwave.report.folder import write_table
from jaxwave.report.mean import alike, mean_bead
from jaxwave.slm import levels_for_phase


def export(arguments: argparse.Namespace) -> int:
    """Writes the PSF, the pupil and the modes of a calibrated bead."""
    settings = arguments.settings
    wanted = {kind: settings[kind] or [] for kind in checks.EXPORTS}
    wanted["table"] = [device.table_beside(name) for name in wanted["slm"]]
    like = [settings[name] for name in ("like", "slm_table") if settings[name]]
    _spare(wanted, like)
    saved, read, folders = _chosen(Path(arguments.folder), settings["bead"], best=arguments.best)
    own = [path for place in folders for path in place.iterdir() if path.name != "psf.ome.tif"]
    _spare(wanted, [*read, *own])
    for name in wanted["coefficients"]:
        _write_rows(Path(name), saved.result["zernikes"])
    for name in wanted["pupil"]:
        _write_pupil(Path(name), saved)
    for name in wanted["slm"]:
        _write_levels(Path(name), settings, saved.fit)
    if wanted["psf"]:
        psf, spacing, rising = _psf(settings, saved)
        seen = {name: getattr(saved.fit.model, name) for name in ("wavelength", "na", "n")}
        psf /= psf.sum()
        for name in wanted["psf"]:
            say(formats.write_psf(name, psf, spacing, optics=seen, rising=rising))
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


def _psf(settings: Settings, saved: Any) -> tuple[np.ndarray, tuple[float, float, float], bool]:
    """The PSF on the voxel that was asked for, that voxel, and whether z grows."""
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
    sign = float(np.sign(z[-1] - z[0]))
    heights = (np.arange(planes) - planes // 2) * step * sign
    if planes * step > 1.01 * extent + step:
        say(f"note: {planes * step:.3g} µm of z are asked for, {extent:.3g} µm were measured")
    psf = report.calibrated_psf(saved.fit, heights, pixel=pixel, shape=size)
    return psf, (step, pixel, pixel), sign > 0


def _given(value: object, usual: object) -> Any:
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
    if path.suffix.lower() == ".dat":
        opd = np.where(fit.pupil_amplitude > 0, fit.pupil_opd, np.nan)
        step = 1e3 * fit.model.step  # a pupil of 1 mm for s = 1
        say(io.write_opd(path, opd, spacing=step, wavelength=fit.model.wavelength))
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


def _write_levels(path: Path, settings: Settings, fit: Any) -> None:
    """Levels whose phase takes the measured path away, and the table that they are made for."""
    table = 2 * np.pi * np.arange(256) / 256
    if settings["slm_table"] is not None:
        table = io.read_phase_table(settings["slm_table"], wavelength=fit.model.wavelength)
    shape = device.device_size(settings["slm_size"])
    scale = 2 * fit.model.na / settings["slm_diameter"]
    opd = _path_at(fit, *((np.arange(n) - n // 2) * scale for n in shape))
    levels = np.asarray(levels_for_phase(-2 * np.pi * opd / fit.model.wavelength, table))
    bits = max((len(table) - 1).bit_length(), 1)
    say(io.write_levels(path, levels, bits=bits))
    say(io.write_phase_table(device.table_beside(str(path)), table))


def _path_at(fit: Any, sy: np.ndarray, sx: np.ndarray) -> np.ndarray:
    """The path [µm] at other places of the pupil, zero outside: lines between known samples."""
    grid = (np.arange(fit.model.pupil_samples) - fit.model.pupil_samples // 2) * fit.model.step
    known = (grid[:, None] ** 2 + grid**2 <= (1.04 * fit.model.na) ** 2).astype(float)
    by_y, by_x = (_lines(grid, s) for s in (sy, sx))
    weight = by_y @ known @ by_x.T
    path = by_y @ (known * fit.pupil_opd) @ by_x.T / np.where(weight > 0, weight, 1)
    return np.where(sy[:, None] ** 2 + sx**2 <= fit.model.na**2, path, 0.0)


def _lines(grid: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Weights of linear interpolation, ``(places, grid)``."""
    return np.clip(1 - np.abs(places[:, None] - grid) / (grid[1] - grid[0]), 0, None)
