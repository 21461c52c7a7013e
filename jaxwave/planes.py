"""Planes that are tilted against the axis, and windows that swallow the light at their edge."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, collins, grid, numerics, sampling
from jaxwave.field import AnyField, Field, modulate, with_parameters
from jaxwave.numerics import cis, fast_len, word

AXES = ("y", "x")


def tilted_plane(
    field: AnyField,
    angle: ArrayLike,
    *,
    axis: str = "y",
    n: ArrayLike = 1.0,
    spacing: ArrayLike | str | None = None,
    shape: tuple[int, int] | None = None,
) -> AnyField:
    r"""Evaluates a field on a plane that is turned about the y or the x axis.

    .. math:: u'(x', y) = \iint U(f_x, f_y)\,
        e^{i 2\pi (f_x x' \cos\alpha + f_y y + w x' \sin\alpha)}\,df_x\,df_y, \qquad
        w = \sqrt{(n/\lambda)^2 - f_x^2 - f_y^2}

    for the turn about y; :math:`(y', -\alpha)` takes the place of :math:`(x', \alpha)` for that
    about x, so that both are right-handed turns of the coordinates with the sign of x' and y'
    toward +z. Exact for homogeneous media: the plane waves are summed as they stand, without an
    interpolation. The carrier of a tilted plane is no constant and stays, as the phase
    :math:`2\pi n x' \sin\alpha/\lambda`. Evanescent waves are left out. A tilted plane catches
    :math:`1/\cos` of the power that crosses it, as a tilted screen does.

    Args:
        field: The field on the straight plane, ``(..., y, x)``.
        angle: Angle of the turn, ``(...)``; positive brings the half plane x' > 0 (y' > 0 for
            the axis x) to +z [rad].
        axis: The axis of the turn, "y" or "x".
        n: Refractive index of the medium, ``(...)``.
        spacing: Output spacing, one number or ``(..., 2)`` as (dy, dx) [µm]; by default the
            field's.
        shape: Number of output samples (ny, nx); by default the field's.

    Returns:
        The field on the tilted plane, whose axis sample is that of the straight one.

    Raises:
        TypeError: If ``field`` is not a scalar field.
        ValueError: If ``axis`` is no axis, a number is out of range or the shapes do not fit.

    Example:
        >>> from jaxwave.beams import gaussian_beam
        >>> beam = gaussian_beam((32, 32), spacing=0.5, wavelength=0.5, waist=2.0)
        >>> screen = tilted_plane(beam, 0.2)
        >>> round(float(screen.phase[16, 17]), 1)  # 2 pi sin(0.2) 0.5 / 0.5
        1.2

    References:
        K. Matsushima, H. Schimmel and F. Wyrowski, "Fast calculation method for optical
        diffraction on tilted planes", J. Opt. Soc. Am. A 20, 1755 (2003).
    """
    where = "tilted_plane"
    _check.is_field(where, field, Field)
    if field._rank == 3:
        raise TypeError(f"{where}: `field` must be a scalar Field: components turn with the plane.")
    _check.choice(where, "axis", axis, AXES)
    _check.finite(where, "angle", angle)
    _check.positive(where, "n", n)
    view = collins.window(where, field, spacing, shape, None, None)
    view = view or collins.Window(field.shape, None, 0.0, 0.0)
    field, (angle, n), pair, _ = collins.settle(where, field, view, angle=angle, n=n)
    carrier = jnp.abs(jnp.sin(angle)) * n / field.wavelength
    tilt = (jnp.zeros_like(carrier), carrier) if axis == "y" else (carrier, jnp.zeros_like(carrier))
    sampling.warn_frequency(where, "the tilted plane's carrier", view.shape, pair, tilt)
    return _tilt(view.shape, AXES.index(axis), field, angle, n, pair)


@partial(jax.jit, static_argnums=(0, 1))
def _tilt(
    shape: tuple[int, int], axis: int, field: AnyField, angle: Array, n: Array, spacing: Array
) -> AnyField:
    """Columns along the axis of the turn stay a Fourier transform; rows become sums."""
    turned = 1 - axis  # the axis of samples that leaves the plane

    def one(u: Array, angle: Array, m: Array, old: Array, new: Array) -> Array:
        u = u if turned == 1 else u.T
        sizes = [fast_len(2 * count) for count in u.shape]
        along, across = (old[0], old[1]) if turned == 1 else (old[1], old[0])
        spectrum = jnp.fft.fft2(u, sizes) / (sizes[0] * sizes[1])
        f = np.fft.fftfreq(sizes[1]).astype(m.dtype) / across
        g = np.fft.fftfreq(sizes[0]).astype(m.dtype) / along
        count = shape[turned]
        x = grid.indices(count).astype(m.dtype) * new[turned]

        def row(waves: Array, g: Array) -> Array:
            square = f**2 + g**2
            travels = square < m**2
            w = jnp.sqrt(jnp.where(travels, m**2 - square, m**2))
            rest = jnp.where(travels, -square / (w + m), 0)
            rate = f * jnp.cos(angle) + rest * jnp.sin(angle)
            start = f * across * (u.shape[1] // 2)
            sums = cis(x[:, None] * rate + (start - jnp.round(start)))
            return jnp.matmul(sums, jnp.where(travels, waves, 0), precision="highest")

        rows = lax.map(lambda p: row(*p), (spectrum, g))  # (g, x')
        place = grid.indices(shape[axis]).astype(m.dtype)[:, None] * new[axis]
        place = place + along * (u.shape[0] // 2)
        result = jnp.matmul(cis(place * g), rows, precision="highest")
        result = result * cis(_carrier_turns(count, jnp.sin(angle), m, new[turned]))
        return result if turned == 1 else result.T

    m = n / field.wavelength
    u = numerics.map_batch(one, field.batch_shape, field.u, angle, m, field.spacing, spacing)
    return field.replace(u=u.astype(field.dtype), spacing=spacing)


def _plain_carrier(count: int, *numbers: Array) -> Array:
    sine, m, step = numbers
    return grid.indices(count).astype(step.dtype) * (step * m * sine)


@numerics.with_plain_derivative(_plain_carrier)
def _carrier_turns(count: int, *numbers: Array) -> Array:
    sine, m, step = (word(p, numbers[0].dtype) for p in numbers)
    rate = numerics.multiply(numerics.multiply(sine, m), step)
    return numerics.product_turns(rate, word(grid.indices(count).astype(float), sine.hi.dtype))


def absorbing_boundary(field: AnyField, width: ArrayLike | str) -> AnyField:
    r"""Absorbs the light within a border of the window.

    .. math:: u' = t(y)\,t(x)\,u, \qquad t = \sin^2\!\left(\frac{\pi}{2}\,
        \min\!\left(1, \frac{s}{b}\right)\right)

    with the distance s from the window's edge (half a sample outside the last one) and the width
    b of the border. Exact as a mask. Between the steps of a long propagation it keeps light that
    leaves the window from being cut off sharply, which would send a tenth of the amplitude back
    as edge waves; the smooth border sends back the less the wider it is.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        width: Width of the border, ``(...)``, at most half the window [µm].

    Returns:
        The field with a border that fades into darkness.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If the width is not positive, too wide for the window or shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> wave = plane_wave((64, 64), spacing=0.5, wavelength=0.5)
        >>> round(float(absorbing_boundary(wave, 8.0).power), 3)  # (1/2 + 3/16)^2
        0.473

    References:
        A. Taflove and S. C. Hagness, *Computational Electrodynamics*, Ch. 7 (absorbing layers).
    """
    where = "absorbing_boundary"
    _check.is_field(where, field, Field)
    width = _check.length(where, "width", width)
    _check.positive(where, "width", width, unit="µm")
    if _check.is_concrete(width, field.spacing):
        half = float(np.min(np.asarray(field.extent))) / 2
        if np.any(np.asarray(width) > half * (1 + 1e-6)):
            raise ValueError(
                f"{where}: `width` must be at most half the window, {half:.4g} µm, got "
                f"{float(np.max(np.asarray(width))):.4g} µm. Pad the field first."
            )
    field, (width,) = with_parameters(where, field, width=width)

    def border(count: int, spacing: Array) -> Array:
        inside = 0.5 + np.minimum(np.arange(count), np.arange(count)[::-1])
        share = inside.astype(spacing.dtype) * (spacing / width)[..., None]
        return jnp.sin(0.5 * jnp.pi * jnp.minimum(1, share)) ** 2

    ny, nx = field.shape
    rows, columns = border(ny, field.spacing[..., 0]), border(nx, field.spacing[..., 1])
    return modulate(field, rows[..., :, None] * columns[..., None, :])
