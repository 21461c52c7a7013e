"""Deconvolution against matrices, closed forms and another method, in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from interpreter import interpreted

import jaxwave as jw
from jaxwave import convolve_psf, richardson_lucy, total_variation, wiener
from jaxwave.filters import transfer, window_of

BOUNDARIES = ["zero", "periodic", "reflect", "edge"]


def random(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0.2, 1.0, size=shape)


def spot(my, mx, y=0.0, x=0.0):
    """A PSF about its sample N // 2, of another width in y and x."""
    j, i = np.arange(my)[:, None] - my // 2 - y, np.arange(mx) - mx // 2 - x
    h = np.exp(-(j**2) / 1.1 - i**2 / 0.7)
    return h / h.sum()


# -- the linear filter ---------------------------------------------------------------------


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_nothing_is_shifted(boundary):
    # A point comes back at its place, for every parity of image and PSF.
    for image_shape, psf_shape in [((14, 15), (5, 4)), ((15, 14), (4, 5))]:
        scene = np.zeros(image_shape)
        scene[6, 8] = 1
        with jax.enable_x64(True):
            image = convolve_psf(scene, spot(*psf_shape), boundary=boundary)
            got = wiener(image, spot(*psf_shape), 1e-6, scene="white", boundary=boundary)
        assert np.unravel_index(np.argmax(got), got.shape) == (6, 8)
        np.testing.assert_allclose(got, scene, atol=0.05)  # at the blended rim; inside 0.01


@pytest.mark.parametrize("boundary", ["reflect", "edge"])
def test_an_extended_image_closes_without_a_seam(boundary):
    image = np.linspace(3.0, 8.0, 9)[:, None] * np.linspace(1.0, 2.0, 7)
    window = window_of(image.shape, (6, 24), boundary)
    whole = np.asarray(window.extend(jnp.asarray(image)))
    assert whole.shape == window.size
    (y, x), steps = window.before, []
    np.testing.assert_allclose(whole[y : y + 9, x : x + 7], image, rtol=1e-6)
    for axis in (0, 1):
        around = np.concatenate([whole, np.take(whole, [0], axis)], axis)
        steps.append(np.abs(np.diff(around, axis=axis)).max())
    assert max(steps) < 3  # from rim to rim it would be 10


@pytest.mark.parametrize("size", [(4, 6), (9, 6), (4, 11), (12, 14)])
def test_a_transfer_is_the_sum_of_waves_over_the_psf(size, x64):
    # Of two depths at once, also where the image is smaller than the PSF on either axis.
    h = random(2, 7, 9)
    found = transfer(jnp.asarray(h), size, False)
    v, u = np.fft.fftfreq(size[0]), np.arange(size[1] // 2 + 1) / size[1]
    wave_y, wave_x = (np.exp(-2j * np.pi * np.outer(f, np.arange(n))) for f, n in ((v, 7), (u, 9)))
    np.testing.assert_allclose(found, wave_y @ h @ wave_x.T, atol=1e-12)


def test_one_filter_for_all_depths_is_that_of_least_error():
    # Of all linear filters alike for three depths none has a smaller error: not that of one depth,
    # not that of their mean PSF, nor another weight.
    rng, psfs = (
        np.random.default_rng(1),
        np.stack([spot(9, 8), spot(9, 8, 1), np.ones((9, 8)) / 72]),
    )
    fy, fx = np.fft.fftfreq(32)[:, None], np.fft.fftfreq(30)
    power = 1 / (fy**2 + fx**2 + 1 / 960)
    noise = rng.normal(size=(8, 1, 32, 30))
    scenes = np.fft.ifft2(np.fft.fft2(noise) * np.sqrt(power / power.mean())).real
    images = convolve_psf(scenes, psfs, boundary="periodic") + 0.1 * rng.normal(size=(8, 3, 32, 30))

    def error(psf, weight, **options):
        got = wiener(images, psf, weight, boundary="periodic", **options)
        return float(np.mean((got - scenes) ** 2))

    best = error(psfs, 0.01, depths=0)
    others = [error(h, 0.01) for h in psfs]
    others += [error(psfs.mean(0), 0.01), error(psfs, 0.02, depths=0), error(psfs, 0.005, depths=0)]
    others += [error(psfs, 0.01, depths=0, scene="white")]
    assert best < min(others)
    assert best < 0.8 * min(others[:3])  # of one depth: what the paper's decoder gives away


@pytest.mark.parametrize("shape", [(24, 10), (9, 25)])
def test_the_filter_of_an_oblong_image_is_the_formula(shape, x64):
    # one period in a square of the image's area is where the power of scenes bends
    image, weight = random(*shape), 0.03
    psf = spot(5, 6, 0.4, -0.3)
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])
    power = 1 / (fy**2 + fx**2 + 1 / (shape[0] * shape[1]))
    power = power / power.mean()
    whole = np.zeros(shape)
    whole[:5, :6] = psf
    h = np.fft.fft2(np.roll(whole, (-2, -3), (0, 1)))
    gain = h.conj() * power / (np.abs(h) ** 2 * power + weight)
    gain[0, 0] = 1 / h[0, 0]  # the mean is kept
    need = np.fft.ifft2(gain * np.fft.fft2(image)).real
    got = wiener(image, psf, weight, boundary="periodic")
    np.testing.assert_allclose(got, need, atol=1e-12)


def test_mean_and_haze():
    # Of the light one quarter misses the PSF's window and lies evenly over the image.
    scene, psf = random(12, 11), 0.75 * spot(5, 5)
    image = convolve_psf(scene, psf, boundary="periodic")
    lost = wiener(image, psf, 1e-5, boundary="periodic")
    hazy = wiener(image + 0.25 * scene.mean(), psf, 1e-5, boundary="periodic", haze=True)
    np.testing.assert_allclose(lost, scene, atol=0.02)
    np.testing.assert_allclose(hazy, lost, atol=1e-4)
    for weight in (1e-5, 10.0):  # whatever is smoothed, the mean stays
        got = wiener(image, psf, weight, boundary="periodic")
        np.testing.assert_allclose(got.mean(), scene.mean(), rtol=1e-5)


def test_gradients_where_the_transfer_function_is_zero():
    image, step = random(6, 8), 1e-6
    psfs = np.stack([[[0.5, 0.5]], [[0.25, 0.25]]])  # no transfer at all at f_x = 1/2
    keep = random(6, 8, seed=3)

    def merit(psf, weight):
        return jnp.sum(wiener(image, psf, weight, boundary="periodic", scene="white") * keep)

    with jax.enable_x64(True):
        weight = np.array(0.05)
        by_psf, by_weight = interpreted(jax.grad(merit, (0, 1)))(psfs, weight)
        run = interpreted(merit)
        slope = (run(psfs, weight + step) - run(psfs, weight - step)) / (2 * step)
        np.testing.assert_allclose(by_weight, slope, rtol=1e-6)
        for place in np.ndindex(psfs.shape):
            move = np.zeros(psfs.shape)
            move[place] = step
            slope = (run(psfs + move, weight) - run(psfs - move, weight)) / (2 * step)
            np.testing.assert_allclose(by_psf[place], slope, rtol=1e-5, atol=1e-7)


def test_axes_of_colors_and_depths():
    images, psfs = (
        random(2, 3, 9, 8),
        np.stack([spot(5, 4), spot(4, 4).repeat(1, 0)[[0, 0, 1, 2, 3]]]),
    )
    colors = np.stack([psfs, 0.5 * psfs, psfs[:, ::-1]], 1)  # (depths, colors, y, x)
    weight = np.array([0.1, 0.2, 0.3])
    got = wiener(images, colors, weight, depths=0)
    for color in range(3):
        alone = wiener(images[:, color], colors[:, color], weight[color], depths=0)
        np.testing.assert_allclose(got[:, color], alone, atol=1e-5)
    last = wiener(images, np.moveaxis(colors, 0, 1), weight, depths=-3)
    np.testing.assert_allclose(last, got, atol=1e-5)
    each = wiener(images, colors, 0.1, depths=None)
    np.testing.assert_allclose(each[1, 2], wiener(images[1, 2], colors[1, 2], 0.1), atol=1e-5)


# -- Richardson and Lucy -------------------------------------------------------------------


def likelihood(scene, image, psf):
    model = np.asarray(convolve_psf(scene, psf, boundary="reflect")) + 0.3
    return float(np.sum(image * np.log(model) - model))


def test_steps_raise_the_likelihood_and_longer_ones_more():
    scene = np.where(random(20, 18) > 0.9, 90.0, 2.0)
    psf = spot(7, 6)
    image = np.random.default_rng(0).poisson(convolve_psf(scene, psf, boundary="reflect") + 0.3)
    run = partial(richardson_lucy, image, psf, background=0.3)
    values = [likelihood(run(steps=k), image, psf) for k in (1, 6, 30)]
    assert values == sorted(values)
    leaps = likelihood(run(steps=6, accelerated=True), image, psf)
    assert leaps > values[1] + 0.5 * (values[2] - values[1])
    assert float(run(steps=30).min()) >= 0
    again = run(steps=24, start=run(steps=6))
    np.testing.assert_allclose(again, run(steps=30), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_truth_stays_and_light_is_kept(boundary):
    scene, psf = random(9, 8), 0.6 * spot(4, 5)
    image = convolve_psf(scene, psf, boundary=boundary) + 0.2
    options = {"background": 0.2, "boundary": boundary, "steps": 3}
    for accelerated in (False, True):
        got = richardson_lucy(image, psf, start=scene, accelerated=accelerated, **options)
        np.testing.assert_allclose(got, scene, rtol=1e-4)
    got = richardson_lucy(image, psf, **{**options, "background": 0.0})
    light = convolve_psf(got, psf, boundary=boundary).sum()
    np.testing.assert_allclose(light, image.sum(), rtol=1e-5)


def test_functions_instead_of_a_psf():
    # The two planes of a volume, seen in one image: H and its adjoint are functions.
    psfs = np.stack([spot(5, 4), spot(5, 4, 1, -1)]).astype(np.float32)
    volume = random(2, 9, 8).astype(np.float32)
    image = jw.image_volume(volume, psfs)
    backproject = jax.linear_transpose(lambda v: jw.image_volume(v, psfs), volume)

    def project(v):
        return jw.image_volume(v, psfs)

    def back(y):
        return backproject(y)[0]

    got = richardson_lucy(image, (project, back), steps=2)
    h = np.array([project(e).ravel() for e in np.eye(144, dtype=np.float32).reshape(-1, 2, 9, 8)]).T
    need = np.full(144, float(image.sum()) / h.sum())
    for _ in range(2):
        need = need / h.sum(0) * (h.T @ (np.asarray(image).ravel() / (h @ need)))
    np.testing.assert_allclose(got.ravel(), need, rtol=1e-4)
    one = richardson_lucy(image, (lambda v: convolve_psf(v, psfs[0]),) * 2, steps=1)
    assert one.shape == image.shape


# -- total variation -----------------------------------------------------------------------


def test_total_variation_against_another_method():
    # Chambolle and Pock's primal-dual steps with a matrix, in numpy.
    shape, psf = (8, 7), spot(3, 4)
    image = np.where(np.arange(7) > 3, 2.0, 0.5) + 0.1 * random(*shape)
    weight, options = 0.05, {"boundary": "edge"}
    with jax.enable_x64(True):
        eye = np.eye(56).reshape(56, *shape)
        h = np.asarray(convolve_psf(eye, psf, **options)).reshape(56, 56).T
        got = total_variation(image, psf, weight, steps=400, inner=20, **options)
    rows = np.eye(8, k=1)[:7] - np.eye(8)[:7]
    columns = np.eye(7, k=1)[:6] - np.eye(7)[:6]
    dy = np.kron(np.vstack([rows, np.zeros(8)]), np.eye(7))
    dx = np.kron(np.eye(8), np.vstack([columns, np.zeros(7)]))
    slopes = np.stack([dy, dx])
    x = bar = image.ravel()
    dual, t = np.zeros((2, 56)), 0.3
    solve = np.linalg.inv(np.eye(56) + t * h.T @ h)
    for _ in range(4000):
        dual = dual + t * slopes @ bar
        dual = dual / np.maximum(1, np.hypot(*dual) / weight)
        new = solve @ (x - t * np.einsum("ij,ijk->k", dual, slopes) + t * h.T @ image.ravel())
        bar, x = 2 * new - x, new
    assert x.min() > 0
    np.testing.assert_allclose(got, x.reshape(shape), atol=2e-4)


def test_total_variation_stays_positive_and_knows_its_weight():
    image = random(7, 6) - 0.5
    assert float(total_variation(image, np.ones((1, 1)), 0.0, steps=2).min()) == 0
    free = total_variation(image, np.ones((1, 1)), 0.0, steps=2, nonnegative=False)
    np.testing.assert_allclose(free, image, atol=1e-6)
    flat = total_variation(image, np.ones((1, 1)), 50.0, steps=50, inner=20, nonnegative=False)
    np.testing.assert_allclose(flat, np.full((7, 6), image.mean()), atol=1e-3)
    both = total_variation(
        np.stack([image, image]), np.ones((1, 1)), np.array([0.0, 50.0]), steps=2
    )
    np.testing.assert_allclose(both[0], np.maximum(image, 0), atol=1e-6)
    slope = jax.grad(lambda w: total_variation(image, spot(3, 3), w, steps=3).sum())(0.1)
    assert np.isfinite(slope)


ONE = np.ones((4, 5))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: wiener(ONE, ONE, 0.0), ValueError, "`weight`"),
        (lambda: wiener(1j * ONE, ONE, 0.1), TypeError, "`image` must be real"),
        (lambda: wiener(ONE, ONE, 0.1, scene="pink"), ValueError, "`scene`"),
        (lambda: wiener(ONE[None], ONE[None], 0.1), ValueError, "depths=0.*depths=None"),
        (lambda: wiener(ONE, ONE[None], 0.1, depths=1), ValueError, "leading axis of `psf`"),
        (lambda: wiener(ONE, ONE, 0.1, boundary="mirror"), ValueError, "`boundary`"),
        (lambda: richardson_lucy(-ONE, ONE), ValueError, "Subtract less"),
        (lambda: richardson_lucy(ONE, -ONE), ValueError, "`psf`"),
        (lambda: richardson_lucy(ONE, ONE, steps=0), ValueError, "`steps`"),
        (lambda: richardson_lucy(ONE, ONE, start=ONE[1:]), ValueError, "`start` must have"),
        (lambda: richardson_lucy(ONE, ONE, background=-1.0), ValueError, "`background`"),
        (lambda: richardson_lucy(ONE, (ONE, ONE)), TypeError, "pair of functions"),
        (lambda: total_variation(ONE, ONE, -0.1), ValueError, "`weight`"),
        (lambda: total_variation(ONE, ONE, 0.1, inner=0), ValueError, "`inner`"),
    ],
)
def test_mistakes_are_named(call, error, text):
    with pytest.raises(error, match=text):
        call()
