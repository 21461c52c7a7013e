"""Point-spread functions: the Richards-Wolf integral in float64, closed forms of pupils."""

import jax.numpy as jnp
import numpy as np
from psf import quadrature
from psf.polar import Aperture, window
from scipy.special import erf, j0, j1

import jaxwave as jw
from jaxwave import psf
from validation import row

# Three different indices, an aperture near the sample's, a window beside the axis.
LAYERS = dict(n_s=1.34375, n_g=(1.53125,), t_g=(168.0,), t_s=0.75, n_g0=(1.53125,),
              t_g0=(170.0,), n_i0=1.515625)  # fmt: skip
NA, W, N_I = 1.25, 0.5625, 1.5
MODES, C = [(2, 2), (3, -1)], (0.046875, -0.03125)
Z, Y, X, SHAPE, SPACING = 0.375, 0.21875, -0.15625, (6, 7), (0.125, 0.09375)
DEBYE = "the Debye approximation; pupil apertures up to the sample's index"
RICHARDS_WOLF = "Richards-Wolf by quadrature; layers, modes, a window beside the axis"


def objective():
    layers = psf.Layers(
        n_s=LAYERS["n_s"], n_g=1.53125, n_i=N_I, t_s=0.75, t_g=168.0, t_g_design=170.0,
        n_i_design=1.515625,
    )  # fmt: skip
    return psf.Objective(NA, W, layers=layers)


def places():
    return psf.Window(SHAPE, SPACING, z=Z, y=Y, x=X)


def modes():
    return psf.ZernikePupil(C, MODES)


def phase(y, x):
    """Astigmatism and vertical coma, written out."""
    square = y**2 + x**2
    path = C[0] * np.sqrt(6) * (x**2 - y**2) + C[1] * np.sqrt(8) * (3 * square - 2) * y
    return np.exp(2j * np.pi * path / W)


def rays():
    aperture = Aperture(na=NA, wavelength=W, n=N_I, layers=LAYERS)
    _, y, x = window(SHAPE, SPACING, Y, X)
    return aperture, (y, x, Z)


@row("psf.scalar_focus", reference=RICHARDS_WOLF, valid=DEBYE)
def _():
    aperture = Aperture(na=NA, wavelength=W, n=N_I, layers=LAYERS, transmit=False)
    _, y, x = window(SHAPE, SPACING, Y, X)
    return psf.scalar_focus(objective(), places(), modes()), aperture.scalar(phase, y, x, Z)


@row("psf.scalar_focus_intensity", reference="J1(v)/v of a clear pupil", valid="low aperture")
def _():
    na = 2.0**-8
    o, to = psf.Objective(na, 0.5, n=1.0), psf.Window((9, 8), (16.0, 12.0))
    y, x = (np.arange(9) - 4)[:, None] * 16.0, (np.arange(8) - 4) * 12.0
    v = np.maximum(2 * np.pi * na / 0.5 * np.hypot(y, x), 1e-12)
    return psf.scalar_focus_intensity(o, to), np.pi * (na / 0.5) ** 2 * (2 * j1(v) / v) ** 2


@row("psf.focus", reference=RICHARDS_WOLF, valid=DEBYE)
def _():
    aperture, at = rays()
    jones = np.array([0.75, 0.5j])
    got = psf.focus(objective(), places(), modes(), polarization=jones)
    return got, aperture.focus((phase, phase), *at, jones=jones)


@row("psf.focus_intensity", reference=RICHARDS_WOLF, valid=DEBYE)
def _():
    aperture, at = rays()
    jones = np.array([0.75, 0.5j])
    got = psf.focus_intensity(objective(), places(), modes(), polarization=jones)
    return got, (np.abs(aperture.focus((phase, phase), *at, jones=jones)) ** 2).sum(0)


@row("psf.emitter_field", reference=RICHARDS_WOLF + ", reciprocity", valid=DEBYE)
def _():
    aperture, at = rays()
    d = np.array([0.5, -0.25j, 0.75])
    got = psf.emitter_field(objective(), places(), modes(), dipole=d)
    return got, aperture.emitter((phase, phase), *at, dipole=d)


@row("psf.emitter_image", reference="the mean of three fixed dipoles by quadrature", valid=DEBYE)
def _():
    aperture, at = rays()
    return psf.emitter_image(objective(), places(), modes()), aperture.rotating((phase,) * 2, *at)


@row("psf.emitters_image", reference="quadrature, integrated over 8 x 8 points of every pixel",
     valid="windows that hold the light")  # fmt: skip
def _():
    scope = psf.Microscope(0.75, W, (7, 8), pixel=0.25, n=1.0)
    at = [[0.25, 0.125, -0.375], [-0.5, -0.25, 0.125]]
    got = psf.emitters_image(scope, at, [64.0, 32.0], size=21)
    t, w = np.polynomial.legendre.leggauss(8)
    y = ((np.arange(7) - 3)[:, None] + t / 2).ravel() * 0.25
    x = ((np.arange(8) - 4)[:, None] + t / 2).ravel() * 0.25
    aperture = Aperture(na=0.75, wavelength=W, n=1.0, radial=40, azimuthal=64)
    weight = 0.25**2 * np.outer(w, w) / 4
    need = 0.0
    for (z, y0, x0), light in zip(at, (64.0, 32.0), strict=True):
        grid = np.meshgrid(y - y0, x - x0, indexing="ij")
        fine = aperture.rotating((lambda y, x: 1 + 0 * y * x,) * 2, *grid, z)
        need = need + light * np.einsum("yaxb,ab->yx", fine.reshape(7, 8, 8, 8), weight)
    return got, need


@row("psf.high_na_ff_lens", reference="Richards-Wolf behind a Gaussian beam, by quadrature",
     valid="a beam that the samples resolve")  # fmt: skip
def _():
    f, na = 2000.0, 0.75
    beam = jw.gaussian_beam((96, 80), spacing=(40.0, 50.0), wavelength=0.5, waist=400.0)
    got = psf.high_na_ff_lens(beam, f, na=na, n=1.0, spacing=0.25, shape=(5, 4)).u
    aperture = Aperture(na=na, wavelength=0.5, n=1.0)
    _, y, x = window((5, 4), 0.25)
    reach = f * na
    start = lambda y, x: np.exp(-(reach**2) * (y**2 + x**2) / 400.0**2)  # noqa: E731
    need = aperture.focus((start, start), y, x)
    # The quadrature's pupil carries unit power; the beam carries its own over the same disk.
    scale = np.sqrt(2 / np.pi) / 400.0 * np.sqrt(np.pi) * reach
    return np.abs(got), scale * np.abs(need)


@row("psf.high_na_ff_lens_scalar", reference="the Debye integral of a Gaussian beam, by quadrature",
     valid="a beam that the samples resolve, low aperture")  # fmt: skip
def _():
    f, na, n, w, z = 2048.0, 0.5, 1.25, 0.5, 0.75
    beam = jw.gaussian_beam((96, 80), spacing=(32.0, 40.0), wavelength=w, waist=288.0)
    got = psf.high_na_ff_lens_scalar(beam, f, na=na, n=n, spacing=0.25, shape=(5, 4), z=z).u
    _, y, x = window((5, 4), 0.25)
    s, weight = quadrature.gauss(0, na, 120)
    light = np.sqrt(2 / np.pi) / 288.0 * np.exp(-((s * f / n / 288.0) ** 2))
    cosine = np.sqrt(1 - (s / n) ** 2)
    light = light / np.sqrt(cosine) * np.exp(2j * np.pi * z / w * n * (cosine - 1))
    r = np.hypot(y, x)[..., None]
    need = np.sum(weight * 2 * np.pi * s * light * j0(2 * np.pi * s * r / w), axis=-1)
    return got, f / (1j * w * n) * need


@row("psf.dipole_pupil", reference="far field of a dipole, turned into the pupil (Axelrod)",
     valid="inside the rim")  # fmt: skip
def _():
    f, na, n, w, y0, x0 = 2048.0, 1.0, 1.25, 0.5, 0.25, -0.375
    options = dict(spacing=112.0, f=f, dipole=(1, 0.5, 0.25), y=y0, x=x0)
    got = psf.dipole_pupil(psf.Objective(na, w, n=n), (48, 45), **options).u
    sy, sx = ((np.arange(m) - m // 2) * 112.0 / f for m in (48, 45))
    sy, sx = np.meshgrid(sy, sx, indexing="ij")
    inside, phi = np.hypot(sy, sx) < 0.9 * na, np.arctan2(sy, sx)
    sine = np.where(inside, np.hypot(sy, sx) / n, 0)
    cosine = np.sqrt(1 - sine**2)
    d = np.array([1, 0.5, 0.25]) / np.linalg.norm([1, 0.5, 0.25])
    across = -np.sin(phi) * d[0] + np.cos(phi) * d[1]
    along = cosine * (np.cos(phi) * d[0] + np.sin(phi) * d[1]) - sine * d[2]
    need = np.stack([np.cos(phi) * along - np.sin(phi) * across,
                     np.sin(phi) * along + np.cos(phi) * across, 0 * phi])  # fmt: skip
    need = need * np.sqrt(3 / (8 * np.pi)) / (n * f) / np.sqrt(cosine)
    need = need * np.exp(-2j * np.pi * (sx * x0 + sy * y0) / w)
    return np.asarray(got)[:, inside], need[:, inside]


@row("psf.gibson_lanni_path",
     reference="the literal sum of n t cos(theta) in extended precision",
     valid="plane, parallel layers")  # fmt: skip
def _():
    s = np.array([0.0, 0.25, 0.75, 1.125, 1.25])
    layers = objective().layers
    path = psf.gibson_lanni_path(s, layers, z=Z)
    need = quadrature.layer_path(s, **LAYERS, n_i=N_I, z=Z)
    thick = N_I * (170.0 / 1.53125 + 100.0 / 1.515625 - 168.0 / 1.53125 - 0.75 / 1.34375)
    got = jnp.concatenate([path.opd, path.decay, layers.immersion[None] / 100])
    return got, np.r_[need.real, need.imag, thick / 100]


@row("psf.defocus_path", reference="n z (cos(theta) - 1)", valid="all, beyond n too")
def _():
    s = np.array([0.0, 0.0078125, 0.5, 1.0, 1.25])
    need = 3.0 * (np.sqrt(1.328125**2 - s.astype(np.longdouble) ** 2) - 1.328125)
    path = psf.defocus_path(s, 1.328125, 3.0)
    return np.r_[path.opd, path.decay], np.r_[need.astype(float), 0 * s]


@row("psf.fresnel_transmission", reference="Born and Wolf, 1.5.2, beyond the critical angle too",
     valid="plane interfaces")  # fmt: skip
def _():
    s = np.array([0.0, 0.5, 1.25, 1.40625])
    t = psf.fresnel_transmission(s, (1.5, 1.53125, 1.34375))
    return np.array([t.q_s, t.q_p]), np.array(quadrature.fresnel(s, (1.5, 1.53125, 1.34375)))


@row("psf.multilayer_transmission", reference="Airy's sum of a slab, transmitted power",
     valid="plane, parallel layers")  # fmt: skip
def _():
    s, n, d, w = np.array([0.0, 0.5, 0.875]), (1.0, 2.0, 1.5), 0.125, 0.5
    r = [np.sqrt(m**2 - s**2) for m in n]
    need = []
    for kind in "sp":
        q = r if kind == "s" else [a / m**2 for a, m in zip(r, n, strict=True)]
        ahead = [2 * q[j] / (q[j] + q[j + 1]) for j in (0, 1)]
        back = [(q[j] - q[j + 1]) / (q[j] + q[j + 1]) for j in (0, 1)]
        turn = np.exp(2j * np.pi * r[1] * d / w)
        t = ahead[0] * ahead[1] * turn / (1 + back[0] * back[1] * turn**2)
        need.append(t if kind == "s" else t * n[0] / n[2])
    got = psf.multilayer_transmission(s, n, (d,), wavelength=w)
    return np.array([got.q_s, got.q_p]), np.array(need)


@row("psf.apodization", reference="powers of cos(theta)", valid="all")
def _():
    s, cos = np.array([0.0, 0.5, 1.25]), np.sqrt(1 - np.array([0.0, 0.5, 1.25]) ** 2 / 1.5**2)
    got = [psf.apodization(s, 1.5, kind=kind) for kind in ("aplanatic", "herschel", "none")]
    return np.array(got), np.array([cos**-0.5, 1 / cos, np.ones(3)])


PLACE = np.array([[0.25, -0.5, 0.125], [0.0625, 0.375, -0.75]])  # y, then x


@row("psf.vortex", "psf.half_moon", "psf.top_hat", "psf.gaussian_pupil", "psf.zernike_pupil",
     reference="their definitions", valid="thin masks in the pupil")  # fmt: skip
def _():
    y, x = PLACE
    got = [psf.vortex(y, x, charge=2), psf.half_moon(y, x, angle=0.5)]
    got += [psf.top_hat(y, x, radius=0.625, phase=1.5), psf.gaussian_pupil(y, x, width=0.75)]
    got += [psf.zernike_pupil(y, x, coefficients=C, modes=MODES, wavelength=W)]
    need = [((x + 1j * y) / np.hypot(y, x)) ** 2, np.sign(x * np.cos(0.5) + y * np.sin(0.5))]
    need += [np.where(np.hypot(y, x) < 0.625, np.exp(1.5j), 1)]
    need += [np.exp(-(y**2 + x**2) / 0.75**2), phase(y, x)]
    return np.array(got), np.array(need)


@row("psf.radial_polarization", "psf.azimuthal_polarization", "psf.linear_polarization",
     "psf.circular_polarization", reference="unit vectors", valid="all")  # fmt: skip
def _():
    y, x = PLACE
    r = np.hypot(y, x)
    got = [psf.radial_polarization(y, x), psf.azimuthal_polarization(y, x)]
    flat = [psf.linear_polarization(0.5), psf.circular_polarization(-1)]
    got = np.concatenate([np.ravel(g) for g in (*got, *flat)])
    need = [x / r, y / r, -y / r, x / r, [np.cos(0.5), np.sin(0.5)]]
    return got, np.concatenate([*need, np.array([1, -1j]) / np.sqrt(2)])


@row("psf.pupil_coordinates", reference="-1 to 1 along both axes", valid="all")
def _():
    y, x = psf.pupil_coordinates((9, 17))
    need = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 17), indexing="ij")
    return np.array(jnp.broadcast_arrays(y, x)), np.array(need)


def spot(shape, spacing, width):
    y, x = ((np.arange(m) - m // 2) * d for m, d in zip(shape, spacing, strict=True))
    return np.exp(-(y[:, None] ** 2 + x**2) / (2 * width**2)) / (2 * np.pi * width**2)


@row("psf.gaussian_blur", reference="a Gaussian blurred by a Gaussian", valid="light in the window")
def _():
    got = psf.gaussian_blur(spot((96, 90), (0.25, 0.25), 0.75), spacing=0.25, sigma=1.0)
    return got, spot((96, 90), (0.25, 0.25), 1.25)


@row("psf.integrate_pixels", reference="error functions of a Gaussian", valid="light in the window")
def _():
    image = spot((48, 60), (0.25, 0.1875), 0.625)
    got = psf.integrate_pixels(image, (7, 6), spacing=(0.25, 0.1875), pixel=0.875)
    edges = [(np.arange(m + 1) - m // 2 - 0.5) * 0.875 / (0.625 * np.sqrt(2)) for m in (7, 6)]
    parts = [np.diff(erf(e)) / 2 for e in edges]
    return got, np.outer(*parts)


@row("psf.expected_photons", reference="its definition", valid="all")
def _():
    image = spot((5, 4), (0.5, 0.5), 1.0)
    return psf.expected_photons(image, photons=96.0, background=0.75), 96 * image + 0.75


@row("psf.band_average", reference="the weighted mean", valid="light without coherence")
def _():
    waves, weights = np.array([0.5, 0.5625, 0.625]), np.array([1.0, 3.0, 0.5])
    got = psf.band_average(lambda w: w**2 * jnp.ones((2, 3)), waves, weight=weights)
    return got, np.full((2, 3), np.sum(weights * waves**2) / np.sum(weights))


@row("psf.confocal_intensity", reference="Airy patterns summed over the pinhole in polar nodes",
     valid="inside the rim by the pinhole's radius")  # fmt: skip
def _():
    na, waves, spacing, width = 0.5, (0.5, 0.625), 0.0625, 1.75
    y, x = ((np.arange(m) - m // 2) * spacing for m in (72, 63))

    def airy(r, w):
        v = 2 * np.pi * na / w * np.maximum(r, 1e-9)
        return np.pi * (na / w) ** 2 * (2 * j1(v) / v) ** 2

    both = [airy(np.hypot(y[:, None], x), w) for w in waves]
    got = psf.confocal_intensity(*both, spacing=spacing, pinhole=width)
    t, weight = np.polynomial.legendre.leggauss(24)
    rho, phi = (t + 1) * width / 4, 2 * np.pi * np.arange(48) / 48
    away = rho[:, None] * np.exp(1j * phi)
    places = [(36, 31), (40, 31), (30, 27), (44, 36)]
    need = []
    for j, k in places:
        seen = airy(np.abs(x[k] + 1j * y[j] - away), waves[1]).mean(axis=1)
        need.append(both[0][j, k] * 2 * np.pi * np.sum(weight * width / 4 * rho * seen))
    return np.array([got[at] for at in places]), np.array(need)


@row("psf.bead_intensity", reference="second moments of a sphere, d^2/20 along each axis",
     valid="beads that do not bend the light")  # fmt: skip
def _():
    # A spot whose width grows with z: the sphere adds its moments to the spot's.
    def image(z):
        return jnp.asarray(spot((64, 64), (0.125, 0.125), 0.75)) * jnp.ones((*jnp.shape(z), 1, 1))

    got = psf.bead_intensity(image, np.array([0.0]), diameter=1.5, spacing=0.125)[0]
    y = (np.arange(64) - 32) * 0.125
    got = np.asarray(got, float)
    return [(got.sum(1) * y**2).sum() / got.sum(), got.sum() / 64], [0.75**2 + 1.5**2 / 20, 1.0]


@row("psf.nodes", reference="quadrature with many nodes: as many suffice as it says", valid=DEBYE)
def _():
    o, to = psf.Objective(NA, W, n=N_I), places()
    got = psf.focus_intensity(o, to, modes(), nodes=psf.nodes(o, to, modes()))
    aperture, at = Aperture(na=NA, wavelength=W, n=N_I), rays()[1]
    return got, (np.abs(aperture.focus((phase, phase), *at)) ** 2).sum(0)
