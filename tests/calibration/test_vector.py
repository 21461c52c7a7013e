"""The vector of learned numbers, constraints, priors, and when two programs are the same."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxwave.calibration import (
    Vector,
    band_limited,
    chain,
    interval,
    normal,
    periodic,
    positive,
    quantized,
    rotationally_symmetric,
    smooth,
    unit_sum,
)
from jaxwave.calibration._key import key

MODEL = {"a": jnp.arange(6.0).reshape(2, 3), "b": {"c": jnp.array([1 + 2j, 3j]), "d": 4.0}, "n": 5}


def test_packs_and_unpacks() -> None:
    vector = Vector(MODEL)
    assert vector.names == ("a", "b.c", "b.d") and vector.size == 6 + 4 + 1
    assert vector.slices["b.c"] == slice(6, 10)
    np.testing.assert_allclose(vector.flat[6:10], [1, 0, 2, 3])  # real parts, then imaginary
    back = vector.unpack(vector.flat)
    jax.tree.map(np.testing.assert_array_equal, back, MODEL)
    np.testing.assert_array_equal(vector.pack(back), vector.flat)
    np.testing.assert_allclose(vector.unpack(vector.flat + 1)["b"]["c"], [2 + 3j, 1 + 4j])
    assert back["n"] == 5


def test_only_what_is_named_is_in_it() -> None:
    vector = Vector(MODEL, learn=["b.*"], scales={"b.d": 2.0})
    assert vector.names == ("b.c", "b.d") and list(vector.fixed) == ["a", "n"]
    assert vector.flat[-1] == 2.0 and vector.unpack(vector.flat * 3)["b"]["d"] == 12.0
    with pytest.raises(ValueError, match="same structure"):
        vector.pack({"a": 1.0})


def test_modules_learn_their_params() -> None:
    class Module(nnx.Module):
        def __init__(self) -> None:
            self.w = nnx.Param(1.0)  # a Python number
            self.bias = nnx.Variable(jnp.zeros(3))
            self.parts = nnx.List([nnx.Dict(k=nnx.Param(jnp.ones(2)))])

    assert Vector(Module()).names == ("parts.0.k", "w")
    found = Vector(Module(), learn="bias").unpack(jnp.arange(3.0))
    np.testing.assert_array_equal(found.bias[...], [0, 1, 2])
    assert Vector(Module()).layout == Vector(Module()).layout


def test_double_precision_beside_single(x64) -> None:
    vector = Vector({"a": jnp.zeros(2, jnp.float32), "b": jnp.ones(2, jnp.float64)})
    back = vector.unpack(vector.flat)
    assert vector.flat.dtype == jnp.float64
    assert back["a"].dtype == jnp.float32 and back["b"].dtype == jnp.float64


# -- constraints ---------------------------------------------------------------------------

MAP = jax.random.normal(jax.random.key(0), (9, 9))
RADIUS = np.hypot(*np.meshgrid(np.arange(9) - 4, np.arange(9) - 4))
RINGS = rotationally_symmetric(9)


@pytest.mark.parametrize(
    ("constraint", "value"),
    [
        (positive(), jnp.array([1e-3, 1.0, 180.0])),
        (interval(0.8, 0.9), jnp.array([0.801, 0.85, 0.899])),
        (periodic(), jnp.array([-3.0, 0.0, 3.0])),
        (band_limited(0.3), band_limited(0.3).forward(MAP)),
        (RINGS, jnp.cos(jnp.asarray(RADIUS))),
        (quantized(4), jnp.array([0.0, np.pi / 2])),
        (unit_sum(), jnp.array([0.25, 0.75])),
        (chain(positive(), unit_sum()), jnp.array([0.1, 0.9])),
    ],
)
def test_constraints_give_back_what_they_allow(constraint, value) -> None:
    back = constraint.forward(constraint.inverse(value))
    off = 0.13 if constraint is RINGS else 1e-5  # cos(r) is not linear between the rings
    np.testing.assert_allclose(back, value, atol=off, rtol=1e-5)


def test_rings_depend_on_the_radius_alone() -> None:
    profile = jnp.sin(jnp.arange(7.0))
    image = RINGS.forward(profile)
    np.testing.assert_allclose(image, np.interp(RADIUS, np.arange(7), profile), atol=1e-6)
    np.testing.assert_allclose(RINGS.inverse(image), profile, atol=1e-4)


def test_constraints_hold_for_any_number() -> None:
    u = jnp.linspace(-20, 20, 401)
    assert jnp.all(positive().forward(u) > 0)
    assert jnp.all(jnp.abs(periodic().forward(u)) <= np.pi + 1e-5)
    np.testing.assert_allclose(jnp.sin(periodic().forward(u)), jnp.sin(u), atol=1e-5)
    steps = quantized(8).forward(u) / (2 * np.pi / 8)
    np.testing.assert_allclose(steps, jnp.round(steps), atol=1e-4)
    np.testing.assert_allclose(jax.grad(lambda u: jnp.sum(quantized(8).forward(u)))(u), 1)
    np.testing.assert_allclose(jax.grad(lambda u: jnp.sum(periodic().forward(u)))(u), 1)
    spectrum = np.fft.fft2(band_limited(0.25).forward(MAP))
    f = np.fft.fftfreq(9)
    assert np.abs(spectrum[np.hypot(f[:, None], f) > 0.25]).max() < 1e-5
    for wrong in (lambda: interval(1.0, 0.0), lambda: quantized(1), lambda: band_limited(-1.0)):
        with pytest.raises(ValueError, match="must be"):
            wrong()


def test_priors_are_residuals() -> None:
    np.testing.assert_allclose(normal(2.0, 0.5)(jnp.array([2.0, 3.0])), [0, 2])
    ramp = jnp.arange(12.0).reshape(3, 4)
    rows = smooth(2.0)(ramp)
    np.testing.assert_allclose(np.sort(rows), [0.5] * 9 + [2.0] * 8)  # along x, along y


# -- the same program ----------------------------------------------------------------------


def test_keys_see_numbers_and_code() -> None:
    def scaled(factor: float):
        return lambda x: factor * x

    assert key(scaled(2.0)) == key(scaled(2.0)) != key(scaled(3.0))
    assert key(scaled(0.0)) != key(scaled(-0.0)) and key(scaled(1.0)) != key(scaled(1))
    assert key(optax.adam(0.1)) == key(optax.adam(0.1)) != key(optax.adam(0.2))
    assert key(optax.adam(0.1)) != key(optax.adam(0.1, b1=0.8))
    assert key(functools.partial(max, 1)) == key(functools.partial(max, 1))
    array = np.ones(3)
    assert key(scaled(array)) == key(scaled(array)) != key(scaled(array.copy()))
    assert len({hash(key(scaled(2.0))) for _ in range(5)}) == 1

    def itself(n: int) -> int:
        return itself(n - 1) if n else 0

    assert key(itself) == key(itself)
