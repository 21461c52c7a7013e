"""Pictures of fields and pupils."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.field import Field, VectorField
from jaxwave.plot import _canvas

_PANEL = 2.4


def _panel_size(shape: tuple[int, ...], spacing: tuple[float, float]) -> tuple[float, float]:
    """Width and height in inches of a panel of true proportions."""
    height, width = shape[-2] * spacing[0], shape[-1] * spacing[1]
    scale = _PANEL / max(height, width)
    return max(width * scale, 0.6), max(height * scale, 0.6)


def _pair(
    board: _canvas.Board,
    bottom: float,
    size: tuple[float, float],
    spacing: tuple[float, float],
    panels: Sequence[tuple[np.ndarray, dict[str, Any], str, str]],
) -> list[Any]:
    """Two images side by side, each with its color bar: (data, colors, title, label)."""
    width, height = size
    axes = []
    for k, (data, colors, title, label) in enumerate(panels):
        left = 0.55 + k * (width + 1.05)
        ax = board.axes(left, bottom, width, height)
        shown = _canvas.image(ax, data, spacing, **colors)
        _canvas.title(ax, title)
        ax.tick_params(labelleft=k == 0)
        bar = _canvas.color_bar(shown, board.axes(left + width + 0.08, bottom, 0.1, height), label)
        if colors["cmap"] == _canvas.PHASE and colors["vmax"] == math.pi:
            bar.set_ticks([-math.pi, 0, math.pi], labels=["−π", "0", "π"])
        axes.append(ax)
    return axes


def plot_field(field: Field, *, dark: float = 1e-4, path: str | os.PathLike | None = None) -> Any:
    """Plots the intensity and the phase of a field.

    Valid for one field; select from a batch first. The phase is left gray where the intensity is
    below ``dark`` of its maximum, because it means nothing there. A vector field gets one row for
    each component, with common color limits.

    Args:
        field: The field, ``(y, x)`` or ``(3, y, x)``.
        dark: Intensity without phase, as a part of the maximum.
        path: File to save to (png, pdf or svg).

    Returns:
        The matplotlib Figure.

    Raises:
        TypeError: If ``field`` is not a Field.
        ValueError: If the field has batch axes or the path another ending.
        ImportError: If matplotlib is not installed.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxwave.field import scalar_field
        >>> figure = plot_field(scalar_field(jnp.ones((8, 8)), spacing=0.5, wavelength=0.5))
        >>> len(figure.axes)
        4
    """
    where = "plot_field"
    _check.is_field(where, field, Field)
    if field.batch_shape:
        raise ValueError(
            f"{where}: `field` must be one field, got the batch axes {field.batch_shape}. "
            "Select one first, such as field[0]."
        )
    u = np.asarray(field.u)
    rows = [*u] if isinstance(field, VectorField) else [u]
    names = ["E_x", "E_y", "E_z"] if isinstance(field, VectorField) else ["u"]
    spacing = (float(field.spacing[0]), float(field.spacing[1]))
    width, height = _panel_size(u.shape, spacing)
    step = height + 0.3
    top = max(float(np.max(np.abs(u) ** 2)), 1e-30)

    def draw(board: _canvas.Board) -> None:
        for k, (name, part) in enumerate(zip(names, rows, strict=True)):
            intensity = np.abs(part) ** 2
            phase = np.ma.masked_where(intensity <= dark * top, np.angle(part))
            bright = {"cmap": _canvas.INTENSITY, "vmin": 0, "vmax": top}
            cyclic = {"cmap": _canvas.PHASE, "vmin": -math.pi, "vmax": math.pi}
            panels = (
                (intensity, bright, f"$|{name}|^2$", "intensity"),
                (phase, cyclic, f"arg ${name}$", "phase [rad]"),
            )
            bottom = 0.45 + (len(rows) - 1 - k) * step
            axes = _pair(board, bottom, (width, height), spacing, panels)
            axes[0].set_ylabel("y [µm]", fontsize=_canvas.TEXT, labelpad=1)
            for ax in axes:
                last = k == len(rows) - 1
                ax.set_facecolor(_canvas.NOWHERE)
                ax.set_xlabel("x [µm]" if last else "", fontsize=_canvas.TEXT, labelpad=1)
                ax.tick_params(labelbottom=last)

    drawing = _canvas.Drawing(2 * width + 2.4, len(rows) * step + 0.5, draw)
    return _canvas.render(where, [[drawing]], path)


def plot_pupil(
    pupil: ArrayLike,
    *,
    spacing: float | None = None,
    mask: ArrayLike | None = None,
    wavelength: float | str | None = None,
    path: str | os.PathLike | None = None,
) -> Any:
    """Plots the amplitude and the phase of a pupil function inside its aperture.

    Valid for one scalar pupil. The mean phase is subtracted, because it has no meaning; the rms is
    weighted by the amplitude, as everywhere: phase without light does not matter. A phase
    that stays within a half turn is shown on a symmetric scale, any other wrapped on a cyclic one.

    Args:
        pupil: Complex pupil function, ``(y, x)``, axis at N // 2.
        spacing: Sample spacing [pupil radii]; by default the array spans the pupil.
        mask: True inside the aperture, ``(y, x)``; by default where there is any light.
        wavelength: Vacuum wavelength [µm]; if given, the phase is shown as optical path [nm].
        path: File to save to (png, pdf or svg).

    Returns:
        The matplotlib Figure.

    Raises:
        ValueError: If the pupil is not (y, x) or dark, or the mask does not match.
        ImportError: If matplotlib is not installed.

    Example:
        >>> figure = plot_pupil(np.ones((9, 9), complex))
        >>> [ax.get_title() for ax in figure.axes[::2]]
        ['amplitude', 'phase, rms 0.000 rad']
    """
    where = "plot_pupil"
    drawing = draw_pupil(where, pupil, spacing=spacing, mask=mask, wavelength=wavelength)
    return _canvas.render(where, [[drawing]], path)


def draw_pupil(
    where: str,
    pupil: ArrayLike,
    *,
    spacing: Any = None,
    mask: ArrayLike | None = None,
    wavelength: ArrayLike | str | None = None,
    panel: float = _PANEL,
    rms: float | None = None,
) -> _canvas.Drawing:
    """Checks a pupil and prepares its drawing; ``panel`` is the width of an image in inches.

    An ``rms`` [µm] that was computed elsewhere stands in the title in place of the drawing's own.
    """
    p = np.asarray(pupil)
    if p.ndim != 2:
        raise ValueError(f"{where}: `pupil` must be (y, x), got the shape {p.shape}.")
    _check.finite_array(where, "pupil", p)
    amplitude = np.abs(p)
    inside = amplitude > 1e-6 * amplitude.max() if mask is None else np.asarray(mask, bool)
    if inside.shape != p.shape:
        _check.same_grid(where, "mask", inside.shape, p.shape)
    if not np.any(inside & (amplitude > 0)):
        raise ValueError(f"{where}: `pupil` must let light through, got zeros only.")
    weight = np.where(inside, amplitude, 0)
    phase = np.angle(p * np.conj(np.sum(weight * p)))
    spread = math.sqrt(float(np.sum(weight * phase**2) / np.sum(weight)))
    largest = float(np.max(np.abs(phase[inside])))
    unit, factor, label = "rad", 1.0, "phase [rad]"
    if wavelength is not None:
        wavelength = float(_check.wavelength(where, wavelength))
        unit, factor, label = "nm", 1e3 * wavelength / (2 * math.pi), "optical path [nm]"
    small = largest < math.pi / 2
    limit = max(largest, 1e-3) * factor if small else math.pi * factor
    colors = {"cmap": _canvas.SIGNED if small else _canvas.PHASE, "vmin": -limit, "vmax": limit}
    strong = {"cmap": "viridis", "vmin": 0, "vmax": float(amplitude[inside].max())}
    shown = spread * factor if rms is None else 1e3 * rms
    text = f"phase, rms {shown:.{3 if unit == 'rad' else 1}f} {unit}"
    dark = ~inside
    panels = (
        (np.ma.masked_where(dark, amplitude), strong, "amplitude", "amplitude"),
        (np.ma.masked_where(dark, phase * factor), colors, text, label),
    )
    pair = (2 / p.shape[0], 2 / p.shape[1]) if spacing is None else (float(spacing),) * 2

    def draw(board: _canvas.Board) -> None:
        for k, ax in enumerate(_pair(board, 0.45, (panel, panel), pair, panels)):
            ax.set(xlim=(-1.08, 1.08), ylim=(1.08, -1.08), xticks=[-1, 0, 1], yticks=[-1, 0, 1])
            ax.set_xlabel("pupil coordinate x", fontsize=_canvas.TEXT, labelpad=1)
            if k == 0:
                ax.set_ylabel("pupil coordinate y", fontsize=_canvas.TEXT, labelpad=1)
            for side in ("top", "right"):
                ax.spines[side].set_visible(False)

    return _canvas.Drawing(2 * panel + 2.4, panel + 0.8, draw)
