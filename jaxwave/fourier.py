"""Centered, power-preserving Fourier pairs: sum |U|^2 = sum |u|^2, the axis at N // 2.

The forward transform has exp(-2 pi i (fx x + fy y)). A zoom evaluates the same sum at other
frequencies: by a matrix (any zoom factor, also traced) or by a chirp (a known zoom factor, large
grids).
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, grid, numerics
from jaxwave.numerics import cis, fast_len, word

_AXES = (-2, -1)


def _array(where: str, u: ArrayLike) -> Array:
    _check.at_least(where, "u", u, 2, "(..., y, x)")
    return jnp.asarray(u)


def _complex(u: Array) -> Array:
    return u.astype(jnp.result_type(u.dtype, jnp.complex64))


def ft2(u: ArrayLike) -> Array:
    r"""Centered unitary Fourier transform.

    .. math:: U_k = \frac{1}{\sqrt{N}} \sum_j u_j\, e^{-2\pi i (j - j_0)(k - k_0)/N},
        \qquad j_0 = k_0 = \lfloor N/2 \rfloor

    along both axes. Valid for every size; :math:`\sum |U|^2 = \sum |u|^2`.

    Args:
        u: Samples, ``(..., y, x)`` [any unit].

    Returns:
        Spectrum ``(..., fy, fx)``, complex, zero frequency at N // 2 [unit of ``u``].

    Raises:
        ValueError: If ``u`` has fewer than two axes.

    Example:
        >>> ft2(jnp.ones((4, 4))).real.round(4)[2].tolist()
        [0.0, 0.0, 4.0, 0.0]

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 2.1.
    """
    return _transform(_array("ft2", u), False)


def ift2(u: ArrayLike) -> Array:
    r"""Centered unitary inverse Fourier transform, the exact inverse of :func:`ft2`.

    .. math:: u_j = \frac{1}{\sqrt{N}} \sum_k U_k\, e^{+2\pi i (j - j_0)(k - k_0)/N}

    Valid for every size.

    Args:
        u: Spectrum, ``(..., fy, fx)``, zero frequency at N // 2 [any unit].

    Returns:
        Samples ``(..., y, x)``, complex [unit of ``u``].

    Raises:
        ValueError: If ``u`` has fewer than two axes.

    Example:
        >>> bool(jnp.allclose(ift2(ft2(jnp.eye(5))), jnp.eye(5), atol=1e-6))
        True

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 2.1.
    """
    return _transform(_array("ift2", u), True)


@numerics.program("inverse")
def _transform(u: Array, inverse: bool) -> Array:
    fft2 = jnp.fft.ifft2 if inverse else jnp.fft.fft2
    u = jnp.fft.ifftshift(_complex(u), axes=_AXES)
    return jnp.fft.fftshift(fft2(u, norm="ortho"), axes=_AXES)


# -- zooms ---------------------------------------------------------------------------------


def _pair(where: str, alpha: ArrayLike) -> tuple[Any, Any]:
    """Splits (alpha_y, alpha_x) without losing the float64 digits of concrete numbers."""
    _check.positive(where, "alpha", alpha)
    if isinstance(alpha, int | float):
        return alpha, alpha
    array = alpha if isinstance(alpha, Array) else np.asarray(alpha)
    if array.ndim == 0:
        return array, array
    if array.shape[-1] != 2:
        raise ValueError(
            f"{where}: `alpha` must be one number or (..., 2) as (alpha_y, alpha_x), got the "
            f"shape {array.shape}."
        )
    return array[..., 0], array[..., 1]


def _index_products(shape: tuple[int, int]) -> np.ndarray:
    return np.outer(grid.indices(shape[0]), grid.indices(shape[1])).astype(np.float64)


def _plain_turns(shape: tuple[int, int], alpha: Array) -> Array:
    return _index_products(shape).astype(alpha.dtype) * alpha[..., None, None]


@numerics.with_plain_derivative(_plain_turns)
def _index_turns(shape: tuple[int, int], alpha: Array) -> Array:
    a = word(alpha[..., None, None], alpha.dtype)
    return numerics.product_turns(a, word(_index_products(shape), alpha.dtype))


def _known_kernel(
    shape: tuple[int, int], alpha: object, inverse: bool, dtype: np.dtype
) -> np.ndarray:
    """The matrix of :func:`_kernel` for a known zoom, in float64 while the program is traced."""
    alpha = np.asarray(alpha, np.float64)[..., None, None]
    turns = np.remainder((1 if inverse else -1) * _index_products(shape) * alpha, 1.0)
    return (np.sqrt(alpha) * np.exp(2j * np.pi * turns)).astype(dtype)


def _kernel(shape: tuple[int, int], alpha: Array, inverse: bool) -> Array:
    """Matrix sqrt(alpha) exp(-+ 2 pi i alpha j k), ``(..., *shape)``."""
    sign = 1 if inverse else -1
    return jnp.sqrt(alpha)[..., None, None] * cis(sign * _index_turns(shape, alpha))


def matrix_ft2(
    u: ArrayLike, alpha: ArrayLike, shape: tuple[int, int], *, inverse: bool = False
) -> Array:
    r"""Fourier transform to a zoomed grid by matrix products.

    .. math:: U_k = \sqrt{\alpha} \sum_j u_j\, e^{\mp 2\pi i \alpha (j - j_0)(k - k_0)}

    along both axes. With :math:`\alpha = 1/N` and N samples out it is :func:`ft2`. Valid for
    every zoom, also a traced one: the phases keep two words, so float32 loses no digits.
    Power outside the output window is missing; the rest is preserved.

    Args:
        u: Samples, ``(..., y, x)`` [any unit].
        alpha: Product of the two sample spacings, one number or ``(..., 2)`` as
            (alpha_y, alpha_x) [turns per sample pair].
        shape: Number of output samples (my, mx).
        inverse: True for the sign of the inverse transform.

    Returns:
        Zoomed spectrum ``(..., my, mx)``, complex [unit of ``u``].

    Raises:
        ValueError: If a shape does not fit or ``alpha`` is not positive.

    Example:
        >>> u = jnp.ones((8, 8))
        >>> bool(jnp.allclose(matrix_ft2(u, 1 / 8, (8, 8)), ft2(u), atol=1e-5))
        True

    References:
        R. Soummer et al., "Fast computation of Lyot-style coronagraph propagation",
        Opt. Express 15, 15935 (2007), Eq. 10.
    """
    u = _array("matrix_ft2", u)
    my, mx = shape = _check.grid_shape("matrix_ft2", shape)
    if isinstance(alpha, Array):
        _check.positive("matrix_ft2", "alpha", alpha)
        return _matrix_transform(u, alpha, shape, inverse)
    ay, ax = _pair("matrix_ft2", alpha)
    dtype = jnp.result_type(u.dtype, jnp.complex64)
    ny, nx = u.shape[-2:]
    left = _known_kernel((ny, my), ay, inverse, dtype)
    return _products(u, left, _known_kernel((nx, mx), ax, inverse, dtype))


@numerics.program("shape", "inverse")
def _matrix_transform(u: Array, alpha: Array, shape: tuple[int, int], inverse: bool) -> Array:
    ay, ax = _pair("matrix_ft2", alpha)
    real = numerics.real_dtype(jnp.result_type(u.dtype, jnp.complex64))
    (ny, nx), (my, mx) = u.shape[-2:], shape
    left = _kernel((ny, my), ay.astype(real), inverse)
    return _products(u, left, _kernel((nx, mx), ax.astype(real), inverse))


@numerics.program()
def _products(u: Array, left: Array | np.ndarray, right: Array | np.ndarray) -> Array:
    u, left, right = _complex(u), jnp.asarray(left), jnp.asarray(right)
    u = jnp.swapaxes(contract(u, right), -1, -2)
    return jnp.swapaxes(contract(u, left), -1, -2)


def contract(u: Array, kernel: Array) -> Array:
    """Product over the last axis by three real products, twice as fast as a complex one."""
    rows = u.shape
    if kernel.ndim == 2:  # one tall product instead of a batch of small ones
        u = u.reshape(-1, rows[-1])
    (a, b), (c, d) = (u.real, u.imag), (kernel.real, kernel.imag)

    def product(p: Array, q: Array) -> Array:
        return jnp.matmul(p, q, precision="highest")

    k = product(a + b, c)
    result = lax.complex(k - product(b, c + d), k + product(a, d - c))
    return result.reshape(*rows[:-1], kernel.shape[-1]) if kernel.ndim == 2 else result


def zoomed_sum(v: Array, turns: Array, weight: Array, count: int) -> Array:
    """Sums exp(2 pi i k t_j) v_k over the axis -2, k in FFT order, at places j and -j together.

    The waves k and -k make a sum with cosines and one with sines, which the places j and -j share:
    products of real matrices of a quarter of the size. A sixth of the work of complex ones.

    Args:
        v: Amplitudes, ``(..., k, columns)``.
        turns: Turns of the wave k at the place j for k and j from 0 on, ``(j, k)`` [turns].
        weight: Weights of the places, ``(j,)``.
        count: Number of places, the axis at ``count // 2``.
    """
    half, odd_size = divmod(v.shape[-2], 2)
    border = [(0, 0)] * (v.ndim - 2)
    ahead = jnp.pad(v[..., : half + odd_size, :], [*border, (0, 1 - odd_size), (0, 0)])
    back = jnp.flip(v[..., half + odd_size :, :], -2)
    back = jnp.pad(back, [*border, (1, 0), (0, 0)])  # Nyquist is -size / 2
    wave = cis(turns)

    def product(matrix: Array, u: Array) -> Array:
        rows = [jnp.matmul(matrix, part, precision="highest") for part in (u.real, u.imag)]
        return lax.complex(*rows)

    even = product(weight[:, None] * wave.real, ahead + back)
    odd = 1j * product(weight[:, None] * wave.imag, ahead - back)
    lower = jnp.flip((even - odd)[..., 1 : count // 2 + 1, :], -2)
    return jnp.concatenate([lower, (even + odd)[..., : count - count // 2, :]], -2)


def _chirp_axis(u: Array, alpha: float, m: int, sign: int) -> Array:
    """Bluestein's algorithm along the last axis: jk = (j^2 + k^2 - (k - j)^2) / 2."""
    n = u.shape[-1]
    size = fast_len(n + m - 1)
    j, k = grid.indices(n), grid.indices(m)
    d = np.arange(k[0] - j[-1], k[-1] - j[0] + 1)

    def chirp(index: np.ndarray, direction: int) -> np.ndarray:
        squares = index.astype(np.float64) ** 2  # exact below 2**26
        return np.exp(2j * np.pi * np.remainder(direction * sign * 0.5 * alpha * squares, 1.0))

    filter_ = np.fft.fft(chirp(d, -1), size).astype(u.dtype)
    spectrum = jnp.fft.fft(u * chirp(j, 1).astype(u.dtype), size) * filter_
    full = jnp.fft.ifft(spectrum)
    result = lax.slice_in_dim(full, n - 1, n - 1 + m, axis=full.ndim - 1)
    return result * (math.sqrt(alpha) * chirp(k, 1)).astype(u.dtype)


def chirp_ft2(
    u: ArrayLike, alpha: ArrayLike, shape: tuple[int, int], *, inverse: bool = False
) -> Array:
    r"""Fourier transform to a zoomed grid by the chirp-z algorithm.

    .. math:: U_k = \sqrt{\alpha} \sum_j u_j\, e^{\mp 2\pi i \alpha (j - j_0)(k - k_0)}

    The same sum as :func:`matrix_ft2`, in O(N log N). The chirps are computed in float64 while
    the program is traced, so the zoom factor has to be known then. Valid for every zoom.

    Args:
        u: Samples, ``(..., y, x)`` [any unit].
        alpha: Product of the two sample spacings, one number or (alpha_y, alpha_x)
            [turns per sample pair].
        shape: Number of output samples (my, mx).
        inverse: True for the sign of the inverse transform.

    Returns:
        Zoomed spectrum ``(..., my, mx)``, complex [unit of ``u``].

    Raises:
        TypeError: If ``alpha`` is traced.
        ValueError: If a shape does not fit or ``alpha`` is not positive.

    Example:
        >>> u = jnp.ones((8, 8))
        >>> bool(jnp.allclose(chirp_ft2(u, 0.1, (5, 5)), matrix_ft2(u, 0.1, (5, 5)), atol=1e-5))
        True

    References:
        L. R. Rabiner, R. W. Schafer and C. M. Rader, "The chirp z-transform algorithm",
        IEEE Trans. Audio Electroacoust. 17, 86 (1969).
    """
    if not _check.is_concrete(alpha):
        raise TypeError(
            "chirp_ft2: `alpha` must be known when the program is traced. Use matrix_ft2 (or "
            "zoom_ft2, which chooses) for a zoom that is swept or learned."
        )
    u = _array("chirp_ft2", u)
    shape = _check.grid_shape("chirp_ft2", shape)
    ay, ax = (np.asarray(a, np.float64) for a in _pair("chirp_ft2", alpha))
    if ay.ndim:
        raise ValueError(
            f"chirp_ft2: `alpha` must be one number or a pair, got the shape {np.shape(alpha)}. "
            "Use matrix_ft2 for a batch of zooms."
        )
    return _chirps(u, float(ay), float(ax), shape, 1 if inverse else -1)


@numerics.program("ay", "ax", "shape", "sign")
def _chirps(u: Array, ay: float, ax: float, shape: tuple[int, int], sign: int) -> Array:
    u = jnp.swapaxes(_chirp_axis(_complex(u), ax, shape[1], sign), -1, -2)
    return jnp.swapaxes(_chirp_axis(u, ay, shape[0], sign), -1, -2)


def zoom_ft2(
    u: ArrayLike, alpha: ArrayLike, shape: tuple[int, int], *, inverse: bool = False
) -> Array:
    r"""Fourier transform to a zoomed grid, by the cheaper of the two algorithms.

    .. math:: U_k = \sqrt{\alpha} \sum_j u_j\, e^{\mp 2\pi i \alpha (j - j_0)(k - k_0)}

    Chooses :func:`chirp_ft2` where the zoom is known and the grids are large (about a thousand
    samples a side), else :func:`matrix_ft2`. The choice depends on shapes and on whether
    ``alpha`` is concrete, never on its value. Valid for every zoom.

    Args:
        u: Samples, ``(..., y, x)`` [any unit].
        alpha: Product of the two sample spacings, one number or ``(..., 2)`` as
            (alpha_y, alpha_x) [turns per sample pair].
        shape: Number of output samples (my, mx).
        inverse: True for the sign of the inverse transform.

    Returns:
        Zoomed spectrum ``(..., my, mx)``, complex [unit of ``u``].

    Raises:
        ValueError: If a shape does not fit or ``alpha`` is not positive.

    Example:
        >>> zoom_ft2(jnp.ones((64, 64)), 1e-3, (32, 48)).shape
        (32, 48)

    References:
        R. Soummer et al., Opt. Express 15, 15935 (2007).
    """
    my, mx = _check.grid_shape("zoom_ft2", shape)
    ny, nx = np.shape(u)[-2:] if np.ndim(u) >= 2 else (1, 1)
    if _check.is_concrete(alpha) and np.ndim(alpha) <= 1 and _chirp_is_cheaper((ny, nx), (my, mx)):
        return chirp_ft2(u, np.asarray(alpha, np.float64), shape, inverse=inverse)
    return matrix_ft2(u, alpha, shape, inverse=inverse)


def _chirp_is_cheaper(source: tuple[int, int], target: tuple[int, int]) -> bool:
    """Compares operation counts; a matrix product runs about six times faster than an FFT."""
    (ny, nx), (my, mx) = source, target
    product = 8 * (ny * nx * mx + ny * my * mx)
    ly, lx = fast_len(ny + my - 1), fast_len(nx + mx - 1)
    chirp = 10 * (ny * lx * math.log2(lx + 1) + mx * ly * math.log2(ly + 1))
    return product > 6 * chirp
