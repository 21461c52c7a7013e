"""Sources of light."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxwave import _check, grid, numerics, sampling
from jaxwave.edit import normalize
from jaxwave.field import Field, complex_dtype
from jaxwave.numerics import TwoWord, cis, word


def checked(
    where: str,
    shape: object,
    spacing: ArrayLike | str,
    wavelength: ArrayLike | str,
    dtype: DTypeLike | None,
    **parameters: object,
) -> tuple[tuple[int, int], Array, Array, *tuple[Array, ...]]:
    """Checks what all sources share: the shape, the spacing, the wavelength, the parameters."""
    shape = _check.grid_shape(where, shape)
    real = numerics.real_dtype(complex_dtype(where, dtype))
    wavelength = numerics.number(_check.wavelength(where, wavelength), real)
    pair = grid.checked_spacing(where, spacing, real)
    arrays = {k: _check.length(where, k, p) for k, p in parameters.items()}
    for name, array in arrays.items():
        _check.finite(where, name, array)
    values = {k: numerics.number(a, real) for k, a in arrays.items()}
    shapes = {k: a.shape for k, a in values.items()}
    _check.broadcast(where, spacing=pair.shape[:-1], wavelength=wavelength.shape, **shapes)
    return shape, pair, wavelength, *values.values()


def common(pair: Array, *parameters: Array) -> tuple[Array, ...]:
    """Broadcasts spacing, wavelength and parameters to the common batch axes."""
    batch = np.broadcast_shapes(pair.shape[:-1], *(p.shape for p in parameters))
    return jnp.broadcast_to(pair, (*batch, 2)), *(jnp.broadcast_to(p, batch) for p in parameters)


def _plain_ramp(count: int, *parameters: Array) -> Array:
    spacing, k = parameters
    return grid.indices(count).astype(spacing.dtype) * (spacing * k / numerics.TAU)


@numerics.two_words(_plain_ramp)
def ramp_turns(count: int, *parameters: Array) -> Array:
    """Phase k x along one axis, a hundred turns at the edge of a large grid."""
    dtype = parameters[0].dtype
    spacing, k = (word(p, dtype) for p in parameters)
    rate = numerics.multiply(numerics.multiply(spacing, k), word(1 / numerics.TAU, dtype))
    return numerics.product_turns(rate, word(grid.indices(count).astype(float), dtype))


def _ramps(count: int, *parameters: Array) -> Array:
    def one(*p: Array) -> Array:
        return cis(ramp_turns(count, *p))

    return numerics.vectorize(one, parameters[0].shape)(*parameters)


def plane_wave(
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    wavelength: ArrayLike | str,
    kx: ArrayLike = 0.0,
    ky: ArrayLike = 0.0,
    n: ArrayLike = 1.0,
    power: ArrayLike = 1.0,
    dtype: DTypeLike | None = None,
) -> Field:
    r"""Makes a plane wave, straight or tilted.

    .. math:: u(y, x) = A\,\exp[i (k_x x + k_y y)]

    Exact. A positive ``kx`` travels toward +x as z grows, and a lens focuses it at +x.

    Args:
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        wavelength: Vacuum wavelength, ``(...)`` [µm].
        kx: Transverse wave number along x, ``(...)`` [rad/µm].
        ky: Transverse wave number along y, ``(...)`` [rad/µm].
        n: Refractive index of the medium, ``(...)``: a wave steeper than light in it is told.
        power: Power in the window, ``(...)`` [power].
        dtype: complex64 or complex128; by default JAX's precision.

    Returns:
        The field.

    Raises:
        ValueError: If a number is out of range or the shapes do not fit.

    Example:
        >>> plane_wave((64, 64), spacing=0.5, wavelength="532 nm")
        Field((64, 64) complex64, spacing=0.5 µm, wavelength=0.532 µm)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 3.10.1.
    """
    _check.nonnegative("plane_wave", "power", power)
    _check.positive("plane_wave", "n", n)
    numbers = {"kx": kx, "ky": ky, "power": power}
    shape, pair, wave, *values = checked("plane_wave", shape, spacing, wavelength, dtype, **numbers)
    slope = (values[1], values[0])
    if _check.is_concrete(slope):
        turns = [np.asarray(k, np.float64) / numerics.TAU for k in slope]
        sampling.warn_frequency("plane_wave", "the wave", shape, pair, turns)
    sampling.warn_travel("plane_wave", slope, wave, n)
    return _plane_wave(shape, pair, wave, *values)


@numerics.program("shape")
def _plane_wave(shape: tuple[int, int], *parameters: Array) -> Field:
    pair, wavelength, kx, ky, power = common(*parameters)
    u_y = _ramps(shape[0], pair[..., 0], ky)[..., :, None]
    u_x = _ramps(shape[1], pair[..., 1], kx)[..., None, :]
    return normalize(Field(u_y * u_x, pair, wavelength), power=power)


# -- point sources -------------------------------------------------------------------------


def _distance(z: Array, y: Array, x: Array) -> Array:
    return jnp.sqrt(z**2 + y**2 + x**2)


def _plain_spherical(shape: tuple[int, int], *parameters: Array) -> Array:
    z, wavelength, n, dy, dx, y0, x0 = parameters
    y = grid.indices(shape[0])[:, None].astype(z.dtype) * dy - y0
    x = grid.indices(shape[1]).astype(z.dtype) * dx - x0
    square = y**2 + x**2
    path = square / (_distance(z, y, x) + jnp.abs(z))
    return n / wavelength * jnp.where(z < 0, -path, path)


def _square_word(count: int, spacing: Array, offset: Array) -> TwoWord:
    place = numerics.multiply(
        word(spacing, spacing.dtype), word(grid.indices(count).astype(float), spacing.dtype)
    )
    place = numerics.add(place, word(-offset, spacing.dtype))
    return numerics.multiply(place, place)


@numerics.two_words(_plain_spherical)
def _spherical_turns(shape: tuple[int, int], *parameters: Array) -> Array:
    z, wavelength, n, dy, dx, y0, x0 = parameters
    dtype = z.dtype
    m = numerics.divide(word(n, dtype), word(wavelength, dtype))
    square = word(z, dtype)
    y2 = numerics.add(numerics.multiply(square, square), _square_word(shape[0], dy, y0))
    y2 = TwoWord(y2.hi[:, None], y2.lo[:, None])
    base = word(jnp.abs(z), dtype)
    turns, _ = numerics.root_turns(m, base, y2, _square_word(shape[1], dx, x0))
    return jnp.where(z < 0, -turns, turns)


def _spherical_waves(shape: tuple[int, int], *parameters: Array) -> Array:
    def wave(z: Array, wavelength: Array, n: Array, pair: Array, y0: Array, x0: Array) -> Array:
        turns = _spherical_turns(shape, z, wavelength, n, pair[0], pair[1], y0, x0)
        y, x = grid.sample_coordinates(shape, pair)
        return cis(turns) / _distance(z, y - y0, x - x0)

    return numerics.map_batch(wave, parameters[0].shape, *parameters)


def _check_wave(where: str, shape: tuple[int, int], pair: Array, numbers: Sequence[Array]) -> None:
    """Warns, where the values are concrete, of a sphere too steep for the samples."""
    if not _check.is_concrete(pair, *numbers):
        return
    z, wavelength, n, *center = (np.asarray(a, np.float64) for a in numbers)
    half = np.asarray(pair, np.float64) * (np.asarray(shape) // 2)
    steep = []
    for k, c in enumerate(center):
        far = half[..., k] + np.abs(c)
        steep.append(n / wavelength * far / np.hypot(far, z))
    sampling.warn_frequency(where, "the sphere", shape, pair, steep)


def point_source(
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    wavelength: ArrayLike | str,
    z: ArrayLike | str,
    n: ArrayLike = 1.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    power: ArrayLike = 1.0,
    dtype: DTypeLike | None = None,
) -> Field:
    r"""Makes the spherical wave of a point source, exactly.

    .. math:: u = \sqrt{\frac{P}{4\pi}}\;\frac{\exp[\pm i 2\pi (n/\lambda)(r - |z|)]}{r},
        \qquad r = \sqrt{(x - x_0)^2 + (y - y_0)^2 + z^2}

    Exact, not paraxial; the carrier is left out. For negative ``z`` the wave converges toward a
    focus at the distance \|z\| behind the plane. At z = 0 the sample on the source is infinite.

    Args:
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        wavelength: Vacuum wavelength, ``(...)`` [µm].
        z: Distance from the source to the plane, ``(...)``, not zero [µm].
        n: Refractive index of the medium, ``(...)``.
        y: Position of the source, ``(...)`` [µm].
        x: Position of the source, ``(...)`` [µm].
        power: Power radiated into the full solid angle, ``(...)`` [power].
        dtype: complex64 or complex128; by default JAX's precision.

    Returns:
        The field.

    Raises:
        ValueError: If ``z`` is zero, a number is out of range or the shapes do not fit.

    Example:
        >>> wave = point_source((65, 65), spacing=0.1, wavelength=0.5, z=100.0)
        >>> round(float(wave.intensity[32, 32] * 4 * jnp.pi * 100.0**2), 5)
        1.0

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 3.5.
    """
    where = "point_source"
    z = _check.length(where, "z", z)
    if _check.is_concrete(z) and np.any(np.asarray(z) == 0):
        raise ValueError(
            f"{where}: `z` must not be zero, where the spherical wave is infinite, got {z} µm. "
            "Use objective_point_source for an emitter in the focus of an objective."
        )
    _check.positive(where, "n", n)
    _check.nonnegative(where, "power", power)
    numbers = {"z": z, "n": n, "y": y, "x": x, "power": power}
    shape, pair, wave, *values = checked(where, shape, spacing, wavelength, dtype, **numbers)
    _check_wave(where, shape, pair, (values[0], wave, *values[1:4]))
    return _point_source(shape, pair, wave, *values)


@numerics.program("shape")
def _point_source(shape: tuple[int, int], *parameters: Array) -> Field:
    pair, wavelength, z, n, y0, x0, power = common(*parameters)
    u = _spherical_waves(shape, z, wavelength, n, pair, y0, x0)
    amplitude = numerics.safe_sqrt(power / (4 * jnp.pi))[..., None, None]
    return Field(amplitude * u, pair, wavelength)


def _plain_defocus(shape: tuple[int, int], *parameters: Array) -> Array:
    z, wavelength, n, dy, dx, f = parameters
    sy = grid.indices(shape[0])[:, None].astype(z.dtype) * (dy / (n * f))
    sx = grid.indices(shape[1]).astype(z.dtype) * (dx / (n * f))
    square = sy**2 + sx**2
    cosine = jnp.sqrt(jnp.where(square < 1, 1 - square, 1))
    return z * n / wavelength * square / (1 + cosine)


@numerics.two_words(_plain_defocus)
def _defocus_turns(shape: tuple[int, int], *parameters: Array) -> Array:
    """Phase -z (n/lambda) (cos(theta) - 1) over the back focal plane."""
    z, wavelength, n, dy, dx, f = parameters
    dtype = z.dtype
    one = word(1.0, dtype)
    radius = numerics.multiply(word(n, dtype), word(f, dtype))

    def square(count: int, spacing: Array) -> TwoWord:
        step = numerics.divide(word(spacing, dtype), radius)
        place = numerics.multiply(step, word(grid.indices(count).astype(float), dtype))
        return numerics.negative(numerics.multiply(place, place))

    rest = numerics.add(one, square(shape[0], dy))
    rest = TwoWord(rest.hi[:, None], rest.lo[:, None])
    path = numerics.multiply(
        word(-z, dtype), numerics.divide(word(n, dtype), word(wavelength, dtype))
    )
    return numerics.root_turns(path, one, rest, square(shape[1], dx))[0]


def _objective_waves(shape: tuple[int, int], *parameters: Array) -> Array:
    def wave(
        z: Array,
        wavelength: Array,
        n: Array,
        pair: Array,
        y0: Array,
        x0: Array,
        f: Array,
        na: Array,
    ):  # type: ignore[no-untyped-def]
        hy, hx = grid.sample_coordinates(shape, pair)
        square = ((hy / f) ** 2 + (hx / f) ** 2) / n**2
        inside = square < 1
        cosine = jnp.sqrt(jnp.where(inside, 1 - square, 1))
        defocus = _defocus_turns(shape, z, wavelength, n, pair[0], pair[1], f)
        tilt = cis(-hy * y0 / (wavelength * f)) * cis(-hx * x0 / (wavelength * f))
        stop = grid.disk_coverage(shape, pair, f * na)
        return stop / jnp.sqrt(cosine) * cis(defocus) * tilt

    return numerics.map_batch(wave, parameters[0].shape, *parameters)


def _check_pupil(where: str, shape: tuple[int, int], pair: Array, f: Array, na: Array) -> None:
    """Warns, where the values are concrete, of a pupil that the window cuts or hardly samples."""
    if not _check.is_concrete(pair, f, na):
        return
    spacing, radius = np.asarray(pair), (np.asarray(f) * np.asarray(na))[..., None]
    if np.any(radius > (np.asarray(shape) + 1) / 2 * spacing):
        need = int(np.ceil(2 * np.max(radius / spacing)))
        _check.warn(
            where,
            f"the pupil's radius f na = {float(np.max(radius)):.4g} µm does not fit the window, "
            f"which cuts it. Use a shape of at least ({need}, {need}), or a larger spacing.",
        )
    elif np.any(radius < 2 * spacing):
        _check.warn(
            where,
            f"the pupil's radius f na = {float(np.min(radius)):.4g} µm has fewer than two samples. "
            f"Use a spacing of at most {float(np.min(radius)) / 8:.4g} µm.",
        )


def objective_point_source(
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    wavelength: ArrayLike | str,
    f: ArrayLike | str,
    na: ArrayLike,
    n: ArrayLike = 1.0,
    z: ArrayLike | str = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    power: ArrayLike = 1.0,
    dtype: DTypeLike | None = None,
) -> Field:
    r"""Makes the field of a point emitter in the back focal plane of an objective, exactly.

    .. math:: u(h) = \frac{A}{\sqrt{\cos\theta}}
        \exp\!\Bigl[-i 2\pi \tfrac{n}{\lambda}\bigl(s_x x + s_y y + z (\cos\theta - 1)\bigr)\Bigr],
        \qquad (s_x, s_y) = \frac{(h_x, h_y)}{n f}, \quad \sin\theta = |s|

    for :math:`|h| \le f\,\mathrm{NA}` (the rim is area-weighted, so that the NA has a gradient).
    Scalar, isotropic emitter; the aplanatic factor :math:`1/\sqrt{\cos\theta}` conserves power
    (Abbe's sine condition), with :math:`A^2 = P / [2\pi (n f)^2 (1 - \cos\theta_{\max})]`: images
    are right to second order in the spacing, and ``field.power`` is short by the rim's weights
    in first order. The defocus is exact, not paraxial; the carrier :math:`n z/\lambda`
    is left out. A tube lens (:func:`~jaxwave.lenses.ff_lens`) makes the image.

    Args:
        shape: Number of samples (ny, nx).
        spacing: Sample spacing in the back focal plane, one number or ``(..., 2)`` [µm].
        wavelength: Vacuum wavelength, ``(...)`` [µm].
        f: Effective focal length in air (tube lens / magnification), ``(...)`` [µm].
        na: Numerical aperture, below ``n``, ``(...)``.
        n: Refractive index of the immersion medium, ``(...)``.
        z: Displacement of the emitter toward the objective, ``(...)`` [µm].
        y: Position of the emitter, ``(...)`` [µm].
        x: Position of the emitter, ``(...)`` [µm].
        power: Power through the aperture, ``(...)`` [power].
        dtype: complex64 or complex128; by default JAX's precision.

    Returns:
        The field in the back focal plane.

    Raises:
        ValueError: If a number is out of range (``na`` not below ``n``) or shapes do not fit.

    Example:
        >>> pupil = objective_point_source(
        ...     (128, 128), spacing=60.0, wavelength=0.52, f=3000.0, na=0.85, z=1.0)
        >>> round(float(pupil.power), 2)  # the rim, 1 / (3 * 42.5 samples)
        0.99

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 3.5 and 4.1.
    """
    where = "objective_point_source"
    _check.positive(where, "f", _check.length(where, "f", f), unit="µm")
    _check.positive(where, "n", n)
    _check.numerical_aperture(where, na, n)
    _check.nonnegative(where, "power", power)
    numbers = {"f": f, "na": na, "n": n, "z": z, "y": y, "x": x, "power": power}
    size, pair, *rest = checked(where, shape, spacing, wavelength, dtype, **numbers)
    _check_pupil(where, size, pair, rest[1], rest[2])
    return _objective_point_source(size, pair, *rest)


@numerics.program("shape")
def _objective_point_source(shape: tuple[int, int], *parameters: Array) -> Field:
    pair, wavelength, f, na, n, z, y0, x0, power = common(*parameters)
    u = _objective_waves(shape, z, wavelength, n, pair, y0, x0, f, na)
    # The integral of the samples' squares is short by the rim's, in first order of the spacing.
    sine = (na / n) ** 2
    area = numerics.TAU * (n * f) ** 2 * sine / (1 + numerics.safe_sqrt(1 - sine))
    amplitude = numerics.safe_sqrt(power / area)
    return Field(amplitude[..., None, None] * u, pair, wavelength)
