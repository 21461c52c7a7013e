"""One compiled program for all chunks of a sweep: an outer loop, small batches inside."""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jaxwave._files import size_text
from jaxwave.sweeps.memory import NOMINAL, Memory, of_compiled, operations, working_set
from jaxwave.sweeps.points import WHERE, Points
from jaxwave.sweeps.target import Target

_CACHE = 8 * 2**20  # bytes that a batch may touch at a time on a CPU
_GPU = 256 * 2**20  # the same where wide batches are what makes a device busy
_MOST_BATCH = 256
_SECONDS = 1.0  # of one chunk, on a nominal processor
_CHUNK_BYTES = 32 * 2**20  # results of one chunk
_MOST_CHUNK = 2**16
_AXIS = "settings"
_NEED_VALUES = (
    jax.errors.ConcretizationTypeError,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """How many settings go at once, and what they give.

    Args:
        batch: Settings side by side.
        chunk: Settings of one call of the program, and of one file.
        result: Shapes of the results of one setting.
    """

    batch: int
    chunk: int
    result: Any


def plan(target: Target, points: Points, *, max_bytes: float, batch: int | None) -> Plan:
    """Chooses the sizes from shapes alone, so that every process chooses the same."""
    study = functools.partial(_study, target, points.row(0))
    key = (target.key, _shapes((target.numbers, points.row(0))), jax.local_device_count())
    scratch, made, seconds, result = _remembered(_STUDIES, key, study)
    devices = jax.local_device_count()
    if max(scratch, made) > max_bytes:
        raise ValueError(
            f"{WHERE}: one setting of {target.name}() needs {size_text(max(scratch, made))}, more "
            f"than the limit of {size_text(max_bytes)}. Pass a larger `max_bytes`."
        )
    if batch is None:
        cache = _CACHE if jax.default_backend() == "cpu" else _GPU
        batch = max(int(min(_MOST_BATCH, cache // scratch, max_bytes // (4 * scratch))), 1)
        batch = 2 ** int(math.log2(batch))
    room = min(_CHUNK_BYTES, max_bytes / 4) / made
    most = min(_MOST_CHUNK, room, _SECONDS / max(seconds, 1e-9))
    # Never one device without work, nor a batch that is mostly padding.
    most = max(int(most), batch * devices)
    chunks = math.ceil(points.count / most)
    share = math.ceil(points.count / chunks / devices)  # settings of one device and chunk
    batch = math.ceil(share / math.ceil(share / batch))
    return Plan(batch, batch * math.ceil(share / batch) * devices, result)


def _study(target: Target, row: Mapping[str, Any]) -> tuple[int, int, float, Any]:
    """Bytes of scratch and of results of one setting, its time, and the shapes of its results."""
    try:
        jaxpr, result = jax.make_jaxpr(target.call, return_shape=True)(target.numbers, row)
    except (TypeError, IndexError) as error:
        first = str(error).splitlines()[0]
        if not isinstance(error, _NEED_VALUES) and "concrete" not in first:
            raise
        raise TypeError(
            f"{WHERE}: {target.name}() needs the value of a setting where it makes shapes or "
            f"decisions, so it cannot be compiled for all settings at once ({first}). Sweep other "
            "names, and write a Python loop over this one."
        ) from None
    _require_arrays(target, result)
    seconds = sum(n / NOMINAL[kind] for kind, n in operations(jaxpr.jaxpr).items())
    return max(working_set(jaxpr.jaxpr), 1), max(_size(result), 1), seconds, result


def _require_arrays(target: Target, result: object) -> None:
    leaves = jax.tree_util.tree_leaves(result)
    if not leaves:
        raise TypeError(f"{WHERE}: {target.name}() returns no arrays, so there is nothing to keep.")


def _size(tree: object) -> int:
    leaves = jax.tree_util.tree_leaves(tree)
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)


# What was found and compiled for the last sweeps: the same line with other ranges compiles nothing.
_Memory = collections.OrderedDict[Any, Any]
_STUDIES: _Memory = collections.OrderedDict()
_PROGRAMS: _Memory = collections.OrderedDict()
_MOST_REMEMBERED = 16


def _remembered(memory: _Memory, key: object, make: Callable[[], Any]) -> Any:
    try:
        found = memory.pop(key) if key in memory else make()
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        return make()  # a choice without a hash
    memory[key] = found
    while len(memory) > _MOST_REMEMBERED:
        memory.popitem(last=False)
    return found


def _shapes(tree: object) -> Any:
    """What decides, of the arguments of a program, about the program."""
    leaves, structure = jax.tree.flatten(tree)
    shapes = ((np.shape(leaf), str(jax.dtypes.result_type(leaf))) for leaf in leaves)
    return structure, tuple(shapes), str(jnp.result_type(float))


class Program:
    """The compiled chunk: rows of settings in, results out."""

    def __init__(self, target: Target, points: Points, plan: Plan) -> None:
        self._numbers = (target.numbers, dict(points.fixed))
        self.size = plan.chunk
        rows = self._pad(points.rows(0, 1))
        arguments = (self._numbers, rows)
        key = (target.key, plan.batch, tuple(jax.local_devices()), _shapes(arguments))

        def compiled() -> tuple[Any, Memory]:
            traced = jax.jit(_chunk(target, plan.batch)).trace(*arguments)
            program = traced.lower().compile()
            return program, of_compiled(traced.jaxpr.jaxpr, program, 0.0)

        self._compiled, self.memory = _remembered(_PROGRAMS, key, compiled)

    def __call__(self, rows: Mapping[str, np.ndarray]) -> Any:
        """Starts a chunk; the last one is padded with its last setting."""
        return self._compiled(self._numbers, self._pad(rows))

    def _pad(self, rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        padded = {}
        for name, v in rows.items():
            v = v.astype(jax.dtypes.canonicalize_dtype(v.dtype))
            padded[name] = np.concatenate(
                [v, np.broadcast_to(v[-1:], (self.size - len(v), *v.shape[1:]))]
            )
        return padded


def _chunk(target: Target, batch: int) -> Callable[..., Any]:
    """A chunk on all devices of the process: on each a loop over small batches."""
    call = target.call

    def chunk(numbers: Any, rows: Mapping[str, Any]) -> Any:
        def one(row: Mapping[str, Any]) -> Any:
            return jax.tree.map(jnp.asarray, call(numbers[0], {**row, **numbers[1]}))

        return jax.lax.map(one, rows, batch_size=batch)

    devices = jax.local_devices()
    if len(devices) == 1:
        return chunk
    mesh = Mesh(np.array(devices), (_AXIS,))
    here, everywhere = PartitionSpec(_AXIS), PartitionSpec()
    return jax.shard_map(
        chunk, mesh=mesh, in_specs=(everywhere, here), out_specs=here, check_vma=False
    )


def finite_rows(values: object) -> np.ndarray:
    """Tells which rows hold finite numbers only.

    A processor's compiler makes a slow loop of this, which took a sixth of a sweep; numpy adds up
    each row, and looks again only at rows whose sum is not finite.
    """
    leaves = [v for v in jax.tree.leaves(values) if jnp.issubdtype(v.dtype, jnp.inexact)]
    good = np.ones(len(jax.tree.leaves(values)[0]), bool)
    for leaf in leaves:
        if jax.default_backend() != "cpu":
            good &= np.asarray(_finite(leaf))
            continue
        rows = np.asarray(leaf).reshape(len(good), -1)
        with np.errstate(all="ignore"):
            whole = np.isfinite(rows.sum(1))
        for k in np.flatnonzero(~whole):
            whole[k] = np.all(np.isfinite(rows[k]))
        good &= whole
    return good


@jax.jit
def _finite(leaf: jax.Array) -> jax.Array:
    return jnp.all(jnp.isfinite(leaf).reshape(len(leaf), -1), 1)
