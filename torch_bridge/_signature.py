"""Reads one call: its tensors, its numbers, and the key of everything that is traced once."""

import inspect
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import torch

from torch_bridge import _arguments, _convert
from torch_bridge._arguments import HALF, STATIC, WIDE
from torch_bridge._op import Aval
from torch_bridge._plan import Kept

_PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})
_NUMBERS = frozenset({int, float, complex})
_LONG = frozenset({torch.int64, torch.uint64})
_SPECIAL = WIDE | _LONG | HALF


class Call(NamedTuple):
    """One call, read: everything but the values is in ``key``."""

    key: Hashable
    treedef: Any
    kinds: list[Any]  # per leaf: None (a tensor), the type of a number, or Kept
    x64: bool
    numbers: tuple[Any, ...]
    xs: list[torch.Tensor]

    def leaves(self) -> list[Any]:
        """What a trace needs of each leaf: its shape, its number, its static value."""
        xs, numbers = iter(self.xs), iter(self.numbers)
        return [
            abstract(next(xs), self.x64)
            if kind is None
            else kind
            if type(kind) is Kept
            else next(numbers)
            for kind in self.kinds
        ]


def abstract(x: torch.Tensor, x64: bool) -> Aval:
    """The shape and dtype of a tensor, for JAX."""
    dtype = x.dtype if x64 else _arguments.NARROW.get(x.dtype, x.dtype)
    return Aval(tuple(x.shape), _convert.JAX_DTYPES[dtype])


class Reader:
    """Reads the calls of one function with its options.

    Args:
        fn: The function.
        name: Its name in messages.
        static: Positions and names of its static arguments.
        x64: What to do with 64-bit floats while JAX computes in 32 bits.
        autocast_dtype: What half-precision tensors become under autocast.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str,
        static: tuple[frozenset[int], frozenset[str]],
        x64: str,
        autocast_dtype: torch.dtype | None,
    ) -> None:
        self._fn, self._name, self._static = fn, name, static
        self._x64, self._autocast_dtype = x64, autocast_dtype

    def read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """Sorts the leaves of a call; raises for what the bridge cannot take."""
        if any(self._static):
            args, kwargs = self._keep_static(args, kwargs)
        leaves, treedef = jax.tree_util.tree_flatten((args, kwargs))
        xs: list[torch.Tensor] = []
        numbers: list[Any] = []
        kinds: list[Any] = []
        for index, leaf in enumerate(leaves):
            if isinstance(leaf, np.generic):  # a number to torch, where JAX takes it for an array
                leaf = leaf.item()
            kind = type(leaf)
            if kind in _PLAIN:
                xs.append(leaf)
                kinds.append(None)
            elif kind in _NUMBERS:
                numbers.append(leaf)
                kinds.append(kind)
            elif kind is Kept:
                kinds.append(leaf)
            elif isinstance(leaf, STATIC):
                kinds.append(Kept(leaf))
            else:
                xs.append(self._tensor(treedef, leaves, index))
                kinds.append(None)
        return self._settle(Call(None, treedef, kinds, False, tuple(numbers), xs))

    def _settle(self, call: Call) -> Call:
        """Decides on 64 bits, converts what must be converted, and completes the key."""
        x64, xs = bool(jax.config.jax_enable_x64), call.xs
        if not _SPECIAL.isdisjoint([x.dtype for x in xs]):
            xs = [self._promote(call, i, x) for i, x in enumerate(xs)]
            if not x64 and not WIDE.isdisjoint([x.dtype for x in xs]):
                x64 = self._wide(call, xs)
            if not x64:
                xs = [self._narrow(call, i, x) for i, x in enumerate(xs)]
        if not x64:
            for number in call.numbers:
                if type(number) is int and not -(2**31) <= number < 2**31:
                    _arguments.check_integer(self._number_name(call), number)
        try:
            shapes = tuple([(x.dtype, x.shape, x.device, x.layout) for x in xs])
        except RuntimeError:  # a nested tensor has no shape
            self.check(call)
            raise
        key = (call.treedef, tuple(call.kinds), shapes, x64)
        return Call(key, call.treedef, call.kinds, x64, call.numbers, xs)

    def check(self, call: Call) -> None:
        """Raises for tensors that JAX cannot take; run once a signature."""
        for index, x in enumerate(call.xs):
            _arguments.check_tensor(self._name, self._tensor_name(call, index), x)
        names = [self._tensor_name(call, index) for index in range(len(call.xs))]
        _arguments.check_devices(self._name, names, call.xs)

    def _tensor(self, treedef: Any, leaves: Sequence[Any], index: int) -> torch.Tensor:
        tensor = _arguments.as_tensor(leaves[index])
        if tensor is None:
            name = _arguments.leaf_name(self._fn, treedef, index)
            _arguments.refuse_leaf(self._name, name, leaves[index])
        return tensor

    def _promote(self, call: Call, index: int, x: torch.Tensor) -> torch.Tensor:
        if x.dtype in _LONG or x.layout is not torch.strided or x.is_meta:
            _arguments.check_tensor(self._name, self._tensor_name(call, index), x)
        if x.dtype in HALF:
            return _arguments.promote_half(x, self._autocast_dtype)
        return x

    def _wide(self, call: Call, xs: Sequence[torch.Tensor]) -> bool:
        if self._x64 == "error":
            index = next(i for i, x in enumerate(xs) if x.dtype in WIDE)
            name, dtype = (
                self._tensor_name(call, index),
                str(xs[index].dtype).removeprefix("torch."),
            )
            raise TypeError(
                f"{self._name}: argument '{name}' is {dtype} but JAX would silently compute in "
                f'{"complex64" if xs[index].is_complex() else "float32"}; use x64="auto", '
                'x64="cast" or jax_enable_x64.'
            )
        return self._x64 == "auto"

    def _narrow(self, call: Call, index: int, x: torch.Tensor) -> torch.Tensor:
        if x.dtype not in _LONG and x.dtype not in WIDE:
            return x
        if x.dtype in _LONG and torch._C._are_functorch_transforms_active():
            return x  # a wrapped tensor tells no values: the op checks them when it runs
        name = f"{self._name}: argument '{self._tensor_name(call, index)}'"
        return _arguments.narrow(name, x)

    def _keep_static(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        positions, names = self._static
        fixed = [
            self._kept(_arguments.positional_name(self._fn, i), a) if i in positions else a
            for i, a in enumerate(args)
        ]
        return tuple(fixed), {k: self._kept(k, v) if k in names else v for k, v in kwargs.items()}

    def _kept(self, name: str, value: Any) -> Kept:
        try:
            hash(value)
        except TypeError:
            raise TypeError(
                f"{self._name}: static argument '{name}' must be hashable, got a "
                f"{type(value).__name__}. Pass a tuple, or a frozen dataclass."
            ) from None
        return Kept(value)

    def _tensor_name(self, call: Call, index: int) -> str:
        places = [place for place, kind in enumerate(call.kinds) if kind is None]
        return _arguments.leaf_name(self._fn, call.treedef, places[index])

    def _number_name(self, call: Call) -> str:
        limits = torch.iinfo(torch.int32)
        values = iter(call.numbers)
        for place, kind in enumerate(call.kinds):
            value = next(values) if kind in _NUMBERS else 0
            if kind is int and not limits.min <= value <= limits.max:
                name = _arguments.leaf_name(self._fn, call.treedef, place)
                return f"{self._name}: argument '{name}'"
        return self._name


def static_arguments(
    fn: Callable[..., Any], names: str | Iterable[str], positions: int | Iterable[int]
) -> tuple[frozenset[int], frozenset[str]]:
    """Positions and names of the static arguments, each completed from the other.

    Raises:
        ValueError: If the function has no such argument.
    """
    chosen = {names} if isinstance(names, str) else set(names)
    places = {positions} if isinstance(positions, int) else set(positions)
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):
        return frozenset(places), frozenset(chosen)
    known = {p.name: i for i, p in enumerate(parameters) if p.kind is not p.VAR_POSITIONAL}
    if not any(p.kind is p.VAR_KEYWORD for p in parameters) and chosen - known.keys():
        raise ValueError(
            f"wrap: {sorted(chosen - known.keys())} in static_argnames are no arguments of "
            f"{getattr(fn, '__name__', fn)}, which has {list(known)}."
        )
    if not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        keyword = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
        count = sum(p.kind not in keyword for p in parameters)
        if not all(-count <= place < count for place in places):
            raise ValueError(
                f"wrap: {sorted(places)} in static_argnums are beyond the {count} positional "
                f"arguments of {getattr(fn, '__name__', fn)}."
            )
        places = {place % count for place in places}
    by_position = {p.name for i, p in enumerate(parameters) if i in places}
    by_name = {
        known[name]
        for name in chosen & known.keys()
        if parameters[known[name]].kind is not inspect.Parameter.KEYWORD_ONLY
    }
    return frozenset(places | by_name), frozenset(chosen | by_position)
