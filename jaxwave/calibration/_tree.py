"""A model, an nnx module or a plain pytree, as arrays by dotted name and what joins them again."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

Leaves = dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Structure:
    """All of a model but its numbers; equal for models that compile to the same program."""

    graph: Any
    tree: Any
    names: tuple[str, ...]  # of every array, in the order of the tree
    parameters: tuple[str, ...]  # what can be learned
    marked: tuple[str, ...]  # learned by default (nnx.Param)

    def merge(self, leaves: Leaves) -> Any:
        """Builds the model with these numbers."""
        tree = jax.tree_util.tree_unflatten(self.tree, [leaves[name] for name in self.names])
        return tree if self.graph is None else nnx.merge(self.graph, tree)


def split(where: str, model: object) -> tuple[Structure, Leaves]:
    """Takes a model apart into its structure and its arrays by dotted name."""
    module = isinstance(model, nnx.Module)
    graph, tree = nnx.split(model) if module else (None, model)
    pairs = jax.tree_util.tree_leaves_with_path(tree, is_leaf=_is_variable)
    flat, definition = jax.tree_util.tree_flatten(tree)
    names = tuple(_name(path) for path, _ in pairs)
    if len(flat) != len(names) or len({*names}) < len(names):
        raise TypeError(
            f"{where}: every array of the model needs a name of its own, got {', '.join(names)}. "
            "Make one nnx.Variable (or one entry of the pytree) of each."
        )
    leaves = {name: _array(where, name, leaf) for name, leaf in zip(names, flat, strict=True)}
    kinds = dict(zip(names, (leaf for _, leaf in pairs), strict=True))
    known = [name for name in names if is_inexact(leaves[name])]
    if module:  # a bare array in a module is a constant
        known = [name for name in known if _is_variable(kinds[name])]
    marked = [name for name in known if not module or isinstance(kinds[name], nnx.Param)]
    return Structure(graph, definition, names, tuple(known), tuple(marked)), leaves


def real_vector(tree: object) -> Array:
    """All numbers of a pytree in one real vector, complex ones as real and imaginary parts."""
    flat = [jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)]
    parts = [p for r in flat for p in ((r.real, r.imag) if jnp.iscomplexobj(r) else (r,))]
    return jnp.concatenate(parts) if parts else jnp.zeros(0)


def is_inexact(array: Array) -> bool:
    """Tells whether an array holds real or complex numbers."""
    return jnp.issubdtype(array.dtype, jnp.inexact)


def _is_variable(leaf: object) -> bool:
    return isinstance(leaf, nnx.Variable)


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".") or "parameter"


def _array(where: str, name: str, leaf: object) -> Array:
    if isinstance(leaf, Array):
        return leaf if not leaf.aval.weak_type else leaf.astype(leaf.dtype)
    try:
        # Through numpy: a Python number would be weakly typed and compile a second program.
        return jnp.asarray(np.asarray(leaf))
    except TypeError:
        raise TypeError(
            f"{where}: the parameter {name!r} must be a number or an array, got "
            f"{type(leaf).__name__}."
        ) from None


@dataclasses.dataclass(frozen=True)
class _Alone:
    """A function of the model alone, called as those of a model and data are."""

    function: Callable[[Any], Any]

    def __call__(self, model: Any, data: object) -> Any:
        return self.function(model)


def with_data(loss: Any, data: Any) -> Any:
    """A loss of the model and data; one of the model alone will do where there are no data."""
    own = getattr(loss, "residuals", loss)
    try:
        parameters = inspect.signature(own).parameters.values()
    except (TypeError, ValueError):  # written in C
        return loss
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    places = [p for p in parameters if p.kind in kinds]
    if len(places) != 1 or any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        return loss
    if jax.tree.leaves(data):
        raise TypeError(
            "calibrate: `loss` must take the model and the data, got a function of "
            f"{places[0].name!r} alone. Write it as loss(model, data), or leave the data out."
        )
    return _Alone(own) if own is loss else dataclasses.replace(loss, residuals=_Alone(own))
