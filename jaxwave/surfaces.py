"""Thin elements that bend light: cylinders, prisms, axicons, aspheres, Seidel's aberrations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, grid, numerics, sampling
from jaxwave.collins import places
from jaxwave.field import AnyField, Field, modulate, with_parameters
from jaxwave.numerics import TwoWord, cis, word


def _lengths(where: str, **values: ArrayLike | str) -> list[ArrayLike]:
    """Finite lengths, from numbers or texts."""
    result = []
    for name, value in values.items():
        value = _check.length(where, name, value)
        _check.finite(where, name, value, unit="µm")
        result.append(value)
    return result


def _numbers(where: str, field: Field, **values: ArrayLike) -> list[Array]:
    """Numbers of the field's precision whose batch axes fit."""
    arrays = {k: numerics.number(v, field.real_dtype) for k, v in values.items()}
    shapes = {k: a.shape for k, a in arrays.items()}
    _check.broadcast(where, field=field.batch_shape, **shapes)
    return list(arrays.values())


def _wave(field: AnyField, turns: Array) -> AnyField:
    return modulate(field, cis(turns))


# -- cylinders -------------------------------------------------------------------------------


def _plain_cylinder(shape: tuple[int, int], *numbers: Array) -> Array:
    rate, cosine, sine, dy, dx = numbers
    y = grid.indices(shape[0]).astype(dy.dtype)[:, None] * dy
    x = grid.indices(shape[1]).astype(dx.dtype) * dx
    return -0.5 * rate * (x * cosine + y * sine) ** 2


@numerics.two_words(_plain_cylinder)
def _cylinder_turns(shape: tuple[int, int], *numbers: Array) -> Array:
    rate, cosine, sine, dy, dx = numbers
    dtype = rate.dtype
    zero = jnp.zeros_like(rate)
    y = numerics.multiply(places(shape[0], dy, zero), word(sine, dtype))
    x = numerics.multiply(places(shape[1], dx, zero), word(cosine, dtype))
    s = numerics.add(TwoWord(y.hi[:, None], y.lo[:, None]), x)
    return numerics.product_turns(word(-0.5 * rate, dtype), numerics.multiply(s, s))


def cylindrical_lens(
    field: AnyField, f: ArrayLike | str, *, phi: ArrayLike = 0.0, n: ArrayLike = 1.0
) -> AnyField:
    r"""Refracts a field in a thin cylindrical lens.

    .. math:: u' = u\,\exp\!\left[-i\pi\frac{n}{\lambda f} s^2\right],
        \qquad s = x\cos\varphi + y\sin\varphi

    Paraxial and thin, without a rim.

    Args:
        field: The field in front of the lens, ``(..., y, x)`` or ``(..., 3, y, x)``.
        f: Focal length in the medium, ``(...)``, negative for a diverging lens [µm].
        phi: Direction in which the lens focuses, from +x toward +y, ``(...)`` [rad].
        n: Refractive index of the medium, ``(...)``.

    Returns:
        The field behind the lens, with the same power.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If ``f`` is zero or not finite, ``n`` is not positive or shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> wave = plane_wave((64, 64), spacing=1.0, wavelength=0.5)
        >>> line = cylindrical_lens(wave, 1000.0)
        >>> round(float(line.phase[0, 42]), 4), round(float(line.phase[0, 32]), 4)
        (-0.6283, 0.0)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Problem 6.2.
    """
    where = "cylindrical_lens"
    _check.is_field(where, field, Field)
    (f,) = _lengths(where, f=f)
    _check.nonzero(where, "f", f, unit="µm", fix="A plane plate of no power needs no lens.")
    _check.positive(where, "n", n)
    _check.finite(where, "phi", phi)
    f, phi, n = _numbers(where, field, f=f, phi=phi, n=n)
    if _check.is_concrete(field.wavelength, f, phi, n):
        rate = np.asarray(n) / (np.asarray(field.wavelength) * np.asarray(f))
        _warn_bent(where, field, rate, phi)
    return _cylinder(field, f, phi, n)


@numerics.program()
def _cylinder(field: AnyField, f: Array, phi: Array, n: Array) -> AnyField:
    field, (f, phi, n) = with_parameters("cylindrical_lens", field, f=f, phi=phi, n=n)
    rate = n / (field.wavelength * f)
    turns = numerics.vectorize(partial(_cylinder_turns, field.shape), rate.shape)
    dy, dx = field.spacing[..., 0], field.spacing[..., 1]
    return _wave(field, turns(rate, jnp.cos(phi), jnp.sin(phi), dy, dx))


def _warn_bent(where: str, field: Field, rate: Array, phi: Array) -> None:
    """Warns of a parabola in one direction, whose local frequency is that of s."""
    reach = sampling.lit_half_widths(field)
    if reach is None:
        return
    c, s = np.abs(np.cos(np.asarray(phi))), np.abs(np.sin(np.asarray(phi)))
    steep = np.abs(np.asarray(rate)) * (np.max(reach[1]) * c + np.max(reach[0]) * s)
    sampling.warn_frequency(where, "the lens", field.shape, field.spacing, (steep * s, steep * c))


# -- prisms and axicons ----------------------------------------------------------------------


def _plain_plane(shape: tuple[int, int], *numbers: Array) -> Array:
    fy, fx, dy, dx = numbers
    y = grid.indices(shape[0]).astype(dy.dtype)[:, None] * dy
    return fy * y + fx * grid.indices(shape[1]).astype(dx.dtype) * dx


@numerics.two_words(_plain_plane)
def _plane_turns(shape: tuple[int, int], *numbers: Array) -> Array:
    fy, fx, dy, dx = numbers
    zero = jnp.zeros_like(dy)
    rows = numerics.product_turns(places(shape[0], dy, zero), word(fy, fy.dtype))
    return rows[:, None] + numerics.product_turns(places(shape[1], dx, zero), word(fx, fx.dtype))


def prism(
    field: AnyField,
    apex: ArrayLike,
    *,
    n_prism: ArrayLike = 1.5,
    n: ArrayLike = 1.0,
    phi: ArrayLike = 0.0,
) -> AnyField:
    r"""Refracts a field in a thin prism.

    .. math:: u' = u\,\exp\!\left[i\frac{2\pi}{\lambda} (n_p - n)\tan\alpha\;
        (x\cos\varphi + y\sin\varphi)\right]

    Thin: valid for small apex angles. The light turns toward the base, by about
    :math:`(n_p/n - 1)\,\alpha`.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        apex: Apex angle of the prism, ``(...)`` [rad].
        n_prism: Refractive index of the prism, ``(...)`` [none].
        n: Refractive index of the medium, ``(...)``.
        phi: Direction of the base, from +x toward +y, ``(...)`` [rad].

    Returns:
        The field behind the prism, with the same power.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If an index is not positive, an angle not finite or shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> wave = plane_wave((4, 4), spacing=1.0, wavelength=0.5)
        >>> round(float(prism(wave, 0.1).phase[2, 3]), 4)  # 2 pi tan(0.1)
        0.6304

    References:
        M. Born and E. Wolf, *Principles of Optics*, Sec. 4.7.2.
    """
    where = "prism"
    _check.is_field(where, field, Field)
    _check.positive(where, "n_prism", n_prism)
    _check.positive(where, "n", n)
    _check.finite(where, "apex", apex)
    _check.finite(where, "phi", phi)
    numbers = _numbers(where, field, apex=apex, n_prism=n_prism, n=n, phi=phi)
    if _check.is_concrete(field.wavelength, numbers):
        slope = _slope(np, field, *(np.asarray(a) for a in numbers))
        sampling.warn_frequency(where, "the prism", field.shape, field.spacing, slope)
    return _bent(field, *numbers)


def _rate(xp: ModuleType, field: Field, angle: Array, glass: Array, n: Array) -> Any:
    """Local frequency behind a flat face [1/µm], in numpy for what is known."""
    return (glass - n) * xp.tan(angle) / xp.asarray(field.wavelength)


def _slope(xp: ModuleType, field: Field, apex: Array, n_prism: Array, n: Array, phi: Array) -> Any:
    """Local frequencies (fy, fx) behind a prism."""
    rate = _rate(xp, field, apex, n_prism, n)
    return rate * xp.sin(phi), rate * xp.cos(phi)


@numerics.program()
def _bent(field: AnyField, apex: Array, n_prism: Array, n: Array, phi: Array) -> AnyField:
    names = dict(apex=apex, n_prism=n_prism, n=n, phi=phi)
    field, numbers = with_parameters("prism", field, **names)
    fy, fx = _slope(jnp, field, *numbers)
    turns = numerics.vectorize(partial(_plane_turns, field.shape), fy.shape)
    return _wave(field, turns(fy, fx, field.spacing[..., 0], field.spacing[..., 1]))


def _plain_cone(shape: tuple[int, int], *numbers: Array) -> Array:
    rate, dy, dx, y0, x0 = numbers
    y = grid.indices(shape[0]).astype(dy.dtype)[:, None] * dy - y0
    square = y**2 + (grid.indices(shape[1]).astype(dx.dtype) * dx - x0) ** 2
    return -rate * numerics.safe_sqrt(square)


@numerics.two_words(_plain_cone)
def _cone_turns(shape: tuple[int, int], *numbers: Array) -> Array:
    rate, dy, dx, y0, x0 = numbers
    dtype = rate.dtype
    y, x = places(shape[0], dy, -y0), places(shape[1], dx, -x0)
    y, x = numerics.multiply(y, y), numerics.multiply(x, x)
    y = TwoWord(y.hi[:, None], y.lo[:, None])
    return numerics.root_turns(word(-rate, dtype), word(jnp.zeros_like(rate), dtype), y, x)[0]


def axicon(
    field: AnyField,
    angle: ArrayLike,
    *,
    n_axicon: ArrayLike = 1.5,
    n: ArrayLike = 1.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
) -> AnyField:
    r"""Refracts a field in a thin conical lens, which makes a Bessel beam.

    .. math:: u' = u\,\exp\!\left[-i\frac{2\pi}{\lambda} (n_a - n)\tan\alpha\;
        \sqrt{(x - x_0)^2 + (y - y_0)^2}\right]

    Thin: valid for small base angles. The axis is lit as far as the aperture's radius over
    :math:`(n_a/n - 1)\tan\alpha`, with a core of radius
    :math:`2.405\,\lambda/[2\pi(n_a - n)\tan\alpha]`.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        angle: Base angle of the cone, ``(...)``; negative for a diverging axicon [rad].
        n_axicon: Refractive index of the axicon, ``(...)`` [none].
        n: Refractive index of the medium, ``(...)``.
        y: Place of the tip, ``(...)`` [µm].
        x: Place of the tip, ``(...)`` [µm].

    Returns:
        The field behind the axicon, with the same power.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If an index is not positive, a number not finite or shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> wave = plane_wave((4, 4), spacing=1.0, wavelength=0.5)
        >>> round(float(axicon(wave, 0.1).phase[2, 3]), 4)
        -0.6304

    References:
        J. H. McLeod, "The axicon: a new type of optical element", J. Opt. Soc. Am. 44, 592 (1954).
    """
    where = "axicon"
    _check.is_field(where, field, Field)
    _check.positive(where, "n_axicon", n_axicon)
    _check.positive(where, "n", n)
    _check.finite(where, "angle", angle)
    y, x = _lengths(where, y=y, x=x)
    numbers = _numbers(where, field, angle=angle, n_axicon=n_axicon, n=n, y=y, x=x)
    if _check.is_concrete(field.wavelength, numbers[:3]):
        rate = _rate(np, field, *(np.asarray(a) for a in numbers[:3]))
        sampling.warn_frequency(where, "the axicon", field.shape, field.spacing, (rate, rate))
    return _coned(field, *numbers)


@numerics.program()
def _coned(
    field: AnyField, angle: Array, n_axicon: Array, n: Array, y: Array, x: Array
) -> AnyField:
    names = dict(angle=angle, n_axicon=n_axicon, n=n, y=y, x=x)
    field, (angle, n_axicon, n, y, x) = with_parameters("axicon", field, **names)
    rate = _rate(jnp, field, angle, n_axicon, n)
    turns = numerics.vectorize(partial(_cone_turns, field.shape), rate.shape)
    return _wave(field, turns(rate, field.spacing[..., 0], field.spacing[..., 1], y, x))


# -- aspheres --------------------------------------------------------------------------------


def asphere_sag(
    y: ArrayLike,
    x: ArrayLike,
    radius: ArrayLike | str,
    *,
    conic: ArrayLike = 0.0,
    coefficients: Sequence[ArrayLike] = (),
) -> Array:
    r"""Computes the sag of a conic or aspheric surface of revolution.

    .. math:: s = \frac{r^2/R}{1 + \sqrt{1 - (1 + \kappa)\,r^2/R^2}} + \sum_j a_j\,r^{2j + 4},
        \qquad r^2 = y^2 + x^2

    Exact. Beyond the surface's own rim the root is taken as zero.

    Args:
        y: Points, ``(...)`` [µm].
        x: Points, ``(...)`` [µm].
        radius: Radius of curvature, ``(...)``, positive if its center lies toward +z [µm].
        conic: Conic constant, ``(...)``: 0 a sphere, -1 a paraboloid [none].
        coefficients: Of the fourth, sixth, ... power of r, numbers of shape ``(...)``
            [µm⁻³, µm⁻⁵, ...].

    Returns:
        The sag toward +z, of the points' shape [µm].

    Raises:
        ValueError: If the radius is zero or a number is not finite.

    Example:
        >>> round(float(asphere_sag(0.0, 100.0, 1000.0, conic=-1.0)), 6)
        5.0

    References:
        ISO 10110-12, *Optics and photonics: aspheric surfaces*.
    """
    where = "asphere_sag"
    radius = _check.length(where, "radius", radius)
    _check.finite(where, "radius", radius, unit="µm")
    _check.nonzero(where, "radius", radius, unit="µm", fix="A plane has no radius: leave it out.")
    _check_shape(where, conic, coefficients)
    for name, value in (("y", y), ("x", x)):
        _check.finite_array(where, name, value)
    y, x = (_check.real_array(where, k, v) for k, v in (("y", y), ("x", x)))
    square = y**2 + x**2
    radius = jnp.asarray(radius, square.dtype)
    inner = 1 - (1 + jnp.asarray(conic, square.dtype)) * square / radius**2
    sag = square / radius / (1 + numerics.safe_sqrt(inner))
    for j, a in enumerate(coefficients):
        sag = sag + jnp.asarray(a, square.dtype) * square ** (j + 2)
    return sag


def _check_shape(where: str, conic: ArrayLike, coefficients: Sequence[ArrayLike]) -> None:
    _check.finite(where, "conic", conic)
    for j, a in enumerate(coefficients):
        _check.finite(where, f"coefficients[{j}]", a)


def refracting_surface(
    field: AnyField,
    radius: ArrayLike | str,
    *,
    n_before: ArrayLike,
    n_behind: ArrayLike,
    conic: ArrayLike = 0.0,
    coefficients: Sequence[ArrayLike] = (),
) -> AnyField:
    r"""Refracts a field at a conic or aspheric surface, as an optical path.

    .. math:: u' = u\,\exp\!\left[-i\frac{2\pi}{\lambda} (n_2 - n_1)\,s(r)\right]

    with the sag s of :func:`asphere_sag`. Valid while rays hardly move sideways within the sag.
    Two surfaces with the propagation through the glass between them
    (:func:`~jaxwave.propagation.angular_spectrum` with its index) are a thick lens.

    Args:
        field: The field in the plane of the vertex, ``(..., y, x)`` or ``(..., 3, y, x)``.
        radius: Radius of curvature, ``(...)``, positive if its center lies behind [µm].
        n_before: Refractive index in front of the surface, ``(...)`` [none].
        n_behind: Refractive index behind the surface, ``(...)`` [none].
        conic: Conic constant, ``(...)``: 0 a sphere, -1 a paraboloid [none].
        coefficients: Of the fourth, sixth, ... power of r, numbers of shape ``(...)``
            [µm⁻³, µm⁻⁵, ...].

    Returns:
        The field behind the surface, with the same power.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If an index is not positive, the radius is zero or shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> wave = plane_wave((64, 64), spacing=1.0, wavelength=0.5)
        >>> behind = refracting_surface(wave, "1 mm", n_before=1.0, n_behind=1.5)
        >>> round(float(behind.phase[32, 42]), 4)  # -2 pi 0.5 (10^2 / 2000) / 0.5
        -0.3142

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 6.1.1.
    """
    where = "refracting_surface"
    _check.is_field(where, field, Field)
    _check.positive(where, "n_before", n_before)
    _check.positive(where, "n_behind", n_behind)
    radius = _check.length(where, "radius", radius)
    names = dict(radius=radius, n_before=n_before, n_behind=n_behind, conic=conic)
    _check_shape(where, conic, coefficients)
    _check.finite(where, "radius", radius, unit="µm")
    _check.nonzero(where, "radius", radius, unit="µm", fix="A plane refracts nothing here.")
    field, (radius, before, behind, conic) = with_parameters(where, field, **names)
    sag = _sags(field.shape, field.spacing, radius, conic, tuple(coefficients))
    turns = ((before - behind) / field.wavelength)[..., None, None] * sag
    sampling.warn_slope(where, field, "the surface", turns)
    return _wave(field, turns)


@partial(jax.jit, static_argnums=0)
def _sags(
    shape: tuple[int, int], spacing: Array, radius: Array, conic: Array, coefficients: tuple
) -> Array:
    y, x = grid.sample_coordinates(shape, spacing)
    radius, conic = radius[..., None, None], conic[..., None, None]
    coefficients = tuple(jnp.asarray(a)[..., None, None] for a in coefficients)
    return asphere_sag(y, x, radius, conic=conic, coefficients=coefficients)


# -- Seidel ----------------------------------------------------------------------------------


def seidel_opd(
    coefficients: ArrayLike, y: ArrayLike, x: ArrayLike, *, field_y: ArrayLike, field_x: ArrayLike
) -> Array:
    r"""Computes Seidel's five aberrations of a point in the field.

    .. math:: W = W_{040}\rho^4 + W_{131}\rho^2 (\mathbf h\cdot\boldsymbol\rho)
        + W_{222} (\mathbf h\cdot\boldsymbol\rho)^2 + W_{220} h^2\rho^2
        + W_{311} h^2 (\mathbf h\cdot\boldsymbol\rho)

    Valid to third order, for systems of revolution. Pupil and field are normalized to their rims.

    Args:
        coefficients: W040 (spherical), W131 (coma), W222 (astigmatism), W220 (field curvature),
            W311 (distortion), ``(..., 5)`` [µm].
        y: Pupil coordinate, ``(...)`` [pupil radii].
        x: Pupil coordinate, ``(...)`` [pupil radii].
        field_y: Place in the field, scalar or ``(...)`` [field radii].
        field_x: Place in the field, scalar or ``(...)`` [field radii].

    Returns:
        Optical path differences, of the pupil coordinates' shape [µm].

    Raises:
        ValueError: If there are not five coefficients or a number is not finite.

    Example:
        >>> w = seidel_opd([0, 0.5, 0, 0, 0], 0.0, 1.0, field_y=0.0, field_x=0.8)
        >>> round(float(w), 3)
        0.4

    References:
        H. H. Hopkins, *Wave Theory of Aberrations*, Ch. 4.
    """
    where = "seidel_opd"
    if np.shape(coefficients)[-1:] != (5,):
        raise ValueError(
            f"{where}: `coefficients` must be five, (W040, W131, W222, W220, W311), got the shape "
            f"{np.shape(coefficients)}."
        )
    _check.finite(where, "coefficients", coefficients)
    y, x = (_check.real_array(where, k, v) for k, v in (("y", y), ("x", x)))
    w = jnp.asarray(coefficients, jnp.result_type(y, x))
    square, h2 = y**2 + x**2, jnp.square(field_y) + jnp.square(field_x)
    dot = field_y * y + field_x * x
    parts = (square**2, square * dot, dot**2, h2 * square, h2 * dot)
    rank = jnp.ndim(square)
    total = sum(
        w[(..., k, *(None,) * (rank if w.ndim > 1 else 0))] * part for k, part in enumerate(parts)
    )
    return jnp.asarray(total)
