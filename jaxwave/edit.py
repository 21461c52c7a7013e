"""Editing fields: pad, crop, resample, shift, flip, normalize, stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, fourier, grid, numerics
from jaxwave.field import AnyField, Field, VectorField, broadcast, with_parameters
from jaxwave.numerics import cis


def _margins(old: int, new: int) -> tuple[int, int]:
    """Samples to add in front and behind, so that the axis stays the sample N // 2."""
    front = new // 2 - old // 2
    return front, new - old - front


def pad(field: AnyField, shape: tuple[int, int]) -> AnyField:
    r"""Pads a field with zeros to a larger grid around the optical axis.

    .. math:: u'(y, x) = u(y, x)\ \text{inside the old window, else } 0

    Valid for every size, even and odd: the axis stays at the sample N // 2.

    Args:
        field: The field, ``(..., y, x)``.
        shape: Number of samples (ny, nx), at least the field's.

    Returns:
        The padded field with the same spacing [µm] and power.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If ``shape`` is smaller than the field.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> pad(plane_wave((64, 64), spacing=0.5, wavelength=0.532), (96, 128)).shape
        (96, 128)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 5.1 (numerical diffraction).
    """
    _check.is_field("pad", field, Field)
    new = _check.grid_shape("pad", shape)
    if new[0] < field.shape[0] or new[1] < field.shape[1]:
        raise ValueError(
            f"pad: `shape` must be at least the field's {field.shape}, got {new}. "
            "Use crop to make it smaller."
        )
    return _pad(field, new)


@numerics.program("shape")
def _pad(field: AnyField, shape: tuple[int, int]) -> AnyField:
    margins = [_margins(o, n) for o, n in zip(field.shape, shape, strict=True)]
    widths = [(0, 0)] * (field.u.ndim - 2) + margins
    return field.replace(u=jnp.pad(field.u, widths))


def crop(field: AnyField, shape: tuple[int, int]) -> AnyField:
    r"""Crops a field to a smaller grid around the optical axis.

    .. math:: u'(y, x) = u(y, x)\ \text{inside the new window}

    Valid for every size, even and odd: the axis stays at the sample N // 2.

    Args:
        field: The field, ``(..., y, x)``.
        shape: Number of samples (ny, nx), at most the field's.

    Returns:
        The cropped field with the same spacing [µm].

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If ``shape`` is larger than the field.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> crop(plane_wave((64, 64), spacing=0.5, wavelength=0.532), (32, 33)).shape
        (32, 33)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 5.1 (numerical diffraction).
    """
    _check.is_field("crop", field, Field)
    new = _check.grid_shape("crop", shape)
    if new[0] > field.shape[0] or new[1] > field.shape[1]:
        raise ValueError(
            f"crop: `shape` must be at most the field's {field.shape}, got {new}. "
            "Use pad to make it larger."
        )
    return _crop(field, new)


@numerics.program("shape")
def _crop(field: AnyField, shape: tuple[int, int]) -> AnyField:
    starts = [_margins(n, o)[0] for o, n in zip(field.shape, shape, strict=True)]
    window = tuple(slice(s, s + n) for s, n in zip(starts, shape, strict=True))
    return field.replace(u=field.u[(..., *window)])


def _resampling_matrix(m: int, n: int, old: Array, new: Array) -> Array:
    """Band-limited interpolation from n samples to m others, ``(..., m, n)``.

    Frequencies that the new grid cannot hold are removed, and beyond the old window is darkness.
    """
    position = grid.indices(m).astype(old.dtype) * (new / old)[..., None]
    k = grid.indices(n)
    turns = position[..., :, None] * (k / n).astype(old.dtype)
    weight = jnp.clip(1 + n * (old / new)[..., None] / 2 - np.abs(k).astype(old.dtype), 0, 1)
    if n % 2 == 0:
        weight = weight * np.where(k == -n // 2, 0.5, 1.0).astype(old.dtype)
    forward = np.exp(-2j * np.pi * np.remainder(np.outer(k, grid.indices(n)) / n, 1.0)) / n
    edge = n * 0.5
    inside = (position >= -edge) & (position < edge)
    values = cis(turns) * weight[..., None, :]
    if n % 2 == 0:  # the Nyquist frequency stands for both its signs
        twin = cis(-turns) * weight[..., None, :]
        values = values + jnp.where(k == -n // 2, twin, 0)
    kernel = jnp.matmul(values, forward.astype(values.dtype), precision="highest")
    return jnp.where(inside[..., None], kernel, 0)


def resample(field: AnyField, spacing: ArrayLike | str, shape: tuple[int, int]) -> AnyField:
    r"""Samples a field on another grid by band-limited (Fourier) interpolation.

    .. math:: u'(x) = \sum_j u_j\, \mathrm{sinc}\!\left(\frac{x - x_j}{\Delta x}\right)

    (its periodic form), after removing the frequencies that the new grid cannot hold. Valid for
    fields that are resolved and dark at the window's edge; outside the old window is darkness.
    Differentiable in both spacings.

    Args:
        field: The field, ``(..., y, x)``.
        spacing: New sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        shape: New number of samples (ny, nx).

    Returns:
        The field on the new grid, with the power that both grids hold.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If the spacing is not positive or a shape does not fit.

    Example:
        >>> from jaxwave.beams import gaussian_beam
        >>> beam = gaussian_beam((64, 64), spacing=0.5, wavelength=0.532, waist=4.0)
        >>> finer = resample(beam, 0.25, (128, 128))
        >>> round(float(finer.power), 4)
        1.0

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 2.4 (Whittaker-Shannon).
    """
    _check.is_field("resample", field, Field)
    shape = _check.grid_shape("resample", shape)
    return _resample(field, grid.checked_spacing("resample", spacing, field.real_dtype), shape)


@numerics.program("shape")
def _resample(field: AnyField, new: Array, shape: tuple[int, int]) -> AnyField:
    my, mx = shape
    batch = _check.broadcast("resample", field=field.batch_shape, spacing=new.shape[:-1])
    field, new = broadcast(field, batch), jnp.broadcast_to(new, (*batch, 2))
    ny, nx = field.shape
    left = _resampling_matrix(my, ny, field.spacing[..., 0], new[..., 0])
    right = _resampling_matrix(mx, nx, field.spacing[..., 1], new[..., 1])
    if isinstance(field, VectorField):
        left, right = left[..., None, :, :], right[..., None, :, :]
    u = jnp.matmul(left, field.u, precision="highest")
    u = jnp.matmul(u, jnp.swapaxes(right, -1, -2), precision="highest")
    return field.replace(u=u.astype(field.dtype), spacing=new)


def shift(field: AnyField, *, y: ArrayLike | str = 0.0, x: ArrayLike | str = 0.0) -> AnyField:
    r"""Moves a field sideways by any distance, also a fraction of a sample.

    .. math:: u'(y, x) = u(y - y_0, x - x_0)

    By the Fourier shift theorem: exact for resolved fields, periodic in the window (what leaves
    on one side enters on the other; pad first if that matters).

    Args:
        field: The field, ``(..., y, x)``.
        y: Shift toward +y, ``(...)`` [µm].
        x: Shift toward +x, ``(...)`` [µm].

    Returns:
        The shifted field on the same grid, with the same power.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If a shift is not finite or its shape does not broadcast.

    Example:
        >>> from jaxwave.beams import gaussian_beam
        >>> beam = gaussian_beam((64, 64), spacing=0.5, wavelength=0.532, waist=4.0)
        >>> moved = shift(beam, x=2.0)
        >>> int(jnp.argmax(moved.intensity[32]))
        36

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 2.1.3 (shift theorem).
    """
    _check.is_field("shift", field, Field)
    y, x = _check.length("shift", "y", y), _check.length("shift", "x", x)
    for name, value in (("y", y), ("x", x)):
        _check.finite("shift", name, value, unit="µm")
    return _shift(field, *(numerics.number(a, field.real_dtype) for a in (y, x)))


@numerics.program()
def _shift(field: AnyField, y: Array, x: Array) -> AnyField:
    field, (sy, sx) = with_parameters("shift", field, y=y, x=x)
    ramp_y = cis(-field.fy * sy[..., None, None])
    ramp_x = cis(-field.fx * sx[..., None, None])
    spectrum = fourier.ft2(field.u) * field.on_grid(ramp_y) * field.on_grid(ramp_x)
    return field.replace(u=fourier.ift2(spectrum).astype(field.dtype))


def flip(field: AnyField, *, axis: str) -> AnyField:
    r"""Mirrors a field about the optical axis.

    .. math:: u'(y, x) = u(y, -x)\ \text{for axis x},\qquad u(-y, x)\ \text{for axis y}

    Valid for every size: the sample on the axis stays there. On an even grid the first sample
    has no mirror image in the window and stays where it is. The component of a vector field
    along the axis changes sign, as in a mirror.

    Args:
        field: The field, ``(..., y, x)``.
        axis: The coordinate that changes sign, ``"x"``, ``"y"`` or ``"xy"`` (rotation by 180°).

    Returns:
        The mirrored field on the same grid [µm].

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If the axis has another name.

    Example:
        >>> from jaxwave.field import scalar_field
        >>> u = jnp.array([[1.0, 2.0, 3.0]])
        >>> flip(scalar_field(u, spacing=1, wavelength=0.5), axis="x").u.real.tolist()
        [[3.0, 2.0, 1.0]]

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 2.10 (reflection).
    """
    _check.is_field("flip", field, Field)
    _check.choice("flip", "axis", axis, ("x", "y", "xy"))
    return _flip(field, axis)


@numerics.program("axis")
def _flip(field: AnyField, axis: str) -> AnyField:
    u = field.u
    for name, place in (("y", -2), ("x", -1)):
        if name in axis:
            n = u.shape[place]
            u = jnp.roll(jnp.flip(u, place), 1 - n % 2, place)
    if isinstance(field, VectorField):
        signs = np.array([-1.0 if c in axis else 1.0 for c in "xyz"])
        u = u * signs.astype(field.real_dtype)[:, None, None]
    return field.replace(u=u)


def normalize(field: AnyField, *, power: ArrayLike = 1.0) -> AnyField:
    r"""Scales a field to a given power.

    .. math:: u' = u\,\sqrt{P / \textstyle\sum |u|^2 \Delta y\,\Delta x}

    Valid for every field that is not dark; a dark field stays dark (and has a zero gradient).

    Args:
        field: The field, ``(..., y, x)``.
        power: Power in the window afterwards, ``(...)`` [power].

    Returns:
        The scaled field on the same grid [µm].

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If the power is negative or its shape does not broadcast.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> wave = plane_wave((8, 8), spacing=0.5, wavelength=0.532)
        >>> round(float(normalize(wave, power=2.0).power), 5)
        2.0

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 2.1 (Parseval's theorem).
    """
    _check.is_field("normalize", field, Field)
    _check.nonnegative("normalize", "power", power)
    return _normalize(field, numerics.number(power, field.real_dtype))


@numerics.program()
def _normalize(field: AnyField, power: Array) -> AnyField:
    field, (target,) = with_parameters("normalize", field, power=power)
    ratio = numerics.share(target, field.power)
    return field.replace(u=field.u * field.expand(numerics.safe_sqrt(ratio)))


def stack(fields: Sequence[Field]) -> Any:
    """Stacks fields of one kind and size along a new leading batch axis.

    Valid for fields of equal shape; spacing and wavelength may differ from field to field.

    Args:
        fields: Fields of one class with equal shapes ``(..., y, x)``.

    Returns:
        One field with one more batch axis, its spacing [µm] and wavelength [µm] stacked too.

    Raises:
        ValueError: If there are no fields or their shapes differ.
        TypeError: If scalar and vector fields are mixed, or something is not a field.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> stack([plane_wave((8, 8), spacing=0.5, wavelength=w) for w in (0.5, 0.6)])
        Field((2, 8, 8) complex64, spacing=0.5 µm, wavelength=0.5 ... 0.6 µm)
    """
    fields = list(fields)
    if not fields:
        raise ValueError("stack: `fields` must hold at least one field, got none.")
    for field in fields:
        _check.is_field("stack", field, Field)
    if len({type(f) for f in fields}) > 1:
        raise TypeError("stack: scalar and vector fields cannot be stacked together.")
    shapes = [f.u.shape for f in fields]
    if len(set(shapes)) > 1:
        raise ValueError(f"stack: the fields must have equal shapes, got {shapes}.")
    return _stack(fields)


@numerics.program()
def _stack(fields: list[Field]) -> Field:
    return fields[0].replace(
        u=jnp.stack([f.u for f in fields]),
        spacing=jnp.stack([f.spacing for f in fields]),
        wavelength=jnp.stack([f.wavelength for f in fields]),
    )
