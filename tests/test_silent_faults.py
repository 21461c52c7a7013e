"""Sixteen silent wrong results of the closest peer, each in the words a user would type.

The parts have thorough tests of their own; here every fault is one quick check, so that none comes
back unseen. The number in a test's name is that of the list of faults.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import axis, error

import jaxwave as jw
from jaxwave import psf
from jaxwave.calibration import quantized

pytestmark = pytest.mark.filterwarnings("ignore::jaxwave.JaxwaveWarning")
W = 0.5


def beam(shape=(40, 36), wavelength=W, spacing=(0.5, 0.6)):
    return jw.gaussian_beam(shape, spacing=spacing, wavelength=wavelength, waist=3.0)


def test_01_a_focus_does_not_depend_on_the_pupil_s_samples():
    """The ring of Ez is that of a Gaussian focus, w / sqrt(2), whatever samples the beam has."""
    found = []
    for count, spacing in ((48, 80.0), (96, 40.0)):
        light = jw.gaussian_beam((count,) * 2, spacing=spacing, wavelength=W, waist=500.0)
        out = psf.high_na_ff_lens(light, 2000.0, na=0.75, spacing=0.15, shape=(9, 9))
        found.append(np.asarray(out.u))
    assert error(found[0], found[1]) < 1e-3
    assert np.argmax(np.abs(found[1][2, 4, 4:])) == 3  # 0.45 µm of w = lambda f / (pi 500 µm)


def test_02_an_absorbing_border_absorbs():
    wave = jw.plane_wave((24, 20), spacing=0.5, wavelength=W)
    got = jw.absorbing_boundary(wave, 2.0)
    assert float(got.power) < 0.8 * float(wave.power)
    assert float(got.intensity[12, 10]) == pytest.approx(float(wave.intensity[12, 10]), rel=1e-6)


@pytest.mark.parametrize("delay", [0.0, np.pi / 2, np.pi])
def test_03_retarders_keep_the_power(delay):
    light = jw.polarize(beam(), (1.0, 0.5j))
    assert float(jw.retarder(light, delay, 0.3).power / light.power) == pytest.approx(1, rel=1e-6)


def test_04_05_colors_behind_one_stop():
    """An Airy spot grows with the wavelength once, its power stays, unequal samples do not add."""
    waves = jw.plane_wave((64, 60), spacing=10.0, wavelength=np.array([0.5, 0.7]))
    stopped = jw.circular_aperture(waves, 150.0)
    spots = jw.ff_lens(stopped, 1e4, spacing=2.0, shape=(41, 41))
    peaks = spots.intensity[:, 20, 20] / stopped.intensity[:, 32, 30]
    assert float(peaks[0] / peaks[1]) == pytest.approx((0.7 / 0.5) ** 2, rel=1e-4)
    whole = jw.ff_lens(stopped, 1e4)
    np.testing.assert_allclose(whole.power / stopped.power, 1, rtol=1e-5)
    with pytest.raises(ValueError, match="spacing"):
        jw.total_intensity(whole)


def test_06_a_finer_window_has_the_same_amplitude():
    at, z = dict(spacing=(0.25, 0.3), shape=(17, 15)), 30.0
    fine = jax.jit(lambda f: jw.angular_spectrum(f, z, **at).u)(beam())
    coarse = jw.angular_spectrum(beam(), z).u[16:25, 15:22]
    assert error(fine[::2, 1::2], coarse) < 1e-4


@pytest.mark.parametrize("m", [2.0, 0.5])
def test_07_magnified_systems_keep_the_power(m):
    f = 1000.0
    out = jw.ray_transfer(beam(), [[m, 0.0], [-1 / f, 1 / m]], spacing=np.array([0.5, 0.6]) * m)
    assert float(out.power) == pytest.approx(float(beam().power), rel=1e-4)
    peak = np.max(np.asarray(out.intensity)) / np.max(np.asarray(beam().intensity))
    assert peak == pytest.approx(1 / m**2, rel=1e-4)


@pytest.mark.parametrize("z", [15.0, -15.0])
def test_08_a_shifted_window_looks_where_it_stands(z):
    aside = jw.angular_spectrum(beam(), z, y=2.0, x=-1.8).u
    wide = jw.angular_spectrum(beam(), z, shape=(60, 56)).u
    assert error(aside, wide[14:54, 7:43]) < 1e-3


def test_09_a_medium_is_a_shorter_wavelength():
    spark = np.zeros((40, 36), complex)
    spark[20, 18] = 1.0
    one = jw.scalar_field(spark, spacing=0.25, wavelength=0.75)
    two = jw.scalar_field(spark, spacing=0.25, wavelength=0.5)
    got, need = jw.angular_spectrum(one, 40.0, n=1.5), jw.angular_spectrum(two, 40.0)
    assert error(got.u, need.u) < 1e-5
    assert float(need.power) > 0.01 * float(two.power)


def test_10_inverses_and_tilts():
    light = beam()
    back = jw.ff_lens(jw.ff_lens(light, 500.0), 500.0, inverse=True)
    assert error(back.u, light.u) < 1e-5  # not -u
    tilted = jw.plane_wave((8, 8), spacing=0.25, wavelength=W, kx=2.0)  # rad/µm
    turned = np.angle(np.asarray(tilted.u[0, 1] / tilted.u[0, 0]))
    assert turned == pytest.approx(2.0 * 0.25, rel=1e-5)


@pytest.mark.parametrize("count", [48, 49])
def test_11_no_tilt_in_a_defocus(count):
    """The axis is the sample N // 2 of fields, stops and masks alike."""
    wave = jw.plane_wave((count, count), spacing=1.0, wavelength=W)
    stop = jw.circular_aperture(wave, 20.0)
    y, x = stop.y / 20.0, stop.x / 20.0
    opd = jw.zernike_opd([0.5], [(2, 0)], y, x)
    weight = np.asarray(stop.amplitude) * np.asarray(opd)
    assert abs(np.sum(weight * axis(count, 1.0))) < 1e-4 * np.sum(np.abs(weight)) * 20
    part = np.asarray(stop.amplitude)[1 - count % 2 :, 1 - count % 2 :]
    np.testing.assert_allclose(part, part[::-1, ::-1], atol=1e-6)
    np.testing.assert_allclose(part, part.T, atol=1e-6)


def test_12_pixels_of_a_modulator_stay_where_they_are():
    levels = np.random.default_rng(0).uniform(-3, 3, (8, 7))
    wave = jw.scalar_field(np.ones((8, 7)), spacing=2.0, wavelength=W)
    assert error(jw.slm(wave, levels, pitch=2.0).u, np.exp(1j * levels)) < 1e-5


@pytest.mark.parametrize(("low", "high"), [(-np.pi, np.pi), (1.0, 3.0)])
def test_13_two_bits_are_four_levels(low, high):
    rule = quantized(4, low=low, high=high)
    values = rule.forward(jnp.linspace(low, high - 1e-3, 200) - 0.01)
    inside = {round(float(v), 4) for v in values if low - 1e-4 < v < high - 1e-4}
    assert len(inside) == 4


def test_14_a_fifth_of_a_photon():
    keys = jax.random.split(jax.random.key(0), 4)

    def mean(scale):
        return jnp.mean(
            jax.vmap(lambda k: jw.shot_noise(k, jnp.full((200, 200), 1.0) * scale))(keys)
        )

    value, slope = jax.value_and_grad(mean)(jnp.float32(0.2))
    assert float(value) == pytest.approx(0.2, rel=0.02)
    assert float(slope) == pytest.approx(1.0, rel=0.02)


def test_15_gradients_are_finite_and_not_zero():
    def wave(p):
        light = jw.point_source((16, 16), spacing=0.5, wavelength=p["w"], z=p["z"], n=p["n"])
        light = jw.circular_aperture(light, p["r"])
        light = jw.angular_spectrum(light, p["z"] + 3.0, n=p["n"], spacing=0.2)  # evanescent too
        y, x = light.y / p["r"], light.x / p["r"]
        light = jw.opd_mask(light, jw.zernike_opd([0.02], [(2, 0)], y, x))
        return jnp.sum(light.intensity[4:9] ** 2) * 1e3

    p = {k: jnp.float32(v) for k, v in dict(w=0.5, z=5.0, n=1.2, r=3.0).items()}
    slope = jax.jit(jax.grad(wave))(p)
    assert all(np.isfinite(v) and v != 0 for v in slope.values()), slope


def test_16_distances_and_colors_together():
    light = beam(wavelength=np.array([[0.5], [0.6]]))
    got = jw.angular_spectrum(light, np.array([5.0, 20.0, -9.0]))
    assert got.shape[:2] == (2, 3) or got.batch_shape == (2, 3)
    one = jw.angular_spectrum(beam(wavelength=0.6), 20.0)
    assert error(got.u[1, 1], one.u) < 1e-5
