"""Propagation through homogeneous media as elements."""

from jax import Array

from jaxwave import _check, propagation
from jaxwave.elements.element import Element, Number, check_values
from jaxwave.field import AnyField


class _Distance(Element):
    """Something with a distance in a medium."""

    z: Number
    n: Number = 1.0

    def check(self) -> None:
        check_values(self, z=_check.finite, n=_check.positive)

    def distance(self) -> Array | float:
        return self.z[...]


class AngularSpectrum(_Distance, function=propagation.angular_spectrum):
    """Propagation by the angular spectrum of plane waves.

    Example:
        >>> AngularSpectrum("3 mm", n=1.33)
        AngularSpectrum(z=3000 µm, n=1.33)
    """

    def __call__(self, field: AnyField) -> AnyField:
        return propagation.angular_spectrum(field, **self.arguments())


class Fresnel(_Distance, function=propagation.fresnel):
    """Paraxial propagation.

    Example:
        >>> Fresnel(3000.0)
        Fresnel(z=3000 µm)
    """

    def __call__(self, field: AnyField) -> AnyField:
        return propagation.fresnel(field, **self.arguments())


class Carrier(_Distance, function=propagation.carrier):
    """The phase of a plane wave over a distance, which propagators leave out.

    Example:
        >>> Carrier(3000.0).distance()
        0.0
    """

    def __call__(self, field: AnyField) -> AnyField:
        return propagation.carrier(field, **self.arguments())

    def distance(self) -> Array | float:
        return 0.0  # it adds the phase that a propagator over z left out
