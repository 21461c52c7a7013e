"""The minimizer: known minima, history, bad losses, compile once."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxwave import elements as el
from jaxwave.calibration.lbfgs import minimize


def rosenbrock(p: dict, scale: jnp.ndarray) -> jnp.ndarray:
    return scale * (p["b"] - p["a"] ** 2) ** 2 + (1 - p["a"]) ** 2


def test_finds_the_minimum_of_the_rosenbrock_valley() -> None:
    start = {"a": jnp.float32(-1.2), "b": jnp.float32(1.0)}
    result = minimize(rosenbrock, start, jnp.float32(100), steps=100)
    np.testing.assert_allclose([result.parameters["a"], result.parameters["b"]], 1, atol=1e-3)
    assert len(result.loss) % 10 == 0 and result.loss[-1] < 1e-6
    assert np.all(np.diff(result.loss) <= 1e-6)  # the line search never lets the loss rise


def test_heldout_and_progress_are_reported_per_chunk() -> None:
    seen: list = []

    def loss(p: jnp.ndarray, d: jnp.ndarray) -> jnp.ndarray:
        return jnp.sum(jnp.cosh(p - d[0]))

    def heldout(p: jnp.ndarray, d: jnp.ndarray) -> jnp.ndarray:
        return jnp.sum((p - d[1]) ** 2)

    data = jnp.array([[1.0, 2.0], [1.1, 2.1]])
    result = minimize(
        loss,
        jnp.zeros(2),
        data,
        steps=12,
        report_every=4,
        heldout_loss=heldout,
        tolerance=0.0,
        progress=lambda *report: seen.append(report),
    )
    assert [s[0] for s in seen] == [4, 8, 12] and len(result.heldout_loss) == 3
    assert result.heldout_loss[-1] == pytest.approx(0.02, rel=1e-2)  # (0.1)^2 twice


def test_the_same_loss_compiles_once() -> None:
    calls = []

    def loss(p: dict, scale: jnp.ndarray) -> jnp.ndarray:
        calls.append(1)
        return rosenbrock(p, scale)

    counts = []
    for value in (1.0, 2.0, 3.0):
        start = {"a": jnp.float32(-value), "b": jnp.float32(value)}
        minimize(loss, start, jnp.float32(10 * value), steps=14, report_every=7)
        counts.append(len(calls))
    assert counts[0] == counts[1] == counts[2] > 0


def test_a_bad_start_names_the_parameter() -> None:
    with pytest.raises(ValueError, match=r"`b`.*1 NaN or infinite.*index \(1,\)"):
        minimize(lambda p: jnp.sum(p["b"]), {"b": np.array([0.0, np.nan])})

    def loss(p: dict) -> jnp.ndarray:
        return jnp.sum(jnp.sqrt(p["bad"])) + jnp.sum(p["good"] ** 2)

    with pytest.raises(ValueError, match=r"the loss is nan, and 'bad' went"):
        minimize(loss, {"bad": jnp.array([-1.0]), "good": jnp.array([1.0])}, steps=2)


def test_complex_parameters_need_no_conjugation() -> None:
    target = jnp.complex64(1 - 2j)
    result = minimize(lambda p, t: jnp.abs(p - t) ** 2, jnp.complex64(0.5j), target, steps=10)
    assert result.parameters == pytest.approx(1 - 2j, abs=1e-5)


def test_the_line_search_stays_off_a_cliff() -> None:
    def loss(p: jnp.ndarray) -> jnp.ndarray:  # falls toward a cliff of NaN at p > 1
        return jnp.where(p > 1, jnp.nan, -p)

    result = minimize(loss, jnp.float32(0.0), steps=20, report_every=5)
    assert 0.9 < result.parameters <= 1 and np.isfinite(result.loss).all()


def test_a_design_of_an_element_by_an_optax_schedule_is_watched_and_goes_on(tmp_path):
    # An element without data, two groups with rates of their own, looked at while it moves.
    def mask():
        return el.learn(el.ConvolvePsf(jnp.full((2, 2), 0.5)), "psf")

    def loss(mask):
        return jnp.sum((mask(jnp.eye(3)) - jnp.eye(3)) ** 2)

    seen = []
    options = dict(optimizer=optax.adam(optax.cosine_decay_schedule(0.1, 40)), report_every=10)
    found = minimize(
        loss, mask(), steps=40, watch=lambda step, m: seen.append((step, loss(m))),
        checkpoint=tmp_path / "state", **options,
    )  # fmt: skip
    assert isinstance(found.parameters, el.ConvolvePsf)
    assert [step for step, _ in seen] == [10, 20, 30, 40] and len(found.loss) == 40
    np.testing.assert_allclose(seen[-1][1], loss(found.parameters), rtol=1e-5)
    assert seen[-1][1] < seen[0][1] < found.loss[0]
    again = minimize(loss, mask(), steps=40, checkpoint=tmp_path / "state", resume=True, **options)
    np.testing.assert_array_equal(again.parameters.psf[...], found.parameters.psf[...])


def test_groups_have_rates_of_their_own():
    start = {"slow": np.ones(2), "fast": np.ones(2), "still": np.ones(2)}
    found = minimize(
        lambda p: sum(jnp.sum(v**2) for v in p.values()), start, steps=1,
        optimizer=optax.sgd(0.1), learn=["slow", "fast"], learning_rates={"fast": 2.0},
    )  # fmt: skip
    for name, value in (("slow", 0.8), ("fast", 0.6), ("still", 1.0)):
        np.testing.assert_allclose(found.parameters[name], value, rtol=1e-6)
