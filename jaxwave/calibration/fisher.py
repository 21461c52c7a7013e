"""Fisher information and Cramer-Rao bounds: how well data could tell parameters at best."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from jaxwave import _check, numerics


def fisher_information(
    expected: Callable[..., Array],
    parameters: object,
    *data: object,
    variance: ArrayLike | None = None,
    read_noise: ArrayLike = 0.0,
) -> Array:
    r"""Fisher information of counted photons, or of data with Gaussian noise.

    .. math:: F_{ij} = \sum_k \frac{1}{v_k} \frac{\partial\mu_k}{\partial p_i}
        \frac{\partial\mu_k}{\partial p_j}, \qquad v_k = \mu_k + \sigma^2

    Exact for photons alone (Poisson), where the variance is the expectation µ, and for Gaussian
    noise of a ``variance`` that does not depend on the parameters. With read noise it neglects
    what the variance itself tells, which is valid above a few photons. Dark pixels (v = 0) count
    for nothing. Differentiable, so a pupil can be designed for it.

    Args:
        expected: ``expected(parameters, *data)``, any shape [photons, or unit of the data].
        parameters: Where to evaluate, a pytree of real arrays.
        data: Further arguments of ``expected``.
        variance: Variance of Gaussian noise, one number or the shape of the data [data²]; by
            default that of photons.
        read_noise: Its standard deviation, one number or the shape of the data [unit of the data].

    Returns:
        The information, ``(count, count)``, in the order of ``jax.flatten_util.ravel_pytree``.

    Raises:
        ValueError: If a variance or the read noise is negative, or shapes do not fit.
        TypeError: If the expectation is complex.

    Example:
        >>> x = jnp.linspace(-1, 1, 101)
        >>> f = fisher_information(lambda p: p * x, jnp.float32(1.0), variance=0.01)
        >>> f.round(0).tolist()
        [[3434.0]]

    References:
        R. J. Ober, S. Ram and E. S. Ward, Biophys. J. 86, 1185 (2004); S. M. Kay, *Fundamentals
        of Statistical Signal Processing: Estimation Theory*, Sec. 3.9.
    """
    where = "fisher_information"
    _check.function(where, "expected", expected)
    _check.nonnegative(where, "read_noise", read_noise)
    if variance is not None:
        _check.nonnegative(where, "variance", variance)
    flat, unravel = ravel_pytree(parameters)
    if flat.dtype.kind not in "f":
        raise TypeError(
            f"{where}: `parameters` must be real, got {flat.dtype}. "
            "Pass real and imaginary parts as two parameters."
        )

    def mean(p: Array) -> Array:
        return _check.real_array(where, "expected", expected(unravel(p), *data))

    mu, slopes = mean(flat), jax.jacfwd(mean)(flat)
    noise = mu if variance is None else jnp.asarray(variance, mu.dtype)
    noise = noise + jnp.asarray(read_noise, mu.dtype) ** 2
    _check.broadcast(where, expected=mu.shape, variance=noise.shape)
    lit = noise > 0
    weight = jnp.where(lit, 1 / jnp.where(lit, noise, 1), 0)
    columns = (jnp.broadcast_to(weight, mu.shape)[..., None] * slopes).reshape(-1, flat.size)
    return jnp.matmul(columns.T, slopes.reshape(-1, flat.size), precision="highest")


def cramer_rao(
    expected: Callable[..., Array],
    parameters: object,
    *data: object,
    prior: object = None,
    variance: ArrayLike | None = None,
    read_noise: ArrayLike = 0.0,
) -> Any:
    r"""Smallest standard errors that an unbiased estimate can have.

    .. math:: \sigma_i \ge \sqrt{\bigl[(F + S^{-2})^{-1}\bigr]_{ii}}

    with the information F of :func:`fisher_information` and the widths S of Gaussian priors. All
    parameters count as unknown; what is known stays out of them. Valid as that function is; reached
    by maximum likelihood with enough light. Infinite for what the data do not tell. Pure
    and differentiable: ``jax.vmap`` gives the bound against depth, ``jax.grad`` designs a pupil.

    Args:
        expected: ``expected(parameters, *data)``, any shape [photons, or unit of the data].
        parameters: Where to evaluate, a pytree of real arrays.
        data: Further arguments of ``expected``.
        prior: Pytree like ``parameters`` of the widths of Gaussian priors (infinite for none).
        variance: Variance of Gaussian noise, one number or the shape of the data [data²]; by
            default that of photons.
        read_noise: Its standard deviation, one number or the shape of the data [unit of the data].

    Returns:
        The bounds, a pytree like ``parameters`` [their units].

    Raises:
        ValueError: If a variance or the read noise is negative, or shapes do not fit.
        TypeError: If the expectation is complex.

    Example:
        >>> x = jnp.linspace(-1, 1, 101)
        >>> spot = lambda p: 1e4 * jnp.exp(-((x - p) ** 2) / (2 * 0.1**2)) * 0.02 / 0.2507
        >>> round(float(cramer_rao(spot, jnp.float32(0.0))), 5)  # 0.1/sqrt(10000)
        0.001

    References:
        H. Cramér, *Mathematical Methods of Statistics*, Princeton (1946), Sec. 32.3; R. J. Ober,
        S. Ram and E. S. Ward, Biophys. J. 86, 1185 (2004).
    """
    _check.function("cramer_rao", "expected", expected)
    information = fisher_information(
        expected, parameters, *data, variance=variance, read_noise=read_noise
    )
    _, unravel = ravel_pytree(parameters)
    if prior is not None:
        width = ravel_pytree(prior)[0].astype(information.dtype)
        information = information + jnp.diag(1 / width**2)
    return unravel(least_errors(information))


def localization_bound(
    psf: Callable[[Array], Array],
    position: ArrayLike,
    *,
    photons: ArrayLike,
    background: ArrayLike = 0.0,
    read_noise: ArrayLike = 0.0,
) -> dict[str, Array]:
    r"""Smallest errors of an emitter's position, brightness and background.

    .. math:: \mu = N\,P(z, y, x) + b,\qquad \sigma_i \ge \sqrt{[F^{-1}]_{ii}}

    All five are estimated from the same image or images. Valid as :func:`cramer_rao` is, for a
    background that is the same in every pixel. Where the image does not change with z to first
    order (the focus of an unaberrated microscope) the bound of z is infinite or very large.

    Args:
        psf: ``psf(position)``, share of the light in every pixel, ``(..., y, x)`` [none].
        position: Position (z, y, x), ``(..., 3)`` [µm].
        photons: Photons of the emitter, scalar [photons].
        background: Photons in every pixel, scalar [photons].
        read_noise: Its standard deviation, scalar [electrons].

    Returns:
        The bounds of "z", "y" and "x" [µm], "photons" and "background" [photons], ``(...)``.

    Raises:
        ValueError: If ``position`` has no axis of three, or a number is out of range.
        TypeError: If the PSF is complex.

    Example:
        >>> y, x = jnp.mgrid[-8:9, -8:9] * 0.1
        >>> def spot(position):
        ...     s = 0.15 * jnp.sqrt(1 + ((position[0] - 0.2) / 0.4) ** 2)
        ...     r2 = (y - position[1]) ** 2 + (x - position[2]) ** 2
        ...     return 0.01 * jnp.exp(-r2 / (2 * s**2)) / (2 * jnp.pi * s**2)
        >>> bound = localization_bound(spot, jnp.zeros(3), photons=1e4)
        >>> round(float(bound["x"]), 5)  # s/sqrt(10000), with s = 0.168
        0.00168

    References:
        R. J. Ober, S. Ram and E. S. Ward, Biophys. J. 86, 1185 (2004); F. Huang et al., Nat.
        Methods 10, 653 (2013) (read noise).
    """
    where = "localization_bound"
    _check.function(where, "psf", psf)
    position = _check.real_array(where, "position", _check.length(where, "position", position))
    if position.shape[-1:] != (3,):
        raise ValueError(
            f"{where}: `position` must be (..., 3) as (z, y, x), got the shape {position.shape}."
        )
    _check.positive(where, "photons", photons)
    _check.nonnegative(where, "background", background)

    def expected(p: dict[str, Array]) -> Array:
        share = psf(jnp.stack([p["z"], p["y"], p["x"]]))
        return p["photons"] * share + p["background"]

    def bound(place: Array) -> dict[str, Array]:
        kind = position.dtype
        parameters = dict(zip("zyx", place, strict=True)) | {
            "photons": jnp.asarray(photons, kind),
            "background": jnp.asarray(background, kind),
        }
        return cramer_rao(expected, parameters, read_noise=read_noise)

    if position.ndim == 1:
        return bound(position)
    flat = numerics.map_rows(bound, position.reshape(-1, 3), 4)
    return jax.tree.map(lambda a: a.reshape(position.shape[:-1]), flat)


def least_errors(information: Array) -> Array:
    """Square roots of the inverse's diagonal, by way of a matrix whose diagonal is one.

    Infinite for what the information ``(count, count)`` leaves open.
    """
    variance = jnp.diag(information)
    known = variance > 0
    size = jnp.sqrt(jnp.where(known, variance, 1))
    unit = information / (size[:, None] * size) + jnp.diag(jnp.where(known, 0, 1))
    inflation = jnp.diag(jnp.linalg.inv(unit))
    # An inverse of ones and rounding is anything; an inflation is never below one.
    most = 0.1 / jnp.finfo(information.dtype).eps
    sound = known & (inflation > 0) & (inflation < most)
    return jnp.where(sound, jnp.sqrt(jnp.where(sound, inflation, 1)) / size, jnp.inf)
