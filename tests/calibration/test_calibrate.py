"""Calibration: known minima by every optimizer, options, one program, faults."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxwave._check import JaxwaveWarning
from jaxwave.calibration import (
    Stage,
    calibrate,
    engine,
    interval,
    lbfgs,
    least_squares,
    levenberg_marquardt,
    normal,
    periodic,
    positive,
    quantized,
)
from jaxwave.elements import Fixed, ThinLens, load_model

X = jnp.linspace(-1, 1, 21)


class Line(nnx.Module):
    def __init__(self) -> None:
        self.slope = nnx.Param(jnp.float32(0.0))
        self.offset = Fixed(jnp.float32(1.0))
        self.mask = Fixed(jnp.zeros((30, 40)))


def residuals(model: Line, data: jax.Array) -> jax.Array:
    return model.slope[...] * X + model.offset[...] + jnp.sum(model.mask[...]) - data


LINE = least_squares(residuals)
DATA = 3 * X + 0.5


def traces() -> int:
    return sum(program.traces for program in engine._programs.values())


# -- optimizers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.adam(0.3),
        lbfgs(),
        levenberg_marquardt(),
        levenberg_marquardt(dense_limit=0),
    ],
    ids=["adam", "lbfgs", "dense", "matrix-free"],
)
def test_finds_a_line(optimizer) -> None:
    found = calibrate(Line(), LINE, DATA, learn=["slope", "offset"], optimizer=optimizer, steps=300)
    assert found.learned == ("offset", "slope")
    assert found.parameters()["slope"] == pytest.approx(3, abs=1e-4)
    assert found.parameters()["offset"] == pytest.approx(0.5, abs=1e-4)
    assert found.loss == pytest.approx(float(LINE(found.model, DATA)), abs=1e-9)


def test_is_the_loop_that_one_writes_by_hand() -> None:
    def loss(p: dict, d: jax.Array) -> jax.Array:
        return jnp.sum((p["b"] - p["a"] ** 2) ** 2) + jnp.sum((p["a"] - d) ** 2)

    start, data = {"a": jnp.array([-1.2, 0.3]), "b": jnp.array([1.0, 2.0])}, jnp.float32(0.5)
    optimizer = optax.adamw(0.05)
    found = calibrate(start, loss, data, optimizer=optimizer, steps=30)
    p, state, losses = start, optimizer.init(start), []
    for _ in range(30):
        value, gradient = jax.value_and_grad(loss)(p, data)
        update, state = optimizer.update(gradient, state, p)
        p = optax.apply_updates(p, update)
        losses.append(value)
    np.testing.assert_allclose(found.history["loss"], losses, rtol=1e-5)
    for name in p:
        np.testing.assert_allclose(found.model[name], p[name], rtol=1e-5)
    assert found.loss == pytest.approx(float(loss(p, data)), rel=1e-5)


def test_levenberg_marquardt_goes_down_a_curved_valley(x64) -> None:
    loss = least_squares(lambda p, d: (10 * (p["y"] - p["x"] ** 2), d - p["x"]))
    start = {"x": jnp.float64(-1.2), "y": jnp.float64(1.0)}
    for limit in (300, 0):
        method = levenberg_marquardt(dense_limit=limit)
        found = calibrate(start, loss, jnp.float64(1.0), optimizer=method, steps=40)
        assert float(found.model["x"]) == pytest.approx(1, abs=1e-8)
        assert float(found.model["y"]) == pytest.approx(1, abs=1e-8)
        assert np.all(np.diff(found.history["loss"]) <= 0)


def test_complex_parameters_go_the_right_way() -> None:
    target = jnp.array([1 + 2j, -0.5j])
    loss = least_squares(lambda p, d: p["c"] * jnp.exp(0.3j) - d)
    truth = target * np.exp(-0.3j)
    for optimizer, steps in ((optax.sgd(0.5), 60), (levenberg_marquardt(), 5)):
        start = {"c": jnp.zeros(2, jnp.complex64)}
        found = calibrate(start, loss, target, optimizer=optimizer, steps=steps)
        np.testing.assert_allclose(found.model["c"], truth, atol=1e-4)


# -- one program, memory -------------------------------------------------------------------


def test_the_second_call_compiles_nothing() -> None:
    calls = []

    def loss(p: dict, d: jax.Array) -> jax.Array:
        calls.append(1)
        return jnp.sum((p["a"] - d) ** 2)

    for value in (1.0, 2.0, 3.0):  # optax makes new functions at every call
        start = {"a": jnp.full(3, value)}
        optimizer = optax.adam(optax.exponential_decay(0.1, 10, 0.9))
        calibrate(start, loss, jnp.float32(-value), optimizer=optimizer, steps=20, report_every=10)
        if value == 1.0:
            first = len(calls)
    assert len(calls) == first
    other = optax.adam(optax.exponential_decay(0.2, 10, 0.9))
    calibrate({"a": jnp.zeros(3)}, loss, jnp.float32(0.0), optimizer=other, steps=20)
    assert len(calls) > first


def test_memory_is_for_what_is_learned_only() -> None:
    calibrate(Line(), LINE, DATA, steps=3, optimizer=optax.adam(0.011))
    program = next(reversed(engine._programs.values()))
    carry = program.start(jnp.zeros(1))
    assert max(leaf.size for leaf in jax.tree.leaves(carry)) == 1


def test_the_callers_model_is_unchanged() -> None:
    model = Line()
    found = calibrate(model, LINE, DATA, steps=5)
    assert float(model.slope[...]) == 0.0 and float(found.model.slope[...]) != 0.0
    assert isinstance(found.model.slope, nnx.Param) and isinstance(found.model.offset, Fixed)
    assert found.learned == ("slope",)


# -- options by name -----------------------------------------------------------------------


def test_learning_rates_multiply_the_step() -> None:
    def one_step(**options: object) -> tuple[float, float]:
        found = calibrate(
            {"a": jnp.float32(1.0), "b": jnp.float32(1.0)},
            lambda p, d: p["a"] ** 2 + p["b"] ** 2,
            optimizer=optax.sgd(0.1),
            steps=1,
            **options,
        )
        return float(found.model["a"]), float(found.model["b"])

    assert one_step() == pytest.approx((0.8, 0.8))
    assert one_step(learning_rates={"a": 0.5, "b": 0.0}) == pytest.approx((0.9, 1.0))
    # In units of s the slope is s times larger, and so is what a step is worth.
    assert one_step(scales={"a": 2.0}) == pytest.approx((0.2, 0.8))


@pytest.mark.parametrize("optimizer", [optax.sgd(0.4), levenberg_marquardt()])
def test_a_prior_counts_like_a_measurement(optimizer) -> None:
    loss = least_squares(lambda p, d: (p["a"] - d) / 0.5)
    found = calibrate(
        {"a": jnp.float32(0.0)},
        loss,
        jnp.float32(2.0),
        priors={"a": normal(1.0, 1.0)},
        optimizer=optimizer,
        steps=40,
        scales={"a": 0.5},
    )
    assert float(found.model["a"]) == pytest.approx((4 * 2.0 + 1.0) / 5, abs=1e-4)
    assert found.loss == pytest.approx(0.5 * ((0.2 / 0.5) ** 2 + 0.8**2), rel=1e-4)


def test_constraints_hold_at_the_end() -> None:
    found = calibrate(
        {"na": jnp.float32(0.85), "f": jnp.float32(1.0)},
        lambda p, d: -p["na"] + (p["f"] + 1) ** 2,
        constraints={"na": interval(0.8, 0.9), "f": positive()},
        optimizer=optax.adam(0.5),
        steps=100,
    )
    assert 0.899 < float(found.model["na"]) <= 0.9 and 0 < float(found.model["f"]) < 5e-3


# -- data: minibatches, held out -----------------------------------------------------------


def mean_of(p: dict, d: jax.Array) -> jax.Array:
    return jnp.mean((p["a"] - d) ** 2)


def test_minibatches_take_every_sample_once_an_epoch() -> None:
    data = 2.0 ** jnp.arange(12)

    def loss(p: dict, d: jax.Array) -> jax.Array:  # the path is the sum of all samples so far
        return -p["a"] * jnp.sum(d)

    def path(key: int, steps: int) -> float:
        found = calibrate(
            {"a": jnp.float32(0.0)},
            loss,
            data,
            optimizer=optax.sgd(1.0),
            batch_size=4,
            key=jax.random.key(key),
            steps=steps,
            report_every=2,
        )
        return float(found.model["a"])

    assert path(0, 3) == 4095.0 and path(0, 6) == 2 * 4095.0  # chunks of 2 cross the epochs
    assert path(0, 4) == path(0, 4) != path(1, 4)


def test_patience_keeps_the_best_heldout_model() -> None:
    found = calibrate(
        {"a": jnp.float32(0.0)},
        mean_of,
        jnp.ones(3),
        heldout=jnp.full(3, 0.5),
        optimizer=optax.sgd(0.01),
        report_every=5,
        steps=500,
        patience=3,
    )
    assert float(found.model["a"]) == pytest.approx(0.5, abs=0.05)
    assert found.heldout_loss == found.history["heldout_loss"].min()
    assert len(found.history["heldout_loss"]) == np.argmin(found.history["heldout_loss"]) + 4
    assert "held-out loss has not improved for 3 reports" in found.reason


def test_another_loss_may_judge_the_heldout_data() -> None:
    seen: list = []
    found = calibrate(
        {"a": jnp.float32(0.0)},
        mean_of,
        jnp.ones(3),
        heldout=jnp.float32(7.0),
        heldout_loss=lambda p, d: d - p["a"],
        steps=4,
        report_every=2,
        progress=lambda *report: seen.append(report),
    )
    assert [r[:3] for r in seen] == [("calibration", 2, 4), ("calibration", 4, 4)]
    assert seen[-1][4] == pytest.approx(7 - float(found.model["a"]))
    assert found.heldout_loss == seen[-1][4] and found.history["report_steps"].tolist() == [2, 4]


def test_tolerance_ends_it() -> None:
    found = calibrate(
        {"a": jnp.float32(0.0)}, mean_of, jnp.ones(3), optimizer=optax.sgd(0.5), tolerance=1e-6
    )
    assert len(found.history["loss"]) < 200 and "changed by less than 1e-06" in found.reason


# -- stages and starts ---------------------------------------------------------------------


def test_stages_follow_each_other() -> None:
    stages = [
        Stage(learn=["slope"], steps=40, optimizer=optax.adam(0.3), name="coarse"),
        Stage(learn=["*.e", "slope", "offset"][1:], steps=10, optimizer=levenberg_marquardt()),
    ]
    found = calibrate(Line(), LINE, DATA, stages=stages)
    assert found.learned == ("slope", "offset")
    assert found.reason.startswith("coarse: all steps done; stage 2: ")
    assert found.history["loss"][39] > 1 > 1e-6 > found.loss  # the offset was missing before


def test_the_best_of_several_starts_wins() -> None:
    def loss(p: dict, d: jax.Array) -> jax.Array:  # minima near -1 and, deeper, 1
        return (p["x"] ** 2 - 1) ** 2 - 0.3 * p["x"] + p["c"] * 0

    starts = [{"x": jnp.float32(x), "c": jnp.float32(x)} for x in (-1.2, 0.8, -0.4)]
    options = dict(learn="x", optimizer=lbfgs(), steps=10)
    found = calibrate(starts[0], loss, starts=starts, **options)
    alone = [calibrate(start, loss, **options) for start in starts]
    np.testing.assert_allclose(found.starts, [one.loss for one in alone], rtol=1e-5)
    assert float(found.model["x"]) == pytest.approx(1.035, abs=1e-2)
    assert float(found.model["c"]) == pytest.approx(0.8)  # what is not learned is the start's own


def test_starts_go_through_all_stages() -> None:
    stages = [Stage("a", 30, optax.sgd(0.4)), Stage("b", 30, optax.sgd(0.4))]
    starts = [{"a": jnp.float32(a), "b": jnp.float32(0.0)} for a in (0.0, 9.0)]
    found = calibrate(
        starts[0],
        lambda p, d: (p["a"] - 1) ** 2 + (p["b"] - p["a"]) ** 2,
        stages=stages,
        starts=starts,
    )
    assert found.starts.shape == (2,) and found.loss == found.starts.min()
    assert float(found.model["b"]) == pytest.approx(float(found.model["a"]), abs=1e-4)


# -- faults --------------------------------------------------------------------------------


def test_a_step_over_the_edge_is_halved() -> None:
    def loss(p: dict, d: jax.Array) -> jax.Array:  # minimum at 1, no value below 0
        return p["a"] - jnp.log(p["a"])

    found = calibrate({"a": jnp.float32(2.0)}, loss, optimizer=optax.sgd(6.0), steps=30)
    assert np.isnan(found.history["loss"]).sum() == 1
    assert float(found.model["a"]) > 0 and np.isfinite(found.loss)


def test_three_bad_steps_end_it_with_the_last_good_model() -> None:
    def loss(p: dict, d: jax.Array) -> jax.Array:
        cliff = jnp.where(p["phase"] > 1, jnp.nan, p["phase"])
        return -jnp.sum(cliff) + p["gain"] ** 2

    start = {"phase": jnp.float32(0.97), "gain": jnp.float32(1.0)}
    with pytest.warns(JaxwaveWarning, match="after 1 steps: the loss is nan, and 'phase' went"):
        found = calibrate(start, loss, optimizer=optax.sgd(0.45), steps=50)
    assert float(found.model["phase"]) == pytest.approx(0.97)
    assert found.loss == pytest.approx(0.03) and "'phase'" in found.reason
    assert found.history["loss"].shape == (4,)


def test_faults_have_a_sentence() -> None:
    start = {"mask": {"phase": jnp.zeros(2)}, "lens": {"f": 1.0}, "count": 3}
    for options, kind, text in (
        (dict(learn=["mask.phse"]), ValueError, "no parameter matches 'mask.phse'. Did you mean "
         "'mask.phase'?"),
        (dict(learn=["mask.phase"], scales={"lens.ff": 1.0}), ValueError, "scales: no parameter "
         "matches 'lens.ff'"),
        (dict(steps=0), ValueError, "`steps` must be at least 1"),
        (dict(optimizer="adam"), TypeError, "optax.adam"),
        (dict(optimizer=levenberg_marquardt()), TypeError, "least_squares"),
        (dict(optimizer=lbfgs(), batch_size=2), ValueError, "needs all data"),
        (dict(optimizer=lbfgs(), learning_rates={"lens.f": 2.0}), ValueError, "`scales`"),
        (dict(batch_size=9), ValueError, "leading axis"),
        (dict(constraints={"mask.phase": positive()}), ValueError, "'mask.phase' starts outside"),
        (dict(stages=["first"]), TypeError, "must be a Stage"),
        (dict(stages=Stage("lens.f")), TypeError, "`stages` must be a list, got Stage"),
        (dict(learn=3), TypeError, "a parameter's name must be a text, got 3"),
        (dict(constraints={"lens.f": positive}), TypeError, "such as positive"),
        (dict(constraints=positive()), TypeError, "`constraints` must be a dict by pattern"),
        (dict(scales={"mask.phase": np.ones(3)}), ValueError, "the free numbers .2,., got the "
         "shape .3,."),
        (dict(scales={"lens.f": np.ones(2)}), ValueError, "must be one number"),
        (dict(priors={"lens.f": (1, 2)}), TypeError, "must be a function, got tuple"),
        (dict(learning_rates={"lens.f": np.nan}), ValueError, "must be finite"),
        (dict(progress="yes"), TypeError, "`progress` must be a function, got str"),
        (dict(resume=True), ValueError, "checkpoint=folder"),
    ):  # fmt: skip
        with pytest.raises(kind, match=text.replace("?", r"\?")):
            calibrate(start, lambda p, d: jnp.sum(p["mask"]["phase"] ** 2), jnp.zeros(4), **options)


def test_bad_losses_have_a_sentence() -> None:
    start = {"a": jnp.float32(-1.0), "b": jnp.float32(1.0)}
    with pytest.raises(TypeError, match=r"real scalar, got complex64"):
        calibrate(start, lambda p, d: p["a"] * 1j)
    with pytest.raises(TypeError, match=r"real scalar, got float32 of the shape \(2,\)"):
        calibrate(start, lambda p, d: p["a"] * jnp.ones(2))
    with pytest.raises(ValueError, match="no step was possible: the loss is nan, and 'a' went"):
        calibrate(start, lambda p, d: jnp.sqrt(p["a"]) + p["b"])
    with pytest.raises(TypeError, match="real scalar, got NoneType"):
        calibrate(start, lambda p, d: None)
    with pytest.raises(TypeError, match="`loss` must be a function, got int"):
        calibrate(start, 3)
    with pytest.raises(ValueError, match="least_squares: `residuals` must return arrays"):
        calibrate(start, least_squares(lambda p, d: []))
    with pytest.raises(ValueError, match=r"parameters\['a'\] holds 1 NaN"):
        calibrate({"a": np.nan, "b": 1.0}, lambda p, d: (p["a"] - p["b"]) ** 2, learn="b")
    with pytest.raises(ValueError, match=r"data\['image'\] holds 1 .* first one at index \(1,\)"):
        calibrate(
            start, lambda p, d: jnp.sum(p["a"] - d["image"]), {"image": np.array([1, np.nan])}
        )
    with pytest.raises(ValueError, match="`a` must be finite"):
        calibrate({"a": jnp.array([0.0, jnp.inf])}, lambda p, d: jnp.sum(p["a"]))
    with pytest.raises(ValueError, match="nothing is learned"):
        calibrate({"k": 3}, lambda p, d: 0.0)
    with pytest.raises(TypeError, match="'a' must be a number or an array, got str"):
        calibrate({"a": "one"}, lambda p, d: 0.0)


def test_a_heldout_loss_that_cannot_judge_is_told() -> None:
    # it would be worse than any other, and patience would keep the start
    with pytest.raises(ValueError, match=r"held-out loss is nan .* heldout holds 1 NaN .*\(2,\)"):
        calibrate(Line(), LINE, DATA, heldout=DATA.at[2].set(jnp.nan), patience=2, steps=3)


def test_patience_never_returns_what_is_worse_than_the_start() -> None:
    found = calibrate(
        {"a": jnp.float32(1.0)},
        lambda p, d: p["a"] ** 2,
        optimizer=optax.sgd(3.0),  # away from the minimum
        steps=20,
        report_every=5,
        patience=2,
    )
    assert float(found.model["a"]) == 1.0 and found.loss == 1.0
    assert found.reason == "the loss has not improved for 2 reports"


@pytest.mark.parametrize("outer", [jax.jit, jax.grad, jax.vmap])
def test_inside_a_transformation_it_says_so(outer) -> None:
    value = jnp.ones(3) if outer is jax.vmap else jnp.float32(1.0)
    with pytest.raises(TypeError, match="cannot run inside"):  # traced data
        outer(lambda d: calibrate({"a": 0.0}, lambda p, d: (p["a"] - d) ** 2, d).loss)(value)
    with pytest.raises(TypeError, match="cannot run inside"):  # a traced model
        outer(lambda a: calibrate({"a": a}, lambda p, d: p["a"] ** 2).loss)(value)


@pytest.mark.parametrize("limit", [positive(), interval(0.0, 2.0), periodic(), quantized(4)])
def test_complex_numbers_have_no_order(limit) -> None:
    with pytest.raises(TypeError, match="must be real, got complex64"):
        calibrate(
            {"c": jnp.ones(2, complex)},
            lambda p, d: jnp.sum(jnp.abs(p["c"]) ** 2),
            constraints={"c": limit},
        )


def test_numbers_of_any_kind_make_the_same_constraint() -> None:
    assert interval(jnp.float32(0.5), 2.0) is interval(np.float64(0.5), 2.0)
    assert normal(np.float64(1.0), jnp.float32(0.5)) is normal(1.0, 0.5)
    with pytest.raises(TypeError, match=r"normal: takes single numbers, got .* \(3,\)"):
        normal(np.zeros(3), 1.0)
    with pytest.raises(TypeError, match="interval: `low` must be a number, got the text"):
        interval("a", 1.0)


def test_double_precision_stays(x64) -> None:
    found = calibrate(
        {"a": jnp.float64(0.0)}, mean_of, jnp.full(3, 1 / 3), optimizer=optax.sgd(0.5), steps=3
    )
    assert found.model["a"].dtype == jnp.float64
    assert float(found.model["a"]) == pytest.approx(1 / 3, abs=1e-15)


def test_the_result_is_saved(tmp_path) -> None:
    found = calibrate(Line(), LINE, DATA, steps=3)
    folder = found.save(tmp_path / "out")
    with np.load(folder / "parameters.npz") as arrays:
        assert arrays["slope"] == found.parameters()["slope"]
    assert '"reason": "all steps done"' in (folder / "calibration.json").read_text()


def test_a_model_of_elements_is_saved_to_be_loaded(tmp_path) -> None:
    def loss(lens: ThinLens, data: jax.Array) -> jax.Array:
        return (lens.f[...] / 100 - data) ** 2

    found = calibrate(ThinLens(150.0), loss, jnp.float32(2.0), learn="f", optimizer=optax.sgd(50.0))
    again = load_model(found.save(tmp_path) / "model.json")
    assert isinstance(again, ThinLens) and again.f[...] == found.parameters()["f"]
    assert not (calibrate(Line(), LINE, DATA, steps=1).save(tmp_path / "a") / "model.json").exists()

    class Own(ThinLens):
        def __init__(self) -> None:
            super().__init__(150.0)

    found = calibrate(Own(), loss, jnp.float32(2.0), learn="f", steps=1)
    with pytest.warns(JaxwaveWarning, match="save: model.json is left out: .*__init__ of its own"):
        found.save(tmp_path / "own")
    assert (tmp_path / "own" / "parameters.npz").exists()


def test_a_design_needs_no_data():
    """A loss of the model alone; one program for the same loss again."""

    def bowl(model):
        return jnp.sum((model["a"] - jnp.array([1.0, -2.0])) ** 2)

    start = {"a": jnp.zeros(2)}
    squares = least_squares(lambda model: model["a"] - jnp.array([1.0, -2.0]))
    for loss in (bowl, squares):
        found = calibrate(start, loss, optimizer=lbfgs(), steps=20)
        np.testing.assert_allclose(found.model["a"], [1, -2], atol=1e-4)
    with pytest.raises(TypeError, match="got a function of 'model' alone"):
        calibrate(start, bowl, jnp.ones(3), steps=1)
