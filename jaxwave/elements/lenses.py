"""Lenses as elements."""

from __future__ import annotations

from jax import Array

from jaxwave import _check, lenses
from jaxwave.elements.element import Element, Number, check_values
from jaxwave.field import AnyField, Field, VectorField
from jaxwave.psf import lens as high_na


class ThinLens(Element, function=lenses.thin_lens):
    """A thin lens.

    Example:
        >>> ThinLens("200 mm")
        ThinLens(f=200000 µm)
    """

    f: Number
    n: Number = 1.0

    def check(self) -> None:
        check_values(self, f=_check.nonzero, n=_check.positive)

    def __call__(self, field: AnyField) -> AnyField:
        return lenses.thin_lens(field, **self.arguments())


class Lens(Element, function=lenses.lens):
    """A lens, from any plane in front to any plane behind.

    Example:
        >>> Lens("200 mm", front="180 mm", back="200 mm").distance()
        Array(380000., dtype=float32)
    """

    f: Number
    front: Number
    back: Number
    n: Number = 1.0
    spacing: Number | None = None
    shape: tuple[int, int] | None = None
    inverse: bool = False

    def check(self) -> None:
        check_values(self, f=_check.nonzero, n=_check.positive, spacing=_check.positive)

    def __call__(self, field: AnyField) -> AnyField:
        return lenses.lens(field, **self.arguments())

    def distance(self) -> Array:
        total = self.front[...] + self.back[...]
        return -total if self.inverse else total


class FourF(Element, function=lenses.four_f):
    """Two lenses that share a focus.

    Example:
        >>> FourF("100 mm", "180 mm")
        FourF(f1=100000 µm, f2=180000 µm)
    """

    f1: Number
    f2: Number
    n: Number = 1.0
    pupil: Number | None = None

    def check(self) -> None:
        check_values(self, f1=_check.positive, f2=_check.positive, n=_check.positive)

    def __call__(self, field: AnyField) -> AnyField:
        return lenses.four_f(field, **self.arguments())

    def distance(self) -> Array:
        return 2 * (self.f1[...] + self.f2[...])


class FFLens(Element, function=lenses.ff_lens):
    """A lens from its front to its back focal plane.

    Example:
        >>> FFLens("180 mm", inverse=True)
        FFLens(f=180000 µm, inverse=True)
    """

    f: Number
    n: Number = 1.0
    spacing: Number | None = None
    shape: tuple[int, int] | None = None
    inverse: bool = False

    def check(self) -> None:
        check_values(self, f=_check.positive, n=_check.positive, spacing=_check.positive)

    def __call__(self, field: AnyField) -> AnyField:
        return lenses.ff_lens(field, **self.arguments())

    def distance(self) -> Array:
        return -2 * self.f[...] if self.inverse else 2 * self.f[...]


class _HighNA(Element):
    """What both lenses of high numerical aperture share."""

    f: Number
    na: Number
    spacing: Number
    shape: tuple[int, int] | None = None
    n: Number = 1.0
    z: Number = 0.0
    apodization: str = "aplanatic"

    def check(self) -> None:
        check_values(self, f=_check.positive, spacing=_check.positive, z=_check.finite)
        _check.numerical_aperture(type(self).__name__, self.na[...], self.n[...])

    def distance(self) -> Array:
        return 2 * self.f[...] + self.z[...]


class HighNAFFLens(_HighNA, function=high_na.high_na_ff_lens):
    """A vectorial lens of high numerical aperture, from its pupil to its focus.

    Example:
        >>> HighNAFFLens(2500.0, na=1.3, n=1.518, spacing=0.04, shape=(64, 64))
        HighNAFFLens(f=2500 µm, na=1.3, spacing=0.04 µm, shape=(64, 64), n=1.518)
    """

    polarization: Number = (1.0, 0.0)

    def __call__(self, field: Field) -> VectorField:
        return high_na.high_na_ff_lens(field, **self.arguments())


class HighNAFFLensScalar(_HighNA, function=high_na.high_na_ff_lens_scalar):
    """A scalar lens of high numerical aperture, from its pupil to its focus.

    Example:
        >>> HighNAFFLensScalar(2500.0, na=0.5, spacing=0.1).na[...].item()
        0.5
    """

    def __call__(self, field: Field) -> Field:
        return high_na.high_na_ff_lens_scalar(field, **self.arguments())
