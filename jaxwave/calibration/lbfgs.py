"""One compiled minimization: L-BFGS inside a scan, reported between chunks."""

import dataclasses
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.flatten_util import ravel_pytree

from jaxwave import _check

Loss = Callable[..., Array]


@dataclasses.dataclass(frozen=True)
class Minimum:
    r"""Where a minimization ended.

    .. math:: p^* \approx \arg\min_p L(p)

    Valid for the data and the loss that made it; a local minimum.

    Args:
        parameters: The parameters at the end, a pytree shaped like the start [its units].
        loss: Loss after each step, ``(steps,)`` [unit of the loss].
        heldout: Held-out score at each report, ``(reports,)`` [its unit]; empty without one.
        report_every: Steps between two reports.
        seconds: Wall time, compilation included [s].
        reason: Why it ended, in words.

    Raises:
        TypeError: If a part is missing.

    Example:
        >>> Minimum({}, np.zeros(3), np.zeros(0), 1, 0.1, "all steps done").reason
        'all steps done'

    References:
        J. Nocedal and S. Wright, *Numerical Optimization*, 2nd ed., Ch. 7.
    """

    parameters: Any
    loss: np.ndarray
    heldout: np.ndarray
    report_every: int
    seconds: float
    reason: str


def minimize(
    loss: Loss,
    start: Any,
    *data: Any,
    steps: int = 200,
    report_every: int = 10,
    heldout: Loss | None = None,
    tolerance: float = 1e-7,
    memory: int = 20,
    progress: Callable[[int, float, float | None], None] | None = None,
) -> Minimum:
    r"""Minimizes a differentiable loss by L-BFGS, compiled once.

    .. math:: p_{k+1} = p_k - t_k H_k \nabla L(p_k)

    with a line search that satisfies the strong Wolfe conditions, so the loss never rises. The
    steps between two reports are one compiled ``lax.scan``. Valid for smooth losses of real
    parameters that are scaled to the order of one. A step with a non-finite loss or gradient is
    rejected, and the minimization ends with the last good parameters.

    Args:
        loss: ``loss(parameters, *data)``, a real scalar [any unit].
        start: Parameters to start from, a pytree of real arrays.
        data: Arrays that the loss needs; arguments of the compiled program, never constants.
        steps: Number of steps at the most.
        report_every: Steps between two reports.
        heldout: ``heldout(parameters, *data)``, a scalar (shape ``()``) score of data that are
            not fitted [any unit], reported.
        tolerance: The minimization ends when the loss falls by a smaller fraction between two
            reports.
        memory: Number of past steps that approximate the Hessian.
        progress: Called as ``progress(step, loss, heldout score or None)`` at every report.

    Returns:
        The minimum with its history.

    Raises:
        ValueError: If the loss or its gradient is not finite at the start; the message names the
            parameter.
        TypeError: If a parameter is complex or the loss is not a real scalar.

    Example:
        >>> result = minimize(lambda p, d: jnp.sum((p["a"] - d) ** 2), {"a": jnp.zeros(2)},
        ...                   jnp.array([1.0, 2.0]), steps=20)
        >>> result.parameters["a"].round(3).tolist()
        [1.0, 2.0]

    References:
        D. C. Liu and J. Nocedal, "On the limited memory BFGS method", Math. Program. 45, 503
        (1989).
    """
    began = time.perf_counter()
    _check_start(start)
    flat, unravel = ravel_pytree(start)
    optimizer = _optimizer(memory)
    report_every = max(1, min(report_every, steps))
    chunk = partial(_chunk, loss, heldout, unravel, optimizer, report_every)
    # Through numpy, so that no weak type makes the second chunk compile again.
    carry = jax.tree.map(lambda a: jnp.asarray(np.asarray(a)), (flat, optimizer.init(flat), True))
    losses: list[np.ndarray] = []
    scores: list[float] = []
    reason = "all steps done"
    while report_every * len(losses) < steps:
        carry, values, score = chunk(carry, data)
        losses.append(np.asarray(values))
        if heldout is not None:
            scores.append(float(score))
        if not losses[1:] and not np.isfinite(losses[0][0]):
            _explain_start(loss, start, data)
        if progress is not None:
            shown = scores[-1] if scores else None
            progress(report_every * len(losses), float(losses[-1][-1]), shown)
        if not bool(carry[2]):
            reason = "stopped at a step with a non-finite loss or gradient"
            break
        before, after = float(losses[-1][0]), float(losses[-1][-1])
        if len(losses) > 1 and before - after <= tolerance * abs(before):
            reason = f"the loss fell by less than {tolerance:g} in {report_every} steps"
            break
    return Minimum(
        jax.tree.map(np.asarray, unravel(carry[0])),
        np.concatenate(losses),
        np.asarray(scores),
        report_every,
        time.perf_counter() - began,
        reason,
    )


@lru_cache
def _optimizer(memory: int) -> optax.GradientTransformationExtraArgs:
    linesearch = optax.scale_by_zoom_linesearch(20, initial_guess_strategy="one")
    return optax.lbfgs(memory_size=memory, linesearch=linesearch)


@partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))  # the same loss again compiles nothing
def _chunk(
    loss: Loss,
    heldout: Loss | None,
    unravel: Callable[[Array], Any],
    optimizer: optax.GradientTransformationExtraArgs,
    count: int,
    carry: tuple[Array, Any, Array],
    data: tuple,
) -> tuple[tuple[Array, Any, Array], Array, Array]:
    def value(flat: Array) -> Array:
        return loss(unravel(flat), *data)

    evaluate = optax.value_and_grad_from_state(value)

    def step(carry: tuple[Array, Any, Array], _: None) -> tuple[tuple[Array, Any, Array], Array]:
        flat, state, good = carry
        now, gradient = evaluate(flat, state=state)
        update, new = optimizer.update(
            gradient, state, flat, value=now, grad=gradient, value_fn=value
        )
        moved = optax.apply_updates(flat, update)
        good = good & jnp.isfinite(now) & jnp.all(jnp.isfinite(gradient))
        good = good & jnp.all(jnp.isfinite(moved))
        keep = partial(jnp.where, good)
        return (keep(moved, flat), jax.tree.map(keep, new, state), good), now

    carry, values = jax.lax.scan(step, carry, None, length=count)
    score = jnp.nan if heldout is None else heldout(unravel(carry[0]), *data)
    return carry, values, jnp.asarray(score)


def _check_start(start: Any) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(start):
        name = jax.tree_util.keystr(path)
        if jnp.iscomplexobj(leaf):
            raise TypeError(
                f"minimize: the parameter {name} must be real, got {jnp.result_type(leaf)}. "
                "Pass its real and imaginary parts as two parameters."
            )
        _check.finite_array("minimize", f"start{name}", leaf)


def _explain_start(loss: Loss, start: Any, data: tuple) -> None:
    value, gradient = jax.value_and_grad(loss)(start, *data)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        if not np.all(np.isfinite(np.asarray(leaf))):
            name = jax.tree_util.keystr(path)
            raise ValueError(
                f"minimize: the loss is {float(value)} at the start and its gradient with respect "
                f"to the parameter {name} is not finite. Start from other values."
            )
    raise ValueError(
        f"minimize: the loss must be finite at the start, got {float(value)}. "
        "Check the data for NaN and start from other values."
    )
