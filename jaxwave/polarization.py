"""Polarized light: made of scalar light, and measured.

Angles go from +x toward +y; the helicity +1 is (1, i)/sqrt(2), a field that turns from +x toward +y
(CONVENTIONS.md). The elements that change the polarization are in ``polarizers``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, numerics
from jaxwave.edit import stack
from jaxwave.field import Field, VectorField, broadcast

AXIAL = 1e-3  # share of the power in Ez above which light is not collimated


def collimated(where: str, field: Any) -> VectorField:
    """Requires a vector field, and warns, where it is concrete, of one that is not collimated."""
    fix = "Give it a polarization first, with polarize(field, jones) or unpolarized(field)."
    _check.is_field(where, field, VectorField, fix=fix if type(field) is Field else "")
    if _check.is_concrete(field.u):
        u = np.asarray(field.u)
        z = u[..., 2, :, :]
        if z.any() and (axial := np.vdot(z, z).real) > AXIAL * (total := np.vdot(u, u).real):
            _check.warn(
                where,
                f"{axial / total:.2g} of the light is in Ez, which is dropped: a thin polarizing "
                "element acts on collimated light. Put it into a pupil, not into a focus.",
            )
    return field


# -- light of a polarization ---------------------------------------------------------------


def polarize(field: Field, jones: ArrayLike) -> VectorField:
    r"""Gives the light of a scalar field a polarization.

    .. math:: (E_x, E_y, E_z) = (e_x u,\ e_y u,\ 0)

    Valid for collimated light. A Jones vector of length one keeps the power; it may differ from
    sample to sample (radial light). :func:`jaxwave.psf.linear_polarization` and
    :func:`jaxwave.psf.circular_polarization` make Jones vectors.

    Args:
        field: The scalar field, ``(..., y, x)``.
        jones: Jones vector (ex, ey), shape ``(2,)`` or ``(..., 2, y, x)`` [none].

    Returns:
        The vector field, ``(..., 3, y, x)``.

    Raises:
        TypeError: If ``field`` is not a scalar field.
        ValueError: If ``jones`` has another shape or is not finite.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> wave = polarize(plane_wave((8, 8), spacing=0.5, wavelength=0.532), (0.6, 0.8j))
        >>> wave.u.shape, round(float(wave.power), 5)
        ((3, 8, 8), 1.0)

    References:
        E. Hecht, *Optics*, 5th ed., Sec. 8.13.1.
    """
    where = "polarize"
    _check.is_field(where, field, Field)
    if isinstance(field, VectorField):
        raise TypeError(
            f"{where}: `field` must be a scalar Field, got a VectorField, which has a polarization "
            "already. Change it with polarizer, retarder, rotator or jones_mask."
        )
    e = jones_numbers(where, "jones", jones, field)
    if e.shape == (2,):
        e = e[:, None, None]
    if e.ndim < 3 or e.shape[-3] != 2:
        need = "must be two numbers (ex, ey), or have the axes (..., 2, y, x)"
        raise ValueError(f"{where}: `jones` {need}, got the shape {np.shape(jones)}.")
    check_samples(where, e.shape, field)
    _check.broadcast(where, field=field.batch_shape, jones=e.shape[:-3])
    return _polarize(field, e)


@numerics.program()
def _polarize(field: Field, e: Array) -> VectorField:
    field = broadcast(field, np.broadcast_shapes(field.batch_shape, e.shape[:-3]))
    u = e * field.u[..., None, :, :]
    u = jnp.concatenate([u, jnp.zeros_like(u[..., :1, :, :])], axis=-3)
    return VectorField(u.astype(field.dtype), field.spacing, field.wavelength)


def unpolarized(field: Field) -> VectorField:
    r"""Makes unpolarized light of a scalar field, as two modes that do not interfere.

    .. math:: \mathbf E_1 = \frac{u}{\sqrt 2}\,\hat{\mathbf x}, \qquad
        \mathbf E_2 = \frac{u}{\sqrt 2}\,\hat{\mathbf y}

    Exact for collimated light. The modes are the first batch axis: propagate them as any field,
    and add what is quadratic in the field, ``field.intensity.sum(0)`` or ``stokes(field).sum(0)``.

    Args:
        field: The scalar field, ``(..., y, x)``.

    Returns:
        The vector field, ``(2, ..., 3, y, x)``, each mode with half the power.

    Raises:
        TypeError: If ``field`` is not a scalar field.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> from jaxwave.polarizers import polarizer
        >>> light = unpolarized(plane_wave((8, 8), spacing=0.5, wavelength=0.532))
        >>> [round(float(polarizer(light, angle).power.sum()), 5) for angle in (0.0, 1.0)]
        [0.5, 0.5]

    References:
        J. W. Goodman, *Statistical Optics*, 2nd ed., Sec. 4.3.
    """
    half = np.sqrt(0.5)
    return stack([polarize(field, np.array(jones)) for jones in ((half, 0.0), (0.0, half))])


def jones_numbers(where: str, name: str, value: ArrayLike, field: Field) -> Array:
    """Finite complex numbers of the field's precision."""
    _check.finite_array(where, name, value)
    return jnp.asarray(value).astype(field.dtype)


def check_samples(where: str, shape: tuple[int, ...], field: Field) -> None:
    """Requires Jones vectors or matrices on the field's samples, or one for all."""
    if shape[-2:] != (1, 1):
        _check.same_grid(where, "jones", shape, field.shape)


# -- read-outs -----------------------------------------------------------------------------

# The matrices whose means are the four Stokes parameters.
_PAULI = np.array([[[1, 0], [0, 1]], [[1, 0], [0, -1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]]])


def stokes(field: VectorField) -> Array:
    r"""Stokes parameters of a field on its samples.

    .. math:: S_0 = |E_x|^2 + |E_y|^2,\quad S_1 = |E_x|^2 - |E_y|^2,\quad
        S_2 = 2\,\mathrm{Re}(E_x^* E_y),\quad S_3 = 2\,\mathrm{Im}(E_x^* E_y)

    Exact for collimated light; E_z is left out. S3 is the power of the helicity +1 minus that of
    the helicity -1. Stokes parameters of light that does not interfere add up:
    ``stokes(field).sum(0)`` for the modes of :func:`unpolarized`.

    Args:
        field: The vector field, ``(..., 3, y, x)``.

    Returns:
        (S0, S1, S2, S3), ``(..., 4, y, x)`` [power/µm²].

    Raises:
        TypeError: If ``field`` is not a vector field.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> wave = plane_wave((2, 2), spacing=0.5, wavelength=0.532)
        >>> [round(float(s), 4) for s in stokes(polarize(wave, (0.6, 0.8j)))[:, 0, 0]]
        [1.0, -0.28, 0.0, 0.96]

    References:
        J. D. Jackson, *Classical Electrodynamics*, 3rd ed., Sec. 7.2, Eq. 7.27.
    """
    return _stokes(collimated("stokes", field))


@numerics.program()
def _stokes(field: VectorField) -> Array:
    x, y, _ = (jnp.squeeze(part, -3) for part in jnp.split(field.u, 3, axis=-3))
    px, py, cross = x.real**2 + x.imag**2, y.real**2 + y.imag**2, 2 * x.conj() * y
    return jnp.stack([px + py, px - py, cross.real, cross.imag], axis=-3)


def degree_of_polarization(stokes: ArrayLike) -> Array:
    r"""Degree of polarization of light given by its Stokes parameters.

    .. math:: p = \sqrt{S_1^2 + S_2^2 + S_3^2}\,/\,S_0

    Exact. One for every single mode; sum the parameters of modes that do not interfere first. Dark
    samples have the degree zero.

    Args:
        stokes: Stokes parameters, ``(..., 4, y, x)`` [power/µm²].

    Returns:
        Degree of polarization, ``(..., y, x)``, 0 to 1.

    Raises:
        ValueError: If axis -3 has not four entries.

    Example:
        >>> half = jnp.array([2.0, 1.0, 0.0, 0.0])[:, None, None]
        >>> degree_of_polarization(half).item()
        0.5

    References:
        J. W. Goodman, *Statistical Optics*, 2nd ed., Sec. 4.3.
    """
    s = _check.real_array("degree_of_polarization", "stokes", stokes)
    if s.ndim < 3 or s.shape[-3] != 4:
        raise ValueError(
            "degree_of_polarization: `stokes` must have the axes (..., 4, y, x), got the shape "
            f"{s.shape}. Use stokes(field)."
        )
    return _degree(s)


@numerics.program()
def _degree(s: Array) -> Array:
    total, *rest = (jnp.squeeze(part, -3) for part in jnp.split(s, 4, axis=-3))
    return numerics.share(numerics.safe_sqrt(jnp.sum(jnp.stack(rest) ** 2, axis=0)), total)


def mueller_matrix(system: Callable[[VectorField], VectorField], field: Field) -> Array:
    r"""Mueller matrix of an optical system, sample by sample.

    .. math:: \mathbf S_\mathrm{out}(y, x) = M(y, x)\,\mathbf s_\mathrm{in}, \qquad
        M_{ij} = \tfrac12 \mathrm{tr}\bigl(\sigma_i J \sigma_j J^\dagger\bigr)

    where :math:`\mathbf s_\mathrm{in}` are the Stokes parameters of the polarization that ``field``
    is given, normalized to :math:`s_0 = 1`, and J is what the system makes of its light along x
    and along y. Exact for every linear system. Matrices of modes that do not interfere add up.

    Args:
        system: What the light passes through, a function or a model from field to field.
        field: Light without polarization that the system is asked with, ``(..., y, x)``.

    Returns:
        The matrix, ``(..., 4, 4, y, x)`` [power/µm²].

    Raises:
        TypeError: If ``field`` is not a scalar field or the system does not return a vector field.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> wave = plane_wave((2, 2), spacing=0.5, wavelength=0.532)
        >>> from jaxwave.polarizers import polarizer
        >>> m = mueller_matrix(lambda light: polarizer(light, 0.0), wave)[..., 0, 0]
        >>> [[round(float(e), 3) for e in row] for row in m[:2]]
        [[0.5, 0.5, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]]

    References:
        C. F. Bohren and D. R. Huffman, *Absorption and Scattering of Light by Small Particles*,
        Sec. 2.11.6.
    """
    where = "mueller_matrix"
    columns = []
    for jones in ((1.0, 0.0), (0.0, 1.0)):
        out = system(polarize(field, np.array(jones)))
        if not isinstance(out, VectorField):
            raise TypeError(
                f"{where}: `system` must return a VectorField, got {type(out).__name__}."
            )
        columns.append(collimated(where, out).u[..., :2, :, :])
    return _mueller(columns[0], columns[1])


@numerics.program()
def _mueller(x: Array, y: Array) -> Array:
    j = jnp.stack([x, y], axis=-3)  # (..., row, column, y, x)
    sigma = _PAULI.astype(j.dtype)
    turn = "iab,...bcyx,jcd,...adyx->...ijyx"
    m = jnp.einsum(turn, sigma, j, sigma, j.conj(), precision="highest")
    return 0.5 * m.real
