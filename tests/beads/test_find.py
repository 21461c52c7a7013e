import dataclasses
import warnings
from pathlib import Path

import numpy as np
import pytest

import jaxwave.io as jio
from jaxwave import beads
from jaxwave.beads.window import neighbor_light

DATA = Path(__file__).parents[2] / "examples" / "data" / "bead_air_na085.tif"
SHARED = Path(__file__).parents[3] / "shared" / "data"
RNG = np.random.default_rng(3)


def spots(places, shape=(11, 96, 100), width=2.0, background=100.0, noise=0.0):
    """Gaussian beads that widen with defocus: (z, y, x, peak) each, energy conserved."""
    z, y, x = np.indices(shape, float)
    stack = np.full(shape, background)
    for z0, y0, x0, peak in places:
        spread = 1 + ((z - z0) / 3) ** 2
        r2 = (y - y0) ** 2 + (x - x0) ** 2
        stack += peak / spread * np.exp(-r2 / (2 * width**2 * spread))
    return stack + noise * np.random.default_rng(1).normal(size=shape)


def test_one_bead_is_found_at_its_place():
    [bead] = beads.find_beads(spots([(5.3, 40.25, 51.6, 900)], noise=5), size=32)
    assert bead.ok and bead.snr == pytest.approx(900 / 5, rel=0.1)
    np.testing.assert_allclose(bead.center, (5.3, 40.25, 51.6), atol=(0.15))
    assert bead.background == pytest.approx(100, abs=15)


@pytest.mark.parametrize("shape", [(11, 64, 64), (11, 65, 64), (10, 61, 67), (3, 33, 97)])
def test_sizes_odd_even_prime(shape):
    place = (shape[0] // 2, shape[1] // 2, shape[2] // 2)
    [bead] = beads.find_beads(spots([(*place, 900)], shape, noise=2), size=32)
    assert bead.ok
    np.testing.assert_allclose(bead.center[1:], place[1:], atol=0.1)


def test_several_beads_brightest_first():
    places = [(5, 20, 20, 500), (5, 20, 75, 900), (5, 70, 50, 700)]
    found = beads.find_beads(spots(places, noise=5), size=32)
    assert [round(b.peak, -2) for b in found] == [1000, 800, 600]
    assert all(b.ok for b in found)


@pytest.mark.parametrize("distance", [8, 12, 16])
def test_two_close_beads_are_rejected_as_overlapping(distance):
    places = [(5, 48, 40, 900), (5, 48, 40 + distance, 450)]
    found = beads.find_beads(spots(places, noise=5), size=32)
    assert len(found) == 2
    assert all(b.rejected.startswith("overlapping: another bead is") for b in found)
    apart = np.hypot(*np.subtract(found[0].center, found[1].center)[1:])
    assert apart == pytest.approx(distance, abs=1.2)  # they blur into each other
    assert f"{apart:.1f} pixels away" in found[0].rejected


def test_two_distant_beads_are_both_good():
    found = beads.find_beads(spots([(5, 48, 24, 900), (5, 48, 70, 450)], noise=5), size=32)
    assert [b.ok for b in found] == [True, True]


def test_lobes_within_the_radius_are_one_bead():
    lobes = spots([(3, 48, 44, 900), (7, 48, 56, 800)], noise=5)
    assert len(beads.find_beads(lobes, size=32)) == 2
    assert len(beads.find_beads(lobes, size=32, radius=14)) == 1


def test_bead_cut_by_the_edge():
    [bead] = beads.find_beads(spots([(5, 48, 8, 900)], noise=5), size=32)
    assert bead.rejected == "cut by the edge: its window needs the columns -8:24 of 0:100"


@pytest.mark.parametrize("z", [0, 10])
def test_bead_cut_by_the_end_of_the_stack(z):
    [bead] = beads.find_beads(spots([(z, 48, 50, 900)], noise=2), size=32)
    assert bead.rejected.startswith("cut by the end of the stack: the brightest of 11 planes is")


def test_saturated_bead():
    stack = np.minimum(spots([(5, 48, 50, 900)], noise=5), 700)
    [bead] = beads.find_beads(stack, size=32, saturation=700)
    assert bead.rejected.startswith("saturated: ") and "pixels at 700 counts" in bead.rejected
    [bead] = beads.find_beads(jio.Stack(stack, (1, 1, 1), saturation=700.0), size=32)
    assert bead.rejected.startswith("saturated")


def test_hot_pixels_move_nothing():
    stack = spots([(5, 40.25, 51.6, 900)], noise=5)
    [clean] = beads.find_beads(stack, size=32)
    stack[:, 10, 10] = 5000  # a defect of the camera
    stack[:, 42, 53] += 4000  # one under the bead
    stack[3, 70, 80] = 60000  # a cosmic ray
    stack[:, 0, 99] = 4000  # in the corner
    [bead] = beads.find_beads(stack, size=32)
    assert bead.ok
    np.testing.assert_allclose(bead.center, clean.center, atol=0.1)


@pytest.mark.parametrize(("slope", "tolerance"), [(1, 0.2), (20, 0.7)])
def test_sloping_background(slope, tolerance):
    stack = spots([(5, 40, 51, 900)], noise=5) + slope * np.arange(100)
    [bead] = beads.find_beads(stack, size=32)
    np.testing.assert_allclose(bead.center[1:], (40, 51), atol=tolerance)


def test_photon_noise_and_integers():
    stack = RNG.poisson(spots([(5, 48, 50, 60)], background=20.0)).astype(np.uint16)
    [bead] = beads.find_beads(stack, size=32)
    np.testing.assert_allclose(bead.center[1:], (48, 50), atol=0.5)
    dark = RNG.poisson(spots([(5, 48, 50, 60)], background=0.05)).astype(np.uint8)
    assert len(beads.find_beads(dark, size=32)) == 1


def test_masked_values_are_left_out():
    stack = spots([(5, 48, 50, 900)], noise=5)
    mask = np.zeros(stack.shape, bool)
    stack[4, 20:23, 20:23], mask[4, 20:23, 20:23] = 9000, True
    assert len(beads.find_beads(stack, size=32)) == 2
    assert len(beads.find_beads(jio.Stack(stack, (1, 1, 1), mask=mask), size=32)) == 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["normal", "poisson", "sparse"])
def test_noise_alone_holds_no_bead(seed, kind):
    rng = np.random.default_rng(seed)
    shape = (9, 80, 80)
    stack = {
        "normal": lambda: 100 + 10 * rng.normal(size=shape),
        "poisson": lambda: rng.poisson(3.0, shape).astype(np.uint16),
        "sparse": lambda: rng.poisson(0.1, shape).astype(np.uint8),
    }[kind]()
    message = r"no bead found: the highest peak is \d+\.\d times the noise .*, 8 is needed"
    with pytest.raises(ValueError, match=message):
        beads.find_beads(stack, size=32)


def test_threshold_is_the_users():
    stack = spots([(5, 48, 50, 12)], noise=5)
    assert len(beads.find_beads(stack, size=32, threshold=5)) >= 1
    with pytest.raises(ValueError, match="100 is needed"):
        beads.find_beads(stack, size=32, threshold=100)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_constant_images(value):
    stack = np.full((5, 32, 32), value)
    with pytest.raises(ValueError, match=f"no bead found: every value is {value:g}"):
        beads.find_beads(stack, size=16)
    with pytest.raises(ValueError, match=r"no bead found: the projection is constant"):
        beads.mass_center(stack)
    stack[:, 5, 5] = 100 + value
    with pytest.raises(ValueError, match="taken for hot"):
        beads.find_beads(stack, size=16)


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"find_beads: `stack` must be \(z, y, x\)"):
        beads.find_beads(np.ones((8, 8)), size=4)
    with pytest.raises(TypeError, match="must be real"):
        beads.find_beads(np.ones((3, 8, 8), complex), size=4)
    with pytest.raises(ValueError, match=r"finite.*nan='mask'"):
        beads.find_beads(np.full((3, 8, 8), np.nan), size=4)
    with pytest.raises(ValueError, match="`threshold` must be positive"):
        beads.find_beads(np.ones((3, 8, 8)), size=4, threshold=0)
    with pytest.raises(ValueError, match="`size` must be"):
        beads.find_beads(np.ones((3, 8, 8)), size=0)


def test_cut_puts_the_center_at_half_the_size():
    stack = np.zeros((2, 20, 21))
    stack[:, 9, 11] = 1
    for size in (4, 5, (6, 7)):
        cut = beads.cut_bead(stack, (9.2, 10.8), size)
        ny, nx = cut.shape[1:]
        assert cut[0, ny // 2, nx // 2] == 1
    bead = beads.Bead((0.0, 9.2, 10.8), 1, 0, 1)
    np.testing.assert_array_equal(
        beads.cut_bead(stack, bead, 4), beads.cut_bead(stack, (0, 9, 11), 4)
    )


def test_cut_errors_and_slack():
    stack = np.zeros((2, 64, 64))
    assert beads.cut_bead(stack, (30.0, 34.0), 64).shape == (2, 64, 64)  # moved by 2 pixels
    with pytest.raises(ValueError, match=r"cut by the edge: its window needs the rows -12:52"):
        beads.cut_bead(stack, (20, 32), 64)
    with pytest.raises(ValueError, match="its window needs"):
        beads.cut_bead(stack, (32, 32), 65)
    with pytest.raises(ValueError, match=r"`center` must be \(y, x\)"):
        beads.cut_bead(stack, (1, 2, 3, 4), 8)
    with pytest.raises(ValueError, match=r"`stack` must be \(z, y, x\)"):
        beads.cut_bead(stack[0], (32, 32), 8)


def test_a_window_that_sticks_out_by_an_eighth_is_moved_inside():
    stack = np.zeros((2, 64, 64))
    assert beads.cut_bead(stack, (12.0, 34.0), 32).shape == (2, 32, 32)
    with pytest.raises(ValueError, match=r"needs the rows -5:27"):
        beads.cut_bead(stack, (11.0, 34.0), 32)


def test_a_window_ends_where_the_light_has_fallen_to_a_hundredth():
    """A Gaussian spot on a bright background, in a cone of light that would fill the frame."""
    y, x = np.ogrid[-60:61, -60:61]
    sigma = 4.0
    spot = np.zeros((9, 121, 121))
    spot[4] = 900 * np.exp(-(y**2 + x**2) / (2 * sigma**2))
    radius = np.sqrt((sigma**2 + 2 / 3) * 2 * np.log(100))  # means of 3 x 3 pixels widen it
    need = 2 * np.ceil(1.3 * np.ceil(radius) + 2)
    stack = jio.Stack(1000 + spot, (1.0, 0.1, 0.1))
    assert beads.bead_window(stack, na=0.8, n=1.0, wavelength=0.5) == need


def test_the_width_of_a_window_is_even_in_an_odd_frame():
    stack = jio.Stack(np.array(spots([(5, 48, 50, 900)]))[:, :41, :41], (2.0, 0.1, 0.1))
    assert beads.bead_window(stack, na=0.8, n=1.0, wavelength=0.5) % 2 == 0


def test_a_masked_pixel_is_no_part_of_a_bead_that_is_named():
    clean = jio.Stack(spots([(5, 48, 50, 900)]), (0.3, 0.1, 0.1))
    data, mask = np.array(clean.data), np.zeros(clean.shape, bool)
    data[2, 47, 49], mask[2, 47, 49] = 6e4, True
    bead = beads.bead_at(jio.Stack(data, (0.3, 0.1, 0.1), mask=mask), (48, 50), 32)
    assert bead.peak == pytest.approx(beads.bead_at(clean, (48, 50), 32).peak, rel=0.02)
    assert bead.center[0] == pytest.approx(5, abs=0.3)


def test_the_light_of_a_brighter_spot_is_left_out():
    """A cone of light: a disk about the neighbor, as wide as its defocus times the tangent."""
    stack = jio.Stack(np.zeros((21, 120, 120)), (0.2, 0.1, 0.1))
    own = beads.Bead((10.0, 60.0, 40.0), 300.0, 100.0, 2.0)
    far = beads.Bead((10.0, 60.0, 80.0), 9e4, 100.0, 2.0)
    optics = {"na": 0.8, "n": 1.0, "wavelength": 0.5}
    lit = neighbor_light(stack, own, [own, far], 32, **optics)
    assert lit.shape == (21, 32, 32) and not lit[10].any()
    # 1.8 µm out of focus the disk has a radius of 2.4 µm and 0.6 µm of rim; the window ends at
    # the column 55, 2.5 µm from the neighbor
    columns = np.flatnonzero(lit[19, 16]) + 24
    assert columns[0] == 50 and columns[-1] == 55
    np.testing.assert_array_equal(lit[1], lit[19])
    dim = dataclasses.replace(far, peak=140.0)
    assert not neighbor_light(stack, own, [own, dim], 32, **optics).any()
    near = dataclasses.replace(far, center=(10.0, 60.0, 52.0))  # is judged as overlapping
    assert not neighbor_light(stack, own, [own, near], 32, **optics).any()


def test_cut_of_a_stack_is_a_stack():
    stack = jio.Stack(spots([(5, 48, 50, 900)]), (0.3, 0.1, 0.1), provenance={"dz": "user"})
    cut = beads.cut_bead(stack, (48, 50), 32)
    assert isinstance(cut, jio.Stack) and cut.shape == (11, 32, 32)
    assert cut.provenance["crop"] == "planes 0:11, rows 32:64, columns 34:66"


def test_mass_center_follows_the_scoring_rule():
    stack = spots([(5, 40.3, 51.6, 900)], noise=2)
    light = stack.max(axis=0) - np.median(stack.max(axis=0))
    light[light < 0.2 * light.max()] = 0
    y, x = np.indices(light.shape)
    expected = (light * y).sum() / light.sum(), (light * x).sum() / light.sum()
    np.testing.assert_allclose(beads.mass_center(stack), expected, rtol=1e-12)


# -- measured beads ----------------------------------------------------------------------------


def measured(path, **options):
    pytest.importorskip("tifffile")
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jio.read_stack(path, **options)


def test_shipped_bead():
    pytest.importorskip("tifffile")
    with pytest.warns(UserWarning, match=r"0\.13 µm by your argument and 0\.05417 µm"):
        stack = jio.read_stack(DATA, pixel="130 nm", dz="300 nm")
    assert stack.shape == (25, 64, 64) and stack.data.max() == 46120
    assert not stack.saturated.any()
    [bead] = beads.find_beads(stack, size=64)
    assert bead.ok and round(bead.center[0]) == 12
    np.testing.assert_array_equal(beads.cut_bead(stack, bead, 64).data, stack.data)
    edge = np.stack([stack.data[..., 0], stack.data[..., -1]])
    assert np.median(edge) == 270


def test_shipped_bead_is_the_scored_crop():
    name = "psf_wl520nm_z300nm_x130nm_na0.85_n1.0.tif"
    stack = measured(SHARED / "pyotf_bead_air_na085" / name, pixel="130 nm", dz="300 nm")
    np.testing.assert_allclose(beads.mass_center(stack), (127.6735, 130.7756), atol=1e-3)
    cut = beads.cut_bead(stack, beads.mass_center(stack), 64)
    np.testing.assert_array_equal(cut.data, measured(DATA, pixel=0.13, dz=0.3).data)
    bead, *rest = beads.find_beads(stack, size=64)
    np.testing.assert_array_equal(beads.cut_bead(stack, bead, 64).data, cut.data)
    assert all(b.rejected.startswith("faint") for b in rest)


def test_confocal_set_holds_four_beads():
    stack = measured(SHARED / "bian_confocal_bead" / "Bead_Image1_crop.tif")
    np.testing.assert_allclose(stack.spacing, (0.125, 0.0225, 0.0225), rtol=1e-2)
    found = beads.find_beads(stack, size=32)
    assert [b.ok for b in found] == [True] * 4
    expected = [(24, 81, 75), (24, 72, 29), (24, 111, 43), (24, 36, 124)]
    np.testing.assert_allclose([b.center for b in found], expected, atol=1.5)


def test_light_sheet_bead():
    stack = measured(SHARED / "pycudadecon_lls_psf" / "psf.tif")
    np.testing.assert_allclose(stack.spacing, (0.1, 0.10188, 0.10188), rtol=1e-4)
    bead, *rest = beads.find_beads(stack, size=48)
    assert bead.ok and all(b.rejected.startswith("faint") for b in rest)


# -- lobes and neighbors -----------------------------------------------------------------------


def blob(shape, places):
    """Spots of (y, x, peak, width) in every plane."""
    y, x = np.indices(shape, float)
    return sum(p * np.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * w**2)) for a, b, p, w in places)


def engineered(kind, z):
    """Lobes of one emitter at (50, 44), z in units of its range."""
    if kind == "tetrapod":  # parts along y before the focus and along x behind it
        d = 11 * abs(z)
        step = (d, 0) if z < 0 else (0, d)
    else:  # a double helix turns
        step = 6 * np.sin(0.9 * z), 6 * np.cos(0.9 * z)
    lobes = [(50 + s * step[0], 44 + s * step[1], 700 - 40 * s, 2.0) for s in (-1, 1)]
    return blob((96, 90), lobes)


@pytest.mark.parametrize("kind", ["tetrapod", "helix"])
def test_lobes_that_move_are_one_bead(kind):
    stack = np.stack([100 + engineered(kind, z) for z in np.linspace(-1, 1, 11)])
    stack += 4 * np.random.default_rng(3).normal(size=stack.shape)
    [bead] = beads.find_beads(stack, size=40)
    assert bead.ok and bead.lobes >= 2
    np.testing.assert_allclose(bead.center[1:], (50, 44), atol=2.5)


def test_a_spot_in_the_cone_of_a_brighter_bead_is_its_lobe():
    stack = spots([(5, 48, 40, 900), (9, 48, 54, 120)], noise=2)
    assert len(beads.find_beads(stack, size=32)) == 2
    assert len(beads.find_beads(stack, size=32, cone=4.0)) == 1
    assert len(beads.find_beads(stack, size=32, cone=2.0)) == 2


def test_a_saturated_bead_hides_no_others_and_every_spot_has_its_reason():
    places = [(5, 48, 50, 2e4), (5, 20, 20, 900), (5, 75, 20, 500), (5, 20, 76, 22)]
    stack = np.minimum(spots(places, noise=2), 4095)
    found = beads.find_beads(stack, size=28, saturation=4095)
    assert {(75, 20), (20, 20)} == {tuple(np.rint(b.center[1:]).astype(int)) for b in found if b.ok}
    assert found[0].rejected.startswith("saturated") and len(found) == 4
    faint = [b for b in found if b.rejected.startswith("faint")]
    assert len(faint) == 1 and "of the brightest bead's contrast" in faint[0].rejected
