"""Lenses as height maps: refractive and Fresnel lenses, with several foci or colors."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, grid, numerics, sampling
from jaxwave.heights.plate import folded, step
from jaxwave.heights.shapes import azimuth, known_radius, largest
from jaxwave.materials import Material


def _checked(
    where: str, shape: object, spacing: ArrayLike | str, f: ArrayLike | str, order: object
) -> tuple[Any, Array, Array]:
    shape = _check.grid_shape(where, shape)
    f = _check.length(where, "f", f)
    _check.nonzero(where, "f", f, unit="µm", fix="A flat plate needs no lens.")
    if order is not None:
        _check.integer(where, "order", order, 1)
    dtype = jnp.result_type(float)
    return shape, grid.checked_spacing(where, spacing, dtype), numerics.number(f, dtype)


def _made_of(
    where: str,
    shape: tuple[int, int],
    spacing: ArrayLike | str,
    f: ArrayLike | str,
    order: object,
    *optics: Any,
) -> tuple[tuple[int, int], Array, Array, Array, Array]:
    """Shape, spacing, focal length, wavelength and step of the index, checked."""
    shape, pair, f = _checked(where, shape, spacing, f, order)
    rise, wavelength = step(where, *optics), optics[1]
    _warn(where, shape, pair, f, wavelength)
    wave = numerics.number(_check.length(where, "wavelength", wavelength), pair.dtype)
    return shape, pair, f, wave, rise


def _warn(
    where: str, shape: tuple[int, int], pair: Array, f: ArrayLike, wavelength: ArrayLike | str
) -> None:
    """Warns of a rim whose fringes are finer than two samples."""
    wavelength = _check.length(where, "wavelength", wavelength)
    if not _check.is_concrete(pair, f, wavelength):
        return
    f, pair = np.min(np.abs(np.asarray(f, np.float64))), np.asarray(pair, np.float64)
    rim = np.min(pair * np.asarray(shape)) / 2
    steep = rim / np.hypot(rim, f) / np.min(np.asarray(wavelength, np.float64))
    sampling.warn_frequency(where, "the lens", shape, pair, (steep, steep))


def _relief(
    shape: tuple[int, int], pair: Array, f: Array, wave: Array, rise: Array, order: int | None
) -> Array:
    """Height of a lens whose focal length, wavelength and index may be maps."""
    y, x = grid.sample_coordinates(shape, pair)
    square = y**2 + x**2
    path = -square / (jnp.sqrt(f**2 + square) + jnp.abs(f)) * jnp.sign(f)
    height = path / rise
    return height if order is None else folded(height, order * wave / rise)


def lens(
    shape: tuple[int, int],
    f: ArrayLike | str,
    material: str | Material | ArrayLike,
    *,
    spacing: ArrayLike | str,
    wavelength: ArrayLike | str,
    order: int | None = None,
    medium: ArrayLike = 1.0,
) -> Array:
    r"""Height of a lens that focuses a plane wave at a distance f, refractive or diffractive.

    .. math:: h = -\frac{\sqrt{f^2 + r^2} - f}{n_0 - n_m} \mod \frac{q\,\lambda_0}{n_0 - n_m}

    Without an order the relief is whole: a refractive lens, whose focal length changes with the
    wavelength as :math:`1/(n - n_m)`. With an order q it is a Fresnel lens of zones of q waves: at
    another wavelength the light in that order has the focal length
    :math:`f\lambda_0/\lambda`. Valid for a thin relief. Warns of a rim whose fringes the samples
    do not hold.

    Args:
        shape: Number of samples (ny, nx).
        f: Focal length at the design wavelength, scalar, negative for a diverging lens [µm].
        material: A name of :func:`jaxwave.materials`, a :class:`~jaxwave.Material`, or the index
            at the design wavelength, scalar [none].
        spacing: Sample spacing, one number or (dy, dx), ``(2,)`` [µm].
        wavelength: Design wavelength, scalar [µm].
        order: Waves in a zone; None for a refractive lens.
        medium: Index of what fills the relief, scalar [none].

    Returns:
        The height, ``(y, x)`` [µm]; without an order zero on the axis and negative beside it.

    Raises:
        TypeError: If ``order`` is no integer.
        ValueError: If a number is out of range.

    Example:
        >>> fresnel = lens((64, 64), "5 mm", "fused silica", spacing=4.0, wavelength=0.55, order=1)
        >>> round(float(fresnel.max()), 2)
        1.19

    References:
        D. A. Buralli, G. M. Morris and J. R. Rogers, Appl. Opt. 28, 976 (1989); D. Faklis and
        G. M. Morris, "Spectral properties of multiorder diffractive lenses", Appl. Opt. 34, 2462
        (1995).
    """
    optics = (material, wavelength, medium)
    shape, pair, f, wave, rise = _made_of("lens", shape, spacing, f, order, *optics)
    return _whole(pair, f, wave, rise, shape, order)


@numerics.program("shape", "order")
def _whole(
    pair: Array, f: Array, wave: Array, rise: Array, shape: tuple[int, int], order: int | None
) -> Array:
    f, wave, rise = (a[..., None, None] for a in (f, wave, rise))
    return _relief(shape, pair, f, wave, rise, order)


def multi_focal(
    shape: tuple[int, int],
    f: ArrayLike,
    material: str | Material | ArrayLike,
    *,
    spacing: ArrayLike | str,
    wavelength: ArrayLike | str,
    order: int | None = 1,
    sectors: int = 12,
    medium: ArrayLike = 1.0,
) -> Array:
    r"""Height of a lens whose sectors have different focal lengths in turn.

    .. math:: f(\phi) = f_k, \qquad
        k = \left\lfloor S\,\frac{\phi}{2\pi} \right\rfloor \bmod K

    Each sector is a part of the :func:`lens` of its focal length. Valid for a thin relief.

    Args:
        shape: Number of samples (ny, nx).
        f: Focal lengths at the design wavelength, ``(K,)`` [µm].
        material: A name of :func:`jaxwave.materials`, a :class:`~jaxwave.Material`, or the index
            at the design wavelength, scalar [none].
        spacing: Sample spacing, one number or (dy, dx), ``(2,)`` [µm].
        wavelength: Design wavelength, scalar [µm].
        order: Waves in a zone; None for refractive sectors.
        sectors: Number S of sectors.
        medium: Index of what fills the relief, scalar [none].

    Returns:
        The height, ``(y, x)`` [µm].

    Raises:
        TypeError: If ``order`` or ``sectors`` is no integer.
        ValueError: If a number is out of range or there is one focal length.

    Example:
        >>> multi_focal((64, 64), [4500.0, 5000.0, 5500.0], "PMMA", spacing=4.0,
        ...             wavelength=0.55).shape
        (64, 64)

    References:
        E. Ben-Eliezer et al., "All-optical extended depth of field imaging system", J. Opt. A 5,
        S164 (2003).
    """
    where, optics = "multi_focal", (material, wavelength, medium)
    shape, pair, f, wave, rise = _made_of(where, shape, spacing, f, order, *optics)
    if jnp.ndim(f) != 1:
        raise ValueError(
            f"{where}: `f` must be a row of focal lengths, got the shape {jnp.shape(f)}."
        )
    _check.integer(where, "sectors", sectors, 1)
    return _sectors(pair, f, wave, rise, shape, order, sectors)


@numerics.program("shape", "order", "sectors")
def _sectors(
    pair: Array,
    f: Array,
    wave: Array,
    rise: Array,
    shape: tuple[int, int],
    order: int | None,
    sectors: int,
) -> Array:
    number = jnp.floor(sectors * azimuth(shape, pair)).astype(int)
    return _relief(shape, pair, jnp.asarray(f)[number % f.shape[0]], wave, rise, order)


def multi_color(
    shape: tuple[int, int],
    f: ArrayLike | str,
    material: str | Material | ArrayLike,
    *,
    spacing: ArrayLike | str,
    wavelength: ArrayLike,
    order: int = 1,
    radius: ArrayLike | str | None = None,
    medium: ArrayLike = 1.0,
) -> Array:
    r"""Height of a Fresnel lens whose rings are designed for different wavelengths.

    .. math:: \lambda_0(r) = \lambda_k, \qquad k = \lfloor K\,r^2/R^2 \rfloor

    Rings of equal area, the first wavelength inside, all with the focal length f. Valid for a
    thin relief.

    Args:
        shape: Number of samples (ny, nx).
        f: Focal length of all rings, scalar [µm].
        material: A name of :func:`jaxwave.materials`, a :class:`~jaxwave.Material`, or the index
            at each wavelength, ``(K,)`` [none].
        spacing: Sample spacing, one number or (dy, dx), ``(2,)`` [µm].
        wavelength: Wavelengths, one for each ring, ``(K,)`` [µm].
        order: Waves in a zone.
        radius: Radius R of the stop, scalar [µm]; by default the largest disk
            on the samples.
        medium: Index of what fills the relief, scalar [none].

    Returns:
        The height, ``(y, x)`` [µm].

    Raises:
        TypeError: If ``order`` is no integer.
        ValueError: If a number is out of range or there is one wavelength.

    Example:
        >>> multi_color((64, 64), "5 mm", "PMMA", spacing=4.0, wavelength=[0.46, 0.55, 0.64]).shape
        (64, 64)

    References:
        V. Sitzmann et al., ACM Trans. Graph. 37, 114 (2018), Sec. 5.
    """
    where, optics = "multi_color", (material, wavelength, medium)
    shape, pair, f, wave, rise = _made_of(where, shape, spacing, f, order, *optics)
    if np.ndim(wavelength) != 1:
        raise ValueError(
            f"{where}: `wavelength` must be a row, one for each ring, got the shape "
            f"{np.shape(wavelength)}."
        )
    radius = known_radius(where, radius, pair.dtype)
    return _rings(pair, f, wave, rise, radius, shape, order)


@numerics.program("shape", "order")
def _rings(
    pair: Array, f: Array, wave: Array, rise: Array, radius: Any, shape: Any, order: int
) -> Array:
    y, x = grid.sample_coordinates(shape, pair)
    count = wave.shape[0]
    share = (y**2 + x**2) / largest(radius, shape, pair) ** 2
    number = jnp.clip(jnp.floor(count * share), 0, count - 1).astype(int)
    rise = jnp.broadcast_to(rise, wave.shape)
    return _relief(shape, pair, f, jnp.asarray(wave)[number], jnp.asarray(rise)[number], order)


def diffracted_rotation(
    shape: tuple[int, int],
    f: ArrayLike | str,
    material: str | Material | ArrayLike,
    *,
    spacing: ArrayLike | str,
    wavelength: ArrayLike,
    order: int = 1,
    wings: int = 3,
    medium: ArrayLike = 1.0,
) -> Array:
    r"""Height of a Fresnel lens whose focus has wings that turn with the wavelength.

    .. math:: \lambda_0(\phi) = \lambda_a + (\lambda_b - \lambda_a)\,
        \operatorname{frac}\!\left(\frac{N\phi}{2\pi}\right)

    The design wavelength runs from the first to the second one in each of N sectors; a wavelength
    is in focus for the part of a sector that was made for it. Valid for a thin relief.

    Args:
        shape: Number of samples (ny, nx).
        f: Focal length, scalar [µm].
        material: A name of :func:`jaxwave.materials`, a :class:`~jaxwave.Material`, or one index
            for all wavelengths, scalar [none].
        spacing: Sample spacing, one number or (dy, dx), ``(2,)`` [µm].
        wavelength: The first and the last wavelength, ``(2,)`` [µm].
        order: Waves in a zone.
        wings: Number N of sectors.
        medium: Index of what fills the relief, scalar [none].

    Returns:
        The height, ``(y, x)`` [µm].

    Raises:
        TypeError: If ``order`` or ``wings`` is no integer.
        ValueError: If a number is out of range or there are not two wavelengths.

    Example:
        >>> diffracted_rotation((64, 64), "5 mm", "PMMA", spacing=4.0,
        ...                     wavelength=[0.45, 0.65]).shape
        (64, 64)

    References:
        D. S. Jeon et al., "Compact snapshot hyperspectral imaging with diffracted rotation",
        ACM Trans. Graph. 38, 117 (2019).
    """
    where = "diffracted_rotation"
    shape, pair, f = _checked(where, shape, spacing, f, order)
    _check.integer(where, "wings", wings, 1)
    _check.positive(where, "wavelength", wavelength, unit="µm")
    if np.shape(wavelength) != (2,):
        raise ValueError(
            f"{where}: `wavelength` must be the first and the last one, (2,), got the shape "
            f"{np.shape(wavelength)}."
        )
    _warn(where, shape, pair, f, wavelength)
    between = _winding(pair, numerics.number(wavelength, pair.dtype), shape, wings)
    return _relief(shape, pair, f, between, step(where, material, between, medium), order)


@numerics.program("shape", "wings")
def _winding(pair: Array, ends: Array, shape: tuple[int, int], wings: int) -> Array:
    part = jnp.mod(wings * azimuth(shape, pair), 1.0)
    return ends[0] + (ends[1] - ends[0]) * part
