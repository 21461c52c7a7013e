r"""Bessel functions J0, J1, J2 of real numbers, with derivatives of every order.

Below x = 8 a polynomial in x**2, above it Hankel's form with polynomials in (8/x)**2, both from
Chebyshev interpolation with 60 digits; the phase is reduced in turns. Derivatives are Bessel
functions again, by relations that do not divide by x, so they are right at zero as well.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, numerics
from jaxwave.numerics import TAU, TwoWord, cis, word

__all__ = ["j0", "j1", "j1_over_x", "j2", "j2_over_x2"]

_SPLIT = 8.0
# J0(x) and J1(x)/x in x**2/32 - 1; Hankel's P and Q * x/8 in 2 (8/x)**2 - 1.
# fmt: off
_FLOAT32 = {
    "small0": (
        0.0458296648,
        0.930301218,
        -0.648469277,
        -0.808088219,
        1.0383794,
        -0.507471341,
        0.145989129,
        -0.0284651932,
        0.0040575376,
        -0.000451058408,
        3.89537976e-05,
    ),
    "small1": (
        -0.0581438243,
        0.0810586591,
        0.151516467,
        -0.259594839,
        0.158585237,
        -0.0547459631,
        0.0124526961,
        -0.00202870848,
        0.000254192308,
        -2.4376281e-05,
    ),
    "P0": (
        0.999457274,
        -0.000536366929,
        6.15036958e-06,
        -2.06823782e-07,
    ),
    "Q0": (
        -0.0155551132,
        6.83312821e-05,
        -1.48289968e-06,
        7.1889829e-08,
    ),
    "P1": (
        1.00090703,
        0.000898804504,
        -7.9745686e-06,
        2.47105358e-07,
    ),
    "Q1": (
        0.0467768732,
        -9.62143561e-05,
        1.82772305e-06,
        -8.38391255e-08,
    ),
}
_FLOAT64 = {
    "small0": (
        0.045829664859813754,
        0.93030124729585717,
        -0.6484692830871821,
        -0.80808880766968716,
        1.0383794611436883,
        -0.50746804584710004,
        0.14598884856785538,
        -0.028472718610882047,
        0.0040580789881087707,
        -0.00044354592243115029,
        3.847320005801417e-05,
        -2.7177492236320981e-06,
        1.5955848859935914e-07,
        -7.9153230829520695e-09,
        3.3794626319436793e-10,
        -1.2433011712733259e-11,
    ),
    "small1": (
        -0.058143827955991073,
        0.081058660385897582,
        0.15151665143806636,
        -0.25959486528591658,
        0.15858376432721838,
        -0.054745818212995047,
        0.012456814392263375,
        -0.0020290394938666709,
        0.0002494945813597261,
        -2.4045750380401832e-05,
        1.8684526037206013e-06,
        -1.1966856610655616e-07,
        6.4311901772658359e-09,
        -2.9580309461613664e-10,
        1.1658972367678622e-11,
    ),
    "P0": (
        0.99945727578825194,
        -0.0005363673192129672,
        6.137416081283524e-06,
        -2.0527448261170675e-07,
        1.2803747743828764e-08,
        -1.2121098178951377e-09,
        1.550640953808597e-10,
        -2.491146535471666e-11,
        4.6742893076243881e-12,
        -1.0157485021065676e-12,
        3.4550129744557432e-13,
        -1.0251790052831012e-13,
    ),
    "Q0": (
        -0.015555113879513503,
        6.8331490993400431e-05,
        -1.4771388337908456e-06,
        7.1062149653323092e-08,
        -5.6687030011764682e-09,
        6.4326989913153094e-10,
        -9.4758109492210584e-11,
        1.7060404730873274e-11,
        -3.4897090203627802e-12,
        8.1725205849909838e-13,
        -3.1231642273997054e-13,
        9.8940200655905324e-14,
    ),
    "P1": (
        1.0009070262780821,
        0.00089880494167051826,
        -7.9596946996847877e-06,
        2.4536766333666931e-07,
        -1.4708498448932155e-08,
        1.3602969253877949e-09,
        -1.7137279585997966e-10,
        2.72345126828134e-11,
        -5.0714952956967517e-12,
        1.0954826479277623e-12,
        -3.6972445912442972e-13,
        1.0923713653079461e-13,
    ),
    "Q1": (
        0.046776874027448963,
        -9.6214588220503648e-05,
        1.8212018524401882e-06,
        -8.2919608208311698e-08,
        6.4201186711763055e-09,
        -7.1510179969292005e-10,
        1.0400818107800088e-10,
        -1.855351813063018e-11,
        3.7708138075368844e-12,
        -8.7850141864364565e-13,
        3.3322408743850924e-13,
        -1.0515607072586999e-13,
    ),
}
# fmt: on
_SERIES = {np.dtype("float32"): _FLOAT32, np.dtype("float64"): _FLOAT64}


# -- values for x >= 0 ---------------------------------------------------------------------


def _polynomial(coefficients: tuple[float, ...], y: Array) -> Array:
    total = jnp.full_like(y, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * y + np.asarray(c, y.dtype)
    return total


def _pair(x: Array) -> tuple[Array, Array, Array]:
    """J0, J1 and J1/x of x >= 0."""
    series = _SERIES[np.dtype(x.dtype)]
    near = jnp.minimum(x, _SPLIT)
    y = near * near / 32 - 1
    near_0, near_ratio = _polynomial(series["small0"], y), _polynomial(series["small1"], y)
    far = jnp.maximum(x, _SPLIT)
    inverse = 1 / far
    q = _SPLIT * inverse
    y = 2 * q * q - 1
    # The eighth of a turn is taken off after the reduction, where no digits are lost.
    turns = numerics.product_turns(TwoWord(far, jnp.zeros_like(far)), word(1 / TAU, x.dtype))
    wave = cis(turns - 0.125)
    amplitude = jnp.sqrt(inverse * (2 / math.pi))
    p0, q0, p1, q1 = (_polynomial(series[name], y) for name in ("P0", "Q0", "P1", "Q1"))
    far_0 = amplitude * (p0 * wave.real - q * q0 * wave.imag)
    far_1 = amplitude * (p1 * wave.imag + q * q1 * wave.real)
    is_near = x < _SPLIT
    j0 = jnp.where(is_near, near_0, far_0)
    j1 = jnp.where(is_near, near * near_ratio, far_1)
    return j0, j1, jnp.where(is_near, near_ratio, far_1 * inverse)


def _power_series(m: int, q: Array, largest: float) -> Array:
    """J_m(x) / x**m as a series in q = x**2 up to ``largest``."""
    tiny = 0.1 * float(jnp.finfo(q.dtype).eps)
    terms, size = [1 / (math.factorial(m) * 2.0**m)], 1.0
    while size > tiny:
        k = len(terms)
        terms.append(-terms[-1] / (4 * k * (m + k)))
        size *= largest / (4 * k * (m + k))
    return _polynomial(tuple(terms), q)


def _upward(m: int, j0: Array, j1: Array, inverse: Array) -> Array:
    """J_m by the recurrence, stable for x above m."""
    below, here = j0, j1
    for k in range(1, m):
        below, here = here, 2 * k * inverse * here - below
    return here


def _ratio_values(m: int, x: Array, q: Array) -> Array:
    """J_m(x) / x**m of x >= 0, with q = x**2."""
    j0, j1, ratio = _pair(x)
    if m < 2:
        return (j0, ratio)[m]
    limit = float(m)
    far = jnp.maximum(x, limit)
    inverse = 1 / far
    near = jnp.minimum(q, limit * limit)
    upward = _upward(m, j0, j1, inverse) * inverse**m
    return jnp.where(x < limit, _power_series(m, near, limit * limit), upward)


def _bessel_values(m: int, x: Array) -> Array:
    """J_m of any real x."""
    size = jnp.abs(x)
    if m == 0:
        return _pair(size)[0]
    if m == 1:
        value = _pair(size)[1]
    else:
        j0, j1, _ = _pair(size)
        limit = float(m)
        near, far = jnp.minimum(size, limit), jnp.maximum(size, limit)
        series = near**m * _power_series(m, near * near, limit * limit)
        value = jnp.where(size < limit, series, _upward(m, j0, j1, 1 / far))
    return jnp.where(x < 0, -value, value) if m % 2 else value


# -- derivatives ---------------------------------------------------------------------------


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _bessel(m: int, x: Array) -> Array:
    return _bessel_values(m, x)


@_bessel.defjvp
def _bessel_jvp(m: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,) = primals
    slope = -_bessel(1, x) if m == 0 else 0.5 * (_bessel(m - 1, x) - _bessel(m + 1, x))
    return _bessel(m, x), slope * tangents[0]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _ratio(m: int, x: Array) -> Array:
    return _ratio_values(m, jnp.abs(x), x * x)


@_ratio.defjvp
def _ratio_jvp(m: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,) = primals
    return _ratio(m, x), -x * _ratio(m + 1, x) * tangents[0]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def scaled_bessel(m: int, q: Array) -> Array:
    """J_m(x) / x**m as a function of q = x**2 >= 0: smooth, also at zero."""
    return _ratio_values(m, jnp.sqrt(q), q)


@scaled_bessel.defjvp
def _scaled_jvp(m: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (q,) = primals
    return scaled_bessel(m, q), -0.5 * scaled_bessel(m + 1, q) * tangents[0]


def _real(where: str, x: ArrayLike) -> Array:
    x = _check.real_array(where, "x", x)
    return x if x.dtype in (jnp.float32, jnp.float64) else x.astype(jnp.float32)


# -- public --------------------------------------------------------------------------------


def j0(x: ArrayLike) -> Array:
    r"""Bessel function of the first kind of order zero.

    .. math:: J_0(x) = \frac{1}{\pi} \int_0^\pi \cos(x \sin\tau)\,d\tau, \qquad J_0' = -J_1

    Valid for every finite real x; the absolute error is 6e-7 in float32 and 1e-14 in
    float64. All derivatives are right, also at zero.

    Args:
        x: Argument, ``(...)`` [none].

    Returns:
        The values, ``(...)`` [none].

    Raises:
        TypeError: If ``x`` is complex or text.

    Example:
        >>> j0(jnp.array([0.0, 1.0])).round(4).tolist()
        [1.0, 0.7651999592781067]

    References:
        M. Abramowitz and I. A. Stegun, *Handbook of Mathematical Functions*, Eqs. 9.1.18, 9.1.28.
    """
    return _bessel(0, _real("j0", x))


def j1(x: ArrayLike) -> Array:
    r"""Bessel function of the first kind of order one.

    .. math:: J_1(x) = \frac{1}{\pi} \int_0^\pi \cos(\tau - x \sin\tau)\,d\tau,
        \qquad J_1' = (J_0 - J_2)/2

    Valid for every finite real x; the absolute error is 6e-7 in float32 and 1e-14 in
    float64. All derivatives are right, also at zero.

    Args:
        x: Argument, ``(...)`` [none].

    Returns:
        The values, ``(...)`` [none].

    Raises:
        TypeError: If ``x`` is complex or text.

    Example:
        >>> j1(jnp.array([0.0, 1.0])).round(4).tolist()
        [0.0, 0.4400999844074249]

    References:
        M. Abramowitz and I. A. Stegun, *Handbook of Mathematical Functions*, Eqs. 9.1.21, 9.1.27.
    """
    return _bessel(1, _real("j1", x))


def j2(x: ArrayLike) -> Array:
    r"""Bessel function of the first kind of order two.

    .. math:: J_2(x) = \frac{1}{\pi} \int_0^\pi \cos(2\tau - x \sin\tau)\,d\tau,
        \qquad J_2' = (J_1 - J_3)/2

    Valid for every finite real x; the absolute error is 6e-7 in float32 and 1e-14 in
    float64. All derivatives are right, also at zero.

    Args:
        x: Argument, ``(...)`` [none].

    Returns:
        The values, ``(...)`` [none].

    Raises:
        TypeError: If ``x`` is complex or text.

    Example:
        >>> j2(jnp.array([0.0, 1.0])).round(4).tolist()
        [0.0, 0.11490000039339066]

    References:
        M. Abramowitz and I. A. Stegun, *Handbook of Mathematical Functions*, Eqs. 9.1.21, 9.1.27.
    """
    return _bessel(2, _real("j2", x))


def j1_over_x(x: ArrayLike) -> Array:
    r"""Bessel function of order one over its argument, smooth at zero.

    .. math:: \frac{J_1(x)}{x}, \qquad \frac{d}{dx} \frac{J_1(x)}{x} = -\frac{J_2(x)}{x}

    Valid for every finite real x; the absolute error is 6e-7 in float32 and 1e-14 in
    float64. All derivatives are right, also at zero, where
    the value is 1/2.

    Args:
        x: Argument, ``(...)`` [none].

    Returns:
        The values, ``(...)`` [none].

    Raises:
        TypeError: If ``x`` is complex or text.

    Example:
        >>> j1_over_x(jnp.array([0.0, 1.0])).round(4).tolist()
        [0.5, 0.4400999844074249]

    References:
        M. Abramowitz and I. A. Stegun, *Handbook of Mathematical Functions*, Eq. 9.1.30.
    """
    return _ratio(1, _real("j1_over_x", x))


def j2_over_x2(x: ArrayLike) -> Array:
    r"""Bessel function of order two over the square of its argument, smooth at zero.

    .. math:: \frac{J_2(x)}{x^2}, \qquad \frac{d}{dx} \frac{J_2(x)}{x^2} = -\frac{J_3(x)}{x^2}

    Valid for every finite real x; the absolute error is 6e-7 in float32 and 1e-14 in
    float64. All derivatives are right, also at zero, where
    the value is 1/8.

    Args:
        x: Argument, ``(...)`` [none].

    Returns:
        The values, ``(...)`` [none].

    Raises:
        TypeError: If ``x`` is complex or text.

    Example:
        >>> j2_over_x2(jnp.array([0.0, 1.0])).round(4).tolist()
        [0.125, 0.11490000039339066]

    References:
        M. Abramowitz and I. A. Stegun, *Handbook of Mathematical Functions*, Eq. 9.1.30.
    """
    return _ratio(2, _real("j2_over_x2", x))
