"""A calibration that was cut off goes on to the very same numbers."""

import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxwave.calibration import Stage, calibrate, lbfgs, positive

DATA = jax.random.normal(jax.random.key(1), (12, 5)) + 3


def loss(p: dict, d: jax.Array) -> jax.Array:
    return jnp.mean((p["a"] * p["scale"] - d) ** 2) + 0.1 * jnp.sum(jnp.abs(p["a"]) ** 3)


def run(folder=None, **options):
    start = {"a": jnp.linspace(0.1, 0.5, 5), "scale": jnp.float32(1.0)}
    return calibrate(
        start,
        loss,
        DATA[2:],
        heldout=DATA[:2],
        constraints={"scale": positive()},
        checkpoint=folder,
        **options,
    )


KINDS = {
    "adam": dict(optimizer=optax.adam(0.05), steps=40, report_every=10),
    "minibatches": dict(
        optimizer=optax.adam(0.05), steps=40, report_every=7, batch_size=3, patience=9
    ),
    "lbfgs": dict(optimizer=lbfgs(), steps=12, report_every=3, tolerance=0.0),
    "stages": dict(
        stages=[
            Stage("a", 20, optax.sgd(0.1), name="first"),
            Stage("scale", 20, optax.adam(0.05), name="second"),
        ],
        report_every=5,
        starts=[{"a": jnp.full(5, v), "scale": jnp.float32(1.0)} for v in (0.2, 2.0)],
    ),
}


class Cut(Exception):
    """Stands for whatever ends a program."""


def cut_after(reports: int, act):
    count = 0

    def show(*_: object) -> None:
        nonlocal count
        count += 1
        if count == reports:
            act()

    return show


def same(a, b) -> None:
    for name, value in a.parameters().items():
        np.testing.assert_array_equal(value, b.parameters()[name])
    for name, value in a.history.items():
        np.testing.assert_array_equal(value, b.history[name])
    assert (a.loss, a.heldout_loss, a.reason) == (b.loss, b.heldout_loss, b.reason)


@pytest.mark.parametrize("kind", KINDS)
def test_goes_on_bit_by_bit(kind, tmp_path) -> None:
    options = KINDS[kind]
    whole = run(**options)

    def fall() -> None:
        raise Cut

    for _ in range(2):  # and again, further on
        with pytest.raises(Cut):
            run(tmp_path, resume=True, progress=cut_after(2, fall), **options)
    found = run(tmp_path, resume=True, **options)
    same(found, whole)
    same(run(tmp_path, resume=True, **options), found)  # nothing is left to do


def test_goes_on_in_the_second_stage(tmp_path) -> None:
    def fall() -> None:
        raise Cut

    with pytest.raises(Cut):
        run(tmp_path, progress=cut_after(7, fall), **KINDS["stages"])
    seen: list = []
    found = run(tmp_path, resume=True, progress=lambda *r: seen.append(r[:2]), **KINDS["stages"])
    assert seen[-1] == ("second", 20)
    same(found, run(**KINDS["stages"]))


def test_values_of_earlier_stages_are_kept(tmp_path) -> None:
    stages = [
        Stage("a", 5, optax.sgd(0.1), name="first", values={"scale": 1.5}),
        Stage("a", 5, optax.sgd(0.1), name="second"),
        Stage("a", 5, optax.sgd(0.1), name="third"),
    ]

    def fall() -> None:
        raise Cut

    with pytest.raises(Cut):
        run(tmp_path, progress=cut_after(3, fall), stages=stages, report_every=5)
    found = run(tmp_path, resume=True, stages=stages, report_every=5)
    assert found.parameters()["scale"] == 1.5
    same(found, run(stages=stages, report_every=5))


def test_a_step_that_only_looks_is_no_convergence() -> None:
    stages = [Stage("a", 4, name="first"), Stage("scale", 4, name="second")]
    found = run(stages=stages, optimizer=lbfgs(), report_every=1)
    assert "second: the loss changed by less" not in found.reason
    assert len(found.history["loss"]) == 8


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_ends_the_program(number, code, tmp_path) -> None:
    options = KINDS["adam"]
    stop = cut_after(2, lambda: os.kill(os.getpid(), number))
    with pytest.raises(SystemExit) as ended:
        run(tmp_path, progress=stop, **options)
    assert ended.value.code == code
    seen: list = []
    found = run(tmp_path, resume=True, progress=lambda *r: seen.append(r[1]), **options)
    assert seen == [30, 40]
    same(found, run(**options))


def test_other_settings_are_refused(tmp_path) -> None:
    run(tmp_path, **KINDS["adam"])
    with pytest.raises(ValueError, match=r"holds the state of a calibration\. Pass resume=True"):
        run(tmp_path, **KINDS["adam"])
    for change, name in (
        (dict(steps=50), "steps"),
        (dict(optimizer=optax.adam(0.06)), "optimizer"),
        (dict(priors={"a": lambda a: a}), "priors"),
        (dict(key=jax.random.key(3)), "key"),
    ):
        with pytest.raises(ValueError, match=name):
            run(tmp_path, resume=True, **{**KINDS["adam"], **change})


def test_a_changed_loss_is_refused(tmp_path) -> None:
    start = {"a": jnp.float32(0.0)}
    losses = [lambda p, d: (p["a"] - d) ** 2, lambda p, d: (p["a"] + d) ** 2]
    again = [lambda p, d: (p["a"] - d) ** 2]  # the same code, elsewhere
    first = calibrate(start, losses[0], DATA[0, 0], steps=3, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"other settings .* loss: .*code"):
        calibrate(start, losses[1], DATA[0, 0], steps=3, checkpoint=tmp_path, resume=True)
    same = calibrate(start, again[0], DATA[0, 0], steps=3, checkpoint=tmp_path, resume=True)
    assert same.loss == first.loss
