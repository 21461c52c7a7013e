"""HDF5, MATLAB and ND2 files: one stack out of what they hold."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from jaxwave import _files
from jaxwave.io import _axes, _inflate, _lengths, _matlab, _optional
from jaxwave.io._lengths import Length, stated, triple
from jaxwave.io._raw import Raw, Request


def _choose(where: str, path: Path, shapes: dict[str, tuple[int, ...]], name: str | None) -> str:
    """The array that is meant: by name, the only stack, or the one called data."""
    if not shapes:
        raise ValueError(
            f"{where}: {path.name!r} holds no array of numbers with two axes or more. Save the "
            "numbers as a plain array."
        )
    stacks = [key for key, shape in shapes.items() if sum(n > 1 for n in shape) >= 3]
    listed = ", ".join(f"{key} {shape}" for key, shape in shapes.items())
    if name is not None:
        if name in shapes:
            return name
        raise ValueError(f"{where}: {path.name!r} holds no array {name!r}; it holds {listed}.")
    if len(stacks) == 1 or len(shapes) == 1:
        return (stacks or list(shapes))[0]
    if "data" in stacks:
        return "data"
    raise ValueError(
        f"{where}: {path.name!r} must hold one stack, or one with the name 'data', got the arrays "
        f"{listed}. Pass the one you mean as `name`."
    )


def read_hdf5(ask: Request, path: Path) -> Raw:
    """Reads a dataset of real numbers; links to other files and objects are not followed."""
    where = ask.where
    h5py = _optional.require(where, "h5py", "hdf5", "HDF5 files and MATLAB files of version 7.3")
    try:
        with h5py.File(path, "r") as file:
            if "DataSetInfo" in file and "DataSet" in file:
                return _imaris(ask, path, file)
            sets = {key: file[key] for key in _datasets(ask, h5py, file)}
            key = _choose(where, path, {k: v.shape for k, v in sets.items()}, ask.name)
            found = sets[key]
            array, notes = _values(ask, path, key, found)
            attributes = dict(found.attrs)
            hints = _lengths.hints(attributes, dict(file.attrs), _small(h5py, file))
            labels = [dimension.label for dimension in found.dims]
    except (OSError, RuntimeError, KeyError, MemoryError) as error:
        raise ValueError(f"{where}: {path.name!r} is damaged ({error}). Copy it again.") from None
    with path.open("rb") as stream:
        matlab = stream.read(6) == b"MATLAB"
    if matlab:  # columns first: the file's last axis is MATLAB's first
        return Raw(array.T, "YXZ" if array.ndim == 3 else None, {}, notes, hints)
    axes, lengths = _tags(attributes, array.ndim)
    axes = axes or _axes.letters(labels, array.ndim)
    lengths |= triple(attributes, "element_size_um")  # as ilastik and Fiji write it
    return Raw(array, axes or _axes.guess(array.shape), lengths, notes, hints)


def _small(h5py: Any, file: Any) -> dict[str, Any]:
    """The few numbers that lie beside the stacks of a file, under names that may speak of them."""
    found: dict[str, Any] = {}

    def visit(name: str, thing: Any) -> None:
        inside = isinstance(thing, h5py.Dataset) and not thing.is_virtual and not thing.external
        if inside and thing.dtype.kind in "fiu" and thing.ndim < 2 and thing.size <= 3:
            found[name] = thing[()]

    file.visititems(visit)
    return found


def _values(ask: Request, path: Path, key: str, found: Any) -> tuple[np.ndarray, list[str]]:
    """The numbers of a dataset that lies in this file as a whole."""
    where = ask.where
    if not ask.takes(found.dtype):
        raise ValueError(f"{where}: {key!r} of {path.name!r} must hold real numbers.")
    if found.external or found.is_virtual:
        raise ValueError(
            f"{where}: {key!r} of {path.name!r} keeps its data in other files or data sets, which "
            "are not read. Save it into one file as a plain data set."
        )
    chunk = found.chunks or (1,)
    for shape in (found.shape, chunk):
        _files.fits(where, path.name, found.dtype.itemsize * math.prod(shape), ask.max_bytes)
    _check_chunks(where, path, found)
    stored, count = _stored(found)
    if stored < count and ask.missing != "fill":
        return _before_the_gap(ask, path, key, found, stored, count)
    note = f"{count - stored} of {count} chunks were never written and read as {found.fillvalue}"
    return np.asarray(found[...]), [note] * (stored < count)


def _check_chunks(where: str, path: Path, found: Any) -> None:
    """Requires that no chunk inflates past its size."""
    if found.chunks is None or not found.id.get_create_plist().get_nfilters():
        return
    method = {"gzip": "deflate"}.get(found.compression, "")
    size = math.prod(found.chunks) * found.dtype.itemsize
    infos: list[Any] = []
    found.id.chunk_iter(infos.append)
    for info in infos:

        def read(place: tuple[int, ...] = tuple(info.chunk_offset)) -> bytes:
            return bytes(found.id.read_direct_chunk(place)[1])

        what = _inflate.problem(method, int(info.size), size, read)
        if what:
            raise ValueError(f"{where}: {path.name!r} is not read, because {what}. Save it again.")


def _stored(found: Any) -> tuple[int, int]:
    """How many chunks are in the file, and how many there should be."""
    if found.chunks is None:
        whole = found.id.get_storage_size() >= found.nbytes or found.nbytes == 0
        return int(whole), 1
    grid = [-(-n // c) for n, c in zip(found.shape, found.chunks, strict=True)]
    return int(found.id.get_num_chunks()), math.prod(grid)


def _before_the_gap(
    ask: Request, path: Path, key: str, found: Any, stored: int, count: int
) -> tuple[np.ndarray, list[str]]:
    """The first entries of the first axis that are whole, where the user lets the others go."""
    if ask.missing == "trim" and found.chunks is not None and stored:
        step = found.chunks[0]
        per = count // -(-found.shape[0] // step)
        info = [found.id.get_chunk_info(k).chunk_offset[0] // step for k in range(stored)]
        have = np.bincount(info, minlength=-(-found.shape[0] // step)) == per
        whole = step * int(np.argmin(have) if not have.all() else len(have))
        if whole:
            note = f"{whole} of {found.shape[0]} planes are there (missing='trim')"
            return np.asarray(found[:whole]), [note]
    raise ValueError(
        f"{ask.where}: {key!r} of {path.name!r} has {stored} of {count} chunks; the others were "
        f"never written and would be read as {found.fillvalue}. Copy it again. If that is what "
        "they hold, pass missing='fill'; if the acquisition was stopped, missing='trim'."
    )


def _tags(attributes: dict[str, Any], count: int) -> tuple[str | None, dict[str, Length]]:
    """Axes and voxel size by the ``axistags`` of vigra and ilastik."""
    try:
        tags = json.loads(attributes["axistags"])["axes"]
        axes = _axes.letters([tag["key"] for tag in tags], count)
        lengths = {
            f"d{tag['key']}": stated(tag["resolution"], tag.get("unit", ""), "axistags")
            for tag in tags
            if tag["key"] in ("z", "y", "x") and tag.get("resolution")
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return None, {}
    return axes, lengths


def _text(value: object) -> str:
    """An attribute of text: one string, or its letters one by one, as Imaris writes them."""
    parts = np.asarray(value).ravel().tolist()
    return "".join(p.decode("latin-1") if isinstance(p, bytes) else str(p) for p in parts)


def _imaris(ask: Request, path: Path, file: Any) -> Raw:
    """Reads an Imaris file: its data are padded, and its extents run from edge to edge."""
    said = file["DataSetInfo/Image"].attrs

    def number(key: str) -> float:
        return float(_text(said[key]))

    base = file["DataSet/ResolutionLevel 0"]
    times = [base[f"TimePoint {t}"] for t in range(len(base.keys()))]
    channels = len(times[0].keys())
    try:
        sizes = tuple(int(number(axis)) for axis in "ZYX")
        ends = [(number(f"ExtMin{k}"), number(f"ExtMax{k}")) for k in (2, 1, 0)]
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{ask.where}: {path.name!r} is an Imaris file without its sizes ({error}). Save it "
            "again, or as TIFF."
        ) from None
    entries = [ask.entries(letter, n) for letter, n in (("T", len(times)), ("C", channels))]
    counts = [len(chosen) for chosen in entries]
    _files.fits(ask.where, path.name, 4 * math.prod([*counts, *sizes]), ask.max_bytes)
    array, notes = np.empty(0), []
    for place in np.ndindex(*counts):
        t, c = (chosen[k] for chosen, k in zip(entries, place, strict=True))
        values, more = _values(ask, path, f"channel {c}", times[t][f"Channel {c}/Data"])
        notes += more
        stopped = bool(more) and ask.missing == "trim" and len(values) < sizes[0]
        if any(n < size for n, size in zip(values.shape[stopped:], sizes[stopped:], strict=True)):
            raise ValueError(
                f"{ask.where}: {path.name!r} declares {sizes} values and holds {values.shape}. "
                "Copy it again."
            )
        whole = (min(len(values), sizes[0]), *sizes[1:])
        if not array.size:
            array = np.empty((*counts, *whole), values.dtype)
        array = array[:, :, : whole[0]]  # every entry keeps the planes that all of them have
        array[place] = values[tuple(slice(n) for n in array.shape[2:])]
    unit = _text(said["Unit"]) if "Unit" in said else "um"
    lengths = {
        axis: stated((high - low) / size, unit, "Imaris extent")
        for axis, (low, high), size in zip(("dz", "dy", "dx"), ends, sizes, strict=True)
    }
    return Raw(array, "TCZYX", lengths, notes)


def _datasets(ask: Request, h5py: Any, file: Any) -> list[str]:
    """Names of the datasets inside the file itself."""
    names: list[str] = []

    def visit(name: str, thing: Any) -> None:
        if isinstance(thing, h5py.Dataset) and ask.takes(thing.dtype) and thing.ndim >= 2:
            names.append(name)

    file.visititems(visit)  # follows neither soft nor external links
    return names


def read_matlab(ask: Request, path: Path) -> Raw:
    """Reads a MATLAB file before version 7.3: arrays of numbers only, never objects."""
    where = ask.where
    try:
        found = _matlab.read(where, path, ask.max_bytes)
    except (ValueError, struct.error) as error:
        if str(error).startswith(where):
            raise
        raise ValueError(f"{where}: {path.name!r} is damaged: {error}. Copy it again.") from None
    if not ask.fields:
        found = {k: None if one is None or one.imaginary else one for k, one in found.items()}
    if ask.name in found and found[ask.name] is None:
        raise ValueError(
            f"{where}: {ask.name!r} of {path.name!r} is complex, or a MATLAB object or struct, "
            "which is not read. Save the numbers as a plain array of real numbers."
        )
    arrays = {name: one for name, one in found.items() if one is not None}
    shapes = {name: one.shape for name, one in arrays.items()}
    if found and not arrays:
        raise ValueError(
            f"{where}: {path.name!r} holds {', '.join(found)}: structs, cells, objects"
            + ("" if ask.fields else " or complex numbers")
            + ", which are not read. Save the numbers as a plain array."
        )
    small = {k: one.values() for k, one in arrays.items() if math.prod(one.shape) <= 3}
    array = arrays[_choose(where, path, shapes, ask.name)].values()
    return Raw(array, "YXZ" if array.ndim == 3 else None, {}, hints=_lengths.hints(small))


def read_nd2(ask: Request, path: Path) -> Raw:
    """Reads an ND2 file with its voxel size."""
    where, max_bytes = ask.where, ask.max_bytes
    nd2 = _optional.require(where, "nd2", "nd2", "ND2 files")
    try:
        with nd2.ND2File(path) as file:
            sizes = dict(file.sizes)
            count = math.prod(sizes.values())
            _files.fits(where, path.name, count * file.dtype.itemsize, max_bytes)
            array, voxel = np.asarray(file.asarray()), file.voxel_size()
    except (MemoryError, ValueError) as error:
        if str(error).startswith(where):
            raise
        raise ValueError(f"{where}: {path.name!r} is damaged ({error}). Copy it again.") from None
    except Exception as error:
        raise ValueError(f"{where}: {path.name!r} cannot be read as ND2 ({error}).") from None
    lengths = {
        f"d{axis}": stated(value, "µm", "ND2 voxel size")
        for axis, value in zip("xyz", voxel, strict=True)
        if value
    }
    return Raw(array, "".join(k[0] for k in sizes), lengths)
