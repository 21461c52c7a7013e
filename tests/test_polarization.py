"""Polarization against Jones matrices written out, Malus, conserved power, charges of vortices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import TAU, axis, error

import jaxwave as jw
from jaxwave import psf

# Everything differs: ny != nx, dy != dx, and a state that changes from sample to sample.
SHAPE, SPACING = (9, 12), (0.45, 0.6)
RNG = np.random.default_rng(3)


def light():
    u = RNG.normal(size=(3, *SHAPE)) + 1j * RNG.normal(size=(3, *SHAPE))
    u[2] = 0
    return jw.vector_field(u.astype(np.complex64), spacing=SPACING, wavelength=0.5)


LIGHT = light()
WAVE = jw.plane_wave(SHAPE, spacing=SPACING, wavelength=0.5)


def turn(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


def along_axis(angle, first, second):
    """diag(first, second) in axes that are turned by the angle."""
    return turn(angle) @ np.diag([first, second]) @ turn(-angle)


def behind(matrix, field=LIGHT):
    u = np.asarray(field.u, complex)
    return np.concatenate([np.einsum("ab,byx->ayx", matrix, u[:2]), 0 * u[:1]])


# -- elements ------------------------------------------------------------------------------


@pytest.mark.parametrize("angle", [0.0, 0.4, -2.1])
def test_elements_are_the_matrices_of_the_textbook(angle):
    delta, leak = 1.3, 0.04
    cases = {
        "polarizer": (jw.polarizer(LIGHT, angle), along_axis(angle, 1, 0)),
        "leaky": (jw.polarizer(LIGHT, angle, leakage=leak), along_axis(angle, 1, leak**0.5)),
        "retarder": (
            jw.retarder(LIGHT, delta, angle),
            along_axis(angle, np.exp(-0.5j * delta), np.exp(0.5j * delta)),
        ),
        "rotator": (jw.rotator(LIGHT, angle), turn(angle)),
    }
    for name, (got, matrix) in cases.items():
        assert error(got.u, behind(matrix)) < 1e-6, name
        assert got.spacing is LIGHT.spacing or np.allclose(got.spacing, LIGHT.spacing)


def test_malus_and_crossed_polarizers():
    angles = np.linspace(0, np.pi, 13)
    wave = jw.polarize(WAVE, psf.linear_polarization(0.3))
    got = jw.polarizer(wave, angles).power
    np.testing.assert_allclose(got, np.cos(angles - 0.3) ** 2, atol=5e-6)  # float32 sums
    third = jw.polarizer(jw.polarizer(jw.polarizer(wave, 0.3), 0.3 + np.pi / 4), 0.3 + np.pi / 2)
    np.testing.assert_allclose(third.power, 0.25, rtol=5e-6)
    leaky = jw.polarizer(wave, 0.3 + np.pi / 2, leakage=1e-4)
    np.testing.assert_allclose(leaky.power, 1e-4, rtol=1e-4)


@pytest.mark.parametrize("delta", [0.0, np.pi / 2, np.pi, 2.3])
def test_wave_plates_keep_the_power(delta):
    """The closest peer's retarders lose half of it."""
    for got in (
        jw.retarder(LIGHT, delta, 0.7),
        jw.rotator(LIGHT, delta),
        jw.q_plate(LIGHT, 0.5, retardance=delta, x=0.1, y=0.05),
    ):
        np.testing.assert_allclose(got.power, LIGHT.power, rtol=5e-6)
    np.testing.assert_allclose(jw.retarder(LIGHT, 0.0, 0.7).u, LIGHT.u, atol=1e-6)


def test_wave_plates_turn_light():
    x = jw.polarize(WAVE, (1, 0))
    half = jw.retarder(x, np.pi, 0.3)  # a half-wave plate mirrors the direction at its axis
    np.testing.assert_allclose(jw.polarizer(half, 0.6).power, 1, rtol=5e-6)
    quarters = jw.retarder(jw.retarder(x, np.pi / 2, 0.3), np.pi / 2, 0.3)
    assert error(quarters.u, half.u) < 1e-6
    circular = jw.stokes(jw.retarder(x, np.pi / 2, np.pi / 4))[:, 0, 0] / jw.stokes(x)[0, 0, 0]
    # The fast axis is at +45°, so x is at -45° of it: the helicity is -1.
    np.testing.assert_allclose(circular, [1, 0, 0, -1], atol=1e-6)


def test_a_plate_of_one_path_for_several_wavelengths():
    waves = jw.plane_wave((4, 4), spacing=0.5, wavelength=np.array([0.4, 0.5, 0.8]))
    light = jw.polarize(waves, (1, 0))
    path = 0.2
    turned = jw.retarder(light, TAU * path / light.wavelength, np.pi / 4)
    need = np.cos(np.pi * path / np.array([0.4, 0.5, 0.8])) ** 2
    np.testing.assert_allclose(jw.polarizer(turned, 0.0).power, need, rtol=1e-5, atol=1e-7)


def test_maps_are_elements_of_each_sample():
    delta, angle = RNG.uniform(-2, 2, size=(2, *SHAPE))
    got = jw.retarder_mask(LIGHT, delta, angle)
    need = np.zeros((3, *SHAPE), complex)
    for i, j in np.ndindex(*SHAPE):
        d = np.exp(0.5j * delta[i, j])
        need[:2, i, j] = along_axis(angle[i, j], 1 / d, d) @ np.asarray(LIGHT.u[:2, i, j])
    assert error(got.u, need) < 1e-6
    jones = RNG.normal(size=(2, 2, *SHAPE)) + 1j * RNG.normal(size=(2, 2, *SHAPE))
    need[:2] = np.einsum("abyx,byx->ayx", jones, np.asarray(LIGHT.u[:2]))
    assert error(jw.jones_mask(LIGHT, jones).u, need) < 1e-6
    assert error(jw.jones_mask(LIGHT, jones[..., 0, 0]).u, behind(jones[..., 0, 0])) < 1e-6


@pytest.mark.parametrize("q", [0.5, 1, -1.5])
@pytest.mark.parametrize("helicity", [1, -1])
def test_a_q_plate_makes_vortices_of_the_charge_2q(q, helicity):
    wave = jw.plane_wave((32, 33), spacing=SPACING, wavelength=0.5)
    light = jw.polarize(wave, psf.circular_polarization(helicity))
    y0, x0 = 0.2, -0.35
    got = jw.q_plate(light, q, angle=0.2, y=y0, x=x0)
    other = psf.circular_polarization(-helicity)
    vortex = np.asarray(jnp.einsum("a,ayx->yx", other.conj(), got.u[:2]))
    same = np.asarray(jnp.einsum("a,ayx->yx", other, got.u[:2]))
    assert np.abs(same).max() < 1e-6 * np.abs(vortex).max()
    phi = np.arctan2(axis(32, SPACING[0])[:, None] - y0, axis(33, SPACING[1]) - x0)
    need = -1j * np.exp(1j * helicity * (2 * q * phi + 0.4)) * np.abs(wave.u)
    assert error(vortex, need) < 1e-5
    # The charge, counted as turns of the phase along a square around the center.
    ring = np.r_[vortex[6, 6:26], vortex[6:26, 26], vortex[26, 26:6:-1], vortex[26:6:-1, 6]]
    charge = np.sum(np.angle(np.roll(ring, -1) / ring)) / TAU
    assert round(charge, 4) == 2 * q * helicity


def test_a_q_plate_of_one_half_makes_radial_light():
    wave = jw.plane_wave((33, 33), spacing=0.5, wavelength=0.5)
    got = jw.q_plate(jw.polarize(wave, (1, 0)), 0.5)
    y, x = axis(33, 0.5)[:, None] + 0 * axis(33, 0.5), axis(33, 0.5) + 0 * axis(33, 0.5)[:, None]
    radius = np.hypot(y, x)
    need = np.stack([x, y, 0 * x]) / np.where(radius, radius, 1) * np.abs(wave.u[0, 0])
    assert error(1j * got.u, need) < 1e-6
    assert np.all(np.isfinite(got.u)) and abs(got.u[0, 16, 16]) == 0


@pytest.mark.parametrize("leak", [0.0, 0.03, 1.0])
def test_both_ports_of_a_beam_splitter(leak):
    through, beside = jw.polarizing_beam_splitter(LIGHT, angle=0.4, leakage=leak)
    np.testing.assert_allclose(through.power + beside.power, LIGHT.power, rtol=5e-6)
    a, b = np.sqrt(1 - leak), np.sqrt(leak)
    assert error(through.u, behind(along_axis(0.4, a, b))) < 1e-6
    assert error(beside.u, behind(along_axis(0.4, b, a))) < 1e-6


# -- read-outs -----------------------------------------------------------------------------


def test_stokes_parameters_are_differences_of_powers_behind_analyzers():
    s = jw.stokes(LIGHT)
    power = [jw.polarizer(LIGHT, a).intensity for a in (0, np.pi / 2, np.pi / 4, -np.pi / 4)]
    helicity = [
        np.abs(np.einsum("a,ayx->yx", np.conj(psf.circular_polarization(h)), LIGHT.u[:2])) ** 2
        for h in (1, -1)
    ]
    need = [LIGHT.intensity, power[0] - power[1], power[2] - power[3], helicity[0] - helicity[1]]
    assert error(s, np.stack(need)) < 1e-6
    assert np.allclose(jw.degree_of_polarization(s), 1, atol=1e-6)


def test_unpolarized_light_is_half_behind_any_polarizer_and_has_no_direction():
    light = jw.unpolarized(WAVE)
    np.testing.assert_allclose(jw.retarder(light, 1.3, 0.2).power.sum(), 1, rtol=5e-6)
    for angle in (0.0, 0.7, 2.0):
        np.testing.assert_allclose(jw.polarizer(light, angle).power.sum(), 0.5, rtol=5e-6)
    assert jw.degree_of_polarization(jw.stokes(light).sum(0)).max() < 1e-6
    half = jw.stokes(jw.polarizer(light, 0.7, leakage=0.25)).sum(0)
    np.testing.assert_allclose(jw.degree_of_polarization(half), 0.6, rtol=1e-5)  # (1-e)/(1+e)


def test_dark_samples_have_no_polarization_and_finite_gradients():
    def total(s):
        return jnp.sum(jw.degree_of_polarization(s))

    assert total(jnp.zeros((4, 2, 2))) == 0
    assert np.all(np.isfinite(jax.grad(total)(jnp.zeros((4, 2, 2)))))
    slope = jax.grad(lambda e: jw.polarizer(LIGHT, 0.3, leakage=e).power)(0.0)
    assert np.isfinite(slope)


def test_mueller_matrices():
    def system(field):
        return jw.retarder(jw.polarizer(field, 0.3, leakage=0.1), 1.1, -0.6)

    m = np.asarray(jw.mueller_matrix(system, WAVE)) / float(WAVE.intensity[0, 0])
    u = LIGHT.u / jnp.sqrt(LIGHT.intensity)  # the same beam in every state
    got = np.asarray(jw.stokes(system(LIGHT.replace(u=u))))
    need = np.einsum("ijyx,jyx->iyx", m, np.asarray(jw.stokes(LIGHT.replace(u=u))))
    assert error(got, need) < 1e-6
    # The polarizer and the quarter-wave plate of Bohren and Huffman, Table 1 of Sec. 2.11.6 (their
    # V is positive for the helicity -1, which changes the sign of what is odd in it).
    ideal = np.asarray(jw.mueller_matrix(lambda f: jw.polarizer(f, 0.3), WAVE))[..., 0, 0]
    c, s = np.cos(0.6), np.sin(0.6)
    need = [[1, c, s, 0], [c, c * c, c * s, 0], [s, c * s, s * s, 0], [0, 0, 0, 0]]
    assert error(ideal, 0.5 * np.array(need) * float(WAVE.intensity[0, 0])) < 1e-6
    quarter = jw.mueller_matrix(lambda f: jw.retarder(f, np.pi / 2, 0.0), WAVE)[..., 0, 0]
    need = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]]
    assert error(quarter, np.array(need) * float(WAVE.intensity[0, 0])) < 1e-6


# -- mistakes ------------------------------------------------------------------------------


def test_mistakes_are_named():
    with pytest.raises(TypeError, match=r"polarizer: `field` must be a VectorField.*polarize\("):
        jw.polarizer(WAVE, 0.3)
    with pytest.raises(TypeError, match="'angle'"):
        jw.retarder(LIGHT, np.pi)
    with pytest.raises(TypeError, match="has a polarization already"):
        jw.polarize(LIGHT, (1, 0))
    with pytest.raises(ValueError, match=r"polarize: `jones` must be two numbers.*\(3,\)"):
        jw.polarize(WAVE, (1, 0, 0))
    with pytest.raises(ValueError, match=r"jones_mask: `jones` must have the shape \(2, 2\)"):
        jw.jones_mask(LIGHT, np.ones((3, 3)))
    with pytest.raises(ValueError, match=r"jones_mask: `jones` must match the field's"):
        jw.jones_mask(LIGHT, np.ones((2, 2, 4, 4)))
    with pytest.raises(ValueError, match=r"retarder_mask: `angle` must match the field's"):
        jw.retarder_mask(LIGHT, np.ones(SHAPE), np.ones((4, 4)))
    with pytest.raises(ValueError, match=r"q_plate: `q` must be a multiple of 1/2.*0\.3"):
        jw.q_plate(LIGHT, 0.3)
    with pytest.raises(ValueError, match="polarizer: `leakage` must be between 0 and 1, got 2"):
        jw.polarizer(LIGHT, 0.3, leakage=2)
    with pytest.raises(ValueError, match=r"must have the axes \(..., 4, y, x\)"):
        jw.degree_of_polarization(np.ones((3, 2, 2)))
    with pytest.raises(TypeError, match="`system` must return a VectorField, got Field"):
        jw.mueller_matrix(lambda f: WAVE, WAVE)


def test_a_focus_is_no_place_for_a_polarizer():
    u = np.ones((3, 4, 4), np.complex64)
    focus = jw.vector_field(u, spacing=0.1, wavelength=0.5)
    with pytest.warns(jw.JaxwaveWarning, match="polarizer: 0.33 of the light is in Ez"):
        jw.polarizer(focus, 0.3)


# -- dipoles -------------------------------------------------------------------------------


def test_dipoles_in_two_polarization_channels():
    """The shares of both channels against Axelrod's integrals over the aperture."""
    na, n = 1.2, 1.33
    t, w = np.polynomial.legendre.leggauss(60)
    edge = np.arcsin(na / n)
    theta, w = edge * (t[:, None] + 1) / 2, w[:, None] * edge / 2
    phi = (np.arange(64) + 0.5) / 64 * TAU
    c, s = np.cos(theta), np.sin(theta)
    # Fields of a dipole along x and along z behind the objective, by rotation about the azimuth.
    fields = {
        (1.0, 0.0, 0.0): (c * np.cos(phi) ** 2 + np.sin(phi) ** 2, (c - 1) * np.sin(2 * phi) / 2),
        (0.0, 0.0, 1.0): (-s * np.cos(phi), -s * np.sin(phi)),
    }
    for dipole, parts in fields.items():
        need = [np.sum(part**2 * s * w) for part in parts]
        objective = psf.Objective(na=na, wavelength=0.6, n=n)
        back = psf.dipole_pupil(objective, (96, 96), spacing=80.0, f=3000.0, dipole=dipole)
        ports = jw.polarizing_beam_splitter(back)
        shares = [float(port.power / back.power) for port in ports]
        np.testing.assert_allclose(shares, np.array(need) / np.sum(need), atol=2e-3)
        images = [jw.ff_lens(p, 180e3, spacing=6.5, shape=(16, 16)).intensity for p in ports]
        whole = jw.ff_lens(back, 180e3, spacing=6.5, shape=(16, 16)).intensity
        assert error(images[0] + images[1], whole) < 1e-5
