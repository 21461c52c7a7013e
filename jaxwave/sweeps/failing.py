"""Settings that fail: what is refused by the checks of concrete numbers, and what is not finite.

Checks look at known numbers only, and a compiled sweep has none. So a few settings at the corners
of the set are tried first, without computing anything; only if one of them is refused is every
setting tried that way.
"""

from __future__ import annotations

import itertools

import jax
import numpy as np

from jaxwave.sweeps.points import Points
from jaxwave.sweeps.target import Target

_MOST_CORNERS = 16
_REFUSED = (ValueError, TypeError, ArithmeticError)


def refusal(target: Target, points: Points, index: int) -> str:
    """Why a setting is refused, or an empty text; nothing is computed."""
    return _try(target, points.row(index))


def _try(target: Target, row: dict[str, np.ndarray]) -> str:
    known = {name: v.item() if v.ndim == 0 else v for name, v in row.items()}
    try:
        jax.eval_shape(lambda: target.call(target.numbers, known))
    except _REFUSED as error:
        return " ".join(str(error).split()) or type(error).__name__
    return ""


def has_refusals(target: Target, points: Points) -> bool:
    """Tries the corners of the set."""
    ends: dict[str, list[np.ndarray]] = {}
    for name, values in points.values.items():
        if values.ndim > 1:
            ends[name] = [values[0]]
            continue
        order = np.argsort(values)
        ends[name] = [values[i] for i in dict.fromkeys((int(order[0]), int(order[-1])))]
    corners = itertools.islice(itertools.product(*ends.values()), _MOST_CORNERS)
    rows = [{**dict(zip(ends, corner, strict=True)), **points.fixed} for corner in corners]
    return any(_try(target, row) for row in rows)


def not_finite(row: object) -> str:
    """Says which results of a setting are not finite."""
    texts = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(row):
        bad = int(np.size(leaf) - np.isfinite(leaf).sum())
        if bad:
            label = jax.tree_util.keystr(path, simple=True, separator=".")
            name = f" of `{label}`" if label else ""
            texts.append(f"{bad} of {np.size(leaf)} values{name}")
    return f"{' and '.join(texts)} not finite"


def erase(leaf: np.ndarray, index: int) -> None:
    """Makes a row NaN; whole numbers have none and stay."""
    if leaf.dtype.kind in "fc":
        leaf[index] = np.nan
