"""Propagation onto windows of any place, size and sampling, against integrals in float64.

Everything is distinct at once: ny != nx, dy != dx, y != x != 0, odd and even, complex light.
"""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import TAU, axis, error, gaussian, gaussian_exact, rayleigh_sommerfeld, single
from scipy.special import j1

import jaxwave as jw

DY, DX, WAVELENGTH = single(0.2), 0.25, 0.5
VIEW = dict(spacing=(0.11, 0.17), shape=(13, 10), y=-1.3, x=2.1)


def rough(ny=64, nx=60):
    """A lopsided field of 1.5 µm with structure, dark (1e-9) at the edge, no symmetry."""
    y, x = axis(ny, DY)[:, None], axis(nx, DX)
    envelope = np.exp(-((y / 1.35) ** 2) - ((x - 0.6) / 1.45) ** 2)
    return envelope * (1 + 0.5j * y - 0.3 * x * y) * np.exp(1j * (1.1 * x - 0.7 * y))


ROUGH = rough()
FIELD = jw.scalar_field(ROUGH.astype(np.complex64), spacing=(DY, DX), wavelength=WAVELENGTH)


def integral(z, n, view, u=ROUGH):
    (dy, dx), (my, mx) = view.get("spacing", (DY, DX)), view["shape"]
    y, x = np.meshgrid(axis(my, dy) + view["y"], axis(mx, dx) + view["x"], indexing="ij")
    need = rayleigh_sommerfeld(u, DY, DX, abs(z), WAVELENGTH, y, x, n).reshape(my, mx)
    return need


# The reference is the trapezoidal sum, right to 1e-9 here; what is left is float32 and the light
# beyond the windows. A window that is moved the wrong way, or has the wrong amplitude (Chromatix:
# times 39 with another spacing), is wrong by one.
@pytest.mark.parametrize(
    ("propagate", "z", "n", "view", "tolerance"),
    [
        (jw.angular_spectrum, 5.0, 1.33, VIEW, 3e-5),
        (jw.angular_spectrum, 12.0, 1.0, {**VIEW, "spacing": (DY, DX)}, 1e-4),
        (jw.rayleigh_sommerfeld, 12.0, 1.33, VIEW, 3e-6),
        (jw.scalable_angular_spectrum, 40.0, 1.33, {**VIEW, "spacing": (0.9, 1.1)}, 2e-3),
        (jw.propagate, 5.0, 1.33, VIEW, 3e-5),
    ],
)
def test_a_window_is_the_integral(propagate, z, n, view, tolerance):
    got = propagate(FIELD, z, n=n, **view)
    wrong = error(got.u, integral(z, n, view))
    print(f"{propagate.__name__}, z = {z:g}: {wrong:.2g}")
    assert wrong < tolerance
    np.testing.assert_allclose(got.spacing, view["spacing"], rtol=1e-6)


def test_a_coarse_window_shows_no_light_twice():
    """Light sent aside leaves a period of both windows and must not come back into a wide one."""
    view = dict(spacing=(0.4, 0.5), shape=(64, 60), y=0.3, x=-0.4)
    u = ROUGH * np.exp(1j * TAU * 0.9 * axis(60, DX))
    field = FIELD.replace(u=jnp.asarray(u, jnp.complex64))
    got = jw.angular_spectrum(field, 20.0, **view)
    assert error(got.u, integral(20.0, 1.0, view, u)) < 5e-4  # it was 0.5
    traced = jax.jit(lambda s: jw.angular_spectrum(field, 20.0, **view | {"spacing": s}))
    assert error(traced(jnp.array(view["spacing"])).u, got.u) < 1e-6


@pytest.mark.parametrize(("z", "x"), [(5.0, 2.1), (40.0, 30.0), (300.0, -200.0)])
def test_rayleigh_sommerfeld_at_every_distance_and_angle(z, x):
    view = dict(shape=(13, 10), y=-1.3, x=x)
    f = 1.33 / WAVELENGTH * x / np.hypot(x, z)  # the light is sent there
    u = ROUGH * np.exp(1j * TAU * f * axis(60, DX))
    got = jw.rayleigh_sommerfeld(FIELD.replace(u=jnp.asarray(u, jnp.complex64)), z, n=1.33, **view)
    wrong = error(got.u, integral(z, 1.33, view, u))
    print(f"z = {z:g}, x = {x:g}: {wrong:.2g}")
    assert wrong < 1e-4  # float32: 160 turns of path at the last


def test_rayleigh_sommerfeld_close_to_the_plane_is_the_angular_spectrum():
    # Below two samples the kernel's peak lies between the samples.
    for z in (0.0, 0.05, -0.05, 0.3, -0.3):
        close = jw.rayleigh_sommerfeld(FIELD, z)
        assert error(close.u, jw.angular_spectrum(FIELD, z).u) < 1e-5


def test_coarse_samples_at_every_distance():
    # Samples of two wavelengths: the kernel is resolved from 126 µm on, all waves before. The
    # window of 32 µm loses most of the light at 600 µm, and what it holds is right.
    beam = jw.gaussian_beam((32, 34), spacing=1.0, wavelength=0.5, waist=4.5)
    y, x = axis(32, 1.0)[:, None], axis(34, 1.0)
    for z in (20.0, 120.0, 135.0, 600.0, -600.0):
        wrong = error(jw.rayleigh_sommerfeld(beam, z).u, gaussian_exact(y, x, 4.5, 0.5, z))
        print(f"z = {z:g}: {wrong:.2g}")
        assert wrong < 3e-5


def test_backward_windows_lie_on_the_same_side():
    # Chromatix moves the window the wrong way for negative distances.
    view = dict(shape=(40, 44), y=-1.3, x=2.1, spacing=(0.21, 0.23))
    conjugate = FIELD.conj()
    for propagate in (jw.angular_spectrum, jw.rayleigh_sommerfeld, jw.scalable_angular_spectrum):
        back = propagate(conjugate, -5.0, **view)
        assert error(np.conj(back.u), propagate(FIELD, 5.0, **view).u) < 1e-5


# -- paraxial systems --------------------------------------------------------------------------


def through(y, x, waist, wavelength, abcd, n=1.0):
    """A Gaussian beam behind a system: Siegman, Lasers, Sec. 20.3, from the complex radius."""
    (a, b), (c, d) = abcd
    q = np.pi * n * waist**2 / (1j * wavelength)
    new = (a * q + b) / (c * q + d)
    phase = 1j * np.pi * n / wavelength * (y**2 + x**2) / new
    return np.sqrt(2 / np.pi) / waist / (a + b / q) * np.exp(phase)


def lens(f):
    return np.array([[1, 0], [-1 / f, 1]])


def space(z):
    return np.array([[1, z], [0, 1]])


SYSTEMS = {
    "image, -2": space(1500.0) @ lens(500.0) @ space(750.0),
    "image, -1/2": space(750.0) @ lens(500.0) @ space(1500.0),
    "telescope, -2": space(400.0) @ lens(400.0) @ space(600.0) @ lens(200.0) @ space(200.0),
    "upright, 2": np.array([[2.0, 0], [1e-3, 0.5]]),
    "Fourier plane": space(500.0) @ lens(500.0) @ space(300.0),
    "near the image": space(1450.0) @ lens(500.0) @ space(750.0),
    "behind the focus": space(700.0) @ lens(500.0) @ space(100.0),
    "free space, near": space(100.0),
    "free space, far": space(40000.0),
    "backward, far": space(-40000.0),
    "diverging, backward": space(-3000.0) @ lens(-800.0),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_any_ray_matrix(name):
    abcd, n, waist = SYSTEMS[name], 1.2, 9.0
    x = axis(48, 1.5)
    y = axis(50, 1.4)[:, None]
    beam = jw.scalar_field(
        gaussian(y, x, waist, WAVELENGTH).astype(np.complex64),
        spacing=(1.4, 1.5),
        wavelength=WAVELENGTH,
    )
    q = np.pi * n * waist**2 / WAVELENGTH
    radius = waist * np.hypot(abcd[0, 0], abcd[0, 1] / q)
    view = dict(spacing=(radius / 9, radius / 8), shape=(31, 28), y=0.3 * radius, x=-0.4 * radius)
    got = jw.ray_transfer(beam, abcd, n=n, **view)
    need = through(
        axis(31, radius / 9)[:, None] + 0.3 * radius,
        axis(28, radius / 8) - 0.4 * radius,
        waist,
        WAVELENGTH,
        abcd,
        n,
    )
    wrong = error(got.u, need)
    print(f"{name}: {wrong:.2g}")
    assert wrong < 2e-5
    whole = jw.ray_transfer(beam, abcd, n=n)
    assert float(whole.power) == pytest.approx(1, abs=1e-4)


def test_fresnel_is_continuous_where_its_two_ways_meet():
    # 2 n N dx^2 / lambda = 576 µm for dx, 490.9 µm for dy.
    beam = jw.gaussian_beam((45, 48), spacing=(1.0, 1.1), wavelength=0.5, waist=5.0)
    for z in (150.0, 185.0, 250.0, 300.0):
        got = jw.fresnel(beam, z, spacing=(1.3, 0.9), shape=(40, 60), x=4.0)
        need = gaussian(axis(40, 1.3)[:, None], axis(60, 0.9) + 4.0, 5.0, 0.5, z)
        assert error(got.u, need) < 2e-5


def test_windows_of_noise_are_those_of_the_whole():
    # No smooth light: every wave that the samples hold. The whole is computed by Fourier space.
    u = np.random.default_rng(0).normal(size=(2, 20, 21))
    field = jw.scalar_field(u[0] + 1j * u[1], spacing=(0.9, 1.1), wavelength=0.5)
    wide = jw.pad(field, (80, 81))
    for propagate in (jw.fresnel, jw.angular_spectrum):
        whole = np.asarray(propagate(wide, 12.0).u)
        part = propagate(field, 12.0, spacing=field.spacing, shape=(30, 31), y=4.5, x=-5.5)
        assert error(part.u, whole[40 + 5 - 15 : 40 + 5 + 15, 40 - 5 - 15 : 40 - 5 + 16]) < 0.02


def test_fraunhofer_is_the_airy_pattern_with_its_phase():
    radius, z, wavelength = 200.0, 2e6, 0.5
    wave = jw.plane_wave((110, 106), spacing=4.0, wavelength=wavelength, power=440.0 * 424.0)
    far = jw.fraunhofer(
        jw.circular_aperture(wave, radius), z, spacing=(320.0, 350.0), shape=(25, 26), x=900.0
    )
    y, x = axis(25, 320.0)[:, None], axis(26, 350.0) + 900.0
    r = np.hypot(y, x)
    v = TAU * radius * np.maximum(r, 1e-9) / (wavelength * z)
    need = TAU * radius**2 / (1j * wavelength * z) * j1(v) / v
    need = need * np.exp(1j * np.pi * np.remainder(r**2 / (wavelength * z), 2))
    assert error(far.u, need) < 3e-3  # the sampled rim, as in test_lenses
    whole = jw.fraunhofer(jw.circular_aperture(wave, radius), z)
    assert float(whole.power) == pytest.approx(float(jw.circular_aperture(wave, radius).power))


def test_many_distances_of_a_window_and_vector_fields():
    z = jnp.array([3.0, -4.0])
    field = jw.vector_field(
        jnp.stack([FIELD.u, 2j * FIELD.u, 0 * FIELD.u]), spacing=(DY, DX), wavelength=WAVELENGTH
    )
    for propagate in (jw.angular_spectrum, jw.fresnel, jw.rayleigh_sommerfeld):
        both = propagate(field, z, shape=(20, 22), x=1.0)
        assert both.batch_shape == (2,) and both.spacing.shape == (2, 2)
        one = propagate(FIELD, -4.0, shape=(20, 22), x=1.0)
        assert error(both.u[1, 1], 2j * one.u) < 2e-6 and not np.any(both.u[:, 2])


def test_the_choice_says_why():
    beam = jw.gaussian_beam((64, 64), spacing=0.5, wavelength=0.5, waist=2.0)
    assert jw.choose_propagator(beam, 20.0) == (
        "angular_spectrum",
        "|z| = 20 µm is within n N dx^2 / lambda = 32 µm",
    )
    assert jw.choose_propagator(beam, -40.0).name == "rayleigh_sommerfeld"
    assert jw.choose_propagator(beam, 20.0, spacing=0.1).name == "angular_spectrum"
    assert jw.choose_propagator(beam, 20.0, spacing=5.0).name == "scalable_angular_spectrum"
    assert jw.choose_propagator(beam, 40.0, spacing=0.1).name == "scalable_angular_spectrum"
    names = []
    jax.jit(lambda f: names.append(jw.choose_propagator(f, 1.0).name) or f)(beam)
    assert names == ["rayleigh_sommerfeld"]


def test_the_choice_is_logged(caplog):
    with caplog.at_level("INFO", "jaxwave"):
        jw.propagate(FIELD, 1.0)
    assert "propagate: angular_spectrum, because |z| = 1 µm is within" in caplog.text


def test_errors_and_warnings():
    beam = jw.gaussian_beam((16, 16), spacing=0.5, wavelength=0.5, waist=2.0)
    with pytest.raises(ValueError, match=r"fresnel: `spacing` must be positive, got -1\.0 µm"):
        jw.fresnel(beam, 1.0, spacing=-1.0)
    with pytest.raises(ValueError, match=r"propagate: `x` must be finite, got nan µm"):
        jw.propagate(beam, 1.0, x=np.nan)
    with pytest.raises(ValueError, match=r"ray_transfer: `abcd` must have the determinant 1"):
        jw.ray_transfer(beam, [[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(ValueError, match=r"ray_transfer: `abcd` must be \(\.\.\., 2, 2\)"):
        jw.ray_transfer(beam, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"fraunhofer: `z` must be other than zero"):
        jw.fraunhofer(beam, 0.0)
    with pytest.warns(jw.JaxwaveWarning, match=r"fraunhofer: the light is .* turns from its far"):
        jw.fraunhofer(beam, 10.0)
    with pytest.warns(jw.JaxwaveWarning, match="propagator's reach .* or scalable_angular"):
        jw.angular_spectrum(beam, 1.0, spacing=3.0)
    with pytest.warns(jw.JaxwaveWarning, match="ray_transfer: needs a window within one replica"):
        jw.ray_transfer(beam, [[0.0, 100.0], [-0.01, 0.0]], spacing=20.0)
    with pytest.warns(jw.JaxwaveWarning, match="the samples do not resolve the kernel"):
        jw.rayleigh_sommerfeld(beam, 0.5, spacing=0.5, shape=(2, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jw.fresnel(beam, 1.0, spacing=3.0)  # a wide window near the plane is dark outside


# -- tilted planes, borders ------------------------------------------------------------------


@pytest.mark.parametrize(("turn", "angle"), [("y", 0.35), ("x", -0.3), ("y", 1.1)])
def test_a_tilted_plane_is_the_integral_at_its_points(turn, angle):
    z, n = 12.0, 1.33
    far = jw.rayleigh_sommerfeld(FIELD, z, n=n, shape=(110, 104))
    got = jw.tilted_plane(far, angle, axis=turn, n=n, spacing=(0.15, 0.13), shape=(11, 10))
    y, x = np.meshgrid(axis(11, 0.15), axis(10, 0.13), indexing="ij")
    need = []
    for yp, xp in zip(y.ravel(), x.ravel(), strict=True):
        out = xp if turn == "y" else yp
        height = out * np.sin(angle)
        point = (yp, xp * np.cos(angle)) if turn == "y" else (yp * np.cos(angle), xp)
        value = rayleigh_sommerfeld(ROUGH, DY, DX, z + height, WAVELENGTH, *point, n)[0]
        need.append(value * np.exp(1j * TAU * n / WAVELENGTH * height))
    wrong = error(np.asarray(got.u).ravel(), np.array(need))
    print(f"about {turn} by {angle:g}: {wrong:.2g}")
    assert wrong < 2e-3  # the light beyond the straight plane's window


def test_a_border_absorbs_what_a_sharp_edge_sends_back():
    # A beam runs out of the window within 40 steps. Inside the border there should be the same
    # light as in a window that holds the whole beam; the rest was sent back by the edge.
    def beam_in(shape):
        beam = jw.gaussian_beam(shape, spacing=0.5, wavelength=0.5, waist=3.0)
        return jw.phase_mask(beam, beam.x * 2.0 + 0 * beam.y)

    def sent_back(border):
        beam = beam_in((96, 88))
        for _ in range(40):
            beam = jw.angular_spectrum(beam, 6.0)
            beam = jw.absorbing_boundary(beam, border) if border else beam
        wrong = np.asarray(beam.u - free.u)[20:-20, 20:-20]  # 10 µm
        return float(np.sum(np.abs(wrong) ** 2) * 0.25)

    free = jw.crop(jw.angular_spectrum(beam_in((384, 512)), 240.0), (96, 88))
    sharp, soft = sent_back(None), sent_back(10.0)
    print(f"power sent back: {sharp:.2g} by a sharp edge, {soft:.2g} by a border of 10 µm")
    assert soft < 1e-3 * sharp
    assert soft < 3e-5


def test_errors_of_planes():
    beam = jw.gaussian_beam((16, 16), spacing=0.5, wavelength=0.5, waist=2.0)
    with pytest.raises(ValueError, match=r"absorbing_boundary: `width` must be at most half"):
        jw.absorbing_boundary(beam, 5.0)
    with pytest.raises(ValueError, match=r"tilted_plane: `axis` must be one of 'y', 'x', got 'z'"):
        jw.tilted_plane(beam, 0.1, axis="z")
    with pytest.warns(jw.JaxwaveWarning, match="tilted plane's carrier"):
        jw.tilted_plane(beam, 1.0)


@pytest.mark.parametrize("z", [60.0, -75.0])
def test_the_direct_sum_in_double_precision_and_its_slopes(z, x64):
    """A planted sign in its path had gone unseen: float32 takes another formula."""
    rng = np.random.default_rng(1)
    u = rng.normal(size=(12, 15)) + 1j * rng.normal(size=(12, 15))
    view = dict(spacing=(0.7, 0.6), shape=(5, 4), y=3.0, x=-2.0)
    y, x = np.meshgrid(3.0 + axis(5, 0.7), axis(4, 0.6) - 2.0, indexing="ij")

    def field(wavelength, z, u):
        light = jw.scalar_field(u, spacing=(0.9, 1.1), wavelength=wavelength)
        return jw.rayleigh_sommerfeld(light, z, n=1.2, **view).u

    def need(wavelength, z, u):
        if z > 0:
            return rayleigh_sommerfeld(u, 0.9, 1.1, z, wavelength, y, x, 1.2).reshape(5, 4)
        return need(wavelength, -z, u.conj()).conj()

    assert error(np.asarray(field(0.6, z, u)), need(0.6, z, u)) < 1e-11
    weight = rng.normal(size=(5, 4))
    slopes = jax.jit(jax.grad(lambda w, z: jnp.sum(weight * abs(field(w, z, u)) ** 2), (0, 1)))
    for k, step in ((0, 1e-7), (1, 1e-5)):
        at = [[0.6, z], [0.6, z]]
        at[0][k], at[1][k] = at[0][k] - step, at[1][k] + step
        low, high = (np.sum(weight * abs(need(*place, u)) ** 2) for place in at)
        assert float(slopes(0.6, z)[k]) == pytest.approx((high - low) / (2 * step), rel=1e-5)


# -- one period of an endless field ----------------------------------------------------------


@pytest.mark.parametrize("z", [0.7, -0.4, 1e6])
def test_a_period_is_a_sum_of_plane_waves(z):
    """Five waves written out in float64, one of them evanescent, at any distance."""
    shape, spacing, m = (9, 14), np.array([0.3, 0.25]), 1.3 / 0.53
    y, x = (d * (np.arange(n) - n // 2) for d, n in zip(spacing, shape, strict=True))
    start, need = 0, 0
    for ky, kx, c in [(1, 2, 1), (0, -3, 2j), (-2, 0, 0.5), (3, -1, 0.3 + 1j), (4, 7, 1)]:
        fy, fx = ky / (9 * 0.3), kx / (14 * 0.25)
        wave = c * np.exp(2j * np.pi * (fy * y[:, None] + fx * x))
        w = np.emath.sqrt(m**2 - fy**2 - fx**2)  # an imaginary one decays both ways
        start = start + wave
        need = need + wave * np.exp(2j * np.pi * (w.real * z + 1j * w.imag * abs(z) - m * z))
    with jax.enable_x64(True):
        field = jw.scalar_field(start, spacing=spacing, wavelength=0.53)
        got = jw.angular_spectrum(field, z, n=1.3, boundary="periodic")
        np.testing.assert_allclose(got.u, need, rtol=0, atol=1e-8)
        element = jw.elements.AngularSpectrum(z, n=1.3, boundary="periodic")
        np.testing.assert_array_equal(element(field).u, got.u)


def test_a_grating_is_its_own_image_after_talbot_and_no_power_is_lost():
    """z = 2 p^2/lambda; with darkness beyond the window hardly a period would be left."""
    u = jnp.exp(1j * (jnp.arange(24) % 12 < 5)) * jnp.ones((15, 1))
    grating = jw.scalar_field(u.astype(jnp.complex64), spacing=40.0, wavelength=0.5)
    image = jw.angular_spectrum(grating, 2 * 480.0**2 / 0.5, boundary="periodic")
    np.testing.assert_allclose(image.u, u, rtol=0, atol=2e-3)  # the waves are not quite paraxial
    np.testing.assert_allclose(image.power, grating.power, rtol=1e-5)


def test_a_period_has_no_other_window():
    field = jw.plane_wave((4, 5), spacing=1.0, wavelength=0.5)
    with pytest.raises(ValueError, match="its own window; leave out `spacing`"):
        jw.angular_spectrum(field, 3.0, shape=(2, 2), boundary="periodic")
    with pytest.raises(ValueError, match="boundary"):
        jw.angular_spectrum(field, 3.0, boundary="mirror")
    with pytest.raises(ValueError, match="boundary"):
        jw.elements.AngularSpectrum(3.0, boundary="period")
