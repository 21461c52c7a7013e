"""Learns named parameters of a model from data, in one compiled program."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxwave import _check, _files, _npy
from jaxwave._code import code_digest, describe
from jaxwave.calibration import _host, _processes
from jaxwave.calibration._arguments import (
    as_arrays,
    require_functions,
    require_lists,
    require_mappings,
)
from jaxwave.calibration._job import Best, Job, Plan, digest
from jaxwave.calibration._spread import is_global, unmarked
from jaxwave.calibration._tree import real_vector, split, with_data
from jaxwave.calibration.constraints import Constraint
from jaxwave.calibration.optimizers import as_method
from jaxwave.calibration.priors import Prior
from jaxwave.calibration.progress import Bar, page
from jaxwave.elements.element import Element
from jaxwave.elements.storage import save_model
from jaxwave.elements.system import System

Loss = Callable[[Any, Any], Array]
Progress = Callable[[str, int, int, float, float], None]
_WHERE = "calibrate"


@dataclasses.dataclass(frozen=True)
class least_squares:
    r"""Makes a loss of residuals, as Levenberg-Marquardt and error bars need them.

    .. math:: L = \tfrac12 \sum_i r_i^2,\qquad r = (m - d)/\sigma

    Valid for any residuals; L is the negative log-likelihood where they are in units of their
    Gaussian noise. Complex residuals count with both parts.

    Args:
        residuals: ``residuals(model, data)``, an array or a pytree of arrays.

    Raises:
        TypeError: When called, if the residuals are not numbers.

    Example:
        >>> loss = least_squares(lambda model, data: (model["a"] - data) / 0.1)
        >>> round(float(loss({"a": jnp.float32(1.0)}, jnp.float32(0.8))), 3)
        2.0

    References:
        J. Nocedal and S. Wright, *Numerical Optimization*, 2nd ed., Ch. 10.
    """

    residuals: Callable[[Any, Any], Any]

    def __post_init__(self) -> None:
        _check.function("least_squares", "residuals", self.residuals)

    def __call__(self, model: Any, data: object) -> Array:
        """Half the sum of the squared residuals."""
        r = self.rows(model, data)
        return 0.5 * jnp.vdot(r, r, precision="highest")

    def rows(self, model: object, data: object) -> Array:
        """The residuals as one real vector."""
        residuals = self.residuals(model, data)
        if not jax.tree.leaves(residuals):
            raise ValueError("least_squares: `residuals` must return arrays, got none.")
        return real_vector(residuals)


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage of a calibration: what is learned, how, and for how long.

    Each stage starts where the one before ended, as from Zernike modes to a free pupil. What is
    None is as in the call of :func:`calibrate`. Valid in any order.

    Args:
        learn: Patterns of what is learned.
        steps: Number of steps.
        optimizer: The optimizer.
        learning_rates: Factor of the step by pattern.
        batch_size: Samples in a minibatch; 0 for all.
        tolerance: Smallest relative change of the loss between reports.
        patience: Reports without improvement.
        name: Shown in the progress bar.
        values: Values by pattern that parameters take when the stage begins, such as a switch
            that is not learned; what was compiled stays.

    Raises:
        ValueError: In :func:`calibrate`, where the values are used.

    Example:
        >>> Stage(learn=["zernike"], steps=60).steps
        60

    References:
        J. R. Fienup, "Phase-retrieval algorithms for a complicated optical system", Appl. Opt. 32,
        1737 (1993).
    """

    learn: str | Iterable[str] | None = None
    steps: int | None = None
    optimizer: Any = None
    learning_rates: Mapping[str, float] | None = None
    batch_size: int | None = None
    tolerance: float | None = None
    patience: int | None = None
    name: str | None = None
    values: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What a calibration has found.

    A local minimum, valid for the data that made it.

    Args:
        model: The model with the learned numbers; that of the caller is unchanged.
        learned: Dotted names of what was learned, over all stages.
        loss: Loss of the model, with the priors (of the last minibatch) [its unit].
        heldout_loss: Loss of the held-out data, without priors [its unit]; NaN without such data.
        history: ``loss`` of every step, ``heldout_loss`` at every report and its ``report_steps``,
            each an array ``(...)`` [unit of the loss]; of the best start.
        starts: End of every start, the held-out loss where there is one, ``(starts,)`` [its unit].
        reason: Why every stage ended, in words.
        seconds: Wall time, compilation included [s].

    Example:
        >>> import optax
        >>> result = calibrate({"a": jnp.float32(0.0)}, lambda model, d: (model["a"] - d) ** 2,
        ...                    jnp.float32(2.0), steps=20, optimizer=optax.sgd(0.4))
        >>> round(result.parameters()["a"].item(), 4), result.learned
        (2.0, ('a',))
    """

    model: Any
    learned: tuple[str, ...]
    loss: float
    heldout_loss: float
    history: dict[str, np.ndarray]
    starts: np.ndarray
    reason: str
    seconds: float

    def __repr__(self) -> str:
        heldout = "" if np.isnan(self.heldout_loss) else f", held-out {self.heldout_loss:.4g}"
        start = f" from {self.history['loss'][0]:.4g}" if len(self.history["loss"]) else ""
        count = f"{len(self.learned)} parameter{'s' * (len(self.learned) != 1)}"
        return (
            f"Calibration({count}, loss {self.loss:.4g}{start}{heldout}, "
            f"{len(self.history['loss'])} steps in {self.seconds:.3g} s: {self.reason})"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: the sentence, what was learned, and the way to it."""
        found = self.parameters()
        return page(repr(self), {name: found[name] for name in self.learned}, self.history)

    def parameters(self) -> dict[str, np.ndarray]:
        """All parameters of the model, learned or not, by dotted name."""
        structure, leaves = split(_WHERE, self.model)
        return {name: np.asarray(leaves[name]) for name in structure.parameters}

    def save(self, folder: str | os.PathLike) -> Path:
        """Writes ``parameters.npz``, ``history.npz`` and ``calibration.json`` into a folder.

        A model made of elements is written too, to ``model.json``, for
        :func:`~jaxwave.elements.load_model`.
        """
        place, where = Path(folder), "Calibration.save"
        place.mkdir(parents=True, exist_ok=True)
        summary = {
            "loss": self.loss,
            "heldout_loss": self.heldout_loss,
            "learned": list(self.learned),
            "reason": self.reason,
            "seconds": self.seconds,
            "starts": self.starts.tolist(),
        }
        summary = {k: None if v != v else v for k, v in summary.items()}  # JSON knows no NaN
        for name, arrays in (("parameters", self.parameters()), ("history", self.history)):
            _files.atomic(where, place / f"{name}.npz", partial(_npy.write_npz, arrays=arrays))
        text = json.dumps(summary, indent=2, allow_nan=False) + "\n"
        _files.atomic(where, place / "calibration.json", lambda out: out.write(text.encode()))
        if isinstance(self.model, Element | System):
            try:
                save_model(place / "model.json", self.model)
            except TypeError as error:  # the numbers are safe, only the way to build it is not
                _check.warn(where, f"model.json is left out: {error}")
        return place


def calibrate(
    model: object,
    loss: Loss,
    data: object = (),
    *,
    learn: str | Iterable[str] | None = None,
    optimizer: object = None,
    steps: int = 200,
    stages: Sequence[Stage] = (),
    starts: Sequence[Any] = (),
    heldout: object = None,
    heldout_loss: Loss | None = None,
    batch_size: int | None = None,
    key: Array | None = None,
    learning_rates: Mapping[str, float] | None = None,
    scales: Mapping[str, Any] | None = None,
    constraints: Mapping[str, Constraint] | None = None,
    priors: Mapping[str, Prior] | None = None,
    tolerance: float | None = None,
    patience: int | None = None,
    report_every: int | None = None,
    progress: Progress | bool = False,
    watch: Callable[[int, Any], None] | None = None,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
) -> Calibration:
    r"""Learns the named parameters of a model from data.

    .. math:: p^* = \arg\min_p\; L(p, d) + \tfrac12 \sum_i r_i(p)^2

    with the residuals r of the priors. The learned numbers are one real vector (complex ones as
    two), and the steps between two reports one compiled ``lax.scan``; the same loss, structure and
    options compile nothing the second time. Valid for losses that are differentiable in what is
    learned. A step to a non-finite loss or gradient is rejected and halved; after three in a row
    the calibration ends with the last good model and a warning that names the parameter.

    Args:
        model: Any flax nnx module, or any pytree of arrays; it is not changed.
        loss: ``loss(model, data)``, a real scalar [any unit], or :class:`least_squares`; to design
            a model without data, ``loss(model)``.
        data: Pytree of arrays that the loss needs; arguments of the program, never constants.
        learn: Patterns of dotted names, such as ``["mask.phase", "lens.*"]``; by default the
            ``nnx.Param`` of a module, all arrays of a plain pytree.
        optimizer: Any optax transformation (by default ``optax.adam(0.01)``), :func:`lbfgs` or
            :func:`levenberg_marquardt`.
        steps: Number of steps, of every stage that does not say otherwise.
        stages: Stages that follow each other; by default one.
        starts: Models to start from, instead of ``model``; they run as one batch, the best counts.
        heldout: Data that are not fitted; their loss is reported.
        heldout_loss: ``heldout_loss(model, heldout)``, a scalar [any unit]; by default ``loss``.
        batch_size: Samples of a minibatch, along the leading axis of all data; every sample comes
            once an epoch. The priors count in every minibatch.
        key: Random key of the minibatches, shape ``()`` [none]; by default ``jax.random.key(0)``.
        learning_rates: Factor of the step by pattern, for optax transformations.
        scales: Unit of the free numbers by pattern; good ones make all learned numbers of order
            one. Through a constraint, it is the unit of the constraint's free number.
        constraints: Constraint by pattern, such as ``{"lens.f": positive()}``.
        priors: Prior by pattern, such as ``{"na": normal(0.85, 0.01)}``; any function from a
            parameter to residuals ``(...)`` [standard deviations].
        tolerance: The calibration ends when the loss changes by a smaller fraction between two
            reports; by default 1e-7 for line-search and least-squares methods, none for others.
        patience: Reports without a better held-out loss (loss, without such data) that end it;
            the best model is returned.
        report_every: Steps between two reports; by default about 50, or 10 for methods with
            expensive steps.
        progress: True for a bar in the terminal, or a function that is called as
            ``progress(stage, step, steps, loss, heldout loss)``.
        watch: Function that is called as ``watch(step, model)`` at every report, for pictures as
            it goes; the step counts over all stages.
        checkpoint: Folder that holds the state, so that a killed run can go on.
        resume: Goes on from the folder's state, if there is one, to the very same numbers.

    Returns:
        The calibrated model with its history.

    Raises:
        ValueError: If a name matches nothing, nothing is learned, an option is out of range, the
            loss is not finite at the start, or the checkpoint belongs to another calibration.
        TypeError: If the loss is not a real scalar, or an option is of the wrong kind.

    Example:
        >>> from jaxwave.calibration import levenberg_marquardt
        >>> x = jnp.linspace(0, 1, 20)
        >>> line = least_squares(lambda model, y: model["a"] * x + model["b"] - y)
        >>> result = calibrate({"a": 0.0, "b": 0.0}, line, 3 * x + 1,
        ...                    optimizer=levenberg_marquardt(), steps=10)
        >>> {name: round(value.item(), 3) for name, value in result.parameters().items()}
        {'a': 3.0, 'b': 1.0}

    References:
        J. Nocedal and S. Wright, *Numerical Optimization*, 2nd ed.; D. P. Kingma and J. Ba,
        "Adam: a method for stochastic optimization", ICLR (2015).
    """
    began = time.perf_counter()
    require_functions(loss=loss, heldout_loss=heldout_loss, progress=progress or None, watch=watch)
    require_mappings(constraints=constraints, scales=scales, priors=priors)
    require_lists(stages=stages, starts=starts)
    marked = as_arrays("data", data)
    data, heldout = unmarked(marked), as_arrays("heldout", heldout)
    loss = with_data(loss, data)
    base = {
        "learn": list(learn) if isinstance(learn, set | dict | Iterator) else learn,
        "optimizer": optimizer,
        "steps": steps,
        "learning_rates": learning_rates,
        "batch_size": batch_size,
        "tolerance": tolerance,
        "patience": patience,
    }
    shared = {"constraints": constraints or {}, "scales": scales or {}, "priors": priors or {}}
    plans = [
        _plan(k, base, stage, report_every, shared, loss, data)
        for k, stage in enumerate(stages or [Stage(name="calibration")])
    ]
    models = list(starts) or [model]
    key = jax.random.key(0) if key is None else _check.key(_WHERE, key)
    _host.require_concrete(data, heldout, key)
    score = None if heldout is None else heldout_loss or loss
    job = Job(loss, data, heldout, score, key, len(starts), watch=watch)
    models, best = _run(job, plans, models, marked, (progress, checkpoint, resume))
    return _result(job, plans, models, best, began)


def _run(
    job: Job, plans: list[Plan], models: list[Any], marked: object, options: tuple[Any, ...]
) -> tuple[list[Any], Any]:
    """All stages, from where the folder's state left them; in many processes each its share."""
    progress, checkpoint, resume = options
    with contextlib.ExitStack() as parts:
        job.folder = None if checkpoint is None else _processes.entered(parts, checkpoint)
        if _processes.are_many():
            _host.share_out(job, models[0], marked, _settings(job, plans, models))
        models, first = _load(job, plans, models, resume)
        if _processes.is_first():
            job.show = parts.enter_context(Bar()) if progress is True else progress or None
        else:
            job.watch = None
        for number, plan in enumerate(plans):
            if number >= first:
                models, best = _host.run_stage(job, number, plan, models)
    return models, best


def _plan(
    k: int,
    base: Mapping[str, Any],
    stage: Stage,
    report_every: int | None,
    shared: Mapping[str, Any],
    loss: Loss,
    data: object,
) -> Plan:
    if not isinstance(stage, Stage):
        raise TypeError(f"{_WHERE}: every stage must be a Stage, got {type(stage).__name__}.")
    own = {name: getattr(stage, name) for name in base}
    chosen = {name: base[name] if value is None else value for name, value in own.items()}
    method, steps = as_method(_WHERE, chosen["optimizer"]), chosen["steps"]
    _check.integer(_WHERE, "steps", steps, 1)
    if method.squares and not isinstance(loss, least_squares):
        raise TypeError(
            f"{_WHERE}: {method} needs the residuals, got a loss. Pass least_squares(residuals)."
        )
    batch = _batch(method, chosen["batch_size"], data)
    require_mappings(learning_rates=chosen["learning_rates"], values=stage.values)
    for name, rate in (chosen["learning_rates"] or {}).items():
        _check.finite(_WHERE, f"learning_rates[{name!r}]", rate)
    if method.whole and chosen["learning_rates"]:
        raise ValueError(
            f"{_WHERE}: {method} chooses the length of its steps, so `learning_rates` would spoil "
            "them. Use `scales` instead."
        )
    if report_every is not None:
        _check.integer(_WHERE, "report_every", report_every, 1)
    if chosen["patience"] is not None:
        _check.integer(_WHERE, "patience", chosen["patience"], 1)
    tolerance = chosen["tolerance"]
    return Plan(
        name=stage.name or f"stage {k + 1}",
        learn=chosen["learn"],
        method=method,
        steps=steps,
        length=_length(steps, method.report_every, report_every),
        batch=batch,
        tolerance=method.tolerance if tolerance is None else float(tolerance),
        patience=chosen["patience"],
        rates=chosen["learning_rates"] or {},
        values=stage.values or {},
        **shared,
    )


def _length(steps: int, usual: int, wanted: int | None) -> int:
    """Steps between two reports: as wanted, or what divides the steps without a rest."""
    if wanted is not None or steps <= usual:
        return min(wanted or steps, steps)
    exact = [k for k in range(usual // 2, 2 * usual + 1) if steps % k == 0]
    return min(exact, key=lambda k: abs(k - usual)) if exact else usual


def _batch(method: Any, size: int | None, data: object) -> int:
    if not size:
        return 0
    _check.integer(_WHERE, "batch_size", size, 1)
    if method.whole:
        raise ValueError(
            f"{_WHERE}: {method} needs all data in every step, got batch_size={size}. Use an optax "
            "transformation, such as optax.adam(0.01), for minibatches."
        )
    counts = {leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(data)}
    if len(counts) != 1 or min(counts) < size:
        raise ValueError(
            f"{_WHERE}: minibatches need data with one leading axis of at least batch_size={size} "
            f"samples, got {sorted(counts)}."
        )
    return size


def _load(job: Job, plans: list[Plan], models: list[Any], resume: bool) -> tuple[list[Any], int]:
    if job.folder is None:
        if resume:
            raise ValueError(f"{_WHERE}: resume=True needs the run's folder, checkpoint=folder.")
        return models, 0
    folder = job.folder
    # All processes together look into arrays that no process holds alone.
    shared = any(map(is_global, jax.tree.leaves(job.data)))
    known = digest(job.data) if shared else None

    def read() -> dict[str, np.ndarray] | None:
        job.settings = _settings(job, plans, models) | {"data": known or digest(job.data)}
        if resume:
            return folder.load(job.settings)
        if (folder.path / "state.npz").exists():
            raise ValueError(
                f"{_WHERE}: the folder {str(folder.path)!r} holds the state of a calibration. "
                "Pass resume=True to go on from it, or choose another folder."
            )
        return None

    job.saved = _processes.arrays_from_first(read)
    if job.saved is None:
        return models, 0
    first = int(job.saved["stage"])
    job.learned = [k.removeprefix("model.") for k in job.saved if k.startswith("model.")]
    for plan in plans[:first]:  # what was not learned is not in the state
        models = [_host.with_values(model, plan.values) for model in models]
    return _host.restored(models, job.saved), first


def _settings(job: Job, plans: list[Plan], models: list[Any]) -> dict[str, Any]:
    """What must agree when a run goes on, and between processes; besides the data."""
    return {
        "loss": f"{describe(job.loss)}, code {code_digest(job.loss)}",
        "heldout_loss": f"{describe(job.score)}, code {code_digest(job.score)}",
        "heldout": digest(job.heldout),
        "start": digest([split(_WHERE, model)[1] for model in models]),
        "key": np.asarray(jax.random.key_data(job.key)).tolist(),
        "starts": job.starts,
        "stages": {str(k + 1): plan.settings() for k, plan in enumerate(plans)},
    }


def _result(
    job: Job, plans: list[Plan], models: list[Any], best: Best, began: float
) -> Calibration:
    names = [f"{plan.name}: " if len(plans) > 1 else "" for plan in plans]
    merit = best.heldout if job.score is not None else best.loss
    lead = int(np.argmin(np.where(np.isfinite(merit), merit, np.inf)))
    heldout = np.concatenate(job.scores, axis=1)[lead] if job.score is not None else np.zeros(0)
    return Calibration(
        model=models[lead],
        learned=tuple(job.learned),
        loss=float(best.loss[lead]),
        heldout_loss=float(best.heldout[lead]),
        history={
            "loss": np.concatenate(job.losses, axis=1)[lead],
            "heldout_loss": heldout,
            "report_steps": np.asarray(job.report_steps),
        },
        starts=merit,
        reason="; ".join(map(str.__add__, names, job.reasons)),
        seconds=time.perf_counter() - began,
    )
