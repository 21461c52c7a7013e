"""Many stacks at once, starts, and what a pupil cannot tell from a position."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxwave as jw
from jaxwave import numerics
from jaxwave.calibration import (
    Joint,
    _host,
    calibrate,
    joint_loss,
    least_squares,
    levenberg_marquardt,
    random_starts,
    remove_gauge,
    standard_errors,
    twin_start,
)

X = jnp.linspace(-1, 1, 11)


def residuals(model: dict, data: jax.Array) -> jax.Array:
    return model["slope"] * X + model["place"]["offset"] - data


OFFSETS = jnp.array([0.0, 1.0, -2.0, 0.5, 3.0])
DATA = 2 * X + OFFSETS[:, None]
START = {"slope": jnp.float32(0.0), "place": {"offset": jnp.float32(0.0)}}


@pytest.mark.parametrize("batch_size", [2, 8])
def test_stacks_share_what_is_not_their_own(batch_size) -> None:
    joint = Joint(START, 5, own=["place.offset"])
    loss = joint_loss(least_squares(residuals), batch_size=batch_size)
    found = calibrate(joint, loss, DATA, optimizer=levenberg_marquardt(), steps=10)
    assert found.learned == ("own.place.offset", "shared.slope")
    assert float(found.model.shared["slope"][...]) == pytest.approx(2, abs=1e-5)
    np.testing.assert_allclose(found.model.own["place.offset"][...], OFFSETS, atol=1e-5)
    assert float(found.model.model(2)["place"]["offset"]) == pytest.approx(-2, abs=1e-5)
    assert float(joint.own["place.offset"][...].max()) == 0


SHORT = "RESOURCE_EXHAUSTED: Out of memory allocating 17179869184 bytes."


def test_a_calibration_goes_on_with_half_as_many_stacks_where_memory_is_short(monkeypatch):
    advance, tried = _host._advance, []

    def scarce(carry, done, plan, prog, inputs, most=2):
        tried.append(prog.problem.loss.residuals.batch_size)
        if tried[-1] > most:
            raise jax.errors.JaxRuntimeError(SHORT)
        return advance(carry, done, plan, prog, inputs)

    monkeypatch.setattr(_host, "_advance", scarce)
    joint = Joint(START, 5, own=["place.offset"])
    loss = joint_loss(least_squares(residuals), batch_size=8)
    found = calibrate(joint, loss, DATA, optimizer=levenberg_marquardt(), steps=10)
    assert tried[:3] == [8, 4, 2] and set(tried[3:]) <= {2}
    np.testing.assert_allclose(found.model.own["place.offset"][...], OFFSETS, atol=1e-5)
    monkeypatch.setattr(_host, "_advance", partial(scarce, most=0))
    said = r"calibrate: there is not enough memory .*17.2 GB\). Pass data of half the width"
    with pytest.raises(MemoryError, match=said):
        calibrate(joint, loss, DATA, optimizer=levenberg_marquardt(), steps=10)
    assert tried[-4:] == [8, 4, 2, 1]


def test_stacks_are_mapped_by_fewer_where_memory_is_short(monkeypatch):
    true, tried = numerics.map_rows, []

    def scarce(function, rows, most, enough=1):
        tried.append(most)
        if most > enough:
            raise jax.errors.JaxRuntimeError(SHORT)
        return true(function, rows, most)

    monkeypatch.setattr(numerics, "map_rows", scarce)
    joint = Joint(START, 5, own=["place.offset"])
    np.testing.assert_allclose(joint.map(residuals, DATA), -DATA, atol=1e-6)
    assert tried == [4, 2, 1]
    tried.clear()
    numbers = np.linspace(0.5, 1.5, 3), np.ones(3)
    errors, _ = standard_errors(lambda p: numbers[0] * p["a"] - p["b"], {"a": 1.0, "b": 0.1})
    assert tried == [4, 2, 1] and np.all(np.isfinite([errors["a"], errors["b"]]))
    monkeypatch.setattr(numerics, "map_rows", partial(scarce, enough=0))
    with pytest.raises(MemoryError, match=r"Joint.map: .*One stack alone needs more"):
        joint.map(residuals, DATA)


def test_a_joint_loss_is_the_sum() -> None:
    joint = Joint(START, 5, own="place.*")
    loss = joint_loss(lambda model, data: jnp.sum(residuals(model, data) ** 2))
    assert float(loss(joint, DATA)) == pytest.approx(float(jnp.sum(DATA**2)), rel=1e-6)
    with pytest.raises(ValueError, match=r"the 5 stacks, got \[4\]"):
        loss(joint, DATA[:4])
    with pytest.raises(ValueError, match="no parameter matches 'plac'"):
        Joint(START, 5, own=["plac"])


def test_random_starts_scatter_what_is_named() -> None:
    model = {"a": jnp.full(2000, 3.0), "c": jnp.zeros(2000, jnp.complex64), "b": jnp.ones(2)}
    one, two = random_starts(jax.random.key(0), model, 2, spread={"a": 0.5, "c": 2.0})
    assert np.std(one["a"]) == pytest.approx(0.5, rel=0.05)
    assert np.mean(one["a"]) == pytest.approx(3, abs=0.05)
    assert np.std(one["c"].real) == pytest.approx(2, rel=0.05)
    assert np.std(one["c"].imag) == pytest.approx(2, rel=0.05)
    np.testing.assert_array_equal(one["b"], model["b"])
    assert not np.allclose(one["a"], two["a"])
    again = random_starts(jax.random.key(0), model, 2, spread={"a": 0.5, "c": 2.0})[0]
    np.testing.assert_array_equal(one["a"], again["a"])


def test_the_twin_has_the_same_image_on_the_other_side_of_focus() -> None:
    modes = [(2, -2), (2, 2), (3, -1), (3, 3), (4, 0)]
    c = jnp.array([0.05, -0.08, 0.06, 0.04, 0.07])
    y, x = np.meshgrid(*[(np.arange(65) - 32) / 24] * 2, indexing="ij")
    inside = np.hypot(x, y) <= 1

    def image(c: jax.Array, defocus: float) -> jax.Array:
        opd = jw.zernike_opd(c, modes, y, x) + defocus * (x**2 + y**2)
        return jnp.abs(jw.ft2(inside * jw.cis(opd / 0.5))) ** 2

    twin = twin_start(c, modes)
    light = image(c, 0.1)
    np.testing.assert_allclose(image(twin, -0.1), light, atol=2e-4 * float(light.max()))
    assert float(jnp.abs(image(twin, 0.1) - light).max()) > 0.05 * float(light.max())
    np.testing.assert_array_equal(twin_start(twin, modes), c)


def test_the_gauge_is_the_position() -> None:
    na, n, size, radius = 1.2, 1.33, 65, 30.0
    s = (np.arange(size) - size // 2) / radius * na
    sy, sx = np.meshgrid(s, s, indexing="ij")
    inside = np.hypot(sy, sx) <= na
    cosine = np.sqrt(np.maximum(1 - (sy**2 + sx**2) / n**2, 0))
    position = 0.7 - sy * 0.3 + sx * 0.2 + n * 0.5 * (1 - cosine)
    weight = 1 + (sy > 0)
    gauge = remove_gauge(position, na=na, n=n, pupil_radius=radius, weight=weight)
    np.testing.assert_allclose(gauge[1:], [0.7, 0.3, -0.2, 0.5], atol=1e-4)
    assert np.abs(gauge.opd).max() < 1e-5
    # What is left is orthogonal to all four, and taking it out twice changes nothing.
    rough = np.random.default_rng(0).normal(size=(2, size, size))
    rest = remove_gauge(rough, na=na, n=n, pupil_radius=radius, weight=weight)
    for shape in (np.ones_like(sy), sy, sx, cosine):
        share = np.sum(weight * inside * shape * np.asarray(rest.opd), axis=(-2, -1))
        assert np.abs(share).max() < 1e-2
    again = remove_gauge(rest.opd, na=na, n=n, pupil_radius=radius, weight=weight)
    np.testing.assert_allclose(again.opd, rest.opd, atol=1e-5)
    # The Zernike mode (2, 0) is not defocus at this aperture.
    zernike = jw.zernike_polynomials([(2, 0)], sy / na, sx / na)[0] * inside
    assert np.abs(remove_gauge(zernike, na=na, n=n, pupil_radius=radius).opd).max() > 0.1
