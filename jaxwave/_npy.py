"""Reads .npy and .npz files without ever unpickling and without trusting their headers."""

import errno
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jaxwave import _files

# What zipfile raises for damaged bytes; RuntimeError covers a bit that says "encrypted".
_DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, RuntimeError)


def read_npy(where: str, name: str, stream: BinaryIO, size: int, max_bytes: float) -> np.ndarray:
    """Reads one array of ``size`` bytes (header included) from an open file."""
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0}
        header = read.get(version, np.lib.format.read_array_header_2_0)
        shape, fortran, dtype = header(stream)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{where}: {name!r} has no readable npy header ({error}).") from None
    if dtype.hasobject:
        raise ValueError(
            f"{where}: {name!r} holds pickled Python objects, which could run any program when "
            "loaded; they are never unpickled. Save plain numbers instead."
        )
    needed = dtype.itemsize * int(np.prod(shape, dtype=object))
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
            _files.fits(where, path.name, sum(m.file_size for m in members), max_bytes)
            for member in members:
                if not member.filename.endswith(".npy"):
                    raise ValueError(
                        f"{where}: {path.name!r} is a zip file with {member.filename!r} in it, "
                        "not an npz file of arrays."
                    )
                name = member.filename.removesuffix(".npy")
                with archive.open(member) as stream:
                    arrays[name] = read_npy(where, name, stream, member.file_size, max_bytes)  # type: ignore[arg-type]
                    stream.read()  # reach the end, where the checksum is compared
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a place before the file
            raise
        raise ValueError(f"{where}: {path.name!r} is damaged ({error}). Copy it again.") from None
    return arrays


def write_npz(stream: BinaryIO, arrays: dict[str, Any], *, comment: bytes = b"") -> None:
    """Writes arrays to an open file that ends in a comment; the same input, the same bytes."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = comment
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")  # dated 1980, so that bytes are reproducible
            with archive.open(member, "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)
