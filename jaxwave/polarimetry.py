"""What polarization is left: Stokes parameters, degree of polarization, Mueller matrices."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, numerics
from jaxwave.field import Field, VectorField
from jaxwave.polarization import collimated, polarize

# The matrices whose means are the four Stokes parameters.
_PAULI = np.array([[[1, 0], [0, 1]], [[1, 0], [0, -1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]]])


def stokes(field: VectorField) -> Array:
    r"""Stokes parameters of a field on its samples.

    .. math:: S_0 = |E_x|^2 + |E_y|^2,\quad S_1 = |E_x|^2 - |E_y|^2,\quad
        S_2 = 2\,\mathrm{Re}(E_x^* E_y),\quad S_3 = 2\,\mathrm{Im}(E_x^* E_y)

    Exact for collimated light; E_z is left out. S3 is the power of the helicity +1 minus that of
    the helicity -1. Stokes parameters of light that does not interfere add up:
    ``stokes(field).sum(0)`` for the modes of :func:`~jaxwave.polarization.unpolarized`.

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
    field = collimated("stokes", field)
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
    total, *rest = (jnp.squeeze(part, -3) for part in jnp.split(s, 4, axis=-3))
    lit = total > 0
    return jnp.where(
        lit, numerics.safe_sqrt(sum(part**2 for part in rest)) / jnp.where(lit, total, 1), 0
    )


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
        >>> from jaxwave.polarization import polarizer
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
        out = system(polarize(field, jones))
        if not isinstance(out, VectorField):
            raise TypeError(
                f"{where}: `system` must return a VectorField, got {type(out).__name__}."
            )
        columns.append(collimated(where, out).u[..., :2, :, :])
    j = jnp.stack(columns, axis=-3)  # (..., row, column, y, x)
    sigma = _PAULI.astype(j.dtype)
    turn = "iab,...bcyx,jcd,...adyx->...ijyx"
    m = jnp.einsum(turn, sigma, j, sigma, j.conj(), precision="highest")
    return 0.5 * m.real
