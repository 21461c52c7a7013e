"""Gratings and their efficiencies."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, grid, sampling, special
from jaxwave.field import AnyField, Field, modulate, with_parameters
from jaxwave.numerics import cis


def _prepare(
    where: str, field: AnyField, period: ArrayLike | str, numbers: Mapping[str, ArrayLike | str]
) -> tuple[AnyField, list[Array], Array, Array]:
    """Broadcast numbers, the places across the lines in periods, and a sample's width there."""
    _check.is_field(where, field, Field)
    period = _check.length(where, "period", period)
    _check.positive(where, "period", period, unit="µm")
    known = {k: _check.length(where, k, v) for k, v in numbers.items()}
    for name, value in known.items():
        _check.finite(where, name, value)
    field, (period, *values) = with_parameters(where, field, period=period, **known)
    phi, shift = values[-2:]
    turns, width = _lines(field.shape, field.spacing, period, phi, shift)
    frequency = (jnp.sin(phi) / period, jnp.cos(phi) / period)
    sampling.warn_frequency(where, "the grating", field.shape, field.spacing, frequency)
    return field, values[:-2], turns, width


@partial(jax.jit, static_argnums=0)
def _lines(
    shape: tuple[int, int], spacing: Array, period: Array, phi: Array, shift: Array
) -> tuple[Array, Array]:
    y, x = grid.sample_coordinates(shape, spacing)
    period, c, s, shift = (a[..., None, None] for a in (period, jnp.cos(phi), jnp.sin(phi), shift))
    width = jnp.abs(c) * spacing[..., 1, None, None] + jnp.abs(s) * spacing[..., 0, None, None]
    return (x * c + y * s - shift) / period, width / period


def _share(turns: Array, width: Array, duty: Array) -> Array:
    """Share of a sample that lies on a bar: bars are |s| < duty/2 in every period."""

    def covered(t: Array) -> Array:  # length of bars between 0 and t
        whole = jnp.floor(t + 0.5)
        return whole * duty + jnp.clip(t - whole, -duty / 2, duty / 2)

    return (covered(turns + width / 2) - covered(turns - width / 2)) / width


def binary_grating(
    field: AnyField,
    period: ArrayLike | str,
    *,
    opd: ArrayLike | str = 0.0,
    transmission: ArrayLike = 1.0,
    duty: ArrayLike = 0.5,
    phi: ArrayLike = 0.0,
    shift: ArrayLike | str = 0.0,
) -> AnyField:
    r"""Diffracts a field at a grating of bars: a phase grating, Ronchi's, or both.

    .. math:: t = \begin{cases} e^{2\pi i\,\mathrm{OPD}/\lambda} & |s| < d\,\Lambda/2 \\
        \tau & \text{between the bars} \end{cases}

    periodic in :math:`s = x\cos\varphi + y\sin\varphi - s_0`. Valid for a thin grating. Samples
    that an edge cuts have the mean of both sides (exact for lines along x or y), so that all
    numbers have gradients. For efficiencies see :func:`grating_efficiency`.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        period: Period of the lines, ``(...)`` [µm].
        opd: Optical path of the bars, ``(...)`` [µm].
        transmission: Amplitude transmission between the bars, ``(...)``: 0 is Ronchi's grating.
        duty: Share of a period that is bar, ``(...)``, from 0 to 1 [none].
        phi: Direction across the lines, from +x toward +y, ``(...)`` [rad].
        shift: Place of the middle of a bar, ``(...)`` [µm].

    Returns:
        The field behind the grating.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If the period is not positive, the duty not in [0, 1] or shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> wave = plane_wave((4, 64), spacing=1.0, wavelength=0.5)
        >>> ronchi = binary_grating(wave, 8.0, transmission=0.0)
        >>> round(float(ronchi.power), 4)
        0.4375

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 4.4.
    """
    where = "binary_grating"
    _check.between(where, "duty", duty, 0, 1)
    numbers = dict(opd=opd, transmission=transmission, duty=duty, phi=phi, shift=shift)
    field, values, turns, width = _prepare(where, field, period, numbers)
    opd, clear, duty = (a[..., None, None] for a in values)
    share = _share(turns, width, duty)
    bar = cis(opd / field.wavelength[..., None, None])
    return modulate(field, share * bar + (1 - share) * clear)


def blazed_grating(
    field: AnyField,
    period: ArrayLike | str,
    *,
    opd: ArrayLike | str,
    levels: int | None = None,
    phi: ArrayLike = 0.0,
    shift: ArrayLike | str = 0.0,
) -> AnyField:
    r"""Diffracts a field at a sawtooth of optical path, smooth or in equal steps.

    .. math:: u' = u\,\exp\!\left[2\pi i\,\frac{\mathrm{OPD}}{\lambda}\,
        \mathrm{frac}\!\left(\frac{s}{\Lambda}\right)\right]

    With a path of one wavelength all light goes into the order +1 (toward +s); with N levels
    :math:`\mathrm{sinc}^2(1/N)` of it. Valid for a thin grating, and for several samples a
    period; the flank is as sharp as a sample.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        period: Period of the lines, ``(...)`` [µm].
        opd: Optical path from the foot to the top of a tooth, ``(...)`` [µm].
        levels: Number of steps; None for a smooth tooth.
        phi: Direction across the lines, from +x toward +y, ``(...)`` [rad].
        shift: Place of the foot of a tooth, ``(...)`` [µm].

    Returns:
        The field behind the grating, with the same power.

    Raises:
        TypeError: If ``field`` is not a field or ``levels`` is no integer.
        ValueError: If the period is not positive, a number not finite or shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> wave = plane_wave((4, 64), spacing=1.0, wavelength=0.5)
        >>> round(float(blazed_grating(wave, 8.0, opd=0.5).phase[0, 34]), 4)  # a quarter period
        1.5708

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 8.1 (diffractive elements).
    """
    where = "blazed_grating"
    if levels is not None:
        _check.integer(where, "levels", levels, 2)
    field, (opd,), turns, _ = _prepare(where, field, period, dict(opd=opd, phi=phi, shift=shift))
    nudge = 1e-4  # rounding of a place on a flank or a step
    tooth = turns - jnp.floor(turns + nudge)
    if levels is not None:
        tooth = jnp.floor(tooth * levels + nudge * levels) / levels
    return modulate(field, cis((opd / field.wavelength)[..., None, None] * tooth))


def sinusoidal_grating(
    field: AnyField,
    period: ArrayLike | str,
    *,
    opd: ArrayLike | str,
    phi: ArrayLike = 0.0,
    shift: ArrayLike | str = 0.0,
) -> AnyField:
    r"""Diffracts a field at a sinusoidal phase grating.

    .. math:: u' = u\,\exp\!\left[i\pi\,\frac{\mathrm{OPD}}{\lambda}\,
        \sin\!\left(2\pi\frac{s}{\Lambda}\right)\right]

    The order q gets :math:`J_q^2(\pi\,\mathrm{OPD}/\lambda)`. Valid for a thin grating.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        period: Period of the lines, ``(...)`` [µm].
        opd: Optical path from valley to crest, ``(...)`` [µm].
        phi: Direction across the lines, from +x toward +y, ``(...)`` [rad].
        shift: Place of the middle of a rising flank, ``(...)`` [µm].

    Returns:
        The field behind the grating, with the same power.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If the period is not positive, a number not finite or shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> wave = plane_wave((4, 64), spacing=1.0, wavelength=0.5)
        >>> round(float(sinusoidal_grating(wave, 8.0, opd=0.25).phase[0, 34]), 4)
        1.5708

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 4.4.4.
    """
    where = "sinusoidal_grating"
    field, (opd,), turns, _ = _prepare(where, field, period, dict(opd=opd, phi=phi, shift=shift))
    path = 0.5 * (opd / field.wavelength)[..., None, None] * jnp.imag(cis(turns))
    return modulate(field, cis(path))


KINDS = ("binary", "blazed", "sinusoidal")


def grating_efficiency(
    kind: str,
    order: int,
    opd: ArrayLike,
    *,
    wavelength: ArrayLike | str,
    transmission: ArrayLike = 1.0,
    duty: ArrayLike = 0.5,
    levels: int | None = None,
) -> Array:
    r"""Computes the share of the light that a thin grating sends into an order.

    .. math:: \eta_q^\text{binary} = \left|\left(e^{i\delta} - \tau\right) d\,
        \mathrm{sinc}(q d) + \tau\,\delta_{q0}\right|^2, \qquad
        \eta_q^\text{blazed} = \mathrm{sinc}^2\!\left(q - \tfrac{\delta}{2\pi}\right), \qquad
        \eta_q^\text{sine} = J_q^2(\delta/2)

    with :math:`\delta = 2\pi\,\mathrm{OPD}/\lambda`. For N levels the blazed one is multiplied by
    :math:`\mathrm{sinc}^2(q/N)`, and the first sinc becomes the sum over the levels. Valid for
    thin gratings.

    Args:
        kind: "binary", "blazed" or "sinusoidal".
        order: The order q of diffraction; of "sinusoidal" from -2 to 2.
        opd: Optical path of :func:`binary_grating` and its kin, ``(...)`` [µm].
        wavelength: Vacuum wavelength, ``(...)`` [µm].
        transmission: Amplitude transmission between the bars, ``(...)``.
        duty: Share of a period that is bar, ``(...)`` [none].
        levels: Number of steps of a blazed grating; None for a smooth one.

    Returns:
        The efficiency, ``(...)``.

    Raises:
        ValueError: If the kind is unknown or a number out of range.
        TypeError: If ``order`` or ``levels`` is no integer.

    Example:
        >>> round(float(grating_efficiency("blazed", 1, 0.5, wavelength=0.5, levels=4)), 4)
        0.8106

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 4.4 and 8.1.
    """
    where = "grating_efficiency"
    _check.choice(where, "kind", kind, KINDS)
    _check.integer(where, "order", order, -2 if kind == "sinusoidal" else -(10**6))
    wavelength = _check.wavelength(where, wavelength)
    _check.finite(where, "opd", opd)
    _check.between(where, "duty", duty, 0, 1)
    waves = jnp.asarray(opd) / jnp.asarray(wavelength)
    if kind == "sinusoidal":
        _check.integer(where, "order", order, -2, 2)
        bessel = (special.j0, special.j1, special.j2)[abs(order)]
        return bessel(jnp.pi * waves) ** 2
    if kind == "binary":
        bar = (cis(waves) - transmission) * duty * jnp.sinc(order * jnp.asarray(duty))
        total = bar + (transmission if order == 0 else 0)
        return jnp.real(total) ** 2 + jnp.imag(total) ** 2
    if levels is None:
        return jnp.sinc(order - waves) ** 2
    _check.integer(where, "levels", levels, 2)
    steps = np.arange(levels) / levels
    mean = jnp.mean(cis((waves[..., None] - order) * steps), axis=-1)
    power = jnp.real(mean) ** 2 + jnp.imag(mean) ** 2
    return power * np.sinc(order / levels) ** 2
