"""Zarr: stacks written as OME-NGFF with the standard library alone, read with zarr."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from jaxwave import _files
from jaxwave.io import _metadata, _optional

_NGFF = "0.5"


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
            _store(chunk / "0", np.ascontiguousarray(data, "<f4").tobytes())
    except OSError as error:
        reason = error.strerror or error
        raise type(error)(error.errno, f"{where}: cannot write {str(path)!r}: {reason}") from None
    return path


def _text(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2).encode()


def _store(path: Path, data: bytes) -> None:
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


def read(
    where: str, path: Path, max_bytes: float
) -> tuple[np.ndarray, str | None, dict[str, _metadata.Length]]:
    """Reads the full-resolution array of a group, or an array: values, axes, lengths."""
    zarr = _optional.require(where, "zarr", "zarr", "Zarr folders")
    try:
        node = zarr.open(str(path), mode="r")
        attributes = dict(node.attrs)
        attributes = attributes.get("ome", attributes)
        images = attributes.get("multiscales") or [{}]
        datasets = images[0].get("datasets") or [{}]
        array, place = _pick(where, path, node, datasets[0].get("path"))
        size = float(np.prod(array.shape, dtype=object)) * np.dtype(array.dtype).itemsize
        _files.fits(where, path.name, size, max_bytes)
        values = np.asarray(array[...])
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        text = " ".join(str(error).split()).removeprefix(f"{where}: ")
        raise ValueError(f"{where}: {path.name!r} cannot be read as Zarr ({text}).") from None
    names = [
        axis.get("name", "?") if isinstance(axis, dict) else str(axis)
        for axis in images[0].get("axes", [])
    ]
    axes = "".join(n[:1].upper() for n in names) if len(names) == values.ndim else None
    return values, axes, (_lengths(images[0], datasets[0], axes) if place else {})


def _pick(where: str, path: Path, node: Any, first: str | None) -> tuple[Any, bool]:
    if hasattr(node, "shape"):
        return node, False
    if first is not None:
        return node[first], True
    arrays = [name for name in node.array_keys()]
    if len(arrays) != 1:
        raise ValueError(
            f"it must hold one array or NGFF attributes, got {', '.join(arrays) or 'none'}"
        )
    return node[arrays[0]], False


def _lengths(image: dict, dataset: dict, axes: str | None) -> dict[str, _metadata.Length]:
    steps = dataset.get("coordinateTransformations", [])
    scales = [step["scale"] for step in steps if step.get("type") == "scale"]
    found = {}
    if axes is None or not scales or len(scales[0]) != len(axes):
        return {}
    for letter, axis, value in zip(axes, image["axes"], scales[0], strict=True):
        factor = _metadata.unit_factor(axis.get("unit", "") if isinstance(axis, dict) else "")
        if letter in "ZYX" and factor:
            found[f"d{letter.lower()}"] = _metadata.Length(float(value) * factor, "NGFF scale")
    return found
