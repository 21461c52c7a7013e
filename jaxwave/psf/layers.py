"""Plane waves through sample, coverslip and immersion: paths and decay.

A ray is named by the transverse component s = n sin(theta) of its direction, which every plane
interface conserves; in a layer of index n the longitudinal component is r = sqrt(n**2 - s**2), or
+i sqrt(s**2 - n**2) beyond the critical angle.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, numerics
from jaxwave._noun import noun, number

MOTIONS = ("stage", "emitter")
Thickness = ArrayLike | str | tuple[ArrayLike | str, ...]  # of one layer, or of several


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


@noun
class Layers:
    r"""What lies between the emitter and the objective, and what the objective was made for.

    .. math:: (n_s, t_s),\ (n_1, t_1) \dots (n_m, t_m),\ (n_i, t_i)

    from the sample through the coverslip (one layer or several) to the immersion. Valid for
    plane, parallel layers. Make one with :func:`coverslip_layers`, which checks the values;
    everything is a leaf that can be swept, mapped and learned.

    Args:
        n_s: Index of the sample, ``(...)`` [none].
        t_s: Depth of the emitter (or of the nominal focus) below the coverslip, ``(...)`` [µm].
        n_g: Indices of the coverslip's layers, a tuple of ``(...)`` [none].
        t_g: Their thicknesses, a tuple of ``(...)`` [µm].
        n_i: Index of the immersion, ``(...)`` [none].
        t_i: Thickness of the immersion, ``(...)`` [µm], or None for the focusing condition.
        n_g_design: Indices of the coverslip that the objective is made for, ``(...)`` [none].
        t_g_design: Their thicknesses, a tuple of ``(...)`` [µm].
        n_i_design: Index of the immersion that the objective is made for, ``(...)`` [none].
        t_i_design: Its thickness, ``(...)`` [µm].

    Example:
        >>> coverslip_layers(n_s=1.33, n_g=1.523, n_i=1.518, t_s=2.0).t_s.item()
        2.0

    References:
        S. F. Gibson and F. Lanni, J. Opt. Soc. Am. A 9, 154 (1992), Fig. 1.
    """

    n_s: Array
    t_s: Array
    n_g: tuple[Array, ...]
    t_g: tuple[Array, ...]
    n_i: Array
    t_i: Array | None
    n_g_design: tuple[Array, ...]
    t_g_design: tuple[Array, ...]
    n_i_design: Array
    t_i_design: Array

    @property
    def n(self) -> tuple[Array, ...]:
        """Indices from the immersion to the sample, as :func:`fresnel_transmission` takes them."""
        return (self.n_i, *reversed(self.n_g), self.n_s)


def layer_tuple(value: object) -> tuple:
    """One layer, or a tuple of several."""
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def coverslip_layers(
    *,
    n_s: ArrayLike,
    n_g: ArrayLike | tuple[ArrayLike, ...],
    n_i: ArrayLike,
    t_s: ArrayLike | str = 0.0,
    t_g: Thickness = 170.0,
    t_i: ArrayLike | str | None = None,
    n_g_design: ArrayLike | tuple[ArrayLike, ...] | None = None,
    t_g_design: Thickness | None = None,
    n_i_design: ArrayLike | None = None,
    t_i_design: ArrayLike | str = 100.0,
) -> Layers:
    r"""Describes sample, coverslip and immersion, with actual and design values.

    .. math:: t_i = n_i \left(\frac{t_g^*}{n_g^*} + \frac{t_i^*}{n_i^*} - \frac{t_g}{n_g}
        - \frac{t_s}{n_s}\right)

    is the focusing condition that holds where ``t_i`` is not given: the paraxial focus lies on
    the emitter. Valid for plane, parallel layers. What is not given of the design (starred) is
    the actual value: an objective that is used as it was made for.

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

    Returns:
        The layers.

    Raises:
        ValueError: If an index is not positive, a thickness is negative, the numbers of indices
            and thicknesses differ, or the shapes do not broadcast.
        TypeError: If a value is not a real number.

    Warns:
        JaxwaveWarning: If the focusing condition leaves no room for the immersion.

    Example:
        >>> layers = coverslip_layers(n_s=1.33, n_g=1.5, n_i=1.5, t_s=1.0)
        >>> round(immersion_thickness(layers).item(), 4)
        98.8722

    References:
        S. F. Gibson and F. Lanni, J. Opt. Soc. Am. A 9, 154 (1992), Eq. 4.
    """
    where = "coverslip_layers"
    ng, tg = layer_tuple(n_g), layer_tuple(t_g)
    ng0 = ng if n_g_design is None else layer_tuple(n_g_design)
    tg0 = tg if t_g_design is None else layer_tuple(t_g_design)
    for name, n, t in (("t_g", ng, tg), ("t_g_design", ng0, tg0)):
        if len(n) != len(t):
            raise ValueError(
                f"{where}: `{name}` must have one thickness for each of the {len(n)} layers of "
                f"`{name.replace('t', 'n', 1)}`, got {len(t)}. Pass both as tuples."
            )
    indices = {"n_s": n_s, "n_i": n_i, "n_i_design": n_i if n_i_design is None else n_i_design}
    indices |= {f"n_g[{k}]": n for k, n in enumerate(ng)}
    indices |= {f"n_g_design[{k}]": n for k, n in enumerate(ng0)}
    thick = {"t_s": t_s, "t_i_design": t_i_design} | ({} if t_i is None else {"t_i": t_i})
    thick |= {f"t_g[{k}]": t for k, t in enumerate(tg)}
    thick |= {f"t_g_design[{k}]": t for k, t in enumerate(tg0)}
    thick = {name: _check.length(where, name, t) for name, t in thick.items()}
    for name, n in indices.items():
        _check.positive(where, name, n)
    for name, t in thick.items():
        _check.nonnegative(where, name, t, unit="µm")
    everything = indices | thick
    a = {name: number(where, name, value) for name, value in everything.items()}
    _check.broadcast(where, **{name: value.shape for name, value in a.items()})
    layers = Layers(
        n_s=a["n_s"],
        t_s=a["t_s"],
        n_g=tuple(a[f"n_g[{k}]"] for k in range(len(ng))),
        t_g=tuple(a[f"t_g[{k}]"] for k in range(len(tg))),
        n_i=a["n_i"],
        t_i=a.get("t_i"),
        n_g_design=tuple(a[f"n_g_design[{k}]"] for k in range(len(ng0))),
        t_g_design=tuple(a[f"t_g_design[{k}]"] for k in range(len(tg0))),
        n_i_design=a["n_i_design"],
        t_i_design=a["t_i_design"],
    )
    _warn_no_room(layers)
    return layers


def _warn_no_room(layers: Layers) -> None:
    if layers.t_i is not None or not _check.is_concrete(layers):
        return
    room = np.min(np.asarray(immersion_thickness(layers)))
    if room < 0:
        _check.warn(
            "coverslip_layers",
            f"the focusing condition needs an immersion of {room:.4g} µm: the emitter lies beyond "
            "the working distance. Lower `t_s` or `t_g`, or raise `t_i_design`.",
        )


def _focus_thickness(layers: Layers) -> Array:
    ratio = layers.t_i_design / layers.n_i_design - layers.t_s / layers.n_s
    for n, t in zip(layers.n_g_design, layers.t_g_design, strict=True):
        ratio = ratio + t / n
    for n, t in zip(layers.n_g, layers.t_g, strict=True):
        ratio = ratio - t / n
    return layers.n_i * ratio


def immersion_thickness(layers: Layers) -> Array:
    r"""Thickness of the immersion, given or from the focusing condition.

    .. math:: t_i = n_i \left(\frac{t_g^*}{n_g^*} + \frac{t_i^*}{n_i^*} - \frac{t_g}{n_g}
        - \frac{t_s}{n_s}\right)

    Valid for plane, parallel layers; the condition is paraxial.

    Args:
        layers: The layers, see :func:`coverslip_layers`.

    Returns:
        The thickness, ``(...)`` [µm].

    Raises:
        AttributeError: If ``layers`` is not :class:`Layers`.

    Example:
        >>> immersion_thickness(coverslip_layers(n_s=1.4, n_g=1.5, n_i=1.5, t_i=90.0)).item()
        90.0

    References:
        S. F. Gibson and F. Lanni, J. Opt. Soc. Am. A 9, 154 (1992), Eq. 4.
    """
    return _focus_thickness(layers) if layers.t_i is None else layers.t_i


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
    holds; see :func:`coverslip_layers` for :math:`t_i`. Exact for plane waves, without the
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
        layers: The layers, see :func:`coverslip_layers`; their leaves broadcast against ``s``.
        z: Position of the plane or of the emitter, ``(...)`` [µm]; broadcasts against ``s``.
        motion: "stage" or "emitter".

    Returns:
        Path and decay, ``(...)`` [µm]: multiply the pupil by cis(opd/wavelength) and
        exp(-2 pi decay/wavelength).

    Raises:
        ValueError: If ``motion`` is neither, or the shapes do not broadcast.
        TypeError: If a value is not a real number.

    Example:
        >>> layers = coverslip_layers(n_s=1.33, n_g=1.5, n_i=1.5, t_s=2.0)
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
