"""Profile likelihood and samples of the posterior against closed forms and quadrature."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxwave as jw
from jaxwave.calibration import (
    Profile,
    normal,
    profile_likelihood,
    sample_posterior,
    uncertainty,
)

X = np.linspace(-1, 1, 41)
T = np.linspace(0, 3, 12)

needs_blackjax = pytest.mark.skipif(
    importlib.util.find_spec("blackjax") is None, reason="needs the extra `sampling`"
)


def line(model, d):
    return (model["a"] * X + model["b"][0] + model["b"][1] * X**2 - d) / 0.3


LINE = {"a": jnp.float32(2.0), "b": jnp.array([0.5, -1.0])}
LINE_DATA = 2 * X + 0.5 - X**2


def decay(model, d):
    """A rate that is badly known, so that its misfit is no parabola."""
    return (model["height"] * jnp.exp(-model["rate"] * T) - d) / 0.1


DECAY = {"height": jnp.float32(1.0), "rate": jnp.float32(1.5)}
DECAY_DATA = np.exp(-1.5 * T)


def exact_rise(rate):
    """min over the height, in closed form: the residual beside the projection."""
    shape = np.exp(-np.multiply.outer(np.atleast_1d(rate), T))
    height = (shape @ DECAY_DATA) / np.sum(shape**2, axis=1)
    return np.sum((height[:, None] * shape - DECAY_DATA) ** 2, axis=1) / 0.1**2


# -- profile likelihood --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "b[1]"])
def test_a_linear_model_has_a_parabola(name):
    known = uncertainty(LINE, line, LINE_DATA, scale=1.0)
    value, error = known[name]
    profile = profile_likelihood(LINE, line, LINE_DATA, name=name, scale=1.0)
    expected = ((profile.values - value) / error) ** 2
    np.testing.assert_allclose(profile.rise, expected, atol=2e-3)
    assert profile.interval() == pytest.approx((value - error, value + error), rel=1e-3)
    assert profile.interval(sigmas=2) == pytest.approx(
        (value - 2 * error, value + 2 * error), rel=1e-3
    )
    assert set(profile.others) == {"a", "b[0]", "b[1]"} - {name}


def test_the_others_follow_along_the_covariance():
    known = uncertainty(LINE, line, LINE_DATA, scale=1.0)
    profile = profile_likelihood(LINE, line, LINE_DATA, name="b[1]", values=[-1.3, -0.7])
    slope = known.covariance[1, 2] / known.covariance[2, 2]
    assert slope < -0.1
    np.testing.assert_allclose(
        profile.others["b[0]"], 0.5 + slope * np.array([-0.3, 0.3]), rtol=1e-3
    )


def test_a_skewed_misfit_against_its_closed_form():
    """Where the standard error is wrong, the profile still equals elimination of the height."""
    values = np.linspace(0.9, 3.0, 8)
    profile = profile_likelihood(DECAY, decay, DECAY_DATA, name="rate", values=values, scale=1.0)
    np.testing.assert_allclose(profile.rise, exact_rise(values), rtol=2e-3, atol=2e-3)
    profile = profile_likelihood(DECAY, decay, DECAY_DATA, name="rate", scale=1.0)
    low, high = profile.interval()
    fine = np.linspace(1.5, 3, 4001)
    upper = fine[np.argmax(exact_rise(fine) > 1)]
    assert high == pytest.approx(upper, abs=0.01)
    assert high - 1.5 > 1.15 * (1.5 - low)


def test_one_number_alone():
    profile = profile_likelihood(
        {"a": jnp.float32(2.0)}, lambda m, d: (m["a"] * X - d) / 0.3, 2 * X, name="a", scale=1.0
    )
    error = 0.3 / np.sqrt(np.sum(X**2))
    assert profile.interval() == pytest.approx((2 - error, 2 + error), rel=1e-3)


def test_a_misfit_and_a_prior_widen_and_narrow_it():
    data = LINE_DATA + 0.9 * np.sign(np.sin(40 * X))
    best = {"a": jnp.float32(np.sum(X * data) / np.sum(X**2))}
    rows = lambda m, d: (m["a"] * X + 0.5 - X**2 - d) / 0.3  # noqa: E731
    _, error = uncertainty(best, rows, data)["a"]
    profile = profile_likelihood(best, rows, data, name="a")
    low, high = profile.interval()
    assert (high - low) / 2 == pytest.approx(error, rel=5e-3)
    mean = float(best["a"])
    tight = profile_likelihood(
        best, rows, data, name="a", priors={"a": normal(mean, 0.01)}, scale=1
    )
    low, high = tight.interval()
    assert (high - low) / 2 == pytest.approx(0.01, rel=0.02)


def test_an_open_interval_and_bad_names():
    profile = Profile("a", np.arange(5.0), np.array([0, 0.1, 0.2, 0.3, 0.4]), {}, "", 0.0)
    assert profile.interval() == (-np.inf, np.inf)
    with pytest.raises(ValueError, match=r"Did you mean 'rate'"):
        profile_likelihood(DECAY, decay, DECAY_DATA, name="rte")
    open_ = {"a": jnp.float32(1), "b": jnp.float32(1)}
    with pytest.raises(ValueError, match="leave 'a' open"):
        profile_likelihood(open_, lambda m, d: m["a"] * m["b"] * X - d, X, name="a")


def test_too_few_steps_warn():
    options = dict(name="height", values=[0.3, 3.0], scale=1)
    with pytest.warns(jw.JaxwaveWarning, match="still moved after 2 steps"):
        profile_likelihood(DECAY, decay, DECAY_DATA, steps=2, **options)
    profile_likelihood(DECAY, decay, DECAY_DATA, steps=30, **options)
    with pytest.raises(ValueError, match="`steps` must be at least 2"):
        profile_likelihood(DECAY, decay, DECAY_DATA, steps=1, **options)


# -- samples of the posterior --------------------------------------------------------------


@pytest.fixture(scope="module")
def samples():
    pytest.importorskip("blackjax")
    key = jax.random.key(3)
    return sample_posterior(
        key, DECAY, decay, DECAY_DATA, scale=1.0, samples=1500, warmup=300, chains=2
    )


@needs_blackjax
def test_samples_against_quadrature(samples):
    """Mean and width of the rate by summing the likelihood over a fine grid."""
    assert samples.names == ("height", "rate")
    assert samples.draws.shape == (2, 1500, 2)
    assert np.all(samples.rhat < 1.02)
    rate, height = np.linspace(0.3, 6, 800), np.linspace(0.4, 1.8, 400)
    model = height[:, None, None] * np.exp(-rate[:, None] * T)
    weight = np.exp(-0.5 * np.sum((model - DECAY_DATA) ** 2, axis=-1) / 0.1**2)
    for name, grid, mass in (("rate", rate, weight.sum(0)), ("height", height, weight.sum(1))):
        mean = np.sum(grid * mass) / np.sum(mass)
        width = np.sqrt(np.sum((grid - mean) ** 2 * mass) / np.sum(mass))
        drawn = samples[name]
        # a standard error of the mean is width/sqrt(effective samples)
        k = samples.names.index(name)
        assert abs(drawn.mean() - mean) < 4 * width / np.sqrt(samples.effective[k])
        assert drawn.std() == pytest.approx(width, rel=0.12)
    assert "rate   = 1.5" in str(samples)


@needs_blackjax
def test_same_key_same_samples(samples):
    again = sample_posterior(
        jax.random.key(3), DECAY, decay, DECAY_DATA, scale=1.0, samples=1500, warmup=300, chains=2
    )
    np.testing.assert_array_equal(again.draws, samples.draws)


@needs_blackjax
def test_open_parameters_are_named():
    open_ = {"a": jnp.float32(1), "b": jnp.float32(1)}
    with pytest.raises(ValueError, match="leave a, b open"):
        sample_posterior(jax.random.key(0), open_, lambda m, d: m["a"] * m["b"] * X - d, X)


def test_without_blackjax(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "blackjax", None)
    with pytest.raises(ModuleNotFoundError, match=r"jaxwave\[sampling\]"):
        sample_posterior(jax.random.key(0), DECAY, decay, DECAY_DATA)
