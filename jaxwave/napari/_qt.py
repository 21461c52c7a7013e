"""What the widgets take from napari and its Qt; without them, the line that installs them."""

from __future__ import annotations

from jaxwave.io._optional import require

_WHERE, _WHAT = "jaxwave.napari", "the widgets"

require(_WHERE, "napari", "napari", _WHAT)
require(_WHERE, "napari.qt.threading", "napari", _WHAT)

from napari.layers import Image, Points  # noqa: E402
from napari.qt.threading import create_worker  # noqa: E402
from napari.utils.notifications import show_error, show_info, show_warning  # noqa: E402
from qtpy import QtCore, QtWidgets  # noqa: E402

__all__ = [
    "Image",
    "Points",
    "QtCore",
    "QtWidgets",
    "create_worker",
    "show_error",
    "show_info",
    "show_warning",
]
