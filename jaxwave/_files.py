"""What every reader and writer needs: checks of the path, checksums, atomic writing."""

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_TEMPORARY = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.tmp")


def existing(where: str, path: str | os.PathLike) -> Path:
    """Requires a file that exists and is not empty."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{where}: `path` must be a file, got the folder {str(path)!r}.")
    if not path.exists():
        raise FileNotFoundError(f"{where}: there is no file {str(path)!r}. Check the path.")
    if path.stat().st_size == 0:
        raise ValueError(f"{where}: the file {path.name!r} is empty (0 bytes). Copy it again.")
    return path


def sha256(path: Path) -> str:
    """Checksum of a file, 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def size_text(size: float) -> str:
    """A number of bytes for people, such as ``28.8 GB``."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def fits(where: str, name: str, needed: float, max_bytes: float) -> None:
    """Requires that an array is not larger than the user's limit."""
    if needed > max_bytes:
        raise ValueError(
            f"{where}: {name!r} needs {size_text(needed)} of memory, more than the limit of "
            f"{size_text(max_bytes)}. Pass a larger `max_bytes` if this is what you expect."
        )


def atomic(where: str, path: str | os.PathLike, write: Callable[[BinaryIO], object]) -> Path:
    """Writes a file so that a reader sees the old one or the whole new one, never a part."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{where}: `path` must be a file, got the folder {str(path)!r}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{where}: there is no folder {str(path.parent)!r}. Make it first.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("x+b") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or error
        raise type(error)(error.errno, f"{where}: cannot write {str(path)!r}: {reason}") from None
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    return path


def sync_folder(path: Path) -> None:
    """Makes the names in a folder survive a power cut."""
    with contextlib.suppress(OSError):  # some file systems cannot sync a folder
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_temporary(folder: Path) -> None:
    """Removes what :func:`atomic` left when it was killed; nobody else may be writing there."""
    for path in folder.glob(".*.tmp"):
        if _TEMPORARY.fullmatch(path.name):
            with contextlib.suppress(OSError):
                path.unlink()
