"""What a long fit shows: a bar for people, lines for the logs of clusters."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

from jaxwave.calibration.progress import Bar, told
from jaxwave.cli.terminal import warn

_EVERY = 30.0  # seconds between two lines of a log
_TICK = 0.2
_SIGNS = "|/-\\"


_FIRST = "compiling the fit; the first bead of a shape takes longer than the others"


_watcher: ContextVar[Callable[..., None] | None] = ContextVar("_watcher", default=None)


@contextlib.contextmanager
def watched_by(watcher: Callable[..., None]) -> Iterator[None]:
    """Gives the progress of this thread to a function, which may raise to end the work."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def shown(first: str = _FIRST) -> Any:
    """Progress for the stream of errors: a terminal or a file, which begins with what comes."""
    watcher = _watcher.get()
    if watcher is not None:
        return contextlib.nullcontext(watcher)
    return Live() if sys.stderr.isatty() else Log(first)


class Live:
    """Seconds while the fit compiles, then a bar over its steps."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._first = threading.Event()
        self._spinner = threading.Thread(target=self._spin, daemon=True)

    def _spin(self) -> None:
        start, turn = time.monotonic(), 0
        while not self._first.wait(_TICK):
            turn += 1
            seconds = time.monotonic() - start
            sys.stderr.write(f"\r{_SIGNS[turn % 4]} compiling, {seconds:.0f} s ")
            sys.stderr.flush()
        sys.stderr.write("\r" + " " * 30 + "\r")
        sys.stderr.flush()

    def _stop(self) -> None:
        self._first.set()
        if self._spinner.is_alive():
            self._spinner.join()

    def __call__(self, *parts: Any) -> None:
        """Shows a report."""
        if self._bar is None:
            self._stop()
            self._bar = Bar()
            self._bar.__enter__()
        self._bar(*parts)

    def __enter__(self) -> Self:
        self._spinner.start()
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if self._bar is not None:
            self._bar.__exit__(kind, error, trace)


class Log:
    """A line where the fit begins to compile, and at times how far it is."""

    def __init__(self, first: str = _FIRST) -> None:
        self._first, self._stage = first, ""
        self._start = self._last = time.monotonic()

    def __call__(self, stage: str, step: int, steps: int, loss: float, heldout_loss: float) -> None:
        """Shows a report if the last one is a while ago."""
        now = time.monotonic()
        if stage == self._stage and now - self._last < _EVERY:
            return
        self._stage, self._last = stage, now
        words = [f"{stage}, step {step} of {steps}", *told(loss, heldout_loss)]
        warn(f"{now - self._start:.0f} s: {', '.join(words)}")

    def __enter__(self) -> Self:
        warn(self._first)
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to close."""
