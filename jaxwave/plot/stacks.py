"""Pictures of stacks: sections through a PSF, measurement against model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.plot import _canvas

_GAP, _MARGIN = 0.08, 0.3
_WIDEST, _LONGEST = 5.0, 7.2


def _volume(where: str, name: str, value: object) -> np.ndarray:
    array = np.asarray(value)
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"{where}: `{name}` must be (z, y, x), got the shape {array.shape}.")
    _check.finite_array(where, name, array)
    return array.astype(np.float64)


def _voxel(where: str, spacing: Any) -> tuple[float, float, float]:
    if np.shape(spacing) != (3,):
        raise ValueError(
            f"{where}: `spacing` must be the voxel size (dz, dy, dx) [µm], got {spacing!r}."
        )
    dz, dy, dx = (float(_check.length(where, "spacing", value)) for value in spacing)
    _check.positive(where, "spacing", (dz, dy, dx), unit="µm")
    return dz, dy, dx


def _root(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.sqrt(np.abs(values))


def plot_orthoslices(
    psf: ArrayLike | None,
    spacing: Sequence[float],
    *,
    center: Sequence[int] | None = None,
    sqrt: bool = False,
    label: str = "intensity",
    path: str | os.PathLike | None = None,
) -> Any:
    """Plots three sections through a stack, in true proportions and on one color scale.

    Valid for one stack. White ticks on the xy section show where the other two are cut.

    Args:
        psf: Values, ``(z, y, x)`` [any unit].
        spacing: Voxel size (dz, dy, dx) [µm].
        center: Where to cut, (z, y, x) [pixels]; the brightest voxel by default.
        sqrt: Shows the square root, which brings out faint rings.
        label: Name and unit of the values for the color bar.
        path: File to save to (png, pdf or svg).

    Returns:
        The matplotlib Figure.

    Raises:
        ValueError: If the stack is not (z, y, x), not finite, or the center lies outside.
        ImportError: If matplotlib is not installed.

    Example:
        >>> figure = plot_orthoslices(np.ones((5, 8, 8)), (0.3, 0.13, 0.13))
        >>> [ax.get_title() for ax in figure.axes[:3]]
        ['xy', 'yz', 'xz']
    """
    where = "plot_orthoslices"
    data, (dz, dy, dx) = _volume(where, "psf", psf), _voxel(where, spacing)
    if center is None:
        center = np.unravel_index(int(np.argmax(data)), data.shape)  # type: ignore[assignment]
    cut = [int(c) for c in center or ()]
    if len(cut) != 3 or any(not 0 <= c < n for c, n in zip(cut, data.shape, strict=True)):
        raise ValueError(
            f"{where}: `center` must be a voxel (z, y, x) of the shape {data.shape}, got {cut}."
        )
    k, j, i = cut
    data = _root(data) if sqrt else data
    depth, height, width = (n * d for n, d in zip(data.shape, (dz, dy, dx), strict=True))
    scale = _WIDEST / (width + depth)
    scale = min(scale, _WIDEST / (height + depth))
    w, h, d = (max(side * scale, 0.5) for side in (width, height, depth))
    colors = {"cmap": _canvas.INTENSITY, "vmin": min(0.0, data.min()), "vmax": data.max()}
    upper = _MARGIN + d + _GAP + 0.2
    panels = (
        ("xy", data[k], (dy, dx), (_MARGIN, upper, w, h)),
        ("yz", data[:, :, i].T, (dy, dz), (_MARGIN + w + _GAP, upper, d, h)),
        ("xz", data[:, j], (dz, dx), (_MARGIN, _MARGIN, w, d)),
    )

    def draw(board: _canvas.Board) -> None:
        axes, shown = [], None
        for name, plane, pair, place in panels:
            axes.append(board.axes(*place))
            shown = _canvas.image(axes[-1], plane, pair, **colors)
            _canvas.bare(axes[-1])
            _canvas.title(axes[-1], name)
        _cut_marks(axes[0], (i - data.shape[2] // 2) * dx, (j - data.shape[1] // 2) * dy)
        _canvas.scale_bar(axes[0])
        long = max(min(0.8 * d, 1.6), 0.9)
        left = _MARGIN + w + _GAP + max((d - long) / 2, 0.1)
        bar = board.axes(left, _MARGIN + 0.55 * d, long, 0.1)
        _canvas.color_bar(shown, bar, _canvas.root_label(label) if sqrt else label)

    drawing = _canvas.Drawing(
        w + max(d, 1.0) + _GAP + 2 * _MARGIN, h + max(d, 0.6) + _GAP + 0.2 + 2 * _MARGIN, draw
    )
    return _canvas.render(where, [[drawing]], path)


def _cut_marks(ax: Any, x: float, y: float) -> None:
    """Short white ticks at the edges of an image, at the lines of the other sections."""
    left, right = ax.get_xlim()
    bottom, top = ax.get_ylim()
    style = {"color": "white", "linewidth": 0.8}
    for edge, inward in ((bottom, top - bottom), (top, bottom - top)):
        ax.plot([x, x], [edge, edge + 0.05 * inward], **style)
    for edge, inward in ((left, right - left), (right, left - right)):
        ax.plot([edge, edge + 0.05 * inward], [y, y], **style)
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)


def plot_comparison(
    data: ArrayLike,
    model: ArrayLike,
    spacing: Sequence[float],
    *,
    planes: Sequence[int] | None = None,
    row: int | None = None,
    sqrt: bool = False,
    label: str = "counts",
    path: str | os.PathLike | None = None,
) -> Any:
    """Plots measured, fitted and residual planes in xy and xz.

    Valid for stacks on one grid. Measurement and model share one color scale; the residual has
    its own, symmetric about zero, and says how large it is in comparison.

    Args:
        data: Measured values, ``(z, y, x)`` [counts].
        model: Fitted values, ``(z, y, x)`` [counts].
        spacing: Voxel size (dz, dy, dx) [µm].
        planes: Planes to show; by default the brightest one and two on either side.
        row: Row of the xz section; that of the brightest voxel by default.
        sqrt: Compares square roots, in which photon noise is the same everywhere.
        label: Name and unit of the values for the color bars.
        path: File to save to (png, pdf or svg).

    Returns:
        The matplotlib Figure.

    Raises:
        ValueError: If the stacks are not (z, y, x), do not match, or a plane lies outside.
        ImportError: If matplotlib is not installed.

    Example:
        >>> stack = np.ones((5, 8, 8))
        >>> figure = plot_comparison(stack, 0.9 * stack, (0.3, 0.13, 0.13), planes=[0, 2])
        >>> len(figure.axes)
        11

    References:
        F. J. Anscombe, *The transformation of Poisson data*, Biometrika 35, 246 (1948).
    """
    where = "plot_comparison"
    drawing = draw_comparison(
        where, data, model, spacing, planes=planes, row=row, sqrt=sqrt, label=label
    )
    return _canvas.render(where, [[drawing]], path)


def draw_comparison(
    where: str,
    data: ArrayLike,
    model: ArrayLike,
    spacing: Sequence[float],
    *,
    planes: Sequence[int] | None = None,
    row: int | None = None,
    sqrt: bool = False,
    label: str = "counts",
    longest: float = _LONGEST,
) -> _canvas.Drawing:
    """Checks two stacks and prepares their drawing, with rows of up to ``longest`` inches."""
    measured, fitted = _volume(where, "data", data), _volume(where, "model", model)
    dz, dy, dx = _voxel(where, spacing)
    if measured.shape != fitted.shape:
        raise ValueError(
            f"{where}: `model` must match the measured shape {measured.shape}, got {fitted.shape}."
        )
    focus, middle, _ = (int(i) for i in np.unravel_index(measured.argmax(), measured.shape))
    chosen = _default_planes(len(measured), focus) if planes is None else [int(p) for p in planes]
    cut = middle if row is None else int(row)
    if not 0 <= cut < measured.shape[1] or any(not 0 <= p < len(measured) for p in chosen):
        raise ValueError(
            f"{where}: `planes` and `row` must lie within the shape {measured.shape}, got "
            f"{chosen} and {cut}."
        )
    rows = _rows(measured, fitted, sqrt)
    titles = [f"z = {(p - focus) * dz:+.2f} µm" if p != focus else "z = 0" for p in chosen]
    depth, height, width = (n * d for n, d in zip(measured.shape, (dz, dy, dx), strict=True))
    scale = min(longest / ((len(chosen) + 1) * width), 0.24 * longest / max(height, depth))
    w, step = width * scale, max(height, depth) * scale + _GAP
    last, right = len(chosen), 0.5 + (len(chosen) + 1) * (w + _GAP) + 2 * _GAP

    def draw(board: _canvas.Board) -> None:
        shown = []
        for k, (volume, colors, name) in enumerate(rows):
            for c, title in enumerate([*titles, "xz"]):
                tall = (depth if c == last else height) * scale
                bottom = 0.12 + (2 - k) * step + (step - _GAP - tall) / 2
                left = 0.5 + c * (w + _GAP) + (_GAP if c == last else 0)
                ax = board.axes(left, bottom, w, tall)
                plane, pair = (
                    (volume[:, cut], (dz, dx)) if c == last else (volume[chosen[c]], (dy, dx))
                )
                drawn = _canvas.image(ax, plane, pair, **colors)
                _canvas.bare(ax)
                if k == 0:
                    _canvas.title(ax, title)
                if c == 0:
                    ax.set_ylabel(name, fontsize=_canvas.TEXT, color=_canvas.INK, labelpad=3)
                if k == 0 and c in (0, last):
                    _canvas.scale_bar(ax)
            shown.append(drawn)
        name = _canvas.root_label(label) if sqrt else label
        _canvas.color_bar(shown[0], board.axes(right, 0.12 + step, 0.1, 2 * step - _GAP), name)
        _canvas.color_bar(shown[2], board.axes(right, 0.12, 0.1, step - _GAP), f"Δ {name}")

    return _canvas.Drawing(right + 0.75, 3 * step + 0.35, draw)


def _rows(
    measured: np.ndarray, fitted: np.ndarray, sqrt: bool
) -> tuple[tuple[np.ndarray, dict[str, Any], str], ...]:
    """The three rows of a comparison: values, colors, name."""
    if sqrt:
        measured, fitted = _root(measured), _root(fitted)
    residual = measured - fitted
    spread = float(np.abs(residual).max()) or 1.0
    low = float(np.quantile(measured, 0.01))  # a camera's offset is dark, however high it is
    high = max(float(measured.max()), float(fitted.max()))
    common = {"cmap": _canvas.INTENSITY, "vmin": low, "vmax": high}
    signed = {"cmap": _canvas.SIGNED, "vmin": -spread, "vmax": spread}
    largest = float(np.abs(residual).max()) / (float(np.ptp(measured)) or 1.0)
    name = f"residual\nmax {largest:.1%} of range"
    return (measured, common, "measured"), (fitted, common, "fitted"), (residual, signed, name)


def _default_planes(count: int, focus: int) -> list[int]:
    """The brightest plane, two below and two above it, evenly spread to the ends."""
    ends = np.linspace(0, focus, 3)[:2].tolist() + np.linspace(focus, count - 1, 3).tolist()
    return sorted({round(end) for end in ends})
