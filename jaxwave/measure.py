"""What is measured of a field: overlap, centroid, width, encircled energy, Strehl, profile."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, grid, numerics
from jaxwave.field import Field, broadcast, with_parameters


def overlap(field: Field, mode: Field) -> Array:
    r"""Overlap of a field with a mode; its squared modulus is the power that couples.

    .. math:: c = \frac{\iint m^*\,u\;dy\,dx}{\sqrt{P_u\,P_m}}

    Exact for fields on one grid. :math:`|c|^2` is the share of the light that a single-mode fiber
    with the mode m takes; the components of vector fields are summed. Dark fields overlap by zero.

    Args:
        field: The field, ``(..., y, x)``.
        mode: The mode, on the same grid, ``(..., y, x)``.

    Returns:
        The overlap, complex, ``(...)``.

    Raises:
        TypeError: If one is no field, or one is scalar and the other a vector field.
        ValueError: If the fields are on different grids.

    Example:
        >>> from jaxwave.beams import gaussian_beam
        >>> kind = dict(spacing=0.5, wavelength=0.532)
        >>> beam, fiber = (gaussian_beam((64, 64), waist=w, **kind) for w in (3.0, 4.0))
        >>> round(float(abs(overlap(beam, fiber)) ** 2), 4)  # (2 * 3 * 4 / (9 + 16))**2
        0.9216

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 2.1; D. Marcuse, Bell Syst. Tech. J.
        56, 703 (1977).
    """
    _check.is_field("overlap", field, Field)
    _check.is_field(
        "overlap", mode, Field, fix="Make the mode with a source, such as gaussian_beam."
    )
    both = field + mode  # checks the kind, the grid and the wavelength
    field, mode = broadcast(field, both.batch_shape), broadcast(mode, both.batch_shape)
    return _overlap(field, mode)


@numerics.program()
def _overlap(field: Field, mode: Field) -> Array:
    axes = tuple(range(-field._rank, 0))
    inner = jnp.sum(mode.u.conj() * field.u, axis=axes) * jnp.prod(field.spacing, axis=-1)
    scale = numerics.safe_sqrt(field.power) * numerics.safe_sqrt(mode.power)
    return numerics.share(inner, scale)


def _shares(field: Field) -> tuple[Array, Array, Array]:
    """Shares of the power in the samples, the rows and the columns."""
    i = field.intensity
    share = numerics.share(i, jnp.sum(i, axis=(-2, -1), keepdims=True))
    return share, jnp.sum(share, axis=-1), jnp.sum(share, axis=-2)


def centroid(field: Field) -> Array:
    r"""Center of the power of a field.

    .. math:: (\bar y, \bar x) = \frac1P \iint (y, x)\,|u|^2\,dy\,dx

    Exact for light that is in the window. A dark field has its centroid on the axis.

    Args:
        field: The field, ``(..., y, x)``.

    Returns:
        The place (y, x), ``(..., 2)`` [µm].

    Raises:
        TypeError: If ``field`` is not a field.

    Example:
        >>> from jaxwave.beams import gaussian_beam
        >>> beam = gaussian_beam((64, 64), spacing=0.5, wavelength=0.5, waist=3.0, y=1.0, x=-2.0)
        >>> centroid(beam).round(3).tolist()
        [1.0, -2.0]

    References:
        ISO 11146-1, Sec. 3 (beam position).
    """
    _check.is_field("centroid", field, Field)
    return _centroid(field)


@numerics.program()
def _centroid(field: Field) -> Array:
    _, rows, columns = _shares(field)
    y, x = field.y[..., 0], field.x[..., 0, :]
    return jnp.stack([jnp.sum(rows * y, axis=-1), jnp.sum(columns * x, axis=-1)], axis=-1)


def second_moments(field: Field) -> Array:
    r"""Second central moments of the power of a field: its widths and its orientation.

    .. math:: \Sigma_{jk} = \frac1P \iint (r_j - \bar r_j)(r_k - \bar r_k)\,|u|^2\,dy\,dx,
        \qquad r = (y, x)

    Exact for light that is in the window. The beam diameters of ISO 11146 along y and x are
    :math:`4\sqrt{\Sigma_{yy}}` and :math:`4\sqrt{\Sigma_{xx}}`; a Gaussian beam has
    :math:`\Sigma = w^2/4`.

    Args:
        field: The field, ``(..., y, x)``.

    Returns:
        The matrix [[yy, yx], [xy, xx]], ``(..., 2, 2)`` [µm²].

    Raises:
        TypeError: If ``field`` is not a field.

    Example:
        >>> from jaxwave.beams import gaussian_beam
        >>> beam = gaussian_beam((64, 64), spacing=0.5, wavelength=0.5, waist=(3.0, 4.0))
        >>> second_moments(beam).round(3).tolist()
        [[2.25, 0.0], [0.0, 4.0]]

    References:
        ISO 11146-1, Sec. 3 (second moments).
    """
    _check.is_field("second_moments", field, Field)
    return _second_moments(field)


@numerics.program()
def _second_moments(field: Field) -> Array:
    share, rows, columns = _shares(field)
    center = _centroid(field)
    y, x = field.y[..., 0] - center[..., :1], field.x[..., 0, :] - center[..., 1:]
    yx = jnp.einsum("...yx,...y,...x->...", share, y, x, precision="highest")
    yy, xx = jnp.sum(rows * y**2, axis=-1), jnp.sum(columns * x**2, axis=-1)
    return jnp.stack([jnp.stack([yy, yx], axis=-1), jnp.stack([yx, xx], axis=-1)], axis=-2)


def encircled_energy(
    field: Field, radius: ArrayLike | str, *, y: ArrayLike | str = 0.0, x: ArrayLike | str = 0.0
) -> Array:
    r"""Share of the power of a field within a circle.

    .. math:: E(R) = \frac1P \iint_{(y - y_0)^2 + (x - x_0)^2 \le R^2} |u|^2\,dy\,dx

    The rim of the circle is weighted by area, so that the radius has a gradient. Valid for light
    that is in the window. For a curve give one radius for each batch entry, ``radius[:, None]`` for
    a batch of fields.

    Args:
        field: The field, ``(..., y, x)``.
        radius: Radius of the circle, ``(...)`` [µm].
        y: Center of the circle, ``(...)`` [µm].
        x: Center of the circle, ``(...)`` [µm].

    Returns:
        The share, ``(...)``, 0 to 1.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If the radius is not positive, the center not finite or shapes do not fit.

    Example:
        >>> from jaxwave.beams import gaussian_beam
        >>> beam = gaussian_beam((64, 64), spacing=0.5, wavelength=0.5, waist=4.0)
        >>> round(float(encircled_energy(beam, 4.0)), 2)  # 1 - exp(-2)
        0.86

    References:
        M. Born and E. Wolf, *Principles of Optics*, 7th ed., Sec. 8.5.2, Eq. 18.
    """
    where = "encircled_energy"
    _check.is_field(where, field, Field)
    radius, y, x = (_check.length(where, k, v) for k, v in (("radius", radius), ("y", y), ("x", x)))
    _check.positive(where, "radius", radius, unit="µm")
    _check.finite(where, "y", y, unit="µm")
    _check.finite(where, "x", x, unit="µm")
    field, values = with_parameters(where, field, radius=radius, y=y, x=x)
    return _encircled(field, *values)


@numerics.program()
def _encircled(field: Field, radius: Array, y: Array, x: Array) -> Array:
    def one(field: Field, radius: Array, y: Array, x: Array) -> Array:
        i = field.intensity
        inside = jnp.sum(i * grid.disk_coverage(field.shape, field.spacing, radius, y=y, x=x))
        return numerics.share(inside, jnp.sum(i))

    return numerics.map_batch(one, radius.shape, field, radius, y, x)


def strehl_ratio(pupil: Field) -> Array:
    r"""Strehl ratio of the light in a pupil: the brightness in the focus against the best one.

    .. math:: S = \Bigl|\iint u\,dy\,dx\Bigr|^2 \Big/ \Bigl(\iint |u|\,dy\,dx\Bigr)^2

    Exact in the focus on the axis, paraxial; what moves the focus (a tilt, a defocus) counts as
    an aberration. For a small wavefront error of the RMS :math:`\sigma` rad it is
    :math:`\exp(-\sigma^2)`. A dark pupil has the ratio zero.

    Args:
        pupil: Field in the pupil, ``(..., y, x)``.

    Returns:
        The ratio, ``(...)``, 0 to 1; the components of a vector field are focused side by side.

    Raises:
        TypeError: If ``pupil`` is not a field.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> wave = plane_wave((8, 8), spacing=50.0, wavelength=0.5)
        >>> round(float(strehl_ratio(wave)), 5)
        1.0

    References:
        M. Born and E. Wolf, *Principles of Optics*, 7th ed., Sec. 9.1.
    """
    if not isinstance(pupil, Field):
        raise TypeError(f"strehl_ratio: `pupil` must be a Field, got {type(pupil).__name__}.")
    return _strehl(pupil)


@numerics.program()
def _strehl(pupil: Field) -> Array:
    total = jnp.sum(pupil.u, axis=(-2, -1))
    best = jnp.sum(pupil.amplitude, axis=(-2, -1))
    bright, most = total.real**2 + total.imag**2, best**2
    if pupil._rank == 3:
        bright, most = jnp.sum(bright, axis=-1), jnp.sum(most, axis=-1)
    return numerics.share(bright, most)


def radial_profile(
    field: Field, *, bins: int, y: ArrayLike | str = 0.0, x: ArrayLike | str = 0.0
) -> tuple[Array, Array]:
    r"""Mean intensity of a field on rings.

    .. math:: \bar I_k = \langle |u|^2 \rangle_{k \le r/\Delta < k + 1}

    Exact as a mean over the samples whose centers are on the ring; rings are as wide as the larger
    spacing. Rings without samples are zero. The center has no gradient.

    Args:
        field: The field, ``(..., y, x)``.
        bins: Number of rings.
        y: Center of the rings, ``(...)`` [µm].
        x: Center of the rings, ``(...)`` [µm].

    Returns:
        Mean radius of the samples on each ring, ``(..., bins)`` [µm], and their mean intensity,
        ``(..., bins)`` [power/µm²].

    Raises:
        TypeError: If ``field`` is not a field or ``bins`` no integer.
        ValueError: If the center is not finite or shapes do not fit.

    Example:
        >>> from jaxwave.beams import gaussian_beam
        >>> beam = gaussian_beam((64, 64), spacing=0.5, wavelength=0.5, waist=4.0)
        >>> radius, mean = radial_profile(beam, bins=12)
        >>> bool(jnp.allclose(mean / mean[0], jnp.exp(-2 * radius**2 / 16), atol=0.01))
        True

    References:
        M. Born and E. Wolf, *Principles of Optics*, 7th ed., Sec. 8.5.2 (the Airy pattern).
    """
    where = "radial_profile"
    _check.is_field(where, field, Field)
    _check.integer(where, "bins", bins, 1)
    y, x = _check.length(where, "y", y), _check.length(where, "x", x)
    _check.finite(where, "y", y, unit="µm")
    _check.finite(where, "x", x, unit="µm")
    field, values = with_parameters(where, field, y=y, x=x)
    return _profile(bins, field, *values)


@numerics.program("bins")
def _profile(bins: int, field: Field, y: Array, x: Array) -> tuple[Array, Array]:
    def one(field: Field, y: Array, x: Array) -> tuple[Array, Array]:
        radius = jnp.sqrt(jax.lax.stop_gradient((field.y - y) ** 2 + (field.x - x) ** 2))
        ring = jnp.floor(radius / jnp.max(field.spacing) * (1 + 1e-6)).astype(np.int32).ravel()

        def total(values: Array) -> Array:
            return jnp.zeros(bins, values.dtype).at[ring].add(values.ravel(), mode="drop")

        count = jnp.maximum(total(jnp.ones_like(radius)), 1)
        return total(radius) / count, total(field.intensity) / count

    return numerics.map_batch(one, y.shape, field, y, x)
