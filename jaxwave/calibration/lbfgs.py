"""Minimization of a plain function by L-BFGS: a calibration without names."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import Array

from jaxwave.calibration.calibrate import calibrate
from jaxwave.calibration.optimizers import lbfgs

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
    steps between two reports are one compiled ``lax.scan``. Valid for smooth losses of
    parameters that are scaled to the order of one. A step with a non-finite loss or gradient is
    rejected; after three in a row the minimization ends with the last good parameters.

    Args:
        loss: ``loss(parameters, *data)``, a real scalar [any unit].
        start: Parameters to start from, a pytree of real or complex arrays.
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
    report_every = max(1, min(report_every, steps))

    def report(stage: str, step: int, count: int, value: float, score: float) -> None:
        if progress is not None:
            progress(step, value, None if heldout is None else score)

    found = calibrate(
        start,
        _WithData(loss),
        data,
        optimizer=lbfgs(memory=memory),
        steps=report_every * -(-steps // report_every),
        heldout=None if heldout is None else data,
        heldout_loss=None if heldout is None else _WithData(heldout),
        tolerance=tolerance,
        report_every=report_every,
        progress=report,
    )
    return Minimum(
        jax.tree.map(np.asarray, found.model),
        found.history["loss"],
        found.history["heldout"],
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
