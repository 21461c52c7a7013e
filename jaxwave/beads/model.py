"""The image stack of a point emitter: a vectorial (or scalar) pupil model of a microscope.

Directions are s = n sin(theta) (cos(phi), sin(phi)), so the numerical aperture is the largest |s|.
Everything that is fitted is a parameter scaled to the order of one; :func:`physical` gives the
numbers with their units.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, fourier, grid
from jaxwave._noun import settle
from jaxwave.numerics import TAU, cis
from jaxwave.psf import Objective
from jaxwave.psf.layers import Layers
from jaxwave.zernike import mode_list, zernike_modes_up_to

Parameters = dict[str, Array]
EXACT = jax.lax.Precision.HIGHEST  # some accelerators round matrix products otherwise

# One unit of a parameter is this much (µm for lengths; logarithms of ratios).
SCALES = {
    "zernike": 0.05,
    "amplitude": 0.2,
    "phase_map": 1.0,
    "amplitude_map": 1.0,
    "y": 0.1,
    "x": 0.1,
    "z": 0.1,
    "drift_y": 0.1,
    "drift_x": 0.1,
    "drift_z": 0.1,
    "pixel": 0.01,
    "dz": 0.03,
    "na": 0.01,
    "blur": 1.0,  # pixels², see blur_variance
}
# Widths of the Gaussian priors, in those units.
PRIORS = {
    "zernike": 2.0,
    "amplitude": 1.0,
    "y": 30.0,
    "x": 30.0,
    "z": 30.0,
    "drift_y": 1.0,
    "drift_x": 1.0,
    "drift_z": 1.0,
    "pixel": 1.0,
    "dz": 1.0,
    "na": 1.0,
    "blur": 4.0,
}
# The blur's variance bends where it comes near its least value, that of a pixel of which nine
# tenths of the width are sensitive [pixels²].
_SHARPEST, _BEND = 0.02, 0.01


@dataclasses.dataclass(frozen=True)
class BeadModel:
    r"""Describes a microscope that images a small bead, and the sampling of its pupil.

    .. math:: I(r) = \sum_{p} \Bigl|\iint_{|s| \le \mathrm{NA}} \frac{A(s)}{\sqrt{\cos\theta}}
        M_p(s)\, e^{2\pi i [\mathrm{OPD}(s) + s \cdot (r - r_0) + n (z - z_0)(\cos\theta - 1)]
        /\lambda}\, d^2s\Bigr|^2

    summed over the orientations of a freely rotating dipole and both polarizations (M = 1 for
    the scalar model), summed over the volume of the bead, then blurred by the pixel and by a
    Gaussian. z is the position of the focal plane in the sample along the light's way. Where the
    objective has layers, :math:`\cos\theta` and the focus stay those of the immersion (the stage
    moves), M is that of a dipole in the sample, seen through the interfaces (by Fresnel, light
    beyond the critical angle included), and the path is longer by
    :func:`jaxwave.psf.gibson_lanni_path`. Where coverslip and immersion are alike, that is

    .. math:: t_s\,[n_s(\cos\theta_s - 1) - (n^2/n_s)(\cos\theta - 1)],\qquad
        n_s \sin\theta_s = n \sin\theta

    so that z = 0 stays the paraxial focus. Valid for a bead that glows evenly, in plane layers;
    its own refraction is neglected.

    Args:
        objective: The objective with its numerical aperture, the wavelength of the emission, and
            the index of the immersion or the layers; one set of known numbers.
        pixel: Camera pixel in the sample [µm]; any width: where the light has finer structures,
            up to 2 na/wavelength, the intensity is sampled finer and integrated over the pixels.
        shape: Number of pixels (ny, nx) of the images.
        order: Highest radial order of the Zernike modes.
        pupil_samples: Samples across the pupil grid; by default what the window needs, 48 at
            least.
        vectorial: False neglects polarization.
        margin: Pixels added around the image so that the blur does not wrap.
        bead_diameter: Diameter of the bead [µm]; 0 is a point.

    Raises:
        ValueError: If a number is out of range, the pupil grid is too coarse for the image, or
            the objective's light is not that of a bead (its apodization, its motion).
        TypeError: If the objective is none, or its numbers are traced or several.

    Example:
        >>> model = BeadModel(Objective(0.85, 0.52, 1.0), pixel=0.13, shape=(64, 64))
        >>> len(model.modes)
        41

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 4.1; B. M. Hanser et al.,
        "Phase-retrieved pupil functions in wide-field fluorescence microscopy", J. Microsc. 216,
        32 (2004).
    """

    objective: Objective
    pixel: float
    shape: tuple[int, int]
    order: int = 8
    pupil_samples: int | None = None
    vectorial: bool = True
    margin: int = 8
    bead_diameter: float = 0.0

    def __post_init__(self) -> None:
        where = "BeadModel"
        _require_objective(where, self.objective)
        for name in ("pixel", "bead_diameter"):
            value = _check.length(where, name, getattr(self, name))
            settle(self, **{name: float(_check.known_numbers(where, name, value))})
        settle(self, shape=_check.grid_shape(where, self.shape))
        _check.positive(where, "pixel", self.pixel, unit="µm")
        _check.nonnegative(where, "bead_diameter", self.bead_diameter, unit="µm")
        if self.bead_diameter > self.pixel * min(self.shape) / 4:
            raise ValueError(
                f"{where}: `bead_diameter` must be at most a quarter of the window, got "
                f"{self.bead_diameter:g} µm. It is in micrometers."
            )
        _check.integer(where, "order", self.order, 2)
        width = self.pixel * (max(self.shape) + 2 * self.margin)
        need = int(np.ceil(2.06 * self.na * width / self.wavelength))
        if self.pupil_samples is None:
            settle(self, pupil_samples=max(48, need + need % 2))
        _check.integer(where, "pupil_samples", self.pupil_samples, 8)
        period = self.wavelength / self.step
        if width > period:
            raise ValueError(
                f"{where}: `pupil_samples` = {self.pupil_samples} repeats the image every "
                f"{period:.3g} µm, less than the window of {width:.3g} µm. Pass {need} or more, or "
                "leave it out."
            )

    def _key(self) -> tuple[Any, ...]:
        """What two equal models share; the objective's numbers are arrays."""
        leaves, form = jax.tree.flatten(self.objective)
        rest = (getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "objective")
        return (*map(float, leaves), form, *rest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BeadModel) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    @property
    def na(self) -> float:
        """Numerical aperture of the objective."""
        return float(self.objective.na)

    @property
    def wavelength(self) -> float:
        """Vacuum wavelength [µm]."""
        return float(self.objective.wavelength)

    @property
    def n(self) -> float:
        """Index of the immersion."""
        return float(self.objective.n_i)

    @property
    def step(self) -> float:
        """Spacing of the pupil grid in s."""
        return 2.06 * self.na / self.samples

    @property
    def samples(self) -> int:
        """Samples across the pupil grid."""
        assert self.pupil_samples is not None  # filled in where the model is made
        return self.pupil_samples

    @property
    def cutoff(self) -> float:
        """Highest frequency of the light [1/pixel]."""
        return 2 * self.na * self.pixel / self.wavelength

    @property
    def samples_per_pixel(self) -> int:
        """Samples of the intensity across a pixel: its highest frequency is 2 na/wavelength."""
        return int(np.ceil(self.pixel * 4 * self.na / self.wavelength - 1e-9))

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Samples of the intensity, margins included."""
        ny, nx = (self.samples_per_pixel * (size + 2 * self.margin) for size in self.shape)
        return ny, nx

    @property
    def modes(self) -> list[tuple[int, int]]:
        """Zernike modes (n, m) of the wavefront: no piston, tilt or defocus (gauge)."""
        modes = zernike_modes_up_to(self.order)
        return [(n, m) for n, m in modes if n >= 2 and (n, m) != (2, 0)]

    @property
    def amplitude_modes(self) -> list[tuple[int, int]]:
        """Zernike modes (n, m) of the logarithm of the amplitude."""
        return [(n, m) for n, m in zernike_modes_up_to(4) if n >= 1]

    def opd(self, coefficients: ArrayLike, modes: Sequence[tuple[int, int]]) -> np.ndarray:
        """Optical path difference of Zernike modes on the pupil grid.

        Args:
            coefficients: One for every mode, ``(..., modes)`` [µm].
            modes: Their orders (n, m).

        Returns:
            The path difference ``(..., s_y, s_x)`` [µm].
        """
        values = np.asarray(coefficients, np.float64)
        if values.ndim < 1 or values.shape[-1] != len(modes):
            raise ValueError(
                f"BeadModel.opd: `coefficients` must have one number for each of the {len(modes)} "
                f"modes, got the shape {values.shape}."
            )
        return np.tensordot(values, self.polynomials(modes), 1).astype(np.float32)

    def polynomials(self, modes: Sequence[tuple[int, int]]) -> np.ndarray:
        """Zernike polynomials on the pupil grid, which go on a little beyond the rim."""
        place = grid.indices(self.samples) * self.step
        sy, sx = np.meshgrid(place, place, indexing="ij")
        near = sy**2 + sx**2 <= (1.04 * self.na) ** 2
        # In numpy, where jax would compile a program for every list of modes.
        return np.stack(mode_list(list(modes), sy / self.na, sx / self.na)) * near

    def start(self, z: float = 0.0) -> Parameters:
        """Parameters of the unaberrated microscope, the bead in the focus at z [µm]."""
        size = (self.samples, self.samples)
        zero = {name: np.zeros(()) for name in ("y", "x", "pixel", "dz", "na")}
        maps = {"phase_map": np.zeros(size), "amplitude_map": np.zeros(size)}
        series = {name: np.zeros(3) for name in ("drift_y", "drift_x", "drift_z")}
        pupil = {
            "zernike": np.zeros(len(self.modes)),
            "amplitude": np.zeros(len(self.amplitude_modes)),
        }
        rest = {"z": np.asarray(z / SCALES["z"]), "blur": blur_parameter(np.full(2, 0.5))}
        everything = {**pupil, **maps, **zero, **series, **rest}
        return {k: jnp.asarray(np.asarray(v, np.float32)) for k, v in sorted(everything.items())}


def require_model(where: str, model: object) -> None:
    """Requires a model of a bead."""
    _check.instance(where, "model", model, BeadModel, "beads.BeadModel(...)")


def _require_objective(where: str, objective: Objective) -> None:
    """Requires one objective whose light the model describes."""
    if not isinstance(objective, Objective):
        raise TypeError(
            f"{where}: `objective` must be a psf.Objective, got {type(objective).__name__}. Pass "
            "psf.Objective(na=..., wavelength=..., n=...)."
        )
    leaves = jax.tree.leaves(objective)
    if not all(_check.is_concrete(leaf) and np.shape(leaf) == () for leaf in leaves):
        raise TypeError(
            f"{where}: `objective` must be one with known numbers, not traced and without batch "
            f"axes, got {objective}. Make one model for each."
        )
    if objective.apodization != "aplanatic" or objective.motion != "stage":
        raise ValueError(
            f"{where}: `objective` must have apodization='aplanatic' and motion='stage', got "
            f"{objective.apodization!r} and {objective.motion!r}."
        )


def _free(values: Array, gauge: Array, near: Array) -> Array:
    """A free map without what the modes and the gauge can say already."""
    flat = (values * near).ravel()
    known = jnp.matmul(gauge.T, jnp.matmul(gauge, flat, precision=EXACT), precision=EXACT)
    return (flat - known).reshape(values.shape)


def pupil(model: BeadModel, parameters: Parameters, basis: dict) -> tuple[Array, Array]:
    """Amplitude (with the area-weighted rim) and optical path [µm] on the pupil grid."""
    p = {name: value * SCALES[name] for name, value in parameters.items()}
    step = jnp.full(2, model.step, p["na"].dtype)
    size = (model.samples, model.samples)
    rim = grid.disk_coverage(size, step, model.na * jnp.exp(p["na"]))
    opd = jnp.einsum("k,kyx->yx", p["zernike"], basis["phase"], precision=EXACT)
    phase_map = _free(p["phase_map"], basis["phase_gauge"], basis["near"])
    log_amplitude = jnp.einsum("k,kyx->yx", p["amplitude"], basis["amplitude"], precision=EXACT)
    log_amplitude += _free(p["amplitude_map"], basis["amplitude_gauge"], basis["near"])
    return rim * jnp.exp(log_amplitude), opd + model.wavelength / TAU * phase_map


def positions(
    model: BeadModel, parameters: Parameters, z: ArrayLike, z_range: ArrayLike | None = None
) -> tuple[Array, Array, Array]:
    """Where the bead is in every plane, y, x and z relative to the focal plane, ``(z,)`` [µm]."""
    p = {name: value * SCALES[name] for name, value in parameters.items()}
    z = jnp.asarray(z)
    z_range = jnp.max(jnp.abs(z)) if z_range is None else z_range
    q = z / jnp.maximum(z_range, 1e-6)

    def drift(name: str, powers: tuple[int, int, int]) -> Array:
        return jnp.matmul(p[name], jnp.stack([q**k for k in powers]), precision=EXACT)

    y = p["y"] + drift("drift_y", (1, 2, 3))
    x = p["x"] + drift("drift_x", (1, 2, 3))
    focus = z * jnp.exp(p["dz"]) - p["z"] + drift("drift_z", (2, 3, 4))
    return y, x, focus


def bead_stack(
    model: BeadModel,
    parameters: Parameters,
    z: ArrayLike,
    basis: dict[str, Any],
    *,
    z_range: ArrayLike | None = None,
    opd: ArrayLike | None = None,
) -> Array:
    r"""Computes the image stack of a bead, of unit light through the pupil in every plane.

    .. math:: m_k = \mathrm{pixel} * \mathrm{blur} * I(r;\, z_k)

    Valid as :class:`BeadModel` says. Differentiable in every parameter.

    Args:
        model: The microscope.
        parameters: Scaled parameters ``(...)`` by name, as from ``model.start()`` [``SCALES``].
        z: Nominal positions of the planes, ``(z,)`` [µm].
        basis: What :func:`pupil_basis` made for the model.
        z_range: Half the range of the drift polynomials, shape ``()`` [µm]; by default the
            largest of ``z``.
        opd: Optical path difference beside that of the parameters, ``(z or 1, s_y, s_x)`` [µm],
            such as one that was added on purpose.

    Returns:
        Share of the light in every pixel, ``(z, y, x)`` [1].

    Raises:
        KeyError: If a parameter is missing.

    Example:
        >>> from jaxwave.beads import pupil_basis
        >>> model = BeadModel(Objective(0.85, 0.52, 1.0), pixel=0.13, shape=(32, 32))
        >>> stack = bead_stack(model, model.start(), jnp.array([0.0, 1.0]), pupil_basis(model))
        >>> stack.shape, bool(stack[0].max() > stack[1].max())
        ((2, 32, 32), True)

    References:
        B. M. Hanser et al., J. Microsc. 216, 32 (2004).
    """
    require_model("bead_stack", model)
    _check.instance("bead_stack", "parameters", parameters, Mapping, "a dict as of model.start()")
    _check.instance("bead_stack", "basis", basis, Mapping, "a dict as of pupil_basis(model)")
    amplitude, own = pupil(model, parameters, basis)
    opd = own if opd is None else own + jnp.asarray(opd)
    cosine = jnp.asarray(basis["cosine"])
    place = (grid.indices(model.samples) * model.step).astype(np.float32)
    sy, sx = place[:, None], place[None, :]
    y, x, focus = positions(model, parameters, z, z_range)
    slices = len(basis["bead_z"]) if model.bead_diameter else 1
    if slices > 1:  # one emitter in every slice; as many above as below, so the sign is free
        focus = (focus[:, None] + jnp.asarray(basis["bead_z"])).ravel()
        y, x = (jnp.repeat(a, slices) for a in (y, x))
        opd = jnp.repeat(opd, slices, axis=0) if opd.ndim == 3 and opd.shape[0] > 1 else opd
    y, x, focus = (a[:, None, None] for a in (y, x, focus))
    path = opd + focus * model.n * (cosine - 1) - sy * y - sx * x
    emitted = amplitude / jnp.sqrt(cosine)
    wave = emitted * cis(path / model.wavelength)
    fields = jnp.asarray(basis["dipoles"])
    counts = (
        np.array([1, 1, 2, 1, 1], np.float32) / 2 if model.vectorial else np.ones(1, np.float32)
    )
    alpha = model.step * model.pixel / model.samples_per_pixel / model.wavelength
    u = fourier.matrix_ft2(wave[:, None] * fields, alpha, model.grid_shape, inverse=True)
    intensity = jnp.einsum("c,zcyx->zyx", counts, u.real**2 + u.imag**2, precision=EXACT)
    if slices > 1:
        intensity = _spread(intensity, jnp.asarray(basis["bead"]))
    stretch = jnp.exp(parameters["pixel"] * SCALES["pixel"])
    pixels = _camera(model, intensity, blur_variance(parameters["blur"]), stretch)
    return pixels / jnp.sum(emitted**2)


def blur_variance(parameter: ArrayLike) -> Array:
    """Variance of the blur [pixels²] of its scaled parameter, linear down to a little below zero.

    The logarithm of the image's spectrum is linear in the variance, so that no blur at all is a
    place like another one; in the logarithm of the width it lies at infinity, and the fit of a
    sharp camera stops before it and widens pixel against aperture instead. Pixels whose sensitive
    part is smaller than their pitch are sharper than squares: their variance is negative.
    """
    free = jnp.asarray(parameter) * (SCALES["blur"] / _BEND) + _SHARPEST / _BEND
    return _BEND * jax.nn.softplus(free) - _SHARPEST


def blur_parameter(sigma: ArrayLike) -> np.ndarray:
    """The scaled parameter of a blur of ``sigma`` pixels."""
    part = (np.asarray(sigma, np.float64) ** 2 + _SHARPEST) / _BEND
    return (_BEND * (part + np.log(-np.expm1(-part))) - _SHARPEST) / SCALES["blur"]


def blur_sigma(parameter: ArrayLike) -> np.ndarray:
    """Standard deviation of the blur [pixels]; zero where the pixels are sharper than squares."""
    return np.sqrt(np.maximum(np.asarray(blur_variance(parameter), np.float64), 0))


def _spread(intensity: Array, spheres: Array) -> Array:
    """Sums the slices of a bead, each spread over its disk."""
    ny, nx = intensity.shape[-2:]
    spectrum = jnp.fft.rfft2(intensity).reshape(-1, len(spheres), *spheres.shape[-2:])
    return jnp.fft.irfft2(jnp.sum(spectrum * spheres, axis=1), (ny, nx))


def _camera(model: BeadModel, intensity: Array, variance: Array, stretch: Array) -> Array:
    """Blurs by a ``variance`` (y, x) [pixels²] and sums light on every pixel, without the margin.

    Both are filters of one axis each, so an axis is one real matrix: it takes the samples of the
    intensity to their spectrum, multiplies that by the filters, and evaluates it at the centers of
    the pixels alone, which are ``stretch`` as wide as they are said to be. Exact where the
    intensity is sampled at its Nyquist rate, for any width of the pixel, up to the wrapping of
    what crosses the margin.
    """
    rows, columns = (
        _pixel_matrix(size, model.margin, model.samples_per_pixel, width, stretch)
        for size, width in zip(model.shape, variance, strict=True)
    )
    wide = jnp.einsum("jy,zyx->zjx", rows, intensity, precision=EXACT)
    return jnp.einsum("zjx,kx->zjk", wide, columns, precision=EXACT)


def _pixel_matrix(size: int, margin: int, fine: int, variance: Array, stretch: Array) -> Array:
    """From ``fine`` samples a pixel (margins included) to the light on every pixel."""
    count = (size + 2 * margin) * fine
    f = np.fft.rfftfreq(count, 1 / fine)  # cycles per pixel of the width that is said
    share = np.where((f == 0) | (2 * np.arange(len(f)) == count), 1, 2) * fine / count
    square = (TAU * f).astype(np.float32) ** 2 * (variance * stretch**2)
    filters = share.astype(np.float32) * jnp.sinc(f.astype(np.float32) * stretch)
    filters *= jnp.exp(-0.5 * square) * stretch
    pixel = np.arange(margin, margin + size)[:, None] - (size + 2 * margin) // 2
    at = (np.arange(count) - count // 2)[:, None] / fine
    far, near = TAU * f * pixel, TAU * f * at
    more = cis((f * pixel).astype(np.float32) * (stretch - 1))  # keeps the digits of the rest
    ahead = (np.cos(far) + 1j * np.sin(far)).astype(np.complex64) * more
    back = np.concatenate([np.cos(near), np.sin(near)], axis=1).astype(np.float32)
    ahead = jnp.concatenate([ahead.real, ahead.imag], axis=1)
    return jnp.einsum("jf,f,kf->jk", ahead, jnp.tile(filters, 2), back, precision=EXACT)


def described(model: BeadModel) -> dict[str, Any]:
    """The model as plain numbers and texts, for files; :func:`restored` makes it again."""
    return jax.tree.map(
        lambda value: value.item() if hasattr(value, "item") else value, dataclasses.asdict(model)
    )


def restored(given: Mapping[str, Any]) -> BeadModel:
    """The model of what :func:`described` wrote, also after JSON made lists of its tuples."""

    def parts(values: Mapping[str, Any]) -> dict[str, Any]:
        return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}

    objective = parts(given["objective"])
    if objective["layers"] is not None:
        objective["layers"] = Layers(**parts(objective["layers"]))
    return BeadModel(**{**parts(given), "objective": Objective(**objective)})


def physical(model: BeadModel, parameters: Parameters) -> dict[str, Any]:
    """The parameters as numbers with units in their names (the maps are left out)."""
    p = {k: np.asarray(v, np.float64) * SCALES[k] for k, v in parameters.items()}
    return {
        "zernike_um": p["zernike"],
        "amplitude_modes": p["amplitude"],
        "y_um": p["y"],
        "x_um": p["x"],
        "z_um": p["z"],
        "drift_y_um": p["drift_y"],
        "drift_x_um": p["drift_x"],
        "drift_z_um": p["drift_z"],
        "pixel_factor": np.exp(p["pixel"]),
        "dz_factor": np.exp(p["dz"]),
        "na": model.na * np.exp(p["na"]),
        "blur_sigma_pixels": blur_sigma(parameters["blur"]),
    }
