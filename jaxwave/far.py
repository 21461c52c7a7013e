"""Propagation over every distance: Rayleigh-Sommerfeld, the scalable angular spectrum, a choice."""

from __future__ import annotations

import logging
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, collins, numerics, propagation
from jaxwave.collins import Window
from jaxwave.field import AnyField, Field, with_parameters
from jaxwave.numerics import TwoWord, cis, fast_len, word

_Log = logging.getLogger("jaxwave")


# -- Rayleigh-Sommerfeld -------------------------------------------------------------------


def rayleigh_sommerfeld(
    field: AnyField,
    z: ArrayLike | str,
    *,
    n: ArrayLike = 1.0,
    spacing: ArrayLike | str | None = None,
    shape: tuple[int, int] | None = None,
    y: ArrayLike | str | None = None,
    x: ArrayLike | str | None = None,
) -> AnyField:
    r"""Propagates a field by the first Rayleigh-Sommerfeld integral, over every distance.

    .. math:: u'(x', y') = \iint u(x, y)\,\frac{z}{2\pi r^2}\Bigl(\frac1r - ik\Bigr)
        e^{ik(r - z)}\,dx\,dy, \qquad r^2 = (x' - x)^2 + (y' - y)^2 + z^2,
        \quad k = \frac{2\pi n}{\lambda}

    Exact for homogeneous media; the carrier is left out. The integral is a convolution by
    Fourier transforms of :math:`N + M` samples. Where the samples resolve the kernel it is
    summed as it stands (no light is removed at any distance); where they do not, the waves are
    all resolved by the transfer function of :func:`~jaxwave.propagation.angular_spectrum`, which
    is used instead. So there is neither a least nor a largest distance. With ``spacing`` the
    integral is summed directly, at the cost of every pair of samples: for small windows, and for
    distances that resolve the kernel.

    Args:
        field: The field at the input plane, ``(..., y, x)`` or ``(..., 3, y, x)``.
        z: Distance to the output plane, ``(...)`` [µm], or text such as ``"1 mm"``; negative
            values propagate back.
        n: Refractive index of the medium, ``(...)``.
        spacing: Output spacing, one number or ``(..., 2)`` as (dy, dx) [µm]; by default the
            field's.
        shape: Number of output samples (ny, nx); by default the field's.
        y: Where the axis sample of the output lies, ``(...)`` [µm]; by default on the axis.
        x: Where the axis sample of the output lies, ``(...)`` [µm].

    Returns:
        The field at the output plane; its coordinates count from (y, x).

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If ``z`` is not finite, ``n`` is not positive or the shapes do not fit.

    Example:
        >>> from jaxwave.beams import gaussian_beam
        >>> beam = gaussian_beam((64, 64), spacing=1.0, wavelength=0.5, waist=8.0)
        >>> side = rayleigh_sommerfeld(beam, "5 mm", x=100.0)  # the beam's flank, 100 µm aside
        >>> side.shape
        (64, 64)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 3.5; by transforms: F. Shen and
        A. Wang, Appl. Opt. 45, 1102 (2006).
    """
    where = "rayleigh_sommerfeld"
    z = propagation.inputs(where, field, z, n)
    view = collins.window(where, field, spacing, shape, y, x)
    view = view or Window(field.shape, None, 0.0, 0.0)
    direct = view.spacing is not None
    field, (z, n), pair, place = collins.settle(where, field, view, z=z, n=n)
    if direct:
        _warn_kernel(where, field, z, n, pair, place, view.shape)
        return _direct(view.shape, field, z, n, pair, place)
    # On the axis the kernel is even: a quarter of it is made, and half of that transformed.
    aligned = (old // 2 == new // 2 for old, new in zip(field.shape, view.shape, strict=True))
    even = tuple(ok and at is None for ok, at in zip(aligned, (y, x), strict=True))
    return _convolve(view.shape, even, field, z, n, place)


def _plain_path(_: None, *numbers: Array) -> Array:
    z, m, y, x = numbers
    square = y[:, None] ** 2 + x**2
    return m * square / (jnp.sqrt(square + z**2) + jnp.abs(z))


def _kernel(z: Array, m: Array, y: TwoWord, x: TwoWord) -> Array:
    """Kernel of the integral at the displacements (y, x), without the carrier."""
    turns = _path_turns(None, z, m, y.hi + y.lo, x.hi + x.lo, y.lo, x.lo)
    y, x = (y.hi + y.lo)[:, None], x.hi + x.lo
    square = y**2 + x**2 + z**2
    near = 1 / jnp.where(square > 0, square, 1)
    wave = cis(turns)
    cos, sin = wave.real, wave.imag
    real, imaginary = jnp.sqrt(near), -numerics.TAU * m  # 1/r - ik, in real numbers: they are fast
    weight = jnp.abs(z) / numerics.TAU * near
    side = jnp.where(z < 0, -weight, weight)
    return lax.complex(
        weight * (real * cos - imaginary * sin), side * (real * sin + imaginary * cos)
    )


@numerics.two_words(lambda _, z, m, y, x, *low: _plain_path(None, z, m, y, x))
def _path_turns(_: None, *numbers: Array) -> Array:
    """Phase of r - z, in two words, (y, x)."""
    z, m, y, x, y_low, x_low = numbers
    height = word(z, z.dtype)
    rows = TwoWord(y - y_low, y_low)
    rows = numerics.add(numerics.multiply(height, height), numerics.multiply(rows, rows))
    rows = TwoWord(rows.hi[:, None], rows.lo[:, None])
    columns = TwoWord(x - x_low, x_low)
    columns = numerics.multiply(columns, columns)
    return numerics.root_turns(word(m, z.dtype), word(jnp.abs(z), z.dtype), rows, columns)[0]


def _shifts(index: np.ndarray, spacing: Array, at: Array) -> TwoWord:
    steps = word(index.astype(float), spacing.dtype)
    move = numerics.multiply(word(spacing, spacing.dtype), steps)
    return numerics.add(move, word(at, at.dtype))


def _kernel_is_resolved(
    spacing: Array, half: list[float], z: Array, m: Array, place: Array
) -> Array:
    """Whether all displacements within ``half`` samples are less steep than the samples hold."""
    sine = 0.5 / (spacing * m)
    free = sine >= 1
    tangent = sine / jnp.sqrt(jnp.where(free, 1, 1 - sine**2))
    reach = spacing * jnp.stack([jnp.asarray(h, spacing.dtype) for h in half]) + jnp.abs(place)
    near = jnp.abs(z) < 2 * jnp.max(spacing)
    return jnp.all(free | (reach <= jnp.abs(z) * tangent)) & ~near


def _half(count: int) -> int:
    """Samples of an even sequence of a period that differ."""
    return count // 2 + 1


def _unfold(half: Array, count: int, axis: int = -1) -> Array:
    """The period of an even sequence, in FFT order."""
    inner = lax.slice_in_dim(half, 1, count - count // 2, axis=axis % half.ndim)
    return jnp.concatenate([half, jnp.flip(inner, axis)], axis)


def _even_fft(u: Array, count: int, even: bool) -> Array:
    """Transform along the last axis; of an even sequence, half of it goes in and comes out."""
    return jnp.fft.fft(_unfold(u, count))[..., : _half(count)] if even else jnp.fft.fft(u)


@partial(jax.jit, static_argnums=(0, 1))
def _convolve(
    shape: tuple[int, int],
    even: tuple[bool, bool],
    field: AnyField,
    z: Array,
    n: Array,
    place: Array,
) -> AnyField:
    old = field.shape
    size = py, px = fast_len(old[0] + shape[0]), fast_len(old[1] + shape[1])
    start = [old[k] // 2 - shape[k] // 2 for k in (0, 1)]

    def displacements(k: int, spacing: Array, at: Array) -> TwoWord:
        index = np.arange(_half(size[k]) if even[k] else size[k])
        index = index if even[k] else np.where(index < shape[k], index, index - size[k]) + start[k]
        return _shifts(index, spacing, at)

    def one(u: Array, *numbers: Array) -> Array:
        z, wavelength, n, pair, at = numbers
        m = n / wavelength
        spectrum = jnp.fft.fft(jnp.swapaxes(jnp.fft.fft(u, px), -1, -2), py)

        def summed() -> Array:
            rows, columns = (displacements(k, pair[k], at[k]) for k in (0, 1))
            kernel = _kernel(z, m, rows, columns) * pair[0] * pair[1]
            kernel = jnp.swapaxes(_even_fft(kernel, px, even[1]), -1, -2)
            kernel = _even_fft(kernel, py, even[0])
            kernel = _unfold(kernel, py) if even[0] else kernel
            return _unfold(kernel, px, -2) if even[1] else kernel

        def waves() -> Array:
            ramps = [
                cis(propagation.shift_turns((size[k], start[k]), pair[k], at[k])) for k in (0, 1)
            ]
            transfer = propagation.exact_transfer(size, (z, wavelength, n, pair[0], pair[1]), at)
            return transfer * (ramps[1][:, None] * ramps[0])

        half = [(old[k] + shape[k]) / 2 for k in (0, 1)]
        resolved = _kernel_is_resolved(pair, half, z, m, at)
        spectrum = spectrum * lax.cond(resolved, summed, waves)
        u = jnp.swapaxes(jnp.fft.ifft(spectrum)[..., : shape[0]], -1, -2)
        return jnp.fft.ifft(u)[..., : shape[1]]

    arguments = (z, field.wavelength, n, field.spacing, place)
    u = numerics.map_batch(one, field.batch_shape, field.u, *arguments)
    return field.replace(u=u.astype(field.dtype))


@partial(jax.jit, static_argnums=0)
def _direct(
    shape: tuple[int, int], field: AnyField, z: Array, n: Array, spacing: Array, place: Array
) -> AnyField:
    """Every output sample is a sum over all input samples."""
    ny, nx = field.shape

    def one(u: Array, *numbers: Array) -> Array:
        z, m, old, new, at = numbers
        rows, columns = (collins.places(shape[k], new[k], at[k]) for k in (0, 1))
        sources = [
            numerics.negative(collins.places(count, old[k], jnp.zeros_like(z)))
            for k, count in enumerate((ny, nx))
        ]

        def sample(row: TwoWord, column: TwoWord) -> Array:
            y, x = numerics.add(sources[0], row), numerics.add(sources[1], column)
            return jnp.sum(u * _kernel(z, m, y, x), axis=(-2, -1)) * old[0] * old[1]

        def line(row: TwoWord) -> Array:
            return lax.map(lambda column: sample(row, column), columns)

        return jnp.moveaxis(lax.map(line, rows), (0, 1), (-2, -1))

    m = n / field.wavelength
    u = numerics.map_batch(one, field.batch_shape, field.u, z, m, field.spacing, spacing, place)
    return field.replace(u=u.astype(field.dtype), spacing=spacing)


def _warn_kernel(
    where: str,
    field: AnyField,
    z: Array,
    n: Array,
    new: Array,
    place: Array,
    shape: tuple[int, int],
) -> None:
    """Warns of a direct sum whose kernel turns too fast for the samples."""
    if not _check.is_concrete(field.spacing, field.wavelength, z, n, new, place):
        return
    pair, far = np.asarray(field.spacing, float), np.asarray(field.extent, float) / 2
    far = far + np.asarray(new, float) * np.asarray(shape) / 2 + np.abs(np.asarray(place))
    tall = np.abs(np.asarray(z, float))[..., None]
    m = np.asarray(n / field.wavelength, float)[..., None]
    steep = m * far / np.hypot(far, tall)
    if np.any(2 * steep * pair > 1.01) or np.any(tall < 2 * pair):
        _check.warn(
            where,
            "the samples do not resolve the kernel at this distance, so the direct sum is wrong. "
            "Leave out `spacing`, or use angular_spectrum, which has the same window.",
        )


# -- the scalable angular spectrum ---------------------------------------------------------


def scalable_angular_spectrum(
    field: AnyField,
    z: ArrayLike | str,
    *,
    n: ArrayLike = 1.0,
    spacing: ArrayLike | str | None = None,
    shape: tuple[int, int] | None = None,
    y: ArrayLike | str | None = None,
    x: ArrayLike | str | None = None,
) -> AnyField:
    r"""Propagates a field over long distances to a window of any size.

    .. math:: u' = \mathrm{Fresnel}_z\left\{\mathcal F^{-1}\,
        e^{i 2\pi z (w - n/\lambda + \lambda (f_x^2 + f_y^2)/(2n))}\,\mathcal F u\right\},
        \qquad w = \sqrt{(n/\lambda)^2 - f_x^2 - f_y^2}

    Exact, not paraxial, for the waves whose departure from the paraxial wave,
    :math:`z (\tan\theta - \sin\theta)`, is less than half the input's window: at the
    Fourier-limited spacing a distance longer by :math:`2/\sin^2\theta` than that of the angular
    spectrum. Steeper waves and evanescent ones are removed. The carrier is left out.

    Args:
        field: The field at the input plane, ``(..., y, x)`` or ``(..., 3, y, x)``.
        z: Distance to the output plane, ``(...)`` [µm]; negative values propagate back.
        n: Refractive index of the medium, ``(...)``.
        spacing: Output spacing, one number or ``(..., 2)`` as (dy, dx) [µm]; by default the
            larger one of the field's and of a Fourier transform, :math:`\lambda |z|/(n N dx)`.
        shape: Number of output samples (ny, nx); by default the field's.
        y: Where the axis sample of the output lies, ``(...)`` [µm]; by default on the axis.
        x: Where the axis sample of the output lies, ``(...)`` [µm].

    Returns:
        The field at the output plane; its coordinates count from (y, x).

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If ``z`` is not finite, ``n`` is not positive or the shapes do not fit.

    Example:
        >>> from jaxwave.beams import gaussian_beam
        >>> beam = gaussian_beam((64, 64), spacing=0.5, wavelength=0.5, waist=2.0)
        >>> far = scalable_angular_spectrum(beam, "1 mm")
        >>> round(float(far.spacing[0]), 3), round(float(far.power), 3)
        (15.625, 1.0)

    References:
        R. Heintzmann, L. Loetgering and F. Wechsler, "Scalable angular spectrum propagation",
        Optica 10, 1407 (2023), Eq. 10.
    """
    where = "scalable_angular_spectrum"
    z = propagation.inputs(where, field, z, n)
    view = collins.window(where, field, spacing, shape, y, x)
    view = view or Window(field.shape, None, 0.0, 0.0)
    field, (z, n) = with_parameters(where, field, z=z, n=n)
    if view.spacing is None:
        scale = (jnp.abs(z) * field.wavelength / n)[..., None]
        view = view._replace(spacing=jnp.maximum(field.spacing, scale / field.extent))
    return collins.apply(where, _compensate(field, z, n), (1.0, z, 0.0, 1.0), n, view)


@jax.jit
def _compensate(field: AnyField, z: Array, n: Array) -> AnyField:
    """The field that a paraxial propagation turns into the exact one; twice the window."""
    ny, nx = field.shape
    size = py, px = fast_len(2 * ny), fast_len(2 * nx)

    def one(u: Array, z: Array, wavelength: Array, n: Array, pair: Array) -> Array:
        spectrum = jnp.fft.fft(jnp.swapaxes(jnp.fft.fft(u, px), -1, -2), py)
        numbers = (z, wavelength, n, pair[0], pair[1])
        exact = propagation.exact_turns(size, *numbers)
        rows, columns = (
            propagation.quadratic_turns(size[k], z, wavelength, n, pair[k]) for k in (0, 1)
        )
        fy, fx = (np.fft.fftfreq(s).astype(z.dtype) / d for s, d in zip(size, pair, strict=True))
        fx, m = fx[:, None], n / wavelength
        square = m**2 - fx**2 - fy**2
        travels = square > 0
        w = jnp.sqrt(jnp.where(travels, square, m**2))
        stretch = jnp.abs(z) * (m - w) / (w * m)  # tan - sin per frequency
        kept = travels & (stretch * jnp.abs(fx) <= 0.5 * nx * pair[1])
        kept = kept & (stretch * jnp.abs(fy) <= 0.5 * ny * pair[0])
        turns = jnp.where(travels, exact - columns[:, None] - rows, 0)
        u = jnp.swapaxes(jnp.fft.ifft(spectrum * jnp.where(kept, 1, 0) * cis(turns)), -1, -2)
        return jnp.roll(jnp.fft.ifft(u), (py // 2 - ny // 2, px // 2 - nx // 2), (-2, -1))

    arguments = (z, field.wavelength, n, field.spacing)
    u = numerics.map_batch(one, field.batch_shape, field.u, *arguments)
    return field.replace(u=u.astype(field.dtype))


# -- a choice ------------------------------------------------------------------------------


class Choice(NamedTuple):
    """A propagator by its name, and why it was chosen."""

    name: str
    reason: str


def choose_propagator(
    field: AnyField,
    z: ArrayLike | str,
    *,
    n: ArrayLike = 1.0,
    spacing: ArrayLike | str | None = None,
    shape: tuple[int, int] | None = None,
) -> Choice:
    r"""Tells which propagator :func:`propagate` takes, and why.

    .. math:: |z| \le \frac{n N \Delta x^2}{\lambda}

    is near: there the doubled window holds all light that the samples can send. The choice is
    made from what is known when the program is traced. Valid for all propagators.

    Args:
        field: The field at the input plane, ``(..., y, x)`` or ``(..., 3, y, x)``.
        z: Distance to the output plane, ``(...)`` [µm].
        n: Refractive index of the medium, ``(...)``.
        spacing: Output spacing, one number or ``(..., 2)`` [µm]; None for the field's.
        shape: Number of output samples (ny, nx); None for the field's.

    Returns:
        The name of a function of ``jaxwave`` and a reason in words.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If ``z`` is not finite or ``n`` is not positive.

    Example:
        >>> from jaxwave.beams import gaussian_beam
        >>> beam = gaussian_beam((64, 64), spacing=0.5, wavelength=0.5, waist=2.0)
        >>> choose_propagator(beam, 20.0).name, choose_propagator(beam, 2000.0).name
        ('angular_spectrum', 'rayleigh_sommerfeld')

    References:
        D. Voelz, *Computational Fourier Optics*, Sec. 5.2 (critical sampling).
    """
    z = propagation.inputs("propagate", field, z, n)
    view = collins.window("propagate", field, spacing, shape, None, None)
    zoomed = view is not None and view.spacing is not None
    if not _check.is_concrete(field.spacing, field.wavelength, z, n, spacing):
        if zoomed:
            return Choice("scalable_angular_spectrum", "numbers are traced, and it has any window")
        return Choice("rayleigh_sommerfeld", "numbers are traced, and it holds for every distance")
    old = np.asarray(field.spacing, float)
    m = np.asarray(n, float) / np.asarray(field.wavelength, float)
    limit = float(np.min(np.asarray(m)[..., None] * old**2 * field.shape))
    far = float(np.max(np.abs(np.asarray(z, float)), initial=0.0))
    text = f"|z| = {far:.4g} µm is {{}} n N dx^2 / lambda = {limit:.4g} µm"
    if not zoomed:
        if far <= limit:
            return Choice("angular_spectrum", text.format("within"))
        return Choice("rayleigh_sommerfeld", text.format("beyond"))
    assert view is not None
    reach = propagation.window_reach(field.shape, view.shape)
    wide = np.any(np.asarray(view.spacing) * view.shape > old * np.asarray(reach))
    if far <= limit and not wide:
        return Choice("angular_spectrum", text.format("within") + ", and the window is not wide")
    reason = text.format("within") + ", but the window is wide"
    return Choice("scalable_angular_spectrum", reason if far <= limit else text.format("beyond"))


def propagate(
    field: AnyField,
    z: ArrayLike | str,
    *,
    n: ArrayLike = 1.0,
    spacing: ArrayLike | str | None = None,
    shape: tuple[int, int] | None = None,
    y: ArrayLike | str | None = None,
    x: ArrayLike | str | None = None,
) -> AnyField:
    r"""Propagates a field by the exact propagator that fits its sampling.

    .. math:: u_z = \mathcal F^{-1}\,e^{i 2\pi z (w - n/\lambda)}\,\mathcal F u

    by angular spectrum, Rayleigh-Sommerfeld integral or scalable angular spectrum: exact, not
    paraxial; the carrier is left out. :func:`choose_propagator` tells which one and why, and so
    does the log ``jaxwave`` at the level INFO. The choice depends on shapes and known numbers,
    never on traced ones.

    Args:
        field: The field at the input plane, ``(..., y, x)`` or ``(..., 3, y, x)``.
        z: Distance to the output plane, ``(...)`` [µm], or text such as ``"1 mm"``; negative
            values propagate back.
        n: Refractive index of the medium, ``(...)``.
        spacing: Output spacing, one number or ``(..., 2)`` as (dy, dx) [µm]; by default the
            field's.
        shape: Number of output samples (ny, nx); by default the field's.
        y: Where the axis sample of the output lies, ``(...)`` [µm]; by default on the axis.
        x: Where the axis sample of the output lies, ``(...)`` [µm].

    Returns:
        The field at the output plane; its coordinates count from (y, x).

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If ``z`` is not finite, ``n`` is not positive or the shapes do not fit.

    Example:
        >>> from jaxwave.beams import gaussian_beam
        >>> beam = gaussian_beam((64, 64), spacing=0.5, wavelength=0.5, waist=2.0)
        >>> propagate(beam, "2 mm", spacing=10.0)
        Field((64, 64) complex64, spacing=10 µm, wavelength=0.5 µm)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 3.10.
    """
    _check.is_field("propagate", field, Field)
    collins.window("propagate", field, None, None, y, x)
    choice = choose_propagator(field, z, n=n, spacing=spacing, shape=shape)
    _Log.info("propagate: %s, because %s", choice.name, choice.reason)
    functions = {
        "angular_spectrum": propagation.angular_spectrum,
        "rayleigh_sommerfeld": rayleigh_sommerfeld,
        "scalable_angular_spectrum": scalable_angular_spectrum,
    }
    return functions[choice.name](field, z, n=n, spacing=spacing, shape=shape, y=y, x=x)
