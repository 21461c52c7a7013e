"""Amplitudes of plane waves through a lens and through plane interfaces.

A ray is named by the transverse component s = n sin(theta) of its direction, as in
:mod:`jaxwave.psf.layers`. Amplitudes are per area of s (d^2 s), so that the field at a focus is
E(x, y) = sum over s of a(s) exp[2 pi i (sx x + sy y) / wavelength].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.numerics import TAU, cis
from jaxwave.psf.layers import complex_root, floats, layer_tuple, roots

APODIZATIONS = ("aplanatic", "herschel", "none")


class Transmission(NamedTuple):
    """Amplitude transmission ``q_s`` and ``q_p`` of the two polarizations, complex."""

    q_s: Array
    q_p: Array


def _quotient(a: Array, b: Array) -> Array:
    """``a / b``, and one where both vanish."""
    zero = b == 0
    return jnp.where(zero, 1, a / jnp.where(zero, 1, b))


def apodization(s: ArrayLike, n: ArrayLike, *, kind: str = "aplanatic") -> Array:
    r"""Amplitude of a ray that a lens makes of a uniform pupil, per area of s.

    .. math:: a(s)\,d^2s = a(s)\,n^2 \cos\theta\,d\Omega, \qquad
        a = \cos^{-1/2}\theta\ (\text{aplanatic}), \quad \cos^{-1}\theta\ (\text{Herschel}),
        \quad 1\ (\text{none})

    Per solid angle these are the factors :math:`\cos^{1/2}\theta`, 1 and :math:`\cos\theta` of
    the textbooks on focusing. The aplanatic factor is also the one of emission, where a wave of
    the amplitude :math:`E_\infty` becomes :math:`E_\infty\cos^{-1/2}\theta` in the back focal
    plane, and with it every ray carries the power of its pupil area. Valid for lenses that obey
    the sine (aplanatic) or the Herschel condition; "none" is Fourier optics, whose focus is the
    Airy pattern.

    Args:
        s: Transverse direction n sin(theta), ``(...)`` [none].
        n: Refractive index of the immersion, ``(...)``.
        kind: "aplanatic", "herschel" or "none".

    Returns:
        The factor, ``(...)`` [none]; zero from s = n on (but "none").

    Raises:
        ValueError: If ``kind`` is none of the three.
        TypeError: If a value is not a real number.

    Example:
        >>> apodization(0.8, 1.0).round(4).item()
        1.2910000085830688

    References:
        B. Richards and E. Wolf, Proc. R. Soc. A 253, 358 (1959), Eq. 2.13; M. Gu, *Advanced
        Optical Imaging Theory*, Sec. 6.3.
    """
    _check.choice("apodization", "kind", kind, APODIZATIONS)
    s, n = floats("apodization", s=s, n=n)
    if kind == "none":
        return jnp.ones_like(s * n)
    cos = roots(s, n)[0] / n
    inside = cos > 0
    safe = jnp.where(inside, cos, 1)
    return jnp.where(inside, 1 / (jnp.sqrt(safe) if kind == "aplanatic" else safe), 0)


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
