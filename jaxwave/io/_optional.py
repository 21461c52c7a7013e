"""Packages that only some formats need."""

from __future__ import annotations

import importlib
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
