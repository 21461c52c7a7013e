"""The sentences of jaxwave/CONVENTIONS.md that can be computed, in its order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import TAU, axis, centroid, error, gaussian, letter, widths

import jaxwave as jw
from jaxwave import propagation
from jaxwave.grid import disk_coverage

SIZES = [(32, 32), (33, 33), (32, 37), (31, 34)]


def picture(shape=(48, 48), spacing=0.5, wavelength=0.5, blur=True):
    """A letter F, smooth enough to propagate, as a field."""
    u = letter(shape, at=(-7, 6))
    if blur:
        f = [np.fft.fftfreq(n) for n in shape]
        low = np.exp(-((f[0][:, None] ** 2 + f[1] ** 2) / 0.16**2))
        u = np.fft.ifft2(np.fft.fft2(u) * low).real
    return jw.scalar_field(u.astype(np.complex64), spacing=spacing, wavelength=wavelength)


def alike(field, template) -> float:
    """Correlation of an intensity with a letter; 1 for the same picture."""
    a, b = np.asarray(field, float), np.asarray(template, float)
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


def turned(u, axes):
    """Mirrors about the sample N // 2 along some axes (periodic for even sizes)."""
    for a in axes:
        u = np.roll(np.flip(u, a), 1 - u.shape[a] % 2, a)
    return u


# -- time, Fourier transform -----------------------------------------------------------------


def test_time_dependence_a_wave_along_plus_z_gains_phase():
    field = jw.plane_wave((2, 2), spacing=0.5, wavelength=0.5)
    # an eighth of a wavelength in n = 1.5
    step = jw.carrier(field, 0.5 / 1.5 / 8, n=1.5)
    np.testing.assert_allclose(np.angle(step.u / field.u), np.pi / 4, atol=1e-5)
    # The phase of a diverging wave grows outward, that of a converging one falls.
    for z, sign in ((50.0, 1), (-50.0, -1)):
        wave = jw.point_source((1, 9), spacing=0.5, wavelength=0.5, z=z)
        assert np.all(sign * np.diff(np.unwrap(wave.phase[0, 4:])) > 0)


def test_forward_transform_has_the_minus_sign():
    fy, fx = jw.frequencies((8, 10), 0.5)
    field = jw.plane_wave(
        (8, 10), spacing=0.5, wavelength=0.5, kx=TAU * fx[0, 7], ky=TAU * fy[2, 0]
    )
    spectrum = np.abs(jw.ft2(field.u))
    assert np.unravel_index(spectrum.argmax(), spectrum.shape) == (2, 7)


# -- the axis ---------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:gaussian_beam")  # windows on purpose as small as these
@pytest.mark.parametrize("shape", [*SIZES, (1, 1), (1, 6), (7, 1)])
def test_the_axis_is_the_sample_n_over_2_everywhere(shape):
    cy, cx = shape[0] // 2, shape[1] // 2
    y, x = jw.coordinates(shape, (0.5, 0.25))
    fy, fx = jw.frequencies(shape, (0.5, 0.25))
    assert y[cy, 0] == x[0, cx] == fy[cy, 0] == fx[0, cx] == 0
    fft_y, fft_x = jw.frequencies(shape, (0.5, 0.25), centered=False)
    np.testing.assert_allclose(fft_y[:, 0], np.fft.fftfreq(shape[0], 0.5), rtol=1e-6)
    np.testing.assert_allclose(fft_x[0], np.fft.fftfreq(shape[1], 0.25), rtol=1e-6)
    options = dict(spacing=(0.5, 0.25), wavelength=0.5)
    field = jw.plane_wave(shape, **options)
    np.testing.assert_array_equal(field.y, y)
    np.testing.assert_array_equal(field.fx, fx)
    peak = jw.gaussian_beam(shape, waist=3.0, **options).intensity
    assert np.unravel_index(np.argmax(peak), shape) == (cy, cx)
    # A constant and a point are each other's transforms, both on the axis, real, positive.
    point = np.zeros(shape)
    point[cy, cx] = 1
    flat = np.asarray(jw.ft2(point))
    np.testing.assert_allclose(flat, 1 / np.sqrt(flat.size), atol=1e-6)
    np.testing.assert_allclose(jw.ft2(flat), point, atol=1e-6)


@pytest.mark.parametrize("shape", SIZES)
def test_sources_apertures_pupils_and_lenses_are_symmetric_about_the_axis(shape):
    cy, cx = shape[0] // 2, shape[1] // 2
    options = dict(spacing=0.5, wavelength=0.5)
    flat = jw.plane_wave(shape, **options)
    for field in (
        jw.point_source(shape, z=50.0, **options),
        jw.gaussian_beam(shape, waist=4.0, z=30.0, **options),
        jw.circular_aperture(flat, 6.3),
        jw.thin_lens(flat, 60.0),
        jw.objective_point_source(shape, spacing=100.0, wavelength=0.5, f=2000.0, na=0.6, z=1.0),
    ):
        u = np.asarray(field.u)
        r = min(cy, cx, shape[0] - 1 - cy, shape[1] - 1 - cx)
        u = u[cy - r : cy + r + 1, cx - r : cx + r + 1]
        for other in (u[::-1], u[:, ::-1], u.T):
            # float32 rounding of phases up to a few turns
            assert np.abs(u - other).max() < 2e-6 * np.abs(u).max()


@pytest.mark.parametrize("shape", SIZES)
def test_aperture_has_its_center_of_mass_on_the_axis(shape):
    # Chromatix' pupils sat half a pixel aside for odd sizes.
    cover = np.asarray(disk_coverage(shape, jnp.array([1.0, 1.0]), 9.4))
    assert np.abs(centroid(cover)).max() < 1e-5


# -- arrays ---------------------------------------------------------------


def test_arrays_are_y_x_and_vectors_x_y_z_on_axis_minus_3():
    wave = jw.plane_wave((4, 6), spacing=(0.5, 0.25), wavelength=jnp.array([0.5, 0.6, 0.7]))
    assert (
        wave.u.shape == (3, 4, 6) and wave.spacing.shape == (3, 2) and wave.wavelength.shape == (3,)
    )
    assert wave.y.shape == (3, 4, 1) and wave.x.shape == (3, 1, 6)
    assert (wave.spacing[0].tolist(), wave.extent[0].tolist()) == ([0.5, 0.25], [2.0, 1.5])
    # (x, y, z): mirroring x changes the sign of component 0, not 1.
    vector = jw.vector_field(np.ones((3, 3, 3)), spacing=0.5, wavelength=0.5)
    assert jw.flip(vector, axis="x").u[:, 0, 0].real.tolist() == [-1, 1, 1]
    assert jw.flip(vector, axis="y").u[:, 0, 0].real.tolist() == [1, -1, 1]


def test_y_grows_with_the_row_index():
    y, x = jw.coordinates((5, 5), 1.0)
    assert np.all(np.diff(y[:, 0]) > 0) and np.all(np.diff(x[0]) > 0)
    # downward in a picture whose origin is the upper corner: the letter F is heavy at its head
    assert centroid(letter((48, 48), at=(0, 0)))[0] < -1


def test_power_counts_area():
    field = jw.scalar_field(2 * np.ones((4, 5)), spacing=(0.5, 0.25), wavelength=0.5)
    assert float(field.power) == pytest.approx(4 * 20 * 0.125)
    assert float(
        jw.gaussian_beam((64, 64), spacing=0.5, wavelength=0.5, waist=4, power=3).power
    ) == (pytest.approx(3, rel=1e-5))


# -- the letter F ----------------------------------------------------------------------------------


@pytest.mark.parametrize("propagate", [jw.angular_spectrum, jw.fresnel])
@pytest.mark.parametrize("z", [1.0, -1.0])
def test_propagation_keeps_the_letter(propagate, z):
    field = picture()
    there = propagate(field, z)
    assert alike(there.intensity, field.intensity) > 0.9
    for axes in ((0,), (1,), (0, 1)):
        assert alike(there.intensity, turned(np.asarray(field.intensity), axes)) < 0.6


@pytest.mark.parametrize("shape", [(48, 48), (47, 50)])
def test_two_lenses_invert_the_letter(shape):
    field = picture(shape)
    image = jw.ff_lens(jw.ff_lens(field, 1000.0), 1000.0)
    np.testing.assert_allclose(image.spacing, field.spacing, rtol=1e-6)
    # 1/i per lens: the factor -1
    assert error(image.u, -turned(np.asarray(field.u), (0, 1))) < 1e-6
    assert error(jw.ff_lens(jw.ff_lens(field, 1000.0), 1000.0, inverse=True).u, field.u) < 1e-6


@pytest.mark.parametrize("shape", [(48, 48), (47, 50)])
def test_a_4f_image_has_the_magnification_minus_f2_over_f1(shape):
    field = picture(shape)
    image = jw.ff_lens(jw.ff_lens(field, 1000.0), 2500.0)
    np.testing.assert_allclose(image.spacing, 2.5 * field.spacing, rtol=1e-6)
    assert error(image.u, -turned(np.asarray(field.u), (0, 1)) / 2.5) < 1e-6
    before, after = centroid(field.intensity, 0.5), centroid(image.intensity, 1.25)
    np.testing.assert_allclose(after, -2.5 * np.array(before), rtol=1e-4)


@pytest.mark.filterwarnings("ignore:ff_lens")  # windows on purpose as small as these
def test_4f_image_on_the_users_own_grid():
    field = picture((48, 48))
    image = jw.ff_lens(jw.ff_lens(field, 1000.0), 2500.0, spacing=1.25, shape=(50, 47))
    need = -turned(np.asarray(field.u), (0, 1)) / 2.5
    assert error(image.u[1:49], np.pad(need, ((0, 0), (0, 0)))[:, 1:48]) < 2e-6


@pytest.mark.parametrize(("axis_", "axes"), [("x", (1,)), ("y", (0,)), ("xy", (0, 1))])
def test_flip_mirrors_the_letter(axis_, axes):
    field = picture((48, 49))
    np.testing.assert_array_equal(jw.flip(field, axis=axis_).u, turned(np.asarray(field.u), axes))


def test_shift_moves_the_letter_toward_plus():
    field = picture()
    moved = jw.shift(field, y=1.5, x=-2.0)
    assert error(moved.u, np.roll(np.asarray(field.u), (3, -4), (0, 1))) < 1e-6


@pytest.mark.parametrize("old", [(40, 41), (41, 40)])
@pytest.mark.parametrize("new", [(60, 61), (61, 60), (63, 64)])
def test_pad_crop_and_resample_keep_the_letter_in_place(old, new):
    field = picture(old)
    there = jw.pad(field, new)
    np.testing.assert_allclose(centroid(there.intensity), centroid(field.intensity), atol=1e-5)
    np.testing.assert_array_equal(jw.crop(there, old).u, field.u)
    finer = jw.resample(field, 0.25, (2 * new[0], 2 * new[1]))
    np.testing.assert_allclose(
        centroid(finer.intensity, 0.25), centroid(field.intensity, 0.5), atol=1e-4
    )
    assert alike(jw.resample(finer, 0.5, old).intensity, field.intensity) > 0.9999


# -- tilt ---------------------------------------------------------------


def test_a_tilt_moves_the_spot_toward_plus():
    # 0.1 rad/µm at lambda = 0.5 µm: tan(theta) = 0.00796
    beam = jw.gaussian_beam((128, 128), spacing=1.0, wavelength=0.5, waist=15.0)
    wave = jw.plane_wave((128, 128), spacing=1.0, wavelength=0.5, kx=0.1, ky=-0.05, power=128.0**2)
    tilted = beam * wave.u
    cy, cx = centroid(jw.angular_spectrum(tilted, 1000.0).intensity)
    np.testing.assert_allclose((cy, cx), (-50 * 0.5 / TAU, 100 * 0.5 / TAU), rtol=1e-3)
    # a lens focuses it at f k / (2 pi / lambda)
    for focus in (jw.ff_lens(tilted, 5000.0, spacing=4.0), jw.ff_lens(tilted, 5000.0)):
        np.testing.assert_allclose(
            centroid(focus.intensity, float(focus.spacing[0])),
            (-250 * 0.5 / TAU, 500 * 0.5 / TAU),
            rtol=1e-3,
        )
    # and a path that grows with x is the same tilt: a prism with its base at +x delays
    prism = jw.opd_mask(beam, np.broadcast_to(0.1 * axis(128, 1.0) * 0.5 / TAU, (128, 128)))
    assert centroid(jw.angular_spectrum(prism, 1000.0).intensity)[1] == pytest.approx(
        50 / TAU, rel=1e-3
    )


def test_an_emitter_at_plus_x_is_imaged_at_minus_x():
    pupil = jw.objective_point_source(
        (128, 128), spacing=60.0, wavelength=0.5, f=3000.0, na=0.8, x=2.0, y=-1.0
    )
    image = jw.ff_lens(pupil, 150e3, spacing=6.5)
    # magnification 150000 / 3000 = 50, inverted
    peak = np.unravel_index(np.argmax(image.intensity), image.shape)
    np.testing.assert_allclose((np.array(peak) - 64) * 6.5, (50, -100), atol=3.3)


# -- defocus ---------------------------------------------------------------


def pupil_image(z=0.0, astigmatism=0.0, plane=0.0):
    pupil = jw.objective_point_source((96, 96), spacing=50.0, wavelength=0.5, f=3000.0, na=0.6, z=z)
    rho2 = (pupil.y**2, pupil.x**2)
    pupil = jw.opd_mask(pupil, astigmatism * (rho2[1] - rho2[0]) / 1800.0**2)
    image = jw.ff_lens(pupil, 3000.0, spacing=0.1, shape=(96, 96))  # unit magnification
    return jw.angular_spectrum(image, plane) if plane else image


@pytest.mark.parametrize("sign", [1, -1])
def test_defocus_sign_against_astigmatism(sign):
    # An emitter moved toward the objective (+z) has the pupil phase +k z (1 - cos theta); with the
    # path +(x^2 - y^2) the curvatures add along x and cancel along y: the image is long along x.
    wy, wx = widths(pupil_image(z=sign * 1.5, astigmatism=0.27).intensity)
    assert (wx > 1.4 * wy) if sign > 0 else (wy > 1.4 * wx)


def test_an_emitter_at_plus_z_is_sharp_again_at_plus_z():
    sharp = pupil_image()
    blurred = pupil_image(z=2.0)
    again = pupil_image(z=2.0, plane=2.0)
    assert float(blurred.intensity.max()) < 0.5 * float(sharp.intensity.max())
    assert float(again.intensity.max()) > 0.98 * float(sharp.intensity.max())
    assert float(pupil_image(z=2.0, plane=-2.0).intensity.max()) < 0.3 * float(
        sharp.intensity.max()
    )


def test_a_delay_at_the_rim_moves_the_focus_downstream():
    flat = jw.plane_wave((96, 96), spacing=50.0, wavelength=0.5)
    wave = jw.circular_aperture(flat, 1800.0)
    wave = jw.opd_mask(wave, 0.3 * (wave.y**2 + wave.x**2) / 1800.0**2)
    image = jw.ff_lens(wave, 3000.0, spacing=0.1)
    after, before = (float(jw.angular_spectrum(image, z).intensity.max()) for z in (1.5, -1.5))
    assert after > 2 * before


def test_lens_converges_and_its_parabola_is_an_advance():
    flat = jw.plane_wave((65, 65), spacing=1.0, wavelength=0.5)
    assert np.all(np.diff(np.unwrap(jw.thin_lens(flat, 1500.0).phase[32, 32:])) < 0)
    beam = jw.gaussian_beam((128, 128), spacing=1.0, wavelength=0.5, waist=20.0)
    focused, spread = (
        float(jw.fresnel(jw.thin_lens(beam, s * 1500.0), 1500.0).intensity[64, 64]) for s in (1, -1)
    )
    # w/w0 = z/z_R in the focal plane; with the other sign (4 + (z/z_R)^2)^(1/2)
    start, ratio = float(beam.intensity[64, 64]), 1500.0 / (np.pi * 20.0**2 / 0.5)
    assert focused == pytest.approx(start / ratio**2, rel=1e-3)
    assert spread == pytest.approx(start / (4 + ratio**2), rel=1e-3)


def test_positive_path_delays_and_positive_phase_is_the_same():
    flat = jw.plane_wave((2, 2), spacing=0.5, wavelength=jnp.array([0.4, 0.8]))
    delayed = jw.opd_mask(flat, np.full((2, 2), 0.1))
    np.testing.assert_allclose(delayed.phase[:, 0, 0], [np.pi / 2, np.pi / 4], rtol=1e-5)
    phase = jw.phase_mask(flat, np.full((2, 2), np.pi / 2))
    np.testing.assert_allclose(phase.phase[:, 0, 0], np.pi / 2, rtol=1e-5)


# -- the inverse, power ---------------------------------------------------------------


@pytest.mark.parametrize("propagate", [jw.angular_spectrum, jw.fresnel, jw.carrier])
@pytest.mark.parametrize("shape", [(80, 80), (81, 78)])
def test_two_propagations_of_opposite_sign_are_the_identity(propagate, shape):
    # what leaves the window does not come back: a beam dark (1e-7) at the edge everywhere
    y, x = axis(shape[0], 0.5)[:, None], axis(shape[1], 0.5)
    u = gaussian(y, x - 1.0, 3.5, 0.5) * np.exp(0.3j * y)
    field = jw.scalar_field(u.astype(np.complex64), spacing=0.5, wavelength=0.5)
    for z in (10.0, -10.0):
        assert error(propagate(propagate(field, z), -z).u, field.u) < 2e-6


LOSSLESS = {
    "angular_spectrum": lambda f: jw.angular_spectrum(f, 12.0, n=1.33),
    "fresnel": lambda f: jw.fresnel(f, -12.0),
    "carrier": lambda f: jw.carrier(f, 0.1),
    "thin_lens": lambda f: jw.thin_lens(f, -300.0),
    "ff_lens": lambda f: jw.ff_lens(f, 300.0, n=1.2),
    "ff_lens inverse": lambda f: jw.ff_lens(f, 300.0, inverse=True),
    "ff_lens on a grid that holds all light": lambda f: jw.ff_lens(
        f, 300.0, spacing=2.9, shape=(60, 61)
    ),
    "phase_mask": lambda f: jw.phase_mask(f, np.random.default_rng(0).normal(size=f.shape)),
    "opd_mask": lambda f: jw.opd_mask(f, np.random.default_rng(0).normal(size=f.shape)),
    "shift": lambda f: jw.shift(f, y=0.123, x=-7.7),
    "flip": lambda f: jw.flip(f, axis="xy"),
    "pad": lambda f: jw.pad(f, (90, 91)),
    "resample": lambda f: jw.resample(f, 0.41, (90, 91)),
}


@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize("shape", [(60, 60), (61, 58)])
def test_lossless_elements_conserve_power(name, shape):
    beam = jw.gaussian_beam(shape, spacing=0.5, wavelength=0.5, waist=3.3, power=7.0)
    # 4e-6: float32 sums; the beam's tail outside the window is 1e-18
    assert float(LOSSLESS[name](beam).power) == pytest.approx(7.0, rel=4e-6)


# -- absolute phase ---------------------------------------------------------------


def test_propagators_agree_in_absolute_phase():
    beam = jw.gaussian_beam((128, 128), spacing=2.5, wavelength=0.5, waist=30.0)
    a, b = jw.angular_spectrum(beam, 5e3), jw.fresnel(beam, 5e3)
    # k z theta^4 / 8 with theta = lambda / (pi w0) = 5e-3: 6e-6 rad
    assert error(a.u, b.u) < 1e-5
    closed = jw.gaussian_beam((128, 128), spacing=2.5, wavelength=0.5, waist=30.0, z=5e3)
    assert error(a.u, closed.u) < 1e-5


def test_gouy_phase_of_a_focus():
    # from the far field in front to the far field behind a waist: -pi; at the waist: 0
    z = jnp.array([-1e5, 0.0, 1e5])
    beam = jw.gaussian_beam((1, 1), spacing=1.0, wavelength=0.5, waist=10.0, z=z)
    np.testing.assert_allclose(beam.phase[:, 0, 0], [np.pi / 2, 0, -np.pi / 2], atol=0.01)


def test_ff_lens_is_fresnel_thin_lens_fresnel_with_the_factor_minus_i():
    # z_R = 2513 µm = f nearly: the beam stays small in the window, so no light is lost
    f, n = 2500.0, 1.25
    y, x = axis(192, 2.0)[:, None], axis(192, 2.0)
    u = gaussian(y, x - 12.0, 20.0, 0.5) * np.exp(0.02j * y)
    field = jw.scalar_field(u.astype(np.complex64), spacing=2.0, wavelength=0.5)
    long = jw.fresnel(jw.thin_lens(jw.fresnel(field, f, n=n), f, n=n), f, n=n)
    short = jw.ff_lens(field, f, n=n, spacing=2.0)
    assert error(long.u, short.u) < 1e-5
    point = jw.ff_lens(jw.plane_wave((8, 8), spacing=1.0, wavelength=0.5), f)
    assert float(point.phase[4, 4]) == pytest.approx(-np.pi / 2, abs=1e-5)


def test_lengths_are_micrometers_and_text_converts():
    a = jw.plane_wave((4, 4), spacing="500 nm", wavelength="0.000532 mm")
    b = jw.plane_wave((4, 4), spacing=0.5, wavelength=0.532)
    np.testing.assert_allclose(a.spacing, b.spacing, rtol=1e-6)
    np.testing.assert_allclose(a.wavelength, b.wavelength, rtol=1e-6)


def test_band_limit_uses_the_wavelength_of_the_medium():
    # Matsushima: f < (n/lambda) / sqrt(1 + (2 df z)^2); Chromatix kept that of vacuum.
    n, spacing, wavelength, size = 1.5, 0.2, 0.5, 128

    def transfer(z):
        parameters = [jnp.float32(p) for p in (z, wavelength, n, spacing, spacing)]
        return np.abs(propagation.exact_transfer((size, size), parameters))[:, 0]

    def limit(z):
        return n / wavelength / np.sqrt(1 + (2 * z / (size * spacing)) ** 2)

    f, step = np.fft.fftfreq(size, spacing), 1 / (size * spacing)
    highest = np.abs(f[transfer(15.0) > 0]).max()  # near: a sharp limit
    assert limit(15.0) - step < highest <= limit(15.0)
    assert limit(15.0) - step > limit(15.0) / n  # the limit of vacuum would fail
    far = transfer(60.0)[: size // 2]  # far: the edge of a Fresnel integral, half there
    assert np.interp(limit(60.0), f[: size // 2], far) == pytest.approx(0.5, abs=0.05)
    assert np.interp(limit(60.0) / n, f[: size // 2], far) > 0.9


def test_evanescent_waves_decay_in_both_directions():
    with pytest.warns(jw.JaxwaveWarning, match="plane_wave"):  # no light travels there
        field = jw.plane_wave((8, 64), spacing=(5.0, 0.1), wavelength=0.5, kx=TAU * 4)
    for z in (0.1, -0.1):
        assert float(jw.angular_spectrum(field, z).power) < 0.1 * float(field.power)


def test_a_vmapped_field_is_a_field():
    make = jax.vmap(lambda w: jw.gaussian_beam((4, 6), spacing=0.5, wavelength=w, waist=2.0))
    fields = make(jnp.array([0.4, 0.5, 0.6]))
    assert isinstance(fields, jw.Field) and fields.batch_shape == (3,)
    out = jax.vmap(lambda f, z: jw.angular_spectrum(f, z))(fields, jnp.arange(3.0))
    assert isinstance(out, jw.Field) and out.u.shape == (3, 4, 6) and out.spacing.shape == (3, 2)


# -- polarization --------------------------------------------------------------------------


def test_the_helicity_plus_one_turns_from_x_toward_y():
    wave = jw.plane_wave((2, 2), spacing=0.5, wavelength=0.5)
    light = jw.polarize(wave, np.array([1, 1j]) / 2**0.5)
    # Fields vary as exp(-i omega t): a quarter of a period after it points along +x, the field
    # points along +y: clockwise, y downward, for who looks along the light.
    ex, ey = (np.asarray(light.u[k, 0, 0]) * np.exp(-1j * np.array([0, TAU / 4])) for k in (0, 1))
    np.testing.assert_allclose(ex.real / np.abs(ex), [1, 0], atol=1e-6)
    np.testing.assert_allclose(ey.real / np.abs(ey), [0, 1], atol=1e-6)
    assert jw.stokes(light)[3, 0, 0] > 0
    # A quarter-wave plate with its fast axis along x makes it of light at +45°.
    diagonal = jw.polarize(wave, np.array([1, 1]) / 2**0.5)
    made = jw.stokes(jw.retarder(diagonal, np.pi / 2, 0.0))
    np.testing.assert_allclose(made, jw.stokes(light), atol=1e-6)
    # A delay is a positive phase: light along the slow axis is behind.
    slow = jw.retarder(jw.polarize(wave, (0, 1)), 0.4, 0.0)
    np.testing.assert_allclose(slow.phase[1], 0.2, atol=1e-6)


def test_angles_of_polarization_go_from_x_toward_y():
    wave = jw.polarize(jw.plane_wave((2, 2), spacing=0.5, wavelength=0.5), (1, 0))
    turned = jw.rotator(wave, 0.3).u[:2, 0, 0].real
    assert turned[0] > 0 and turned[1] > 0
    np.testing.assert_allclose(jw.polarizer(jw.rotator(wave, 0.3), 0.3).power, 1, rtol=1e-5)
    s = jw.stokes(jw.rotator(wave, 0.3))[:, 0, 0]
    np.testing.assert_allclose(np.arctan2(s[2], s[1]) / 2, 0.3, rtol=1e-5)
