"""How large compressed pieces become, found out without taking the memory for it."""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import Any, Protocol

_STEP = 1 << 22  # bytes that are inflated at a time
_SLACK = 4096
_TRIED = {"deflate": 1032, "gzip": 1032, "lzma": 7000, "bz2": 1 << 30}  # what one byte may become
_SUSPECT = 1 << 28  # bytes that a piece could become before it is tried out
_ZSTD = b"\x28\xb5\x2f\xfd"


class Read(Protocol):
    """Gives the bytes of a piece when they are needed."""

    def __call__(self) -> bytes:
        """The bytes."""
        ...


def problem(method: str, stored: int, size: int, read: Read) -> str:
    """Why a piece of ``stored`` bytes should not be decoded to ``size`` bytes; "" if it may."""
    if stored > 2 * size + _SLACK:
        return "a compressed piece is longer than what it holds"
    if method in ("blosc", "zstd", "lz4"):
        claimed = _claimed(method, read()[:32])
        return "a compressed piece claims more than it should hold" * (claimed > size + _SLACK)
    if stored * _TRIED.get(method, 0) <= _SUSPECT or not _grows(method, read(), size + _SLACK):
        return ""
    return "a compressed piece holds more than it should"


def _claimed(method: str, head: bytes) -> int:
    """The size that a header states, 0 where it states none."""
    if method == "blosc":
        return int.from_bytes(head[4:8], "little")
    if method == "lz4":
        return int.from_bytes(head[:4], "little")
    if head[:4] != _ZSTD or len(head) < 5:
        return 0
    flags = head[4]
    single, kind = bool(flags & 0x20), flags >> 6
    length = (1 if single else 0, 2, 4, 8)[kind]
    start = 5 + (not single) + (0, 1, 2, 4)[flags & 3]
    return int.from_bytes(head[start : start + length], "little") + (256 if length == 2 else 0)


def _grows(method: str, data: bytes, most: int) -> bool:
    """Tells whether data become more than so many bytes; damaged ones are left to the reader."""
    decoder: Any
    if method in ("deflate", "gzip"):
        decoder = zlib.decompressobj(zlib.MAX_WBITS | (32 if method == "gzip" else 0))
    else:
        decoder = lzma.LZMADecompressor() if method == "lzma" else bz2.BZ2Decompressor()
    total = 0
    try:
        while not decoder.eof:
            piece = decoder.decompress(data, _STEP)
            total += len(piece)
            if total > most:
                return True
            data = decoder.unconsumed_tail if hasattr(decoder, "unconsumed_tail") else b""
            if not piece and not data:
                break
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
        pass
    return False
