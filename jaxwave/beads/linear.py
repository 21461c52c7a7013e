"""Brightness and background, solved inside the loss (variable projection)."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check


def solve_gain_background(
    model: ArrayLike, data: ArrayLike, weight: ArrayLike, *, per_plane: bool = True
) -> tuple[Array, Array]:
    r"""Solves the gain and background that fit a model to data, in closed form.

    .. math:: (g, b) = \arg\min \sum w\,(g\,m + b - d)^2

    Eliminating them inside the loss (variable projection) keeps them from running away, as they
    do when they are learned by gradient steps. Valid where the model is not constant; a constant
    or empty model gets the gain zero.

    Args:
        model: Model of unit gain, ``(..., z, y, x)`` [any unit].
        data: Data, ``(..., z, y, x)`` [counts].
        weight: Weight of every pixel, ``(..., z, y, x)`` [1/counts²].
        per_plane: One pair for every plane z; False gives one pair for the stack.

    Returns:
        Gain [counts/unit] and background [counts], ``(..., z, 1, 1)`` or ``(..., 1, 1, 1)``.

    Raises:
        ValueError: If the arrays have fewer than three axes.

    Example:
        >>> m = jnp.arange(12.0).reshape(1, 3, 4)
        >>> g, b = solve_gain_background(m, 2 * m + 5, jnp.ones_like(m))
        >>> round(float(g[0, 0, 0]), 4), round(float(b[0, 0, 0]), 4)
        (2.0, 5.0)

    References:
        G. H. Golub and V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least
        squares problems whose variables separate", SIAM J. Numer. Anal. 10, 413 (1973).
    """
    _check.at_least("solve_gain_background", "model", model, 3, "(..., z, y, x)")
    arrays = {"model": model, "data": data, "weight": weight}
    m, d, w = (_check.real_array("solve_gain_background", k, a) for k, a in arrays.items())
    _check.broadcast("solve_gain_background", **{k: np.shape(a) for k, a in arrays.items()})
    axes = (-2, -1) if per_plane else (-3, -2, -1)

    def total(values: Array) -> Array:
        return jnp.sum(values, axis=axes, keepdims=True)

    norm = jnp.maximum(total(w), jnp.finfo(w.dtype).tiny)
    mean_m, mean_d = total(w * m) / norm, total(w * d) / norm
    centered = m - mean_m  # centered sums keep their digits in float32
    spread = total(w * centered**2)
    lit = spread > 0
    gain = jnp.where(lit, total(w * centered * (d - mean_d)) / jnp.where(lit, spread, 1), 0)
    return gain, mean_d - gain * mean_m
