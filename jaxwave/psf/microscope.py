"""A microscope by its data sheet: the point-spread function on its camera."""

from __future__ import annotations

import math
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave._noun import Number, noun, number, settle, static, typed
from jaxwave.imaging import image_computed
from jaxwave.psf import _bounds
from jaxwave.psf._solve import blur_of, counted, oriented, solve
from jaxwave.psf.camera import Camera
from jaxwave.psf.focusing import Nodes
from jaxwave.psf.layers import Layers
from jaxwave.psf.objective import Dipole, Objective, Pupil, Window, ZernikePupil, checked_modes
from jaxwave.zernike import Modes

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
        layers: Sample, coverslip and immersion, see :class:`Layers`.
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
        with _check.named("Objective", where):
            objective = self.objective
        values |= {"na": objective.na, "wavelength": objective.wavelength, "n": objective.n}
        settle(self, **values)

    @cached_property
    def objective(self) -> Objective:
        """The objective."""
        return Objective(self.na, self.wavelength, n=self.n, layers=self.layers, motion=self.motion)

    @property
    def pixel_in_sample(self) -> Any:
        """Width of a camera pixel in the sample [µm]."""
        return self.pixel if self.pitch is None else self.pitch / self.magnification

    def camera(self) -> Camera:
        """How finely the intensity is sampled, and the pixels that it is integrated over."""
        need = self.needed()
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

    def needed(self) -> float | None:
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
        pupil: Pupil = None,
        coefficients: ArrayLike | None = None,
        modes: Modes = (),
        convention: str | None = None,
        dipole: Dipole | None = None,
        y: ArrayLike | str = 0.0,
        x: ArrayLike | str = 0.0,
        sigma: ArrayLike | str = 0.0,
        nodes: Nodes = None,
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
        with _check.named("Window", where):
            window = self.window(number(where, "z", _check.length(where, "z", z)), y, x, camera)
        kind, e = oriented(where, dipole)
        return solve(where, kind, True, self.objective, window, whole, e, nodes, camera, sigma)

    def image(
        self,
        volume: ArrayLike,
        z: ArrayLike,
        *,
        pupil: Pupil = None,
        coefficients: ArrayLike | None = None,
        modes: Modes = (),
        convention: str | None = None,
        dipole: Dipole | None = None,
        y: ArrayLike | str = 0.0,
        x: ArrayLike | str = 0.0,
        sigma: ArrayLike | str = 0.0,
        nodes: Nodes = None,
        boundary: str = "zero",
        batch: int = 8,
    ) -> Array:
        """Image of a fluorescent volume: every plane with the point-spread function of its depth.

        I(y, x) = sum over z of the convolution of psf(z) with the plane at z. The point-spread
        functions are made where they are needed, ``batch`` at a time, so that the memory does not
        grow with the number of planes, in the gradient neither. Valid for samples that neither
        absorb nor scatter; :func:`jaxwave.image_volume` does the same with kernels that are given.

        Args:
            volume: Photons of every voxel, ``(..., z, y, x)`` [any unit]; a voxel is a camera pixel
                wide.
            z: Depths of the planes behind the focal plane, ``(..., z)`` [µm]. With layers and
                ``motion="emitter"`` a plane lies at the depth t_s + z in the sample, while the
                objective stays where t_s is in focus.
            pupil: What else stands in the pupil, see :func:`focus`.
            coefficients: Aberrations, path differences of ``modes``, ``(..., modes)`` [µm].
            modes: Zernike modes (n, m), or single numbers of the ``convention``.
            convention: "osa", "noll" or "fringe" for single numbers.
            dipole: Direction (x, y, z) of all moments; None for molecules that rotate freely.
            y: Displacement of the volume, ``(...)`` [µm].
            x: Displacement of the volume, ``(...)`` [µm].
            sigma: Width of a Gaussian blur in the sample, scalar or ``(2,)`` as (y, x) [µm].
            nodes: For experts: quadrature nodes, see :func:`nodes`.
            boundary: What is beyond the volume, see :func:`jaxwave.convolve_psf`.
            batch: Point-spread functions that are made at once.

        Returns:
            The image on the volume's pixels, ``(..., y, x)`` [unit of ``volume``].

        Raises:
            ValueError: If the numbers of planes differ, or something is out of range.
            TypeError: If something is of the wrong kind.

        Example:
            >>> from jaxwave.psf import Layers
            >>> layers = Layers(n_s=1.33, n_g=1.52, n_i=1.518, t_s=2.0)
            >>> scope = Microscope(1.3, 0.52, (21, 21), 0.1, layers=layers, motion="emitter")
            >>> scope.image(np.ones((5, 32, 30)), np.linspace(-1, 1, 5)).shape
            (32, 30)
        """
        where = "Microscope.image"
        z = number(where, "z", _check.length(where, "z", z))
        _check.at_least(where, "volume", volume, 3, "(..., z, y, x)")
        if np.shape(z)[-1:] != np.shape(volume)[-3:-2]:
            raise ValueError(
                f"{where}: `z` must have a depth for each of the volume's {np.shape(volume)[-3]} "
                f"planes, got the shape {np.shape(z)}."
            )
        _check.finite(where, "z", z, unit="µm")
        _check.integer(where, "batch", batch, 1)
        sigma = _check.length(where, "sigma", sigma)
        _check.nonnegative(where, "sigma", sigma, unit="µm")
        whole = aberrated(where, pupil, coefficients, modes, convention)
        camera, (kind, e) = self.camera(), oriented(where, dipole)
        y, x = (number(where, k, _check.length(where, k, v)) for k, v in (("y", y), ("x", x)))
        with _check.named("Window", where):
            window = self.window(z, y, x, camera)
        if nodes is None and _bounds.known(z) is not None:
            nodes = counted(where, kind, True, self.objective, window, whole)
        at = None if _bounds.is_zero(y, x) else (window.y, window.x)
        numbers = _Numbers(self.objective, window.spacing, at, whole, e, blur_of(sigma))
        plan = (kind, camera, nodes, boundary, batch)
        # A function of the user may hold traced numbers: it is no part of a cached program.
        has_function = any(map(callable, jax.tree.leaves(whole, is_leaf=callable)))
        if has_function:
            return _volume_image(volume, z, numbers, plan)
        z, numbers = typed((z, numbers), jnp.result_type(float))
        return _volume_program(volume, z, numbers, plan)

    def __repr__(self) -> str:
        pixel = self.pixel_in_sample
        width = f"{float(pixel):.6g} µm" if _check.is_concrete(pixel) else "traced"
        return f"Microscope({self.objective}, {self.shape} pixels of {width})"


class _Numbers(NamedTuple):
    """What moves in the images of a volume."""

    objective: Objective
    spacing: Any
    at: tuple[Any, Any] | None  # (y, x), if it is not the axis
    pupil: Any
    e: Any
    sigma: Any | None


def _volume_image(volume: ArrayLike, z: Array, v: _Numbers, plan: tuple[Any, ...]) -> Array:
    kind, camera, nodes, boundary, batch = plan
    where, sigma = "Microscope.image", 0.0 if v.sigma is None else v.sigma

    def kernels(depth: Array) -> Array:
        y, x = (0.0, 0.0) if v.at is None else v.at
        window = Window(camera.samples, v.spacing, z=depth, y=y, x=x)
        return solve(where, kind, True, v.objective, window, v.pupil, v.e, nodes, camera, sigma)

    return image_computed(where, volume, kernels, jnp.asarray(z), boundary, batch)


_volume_program = partial(jax.jit, static_argnums=3)(_volume_image)


def aberrated(
    where: str, pupil: Pupil, coefficients: ArrayLike | None, modes: Modes, convention: str | None
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
