"""What cannot be told apart, and the bootstrap over groups, against closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave.beads import BeadModel
from jaxwave.beads.ties import Tie, pulled, sentence, ties_of
from jaxwave.calibration.uncertainty import (
    grouped_errors,
    scatter_over_noise,
    standard_errors,
)
from jaxwave.psf import Objective

MODEL = BeadModel(Objective(0.8, 0.5, 1.0), pixel=0.13, shape=(16, 16), order=4, margin=2)


def test_pairs_are_named_in_words_with_their_correlation():
    modes = MODEL.modes
    learned = {"dz": 0.0, "pixel": 0.0, "x": 0.0, "zernike": np.zeros(len(modes))}
    order = ["dz", "pixel", "x", *modes]
    covariance = np.diag(np.arange(1.0, len(order) + 1) ** 2)
    for a, b, r in (((3, 1), "pixel", -0.97), ((4, 0), "dz", 0.9), ((2, 2), "x", 0.6)):
        i, j = order.index(a), order.index(b)
        covariance[i, j] = covariance[j, i] = r * np.sqrt(covariance[i, i] * covariance[j, j])
    first, second = ties_of(MODEL, covariance, learned)
    assert set(first.names) == {"horizontal coma (3, 1)", "the pixel"}
    assert first.correlation == pytest.approx(-0.97)
    assert first.inflation == pytest.approx(1 / np.sqrt(1 - 0.97**2))
    assert second.names[0].endswith("(4, 0)") or second.names[1].endswith("(4, 0)")
    assert "the distance of the planes" in second.names
    text = sentence([first, second])
    assert "correlation -0.97" in text and "4.1 times worse" in text
    assert sentence([]) == "" and isinstance(first, Tie)


def test_places_and_further_modes_alone_are_not_told():
    learned = {"drift_x": np.zeros(3), "further_phase": np.zeros(1), "x": 0.0, "zernike": 0.0}
    covariance = np.full((6, 6), 0.99) + 0.01 * np.eye(6)
    ties = ties_of(MODEL, covariance, {**learned, "zernike": np.zeros(1)})
    assert ties and all("further" not in str(tie) for tie in ties)
    assert all(any("astigmatism" in name for name in tie.names) for tie in ties)


def test_what_left_its_tolerance_is_told_with_its_sign_and_size():
    given = {"pixel_factor": 0.975, "dz_factor": 0.95, "na": 0.816}
    text = pulled(given, 0.8)
    assert "moved the pixel by -2.5% from what was given" in text and "--known-exactly" in text
    text = pulled({**given, "dz_factor": 0.93, "na": 0.82}, 0.8)
    assert "the distance of the planes by -7.0%, the numerical aperture by +2.5%" in text
    assert pulled({"pixel_factor": 1.019, "dz_factor": 1.05, "na": 0.79}, 0.8) == ""


def test_bootstrap_is_the_scatter_of_refits_of_a_linear_model():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(12), 30)
    x = rng.normal(size=(360, 2)) + np.array([0.0, 0.5])
    wrong = rng.normal(size=12)[groups]  # residuals of a group go together
    y = (x @ [0.7, -0.2] + 0.3 * wrong + 0.1 * rng.normal(size=360)) / 0.1
    rows = x / 0.1
    width = 2.0

    def solve(count):
        weight = count[groups]
        info = (rows * weight[:, None]).T @ rows + np.eye(2) / width**2
        return np.linalg.solve(info, rows.T @ (weight * y))

    best = solve(np.ones(12))
    draws = np.random.default_rng(0).multinomial(12, np.full(12, 1 / 12), 200)
    need = np.std([solve(count) for count in draws], axis=0)
    a, b = jnp.asarray(rows, jnp.float32), jnp.asarray(y, jnp.float32)
    call = lambda p: a @ p["w"] - b  # noqa: E731
    at, prior = {"w": jnp.asarray(best, jnp.float32)}, {"w": np.full(2, width)}
    found = grouped_errors(call, at, prior=prior, counts={"w": np.ones(2)}, groups=groups)
    np.testing.assert_allclose(found.bootstrap["w"], need, rtol=1e-3)
    errors, covariance = standard_errors(call, at, prior=prior, groups=groups)
    np.testing.assert_allclose(found.errors["w"], errors["w"], rtol=1e-6)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-9)
    assert np.all(need < 1.5 * np.asarray(errors["w"]))


def test_what_a_wrong_model_knows_less_than_its_noise_says():
    """Means of groups that are off together: their number counts, not that of the residuals."""
    rng = np.random.default_rng(5)
    groups, off = np.repeat(np.arange(40), 50), 3 * rng.normal(size=40)
    for wrong, low, high in ((np.zeros(40), 0.6, 1.5), (off, 300, 700)):  # 1 + 50 * 3²
        r = jnp.asarray(wrong[groups] + rng.normal(size=2000), jnp.float32)
        call = lambda p, r=r: p["c"] - (r - jnp.mean(r))  # noqa: E731
        at, free = {"c": jnp.zeros(1)}, {"c": np.full(1, np.inf)}
        found, excess = scatter_over_noise(call, at, prior=free, groups=groups)
        np.testing.assert_allclose(found, [[2000]], rtol=1e-6)
        assert low < excess[0] < high
    # A prior as wide as the scatter of the mean halves its variance.
    width = 3 / np.sqrt(40)
    known, counts = {"c": np.full(1, width)}, {"c": np.full(1, excess[0])}
    errors = grouped_errors(call, at, prior=known, counts=counts, groups=groups).errors
    assert errors["c"][0] == pytest.approx(width / np.sqrt(2), rel=0.15)
