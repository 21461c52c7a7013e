"""Beams against closed forms in float64, orthogonality, and propagation."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from reference import TAU, axis, error, single
from scipy.special import eval_genlaguerre, eval_hermite, jv

import jaxwave as jw

# Everything differs: ny != nx, dy != dx, wy != wx, y != x != 0, ky != kx, n != 1.
SHAPE, SPACING, WAVELENGTH = (64, 71), (0.8, 1.0), 0.5
GRID = dict(spacing=SPACING, wavelength=WAVELENGTH)
ROUND = dict(n=1.3, y=3.0, x=-2.0, ky=-0.1, kx=0.2)
Y, X = axis(SHAPE[0], single(0.8))[:, None], axis(SHAPE[1], 1.0)


def hermite(m, x, waist, z, n):
    """Siegman, Sec. 16.4, Eq. 54."""
    zr = np.pi * n * waist**2 / WAVELENGTH
    q, w = 1 + 1j * z / zr, waist * np.sqrt(1 + (z / zr) ** 2)
    gouy = np.exp(-1j * (m + 0.5) * np.arctan(z / zr))
    norm = (2 / np.pi) ** 0.25 / np.sqrt(2.0**m * math.factorial(m) * w)
    return norm * eval_hermite(m, np.sqrt(2) * x / w) * np.exp(-(x**2) / waist**2 / q) * gouy


def tilted(function, z, n=1.3, y=3.0, x=-2.0, ky=-0.1, kx=0.2):
    """A paraxial beam in a moving frame: the wave equation's Galilean invariance."""
    k = TAU * n / WAVELENGTH
    ky, kx = single(ky), single(kx)
    phase = ky * Y + kx * X - (ky**2 + kx**2) * z / (2 * k)
    return function(Y - y - z * ky / k, X - x - z * kx / k) * np.exp(1j * phase)


@pytest.mark.parametrize("z", [0.0, 60.0, -35.0])
@pytest.mark.parametrize("order", [(0, 0), (3, 1)])
def test_hermite_gauss(order, z):
    beam = jw.hermite_gauss_beam(
        SHAPE, order=order, waist=(5.0, 8.0), z=z, power=2.0, **GRID, **ROUND
    )
    need = tilted(
        lambda y, x: (
            np.sqrt(2)
            * hermite(order[0], y, 5.0, z, single(1.3))
            * hermite(order[1], x, 8.0, z, single(1.3))
        ),
        z,
    )
    assert error(beam.u, need) < 3e-6
    np.testing.assert_allclose(beam.power, 2.0, rtol=1e-5)
    if order == (0, 0):
        plain = jw.gaussian_beam(SHAPE, waist=(5.0, 8.0), z=z, power=2.0, **GRID, **ROUND)
        assert error(plain.u, need) < 3e-6


@pytest.mark.parametrize("charge", [0, 1, -3])
@pytest.mark.parametrize("z", [0.0, 60.0])
def test_laguerre_gauss(charge, z):
    p, waist, n = 2, 5.0, single(1.3)
    beam = jw.laguerre_gauss_beam(SHAPE, radial=p, charge=charge, waist=waist, z=z, **GRID, **ROUND)

    def need(y, x):
        zr = np.pi * n * waist**2 / WAVELENGTH
        q, w, m = 1 + 1j * z / zr, waist * np.sqrt(1 + (z / zr) ** 2), abs(charge)
        r2, phi = y**2 + x**2, np.arctan2(y, x)
        norm = np.sqrt(2 * math.factorial(p) / (np.pi * math.factorial(p + m))) / w
        radial = (np.sqrt(2 * r2) / w) ** m * eval_genlaguerre(p, m, 2 * r2 / w**2)
        gouy = np.exp(-1j * (2 * p + m + 1) * np.arctan(z / zr))
        return norm * radial * np.exp(-r2 / waist**2 / q + 1j * charge * phi) * gouy

    assert error(beam.u, tilted(need, z)) < 3e-6


def test_modes_are_orthogonal_and_complete_each_other():
    kind = dict(waist=6.0, z=40.0, **GRID)
    beams = [
        jw.hermite_gauss_beam(SHAPE, order=o, **kind) for o in [(0, 0), (1, 0), (0, 1), (2, 1)]
    ]
    beams += [jw.laguerre_gauss_beam(SHAPE, charge=1, **kind)]
    u = np.stack([np.asarray(b.u, complex).ravel() for b in beams])
    overlap = np.abs(u.conj() @ u.T) * 0.8
    np.testing.assert_allclose(overlap[:4, :4], np.eye(4), atol=1e-5)
    # LG01 is (HG10 + i HG01) / sqrt(2)
    np.testing.assert_allclose(overlap[4], [0, 0.5**0.5, 0.5**0.5, 0, 1], atol=1e-5)


def test_beams_are_what_propagation_makes_of_their_waist():
    kind = dict(waist=(5.0, 8.0), **GRID, **ROUND)
    start = jw.gaussian_beam(SHAPE, **kind)
    assert error(jw.fresnel(start, 60.0, n=1.3).u, jw.gaussian_beam(SHAPE, z=60.0, **kind).u) < 2e-6


def test_a_beam_with_two_waists_is_narrow_along_y_before_x():
    kind = dict(waist=(5.0, 8.0), astigmatism=70.0, **GRID, **ROUND)
    beam = jw.gaussian_beam(SHAPE, z=25.0, **kind)
    n = single(1.3)
    need = tilted(lambda y, x: hermite(0, y, 5.0, 60.0, n) * hermite(0, x, 8.0, -10.0, n), 25.0)
    assert error(beam.u, need) < 3e-6
    moved = jw.fresnel(jw.gaussian_beam(SHAPE, z=-20.0, **kind), 45.0, n=1.3)
    assert error(moved.u, beam.u) < 3e-6


def test_the_axis_of_a_tilted_beam():
    k = TAU / 0.5
    beam = jw.gaussian_beam(SHAPE, waist=5.0, z=100.0, y=-4.0, x=3.0, kx=0.05 * k, **GRID)
    i = np.asarray(beam.intensity)
    place = (i * X).sum() / i.sum(), (i * Y).sum() / i.sum()
    np.testing.assert_allclose(place, [3.0 + 0.05 * 100.0, -4.0], atol=1e-3)


def test_two_waists_are_an_ellipse_and_several_are_a_batch():
    ellipse = jw.gaussian_beam((64, 64), waist=(4.0, 9.0), spacing=1.0, wavelength=0.5)
    assert ellipse.u.shape == (64, 64)
    i = np.asarray(ellipse.intensity)
    x = axis(64, 1.0)
    np.testing.assert_allclose((i.sum(1) * x**2).sum(), 4.0**2 / 4, rtol=1e-4)
    np.testing.assert_allclose((i.sum(0) * x**2).sum(), 9.0**2 / 4, rtol=1e-4)
    batch = jw.gaussian_beam((8, 8), waist=np.ones((3, 2)), spacing=1.0, wavelength=0.5)
    assert batch.batch_shape == (3,)
    with pytest.raises(ValueError, match=r"`waist` must be one number or \(..., 2\).*\(3,\)"):
        jw.gaussian_beam((8, 8), waist=[1.0, 2.0, 3.0], spacing=1.0, wavelength=0.5)


@pytest.mark.parametrize("charge", [0, -1, 2])
def test_bessel_beam(charge):
    beam = jw.bessel_beam(
        SHAPE, kr=0.7, charge=charge, waist=14.0, y=1.5, x=-2.5, power=3.0, **GRID
    )
    y, x = Y - 1.5, X + 2.5
    r = np.hypot(y, x)
    need = jv(abs(charge), single(0.7) * r) * np.exp(1j * charge * np.arctan2(y, x))
    need = need * np.exp(-(r**2) / 14.0**2)
    need *= np.sqrt(3 / np.sum(np.abs(need) ** 2) / 0.8)
    assert error(beam.u, need) < 2e-6


def test_the_core_of_a_bessel_beam_lasts():
    """Against the closed form of Gori, Guattari and Padovani on the axis."""
    kr, waist, z = 1.0, 20.0, 100.0
    beam = jw.bessel_beam((160, 160), kr=kr, waist=waist, spacing=0.8, wavelength=0.5)
    k = TAU / 0.5
    q = 1 + 2j * z / (k * waist**2)
    need = np.exp(-1j * kr**2 * z / (2 * k) / q) / q
    got = complex(jw.fresnel(beam, z).u[80, 80] / beam.u[80, 80])
    assert abs(got - need) < 1e-4
    wide = jw.gaussian_beam((160, 160), waist=2.4 / kr, spacing=0.8, wavelength=0.5)
    spread = jw.fresnel(wide, z)
    assert float(spread.intensity[80, 80] / wide.intensity[80, 80]) < 0.2 < abs(got) ** 2


def test_mistakes_are_named():
    kind = dict(spacing=1.0, wavelength=0.5, waist=2.0)
    with pytest.raises(ValueError, match="hermite_gauss_beam: `order` must be two integers"):
        jw.hermite_gauss_beam((8, 8), order=1, **kind)
    with pytest.raises(ValueError, match="`order` must be at least 0, got -1"):
        jw.hermite_gauss_beam((8, 8), order=(0, -1), **kind)
    with pytest.raises(TypeError, match="laguerre_gauss_beam: `charge` must be an integer"):
        jw.laguerre_gauss_beam((8, 8), charge=0.5, **kind)
    with pytest.raises(ValueError, match="bessel_beam: `charge` must be between -2 and 2, got 3"):
        jw.bessel_beam((8, 8), kr=1.0, charge=3, **kind)
    assert jnp.all(jnp.isfinite(jw.bessel_beam((1, 1), kr=0.0, **kind).u))


def test_every_number_of_a_beam_may_have_a_batch_axis():
    """Warnings ask all numbers at once, each with its own axes."""
    single = dict(waist=(6.0, 9.0), z=0.0, n=1.2, kx=0.1, ky=-0.2, wavelength=0.5)
    for name in ("z", "n", "kx", "ky", "wavelength"):
        many = single | {name: single[name] + np.array([0.0, 0.05, 0.1])}
        beam = jw.gaussian_beam((40, 48), spacing=(1.0, 1.1), **many)
        assert beam.batch_shape == (3,), name
        one = jw.gaussian_beam((40, 48), spacing=(1.0, 1.1), **single)
        np.testing.assert_allclose(beam.u[0], one.u, atol=1e-6)
    many = single | {"waist": np.array([[6.0, 9.0], [6.5, 8.0], [7.0, 9.0]])}
    many["z"] = np.array([[0.0], [30.0]])
    assert jw.gaussian_beam((40, 48), spacing=1.0, **many).batch_shape == (2, 3)
