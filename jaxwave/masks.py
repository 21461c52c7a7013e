"""Thin masks: phase, optical path and amplitude, as pictures or by their formula."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, numerics, pixels, sampling
from jaxwave.field import AnyField, Field, broadcast, modulate, with_parameters
from jaxwave.numerics import cis
from jaxwave.pixels import Lattice


def _mask(
    where: str, field: AnyField, name: str, values: ArrayLike, place: dict[str, Any]
) -> tuple[Any, Lattice | None]:
    """The picture, and where its pixels are if they are not the samples."""
    _check.is_field(where, field, Field)
    _check.at_least(where, name, values, 2, "(..., y, x)")
    _check.finite_array(where, name, values)
    values = jnp.asarray(values)
    if place["pitch"] is not None:
        _check.not_empty(where, name, values.shape)
        return values, pixels.lattice(where, field.real_dtype, **place)
    check_place(where, place)
    _check.same_grid(where, name, values.shape, field.shape)
    return values, None


def check_place(where: str, place: dict[str, Any]) -> None:
    """Whatever places a picture needs the pitch of its pixels."""
    for name, value in place.items():
        if place["pitch"] is None and value is not None:
            raise ValueError(
                f"{where}: `{name}` moves a picture that has pixels of its own. Pass their `pitch`."
            )


def phase_mask(
    field: AnyField,
    phase: ArrayLike,
    *,
    pitch: ArrayLike | str | None = None,
    angle: ArrayLike | None = None,
    y: ArrayLike | str | None = None,
    x: ArrayLike | str | None = None,
) -> AnyField:
    r"""Adds a phase to a field (phase mask, spatial light modulator).

    .. math:: u' = u\,\exp(i\varphi)

    Valid for a thin element. A positive phase is a delay. The same phase acts on every
    wavelength of the batch; a path that acts on each by its own phase is :func:`opd_mask`.

    A picture with a pitch of its own is laid on the field's samples by area: every sample takes
    the mean of the transmission over its area, with true slopes in pitch, angle and place. Beside
    the picture the phase is zero.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        phase: Phase on the field's samples, or on pixels of its own, ``(..., y, x)`` [rad].
        pitch: Distance of the picture's own pixels, one number or ``(..., 2)`` [µm]; None if the
            picture lies on the field's samples.
        angle: Turn of a picture with a pitch, from +x toward +y, ``(...)`` [rad].
        y: Where the center of its pixel (rows // 2, columns // 2) is, ``(...)`` [µm].
        x: Where the center of the same pixel is, ``(...)`` [µm].

    Returns:
        The field behind the mask; with the same power, but where a sample lies on several pixels.

    Raises:
        TypeError: If ``field`` is not a field or the phase is complex.
        ValueError: If the phase does not fit the field's samples or is not finite.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((4, 4), spacing=0.5, wavelength=0.532)
        >>> round(float(phase_mask(field, jnp.full((4, 4), 0.3)).phase[0, 0]), 5)
        0.3

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 6.1.
    """
    where = "phase_mask"
    phase, at = _mask(
        where, field, "phase", phase, {"pitch": pitch, "angle": angle, "y": y, "x": x}
    )
    phase = _check.real_array(where, "phase", phase, fix="Use amplitude_mask.")
    if at is None and _check.is_concrete(field.u, phase):
        sampling.warn_slope(where, field, "the phase", np.asarray(phase) / numerics.TAU)
    return _delay(field, phase, at)


@numerics.program()
def _delay(field: AnyField, phase: Array, at: Lattice | None) -> AnyField:
    transmission = cis(phase.astype(field.real_dtype) / numerics.TAU)
    return _place_picture("phase_mask", field, transmission, at, 1.0)


def opd_mask(
    field: AnyField,
    opd: ArrayLike,
    *,
    pitch: ArrayLike | str | None = None,
    angle: ArrayLike | None = None,
    y: ArrayLike | str | None = None,
    x: ArrayLike | str | None = None,
) -> AnyField:
    r"""Adds an optical path difference to a field (aberration, diffractive relief).

    .. math:: u' = u\,\exp(2\pi i\,\mathrm{OPD}/\lambda)

    Valid for a thin element. A relief of height h and index n in air has the path (n - 1) h.

    A picture with a pitch of its own is laid on the field's samples by area: every sample takes
    the mean of the transmission over its area, with true slopes in pitch, angle and place. Beside
    the picture the path is zero.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        opd: Optical path difference on the field's samples, or on pixels of its own,
            ``(..., y, x)`` [µm]; positive delays.
        pitch: Distance of the picture's own pixels, one number or ``(..., 2)`` [µm]; None if the
            picture lies on the field's samples.
        angle: Turn of a picture with a pitch, from +x toward +y, ``(...)`` [rad].
        y: Where the center of its pixel (rows // 2, columns // 2) is, ``(...)`` [µm].
        x: Where the center of the same pixel is, ``(...)`` [µm].

    Returns:
        The field behind the mask; with the same power, but where a sample lies on several pixels.

    Raises:
        TypeError: If ``field`` is not a field or the path is complex.
        ValueError: If the path does not fit the field's samples or is not finite.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((4, 4), spacing=0.5, wavelength=0.5)
        >>> round(float(opd_mask(field, jnp.full((4, 4), 0.125)).phase[0, 0]), 4)
        1.5708

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 6.4.1.
    """
    where = "opd_mask"
    opd, at = _mask(where, field, "opd", opd, {"pitch": pitch, "angle": angle, "y": y, "x": x})
    opd = _check.real_array(where, "opd", opd, fix="Use amplitude_mask for absorption.")
    _check.broadcast(where, field=field.batch_shape, opd=opd.shape[:-2])
    if at is None and _check.is_concrete(field.u, field.wavelength, opd):
        waves = np.asarray(opd) / np.min(np.asarray(field.wavelength))
        sampling.warn_slope(where, field, "the path", waves)
    return _lengthen(field, opd, at)


@numerics.program()
def _lengthen(field: AnyField, opd: Array, at: Lattice | None) -> AnyField:
    opd = opd.astype(field.real_dtype)
    batch = _check.broadcast("opd_mask", field=field.batch_shape, opd=opd.shape[:-2])
    field = broadcast(field, batch)
    transmission = cis(opd / field.wavelength[..., None, None])
    return _place_picture("opd_mask", field, transmission, at, 1.0)


def amplitude_mask(
    field: AnyField,
    transmission: ArrayLike,
    *,
    pitch: ArrayLike | str | None = None,
    angle: ArrayLike | None = None,
    y: ArrayLike | str | None = None,
    x: ArrayLike | str | None = None,
) -> AnyField:
    r"""Multiplies a field by an amplitude transmission.

    .. math:: u' = t\,u

    Valid for a thin element; \|t\| of at most one does not create light (not enforced: a gain
    medium may have more). The transmission of power is :math:`|t|^2`.

    A picture with a pitch of its own is laid on the field's samples by area: every sample takes
    the mean of the transmission over its area, with true slopes in pitch, angle and place. Beside
    the picture it is dark.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        transmission: Amplitude transmission, real or complex, ``(..., y, x)``.
        pitch: Distance of the picture's own pixels, one number or ``(..., 2)`` [µm]; None if the
            picture lies on the field's samples.
        angle: Turn of a picture with a pitch, from +x toward +y, ``(...)`` [rad].
        y: Where the center of its pixel (rows // 2, columns // 2) is, ``(...)`` [µm].
        x: Where the center of the same pixel is, ``(...)`` [µm].

    Returns:
        The field behind the mask.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If the mask does not fit the field's samples or is not finite.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((4, 4), spacing=0.5, wavelength=0.532)
        >>> round(float(amplitude_mask(field, jnp.full((4, 4), 0.5)).power), 5)
        0.25

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 4.4 (amplitude transmittance).
    """
    where, place = "amplitude_mask", {"pitch": pitch, "angle": angle, "y": y, "x": x}
    transmission, at = _mask(where, field, "transmission", transmission, place)
    return _attenuate(field, transmission, at)


@numerics.program()
def _attenuate(field: AnyField, transmission: Array, at: Lattice | None) -> AnyField:
    return _place_picture("amplitude_mask", field, transmission, at, 0.0)


def _place_picture(
    where: str, field: AnyField, transmission: Array, at: Lattice | None, beside: float
) -> AnyField:
    if at is None:
        return modulate(field, transmission)
    dtype = field.dtype if jnp.iscomplexobj(transmission) else field.real_dtype
    picture = transmission.astype(dtype)
    mean = pixels.with_picture(field, picture, at, where=where, beside=beside)
    return modulate(field, mean)


def cubic_mask(
    field: AnyField,
    opd: ArrayLike | str,
    *,
    radius: ArrayLike | str,
    angle: ArrayLike = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
) -> AnyField:
    r"""Adds a cubic path, which makes a focus deep and its image the same at every depth.

    .. math:: \mathrm{OPD}(y, x) = s\,\frac{x^3 + y^3}{R^3}

    Valid for a thin plate. The path goes on beyond the radius, which only sets its scale.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        opd: Path s at x = R, y = 0, ``(...)`` [µm].
        radius: Radius R, ``(...)`` [µm].
        angle: Turn of the plate from +x toward +y, ``(...)`` [rad].
        y: Center of the plate, ``(...)`` [µm].
        x: Center of the plate, ``(...)`` [µm].

    Returns:
        The field behind the plate, with the same power.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If the radius is not positive, something not finite or the shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((5, 5), spacing=1.0, wavelength=0.5)
        >>> round(float(cubic_mask(field, 0.05, radius=2.0).phase[2, 4]), 4)
        0.6283

    References:
        E. R. Dowski and W. T. Cathey, "Extended depth of field through wave-front coding",
        Appl. Opt. 34, 1859 (1995).
    """
    where = "cubic_mask"
    _check.is_field(where, field, Field)
    opd, radius = _check.length(where, "opd", opd), _check.length(where, "radius", radius)
    _check.finite(where, "opd", opd, unit="µm")
    _check.positive(where, "radius", radius, unit="µm")
    p = _frame(where, field, angle=angle, y=y, x=x, opd=opd, radius=radius)
    _warn_cubic(where, field, p)
    return _cubic(field, p)


def _warn_cubic(where: str, field: Field, p: dict[str, Array]) -> None:
    """Warns of a path that is too steep for the samples where the field has light."""
    if not _check.is_concrete(field.u, field.wavelength, *p.values()):
        return
    if (reach := sampling.lit_half_widths(field)) is None:
        return
    angle, y, x, opd, radius = (np.asarray(a, np.float64) for a in p.values())
    tall, wide = (np.max(r) + np.abs(c) for r, c in zip(reach, (y, x), strict=True))
    cos, sin = np.abs(np.cos(angle)), np.abs(np.sin(angle))
    v, u = (cos * tall + sin * wide) ** 2, (sin * tall + cos * wide) ** 2
    rate = 3 * np.abs(opd) / radius**3 / np.min(np.asarray(field.wavelength, np.float64))
    steep = rate * (cos * v + sin * u), rate * (sin * v + cos * u)
    sampling.warn_frequency(where, "the path", field.shape, field.spacing, steep)


@numerics.program()
def _cubic(field: AnyField, p: dict[str, Array]) -> AnyField:
    v, u, field, (opd, radius) = _turned(field, **p)
    opd = opd * ((v / radius) ** 3 + (u / radius) ** 3)
    return modulate(field, cis(opd / field.wavelength[..., None, None]))


def spiral_mask(
    field: AnyField,
    charge: int,
    *,
    angle: ArrayLike = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
) -> AnyField:
    r"""Adds a phase that winds around a point (spiral phase plate, vortex).

    .. math:: u' = u\,e^{i l (\phi - \alpha)}\,
        \left(\frac{r^2}{r^2 + |l|\,\Delta y\,\Delta x / 12}\right)^{|l|/2}

    The factor is the loss of a sample's mean near the point where all phases meet: to second order
    in the sample it is right far away, and it gives the place true slopes. Valid for a thin plate
    whose phase is the same at every wavelength, as that of a modulator; a relief is an
    :func:`opd_mask`.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        charge: Turns of the phase around the point, from +x toward +y; an integer.
        angle: Azimuth of phase zero, ``(...)`` [rad].
        y: Place of the point, ``(...)`` [µm].
        x: Place of the point, ``(...)`` [µm].

    Returns:
        The field behind the plate.

    Raises:
        TypeError: If ``field`` is not a field or the charge not an integer.
        ValueError: If something is not finite or the shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((9, 9), spacing=1.0, wavelength=0.5)
        >>> round(float(spiral_mask(field, 2).phase[8, 8]), 4)
        1.5708

    References:
        M. W. Beijersbergen et al., "Helical-wavefront laser beams produced with a spiral
        phaseplate", Opt. Commun. 112, 321 (1994).
    """
    where = "spiral_mask"
    _check.is_field(where, field, Field)
    _check.integer(where, "charge", charge, -(10**6))
    return _spiral(field, _frame(where, field, angle=angle, y=y, x=x), charge)


@numerics.program("charge")
def _spiral(field: AnyField, p: dict[str, Array], charge: int) -> AnyField:
    v, u, field, _ = _turned(field, **p)
    core = abs(charge) * jnp.prod(field.spacing, axis=-1)[..., None, None] / 12
    root = jnp.sqrt(v**2 + u**2 + core) if charge else jnp.ones_like(v + u)
    turn = lax.complex(*jnp.broadcast_arrays(u / root, (v if charge > 0 else -v) / root))
    return modulate(field, lax.integer_pow(turn, abs(charge)))


def _frame(where: str, field: Field, **numbers: object) -> dict[str, Array]:
    """Numbers of a frame that is turned and moved, checked."""
    found = {}
    for name, value in numbers.items():
        value = _check.length(where, name, value)
        _check.finite(where, name, value, unit="rad" if name == "angle" else "µm")
        found[name] = numerics.number(value, field.real_dtype)
    shapes = {name: value.shape for name, value in found.items()}
    _check.broadcast(where, field=field.batch_shape, **shapes)
    return found


def _turned(
    field: AnyField, angle: Array, y: Array, x: Array, **numbers: Array
) -> tuple[Array, Array, AnyField, list[Array]]:
    """Coordinates in a turned and moved frame, and numbers that broadcast against them."""
    field, found = with_parameters("mask", field, angle=angle, y=y, x=x, **numbers)
    angle, y, x, *found = (a[..., None, None] for a in found)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    rows, columns = field.y - y, field.x - x
    return cos * rows - sin * columns, sin * rows + cos * columns, field, found
