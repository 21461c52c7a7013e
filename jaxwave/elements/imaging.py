"""Incoherent image formation as elements: called with an object, they make its image."""

from __future__ import annotations

from collections.abc import Callable

from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, coherence, condenser, deconvolution, imaging
from jaxwave.elements.element import Element, Number, check_values
from jaxwave.field import Field


class Intensity(Element):
    r"""The intensity of a field: from waves to what a camera or an eye sees.

    .. math:: I = |u|^2

    Exact; the components of a vector field are added up. The result has no spacing; behind it
    come elements that act on images.

    Raises:
        TypeError: If it is given an argument, or called with what is not a field.

    Example:
        >>> import jaxwave as jw
        >>> Intensity()(jw.plane_wave((8, 8), spacing=0.5, wavelength=0.5)).shape
        (8, 8)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 4.1.
    """

    def __call__(self, field: Field) -> Array:
        _check.is_field("Intensity", field, Field)
        return field.intensity


class TotalIntensity(Element, function=coherence.total_intensity):
    """The intensity of all modes together.

    Example:
        >>> TotalIntensity()
        TotalIntensity()
    """

    axis: int = 0

    def __call__(self, field: Field) -> Array:
        return coherence.total_intensity(field, axis=self.axis)


class KoehlerImage(Element, function=condenser.koehler_image):
    """A microscope with a condenser for thin samples; its light can be learned.

    Example:
        >>> import jaxwave as jw
        >>> light = jw.illumination_points(0.3)
        >>> lens = KoehlerImage(light, spacing=0.2, wavelength=0.5, na=0.5)
        >>> lens.illumination.shape
        (128, 3)
    """

    illumination: Number
    spacing: Number
    wavelength: Number
    na: Number
    n: Number = 1.0
    z: Number = 0.0
    pupil: Callable | None = None
    batch: int = 8

    def check(self) -> None:
        check_values(self, spacing=_check.positive, n=_check.positive, z=_check.finite)
        _check.wavelength(type(self).__name__, self.wavelength[...])
        _check.numerical_aperture(type(self).__name__, self.na[...], self.n[...])

    def __call__(self, transmission: ArrayLike) -> Array:
        return condenser.koehler_image(transmission, **self.arguments())


class ConvolvePsf(Element, function=imaging.convolve_psf):
    """An incoherent imaging system given by its point-spread function.

    Example:
        >>> import jax.numpy as jnp
        >>> ConvolvePsf(jnp.full((3, 3), 1 / 9), boundary="reflect")
        ConvolvePsf(psf=(3, 3) float32, 0.111111, boundary='reflect')
    """

    psf: Number
    boundary: str = "zero"

    def check(self) -> None:
        _check_psf(self, 2, "(..., y, x)")

    def __call__(self, image: ArrayLike) -> Array:
        return imaging.convolve_psf(image, **self.arguments())


class ImageVolume(Element, function=imaging.image_volume):
    """An incoherent imaging system for volumes, given by a point-spread function for each plane.

    Example:
        >>> import jax.numpy as jnp
        >>> ImageVolume(jnp.full((2, 3, 3), 1 / 18))(jnp.ones((2, 8, 8))).shape
        (8, 8)
    """

    psf: Number
    boundary: str = "zero"

    def check(self) -> None:
        _check_psf(self, 3, "(..., z, y, x)")

    def __call__(self, volume: ArrayLike) -> Array:
        return imaging.image_volume(volume, **self.arguments())


class Wiener(Element, function=deconvolution.wiener):
    """A linear filter that undoes the blur of a point-spread function; its weight can be learned.

    Example:
        >>> import jax.numpy as jnp
        >>> Wiener(jnp.full((5, 3, 3), 1 / 9), 0.01)(jnp.ones((8, 8))).shape  # five depths
        (8, 8)
    """

    psf: Number
    weight: Number
    depths: int | str | None = "auto"
    scene: str = "natural"
    haze: bool = False
    boundary: str = "reflect"

    def check(self) -> None:
        _check_psf(self, 2, "(..., y, x)")
        _check.choice(type(self).__name__, "scene", self.scene, deconvolution.SCENES)
        check_values(self, weight=_check.positive)

    def __call__(self, image: ArrayLike) -> Array:
        return deconvolution.wiener(image, **self.arguments())


def _check_psf(element: ConvolvePsf | ImageVolume | Wiener, rank: int, layout: str) -> None:
    where, psf = type(element).__name__, element.psf[...]
    _check.choice(where, "boundary", element.boundary, imaging.BOUNDARIES)
    _check.real_array(where, "psf", psf, fix="Take field.intensity.")
    _check.at_least(where, "psf", psf, rank, layout)
    _check.not_empty(where, "psf", psf.shape)
    _check.finite_array(where, "psf", psf)
