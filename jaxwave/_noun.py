"""Nouns: what a user describes once. Frozen dataclasses whose numbers are leaves of a pytree."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, TypeAlias, TypeVar, dataclass_transform

import jax
import numpy as np

from jaxwave import _check

C = TypeVar("C")

# A number of a noun: given as a number, an array or a text, kept as an array (or a tracer of one).
Number: TypeAlias = Any


def static(**options: Any) -> Any:
    """A field that is part of the structure, not a leaf."""
    return dataclasses.field(metadata={"static": True}, **options)


@dataclass_transform(frozen_default=True, field_specifiers=(static, dataclasses.field))
def noun(cls: type[C]) -> type[C]:
    """Makes a class a frozen dataclass and a pytree.

    ``__post_init__`` checks what a user hands in. JAX rebuilds a noun without it, because
    transformations put tracers, axes and sentinels in place of numbers.
    """
    cls = dataclasses.dataclass(frozen=True)(cls)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    data = tuple(f.name for f in fields if not f.metadata.get("static"))
    names = [f.name for f in fields if f.init]
    meta = tuple(f.name for f in fields if f.metadata.get("static"))

    def rebuild(values: tuple[Any, ...], leaves: Any) -> Any:
        new = object.__new__(cls)
        for name, value in zip((*data, *meta), (*leaves, *values), strict=True):
            object.__setattr__(new, name, value)
        return new

    def flatten_with_keys(one: object) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
        leaves = [(jax.tree_util.GetAttrKey(name), getattr(one, name)) for name in data]
        return leaves, tuple(getattr(one, name) for name in meta)

    def flatten(one: object) -> tuple[list[Any], tuple[Any, ...]]:
        return [getattr(one, name) for name in data], tuple(getattr(one, name) for name in meta)

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, rebuild, flatten)
    made = cls.__init__

    @functools.wraps(made)
    def init(self: Any, *args: object, **kwargs: object) -> None:
        for name in kwargs:
            if name not in names:
                raise _check.no_such_argument(cls.__name__, name, names)
        made(self, *args, **kwargs)

    cls.__init__ = init  # type: ignore[method-assign,assignment]
    return cls


def changed(one: C, **values: object) -> C:
    """A copy with other values of its own kind; what is checked already is not checked again."""
    new = object.__new__(type(one))
    names = [field.name for field in dataclasses.fields(one)]  # type: ignore[arg-type]
    settle(new, **{name: getattr(one, name) for name in names} | values)
    return new


def spelled(cls: type[C]) -> type[C]:
    """A named tuple whose signature shows its types as they are written."""
    hints = cls.__new__.__annotations__
    for name, hint in hints.items():
        hints[name] = getattr(hint, "__forward_arg__", hint)
    return cls


def settle(one: object, **values: object) -> None:
    """Replaces fields of a frozen noun while it is made."""
    for name, value in values.items():
        object.__setattr__(one, name, value)


def typed(tree: Any, real: Any) -> Any:
    """The known numbers of nouns in the type of a program, for which they leave their own float64.

    JAX keeps the type of an array of numpy by its identity: the same one, a constant of a traced
    function, would be refused by a program of another precision.
    """

    def one(leaf: Any) -> Any:
        if not isinstance(leaf, np.ndarray | np.generic | float | int):
            return leaf
        return np.array(leaf, np.result_type(real, np.complex64) if np.iscomplexobj(leaf) else real)

    return jax.tree.map(one, tree)


def number(where: str, name: str, value: Any) -> Any:
    """A real array; what is known now stays known inside a traced function, in float64."""
    if not isinstance(value, str) and _check.is_concrete(value):
        array = np.asarray(value)
        if array.dtype.kind in "fiub":
            return array.astype(array.dtype if array.dtype.kind == "f" else float)
    return _check.real_array(where, name, value)
