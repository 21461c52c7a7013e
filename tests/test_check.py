"""The words of errors, and that no check looks at a tracer."""

import warnings

import jax
import numpy as np
import pytest

import jaxwave as jw
from jaxwave import _check


def test_wavelengths_in_other_units():
    assert _check.wavelength("f", 0.52) == 0.52
    assert _check.wavelength("f", "520 nm") == 0.52
    with pytest.raises(
        ValueError, match=r"^f: `wavelength` is in micrometers; 520 looks like nanometres; "
    ):
        _check.wavelength("f", 520)
    with pytest.raises(ValueError, match=r"pass 0\.52 or '520 nm'\.$"):
        _check.wavelength("f", np.array([0.5, 520.0]))
    with pytest.raises(ValueError, match=r"5\.2e-07 looks like metres; pass 0\.52 or"):
        _check.wavelength("f", 5.2e-7)
    with pytest.raises(ValueError, match=r"f: `wavelength`: expected a number and a unit"):
        _check.wavelength("f", "520 parsec")


def test_numbers():
    with pytest.raises(
        ValueError, match=r"f: `x` must be positive, got -2 µm at index \(1,\). Do that."
    ):
        _check.positive("f", "x", np.array([1, -2]), unit="µm", fix="Do that.")
    with pytest.raises(TypeError, match=r"f: `x` must be a number, got the text 'a'"):
        _check.finite("f", "x", "a")
    with pytest.raises(TypeError, match=r"f: `x` must be real, got complex128"):
        _check.finite("f", "x", 1j)
    with pytest.raises(ValueError, match=r"f: `x` must be between 0 and 1, got 1\.5"):
        _check.between("f", "x", 1.5, 0, 1)
    with pytest.raises(ValueError, match=r"f: `x` must be zero or more, got nan"):
        _check.nonnegative("f", "x", np.nan)
    with pytest.raises(TypeError, match=r"f: `k` must be an integer, got 1\.0"):
        _check.integer("f", "k", 1.0, 0)
    with pytest.raises(ValueError, match=r"f: `k` must be between 0 and 3, got 4"):
        _check.integer("f", "k", 4, 0, 3)
    with pytest.raises(ValueError, match=r"f: `k` must be at least 1, got 0"):
        _check.integer("f", "k", 0, 1)
    with pytest.raises(
        ValueError, match=r"f: `na` must be below .* na=1.4 with n=1.33. Pass the immersion"
    ):
        _check.numerical_aperture("f", 1.4, 1.33)


def test_tracers_pass_every_check():
    def f(x):
        _check.positive("f", "x", x)
        _check.finite_array("f", "x", x)
        _check.wavelength("f", x)
        _check.numerical_aperture("f", x, 1.0)
        return x

    assert float(jax.jit(f)(-5.0)) == -5.0


def test_arrays_and_names():
    with pytest.raises(
        ValueError, match=r"f: `a` must be finite, got 2 NaN or infinite values, .* \(0, 1\)"
    ):
        _check.finite_array("f", "a", np.array([[1, np.nan], [np.inf, 0]]))
    with pytest.raises(
        ValueError, match=r"f: `kind` must be one of 'red', 'blue', got 'rad'. Did you m.* 'red'"
    ):
        _check.choice("f", "kind", "rad", ["red", "blue"])
    with pytest.raises(
        ValueError, match=r"got `a` \(2,\), `b` \(3,\). Add axes of length one, for .* z\[:"
    ):
        _check.broadcast("f", a=(2,), b=(3,))
    with pytest.raises(
        ValueError, match=r"f: `a` must have the axes \(y, x\), got the shape \(3,\)"
    ):
        _check.at_least("f", "a", np.ones(3), 2, "(y, x)")
    with pytest.raises(
        TypeError, match=r"f: `field` must be a Field, got int. Make one with scalar_field"
    ):
        _check.is_field("f", 3, jw.Field)


def test_warnings_point_at_the_users_line():
    field = jw.gaussian_beam((8, 8), spacing=0.5, wavelength=0.5, waist=1.0)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        jw.angular_spectrum(field, 1e5)
    assert [w.category for w in seen] == [jw.JaxwaveWarning]
    assert seen[0].filename == __file__


def test_pairs_and_lists_of_lengths_may_have_units():
    """Wherever a function takes several lengths, each may be a text."""
    light = jw.plane_wave((8, 9), spacing=("5 um", "6 um"), wavelength="633 nm")
    assert np.asarray(light.spacing).tolist() == [5, 6]
    need = jw.rectangular_aperture(light, (40.0, 20.0)).u
    got = jw.rectangular_aperture(light, ("40 um", "0.02 mm")).u
    np.testing.assert_array_equal(got, need)
    assert jw.angular_spectrum(light, ["1 um", "3 um"]).u.shape == (2, 8, 9)
    with pytest.raises(ValueError, match=r"rectangular_aperture: `size`: .*'4 ft'"):
        jw.rectangular_aperture(light, ("40 um", "4 ft"))


def test_a_list_of_traced_numbers_is_an_array():
    """A shape is asked for everywhere, which a list of tracers does not tell to numpy."""

    def image(a, b):
        field = jw.plane_wave((5, 6), spacing=6.0, wavelength=0.6)
        one = jw.microlens_array(field, [900 * a, 800 * b], pitch=(9 * b, 7 * a))
        centers = [[a, -4.0], [9.0, b]]
        return jw.microlens_array(one, 900.0, centers=centers, lenslet="round", diameter=15.0).u

    assert jax.eval_shape(image, 1.0, 2.0).shape == (5, 6)
    pair = jax.jit(lambda a: _check.length("f", "pitch", (a, "30 nm")))(2.0)
    np.testing.assert_allclose(pair, [2.0, 0.03])
