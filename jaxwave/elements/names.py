"""Parameters by name: list, select, learn, freeze, replace. Models are never changed."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import ArrayLike

from jaxwave.elements.element import Fixed, strong_array

Model = TypeVar("Model", bound=nnx.Module)

_MOST_NAMES = 24


def variables(model: nnx.Module) -> dict[str, nnx.Variable]:
    """The floating-point and complex variables by dotted name; a shared one under its first."""
    found: dict[str, nnx.Variable] = {}
    seen: set[int] = set()
    for name, variable in _walk(model, ()):
        if id(variable) not in seen and _is_parameter(variable):
            seen.add(id(variable))
            found[name] = variable
    return found


def _is_parameter(variable: nnx.Variable) -> bool:
    value = variable.get_value()
    if isinstance(value, float | complex):
        return True
    dtype = getattr(value, "dtype", None)
    return dtype is not None and bool(jnp.issubdtype(dtype, jnp.inexact))


def children(node: object) -> list[tuple[str, Any]]:
    """Parts of a module or container, in the order in which they were defined where that is known.

    (Splitting and merging sorts attributes by name.)
    """
    if isinstance(node, nnx.Pytree):
        items = {k: v for k, v in vars(node).items() if not k.startswith("_pytree__")}
        order = getattr(node, "_order", None) or [f.name for f in getattr(node, "_fields", ())]
        first = [name for name in order if name in items]
        return [(k, items[k]) for k in [*first, *(k for k in items if k not in first)]]
    if isinstance(node, Mapping):
        return [(str(k), v) for k, v in node.items()]
    if isinstance(node, list | tuple):
        return [(str(k), v) for k, v in enumerate(node)]
    return []


def _walk(node: object, path: tuple[str, ...]) -> Iterator[tuple[str, nnx.Variable]]:
    if isinstance(node, nnx.Variable):
        yield ".".join(path), node
        return
    for key, child in children(node):
        yield from _walk(child, (*path, key))


def holds_variables(node: object) -> bool:
    """Whether a container has variables in it."""
    return not isinstance(node, nnx.Variable) and any(True for _ in _walk(node, ()))


def require_module(where: str, model: object) -> None:
    """Requires a flax module."""
    if not isinstance(model, nnx.Module):
        raise TypeError(
            f"{where}: `model` must be a flax nnx module, such as an Element or a System, got a "
            f"{type(model).__name__}."
        )


def _matching(where: str, names: list[str], pattern: object) -> list[str]:
    if not isinstance(pattern, str):
        raise TypeError(f"{where}: a parameter's name must be a text, got {pattern!r}.")
    hits = [n for n in names if fnmatch.fnmatchcase(n, pattern) or n.startswith(pattern + ".")]
    if hits:
        return hits
    near = difflib.get_close_matches(pattern, names, n=1, cutoff=0.5)
    if not near:  # the last part alone: 'phse' for 'mask.phase'
        near = [n for n in names if difflib.get_close_matches(pattern, [n.rpartition(".")[2]], n=1)]
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(names[:_MOST_NAMES]) or "none"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    raise ValueError(
        f"{where}: no parameter matches {pattern!r}.{hint} The model's parameters are: "
        f"{listed}{more}."
    )


def matching_names(
    where: str, names: Iterable[str], patterns: str | Iterable[str | Sequence[str]]
) -> list[str]:
    """The names that match one of the patterns, in the model's order; every pattern must match."""
    names = list(names)
    several = isinstance(patterns, Iterable) and not isinstance(patterns, str)
    patterns = list(patterns) if several else [patterns]  # type: ignore[list-item]
    patterns = [q for p in patterns for q in (p if isinstance(p, list | tuple) else [p])]
    hits = {hit for pattern in patterns for hit in _matching(where, names, pattern)}
    return [name for name in names if name in hits]


def parameters(model: nnx.Module) -> dict[str, Array]:
    r"""Lists the numbers of a model by dotted name.

    Valid for every flax nnx module; integers and random keys are left out, and a variable that
    stands in two places is listed under its first name.

    Args:
        model: The model, an :class:`Element`, a :class:`System` or any other nnx module.

    Returns:
        The values by name, such as ``"mask.phase"``, in the order of the model.

    Raises:
        TypeError: If ``model`` is not an nnx module.

    Example:
        >>> from jaxwave.elements import System, ThinLens
        >>> {k: v.item() for k, v in parameters(System(lens=ThinLens(200.0))).items()}
        {'lens.f': 200.0, 'lens.n': 1.0}
    """
    require_module("parameters", model)
    return {name: jnp.asarray(v.get_value()) for name, v in variables(model).items()}


def learned(model: nnx.Module) -> list[str]:
    r"""Lists the names of what is learned: the model's ``nnx.Param``.

    Args:
        model: The model, any nnx module.

    Returns:
        The names, in the order of the model.

    Raises:
        TypeError: If ``model`` is not an nnx module.

    Example:
        >>> from jaxwave.elements import System, ThinLens
        >>> learned(learn(System(lens=ThinLens(200.0)), "lens.f"))
        ['lens.f']
    """
    require_module("learned", model)
    return [name for name, v in variables(model).items() if isinstance(v, nnx.Param)]


def select(model: nnx.Module, *patterns: str | Sequence[str]) -> list[str]:
    r"""Finds parameters by patterns of their names.

    A pattern is a name, a name with wildcards (``"*.f"``,
    ``"mask.*"``), or the name of a part of the model, which stands for all in it.

    Args:
        model: The model, any nnx module.
        patterns: Names or patterns, one by one or as a list.

    Returns:
        The names that match, each once, in the order of the model.

    Raises:
        ValueError: If a pattern matches nothing; the nearest name is suggested.
        TypeError: If ``model`` is not an nnx module or a pattern is not a text.

    Example:
        >>> from jaxwave.elements import System, ThinLens
        >>> system = System(first=ThinLens(200.0), second=ThinLens(100.0))
        >>> select(system, "*.f")
        ['first.f', 'second.f']
    """
    require_module("select", model)
    return _chosen("select", list(variables(model)), patterns)


def learn(model: Model, *patterns: str | Sequence[str]) -> Model:
    r"""Makes parameters learned, by name.

    The values stay exact, and what was learned before stays
    learned. Patterns are those of :func:`select`.

    Args:
        model: The model, any nnx module; it is not changed.
        patterns: Names or patterns, such as ``"mask.phase"`` or ``"lens.*"``, one by one or as a
            list.

    Returns:
        A new model in which these parameters are ``nnx.Param``.

    Raises:
        ValueError: If a pattern matches nothing; the nearest name is suggested.
        TypeError: If ``model`` is not an nnx module.

    Example:
        >>> from jaxwave.elements import ThinLens
        >>> learn(ThinLens(200.0), "f")
        ThinLens(f=learned 200 µm)
    """
    return _retyped("learn", model, patterns, nnx.Param)


def freeze(model: Model, *patterns: str | Sequence[str]) -> Model:
    r"""Makes parameters fixed, by name; the opposite of :func:`learn`.

    The values stay exact, and can still be swept.

    Args:
        model: The model, any nnx module; it is not changed.
        patterns: Names or patterns, such as ``"mask.phase"`` or ``"*"``, one by one or as a list.

    Returns:
        A new model in which these parameters are :class:`Fixed`.

    Raises:
        ValueError: If a pattern matches nothing; the nearest name is suggested.
        TypeError: If ``model`` is not an nnx module.

    Example:
        >>> from jaxwave.elements import ThinLens
        >>> freeze(learn(ThinLens(200.0), "*"), "n")
        ThinLens(f=learned 200 µm)
    """
    return _retyped("freeze", model, patterns, Fixed)


def replace(model: Model, values: Mapping[str, ArrayLike | str]) -> Model:
    r"""Gives parameters new values, by name.

    Valid for every flax nnx module, also inside ``jax.jit``, ``grad`` and ``vmap``; that is how a
    parameter is swept. Values are taken as they are: ranges are checked when an element is made.

    Args:
        model: The model, any nnx module; it is not changed.
        values: New values by exact name, of any shape ``(...)`` [their units], or texts such
            as ``"130 nm"``.

    Returns:
        A new model; what is learned stays learned.

    Raises:
        ValueError: If there is no such parameter; the nearest name is suggested.
        TypeError: If ``model`` is not an nnx module or a value is not a number.

    Example:
        >>> import jax
        >>> from jaxwave import plane_wave
        >>> from jaxwave.elements import ThinLens
        >>> field, lens = plane_wave((8, 8), spacing=1.0, wavelength=0.5), ThinLens(200.0)
        >>> jax.vmap(lambda f: replace(lens, {"f": f})(field))(jax.numpy.arange(1.0, 4.0))
        Field((3, 8, 8) complex64, spacing=1 µm, wavelength=0.5 µm)
    """
    require_module("replace", model)
    names = list(variables(model))
    for name in values:
        if name not in names:
            _matching("replace", names, name)
            raise ValueError(f"replace: needs the exact name of a parameter, got {name!r}.")

    def change(name: str, variable: nnx.Variable) -> nnx.Variable:
        if name not in values:
            return variable
        value = strong_array("replace", name, values[name])
        return type(variable)(value, **variable.get_metadata())

    return _edited(model, change)


def _chosen(where: str, names: list[str], patterns: Sequence[str | Sequence[str]]) -> list[str]:
    if not any(patterns):
        raise ValueError(
            f"{where}: name at least one parameter. The model's parameters are: {', '.join(names)}."
        )
    return matching_names(where, names, patterns)


def _retyped(
    where: str, model: Model, patterns: Sequence[str | Sequence[str]], kind: type
) -> Model:
    require_module(where, model)
    names = list(variables(model))
    chosen = set(_chosen(where, names, patterns))

    def change(name: str, variable: nnx.Variable) -> nnx.Variable:
        if name not in chosen or isinstance(variable, kind):
            return variable
        value = strong_array(where, name, variable.get_value())
        return kind(value, **variable.get_metadata())

    return _edited(model, change)


def _edited(model: Model, change: Callable[[str, nnx.Variable], nnx.Variable]) -> Model:
    """A copy (the arrays are shared) whose variables went through ``change``."""
    copy = nnx.merge(*nnx.split(model))
    done: dict[int, nnx.Variable] = {}
    keep = []  # so that no identity is used twice while this runs

    def edit(node: Any, path: tuple[str, ...]) -> Any:
        if isinstance(node, nnx.Variable):
            if id(node) not in done:
                keep.append(node)
                done[id(node)] = change(".".join(path), node)
            return done[id(node)]
        if isinstance(node, nnx.Pytree):
            for key, child in children(node):
                new = edit(child, (*path, key))
                if new is not child:
                    object.__setattr__(node, key, new)
            return node
        if isinstance(node, dict):
            return {k: edit(v, (*path, str(k))) for k, v in node.items()}
        if type(node) in (list, tuple):
            return type(node)(edit(v, (*path, str(k))) for k, v in enumerate(node))
        return node

    return edit(copy, ())
