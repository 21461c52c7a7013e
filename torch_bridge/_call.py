"""Reads one call: its tensors, its numbers, and the key of everything that is traced once."""

from __future__ import annotations

import enum
import inspect
import re
import traceback
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import torch
from jax.tree_util import PyTreeDef

from torch_bridge import _convert, _private
from torch_bridge._convert import LONG, WIDE
from torch_bridge._op import Aval, Number, settings
from torch_bridge._plan import Kept, flat_function, inputs_of

STATIC = (bool, str, bytes, enum.Enum, type, torch.dtype, np.dtype)
_HALF = frozenset({torch.float16, torch.bfloat16})
_PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})
_NUMBERS = frozenset({int, float, complex})
_SPECIAL = WIDE | LONG | _HALF
_TRACED = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
Static = tuple[frozenset[int], frozenset[str]]  # positions and names


class Call(NamedTuple):
    """One call, read: everything but the values is in ``key``."""

    key: Hashable
    treedef: PyTreeDef
    kinds: list[Any]  # per leaf: None (a tensor), the type of a number, or Kept
    x64: bool
    numbers: tuple[Number, ...]
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
    dtype = x.dtype if x64 else _convert.NARROW.get(x.dtype, x.dtype)
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
        static: Static,
        x64: str,
        autocast_dtype: torch.dtype | None,
    ) -> None:
        self._fn, self._name, self.static = fn, name, static
        self._x64, self._autocast_dtype = x64, autocast_dtype

    def read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """Sorts the leaves of a call; raises for what the bridge cannot take."""
        if any(self.static):
            args, kwargs = self._keep_static(args, kwargs)
        leaves, treedef = jax.tree_util.tree_flatten((args, kwargs))
        xs: list[torch.Tensor] = []
        numbers: list[Number] = []
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
                    _convert.check_integer(lambda: self._number_name(call), number)
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
            _convert.check_tensor(self._name, self._tensor_name(call, index), x)
        names = [self._tensor_name(call, index) for index in range(len(call.xs))]
        _convert.check_devices(self._name, names, call.xs)

    def _tensor(self, treedef: PyTreeDef, leaves: Sequence[Any], index: int) -> torch.Tensor:
        tensor = _convert.as_tensor(leaves[index])
        if tensor is None:
            name = leaf_name(self._fn, treedef, index)
            _convert.refuse_leaf(self._name, name, leaves[index])
        return tensor

    def _promote(self, call: Call, index: int, x: torch.Tensor) -> torch.Tensor:
        if x.is_nested or x.layout is not torch.strided or x.is_meta:
            _convert.check_tensor(self._name, self._tensor_name(call, index), x)
        if x.dtype in _HALF:
            return _promote_half(x, self._autocast_dtype)
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
        if x.dtype not in LONG and x.dtype not in WIDE:
            return x
        if x.dtype in LONG and _private.transforms_active():
            return x  # a wrapped tensor tells no values: the op checks them when it runs
        return _convert.narrow(lambda: self._where(self._tensor_name(call, index)), x)

    def _keep_static(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        places, names = self.static
        fixed = [
            self._kept(i, a) if i in places or i - len(args) in places else a
            for i, a in enumerate(args)
        ]
        return tuple(fixed), {k: self._kept(k, v) if k in names else v for k, v in kwargs.items()}

    def _kept(self, key: int | str, value: object) -> Kept:
        if isinstance(value, torch.Tensor | jax.Array | _private.Tracer):
            raise TypeError(
                f"{self._name}: static argument '{self._argument(key)}' is a "
                f"{type(value).__name__}, whose values may change. Take it out of static_argnames: "
                "arrays are traced."
            )
        try:
            hash(value)
        except TypeError:
            raise TypeError(
                f"{self._name}: static argument '{self._argument(key)}' must be hashable, got a "
                f"{type(value).__name__}. Pass a tuple, or a frozen dataclass."
            ) from None
        return Kept(value)

    def _argument(self, key: int | str) -> str:
        return key if isinstance(key, str) else positional_name(self._fn, key)

    def explain(self, call: Call, error: Exception) -> Exception:
        """An error of a trace in the user's words: which argument must be static.

        That is found by trying: a number whose value makes the trace go through is the one.
        """
        leaves = call.leaves()
        roots = [self._root(call, i) if k in _NUMBERS else None for i, k in enumerate(call.kinds)]
        several = list(dict.fromkeys(root for root in roots if root is not None))
        trials = [[root] for root in several] + ([several] if len(several) > 1 else [])
        for chosen in trials:
            fixed = [
                Kept(leaf) if root in chosen else leaf
                for leaf, root in zip(leaves, roots, strict=True)
            ]
            flat = flat_function(self._fn, call.treedef, fixed, {})
            numbers, ins = inputs_of(fixed)
            try:
                with settings(call.x64):
                    jax.make_jaxpr(flat)(numbers, *ins)
            except Exception:  # the user's function may raise anything
                continue
            return TypeError(self._advice(call, chosen, error))
        if isinstance(error, _TRACED):
            named = re.findall(r"\bxs\[(\d+)\]", str(error))
            names = [f"'{self._tensor_name(call, int(i))}'" for i in dict.fromkeys(named)]
            error.add_note(
                f"{self._name}: tensors ({', '.join(names) or 'and what is computed from them'}) "
                "have no values while the function is traced. Use jnp.where or jax.lax.cond for an "
                "`if`, shapes and numbers in static_argnames for sizes, jax.numpy for numpy."
            )
        elif "Tracer" in str(error) and "Tensor" in str(error):
            error.add_note(
                f"{self._name}: inside the function arguments are JAX arrays, which torch's "
                "functions do not take. Use jax.numpy, or torch_bridge.wrap_torch."
            )
        return error

    def _root(self, call: Call, index: int) -> tuple[int, int | str]:
        """The argument that a leaf belongs to: 0 and its position, or 1 and its keyword."""
        tree = jax.tree_util.tree_unflatten(call.treedef, range(call.treedef.num_leaves))
        path, _ = jax.tree_util.tree_flatten_with_path(tree)[0][index]
        return (1, path[1].key) if path[0].idx else (0, path[1].idx)

    def _advice(self, call: Call, chosen: Sequence[Any], error: Exception) -> str:
        names = [str(k) if by_name else positional_name(self._fn, k) for by_name, k in chosen]
        mixed = {self._root(call, i) for i, kind in enumerate(call.kinds) if kind is None}
        if mixed & set(chosen):
            remedy = "as an argument of its own, in static_argnames"
        elif all(name.isidentifier() for name in names):
            value = f"'{names[0]}'" if len(names) == 1 else str(tuple(names))
            remedy = f"wrap(fn, static_argnames={value})"
        else:
            remedy = f"wrap(fn, static_argnums={tuple(k for _, k in chosen)})"
        listed = " and ".join(f"'{name}'" for name in names)
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if not re.search(r"[/\\](jax|torch_bridge)[/\\]", frame.filename)
        ]
        where = (
            f"\n  {frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}" if frames else ""
        )
        return (
            f"{self._name}: a value in {listed} is needed while the function is traced (an axis, "
            "a shape, a Python `if`, a static argument of a jitted function), but Python numbers "
            f"are traced without their values. Name it: {remedy}.{where}"
        )

    def _tensor_name(self, call: Call, index: int) -> str:
        places = [place for place, kind in enumerate(call.kinds) if kind is None]
        return leaf_name(self._fn, call.treedef, places[index])

    def _number_name(self, call: Call) -> str:
        limits = torch.iinfo(torch.int32)
        values = iter(call.numbers)
        for place, kind in enumerate(call.kinds):
            value = next(values) if kind in _NUMBERS else 0
            if isinstance(value, int) and not limits.min <= value <= limits.max:
                name = leaf_name(self._fn, call.treedef, place)
                return self._where(name)
        return self._name

    def _where(self, name: str) -> str:
        return f"{self._name}: argument '{name}'"


def leaf_name(fn: Callable[..., Any], treedef: PyTreeDef, index: int) -> str:
    """How the user knows a leaf of ``(args, kwargs)``: ``x``, or ``params['w']``."""
    tree = jax.tree_util.tree_unflatten(treedef, range(treedef.num_leaves))
    path, _ = jax.tree_util.tree_flatten_with_path(tree)[0][index]
    which, key, rest = path[0].idx, path[1], path[2:]
    name = str(key.key) if which else positional_name(fn, key.idx)
    return name + jax.tree_util.keystr(rest)


def positional_name(fn: Callable[..., Any], index: int) -> str:
    """The name of a positional argument, or its number where there is none."""
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):
        return f"args[{index}]"
    for position, parameter in enumerate(parameters):
        if parameter.kind is parameter.VAR_POSITIONAL:
            return f"{parameter.name}[{index - position}]"
        if position == index:
            return parameter.name
    return f"args[{index}]"


def _promote_half(t: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    """A half-precision tensor under autocast, in the dtype that JAX shall compute in."""
    if dtype is None or t.dtype not in _HALF or not torch.is_autocast_enabled(t.device.type):
        return t
    return t.to(dtype)


def static_arguments(
    fn: Callable[..., Any], names: str | Iterable[str], positions: int | Iterable[int]
) -> Static:
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
