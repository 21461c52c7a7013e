"""Height maps in files: what is read back is what was written, and makes the same PSF."""

import numpy as np
import pytest

from jaxwave import cameras, heights, io

SHAPE, D, Z, W = (24, 21), np.array([4.0, 5.0]), 1500.0, 0.55
ENDINGS = [".tif", ".stl", ".gds"]
tifffile = pytest.importorskip("tifffile")


def relief(levels=None):
    cubic = heights.cubic(SHAPE, 3.0, spacing=D, angle=0.2)
    whole = heights.lens(SHAPE, Z, "fused silica", spacing=D, wavelength=W) + cubic
    depth = heights.wave_height("fused silica", wavelength=W)
    return np.asarray(heights.levels(whole, 8, depth) if levels else heights.wrap(whole, depth))


def psf(height):
    lens = cameras.Lens(SHAPE, D, Z, 4.0, (9, 10))
    path = heights.opd(height, "fused silica", wavelength=[0.5, W])
    return np.asarray(lens.psfs(path, [1e6], [0.5, W]))


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_read_back_makes_the_same_psf(tmp_path, ending):
    pytest.importorskip({".tif": "tifffile", ".stl": "stl", ".gds": "gdstk"}[ending])
    height = relief(levels=ending == ".gds")
    path = io.write_heights(tmp_path / f"plate{ending}", height, spacing=D)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    back, spacing = io.read_heights(path)
    assert back.shape == SHAPE  # y and x are not exchanged
    np.testing.assert_allclose(spacing, D, rtol=1e-6)
    error = {".tif": 5.1e-4, ".stl": 1e-4, ".gds": 1e-4}[ending]  # half a nm; float32 of mm
    np.testing.assert_allclose(back, height - height.min(), atol=error)
    need = psf(height)
    assert np.linalg.norm(psf(back) - need) < 5e-3 * np.linalg.norm(need)


def test_an_stl_is_a_closed_body_of_the_right_volume(tmp_path):
    stl = pytest.importorskip("stl.mesh")
    height = np.add.outer(np.arange(5.0), 2 * np.arange(4.0))
    path = io.write_heights(tmp_path / "a.stl", height, spacing=D, thickness=10.0)
    body = stl.Mesh.from_file(str(path))
    assert body.is_closed()
    a, b, c = (body.vectors[:, k].astype(float) for k in range(3))
    volume = np.sum(a * np.cross(b, c)) / 6
    y, x = 4 * D[0], 3 * D[1]
    assert volume == pytest.approx(y * x * (10.0 + height.mean()) * 1e-9, rel=1e-5)


def test_a_gds_has_one_layer_for_each_level(tmp_path):
    gdstk = pytest.importorskip("gdstk")
    height = np.array([[0.0, 0.5, 0.5], [0.25, 0.25, 0.0]])
    path = io.write_heights(tmp_path / "a.gds", height, spacing=(2.0, 3.0))
    cell = gdstk.read_gds(path).cells[0]
    area = {k: sum(p.area() for p in cell.polygons if p.layer == k) for k in (0, 1, 2)}
    assert area == pytest.approx({0: 0, 1: 12.0, 2: 12.0})


@pytest.mark.parametrize(
    ("name", "height", "words"),
    [
        ("a.png", np.ones((4, 4)), "must end in"),
        ("a.tif", np.array([[0, 70.0], [0, 1]]), "65.535 µm.*wrap"),
        ("a.tif", np.ones(4), "at least 2 by 2"),
        ("a.tif", np.array([[np.nan, 1], [0, 1]]), "finite"),
        ("a.gds", np.arange(400.0).reshape(20, 20), "Round it first"),
    ],
)
def test_errors_name_what_was_typed(tmp_path, name, height, words):
    if name.endswith(".gds"):
        pytest.importorskip("gdstk")
    with pytest.raises(ValueError, match=words):
        io.write_heights(tmp_path / name, height, spacing=4.0)
    assert not [*tmp_path.iterdir()]


def test_other_files_are_no_height_maps(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 4), np.float32))
    (tmp_path / "b.tif").write_bytes(b"II*\0nonsense")
    for name in ("a.tif", "b.tif"):
        with pytest.raises(ValueError, match="no height map"):
            io.read_heights(tmp_path / name)
    for name, package in (("a.gds", "gdstk"), ("a.stl", "stl")):
        pytest.importorskip(package)
        (tmp_path / name).write_bytes(b"x" * 100)
        with pytest.raises(ValueError, match="no height map"):
            io.read_heights(tmp_path / name)
