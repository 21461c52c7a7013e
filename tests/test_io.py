import dataclasses
import json
import os
import pickle
import struct
import threading
import zipfile
from io import BytesIO

import jax.numpy as jnp
import numpy as np
import pytest

import jaxwave.io as jio
from jaxwave._check import JaxwaveWarning

tifffile = pytest.importorskip("tifffile")
RNG = np.random.default_rng(7)
STACK = RNG.integers(100, 1000, (5, 16, 17)).astype(np.uint16)
SIZES = {"pixel": "130 nm", "dz": "300 nm"}


def write(path, array=STACK, **options):
    tifffile.imwrite(path, array, **{"photometric": "minisblack", "metadata": None, **options})
    return path


def described(path, array, description, **options):
    with tifffile.TiffWriter(path) as file:
        for plane in array:
            file.write(plane, description=description, metadata=None, contiguous=False, **options)
    return path


# -- voxel sizes -------------------------------------------------------------------------------


def test_user_values_come_from_text_and_numbers(tmp_path):
    path = write(tmp_path / "a.tif")
    stack = jio.read_stack(path, pixel=("130 nm", 0.14), dz=0.3)
    assert stack.spacing == (0.3, 0.13, 0.14)
    assert stack.provenance["dx"] == "0.14 µm, user"
    assert stack.data.dtype == np.float32 and stack.file_dtype == "uint16"
    np.testing.assert_array_equal(stack.data, STACK)
    assert len(stack.sha256) == 64 and stack.path == str(path)


def test_imagej_metadata(tmp_path):
    meta = {"axes": "ZYX", "spacing": 0.3, "unit": "um"}
    path = write(tmp_path / "a.tif", imagej=True, metadata=meta, resolution=(1 / 0.13, 1 / 0.14))
    stack = jio.read_stack(path)
    np.testing.assert_allclose(stack.spacing, (0.3, 0.14, 0.13), rtol=1e-6)
    assert "ImageJ spacing" in stack.provenance["dz"]


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("nm", 1e-3), ("micron", 1.0), ("\\u00B5m", 1.0), ("mm", 1e3), ("pixel", None), (None, None)],
)
def test_imagej_units(tmp_path, unit, factor):
    text = "ImageJ=1.53f\nimages=5\nslices=5\nspacing=0.0003\n" + (f"unit={unit}\n" if unit else "")
    path = described(tmp_path / "a.tif", STACK, text, resolution=(1e3, 1e3), resolutionunit=1)
    if factor is None:
        with pytest.raises(ValueError, match="`dz` is needed"):
            jio.read_stack(path)
    elif factor < 1e3:
        with pytest.raises(ValueError, match="is needed"):  # 0.3 nm and less is absurd
            jio.read_stack(path)
    else:
        np.testing.assert_allclose(jio.read_stack(path).spacing, (0.3, 1.0, 1.0))


def test_ome_metadata_with_units(tmp_path):
    meta = {"axes": "ZYX", "PhysicalSizeX": 130.0, "PhysicalSizeXUnit": "nm"}
    meta |= {"PhysicalSizeY": 0.14, "PhysicalSizeYUnit": "µm", "PhysicalSizeZ": 0.3}
    path = write(tmp_path / "a.ome.tif", ome=True, metadata=meta)
    np.testing.assert_allclose(jio.read_stack(path).spacing, (0.3, 0.14, 0.13))


def test_plain_resolution_tag(tmp_path):
    path = write(tmp_path / "a.tif", resolution=(1e5, 1e5), resolutionunit="CENTIMETER")
    stack = jio.read_stack(path, dz=0.3)
    np.testing.assert_allclose(stack.spacing, (0.3, 0.1, 0.1))
    assert "TIFF resolution" in stack.provenance["dx"]


def test_screen_resolution_is_no_pixel_size(tmp_path):
    path = write(tmp_path / "a.tif", resolution=(72, 72), resolutionunit="INCH")
    with pytest.raises(ValueError, match="`pixel` is needed"):
        jio.read_stack(path, dz=0.3)
    assert "that of a print" in jio.read_stack(path, **SIZES).notes[0]


def test_bounding_box_runs_between_sample_centers(tmp_path):
    path = described(tmp_path / "a.tif", STACK, "BoundingBox 0 1.6 0 1.5 0 1.2")
    np.testing.assert_allclose(jio.read_stack(path).spacing, (0.3, 0.1, 0.1))


def test_user_wins_with_a_warning_that_shows_both_numbers(tmp_path):
    path = described(tmp_path / "a.tif", STACK, "BoundingBox 0 1.6 0 1.5 0 1.2")
    with pytest.warns(JaxwaveWarning, match=r"0\.13 µm by your argument and 0\.1 µm by the file"):
        stack = jio.read_stack(path, pixel=0.13)
    assert stack.spacing[1:] == (0.13, 0.13)
    assert "the file says 0.1 µm (BoundingBox)" in stack.provenance["dx"]


def test_small_disagreement_is_silent(tmp_path):
    path = described(tmp_path / "a.tif", STACK, "BoundingBox 0 1.6 0 1.5 0 1.2")
    assert jio.read_stack(path, pixel=0.1005).spacing[1] == 0.1005


def test_negative_spacing_in_a_file_keeps_its_size(tmp_path):
    text = "ImageJ=1.53f\nimages=5\nslices=5\nspacing=-0.3\nunit=um\n"
    path = described(tmp_path / "a.tif", STACK, text)
    stack = jio.read_stack(path, pixel=0.13)
    assert stack.spacing[0] == 0.3 and "negative" in stack.notes[0]


def test_nothing_given_and_nothing_stated(tmp_path):
    path = write(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"`pixel` is needed.*pixel='130 nm'"):
        jio.read_stack(path, dz=0.3)
    with pytest.raises(ValueError, match=r"`dz` is needed.*dz='300 nm'"):
        jio.read_stack(path, pixel=0.13)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"pixel": 130}, "130 looks like nanometres; pass 0.13 or '130 nm'"),
        ({"dz": 3000}, "3000 looks like nanometres"),
        ({"pixel": 1.3e-7}, "looks like metres; pass 0.13 or '1.3e-07 m'"),
        ({"dz": -0.3}, "`dz` must be positive"),
        ({"dz": 0}, "`dz` must be positive"),
        ({"pixel": np.nan}, "`pixel` must be positive"),
        ({"pixel": "130"}, "expected a number and a unit"),
        ({"pixel": (0.1, 0.1, 0.1)}, r"one length or \(dy, dx\)"),
        ({"nan": "maks"}, "Did you mean 'mask'"),
    ],
)
def test_bad_arguments(tmp_path, sizes, message):
    path = write(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=message):
        jio.read_stack(path, **sizes)


# -- damaged, foreign and hostile files --------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": None}, "`path` must be the name of a file, got NoneType"),
        ({"path": ["a.npy", "b.npy"]}, "`path` must be the name of a file, got list"),
        ({"select": ["C"]}, r"`select` must look like \{'C': 0\}, with whole numbers, got \['C'\]"),
        ({"select": {"C": "first"}}, "`select` must look like"),
        ({"select": 0}, "`select` must look like"),
        ({"dz": [0.3, 0.3]}, r"`dz` must be one length, got \[0.3, 0.3\]"),
        ({"max_bytes": "4 GB"}, "`max_bytes` must be a number, got the text '4 GB'"),
        ({"max_bytes": -1}, "`max_bytes` must be positive"),
    ],
)
def test_arguments_of_the_wrong_kind(tmp_path, options, message):
    np.save(tmp_path / "a.npy", np.ones((3, 8, 8)))
    with pytest.raises((TypeError, ValueError), match=message):
        jio.read_stack(**{"path": tmp_path / "a.npy", **SIZES, **options})


def test_path_faults(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        jio.read_stack(tmp_path / "no.tif")
    with pytest.raises(IsADirectoryError, match="must be a file, got the folder"):
        jio.read_stack(tmp_path)
    (tmp_path / "empty.tif").touch()
    with pytest.raises(ValueError, match="is empty"):
        jio.read_stack(tmp_path / "empty.tif")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"hello world", "not a TIFF, npy, npz, Zarr, HDF5, Imaris, MATLAB, ND2 or CZI file; it"),
        (b"\x89PNG\r\n\x1a\n....", "PNG image"),
        (b"\x70\0\0\0\1", "is a LIF file of Leica's LAS X"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an OLE file, such as Olympus' OIB"),
        (b"\x1f\x8b\x08", "is compressed with gzip; unpack it first"),
        (pickle.dumps([1, 2]), "never loaded"),
        (b"II*\0", "no readable TIFF page"),
        (b"II*\0\x08\0\0\0", "no readable TIFF page"),
        (b"MM\0+\0\x08\0\0", "no readable TIFF page"),
        (b"PK\x03\x04 and no more", "is damaged"),
    ],
)
def test_not_a_stack_file(tmp_path, head, message):
    (tmp_path / "a.tif").write_bytes(head)
    with pytest.raises(ValueError, match=message):
        jio.read_stack(tmp_path / "a.tif", **SIZES)


KINDS = {
    "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
    "ome": {"ome": True, "metadata": {"axes": "ZYX"}},
    "shaped": {"metadata": {}},
    "plain": {},
    "zlib": {"compression": "zlib"},
    "tiled": {"tile": (16, 16)},
    "bigtiff": {"bigtiff": True},
    "bigendian": {"byteorder": ">"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_truncation_is_found_at_every_length(tmp_path, kind):
    path = write(tmp_path / "a.tif", **KINDS[kind])
    whole = path.read_bytes()
    assert jio.read_stack(path, **SIZES).shape == STACK.shape
    for part in np.linspace(0.02, 0.995, 14):
        path.write_bytes(whole[: int(part * len(whole))])
        message = "readable in a file|no readable TIFF page"
        with pytest.raises(ValueError, match=message):
            jio.read_stack(path, **SIZES)


def test_truncated_imagej_stack_tells_how_many_planes(tmp_path):
    path = write(tmp_path / "a.tif", imagej=True, metadata={"axes": "ZYX"})
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(ValueError, match="declares 5 planes of 544 bytes, 1 readable"):
        jio.read_stack(path, **SIZES)


def test_missing_imagej_planes(tmp_path):
    path = described(tmp_path / "a.tif", STACK[:3], "ImageJ=1.53f\nimages=5\nslices=5\n")
    with pytest.raises(ValueError, match="declares 5 planes of 544 bytes, 3 readable"):
        jio.read_stack(path, **SIZES)


def test_one_page_for_many_planes_is_read(tmp_path):
    # ImageJ writes stacks above 4 GB as one page, followed by plain pixels.
    path = tmp_path / "a.tif"
    text = "ImageJ=1.53f\nimages=5\nslices=5\n"
    described(path, STACK[:1], text, photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        end = file.pages[0].dataoffsets[0] + STACK[0].nbytes
    whole = path.read_bytes()[:end] + STACK[1:].tobytes()
    path.write_bytes(whole)
    np.testing.assert_array_equal(jio.read_stack(path, **SIZES).data, STACK)
    path.write_bytes(whole[:-1000])
    with pytest.raises(ValueError, match="declares 5 planes of 544 bytes, 3 readable"):
        jio.read_stack(path, **SIZES)


def bomb(path, width, height, compression, stored):
    tags = [(256, 4, width), (257, 4, height), (258, 3, 16), (259, 3, compression)]
    tags += [(262, 3, 1), (273, 4, 200), (277, 3, 1), (278, 4, height), (279, 4, stored)]
    body = b"".join(struct.pack("<HHII", code, kind, 1, value) for code, kind, value in tags)
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + body + struct.pack("<I", 0)
    path.write_bytes(head.ljust(200, b"\0") + b"\0" * 10)
    return path


@pytest.mark.parametrize("compression", [1, 8])
def test_header_that_claims_28_gigabytes(tmp_path, compression):
    path = bomb(tmp_path / "a.tif", 120_000, 120_000, compression, 10)
    with pytest.raises(ValueError, match=r"of 28\.8 GB, 0 readable in a file of 210 bytes"):
        jio.read_stack(path, **SIZES)


def test_header_that_claims_a_long_tag(tmp_path):
    path = bomb(tmp_path / "a.tif", 10, 10, 1, 10)
    data = bytearray(path.read_bytes())
    place = data.index(struct.pack("<HH", 273, 4))
    data[place + 4 : place + 8] = struct.pack("<I", 2**31)
    path.write_bytes(data)
    with pytest.raises(ValueError, match="no readable TIFF page"):
        jio.read_stack(path, **SIZES)


def test_pages_that_point_at_each_other(tmp_path):
    path = write(tmp_path / "a.tif", STACK[:2])
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        offsets = [page.offset for page in file.pages]
    tags = struct.unpack_from("<H", data, offsets[1])[0]
    struct.pack_into("<I", data, offsets[1] + 2 + 12 * tags, offsets[0])
    path.write_bytes(data)
    with pytest.raises(ValueError, match="declares more than 2 planes"):
        jio.read_stack(path, **SIZES)


def test_size_limit(tmp_path):
    path = write(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"needs 5\.44 kB of memory.*`max_bytes`"):
        jio.read_stack(path, **SIZES, max_bytes=5000)
    np.save(tmp_path / "a.npy", STACK)
    with pytest.raises(ValueError, match="`max_bytes`"):
        jio.read_stack(tmp_path / "a.npy", **SIZES, max_bytes=1000)
    np.savez_compressed(tmp_path / "z.npz", data=np.zeros((10, 100, 100)))
    with pytest.raises(ValueError, match="`max_bytes`"):
        jio.read_stack(tmp_path / "z.npz", **SIZES, max_bytes=1000)


@pytest.mark.parametrize("name", ["rgb", "planar", "samples"])
def test_color_is_refused(tmp_path, name):
    array = np.zeros((5, 16, 16, 3) if name != "planar" else (3, 16, 16), np.uint8)
    options = {"rgb": {"photometric": "rgb"}, "samples": {"planarconfig": "contig"}}
    extra = options.get(name, {"photometric": "rgb", "planarconfig": "separate"})
    path = write(tmp_path / "a.tif", array, **extra)
    with pytest.raises(ValueError, match="is a color image"):
        jio.read_stack(path, **SIZES)


def test_xml_entities_are_not_expanded(tmp_path):
    text = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "boom">]><OME><Pixels/></OME>'
    path = described(tmp_path / "a.tif", STACK, text)
    with pytest.raises(ValueError, match="declares a DOCTYPE or entities"):
        jio.read_stack(path, **SIZES)


def test_broken_xml(tmp_path):
    path = described(tmp_path / "a.tif", STACK, "<OME><Pixels></OME>")
    with pytest.raises(ValueError, match="not well-formed"):
        jio.read_stack(path, **SIZES)


def test_pickles_are_refused(tmp_path):
    objects = np.array([{"a": 1}, None], object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "a.npz", data=objects)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ValueError, match="never unpickled"):
            jio.read_stack(tmp_path / name, **SIZES)


# -- npy and npz -------------------------------------------------------------------------------


def test_npy_and_npz(tmp_path):
    np.save(tmp_path / "a.npy", np.asfortranarray(STACK))
    np.savez_compressed(tmp_path / "a.npz", data=STACK, spacing=[0.3, 0.1, 0.2], other=STACK)
    np.testing.assert_array_equal(jio.read_stack(tmp_path / "a.npy", **SIZES).data, STACK)
    stack = jio.read_stack(tmp_path / "a.npz")
    np.testing.assert_array_equal(stack.data, STACK)
    assert stack.spacing == (0.3, 0.1, 0.2) and "npz spacing" in stack.provenance["dz"]


def test_npy_truncated_and_lying(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, STACK)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match="is truncated"):
        jio.read_stack(path, **SIZES)
    path.write_bytes(whole.replace(b"(5, 16, 17)", b"(5, 160, 7)").replace(b"160, 7", b"9**9,7"))
    with pytest.raises(ValueError, match="no readable npy header"):
        jio.read_stack(path, **SIZES)
    path.write_bytes(whole[:20])
    with pytest.raises(ValueError, match="no readable npy header"):
        jio.read_stack(path, **SIZES)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_a_damaged_piece_of_an_npz_is_told(tmp_path, method):
    path = tmp_path / "a.npz"
    stream = BytesIO()
    np.save(stream, STACK)
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("data.npy", stream.getvalue())
    data = bytearray(path.read_bytes())
    for place in (45, 60, 300):
        damaged = data.copy()
        damaged[place : place + 20] = bytes(20)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"read_stack: 'a\.npz' is damaged|no readable npy"):
            jio.read_stack(path, **SIZES)


def test_a_size_that_no_float_holds_is_told(tmp_path):
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1" + b"0" * 400 + b", 2, 2), }"
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head)
    with pytest.raises(ValueError, match="the file is truncated or its header is wrong"):
        jio.read_stack(tmp_path / "a.npy", **SIZES)


def test_npz_faults(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, a=STACK, b=STACK)
    with pytest.raises(ValueError, match="must hold one stack, or one with the name 'data'"):
        jio.read_stack(path, **SIZES)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "hello")
    with pytest.raises(ValueError, match="not an npz file of arrays"):
        jio.read_stack(path, **SIZES)
    np.savez(path, data=STACK)
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="is damaged"):
        jio.read_stack(path, **SIZES)


# -- axes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", ["T", "C"])
def test_z_stored_as_time_or_channel_is_read_and_said(tmp_path, letter):
    meta = {"axes": f"{letter}YX"}
    path = write(tmp_path / "a.ome.tif", ome=True, metadata=meta)
    with pytest.warns(JaxwaveWarning, match=f"stores its 5 planes as {letter}"):
        stack = jio.read_stack(path, **SIZES)
    assert f"{letter} read as z" in stack.provenance["axes"]
    assert jio.read_stack(path, **SIZES, axes="ZYX").provenance["axes"] == "user: ZYX"


def test_ambiguous_axes_name_the_shape_and_the_fix(tmp_path):
    five = np.arange(2 * 5 * 8 * 9, dtype=np.uint16).reshape(2, 5, 8, 9)
    path = write(tmp_path / "a.ome.tif", five, ome=True, metadata={"axes": "CZYX"})
    with pytest.raises(ValueError, match=r"\(2, 5, 8, 9\) with the axes CZYX.*select=\{'C': 0\}"):
        jio.read_stack(path, **SIZES)
    stack = jio.read_stack(path, **SIZES, select={"C": 1})
    np.testing.assert_array_equal(stack.data, five[1])
    path = write(tmp_path / "b.ome.tif", five, ome=True, metadata={"axes": "CTYX"})
    with pytest.raises(ValueError, match="Say which axis is z with `axes`"):
        jio.read_stack(path, **SIZES)
    chosen = jio.read_stack(path, **SIZES, axes="CZYX", select={"C": 0})
    np.testing.assert_array_equal(chosen.data, five[0])


def test_few_channels_may_be_colors(tmp_path):
    path = write(tmp_path / "a.ome.tif", STACK[:3], ome=True, metadata={"axes": "CYX"})
    with pytest.raises(ValueError, match="3 entries may be colors or planes"):
        jio.read_stack(path, **SIZES)
    assert jio.read_stack(path, **SIZES, axes="ZYX").shape == (3, 16, 17)


def test_axes_of_length_one_are_dropped(tmp_path):
    path = write(
        tmp_path / "a.tif",
        STACK[None, :, None],
        imagej=True,
        metadata={"axes": "TZCYX"},
    )
    assert jio.read_stack(path, **SIZES).shape == STACK.shape


def test_axes_are_transposed(tmp_path):
    np.save(tmp_path / "a.npy", STACK.transpose(1, 2, 0))
    stack = jio.read_stack(tmp_path / "a.npy", **SIZES, axes="YXZ")
    np.testing.assert_array_equal(stack.data, STACK)


@pytest.mark.parametrize("shape", [(16, 16, 5), (5, 16, 3), (2, 3, 4, 5)])
def test_unlabeled_arrays_that_are_not_surely_zyx(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.ones(shape))
    with pytest.raises(ValueError, match=r"`axes` are needed.*axes='YXZ'"):
        jio.read_stack(tmp_path / "a.npy", **SIZES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": "ZZX"}, "must name every axis once"),
        ({"axes": "TYX"}, "contain Z, Y and X"),
        ({"axes": "CZYX"}, "must name the 3 axes"),
        ({"select": {"C": 0}}, "must choose from the stack axes"),
        ({"axes": "ZYX", "select": {"Z": 9}}, "must lie within the 5 entries"),
        ({"axes": "ZYX", "select": {"Z": 1}}, "holds one image"),
    ],
)
def test_bad_axes(tmp_path, options, message):
    path = write(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=message):
        jio.read_stack(path, **SIZES, **options)


@pytest.mark.parametrize("array", [STACK[0], STACK[:1]])
def test_one_image_is_refused(tmp_path, array):
    path = write(tmp_path / "a.tif", array)
    with pytest.raises(ValueError, match=r"a z stack \(z, y, x\) of two planes or more is needed"):
        jio.read_stack(path, **SIZES)
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError, match="a z stack"):
        jio.read_stack(tmp_path / "a.npy", **SIZES)


def test_two_stacks_in_one_file(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for array in (STACK, STACK[:, :8, :8]):  # tifffile drops the second one in silence
            file.write(array, photometric="minisblack", metadata=None)
    with pytest.raises(ValueError, match=r"pages of several sizes \(8 x 8, 17 x 16 pixels\)"):
        jio.read_stack(tmp_path / "a.tif", **SIZES)
    with tifffile.TiffWriter(tmp_path / "b.ome.tif", ome=True) as file:
        for array in (STACK, STACK):
            file.write(array, photometric="minisblack", metadata={"axes": "ZYX"})
    with pytest.raises(ValueError, match=r"holds 2 stacks \(P 0: Image0, Z 5 Y 16 X 17, P 1: "):
        jio.read_stack(tmp_path / "b.ome.tif", **SIZES)
    assert jio.read_stack(tmp_path / "b.ome.tif", select={"P": 1}, **SIZES).shape == STACK.shape


# -- values ------------------------------------------------------------------------------------

DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_kind_of_number(tmp_path, dtype):
    array = RNG.integers(0, 100, (5, 8, 9)).astype(dtype)
    path = write(tmp_path / "a.tif", array)
    stack = jio.read_stack(path, **SIZES)
    assert stack.data.dtype == np.float32 and stack.file_dtype == dtype
    np.testing.assert_array_equal(stack.data, array)
    full = float(np.iinfo(dtype).max) if "int" in dtype else np.inf
    assert stack.saturation == full and not stack.saturated.any()


def test_negative_values_are_fine(tmp_path):
    path = write(tmp_path / "a.tif", STACK.astype(np.int16) - 500)
    assert jio.read_stack(path, **SIZES).data.min() < 0


def test_complex_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", STACK.astype(np.complex64))
    with pytest.raises(ValueError, match=r"must hold real numbers.*intensity"):
        jio.read_stack(tmp_path / "a.npy", **SIZES)


def test_left_justified_12_bits_are_said(tmp_path):
    array = (RNG.integers(0, 4096, (5, 16, 16)) * 16).astype(np.uint16)
    stack = jio.read_stack(write(tmp_path / "a.tif", array), **SIZES)
    assert stack.saturation == 4095 * 16
    assert "12-bit numbers, left-justified" in stack.notes[0]
    np.testing.assert_array_equal(stack.data, array)


@pytest.mark.parametrize(("top", "level"), [(65535, 65535), (4095, 4095), (3001, 3001)])
def test_saturation(tmp_path, top, level):
    z, y, x = np.mgrid[-4:5, -16:16, -16:16]
    bead = 5000 * np.exp(-(x**2 + y**2) / 30 - z**2 / 8) * (top / 4000) + 101
    array = np.minimum(bead, top).astype(np.uint16)
    stack = jio.read_stack(write(tmp_path / "a.tif", array), **SIZES)
    assert stack.saturation == level
    assert stack.saturated.sum() == (array == top).sum() > 8


def test_smooth_data_are_not_saturated(tmp_path):
    z, y, x = np.mgrid[-4:5, -16:16, -16:16]
    bead = 3000 * np.exp(-(x**2 + y**2) / 30 - z**2 / 8)
    stack = jio.read_stack(write(tmp_path / "a.tif", bead.astype(np.float32)), **SIZES)
    assert stack.saturation == np.inf


def test_nan_and_infinity(tmp_path):
    array = STACK.astype(np.float32)
    array[2, 3, 4], array[4, 0, 0] = np.nan, np.inf
    path = write(tmp_path / "a.tif", array)
    message = r"got 2 NaN or infinite values, the first one at index \(2, 3, 4\).*nan='mask'"
    with pytest.raises(ValueError, match=message):
        jio.read_stack(path, **SIZES)
    stack = jio.read_stack(path, **SIZES, nan="mask")
    assert stack.mask.sum() == 2 and stack.mask[2, 3, 4] and np.isfinite(stack.data).all()
    write(path, np.full_like(array, np.nan))
    with pytest.raises(ValueError, match="no finite value at all"):
        jio.read_stack(path, **SIZES, nan="mask")


def test_values_beyond_float32(tmp_path):
    np.save(tmp_path / "a.npy", np.full((5, 8, 9), 1e200))
    with pytest.raises(ValueError, match="which float32 cannot"):
        jio.read_stack(tmp_path / "a.npy", **SIZES)
    path = write(tmp_path / "a.tif", np.full((5, 8, 9), 2**31, np.uint32))
    assert "rounded to the 24 bits" in jio.read_stack(path, **SIZES).notes[0]


# -- the Stack ---------------------------------------------------------------------------------


def test_stack_is_an_array_and_can_be_cut(tmp_path):
    stack = jio.read_stack(write(tmp_path / "a.tif"), **SIZES)
    np.testing.assert_array_equal(np.asarray(stack), STACK)
    np.testing.assert_array_equal(jnp.asarray(np.asarray(stack)), STACK)
    part = stack[1:4, 2:10, -5:][:, 1:]
    np.testing.assert_array_equal(part.data, STACK[1:4, 3:10, -5:])
    assert part.mask.shape == part.shape and part.ndim == 3
    expected = "planes 1:4, rows 2:10, columns 12:17; then planes 0:3, rows 1:8"
    assert part.provenance["crop"] == expected
    assert "dz: 0.3 µm, user" in stack.describe()
    with pytest.raises(TypeError, match=r"use stack\.data|Use stack\.data"):
        stack[0]
    with pytest.raises(TypeError, match="step"):
        stack[::2]
    with pytest.raises(dataclasses.FrozenInstanceError):
        stack.data = None


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.ome.tiff"])
def test_write_stack_round_trip(tmp_path, name):
    array = RNG.normal(size=(5, 8, 9)).astype(np.float32)
    path = jio.write_stack(tmp_path / name, array, spacing=("300 nm", 0.13, 0.14))
    stack = jio.read_stack(path)
    np.testing.assert_array_equal(stack.data, array)
    np.testing.assert_allclose(stack.spacing, (0.3, 0.13, 0.14), rtol=1e-6)
    again = jio.read_stack(jio.write_stack(tmp_path / f"b{name}", stack))
    np.testing.assert_allclose(again.spacing, stack.spacing, rtol=1e-6)
    assert sorted(os.listdir(tmp_path)) == sorted([name, f"b{name}"])


def test_write_stack_errors(tmp_path):
    with pytest.raises(ValueError, match=r"`spacing` must be the voxel size \(dz, dy, dx\)"):
        jio.write_stack(tmp_path / "a.tif", STACK)
    with pytest.raises(ValueError, match=r"`stack` must have the axes \(z, y, x\)"):
        jio.write_stack(tmp_path / "a.tif", STACK[0], spacing=(1, 1, 1))
    with pytest.raises(ValueError, match="`spacing` must be positive"):
        jio.write_stack(tmp_path / "a.tif", STACK, spacing=(1, 0, 1))
    with pytest.raises(TypeError, match="must be real"):
        jio.write_stack(tmp_path / "a.tif", STACK * 1j, spacing=(1, 1, 1))
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        jio.write_stack(tmp_path / "no" / "a.tif", STACK, spacing=(1, 1, 1))


def test_missing_tifffile_names_the_extra(tmp_path, monkeypatch):
    path = write(tmp_path / "a.tif")
    monkeypatch.setitem(__import__("sys").modules, "tifffile", None)
    with pytest.raises(ImportError, match=r'pip install "jaxwave\[files\]"'):
        jio.read_stack(path, **SIZES)
    with pytest.raises(ImportError, match=r"jaxwave\[files\]"):
        jio.write_stack(path, STACK, spacing=(1, 1, 1))


def test_tifffile_stays_quiet(tmp_path, caplog, capfd):
    path = described(tmp_path / "a.tif", STACK, "BoundingBox 0 1.6 0 1.5 0 1.2")
    data = path.read_bytes()
    path.write_bytes(data)
    jio.read_stack(path)
    assert not caplog.records and capfd.readouterr().err == ""


# -- results -----------------------------------------------------------------------------------


def test_write_json_converts(tmp_path):
    value = {
        "a": np.float32(0.5),
        "b": jnp.arange(3),
        "c": [np.nan, np.inf, 1, True, None, "µ"],
        "d": (np.int64(3), {4: np.bool_(True)}),
        "e": 1 + 2j,
        "f": tmp_path,
        "g": jnp.ones((2, 2), jnp.bfloat16),
    }
    written = json.loads(jio.write_json(tmp_path / "a.json", value).read_text())
    assert written["a"] == 0.5 and written["b"] == [0, 1, 2]
    assert written["c"] == [None, None, 1, True, None, "µ"]
    assert written["d"] == [3, {"4": True}]
    assert written["e"] == {"real": 1.0, "imag": 2.0}
    assert written["f"] == str(tmp_path) and written["g"] == [[1, 1], [1, 1]]


def test_write_json_names_what_it_cannot_write(tmp_path):
    with pytest.raises(TypeError, match=r"value\.a\[1\]\.b must be made of numbers"):
        jio.write_json(tmp_path / "a.json", {"a": [1, {"b": object()}]})
    assert not list(tmp_path.iterdir())


def test_write_result_adds_versions(tmp_path):
    path = jio.write_result(tmp_path / "result.json", {"heldout_nmse": np.float32(0.25)})
    result = json.loads(path.read_text())
    assert result["heldout_nmse"] == 0.25 and {"jax", "numpy"} <= set(result["versions"])
    with pytest.raises(TypeError, match="must be a dict"):
        jio.write_result(path, [1, 2])


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = jio.write_json(tmp_path / "a.json", 1)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"write_json: cannot write .*No space left on device"):
        jio.write_json(path, 2)
    assert json.loads(path.read_text()) == 1 and os.listdir(tmp_path) == ["a.json"]


def test_writers_in_threads_leave_a_whole_file(tmp_path):
    path = tmp_path / "a.json"
    threads = [threading.Thread(target=jio.write_json, args=(path, [k] * 10_000)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(json.loads(path.read_text()))) == 1 and os.listdir(tmp_path) == ["a.json"]


def test_arrays_round_trip(tmp_path):
    arrays = {
        "mask.phase": RNG.normal(size=(3, 4)),
        "u": np.ones((2, 2), np.complex64),
        "flag": np.array(True),
        "empty": np.zeros((0, 3)),
        "note": np.array("µm"),
        "jax": jnp.arange(4),
        "file": np.asfortranarray(RNG.normal(size=(3, 4))),
    }
    path = jio.save_arrays(tmp_path / "a.npz", arrays)
    loaded = jio.load_arrays(path)
    assert list(loaded) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == np.asarray(array).dtype
    before = path.read_bytes()
    assert jio.save_arrays(path, arrays).read_bytes() == before
    loaded["u"][0, 0] = 2  # writable
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["u"], arrays["u"])


def test_every_flipped_byte_is_noticed(tmp_path):
    path = jio.save_arrays(tmp_path / "a.npz", {"a": np.arange(8.0), "b": np.ones(3, np.int32)})
    whole = path.read_bytes()
    ignored = 0
    for place in range(0, len(whole), 5):
        data = bytearray(whole)
        data[place] ^= 0x10
        path.write_bytes(data)
        try:
            loaded = jio.load_arrays(path)
        except ValueError:
            continue
        ignored += 1  # dates and padding carry no numbers
        np.testing.assert_array_equal(loaded["a"], np.arange(8.0))
    assert ignored < 0.3 * len(whole) / 5


def test_array_errors(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(TypeError, match="`a` must hold numbers"):
        jio.save_arrays(path, {"a": np.array([None])})
    with pytest.raises(TypeError, match="bfloat16"):
        jio.save_arrays(path, {"a": jnp.ones(2, jnp.bfloat16)})
    with pytest.raises(ValueError, match="is taken"):
        jio.save_arrays(path, {"sha256": 1})
    with pytest.raises(FileNotFoundError):
        jio.load_arrays(path)
    jio.save_arrays(path, {"a": np.arange(100)})
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="is damaged"):
        jio.load_arrays(path)
    np.savez(path, a=np.array([None]))
    with pytest.raises(ValueError, match="never unpickled"):
        jio.load_arrays(path)
    np.savez(path, a=np.arange(3), sha256=np.array("0" * 64))
    with pytest.raises(ValueError, match="do not match their checksum"):
        jio.load_arrays(path)
