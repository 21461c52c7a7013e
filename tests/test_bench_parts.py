"""Lenses between planes, cylinders, prisms, axicons, surfaces, gratings, diffusers, lens arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from reference import TAU, axis, error, gaussian, single

import jaxwave as jw

W = 0.5


def noise(shape=(21, 24), spacing=(2.0, 2.3)):
    u = np.random.default_rng(0).normal(size=(2, *shape))
    return jw.scalar_field(u[0] + 1j * u[1], spacing=spacing, wavelength=W)


def wave(shape, spacing, wavelength=W):
    """A plane wave of amplitude one."""
    pair = np.broadcast_to(spacing, 2)
    return jw.scalar_field(np.ones(shape), spacing=pair, wavelength=wavelength)


# -- lenses between planes -------------------------------------------------------------------


def behind(y, x, waist, abcd):
    """A Gaussian beam behind a system: Siegman, Lasers, Sec. 20.3."""
    (a, b), (c, d) = abcd
    q = np.pi * waist**2 / (1j * W)
    phase = 1j * np.pi / W * (y**2 + x**2) / ((a * q + b) / (c * q + d))
    return np.sqrt(2 / np.pi) / waist / (a + b / q) * np.exp(phase)


@pytest.mark.parametrize(("front", "back", "f"), [(300.0, 500.0, 500.0), (0.0, 700.0, -900.0)])
def test_a_lens_between_any_planes_and_its_inverse(front, back, f):
    y, x = axis(60, 1.9)[:, None], axis(64, 2.0)
    beam = jw.scalar_field(gaussian(y, x, 11.0, W), spacing=(1.9, 2.0), wavelength=W)
    abcd = np.array([[1, back], [0, 1]]) @ [[1, 0], [-1 / f, 1]] @ [[1, front], [0, 1]]
    natural = jw.lens(beam, f, front=front, back=back)
    chosen = jw.lens(beam, f, front=front, back=back, spacing=(1.3, 1.7), shape=(41, 30))
    for got in (natural, chosen):
        dy, dx = np.asarray(got.spacing, float)
        need = behind(axis(got.shape[0], dy)[:, None], axis(got.shape[1], dx), 11.0, abcd)
        assert error(got.u, need) < 2e-5
    random = noise()
    there = jw.lens(random, f, front=front, back=back)
    again = jw.lens(there, f, front=front, back=back, inverse=True)
    assert float(there.power) == pytest.approx(float(random.power), rel=1e-5)
    assert error(again.u, random.u) < 3e-6  # Chromatix: another spacing, and -u
    np.testing.assert_allclose(again.spacing, random.spacing, rtol=1e-6)
    back_again = jw.lens(
        jw.lens(beam, f, front=front, back=back, spacing=1.7, shape=(72, 70)),
        f,
        front=front,
        back=back,
        spacing=beam.spacing,
        shape=beam.shape,
        inverse=True,
    )
    assert error(back_again.u, beam.u) < 1e-3


def test_front_to_back_focus_is_ff_lens_and_images_are_images():
    field = noise()
    assert (
        error(jw.lens(field, 800.0, front=800.0, back=800.0).u, jw.ff_lens(field, 800.0).u) < 1e-5
    )
    with pytest.raises(ValueError, match=r"lens: `spacing` is needed for an image"):
        jw.lens(field, 800.0, front=1200.0, back=2400.0)
    beam = jw.gaussian_beam((48, 50), spacing=2.0, wavelength=W, waist=15.0)
    image = jw.lens(beam, 800.0, front=1200.0, back=2400.0, spacing=4.0)
    x = axis(50, 4.0)
    y = axis(48, 4.0)[:, None]
    need = behind(y, x, 15.0, [[-2.0, 0.0], [-1 / 800, -0.5]])
    assert error(image.u, need) < 1e-4  # the inverted image lacks the last row: 4e-5 of its peak


def test_four_f_turns_scales_and_filters():
    field = noise((21, 23))
    image = jw.four_f(field, 100.0, 250.0)
    assert error(image.u, -np.asarray(field.u)[::-1, ::-1] / 2.5) < 2e-6
    np.testing.assert_allclose(image.spacing, 2.5 * np.asarray(field.spacing), rtol=1e-6)
    focus = jw.ff_lens(field, 100.0)
    stop = np.asarray(focus.y**2 + focus.x**2 < 5.0**2, float)
    dark = jw.four_f(field, 100.0, 250.0, pupil=stop)
    assert float(dark.power) == pytest.approx(float(jw.amplitude_mask(focus, stop).power), rel=1e-5)


# -- thin elements ---------------------------------------------------------------------------


def test_crossed_cylinders_are_a_lens():
    field = noise()
    both = jw.cylindrical_lens(
        jw.cylindrical_lens(field, 900.0, phi=0.4), 900.0, phi=0.4 + np.pi / 2
    )
    assert error(both.u, jw.thin_lens(field, 900.0).u) < 3e-6
    bent = jw.cylindrical_lens(field, 900.0, phi=0.4, n=1.3)
    s = axis(24, 2.3) * np.cos(0.4) + axis(21, 2.0)[:, None] * np.sin(0.4)
    need = np.asarray(field.u) * np.exp(-1j * np.pi * 1.3 / (W * 900.0) * s**2)
    assert error(bent.u, need) < 3e-6


def test_prism_and_axicon_keep_their_digits():
    # 7 turns at the rim of the window, and 250 in the second pair.
    for size, spacing, angle in ((40, 1.0, 0.31), (1200, 2.0, 0.2)):
        light = wave((3, size), spacing)
        x, y = axis(size, spacing), axis(3, spacing)[:, None]
        rate = TAU * (single(1.52) - 1) * np.tan(single(angle)) / W
        got = jw.prism(light, angle, n_prism=1.52, phi=0.3)
        need = np.exp(1j * rate * (x * np.cos(single(0.3)) + y * np.sin(single(0.3))))
        assert error(got.u, need) < (3e-6 if size < 100 else 1e-4)  # float32 of tan
        cone = jw.axicon(light, 0.9 * angle, n_axicon=1.52, x=1.25, y=-0.5)
        rate = TAU * (single(1.52) - 1) * np.tan(single(0.9 * angle)) / W
        need = np.exp(-1j * rate * np.hypot(x - 1.25, y + 0.5))
        assert error(cone.u, need) < (3e-6 if size < 100 else 1e-4)


def test_an_axicon_makes_a_bessel_beam():
    light = jw.gaussian_beam((128, 128), spacing=1.5, wavelength=W, waist=45.0)
    far = jw.fresnel(jw.axicon(light, 0.08), 900.0)
    row = np.asarray(far.intensity)[64, 64:72]
    need = scipy.special.j0(TAU * 0.5 * np.tan(0.08) / W * axis(128, 1.5)[64:72]) ** 2
    assert np.abs(row / row[0] - need).max() < 0.02


def test_two_surfaces_and_glass_are_a_thick_lens():
    # Paraboloids have no fourth order: the system's ray matrix is all there is.
    radius, index, thickness = (500.0, -700.0), 1.5, 300.0
    beam = jw.gaussian_beam((96, 96), spacing=1.5, wavelength=W, waist=22.0)
    inside = jw.refracting_surface(beam, radius[0], n_before=1.0, n_behind=index, conic=-1.0)
    inside = jw.fresnel(inside, thickness, n=index)
    got = jw.refracting_surface(inside, radius[1], n_before=index, n_behind=1.0, conic=-1.0)

    def surface(n1, n2, r):
        return np.array([[1, 0], [-(n2 - n1) / (n2 * r), n1 / n2]])

    glass = np.array([[1, thickness], [0, 1]])
    abcd = surface(index, 1, radius[1]) @ glass @ surface(1, index, radius[0])
    y, x = axis(96, 1.5)[:, None], axis(96, 1.5)
    assert error(got.u, behind(y, x, 22.0, abcd)) < 1e-4


def test_a_conic_has_its_focus_for_all_rays():
    # A Cartesian oval for infinity: kappa = -n^2 in front of glass n, light from inside.
    y = np.linspace(0, 300, 7)
    sag = np.asarray(jw.asphere_sag(y, 0.0, -1000.0, conic=-2.25), float)
    f = 1000.0 / 0.5  # R / (n - 1)
    path = 1.5 * sag + np.hypot(y, f - sag)
    assert np.ptp(path) < 1e-3


def test_seidel_is_hopkins_polynomial():
    rho, theta, h, psi = np.random.default_rng(0).uniform(0, 1, (4, 6))
    w = np.array([0.3, -0.2, 0.5, 0.1, 0.7])
    got = jw.seidel_opd(
        w,
        rho * np.sin(theta),
        rho * np.cos(theta),
        field_y=h * np.sin(psi),
        field_x=h * np.cos(psi),
    )
    c = np.cos(theta - psi)
    need = w[0] * rho**4 + w[1] * h * rho**3 * c + w[2] * h**2 * rho**2 * c**2
    need = need + w[3] * h**2 * rho**2 + w[4] * h**3 * rho * c
    np.testing.assert_allclose(got, need, atol=1e-6)


# -- gratings --------------------------------------------------------------------------------


def orders(field, across=16):
    """Efficiencies of the orders of a grating with `across` periods in a row of samples."""
    u = np.asarray(field.u, np.complex128)[0]
    return lambda q: abs(np.fft.fft(u)[q * across] / len(u)) ** 2


@pytest.mark.parametrize("q", [-2, -1, 0, 1, 2])
def test_efficiencies_of_gratings(q):
    light = wave((2, 1024), 1.0)
    binary = dict(opd=0.21, transmission=0.4, duty=0.3)
    cases = [
        (jw.binary_grating(light, 64.0, shift=0.3, **binary), ("binary", q, 0.21), binary),
        (jw.blazed_grating(light, 64.0, opd=0.43), ("blazed", q, 0.43), {}),
        (jw.blazed_grating(light, 64.0, opd=W, levels=4), ("blazed", q, W), {"levels": 4}),
        (jw.sinusoidal_grating(light, 64.0, opd=0.35), ("sinusoidal", q, 0.35), {}),
    ]
    for field, arguments, options in cases:
        options = {k: v for k, v in options.items() if k != "opd"}
        need = float(jw.grating_efficiency(*arguments, wavelength=W, **options))
        assert orders(field)(q) == pytest.approx(need, abs=2e-3), arguments


def test_known_efficiencies():
    eta = jw.grating_efficiency
    for levels in (2, 4, 8):
        got = float(eta("blazed", 1, W, wavelength=W, levels=levels))
        assert got == pytest.approx(np.sinc(1 / levels) ** 2, rel=1e-5)
    assert float(eta("binary", 1, W / 2, wavelength=W)) == pytest.approx(4 / np.pi**2, rel=1e-5)
    ronchi = float(eta("binary", 1, 0.0, wavelength=W, transmission=0.0))
    assert ronchi == pytest.approx(1 / np.pi**2, rel=1e-5)
    got = float(eta("sinusoidal", 1, 0.2, wavelength=W))
    assert got == pytest.approx(scipy.special.j1(np.pi * 0.2 / W) ** 2, rel=1e-5)


def test_the_first_order_goes_to_plus_s():
    blazed = jw.blazed_grating(wave((64, 64), 1.0), 8.0, opd=W, phi=np.pi / 2)
    image = np.asarray(jw.ff_lens(blazed, 1000.0).intensity)
    assert np.unravel_index(image.argmax(), image.shape) == (32 + 8, 32)


# -- diffusers -------------------------------------------------------------------------------


def test_statistics_of_ground_glass():
    sigma, length = 0.05, 6.0
    light = wave((256, 256), (1.0, 1.5))
    u = np.asarray(jw.random_diffuser(jax.random.key(1), light, sigma, correlation=length).u)
    assert abs(u.mean()) ** 2 == pytest.approx(np.exp(-((TAU * sigma / W) ** 2)), rel=0.05)
    path = np.angle(u) * W / TAU
    assert path.std() == pytest.approx(sigma, rel=0.05)
    for shift, spacing, where in ((6, 1.0, 0), (4, 1.5, 1)):
        got = (path * np.roll(path, shift, where)).mean() / path.var()
        assert got == pytest.approx(np.exp(-((shift * spacing / length) ** 2)), abs=0.06)


def test_diffusers_of_a_batch_are_each_of_them():
    """Two colors, depths and lengths: every path has the roughness of its own."""
    key, sigma, length = jax.random.key(2), np.array([0.05, 0.1]), np.array([3.0, 5.0])
    light = jw.plane_wave((12, 15), spacing=np.array([0.8, 1.0]), wavelength=np.array([0.5, 0.6]))
    both = jw.random_diffuser(key, light, sigma, correlation=length)
    for k in (0, 1):
        one = jw.random_diffuser(key, light[k], sigma[k], correlation=length[k])
        assert error(both.u[k], one.u) < 1e-6


def test_an_engineered_diffuser_fills_its_cone():
    light = wave((96, 128), (1.0, 1.2))
    lit = jw.engineered_diffuser(jax.random.key(0), light, 0.12)
    spectrum = np.abs(np.asarray(jw.ft2(lit.u))) ** 2
    f = np.hypot(np.asarray(lit.fy), np.asarray(lit.fx))
    inside = f <= np.sin(0.12) / W
    share = spectrum[inside].sum() / spectrum.sum()
    contrast = spectrum[inside].std() / spectrum[inside].mean()
    print(f"share in the cone {share:.3f}, contrast {contrast:.2f}")
    assert share > 0.9 and contrast < 0.5  # a random phase: 1


# -- micro-lens arrays -----------------------------------------------------------------------

PITCH, TURN, Y0, X0, F = 17.3, 0.2, 2.1, -3.4, 400.0


def lattice(layout):
    i, j = (a.ravel() for a in np.mgrid[-9:10, -9:10])
    if layout == "square":
        v, u, kind = i * PITCH, j * PITCH, i + j
    else:
        v, u, kind = i * PITCH * np.sqrt(3) / 2, (j + i / 2) * PITCH, j - i
    c, s = np.cos(single(TURN)), np.sin(single(TURN))
    return Y0 + c * v + s * u, X0 + c * u - s * v, kind


@pytest.mark.parametrize("layout", ["square", "hexagonal"])
@pytest.mark.parametrize("listed", [False, True])
def test_lens_arrays_against_all_centers(layout, listed):
    light = wave((70, 81), (1.1, 0.9))
    y, x = axis(70, 1.1)[:, None, None], axis(81, 0.9)[:, None]
    cy, cx, kind = lattice(layout)
    distance = (y - cy) ** 2 + (x - cx) ** 2
    nearest = distance.argmin(-1)
    f = np.array([400.0, 500.0, 700.0])
    order = np.arange(len(cy)) if listed else kind
    own = f[order[nearest] % 3]
    phase = np.pi / W * distance.min(-1) / own
    need = np.exp(-1j * phase)
    share = np.sqrt(distance.min(-1)) < 0.4 * PITCH
    where = dict(y=Y0, x=X0, phi=TURN, pitch=PITCH, layout=layout)
    where = dict(centers=np.stack([cy, cx], -1)) if listed else where
    got = np.asarray(jw.microlens_array(light, f, **where).u)
    two = np.sort(distance, -1)
    clear = two[..., 1] - two[..., 0] > 0.05  # a sample on a border belongs to either side
    assert np.abs(got - need)[clear].max() < 2e-4
    round_ = jw.microlens_array(light, f, lenslet="round", diameter=0.8 * PITCH, gap=0.0, **where)
    inner = np.abs(np.sqrt(distance.min(-1)) - 0.4 * PITCH) > 1.0
    assert np.abs(np.asarray(round_.u) - need * share)[inner & clear].max() < 2e-4


def test_fill_factor_of_round_lenslets():
    light = wave((200, 200), 1.0)
    disk = dict(lenslet="round", diameter=18.0)
    for layout, need in (("square", np.pi / 4), ("hexagonal", np.pi / np.sqrt(12))):
        array = jw.microlens_array(light, 1e4, pitch=20.0, layout=layout, **disk)
        assert float(jnp.mean(array.amplitude)) == pytest.approx(0.81 * need, rel=0.01)


@pytest.mark.parametrize("gap", [1.0, 0.4])
def test_a_rim_is_shared_by_a_lenslet_and_the_gap(gap):
    """Of lenses without power the rims are seen, and in a clear plate nothing at all."""
    light = wave((70, 81), (1.1, 0.9))
    options = dict(pitch=PITCH, lenslet="round", diameter=0.8 * PITCH, y=Y0, x=X0)
    clear, dark = (np.asarray(jw.microlens_array(light, 1e9, gap=g, **options).u) for g in (gap, 0))
    np.testing.assert_allclose(clear, dark + gap * (1 - dark), atol=2e-5)
    assert np.sum((np.abs(dark) > 0.1) & (np.abs(dark) < 0.9)) > 200  # samples of the rims


def test_foci_lie_on_the_lattice_and_turn_with_it():
    light = wave((140, 140), 1.0)
    array = jw.microlens_array(light, F, pitch=PITCH, phi=TURN, y=Y0, x=X0)
    image = np.asarray(jw.fresnel(array, F).intensity)
    y, x = axis(140, 1.0)[:, None], axis(140, 1.0)
    cy, cx, _ = lattice("square")
    for k in np.flatnonzero(np.hypot(cy, cx) < 35):
        spot = np.hypot(y - cy[k], x - cx[k]) < 6
        got = [(image * spot * a).sum() / (image * spot).sum() for a in (y, x)]
        assert np.hypot(got[0] - cy[k], got[1] - cx[k]) < 0.25


def test_pitch_turn_and_focus_are_learned_by_their_gradients():
    def array(pitch, turn, f):
        light = jw.scalar_field(jnp.ones((60, 60), complex), spacing=1.0, wavelength=W)
        return jw.fresnel(jw.microlens_array(light, f, pitch=pitch, phi=turn), F).intensity

    value = jax.jit(lambda *p: jnp.sum(array(*p)[20:40, 23:35] ** 2))
    with jax.enable_x64(True):
        p = (17.3, 0.2, 380.0)
        slopes = jax.grad(value, (0, 1, 2))(*p)
        for k, slope in enumerate(slopes):
            step = np.eye(3)[k] * 1e-6 * p[k]
            need = (value(*(p + step)) - value(*(p - step))) / (2e-6 * p[k])
            assert abs(float(slope)) > 1e-6
            assert float(slope) == pytest.approx(float(need), rel=0.02)


def test_errors():
    light = wave((16, 16), 1.0)
    with pytest.raises(ValueError, match="microlens_array: needs either `pitch` or `centers`"):
        jw.microlens_array(light, 100.0)
    with pytest.raises(ValueError, match=r"microlens_array: `pitch` must be one number, or \(2,\)"):
        jw.microlens_array(light, 100.0, pitch=(3.0, 4.0), layout="hexagonal")
    with pytest.raises(ValueError, match=r"`layout` must be one of .* Did you mean 'hexagonal'"):
        jw.microlens_array(light, 100.0, pitch=8.0, layout="hexagon")
    with pytest.raises(ValueError, match=r"`diameter` is needed for round lenslets"):
        jw.microlens_array(light, 100.0, centers=np.zeros((1, 2)), lenslet="round")
    with pytest.raises(ValueError, match=r"binary_grating: `duty` must be between 0 and 1"):
        jw.binary_grating(light, 8.0, duty=1.2)
    with pytest.raises(ValueError, match=r"prism: `n_prism` must be positive"):
        jw.prism(light, 0.1, n_prism=0.0)
    with pytest.raises(ValueError, match=r"seidel_opd: `coefficients` must be five"):
        jw.seidel_opd([1.0], 0.0, 0.0, field_y=0.0, field_x=0.0)
    for call, part in (
        (lambda: jw.axicon(light, 0.8), "the axicon"),
        (lambda: jw.blazed_grating(light, 1.5, opd=0.5), "the grating"),
        (lambda: jw.microlens_array(light, 5.0, pitch=8.0), "the lenslets"),
        (lambda: jw.cylindrical_lens(light, 5.0), "the lens"),
    ):
        with pytest.warns(jw.JaxwaveWarning, match=f"local frequency of {part} below"):
            call()


def test_lenslets_take_lengths_as_texts():
    wave = jw.plane_wave((12, 12), spacing=2.0, wavelength=0.5)
    kind = dict(lenslet="round", layout="hexagonal")
    text = jw.microlens_array(wave, "2 mm", pitch="20 um", diameter="18 um", **kind)
    plain = jw.microlens_array(wave, 2000.0, pitch=20.0, diameter=18.0, **kind)
    np.testing.assert_array_equal(text.u, plain.u)


def test_surfaces_of_a_batch_of_coefficients():
    wave = jw.plane_wave((6, 5), spacing=1.0, wavelength=0.5)
    kind = dict(n_before=1.0, n_behind=1.5)
    fourth = np.array([1e-6, -3e-6])
    both = jw.refracting_surface(wave, 1000.0, coefficients=[fourth], **kind)
    assert both.batch_shape == (2,)
    for k in (0, 1):
        one = jw.refracting_surface(wave, 1000.0, coefficients=[fourth[k]], **kind)
        np.testing.assert_allclose(both.u[k], one.u, atol=1e-6)
    for changed, name in (
        ({"conic": np.nan}, "conic"),
        ({"coefficients": [0.0, np.inf]}, r"coefficients\[1\]"),
    ):
        with pytest.raises(ValueError, match=f"refracting_surface: `{name}` must be finite"):
            jw.refracting_surface(wave, 1000.0, **kind, **changed)
        with pytest.raises(ValueError, match=f"asphere_sag: `{name}` must be finite"):
            jw.asphere_sag(0.0, 1.0, 1000.0, **changed)
    with pytest.raises(ValueError, match="asphere_sag: `y` must be finite"):
        jw.asphere_sag(np.nan, 1.0, 1000.0)
