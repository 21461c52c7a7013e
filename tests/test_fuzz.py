"""Files with random damage: every reader either reads them or says in words why not.

About 900 files: seeds that the test makes (each format, each compression), each of them damaged by
a generator with a fixed number. Whatever a reader raises must be its own sentence; no other
exception, no gigabytes, no long wait. What is read without an error must be numbers of the
declared kind.
"""

import json
import shutil
import time
import warnings
import zipfile
import zlib

import numpy as np
import pytest

from jaxwave import elements
from jaxwave import io as jio
from jaxwave.calibration.run_folder import CURRENT, RunFolder

tifffile = pytest.importorskip("tifffile")
pytestmark = pytest.mark.slow

A = np.random.default_rng(0).integers(90, 4000, (5, 12, 16)).astype(np.uint16)
SIZES = {"pixel": 0.13, "dz": 0.3}
EACH = 45  # damaged files of one seed
LONGEST = 10.0  # seconds of CPU
EXTREME = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four damages of a random kind: flips, cuts, zeros, copies, extreme numbers."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        kind, place = int(rng.integers(7)), int(rng.integers(max(len(data), 1)))
        where = rng.random()  # headers are at the beginning (TIFF, npy) or at the end (zip)
        if where < 0.35:
            place = int(rng.integers(min(len(data), 400)))
        elif where < 0.5:
            place = len(data) - 1 - int(rng.integers(min(len(data), 200)))
        size = int(rng.integers(1, 40))
        if kind == 0:
            data[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[place] = int(rng.integers(256))
        elif kind == 2:
            del data[place:]
        elif kind == 3:
            data[place : place + size] = bytes(len(data[place : place + size]))
        elif kind == 4:
            data[place:place] = data[place : place + size]
        elif kind == 5:
            number = int(rng.choice(EXTREME))
            data[place : place + 4] = number.to_bytes(4, "little")[: len(data[place : place + 4])]
        else:
            data[place : place + size] = rng.bytes(size)
        if not data:
            data = bytearray(b"\0")
    return bytes(data)


def tif(path, **options):
    tifffile.imwrite(path, A, **{"photometric": "minisblack", "metadata": None, **options})


def npz(path, write):
    write(path, data=A, spacing=[0.3, 0.13, 0.13])


def hdf5(path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=A, chunks=(2, 12, 16), compression="gzip")
        file["data"].attrs["element_size_um"] = [0.3, 0.13, 0.13]
        file["data"].attrs["axistags"] = json.dumps({"axes": [{"key": k} for k in "zyx"]})


def matlab(path):
    pytest.importorskip("scipy.io").savemat(path, {"psf": A.transpose(1, 2, 0)})


def zarr_zip(path):
    pytest.importorskip("zarr")
    folder = jio.write_stack(path.parent / "in" / "a.zarr", A, spacing=(0.3, 0.13, 0.13))
    shutil.make_archive(str(path.parent / "packed"), "zip", folder)
    (path.parent / "packed.zip").rename(path)


SEEDS = {
    "imagej": lambda p: tif(p, imagej=True, metadata={"axes": "ZYX", "unit": "um", "spacing": 0.3}),
    "ome": lambda p: tif(p, ome=True, metadata={"axes": "ZYX", "PhysicalSizeX": 0.13}),
    "shaped": lambda p: tif(p, metadata={"axes": "ZYX"}),
    "plain": lambda p: tif(p),
    "deflate": lambda p: tif(p, compression="zlib"),
    "tiles": lambda p: tif(p, tile=(16, 16)),
    "bigtiff": lambda p: tif(p, bigtiff=True, ome=True, metadata={"axes": "ZYX"}),
    "motorola": lambda p: tif(p, byteorder=">"),
    "npy": lambda p: np.save(p, A),
    "npz": lambda p: npz(p, np.savez),
    "packed npz": lambda p: npz(p, np.savez_compressed),
    "zarr zip": zarr_zip,
    "hdf5": hdf5,
    "matlab": matlab,
}
ENDINGS = {"npy": ".npy", "npz": ".npz", "packed npz": ".npz", "zarr zip": ".zip", "hdf5": ".h5"}


def seed(folder, kind):
    path = folder / f"seed{ENDINGS.get(kind, '.tif')}"
    (folder / "in").mkdir()
    SEEDS[kind](path)
    return path.read_bytes()


def in_words(read, prefix):
    """Runs a reader; its result, or None after an error in its own words."""
    start = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = read()
    except (ValueError, OSError, ImportError) as error:
        assert str(error).startswith(prefix), repr(error)
        found = None
    assert time.process_time() - start < LONGEST
    return found


@pytest.mark.parametrize("kind", SEEDS)
def test_damaged_stacks(tmp_path, kind):
    data = seed(tmp_path, kind)
    rng = np.random.default_rng(zlib.crc32(kind.encode()))
    path = tmp_path / "damaged"
    path.write_bytes(data)
    assert jio.read_stack(path, **SIZES).data.shape == A.shape
    read = 0
    for _ in range(EACH):
        path.write_bytes(damaged(data, rng))
        stack = in_words(lambda: jio.read_stack(path, max_bytes=1e8, **SIZES), "read_stack: ")
        if stack is not None:
            read += 1
            assert stack.data.dtype == np.float32 and stack.data.ndim == 3
            assert np.isfinite(stack.data).all()
    assert read < EACH


@pytest.mark.parametrize("version", [2, 3])
def test_damaged_zarr_folders(tmp_path, version):
    zarr = pytest.importorskip("zarr")
    whole = tmp_path / "whole.zarr"
    group = zarr.open_group(str(whole), mode="w", zarr_format=version)
    array = group.create_array("0", shape=A.shape, dtype=A.dtype, chunks=(2, 12, 16))
    array[...] = A
    steps = [{"type": "scale", "scale": [0.3, 0.13, 0.13]}]
    axes = [{"name": k, "type": "space", "unit": "micrometer"} for k in "zyx"]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    group.attrs["multiscales"] = [image]
    rng = np.random.default_rng(version)
    parts = sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file())
    path = tmp_path / "damaged.zarr"
    for _ in range(EACH):
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(whole, path)
        part = path / parts[int(rng.integers(len(parts)))]
        part.write_bytes(damaged(part.read_bytes(), rng))
        in_words(lambda: jio.read_stack(path, max_bytes=1e8, **SIZES), "read_stack: ")


WORDS = (
    "null",
    "true",
    "-1",
    "1e400",
    '""',
    "[]",
    "{}",
    '"V999999999"',
    "[[1], 2]",
    "NaN",
    '"\\ud800"',
)


def odd_json(text: str, rng: np.random.Generator) -> str:
    """A document in which one value is of another kind."""
    content = json.loads(text)
    places = []

    def visit(node):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            places.append((node, key))
            if isinstance(value, dict | list):
                visit(value)

    visit(content)
    node, key = places[int(rng.integers(len(places)))]
    node[key] = "\0"
    return json.dumps(content).replace('"\\u0000"', WORDS[int(rng.integers(len(WORDS)))], 1)


@pytest.mark.parametrize("kind", ["bytes", "values"])
def test_damaged_models(tmp_path, kind):
    mask = elements.PhaseMask(np.random.default_rng(0).normal(size=(8, 9)))
    system = elements.System(lens=elements.ThinLens("200 mm"), mask=mask)
    path = elements.save_model(tmp_path / "m.json", system)
    whole, rng = path.read_bytes(), np.random.default_rng(len(kind))
    [beside] = tmp_path.glob("*.npz")
    arrays = beside.read_bytes()
    for k in range(EACH):
        path.write_bytes(whole)
        if kind == "bytes" and k % 3:
            path.write_bytes(damaged(whole, rng))
        elif kind == "bytes":
            beside.write_bytes(damaged(arrays, rng))
        else:
            path.write_text(odd_json(whole.decode(), rng), encoding="utf-8")
        in_words(lambda: elements.load_model(path), "load_model: ")
        beside.write_bytes(arrays)


def test_damaged_checkpoints(tmp_path):
    with RunFolder(tmp_path) as run:
        run.save({"phase": np.random.default_rng(0).normal(size=(8, 9))}, {"na": 0.8})
        whole, rng = (tmp_path / CURRENT).read_bytes(), np.random.default_rng(5)
        for _ in range(EACH):
            (tmp_path / CURRENT).write_bytes(damaged(whole, rng))
            in_words(lambda: run.load({"na": 0.8}), "RunFolder: ")


def test_damaged_results(tmp_path):
    path = jio.save_arrays(tmp_path / "a.npz", {"a": A, "text": np.array("µm")})
    whole, rng = path.read_bytes(), np.random.default_rng(6)
    for _ in range(EACH):
        path.write_bytes(damaged(whole, rng))
        found = in_words(lambda: jio.load_arrays(path), "load_arrays: ")
        if found is not None:
            np.testing.assert_array_equal(found["a"], A)


def test_an_archive_that_lies_about_its_sizes(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, data=np.zeros((5, 64, 64)))
    with zipfile.ZipFile(path) as archive:
        size = archive.infolist()[0].file_size
    data = path.read_bytes().replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(data)
    assert in_words(lambda: jio.read_stack(path, **SIZES), "read_stack: ") is None
