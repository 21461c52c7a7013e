"""Height maps for fabrication: 16-bit TIFF in nm, STL, GDS, and back."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jaxwave import _check, _files
from jaxwave.io import _optional, _tiff

_TIFF, _STL, _GDS = (".tif", ".tiff"), (".stl",), (".gds",)
_MOST = 4 * 2**30  # bytes that a file may ask for
_MOST_LEVELS = 256
_SAME = 1e-4  # heights that differ by less are one level [µm]


def write_heights(
    path: str | os.PathLike,
    height: ArrayLike,
    *,
    spacing: ArrayLike | str,
    thickness: float | str = "0.5 mm",
) -> Path:
    """Writes a height map for a printer, a lithography tool or a mask shop, atomically.

    The name's ending chooses. ``.tif``: 16 bits, one count is 1 nm, the pixels' size in the file's
    resolution. ``.stl``: a closed body in millimeters whose upper side goes straight from sample to
    sample, on a plate. ``.gds``: for each level above the lowest one a layer of rectangles, one
    for every run of samples in a row, with their corners in micrometers and the list of heights in
    a label. The lowest point becomes zero; a constant height does nothing to light. The rows are
    y, the columns x.

    Args:
        path: File to write; its folder must exist.
        height: Heights, ``(y, x)`` [µm].
        spacing: Distance of the samples, one number or (dy, dx), ``(2,)`` [µm].
        thickness: Thickness of the plate below the lowest point of an STL [µm].

    Returns:
        The path that was written.

    Raises:
        ImportError: If tifffile, numpy-stl or gdstk is not installed; the error names the extra.
        TypeError: If the heights are complex.
        ValueError: If the heights are not (y, x) or not finite, too high for 16 bits of 1 nm, of
            too many levels for layers, or the name has another ending.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "lens.tif"
        >>> write_heights(path, np.full((4, 5), 0.25) * np.arange(5), spacing=2.0).name
        'lens.tif'
        >>> height, spacing = read_heights(path)
        >>> height[0].tolist(), spacing.tolist()
        ([0.0, 0.25, 0.5, 0.75, 1.0], [2.0, 2.0])
    """
    where, place = "write_heights", _files.as_path("write_heights", path)
    values = np.asarray(height)
    if values.dtype.kind not in "fiu":
        raise TypeError(f"{where}: `height` must be real, got {values.dtype}.")
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError(f"{where}: `height` must be (y, x), at least 2 by 2, got {values.shape}.")
    _check.finite_array(where, "height", values)
    values = values.astype(np.float64)
    spacing = _check.length(where, "spacing", spacing)
    _check.positive(where, "spacing", spacing, unit="µm")
    pair = np.broadcast_to(np.asarray(spacing, np.float64), (2,))
    thickness = _check.length(where, "thickness", thickness)
    _check.positive(where, "thickness", thickness, unit="µm")
    values = values - values.min()
    ending = _ending(where, place)
    if ending in _TIFF:
        return _write_tiff(where, place, values, pair)
    if ending in _STL:
        return _write_stl(where, place, values, pair, float(thickness))
    return _write_gds(where, place, values, pair)


def read_heights(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Reads a height map that :func:`write_heights` wrote.

    Args:
        path: File that ends in ``.tif``, ``.stl`` or ``.gds``.

    Returns:
        Heights ``(y, x)``, the lowest one zero, and the spacing (dy, dx) [µm].

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If tifffile, numpy-stl or gdstk is not installed; the error names the extra.
        ValueError: If the file is no height map.

    Example:
        >>> read_heights("missing.stl")
        Traceback (most recent call last):
        ...
        FileNotFoundError: read_heights: there is no file 'missing.stl'. Check the path.
    """
    where = "read_heights"
    place = _files.existing(where, path)
    _files.fits(where, place.name, place.stat().st_size, _MOST)
    ending = _ending(where, place)
    if ending in _TIFF:
        return _read_tiff(where, place)
    return _read_stl(where, place) if ending in _STL else _read_gds(where, place)


def _ending(where: str, place: Path) -> str:
    ending = place.suffix.lower()
    known = (*_TIFF, *_STL, *_GDS)
    if ending not in known:
        raise ValueError(f"{where}: the name must end in {', '.join(known)}, got {place.name!r}.")
    return ending


def _no_map(where: str, place: Path, why: str) -> ValueError:
    return ValueError(f"{where}: {place.name!r} is no height map of jaxwave: {why}.")


# -- 16-bit TIFF -----------------------------------------------------------------------------


def _write_tiff(where: str, place: Path, values: np.ndarray, pair: np.ndarray) -> Path:
    counts = np.round(values * 1000)
    if counts.max() > 65535:
        raise ValueError(
            f"{where}: 16 bits of 1 nm end at 65.535 µm, and `height` has {values.max():g} µm. "
            "Wrap the relief (heights.wrap), or write an .stl file."
        )
    tifffile = _tiff.require_tifffile(where)
    note = {"height": "nm", "spacing_um": list(pair)}
    options: dict[str, Any] = {
        "photometric": "minisblack",
        "metadata": None,
        "description": json.dumps(note),
        "resolution": (1e4 / pair[1], 1e4 / pair[0]),
        "resolutionunit": "CENTIMETER",
    }
    data = np.ascontiguousarray(counts, np.uint16)
    return _files.atomic(where, place, lambda file: tifffile.imwrite(file, data, **options))


def _read_tiff(where: str, place: Path) -> tuple[np.ndarray, np.ndarray]:
    tifffile = _tiff.require_tifffile(where)
    try:
        with tifffile.TiffFile(place) as file:
            page = file.pages[0]
            counts = page.asarray()
            note = json.loads(page.description or "{}")
    except (ValueError, IndexError, tifffile.TiffFileError) as error:
        raise _no_map(where, place, str(error)) from None
    spacing = np.asarray(note.get("spacing_um", ()) if isinstance(note, dict) else (), float)
    if counts.ndim != 2 or counts.dtype != np.uint16 or spacing.shape != (2,):
        raise _no_map(where, place, "one page of 16 bits with its spacing is needed")
    return counts / 1000, spacing


# -- STL ---------------------------------------------------------------------------------------


def _quads(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Two triangles for each quadrilateral, ``(n, 3, 3)``."""
    corners = [np.reshape(v, (-1, 3)) for v in (a, b, c, d)]
    first = np.stack([corners[0], corners[1], corners[2]], axis=1)
    return np.concatenate([first, np.stack([corners[0], corners[2], corners[3]], axis=1)])


def _body(values: np.ndarray, pair: np.ndarray, thickness: float) -> np.ndarray:
    """Triangles of a closed body, seen from outside counterclockwise [mm]."""
    y, x = (np.arange(n) * d for n, d in zip(values.shape, pair, strict=True))
    top = np.stack([*np.broadcast_arrays(x, y[:, None]), values], axis=-1)
    low = top.copy()
    low[..., 2] = -thickness
    sides = [
        _quads(top[:-1, :-1], top[:-1, 1:], top[1:, 1:], top[1:, :-1]),
        _quads(low[:-1, :-1], low[1:, :-1], low[1:, 1:], low[:-1, 1:]),
        _quads(low[0, :-1], low[0, 1:], top[0, 1:], top[0, :-1]),
        _quads(low[-1, 1:], low[-1, :-1], top[-1, :-1], top[-1, 1:]),
        _quads(low[1:, 0], low[:-1, 0], top[:-1, 0], top[1:, 0]),
        _quads(low[:-1, -1], low[1:, -1], top[1:, -1], top[:-1, -1]),
    ]
    return np.concatenate(sides) / 1000


def _write_stl(
    where: str, place: Path, values: np.ndarray, pair: np.ndarray, thickness: float
) -> Path:
    mesh = _optional.require(where, "stl.mesh", "fabrication", "STL files")
    triangles = _body(values, pair, thickness)
    body = mesh.Mesh(np.zeros(len(triangles), mesh.Mesh.dtype), remove_empty_areas=False)
    body.vectors[:] = triangles
    mode = _optional.require(where, "stl", "fabrication", "STL files").Mode.BINARY
    return _files.atomic(where, place, lambda file: body.save(place.name, fh=file, mode=mode))


def _read_stl(where: str, place: Path) -> tuple[np.ndarray, np.ndarray]:
    mesh = _optional.require(where, "stl.mesh", "fabrication", "STL files")
    try:
        corners = mesh.Mesh.from_file(str(place), remove_empty_areas=False).vectors
    except (AssertionError, RuntimeError, ValueError) as error:
        raise _no_map(where, place, str(error)) from None
    corners = np.asarray(corners, np.float64).reshape(-1, 3)
    (x, column), (y, row) = (np.unique(corners[:, k], return_inverse=True) for k in (0, 1))
    if min(len(x), len(y)) < 2 or len(x) * len(y) > len(corners):
        raise _no_map(where, place, "its corners do not lie on a lattice")
    height = np.full((len(y), len(x)), -np.inf)
    np.maximum.at(height, (row, column), corners[:, 2])
    if not np.all(np.isfinite(height)):
        raise _no_map(where, place, "its corners do not lie on a lattice")
    spacing = [(a[-1] - a[0]) / (len(a) - 1) * 1000 for a in (y, x)]
    return (height - height.min()) * 1000, np.asarray(spacing)


# -- GDS ---------------------------------------------------------------------------------------


def _write_gds(where: str, place: Path, values: np.ndarray, pair: np.ndarray) -> Path:
    gdstk = _optional.require(where, "gdstk", "fabrication", "GDS files")
    steps = np.unique(np.round(values / _SAME).astype(np.int64))
    if len(steps) > _MOST_LEVELS:
        raise ValueError(
            f"{where}: a GDS file has one layer for each height, at most {_MOST_LEVELS}, and "
            f"`height` has {len(steps)}. Round it first, with heights.levels."
        )
    number = np.searchsorted(steps, np.round(values / _SAME).astype(np.int64))
    library = gdstk.Library(unit=1e-6, precision=1e-9)
    cell = library.new_cell("HEIGHTS")
    note = {"shape": values.shape, "spacing_um": list(pair), "heights_um": list(steps * _SAME)}
    cell.add(gdstk.Label(json.dumps(note), (0, 0), layer=0))
    for j, line in enumerate(np.atleast_2d(number)):
        ends = np.flatnonzero(np.diff(line)) + 1
        for a, b in zip([0, *ends], [*ends, len(line)], strict=True):
            if line[a]:
                corners = (a * pair[1], j * pair[0]), (b * pair[1], (j + 1) * pair[0])
                cell.add(gdstk.rectangle(*corners, layer=int(line[a])))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "heights.gds"
        library.write_gds(file)
        return _files.atomic(where, place, lambda stream: stream.write(file.read_bytes()))


def _read_gds(where: str, place: Path) -> tuple[np.ndarray, np.ndarray]:
    gdstk = _optional.require(where, "gdstk", "fabrication", "GDS files")
    try:
        cells = gdstk.read_gds(str(place)).cells
        note = json.loads(cells[0].labels[0].text)
        shape, pair = tuple(note["shape"]), np.asarray(note["spacing_um"], float)
        steps = np.asarray(note["heights_um"], float)
        number = np.zeros(shape, int)
        for polygon in cells[0].polygons:
            low, high = (np.round(np.asarray(c)[::-1] / pair).astype(int)
                         for c in polygon.bounding_box())  # fmt: skip
            number[low[0] : high[0], low[1] : high[1]] = polygon.layer
    except (OSError, RuntimeError, ValueError, KeyError, IndexError, TypeError) as error:
        raise _no_map(where, place, f"{type(error).__name__} {error}") from None
    return steps[number], pair
