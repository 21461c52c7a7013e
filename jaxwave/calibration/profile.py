"""Profile likelihood: how fast the misfit rises when one parameter is held elsewhere."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.calibration._rows import ModelResiduals, PriorRows, rows_of
from jaxwave.calibration._tree import real_vector
from jaxwave.calibration.optimizers import Objective, levenberg_marquardt
from jaxwave.calibration.priors import Prior
from jaxwave.calibration.uncertainty import (
    Uncertainty,
    named_priors,
    uncertainty,
)
from jaxwave.calibration.vector import Vector

_SIGMAS, _POINTS = 3.0, 13
# Below this the last steps still gained too much to call the others settled.
_SETTLED = 0.02


@dataclasses.dataclass(frozen=True)
class Profile:
    r"""How the misfit rises when one parameter is held and the others follow.

    .. math:: \Delta(v) = \bigl[\min_{p:\,p_i = v} \chi^2 - \min_p \chi^2\bigr] / s^2

    Valid as :func:`profile_likelihood` is, which makes it; a rise of one marks one standard
    error, also where the misfit is not a parabola.

    Args:
        name: The parameter that was held.
        values: Where it was held, ascending, ``(count,)`` [``unit``].
        rise: The rise Δ, ``(count,)`` [1].
        others: Where the other numbers went, ``(count,)`` by name [their units].
        unit: Its unit, "" for none.
        best: The fitted value [``unit``].

    Example:
        >>> v = np.linspace(-3, 3, 7)
        >>> Profile("f", 180 + v, v**2, {}, "µm", 180.0).interval()
        (179.0, 181.0)

    References:
        W. Q. Meeker and L. A. Escobar, "Teaching about approximate confidence regions based on
        maximum likelihood estimation", Am. Stat. 49, 48 (1995).
    """

    name: str
    values: np.ndarray
    rise: np.ndarray
    others: dict[str, np.ndarray]
    unit: str
    best: float

    def interval(self, *, sigmas: float = 1.0) -> tuple[float, float]:
        """Where the rise is ``sigmas`` squared, below and above; infinite beyond the profile."""
        _check.positive("Profile.interval", "sigmas", sigmas)
        lowest = int(np.argmin(self.rise))
        root = np.sqrt(np.maximum(self.rise - self.rise[lowest], 0))  # nearly linear
        left, right = slice(lowest, None, -1), slice(lowest, None)
        low, high = (_crossing(root[s], self.values[s], sigmas) for s in (left, right))
        return (-math.inf if low is None else low, math.inf if high is None else high)


def _crossing(root: np.ndarray, values: np.ndarray, level: float) -> float | None:
    above = np.flatnonzero(root >= level)
    if not above.size:
        return None
    k = int(above[0])
    share = (level - root[k - 1]) / (root[k] - root[k - 1])
    return float(values[k - 1] + share * (values[k] - values[k - 1]))


def profile_likelihood(
    model: object,
    residuals: Callable[..., Any],
    data: object,
    *,
    name: str,
    values: ArrayLike | None = None,
    learn: str | list[str] | None = None,
    priors: Mapping[str, Prior] | None = None,
    scale: float | None = None,
    steps: int = 10,
) -> Profile:
    r"""Holds one parameter at several values and lets the others follow.

    .. math:: \Delta(v) = \bigl[\min_{p:\,p_i = v} \chi^2(p) - \chi^2(\hat p)\bigr] / s^2

    Unlike the standard error it does not take the misfit for a parabola, so it shows skew and open
    intervals. Valid if ``model`` is at a minimum; the others start where the curvature foresees
    them and take Levenberg-Marquardt steps, with a warning if those were too few.

    Args:
        model: The fitted model, an nnx module or a pytree of arrays.
        residuals: ``residuals(model, data)``, (model - data)/noise, arrays of any shape; or a
            :class:`~jaxwave.calibration.calibrate.least_squares` of them.
        data: What ``residuals`` needs, a pytree of arrays of any shape [its units].
        name: The number to hold, such as ``"lens.f"`` or ``"mask.coefficients[3]"``.
        values: Where to hold it, ``(count,)`` [its unit]; by default three standard errors to both
            sides.
        learn: Patterns of the parameters that follow, and of the held one.
        priors: What was known before by pattern; they return any shape [1].
        scale: The factor s of the errors; by default from the residuals.
        steps: Steps of the others at every value, two at least.

    Returns:
        The profile, with its interval.

    Raises:
        ValueError: If there is no such number, it has no finite error and no values are given, or
            the steps are too few.

    Example:
        >>> x = jnp.linspace(-1, 1, 101)
        >>> line = lambda model, d: (model["slope"] * x + model["offset"] - d) / 0.1
        >>> model = {"slope": jnp.float32(2.0), "offset": jnp.float32(0.5)}
        >>> profile = profile_likelihood(model, line, 2 * x + 0.5, name="slope")
        >>> [round(v, 3) for v in profile.interval()]
        [1.983, 2.017]

    References:
        W. Q. Meeker and L. A. Escobar, Am. Stat. 49, 48 (1995); A. Raue et al., Bioinformatics 25,
        1923 (2009).
    """
    where = "profile_likelihood"
    _check.integer(where, "steps", steps, 2)
    with _check.named("uncertainty", where):
        known = uncertainty(model, residuals, data, learn=learn, priors=priors, scale=scale)
    _check.choice(where, "name", name, known.names)
    index = known.names.index(name)
    held = _values(where, known, index, values)
    with _check.named("calibrate", where):
        vector = Vector(model, learn=learn)
    rows = Rows(
        ModelResiduals(rows_of(where, residuals), vector.layout),
        PriorRows(vector.layout, tuple(named_priors(vector, priors or {}).items())),
    )
    starts = jnp.asarray(_foreseen(known, index, held), vector.flat.dtype)
    numbers = (vector.scales, vector.fixed, data)
    flats, rise, gained = _follow(rows, steps, index, vector.flat, starts, numbers)
    rise = np.asarray(rise, np.float64) / known.scale**2
    if np.max(np.asarray(gained)) > _SETTLED * known.scale**2:
        _check.warn(
            where, f"the other parameters still moved after {steps} steps. Pass more `steps`."
        )
    places = np.asarray(flats, np.float64)
    others = {n: places[:, k] for k, n in enumerate(known.names) if k != index}
    best = float(known.values[index])
    return Profile(name, held, rise, others, known.units[index], best)


@dataclasses.dataclass(frozen=True)
class Rows:
    """Residuals of the data and of the priors in one vector."""

    data: ModelResiduals
    priors: PriorRows

    def __call__(self, flat: Array, numbers: tuple) -> Array:
        """All of them, at the learned numbers ``flat``."""
        known = self.priors(flat, numbers[0])
        return jnp.concatenate([real_vector(tree) for tree in (self.data(flat, numbers), *known)])


def _values(where: str, known: Uncertainty, index: int, values: Any) -> np.ndarray:
    if values is not None:
        _check.finite_array(where, "values", values)
        return np.sort(np.atleast_1d(np.asarray(values, np.float64)))
    if not np.isfinite(known.errors[index]):
        raise ValueError(
            f"{where}: the data leave {known.names[index]!r} open, so its error is infinite. Pass "
            "`values` to say where to look, or give a prior."
        )
    reach = _SIGMAS * known.errors[index]
    return known.values[index] + np.linspace(-reach, reach, _POINTS)


def _foreseen(known: Uncertainty, index: int, held: np.ndarray) -> np.ndarray:
    """Where the others go if the misfit is a parabola."""
    column = known.covariance[:, index]
    finite = np.isfinite(known.errors)
    slope = np.where(finite, column, 0) / column[index] if finite[index] else 0 * known.values
    slope = np.where(np.arange(len(slope)) == index, 1.0, slope)
    return known.values + (held - known.values[index])[:, None] * slope


@partial(jax.jit, static_argnums=(0, 1))
def _follow(
    rows: Rows, steps: int, index: Array, best: Array, starts: Array, numbers: tuple
) -> tuple[Array, Array, Array]:
    """All numbers, the rise of the misfit, and what the last step gained, at every held value."""
    method = levenberg_marquardt(dense_limit=best.size)
    at_best = rows(best, numbers)
    place = jnp.arange(best.size)

    def one(start: Array) -> tuple[Array, Array, Array]:
        def whole(rest: Array) -> Array:
            spread = jnp.concatenate([rest, rest[-1:]])[place - (place > index)]
            return jnp.where(place == index, start, spread)

        objective = Objective(
            lambda rest: jnp.sum(rows(whole(rest), numbers) ** 2),
            lambda rest: rows(whole(rest), numbers),
        )

        def step(carry: tuple, _: None) -> tuple[tuple, Array]:
            rest, state = carry
            new = method.step(objective, rest, state, None)
            return (new.flat, new.state), method.value(new.state)

        rest = start[jnp.arange(best.size - 1) + (jnp.arange(best.size - 1) >= index)]
        (rest, _), costs = jax.lax.scan(step, (rest, method.init(rest)), None, length=steps)
        flat = whole(rest)
        r = rows(flat, numbers)
        # A difference of squares, so that a rise of one survives among a million.
        rise = jnp.vdot(r - at_best, r + at_best, precision="highest")
        return flat, rise, 2 * (costs[-2] - costs[-1])

    if best.size == 1:
        every = jax.lax.map(lambda start: rows(start, numbers), starts)
        rise = jnp.sum((every - at_best) * (every + at_best), axis=1)
        return starts, rise, jnp.zeros_like(rise)
    return jax.lax.map(one, starts)
