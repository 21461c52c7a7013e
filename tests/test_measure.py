"""Measures of fields against closed forms of Gaussian beams and the Airy pattern."""

import subprocess
import sys

import jax
import numpy as np
import pytest
from reference import TAU, axis
from scipy.special import j0, j1

import jaxwave as jw

GRID = dict(spacing=(0.5, 0.4), wavelength=0.5)
BEAM = jw.gaussian_beam((70, 91), waist=(4.0, 3.0), y=1.3, x=-2.1, z=20.0, power=3.0, **GRID)


def test_overlaps_of_gaussian_beams():
    """Marcuse's formulas: mode sizes, an offset and a tilt."""
    kind = dict(spacing=0.5, wavelength=0.5)
    fiber = jw.gaussian_beam((80, 80), waist=4.0, **kind)
    for got, need in (
        (jw.gaussian_beam((80, 80), waist=3.0, power=7.0, **kind), (24 / 25) ** 2),
        (jw.gaussian_beam((80, 80), waist=4.0, x=2.0, y=1.0, **kind), np.exp(-5 / 16)),
        (jw.gaussian_beam((80, 80), waist=4.0, kx=0.3, **kind), np.exp(-((0.3 * 4 / 2) ** 2))),
        (jw.hermite_gauss_beam((80, 80), order=(1, 0), waist=4.0, **kind), 0),
    ):
        np.testing.assert_allclose(np.abs(jw.overlap(got, fiber)) ** 2, need, atol=2e-6)
    # The mode is conjugated, the field is not.
    np.testing.assert_allclose(jw.overlap(fiber * 1j, fiber), 1j, atol=1e-6)
    np.testing.assert_allclose(jw.overlap(fiber, fiber * 1j), -1j, atol=1e-6)
    with pytest.raises(ValueError, match="different grids"):
        jw.overlap(fiber, jw.crop(fiber, (8, 8)))


def test_centroid_and_moments():
    np.testing.assert_allclose(jw.centroid(BEAM), [1.3, -2.1], atol=1e-4)
    w2 = [w**2 * (1 + (20 * 0.5 / (np.pi * w**2)) ** 2) for w in (4.0, 3.0)]
    np.testing.assert_allclose(jw.second_moments(BEAM), np.diag(w2) / 4, rtol=1e-4, atol=1e-4)
    # A beam along the diagonal: what two beams at (1, 2) and (-1, -2) have in common.
    pair = [jw.gaussian_beam((70, 91), waist=2.0, y=s, x=2 * s, **GRID) for s in (1.0, -1.0)]
    both = BEAM.replace(u=np.sqrt(pair[0].intensity + pair[1].intensity) + 0j)
    need = [[1 + 1, 2], [2, 1 + 4]]
    np.testing.assert_allclose(jw.second_moments(both), need, rtol=1e-4)
    dark = BEAM * 0.0
    assert np.all(jw.centroid(dark) == 0) and np.all(jw.second_moments(dark) == 0)


def test_encircled_energy():
    beam = jw.gaussian_beam((70, 91), waist=4.0, y=1.3, x=-2.1, **GRID)
    radius = np.array([2.0, 4.0, 7.0])
    got = jw.encircled_energy(beam, radius, y=1.3, x=-2.1)
    np.testing.assert_allclose(got, 1 - np.exp(-2 * radius**2 / 16), atol=3e-3)  # samples
    slope = jax.grad(lambda r: jw.encircled_energy(beam, r, y=1.3, x=-2.1))(4.0)
    np.testing.assert_allclose(slope, np.exp(-2), rtol=0.03)  # eight samples across
    # The Airy pattern: 83.8 % in the first dark ring (Born and Wolf, Sec. 8.5.2).
    pupil = jw.circular_aperture(jw.plane_wave((80, 80), spacing=50.0, wavelength=0.5), 1600.0)
    focus = jw.ff_lens(pupil, 1e5, spacing=1.0, shape=(601, 601))
    v = 3.8317
    passed = np.pi * 1600.0**2 / 4000.0**2  # of the power one; the rim's samples count it too low
    got = jw.encircled_energy(focus, v * 0.5 * 1e5 / (TAU * 1600.0)) * focus.power / passed
    np.testing.assert_allclose(got, 1 - j0(v) ** 2 - j1(v) ** 2, atol=5e-3)


def test_strehl_ratio():
    pupil = jw.circular_aperture(jw.plane_wave((96, 96), spacing=50.0, wavelength=0.5), 2000.0)
    y, x = pupil.y / 2000.0, pupil.x / 2000.0
    for rms in (0.01, 0.03):
        opd = jw.zernike_opd([rms], [(4, 0)], y, x)
        got = jw.strehl_ratio(jw.opd_mask(pupil, opd))
        np.testing.assert_allclose(got, np.exp(-((TAU * rms / 0.5) ** 2)), atol=3e-3)
    # A defocus of p waves from middle to rim: sinc^2(p).
    got = jw.strehl_ratio(jw.opd_mask(pupil, 0.5 * 0.5 * (y**2 + x**2)))
    np.testing.assert_allclose(got, np.sinc(0.5) ** 2, atol=3e-3)
    focus = jw.ff_lens(jw.opd_mask(pupil, 0.25 * (y**2 + x**2)), 1e5).intensity[48, 48]
    best = jw.ff_lens(pupil, 1e5).intensity[48, 48]
    np.testing.assert_allclose(got, focus / best, rtol=1e-4)
    assert jw.strehl_ratio(pupil * 0.0) == 0
    vector = jw.polarize(jw.opd_mask(pupil, 0.25 * (y**2 + x**2)), (0.6, 0.8j))
    np.testing.assert_allclose(jw.strehl_ratio(vector), got, rtol=1e-5)


def test_radial_profile():
    beam = jw.gaussian_beam((70, 91), waist=5.0, y=1.0, x=-2.0, **GRID)
    radius, mean = jw.radial_profile(beam, bins=15, y=1.0, x=-2.0)
    np.testing.assert_allclose(
        mean[1:] / beam.intensity.max(), np.exp(-2 * radius[1:] ** 2 / 25), atol=6e-3
    )
    # The same sums in numpy.
    r = np.hypot(axis(70, 0.5)[:, None] - 1, axis(91, 0.4) + 2)
    ring = np.floor(r / 0.5 * (1 + 1e-6)).astype(int)
    need = [np.asarray(beam.intensity)[ring == k].mean() for k in range(15)]
    np.testing.assert_allclose(mean, need, rtol=1e-4)


def test_a_field_shows_itself():
    pytest.importorskip("matplotlib")
    assert len(BEAM.plot().axes) == 4
    shown = BEAM._repr_html_()
    assert "spacing=(0.5, 0.4) µm" in shown and "data:image/png;base64," in shown
    batch = jw.stack([BEAM, BEAM])
    assert "field[0]" in batch._repr_html_()
    traced = []
    jax.jit(lambda f: traced.append(f._repr_html_()) or f.u)(BEAM)
    assert "img" not in traced[0] and "&lt;traced&gt;" in traced[0]
    assert "img" in jw.unpolarized(jw.crop(BEAM, (8, 8)))._repr_html_()


def test_without_matplotlib_a_field_is_its_sentence():
    program = (
        "import sys; sys.modules['matplotlib'] = None; sys.modules['matplotlib.figure'] = None\n"
        "import jaxwave as jw; w = jw.scalar_field([[1.0]], spacing=0.5, wavelength=0.5)\n"
        "assert w._repr_html_().startswith('<pre>Field('), w._repr_html_()\n"
        "assert 'img' not in w._repr_html_()\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
