"""Writes MATLAB files of version 5: arrays of numbers, in structures if need be."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxwave import _files

_INT8, _INT32, _UINT32, _MATRIX = 1, 5, 6, 14
_STRUCTURE, _NAME = 2, 32
# Class of an array, and the type of its values in the file.
_CLASSES = {"f8": (6, 9), "f4": (7, 7), "u1": (9, 2), "i4": (12, 5)}
_LOGICAL = 0x0200
_MOST = 2.0**31 - 2**20  # an element's size is 32 bits, and readers take it for a signed number


def _element(kind: int, data: bytes) -> bytes:
    """One element; every one begins at a multiple of eight bytes."""
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def _matrix(name: str, flags: int, shape: tuple[int, ...], body: bytes) -> bytes:
    head = _element(_UINT32, struct.pack("<II", flags, 0))
    head += _element(_INT32, np.asarray(shape, "<i4").tobytes())
    return _element(_MATRIX, head + _element(_INT8, name.encode("ascii")) + body)


def encode(name: str, value: object) -> bytes:
    """A variable: a dict is a structure of one entry, a number an array (1, 1)."""
    if isinstance(value, Mapping):
        fields = b"".join(key.encode("ascii").ljust(_NAME, b"\0") for key in value)
        body = struct.pack("<HHI", _INT32, 4, _NAME) + _element(_INT8, fields)
        body += b"".join(encode("", part) for part in value.values())
        return _matrix(name, _STRUCTURE, (1, 1), body)
    array = np.asarray(value)
    flags = _LOGICAL if array.dtype == bool else 0
    array = array.astype(np.uint8) if flags else array
    kind, stored = _CLASSES[array.dtype.str[1:]]
    shape = array.shape if array.ndim >= 2 else (1, array.size)
    data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes(order="F")
    return _matrix(name, kind | flags, shape, _element(stored, data))


def size(value: object) -> float:
    """Bytes that the numbers of a variable take."""
    if isinstance(value, Mapping):
        return sum(size(part) for part in value.values())
    array = np.asarray(value)
    return float(math.prod(array.shape)) * array.dtype.itemsize


def contents(where: str, name: str, variables: Mapping[str, Any]) -> bytes:
    """The bytes of a file; the same variables give the same ones."""
    _files.fits(where, name, size(variables), _MOST)
    head = b"MATLAB 5.0 MAT-file, written by jaxwave".ljust(116) + bytes(8)
    parts = [encode(key, value) for key, value in variables.items()]
    return b"".join([head, struct.pack("<H2s", 0x0100, b"IM"), *parts])
