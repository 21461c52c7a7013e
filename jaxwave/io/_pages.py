"""The chain of pages of a TIFF file, compared with what its header claims.

tifffile follows the chain as far as it can and returns what it found: a truncated stack comes back
as one plane. So the chain is walked here first, within limits: the file's own size is the most
that tags may take, and no strip may inflate past its page.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jaxwave import _files
from jaxwave.io import _inflate, _optional

_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_BYTES |= {16: 8, 17: 8, 18: 8}
_LETTERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_TAGS = {256: "width", 257: "height", 258: "bits", 259: "compression", 262: "photometric"}
_TAGS |= {270: "description", 273: "offsets", 324: "offsets", 277: "samples"}
_TAGS |= {279: "counts", 325: "counts", 278: "rows", 322: "tile_width", 323: "tile_height"}
_COLOR = {2: "RGB", 5: "CMYK", 6: "YCbCr", 8: "CIELab"}
# Deflate packs 1032 to 1 at best; no lossless method of TIFF comes near this ratio.
_RATIO = 2000
_MOST_PAGES = 1_000_000
_SLACK = 1 << 24  # bytes of tags that pages may share
_METHODS = {8: "deflate", 32946: "deflate", 34925: "lzma"}
_BUILT_IN = (1, 32773, *_METHODS)  # none and PackBits
_COMPRESSIONS = {5: "LZW", 6: "JPEG", 7: "JPEG", 50000: "Zstandard", 50001: "WebP"}
_COMPRESSIONS |= {34712: "JPEG 2000", 33003: "JPEG 2000", 34887: "LERC", 2: "CCITT"}


@dataclasses.dataclass(frozen=True)
class Chain:
    """The pages of a TIFF file, as far as they are whole; ``broken`` if more were announced."""

    pages: list[dict[str, Any]]
    broken: bool


class TooMuchError(ValueError):
    """Tags that take more than the file holds."""


def _page(
    stream: BinaryIO, order: str, big: bool, size: int, *, first: bool, left: int
) -> tuple[dict[str, Any], int, int]:
    """Reads one page's tags, the place of the next, and what tags may still take.

    EOFError where the file ends.
    """

    def take(form: str) -> tuple[Any, ...]:
        data = stream.read(struct.calcsize(order + form))
        if len(data) < struct.calcsize(order + form):
            raise EOFError
        return struct.unpack(order + form, data)

    tags: dict[str, Any] = {}
    (entries,) = take("Q" if big else "H")
    if not entries or entries * (20 if big else 12) > size:
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
            left -= length
            if left < 0:
                raise TooMuchError
            if name == "description" and not first:
                continue
            here = stream.tell()
            stream.seek(place)
            value = stream.read(length)
            stream.seek(here)
        if kind in _LETTERS:
            kind = f"{order}{_LETTERS[kind].lower()}{_BYTES[kind]}".replace("b1", "u1")
            kind = re.sub("[hiq]", "u", kind)
            tags[name] = np.frombuffer(value[:length], kind)
        elif name == "description":
            tags[name] = _text(value[:length].split(b"\0")[0])
    (following,) = take("Q" if big else "I")
    return tags, following, left


def _text(data: bytes) -> str:
    """A description: UTF-8, or the Latin-1 of older programs."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def walk(where: str, path: Path) -> Chain:
    """The chain of pages as far as it is whole."""
    size = path.stat().st_size
    pages: list[dict[str, Any]] = []
    with path.open("rb") as stream:
        head = stream.read(16)
        order, big = "<" if head[:1] == b"I" else ">", b"+" in head[:4]
        if len(head) < (16 if big else 8):
            return Chain([], True)
        place = struct.unpack(order + ("Q" if big else "I"), head[8:16] if big else head[4:8])[0]
        seen, left = set(), 2 * size + _SLACK
        while place:
            if place >= size or place in seen:
                return Chain(pages, True)
            seen.add(place)
            stream.seek(place)
            try:
                tags, place, left = _page(stream, order, big, size, first=not pages, left=left)
            except EOFError:
                return Chain(pages, True)
            except TooMuchError:
                raise _odd(
                    where, path, "its pages share tags that are longer than the file"
                ) from None
            pages.append(tags)
            if len(pages) > _MOST_PAGES:
                raise _odd(where, path, f"it has more than {_MOST_PAGES} pages")
    return Chain(pages, False)


def _odd(where: str, path: Path, what: str) -> ValueError:
    return ValueError(
        f"{where}: {path.name!r} is not read, because {what}; no camera writes such a file. Save "
        "the stack again."
    )


def number(page: dict[str, Any], name: str, default: int) -> int:
    values = page.get(name, ())
    return int(values[0]) if len(values) else default


def _page_bytes(page: dict[str, Any]) -> int:
    bits = number(page, "bits", 1) * number(page, "samples", 1)
    return (number(page, "width", 0) * bits + 7) // 8 * number(page, "height", 0)


def _readable(page: dict[str, Any], size: int) -> bool:
    """Tells whether a page's pixels lie inside the file and can be as many as it claims."""
    offsets = page.get("offsets", ())
    counts = page.get("counts", (_page_bytes(page),))
    if not len(offsets) or len(offsets) != len(counts):
        return False
    ends = np.asarray(offsets, np.float64) + np.asarray(counts, np.float64)
    plain = number(page, "compression", 1) == 1
    enough = _page_bytes(page) <= float(np.sum(counts, dtype=float)) * (1 if plain else _RATIO)
    return bool((ends <= size).all()) and enough


def _strip_bytes(page: dict[str, Any]) -> int:
    """Size of one strip or tile when it is decoded."""
    bits = number(page, "bits", 1) * number(page, "samples", 1)
    width = number(page, "tile_width", number(page, "width", 0))
    rows = number(page, "tile_height", number(page, "rows", number(page, "height", 0)))
    rows = rows if "tile_height" in page else min(rows, number(page, "height", 0))
    return (width * bits + 7) // 8 * rows


def _check_strips(where: str, path: Path, pages: list[dict[str, Any]]) -> None:
    """Requires that no strip inflates past its page."""
    with path.open("rb") as stream:
        for page in pages:
            method, size = number(page, "compression", 1), _strip_bytes(page)
            counts = page.get("counts", ())
            for offset, count in zip(page["offsets"], counts, strict=False) if method != 1 else ():

                def read(offset: int = int(offset), count: int = int(count)) -> bytes:
                    stream.seek(offset)
                    return stream.read(count)

                what = _inflate.problem(_METHODS.get(method, ""), int(count), size, read)
                if what:
                    raise _odd(where, path, what)


def require_codec(where: str, path: Path, page: dict[str, Any]) -> None:
    """Requires the package that decodes a compression beyond the built-in ones."""
    method = number(page, "compression", 1)
    if method in _COMPRESSIONS:
        what = f"TIFF files compressed with {_COMPRESSIONS[method]}, such as {path.name!r},"
        _optional.require(where, "imagecodecs", "compressed", what)
    elif method not in _BUILT_IN:
        raise ValueError(
            f"{where}: {path.name!r} is compressed with method {method}, which is unknown: its "
            "header is wrong, or it is of a program of its own. Save the stack uncompressed."
        )


def is_shaped(description: str) -> bool:
    """Tells whether tifffile has described the array: a JSON object with a list of sizes."""
    try:
        found = json.loads(description) if description.startswith('{"shape"') else {}
        return all(isinstance(n, int) and n > 0 for n in found["shape"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _declared(description: str, page: dict[str, Any]) -> int | None:
    """How many planes the description promises, if it says so."""
    if description.startswith(("ImageJ=", "SCIFIO=")):
        match = re.search(r"^images=(\d{1,9})\s*$", description, re.MULTILINE)
        return int(match.group(1)) if match else None
    plane = number(page, "width", 0) * number(page, "height", 0) * number(page, "samples", 1)
    if is_shaped(description) and plane > 0:
        return math.prod(json.loads(description)["shape"]) // plane
    return None


@dataclasses.dataclass(frozen=True)
class Pages:
    """What was found: the pages, their number, and the first description."""

    chain: Chain
    readable: int
    promised: int
    plane_bytes: int
    description: str


def check(
    where: str,
    path: Path,
    chain: Chain,
    max_bytes: float,
    *,
    trust_axes: bool,
    ome: bool,
    trim: bool,
) -> Pages:
    """Requires that every declared plane is in the file (the reader of OME looks for itself)."""
    size = path.stat().st_size
    damage = "the file is truncated or its header is wrong. Copy it again from its source."
    if not chain.pages:
        raise ValueError(f"{where}: {path.name!r} holds no readable TIFF page: {damage}")
    first = chain.pages[0]
    description = first.get("description", "")
    kind = _COLOR.get(number(first, "photometric", 1))
    if not trust_axes and (kind or number(first, "samples", 1) > 1):
        raise ValueError(
            f"{where}: {path.name!r} is a color image ({kind or 'several'}, "
            f"{number(first, 'samples', 1)} samples a pixel), and a measured stack has one "
            "channel. Save the channel you want as a gray stack, or pass axes='ZYX' if "
            "the samples are planes."
        )
    require_codec(where, path, first)
    declared = None if ome else _declared(description, first)
    whole = [_readable(page, size) for page in chain.pages]
    readable = sum(whole)
    plane = _page_bytes(first)
    if (
        declared
        and declared > len(chain.pages) == 1 == readable
        and not chain.broken
        and number(first, "compression", 1) == 1
    ):  # ImageJ stacks above 4 GB and tifffile's own have one page, then plain planes
        readable = min(declared, (size - int(np.min(first["offsets"]))) // max(plane, 1))
    promised = max(declared or 0, len(chain.pages))
    if readable < promised or chain.broken:
        count = f"{promised}" if declared or not chain.broken else f"more than {promised}"
        begun = 0 < readable == next((k for k, w in enumerate(whole) if not w), readable)
        if not (trim and begun):
            raise ValueError(
                f"{where}: {path.name!r} declares {count} planes of {_files.size_text(plane)}, "
                f"{readable} readable in a file of {_files.size_text(size)}: {damage} If the "
                "acquisition was stopped, missing='trim' keeps the planes before the gap."
            )
    values = 8 * plane // max(number(first, "bits", 8), 1)
    _files.fits(
        where, path.name, min(promised, max(readable, 1)) * max(plane, 4 * values), max_bytes
    )
    _check_strips(where, path, [page for page, w in zip(chain.pages, whole, strict=True) if w])
    return Pages(chain, readable, promised, plane, description)
