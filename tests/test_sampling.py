"""Sampling: the answer is true, and the warning comes when light is lost, and only then."""

import jax
import numpy as np
import pytest

import jaxwave as jw
from jaxwave import sampling


@pytest.mark.parametrize("n", [1.0, 1.5])
def test_the_shape_it_names_does_satisfy(n):
    beam = jw.gaussian_beam((64, 80), spacing=0.5, wavelength=0.5, waist=1.5)
    answer = jw.propagation_sampling(beam, 400.0, n=n)
    assert not answer.ok and answer.value > answer.limit
    again = jw.propagation_sampling(jw.pad(beam, answer.shape), 400.0, n=n)
    assert again.ok and again.value <= again.limit
    assert "400 µm" in answer.criterion


def test_limit_is_matsushimas_with_the_doubled_window_and_the_medium():
    beam = jw.gaussian_beam((64, 64), spacing=0.5, wavelength=0.5, waist=3.0)
    answer = jw.propagation_sampling(beam, 100.0, n=1.5)
    width = 2 * 64 * 0.5
    assert answer.limit == pytest.approx(1.5 / 0.5 / np.sqrt(1 + (2 * 100.0 / width) ** 2))


def test_what_it_calls_ok_conserves_power_and_what_it_does_not_loses_it():
    # 99.9 % of the power is the criterion
    beam = jw.gaussian_beam((96, 96), spacing=0.5, wavelength=0.5, waist=2.0)
    assert jw.propagation_sampling(beam, 80.0).ok
    assert float(jw.angular_spectrum(beam, 80.0).power) > 0.995
    assert not jw.propagation_sampling(beam, 800.0).ok
    assert float(jw.angular_spectrum(beam, 800.0).power) < 0.95


def test_the_worst_entry_of_a_batch_counts():
    options = dict(spacing=0.5, wavelength=0.5)
    narrow = jw.gaussian_beam((64, 64), waist=1.0, **options)
    wide = jw.gaussian_beam((64, 64), waist=6.0, **options)
    alone = jw.propagation_sampling(narrow, 200.0)
    for pair in ([narrow, wide], [wide, narrow]):
        assert jw.propagation_sampling(jw.stack(pair), 200.0) == alone


def test_warning():
    beam = jw.gaussian_beam((16, 16), spacing=0.5, wavelength=0.5, waist=2.0)
    with pytest.warns(
        jw.JaxwaveWarning, match=r"angular_spectrum: over z = 1e\+04 µm this window \(8 µm"
    ):
        jw.angular_spectrum(beam, 1e4)
    jax.jit(jw.angular_spectrum)(beam, 1e4)  # traced: silent
    # a concrete field inside jit used to raise
    jax.jit(lambda s: sampling.warn_propagation("f", beam, 1.0, 1.0) or s)(1.0)
    jax.jit(lambda s: jw.angular_spectrum(beam * s, 1.0).power)(1.0)


def test_errors():
    beam = jw.gaussian_beam((8, 8), spacing=0.5, wavelength=0.5, waist=1.0)
    with pytest.raises(TypeError, match="propagation_sampling: needs numbers, got a traced value"):
        jax.jit(lambda z: jw.propagation_sampling(beam, z).value)(1.0)
    with pytest.raises(TypeError, match="missing"):
        jw.Sampling("f")
