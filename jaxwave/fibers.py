r"""Modes of fibers with a step of the index, weakly guiding: linearly polarized (LP) modes.

Bessel functions come from their integrals over a turn and over a line, by trapezoids, which
converge faster than any power there. Orders may be arrays, so all modes are one program.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, grid, numerics, sampling
from jaxwave.field import Field
from jaxwave.numerics import TAU
from jaxwave.sources import checked

Orders = Sequence[tuple[int, int]]
_LINE = np.linspace(0, 12, 49)  # of K's integral; the cladding's decay w is above 1e-4


def _turns(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Angles of half a turn, and the weights of their trapezoids."""
    count = nodes // 2
    weight = np.full(count + 1, 1 / count)
    weight[[0, -1]] /= 2
    return np.arange(count + 1) / count * (TAU / 2), weight


def _bessel(order: Any, x: Any, nodes: int, xp: Any = jnp) -> Any:
    """J of integer orders at a number, exact where order + |x| + 20 <= nodes."""
    turn, weight = _turns(nodes)
    return xp.sum(weight * xp.cos(order * turn - x * np.sin(turn)))


def _bessel_map(order: Array, x: Array, nodes: int) -> Array:
    """J at every sample, node by node."""

    def add(total: Array, node: tuple[Array, ...]) -> tuple[Array, None]:
        turn, sine, weight = node
        return total + weight * jnp.cos(order * turn - x * sine), None

    turn, weight = _turns(nodes)
    items = tuple(jnp.asarray(a, x.dtype) for a in (turn, np.sin(turn), weight))
    return lax.scan(add, jnp.zeros_like(x), items)[0]


@functools.lru_cache(4096)
def _zeros(order: int, count: int) -> list[float]:
    """The first positive zeros of J, by bisection."""
    found: list[float] = []
    step, low = 0.5, max(order, 1) * 0.9
    while len(found) < count:
        nodes = 2 * math.ceil((low + order + 24) / 2)
        value = lambda t, n=nodes: float(_bessel(order, t, n, np))  # noqa: E731
        if value(low) * value(low + step) < 0:
            a, b = low, low + step
            for _ in range(60):
                middle = (a + b) / 2
                a, b = (middle, b) if value(a) * value(middle) > 0 else (a, middle)
            found.append((a + b) / 2)
        low += step
    return found


def _bracket(order: int, number: int) -> tuple[float, float]:
    """V at a mode's cutoff, and its core parameter u when V is infinite."""
    if order == 0:
        low = 0.0 if number == 1 else _zeros(1, number - 1)[-1]
    else:
        low = _zeros(order - 1, number)[-1]
    return low, _zeros(order, number)[-1]


def _guided(v: float) -> list[tuple[int, int]]:
    """All modes of a fiber, both of a pair, those of the slowest decay last."""
    found, order = [], 0
    while True:
        lows, number = [], 1
        while (low := _bracket(order, number)[0]) < v:
            lows.append((low, order, number))
            number += 1
        if not lows:
            break
        found += lows
        order += 1
    rows = [(sign * o, n) for _, o, n in sorted(found) for sign in ((1, -1) if o else (1,))]
    return rows


def lp_modes(
    shape: tuple[int, int],
    *,
    radius: ArrayLike | str,
    na: ArrayLike,
    spacing: ArrayLike | str,
    wavelength: ArrayLike | str,
    orders: Orders | None = None,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    power: ArrayLike = 1.0,
    dtype: Any = None,
) -> Field:
    r"""Makes the modes of a fiber whose index falls in one step, at its end.

    .. math:: u_{lm} \propto \frac{J_l(u r/a)}{J_l(u)}\ (r < a),\quad
        \frac{K_l(w r/a)}{K_l(w)}\ (r > a),\qquad
        u\,\frac{J_{l+1}(u)}{J_l(u)} = w\,\frac{K_{l+1}(w)}{K_l(w)},\quad
        u^2 + w^2 = V^2 = \Bigl(\frac{2\pi a\,\mathrm{NA}}{\lambda}\Bigr)^2

    times :math:`\cos l\phi`, or :math:`\sin |l|\phi` for a negative l, with the azimuth from +x
    toward +y. Valid for weak guidance (indices that differ by a few percent) and a thick cladding.
    The modes are orthonormal and do not interfere in a long fiber, so that light which fills it is
    the batch of all modes, each with its share of the power: see
    :func:`~jaxwave.incoherent_sum`. Normalized analytically: the power counts the whole plane.

    Args:
        shape: Number of samples (ny, nx).
        radius: Radius a of the core, scalar [µm].
        na: Numerical aperture :math:`\sqrt{n_1^2 - n_2^2}`, scalar.
        spacing: Sample spacing, one number or ``(2,)`` as (dy, dx) [µm].
        wavelength: Vacuum wavelength, scalar [µm].
        orders: Modes (l, m) with m = 1, 2 ... rings; by default all that the fiber guides, the
            fastest decaying first.
        y: Center of the core, scalar [µm].
        x: Center of the core, scalar [µm].
        power: Power of all modes together, scalar [power].
        dtype: complex64 or complex128; by default JAX's precision.

    Returns:
        The modes, ``(modes, y, x)``.

    Raises:
        TypeError: If an order is no integer, or the fiber is traced and ``orders`` are not given.
        ValueError: If a number is out of range or the fiber does not guide a mode.

    Example:
        >>> modes = lp_modes((64, 64), radius=4.1, na=0.14, spacing=0.5, wavelength=0.85)
        >>> modes.batch_shape, round(float(modes.power.sum()), 3)
        ((6,), 1.0)

    References:
        D. Gloge, "Weakly guiding fibers", Appl. Opt. 10, 2252 (1971).
    """
    where = "lp_modes"
    _check.positive(where, "radius", _check.length(where, "radius", radius), unit="µm")
    _check.positive(where, "na", na)
    _check.nonnegative(where, "power", power)
    numbers = dict(radius=radius, na=na, y=y, x=x, power=power)
    shape, pair, wave, *rest = checked(where, shape, spacing, wavelength, dtype, **numbers)
    if any(a.ndim for a in (wave, *rest)):
        raise ValueError(f"{where}: numbers must be scalars; use jax.vmap with `orders` for more.")
    known = _check.is_concrete(rest[0], rest[1], wave)
    v = math.inf
    if known:
        v = TAU * float(rest[0]) * float(rest[1]) / float(wave)
        finest = float(rest[1]) / float(wave)
        sampling.warn_frequency(where, "the fiber's mode", shape, pair, (finest, finest))
    chosen = _orders(where, orders, v)
    brackets = [_bracket(abs(o), m) for o, m in chosen]
    for (low, _), order in zip(brackets, chosen, strict=True):
        if not v > low + 1e-6:
            raise ValueError(
                f"{where}: `orders` has {order}, which needs V = 2 pi radius na / wavelength above "
                f"{low:.4g}, and this fiber has {v:.4g}."
            )
    return _modes(shape, chosen, tuple(brackets), pair, wave, *rest)


def _orders(where: str, orders: Any, v: float) -> tuple[tuple[int, int], ...]:
    if orders is None:
        if math.isinf(v):
            raise TypeError(
                f"{where}: pass `orders` where the fiber is traced: how many modes it guides "
                "decides about shapes."
            )
        return tuple(_guided(v))
    if np.ndim(orders) != 2 or np.shape(orders)[1] != 2:
        raise ValueError(f"{where}: `orders` must be pairs (l, m), got {orders!r}.")
    for order, number in orders:
        _check.integer(where, "orders", order, -(10**6))
        _check.integer(where, "orders", number, 1)
    return tuple((int(o), int(m)) for o, m in orders)


@numerics.program("shape", "orders", "brackets")
def _modes(shape: tuple[int, int], orders: Any, brackets: Any, *parameters: Array) -> Field:
    pair, wavelength, radius, na, y0, x0, power = parameters
    low, high = np.array(brackets).T
    order = np.array([abs(o) for o, _ in orders])
    nodes = 2 * math.ceil((np.max(high + order) + 26) / 2)
    v = TAU * radius * na / wavelength
    y, x = grid.sample_coordinates(shape, pair)
    y, x = (y - y0) / radius, (x - x0) / radius
    r = numerics.safe_sqrt(y**2 + x**2)
    phi = jnp.arctan2(y, jnp.where((y == 0) & (x == 0), 1, x))

    def one(item: tuple[Array, ...]) -> Array:
        l, a, b, sine = item  # noqa: E741
        u = _core(l, a, b, v, nodes)
        w = jnp.sqrt(v**2 - u**2)
        inside = _bessel_map(l, u * jnp.minimum(r, 1), nodes) / _bessel(l, u, nodes)
        radial = jnp.where(r < 1, inside, _decay(l, w, jnp.maximum(r, 1)))
        angular = jnp.where(sine, jnp.sin(l * phi), jnp.cos(l * phi))
        below, above = _ratio(l - 1, l, w), _ratio(l + 1, l, w)
        area = jnp.pi / 2 * jnp.where(l == 0, 2, 1) * (radius * v / u) ** 2 * below * above
        return radial * angular / jnp.sqrt(area)

    real = r.dtype
    items = tuple(
        jnp.asarray(a, real)
        for a in (order, low, np.minimum(high, 1e9), [o < 0 for o, _ in orders])
    )
    found = lax.map(jax.checkpoint(one), items)
    u = found * numerics.safe_sqrt(power / len(orders))
    batch = (len(orders),)
    dtype = jnp.result_type(u.dtype, jnp.complex64)
    return Field(
        u.astype(dtype), jnp.broadcast_to(pair, (*batch, 2)), jnp.broadcast_to(wavelength, batch)
    )


def _core(order: Array, low: Array, high: Array, v: Array, nodes: int) -> Array:
    """The core's parameter u, between its cutoff and what it is in an infinite step."""

    def excess(u: Array, v: Array) -> Array:
        w = jnp.sqrt(jnp.maximum(v**2 - u**2, 1e-12))
        decay = w * _ratio(order + 1, order, w)
        return u * _bessel(order + 1, u, nodes) - decay * _bessel(order, u, nodes)

    a, b, fixed = low, jnp.minimum(high, v), lax.stop_gradient(v)
    # Just above its cutoff J_l has the sign of the mode's number of rings; J_{l+1} is small there.
    sign = jnp.sign(excess(a + 1e-4 * (b - a), fixed))

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        a, b = ends
        middle = (a + b) / 2
        before = excess(middle, fixed) * sign > 0
        return jnp.where(before, middle, a), jnp.where(before, b, middle)

    a, b = lax.fori_loop(0, 32, halve, (lax.stop_gradient(a), lax.stop_gradient(b)))
    u = (a + b) / 2
    # A step of Newton: twice as many digits, and the derivative by v that the root has.
    return u - excess(u, v) / lax.stop_gradient(jax.grad(excess)(u, fixed))


def _exponents(order: Array, w: Array) -> Array:
    """Logarithm of what K's integral is a sum of, over the line's axis -1."""
    line = jnp.asarray(_LINE, w.dtype)
    weight = np.where(np.arange(len(_LINE)) == 0, 0.5, 1.0).astype(w.dtype)
    both = jnp.abs(order) * line + jnp.log1p(jnp.exp(-2 * jnp.abs(order) * line))
    return both + np.log(weight) - w[..., None] * (jnp.cosh(line) - 1)


def _ratio(over: Array, under: Array, w: Array) -> Array:
    """K_over(w) / K_under(w)."""
    sums = [jax.nn.logsumexp(_exponents(order, w), axis=-1) for order in (over, under)]
    return jnp.exp(sums[0] - sums[1])


def _decay(order: Array, w: Array, r: Array) -> Array:
    """K(w r) / K(w), node by node."""
    whole = jax.nn.logsumexp(_exponents(order, w))
    terms = _exponents(order, w) - whole
    steps = jnp.cosh(jnp.asarray(_LINE, w.dtype)) - 1

    def add(total: Array, node: tuple[Array, Array]) -> tuple[Array, None]:
        term, step = node
        return total + jnp.exp(term - w * step * (r - 1)), None

    total, _ = lax.scan(add, jnp.zeros_like(r), (terms, steps))
    return total * jnp.exp(-w * (r - 1))
