"""Light-field PSFs against float64 sums written here, and laws of light-field microscopes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import adjoint_error

from jaxwave.lightfield import FourierMicroscope, LensArray, LightFieldMicroscope, Projector
from jaxwave.lightfield.microscope import clear_power, emitted
from jaxwave.psf import Objective, Window, ZernikePupil, emitter_image

NA, WAVE, M, PITCH, F, PIXEL = 0.35, 0.53, 20.0, 60.0, 1500.0, 12.0
OBJECTIVE = Objective(NA, WAVE, n=1.33)
COMA = ZernikePupil([0.12], [(3, 1)])


COMPILED = [0]
jax.monitoring.register_event_duration_secs_listener(
    lambda event, *_, **__: COMPILED.__setitem__(0, COMPILED[0] + ("backend_compile" in event))
)


def scope(array=None, pixel=PIXEL, emitter="scalar", **more):
    array = array or LensArray(F, pitch=PITCH)
    return LightFieldMicroscope(OBJECTIVE, M, array, pixel, emitter=emitter, **more)


def reference(z, a, b, pixels, fine=9, coma=0.12):
    """One emitter a, b pixels from a lenslet's center: sums over the pupil, padded transforms."""
    wide = pixels + 10
    n, d = wide * fine, PIXEL / fine
    t = (np.arange(n) - n // 2) * d
    # The pupil in Gauss-Legendre and trapezoidal nodes; its field by two matrix products.
    s = (np.arange(121) - 60) / 60.5
    sy, sx = np.meshgrid(s, s, indexing="ij")
    rho2 = sy**2 + sx**2
    w = np.clip(0.5 + (1 - np.sqrt(rho2)) * 60.5, 0, 1)
    q = rho2 * NA**2
    root = np.sqrt(1.33**2 - np.minimum(q, 1.0))
    opd = coma * np.sqrt(8) * (3 * rho2 - 2) * sx + z * (root - 1.33)
    pupil = w / np.sqrt(root) * np.exp(2j * np.pi * opd / WAVE)
    e = np.exp(2j * np.pi / WAVE * NA / M * np.outer(t, s))
    u = e @ pupil @ e.T
    cy, cx = (np.mod(t + k * PIXEL + PITCH / 2, PITCH) - PITCH / 2 for k in (a, b))
    u = u * np.exp(-1j * np.pi / (WAVE * F) * (cy[:, None] ** 2 + cx**2))
    f = np.fft.fftfreq(2 * n, d)
    turns = F * (np.sqrt(1 / WAVE**2 - f[:, None] ** 2 - f**2) - 1 / WAVE)
    u = np.fft.ifft2(np.fft.fft2(u, (2 * n, 2 * n)) * np.exp(2j * np.pi * turns))[:n, :n]
    light = (np.abs(u) ** 2).reshape(wide, fine, wide, fine).sum((1, 3))
    start = wide // 2 - pixels // 2
    return light[start : start + pixels, start : start + pixels]


def assert_adjoint(psf, shape):
    """Of volumes and images that are not whole periods wide."""
    random, projector = np.random.default_rng(7), Projector(psf, shape)
    volume, image = random.random((len(psf.values), *shape)), random.random(shape)
    assert adjoint_error(projector.project, projector.backproject, volume, image) < 1e-6


def error(got, need):
    """NMSE of two pictures of the same light."""
    got, need = np.asarray(got, float), np.asarray(need, float)
    got, need = got / got.sum(), need / need.sum()
    return ((got - need) ** 2).sum() / (need**2).sum()


def test_psf_under_coma_is_the_sum_over_the_pupil_and_has_no_quarter_symmetry():
    before = COMPILED[0]
    psf = scope().psf([-25.0, 6.0], shape=(25, 25), pupil=COMA)
    assert psf.period == (5, 5) and COMPILED[0] - before <= 4
    for z, k, a, b in ((-25.0, 0, 1, 3), (6.0, 1, 4, 0), (6.0, 1, 2, 2)):
        assert error(psf.values[k, a, b], reference(z, a, b, 25)) < 2e-3
    mirrored = np.asarray(psf.values)[:, :, -1 % 5, :, ::-1]
    assert error(mirrored[1, 0], np.asarray(psf.values)[1, 0, 1]) > 0.02
    assert_adjoint(psf, (31, 44))


@pytest.mark.slow
def test_psf_converges_behind_the_lenslets():
    at = [scope().psf([12.0], shape=(21, 21), samples=s).values for s in (3, 5, 11)]
    coarse, usual = (error(v, at[2]) for v in at[:2])
    assert usual < coarse / 3 and usual < 3e-4


@pytest.mark.slow
def test_share_of_light_of_a_rotating_dipole():
    oblong = dict(pixel=(12.0, 10.0))
    values = scope(emitter="rotating", **oblong).psf([8.0], shape=(41, 49)).values
    share = (1 - np.sqrt(1 - (NA / 1.33) ** 2)) / 2
    np.testing.assert_allclose(values.sum((-2, -1)), share, rtol=0.03)
    assert np.all(values.sum((-2, -1)) < share)
    scalar = scope(**oblong).psf([8.0], shape=(41, 49)).values
    np.testing.assert_allclose(scalar.sum((-2, -1)), 1, rtol=0.03)


def test_power_of_a_clear_pupil_is_the_mean_of_its_intensity():
    share, weight = np.polynomial.legendre.leggauss(40)
    for na, n in ((0.35, 1.0), (1.2, 1.33)):
        square = (share + 1) / 2 * (na / n) ** 2  # of the sine; even parts of it are even areas
        need = np.sum(weight / 2 / np.sqrt(1 - square))
        np.testing.assert_allclose(clear_power(Objective(na, WAVE, n=n)), need, rtol=1e-6)


ARRAYS = {
    "two focal lengths": (LensArray([1500.0, 1800.0], pitch=36.0), 12.0, (6, 6)),
    "hexagonal, round": (
        LensArray(1500.0, pitch=48.0, layout="hexagonal", lenslet="round"),
        [48 * 3**0.5 / 7, 12.0],
        (7, 4),
    ),
    "two pitches, moved": (LensArray(1500.0, pitch=[48.0, 36.0], y=7.0, x=-4.0), 12.0, (4, 3)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ARRAYS)
def test_psf_of_a_place_is_the_image_of_an_emitter_there(name):
    array, pixel, period = ARRAYS[name]
    one = scope(array, pixel, camera_distance=1600.0)
    psf = one.psf([5.0], shape=(17, 17), samples=5)
    assert psf.period == period
    assert_adjoint(psf, (38, 29))
    dy, dx = np.broadcast_to(pixel, 2)
    for a, b in ((1, 2), (3, 0)):
        image = one.image((35, 35), z=5.0, y=a * dy / M, x=b * dx / M, samples=5)
        at = 17 + a - 8, 17 + b - 8
        seen = image[at[0] : at[0] + 17, at[1] : at[1] + 17]
        assert error(psf.values[0, a, b], seen) < 2e-3


def test_arrays_that_need_rectification():
    with pytest.raises(ValueError, match=r"after whole pixels, and it repeats after \(5\.2,"):
        scope(pixel=PITCH / 5.2).psf([0.0])
    with pytest.raises(ValueError, match=r"turned by 0\.1"):
        scope(LensArray(F, pitch=PITCH, phi=0.1)).psf([0.0])
    with pytest.raises(ValueError, match="do not repeat"):
        scope(LensArray(F, centers=[[0.0, 0.0], [0.0, 60.0]])).psf([0.0])
    with pytest.raises(ValueError, match="`camera_distance` is needed"):
        scope(LensArray([1500.0, 1800.0], pitch=36.0))
    with pytest.raises(ValueError, match="must rise"):
        scope().psf([1.0, 0.0])
    with pytest.raises(ValueError, match="one depth or more"):
        scope().psf([])
    with pytest.raises(ValueError, match="must be two pixels or more, got 20"):
        scope(LensArray(F, pitch=20.0))
    with pytest.raises(ValueError, match="must be odd"):
        scope().psf([1.0], samples=4)


@pytest.mark.slow
def test_a_turned_array_and_the_gradients_of_its_numbers():
    def image(pitch, phi, f, z):
        one = scope(LensArray(f, pitch=pitch, phi=phi, x=3.0), camera_distance=1500.0)
        return one.image((20, 23), z=z, y=0.4, x=-0.7, samples=3)

    at = (57.3, 0.12, 1500.0, 8.0)
    weight = np.random.default_rng(1).random((20, 23))
    with jax.enable_x64(True):
        value = jax.jit(lambda *p: jnp.sum(weight * image(*p)))
        slopes = jax.jit(jax.grad(value, (0, 1, 2, 3)))(*at)
        for k, slope in enumerate(slopes):
            step = (1e-5, 1e-4, 1e-3, 1e-4)[k] * abs(at[k])
            up, down = ([p + s * step * (i == k) for i, p in enumerate(at)] for s in (1, -1))
            need = (value(*up) - value(*down)) / (2 * step)
            # Between two lenses the light bends, so differences have noise there.
            np.testing.assert_allclose(slope, need, rtol=3e-3, err_msg=str(k))


def test_depths_of_a_window_are_one_or_more():
    with pytest.raises(ValueError, match="`z` must hold one number or more, got none"):
        Window((8, 8), 0.3, z=[])


@pytest.mark.parametrize("na", [0.35, 0.9, 1.32])
def test_windows_and_samples_hold_the_rays_of_an_emitter(na):
    # Rays of the cone about z spread over M |z| tan(theta) and are bent by a lenslet's rim; beyond
    # sin(theta)^2 = 0.95 only that much is followed.
    n, pixel, z = 1.33, np.array([9.0, 14.0]), [-15.0, 8.0]
    array = LensArray(F, pitch=(PITCH, 45.0))
    one = LightFieldMicroscope(Objective(na, WAVE, n=n), M, array, pixel)
    sine = min(na / n, np.sqrt(0.95))
    radius, lenslet = M * 15.0 * sine / np.sqrt(1 - sine**2), PITCH / 2
    sizes = one.sizes("psf", None, None, z=z)
    half = (np.array(sizes.kernel) - 1) / 2 * pixel
    assert np.all(half >= radius + 3 * lenslet) and np.all(
        half <= 1.02 * radius + 3 * lenslet + pixel
    )
    assert np.all(np.array(sizes.kernel) % 2 == 1) and sizes.samples % 2 == 1
    steepest = (na / M + lenslet / F) / WAVE  # behind the lenslet [1/um]
    assert 2 * steepest < sizes.samples / 14.0 < 3 * steepest + 2 / 14.0
    assert sizes.margin == (4, 3)  # pixels of a lenslet's half

    lenses = LensArray(25000.0, centers=[[0.0, 0.0]], lenslet="round", diameter=1000.0)
    two = FourierMicroscope(Objective(na, WAVE, n=n), M, 8000.0, lenses, pixel, (40, 50))
    samples = two.sizes("psf", None, z).samples
    steepest = (radius / 8000.0 + 500.0 / 25000.0) / WAVE  # in the pupil's image a depth is a slope
    assert 2 * steepest < samples / 14.0 < 3.06 * steepest + 2 / 14.0


# -- Fourier light fields ------------------------------------------------------------------

# Seven lenses across a pupil of radius na f / M = 1.5 mm; each takes a third of its width.
RADIUS = 1500.0
CENTERS = 1000.0 * np.array([[0, 0], [0, 1], [0, -1], [1, 0.1], [-1, 0.1]])


def fourier(pixel=6.0, shape=(61, 61), centers=CENTERS[:1], emitter="scalar", f=25000.0):
    lenses = LensArray(f, centers=centers, lenslet="round", diameter=1000.0)
    return FourierMicroscope(
        Objective(0.75, WAVE), 20, 40000.0, lenses, pixel, shape, emitter=emitter
    )


def test_depth_moves_the_spots_of_the_lenses_as_rays_say():
    one = fourier(13.0, (216, 216), CENTERS)
    z = np.array([-20.0, 0.0, 15.0])
    psf = np.asarray(one.psf(z).values)[:, 0, 0]
    y, x = (np.mgrid[:216, :216] - 108) * 13.0
    for cy, cx in CENTERS:
        near = np.hypot(y - cy, x - cx) < 300
        for k, depth in enumerate(z):
            light = psf[k] ** 2 * near
            got = np.array([(light * a).sum() for a in (y - cy, x - cx)]) / light.sum()
            s = np.array([cy, cx]) * 20 / 40000
            tangent = s / np.sqrt(1 - s @ s)
            need = -depth * tangent * 20 / 40000 * 25000
            np.testing.assert_allclose(got, need, atol=0.04 * np.hypot(*need) + 2.0)


def test_depths_of_a_fourier_light_field_rise():
    for z, words in (([1.0, 0.0], "must rise"), ([], "one depth or more")):
        with pytest.raises(ValueError, match=words):
            fourier().psf(z)


def test_emitters_are_the_same_everywhere_and_rotate():
    one = fourier(13.0, (100, 100), emitter="rotating")
    psf = one.psf([0.0])
    total = float(psf.values.sum())
    # The lens takes the directions within a third of the aperture of 0.75: half a sphere's share.
    need = (1 - np.sqrt(1 - 0.25**2)) / 2
    assert abs(total / need - 1) < 0.03
    assert psf.period == (1, 1)
    assert_adjoint(psf, (64, 75))
    np.testing.assert_allclose(one.pixel_in_sample, 13 * 40000 / (20 * 25000))


@pytest.mark.slow
def test_resolution_and_depth_of_field_of_guo():
    """R = lambda / (2 NA_eff), DOF = 2 lambda / NA_eff^2, for NA_eff = NA / 3."""
    effective = 0.75 / 3
    one = fourier(3.0, (41, 41))
    pixel = float(one.pixel_in_sample)
    line = np.asarray(one.psf([0.0]).values)[0, 0, 0][20]
    # Two points: the image has a dip in its middle from the distance on where its bend turns.
    spectrum = np.fft.fft(np.fft.ifftshift(line[:-1])).real  # light of one point

    def bend(distance):
        f = np.fft.fftfreq(40, pixel)
        pair = spectrum * np.cos(np.pi * f * distance) * (np.abs(f) < 2 * effective / WAVE)
        return -(f**2 * pair).sum()

    distances = np.linspace(0.3, 2.0, 400)
    found = distances[np.argmax([bend(d) > 0 for d in distances])]
    assert abs(found / (WAVE / (2 * effective)) - 1) < 0.1
    # Full width of the peak against depth at 4 / pi^2, where the path differs by lambda / 2.
    z = np.linspace(-16, 16, 33)
    peak = np.asarray(one.psf(z).values)[:, 0, 0, 20, 20]
    above = z[peak > 4 / np.pi**2 * peak.max()]
    width = np.interp(4 / np.pi**2, (peak / peak.max())[16:][::-1], z[16:][::-1]) * 2
    assert abs(width / (2 * WAVE / effective**2) - 1) < 0.1
    assert above[0] == -above[-1]


@pytest.mark.slow
def test_a_pupil_in_the_fourier_plane_and_its_gradient():
    def light(coefficient):
        pupil = ZernikePupil([coefficient], [(2, 2)])
        values = fourier(13.0, (60, 60), CENTERS[:2]).psf([0.0, 5.0], pupil=pupil).values
        return jnp.sum(values**2)

    with jax.enable_x64(True):
        slope = jax.grad(light)(0.05)
        need = (light(0.05 + 1e-5) - light(0.05 - 1e-5)) / 2e-5
        np.testing.assert_allclose(slope, need, rtol=1e-5)
    with pytest.raises(TypeError, match="function of"):
        fourier().psf([0.0], pupil=np.ones((9, 9)))


@pytest.mark.parametrize("modes", [None, ([0.07, -0.04], [(3, 1), (2, -2)])], ids=["clear", "coma"])
def test_the_parts_of_a_rotating_dipole_make_its_image(modes):
    """Incoherent parts, each with its weight, against the model that never sees them."""
    objective = Objective(1.1, WAVE, n=1.33)
    window = Window((21, 18), (0.09, 0.11), z=[-0.4, 0.7])
    pupil = None if modes is None else ZernikePupil(np.array(modes[0]), modes[1])
    parts, weights = emitted(objective, window, pupil, "rotating")
    image = np.einsum("zpyx,p->zyx", np.abs(parts) ** 2, weights)
    need = np.asarray(emitter_image(objective, window, pupil))
    assert np.linalg.norm(image - need) < 1e-5 * np.linalg.norm(need)
