"""Gain and background against numpy's least squares."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave.beads.linear import solve_gain_background


def _case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    model = rng.uniform(0, 1, (3, 5, 6))
    return model, rng.uniform(0, 100, model.shape), rng.uniform(0.1, 2, model.shape)


def _lstsq(m: np.ndarray, d: np.ndarray, w: np.ndarray) -> np.ndarray:
    root = np.sqrt(w.ravel())
    columns = np.stack([m.ravel(), np.ones(m.size)], -1) * root[:, None]
    return np.linalg.lstsq(columns, d.ravel() * root, rcond=None)[0]


def test_equals_weighted_least_squares() -> None:
    m, d, w = _case()
    gain, background = solve_gain_background(m, d, w)
    for k in range(3):  # float32 sums of 30 terms
        expected = _lstsq(m[k], d[k], w[k])
        np.testing.assert_allclose([gain[k, 0, 0], background[k, 0, 0]], expected, rtol=2e-4)
    gain, background = solve_gain_background(m, d, w, per_plane=False)
    np.testing.assert_allclose([gain.item(), background.item()], _lstsq(m, d, w), rtol=2e-4)


def test_keeps_digits_on_a_large_background() -> None:
    m, _, w = _case()
    gain, background = solve_gain_background(m, 3.0 * m + 1e4, w)
    np.testing.assert_allclose(gain, 3.0, rtol=2e-3)  # the data hold 1e-3 of a count in float32
    np.testing.assert_allclose(background, 1e4, rtol=1e-6)


def test_a_dark_or_constant_model_has_no_gain_and_finite_gradients() -> None:
    d, w = jnp.arange(12.0).reshape(1, 3, 4), jnp.ones((1, 3, 4))

    def total(m: jax.Array) -> jax.Array:
        gain, background = solve_gain_background(m, d, w)
        return jnp.sum(gain * m + background)

    for model in (jnp.zeros((1, 3, 4)), jnp.full((1, 3, 4), 2.0)):
        gain, background = solve_gain_background(model, d, w)
        assert float(gain.item()) == 0 and float(background.item()) == pytest.approx(5.5)
        assert np.all(np.isfinite(jax.grad(total)(model)))


def test_needs_planes() -> None:
    with pytest.raises(ValueError, match=r"`model` must have the axes \(..., z, y, x\)"):
        solve_gain_background(np.ones((3, 3)), np.ones((3, 3)), np.ones((3, 3)))
