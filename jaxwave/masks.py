"""Thin masks: phase, optical path, amplitude, aperture."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, grid, numerics, sampling
from jaxwave.field import AnyField, Field, broadcast, modulate
from jaxwave.numerics import cis


def _mask(where: str, field: Any, name: str, values: ArrayLike) -> Any:
    _check.is_field(where, field, Field)
    _check.at_least(where, name, values, 2, "(..., y, x)")
    _check.finite_array(where, name, values)
    values = jnp.asarray(values)
    _check.same_grid(where, name, values.shape, field.shape)
    return values


def phase_mask(field: AnyField, phase: ArrayLike) -> AnyField:
    r"""Adds a phase to a field (phase mask, spatial light modulator).

    .. math:: u' = u\,\exp(i\varphi)

    Valid for a thin element. A positive phase is a delay. The same phase acts on every
    wavelength of the batch; a path that acts on each by its own phase is :func:`opd_mask`.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        phase: Phase on the field's samples, ``(..., y, x)`` [rad].

    Returns:
        The field behind the mask, with the same power.

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
    phase = _mask("phase_mask", field, "phase", phase)
    phase = _check.real_array("phase_mask", "phase", phase, fix="Use amplitude_mask.")
    if _check.is_concrete(field.u, phase):
        sampling.warn_slope("phase_mask", field, "the phase", np.asarray(phase) / numerics.TAU)
    return _delay(field, phase)


@numerics.program()
def _delay(field: AnyField, phase: Array) -> AnyField:
    return modulate(field, cis(phase.astype(field.real_dtype) / numerics.TAU))


def opd_mask(field: AnyField, opd: ArrayLike) -> AnyField:
    r"""Adds an optical path difference to a field (aberration, diffractive relief).

    .. math:: u' = u\,\exp(2\pi i\,\mathrm{OPD}/\lambda)

    Valid for a thin element. A relief of height h and index n in air has the path (n - 1) h.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        opd: Optical path difference on the field's samples, ``(..., y, x)`` [µm]; positive delays.

    Returns:
        The field behind the mask, with the same power.

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
    opd = _mask("opd_mask", field, "opd", opd)
    opd = _check.real_array("opd_mask", "opd", opd, fix="Use amplitude_mask for absorption.")
    if _check.is_concrete(field.u, field.wavelength, opd):
        waves = np.asarray(opd) / np.min(np.asarray(field.wavelength))
        sampling.warn_slope("opd_mask", field, "the path", waves)
    return _lengthen(field, opd)


@numerics.program()
def _lengthen(field: AnyField, opd: Array) -> AnyField:
    opd = opd.astype(field.real_dtype)
    batch = _check.broadcast("opd_mask", field=field.batch_shape, opd=opd.shape[:-2])
    field = broadcast(field, batch)
    return modulate(field, cis(opd / field.wavelength[..., None, None]))


def amplitude_mask(field: AnyField, transmission: ArrayLike) -> AnyField:
    r"""Multiplies a field by an amplitude transmission.

    .. math:: u' = t\,u

    Valid for a thin element; \|t\| of at most one does not create light (not enforced: a gain
    medium may have more). The transmission of power is :math:`|t|^2`.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        transmission: Amplitude transmission, real or complex, ``(..., y, x)``.

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
    return _attenuate(field, _mask("amplitude_mask", field, "transmission", transmission))


@numerics.program()
def _attenuate(field: AnyField, transmission: Array) -> AnyField:
    return modulate(field, transmission)


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
    _check.is_field(where, field, Field)
    radius = _check.length(where, "radius", radius)
    _check.positive(where, "radius", radius, unit="µm")
    y, x = _check.length(where, "y", y), _check.length(where, "x", x)
    _check.finite(where, "y", y, unit="µm")
    _check.finite(where, "x", x, unit="µm")
    radius, y, x = (numerics.number(a, field.real_dtype) for a in (radius, y, x))
    shapes = {"radius": radius.shape, "y": y.shape, "x": x.shape}
    _check.broadcast(where, field=field.batch_shape, **shapes)
    sampling.warn_outside(where, field, y, x, radius)
    return _stop(field, radius, y, x)


@numerics.program()
def _stop(field: AnyField, radius: Array, y: Array, x: Array) -> AnyField:
    shapes = {"radius": radius.shape, "y": y.shape, "x": x.shape}
    batch = _check.broadcast("circular_aperture", field=field.batch_shape, **shapes)
    weight = grid.disk_coverage(field.shape, field.spacing, radius, y=y, x=x)
    return modulate(broadcast(field, batch), weight)
