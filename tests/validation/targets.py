"""Sources in a pupil, tilted planes, mirrors, diffusers, targets, materials, noise of cameras."""

import jax
import numpy as np
import scipy.stats
from reference import axis, rayleigh_sommerfeld

import jaxwave as jw
from validation import row
from validation.elements import VIEW, bundle, distant

TAU = 2 * np.pi
KEY = jax.random.key(7)


# -- sources and propagators ---------------------------------------------------------------


@row("objective_point_source", reference="the spherical wave behind a lens of Abbe's condition",
     valid="inside the rim")  # fmt: skip
def _():
    f, na, n, w, y0, x0, z0 = 2048.0, 0.75, 1.375, 0.5, 0.5, -0.25, 0.75
    options = dict(f=f, na=na, n=n, y=y0, x=x0, z=z0, power=2.0)
    got = jw.objective_point_source((48, 45), spacing=72.0, wavelength=w, **options)
    sy, sx = axis(48, 72.0)[:, None] / (n * f), axis(45, 72.0) / (n * f)
    inside = np.hypot(sy, sx) < (na / n) * (1 - 2 / 20)
    cosine = np.sqrt(np.where(inside, 1 - sy**2 - sx**2, 1))
    path = sx * x0 + sy * y0 + z0 * (cosine - 1)
    area = TAU * (n * f) ** 2 * (1 - np.sqrt(1 - (na / n) ** 2))
    need = np.sqrt(2.0 / area / cosine) * np.exp(-1j * TAU * n / w * path)
    return np.asarray(got.u)[inside], need[inside]


@row("choose_propagator", reference="Rayleigh-Sommerfeld sums by what it chose, near and far",
     valid="known numbers")  # fmt: skip
def _():
    field = jw.scalar_field(bundle(), spacing=0.25, wavelength=0.5)
    got, need = [], []
    for z in (6.0, 96.0):
        name = jw.choose_propagator(field, z, n=1.375).name
        got.append(np.asarray(getattr(jw, name)(field, z, n=1.375).u)[30:35, 28:33])
        need.append(distant(z, 1.375, 0.25, 0.25, (5, 5), 0.0, 0.0))
    return np.array(got), np.array(need)


@row("tilted_plane", reference="Rayleigh-Sommerfeld sums at the points of the screen",
     valid="light inside the straight plane")  # fmt: skip
def _():
    z, n, angle, w = 12.0, 1.375, 0.375, 0.5
    field = jw.scalar_field(bundle(), spacing=0.25, wavelength=w)
    far = jw.rayleigh_sommerfeld(field, z, n=n, shape=(110, 104))
    options = dict(n=n, spacing=VIEW["spacing"], shape=VIEW["shape"])
    got = jw.tilted_plane(far, angle, **options).u
    need = np.zeros((7, 6), complex)
    for i, y in enumerate(axis(7, 0.125)):
        for k, x in enumerate(axis(6, 0.1875)):
            height = x * np.sin(angle)
            at = (y, x * np.cos(angle))
            value = rayleigh_sommerfeld(bundle(), 0.25, 0.25, z + height, w, *at, n)[0]
            need[i, k] = value * np.exp(1j * TAU * n / w * height)
    return got, need


# -- devices -------------------------------------------------------------------------------


@row("dmd", reference="mirror by mirror, blazed and flat", valid="flat mirrors, light on the axis")
def _():
    rng, tilt, w = np.random.default_rng(0), 0.1875, 0.5
    states = rng.integers(0, 2, (6, 5)).astype(float)
    field = jw.scalar_field(np.ones((12, 15)), spacing=(1.0, 1.0), wavelength=w)
    # The axis sample of 12 is the first of mirror 3 (2 samples), that of 15 the middle of mirror 2.
    options = dict(pitch=(2.0, 3.0), y=0.5, x=0.0)
    flat = jw.dmd(field, states, mirror_tilt=0.0, **options)
    need = np.kron(states, np.ones((2, 3)))
    step = np.array([2.0, 3.0]) * np.sin(2 * tilt) / np.sqrt(2) / w
    row_, column = np.arange(6)[:, None] - 3, np.arange(5) - 2
    step = step - np.round(step)
    waves = np.exp(1j * TAU * (step[0] * row_ + step[1] * column))
    blazed = jw.dmd(field, states, mirror_tilt=tilt, **options)
    # Every mirror is flat and tilted: its own slope is the blaze's, seen at its middle.
    middle = np.asarray(blazed.u).reshape(6, 2, 5, 3)[:, :, :, 1].mean(1)
    slope = np.abs(middle).max()
    return (
        np.array([*np.ravel(flat.u), *np.ravel(middle)]),
        np.array([*np.ravel(need), *np.ravel(states * waves * slope)]),
    )


@row("random_diffuser", reference="exp(-(2 pi s / lambda)^2) of the light goes straight on",
     valid="many grains in the window (statistical error)")  # fmt: skip
def _():
    wave = jw.scalar_field(np.ones((512, 512)), spacing=1.0, wavelength=0.5)
    shares = [
        np.abs(np.mean(np.asarray(jw.random_diffuser(KEY, wave, roughness=s, correlation=4.0).u)))
        ** 2
        for s in (0.03125, 0.0625)
    ]
    return np.array(shares), np.exp(-((TAU * np.array([0.03125, 0.0625]) / 0.5) ** 2))


@row("engineered_diffuser", reference="all light in its cone (some percent are not)",
     valid="thin diffusers")  # fmt: skip
def _():
    wave = jw.scalar_field(np.ones((128, 120)), spacing=1.0, wavelength=0.5)
    out = np.asarray(jw.engineered_diffuser(KEY, wave, 0.125).u)
    fy, fx = np.fft.fftfreq(128)[:, None], np.fft.fftfreq(120)
    light = np.abs(np.fft.fft2(out)) ** 2
    return np.sum(light[np.hypot(fy, fx) <= np.sin(0.125) / 0.5]) / np.sum(light), 1.0


# -- samples and targets -------------------------------------------------------------------


@row("scattering_slices", reference="variance and correlation of its phase",
     valid="thin slices (statistical error)")  # fmt: skip
def _():
    options = dict(spacing=0.5, wavelength=0.5, thickness=2.0, mean_free_path=32.0, grain=1.5)
    dn = np.asarray(jw.scattering_slices(KEY, (16, 128, 128), **options))
    phase = TAU * dn * 2.0 / 0.5
    got = [np.mean(phase * np.roll(phase, k, axis=1)) for k in (0, 2, 4)]
    return np.array(got), 2.0 / 32.0 * np.exp(-(np.array([0.0, 1.0, 2.0]) ** 2) / (2 * 1.5**2))


def fine(count, spacing, parts=32):
    """Points inside of samples, (samples, parts)."""
    return axis(count, spacing)[:, None] + ((np.arange(parts) + 0.5) / parts - 0.5) * spacing


def shares(inside, shape, spacing):
    """Shares of samples, of a shape that is given at points."""
    y, x = (fine(n, spacing) for n in shape)
    return np.mean(inside(y[:, :, None, None], x), axis=(1, 3))


@row("siemens_star", "slanted_edge", reference="32 x 32 points in every sample",
     valid="all sizes (the points' own error)")  # fmt: skip
def _():
    y0, x0, a = 0.375, -0.25, 0.1875
    star = jw.siemens_star((40, 37), spacing=0.5, radius=8.0, spokes=7, angle=a, y=y0, x=x0)
    edge = jw.slanted_edge((40, 37), spacing=0.5, angle=a, y=y0, x=x0)

    def spokes(y, x):
        turns = (np.arctan2(y - y0, x - x0) - a) / TAU * 7
        return (np.hypot(y - y0, x - x0) < 8.0) & (turns % 1.0 < 0.5)

    def side(y, x):
        return (x - x0) * np.cos(a) + (y - y0) * np.sin(a) > 0

    need = [shares(f, (40, 37), 0.5) for f in (spokes, side)]
    return np.array([star, edge]), np.array(need)


@row("usaf_1951", reference="area of its bars, 6 x 5 w^2 an element, w = 500 / 2^(g + (e - 1)/6)",
     valid="all groups")  # fmt: skip
def _():
    target = jw.usaf_1951((300, 260), spacing=0.5, groups=(7,), y=0.125, x=-0.25)
    widths = 500 / 2 ** (7 + np.arange(6) / 6)
    return float(np.sum(np.asarray(target, float))) * 0.25, np.sum(30 * widths**2)


@row("material", "materials", reference="catalogs: N-BK7, N-SF11 (Schott), water at 20 C",
     valid="their digits")  # fmt: skip
def _():
    assert all(jw.material(name).name == name for name in jw.materials())
    found = [("N-BK7", 0.5875618), ("N-SF11", 0.5875618), ("N-BK7", 0.4861327), ("water", 0.5893)]
    got = [jw.refractive_index(jw.material(name), w) for name, w in found]
    return np.array(got), np.array([1.51680, 1.78472, 1.52238, 1.33300])


# -- cameras -------------------------------------------------------------------------------


@row("shot_noise", reference="Poisson's probabilities (scipy) at 0.25, 4 and 40 electrons",
     valid="0 to 1e6 electrons (statistical error)")  # fmt: skip
def _():
    got, need = [], []
    for mean in (0.25, 4.0, 40.0):
        counts = np.asarray(jw.shot_noise(KEY, np.full((400, 500), mean)))
        got.append(np.bincount(counts.astype(int).ravel(), minlength=120)[:120] / counts.size)
        need.append(scipy.stats.poisson.pmf(np.arange(120), mean))
    return np.array(got), np.array(need)


@row("add_read_noise", reference="the normal distribution's quantiles",
     valid="white noise (statistical error)")  # fmt: skip
def _():
    noisy = np.asarray(jw.add_read_noise(KEY, np.full((400, 500), 3.0), read_noise=2.0))
    p = np.linspace(0.05, 0.95, 19)
    return np.quantile(noisy, p), 3.0 + 2.0 * scipy.stats.norm.ppf(p)


@row("camera", reference="mean and variance of the counts (EMVA 1288), full well",
     valid="no blooming (statistical error)")  # fmt: skip
def _():
    chip = dict(quantum_efficiency=0.75, dark_current=2.0, exposure=1.5, read_noise=2.0)
    chip |= dict(gain=0.5, offset=100.0)
    photons = np.full((400, 500), 64.0)
    photons[0] = 1e5
    counts = np.asarray(jw.camera(KEY, photons, full_well=1000.0, **chip), float)
    electrons = 0.75 * 64.0 + 3.0
    variance = (electrons + 4.0) / 0.25 + 1 / 12
    got = [counts[1:].mean(), counts[1:].var(), counts[0].mean()]
    return np.array(got), np.array([electrons / 0.5 + 100, variance, 2100.0])
