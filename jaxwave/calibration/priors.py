"""What is known of a parameter before the data: residual rows that join those of the data."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from jaxwave import _check
from jaxwave.calibration._key import cached

Prior = Callable[[Array], Array]


@cached
def normal(mean: float, sigma: float) -> Prior:
    r"""Expects a parameter near a value, as from a data sheet.

    .. math:: r = (p - \mu)/\sigma,\qquad -\log P(p) = \tfrac12 \sum r^2 + \text{const}

    Valid as a Gaussian belief, the same for every number of the parameter.

    Args:
        mean: The value µ, one number [the parameter's unit].
        sigma: Its standard deviation, one number [the parameter's unit].

    Returns:
        A function from a parameter to residuals in units of their standard deviation.

    Raises:
        ValueError: If ``sigma`` is not positive.

    Example:
        >>> round(float(normal(0.85, 0.01)(0.87)), 3)
        2.0

    References:
        A. Gelman et al., *Bayesian Data Analysis*, 3rd ed., Sec. 2.5.
    """
    _check.finite("normal", "mean", mean)
    _check.positive("normal", "sigma", sigma)
    return lambda p: (jnp.asarray(p) - mean) / sigma


@cached
def smooth(step: float) -> Prior:
    r"""Expects a map to change little from one sample to the next.

    .. math:: r = \frac{p_{y+1,x} - p_{yx}}{s},\ \frac{p_{y,x+1} - p_{yx}}{s}

    Valid as a Gaussian belief on the differences along the last two axes (one, for a profile).

    Args:
        step: Standard deviation s of a difference, one number [the parameter's unit].

    Returns:
        A function from a parameter to residuals in units of their standard deviation.

    Raises:
        ValueError: If ``step`` is not positive, or the parameter has no axes.

    Example:
        >>> smooth(0.5)(jnp.array([[0.0, 1.0], [0.0, 1.0]])).tolist()
        [0.0, 0.0, 2.0, 2.0]

    References:
        A. N. Tikhonov and V. Y. Arsenin, *Solutions of Ill-Posed Problems*, Wiley (1977).
    """
    _check.positive("smooth", "step", step)

    def rows(p: Array) -> Array:
        _check.at_least("smooth", "the parameter", p, 1, "(..., y, x)")
        axes = range(max(0, p.ndim - 2), p.ndim)
        return jnp.concatenate([jnp.ravel(jnp.diff(p, axis=axis)) / step for axis in axes])

    return rows
