"""Partial coherence: statistics of speckle, modes of the Schell model, van Cittert-Zernike."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import TAU, axis, error
from scipy.special import j1

import jaxwave as jw

GRID = dict(spacing=(0.5, 0.4), wavelength=0.5)


@pytest.fixture(scope="module")
def speckles():
    keys = jax.random.split(jax.random.key(7), 6)
    make = jax.jit(jax.vmap(lambda k: jw.speckle(k, (128, 150), na=0.25, power=2.0, **GRID)))
    return make(keys)


def test_speckle_has_contrast_one_and_unpolarized_speckle_less(speckles):
    i = np.asarray(speckles.intensity, float)
    contrast = i.std(axis=(1, 2)) / i.mean(axis=(1, 2))
    # About 2000 speckles in a window: the contrast fluctuates by 2 %.
    assert np.abs(contrast - 1).max() < 0.08 and abs(contrast.mean() - 1) < 0.03
    both = i[::2] + i[1::2]
    contrast = both.std(axis=(1, 2)) / both.mean(axis=(1, 2))
    assert abs(contrast.mean() - 0.5**0.5) < 0.03
    np.testing.assert_allclose(speckles.power.mean(), 2.0, rtol=0.03)


def test_speckle_is_as_wide_as_the_aperture_says(speckles):
    i = np.asarray(speckles.intensity, float)
    i = i / i.mean() - 1
    correlation = np.fft.ifft2(np.abs(np.fft.fft2(i)) ** 2).real.mean(0) / i[0].size
    x = np.arange(1, 6) * 0.4
    v = TAU * 0.25 * x / 0.5
    np.testing.assert_allclose(correlation[0, 1:6], (2 * j1(v) / v) ** 2, atol=0.05)
    y = np.arange(1, 5) * 0.5
    v = TAU * 0.25 * y / 0.5
    np.testing.assert_allclose(correlation[1:5, 0], (2 * j1(v) / v) ** 2, atol=0.05)


def test_modes_of_the_schell_model():
    kind = dict(waist=(4.0, 5.0), coherence=6.0, **GRID)
    modes = jw.gaussian_schell_beam((40, 46), order=14, power=3.0, **kind)
    y, x = axis(40, 0.5), axis(46, 0.4)
    w2y, w2x = 16.0, 25.0
    need = 3 * 2 / (np.pi * 20) * np.exp(-2 * y[:, None] ** 2 / w2y - 2 * x**2 / w2x)
    assert error(jw.total_intensity(modes), need) < 2e-3  # the orders that are left out
    # Coherence between (y, x) and the sample (18, 27), which differs from it along both axes.
    u = np.asarray(modes.u, complex)
    got = np.einsum("k,kyx->yx", u[:, 18, 27].conj(), u)
    here = y[18], x[27]
    need = np.exp(-(y**2 + here[0] ** 2) / w2y - (y - here[0]) ** 2 / 72)[:, None] * np.exp(
        -(x**2 + here[1] ** 2) / w2x - (x - here[1]) ** 2 / 72
    )
    assert error(got, need * 6 / (np.pi * 20)) < 2e-3
    with pytest.warns(jw.JaxwaveWarning, match="of the power is in modes of the order 2"):
        jw.gaussian_schell_beam((8, 8), order=2, **kind)


def test_a_less_coherent_beam_spreads_faster():
    """Beam quality M2 = sqrt(1 + w^2 / sigma^2): the width at a distance, in closed form."""
    waist, sigma, z = 5.0, 4.0, 80.0
    modes = jw.gaussian_schell_beam(
        (96, 96), waist=waist, coherence=sigma, order=16, z=z, spacing=0.8, wavelength=0.5
    )
    i = np.asarray(jw.total_intensity(modes), float)
    x = axis(96, 0.8)
    width = 2 * np.sqrt((i.sum(0) * x**2).sum() / i.sum())
    quality = np.sqrt(1 + waist**2 / sigma**2)
    need = waist * np.sqrt(1 + (quality * z * 0.5 / (np.pi * waist**2)) ** 2)
    np.testing.assert_allclose(width, need, rtol=5e-3)


def test_van_cittert_and_zernike():
    """The coherence that an LED disk makes at a distance is 2 J1(v) / v."""
    radius, z, wavelength = 30.0, 5000.0, 0.5
    points = jw.illumination_points(radius, rings=6)
    light = jw.point_source(
        (1, 121), spacing=2.0, wavelength=wavelength, z=z, y=points[:, 0], x=points[:, 1],
        power=points[:, 2],
    )  # fmt: skip
    u = np.asarray(light.u[:, 0], complex)
    mutual = np.einsum("k,kx->x", u[:, 60].conj(), u)
    i = np.sum(np.abs(u) ** 2, 0)
    got = np.abs(mutual) / np.sqrt(i * i[60])
    v = TAU * radius * np.abs(axis(121, 2.0)) / (wavelength * z)
    need = np.abs(2 * j1(v) / np.where(v, v, 1))
    need[60] = 1
    np.testing.assert_allclose(got, need, atol=2e-3)


def test_a_spectrum_keeps_its_power_and_its_mean():
    rng = np.random.default_rng(0)
    w, s = np.sort(rng.uniform(0.45, 0.7, 40)), rng.uniform(0, 1, 40)
    fine = np.linspace(w[0], w[-1], 200001)
    mean = np.average(fine, weights=np.interp(fine, w, s))
    for count in (1, 3, 16):
        wavelengths, weights = jw.spectrum(w, s, count=count)
        assert wavelengths.shape == (count,)
        np.testing.assert_allclose(weights.sum(), 1, rtol=1e-5)
        np.testing.assert_allclose((weights * wavelengths).sum(), mean, rtol=2e-6)
        half = np.interp(fine, w, s)[: 100001 // 1].sum() / np.interp(fine, w, s).sum()
        if count == 16:
            np.testing.assert_allclose(weights[:8].sum(), half, atol=2e-3)


def test_wavelengths_are_added_on_one_grid():
    pupil = jw.plane_wave((64, 64), spacing=50.0, wavelength=[0.5, 0.7], power=[0.3, 0.7])
    pupil = jw.circular_aperture(pupil, 1200.0)
    with pytest.raises(ValueError, match="total_intensity: the spacing must be one along the axis"):
        jw.total_intensity(jw.ff_lens(pupil, 1e5))
    image = jw.total_intensity(jw.ff_lens(pupil, 1e5, spacing=8.0, shape=(101, 101)))
    # An Airy disk whose width follows the wavelength, once, not twice.
    r = np.abs(axis(101, 8.0)) + 1e-9
    need = 0
    for power, w in ((0.3, 0.5), (0.7, 0.7)):
        v = TAU * 1200.0 * r / (w * 1e5)
        need = need + power / (w * 1e5) ** 2 * (2 * j1(v) / v) ** 2
    got = np.asarray(image[50])
    np.testing.assert_allclose(got / got.max(), need / need.max(), atol=3e-3)


def test_sums_take_the_memory_of_a_batch():
    numbers = jnp.arange(1.0, 12.0)
    for batch in (1, 4, 11, 20):
        got = jw.incoherent_sum(lambda a: {"square": a**2, "one": a**0}, numbers, batch=batch)
        assert float(got["square"]) == 506 and float(got["one"]) == 11
    waves = jw.plane_wave((8, 8), spacing=0.5, wavelength=[0.5, 0.6, 0.7])
    np.testing.assert_allclose(
        jw.incoherent_sum(lambda f: f.intensity, waves, batch=2), waves.intensity.sum(0), rtol=1e-6
    )

    def big(batch):
        def image(a):
            return jnp.abs(jnp.fft.fft2(a * jnp.ones((256, 256)))) ** 2

        def loss(a):
            return jnp.sum(jw.incoherent_sum(image, a, batch=batch))

        compiled = jax.jit(jax.grad(loss)).lower(jnp.ones(64)).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert big(2) < 0.1 * big(64)
    with pytest.raises(ValueError, match="incoherent_sum: `modes` must have one first axis"):
        jw.incoherent_sum(jnp.sum, (jnp.ones(3), jnp.ones(4)))


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="spectrum: `wavelength` must increase"):
        jw.spectrum([0.5, 0.4], [1.0, 1.0], count=2)
    with pytest.raises(ValueError, match=r"spectrum: `sum\(density\)` must be other than zero"):
        jw.spectrum([0.5, 0.6], [0.0, 0.0], count=2)
    with pytest.raises(ValueError, match="must be two arrays of equal length"):
        jw.spectrum([0.5, 0.6], [1.0, 1.0, 1.0], count=2)
    with pytest.raises(ValueError, match="`axis` must be one of the field's 0 batch axes"):
        jw.total_intensity(jw.plane_wave((4, 4), spacing=0.5, wavelength=0.5))
    with pytest.warns(jw.JaxwaveWarning, match="speckle: the grid cuts the aperture"):
        jw.speckle(jax.random.key(0), (8, 8), spacing=1.0, wavelength=0.5, na=0.9)
