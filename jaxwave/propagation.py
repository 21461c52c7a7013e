"""Propagation through homogeneous media, from plane to parallel plane.

Every propagator leaves out the carrier exp(2 pi i n z / lambda), which float32 cannot hold over
centimeters; :func:`carrier` puts it back modulo one turn. All agree in absolute phase, and a
negative distance propagates back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, collins, fourier, free_space, numerics, sampling
from jaxwave.collins import Window
from jaxwave.field import AnyField, Field, with_parameters
from jaxwave.free_space import Shares, axis, exact_turns, quadratic_turns
from jaxwave.numerics import TwoWord, cis, fast_len, word

_Parameters = tuple[Array, Array, Array, Array, Array]  # z, wavelength, n, dy, dx (no batch axes)
BOUNDARIES = ("zero", "periodic")
_Apply = Callable[[tuple[int, int], Array, Any], Array]


def angular_spectrum(
    field: AnyField,
    z: ArrayLike | str,
    *,
    n: ArrayLike = 1.0,
    spacing: ArrayLike | str | None = None,
    shape: tuple[int, int] | None = None,
    y: ArrayLike | str | None = None,
    x: ArrayLike | str | None = None,
    boundary: str = "zero",
) -> AnyField:
    r"""Propagates a field by the angular spectrum of plane waves.

    .. math::
        U_z(f_x, f_y) = U_0(f_x, f_y)\,\exp\!\bigl[i 2\pi z\,(w - n/\lambda)\bigr],
        \qquad w = \sqrt{(n/\lambda)^2 - f_x^2 - f_y^2}

    Exact for homogeneous media (for every Cartesian component of a vector field). The carrier
    :math:`\exp(i 2\pi n z/\lambda)` is left out. Evanescent waves decay with \|z\| in both
    directions, so backward propagation never gains power. The field is padded with darkness to
    twice its size, and the kernel of free space ends with that window: what samples send to samples
    is complete at any distance. (Nearer than 1.5 widths of the field a sharp band limit
    :math:`2\Delta f_x |z f_x| \le w` takes the place of the ends, which costs a few percent of the
    light that crosses the window from edge to edge.) With ``spacing``, ``shape`` or a place (y, x)
    the field is evaluated in that window, for the light that reaches it: the period is as wide
    as both windows, :math:`(N + M)\Delta x`, or :math:`(2N + 2M)\Delta x` for samples coarser
    than the field's, and the kernel ends on both sides of the window. A window shows at
    most :math:`(N + 2M)\Delta x`; farther out it is dark, and a warning tells
    (:func:`~jaxwave.far.scalable_angular_spectrum` has room for wide windows). With
    ``boundary="periodic"`` the window is one period of an endless field (a grating, Talbot images):
    nothing is padded or cut, any distance is exact, and it takes about a quarter of the time and
    memory; what leaves the window enters on its other side. A warning also
    tells when the window lets hardly any wave through; to see how much light is lost compare
    ``field.power`` before and after, or ask :func:`~jaxwave.sampling.propagation_sampling` first.

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
        boundary: What lies beyond the field: darkness (``"zero"``) or the field again
            (``"periodic"``, for the field's own window only).

    Returns:
        The field at the output plane; its coordinates count from (y, x).

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If ``z`` is not finite, ``n`` is not positive, the shapes do not fit, or the
            boundary is unknown or has no such window.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((64, 64), spacing=0.5, wavelength=0.532)
        >>> angular_spectrum(field, 100.0, n=1.33)
        Field((64, 64) complex64, spacing=0.5 µm, wavelength=0.532 µm)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 3.10; band limit nearby: K. Matsushima
        and T. Shimobaba, Opt. Express 17, 19662 (2009), Eq. 13, with the medium's wavelength.
    """
    where = "angular_spectrum"
    z = inputs(where, field, z, n)
    _check.choice(where, "boundary", boundary, BOUNDARIES)
    view = collins.window(where, field, spacing, shape, y, x)
    if boundary == "periodic":
        if view is not None:
            raise ValueError(
                f"{where}: a periodic field is seen in its own window; leave out `spacing`, "
                "`shape`, `y` and `x`, or `boundary`."
            )
        return _propagate(where, field, z, n, _apply_periodic)
    if view is not None:
        return _to_window(where, field, z, n, view)
    return _propagate(where, field, z, n, _apply_exact)


def fresnel(
    field: AnyField,
    z: ArrayLike | str,
    *,
    n: ArrayLike = 1.0,
    spacing: ArrayLike | str | None = None,
    shape: tuple[int, int] | None = None,
    y: ArrayLike | str | None = None,
    x: ArrayLike | str | None = None,
) -> AnyField:
    r"""Propagates a field in the paraxial (Fresnel) approximation.

    .. math::
        U_z(f_x, f_y) = U_0(f_x, f_y)\,\exp\!\bigl[-i \pi z (\lambda/n)(f_x^2 + f_y^2)\bigr]

    Neglects :math:`z \lambda^3 f^4 / (4 n^3)` turns and higher terms, so it is valid while
    :math:`z\,\theta^4 n/(8\lambda) \ll 1` for the steepest angle :math:`\theta`. The carrier is
    left out; the padding is that of :func:`angular_spectrum`, and the kernel ends with it at any
    distance. With ``spacing``, ``shape`` or a place (y, x) the field is evaluated in that window,
    by Fourier space near the plane and by a single transform far from it, both exact
    (:func:`~jaxwave.collins.ray_transfer`); nothing is removed then.

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
        >>> beam = gaussian_beam((128, 128), spacing=1.0, wavelength=0.5, waist=10.0)
        >>> round(float(fresnel(beam, 500.0).power), 4)
        1.0

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 4.2, Eq. 4-20.
    """
    where = "fresnel"
    z = inputs(where, field, z, n)
    view = collins.window(where, field, spacing, shape, y, x)
    if view is None:
        return _propagate(where, field, z, n, _apply_paraxial)
    view = view._replace(spacing=field.spacing) if view.spacing is None else view
    return collins.apply(where, field, (1.0, z, 0.0, 1.0), n, view)


def carrier(field: AnyField, z: ArrayLike | str, *, n: ArrayLike = 1.0) -> AnyField:
    r"""Applies the phase of an axial plane wave, which the propagators leave out.

    .. math:: u' = u\,\exp(i 2\pi n z/\lambda)

    Exact; the phase is reduced modulo one turn in two words, so it is right to 1e-6 of a turn
    over meters even in float32 (for the float32 values of the arguments). Needed only where
    paths of different length interfere.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        z: Distance traveled, ``(...)`` [µm].
        n: Refractive index of the medium, ``(...)``.

    Returns:
        The field with its phase advanced, on the same grid.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If ``z`` is not finite, ``n`` is not positive or the shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((4, 4), spacing=0.5, wavelength=0.5)
        >>> round(float(carrier(field, 0.125).phase[0, 0]), 4)
        1.5708

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 4.2.1.
    """
    z = inputs("carrier", field, z, n)
    return _carry(field, *(numerics.number(a, field.real_dtype) for a in (z, n)))


@numerics.program()
def _carry(field: AnyField, z: Array, n: Array) -> AnyField:
    field, (z, n) = with_parameters("carrier", field, z=z, n=n)
    turns = _carrier_turns(None, z, field.wavelength, n)
    return field.replace(u=field.u * cis(field.expand(turns)))


# -- the plan common to all transfer functions ---------------------------------------------


def inputs(where: str, field: Field, z: ArrayLike | str, n: ArrayLike) -> ArrayLike:
    """Checks what all propagators share and returns the distance as a number."""
    _check.is_field(where, field, Field)
    z = _check.length(where, "z", z)
    _check.finite(where, "z", z, unit="µm")
    _check.positive(where, "n", n)
    return z


def _propagate(where: str, field: AnyField, z: ArrayLike, n: ArrayLike, apply: _Apply) -> AnyField:
    batch = _check.broadcast(where, field=field.batch_shape, z=np.shape(z), n=np.shape(n))
    if apply is not _apply_periodic:
        sampling.warn_propagation(where, field, z, n)
    dtype = field.real_dtype
    return _filter(apply, batch, field, numerics.number(z, dtype), numerics.number(n, dtype))


@numerics.program("apply", "batch")
def _filter(apply: _Apply, batch: tuple[int, ...], field: AnyField, z: Array, n: Array) -> AnyField:
    ny, nx = size = field.shape
    periodic = apply is _apply_periodic
    if not periodic:
        size = fast_len(2 * ny), fast_len(2 * nx)
    spectrum = jnp.fft.fft2(field.u) if periodic else _padded_spectrum(field.u, size)

    def step(spectrum: Array, *parameters: Array) -> Array:
        u = apply(size, spectrum, parameters)
        if periodic:
            return jnp.fft.ifft2(u)
        return jnp.fft.ifft(jnp.swapaxes(jnp.fft.ifft(u)[..., :ny], -1, -2))[..., :nx]

    dy, dx = field.spacing[..., 0], field.spacing[..., 1]
    parameters = [jnp.broadcast_to(p, batch) for p in (z, field.wavelength, n, dy, dx)]
    if apply is _apply_paraxial:
        factors = partial(_paraxial_factors, size)
        parameters = list(numerics.vectorize(factors, batch)(*parameters))
    if field.batch_shape:
        spectrum = jnp.broadcast_to(spectrum, batch + spectrum.shape[len(field.batch_shape) :])
        u = numerics.map_batch(step, batch, spectrum, *parameters)
    else:  # one field, many distances: the forward transform is shared
        u = numerics.map_batch(lambda *p: step(spectrum, *p), batch, *parameters)
    return field.replace(
        u=u.astype(field.dtype),
        spacing=jnp.broadcast_to(field.spacing, (*batch, 2)),
        wavelength=jnp.broadcast_to(field.wavelength, batch),
    )


def _padded_spectrum(u: Array, size: tuple[int, int]) -> Array:
    """Row transforms of the rows that are not zero, transpose, column transforms: axes (fx, fy)."""
    return jnp.fft.fft(jnp.swapaxes(jnp.fft.fft(u, size[1]), -1, -2), size[0])


# -- a window -------------------------------------------------------------------------------


def _to_window(where: str, field: AnyField, z: ArrayLike, n: ArrayLike, view: Window) -> AnyField:
    zoomed = view.spacing is not None
    field, (z, n), pair, place = collins.settle(where, field, view, z=z, n=n)
    reach = field.spacing * np.asarray(window_reach(field.shape, view.shape), field.real_dtype)
    fix = "scalable_angular_spectrum, which reaches farther"
    what = "the propagator's reach"
    sampling.warn_window(where, what, view.shape, pair, (reach[..., 0], reach[..., 1]), fix)
    fine = None if zoomed else True
    if zoomed and _check.is_concrete(pair, field.spacing):
        fine = bool(_is_fine(np, pair, field.spacing, view.shape))
    return _window_filter(view.shape, zoomed, fine, field, z, n, pair, place)


def _is_fine(xp: ModuleType, new: Array, old: Array, shape: tuple[int, int]) -> Array:
    """Whether a window lies within as many samples of the input as it has of its own."""
    return xp.all(xp.asarray(new) <= xp.asarray(old) * (1 + 1e-3 / max(shape)))


def window_reach(shape: tuple[int, int], new: tuple[int, int]) -> tuple[int, int]:
    """The widest window that is computed, in samples of the input."""
    return shape[0] + 2 * new[0], shape[1] + 2 * new[1]


@partial(jax.jit, static_argnums=(0, 1, 2))
def _window_filter(
    shape: tuple[int, int],
    zoomed: bool,
    fine: bool | None,
    field: AnyField,
    z: Array,
    n: Array,
    spacing: Array,
    place: Array,
) -> AnyField:
    """Spectrum, transfer function of the waves that reach the window, and the window's samples.

    A period of N + R samples shows no light twice in a window as wide as R samples of the input. A
    window coarser than the input needs more of them; how many is the same whatever its spacing, so
    that another one compiles nothing. ``fine`` tells which, None where the spacing is traced.
    """
    wide = window_reach(field.shape, shape)

    def back(
        u: Array, size: tuple[int, int], axis: int, old: Array, new: Array, at: Array
    ) -> Array:
        """Inverse transform along the axis -2 to the samples of the window."""
        count, total, start = shape[axis], size[axis], field.shape[axis] // 2
        if not zoomed:
            turns = shift_turns((total, start - count // 2), old, at)
            return jnp.fft.ifft(u * cis(turns)[:, None], axis=-2)[..., :count, :]
        u = u * cis(shift_turns((total, start), old, at))[:, None]
        held = 0.5 * (total - field.shape[axis]) * old
        far = np.arange(count // 2 + 1).astype(new.dtype) * new > held
        turns = _zoom_turns((total, count), old, new)
        return fourier.zoomed_sum(u, turns, jnp.where(far, 0, 1 / total), count)

    def reaching(reach: tuple[int, int], u: Array, *numbers: Array) -> Array:
        z, wavelength, n, old, new, at = numbers
        py, px = (fast_len(a + b) for a, b in zip(field.shape, reach, strict=True))
        size = py, px
        spectrum = jnp.fft.fft(jnp.swapaxes(jnp.fft.fft(u, px), -1, -2), py)
        parameters = (z, wavelength, n, old[0], old[1])
        u = _apply_exact(size, spectrum, parameters, place=at)
        u = jnp.swapaxes(back(u, size, 1, old[1], new[1], at[1]), -1, -2)
        return back(u, size, 0, old[0], new[0], at[0])

    def one(u: Array, *numbers: Array) -> Array:
        ways = partial(reaching, shape), partial(reaching, wide)
        if fine is not None:
            return ways[0 if fine else 1](u, *numbers)
        return lax.cond(_is_fine(jnp, numbers[4], numbers[3], shape), *ways, u, *numbers)

    arguments = (z, field.wavelength, n, field.spacing, spacing, place)
    u = numerics.map_batch(one, field.batch_shape, field.u, *arguments)
    return field.replace(u=u.astype(field.dtype), spacing=spacing)


def _plain_shift(static: tuple[int, int], *parameters: Array) -> Array:
    spacing, at = parameters
    size, start = static
    k = np.fft.fftfreq(size, 1 / size).astype(spacing.dtype)
    return k * ((start + at / spacing) / size)


@numerics.two_words(_plain_shift)
def shift_turns(static: tuple[int, int], *parameters: Array) -> Array:
    """Phase of every frequency that moves a window to its place."""
    spacing, at = parameters
    size, start = static
    dtype = spacing.dtype
    steps = numerics.divide(word(at, dtype), word(spacing, dtype))
    steps = numerics.add(steps, word(float(start), dtype))
    k = np.fft.fftfreq(size, 1 / size)
    return numerics.product_turns(numerics.divide(steps, word(float(size), dtype)), word(k, dtype))


def _plain_zoom(static: tuple[int, int], *parameters: Array) -> Array:
    old, new = parameters
    size, count = static
    k, j = (np.arange(c // 2 + 1).astype(old.dtype) for c in (size, count))
    return (j[:, None] * (new / old / size)) * k


@numerics.two_words(_plain_zoom)
def _zoom_turns(static: tuple[int, int], *parameters: Array) -> Array:
    """Phase of a frequency at a sample of the window, from none up, (samples, frequencies)."""
    old, new = parameters
    size, count = static
    dtype = old.dtype
    k, j = (word(np.arange(c // 2 + 1).astype(float), dtype) for c in (size, count))
    period = numerics.multiply(word(old, dtype), word(float(size), dtype))
    place = numerics.multiply(numerics.divide(word(new, dtype), period), j)
    return numerics.product_turns(TwoWord(place.hi[:, None], place.lo[:, None]), k)


# -- the exact transfer function -----------------------------------------------------------


def _apply_exact(
    size: tuple[int, int],
    spectrum: Array,
    parameters: _Parameters,
    seen: Shares | None = None,
    place: Array | None = None,
) -> Array:
    """Multiplies a spectrum in FFT order, axes (fx, fy), by the exact transfer function.

    A grid too coarse for evanescent waves skips them, which saves a fifth of a gradient. What
    comes out of a branch is made once; the compiler would make a product again for each use.
    """
    _, wavelength, n, dy, dx = parameters
    all_travel = 0.25 / dy**2 + 0.25 / dx**2 < (n / wavelength) ** 2
    return lax.cond(
        all_travel,
        lambda s, p, seen: s * _traveling_transfer(size, p, seen, place),
        lambda s, p, seen: s * exact_transfer(size, p, place, seen),
        spectrum,
        parameters,
        free_space.shares(size, parameters, place) if seen is None else seen,
    )


def _apply_periodic(size: tuple[int, int], spectrum: Array, parameters: _Parameters) -> Array:
    """The same for one period, whose kernel has no ends, axes (fy, fx): x and y are exchanged."""
    z, wavelength, n, dy, dx = parameters
    all_of_it = jnp.ones(1, dy.dtype)
    everything = Shares(jnp.array(True), all_of_it, all_of_it)
    return _apply_exact(size[::-1], spectrum, (z, wavelength, n, dx, dy), everything)


def _traveling_transfer(
    size: tuple[int, int], parameters: _Parameters, seen: Shares, place: Array | None
) -> Array:
    z, wavelength, n, dy, dx = parameters
    (fy, step_y), (fx, step_x) = axis(size[0], dy), axis(size[1], dx)
    fx = fx[:, None]
    square = (n / wavelength) ** 2
    if place is None:  # 2 step |z f| <= w, squared
        resolved_x = fx**2 * (1 + (2 * step_x * z) ** 2) <= square - fy**2
        resolved_y = fy**2 * (1 + (2 * step_y * z) ** 2) <= square - fx**2
    else:
        w = jnp.sqrt(square - fx**2 - fy**2)
        resolved_x = 2 * step_x * jnp.abs(z * fx - place[1] * w) <= w
        resolved_y = 2 * step_y * jnp.abs(z * fy - place[0] * w) <= w
    kept = jnp.where(seen.far | (resolved_x & resolved_y), 1, 0)
    return kept * seen.product() * cis(exact_turns(size, *parameters))


def exact_transfer(
    size: tuple[int, int],
    parameters: _Parameters,
    place: Array | None = None,
    seen: Shares | None = None,
) -> Array:
    """Transfer function in FFT order, transposed: axes (fx, fy).

    The window stands at ``place`` (y, x): light is kept that moves to less than half a period from
    there.
    """
    seen = free_space.shares(size, parameters, place) if seen is None else seen
    z, wavelength, n, dy, dx = parameters
    (fy, step_y), (fx, step_x) = axis(size[0], dy), axis(size[1], dx)
    fx = fx[:, None]
    m = n / wavelength
    c = (m - jnp.abs(fx)) * (m + jnp.abs(fx)) - fy**2
    travels = c >= 0
    grazes = c == 0  # no square root there: its derivative is infinite
    root = jnp.where(grazes, 0, jnp.sqrt(jnp.abs(jnp.where(grazes, 1, c))))
    y, x = (0, 0) if place is None else (place[0] * root, place[1] * root)
    limit_x, limit_y = 2 * step_x * jnp.abs(z * fx - x), 2 * step_y * jnp.abs(z * fy - y)
    resolved = seen.far | (limit_x <= root) & (limit_y <= root)
    decay = jnp.exp(-numerics.TAU * jnp.abs(z) * jnp.where(travels, 0, root))
    turns = jnp.where(travels, exact_turns(size, *parameters), 0)
    # An evanescent wave keeps the phase of the carrier that was taken out.
    turns = jnp.where(travels, turns, -_carrier_turns(None, z, wavelength, n))
    return jnp.where(resolved, decay, 0) * seen.product() * cis(turns)


# -- the paraxial transfer function --------------------------------------------------------


def _paraxial_factors(size: tuple[int, int], *parameters: Array) -> tuple[Array, Array]:
    """The transfer function is one vector for each axis, (fx) and (fy).

    They are made before the loop over distances, where the compiler would make them for every
    sample again.
    """
    z, wavelength, n, dy, dx = parameters

    def factors(count: int, spacing: Array) -> Array:
        seen = free_space.paraxial(count, z, wavelength, n, spacing)
        return seen * cis(quadratic_turns(count, z, wavelength, n, spacing))

    return factors(size[1], dx), factors(size[0], dy)


def _apply_paraxial(_: tuple[int, int], spectrum: Array, factors: tuple[Array, Array]) -> Array:
    return spectrum * (factors[0][:, None] * factors[1])


# -- the carrier ---------------------------------------------------------------------------


@numerics.with_plain_derivative(lambda _, z, wavelength, n: n * z / wavelength)
def _carrier_turns(_: None, z: Array, wavelength: Array, n: Array) -> Array:
    path = numerics.divide(word(n, z.dtype), word(wavelength, z.dtype))
    return numerics.product_turns(path, word(z, z.dtype))
