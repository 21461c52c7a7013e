"""Circularly symmetric pupils: what stands in them, and the nodes at which they are integrated."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import Partial
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.numerics import TAU, cis
from jaxwave.psf.stratified import MOTIONS, Layers, constant, defocus_path, gibson_lanni_path
from jaxwave.psf.transmission import APODIZATIONS, fresnel_transmission
from jaxwave.psf.transmission import apodization as lens_factor
from jaxwave.zernike import Mode, zernike_norm, zernike_radial

_STATIC = {"static": True}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class RoundPupil:
    r"""A circularly symmetric pupil of an objective, made by :func:`round_pupil`.

    .. math:: P(\rho)\,e^{-\rho^2/w^2}\,e^{2\pi i W(\rho)/\lambda}, \qquad \rho = s/\mathrm{NA},
        \quad s = n \sin\theta

    Valid where nothing depends on the azimuth. Every number is a leaf that can be swept, mapped
    and learned.

    Args:
        wavelength: Vacuum wavelength, ``(...)`` [µm].
        na: Numerical aperture, ``(...)``.
        n: Index of the immersion, ``(...)``.
        profile: P as a function of rho or its samples ``(..., samples)`` [none], or None.
        coefficients: Path differences of ``modes``, ``(..., modes)`` [µm], or None.
        filling: Radius w, ``(...)`` [pupil radii], or None.
        layers: Sample, coverslip and immersion, or None.
        modes: Zernike modes (n, 0).
        apodization: Kind of lens.
        motion: What ``z`` moves, where there are layers.
        transmission: Whether the interfaces of the layers weaken the field.

    Raises:
        TypeError: If a part is missing.

    Example:
        >>> round_pupil(wavelength=0.532, na=0.9).na.round(4).item()
        0.8999999761581421

    References:
        B. Richards and E. Wolf, Proc. R. Soc. A 253, 358 (1959).
    """

    wavelength: Array
    na: Array
    n: Array
    profile: Callable[[Array], Array] | Array | None
    coefficients: Array | None
    filling: Array | None
    layers: Layers | None
    modes: tuple[Mode, ...] = dataclasses.field(metadata=_STATIC)
    apodization: str = dataclasses.field(metadata=_STATIC)
    motion: str = dataclasses.field(metadata=_STATIC)
    transmission: bool = dataclasses.field(metadata=_STATIC)


def _below_index(where: str, na: Any, n: Any) -> None:
    _check.positive(where, "n", n)
    _check.positive(where, "na", na)
    if _check.is_concrete(na, n):
        na, n = np.broadcast_arrays(np.asarray(na), np.asarray(n))
        if np.any(na >= n):
            worst = np.unravel_index(int(np.argmax(na - n)), na.shape)
            raise ValueError(
                f"{where}: `na` must be below the immersion's index, got {na[worst]:g} with "
                f"n = {n[worst]:g}. Pass a smaller `na`, or the index as `n` (or in `layers`)."
            )


def _round_modes(where: str, coefficients: Any, modes: Sequence[Mode]) -> tuple[Mode, ...]:
    result = tuple((int(n), int(m)) for n, m in modes)
    skew = [mode for mode in result if mode[1]]
    if skew:
        raise ValueError(
            f"{where}: `modes` must be circularly symmetric, (n, 0), got {skew[0]}. Other modes "
            "need a Cartesian model."
        )
    for n, m in result:
        zernike_norm(n, m)
    last = jnp.shape(coefficients)[-1:]
    if last != (len(result),):
        raise ValueError(
            f"{where}: `coefficients` must have one number for each of the {len(result)} modes on "
            f"the last axis, got the shape {jnp.shape(coefficients)}."
        )
    return result


def round_pupil(
    *,
    wavelength: ArrayLike | str,
    na: ArrayLike,
    n: ArrayLike | None = None,
    profile: Callable[[Array], Array] | ArrayLike | None = None,
    coefficients: ArrayLike | None = None,
    modes: Sequence[Mode] = (),
    filling: ArrayLike | None = None,
    layers: Layers | None = None,
    apodization: str = "aplanatic",
    motion: str = "stage",
    transmission: bool = True,
) -> RoundPupil:
    r"""Describes a circularly symmetric pupil.

    .. math:: a(s) = A(\theta)\,P(\rho)\,e^{-\rho^2/w^2}\,e^{2\pi i [W(\rho) + \mathrm{OPD}(s)]
        /\lambda}, \qquad \rho = s/\mathrm{NA}, \quad s = n \sin\theta

    is the amplitude per area of s: A is the lens's :func:`apodization`, P the ``profile``, w the
    ``filling``, W a sum of Zernike modes, OPD the path of :func:`gibson_lanni_path`. A clear
    pupil (P = 1, nothing else) carries unit power. Valid where nothing depends on the azimuth.

    Args:
        wavelength: Vacuum wavelength, ``(...)`` [µm].
        na: Numerical aperture, the largest n sin(theta), ``(...)``; it may exceed the sample's
            index.
        n: Index of the immersion, ``(...)``; one without ``layers``, theirs with ``layers``.
        profile: Amplitude, real or complex, as a function of rho (an array of any shape), or
            its samples ``(..., samples)`` [none] at rho = 0 ... 1 in equal steps (interpolated by
            cubics: four samples or more). The function must not depend on other batch axes.
        coefficients: Path differences of ``modes``, ``(..., modes)`` [µm].
        modes: Zernike modes (n, 0).
        filling: Radius where a Gaussian beam's amplitude is 1/e, ``(...)`` [pupil radii].
        layers: Sample, coverslip and immersion, see :func:`coverslip_layers`.
        apodization: "aplanatic", "herschel" or "none", see :func:`apodization`.
        motion: "stage" or "emitter": what ``z`` moves, see :func:`gibson_lanni_path`.
        transmission: Whether the interfaces of ``layers`` weaken the field
            (:func:`fresnel_transmission`); scalar models leave it out.

    Returns:
        The pupil.

    Raises:
        ValueError: If ``na`` is not below the index, a number is not positive, a mode depends
            on the azimuth, or a name or a shape does not fit.
        TypeError: If a value is not a number.

    Example:
        >>> pupil = round_pupil(wavelength=0.5, na=1.2, n=1.33, coefficients=[0.05], modes=[(4, 0)])
        >>> pupil.modes
        ((4, 0),)

    References:
        B. Richards and E. Wolf, Proc. R. Soc. A 253, 358 (1959); O. Haeberlé, Opt. Commun.
        216, 55 (2003).
    """
    where = "round_pupil"
    _check.choice(where, "apodization", apodization, APODIZATIONS)
    _check.choice(where, "motion", motion, MOTIONS)
    wavelength = _check.wavelength(where, wavelength)
    if layers is not None and not isinstance(layers, Layers):
        raise TypeError(
            f"{where}: `layers` must be Layers, got {type(layers).__name__}. Make them with "
            "coverslip_layers."
        )
    if layers is not None and n is not None:
        raise ValueError(f"{where}: `n` is in `layers` already (n_i). Pass one of the two.")
    medium: Any = layers.n_i if layers is not None else 1.0 if n is None else n
    _below_index(where, na, medium)
    if (coefficients is None) != (not len(modes)):
        raise ValueError(
            f"{where}: `coefficients` and `modes` belong together: pass both or neither."
        )
    if coefficients is not None:
        _check.finite_array(where, "coefficients", coefficients)
        coefficients = constant(where, "coefficients", coefficients)
        modes = _round_modes(where, coefficients, modes)
    if filling is not None:
        _check.positive(where, "filling", filling)
        filling = constant(where, "filling", filling)
    light, aperture, index = (
        constant(where, name, value)
        for name, value in (("wavelength", wavelength), ("na", na), ("n", medium))
    )
    return RoundPupil(
        light, aperture, index, _profile(where, profile), coefficients, filling, layers,
        tuple(modes), apodization, motion, bool(transmission),
    )  # fmt: skip


def _profile(where: str, profile: Any) -> Any:
    if profile is None or isinstance(profile, Partial):
        return profile
    if callable(profile):
        return Partial(profile)
    samples = jnp.asarray(profile)
    if not samples.ndim or samples.shape[-1] < 4:
        raise ValueError(
            f"{where}: `profile` must have at least 4 samples (..., samples) from rho = 0 to 1, "
            f"got the shape {samples.shape}."
        )
    _check.finite_array(where, "profile", profile)
    return samples


# -- nodes ---------------------------------------------------------------------------------


class Nodes(NamedTuple):
    """Directions s and weights of the integral over s, ``(nodes,)``."""

    s: Array
    weight: Array


def _gauss(count: int, dtype: Any) -> tuple[Any, Any]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    t, w = np.polynomial.legendre.leggauss(count)
    return ((t + 1) / 2).astype(dtype), (w / 2).astype(dtype)


def pupil_nodes(pupil: RoundPupil, counts: tuple[int, int]) -> Nodes:
    """Nodes in the angle psi, s = m sin(psi), and beyond the least index, s = m + (na - m) v**2.

    m is the aperture or the least index, whichever is less: the square root of the critical
    angle is smooth in psi and in v. The seam is a little below the index, where the angle still
    has a derivative by the aperture.
    """
    na = pupil.na
    dtype = na.dtype
    least = pupil.n if pupil.layers is None else jnp.minimum(pupil.n, pupil.layers.n_s)
    inner, outer = counts
    edge = na if not outer else jnp.minimum(na, least * (1 - _seam(dtype)))
    # An angle, not sin(angle) = edge / least, would have no derivative at the least index.
    top = jnp.arcsin(jnp.minimum(edge / least, 1 - _seam(dtype)))
    t, w = _gauss(inner, dtype)
    psi = t * top
    s, weight = least * jnp.sin(psi), w * top * least * jnp.cos(psi)
    if outer:
        v, w = _gauss(outer, dtype)
        s = jnp.concatenate([s, edge + (na - edge) * (v * v)])
        weight = jnp.concatenate([weight, (na - edge) * (2 * v * w)])
    return Nodes(s, weight)


def _seam(dtype: Any) -> float:
    return 1e-5 if dtype == jnp.float32 else 1e-10


def interpolate(samples: Array, rho: Array) -> Array:
    """Cubics through four neighbors of equidistant samples on [0, 1], even about zero."""
    last = samples.shape[-1] - 1
    place = rho * last
    first = jnp.clip(jnp.floor(place).astype(int) - 1, -1, last - 3)
    t = place - (first + 1)
    weights = (
        -t * (t - 1) * (t - 2) / 6,
        (t + 1) * (t - 1) * (t - 2) / 2,
        -(t + 1) * t * (t - 2) / 2,
        (t + 1) * t * (t - 1) / 6,
    )
    parts = [w * samples[jnp.abs(first + k)] for k, w in enumerate(weights)]
    return parts[0] + parts[1] + parts[2] + parts[3]


def amplitudes(pupil: RoundPupil, nodes: Nodes, profile: Array | None, z: Array) -> Array:
    """Amplitude times weight for every plane, complex ``(planes, nodes)``."""
    s, rho = nodes.s, nodes.s / pupil.na
    size = TAU * s * nodes.weight * lens_factor(s, pupil.n, kind=pupil.apodization)
    if pupil.filling is not None:
        size = size * jnp.exp(-((rho / pupil.filling) ** 2))
    if pupil.layers is None:
        path = defocus_path(s, pupil.n, z[:, None])
    else:
        path = gibson_lanni_path(s, pupil.layers, z=z[:, None], motion=pupil.motion)
        size = size * jnp.exp(-TAU * path.decay / pupil.wavelength)
    opd = path.opd
    for k, (order, _) in enumerate(pupil.modes):
        mode = zernike_norm(order, 0) * zernike_radial(order, 0, rho)
        opd = opd + pupil.coefficients[k] * mode  # type: ignore[index]
    wave = size * cis(opd / pupil.wavelength)
    return wave if profile is None else wave * profile


class Rays(NamedTuple):
    """Transmissions and the direction in the sample, at the nodes."""

    q_s: Array
    q_p: Array
    cosine: Array
    sine: Array


def rays(pupil: RoundPupil, s: Array) -> Rays:
    """What polarization meets on the way to the sample."""
    n_s = pupil.n if pupil.layers is None else pupil.layers.n_s
    square = (n_s - s) * (n_s + s)
    positive, negative = square > 0, square < 0
    real = jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0) / n_s
    if pupil.layers is None:
        return Rays(jnp.ones_like(s), jnp.ones_like(s), real, s / n_s)
    imaginary = jnp.where(negative, jnp.sqrt(jnp.where(negative, -square, 1)), 0) / n_s
    cosine = jax.lax.complex(real, imaginary)
    one = jnp.ones_like(cosine)
    q = (one, one)
    if pupil.transmission:
        q = fresnel_transmission(s, pupil.layers.n)
    return Rays(q[0], q[1], cosine, s / n_s)


# -- how many ------------------------------------------------------------------------------


def _series_length(x: float, tolerance: float) -> int:
    """Least k with J_k(x) below a tolerance, by the bound (e x / 2k)**k / sqrt(2 pi k)."""
    k = max(2, math.ceil(x))
    while k * (1 + math.log(max(x, 1e-9) / (2 * k))) - 0.5 * math.log(TAU * k) > math.log(
        tolerance
    ):
        k += 1
    return k


def _most(value: Any) -> float:
    return float(np.max(np.asarray(value)))


def _path_in_numpy(pupil: RoundPupil, s: np.ndarray, z: float) -> np.ndarray:
    """Optical path of rays through everything, in every batch entry, ``(batch, rays)`` [µm]."""
    layers = pupil.layers
    leaves = [pupil.na, pupil.n, *jax.tree.leaves(layers)]
    if pupil.coefficients is not None:
        leaves.append(np.asarray(pupil.coefficients)[..., 0])
    batch = np.broadcast_shapes(*(np.shape(leaf) for leaf in leaves))

    def column(value: Any) -> np.ndarray:
        return np.broadcast_to(np.asarray(value, float), batch).reshape(-1, 1)

    def root(index: Any) -> np.ndarray:
        index = column(index)
        return np.sqrt(np.maximum(index * index - s * s, 0)) - index

    path = z * root(pupil.n if layers is None or pupil.motion == "stage" else layers.n_s)
    if layers is not None:
        parts = [(layers.n_s, layers.t_s, 1)]
        parts += [(n, t, 1) for n, t in zip(layers.n_g, layers.t_g, strict=True)]
        parts += [(n, t, -1) for n, t in zip(layers.n_g_design, layers.t_g_design, strict=True)]
        parts += [(layers.n_i_design, layers.t_i_design, -1)]
        thickness = 0.0
        for n, t, sign in parts:
            path = path + sign * column(t) * root(n)
            thickness = thickness - sign * column(t) / column(n) * column(layers.n_i)
        thickness = thickness if layers.t_i is None else column(layers.t_i)
        path = path + thickness * root(layers.n_i)
    for k, (order, _) in enumerate(pupil.modes):
        # The modes (n, 0) are Legendre polynomials of 2 rho^2 - 1.
        rho = np.minimum(s / column(pupil.na), 1)
        mode = np.polynomial.legendre.Legendre.basis(order // 2)(2 * rho * rho - 1)
        c = column(np.asarray(pupil.coefficients)[..., k])
        path = path + c * zernike_norm(order, 0) * mode
    return path


def _unknown(pupil: RoundPupil, z: Any) -> float:
    """Half the range over the pupil of the phase that unknown (traced) values may add.

    That of |z| of ten wavelengths at full aperture (or as many as are known), and of some waves.
    """
    waves = 10.0
    if _check.is_concrete(z, pupil.wavelength):
        far = float(np.max(np.abs(np.asarray(z, float)), initial=0.0))
        waves = max(waves, far / float(np.min(np.asarray(pupil.wavelength))))
    return 13 + math.pi * 1.5 * waves


def count_nodes(
    pupil: RoundPupil, reach: float | None, z: Any, pixels: float, intensity: bool
) -> tuple[int, int, int]:
    """Nodes inside and beyond the least index, and of the radial table.

    ``reach`` is the largest radius [µm], or None where it is not known; then a picture of
    ``pixels`` from the axis to its corner is taken to be sampled at the Nyquist spacing
    wavelength / (4 na) of its intensity.
    """
    double = pupil.na.dtype == jnp.float64
    tolerance = 1e-15 if double else 3e-8
    known = _check.is_concrete(pupil.na, pupil.wavelength)
    if reach is None or not known:
        x = math.pi / 2 * pixels
    else:
        x = TAU * _most(pupil.na) * reach / float(np.min(np.asarray(pupil.wavelength)))
    radial = _series_length(x if intensity else x / 2, math.sqrt(tolerance)) + 2
    layers = pupil.layers
    least, na = 0.0, 1.0
    if _check.is_concrete(pupil.na, pupil.n, layers):
        na = _most(pupil.na)
        least = float(np.min(np.asarray(pupil.n)))
        if layers is not None:
            least = min(least, float(np.min(np.asarray(layers.n_s))))
    has_edge = layers is not None and na >= least * (1 - 1e-3)
    floor = (24 if double else 14) if layers is None else (56 if double else 28)
    slopes = [_unknown(pupil, z) + x / 2 * (math.pi / 2), _unknown(pupil, z) + x / 2]
    if _check.is_concrete(pupil.na, pupil.n, pupil.wavelength, layers, pupil.coefficients):
        z_known = _check.is_concrete(z)
        far = 10 * float(np.min(np.asarray(pupil.wavelength)))
        planes = np.asarray(z, float) if z_known else np.array([-far, far])
        found = _slopes(pupil, planes, x, na, least if least else na)
        # What is known of the layers may be more than what is allowed for the unknown.
        slopes = found if z_known else [max(pair) for pair in zip(slopes, found, strict=True)]
    inner = max(floor, _series_length(slopes[0], tolerance) // 2 + 6)
    outer = max(floor * 3 // 4, _series_length(slopes[1], tolerance) // 2 + 6) if has_edge else 0
    return 8 * math.ceil(inner / 8), 8 * math.ceil(outer / 8), 4 * math.ceil(radial / 4)


def _slopes(pupil: RoundPupil, z: np.ndarray, x: float, na: float, least: float) -> list[float]:
    """Largest change of phase per unit of a variable on [-1, 1], in both panels."""
    edge = min(na, least)
    t = np.linspace(0, 1, 129)
    panels = [least * np.sin(t * np.arcsin(edge / least)), edge + (na - edge) * t * t]
    wave = TAU / float(np.min(np.asarray(pupil.wavelength)))
    result = []
    for s in panels:
        steps = [np.abs(np.diff(wave * _path_in_numpy(pupil, s, e))) for e in (z.min(), z.max())]
        across = np.abs(np.diff(s)) * x / na
        result.append(float(np.max(np.maximum(*steps) + across)) * (len(t) - 1) / 2)
    return result
