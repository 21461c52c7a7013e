"""The microscope as an element: point-spread function, layers, effects of the camera."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from flax import nnx
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, imaging, psf
from jaxwave.elements.element import Element, Number, check_values
from jaxwave.elements.focus import Layers, layers_element, made, pairs
from jaxwave.psf import camera

# Nodes are counted for a wavelength shorter by this factor and an aberration larger by this path,
# so that they suffice for what a fit changes.
_RESERVE, _PATH_RESERVE = 0.9, 0.15


class Microscope(Element):
    r"""A fluorescence microscope whose numbers can be learned: object in, image out.

    .. math:: I(y, x) = \sum_z (P_z * O_z)(y, x),\qquad
        P_{jk} = \iint_{\text{pixel } jk} |\mathbf E(\mathbf r)|^2\, d^2r

    Valid as :class:`jaxwave.psf.Microscope` is, whose arguments it takes. Called with an object on
    the camera's pixels ``(..., y, x)`` it makes the image (for several ``z`` the focal stack);
    with one plane for each ``z``, ``(..., z, y, x)``, it makes the image of the volume, plane by
    plane with the point-spread function of its depth and in memory that does not grow with them.

    How finely the pupil and the pixels are sampled is settled when the element is made, for the
    numbers that are given and a reserve of ten percent; give ``nodes`` and
    ``samples_per_pixel`` for more.

    Args:
        na: Numerical aperture, scalar.
        wavelength: Vacuum wavelength, scalar [µm].
        shape: Number of pixels (ny, nx) of the point-spread function.
        pixel: Width of a camera pixel in the sample, scalar [µm]; or give ``pitch``.
        pitch: Width of a pixel of the camera itself, scalar [µm], with its ``magnification``.
        magnification: Of the image on the camera, scalar.
        n: Refractive index of immersion and sample, scalar; leave it out if there are ``layers``.
        layers: Sample, coverslip and immersion, :class:`Layers`.
        motion: What moves by z if there are layers, "stage" or "emitter".
        z: Positions of the emitters or planes, ``(...)`` [µm].
        pupil: Function of the pupil coordinates (y, x), its samples ``(y, x)`` [none], or a
            :class:`RadialPupil`.
        coefficients: Aberrations, ``(modes,)`` [µm].
        modes: Their Zernike modes, pairs (n, m) or single numbers of the ``convention``.
        convention: "osa", "noll" or "fringe" for single numbers.
        dipole: Dipole of the emitter, ``(3,)`` [none]; rotating freely if left out.
        y: Position of the emitter, scalar [µm].
        x: Position of the emitter, scalar [µm].
        sigma: Width of a Gaussian blur, scalar or ``(2,)`` [µm].
        boundary: What is beyond the object, see :func:`jaxwave.convolve_psf`.
        nodes: Quadrature nodes of the pupil.
        samples_per_pixel: Samples across a pixel over which it is integrated.

    Raises:
        ValueError: If a number is out of range.
        TypeError: If something is of the wrong kind.

    Example:
        >>> import jax.numpy as jnp
        >>> scope = Microscope(na=1.2, wavelength="600 nm", shape=(32, 32), pitch="6.5 um",
        ...                    magnification=60.0, n=1.33)
        >>> scope.psf().shape, scope(jnp.ones((64, 64))).shape
        ((32, 32), (64, 64))

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 4.1.
    """

    na: Number
    wavelength: Number
    shape: tuple[int, int]
    pixel: Number | None = None
    pitch: Number | None = None
    magnification: Number | None = None
    n: Number | None = None
    layers: Layers | None = None
    motion: str = "stage"
    z: Number = 0.0
    pupil: Number | None = None
    coefficients: Number | None = None
    modes: Sequence[Any] = ()
    convention: str | None = None
    dipole: Number | None = None
    y: Number = 0.0
    x: Number = 0.0
    sigma: Number = 0.0
    boundary: str = "zero"
    nodes: Any = None
    samples_per_pixel: float | None = None

    @classmethod
    def _prepare(cls, values: dict[str, Any]) -> dict[str, Any]:
        if isinstance(values["layers"], psf.Layers):
            values["layers"] = layers_element(values["layers"])
        return pairs(values)

    def _complete(self) -> None:
        if not _check.is_concrete(nnx.state(self)):
            return
        if self.samples_per_pixel is None:
            self.samples_per_pixel = self._reserved().camera().ratio
        learned = isinstance(self.pupil, nnx.Variable) or isinstance(self.pupil, Element)
        if self.nodes is None and not learned:
            self.nodes = self._count()

    def check(self) -> None:
        where = "Microscope"
        check_values(self, sigma=_check.nonnegative, y=_check.finite, x=_check.finite)
        check_values(self, z=_check.finite, coefficients=_check.finite)
        _check.choice(where, "motion", self.motion, ("stage", "emitter"))
        if self.layers is not None and not isinstance(self.layers, Layers):
            raise TypeError(f"{where}: `layers` must be Layers, got {type(self.layers).__name__}.")
        given = 0 if self.coefficients is None else np.size(self.coefficients[...])
        if given != len(self.modes):
            raise ValueError(
                f"{where}: `coefficients` [µm] and `modes` must come together, got {given} "
                f"coefficients and {len(self.modes)} modes."
            )
        self.model()

    def model(self) -> psf.Microscope:
        """The microscope of these numbers."""
        values = self.arguments()
        names = ("na", "wavelength", "shape", "pixel", "pitch", "magnification", "n", "motion")
        layers = None if self.layers is None else self.layers()
        options = {name: values[name] for name in (*names, "samples_per_pixel")}
        return psf.Microscope(**options, layers=layers)

    def _reserved(self) -> psf.Microscope:
        """The microscope at a wavelength that is shorter by the reserve."""
        shorter = np.asarray(self.wavelength[...], float) * _RESERVE
        return dataclasses.replace(self.model(), wavelength=shorter)

    def _count(self) -> Any:
        """Quadrature nodes with a reserve."""
        scope, pupil = self._reserved(), self.pupil
        if self.coefficients is not None:
            c = np.abs(np.asarray(self.coefficients[...], float))
            c = c + _PATH_RESERVE / len(self.modes) ** 0.5
            pupil = psf.ZernikePupil(c, self.modes, pupil)
        window = scope.window(self.z[...], y=self.y[...], x=self.x[...])
        return psf.nodes(scope.objective, window, pupil)

    def psf(self, z: ArrayLike | None = None) -> Array:
        """Share of an emitter's light in every pixel, ``(*z, y, x)``, at other ``z`` if given."""
        options = self._optics()
        if z is not None:
            options["z"] = _check.length("Microscope.psf", "z", z)
        return self.model().psf(**options)

    def _optics(self) -> dict[str, Any]:
        """What :meth:`psf.Microscope.psf` takes."""
        values = self.arguments()
        names = ("z", "pupil", "coefficients", "modes", "dipole", "y", "x", "sigma", "nodes")
        return {name: values[name] for name in names} | {"pupil": made(values["pupil"])}

    def __call__(self, object: ArrayLike) -> Array:
        _check.at_least("Microscope", "object", object, 2, "(..., y, x)")
        if self.z[...].ndim and np.ndim(object) > 2:
            return self.model().image(object, **self._optics(), boundary=self.boundary)
        return imaging.convolve_psf(object, self.psf(), boundary=self.boundary)


class IntegratePixels(Element, function=camera.integrate_pixels):
    """The pixels of a camera on an intensity.

    Example:
        >>> IntegratePixels((3, 4), spacing=0.1, pixel=0.2)
        IntegratePixels(shape=(3, 4), spacing=0.1 µm, pixel=0.2 µm)
    """

    shape: tuple[int, int]
    spacing: Number
    pixel: Number
    sigma: Number = 0.0

    def check(self) -> None:
        check_values(self, spacing=_check.positive, pixel=_check.positive, sigma=_check.nonnegative)

    def __call__(self, intensity: ArrayLike) -> Array:
        return camera.integrate_pixels(intensity, **self.arguments())


class EmittersImage(Element):
    r"""Many emitters on a microscope's camera; their places and photons can be learned.

    .. math:: \mu_{jk} = b + \sum_e N_e\, P_{jk}(z_e, y_e, x_e)

    Valid as :func:`jaxwave.psf.emitters_image` is.

    Args:
        microscope: A :class:`Microscope`; its shape is the frame, its pupil and aberrations act.
        positions: Depth and place of every emitter, ``(emitters, 3)`` as (z, y, x) [µm].
        photons: Photons of every emitter, one number or ``(emitters,)`` [photons].
        dipoles: Directions of the moments, ``(emitters, 3)`` [none]; None for rotating molecules.
        background: Photons in every pixel, one number or ``(y, x)`` [photons].
        size: Pixels of the window around an emitter.

    Raises:
        ValueError: If shapes do not fit.
        TypeError: If ``microscope`` is not an element.

    Example:
        >>> scope = Microscope(1.4, 0.6, (40, 40), pixel=0.1, n=1.518)
        >>> EmittersImage(scope, [[0.0, 0.31, -0.2]], photons=1000.0)().shape
        (40, 40)

    References:
        H. P. Babcock and X. Zhuang, Sci. Rep. 7, 552 (2017).
    """

    microscope: Microscope
    positions: Number
    photons: Number = 1.0
    dipoles: Number | None = None
    background: Number = 0.0
    size: int | None = None

    def check(self) -> None:
        if not isinstance(self.microscope, Microscope):
            raise TypeError(
                "EmittersImage: `microscope` must be elements.Microscope(...), got "
                f"{type(self.microscope).__name__}."
            )

    def __call__(self) -> Array:
        values = self.arguments()
        scope = values.pop("microscope")
        options = {name: scope.arguments()[name] for name in ("coefficients", "modes", "sigma")}
        pupil = made(scope.arguments()["pupil"])
        return psf.emitters_image(scope.model(), **values, pupil=pupil, **options)


class GaussianBlur(Element, function=camera.gaussian_blur):
    """A blur by vibration, drift or diffusion.

    Example:
        >>> GaussianBlur(spacing=0.1, sigma="20 nm")
        GaussianBlur(spacing=0.1 µm, sigma=0.02 µm)
    """

    spacing: Number
    sigma: Number

    def check(self) -> None:
        check_values(self, spacing=_check.positive, sigma=_check.nonnegative)

    def __call__(self, intensity: ArrayLike) -> Array:
        return camera.gaussian_blur(intensity, **self.arguments())


class ExpectedPhotons(Element, function=camera.expected_photons):
    """Brightness and background of an emitter.

    Example:
        >>> ExpectedPhotons(photons=1000.0, background=3.0)
        ExpectedPhotons(photons=1000, background=3)
    """

    photons: Number
    background: Number = 0.0

    def check(self) -> None:
        check_values(self, photons=_check.nonnegative, background=_check.nonnegative)

    def __call__(self, psf: ArrayLike) -> Array:
        return camera.expected_photons(psf, **self.arguments())
