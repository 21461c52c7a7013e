"""The microscope as an element: point-spread function, layers, effects of the camera."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, imaging, psf
from jaxwave.elements.element import Element, Number, check_values
from jaxwave.psf import effects
from jaxwave.zernike import zernike_modes

# Nodes are counted for a wavelength shorter by this factor and an aberration larger by this path,
# so that they suffice for what a fit changes.
_RESERVE, _PATH_RESERVE = 0.9, 0.15


class CoverslipLayers(Element, function=psf.coverslip_layers):
    r"""Sample, coverslip and immersion as numbers that can be learned.

    Called, it makes the :class:`~jaxwave.psf.Layers` that the models take. Several layers of a
    coverslip are arrays ``(layers,)``.

    .. math:: (n_s, t_s),\ (n_1, t_1) \dots (n_m, t_m),\ (n_i, t_i)

    Valid for plane, parallel layers.

    Example:
        >>> layers = CoverslipLayers(n_s=1.33, n_g=1.523, n_i=1.518, t_s="2 um")
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

    def check(self) -> None:
        self()

    def __call__(self) -> psf.Layers:
        values = self.arguments()
        for name in ("n_g", "t_g", "n_g_design", "t_g_design"):
            if values[name] is not None and values[name].ndim:
                values[name] = tuple(values[name])
        return psf.coverslip_layers(**values)


def layers_element(layers: psf.Layers) -> CoverslipLayers:
    """The element of layers that were made by the function."""
    values = {field.name: getattr(layers, field.name) for field in dataclasses.fields(layers)}
    for name, value in values.items():
        if isinstance(value, tuple):
            values[name] = value[0] if len(value) == 1 else jnp.stack(value)
    return CoverslipLayers(**values)


class Microscope(Element):
    r"""A fluorescence microscope whose numbers can be learned: object in, image out.

    .. math:: I(y, x) = \sum_z (P_z * O_z)(y, x),\qquad
        P_{jk} = \iint_{\text{pixel } jk} |\mathbf E(\mathbf r)|^2\, d^2r

    Valid as :class:`jaxwave.psf.Microscope` is, whose arguments it takes. Called with an object on
    the camera's pixels ``(..., y, x)`` it makes the image (for several ``z`` the focal stack);
    with one plane for each ``z``, ``(..., z, y, x)``, it makes the image of the volume.

    How finely the pupil and the pixels are sampled is settled when the element is made, for the
    numbers that are given and a reserve of ten percent; give ``nodes`` and
    ``samples_per_pixel`` for more.

    Args:
        na: Numerical aperture, scalar.
        wavelength: Vacuum wavelength, scalar [µm].
        shape: Number of pixels (ny, nx) of the point-spread function.
        pitch: Width of a camera pixel, scalar [µm].
        magnification: Of the image on the camera, scalar; 1 if ``pitch`` is that in the sample.
        n: Refractive index of immersion and sample, scalar; leave it out if there are ``layers``.
        layers: Sample, coverslip and immersion, :class:`CoverslipLayers`.
        motion: What moves by z if there are layers, "stage" or "emitter".
        z: Positions of the emitters or planes, ``(...)`` [µm].
        pupil: Function of the pupil coordinates or its samples, ``(y, x)`` [none].
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
    pitch: Number
    magnification: Number = 1.0
    n: Number | None = None
    layers: CoverslipLayers | None = None
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
    samples_per_pixel: int | None = None

    @classmethod
    def _prepare(cls, values: dict[str, Any]) -> dict[str, Any]:
        if isinstance(values["layers"], psf.Layers):
            values["layers"] = layers_element(values["layers"])
        if values["convention"] is not None:
            modes = zernike_modes(values["modes"], convention=values["convention"])
            values |= {"modes": modes, "convention": None}
        return values

    def _complete(self) -> None:
        known = _check.is_concrete(nnx.state(self))
        if self.samples_per_pixel is None and known:
            self.samples_per_pixel = self._model().oversampling
        if self.nodes is None and known and not isinstance(self.pupil, nnx.Variable):
            self.nodes = self._count()

    def check(self) -> None:
        where = "Microscope"
        check_values(self, sigma=_check.nonnegative, y=_check.finite, x=_check.finite)
        check_values(self, z=_check.finite, coefficients=_check.finite)
        _check.choice(where, "motion", self.motion, ("stage", "emitter"))
        if self.layers is not None and not isinstance(self.layers, CoverslipLayers):
            raise TypeError(
                f"{where}: `layers` must be CoverslipLayers, got {type(self.layers).__name__}."
            )
        given = 0 if self.coefficients is None else np.size(self.coefficients[...])
        if given != len(self.modes):
            raise ValueError(
                f"{where}: `coefficients` [µm] and `modes` must come together, got {given} "
                f"coefficients and {len(self.modes)} modes."
            )
        self._model()

    def _model(self) -> psf.Microscope:
        values = self.arguments()
        names = ("na", "wavelength", "shape", "pitch", "magnification", "n", "motion")
        layers = None if self.layers is None else self.layers()
        options = {name: values[name] for name in (*names, "samples_per_pixel")}
        return psf.Microscope(**options, layers=layers)

    def _count(self) -> Any:
        """Quadrature nodes with a reserve."""
        shorter = self.wavelength[...] * _RESERVE
        model = dataclasses.replace(self._model(), wavelength=shorter, samples_per_pixel=None)
        c = None
        if self.coefficients is not None:
            c = jnp.abs(self.coefficients[...]) + _PATH_RESERVE / len(self.modes) ** 0.5
        aberrations: Any = dict(pupil=self.pupil, coefficients=c, modes=self.modes)
        return model.nodes(self.z[...], y=self.y[...], x=self.x[...], **aberrations)

    def psf(self, z: ArrayLike | None = None) -> Array:
        """Share of an emitter's light in every pixel, ``(*z, y, x)``, at other ``z`` if given."""
        values = self.arguments()
        names = ("pupil", "coefficients", "modes", "dipole", "y", "x", "sigma", "nodes")
        options = {name: values[name] for name in names}
        z = values["z"] if z is None else _check.length("Microscope.psf", "z", z)
        return self._model().psf(z, **options)

    def __call__(self, object: ArrayLike) -> Array:
        kernel, planes = self.psf(), self.z[...].ndim
        _check.at_least("Microscope", "object", object, 2, "(..., y, x)")
        if planes and np.ndim(object) > 2:
            return imaging.image_volume(object, kernel, boundary=self.boundary)
        return imaging.convolve_psf(object, kernel, boundary=self.boundary)


class IntegratePixels(Element, function=effects.integrate_pixels):
    """Pixels around every sample of an intensity.

    Example:
        >>> IntegratePixels(spacing=0.1, pitch=0.2)
        IntegratePixels(spacing=0.1 µm, pitch=0.2 µm)
    """

    spacing: Number
    pitch: Number

    def check(self) -> None:
        check_values(self, spacing=_check.positive, pitch=_check.positive)

    def __call__(self, intensity: ArrayLike) -> Array:
        return effects.integrate_pixels(intensity, **self.arguments())


class GaussianBlur(Element, function=effects.gaussian_blur):
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
        return effects.gaussian_blur(intensity, **self.arguments())


class ExpectedPhotons(Element, function=effects.expected_photons):
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
        return effects.expected_photons(psf, **self.arguments())
