"""Shapes of height maps, linear in their coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, cast

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike, DTypeLike

from jaxwave import _check, grid, numerics
from jaxwave import fourier as transforms
from jaxwave.numerics import TAU
from jaxwave.zernike import Mode, zernike_opd


def known_radius(
    where: str, radius: ArrayLike | str | None, dtype: DTypeLike | None
) -> Array | None:
    """The radius that is given, checked."""
    if radius is None:
        return None
    radius = _check.length(where, "radius", radius)
    _check.positive(where, "radius", radius, unit="µm")
    return numerics.number(radius, dtype)


def largest(
    radius: Array | None, shape: tuple[int, int], pair: Array, xp: ModuleType = jnp
) -> Array:
    """The radius that is given, or that of the largest disk around the axis on the samples."""
    if radius is not None:
        return radius
    half = np.asarray([(n - 1) // 2 + 0.5 for n in shape])
    return cast(Array, xp.min(pair * half, axis=-1))


def azimuth(shape: tuple[int, int], pair: Array) -> Array:
    """Azimuth from +x toward +y, from 0 to 1 [turns]; zero without a slope on the axis."""
    y, x = grid.sample_coordinates(shape, pair)
    turns = jnp.arctan2(y, jnp.where((y == 0) & (x == 0), 1, x)) / TAU
    return jnp.where(turns < 0, turns + 1, turns)


def _prepare(
    where: str, shape: object, name: str, values: ArrayLike, rank: int, layout: str
) -> tuple[tuple[int, int], Array]:
    shape = _check.grid_shape(where, shape)
    _check.at_least(where, name, values, rank, layout)
    values = _check.real_array(where, name, values)
    _check.not_empty(where, name, values.shape)
    _check.finite_array(where, name, values)
    return shape, values


def _disk(
    where: str, spacing: ArrayLike | str, radius: ArrayLike | str | None
) -> tuple[Array, Array | None]:
    pair = grid.checked_spacing(where, spacing, jnp.result_type(float))
    return pair, known_radius(where, radius, pair.dtype)


def blocks(shape: tuple[int, int], values: ArrayLike, *, block: int | tuple[int, int] = 1) -> Array:
    r"""A free height map of square pixels that are several samples wide.

    .. math:: h_{jk} = v_{\lfloor (j + s)/b \rfloor,\,\lfloor (k + s)/b \rfloor}

    with the blocks' rest s shared by both sides. Exact.

    Args:
        shape: Number of samples (ny, nx).
        values: Heights, one for each block, ``(..., ceil(ny/b), ceil(nx/b))`` [µm].
        block: Samples in a block, one number or (by, bx).

    Returns:
        The height, ``(..., y, x)`` [µm].

    Raises:
        TypeError: If the heights are complex.
        ValueError: If there are not as many heights as blocks.

    Example:
        >>> blocks((4, 4), [[0.1, 0.2], [0.3, 0.4]], block=2)[0].round(1).tolist()
        [0.10000000149011612, 0.10000000149011612, 0.20000000298023224, 0.20000000298023224]

    References:
        V. Sitzmann et al., ACM Trans. Graph. 37, 114 (2018), Sec. 4.
    """
    where = "blocks"
    shape, values = _prepare(where, shape, "values", values, 2, "(..., y, x)")
    block = _check.grid_shape(where, block, name="block")
    need = tuple(-(-n // b) for n, b in zip(shape, block, strict=True))
    if values.shape[-2:] != need:
        raise ValueError(
            f"{where}: `values` must be {need} for {shape} samples in blocks of {block}, got "
            f"{values.shape[-2:]}."
        )
    return _repeated(values, shape, block)


@numerics.program("shape", "block")
def _repeated(values: Array, shape: tuple[int, int], block: tuple[int, int]) -> Array:
    for axis, (n, b) in enumerate(zip(shape, block, strict=True), -2):
        first = (values.shape[axis] * b - n) // 2
        values = jnp.repeat(values, b, axis=axis)
        values = lax.slice_in_dim(values, first, first + n, axis=values.ndim + axis)
    return values


def fourier(shape: tuple[int, int], coefficients: ArrayLike) -> Array:
    r"""A height map of its lowest frequencies.

    .. math:: h_{jk} = \sum_{pq} c_{pq}\,\mathrm{cas}\!\left[2\pi\left(\frac{pj}{N_y}
        + \frac{qk}{N_x}\right)\right],\qquad \mathrm{cas} = \cos + \sin

    Real numbers that are as many as the frequencies, p and q from the middle at M // 2. Exact; the
    map is periodic.

    Args:
        shape: Number of samples (ny, nx).
        coefficients: Amplitudes c, ``(..., my, mx)``, of at most as many as there are samples [µm].

    Returns:
        The height, ``(..., y, x)`` [µm].

    Raises:
        TypeError: If the coefficients are complex.
        ValueError: If there are more coefficients than samples.

    Example:
        >>> fourier((4, 4), [[0.0, 0.0, 1.0]])[0].round(4).tolist()
        [-1.0, -1.0, 1.0, 1.0]

    References:
        R. N. Bracewell, *The Hartley Transform*, Oxford (1986).
    """
    where = "fourier"
    shape, c = _prepare(where, shape, "coefficients", coefficients, 2, "(..., fy, fx)")
    if c.shape[-2] > shape[0] or c.shape[-1] > shape[1]:
        raise ValueError(
            f"{where}: `coefficients` must be at most as many as the {shape} samples, got "
            f"{c.shape[-2:]}."
        )
    return _hartley(c, shape)


@numerics.program("shape")
def _hartley(c: Array, shape: tuple[int, int]) -> Array:
    margins = [(0, 0)] * (c.ndim - 2)
    for n, m in zip(shape, c.shape[-2:], strict=True):
        margins.append((n // 2 - m // 2, n - n // 2 - (m - m // 2)))
    wave = transforms.ift2(jnp.pad(c, margins)) * np.sqrt(shape[0] * shape[1])
    return (jnp.real(wave) + jnp.imag(wave)).astype(c.dtype)


def zernike(
    shape: tuple[int, int],
    coefficients: ArrayLike,
    modes: Sequence[Mode],
    *,
    spacing: ArrayLike | str,
    radius: ArrayLike | str | None = None,
) -> Array:
    r"""A height map of Zernike modes.

    .. math:: h(y, x) = \sum_j c_j\,Z_{n_j}^{m_j}(y/R, x/R)

    Valid on the disk; the polynomials go on beyond it.

    Args:
        shape: Number of samples (ny, nx).
        coefficients: RMS of each mode over the disk, ``(..., modes)`` [µm].
        modes: Pairs (n, m), see :func:`jaxwave.zernike_modes`.
        spacing: Sample spacing, one number or (dy, dx), ``(2,)`` [µm].
        radius: Radius R of the disk, scalar [µm]; by default the largest disk
            on the samples.

    Returns:
        The height, ``(..., y, x)`` [µm].

    Raises:
        TypeError: If a mode is a bare number.
        ValueError: If the numbers of coefficients and modes differ.

    Example:
        >>> float(zernike((5, 5), [0.5], [(1, 1)], spacing=1.0, radius=2.0)[2, 4])
        1.0

    References:
        M. Born and E. Wolf, *Principles of Optics*, 7th ed., Sec. 9.2.
    """
    where = "zernike"
    shape = _check.grid_shape(where, shape)
    _check.finite_array(where, "coefficients", coefficients)
    pair, radius = _disk(where, spacing, radius)
    zernike_opd(coefficients, modes, 0.0, 0.0)
    return _modes(jnp.asarray(coefficients), pair, radius, shape, tuple(map(tuple, modes)))


@numerics.program("shape", "modes")
def _modes(
    c: Array, pair: Array, radius: Array | None, shape: tuple[int, int], modes: Any
) -> Array:
    # Behind the barrier the compiler cannot fold the whole basis into a constant.
    pair, c = lax.optimization_barrier((pair, c))
    y, x = grid.sample_coordinates(shape, pair / largest(radius, shape, pair))
    return zernike_opd(c, modes, y, x)


def rings(
    shape: tuple[int, int],
    values: ArrayLike,
    *,
    spacing: ArrayLike | str,
    radius: ArrayLike | str | None = None,
) -> Array:
    r"""A height map of revolution, straight between its values.

    .. math:: h(r) = (1 - t)\,v_k + t\,v_{k+1},\qquad k + t = (K - 1)\,\frac{r}{R}

    The first value is the axis, the last one the rim and what is beyond. Exact.

    Args:
        shape: Number of samples (ny, nx).
        values: Heights at radii in equal steps, ``(..., K)`` [µm].
        spacing: Sample spacing, one number or (dy, dx), ``(2,)`` [µm].
        radius: Radius R of the rim, scalar [µm]; by default the largest disk
            on the samples.

    Returns:
        The height, ``(..., y, x)`` [µm].

    Raises:
        TypeError: If the values are complex.
        ValueError: If there is one value only.

    Example:
        >>> rings((1, 5), [1.0, 0.0], spacing=1.0, radius=2.0)[0].tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0]

    References:
        H. Ikoma et al., "Depth from defocus with learned optics", ICCP (2021), Sec. 3.
    """
    where = "rings"
    shape, values = _prepare(where, shape, "values", values, 1, "(..., rings)")
    if values.shape[-1] < 2:
        raise ValueError(f"{where}: `values` must be at least two, for the axis and the rim.")
    pair, radius = _disk(where, spacing, radius)
    return _radial(values, pair, radius, shape)


@numerics.program("shape")
def _radial(values: Array, pair: Array, radius: Array | None, shape: tuple[int, int]) -> Array:
    place = _place(shape, pair, radius, values.shape[-1])
    low = jnp.clip(jnp.floor(lax.stop_gradient(place)), 0, values.shape[-1] - 2).astype(int)
    t = (place - low).astype(values.dtype)
    return (1 - t) * values[..., low] + t * values[..., low + 1]


def _place(shape: tuple[int, int], pair: Array, radius: Array | None, count: int) -> Array:
    """Radius as a number of rings, at most the last one."""
    y, x = grid.sample_coordinates(shape, pair)
    r = numerics.safe_sqrt(y**2 + x**2) / largest(radius, shape, pair) * (count - 1)
    return jnp.minimum(r, count - 1)


def _cubic_weights(t: Array, xp: ModuleType = jnp) -> list[Array]:
    """Weights of four neighbors of a uniform cubic B-spline at the fraction t."""
    s = 1 - t
    inner = (3 * t**3 - 6 * t**2 + 4) / 6
    return [s**3 / 6, inner, (3 * s**3 - 6 * s**2 + 4) / 6, t**3 / 6]


def polar(
    shape: tuple[int, int],
    values: ArrayLike,
    *,
    spacing: ArrayLike | str,
    radius: ArrayLike | str | None = None,
) -> Array:
    r"""A smooth height map on rings and spokes.

    .. math:: h(r, \phi) = \sum_{km} v_{km}\,B\!\left[(K - 1)\frac{r}{R} - k\right]
        B\!\left[\frac{M\phi}{2\pi} - m\right]

    with the cubic B-spline B, periodic in the azimuth from +x toward +y. Valid away from the axis,
    where all spokes meet: with equal values on the first two rings it is smooth there too.

    Args:
        shape: Number of samples (ny, nx).
        values: Control points on rings and spokes, ``(..., K, M)`` [µm].
        spacing: Sample spacing, one number or (dy, dx), ``(2,)`` [µm].
        radius: Radius R of the last ring, scalar [µm]; by default the largest disk
            on the samples.

    Returns:
        The height, ``(..., y, x)`` [µm].

    Raises:
        TypeError: If the values are complex.
        ValueError: If there is one ring only.

    Example:
        >>> round(float(polar((5, 5), jnp.ones((3, 8)), spacing=1.0)[1, 3]), 4)
        1.0

    References:
        C. de Boor, *A Practical Guide to Splines*, Ch. IX.
    """
    where = "polar"
    shape, values = _prepare(where, shape, "values", values, 2, "(..., rings, spokes)")
    if values.shape[-2] < 2:
        raise ValueError(f"{where}: `values` must have at least two rings.")
    pair, radius = _disk(where, spacing, radius)
    return _polar(values, pair, radius, shape)


@numerics.program("shape")
def _polar(values: Array, pair: Array, radius: Array | None, shape: tuple[int, int]) -> Array:
    rows, columns = values.shape[-2:]
    r = _place(shape, pair, radius, rows)
    phi = azimuth(shape, pair) * columns
    low, turn = (jnp.floor(lax.stop_gradient(a)).astype(int) for a in (r, phi))
    total = jnp.zeros((*values.shape[:-2], *shape), values.dtype)
    spokes = _cubic_weights((phi - turn).astype(values.dtype))
    for i, w in enumerate(_cubic_weights((r - low).astype(values.dtype)), -1):
        row = jnp.clip(low + i, 0, rows - 1)
        for k, v in enumerate(spokes, -1):
            total = total + w * v * values[..., row, (turn + k) % columns]
    return total


def spline(shape: tuple[int, int], values: ArrayLike) -> Array:
    r"""A smooth height map on a square lattice of control points.

    .. math:: h_{jk} = \sum_{pq} v_{pq}\,B\!\left[\frac{P - 1}{N_y - 1} j - p\right]
        B\!\left[\frac{Q - 1}{N_x - 1} k - q\right]

    with the cubic B-spline B; the points beyond the border repeat the last one. Exact.

    Args:
        shape: Number of samples (ny, nx).
        values: Control points, ``(..., P, Q)`` [µm].

    Returns:
        The height, ``(..., y, x)`` [µm].

    Raises:
        TypeError: If the values are complex.
        ValueError: If something is not finite or empty.

    Example:
        >>> spline((9, 9), jnp.ones((4, 5)))[3, 4].round(4).item()
        1.0

    References:
        C. de Boor, *A Practical Guide to Splines*, Ch. IX.
    """
    shape, values = _prepare("spline", shape, "values", values, 2, "(..., y, x)")
    return _lattice(values, shape)


@numerics.program("shape")
def _lattice(values: Array, shape: tuple[int, int]) -> Array:
    left, right = (
        jnp.asarray(_spline_matrix(n, m), values.dtype)
        for n, m in zip(shape, values.shape[-2:], strict=True)
    )
    rows = jnp.matmul(left, values, precision="highest")
    return jnp.matmul(rows, right.T, precision="highest")


def _spline_matrix(samples: int, points: int) -> np.ndarray:
    """B-splines at the samples, ``(samples, points)``."""
    place = np.linspace(0, points - 1, samples)
    low = np.minimum(np.floor(place), max(points - 2, 0)).astype(int)
    matrix = np.zeros((samples, points))
    for k, w in enumerate(_cubic_weights(place - low, np), -1):
        np.add.at(matrix, (np.arange(samples), np.clip(low + k, 0, points - 1)), w)
    return matrix


def cubic(
    shape: tuple[int, int],
    height: ArrayLike | str,
    *,
    spacing: ArrayLike | str,
    radius: ArrayLike | str | None = None,
    angle: ArrayLike = 0.0,
) -> Array:
    r"""A cubic height map, which makes a focus deep and its image the same at every depth.

    .. math:: h = s\,\frac{x'^3 + y'^3}{R^3}

    Valid for a thin relief; add a :func:`~jaxwave.heights.lens` to focus.

    Args:
        shape: Number of samples (ny, nx).
        height: Height s at x' = R, y' = 0, scalar or ``(...)`` [µm].
        spacing: Sample spacing, one number or (dy, dx), ``(2,)`` [µm].
        radius: Radius R, scalar [µm]; by default the largest disk
            on the samples.
        angle: Turn of the plate from +x toward +y, scalar [rad].

    Returns:
        The height, ``(..., y, x)`` [µm].

    Raises:
        ValueError: If the radius is not positive or something not finite.

    Example:
        >>> float(cubic((5, 5), 0.5, spacing=1.0, radius=2.0)[2, 4])
        0.5

    References:
        E. R. Dowski and W. T. Cathey, Appl. Opt. 34, 1859 (1995).
    """
    where = "cubic"
    shape = _check.grid_shape(where, shape)
    height = _check.length(where, "height", height)
    _check.finite(where, "height", height, unit="µm")
    _check.finite(where, "angle", angle, unit="rad")
    pair, radius = _disk(where, spacing, radius)
    scale, turn = (numerics.number(a, pair.dtype) for a in (height, angle))
    return _cubes(pair, radius, scale, turn, shape)


@numerics.program("shape")
def _cubes(
    pair: Array, radius: Array | None, height: Array, angle: Array, shape: tuple[int, int]
) -> Array:
    y, x = grid.sample_coordinates(shape, pair / largest(radius, shape, pair))
    c, s = jnp.cos(angle), jnp.sin(angle)
    return height[..., None, None] * ((c * x + s * y) ** 3 + (c * y - s * x) ** 3)


def rank_one(rows: ArrayLike, columns: ArrayLike) -> Array:
    r"""A height map that is a product of a column and a row.

    .. math:: h_{jk} = u_j\,v_k

    Sums of a few have low rank. Exact.

    Args:
        rows: Heights along y, ``(..., y)`` [µm].
        columns: Factors along x, ``(..., x)`` [none].

    Returns:
        The height, ``(..., y, x)`` [µm].

    Raises:
        TypeError: If something is complex.
        ValueError: If something is not finite or empty.

    Example:
        >>> rank_one([1.0, 2.0], [0.5, 1.0]).tolist()
        [[0.5, 1.0], [1.0, 2.0]]

    References:
        Q. Sun et al., "Learning rank-1 diffractive optics for single-shot high dynamic range
        imaging", CVPR (2020).
    """
    where = "rank_one"
    parts = []
    for name, value in (("rows", rows), ("columns", columns)):
        _check.at_least(where, name, value, 1, "(..., samples)")
        parts.append(_check.real_array(where, name, value))
        _check.not_empty(where, name, parts[-1].shape)
        _check.finite_array(where, name, parts[-1])
    _check.broadcast(where, rows=parts[0].shape[:-1], columns=parts[1].shape[:-1])
    return _outer(*parts)


@numerics.program()
def _outer(rows: Array, columns: Array) -> Array:
    return rows[..., :, None] * columns[..., None, :]
