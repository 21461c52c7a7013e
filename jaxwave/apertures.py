"""Stops whose rims are weighted by area, with true slopes in size, place and angle.

What an aperture keeps out is the field less what it lets through: ``field - aperture(field)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, coverage, grid, numerics, sampling
from jaxwave.field import AnyField, Field, modulate


def _numbers(where: str, field: AnyField, **values: object) -> dict[str, Array]:
    """Lengths and angles as arrays of the field's precision; ``size`` is a pair (y, x)."""
    _check.is_field(where, field, Field)
    found = {}
    for name, value in values.items():
        unit = "rad" if name == "angle" else "µm"
        value = _check.length(where, name, value)
        free = name in ("y", "x", "angle", "vertices")
        (_check.finite if free else _check.positive)(where, name, value, unit=unit)
        if name == "size":
            found[name] = grid.pair(where, name, value, field.real_dtype)
        else:
            found[name] = numerics.number(value, field.real_dtype)
    return found


@numerics.program("shares", "count")
def _stop(
    field: AnyField, p: dict[str, Array], shares: Callable[..., Array], count: int = 0
) -> AnyField:
    """The field behind a stop; ``shares`` makes those of the samples from the stop's numbers."""
    weight = shares(field.shape, field.spacing, count, **p)
    return modulate(field, weight)


def _batches(where: str, field: Field, values: dict[str, Array], **axes: int) -> None:
    """Requires the batch axes to broadcast; ``axes`` tells how many axes are not batch axes."""
    shapes = {k: v.shape[: v.ndim - axes.get(k, 0)] for k, v in values.items()}
    _check.broadcast(where, field=field.batch_shape, **shapes)


def circular_aperture(
    field: AnyField, radius: ArrayLike | str, *, y: ArrayLike | str = 0.0, x: ArrayLike | str = 0.0
) -> AnyField:
    r"""Stops a field with a circular aperture whose rim is weighted by area.

    .. math:: u'_{jk} = a_{jk}\,u_{jk},\qquad
        a_{jk} = \frac{\text{area of the sample inside the circle}}{\Delta y\,\Delta x}

    The weighted rim makes diffraction converge with the square of the spacing, and gives the
    radius and the position true gradients. Valid for a radius of at least two samples.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        radius: Radius of the aperture, ``(...)`` [µm].
        y: Center of the aperture, ``(...)`` [µm].
        x: Center of the aperture, ``(...)`` [µm].

    Returns:
        The field behind the aperture.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If the radius is not positive, the center not finite or the shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((200, 200), spacing=0.5, wavelength=0.532, power=100.0**2)
        >>> area = jnp.sum(circular_aperture(field, 40.0).amplitude) * 0.5**2
        >>> round(float(area / (jnp.pi * 40.0**2)), 5)
        1.0

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 4.4.2.
    """
    where = "circular_aperture"
    p = _numbers(where, field, radius=radius, y=y, x=x)
    _batches(where, field, p)
    sampling.warn_outside(where, field, p["y"], p["x"], p["radius"])
    return _stop(field, p, _disk)


def _disk(shape: tuple[int, int], spacing: Array, _: int, **p: Array) -> Array:
    return grid.disk_coverage(shape, spacing, **p)


def annular_aperture(
    field: AnyField,
    inner: ArrayLike | str,
    outer: ArrayLike | str,
    *,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
) -> AnyField:
    r"""Stops a field with a ring whose rims are weighted by area.

    .. math:: u'_{jk} = (a_{jk}(r_\text{outer}) - a_{jk}(r_\text{inner}))\,u_{jk}

    with the covered shares a of :func:`circular_aperture`. Valid for radii of at least two samples.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        inner: Radius of the opaque disk, ``(...)`` [µm].
        outer: Radius of the aperture, ``(...)`` [µm].
        y: Center of the ring, ``(...)`` [µm].
        x: Center of the ring, ``(...)`` [µm].

    Returns:
        The field behind the ring.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If a radius is not positive, the inner one is not the smaller one, the center
            is not finite or the shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((200, 200), spacing=0.5, wavelength=0.532, power=100.0**2)
        >>> area = jnp.sum(annular_aperture(field, 20.0, 40.0).amplitude) * 0.5**2
        >>> round(float(area / (jnp.pi * (40.0**2 - 20.0**2))), 4)
        1.0

    References:
        M. Born and E. Wolf, *Principles of Optics*, 7th ed., Sec. 8.6.2 (annular apertures).
    """
    where = "annular_aperture"
    p = _numbers(where, field, inner=inner, outer=outer, y=y, x=x)
    check_radii(where, p["inner"], p["outer"])
    _batches(where, field, p)
    sampling.warn_outside(where, field, p["y"], p["x"], p["outer"])
    return _stop(field, p, _ring)


def _ring(
    shape: tuple[int, int], spacing: Array, _: int, inner: Array, outer: Array, y: Array, x: Array
) -> Array:
    small, large = (grid.disk_coverage(shape, spacing, r, y=y, x=x) for r in (inner, outer))
    return large - small


def rectangular_aperture(
    field: AnyField,
    size: ArrayLike | str,
    *,
    angle: ArrayLike = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
) -> AnyField:
    r"""Stops a field with a rectangle, turned by any angle, whose rim is weighted by area.

    .. math:: u'_{jk} = a_{jk}\,u_{jk},\qquad
        a_{jk} = \frac{\text{area of the sample inside the rectangle}}{\Delta y\,\Delta x}

    The shares are exact for every size.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        size: Height and width, one number or ``(..., 2)`` [µm].
        angle: Turn from +x toward +y, ``(...)`` [rad].
        y: Center of the rectangle, ``(...)`` [µm].
        x: Center of the rectangle, ``(...)`` [µm].

    Returns:
        The field behind the aperture.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If a side is not positive, something not finite or the shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((64, 64), spacing=0.5, wavelength=0.532, power=32.0**2)
        >>> cut = rectangular_aperture(field, (9.1, 5.3), angle=0.3, y=1.2)
        >>> round(float(jnp.sum(cut.amplitude) * 0.5**2 / (9.1 * 5.3)), 5)
        1.0

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 4.4.1.
    """
    where = "rectangular_aperture"
    p = _numbers(where, field, size=size, angle=angle, y=y, x=x)
    _batches(where, field, p, size=1)
    return _stop(field, p, _rectangle)


def _rectangle(shape: tuple[int, int], spacing: Array, _: int, **p: Array) -> Array:
    return coverage.polygon_coverage(shape, spacing, coverage.rectangle(**p))


def polygon_aperture(
    field: AnyField,
    vertices: ArrayLike,
    *,
    angle: ArrayLike = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
) -> AnyField:
    r"""Stops a field with a polygon of any form whose rim is weighted by area.

    .. math:: u'_{jk} = a_{jk}\,u_{jk},\qquad
        a_{jk} = \frac{\text{area of the sample inside the polygon}}{\Delta y\,\Delta x}

    The shares are exact; the polygon need not be convex, and the vertices may run either way round.
    The angle and the place move it as a whole.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        vertices: Corners (y, x) in their order along the rim, ``(..., K, 2)`` [µm].
        angle: Turn about the vertices' origin from +x toward +y, ``(...)`` [rad].
        y: Where the vertices' origin is put, ``(...)`` [µm].
        x: Where the vertices' origin is put, ``(...)`` [µm].

    Returns:
        The field behind the aperture.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If there are fewer than three vertices, edges cross, something is not finite or
            the shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((64, 64), spacing=0.5, wavelength=0.532, power=32.0**2)
        >>> triangle = polygon_aperture(field, [(0, 0), (0, 10), (8, 0)], angle=0.3)
        >>> round(float(jnp.sum(triangle.amplitude) * 0.5**2), 4)
        40.0

    References:
        J. Komrska, "Simple derivation of formulas for Fraunhofer diffraction at polygonal
        apertures", J. Opt. Soc. Am. 72, 1382 (1982).
    """
    where = "polygon_aperture"
    check_vertices(where, vertices)
    p = _numbers(where, field, vertices=vertices, angle=angle, y=y, x=x)
    _batches(where, field, p, vertices=2)
    return _stop(field, p, _polygon)


def _polygon(
    shape: tuple[int, int],
    spacing: Array,
    _: int,
    vertices: Array,
    angle: Array,
    y: Array,
    x: Array,
) -> Array:
    return coverage.polygon_coverage(shape, spacing, coverage.turned(vertices, angle, y, x))


def slits(
    field: AnyField,
    width: ArrayLike | str,
    *,
    pitch: ArrayLike | str,
    count: int,
    length: ArrayLike | str | None = None,
    angle: ArrayLike = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
) -> AnyField:
    r"""Stops a field with parallel slits at equal distances whose rims are weighted by area.

    .. math:: t(y, x) = \sum_{j=0}^{N-1} \Pi\!\left(\frac{x - (j - (N-1)/2)\,p}{w}\right)
        \Pi\!\left(\frac{y}{h}\right)

    before the turn. The shares are exact for every width; slits may not overlap.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        width: Width of a slit, along x before the turn, ``(...)`` [µm].
        pitch: Distance of the slits' centers, ``(...)`` [µm].
        count: Number of slits.
        length: Length of a slit, ``(...)`` [µm]; None for slits that end beyond the window.
        angle: Turn from +x toward +y, ``(...)`` [rad].
        y: Center of all slits, ``(...)`` [µm].
        x: Center of all slits, ``(...)`` [µm].

    Returns:
        The field behind the slits.

    Raises:
        TypeError: If ``field`` is not a field or the count not an integer.
        ValueError: If a length or the count is not positive, the slits overlap, something is not
            finite or the shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((64, 64), spacing=0.5, wavelength=0.532, power=32.0**2)
        >>> pair = slits(field, 1.3, pitch=7.0, count=2, length=10.0)
        >>> round(float(jnp.sum(pair.amplitude) * 0.5**2), 4)
        26.0

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 4.4.
    """
    where = "slits"
    check_slits(where, width, pitch, count)
    if length is None:  # from any place in the window across all of it, whatever the angle
        _check.is_field(where, field, Field)
        length = _beyond(field, y, x)
    p = _numbers(where, field, width=width, pitch=pitch, length=length, angle=angle, y=y, x=x)
    _batches(where, field, p)
    return _stop(field, p, _slits, count)


def _slits(shape: tuple[int, int], spacing: Array, count: int, **p: Array) -> Array:
    size = jnp.stack(jnp.broadcast_arrays(p["length"], p["width"]), axis=-1)
    places = jnp.asarray(np.arange(count) - (count - 1) / 2, spacing.dtype)

    def add(total: Array, place: Array) -> tuple[Array, None]:
        along = place * p["pitch"]
        at = p["y"] + along * jnp.sin(p["angle"]), p["x"] + along * jnp.cos(p["angle"])
        corners = coverage.rectangle(size, p["angle"], *at)
        return total + coverage.polygon_coverage(shape, spacing, corners), None

    batch = np.broadcast_shapes(spacing.shape[:-1], *(v.shape for v in p.values()))
    return lax.scan(add, jnp.zeros(batch + shape, spacing.dtype), places)[0]


def zone_plate(
    field: AnyField,
    f: ArrayLike | str,
    *,
    wavelength: ArrayLike | str,
    zones: int,
    second: ArrayLike = 0.0,
    n: ArrayLike = 1.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
) -> AnyField:
    r"""Sends a field through a Fresnel zone plate whose rims are weighted by area.

    .. math:: r_j^2 = j\,f\,\frac{\lambda}{n} + \frac{j^2 \lambda^2}{4 n^2}

    The zone between :math:`r_{j-1}` and :math:`r_j` is clear for odd j, sends on the amplitude
    ``second`` for even j, and beyond the last zone it is dark. With N zones of amplitude one and
    zero, N odd, the first focus has the amplitude (N + 1) / 2 of the clear first zone's; a
    ``second`` of -1 (a half-wave step) doubles it. Valid for a thin plate with zones that are wider
    than a sample; the time for any number of zones is that of four apertures.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        f: Distance of the first focus at the plate's wavelength, ``(...)`` [µm].
        wavelength: Vacuum wavelength that the plate is made for, ``(...)`` [µm].
        zones: Number of zones, clear and second ones.
        second: Amplitude behind every second zone, real or complex, ``(...)`` [none].
        n: Refractive index behind the plate, ``(...)``.
        y: Center of the plate, ``(...)`` [µm].
        x: Center of the plate, ``(...)`` [µm].

    Returns:
        The field behind the plate.

    Raises:
        TypeError: If ``field`` is not a field or the number of zones not an integer.
        ValueError: If a length or the number of zones is not positive, something is not finite or
            the shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> from jaxwave.propagation import angular_spectrum
        >>> field = plane_wave((256, 256), spacing=1.0, wavelength=0.5, power=256.0**2)
        >>> plate = zone_plate(field, 2000.0, wavelength=0.5, zones=9)
        >>> round(float(angular_spectrum(plate, 2000.0).amplitude[128, 128]), 1)
        9.9

    References:
        M. Born and E. Wolf, *Principles of Optics*, 7th ed., Sec. 8.2; E. Hecht, *Optics*, 5th ed.,
        Sec. 10.3.5.
    """
    where = "zone_plate"
    wavelength = _check.wavelength(where, wavelength)
    _check.integer(where, "zones", zones, 1)
    _check.finite_array(where, "second", second)
    p = _numbers(where, field, f=f, wavelength=wavelength, n=n, y=y, x=x)
    complex_ = jnp.iscomplexobj(second)
    p["second"] = numerics.number(second, field.dtype if complex_ else field.real_dtype)
    _batches(where, field, p)
    _warn_narrow(where, p, zones, field.spacing)
    return _stop(field, p, _zones, zones)


def _zones(
    shape: tuple[int, int],
    spacing: Array,
    zones: int,
    f: Array,
    wavelength: Array,
    n: Array,
    second: Array,
    y: Array,
    x: Array,
) -> Array:
    reduced = wavelength / n
    squares = (f * reduced, reduced**2 / 4)
    clear = coverage.ring_coverage(shape, spacing, squares, y, x, zones)
    rim = jnp.sqrt(squares[0] * zones + squares[1] * zones**2)
    whole = grid.disk_coverage(shape, spacing, rim, y=y, x=x)
    return clear + second[..., None, None] * (whole - clear)


# -- checks --------------------------------------------------------------------------------


def check_radii(where: str, inner: ArrayLike, outer: ArrayLike) -> None:
    """An inner radius below the outer one."""
    _check.broadcast(where, inner=np.shape(inner), outer=np.shape(outer))
    if _check.is_concrete(inner, outer) and np.any(np.asarray(inner) >= np.asarray(outer)):
        raise ValueError(
            f"{where}: `inner` must be below `outer`, got {np.asarray(inner)} and "
            f"{np.asarray(outer)} µm."
        )


def check_slits(where: str, width: ArrayLike | str, pitch: ArrayLike | str, count: Any) -> None:
    """At least one slit, and slits that do not overlap."""
    _check.integer(where, "count", count, 1)
    width, pitch = _check.length(where, "width", width), _check.length(where, "pitch", pitch)
    _check.broadcast(where, width=np.shape(width), pitch=np.shape(pitch))
    if (
        count > 1
        and _check.is_concrete(width, pitch)
        and np.any(np.asarray(width) > np.asarray(pitch))
    ):
        raise ValueError(
            f"{where}: slits overlap: `width` must be at most `pitch`, got {np.asarray(width)} and "
            f"{np.asarray(pitch)} µm."
        )


def check_vertices(where: str, vertices: ArrayLike) -> None:
    """At least three corners (y, x), and edges that do not cross."""
    _check.at_least(where, "vertices", vertices, 2, "(..., K, 2)")
    shape = np.shape(vertices)
    if shape[-1] != 2 or shape[-2] < 3:
        raise ValueError(
            f"{where}: `vertices` must be at least three corners (y, x), (..., K, 2), got {shape}."
        )
    if not _check.is_concrete(vertices):
        return
    for points in np.asarray(vertices, np.float64).reshape(-1, *shape[-2:]):
        if (pair := _crossing(points)) is not None:
            raise ValueError(
                f"{where}: the edges behind `vertices` {pair[0]} and {pair[1]} cross. "
                "Give the corners in their order along the rim."
            )


def _crossing(points: np.ndarray) -> tuple[int, int] | None:
    """Two edges that cross, by the sides on which each one's ends lie of the other."""
    start, end = points[:, None], np.roll(points, -1, axis=0)[:, None]

    def side(p: np.ndarray) -> np.ndarray:
        """On which side of edge i (rows) point j (columns) lies."""
        a, b = end - start, p[None] - start
        return np.sign(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])

    apart = side(points) * side(np.roll(points, -1, axis=0)) < 0
    found = np.argwhere(apart & apart.T)
    return (int(found[0][0]), int(found[0][1])) if len(found) else None


def _beyond(field: Field, y: ArrayLike | str, x: ArrayLike | str) -> Any:
    """A length that crosses the window from a center anywhere, at any angle."""
    y, x = (_check.length("slits", k, v) for k, v in (("y", y), ("x", x)))
    known = _check.is_concrete(field.spacing, y, x)
    m = np if known else jnp
    spacing = m.asarray(field.spacing)
    far = m.maximum(m.abs(m.asarray(y)), m.abs(m.asarray(x)))
    size = m.sum(spacing * m.asarray(field.shape), axis=-1)
    return 4 * (size + far) if known else lax.stop_gradient(4 * (size + far))


def _warn_narrow(where: str, p: dict[str, Array], zones: int, spacing: Array) -> None:
    values = [p[k] for k in ("f", "wavelength", "n")]
    if not _check.is_concrete(*values, spacing):
        return
    f, wavelength, n = (np.asarray(a, np.float64) for a in values)
    reduced = wavelength / n
    outer, inner = (np.sqrt(f * reduced * j + (reduced * j) ** 2 / 4) for j in (zones, zones - 1))
    width, sample = float(np.min(outer - inner)), float(np.max(np.asarray(spacing)))
    if width < sample:
        _check.warn(
            where,
            f"the outermost of {zones} zones is {width:.3g} µm wide, less than a sample of "
            f"{sample:.3g} µm. Take fewer zones, a longer f or a finer grid.",
        )
