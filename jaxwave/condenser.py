"""Koehler illumination: transmitted-light images of thin samples under a condenser."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, grid, numerics
from jaxwave.coherence import incoherent_sum
from jaxwave.numerics import cis, gauss_legendre

_SIDES = {"right": 0.0, "bottom": 0.5, "left": 1.0, "top": 1.5}  # half turns from +x toward +y


def illumination_points(
    na: float,
    *,
    inner: float = 0.0,
    side: str | None = None,
    y: float = 0.0,
    x: float = 0.0,
    rings: int = 4,
) -> Array:
    r"""Directions of light from a condenser's aperture: a disk, an annulus or half of one.

    .. math:: \sum_k w_k\,F(s_k) \approx
        \frac{1}{A} \iint_{\mathrm{NA}_i \le |s - s_0| \le \mathrm{NA}} F(s)\,d^2 s

    Exact for polynomials in s of degree 4 ``rings`` - 2 (Gauss-Legendre in the squared radius,
    equal angles); valid while ``rings`` resolve what the sample makes of a direction. The
    directions are sines, as the aperture: light of a positive x runs toward +x. Also the points of
    an LED of the radius ``na``.

    Args:
        na: Numerical aperture of the condenser, scalar.
        inner: Aperture of the dark middle, scalar.
        side: Half of the aperture: ``"right"``, ``"left"``, ``"top"`` (y < 0), ``"bottom"``.
        y: Center of the aperture, a sine (of an LED [µm]), scalar.
        x: Center of the aperture, a sine (of an LED [µm]), scalar.
        rings: Number of rings; there are 8 rings² points on a full aperture.

    Returns:
        Rows (y, x, weight), ``(points, 3)``; the weights' sum is one.

    Raises:
        TypeError: If ``rings`` is no integer.
        ValueError: If an aperture is out of range or the side has another name.

    Example:
        >>> points = illumination_points(0.5, side="right")
        >>> points.shape, bool((points[:, 1] > 0).all()), round(float(points[:, 2].sum()), 5)
        ((64, 3), True, 1.0)

    References:
        A. H. Stroud, *Approximate Calculation of Multiple Integrals*, Sec. 2.6.
    """
    where = "illumination_points"
    _check.positive(where, "na", na)
    _check.nonnegative(where, "inner", inner)
    _check.integer(where, "rings", rings, 1)
    if _check.is_concrete(na, inner) and np.asarray(inner) >= np.asarray(na):
        raise ValueError(f"{where}: `inner` must be below `na` = {na}, got {inner}.")
    if side is not None:
        _check.choice(where, "side", side, _SIDES)
    real = jnp.result_type(float)
    na_, inner_, y_, x_ = (numerics.number(v, real) for v in (na, inner, y, x))
    return _points(na_, inner_, y_, x_, side, rings)


@numerics.program("side", "rings")
def _points(na: Array, inner: Array, y: Array, x: Array, side: str | None, rings: int) -> Array:
    nodes, weights = gauss_legendre(rings)
    count = 8 * rings if side is None else 4 * rings
    turns = (np.arange(count) + 0.5) / (8 * rings)
    turns = turns if side is None else turns - 0.25 + _SIDES[side] / 2
    radius = jnp.sqrt(inner**2 + (nodes[:, None] + 1) / 2 * (na**2 - inner**2))
    weight = np.broadcast_to(weights[:, None] / (2 * count), (rings, count))
    angle = 2 * np.pi * turns
    rows = [y + radius * np.sin(angle), x + radius * np.cos(angle), jnp.asarray(weight)]
    return jnp.stack([jnp.ravel(row).astype(na.dtype) for row in rows], axis=-1)


def koehler_image(
    transmission: ArrayLike,
    illumination: ArrayLike,
    *,
    spacing: ArrayLike | str,
    wavelength: ArrayLike | str,
    na: ArrayLike,
    n: ArrayLike = 1.0,
    z: ArrayLike | str = 0.0,
    pupil: Callable | None = None,
    batch: int = 8,
) -> Array:
    r"""Image of a thin sample under Koehler illumination.

    .. math:: I(r) = \sum_k w_k\,\Bigl|\mathcal F^{-1}\bigl[P(f + s_k/\lambda)\,
        \mathcal F[t](f)\bigr](r)\Bigr|^2, \qquad P = \mathbf 1_{|f| \le \mathrm{NA}/\lambda}\,
        p\;e^{2\pi i z (\sqrt{n^2/\lambda^2 - f^2} - n/\lambda)}

    Every direction of the condenser is a plane wave that does not interfere with the others.
    Brightfield, oblique light, dark field (a condenser outside the objective's aperture) and
    differential phase contrast (two halves of the aperture) differ in ``illumination`` alone.
    Valid for samples that are thin (the transmission is the same for all directions) and scalar
    light; the sample goes on periodically beyond its window. The rim of the pupil is weighted by
    area, so that the apertures and the directions have gradients.

    Args:
        transmission: Amplitude transmission of the sample, ``(..., y, x)`` [none].
        illumination: Rows (y, x, power) of directions, ``(points, 3)``, as
            :func:`illumination_points` makes them, or those of the LEDs of an array [none].
        spacing: Sample spacing, one number or shape ``(2,)`` as (dy, dx) [µm].
        wavelength: Vacuum wavelength, scalar [µm].
        na: Numerical aperture of the objective, scalar.
        n: Refractive index of the medium, scalar.
        z: Plane that is in focus, relative to the sample along the light, scalar [µm].
        pupil: Transmission of the objective's pupil as a function of (y, x) in units of the
            aperture, such as an aberration.
        batch: Number of directions that are computed at once; the memory is theirs.

    Returns:
        The intensity, ``(..., y, x)``; one where the sample is clear and all light gets through.

    Raises:
        TypeError: If a number is not real.
        ValueError: If a number is out of range or a shape does not fit.

    Example:
        >>> clear = jnp.ones((16, 16))
        >>> light = illumination_points(0.3)
        >>> kind = dict(spacing=0.2, wavelength=0.5, na=0.5)
        >>> round(float(koehler_image(clear, light, **kind)[3, 4]), 4)
        1.0
        >>> dark = illumination_points(0.8, inner=0.6)
        >>> float(koehler_image(clear, dark, **kind).max())
        0.0

    References:
        J. W. Goodman, *Statistical Optics*, 2nd ed., Sec. 7.2; L. Tian and L. Waller, Opt.
        Express 23, 11394 (2015).
    """
    where = "koehler_image"
    _check.at_least(where, "transmission", transmission, 2, "(..., y, x)")
    _check.finite_array(where, "transmission", transmission)
    wavelength = _check.wavelength(where, wavelength)
    spacing, z = _check.length(where, "spacing", spacing), _check.length(where, "z", z)
    _check.positive(where, "spacing", spacing, unit="µm")
    _check.finite(where, "z", z, unit="µm")
    _check.numerical_aperture(where, na, n)
    if np.ndim(illumination) != 2 or np.shape(illumination)[-1] != 3:
        raise ValueError(
            f"{where}: `illumination` must have rows (y, x, power), (points, 3), got the shape "
            f"{np.shape(illumination)}. Use illumination_points."
        )
    _check_directions(where, spacing, wavelength, na)
    t = jnp.asarray(transmission)
    t = t.astype(jnp.result_type(t.dtype, jnp.complex64))
    real = numerics.real_dtype(t.dtype)
    points, wavelength, na, n, z = (
        numerics.number(v, real) for v in (illumination, wavelength, na, n, z)
    )
    optics = grid.spacing_pair(spacing, real), wavelength, na, n, z
    if pupil is None:
        return _image(t, points, *optics, batch=batch)
    # Not a program of its own: a function of the user may hold traced numbers.
    return _sum_of_images(t, points, *optics, batch=batch, pupil=pupil)


def _sum_of_images(t, points, *optics, batch, pupil=None):  # type: ignore[no-untyped-def]
    spectrum = jnp.fft.fftshift(jnp.fft.fft2(t), axes=(-2, -1))

    def image(point: Array) -> Array:
        transfer = _transfer(point, t.shape[-2:], pupil, *optics)
        u = jnp.fft.ifft2(jnp.fft.ifftshift(transfer * spectrum, axes=(-2, -1)))
        return point[2] * (u.real**2 + u.imag**2)

    return incoherent_sum(image, points, batch=batch)


_image = numerics.program("batch")(_sum_of_images)


def _transfer(point, shape, pupil, pair, wavelength, na, n: Array, z: Array):  # type: ignore[no-untyped-def]
    """The pupil over the frequencies of the sample, seen from one direction of light."""
    fy, fx = grid.sample_frequencies(shape, pair)
    fy, fx = fy + point[0] / wavelength, fx + point[1] / wavelength
    step = 1 / (pair * np.asarray(shape, pair.dtype))
    stop = grid.disk_coverage(
        shape, step, na / wavelength, y=-point[0] / wavelength, x=-point[1] / wavelength
    )
    m, square = n / wavelength, fy**2 + fx**2
    rest = m**2 - square
    root = jnp.sqrt(jnp.where(rest > 0, rest, 0.25 * m**2))
    result = stop * cis(-z * square / (root + m))
    if pupil is None:
        return result
    scale = wavelength / na
    # Beyond the rim a pupil may be anything; it is asked on the rim there.
    y, x = fy * scale + 0 * fx, fx * scale + 0 * fy
    radius = jnp.sqrt(jnp.maximum(y**2 + x**2, 1))
    return result * pupil(y / radius, x / radius)


def _check_directions(where: str, spacing: Array, wavelength: Array, na: ArrayLike) -> None:  # type: ignore[no-untyped-def]
    """Warns, where the values are concrete, of a grid that is too coarse for the objective."""
    if not _check.is_concrete(spacing, wavelength, na):
        return
    coarse, limit = np.max(np.asarray(spacing)), np.min(np.asarray(wavelength)) / np.max(na) / 4
    if coarse > limit * (1 + 1e-6):
        _check.warn(
            where,
            f"the image of an objective of NA {float(np.max(na)):.3g} has details of half its "
            f"wavelength over NA, finer than two samples. Use a spacing of at most {limit:.4g} µm.",
        )
