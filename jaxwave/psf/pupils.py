"""Pupils: amplitudes, paths and polarizations as functions of the pupil coordinates.

(y, x) = s / na are the direction of the light in units of the aperture, so the rim is the unit
circle. Every function multiplies with every other; a pupil for the propagators is any function of
(y, x), for example ``lambda y, x: vortex(y, x) * gaussian_pupil(y, x, width=0.9)``.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.tree_util import Partial
from jax.typing import ArrayLike

from jaxwave import _check, grid
from jaxwave._noun import noun, number, settle, static
from jaxwave.numerics import cis
from jaxwave.zernike import Mode, zernike_modes, zernike_norm, zernike_opd


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
    modes: Sequence[tuple[int, int]] | Sequence[int],
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
    turn = cis(jnp.asarray(angle, x.dtype)[..., None, None] / (2 * math.pi))
    turn = turn if jnp.ndim(angle) else turn[0, 0]
    return jnp.sign(x * turn.real + y * turn.imag)


def top_hat(
    y: ArrayLike, x: ArrayLike, *, radius: ArrayLike = 0.5**0.5, phase: ArrayLike = math.pi
) -> Array:
    r"""Phase disk in the middle of the pupil.

    .. math:: P = \begin{cases} e^{i\varphi} & \rho < r \ 1 & \text{outside} \end{cases}

    Exact. With half a wave inside the radius :math:`1/\sqrt 2`, half the area of the pupil, the
    focus is dark in the paraxial limit (the bottle of 3-D STED). For spectral accuracy pass
    ``nodes=PolarNodes(breaks=(radius,))`` to the propagator.

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


# -- pupils that choose their solver -------------------------------------------------------


def checked_modes(
    where: str, coefficients: Any, modes: Sequence[Any], convention: str | None
) -> tuple[Any, tuple[Mode, ...]]:
    """Coefficients ``(..., modes)`` and pairs (n, m); None and () together."""
    if (coefficients is None) != (len(modes) == 0):
        raise ValueError(
            f"{where}: `coefficients` [µm] and `modes` must come together, got "
            f"{'no' if coefficients is None else 'only'} coefficients."
        )
    if coefficients is None:
        return None, ()
    if convention is not None:
        modes = zernike_modes(modes, convention=convention)
    if any(_check.is_integer(mode) for mode in modes):
        raise TypeError(
            f"{where}: `modes` has the number {modes[0]} without its convention. Pass pairs "
            "(n, m), or convention='osa', 'noll' or 'fringe'."
        )
    pairs = tuple((int(n), int(m)) for n, m in modes)
    for n, m in pairs:
        zernike_norm(n, m)
    _check.finite_array(where, "coefficients", coefficients)
    coefficients = number(where, "coefficients", coefficients)
    if jnp.shape(coefficients)[-1:] != (len(pairs),):
        raise ValueError(
            f"{where}: `coefficients` must have one number for each of the {len(pairs)} modes on "
            f"the last axis, got the shape {jnp.shape(coefficients)}."
        )
    return coefficients, pairs


@noun
class RadialPupil:
    r"""A circularly symmetric pupil.

    .. math:: P(\rho)\,e^{-\rho^2/w^2}\,e^{2\pi i W(\rho)/\lambda}, \qquad \rho = s/\mathrm{NA}

    Valid where nothing depends on the azimuth; the radial solver integrates it, 10 to 100 times
    faster than any other pupil. Every number is a leaf; leading axes are batch axes.

    Args:
        profile: Amplitude P, real or complex, as a function of rho (an array of any shape), or its
            samples ``(..., samples)`` [none] at rho = 0 ... 1 in equal steps (interpolated by
            cubics: four samples or more); None for a clear pupil. A function must not depend on
            other batch axes.
        coefficients: Path differences of ``modes``, ``(..., modes)`` [µm].
        modes: Zernike modes (n, 0), or single numbers of the ``convention``.
        filling: Radius w where a Gaussian beam's amplitude is 1/e, ``(...)`` [pupil radii].
        convention: "osa", "noll" or "fringe" for single numbers; None for pairs.

    Raises:
        ValueError: If a mode depends on the azimuth, the filling is not positive, or a shape does
            not fit.
        TypeError: If a value is not a number.

    Example:
        >>> RadialPupil(coefficients=[0.05], modes=[(4, 0)]).modes
        ((4, 0),)

    References:
        B. Richards and E. Wolf, Proc. R. Soc. A 253, 358 (1959).
    """

    _: KW_ONLY
    profile: Callable[[Array], Array] | ArrayLike | None = None
    coefficients: ArrayLike | None = None
    modes: Sequence[Mode] = static(default=())
    filling: ArrayLike | None = None
    convention: str | None = static(default=None)

    def __post_init__(self) -> None:
        where = "RadialPupil"
        c, modes = checked_modes(where, self.coefficients, self.modes, self.convention)
        skew = [mode for mode in modes if mode[1]]
        if skew:
            raise ValueError(
                f"{where}: `modes` must be circularly symmetric, (n, 0), got {skew[0]}. Use "
                "ZernikePupil for other modes."
            )
        filling = self.filling
        if filling is not None:
            _check.positive(where, "filling", filling)
            filling = number(where, "filling", filling)
        profile = _profile(where, self.profile)
        settle(self, profile=profile, coefficients=c, modes=modes, filling=filling, convention=None)


def _profile(where: str, profile: Any) -> Any:
    if profile is None or isinstance(profile, Partial):
        return profile
    if callable(profile):
        return Partial(profile)
    if jnp.shape(profile)[-1:] < (4,):
        raise ValueError(
            f"{where}: `profile` must have at least 4 samples (..., samples) from rho = 0 to 1, "
            f"got the shape {jnp.shape(profile)}."
        )
    _check.finite_array(where, "profile", profile)
    return jnp.asarray(profile)


@noun
class JonesPupil:
    r"""A pupil that acts on polarization: one factor for each Cartesian component.

    .. math:: (E_x, E_y) \to (P_x E_x,\ P_y E_y)

    Valid for pupils that do not mix the components.

    Args:
        factors: A function of (y, x) [pupil radii] that makes ``(2, y, x)``, such as
            :func:`radial_polarization`, or samples ``(..., 2, y, x)`` [none] on
            :func:`pupil_coordinates`; first the factor of x, then that of y.

    Raises:
        ValueError: If samples have no axis of two before (y, x).

    Example:
        >>> JonesPupil(jnp.ones((2, 33, 33))).factors.shape
        (2, 33, 33)

    References:
        J. W. Goodman, *Statistical Optics*, Sec. 4.3.
    """

    factors: Callable[[Array, Array], Array] | ArrayLike

    def __post_init__(self) -> None:
        factors = self.factors
        if callable(factors):
            settle(self, factors=factors if isinstance(factors, Partial) else Partial(factors))
            return
        settle(self, factors=samples("JonesPupil", "factors", factors, jones=True))


def samples(where: str, name: str, values: Any, *, jones: bool = False) -> Array:
    """Requires samples of a pupil, ``(..., [2,] y, x)``."""
    layout = "(..., 2, y, x)" if jones else "(..., y, x)"
    if isinstance(values, str):
        raise TypeError(f"{where}: `{name}` must be a function or samples, got {values!r}.")
    shape = jnp.shape(values)
    if len(shape) < 2 + jones or (jones and shape[-3] != 2):
        raise ValueError(
            f"{where}: `{name}` must be a function or samples {layout}, got the shape {shape}."
        )
    if min(shape[-2:]) < 8:
        raise ValueError(f"{where}: `{name}` must have at least (8, 8) samples, got {shape[-2:]}.")
    _check.finite_array(where, name, values)
    return jnp.asarray(values)


@noun
class ZernikePupil:
    r"""A pupil with an aberration of Zernike modes, in front of any other pupil.

    .. math:: P(y, x)\,\exp\!\left[\frac{2\pi i}{\lambda} \sum_j c_j Z_j(y, x)\right]

    with the objective's wavelength and modes that are orthonormal on the disk. Valid for every
    mode. The modes bound the phase that coefficients which are learned or swept may add, so the
    program knows its size: it is right to 1e-6 up to two waves rms.

    Args:
        coefficients: Path differences of ``modes``, ``(..., modes)`` [µm].
        modes: Zernike modes (n, m), or single numbers of the ``convention``.
        pupil: What else stands in the pupil: a function of (y, x), samples, :class:`JonesPupil` or
            :class:`RadialPupil`; None for a clear pupil.
        convention: "osa", "noll" or "fringe" for single numbers; None for pairs.

    Raises:
        ValueError: If a mode does not exist or the numbers of modes and coefficients differ.
        TypeError: If a mode is a bare number without its convention.

    Example:
        >>> ZernikePupil([0.05, -0.02], [5, 7], convention="noll").modes
        ((2, -2), (3, -1))

    References:
        M. Born and E. Wolf, *Principles of Optics*, 7th ed., Sec. 9.2.
    """

    coefficients: ArrayLike
    modes: Sequence[Mode] = static()
    _: KW_ONLY
    pupil: Any = None
    convention: str | None = static(default=None)

    def __post_init__(self) -> None:
        where = "ZernikePupil"
        if isinstance(self.pupil, ZernikePupil):
            raise TypeError(f"{where}: `pupil` is a ZernikePupil already; pass all modes at once.")
        c, modes = checked_modes(where, self.coefficients, self.modes, self.convention)
        settle(self, coefficients=c, modes=modes, convention=None)
