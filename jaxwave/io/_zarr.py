"""Zarr: stacks written as OME-NGFF with the standard library alone, read with zarr."""

from __future__ import annotations

import contextlib
import json
import math
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxwave import _files
from jaxwave.io import _axes, _inflate, _lengths, _optional
from jaxwave.io._lengths import Length, stated, triple, without_defaults
from jaxwave.io._raw import Raw, Request

_NGFF = "0.5"
_MOST_CHUNKS = 1_000_000
# Compressions by a part of their codec's name.
_METHODS = {"gzip": "gzip", "zlib": "gzip", "blosc": "blosc", "zstd": "zstd", "lz4": "lz4"}
_METHODS |= {"lzma": "lzma", "bz2": "bz2"}


def write(where: str, path: Path, data: np.ndarray, spacing: tuple[float, float, float]) -> Path:
    """Writes a group with one array and its NGFF attributes; the folder appears as a whole."""
    _files.rescue(path)
    if path.is_file():
        raise FileExistsError(17, f"{where}: {str(path)!r} is a file. Choose another name")
    if path.exists() and not (path / "zarr.json").is_file():
        raise FileExistsError(
            17, f"{where}: {str(path)!r} is a folder of something else. Choose another name"
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            2, f"{where}: there is no folder {str(path.parent)!r}. Make it first"
        )
    try:
        with _files.replacing_folder(path) as new:
            chunk = new / "0" / "c" / "0" / "0"
            chunk.mkdir(parents=True)
            _store(new / "zarr.json", _text(_group(path, spacing)))
            _store(new / "0" / "zarr.json", _text(_array(data)))
            _store(chunk / "0", np.ascontiguousarray(data, "<f4").data)
    except OSError as error:
        reason = error.strerror or error
        raise type(error)(error.errno, f"{where}: cannot write {str(path)!r}: {reason}") from None
    return path


def _text(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2).encode()


def _store(path: Path, data: bytes | memoryview) -> None:
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _group(path: Path, spacing: tuple[float, float, float]) -> dict[str, Any]:
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = [{"type": "scale", "scale": list(spacing)}]
    image = {
        "name": path.name.split(".")[0],
        "axes": axes,
        "datasets": [{"path": "0", "coordinateTransformations": scale}],
    }
    ome = {"version": _NGFF, "multiscales": [image]}
    return {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}


def _array(data: np.ndarray) -> dict[str, Any]:
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(data.shape),
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(data.shape)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0.0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "dimension_names": list("zyx"),
        "attributes": {},
    }


def is_zarr(path: Path) -> bool:
    """Tells whether a folder is a Zarr group or array of format 2 or 3."""
    _files.rescue(path)
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def read(ask: Request, path: Path, archive: zipfile.ZipFile | None = None) -> Raw:
    """Reads the full-resolution array of an image, from a folder or a zip file."""
    where = ask.where
    zarr = _optional.require(where, "zarr", "zarr", "Zarr files")
    try:
        store: Any = str(path)
        if archive is not None:
            _check_zip(where, path, archive, ask.max_bytes)
            store = zarr.storage.ZipStore(path, mode="r")
        return _read(ask, path, zarr.open(store, mode="r", path=_prefix(archive)), archive)
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        if text.startswith(where):
            raise ValueError(text) from None
        text = f"it lacks {text}" if isinstance(error, KeyError) else text
        fix = "" if isinstance(error, ValueError) else " Copy it again."
        raise ValueError(f"{where}: {path.name!r} cannot be read as Zarr ({text}).{fix}") from None


def _check_zip(where: str, path: Path, archive: zipfile.ZipFile, max_bytes: float) -> None:
    """Requires that the parts are not larger than the limit; they are stored or packed once."""
    _files.fits(where, path.name, sum(part.file_size for part in archive.infolist()), max_bytes)


def is_zip(archive: zipfile.ZipFile) -> bool:
    """Tells whether a zip file holds a Zarr group or array."""
    return _prefix(archive) is not None


def _prefix(archive: zipfile.ZipFile | None) -> str | None:
    """The folder of a zip file in which the Zarr lies, or None where there is none."""
    if archive is None:
        return ""
    found = [
        name.removesuffix(last).rstrip("/")
        for name in archive.namelist()
        for last in ("zarr.json", ".zgroup", ".zarray")
        if name == last or name.endswith("/" + last)
    ]
    return min(found, key=lambda name: (name.count("/") if name else -1, name), default=None)


def _read(ask: Request, path: Path, node: Any, archive: zipfile.ZipFile | None) -> Raw:
    image: dict[str, Any] = {}
    dataset: dict[str, Any] = {}
    if not hasattr(node, "shape"):
        node = _image(ask, path, node)
    if hasattr(node, "shape"):
        array = node
    else:
        image = _multiscales(node)[0] if _multiscales(node) else {}
        array, dataset = _pick(ask, path, node, image)
    _check_size(ask, path, array)
    stored = _stored(path, array, archive)
    _check_chunks(path, array, archive, stored)
    axes = _axis_names(image, array)
    values, notes = _values(ask, path, array, axes, _lost(array, stored))
    lengths = _lengths_of(image, dataset, axes) if image else {}
    others = {} if node is array else dict(node.attrs)
    if dataset.get("coordinateTransformations"):
        others["coordinateTransformations"] = str(dataset["coordinateTransformations"])
    hints = _lengths.hints(dict(array.attrs), others)
    return Raw(values, axes, lengths or _labels(array, axes), notes, hints)


def _ome(node: Any) -> dict[str, Any]:
    attributes = dict(node.attrs)
    found = attributes.get("ome", attributes)
    return found if isinstance(found, dict) else {}


def _multiscales(node: object) -> list[dict[str, Any]]:
    found = _ome(node).get("multiscales") or []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _image(ask: Request, path: Path, node: Any) -> Any:
    """The image of a group that holds several, as bioformats2raw and NGFF-Converter make them."""
    if _multiscales(node):
        return node
    groups = sorted((name for name in node.group_keys()), key=lambda n: (len(n), n))
    images = [name for name in groups if _multiscales(node[name])]
    if ask.name is not None and ask.name in groups:
        return node[ask.name]
    if not images:
        return node
    chosen = ask.position(
        path.name, images, lambda name: _is_stack(node[name]), lambda name: f"image {name!r}"
    )
    return node[chosen]


def _is_stack(node: Any) -> bool:
    image = _multiscales(node)[0]
    place = (image.get("datasets") or [{}])[0].get("path")
    return place is not None and place in node and sum(n > 1 for n in node[place].shape) >= 3


def _pick(ask: Request, path: Path, node: Any, image: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The full-resolution array of an image, or the array of a group, and what is said of it."""
    datasets = [d for d in image.get("datasets") or [] if isinstance(d, dict) and "path" in d]
    if datasets and ask.name is None:
        return node[str(datasets[0]["path"])], datasets[0]
    arrays = list(node.array_keys())
    if ask.name is not None:
        if ask.name not in arrays:
            raise ValueError(f"it holds no array {ask.name!r}; it holds {', '.join(arrays)}")
        known = [d for d in datasets if d["path"] == ask.name]
        return node[ask.name], known[0] if known else {}
    if len(arrays) != 1:
        groups = ", ".join(repr(name) for name in node.group_keys())
        inside = f"; read one of the folders in it ({groups})" if groups else ""
        wells = [str(well.get("path")) for well in _ome(node).get("plate", {}).get("wells", [])]
        if wells:
            inside = f", because it is a plate; read an image of a well, such as {wells[0]}/0"
        raise ValueError(
            f"it must hold one array or NGFF attributes, got the arrays "
            f"{', '.join(arrays) or 'none'}{inside}"
        )
    return node[arrays[0]], {}


def _check_size(ask: Request, path: Path, array: Any) -> None:
    """Requires that the array, and each chunk that is decoded for it, are within the limit."""
    item = np.dtype(array.dtype).itemsize
    if np.dtype(array.dtype).kind not in "fiub":
        raise ValueError(f"it must hold real numbers, got {array.dtype}")
    chunk = array.shards or array.chunks
    for part, shape in ((path.name, array.shape), (f"{path.name}: a chunk", chunk)):
        _files.fits(ask.where, part, math.prod(shape) * item, ask.max_bytes)
    if math.prod(array.shape) < 1:
        raise ValueError(f"its shape is {array.shape}, without any value")


def _check_chunks(
    path: Path, array: Any, archive: zipfile.ZipFile | None, stored: dict[str, int]
) -> None:
    """Requires that no chunk inflates past its size."""
    codecs = [type(codec).__name__.lower() for codec in array.compressors or ()]
    codecs = [name for name in codecs if not name.startswith("crc32")]
    method = next((m for m in _METHODS if codecs and m in codecs[-1]), "")
    size = math.prod(array.shards or array.chunks) * np.dtype(array.dtype).itemsize
    for name, count in stored.items() if codecs else ():

        def read(name: str = name) -> bytes:
            return archive.read(name) if archive is not None else (path / name).read_bytes()

        what = _inflate.problem(_METHODS.get(method, ""), count, size, read)
        if what:
            raise ValueError(f"it is not read, because {what} (chunk {name})")


def _values(
    ask: Request, path: Path, array: Any, axes: str | None, gone: list[tuple[int, ...]]
) -> tuple[np.ndarray, list[str]]:
    """The numbers; a chunk that is not there is an error, unless the user says what it means."""
    if not gone or ask.missing == "fill":
        many = "1 chunk is" if len(gone) == 1 else f"{len(gone)} chunks are"
        note = f"{many} not there and read as {array.fill_value} (missing='fill')"
        return np.asarray(array[...]), [note] * bool(gone)
    planes = array.shape[axes.index("Z")] if axes and "Z" in axes else 0
    if ask.missing == "trim" and planes and axes is not None:
        z = axes.index("Z")
        size = (array.shards or array.chunks)[z]
        whole = min(chunk[z] for chunk in gone) * size
        if whole > 0:
            cut = tuple(slice(whole) if k == z else slice(None) for k in range(array.ndim))
            note = f"{whole} of {planes} planes are there (missing='trim')"
            return np.asarray(array[cut]), [note]
    listed = ", ".join(".".join(map(str, chunk)) for chunk in gone[:3])
    more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
    raise ValueError(
        f"{ask.where}: {path.name!r} lacks the chunk{'s' * (len(gone) > 1)} {listed}{more}, which "
        f"would be read as {array.fill_value}. Copy it again. If its writer leaves out chunks of "
        f"{array.fill_value}, pass missing='fill'; if the acquisition was stopped, missing='trim'."
    )


def _chunks(array: Any) -> Iterator[tuple[tuple[int, ...], str]]:
    """Places of the chunks (shards, where there are), and the names that they have if stored."""
    size = array.shards or array.chunks
    grid = [-(-n // max(c, 1)) for n, c in zip(array.shape, size, strict=True)]
    if math.prod(grid) > _MOST_CHUNKS:
        raise ValueError(f"it has more than {_MOST_CHUNKS} chunks")
    for place in np.ndindex(*grid):
        key = array.metadata.encode_chunk_key(place)
        yield place, "/".join(part for part in (array.path, key) if part)


def _stored(path: Path, array: object, archive: zipfile.ZipFile | None) -> dict[str, int]:
    """Names and sizes of the chunks that are there."""
    if archive is not None:
        sizes = {part.filename: part.file_size for part in archive.infolist()}
        return {name: sizes[name] for _, name in _chunks(array) if name in sizes}
    found = {}
    for _, name in _chunks(array):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found[name] = (path / name).stat().st_size
    return found


def _lost(array: object, stored: dict[str, int]) -> list[tuple[int, ...]]:
    """Places of the chunks that are not there."""
    return [place for place, name in _chunks(array) if name not in stored]


def _axis_names(image: dict[str, Any], array: Any) -> str | None:
    """Letters of the axes: of NGFF, of Zarr's own dimension names, or of xarray."""
    names = image.get("axes") or getattr(array.metadata, "dimension_names", None)
    names = names or dict(array.attrs).get("_ARRAY_DIMENSIONS") or []
    names = [axis.get("name", "") if isinstance(axis, dict) else axis for axis in names]
    return _axes.letters(names, array.ndim)


def _scales(steps: object) -> list[Any]:
    """The numbers of the transformations that scale; others, and numbers elsewhere, are not."""
    known = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    return [step["scale"] for step in known if step.get("type") == "scale" and "scale" in step]


def _scale(steps: object, count: int) -> list[float]:
    """What the transformations multiply by, all of them one after the other."""
    total = [1.0] * count
    for scale in _scales(steps):
        if len(scale) != count:
            raise ValueError(f"its scale {scale} does not have {count} entries")
        total = [a * float(b) for a, b in zip(total, scale, strict=True)]
    return total


def _lengths_of(
    image: dict[str, Any], dataset: dict[str, Any], axes: str | None
) -> dict[str, Length]:
    """Voxel size: the dataset's scale times the image's, in the unit of each axis."""
    if axes is None:
        return {}
    own, common = (part.get("coordinateTransformations") for part in (dataset, image))
    if not _scales(own) and not _scales(common):
        return {}
    factors = zip(_scale(own, len(axes)), _scale(common, len(axes)), strict=True)
    found, numbers = {}, {}
    for letter, axis, (one, other) in zip(axes, image.get("axes", axes), factors, strict=True):
        if letter not in "ZYX":
            continue
        unit = axis.get("unit", "") if isinstance(axis, dict) else ""
        numbers[f"d{letter.lower()}"] = one * other
        found[f"d{letter.lower()}"] = stated(one * other, unit, "NGFF scale")
    return without_defaults(found, numbers)


def _labels(array: Any, axes: str | None) -> dict[str, Length]:
    """Voxel size of an array that gives it as attributes, as HDF5 files of Fiji do."""
    return {} if axes is None else triple(dict(array.attrs), "element_size_um")
