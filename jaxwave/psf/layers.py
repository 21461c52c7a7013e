"""Plane waves through sample, coverslip and immersion: paths, decay, amplitudes.

A ray is named by the transverse component s = n sin(theta) of its direction, which every plane
interface conserves; in a layer of index n the longitudinal component is r = sqrt(n**2 - s**2), or
+i sqrt(s**2 - n**2) beyond the critical angle.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, numerics
from jaxwave._noun import Number, noun, number, settle
from jaxwave.numerics import TAU, cis

MOTIONS = ("stage", "emitter")


class Path(NamedTuple):
    """Optical path ``opd`` [µm] and ``decay`` [µm]: the factor is cis(opd/λ) exp(-2π decay/λ)."""

    opd: Array
    decay: Array


# -- roots ---------------------------------------------------------------------------------


def roots(s: Any, n: Any) -> tuple[Array, Array]:
    """Real and imaginary part of r = sqrt(n**2 - s**2); one of them is zero."""
    square = (n - s) * (n + s)
    return numerics.safe_sqrt(square), numerics.safe_sqrt(-square)


def complex_root(s: ArrayLike, n: ArrayLike) -> Array:
    """The root r = sqrt(n**2 - s**2) as a complex number, with +i beyond the critical angle."""
    return lax.complex(*roots(s, n))


def floats(where: str, **values: ArrayLike) -> list[Array]:
    """Real arrays of one precision whose shapes broadcast."""
    arrays = [_check.real_array(where, name, value) for name, value in values.items()]
    _check.broadcast(where, **{name: a.shape for name, a in zip(values, arrays, strict=True)})
    kind = jnp.result_type(*arrays)
    return [a.astype(kind) for a in arrays]


# -- layers --------------------------------------------------------------------------------


def layer_tuple(value: object) -> tuple:
    """One layer, or a tuple of several."""
    return tuple(value) if isinstance(value, tuple | list) else (value,)


@noun
class Layers:
    r"""Sample, coverslip and immersion, and those that the objective was made for.

    .. math:: t_i = n_i \left(\frac{t_g^*}{n_g^*} + \frac{t_i^*}{n_i^*} - \frac{t_g}{n_g}
        - \frac{t_s}{n_s}\right)

    is the focusing condition that holds where ``t_i`` is not given: the paraxial focus lies on
    the emitter. Valid for plane, parallel layers. What is not given of the design (starred) is
    the actual value: an objective that is used as it was made for. Every number is a leaf.

    Args:
        n_s: Index of the sample, ``(...)`` [none].
        n_g: Index of the coverslip, ``(...)`` [none]; a tuple for several layers, the sample's
            side first.
        n_i: Index of the immersion, ``(...)`` [none].
        t_s: Depth of the emitter below the coverslip, ``(...)`` [µm].
        t_g: Thickness of the coverslip, ``(...)`` [µm]; a tuple for several layers.
        t_i: Thickness of the immersion, ``(...)`` [µm]; None for the focusing condition.
        n_g_design: Index of the design's coverslip, ``(...)`` [none], or a tuple.
        t_g_design: Thickness of the design's coverslip, ``(...)`` [µm], or a tuple.
        n_i_design: Index of the design's immersion, ``(...)`` [none].
        t_i_design: Thickness of the design's immersion (working distance), ``(...)`` [µm]; it
            matters only where the immersion differs from the design's or ``t_i`` is given.

    Raises:
        ValueError: If an index is not positive, a thickness is negative, the numbers of indices
            and thicknesses differ, or the shapes do not broadcast.
        TypeError: If a value is not a real number.

    Warns:
        JaxwaveWarning: If the focusing condition leaves no room for the immersion.

    Example:
        >>> layers = Layers(n_s=1.33, n_g=1.5, n_i=1.5, t_s=1.0)
        >>> round(layers.immersion.item(), 4)
        98.8722

    References:
        S. F. Gibson and F. Lanni, J. Opt. Soc. Am. A 9, 154 (1992), Eq. 4.
    """

    n_s: Number
    n_g: Number | tuple[Number, ...]
    n_i: Number
    t_s: Number = 0.0
    t_g: Number | tuple[Number, ...] = 170.0
    t_i: Number = None
    n_g_design: Number | tuple[Number, ...] = None
    t_g_design: Number | tuple[Number, ...] = None
    n_i_design: Number = None
    t_i_design: Number = 100.0

    def __post_init__(self) -> None:
        where, several = "Layers", ("n_g", "t_g", "n_g_design", "t_g_design")
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name in ("n_g", "t_g", "n_i"):
            if given[f"{name}_design"] is None:
                given[f"{name}_design"] = given[name]
        given |= {name: layer_tuple(given[name]) for name in several}
        for name in ("t_g", "t_g_design"):
            like = name.replace("t", "n", 1)
            if len(given[like]) != len(given[name]):
                raise ValueError(
                    f"{where}: `{name}` must have one thickness for each of the "
                    f"{len(given[like])} layers of `{like}`, got {len(given[name])}. Pass both as "
                    "tuples."
                )
        shapes: dict[str, tuple[int, ...]] = {}

        def one(name: str, value: Any) -> Any:
            if name.startswith("n"):
                _check.positive(where, name, value)
            else:
                value = _check.length(where, name, value)
                _check.nonnegative(where, name, value, unit="µm")
            settled = number(where, name, value)
            shapes[name] = settled.shape
            return settled

        for name, value in given.items():
            if name in several:
                given[name] = tuple(one(f"{name}[{k}]", part) for k, part in enumerate(value))
            elif value is not None:
                given[name] = one(name, value)
        _check.broadcast(where, **shapes)
        settle(self, **given)
        if self.t_i is None and _check.is_concrete(self):
            room = np.min(np.asarray(self.immersion))
            if room < 0:
                _check.warn(
                    where,
                    f"the focusing condition needs an immersion of {room:.4g} µm: the emitter lies "
                    "beyond the working distance. Lower `t_s` or `t_g`, or raise `t_i_design`.",
                )

    @property
    def n(self) -> tuple[Array, ...]:
        """Indices from the immersion to the sample, as :func:`fresnel_transmission` takes them."""
        return (self.n_i, *reversed(self.n_g), self.n_s)

    @property
    def immersion(self) -> Array:
        """Thickness of the immersion [µm], given or from the focusing condition."""
        return _focus_thickness(self) if self.t_i is None else self.t_i


def _focus_thickness(layers: Layers) -> Array:
    ratio = layers.t_i_design / layers.n_i_design - layers.t_s / layers.n_s
    for n, t in zip(layers.n_g_design, layers.t_g_design, strict=True):
        ratio = ratio + t / n
    for n, t in zip(layers.n_g, layers.t_g, strict=True):
        ratio = ratio - t / n
    return layers.n_i * ratio


# -- paths ---------------------------------------------------------------------------------


def _slack(s: Array, n: Array) -> Array:
    """Real part of r - n, written so that small angles keep their digits."""
    return jnp.where(s < n, -s * s / (roots(s, n)[0] + n), -n)


def _refocused(s: Array, n: Array, n_i: Array) -> Array:
    """Real part of (r - n) - (n_i / n)(r_i - n_i): a layer, refocused by the immersion.

    The terms of second order in s cancel analytically; what is left is spherical aberration, and
    it vanishes with n - n_i.
    """
    r, r_i = roots(s, n)[0], roots(s, n_i)[0]
    product = n * (r_i + n_i) * (r + n) * jnp.where(r_i + r > 0, n_i * r + n * r_i, 1)
    aberration = (s * s) * (s * s) * ((n - n_i) * (n + n_i)) / product
    plain = (r - n) - (n_i / n) * (r_i - n_i)
    return jnp.where((s < n) & (s < n_i), aberration, plain)


def defocus_path(s: ArrayLike, n: ArrayLike, z: ArrayLike) -> Path:
    r"""Path of a plane wave over a distance along the axis, without the carrier.

    .. math:: \mathrm{OPD} = z\left(\sqrt{n^2 - s^2} - n\right)

    The axial wave, n z, is left out. Exact; beyond the critical angle the wave decays with the
    distance, whatever its sign.

    Args:
        s: Transverse direction n sin(theta), ``(...)`` [none].
        n: Refractive index, ``(...)``.
        z: Distance along the light's way, ``(...)`` [µm].

    Returns:
        Path and decay, ``(...)`` [µm]; all arguments broadcast.

    Raises:
        ValueError: If the shapes do not broadcast.
        TypeError: If a value is not a real number.

    Example:
        >>> defocus_path(0.6, 1.0, 10.0).opd.round(4).item()
        -2.0

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 3.10.
    """
    s, n, z = floats("defocus_path", s=s, n=n, z=z)
    return Path(z * _slack(s, n), jnp.where(z >= 0, z, -z) * roots(s, n)[1])


def gibson_lanni_path(
    s: ArrayLike, layers: Layers, *, z: ArrayLike = 0.0, motion: str = "stage"
) -> Path:
    r"""Optical path through the layers minus the path that the objective was made for.

    .. math:: \mathrm{OPD}(s) = t_s r_s + t_g r_g - t_g^* r_g^* + t_i r_i - t_i^* r_i^*
        + z\,r_{i\text{ or }s},
        \qquad r = \sqrt{n^2 - s^2}

    without its value on the axis (piston). Every layer is taken together with the immersion
    that it displaces, :math:`r_n - (n_i/n)\,r_i`, a term of fourth order in s that float32
    holds; see :class:`Layers` for :math:`t_i`. Exact for plane waves, without the
    reflections at the interfaces (:func:`fresnel_transmission`). Rays beyond the critical angle
    decay with the emitter's distance from the coverslip.

    The two motions agree in matched media:

    - ``"stage"``: the focal plane moves by z along the light, away from the emitter and toward
      the objective, while the immersion grows by z; the depth ``t_s`` stays.
    - ``"emitter"``: the emitter moves by z deeper into the sample, to the depth ``t_s + z``;
      the objective stays.

    Valid for s below the immersion's index (further out it is finite, but has no meaning). At
    the critical angle itself, where the derivative of a root is infinite, it is taken as zero.

    Args:
        s: Transverse direction n sin(theta), ``(...)`` [none]; zero or more.
        layers: The layers, see :class:`Layers`; their leaves broadcast against ``s``.
        z: Position of the plane or of the emitter, ``(...)`` [µm]; broadcasts against ``s``.
        motion: "stage" or "emitter".

    Returns:
        Path and decay, ``(...)`` [µm]: multiply the pupil by cis(opd/wavelength) and
        exp(-2 pi decay/wavelength).

    Raises:
        ValueError: If ``motion`` is neither, or the shapes do not broadcast.
        TypeError: If a value is not a real number.

    Example:
        >>> layers = Layers(n_s=1.33, n_g=1.5, n_i=1.5, t_s=2.0)
        >>> gibson_lanni_path(jnp.array([0.0, 1.2]), layers).opd.round(4).tolist()
        [0.0, -0.15959998965263367]

    References:
        S. F. Gibson and F. Lanni, J. Opt. Soc. Am. A 9, 154 (1992), Eq. 5.
    """
    where = "gibson_lanni_path"
    _check.choice(where, "motion", motion, MOTIONS)
    s, z, n_s, n_i, t_s = floats(where, s=s, z=z, n_s=layers.n_s, n_i=layers.n_i, t_s=layers.t_s)
    opd = t_s * _refocused(s, n_s, n_i)
    decay = jnp.zeros_like(opd)
    for n, t in zip(layers.n_g, layers.t_g, strict=True):
        opd = opd + t * _refocused(s, n, n_i)
        decay = decay + t * roots(s, n)[1]
    for n, t in zip(layers.n_g_design, layers.t_g_design, strict=True):
        opd = opd - t * _refocused(s, n, n_i)
    opd = opd - layers.t_i_design * _refocused(s, layers.n_i_design, n_i)
    if layers.t_i is not None:
        opd = opd + (layers.t_i - _focus_thickness(layers)) * _slack(s, n_i)
    if motion == "stage":
        depth, opd = t_s, opd + z * _slack(s, n_i)
    else:
        depth, opd = t_s + z, opd + z * _slack(s, n_s)
    decay = decay + jnp.where(depth >= 0, depth, -depth) * roots(s, n_s)[1]
    return Path(*jnp.broadcast_arrays(opd, decay))


# -- amplitudes ----------------------------------------------------------------------------


class Transmission(NamedTuple):
    """Amplitude transmission ``q_s`` and ``q_p`` of the two polarizations, complex."""

    q_s: Array
    q_p: Array


def _quotient(a: Array, b: Array) -> Array:
    """``a / b``, and one where both vanish."""
    zero = b == 0
    return jnp.where(zero, 1, a / jnp.where(zero, 1, b))


def _index_list(where: str, s: ArrayLike, n: Sequence[ArrayLike]) -> tuple[Array, list[Array]]:
    if not isinstance(n, tuple | list) or len(n) < 2:
        raise ValueError(
            f"{where}: `n` must be the indices of two media or more, from the side that the light "
            f"comes from, got {n!r}."
        )
    for k, index in enumerate(n):
        _check.positive(where, f"n[{k}]", index)
    s, *indices = floats(where, s=s, **{f"n[{k}]": index for k, index in enumerate(n)})
    return s, indices


def _interface(r1: Array, r2: Array, n1: Array, n2: Array) -> Transmission:
    weight_1, weight_2 = n2 * n2 * r1, n1 * n1 * r2
    return Transmission(
        _quotient(2 * r1, r1 + r2), _quotient(2 * n1 * n2 * r1, weight_1 + weight_2)
    )


def fresnel_transmission(s: ArrayLike, n: Sequence[ArrayLike]) -> Transmission:
    r"""Fresnel transmission of the electric field through plane interfaces, one after another.

    .. math:: t_s = \frac{2 r_1}{r_1 + r_2}, \qquad
        t_p = \frac{2 n_1 n_2 r_1}{n_2^2 r_1 + n_1^2 r_2}, \qquad r = \sqrt{n^2 - s^2}

    multiplied over the interfaces. Reflections between them are neglected (they fall out of
    focus; for thin layers see :func:`multilayer_transmission`), and so are the paths inside
    (:func:`gibson_lanni_path`). Beyond the critical angle r is imaginary and the coefficients
    are complex. Power: :math:`|t|^2\,\mathrm{Re}\,r_2 / r_1` is what an interface transmits.
    By reciprocity the coefficients of the way back are those of the way there times
    :math:`r_\mathrm{first}/r_\mathrm{last}`, which holds for both polarizations.

    Args:
        s: Transverse direction n sin(theta), ``(...)`` [none].
        n: Indices of the media from the side the light comes from, a tuple of ``(...)``.

    Returns:
        Amplitude transmissions of the polarization across (s) and in (p) the plane of
        incidence, complex ``(...)`` [none]; s and the indices broadcast.

    Raises:
        ValueError: If there are fewer than two media, or an index is not positive.
        TypeError: If a value is not a real number.

    Example:
        >>> t = fresnel_transmission(0.0, (1.5, 1.0))
        >>> t.q_s.real.round(4).item(), t.q_p.real.round(4).item()
        (1.1999999284744263, 1.1999999284744263)

    References:
        M. Born and E. Wolf, *Principles of Optics*, 7th ed., Sec. 1.5.2, Eq. 20; P. Török et
        al., J. Opt. Soc. Am. A 12, 325 (1995).
    """
    s, indices = _index_list("fresnel_transmission", s, n)
    r = [complex_root(s, index) for index in indices]
    total = Transmission(jnp.ones_like(r[0]), jnp.ones_like(r[0]))
    for r1, r2, n1, n2 in zip(r, r[1:], indices, indices[1:], strict=False):
        one = _interface(r1, r2, n1, n2)
        total = Transmission(total.q_s * one.q_s, total.q_p * one.q_p)
    return total


def multilayer_transmission(
    s: ArrayLike,
    n: Sequence[ArrayLike],
    thickness: Sequence[ArrayLike],
    *,
    wavelength: ArrayLike | str,
) -> Transmission:
    r"""Transmission of the electric field through thin layers, with all their reflections.

    .. math:: \frac{1}{t_{j \dots}} = \frac{1}{t_{j,j+1}}\left(
        \frac{e^{-i\beta}}{t_{j+1 \dots}} + \rho_{j,j+1}\,\frac{\rho_{j+1 \dots}
        e^{i\beta}}{t_{j+1 \dots}}\right), \qquad \beta = \frac{2\pi}{\lambda} r_{j+1} d_{j+1}

    from the last interface to the first, for both polarizations (Parratt's recursion for the
    reflection :math:`\rho`). Exact for plane, parallel, homogeneous layers without absorption.
    The phase is that from the first to the last interface, carrier included, so leave these
    layers out of :func:`gibson_lanni_path`. A layer beyond its critical angle only decays
    (frustrated total reflection).

    Args:
        s: Transverse direction n sin(theta), ``(...)`` [none].
        n: Indices of the media from the side the light comes from, a tuple of ``(...)``.
        thickness: Thicknesses of the layers between the first and the last medium, a tuple of
            ``(...)`` [µm].
        wavelength: Vacuum wavelength, ``(...)`` [µm].

    Returns:
        Amplitude transmissions, complex ``(...)`` [none]; everything broadcasts.

    Raises:
        ValueError: If the numbers of media and layers do not fit, an index is not positive or
            a thickness is negative.
        TypeError: If a value is not a real number.

    Example:
        >>> half_wave = multilayer_transmission(0.0, (1.0, 2.0, 1.0), (0.125,), wavelength=0.5)
        >>> abs(half_wave.q_s).round(4).item()
        1.0

    References:
        M. Born and E. Wolf, *Principles of Optics*, 7th ed., Sec. 1.6.4, Eq. 55.
    """
    where = "multilayer_transmission"
    s, indices = _index_list(where, s, n)
    layers = layer_tuple(thickness)
    if len(layers) != len(indices) - 2:
        raise ValueError(
            f"{where}: `thickness` must have one number for each of the {len(indices) - 2} layers "
            f"between the first and the last medium, got {len(layers)}."
        )
    layers = tuple(_check.length(where, "thickness", d) for d in layers)
    for d in layers:
        _check.nonnegative(where, "thickness", d, unit="µm")
    wavelength = jnp.asarray(_check.wavelength(where, wavelength), s.dtype)
    r = [complex_root(s, index) for index in indices]
    result = []
    for polarization in (0, 1):
        t = rho = jnp.zeros(())
        for j in reversed(range(len(indices) - 1)):
            one = _interface(r[j], r[j + 1], indices[j], indices[j + 1])[polarization]
            # Reflection of the electric field: across t_s - 1, in the plane t_p n2/n1 - 1.
            bounce = one * (indices[j + 1] / indices[j] if polarization else 1) - 1
            if j == len(indices) - 2:  # the last interface
                t, rho = one, bounce
                continue
            turns = layers[j] / wavelength
            re, im = r[j + 1].real * turns, r[j + 1].imag * turns
            step = cis(re) * jnp.exp(-TAU * im)
            echo = 1 + bounce * rho * step * step
            t, rho = one * t * step / echo, (bounce + rho * step * step) / echo
        result.append(t)
    return Transmission(*jnp.broadcast_arrays(*result))
