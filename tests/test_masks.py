"""Masks, and the area-weighted disk against exact areas."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import error

import jaxwave as jw
from jaxwave.grid import disk_coverage


def exact_area(y0, y1, x0, x1, radius):
    """Area of a rectangle inside the disk: the integral of clipped half chords.

    The kinks of the integrand are split off, so that Gauss-Legendre is exact to 1e-14.
    """
    kinks = [x0, x1, -radius, radius]
    for y in (y0, y1):
        if abs(y) < radius:
            kinks += [np.sqrt(radius**2 - y**2), -np.sqrt(radius**2 - y**2)]
    kinks = sorted({k for k in kinks if x0 <= k <= x1})
    t, w = np.polynomial.legendre.leggauss(40)
    total = 0.0
    for a, b in itertools.pairwise(kinks):
        # x = r sin(phi) takes the square root out of the rim
        p, q = np.arcsin(np.clip([a / radius, b / radius], -1, 1))
        if max(abs(a), abs(b)) > radius * (1 + 1e-12):
            continue
        phi = (p + q) / 2 + (q - p) / 2 * t
        half = radius * np.cos(phi)
        height = np.maximum(np.minimum(y1, half) - np.maximum(y0, -half), 0)
        total += (q - p) / 2 * np.sum(w * height * half)
    return total


def exact_coverage(shape, spacing, radius, y=0.0, x=0.0):
    result = np.zeros(shape)
    dy, dx = spacing
    for i in range(shape[0]):
        for j in range(shape[1]):
            cy, cx = (i - shape[0] // 2) * dy - y, (j - shape[1] // 2) * dx - x
            area = exact_area(cy - dy / 2, cy + dy / 2, cx - dx / 2, cx + dx / 2, radius)
            result[i, j] = area / (dy * dx)
    return result


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.8, 1.3)])
@pytest.mark.parametrize(("y", "x"), [(0.0, 0.0), (0.31, -0.47)])
def test_disk_coverage_against_exact_areas(spacing, y, x, x64):
    errors = []
    for radius in (4.2, 8.4, 16.8):
        size = int(2 * radius / min(spacing)) + 4
        got = disk_coverage((size, size + 1), jnp.array(spacing), radius, y=y, x=x)
        need = exact_coverage((size, size + 1), spacing, radius, y, x)
        errors.append(np.abs(np.asarray(got) - need).max())
        assert np.all((got >= 0) & (got <= 1))
    print("worst sample", errors)
    # The arc is a straight line in a sample: sample / (24 radius), where it clips a corner.
    for radius, wrong in zip((4.2, 8.4, 16.8), errors, strict=True):
        assert wrong < 0.06 * max(spacing) / radius


def test_disk_area_and_its_gradients(x64):
    def area(radius, y=0.0, x=0.0):
        return jnp.sum(disk_coverage((64, 63), jnp.array([0.5, 0.6]), radius, y=y, x=x)) * 0.3

    value, slope = jax.jit(area), jax.jit(jax.grad(area, (0, 1)))
    for radius in (5.0, 9.3, 12.1):
        # second order in sample / radius; binary pixels have 1e-2
        assert float(value(radius)) == pytest.approx(
            np.pi * radius**2, rel=0.03 * (0.6 / radius) ** 2
        )
        assert float(slope(radius, 0.0)[0]) == pytest.approx(2 * np.pi * radius, rel=1e-2)
        h = 1e-6
        need = (value(radius + h) - value(radius - h)) / (2 * h)
        assert float(slope(radius, 0.0)[0]) == pytest.approx(float(need), rel=1e-6)
        assert abs(float(slope(radius, 0.17, -0.2)[1])) < 0.02 * radius


def test_moving_an_aperture_moves_its_center_of_mass(x64):
    def center(x):
        cover = disk_coverage((64, 64), jnp.array([0.5, 0.5]), 9.3, x=x)
        return jnp.sum(cover * (jnp.arange(64) - 32) * 0.5) / jnp.sum(cover)

    for x in (0.0, 0.123, 0.25):
        assert float(jax.jit(center)(x)) == pytest.approx(x, abs=2e-4)
        assert float(jax.jit(jax.grad(center))(x)) == pytest.approx(1.0, abs=2e-2)


def test_gradient_of_an_image_with_respect_to_the_aperture(x64):
    # A binary rim has the gradient zero (Chromatix' NA).
    field = jw.plane_wave((48, 48), spacing=1.0, wavelength=0.5, power=48.0**2)

    @jax.jit
    def peak(radius, x):
        image = jw.ff_lens(
            jw.circular_aperture(field, radius, x=x), 1000.0, spacing=5.0, shape=(8, 8)
        )
        return image.intensity[4, 4], image.intensity[4, 6]

    h = 1e-5
    for k in (0, 1):
        slopes = jax.grad(lambda r, x, k=k: peak(r, x)[k], (0, 1))(15.3, 0.2)
        ahead, back = peak(15.3 + h, 0.2)[k], peak(15.3 - h, 0.2)[k]
        assert float(slopes[0]) == pytest.approx(float((ahead - back) / (2 * h)), rel=1e-6)
    # the peak grows with R^4
    value = float(peak(15.3, 0.2)[0])
    slope = float(jax.grad(lambda r: peak(r, 0.2)[0])(15.3))
    assert slope == pytest.approx(4 * value / 15.3, rel=0.02)


def test_an_aperture_larger_than_the_window_changes_nothing():
    field = jw.plane_wave((9, 8), spacing=1.0, wavelength=0.5)
    np.testing.assert_array_equal(jw.circular_aperture(field, 50.0).u, field.u)


def test_aperture_diameter_is_the_same_at_every_wavelength():
    # Chromatix scales the diameter by lambda_0 / lambda.
    field = jw.plane_wave((32, 32), spacing=1.0, wavelength=np.array([0.4, 0.8]))
    cut = jw.circular_aperture(field, 9.0)
    np.testing.assert_allclose(cut.power[0], cut.power[1], rtol=1e-6)
    batch = jw.circular_aperture(field[0], np.array([5.0, 9.0]), x=np.array([0.0, 1.0]))
    assert error(batch.u[0], jw.circular_aperture(field[0], 5.0).u) < 1e-6


def test_masks_on_vectors_and_batches():
    u = np.random.default_rng(0).normal(size=(3, 5, 6))
    vector = jw.vector_field(u, spacing=1.0, wavelength=0.5)
    mask = np.random.default_rng(1).normal(size=(2, 5, 6))
    assert error(jw.amplitude_mask(vector, mask).u, mask[:, None] * u) < 1e-6
    assert error(jw.phase_mask(vector, mask).u, np.exp(1j * mask)[:, None] * u) < 1e-6
    assert error(jw.opd_mask(vector, mask).u, np.exp(4j * np.pi * mask)[:, None] * u) < 2e-6


def test_errors():
    field = jw.plane_wave((8, 6), spacing=1.0, wavelength=0.5)
    bad = np.zeros((8, 6))
    bad[2, 3] = np.nan
    for function, name in (
        (jw.phase_mask, "phase"),
        (jw.opd_mask, "opd"),
        (jw.amplitude_mask, "transmission"),
    ):
        where = function.__name__
        with pytest.raises(TypeError, match=f"{where}: `field` must be a Field"):
            function(bad, bad)
        with pytest.raises(
            ValueError,
            match=rf"{where}: `{name}` must match the field's \(8, 6\) samples, got \(6, 8\). Res",
        ):
            function(field, np.zeros((6, 8)))
        with pytest.raises(
            ValueError, match=rf"{where}: `{name}` must be finite, got 1 NaN .* \(2, 3\)"
        ):
            function(field, bad)
        with pytest.raises(
            ValueError, match=rf"{where}: `{name}` must have the axes \(..., y, x\)"
        ):
            function(field, np.zeros(6))
    with pytest.raises(
        ValueError, match=r"circular_aperture: `radius` must be positive, got -1.0 µm"
    ):
        jw.circular_aperture(field, -1.0)
    with pytest.raises(TypeError, match="circular_aperture: `field` must be a Field"):
        jw.circular_aperture(bad, 1.0)
    with pytest.raises(ValueError, match="circular_aperture: the batch axes must broadcast"):
        jw.circular_aperture(jw.stack([field, field]), np.ones(3))


def test_a_complex_phase_is_refused_and_not_cut_to_its_real_part():
    field = jw.plane_wave((8, 6), spacing=1.0, wavelength=0.5)
    for function, name in ((jw.phase_mask, "phase"), (jw.opd_mask, "opd")):
        with pytest.raises(
            TypeError, match=f"{function.__name__}: `{name}` must be real, got comp"
        ):
            function(field, 1j * np.ones((8, 6)))


def test_the_center_of_an_aperture_is_a_length():
    field = jw.plane_wave((8, 6), spacing=1.0, wavelength=0.5)
    a, b = (jw.circular_aperture(field, 2.0, y=y, x=1.0) for y in (0.5, "500 nm"))
    np.testing.assert_array_equal(a.u, b.u)
    with pytest.raises(ValueError, match="circular_aperture: `x` must be finite, got nan µm"):
        jw.circular_aperture(field, 2.0, x=np.nan)
