"""The folder of one run: checkpoints that survive a kill, a lock, and signals that ask to stop."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any, BinaryIO, Self

import jax
import numpy as np
from jax import Array

from jaxwave import _check, _files, _npy
from jaxwave._version import __version__

CURRENT, PREVIOUS, LOCK = "state.npz", "state.previous.npz", "run.lock"
_FORMAT = 1
_HEADER = "run"  # the array that holds settings and versions
# A checkpoint ends in a zip comment: this mark, and the checksum of everything before it.
_MARK = b"jaxwave run, sha256 "
_DIGITS = 64
_MINUTE = 60.0


class RunFolder:
    """Keeps the state of a run in a folder that only one process uses at a time.

    A checkpoint is an npz file with its settings, the versions and a checksum of every byte in it.
    It is written beside the last one and renamed, and the one before is kept, so that neither a
    kill nor a power cut at any moment costs more than the newest state. Inside ``with``, SIGTERM
    and SIGINT only set ``stop_signal``; a second signal acts as usual.

    Args:
        path: The folder; it is made where it is missing.

    Example:
        >>> import tempfile
        >>> with RunFolder(tempfile.mkdtemp()) as run:
        ...     _ = run.save({"phase": np.zeros(3)}, {"na": 0.8})
        ...     run.load({"na": 0.8})["phase"].shape
        (3,)
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self.stop_signal: int | None = None
        self.failure: OSError | None = None
        self._failures = 0
        self._warned = -np.inf
        self._trusted = False  # the current file is known to be whole
        self._lock: IO[str] | None = None
        self._handlers: dict[int, Any] = {}

    @property
    def exit_code(self) -> int:
        """What the program ends with after a signal: 143 for SIGTERM, 130 for Ctrl-C, else 0."""
        return 0 if self.stop_signal is None else 128 + self.stop_signal

    # -- the lock and the signals ---------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / LOCK).open("a+", encoding="utf-8")
        except OSError as error:
            reason = error.strerror or error
            raise type(error)(
                error.errno,
                f"RunFolder: cannot write to the folder {str(self.path)!r}: {reason}. "
                "Choose another folder, or change its permissions.",
            ) from None
        try:
            self._take_lock(self._lock)
            _files.remove_temporary(self.path)
            self._catch_signals()
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
        if self._lock is not None:
            with contextlib.suppress(OSError):
                self._lock.truncate(0)
            self._lock.close()  # the kernel gives the lock back, after a kill too

    def _take_lock(self, lock: IO[str]) -> None:
        try:
            import fcntl
        except ImportError:  # Windows
            _check.warn("RunFolder", "this system has no file locks. Start one run per folder.")
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "another process"
            raise RuntimeError(
                f"RunFolder: the folder {str(self.path)!r} is in use by {owner}. "
                "Wait until that run ends, or choose another folder."
            ) from None
        except OSError as error:
            text = f"the file system of {str(self.path)!r} has no locks ({error.strerror}). "
            _check.warn("RunFolder", text + "Start one run per folder.")
        with contextlib.suppress(OSError):  # a full disk: the lock holds without its text
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            lock.flush()

    def _catch_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.getsignal(number)
            # Ignored signals stay ignored (nohup); handlers from outside Python can't be restored.
            if before is not None and before != signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.stop_signal is None:
            self.stop_signal = number
            return
        signal.signal(number, self._handlers[number])
        signal.raise_signal(number)

    # -- checkpoints ----------------------------------------------------------------------

    def save(self, arrays: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
        """Saves a state; False, and a warning once a minute, if the disk did not take it.

        Args:
            arrays: Arrays by name, of numbers, booleans or text.
            settings: What a later :meth:`load` has to agree with; numbers, text, lists, dicts.

        Returns:
            Whether the state is on the disk. ``failure`` holds the error of the last save, or None.

        Raises:
            TypeError: If an array holds Python objects, or a setting is none of the above.
            ValueError: If an array has the reserved name.
        """
        self._need_lock("save")
        entries = _entries(arrays, settings)
        try:
            _files.atomic("RunFolder", self.path / CURRENT, lambda f: self._write(f, entries))
        except OSError as error:
            self.failure = error
            self._failures += 1
            self._warn_of(error)
            return False
        self.failure, self._failures, self._warned = None, 0, -np.inf
        self._trusted = True
        return True

    def _write(self, stream: BinaryIO, entries: dict[str, np.ndarray]) -> None:
        _write(stream, entries)
        stream.flush()
        os.fsync(stream.fileno())  # a full disk says so before the last state moves
        self._keep_previous()

    def _keep_previous(self) -> None:
        """Gives the current file its second name, unless it is damaged."""
        current, previous = self.path / CURRENT, self.path / PREVIOUS
        if not self._trusted and not (current.exists() and _is_whole(current)):
            return
        link = self.path / f".{PREVIOUS}.{os.getpid()}.{'0' * 8}.tmp"
        try:
            link.unlink(missing_ok=True)
            os.link(current, link)  # the current name stays: there is no moment without a state
            os.replace(link, previous)
            link.unlink(missing_ok=True)  # two names of one file: POSIX leaves both
        except OSError:  # a file system without links
            os.replace(current, previous)

    def _warn_of(self, error: OSError) -> None:
        now = time.monotonic()
        if now - self._warned < _MINUTE:
            return
        self._warned = now
        # The count makes every text new: Python shows the same warning only once.
        _check.warn(
            "RunFolder",
            f"the state could not be saved ({error.strerror or error}); attempt "
            f"{self._failures}. The run goes on and will try again; the state saved before is "
            "untouched. Make room on the disk.",
        )

    def load(self, settings: Mapping[str, Any], *, force: bool = False) -> dict | None:
        """Loads the newest whole state, or None where nothing was saved.

        Args:
            settings: Settings of this run; they must be those that the state was saved with.
            force: True takes a state of other settings or another version of jaxwave all the same.

        Returns:
            The arrays by name, or None.

        Raises:
            ValueError: If the settings differ (the message lists them), or no file is whole.
        """
        self._need_lock("load")
        files = [self.path / CURRENT, self.path / PREVIOUS]
        found = [path for path in files if path.exists()]
        faults: list[str] = []
        for path in found:
            try:
                arrays, header = _read(path)
            except (ValueError, OSError) as error:
                faults.append(str(error).removeprefix("RunFolder: "))
                continue
            if not force:
                _agree(path, header, _header(settings))
            self._trusted = path.name == CURRENT
            if path.name == PREVIOUS:
                fault = faults[0] if faults else f"there is no {CURRENT!r}."
                _check.warn("RunFolder", f"{fault} Going on from {PREVIOUS!r} instead.")
            return arrays
        if not found:
            return None
        raise ValueError(
            f"RunFolder: {' '.join(faults)} Nothing in {str(self.path)!r} can be resumed; start in "
            "a new folder, or move these files away."
        )

    def _need_lock(self, name: str) -> None:
        if self._lock is None or self._lock.closed:
            raise RuntimeError(
                f"RunFolder: {name} works inside `with RunFolder(path) as run:` only."
            )


# -- one file ------------------------------------------------------------------------------


def _entries(arrays: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, np.ndarray]:
    plain = {str(name): np.asarray(array) for name, array in arrays.items()}
    if _HEADER in plain:
        raise ValueError(f"RunFolder: the name {_HEADER!r} is taken. Choose another one.")
    types = {}
    for name, array in plain.items():
        if array.dtype.kind == "V" and array.dtype.names is None:  # bfloat16 and its kin
            types[name] = str(array.dtype)
            plain[name] = array.view(f"u{array.dtype.itemsize}")
        elif array.dtype.kind not in "fiubcU":
            raise TypeError(
                f"RunFolder: `{name}` must hold numbers, booleans or text, got {array.dtype}. "
                "Convert it first."
            )
    text = json.dumps(_header(settings) | {"types": types}, sort_keys=True)
    return {_HEADER: np.frombuffer(text.encode(), np.uint8), **plain}


def _header(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings and versions as JSON would give them back."""
    header = {"settings": settings, "format": _FORMAT, "versions": _versions()}
    return json.loads(json.dumps(header, default=_plain))


def _versions() -> dict[str, str]:
    return {"jaxwave": __version__, "jax": jax.__version__}


def _plain(value: object) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, complex | np.complexfloating):
        return {"real": float(value.real), "imag": float(value.imag)}
    if hasattr(value, "dtype") and hasattr(value, "shape") and np.asarray(value).dtype.kind != "O":
        return np.asarray(value).tolist()
    raise TypeError(
        "RunFolder: `settings` must be made of numbers, text, lists and dicts, got "
        f"{type(value).__name__}. Convert it first."
    )


def _write(stream: BinaryIO, entries: dict[str, np.ndarray]) -> None:
    _npy.write_npz(stream, entries, comment=_MARK + b"0" * _DIGITS)
    size = stream.seek(0, os.SEEK_END)
    digest = _digest(stream, size)
    stream.seek(size - _DIGITS)
    stream.write(digest)


def _digest(stream: BinaryIO, size: int) -> bytes:
    """The checksum of everything but the checksum."""
    digest = hashlib.sha256()
    stream.seek(0)
    for piece in _pieces(stream, size - _DIGITS):
        digest.update(piece)
    return digest.hexdigest().encode()


def _pieces(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (piece := stream.read(min(size, 2**20))):
        size -= len(piece)
        yield piece


def _is_whole(path: Path) -> bool:
    size, tail = path.stat().st_size, len(_MARK) + _DIGITS
    if size <= tail:
        return False
    with path.open("rb") as stream:
        stream.seek(size - tail)
        end = stream.read()
        return end[: len(_MARK)] == _MARK and end[len(_MARK) :] == _digest(stream, size)


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    try:
        size, whole = path.stat().st_size, _is_whole(path)
    except OSError as error:
        raise ValueError(f"{path.name!r} cannot be read ({error.strerror}).") from None
    if not whole:
        raise ValueError(
            f"{path.name!r} is damaged, or no checkpoint of jaxwave: its {size} bytes do not end "
            f"in their checksum.{_pickle_in(path)}"
        )
    arrays = _npy.read_npz("RunFolder", path, size)
    header = json.loads(arrays.pop(_HEADER).tobytes())
    for name, kind in header.pop("types").items():
        arrays[name] = arrays[name].view(np.dtype(kind))
    return arrays, header


def _pickle_in(path: Path) -> str:
    """What to add where a foreign file holds pickles."""
    try:
        _npy.read_npz("", path, 2**34)
    except (ValueError, OSError) as error:
        if "pickled" in str(error):
            return str(error).removeprefix(":")
    return ""


def _agree(path: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuses a state of other settings; another version of jax only gets a warning."""
    old, new = _flat(saved), _flat(wanted)
    pairs = {k: (old.get(k, "(none)"), new.get(k, "(none)")) for k in sorted({*old, *new})}
    changes = {k: f"{k}: {a} -> {b}" for k, (a, b) in pairs.items() if not _same(a, b)}
    other_jax = changes.pop("versions.jax", None)
    if changes:
        raise ValueError(
            f"RunFolder: {path.name!r} was saved by a run of other settings "
            f"(saved -> now): {'; '.join(changes.values())}. Use the same settings or another "
            "folder."
        )
    if other_jax:
        text = (
            f"{path.name!r} was saved with another jax ({other_jax}); the last digits may differ."
        )
        _check.warn("RunFolder", text)


def _flat(tree: object, name: str = "") -> dict[str, Any]:
    """Leaves by dotted name; the word 'settings' is left out."""
    if not isinstance(tree, dict) or (not tree and name):
        return {name.removeprefix("settings."): tree}
    return {
        key: leaf
        for part, branch in tree.items()
        for key, leaf in _flat(branch, f"{name}.{part}" if name else part).items()
    }


def _same(a: Array, b: Array) -> bool:
    return json.dumps(a) == json.dumps(b)  # NaN is the same as NaN
