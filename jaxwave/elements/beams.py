"""Beams as elements: called without a field, they make one."""

from __future__ import annotations

from typing import Any

from jax import Array

from jaxwave import _check, beams, coherence, fibers
from jaxwave.elements.element import Number, check_values
from jaxwave.elements.sources import Source
from jaxwave.field import Field


class _Beam(Source):
    """A beam with a waist and an axis."""

    waist: Number
    z: Number = 0.0
    n: Number = 1.0
    y: Number = 0.0
    x: Number = 0.0
    ky: Number = 0.0
    kx: Number = 0.0
    power: Number = 1.0
    dtype: Any = None

    def check(self) -> None:
        super().check()
        check_values(self, waist=_check.positive)


class GaussianBeam(_Beam, function=beams.gaussian_beam):
    """A Gaussian beam as a source.

    Example:
        >>> GaussianBeam((64, 64), spacing=0.5, wavelength=0.532, waist=4.0)().shape
        (64, 64)
    """

    astigmatism: Number = 0.0

    def __call__(self) -> Field:
        return beams.gaussian_beam(**self.arguments())


class HermiteGaussBeam(_Beam, function=beams.hermite_gauss_beam):
    """A Hermite-Gauss beam as a source.

    Example:
        >>> HermiteGaussBeam((9, 9), order=(0, 1), spacing=0.5, wavelength=0.5, waist=1.0)().shape
        (9, 9)
    """

    order: tuple[int, int]  # type: ignore[misc]

    def __call__(self) -> Field:
        return beams.hermite_gauss_beam(**self.arguments())


class LaguerreGaussBeam(_Beam, function=beams.laguerre_gauss_beam):
    """A Laguerre-Gauss beam as a source.

    Example:
        >>> LaguerreGaussBeam((64, 64), charge=1, spacing=0.5, wavelength=0.532, waist=4.0)().shape
        (64, 64)
    """

    radial: int = 0
    charge: int = 0

    def __call__(self) -> Field:
        return beams.laguerre_gauss_beam(**self.arguments())


class BesselBeam(Source, function=beams.bessel_beam):
    """A Bessel beam as a source.

    Example:
        >>> BesselBeam((64, 64), kr=1.0, spacing=0.5, wavelength=0.532, waist=8.0)().shape
        (64, 64)
    """

    kr: Number
    charge: int = 0
    waist: Number = None
    y: Number = 0.0
    x: Number = 0.0
    power: Number = 1.0
    dtype: Any = None

    def check(self) -> None:
        super().check()
        check_values(self, kr=_check.nonnegative, waist=_check.positive)

    def __call__(self) -> Field:
        return beams.bessel_beam(**self.arguments())


class GaussianSchellBeam(Source, function=coherence.gaussian_schell_beam):
    """A beam that is coherent over a length only, as the modes of a source.

    Example:
        >>> beam = GaussianSchellBeam(
        ...     (64, 64), coherence=8.0, order=9, spacing=0.5, wavelength=0.5, waist=5.0)
        >>> beam().batch_shape
        (45,)
    """

    coherence: Number
    order: int
    waist: Number
    z: Number = 0.0
    n: Number = 1.0
    power: Number = 1.0
    dtype: Any = None

    def check(self) -> None:
        super().check()
        check_values(self, waist=_check.positive, coherence=_check.positive)

    def __call__(self) -> Field:
        return coherence.gaussian_schell_beam(**self.arguments())


class LpModes(Source, function=fibers.lp_modes):
    """The end of a multimode fiber as a source of modes.

    Example:
        >>> LpModes((64, 64), radius=4.1, na=0.14, spacing=0.5, wavelength=0.85)().batch_shape
        (6,)
    """

    radius: Number
    na: Number
    orders: tuple[tuple[int, int], ...] | None = None
    y: Number = 0.0
    x: Number = 0.0
    power: Number = 1.0
    dtype: Any = None

    def check(self) -> None:
        super().check()
        check_values(self, radius=_check.positive, na=_check.positive)

    def __call__(self) -> Field:
        return fibers.lp_modes(**self.arguments())


class Speckle(Source, function=coherence.speckle):
    """Laser light behind a diffuser as a source: every key is another realization.

    Example:
        >>> import jax
        >>> Speckle((64, 64), spacing=0.5, wavelength=0.5, na=0.2)(jax.random.key(0)).shape
        (64, 64)
    """

    na: Number
    power: Number = 1.0
    dtype: Any = None

    def check(self) -> None:
        super().check()
        check_values(self, na=_check.positive)

    def __call__(self, key: Array) -> Field:
        return coherence.speckle(key, **self.arguments())
