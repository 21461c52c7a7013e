"""PSFs in the files of other programs, read here from their descriptions and nothing else.

The programs' own way is followed: where they floor, which power goes with which axis, where the
emitter is. What the files say between the samples is compared with the microscope's own image of
an emitter that is really there.
"""

import json
import struct
import sys

import numpy as np
import pytest

from jaxwave import io as jio
from jaxwave.psf import Microscope

PIXEL, DZ, PLANES, SIZE = 0.1, 0.1, 17, 19
MODES, PATHS = [(2, 2), (3, 1), (3, -3)], [0.035, 0.02, 0.012]  # nothing is symmetric
SPACING = (DZ, PIXEL, PIXEL)
HEIGHTS = (np.arange(PLANES) - PLANES // 2) * DZ


def light(z, y=0.0, x=0.0, modes=MODES, paths=PATHS):
    scope = Microscope(0.8, 0.6, (SIZE, SIZE), PIXEL)
    return np.asarray(scope.psf(z, coefficients=paths, modes=modes, y=y, x=x), np.float64)


@pytest.fixture(scope="module")
def psf():
    return light(HEIGHTS)


@pytest.fixture(scope="module")
def moved():
    """An emitter between samples: 0.3 and -0.4 pixels away, 37 nm farther from the objective."""
    return light([0.037], 0.3 * PIXEL, -0.4 * PIXEL)[0]


def value_of(cells, place, powers):
    """The polynomial of the cell that holds a place, both in the order of the cells' axes."""
    whole = [min(max(int(np.floor(p)), 0), n - 1) for p, n in zip(place, cells.shape, strict=False)]
    parts = [(p - w) ** np.arange(4) for p, w in zip(place, whole, strict=True)]
    return np.einsum(f"{powers},a,b,c->", cells[tuple(whole)], *parts)


def as_decode(spline, z_nm, y, x):
    """The image of an emitter as DECODE's and SMAP's compiled parts add up their 64 terms.

    Axis 0 of an image is theirs of the fastest power; coordinates are -r / pixel + reference.
    """
    coeff = spline.coeff.reshape(*spline.coeff.shape[:3], 4, 4, 4)  # powers of z, axis 1, axis 0
    ref = np.array([spline.x0 - 1, spline.x0 - 1, spline.z0])
    along = -z_nm / spline.dz + ref[2]
    size = spline.coeff.shape[0] + 1
    out = np.zeros((size - 1, size - 1))
    for i, j in np.ndindex(out.shape):
        # the emitter sits at ref in its own image: (y, x) pixels away, the image is sampled there
        out[i, j] = value_of(coeff, (i - y, j - x, along), "cba")
    return out


def test_the_spline_of_smap_is_the_microscope_between_its_samples(tmp_path, psf, moved):
    loadmat = pytest.importorskip("scipy.io").loadmat
    path = jio.write_smap(tmp_path / "a_3dcal.mat", psf, spacing=SPACING)
    entry = loadmat(path, struct_as_record=False, squeeze_me=True)["SXY"]
    spline = entry.cspline
    assert spline.coeff.shape == (SIZE - 1, SIZE - 1, PLANES - 1, 64)
    assert spline.coeff.dtype == np.float32 and not entry.EMon
    assert (spline.dz, spline.z0, spline.x0) == (pytest.approx(100), PLANES // 2, SIZE // 2 + 1)
    focus = psf[PLANES // 2].sum()
    found, need = as_decode(spline, 37.0, 0.3, -0.4) * focus, moved[:-1, :-1]
    inside = np.s_[2:-1, 2:-1]
    error = np.abs(found - need)[inside].max() / need.max()
    assert error < 4e-3
    for wrong in (found.T, found[::-1]):
        assert np.abs(wrong - need)[inside].max() > 0.05 * need.max()
    other = as_decode(spline, -37.0, 0.3, -0.4) * focus
    assert np.abs(other - need)[inside].max() > 10 * error * need.max()


def test_the_spline_of_uipsf_may_be_narrow(tmp_path, psf, moved):
    h5py = pytest.importorskip("h5py")
    narrow = psf[:, :, 2:-2].astype(np.float32)
    path = tmp_path / "a.h5"
    jio.write_uipsf(path, narrow, spacing=SPACING, wavelength="600 nm", na=0.8, n=1.0)
    with h5py.File(path) as file:
        params = json.loads(file.attrs["params"])
        model, coeff = file["res/I_model"][()], file["locres/coeff"][()]
        reverse, back = file["res/I_model_reverse"][()], file["locres/coeff_reverse"][()]
    assert params["pixel_size"] == {"x": PIXEL, "y": PIXEL, "z": DZ}
    assert params["option"]["imaging"]["emission_wavelength"] == pytest.approx(0.6)
    assert params["option"]["imaging"]["NA"] == 0.8 and params["channeltype"] == "single"
    assert model.shape == (PLANES, SIZE, SIZE - 4) and model.dtype == np.float32
    assert model[PLANES // 2].sum() == pytest.approx(1, rel=1e-6)
    np.testing.assert_array_equal(reverse, model[::-1])
    assert coeff.shape == back.shape == (64, PLANES - 1, SIZE - 1, SIZE - 5)
    # an objective that moves into the sample: emitter z = -(plane - middle) dz
    np.testing.assert_allclose(model * narrow[PLANES // 2].sum(), narrow[::-1], atol=1e-8)
    cells = coeff.transpose(1, 2, 3, 0).reshape(*coeff.shape[1:], 4, 4, 4)  # powers of z, y, x
    focus = narrow[PLANES // 2].sum()
    middle = PLANES // 2 - 37.0 / 100.0
    for j, i in ((9, 7), (6, 9), (11, 4)):
        found = focus * value_of(cells, (middle, j - 0.3, i + 0.4), "abc")
        assert found == pytest.approx(moved[j, i + 2], abs=4e-3 * moved.max())


def test_picasso_finds_the_depth_of_an_emitter(tmp_path, psf):
    yaml = pytest.importorskip("yaml")
    least_squares = pytest.importorskip("scipy.optimize").least_squares
    paths, modes = [0.06, 0.01], [(2, 2), (3, 1)]
    z = HEIGHTS[2:-2]
    stack = light(z, modes=modes, paths=paths)
    path = jio.write_picasso(tmp_path / "cal.yaml", stack, spacing=SPACING, box=13)
    told = yaml.safe_load(path.read_text())
    c, d = (np.array(told[f"{name} Coefficients"]) for name in "XY")
    assert len(c) == len(d) == 7 and told["Step size in nm"] == pytest.approx(100)
    assert np.polyval(c, 0) == pytest.approx(np.polyval(d, 0), rel=5e-3)

    def widths(plane):  # (along x, along y), by scipy
        r = np.arange(13) - 6.0

        def left(p):
            y, x = (np.exp(-(((r - p[k]) / p[k + 2]) ** 2) / 2) for k in (0, 1))
            return (p[4] * y[:, None] * x + p[5] - plane / plane.max()).ravel()

        p = least_squares(left, [0, 0, 2.0, 2.0, 1.0, 0.0], xtol=1e-12, ftol=1e-12).x
        return abs(p[3]), abs(p[2])

    fine = np.linspace(-700, 700, 2801)
    curve = np.sqrt([np.polyval(c, fine), np.polyval(d, fine)])
    found = []
    for depth in (-0.25, 0.04, 0.31):
        plane = light([depth], modes=modes, paths=paths)[0][3:16, 3:16]
        place = np.sqrt(widths(plane))
        found.append(fine[((curve - place[:, None]) ** 2).sum(0).argmin()] / 1e3)
    # zero is where the widths agree, so depths are told but for one number
    np.testing.assert_allclose(np.diff(found), [0.29, 0.27], atol=0.012)


def test_picasso_refuses_what_tells_no_depth(tmp_path, psf):
    round_ = light(HEIGHTS, modes=[(4, 0)], paths=[0.01])
    with pytest.raises(ValueError, match=r"astigmatism, and the widths .* are equal at every"):
        jio.write_picasso(tmp_path / "a.yaml", round_, spacing=SPACING)
    coma = light(HEIGHTS, modes=[(3, 1)], paths=[0.05])
    with pytest.raises(ValueError, match="write_picasso: picasso tells depths by astigmatism"):
        jio.write_picasso(tmp_path / "a.yaml", coma, spacing=SPACING)
    with pytest.raises(ValueError, match="at least 7 planes, got 6"):
        jio.write_picasso(tmp_path / "a.yaml", psf[:6], spacing=SPACING)
    with pytest.raises(ValueError, match="`box` must be odd and at most 19, got 12"):
        jio.write_picasso(tmp_path / "a.yaml", psf, spacing=SPACING, box=12)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda h: h[:, :, 2:-2], r"must be square with square pixels, got 19 x 15"),
        (lambda h: h[:, :-1, :-1], r"odd numbers of planes and pixels.*\(17, 18, 18\)"),
        (lambda h: h[1:], r"odd numbers of planes and pixels"),
        (lambda h: h[0], r"axes \(z, y, x\) with at least 4 samples each, got \(19, 19\)"),
        (lambda h: h[7:10], r"at least 4 samples"),
        (lambda h: np.where(h == h.max(), np.nan, h), "finite"),
        (lambda h: 0 * h, "light in its middle plane"),
    ],
)
def test_what_a_spline_cannot_hold_is_told(tmp_path, psf, change, words):
    with pytest.raises(ValueError, match=f"write_smap: .*{words}"):
        jio.write_smap(tmp_path / "a.mat", change(psf), spacing=SPACING)
    assert not list(tmp_path.iterdir())


def test_types_and_voxels(tmp_path, psf):
    with pytest.raises(TypeError, match="must be real, got complex128"):
        jio.write_smap(tmp_path / "a.mat", psf * 1j, spacing=SPACING)
    with pytest.raises(ValueError, match="voxel size"):
        jio.write_smap(tmp_path / "a.mat", psf, spacing=0.1)
    with pytest.raises(ValueError, match=r"square pixels, got 19 x 19 of 0\.1 x 0\.11"):
        jio.write_smap(tmp_path / "a.mat", psf, spacing=(0.1, 0.1, 0.11))
    one = jio.write_smap(tmp_path / "a.mat", psf.astype(np.float32), spacing=SPACING).read_bytes()
    two = jio.write_smap(tmp_path / "a.mat", psf.astype(np.float32), spacing=SPACING).read_bytes()
    assert one == two  # replaced as a whole, and the same bytes


def read_metropro(path):
    """Path differences [µm] by the MetroPro manual: big-endian, raw * S O lambda / R."""
    data = path.read_bytes()

    def get(place, kind):
        return struct.unpack_from(f">{kind}", data, place)[0]

    assert (get(0, "I"), get(4, "H")) == (0x881B036F, 1)
    size, (ny, nx) = get(6, "I"), (get(70, "H"), get(68, "H"))
    assert get(52, "H") == get(54, "H") == 0  # no intensities
    raw = np.frombuffer(data, ">i4", ny * nx, size).reshape(ny, nx).astype(float)
    steps = {0: 4096, 1: 32768, 2: 131072}[get(218, "H")]
    raw[raw >= 2147483640] = np.nan
    scale = get(164, "f") * get(176, "f") * get(168, "f")
    return raw * scale / steps * 1e6, get(184, "f") * 1e6


def test_a_map_of_path_differences_in_metropro(tmp_path):
    y, x = np.mgrid[-1:1:7j, -1:1:9j]
    opd = 0.3 * x + 0.11 * y**2 - 0.02 * x * y
    opd[y**2 + x**2 > 1.2] = np.nan
    path = jio.write_opd(tmp_path / "a.dat", opd, spacing=12.5, wavelength="633 nm")
    found, step = read_metropro(path)
    assert found.shape == (7, 9) and step == pytest.approx(12.5)
    np.testing.assert_allclose(found, opd, atol=0.633 / 65536 * 1.01)
    assert np.isnan(found).any()
    jio.write_opd(tmp_path / "a.dat", opd.astype(np.float32), spacing=12.5, wavelength=0.633)
    np.testing.assert_allclose(read_metropro(path)[0], opd, atol=2e-5)


@pytest.mark.parametrize(
    ("opd", "name", "spacing", "words"),
    [
        (np.zeros((3, 4, 5)), "a.dat", 1.0, r"axes \(y, x\)"),
        (np.full((3, 4), np.nan), "a.dat", 1.0, "must have finite values"),
        (np.full((3, 4), 1e5), "a.dat", 1.0, "below 65,000 waves"),
        (np.zeros((3, 4)), "a.int", 1.0, "must end in .dat"),
        (np.zeros((3, 4)), "a.dat", (1.0, 2.0), "must be square in the file, got 1 x 2"),
    ],
)
def test_maps_that_metropro_cannot_hold(tmp_path, opd, name, spacing, words):
    with pytest.raises(ValueError, match=f"write_opd: .*{words}"):
        jio.write_opd(tmp_path / name, opd, spacing=spacing, wavelength=0.6)


def test_a_missing_package_is_named_with_its_line(tmp_path, psf, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r'write_uipsf: HDF5 files .*"jaxwave\[hdf5\]"'):
        jio.write_uipsf(tmp_path / "a.h5", psf, spacing=SPACING, wavelength=0.6, na=0.8)
    jio.write_smap(tmp_path / "a.mat", psf, spacing=SPACING)  # needs nothing


def test_a_complex_stack_of_two_channels(tmp_path, psf):
    """Amplitude with a phase, as real and imaginary channels of a TIFF and an HDF5 file."""
    tifffile, h5py = pytest.importorskip("tifffile"), pytest.importorskip("h5py")
    y, x = np.mgrid[:SIZE, : SIZE - 4]
    field = (np.sqrt(psf[:, :, 2:-2]) * np.exp(0.3j * (y - 0.5 * x))).astype(np.complex64)
    pairs = np.stack([field.real, field.imag], 1)  # z, c, y, x
    options = {"imagej": True, "metadata": {"axes": "ZCYX"}}
    tifffile.imwrite(tmp_path / "a.tif", pairs, **options)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["psf"] = np.moveaxis(pairs, 1, 0)
    for name, axes in (("a.tif", "ZCYX"), ("a.h5", "CZYX")):
        np.testing.assert_array_equal(jio.read_psf(tmp_path / name, axes=axes), field)
    with pytest.raises(TypeError, match="Write its intensity"):
        jio.write_smap(tmp_path / "a.mat", field, spacing=SPACING)
    with pytest.raises(ValueError, match="2 channels"):  # never taken for parts in silence
        jio.read_psf(tmp_path / "a.tif")
