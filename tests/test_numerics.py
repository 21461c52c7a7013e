"""Exponentials, sizes and two-word phases against float64 and exact rational arithmetic."""

import importlib
import itertools
from fractions import Fraction
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interpreter import interpreted
from reference import TAU

import jaxwave as jw
from jaxwave import numerics
from jaxwave.numerics import word

FLOATS = st.floats(2.0**-13, 2.0**20, width=32)


def test_cis_in_float32():
    t = np.concatenate([np.linspace(-2, 2, 20001), [0.125, 0.25, 1e3 + 0.25]]).astype(np.float32)
    got = np.asarray(jax.jit(jw.cis)(t))
    assert np.abs(got - np.exp(1j * TAU * t.astype(float))).max() < 2.5e-7
    assert np.abs(np.abs(got) - 1).max() < 2.5e-7


def test_cis_in_float64_and_its_derivative(x64):
    t = np.linspace(-3, 3, 4001)
    assert np.abs(np.asarray(jw.cis(t)) - np.exp(1j * TAU * t)).max() < 6e-15
    slope = jax.vmap(jax.grad(lambda t: jw.cis(t).imag))(jnp.asarray(t))
    np.testing.assert_allclose(slope, TAU * np.cos(TAU * t), atol=1e-13)
    second = jax.vmap(jax.grad(jax.grad(lambda t: jw.cis(t).real)))(jnp.asarray(t))
    np.testing.assert_allclose(second, -(TAU**2) * np.cos(TAU * t), atol=1e-12)


def test_cis_of_integers_and_half_precision():
    assert jw.cis(1).dtype == np.complex64 and jw.cis(np.float16(0.25)).dtype == np.complex64
    with pytest.raises(TypeError, match="cis: `turns` must be real, got complex64"):
        jw.cis(1j)


@pytest.mark.parametrize("n", [1, 13, 97, 511, 1021, 1024, 2047, 4097])
def test_fast_len(n):
    m = jw.fast_len(n)
    rest = m
    for p in (2, 3, 5, 7, 11):
        while rest % p == 0:
            rest //= p
    assert m >= n and rest == 1 and (m < 1024 or m % 512) and m <= 1.1 * n + 1
    assert jw.fast_len(m) == m


def test_fast_len_error():
    with pytest.raises(ValueError, match="fast_len: `n` must be at least 1, got 0"):
        jw.fast_len(0)
    with pytest.raises(TypeError, match=r"fast_len: `n` must be an integer, got 15\.5"):
        jw.fast_len(15.5)


def exact(w) -> Fraction:
    return Fraction(float(w.hi)) + Fraction(float(w.lo))


@settings(max_examples=60, deadline=None)
@given(FLOATS, FLOATS, FLOATS)
def test_two_word_arithmetic_is_good_to_44_bits(a, b, c):
    x = numerics.add(word(a, np.float32), word(b * 1e-5, np.float32))
    y = word(c, np.float32)
    ex, ey = exact(x), exact(y)
    for got, need in (
        (numerics.add(x, y), ex + ey),
        (numerics.multiply(x, y), ex * ey),
        (numerics.divide(x, y), ex / ey),
    ):
        assert abs(exact(got) - need) <= abs(need) * Fraction(2) ** -43
    assert exact(numerics.negative(x)) == -ex


@settings(max_examples=60, deadline=None)
@given(st.floats(2.0**-10, 2.0**10, width=32), st.floats(2.0**-10, 2.0**13, width=32))
def test_product_turns_is_the_product_modulo_one(a, b):
    got = float(numerics.product_turns(word(a, np.float32), word(b, np.float32)))
    wrong = Fraction(got) - Fraction(a) * Fraction(b)
    wrong -= round(wrong)
    # one float32 word would be wrong by 1e7 * 6e-8 = 0.6 turns
    assert abs(float(wrong)) < 3e-7


def test_products_survive_compilation():
    a, b = np.float32(1234.567), np.float32(7654.321)
    turns = jax.jit(lambda a, b: numerics.product_turns(word(a, np.float32), word(b, np.float32)))
    wrong = float(turns(a, b)) - float(a) * float(b)
    assert abs(wrong - round(wrong)) < 3e-7


def test_with_plain_derivative(x64):
    @numerics.with_plain_derivative(lambda _, x: x**3)
    def cube(_, x):
        return x * x * x

    assert float(jax.grad(lambda x: cube(None, x))(2.0)) == 12.0


def test_map_batch_is_a_loop():
    x = jnp.arange(24.0).reshape(2, 3, 4)
    got = numerics.map_batch(lambda v: (v.sum(), 2 * v), (2, 3), x)
    np.testing.assert_array_equal(got[0], x.sum(-1))
    np.testing.assert_array_equal(got[1], 2 * x)
    np.testing.assert_array_equal(numerics.vectorize(jnp.sum, (2, 3))(x), x.sum(-1))


def test_an_eager_gradient_of_a_program_is_two_programs():
    """One forward, one back; not one for each operation of the pull-back."""

    @numerics.program()
    def body(x, y):
        return jnp.sin(x) * y**3 / (1 + x * x) + jnp.exp(-x * y) * jnp.sqrt(y)

    jax.grad(lambda x: x * 1.0)(1.0)  # what the seed of a gradient compiles
    counted = [0]

    def count(event, *_, **__):
        counted[0] += "backend_compile" in event

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        slope = jax.grad(body)(1.3, 0.7)
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    h = 1e-3
    assert float(slope) == pytest.approx(
        float(body(1.3 + h, 0.7) - body(1.3 - h, 0.7)) / (2 * h), rel=1e-3
    )
    assert counted[0] <= 3


@pytest.mark.parametrize("most", [1, 3, 4, 7, 9])
def test_rows_in_whole_batches_are_a_loop(most):
    """All rows, whatever is left over, and one copy of the function in the program."""
    rows = dict(a=np.arange(14.0).reshape(7, 2), k=np.arange(7))

    def one(row):
        return jnp.sin(row["a"]) * row["k"], row["k"] + 1

    made = jax.make_jaxpr(lambda r: numerics.map_rows(one, r, most))(rows)
    assert str(made).count("= sin ") == 1
    values, counts = numerics.map_rows(one, rows, most)
    np.testing.assert_allclose(values, np.sin(rows["a"]) * rows["k"][:, None], rtol=1e-6, atol=1e-7)
    assert counts.tolist() == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("count", [1, 2, 5, 64, 257])
def test_gauss_legendre_nodes_integrate_polynomials_of_twice_their_number(count):
    t, w = numerics.gauss_legendre(count)
    theirs, weights = np.polynomial.legendre.leggauss(count)
    assert np.abs(t - theirs).max() < 1e-15 and np.abs(w / weights - 1).max() < 1e-9
    powers = np.arange(2 * count)
    exact = np.where(powers % 2, 0, 2 / (powers + 1))
    assert np.abs(w @ np.vander(t, 2 * count, increasing=True) - exact).max() < 2e-15


# -- phases --------------------------------------------------------------------------------

LINE = np.linspace(-9, 11, 13)
# module, function, what is static, numbers of about this size: those in `either` have both signs
PHASES = [
    ("beams", "_drift_turns", None, (LINE, 50.0, 0.5, 1.3), (1,)),
    ("collins", "_far_turns", (12, 9), (0.4, 90.0, 1.0, 0.7, 2.0, 1.5, 2.5, 3.0), (0, 1, 3, 7)),
    ("collins", "_near_turns", (12, 9), (0.4, 90.0, 1.0, 0.7, 2.0, 1.5, 2.5, 3.0), (0, 1, 3, 7)),
    ("collins", "chirp_turns", 12, (0.3, 1.5, 4.0), (0, 2)),
    ("far", "_path_turns", None, (20.0, 2.0, LINE, 2 * LINE[:7], 0 * LINE, 0 * LINE[:7]), (0,)),
    ("free_space", "exact_turns", (12, 9), (90.0, 0.5, 1.3, 1.4, 0.6), (0,)),
    ("free_space", "quadratic_turns", 12, (90.0, 0.5, 1.3, 1.4), (0,)),
    ("lenses", "_parabola_turns", 12, (4.0, 0.5, 20.0, 1.3), (2,)),
    ("propagation", "_zoom_turns", (24, 17), (1.1, 2.7), ()),
    ("propagation", "shift_turns", (24, -7), (1.1, 13.0), (1,)),
    ("sources", "_defocus_turns", (12, 9), (70.0, 0.5, 1.3, 2.0, 3.0, 20.0), (0,)),
    ("sources", "_spherical_turns", (12, 9), (20.0, 0.5, 1.3, 2.0, 3.0, 4.0, 7.0), (0, 5, 6)),
    ("sources", "ramp_turns", 12, (1.3, 6.0), (1,)),
    ("surfaces", "_cone_turns", (12, 9), (2.0, 1.3, 2.2, 4.0, 7.0), (0, 3, 4)),
    ("surfaces", "_cylinder_turns", (12, 9), (0.2, 0.6, 0.8, 1.3, 2.2), (0, 1, 2)),
    ("surfaces", "_plane_turns", (12, 9), (0.4, 0.7, 1.3, 2.2), (0, 1)),
]


@pytest.mark.parametrize("phase", PHASES, ids=lambda p: p[1])
def test_a_phase_in_two_words_is_the_one_in_float64(phase):
    """The second formula also gives the derivative; here the two are compared for all signs."""
    module, name, static, sizes, either = phase
    turns = partial(getattr(importlib.import_module(f"jaxwave.{module}"), name), static)
    rng = np.random.default_rng(1)
    for signs in itertools.product((1, -1), repeat=len(either)):
        sign = np.ones(len(sizes))
        sign[list(either)] = signs
        numbers = [
            np.float32(s * size * rng.uniform(0.8, 1.2))
            for s, size in zip(sign, sizes, strict=True)
        ]
        words = np.asarray(interpreted(turns)(*numbers), float)
        with jax.enable_x64(True):
            one = np.asarray(interpreted(turns)(*(n.astype(float) for n in numbers)))
        assert words.shape == one.shape and np.ptp(one) > 0.5
        assert np.abs((words - one + 0.5) % 1 - 0.5).max() < 1e-5
