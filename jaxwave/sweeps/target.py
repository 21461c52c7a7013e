"""What is swept: a function or a model, as a function of one setting and of traced numbers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxwave._code import fingerprint
from jaxwave.sweeps.points import WHERE, unknown


class Target(NamedTuple):
    """A function of ``(numbers, setting)``; the numbers are arguments of the compiled program."""

    name: str
    numbers: Any
    call: Callable[[Any, Mapping[str, Any]], Any]
    identity: Any  # what a fingerprint is taken of
    key: Any  # equal for what compiles to the same program, given equal shapes


def split_arguments(arguments: object) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """Numbers that a program may trace, and what puts them back; other arguments are choices.

    Arrays and floating-point numbers are traced; integers, booleans, texts and functions decide
    about shapes and ways, as they would in an eager call.
    """
    leaves, tree = jax.tree_util.tree_flatten(arguments)
    traced = [_is_traced(leaf) for leaf in leaves]

    def join(numbers: list[Any]) -> Any:
        given = iter(numbers)
        full = [next(given) if t else leaf for t, leaf in zip(traced, leaves, strict=True)]
        return jax.tree_util.tree_unflatten(tree, full)

    return [leaf for t, leaf in zip(traced, leaves, strict=True) if t], join


def _is_traced(leaf: object) -> bool:
    arrays = jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct
    return isinstance(leaf, arrays) or (isinstance(leaf, float | complex))


def target(function: Any, arguments: tuple, names: Iterable[str]) -> Target:
    """Checks the names of the settings against the function or the model."""
    if is_model(function):
        return _of_model(function, arguments, [*names])
    if not callable(function):
        raise TypeError(
            f"{WHERE}: `function` must be a function or a model, got {type(function).__name__}."
        )
    name = getattr(function, "__name__", type(function).__name__)
    _check_names(function, name, arguments, [*names])
    numbers, join = split_arguments(arguments)

    def call(numbers: list[Any], setting: Mapping[str, Any]) -> Any:
        return function(*join(numbers), **setting)

    # A name in a notebook may mean another array at the next call, which the same function reads.
    key = (function, fingerprint(function), _choices(arguments))
    return Target(name, numbers, call, (function, arguments), key)


def _check_names(
    function: Callable[..., Any], label: str, arguments: tuple, names: list[str]
) -> None:
    """Refuses unknown names, and tells which are missing."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # made outside Python
        return
    found = signature.parameters.values()
    named = [p.name for p in found if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if not any(p.kind is p.VAR_KEYWORD for p in found):
        unknown(names, named, f"{label}()")
    try:
        signature.bind(*arguments, **dict.fromkeys(names))
    except TypeError as error:
        raise TypeError(
            f"{WHERE}: {label}() cannot be called with these settings: {error}. What stays the "
            "same may stand in `settings` as a single number, or follow them as an argument."
        ) from None


def is_model(function: object) -> bool:
    """Tells whether a function is a flax module."""
    kinds = type(function).__mro__
    return any(kind.__module__.startswith("flax.nnx") for kind in kinds)


def _of_model(model: Any, arguments: tuple, names: list[str]) -> Target:
    from jaxwave.calibration._tree import split

    structure, leaves = split(WHERE, model)
    label = type(model).__name__
    unknown(names, structure.parameters, label)
    numbers, join = split_arguments(arguments)

    def call(numbers: Any, setting: Mapping[str, Any]) -> Any:
        own, given = numbers
        new = {name: _like(name, own[name], value) for name, value in setting.items()}
        return structure.merge({**own, **new})(*join(given))

    identity = (type(model), structure.names, _ADDRESS.sub("", str(structure.graph)))
    return Target(
        label,
        (leaves, numbers),
        call,
        (*identity, leaves, arguments),
        (structure, _choices(arguments)),
    )


_ADDRESS = re.compile(r"0x[0-9a-f]+")  # of a function that a model holds


def _choices(arguments: tuple) -> Any:
    """The choices among the arguments, and how all of them hang together."""
    leaves, tree = jax.tree_util.tree_flatten(arguments)
    return tree, tuple(None if _is_traced(leaf) else leaf for leaf in leaves)


def _like(name: str, old: Any, value: Any) -> Any:
    if np.shape(value) != np.shape(old):
        raise ValueError(
            f"{WHERE}: `{name}` has the shape {np.shape(old)}, but a setting gives it "
            f"{np.shape(value)}. Its values need the shape (points, {np.shape(old)})."
        )
    return jax.numpy.asarray(value, old.dtype)
