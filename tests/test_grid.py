"""Coordinates and frequencies. The axis at N // 2: test_conventions.py; disks: test_masks.py."""

import jax
import numpy as np
import pytest

import jaxwave as jw
from jaxwave.grid import indices, spacing_pair


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_frequencies_are_those_of_fftfreq(n):
    _, fx = jw.frequencies((1, n), 0.3)
    np.testing.assert_allclose(fx[0], np.fft.fftshift(np.fft.fftfreq(n, 0.3)), rtol=1e-6)
    np.testing.assert_array_equal(indices(n), np.fft.fftshift(np.fft.fftfreq(n, 1 / n)))


def test_batches_and_gradient():
    y, x = jw.coordinates((2, 3), np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert y.shape == (2, 2, 1) and x.shape == (2, 1, 3)
    assert x[1, 0].tolist() == [-4.0, 0.0, 4.0]
    assert float(jax.grad(lambda d: jw.coordinates((2, 3), d)[1][0, 2])(0.5)) == 1.0
    assert spacing_pair("500 nm").tolist() == [0.5, 0.5]


def test_errors():
    for function in (jw.coordinates, jw.frequencies):
        name = function.__name__
        with pytest.raises(
            ValueError, match=rf"{name}: `shape` must be two integers \(ny, nx\), got"
        ):
            function((2, 3, 4), 1.0)
        with pytest.raises(
            ValueError, match=rf"{name}: `shape` must be at least \(1, 1\), got \(0, 3\)"
        ):
            function((0, 3), 1.0)
        with pytest.raises(TypeError, match=rf"{name}: `shape` must be \(ny, nx\), got None"):
            function(None, 1.0)
        with pytest.raises(
            ValueError, match=rf"{name}: `spacing` .* For one number per batch entry"
        ):
            function((2, 3), np.ones(3))
