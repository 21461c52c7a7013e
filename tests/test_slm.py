"""Spatial light modulators against closed forms of gratings, and against areas by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import axis, centroid, error, letter

import jaxwave as jw

TAU = 2 * np.pi


def window(size: int, spacing: float) -> jw.Field:
    """A plane wave of unit amplitude."""
    area = (size * spacing) ** 2
    return jw.plane_wave((size, size), spacing=spacing, wavelength=0.5, power=area)


def on_edges(pitch: float, spacing: float, pixels: int, samples: int) -> float:
    """Position at which the device fills a window whose samples lie whole on its pixels."""
    edge = (samples // 2 + 0.5) * spacing  # of the first sample
    return (pixels // 2 + 0.5) * pitch - edge


# -- areas ---------------------------------------------------------------------------------


def by_hand(shape, spacing, phase, pitch, fill, gap, y, x, fine=400):
    """Mean of the transmission over every sample, by points that lie dense."""

    def along(count, d, pixels, p, at):
        points = axis(count, d)[:, None] + d * ((np.arange(fine) + 0.5) / fine - 0.5)
        place = (points - at) / p + pixels // 2
        index = np.round(place).astype(int)
        inside = (index >= 0) & (index < pixels)
        active = inside & (np.abs(place - index) < np.sqrt(fill) / 2)
        pick = np.arange(pixels) == np.where(inside, index, -1)[..., None]
        return inside.mean(1), (pick & active[..., None]).mean(1)

    whole_y, rows = along(shape[0], spacing[0], phase.shape[0], pitch[0], y)
    whole_x, columns = along(shape[1], spacing[1], phase.shape[1], pitch[1], x)
    return gap * np.outer(whole_y, whole_x) + rows @ (np.exp(1j * phase) - gap) @ columns.T


@pytest.mark.filterwarnings("ignore::jaxwave.JaxwaveWarning")  # pixels finer than samples
@pytest.mark.parametrize(
    ("pitch", "fill", "gap"),
    [((1.3, 1.7), 0.8, 1.0), ((1.0, 0.5), 1.0, 1.0), ((0.31, 0.4), 0.6, 0.5 - 0.3j)],
)
def test_samples_take_the_mean_over_their_area(pitch, fill, gap, x64):
    phase = np.random.default_rng(0).uniform(0, TAU, (5, 6))
    field = jw.scalar_field(np.ones((12, 13)), spacing=(0.5, 0.6), wavelength=0.5)
    got = jw.slm(field, phase, pitch=pitch, fill_factor=fill, gap=gap, y=0.23, x=-0.4)
    need = by_hand((12, 13), (0.5, 0.6), phase, pitch, fill, gap, 0.23, -0.4)
    # 1 / 400 of a sample for every edge in it
    assert np.abs(got.u - need).max() < 8e-3 and error(got.u, need) < 3e-3


def test_pixels_on_the_samples_are_a_phase_mask():
    field = window(33, 8.0)
    phase = np.random.default_rng(1).normal(size=(33, 33))
    got = jw.slm(field, phase, pitch=8.0)
    assert error(got.u, jw.phase_mask(field, phase).u) < 1e-6
    # 2.7 is not a binary fraction: edges meet to rounding only
    field = window(32, 2.7)
    got = jw.slm(field, phase[:32, :32], pitch=2.7)
    assert error(got.u, jw.phase_mask(field, phase[:32, :32]).u) < 1e-5


@pytest.mark.parametrize("samples", [3, 4])
def test_a_letter_stands_upright_and_no_light_is_lost(samples):
    phase = 1.2 * letter((18, 18), scale=1)
    spacing, size = 2.0, 18 * samples
    field, pitch = window(size, spacing), samples * spacing
    at = on_edges(pitch, spacing, 18, size)
    got = jw.slm(field, phase, pitch=pitch, y=at, x=at)
    np.testing.assert_allclose(got.phase, np.kron(phase, np.ones((samples, samples))), atol=2e-5)
    assert float(got.power / field.power) == pytest.approx(1, rel=1e-5)


def test_gaps_lose_nothing_where_edges_meet(x64):
    field, phase = window(40, 1.0), np.random.default_rng(2).uniform(0, TAU, (8, 8))
    at = on_edges(5.0, 1.0, 8, 40)
    got = jw.slm(field, phase, pitch=5.0, fill_factor=(3 / 5) ** 2, y=at, x=at)
    assert float(got.power / field.power) == pytest.approx(1, rel=1e-12)
    dark = jw.slm(field, phase, pitch=5.0, fill_factor=(3 / 5) ** 2, gap=0, y=at, x=at)
    assert float(dark.power / field.power) == pytest.approx((3 / 5) ** 2, rel=1e-12)


def test_beyond_the_device_it_is_dark(x64):
    out = jw.slm(window(20, 1.0), np.zeros((3, 5)), pitch=2.0, fill_factor=0.7, y=1.0, x=-2.0)
    assert float(jnp.sum(jnp.abs(out.u))) == pytest.approx(6.0 * 10.0, rel=1e-12)
    assert centroid(out.intensity) == pytest.approx((1.0, -2.0), abs=1e-9)


def test_the_position_moves_the_picture_and_has_a_slope(x64):
    levels = letter((16, 16), scale=1)
    beam = window(64, 1.0)

    def modulated(y, x):
        return jw.slm(beam, levels, pitch=2.5, fill_factor=0.8, y=y, x=x).u.imag

    def center(x):
        change = modulated(0.2, x)
        return jnp.sum(change * beam.x) / jnp.sum(change)

    start = modulated(0.2, 0.1)
    np.testing.assert_allclose(modulated(2.2, 1.1), jnp.roll(start, (2, 1), (0, 1)), atol=1e-12)
    # A cut sample counts with its center: off by less than sample^2 / (8 widths).
    assert float(center(0.3) - center(0.0)) == pytest.approx(0.3, abs=0.03)
    h = 1e-6
    slope = float(jax.grad(center)(0.3))
    assert slope == pytest.approx(float(center(0.3 + h) - center(0.3 - h)) / (2 * h), rel=1e-6)


# -- the far field -------------------------------------------------------------------------


@pytest.mark.parametrize(("fill", "gap"), [(0.64, 1.0), (0.87, 0.8), (0.9, 0.5 + 0.6j)])
@pytest.mark.parametrize("phase", [0.0, 2.1])
def test_zero_order_of_a_constant_phase(fill, gap, phase, x64):
    field = window(60, 1.0)
    at = on_edges(6.0, 1.0, 10, 60)
    out = jw.slm(field, np.full((10, 10), phase), pitch=6.0, fill_factor=fill, gap=gap, y=at, x=at)
    zero = jnp.abs(jnp.mean(out.u)) ** 2
    need = abs(fill * np.exp(1j * phase) + (1 - fill) * gap) ** 2
    assert float(zero) == pytest.approx(need, rel=1e-12)


def orders(u: np.ndarray, periods: int) -> np.ndarray:
    """Amplitudes of the orders along x from one window of whole periods, around index 0."""
    return np.fft.fft(np.fft.ifftshift(np.asarray(u, complex).mean(0)))[::periods] / u.shape[1]


@pytest.mark.parametrize("steps", [2, 3, 4, 8])
def test_efficiency_of_a_blazed_grating(steps, x64):
    fine, periods = 5, 4
    pixels = steps * periods
    field = window(pixels * fine, 1.0)
    at = on_edges(fine, 1.0, pixels, pixels * fine)
    phase = np.broadcast_to(TAU * np.arange(pixels) / steps, (pixels, pixels))
    out = jw.slm(field, phase, pitch=float(fine), y=at, x=at)
    amplitude = np.abs(orders(out.u, periods))
    # A sample is a rectangle of 1 / (steps * fine) of the period.
    efficiency = amplitude[1] ** 2 * np.sinc(1 / (steps * fine)) ** 2
    assert efficiency == pytest.approx(np.sinc(1 / steps) ** 2, rel=1e-12)
    assert amplitude[0] < 1e-12


def test_orders_have_the_envelope_of_the_pixel(x64):
    # c_m = sum_k e^(i phi_k - 2 pi i m k / N) / N  (a/p)^2 sinc(m a / (N p)), and the gaps:
    # g - g (a/p)^2 sinc(m a / (N p)) in the orders of the pitch, m = 0, N, 2 N ...
    steps, fine, fill, gap = 3, 40, 0.81, 0.9
    field = window(steps * fine, 1.0)
    at = on_edges(fine, 1.0, steps, steps * fine)
    phase = np.broadcast_to(np.array([0.0, 2.2, 4.0]), (steps, steps))
    out = jw.slm(field, phase, pitch=float(fine), fill_factor=fill, gap=gap, y=at, x=at)
    got, a = orders(out.u, 1), np.sqrt(fill)
    for m in range(-7, 8):
        envelope = a * np.sinc(m * a / steps)
        blaze = np.mean(np.exp(1j * phase[0] - 1j * TAU * m * np.arange(steps) / steps))
        need = a * envelope * blaze + gap * ((m == 0) - a * envelope * (m % steps == 0))
        start = np.exp(-1j * TAU * m * ((fine / 2 - 0.5) - steps * fine // 2) / (steps * fine))
        # aliases of the edges: m / samples^2
        assert abs(got[m] * np.sinc(m / (steps * fine)) - need * start) < 3e-4, m


def test_the_first_order_lies_at_lambda_f_over_the_period():
    size, f, period = 64, 1e5, 8 * 4.0
    beam = jw.gaussian_beam((size, size), spacing=4.0, wavelength=0.5, waist=60.0)
    phase = np.broadcast_to(TAU * np.arange(32) / 4, (32, 32))
    far = jw.ff_lens(jw.slm(beam, phase, pitch=8.0, x=2.0, y=2.0), f, shape=(9, 129), spacing=50.0)
    row = np.asarray(far.intensity[4])
    near = np.abs(far.x[0] - 0.5 * f / period) < 500
    found = np.sum(row * near * far.x[0]) / np.sum(row * near)
    assert found == pytest.approx(0.5 * f / period, rel=2e-3)
    assert row[near].max() > 50 * row[~near].max()


def test_the_phase_does_not_reach_the_gaps(x64):
    """Light of the gaps interferes with that of the pixels: the zero order beats with the phase."""
    field = window(20, 1.0)
    at = on_edges(5.0, 1.0, 4, 20)

    def zero(fill, phase):
        out = jw.slm(field, phase * np.ones((4, 4)), pitch=5.0, fill_factor=fill, y=at, x=at)
        return jnp.abs(jnp.mean(out.u)) ** 2

    slope = jax.grad(zero)(0.81, np.pi)  # d/dF of (1 - 2 F)^2
    assert float(slope) == pytest.approx(-4 * (1 - 2 * 0.81), rel=1e-9)


# -- levels --------------------------------------------------------------------------------


def test_a_table_is_read_between_its_entries_and_held_beyond():
    table = np.array([0.1, 0.5, 2.0, 2.5])
    levels = np.array([[0.0, 1.6, 2.5], [3.0, -1.0, 7.0]])  # 1.6: nearer to the next one
    field = jw.scalar_field(np.ones((2, 3)), spacing=1.0, wavelength=0.5)
    got = jw.slm(field, levels, pitch=1.0, table=table).phase
    np.testing.assert_allclose(got, [[0.1, 1.4, 2.25], [2.5, 0.1, 2.5]], atol=1e-6)

    def total(levels, table):
        return jnp.sum(jw.slm(field, levels, pitch=1.0, table=table).phase)

    by_level, by_entry = jax.grad(total, (0, 1))(jnp.asarray(levels), jnp.asarray(table))
    np.testing.assert_allclose(by_level, [[0.4, 1.5, 0.5], [0.5, 0, 0]], atol=1e-5)
    np.testing.assert_allclose(by_entry, [2, 0.4, 1.1, 2.5], atol=1e-5)


def test_a_linear_device_is_a_table_of_two():
    field = window(4, 1.0)
    levels = np.random.default_rng(0).uniform(size=(4, 4))
    a = jw.slm(field, levels, pitch=1.0, table=[0.0, 3.0])
    assert error(a.u, jw.slm(field, 3 * levels, pitch=1.0).u) < 1e-6


def test_crosstalk_blurs_the_phase(x64):
    field, spot = window(15, 1.0), np.zeros((15, 15))
    spot[7, 7] = 2.0
    got = np.asarray(jw.slm(field, spot, pitch=1.0, crosstalk=0.7).phase)
    bell = np.exp(-(axis(15, 1.0) ** 2) / (2 * 0.7**2))
    np.testing.assert_allclose(got, 2 * np.outer(bell, bell) / bell.sum() ** 2, atol=1e-9)
    sharp = jw.slm(field, spot, pitch=1.0, crosstalk=0.0)
    np.testing.assert_array_equal(sharp.u, jw.slm(field, spot, pitch=1.0).u)
    even = jw.slm(field, np.full((15, 15), 1.3), pitch=1.0, crosstalk=2.0)
    np.testing.assert_allclose(even.phase, 1.3, atol=1e-12)
    slope = jax.grad(lambda s: jnp.sum(jw.slm(field, spot, pitch=1.0, crosstalk=s).phase))
    assert np.isfinite(slope(0.0)) and np.isfinite(slope(0.7))


def test_batches_and_vectors():
    rng = np.random.default_rng(3)
    vector = jw.vector_field(rng.normal(size=(3, 6, 6)), spacing=1.0, wavelength=0.5)
    levels, fill = rng.uniform(0, 3, (2, 4, 4)), np.array([0.5, 0.9])
    tables = np.array([[0.0, 2.0, 3.0, 4.0], [0.0, 1.0, 2.0, 3.5]])
    out = jw.slm(vector, levels, pitch=1.7, table=tables, fill_factor=fill, gap=0.5j, x=fill)
    assert out.u.shape == (2, 3, 6, 6)
    for k in range(2):
        for part in range(3):
            one = jw.scalar_field(vector.u[part], spacing=1.0, wavelength=0.5)
            options = {"table": tables[k], "fill_factor": fill[k], "x": fill[k]}
            need = jw.slm(one, levels[k], pitch=1.7, gap=0.5j, **options)
            assert error(out.u[k, part], need.u) < 1e-6


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"levels": np.ones(4)}, r"slm: `levels` must have the axes \(..., rows, columns\)"),
        ({"levels": np.full((2, 2), np.nan)}, "slm: `levels` must be finite, got 4 NaN"),
        ({"levels": np.ones((0, 2))}, "slm: `levels` must not be empty"),
        ({"pitch": -8.0}, "slm: `pitch` must be positive, got -8.0 µm"),
        ({"table": [1.0]}, "slm: `table` must have at least two phases, got 1. Leave"),
        ({"table": [0.0, np.inf]}, "slm: `table` must be finite"),
        ({"fill_factor": 1.2}, "slm: `fill_factor` must be between 0 and 1, got 1.2"),
        ({"fill_factor": 0.0}, "slm: `fill_factor` must be positive, got 0.0"),
        ({"gap": np.nan}, "slm: `gap` must be finite"),
        ({"crosstalk": -1.0}, "slm: `crosstalk` must be zero or more, got -1.0 pixels"),
        ({"x": np.inf}, "slm: `x` must be finite, got inf µm"),
        ({"fill_factor": np.ones(3), "y": np.zeros(2)}, "slm: the batch axes must broadcast"),
        ({"table": np.ones((3, 4)), "levels": np.ones((2, 2, 2))}, "slm: the batch axes must"),
    ],
)
def test_bad_numbers(changed, message):
    options = {"levels": np.ones((2, 2)), "pitch": 1.0, **changed}
    with pytest.raises(ValueError, match=message):
        jw.slm(window(4, 1.0), options.pop("levels"), **options)


def test_wrong_kinds():
    with pytest.raises(TypeError, match="slm: `field` must be a Field"):
        jw.slm(np.ones((4, 4)), np.ones((2, 2)), pitch=1.0)
    with pytest.raises(TypeError, match="slm: `levels` must be real, got complex"):
        jw.slm(window(4, 1.0), 1j * np.ones((2, 2)), pitch=1.0)
    a = jw.slm(window(4, 1.0), np.ones((2, 2)), pitch="2 um", y="0.5 um")
    np.testing.assert_array_equal(a.u, jw.slm(window(4, 1.0), np.ones((2, 2)), pitch=2.0, y=0.5).u)


def test_a_tilt_is_an_angle_and_of_equal_levels_the_lowest_is_written():
    field = window(4, 1.0)
    flat = jw.slm(field, np.ones((4, 4)), pitch=1.0)
    for tilt in (5e-5, (0.0, 2e-5)):  # a small angle is no length in metres
        got = jw.slm(field, np.ones((4, 4)), pitch=1.0, tilt=tilt)
        np.testing.assert_allclose(got.u, flat.u, atol=1e-4)
    with pytest.raises(ValueError, match=r"slm: `tilt` must be between -1\.57 and 1\.57, got 1\.6"):
        jw.slm(field, np.ones((4, 4)), pitch=1.0, tilt=(0.0, 1.6))
    table = [0.0, 1.0, 1.0, 3.0]
    got = jw.levels_for_phase([[0.9, 1.0, 1.2, 2.9]], table)
    assert got.tolist() == [[1, 1, 1, 3]]
