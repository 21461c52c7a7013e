"""Lenses against closed forms."""

import jax
import numpy as np
import pytest
from reference import TAU, axis, error, gaussian, single
from scipy.special import j1

import jaxwave as jw


def airy(y, x, radius, wavelength, f, power):
    """Amplitude in the focal plane behind a uniform disk (Goodman, Sec. 4.4.2)."""
    r = np.sqrt(y**2 + x**2)
    v = TAU * radius * r / (wavelength * f)
    safe = np.where(v == 0, 1, v)
    jinc = np.where(v == 0, 0.5, j1(safe) / safe)
    return np.sqrt(power / np.pi) / radius * TAU * radius**2 / (1j * wavelength * f) * jinc


def focus(across: int, n: int, inner: int | None = None, **options):
    """Field error of the focus of a disk of `across` samples, in the inner samples."""
    wavelength, f, radius = 0.5, 2e4, 500.0
    pitch = single(2 * radius / across)
    wave = jw.plane_wave((n, n), spacing=pitch, wavelength=wavelength, power=(n * pitch) ** 2)
    image = jw.ff_lens(jw.circular_aperture(wave, radius), f, **options)
    x = axis(image.shape[1], image.spacing[1])
    need = airy(x[:, None], x, radius, wavelength, f, np.pi * radius**2)
    middle = slice(None) if inner is None else slice(n // 2 - inner, n // 2 + inner + 1)
    return error(np.asarray(image.u)[middle, middle], need[middle, middle])


def test_airy_pattern_on_the_fourier_grid():
    # A sample of the rim holds the mean of the pupil, so the field is sinc(fx dx) sinc(fy dx) times
    # Airy's: right to (pi f dx)^2 / 6, 1e-3 within 12 Airy radii. At the grid's edge, where
    # f dx = 1/2, no sampled pupil is right, and the whole grid has 1.7e-2 (Chromatix: 3.9e-2).
    near, whole = focus(200, 400, inner=25), focus(200, 400)
    print(f"Airy, 200 samples across, Fourier grid: {near:.2g} within 12 radii, {whole:.2g} in all")
    assert near < 1e-3
    assert whole < 2.5e-2


def test_airy_pattern_on_the_users_grid():
    got = focus(200, 210, spacing=2.0, shape=(101, 101))  # 8 Airy radii to each side
    print(f"Airy, 200 samples across, spacing=: {got:.2g}")
    assert got < 6e-4


def test_airy_pattern_converges_with_order_two():
    errors = [focus(a, a + 10, spacing=2.0, shape=(65, 65)) for a in (25, 50, 100)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    print("errors", errors, "orders", orders)
    assert errors[0] / errors[2] > 12  # 16 for order two; single steps scatter with the rim


@pytest.mark.parametrize("n", [1.0, 1.5])
def test_gaussian_beam_through_a_lens(n):
    # A waist in front focus becomes a waist lambda f / (pi n w0) in the back focus, times -i.
    wavelength, f, waist = single(0.532), 5e3, 60.0
    x = axis(120, 4.0)
    u = gaussian(x[:, None], x, waist, wavelength).astype(np.complex64)
    field = jw.scalar_field(u, spacing=4.0, wavelength=wavelength)
    for image in (
        jw.ff_lens(field, f, n=n),
        jw.ff_lens(field, f, n=n, spacing=(1.5, 1.7), shape=(81, 80)),
    ):
        y, x = (axis(s, d) for s, d in zip(image.shape, np.asarray(image.spacing), strict=True))
        need = -1j * gaussian(y[:, None], x, wavelength * f / (np.pi * n * waist), wavelength)
        assert error(image.u, need) < 2e-6
        assert image.u.shape[-2:] == image.shape


def test_non_square_samples():
    wave = jw.plane_wave((40, 50), spacing=(2.0, 3.0), wavelength=0.5)
    image = jw.ff_lens(wave, 1000.0)
    np.testing.assert_allclose(image.spacing, (500 / 80, 500 / 150), rtol=1e-6)
    assert np.argmax(image.intensity) == 20 * 50 + 25


def test_every_wavelength_has_its_own_spacing_and_its_power():
    # Chromatix: powers 0.73, 1.06, 1.44 where all are 1.
    waves = jw.plane_wave((20, 20), spacing=2.0, wavelength=np.array([0.4, 0.5, 0.6]))
    image = jw.ff_lens(waves, 1000.0)
    np.testing.assert_allclose(image.power, 1, rtol=1e-5)
    np.testing.assert_allclose(
        image.spacing[:, 0], np.array([0.4, 0.5, 0.6]) * 1000 / 40, rtol=1e-6
    )


def test_the_zoom_is_the_fourier_grid_where_they_meet():
    rng = np.random.default_rng(0)
    field = jw.scalar_field(rng.normal(size=(30, 31)), spacing=(2.0, 3.0), wavelength=0.5)
    a = jw.ff_lens(field, 700.0, inverse=True)
    b = jw.ff_lens(field, 700.0, inverse=True, shape=(30, 31))
    c = jw.ff_lens(field, 700.0, inverse=True, spacing=a.spacing)
    assert error(b.u, a.u) < 1e-6
    assert error(c.u, a.u) < 1e-6  # alpha is rounded to float32: 15^2 / 30 turns * 1e-7


def test_vector_fields_and_batches():
    rng = np.random.default_rng(0)
    u = rng.normal(size=(2, 3, 8, 9))
    field = jw.vector_field(u, spacing=2.0, wavelength=np.array([0.5, 0.6]))
    for options in ({}, {"spacing": 20.0, "shape": (5, 6)}):
        image = jw.ff_lens(field, 500.0, **options)
        assert isinstance(image, jw.VectorField) and image.batch_shape == (2,)
        for b in range(2):
            for c in range(3):
                one = jw.scalar_field(u[b, c], spacing=2.0, wavelength=[0.5, 0.6][b])
                assert error(image.u[b, c], jw.ff_lens(one, 500.0, **options).u) < 2e-6


@pytest.mark.filterwarnings("ignore::jaxwave.JaxwaveWarning")  # beyond what its grid holds
def test_thin_lens_phase_keeps_its_digits():
    # 256 mm lens of f = 1 m: 512 samples of 0.5 mm; 6e4 turns at the rim, from one float32 word
    # with an error of 4e-3 turns.
    spacing, wavelength, f = 500.0, single(0.532), 1e6
    wave = jw.plane_wave((2, 512), spacing=spacing, wavelength=wavelength, power=512 * 2 * 2.5e5)
    got = np.asarray(jw.thin_lens(wave, f).u)
    x = axis(512, spacing)
    r2 = axis(2, spacing)[:, None] ** 2 + x**2
    need = np.exp(-1j * TAU * np.remainder(r2 / (2 * wavelength * f), 1.0))
    assert np.abs(got - need).max() < 2e-6


def test_thin_lens_focus_against_the_closed_form():
    # A collimated beam has its focus at z = f / (1 + s^2), s = f/z_R, with w0 s / sqrt(1 + s^2).
    wavelength, f, waist = 0.5, 3000.0, 40.0
    beam = jw.gaussian_beam((160, 160), spacing=2.5, wavelength=wavelength, waist=waist)
    ratio = f / (np.pi * waist**2 / wavelength)
    z = f / (1 + ratio**2)
    x = axis(160, 2.5)
    need = gaussian(x[:, None], x, waist * ratio / np.sqrt(1 + ratio**2), wavelength)
    got = np.asarray(jw.fresnel(jw.thin_lens(beam, f), z).u)
    assert error(np.abs(got), np.abs(need)) < 1e-5
    # The Gouy phase from the lens (z - f' in front of the waist) to the waist
    assert float(np.angle(got[80, 80])) == pytest.approx(-np.arctan(1 / ratio), abs=1e-4)


def test_defocus_by_propagation_is_defocus_by_pupil_phase():
    # Propagation multiplies the pupil by exp(2 pi i z (w - n/lambda)), w = n cos(theta)/lambda; an
    # emitter at +z has the opposite phase. A soft pupil keeps all light in the window.
    n, wavelength, f, z = 1.33, 0.5, 3000.0, 1.5
    pupils = [
        jw.objective_point_source(
            (128, 128), spacing=48.0, wavelength=wavelength, f=f, na=0.9, n=n, z=value
        )
        for value in (0.0, z)
    ]
    soft = np.exp(-((pupils[0].y ** 2 + pupils[0].x ** 2) / 1500.0**2) * 3)
    images = [jw.ff_lens(p * soft, f, spacing=0.2) for p in pupils]
    moved = jw.angular_spectrum(images[0], -z, n=n)
    assert error(moved.u, images[1].u) < 2e-5
    assert error(images[0].u, images[1].u) > 0.3
    # The paraxial phase would be wrong by k z sin^4 / 8
    assert error(jw.fresnel(images[0], -z, n=n).u, images[1].u) > 5e-3


def test_errors():
    field = jw.plane_wave((8, 8), spacing=1.0, wavelength=0.5)
    with pytest.raises(
        ValueError,
        match=r"ff_lens: `f` must be positive, got -180.0 µm. For the reverse .* inverse=True",
    ):
        jw.ff_lens(field, -180.0)
    with pytest.raises(ValueError, match=r"ff_lens: `spacing` must be positive, got 0\.0 µm"):
        jw.ff_lens(field, 1.0, spacing=0.0)
    with pytest.raises(ValueError, match=r"ff_lens: `shape` must be two integers \(ny, nx\)"):
        jw.ff_lens(field, 1.0, shape=(3, 4, 5))
    with pytest.raises(ValueError, match=r"thin_lens: `f` must be other than zero, got 0.0 µm"):
        jw.thin_lens(field, 0.0)
    with pytest.raises(ValueError, match=r"thin_lens: `f` must be finite, got inf µm"):
        jw.thin_lens(field, np.inf)
    for function in (jw.thin_lens, jw.ff_lens):
        name = function.__name__
        with pytest.raises(TypeError, match=f"{name}: `field` must be a Field, got float"):
            function(1.0, 1.0)
        with pytest.raises(ValueError, match=f"{name}: `n` must be positive, got -1.0"):
            function(field, 1.0, n=-1.0)
        with pytest.raises(ValueError, match=rf"{name}: `f`: expected a number and a unit"):
            function(field, "180 furlongs")
        with pytest.raises(ValueError, match=f"{name}: the batch axes must broadcast"):
            function(jw.stack([field, field]), np.ones(3))
    assert jax.jit(lambda f: jw.ff_lens(field, f).power)(-1.0) is not None  # traced: not checked


def test_the_way_back_from_an_image_needs_a_spacing():
    image = jw.plane_wave((8, 8), spacing=1.0, wavelength=0.5)
    planes = dict(front=1500.0, back=3000.0, inverse=True)
    for shape in (None, (8, 8)):
        with pytest.raises(ValueError, match="lens: `spacing` is needed for an image"):
            jw.lens(image, 1000.0, shape=shape, **planes)
    assert np.all(np.isfinite(jw.lens(image, 1000.0, shape=(8, 8), spacing=0.5, **planes).u))


def test_a_batch_of_windows_of_one_field():
    beam = jw.gaussian_beam((16, 18), spacing=(1.0, 1.5), wavelength=0.5, waist=4.0)
    to = np.array([[1.0, 1.2], [2.0, 1.9], [2.5, 2.4]])
    many = jw.ff_lens(beam, 50.0, spacing=to, shape=(7, 6))
    one = jw.ff_lens(beam, 50.0, spacing=to[1], shape=(7, 6))
    assert many.batch_shape == (3,)
    np.testing.assert_allclose(many.u[1], one.u, atol=1e-6 * float(abs(one.u).max()))
    with pytest.raises(ValueError, match=r"ff_lens: .*spacing"):
        jw.ff_lens(beam, [50.0, 60.0], spacing=to, shape=(7, 6))
