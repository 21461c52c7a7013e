"""Work in other threads: the newest request wins, progress and errors come back, cancel works."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from jaxwave.napari._qt import QtCore, create_worker

_DELAY = 100  # milliseconds without a change before the work begins


class Canceled(BaseException):
    """Ends work that is no longer wanted; no ``except Exception`` on its way takes it."""


class Work(QtCore.QObject):
    """Runs a function in a thread, one request at a time, the newest last.

    Args:
        function: Gets the request, and a function that it calls with its progress; that one ends
            the work where it was canceled.
        parent: Owner.
    """

    done = QtCore.Signal(object)
    failed = QtCore.Signal(object)
    progress = QtCore.Signal(object)
    busy = QtCore.Signal(bool)

    def __init__(self, function: Callable[[Any, Callable[..., None]], Any], parent: Any) -> None:
        super().__init__(parent)
        self._function = function
        stops = self._stops = [threading.Event()]  # of what runs
        self.destroyed.connect(lambda: stops[0].set())
        self._waiting: list[Any] = []
        self._running = False
        self._timer = QtCore.QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._next)

    @property
    def running(self) -> bool:
        """Whether something is computed, or about to be."""
        return self._running or bool(self._waiting)

    def ask(self, request: object, *, delay: int = _DELAY) -> None:
        """Computes this request when the last change is a moment ago, instead of earlier ones."""
        self._waiting = [request]
        self._timer.start(delay)

    def cancel(self) -> None:
        """Forgets what waits; what runs ends at its next report, and its result is dropped."""
        self._waiting = []
        self._timer.stop()
        self._stops[0].set()
        if self._running:
            self._running = False
            self.busy.emit(False)

    def _next(self) -> None:
        if self._running or not self._waiting:
            return
        request, self._waiting = self._waiting[0], []
        self._running, self._stops[0] = True, threading.Event()
        self.busy.emit(True)
        worker = create_worker(self._guarded, request, self._stops[0])
        worker.returned.connect(self._finish)
        worker.start()

    def _guarded(self, request: object, stop: threading.Event) -> tuple[threading.Event, str, Any]:
        """In the other thread: errors are results, too."""

        def report(*parts: object) -> None:
            if stop.is_set():
                raise Canceled
            try:
                self.progress.emit(parts)
            except RuntimeError:  # the widget is gone
                raise Canceled from None

        try:
            value = self._function(request, report)
        except Canceled:
            return stop, "canceled", None
        except Exception as error:
            return stop, "failed", error
        return stop, "done", value

    def _finish(self, answer: tuple[threading.Event, str, Any]) -> None:
        stop, kind, value = answer
        if stop.is_set():  # nobody waits for it any more
            return
        self._running = False
        if kind == "done":
            self.done.emit(value)
        elif kind == "failed" and not self._waiting:
            self.failed.emit(value)
        if not self._waiting:
            self.busy.emit(False)
        elif not self._timer.isActive():
            self._next()
