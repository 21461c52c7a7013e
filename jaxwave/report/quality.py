"""How good a calibrated PSF is: widths, contrast transfer, and what it can localize."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.beads import BeadFit, BeadModel, bead_stack
from jaxwave.beads.basis import basis_of
from jaxwave.beads.model import blur_parameter, blur_sigma
from jaxwave.calibration.fisher import least_errors

_FINE = 3  # fine samples in a camera pixel
_STEP = 0.01  # µm, of the derivative along z
_PLANES = 33


@dataclasses.dataclass(frozen=True)
class PsfQuality:
    r"""Widths, contrast transfer and localization bounds of a calibrated PSF.

    .. math:: \mathrm{CRLB}_i = \sqrt{(F^{-1})_{ii}},\qquad
        F_{ij} = \sum_{yx} \frac{\partial_i \mu\, \partial_j \mu}{\mu},\qquad \mu = N h + b

    Valid for the fitted model, blur included; the bounds hold for photons counted without read
    noise, with brightness N and background b unknown too.

    Args:
        fwhm_um: Full widths at half maximum by axis, ``{"x": {...}, "y": {...}, "z": {...}}``, of
            the fitted PSF, of the same microscope without aberrations, and by the formulas
            0.51 wavelength/NA and 0.88 wavelength/(n - sqrt(n² - NA²)) [µm].
        frequency: Spatial frequencies, ``(frequencies,)`` [1/µm].
        mtf_x: Modulation transfer along x in the best plane, ``(frequencies,)`` [1].
        mtf_y: The same along y, ``(frequencies,)`` [1].
        mtf_ideal: That of the microscope without aberrations, ``(frequencies,)`` [1].
        z: Positions of the emitter's plane, ``(z,)`` [µm].
        crlb_um: Bounds of the standard deviation for x, y and z, ``(3, z)`` [µm]; infinite where
            the image does not tell.
        photons: Photons N of the bounds.
        background: Background b of the bounds, photons in a pixel.

    Example:
        >>> PsfQuality.__dataclass_params__.frozen
        True

    References:
        R. J. Ober et al., "Localization accuracy in single-molecule microscopy", Biophys. J. 86,
        1185 (2004).
    """

    fwhm_um: dict[str, dict[str, float]]
    frequency: np.ndarray
    mtf_x: np.ndarray
    mtf_y: np.ndarray
    mtf_ideal: np.ndarray
    z: np.ndarray
    crlb_um: np.ndarray
    photons: float
    background: float


def _centered(model: BeadModel, parameters: dict[str, Any], factor: float) -> dict[str, Array]:
    """Parameters of the bead on the axis without drift, with pixels ``factor`` times as fine."""
    place = dict.fromkeys(("y", "x", "z", "drift_y", "drift_x", "drift_z"), 0.0)
    start = model.start()
    moved = {k: jnp.full_like(start[k], v) for k, v in place.items()}
    sigma = factor * blur_sigma(parameters["blur"])
    blur = jnp.asarray(blur_parameter(sigma), start["blur"].dtype)
    return {**{k: jnp.asarray(v) for k, v in parameters.items()}, **moved, "blur": blur}


@partial(jax.jit, static_argnums=0)
def _stack(model: BeadModel, parameters: dict[str, Array], z: Array, basis: dict) -> Array:
    return bead_stack(model, parameters, z, basis, z_range=jnp.float32(1))


def _evaluate(
    model: BeadModel, parameters: dict[str, Any], z: ArrayLike, pixel: float, shape: Any
) -> np.ndarray:
    factor = model.pixel / pixel
    width = pixel * (max(shape) + 2 * 8)
    period = model.wavelength / model.step
    samples = model.pupil_samples
    if width > period:
        raise ValueError(
            f"calibrated_psf: the pupil of {samples} samples repeats the image every "
            f"{period:.3g} µm, less than the {width:.3g} µm that were asked for. Ask for a window "
            f"of at most {int(period / pixel) - 16} pixels."
        )
    fine = dataclasses.replace(model, pixel=pixel, shape=shape, margin=8, bead_diameter=0.0)
    values = _centered(model, parameters, factor)
    planes = jnp.asarray(z, jnp.float32)
    return np.asarray(_stack(fine, values, planes, basis_of(model)), np.float64)


def calibrated_psf(
    fit: BeadFit,
    z: ArrayLike,
    *,
    pixel: float | str | None = None,
    shape: int | tuple[int, int] | None = None,
) -> np.ndarray:
    r"""Computes the PSF of a calibrated microscope on any grid: a point, centered, no drift.

    .. math:: h(z, y, x) = \mathrm{pixel} * \mathrm{blur} * I(r; z)

    The model is evaluated, not interpolated: the light is integrated over the new pixel. Lengths
    are those of the instrument's own scales, as in its images. Valid within the range of z that
    was fitted; pixels above the Nyquist limit are sums of finer ones.

    Args:
        fit: A fitted bead.
        z: Positions of the planes, ``(z,)`` [µm].
        pixel: Pixel in the sample [µm]; by default that of the fit.
        shape: Number of pixels (ny, nx), or one number; by default that of the fit.

    Returns:
        Share of the light in every pixel, ``(z, y, x)`` [1], in float64.

    Raises:
        ValueError: If the window is larger than the pupil's sampling allows.

    Example:
        >>> calibrated_psf.__name__
        'calibrated_psf'

    References:
        B. M. Hanser et al., J. Microsc. 216, 32 (2004).
    """
    return model_psf(fit.model, fit.parameters, z, pixel=pixel, shape=shape)


def model_psf(
    model: BeadModel,
    parameters: dict[str, Any],
    z: ArrayLike,
    *,
    pixel: float | str | None = None,
    shape: int | tuple[int, int] | None = None,
) -> np.ndarray:
    """The PSF of a model with any parameters, as :func:`calibrated_psf`."""
    where = "calibrated_psf"
    pixel = model.pixel if pixel is None else float(_check.length(where, "pixel", pixel))
    _check.positive(where, "pixel", pixel, unit="µm")
    ny, nx = _check.grid_shape(where, model.shape if shape is None else shape)
    nyquist = model.wavelength / (4 * model.na)
    bins = max(1, math.ceil(pixel / nyquist * (1 - 1e-9)))
    bins += 1 - bins % 2  # odd, so that the middle of the pixel N // 2 stays on the axis
    size = (ny * bins, nx * bins)
    # the fine sample on the axis is the middle one of the pixel N // 2
    grown = tuple(s + 2 * (bins // 2) for s in size)
    image = _evaluate(model, parameters, z, pixel / bins, grown)
    starts = [g // 2 - (n // 2) * bins - bins // 2 for g, n in zip(grown, (ny, nx), strict=True)]
    cut = image[:, starts[0] : starts[0] + size[0], starts[1] : starts[1] + size[1]]
    return cut.reshape(-1, ny, bins, nx, bins).sum(axis=(2, 4))


def _width(profile: np.ndarray, spacing: float) -> float:
    """Full width at half maximum, linear between samples; NaN if the profile does not fall."""
    peak, top = int(np.argmax(profile)), float(profile.max())
    sides = []
    for part in (profile[peak:], profile[peak::-1]):
        below = np.flatnonzero(part < top / 2)
        if not below.size:
            return float("nan")
        k = int(below[0])
        sides.append(k - 1 + (part[k - 1] - top / 2) / (part[k - 1] - part[k]))
    return float(sum(sides)) * spacing


def raw_quality(
    stack: np.ndarray, background: np.ndarray, spacing: tuple[float, float, float]
) -> dict[str, float]:
    """Widths of the brightest spot of measured counts, without any model.

    Lines through the brightest voxel, above the background; across a plane they are interpolated
    by their Fourier series, as light has no finer structure than the pixels of most cameras.

    Args:
        stack: Counts, ``(z, y, x)``, finite.
        background: Background of every plane, ``(z,)`` [counts].
        spacing: Distances (dz, dy, dx) [µm].

    Returns:
        ``fwhm_x_um``, ``fwhm_y_um``, ``fwhm_z_um``; ``asymmetry``, the smaller one across over the
        larger one; ``signal_to_background``, the peak over the counts below it.
    """
    light = stack - background[:, None, None]
    k, j, i = np.unravel_index(int(np.argmax(light)), light.shape)
    fine = 8
    lines = (light[:, j, i], _finer(light[k, :, i], fine), _finer(light[k, j], fine))
    steps = (spacing[0], spacing[1] / fine, spacing[2] / fine)
    z, y, x = (_width(line, step) for line, step in zip(lines, steps, strict=True))
    below = float(background[k])
    return {
        "fwhm_x_um": x,
        "fwhm_y_um": y,
        "fwhm_z_um": z,
        "asymmetry": min(x, y) / max(x, y),
        "signal_to_background": float(light[k, j, i]) / below if below > 0 else float("inf"),
    }


def _finer(line: np.ndarray, times: int) -> np.ndarray:
    """A line with ``times`` as many samples, by its Fourier series."""
    return np.fft.irfft(np.fft.rfft(line), times * len(line)) * times


def _mtf(plane: np.ndarray, spacing: float, most: float) -> tuple[np.ndarray, ...]:
    """Frequencies up to ``most``, and the modulation transfer along x and y."""
    size = 4 * max(plane.shape)
    frequency = np.fft.rfftfreq(size, spacing)
    keep = frequency <= most
    lines = (plane.sum(axis=axis) for axis in (0, 1))
    x, y = (np.abs(np.fft.rfft(line, size))[keep] / line.sum() for line in lines)
    return frequency[keep], x, y


def _derivative(image: np.ndarray, axis: int, spacing: float) -> np.ndarray:
    """Derivative along an axis through the Fourier transform."""
    shape = [1] * image.ndim
    shape[axis] = -1
    n = image.shape[axis]
    frequency = np.fft.fftfreq(n, spacing)
    if n % 2 == 0:
        frequency[n // 2] = 0
    ramp = (2j * np.pi * frequency).reshape(shape)
    return np.fft.ifft(ramp * np.fft.fft(image, axis=axis), axis=axis).real


def _bin(image: np.ndarray, bins: int) -> np.ndarray:
    planes, ny, nx = image.shape
    ny, nx = ny // bins, nx // bins
    cut = image[:, : ny * bins, : nx * bins]
    return cut.reshape(planes, ny, bins, nx, bins).sum(axis=(2, 4))


def _bounds(
    image: np.ndarray, gradient: list[np.ndarray], photons: float, background: float
) -> np.ndarray:
    """Cramer-Rao bounds of x, y, z in every plane, with brightness and background unknown."""
    expected = photons * image + background
    columns = [photons * g for g in gradient] + [image, np.ones_like(image)]
    jacobian = np.stack(columns, axis=1).reshape(len(image), 5, -1)
    weighted = jacobian / np.maximum(expected, 1e-12).reshape(len(image), 1, -1)
    information = np.einsum("zip,zjp->zij", weighted, jacobian)
    return np.asarray(jax.vmap(least_errors)(jnp.asarray(information)), np.float64)[:, :3].T


def psf_quality(
    fit: BeadFit, z: ArrayLike, *, photons: float = 5000.0, background: float = 10.0
) -> PsfQuality:
    r"""Computes the widths, the contrast transfer and the localization bounds of a fitted PSF.

    .. math:: \mathrm{FWHM},\qquad \mathrm{MTF}(f) = |\mathcal{F}\{h\}| / \mathcal{F}\{h\}(0),
        \qquad \sqrt{(F^{-1})_{ii}}

    Valid within the range of z that was fitted; the optical PSF is taken, with the fitted blur
    but without the camera's pixel, while the bounds include the pixel.

    Args:
        fit: A fitted bead.
        z: Nominal positions of the measured planes, ``(z,)`` [µm].
        photons: Photons of the emitter for the bounds.
        background: Background for the bounds, photons in a pixel.

    Returns:
        The quality, with the microscope free of aberrations beside it.

    Raises:
        ValueError: If the photons are not positive or the background is negative.

    Example:
        >>> psf_quality.__name__
        'psf_quality'

    References:
        R. J. Ober et al., Biophys. J. 86, 1185 (2004); J. W. Goodman, *Introduction to Fourier
        Optics*, Sec. 6.3.
    """
    _check.positive("psf_quality", "photons", photons)
    _check.nonnegative("psf_quality", "background", background)
    heights = np.linspace(-0.5, 0.5, _PLANES) * float(np.ptp(np.asarray(z, np.float64)))
    spacing, images = _volumes(fit, heights)
    steps = {"x": spacing, "y": spacing, "z": float(heights[1] - heights[0])}
    na, transfer = float(fit.values["na"]), []
    widths: dict[str, dict[str, float]] = {axis: {} for axis in "xyz"}
    for name, pair in zip(("fitted", "ideal"), images, strict=True):
        image = pair.mean(axis=0)
        k, j, i = np.unravel_index(int(np.argmax(image)), image.shape)
        lines = {"x": image[k, j], "y": image[k, :, i], "z": image[:, j, i]}
        for axis, line in lines.items():
            widths[axis][name] = _width(line, steps[axis])
        transfer.append(_mtf(image[k], spacing, 2.2 * na / fit.model.wavelength))
    for axis, value in zip("xyz", _formulas(fit.model, na), strict=True):
        widths[axis]["formula"] = value
    before, after = images[0]
    volume = (before + after) / 2  # off by the square of the step, 1e-4 of the value
    slopes = [-_derivative(volume, 2, spacing), -_derivative(volume, 1, spacing)]
    slopes.append((after - before) / (2 * _STEP))
    binned = [_bin(slope, _FINE) for slope in slopes]
    return PsfQuality(
        fwhm_um=widths,
        frequency=transfer[0][0],
        mtf_x=transfer[0][1],
        mtf_y=transfer[0][2],
        mtf_ideal=transfer[1][1],
        z=heights,
        crlb_um=_bounds(_bin(volume, _FINE), binned, float(photons), float(background)),
        photons=float(photons),
        background=float(background),
    )


def _volumes(fit: BeadFit, heights: np.ndarray) -> tuple[float, list[np.ndarray]]:
    """Fine spacing, and the PSF just below and above the heights: fitted, without aberrations."""
    model = fit.model
    spacing, size = model.pixel / _FINE, _FINE * min(40, min(model.shape))
    planes = np.concatenate([heights - _STEP, heights + _STEP])
    plain = {k: np.zeros_like(v) for k, v in fit.parameters.items()}
    plain |= {k: fit.parameters[k] for k in ("pixel", "dz", "na", "blur")}
    images = []
    for parameters in (fit.parameters, plain):
        stack = _evaluate(model, parameters, planes, spacing, (size, size))
        images.append(stack.reshape(2, len(heights), size, size))
    return spacing, images


def _formulas(model: BeadModel, na: float) -> tuple[float, float, float]:
    """Widths at half maximum along x, y and z by the usual formulas [µm]."""
    lateral = 0.51 * model.wavelength / na
    cosine = math.sqrt(max(1 - (na / model.n) ** 2, 0))
    return lateral, lateral, 0.88 * model.wavelength / (model.n * (1 - cosine))
