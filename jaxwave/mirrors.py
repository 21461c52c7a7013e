"""Deformable mirrors: a path that answers linearly to commands."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, grid, numerics, sampling
from jaxwave.field import AnyField, Field
from jaxwave.masks import opd_mask


def deformable_mirror(
    field: AnyField,
    commands: ArrayLike,
    influence: ArrayLike,
    *,
    stroke: ArrayLike | None = None,
) -> AnyField:
    r"""Sends a field over a deformable mirror (unfolded).

    .. math:: \mathrm{OPD}(y, x) = \sum_k \min(\max(c_k, -s), s)\, g_k(y, x)

    Influence functions g are what one unit of a command does to the optical path: twice the height
    of the surface. They are measured, Gaussian (:func:`gaussian_influence`), or what
    :func:`~jaxwave.beads.fit_stacks` has found: with its ``fit`` and its modes,
    ``zernike_opd(fit.responses, modes, field.y / radius, field.x / radius)``. Valid for a
    membrane or facesheet whose actuators add up.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        commands: Command of every actuator, ``(..., K)`` [its unit].
        influence: Influence functions on the field's samples, ``(..., K, y, x)`` [µm per unit].
        stroke: Largest command either way, one number or ``(..., K)`` [the commands' unit]; what
            is beyond has no slope. None for no limit.

    Returns:
        The field behind the mirror, with the same power.

    Raises:
        TypeError: If ``field`` is not a field or a number is complex.
        ValueError: If the numbers of commands and influence functions differ, the stroke is not
            positive, something is not finite or the shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((9, 9), spacing=1.0, wavelength=0.5)
        >>> influence = gaussian_influence((9, 9), [(0, 0), (0, 4)], spacing=1.0, pitch=4.0)
        >>> phase = deformable_mirror(field, [0.1, 0.0], influence).phase
        >>> [round(float(p), 3) for p in phase[4, 4:]]
        [1.257, 1.116, 0.782, 0.432, 0.188]

    References:
        M. J. Booth, "Adaptive optical microscopy: the ongoing quest for a perfect image",
        Light Sci. Appl. 3, e165 (2014).
    """
    where = "deformable_mirror"
    _check.is_field(where, field, Field)
    check_mirror(where, commands, influence, stroke)
    commands = _check.real_array(where, "commands", commands)
    influence = _check.real_array(where, "influence", influence)
    _check.same_grid(where, "influence", influence.shape, field.shape)
    shapes = {"commands": commands.shape[:-1], "influence": influence.shape[:-3]}
    _check.broadcast(where, field=field.batch_shape, **shapes)
    if stroke is not None:
        stroke = numerics.number(stroke, field.real_dtype)
    reflected, path = _reflected(field, commands, influence, stroke)
    if _check.is_concrete(field.u, field.wavelength, path):
        waves = np.asarray(path) / np.min(np.asarray(field.wavelength))
        sampling.warn_slope(where, field, "the path", waves)
    return reflected


@numerics.program()
def _reflected(
    field: AnyField, commands: Array, influence: Array, stroke: Array | None
) -> tuple[AnyField, Array]:
    commands, influence = (a.astype(field.real_dtype) for a in (commands, influence))
    if stroke is not None:
        commands = jnp.clip(commands, -stroke, stroke)
    path = jnp.einsum("...k,...kyx->...yx", commands, influence, precision="highest")
    return opd_mask(field, path), path


def check_mirror(
    where: str, commands: ArrayLike, influence: ArrayLike, stroke: ArrayLike | None
) -> None:
    """One influence function for every command."""
    _check.at_least(where, "commands", commands, 1, "(..., K)")
    _check.at_least(where, "influence", influence, 3, "(..., K, y, x)")
    _check.finite_array(where, "commands", commands)
    _check.finite_array(where, "influence", influence)
    k, need = np.shape(commands)[-1], np.shape(influence)[-3]
    if k != need:
        raise ValueError(
            f"{where}: `commands` needs one number for each of the {need} influence functions, "
            f"got {k}."
        )
    if stroke is not None:
        _check.positive(where, "stroke", stroke)


def gaussian_influence(
    shape: tuple[int, int],
    centers: ArrayLike,
    *,
    spacing: ArrayLike | str,
    pitch: ArrayLike | str,
    coupling: ArrayLike = 0.15,
    peak: ArrayLike = 1.0,
) -> Array:
    r"""Influence functions of a mirror's actuators as Gaussian bumps.

    .. math:: g_k(y, x) = g_0\, c^{\,[(y - y_k)^2 + (x - x_k)^2] / p^2}

    Valid as a first model of facesheet mirrors; membranes need measured functions.

    Args:
        shape: Number of samples (ny, nx).
        centers: Places (y, x) of the actuators, ``(..., K, 2)`` [µm].
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        pitch: Distance of neighboring actuators, ``(...)`` [µm].
        coupling: What is left of a bump at its neighbor, ``(...)`` [none].
        peak: Optical path at the actuator for one unit of the command, twice the height, ``(...)``
            [µm per unit].

    Returns:
        Influence functions, ``(..., K, ny, nx)`` [µm per unit].

    Raises:
        TypeError: If a number is not real.
        ValueError: If the centers are not pairs, the coupling is not between zero and one, a length
            is not positive or the shapes do not fit.

    Example:
        >>> bumps = gaussian_influence((5, 5), [(0, 0), (0, 2)], spacing=1.0, pitch=2.0)
        >>> bumps.shape, round(float(bumps[0, 2, 4]), 3)
        ((2, 5, 5), 0.15)

    References:
        R. K. Tyson, *Principles of Adaptive Optics*, 4th ed., Ch. 6.
    """
    where = "gaussian_influence"
    shape = _check.grid_shape(where, shape)
    _check.at_least(where, "centers", centers, 2, "(..., K, 2)")
    if np.shape(centers)[-1] != 2:
        raise ValueError(
            f"{where}: `centers` must be places (y, x), (..., K, 2), got {np.shape(centers)}."
        )
    spacing = _check.length(where, "spacing", spacing)
    pitch = _check.length(where, "pitch", pitch)
    _check.finite(where, "centers", centers, unit="µm")
    for name, value, unit in (("spacing", spacing, "µm"), ("pitch", pitch, "µm")):
        _check.positive(where, name, value, unit=unit)
    _check.positive(where, "coupling", coupling)
    _check.between(where, "coupling", coupling, 0, 1)
    _check.finite(where, "peak", peak, unit="µm")
    dtype = jnp.result_type(float)
    numbers = [numerics.number(a, dtype) for a in (centers, pitch, coupling, peak)]
    return _bumps(shape, grid.spacing_pair(spacing, dtype), *numbers)


@numerics.program("shape")
def _bumps(
    shape: tuple[int, int], pair: Array, centers: Array, pitch: Array, coupling: Array, peak: Array
) -> Array:
    rows, columns = (a[..., None, :, :] for a in grid.sample_coordinates(shape, pair))
    places = centers[..., None, None]
    pitch, coupling, peak = (a[..., None, None, None] for a in (pitch, coupling, peak))
    square = (rows - places[..., 0, :, :]) ** 2 + (columns - places[..., 1, :, :]) ** 2
    return peak * jnp.exp(jnp.log(coupling) * square / pitch**2)
