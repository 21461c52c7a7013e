"""Light-field microscopes as elements: lens arrays, distances and pitches that can be learned."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, lightfield, psf
from jaxwave.elements.element import Element, Number
from jaxwave.elements.focus import Noun, Objective, made, with_elements
from jaxwave.lightfield.camera import Sizes


class LensArray(Noun, function=lightfield.LensArray):
    """A lens array whose numbers can be learned; called, it makes the noun.

    Example:
        >>> LensArray("2.5 mm", pitch="100 um")
        LensArray(f=2500 µm, pitch=100 µm)
    """

    f: Number
    pitch: Number | None = None
    layout: str = "square"
    centers: Number | None = None
    phi: Number = 0.0
    y: Number = 0.0
    x: Number = 0.0
    lenslet: str = "full"
    diameter: Number | None = None
    gap: Number = 0.0


class _Scope(Element):
    """A microscope with a lens array, and the depths that it is looked at."""

    _noun: ClassVar[Any]
    _sizes: Sizes | None
    _no_sizes: str

    @classmethod
    def _prepare(cls, values: dict[str, Any]) -> dict[str, Any]:
        values = with_elements(cls.__name__, psf, values, objective=Objective)
        return with_elements(cls.__name__, lightfield, values, array=LensArray)

    def check(self) -> None:
        self.model()

    def model(self) -> Any:
        """The microscope of these numbers, as :mod:`jaxwave.lightfield` has it."""
        noun = self._noun
        names = [field.name for field in dataclasses.fields(noun)]
        values = {name: made(value) for name, value in self.arguments().items() if name in names}
        return noun(**values)

    def _depths(self) -> Array:
        return jnp.atleast_1d(self.arguments()["z"])

    def _count(self) -> Sizes:
        """What its numbers decide about shapes."""
        raise NotImplementedError

    def __call__(self, volume: ArrayLike, pupil: Any = None) -> Array:
        """Image of a volume ``(..., z, y, x)``, a plane for each of ``z``."""
        volume = jnp.asarray(volume)
        ny, nx = volume.shape[-2:]
        projector = lightfield.Projector(self.psf(pupil), (ny, nx))
        return projector.project(volume)

    def psf(self, pupil: Any = None) -> lightfield.LightFieldPSF:
        """PSFs of all places in one period, ``(planes, a, b, y, x)``."""
        known = _check.is_concrete(nnx.state(self))  # else those of the numbers it was made with
        sizes = self._count() if known else self._sizes
        if sizes is None:
            raise ValueError(f"{type(self).__name__}: {self._no_sizes}")
        return self.model().places(self._depths(), made(pupil), sizes)


class LightFieldMicroscope(_Scope):
    r"""A light-field microscope whose numbers can be learned: volume in, image out.

    .. math:: I(\mathbf r) = \sum_m \left|\mathcal P_d\left[t(\mathbf r)\,
        E_m(\mathbf r / M)\right]\right|^2

    Valid as :class:`jaxwave.lightfield.LightFieldMicroscope` is, whose arguments it takes;
    several focal lengths of the array make it multi-focus. Called with a volume
    ``(..., z, y, x)``, whose planes lie at ``z`` and whose voxels are as wide as pixels in the
    sample, it makes the image. How many pixels a period, a PSF and a margin have, and how finely
    pixels are sampled, is settled when the element is made; all else is traced.

    Args:
        objective: The objective, :class:`Objective`.
        magnification: Magnification of objective and tube lens, scalar.
        array: An element :class:`LensArray`; its shape is that of its own numbers [none].
        camera_pitch: Pixels of the camera, one number or ``(2,)`` as (y, x) [µm].
        camera_distance: From the array to the camera, scalar [µm]; by default the focal length.
        emitter: "rotating" for dipoles that turn freely (exact), "scalar" for the scalar model.
        z: Depths of the planes, rising, ``(planes,)`` [µm].
        shape: Pixels that the light of one emitter is followed to, (y, x).
        samples: Samples in a pixel behind the lenslets, odd; by default what holds the light.

    Raises:
        ValueError: If a number is out of range, or the array does not repeat after whole pixels.
        TypeError: If something is of the wrong kind.

    Example:
        >>> import jax.numpy as jnp
        >>> scope = LightFieldMicroscope(Objective(0.4, 0.53), 20, LensArray(2000.0, pitch=75.0),
        ...                              camera_pitch=15.0, emitter="scalar", z=[-20.0, 0.0])
        >>> scope(jnp.ones((2, 30, 40))).shape
        (30, 40)

    References:
        M. Broxton et al., Opt. Express 21, 25418 (2013).
    """

    _noun = lightfield.LightFieldMicroscope
    objective: Objective
    magnification: Number
    array: LensArray
    camera_pitch: Number
    camera_distance: Number | None = None
    emitter: str = "rotating"
    z: Number = 0.0
    shape: tuple[int, int] | None = None
    samples: int | None = None

    def _count(self) -> Sizes:
        where, z = type(self).__name__, np.asarray(self._depths())
        return self.model().sizes(where, self.shape, self.samples, z=z, repeats=True)

    def _complete(self) -> None:
        self._sizes, self._no_sizes = None, "its numbers were traced when it was made."
        if not _check.is_concrete(nnx.state(self)):
            return
        try:
            self._sizes = self._count()
        except ValueError as error:  # `image` needs no whole period
            self._no_sizes = str(error).partition(": ")[2]

    def image(
        self,
        shape: tuple[int, int],
        *,
        z: ArrayLike = 0.0,
        y: ArrayLike = 0.0,
        x: ArrayLike = 0.0,
        pupil: Any = None,
    ) -> Array:
        """Light field of one emitter ``(y, x)``, for arrays of any pitch and turn."""
        where, scope = f"{type(self).__name__}.image", self.model()
        sizes = scope.sizes(where, shape, self.samples)
        if self._sizes is not None and not _check.is_concrete(nnx.state(self)):
            sizes = self._sizes._replace(period=None, kernel=sizes.kernel)
        return scope.emitter_image(z, y, x, made(pupil), sizes)


class FourierMicroscope(_Scope):
    r"""A Fourier light-field microscope whose numbers can be learned: volume in, image out.

    .. math:: I(\mathbf r) = \sum_m \left|\mathcal P_d\left[t(\mathbf h)\,
        E_m(\mathbf h)\right]\right|^2

    Valid as :class:`jaxwave.lightfield.FourierMicroscope` is, whose arguments it takes. Called
    with a volume ``(..., z, y, x)``, whose planes lie at ``z``, it makes the image. How wide the
    margin is and how finely pixels are sampled is settled when the element is made; all else is
    traced.

    Args:
        objective: The objective, :class:`Objective`.
        magnification: Magnification of objective and tube lens, scalar.
        f: Focal length of the Fourier lens, scalar [µm].
        array: An element :class:`LensArray`; its shape is that of its own numbers [none].
        camera_pitch: Pixels of the camera, one number or ``(2,)`` as (y, x) [µm].
        shape: Pixels of the camera (ny, nx).
        camera_distance: From the lenses to the camera, scalar [µm]; by default their focal length.
        emitter: "rotating" for dipoles that turn freely (exact), "scalar" for the scalar model.
        z: Depths of the planes, rising, ``(planes,)`` [µm].
        samples: Samples in a pixel, odd; by default what holds the light.

    Raises:
        ValueError: If a number is out of range.
        TypeError: If something is of the wrong kind.

    Example:
        >>> lenses = LensArray("20 mm", centers=[[0.0, -700.0], [0.0, 700.0]], lenslet="round",
        ...                    diameter=1300.0)
        >>> scope = FourierMicroscope(Objective(0.5, 0.53), 20, "40 mm", lenses, 13.0, (100, 216),
        ...                           emitter="scalar", z=[-20.0, 0.0])
        >>> scope.psf().shape
        (100, 216)

    References:
        C. Guo et al., "Fourier light-field microscopy", Opt. Express 27, 25573 (2019).
    """

    _noun = lightfield.FourierMicroscope
    objective: Objective
    magnification: Number
    f: Number
    array: LensArray
    camera_pitch: Number
    shape: tuple[int, int]
    camera_distance: Number | None = None
    emitter: str = "rotating"
    z: Number = 0.0
    samples: int | None = None

    def _count(self) -> Sizes:
        where = type(self).__name__
        return self.model().sizes(where, self.samples, np.asarray(self._depths()))

    def _complete(self) -> None:
        self._no_sizes = "its numbers were traced when it was made."
        self._sizes = self._count() if _check.is_concrete(nnx.state(self)) else None
