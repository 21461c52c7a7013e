"""A line search that satisfies the strong Wolfe conditions, with the loss in one place.

The loss and its gradient are most of a compiled step, and a line search that brackets, zooms and
restarts in separate branches compiles them three times. Here one loop evaluates one trial length t
a turn and moves the ends of an interval [low, high] by Nocedal's and Wright's rules:

- low is the best length so far: it has a sufficient decrease, and the slope there leads to high.
- high is infinite until a minimum is bracketed: while it is, t doubles; then a parabola through
  both ends, kept off them, gives the next t.

A trial that is too high (or not finite) becomes high; one with a flat slope ends the search; any
other becomes low, and the old low becomes high where the slope points back to it. So the loss at
low never rises, whenever the search ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

_DECREASE, _CURVATURE = 1e-4, 0.9
_ROUNDING = 1e-6  # of the loss: a rise by less is none, if the slope says so
_EDGE = 0.1  # of the interval: a parabola's minimum stays this far from the ends


class End(NamedTuple):
    """An end of the interval: length of the step, the loss and its slope there."""

    t: Array
    value: Array
    slope: Array


class _Search(NamedTuple):
    t: Array
    low: End
    high: End
    gradient: Array  # at low
    looks: Array
    done: Array


def line_search(
    function: Callable[[Array], tuple[Array, Array]],
    flat: Array,
    value: Array,
    gradient: Array,
    direction: Array,
    *,
    most: int,
) -> tuple[Array, Array, Array]:
    """The length of a step, with the loss and its gradient there.

    An infinite ``value`` says that nothing is known at ``flat`` yet: the search looks there, and
    the length is zero.
    """
    known = jnp.isfinite(value)
    slope = jnp.vdot(direction, gradient, precision="highest")
    zero, infinity = jnp.zeros_like(value), jnp.full_like(value, jnp.inf)

    def going(s: _Search) -> Array:
        return ~s.done & (s.looks < most)

    def turn(s: _Search) -> _Search:
        reached, new = function(flat + jnp.where(known, s.t, 0) * direction)
        here = End(s.t, reached, jnp.vdot(direction, new, precision="highest"))
        finite = jnp.isfinite(reached) & jnp.all(jnp.isfinite(new))
        enough = reached <= value + _DECREASE * s.t * slope
        rounded = (reached <= value + _ROUNDING * jnp.abs(value)) & (
            here.slope <= (2 * _DECREASE - 1) * slope
        )
        better = (reached < s.low.value) | (s.low.t == 0) | rounded
        good = (finite & (enough | rounded) & better) | ~known
        turned = here.slope * (s.high.t - s.low.t) >= 0
        high = _pick(good, _pick(turned, s.low, s.high), here)
        low = _pick(good, here, s.low)
        done = ~known | (good & (jnp.abs(here.slope) <= -_CURVATURE * slope))
        kept = jnp.where(good, new, s.gradient)
        return _Search(_next(low, high), low, high, kept, s.looks + 1, done)

    start = _Search(
        t=jnp.ones_like(value),
        low=End(zero, value, slope),
        high=End(infinity, infinity, zero),
        gradient=gradient,
        looks=jnp.zeros((), jnp.int32),
        done=jnp.zeros((), bool),
    )
    end = jax.lax.while_loop(going, turn, start)
    return jnp.where(known, end.low.t, 0), end.low.value, end.gradient


def _pick(condition: Array, this: End, other: End) -> End:
    return End(*(jnp.where(condition, a, b) for a, b in zip(this, other, strict=True)))


def _next(low: End, high: End) -> Array:
    """The next length to try."""
    width = jnp.where(jnp.isfinite(high.t), high.t - low.t, 1)
    bend = high.value - low.value - low.slope * width
    parabola = -0.5 * low.slope * width / jnp.where(bend > 0, bend, 1)
    safe = jnp.isfinite(bend) & (bend > 0)
    share = jnp.clip(jnp.where(safe, parabola, 0.5), _EDGE, 1 - _EDGE)
    return jnp.where(jnp.isfinite(high.t), low.t + share * width, 2 * low.t)
