"""Objectives of high numerical aperture as elements: nouns whose numbers can be learned, and verbs.

A verb holds an :class:`Objective` and a :class:`Window` and is called with a pupil: an element
(:class:`RadialPupil`, :class:`ZernikePupil`), whatever :mod:`jaxwave.psf` takes, or nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import jax.numpy as jnp
from jax import Array

from jaxwave import psf
from jaxwave.elements.element import Element, Number
from jaxwave.field import VectorField
from jaxwave.psf import focusing as verbs
from jaxwave.zernike import zernike_modes


class Noun(Element):
    """Numbers that can be learned; called, they make the noun, which checks them."""

    def check(self) -> None:
        self()

    def __call__(self) -> Any:
        return self._function(**self.arguments())


class Layers(Noun, function=psf.Layers):
    r"""Sample, coverslip and immersion as numbers that can be learned.

    Called, it makes the :class:`~jaxwave.psf.Layers` that an objective takes. Several layers of a
    coverslip are arrays ``(layers,)``.

    .. math:: (n_s, t_s),\ (n_1, t_1) \dots (n_m, t_m),\ (n_i, t_i)

    Valid for plane, parallel layers.

    Example:
        >>> layers = Layers(n_s=1.33, n_g=1.523, n_i=1.518, t_s="2 um")
        >>> layers().t_s.item()
        2.0
    """

    n_s: Number
    n_g: Number
    n_i: Number
    t_s: Number = 0.0
    t_g: Number = 170.0
    t_i: Number | None = None
    n_g_design: Number | None = None
    t_g_design: Number | None = None
    n_i_design: Number | None = None
    t_i_design: Number = 100.0

    def __call__(self) -> psf.Layers:
        values = self.arguments()
        for name in ("n_g", "t_g", "n_g_design", "t_g_design"):
            if values[name] is not None and values[name].ndim:
                values[name] = tuple(values[name])
        return psf.Layers(**values)


def layers_element(layers: psf.Layers) -> Layers:
    """The element of layers that were made by the function."""
    values = {field.name: getattr(layers, field.name) for field in dataclasses.fields(layers)}
    for name, value in values.items():
        if isinstance(value, tuple):
            values[name] = value[0] if len(value) == 1 else jnp.stack(value)
    return Layers(**values)


class Objective(Noun, function=psf.Objective):
    """An objective whose numbers can be learned; called, it makes the noun.

    Example:
        >>> Objective(1.4, "520 nm", n=1.518)
        Objective(na=1.4, wavelength=0.52 µm, n=1.518)
    """

    na: Number
    wavelength: Number
    n: Number | None = None
    layers: Layers | None = None
    apodization: str = "aplanatic"
    motion: str = "stage"
    transmission: bool = True

    @classmethod
    def _prepare(cls, values: dict[str, Any]) -> dict[str, Any]:
        if isinstance(values["layers"], psf.Layers):
            values["layers"] = layers_element(values["layers"])
        return values

    def __call__(self) -> psf.Objective:
        values = self.arguments()
        layers = None if self.layers is None else self.layers()
        return psf.Objective(**(values | {"layers": layers}))


class Window(Noun, function=psf.Window):
    """Samples and planes whose numbers can be learned; called, it makes the noun.

    Example:
        >>> Window((64, 48), spacing="50 nm")
        Window(shape=(64, 48), spacing=0.05 µm)
    """

    shape: tuple[int, int]
    spacing: Number
    z: Number = 0.0
    y: Number = 0.0
    x: Number = 0.0


def pairs(values: dict[str, Any]) -> dict[str, Any]:
    """Modes as pairs (n, m), whatever their convention."""
    if values["convention"] is not None:
        modes = zernike_modes(values["modes"], convention=values["convention"])
        values |= {"modes": modes, "convention": None}
    return values


class RadialPupil(Noun, function=psf.RadialPupil):
    """A circularly symmetric pupil whose numbers can be learned; called, it makes the noun.

    Example:
        >>> RadialPupil(coefficients=[0.05], modes=[(4, 0)])
        RadialPupil(coefficients=[0.05] µm, modes=((4, 0),))
    """

    profile: Number | None = None
    coefficients: Number | None = None
    modes: Sequence[tuple[int, int]] = ()
    filling: Number | None = None
    convention: str | None = None

    @classmethod
    def _prepare(cls, values: dict[str, Any]) -> dict[str, Any]:
        return pairs(values)


class ZernikePupil(Noun, function=psf.ZernikePupil):
    """Aberrations that can be learned, in front of any pupil; called, it makes the noun.

    Example:
        >>> ZernikePupil([0.05, 0.0], [(2, 2), (4, 0)])
        ZernikePupil(coefficients=[0.05, 0] µm, modes=((2, 2), (4, 0)))
    """

    coefficients: Number
    modes: Sequence[tuple[int, int]]
    pupil: Number | None = None
    convention: str | None = None

    @classmethod
    def _prepare(cls, values: dict[str, Any]) -> dict[str, Any]:
        return pairs(values)

    def __call__(self) -> psf.ZernikePupil:
        values = self.arguments()
        return psf.ZernikePupil(**(values | {"pupil": made(values["pupil"])}))


def made(value: object) -> Any:
    """What an element of a noun makes; anything else as it is."""
    return value() if isinstance(value, Noun) else value


def with_elements(
    where: str, package: ModuleType, values: dict[str, Any], **elements: type[Element]
) -> dict[str, Any]:
    """The values, with the element of each noun in its place."""
    for name, element in elements.items():
        value, noun = values[name], getattr(package, element.__name__)
        if isinstance(value, noun):
            fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
            values[name] = element(**fields)
        elif not isinstance(value, element):
            raise TypeError(
                f"{where}: `{name}` must be elements.{element.__name__}(...), got "
                f"{type(value).__name__}."
            )
    return values


class _Verb(Element):
    """An objective and a window, called with a pupil."""

    objective: Objective
    window: Window
    nodes: Any = None

    @classmethod
    def _prepare(cls, values: dict[str, Any]) -> dict[str, Any]:
        return with_elements(cls.__name__, psf, values, objective=Objective, window=Window)

    def check(self) -> None:
        values = self.arguments()
        if values.get("polarization") is not None:
            verbs.polarized(type(self).__name__, values["polarization"])
        if values.get("dipole") is not None:
            verbs.oriented(type(self).__name__, values["dipole"])

    def __call__(self, pupil: Any = None) -> Array:
        values = self.arguments()
        nouns = (values.pop("objective")(), values.pop("window")())
        return self._function(*nouns, made(pupil), **values)


class ScalarFocus(_Verb, function=psf.scalar_focus):
    """A lens from any pupil to the scalar field at its focus.

    Example:
        >>> ScalarFocus(Objective(0.8, 0.5), Window((16, 16), spacing=0.1))().shape
        (16, 16)
    """


class ScalarFocusIntensity(_Verb, function=psf.scalar_focus_intensity):
    """A lens from any pupil to the scalar intensity at its focus.

    Example:
        >>> ScalarFocusIntensity(Objective(0.8, 0.5), Window((16, 16), spacing=0.1))().shape
        (16, 16)
    """


class Focus(_Verb, function=psf.focus):
    """A lens from any pupil to the vector field at its focus.

    Example:
        >>> Focus(Objective(0.8, 0.5), Window((16, 16), spacing=0.1))().shape
        (3, 16, 16)
    """

    polarization: Number | str | None = None


class FocusIntensity(_Verb, function=psf.focus_intensity):
    """A lens from any pupil to the intensity of the vector field at its focus.

    Example:
        >>> FocusIntensity(Objective(0.8, 0.5), Window((16, 16), spacing=0.1))().shape
        (16, 16)
    """

    polarization: Number | str | None = None


class EmitterField(_Verb, function=psf.emitter_field):
    """A microscope from a dipole to the field of its image.

    Example:
        >>> nouns = Objective(0.8, 0.5), Window((16, 16), spacing=0.1)
        >>> EmitterField(*nouns, dipole=[0, 0, 1])().shape
        (2, 16, 16)
    """

    dipole: Number  # type: ignore[misc]  # given by name


class EmitterImage(_Verb, function=psf.emitter_image):
    """A microscope from a dipole to its image.

    Example:
        >>> EmitterImage(Objective(0.8, 0.5), Window((16, 16), spacing=0.1))().shape
        (16, 16)
    """

    dipole: Number | None = None


class DipolePupil(Element, function=psf.dipole_pupil):
    """A dipole behind an objective, as the field in its back focal plane.

    Example:
        >>> pupil = DipolePupil(Objective(1.3, 0.5, n=1.5), (64, 64), spacing=90.0, f=2000.0,
        ...                     dipole=[1, 0, 0])
        >>> pupil().shape
        (64, 64)
    """

    objective: Objective
    shape: tuple[int, int]
    spacing: Number
    f: Number
    dipole: Number
    z: Number = 0.0
    y: Number = 0.0
    x: Number = 0.0
    focus: Number = 0.0

    @classmethod
    def _prepare(cls, values: dict[str, Any]) -> dict[str, Any]:
        return with_elements(cls.__name__, psf, values, objective=Objective)

    def __call__(self) -> VectorField:
        values = self.arguments()
        return psf.dipole_pupil(values.pop("objective")(), **values)
