"""Formats beside TIFF and npy: what is written reads back, what is foreign is told in words."""

import json
import struct
import sys
import zlib

import numpy as np
import pytest

from jaxwave import io as jio
from jaxwave._check import JaxwaveWarning

SIZES = {"pixel": 0.13, "dz": 0.3}
SPACING = (0.3, 0.13, 0.13)


@pytest.fixture
def stack():
    return np.random.default_rng(0).poisson(50, (5, 16, 17)).astype(np.uint16)


# -- missing packages ----------------------------------------------------------------------

HEADS = {
    "h5py": (b"\x89HDF\r\n\x1a\n" + bytes(600), r"jaxwave\[hdf5\]"),
    "nd2": (b"\xda\xce\xbe\x0a" + bytes(600), r"jaxwave\[nd2\]"),
}


@pytest.mark.parametrize("package", HEADS)
def test_a_missing_package_names_its_extra(tmp_path, monkeypatch, package):
    head, extra = HEADS[package]
    (tmp_path / "a.bin").write_bytes(head)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=extra):
        jio.read_stack(tmp_path / "a.bin", **SIZES)


def test_zarr_without_the_package_names_its_extra(tmp_path, monkeypatch, stack):
    path = jio.write_stack(tmp_path / "a.zarr", stack, spacing=SPACING)
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match=r"jaxwave\[zarr\]"):
        jio.read_stack(path)


# -- zarr ----------------------------------------------------------------------------------


def test_zarr_is_written_by_the_specification(tmp_path, stack):
    """Without the package: the metadata of Zarr 3 and NGFF 0.5, and raw little-endian numbers."""
    path = jio.write_stack(tmp_path / "psf.zarr", stack, spacing=SPACING)
    group = json.loads((path / "zarr.json").read_text())
    assert (group["zarr_format"], group["node_type"]) == (3, "group")
    [image] = group["attributes"]["ome"]["multiscales"]
    assert [axis["name"] for axis in image["axes"]] == ["z", "y", "x"]
    assert {axis["unit"] for axis in image["axes"]} == {"micrometer"}
    [level] = image["datasets"]
    assert level["coordinateTransformations"] == [{"type": "scale", "scale": list(SPACING)}]
    array = json.loads((path / level["path"] / "zarr.json").read_text())
    raw = (path / level["path"] / "c" / "0" / "0" / "0").read_bytes()
    values = np.frombuffer(raw, "<f4").reshape(array["shape"])
    np.testing.assert_array_equal(values, stack)
    assert not list(tmp_path.glob(".*")), "nothing temporary stays"


def test_zarr_is_replaced_but_nothing_else_is(tmp_path, stack):
    path = jio.write_stack(tmp_path / "psf.zarr", stack, spacing=SPACING)
    jio.write_stack(path, stack[:3], spacing=SPACING)
    assert json.loads((path / "0" / "zarr.json").read_text())["shape"] == [3, 16, 17]
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "thesis.txt").write_text("work")
    with pytest.raises(FileExistsError, match="a folder of something else"):
        jio.write_stack(tmp_path / "mine.zarr", stack, spacing=SPACING)
    assert (tmp_path / "mine.zarr" / "thesis.txt").read_text() == "work"


def test_zarr_reads_back(tmp_path, stack):
    pytest.importorskip("zarr")
    path = jio.write_stack(tmp_path / "psf.zarr", stack, spacing=SPACING)
    back = jio.read_stack(path)
    np.testing.assert_array_equal(back.data, stack)
    assert back.spacing == pytest.approx(SPACING)
    assert "NGFF scale" in back.provenance["dz"] and len(back.sha256) == 64


# -- npz -----------------------------------------------------------------------------------


def test_npz_reads_back_with_its_voxel(tmp_path, stack):
    path = jio.write_stack(tmp_path / "psf.npz", stack, spacing=SPACING)
    back = jio.read_stack(path)
    np.testing.assert_array_equal(back.data, stack)
    assert back.spacing == pytest.approx(SPACING) and "npz spacing" in back.provenance["dx"]


def test_npz_with_several_stacks_takes_a_name(tmp_path, stack):
    np.savez(tmp_path / "a.npz", one=stack, two=stack + 1)
    np.testing.assert_array_equal(
        jio.read_stack(tmp_path / "a.npz", name="two", **SIZES).data, stack + 1
    )
    with pytest.raises(ValueError, match="holds no stack 'three'; it holds one, two"):
        jio.read_stack(tmp_path / "a.npz", name="three", **SIZES)


# -- MATLAB, HDF5 --------------------------------------------------------------------------


def test_matlab_is_read_as_rows_columns_planes(tmp_path, stack):
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(tmp_path / "a.mat", {"psf": stack.transpose(1, 2, 0), "na": 0.8})
    back = jio.read_stack(tmp_path / "a.mat", **SIZES)
    np.testing.assert_array_equal(back.data, stack)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_matlab_numbers_of_every_type(tmp_path, stack, dtype, packed):
    scipy_io = pytest.importorskip("scipy.io")
    array = stack.transpose(1, 2, 0).astype(dtype)
    others = {"cell": np.array([1, "a"], object), "text": "psf", "z": stack * 1j}
    content = {**others, "psf": array, "s": {"a": array}}
    scipy_io.savemat(tmp_path / "a.mat", content, do_compression=packed)
    back = jio.read_stack(tmp_path / "a.mat", **SIZES)
    np.testing.assert_array_equal(back.data, array.transpose(2, 0, 1).astype(np.float32))
    assert back.file_dtype == np.dtype(dtype)


def test_matlab_that_lies_about_its_size(tmp_path):
    scipy_io = pytest.importorskip("scipy.io")
    path = tmp_path / "a.mat"
    scipy_io.savemat(path, {"psf": np.zeros((8, 8, 8))}, do_compression=True)
    whole = path.read_bytes()
    for size, message in ((4096, "truncated or longer"), (1 << 31, "more than the limit")):
        inner = zlib.compress(struct.pack("<II", 14, size) + bytes(1 << 20))
        path.write_bytes(whole[:128] + struct.pack("<II", 15, len(inner)) + inner)
        with pytest.raises(ValueError, match=message):
            jio.read_stack(path, max_bytes=1e8, **SIZES)
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=r"an element claims .* are left"):
        jio.read_stack(path, **SIZES)


def test_matlab_structs_are_refused(tmp_path):
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(tmp_path / "a.mat", {"tform": {"a": np.ones((4, 4, 4))}})
    with pytest.raises(ValueError, match="holds tform: structs"):
        jio.read_stack(tmp_path / "a.mat", **SIZES)
    with pytest.raises(ValueError, match="object or struct, which is not read"):
        jio.read_stack(tmp_path / "a.mat", name="tform", **SIZES)


def test_matlab_damaged(tmp_path):
    pytest.importorskip("scipy.io")
    (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"\7" * 90)
    with pytest.raises(ValueError, match=r"a\.mat"):
        jio.read_stack(tmp_path / "a.mat", **SIZES)


def test_hdf5(tmp_path, stack):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/psf"] = stack
        file["group/psf"].attrs["element_size_um"] = SPACING
        file["z"] = np.arange(5.0)
        file["elsewhere"] = h5py.ExternalLink("other.h5", "/data")
    back = jio.read_stack(tmp_path / "a.h5")
    np.testing.assert_array_equal(back.data, stack)
    assert back.spacing == pytest.approx(SPACING)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["second"] = stack
    with pytest.raises(ValueError, match=r"must hold one stack.*group/psf"):
        jio.read_stack(tmp_path / "a.h5", **SIZES)
    assert jio.read_stack(tmp_path / "a.h5", name="second", **SIZES).shape == stack.shape


def test_hdf5_damaged(tmp_path):
    pytest.importorskip("h5py")
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(50))
    with pytest.raises(ValueError, match="is damaged"):
        jio.read_stack(tmp_path / "a.h5", **SIZES)


def test_matlab_7_3_is_hdf5_with_the_axes_reversed(tmp_path, stack):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["psf"] = stack.transpose(0, 2, 1)  # as MATLAB stores an array of (y, x, z)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")
    np.testing.assert_array_equal(jio.read_stack(path, **SIZES).data, stack)


# -- gray planes that a writer stored as the samples of a color ----------------------------


@pytest.mark.parametrize("planes", [3, 4])
def test_planes_stored_as_colors_are_read_with_axes(tmp_path, planes):
    tifffile = pytest.importorskip("tifffile")
    data = np.random.default_rng(1).integers(0, 999, (planes, 16, 17)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", planarconfig="separate")
    with pytest.raises(ValueError, match=r"pass axes='ZYX' if the samples are planes"):
        jio.read_stack(tmp_path / "a.tif", **SIZES)
    back = jio.read_stack(tmp_path / "a.tif", axes="ZYX", **SIZES)
    np.testing.assert_array_equal(back.data, data)
    assert "user: ZYX" in back.provenance["axes"]


def test_your_number_wins_over_the_file(tmp_path, stack):
    path = jio.write_stack(tmp_path / "psf.npz", stack, spacing=SPACING)
    with pytest.warns(JaxwaveWarning, match=r"`dz` is 0.2 µm by your argument and 0.3 µm"):
        assert jio.read_stack(path, dz="200 nm").spacing[0] == 0.2
