"""Sums over settings that need not be stored: a part of each chunk, parts joined in order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxwave import _check
from jaxwave.sweeps.points import WHERE

State = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Reduction:
    """A sum over settings.

    Args:
        part: ``(values, valid, first)`` of a chunk to a state; in one compiled program.
        join: Two states to one, the earlier settings first; on the host.
        finish: The state of everything to the result.
        host: What is left to do with the state of a chunk on the host.
    """

    part: Callable[[Any, jax.Array, jax.Array], State]
    join: Callable[[State, State], State]
    finish: Callable[[State], Any]
    host: Callable[[State], State] = lambda state: state


def reductions(reduce: object, chosen: np.ndarray | None) -> dict[str, Reduction]:
    """Reads what a user wants: a name, a function of two results, or several by name."""
    found: dict[str, Any] = {}
    if isinstance(reduce, str):
        found = {reduce: None}
    elif isinstance(reduce, Mapping):
        found = dict(reduce)
    elif isinstance(reduce, Sequence):
        found = dict.fromkeys(reduce)
    elif callable(reduce):
        found = {getattr(reduce, "__name__", "reduce"): reduce}
    else:
        raise TypeError(
            f"{WHERE}: `reduce` must be a name, a function of two results, or a dict of them, got "
            f"{reduce!r}."
        )
    result = {}
    for name, option in found.items():
        if callable(option):
            result[str(name)] = _folded(option)
            continue
        _check.choice(WHERE, "reduce", name, [*_NAMED, "quantiles"])
        if name == "quantiles":
            result[name] = _quantiles(option, chosen)
        else:
            result[name] = _NAMED[name]
    return result


def _each(function: Callable[..., Any], *trees: object) -> Any:
    return jax.tree.map(function, *trees)


def _where(valid: jax.Array, values: jax.Array, other: Any) -> jax.Array:
    return jnp.where(valid.reshape(-1, *[1] * (values.ndim - 1)), values, other)


# -- mean and deviation ------------------------------------------------------------------------


def _moments(values: object, valid: jax.Array, first: jax.Array) -> State:
    count = jnp.sum(valid)
    mean = _each(lambda v: jnp.sum(_where(valid, v, 0), 0) / jnp.maximum(count, 1), values)
    square = _each(lambda v, m: jnp.sum(_where(valid, jnp.abs(v - m) ** 2, 0), 0), values, mean)
    return {"count": count, "mean": mean, "square": square}


def _wide(value: object) -> np.ndarray:
    value = np.asarray(value)
    return value.astype(np.result_type(value.dtype, np.float64))


def _join_moments(a: State, b: State) -> State:
    count = np.float64(a["count"] + b["count"])
    share = b["count"] / max(count, 1.0)
    both = a["count"] * share
    step = _each(lambda x, y: _wide(y) - _wide(x), a["mean"], b["mean"])
    between = _each(lambda s: both * np.abs(s) ** 2, step)
    return {
        "count": count,
        "mean": _each(lambda x, s: _wide(x) + share * s, a["mean"], step),
        "square": _each(lambda x, y, s: _wide(x) + y + s, a["square"], b["square"], between),
    }


def _mean(state: State) -> Any:
    nothing = state["count"] == 0
    return _each(lambda m: np.where(nothing, np.nan, m), state["mean"])


def _deviation(state: State) -> Any:
    count = max(float(state["count"]), 1.0)
    return _each(lambda s: np.sqrt(s / count), state["square"])


# -- extremes ----------------------------------------------------------------------------------


def _extreme(sign: int) -> tuple[Callable[..., State], Callable[[State, State], State]]:
    def part(values: object, valid: jax.Array, first: jax.Array) -> State:
        def score(v: jax.Array) -> jax.Array:
            if jnp.issubdtype(v.dtype, jnp.complexfloating):
                raise TypeError(f"{WHERE}: complex results have no smallest one.")
            return _where(valid, sign * v.astype(jnp.result_type(v, float)), jnp.inf)

        best = _each(lambda v: jnp.min(score(v), 0), values)
        return {"best": best, "index": _each(lambda v: first + jnp.argmin(score(v), 0), values)}

    def join(a: State, b: State) -> State:
        later = _each(lambda x, y: y < x, a["best"], b["best"])
        return {name: _each(np.where, later, b[name], a[name]) for name in a}

    return part, join


_LEAST, _MOST = _extreme(1), _extreme(-1)
_NAMED = {
    "mean": Reduction(_moments, _join_moments, _mean),
    "std": Reduction(_moments, _join_moments, _deviation),
    "min": Reduction(*_LEAST, lambda s: _each(np.asarray, s["best"])),
    "max": Reduction(*_MOST, lambda s: _each(lambda b: -np.asarray(b), s["best"])),
    "argmin": Reduction(*_LEAST, lambda s: _each(np.asarray, s["index"])),
    "argmax": Reduction(*_MOST, lambda s: _each(np.asarray, s["index"])),
}


# -- quantiles and functions -------------------------------------------------------------------


def _quantiles(levels: object, chosen: np.ndarray | None) -> Reduction:
    """Exact over the chosen settings, which are all of them where memory allows."""
    levels = np.asarray((0.05, 0.5, 0.95) if levels is None else levels, float)
    if levels.ndim > 1 or np.any((levels < 0) | (levels > 1)):
        raise ValueError(f"{WHERE}: quantiles are numbers between 0 and 1, got {levels.tolist()}.")

    def part(values: object, valid: jax.Array, first: jax.Array) -> State:
        return {"values": values, "valid": valid, "first": first}

    def host(state: State) -> State:
        valid, first = np.array(state["valid"]), int(state["first"])
        if chosen is not None:
            mask = np.zeros(len(valid), bool)
            inside = chosen[(chosen >= first) & (chosen < first + len(valid))]
            mask[inside - first] = True
            valid &= mask
        return {"kept": _each(lambda v: np.asarray(v)[valid], state["values"])}

    def join(a: State, b: State) -> State:
        return {"kept": _each(lambda x, y: np.concatenate([x, y]), a["kept"], b["kept"])}

    def finish(state: State) -> Any:
        def one(v: np.ndarray) -> np.ndarray:
            if len(v) == 0:
                return np.full((*levels.shape, *v.shape[1:]), np.nan)
            return np.quantile(v, levels, axis=0)

        return _each(one, state["kept"])

    return Reduction(part, join, finish, host)


def _joins(merge: Callable[[Any, Any], Any], one: object) -> None:
    """Raises if a function does not make one result of two."""
    name = getattr(merge, "__name__", "the function")
    text = (
        f"{WHERE}: `reduce` takes a function of two results that returns one like them, such as "
        f"jnp.add. {name}(result, result)"
    )
    hint = f" For all settings at once write reduce={name!r}." if name in _NAMED else ""
    try:
        made = jax.eval_shape(merge, one, one)
    except Exception as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TypeError(f"{text} raised: {said}{hint}") from error
    got, needed = (
        [jax.tree.structure(tree), *(leaf.shape for leaf in jax.tree.leaves(tree))]
        for tree in (made, one)
    )
    if got != needed:
        raise TypeError(f"{text} returned something of another structure or shape.{hint}")


def _folded(merge: Callable[[Any, Any], Any]) -> Reduction:
    """Joins results one after the other by a function of two of them."""

    def part(values: object, valid: jax.Array, first: jax.Array) -> State:
        _joins(merge, jax.eval_shape(lambda: _each(lambda v: v[0], values)))

        def step(carry: tuple[Any, jax.Array], item: tuple[Any, jax.Array]) -> tuple[Any, None]:
            (so_far, begun), (value, good) = carry, item
            joined = merge(so_far, value)
            first = _each(lambda v, j: jnp.where(begun, j, v), value, joined)
            new = _each(lambda old, v: jnp.where(good, v, old), so_far, first)
            return (new, begun | good), None

        start = _each(lambda v: v[0], values), jnp.asarray(False)
        (total, begun), _ = jax.lax.scan(step, start, (values, valid))
        return {"total": total, "begun": begun}

    def join(a: State, b: State) -> State:
        if not (a["begun"] and b["begun"]):
            return b if b["begun"] else a
        total = _each(np.asarray, merge(a["total"], b["total"]))
        return {"total": total, "begun": np.asarray(True)}

    def finish(state: State) -> Any:
        return _each(lambda v: np.where(state["begun"], v, np.nan), state["total"])

    return Reduction(part, join, finish)
