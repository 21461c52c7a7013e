"""References in numpy float64, none of them written with jaxwave.

Fields vary as exp(-i omega t) and the carrier exp(i k z) is left out, as in CONVENTIONS.md.
"""

import numpy as np
from scipy.integrate import quad
from scipy.interpolate import make_interp_spline
from scipy.optimize import brentq
from scipy.special import j0, jv, kv, spherical_jn, spherical_yn

TAU = 2 * np.pi

# The letter F, upright in a picture whose origin is the upper corner: y grows downward.
LETTER_F = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0]], float)


def error(got, need) -> float:
    """Relative field error ||got - need|| / ||need||."""
    got, need = np.asarray(got, np.complex128), np.asarray(need, np.complex128)
    assert got.shape == need.shape
    return float(np.linalg.norm(got - need) / np.linalg.norm(need))


def adjoint_error(forth, back, x, y) -> float:
    """|<H x, y> - <x, H^T y>| over <H x, y>, the sums in float64."""
    one = np.vdot(np.asarray(forth(x), np.float64), y)
    other = np.vdot(x, np.asarray(back(y), np.float64))
    return float(abs(one - other) / abs(one))


def single(x) -> float:
    """The float64 number that a float32 argument stands for."""
    return float(np.float32(x))


def axis(count: int, spacing: float) -> np.ndarray:
    """Coordinates with the optical axis at count // 2."""
    return (np.arange(count) - count // 2) * float(spacing)


def letter(shape: tuple[int, int], *, scale: int = 2, at: tuple[int, int] = (-3, 2)) -> np.ndarray:
    """A letter F off the axis, so that every flip, shift and turn shows."""
    f = np.kron(LETTER_F, np.ones((scale, scale)))
    u = np.zeros(shape)
    top, left = (n // 2 + a - s // 2 for n, a, s in zip(shape, at, f.shape, strict=True))
    u[top : top + f.shape[0], left : left + f.shape[1]] = f
    return u


def centroid(intensity, spacing: float = 1.0) -> tuple[float, float]:
    """Center of mass (y, x)."""
    i = np.asarray(intensity, np.float64)
    y, x = axis(i.shape[0], spacing), axis(i.shape[1], spacing)
    return float((i.sum(1) * y).sum() / i.sum()), float((i.sum(0) * x).sum() / i.sum())


def widths(intensity, spacing: float = 1.0) -> tuple[float, float]:
    """Standard deviations (y, x)."""
    i = np.asarray(intensity, np.float64)
    cy, cx = centroid(i, spacing)
    y, x = axis(i.shape[0], spacing) - cy, axis(i.shape[1], spacing) - cx
    total = i.sum()
    return float((i.sum(1) * y**2).sum() / total) ** 0.5, float(
        (i.sum(0) * x**2).sum() / total
    ) ** 0.5


def sag(f2, wavelength: float, n: float = 1.0):
    """w - n/lambda, without the difference of near-equal numbers."""
    m = n / wavelength
    return -f2 / (np.sqrt(m**2 - f2) + m)


def gaussian(y, x, waist: float, wavelength: float, z: float = 0.0, n: float = 1.0):
    """Closed form of the paraxial Gaussian beam of unit power (Siegman, Sec. 17.1)."""
    q = 1 + 1j * z * wavelength / (np.pi * n * waist**2)
    return np.sqrt(2 / np.pi) / waist / q * np.exp(-(y**2 + x**2) / (waist**2 * q))


def gaussian_exact(y, x, waist: float, wavelength: float, z: float, n: float = 1.0):
    """The non-paraxial beam that is Gaussian at z = 0: a Hankel integral in float64.

    U = integral of A(f) J0(2 pi f r) exp(2 pi i z (w - n/lambda)) 2 pi f df with
    A = sqrt(2 pi) w0 exp(-pi^2 w0^2 f^2), by Gauss-Legendre, then a spline of order 7 in r.
    """
    edge = min(5.5 / (np.pi * waist), n / wavelength)
    t, weight = np.polynomial.legendre.leggauss(500)
    f, weight = edge * (t + 1) / 2, weight * edge / 2
    r = np.sqrt(y**2 + x**2)
    table = np.linspace(0, r.max(), 1400)
    spectrum = np.sqrt(TAU) * waist * np.exp(-((np.pi * waist * f) ** 2))
    spectrum = spectrum * np.exp(1j * TAU * z * sag(f**2, wavelength, n)) * TAU * f * weight
    values = j0(TAU * np.outer(table, f)) @ spectrum
    # Even in r: mirrored samples keep the spline smooth on the axis.
    table, values = np.r_[-table[9:0:-1], table], np.r_[values[9:0:-1], values]
    return make_interp_spline(table, values, k=7)(r)


def rayleigh_sommerfeld(u, dy, dx, z: float, wavelength: float, y, x, n: float = 1.0):
    """First Rayleigh-Sommerfeld integral (Goodman, Sec. 3.5), summed at the points (y, x).

    The trapezoidal rule converges faster than any power for smooth fields that end in darkness.
    """
    k = TAU * n / wavelength
    ys, xs = axis(u.shape[0], dy)[:, None], axis(u.shape[1], dx)
    result = []
    for yo, xo in zip(np.ravel(y), np.ravel(x), strict=True):
        square = (yo - ys) ** 2 + (xo - xs) ** 2
        r = np.sqrt(square + z**2)
        phase = k * square / (r + abs(z))  # k (r - z): the carrier is left out
        kernel = z / (TAU * r**2) * (1 / r - 1j * k) * np.exp(1j * phase)
        result.append(np.sum(u * kernel) * dy * dx)
    return np.array(result)


def dft(u, alpha_y: float, alpha_x: float, shape: tuple[int, int], sign: int = -1):
    """The explicit sum of a centered, zoomed Fourier transform."""

    def matrix(m, n, alpha):
        turns = np.remainder(np.outer(axis(m, 1), axis(n, 1)) * alpha, 1.0)
        return np.sqrt(alpha) * np.exp(sign * 1j * TAU * turns)

    ny, nx = u.shape[-2:]
    return matrix(shape[0], ny, alpha_y) @ u @ matrix(shape[1], nx, alpha_x).T


def mie(x: float, m: float, cosine) -> tuple[np.ndarray, np.ndarray]:
    """Amplitudes S1, S2 of a sphere of size 2 pi n r / lambda and relative index m.

    C. F. Bohren and D. R. Huffman, Absorption and Scattering of Light by Small Particles, Ch. 4.
    """
    order = np.arange(1, int(x + 4 * np.cbrt(x) + 10))

    def riccati(z, bessel):
        value, slope = bessel(order, z), bessel(order, z, derivative=True)
        return z * value, value + z * slope

    def hankel(k, z, derivative=False):
        return spherical_jn(k, z, derivative) + 1j * spherical_yn(k, z, derivative)

    (p, dp), (q, dq) = riccati(x, spherical_jn), riccati(m * x, spherical_jn)
    h, dh = riccati(x, hankel)
    a = (m * q * dp - p * dq) / (m * q * dh - h * dq)
    b = (q * dp - m * p * dq) / (q * dh - m * h * dq)
    cosine = np.asarray(cosine, float)
    s1, s2 = np.zeros(cosine.shape, complex), np.zeros(cosine.shape, complex)
    before, pi = np.zeros_like(cosine), np.ones_like(cosine)
    for k, ak, bk in zip(order, a, b, strict=True):
        tau = k * cosine * pi - (k + 1) * before
        weight = (2 * k + 1) / (k * (k + 1))
        s1 += weight * (ak * pi + bk * tau)
        s2 += weight * (ak * tau + bk * pi)
        before, pi = pi, ((2 * k + 1) * cosine * pi - (k + 1) * before) / k
    return s1, s2


def scattered_by_a_sphere(shape, spacing, wavelength, n, dn, radius, z):
    """Spectrum, in FFT order, of what a sphere adds to a plane wave of amplitude one, at z behind
    its center, without the carrier; the mean of both polarizations, and how far to believe it."""
    fy, fx = np.fft.fftfreq(shape[0], spacing)[:, None], np.fft.fftfreq(shape[1], spacing)
    k, square = n / wavelength, fy**2 + fx**2
    look = square < (0.35 * k) ** 2
    w = np.sqrt(np.where(look, k**2 - square, k**2))
    s1, s2 = mie(TAU * k * radius, (n + dn) / n, w / k)
    # Weyl: S i / K exp(i K r) / r is the sum of plane waves -S / (K w) exp(2 pi i w z).
    return -(s1 + s2) / 2 / (TAU * k * w) * np.exp(1j * TAU * (w - k) * z), look, w / k


def lp_mode(order, number, v, r, phi):
    """A mode of a weakly guiding step-index fiber of the core radius one and unit power."""
    n = abs(order)

    def excess(u):
        w = np.sqrt(v**2 - u**2)
        return u * jv(n + 1, u) * kv(n, w) - w * kv(n + 1, w) * jv(n, u)

    trial = np.linspace(1e-3, v - 1e-9, 2000)
    ends = np.flatnonzero(np.diff(np.sign(excess(trial))))[number - 1]
    u = brentq(excess, trial[ends], trial[ends + 1], xtol=1e-14)
    w = np.sqrt(v**2 - u**2)

    def radial(r):
        return np.where(r < 1, jv(n, u * r) / jv(n, u), kv(n, w * np.maximum(r, 1)) / kv(n, w))

    parts = [quad(lambda t: t * radial(t) ** 2, *ends)[0] for ends in ((0, 1), (1, 1 + 40 / w))]
    angular = np.cos(n * phi) if order >= 0 else np.sin(n * phi)
    return radial(r) * angular / np.sqrt(np.pi * (2 if n == 0 else 1) * sum(parts))
