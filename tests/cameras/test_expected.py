"""The expected error of a camera against the mean error over drawn scenes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from interpreter import interpreted

from jaxwave import convolve_psf, wiener
from jaxwave.cameras import expected_error


def psfs():
    """Two depths, three colors, eight by seven pixels; a part of the light is missing."""
    rng = np.random.default_rng(0)
    j, i = np.arange(8)[:, None] - 4, np.arange(7) - 3
    h = [
        [np.exp(-(j**2) / a - (i - d) ** 2 / b) for a, b in ((1, 2), (2, 3), (1, 1))]
        for d in (0, 1)
    ]
    h = np.array(h) + 0.05 * rng.random((2, 3, 8, 7))
    return 0.8 * h / h.sum((-2, -1), keepdims=True)


@pytest.mark.parametrize(
    ("scene", "haze"), [("natural", True), ("natural", False), ("white", True)]
)
def test_expected_error_is_the_mean_of_drawn_ones(scene, haze):
    shape, h, weight = (18, 15), psfs(), 0.03
    rng, noise = np.random.default_rng(1), np.array([0.01, 0.02, 0.03])
    fy, fx = np.fft.fftfreq(18)[:, None], np.fft.fftfreq(15)
    power = 1 / (fy**2 + fx**2 + 1 / 270) if scene == "natural" else np.ones(shape)
    drawn = rng.normal(size=(400, 1, 3, *shape))
    scenes = np.fft.ifft2(np.fft.fft2(drawn) * np.sqrt(power / power.mean())).real
    images = np.asarray(convolve_psf(scenes, h, boundary="periodic"))
    if haze:
        images = images + 0.2 * scenes.mean((-2, -1), keepdims=True)
    images = images + rng.normal(size=images.shape) * np.sqrt(noise)[:, None, None]
    options = {"scene": scene, "haze": haze}
    found = wiener(images, h, weight, depths=0, boundary="periodic", **options)
    errors = ((np.asarray(found) - scenes) ** 2).mean((-2, -1))
    got = expected_error(h, noise, shape=shape, weight=weight, **options)
    spread = errors.std(0) / 20  # of the mean of 400
    assert np.all(np.abs(got - errors.mean(0)) < 4 * spread)
    assert np.all(spread < 0.05 * np.asarray(got))
    # No other weight is expected to do better than the noise itself.
    best = expected_error(h, noise, shape=shape, **options).mean(0)
    for factor in (0.8, 1.25):
        other = expected_error(h, noise, shape=shape, weight=factor * noise, **options).mean(0)
        assert np.all(other > best)


def test_gradient_of_the_expected_error():
    step, h = 1e-6, psfs()[:, 0]

    def merit(h, weight):
        return jnp.max(expected_error(h, 0.02, shape=(9, 10), weight=weight))

    with jax.enable_x64(True):
        by_psf, by_weight = interpreted(jax.grad(merit, (0, 1)))(h, np.array(0.05))
        run = interpreted(merit)
        slope = (run(h, np.array(0.05 + step)) - run(h, np.array(0.05 - step))) / (2 * step)
        np.testing.assert_allclose(by_weight, slope, rtol=1e-6)
        for place in [(0, 4, 3), (1, 2, 2), (1, 7, 6)]:
            move = np.zeros(h.shape)
            move[place] = step
            slope = (run(h + move, 0.05) - run(h - move, 0.05)) / (2 * step)
            np.testing.assert_allclose(by_psf[place], slope, rtol=1e-5, atol=1e-8)


def test_mistakes_are_named():
    h = psfs()
    with pytest.raises(ValueError, match="depths"):
        expected_error(h[0, 0], 0.1, shape=(9, 9))
    with pytest.raises(ValueError, match=r"at least that of a PSF \(8, 7\)"):
        expected_error(h, 0.1, shape=(7, 9))
    with pytest.raises(ValueError, match="`noise`"):
        expected_error(h, 0.0, shape=(9, 9))
    with pytest.raises(ValueError, match="`scene`"):
        expected_error(h, 0.1, shape=(9, 9), scene="pink")
