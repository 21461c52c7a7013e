"""Tells whether two functions compute the same, so that the same program is compiled once.

`optax.adam(0.01)` written twice makes two optimizers that differ for Python and agree in every
line and number. A key looks into closures: same code and same numbers give the same key.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any, TypeVar

import jax
import numpy as np

from jaxwave.calibration._tree import Structure

Made = TypeVar("Made")


class _Same:
    """Compares by identity, and keeps the thing alive so that its address stays its own."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


def cached(function: Callable[..., Made]) -> Callable[..., Made]:
    """The same object for the same numbers; an array that holds one number is that number."""
    made = functools.lru_cache(typed=True)(function)

    def plain(value: Any) -> Any:
        if not hasattr(value, "shape"):
            return value
        if value.shape != ():
            raise TypeError(
                f"{function.__name__}: takes single numbers, got an array of the shape "
                f"{value.shape}. Write a function of your own for arrays."
            )
        return value.item()

    @functools.wraps(function)
    def make(*values: Any, **named: Any) -> Made:
        return made(*map(plain, values), **{name: plain(v) for name, v in named.items()})

    return make


def key(thing: Any, _above: tuple[int, ...] = ()) -> Any:
    """A hashable value that is equal for things that compute the same."""
    if id(thing) in _above:
        return _Same(thing)  # a function that calls itself
    inner = functools.partial(key, _above=(*_above, id(thing)))
    if isinstance(thing, FunctionType):
        cells = tuple(inner(_content(cell)) for cell in thing.__closure__ or ())
        options = tuple(sorted((thing.__kwdefaults__ or {}).items(), key=lambda item: item[0]))
        defaults = tuple(inner(value) for value in thing.__defaults__ or ())
        extra = tuple((name, inner(value)) for name, value in options)
        return ("function", thing.__code__, _Same(thing.__globals__), cells, defaults, extra)
    if isinstance(thing, functools.partial):
        words = tuple((name, inner(value)) for name, value in sorted(thing.keywords.items()))
        return ("partial", inner(thing.func), tuple(inner(a) for a in thing.args), words)
    if isinstance(thing, MethodType):
        return ("method", inner(thing.__self__), inner(thing.__func__))
    if isinstance(thing, Structure):
        return thing
    if isinstance(thing, tuple):
        return (type(thing), *(inner(part) for part in thing))
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type) and _is_frozen(thing):
        parts = ((field.name, inner(getattr(thing, field.name))) for field in _fields(thing))
        return (type(thing), tuple(parts))
    if isinstance(thing, float):
        return (float, repr(thing))  # tells 0.0 from -0.0, and knows NaN again
    if _is_number(thing):
        return (thing.dtype.str, inner(thing.item()))
    if isinstance(thing, int | str | bytes | type | CodeType | np.dtype | None):
        return (type(thing), thing)
    return _Same(thing)


def describe(thing: Any, _above: tuple[int, ...] = ()) -> str:
    """The same in words, for settings that have to agree when a run goes on."""
    if id(thing) in _above:
        return "itself"
    inner = functools.partial(describe, _above=(*_above, id(thing)))
    if isinstance(thing, FunctionType):
        cells = [inner(_content(cell)) for cell in thing.__closure__ or ()]
        name = thing.__qualname__.partition(".")[0]  # of the function that made this one
        return f"{name}({', '.join(cells)})" if cells else name
    if isinstance(thing, functools.partial):
        words = [f"{name}={inner(value)}" for name, value in sorted(thing.keywords.items())]
        return f"{inner(thing.func)}({', '.join([*map(inner, thing.args), *words])})"
    if isinstance(thing, MethodType):
        return thing.__func__.__qualname__
    if hasattr(thing, "_fields") and hasattr(thing, "update"):
        return inner(thing.update)  # an optimizer
    if hasattr(thing, "_fields") and hasattr(thing, "forward"):
        return inner(thing.forward)  # a constraint
    if isinstance(thing, tuple):
        return f"{type(thing).__name__}({', '.join(map(inner, thing))})"
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type) and _is_frozen(thing):
        parts = [f"{field.name}={inner(getattr(thing, field.name))}" for field in _fields(thing)]
        return f"{type(thing).__name__}({', '.join(parts)})"
    if isinstance(thing, float | int | str | bool | None):
        return repr(thing)
    if _is_number(thing):
        return repr(thing.item())
    if isinstance(thing, jax.Array | np.ndarray):
        return f"array{tuple(thing.shape)}"
    return getattr(thing, "__qualname__", type(thing).__qualname__)


def code_digest(function: Any) -> str:
    """A checksum of a function's own instructions, which tells an edited one."""
    checksum = hashlib.sha256()
    for code in _codes(function, set()):
        constants = sorted(repr(c) for c in code.co_consts if not isinstance(c, _NO_ORDER))
        checksum.update(code.co_code + repr((code.co_names, constants)).encode())
    return checksum.hexdigest()[:8]


_NO_ORDER = CodeType | frozenset | set  # what has an address or no order in its text


def _codes(thing: Any, seen: set[int]) -> Iterator[CodeType]:
    if id(thing) in seen:
        return
    seen.add(id(thing))
    parts: list[Any] = []
    if isinstance(thing, CodeType):
        yield thing
        parts = list(thing.co_consts)
    elif isinstance(thing, FunctionType):
        parts = [thing.__code__, *map(_content, thing.__closure__ or ())]
    elif isinstance(thing, functools.partial):
        parts = [thing.func, *thing.args, *thing.keywords.values()]
    elif isinstance(thing, MethodType):
        parts = [thing.__func__]
    elif dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        parts = [getattr(thing, field.name) for field in _fields(thing)]
    for part in parts:
        yield from _codes(part, seen)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _is_number(thing: Any) -> bool:
    """Tells whether it is one known number in an array, as those of an objective."""
    known = isinstance(thing, jax.Array | np.ndarray) and not isinstance(thing, jax.core.Tracer)
    return known and thing.shape == () and thing.dtype.kind in "biufc"


def _is_frozen(thing: Any) -> bool:
    # A class that compares by identity may change behind the back of an equal copy.
    return thing.__dataclass_params__.frozen and thing.__dataclass_params__.eq


def _fields(thing: Any) -> tuple:
    return dataclasses.fields(thing)
