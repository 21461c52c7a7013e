"""Images, cameras, losses, Zernike polynomials, special functions: formulas in numpy and scipy."""

from fractions import Fraction
from math import comb

import jax.numpy as jnp
import numpy as np
import scipy.special
from scipy.ndimage import correlate
from scipy.signal import convolve

import jaxwave as jw
from jaxwave import special
from validation import row

EIGHTHS = np.round(np.random.default_rng(0).uniform(0, 40, (2, 7, 9)) * 8) / 8
PHOTONS, DATA = EIGHTHS[0] + 4, EIGHTHS[1] + 5
WEIGHT = np.ones((7, 9))
WEIGHT[2, 3], WEIGHT[5] = 0.0, 0.5


def kernel(shape, seed=1):
    return np.round(np.random.default_rng(seed).uniform(0, 1, shape) * 32) / 64


# -- images --------------------------------------------------------------------------------


@row("convolve_psf", reference="scipy.signal.convolve; odd and even", valid="all")
def _():
    image, h = PHOTONS, kernel((4, 5))
    full = convolve(image, h, method="direct")
    return jw.convolve_psf(image, h), full[2 : 2 + 7, 2 : 2 + 9]


@row("image_volume", reference="scipy.signal.convolve, plane by plane", valid="no absorption")
def _():
    h = kernel((2, 5, 4))
    full = [convolve(o, p, method="direct") for o, p in zip(EIGHTHS, h, strict=True)]
    return jw.image_volume(EIGHTHS, h), sum(full)[2 : 2 + 7, 2 : 2 + 9]


def blur(h, shape):
    """The matrix of a periodic convolution with a centered kernel."""
    n = np.prod(shape)
    columns = [
        sum(
            value * np.roll(one, (j - h.shape[0] // 2, i - h.shape[1] // 2), (0, 1))
            for (j, i), value in np.ndenumerate(h)
        ).ravel()
        for one in np.eye(n).reshape(n, *shape)
    ]
    return np.array(columns).T


@row("wiener", reference="best linear estimate, by matrices; two depths", valid="additive noise")
def _():
    h, shape = kernel((2, 3, 4), 5), (6, 5)
    image = PHOTONS[:6, :5]
    matrices = np.array([blur(one, shape) for one in h])
    fy, fx = np.meshgrid(np.fft.fftfreq(6), np.fft.fftfreq(5), indexing="ij")
    power = 1 / (fy**2 + fx**2 + 1 / 30)
    cosines = np.fft.ifft2(power / power.mean()).real
    scene = blur(np.fft.fftshift(cosines), shape)
    mean = matrices.mean(0)
    seen = np.mean([m @ scene @ m.T for m in matrices], 0) + 0.25 * np.eye(30)
    light = image.mean()
    need = scene @ mean.T @ np.linalg.solve(seen, (image - light).ravel())
    got = jw.wiener(image, h, 0.25, boundary="periodic")
    return got, need.reshape(shape) + light / h.sum((1, 2)).mean()


@row("richardson_lucy", reference="its steps by matrices", valid="counted photons")
def _():
    h, shape = kernel((3, 4), 6), (6, 5)
    image, matrix = PHOTONS[:6, :5], blur(h, shape)
    need = np.full(30, image.sum() / matrix.sum())
    for _ in range(4):
        need = need / matrix.sum(0) * (matrix.T @ (image.ravel() / (matrix @ need + 0.5)))
    got = jw.richardson_lucy(image, h, steps=4, background=0.5, boundary="periodic")
    return got, need.reshape(shape)


@row("total_variation", reference="two plateaus move by w / n", valid="additive noise")
def _():
    line = np.repeat([[2.0, 6.0]], [3, 5], axis=1)
    need = np.repeat([[2 + 0.75 / 3, 6 - 0.75 / 5]], [3, 5], axis=1)
    return jw.total_variation(line, np.ones((1, 1)), 0.75, steps=40, inner=40), need


@row("otf", "mtf", reference="explicit sum about the axis", valid="light inside the window")
def _():
    h = kernel((6, 7), 2)
    y, x = np.arange(6) - 3, np.arange(7) - 3
    fy, fx = np.exp(-2j * np.pi * np.outer(y, y) / 6), np.exp(-2j * np.pi * np.outer(x, x) / 7)
    need = fy @ h @ fx / h.sum()
    return np.array([jw.otf(h), jw.mtf(h) + 0j]), np.array([need, np.abs(need) + 0j])


@row("pixel_integrate", reference="areas shared by samples and pixels", valid="all")
def _():
    light, (dy, dx), pitch = kernel((8, 9), 3), (0.5, 0.375), 1.25
    parts = []
    for count, spacing, pixels in ((8, dy, 3), (9, dx, 2)):
        at = (np.arange(count) - count // 2) * spacing
        to = ((np.arange(pixels) - pixels // 2) * pitch)[:, None]
        low = np.maximum(at - spacing / 2, to - pitch / 2)
        high = np.minimum(at + spacing / 2, to + pitch / 2)
        parts.append(np.maximum(high - low, 0))
    got = jw.pixel_integrate(light, spacing=(dy, dx), pitch=pitch, shape=(3, 2))
    return got, parts[0] @ light @ parts[1].T


@row("pixel_otf", reference="sinc of numpy", valid="band-limited intensities")
def _():
    fy, fx = np.array([[0.125], [0.75]]), np.array([0.0, 0.25, -0.625])
    got = jw.pixel_otf(fy, fx, pitch=1.5, fill_factor=0.5625)
    return got, np.sinc(fy * 1.125) * np.sinc(fx * 1.125)


# -- cameras -------------------------------------------------------------------------------

CHIP = dict(quantum_efficiency=0.75, dark_current=0.5, exposure=2.0, gain=0.5)


@row("expected_counts", reference="its definition, the full well included", valid="mean counts")
def _():
    got = jw.expected_counts(PHOTONS, **CHIP, offset=96.0, full_well=24.0)
    return got, np.minimum(0.75 * PHOTONS + 1, 24) / 0.5 + 96


@row("counts_variance", reference="shot noise, read noise and rounding", valid="no saturation")
def _():
    got = jw.counts_variance(PHOTONS, **CHIP, read_noise=1.5)
    return got, (0.75 * PHOTONS + 1 + 2.25) / 0.25 + 1 / 12


@row("expose", "saturate", reference="their definitions", valid="all")
def _():
    electrons = jw.expose(PHOTONS, quantum_efficiency=0.75, dark_current=0.5, exposure=2.0)
    need = 0.75 * PHOTONS + 1
    got = [electrons, jw.saturate(electrons, full_well=20.0)]
    return np.array(got), np.array([need, np.minimum(need, 20)])


@row("quantize", reference="rounding of numpy", valid="all")
def _():
    got = jw.quantize(PHOTONS, gain=0.75, offset=3.0, bit_depth=5)
    return got, np.clip(np.round(PHOTONS / 0.75 + 3), 0, 31)


# -- losses --------------------------------------------------------------------------------


@row("poisson_nll", "poisson_deviance", "gaussian_nll", "anscombe_loss", "nmse",
     reference="their formulas, the logarithm of the factorial of scipy",
     valid="counts above 1e-6")  # fmt: skip
def _():
    m, d, w = PHOTONS, np.round(DATA), WEIGHT
    got = [
        jw.poisson_nll(m, d, weight=w),
        jw.poisson_deviance(m, d, weight=w),
        jw.gaussian_nll(m, d, 2 + m, weight=w),
        jw.anscombe_loss(m, d, read_noise=1.5, weight=w),
        jw.nmse(m, d, weight=w),
    ]
    root = lambda s: 2 * np.sqrt(s + 3 / 8 + 2.25)  # noqa: E731
    need = [
        np.sum(w * (m - d * np.log(m) + scipy.special.gammaln(d + 1))),
        2 * np.sum(w * (m - d + scipy.special.xlogy(d, d / m))),
        0.5 * np.sum(w * ((m - d) ** 2 / (2 + m) + np.log(2 * np.pi * (2 + m)))),
        np.sum(w * (root(m) - root(d)) ** 2),
        np.sum(w * (m - d) ** 2) / np.sum(w * d**2),
    ]
    return [g / n for g, n in zip(got, need, strict=True)], np.ones(5)


@row("ssim", reference="its formula with Gaussian windows of scipy", valid="images of one scale")
def _():
    rng = np.random.default_rng(3)
    a, b = np.round(rng.uniform(0, 8, (2, 14, 17)) * 8) / 8
    t = np.arange(11) - 5
    g = np.exp(-(t**2) / (2 * 1.5**2))
    window = np.outer(g, g) / g.sum() ** 2
    mean = lambda image: correlate(image, window)[5:-5, 5:-5]  # noqa: E731
    c1, c2 = (0.01 * 8) ** 2, (0.03 * 8) ** 2
    ma, mb = mean(a), mean(b)
    va, vb, vab = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    need = (2 * ma * mb + c1) * (2 * vab + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return jw.ssim(a, b, data_range=8.0), need.mean()


# -- Zernike polynomials -------------------------------------------------------------------


def radial(n, m, rho):
    """The textbook's sum in rational numbers, rounded once."""
    values = []
    for r in rho:
        r, total = Fraction(r), Fraction(0)
        for k in range((n - m) // 2 + 1):
            total += (
                (-1) ** k * comb(n - k, k) * comb(n - 2 * k, (n - m) // 2 - k) * r ** (n - 2 * k)
            )
        values.append(float(total))
    return np.array(values)


@row("zernike_radial", reference="rational arithmetic, orders to 20", valid="the unit disk")
def _():
    rho = np.array([0.0, 0.125, 0.5, 0.8125, 1.0])
    kinds = [(4, 2), (9, 3), (12, 0), (20, 4)]
    got = [jw.zernike_radial(n, m, rho) for n, m in kinds]
    return np.array(got), np.array([radial(n, m, rho) for n, m in kinds])


MODES = [(2, -2), (3, 1), (4, 0), (5, -3)]


def polynomials(y, x):
    rho, phi = np.hypot(y, x), np.arctan2(y, x)
    values = []
    for n, m in MODES:
        angle = np.cos(m * phi) if m >= 0 else np.sin(-m * phi)
        norm = np.sqrt((n + 1) * (1 if m == 0 else 2))
        values.append(norm * radial(n, abs(m), rho.ravel()).reshape(rho.shape) * angle)
    return np.array(values)


@row("zernike_polynomials", "zernike_opd", reference="rational arithmetic", valid="the unit disk")
def _():
    y, x = np.array([[0.5], [-0.25]]), np.array([0.125, -0.625, 0.375])
    need, c = polynomials(*np.broadcast_arrays(y, x)), np.array([0.5, -0.25, 0.75, 1.0])
    got = [*jw.zernike_polynomials(MODES, y, x), jw.zernike_opd(c, MODES, y, x)]
    return np.array(got), np.array([*need, np.tensordot(c, need, 1)])


@row("rms_wavefront", reference="root of the sum of squares, no piston", valid="the unit disk")
def _():
    c = np.array([2.0, 0.5, -0.25, 0.75])
    return jw.rms_wavefront(c, [(0, 0), *MODES[:3]]), np.sqrt(0.25 + 0.0625 + 0.5625)


@row("seidel_opd", reference="its formula", valid="third order, systems of revolution")
def _():
    w, (y, x), (a, b) = [0.5, 1.0, -0.5, 0.25, 2.0], (0.5, -0.75), (0.25, 0.625)
    square, dot, h = y * y + x * x, a * y + b * x, a * a + b * b
    need = w[0] * square**2 + w[1] * square * dot + w[2] * dot**2
    need += w[3] * h * square + w[4] * h * dot
    return jw.seidel_opd(np.array(w), y, x, field_y=a, field_x=b), need


@row("asphere_sag", reference="its formula; a sphere for conic 0", valid="inside the surface")
def _():
    y, x, r, k, a = 1.5, -2.0, 8.0, -0.75, (2.0**-10, -(2.0**-14))
    s = y * y + x * x
    need = s / r / (1 + np.sqrt(1 - (1 + k) * s / r**2)) + a[0] * s**2 + a[1] * s**3
    got = [jw.asphere_sag(y, x, r, conic=k, coefficients=a), jw.asphere_sag(y, x, r)]
    return np.array(got), np.array([need, r - np.sqrt(r * r - s)])


# -- special functions ---------------------------------------------------------------------


@row("special.j0", "special.j1", "special.j2", "special.j1_over_x", "special.j2_over_x2",
     reference="scipy.special.jv", valid="all real numbers")  # fmt: skip
def _():
    x = np.array([0.0, 2.0**-20, 0.5, 3.75, 8.0, 24.5, 100.25, -6.0])
    some = x[1:]
    got = [special.j0(x), special.j1(x), special.j2(x)]
    over = [special.j1_over_x(some), special.j2_over_x2(some)]
    jv = scipy.special.jv
    need = [*(jv(k, x) for k in (0, 1, 2)), jv(1, some) / some, jv(2, some) / some**2]
    return jnp.concatenate([*got, *over]), np.concatenate(need)
