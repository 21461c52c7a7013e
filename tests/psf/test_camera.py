"""Effects of camera, bead and spectrum against closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf

from jaxwave import JaxwaveWarning, psf

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


def oblong(sigma, shape, spacing, at):
    """A Gaussian with two widths at (y, x), and its integrals over pixels."""
    (ny, nx), (dy, dx) = shape, spacing
    y, x = (np.arange(ny) - ny // 2) * dy - at[0], (np.arange(nx) - nx // 2) * dx - at[1]
    return np.outer(
        np.exp(-(y**2) / (2 * sigma[0] ** 2)), np.exp(-(x**2) / (2 * sigma[1] ** 2))
    ) / (2 * np.pi * sigma[0] * sigma[1])


def edges(sigma, count, pixel, at):
    x = (np.arange(count) - count // 2) * pixel - at
    up, down = ((x + s * pixel / 2) / sigma / 2**0.5 for s in (1, -1))
    return 0.5 * (erf(up) - erf(down))


def test_pixels_and_blur_of_an_oblong_spot():
    """Even and odd, dy != dx, y != x, pixels of two and a half samples, two widths of the blur."""
    spot = oblong((0.16, 0.22), (67, 80), (0.05, 0.06), (0.11, -0.23))
    kind = dict(spacing=(0.05, 0.06), pixel=0.137)
    got = psf.integrate_pixels(spot, (12, 15), sigma=(0.09, 0.05), **kind)
    widths = np.hypot((0.16, 0.22), (0.09, 0.05))
    need = np.outer(edges(widths[0], 12, 0.137, 0.11), edges(widths[1], 15, 0.137, -0.23))
    assert np.allclose(got, need, atol=2e-6 * need.max())
    sharp = np.outer(edges(0.16, 12, 0.137, 0.11), edges(0.22, 15, 0.137, -0.23))
    got = psf.integrate_pixels(np.stack([spot, 2 * spot]), (12, 15), **kind)
    assert np.allclose(got, np.stack([sharp, 2 * sharp]), atol=4e-6 * need.max())
    blurred = psf.gaussian_blur(spot, spacing=(0.05, 0.06), sigma=(0.09, 0.05))
    need = oblong(widths, (67, 80), (0.05, 0.06), (0.11, -0.23))
    assert np.allclose(blurred, need, atol=2e-5 * need.max())


def test_a_bead_on_oblong_samples():
    spot = oblong((0.16, 0.22), (67, 80), (0.05, 0.06), (0.11, -0.23))
    one = np.asarray(
        psf.bead_intensity(
            lambda z: jnp.asarray(spot) + 0 * z[:, None, None], jnp.zeros(1), diameter=0.5,
            spacing=(0.05, 0.06),
        )[0]
    )  # fmt: skip
    y, x = (np.arange(67) - 33) * 0.05 - 0.11, (np.arange(80) - 40) * 0.06 + 0.23
    total = np.sum(one)
    assert np.sum(one.sum(1) * y**2) / total == pytest.approx(0.16**2 + 0.5**2 / 20, rel=1e-2)
    assert np.sum(one.sum(0) * x**2) / total == pytest.approx(0.22**2 + 0.5**2 / 20, rel=1e-2)


def test_bad_pixels_are_said():
    with pytest.warns(JaxwaveWarning, match=r"integrate_pixels: \(30, 30\) pixels of 0.3 µm reach"):
        psf.integrate_pixels(gaussian(), (30, 30), spacing=D, pixel=0.3)
    with pytest.raises(ValueError, match="integrate_pixels: `pixel` must be positive"):
        psf.integrate_pixels(gaussian(), (3, 3), spacing=D, pixel=0.0)
    with pytest.raises(TypeError, match="Pass an intensity, not a field"):
        psf.integrate_pixels(1j * gaussian(), (3, 3), spacing=D, pixel=0.2)


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
