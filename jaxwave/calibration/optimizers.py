"""Ways to go downhill: any optax transformation, L-BFGS, Levenberg-Marquardt.

Each is a small frozen description with the same three functions, which the engine compiles into
its loop: ``init``, ``step`` and ``restart``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax
from jax import Array

from jaxwave import _check, numerics
from jaxwave.calibration._wolfe import line_search

Function = Callable[[Array], Array]


class Objective(NamedTuple):
    """What is minimized, as functions of the vector of free numbers, at one minibatch."""

    value: Function  # the loss with its priors, a scalar
    rows: Function  # least squares only: the residuals with those of the priors, a vector


class Step(NamedTuple):
    """One step: where it leads, and the loss that it started from."""

    flat: Array
    state: Any
    value: Array
    finite: Array
    good: Array  # the last place whose loss is known to be finite


class Method(Protocol):
    """How the engine sees an optimizer."""

    whole: bool  # needs all data in every step, and takes steps of its own length
    squares: bool  # needs residuals
    report_every: int
    tolerance: float

    def init(self, flat: Array) -> Any:
        """The state at the start."""

    def step(self, objective: Objective, flat: Array, state: Any, rates: Array | None) -> Step:
        """One step; ``rates`` multiply the update of every number."""

    def restart(self, flat: Array, state: Any) -> Any:
        """The state after a rejected step."""

    def value(self, state: Any) -> Array | None:
        """The loss at the newest place, where the state knows it."""


@dataclasses.dataclass(frozen=True)
class FirstOrder:
    """Any optax transformation of gradients."""

    transformation: optax.GradientTransformation
    whole = False
    squares = False
    report_every = 50
    tolerance = 0.0

    def init(self, flat: Array) -> Any:
        """The state at the start."""
        return self.transformation.init(flat)

    def step(self, objective: Objective, flat: Array, state: object, rates: Array | None) -> Step:
        """One step."""
        value, gradient = jax.value_and_grad(objective.value)(flat)
        update, new = optax.with_extra_args_support(self.transformation).update(
            gradient, state, flat, value=value, grad=gradient, value_fn=objective.value
        )
        moved = flat + (update if rates is None else rates * update)
        finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
        return Step(moved, new, value, finite, flat)

    def restart(self, flat: Array, state: object) -> Any:
        """The state after a rejected step."""
        return state

    def value(self, state: object) -> Array | None:
        """The loss at the newest place, where the state knows it."""
        return None


class _QuasiNewton(NamedTuple):
    value: Array  # at the newest place; infinite where nothing is known of it
    gradient: Array
    history: Any  # of the last steps


@dataclasses.dataclass(frozen=True)
class LBFGS:
    """Quasi-Newton steps with a line search; made by :func:`lbfgs`.

    The first step, and the first after a rejected one, only looks where it stands: so the loss is
    compiled once, in the line search.
    """

    memory: int
    whole = True
    squares = False
    report_every = 10
    tolerance = 1e-7

    def init(self, flat: Array) -> _QuasiNewton:
        """The state at the start."""
        history = _lbfgs(self.memory).init(flat)
        return _QuasiNewton(jnp.full((), jnp.inf, flat.dtype), jnp.zeros_like(flat), history)

    def step(
        self, objective: Objective, flat: Array, state: _QuasiNewton, rates: Array | None
    ) -> Step:
        """One step."""
        known = jnp.isfinite(state.value)
        update, history = _lbfgs(self.memory).update(state.gradient, state.history, flat)
        history = jax.tree.map(partial(jnp.where, known), history, state.history)
        downhill = jnp.vdot(update, state.gradient, precision="highest") > 0
        direction = -jnp.where(downhill, update, state.gradient)
        t, value, gradient = line_search(
            jax.value_and_grad(objective.value),
            flat,
            state.value,
            state.gradient,
            direction,
            most=_LOOKS,
        )
        moved = flat + t * direction
        finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
        finite = finite & jnp.all(jnp.isfinite(moved))
        before = jnp.where(known, state.value, value)
        new = _QuasiNewton(value, gradient, history)
        return Step(moved, new, before, finite, jnp.where(finite, moved, flat))

    def restart(self, flat: Array, state: _QuasiNewton) -> _QuasiNewton:
        """The state after a rejected step."""
        return self.init(flat)

    def value(self, state: _QuasiNewton) -> Array:
        """The loss at the newest place, where the state knows it."""
        return state.value


@lru_cache
def _lbfgs(memory: int) -> optax.GradientTransformation:
    return optax.scale_by_lbfgs(memory_size=memory)


def lbfgs(*, memory: int = 20) -> LBFGS:
    r"""Chooses the quasi-Newton method L-BFGS for a calibration.

    .. math:: x_{k+1} = x_k - t_k H_k \nabla L(x_k)

    with a line search that satisfies the strong Wolfe conditions, so the loss never rises. Valid
    for smooth losses of parameters that are scaled to the order of one; it needs all data in
    every step.

    Args:
        memory: Number of past steps that approximate the Hessian.

    Returns:
        The optimizer, for ``calibrate(..., optimizer=...)``.

    Raises:
        ValueError: If ``memory`` is less than one.
        TypeError: If ``memory`` is not an integer.

    Example:
        >>> lbfgs(memory=10)
        LBFGS(memory=10)

    References:
        D. C. Liu and J. Nocedal, "On the limited memory BFGS method", Math. Program. 45, 503
        (1989).
    """
    _check.integer("lbfgs", "memory", memory, 1)
    return LBFGS(memory)


class _Damped(NamedTuple):
    damping: Array
    growth: Array
    value: Array


@dataclasses.dataclass(frozen=True)
class LevenbergMarquardt:
    """Damped Gauss-Newton steps; made by :func:`levenberg_marquardt`."""

    damping: float
    dense_limit: int
    cg_steps: int
    whole = True
    squares = True
    report_every = 10
    tolerance = 1e-7

    def init(self, flat: Array) -> _Damped:
        """The state at the start."""
        number = jnp.ones((), flat.dtype)
        return _Damped(self.damping * number, 2 * number, jnp.inf * number)

    def step(self, objective: Objective, flat: Array, state: _Damped, rates: Array | None) -> Step:
        """One step."""
        dense = flat.size <= self.dense_limit
        rest, gradient, solve = (_dense if dense else _free(self.cg_steps))(objective.rows, flat)
        cost = 0.5 * jnp.vdot(rest, rest, precision="highest")
        finite = jnp.isfinite(cost) & jnp.all(jnp.isfinite(gradient))

        def half_square(x: Array) -> Array:
            r = objective.rows(x)
            return 0.5 * jnp.vdot(r, r, precision="highest")

        def refused(trial: tuple) -> Array:
            return ~trial[0] & (trial[1] < _TRIALS) & finite

        def attempt(trial: tuple) -> tuple:
            _, count, _, _, damping, growth = trial
            move, foreseen = solve(damping)
            reached = half_square(flat + move)
            lower = jnp.isfinite(reached) & (reached <= cost)
            gain = (cost - reached) / jnp.maximum(foreseen, jnp.finfo(cost.dtype).tiny)
            eased = damping * jnp.clip(1 - (2 * gain - 1) ** 3, 1 / 3, 2)
            return (
                lower,
                count + 1,
                jnp.where(lower, flat + move, flat),
                jnp.where(lower, reached, cost),
                jnp.where(lower, eased, damping * growth),
                jnp.where(lower, 2 * jnp.ones_like(growth), 2 * growth),
            )

        start = (
            jnp.zeros_like(finite),
            jnp.int32(0),
            flat,
            cost,
            state.damping,
            jnp.full_like(state.growth, 2),
        )
        _, _, moved, reached, damping, growth = jax.lax.while_loop(refused, attempt, start)
        limits = jnp.asarray(jnp.finfo(flat.dtype).eps, flat.dtype), jnp.asarray(1e8, flat.dtype)
        new = _Damped(jnp.clip(damping, *limits), growth, reached)
        return Step(moved, new, cost, finite, moved)

    def restart(self, flat: Array, state: _Damped) -> _Damped:
        """The state after a rejected step."""
        return self.init(flat)

    def value(self, state: _Damped) -> Array:
        """The loss at the newest place, where the state knows it."""
        return state.value


_TRIALS = 8  # dampings that are tried before a step is given up
_LOOKS = 20  # lengths that a line search tries


def _dense(rows: Function, flat: Array) -> tuple[Array, Array, Callable]:
    """Normal equations from the columns of the Jacobian, solved by Cholesky's method."""

    def column(direction: Array) -> Array:
        return jax.jvp(rows, (flat,), (direction,))[1]

    rest = rows(flat)
    # A loop over a few columns at a time: all at once would hold every image of every column.
    columns = numerics.map_rows(column, jnp.eye(flat.size, dtype=flat.dtype), 4)
    gradient = jnp.matmul(columns, rest, precision="highest")
    normal = jnp.matmul(columns, columns.T, precision="highest")
    diagonal = jnp.diagonal(normal)
    size = jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1))
    unit, slope = normal / (size[:, None] * size), gradient / size

    def solve(damping: Array) -> tuple[Array, Array]:
        factor = jax.scipy.linalg.cho_factor(unit + damping * jnp.eye(flat.size, dtype=flat.dtype))
        move = -jax.scipy.linalg.cho_solve(factor, slope)
        return move / size, 0.5 * jnp.vdot(move, damping * move - slope, precision="highest")

    return rest, gradient, solve


def _free(steps: int) -> Callable[[Function, Array], tuple[Array, Array, Callable]]:
    """Normal equations without a matrix, solved by conjugate gradients."""

    def prepare(rows: Function, flat: Array) -> tuple[Array, Array, Callable]:
        rest, push = jax.linearize(rows, flat)
        pull = jax.linear_transpose(push, flat)
        (gradient,) = pull(rest)
        norm = jnp.vdot(gradient, gradient, precision="highest")
        along = push(gradient)
        bend = jnp.vdot(along, along, precision="highest")
        size = bend / jnp.where(norm > 0, norm, 1)  # curvature downhill

        def solve(damping: Array) -> tuple[Array, Array]:
            def normal(v: Array) -> Array:
                return pull(push(v))[0] + damping * size * v

            move, _ = jax.scipy.sparse.linalg.cg(normal, -gradient, tol=1e-3, maxiter=steps)
            return move, 0.5 * jnp.vdot(move, damping * size * move - gradient, precision="highest")

        return rest, gradient, solve

    return prepare


def levenberg_marquardt(
    *, damping: float = 1e-3, dense_limit: int = 300, cg_steps: int = 50
) -> LevenbergMarquardt:
    r"""Chooses the Levenberg-Marquardt method for a least-squares calibration.

    .. math:: (J^T J + \mu\,\mathrm{diag}\,J^T J)\,\Delta x = -J^T r

    with the Jacobian J of the residuals r, column by column, up to ``dense_limit`` learned
    numbers; beyond, conjugate gradients use J only as a function, with µ times the curvature along
    the gradient on the diagonal. The damping µ follows the ratio of gained to foreseen decrease;
    a step that does not decrease the loss is tried again with more damping. Valid for smooth
    residuals, all data in every step.

    Args:
        damping: The first µ, one number [1].
        dense_limit: Most learned numbers for which the matrix is formed.
        cg_steps: Most steps of conjugate gradients for one step.

    Returns:
        The optimizer, for ``calibrate(..., optimizer=...)``; the loss must be
        :class:`~jaxwave.calibration.calibrate.least_squares`.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> levenberg_marquardt(damping=0.1)
        LevenbergMarquardt(damping=0.1, dense_limit=300, cg_steps=50)

    References:
        J. Nocedal and S. Wright, *Numerical Optimization*, 2nd ed., Sec. 10.3; H. B. Nielsen,
        "Damping parameter in Marquardt's method", IMM-REP-1999-05 (1999).
    """
    _check.positive("levenberg_marquardt", "damping", damping)
    _check.integer("levenberg_marquardt", "dense_limit", dense_limit, 0)
    _check.integer("levenberg_marquardt", "cg_steps", cg_steps, 1)
    return LevenbergMarquardt(float(damping), dense_limit, cg_steps)


@lru_cache
def _adam() -> optax.GradientTransformation:
    return optax.adam(1e-2)


def as_method(where: str, optimizer: Any) -> Method:
    """An optimizer as the engine sees it; Adam by default."""
    if optimizer is None:
        return FirstOrder(_adam())
    if isinstance(optimizer, optax.GradientTransformation):
        return FirstOrder(optimizer)
    if isinstance(optimizer, LBFGS | LevenbergMarquardt):
        return optimizer
    raise TypeError(
        f"{where}: `optimizer` must be an optax transformation, lbfgs() or levenberg_marquardt(), "
        f"got {type(optimizer).__name__}. For example optax.adam(0.01)."
    )
