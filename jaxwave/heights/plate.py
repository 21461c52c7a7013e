"""What a height does to light: its path at every wavelength, and what a wave's height is."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, numerics
from jaxwave.materials import Material, refractive_index


def step(
    where: str, material: str | Material | ArrayLike, wavelength: ArrayLike | str, medium: Any
) -> Array:
    """Index of a plate above that of its medium, at each wavelength."""
    wavelength = _check.wavelength(where, wavelength)
    _check.positive(where, "medium", medium)
    if isinstance(material, str | Material):
        index = refractive_index(material, wavelength)
    else:
        _check.positive(where, "material", material)
        index = numerics.number(material, jnp.result_type(float))
    _check.broadcast(where, material=jnp.shape(index), wavelength=np.shape(wavelength))
    difference = index - numerics.number(medium, jnp.result_type(float))
    fix = "A plate that has the index of its medium does nothing."
    _check.nonzero(where, "material", difference, fix=fix)
    return difference


def opd(
    height: ArrayLike,
    material: str | Material | ArrayLike,
    *,
    wavelength: ArrayLike | str,
    medium: ArrayLike = 1.0,
) -> Array:
    r"""Path that a plate's relief adds at each wavelength.

    .. math:: \mathrm{OPD}(\lambda, y, x) = [n(\lambda) - n_m]\,h(y, x)

    Valid for a thin relief: rays hardly move sideways within it. The phase is
    :math:`2\pi\,\mathrm{OPD}/\lambda`, so a height that is one wave at its design wavelength is
    :math:`\frac{\lambda_0}{\lambda}\frac{n - n_m}{n_0 - n_m}` waves at another.

    Args:
        height: Height of the relief, ``(..., y, x)`` [µm].
        material: A name of :func:`jaxwave.materials`, a :class:`~jaxwave.Material`, or the index
            at each wavelength, ``(...)`` [none].
        wavelength: Vacuum wavelength, ``(...)`` [µm]: one axis of wavelengths stands in front of
            the axes y and x.
        medium: Index of what fills the relief, scalar or ``(...)`` [none].

    Returns:
        The path, ``(..., y, x)`` [µm]; batch axes of heights and wavelengths broadcast.

    Raises:
        TypeError: If the heights are complex.
        ValueError: If a wavelength is outside the material's range, the height not finite or the
            shapes do not fit.

    Example:
        >>> path = opd(jnp.ones((4, 5)), "fused silica", wavelength=[0.46, 0.64])
        >>> path.shape, round(float(path[0, 0, 0]), 4)
        ((2, 4, 5), 0.4648)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 6.1; V. Sitzmann et al., "End-to-end
        optimization of optics and image processing", ACM Trans. Graph. 37, 114 (2018).
    """
    where = "opd"
    _check.at_least(where, "height", height, 2, "(..., y, x)")
    height = _check.real_array(where, "height", height)
    _check.finite_array(where, "height", height)
    rise = step(where, material, wavelength, medium)
    _check.broadcast(where, wavelength=jnp.shape(rise), height=height.shape[:-2])
    return _path(height, rise)


@numerics.program()
def _path(height: Array, rise: Array) -> Array:
    return rise.astype(height.dtype)[..., None, None] * height


def wave_height(
    material: str | Material | ArrayLike, *, wavelength: ArrayLike | str, medium: ArrayLike = 1.0
) -> Array:
    r"""Height that delays a wavelength by one wave.

    .. math:: h_\lambda = \frac{\lambda}{n(\lambda) - n_m}

    Valid for a thin relief.

    Args:
        material: A name of :func:`jaxwave.materials`, a :class:`~jaxwave.Material`, or the index
            at each wavelength, ``(...)`` [none].
        wavelength: Vacuum wavelength, ``(...)`` [µm].
        medium: Index of what fills the relief, scalar or ``(...)`` [none].

    Returns:
        The height, ``(...)`` [µm]; negative where the medium's index is the higher one.

    Raises:
        ValueError: If a wavelength is outside the material's range or the indices are equal.

    Example:
        >>> round(float(wave_height("fused silica", wavelength="550 nm")), 4)
        1.1959

    References:
        D. C. O'Shea et al., *Diffractive Optics*, SPIE Press (2004), Ch. 4.
    """
    wavelength = _check.wavelength("wave_height", wavelength)
    rise = step("wave_height", material, wavelength, medium)
    return jnp.asarray(numerics.number(wavelength, rise.dtype) / rise)


def wrap(height: ArrayLike, depth: ArrayLike) -> Array:
    r"""Takes whole depths off a relief: what a Fresnel lens is to a lens.

    .. math:: h' = h - d\,\lfloor h/d \rfloor, \qquad 0 \le h' < d

    The derivative with respect to the height is one everywhere. Valid as a
    diffractive plate where d is a whole number of waves (:func:`wave_height` times the order); at
    other wavelengths the efficiency falls and other orders appear by themselves.

    Args:
        height: Heights, ``(..., y, x)`` [µm].
        depth: Depth of the relief, scalar or of a shape ``(...)`` that broadcasts [µm].

    Returns:
        Heights from zero to the depth, ``(..., y, x)`` [µm].

    Raises:
        TypeError: If something is complex.
        ValueError: If the depth is zero or something not finite.

    Example:
        >>> wrap([[0.25, 1.5, -0.25]], 1.0).tolist()
        [[0.25, 0.5, 0.75]]

    References:
        D. A. Buralli, G. M. Morris and J. R. Rogers, "Optical performance of holographic
        kinoforms", Appl. Opt. 28, 976 (1989).
    """
    where = "wrap"
    height = _check.real_array(where, "height", height)
    _check.finite_array(where, "height", height)
    _check.nonzero(where, "depth", depth, unit="µm")
    return folded(height, _check.real_array(where, "depth", depth))


@numerics.program()
def folded(height: Array, depth: Array) -> Array:
    """:func:`wrap` of what was checked."""
    height = jnp.asarray(height)
    depth = jnp.asarray(depth, height.dtype)
    return height - depth * lax.stop_gradient(jnp.floor(height / depth))
