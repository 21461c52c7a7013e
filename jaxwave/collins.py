"""Paraxial systems of rays ABCD: Collins' integral onto any window, from any to any plane.

The integral separates, so a system is one matrix an axis, and a field is taken through it by two
matrix products. A matrix is written in one of two ways, which are exact in adjoining ranges:

- *far*, |B| n^-1 lambda >= 2 |A| N dx^2: chirp, Fourier kernel, chirp. The next replica of the
  input's samples lies beyond the geometric image of the window, by as much as this image is wide.
- *near*, else: free space over B/A in Fourier space, magnification by A, chirp. No wave is
  displaced by more than the window, so that three windows hold all light and nothing is removed.

Neither divides by what may be zero in its range, so B = 0 (an image) and A = 0 (a Fourier plane)
are ordinary systems, and everything may be traced.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, fourier, grid, numerics, sampling
from jaxwave.field import AnyField, Field, with_parameters
from jaxwave.numerics import TwoWord, cis, fast_len, word


class Window(NamedTuple):
    """Where an output is sampled: samples, spacing, and the place of the axis sample."""

    shape: tuple[int, int]
    spacing: ArrayLike | None  # (..., 2), None for the function's own
    y: ArrayLike
    x: ArrayLike


def window(
    where: str,
    field: Field,
    spacing: ArrayLike | str | None,
    shape: tuple[int, int] | None,
    y: ArrayLike | str | None,
    x: ArrayLike | str | None,
) -> Window | None:
    """The output window that was asked for, checked; None if it is the input's."""
    if spacing is None and shape is None and y is None and x is None:
        return None
    if spacing is not None:
        spacing = grid.checked_spacing(where, spacing, field.real_dtype)
    shape = field.shape if shape is None else _check.grid_shape(where, shape)
    y, x = (0.0 if v is None else _check.length(where, k, v) for k, v in (("y", y), ("x", x)))
    _check.finite(where, "y", y, unit="µm")
    _check.finite(where, "x", x, unit="µm")
    return Window(shape, spacing, y, x)


def settle(
    where: str, field: AnyField, view: Window, **numbers: ArrayLike
) -> tuple[AnyField, list[Array], Array, Array]:
    """The field, numbers, spacing and place (..., 2) of a window on their common batch axes."""
    real = field.real_dtype
    pair = field.spacing if view.spacing is None else jnp.asarray(view.spacing, real)
    axes = jnp.zeros(pair.shape[:-1], real)  # the spacing's batch axes, for the message
    field, (*values, _, y, x) = with_parameters(
        where, field, **numbers, spacing=axes, y=view.y, x=view.x
    )
    pair = jnp.broadcast_to(pair, (*field.batch_shape, 2))
    return field, values, pair, jnp.stack([y, x], axis=-1)


# -- one axis --------------------------------------------------------------------------------

_Numbers = tuple[Array, ...]  # a, b, c, d, n/lambda, spacing, new spacing, place


def places(count: int, spacing: Array, at: Array) -> TwoWord:
    """Coordinates of the samples of one axis in two words."""
    steps = word(grid.indices(count).astype(float), spacing.dtype)
    return numerics.add(numerics.multiply(word(spacing, spacing.dtype), steps), word(at, at.dtype))


def _half(a: TwoWord) -> TwoWord:
    return TwoWord(0.5 * a.hi, 0.5 * a.lo)


def _square(a: TwoWord) -> TwoWord:
    return numerics.multiply(a, a)


def _column(a: TwoWord) -> TwoWord:
    return TwoWord(a.hi[:, None], a.lo[:, None])


def _plain_far(sizes: tuple[int, int], *numbers: Array) -> Array:
    a, b, _, d, m, dx, step, at = numbers
    x = grid.indices(sizes[0]).astype(dx.dtype) * dx
    out = grid.indices(sizes[1]).astype(dx.dtype)[:, None] * step + at
    return m / b * (0.5 * a * x**2 - out * x + 0.5 * d * out**2)


@numerics.two_words(_plain_far)
def _far_turns(sizes: tuple[int, int], *numbers: Array) -> Array:
    """Phase of Collins' kernel, (outputs, inputs)."""
    dtype = numbers[0].dtype
    a, b, _, d, m = (word(p, dtype) for p in numbers[:5])
    rate = numerics.divide(m, b)
    x = places(sizes[0], numbers[5], jnp.zeros((), dtype))
    out = places(sizes[1], *numbers[6:])
    before = numerics.product_turns(numerics.multiply(_half(a), rate), _square(x))
    behind = numerics.product_turns(numerics.multiply(_half(d), rate), _square(out))
    cross = numerics.product_turns(_column(numerics.multiply(rate, out)), x)
    return behind[:, None] + before - cross


def _plain_near(sizes: tuple[int, int], *numbers: Array) -> Array:
    a, b, _, _, m, dx, step, at = numbers
    size = fast_len(3 * sizes[0])
    f = np.fft.fftfreq(size, 1 / size).astype(dx.dtype) / (size * dx)
    out = grid.indices(sizes[1]).astype(dx.dtype)[:, None] * step + at
    return f * (out / a + (sizes[0] // 2) * dx) - 0.5 * b / (a * m) * f**2


@numerics.two_words(_plain_near)
def _near_turns(sizes: tuple[int, int], *numbers: Array) -> Array:
    """Phase of a frequency at the outputs, (outputs, frequencies)."""
    dtype = numbers[0].dtype
    size = fast_len(3 * sizes[0])
    a, b, _, _, m, dx = (word(p, dtype) for p in numbers[:6])
    period = numerics.multiply(dx, word(float(size), dtype))
    k = np.fft.fftfreq(size, 1 / size)
    place = numerics.divide(places(sizes[1], *numbers[6:]), numerics.multiply(a, period))
    place = numerics.add(place, word(sizes[0] // 2 / size, dtype))
    z = numerics.divide(b, numerics.multiply(a, m))
    rate = numerics.divide(_half(z), _square(period))
    travel = numerics.product_turns(rate, word(k**2, dtype))
    return numerics.product_turns(_column(place), word(k, dtype)) - travel


def _plain_chirp(count: int, *numbers: Array) -> Array:
    rate, step, at = numbers
    return 0.5 * rate * (grid.indices(count).astype(step.dtype) * step + at) ** 2


@numerics.two_words(_plain_chirp)
def chirp_turns(count: int, *numbers: Array) -> Array:
    """Phase rate x^2 / 2 [turns] at the samples of one axis."""
    rate, step, at = numbers
    return numerics.product_turns(_half(word(rate, rate.dtype)), _square(places(count, step, at)))


def _far_matrix(sizes: tuple[int, int], numbers: _Numbers) -> Array:
    b, m, dx = numbers[1], numbers[4], numbers[5]
    turn = -jnp.sign(b) / 8
    return dx * jnp.sqrt(m / jnp.abs(b)) * cis(_far_turns(sizes, *numbers) + turn)


def _near_matrix(sizes: tuple[int, int], numbers: _Numbers) -> Array:
    a, b, c, _, m, dx, step, at = numbers
    waves = cis(_near_turns(sizes, *numbers))
    size = waves.shape[-1]
    matrix = jnp.fft.fft(waves)[:, : sizes[0]] / size
    x = grid.indices(sizes[1]).astype(dx.dtype) * step + at
    held = jnp.abs(x / a) <= 0.5 * size * dx
    # Two axes make the factor -1 of an inverted image.
    turn = jnp.where(a < 0, jnp.where(b < 0, 0.25, -0.25), 0)
    chirp = cis(chirp_turns(sizes[1], c / a * m, step, at) + turn)
    return (held * chirp / jnp.sqrt(jnp.abs(a)))[:, None] * matrix


def axis_matrix(sizes: tuple[int, int], numbers: _Numbers) -> Array:
    """The operator of one axis, from ``sizes[0]`` samples to ``sizes[1]``, for unbatched numbers.

    ``numbers`` are a, b, c, d, n/lambda, spacing, new spacing, place of the new axis sample.
    """
    a, b, c, d, m, dx, step, at = numbers
    far = jnp.abs(b) >= 2 * sizes[0] * dx**2 * jnp.abs(a) * m
    one = jnp.ones_like(a)
    rest = (d, m, dx, step, at)
    return lax.cond(
        far,
        lambda: _far_matrix(sizes, (a, jnp.where(far, b, one), c, *rest)),
        lambda: _near_matrix(sizes, (jnp.where(far, one, a), b, c, *rest)),
    )


# -- two axes --------------------------------------------------------------------------------


@partial(jax.jit, static_argnums=(0, 1))
def transfer(
    shape: tuple[int, int],
    adjoint: bool,
    field: AnyField,
    abcd: tuple[Array, Array, Array, Array],
    n: Array,
    spacing: Array,
    place: Array,
) -> AnyField:
    """Takes a field through a system to a window; the numbers have the field's batch axes.

    ``adjoint`` undoes the system: the matrices lead from the window to the field.
    """

    def one(u: Array, *numbers: Array) -> Array:
        a, b, c, d, m, old, new, at = numbers
        for k, axis in ((1, -1), (0, -2)):
            sizes = (u.shape[axis], shape[k])
            if adjoint:
                across = axis_matrix(sizes[::-1], (a, b, c, d, m, new[k], old[k], at[k]))
                matrix = jnp.conj(across) * (old[k] / new[k])
            else:
                matrix = axis_matrix(sizes, (a, b, c, d, m, old[k], new[k], at[k])).T
            u = jnp.swapaxes(fourier.contract(jnp.swapaxes(u, axis, -1), matrix), axis, -1)
        return u

    m = n / field.wavelength
    u = numerics.map_batch(one, field.batch_shape, field.u, *abcd, m, field.spacing, spacing, place)
    return field.replace(u=u.astype(field.dtype), spacing=spacing)


def apply(
    where: str,
    field: AnyField,
    abcd: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike],
    n: ArrayLike,
    view: Window,
    *,
    adjoint: bool = False,
) -> AnyField:
    """Broadcasts everything to the common batch axes and takes the field through the system."""
    names = dict(zip("abcd", abcd, strict=True))
    field, (*abcd, n), pair, place = settle(where, field, view, **names, n=n)
    a, b = abcd[0][..., None], abcd[1][..., None]
    if view.spacing is None:
        cell = field.extent
        scale = jnp.abs(b) * (field.wavelength / n)[..., None]
        pair = scale / cell if adjoint else jnp.maximum(jnp.abs(a) * field.spacing, scale / cell)
    if not adjoint:
        _warn_replica(where, field, a, b, n, pair, view.shape)
    return transfer(view.shape, adjoint, field, tuple(abcd), n, pair, place)


def _warn_replica(
    where: str, field: Field, a: Array, b: Array, n: Array, spacing: Array, shape: tuple[int, int]
) -> None:
    """Warns of a window that shows the replicas of the input's samples."""
    if not _check.is_concrete(field.spacing, a, b, n, spacing):
        return
    scale = np.abs(np.asarray(b)) * np.asarray(field.wavelength / n)[..., None]
    old = np.asarray(field.spacing)
    far = scale >= 2 * np.asarray(field.shape) * old**2 * np.abs(np.asarray(a))
    limit = np.where(far, scale / old, np.inf)
    sampling.warn_window(where, "one replica", shape, spacing, (limit[..., 0], limit[..., 1]))


# -- what is public --------------------------------------------------------------------------


def ray_transfer(
    field: AnyField,
    abcd: ArrayLike,
    *,
    n: ArrayLike = 1.0,
    spacing: ArrayLike | str | None = None,
    shape: tuple[int, int] | None = None,
    y: ArrayLike | str | None = None,
    x: ArrayLike | str | None = None,
) -> AnyField:
    r"""Takes a field through a paraxial system that is known by its ray matrix.

    .. math:: u'(x', y') = \frac{n}{i\lambda B} \iint u(x, y)\, \exp\!\left[
        \frac{i\pi n}{\lambda B}\bigl(A r^2 - 2 (x x' + y y') + D r'^2\bigr)\right] dx\,dy

    Paraxial, without rims; carriers are left out. For :math:`B = 0` the field is an image,
    magnified by A, under the phase :math:`\pi n (C/A) r'^2/\lambda`; for :math:`A = 0` a Fourier
    transform. Every system between and every window are computed exactly for the samples (the
    module's documentation tells how), and may be traced. Power that falls into the window is
    right; a system conserves all.

    Args:
        field: The field in the input plane, ``(..., y, x)`` or ``(..., 3, y, x)``.
        abcd: Ray matrix of determinant one, ``(..., 2, 2)`` as [[A, B], [C, D]], with heights and
            angles of rays [1, µm; 1/µm, 1].
        n: Refractive index of both planes' medium, ``(...)``.
        spacing: Output spacing, one number or ``(..., 2)`` as (dy, dx) [µm]; by default the
            larger one of the input's image, \|A\| dx, and of a Fourier transform,
            :math:`\lambda |B|/(n N dx)`.
        shape: Number of output samples (ny, nx); by default the field's.
        y: Where the axis sample of the output lies, ``(...)`` [µm]; by default on the axis.
        x: Where the axis sample of the output lies, ``(...)`` [µm].

    Returns:
        The field in the output plane; its coordinates count from (y, x).

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If the determinant is not one, a number is out of range or shapes do not fit.

    Example:
        >>> from jaxwave.beams import gaussian_beam
        >>> beam = gaussian_beam((64, 64), spacing=1.0, wavelength=0.5, waist=8.0)
        >>> image = ray_transfer(beam, [[-2.0, 0.0], [0.0, -0.5]])
        >>> image.spacing.tolist(), round(float(image.power), 4)
        ([2.0, 2.0], 1.0)

    References:
        S. A. Collins, "Lens-system diffraction integral written in terms of matrix optics",
        J. Opt. Soc. Am. 60, 1168 (1970), Eq. 32.
    """
    where = "ray_transfer"
    _check.is_field(where, field, Field)
    _check.positive(where, "n", n)
    if np.shape(abcd)[-2:] != (2, 2):
        raise ValueError(
            f"{where}: `abcd` must be (..., 2, 2) as [[A, B], [C, D]], got the shape "
            f"{np.shape(abcd)}."
        )
    _check.finite(where, "abcd", abcd)
    if _check.is_concrete(abcd):
        determinant = np.linalg.det(np.asarray(abcd, np.float64))
        if np.any(np.abs(determinant - 1) > 1e-3):
            raise ValueError(
                f"{where}: `abcd` must have the determinant 1 (one medium, no loss), got "
                f"{float(np.ravel(determinant)[0]):.6g}. Multiply the matrices of the parts from "
                "the last to the first."
            )
    abcd = jnp.asarray(abcd, field.real_dtype)
    view = window(where, field, spacing, shape, y, x) or Window(field.shape, None, 0.0, 0.0)
    a, b, c, d = (abcd[..., i, j] for i in (0, 1) for j in (0, 1))
    return apply(where, field, (a, b, c, d), n, view)


def fraunhofer(
    field: AnyField,
    z: ArrayLike | str,
    *,
    n: ArrayLike = 1.0,
    spacing: ArrayLike | str | None = None,
    shape: tuple[int, int] | None = None,
    y: ArrayLike | str | None = None,
    x: ArrayLike | str | None = None,
) -> AnyField:
    r"""Propagates a field into the far field.

    .. math:: u'(x', y') = \frac{n}{i\lambda z}\,e^{i\pi n r'^2/(\lambda z)} \iint u(x, y)\,
        \exp\!\left[-i 2\pi\frac{n}{\lambda z}(x x' + y y')\right] dx\,dy

    Neglects the curvature :math:`\pi n r^2/(\lambda z)` over the light in the input plane, of
    which a warning tells when it exceeds a quarter of a turn. The carrier is left out.

    Args:
        field: The field at the input plane, ``(..., y, x)`` or ``(..., 3, y, x)``.
        z: Distance to the output plane, ``(...)``, not zero [µm].
        n: Refractive index of the medium, ``(...)``.
        spacing: Output spacing, one number or ``(..., 2)`` as (dy, dx) [µm]; by default that of
            the Fourier transform, :math:`\lambda |z|/(n N dx)`.
        shape: Number of output samples (ny, nx); by default the field's.
        y: Where the axis sample of the output lies, ``(...)`` [µm]; by default on the axis.
        x: Where the axis sample of the output lies, ``(...)`` [µm].

    Returns:
        The field at the output plane; its coordinates count from (y, x).

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If ``z`` is zero, a number is out of range or the shapes do not fit.

    Example:
        >>> from jaxwave.beams import gaussian_beam
        >>> beam = gaussian_beam((64, 64), spacing=1.0, wavelength=0.5, waist=8.0)
        >>> far = fraunhofer(beam, "20 mm")
        >>> round(float(far.spacing[0]), 2), round(float(far.power), 4)
        (156.25, 1.0)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 4.3, Eq. 4-25.
    """
    where = "fraunhofer"
    _check.is_field(where, field, Field)
    z = _check.length(where, "z", z)
    _check.nonzero(where, "z", z, unit="µm", fix="A plane's own far field does not exist.")
    _check.finite(where, "z", z, unit="µm")
    _check.positive(where, "n", n)
    field, (z, n) = with_parameters(where, field, z=z, n=n)
    _warn_not_far(where, field, z, n)
    view = window(where, field, spacing, shape, y, x)
    zero, one = jnp.zeros_like(z), jnp.ones_like(z)
    if view is not None:
        return apply(where, field, (zero, z, -1 / z, one), n, view)
    return single_transform(field, (zero, z, one), n)


def _warn_not_far(where: str, field: Field, z: Array, n: Array) -> None:
    if not _check.is_concrete(field.u, z, n):
        return
    reach = sampling.lit_half_widths(field)
    if reach is None:
        return
    square = np.maximum(*reach) ** 2
    turns = float(np.max(square * np.asarray(n / (2 * field.wavelength * jnp.abs(z)))))
    if turns > 0.25:
        _check.warn(
            where,
            f"the light is {turns:.2g} turns from its far field. Use a distance of at least "
            f"{float(np.max(np.abs(np.asarray(z)))) * 4 * turns:.3g} µm, or fresnel.",
        )


@jax.jit
def single_transform(
    field: AnyField, abd: tuple[Array, Array, Array], n: Array, inverse: Array | bool = False
) -> AnyField:
    """Collins' integral on the grid of the Fourier transform: unitary, and undone exactly.

    ``abd`` and ``n`` have the field's batch axes; B is not zero. ``inverse`` undoes the system.
    """
    a, b, d = abd
    m = n / field.wavelength
    sign = jnp.sign(b)
    back = jnp.asarray(inverse)
    first, last = jnp.where(back, -d, a), jnp.where(back, -a, d)
    new = jnp.abs(b / m)[..., None] / field.extent
    u = field.u * _chirps(field, field.spacing, first * m / b)
    # A negative B (or the way back) takes the conjugate kernel: F* u = (F u*)*.
    turned = field.expand(jnp.where(back, -sign, sign)) < 0
    u = jnp.where(turned, jnp.conj(u), u)
    u = fourier.ft2(u)
    u = jnp.where(turned, jnp.conj(u), u)
    density = jnp.sqrt(jnp.prod(field.spacing / new, axis=-1))
    factor = cis(jnp.where(back, sign, -sign) / 4) * density
    u = u * factor.reshape(field.expand(density).shape) * _chirps(field, new, last * m / b)
    return field.replace(u=u.astype(field.dtype), spacing=new)


def _chirps(field: Field, spacing: Array, rate: Array) -> Array:
    """Phase of a parabola over the field's samples, shaped like ``u``."""

    def axis(count: int, step: Array) -> Array:
        one = numerics.vectorize(partial(chirp_turns, count), rate.shape)
        return cis(one(rate, step, jnp.zeros_like(step)))

    ny, nx = field.shape
    rows, columns = axis(ny, spacing[..., 0]), axis(nx, spacing[..., 1])
    return field.on_grid(rows[..., :, None] * columns[..., None, :])
