"""The page's own drawings: contrast transfer, localization bounds, residuals; as text for HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

import base64
import io

import numpy as np

from jaxwave.plot import _canvas
from jaxwave.report.quality import PsfQuality

_SIZE = (2.72, 1.85)
_AXES = {"x": _canvas.BLUE, "y": _canvas.ORANGE, "z": _canvas.INK}


def embedded(data: bytes, kind: str, alt: str, width: int) -> str:
    """A picture as an ``<img>`` whose data stand in the page itself."""
    text = base64.b64encode(data).decode()
    return f'<img alt="{alt}" style="width:{width}px" src="data:image/{kind};base64,{text}">'


def picture(drawing: _canvas.Drawing, alt: str, *, vector: bool = True) -> str:
    """A drawing as an :func:`embedded` picture."""
    figure = _canvas.render("write_report", [[drawing]], None)
    buffer = io.BytesIO()
    if vector:
        import matplotlib

        with matplotlib.rc_context({"svg.hashsalt": "jaxwave"}):
            figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    else:
        figure.savefig(buffer, format="png", dpi=200)
    kind = "svg+xml" if vector else "png"
    return embedded(buffer.getvalue(), kind, alt, round(96 * drawing.width))


def _plain(ax: Axes, x: str, y: str) -> None:
    ax.set_xlabel(x, fontsize=_canvas.TEXT, color=_canvas.INK, labelpad=2)
    ax.set_ylabel(y, fontsize=_canvas.TEXT, color=_canvas.INK, labelpad=2)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _legend(ax: Axes) -> None:
    ax.legend(fontsize=_canvas.SMALL, frameon=False, handlelength=1.4, labelcolor=_canvas.INK)


def mtf(quality: PsfQuality, cutoff: float) -> _canvas.Drawing:
    """Modulation transfer along x and y against that of the microscope without aberrations."""

    def draw(board: _canvas.Board) -> None:
        ax = board.axes(0.55, 0.45, *_SIZE)
        f = quality.frequency
        ax.plot(f, quality.mtf_ideal, color=_canvas.GRAY, linewidth=1, label="no aberrations")
        ax.plot(f, quality.mtf_x, color=_AXES["x"], linewidth=1.3, label="along x")
        ax.plot(f, quality.mtf_y, color=_AXES["y"], linewidth=1.3, label="along y")
        ax.axvline(cutoff, color=_canvas.GRAY, linewidth=0.6, linestyle=":")
        ax.set_xlim(0, float(f[-1]))
        ax.set_ylim(0, 1.02)
        _plain(ax, "spatial frequency [1/µm]", "modulation transfer")
        _legend(ax)

    return _canvas.Drawing(_SIZE[0] + 0.75, _SIZE[1] + 0.65, draw)


def bounds(quality: PsfQuality) -> _canvas.Drawing:
    """Cramér-Rao bounds of x, y and z against z."""

    def draw(board: _canvas.Board) -> None:
        ax = board.axes(0.55, 0.45, *_SIZE)
        for name, values in zip("xyz", 1e3 * quality.crlb_um, strict=True):
            ax.plot(quality.z, values, color=_AXES[name], linewidth=1.3, label=name)
        finite = 1e3 * quality.crlb_um[np.isfinite(quality.crlb_um)]
        if finite.size:
            ax.set_yscale("log")
            low, high = float(np.quantile(finite, 0.0)), float(np.quantile(finite, 0.98))
            ax.set_ylim(0.7 * max(low, 1e-3), 1.5 * max(high, 2e-3))
        ax.set_xlim(float(quality.z[0]), float(quality.z[-1]))
        _plain(ax, "z [µm]", "lowest standard deviation [nm]")
        _legend(ax)

    return _canvas.Drawing(_SIZE[0] + 0.75, _SIZE[1] + 0.65, draw)


def residuals(values: np.ndarray) -> _canvas.Drawing:
    """Histogram of (data - model)/noise against the normal distribution."""
    edges = np.linspace(-6, 6, 61)
    shown = np.clip(values, edges[0], edges[-1])
    spread = float(np.std(values))

    def draw(board: _canvas.Board) -> None:
        ax = board.axes(0.55, 0.45, *_SIZE)
        style = {"bins": edges, "density": True, "color": _canvas.BLUE, "linewidth": 0}
        ax.hist(shown, **style)
        curve = np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi)
        ax.plot(edges, curve, color=_canvas.INK, linewidth=1, label="pure noise")
        ax.set_xlim(edges[0], edges[-1])
        _plain(ax, "(data − model) / noise", "share of pixels")
        ax.set_yticks([])
        _canvas.title(ax, f"standard deviation {spread:.2f}")
        _legend(ax)

    return _canvas.Drawing(_SIZE[0] + 0.75, _SIZE[1] + 0.75, draw)
