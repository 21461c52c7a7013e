"""Results as Zarr arrays whose chunks are those of the sweep, written with the standard library.

The first axis counts the settings; the settings themselves lie beside the results. A chunk of a
Zarr array is a file of plain numbers, so one that appears whole keeps the array readable always.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxwave import _files

FOLDER = "results.zarr"
SETTING = "setting"
_KINDS = "fiubc"


def prepare(
    folder: Path, rows: Mapping[str, Any], settings: list[str], count: int, chunk: int
) -> None:
    """Makes a group with one array for each name, ``(settings, ...)``, all without a chunk yet.

    Args:
        folder: Folder of the sweep, which nobody else sees yet.
        rows: Something with the shape and the type of one row, by name.
        settings: The names that are coordinates.
        count: Number of settings.
        chunk: Settings of a chunk.
    """
    group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    (folder / FOLDER).mkdir()
    (folder / FOLDER / "zarr.json").write_text(json.dumps(group, indent=1))
    for name, row in rows.items():
        dtype, axes = np.dtype(row.dtype), list(row.shape)
        if dtype.kind not in _KINDS:
            raise TypeError(
                f"sweep: Zarr has no numbers of the type {dtype}, which `{name}` has. Pass "
                '`format="npz"`, or let the function return float32.'
            )
        pictures = [f"{name}_{k}" for k in range(len(axes))]
        array = {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [count, *axes],
            "data_type": dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [chunk, *axes]}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": _fill(dtype),
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
            "dimension_names": [SETTING, *pictures],
            "attributes": {} if name in settings else {"coordinates": " ".join(settings)},
        }
        if dtype.itemsize == 1:
            array["codecs"] = [{"name": "bytes"}]
        (folder / FOLDER / name).mkdir()
        (folder / FOLDER / name / "zarr.json").write_text(json.dumps(array, indent=1))


def _fill(dtype: np.dtype) -> Any:
    """What stands where no chunk is yet: no number, where the type has such a thing."""
    return {"f": "NaN", "c": ["NaN", "NaN"], "b": False}.get(dtype.kind, 0)


def _file(folder: Path, name: str, chunk: int, axes: int) -> Path:
    return folder.joinpath(FOLDER, name, "c", str(chunk), *["0"] * axes)


def write(folder: Path, name: str, chunk: int, rows: np.ndarray, size: int) -> None:
    """Writes a chunk of ``size`` rows; what the last one lacks is filled up."""
    full = np.zeros((size, *rows.shape[1:]), rows.dtype.newbyteorder("<"))
    full[: len(rows)] = rows
    path = _file(folder, name, chunk, rows.ndim - 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    _files.atomic("sweep", path, lambda stream: stream.write(full.tobytes()))


def read(folder: Path, name: str, chunk: int, row: Any, count: int) -> np.ndarray:
    """Reads ``count`` rows of a chunk."""
    path = _file(folder, name, chunk, len(row.shape))
    dtype = np.dtype(row.dtype).newbyteorder("<")
    need = count * math.prod(row.shape) * dtype.itemsize
    data = path.read_bytes()
    if len(data) < need:
        raise ValueError(
            f"sweep: {str(path)!r} is truncated: {len(data)} of {need} bytes. Remove it and "
            f"{chunk:08d}.npz in 'chunks', and run the same line again."
        )
    return np.frombuffer(data[:need], dtype).reshape(count, *row.shape).astype(row.dtype)


def lazy(folder: Path, name: str) -> Any:
    """The array of one name, read where it is looked at."""
    import zarr

    return zarr.open_array(str(folder / FOLDER / name), mode="r")
