"""A microscope by its data sheet: the point-spread function on its camera."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.psf import effects
from jaxwave.psf._folded import PolarNodes
from jaxwave.psf._propagate import Pupil
from jaxwave.psf.cartesian import cartesian_nodes
from jaxwave.psf.emitter import cartesian_dipole_intensity
from jaxwave.psf.pupils import zernike_pupil
from jaxwave.psf.round_pupil import round_pupil
from jaxwave.psf.spherical import spherical_dipole_intensity, spherical_nodes
from jaxwave.psf.stratified import MOTIONS, Layers
from jaxwave.zernike import zernike_modes


@dataclasses.dataclass(frozen=True)
class Microscope:
    r"""Describes a fluorescence microscope and computes what its camera sees of an emitter.

    .. math:: P_{jk} = \iint_{\text{pixel } jk} I(\mathbf r)\, d^2r

    the share of the light of an emitter in every pixel. Valid as
    :func:`cartesian_dipole_intensity` is. The best model for a pupil is chosen: radial
    quadrature where it is circularly symmetric, quadrature nodes for functions, weighted sums for
    samples; :meth:`model` says which.

    Args:
        na: Numerical aperture.
        wavelength: Vacuum wavelength [µm].
        shape: Number of camera pixels (ny, nx).
        pitch: Width of a camera pixel [µm].
        magnification: Of the image on the camera; 1 if ``pitch`` is that in the sample.
        n: Refractive index of immersion and sample; leave it out if there are ``layers``.
        layers: Sample, coverslip and immersion, see :func:`coverslip_layers`.
        motion: What moves by z if there are layers, "stage" or "emitter".
        samples_per_pixel: Samples across a pixel over which it is integrated; by default what
            resolves the intensity. Needed where na, wavelength, pitch or magnification are traced.

    Raises:
        ValueError: If a number is out of range, or ``samples_per_pixel`` is needed.
        TypeError: If something is of the wrong kind.

    Example:
        >>> scope = Microscope(na=1.2, wavelength=0.6, shape=(32, 32), pitch=6.5,
        ...                    magnification=60.0, n=1.33)
        >>> psf = scope.psf([-0.5, 0.0, 0.5])
        >>> psf.shape, scope.model()
        ((3, 32, 32), 'spherical')

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 4.1.
    """

    na: float
    wavelength: float | str
    shape: tuple[int, int]
    pitch: float | str
    magnification: float = 1.0
    n: float | None = None
    layers: Layers | None = None
    motion: str = "stage"
    samples_per_pixel: int | None = None

    def __post_init__(self) -> None:
        where = "Microscope"
        _check.grid_shape(where, self.shape)
        _check.wavelength(where, self.wavelength)
        _check.positive(where, "pitch", _check.length(where, "pitch", self.pitch), unit="µm")
        _check.positive(where, "magnification", self.magnification)
        _check.choice(where, "motion", self.motion, MOTIONS)
        if self.samples_per_pixel is not None:
            _check.integer(where, "samples_per_pixel", self.samples_per_pixel, 1)
        if self.layers is not None and not isinstance(self.layers, Layers):
            raise TypeError(
                f"{where}: `layers` must be Layers, got {type(self.layers).__name__}. Make them "
                "with coverslip_layers."
            )
        if self.layers is None:
            n = 1.0 if self.n is None else self.n
        elif self.n is not None:
            raise ValueError(f"{where}: `n` is that of the immersion in `layers`; leave it out.")
        else:
            n = self.layers.n_i
        _check.positive(where, "n", n)
        _check.numerical_aperture(where, self.na, n)

    @property
    def spacing(self) -> float:
        """Width of a camera pixel in the sample [µm]."""
        return _check.length("Microscope", "pitch", self.pitch) / self.magnification

    @property
    def oversampling(self) -> int:
        """Samples across a pixel: as asked, or what resolves the intensity."""
        known = _check.is_concrete(self.na, self.wavelength, self.pitch, self.magnification)
        if not known and self.samples_per_pixel is None:
            raise ValueError(
                "Microscope: `samples_per_pixel` must be given where `na`, `wavelength`, `pitch` "
                "or `magnification` is traced (inside jit, grad or vmap), as the size of "
                "the program. Pass the `oversampling` of the largest aperture and pixel."
            )
        if not known:
            return int(self.samples_per_pixel)  # type: ignore[arg-type]
        wavelength = _check.length("Microscope", "wavelength", self.wavelength)
        need = max(1, math.ceil(self.spacing / (wavelength / (4 * self.na)) - 1e-9))
        if self.samples_per_pixel is None:
            return need
        if self.samples_per_pixel < need:
            _check.warn(
                "Microscope",
                f"`samples_per_pixel` = {self.samples_per_pixel} do not resolve the intensity; "
                f"{need} would do.",
            )
        return self.samples_per_pixel

    def model(
        self, pupil: Pupil | ArrayLike | None = None, modes: Sequence[tuple[int, int]] = ()
    ) -> str:
        """Tells which model a pupil gets: "spherical", "nodes" or "samples"."""
        if pupil is None and all(m == 0 for _, m in modes):
            return "spherical"
        return "nodes" if pupil is None or callable(pupil) else "samples"

    def psf(
        self,
        z: ArrayLike = 0.0,
        *,
        pupil: Pupil | ArrayLike | None = None,
        coefficients: ArrayLike | None = None,
        modes: Sequence[Any] = (),
        convention: str | None = None,
        dipole: ArrayLike | None = None,
        y: ArrayLike = 0.0,
        x: ArrayLike = 0.0,
        sigma: ArrayLike = 0.0,
        nodes: Any = None,
    ) -> Array:
        """Share of the emitter's light in every pixel, ``(*z, y, x)``; the emitter is at (y, x)."""
        modes = _checked_modes("Microscope.psf", coefficients, modes, convention)
        k, shape = self.oversampling, self._fine_shape
        # Numbers that are known stay so under jit: windows about the axis cost less.
        y, x = (-np.asarray(a) if _check.is_concrete(a) else -a for a in (y, x))  # type: ignore[operator]
        window: dict[str, Any] = dict(spacing=self.spacing / k, z=z, y=y, x=x)
        optics = self._optics()
        if self.model(pupil, modes) == "spherical":
            round_ = round_pupil(coefficients=coefficients, modes=modes, **optics)
            fine = spherical_dipole_intensity(round_, shape, dipole=dipole, nodes=nodes, **window)
        else:
            whole = self._pupil(pupil, coefficients, modes)
            fine = cartesian_dipole_intensity(
                whole, shape, dipole=dipole, nodes=nodes, **window, **optics
            )
        if not (_check.is_concrete(sigma) and np.all(np.asarray(sigma) == 0)):
            fine = effects.gaussian_blur(fine, spacing=self.spacing / k, sigma=sigma)
        pixels = effects.integrate_pixels(fine, spacing=self.spacing / k, pitch=self.spacing)
        rows, columns = (
            slice(big // 2 - small // 2 * k, big // 2 + (small - small // 2 - 1) * k + 1, k)
            for big, small in zip(shape, self.shape, strict=True)
        )
        return pixels[..., rows, columns]

    def _pupil(self, pupil: Any, coefficients: Any, modes: Sequence[Any]) -> Any:
        """The pupil times its aberrations."""
        if coefficients is None:
            return pupil
        options: dict[str, Any] = dict(
            coefficients=coefficients, modes=modes, wavelength=self.wavelength
        )
        if pupil is None:
            return lambda x, y: zernike_pupil(x, y, **options)
        if callable(pupil):
            return lambda x, y: pupil(x, y) * zernike_pupil(x, y, **options)
        raise ValueError(
            "Microscope.psf: `pupil` is sampled, so multiply it by "
            "zernike_pupil(*pupil_coordinates(shape), ...) instead of passing `coefficients`."
        )

    @property
    def _fine_shape(self) -> tuple[int, int]:
        """Samples that resolve the picture and a margin of four pixels."""
        k = self.oversampling
        return k * (self.shape[0] + 8), k * (self.shape[1] + 8)

    def _optics(self) -> dict[str, Any]:
        optics: dict[str, Any] = dict(
            wavelength=self.wavelength, na=self.na, layers=self.layers, motion=self.motion
        )
        if self.layers is None:
            optics["n"] = 1.0 if self.n is None else self.n
        return optics

    def nodes(
        self,
        z: ArrayLike = 0.0,
        *,
        pupil: Pupil | ArrayLike | None = None,
        coefficients: ArrayLike | None = None,
        modes: Sequence[Any] = (),
        convention: str | None = None,
        y: ArrayLike = 0.0,
        x: ArrayLike = 0.0,
    ) -> tuple[int, int, int] | int | PolarNodes | None:
        """Nodes for these planes and places, to be passed to :meth:`psf` inside jit.

        What they count depends on :meth:`model`: see :func:`spherical_nodes` and
        :func:`cartesian_nodes`; None for samples, which need no nodes.
        """
        modes = _checked_modes("Microscope.nodes", coefficients, modes, convention)
        model = self.model(pupil, modes)
        if model == "samples":
            return None
        window: dict[str, Any] = dict(spacing=self.spacing / self.oversampling, z=z, y=y, x=x)
        optics = self._optics()
        if model == "spherical":
            round_ = round_pupil(coefficients=coefficients, modes=modes, **optics)
            return spherical_nodes(round_, self._fine_shape, **window)
        whole = self._pupil(pupil, coefficients, modes)
        return cartesian_nodes(whole, self._fine_shape, **window, **optics)


def _checked_modes(where: str, coefficients: Any, modes: Any, convention: str | None) -> Any:
    """Pairs (n, m), and coefficients with them."""
    if convention is not None:
        modes = zernike_modes(modes, convention=convention)
    if any(_check.is_integer(mode) for mode in modes):
        raise TypeError(
            f"{where}: `modes` has the number {modes[0]} without its convention. Pass pairs "
            "(n, m), or convention='osa', 'noll' or 'fringe'."
        )
    if (coefficients is None) != (len(modes) == 0):
        raise ValueError(
            f"{where}: `coefficients` [µm] and `modes` must come together, got "
            f"{'no' if coefficients is None else 'only'} coefficients."
        )
    return modes
