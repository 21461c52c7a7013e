"""Scenes with depth: flat ones are plain convolutions, near parts hide the blur of far ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxwave as jw
from jaxwave import scenes

RNG = np.random.default_rng(0)
AT = np.array([1e6, 2e6, 4e6])
IMAGE = RNG.uniform(0.2, 1, size=(3, 12, 13))


def bells(widths=(0.5, 1.0, 2.0), light=1.0):
    """PSFs of three depths and colors, with an odd and an even side."""
    y, x = np.arange(7)[:, None] - 3, np.arange(8) - 4
    psf = np.exp(-(y**2 + (x - 0.3) ** 2) / (2 * np.array(widths)[:, None, None, None] ** 2))
    psf = psf * np.ones((1, 3, 1, 1))
    psf[:, 1] **= 2
    return light * psf / psf.sum((-2, -1), keepdims=True)


@pytest.mark.parametrize("occlusion", [True, False])
@pytest.mark.parametrize("boundary", ["edge", "zero", "periodic"])
def test_a_flat_scene_is_a_plain_convolution(occlusion, boundary):
    psfs = bells(light=0.8)
    options = dict(distances=AT, occlusion=occlusion, boundary=boundary)
    for k in (0, 1, 2):
        got = scenes.render(IMAGE, np.full((12, 13), AT[k]), psfs, haze=False, **options)
        need = jw.convolve_psf(IMAGE, psfs[k], boundary=boundary)
        np.testing.assert_allclose(got, need, atol=2e-6)
    # Between two layers it is their mean; what misses the windows veils the image.
    got = scenes.render(IMAGE, np.full((12, 13), 1 / (0.75 / 1e6)), psfs, **options)
    need = jw.convolve_psf(IMAGE, (psfs[0] + psfs[1]) / 2, boundary=boundary)
    np.testing.assert_allclose(got, need + 0.2 * IMAGE.mean((1, 2), keepdims=True), atol=2e-6)


def test_layers_are_straight_in_the_reciprocal_distance():
    depth = np.array([[0.5e6, 1e6, 1.5e6, 3e6, 4e6, np.inf]])
    near = np.clip(1 / depth, 1 / 4e6, 1 / 1e6)
    need = [np.interp(near, 1 / AT[::-1], np.eye(3)[k][::-1]) for k in range(3)]
    for order in (slice(None), slice(None, None, -1)):
        got = scenes.layers(depth, AT[order])
        np.testing.assert_allclose(got, np.stack(need)[order], atol=1e-5)
    hard = np.asarray(scenes.layers(depth, AT, interpolate=False))
    assert set(hard.ravel()) == {0, 1}
    np.testing.assert_array_equal(hard[:, 0].argmax(0), [0, 0, 1, 2, 2, 2])


def test_a_near_edge_hides_the_blur_of_the_far_side():
    # A sharp, black near half in front of a bright far half that is blurred.
    depth = np.where(np.arange(16) < 8, 1e6, 4e6) * np.ones((9, 1))
    image = np.where(np.arange(16) < 8, 0.0, 1.0) * np.ones((3, 9, 1))
    psfs = bells((0.05, 1.0, 2.0))
    psfs[0], psfs[2] = psfs[0].round(), psfs[2, :, ::-1, ::-1].mean()  # a point, and a broad one
    options = dict(distances=AT)
    sharp = np.asarray(scenes.render(image, depth, psfs / psfs.sum((2, 3))[..., None, None],
                                     **options))  # fmt: skip
    np.testing.assert_allclose(sharp, image, atol=1e-4)
    # Selecting lets the dark side of the blurred image in.
    plain = np.asarray(scenes.render(image, depth, psfs, occlusion=False, **options))
    assert plain[0, 4, 8] < 0.7
    # A blurred near half spreads over the far one, and its edge is transparent.
    turned = scenes.render(1 - image, depth, psfs[::-1], **options)
    assert 0.2 < float(turned[0, 4, 8]) < 0.8
    # The order of the layers does not matter.
    other = scenes.render(1 - image, depth, psfs, distances=AT[::-1])
    np.testing.assert_allclose(turned, other, atol=1e-5)


def test_derivatives_are_finite_where_a_layer_is_empty():
    depth = jnp.full((6, 6), 1.2e6)

    def total(psfs, image, depth):
        return jnp.sum(scenes.render(image, depth, psfs, distances=AT) ** 2)

    slopes = jax.grad(total, argnums=(0, 1, 2))(jnp.asarray(bells()), jnp.ones((3, 6, 6)), depth)
    assert all(np.all(np.isfinite(s)) and np.any(np.asarray(s) != 0) for s in slopes[:2])
    assert np.all(np.isfinite(slopes[2]))


def test_vignetting_is_the_share_of_two_disks():
    got = np.asarray(scenes.vignetting((5, 9), pitch=(300.0, 200.0), z=1000.0))
    y, x = (np.arange(5) - 2)[:, None] * 0.3, (np.arange(9) - 4) * 0.2
    natural = np.cos(np.arctan(np.hypot(y, x))) ** 4
    np.testing.assert_allclose(got, natural, rtol=1e-5)
    a, b, t = 100.0, 80.0, 300.0
    cut = scenes.vignetting((5, 9), pitch=(300.0, 200.0), z=1000.0, radius=a, rim=b, rim_distance=t)
    gy, gx = (np.arange(600)[:, None] - 299.5) / 300 * a, (np.arange(600) - 299.5) / 300 * a
    for j, k in ((2, 4), (2, 6), (0, 7), (4, 0)):
        s = np.hypot(y[j, 0], x[k]) * t
        both = (gy**2 + gx**2 < a**2) & (gy**2 + (gx - s) ** 2 < b**2)
        alone = (gy**2 + gx**2 < a**2) & (gy**2 + gx**2 < b**2)
        need = natural[j, k] * both.sum() / alone.sum()
        assert float(cut[j, k]) == pytest.approx(need, abs=2e-3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: scenes.render(np.ones((8, 8, 3)), np.ones((8, 8)), bells(), distances=AT),
         "colors behind.*moveaxis"),
        (lambda: scenes.render(np.full((3, 8, 8), 255), np.ones((8, 8)), bells(), distances=AT),
         "from 0 to 1"),
        (lambda: scenes.render(np.ones((3, 8, 8)), np.ones((8, 9)), bells(), distances=AT),
         "pixels"),
        (lambda: scenes.render(np.ones((3, 8, 8)), np.ones((8, 8)), bells(), distances=AT[:2]),
         "2 depths"),
        (lambda: scenes.layers(np.ones((8, 8)), [1e6, 3e6, 2e6]), "rise or fall"),
        (lambda: scenes.layers(np.zeros((8, 8)), AT), "positive distances"),
        (lambda: scenes.vignetting((8, 8), pitch=4.0, z=1e3, rim=100.0), "needs the `radius`"),
    ],
)  # fmt: skip
def test_errors_name_what_was_typed(call, words):
    with pytest.raises(ValueError, match=words):
        call()
