"""Pictures of sweeps: curves and maps of numbers, rows of pictures."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from jaxwave.plot import _canvas
from jaxwave.sweeps.result import Sweep, named

_WIDTH, _HEIGHT, _SIDE = 4.2, 2.6, 0.9
_MOST = 24  # pictures of a row or of a column
_MOST_CURVES = 6


def plot_sweep(
    result: Sweep, *, name: str | None = None, path: str | os.PathLike | None = None
) -> Any:
    r"""Plots the results of a sweep over the settings.

    One number for each setting becomes a curve, curves, or a map; pictures become a table of
    pictures on one color scale, its rows the first name and its columns the second one. Settings
    that failed stay empty.

    Args:
        result: What ``jaxwave.sweep`` returned, without reductions; a grid of one or two names
            (more of them for numbers only if the others have one value), or any other set.
        name: Which of several results; the first one by default.
        path: File to save to (png, pdf or svg).

    Returns:
        The matplotlib Figure.

    Raises:
        ValueError: If there is no such result, or it has too many axes.
        ImportError: If matplotlib is not installed.

    Example:
        >>> import jaxwave as jw
        >>> result = jw.sweep(lambda a, b: a * b, {"a": [1.0, 2.0, 4.0], "b": [1.0, 2.0]})
        >>> figure = plot_sweep(result)
        >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
        ('a', 'value')
    """
    where = "plot_sweep"
    if result.reduced:
        raise ValueError(f"{where}: these are reductions. Plot `values` by themselves.")
    found = named(result.values)
    chosen = next(iter(found)) if name is None else name
    if chosen not in found:
        raise ValueError(f"{where}: there is no result {chosen!r}. It has: {', '.join(found)}.")
    values = np.asarray(found[chosen])
    if np.iscomplexobj(values):
        values = np.abs(values)
    axes = [(n, np.asarray(v)) for n, v in result.points.values.items()]
    if result.points.kind != "grid":
        label, along = axes[0] if len(axes) == 1 else ("setting", np.arange(result.points.count))
        axes = [(label, along)]
    kept = [k for k, (_, v) in enumerate(axes) if len(v) > 1] or [0]
    own = values.shape[len(axes) :]
    values = values.reshape(*(len(axes[k][1]) for k in kept), *own)
    axes = [(n, v if v.ndim == 1 else np.arange(len(v))) for n, v in (axes[k] for k in kept)]
    if len(axes) > 2 or len(own) not in (0, 2):
        raise ValueError(
            f"{where}: {chosen!r} has {len(axes)} names with several values and results of the "
            f"shape {own}; a picture shows one or two, and numbers or (y, x) pictures. Choose "
            "some, such as result.to_xarray().sel(...), or return less."
        )
    if own:
        drawing = _pictures(chosen, axes, values)
    elif len(axes) == 2 and len(axes[1][1]) > _MOST_CURVES:
        drawing = _map(chosen, axes, values)
    else:
        drawing = _curves(chosen, axes, values)
    return _canvas.render(where, [[drawing]], path)


Axes = list[tuple[str, np.ndarray]]


def _curves(label: str, axes: Axes, values: np.ndarray) -> _canvas.Drawing:
    def draw(board: _canvas.Board) -> None:
        ax = board.axes(0.6, 0.45, _WIDTH, _HEIGHT)
        x_name, x = axes[0]
        order = np.argsort(x, kind="stable")
        curves = values.reshape(len(x), -1)
        for k, curve in enumerate(curves.T):
            text = f"{axes[1][0]} = {axes[1][1][k]:.4g}" if len(axes) > 1 else None
            ax.plot(x[order], curve[order], ".-", lw=1, ms=3, label=text)
        if len(axes) > 1:
            ax.legend(fontsize=_canvas.SMALL, frameon=False)
        ax.set_xlabel(x_name, fontsize=_canvas.SMALL)
        ax.set_ylabel(label, fontsize=_canvas.SMALL)

    return _canvas.Drawing(_WIDTH + 0.7, _HEIGHT + 0.6, draw)


def _map(label: str, axes: Axes, values: np.ndarray) -> _canvas.Drawing:
    def draw(board: _canvas.Board) -> None:
        ax = board.axes(0.6, 0.45, _WIDTH, _HEIGHT)
        (y_name, y), (x_name, x) = axes
        rows, columns = np.argsort(y), np.argsort(x)
        shown = ax.pcolormesh(
            x[columns], y[rows], values[np.ix_(rows, columns)], cmap="viridis", shading="nearest"
        )
        bar = board.figure.colorbar(shown, ax=ax, pad=0.02)
        bar.set_label(label, fontsize=_canvas.SMALL)
        bar.ax.tick_params(labelsize=_canvas.SMALL)
        ax.set_xlabel(x_name, fontsize=_canvas.SMALL)
        ax.set_ylabel(y_name, fontsize=_canvas.SMALL)

    return _canvas.Drawing(_WIDTH + 0.8, _HEIGHT + 0.6, draw)


def _spread(count: int) -> np.ndarray:
    """Which of many pictures are shown."""
    return np.unique(np.linspace(0, count - 1, min(count, _MOST)).astype(int))


def _pictures(label: str, axes: Axes, values: np.ndarray) -> _canvas.Drawing:
    if len(axes) == 1:
        axes, values = [("", np.zeros(1)), axes[0]], values[None]
    rows, columns = (_spread(len(v)) for _, v in axes)
    high = np.nanmax(values, initial=0.0, where=np.isfinite(values))
    low = np.nanmin(values, initial=0.0, where=np.isfinite(values))
    side = min(_SIDE, 12.0 / len(columns))
    tall = side * min(values.shape[-2] / values.shape[-1], 3.0) + 0.12 * (len(rows) > 1)

    def draw(board: _canvas.Board) -> None:
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                place = 0.5 + j * side, 0.1 + (len(rows) - 1 - i) * tall
                ax = board.axes(*place, 0.95 * side, 0.95 * tall)
                ax.imshow(values[row, column], cmap=_canvas.INTENSITY, vmin=low, vmax=high)
                ax.set_xticks([])
                ax.set_yticks([])
                if i == 0:
                    ax.set_title(f"{axes[1][0]} {axes[1][1][column]:.4g}", fontsize=5)
                if j == 0 and axes[0][0]:
                    ax.set_ylabel(f"{axes[0][0]} {axes[0][1][row]:.4g}", fontsize=5)
        board.figure.suptitle(label, fontsize=_canvas.SMALL)

    return _canvas.Drawing(0.6 + side * len(columns), 0.5 + tall * len(rows), draw)
