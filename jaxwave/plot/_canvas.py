"""The drawing board: drawings sized in inches, physical axes, scale bars, color bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

import dataclasses
import io
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxwave import _files

# One small set of choices, so that all pictures look alike.
TEXT, SMALL = 8.0, 7.0
INK, GRAY, BLUE, ORANGE = "#222222", "#8a8a8a", "#2a6fa8", "#d1662b"
INTENSITY, PHASE, SIGNED = "inferno", "twilight", "RdBu_r"
NOWHERE = "#a8a8a8"
_FORMATS = (".png", ".pdf", ".svg")


@dataclasses.dataclass(frozen=True)
class Board:
    """A place on a figure, in inches from its lower left corner."""

    figure: Any
    left: float = 0.0
    bottom: float = 0.0

    def axes(self, left: float, bottom: float, width: float, height: float) -> Any:
        """Axes at a place in inches from the corner of the board."""
        w, h = self.figure.get_size_inches()
        place = ((self.left + left) / w, (self.bottom + bottom) / h, width / w, height / h)
        ax = self.figure.add_axes(place)
        _thin(ax)
        return ax


@dataclasses.dataclass(frozen=True)
class Drawing:
    """Something to draw, with the size that it needs in inches."""

    width: float
    height: float
    draw: Callable[[Board], None]


def _thin(ax: Axes) -> None:
    ax.tick_params(labelsize=SMALL, length=2.5, width=0.6, color=INK, labelcolor=INK)
    for side in ax.spines.values():
        side.set_linewidth(0.6)
        side.set_edgecolor(INK)


def render(where: str, rows: Sequence[Sequence[Drawing]], path: str | os.PathLike | None) -> Any:
    """Draws rows of drawings on a new figure, saves it if there is a path, and returns it."""
    suffix = "" if path is None else Path(path).suffix.lower()
    if path is not None and suffix not in _FORMATS:
        raise ValueError(
            f"{where}: `path` must end in {', '.join(_FORMATS)}, got {os.fspath(path)!r}."
        )
    try:
        from jaxwave.plot._figure import Figure
    except ImportError:
        raise ImportError(
            f"{where}: pictures need the package matplotlib, which is not installed. "
            'Run pip install "jaxwave[plot]".'
        ) from None
    width = max(sum(drawing.width for drawing in row) for row in rows)
    height = sum(max(drawing.height for drawing in row) for row in rows)
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    bottom = height
    for row in rows:
        tall = max(drawing.height for drawing in row)
        bottom, left = bottom - tall, 0.0
        for drawing in row:
            drawing.draw(Board(figure, left, bottom + tall - drawing.height))
            left += drawing.width
    if path is not None:
        buffer = io.BytesIO()
        undated = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(suffix)
        figure.savefig(buffer, format=suffix[1:], dpi=200, metadata=undated)
        _files.atomic(where, path, lambda stream: stream.write(buffer.getbuffer()))
    return figure


def image(ax: Any, data: np.ndarray, spacing: tuple[float, float], **options: Any) -> Any:
    """Draws an image whose axis pixel N // 2 is at zero; the spacing is (rows, columns)."""
    (ny, nx), (dy, dx) = data.shape, spacing
    left, top = (-(nx // 2) - 0.5) * dx, (-(ny // 2) - 0.5) * dy
    extent = (left, left + nx * dx, top + ny * dy, top)
    shown = ax.imshow(data, extent=extent, interpolation="nearest", aspect="auto", **options)
    return shown


def bare(ax: Axes) -> None:
    """Removes ticks and frame, for images with a scale bar."""
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_visible(False)


def color_bar(shown: Any, place: Any, label: str) -> Any:
    """A color bar that fills the axes ``place``; it lies down if they are wider than high."""
    from matplotlib.ticker import MaxNLocator

    box = place.get_window_extent()
    flat = box.width > box.height
    orientation = "horizontal" if flat else "vertical"
    bar = place.figure.colorbar(shown, cax=place, orientation=orientation)
    bar.outline.set_linewidth(0.6)
    bar.set_label(label, fontsize=TEXT, color=INK, labelpad=2)
    bar.locator = MaxNLocator(4)
    bar.update_ticks()
    _thin(place)
    for axis in (place.xaxis, place.yaxis):
        axis.get_offset_text().set_fontsize(SMALL)
    return bar


def phase_ticks(bar: Any) -> None:
    """Labels a bar from -pi to pi."""
    bar.set_ticks([-math.pi, 0, math.pi], labels=["−π", "0", "π"])


def nice(value: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above a value."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(step for step in (1, 2, 5) if step * power <= value * (1 + 1e-9)) * power


def length_text(value: float) -> str:
    """A length for people [µm]."""
    return f"{value:g} µm" if value >= 1 else f"{value * 1000:g} nm"


def scale_bar(ax: Any, color: str = "white") -> None:
    """Draws a bar of a round length [µm] in the lower left corner."""
    left, right = ax.get_xlim()
    bottom, top = ax.get_ylim()
    width, height = right - left, top - bottom
    length = nice(0.3 * abs(width))
    inches = ax.get_window_extent().height / ax.figure.dpi
    thick = 0.03 / inches * height
    x, y = left + 0.06 * width, bottom + 0.09 / inches * height
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x, y), length, thick, color=color, linewidth=0))
    text = {"ha": "center", "va": "bottom", "fontsize": SMALL, "color": color}
    ax.text(x + length / 2, y + 1.7 * thick, length_text(length), **text)


def title(ax: Axes, text: str) -> None:
    """A small title."""
    ax.set_title(text, fontsize=TEXT, color=INK, pad=3)


def root_label(label: str) -> str:
    """Name of the square root of something."""
    return f"√({label})" if " " in label else f"√{label}"
