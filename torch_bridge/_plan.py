"""One signature of a wrapped function: traced once, compiled on demand, found by its name."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import re
import threading
import weakref
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax.tree_util import PyTreeDef

from torch_bridge import _convert, _dlpack, _guard, _private
from torch_bridge._op import Aux, Aval, Op, is_inexact, settings

if TYPE_CHECKING:
    from torch_bridge._call import Call
    from torch_bridge._wrap import BridgedFunction


class CacheInfo(NamedTuple):
    """How a wrapped function's cache did: like ``functools.lru_cache``.

    Attributes:
        hits: Calls that found their signature.
        misses: Calls that traced the function.
        maxsize: Signatures that are kept.
        currsize: Signatures in the cache now.
    """

    hits: int
    misses: int
    maxsize: int
    currsize: int


class Kept:
    """A static value among the leaves of a call, or of a result.

    Values that are equal but not the same differ here, however deep: True and 1, 0.0 and -0.0. A
    NaN is the same as itself.
    """

    __slots__ = ("mark", "value")

    def __init__(self, value: object) -> None:
        self.value, self.mark = value, _mark(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kept) and bool(self.mark == other.mark)

    def __hash__(self) -> int:
        try:
            return hash(self.mark)
        except TypeError:  # a dataclass with fields that its own hash leaves out
            return hash(self.value)

    def __repr__(self) -> str:
        return f"{type(self.value).__name__} {self.value!r}"


def _mark(value: Any) -> Hashable:
    """What tells a value from others: its type and digits, and those of its parts."""
    kind = type(value)
    if isinstance(value, float):
        return kind, value.hex()
    if isinstance(value, complex):
        return kind, value.real.hex(), value.imag.hex()
    if isinstance(value, tuple | list):  # lists stand in dataclasses alone
        return kind, tuple(map(_mark, value))
    if isinstance(value, frozenset):
        return kind, frozenset(map(_mark, value))
    if dataclasses.is_dataclass(kind) and kind.__eq__ is not object.__eq__:
        fields = [f.name for f in dataclasses.fields(value) if f.compare]
        return kind, value, tuple(_mark(getattr(value, name)) for name in fields)
    return kind, value


def flat_function(
    fn: Callable[..., Any], treedef: PyTreeDef, leaves: Sequence[Any], store: dict[str, Any]
) -> Callable[..., list[Any]]:
    """The user's function of numbers and arrays; notes how its results are put together."""

    def flat(numbers: Sequence[Any], *xs: jax.Array) -> list[Any]:
        values, arrays = iter(numbers), iter(xs)
        filled = [
            leaf.value
            if isinstance(leaf, Kept)
            else next(arrays)
            if isinstance(leaf, Aval)
            else next(values)
            for leaf in leaves
        ]
        args, kwargs = jax.tree_util.tree_unflatten(treedef, filled)
        results, store["tree"] = jax.tree_util.tree_flatten(fn(*args, **kwargs))
        store["kept"] = [Kept(r) if isinstance(r, str | bytes) else None for r in results]
        return [jnp.asarray(r) for r in results if not isinstance(r, str | bytes)]

    return flat


def inputs_of(leaves: Sequence[Any]) -> tuple[tuple[Any, ...], list[Aval]]:
    """The numbers and the arrays among the leaves."""
    numbers = tuple(leaf for leaf in leaves if not isinstance(leaf, Aval | Kept))
    return numbers, [leaf for leaf in leaves if isinstance(leaf, Aval)]


def _is_loss(outs: Sequence[Aval]) -> bool:
    """Tells whether the results hold one real scalar, which asks for one gradient.

    Half precision is left out: loss scaling must reach the inside of its backward pass.
    """
    scalars = [out for out in outs if is_inexact(out)]
    return [(out.shape, out.dtype.kind) for out in scalars] == [((), "f")] and (
        scalars[0].dtype.itemsize >= 4
    )


class Plan:
    """The traced function of one signature, and how its results are put together.

    Args:
        fn: The user's function.
        call: A call of this signature.
        device: Where numpy views go, if not to JAX's default device.
        bridge: The name of the wrapped function in this process.
        others: Its other plans.
        residuals: As of :func:`wrap`.
        check_finite: As of :class:`Op`.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        call: Call,
        *,
        device: jax.Device | None,
        bridge: str,
        others: Sequence[Plan],
        residuals: str,
        check_finite: bool,
    ) -> None:
        self.key, self.pinned = call.key, False
        leaves = call.leaves()
        numbers, ins = inputs_of(leaves)
        store: dict[str, Any] = {}
        with settings(call.x64, device):
            traced = jax.make_jaxpr(flat_function(fn, call.treedef, leaves, store))(numbers, *ins)
        _dlpack.check_concrete(traced.consts)
        self.out_tree, self.kept = store["tree"], store["kept"]
        jaxpr = traced.jaxpr
        program = str(jaxpr)
        self.digest = _digest(repr(call.key)) + _digest(program, traced.consts)
        # Callbacks and derivatives of one's own print no more than their names.
        self.is_told = "custom_vjp" not in program and _ADDRESS.search(program) is None
        handle = f"{bridge}@{self.digest}"
        taken = {plan.op.handle for plan in others if plan.key != call.key}
        while handle in taken:  # static values that print alike
            handle += "'"

        def run(aux: Aux, *xs: jax.Array) -> tuple[Any, ...]:
            consts, values = aux
            return tuple(_private.eval_jaxpr(jaxpr, consts, *values, *xs))

        outs = [Aval(a.shape, a.dtype) for a in traced.out_avals]
        for index, out in enumerate(outs):
            if out.dtype not in _convert.TORCH_DTYPES:
                raise TypeError(
                    f"{bridge.partition('#')[0]}: result {index} has dtype {out.dtype}, which "
                    "torch does not have. Return jax.random.key_data(key) for a random key, and "
                    "convert other types with .astype."
                )
        self.op: Op = Op(
            run,
            traced.consts,
            numbers,
            ins,
            outs,
            x64=call.x64,
            device=device,
            handle=handle,
            residuals=residuals if residuals != "auto" else "fused" if _is_loss(outs) else "save",
            check_finite=check_finite,
        )

    def join(self, outs: Sequence[torch.Tensor]) -> Any:
        """The results in the structure that the user's function returned."""
        rest = iter(outs)
        leaves = [next(rest) if kept is None else kept.value for kept in self.kept]
        return jax.tree_util.tree_unflatten(self.out_tree, leaves)


class Cache:
    """The most recently used plans; threads that race trace one signature once."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._plans: OrderedDict[Hashable, Plan] = OrderedDict()
            self._hits = self._misses = 0

    def get(self, call: Call, build: Callable[[Call], Plan]) -> Plan:
        """The plan of a call's signature, built if it is new."""
        with self._lock:
            plan = self._plans.get(call.key)
            if plan is not None:
                self._plans.move_to_end(call.key)
                self._hits += 1
                return plan
            self._misses += 1
            plan = self._plans[call.key] = build(call)
            if len(self._plans) > self.size:
                _, oldest = self._plans.popitem(last=False)
                if not oldest.pinned:
                    oldest.op.cache.clear()  # a ring of references; a backward pass makes it again
                del oldest
                _guard.give_memory_back()
            return plan

    def plans(self) -> list[Plan]:
        """All plans that are kept."""
        with self._lock:
            return list(self._plans.values())

    def info(self) -> CacheInfo:
        """The counts."""
        return CacheInfo(self._hits, self._misses, self.size, len(self._plans))


# -- The living wrapped functions by name: how compiled programs find them ----------------------
#
# A graph of torch.compile says ``name#number@signature+program``: one function of this process, and
# what it computes, since torch keeps compiled graphs on disk. An exported program of a function
# whose ``name`` was given says ``name@signature``, which holds in every process.

bridges: weakref.WeakValueDictionary[str, BridgedFunction] = weakref.WeakValueDictionary()
_families: defaultdict[str, weakref.WeakSet[BridgedFunction]] = defaultdict(weakref.WeakSet)
_counts: Counter[str] = Counter()
_lock = threading.Lock()
_ADDRESS = re.compile(r" at 0x[0-9a-fA-FX]+")


def _digest(text: str, arrays: Sequence[jax.Array] = ()) -> str:
    """The same in every process: objects and functions print with their address."""
    found = hashlib.sha256(_ADDRESS.sub("", text).encode())
    for array in arrays:
        is_key = jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
        found.update(np.asarray(jax.random.key_data(array) if is_key else array).tobytes())
    return found.hexdigest()[:16]


def register(bridge: BridgedFunction, name: str) -> str:
    """A name that no bridge of this process has or had: a program may outlive its function."""
    name = re.sub("[/@#]", "_", name)
    with _lock:
        _counts[name] += 1
        handle = f"{name}#{_counts[name]}"
        bridges[handle] = bridge
        _families[name].add(bridge)
    return handle


def find_plan(handle: str) -> Plan | None:
    """The plan of a handle, if it was compiled for or warmed up, kept from now on.

    Raises:
        RuntimeError: If living functions of one given name differ.
    """
    name, _, digest = handle.partition("@")
    bridge = bridges.get(name)
    if bridge is not None:
        return bridge.find(handle)
    name = name.partition("#")[0]
    plans = _named_plans(name, digest)
    if _differ(plans):
        raise RuntimeError(
            f"torch_bridge: several living functions are named '{name}' and compute different "
            "things. Give each its own: wrap(fn, name=...)."
        )
    return find_plan(plans[-1].op.handle) if plans else None


def _named_plans(name: str, digest: str) -> list[Plan]:
    """The plans of all living functions that were given this name, the newest last."""
    plans = _family_plans(name, digest)
    if _differ(plans):
        del plans
        gc.collect()  # a function that was wrapped anew may live on in a ring of references
        plans = _family_plans(name, digest)
    return plans


def _family_plans(name: str, digest: str) -> list[Plan]:
    with _lock:
        family = [bridge for bridge in _families[name] if bridge.is_named]
    family.sort(key=lambda bridge: int(bridge.handle.rpartition("#")[2]))
    return [plan for bridge in family for plan in bridge.plans() if plan.digest.startswith(digest)]


def _differ(plans: Sequence[Plan]) -> bool:
    return len({plan.digest if plan.is_told else id(plan) for plan in plans}) > 1


def export_handle(bridge: BridgedFunction, plan: Plan) -> str:
    """What a program that is saved says: as little as tells the plan from all others."""
    name = bridge.handle.partition("#")[0]
    for digest in (plan.digest[:16], plan.digest):
        plans = _named_plans(name, digest)
        if not _differ([plan, *plans]):
            return f"{name}@{digest}"
    return plan.op.handle
