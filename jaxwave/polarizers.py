"""Polarizing elements: what turns, delays and sorts the transverse components of a vector field.

Every element is a Jones matrix that acts on (Ex, Ey) of collimated light. Angles go from +x toward
+y, and a positive phase is a delay (CONVENTIONS.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, grid, numerics
from jaxwave.field import VectorField, broadcast, with_parameters
from jaxwave.numerics import cis
from jaxwave.polarization import check_samples, collimated, jones_numbers


@numerics.program("where", "body", "fixed")
def _run(
    where: str, body: Callable[..., Any], field: VectorField, fixed: tuple = (), **numbers: Any
) -> Any:
    """An element whose numbers are one for the whole field: ``body`` gets them as planes."""
    field, values = with_parameters(where, field, **numbers)
    planes = (value[..., None, None] for value in values)
    return body(field, *fixed, **dict(zip(numbers, planes, strict=True)))


def _act(field: VectorField, matrix: tuple[tuple[ArrayLike, ArrayLike], ...]) -> VectorField:
    """The field behind a Jones matrix whose elements broadcast to ``(..., y, x)``."""
    (xx, xy), (yx, yy) = matrix
    x, y, z = (jnp.squeeze(part, -3) for part in jnp.split(field.u, 3, axis=-3))
    u = jnp.stack([xx * x + xy * y, yx * x + yy * y, jnp.zeros_like(z)], axis=-3)
    return field.replace(u=u.astype(field.dtype))


def _uniaxial(
    field: VectorField, mean: ArrayLike, difference: ArrayLike, double: Array
) -> VectorField:
    """Acts with ``mean`` plus ``difference`` [[c, s], [s, -c]], where ``double`` = c + i s.

    Everything that has one axis at the angle a is of this kind, with c + i s = exp(2 i a).
    """
    c, s = difference * double.real, difference * double.imag
    return _act(field, ((mean + c, s), (s, mean - c)))


def _half_turns(retardance: Array) -> tuple[Array, Array]:
    """Mean and difference of a retarder's two transmissions."""
    half = cis(retardance / (2 * numerics.TAU))
    return half.real, -1j * half.imag


def polarizer(field: VectorField, angle: ArrayLike, *, leakage: ArrayLike = 0.0) -> VectorField:
    r"""Passes light through a linear polarizer.

    .. math:: J = \mathbf a\mathbf a^\top + \sqrt{\epsilon}\,(1 - \mathbf a\mathbf a^\top),
        \qquad \mathbf a = (\cos\alpha, \sin\alpha)

    Valid for collimated light: E_z is dropped. :math:`\epsilon` is what an extinction ratio
    :math:`1/\epsilon : 1` tells; at zero its gradient counts as zero.

    Args:
        field: The vector field, ``(..., 3, y, x)``.
        angle: Transmission axis, from +x toward +y, ``(...)`` [rad].
        leakage: Share of the crossed light's power that passes, ``(...)`` [none].

    Returns:
        The field behind the polarizer.

    Raises:
        TypeError: If ``field`` is not a vector field.
        ValueError: If a number is out of range or the shapes do not fit.

    Example:
        >>> from jaxwave import plane_wave, polarize
        >>> wave = polarize(plane_wave((8, 8), spacing=0.5, wavelength=0.532), (1, 0))
        >>> round(float(polarizer(wave, jnp.pi / 3).power), 5)
        0.25

    References:
        E. Hecht, *Optics*, 5th ed., Sec. 8.2.1 (Malus's law) and 8.13.2.
    """
    where = "polarizer"
    field = collimated(where, field)
    _check.finite(where, "angle", angle, unit="rad")
    _check.between(where, "leakage", leakage, 0, 1)
    return _run(where, _polarizer, field, angle=angle, leakage=leakage)


def _polarizer(field: VectorField, angle: Array, leakage: Array) -> VectorField:
    leak = numerics.safe_sqrt(leakage)
    return _uniaxial(field, (1 + leak) / 2, (1 - leak) / 2, cis(2 * angle / numerics.TAU))


def retarder(field: VectorField, retardance: ArrayLike, angle: ArrayLike) -> VectorField:
    r"""Passes light through a linear retarder (wave plate).

    .. math:: J = \cos\tfrac\delta2 - i \sin\tfrac\delta2
        \begin{pmatrix} \cos 2\alpha & \sin 2\alpha \\ \sin 2\alpha & -\cos 2\alpha \end{pmatrix}

    Valid for collimated light: E_z is dropped. The mean path of the two axes is left out, so light
    along the fast axis is ahead by :math:`\delta/2`, across it behind by as much. A half-wave plate
    has :math:`\delta = \pi`, a quarter-wave plate :math:`\pi/2`: with its fast axis along x it
    turns light at +45° into the helicity +1. The retardance is that of every wavelength of a batch;
    a plate of the path difference d has ``2 * pi * d / field.wavelength``.

    Args:
        field: The vector field, ``(..., 3, y, x)``.
        retardance: Delay of the slow axis against the fast one, ``(...)`` [rad].
        angle: Fast axis, from +x toward +y, ``(...)`` [rad].

    Returns:
        The field behind the plate, with the same power.

    Raises:
        TypeError: If ``field`` is not a vector field or the axis is missing.
        ValueError: If a number is not finite or the shapes do not fit.

    Example:
        >>> from jaxwave import plane_wave, polarize
        >>> wave = polarize(plane_wave((8, 8), spacing=0.5, wavelength=0.532), (1, 0))
        >>> turned = retarder(wave, jnp.pi, jnp.pi / 4)
        >>> [round(float(jnp.abs(turned.u[k, 0, 0]) * 4), 4) for k in range(2)]
        [0.0, 1.0]

    References:
        E. Hecht, *Optics*, 5th ed., Sec. 8.7.1 and 8.13.2.
    """
    where = "retarder"
    field = collimated(where, field)
    _check.finite(where, "retardance", retardance, unit="rad")
    _check.finite(where, "angle", angle, unit="rad")
    return _run(where, _retarder, field, retardance=retardance, angle=angle)


def _retarder(field: VectorField, retardance: Array, angle: Array) -> VectorField:
    return _uniaxial(field, *_half_turns(retardance), cis(2 * angle / numerics.TAU))


def retarder_mask(field: VectorField, retardance: ArrayLike, angle: ArrayLike) -> VectorField:
    r"""Passes light through a retarder whose retardance and axis differ from sample to sample.

    .. math:: J(y, x) = \cos\tfrac\delta2 - i \sin\tfrac\delta2
        \begin{pmatrix} \cos 2\alpha & \sin 2\alpha \\ \sin 2\alpha & -\cos 2\alpha \end{pmatrix}

    Valid for a thin element in collimated light: a liquid-crystal panel, a birefringent sample.
    The mean path is left out, as in :func:`retarder`; add it with
    :func:`~jaxwave.masks.opd_mask`.

    Args:
        field: The vector field, ``(..., 3, y, x)``.
        retardance: Delay of the slow axis on the field's samples, ``(..., y, x)`` [rad].
        angle: Fast axis on the field's samples, from +x toward +y, ``(..., y, x)`` [rad].

    Returns:
        The field behind the element, with the same power.

    Raises:
        TypeError: If ``field`` is not a vector field or a map is complex.
        ValueError: If a map does not fit the field's samples or is not finite.

    Example:
        >>> from jaxwave import plane_wave, polarize
        >>> wave = polarize(plane_wave((4, 4), spacing=0.5, wavelength=0.532), (1, 0))
        >>> panel = retarder_mask(wave, jnp.full((4, 4), jnp.pi), jnp.zeros((4, 4)))
        >>> round(float(panel.power), 5)
        1.0

    References:
        M. J. Escuti, J. Kim, M. W. Kudenov, Opt. Photon. News 27(2), 22 (2016).
    """
    where = "retarder_mask"
    field = collimated(where, field)
    maps = []
    for name, value in (("retardance", retardance), ("angle", angle)):
        _check.at_least(where, name, value, 2, "(..., y, x)")
        _check.finite_array(where, name, value)
        value = _check.real_array(where, name, value, fix="Use jones_mask.")
        _check.same_grid(where, name, value.shape, field.shape)
        maps.append(value.astype(field.real_dtype))
    retardance, angle = maps
    shapes = {"retardance": retardance.shape[:-2], "angle": angle.shape[:-2]}
    batch = _check.broadcast(where, field=field.batch_shape, **shapes)
    return _patterned(field, retardance, angle, batch)


@numerics.program("batch")
def _patterned(field: VectorField, retardance: Array, angle: Array, batch: tuple) -> VectorField:
    return _retarder(broadcast(field, batch), retardance, angle)


def rotator(field: VectorField, angle: ArrayLike) -> VectorField:
    r"""Turns the polarization of light (optical activity, a Faraday rotator).

    .. math:: J = \begin{pmatrix} \cos\alpha & -\sin\alpha \\ \sin\alpha & \cos\alpha \end{pmatrix}

    Valid for collimated light: E_z is dropped. The picture stays as it is; only the direction of
    the field turns.

    Args:
        field: The vector field, ``(..., 3, y, x)``.
        angle: Angle from +x toward +y, ``(...)`` [rad].

    Returns:
        The field with its polarization turned, with the same power.

    Raises:
        TypeError: If ``field`` is not a vector field.
        ValueError: If the angle is not finite or its shape does not fit.

    Example:
        >>> from jaxwave import plane_wave, polarize
        >>> wave = polarize(plane_wave((8, 8), spacing=0.5, wavelength=0.532), (1, 0))
        >>> round(float(polarizer(rotator(wave, 0.3), 0.3).power), 5)
        1.0

    References:
        E. Hecht, *Optics*, 5th ed., Sec. 8.10.
    """
    where = "rotator"
    field = collimated(where, field)
    _check.finite(where, "angle", angle, unit="rad")
    return _run(where, _rotator, field, angle=angle)


def _rotator(field: VectorField, angle: Array) -> VectorField:
    turn = cis(angle / numerics.TAU)
    return _act(field, ((turn.real, -turn.imag), (turn.imag, turn.real)))


def q_plate(
    field: VectorField,
    q: float,
    *,
    retardance: ArrayLike = np.pi,
    angle: ArrayLike = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
) -> VectorField:
    r"""Passes light through a retarder whose axis turns with the azimuth (vortex retarder).

    .. math:: \alpha(\phi) = q\,\phi + \alpha_0

    in the matrix of :func:`retarder`. Valid for a thin element in collimated light. A half-wave
    plate flips the helicity: +1 leaves as -1 with the phase :math:`+2q\phi`, a vortex of the
    charge 2q, and -1 leaves with the charge -2q. q = 1/2 makes radial light of light along x. A
    sample on the center sees every axis and passes the mean, :math:`\cos(\delta/2)`.

    Args:
        field: The vector field, ``(..., 3, y, x)``.
        q: Turns of the axis in one turn of the azimuth, a multiple of 1/2.
        retardance: Delay of the slow axis, ``(...)`` [rad]; by default a half-wave plate.
        angle: Fast axis at the azimuth zero, from +x toward +y, ``(...)`` [rad].
        y: Center of the plate, ``(...)`` [µm].
        x: Center of the plate, ``(...)`` [µm].

    Returns:
        The field behind the plate, with the same power.

    Raises:
        TypeError: If ``field`` is not a vector field.
        ValueError: If ``q`` is no multiple of 1/2, a number is not finite or shapes do not fit.

    Example:
        >>> from jaxwave import plane_wave, polarize
        >>> wave = polarize(plane_wave((9, 9), spacing=0.5, wavelength=0.532), (1, 0))
        >>> radial = q_plate(wave, 0.5)
        >>> [round(float(jnp.abs(radial.u[k, 8, 4]) * 4.5), 3) for k in range(2)]
        [0.0, 1.0]

    References:
        L. Marrucci, C. Manzo, D. Paparo, Phys. Rev. Lett. 96, 163905 (2006).
    """
    where = "q_plate"
    field = collimated(where, field)
    check_charge(where, q)
    y, x = _check.length(where, "y", y), _check.length(where, "x", x)
    numbers = {"retardance": retardance, "angle": angle, "y": y, "x": x}
    for name, value in numbers.items():
        _check.finite(where, name, value)
    return _run(where, _q_plate, field, (round(2 * q),), **numbers)


def _q_plate(
    field: VectorField, order: int, retardance: Array, angle: Array, y: Array, x: Array
) -> VectorField:
    rows, columns = grid.sample_coordinates(field.shape, field.spacing)
    turn = _azimuth(columns - x, rows - y)
    turn = (turn if order >= 0 else turn.conj()) ** abs(order)
    double = cis(2 * angle / numerics.TAU) * turn
    return _uniaxial(field, *_half_turns(retardance), double)


def check_charge(where: str, q: object) -> None:
    """Requires a multiple of 1/2, known when the program is built."""
    if not isinstance(q, int | float | np.number) or 2 * q != np.round(2 * q):
        raise ValueError(f"{where}: `q` must be a multiple of 1/2, such as 0.5 or -1, got {q!r}.")


def _azimuth(x: Array, y: Array) -> Array:
    """exp(i phi), zero at the center."""
    square = x**2 + y**2
    center = square == 0
    scale = jnp.where(center, 0, 1 / jnp.sqrt(jnp.where(center, 1, square)))
    return jax.lax.complex(*jnp.broadcast_arrays(x * scale, y * scale))


def jones_mask(field: VectorField, jones: ArrayLike) -> VectorField:
    r"""Passes light through an element given by its Jones matrix.

    .. math:: \begin{pmatrix} E_x' \\ E_y' \end{pmatrix} =
        \begin{pmatrix} J_{xx} & J_{xy} \\ J_{yx} & J_{yy} \end{pmatrix}
        \begin{pmatrix} E_x \\ E_y \end{pmatrix}

    Valid for a thin element in collimated light: E_z is dropped. The matrix may differ from sample
    to sample: a metasurface, a patterned polarizer, a camera's pixels.

    Args:
        field: The vector field, ``(..., 3, y, x)``.
        jones: Matrix, shape ``(2, 2)`` or ``(..., 2, 2, y, x)``, rows first [none].

    Returns:
        The field behind the element.

    Raises:
        TypeError: If ``field`` is not a vector field.
        ValueError: If the matrix has another shape or is not finite.

    Example:
        >>> from jaxwave import plane_wave, polarize
        >>> wave = polarize(plane_wave((4, 4), spacing=0.5, wavelength=0.532), (1, 0))
        >>> jones_mask(wave, [[0, 1], [1, 0]]).u[:2, 0, 0].real.tolist()
        [0.0, 0.5]

    References:
        R. C. Jones, J. Opt. Soc. Am. 31, 488 (1941).
    """
    where = "jones_mask"
    field = collimated(where, field)
    j = jones_numbers(where, "jones", jones, field)
    if j.shape == (2, 2):
        j = j[..., None, None]
    if j.ndim < 4 or j.shape[-4:-2] != (2, 2):
        raise ValueError(
            f"{where}: `jones` must have the shape (2, 2) or the axes (..., 2, 2, y, x), got "
            f"{np.shape(jones)}. Put the axes of the matrix in front of those of the samples."
        )
    check_samples(where, j.shape, field)
    batch = _check.broadcast(where, field=field.batch_shape, jones=j.shape[:-4])
    return _multiply(field, j, batch)


@numerics.program("batch")
def _multiply(field: VectorField, j: Array, batch: tuple) -> VectorField:
    field = broadcast(field, batch)
    (xx, xy), (yx, yy) = (
        [jnp.squeeze(e, (-4, -3)) for e in jnp.split(row, 2, axis=-3)]
        for row in jnp.split(j, 2, axis=-4)
    )
    return _act(field, ((xx, xy), (yx, yy)))


def polarizing_beam_splitter(
    field: VectorField, *, angle: ArrayLike = 0.0, leakage: ArrayLike = 0.0
) -> tuple[VectorField, VectorField]:
    r"""Splits light into two orthogonal polarizations.

    .. math:: J_t = \sqrt{1-\epsilon}\,P + \sqrt\epsilon\,(1 - P), \qquad
        J_r = \sqrt\epsilon\,P + \sqrt{1-\epsilon}\,(1 - P), \qquad P = \mathbf a\mathbf a^\top

    Valid for collimated light: E_z is dropped. The powers of the two ports add up to that of the
    input. The mirror image of the reflected port is left out; see :func:`~jaxwave.edit.flip`.

    Args:
        field: The vector field, ``(..., 3, y, x)``.
        angle: Axis that is transmitted, from +x toward +y, ``(...)`` [rad].
        leakage: Share of the power that leaves by the wrong port, ``(...)`` [none].

    Returns:
        The transmitted and the reflected field.

    Raises:
        TypeError: If ``field`` is not a vector field.
        ValueError: If a number is out of range or the shapes do not fit.

    Example:
        >>> from jaxwave import plane_wave, polarize
        >>> wave = polarize(plane_wave((8, 8), spacing=0.5, wavelength=0.532), (0.6, 0.8))
        >>> [round(float(port.power), 4) for port in polarizing_beam_splitter(wave)]
        [0.36, 0.64]

    References:
        E. Hecht, *Optics*, 5th ed., Sec. 8.4.3 and 8.6.
    """
    where = "polarizing_beam_splitter"
    field = collimated(where, field)
    _check.finite(where, "angle", angle, unit="rad")
    _check.between(where, "leakage", leakage, 0, 1)
    return _run(where, _split, field, angle=angle, leakage=leakage)


def _split(field: VectorField, angle: Array, leakage: Array) -> tuple[VectorField, VectorField]:
    right, wrong = numerics.safe_sqrt(1 - leakage), numerics.safe_sqrt(leakage)
    mean, difference = (right + wrong) / 2, (right - wrong) / 2
    double = cis(2 * angle / numerics.TAU)
    return _uniaxial(field, mean, difference, double), _uniaxial(field, mean, -difference, double)
