"""Beams, partial coherence, the condenser, and what is measured of fields."""

import math

import jax
import numpy as np
from reference import TAU, axis, gaussian, gaussian_exact, lp_mode, rayleigh_sommerfeld
from scipy.special import eval_genlaguerre, eval_hermite, j1, jv

import jaxwave as jw
from validation import row

SHAPE, GRID = (64, 72), dict(spacing=(0.75, 1.0), wavelength=0.5)
Y, X = axis(64, 0.75)[:, None], axis(72, 1.0)
PARAXIAL = "paraxial beams (divergence and tilt << 1 rad)"


def hermite(m, x, waist, z):
    zr = np.pi * waist**2 / 0.5
    q, w = 1 + 1j * z / zr, waist * np.sqrt(1 + (z / zr) ** 2)
    norm = (2 / np.pi) ** 0.25 / np.sqrt(2.0**m * math.factorial(m) * w)
    gouy = np.exp(-1j * (m + 0.5) * np.arctan(z / zr))
    return norm * eval_hermite(m, np.sqrt(2) * x / w) * np.exp(-(x**2) / waist**2 / q) * gouy


def moved(function, z, y=3.0, x=-2.0, ky=-0.125, kx=0.25):
    k = TAU / 0.5
    phase = ky * Y + kx * X - (ky**2 + kx**2) * z / (2 * k)
    return function(Y - y - z * ky / k, X - x - z * kx / k) * np.exp(1j * phase)


MOVED = dict(z=64.0, y=3.0, x=-2.0, ky=-0.125, kx=0.25)


@row(
    "gaussian_beam", reference="closed form (Siegman), elliptic, displaced, tilted", valid=PARAXIAL
)
def _():
    got = jw.gaussian_beam(SHAPE, waist=(5.0, 8.0), **MOVED, **GRID).u
    return got, moved(lambda y, x: hermite(0, y, 5.0, 64.0) * hermite(0, x, 8.0, 64.0), 64.0)


@row("hermite_gauss_beam", reference="closed form (Siegman), order (3, 1)", valid=PARAXIAL)
def _():
    got = jw.hermite_gauss_beam(SHAPE, order=(3, 1), waist=(5.0, 8.0), **MOVED, **GRID).u
    return got, moved(lambda y, x: hermite(3, y, 5.0, 64.0) * hermite(1, x, 8.0, 64.0), 64.0)


@row("laguerre_gauss_beam", reference="closed form (Siegman), p = 2, l = -3", valid=PARAXIAL)
def _():
    def need(y, x):
        zr, r2 = np.pi * 25 / 0.5, y**2 + x**2
        q, w = 1 + 64j / zr, 5 * np.sqrt(1 + (64 / zr) ** 2)
        norm = np.sqrt(2 * 2 / (np.pi * 120)) / w
        radial = (np.sqrt(2 * r2) / w) ** 3 * eval_genlaguerre(2, 3, 2 * r2 / w**2)
        phase = np.exp(-3j * np.arctan2(y, x) - 8j * np.arctan(64 / zr))
        return norm * radial * np.exp(-r2 / 25 / q) * phase

    got = jw.laguerre_gauss_beam(SHAPE, radial=2, charge=-3, waist=5.0, **MOVED, **GRID).u
    return got, moved(need, 64.0)


@row("bessel_beam", reference="J1 of scipy in a Gaussian envelope", valid="charges -2 to 2")
def _():
    r = np.hypot(Y - 1.5, X + 2.5)
    need = jv(1, 0.75 * r) * np.exp(1j * np.arctan2(Y - 1.5, X + 2.5) - r**2 / 14**2)
    need /= np.sqrt(np.sum(np.abs(need) ** 2) * 0.75)
    return jw.bessel_beam(SHAPE, kr=0.75, charge=1, waist=14.0, y=1.5, x=-2.5, **GRID).u, need


@row("lp_modes", reference="Bessel functions and roots of scipy, power by quadrature",
     valid="weak guidance, a thick cladding")  # fmt: skip
def _():
    radius, na, w = 4.125, 0.140625, 0.625
    orders = [(0, 1), (1, 1), (-1, 1), (0, 2), (2, 1), (-2, 1), (3, 1), (-3, 1), (1, 2), (-1, 2)]
    got = jw.lp_modes((20, 21), radius=radius, na=na, y=0.25, x=-0.5, spacing=(1.0, 0.875),
                      wavelength=w).u  # fmt: skip
    y, x = axis(20, 1.0)[:, None] - 0.25, axis(21, 0.875) + 0.5
    need = [
        lp_mode(n, m, TAU * radius * na / w, np.hypot(y, x) / radius, np.arctan2(y, x))
        for n, m in orders
    ]
    return got, np.array(need) / radius / np.sqrt(10)


@row("gaussian_schell_beam", reference="its mutual coherence in closed form", valid=PARAXIAL)
def _():
    kind = dict(waist=8.0, coherence=12.0, order=24)
    u = np.asarray(jw.gaussian_schell_beam(SHAPE, **kind, **GRID).u, complex)
    got = np.einsum("k,kyx->yx", u[:, 30, 40].conj(), u)
    y, x = Y[30, 0], X[40]
    need = np.exp(-(Y**2 + y**2 + X**2 + x**2) / 64 - ((Y - y) ** 2 + (X - x) ** 2) / 288)
    return got, need * 2 / (np.pi * 64)


@row("speckle", reference="contrast one, 48 windows (statistical error)", valid="Nyquist of the NA")
def _():
    keys = jax.random.split(jax.random.key(3), 48)
    light = jax.vmap(lambda k: jw.speckle(k, (64, 64), spacing=0.5, wavelength=0.5, na=0.375))(keys)
    i = np.asarray(light.intensity, float)
    return i.std() / i.mean(), 1.0


@row(
    "spectrum", reference="power and mean wavelength by fine sums", valid="piecewise linear density"
)
def _():
    w, s = np.array([0.5, 0.53125, 0.625, 0.75]), np.array([0.25, 1.0, 0.75, 0.125])
    fine = np.linspace(0.5, 0.75, 2_000_001)
    got = jw.spectrum(w, s, count=5)
    need = np.average(fine, weights=np.interp(fine, w, s))
    return [(got[0] * got[1]).sum(), got[1].sum()], [need, 1.0]


@row(
    "illumination_points",
    reference="van Cittert-Zernike: 2 J1(v)/v of an LED disk",
    valid="rings that resolve the pattern",
)
def _():
    points = np.asarray(jw.illumination_points(30.0, rings=6))
    phase = TAU * np.outer(axis(101, 2.0), points[:, 1]) / (0.5 * 5000)
    v = TAU * 30 * axis(101, 2.0) / (0.5 * 5000)
    need = 2 * j1(v) / np.where(v, v, 1)
    need[50] = 1
    return np.exp(1j * phase) @ points[:, 2], need


@row(
    "koehler_image",
    reference="defocus contrast of a weak phase grating, sin(pi lambda z f^2)",
    valid="thin samples, scalar light (second order in the phase: 1e-5)",
)
def _():
    x = axis(64, 0.25)
    f, z = 4 / 16.0, 2.0
    t = np.exp(0.0005j * np.cos(TAU * f * x)) * np.ones((8, 1))
    image = jw.koehler_image(t, [[0.0, 0.0, 1.0]], spacing=0.25, wavelength=0.5, na=0.375, z=z)
    # exact for one direction: the phase of the order f against the axis
    w = np.sqrt(4 - f**2) - 2
    need = 1 + 2 * 0.0005 * np.sin(-TAU * z * w) * np.cos(TAU * f * x)
    return np.asarray(image, float)[3], need


@row("incoherent_sum", reference="the sum in float64", valid="all")
def _():
    a = np.arange(44.0).reshape(11, 4) / 64
    return jw.incoherent_sum(lambda v: v**2, jax.numpy.asarray(a), batch=3), (a**2).sum(0)


@row("total_intensity", reference="powers of the wavelengths", valid="one common spacing")
def _():
    waves = jw.plane_wave((8, 8), spacing=0.5, wavelength=[0.5, 0.625], power=[0.25, 0.5])
    return jw.total_intensity(waves), 0.75 / 16 * np.ones((8, 8))


@row("overlap", reference="Marcuse's formula: waists, offset, tilt", valid="one common grid")
def _():
    kind = dict(spacing=0.5, wavelength=0.5)
    fiber = jw.gaussian_beam((80, 80), waist=4.0, **kind)
    beams = [dict(waist=3.0), dict(waist=4.0, x=2.0, y=1.0), dict(waist=4.0, kx=0.25)]
    got = [jw.overlap(jw.gaussian_beam((80, 80), **b, **kind), fiber) for b in beams]
    return np.abs(got) ** 2, [(24 / 25) ** 2, np.exp(-5 / 16), np.exp(-0.25)]


BEAM = dict(waist=(4.0, 3.0), y=1.25, x=-2.0, spacing=0.5, wavelength=0.5)


@row("centroid", reference="the beam's axis", valid="light inside the window")
def _():
    return jw.centroid(jw.gaussian_beam((70, 80), **BEAM)), [1.25, -2.0]


@row("second_moments", reference="w^2/4 of an elliptic beam", valid="light inside the window")
def _():
    return jw.second_moments(jw.gaussian_beam((70, 80), **BEAM)), np.diag([4.0, 2.25])


@row("encircled_energy", reference="1 - exp(-2 R^2/w^2)", valid="circles of several samples")
def _():
    beam = jw.gaussian_beam((80, 80), waist=6.0, spacing=0.25, wavelength=0.5)
    return jw.encircled_energy(beam, np.array([3.0, 5.0])), 1 - np.exp(-np.array([18, 50]) / 36)


@row("strehl_ratio", reference="sinc^2 of a defocus over a disk", valid="paraxial, on the axis")
def _():
    wave = jw.plane_wave((128, 128), spacing=32.0, wavelength=0.5)
    pupil = jw.circular_aperture(wave, 1900.0)
    rho2 = (axis(128, 32.0)[:, None] ** 2 + axis(128, 32.0) ** 2) / 1900.0**2
    return jw.strehl_ratio(jw.opd_mask(pupil, 0.25 * rho2)), np.sinc(0.5) ** 2


@row("radial_profile", reference="means over the same rings in numpy", valid="all")
def _():
    beam = jw.gaussian_beam((70, 80), waist=5.0, spacing=0.5, wavelength=0.5)
    r = np.hypot(axis(70, 0.5)[:, None], axis(80, 0.5))
    ring = np.floor(r / 0.5 * (1 + 1e-6)).astype(int)
    need = np.abs(gaussian(axis(70, 0.5)[:, None], axis(80, 0.5), 5.0, 0.5)) ** 2
    return jw.radial_profile(beam, bins=12)[1], [need[ring == k].mean() for k in range(12)]


# -- sources and propagation ---------------------------------------------------------------


@row("plane_wave", reference="closed form, 60 turns of tilt", valid="all")
def _():
    wave = jw.plane_wave((64, 81), spacing=0.5, wavelength=0.5, kx=5.25, ky=-2.125).u
    phase = 5.25 * axis(81, 0.5) - 2.125 * axis(64, 0.5)[:, None]
    return wave, np.exp(1j * phase) / np.sqrt(64 * 81 / 4)


@row("point_source", reference="exact spherical wave over 1 m", valid="all")
def _():
    wave = jw.point_source((64, 81), spacing=0.5, wavelength=0.5, z=1e6, n=1.5, x=20.25, y=-3.5)
    square = (axis(64, 0.5)[:, None] + 3.5) ** 2 + (axis(81, 0.5) - 20.25) ** 2
    r = np.sqrt(square + 1e12)
    return wave.u, np.exp(1j * TAU * 3 * square / (r + 1e6)) / r / np.sqrt(4 * np.pi)


@row(
    "angular_spectrum",
    reference="Rayleigh-Sommerfeld sums; exact Gaussian beam by a Hankel integral",
    valid="light inside the doubled window; any aperture",
)
def _():
    beam = jw.gaussian_beam((128, 120), spacing=(0.25, 0.3125), wavelength=0.5, waist=1.0, n=1.5)
    got = jw.angular_spectrum(beam, 24.0, n=1.5).u
    y, x = axis(128, 0.25)[:, None], axis(120, 0.3125)
    need = gaussian_exact(y, x, 1.0, 0.5, 24.0, 1.5)
    u = gaussian(y, x, 1.0, 0.5)
    sums = rayleigh_sommerfeld(u, 0.25, 0.3125, 24.0, 0.5, [0.5, 2.0], [1.25, 0.0], 1.5)
    places = [got[64 + 2, 60 + 4], got[64 + 8, 60]]
    scale = np.linalg.norm(need) / np.linalg.norm(sums)  # both references count alike
    return np.r_[np.ravel(got), scale * np.array(places)], np.r_[np.ravel(need), scale * sums]


@row("fresnel", reference="closed Gaussian beam at 3 Rayleigh ranges", valid="paraxial light")
def _():
    beam = jw.gaussian_beam((256, 240), spacing=1.0, wavelength=0.5, waist=10.0)
    y, x = axis(256, 1.0)[:, None], axis(240, 1.0)
    return jw.fresnel(beam, 1800.0).u, gaussian(y, x, 10.0, 0.5, 1800.0)


@row("carrier", reference="exp(i 2 pi n z / lambda) over 180 mm", valid="all")
def _():
    wave = jw.plane_wave((2, 2), spacing=0.5, wavelength=0.5)
    z = 180000.0625
    return jw.carrier(wave, z, n=1.5).u, np.exp(1j * TAU * (3 * z % 1)) * np.ones((2, 2)) / 1.0


@row("thin_lens", reference="the parabola's phase, 100 turns", valid="paraxial, sampled phase")
def _():
    wave = jw.plane_wave((200, 256), spacing=1.0, wavelength=0.5)
    square = axis(200, 1.0)[:, None] ** 2 + axis(256, 1.0) ** 2
    need = np.exp(-1j * np.pi * square / (0.5 * 512.0)) / np.sqrt(200 * 256)
    return jw.thin_lens(wave, 512.0).u, need


@row(
    "ff_lens", reference="Gaussian beam from focus to focus, w' = lambda f/(pi w)", valid="paraxial"
)
def _():
    beam = jw.gaussian_beam((96, 80), spacing=8.0, wavelength=0.5, waist=64.0)
    got = jw.ff_lens(beam, 4096.0, spacing=0.5, shape=(64, 60)).u
    y, x = axis(64, 0.5)[:, None], axis(60, 0.5)
    return got, -1j * gaussian(y, x, 0.5 * 4096 / (np.pi * 64), 0.5)


@row(
    "circular_aperture",
    reference="Airy pattern of the aperture, 61 samples across",
    valid="a radius of at least two samples",
)
def _():
    wave = jw.plane_wave((72, 72), spacing=32.0, wavelength=0.5)
    got = jw.ff_lens(jw.circular_aperture(wave, 980.0), 1e5, spacing=4.0, shape=(33, 33)).u
    r = np.hypot(axis(33, 4.0)[:, None], axis(33, 4.0))
    v = TAU * 980 * r / (0.5 * 1e5)
    need = -1j * np.pi * 980**2 / (0.5 * 1e5) / (72 * 32) * 2 * j1(v) / np.where(v, v, 1)
    need[16, 16] = -1j * np.pi * 980**2 / (0.5 * 1e5) / (72 * 32)
    return got, need


def _picture():
    return np.random.default_rng(0).integers(-64, 64, size=(8, 9)) / 64


@row(
    "phase_mask", "opd_mask", "amplitude_mask", reference="their definitions", valid="thin elements"
)
def _():
    wave, m = jw.plane_wave((8, 9), spacing=0.5, wavelength=0.5), _picture()
    got = [jw.phase_mask(wave, m), jw.opd_mask(wave, m), jw.amplitude_mask(wave, m)]
    need = np.stack([np.exp(1j * m), np.exp(2j * TAU * m), m + 0j]) / np.sqrt(18)
    return np.stack([f.u for f in got]), need


@row("ft2", "ift2", "matrix_ft2", "zoom_ft2", "chirp_ft2", reference="explicit sums", valid="all")
def _():
    from reference import dft

    u = (_picture() + 1j * _picture()[::-1]).astype(complex)
    v = jax.numpy.asarray(u)
    zoom = (0.125, 0.09375)
    need = [dft(u, 1 / 8, 1 / 9, (8, 9)), dft(u, 1 / 8, 1 / 9, (8, 9), sign=1)]
    need += [dft(u, *zoom, (5, 6))] * 3
    got = [jw.ft2(v), jw.ift2(v), jw.matrix_ft2(v, zoom, (5, 6))]
    got += [jw.zoom_ft2(v, zoom, (5, 6)), jw.chirp_ft2(v, zoom, (5, 6))]
    return np.concatenate([np.ravel(a) for a in got]), np.concatenate([np.ravel(a) for a in need])


@row("cis", reference="exp(2 pi i t) of numpy", valid="all finite phases")
def _():
    t = np.arange(-512, 512) / 256
    return jw.cis(t), np.exp(1j * TAU * t)


@row(
    "resample", "shift", reference="the beam on the other grid", valid="resolved fields, dark rims"
)
def _():
    kind = dict(wavelength=0.5, waist=4.0)
    beam = jw.gaussian_beam((64, 64), spacing=0.75, **kind)
    got = [jw.resample(beam, 0.5, (80, 72)).u, jw.shift(beam, y=1.125, x=-0.5).u]
    y, x = axis(80, 0.5)[:, None], axis(72, 0.5)
    a = axis(64, 0.75)
    need = [gaussian(y, x, 4.0, 0.5), gaussian(a[:, None] - 1.125, a + 0.5, 4.0, 0.5)]
    return np.concatenate([np.ravel(g) for g in got]), np.concatenate([np.ravel(g) for g in need])
