"""Height maps: thin elements per wavelength, levels, lenses, what fabrication makes of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxwave as jw
from jaxwave import heights

SILICA = "fused silica"


def test_a_plate_delays_each_wavelength_by_its_own_index():
    # Indices of fused silica as the paper lists them.
    wavelength, index = np.array([0.46, 0.55, 0.64]), np.array([1.4648, 1.4599, 1.4568])
    height = np.random.default_rng(0).uniform(0, 2, (3, 4))
    got = heights.opd(height, SILICA, wavelength=wavelength)
    need = (index - 1)[:, None, None] * height
    assert got.shape == (3, 3, 4)
    np.testing.assert_allclose(got, need, rtol=2e-4)
    np.testing.assert_allclose(
        heights.opd(height, index, wavelength=wavelength, medium=1.33),
        (index - 1.33)[:, None, None] * height,
        rtol=1e-5,
    )
    one = heights.wave_height(SILICA, wavelength=wavelength)
    np.testing.assert_allclose(one, wavelength / (index - 1), rtol=2e-4)


def efficiency(height, opd_of, wavelength, order):
    """Share of a plane wave in one order of a grating along x."""
    phase = 2 * np.pi * np.asarray(opd_of(height))[0] / wavelength
    return abs(np.fft.fft(np.exp(1j * phase))[order] / phase.size) ** 2


@pytest.mark.parametrize("count", [2, 4, 8, 16])
def test_levels_send_sinc_squared_into_the_first_order(count):
    n, periods = 4096, 4
    depth = float(heights.wave_height(SILICA, wavelength=0.55))
    # Samples stand in the middle of their share of a tooth.
    ramp = depth * (np.arange(n) + 0.5)[None] / n * periods
    relief = heights.levels(heights.wrap(ramp, depth), count, depth)
    assert np.all(np.asarray(relief) < depth * (1 - 1 / count) * 1.0001)
    assert len(np.unique(np.asarray(relief).round(4))) == count
    path = lambda h: heights.opd(h, SILICA, wavelength=0.55)  # noqa: E731
    got = efficiency(relief, path, 0.55, periods)
    assert got == pytest.approx(np.sinc(1 / count) ** 2, rel=2e-3)


def test_a_wrapped_relief_loses_light_at_other_wavelengths():
    n, periods, w = 4096, 4, 0.64
    depth = float(heights.wave_height(SILICA, wavelength=0.55))
    relief = heights.wrap(depth * (np.arange(n) + 0.5)[None] / n * periods, depth)
    path = lambda h: heights.opd(h, SILICA, wavelength=w)  # noqa: E731
    waves = depth / float(heights.wave_height(SILICA, wavelength=w))
    for order in (0, 1, 2):
        got = efficiency(relief, path, w, order * periods)
        assert got == pytest.approx(np.sinc(order - waves) ** 2, rel=2e-3, abs=1e-6)


def test_derivatives_of_wrapping_and_rounding():
    h = jnp.array([[0.3, 1.7, -0.4]])
    slope = lambda f: jax.grad(lambda a: jnp.sum(f(a)))(h)  # noqa: E731
    np.testing.assert_array_equal(slope(lambda a: heights.wrap(a, 0.5)), 1)
    true = dict(straight_through=False)
    np.testing.assert_array_equal(slope(lambda a: heights.levels(a, 4, 0.5, **true)), 0)
    half = slope(lambda a: heights.levels(a, 4, 0.5, blend=0.25, **true))
    np.testing.assert_allclose(half, 0.75, rtol=1e-6)
    default = slope(lambda a: heights.levels(a, 4, 0.5, blend=jnp.float32(0.25)))
    np.testing.assert_allclose(default, 0.75, rtol=1e-6)
    straight = lambda a: heights.levels(a, 4, 0.5)  # noqa: E731
    np.testing.assert_allclose(slope(straight), 1, rtol=1e-6)
    np.testing.assert_allclose(straight(h), heights.levels(h, 4, 0.5, **true), rtol=1e-6)
    for blend in (0.25, jnp.float32(0.6), 1.0):  # the rule is of the derivative alone
        share = h % 0.5 / 0.5
        need = 0.5 * (share + blend * (jnp.round(4 * share) / 4 - share))
        for rule in (None, True, False):
            got = heights.levels(h, 4, 0.5, blend=blend, straight_through=rule)
            np.testing.assert_allclose(got, need, atol=1e-6)


def test_lenses_have_the_path_of_a_spherical_wave():
    f, n, w, shape, d = 900.0, 1.5, 0.5, (9, 12), np.array([3.0, 4.0])
    y = (np.arange(9) - 4)[:, None] * 3.0
    x = (np.arange(12) - 6) * 4.0
    whole = heights.lens(shape, f, n, spacing=d, wavelength=w)
    path = np.sqrt(f**2 + y**2 + x**2) - f
    np.testing.assert_allclose(whole, -path / (n - 1), rtol=1e-5)
    for order in (1, 2):
        relief = heights.lens(shape, f, n, spacing=d, wavelength=w, order=order)
        depth = order * w / (n - 1)
        assert np.all((np.asarray(relief) >= 0) & (np.asarray(relief) < depth))
        turns = (np.asarray(relief) - np.asarray(whole)) / depth
        np.testing.assert_allclose(turns, np.round(turns), atol=1e-4)
    hollow = heights.lens(shape, -f, n, spacing=d, wavelength=w)
    np.testing.assert_allclose(hollow, -whole, rtol=1e-5)


def test_sectors_rings_and_wings_are_parts_of_lenses():
    shape, options = (24, 24), dict(spacing=4.0, order=1)
    lens = lambda f, w, n=1.5: np.asarray(  # noqa: E731
        heights.lens(shape, f, n, wavelength=w, **options)
    )
    y, x = (
        (np.arange(24) - 12)[:, None] + np.zeros((24, 24)),
        np.arange(24) - 12 + np.zeros((24, 24)),
    )
    three = heights.multi_focal(shape, [900.0, 1000.0, 1100.0], 1.5, wavelength=0.5, **options)
    k = np.floor(12 * np.mod(np.arctan2(y, x) / (2 * np.pi), 1) + 1e-9).astype(int) % 3
    need = np.choose(k, [lens(f, 0.5) for f in (900.0, 1000.0, 1100.0)])
    off = np.abs(12 * np.mod(np.arctan2(y, x) / (2 * np.pi), 1) % 1 - 0.5) < 0.49  # not on an edge
    np.testing.assert_allclose(np.asarray(three)[off], need[off], rtol=1e-4, atol=1e-5)
    colors = heights.multi_color(
        shape, 1000.0, [1.52, 1.5], wavelength=[0.45, 0.6], radius=40.0, **options
    )
    inside = y**2 + x**2 < 50
    need = np.where(inside, lens(1000.0, 0.45, 1.52), lens(1000.0, 0.6))
    off = y**2 + x**2 != 50
    np.testing.assert_allclose(np.asarray(colors)[off], need[off], rtol=1e-4, atol=1e-5)
    wings = heights.diffracted_rotation(shape, 1000.0, 1.5, wavelength=[0.45, 0.65], **options)
    # Half way of the first of three sectors, at 60 degrees, the design wavelength is the mean.
    assert float(wings[12 + 7, 12 + 4]) == pytest.approx(lens(1000.0, 0.55)[19, 16], rel=2e-2)
    assert float(wings[12, 12 + 8]) == pytest.approx(lens(1000.0, 0.45)[12, 20], rel=1e-4)


def test_without_a_radius_the_disk_is_the_largest_around_the_axis_sample():
    # Of (8, 11) samples 3 and a half lie behind the axis in y, 5 and a half in x.
    for shape, radius in (((8, 11), 7.0), ((11, 8), 5.25), ((9, 30), 9.0)):
        got = heights.rings(shape, [1.0, 0.3, -2.0], spacing=(2.0, 1.5))
        y, x = (np.arange(shape[0]) - shape[0] // 2)[:, None], np.arange(shape[1]) - shape[1] // 2
        place = np.minimum(np.hypot(2.0 * y, 1.5 * x) / radius, 1)
        np.testing.assert_allclose(got, np.interp(place, [0, 0.5, 1], [1.0, 0.3, -2.0]), atol=1e-5)


def test_shapes_against_their_sums():
    rng, shape = np.random.default_rng(1), (7, 10)
    c = rng.normal(size=(4, 3))
    j, k = np.arange(7)[:, None] - 3, np.arange(10) - 5
    need = 0.0
    for a in range(4):
        for b in range(3):
            turn = 2 * np.pi * ((a - 2) * j / 7 + (b - 1) * k / 10)
            need = need + c[a, b] * (np.cos(turn) + np.sin(turn))
    np.testing.assert_allclose(heights.fourier(shape, c), need, atol=1e-5)
    v = rng.normal(size=(3, 4))
    got = np.asarray(heights.blocks((7, 10), v, block=3))
    np.testing.assert_allclose(got[3], np.repeat(v[1], 3)[1:11], rtol=1e-6)
    np.testing.assert_allclose(got[:, 3], np.repeat(v[:, 1], 3)[1:8], rtol=1e-6)
    line = np.asarray(heights.spline((4, 9), np.arange(5.0) * np.ones((4, 1))))
    np.testing.assert_allclose(line[:, 2:7], (np.arange(2, 7) / 2) * np.ones((4, 1)), atol=1e-5)
    y, x = (np.arange(9) - 4)[:, None] * 1.0, (np.arange(9) - 4) * 1.0
    r = np.hypot(y, x)
    got = heights.rings((9, 9), [0.0, 2.0, 3.0], spacing=1.0, radius=4.0)
    np.testing.assert_allclose(got, np.interp(r, [0, 2, 4], [0, 2, 3]), atol=1e-5)
    spokes = np.cos(2 * np.pi * np.arange(16) / 16) * np.ones((3, 1))
    got = np.asarray(heights.polar((9, 9), spokes, spacing=1.0, radius=4.0))
    factor = (4 + 2 * np.cos(2 * np.pi / 16)) / 6  # a B-spline's of a wave on its points
    np.testing.assert_allclose(got[r > 0], factor * (x / np.where(r, r, 1))[r > 0], atol=2e-3)


def test_features_and_roughness():
    rng = np.random.default_rng(0)
    flat = heights.minimum_feature(np.full((8, 9), 0.7), 3.0, spacing=(1.0, 0.8))
    np.testing.assert_allclose(flat, 0.7, rtol=1e-5)
    one = np.zeros((9, 9))
    one[4, 4] = 1
    spot = np.asarray(heights.minimum_feature(one, 5.0, spacing=1.0))
    assert spot.sum() == pytest.approx(1, rel=1e-5)
    assert spot[4, 4] == pytest.approx(1 / (np.pi * 2.5**2), rel=5e-3)
    assert not np.any(spot[np.hypot(*np.mgrid[-4:5, -4:5]) > 3.3] > 1e-6)
    y, x = np.mgrid[0:7, 0:8]
    bowl = 0.5 * (0.3 * y**2 * 4 + 0.2 * x**2 * 9)  # spacing (2, 3)
    wide = np.pad(bowl, 1, mode="edge")
    second = (wide[2:, 1:-1] - 2 * bowl + wide[:-2, 1:-1]) / 4
    second = second + (wide[1:-1, 2:] - 2 * bowl + wide[1:-1, :-2]) / 9
    assert second[3, 3] == pytest.approx(0.5)
    for power in (1, 2):
        got = float(heights.roughness(bowl, spacing=(2.0, 3.0), norm=power))
        assert got == pytest.approx(np.mean(abs(second) ** power), rel=1e-5)
    noisy = np.asarray(heights.height_error(jax.random.key(0), np.ones((64, 64)), tolerance=0.02))
    assert np.std(noisy) == pytest.approx(0.02 / np.sqrt(3), rel=0.03)
    assert np.max(abs(noisy - 1)) <= 0.02
    assert rng is not None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: heights.opd(np.ones((2, 2)), SILICA, wavelength=5.0), "from 0.21 to 3.71"),
        (lambda: heights.opd(np.ones((2, 2)), "silicate", wavelength=0.5), "no material"),
        (lambda: heights.opd(np.ones((2, 2)), 1.33, wavelength=0.5, medium=1.33), "nothing"),
        (lambda: heights.blocks((8, 8), np.ones((3, 4)), block=2), r"must be \(4, 4\)"),
        (lambda: heights.fourier((4, 4), np.ones((5, 4))), "at most as many"),
        (lambda: heights.levels(np.ones((2, 2)), 1, 1.0), "at least 2"),
        (lambda: heights.levels(np.ones((2, 2)), 4, 1.0, blend=2.0), "between 0 and 1"),
        (lambda: heights.lens((8, 8), 0.035, 1.5, spacing=1.0, wavelength=0.5), "metres"),
        (lambda: heights.rings((8, 8), [1.0], spacing=1.0), "at least two"),
        (lambda: heights.multi_focal((8, 8), 90.0, 1.5, spacing=1.0, wavelength=0.5), "row"),
    ],
)
def test_errors_name_what_was_typed(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_lens_that_aliases_is_told_with_the_spacing_that_would_do():
    with pytest.warns(jw.JaxwaveWarning, match=r"spacing of at most [\d.]+ µm") as told:
        heights.lens((64, 64), 1000.0, 1.5, spacing=4.0, wavelength=0.5, order=1)
    spacing = float(str(told[0].message).split("at most ")[1].split(" ")[0])
    count = int(256 / spacing) + 1
    heights.lens((count, count), 1000.0, 1.5, spacing=256 / count, wavelength=0.5, order=1)


def test_a_turned_cubic_on_a_grid_that_is_not_square():
    y, x = np.meshgrid(3.0 * (np.arange(7) - 3), 2.0 * (np.arange(10) - 5), indexing="ij")
    along, across = np.array([np.cos(0.4), np.sin(0.4)]), np.array([-np.sin(0.4), np.cos(0.4)])
    need = 0.7 * ((x * along[0] + y * along[1]) ** 3 + (x * across[0] + y * across[1]) ** 3) / 8**3
    got = heights.cubic((7, 10), 0.7, spacing=(3.0, 2.0), radius=8.0, angle=0.4)
    np.testing.assert_allclose(got, need, atol=1e-6 * abs(need).max())


@pytest.mark.parametrize("rings, spokes", [(8, 3), (4, 7)])
def test_polar_heights_are_the_sum_of_splines(rings, spokes):
    """Other numbers of rings and spokes; the first and the last ring go on."""
    from scipy.interpolate import BSpline

    v = np.random.default_rng(0).normal(size=(rings, spokes))
    y, x = np.meshgrid(1.5 * (np.arange(9) - 4), np.arange(12) - 6.0, indexing="ij")
    r = np.minimum(np.hypot(y, x) / 7, 1) * (rings - 1)
    phi = np.mod(np.arctan2(y, x), 2 * np.pi) / (2 * np.pi) * spokes
    basis = BSpline.basis_element([-2, -1, 0, 1, 2], extrapolate=False)
    need = np.zeros_like(r)
    for k in range(-1, rings + 1):
        for m in range(-2, spokes + 2):
            part = np.nan_to_num(basis(r - k)) * np.nan_to_num(basis(phi - m))
            need += part * v[np.clip(k, 0, rings - 1), m % spokes]
    got = heights.polar((9, 12), v, spacing=(1.5, 1.0), radius=7.0)
    np.testing.assert_allclose(got, need, atol=2e-5)


def test_a_feature_is_a_round_disk_of_oblong_samples():
    """What an impulse becomes: all of it, even in y and x, as wide in y as in x."""
    spacing, n = (0.5, 0.8), (25, 21)
    impulse = np.zeros(n, np.float32)
    impulse[12, 10] = 1
    seen = np.asarray(heights.minimum_feature(impulse, 4.0, spacing=spacing), float)
    y, x = (d * (np.arange(k) - k // 2) for d, k in zip(spacing, n, strict=True))
    np.testing.assert_allclose(seen, seen[::-1, ::-1], atol=1e-6)
    assert seen.sum() == pytest.approx(1, abs=1e-5)
    # A disk has r^2 / 4 along either axis; that light is at the middles of samples adds d^2 / 12.
    for moment, d in (((seen.sum(1) * y**2).sum(), 0.5), ((seen.sum(0) * x**2).sum(), 0.8)):
        assert moment == pytest.approx(1 + d**2 / 12, abs=0.05)
