"""Color cameras: bands of the sensor, the mosaic of its filters, and the image made of it.

Images are ``(..., 3, y, x)`` in the order red, green, blue; a mosaic is ``(..., y, x)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, numerics
from jaxwave.imaging import convolve_psf
from jaxwave.numerics import share

__all__ = ["bayer", "demosaic", "merge_exposures", "sensitivities", "to_colors"]

PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
METHODS = ("malvar", "bilinear")


def sensitivities(
    wavelength: ArrayLike,
    *,
    peak: ArrayLike | Sequence[float] = (0.6, 0.535, 0.46),
    width: ArrayLike | Sequence[float] = (0.085, 0.09, 0.07),
) -> Array:
    r"""Bell-shaped sensitivities of a sensor's colors.

    .. math:: S_c(\lambda) = \exp\left[-4 \ln 2\,\frac{(\lambda - \lambda_c)^2}{w_c^2}\right]

    The defaults are typical of silicon with organic filters; valid where no measured curve is at
    hand, which is better: interpolate it (``numpy.interp``) and pass it to :func:`to_colors`.

    Args:
        wavelength: Wavelengths, ``(wavelengths,)`` [µm].
        peak: Wavelengths of the peaks, ``(colors,)`` [µm].
        width: Full widths at half of the maximum, ``(colors,)`` [µm].

    Returns:
        The sensitivities, ``(colors, wavelengths)``; one at the peak.

    Raises:
        ValueError: If a number is not positive or the shapes do not fit.

    Example:
        >>> sensitivities([0.535, 0.58]).round(2)[1].tolist()
        [1.0, 0.5]

    References:
        J. Jiang et al., "What is the space of spectral sensitivity functions for digital color
        cameras?", WACV (2013).
    """
    where = "sensitivities"
    wavelength = _check.wavelength(where, wavelength)
    for name, value in (("peak", peak), ("width", width)):
        _check.positive(where, name, value, unit="µm")
    real = jnp.result_type(float)
    numbers = [numerics.number(cast(ArrayLike, a), real) for a in (wavelength, peak, width)]
    if any(a.ndim != 1 for a in numbers) or numbers[1].shape != numbers[2].shape:
        raise ValueError(
            f"{where}: `wavelength`, `peak` and `width` must be rows, the latter two of one "
            f"length, got the shapes {[a.shape for a in numbers]}."
        )
    return _bells(*numbers)


@numerics.program()
def _bells(wavelength: Array, peak: Array, width: Array) -> Array:
    away = (wavelength - peak[:, None]) / width[:, None]
    return jnp.exp(-4 * np.log(2) * away**2)


def to_colors(spectrum: ArrayLike, sensitivity: ArrayLike) -> Array:
    r"""Colors that a sensor records of a spectral image.

    .. math:: I_c = \sum_\lambda S_c(\lambda)\,I_\lambda \Big/ \sum_\lambda S_c(\lambda)

    so that white light of one stays one in each color. Valid for a linear sensor; PSFs of
    wavelengths become those of colors in the same way.

    Args:
        spectrum: Images at wavelengths, ``(..., wavelengths, y, x)`` [any unit].
        sensitivity: Sensitivities, ``(colors, wavelengths)`` [any unit].

    Returns:
        The image, ``(..., colors, y, x)`` [unit of ``spectrum``].

    Raises:
        TypeError: If something is complex.
        ValueError: If the numbers of wavelengths differ.

    Example:
        >>> to_colors(jnp.ones((4, 2, 2)), jnp.ones((3, 4))).shape
        (3, 2, 2)

    References:
        EMVA Standard 1288, Release 4.0 Linear, Sec. 2.
    """
    where = "to_colors"
    _check.at_least(where, "spectrum", spectrum, 3, "(..., wavelengths, y, x)")
    _check.nonnegative(where, "sensitivity", sensitivity)
    spectrum = _check.real_array(where, "spectrum", spectrum)
    sensitivity = _check.real_array(where, "sensitivity", sensitivity)
    if sensitivity.ndim != 2 or sensitivity.shape[1] != spectrum.shape[-3]:
        raise ValueError(
            f"{where}: `sensitivity` must be (colors, wavelengths) with the image's "
            f"{spectrum.shape[-3]} wavelengths, got the shape {sensitivity.shape}."
        )
    return _mixed(spectrum, sensitivity.astype(spectrum.dtype))


@numerics.program()
def _mixed(spectrum: Array, sensitivity: Array) -> Array:
    sensitivity = share(sensitivity, jnp.sum(sensitivity, axis=1, keepdims=True))
    return jnp.einsum("cw,...wyx->...cyx", sensitivity, spectrum, precision="highest")


def _sites(pattern: str, shape: Sequence[int]) -> np.ndarray:
    """Where each color is, ``(3, y, x)``."""
    tile = np.array(["RGB".index(c) for c in pattern]).reshape(2, 2)
    color = np.tile(tile, (shape[0] // 2 + 1, shape[1] // 2 + 1))[: shape[0], : shape[1]]
    return (color == np.arange(3)[:, None, None]).astype(np.float32)


def _colors(where: str, image: ArrayLike) -> Array:
    _check.at_least(where, "image", image, 3, "(..., 3, y, x)")
    shape = np.shape(image)
    if shape[-3] != 3:
        fix = " Pass jnp.moveaxis(image, -1, -3)." if shape[-1] == 3 else ""
        raise ValueError(
            f"{where}: `image` must have the axes (..., 3, y, x), got the shape {shape}.{fix}"
        )
    return _check.real_array(where, "image", image)


def bayer(image: ArrayLike, *, pattern: str = "RGGB") -> Array:
    r"""Mosaic of a color image: every pixel has one color.

    .. math:: m(y, x) = I_{c(y, x)}(y, x)

    The first two letters of a pattern are the first row's. Exact for an image sampled at the
    sensor's pixels.

    Args:
        image: The image, ``(..., 3, y, x)`` [any unit].
        pattern: "RGGB", "BGGR", "GRBG" or "GBRG".

    Returns:
        The mosaic, ``(..., y, x)`` [unit of ``image``].

    Raises:
        TypeError: If the image is complex.
        ValueError: If the pattern is unknown or the axes are not (..., 3, y, x).

    Example:
        >>> bayer(jnp.arange(3.0)[:, None, None] * jnp.ones((2, 2))).tolist()
        [[0.0, 1.0], [1.0, 2.0]]

    References:
        B. E. Bayer, "Color imaging array", US Patent 3971065 (1976).
    """
    _check.choice("bayer", "pattern", pattern, PATTERNS)
    return _mosaic(_colors("bayer", image), pattern)


@numerics.program("pattern")
def _mosaic(image: Array, pattern: str) -> Array:
    return jnp.sum(image * _sites(pattern, image.shape[-2:]).astype(image.dtype), axis=-3)


# Malvar's filters, in eighths: green at red and blue; red at green in its own row and in blue's
# row (transposed); red at blue.
_GREEN = [[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]
_ROW = [[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0],
        [0, 0, 0.5, 0, 0]]  # fmt: skip
_CROSS = [[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0],
          [0, 0, -1.5, 0, 0]]  # fmt: skip
# The mean of the nearest sites, in quarters.
_NEAR_GREEN = [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
_NEAR_ROW = [[0, 0, 0], [2, 0, 2], [0, 0, 0]]
_NEAR_CROSS = [[1, 0, 1], [0, 0, 0], [1, 0, 1]]
_FILTERS = {
    "malvar": [np.array(f) / 8 for f in (_GREEN, _ROW, np.transpose(_ROW), _CROSS)],
    "bilinear": [
        np.array(f) / 4 for f in (_NEAR_GREEN, _NEAR_ROW, np.transpose(_NEAR_ROW), _NEAR_CROSS)
    ],
}


def demosaic(mosaic: ArrayLike, *, pattern: str = "RGGB", method: str = "malvar") -> Array:
    r"""Color image of a mosaic.

    .. math:: \hat I_c = m \text{ where } c(y, x) = c, \text{ else } F_c * m

    Linear: the mean of the nearest pixels of a color ("bilinear"), or with a share of the
    curvature of the pixel's own color ("malvar"), which keeps edges. Valid for a mosaic of at
    least four rows and columns; its border is continued by its mirror image about the outermost
    pixels.

    Args:
        mosaic: The mosaic, ``(..., y, x)`` [any unit].
        pattern: "RGGB", "BGGR", "GRBG" or "GBRG".
        method: "malvar" or "bilinear".

    Returns:
        The image, ``(..., 3, y, x)`` [unit of ``mosaic``].

    Raises:
        TypeError: If the mosaic is complex.
        ValueError: If the pattern or the method is unknown, or the mosaic smaller than 4 by 4.

    Example:
        >>> flat = jnp.array([0.2, 0.5, 0.8])[:, None, None] * jnp.ones((6, 6))
        >>> bool(jnp.allclose(demosaic(bayer(flat)), flat, atol=1e-6))
        True

    References:
        H. S. Malvar, L. He and R. Cutler, "High-quality linear interpolation for demosaicing of
        Bayer-patterned color images", ICASSP (2004).
    """
    where = "demosaic"
    _check.choice(where, "pattern", pattern, PATTERNS)
    _check.choice(where, "method", method, METHODS)
    _check.at_least(where, "mosaic", mosaic, 2, "(..., y, x)")
    mosaic = _check.real_array(where, "mosaic", mosaic)
    if min(mosaic.shape[-2:]) < 4:
        raise ValueError(f"{where}: `mosaic` must be at least 4 by 4, got {mosaic.shape[-2:]}.")
    return _interpolated(mosaic, pattern, method)


@numerics.program("pattern", "method")
def _interpolated(mosaic: Array, pattern: str, method: str) -> Array:
    filters = np.stack(_FILTERS[method]).astype(mosaic.dtype)
    # A mirror about the outermost pixel keeps the pattern.
    margins = [(0, 0)] * (mosaic.ndim - 2) + [(2, 2), (2, 2)]
    wide = jnp.pad(mosaic, margins, mode="reflect")
    found = convolve_psf(wide[..., None, :, :], filters)[..., 2:-2, 2:-2]
    green, row, column, cross = (found[..., k, :, :] for k in range(4))
    sites = _sites(pattern, mosaic.shape[-2:]).astype(mosaic.dtype)
    result = []
    for color in (0, 1, 2):
        own, other = sites[color], sites[2 - color]
        if color == 1:
            result.append(own * mosaic + (1 - own) * green)
            continue
        # Green pixels with this color beside them in the row, or in the column.
        rows = np.max(own, axis=1, keepdims=True) * sites[1]
        columns = sites[1] - rows
        result.append(own * mosaic + rows * row + columns * column + other * cross)
    return jnp.stack(result, axis=-3)


def merge_exposures(
    counts: ArrayLike, exposure: ArrayLike, *, full: ArrayLike, offset: ArrayLike = 0.0
) -> Array:
    r"""Brightness from a row of exposures: each pixel by those in which it is not full.

    .. math:: \hat I = \frac{\sum_k v_k\,(c_k - c_0)}{\sum_k v_k\,t_k},\qquad
        v_k = [c_k < c_\text{full}]

    The ratio of all light to all time: the best one of Poisson numbers. Where every exposure is
    full the shortest one counts. Valid for a linear camera, for images of
    :func:`jaxwave.camera` at photons times :math:`t_k`, for one.

    Args:
        counts: Images, ``(exposures, ..., y, x)`` [counts].
        exposure: Times, ``(exposures,)`` [s].
        full: Counts that are no longer linear, scalar [counts].
        offset: Counts of a dark pixel, scalar [counts].

    Returns:
        Counts per second, ``(..., y, x)`` [counts/s].

    Raises:
        TypeError: If something is complex.
        ValueError: If a time is not positive or the numbers of images and times differ.

    Example:
        >>> merge_exposures(jnp.array([[[10.0]], [[255.0]]]), [1.0, 100.0], full=255.0).tolist()
        [[10.0]]

    References:
        P. E. Debevec and J. Malik, "Recovering high dynamic range radiance maps from photographs",
        SIGGRAPH (1997); S. W. Hasinoff et al., "Noise-optimal capture for high dynamic range
        photography", CVPR (2010).
    """
    where = "merge_exposures"
    _check.at_least(where, "counts", counts, 3, "(exposures, ..., y, x)")
    counts = _check.real_array(where, "counts", counts)
    _check.positive(where, "exposure", exposure, unit="s")
    if np.shape(exposure) != counts.shape[:1]:
        raise ValueError(
            f"{where}: `exposure` must have one time for each of the {counts.shape[0]} images, got "
            f"the shape {np.shape(exposure)}."
        )
    _check.positive(where, "full", full, unit="counts")
    _check.finite(where, "offset", offset, unit="counts")
    numbers = (numerics.number(a, counts.dtype) for a in (exposure, full, offset))
    return _merged(counts, *numbers)


@numerics.program()
def _merged(counts: Array, times: Array, full: Array, offset: Array) -> Array:
    times = times.reshape(-1, *(1,) * (counts.ndim - 1))
    linear = counts < full
    shortest = (times == jnp.min(times)) & ~jnp.any(linear, axis=0)
    valid = (linear | shortest).astype(counts.dtype)
    return jnp.sum(valid * (counts - offset), axis=0) / jnp.sum(valid * times, axis=0)
