"""Pupils: amplitudes, paths and polarizations as functions of the pupil coordinates.

(y, x) = s / na are the direction of the light in units of the aperture, so the rim is the unit
circle. Every function multiplies with every other; a pupil for the propagators is any function of
(y, x), for example ``lambda y, x: vortex(y, x) * gaussian_pupil(y, x, width=0.9)``.
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, grid
from jaxwave.numerics import cis
from jaxwave.psf.layers import floats, roots
from jaxwave.zernike import Modes, zernike_modes, zernike_opd

APODIZATIONS = ("aplanatic", "herschel", "none")


def _plane(where: str, y: ArrayLike, x: ArrayLike) -> tuple[Array, Array]:
    y, x = _check.real_array(where, "y", y), _check.real_array(where, "x", x)
    _check.broadcast(where, y=y.shape, x=x.shape)
    return jnp.broadcast_arrays(y, x)[0], jnp.broadcast_arrays(y, x)[1]


def pupil_coordinates(shape: tuple[int, int]) -> tuple[Array, Array]:
    r"""Coordinates of the samples of a pupil.

    .. math:: x_j = \frac{2\,(j - \lfloor N_x/2 \rfloor)}{N_x - 1}

    Valid for every size; the axis is the sample N // 2, and the disk just fits. These are the
    places that the propagators give to the samples of an array.

    Args:
        shape: Number of samples (ny, nx).

    Returns:
        y of shape ``(ny, 1)`` and x of shape ``(1, nx)`` [pupil radii].

    Raises:
        ValueError: If the shape is not two integers above one.

    Example:
        >>> y, x = pupil_coordinates((3, 5))
        >>> y.ravel().tolist(), x.tolist()
        ([-1.0, 0.0, 1.0], [[-1.0, -0.5, 0.0, 0.5, 1.0]])

    References:
        M. Gu, *Advanced Optical Imaging Theory*, Sec. 6.2.
    """
    ny, nx = _check.grid_shape("pupil_coordinates", shape)
    if min(ny, nx) < 2:
        raise ValueError(
            f"pupil_coordinates: `shape` must be at least (2, 2), got {(ny, nx)}. A pupil of one "
            "sample has no rim."
        )
    y, x = 2 * grid.indices(ny) / (ny - 1), 2 * grid.indices(nx) / (nx - 1)
    return jnp.asarray(y[:, None], float), jnp.asarray(x[None, :], float)


# -- paths and amplitudes ------------------------------------------------------------------


def zernike_pupil(
    y: ArrayLike,
    x: ArrayLike,
    *,
    coefficients: ArrayLike,
    modes: Modes,
    wavelength: ArrayLike | str,
    convention: str | None = None,
) -> Array:
    r"""Pupil with an aberration given by Zernike modes.

    .. math:: P = \exp\!\left[\frac{2\pi i}{\lambda} \sum_j c_j Z_j(x, y)\right]

    with modes that are orthonormal on the disk. Valid for every mode and coefficient. The
    coordinate is sin(theta), as in an objective that obeys the sine condition.

    Args:
        y: Pupil coordinate, broadcasts to ``(..., y, x)`` [pupil radii].
        x: Pupil coordinate, broadcasts to ``(..., y, x)`` [pupil radii].
        coefficients: Path differences, ``(..., modes)`` [µm].
        modes: Pairs (n, m), or single numbers of the ``convention``.
        wavelength: Vacuum wavelength, scalar [µm].
        convention: "osa", "noll" or "fringe" for single numbers; None for pairs.

    Returns:
        Transmission of modulus one, ``(..., y, x)`` [none].

    Raises:
        TypeError: If a mode is a bare number and there is no convention.
        ValueError: If the numbers of coefficients and modes differ or a mode does not exist.

    Example:
        >>> p = zernike_pupil(1.0, 0.0, coefficients=[0.05], modes=[4], convention="noll",
        ...                   wavelength=0.5)
        >>> round(float(jnp.angle(p)), 4)
        1.0883

    References:
        M. Born and E. Wolf, *Principles of Optics*, 7th ed., Sec. 9.2.
    """
    where = "zernike_pupil"
    wavelength = _check.wavelength(where, wavelength)
    pairs: Any = modes
    if convention is not None:
        pairs = zernike_modes(pairs, convention=convention)
    _check.finite_array(where, "coefficients", coefficients)
    return cis(zernike_opd(coefficients, pairs, y, x) / jnp.asarray(wavelength))


def vortex(y: ArrayLike, x: ArrayLike, *, charge: int = 1) -> Array:
    r"""Spiral phase plate.

    .. math:: P = e^{i m \phi}

    with the azimuth from +x toward +y. Exact but on the axis, where it is zero. Light of the
    helicity sign(m), :func:`circular_polarization`, has a dark center at the focus (the donut of
    STED microscopy, charge one); that of the opposite helicity has a bright one, made by the
    axial component: 0.797 of the peak at a numerical aperture of 1.3 in an index of 1.5 (of a
    uniform reference sphere, ``apodization="herschel"``; 0.765 for the aplanatic lens).

    Args:
        y: Pupil coordinate, broadcasts to ``(..., y, x)`` [pupil radii].
        x: Pupil coordinate, broadcasts to ``(..., y, x)`` [pupil radii].
        charge: Turns of phase in one turn of the azimuth.

    Returns:
        Transmission, ``(..., y, x)`` [none].

    Raises:
        TypeError: If the charge is not an integer.

    Example:
        >>> vortex(jnp.array([0.0, 1.0]), jnp.array([1.0, 0.0])).tolist()
        [(1+0j), 1j]

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 3.6; S. W. Hell and
        J. Wichmann, Opt. Lett. 19, 780 (1994).
    """
    if not _check.is_integer(charge):
        raise TypeError(f"vortex: `charge` must be an integer, got {charge!r}.")
    y, x = _plane("vortex", y, x)
    square = x * x + y * y
    center = square == 0
    turn = jnp.where(center, 0, (x + 1j * y) / jnp.sqrt(jnp.where(center, 1, square)))
    return (turn if charge >= 0 else turn.conj()) ** abs(charge) if charge else jnp.ones_like(turn)


def half_moon(y: ArrayLike, x: ArrayLike, *, angle: ArrayLike = 0.0) -> Array:
    r"""Phase step of half a wave across a diameter.

    .. math:: P = \operatorname{sign}(x\cos\alpha + y\sin\alpha)

    Exact; samples on the diameter get the mean, zero, so that odd grids stay symmetric. The
    scalar focus of a step along y (angle zero) has a dark line x = 0. With light polarized along y
    its middle stays dark at every aperture; along x the axial component fills it.

    Args:
        y: Pupil coordinate, broadcasts to ``(..., y, x)`` [pupil radii].
        x: Pupil coordinate, broadcasts to ``(..., y, x)`` [pupil radii].
        angle: Direction in which the sign becomes positive, from +x toward +y, ``(...)`` [rad].

    Returns:
        Transmission, ``(..., y, x)`` [none].

    Raises:
        TypeError: If a coordinate is complex.

    Example:
        >>> half_moon(0.0, jnp.array([-0.5, 0.0, 0.5])).tolist()
        [-1.0, 0.0, 1.0]

    References:
        E. Rittweger et al., Nature Photonics 3, 144 (2009); T. A. Klar et al., Phys. Rev. E 64,
        066613 (2001).
    """
    y, x = _plane("half_moon", y, x)
    _check.finite("half_moon", "angle", angle, unit="rad")
    turn = cis(jnp.asarray(angle, x.dtype)[..., None, None] / (2 * math.pi))
    turn = turn if jnp.ndim(angle) else turn[0, 0]
    return jnp.sign(x * turn.real + y * turn.imag)


def top_hat(
    y: ArrayLike, x: ArrayLike, *, radius: ArrayLike = 0.5**0.5, phase: ArrayLike = math.pi
) -> Array:
    r"""Phase disk in the middle of the pupil.

    .. math:: P = \begin{cases} e^{i\varphi} & \rho < r \\ 1 & \text{outside} \end{cases}

    Exact. With half a wave inside the radius :math:`1/\sqrt 2`, half the area of the pupil, the
    focus is dark in the paraxial limit (the bottle of 3-D STED). The propagators find the step if
    the radius is known; pass ``nodes=PolarNodes(breaks=(radius,))`` if it is traced.

    Args:
        y: Pupil coordinate, broadcasts to ``(..., y, x)`` [pupil radii].
        x: Pupil coordinate, broadcasts to ``(..., y, x)`` [pupil radii].
        radius: Radius of the disk, scalar (shape ``()``), a part of the pupil's [µm / µm].
        phase: Phase of the disk, scalar (shape ``()``) [rad].

    Returns:
        Transmission, ``(..., y, x)`` [none].

    Raises:
        TypeError: If a coordinate is complex.

    Example:
        >>> top_hat(jnp.array([0.2, 0.9]), 0.0).real.round(6).tolist()
        [-1.0, 1.0]

    References:
        T. A. Klar et al., "Fluorescence microscopy with diffraction resolution barrier broken by
        stimulated emission", PNAS 97, 8206 (2000).
    """
    y, x = _plane("top_hat", y, x)
    _check.positive("top_hat", "radius", radius)
    _check.finite("top_hat", "phase", phase, unit="rad")
    inside = x * x + y * y < jnp.asarray(radius, x.dtype) ** 2
    return jnp.where(inside, cis(jnp.asarray(phase, x.dtype) / (2 * math.pi)), 1)


def gaussian_pupil(y: ArrayLike, x: ArrayLike, *, width: ArrayLike) -> Array:
    r"""Gaussian envelope of a laser beam that fills the pupil.

    .. math:: P = e^{-\rho^2/w^2}

    Valid for a beam on the axis. Its power is a part of that of a clear pupil; multiply to
    normalize.

    Args:
        y: Pupil coordinate, broadcasts to ``(..., y, x)`` [pupil radii].
        x: Pupil coordinate, broadcasts to ``(..., y, x)`` [pupil radii].
        width: Radius where the amplitude is 1/e, scalar (shape ``()``) [pupil radii].

    Returns:
        Amplitude, ``(..., y, x)`` [none].

    Raises:
        ValueError: If the width is not positive.

    Example:
        >>> round(float(gaussian_pupil(1.0, 0.0, width=1.0)), 4)
        0.3679

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 3.6, Eq. 3.52 (filling factor).
    """
    _check.positive("gaussian_pupil", "width", width)
    y, x = _plane("gaussian_pupil", y, x)
    return jnp.exp(-(x * x + y * y) / jnp.asarray(width, x.dtype) ** 2)


def apodization(s: ArrayLike, n: ArrayLike, *, kind: str = "aplanatic") -> Array:
    r"""Amplitude of a ray that a lens makes of a uniform pupil, per area of s.

    .. math:: a(s)\,d^2s = a(s)\,n^2 \cos\theta\,d\Omega, \qquad
        a = \cos^{-1/2}\theta\ (\text{aplanatic}), \quad \cos^{-1}\theta\ (\text{Herschel}),
        \quad 1\ (\text{none})

    Per solid angle these are the factors :math:`\cos^{1/2}\theta`, 1 and :math:`\cos\theta` of
    the textbooks on focusing. The aplanatic factor is also the one of emission, where a wave of
    the amplitude :math:`E_\infty` becomes :math:`E_\infty\cos^{-1/2}\theta` in the back focal
    plane, and with it every ray carries the power of its pupil area. Valid for lenses that obey
    the sine (aplanatic) or the Herschel condition; "none" is Fourier optics, whose focus is the
    Airy pattern.

    Args:
        s: Transverse direction n sin(theta), ``(...)`` [none].
        n: Refractive index of the immersion, ``(...)``.
        kind: "aplanatic", "herschel" or "none".

    Returns:
        The factor, ``(...)`` [none]; zero from s = n on (but "none").

    Raises:
        ValueError: If ``kind`` is none of the three.
        TypeError: If a value is not a real number.

    Example:
        >>> apodization(0.8, 1.0).round(4).item()
        1.2910000085830688

    References:
        B. Richards and E. Wolf, Proc. R. Soc. A 253, 358 (1959), Eq. 2.13; M. Gu, *Advanced
        Optical Imaging Theory*, Sec. 6.3.
    """
    _check.choice("apodization", "kind", kind, APODIZATIONS)
    s, n = floats("apodization", s=s, n=n)
    if kind == "none":
        return jnp.ones_like(s * n)
    cos = roots(s, n)[0] / n
    inside = cos > 0
    safe = jnp.where(inside, cos, 1)
    return jnp.where(inside, 1 / (jnp.sqrt(safe) if kind == "aplanatic" else safe), 0)


# -- polarization --------------------------------------------------------------------------


def linear_polarization(angle: ArrayLike) -> Array:
    r"""Jones vector of linear polarization.

    .. math:: \mathbf e = (\cos\alpha, \sin\alpha)

    Exact.

    Args:
        angle: Direction from +x toward +y, ``(...)`` [rad].

    Returns:
        The vector, ``(..., 2)``, complex [none].

    Raises:
        TypeError: If the angle is complex.

    Example:
        >>> linear_polarization(math.pi / 2).round(6).real.tolist()
        [0.0, 1.0]

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 2.12.
    """
    turn = cis(_check.real_array("linear_polarization", "angle", angle) / (2 * math.pi))
    return jnp.stack([turn.real, turn.imag], axis=-1) + 0j


def circular_polarization(helicity: int) -> Array:
    r"""Jones vector of circular polarization.

    .. math:: \mathbf e = (1, \pm i)/\sqrt 2

    Exact. With exp(-i omega t) and helicity +1 the field turns from +x toward +y: seen against
    the light, counterclockwise (with x to the right and y upward), which is called left-handed
    in optics.

    Args:
        helicity: +1 or -1.

    Returns:
        The vector, ``(2,)``, complex [none].

    Raises:
        ValueError: If the helicity is neither.

    Example:
        >>> bool(jnp.allclose(circular_polarization(-1), jnp.array([1, -1j]) / 2**0.5))
        True

    References:
        J. D. Jackson, *Classical Electrodynamics*, 3rd ed., Sec. 7.2.
    """
    if helicity not in (1, -1):
        raise ValueError(f"circular_polarization: `helicity` must be 1 or -1, got {helicity!r}.")
    return jnp.array([1, 1j * helicity]) * math.sqrt(0.5)


def radial_polarization(y: ArrayLike, x: ArrayLike) -> Array:
    r"""Radially polarized pupil.

    .. math:: \mathbf e = (\cos\phi, \sin\phi)

    Exact but on the axis, where it is zero. Its focus has a strong axial component.

    Args:
        y: Pupil coordinate, broadcasts to ``(y, x)`` [pupil radii].
        x: Pupil coordinate, broadcasts to ``(y, x)`` [pupil radii].

    Returns:
        Components x and y, ``(2, y, x)`` [none].

    Raises:
        TypeError: If a coordinate is complex.

    Example:
        >>> e = radial_polarization(jnp.array([[4.0]]), jnp.array([[3.0]]))
        >>> [round(float(v), 4) for v in e.ravel()]
        [0.6, 0.8]

    References:
        R. Dorn, S. Quabis and G. Leuchs, Phys. Rev. Lett. 91, 233901 (2003); L. Novotny and
        B. Hecht, *Principles of Nano-Optics*, Sec. 3.7.
    """
    turn = vortex(*_plane("radial_polarization", y, x))
    return jnp.stack([turn.real, turn.imag])


def azimuthal_polarization(y: ArrayLike, x: ArrayLike) -> Array:
    r"""Azimuthally polarized pupil.

    .. math:: \mathbf e = (-\sin\phi, \cos\phi)

    Exact but on the axis, where it is zero. Its focus is a dark-centered ring without an axial
    component.

    Args:
        y: Pupil coordinate, broadcasts to ``(y, x)`` [pupil radii].
        x: Pupil coordinate, broadcasts to ``(y, x)`` [pupil radii].

    Returns:
        Components x and y, ``(2, y, x)`` [none].

    Raises:
        TypeError: If a coordinate is complex.

    Example:
        >>> azimuthal_polarization(jnp.array([[0.0]]), jnp.array([[1.0]])).ravel().tolist()
        [-0.0, 1.0]

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 3.7.
    """
    turn = vortex(*_plane("azimuthal_polarization", y, x))
    return jnp.stack([-turn.imag, turn.real])
