"""Reads .npy and .npz files without ever unpickling and without trusting their headers."""

from __future__ import annotations

import errno
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jaxwave import _files

# What zipfile raises for damaged bytes; RuntimeError covers a bit that says "encrypted".
_DAMAGED: tuple[type[Exception], ...] = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error)
_DAMAGED += (
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    struct.error,
    UnicodeError,
    IndexError,
)
# What numpy's reader of headers raises beside ValueError.
_UNREADABLE = (SyntaxError, tokenize.TokenError, TypeError, OverflowError, RecursionError)
_UNREADABLE += (MemoryError, struct.error, IndexError, KeyError)
_MOST_AXES = 32
_END, _END_BYTES = b"PK\x05\x06", 22  # of a zip file


def read_npy(where: str, name: str, stream: BinaryIO, size: int, max_bytes: float) -> np.ndarray:
    """Reads one array of ``size`` bytes (header included) from an open file."""
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0}
        header = read.get(version, np.lib.format.read_array_header_2_0)
        shape, fortran, dtype = header(stream)
    except (*_UNREADABLE, ValueError, EOFError) as error:
        raise ValueError(f"{where}: {name!r} has no readable npy header ({error}).") from None
    if any(isinstance(n, bool) or n < 0 for n in shape) or len(shape) > _MOST_AXES:
        raise ValueError(f"{where}: {name!r} declares the shape {shape}; its header is damaged.")
    if dtype.hasobject:
        raise ValueError(
            f"{where}: {name!r} holds pickled Python objects, which could run any program when "
            "loaded; they are never unpickled. Save plain numbers instead."
        )
    needed = dtype.itemsize * math.prod(shape)
    if needed > size:
        raise ValueError(
            f"{where}: {name!r} declares {_files.size_text(needed)} of data in "
            f"{_files.size_text(size)}: the file is truncated or its header is wrong."
        )
    _files.fits(where, name, needed, max_bytes)
    data = stream.read(needed)
    if len(data) != needed:
        raise ValueError(f"{where}: {name!r} is truncated: {len(data)} of {needed} bytes readable.")
    array = np.frombuffer(bytearray(data), dtype) if data else np.zeros(0, dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def read_npz(where: str, path: Path, max_bytes: float) -> dict[str, np.ndarray]:
    """Reads every array of an .npz file; the zip checksums are verified."""
    arrays: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) != _members(path, len(members)):
                raise zipfile.BadZipFile("its directory is not whole")
            _files.fits(where, path.name, sum(m.file_size for m in members), max_bytes)
            for member in members:
                if not member.filename.endswith(".npy"):
                    raise ValueError(
                        f"{where}: {path.name!r} is a zip file with {member.filename!r} in it, "
                        "not an npz file of arrays. Unpack it first."
                    )
                name = member.filename.removesuffix(".npy")
                with archive.open(member) as stream:
                    arrays[name] = read_npy(where, name, stream, member.file_size, max_bytes)  # type: ignore[arg-type]
                    stream.read()  # reach the end, where the checksum is compared
    except (*_DAMAGED, OSError) as error:  # type: ignore[misc]
        # bz2 has no number for what is damaged; EINVAL is a place before the file.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise ValueError(f"{where}: {path.name!r} is damaged ({error}). Copy it again.") from None
    return arrays


def _members(path: Path, found: int) -> int:
    """How many files the end of a zip file announces; zipfile does not compare."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(size - _END_BYTES - 0xFFFF, 0))
        tail = stream.read()
    place = tail.rfind(_END)
    count = int.from_bytes(tail[place + 10 : place + 12], "little")
    return found if place < 0 or count == 0xFFFF else count


def write_npz(stream: BinaryIO, arrays: dict[str, Any], *, comment: bytes = b"") -> None:
    """Writes arrays to an open file that ends in a comment; the same input, the same bytes."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = comment
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")  # dated 1980, so that bytes are reproducible
            with archive.open(member, "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)
