"""Fourier pairs against explicit float64 sums."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import dft, error

import jaxwave as jw

SHAPES = [(1, 1), (1, 6), (7, 1), (8, 9), (9, 8)]


def random(*shape, seed=0):
    u = np.random.default_rng(seed).normal(size=(2, *shape))
    return u[0] + 1j * u[1]


@pytest.mark.parametrize("shape", SHAPES)
def test_ft2_is_the_explicit_sum(shape):
    u = random(*shape)
    need = dft(u, 1 / shape[0], 1 / shape[1], shape)
    assert error(jw.ft2(u), need) < 1e-6  # float32
    assert error(jw.ift2(u), dft(u, 1 / shape[0], 1 / shape[1], shape, +1)) < 1e-6
    assert error(jw.ift2(jw.ft2(u)), u) < 1e-6


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("function", [jw.matrix_ft2, jw.chirp_ft2, jw.zoom_ft2])
@pytest.mark.parametrize(("n", "m"), [((1, 1), (3, 2)), ((8, 9), (5, 12)), ((300, 7), (4, 411))])
def test_zooms_are_the_explicit_sum(function, n, m, inverse):
    # Chromatix' zoomed FFT has 2.6e-4 at 128 and 2e-2 at 1024 samples.
    u, alpha = random(*n), (0.0713, 0.0021)
    need = dft(u, *alpha, m, +1 if inverse else -1)
    assert error(function(u, alpha, m, inverse=inverse), need) < 1e-6


def test_chirp_keeps_its_digits_on_a_large_grid():
    u = random(2, 2048)
    assert (
        error(jw.chirp_ft2(u, (0.3, 0.000431), (2, 1500)), dft(u, 0.3, 0.000431, (2, 1500))) < 1e-6
    )


def test_matrix_with_a_traced_zoom_keeps_its_digits():
    # A single word would have errors of 500^2 * 0.3 turns * 6e-8 * 2 pi = 3e-2.
    u, alpha = random(3, 1000), np.float32(0.2897)
    got = jax.jit(lambda a: jw.matrix_ft2(u, a, (3, 900)))(alpha)
    assert error(got, dft(u, float(alpha), float(alpha), (3, 900))) < 1e-6


def test_matrix_with_a_batch_of_zooms():
    u, alpha = random(2, 5, 6), np.array([[0.1, 0.2], [0.15, 0.05]])
    got = jw.matrix_ft2(u, alpha, (4, 3))
    for k in range(2):
        assert error(got[k], dft(u[k], *alpha[k], (4, 3))) < 1e-6


def test_zoom_gradient_of_a_traced_zoom(x64):
    u = random(6, 7)

    @jax.jit
    def power(a):
        return jnp.sum(jnp.abs(jw.zoom_ft2(u, a, (3, 4))) ** 2)

    h = 1e-6
    need = (power(0.1 + h) - power(0.1 - h)) / (2 * h)
    assert float(jax.grad(power)(0.1)) == pytest.approx(float(need), rel=1e-7)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SHAPES), st.integers(0, 99))
def test_parseval_and_shift(shape, seed):
    nx, u = shape[1], random(*shape, seed=seed)
    spectrum = np.asarray(jw.ft2(u))
    assert np.sum(np.abs(spectrum) ** 2) == pytest.approx(np.sum(np.abs(u) ** 2), rel=1e-5)
    # a shift by one sample is a ramp in the spectrum, with the documented sign
    k = np.arange(nx) - nx // 2
    moved = np.asarray(jw.ft2(np.roll(u, 1, -1)))
    assert error(moved, spectrum * np.exp(-2j * np.pi * k / nx)) < 1e-5


def test_errors():
    u = np.ones((4, 4))
    for function in (jw.ft2, jw.ift2):
        with pytest.raises(
            ValueError, match=rf"{function.__name__}: `u` must have the axes \(..., y, x\)"
        ):
            function(np.ones(4))
    for function in (jw.matrix_ft2, jw.chirp_ft2, jw.zoom_ft2):
        with pytest.raises(ValueError, match=r"_ft2: `alpha` must be positive, got -1.0"):
            function(u, -1.0, (4, 4))
        with pytest.raises(
            ValueError, match=r"_ft2: `shape` must be at least \(1, 1\), got \(0, 4\)"
        ):
            function(u, 0.1, (0, 4))
        with pytest.raises(ValueError, match=r"_ft2: `alpha` must be one number or \(..., 2\)"):
            function(u, np.ones(3), (4, 4))
        with pytest.raises(ValueError, match=r"_ft2: `u` must have the axes"):
            function(np.ones(4), 0.1, (4, 4))
    with pytest.raises(TypeError, match=r"chirp_ft2: `alpha` must be known .* Use matrix_ft2"):
        jax.jit(lambda a: jw.chirp_ft2(u, a, (4, 4)))(0.1)
    with pytest.raises(ValueError, match=r"chirp_ft2: .* Use matrix_ft2 for a batch of zooms"):
        jw.chirp_ft2(u, np.ones((3, 2)), (4, 4))
