"""One signature of a wrapped function: traced once, compiled on demand, found by its name."""

import dataclasses
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import torch

from torch_bridge import _convert, _guard, _private
from torch_bridge._op import Aval, Numbers, Op, settings


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

    def __init__(self, value: Any) -> None:
        self.value, self.mark = value, _mark(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kept) and bool(self.mark == other.mark)

    def __hash__(self) -> int:
        return hash(self.mark)

    def __repr__(self) -> str:
        return f"{type(self.value).__name__} {self.value!r}"


def _mark(value: Any) -> Hashable:
    """What tells a value from others: its type and digits, and those of its parts."""
    kind = type(value)
    if isinstance(value, float):
        return kind, value.hex()
    if isinstance(value, complex):
        return kind, value.real.hex(), value.imag.hex()
    if isinstance(value, tuple):
        return kind, tuple(map(_mark, value))
    if isinstance(value, frozenset):
        return kind, frozenset(map(_mark, value))
    if dataclasses.is_dataclass(kind) and kind.__eq__ is not object.__eq__:
        fields = [f.name for f in dataclasses.fields(value) if f.compare]
        return kind, value, tuple(_mark(getattr(value, name)) for name in fields)
    return kind, value


def flat_function(
    fn: Callable[..., Any], treedef: Any, leaves: Sequence[Any], store: dict[str, Any]
) -> Callable[..., list[Any]]:
    """The user's function of numbers and arrays; notes how its results are put together."""

    def flat(numbers: Sequence[Any], *xs: Any) -> list[Any]:
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


class Plan:
    """The traced function of one signature, and how its results are put together.

    Args:
        fn: The user's function.
        key: What tells the signature from others.
        treedef: Structure of ``(args, kwargs)``.
        leaves: One item a leaf: an :class:`~jax.ShapeDtypeStruct`, a number, or :class:`Kept`.
        x64: Whether it runs with 64-bit types.
        device: Where numpy views go, if not to JAX's default device.
        handle: The name of the plan in compiled and exported programs.
        residuals: As of :class:`Op`.
        check_finite: As of :class:`Op`.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        key: Hashable,
        treedef: Any,
        leaves: Sequence[Any],
        *,
        x64: bool,
        device: jax.Device | None,
        handle: str,
        residuals: str,
        check_finite: bool,
    ) -> None:
        self.key = key
        numbers, ins = inputs_of(leaves)
        store: dict[str, Any] = {}
        with settings(x64, device):
            traced = jax.make_jaxpr(flat_function(fn, treedef, leaves, store))(numbers, *ins)
        _convert.check_concrete(traced.consts)
        self.out_tree, self.kept = store["tree"], store["kept"]
        jaxpr = traced.jaxpr

        def run(aux: tuple[Any, Numbers], *xs: Any) -> tuple[Any, ...]:
            consts, values = aux
            return tuple(_private.eval_jaxpr(jaxpr, consts, *values, *xs))

        outs = [Aval(a.shape, a.dtype) for a in traced.out_avals]
        for index, out in enumerate(outs):
            if out.dtype not in _convert.TORCH_DTYPES:
                raise TypeError(
                    f"{handle.partition('@')[0]}: result {index} has dtype {out.dtype}, which "
                    "torch does not have. Return jax.random.key_data(key) for a random key, and "
                    "convert other types with .astype."
                )
        self.op = Op(
            run,
            traced.consts,
            numbers,
            ins,
            outs,
            x64=x64,
            device=device,
            handle=handle,
            residuals=residuals,
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

    def get(self, key: Hashable, build: Callable[[Any], Plan], call: Any) -> Plan:
        """The plan of a signature, built if it is new."""
        with self._lock:
            plan = self._plans.get(key)
            if plan is not None:
                self._plans.move_to_end(key)
                self._hits += 1
                return plan
            self._misses += 1
            plan = self._plans[key] = build(call)
            if len(self._plans) > self.size:
                _, oldest = self._plans.popitem(last=False)
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


class Findable(Protocol):
    """A wrapped function, as compiled programs know it."""

    def find(self, handle: str) -> Plan | None:
        """The plan of a handle."""


bridges: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
_counts: dict[str, int] = {}
_given: set[str] = set()
_lock = threading.Lock()


def register(bridge: Findable, name: str, *, again: bool) -> str:
    """A name that no other bridge has, the same in every process that wraps in the same order.

    A name that its owner gave may be given ``again`` once its function is gone; others belong to
    one function for good, since a compiled program may outlive it.
    """
    name = name.replace("/", "_").replace("@", "_")
    with _lock:
        if again and name not in bridges and (name in _given or name not in _counts):
            _counts.setdefault(name, 1)
            _given.add(name)
            bridges[name] = bridge
            return name
        while True:
            count = _counts[name] = _counts.get(name, 0) + 1
            handle = name if count == 1 else f"{name}#{count}"
            if handle not in bridges:
                bridges[handle] = bridge
                return handle


def find_plan(handle: str) -> Plan | None:
    """The plan of a handle, ``name@signature``, if it was compiled for or warmed up."""
    bridge = bridges.get(handle.partition("@")[0])
    return None if bridge is None else bridge.find(handle)
