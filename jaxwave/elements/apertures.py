"""Stops as elements."""

from __future__ import annotations

from jaxwave import _check, apertures
from jaxwave.elements.element import Element, Number, check_values
from jaxwave.field import AnyField


class CircularAperture(Element, function=apertures.circular_aperture):
    """A circular stop.

    Example:
        >>> CircularAperture("2 mm")
        CircularAperture(radius=2000 µm)
    """

    radius: Number
    y: Number = 0.0
    x: Number = 0.0

    def check(self) -> None:
        check_values(self, radius=_check.positive, y=_check.finite, x=_check.finite)

    def __call__(self, field: AnyField) -> AnyField:
        return apertures.circular_aperture(field, **self.arguments())


class AnnularAperture(Element, function=apertures.annular_aperture):
    """A ring-shaped stop.

    Example:
        >>> AnnularAperture("1 mm", "2 mm")
        AnnularAperture(inner=1000 µm, outer=2000 µm)
    """

    inner: Number
    outer: Number
    y: Number = 0.0
    x: Number = 0.0

    def check(self) -> None:
        apertures.check_radii("AnnularAperture", self.inner[...], self.outer[...])
        check_values(self, inner=_check.positive, outer=_check.positive)
        check_values(self, y=_check.finite, x=_check.finite)

    def __call__(self, field: AnyField) -> AnyField:
        return apertures.annular_aperture(field, **self.arguments())


class RectangularAperture(Element, function=apertures.rectangular_aperture):
    """A rectangular stop.

    Example:
        >>> RectangularAperture((100.0, 200.0), angle=0.1)
        RectangularAperture(size=[100, 200] µm, angle=0.1 rad)
    """

    size: Number
    angle: Number = 0.0
    y: Number = 0.0
    x: Number = 0.0

    def check(self) -> None:
        check_values(self, size=_check.positive, angle=_check.finite)
        check_values(self, y=_check.finite, x=_check.finite)

    def __call__(self, field: AnyField) -> AnyField:
        return apertures.rectangular_aperture(field, **self.arguments())


class PolygonAperture(Element, function=apertures.polygon_aperture):
    """A stop with the form of a polygon.

    Example:
        >>> PolygonAperture([(0, 0), (0, 10), (8, 0)])
        PolygonAperture(vertices=(3, 2) float32, 0 ... 10 µm)
    """

    vertices: Number
    angle: Number = 0.0
    y: Number = 0.0
    x: Number = 0.0

    def check(self) -> None:
        apertures.check_vertices("PolygonAperture", self.vertices[...])
        check_values(self, vertices=_check.finite, angle=_check.finite)
        check_values(self, y=_check.finite, x=_check.finite)

    def __call__(self, field: AnyField) -> AnyField:
        return apertures.polygon_aperture(field, **self.arguments())


class Slits(Element, function=apertures.slits):
    """Parallel slits.

    Example:
        >>> Slits("5 um", pitch="40 um", count=2)
        Slits(width=5 µm, pitch=40 µm, count=2)
    """

    width: Number
    pitch: Number
    count: int
    length: Number = None
    angle: Number = 0.0
    y: Number = 0.0
    x: Number = 0.0

    def check(self) -> None:
        apertures.check_slits("Slits", self.width[...], self.pitch[...], self.count)
        check_values(self, width=_check.positive, pitch=_check.positive, length=_check.positive)
        check_values(self, angle=_check.finite, y=_check.finite, x=_check.finite)

    def __call__(self, field: AnyField) -> AnyField:
        return apertures.slits(field, **self.arguments())


class ZonePlate(Element, function=apertures.zone_plate):
    """A Fresnel zone plate.

    Example:
        >>> ZonePlate("20 mm", wavelength="532 nm", zones=15)
        ZonePlate(f=20000 µm, wavelength=0.532 µm, zones=15)
    """

    f: Number
    wavelength: Number
    zones: int
    second: Number = 0.0
    n: Number = 1.0
    y: Number = 0.0
    x: Number = 0.0

    def check(self) -> None:
        _check.integer("ZonePlate", "zones", self.zones, 1)
        check_values(self, f=_check.positive, wavelength=_check.positive, n=_check.positive)
        check_values(self, y=_check.finite, x=_check.finite)

    def __call__(self, field: AnyField) -> AnyField:
        return apertures.zone_plate(field, **self.arguments())
