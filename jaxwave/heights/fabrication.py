"""What fabrication makes of a height map: levels, errors, features, smoothness."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, grid, numerics
from jaxwave.imaging import convolve_psf


def levels(
    height: ArrayLike,
    count: int,
    depth: ArrayLike,
    *,
    blend: ArrayLike = 1.0,
    straight_through: bool | None = None,
) -> Array:
    r"""Rounds a relief to equal levels, as masks and etching make them.

    .. math:: h' = h + b\,\left[\frac{d}{L}\,\mathrm{round}\!\left(\frac{L h}{d}\right) - h\right]

    modulo the depth d, where the level L is the level zero again. Values are rounded by default
    (b = 1), and the derivative passes straight through, so that a relief can be learned with its
    levels. A blend b that rises from zero to one while a relief is learned anneals it: below one
    the derivative is the true one, 1 - b. Keep most of a relief away from the height zero
    (phases around pi): what is just below it becomes the level L, which is zero. Valid as a
    diffractive relief where d is whole waves; the efficiency
    of the first order is then :math:`\mathrm{sinc}^2(1/L)`.

    The rule of the derivative follows from a measured comparison (``benchmarks/levels.py``; its
    numbers are in benchmarks/README.md): with a rising blend it learned the best reliefs from four
    levels on, or as good ones as the best way. Two levels are better rounded when a smooth relief
    is done.

    Args:
        height: Heights, ``(..., y, x)`` [µm].
        count: Number L of levels, at least 2.
        depth: Depth d of the relief, scalar [µm]; see :func:`~jaxwave.heights.wave_height`.
        blend: Share b of rounding, scalar, from 0 to 1 [none].
        straight_through: Whether the derivative ignores the rounding, or is the true one (False);
            by default it does where the blend is one.

    Returns:
        Heights from zero to d (1 - 1/L) where b is one, else up to half a level beyond,
        ``(..., y, x)`` [µm].

    Raises:
        TypeError: If ``count`` is no integer or something complex.
        ValueError: If ``count`` is below 2, the blend not in [0, 1] or the depth zero.

    Example:
        >>> levels([[0.1, 0.4, 0.9]], 4, 1.0).tolist()
        [[0.0, 0.5, 0.0]]

    References:
        G. J. Swanson, *Binary Optics Technology*, MIT Lincoln Laboratory Report 854 (1989);
        L. Li et al., "Quantization-aware deep optics", ECCV (2022).
    """
    where = "levels"
    _check.integer(where, "count", count, 2)
    _check.between(where, "blend", blend, 0, 1)
    _check.nonzero(where, "depth", depth, unit="µm")
    height = _check.real_array(where, "height", height)
    _check.finite_array(where, "height", height)
    depth, blend = (numerics.number(a, height.dtype) for a in (depth, blend))
    return _rounded(height, depth, blend, count, straight_through)


@numerics.program("count", "straight")
def _rounded(height: Array, depth: Array, blend: Array, count: int, straight: bool | None) -> Array:
    share = height / depth
    # From half a level below zero: what is next to the uppermost one belongs to the level zero.
    share = share - lax.stop_gradient(jnp.floor(share + 0.5 / count))
    full = lax.stop_gradient(jnp.round(share * count))
    if straight is False:
        mixed = share + blend * (full / count - share)
    else:
        mixed = share + lax.stop_gradient(blend * (full / count - share))
        if straight is None:  # below one the true derivative, 1 - b
            part = lax.stop_gradient(jnp.where(blend < 1, blend, 0))
            mixed = mixed - part * (share - lax.stop_gradient(share))
    return depth * mixed


def height_error(key: Array, height: ArrayLike, *, tolerance: ArrayLike) -> Array:
    r"""Adds the errors of fabrication, uniform within a tolerance.

    .. math:: h' = h + t\,\xi, \qquad \xi \sim \mathcal U(-1, 1)

    Exact: every sample is independent. Learning with a new key at every step makes a relief that
    forgives them.

    Args:
        key: Random key of :func:`jax.random.key`, shape ``()`` [none].
        height: Heights, ``(..., y, x)`` [µm].
        tolerance: Largest error, scalar [µm].

    Returns:
        Heights, ``(..., y, x)`` [µm].

    Raises:
        TypeError: If something is complex.
        ValueError: If the tolerance is negative.

    Example:
        >>> noisy = height_error(jax.random.key(0), jnp.zeros((64, 64)), tolerance=0.02)
        >>> bool(abs(noisy).max() <= 0.02)
        True

    References:
        V. Sitzmann et al., ACM Trans. Graph. 37, 114 (2018), Sec. 4.
    """
    _check.key("height_error", key)
    where = "height_error"
    tolerance = _check.length(where, "tolerance", tolerance)
    _check.nonnegative(where, "tolerance", tolerance, unit="µm")
    height = _check.real_array(where, "height", height)
    return _disturbed(key, height, numerics.number(tolerance, height.dtype))


@numerics.program()
def _disturbed(key: Array, height: Array, tolerance: Array) -> Array:
    return height + tolerance * jax.random.uniform(key, height.shape, height.dtype, -1, 1)


def minimum_feature(height: ArrayLike, diameter: float | str, *, spacing: ArrayLike | str) -> Array:
    r"""Smooths a relief with the spot that writes it, so that no feature is smaller.

    .. math:: h' = h * \frac{4}{\pi d^2}\,\mathrm{circ}(2r/d)

    Valid for a writer that adds up. Beyond the border the relief goes on as its last sample. Smooth
    a relief before :func:`~jaxwave.heights.wrap` to limit what is designed, behind it to see what
    the writer makes of the steps.

    Args:
        height: Heights, ``(..., y, x)`` [µm].
        diameter: Diameter d of the spot, a known number [µm].
        spacing: Sample spacing, one number or (dy, dx), known [µm].

    Returns:
        Heights, ``(..., y, x)`` [µm].

    Raises:
        TypeError: If the diameter or the spacing is traced.
        ValueError: If the diameter is not positive.

    Example:
        >>> step = jnp.where(jnp.arange(8) < 4, 0.0, 1.0) * jnp.ones((8, 1))
        >>> minimum_feature(step, 2.0, spacing=1.0)[4, 3:5].round(1).tolist()
        [0.2..., 0.8...]

    References:
        B. S. Lazarov, F. Wang and O. Sigmund, "Length scale and manufacturability in density-based
        topology optimization", Arch. Appl. Mech. 86, 189 (2016).
    """
    where = "minimum_feature"
    _check.at_least(where, "height", height, 2, "(..., y, x)")
    height = _check.real_array(where, "height", height)
    diameter = _check.length(where, "diameter", diameter)
    spacing = _check.length(where, "spacing", spacing)
    if not _check.is_concrete(diameter, spacing):
        raise TypeError(f"{where}: `diameter` and `spacing` must be known numbers.")
    _check.positive(where, "diameter", diameter, unit="µm")
    _check.positive(where, "spacing", spacing, unit="µm")
    pair = np.broadcast_to(np.asarray(spacing, np.float64), (2,))
    sides = [2 * math.ceil(float(diameter) / (2 * d)) + 1 for d in pair]
    spot = _disk(sides, pair, float(diameter) / 2)
    return convolve_psf(height, spot.astype(height.dtype), boundary="edge")


def _disk(sides: list[int], pair: np.ndarray, radius: float, fine: int = 256) -> np.ndarray:
    """Shares of a disk in samples: exact along y, from ``fine`` lines in each along x."""
    (ny, nx), (dy, dx) = sides, pair
    x = (np.arange(nx * fine) - (nx * fine - 1) / 2) * (dx / fine)
    half = np.sqrt(np.maximum(radius**2 - x**2, 0))
    edges = (np.arange(ny + 1) - ny / 2) * dy
    share = np.diff(np.clip(edges[:, None], -half, half), axis=0)
    share = share.reshape(ny, nx, fine).sum(-1)
    return share / share.sum()


def roughness(height: ArrayLike, *, spacing: ArrayLike | str, norm: int = 2) -> Array:
    r"""Mean curvature of a relief, to be added to a loss.

    .. math:: \rho_p = \left\langle |\nabla^2 h|^p \right\rangle

    by differences of neighbors; beyond the border the relief goes on as its last sample. Exact for
    parabolas inside.

    Args:
        height: Heights, ``(..., y, x)`` [µm].
        spacing: Sample spacing, one number or (dy, dx), ``(2,)`` [µm].
        norm: 1 for the mean modulus (few kinks), 2 for the mean square (smooth).

    Returns:
        The mean over y and x, ``(...)`` [µm⁻¹ or µm⁻²].

    Raises:
        TypeError: If the heights are complex.
        ValueError: If the norm is neither 1 nor 2.

    Example:
        >>> float(roughness(jnp.zeros((8, 8)), spacing=2.0))
        0.0

    References:
        V. Sitzmann et al., ACM Trans. Graph. 37, 114 (2018), Sec. 4.
    """
    where = "roughness"
    _check.integer(where, "norm", norm, 1, 2)
    _check.at_least(where, "height", height, 2, "(..., y, x)")
    height = _check.real_array(where, "height", height)
    return _curvature(height, grid.checked_spacing(where, spacing, height.dtype), norm)


@numerics.program("norm")
def _curvature(height: Array, pair: Array, norm: int) -> Array:
    total = jnp.zeros_like(height)
    for axis in (-2, -1):
        margins = [(0, 0)] * height.ndim
        margins[axis] = (1, 1)
        wide, n = jnp.pad(height, margins, mode="edge"), height.shape[axis]
        before, behind = (lax.slice_in_dim(wide, k, k + n, axis=height.ndim + axis) for k in (0, 2))
        total = total + (before - 2 * height + behind) / pair[..., axis, None, None] ** 2
    return jnp.mean(jnp.abs(total) ** norm, axis=(-2, -1))
