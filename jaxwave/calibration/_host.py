"""The part of a calibration that runs in Python: reports, early stopping, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxwave import _check
from jaxwave.calibration import _processes
from jaxwave.calibration._job import Best, Job, Plan, digest
from jaxwave.calibration._memory import halved, refuse
from jaxwave.calibration._spread import (
    is_global,
    samples_of,
    spread,
    two_samples,
)
from jaxwave.calibration._tree import split
from jaxwave.calibration.engine import (
    MOST_REJECTED,
    Carry,
    Inputs,
    Problem,
    Program,
    program,
)
from jaxwave.calibration.vector import Vector, by_name

_WHERE = "calibrate"
T = TypeVar("T")
_MOST_NAMED = 8
_CHECKPOINT_TIME_FRACTION = 0.1


def run_stage(job: Job, number: int, plan: Plan, models: list[Any]) -> tuple[list[Any], Best]:
    """Makes the steps of one stage; returns the models and what they reached."""
    vectors = _vectors(plan, [with_values(model, plan.values) for model in models])
    require_concrete([vector.flat for vector in vectors])
    prog, inputs = _prepare(job, plan, vectors)
    carry, best, done, reason = _begin(job, number, prog, vectors)
    while done < plan.steps and not reason:
        blind = _is_blind(plan, carry)
        try:
            (prog, inputs), (carry, told) = _fitting(
                job, plan, vectors, (prog, inputs), partial(_advance, carry, done, plan)
            )
            if job.folder is not None:
                job.folder.stop_signal = _processes.signal_of_any(job.folder.stop_signal)
        except jax.errors.JaxRuntimeError as error:
            _require_peers(job, error, number, done, carry, best, vectors)
            raise
        if not job.starts:
            told = {k: v[None] for k, v in told.items()}
        made = min(plan.length, plan.steps - done)
        done += made
        job.losses.append(told["losses"][:, :made])
        job.scores.append(told["heldout"][:, None])
        job.report_steps.append(job.steps)
        if done == made and job.score is None:
            best.loss = told["losses"][:, 0].copy()  # the start is the one to beat
        _require_heldout(job, told)
        best.update(told, plan.patience is not None, job.score is not None)
        if job.show is not None:
            lead = _lead(best)
            shown = float(told["loss"][lead]), float(told["heldout"][lead])
            job.show(plan.name, done, plan.steps, *shown)
        if job.watch is not None:
            lead = _lead(best)
            job.watch(job.steps, vectors[lead].unpack(jnp.asarray(best.flat[lead])))
        reason = _reason(plan, job, best, told, blind)
        hopeless = done == plan.steps and not any(np.isfinite(part).any() for part in job.losses)
        if reason.startswith("stopped") or hopeless:
            reason += _explain(job, prog, vectors, carry, inputs)
        _save(job, number, done, carry, best, reason, vectors, done == plan.steps or bool(reason))
    job.learned += [name for name in vectors[0].names if name not in job.learned]
    models = [v.unpack(jnp.asarray(flat)) for v, flat in zip(vectors, best.flat, strict=True)]
    job.reasons.append(reason or "all steps done")
    return models, best


def share_out(job: Job, model: Any, marked: Any, settings: Mapping[str, Any]) -> None:
    """Gives every process its samples, once it is sure that all were called alike."""
    pair = []
    if jax.tree.leaves(job.data):
        leaves, _, dealt, _ = samples_of(model, marked)
        pair = two_samples(leaves, dealt)
    shapes = [f"{leaf.dtype}{leaf.shape}" for leaf in jax.tree.leaves(job.data)]
    words = {k: np.frombuffer(repr(v).encode(), np.uint8) for k, v in settings.items()}
    text = np.frombuffer(repr(shapes).encode(), np.uint8)
    _processes.require_same(**{k: digest(v) for k, v in {"data": (pair, text), **words}.items()})
    if pair:
        job.spread = spread(job.loss, model, marked)


def require_concrete(*numbers: object) -> None:
    """Requires numbers that Python can look at."""
    if not _check.is_concrete(*numbers):
        raise TypeError(
            f"{_WHERE}: cannot run inside jax.jit, jax.vmap or jax.grad, because it decides by the "
            "numbers when to stop. Call it outside; `starts` and Joint run many at once."
        )


def _require_heldout(job: Job, told: dict[str, np.ndarray]) -> None:
    """Requires a held-out loss that can judge, when the first report comes."""
    first = len(job.report_steps) == 1 and told["whole"].any()
    if job.score is not None and first and not np.isfinite(told["heldout"]).any():
        value = float(told["heldout"][0])
        hint = _hint({"heldout": job.heldout})
        raise ValueError(f"{_WHERE}: the held-out loss is {value:g} from the beginning.{hint}")


Prepared: TypeAlias = tuple[Program, Inputs]


def _fitting(
    job: Job,
    plan: Plan,
    vectors: list[Vector],
    prepared: Prepared,
    call: Callable[[Program, Inputs], T],
) -> tuple[Prepared, T]:
    """Calls with a program; with one of half as many stacks at once while memory is short."""
    while True:
        try:
            return prepared, call(*prepared)
        except (jax.errors.JaxRuntimeError, MemoryError) as error:
            if not _check.exhausted(error):
                raise
            parts = [(name, halved(getattr(job, name))) for name in ("loss", "score")]
            if _processes.are_many():  # the others would go on with another program
                parts = []
            if all(part is None for _, part in parts):
                refuse(_WHERE, error, _less(plan))
            for name, part in parts:
                setattr(job, name, getattr(job, name) if part is None else part)
        prepared = _prepare(job, plan, vectors)


def _less(plan: Plan) -> str:
    """What needs less memory."""
    if plan.batch > 1:
        return f"Pass batch_size={plan.batch // 2} or less."
    return (
        "Pass data of half the width, which need a quarter, or fewer of them; minibatches "
        "(batch_size=... with an optax optimizer) need less, too."
    )


def _advance(
    carry: Carry, done: int, plan: Plan, prog: Program, inputs: Inputs
) -> tuple[Carry, dict[str, np.ndarray]]:
    """Makes the steps to the next report, and tells it."""
    place = np.int32(done), np.int32(plan.steps)
    if done + plan.length <= plan.steps:
        after, report = prog.chunk(carry, *place, inputs)
        told = _told(after, report._asdict())
        if told["whole"].all():
            return after, told
    after, report = prog.careful_chunk(carry, *place, inputs)
    return after, _told(after, report._asdict())


def _told(carry: Carry, report: dict[str, Any]) -> dict[str, np.ndarray]:
    """What decisions are made of, in all processes the same."""
    told = jax.device_get(report | {"rejected": carry.rejected})
    flat = told.pop("flat")
    return {**_processes.together(told), "flat": flat}


def _require_peers(
    job: Job,
    error: Exception,
    number: int,
    done: int,
    carry: Carry,
    best: Best,
    vectors: list[Vector],
) -> None:
    """Saves what there is and ends, if other processes have gone."""
    if not _processes.are_many():
        return
    run, saved = job.folder, False
    if run is not None and job.losses:
        run.stop_signal = None
        saved = _save(job, number, done, carry, best, "", vectors, True)
    _processes.lost(error, job.steps, None if run is None else run.path, saved)


def _lead(best: Best) -> int:
    merit = best.heldout if np.isfinite(best.heldout).any() else best.loss
    return int(np.argmin(np.where(np.isfinite(merit), merit, np.inf)))


def with_values(model: object, values: Mapping[str, Any]) -> Any:
    """The model with the values that a stage begins with."""
    if not values:
        return model
    structure, leaves = split(_WHERE, model)
    for name, value in by_name("values", values, structure, list(structure.parameters)).items():
        old = jnp.asarray(leaves[name])
        leaves[name] = jnp.broadcast_to(jnp.asarray(value, old.dtype), old.shape)
    return structure.merge(leaves)


def _vectors(plan: Plan, models: list[Any]) -> list[Vector]:
    options = {"constraints": plan.constraints, "scales": plan.scales}
    vectors = [Vector(model, learn=plan.learn, **options) for model in models]
    for k, vector in enumerate(vectors):
        if vector.layout != vectors[0].layout:
            raise ValueError(
                f"{_WHERE}: `starts` must all have the structure of the first model, with the "
                f"same names and shapes; number {k} differs."
            )
    return vectors


def _prepare(job: Job, plan: Plan, vectors: list[Vector]) -> tuple[Program, Inputs]:
    first = vectors[0]
    structure = first.layout.structure
    # What differs from start to start (it was learned in an earlier stage) is stacked.
    differ = [
        name
        for name, value in first.fixed.items()
        if any(v.fixed[name] is not value for v in vectors[1:])
    ]
    rates = None
    if plan.rates:
        chosen = by_name("learning_rates", plan.rates, structure, first.names)
        rates = np.ones(first.size, first.layout.dtype)
        for name, rate in chosen.items():
            rates[first.slices[name]] = rate
    priors = by_name("priors", plan.priors, structure, first.names)
    loss, data = job.spread or (job.loss, job.data)
    problem = Problem(
        loss=loss,
        method=plan.method,
        layout=first.layout,
        priors=tuple(priors.items()),
        length=plan.length,
        batch=plan.batch,
        samples=jax.tree.leaves(job.data)[0].shape[0] if plan.batch else 0,
        score=job.score,
        starts=job.starts,
    )
    inputs = Inputs(
        fixed={k: v for k, v in first.fixed.items() if k not in differ},
        own={name: jnp.stack([v.fixed[name] for v in vectors]) for name in differ},
        scales=first.scales,
        rates=None if rates is None else jnp.asarray(rates),
        data=data,
        heldout=job.heldout,
        key=job.key,
    )
    return program(problem), inputs


def _begin(
    job: Job, number: int, prog: Program, vectors: list[Vector]
) -> tuple[Carry, Best, int, str]:
    flats = jnp.stack([v.flat for v in vectors])
    carry = prog.start(flats if job.starts else flats[0])
    nothing = np.full(len(vectors), np.nan, flats.dtype)
    best = Best(np.asarray(flats), nothing, nothing.copy())
    saved = job.saved
    if saved is None or int(saved["stage"]) != number:
        return carry, best, 0, ""
    job.saved = None
    leaves, tree = jax.tree.flatten(carry)
    leaves = [jnp.asarray(saved[f"carry.{k}"], leaf.dtype) for k, leaf in enumerate(leaves)]
    best = Best(saved["keep"], saved["keep_loss"], saved["keep_heldout"], int(saved["stale"]))
    job.losses, job.scores = [saved["losses"]], [saved["scores"]]
    job.report_steps = saved["report_steps"].tolist()
    job.reasons = saved["reasons"].tolist()
    return jax.tree.unflatten(tree, leaves), best, int(saved["done"]), str(saved["reason"])


def _is_blind(plan: Plan, carry: Carry) -> bool:
    """Tells whether the next report is of one step that only looks where it stands."""
    value = plan.method.value(carry.state)
    return plan.length == 1 and value is not None and not np.isfinite(value).all()


def _reason(plan: Plan, job: Job, best: Best, told: dict[str, np.ndarray], blind: bool) -> str:
    if not told["whole"].any() and np.all(told["rejected"] >= MOST_REJECTED):
        return "stopped at a non-finite loss or gradient"
    if plan.patience is not None and best.stale >= plan.patience:
        what = "held-out loss" if job.score is not None else "loss"
        return f"the {what} has not improved for {best.stale} reports"
    before, after = told["losses"][:, 0], told["loss"]
    if plan.tolerance > 0 and len(job.report_steps) > 1 and not blind:
        if np.all(np.abs(before - after) <= plan.tolerance * np.abs(before)):
            return f"the loss changed by less than {plan.tolerance:g} in {plan.length} steps"
    return ""


def _explain(job: Job, prog: Program, vectors: list[Vector], carry: Carry, inputs: Inputs) -> str:
    """Which parameter went bad; an error where not even the start was good."""
    at, good = (np.asarray(a[0] if job.starts else a) for a in (carry.flat, carry.good))
    own = {k: v[0] for k, v in inputs.own.items()}
    value, gradient = jax.device_get(prog.gradient(at, inputs, own))
    bad = []
    for name, place in vectors[0].slices.items():
        mixed = good.copy()
        mixed[place] = at[place]  # this parameter alone
        moved = len(bad) < _MOST_NAMED and not np.array_equal(mixed, good)
        broken = moved and not np.isfinite(prog.gradient(mixed, inputs, own)[0])
        if broken or not np.isfinite(gradient[place]).all():
            bad.append(name)
    text = f": the loss is {float(value):g}"
    if 0 < len(bad) <= _MOST_NAMED:
        text += f", and {', '.join(map(repr, bad))} went where it or its gradient is not finite"
    hint = _hint({"data": job.data}) or _hint({"parameters": inputs.fixed})
    finite = np.flatnonzero(np.isfinite(np.concatenate(job.losses, axis=1)).any(axis=0))
    if not finite.size:
        raise ValueError(f"{_WHERE}: no step was possible{text}.{hint} Start elsewhere.")
    last = int(finite[-1]) + 1
    unmade = max(job.steps - last - MOST_REJECTED, 0)
    job.losses[-1] = job.losses[-1][:, : job.losses[-1].shape[1] - unmade]
    job.report_steps[-1] = job.steps
    _check.warn(
        _WHERE,
        f"stopped after {last} steps{text}, {MOST_REJECTED} times in a row. The last good "
        f"model is kept.{hint} Lower the learning rate or bound the parameter "
        "(constraints=...).",
    )
    return text


def _hint(tree: dict[str, Any]) -> str:
    """The first array of the only entry that is not finite, and where."""
    [name] = tree
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree[name]):
        if not jnp.issubdtype(leaf.dtype, jnp.inexact) or is_global(leaf):
            continue
        bad = np.argwhere(~np.isfinite(leaf))
        if len(bad):
            place = f"{name}{jax.tree_util.keystr(path)} holds {len(bad)} NaN or infinite values"
            fix = "Give them other values" if name == "parameters" else "Mask them in the loss"
            return f" {place}, the first one at index {tuple(bad[0].tolist())}. {fix}."
    return ""


# -- checkpoints ---------------------------------------------------------------------------


def _save(
    job: Job,
    number: int,
    done: int,
    carry: Carry,
    best: Best,
    reason: str,
    vectors: list[Vector],
    final: bool,
) -> bool:
    """Writes the state unless that has just been done; ends the program if a signal asked to."""
    run = job.folder
    if run is None:
        return False
    now = time.monotonic()
    if (
        run.stop_signal is None
        and not final
        and now - job.last_save < job.save_took / _CHECKPOINT_TIME_FRACTION
    ):
        return False
    state: dict[str, Any] = {
        "stage": np.int64(number),
        "done": np.int64(done),
        "reason": np.asarray(reason),
        "reasons": np.asarray(job.reasons, str),
        "keep": best.flat,
        "keep_loss": best.loss,
        "keep_heldout": best.heldout,
        "stale": np.int64(best.stale),
        "losses": np.concatenate(job.losses, axis=1),
        "scores": np.concatenate(job.scores, axis=1),
        "report_steps": np.asarray(job.report_steps),
    }
    state |= {f"carry.{k}": np.asarray(leaf) for k, leaf in enumerate(jax.tree.leaves(carry))}
    for name in job.learned:
        if name in vectors[0].fixed:
            state[f"model.{name}"] = np.stack([np.asarray(v.fixed[name]) for v in vectors])
        else:
            start = [v.values(v.flat)[name] for v in vectors]
            state[f"model.{name}"] = np.stack([np.asarray(value) for value in start])
    saved = run.save(state, job.settings)
    job.last_save = time.monotonic()
    job.save_took = job.last_save - now
    if run.stop_signal is not None:
        raise SystemExit(run.exit_code)
    return saved


def restored(models: list[Any], saved: dict[str, np.ndarray]) -> list[Any]:
    """The models as they were when the saved stage began."""
    result = []
    for k, model in enumerate(models):
        structure, leaves = split(_WHERE, model)
        for name, value in saved.items():
            if name.startswith("model."):
                leaves[name.removeprefix("model.")] = jnp.asarray(value[k])
        result.append(structure.merge(leaves))
    return result
