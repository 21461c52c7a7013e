"""Error bars from the curvature of a least-squares fit."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree


def standard_errors(
    residuals: Callable[..., Array],
    parameters: Any,
    *data: Any,
    prior: Any = None,
    scale: float | None = None,
) -> tuple[Any, np.ndarray]:
    r"""Standard errors of the parameters of a weighted least-squares fit.

    .. math:: C = s^2\,(J^T J + S^{-2})^{-1},\qquad \sigma_i = \sqrt{C_{ii}},\qquad
        s^2 = \max(1, \chi^2/\nu)

    with the Jacobian J of the residuals in units of their noise and the widths S of Gaussian
    priors. The scale s widens the errors where the model does not reach the noise (Birge
    ratio). Valid near the minimum, where the residuals are linear in the parameters; parameters
    that are not passed are taken as known.

    Args:
        residuals: ``residuals(parameters, *data)``, (model - data)/noise, any shape [1].
        parameters: Parameters at the minimum, a pytree of real arrays (a few hundred numbers).
        data: Further arguments of ``residuals``.
        prior: Pytree like ``parameters`` of the widths of Gaussian priors (infinite for none).
        scale: The factor s; by default from the residuals.

    Returns:
        The errors, a pytree like ``parameters`` [their units], and the covariance,
        ``(count, count)``, in the order of ``jax.flatten_util.ravel_pytree``.

    Raises:
        ValueError: If the data cannot tell parameters apart; the message names them.

    Example:
        >>> x = jnp.linspace(-1, 1, 101)
        >>> errors, _ = standard_errors(lambda p: (p["a"] * x) / 0.1, {"a": jnp.float32(0.0)})
        >>> round(float(errors["a"]), 4)
        0.0171

    References:
        W. H. Press et al., *Numerical Recipes*, 3rd ed., Sec. 15.6; R. T. Birge, Phys. Rev. 40,
        207 (1932).
    """
    flat, unravel = ravel_pytree(parameters)

    information, chi2, count = _normal(residuals, unravel, flat, *data)
    information = np.asarray(information, np.float64)
    if prior is not None:
        width = np.asarray(ravel_pytree(prior)[0], np.float64)
        information = information + np.diag(1 / width**2)
    freedom = max(int(count) - flat.size, 1)
    factor = max(1.0, float(chi2) / freedom) if scale is None else scale**2
    covariance = factor * _inverse(information, parameters)
    return unravel(jnp.asarray(np.sqrt(np.diag(covariance)), flat.dtype)), covariance


@partial(jax.jit, static_argnums=(0, 1))  # the same residuals again compile nothing
def _normal(
    residuals: Callable[..., Array], unravel: Callable[[Array], Any], p: Array, *data: Any
) -> tuple[Array, Array, Any]:
    """Normal matrix, sum of squares and number of the residuals."""

    def vector(p: Array) -> Array:
        return jnp.ravel(residuals(unravel(p), *data))

    # Columns in a loop: a wide jacfwd would hold every plane of every column at once.
    def column(direction: Array) -> Array:
        return jax.jvp(vector, (p,), (direction,))[1]

    jacobian = jax.lax.map(column, jnp.eye(p.size, dtype=p.dtype), batch_size=4)
    r = vector(p)
    return jnp.matmul(jacobian, jacobian.T, precision="highest"), jnp.sum(r**2), r.size


def _inverse(information: np.ndarray, parameters: Any) -> np.ndarray:
    size = np.sqrt(np.diag(information))
    names = _names(parameters)
    if np.any(size == 0) or not np.all(np.isfinite(size)):
        bad = [name for name, s in zip(names, size, strict=True) if not s > 0]
        raise ValueError(
            f"standard_errors: the data do not depend on {', '.join(bad)}. "
            "Fix them, or give a prior."
        )
    unit = information / np.outer(size, size)
    values, vectors = np.linalg.eigh(unit)
    if values[0] < 1e-10:
        weights = np.abs(vectors[:, 0])
        mixed = [names[i] for i in np.argsort(weights)[::-1][:4] if weights[i] > 0.1]
        raise ValueError(
            f"standard_errors: the data cannot tell {', '.join(mixed)} apart. "
            "Fix one of them, or give a prior."
        )
    return (vectors / values) @ vectors.T / np.outer(size, size)


def _names(parameters: Any) -> list[str]:
    names = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(parameters):
        key = jax.tree_util.keystr(path)
        names += [f"{key}[{i}]" for i in range(np.size(leaf))] if np.ndim(leaf) else [key]
    return names
