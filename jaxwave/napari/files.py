"""Readers and writers of the viewer: every format of ``jaxwave.io`` and its result folders."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from jaxwave import io
from jaxwave.cli.names import stem
from jaxwave.io._raw import Request
from jaxwave.io._zarr import is_zarr
from jaxwave.io.reader import _load, _usable
from jaxwave.napari.compute import Layer, image
from jaxwave.napari.layers import voxel

Reader = Callable[[Any], list[Layer]]

_RESULTS = ("result.json", "calibration.npz", "mean.npz")  # of a calibration
_HEIGHTS = (".stl", ".gds")
_MOST = 2.0**36  # bytes
_AXES = {"Z": "dz", "Y": "dy", "X": "dx"}


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """What napari asks: a function that reads these files, or None.

    Args:
        path: A file or folder, or several.

    Returns:
        A function of the path that returns layers.
    """
    paths = [path] if isinstance(path, str) else list(path)
    return _read_all if paths and all(_is_ours(Path(one)) for one in paths) else None


def _is_ours(path: Path) -> bool:
    if path.is_dir():
        return is_zarr(path) or _is_result(path)
    return path.suffix.lower() != ".json" or path.name == "result.json"


def _is_result(path: Path) -> bool:
    from jaxwave.napari.results import is_result

    return is_result(path)


def _read_all(path: str | Sequence[str]) -> list[Layer]:
    paths = [path] if isinstance(path, str) else path
    return [layer for one in paths for layer in _read(Path(one))]


def _read(path: Path) -> list[Layer]:
    folder = path if path.is_dir() else path.parent
    if not is_zarr(path) and (path.is_dir() or path.name in _RESULTS) and _is_result(folder):
        from jaxwave.napari.results import layers_of

        return layers_of(folder)
    if path.suffix.lower() in _HEIGHTS:
        heights, spacing = io.read_heights(path)
        return [image(heights, tuple(map(float, spacing)), f"{stem(str(path))} height")]
    if path.suffix.lower() == ".npz":
        return _arrays(path)
    return _stack(path)


def _arrays(path: Path) -> list[Layer]:
    """Every array of an npz file that is a picture, with the spacing that lies beside it."""
    arrays = io.load_arrays(path)
    pictures = {n: a for n, a in arrays.items() if a.ndim >= 2 and a.dtype.kind in "fiubc"}
    if not pictures:
        raise ValueError(f"{path.name!r} holds no picture; it holds {', '.join(arrays) or 'none'}.")
    spacing = np.atleast_1d(arrays.get("spacing", np.empty(0))).astype(float)
    made = []
    for name, array in pictures.items():
        called = stem(str(path)) if name == "data" else f"{stem(str(path))} {name}"
        fits = 0 < len(spacing) <= array.ndim and bool(np.all(spacing > 0))
        steps = dict(zip(range(array.ndim)[-len(spacing) :], spacing, strict=True)) if fits else {}
        made += _parts(array, steps, called)
    return made


def _stack(path: Path) -> list[Layer]:
    """All channels and times of a file, with the lengths that it states."""
    raw = _load(Request("jaxwave", _MOST, fields=True), path)
    array, letters = raw.array, raw.axes or ""
    if len(letters) != array.ndim:
        letters = "" if len(letters) != array.squeeze().ndim else letters
        array = array.squeeze() if letters else array
    notes: list[str] = []
    lengths = {}
    for letter, axis in _AXES.items():
        option = "dz" if axis == "dz" else "pixel"
        length = _usable(axis, option, raw.lengths.get(axis), notes)
        if length is not None and not length.problem and letter in letters:
            lengths[letter] = length
    told = {f"axis {k}": f"{v.value:.6g} µm, {v.source}" for k, v in lengths.items()}
    told |= {f"note {k}": text for k, text in enumerate([*raw.notes, *notes], 1)}
    name = stem(str(path))
    if "C" not in letters or array.shape[letters.index("C")] == 1:
        channels = [(name, array, letters)]
    else:
        place, rest = letters.index("C"), letters.replace("C", "")
        count = array.shape[place]
        channels = [(f"{name} C={k}", np.take(array, k, place), rest) for k in range(count)]
    made = []
    for called, part, axes in channels:
        steps = {k: lengths[letter].value for k, letter in enumerate(axes) if letter in lengths}
        for data, options, kind in _parts(part, steps, called):
            if axes:
                options["axis_labels"] = tuple(axes.lower())
            options["metadata"] = {"jaxwave": told}
            made.append((data, options, kind))
    return made


def _parts(array: np.ndarray, steps: dict[int, float], name: str) -> list[Layer]:
    """A layer, or two of a complex array, with known steps [µm] by axis."""
    fields = array.dtype.names
    if fields is not None:
        array = array[fields[0]] + 1j * array[fields[1]]
    both = [(name, array)]
    if np.iscomplexobj(array):
        both = [(f"{name} amplitude", np.abs(array)), (f"{name} phase [rad]", np.angle(array))]
    scale = tuple(float(steps.get(k, 1.0)) for k in range(array.ndim))
    made = [image(part, scale, called) for called, part in both]
    for _, options, _ in made:
        options["units"] = tuple("um" if k in steps else "pixel" for k in range(array.ndim))
    return made


# -- writing -------------------------------------------------------------------------------


def write_image(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Writes an image layer with its voxel size, in the format of the name's ending.

    Args:
        path: File that ends in ``.ome.tif``, ``.tif``, ``.zarr`` or ``.npz``.
        data: The layer's data, ``(z, y, x)`` or one plane.
        attributes: The layer's scale and units, and whatever else it has.

    Returns:
        The file.

    Raises:
        ValueError: If the layer tells no voxel size, or is no stack of real numbers.
    """
    name = attributes.get("name", "layer")
    stack = np.asarray(data[0] if attributes.get("multiscale") else data)
    if attributes.get("rgb") or stack.ndim not in (2, 3):
        what = "an RGB picture" if attributes.get("rgb") else f"an array {stack.shape}"
        raise ValueError(
            f"{name!r} is {what}; a stack (z, y, x) or one plane is written. Split it, or take "
            "one channel or time."
        )
    units = attributes.get("units") or ("pixel",) * stack.ndim
    size = voxel(SimpleNamespace(scale=attributes.get("scale", (1,) * stack.ndim), units=units))
    if size is None or not all(map(math.isfinite, size)):
        raise ValueError(
            f"{name!r} has no voxel size. Give it one, such as "
            f"viewer.layers[{name!r}].scale = (0.3, 0.1, 0.1) in micrometers."
        )
    if stack.ndim == 2:
        stack, size = stack[None], (1.0, *size)
    return [str(io.write_stack(path, stack, spacing=size))]
