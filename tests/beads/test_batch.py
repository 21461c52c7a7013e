"""Many beads: compiled once, each recovered, and a bad one stops nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave import psf
from jaxwave.beads.basis import pupil_basis
from jaxwave.beads.batch import fit_beads, shared_start
from jaxwave.beads.fit import fit_bead
from jaxwave.beads.model import SCALES, BeadModel, bead_stack
from jaxwave.calibration import _host
from jaxwave.cli import options, terminal

MODEL = BeadModel(
    psf.Objective(na=0.8, wavelength=0.5, n=1.0),
    pixel=0.13,
    shape=(20, 20),
    order=4,
    pupil_samples=28,
    vectorial=False,
    margin=4,
)
Z = (np.arange(9) - 4) * 0.35


def bead(x: float, astigmatism: float = 0.03, seed: int = 0) -> np.ndarray:
    parameters = MODEL.start(0.0)
    values = np.zeros(len(MODEL.modes))
    values[MODEL.modes.index((2, 2))] = astigmatism / SCALES["zernike"]
    parameters["zernike"] = jnp.asarray(values, jnp.float32)
    parameters["x"] = jnp.float32(x / SCALES["x"])
    clean = 2e5 * np.asarray(bead_stack(MODEL, parameters, Z, pupil_basis(MODEL))) + 100
    return np.random.default_rng(seed).poisson(clean).astype(float)


@pytest.fixture(scope="module")
def batch():
    bad = np.full((9, 20, 20), np.nan)
    noise = np.random.default_rng(3).poisson(100.0, (9, 20, 20)).astype(float)
    stacks = [bad, bead(0.05), np.zeros((4, 3)), bead(-0.1, seed=1), noise, bead(0.02, seed=2)]
    names = ["nan", "first", "flat", "second", "noise", "third"]
    options = {"steps": (40, 0), "later_steps": 20, "model_error": 0.0}
    outcomes = fit_beads(stacks, Z, MODEL, names=names, **options)
    return {outcome.name: outcome for outcome in outcomes}


def test_a_bad_bead_stops_nothing(batch):
    assert list(batch) == ["nan", "first", "flat", "second", "noise", "third"]
    status = {name: outcome.status for name, outcome in batch.items()}
    assert status["nan"] == status["flat"] == "failed"
    assert status["noise"] == "poor"
    assert [status[name] for name in ("first", "second", "third")] == ["ok"] * 3
    assert "weight 0" in batch["nan"].reason and batch["nan"].fit is None
    assert "the model does not describe the data" in batch["noise"].reason


@pytest.mark.parametrize(("name", "x"), [("first", 0.05), ("second", -0.1), ("third", 0.02)])
def test_every_good_bead_is_recovered(batch, name, x):
    fit = batch[name].fit
    assert fit.values["x_um"] == pytest.approx(x, abs=2e-3)
    found = dict(zip(MODEL.modes, fit.values["zernike_um"], strict=True))
    assert found[2, 2] == pytest.approx(0.03, abs=1e-3)
    assert abs(found[4, 0]) < 2e-3


def test_a_later_bead_starts_from_the_first_pupil(batch):
    assert len(batch["first"].fit.history["loss"]) == 40
    assert len(batch["third"].fit.history["loss"]) == 20
    # from the right pupil the first loss is within a few times the last one
    first = batch["third"].fit.history["loss"][0] / batch["third"].fit.history["loss"][-1]
    cold = batch["first"].fit.history["loss"][0] / batch["first"].fit.history["loss"][-1]
    assert first < 0.2 * cold


def test_the_second_bead_compiles_nothing(batch, caplog):
    start = shared_start(batch["first"].fit)
    stack = bead(0.03, seed=5)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        [outcome] = fit_beads(
            [stack], Z, MODEL, start=start, later_steps=20, steps=(40, 0), model_error=0.0
        )
    compiled = [r.getMessage() for r in caplog.records if "Finished XLA compilation" in r.msg]
    assert outcome.status == "ok"
    assert not [text for text in compiled if "_chunk" in text or "_normal" in text], compiled


def test_two_beads_closer_than_the_window_tells_are_no_bead(batch):
    """Their single spot is found, but no pupil that is smooth makes it."""
    pair = bead(0.26, seed=7) + 0.8 * (bead(-0.26, seed=8) - 100)
    options = {"steps": (40, 0), "later_steps": 20, "model_error": 0.0}
    [outcome] = fit_beads([pair], Z, MODEL, start=shared_start(batch["first"].fit), **options)
    assert outcome.status == "poor", outcome.fit.scores


def test_a_killed_batch_goes_on(batch, tmp_path):
    stacks = [bead(0.05), bead(-0.1, seed=1)]
    options = {"steps": (40, 0), "later_steps": 20, "model_error": 0.0, "checkpoint": tmp_path}
    whole = list(fit_beads(stacks, Z, MODEL, **options))
    assert [outcome.status for outcome in whole] == ["ok", "ok"]
    again = list(fit_beads(stacks, Z, MODEL, **options, resume=True))
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_array_equal(one.fit.image, other.fit.image)


def test_names_and_weights_must_match():
    with pytest.raises(ValueError, match="as many names, weights and cameras as stacks"):
        fit_beads([np.ones((3, 4, 4))], Z, MODEL, names=["a", "b"])


@pytest.mark.parametrize(
    ("start", "text"),
    [({"zernikes": 1.0}, "Did you mean 'zernike'"), ({"zernike": np.zeros(3)}, "same model")],
)
def test_a_foreign_start_is_refused(start, text):
    with pytest.raises(ValueError, match=text):
        fit_bead(bead(0.0), Z, MODEL, start=start)


def test_a_bead_that_needs_too_much_memory_is_told_what_would_do(monkeypatch):
    def scarce(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9000000000")

    monkeypatch.setattr(_host, "_advance", scarce)
    one, two = fit_beads([bead(0.05), bead(0.0)], Z, MODEL, steps=(40, 0))
    assert one.status == two.status == "failed"
    assert one.reason.startswith("calibrate: there is not enough memory")
    shown = terminal.in_flags(one.reason, options.CALIBRATE, size=20)
    assert shown.startswith("there is not enough memory (9 GB more were needed). Pass --size 10")
