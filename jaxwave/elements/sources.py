"""Light sources as elements: called without a field, they make one."""

from __future__ import annotations

from typing import Any

from jaxwave import _check, sources
from jaxwave.elements.element import Element, Number, check_values
from jaxwave.field import Field


class Source(Element):
    """Something that makes a field on a grid."""

    shape: tuple[int, int]
    spacing: Number
    wavelength: Number

    def check(self) -> None:
        where = type(self).__name__
        _check.grid_shape(where, self.shape)
        _check.wavelength(where, self.wavelength[...])
        numbers = dict(spacing=_check.positive, n=_check.positive, power=_check.nonnegative)
        rules = {name: _check.finite for name in ("z", "y", "x", "kx", "ky")} | numbers
        names = {field.name for field in self._fields}
        check_values(self, **{name: rule for name, rule in rules.items() if name in names})


class PlaneWave(Source, function=sources.plane_wave):
    """A plane wave as a source.

    Example:
        >>> PlaneWave((64, 64), spacing="0.5 um", wavelength="532 nm")()
        Field((64, 64) complex64, spacing=0.5 µm, wavelength=0.532 µm)
    """

    kx: Number = 0.0
    ky: Number = 0.0
    n: Number = 1.0
    power: Number = 1.0
    dtype: Any = None

    def __call__(self) -> Field:
        return sources.plane_wave(**self.arguments())


class PointSource(Source, function=sources.point_source):
    """A point source.

    Example:
        >>> PointSource((64, 64), spacing=0.5, wavelength=0.532, z=500.0)().shape
        (64, 64)
    """

    z: Number
    n: Number = 1.0
    y: Number = 0.0
    x: Number = 0.0
    power: Number = 1.0
    dtype: Any = None

    def check(self) -> None:
        super().check()
        check_values(self, z=_check.nonzero)

    def __call__(self) -> Field:
        return sources.point_source(**self.arguments())


class ObjectivePointSource(Source, function=sources.objective_point_source):
    """An emitter behind an objective, as the field in its back focal plane.

    Example:
        >>> ObjectivePointSource((64, 64), spacing=90.0, wavelength=0.532, f=2000.0, na=1.3, n=1.5)
        ObjectivePointSource(shape=(64, 64), spacing=90 µm, wavelength=0.532 µm, f=2000 µm, na=1.3,
                             n=1.5)
    """

    f: Number
    na: Number
    n: Number = 1.0
    z: Number = 0.0
    y: Number = 0.0
    x: Number = 0.0
    power: Number = 1.0
    dtype: Any = None

    def check(self) -> None:
        super().check()
        check_values(self, f=_check.positive)
        _check.numerical_aperture(type(self).__name__, self.na[...], self.n[...])

    def __call__(self) -> Field:
        return sources.objective_point_source(**self.arguments())
