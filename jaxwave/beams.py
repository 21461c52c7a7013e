"""Beams in closed form: Gauss, Hermite, Laguerre, Bessel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxwave import _check, grid, numerics, sampling, special
from jaxwave.edit import normalize
from jaxwave.field import Field
from jaxwave.numerics import cis, word
from jaxwave.sources import checked, common, ramp_turns

# -- one axis of a beam --------------------------------------------------------------------


def _plain_drift(_: None, *parameters: Array) -> Array:
    k, z, wavelength, n = parameters
    return -(k**2) * z * wavelength / (2 * numerics.TAU**2 * n)


@numerics.two_words(_plain_drift)
def _drift_turns(_: None, *parameters: Array) -> Array:
    """Phase -k^2 z / (2 n k0) that a tilted wave gains along the axis."""
    dtype = parameters[0].dtype
    k, z, wavelength, n = (word(p, dtype) for p in parameters)
    rate = numerics.multiply(numerics.multiply(k, k), numerics.divide(wavelength, n))
    return numerics.product_turns(numerics.multiply(rate, word(-0.5 / numerics.TAU**2, dtype)), z)


def _hermite(most: int, x: Array, envelope: Array) -> Array:
    """H_m(x) / sqrt(2^m m!) times an envelope, m up to the most, ``(m, x)``.

    By the recursion of the normalized functions.
    """
    below, rows = jnp.zeros_like(envelope), [envelope]
    for m in range(most):
        now = math.sqrt(2 / (m + 1)) * x * rows[-1] - math.sqrt(m / (m + 1)) * below
        below = rows[-1]
        rows.append(now)
    return jnp.stack(rows)


def _axis(count: int, most: int, *parameters: Array) -> Array:
    """Hermite-Gauss beams of one dimension and unit power, orders up to the most, ``(m, x)``.

    The waist is ``z`` away, the center and the tilt's zero phase ``way``.
    """
    spacing, wavelength, waist, z, n, center, k, way = parameters
    ratio = z * wavelength / (jnp.pi * n * waist**2)
    width = waist * jnp.sqrt(1 + ratio**2)
    place = grid.indices(count).astype(spacing.dtype) * spacing
    place = (place - (center + k * way * wavelength / (numerics.TAU * n))) / width
    envelope = _hermite(most, math.sqrt(2) * place, jnp.exp(-(place**2)))
    order = np.arange(most + 1).astype(place.dtype)[:, None]
    gouy = (order + 0.5) * jnp.arctan(ratio) / numerics.TAU
    turns = place**2 * ratio / numerics.TAU - gouy + _drift_turns(None, k, way, wavelength, n)
    amplitude = (2 / np.pi) ** 0.25 / jnp.sqrt(width)
    return amplitude * envelope * cis(turns) * cis(ramp_turns(count, spacing, k))


def mode_fields(
    shape: tuple[int, int], orders: Sequence[tuple[int, int]], *parameters: Array
) -> Field:
    """One beam for each pair of orders, along a new first axis; the last number may be left out."""
    pair, wavelength, waist_y, waist_x, z, n, y, x, ky, kx, power, *rest = common(*parameters)
    half = 0.5 * rest[0] if rest else jnp.zeros_like(z)  # of the distance between the two waists

    def axis(k: int, *numbers: Array) -> Array:
        wanted = np.array([order[k] for order in orders])
        made = partial(_axis, shape[k], int(wanted.max()))
        modes = numerics.vectorize(made, power.shape)(pair[..., k], wavelength, *numbers)
        return jnp.moveaxis(modes, -2, 0)[wanted]

    rows = axis(0, waist_y, z + half, n, y, ky, z)[..., :, None]
    columns = axis(1, waist_x, z - half, n, x, kx, z)[..., None, :]
    u = numerics.safe_sqrt(power)[..., None, None] * rows * columns
    count = (len(orders),)
    return Field(
        u, jnp.broadcast_to(pair, count + pair.shape),
        jnp.broadcast_to(wavelength, count + wavelength.shape),
    )  # fmt: skip


@numerics.program("shape", "order")
def _hermite_gauss(shape: tuple[int, int], order: tuple[int, int], *parameters: Array) -> Field:
    beam = mode_fields(shape, (order,), *parameters)
    return Field(beam.u[0], beam.spacing[0], beam.wavelength[0])


def waists(where: str, waist: ArrayLike | str) -> tuple[Any, Any]:
    """A waist, or the pair (wy, wx) of an ellipse."""
    waist = _check.length(where, "waist", waist)
    _check.positive(where, "waist", waist, unit="µm")
    if np.ndim(waist) == 0:
        return waist, waist
    if np.shape(waist)[-1] != 2:
        raise ValueError(
            f"{where}: `waist` must be one number or (..., 2) as (wy, wx) [µm], got the shape "
            f"{np.shape(waist)}. For one number per batch entry pass waist[..., None] * ones(2)."
        )
    waist = np.asarray(waist) if _check.is_concrete(waist) else waist
    return waist[..., 0], waist[..., 1]


def _check_beam(where: str, n: ArrayLike, power: ArrayLike) -> None:
    _check.positive(where, "n", n)
    _check.nonnegative(where, "power", power)


def _checked_beam(
    where: str, shape: tuple[int, int], *grid: Any, waist: ArrayLike | str, **numbers: Any
) -> tuple:
    """Checks of a beam with an axis: the shape, and the numbers of :func:`mode_fields`."""
    waist_y, waist_x = waists(where, waist)
    _check_beam(where, numbers["n"], numbers["power"])
    result = checked(where, shape, *grid, waist_y=waist_y, waist_x=waist_x, **numbers)
    shape, pair, wavelength, *rest = result
    waist_y, waist_x, z, n, _, _, ky, kx, _, *apart = rest
    if apart and _check.is_concrete(z, *apart):  # the farther waist
        z = np.abs(z) + np.abs(apart[0]) / 2
    _warn_beam(where, shape, pair, (waist_y, waist_x, z, wavelength, n, ky, kx))
    return result


def _warn_beam(where: str, shape: tuple[int, int], pair: Array, numbers: Sequence[Array]) -> None:
    """Warns, where known, of a beam that is not paraxial, leaves its window or lacks samples."""
    if not _check.is_concrete(pair, *numbers):
        return
    known = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in numbers))
    waist_y, waist_x, z, wavelength, n, *k = known
    waist = np.stack([waist_y, waist_x])
    divergence = wavelength / (np.pi * n * waist)
    if np.any(divergence > 0.5):
        _check.warn(
            where,
            f"the beam diverges by {float(np.max(divergence)):.3g} rad, where the paraxial form "
            f"is wrong. Use a waist of at least {float(np.max(0.64 * wavelength / n)):.3g} µm, or "
            "focus a beam with psf.high_na_ff_lens.",
        )
    radius = waist * np.hypot(1, z * divergence / waist)
    tilt = [a / numerics.TAU for a in k]
    sampling.warn_travel(where, k, wavelength, n)
    sampling.warn_beam(where, shape, pair, tuple(radius), tuple(1 / (np.pi * waist)), tilt)


# -- coherent beams ------------------------------------------------------------------------


def gaussian_beam(
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    wavelength: ArrayLike | str,
    waist: ArrayLike | str,
    z: ArrayLike | str = 0.0,
    n: ArrayLike = 1.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    ky: ArrayLike = 0.0,
    kx: ArrayLike = 0.0,
    power: ArrayLike = 1.0,
    astigmatism: ArrayLike | str = 0.0,
    dtype: DTypeLike | None = None,
) -> Field:
    r"""Makes a Gaussian beam at a distance from its waist: round or elliptic, displaced, tilted.

    .. math:: u = \sqrt{\frac{2P}{\pi}}\,g_y\,g_x,\qquad
        g_x = \frac{1}{\sqrt{w_x q_x}} \exp\!\left[-\frac{(x - x_0 - z\,k_x/k)^2}{w_x^2 q_x}
        + i k_x x - \frac{i k_x^2 z}{2k}\right], \qquad q_x = 1 + \frac{i z \lambda}{\pi n w_x^2}

    with :math:`k = 2\pi n/\lambda`. Paraxial: valid while the divergence
    :math:`\lambda/(\pi n w) \ll 1` and the tilt :math:`k_x/k \ll 1`. The carrier is left out, the
    Gouy phase is in. The axis of the beam passes the waist at (y, x) and runs toward +x for a
    positive ``kx``. Normalized analytically: the power counts the whole plane. With an
    ``astigmatism`` a the waist along y lies at z = -a/2 and that along x at z = a/2, with z + a/2
    and z - a/2 in the place of z in the two q.

    Args:
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        wavelength: Vacuum wavelength, ``(...)`` [µm].
        waist: Radius where the waist's amplitude is 1/e, one number or ``(..., 2)`` as (wy, wx) of
            an ellipse [µm].
        z: Distance behind the waist (negative: in front), ``(...)`` [µm].
        n: Refractive index of the medium, ``(...)``.
        y: Center of the waist, ``(...)`` [µm].
        x: Center of the waist, ``(...)`` [µm].
        ky: Transverse wave number along y, ``(...)`` [rad/µm].
        kx: Transverse wave number along x, ``(...)`` [rad/µm].
        power: Power of the beam, ``(...)`` [power].
        astigmatism: Distance from the waist along y to the waist along x, ``(...)`` [µm].
        dtype: complex64 or complex128; by default JAX's precision.

    Returns:
        The field.

    Raises:
        ValueError: If a number is out of range or the shapes do not fit.

    Example:
        >>> beam = gaussian_beam((64, 64), spacing=0.5, wavelength=0.532, waist=(4.0, 3.0), x=2.0)
        >>> round(float(beam.power), 5)
        1.0

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 3.2, Eq. 3.7; A. E. Siegman,
        *Lasers*, Sec. 16.3.
    """
    shape, *parameters = _checked_beam(
        "gaussian_beam", shape, spacing, wavelength, dtype, waist=waist,
        z=z, n=n, y=y, x=x, ky=ky, kx=kx, power=power, astigmatism=astigmatism,
    )  # fmt: skip
    return _hermite_gauss(shape, (0, 0), *parameters)


def hermite_gauss_beam(
    shape: tuple[int, int],
    *,
    order: tuple[int, int],
    spacing: ArrayLike | str,
    wavelength: ArrayLike | str,
    waist: ArrayLike | str,
    z: ArrayLike | str = 0.0,
    n: ArrayLike = 1.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    ky: ArrayLike = 0.0,
    kx: ArrayLike = 0.0,
    power: ArrayLike = 1.0,
    dtype: DTypeLike | None = None,
) -> Field:
    r"""Makes a Hermite-Gauss beam, a mode of a laser with rectangular symmetry.

    .. math:: u_{m_y m_x} = h_{m_y}(y)\,h_{m_x}(x), \qquad
        h_m(x) = \Bigl(\frac{2}{\pi}\Bigr)^{1/4}
        \frac{H_m(\sqrt2\,x/w)}{\sqrt{2^m m!\,w}}
        \exp\!\left[-\frac{x^2}{w_0^2 q} - i (m + \tfrac12) \arctan\frac{z}{z_R}\right]

    with w(z), q and the axis of :func:`gaussian_beam`, which is the order (0, 0). Paraxial. The
    modes of one waist are orthogonal and keep their shape. Sampled while the order's innermost
    fringes, about :math:`w/\sqrt{m}` wide, have two samples.

    Args:
        shape: Number of samples (ny, nx).
        order: Number of dark lines across y and across x.
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        wavelength: Vacuum wavelength, ``(...)`` [µm].
        waist: Radius where the Gaussian's amplitude is 1/e, one number or ``(..., 2)`` as (wy, wx)
            [µm].
        z: Distance behind the waist (negative: in front), ``(...)`` [µm].
        n: Refractive index of the medium, ``(...)``.
        y: Center of the waist, ``(...)`` [µm].
        x: Center of the waist, ``(...)`` [µm].
        ky: Transverse wave number along y, ``(...)`` [rad/µm].
        kx: Transverse wave number along x, ``(...)`` [rad/µm].
        power: Power of the beam, ``(...)`` [power].
        dtype: complex64 or complex128; by default JAX's precision.

    Returns:
        The field.

    Raises:
        TypeError: If an order is no integer.
        ValueError: If a number is out of range or the shapes do not fit.

    Example:
        >>> beam = hermite_gauss_beam(
        ...     (64, 64), order=(0, 1), spacing=0.5, wavelength=0.532, waist=4.0)
        >>> round(float(beam.power), 5), abs(beam.u[32, 32]).item()
        (1.0, 0.0)

    References:
        A. E. Siegman, *Lasers*, Sec. 16.4, Eq. 54.
    """
    where = "hermite_gauss_beam"
    if np.shape(order) != (2,):
        raise ValueError(f"{where}: `order` must be two integers (along y, along x), got {order}.")
    for m in order:
        _check.integer(where, "order", m, 0)
    shape, *parameters = _checked_beam(
        where, shape, spacing, wavelength, dtype, waist=waist,
        z=z, n=n, y=y, x=x, ky=ky, kx=kx, power=power,
    )  # fmt: skip
    return _hermite_gauss(shape, (int(order[0]), int(order[1])), *parameters)


def _laguerre(p: int, a: int, x: Array) -> Array:
    """Associated Laguerre polynomial L_p^a(x) by recursion."""
    below, now = jnp.zeros_like(x), jnp.ones_like(x)
    for k in range(p):
        below, now = now, ((2 * k + 1 + a - x) * now - (k + a) * below) / (k + 1)
    return now


def _turned(x: Array, y: Array, charge: int) -> Array:
    """(x + i y)^charge, or its conjugate's power for a negative charge."""
    turn = jax.lax.complex(*jnp.broadcast_arrays(x, y if charge >= 0 else -y))
    return turn ** abs(charge)


@numerics.program("shape", "p", "charge")
def _laguerre_gauss(shape: tuple[int, int], p: int, charge: int, *parameters: Array) -> Field:
    parameters = common(*parameters)

    def one(
        pair: Array,
        wavelength: Array,
        waist: Array,
        z: Array,
        n: Array,
        y0: Array,
        x0: Array,
        ky: Array,
        kx: Array,
        power: Array,
    ):  # type: ignore[no-untyped-def]
        ratio = z * wavelength / (jnp.pi * n * waist**2)
        width = waist * jnp.sqrt(1 + ratio**2)
        walk = z * wavelength / (numerics.TAU * n)
        y, x = grid.sample_coordinates(shape, pair)
        y, x = (y - y0 - ky * walk) / width, (x - x0 - kx * walk) / width
        square = y**2 + x**2
        norm = math.exp(0.5 * (math.lgamma(p + 1) - math.lgamma(p + abs(charge) + 1)))
        amplitude = norm * numerics.safe_sqrt(2 * power / np.pi) / width
        shape_of = amplitude * jnp.exp(-square) * _laguerre(p, abs(charge), 2 * square)
        drift = _drift_turns(None, kx, z, wavelength, n) + _drift_turns(None, ky, z, wavelength, n)
        gouy = (2 * p + abs(charge) + 1) * jnp.arctan(ratio) / numerics.TAU
        tilt = cis(ramp_turns(shape[0], pair[0], ky))[:, None]
        tilt = tilt * cis(ramp_turns(shape[1], pair[1], kx))
        spiral = _turned(math.sqrt(2) * x, math.sqrt(2) * y, charge)
        return shape_of * spiral * cis(square * ratio / numerics.TAU - gouy + drift) * tilt

    u = numerics.map_batch(one, parameters[1].shape, *parameters)
    return Field(u, parameters[0], parameters[1])


def laguerre_gauss_beam(
    shape: tuple[int, int],
    *,
    radial: int = 0,
    charge: int = 0,
    spacing: ArrayLike | str,
    wavelength: ArrayLike | str,
    waist: ArrayLike | str,
    z: ArrayLike | str = 0.0,
    n: ArrayLike = 1.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    ky: ArrayLike = 0.0,
    kx: ArrayLike = 0.0,
    power: ArrayLike = 1.0,
    dtype: DTypeLike | None = None,
) -> Field:
    r"""Makes a Laguerre-Gauss beam, a vortex of a charge with rings.

    .. math:: u = \sqrt{\frac{2 P\,p!}{\pi (p + |l|)!}}\,\frac1w
        \Bigl(\frac{\sqrt2\,r}{w}\Bigr)^{|l|} L_p^{|l|}\Bigl(\frac{2 r^2}{w^2}\Bigr)
        \exp\!\left[-\frac{r^2}{w_0^2 q} + i l \phi - i (2p + |l| + 1)\arctan\frac{z}{z_R}\right]

    with w(z), q and the axis of :func:`gaussian_beam`, which is p = l = 0. Paraxial. The azimuth
    runs from +x toward +y.

    Args:
        shape: Number of samples (ny, nx).
        radial: Number p of dark rings.
        charge: Turns l of the phase in one turn of the azimuth, of either sign.
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        wavelength: Vacuum wavelength, ``(...)`` [µm].
        waist: Radius where the Gaussian's amplitude is 1/e, ``(...)`` [µm].
        z: Distance behind the waist (negative: in front), ``(...)`` [µm].
        n: Refractive index of the medium, ``(...)``.
        y: Center of the waist, ``(...)`` [µm].
        x: Center of the waist, ``(...)`` [µm].
        ky: Transverse wave number along y, ``(...)`` [rad/µm].
        kx: Transverse wave number along x, ``(...)`` [rad/µm].
        power: Power of the beam, ``(...)`` [power].
        dtype: complex64 or complex128; by default JAX's precision.

    Returns:
        The field.

    Raises:
        TypeError: If ``radial`` or ``charge`` is no integer.
        ValueError: If a number is out of range or the shapes do not fit.

    Example:
        >>> beam = laguerre_gauss_beam(
        ...     (64, 64), charge=1, spacing=0.5, wavelength=0.532, waist=4.0)
        >>> round(float(beam.power), 5), abs(beam.u[32, 32]).item()
        (1.0, 0.0)

    References:
        A. E. Siegman, *Lasers*, Sec. 16.4, Eq. 64; L. Allen et al., Phys. Rev. A 45, 8185 (1992).
    """
    where = "laguerre_gauss_beam"
    _check.integer(where, "radial", radial, 0)
    _check.integer(where, "charge", charge, -(10**6))
    _check.positive(where, "waist", _check.length(where, "waist", waist), unit="µm")
    _check_beam(where, n, power)
    numbers = dict(waist=waist, z=z, n=n, y=y, x=x, ky=ky, kx=kx, power=power)
    shape, pair, wave, *rest = checked(where, shape, spacing, wavelength, dtype, **numbers)
    waist, z, n, _, _, ky, kx, _ = rest
    _warn_beam(where, shape, pair, (waist, waist, z, wave, n, ky, kx))
    return _laguerre_gauss(shape, radial, charge, pair, wave, *rest)


_BESSEL = (special.j0, special.j1, special.j2)


@numerics.program("shape", "charge")
def _bessel_beam(shape: tuple[int, int], charge: int, *parameters: Array) -> Field:
    pair, wavelength, kr, y0, x0, power, *waist = common(*parameters)
    inverse = 1 / waist[0] if waist else jnp.zeros_like(kr)

    def one(pair: Array, k: Array, inverse: Array, y0: Array, x0: Array):  # type: ignore[no-untyped-def]
        y, x = grid.sample_coordinates(shape, pair)
        y, x = y - y0, x - x0
        radius = numerics.safe_sqrt(y**2 + x**2)
        lit = radius > 0
        scale = jnp.where(lit, 1 / jnp.where(lit, radius, 1), 0)
        wave = _turned(x * scale, y * scale, charge) if charge else 1
        envelope = jnp.exp(-((y * inverse) ** 2)) * jnp.exp(-((x * inverse) ** 2))
        return _BESSEL[abs(charge)](k * radius) * envelope * wave + 0j

    u = numerics.map_batch(one, kr.shape, pair, kr, inverse, y0, x0)
    return normalize(Field(u, pair, wavelength), power=power)


def bessel_beam(
    shape: tuple[int, int],
    *,
    kr: ArrayLike,
    charge: int = 0,
    spacing: ArrayLike | str,
    wavelength: ArrayLike | str,
    waist: ArrayLike | str | None = None,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    power: ArrayLike = 1.0,
    dtype: DTypeLike | None = None,
) -> Field:
    r"""Makes a Bessel beam, which keeps its bright core over a long distance.

    .. math:: u = A\,J_{l}(k_r r)\,e^{i l \phi}\,e^{-r^2/w^2}

    Exact without a waist (and of infinite power in the whole plane, so that the window cuts it);
    with one it is a Bessel-Gauss beam at its waist, whose core lasts for :math:`w k/k_r`. An axicon
    that bends light by :math:`\theta` makes :math:`k_r = k\sin\theta`.

    Args:
        shape: Number of samples (ny, nx).
        kr: Transverse wave number, ``(...)`` [rad/µm].
        charge: Turns of the phase in one turn of the azimuth, -2 to 2; for a negative one the
            azimuth runs backward and :math:`J_{|l|}` stays.
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        wavelength: Vacuum wavelength, ``(...)`` [µm].
        waist: Radius where the envelope is 1/e, ``(...)`` [µm]; by default there is none.
        y: Center, ``(...)`` [µm].
        x: Center, ``(...)`` [µm].
        power: Power in the window, ``(...)`` [power].
        dtype: complex64 or complex128; by default JAX's precision.

    Returns:
        The field.

    Raises:
        TypeError: If ``charge`` is no integer.
        ValueError: If a number is out of range or the shapes do not fit.

    Example:
        >>> beam = bessel_beam((65, 65), kr=1.0, spacing=0.4, wavelength=0.532, waist=8.0)
        >>> round(float(beam.intensity[32, 38] / beam.intensity[32, 32]), 3)  # near the first zero
        0.0

    References:
        J. Durnin, J. J. Miceli, J. H. Eberly, Phys. Rev. Lett. 58, 1499 (1987); F. Gori,
        G. Guattari, C. Padovani, Opt. Commun. 64, 491 (1987).
    """
    where = "bessel_beam"
    _check.integer(where, "charge", charge, -2, 2)
    _check.nonnegative(where, "kr", kr, unit="rad/µm")
    _check.nonnegative(where, "power", power)
    numbers: dict[str, Any] = dict(kr=kr, y=y, x=x, power=power)
    if waist is not None:
        numbers["waist"] = _check.length(where, "waist", waist)
        _check.positive(where, "waist", numbers["waist"], unit="µm")
    shape, pair, wave, *values = checked(where, shape, spacing, wavelength, dtype, **numbers)
    if _check.is_concrete(values[0]):
        rings = np.asarray(values[0], np.float64) / numerics.TAU
        sampling.warn_frequency(where, "the rings", shape, pair, (rings, rings))
    return _bessel_beam(shape, charge, pair, wave, *values)
