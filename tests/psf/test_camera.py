"""Effects of camera, bead and spectrum against closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf

from jaxwave import psf

SIGMA, D = 0.2, 0.05


def gaussian(sigma=SIGMA, n=81):
    x = (np.arange(n) - n // 2) * D
    r2 = x[:, None] ** 2 + x**2
    return jnp.asarray(np.exp(-r2 / (2 * sigma**2)) / (2 * np.pi * sigma**2))


def test_pixels_of_a_gaussian():
    p = 0.3

    def edge(count):
        x = (np.arange(count) - count // 2) * p
        return 0.5 * (erf((x + p / 2) / SIGMA / 2**0.5) - erf((x - p / 2) / SIGMA / 2**0.5))

    got = psf.integrate_pixels(gaussian(), (9, 12), spacing=D, pixel=p)
    assert np.allclose(got, np.outer(edge(9), edge(12)), atol=2e-6)


def test_blur_adds_variances():
    got = psf.gaussian_blur(gaussian(), spacing=D, sigma=0.15)
    assert np.allclose(got, gaussian(0.25), atol=2e-5)


def test_bead_adds_its_variance():
    """A sphere's projection has the variance d^2 / 20 in every axis; in z it averages planes."""
    d = 0.5
    stack = psf.bead_intensity(
        lambda z: (1 + z[:, None, None] ** 2) * gaussian(),
        jnp.array([0.0, 0.3]),
        diameter=d,
        spacing=D,
    )
    x = (np.arange(81) - 40) * D
    one = np.asarray(stack[0])
    assert np.sum(one * x**2) / np.sum(one) == pytest.approx(SIGMA**2 + d**2 / 20, rel=1e-2)
    assert np.sum(one) * D**2 == pytest.approx(1 + d**2 / 20, rel=1e-4)
    assert np.sum(np.asarray(stack[1])) * D**2 == pytest.approx(1 + 0.09 + d**2 / 20, rel=1e-4)


def test_band_and_background():
    band = psf.band_average(lambda w: w * gaussian(), [0.5, 0.6], weight=[1.0, 3.0])
    assert np.allclose(band, 0.575 * gaussian(), rtol=1e-5)
    got = psf.expected_photons(jnp.full((2, 3), 0.1), photons=50.0, background=2.0)
    assert np.allclose(got, 7.0)
    with pytest.raises(ValueError, match="`weight` must be positive, got 0"):
        psf.band_average(lambda w: w, [0.5, 0.6], weight=[0.0, 0.0])
    with pytest.raises(ValueError, match="one image for each of the 10 positions"):
        psf.bead_intensity(lambda z: gaussian(), jnp.zeros(2), diameter=0.1, spacing=D)
    with pytest.raises(ValueError, match="one number for each wavelength"):
        psf.band_average(lambda w: w, [0.5, 0.6], weight=[1.0])
