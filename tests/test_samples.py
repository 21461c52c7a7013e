"""Samples against slabs, a guided mode, Born's scattering of a sphere, Talbot and wave plates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import axis, error, mie, scattered_by_a_sphere
from test_apertures import bright

import jaxwave as jw
from jaxwave import samples

TAU = 2 * np.pi


def test_a_slab_is_its_path(x64):
    field = bright((12, 10), 0.5)
    slab = np.full((7, 12, 10), 0.02 + 0.003j)
    got = jw.multislice(field, slab, 0.9, n=1.33)
    np.testing.assert_allclose(got.u, np.exp(2j * np.pi * (0.02 + 0.003j) * 6.3 / 0.5), atol=1e-12)
    thin = jw.thin_sample(field, slab[0], 6.3)
    np.testing.assert_allclose(got.u, thin.u, atol=1e-12)


def test_nothing_in_the_way_is_the_angular_spectrum(x64):
    field = jw.gaussian_beam((64, 60), spacing=(0.5, 0.6), wavelength=0.5, waist=3.0, n=1.4)
    got = jw.multislice(field, np.zeros((6, 64, 60)), 2.0, n=1.4)
    assert error(got.u, jw.angular_spectrum(field, 12.0, n=1.4).u) < 1e-4  # the periodic window
    assert float(got.power / field.power) == pytest.approx(1, rel=1e-12)


def test_evanescent_waves_decay_under_the_carrier(x64):
    spacing, n, d = 0.125, 1.0, 0.3
    x = axis(8, spacing)
    for f in (1.0, 2.0, 3.0):  # travels, grazes at n / lambda = 2, decays
        wave = np.exp(1j * TAU * f * x) * np.ones((4, 1))
        field = jw.scalar_field(wave, spacing=spacing, wavelength=0.5)
        got = jw.multislice(field, np.zeros((2, 4, 8)), d / 2, n=n)
        w = np.sqrt(complex(4 - f**2))
        np.testing.assert_allclose(got.u, wave * np.exp(1j * TAU * d * (w - 2)), atol=1e-12)
        slope = jax.grad(lambda n, u: jw.multislice(u, np.zeros((2, 4, 8)), d / 2, n=n).power)
        assert np.isfinite(slope(n, field))


@pytest.mark.parametrize("segment", [None, 1, 7, 100])
def test_a_guided_mode_keeps_its_form(segment, x64):
    """In n (1 - a^2 r^2 / 2) a Gaussian of w^2 = lambda / (pi n a) only turns its phase, by a z."""
    wavelength, n, a, spacing = 0.5, 1.4, 0.01, 0.5
    waist = np.sqrt(wavelength / (np.pi * n * a))
    field = jw.gaussian_beam((64, 72), spacing=spacing, wavelength=wavelength, waist=waist, n=n)
    square = np.asarray(field.y) ** 2 + np.asarray(field.x) ** 2
    dn = np.broadcast_to(-n * a**2 * square / 2, (30, 64, 72))
    out = jw.multislice(field, dn, 2.0, n=n, segment=segment)
    # paraxial: the next order of the mode's phase is a^2 z / (4 k)
    assert error(out.u, field.u * np.exp(-1j * a * 60.0)) < 2e-3
    wrong = jw.multislice(field, 1.5 * dn, 2.0, n=n, segment=segment)
    assert error(wrong.u, field.u * np.exp(-1j * a * 60.0)) > 0.05


def test_a_weak_sphere_scatters_as_born_says(x64):
    """Rayleigh and Gans: the scattered spectrum is that of the sphere on Ewald's sphere."""
    wavelength, n, radius, spacing, d = 0.5, 1.33, 2.0, 0.2, 0.1
    field = bright((96, 90), spacing, wavelength)
    z = axis(48, d) + d / 2
    r2 = np.asarray(field.y) ** 2 + np.asarray(field.x) ** 2
    inside = np.clip((radius - np.sqrt(r2 + z[:, None, None] ** 2)) / d / 2 + 0.5, 0, 1)
    out = jw.multislice(field, 1e-4 * inside, d, n=n)
    got = np.fft.fft2(np.fft.ifftshift(np.asarray(out.u) - 1)) * spacing**2
    fy, fx = np.fft.fftfreq(96, spacing)[:, None], np.fft.fftfreq(90, spacing)
    rho2, k = fy**2 + fx**2, n / wavelength
    w = np.sqrt(np.maximum(k**2 - rho2, 0))
    q = TAU * np.sqrt(rho2 + (w - k) ** 2) * radius
    form = 4 * np.pi * radius**3 * (np.sin(q) - q * np.cos(q)) / np.where(q == 0, 1, q) ** 3
    form[0, 0] = 4 / 3 * np.pi * radius**3
    need = 2j * np.pi * 1e-4 / wavelength * form * np.exp(2j * np.pi * (w - k) * 2.4)
    look = rho2 < (0.5 * k) ** 2  # Born's 1 / cos is left out: up to 1.15 in the amplitude
    assert error(got[look], need[look]) < 0.02


@pytest.mark.parametrize("dn", [1e-3, 0.03])
def test_a_sphere_scatters_as_mie_says(dn, x64):
    """Forward, also where the path through the sphere is 1.5 rad and Born's is 20 % wrong."""
    wavelength, n, radius, spacing, d = 0.5, 1.33, 2.0, 0.2, 0.1
    field, z = bright((96, 90), spacing, wavelength), axis(48, d) + d / 2
    r2 = np.asarray(field.y) ** 2 + np.asarray(field.x) ** 2
    inside = np.clip((radius - np.sqrt(r2 + z[:, None, None] ** 2)) / d / 2 + 0.5, 0, 1)
    out = jw.multislice(field, dn * inside, d, n=n)
    got = np.fft.fft2(np.fft.ifftshift(np.asarray(out.u) - 1)) * spacing**2
    x = TAU * 0.525 / 0.6328  # Bohren and Huffman, Appendix A: the extinction is 3.10543
    assert 4 / x**2 * mie(x, 1.55, 1.0)[0].real == pytest.approx(3.10543, abs=5e-6)
    optics = (96, 90), spacing, wavelength, n
    need, look, cosine = scattered_by_a_sphere(*optics, dn, radius, 2.4)
    assert error(got[look], (need * cosine)[look]) < 5e-3  # slices leave out 1 / cos
    wrong, *_ = scattered_by_a_sphere(*optics, 1.05 * dn, radius, 2.4)
    assert error(got[look], (wrong * cosine)[look]) > 0.03


def test_talbot_images_of_a_grating(x64):
    """Half a Talbot length displaces a grating's image by half a period."""
    period, wavelength = 8.0, 0.5
    field = bright((4, 128), 0.5, wavelength)
    dn = np.broadcast_to(0.05 * np.cos(TAU * np.asarray(field.x) / period), (4, 128))
    behind = jw.thin_sample(field, dn, 1.0)
    length = wavelength / (1 - np.sqrt(1 - (wavelength / period) ** 2))  # exact for three orders
    image = jw.multislice(behind, np.zeros((4, 4, 128)), length / 4)
    assert error(image.u, behind.u) < 1e-2  # of the second orders, paraxially
    shifted = jw.multislice(behind, np.zeros((4, 4, 128)), length / 8)
    assert error(shifted.u, np.roll(behind.u, 8, axis=1)) < 1e-2


def test_birefringent_slices_are_a_wave_plate(x64):
    wavelength, angle = 0.5, 0.3
    u = np.stack([np.ones((6, 5)), np.zeros((6, 5)), np.zeros((6, 5))])
    field = jw.vector_field(u, spacing=0.5, wavelength=wavelength)
    zero, ones = np.zeros((10, 6, 5)), np.ones((10, 6, 5))
    options = {"birefringence": 0.025 * ones, "axis": angle * ones}
    out = jw.multislice(field, zero, 1.0, **options)  # a half-wave plate turns by 2 angle
    np.testing.assert_allclose(out.u[0], 1j * np.cos(2 * angle), atol=1e-12)
    np.testing.assert_allclose(out.u[1], 1j * np.sin(2 * angle), atol=1e-12)
    assert float(out.power / field.power) == pytest.approx(1, rel=1e-12)
    quarter = jw.multislice(field, zero, 0.5, birefringence=0.025 * ones, axis=np.pi / 4 * ones)
    np.testing.assert_allclose(quarter.u[1] / quarter.u[0], 1j, atol=1e-12)


def test_the_border_absorbs_what_leaves(x64):
    field = jw.gaussian_beam((64, 64), spacing=0.5, wavelength=0.5, waist=2.0)
    tilted = jw.phase_mask(field, np.broadcast_to(TAU * 0.6 * np.asarray(field.x), (64, 64)))
    empty = np.zeros((60, 64, 64))
    kept = jw.multislice(tilted, empty, 1.5)
    gone = jw.multislice(tilted, empty, 1.5, border=12)
    assert float(kept.power / field.power) == pytest.approx(1, rel=1e-9)
    assert float(gone.power / field.power) < 0.02


def test_gradients_of_slices(x64):
    field = jw.gaussian_beam((10, 12), spacing=0.5, wavelength=0.5, waist=1.5)
    dn = 0.02 * np.random.default_rng(0).normal(size=(7, 10, 12))

    def loss(dn, segment):
        return jnp.sum(jw.multislice(field, dn, 0.7, n=1.3, segment=segment).intensity[3:6] ** 2)

    step = np.random.default_rng(1).normal(size=dn.shape)
    slopes = [jax.grad(loss)(dn, segment) for segment in (1, 3, 9)]
    need = (loss(dn + 1e-6 * step, 3) - loss(dn - 1e-6 * step, 3)) / 2e-6
    for slope in slopes:
        assert float(jnp.sum(slope * step)) == pytest.approx(float(need), rel=1e-6)


@pytest.mark.slow
def test_memory_of_a_gradient_grows_as_the_root_of_the_slices():
    """What is kept at a time, counted in fields: those of a segment and those between segments."""

    def loss(dn):
        field = jw.plane_wave((64, 64), spacing=0.5, wavelength=0.5)
        return jnp.sum(jw.multislice(field, dn, 0.7, n=1.3).intensity[:20] ** 2)

    fields = {}
    for slices in (16, 64, 256):
        need = jw.memory(jax.grad(loss), jax.ShapeDtypeStruct((slices, 64, 64), jnp.float32))
        fields[slices] = need.scratch / (8 * 64 * 64)
    assert fields[256] < 2.3 * fields[64] and fields[64] < 2.3 * fields[16]
    # Kept one by one, 256 slices would be 256 fields and more.
    assert fields[256] < 100, fields


def test_unscattered_light_falls_with_the_mean_free_path():
    optics = {"spacing": 0.5, "wavelength": 0.5, "thickness": 2.0}
    dn = jw.scattering_slices(
        jax.random.key(1), (20, 256, 250), mean_free_path=40.0, grain=1.5, **optics
    )
    out = jw.multislice(bright((256, 250), 0.5), dn, 2.0, n=1.33)
    # e^-1; 4e4 / (TAU 9) grains a slice
    assert float(jnp.abs(jnp.mean(out.u)) ** 2) == pytest.approx(np.exp(-1.0), rel=0.06)
    assert float(out.power / 1.6e4) == pytest.approx(1, rel=1e-3)
    phase = np.asarray(dn[0]) * TAU * 2.0 / 0.5
    near = np.mean(phase * np.roll(phase, 3, axis=1)) / np.var(phase)
    assert near == pytest.approx(np.exp(-(1.5**2) / (2 * 1.5**2)), abs=0.08)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"dn": np.zeros((4, 6))}, ValueError, r"must have the axes \(..., slices, y, x\)"),
        ({"dn": np.zeros((3, 6, 4))}, ValueError, r"must match the field's \(4, 6\) samples"),
        ({"thickness": -1.0}, ValueError, "`thickness` must be positive, got -1.0 µm"),
        ({"axis": np.zeros((3, 4, 6))}, ValueError, "needs `birefringence` too"),
        (
            {"axis": np.zeros((3, 4, 6)), "birefringence": np.zeros((3, 4, 6))},
            TypeError,
            "has no polarization",
        ),
        ({"segment": 0}, ValueError, "`segment` must be at least 1"),
        ({"border": 9}, ValueError, "`border` must be between 0 and 2"),
    ],
)
def test_bad_samples(options, kind, message):
    options = {"dn": np.zeros((3, 4, 6)), "thickness": 1.0, **options}
    with pytest.raises(kind, match=f"multislice: .*{message}"):
        jw.multislice(bright((4, 6), 0.5), options.pop("dn"), options.pop("thickness"), **options)


def test_a_stack_is_kept_in_about_the_square_root_of_its_slices():
    for slices in range(2, 400):
        count = samples._segment(slices)
        kept = -(-slices // count) + count  # beginnings of segments, and slices of one
        assert kept <= 2.6 * np.sqrt(slices) + 1
    assert [samples._segment(k) for k in (12, 64, 97, 100)] == [3, 8, 10, 10]
