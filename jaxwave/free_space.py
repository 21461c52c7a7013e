r"""The phase of free space, and its transfer function in a window where its kernel ends.

A doubled window holds the kernel of free space between two ends. Its exact spectrum is H times a
smooth edge, a Fresnel integral of the path by which the wave at an end is longer than the shortest:

    T = P(u_upper) + P(u_lower) - 1,   P(u) = 1/2 + (1 - i)/2 (C(u) + i S(u)),   u^2 = 4 path/lambda

With it the convolution is linear at any distance: what the window's samples send to its samples is
complete, and nothing enters from outside. A limit that cuts waves off (the same with steps in the
place of P) has a kernel that rings through the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxwave import numerics
from jaxwave.numerics import TwoWord, cis, word

# -- frequencies and phases ---


def axis(size: int, spacing: Array) -> tuple[Array, Array]:
    """Frequencies in FFT order and their step."""
    step = 1 / (size * spacing)
    return np.fft.fftfreq(size, 1 / size).astype(spacing.dtype) * step, step


def squared_frequencies(size: int, spacing: Array) -> TwoWord:
    """Squared frequencies in FFT order, in two words; the squares of the indices are exact."""
    dtype = spacing.dtype
    width = numerics.multiply(word(spacing, dtype), word(float(size), dtype))
    ratio = numerics.divide(word(1.0, dtype), width)
    squares = np.fft.fftfreq(size, 1 / size) ** 2
    return numerics.multiply(numerics.multiply(ratio, ratio), word(squares, dtype))


def _plain_exact(size: tuple[int, int], *parameters: Array) -> Array:
    z, wavelength, n, dy, dx = parameters
    fy, fx = axis(size[0], dy)[0], axis(size[1], dx)[0][:, None]
    m = n / wavelength
    square = fx**2 + fy**2
    c = m**2 - square
    root = jnp.sqrt(jnp.where(c > 0, c, m**2))
    return -z * square / (root + m)


@numerics.two_words(_plain_exact)
def exact_turns(size: tuple[int, int], *parameters: Array) -> Array:
    """Phase z (w - n/lambda) of every wave in FFT order, axes (fx, fy)."""
    z, wavelength, n, dy, dx = parameters
    dtype = z.dtype
    m = numerics.divide(word(n, dtype), word(wavelength, dtype))
    fy = numerics.negative(squared_frequencies(size[0], dy))
    fx = numerics.negative(squared_frequencies(size[1], dx))
    rest = numerics.add(numerics.multiply(m, m), fx)
    rest = TwoWord(rest.hi[:, None], rest.lo[:, None])
    return numerics.root_turns(word(z, dtype), m, rest, fy)[0]


def _plain_quadratic(size: int, *parameters: Array) -> Array:
    z, wavelength, n, spacing = parameters
    f, _ = axis(size, spacing)
    return -0.5 * z * wavelength / n * f**2


@numerics.two_words(_plain_quadratic)
def quadratic_turns(size: int, *parameters: Array) -> Array:
    """Phase -z lambda f^2 / (2 n) of the frequencies of one axis in FFT order."""
    z, wavelength, n = (word(p, p.dtype) for p in parameters[:3])
    half = numerics.divide(numerics.multiply(z, wavelength), n)
    half = TwoWord(-0.5 * half.hi, -0.5 * half.lo)
    return numerics.product_turns(half, squared_frequencies(size, parameters[3]))


# -- ends ---

# P(u) = 1 - (1 - i)/2 (G(u) + i F(u)) exp(i pi u^2/2) for u >= 0; F and G are rational and decay:
# least squares to 2e-7 of their values by integrals, lowest powers first, one denominator.
_F = (0.49999999, 1.40225082, 1.39992799, 1.09854543, 0.62859035, 0.25991978, 0.09678266)
_G = (0.49999990, 0.40226522, 0.16585602, 0.08962491, 0.03033839)
_Q = (1.0, 2.80450231, 4.37053883, 4.51020467, 3.46602686, 1.97088264, 0.81689465, 0.30404333)
_FAR = 1e3  # F and G are 1/(pi u) and nothing there, and the powers are finite


def _sum(coefficients: tuple[float, ...], u: Array) -> Array:
    total = jnp.full_like(u, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * u + c
    return total


@jax.custom_jvp
def missing(u: Array, turns: Array) -> Array:
    """1 - P(u) for u >= 0; ``turns`` are u^2/4, known better than u."""
    u = jnp.minimum(u, _FAR)
    f, g = _sum(_F, u), _sum(_G, u)
    # (1 - i)(g + i f) = g + f + i (f - g)
    return lax.complex(f + g, f - g) * (0.5 / _sum(_Q, u)) * cis(turns)


@missing.defjvp
def _missing_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    u, turns = primals
    return missing(u, turns), (0.5j - 0.5) * cis(turns) * tangents[0]


class Shares(NamedTuple):
    """Shares of waves along x and y if the ends are far; else both are one, and a limit cuts."""

    far: Array
    x: Array
    y: Array

    def product(self) -> Array:
        """Share of every wave, axes (fx, fy)."""
        return self.x[:, None] * self.y


def shares(
    size: tuple[int, int], parameters: Sequence[Array], place: Array | None = None
) -> Shares:
    """Shares of the waves that the ends of a kernel leave, where they are known one axis at a time.

    Far from the plane a wave's share along one axis hardly depends on its frequency along the
    other: from 1.5 times the displacement of the ends on, neglecting it is better than a limit.

    Args:
        size: Number of frequencies (y, x), in FFT order.
        parameters: Distance, wavelength, index, spacing dy and dx.
        place: Displacement (y, x) in the middle of the kernel; by default none.
    """
    z, *_, dy, dx = parameters
    place = jnp.zeros(2, z.dtype) if place is None else place
    half = 0.5 * np.asarray(size, z.dtype) * jnp.stack([dy, dx])
    far = jnp.abs(z) >= 1.5 * jnp.max(half + jnp.abs(place))

    def ended() -> tuple[Array, Array]:
        along = partial(_exact, parameters=parameters)
        if size[0] == size[1]:  # half of what the compiler gets
            both = jax.vmap(partial(along, size[0]))(jnp.stack([dy, dx]), place)
            return both[0], both[1]
        return along(size[0], dy, place[0]), along(size[1], dx, place[1])

    def whole() -> tuple[Array, Array]:
        y, x = (jnp.ones(k, jnp.result_type(z, jnp.complex64)) for k in size)
        return y, x

    # A branch is made once for an axis; the compiler would make other vectors for every sample.
    y, x = lax.cond(far, ended, whole)
    return Shares(far, x, y)


def _exact(count: int, spacing: Array, place: Array, parameters: Sequence[Array]) -> Array:
    """T of the kernel of free space along one axis, for waves (f, w = sqrt(m^2 - f^2)).

    With R^2 = x^2 + z^2 the path from the wave to the end x is (w x - f z)^2 / (m R + w z + f x).
    The kernel is weaker there by cos(end) / cos((end + wave)/2) of their angles.
    """
    z, wavelength, n = parameters[:3]
    one, m = jnp.ones_like(spacing), n / wavelength
    phase = exact_turns((1, count), jnp.abs(z), wavelength, n, one, spacing)[:, 0]
    f, z, back = jnp.where(z < 0, -1, 1) * axis(count, spacing)[0], jnp.abs(z), z < 0
    travels = jnp.abs(f) < m
    w = jnp.sqrt(jnp.where(travels, (m - f) * (m + f), m**2))
    f = jnp.where(travels, f, 0)
    x, side = _ends(count, spacing, place)
    along = side * f
    r = jnp.sqrt(x**2 + z**2)
    large = m * r + jnp.abs(along * x)
    small = ((z * m) ** 2 + (x * w) ** 2) / large  # m R - |f x| without the difference
    plus = jnp.where(along * x >= 0, large, small) + w * z
    minus = jnp.where(along * x >= 0, small, large) + w * z
    ahead = w * x - along * z
    turns = (
        m * x**2 / (r + z) - _end_turns(count, spacing, side * jnp.where(back, -1, 1) * x) - phase
    )
    lost = missing(2 * jnp.abs(ahead) / jnp.sqrt(plus), turns) * z * jnp.sqrt(2 * m / (r * minus))
    stays = jnp.all((0.5 / spacing) * r <= m * x)
    return jnp.where(travels, _left(ahead, lost, back, stays), 0)


def paraxial(count: int, z: Array, wavelength: Array, n: Array, spacing: Array) -> Array:
    """T of the Fresnel kernel along one axis."""
    m, back = n / wavelength, z < 0
    x, side = _ends(count, spacing, 0 * z)
    stays = jnp.abs(z) * (0.5 / spacing) <= m * x[1, 0]

    def ended() -> Array:
        far = jnp.where(stays, m, jnp.abs(z))
        ahead = x - side * axis(count, spacing)[0] * (far / m)
        turns = 0.5 * m * x**2 / far - _end_turns(count, spacing, side * x)
        turns = turns - quadratic_turns(count, far, wavelength, n, spacing)
        lost = missing(jnp.sqrt(2 * m / far) * jnp.abs(ahead), turns)
        return _left(ahead, lost, back, stays)

    return lax.cond(stays, lambda: jnp.ones(count, jnp.result_type(z, jnp.complex64)), ended)


def _ends(count: int, spacing: Array, place: Array) -> tuple[Array, np.ndarray]:
    """Where the kernel ends on its lower and upper side, outward, (2, 1); and the sides' signs."""
    side = np.array([[-1], [1]], spacing.dtype)
    return 0.5 * count * spacing + side * place, side


def _end_turns(count: int, spacing: Array, x: Array) -> Array:
    """Turns of a frequency times a displacement, exact for half a period."""
    return np.fft.fftfreq(count, 1 / count).astype(spacing.dtype) * (x / (count * spacing))


def _left(ahead: Array, lost: Array, back: Array, stays: Array) -> Array:
    """What the two ends leave; light that is behind an end is lost but for its share."""
    lost = jnp.where(ahead >= 0, lost, 1 - lost)
    left = 1 - lost[0] - lost[1]
    return jnp.where(stays, 1, jnp.where(back, jnp.conj(left), left))
