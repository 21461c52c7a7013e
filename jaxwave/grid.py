"""Where the samples are: the optical axis is the sample at index N // 2, for even and odd N."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, numerics


def indices(n: int) -> np.ndarray:
    """Sample numbers counted from the axis: ``-(n // 2) ... (n - 1) // 2``."""
    return np.arange(n) - n // 2


def pair(where: str, name: str, value: ArrayLike | str, dtype: jnp.dtype | None = None) -> Array:
    """Turns one number or (dy, dx) into an array ``(..., 2)``; a known one is a numpy array.

    The name tells which lengths are refused as metres or nanometres.
    """
    value = _check.length(where, name, value)
    if dtype is None:
        known = isinstance(value, Array) and jnp.issubdtype(value.dtype, jnp.floating)
        dtype = value.dtype if known else jnp.result_type(float)
    array = numerics.number(value, dtype)
    if array.ndim == 0:
        return (np if isinstance(array, np.ndarray) else jnp).stack([array, array])
    if array.shape[-1] != 2:
        raise ValueError(
            f"{where}: `{name}` must be one number or (..., 2) as (dy, dx), got the shape "
            f"{array.shape}. For one number per batch entry pass {name}[..., None] * ones(2)."
        )
    return array


def spacing_pair(spacing: ArrayLike | str, dtype: jnp.dtype | None = None) -> Array:
    """:func:`pair` of a grid's spacing."""
    return pair("spacing", "spacing", spacing, dtype)


def checked_spacing(where: str, spacing: ArrayLike | str, dtype: jnp.dtype | None = None) -> Array:
    """:func:`pair` of a grid's spacing, which is positive."""
    spacing = _check.length(where, "spacing", spacing)
    _check.positive(where, "spacing", spacing, unit="µm")
    return pair(where, "spacing", spacing, dtype)


def coordinates(shape: tuple[int, int], spacing: ArrayLike) -> tuple[Array, Array]:
    r"""Coordinates of the samples.

    .. math:: x_j = (j - \lfloor N_x/2 \rfloor)\,\Delta x

    Valid for every size; the optical axis is a sample for even and odd sizes alike.

    Args:
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].

    Returns:
        y of shape ``(..., ny, 1)`` and x of shape ``(..., 1, nx)`` [µm]; they broadcast.

    Raises:
        ValueError: If the shape is not two positive integers or the spacing is not a pair.

    Example:
        >>> y, x = coordinates((2, 3), 0.5)
        >>> y.ravel().tolist(), x.ravel().tolist()
        ([-0.5, 0.0], [-0.5, 0.0, 0.5])

    References:
        A. V. Oppenheim and R. W. Schafer, *Discrete-Time Signal Processing*, Ch. 8.
    """
    return sample_coordinates(
        _check.grid_shape("coordinates", shape), checked_spacing("coordinates", spacing)
    )


@numerics.program("shape")
def sample_coordinates(shape: tuple[int, int], pair: Array) -> tuple[Array, Array]:
    """:func:`coordinates` for a pair that was checked, whatever its unit."""
    ny, nx = shape
    y = indices(ny).astype(pair.dtype)[:, None] * pair[..., 0, None, None]
    x = indices(nx).astype(pair.dtype) * pair[..., 1, None, None]
    return y, x


def frequencies(
    shape: tuple[int, int], spacing: ArrayLike, *, centered: bool = True
) -> tuple[Array, Array]:
    r"""Spatial frequencies of the discrete Fourier transform.

    .. math:: f_{x,k} = (k - \lfloor N_x/2 \rfloor) / (N_x\,\Delta x)

    Valid for every size; zero frequency is the sample at N // 2, or the first one in FFT order.

    Args:
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        centered: False gives the order of the fast Fourier transform.

    Returns:
        fy of shape ``(..., ny, 1)`` and fx of shape ``(..., 1, nx)`` [1/µm].

    Raises:
        ValueError: If the shape is not two positive integers or the spacing is not a pair.

    Example:
        >>> fy, fx = frequencies((1, 4), 0.5)
        >>> fx.ravel().tolist()
        [-1.0, -0.5, 0.0, 0.5]

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 2.4 (sampling theory).
    """
    return sample_frequencies(
        _check.grid_shape("frequencies", shape), checked_spacing("frequencies", spacing), centered
    )


@numerics.program("shape", "centered")
def sample_frequencies(
    shape: tuple[int, int], pair: Array, centered: bool = True
) -> tuple[Array, Array]:
    """:func:`frequencies` for a pair that was checked, whatever its unit."""
    ny, nx = shape
    order = (lambda a: a) if centered else np.fft.ifftshift
    fy = order(indices(ny)).astype(pair.dtype)[:, None] / (ny * pair[..., 0, None, None])
    fx = order(indices(nx)).astype(pair.dtype) / (nx * pair[..., 1, None, None])
    return fy, fx


def shared_length(
    n: int, spacing: Array, m: int, pitch: Array, width: Array, *, at: ArrayLike = 0
) -> Array:
    """Length that sample i and pixel j share, ``(..., m, n)``.

    Pixels of the given width stand at the given pitch; the center of pixel m // 2 is at ``at``.
    Differentiable in everything, but where edges of a sample and a pixel meet.
    """
    kind = spacing.dtype
    at = jnp.asarray(at, kind)
    spacing, pitch, width, at = (a[..., None, None] for a in (spacing, pitch, width, at))
    left = (indices(n).astype(kind) - 0.5) * spacing - at
    center = indices(m).astype(kind)[:, None] * pitch

    def covered(edge: Array) -> Array:
        return jnp.minimum(jnp.maximum(edge - left, 0), spacing)

    return covered(center + 0.5 * width) - covered(center - 0.5 * width)


def disk_coverage(
    shape: tuple[int, int], spacing: Array, radius: ArrayLike, *, y: ArrayLike = 0, x: ArrayLike = 0
) -> Array:
    """Share of every sample's area that lies inside a disk, ``(..., ny, nx)``, in [0, 1].

    The rim is a straight line within a sample, moved inward by the arc's mean sagitta over a whole
    chord. A share is wrong by at most about sample / (16 radius), where the arc clips a corner; the
    area of the disk is right to second order. Differentiable in everything.
    """
    rows, columns = sample_coordinates(shape, spacing)
    radius, y, x = (jnp.asarray(a, rows.dtype)[..., None, None] for a in (radius, y, x))
    return disk_share(rows - y, columns - x, spacing, radius)


def disk_share(rows: Array, columns: Array, spacing: Array, radius: Array) -> Array:
    """:func:`disk_coverage` of samples at these places, of a disk of its own for every sample."""
    dy, dx = spacing[..., 0, None, None], spacing[..., 1, None, None]
    square = rows**2 + columns**2
    center = square == 0
    r = jnp.sqrt(jnp.where(center, 1, square))
    # Extents of the sample along the rim's normal, from its two sides.
    side_y, side_x = jnp.abs(rows) / r * dy, jnp.abs(columns) / r * dx
    long, short = jnp.maximum(side_y, side_x), jnp.minimum(side_y, side_x)
    chord = dy * dx / jnp.where(center, 1, long)
    depth = jnp.where(center, radius, radius - r - chord**2 / (24 * radius))
    long, short = jnp.where(center, jnp.maximum(dy, dx), long), jnp.where(center, 0, short)
    t = jnp.abs(depth)
    corner = (long + short) / 2 - t
    product = jnp.where(short > 1e-6 * long, 2 * long * short, 1)
    partial = jnp.where(t <= (long - short) / 2, 0.5 + t / long, 1 - corner**2 / product)
    share = jnp.where(corner <= 0, 1, partial)
    return jnp.where(depth >= 0, share, 1 - share)
