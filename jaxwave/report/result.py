"""The numbers of a calibrated bead for ``result.json``, and the folder they go to."""

from __future__ import annotations

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from jaxwave.beads import BeadFit
from jaxwave.beads.model import described
from jaxwave.zernike import zernike_name, zernike_number


def prepare(folder: str | os.PathLike) -> Path:
    """Makes a result folder and looks whether everything can be written, before a long fit.

    Valid for local and mounted folders.

    Args:
        folder: The result folder.

    Returns:
        The folder as a path (no shape, no unit).

    Raises:
        OSError: If the folder cannot be made or written.
        ImportError: If tifffile or matplotlib is not installed.

    Example:
        >>> import tempfile
        >>> prepare(Path(tempfile.mkdtemp()) / "bead").name
        'bead'
    """
    for module, extra in (("tifffile", "files"), ("matplotlib", "plot")):
        if find_spec(module) is None:
            raise ImportError(
                f"prepare: the results need {module}. Install it: pip install 'jaxwave[{extra}]'."
            )
    folder = Path(folder)
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise type(error)(
            error.errno, f"prepare: the folder {str(folder)!r} cannot be written. Pass another one"
        ) from None
    return folder


def wavefront_quality(fit: BeadFit) -> tuple[float, float]:
    r"""Rms wavefront error and Strehl ratio of a fitted pupil.

    .. math:: W^2 = \frac{\sum A (\mathrm{OPD} - \overline{\mathrm{OPD}})^2}{\sum A},\qquad
        S = \left|\frac{\sum A\, e^{2\pi i\,\mathrm{OPD}/\lambda}}{\sum A}\right|^2

    Weighted by the amplitude A, since phase without light does not matter. Valid without tilt
    and defocus, which the fit keeps out of the pupil.

    Args:
        fit: A fitted bead.

    Returns:
        The rms wavefront error [µm] and the Strehl ratio [1], scalars.

    Example:
        >>> from types import SimpleNamespace
        >>> opd = np.array([[0.01, -0.01]])
        >>> fit = SimpleNamespace(pupil_amplitude=np.ones((1, 2)), pupil_opd=opd,
        ...                       model=SimpleNamespace(wavelength=0.5))
        >>> rms, strehl = wavefront_quality(fit)
        >>> round(rms, 4), round(strehl, 3)
        (0.01, 0.984)

    References:
        M. Born and E. Wolf, *Principles of Optics*, 7th ed., Sec. 9.1.3.
    """
    weight = fit.pupil_amplitude / fit.pupil_amplitude.sum()
    mean = np.sum(weight * fit.pupil_opd)
    rms = np.sqrt(np.sum(weight * (fit.pupil_opd - mean) ** 2))
    wave = np.exp(2j * np.pi * fit.pupil_opd / fit.model.wavelength)
    return float(rms), float(np.abs(np.sum(weight * wave)) ** 2)


def bootstrap_ratio(fit: BeadFit) -> float:
    """Errors of the modes by drawing the planes anew, over the bars: the median; NaN if unknown."""
    bars, drawn = (np.asarray(e.get("zernike_um", np.nan)) for e in (fit.errors, fit.bootstrap))
    good = np.isfinite(bars) & np.isfinite(drawn) & (bars > 0)
    if drawn.shape != bars.shape or not np.any(good):
        return float("nan")
    return float(np.median(drawn[good] / bars[good]))


def bead_summary(fit: BeadFit) -> dict[str, Any]:
    """Everything worth knowing about a bead's fit, with the units in the names.

    The Zernike modes carry their OSA/ANSI, Noll and Fringe numbers side by side. Valid for any
    fit of :func:`~jaxwave.beads.fit_bead`.

    Args:
        fit: A fitted bead.

    Returns:
        A dictionary for ``result.json``: ``heldout_nmse`` (per-plane gain), further scores,
        parameters and errors [µm unless the name says otherwise], modes [nm], wavefront.

    Example:
        >>> bead_summary.__name__
        'bead_summary'
    """
    columns = zip(fit.model.modes, fit.values["zernike_um"], fit.errors["zernike_um"], strict=True)
    modes = [
        {
            "n": n,
            "m": m,
            **{c: zernike_number(n, m, convention=c) for c in ("osa", "noll", "fringe")},
            "name": zernike_name(n, m),
            "opd_nm": 1e3 * value,
            "error_nm": 1e3 * error,
        }
        for (n, m), value, error in columns
    ]
    rms, strehl = wavefront_quality(fit)
    return {
        "heldout_nmse": fit.scores["heldout_per_plane_gain"],
        "heldout_nmse_meaning": "over held-out planes, whose gain and background are their own "
        "least squares; everything else comes from the fitted planes",
        "heldout_nmse_one_gain": fit.scores["heldout_one_gain"],
        "fitted_nmse": fit.scores["fitted_per_plane_gain"],
        "noise_floor_nmse": fit.scores.get("noise_floor"),
        "reduced_chi_squared": fit.scores.get("reduced_chi_squared"),
        "parameters": {k: v for k, v in fit.values.items() if k != "zernike_um"},
        "errors": {k: v for k, v in fit.errors.items() if k != "zernike_um"},
        "bootstrap": fit.bootstrap,
        "bootstrap_over_error": bootstrap_ratio(fit),
        "ties": [{"names": list(tie.names), "correlation": tie.correlation} for tie in fit.ties],
        "layers": [part._asdict() for part in fit.layers],
        "zernikes": modes,
        "rms_wavefront_nm": 1e3 * rms,
        "strehl_ratio": strehl,
        "gain_counts": fit.gain,
        "background_counts": fit.background,
        "fitted_planes": fit.fitted,
        "heldout_planes": fit.heldout,
        "model": described(fit.model),
        "z_direction": "as given: the stack backward with the conjugate, rotated pupil looks alike",
        "fit_seconds": fit.seconds,
        "stopped": fit.reason,
    }
