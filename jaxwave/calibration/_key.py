"""Tells whether two functions compute the same, so that the same program is compiled once.

`optax.adam(0.01)` written twice makes two optimizers that differ for Python and agree in every
line and number. A key looks into closures: same code and same numbers give the same key.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from types import CodeType, FunctionType, MethodType
from typing import Any, TypeVar

import numpy as np

from jaxwave._code import content, fields, is_frozen, is_number
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
    def make(*values: object, **named: object) -> Made:
        return made(*map(plain, values), **{name: plain(v) for name, v in named.items()})

    return make


def key(thing: Any, _above: tuple[int, ...] = ()) -> Any:
    """A hashable value that is equal for things that compute the same."""
    if id(thing) in _above:
        return _Same(thing)  # a function that calls itself
    inner = functools.partial(key, _above=(*_above, id(thing)))
    if isinstance(thing, FunctionType):
        cells = tuple(inner(content(cell)) for cell in thing.__closure__ or ())
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
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type) and is_frozen(thing):
        parts = ((field.name, inner(getattr(thing, field.name))) for field in fields(thing))
        return (type(thing), tuple(parts))
    if isinstance(thing, float):
        return (float, repr(thing))  # tells 0.0 from -0.0, and knows NaN again
    if is_number(thing):
        return (thing.dtype.str, inner(thing.item()))
    if isinstance(thing, int | str | bytes | type | CodeType | np.dtype | None):
        return (type(thing), thing)
    return _Same(thing)
