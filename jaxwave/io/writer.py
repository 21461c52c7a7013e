"""Writes stacks as OME-TIFF, ImageJ TIFF, Zarr or npz."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from jaxwave import _check, _files
from jaxwave.io import _tiff, _zarr, results

_ENDINGS = (".ome.tif", ".ome.tiff", ".tif", ".tiff", ".zarr", ".npz")


def write_stack(path: str | os.PathLike, stack: object, *, spacing: Any = None) -> Path:
    """Writes a stack as float32 with its voxel size, atomically.

    Valid for one channel. The name chooses the format: ``.ome.tif`` is an OME-TIFF, ``.zarr`` an
    OME-NGFF 0.5 group (Zarr 3, one chunk), ``.npz`` holds ``data`` and ``spacing``, and ``.tif``
    is an ImageJ TIFF; :func:`read_stack` reads all of them back without loss.

    Args:
        path: File to write; its folder must exist.
        stack: A :class:`Stack`, or an array ``(z, y, x)`` of real numbers.
        spacing: Voxel size (dz, dy, dx) [µm]; needed for an array, taken from a Stack.

    Returns:
        The path that was written.

    Raises:
        ImportError: If a TIFF is asked for and tifffile is not installed.
        TypeError: If the numbers are not real.
        ValueError: If the array is not (z, y, x), the voxel size is missing or not positive, or
            the name ends in no format that is written.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> from jaxwave.io import read_stack
        >>> path = Path(tempfile.mkdtemp()) / "psf.ome.tif"
        >>> path = write_stack(path, np.ones((5, 8, 8)), spacing=(0.3, 0.13, 0.13))
        >>> read_stack(path)
        Stack((5, 8, 8) float32, spacing=(0.3, 0.13, 0.13) µm)
    """
    where = "write_stack"
    spacing = getattr(stack, "spacing", None) if spacing is None else spacing
    if spacing is None or np.shape(spacing) != (3,):
        raise ValueError(
            f"{where}: `spacing` must be the voxel size (dz, dy, dx) [µm], got {spacing!r}. "
            "Pass spacing=(dz, dy, dx)."
        )
    dz, dy, dx = (float(_check.length(where, "spacing", value)) for value in spacing)
    _check.positive(where, "spacing", (dz, dy, dx), unit="µm")
    data = np.asarray(stack)
    if data.dtype.kind not in "fiub":
        raise TypeError(f"{where}: `stack` must be real, got {data.dtype}. Write its intensity.")
    if data.ndim != 3 or 0 in data.shape:
        raise ValueError(f"{where}: `stack` must have the axes (z, y, x), got {data.shape}.")
    name = str(path).lower()
    if not name.endswith(_ENDINGS):
        raise ValueError(
            f"{where}: the name must end in {', '.join(_ENDINGS)}, which are the formats that are "
            f"written, got {Path(path).name!r}."
        )
    data = np.ascontiguousarray(data, np.float32)
    if name.endswith(".zarr"):
        return _zarr.write(where, Path(path), data, (dz, dy, dx))
    if name.endswith(".npz"):
        arrays = {"data": data, "spacing": np.array([dz, dy, dx])}
        return results.save_arrays(path, arrays)
    tifffile = _tiff.require_tifffile(where)
    if name.endswith((".ome.tif", ".ome.tiff")):
        sizes = {f"PhysicalSize{a}": v for a, v in (("Z", dz), ("Y", dy), ("X", dx))}
        units = {f"{name}Unit": "µm" for name in sizes}
        content = hashlib.sha256(data.astype("<f4", copy=False).data)
        content.update(repr((dz, dy, dx)).encode())
        # tifffile would take the address of the network card, and another number every time.
        own = str(uuid.UUID(bytes=content.digest()[:16], version=5))
        metadata = {"axes": "ZYX", **sizes, **units, "UUID": own}
        options: dict[str, Any] = {"ome": True, "metadata": metadata}
    else:
        metadata = {"axes": "ZYX", "spacing": dz, "unit": "um"}
        options = {"imagej": True, "metadata": metadata, "resolution": (1 / dx, 1 / dy)}
    options["photometric"] = "minisblack"
    return _files.atomic(where, path, lambda file: tifffile.imwrite(file, data, **options))
