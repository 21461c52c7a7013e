"""Prisms, surfaces, gratings, diffusers and micro-lens arrays as elements."""

from __future__ import annotations

from typing import Any

from jax import Array

from jaxwave import _check, diffusers, gratings, microlenses, surfaces
from jaxwave.elements.element import Element, Number, check_values
from jaxwave.field import AnyField


class CylindricalLens(Element, function=surfaces.cylindrical_lens):
    """A thin cylindrical lens.

    Example:
        >>> CylindricalLens("200 mm", phi=0.5)
        CylindricalLens(f=200000 µm, phi=0.5)
    """

    f: Number
    phi: Number = 0.0
    n: Number = 1.0

    def check(self) -> None:
        check_values(self, f=_check.nonzero, phi=_check.finite, n=_check.positive)

    def __call__(self, field: AnyField) -> AnyField:
        return surfaces.cylindrical_lens(field, **self.arguments())


class Prism(Element, function=surfaces.prism):
    """A thin prism.

    Example:
        >>> Prism(0.02, n_prism=1.52)
        Prism(apex=0.02, n_prism=1.52)
    """

    apex: Number
    n_prism: Number = 1.5
    n: Number = 1.0
    phi: Number = 0.0

    def check(self) -> None:
        check_values(self, apex=_check.finite, n_prism=_check.positive, n=_check.positive)

    def __call__(self, field: AnyField) -> AnyField:
        return surfaces.prism(field, **self.arguments())


class Axicon(Element, function=surfaces.axicon):
    """A thin axicon.

    Example:
        >>> Axicon(0.02)
        Axicon(angle=0.02 rad)
    """

    angle: Number
    n_axicon: Number = 1.5
    n: Number = 1.0
    y: Number = 0.0
    x: Number = 0.0

    def check(self) -> None:
        check_values(self, angle=_check.finite, n_axicon=_check.positive, n=_check.positive)

    def __call__(self, field: AnyField) -> AnyField:
        return surfaces.axicon(field, **self.arguments())


class RefractingSurface(Element, function=surfaces.refracting_surface):
    """A conic or aspheric surface between two media.

    Example:
        >>> RefractingSurface("50 mm", n_before=1.0, n_behind=1.52, conic=-0.6).radius[...].item()
        50000.0
    """

    radius: Number
    n_before: Number
    n_behind: Number
    conic: Number = 0.0
    coefficients: Number = ()

    def check(self) -> None:
        rules = dict(n_before=_check.positive, n_behind=_check.positive, conic=_check.finite)
        check_values(self, radius=_check.nonzero, **rules)

    def __call__(self, field: AnyField) -> AnyField:
        return surfaces.refracting_surface(field, **self.arguments())


class _Grating(Element):
    """Lines with a period."""

    period: Number

    def check(self) -> None:
        check_values(self, period=_check.positive)


class BinaryGrating(_Grating, function=gratings.binary_grating):
    """A grating of bars.

    Example:
        >>> BinaryGrating(20.0, transmission=0.0)
        BinaryGrating(period=20 µm, transmission=0)
    """

    opd: Number = 0.0
    transmission: Number = 1.0
    duty: Number = 0.5
    phi: Number = 0.0
    shift: Number = 0.0

    def __call__(self, field: AnyField) -> AnyField:
        return gratings.binary_grating(field, **self.arguments())


class BlazedGrating(_Grating, function=gratings.blazed_grating):
    """A grating of teeth.

    Example:
        >>> BlazedGrating(20.0, opd=0.532, levels=4)
        BlazedGrating(period=20 µm, opd=0.532 µm, levels=4)
    """

    opd: Number
    levels: int | None = None
    phi: Number = 0.0
    shift: Number = 0.0

    def __call__(self, field: AnyField) -> AnyField:
        return gratings.blazed_grating(field, **self.arguments())


class SinusoidalGrating(_Grating, function=gratings.sinusoidal_grating):
    """A sinusoidal phase grating.

    Example:
        >>> SinusoidalGrating(20.0, opd=0.2)
        SinusoidalGrating(period=20 µm, opd=0.2 µm)
    """

    opd: Number
    phi: Number = 0.0
    shift: Number = 0.0

    def __call__(self, field: AnyField) -> AnyField:
        return gratings.sinusoidal_grating(field, **self.arguments())


class RandomDiffuser(Element, function=diffusers.random_diffuser):
    """Ground glass; called with a random key first.

    Example:
        >>> RandomDiffuser(0.3, correlation=5.0).roughness[...].item()
        0.3...
    """

    roughness: Number
    correlation: Number

    def check(self) -> None:
        check_values(self, roughness=_check.nonnegative, correlation=_check.positive)

    def __call__(self, key: Array, field: AnyField) -> AnyField:
        return diffusers.random_diffuser(key, field, **self.arguments())


class EngineeredDiffuser(Element, function=diffusers.engineered_diffuser):
    """A diffuser with an even cone; called with a random key first.

    Example:
        >>> EngineeredDiffuser(0.1)
        EngineeredDiffuser(angle=0.1 rad)
    """

    angle: Number
    n: Number = 1.0
    steps: int = 30

    def check(self) -> None:
        check_values(self, angle=_check.positive, n=_check.positive)

    def __call__(self, key: Array, field: AnyField) -> AnyField:
        return diffusers.engineered_diffuser(key, field, **self.arguments())


class MicrolensArray(Element, function=microlenses.microlens_array):
    """An array of micro-lenses.

    Example:
        >>> MicrolensArray("2 mm", pitch=125.0, layout="hexagonal")
        MicrolensArray(f=2000 µm, pitch=125 µm, layout='hexagonal')
    """

    f: Number
    pitch: Number | None = None
    layout: str = "square"
    centers: Number | None = None
    phi: Number = 0.0
    y: Number = 0.0
    x: Number = 0.0
    n: Number = 1.0
    lenslet: str = "full"
    diameter: Number | None = None
    gap: Number = 0.0

    def check(self) -> None:
        def given(name: str) -> Any:
            value = getattr(self, name)
            return None if value is None else value[...]

        microlenses.check_array(  # type: ignore[call-arg]
            type(self).__name__,
            *(given(name) for name in ("f", "pitch")),
            self.layout,
            given("centers"),
            self.lenslet,
            given("diameter"),
        )

    def __call__(self, field: AnyField) -> AnyField:
        return microlenses.microlens_array(field, **self.arguments())
