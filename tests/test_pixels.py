"""Pictures with pixels of their own, mirror devices and deformable mirrors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import axis, centroid, error
from test_apertures import bright, by_angle, exact_share

import jaxwave as jw

TAU = 2 * np.pi


def by_hand(shape, spacing, values, pitch, angle, y, x):
    """Mean of a turned picture over every sample, by clipping its pixels (float64)."""
    total = np.zeros(shape, values.dtype)
    rows, columns = (axis(n, d) - d / 2 for n, d in zip(shape, spacing, strict=True))
    corners = np.array([(-0.5, -0.5), (-0.5, 0.5), (0.5, 0.5), (0.5, -0.5)])
    for j, v in enumerate(axis(values.shape[0], 1)):
        for k, u in enumerate(axis(values.shape[1], 1)):
            pixel = by_angle((corners + np.array((v, u))) * pitch, angle, y, x)
            (low_y, low_x), (high_y, high_x) = pixel.min(0), pixel.max(0)
            for i in np.flatnonzero((rows + spacing[0] > low_y) & (rows < high_y)):
                for m in np.flatnonzero((columns + spacing[1] > low_x) & (columns < high_x)):
                    share = exact_share(pixel, (rows[i], columns[m]), spacing)
                    total[i, m] += values[j, k] * share
    return total


def test_turned_pixels_against_clipped_areas(x64):
    shape, spacing, pitch = (15, 18), (0.8, 0.7), np.array([1.7, 1.5])
    values = np.random.default_rng(0).normal(size=(6, 5)) + 1j
    for angle in (0.0, 0.4, -2.0, np.pi / 4):
        field = bright(shape, spacing)
        got = jw.amplitude_mask(field, values, pitch=pitch, angle=angle, y=0.3, x=-0.5).u
        need = by_hand(shape, spacing, values, pitch, angle, 0.3, -0.5)
        np.testing.assert_allclose(got, need, atol=1e-10)
    straight = jw.amplitude_mask(field, values, pitch=pitch, y=0.3, x=-0.5).u
    np.testing.assert_allclose(
        straight, by_hand(shape, spacing, values, pitch, 0, 0.3, -0.5), atol=1e-12
    )


def test_finer_pixels_keep_their_light_and_their_place(x64):
    field, rng = bright((30, 32), (0.8, 0.7)), np.random.default_rng(1)
    values = rng.uniform(0.5, 1.5, (40, 36))
    got = jw.amplitude_mask(field, values, pitch=0.3, angle=0.5, y=1.0, x=-2.0).u.real
    assert float(jnp.sum(got)) * 0.56 == pytest.approx(values.sum() * 0.09, rel=1e-10)
    place = by_angle(
        np.stack(np.meshgrid(axis(40, 0.3), axis(36, 0.3), indexing="ij"), -1).reshape(-1, 2),
        0.5,
        1.0,
        -2.0,
    )
    center = (place * values.reshape(-1, 1)).sum(0) / values.sum()
    found = np.array([np.sum(got * field.y), np.sum(got * field.x)]) / np.sum(got)
    np.testing.assert_allclose(found, center, atol=0.03)


def test_phase_masks_of_their_own_pixels_average_the_wave():
    field = bright((9, 12), 1.0)
    phase = np.random.default_rng(2).uniform(0, TAU, (6, 8))
    got = jw.phase_mask(field, phase, pitch=1.5, y=0.75, x=0.25)
    middle = np.exp(1j * np.kron(phase, np.ones((3, 3)))).reshape(9, 2, 12, 2).mean((1, 3))
    assert error(got.u, middle) < 1e-6
    beside = jw.phase_mask(bright((20, 20), 1.0), phase, pitch=1.5)
    np.testing.assert_allclose(beside.u[0], 1, atol=1e-6)  # light passes beside the picture
    two = jw.scalar_field(np.ones((9, 12)), spacing=1.0, wavelength=np.array([0.5, 0.6]))
    path = jw.opd_mask(two, phase / 10, pitch=1.5, y=0.75, x=0.25)
    wave = np.exp(1j * TAU * np.kron(phase, np.ones((3, 3))) / 10 / 0.6)
    assert error(path.u[1], wave.reshape(9, 2, 12, 2).mean((1, 3))) < 1e-6


def test_a_place_without_a_pitch_is_named():
    with pytest.raises(
        ValueError, match=r"phase_mask: `angle` moves a picture .* Pass their `pitch`"
    ):
        jw.phase_mask(bright((4, 4), 1.0), np.zeros((4, 4)), angle=0.1)


def test_spiral_winds_around_its_point(x64):
    field = bright((41, 43), (0.5, 0.4))
    for charge in (1, -3):
        out = jw.spiral_mask(field, charge, angle=0.2, y=0.3, x=-0.1)
        around = np.linspace(0, TAU, 4000)
        y, x = (
            np.round((0.3 + 6 * np.sin(around)) / 0.5).astype(int),
            np.round((-0.1 + 6 * np.cos(around)) / 0.4).astype(int),
        )
        turns = np.unwrap(np.asarray(out.phase)[y + 20, x + 21])
        assert turns[-1] - turns[0] == pytest.approx(charge * TAU, abs=1e-6)
        azimuth = np.arctan2(field.y - 0.3, field.x + 0.1)
        need = np.exp(1j * charge * (azimuth - 0.2))
        np.testing.assert_allclose(np.exp(1j * out.phase), need, atol=1e-12)
        # a sample's mean, by dense points, one to three samples from the core
        fine = (np.arange(60) + 0.5) / 60 - 0.5
        for row, column in ((20, 21), (21, 21), (22, 23)):
            v, u = np.meshgrid(
                axis(41, 0.5)[row] + 0.5 * fine - 0.3,
                axis(43, 0.4)[column] + 0.4 * fine + 0.1,
                indexing="ij",
            )
            mean = np.mean(np.exp(1j * charge * (np.arctan2(v, u) - 0.2)))
            assert abs(out.u[row, column] - mean) < 0.25, (charge, row, column)
        assert abs(out.u[27, 30] - np.exp(1j * charge * (azimuth[27, 30] - 0.2))) < 0.01


def test_a_cubic_plate_has_the_cubes_path(x64):
    field = bright((9, 7), (1.0, 1.5))
    out = jw.cubic_mask(field, 0.03, radius=4.0, angle=0.3, y=0.2, x=-0.4)
    y, x = np.asarray(field.y) - 0.2, np.asarray(field.x) + 0.4
    v, u = np.cos(0.3) * y - np.sin(0.3) * x, np.sin(0.3) * y + np.cos(0.3) * x
    need = np.exp(2j * np.pi * 0.03 * (v**3 + u**3) / 64 / 0.5)
    np.testing.assert_allclose(out.u, need, atol=1e-12)


# -- modulators ----------------------------------------------------------------------------


def test_a_tilted_device_is_foreshortened(x64):
    field, phase = bright((40, 44), 1.0), np.random.default_rng(0).uniform(0, TAU, (5, 4))
    tilt = (0.0, np.deg2rad(45))
    got = jw.slm(field, phase, pitch=5.0, fill_factor=0.7, tilt=tilt, y=1.0, x=2.0)
    need = jw.slm(field, phase, pitch=(5.0, 5.0 * np.cos(tilt[1])), fill_factor=0.7, y=1.0, x=2.0)
    np.testing.assert_allclose(got.u, need.u, atol=1e-12)
    quarter = jw.slm(field, phase, pitch=5.0, angle=np.pi / 2)
    # turned from +x toward +y: columns run along +y, rows along -x
    need = jw.slm(field, phase.T[:, ::-1], pitch=5.0, x=-(5 // 2 * 2 - 4) * 5.0 / 2)
    np.testing.assert_allclose(quarter.u, need.u, atol=1e-9)


def test_corrections_wrap_and_flatness_knows_the_wavelength():
    table = np.linspace(0, TAU, 256, endpoint=False)
    rng = np.random.default_rng(1)
    levels, correction = rng.integers(0, 256, (2, 4, 5))
    path = rng.uniform(0, 1, (4, 5))
    field = jw.scalar_field(np.ones((4, 5)), spacing=8.0, wavelength=np.array([0.5, 0.7]))
    got = jw.slm(field, levels, pitch=8.0, table=table, correction=correction, flatness=path)
    for k, wavelength in enumerate((0.5, 0.7)):
        phase = table[(levels + correction) % 256] + TAU * path / wavelength
        assert error(got.u[k], np.exp(1j * phase)) < 1e-5


@pytest.mark.parametrize("bits", [8, 10])
def test_levels_for_phases_are_the_nearest_of_the_table(bits):
    rng, count = np.random.default_rng(bits), 2**bits
    table = 1.2 * TAU * (np.arange(count) / count) ** 1.3 + 0.4  # more than a turn, not linear
    phase = rng.uniform(-20, 20, (7, 9))
    got = np.asarray(jw.levels_for_phase(phase, table))
    distance = np.abs(np.exp(1j * phase)[..., None] - np.exp(1j * table))
    chosen = np.take_along_axis(distance, got[..., None], -1)[..., 0]
    np.testing.assert_allclose(chosen, distance.min(-1), atol=1e-5)
    with pytest.raises(ValueError, match="levels_for_phase: `table` must have at least two"):
        jw.levels_for_phase(phase, [0.0])


def test_orders_of_a_mirror_device(x64):
    """Orders of the pitch, displaced by the blaze, under the mirrors' envelope."""
    fine, count, wavelength, pitch, fill = 8, 24, 0.532, 8.0, 0.81
    size = fine * count
    field = bright((size, size), pitch / fine, wavelength)
    at = (count // 2 + 0.5) * pitch - (size // 2 + 0.5) * pitch / fine
    chip = jw.dmd(field, np.ones((count, count)), pitch=pitch, fill_factor=fill, y=at, x=at)
    step = pitch * np.sin(2 * np.deg2rad(12)) / np.sqrt(2) / wavelength  # turns, 4.32
    order = (step - round(step)) / pitch  # what is left of it is a slope
    far = jw.ff_lens(chip, 1e4, spacing=10.0, shape=(65, 65))
    y, x = centroid(np.asarray(far.intensity) ** 2, 10.0)
    assert (y, x) == pytest.approx((order * wavelength * 1e4,) * 2, rel=0.02)
    wave = np.exp(-2j * np.pi * order * (np.asarray(field.y) + np.asarray(field.x)))
    share = float(jnp.abs(jnp.mean(chip.u * wave)))
    # the mirrors' envelope, and that of a sample's mean; 1 % is of orders that alias
    a, cell = np.sqrt(fill), np.sinc(pitch / fine * order)
    assert share == pytest.approx((a * np.sinc(a * pitch * order) * cell) ** 2, rel=0.01)
    flat = jw.dmd(
        field, np.ones((count, count)), pitch=pitch, fill_factor=fill, mirror_tilt=0.0, y=at, x=at
    )
    assert float(jnp.abs(jnp.mean(flat.u)) ** 2) == pytest.approx(fill**2, rel=1e-9)


def test_off_mirrors_send_nothing():
    field, states = bright((30, 30), 1.0), np.random.default_rng(0).integers(0, 2, (6, 6))
    out = jw.dmd(field, states, pitch=5.0, y=2.0, x=2.0, mirror_tilt=0.0)
    np.testing.assert_allclose(out.intensity, np.kron(states, np.ones((5, 5))), atol=1e-5)
    with pytest.raises(ValueError, match="dmd: `mirrors` must be between 0 and 1, got 2"):
        jw.dmd(field, 2.0 * states, pitch=5.0)


# -- deformable mirrors --------------------------------------------------------------------


def test_a_deformable_mirror_adds_its_actuators(x64):
    field = bright((20, 22), (1.0, 0.9))
    centers = np.array([(-5.0, -4.0), (0.0, 3.0), (6.0, 1.0)])
    bumps = jw.gaussian_influence((20, 22), centers, spacing=(1.0, 0.9), pitch=5.0, coupling=0.2)
    distance = (np.asarray(field.y) - centers[:, :1, None]) ** 2 + (
        np.asarray(field.x) - centers[:, 1:, None]
    ) ** 2
    np.testing.assert_allclose(bumps, 0.2 ** (distance / 25), atol=1e-12)
    out = jw.deformable_mirror(field, [0.05, -0.3, 0.1], bumps, stroke=[1.0, 0.2, 1.0])
    path = np.tensordot([0.05, -0.2, 0.1], bumps, 1)
    np.testing.assert_allclose(out.u, np.exp(2j * np.pi * path / 0.5), atol=1e-12)


def test_a_mirror_learns_to_flatten_a_wavefront(x64):
    """Least squares by the commands' gradient: what the bumps can do is taken away."""
    field = bright((16, 16), 1.0)
    centers = np.stack(np.meshgrid([-5.0, 0.0, 5.0], [-5.0, 0.0, 5.0]), -1).reshape(-1, 2)
    bumps = jw.gaussian_influence((16, 16), centers, spacing=1.0, pitch=5.0)
    wanted = np.random.default_rng(0).normal(scale=0.02, size=9)
    bent = jw.opd_mask(field, -np.tensordot(wanted, bumps, 1))

    def rest(commands):
        return -(jnp.abs(jnp.mean(jw.deformable_mirror(bent, commands, bumps).u)) ** 2)

    step = jax.jit(lambda c: jnp.linalg.solve(jax.hessian(rest)(c), jax.grad(rest)(c)))
    commands = jnp.zeros(9)
    for _ in range(6):
        commands = commands - step(commands)
    np.testing.assert_allclose(commands, wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("commands", "shape", "stroke", "message"),
    [
        (np.zeros(2), (3, 4, 4), None, "needs one number for each of the 3 influence .* got 2"),
        (np.zeros(3), (3, 5, 4), None, r"`influence` must match the field's \(4, 4\) samples"),
        (np.zeros(3), (3, 4, 4), -1.0, "`stroke` must be positive"),
        (np.full(3, np.nan), (3, 4, 4), None, "`commands` must be finite, got 3 NaN"),
    ],
)
def test_bad_mirrors(commands, shape, stroke, message):
    with pytest.raises(ValueError, match=f"deformable_mirror: .*{message}"):
        jw.deformable_mirror(bright((4, 4), 1.0), commands, np.zeros(shape), stroke=stroke)
