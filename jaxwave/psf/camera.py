"""What camera, pinhole, bead, vibration and spectrum make of a point-spread function.

The functions act on intensities that are sampled finely enough, spacing <= wavelength / (4 na):
then a blur is a product with a transfer function. Places are shifted exactly by the arguments x, y
and z of the propagators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike, DTypeLike

from jaxwave import _check, grid, numerics
from jaxwave.numerics import gauss_legendre
from jaxwave.special import j1_over_x


def _filter(intensity: Array, pair: Array, transfer: Callable[[Array, Array], Array]) -> Array:
    """Multiplies the spectrum of an image that goes on as its mirror image beyond the window."""
    ny, nx = intensity.shape[-2:]
    margins = [(0, 0)] * (intensity.ndim - 2) + [(m, m) for m in (min(ny, 16), min(nx, 16))]
    wide = jnp.pad(intensity, margins, mode="symmetric")
    shape = wide.shape[-2:]
    fy = np.fft.fftfreq(shape[0])[:, None].astype(pair.dtype) / pair[0]
    fx = np.fft.rfftfreq(shape[1]).astype(pair.dtype) / pair[1]
    back = jnp.fft.irfft2(jnp.fft.rfft2(wide) * transfer(fy, fx), shape)
    (top, _), (left, _) = margins[-2:]
    return back[..., top : top + ny, left : left + nx]


def _image(where: str, intensity: ArrayLike, spacing: ArrayLike | str) -> tuple[Array, Array]:
    fix = "Pass an intensity, not a field."
    intensity = _check.real_array(where, "intensity", intensity, fix=fix)
    _check.at_least(where, "intensity", intensity, 2, "(..., y, x)")
    return intensity, grid.checked_spacing(where, spacing, intensity.dtype)


class Camera(NamedTuple):
    """How samples become pixels: all of it static."""

    shape: tuple[int, int]  # pixels
    samples: tuple[int, int]  # samples of the intensity
    ratio: float  # samples in a pixel
    band: float = 0.36  # highest frequency of the intensity, in cycles per sample


def cosine_series(samples: int) -> np.ndarray:
    """Samples to the coefficients of their cosine series, ``(orders, samples)``."""
    order = np.arange(samples)[:, None]
    basis = np.cos(np.pi * order * (np.arange(samples) + 0.5) / samples)
    return np.where(order, 2, 1) / samples * basis


def _pixel_matrix(pixels: int, samples: int, ratio: Array, sigma: Array) -> Array:
    """From samples of an axis to the light of its pixels, ``(pixels, samples)``.

    Samples are a cosine series over the window (its mirror image goes on beyond the rim). Every
    term is integrated over a pixel exactly, sinc(p f), and blurred, exp(-2 pi^2 sigma^2 f^2);
    ``ratio`` samples are in a pixel, ``sigma`` is in samples.
    """
    order, series = np.arange(samples), cosine_series(samples).astype(ratio.dtype)
    f = (order / (2 * samples)).astype(ratio.dtype)  # per sample
    centers = (np.arange(pixels) - pixels // 2)[:, None] * ratio + samples // 2 + 0.5
    transfer = ratio * jnp.sinc(ratio * f) * jnp.exp(-2 * (math.pi * sigma * f) ** 2)
    waves = jnp.cos(math.pi * centers * order / samples) * transfer
    return jnp.matmul(waves, series, precision="highest")


@lru_cache(maxsize=32)
def _constant_matrix(
    pixels: int, samples: int, ratio: float, band: float, dtype: DTypeLike | None
) -> np.ndarray:
    """As _pixel_matrix, without a blur, for every wave up to a frequency, ``(pixels, samples)``.

    A window cuts a picture off, and a cosine series of what is left rings at its rim. The intensity
    holds no wave beyond its band: the matrix is the one that integrates all those waves best, in
    the sense of least squares with weights that fall toward the band as a transfer function does.
    From 1.4 times the sampling that resolves the intensity on, the error is below 1e-6.
    """
    t, weight = gauss_legendre(2 * samples + 40)
    f = band * (t + 1) / 2  # per sample
    weight = weight * ((1 - f / band) ** 2 + 1e-9)

    def waves(places: np.ndarray) -> np.ndarray:
        turns = 2 * math.pi * np.outer(places, f)
        return np.concatenate([np.cos(turns), np.sin(turns)], axis=1)

    at_samples = waves(np.arange(samples) - samples // 2)
    at_pixels = waves((np.arange(pixels) - pixels // 2) * ratio)
    both = np.tile(weight, 2)
    distance = np.abs(np.subtract.outer(np.arange(samples), np.arange(samples)))
    gram = (np.cos(2 * math.pi * np.outer(np.arange(samples), f)) @ weight)[distance]
    gram += 1e-10 * weight.sum() * np.eye(samples)
    light = (at_pixels * both * np.tile(ratio * np.sinc(ratio * f), 2)) @ at_samples.T
    return np.linalg.solve(gram, light.T).T.astype(dtype)


def expose(camera: Camera, intensity: Array, pair: Array, sigma: Any | None) -> Array:
    """Light in the pixels, ``(..., ny, nx)``; without a blur by constant matrices."""
    kind = np.dtype(intensity.dtype)
    axes: list[np.ndarray | Array] = []
    for k, (n, m) in enumerate(zip(camera.shape, camera.samples, strict=True)):
        if sigma is None:
            axes.append(_constant_matrix(n, m, camera.ratio, camera.band, kind))
            continue
        width = jnp.broadcast_to(jnp.asarray(sigma, intensity.dtype), (2,))[k] / pair[k]
        axes.append(_pixel_matrix(n, m, jnp.asarray(camera.ratio, kind), width))
    return _collected(axes, intensity, pair)


def _collected(axes: Sequence[Any], intensity: Array, pair: Array) -> Array:
    """Two real matrix products, times the area of a sample."""
    ay, ax = axes
    rows = jnp.einsum("jy,...yx->...jx", ay, intensity, precision="highest")
    return jnp.einsum("ix,...jx->...ji", ax, rows, precision="highest") * (pair[0] * pair[1])


def integrate_pixels(
    intensity: ArrayLike,
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    pixel: ArrayLike | str,
    sigma: ArrayLike | str = 0.0,
) -> Array:
    r"""Light that the pixels of a camera collect.

    .. math:: P_{jk} = \iint_{\text{pixel } jk} (I * g_\sigma)(\mathbf r)\, d^2r

    by the transfer functions sinc(p fx) sinc(p fy) and that of a Gaussian blur: exact where the
    spacing resolves the intensity, spacing <= wavelength/(4 na). Pixels may have any width. Beyond
    the window the intensity is taken to go on as its mirror image, so leave a margin of some
    samples around the pixels. The middle pixel N // 2 lies on the middle sample N // 2.

    Args:
        intensity: Intensity, ``(..., y, x)`` [power/µm²].
        shape: Number of pixels (ny, nx).
        spacing: Sample spacing, one number or ``(2,)`` as (dy, dx) [µm].
        pixel: Width of the square pixels in the sample, scalar [µm].
        sigma: Standard deviation of a blur in the sample, one number or ``(2,)`` as (y, x) [µm]:
            vibration, drift during the exposure, diffusion in the sensor.

    Returns:
        The power in the pixels, ``(..., ny, nx)`` [power].

    Raises:
        ValueError: If a length is not positive.
        TypeError: If ``intensity`` is complex.

    Warns:
        JaxwaveWarning: If pixels reach beyond the window.

    Example:
        >>> light = integrate_pixels(jnp.ones((12, 16)), (3, 4), spacing=0.1, pixel=0.2)
        >>> light.shape, round(light[0, 0].item(), 4)
        ((3, 4), 0.04)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 2.4.
    """
    where = "integrate_pixels"
    intensity, pair = _image(where, intensity, spacing)
    shape = _check.grid_shape(where, shape)
    pixel, sigma = _check.length(where, "pixel", pixel), _check.length(where, "sigma", sigma)
    _check.positive(where, "pixel", pixel, unit="µm")
    _check.nonnegative(where, "sigma", sigma, unit="µm")
    if _check.is_concrete(spacing, pixel):
        width = np.broadcast_to(np.asarray(_check.length(where, "spacing", spacing), float), (2,))
        if np.any(
            float(pixel) * (np.array(shape) // 2 + 0.5)
            > width * (np.array(intensity.shape[-2:]) // 2 + 0.6)
        ):
            _check.warn(where, f"{shape} pixels of {float(pixel):g} µm reach beyond the window.")
    return _integrated(shape, intensity, pair, pixel, sigma)


@partial(jax.jit, static_argnums=0)
def _integrated(
    shape: tuple[int, int], intensity: Array, pair: Array, pixel: Array, sigma: Array
) -> Array:
    widths = jnp.broadcast_to(jnp.asarray(sigma, intensity.dtype), (2,)) / pair
    ratios = jnp.asarray(pixel, intensity.dtype) / pair
    axes = [
        _pixel_matrix(n, m, ratios[k], widths[k])
        for k, (n, m) in enumerate(zip(shape, intensity.shape[-2:], strict=True))
    ]
    return _collected(axes, intensity, pair)


def gaussian_blur(
    intensity: ArrayLike, *, spacing: ArrayLike | str, sigma: ArrayLike | str
) -> Array:
    r"""Image blurred by a Gaussian: vibration, drift during the exposure, diffusion in the sensor.

    .. math:: I'(\mathbf r) = \iint I(\mathbf r - \mathbf r')\,
        \frac{e^{-|\mathbf r'|^2 / 2\sigma^2}}{2\pi\sigma^2}\, d^2r'

    Exact where the spacing resolves the intensity, away from the rim of the window.

    Args:
        intensity: Intensity, ``(..., y, x)`` [power/µm²].
        spacing: Sample spacing, one number or ``(2,)`` as (dy, dx) [µm].
        sigma: Standard deviation in each axis, one number or ``(2,)`` as (y, x) [µm].

    Returns:
        The blurred intensity, ``(..., y, x)`` [power/µm²].

    Raises:
        ValueError: If a length is negative.
        TypeError: If ``intensity`` is complex.

    Example:
        >>> gaussian_blur(jnp.ones((4, 4)), spacing=0.1, sigma=0.05).round(4)[0, 0].item()
        1.0

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 2.1.
    """
    where = "gaussian_blur"
    intensity, pair = _image(where, intensity, spacing)
    sigma = _check.length(where, "sigma", sigma)
    _check.nonnegative(where, "sigma", sigma, unit="µm")
    s = jnp.broadcast_to(jnp.asarray(sigma, intensity.dtype), (2,))

    def transfer(fy: Array, fx: Array) -> Array:
        return jnp.exp(-2 * jnp.pi**2 * ((s[0] * fy) ** 2 + (s[1] * fx) ** 2))

    return _filter(intensity, pair, transfer)


def bead_intensity(
    function: Callable[[Array], Array],
    z: ArrayLike,
    *,
    diameter: ArrayLike | str,
    spacing: ArrayLike | str,
    slices: int = 5,
) -> Array:
    r"""Image of a fluorescent sphere instead of a point.

    .. math:: I_\mathrm{bead}(\mathbf r, z) = \frac{6}{\pi d^3} \int_{-d/2}^{d/2}
        \bigl(I(\cdot, z - \zeta) * \mathrm{disk}_{\sqrt{d^2/4 - \zeta^2}}\bigr)(\mathbf r)\, d\zeta

    the sphere in Gauss-Legendre slices, each a disk whose transfer function is
    :math:`2 J_1(x)/x`. Valid for a homogeneously stained bead that does not bend the light (its
    index is the sample's).

    Args:
        function: Makes the intensity ``(z, y, x)`` of a point at positions ``(z,)`` [µm].
        z: Positions of the planes, ``(z,)`` [µm].
        diameter: Diameter of the bead, scalar [µm].
        spacing: Sample spacing of the intensity, one number or ``(2,)`` as (dy, dx) [µm].
        slices: Slices of the sphere; five suffice up to diameters of a depth of focus.

    Returns:
        The intensity, ``(z, y, x)`` [power/µm²].

    Raises:
        ValueError: If the diameter is negative or ``z`` has not one axis.
        TypeError: If the intensity is complex.

    Example:
        >>> point = lambda z: jnp.ones((len(z), 4, 4))
        >>> bead_intensity(point, jnp.zeros(2), diameter=0.2, spacing=0.1).round(4)[0, 0, 0].item()
        1.0

    References:
        B. M. Hanser et al., J. Microsc. 216, 32 (2004).
    """
    where = "bead_intensity"
    diameter = _check.length(where, "diameter", diameter)
    _check.nonnegative(where, "diameter", diameter, unit="µm")
    _check.integer(where, "slices", slices, 1)
    z = _check.real_array(where, "z", z)
    if z.ndim != 1:
        raise ValueError(f"{where}: `z` must have the axis (z,), got the shape {z.shape}.")
    t, w = gauss_legendre(slices)
    share = 0.75 * w * (1 - t**2)  # areas of the disks
    radius = jnp.asarray(diameter, z.dtype) / 2
    places = z[:, None] - radius * t.astype(z.dtype)
    stack = function(places.ravel())
    stack, pair = _image(where, stack, spacing)
    if stack.shape[:-2] != (len(z) * slices,):
        raise ValueError(
            f"{where}: `function` must make one image for each of the {len(z) * slices} positions "
            f"that it gets, got the shape {stack.shape}."
        )
    stack = stack.reshape(len(z), slices, *stack.shape[-2:])
    radii = radius * np.sqrt(1 - t**2).astype(z.dtype)

    def transfer(fy: Array, fx: Array) -> Array:
        f = numerics.safe_sqrt(fy**2 + fx**2)
        disks = 2 * j1_over_x(2 * jnp.pi * radii[:, None, None] * f)
        return disks * share.astype(z.dtype)[:, None, None]

    return jnp.sum(_filter(stack, pair, transfer), axis=1)


def confocal_intensity(
    excitation: ArrayLike,
    detection: ArrayLike,
    *,
    spacing: ArrayLike | str,
    pinhole: ArrayLike | str,
) -> Array:
    r"""Image of an emitter in a confocal microscope.

    .. math:: h(\mathbf r) = h_\mathrm{exc}(\mathbf r) \int_{|\mathbf r'| < d/2}
        h_\mathrm{det}(\mathbf r - \mathbf r')\, d^2r'

    the pinhole by its transfer function, the Airy pattern's :math:`2 J_1(x)/x`: exact where the
    spacing resolves the intensity, spacing <= wavelength / (4 na), and the pinhole's radius away
    from the rim of the window. Valid for one photon, without saturation, and emitters whose
    brightness does not depend on the light's polarization. A pinhole much wider than the spot
    leaves the excitation, a small one the product of both. With
    :func:`~jaxwave.psf.focus_intensity` and :func:`~jaxwave.psf.emitter_image` of one pupil in
    equal windows, y, x and z of both are those of the image, aberrations included.

    Args:
        excitation: Intensity of the focused laser, ``(..., y, x)`` [any unit].
        detection: Image of an emitter at the emission's wavelength, ``(..., y, x)`` [power/µm²].
        spacing: Sample spacing of both, one number or ``(2,)`` as (dy, dx) [µm].
        pinhole: Diameter of the pinhole in the sample, scalar [µm]; 1.22 wavelength / na is one
            Airy unit.

    Returns:
        Detected share times the excitation, ``(..., y, x)`` [unit of both].

    Raises:
        ValueError: If a length is not positive, or the two differ in their grid.
        TypeError: If an intensity is complex.

    Example:
        >>> from jaxwave.psf import Objective, Window, emitter_image, focus_intensity
        >>> window = Window((31, 31), spacing=0.08, z=[-1.0, 0.0, 1.0])
        >>> laser, light = (Objective(0.8, w) for w in (0.488, 0.52))
        >>> both = focus_intensity(laser, window), emitter_image(light, window)
        >>> h = confocal_intensity(*both, spacing=0.08, pinhole=1.22 * 0.52 / 0.8)
        >>> bool(h[0].sum() < 0.5 * h[1].sum())
        True

    References:
        T. Wilson and C. Sheppard, *Theory and Practice of Scanning Optical Microscopy*, Ch. 3.
    """
    where = "confocal_intensity"
    detection, pair = _image(where, detection, spacing)
    fix = "Pass an intensity, not a field."
    excitation = _check.real_array(where, "excitation", excitation, fix=fix)
    _check.at_least(where, "excitation", excitation, 2, "(..., y, x)")
    if excitation.shape[-2:] != detection.shape[-2:]:
        raise ValueError(
            f"{where}: `excitation` and `detection` must have the same samples (y, x), got "
            f"{excitation.shape[-2:]} and {detection.shape[-2:]}. Compute both in one window."
        )
    pinhole = _check.length(where, "pinhole", pinhole)
    _check.positive(where, "pinhole", pinhole, unit="µm")
    width = numerics.number(pinhole, detection.dtype)
    return _confocal(excitation, detection, pair, width)


@numerics.program()
def _confocal(excitation: Array, detection: Array, pair: Array, pinhole: Array) -> Array:
    def transfer(fy: Array, fx: Array) -> Array:
        f = numerics.safe_sqrt(fy**2 + fx**2)
        return jnp.pi * pinhole**2 / 2 * j1_over_x(jnp.pi * pinhole * f)

    return excitation * _filter(detection, pair, transfer)


def band_average(
    function: Callable[[Array], Array], wavelength: ArrayLike, *, weight: ArrayLike
) -> Array:
    r"""Average over the wavelengths of a filter or of an emission spectrum.

    .. math:: \bar I = \frac{\sum_k w_k\, I(\lambda_k)}{\sum_k w_k}

    Valid for light without coherence between wavelengths. One wavelength is computed after the
    other, so the memory does not grow with their number. The wavelength is
    traced, so the models take what the shape of the window bounds.

    Args:
        function: Makes the intensity of one wavelength, of any shape ``(...)``, from a number [µm].
        wavelength: Vacuum wavelengths, ``(wavelengths,)`` [µm].
        weight: Spectral power of each, ``(wavelengths,)``.

    Returns:
        The intensity, shaped as what ``function`` makes [power/µm²].

    Raises:
        ValueError: If the numbers of wavelengths and weights differ.

    Example:
        >>> band_average(lambda w: w * jnp.ones((2, 2)), [0.5, 0.6], weight=[1.0, 3.0])[0, 0].item()
        0.5750000476837158

    References:
        M. Born and E. Wolf, *Principles of Optics*, 7th ed., Sec. 7.5.8.
    """
    where = "band_average"
    wavelength = _check.real_array(where, "wavelength", _check.wavelength(where, wavelength))
    weight = _check.real_array(where, "weight", weight).astype(wavelength.dtype)
    if wavelength.ndim != 1 or weight.shape != wavelength.shape:
        raise ValueError(
            f"{where}: `weight` must have one number for each wavelength, got the shapes "
            f"{weight.shape} and {wavelength.shape}."
        )
    _check.nonnegative(where, "weight", weight)
    if _check.is_concrete(weight):
        _check.positive(where, "weight", np.sum(weight), fix="Give some light to a wavelength.")
    share = weight / jnp.sum(weight)
    shape = jax.eval_shape(function, wavelength[0])

    def add(total: Array, pair: tuple[Array, Array]) -> tuple[Array, None]:
        return total + pair[1] * function(pair[0]), None

    return lax.scan(add, jnp.zeros(shape.shape, shape.dtype), (wavelength, share))[0]


def expected_photons(psf: ArrayLike, *, photons: ArrayLike, background: ArrayLike = 0.0) -> Array:
    r"""Photons that are expected in every pixel.

    .. math:: \mu = N\,P + b

    Valid for the share P of the emitter's light in each pixel (:func:`integrate_pixels`) and a
    background that is the same everywhere (or an image of it).

    Args:
        psf: Share of the light in every pixel, ``(..., y, x)`` [none].
        photons: Photons of the emitter, ``(...)`` [photons].
        background: Photons in every pixel, ``(...)`` or ``(..., y, x)`` [photons].

    Returns:
        The expected photons, ``(..., y, x)`` [photons].

    Raises:
        ValueError: If the photons are negative.
        TypeError: If ``psf`` is complex.

    Example:
        >>> expected_photons(jnp.full((2, 2), 0.25), photons=100.0, background=3.0)[0, 0].item()
        28.0

    References:
        R. J. Ober, S. Ram and E. S. Ward, Biophys. J. 86, 1185 (2004).
    """
    where = "expected_photons"
    psf = _check.real_array(where, "psf", psf)
    _check.nonnegative(where, "photons", photons)
    _check.nonnegative(where, "background", background)
    photons, background = jnp.asarray(photons, psf.dtype), jnp.asarray(background, psf.dtype)
    flat = background if background.ndim >= 2 else background[..., None, None]
    return photons[..., None, None] * psf + flat
