"""Propagation through homogeneous media as elements."""

from __future__ import annotations

from jax import Array

from jaxwave import _check, collins, far, planes, propagation
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


class _Travel(_Distance):
    """A distance, and the window at its end."""

    spacing: Number | None = None
    shape: tuple[int, int] | None = None
    y: Number | None = None
    x: Number | None = None

    def check(self) -> None:
        super().check()
        check_values(self, spacing=_check.positive, y=_check.finite, x=_check.finite)


class AngularSpectrum(_Travel, function=propagation.angular_spectrum):
    """Propagation by the angular spectrum of plane waves.

    Example:
        >>> AngularSpectrum("3 mm", n=1.33)
        AngularSpectrum(z=3000 µm, n=1.33)
    """

    boundary: str = "zero"

    def check(self) -> None:
        super().check()
        _check.choice(type(self).__name__, "boundary", self.boundary, propagation.BOUNDARIES)

    def __call__(self, field: AnyField) -> AnyField:
        return propagation.angular_spectrum(field, **self.arguments())


class Fresnel(_Travel, function=propagation.fresnel):
    """Paraxial propagation.

    Example:
        >>> Fresnel(3000.0)
        Fresnel(z=3000 µm)
    """

    def __call__(self, field: AnyField) -> AnyField:
        return propagation.fresnel(field, **self.arguments())


class Fraunhofer(_Travel, function=collins.fraunhofer):
    """Propagation into the far field.

    Example:
        >>> Fraunhofer("2 m", spacing=50.0)
        Fraunhofer(z=2e+06 µm, spacing=50 µm)
    """

    def __call__(self, field: AnyField) -> AnyField:
        return collins.fraunhofer(field, **self.arguments())


class RayleighSommerfeld(_Travel, function=far.rayleigh_sommerfeld):
    """Propagation by the first Rayleigh-Sommerfeld integral.

    Example:
        >>> RayleighSommerfeld(3000.0, x=100.0)
        RayleighSommerfeld(z=3000 µm, x=100 µm)
    """

    def __call__(self, field: AnyField) -> AnyField:
        return far.rayleigh_sommerfeld(field, **self.arguments())


class ScalableAngularSpectrum(_Travel, function=far.scalable_angular_spectrum):
    """Propagation over a long distance to a window of any size.

    Example:
        >>> ScalableAngularSpectrum(3000.0, spacing=5.0, shape=(64, 64))
        ScalableAngularSpectrum(z=3000 µm, spacing=5 µm, shape=(64, 64))
    """

    def __call__(self, field: AnyField) -> AnyField:
        return far.scalable_angular_spectrum(field, **self.arguments())


class Propagate(_Travel, function=far.propagate):
    """Propagation by whatever fits the sampling.

    Example:
        >>> Propagate("3 mm")
        Propagate(z=3000 µm)
    """

    def __call__(self, field: AnyField) -> AnyField:
        return far.propagate(field, **self.arguments())


class RayTransfer(Element, function=collins.ray_transfer):
    """A paraxial system given by its ray matrix.

    Example:
        >>> RayTransfer([[-2.0, 0.0], [0.0, -0.5]]).distance()
        0.0
    """

    abcd: Number
    n: Number = 1.0
    spacing: Number | None = None
    shape: tuple[int, int] | None = None
    y: Number | None = None
    x: Number | None = None

    def check(self) -> None:
        check_values(self, n=_check.positive, spacing=_check.positive)

    def __call__(self, field: AnyField) -> AnyField:
        return collins.ray_transfer(field, **self.arguments())


class TiltedPlane(Element, function=planes.tilted_plane):
    """A plane that is turned against the axis.

    Example:
        >>> TiltedPlane(0.2, axis="x")
        TiltedPlane(angle=0.2 rad, axis='x')
    """

    angle: Number
    axis: str = "y"
    n: Number = 1.0
    spacing: Number | None = None
    shape: tuple[int, int] | None = None

    def check(self) -> None:
        check_values(self, angle=_check.finite, n=_check.positive, spacing=_check.positive)
        _check.choice(type(self).__name__, "axis", self.axis, planes.AXES)

    def __call__(self, field: AnyField) -> AnyField:
        return planes.tilted_plane(field, **self.arguments())


class AbsorbingBoundary(Element, function=planes.absorbing_boundary):
    """A border of the window that absorbs.

    Example:
        >>> AbsorbingBoundary(20.0)
        AbsorbingBoundary(width=20 µm)
    """

    width: Number

    def check(self) -> None:
        check_values(self, width=_check.positive)

    def __call__(self, field: AnyField) -> AnyField:
        return planes.absorbing_boundary(field, **self.arguments())


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
