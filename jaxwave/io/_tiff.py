"""Reads TIFF files with tifffile, after checking what the header claims against the file.

tifffile follows the chain of pages as far as it can and returns what it found: a truncated stack
comes back as one plane. So the chain is walked here first.
"""

import contextlib
import dataclasses
import json
import logging
import re
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jaxwave import _files
from jaxwave.io import _metadata, _optional

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_BYTES |= {16: 8, 17: 8, 18: 8}
_LETTERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_TAGS = {256: "width", 257: "height", 258: "bits", 259: "compression", 262: "photometric"}
_TAGS |= {270: "description", 273: "offsets", 324: "offsets", 277: "samples"}
_TAGS |= {279: "counts", 325: "counts"}
_COLOR = {2: "RGB", 5: "CMYK", 6: "YCbCr", 8: "CIELab"}
# Deflate packs 1032 to 1 at best; no lossless method of TIFF comes near this ratio.
_RATIO = 2000


@dataclasses.dataclass(frozen=True)
class _Chain:
    """The pages of a TIFF file, as far as they are whole; ``broken`` if more were announced."""

    pages: list[dict[str, Any]]
    broken: bool


def _page(stream: BinaryIO, order: str, big: bool, size: int) -> tuple[dict[str, Any], int]:
    """Reads one page's tags and the place of the next; EOFError where the file ends."""

    def take(form: str) -> tuple[Any, ...]:
        data = stream.read(struct.calcsize(order + form))
        if len(data) < struct.calcsize(order + form):
            raise EOFError
        return struct.unpack(order + form, data)

    tags: dict[str, Any] = {}
    (entries,) = take("Q" if big else "H")
    if entries * (20 if big else 12) > size:
        raise EOFError
    for code, kind, count, value in (take("HHQ8s" if big else "HHI4s") for _ in range(entries)):
        name = _TAGS.get(code)
        length = _BYTES.get(kind, 1) * count
        if name is None:
            continue
        if length > len(value):
            (place,) = struct.unpack(order + ("Q" if big else "I"), value)
            if place + length > size:
                raise EOFError
            here = stream.tell()
            stream.seek(place)
            value = stream.read(length)
            stream.seek(here)
        if kind in _LETTERS:
            tags[name] = struct.unpack(f"{order}{count}{_LETTERS[kind]}", value[:length])
        elif name == "description":
            tags[name] = value[:length].split(b"\0")[0].decode("utf-8", "replace")
    (following,) = take("Q" if big else "I")
    return tags, following


def _walk(path: Path) -> _Chain:
    size = path.stat().st_size
    pages: list[dict[str, Any]] = []
    with path.open("rb") as stream:
        head = stream.read(16)
        order, big = "<" if head[:1] == b"I" else ">", b"+" in head[:4]
        if len(head) < (16 if big else 8):
            return _Chain([], True)
        place = struct.unpack(order + ("Q" if big else "I"), head[8:16] if big else head[4:8])[0]
        seen = set()
        while place:
            if place >= size or place in seen:
                return _Chain(pages, True)
            seen.add(place)
            stream.seek(place)
            try:
                tags, place = _page(stream, order, big, size)
            except EOFError:
                return _Chain(pages, True)
            pages.append(tags)
    return _Chain(pages, False)


def _number(page: dict[str, Any], name: str, default: int) -> int:
    values = page.get(name) or (default,)
    return int(values[0])


def _page_bytes(page: dict[str, Any]) -> int:
    bits = _number(page, "bits", 1) * _number(page, "samples", 1)
    return (_number(page, "width", 0) * bits + 7) // 8 * _number(page, "height", 0)


def _readable(page: dict[str, Any], size: int) -> bool:
    """Tells whether a page's pixels lie inside the file and can be as many as it claims."""
    offsets, counts = page.get("offsets", ()), page.get("counts") or (_page_bytes(page),)
    if not offsets or len(offsets) != len(counts):
        return False
    inside = all(o + c <= size for o, c in zip(offsets, counts, strict=True))
    plain = _number(page, "compression", 1) == 1
    return inside and _page_bytes(page) <= sum(counts) * (1 if plain else _RATIO)


def _declared(description: str, page: dict[str, Any]) -> int | None:
    """How many planes the description promises, if it says so."""
    if description.startswith("ImageJ="):
        match = re.search(r"^images=(\d+)", description, re.MULTILINE)
        return int(match.group(1)) if match else None
    if _metadata.is_ome(description):
        return _metadata.ome_planes(description) // _number(page, "samples", 1)
    if description.startswith('{"shape"'):
        with contextlib.suppress(ValueError, TypeError, KeyError, ZeroDivisionError):
            pixels = int(np.prod(json.loads(description)["shape"], dtype=object))
            plane = _number(page, "width", 0) * _number(page, "height", 0)
            return pixels // (plane * _number(page, "samples", 1))
    return None


def _check_pages(where: str, path: Path, max_bytes: float, trust_axes: bool) -> str:
    """Requires that every declared plane is in the file; returns the first description."""
    size, chain = path.stat().st_size, _walk(path)
    damage = "the file is truncated or its header is wrong. Copy it again from its source."
    if not chain.pages:
        raise ValueError(f"{where}: {path.name!r} holds no readable TIFF page: {damage}")
    first = chain.pages[0]
    description = first.get("description", "")
    kind = _COLOR.get(_number(first, "photometric", 1))
    if not trust_axes and (kind or _number(first, "samples", 1) > 1):
        raise ValueError(
            f"{where}: {path.name!r} is a color image ({kind or 'several'}, "
            f"{_number(first, 'samples', 1)} samples a pixel), and a measured stack has one "
            "channel. Save the channel you want as a gray stack, or name the axes with `axes` if "
            "the samples are planes."
        )
    _metadata.check_xml(where, path.name, description)
    declared = _declared(description, first)
    readable = sum(_readable(page, size) for page in chain.pages)
    plane = _page_bytes(first)
    if (
        declared
        and declared > len(chain.pages) == 1 == readable
        and not chain.broken
        and _number(first, "compression", 1) == 1
    ):  # ImageJ stacks above 4 GB and tifffile's own have one page, then plain planes
        readable = min(declared, (size - min(first["offsets"])) // max(plane, 1))
    promised = max(declared or 0, len(chain.pages))
    if readable < promised or chain.broken:
        number = f"{promised}" if declared or not chain.broken else f"more than {promised}"
        raise ValueError(
            f"{where}: {path.name!r} declares {number} planes of {_files.size_text(plane)}, "
            f"{readable} readable in a file of {_files.size_text(size)}: {damage}"
        )
    sizes = {(_number(p, "width", 0), _number(p, "height", 0)) for p in chain.pages}
    if len(sizes) > 1:
        listed = ", ".join(f"{width} x {height}" for width, height in sorted(sizes))
        raise ValueError(
            f"{where}: {path.name!r} holds pages of several sizes ({listed} pixels), not one "
            "stack. Save the stack you want alone."
        )
    values = 8 * plane // max(_number(first, "bits", 8), 1)
    _files.fits(where, path.name, promised * max(plane, 4 * values), max_bytes)
    return description


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps tifffile's log lines of this thread off the screen; real faults raise."""
    logger, me = logging.getLogger("tifffile"), threading.get_ident()

    def other_thread(record: logging.LogRecord) -> bool:
        return record.thread != me

    logger.addFilter(other_thread)
    try:
        yield
    finally:
        logger.removeFilter(other_thread)


def require_tifffile(where: str) -> Any:
    """Imports tifffile or tells how to install it."""
    return _optional.require(where, "tifffile", "files", "TIFF files")


def read(
    where: str, path: Path, max_bytes: float, *, trust_axes: bool = False
) -> tuple[np.ndarray, str, dict[str, _metadata.Length]]:
    """Reads a TIFF file: the array, its axes as letters, and its voxel size as far as known.

    A writer may store three or four gray planes as the samples of a color; they are read if the
    user names the axes.
    """
    tifffile = require_tifffile(where)
    description = _check_pages(where, path, max_bytes, trust_axes)
    try:
        with _quiet(), tifffile.TiffFile(path) as file:
            many = [s for s in file.series if np.prod(s.shape[:-2]) > 1]
            if len(many) > 1:
                shapes = ", ".join(str(tuple(s.shape)) for s in many)
                raise ValueError(f"it holds {len(many)} stacks of the shapes {shapes}, not one")
            series = many[0] if many else file.series[0]
            array, axes = np.asarray(series.asarray()), series.axes
            tags = {tag.name: tag.value for tag in file.pages[0].tags}
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(
            f"{where}: {path.name!r} cannot be read ({type(error).__name__}: {error}). Save it "
            "again as an uncompressed TIFF stack."
        ) from error
    planes = {letter: count for letter, count in zip(axes, array.shape, strict=True)}
    return array, axes, _metadata.lengths(description, tags, planes)
