"""The compiled part of a calibration: a scan of steps between two reports."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxwave.calibration._key import key
from jaxwave.calibration._tree import Leaves, real_vector
from jaxwave.calibration.optimizers import Method, Objective, Step
from jaxwave.calibration.priors import Prior
from jaxwave.calibration.vector import Layout

MOST_REJECTED = 3  # rejected steps in a row that end a calibration
_MOST_PROGRAMS = 32


class Carry(NamedTuple):
    """What a step hands to the next one."""

    flat: Array  # where the loss is evaluated next
    good: Array  # the last place with a finite loss and gradient
    state: Any  # of the optimizer
    rejected: Array  # steps in a row
    factor: Array  # of the step's length, halved at every rejected step


class Inputs(NamedTuple):
    """The numbers that a program works on."""

    fixed: Leaves  # parameters that are not learned
    own: Leaves  # those of them that differ from start to start, stacked
    scales: Leaves
    rates: Array | None  # factor of the update of every learned number
    data: Any
    heldout: Any
    key: Array  # of the minibatches


class Report(NamedTuple):
    """What the host gets to see after a chunk of steps."""

    losses: Array  # of every step, NaN for those that were not made
    loss: Array  # at ``flat``
    heldout: Array  # at ``flat``
    flat: Array  # the place to keep
    whole: Array  # whether everything was finite


@dataclasses.dataclass(frozen=True)
class Problem:
    """All that decides which program is compiled."""

    loss: Callable
    method: Method
    layout: Layout
    priors: tuple[tuple[str, Prior], ...]
    length: int  # steps between two reports
    batch: int  # samples in a minibatch, 0 for all data
    samples: int  # of which minibatches are made
    score: Callable | None  # of the held-out data
    starts: int  # 0 for one model, without an axis

    def objective(self, inputs: Inputs, fixed: Leaves, data: object) -> Objective:
        """The loss with its priors, as a function of the vector."""
        of_squares = hasattr(self.loss, "rows")

        def parts(flat: Array) -> tuple[Any, list[Array]]:
            values = self.layout.values(flat, inputs.scales)
            model = self.layout.model(values, fixed)
            return model, [jnp.ravel(prior(values[name])) for name, prior in self.priors]

        def value(flat: Array) -> Array:
            if of_squares:
                r = rows(flat)
                return 0.5 * jnp.vdot(r, r, precision="highest")
            model, beliefs = parts(flat)
            squares = (jnp.vdot(r, r, precision="highest") for r in beliefs)
            return scalar(self.loss(model, data)) + 0.5 * sum(squares)

        def rows(flat: Array) -> Array:
            model, beliefs = parts(flat)
            r = self.loss.rows(model, data)  # type: ignore[attr-defined]
            return jnp.concatenate([r, real_vector(beliefs)]) if beliefs else r

        return Objective(value, rows)

    def judge(self, inputs: Inputs, fixed: Leaves, flat: Array) -> Array:
        """The score of the held-out data, without priors."""
        if self.score is None:
            return jnp.asarray(jnp.nan, flat.dtype)
        model = self.layout.model(self.layout.values(flat, inputs.scales), fixed)
        return scalar(self.score(model, inputs.heldout))


def scalar(value: object) -> Array:
    """Requires what can be minimized."""
    try:
        value = jnp.asarray(value)
    except (TypeError, ValueError):
        kind = type(value).__name__
        raise TypeError(f"calibrate: the loss must be a real scalar, got {kind}.") from None
    if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
        raise TypeError(
            f"calibrate: the loss must be a real scalar, got {value.dtype} of the shape "
            f"{value.shape}. Sum or average it; take the real part or the square."
        )
    return value


# -- the program ---------------------------------------------------------------------------


def chunk(
    problem: Problem,
    careful: bool,
    carry: Carry,
    first: Array,
    limit: Array,
    inputs: Inputs,
    own: Leaves,
) -> tuple[Carry, Report]:
    """Makes the steps from ``first``, ``problem.length`` of them.

    A careful chunk stops at ``limit`` and rejects steps that are not finite. To choose between
    old and new in every step costs a third of a fast step, so chunks are careful only where a
    plain one has met something that is not finite.
    """
    method, fixed = problem.method, {**inputs.fixed, **own}
    picks = _minibatches(problem, inputs, first)

    def objective(pick: Array | None) -> Objective:
        data = inputs.data
        if pick is not None:
            data = getattr(problem.loss, "pick", _pick)(data, pick)
        return problem.objective(inputs, fixed, data)

    def step(carry: Carry, x: tuple[Array, Array | None]) -> tuple[Carry, Array]:
        index, pick = x
        rates = carry.factor if inputs.rates is None else carry.factor * inputs.rates
        new = method.step(objective(pick), carry.flat, carry.state, rates)
        if careful:
            going = (index < limit) & (carry.rejected < MOST_REJECTED)
            return _choose(method, carry, new, going), jnp.where(going, new.value, jnp.nan)
        return carry._replace(flat=new.flat, state=new.state), new.value

    indices = first + jnp.arange(problem.length)
    carry, losses = jax.lax.scan(step, carry, (indices, picks))
    value = objective(None if picks is None else picks[-1]).value
    loss = method.value(carry.state)
    if loss is None:
        loss = value(carry.flat)
    whole = jnp.isfinite(loss) & jnp.all(jnp.isfinite(carry.flat))
    if careful:
        whole = whole & (carry.rejected == 0)
        flat = jnp.where(whole, carry.flat, carry.good)
        loss = jnp.where(whole, loss, value(carry.good))
    else:
        whole = whole & jnp.all(jnp.isfinite(losses))
        flat = carry.flat
        carry = carry._replace(good=flat)
    return carry, Report(losses, loss, problem.judge(inputs, fixed, flat), flat, whole)


def _choose(method: Method, carry: Carry, new: Step, going: Array) -> Carry:
    """The new step, or half the way to the place that was not good."""
    ok, bad = going & new.finite, going & ~new.finite
    again = bad & (carry.rejected < MOST_REJECTED - 1)  # else the bad place is looked at
    flat = jnp.where(again, (carry.good + carry.flat) / 2, carry.flat)
    state = carry.state
    if (restarted := method.restart(carry.good, state)) is not state:
        flat = jnp.where(again, carry.good, carry.flat)
        state = jax.tree.map(partial(jnp.where, bad), restarted, state)
    return Carry(
        flat=jnp.where(ok, new.flat, flat),
        good=jnp.where(ok, new.good, carry.good),
        state=jax.tree.map(partial(jnp.where, ok), new.state, state),
        rejected=jnp.where(ok, 0, carry.rejected + bad),
        factor=jnp.where(bad, carry.factor / 2, carry.factor),
    )


def _pick(data: Any, numbers: Array) -> Any:
    return jax.tree.map(lambda a: jnp.take(a, numbers, axis=0), data)


def _minibatches(problem: Problem, inputs: Inputs, first: Array) -> Array | None:
    """Numbers of the samples of every step, ``(length, batch)``: each sample once an epoch.

    They depend on the key and the number of the step alone, so that a run can go on anywhere.
    """
    if not problem.batch:
        return None
    count = problem.samples
    per_epoch = count // problem.batch
    epochs = -(-problem.length // per_epoch) + 1
    start = first // per_epoch

    def shuffled(epoch: Array) -> Array:
        order = jax.random.permutation(jax.random.fold_in(inputs.key, epoch), count)
        return order[: per_epoch * problem.batch].reshape(per_epoch, problem.batch)

    orders = jax.vmap(shuffled)(start + jnp.arange(epochs)).reshape(-1, problem.batch)
    return jax.lax.dynamic_slice_in_dim(orders, first - start * per_epoch, problem.length)


class Program:
    """The compiled functions of a problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.traces = 0
        # The carry is not donated: a chunk that met NaN is made again, carefully.
        # With data on many devices, all of them have what a step hands to the next one.
        jit = partial(jax.jit, out_shardings=getattr(problem.loss, "everywhere", None))
        self.chunk = jit(partial(self._chunk, False))
        self.careful_chunk = jit(partial(self._chunk, True))
        self.gradient = jit(self._gradient)
        self.start = jit(self._start)

    def _start(self, flat: Array) -> Carry:
        def start(flat: Array) -> Carry:
            count, factor = jnp.zeros((), jnp.int32), jnp.ones((), flat.dtype)
            state = self.problem.method.init(flat)
            # A weak type would make the second chunk another program.
            state = jax.tree.map(lambda a: jax.lax.convert_element_type(a, a.dtype), state)
            return Carry(flat, flat + 0, state, count, factor)

        return (jax.vmap(start) if self.problem.starts else start)(flat)

    def _chunk(
        self, careful: bool, carry: Carry, first: Array, limit: Array, inputs: Inputs
    ) -> tuple[Carry, Report]:
        self.traces += 1
        run = partial(chunk, self.problem, careful)
        if self.problem.starts:
            run = jax.vmap(run, in_axes=(0, None, None, None, 0))
        return run(carry, first, limit, inputs, inputs.own)

    def _gradient(self, flat: Array, inputs: Inputs, own: Leaves) -> tuple[Array, Array]:
        fixed = {**inputs.fixed, **own}
        data = inputs.data
        return jax.value_and_grad(self.problem.objective(inputs, fixed, data).value)(flat)


_programs: OrderedDict[Any, Program] = OrderedDict()


def program(problem: Problem) -> Program:
    """The program of a problem, made once; the oldest ones are forgotten."""
    name = key(problem)
    if name not in _programs:
        _programs[name] = Program(problem)
        while len(_programs) > _MOST_PROGRAMS:
            _programs.popitem(last=False)
    _programs.move_to_end(name)
    return _programs[name]
