"""Fisher information and Cramer-Rao bounds against closed forms and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave import psf
from jaxwave.calibration import cramer_rao, fisher_information, localization_bound

X = np.linspace(-1, 1, 41)
SIGMA, PIXEL = 0.15, 0.02
GRID = np.arange(-60, 61) * PIXEL


def spot(p):
    """Photons per pixel of a Gaussian spot on a fine grid."""
    y, x = GRID[:, None] - p["y"], GRID - p["x"]
    shape = jnp.exp(-(x**2 + y**2) / (2 * SIGMA**2)) * PIXEL**2 / (2 * jnp.pi * SIGMA**2)
    return p["photons"] * shape + p.get("background", 0.0)


def test_linear_regression(x64):
    design = np.stack([np.ones_like(X), X, X**2], -1)
    expected = design.T @ design / 0.3**2
    line = lambda c, x: c[0] + c[1] * x + c[2] * x**2  # noqa: E731
    got = fisher_information(line, jnp.zeros(3), X, variance=0.3**2)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    bound = cramer_rao(line, jnp.zeros(3), X, variance=np.full(41, 0.3**2))
    np.testing.assert_allclose(bound, np.sqrt(np.diag(np.linalg.inv(expected))), rtol=1e-10)


def test_gaussian_spot_is_located_to_sigma_over_root_n():
    """Photons without background: sigma/sqrt(N); the number of photons to sqrt(N)."""
    bound = cramer_rao(spot, {"y": 0.01, "x": -0.02, "photons": 2500.0})
    for axis in "yx":
        assert float(bound[axis]) == pytest.approx(SIGMA / 50, rel=2e-4)
    assert float(bound["photons"]) == pytest.approx(50, rel=1e-4)


def test_gaussian_spot_on_gaussian_noise():
    """The integral of (dI/dx)² gives sigma_x = sigma² sqrt(8 pi) noise / (N pixel)."""
    bound = cramer_rao(spot, {"y": 0.0, "x": 0.0, "photons": 2500.0}, variance=4.0)
    expected = SIGMA**2 * np.sqrt(8 * np.pi) * 2 / (2500 * PIXEL)
    assert float(bound["x"]) == pytest.approx(expected, rel=1e-4)


def test_background_and_read_noise_count_alike(x64):
    """A known background b and a read noise of variance b add the same variance."""
    known = lambda p: spot({**p, "background": 5.0})  # noqa: E731
    p = {"y": 0.0, "x": 0.0, "photons": 1000.0}
    a, b = cramer_rao(known, p), cramer_rao(spot, p, read_noise=np.sqrt(5.0))
    jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v, rtol=1e-12), a, b)
    assert a["x"] > cramer_rao(spot, p)["x"]


def test_twice_the_photons_by_the_square_root():
    p = {"y": 0.0, "x": 0.0, "photons": 1000.0}
    ratio = cramer_rao(spot, p)["x"] / cramer_rao(spot, {**p, "photons": 4000.0})["x"]
    assert float(ratio) == pytest.approx(2, rel=1e-5)


def test_maximum_likelihood_reaches_the_bound(x64):
    """The scatter of 300 fits by scoring equals the bound (known to 4 %; 15 % allowed)."""
    x = np.arange(-12, 13) * 0.1

    def expected(p):
        return p[1] * jnp.exp(-((x - p[0]) ** 2) / (2 * 0.3**2)) + p[2]

    truth = jnp.array([0.05, 200.0, 20.0])

    def fit(data):
        def step(p, _):
            mean, slope = expected(p), jax.jacfwd(expected)(p)
            score = slope.T @ ((data - mean) / mean)
            return p + jnp.linalg.solve(fisher_information(expected, p), score), None

        return jax.lax.scan(step, truth, None, length=8)[0]

    data = np.random.default_rng(2).poisson(np.asarray(expected(truth)), (300, x.size))
    fits = np.asarray(jax.jit(jax.vmap(fit))(jnp.asarray(data, float)))
    np.testing.assert_allclose(np.std(fits, axis=0), cramer_rao(expected, truth), rtol=0.15)


def test_a_prior_bounds_what_the_data_leave_open():
    flat = lambda p: 3 * X * p["a"]  # noqa: E731
    p = {"a": jnp.float32(1), "b": jnp.float32(0)}
    open_ = cramer_rao(flat, p, variance=1.0)
    assert np.isinf(open_["b"])
    assert float(open_["a"]) == pytest.approx(1 / np.sqrt(9 * np.sum(X**2)), rel=1e-5)
    bound = cramer_rao(flat, p, variance=1.0, prior={"a": np.inf, "b": 0.25})
    assert float(bound["b"]) == pytest.approx(0.25)
    assert float(bound["a"]) == pytest.approx(float(open_["a"]))


def test_what_cannot_be_told_apart_is_infinite():
    both = cramer_rao(lambda p: (p[0] + p[1]) * X + p[2], jnp.ones(3), variance=1.0)
    assert np.isinf(both[:2]).all()
    assert float(both[2]) == pytest.approx(1 / np.sqrt(41), rel=1e-5)


def test_gradient_against_finite_differences(x64):
    """The bound as an objective: with respect to the width of the spot."""

    def bound(width):
        def expected(p):
            return 100 * jnp.exp(-((X - p[0]) ** 2) / (2 * width**2)) + p[1]

        return cramer_rao(expected, jnp.array([0.1, 3.0]))[0]

    step = 1e-5
    bound = jax.jit(bound)
    numeric = (bound(0.3 + step) - bound(0.3 - step)) / (2 * step)
    assert float(jax.grad(bound)(0.3)) == pytest.approx(float(numeric), rel=1e-6)


def test_dark_pixels_count_for_nothing():
    f = fisher_information(lambda p: jnp.maximum(p * X, 0), jnp.float32(2.0))
    assert float(f[0, 0]) == pytest.approx(np.sum(X[X > 0]) / 2, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"variance": -1.0}, ValueError, "`variance` must be zero or more"),
        ({"read_noise": -1.0}, ValueError, "`read_noise` must be zero or more"),
        ({"variance": np.ones(7)}, ValueError, "must broadcast"),
    ],
)
def test_bad_input(options, error, match):
    with pytest.raises(error, match=match):
        fisher_information(lambda p: p * X, jnp.float32(1.0), **options)


def test_complex_is_refused():
    with pytest.raises(TypeError, match="`parameters` must be real"):
        fisher_information(lambda p: jnp.abs(p) * X, jnp.complex64(1.0))
    with pytest.raises(TypeError, match="`expected` must be real"):
        fisher_information(lambda p: p * 1j * X, jnp.float32(1.0))


# -- a microscope --------------------------------------------------------------------------

SCOPE = psf.Microscope(na=1.2, wavelength=0.6, shape=(17, 17), pixel=0.1, n=1.33)


def share(p):
    return SCOPE.psf(p[0], y=p[1], x=p[2])


@pytest.fixture(scope="module")
def bounds():
    places = np.array([[0.25, 0, 0], [0.25, 0.03, -0.04], [-0.25, 0, 0]])
    at = jax.jit(lambda photons: localization_bound(share, places, photons=photons, background=2.0))
    return {n: jax.tree.map(np.asarray, at(n)) for n in (1000.0, 4000.0)}


def test_localization_with_a_microscope(bounds):
    """Finite differences give F_xx, and symmetry keeps x apart from everything else."""
    b, image, step = bounds[1000.0], jax.jit(share), np.array([0, 0, 0.01])
    assert set(b) == {"z", "y", "x", "photons", "background"}
    assert b["x"].shape == (3,)
    place = np.array([0.25, 0, 0])
    slope = 1000 * (np.asarray(image(place + step)) - np.asarray(image(place - step))) / 0.02
    information = np.sum(slope**2 / (1000 * np.asarray(image(place)) + 2))
    np.testing.assert_allclose(b["x"][0], information**-0.5, rtol=3e-3)
    np.testing.assert_allclose(b["x"][0], b["y"][0], rtol=1e-3)
    np.testing.assert_allclose(b["z"][0], b["z"][2], rtol=1e-3)  # symmetric about the focus
    assert b["x"][0] < b["z"][0] < 0.1


def test_more_photons_tell_more(bounds):
    ratio = bounds[1000.0]["x"] / bounds[4000.0]["x"]
    assert np.all((ratio > 2) & (ratio < 4))  # 2 for photons alone, 4 for background alone


def test_position_needs_three_numbers():
    with pytest.raises(ValueError, match=r"`position` must be \(\.\.\., 3\)"):
        localization_bound(lambda p: p, jnp.zeros(2), photons=1.0)
