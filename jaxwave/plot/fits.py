"""Pictures of fits: aberrations with error bars, and the way to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jax.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxwave.plot import _canvas
from jaxwave.zernike import zernike_name


def _vector(where: str, name: str, values: object) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"{where}: `{name}` must be a list of numbers, got the shape {array.shape}."
        )
    return array


def plot_zernikes(
    coefficients: ArrayLike,
    modes: Sequence[tuple[int, int]],
    *,
    errors: ArrayLike | None = None,
    path: str | os.PathLike | None = None,
) -> Any:
    r"""Plots Zernike coefficients as bars, with names and error bars.

    .. math:: W = \sum_j c_j Z_{n_j}^{m_j}

    Valid for coefficients of orthonormal modes, whose sum of squares is the squared rms wavefront
    error without piston and tilt; that rms stands in the title.

    Args:
        coefficients: Optical path differences, ``(modes,)`` [µm]; drawn in nanometers.
        modes: The modes as pairs (n, m).
        errors: Standard errors, ``(modes,)`` [µm].
        path: File to save to (png, pdf or svg).

    Returns:
        The matplotlib Figure.

    Raises:
        ValueError: If there are not as many coefficients, modes and errors.
        ImportError: If matplotlib is not installed.

    Example:
        >>> figure = plot_zernikes([0.02, -0.01], [(4, 0), (3, 1)], errors=[0.001, 0.001])
        >>> figure.axes[0].get_title()
        'rms wavefront error 22.4 nm'

    References:
        R. J. Noll, *Zernike polynomials and atmospheric turbulence*, J. Opt. Soc. Am. 66, 207.
    """
    where = "plot_zernikes"
    return _canvas.render(where, [[draw_zernikes(where, coefficients, modes, errors)]], path)


def draw_zernikes(
    where: str,
    coefficients: ArrayLike,
    modes: Sequence[tuple[int, int]],
    errors: ArrayLike | None = None,
    *,
    pitch: float = 0.19,
    title: str | None = None,
) -> _canvas.Drawing:
    """Checks coefficients and prepares the drawing of their bars, ``pitch`` inches apart.

    The title is the rms of these modes unless another one is given: beside a pupil with free maps,
    which has an rms of its own.
    """
    values = 1e3 * _vector(where, "coefficients", coefficients)
    sigma = None if errors is None else 1e3 * _vector(where, "errors", errors)
    pairs = [(int(n), int(m)) for n, m in modes]
    if len(pairs) != len(values) or (sigma is not None and len(sigma) != len(values)):
        raise ValueError(
            f"{where}: as many modes and errors as coefficients are needed, got {len(values)} "
            f"coefficients, {len(pairs)} modes"
            + ("." if sigma is None else f" and {len(sigma)} errors.")
        )
    rms = float(np.sqrt(sum(v**2 for v, (n, _) in zip(values, pairs, strict=True) if n > 1)))
    labels = [_label(n, m) for n, m in pairs]
    width = max(2.4, pitch * len(values))
    bottom = 0.15 + 0.054 * max(map(len, labels))

    def draw(board: _canvas.Board) -> None:
        ax = board.axes(0.6, bottom, width, 1.5)
        place = np.arange(len(values))
        ax.bar(place, values, 0.7, color=_canvas.BLUE, linewidth=0)
        if sigma is not None:
            style = {"fmt": "none", "ecolor": _canvas.INK, "elinewidth": 0.9, "capsize": 2}
            ax.errorbar(place, values, yerr=sigma, **style)
        ax.axhline(0, color=_canvas.INK, linewidth=0.6)
        ax.set_xlim(-0.6, len(values) - 0.4)
        ax.set_xticks(place, labels, rotation=90, fontsize=_canvas.SMALL)
        ax.tick_params(axis="x", length=0)
        ax.set_ylabel("optical path [nm]", fontsize=_canvas.TEXT, color=_canvas.INK)
        for side in ("top", "right", "bottom"):
            ax.spines[side].set_visible(False)
        _canvas.title(ax, title or f"rms wavefront error {rms:.1f} nm")

    return _canvas.Drawing(width + 0.75, bottom + 1.85, draw)


def _label(n: int, m: int) -> str:
    name = zernike_name(n, m)
    return f"({n}, {m})" if name.startswith("Z(") else f"{name}  ({n}, {m})"


def plot_history(
    loss: ArrayLike,
    *,
    heldout_loss: ArrayLike | None = None,
    heldout_steps: ArrayLike | None = None,
    path: str | os.PathLike | None = None,
) -> Any:
    """Plots the loss of a fit against its steps, with the held-out loss.

    Valid for any loss; the axis is logarithmic if all values are positive. A ring marks the lowest
    held-out loss, and the last values stand beside the curves. Values that are not finite are
    left out.

    Args:
        loss: Loss at every step, ``(steps,)`` [any unit].
        heldout_loss: Loss of the held-out data [any unit], ``(steps,)``, or ``(reports,)`` with
            their steps.
        heldout_steps: Steps of the held-out values, counted from 1, ``(reports,)`` [none].
        path: File to save to (png, pdf or svg).

    Returns:
        The matplotlib Figure.

    Raises:
        ValueError: If the lists do not match or nothing is finite.
        ImportError: If matplotlib is not installed.

    Example:
        >>> figure = plot_history([1.0, 0.1, 0.01], heldout_loss=[1.1, 0.2, 0.05])
        >>> figure.axes[0].get_yscale()
        'log'
    """
    where = "plot_history"
    drawing = draw_history(where, loss, heldout_loss, heldout_steps)
    return _canvas.render(where, [[drawing]], path)


def draw_history(
    where: str,
    loss: ArrayLike,
    heldout_loss: ArrayLike | None = None,
    heldout_steps: ArrayLike | None = None,
    *,
    size: tuple[float, float] = (2.6, 1.95),
    apart: bool = False,
) -> _canvas.Drawing:
    """Checks the losses of a fit and prepares their drawing, with axes of a size in inches.

    What is held out has an axis of its own if it is ``apart``, a number of another kind.
    """
    values = _vector(where, "loss", loss)
    curves = [("fitted", _canvas.BLUE, np.arange(1, len(values) + 1), values)]
    if heldout_loss is not None:
        held = _vector(where, "heldout_loss", heldout_loss)
        if heldout_steps is None and len(held) == len(values):
            heldout_steps = curves[0][2]
        steps = np.asarray([] if heldout_steps is None else heldout_steps)
        if steps.shape != held.shape:
            raise ValueError(
                f"{where}: `heldout_steps` must give the step of each of the {len(held)} held-out "
                f"values, got the shape {steps.shape}."
            )
        curves.append(("held out", _canvas.ORANGE, steps, held))
    good = [(name, color, x[np.isfinite(y)], y[np.isfinite(y)]) for name, color, x, y in curves]
    good = [curve for curve in good if curve[3].size]
    if not good:
        raise ValueError(f"{where}: `loss` must hold finite values, got none.")

    def draw(board: _canvas.Board) -> None:
        ax = below = board.axes(0.8, 0.45, *size)
        for name, color, x, y in good:
            if apart and name == "held out":
                ax = below.twinx()
            marker = "o" if len(y) == 1 else ""
            ax.plot(x, y, color=color, linewidth=1.3, marker=marker, markersize=3)
            if name == "held out":
                best = int(np.argmin(y))
                ring = {"markerfacecolor": "white", "markersize": 5, "markeredgewidth": 1.2}
                ax.plot(x[best], y[best], "o", color=color, **ring)
        for one in {below, ax}:
            ends = [f(line.get_ydata()) for line in one.lines for f in (np.min, np.max)]
            if min(ends) > 0 and (not apart or max(ends) > 10 * min(ends)):
                one.set_yscale("log")
        below.set_xlabel("step", fontsize=_canvas.TEXT, color=_canvas.INK, labelpad=2)
        below.set_ylabel("loss", fontsize=_canvas.TEXT, color=_canvas.INK, labelpad=2)
        if ax is not below:
            _two_axes(below, ax, good)
            return
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
        _end_labels(ax, [(f"{name} {y[-1]:.3g}", y[-1], color) for name, color, _, y in good])

    return _canvas.Drawing(size[0] + 2.0, size[1] + 0.65, draw)


def _two_axes(left: Any, right: Any, curves: list[Any]) -> None:
    """Axes in the colors of their curves, with the last values above them."""
    for ax, side, (name, color, _, y) in zip((left, right), ("left", "right"), curves, strict=True):
        ax.tick_params(axis="y", which="both", labelsize=_canvas.SMALL, labelcolor=color)
        ax.spines["top"].set_visible(False)
        ax.set_title(f"{name} {y[-1]:.3g}", fontsize=_canvas.TEXT, color=color, loc=side, pad=3)
    right.set_ylabel("held-out NMSE", fontsize=_canvas.TEXT, color=_canvas.INK, labelpad=2)


def _end_labels(ax: Axes, ends: list[tuple[str, float, str]]) -> None:
    """Writes the names at the right ends of the curves, apart from each other."""
    to_axes = ax.transData + ax.transAxes.inverted()
    heights = [float(to_axes.transform((1.0, y))[1]) for _, y, _ in ends]
    lowest = -np.inf
    for k in np.argsort(heights):
        text, _, color = ends[k]
        lowest = max(heights[k], lowest + 0.09)
        style = {"fontsize": _canvas.TEXT, "color": color, "va": "center", "ha": "left"}
        ax.text(1.03, lowest, text, transform=ax.transAxes, **style)
