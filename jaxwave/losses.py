"""How far a model is from the data, for least squares, photon counting and cameras.

Every loss sums over ``axis`` (the image axes by default) and keeps the batch axes in front; pass
``axis=(-3, -2, -1)`` for a stack that counts as one measurement, ``axis=None`` for everything.
Samples of weight zero are left out altogether: they may hold NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.numerics import program, real_dtype

Axis = int | tuple[int, ...] | None

_IMAGE = (-2, -1)
# Below this many photons the logarithm of a model is continued by its tangent.
_FEW = 1e-6
# Data below this many photons count as none: the square of a smaller number may underflow.
_NONE = 1e-12


def _pair(
    where: str, model: ArrayLike, data: ArrayLike, weight: ArrayLike | None, axis: Axis
) -> tuple[Array, Array, Array | None]:
    """Checks shapes and data."""
    data_array, model_array = jnp.asarray(data), jnp.asarray(model)
    axes = [] if axis is None else np.atleast_1d(axis).tolist()
    rank = max((-a if a < 0 else a + 1 for a in axes), default=0)
    for name, array in (("data", data_array), ("model", model_array)):
        _check.at_least(where, name, array, rank, f"named by axis={axis}")
    _check.matches(where, "model", model_array.shape, "data", data_array.shape)
    if weight is None:
        _check.finite_array(where, "data", data, fix="Give such samples the weight zero.")
        return model_array, data_array, None
    _check.nonnegative(where, "weight", weight)
    w = jnp.asarray(weight)
    shape = _check.broadcast(where, data=data_array.shape, model=model_array.shape, weight=w.shape)
    if _check.is_concrete(data, weight):
        used = np.where(np.broadcast_to(np.asarray(w) != 0, shape), np.asarray(data), 0)
        _check.finite_array(where, "data", used, fix="Give such samples the weight zero.")
    return model_array, data_array, w


def _harmless(m: Array, d: Array, w: Array | None) -> tuple[Array, Array, Array | None]:
    """Gives all three one precision, and replaces samples of weight zero by harmless ones."""
    kind = jnp.result_type(m, d)
    if not jnp.issubdtype(kind, jnp.inexact):
        kind = jnp.result_type(float)
    m, d = m.astype(kind), d.astype(kind)
    if w is None:
        return m, d, None
    w = jnp.broadcast_to(w.astype(real_dtype(kind)), np.broadcast_shapes(d.shape, m.shape, w.shape))
    return jnp.where(w != 0, m, 1), jnp.where(w != 0, d, 1), w


def _total(terms: Array, weight: Array | None, axis: Axis) -> Array:
    return jnp.sum(terms if weight is None else weight * terms, axis=axis)


def _square(u: Array) -> Array:
    return u.real**2 + u.imag**2 if jnp.iscomplexobj(u) else u * u


def _counts(where: str, data: ArrayLike, weight: ArrayLike | None) -> None:
    """Requires counted photons, where they can be looked at."""
    if _check.is_concrete(data, weight):
        used = data if weight is None else np.where(np.asarray(weight) != 0, np.asarray(data), 0)
        _check.real_array(where, "data", used)
        _check.not_negative_counts(where, "data", used)


# -- least squares -------------------------------------------------------------------------


def nmse(
    model: ArrayLike, data: ArrayLike, *, weight: ArrayLike | None = None, axis: Axis = _IMAGE
) -> Array:
    r"""Normalized mean square error.

    .. math:: \frac{\sum w\,|m - d|^2}{\sum w\,|d|^2}

    Zero for a perfect model and one for a dark one. Valid for real and complex samples; undefined
    (infinite) for data that are zero everywhere.

    Args:
        model: The model, ``(..., y, x)`` [any unit].
        data: The data, ``(..., y, x)`` [unit of ``model``].
        weight: Weights, ``(..., y, x)`` like the data [any unit]; zero leaves a sample out.
        axis: Axes to sum over.

    Returns:
        The error, ``(...)`` [none].

    Raises:
        ValueError: If the shapes differ, the data are not finite or are zero everywhere, or a
            weight is negative.

    Example:
        >>> data = jnp.array([[3.0, 4.0]])
        >>> nmse(1.1 * data, data).round(4).item()
        0.009999999776482582

    References:
        J. R. Fienup, "Invariant error metrics for image reconstruction",
        Appl. Opt. 36, 8352 (1997).
    """
    error, scale = _nmse(*_pair("nmse", model, data, weight, axis), axis)
    if _check.is_concrete(scale):
        _check.positive(
            "nmse", "sum(weight * |data|²)", scale, fix="Leave out data that are zero everywhere."
        )
    return error


@program("axis")
def _nmse(m: Array, d: Array, w: Array | None, axis: Axis) -> tuple[Array, Array]:
    m, d, w = _harmless(m, d, w)
    scale = _total(_square(d), w, axis)
    return _total(_square(m - d), w, axis) / scale, scale


def gaussian_nll(
    model: ArrayLike,
    data: ArrayLike,
    variance: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    axis: Axis = _IMAGE,
) -> Array:
    r"""Negative log-likelihood of data with Gaussian noise.

    .. math:: \frac{1}{2}\sum w \left[\frac{(m - d)^2}{v} + \ln(2\pi v)\right]

    Also for a variance that depends on the model or is learned. Valid for read noise, and for
    shot noise above about 20 electrons; see :func:`jaxwave.sensors.counts_variance`.

    Args:
        model: Expected data, ``(..., y, x)`` [counts].
        data: The data, ``(..., y, x)`` [counts].
        variance: Variance of the data, ``(..., y, x)`` [counts²].
        weight: Weights, ``(..., y, x)`` like the data [none]; zero leaves a sample out.
        axis: Axes to sum over.

    Returns:
        The negative log-likelihood, ``(...)`` [nats].

    Raises:
        TypeError: If something is complex.
        ValueError: If the shapes differ, the data are not finite, the variance is not positive or
            a weight is negative.

    Example:
        >>> gaussian_nll(jnp.ones((2, 2)), jnp.ones((2, 2)), 1 / (2 * jnp.pi)).round(6).item()
        0.0

    References:
        S. M. Kay, *Fundamentals of Statistical Signal Processing: Estimation Theory*, Sec. 3.9.
    """
    where = "gaussian_nll"
    m, d, w = _real_pair(where, model, data, weight, axis)
    v = _check.real_array(where, "variance", variance)
    _check.broadcast(where, data=d.shape, model=m.shape, variance=v.shape)
    if _check.is_concrete(v, w):
        used = v if w is None else np.where(np.asarray(w) != 0, np.asarray(v), 1)
        _check.positive(where, "variance", used)
    return _gaussian_nll(m, d, w, v, axis)


@program("axis")
def _gaussian_nll(m: Array, d: Array, w: Array | None, v: Array, axis: Axis) -> Array:
    m, d, w = _harmless(m, d, w)
    shape = np.broadcast_shapes(d.shape, m.shape, v.shape)
    v = jnp.broadcast_to(v.astype(m.dtype), shape)
    if w is not None:
        w = jnp.broadcast_to(w, np.broadcast_shapes(shape, w.shape))
        v = jnp.where(w != 0, v, 1)
    return 0.5 * _total((m - d) ** 2 / v + jnp.log(2 * math.pi * v), w, axis)


# -- counted photons -----------------------------------------------------------------------


def _minus_log1p(u: Array) -> Array:
    """Computes u - log(1 + u) without cancellation at small u."""
    small = jnp.abs(u) < 0.25
    v = jnp.where(small, u, 0)
    r = v / (2 + v)  # log(1 + u) = 2 atanh(r) and u = 2 r + r u
    series = jnp.zeros_like(r)
    for k in range(11, 0, -1):
        series = r * r * (series + 2 / (2 * k + 1))
    outside = jnp.where(small, 1, u)
    return jnp.where(small, r * (v - series), outside - jnp.log1p(outside))


def _half_deviance(m: Array, d: Array) -> Array:
    """Computes m - d + d log(d / m), finite with finite derivatives for every model."""
    some = d > _NONE
    k = jnp.where(some, d, 1)
    few = jnp.minimum(k, _FEW)
    floor = jnp.maximum(m, few)
    far = jnp.abs(floor - k) > 0.5 * k
    near = k * _minus_log1p(jnp.where(far, 0, floor - k) / k)
    distant = floor - k + k * (jnp.log(k) - jnp.log(floor))
    short = jnp.where(m < few, m - few, 0)  # not by `floor`: float32 would not cancel its slope
    counted = jnp.where(far, distant, near) - short * (k / few - 1)
    negative = jnp.where(m < 0, -2 * m, 0)
    return jnp.where(some, counted, m) + negative


def _entropy(d: Array) -> Array:
    """Computes log d! - d log d + d, what Stirling's formula leaves, for d of zero or more."""
    few = jnp.minimum(d, 10)
    logarithm = jnp.log(jnp.where(few > 0, few, 1))
    direct = jax.scipy.special.gammaln(few + 1) - few * logarithm + few
    many = jnp.maximum(d, 10)
    series = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * many**2)) / many**2) / many**2) / many
    stirling = 0.5 * jnp.log(2 * math.pi * many) + series
    return jnp.where(d > 0, jnp.where(d < 10, direct, stirling), 0)


def poisson_deviance(
    model: ArrayLike, data: ArrayLike, *, weight: ArrayLike | None = None, axis: Axis = _IMAGE
) -> Array:
    r"""Poisson deviance: twice the log-likelihood ratio of the data to the model.

    .. math:: 2 \sum w \left[m - d + d \ln\frac{d}{m}\right]

    Zero for a perfect model; about the number of samples for a true one. Computed without the
    cancellation of the formula, so that float32 keeps its digits at a million photons. Valid for
    photon counts; the logarithm is continued by its tangent below 1e-6 photons, and a negative
    model is led back, so value and gradient are finite everywhere, also at zero model and counts.

    Args:
        model: Expected number of photons, ``(..., y, x)`` [photons].
        data: Counted photons, ``(..., y, x)`` [photons]; not necessarily whole.
        weight: Weights, ``(..., y, x)`` like the data [none]; zero leaves a sample out.
        axis: Axes to sum over.

    Returns:
        The deviance, ``(...)`` [nats].

    Raises:
        TypeError: If something is complex.
        ValueError: If the shapes differ, the data are not finite or negative, or a weight is
            negative.

    Example:
        >>> poisson_deviance(jnp.array([[1.0, 0.0]]), jnp.array([[1.0, 0.0]])).item()
        0.0

    References:
        P. McCullagh and J. A. Nelder, *Generalized Linear Models*, 2nd ed., Sec. 2.3.
    """
    return _poisson_deviance(*_counted("poisson_deviance", model, data, weight, axis), axis)


@program("axis")
def _poisson_deviance(m: Array, d: Array, w: Array | None, axis: Axis) -> Array:
    m, d, w = _harmless(m, d, w)
    return 2 * _total(_half_deviance(m, d), w, axis)


def poisson_nll(
    model: ArrayLike, data: ArrayLike, *, weight: ArrayLike | None = None, axis: Axis = _IMAGE
) -> Array:
    r"""Negative log-likelihood of counted photons.

    .. math:: \sum w \left[m - d \ln m + \ln d!\right]

    Differs from half of :func:`poisson_deviance` by a constant of the data, and is finite and
    differentiable in the same way. Valid for photon counts (electrons without read noise).

    Args:
        model: Expected number of photons, ``(..., y, x)`` [photons].
        data: Counted photons, ``(..., y, x)`` [photons].
        weight: Weights, ``(..., y, x)`` like the data [none]; zero leaves a sample out.
        axis: Axes to sum over.

    Returns:
        The negative log-likelihood, ``(...)`` [nats].

    Raises:
        TypeError: If something is complex.
        ValueError: If the shapes differ, the data are not finite or negative, or a weight is
            negative.

    Example:
        >>> poisson_nll(jnp.array([[2.0]]), jnp.array([[0.0]])).item()
        2.0

    References:
        L. A. Shepp and Y. Vardi, "Maximum likelihood reconstruction for emission tomography",
        IEEE Trans. Med. Imaging 1, 113 (1982).
    """
    return _poisson_nll(*_counted("poisson_nll", model, data, weight, axis), axis)


@program("axis")
def _poisson_nll(m: Array, d: Array, w: Array | None, axis: Axis) -> Array:
    m, d, w = _harmless(m, d, w)
    return _total(_half_deviance(m, d) + _entropy(d), w, axis)


def _counted(
    where: str, model: ArrayLike, data: ArrayLike, weight: ArrayLike | None, axis: Axis
) -> tuple[Array, Array, Array | None]:
    pair = _real_pair(where, model, data, weight, axis)
    _counts(where, data, weight)
    return pair


def _real_pair(
    where: str, model: ArrayLike, data: ArrayLike, weight: ArrayLike | None, axis: Axis
) -> tuple[Array, Array, Array | None]:
    m, d, w = _pair(where, model, data, weight, axis)
    return _check.real_array(where, "model", m), _check.real_array(where, "data", d), w


def anscombe_loss(
    model: ArrayLike,
    data: ArrayLike,
    *,
    read_noise: ArrayLike = 0.0,
    weight: ArrayLike | None = None,
    axis: Axis = _IMAGE,
) -> Array:
    r"""Squared error after the transform that makes shot noise equally strong everywhere.

    .. math:: \sum w\,\bigl[A(m) - A(d)\bigr]^2, \qquad A(s) = 2\sqrt{s + 3/8 + \sigma^2}

    The transformed data have a variance of about one, so the loss of a true model is about the
    number of samples. Valid above about 4 electrons a pixel, or with a read noise of more than
    one; below zero electrons the root is continued by its tangent.

    Args:
        model: Expected number of electrons, ``(..., y, x)`` [electrons].
        data: Measured electrons, offset subtracted and gain applied, ``(..., y, x)`` [electrons].
        read_noise: Standard deviation of the read noise, ``(...)`` [electrons].
        weight: Weights, ``(..., y, x)`` like the data [none]; zero leaves a sample out.
        axis: Axes to sum over.

    Returns:
        The loss, ``(...)`` [none].

    Raises:
        TypeError: If something is complex.
        ValueError: If the shapes differ, the data are not finite, the data are negative though
            there is no read noise, or a weight or the read noise is negative.

    Example:
        >>> anscombe_loss(jnp.array([[0.625]]), jnp.array([[3.625]])).item()
        4.0

    References:
        F. J. Anscombe, "The transformation of Poisson, binomial and negative-binomial data",
        Biometrika 35, 246 (1948); F. Murtagh, J.-L. Starck and A. Bijaoui, Astron. Astrophys.
        Suppl. Ser. 112, 179 (1995).
    """
    where = "anscombe_loss"
    m, d, w = _real_pair(where, model, data, weight, axis)
    _check.nonnegative(where, "read_noise", read_noise, unit="electrons")
    if _check.is_concrete(read_noise) and not np.any(np.asarray(read_noise)):
        _counts(where, data, weight)
    return _anscombe(m, d, w, _check.real_array(where, "read_noise", read_noise), axis)


@program("axis")
def _anscombe(m: Array, d: Array, w: Array | None, noise: Array, axis: Axis) -> Array:
    m, d, w = _harmless(m, d, w)
    noise = noise.astype(m.dtype)
    root = _stable_root(3 / 8 + noise * noise)
    return _total((root(m) - root(d)) ** 2, w, axis)


def _stable_root(shift: Array) -> Callable[[Array], Array]:
    """2 sqrt(s + shift), continued below s = 0 by its tangent."""

    def root(s: Array) -> Array:
        positive = jnp.maximum(s, 0) + shift
        return 2 * jnp.sqrt(positive) + jnp.minimum(s, 0) / jnp.sqrt(shift)

    return root


# -- structural similarity -----------------------------------------------------------------

_SIGMA, _HALF = 1.5, 5
_K1, _K2 = 0.01, 0.03


def ssim(
    model: ArrayLike,
    data: ArrayLike,
    *,
    data_range: ArrayLike | None = None,
    weight: ArrayLike | None = None,
) -> Array:
    r"""Structural similarity of two images; one minus it is a loss.

    .. math:: \mathrm{SSIM} = \frac{\sum w\,S}{\sum w},\qquad S = \frac{(2\mu_m\mu_d + C_1)
        (2\sigma_{md} + C_2)}{(\mu_m^2 + \mu_d^2 + C_1)(\sigma_m^2 + \sigma_d^2 + C_2)}

    with means, variances and the covariance under a Gaussian window of 1.5 samples standard
    deviation and 11 x 11 samples, C1 = (0.01 L)² and C2 = (0.03 L)² with the range L, averaged
    over all windows that lie in the image. Bad samples are left out of the windows, too. One for
    equal images. Valid for images of the same scale; it measures likeness to the eye, not noise.

    Args:
        model: The model, ``(..., y, x)`` [any unit].
        data: The data, ``(..., y, x)`` [unit of ``model``].
        data_range: Range L of possible values, ``(...)`` [unit of ``model``]; by default that of
            the data.
        weight: Weights, ``(..., y, x)`` like the data [none]; zero leaves a sample out.

    Returns:
        The similarity, ``(...)`` between -1 and 1 [none].

    Raises:
        TypeError: If something is complex.
        ValueError: If the shapes differ or are below 11 x 11, the data are not finite or constant
            without a range, or a weight is negative.

    Example:
        >>> data = jnp.arange(256.0).reshape(16, 16)
        >>> ssim(data, data).item(), ssim(255 - data, data).item() < 0
        (1.0, True)

    References:
        Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, "Image quality assessment: from
        error visibility to structural similarity", IEEE Trans. Image Process. 13, 600 (2004).
    """
    where = "ssim"
    m, d, w = _real_pair(where, model, data, weight, _IMAGE)
    shape = np.broadcast_shapes(m.shape, d.shape, () if w is None else w.shape)
    if min(shape[-2:]) <= 2 * _HALF:
        raise ValueError(
            f"{where}: the images must have at least 11 x 11 samples, got {shape[-2:]}. Use nmse."
        )
    fix = "Pass the range of possible values."
    if data_range is not None:
        _check.positive(where, "data_range", data_range, fix=fix)
        data_range = jnp.asarray(data_range)
    similarity, used_range = _ssim(m, d, w, data_range)
    if data_range is None:
        _check.positive(where, "data_range", used_range, fix=fix)
    return similarity


@program()
def _ssim(m: Array, d: Array, w: Array | None, data_range: Array | None) -> tuple[Array, Array]:
    m, d, w = _harmless(m, d, w)
    w = jnp.ones_like(d) if w is None else w.astype(d.dtype)
    used = w != 0
    if data_range is None:
        high = jnp.max(jnp.where(used, d, -jnp.inf), axis=_IMAGE)
        low = jnp.min(jnp.where(used, d, jnp.inf), axis=_IMAGE)
        data_range = high - low
    scale = data_range.astype(d.dtype)[..., None, None]
    # In units of the range and about the data's mean, squares keep their digits.
    total = jnp.sum(w, axis=_IMAGE, keepdims=True)
    mean = jnp.sum(w * d, axis=_IMAGE, keepdims=True) / jnp.where(total > 0, total, 1)
    similarity = _similarity((m - mean) / scale, (d - mean) / scale, mean / scale, w)
    center = w[..., _HALF:-_HALF, _HALF:-_HALF]
    total = jnp.sum(center, axis=_IMAGE)
    return jnp.sum(center * similarity, axis=_IMAGE) / total, data_range


def _similarity(m: Array, d: Array, mean: Array, w: Array) -> Array:
    """The map S, at every window that lies in the image."""
    norm = _window(w)
    norm = jnp.where(norm > 0, norm, 1)
    m1, d1, mm, dd, md = (_window(w * a) / norm for a in (m, d, m * m, d * d, m * d))
    spread = jnp.maximum(mm - m1 * m1, 0) + jnp.maximum(dd - d1 * d1, 0)
    m0, d0 = m1 + mean, d1 + mean
    light = (2 * m0 * d0 + _K1**2) / (m0 * m0 + d0 * d0 + _K1**2)
    return light * (2 * (md - m1 * d1) + _K2**2) / (spread + _K2**2)


def _window(image: Array) -> Array:
    """The sum under the Gaussian window, at every place where it lies in the image."""
    steps = np.arange(-_HALF, _HALF + 1)
    bell = np.exp(-(steps**2) / (2 * _SIGMA**2))
    bell /= bell.sum()
    for axis in _IMAGE:
        count = image.shape[axis] - 2 * _HALF
        total = jnp.zeros((), image.dtype)
        for k, share in enumerate(bell):
            total += float(share) * jax.lax.slice_in_dim(image, k, k + count, axis=axis)
        image = total
    return image
