"""Color cameras: mosaics, demosaicing, bands, exposures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxwave as jw
from jaxwave import mosaic


@pytest.mark.parametrize("pattern", mosaic.PATTERNS)
@pytest.mark.parametrize("shape", [(6, 7), (5, 8)])
def test_a_mosaic_keeps_its_pixels_and_planes(pattern, shape):
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    planes = np.stack([0.1 * y + 0.2, 0.05 * x + 0.1, 0.02 * (x + y) + 0.3])
    raw = np.asarray(mosaic.bayer(planes, pattern=pattern))
    for (j, k), letter in zip(((0, 0), (0, 1), (1, 0), (1, 1)), pattern, strict=True):
        np.testing.assert_allclose(raw[j::2, k::2], planes["RGB".index(letter), j::2, k::2])
    image = np.asarray(mosaic.demosaic(raw, pattern=pattern, method="bilinear"))
    inside = (slice(None), slice(1, -1), slice(1, -1))
    # Bilinear: every plane that is straight is right, whatever the others are.
    np.testing.assert_allclose(image[inside], planes[inside], atol=1e-6)
    grey = np.stack([planes[2]] * 3)
    for method in mosaic.METHODS:
        got = mosaic.demosaic(mosaic.bayer(grey, pattern=pattern), pattern=pattern, method=method)
        deep = (slice(None), slice(2, -2), slice(2, -2))
        np.testing.assert_allclose(np.asarray(got)[deep], grey[deep], atol=1e-6)


def test_malvar_is_better_at_edges_of_grey():
    y, x = np.mgrid[0:32, 0:33]
    grey = 0.5 + 0.4 * np.tanh(np.sin(0.7 * x + 0.3 * y) * 4) * np.ones((3, 1, 1))
    error = {
        m: np.mean((np.asarray(mosaic.demosaic(mosaic.bayer(grey), method=m)) - grey) ** 2)
        for m in mosaic.METHODS
    }
    assert error["malvar"] < 0.6 * error["bilinear"]


def test_colors_of_a_spectrum():
    w = np.linspace(0.4, 0.7, 7)
    bands = np.asarray(mosaic.sensitivities(w))
    assert bands.shape == (3, 7)
    np.testing.assert_array_equal(np.argmax(bands, axis=1), [4, 3, 1])
    spectrum = np.random.default_rng(0).uniform(size=(2, 7, 3, 4))
    need = np.einsum("cw,bwyx->bcyx", bands / bands.sum(1, keepdims=True), spectrum)
    np.testing.assert_allclose(mosaic.to_colors(spectrum, bands), need, rtol=1e-5)


def test_exposures_hold_a_bright_and_a_dark_part():
    light = np.array([2.0, 200.0, 2e4])[:, None] * np.ones((3, 64))  # photons in a second
    times = np.array([0.01, 0.1, 1.0])
    counts = jw.camera(
        jax.random.key(0), light * times[:, None, None], offset=10.0, bit_depth=10, full_well=900.0
    )
    merged = np.asarray(mosaic.merge_exposures(counts, times, full=900.0, offset=10.0))
    np.testing.assert_allclose(merged.mean(1), light[:, 0], rtol=0.1)
    full = mosaic.merge_exposures(jnp.full((2, 1, 1), 900.0), [0.5, 1.0], full=900.0)
    assert float(full[0, 0]) == 1800.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mosaic.bayer(np.ones((4, 4, 3))), "moveaxis"),
        (lambda: mosaic.bayer(np.ones((3, 4, 4)), pattern="RGBG"), "must be one of"),
        (lambda: mosaic.demosaic(np.ones((3, 4))), "at least 4 by 4"),
        (lambda: mosaic.demosaic(np.ones((8, 8)), method="malver"), "Did you mean 'malvar'"),
        (lambda: mosaic.to_colors(np.ones((4, 2, 2)), np.ones((3, 5))), "4 wavelengths"),
        (lambda: mosaic.sensitivities([550.0]), "nanometres"),
        (lambda: mosaic.merge_exposures(np.ones((2, 1, 1)), [1.0], full=1.0), "each of the 2"),
    ],
)
def test_errors_name_what_was_typed(call, words):
    with pytest.raises(ValueError, match=words):
        call()
