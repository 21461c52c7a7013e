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


# -- everything that writes a phase, a window, an aperture -----------------------------------

TILE = dict(spacing=1.0, wavelength=0.5)
SLOPE = np.add.outer(np.zeros(32), np.arange(32.0))
SILENT = {
    "tilt beyond Nyquist": lambda w: jw.plane_wave((1, 64), kx=3.2, **TILE),
    "evanescent tilt": lambda w: jw.plane_wave((1, 64), spacing=0.1, wavelength=0.5, ky=14.0),
    "lens too strong": lambda w: jw.thin_lens(w, 25.0),
    "sphere too near": lambda w: jw.point_source((32, 32), z=20.0, **TILE),
    "sphere far off axis": lambda w: jw.point_source((32, 32), z=1000.0, x=1000.0, **TILE),
    "beam wider than its window": lambda w: jw.gaussian_beam((32, 32), waist=20.0, **TILE),
    "beam finer than its samples": lambda w: jw.gaussian_beam((32, 32), waist=0.4, **TILE),
    "beam that is not paraxial": lambda w: jw.gaussian_beam(
        (32, 32), spacing=0.05, wavelength=0.35, waist=0.15
    ),
    "path too steep": lambda w: jw.opd_mask(w, 0.3 * SLOPE),
    "phase too steep": lambda w: jw.phase_mask(w, 3.5 * SLOPE),
    "window of replicas": lambda w: jw.ff_lens(w, 100.0, spacing=2.0, shape=(30, 30)),
    "pixels finer than samples": lambda w: jw.slm(w, np.zeros((8, 8)), pitch=0.5),
    "cubic path too steep": lambda w: jw.cubic_mask(w, 2.0, radius=10.0, angle=0.3),
    "mirror too steep": lambda w: jw.deformable_mirror(w, [0.3], SLOPE[None]),
    "beam wider than its window in x": lambda w: jw.gaussian_beam((32, 32), waist=(4, 20), **TILE),
    "beam tilted beyond Nyquist": lambda w: jw.gaussian_beam((32, 32), waist=8.0, ky=3.2, **TILE),
    "evanescent beam": lambda w: jw.laguerre_gauss_beam(
        (32, 32), spacing=0.1, wavelength=0.5, waist=0.8, kx=14.0
    ),
    "rings finer than samples": lambda w: jw.bessel_beam((32, 32), kr=3.2, **TILE),
    "ring outside": lambda w: jw.annular_aperture(w, 2.0, 4.0, x=100.0),
    "aperture outside": lambda w: jw.circular_aperture(w, 4.0, x=100.0),
}
FINE = {
    "wrapped phase": lambda w: jw.phase_mask(w, np.mod(2.9 * SLOPE, 2 * np.pi)),
    "random phase": lambda w: jw.phase_mask(w, np.random.default_rng(0).uniform(0, 6.3, (32, 32))),
    "steps": lambda w: jw.opd_mask(w, 5.0 * (SLOPE > 10)),
    "steep only in the dark": lambda w: jw.opd_mask(
        jw.circular_aperture(w, 5.0), 0.02 * (SLOPE - 16) ** 2
    ),
    "lens too strong for its dark rim": lambda w: jw.thin_lens(jw.circular_aperture(w, 5.0), 25.0),
    "an ellipse in its window": lambda w: jw.gaussian_beam((32, 100), waist=(8, 30), **TILE),
    "cubic path": lambda w: jw.cubic_mask(jw.circular_aperture(w, 5.0), 0.4, radius=5.0),
    "mirror": lambda w: jw.deformable_mirror(w, [0.01], SLOPE[None]),
    "immersed tilt": lambda w: jw.plane_wave((1, 64), spacing=0.1, wavelength=0.5, ky=14.0, n=1.33),
}


@pytest.mark.parametrize("name", SILENT)
def test_what_its_grid_cannot_hold_is_told(name):
    wave = jw.plane_wave((32, 32), **TILE) * (100 * np.exp(-2j))  # bright, and both parts negative
    with pytest.warns(jw.JaxwaveWarning, match=r"Use a|Move|pad|finer"):
        SILENT[name](wave)


@pytest.mark.parametrize("shape", [(12, 9), (11, 150), (140, 8)])
def test_the_light_reaches_as_far_as_its_outer_samples(shape):
    u, (i, j) = np.zeros((2, *shape), complex), np.array(shape) // 2
    u[0, i - 4 : i + 3, j - 1 : j + 4] = -2 - 1j
    u[1] = 0.01  # in all less than a hundredth of the light
    field = jw.scalar_field(u, spacing=(0.5, 0.7), wavelength=0.5)
    assert np.ravel(sampling.lit_half_widths(field)) == pytest.approx([2.0, 2.0, 2.1, 2.1])


@pytest.mark.parametrize("name", FINE)
def test_what_its_grid_holds_is_not(name):
    FINE[name](jw.plane_wave((32, 32), **TILE))  # a warning is an error here


# What is too much for one axis only, in a window (32, 48) of wide samples along that axis and fine
# ones along the other: `p` orders numbers for (that axis, the other one) as (y, x).
ONE_AXIS = {
    "tilt": lambda w, p: jw.plane_wave((32, 48), **grid_of(w), **named("ky kx", p(3.2, 0.0))),
    "tilted beam": lambda w, p: jw.gaussian_beam(
        (32, 48), waist=p(4.0, 2.0), **grid_of(w), **named("ky kx", p(3.2, 0.0))
    ),
    "sphere off axis": lambda w, p: jw.point_source(
        (32, 48), z=1000.0, **grid_of(w), **named("y x", p(300.0, 0.0))
    ),
    "narrow beam": lambda w, p: jw.gaussian_beam((32, 48), waist=p(0.4, 2.0), **grid_of(w)),
    "wide beam": lambda w, p: jw.gaussian_beam((32, 48), waist=p(3.0, 7.0), **grid_of(w)),
    "cylinder": lambda w, p: jw.cylindrical_lens(w, 50.0, phi=p(np.pi / 2, 0.0)[0]),
    "prism": lambda w, p: jw.prism(w, 0.55, phi=p(np.pi / 2, 0.0)[0]),
    "window": lambda w, p: jw.ff_lens(w, 100.0, spacing=2.0, shape=p(30, 20)),
    "reach": lambda w, p: jw.angular_spectrum(w, 50.0, shape=(30, 30), spacing=p(1.0, 0.5)[::-1]),
    "replica": lambda w, p: jw.fresnel(w, 200.0, shape=(30, 30), spacing=p(4.0, 1.0)),
    "pixels": lambda w, p: jw.slm(w, np.zeros((4, 4)), pitch=p(0.25, 1.0)),
    "opening": lambda w, p: jw.circular_aperture(w, 1.0, **named("y x", p(0.0, 10.0))),
}
ROUND = {  # the same number for both axes, too much for one of them
    "lens": lambda w: jw.thin_lens(w, 50.0),
    "sphere": lambda w: jw.point_source((32, 48), z=40.0, **grid_of(w)),
    "turned cubic": lambda w: jw.cubic_mask(w, 0.5, radius=10.0, angle=np.pi / 4),
    "axicon": lambda w: jw.axicon(w, 0.55),
}


def grid_of(wave):
    return dict(spacing=wave.spacing, wavelength=0.5)


def named(names, values):
    return dict(zip(names.split(), values, strict=True))


@pytest.mark.parametrize("along", ["y", "x"])
@pytest.mark.parametrize("name", [*ONE_AXIS, *ROUND])
def test_every_axis_is_looked_at_with_its_own_samples(name, along, monkeypatch):
    monkeypatch.setattr("jaxwave.propagation._window_filter", lambda *_: None)  # takes seconds
    monkeypatch.setattr("jaxwave.collins.transfer", lambda *_: None)

    def order(own, other):
        return (own, other) if along == "y" else (other, own)

    wave = jw.scalar_field(np.ones((32, 48)), spacing=order(1.0, 0.25), wavelength=0.5)
    with pytest.warns(jw.JaxwaveWarning):
        ONE_AXIS[name](wave, order) if name in ONE_AXIS else ROUND[name](wave)
    if name in ONE_AXIS:
        ONE_AXIS[name](wave, lambda own, other: order(other, own))  # a warning is an error here
    else:
        fine = jw.scalar_field(np.ones((32, 48)), spacing=0.25, wavelength=0.5)
        ROUND[name](fine)


def test_lengths_in_other_units():
    wave = jw.plane_wave((8, 8), **TILE)
    for call, text in (
        (lambda: jw.thin_lens(wave, 0.18), "`f` is in micrometers; 0.18 looks like metres; pass 1"),
        (lambda: jw.plane_wave((8, 8), spacing=5e-7, wavelength=0.5), "`spacing` .* like metres"),
        (lambda: jw.slm(wave, np.zeros((2, 2)), pitch=8e-6), "`pitch` .* 8e-06 looks like metres"),
        (lambda: jw.gaussian_beam((8, 8), waist=5e-6, **TILE), "`waist` .* looks like metres"),
        (lambda: jw.circular_aperture(wave, 1e-4), "`radius` .* looks like metres"),
        (lambda: jw.angular_spectrum(wave, 1e15), "`z` .* looks like nanometres"),
    ):
        with pytest.raises(ValueError, match=text):
            call()


def test_a_phase_that_is_steep_in_the_dark_is_no_matter():
    """The light of a vector field is that of its components together."""
    beam = jw.gaussian_beam((48, 40), spacing=(1.0, 1.1), wavelength=0.5, waist=4.0)
    x = np.arange(40) - 20.0
    phase = 2 * np.pi * 0.9 * x**2 / 40 * np.ones((48, 1))  # half a turn a sample at x = 11
    jw.phase_mask(jw.polarize(beam, (0.6, 0.8j)), phase)
    bright = jw.plane_wave((48, 40), spacing=(1.0, 1.1), wavelength=0.5)
    with pytest.warns(jw.JaxwaveWarning, match="phase_mask"):
        jw.phase_mask(jw.polarize(bright, (0.6, 0.8j)), phase)
