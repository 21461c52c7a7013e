"""The Fourier light-field microscope: lenses in the pupil."""

from __future__ import annotations

import math
import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave._noun import Number, noun, number, settle, static
from jaxwave.field import scalar_field
from jaxwave.grid import disk_coverage, sample_coordinates
from jaxwave.lightfield.array import LensArray
from jaxwave.lightfield.camera import Sheet, Sizes, margins, record, samples_per_pixel, sheet
from jaxwave.lightfield.microscope import check_microscope, clear_power
from jaxwave.lightfield.projector import LightFieldPSF, depths
from jaxwave.numerics import cis, program
from jaxwave.psf import Objective, dipole_pupil
from jaxwave.psf.objective import Pupil, ZernikePupil
from jaxwave.zernike import zernike_opd


@noun
class FourierMicroscope:
    r"""A microscope with lenses in an image of its pupil: a Fourier or extended light field.

    .. math:: I(\mathbf r) = \sum_m \left|\mathcal P_d\left[t(\mathbf h)\,
        E_m(\mathbf h)\right]\right|^2, \qquad
        E \propto e^{2\pi i z \sqrt{n^2 - s^2}/\lambda}, \qquad
        \mathbf h = \frac{f_F}{M}\,\mathbf s

    Every lens sees the whole sample through its part of the pupil, so the PSF is the same
    everywhere and a period is one pixel. Exact for objectives that obey the sine condition and
    paraxial lenses; valid for samples that the field stop lets pass. Pictures are upright; the
    pupil is then turned by 180 degrees. Every number is a leaf.

    Args:
        objective: The objective, :class:`~jaxwave.psf.Objective`, with scalar numbers.
        magnification: Magnification of objective and tube lens.
        f: Focal length f_F of the Fourier lens [µm].
        array: The lenses, often with listed ``centers`` and round, in the shape of a LensArray
            [none].
        camera_pitch: Pixels of the camera, one number or ``(2,)`` as (y, x) [µm].
        shape: Pixels of the camera (ny, nx).
        camera_distance: From the lenses to the camera, scalar [µm]; by default their focal length.
        emitter: "rotating" for dipoles that turn freely (exact), "scalar" for the scalar model.

    Raises:
        ValueError: If a length is not positive, or the distance is missing where the lenses have
            several focal lengths.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> lenses = LensArray("20 mm", centers=[[0.0, -700.0], [0.0, 700.0]], lenslet="round",
        ...                    diameter=1300.0)
        >>> scope = FourierMicroscope(Objective(0.5, 0.53), 20, "40 mm", lenses,
        ...                           camera_pitch=13.0, shape=(100, 216), emitter="scalar")
        >>> scope.psf([-20.0, 0.0]).shape
        (100, 216)

    References:
        C. Guo et al., "Fourier light-field microscopy", Opt. Express 27, 25573 (2019).
    """

    objective: Objective
    magnification: Number
    f: Number
    array: LensArray
    camera_pitch: Number
    shape: tuple[int, int] = static()
    camera_distance: Number = None
    emitter: str = static(default="rotating")

    def __post_init__(self) -> None:
        where = "FourierMicroscope"
        f = _check.length(where, "f", self.f)
        _check.positive(where, "f", f, unit="µm")
        shape = _check.grid_shape(where, self.shape)
        check_microscope(where, self)
        settle(self, f=number(where, "f", f), shape=shape)

    @property
    def pixel_in_sample(self) -> Any:
        """Width of a camera pixel in the sample [µm]."""
        return self.camera_pitch * self.f / (self.magnification * self._distance())

    @property
    def pupil_radius(self) -> Any:
        """Radius of the pupil at the lenses [µm]."""
        return self.objective.na * self.f / self.magnification

    def psf(
        self, z: ArrayLike | str, *, pupil: Pupil = None, samples: int | None = None
    ) -> LightFieldPSF:
        """PSF of an emitter on the axis, which is that of all emitters.

        Args:
            z: Depths behind the focal plane, rising, ``(planes,)`` [µm].
            pupil: What else stands in the pupil: a function of (y, x) [pupil radii], or
                :class:`~jaxwave.psf.ZernikePupil`.
            samples: Samples in a pixel, odd; by default what holds the light.

        Returns:
            The PSF, ``(planes, 1, 1, y, x)``.

        Raises:
            ValueError: If the depths are none or not rising.
            TypeError: If the pupil is of another kind.
        """
        where = "FourierMicroscope.psf"
        z = depths(where, z)
        return self.places(z, pupil, self.sizes(where, samples, z))

    def sizes(self, where: str, samples: int | None, z: ArrayLike) -> Sizes:
        """What the numbers decide about shapes."""
        margin = margins(self.array.reach(), self.camera_pitch)  # a lens at the rim is seen whole
        return Sizes((1, 1), self.shape, margin, self._samples(where, samples, z))

    def places(self, z: Array, pupil: Pupil, sizes: Sizes) -> LightFieldPSF:
        """PSF of an emitter on the axis; all numbers may be traced."""
        where = "FourierMicroscope.psf"
        plan = sheet(sizes)
        spacing = self._pitch() / sizes.samples
        modes: Any = ()
        coefficients: Any = None
        if isinstance(pupil, ZernikePupil):
            modes, coefficients, pupil = pupil.modes, pupil.coefficients, pupil.pupil
        other = self._filter(where, plan.shape, spacing, pupil)
        values = _images(plan, modes, self, spacing, z, other, coefficients)
        return LightFieldPSF(values, z, self.pixel_in_sample)

    def _pitch(self) -> Any:
        if _check.is_concrete(self.camera_pitch):
            return np.broadcast_to(np.asarray(self.camera_pitch, float), (2,))
        return jnp.broadcast_to(jnp.asarray(self.camera_pitch, float), (2,))

    def _distance(self) -> Any:
        return self.array.f if self.camera_distance is None else self.camera_distance

    def _light(self, shape: tuple[int, int], spacing: Array, z: Array) -> tuple[Array, Array]:
        """Incoherent parts in the pupil, ``(1, parts, y, x)``, and their weights."""
        f = jnp.asarray(self.f) / self.magnification
        o = self.objective
        if self.emitter == "rotating":
            with warnings.catch_warnings():
                # A camera need not see the whole pupil.
                warnings.simplefilter("ignore", _check.JaxwaveWarning)
                parts = [
                    dipole_pupil(o, shape, spacing=spacing, f=f, dipole=d, z=-z).u[:2]
                    for d in np.eye(3)
                ]
            x, y, along = parts
            both = jnp.stack([x[0], y[1], x[1], along[0], along[1]])
            return both[None], jnp.asarray([1, 1, 2, 1, 1]) / 3
        y, x = sample_coordinates(shape, spacing)
        s2 = (y**2 + x**2) / f**2
        inside = disk_coverage(shape, spacing, self.pupil_radius)
        n = jnp.asarray(o.n_s)
        root = jnp.sqrt(jnp.maximum(n**2 - s2, 1e-6))
        amplitude = jnp.sqrt(n / root) if o.apodization == "aplanatic" else jnp.ones_like(root)
        waves = cis(-z * s2 / (root + n) / o.wavelength)
        radius = self.pupil_radius
        power = math.pi * radius**2 * clear_power(o)
        return (inside * amplitude * waves)[None, None], 1 / power[None]

    def _filter(self, where: str, shape: tuple[int, int], spacing: Array, pupil: Any) -> Any:
        """What stands in the pupil, seen with the camera's picture upright."""
        if pupil is None:
            return 1.0
        if not callable(pupil):
            raise TypeError(
                f"{where}: `pupil` must be a function of (y, x) or a ZernikePupil, got "
                f"{type(pupil).__name__}."
            )
        return pupil(*_places(self, shape, spacing))

    def _samples(self, where: str, samples: int | None, z: ArrayLike) -> int:
        o, reach = self.objective, self.array.reach()
        steepest = None
        known = (
            o.na,
            o.wavelength,
            self.magnification,
            self.f,
            self.array.f,
            z,
            o.n_s,
            self.camera_pitch,
        )
        if reach is not None and _check.is_concrete(*known):
            short = float(np.min(np.abs(np.asarray(self.array.f))))
            na, n = float(np.max(np.asarray(o.na))), float(np.asarray(o.n_s))
            tangent = na / math.sqrt(max(n * n - na * na, 0.05 * n * n))
            far = float(np.max(np.abs(np.asarray(z))))
            tilt = far * tangent * float(np.asarray(self.magnification)) / float(np.asarray(self.f))
            steepest = (tilt + reach / short) / float(np.min(np.asarray(o.wavelength)))
        return samples_per_pixel(where, samples, self.camera_pitch, steepest, reach)


@program("shape")
def _places(
    microscope: FourierMicroscope, shape: tuple[int, int], spacing: Array
) -> tuple[Array, Array]:
    """Coordinates (y, x) of the pupil [pupil radii]."""
    y, x = sample_coordinates(shape, spacing)
    return -y / microscope.pupil_radius, -x / microscope.pupil_radius


@program("plan", "modes")
def _images(
    plan: Sheet,
    modes: tuple[tuple[int, int], ...],
    microscope: FourierMicroscope,
    spacing: Array,
    z: Array,
    other: Array | float,
    coefficients: Array | None,
) -> Array:
    """Pixels ``(planes, 1, 1, y, x)``."""
    o = microscope.objective
    spacing = jnp.asarray(spacing)
    ones = jnp.ones(plan.shape, jnp.result_type(float, jnp.complex64))
    field = scalar_field(ones, spacing=spacing, wavelength=o.wavelength)
    mask = microscope.array.refract(field).u * other
    if coefficients is not None:
        places = _places(microscope, plan.shape, spacing)
        mask = mask * cis(zernike_opd(coefficients, modes, *places) / o.wavelength)
    start = np.zeros((1, 2), int)

    def plane(depth: Array) -> Array:
        fields, weights = microscope._light(plan.shape, spacing, depth)
        rest = (microscope._distance(), o.wavelength, spacing, weights, 1.0)
        return record(plan, (1, 1), fields, mask, start, rest)[0]

    return lax.map(plane, jnp.asarray(z, field.real_dtype))
