"""Error bars against linear regression and against the scatter of many noisy fits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave.calibration.uncertainty import standard_errors

X = np.linspace(-1, 1, 41)


def test_equals_linear_regression() -> None:
    design = np.stack([np.ones_like(X), X, X**2], -1)
    expected = np.linalg.inv(design.T @ design / 0.3**2)

    def residuals(p: dict, x: jax.Array) -> jax.Array:
        return (p["c"][0] + p["c"][1] * x + p["c"][2] * x**2) / 0.3

    errors, covariance = standard_errors(residuals, {"c": jnp.zeros(3)}, jnp.asarray(X))
    np.testing.assert_allclose(covariance, expected, rtol=1e-4, atol=1e-8)  # float32 normal matrix
    np.testing.assert_allclose(errors["c"], np.sqrt(np.diag(expected)), rtol=1e-4)


def test_the_scatter_of_noisy_fits_equals_the_error() -> None:
    rng = np.random.default_rng(1)

    @jax.jit
    def model(p: jax.Array) -> jax.Array:
        return jnp.exp(-p[0] * (X + 1)) + p[1]

    slope, truth = jax.jit(jax.jacfwd(model)), jnp.array([1.3, 0.2])
    fits = []
    for _ in range(200):
        data = np.asarray(model(truth)) + rng.normal(0, 0.02, X.shape)
        p = truth
        for _ in range(4):  # Gauss-Newton
            jacobian = np.asarray(slope(p))
            p = p + np.linalg.lstsq(jacobian, data - np.asarray(model(p)), rcond=None)[0]
        fits.append(np.asarray(p))
    residuals = lambda p: (model(p) - model(truth)) / 0.02  # noqa: E731
    errors, _ = standard_errors(residuals, truth)
    # 200 draws know their standard deviation to 5 %; three of those are allowed
    np.testing.assert_allclose(np.std(fits, axis=0), errors, rtol=0.15)


def test_a_misfit_widens_the_errors() -> None:
    good, _ = standard_errors(lambda p: p * X, jnp.float32(0.0))
    poor, _ = standard_errors(lambda p: p * X + 3 * np.sign(np.sin(40 * X)), jnp.float32(0.0))
    assert 2.5 < float(poor / good) < 3.5  # residuals of three standard deviations


def test_a_prior_bounds_the_error() -> None:
    errors, _ = standard_errors(lambda p: 1e-3 * p * X, jnp.float32(0.0), prior=jnp.float32(0.5))
    assert float(errors) == pytest.approx(0.5, rel=1e-3)


def test_what_the_data_cannot_tell_is_named() -> None:
    start = {"na": jnp.float32(1.0), "pixel": jnp.float32(1.0), "x": jnp.float32(0.0)}
    with pytest.raises(ValueError, match=r"cannot tell \['(na|pixel)'\], \['(na|pixel)'\] apart"):
        standard_errors(lambda p: (p["na"] + p["pixel"]) * X + p["x"], start)
    with pytest.raises(ValueError, match=r"do not depend on \['x'\]"):
        standard_errors(lambda p: p["na"] * X, {"na": jnp.float32(1.0), "x": jnp.float32(0.0)})
