"""One signature of a wrapped function: traced once, compiled on demand."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import torch

from torch_bridge import _convert
from torch_bridge._op import Aval, Op, settings


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
    """A static value among the leaves of a call, or of a result; True and 1 are different."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Kept)
            and type(self.value) is type(other.value)
            and bool(self.value == other.value)
        )

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))

    def __repr__(self) -> str:
        return f"{type(self.value).__name__} {self.value!r}"


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
        options: ``residuals`` and ``check_finite`` of the :class:`Op`.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        key: Hashable,
        treedef: Any,
        leaves: Sequence[Any],
        *,
        x64: bool,
        device: Any,
        handle: str,
        **options: Any,
    ) -> None:
        self.key = key
        self._fn, self._treedef, self._leaves = fn, treedef, tuple(leaves)
        numbers = [leaf for leaf in leaves if not isinstance(leaf, Aval | Kept)]
        ins = [leaf for leaf in leaves if isinstance(leaf, Aval)]
        with settings(x64, device):
            closed = jax.make_jaxpr(self._flat)(tuple(numbers), *ins)
        _convert.check_concrete(closed.consts)

        def run(aux: Any, *xs: Any) -> tuple[Any, ...]:
            consts, values = aux
            return tuple(jax.core.eval_jaxpr(closed.jaxpr, consts, *values, *xs))

        self.op = Op(
            run, closed.consts, numbers, ins, x64=x64, device=device, handle=handle, **options
        )
        self._check_outputs(handle)

    def _flat(self, numbers: Sequence[Any], *xs: Any) -> list[Any]:
        """The user's function on flat arrays; notes how the results are put together."""
        values, arrays = iter(numbers), iter(xs)
        leaves = [
            leaf.value
            if isinstance(leaf, Kept)
            else next(arrays)
            if isinstance(leaf, Aval)
            else next(values)
            for leaf in self._leaves
        ]
        args, kwargs = jax.tree_util.tree_unflatten(self._treedef, leaves)
        results, self.out_tree = jax.tree_util.tree_flatten(self._fn(*args, **kwargs))
        self.kept = [Kept(r) if isinstance(r, str | bytes) else None for r in results]
        return [jnp.asarray(r) for r in results if not isinstance(r, str | bytes)]

    def _check_outputs(self, handle: str) -> None:
        for index, out in enumerate(self.op.outs):
            if out.dtype not in _convert.TORCH_DTYPES:
                raise TypeError(
                    f"{handle.partition('@')[0]}: result {index} has dtype {out.dtype}, which "
                    "torch does not have. Return jax.random.key_data(key) for a random key, and "
                    "convert other types with .astype."
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
                self._plans.popitem(last=False)
            return plan

    def plans(self) -> list[Plan]:
        """All plans that are kept."""
        with self._lock:
            return list(self._plans.values())

    def info(self) -> CacheInfo:
        """The counts."""
        return CacheInfo(self._hits, self._misses, self.size, len(self._plans))
