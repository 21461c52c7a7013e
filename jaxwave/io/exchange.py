"""PSFs in the files of programs that find molecules: SMAP, DECODE, uiPSF and picasso."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jaxwave import _check, _files
from jaxwave.io import _gauss, _matlab_write, _optional, _spline

_FEWEST = 4  # samples of a spline
_DEGREE = 6  # of picasso's polynomials
_BOX = 13  # pixels
_APART = 0.1  # distance of widths at far depths, of the curve's extent
_FOCUS = "write a PSF that is computed with `planes` and `size` odd"


def _psf(where: str, psf: ArrayLike, spacing: Any) -> tuple[np.ndarray, tuple[float, float, float]]:
    """The PSF in float64, the plane at the highest z first, and (dz, dy, dx) [µm]."""
    h = np.asarray(psf)
    if h.dtype.kind not in "fiub":
        raise TypeError(f"{where}: `psf` must be real, got {h.dtype}. Write its intensity.")
    if h.ndim != 3 or min(h.shape) < _FEWEST:
        raise ValueError(
            f"{where}: `psf` must have the axes (z, y, x) with at least {_FEWEST} samples each, "
            f"got {h.shape}."
        )
    _check.finite_array(where, "psf", h)
    if np.shape(spacing) != (3,):
        raise ValueError(
            f"{where}: `spacing` must be the voxel size (dz, dy, dx) [µm], got {spacing!r}."
        )
    dz, dy, dx = (float(_check.length(where, "spacing", value)) for value in spacing)
    _check.positive(where, "spacing", (dz, dy, dx), unit="µm")
    return h[::-1].astype(np.float64), (dz, dy, dx)


def _square(where: str, h: np.ndarray, spacing: tuple[float, float, float]) -> None:
    """Requires what one number for x and y can describe, with the focus in the middle."""
    _, dy, dx = spacing
    if h.shape[1] != h.shape[2] or abs(dy / dx - 1) > 1e-6:
        raise ValueError(
            f"{where}: the format has one center and one pixel for y and x, so `psf` must be "
            f"square with square pixels, got {h.shape[1]} x {h.shape[2]} of {dy:g} x {dx:g} µm."
        )
    if h.shape[1] % 2 == 0 or h.shape[0] % 2 == 0:
        raise ValueError(
            f"{where}: `psf` must have odd numbers of planes and pixels, so that the emitter is in "
            f"the middle for every reader, got {h.shape}: {_FOCUS}."
        )


def _cells(h: np.ndarray) -> np.ndarray:
    """Coefficients ``(64, z, y, x)``, number 16 pz + 4 py + px, float32."""
    c = _spline.coefficients(h)
    return c.reshape(64, *c.shape[3:]).astype(np.float32)


def _of_focus(where: str, h: np.ndarray) -> np.ndarray:
    """The PSF whose middle plane has unit sum."""
    light = float(h[len(h) // 2].sum())
    if light <= 0:
        raise ValueError(f"{where}: `psf` must have light in its middle plane, got {light:g}.")
    return h / light


def write_smap(path: str | os.PathLike, psf: ArrayLike, *, spacing: Any) -> Path:
    r"""Writes a PSF as cubic spline for SMAP and DECODE (``_3dcal.mat``), atomically.

    .. math:: h(z, y, x) = \sum_{abc} c_{16a+4b+c}[j, i, k]\, w^a u^b v^c,\qquad
        z_k = -(k - z_0)\,\mathrm{d}z

    Valid for an emitter in the middle of an odd, square stack. ``SXY.cspline`` holds ``coeff``
    (y, x, z, 64; single; v runs along y, the first axis, u along x, w along z, from 0 to 1 in each
    cell), ``dz`` [nm], ``z0`` (from 0) and ``x0`` (from 1), the samples of the emitter. Planes are
    in the order of an objective that moves into the sample, so that both programs give z > 0 to
    emitters farther from the objective. The middle plane has unit sum: photons are those that the
    window catches in focus. The spline goes through the samples (not a knot at its ends); pixels
    at or below ``wavelength / (4 na)`` keep it within a few 1e-3 of the peak between them.

    Args:
        path: File to write, usually ``*_3dcal.mat``; its folder must exist.
        psf: Light in the pixels, ``(z, y, x)`` [any unit], z along the light (toward the
            objective) with 0 in the middle, as ``jaxwave psf`` makes it.
        spacing: Voxel size (dz, dy, dx) [µm].

    Returns:
        The path that was written.

    Raises:
        TypeError: If the PSF is complex.
        ValueError: If the PSF is not (z, y, x), square and odd, not finite, or dark in focus.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> r = np.arange(-4, 5)
        >>> h = np.exp(-(r[:, None, None] ** 2 / 40 + r[:, None] ** 2 / 4 + r**2 / 5))
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_smap(folder / "bead_3dcal.mat", h, spacing=(0.05, 0.1, 0.1)).name
        'bead_3dcal.mat'

    References:
        Y. Li et al., Nat. Methods 15, 367 (2018); A. Speiser et al., Nat. Methods 18, 1082 (2021).
    """
    where = "write_smap"
    h, voxel = _psf(where, psf, spacing)
    _square(where, h, voxel)
    # With y first, as in MATLAB's images, y has the fastest power: swap both axes and powers.
    h = _of_focus(where, h)
    coefficients = _cells(h.transpose(0, 2, 1)).transpose(3, 2, 1, 0)
    spline = {
        "coeff": coefficients,
        "dz": 1e3 * voxel[0],
        "z0": float(len(h) // 2),
        "x0": float(h.shape[1] // 2 + 1),
        "mirror": 0.0,
    }
    whole = np.array([-np.inf, np.inf])
    entry = {"cspline": spline, "gauss_zfit": np.zeros((0, 0)), "Xrange": whole, "Yrange": whole}
    data = _matlab_write.contents(where, Path(path).name, {"SXY": {**entry, "EMon": False}})
    return _files.atomic(where, path, lambda stream: stream.write(data))


def write_uipsf(
    path: str | os.PathLike,
    psf: ArrayLike,
    *,
    spacing: Any,
    wavelength: float | str,
    na: float,
    n: float = 1.0,
) -> Path:
    r"""Writes a PSF as uiPSF does (HDF5), for the programs that read its results, atomically.

    .. math:: h(z, y, x) = \sum_{abc} c_{16a+4b+c}[k, j, i]\, w^a v^b u^c

    Valid for one channel and a voxel model. The group ``res`` holds ``I_model`` (z, y, x; planes
    as an objective takes them that moves into the sample) and ``I_model_reverse``, of unit sum in
    the middle plane; ``locres`` their cubic splines ``coeff`` and ``coeff_reverse``
    (64, z, y, x; u runs along x from 0 to 1 in each cell); the attribute ``params`` the pixel [µm],
    wavelength [µm], aperture and indices as JSON. Nothing is subtracted. Pupils and Zernike modes
    of uiPSF, whose signs depend on its window, are not written.

    Args:
        path: File to write, usually ``.h5``; its folder must exist.
        psf: Light in the pixels, ``(z, y, x)`` [any unit], z along the light with 0 in the middle.
        spacing: Voxel size (dz, dy, dx) [µm].
        wavelength: Vacuum wavelength of the emission [µm].
        na: Numerical aperture [1].
        n: Index of immersion and sample [1].

    Returns:
        The path that was written.

    Raises:
        ImportError: If h5py is not installed; the error names the extra.
        TypeError: If the PSF is complex.
        ValueError: If the PSF is not (z, y, x) with an odd number of planes, not finite, or dark in
            focus.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> r = np.arange(-4, 5)
        >>> h = np.exp(-(r[:, None, None] ** 2 / 40 + r[:, None] ** 2 / 4 + r[1:-1] ** 2 / 5))
        >>> path = Path(tempfile.mkdtemp()) / "psf.h5"
        >>> write_uipsf(path, h, spacing=(0.05, 0.1, 0.1), wavelength="680 nm", na=1.2, n=1.33).name
        'psf.h5'

    References:
        S. Liu et al., "Universal inverse modeling of point spread functions for SMLM localization
        and microscope characterization", Nat. Methods 21, 1082 (2024).
    """
    where = "write_uipsf"
    h, (dz, dy, dx) = _psf(where, psf, spacing)
    length = float(_check.length(where, "wavelength", wavelength))
    _check.positive(where, "wavelength", length, unit="µm")
    _check.positive(where, "na", na)
    _check.positive(where, "n", n)
    if len(h) % 2 == 0:
        raise ValueError(
            f"{where}: `psf` must have an odd number of planes, because readers take the middle "
            f"one for the focus, got {len(h)}: {_FOCUS}."
        )
    h5py = _optional.require(where, "h5py", "hdf5", "HDF5 files")
    h = _of_focus(where, h)
    imaging = {
        "emission_wavelength": length,
        "RI": {"imm": float(n), "med": float(n), "cov": float(n)},
        "NA": float(na),
    }
    params = {
        "PSFtype": "voxel",
        "channeltype": "single",
        "pixel_size": {"x": dx, "y": dy, "z": dz},
        "roi": {"roi_size": list(h.shape[1:])},
        "option": {"imaging": imaging, "model": {"zernike_nl": []}},
    }

    def write(stream: object) -> None:
        with h5py.File(stream, "w", track_order=False) as file:
            file.attrs["params"] = json.dumps(params)
            for name, stack in (("", h), ("_reverse", h[::-1])):
                file[f"res/I_model{name}"] = stack.astype(np.float32)
                file[f"locres/coeff{name}"] = _cells(stack)

    return _files.atomic(where, path, write)


def write_picasso(
    path: str | os.PathLike,
    psf: ArrayLike,
    *,
    spacing: Any,
    box: int | None = None,
    magnification: float = 1.0,
) -> Path:
    r"""Writes the widths of an astigmatic PSF as picasso's z calibration (YAML), atomically.

    .. math:: s_x(z) = \sum_{k=0}^{6} c_k z^{6-k},\qquad s_y(z) = \sum_{k=0}^{6} d_k z^{6-k}

    Valid for a PSF whose widths (s_x, s_y) tell every depth. They are those of picasso's own fit
    (least squares of a Gaussian with free place, light and background, axes along x and y) in a
    box around the emitter [pixels]; use the same box there. z [nm] is 0 where the widths agree and
    grows with the emitter's distance from the objective, as in picasso for planes that move into
    the sample.

    Args:
        path: File to write, usually ``.yaml``; its folder must exist.
        psf: Light in the pixels, ``(z, y, x)`` [any unit], z along the light, the emitter at the
            pixel N // 2; pixels must be square.
        spacing: Voxel size (dz, dy, dx) [µm].
        box: Side length of picasso's box, odd [pixels]; by default 13, or what the PSF has.
        magnification: Factor from a stage's way to that of the emitter (picasso's magnification
            factor), such as 0.79 for oil and water [1].

    Returns:
        The path that was written.

    Raises:
        TypeError: If the PSF is complex.
        ValueError: If two depths have the same widths or the widths never agree (no astigmatism),
            fewer than 7 planes are there, or the box does not fit.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> r, z = np.arange(-8, 9), np.linspace(-0.5, 0.5, 21)[:, None, None]
        >>> y, x = (1.5 + 0.4 * (s * z - 0.2) ** 2 / 0.16 for s in (-1, 1))
        >>> h = np.exp(-(r[:, None] ** 2) / (2 * y**2) - r**2 / (2 * x**2)) / (x * y)
        >>> path = Path(tempfile.mkdtemp()) / "calibration.yaml"
        >>> write_picasso(path, h, spacing=(0.05, 0.1, 0.1)).read_text().splitlines()[0]
        'X Coefficients:'

    References:
        B. Huang et al., Science 319, 810 (2008); J. Schnitzbauer et al., Nat. Protoc. 12, 1198.
    """
    where = "write_picasso"
    h, (dz, dy, dx) = _psf(where, psf, spacing)
    _check.positive(where, "magnification", magnification)
    if abs(dy / dx - 1) > 1e-6:
        raise ValueError(f"{where}: pixels must be square, got {dy:g} x {dx:g} µm.")
    if len(h) <= _DEGREE:
        raise ValueError(
            f"{where}: polynomials of degree {_DEGREE} need at least {_DEGREE + 1} planes, got "
            f"{len(h)}."
        )
    room = 2 * min((n - 1) // 2 for n in h.shape[1:]) + 1
    side = min(_BOX, room) if box is None else box
    _check.integer(where, "box", side, 5)
    if side % 2 == 0 or side > room:
        raise ValueError(f"{where}: `box` must be odd and at most {room}, got {side}.")
    z = 1e3 * dz * (len(h) - 1 - len(h) // 2 - np.arange(len(h)))
    widths = np.array([_gauss.widths(plane) for plane in _middle(h, side)])
    z = z - _crossing(where, z, widths)
    _tell_depths(where, z, widths)
    fits = [np.polyfit(z, width, _DEGREE).tolist() for width in widths.T]
    lines = []
    for name, values in zip("XY", fits, strict=True):
        lines += [f"{name} Coefficients:", *(f"- {value:.16e}" for value in values)]
    lines += [
        f"Number of frames: {len(h)}",
        f"Step size in nm: {1e3 * dz:.16e}",
        f"Magnification factor: {magnification:.16e}",
        "Path: N/A",
        "Frame bounds: null",
        f"Box side length: {side}",
        f"Pixelsize in nm: {1e3 * dx:.16e}",
    ]
    text = "\n".join([*lines, ""]).encode()
    return _files.atomic(where, path, lambda stream: stream.write(text))


def _middle(h: np.ndarray, side: int) -> np.ndarray:
    """The box around the pixel N // 2."""
    y, x = (n // 2 - side // 2 for n in h.shape[1:])
    return h[:, y : y + side, x : x + side]


def _crossing(where: str, z: np.ndarray, widths: np.ndarray) -> float:
    """The depth, nearest to the focus, where both widths agree."""
    gap = widths[:, 0] - widths[:, 1]
    places = np.flatnonzero(np.sign(gap[:-1]) * np.sign(gap[1:]) <= 0)
    if np.abs(gap).max() < 1e-3 * widths.mean() or not places.size:
        raise ValueError(
            f"{where}: picasso tells depths by astigmatism, and the widths along x and y of this "
            f"PSF {'are equal at every depth' if places.size else 'never agree'}. Put a cylinder "
            "lens in front of the camera, or write write_smap's spline."
        )
    k = places[np.abs(z[places] + z[places + 1]).argmin()]
    step = gap[k] - gap[k + 1]
    return float(z[k] + (z[k + 1] - z[k]) * (gap[k] / step if step else 0.0))


def _tell_depths(where: str, z: np.ndarray, widths: np.ndarray) -> None:
    """Requires that depths far from each other have different widths."""
    place = np.sqrt(widths)
    apart = np.hypot(*(place[:, None] - place).transpose(2, 0, 1))
    far = np.abs(z[:, None] - z) > np.ptp(z) / 3
    nearest = float(apart[far].min())
    if nearest < _APART * apart.max():
        a, b = np.argwhere(far & (apart == nearest))[0]
        raise ValueError(
            f"{where}: picasso tells depths by astigmatism, and this PSF has nearly the same "
            f"widths at {z[a]:.0f} and {z[b]:.0f} nm. Take a stronger cylinder lens or fewer "
            "planes, or write write_smap's spline."
        )
