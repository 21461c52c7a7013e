"""Cameras against explicit areas, the Poisson distribution and the photon transfer curve.

Random tests use fixed keys and five standard errors of their own sample, unless they say more.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxwave import sensors
from jaxwave.sensors import (
    add_read_noise,
    camera,
    counts_variance,
    expected_counts,
    expose,
    pixel_integrate,
    pixel_otf,
    quantize,
    saturate,
    shot_noise,
)

KEY = jax.random.key(1)
sample = jax.jit(shot_noise)


def within_errors(samples, expected, errors=5):
    """The mean of the samples agrees within standard errors of the sample itself."""
    samples = np.asarray(samples, np.float64).ravel()
    error = samples.std() / math.sqrt(samples.size)
    assert abs(samples.mean() - expected) < errors * error + 1e-12


# -- pixels --------------------------------------------------------------------------------


def shared_area(intensity, spacing, pitch, shape, fill=1.0):
    """Every pair of sample and pixel, one by one."""

    def length(i, n, dx, j, m, p):
        low = max((i - n // 2 - 0.5) * dx, (j - m // 2 - 0.5 * math.sqrt(fill)) * p)
        high = min((i - n // 2 + 0.5) * dx, (j - m // 2 + 0.5 * math.sqrt(fill)) * p)
        return max(high - low, 0.0)

    (ny, nx), (my, mx) = intensity.shape, shape
    rows = [[length(i, ny, spacing[0], j, my, pitch[0]) for i in range(ny)] for j in range(my)]
    columns = [[length(i, nx, spacing[1], j, mx, pitch[1]) for i in range(nx)] for j in range(mx)]
    return np.array(rows) @ intensity @ np.array(columns).T


@pytest.mark.parametrize(
    ("spacing", "pitch", "shape", "fill"),
    [
        ((0.3, 0.2), (0.71, 0.65), (5, 4), 1.0),
        ((0.3, 0.2), (0.71, 0.65), (4, 5), 0.6),
        ((0.5, 0.5), (0.2, 0.15), (9, 30), 1.0),  # pixels smaller than samples
        ((0.1, 0.1), (7.0, 9.0), (1, 2), 0.25),  # one pixel larger than the window
        ((0.1, 0.1), (0.1, 0.1), (11, 8), 1.0),
    ],
)
def test_pixels_against_shared_areas(spacing, pitch, shape, fill):
    intensity = np.random.default_rng(0).uniform(size=(11, 8))
    expected = shared_area(intensity, spacing, pitch, shape, fill)
    collect = jax.jit(partial(pixel_integrate, shape=shape))
    arguments = {"spacing": np.array(spacing), "pitch": np.array(pitch), "fill_factor": fill}
    result = collect(intensity, **arguments)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-7)  # float32
    with jax.enable_x64(True):
        result = collect(intensity, **arguments)
        np.testing.assert_allclose(result, expected, rtol=1e-13, atol=1e-16)


def test_whole_ratios_are_binning():
    intensity = np.random.default_rng(0).uniform(size=(9, 15))
    collect = jax.jit(pixel_integrate, static_argnames="shape")
    same = collect(intensity, spacing=0.5, pitch=0.5, shape=(9, 15))
    np.testing.assert_allclose(same, 0.25 * intensity, rtol=1e-6)  # float32
    binned = intensity.reshape(3, 3, 5, 3).sum((1, 3))
    result = collect(intensity, spacing=1.0, pitch=3.0, shape=(3, 5))
    np.testing.assert_allclose(result, binned, rtol=1e-6)


@jax.jit
def caught_light(intensity, pitch):
    return pixel_integrate(intensity, spacing=0.1, pitch=pitch, shape=(68, 67)).sum()


@given(st.floats(0.2, 3.0), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_light_is_conserved(ratio, seed):
    # A camera larger than the window catches all of it, whatever the ratio.
    intensity = np.random.default_rng(seed).uniform(size=(12, 11))
    light = float(caught_light(intensity, 0.1 * ratio))
    assert light == pytest.approx(0.01 * intensity.sum(), rel=2e-5)  # float32


def test_a_gaussian_spot_against_its_integral():
    # Closed form: differences of error functions. A cut sample errs by slope * spacing^2 / 8 at
    # most, a pixel has two of them along both axes: 0.15 (spacing / s)^2 of the peak.
    s, pitch, centers = 0.5, 0.65, np.arange(7) - 3
    edges = (np.append(centers, 4) - 0.5) * pitch
    part = np.diff(scipy.special.erf(edges / (s * math.sqrt(2)))) / 2
    for n, spacing in [(26, 0.21), (41, 0.125), (82, 0.0625), (200, 0.027)]:
        x = (np.arange(n) - n // 2) * spacing
        spot = np.exp(-(x**2) / (2 * s * s)) / (s * math.sqrt(2 * math.pi))
        collect = jax.jit(partial(pixel_integrate, shape=(7, 7)))
        result = collect(np.outer(spot, spot), spacing=spacing, pitch=pitch)
        error = np.max(np.abs(np.asarray(result) - np.outer(part, part))) / part[3] ** 2
        assert error < 0.15 * (spacing / s) ** 2


def test_pixel_gradients_against_finite_differences():
    intensity = np.random.default_rng(0).uniform(size=(11, 8))
    weight = np.random.default_rng(1).normal(size=(4, 5))

    def total(spacing, pitch, fill, image):
        pixels = pixel_integrate(
            image, spacing=spacing, pitch=pitch, shape=(4, 5), fill_factor=fill
        )
        return jnp.sum(weight * pixels)

    with jax.enable_x64(True):
        point = np.array([0.3, 0.2]), np.array([0.71, 0.45]), np.array(0.83), intensity
        value, slopes = jax.jit(total), jax.jit(jax.grad(total, argnums=(0, 1, 2, 3)))(*point)
        for k, slope in enumerate(slopes):
            direction = np.random.default_rng(2).normal(size=np.shape(point[k]))

            def along(t, k=k, direction=direction):
                moved = [p + t * direction if j == k else p for j, p in enumerate(point)]
                return float(value(*moved))

            difference = (along(1e-7) - along(-1e-7)) / 2e-7
            # The areas are quadratic; rounding divided by the step leaves 1e-8.
            assert np.sum(np.asarray(slope) * direction) == pytest.approx(difference, rel=1e-6)


def test_pixel_gradient_is_finite_where_edges_coincide():
    image = jnp.ones((9, 9))
    total = partial(pixel_integrate, image, spacing=1.0, shape=(3, 3))
    slope = jax.jit(jax.grad(lambda p: total(pitch=p)[1, 1]))(3.0)
    assert float(slope) == pytest.approx(6.0)  # closed form: d(pitch^2) of a flat image


def test_pixel_batches():
    images = np.random.default_rng(0).uniform(size=(3, 6, 7))
    pitch = jnp.array([0.3, 0.4, 0.5])[:, None] * jnp.ones(2)
    collect = jax.jit(partial(pixel_integrate, spacing=0.1, shape=(2, 3)))
    result = collect(images, pitch=pitch)
    assert result.shape == (3, 2, 3)
    for k in range(3):
        alone = collect(images[k], pitch=pitch[k])
        np.testing.assert_allclose(result[k], alone, rtol=1e-5)  # float32
    named = pixel_integrate(images, spacing="100 nm", pitch="0.3 um", shape=(2, 3))
    np.testing.assert_allclose(named[0], result[0], rtol=1e-5)


def test_pixel_otf_is_the_transform_of_a_pixel():
    # Midpoint sums of exp(-2 pi i f x) over the sensitive rectangle: second order, 1e-6.
    pitch, fill, fy, fx = np.array([0.65, 0.5]), 0.64, 0.7, -1.1
    t = (np.arange(1000) + 0.5) / 1000 - 0.5
    expected = [
        np.mean(np.cos(2 * np.pi * f * 0.8 * p * t)) for f, p in zip((fy, fx), pitch, strict=True)
    ]
    result = pixel_otf(fy, fx, pitch=pitch, fill_factor=fill)
    assert float(result) == pytest.approx(math.prod(expected), rel=3e-6)
    grid = pixel_otf(np.ones((3, 1)), np.ones((1, 4)), pitch=np.ones((2, 2)))
    assert grid.shape == (2, 3, 4)
    slope = jax.jit(jax.grad(lambda p: pixel_otf(0.0, 0.0, pitch=p)))(0.5)
    assert slope == 0


# -- shot noise ----------------------------------------------------------------------------

MEANS = [1e-3, 0.2, 3.0, 15.9, 16.1, 60.0, 1e3, 1e4, 1e6]


@pytest.fixture(scope="module")
def samples():
    count = 1 << 18
    return {mean: np.asarray(sample(KEY, jnp.full(count, mean)), np.float64) for mean in MEANS}


@pytest.mark.parametrize("mean", MEANS)
def test_shot_noise_has_the_poisson_distribution(samples, mean):
    s = samples[mean]
    assert s.dtype == np.float64
    assert np.all(s == np.round(s))
    assert s.min() >= 0
    n = s.size
    # Standard errors of mean and variance: sqrt(L / n) and sqrt((2 L^2 + L) / n).
    assert abs(s.mean() - mean) < 4 * math.sqrt(mean / n)
    assert abs(s.var() - mean) < 4 * math.sqrt((2 * mean**2 + mean) / n)
    # Kolmogorov-Smirnov against scipy: 1.95 / sqrt(n) is exceeded once in a thousand keys.
    values, counts = np.unique(s, return_counts=True)
    distance = np.abs(np.cumsum(counts) / n - scipy.stats.poisson.cdf(values, mean))
    assert distance.max() < 1.95 / math.sqrt(n)


def test_probabilities_are_right_at_both_sides_of_the_seam():
    # Not random: the inverse at scipy's probabilities P(s > k) gives k + 1 just below and k
    # just above. The normal expansion moves a step by at most 3e-5.
    with jax.enable_x64(True):
        few, many = jax.jit(sensors._few), jax.jit(sensors._many)
        for mean, inverse, error in [
            (0.3, few, 1e-12),
            (15.9, few, 1e-12),
            (16.0, many, 3e-5),
            (500.0, many, 3e-5),
        ]:
            k = np.arange(int(mean + 8 * math.sqrt(mean)) + 2)
            k = k[scipy.stats.poisson.pmf(k, mean) > 3 * error]
            tail = scipy.stats.poisson.sf(k, mean)
            means = jnp.full(len(k), mean)
            np.testing.assert_array_equal(inverse(jnp.asarray(tail - error), means), k + 1)
            np.testing.assert_array_equal(inverse(jnp.asarray(tail + error), means), k)


def test_rare_electrons():
    # P(1) = 1e-6 has to be resolved by the random numbers: 2^-23 alone would be 12 % off.
    n = 1 << 21
    total = float(jnp.sum(sample(KEY, jnp.full(n, 1e-4))))
    assert abs(total - n * 1e-4) < 5 * math.sqrt(n * 1e-4)
    tail = jnp.asarray([0.99e-9, 1.01e-9], jnp.float32)
    assert jax.jit(sensors._few)(tail, jnp.full(2, 1e-9)).tolist() == [1, 0]


def test_no_light_gives_no_electrons():
    assert jnp.all(sample(KEY, jnp.zeros(1000)) == 0)
    assert jax.eval_shape(shot_noise, KEY, 0).shape == ()
    traced = sample(KEY, jnp.array([-1.0, jnp.nan, 5.0]))
    assert traced[0] == 0
    assert jnp.isnan(traced[1])


def test_one_key_gives_one_sample():
    mean = jnp.linspace(0, 100, 1000)
    first, again = sample(KEY, mean), sample(KEY, mean)
    assert jnp.all(first == again)
    assert jnp.any(first != sample(jax.random.key(2), mean))
    keys = jax.random.split(KEY, 3)
    mapped = jax.jit(jax.vmap(shot_noise, (0, None)))(keys, mean)
    for k in range(3):
        np.testing.assert_array_equal(mapped[k], sample(keys[k], mean))
    brighter = sample(KEY, jnp.full(1000, 16.5)) - sample(KEY, jnp.full(1000, 15.5))
    assert jnp.all(brighter >= 0)


@pytest.mark.parametrize("mean", [0.02, 0.2, 1.0, 15.0, 17.0, 1e3])
def test_derivative_is_unbiased_for_quadratic_losses(mean):
    n = 1 << 19

    def draws(light):
        return shot_noise(KEY, light)

    s, slope = jax.jit(lambda x: jax.jvp(draws, (x,), (jnp.ones(n),)))(jnp.full(n, mean))
    s, slope = np.asarray(s, np.float64), np.asarray(slope, np.float64)
    within_errors(slope, 1.0)  # d<s>/dL
    within_errors(2 * s * slope, 2 * mean + 1)  # d<s^2>/dL = d(L^2 + L)/dL
    target = 1.3 * mean + 0.4
    within_errors(2 * (s - target) * slope, 2 * (mean - target) + 1)


def test_derivative_at_zero_is_finite():
    slope = jax.jit(jax.grad(lambda x: shot_noise(KEY, x).sum()))
    assert jnp.all(slope(jnp.zeros(100)) == 1)
    assert jnp.all(jnp.isfinite(slope(jnp.full(100, 1e-38))))
    second = jax.jit(jax.grad(lambda x: slope(x).sum()))(jnp.ones(100))
    assert jnp.all(second == 0)


# -- the other stages ----------------------------------------------------------------------


def test_expose():
    photons = jnp.array([[10.0, 0.0], [20.0, 5.0]])
    efficiency = jnp.array([[0.5, 1.0], [0.25, 0.0]])
    mean = expose(photons, quantum_efficiency=efficiency, dark_current=3.0, exposure=0.5)
    assert mean.tolist() == [[6.5, 1.5], [6.5, 1.5]]


def test_read_noise():
    noise = np.asarray(add_read_noise(KEY, jnp.full((400, 400), 7.0), read_noise=1.6)) - 7.0
    within_errors(noise, 0.0)
    within_errors(noise**2, 1.6**2)
    map_of = jnp.array([0.0, 2.0])
    noisy = add_read_noise(KEY, jnp.zeros((5000, 2)), read_noise=map_of)
    noisy = np.asarray(noisy)
    assert np.all(noisy[:, 0] == 0)
    assert float(noisy[:, 1].std()) == pytest.approx(2, rel=0.05)  # sqrt(1 / 2 n) = 1 %
    total = jax.jit(jax.grad(lambda s: add_read_noise(KEY, jnp.ones(3), read_noise=s).sum()))
    slope = total(1.0)
    assert float(slope) == pytest.approx(float(jax.random.normal(KEY, (3,)).sum()), rel=1e-6)


def test_saturation_has_no_derivative_above_the_full_well():
    electrons = jnp.array([5.0, 9.999, 10.0, 12.0])
    assert saturate(electrons, full_well=10.0)[-2:].tolist() == [10, 10]
    slope = jax.jit(jax.grad(lambda e: saturate(e, full_well=10.0).sum()))(electrons)
    assert slope.tolist() == [1, 1, 0, 0]
    assert jax.grad(lambda w: saturate(electrons, full_well=w).sum())(10.0) == 2


@pytest.mark.parametrize("bits", [1, 8, 12, 16, 24])
def test_quantize_covers_its_range(bits):
    top = 2**bits - 1
    electrons = jnp.array([-1e9, -0.3, 0.0, 0.6, top / 2, top - 0.4, top, top + 5.0, 1e9])
    convert = jax.jit(partial(quantize, bit_depth=bits))
    counts = np.asarray(convert(electrons))
    assert counts[0] == counts[1] == counts[2] == 0
    assert counts[3] == 1
    assert jnp.all(counts[-4:] == top)
    assert jnp.all(counts == jnp.round(counts))
    everything = convert(np.arange(2.0 ** min(bits, 12)))
    assert len(np.unique(everything)) == 2 ** min(bits, 12)


def test_quantize_is_straight_through():
    electrons = jnp.array([-50.0, 1.3, 20.0, 5000.0])

    def counts(e, gain=2.0, offset=4.0):
        return quantize(e, gain=gain, offset=offset, bit_depth=10)

    assert counts(electrons).tolist() == [0, 5, 14, 1023]
    assert jax.jit(jax.grad(lambda e: counts(e).sum()))(electrons).tolist() == [0, 0.5, 0.5, 0]
    gain = jax.jit(jax.grad(lambda g: counts(electrons, gain=g).sum()))(2.0)
    assert float(gain) == pytest.approx(-(1.3 + 20) / 4)  # d(e / g)/dg
    assert jax.jit(jax.grad(lambda o: counts(electrons, offset=o).sum()))(4.0) == 2


# -- the whole camera ----------------------------------------------------------------------

SETTINGS = {"quantum_efficiency": 0.7, "dark_current": 4.0, "exposure": 0.5, "offset": 100.0}


def test_mean_and_variance_of_the_counts():
    noise = {"read_noise": 3.0, "gain": 0.46}
    shoot = jax.jit(partial(camera, **SETTINGS, **noise))
    for photons in [0.0, 5.0, 300.0]:
        image = jnp.full((300, 300), photons)
        counts = np.asarray(shoot(KEY, image), np.float64)
        mean = float(expected_counts(photons, **SETTINGS, gain=0.46))
        assert mean == pytest.approx((0.7 * photons + 2) / 0.46 + 100, rel=1e-6)
        within_errors(counts, mean)
        parts = {k: v for k, v in SETTINGS.items() if k != "offset"}
        variance = float(counts_variance(photons, **parts, **noise))
        assert variance == pytest.approx((0.7 * photons + 2 + 9) / 0.46**2 + 1 / 12, rel=1e-6)
        within_errors((counts - mean) ** 2, variance)


def test_photon_transfer_curve():
    # Variance against mean is a line of slope 1 / gain that starts at the read noise.
    gain, read_noise = 2.2, 5.0
    levels = np.linspace(50, 20000, 8)
    shoot = jax.jit(lambda key, n: camera(key, n, read_noise=read_noise, gain=gain, offset=100.0))
    keys = jax.random.split(KEY, len(levels))
    images = [shoot(k, jnp.full((256, 256), n)) for k, n in zip(keys, levels, strict=True)]
    images = np.asarray(images, np.float64)
    mean, variance = images.mean((1, 2)) - 100, images.var((1, 2))
    weight = 1 / variance  # the standard error of a variance is proportional to it
    slope, start = np.polyfit(mean, variance, 1, w=weight)
    # sqrt(2 / 65536) = 0.55 % for each of the 8 levels.
    assert slope == pytest.approx(1 / gain, rel=0.01)
    assert start == pytest.approx((read_noise / gain) ** 2 + 1 / 12, rel=0.1)


def test_saturated_images():
    bright = jnp.full((40, 40), 5000.0)
    full = jax.jit(partial(camera, full_well=1000.0, gain=2.0, offset=50.0))
    assert jnp.all(full(KEY, bright) == 550)
    assert jnp.all(jax.jit(partial(camera, gain=2.0, bit_depth=8))(KEY, bright) == 255)
    assert expected_counts(5000.0, full_well=1000.0, gain=2.0, offset=50.0) == 550
    assert expected_counts(5000.0, gain=2.0, bit_depth=8) == 255
    for limit in ({"full_well": 1000.0}, {"bit_depth": 8}):
        for function in (partial(camera, KEY), expected_counts):
            slope = jax.jit(jax.grad(lambda p, f=function, k=limit: f(p, **k).sum()))(bright)
            assert jnp.all(slope == 0)


def test_camera_is_deterministic_and_maps_over_keys():
    image = jnp.linspace(0, 50, 60).reshape(6, 10)
    shoot = jax.jit(partial(camera, read_noise=1.0, gain=0.5, offset=10.0))
    assert jnp.all(shoot(KEY, image) == shoot(KEY, image))
    keys = jax.random.split(KEY, 4)
    mapped = jax.jit(jax.vmap(shoot, (0, None)))(keys, image)
    loop = jnp.stack([shoot(k, image) for k in keys])
    # Two programs may round a count on the border differently.
    assert float(jnp.mean(mapped == loop)) > 0.99
    assert len({tuple(np.ravel(m)) for m in np.asarray(mapped)}) == 4


def test_camera_gradient_points_the_right_way():
    # The gradient of the mean count is quantum efficiency / gain.
    image = jnp.full((200, 200), 30.0)
    total = jax.jit(jax.grad(lambda p: camera(KEY, p, **SETTINGS, read_noise=2.0, gain=0.5).sum()))
    slope = total(image)
    within_errors(slope, 0.7 / 0.5)
    mean = jax.grad(lambda p: expected_counts(p, **SETTINGS, gain=0.5).sum())(image)
    np.testing.assert_allclose(mean, 1.4, rtol=1e-6)


def test_camera_in_float64_and_with_maps():
    with jax.enable_x64(True):
        shoot = jax.jit(partial(camera, gain=np.linspace(0.5, 2, 4), read_noise=1.0))
        counts = shoot(KEY, np.full((3, 4), 7.0))
        assert counts.dtype == jnp.float64
        assert counts.shape == (3, 4)
        big = sample(KEY, np.full(1 << 16, 1e6))
        within_errors(big, 1e6)
        within_errors((big - 1e6) ** 2, 1e6)
    assert camera(KEY, np.full((3, 4), 7, np.uint16)).dtype == jnp.float32


# -- bad input -----------------------------------------------------------------------------

ONE = np.ones((2, 3))
square = partial(pixel_integrate, spacing=1.0, pitch=1.0, shape=(2, 2))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: square(ONE[0]), ValueError, r"axes \(..., y, x\)"),
        (lambda: square(1j * ONE), TypeError, "`intensity` must be real.*field.intensity"),
        (lambda: square(ONE, pitch=-1.0), ValueError, "`pitch` must be positive, got -1.0 µm"),
        (lambda: square(ONE, spacing=0.0), ValueError, "`spacing` must be positive"),
        (lambda: square(ONE, shape=(0, 2)), ValueError, r"at least \(1, 1\)"),
        (lambda: square(ONE, fill_factor=1.2), ValueError, "`fill_factor` must be between 0 and 1"),
        (lambda: square(ONE, fill_factor=0.0), ValueError, "`fill_factor` must be positive"),
        (lambda: pixel_otf(0.0, 1j, pitch=1.0), TypeError, "`fx` must be real"),
        (lambda: pixel_otf(0.0, 1.0, pitch=0.0), ValueError, "`pitch` must be positive"),
        (lambda: expose(-ONE), ValueError, r"got -1.0 photons at index \(0, 0\)"),
        (lambda: expose(1j * ONE), TypeError, "Take the intensity of a field"),
        (lambda: expose(ONE, quantum_efficiency=80), ValueError, "between 0 and 1, got 80"),
        (lambda: expose(ONE, dark_current=-1.0), ValueError, "`dark_current` must be zero or more"),
        (lambda: expose(ONE, exposure=-1.0), ValueError, "got -1.0 s"),
        (lambda: shot_noise(KEY, np.array([1.0, -2.0])), ValueError, "got -2.0 electrons"),
        (lambda: shot_noise(KEY, np.nan), ValueError, "`electrons` must be zero or more, got nan"),
        (lambda: add_read_noise(KEY, ONE, read_noise=-1.0), ValueError, "got -1.0 electrons"),
        (lambda: add_read_noise(KEY, ONE, read_noise=np.ones(2)), ValueError, "must broadcast"),
        (lambda: saturate(ONE, full_well=0.0), ValueError, "`full_well` must be positive"),
        (lambda: quantize(ONE, gain=0.0), ValueError, "got 0.0 electrons/count"),
        (lambda: quantize(ONE, bit_depth=32), ValueError, "between 1 and 24, got 32"),
        (lambda: quantize(ONE, bit_depth=8.0), TypeError, "`bit_depth` must be an integer"),
        (lambda: quantize(ONE, offset=np.inf), ValueError, "`offset` must be finite"),
        (lambda: quantize(ONE, gain=np.ones(2)), ValueError, "must broadcast"),
        (lambda: counts_variance(ONE, gain=-1.0), ValueError, "`gain` must be positive"),
        (lambda: counts_variance(ONE, read_noise=-1.0), ValueError, "`read_noise` must be zero"),
        (lambda: expected_counts(ONE, bit_depth=0), ValueError, "between 1 and 24"),
        (lambda: camera(KEY, ONE, read_noise=-2.0), ValueError, "got -2.0 electrons"),
    ],
)
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_maps_that_do_not_fit_are_named():
    photons, wrong = np.ones((2, 4, 5)), np.ones((5, 4))
    for call in (
        lambda: camera(jax.random.key(0), photons, read_noise=wrong),
        lambda: expected_counts(photons, gain=wrong),
        lambda: counts_variance(photons, exposure=wrong),
        lambda: expose(photons, dark_current=wrong),
    ):
        with pytest.raises(ValueError, match=r"axes must broadcast .* `photons` \(2, 4, 5\)"):
            call()


def test_uniform_numbers_are_fine_grained_near_zero():
    """In half precision, whose steps are coarse enough to see: every cell near zero is filled."""
    u = np.asarray(sensors._uniform(jax.random.key(3), (400_000,), jnp.float16), float)
    eps = float(jnp.finfo(jnp.float16).eps)
    assert np.all((u > 0) & (u < 1)) and u.mean() == pytest.approx(0.5, abs=2e-3)
    counts, _ = np.histogram(u, np.linspace(0, 4 * eps, 17))  # four cells for each coarse step
    expected = 400_000 * eps / 4
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)
    assert np.unique(u[u < eps]).size > 300  # of about 390 numbers
