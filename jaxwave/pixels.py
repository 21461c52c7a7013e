"""Pictures with pixels of their own: every sample takes the mean over its area."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, coverage, grid, numerics
from jaxwave.field import Field

_product = partial(jnp.matmul, precision="highest")


class Lattice(NamedTuple):
    """Where pixels are: pitch ``(..., 2)``, place of pixel (rows // 2, columns // 2), turn."""

    pitch: Array
    y: Array
    x: Array
    angle: Array | None  # from +x toward +y; None is known to be zero

    @property
    def batch_shapes(self) -> dict[str, tuple[int, ...]]:
        """The batch axes by name, for messages."""
        shapes = {"pitch": self.pitch.shape[:-1], "y": self.y.shape, "x": self.x.shape}
        return shapes if self.angle is None else {**shapes, "angle": self.angle.shape}


def lattice(
    where: str,
    dtype: Any,
    *,
    pitch: ArrayLike | str | None,
    y: ArrayLike | str | None = None,
    x: ArrayLike | str | None = None,
    angle: Any = None,
) -> Lattice:
    """The lattice from what a caller gave, checked."""
    pitch = _check.length(where, "pitch", pitch)
    _check.positive(where, "pitch", pitch, unit="µm")
    at = []
    for name, value in (("y", y), ("x", x)):
        value = _check.length(where, name, 0.0 if value is None else value)
        _check.finite(where, name, value, unit="µm")
        at.append(numerics.number(value, dtype))
    if angle is not None:
        _check.finite(where, "angle", angle, unit="rad")
        angle = numerics.number(angle, dtype)
    return Lattice(grid.pair(where, "pitch", pitch, dtype), at[0], at[1], angle)


def tilted(where: str, spacing: Array, at: Lattice, tilt: ArrayLike) -> tuple[Array, Lattice]:
    """The samples and the place as they lie on a device that is tilted by (tilt_y, tilt_x)."""
    cos = jnp.cos(jnp.asarray(tilt, at.pitch.dtype))
    _check.broadcast(where, tilt=cos.shape[:-1], **at.batch_shapes)
    return spacing / cos, at._replace(y=at.y / cos[..., 0], x=at.x / cos[..., 1])


def samples_mean(
    shape: tuple[int, int], spacing: Array, values: Array, at: Lattice, width: Array
) -> Array:
    """Mean over every sample of pixels with these values, ``(..., ny, nx)``; zero beside them.

    The pixels ``(..., rows, columns)`` have the active width ``(..., 2)``. Exact, and
    differentiable in everything, if they are not turned. Turned pixels are exact where they are at
    least as wide as a sample's shadow on their axes; finer ones are first averaged over that
    shadow, which keeps their sum.
    """
    if at.angle is not None:
        one = partial(_turned_mean, shape)
        signature = "(p),(r,c),(p),(p),(),(),()->(y,x)"
        return jnp.vectorize(one, signature=signature)(
            spacing, values, at.pitch, width, at.y, at.x, at.angle
        )
    rows = _shares(shape, spacing, values.shape, at, width, 0)
    columns = jnp.swapaxes(_shares(shape, spacing, values.shape, at, width, 1), -1, -2)
    if not jnp.iscomplexobj(values):
        return _product(_product(rows, values), columns)
    parts = (part(values) for part in (jnp.real, jnp.imag))
    return lax.complex(*(_product(_product(rows, part), columns) for part in parts))


def samples_covered(
    shape: tuple[int, int], spacing: Array, pixels: tuple[int, ...], at: Lattice
) -> Array:
    """Share of every sample inside the rectangle of all pixels and gaps, ``(..., ny, nx)``."""
    if at.angle is None:
        height, breadth = (
            jnp.sum(_shares(shape, spacing, pixels, at, at.pitch, axis), axis=-1) for axis in (0, 1)
        )
        return height[..., :, None] * breadth[..., None, :]
    counts = np.array(pixels[-2:], at.pitch.dtype)
    middle = ((counts - 1) / 2 - counts // 2) * at.pitch  # of the device, from its central pixel
    half = counts * at.pitch / 2
    corners = jnp.array([[-1, -1], [-1, 1], [1, 1], [1, -1]], half.dtype)
    points = middle[..., None, :] + half[..., None, :] * corners
    return coverage.polygon_coverage(shape, spacing, coverage.turned(points, at.angle, at.y, at.x))


def _shares(
    shape: tuple[int, int],
    spacing: Array,
    pixels: tuple[int, ...],
    at: Lattice,
    width: Array,
    axis: int,
) -> Array:
    """Share of sample i that lies on pixel j, ``(..., samples, pixels)``."""
    n, m, d = shape[axis], pixels[axis - 2], spacing[..., axis]
    place = (at.y, at.x)[axis]
    length = grid.shared_length(n, d, m, at.pitch[..., axis], width[..., axis], at=place)
    return jnp.swapaxes(length, -1, -2) / d[..., None, None]


def _turned_mean(
    shape: tuple[int, int],
    spacing: Array,
    values: Array,
    pitch: Array,
    width: Array,
    y: Array,
    x: Array,
    angle: Array,
) -> Array:
    """In the pixels' frame a sample is a turned rectangle that lies on 2 x 2 pixels at most."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    rows, columns = grid.sample_coordinates(shape, spacing)
    rows, columns = rows - y, columns - x
    center = (cos * rows - sin * columns, sin * rows + cos * columns)
    corners = coverage.rectangle(spacing, -angle, jnp.zeros_like(y), jnp.zeros_like(x))
    turn = jnp.abs(jnp.stack([jnp.stack([cos, sin]), jnp.stack([sin, cos])]))
    values, pitch, width = _coarser(values, pitch, width, jnp.sum(turn * spacing, axis=-1))
    first = [jnp.floor(lax.stop_gradient(c) / p) for c, p in zip(center, pitch, strict=True)]

    @jax.checkpoint
    def add(total: Array, steps: Array) -> tuple[Array, None]:
        index = [f + step for f, step in zip(first, steps, strict=True)]
        low = tuple(index[i] * pitch[i] - center[i] - width[i] / 2 for i in (0, 1))
        area = coverage.shared_area(corners, low, (width[0], width[1]))
        return total + area * _pick(values, index), None

    steps = jnp.array([(0, 0), (0, 1), (1, 0), (1, 1)], center[0].dtype)
    total, _ = lax.scan(add, jnp.zeros(shape, values.dtype), steps)
    return total / (spacing[0] * spacing[1])


def _pick(values: Array, index: list[Array]) -> Array:
    """Values of pixels counted from the central one; zero beside them."""
    places, known = [], jnp.array(True)
    for k, count in zip(index, values.shape, strict=True):
        k = k.astype(int) + count // 2
        known = known & (k >= 0) & (k < count)
        places.append(jnp.clip(k, 0, count - 1))
    return jnp.where(known, values[places[0], places[1]], 0)


def _coarser(values: Array, pitch: Array, width: Array, least: Array) -> tuple[Array, Array, Array]:
    """Pixels of at least this pitch on each axis, with the means of finer ones."""
    fine = pitch < least
    wide = jnp.where(fine, least, pitch)

    def means(values: Array) -> Array:
        sides = []
        for axis in (0, 1):
            m = values.shape[axis]
            active = jnp.where(fine[axis], width[axis], pitch[axis])
            length = grid.shared_length(m, wide[axis], m, pitch[axis], active)
            sides.append((length / wide[axis]).astype(values.dtype))
        return _product(_product(sides[0].T, values), sides[1])

    values = lax.cond(jnp.any(fine), means, lambda values: values, values)
    return values, wide, jnp.where(fine, wide, width)


def with_picture(field: Field, values: Array, at: Lattice, *, where: str, beside: float) -> Array:
    """Transmission of the samples behind a picture of transmissions; ``beside`` it is constant."""
    _check.broadcast(where, field=field.batch_shape, picture=values.shape[:-2], **at.batch_shapes)
    mean = samples_mean(field.shape, field.spacing, values - beside, at, at.pitch)
    return mean + beside
