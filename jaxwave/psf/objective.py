"""What a user describes once: the objective, what stands in its pupil, the window on its light."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import Partial
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave._noun import Number, noun, number, settle, static
from jaxwave.psf.layers import MOTIONS, Layers
from jaxwave.psf.pupils import APODIZATIONS
from jaxwave.zernike import Mode, Modes, zernike_pairs

Jones = ArrayLike | tuple[complex, complex]  # (x, y)
Polarization = Jones | str  # or "radial", "azimuthal"
Dipole = ArrayLike | tuple[complex, complex, complex]  # (x, y, z)


@noun
class Objective:
    r"""An objective of high numerical aperture, in focus or as the lens of a microscope.

    .. math:: \mathbf s = n \sin\theta\,(\cos\phi, \sin\phi), \qquad |\mathbf s| \le \mathrm{NA}

    are its directions, conserved at every plane interface. Valid for objectives that obey the sine
    condition. Every number is a leaf that can be swept, mapped, learned; leading axes are batch
    axes.

    Args:
        na: Numerical aperture, ``(...)``, below the immersion's index; it may exceed the sample's.
        wavelength: Vacuum wavelength, ``(...)`` [µm].
        n: Index of immersion and sample, ``(...)``; 1 by default. Leave it out if there are
            ``layers``.
        layers: Sample, coverslip and immersion, see :class:`Layers`.
        apodization: "aplanatic", "herschel" or "none", see :func:`apodization`.
        motion: What ``z`` moves where there are layers, "stage" or "emitter", see
            :func:`gibson_lanni_path`.
        transmission: Whether the interfaces of the layers weaken the field
            (:func:`fresnel_transmission`); scalar models leave it out.

    Raises:
        ValueError: If ``na`` is not below the index, a number is not positive or an option does
            not exist.
        TypeError: If something is of the wrong kind.

    Example:
        >>> Objective(na=1.4, wavelength="520 nm", n=1.518)
        Objective(na=1.4, wavelength=0.52 µm, n=1.518)

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 3.5.
    """

    na: Number
    wavelength: Number
    n: Number = None
    layers: Layers | None = None
    apodization: str = static(default="aplanatic")
    motion: str = static(default="stage")
    transmission: bool = static(default=True)

    def __post_init__(self) -> None:
        where = "Objective"
        _check.choice(where, "apodization", self.apodization, APODIZATIONS)
        _check.choice(where, "motion", self.motion, MOTIONS)
        wavelength = _check.wavelength(where, self.wavelength)
        if self.layers is not None and not isinstance(self.layers, Layers):
            raise TypeError(
                f"{where}: `layers` must be Layers, got {type(self.layers).__name__}. Make them "
                "with psf.Layers(...)."
            )
        if self.layers is not None and self.n is not None:
            raise ValueError(f"{where}: `n` is that of the immersion in `layers`; leave it out.")
        n = self.n if self.n is not None else 1.0 if self.layers is None else None
        index = n if self.layers is None else self.layers.n_i
        _check.positive(where, "n", index)
        _check.numerical_aperture(where, self.na, index)
        settle(
            self,
            na=number(where, "na", self.na),
            wavelength=number(where, "wavelength", wavelength),
            n=None if n is None else number(where, "n", n),
            transmission=bool(self.transmission),
        )

    @property
    def n_i(self) -> Any:
        """Index of the immersion."""
        return self.n if self.layers is None else self.layers.n_i

    @property
    def n_s(self) -> Any:
        """Index of the sample."""
        return self.n if self.layers is None else self.layers.n_s

    def __repr__(self) -> str:
        parts = [f"na={_short(self.na)}", f"wavelength={_short(self.wavelength)} µm"]
        parts += [f"n={_short(self.n)}"] if self.layers is None else ["layers=..."]
        parts += [f"apodization={self.apodization!r}"] if self.apodization != "aplanatic" else []
        parts += [f"motion={self.motion!r}"] if self.motion != "stage" else []
        parts += [] if self.transmission else ["transmission=False"]
        return f"Objective({', '.join(parts)})"


@noun
class Window:
    r"""The samples of a focus or of an image, and the planes in which they lie.

    .. math:: x_j = x + (j - \lfloor N_x/2 \rfloor)\,\Delta x

    in the coordinates of the sample, where the focus or the emitter is the origin. Valid for every
    shape. Every number is a leaf; leading axes are batch axes.

    Args:
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        z: Positions of the planes along the light, one number or ``(..., planes)`` [µm]; with
            layers see :func:`gibson_lanni_path`.
        y: Position of the sample ny // 2, ``(...)`` [µm].
        x: Position of the sample nx // 2, ``(...)`` [µm].

    Raises:
        ValueError: If the shape is not two positive integers or the spacing is not positive.
        TypeError: If a value is not a number.

    Example:
        >>> Window((64, 48), spacing="50 nm", z=[-0.5, 0.0, 0.5])
        Window((64, 48), spacing=0.05 µm, 3 planes)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 2.4.
    """

    shape: tuple[int, int] = static()
    spacing: Number
    z: Number = 0.0
    y: Number = 0.0
    x: Number = 0.0

    def __post_init__(self) -> None:
        where = "Window"
        spacing = _check.length(where, "spacing", self.spacing)
        _check.positive(where, "spacing", spacing, unit="µm")
        if np.ndim(spacing) and np.shape(spacing)[-1] != 2:
            raise ValueError(
                f"{where}: `spacing` must be one number or (..., 2) as (dy, dx) [µm], got the "
                f"shape {np.shape(spacing)}. For one number per batch entry pass "
                "spacing[..., None] * ones(2)."
            )
        values = {n: _check.length(where, n, getattr(self, n)) for n in ("z", "y", "x")}
        for name, value in values.items():
            _check.finite(where, name, value, unit="µm")
            if 0 in np.shape(value):
                raise ValueError(f"{where}: `{name}` must hold one number or more, got none.")
        settle(
            self,
            shape=_check.grid_shape(where, self.shape),
            spacing=number(where, "spacing", spacing),
            **{name: number(where, name, value) for name, value in values.items()},
        )

    def __repr__(self) -> str:
        parts = [f"{self.shape}", f"spacing={_short(self.spacing)} µm"]
        planes = np.shape(self.z)
        parts += [f"{planes[-1]} planes"] if planes else [f"z={_short(self.z)} µm"]
        for name in ("y", "x"):
            value = getattr(self, name)
            if not (_check.is_concrete(value) and np.all(np.asarray(value) == 0)):
                parts.append(f"{name}={_short(value)} µm")
        return f"Window({', '.join(parts)})"


def _short(value: object) -> str:
    if not _check.is_concrete(value):
        return "traced"
    array = np.asarray(value)
    return f"{float(array):.6g}" if array.ndim == 0 else str(np.round(array, 6).tolist())


# -- pupils that choose their solver -------------------------------------------------------


def checked_modes(
    where: str, coefficients: ArrayLike | None, modes: Modes, convention: str | None
) -> tuple[Any, tuple[Mode, ...]]:
    """Coefficients ``(..., modes)`` and pairs (n, m); None and () together."""
    if isinstance(coefficients, Mapping):
        raise TypeError(
            f"{where}: `coefficients` must be numbers [µm], got a dict. Pass "
            "coefficients=[*d.values()], modes=[*d]."
        )
    if (coefficients is None) != (len(modes) == 0):
        raise ValueError(
            f"{where}: `coefficients` [µm] and `modes` must come together, got "
            f"{'no' if coefficients is None else 'only'} coefficients."
        )
    if coefficients is None:
        return None, ()
    pairs = zernike_pairs(where, modes, convention)
    if isinstance(coefficients, list | tuple) and any(isinstance(c, str) for c in coefficients):
        coefficients = _check.length(where, "coefficients", coefficients)
    _check.finite_array(where, "coefficients", coefficients)
    coefficients = number(where, "coefficients", coefficients)
    if np.shape(coefficients)[-1:] != (len(pairs),):
        raise ValueError(
            f"{where}: `coefficients` must have one number for each of the {len(pairs)} modes on "
            f"the last axis, got the shape {np.shape(coefficients)}."
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

    profile: Callable[[Array], Array] | Number | None = None
    coefficients: Number = None
    modes: Sequence[Mode] = static(default=())
    filling: Number = None
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
    if np.shape(profile)[-1:] < (4,):
        raise ValueError(
            f"{where}: `profile` must have at least 4 samples (..., samples) from rho = 0 to 1, "
            f"got the shape {np.shape(profile)}."
        )
    _check.finite_array(where, "profile", profile)
    return jnp.asarray(profile)


@noun
class JonesPupil:
    r"""A pupil that acts on polarization: one factor for each Cartesian component.

    .. math:: (E_x, E_y) \to (P_x E_x,\ P_y E_y)

    Valid for pupils that do not mix the components. Where no other polarization is given, E is
    (1, 1), so that the factors are the light's Jones vector.

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

    factors: Callable[[Array, Array], Array] | Number

    def __post_init__(self) -> None:
        factors = self.factors
        if callable(factors):
            settle(self, factors=factors if isinstance(factors, Partial) else Partial(factors))
            return
        settle(self, factors=samples("JonesPupil", "factors", factors, jones=True))


def samples(where: str, name: str, values: Any, *, jones: bool = False) -> Number:
    """Requires samples of a pupil, ``(..., [2,] y, x)``."""
    layout = "(..., 2, y, x)" if jones else "(..., y, x)"
    if isinstance(values, str):
        raise TypeError(f"{where}: `{name}` must be a function or samples, got {values!r}.")
    shape = np.shape(values)
    if len(shape) < 2 + jones or (jones and shape[-3] != 2):
        raise ValueError(
            f"{where}: `{name}` must be a function or samples {layout}, got the shape {shape}."
        )
    if min(shape[-2:]) < 8:
        raise ValueError(f"{where}: `{name}` must have at least (8, 8) samples, got {shape[-2:]}.")
    _check.finite_array(where, name, values)
    # Known samples stay in numpy: what prepares them compiles nothing.
    return np.asarray(values) if _check.is_concrete(values) else jnp.asarray(values)


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
        pupil: What else stands in the pupil: a function of (y, x), samples ``(..., y, x)`` [none],
            :class:`JonesPupil` or :class:`RadialPupil`; None for a clear pupil.
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

    coefficients: Number
    modes: Sequence[Mode] = static()
    pupil: Any = None
    convention: str | None = static(default=None)

    def __post_init__(self) -> None:
        where = "ZernikePupil"
        if isinstance(self.pupil, ZernikePupil):
            raise TypeError(f"{where}: `pupil` is a ZernikePupil already; pass all modes at once.")
        c, modes = checked_modes(where, self.coefficients, self.modes, self.convention)
        settle(self, coefficients=c, modes=modes, convention=None)


# What stands in a pupil; a function takes (y, x), in pupil radii.
Pupil = Callable[[Array, Array], Array] | ArrayLike | RadialPupil | ZernikePupil | JonesPupil | None
