"""Chunks are shared by renaming files: any number of processes, no communication.

A chunk that nobody has begun is an empty file in ``todo``. Who renames it into ``taken`` has it: of
two that try, the file system lets one succeed. A process that lives holds a lock, which the kernel
gives back when it dies, however it dies; what a dead one had taken is renamed once more, to the one
who goes on. No clock is compared with that of another machine. Where the file system has no locks,
a number that a living process counts up takes their place.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Self

from jaxwave import _files

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TODO, TAKEN, WORKERS = "todo", "taken", "workers"
_DOOR = ".door"
WAIT = 0.2  # seconds between two looks at what others do
BEAT = 5.0  # seconds between two counts of a process without a lock
PATIENCE = 12 * BEAT  # without a new number it is dead


def prepare(folder: Path, chunks: int) -> None:
    """Makes what claims need, in a folder that nobody else sees yet."""
    for name in (TODO, TAKEN, WORKERS):
        (folder / name).mkdir()
    for chunk in range(chunks):
        (folder / TODO / f"{chunk:08d}").touch()


class Worker:
    """One process that takes chunks of a sweep.

    Args:
        folder: Folder of the sweep.
        chunks: How many there are.
        has: Whether the file of a chunk is there.
    """

    def __init__(self, folder: Path, chunks: int, has: Callable[[int], bool]) -> None:
        self._folder, self._chunks, self._has = folder, chunks, has
        host = "".join(c if c.isalnum() else "-" for c in socket.gethostname())
        self.name = f"{host}-{os.getpid()}-{secrets.token_hex(4)}"
        self._file: IO[str] | None = None
        self._over = threading.Event()
        self._seen: dict[str, tuple[str, float]] = {}

    def __enter__(self) -> Self:
        workers = self._folder / WORKERS
        with self._door():
            hidden = workers / f".{self.name}"
            self._file = hidden.open("x+", encoding="utf-8")
            if not _lock(self._file):
                self._file.write("0\n")
                self._file.flush()
                threading.Thread(target=self._count, daemon=True).start()
            os.rename(hidden, workers / self.name)  # seen only when it is known to live
            if self._is_alone():
                self._clear()
                self._repair()
        return self

    def __exit__(self, *_: object) -> None:
        """Gives back what is not done."""
        self._over.set()
        with contextlib.suppress(OSError):
            for path in (self._folder / TAKEN).glob(f"*.{self.name}"):
                os.rename(path, self._folder / TODO / path.name.partition(".")[0])
            with self._door():
                (self._folder / WORKERS / self.name).unlink()
                if self._is_alone():
                    self._clear()
        if self._file is not None:
            self._file.close()

    @contextlib.contextmanager
    def _door(self) -> Iterator[None]:
        """One enters or leaves at a time, so who is alone stays alone meanwhile."""
        with (self._folder / WORKERS / _DOOR).open("a", encoding="utf-8") as door:
            _lock(door, wait=True)
            yield

    def __iter__(self) -> Iterator[int]:
        """Chunks to compute; ends when every chunk is done, by whomever."""
        while True:
            busy = False
            for chunk in self._free():
                busy = True
                if self._take(self._folder / TODO / f"{chunk:08d}", chunk):
                    if not self._has(chunk):
                        yield chunk
                    self._drop(chunk)
            for path in self._taken():
                busy = True
                number, _, owner = path.name.partition(".")
                if self._has(int(number)):
                    # Done; its owner was about to say so, unless it is dead.
                    if self._is_dead(owner):
                        path.unlink(missing_ok=True)
                elif self._is_dead(owner) and self._take(path, int(number)):
                    if not self._has(int(number)):
                        yield int(number)
                    self._drop(int(number))
            if not busy:
                return
            if not self._free():
                time.sleep(WAIT)

    def _free(self) -> list[int]:
        return sorted(int(p.name) for p in (self._folder / TODO).iterdir())

    def _taken(self) -> list[Path]:
        return sorted(p for p in (self._folder / TAKEN).iterdir() if "." in p.name)

    def _mine(self, chunk: int) -> Path:
        return self._folder / TAKEN / f"{chunk:08d}.{self.name}"

    def _take(self, path: Path, chunk: int) -> bool:
        try:
            os.rename(path, self._mine(chunk))
        except FileNotFoundError:  # somebody was faster
            return False
        return True

    def _drop(self, chunk: int) -> None:
        self._mine(chunk).unlink(missing_ok=True)

    # -- who lives ---------------------------------------------------------------------------

    def _others(self) -> list[str]:
        found = (p.name for p in (self._folder / WORKERS).iterdir())
        return [name for name in found if name != self.name and not name.startswith(".")]

    def _is_dead(self, owner: str) -> bool:
        if owner == self.name:
            return False
        try:
            stream = (self._folder / WORKERS / owner).open("r+", encoding="utf-8")
        except FileNotFoundError:  # it has said goodbye
            return True
        with stream:
            text = stream.read()
            if not text and fcntl is not None:
                with contextlib.suppress(OSError):
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return True  # nobody holds it; it is free again when the stream closes
                return False
        before, since = self._seen.get(owner, (None, 0.0))
        now = time.monotonic()
        if text != before:
            self._seen[owner] = (text, now)
            return False
        return now - since > PATIENCE

    def _count(self) -> None:
        """Shows that this process lives, where there are no locks."""
        number = 0
        while self._file is not None and not self._file.closed:
            with contextlib.suppress(OSError, ValueError):
                self._file.seek(0)
                self._file.write(f"{number}\n")
                self._file.flush()
            number += 1
            if self._over.wait(BEAT):
                return

    def _is_alone(self) -> bool:
        return all(self._is_dead(other) for other in self._others())

    def _clear(self) -> None:
        """Alone in the folder: takes away what the dead left."""
        for other in self._others():
            (self._folder / WORKERS / other).unlink(missing_ok=True)
        _files.remove_temporary(self._folder / "chunks")

    def _repair(self) -> None:
        """Alone in the folder: asks again for what is missing, such as a file that was deleted."""
        known = {*self._free(), *(int(p.name.partition(".")[0]) for p in self._taken())}
        for chunk in range(self._chunks):
            if chunk not in known and not self._has(chunk):
                (self._folder / TODO / f"{chunk:08d}").touch()


def _lock(stream: IO[str], *, wait: bool = False) -> bool:
    """Holds a lock as long as the stream is open; False where there are none."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True
