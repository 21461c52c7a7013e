"""What every reader and writer needs: checks of the path, checksums, atomic writing."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.\d+\.[0-9a-f]{8}(?P<old>-old)?\.tmp")


def as_path(where: str, path: str | os.PathLike) -> Path:
    """The path that somebody passed; anything else is named."""
    try:
        return Path(path)
    except TypeError:
        raise TypeError(
            f"{where}: `path` must be the name of a file or a folder, got {type(path).__name__}."
        ) from None


def existing(where: str, path: str | os.PathLike) -> Path:
    """Requires a file that exists and is not empty."""
    path = as_path(where, path)
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
    size = min(size, 1e300)  # a header may claim a whole number that no float holds
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def fits(where: str, name: str, needed: float, max_bytes: float) -> None:
    """Requires that an array is not larger than the user's limit."""
    if isinstance(max_bytes, str):
        raise TypeError(f"{where}: `max_bytes` must be a number [bytes], got {max_bytes!r}.")
    if needed > max_bytes:
        raise ValueError(
            f"{where}: {name!r} needs {size_text(needed)} of memory, more than the limit of "
            f"{size_text(max_bytes)}. Pass a larger `max_bytes` if this is what you expect."
        )


def atomic(where: str, path: str | os.PathLike, write: Callable[[BinaryIO], object]) -> Path:
    """Writes a file so that a reader sees the old one or the whole new one, never a part."""
    path = as_path(where, path)
    if path.is_dir():
        raise IsADirectoryError(f"{where}: `path` must be a file, got the folder {str(path)!r}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{where}: there is no folder {str(path.parent)!r}. Make it first.")
    new = temporary(path)
    try:
        with new.open("x+b") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, path)
    except OSError as error:
        reason = error.strerror or error
        raise type(error)(error.errno, f"{where}: cannot write {str(path)!r}: {reason}") from None
    finally:
        new.unlink(missing_ok=True)
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
    """Removes what was left when a writer was killed; nobody else may be writing there."""
    for path in folder.glob(".*.tmp"):
        match = _TEMPORARY.fullmatch(path.name)
        if match is None:
            continue
        with contextlib.suppress(OSError):
            if path.is_dir() and match["old"] and not (folder / match["name"]).exists():
                os.replace(path, folder / match["name"])
            elif path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def temporary(path: Path, *, old: bool = False) -> Path:
    """A name beside a file for what becomes it, or for what it was until it is replaced."""
    kind = "-old" if old else ""
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{kind}.tmp")


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``path`` when the block ends well.

    A folder cannot be renamed over another one. The old one steps aside under a name that
    :func:`rescue` and :func:`remove_temporary` know, so that no moment is without one of the two.
    """
    new, old = temporary(path), temporary(path, old=True)
    try:
        new.mkdir(parents=True)
        yield new
        if path.exists():
            os.replace(path, old)
        try:
            os.replace(new, path)
        except OSError:
            if old.exists():
                os.rename(old, path)
            raise
        sync_folder(path.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)


def rescue(path: Path) -> None:
    """Brings back the folder that a killed :func:`replacing_folder` had set aside."""
    if path.exists() or not path.parent.is_dir():
        return
    for old in path.parent.glob(f".{glob.escape(path.name)}.*-old.tmp"):
        if _TEMPORARY.fullmatch(old.name):
            os.rename(old, path)
            return


@contextlib.contextmanager
def replacing_files(folder: Path, last: str) -> Iterator[Path]:
    """A folder to write files into, which then replace those of ``folder`` in one go.

    The file ``last`` tells that a set is whole: it is taken away first and comes back last, so
    that a kill at any moment leaves the old set, the new set, or one that is not whole.
    """
    new = temporary(folder / "result")
    try:
        new.mkdir(parents=True)
        yield new
        (folder / last).unlink(missing_ok=True)
        for part in sorted(new.iterdir(), key=lambda part: (part.name == last, part.name)):
            os.replace(part, folder / part.name)
        sync_folder(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
