"""A microscope by its data sheet: the point-spread function on its camera."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave._noun import Number, noun, number, settle, static
from jaxwave.psf import _bounds, focusing
from jaxwave.psf._solve import oriented, solve
from jaxwave.psf.camera import Camera
from jaxwave.psf.layers import Layers
from jaxwave.psf.objective import Objective, Window, ZernikePupil, checked_modes

MARGIN = 4  # pixels beyond the picture, in which the intensity is known
FINER = 1.4  # times the samples that resolve the intensity: right to 1e-6 in every pixel
BAND = 0.5 / FINER + 0.003  # frequency that the samples hold, in cycles per sample


@noun
class Microscope:
    r"""A fluorescence microscope: an objective and the pixels of a camera.

    .. math:: P_{jk} = \iint_{\text{pixel } jk} I(\mathbf r)\, d^2r

    is the share of the light of an emitter in every pixel. Valid as :func:`emitter_image` is.
    Every number is a leaf that can be swept, mapped and learned.

    Args:
        na: Numerical aperture, scalar.
        wavelength: Vacuum wavelength, scalar [µm].
        shape: Number of camera pixels (ny, nx).
        pixel: Width of a camera pixel in the sample, scalar [µm]; or give ``pitch``.
        pitch: Width of a pixel of the camera itself, scalar [µm], with its ``magnification``.
        magnification: Of the image on the camera, scalar.
        n: Refractive index of immersion and sample, scalar, 1 by default; leave it out if there are
            ``layers``.
        layers: Sample, coverslip and immersion, see :func:`coverslip_layers`.
        motion: What moves by z if there are layers, "stage" or "emitter".
        samples_per_pixel: For experts: samples across a pixel over which is integrated; by default
            1.4 times what resolves the intensity (for traced pixels up to wavelength/(2 na)).

    Raises:
        ValueError: If a number is out of range, or the pixel is given twice or not at all.
        TypeError: If something is of the wrong kind.

    Example:
        >>> scope = Microscope(na=1.2, wavelength="600 nm", n=1.33, shape=(32, 30),
        ...                    pitch="6.5 um", magnification=60)
        >>> psf = scope.psf([-0.5, 0.0, 0.5], coefficients=[0.05], modes=[(2, 2)])
        >>> psf.shape
        (3, 32, 30)

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 4.1.
    """

    na: Number
    wavelength: Number
    shape: tuple[int, int] = static()
    pixel: Number = None
    pitch: Number = None
    magnification: Number = None
    n: Number = None
    layers: Layers | None = None
    motion: str = static(default="stage")
    samples_per_pixel: float | None = static(default=None)

    def __post_init__(self) -> None:
        where = "Microscope"
        if (self.pixel is None) == (self.pitch is None) or (
            (self.pitch is None) != (self.magnification is None)
        ):
            raise ValueError(
                f"{where}: pass `pixel` (in the sample), or `pitch` (of the camera) with "
                "`magnification`."
            )
        values: dict[str, Any] = {"shape": _check.grid_shape(where, self.shape)}
        for name, unit in (("pixel", "µm"), ("pitch", "µm"), ("magnification", "")):
            value = _check.length(where, name, getattr(self, name))
            if value is not None:
                _check.positive(where, name, value, unit=unit)
                values[name] = number(where, name, value)
        if self.samples_per_pixel is not None:
            _check.between(where, "samples_per_pixel", self.samples_per_pixel, 1, 1e4)
        try:
            objective = self.objective
        except (TypeError, ValueError) as error:  # in the words of the caller
            raise type(error)(str(error).replace("Objective:", f"{where}:", 1)) from None
        values |= {"na": objective.na, "wavelength": objective.wavelength, "n": objective.n}
        settle(self, **values)

    @property
    def objective(self) -> Objective:
        """The objective."""
        return Objective(self.na, self.wavelength, n=self.n, layers=self.layers, motion=self.motion)

    @property
    def pixel_in_sample(self) -> Any:
        """Width of a camera pixel in the sample [µm]."""
        return self.pixel if self.pitch is None else self.pitch / self.magnification

    def camera(self) -> Camera:
        """How finely the intensity is sampled, and the pixels that it is integrated over."""
        need = self._need()
        fine = 3.0 if need is None else max(1.0, math.ceil(8 * FINER * need - 1e-6) / 8)
        ratio = fine if self.samples_per_pixel is None else float(self.samples_per_pixel)
        if need is not None and ratio < need - 1e-6:
            _check.warn(
                "Microscope",
                f"`samples_per_pixel` = {self.samples_per_pixel} do not resolve the intensity; "
                f"{math.ceil(need)} would do.",
            )
        ny, nx = (math.ceil(ratio * (n + 2 * MARGIN)) for n in self.shape)
        return Camera(self.shape, (ny, nx), ratio, BAND if ratio >= fine else 0.5)

    def _need(self) -> float | None:
        """Samples in a pixel that resolve the intensity, if the pixel is known."""
        pixel, wavelength = _bounds.known(self.pixel_in_sample), _bounds.known(self.wavelength)
        na = _bounds.aperture(self.objective)
        if pixel is None or wavelength is None or na is None:
            return None
        return float(np.max(pixel)) * 4 * na / float(np.min(wavelength))

    def window(
        self, z: ArrayLike | str = 0.0, y: Any = 0.0, x: Any = 0.0, camera: Camera | None = None
    ) -> Window:
        """The samples of the intensity, for an emitter at (y, x)."""
        camera = self.camera() if camera is None else camera
        return Window(camera.samples, self.pixel_in_sample / camera.ratio, z=z, y=-y, x=-x)

    def psf(
        self,
        z: ArrayLike | str = 0.0,
        *,
        pupil: focusing.Pupil = None,
        coefficients: ArrayLike | None = None,
        modes: Sequence[tuple[int, int]] | Sequence[int] = (),
        convention: str | None = None,
        dipole: ArrayLike | tuple[complex, complex, complex] | None = None,
        y: ArrayLike | str = 0.0,
        x: ArrayLike | str = 0.0,
        sigma: ArrayLike | str = 0.0,
        nodes: focusing.Nodes = None,
    ) -> Array:
        """Share of an emitter's light in every pixel.

        Args:
            z: Depths of the emitter behind the focal plane, one number or ``(..., planes)`` [µm].
            pupil: What else stands in the pupil, see :func:`focus`.
            coefficients: Aberrations, path differences of ``modes``, ``(..., modes)`` [µm].
            modes: Zernike modes (n, m), or single numbers of the ``convention``.
            convention: "osa", "noll" or "fringe" for single numbers.
            dipole: Direction (x, y, z) of the emitter's moment; None for one that rotates freely.
            y: Position of the emitter, ``(...)`` [µm].
            x: Position of the emitter, ``(...)`` [µm].
            sigma: Width of a Gaussian blur in the sample, scalar or ``(2,)`` as (y, x) [µm].
            nodes: For experts: quadrature nodes, see :func:`nodes`.

        Returns:
            The shares, ``(..., [planes,] y, x)`` [none].

        Raises:
            ValueError: If batch axes do not broadcast or a number is out of range.
            TypeError: If something is of the wrong kind.

        Example:
            >>> scope = Microscope(na=1.4, wavelength=0.52, n=1.518, shape=(64, 64), pixel=0.108)
            >>> scope.psf().shape
            (64, 64)
        """
        where = "Microscope.psf"
        whole = aberrated(where, pupil, coefficients, modes, convention)
        sigma = _check.length(where, "sigma", sigma)
        _check.nonnegative(where, "sigma", sigma, unit="µm")
        y, x = (number(where, k, _check.length(where, k, v)) for k, v in (("y", y), ("x", x)))
        camera = self.camera()
        window = self.window(z, y, x, camera)
        kind, e = oriented(where, dipole)
        return solve(where, kind, True, self.objective, window, whole, e, nodes, camera, sigma)

    def __repr__(self) -> str:
        pixel = self.pixel_in_sample
        width = f"{float(pixel):.6g} µm" if _check.is_concrete(pixel) else "traced"
        return f"Microscope({self.objective}, {self.shape} pixels of {width})"


def aberrated(
    where: str, pupil: Any, coefficients: Any, modes: Sequence[Any], convention: str | None
) -> Any:
    """A pupil with an aberration in front of it."""
    coefficients, pairs = checked_modes(where, coefficients, modes, convention)
    if coefficients is None:
        return pupil
    if isinstance(pupil, ZernikePupil):
        raise ValueError(
            f"{where}: `pupil` is a ZernikePupil; pass its modes with the others, or all in it."
        )
    return ZernikePupil(coefficients, pairs, pupil=pupil)
