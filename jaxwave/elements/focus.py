"""Focusing at high numerical aperture as elements: from a pupil to its focus.

They are called with a pupil. The Cartesian ones take a function, samples or nothing for a clear
pupil, the spherical ones what :class:`RoundPupil` makes.
"""

from collections.abc import Sequence
from typing import Any

from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, psf
from jaxwave.elements.element import Element, Number, check_values
from jaxwave.elements.psf import CoverslipLayers, layers_element
from jaxwave.field import VectorField
from jaxwave.psf._propagate import Pupil


class _Layered(Element):
    """Something with layers between the emitter and the objective."""

    na: Number
    wavelength: Number
    n: Number | None = None
    layers: CoverslipLayers | None = None

    @classmethod
    def _prepare(cls, values: dict[str, Any]) -> dict[str, Any]:
        if isinstance(values["layers"], psf.Layers):
            values["layers"] = layers_element(values["layers"])
        return values

    def check(self) -> None:
        where, values = type(self).__name__, self.arguments()
        _check.wavelength(where, values["wavelength"])
        if values["layers"] is None:
            _check.numerical_aperture(where, values["na"], 1.0 if self.n is None else values["n"])
        elif self.n is not None:
            raise ValueError(f"{where}: `n` is that of the immersion in `layers`; leave it out.")
        else:
            _check.numerical_aperture(where, values["na"], values["layers"].n_i)
        _check_window(self)

    def arguments(self) -> dict[str, Any]:
        values = super().arguments()
        return values | {"layers": None if self.layers is None else self.layers()}


def _check_window(element: Element) -> None:
    names = {field.name for field in element._fields}
    rules = {name: _check.finite for name in ("z", "y", "x", "focus", "coefficients")}
    rules |= {name: _check.positive for name in ("spacing", "f", "filling")}
    check_values(element, **{name: rule for name, rule in rules.items() if name in names})
    if "shape" in names:
        _check.grid_shape(type(element).__name__, element.arguments()["shape"])


class _Cartesian(_Layered):
    """The window at the focus."""

    shape: tuple[int, int]
    spacing: Number
    z: Number = 0.0
    y: Number = 0.0
    x: Number = 0.0
    motion: str = "stage"
    nodes: Any = None


class CartesianScalar(_Cartesian, function=psf.cartesian_scalar):
    """A lens from any pupil to the scalar field at its focus.

    Example:
        >>> CartesianScalar((16, 16), spacing=0.1, na=0.8, wavelength=0.5)().shape
        (16, 16)
    """

    apodization: str = "aplanatic"

    def __call__(self, pupil: Pupil | ArrayLike | None = None) -> Array:
        return psf.cartesian_scalar(pupil, **self.arguments())


class CartesianScalarIntensity(_Cartesian, function=psf.cartesian_scalar_intensity):
    """A lens from any pupil to the scalar intensity at its focus.

    Example:
        >>> CartesianScalarIntensity((16, 16), spacing=0.1, na=0.8, wavelength=0.5)().shape
        (16, 16)
    """

    apodization: str = "aplanatic"

    def __call__(self, pupil: Pupil | ArrayLike | None = None) -> Array:
        return psf.cartesian_scalar_intensity(pupil, **self.arguments())


class CartesianVector(_Cartesian, function=psf.cartesian_vector):
    """A lens from any pupil to the vector field at its focus.

    Example:
        >>> CartesianVector((16, 16), spacing=0.1, na=0.8, wavelength=0.5)().shape
        (3, 16, 16)
    """

    polarization: Number = (1.0, 0.0)
    apodization: str = "aplanatic"
    transmission: bool = True

    def __call__(self, pupil: Pupil | ArrayLike | None = None) -> Array:
        return psf.cartesian_vector(pupil, **self.arguments())


class CartesianVectorIntensity(_Cartesian, function=psf.cartesian_vector_intensity):
    """A lens from any pupil to the intensity of the vector field at its focus.

    Example:
        >>> CartesianVectorIntensity((16, 16), spacing=0.1, na=0.8, wavelength=0.5)().shape
        (16, 16)
    """

    polarization: Number = (1.0, 0.0)
    apodization: str = "aplanatic"
    transmission: bool = True

    def __call__(self, pupil: Pupil | ArrayLike | None = None) -> Array:
        return psf.cartesian_vector_intensity(pupil, **self.arguments())


class CartesianDipole(_Cartesian, function=psf.cartesian_dipole):
    """A microscope from a dipole to the field of its image.

    Example:
        >>> CartesianDipole((16, 16), spacing=0.1, na=0.8, wavelength=0.5, dipole=[0, 0, 1])().shape
        (2, 16, 16)
    """

    dipole: Number
    transmission: bool = True

    def __call__(self, pupil: Pupil | ArrayLike | None = None) -> Array:
        return psf.cartesian_dipole(pupil, **self.arguments())


class CartesianDipoleIntensity(_Cartesian, function=psf.cartesian_dipole_intensity):
    """A microscope from a dipole to its image.

    Example:
        >>> CartesianDipoleIntensity((16, 16), spacing=0.1, na=0.8, wavelength=0.5)().shape
        (16, 16)
    """

    dipole: Number | None = None
    transmission: bool = True

    def __call__(self, pupil: Pupil | ArrayLike | None = None) -> Array:
        return psf.cartesian_dipole_intensity(pupil, **self.arguments())


class DipolePupil(_Layered, function=psf.dipole_pupil):
    """A dipole behind an objective, as the field in its back focal plane.

    Example:
        >>> pupil = DipolePupil((64, 64), dipole=[1, 0, 0], spacing=90.0, wavelength=0.5, f=2000.0,
        ...                     na=1.3, n=1.5)
        >>> pupil().shape
        (64, 64)
    """

    shape: tuple[int, int]
    dipole: Number
    spacing: Number
    f: Number
    z: Number = 0.0
    y: Number = 0.0
    x: Number = 0.0
    focus: Number = 0.0
    transmission: bool = True

    def __call__(self) -> VectorField:
        return psf.dipole_pupil(**self.arguments())


class RoundPupil(_Layered, function=psf.round_pupil):
    r"""A circularly symmetric pupil as numbers that can be learned.

    Called, it makes the :class:`jaxwave.psf.RoundPupil` that the spherical models take.

    .. math:: P(\rho) = A(\rho)\,e^{2\pi i\,\mathrm{OPD}(\rho)/\lambda}

    Valid as :func:`jaxwave.psf.round_pupil` is.

    Example:
        >>> RoundPupil(wavelength="500 nm", na=0.8, coefficients=[0.05], modes=[(4, 0)])
        RoundPupil(na=0.8, wavelength=0.5 µm, coefficients=[0.05] µm, modes=((4, 0),))
    """

    profile: Number | None = None
    coefficients: Number | None = None
    modes: Sequence[tuple[int, int]] = ()
    filling: Number | None = None
    apodization: str = "aplanatic"
    motion: str = "stage"
    transmission: bool = True

    def check(self) -> None:
        super().check()
        self()

    def __call__(self) -> psf.RoundPupil:
        return psf.round_pupil(**self.arguments())


class _Spherical(Element):
    """The window at the focus."""

    shape: tuple[int, int]
    spacing: Number
    z: Number = 0.0
    y: Number = 0.0
    x: Number = 0.0
    nodes: Any = None

    def check(self) -> None:
        _check_window(self)


class SphericalScalar(_Spherical, function=psf.spherical_scalar):
    """A lens from a round pupil to the scalar field at its focus.

    Example:
        >>> lens = SphericalScalar((16, 16), spacing=0.1)
        >>> lens(RoundPupil(wavelength=0.5, na=0.8)()).shape
        (16, 16)
    """

    def __call__(self, pupil: psf.RoundPupil) -> Array:
        return psf.spherical_scalar(pupil, **self.arguments())


class SphericalScalarIntensity(_Spherical, function=psf.spherical_scalar_intensity):
    """A lens from a round pupil to the scalar intensity at its focus.

    Example:
        >>> lens = SphericalScalarIntensity((16, 16), spacing=0.1)
        >>> lens(RoundPupil(wavelength=0.5, na=0.8)()).shape
        (16, 16)
    """

    def __call__(self, pupil: psf.RoundPupil) -> Array:
        return psf.spherical_scalar_intensity(pupil, **self.arguments())


class SphericalVector(_Spherical, function=psf.spherical_vector):
    """A lens from a round pupil to the vector field at its focus.

    Example:
        >>> lens = SphericalVector((16, 16), spacing=0.1)
        >>> lens(RoundPupil(wavelength=0.5, na=0.8)()).shape
        (3, 16, 16)
    """

    polarization: Number | str = (1.0, 0.0)

    def __call__(self, pupil: psf.RoundPupil) -> Array:
        return psf.spherical_vector(pupil, **self.arguments())


class SphericalVectorIntensity(_Spherical, function=psf.spherical_vector_intensity):
    """A lens from a round pupil to the intensity of the vector field at its focus.

    Example:
        >>> lens = SphericalVectorIntensity((16, 16), spacing=0.1)
        >>> lens(RoundPupil(wavelength=0.5, na=0.8)()).shape
        (16, 16)
    """

    polarization: Number | str = (1.0, 0.0)

    def __call__(self, pupil: psf.RoundPupil) -> Array:
        return psf.spherical_vector_intensity(pupil, **self.arguments())


class SphericalDipole(_Spherical, function=psf.spherical_dipole):
    """A microscope from a dipole behind a round pupil to the field of its image.

    Example:
        >>> lens = SphericalDipole((16, 16), spacing=0.1, dipole=[0, 0, 1])
        >>> lens(RoundPupil(wavelength=0.5, na=0.8)()).shape
        (2, 16, 16)
    """

    dipole: Number

    def __call__(self, pupil: psf.RoundPupil) -> Array:
        return psf.spherical_dipole(pupil, **self.arguments())


class SphericalDipoleIntensity(_Spherical, function=psf.spherical_dipole_intensity):
    """A microscope from a dipole behind a round pupil to its image.

    Example:
        >>> lens = SphericalDipoleIntensity((16, 16), spacing=0.1)
        >>> lens(RoundPupil(wavelength=0.5, na=0.8)()).shape
        (16, 16)
    """

    dipole: Number | None = None

    def __call__(self, pupil: psf.RoundPupil) -> Array:
        return psf.spherical_dipole_intensity(pupil, **self.arguments())
