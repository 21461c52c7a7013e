"""CZI files: made by Zeiss' own writer, read with czifile, and what is told without either."""

import sys
import types

import numpy as np
import pytest

from jaxwave import io as jio
from jaxwave._check import JaxwaveWarning

A = np.random.default_rng(0).integers(90, 4000, (2, 7, 12, 16)).astype(np.uint16)  # c, z, y, x
SPACING = (0.3, 0.14, 0.13)


def written(path, scenes=1, channels=1, planes=range(7), scale=1e-6, lost=(), packing=None):
    """A CZI file; scenes and channels hold the same planes with other numbers added."""
    pytest.importorskip("czifile", reason="czifile reads CZI (from Python 3.12 on)")
    writer = pytest.importorskip("pylibCZIrw.czi", reason="pylibCZIrw writes the files")
    with writer.create_czi(str(path), compression_options=packing) as file:
        for s, c, z in np.ndindex(scenes, channels, len(planes)):
            if (c, z) not in lost:
                plane = {"C": c, "Z": planes[z], "T": 0}
                values = (A[c, z] + 100 * s)[..., None]
                file.write(values, location=(100 * s, 0), plane=plane, scene=s)
        dz, dy, dx = (scale * d for d in SPACING)
        file.write_metadata("beads", scale_x=dx, scale_y=dy, scale_z=dz)
    return path


@pytest.mark.parametrize("packing", [None, "uncompressed:", "zstd0:", "zstd1:"])
def test_planes_and_voxel(tmp_path, packing):
    if packing and "zstd" in packing:
        codecs = pytest.importorskip("imagecodecs")
        if not hasattr(codecs, "zstd1_decode"):
            pytest.skip("this imagecodecs is older than czifile asks for")
    stack = jio.read_stack(written(tmp_path / "a.czi", packing=packing))
    np.testing.assert_array_equal(stack.data, A[0])
    np.testing.assert_allclose(stack.spacing, SPACING, rtol=1e-6)
    assert stack.provenance["dx"] == "0.13 µm, file (CZI scaling)"
    assert stack.file_dtype == "uint16"


def test_scenes_and_channels_are_chosen(tmp_path):
    path = written(tmp_path / "a.czi", scenes=3, channels=2)
    with pytest.raises(ValueError, match=r"holds 3 stacks \(P 0: Scene 0, C 2 Z 7 .*'P': 0"):
        jio.read_stack(path)
    with pytest.raises(ValueError, match=r"ambiguous.*CZYX.*select=\{'C': 0\}"):
        jio.read_stack(path, select={"P": 1})
    stack = jio.read_stack(path, select={"P": 2, "C": 1})
    np.testing.assert_array_equal(stack.data, A[1] + 200)


def test_planes_that_do_not_begin_at_zero(tmp_path):
    stack = jio.read_stack(
        written(tmp_path / "a.czi", channels=2, planes=range(6, 13)), select={"C": 1}
    )
    np.testing.assert_array_equal(stack.data, A[1])


def test_planes_that_were_never_written_are_no_zeros(tmp_path):
    path = written(tmp_path / "a.czi", channels=2, lost=[(1, 5)])
    with pytest.raises(
        ValueError, match=r"7 planes in z, of which the first 5 are .* missing='trim'"
    ):
        jio.read_stack(path, select={"C": 1})
    np.testing.assert_array_equal(jio.read_stack(path, select={"C": 0}).data, A[0])
    stack = jio.read_stack(path, select={"C": 1}, missing="trim")
    np.testing.assert_array_equal(stack.data, A[1, :5])
    assert "5 of 7 planes are there (missing='trim')" in stack.notes


def test_a_scaling_of_nothing_is_quoted_and_a_limit_holds(tmp_path):
    path = written(tmp_path / "a.czi", scale=0.0)
    with pytest.raises(ValueError, match="`dz` is needed"):
        jio.read_stack(path)
    with pytest.raises(ValueError, match="max_bytes"):
        jio.read_stack(path, pixel=0.13, dz=0.3, max_bytes=1000)


@pytest.mark.slow
def test_damaged_files_are_told_in_words(tmp_path):
    whole = written(tmp_path / "a.czi", channels=2).read_bytes()
    rng = np.random.default_rng(1)
    for k in range(30):
        data = bytearray(whole)
        for place in rng.integers(16, len(whole), 1 + k % 4):
            data[place] = rng.integers(256)
        cut = len(whole) if k % 2 else int(rng.integers(16, len(whole)))
        (tmp_path / "b.czi").write_bytes(data[:cut])
        try:
            jio.read_stack(tmp_path / "b.czi", pixel=0.13, dz=0.3, max_bytes=1e6)
        except ValueError as error:
            assert str(error).startswith("read_stack: "), error
        except JaxwaveWarning:
            pass


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (None, r"from Python 3\.12 on; else save them as OME-TIFF.*jaxwave\[czi\]"),
        (types.SimpleNamespace(__version__="2019.7.2"), r"czifile 2019\.7\.2 is too old"),
    ],
)
def test_without_the_package_it_is_said_what_to_do(tmp_path, monkeypatch, module, words):
    monkeypatch.setitem(sys.modules, "czifile", module)
    (tmp_path / "a.czi").write_bytes(b"ZISRAWFILE" + bytes(600))
    with pytest.raises(ImportError, match=words):
        jio.read_stack(tmp_path / "a.czi", pixel=0.13, dz=0.3)
