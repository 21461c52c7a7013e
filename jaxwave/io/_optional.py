"""Packages that only some formats need."""

from __future__ import annotations

import contextlib
import importlib
import logging
import threading
from collections.abc import Iterator
from typing import Any


def require(where: str, package: str, extra: str, what: str) -> Any:
    """Imports a package or tells how to install it."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise ImportError(
            f"{where}: {what} need the package {package.split('.')[0]}, which is not installed. "
            f'Run pip install "jaxwave[{extra}]".'
        ) from None


@contextlib.contextmanager
def quiet(package: str) -> Iterator[None]:
    """Keeps a package's log lines of this thread off the screen; real faults raise."""
    logger, me = logging.getLogger(package), threading.get_ident()

    def other_thread(record: logging.LogRecord) -> bool:
        return record.thread != me

    logger.addFilter(other_thread)
    try:
        yield
    finally:
        logger.removeFilter(other_thread)
