"""Losses against scipy's distributions and exact decimal arithmetic."""

import math
from decimal import Decimal, getcontext
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxwave.losses import anscombe_loss, gaussian_nll, nmse, poisson_deviance, poisson_nll, ssim

getcontext().prec = 40

unit_gaussian = partial(gaussian_nll, variance=1.0)
LOSSES = [nmse, unit_gaussian, poisson_deviance, poisson_nll, anscombe_loss]
COMPILED = {loss: jax.jit(loss) for loss in LOSSES}


def some_counts(shape=(6, 5), seed=0):
    rng = np.random.default_rng(seed)
    model = rng.uniform(0.1, 30, shape)
    return model, rng.poisson(model).astype(float)


def exact_deviance(model: float, data: float) -> float:
    m, d = Decimal(model), Decimal(data)
    return float(2 * (m - d + (d * (d / m).ln() if d else 0)))


# -- values --------------------------------------------------------------------------------


def test_nmse_of_a_scaled_copy():
    # Closed form: a model that is (1 + e) times the data has the error |e|^2.
    data = np.random.default_rng(0).normal(size=(4, 6, 5))
    assert nmse(1.1 * data, data).shape == (4,)
    np.testing.assert_allclose(nmse(1.1 * data, data), 0.01, rtol=1e-5)  # float32
    field = data + 1j * data[::-1]
    np.testing.assert_allclose(nmse((1 + 0.3j) * field, field), 0.09, rtol=1e-5)
    assert nmse(data, data).sum() == 0


def test_nmse_axes():
    model, data = some_counts((3, 4, 5))
    together = nmse(model, data, axis=(-3, -2, -1))
    expected = np.sum((model - data) ** 2) / np.sum(data**2)
    assert float(together) == pytest.approx(expected, rel=1e-5)  # float32
    assert float(nmse(model, data, axis=None)) == pytest.approx(expected, rel=1e-5)
    assert nmse(model[0, 0], data[0, 0], axis=-1).shape == ()


def test_gaussian_nll_against_scipy():
    model, data = some_counts()
    variance = np.linspace(0.5, 4, 30).reshape(6, 5)
    expected = -scipy.stats.norm.logpdf(data, model, np.sqrt(variance)).sum()
    with jax.enable_x64(True):
        result = gaussian_nll(model, data, variance)
        assert float(result) == pytest.approx(expected, rel=1e-13)  # rounding
    assert float(gaussian_nll(model, data, variance)) == pytest.approx(expected, rel=1e-6)


def test_poisson_nll_against_scipy():
    model, data = some_counts()
    model[0, 0], data[0, 0] = 1e6, 1_001_000
    model[0, 1], data[0, 1] = 1e-4, 0
    model[0, 2], data[0, 2] = 12.5, 9
    model[0, 3], data[0, 3] = 12.5, 10
    expected = -scipy.stats.poisson.logpmf(data, model)
    with jax.enable_x64(True):
        terms = COMPILED[poisson_nll](model[..., None, None], data[..., None, None])
        # scipy subtracts numbers of 1e7 for the first sample: 1e-9; Stirling's series 1e-12.
        np.testing.assert_allclose(terms, expected, rtol=1e-11, atol=1e-8)
    # In float32 every sample keeps its digits, although m ln m is 1.4e7 for the first one.
    single = COMPILED[poisson_nll](model[..., None, None], data[..., None, None])
    np.testing.assert_allclose(single, expected, rtol=2e-5)


def test_poisson_deviance_does_not_cancel():
    model = np.array([1e6, 1e6, 10, 3, 0.125, 100, 5, 1])
    data = np.array([1e6 + 10, 1e6, 10.5, 0, 8, 1, 4, 0.75])
    exact = [exact_deviance(m, d) for m, d in zip(model, data, strict=True)]
    pairs = model[:, None, None], data[:, None, None]
    # 1e-5 relative in float32, although m - d + d ln(d / m) is 1e-4 out of 1e7 for the first.
    np.testing.assert_allclose(COMPILED[poisson_deviance](*pairs), exact, rtol=1e-5)
    with jax.enable_x64(True):
        np.testing.assert_allclose(COMPILED[poisson_deviance](*pairs), exact, rtol=1e-13)


def test_poisson_nll_and_deviance_differ_by_a_constant():
    model, data = some_counts()
    with jax.enable_x64(True):
        nll, deviance = COMPILED[poisson_nll], COMPILED[poisson_deviance]
        first = nll(model, data) - 0.5 * deviance(model, data)
        second = nll(2 * model, data) - 0.5 * deviance(2 * model, data)
        assert float(first) == pytest.approx(float(second), rel=1e-12)  # rounding
        gradients = [jax.jit(jax.grad(f))(model, data) for f in (poisson_nll, poisson_deviance)]
        np.testing.assert_allclose(2 * gradients[0], gradients[1], rtol=1e-12)
        np.testing.assert_allclose(gradients[0], 1 - data / model, atol=1e-12)


def test_true_models_have_the_expected_loss():
    # Deviance and Anscombe loss of a true model are about one for each sample above 5 counts.
    rng = np.random.default_rng(3)
    model = rng.uniform(20, 200, (200, 200))
    data = rng.poisson(model)
    # The variance of a term is 2, so 40000 samples give 0.7 % (one standard deviation); the
    # terms themselves are 1 + O(1/6m).
    assert float(poisson_deviance(model, data)) / 40000 == pytest.approx(1, abs=0.03)
    assert float(anscombe_loss(model, data)) / 40000 == pytest.approx(1, abs=0.03)
    noisy = data + rng.normal(0, 3, data.shape)
    assert float(anscombe_loss(model, noisy, read_noise=3.0)) / 40000 == pytest.approx(1, abs=0.03)


def test_anscombe_below_zero_is_smooth():
    # The tangent at zero: A(s) = A(0) + s A'(0), with A(0) = 2 sqrt(sigma^2 + 3/8).
    shift = 4 + 3 / 8
    result = anscombe_loss(jnp.zeros((1, 1)), jnp.full((1, 1), -10.0), read_noise=2.0)
    assert float(result) == pytest.approx((10 / math.sqrt(shift)) ** 2, rel=1e-5)
    gradient = jax.grad(lambda m: anscombe_loss(m, jnp.full((1, 1), 3.0), read_noise=2.0))
    below, above = gradient(jnp.full((1, 1), -1e-4)), gradient(jnp.full((1, 1), 1e-4))
    assert float(below[0, 0]) == pytest.approx(float(above[0, 0]), rel=1e-3)


# -- zero and negative models --------------------------------------------------------------


@pytest.mark.parametrize("loss", [poisson_deviance, poisson_nll])
def test_poisson_is_finite_everywhere(loss):
    model = np.array([-1.0, -1e-8, 0.0, 1e-12, 5e-7, 1e-3])[:, None]
    data = np.array([0.0, 1.0, 5.0, 1e5])
    pairs = [a[..., None, None] for a in np.broadcast_arrays(model, data)]
    value, slope = jax.jit(jax.vmap(jax.vmap(jax.value_and_grad(loss))))(*pairs)
    slope = slope[..., 0, 0]
    assert jnp.all(jnp.isfinite(value))
    assert jnp.all(jnp.isfinite(slope))
    # Closed form: the loss of no counts is the model itself.
    factor = 2 if loss is poisson_deviance else 1
    np.testing.assert_allclose(value[2:, 0], factor * model[2:, 0], rtol=1e-6)
    assert jnp.all(slope[2:, 0] == factor)
    # A model that is negative or too dark for its counts is led back to light.
    assert jnp.all(slope[:2] < 0)
    assert jnp.all(slope[:5, 1:] < 0)


@given(st.floats(0, 1e6, width=32), st.floats(0, 1e6, width=32))
@settings(max_examples=60, deadline=None)
def test_poisson_deviance_is_never_negative(model, data):
    value = COMPILED[poisson_deviance](jnp.full((1, 1), model), jnp.full((1, 1), data))
    assert value >= 0
    if model == data:
        assert value <= 2e-12  # fewer than 1e-12 counted photons are none


@pytest.mark.parametrize("loss", [poisson_deviance, poisson_nll])
def test_poisson_derivatives_are_finite_over_all_magnitudes(loss):
    rng = np.random.default_rng(0)
    model = 10 ** rng.uniform(-40, 7, (1000, 1, 1)) * rng.choice([0, 1, 1], (1000, 1, 1))
    data = 10 ** rng.uniform(-40, 7, (1000, 1, 1)) * rng.choice([0, 1, 1], (1000, 1, 1))

    def slopes(m, d):
        return jax.grad(loss, argnums=(0, 1))(m, d)

    first = jax.jit(jax.vmap(slopes))(model, data)
    second = jax.jit(jax.vmap(jax.grad(lambda m, d: slopes(m, d)[0].sum())))(model, data)
    assert all(np.all(np.isfinite(s)) for s in (*first, second))


def test_deviance_is_convex_across_the_tangent():
    models = jnp.array([-1e-6, 0.0, 5e-7, 1e-6, 2e-6, 1e-5])[:, None, None]
    with jax.enable_x64(True):
        loss = jax.vmap(jax.grad(lambda m: poisson_deviance(m, jnp.full((1, 1), 3.0))))
        slopes = np.asarray(jax.jit(loss)(np.asarray(models, float)))[:, 0, 0]
    assert np.all(np.diff(slopes) >= 0)


# -- weights -------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_samples_of_weight_zero_may_hold_anything(loss):
    model, data = some_counts()
    bad_model, bad_data, weight = model.copy(), data.copy(), np.ones_like(data)
    weight[2, 3] = weight[0, 0] = 0
    bad_data[2, 3], bad_model[2, 3], bad_data[0, 0] = np.nan, np.nan, -5
    clean = np.where(weight, data, 0), np.where(weight, model, 0)
    value, slope = jax.value_and_grad(loss)(bad_model, bad_data, weight=weight)
    expected = COMPILED[loss](clean[1], clean[0], weight=weight)
    assert float(value) == pytest.approx(float(expected), rel=1e-6)
    assert jnp.all(jnp.isfinite(slope))
    assert slope[2, 3] == slope[0, 0] == 0
    traced = jax.jit(jax.grad(lambda m, d, w: loss(m, d, weight=w)))(bad_model, bad_data, weight)
    np.testing.assert_allclose(traced, slope, rtol=1e-4, atol=1e-7)  # fused rounding


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_count_samples(loss):
    # Integer weights are the same as repeating the samples.
    model, data = some_counts((1, 4))
    weight = np.array([1.0, 3.0, 0.0, 2.0])
    repeated = [np.repeat(a, weight.astype(int), axis=-1) for a in (model, data)]
    value = COMPILED[loss]
    one, two = float(value(model, data, weight=weight)), float(value(*repeated))
    assert one == pytest.approx(two, rel=1e-5)  # float32


def test_gaussian_variance_of_a_masked_sample_may_be_zero():
    model, data = some_counts((1, 2))
    result = gaussian_nll(model, data, np.array([[1.0, 0.0]]), weight=np.array([[1, 0]]))
    assert float(result) == pytest.approx(
        -scipy.stats.norm.logpdf(data[0, 0], model[0, 0]), rel=1e-6
    )


# -- transformations -----------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_against_finite_differences(loss):
    model, data = some_counts()
    with jax.enable_x64(True):
        slope = np.asarray(jax.jit(jax.grad(loss))(model, data))
        direction = np.random.default_rng(2).normal(size=model.shape) * 0.01
        step = 1e-4
        value = COMPILED[loss]
        difference = value(model + step * direction, data) - value(model - step * direction, data)
        # Central differences leave step^2 times the third derivative, below 1e-7 relative.
        assert np.sum(slope * direction) == pytest.approx(float(difference) / 2 / step, rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_batches_equal_a_loop(loss):
    model, data = some_counts((3, 4, 5))
    value = COMPILED[loss]
    loop = jnp.stack([value(model[k], data[k]) for k in range(3)])
    np.testing.assert_allclose(value(model, data), loop, rtol=1e-5)  # float32
    np.testing.assert_allclose(jax.jit(jax.vmap(loss))(model, data), loop, rtol=1e-5)
    np.testing.assert_allclose(value(model[:1], data)[0], loop[0], rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_integer_data(loss):
    model, data = some_counts()
    as_float = COMPILED[loss](model, data)
    as_integer = COMPILED[loss](model, data.astype(np.uint16))
    assert as_integer.dtype == jnp.float32
    np.testing.assert_allclose(as_integer, as_float, rtol=1e-6)


# -- bad input -----------------------------------------------------------------------------


def with_nan(shape=(3, 4)):
    data = np.ones(shape)
    data[1, 2] = np.nan
    return data


@pytest.mark.parametrize("loss", LOSSES)
def test_data_that_are_not_finite_are_reported_with_their_place(loss):
    for weight in (None, np.ones((3, 4))):
        with pytest.raises(ValueError, match=r"`data` must be finite.*first one at index \(1, 2\)"):
            loss(np.ones((3, 4)), with_nan(), weight=weight)
    weight = np.ones((3, 4))
    weight[1, 2] = 0
    assert jnp.isfinite(loss(np.ones((3, 4)), with_nan(), weight=weight))


@pytest.mark.parametrize("loss", [poisson_deviance, poisson_nll, anscombe_loss])
def test_negative_counts_name_the_alternative(loss):
    data = np.array([[1.0, -2.0]])
    with pytest.raises(ValueError, match=r"got -2.0 at index \(0, 1\). Use gaussian_nll"):
        loss(np.ones((1, 2)), data)
    assert jnp.isfinite(loss(np.ones((1, 2)), data, weight=np.array([1, 0])))


ONE = np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: nmse(ONE, ONE[:, :1]), ValueError, r"the shape of `data` \(2, 1\), got \(2, 3\)"),
        (lambda: nmse(np.ones((2, 2, 3)), np.ones((4, 2, 3))), ValueError, "must broadcast"),
        (lambda: nmse(ONE[0], ONE[0]), ValueError, r"named by axis=\(-2, -1\)"),
        (lambda: nmse(ONE, 0 * ONE), ValueError, r"sum\(weight \* \|data\|²\)` must be positive"),
        (lambda: nmse(ONE, ONE, weight=-ONE), ValueError, "`weight` must be zero or more"),
        (lambda: nmse(ONE, ONE, weight=np.ones(4)), ValueError, "must broadcast"),
        (lambda: gaussian_nll(ONE, ONE, 0.0), ValueError, "`variance` must be positive"),
        (lambda: gaussian_nll(ONE, ONE, 1j), TypeError, "`variance` must be real"),
        (lambda: poisson_nll(1j * ONE, ONE), TypeError, "`model` must be real"),
        (lambda: anscombe_loss(ONE, ONE, read_noise=-1.0), ValueError, "got -1.0 electrons"),
    ],
)
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call()


# -- structural similarity -----------------------------------------------------------------


SSIM = jax.jit(ssim)


def pictures(shape=(17, 14), seed=3):
    """A smooth picture and a noisy, shifted copy of it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    data = 100 + 40 * np.sin(y / 2.1) * np.cos(x / 3.3) + rng.normal(0, 3, shape)
    return 0.9 * data + 5 + rng.normal(0, 10, shape), data


def exact_ssim(model, data, scale, weight=None):
    """Window by window in float64, as Wang et al. write it (eqs. 13 to 16), with weights."""
    weight = np.ones_like(data) if weight is None else weight
    bell = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    bell = np.outer(bell, bell)
    c1, c2 = (0.01 * scale) ** 2, (0.03 * scale) ** 2
    total = norm = 0.0
    for i in range(5, data.shape[0] - 5):
        for j in range(5, data.shape[1] - 5):
            here = np.s_[i - 5 : i + 6, j - 5 : j + 6]
            w = bell * weight[here]
            if weight[i, j] == 0:
                continue
            w = w / w.sum()
            x, y = model[here], data[here]
            mx, my = np.sum(w * x), np.sum(w * y)
            vx, vy = np.sum(w * (x - mx) ** 2), np.sum(w * (y - my) ** 2)
            cov = np.sum(w * (x - mx) * (y - my))
            s = (2 * mx * my + c1) * (2 * cov + c2)
            s /= (mx**2 + my**2 + c1) * (vx + vy + c2)
            total, norm = total + weight[i, j] * s, norm + weight[i, j]
    return total / norm


def test_ssim_is_that_of_wang():
    model, data = pictures()
    expected = exact_ssim(model, data, 255.0)
    assert 0.3 < expected < 0.98
    assert float(SSIM(model, data, data_range=255.0)) == pytest.approx(expected, abs=2e-6)
    with jax.enable_x64(True):
        assert float(SSIM(model, data, data_range=255.0)) == pytest.approx(expected, abs=1e-13)
        own = exact_ssim(model, data, np.ptp(data))
        assert float(SSIM(model, data)) == pytest.approx(own, abs=1e-13)


def test_ssim_against_scikit_image():
    metrics = pytest.importorskip("skimage.metrics")
    model, data = pictures((40, 33))
    options = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    expected = metrics.structural_similarity(model, data, data_range=255.0, **options)
    with jax.enable_x64(True):
        assert float(SSIM(model, data, data_range=255.0)) == pytest.approx(expected, abs=1e-12)


def test_ssim_leaves_out_bad_samples():
    model, data = pictures()
    weight = np.random.default_rng(0).uniform(0.5, 2, data.shape)
    weight[8, 6] = weight[2, 3] = weight[9, 9] = 0
    expected = exact_ssim(model, data, 200.0, weight)
    bad_model, bad_data = model.copy(), data.copy()
    bad_model[8, 6], bad_data[8, 6], bad_data[2, 3], bad_model[9, 9] = np.nan, 1e9, np.nan, np.inf
    value, slope = jax.value_and_grad(SSIM)(bad_model, bad_data, data_range=200.0, weight=weight)
    assert float(value) == pytest.approx(expected, abs=3e-6)
    assert jnp.all(jnp.isfinite(slope))
    assert slope[8, 6] == slope[9, 9] == 0
    with_own_range = SSIM(bad_model, bad_data, weight=weight)
    assert 0 < float(with_own_range) < 1


def test_ssim_keeps_its_digits_on_a_high_background():
    model, data = pictures()
    expected = exact_ssim(model + 1e5, data + 1e5, 100.0)
    got = SSIM((model + 1e5).astype(np.float32), (data + 1e5).astype(np.float32), data_range=100.0)
    assert float(got) == pytest.approx(expected, abs=1e-3)  # the data have 0.004 of rounding


def test_ssim_of_equal_and_of_constant_images():
    _, data = pictures()
    assert float(SSIM(data, data)) == pytest.approx(1, abs=1e-6)
    flat = np.full((12, 12), 7.0)
    assert float(SSIM(flat, flat, data_range=1.0)) == pytest.approx(1, abs=1e-6)
    slope = jax.grad(SSIM)(flat, flat, data_range=1.0)
    np.testing.assert_allclose(slope, 0, atol=1e-6)


def test_ssim_gradient_against_finite_differences():
    model, data = pictures()
    with jax.enable_x64(True):
        slope = np.asarray(jax.grad(SSIM)(model, data))
        direction = np.random.default_rng(2).normal(size=model.shape)
        step = 1e-4
        rise = SSIM(model + step * direction, data) - SSIM(model - step * direction, data)
        assert np.sum(slope * direction) == pytest.approx(float(rise) / 2 / step, rel=1e-7)


def test_ssim_batches_equal_a_loop():
    model, data = (np.stack(a) for a in zip(pictures(), pictures(seed=4), strict=True))
    loop = [float(SSIM(m, d)) for m, d in zip(model, data, strict=True)]
    np.testing.assert_allclose(SSIM(model, data), loop, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(ssim)(model, data), loop, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: ssim(np.ones((10, 20)), np.ones((10, 20))), ValueError, r"11 x 11.*\(10, 20\)"),
        (
            lambda: ssim(np.ones((12, 12)), np.ones((12, 12))),
            ValueError,
            "range of possible values",
        ),
        (lambda: ssim(1j * np.ones((12, 12)), np.ones((12, 12))), TypeError, "must be real"),
        (lambda: ssim(np.ones((12, 13)), np.ones((12, 12))), ValueError, "the shape of `data`"),
    ],
)
def test_ssim_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call()
