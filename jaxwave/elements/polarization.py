"""Polarizing elements."""

from __future__ import annotations

import math

from jax import Array

from jaxwave import _check, polarization, polarizers
from jaxwave.elements.element import Element, Number, check_values
from jaxwave.field import Field, VectorField


class Polarize(Element, function=polarization.polarize):
    """A polarization that scalar light is given.

    Example:
        >>> Polarize([0.6, 0.8j])
        Polarize(jones=[0.6+0j, 0+0.8j])
    """

    jones: Number

    def check(self) -> None:
        _check.finite_array(type(self).__name__, "jones", self.jones[...])

    def __call__(self, field: Field) -> VectorField:
        return polarization.polarize(field, **self.arguments())


class Unpolarized(Element, function=polarization.unpolarized):
    """A lamp's light: two modes that do not interfere.

    Example:
        >>> Unpolarized()
        Unpolarized()
    """

    def __call__(self, field: Field) -> VectorField:
        return polarization.unpolarized(field)


def _leakage(where: str, name: str, value: object, unit: str = "") -> None:
    _check.between(where, name, value, 0, 1)


class Polarizer(Element, function=polarizers.polarizer):
    """A linear polarizer.

    Example:
        >>> Polarizer(0.5, leakage=1e-4)
        Polarizer(angle=0.5 rad, leakage=0.0001)
    """

    angle: Number
    leakage: Number = 0.0

    def check(self) -> None:
        check_values(self, angle=_check.finite, leakage=_leakage)

    def __call__(self, field: VectorField) -> VectorField:
        return polarizers.polarizer(field, **self.arguments())


class Retarder(Element, function=polarizers.retarder):
    """A wave plate.

    Example:
        >>> Retarder(3.1416, angle=0.3927)
        Retarder(retardance=3.1416 rad, angle=0.3927 rad)
    """

    retardance: Number
    angle: Number

    def check(self) -> None:
        check_values(self, retardance=_check.finite, angle=_check.finite)

    def __call__(self, field: VectorField) -> VectorField:
        return polarizers.retarder(field, **self.arguments())


class RetarderMask(Element, function=polarizers.retarder_mask):
    """A liquid-crystal panel, or a thin birefringent sample.

    Example:
        >>> import jax.numpy as jnp
        >>> RetarderMask(jnp.full((64, 64), 1.5), angle=jnp.zeros((64, 64)))
        RetarderMask(retardance=(64, 64) float32, 1.5 rad, angle=(64, 64) float32, 0 rad)
    """

    retardance: Number
    angle: Number

    def check(self) -> None:
        where = type(self).__name__
        for name in ("retardance", "angle"):
            value = getattr(self, name)[...]
            _check.at_least(where, name, value, 2, "(..., y, x)")
            _check.real_array(where, name, value, fix="Use JonesMask.")
            _check.finite_array(where, name, value)

    def __call__(self, field: VectorField) -> VectorField:
        return polarizers.retarder_mask(field, **self.arguments())


class Rotator(Element, function=polarizers.rotator):
    """A rotator of polarization.

    Example:
        >>> Rotator(0.7854)
        Rotator(angle=0.7854 rad)
    """

    angle: Number

    def check(self) -> None:
        check_values(self, angle=_check.finite)

    def __call__(self, field: VectorField) -> VectorField:
        return polarizers.rotator(field, **self.arguments())


class QPlate(Element, function=polarizers.q_plate):
    """A q-plate, or a vortex retarder of the order 2q.

    Example:
        >>> QPlate(0.5)
        QPlate(q=0.5)
    """

    q: float
    retardance: Number = math.pi
    angle: Number = 0.0
    y: Number = 0.0
    x: Number = 0.0

    def check(self) -> None:
        names = ("retardance", "angle", "y", "x")
        check_values(self, **dict.fromkeys(names, _check.finite))
        polarizers.check_charge(type(self).__name__, self.q)

    def __call__(self, field: VectorField) -> VectorField:
        return polarizers.q_plate(field, **self.arguments())


class JonesMask(Element, function=polarizers.jones_mask):
    """An element given by its Jones matrix, the same everywhere or on every sample.

    Example:
        >>> JonesMask([[1.0, 0.0], [0.0, 1j]])
        JonesMask(jones=(2, 2) complex64, modulus 0 ... 1)
    """

    jones: Number

    def check(self) -> None:
        _check.finite_array(type(self).__name__, "jones", self.jones[...])

    def __call__(self, field: VectorField) -> VectorField:
        return polarizers.jones_mask(field, **self.arguments())


class PolarizingBeamSplitter(Element, function=polarizers.polarizing_beam_splitter):
    """A polarizing beam splitter; it returns the transmitted and the reflected field.

    Example:
        >>> PolarizingBeamSplitter(leakage=1e-3)
        PolarizingBeamSplitter(leakage=0.001)
    """

    angle: Number = 0.0
    leakage: Number = 0.0

    def check(self) -> None:
        check_values(self, angle=_check.finite, leakage=_leakage)

    def __call__(self, field: VectorField) -> tuple[VectorField, VectorField]:
        return polarizers.polarizing_beam_splitter(field, **self.arguments())


class Stokes(Element, function=polarization.stokes):
    """A polarimeter on every sample.

    Example:
        >>> Stokes()
        Stokes()
    """

    def __call__(self, field: VectorField) -> Array:
        return polarization.stokes(field)
