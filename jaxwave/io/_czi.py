"""CZI files of ZEN, read with czifile; what was never written is told, never read as zeros."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxwave import _files
from jaxwave.io import _inflate, _optional
from jaxwave.io._lengths import stated
from jaxwave.io._raw import Raw, Request

_SPATIAL = "YXS"
_MOST_PLANES = 1_000_000
_ZSTD = (5, 6)  # compressions with a zstd frame; the second has a short header before it


def read(ask: Request, path: Path) -> Raw:
    """Reads one scene: the full resolution, its axes, and the distances of ZEN's scaling."""
    where = ask.where
    czifile = _package(where)
    try:
        with _optional.quiet("czifile"), czifile.CziFile(path) as file:
            scenes = list(file.scenes.values())
            scene = ask.position(path.name, scenes, lambda s: len(_planes(s)) > 1, _describe)
            return _stack(ask, path, file, scene)
    except ImportError:
        raise
    except Exception as error:
        if str(error).startswith(where):
            raise
        raise ValueError(
            f"{where}: {path.name!r} cannot be read as CZI ({type(error).__name__}: {error}). Copy "
            "it again, or save it as OME-TIFF in ZEN or Fiji."
        ) from None


def _package(where: str) -> Any:
    """The package, of a year that knows scenes; it needs a newer Python than jaxwave does."""
    czifile = _optional.require(
        where, "czifile", "czi", "CZI files (from Python 3.12 on; else save them as OME-TIFF)"
    )
    if not hasattr(czifile, "CziScenes"):
        raise ImportError(
            f"{where}: this czifile {czifile.__version__} is too old. Run "
            'pip install -U "jaxwave[czi]" in Python 3.12 or newer, or save the stack as OME-TIFF.'
        )
    return czifile


def _describe(scene: Any) -> str:
    return f"{scene.name}, " + " ".join(f"{k} {n}" for k, n in scene.sizes.items() if n > 1)


def _letters(scene: Any) -> list[str]:
    """The axes through which the planes run, as the file names them."""
    return [axis for axis in scene.dims if axis not in _SPATIAL]


def _planes(scene: Any) -> dict[tuple[int, ...], list[Any]]:
    """The pieces of every plane, by its place along the stack axes."""
    letters, found = _letters(scene), {}
    for entry in scene.directory_entries:
        start = dict(zip(entry.dims, entry.start, strict=True))
        found.setdefault(tuple(int(start.get(k, 0)) for k in letters), []).append(entry)
    return found


def _stack(ask: Request, path: Path, file: Any, scene: Any) -> Raw:
    """The entries that are asked for, every plane of which must be in the file."""
    letters, sizes, there = _letters(scene), dict(scene.sizes), _planes(scene)
    first = [min(place[n] for place in there) for n in range(len(letters))]
    chosen = {k: ask.entries(k, sizes[k]) for k in letters}

    def places() -> Iterator[tuple[int, ...]]:
        return itertools.product(
            *(
                [start + k for k in entries]
                for start, entries in zip(first, chosen.values(), strict=True)
            )
        )

    count = math.prod(len(entries) for entries in chosen.values())
    if count > _MOST_PLANES:
        raise ValueError(f"it claims {count} planes")
    z = letters.index("Z") if "Z" in letters else -1
    lost = [place[z] - first[z] for place in places() if place not in there]
    notes = []
    if z >= 0:
        declared = max(_declared(file), sizes["Z"])
        whole = min(lost, default=sizes["Z"])
        if whole < declared:
            _require_trim(ask, path, declared, whole)
            notes = [f"{whole} of {declared} planes are there (missing='trim')"]
            chosen["Z"] = chosen["Z"][:whole]
    elif lost:
        _require_trim(ask, path, len(lost), 0)
    shape = [len(chosen.get(k, range(sizes[k]))) for k in scene.dims]
    _files.fits(ask.where, path.name, math.prod(shape) * scene.dtype.itemsize, ask.max_bytes)
    for entry in itertools.chain.from_iterable(there[place] for place in places()):
        _check(ask, path, file, entry)
    picked = {  # czifile counts from the file's own first plane, which need not be 0
        k: slice(start + entries[0], start + entries[-1] + 1)
        for start, (k, entries) in zip(first, chosen.items(), strict=True)
    }
    array = np.asarray((scene(**picked) if picked else scene).asarray()).reshape(shape)
    scales, units = scene.coord_scales, scene.coord_units
    lengths = {
        f"d{k.lower()}": stated(scales[k], units.get(k, ""), "CZI scaling")
        for k in "ZYX"
        if k in scales
    }
    return Raw(array, "".join(scene.dims), lengths, notes)


def _declared(file: Any) -> int:
    """The number of planes that the metadata say the experiment was to have, else 0."""
    element = file.xml_element
    size = element.find(".//Information/Image/SizeZ") if element is not None else None
    return int(size.text) if size is not None and str(size.text).isdigit() else 0


def _require_trim(ask: Request, path: Path, declared: int, whole: int) -> None:
    """Refuses planes that are not there, unless the user lets the others go."""
    if ask.missing == "trim" and whole > 0:
        return
    raise ValueError(
        f"{ask.where}: {path.name!r} declares {declared} planes in z, of which the first {whole} "
        "are there for every time and channel; the others would be read as 0. Copy it again. If "
        "the acquisition was stopped, missing='trim' keeps the planes before the gap."
    )


def _check(ask: Request, path: Path, file: Any, entry: Any) -> None:
    """Requires that a piece is within the limit and does not inflate past its size."""
    size = math.prod(entry.stored_shape) * entry.dtype.itemsize
    _files.fits(ask.where, f"{path.name}: a piece", size, ask.max_bytes)
    if int(entry.compression) not in _ZSTD:
        return
    data = bytes(entry.read_segment_data(file).data(raw=True))
    frame = data[data[0] :] if int(entry.compression) == _ZSTD[1] and data else data
    what = _inflate.problem("zstd", len(frame), size, lambda: frame)
    if what:
        raise ValueError(f"{ask.where}: {path.name!r} is not read, because {what}.")
