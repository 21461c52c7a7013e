"""Zernike modes: (n, m), orthonormal on the unit disk (unit RMS), in Cartesian form.

m >= 0 is the cosine mode, m < 0 the sine mode, and the azimuth runs from +x toward +y. A single
index means nothing without its convention, so modes are (n, m) pairs everywhere and
:func:`zernike_modes` turns numbers of a named convention into pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, numerics

Mode = tuple[int, int]
Modes = Sequence[Mode] | Sequence[int]  # pairs (n, m), or numbers of a named convention

_CONVENTIONS = ("osa", "ansi", "noll", "fringe")  # "ansi" is another name of "osa"

_NAMES: dict[Mode, str] = {
    (0, 0): "piston",
    (1, -1): "vertical tilt",
    (1, 1): "horizontal tilt",
    (2, -2): "oblique astigmatism",
    (2, 0): "defocus",
    (2, 2): "vertical astigmatism",
    (3, -3): "vertical trefoil",
    (3, -1): "vertical coma",
    (3, 1): "horizontal coma",
    (3, 3): "oblique trefoil",
    (4, -4): "oblique quadrafoil",
    (4, -2): "oblique secondary astigmatism",
    (4, 0): "primary spherical",
    (4, 2): "vertical secondary astigmatism",
    (4, 4): "vertical quadrafoil",
    (5, -5): "vertical pentafoil",
    (5, -3): "vertical secondary trefoil",
    (5, -1): "vertical secondary coma",
    (5, 1): "horizontal secondary coma",
    (5, 3): "oblique secondary trefoil",
    (5, 5): "oblique pentafoil",
    (6, 0): "secondary spherical",
    (8, 0): "tertiary spherical",
}
_BY_NAME = {name: mode for mode, name in _NAMES.items()}


# -- numbers, pairs and names --------------------------------------------------------------


def zernike_index(j: int, *, convention: str = "osa") -> Mode:
    r"""Radial order n and azimuthal order m of a mode given by its single number.

    .. math:: j_\mathrm{OSA} = \frac{n(n + 2) + m}{2}

    Noll's and the Fringe (University of Arizona) numbers start at one and follow the tables of
    the references. Valid for every number. Only the order is converted: Fringe coefficients
    usually belong to polynomials of unit peak, see :func:`zernike_norm`. Programs that end the
    Fringe set with 37 = (12, 0) break the rule there, so 37 gives a warning.

    Args:
        j: Number of the mode, scalar (shape ``()``) [none]; from 0 (OSA) or 1 (Noll, Fringe).
        convention: ``"osa"`` (or ``"ansi"``, the same), ``"noll"`` or ``"fringe"``.

    Returns:
        The pair (n, m) [none].

    Raises:
        TypeError: If ``j`` is not an integer.
        ValueError: If ``j`` is below the first number or the convention is unknown.

    Example:
        >>> zernike_index(4), zernike_index(4, convention="noll")
        ((2, 0), (2, 0))
        >>> zernike_index(7), zernike_index(7, convention="noll")
        ((3, -1), (3, -1))
        >>> zernike_index(7, convention="fringe")
        (3, 1)

    References:
        L. N. Thibos et al., "Standards for reporting the optical aberrations of eyes",
        J. Refract. Surg. 18, S652 (2002); R. J. Noll, J. Opt. Soc. Am. 66, 207 (1976), Table I;
        J. C. Wyant and K. Creath, *Applied Optics and Optical Engineering* XI, Table III (1992).
    """
    convention = _convention("zernike_index", convention)
    first = 0 if convention == "osa" else 1
    _check.integer("zernike_index", "j", j, first)
    j = int(j)
    if convention == "osa":
        n = (math.isqrt(8 * j + 1) - 1) // 2
        return n, 2 * j - n * (n + 2)
    if convention == "noll":
        n = (math.isqrt(8 * j - 7) - 1) // 2
        rank = j - 1 - n * (n + 1) // 2
        m = 2 * ((rank + 1) // 2) if n % 2 == 0 else 1 + 2 * (rank // 2)
        return n, m if j % 2 == 0 else -m
    if j == 37:
        _check.warn(
            "zernike_index",
            "Fringe number 37 is taken as (6, 6); programs whose set ends at 37 mean (12, 0), "
            "which is 49 here. Pass the pair (12, 0) if that is what you have.",
        )
    half = math.isqrt(j - 1)
    rest = (half + 1) ** 2 - j
    m = (rest + 1) // 2
    return 2 * half - m, -m if rest % 2 else m


def zernike_number(n: int, m: int, *, convention: str = "osa") -> int:
    r"""Single number of the mode (n, m), the inverse of :func:`zernike_index`.

    .. math:: j_\mathrm{OSA} = \frac{n(n + 2) + m}{2}, \qquad
        j_\mathrm{Fringe} = \left(1 + \frac{n + |m|}{2}\right)^2 - 2|m| + [m < 0]

    and Noll's number by his Table I. Valid for every mode.

    Args:
        n: Radial order, scalar (shape ``()``) [none].
        m: Azimuthal order, scalar (shape ``()``) [none]; negative for sine modes.
        convention: ``"osa"`` or ``"ansi"`` (from 0), ``"noll"`` or ``"fringe"`` (both from 1).

    Returns:
        The number [none].

    Raises:
        ValueError: If (n, m) is not a mode or the convention is unknown.

    Example:
        >>> [zernike_number(3, 1, convention=c) for c in ("osa", "noll", "fringe")]
        [8, 8, 7]

    References:
        L. N. Thibos et al., J. Refract. Surg. 18, S652 (2002); R. J. Noll, J. Opt. Soc. Am. 66,
        207 (1976); J. C. Wyant and K. Creath, *Applied Optics and Optical Engineering* XI (1992).
    """
    convention = _convention("zernike_number", convention)
    n, m = _mode("zernike_number", (n, m))
    if convention == "osa":
        return (n * (n + 2) + m) // 2
    if convention == "fringe":
        return (1 + (n + abs(m)) // 2) ** 2 - 2 * abs(m) + (m < 0)
    sine_is_even = n % 4 in (2, 3)
    later = m == 0 or (m > 0) == sine_is_even
    return n * (n + 1) // 2 + abs(m) + later


def zernike_modes(numbers: Iterable[int], *, convention: str) -> tuple[Mode, ...]:
    r"""Modes given by their single numbers in a convention that has to be named.

    .. math:: (j_1, j_2, \dots) \mapsto \bigl((n_1, m_1), (n_2, m_2), \dots\bigr)

    Valid for every number, see :func:`zernike_index`.

    Args:
        numbers: Numbers of the modes, ``(modes,)`` [none].
        convention: ``"osa"`` or ``"ansi"`` (from 0), ``"noll"`` or ``"fringe"`` (both from 1).

    Returns:
        A tuple of (n, m) pairs, in the same order [none].

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If a number does not exist or the convention is unknown.

    Example:
        >>> zernike_modes(range(4, 8), convention="noll")
        ((2, 0), (2, -2), (2, 2), (3, -1))

    References:
        R. J. Noll, "Zernike polynomials and atmospheric turbulence",
        J. Opt. Soc. Am. 66, 207 (1976), Table I.
    """
    return tuple(zernike_index(j, convention=convention) for j in numbers)


def zernike_modes_up_to(order: int, *, start: int = 0) -> tuple[Mode, ...]:
    r"""All modes of the radial orders from ``start`` to ``order``, in OSA/ANSI order.

    .. math:: \{(n, m) : n_0 \le n \le n_1,\ |m| \le n,\ n - m \text{ even}\}

    Valid for every order; there are (order + 1)(order + 2)/2 modes from order zero on.

    Args:
        order: Highest radial order, scalar (shape ``()``) [none].
        start: Lowest radial order; 2 leaves out piston and tilt.

    Returns:
        A tuple of (n, m) pairs [none].

    Raises:
        TypeError: If an order is not an integer.
        ValueError: If an order is negative.

    Example:
        >>> zernike_modes_up_to(3, start=2)
        ((2, -2), (2, 0), (2, 2), (3, -3), (3, -1), (3, 1), (3, 3))

    References:
        L. N. Thibos et al., J. Refract. Surg. 18, S652 (2002), Table 3.
    """
    _check.integer("zernike_modes_up_to", "order", order, 0)
    _check.integer("zernike_modes_up_to", "start", start, 0)
    return tuple((n, m) for n in range(start, order + 1) for m in range(-n, n + 1, 2))


def zernike_name(n: int, m: int) -> str:
    r"""Usual name of a mode.

    .. math:: (2, 0) \mapsto \text{defocus},\quad (3, -1) \mapsto \text{vertical coma}

    Valid for every mode; those without a usual name are called, for example, ``"Z(7, -3)"``.

    Args:
        n: Radial order, scalar (shape ``()``) [none].
        m: Azimuthal order, scalar (shape ``()``) [none]; negative for sine modes.

    Returns:
        The name, in lower case.

    Raises:
        ValueError: If (n, m) is not a mode.

    Example:
        >>> zernike_name(2, -2), zernike_name(7, -3)
        ('oblique astigmatism', 'Z(7, -3)')

    References:
        L. N. Thibos et al., J. Refract. Surg. 18, S652 (2002), Table 3.
    """
    mode = _mode("zernike_name", (n, m))
    return _NAMES.get(mode, f"Z({mode[0]}, {mode[1]})")


def zernike_mode(name: str) -> Mode:
    r"""Mode that has a given name, the inverse of :func:`zernike_name`.

    .. math:: \text{defocus} \mapsto (2, 0),\quad \text{vertical coma} \mapsto (3, -1)

    Valid for the named modes up to order five and the spherical aberrations up to order eight.

    Args:
        name: The name; capitals do not matter.

    Returns:
        The pair (n, m) [none].

    Raises:
        ValueError: If there is no such name.

    Example:
        >>> zernike_mode("vertical coma")
        (3, -1)

    References:
        L. N. Thibos et al., J. Refract. Surg. 18, S652 (2002), Table 3.
    """
    key = name.lower() if isinstance(name, str) else name
    _check.choice("zernike_mode", "name", key, _BY_NAME)
    return _BY_NAME[key]


def zernike_norm(n: int, m: int) -> float:
    r"""Factor between the mode of unit RMS and the one of unit peak.

    .. math:: N_n^m = \sqrt{(2 - \delta_{m0})(n + 1)}

    Valid for every mode. A coefficient that belongs to the polynomial of unit peak (usual in
    Fringe lists) is *divided* by this factor to become one of jaxwave's.

    Args:
        n: Radial order, scalar (shape ``()``) [none].
        m: Azimuthal order, scalar (shape ``()``) [none]; negative for sine modes.

    Returns:
        The factor [none], the largest value of the orthonormal mode on the disk.

    Raises:
        ValueError: If (n, m) is not a mode.

    Example:
        >>> zernike_norm(1, 1), round(zernike_norm(2, 0), 6)
        (2.0, 1.732051)

    References:
        R. J. Noll, J. Opt. Soc. Am. 66, 207 (1976), Eq. 1.
    """
    n, m = _mode("zernike_norm", (n, m))
    return math.sqrt((1 if m == 0 else 2) * (n + 1))


def _convention(where: str, name: str) -> str:
    name = name.lower() if isinstance(name, str) else name
    _check.choice(where, "convention", name, _CONVENTIONS)
    return "osa" if name == "ansi" else name


def _mode(where: str, mode: Any) -> Mode:
    """Requires one (n, m) pair that exists."""
    if isinstance(mode, int | np.integer):
        raise TypeError(
            f"{where}: `modes` must be (n, m) pairs, got the bare number {mode}. Name its "
            f"convention: zernike_modes([{mode}], convention='osa') (or 'noll', 'fringe')."
        )
    if isinstance(mode, str) and mode.lower() in _CONVENTIONS:
        raise TypeError(
            f"{where}: `modes` must be (n, m) pairs, or numbers whose convention is named, got "
            f"{mode!r}. Pass modes=[4, 5], convention={mode.lower()!r}, for example."
        )
    if isinstance(mode, str):
        raise TypeError(
            f"{where}: `modes` must be (n, m) pairs, got {mode!r}. Pass zernike_mode({mode!r})."
        )
    pair = tuple(mode)
    if len(pair) != 2 or not all(_check.is_integer(k) for k in pair):
        raise ValueError(f"{where}: a mode must be two integers (n, m), got {pair}.")
    n, m = int(pair[0]), int(pair[1])
    if n < 0 or abs(m) > n or (n - m) % 2:
        raise ValueError(f"{where}: a mode (n, m) needs n >= |m| and n - m even, got ({n}, {m}).")
    return n, m


def _modes(where: str, modes: Any) -> tuple[Mode, ...]:
    if isinstance(modes, int | np.integer | str):
        _mode(where, modes)
    modes = tuple(modes)
    if len(modes) == 2 and all(_check.is_integer(k) for k in modes):
        raise TypeError(
            f"{where}: `modes` must be (n, m) pairs, got {modes}. For one mode pass [{modes}]; "
            f"for single numbers name the convention: zernike_modes({modes}, convention='osa')."
        )
    if not modes:
        raise ValueError(f"{where}: `modes` must hold at least one (n, m) pair.")
    return tuple(_mode(where, mode) for mode in modes)


def zernike_pairs(where: str, modes: Modes, convention: str | None) -> tuple[Mode, ...]:
    """Pairs (n, m) of what a user gave as modes: pairs, or numbers and their convention."""
    numbers = not isinstance(modes, str) and all(_check.is_integer(mode) for mode in modes)
    if not numbers and convention is None:
        return _modes(where, modes)
    if convention is None:
        pair = f" For one mode pass [{(*modes,)}]." if len(modes) == 2 else ""
        raise TypeError(
            f"{where}: `modes` has the number {modes[0]} without its convention. Pass pairs "
            f"(n, m), or convention='osa', 'noll' or 'fringe'.{pair}"
        )
    convention = _convention(where, convention)
    if not numbers:
        raise TypeError(
            f"{where}: `convention` goes with single numbers, got `modes` {modes!r:.60}."
        )
    return zernike_modes(modes, convention=convention)  # type: ignore[arg-type]


# -- polynomials ---------------------------------------------------------------------------


def _jacobi(degree: int, m: int, t: Array) -> list[Array]:
    """Jacobi polynomials P_k^(0, m)(t) for k = 0 ... degree, by their recurrence in k."""
    rows = [1 + 0 * t]
    if degree:
        rows.append(1 + (0.5 * m + 1) * (t - 1))
    for k in range(2, degree + 1):
        c = 2 * k + m
        scale = 2 * k * (k + m) * (c - 2)
        a = (c - 1) * c * (c - 2) / scale
        b = -(c - 1) * m * m / scale
        d = 2 * (k - 1) * (k + m - 1) * c / scale
        rows.append((a * t + b) * rows[-1] - d * rows[-2])
    return rows


def _points(where: str, y: ArrayLike, x: ArrayLike) -> tuple[Array, Array]:
    y, x = _check.real_array(where, "y", y), _check.real_array(where, "x", x)
    _check.broadcast(where, x=x.shape, y=y.shape)
    return y, x


def _grid(y: Array, x: Array) -> tuple[Array, Array]:
    kind = jnp.result_type(y, x)
    ys, xs = jnp.broadcast_arrays(y.astype(kind), x.astype(kind))
    return ys, xs


def zernike_radial(n: int, m: int, rho: ArrayLike) -> Array:
    r"""Radial polynomial of a Zernike mode, one at the rim.

    .. math:: R_n^{|m|}(\rho) = \rho^{|m|}\,P^{(0,|m|)}_{(n-|m|)/2}(2\rho^2 - 1),
        \qquad R_n^{|m|}(1) = 1

    with Jacobi polynomials by recurrence, which keeps float32's digits to order 20 and beyond
    (errors of 1e-5), where the sum of powers loses all of them. Valid on the disk. The mode is
    ``zernike_norm(n, m) * zernike_radial(n, m, rho) * cos(m phi)``. It is a polynomial, so it
    grows quickly outside the disk.

    Args:
        n: Radial order, scalar (shape ``()``) [none].
        m: Azimuthal order, scalar (shape ``()``) [none]; its sign does not matter.
        rho: Normalized pupil radius, ``(...)`` [pupil radii].

    Returns:
        The values, ``(...)`` [none].

    Raises:
        TypeError: If ``rho`` is complex.
        ValueError: If (n, m) is not a mode.

    Example:
        >>> zernike_radial(4, 0, jnp.array([0.0, 0.5, 1.0])).tolist()
        [1.0, -0.125, 1.0]

    References:
        M. Born and E. Wolf, *Principles of Optics*, 7th ed., Sec. 9.2.1.
    """
    n, m = _mode("zernike_radial", (n, m))
    rho = _check.real_array("zernike_radial", "rho", rho)
    return _radial(rho, n, abs(m))


@numerics.program("n", "m")
def _radial(rho: Array, n: int, m: int) -> Array:
    degree = (n - m) // 2
    return rho**m * _jacobi(degree, m, 2 * rho * rho - 1)[degree]


def mode_list(modes: Sequence[Mode], y: Array, x: Array) -> list[Array]:
    """Orthonormal modes as a list: Re or Im of (x + i y)^|m| times a Jacobi polynomial.

    Arithmetic only, so numpy arrays stay numpy arrays.
    """
    t = 2 * (x * x + y * y) - 1
    cos, sin = 1 + 0 * t, 0 * t
    found: dict[Mode, Array] = {}
    for m in range(max(abs(m) for _, m in modes) + 1):
        here = [mode for mode in modes if abs(mode[1]) == m]
        degree = max(((n - m) // 2 for n, _ in here), default=-1)
        rows = _jacobi(degree, m, t) if here else []
        for mode in here:
            harmonic = sin if mode[1] < 0 else cos
            found[mode] = zernike_norm(*mode) * harmonic * rows[(mode[0] - m) // 2]
        cos, sin = x * cos - y * sin, x * sin + y * cos
    return [found[mode] for mode in modes]


def zernike_polynomials(modes: Sequence[Mode], y: ArrayLike, x: ArrayLike) -> Array:
    r"""Zernike modes, orthonormal on the unit disk (unit RMS).

    .. math:: Z_n^m = \sqrt{(2 - \delta_{m0})(n + 1)}\;
        \mathrm{P}^{(0,|m|)}_{(n-|m|)/2}(2\rho^2 - 1)
        \begin{cases} \mathrm{Re}\,(x + iy)^{m} & m \ge 0 \\
        \mathrm{Im}\,(x + iy)^{|m|} & m < 0 \end{cases}

    so that :math:`\frac{1}{\pi}\int Z_i Z_j\,dx\,dy = \delta_{ij}`. A polynomial in x and y
    without square root or arctangent: all derivatives are finite everywhere, at the center and
    at the rim, and it is valid to order 20 and beyond (float32 error 1e-5 of the peak). It is
    *not* cut off at the rim: outside the disk the polynomial grows quickly, so multiply by the
    pupil.

    Args:
        modes: Pairs (n, m), ``(modes, 2)`` [none]; see :func:`zernike_modes` for numbers.
        y: Normalized pupil coordinate, counts the rows, broadcasts to ``(..., y, x)``
            [pupil radii].
        x: Normalized pupil coordinate to the right, broadcasts to ``(..., y, x)`` [pupil radii].

    Returns:
        The modes, ``(..., modes, y, x)`` [none]; points of fewer than two axes have the modes in
        front.

    Raises:
        TypeError: If a mode is a bare number or the coordinates are complex.
        ValueError: If a pair is not a mode or the coordinates do not broadcast.

    Example:
        >>> y, x = jnp.array([[0.0], [1.0]]), jnp.array([[0.0, 1.0]])
        >>> zernike_polynomials([(1, 1), (1, -1)], y, x).tolist()
        [[[0.0, 2.0], [0.0, 2.0]], [[0.0, 0.0], [2.0, 2.0]]]

    References:
        R. J. Noll, J. Opt. Soc. Am. 66, 207 (1976), Eqs. 1-3; M. Born and E. Wolf,
        *Principles of Optics*, 7th ed., Sec. 9.2.1.
    """
    modes = _modes("zernike_polynomials", modes)
    return _polynomials(*_points("zernike_polynomials", y, x), modes)


@numerics.program("modes")
def _polynomials(y: Array, x: Array, modes: tuple[Mode, ...]) -> Array:
    ys, xs = _grid(y, x)
    return jnp.stack(mode_list(modes, ys, xs), axis=max(xs.ndim - 2, 0))


def zernike_opd(
    coefficients: ArrayLike, modes: Sequence[Mode], y: ArrayLike, x: ArrayLike
) -> Array:
    r"""Optical path difference that is a sum of Zernike modes.

    .. math:: W(x, y) = \sum_j c_j Z_{n_j}^{m_j}(x, y)

    The coefficients are path differences, so the phase :math:`2\pi W/\lambda` scales rightly
    with wavelength; c is the RMS of its mode over the disk. Valid on the disk; outside, the
    polynomials go on, see :func:`zernike_polynomials`.

    Args:
        coefficients: Path differences, ``(..., modes)`` [µm].
        modes: Pairs (n, m), ``(modes, 2)`` [none].
        y: Normalized pupil coordinate, counts the rows, broadcasts to ``(..., y, x)``
            [pupil radii].
        x: Normalized pupil coordinate to the right, broadcasts to ``(..., y, x)`` [pupil radii].

    Returns:
        The path difference, ``(..., y, x)`` [µm]; the batch axes of the coefficients and of the
        coordinates broadcast. Points of fewer than two axes keep their shape behind them.

    Raises:
        TypeError: If a mode is a bare number or something is complex.
        ValueError: If the numbers of coefficients and modes differ or a pair is not a mode.

    Example:
        >>> y, x = jnp.array([[0.0], [1.0]]), jnp.array([[0.0, 1.0]])
        >>> zernike_opd([0.05], [(1, 1)], y, x).round(6).tolist()
        [[0.0, 0.10000000149011612], [0.0, 0.10000000149011612]]

    References:
        M. Born and E. Wolf, *Principles of Optics*, 7th ed., Sec. 9.2.
    """
    modes = _modes("zernike_opd", modes)
    c = _coefficients("zernike_opd", coefficients, modes)
    return _opd(c, *_points("zernike_opd", y, x), modes)


@numerics.program("modes")
def _opd(c: Array, y: Array, x: Array, modes: tuple[Mode, ...]) -> Array:
    basis = _polynomials(y, x, modes)
    axes = "yx"[2 - min(basis.ndim - 1, 2) :]
    return jnp.einsum(f"...j,...j{axes}->...{axes}", c, basis, precision="highest")


def _coefficients(where: str, coefficients: ArrayLike, modes: Sequence[Mode]) -> Array:
    array = _check.real_array(where, "coefficients", coefficients)
    if not array.ndim or array.shape[-1] != len(modes):
        raise ValueError(
            f"{where}: `coefficients` must have one number for each of the {len(modes)} modes on "
            f"the last axis, got the shape {array.shape}."
        )
    return array


def rms_wavefront(coefficients: ArrayLike, modes: Sequence[Mode]) -> Array:
    r"""Root-mean-square wavefront error over the disk, without piston.

    .. math:: \sigma = \sqrt{\sum_{(n, m) \ne (0, 0)} c_{nm}^2}

    Valid for a uniformly filled circular pupil, where the modes are orthonormal. Its gradient at
    a perfect wavefront is taken as zero.

    Args:
        coefficients: Path differences, ``(..., modes)`` [µm].
        modes: Pairs (n, m), ``(modes, 2)`` [none].

    Returns:
        The RMS path difference, ``(...)`` [µm].

    Raises:
        TypeError: If a mode is a bare number or the coefficients are complex.
        ValueError: If the numbers of coefficients and modes differ or a pair is not a mode.

    Example:
        >>> rms_wavefront([9.0, 0.03, 0.04], [(0, 0), (2, 0), (4, 0)]).round(6).item()
        0.05000000074505806

    References:
        R. J. Noll, J. Opt. Soc. Am. 66, 207 (1976).
    """
    modes = _modes("rms_wavefront", modes)
    return _rms(_coefficients("rms_wavefront", coefficients, modes), modes)


@numerics.program("modes")
def _rms(c: Array, modes: tuple[Mode, ...]) -> Array:
    keep = np.array([mode != (0, 0) for mode in modes])
    return numerics.safe_sqrt(jnp.sum(jnp.where(keep, c, 0) ** 2, axis=-1))
