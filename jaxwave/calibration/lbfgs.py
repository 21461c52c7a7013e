"""Minimization of a function without data: of a fit, or of a design."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax import Array

from jaxwave import _check
from jaxwave.calibration.calibrate import calibrate
from jaxwave.calibration.constraints import Constraint
from jaxwave.calibration.optimizers import lbfgs

Loss = Callable[..., Array]


Progress = Callable[[int, float, float | None], None]  # step, loss, heldout_loss


@dataclasses.dataclass(frozen=True)
class Minimum:
    """Where a minimization ended.

    Valid for the data and the loss that made it; a local minimum.

    Args:
        parameters: The parameters at the end, a pytree shaped like the start [its units].
        loss: Loss after each step, ``(steps,)`` [unit of the loss].
        heldout_loss: Held-out loss at each report, ``(reports,)`` [its unit]; empty without one.
        report_every: Steps between two reports.
        seconds: Wall time, compilation included [s].
        reason: Why it ended, in words.

    Example:
        >>> Minimum({}, np.zeros(3), np.zeros(0), 1, 0.1, "all steps done").reason
        'all steps done'
    """

    parameters: Any
    loss: np.ndarray
    heldout_loss: np.ndarray
    report_every: int
    seconds: float
    reason: str


def minimize(
    loss: Loss,
    start: object,
    *data: object,
    steps: int = 200,
    report_every: int = 10,
    heldout_loss: Loss | None = None,
    tolerance: float | None = None,
    memory: int = 20,
    optimizer: object = None,
    learn: str | Iterable[str] | None = None,
    learning_rates: Mapping[str, float] | None = None,
    scales: Mapping[str, Any] | None = None,
    constraints: Mapping[str, Constraint] | None = None,
    progress: Progress | None = None,
    watch: Callable[[int, Any], None] | None = None,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
) -> Minimum:
    r"""Minimizes a differentiable loss, compiled once: for fits, and for designs that have no data.

    .. math:: p_{k+1} = p_k - t_k H_k \nabla L(p_k)

    by L-BFGS, with a line search that satisfies the strong Wolfe conditions, so the loss never
    rises, or by any optax transformation. The steps between two reports are one compiled
    ``lax.scan``. Valid for smooth losses of parameters that are scaled to the order of one. A step
    with a non-finite loss or gradient is rejected; after three in a row the minimization ends with
    the last good parameters. What a step needs is told beforehand by
    ``jaxwave.memory(jax.value_and_grad(loss), start)``. The options are those of
    :func:`calibrate`.

    Args:
        loss: ``loss(parameters, *data)``, a real scalar [any unit].
        start: Parameters to start from, a pytree of real or complex arrays; or a flax module,
            such as the element of a plate, whose ``nnx.Param`` are learned.
        data: Arrays that the loss needs; arguments of the compiled program, never constants.
        steps: Number of steps at the most.
        report_every: Steps between two reports.
        heldout_loss: ``heldout_loss(parameters, *data)``, a scalar (shape ``()``) score of data
            that are not fitted [any unit], reported.
        tolerance: The minimization ends when the loss falls by a smaller fraction between two
            reports; by default 1e-7 for L-BFGS, never for others.
        memory: Number of past steps that approximate the Hessian.
        optimizer: Any optax transformation (a schedule is its learning rate); by default L-BFGS.
        learn: Patterns of the names that are learned.
        learning_rates: Factor of the step by pattern.
        scales: Unit of the free numbers by pattern.
        constraints: Constraint by pattern.
        progress: Called as ``progress(step, loss, heldout_loss or None)`` at every report.
        watch: Called as ``watch(step, parameters)`` at every report, for pictures as it goes.
        checkpoint: Folder that holds the state, so that a killed run can go on.
        resume: Goes on from the folder's state, if there is one.

    Returns:
        The minimum with its history.

    Raises:
        ValueError: If the loss or its gradient is not finite at the start; the message names the
            parameter.
        TypeError: If the loss is not a real scalar.

    Example:
        >>> import jax.numpy as jnp
        >>> result = minimize(lambda p, d: jnp.sum((p["a"] - d) ** 2), {"a": jnp.zeros(2)},
        ...                   jnp.array([1.0, 2.0]), steps=20)
        >>> result.parameters["a"].round(3).tolist()
        [1.0, 2.0]

    References:
        D. C. Liu and J. Nocedal, "On the limited memory BFGS method", Math. Program. 45, 503
        (1989).
    """
    _check.takes("minimize", "loss", loss, "parameters", *["data"] * len(data))
    report_every = max(1, min(report_every, steps))

    def report(stage: str, step: int, count: int, value: float, score: float) -> None:
        if progress is not None:
            progress(step, value, None if heldout_loss is None else score)

    with _check.named("calibrate", "minimize"):
        found = calibrate(
            start,
            _WithData(loss),
            data,
            learn=learn,
            optimizer=lbfgs(memory=memory) if optimizer is None else optimizer,
            learning_rates=learning_rates,
            scales=scales,
            constraints=constraints,
            steps=report_every * -(-steps // report_every),
            heldout=None if heldout_loss is None else data,
            heldout_loss=None if heldout_loss is None else _WithData(heldout_loss),
            tolerance=tolerance,
            report_every=report_every,
            progress=report,
            watch=watch,
            checkpoint=checkpoint,
            resume=resume,
        )
    is_module = isinstance(start, nnx.Module)
    return Minimum(
        found.model if is_module else jax.tree.map(np.asarray, found.model),
        found.history["loss"],
        found.history["heldout_loss"],
        report_every,
        found.seconds,
        found.reason,
    )


@dataclasses.dataclass(frozen=True)
class _WithData:
    """A loss of the parameters and each of the data."""

    function: Loss

    def __call__(self, parameters: Any, data: tuple) -> Array:
        return self.function(parameters, *data)
