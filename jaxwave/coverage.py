"""Shares of samples that lie inside polygons, zones and turned pixels: exact areas with slopes."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxwave import grid


def _mean_clipped(a: Array, b: Array, width: Array) -> Array:
    """Mean of ``clip(t, 0, width)`` for t uniform between a and b."""
    low, high = (jnp.minimum(jnp.maximum(t, 0), width) for t in (a, b))
    rise = b - a
    flat = jnp.abs(rise) <= 1e-6 * width
    safe = jnp.where(flat, 1, rise)
    inside = (low + high) / 2 * (high - low) / safe
    above = width * (jnp.maximum(b, width) - jnp.maximum(a, width)) / safe
    level = jnp.minimum(jnp.maximum((a + b) / 2, 0), width)
    return jnp.where(flat, level, inside + above)


def edge_area(start: Array, end: Array, low: tuple[Array, Array], size: tuple) -> Array:
    """Signed area of a cell to the right (+x) of one edge, between the edge's ends in y.

    The sum over the edges of a closed polygon is the area that the cell shares with the polygon,
    positive if the edges run from +x toward +y. Exact; the cells' lower corners ``low`` = (y, x)
    and sizes broadcast. Ends that are cut off are found from the nearer end, so that the slopes
    of horizontal edges are finite and right.
    """
    (y0, x0), (y1, x1), (bottom, left), (height, width) = start, end, low, size

    def clip(y: Array) -> Array:
        return jnp.minimum(jnp.maximum(y, bottom), bottom + height)

    a, b = clip(y0), clip(y1)
    level = y1 == y0
    slope = jnp.where(level, 0, x1 - x0) / jnp.where(level, 1, y1 - y0)
    # Cut-off parts are at most the whole edge: no long lever arm of a nearly horizontal edge.
    xa, xb = x0 + (a - y0) * slope, x1 - (y1 - b) * slope
    right = left + width
    return (a - b) * _mean_clipped(right - xa, right - xb, width)


def shared_area(vertices: Array, low: tuple[Array, Array], size: tuple) -> Array:
    """Area that cells share with a polygon ``(K, 2)`` whose edges run from +x toward +y."""
    edges = vertices, jnp.roll(vertices, -1, axis=0)
    return jnp.sum(jax.vmap(lambda a, b: edge_area(a, b, low, size))(*edges), axis=0)


def polygon_coverage(shape: tuple[int, int], spacing: Array, vertices: Array) -> Array:
    """Share of every sample's area inside a simple polygon, ``(..., ny, nx)``, in [0, 1].

    The vertices ``(..., K, 2)`` as (y, x) run either way round. Exact and differentiable in
    everything; one edge at a time, so that the memory does not grow with their number.
    """
    one = partial(_polygon_coverage, shape)
    return jnp.vectorize(one, signature="(p),(k,p)->(y,x)")(spacing, vertices)


def _polygon_coverage(shape: tuple[int, int], spacing: Array, vertices: Array) -> Array:
    rows, columns = grid.sample_coordinates(shape, spacing)
    low, size = (rows - spacing[0] / 2, columns - spacing[1] / 2), (spacing[0], spacing[1])
    following = jnp.roll(vertices, -1, axis=0)

    @jax.checkpoint  # nothing of an edge is kept for the gradient but its ends
    def add(total: Array, edge: tuple[Array, Array]) -> tuple[Array, None]:
        return total + edge_area(edge[0], edge[1], low, size), None

    area, _ = lax.scan(add, jnp.zeros(shape, rows.dtype), (vertices, following))
    turn = jnp.sum(vertices[:, 1] * following[:, 0] - following[:, 1] * vertices[:, 0])
    return jnp.clip(jnp.sign(lax.stop_gradient(turn)) * area / (spacing[0] * spacing[1]), 0, 1)


def rectangle(size: Array, angle: Array, y: Array, x: Array) -> Array:
    """Vertices ``(..., 4, 2)`` of a rectangle of the size (height, width), turned from x to y."""
    half = size[..., None, :] / 2 * jnp.array([[-1, -1], [-1, 1], [1, 1], [1, -1]], size.dtype)
    return turned(half, angle, y, x)


def turned(points: Array, angle: Array, y: Array, x: Array) -> Array:
    """Points ``(..., K, 2)`` turned about the origin from +x toward +y, then moved to (y, x)."""
    v, u = points[..., 0], points[..., 1]
    cos, sin = jnp.cos(angle)[..., None], jnp.sin(angle)[..., None]
    v, u = y[..., None] + cos * v + sin * u, x[..., None] + cos * u - sin * v
    return jnp.stack(jnp.broadcast_arrays(v, u), axis=-1)


def ring_coverage(
    shape: tuple[int, int], spacing: Array, squares: tuple[Array, Array], y: Array, x: Array, k: int
) -> Array:
    """Share of every sample inside the disks 1, 2 ... k, alternately added and taken away.

    Disk j has the squared radius ``squares[0] * j + squares[1] * j**2``. Only the four circles
    next to a sample can cut it if rings are wider than samples, so four disks are looked at for
    every sample, whatever their number; those beyond are counted.
    """
    rows, columns = grid.sample_coordinates(shape, spacing)
    y, x, linear, quadratic = (a[..., None, None] for a in (y, x, *squares))
    rows, columns = rows - y, columns - x
    ratio = quadratic / linear
    t = (rows**2 + columns**2) / linear
    # j + ratio j^2 = t, written without a difference of near-equal numbers.
    place = 2 * t / (1 + jnp.sqrt(1 + 4 * ratio * t))
    inner = jnp.floor(lax.stop_gradient(place))
    total = jnp.zeros_like(place)
    for j in (inner - 1, inner, inner + 1, inner + 2):
        near = (j >= 1) & (j <= k)
        safe = jnp.where(near, j, 1)
        radius = jnp.sqrt(linear * safe + quadratic * safe**2)
        sign = 1 - 2 * jnp.abs(safe - 1 - 2 * jnp.floor((safe - 1) / 2))
        share = grid.disk_share(rows, columns, spacing, radius)
        total = total + jnp.where(near, sign * share, 0)
    first = jnp.maximum(inner + 3, 1)
    rest = jnp.maximum(k - first + 1, 0)  # circles that hold the whole sample
    odd = rest - 2 * jnp.floor(rest / 2)
    sign = 1 - 2 * ((first - 1) - 2 * jnp.floor((first - 1) / 2))
    return total + odd * sign
