"""MATLAB files of version 5 to 7: plain arrays of numbers, nothing else.

scipy's reader crashes on damaged files (a segmentation fault in its compiled part) and inflates
without a limit, so that the few structures of a numeric array are read here, each with its size
checked against what is left. Structs, cells, objects and complex numbers are passed over.
"""

from __future__ import annotations

import dataclasses
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from jaxwave import _files

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8"}
_NUMBERS |= {13: "u8"}
# Classes of arrays, and the type of their values; types on the disk may be smaller.
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4"}
_CLASSES |= {14: "i8", 15: "u8"}
_COMPLEX = 0x0800
_MOST_AXES = 32


@dataclasses.dataclass(frozen=True)
class Variable:
    """An array in a file: its name, shape (first index fastest), type, and stored bytes."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    stored: tuple[str, ...]
    data: tuple[memoryview, ...]

    @property
    def imaginary(self) -> bool:
        """Whether the numbers are complex: the file holds real and imaginary parts apart."""
        return len(self.data) == 2

    def values(self) -> np.ndarray:
        """The numbers."""
        pairs = zip(self.data, self.stored, strict=True)
        parts = [np.frombuffer(data, stored).astype(self.dtype) for data, stored in pairs]
        flat = parts[0] + 1j * parts[1] if self.imaginary else parts[0]
        return flat.reshape(self.shape, order="F")


class _Bytes:
    """What is left of a structure; ValueError where it claims more."""

    def __init__(self, data: memoryview, order: str) -> None:
        self.data, self.order = data, order

    def element(self) -> tuple[int, memoryview]:
        """Kind and content of the next element; eight bytes hold a small one as a whole."""
        if len(self.data) < 8:
            raise ValueError("it ends in the middle of an element")
        kind, size = struct.unpack(f"{self.order}II", self.data[:8])
        if kind >> 16:
            kind, size = kind & 0xFFFF, kind >> 16
            start, stop = 4, 8
        else:
            # Every element ends at a multiple of eight bytes, but for compressed ones.
            start, stop = 8, 8 + (size if kind == _COMPRESSED else -(-size // 8) * 8)
        if size > (4 if start == 4 else len(self.data) - 8):
            raise ValueError(f"an element claims {size} bytes, {len(self.data) - 8} are left")
        content = self.data[start : start + size]
        self.data = self.data[stop:]
        return kind, content


def read(where: str, path: Path, max_bytes: float) -> dict[str, Variable | None]:
    """The arrays of a file by name; None where one is not of numbers.

    Raises:
        ValueError: If the file is damaged, or an array is larger than the limit.
    """
    _files.fits(where, path.name, path.stat().st_size, max_bytes)
    data = path.read_bytes()
    mark = data[126:128]
    if mark not in (b"IM", b"MI"):
        raise ValueError("its header does not tell the order of bytes")
    order = "<" if mark == b"IM" else ">"
    left = _Bytes(memoryview(data)[_HEADER:], order)
    found: dict[str, Variable | None] = {}
    total = 0.0
    while len(left.data):
        kind, content = left.element()
        if kind == _COMPRESSED:
            kind, content = _inflated(where, path, content, order, max_bytes)
        if kind != _MATRIX:
            continue
        name, one = _variable(content, order)
        found[name] = one
        if one is not None:
            total += math.prod(one.shape) * np.dtype(one.dtype).itemsize * len(one.data)
            _files.fits(where, path.name, total, max_bytes)
    return found


def _inflated(
    where: str, path: Path, content: memoryview, order: str, max_bytes: float
) -> tuple[int, memoryview]:
    """The element in a compressed one, which says its size at its beginning."""
    try:
        head = zlib.decompressobj().decompress(content, 8)
        if len(head) < 8:
            raise ValueError("a compressed array is empty")
        (size,) = struct.unpack(f"{order}4xI", head)
        _files.fits(where, path.name, size, max_bytes)
        decoder = zlib.decompressobj()
        whole = decoder.decompress(content, size + 8)
        more = decoder.decompress(decoder.unconsumed_tail, 1)  # reads the checksum too
        if more or not decoder.eof:
            raise ValueError("a compressed array is truncated or longer than it says")
    except zlib.error as error:
        raise ValueError(f"a compressed array cannot be unpacked ({error})") from None
    return _Bytes(memoryview(whole), order).element()


def _variable(content: memoryview, order: str) -> tuple[str, Variable | None]:
    """The name of an array, and the array unless it is no plain one of numbers."""
    left = _Bytes(content, order)
    _, flags = left.element()
    (word,) = struct.unpack(f"{order}I", flags[:4].tobytes().ljust(4, b"\0"))
    kind = word & 0xFF
    _, sizes = left.element()
    _, name = left.element()
    text = name.tobytes().decode("ascii", "replace")
    if kind not in _CLASSES:
        return text, None
    shape = tuple(int(n) for n in np.frombuffer(sizes[: len(sizes) // 4 * 4], f"{order}i4"))
    if not 2 <= len(shape) <= _MOST_AXES or min(shape) < 0:
        raise ValueError(f"an array declares the shape {shape}")
    parts = [_part(left, shape, order) for _ in range(2 if word & _COMPLEX else 1)]
    stored, data = zip(*parts, strict=True)
    return text, Variable(text, shape, _CLASSES[kind], stored, data)


def _part(left: _Bytes, shape: tuple[int, ...], order: str) -> tuple[str, memoryview]:
    """Type and bytes of the next values, real or imaginary parts."""
    stored, data = left.element()
    if stored not in _NUMBERS:
        raise ValueError(f"an array is stored as type {stored}")
    wanted = math.prod(shape) * np.dtype(_NUMBERS[stored]).itemsize
    if wanted != len(data):
        raise ValueError(f"an array of the shape {shape} has {len(data)} of {wanted} bytes")
    return order + _NUMBERS[stored], data
