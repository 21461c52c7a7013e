"""The result folder of one bead: written whole, and read back into the fit it came from."""

from __future__ import annotations

import csv
import dataclasses
import io as text_io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jaxwave import io, plot
from jaxwave._files import as_path, atomic, replacing_files
from jaxwave.beads import BeadFit
from jaxwave.beads.model import blur_parameter, blur_sigma, restored
from jaxwave.beads.spherical import read_departures
from jaxwave.beads.ties import Tie
from jaxwave.io.results import versions
from jaxwave.report.page import inside, shown, write_report
from jaxwave.report.quality import calibrated_psf, psf_quality, raw_quality
from jaxwave.report.result import bead_summary, prepare, wavefront_quality


@dataclasses.dataclass(frozen=True)
class SavedBead:
    """A calibrated bead as it was read back from its result folder.

    Valid for folders of :func:`save_bead_fit`.

    Args:
        fit: The fit.
        data: The data that were fitted, NaN where left out, ``(z, y, x)`` [counts].
        z: Nominal positions of the planes, ``(z,)`` [µm].
        result: What stands in ``result.json``.

    Example:
        >>> SavedBead.__dataclass_params__.frozen
        True
    """

    fit: BeadFit
    data: np.ndarray
    z: np.ndarray
    result: dict[str, Any]


def save_bead_fit(
    folder: str | os.PathLike,
    fit: BeadFit,
    stack: ArrayLike,
    z: ArrayLike,
    *,
    settings: Mapping[str, Any] | None = None,
    provenance: Mapping[str, str] | None = None,
    name: str = "",
    page: bool = True,
) -> dict[str, Any]:
    """Writes the result folder of a bead's fit.

    ``calibration.npz`` (pupil, data, model, parameters), ``psf.ome.tif`` (calibrated PSF,
    centered, unit sum), ``zernikes.csv``, ``calibration.png``, ``report.html`` and, last,
    ``result.json`` (numbers, errors, settings, versions): a folder with a ``result.json`` is
    complete. An earlier result is replaced when the new one is on the disk as a whole. Valid for
    planes at equal distances.

    Args:
        folder: Where to write; made if it does not exist.
        fit: A fitted bead.
        stack: The data that were fitted, NaN where left out, ``(z, y, x)`` [counts].
        z: Nominal positions of the planes, ``(z,)`` [µm].
        settings: What else should stand in ``result.json``.
        provenance: Where each number came from, by name.
        name: What the bead is called on the page.
        page: False leaves out the page and the picture, which can be made from the rest later.

    Returns:
        What was written to ``result.json``.

    Raises:
        OSError: If the folder cannot be written.
        ImportError: If tifffile or matplotlib is not installed.

    Example:
        >>> save_bead_fit.__name__
        'save_bead_fit'
    """
    folder, data, z = prepare(folder), np.asarray(stack), np.asarray(z)
    quality = psf_quality(fit, z)
    dz = float(np.mean(np.abs(np.diff(z))))
    spacing = (dz, fit.model.pixel, fit.model.pixel)
    summary = {
        "name": name,
        **bead_summary(fit),
        "psf": dataclasses.asdict(quality),
        "raw": raw_quality(shown(fit, data), fit.background, spacing),
        "scores": fit.scores,
        "settings": dict(settings or {}),
        "provenance": dict(provenance or {}),
    }
    summary = {**summary, "versions": versions()}
    with replacing_files(folder, last="result.json") as place:
        io.save_arrays(
            place / "calibration.npz",
            {
                "pupil_amplitude": fit.pupil_amplitude,
                "pupil_opd_um": fit.pupil_opd,
                "data": data,
                "model": fit.image,
                "z_um": z,
                **{f"history_{k}": v for k, v in fit.history.items()},
                **{f"parameter_{k}": v for k, v in fit.parameters.items()},
            },
        )
        planes = (np.arange(len(z)) - len(z) // 2) * dz * float(np.sign(z[-1] - z[0]))
        psf = calibrated_psf(fit, planes)
        io.write_stack(place / "psf.ome.tif", psf / psf.sum(), spacing=spacing)
        write_table(place / "zernikes.csv", summary["zernikes"])
        if page:
            _picture(fit, data, spacing, place / "calibration.png")
            write_report(place / "report.html", fit, data, z=z, result=summary)
        io.write_result(place / "result.json", summary)
    for name in () if page else ("report.html", "calibration.png"):
        (folder / name).unlink(missing_ok=True)  # of the fit before
    return summary


def write_table(path: str | os.PathLike, rows: list[dict[str, Any]]) -> Path:
    """Writes rows of one kind as CSV, with the names of the columns first."""
    stream = text_io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=[*rows[0]] if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _guarded(value) for name, value in row.items()} for row in rows)
    text = stream.getvalue().encode(errors="backslashreplace")
    return atomic("write_table", path, lambda file: file.write(text))


# How a cell begins that a spreadsheet would compute.
_FORMULA = ("=", "+", "-", "@", "\t")


def _guarded(value: object) -> Any:
    """A cell; text that a spreadsheet would take for a formula gets a quote in front."""
    if not isinstance(value, str):
        return value
    value = value.replace("\r", "\\r")  # would end the row
    return f"'{value}" if value.startswith((*_FORMULA, "'")) else value


def is_guarded(text: str) -> bool:
    """Tells whether a cell of :func:`write_table` has the quote that keeps it text."""
    return text.startswith("'") and text[1:].startswith((*_FORMULA, "'"))


def load_bead_fit(folder: str | os.PathLike) -> SavedBead:
    """Reads a result folder back, with everything that the report and the exports need.

    Valid for folders of :func:`save_bead_fit`; arrays are checked against their checksum and
    nothing is unpickled.

    Args:
        folder: The result folder of one bead.

    Returns:
        The fit with its data.

    Raises:
        FileNotFoundError: If the folder holds no finished result.
        ValueError: If a file is damaged or was not written by :func:`save_bead_fit`.

    Example:
        >>> load_bead_fit("nowhere")
        Traceback (most recent call last):
        ...
        FileNotFoundError: load_bead_fit: 'nowhere' holds no finished result (no result.json). ...
    """
    where, folder = "load_bead_fit", as_path("load_bead_fit", folder)
    path = folder / "result.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{where}: {str(folder)!r} holds no finished result (no result.json). Pass the folder "
            "of one bead that was calibrated."
        )
    try:
        result = _with_nan(json.loads(path.read_text(encoding="utf-8")))
        arrays = io.load_arrays(folder / "calibration.npz")
        fit = _restore(result, arrays)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{where}: {str(folder)!r} is not the result of one bead ({type(error).__name__}: "
            f"{error}). Pass the folder of one bead, or calibrate again."
        ) from None
    return SavedBead(fit, arrays["data"], arrays["z_um"], result)


_NUMBERS = (
    "psf",
    "raw",
    "scores",
    "parameters",
    "errors",
    "bootstrap",
    "bootstrap_over_error",
    "zernikes",
    "rms_wavefront_nm",
    "strehl_ratio",
)


def _with_nan(result: dict[str, Any]) -> dict[str, Any]:
    """The result with NaN where JSON has null for a number that is not finite."""

    def filled(value: object) -> Any:
        if isinstance(value, dict):
            return {k: filled(v) for k, v in value.items()}
        if isinstance(value, list):
            return [filled(v) for v in value]
        return float("nan") if value is None else value

    return {k: filled(v) if k in _NUMBERS else v for k, v in result.items()}


def _restore(result: dict[str, Any], arrays: dict[str, np.ndarray]) -> BeadFit:
    errors = {k: np.asarray(v) for k, v in result["errors"].items()}
    values = {k: np.asarray(v) for k, v in result["parameters"].items()}
    for target, key in ((values, "opd_nm"), (errors, "error_nm")):
        target["zernike_um"] = np.array([1e-3 * row[key] for row in result["zernikes"]])

    def part(prefix: str) -> dict[str, np.ndarray]:
        names = [k for k in arrays if k.startswith(prefix)]
        return {k.removeprefix(prefix): arrays[k] for k in names}

    parameters, sigma = part("parameter_"), values["blur_sigma_pixels"]
    if not np.allclose(blur_sigma(parameters["blur"]), sigma, rtol=1e-3, atol=1e-3):
        parameters["blur"] = blur_parameter(sigma)  # of a version with another parameter
    unknown = {k: np.where(np.isnan(v), np.inf, v) for k, v in errors.items()}
    return BeadFit(
        model=restored(result["model"]),
        parameters=parameters,  # type: ignore[arg-type]
        values=values,
        errors=unknown,
        pupil_amplitude=arrays["pupil_amplitude"],
        pupil_opd=arrays["pupil_opd_um"],
        image=arrays["model"],
        gain=np.asarray(result["gain_counts"]),
        background=np.asarray(result["background_counts"]),
        fitted=np.asarray(result["fitted_planes"]),
        heldout=np.asarray(result["heldout_planes"]),
        scores=result["scores"],
        history=part("history_"),
        seconds=result["fit_seconds"],
        reason=result["stopped"],
        bootstrap={k: np.asarray(v) for k, v in result.get("bootstrap", {}).items()},
        ties=tuple(Tie(tuple(t["names"]), t["correlation"]) for t in result.get("ties", ())),
        layers=read_departures(result),
    )


def _picture(fit: BeadFit, data: np.ndarray, spacing: tuple[float, ...], path: Path) -> None:
    plot.plot_calibration(
        shown(fit, data),
        fit.image,
        spacing,
        pupil=fit.pupil_amplitude * np.exp(2j * np.pi * fit.pupil_opd / fit.model.wavelength),
        mask=inside(fit),
        pupil_spacing=fit.model.step / fit.model.na,
        coefficients=fit.values["zernike_um"],
        errors=fit.errors["zernike_um"],
        modes=fit.model.modes,
        loss=fit.history["loss"],
        heldout_loss=fit.history["heldout_loss"],
        heldout_steps=fit.history["report_steps"],
        wavelength=fit.model.wavelength,
        rms=wavefront_quality(fit)[0],
        path=path,
    )
