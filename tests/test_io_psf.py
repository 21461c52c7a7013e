"""PSFs of other programs: each layout of complex numbers, each format, each thing unclear."""

import numpy as np
import pytest

from jaxwave.io import read_psf, read_stack

RNG = np.random.default_rng(0)
FIELD = (RNG.normal(size=(3, 9, 7)) + 1j * RNG.normal(size=(3, 9, 7))).astype(np.complex64)
PARTS = np.stack([FIELD.real, FIELD.imag], -1)
IMAGE = np.abs(FIELD) ** 2


def structured(r, i):
    pairs = np.zeros(FIELD.shape, [(i, "f4"), (r, "f4")])
    pairs[r], pairs[i] = FIELD.real, FIELD.imag
    return pairs


def hdf5(path, array):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["psf"] = array
        file["psf"].attrs["NA"] = 0.45


def matlab(path, array):
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(path, {"psf": array, "note": "words"})


WRITERS = {
    "npy": np.save,
    "npz": lambda path, array: np.savez(path, psf=array),
    "h5": hdf5,
    "mat": matlab,
}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize(
    ("array", "need"),
    [
        (FIELD, FIELD),
        (PARTS[None], FIELD),
        (PARTS, FIELD),
        (IMAGE, IMAGE),
        (IMAGE[0], IMAGE[:1]),
        (FIELD[None, None], FIELD),
    ],
    ids=["complex", "WaveBlocks", "pairs", "real", "one plane", "single axes"],
)
def test_every_layout(tmp_path, suffix, array, need):
    path = tmp_path / f"a.{suffix}"
    WRITERS[suffix](path, array)
    axes = None
    if suffix == "mat" and array.ndim == 3:  # MATLAB's are (y, x, z) unless one says so
        with pytest.raises(ValueError, match="3 x 9 pixels look transposed"):
            read_psf(path)
        axes = "ZYX"
    h = read_psf(path, axes=axes)
    np.testing.assert_array_equal(h, need)
    assert h.dtype == need.dtype and h.flags.c_contiguous


@pytest.mark.parametrize("fields", [("r", "i"), ("real", "imag"), ("Re", "Im")], ids=str)
def test_structures_are_complex_numbers(tmp_path, fields):
    hdf5(tmp_path / "a.h5", structured(*fields))
    np.testing.assert_array_equal(read_psf(tmp_path / "a.h5"), FIELD)


def test_matlab_7_3(tmp_path):
    """HDF5 behind 512 bytes of MATLAB, columns first."""
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["psf"] = structured("real", "imag").transpose(0, 2, 1)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(512))
    np.testing.assert_array_equal(read_psf(path), FIELD)


def test_tiff_and_axes_that_the_user_names(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, photometric="minisblack", metadata={"axes": "ZYX"})
    np.testing.assert_array_equal(read_psf(tmp_path / "a.tif"), IMAGE)
    np.save(tmp_path / "b.npy", np.moveaxis(PARTS, -1, 0))
    np.testing.assert_array_equal(read_psf(tmp_path / "b.npy", axes="CZYX"), FIELD)
    np.save(tmp_path / "c.npy", FIELD.transpose(1, 2, 0))
    np.testing.assert_array_equal(read_psf(tmp_path / "c.npy", axes="YXZ"), FIELD)
    np.save(tmp_path / "d.npy", np.stack([FIELD, 2 * FIELD]))
    np.testing.assert_array_equal(
        read_psf(tmp_path / "d.npy", axes="PZYX", select={"P": 1}), 2 * FIELD
    )


@pytest.mark.parametrize(
    ("array", "axes", "words"),
    [
        (np.ones((9, 9, 5)), None, "`axes` are needed, because 'a.npy' has the shape .9, 9, 5."),
        (np.ones((9, 7, 2)), None, "with C for real and imaginary parts"),
        (np.ones((2, 3, 9, 7)), None, "`axes` are needed"),
        (np.ones((3, 3, 9, 7)), "CZYX", "two entries of real numbers, got 3"),
        (np.ones((2, 3, 9, 7)), "PZYX", "such as select={'P': 0}"),
        (np.ones((3, 9, 7)), "ZX", "got 'ZX'"),
        (np.ones((3, 9, 1)), "ZYX", "several pixels"),
        (np.where(IMAGE > 1, np.nan, IMAGE), None, "finite"),
        (np.ones((2, 9, 7)) - 2, None, "negative values: real and imaginary parts, or two planes"),
        (np.ones((0, 9, 7)), None, "several pixels"),
        (np.ones(7), None, "`axes` are needed"),
        (structured("r", "phase"), None, "structures with the fields phase, r"),
    ],
    ids=str,
)
def test_what_is_unclear_is_told(tmp_path, array, axes, words):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError, match=words) as error:
        read_psf(tmp_path / "a.npy", axes=axes)
    assert str(error.value).startswith("read_psf: ")


def test_channels_are_not_taken_for_parts(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    two = np.stack([IMAGE, IMAGE + 1], 1)
    tifffile.imwrite(tmp_path / "a.tif", two, imagej=True, metadata={"axes": "ZCYX"})
    with pytest.raises(ValueError, match=r"2 channels.*select=\{'C': 0\}"):
        read_psf(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_psf(tmp_path / "a.tif", select={"C": 1}), IMAGE + 1)


def test_several_arrays_and_stacks(tmp_path):
    np.savez(tmp_path / "a.npz", first=IMAGE, second=FIELD)
    with pytest.raises(ValueError, match="Pass the one you mean as `name`"):
        read_psf(tmp_path / "a.npz")
    np.testing.assert_array_equal(read_psf(tmp_path / "a.npz", name="second"), FIELD)
    for suffix in ("h5", "mat"):  # stacks are real as before
        WRITERS[suffix](tmp_path / f"b.{suffix}", FIELD)
        with pytest.raises(ValueError, match=r"complex numbers, which are not read|no array of"):
            read_stack(tmp_path / f"b.{suffix}", pixel=0.1, dz=0.2)


def test_axes_that_a_format_tells_wrongly(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", PARTS[0])  # pages without names
    matlab(tmp_path / "a.mat", PARTS[0])  # (y, x, z)
    with pytest.raises(ValueError, match="7 x 2 pixels look transposed"):
        read_psf(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="axes='CYX'"):
        read_psf(tmp_path / "a.mat")
    for suffix in ("tif", "mat"):
        np.testing.assert_array_equal(read_psf(tmp_path / f"a.{suffix}", axes="YXC"), FIELD[:1])
    moved = np.moveaxis(FIELD, 0, 2)
    matlab(tmp_path / "b.mat", moved)
    np.testing.assert_array_equal(read_psf(tmp_path / "b.mat"), FIELD)


def test_files_without_an_array(tmp_path):
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(tmp_path / "a.mat", {"psf": {"real": FIELD.real, "imag": FIELD.imag}})
    with pytest.raises(ValueError, match="holds psf: structs, cells, objects, which are not read"):
        read_psf(tmp_path / "a.mat")
    hdf5(tmp_path / "a.h5", np.ones(7))
    with pytest.raises(ValueError, match="no array of numbers with two axes or more"):
        read_psf(tmp_path / "a.h5")
    np.savez(tmp_path / "a.npz", psf=np.ones(7))
    with pytest.raises(ValueError, match=r"got the arrays psf \(7,\)"):
        read_psf(tmp_path / "a.npz")
