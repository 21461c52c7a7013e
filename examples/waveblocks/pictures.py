"""The figures of the paper: the target, the light of a point, masks, and predicted depths."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from waveblocks import scores
from waveblocks import truth as t

Rows = dict[str, np.ndarray]
COLORS = {"before": "C1", "free-form": "C2", "ours": "C0"}
MARKS = {"before": "x", "free-form": "+", "ours": "."}
SMALL = 8
NEAR = 51  # pixels about a point in focus


def target(images: Rows, depths: tuple[float, ...]) -> Figure:
    """Images of the target (truth, before and after calibration), and how they differ from truth.

    The images have one range of colors; the differences have one in each row.
    """
    images = _in_order(images)
    need, count = images["truth"], len(depths)
    figure, axes = _board(len(images), 2 * count, 1.6)
    for row, (name, stack) in zip(axes, images.items(), strict=True):
        error = "" if stack is need else f"\nNMSE {scores.nmse(stack, need):.1e}"
        row[0].set_ylabel(name + error, fontsize=SMALL)
        top = need.max((1, 2), keepdims=True)
        differs = (stack - need) / top
        reach = np.abs(differs).max()
        for k, image in enumerate(stack / top):
            gray = _show(row[k], image, cmap="gray", vmin=0, vmax=1)
            color = _show(row[count + k], differs[k], cmap="RdBu_r", vmin=-reach, vmax=reach)
        if stack is need:
            for ax in row[count:]:
                ax.set_visible(False)
        else:
            _bar(color, row[count:], "minus truth")
    _bar(gray, axes[:, :count], "intensity, over the brightest pixel of truth at this depth")
    for k, depth in enumerate(depths):
        axes[0, k].set_title(f"image, {_place(depth)}", fontsize=SMALL)
        axes[1, count + k].set_title(f"minus truth, {_place(depth)}", fontsize=SMALL)
    _length(axes[0, 0], 10 / t.PIXEL * t.MAG, "10 µm")
    return figure


def points(fields: Rows, depths: tuple[float, ...], shift: tuple[float, ...] = (0, 0)) -> Figure:
    """The light of a point at these depths, and the phase of the pupil, whose shift is left out."""
    fields = _in_order(fields)
    need, count = fields["truth"], len(depths)
    both = np.abs([stack for name, stack in fields.items() if name in ("truth", "before")])
    top = both.max((0, 2, 3))
    figure, axes = _board(len(fields), count + 1, 1.9)
    for row, (name, stack) in zip(axes, fields.items(), strict=True):
        row[0].set_ylabel(name, fontsize=SMALL)
        for k in range(count):
            size = _near(stack[k], shift, NEAR if depths[k] == 0 else t.IMAGE)
            light = _show(row[k], np.abs(size) / top[k], cmap="inferno", vmin=0, vmax=1)
        middle = stack[count // 2] * np.exp(1j * np.angle(np.vdot(stack, need)))
        wave = _pupil(middle, (0, 0) if name == "before" else shift)
        strength = np.abs(wave) / np.sqrt((np.abs(wave) ** 2).mean())
        clear = {"alpha": np.clip(2 * strength - 0.6, 0, 1)}
        turns = _show(row[-1], np.angle(wave), cmap="twilight", vmin=-np.pi, vmax=np.pi, **clear)
    _bar(light, axes[:, :count], "amplitude, over the largest at this depth")
    _bar(turns, axes[:, count:], "phase [rad]")
    for k, depth in enumerate(depths):
        axes[0, k].set_title(f"point, {_place(depth)}", fontsize=SMALL)
        um = 5 if depth == 0 else 10
        _length(axes[0, k], um / t.PIXEL * t.MAG, f"{um} µm")
    axes[0, -1].set_title("phase of the pupil", fontsize=SMALL)
    aperture = 0.2 / t.MAG / t.WAVELENGTH * t.IMAGE * t.PIXEL
    _length(axes[0, -1], aperture, "NA 0.2", "black")
    return figure


def _near(field: np.ndarray, shift: tuple[float, ...], size: int) -> np.ndarray:
    """The pixels about the place of the point."""
    y, x = (int(np.clip(t.IMAGE // 2 + s, size // 2, t.IMAGE - size // 2 - 1)) for s in shift)
    return field[y - size // 2 : y + size // 2 + 1, x - size // 2 : x + size // 2 + 1]


def _pupil(field: np.ndarray, shift: tuple[float, ...]) -> np.ndarray:
    """Spectrum of a field in focus about its aperture, whose place [pixels] is taken out."""
    wave = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(field)))
    f = np.fft.fftshift(np.fft.fftfreq(t.IMAGE))
    wave = wave * np.exp(2j * np.pi * (shift[0] * f[:, None] + shift[1] * f))
    return t.middle(wave, 2 * round(1.5 * t.CUTOFF * t.PIXEL * t.IMAGE) + 1)


def masks(phases: Rows, inside: np.ndarray, radius: float) -> Figure:
    """The true mask and those that were found, and how they differ, modulo a turn."""
    phases = _in_order(phases)
    need, lit = phases["truth"], np.ix_(inside.any(1), inside.any(0))
    figure, axes = _board(2, len(phases), 2.3)
    found: dict[float, list] = {}
    for (top, bottom), (name, phase) in zip(axes.T, phases.items(), strict=True):
        differs = np.angle(np.exp(1j * (phase - need)))
        differs = np.angle(np.exp(1j * (differs - scores.piston(differs[inside]))))
        shown = phase if name == "before" else need + differs - need[inside].min()
        shown, differs = (np.where(inside, a, np.nan)[lit] for a in (shown, differs))
        turns = _show(top, shown, cmap="twilight", vmin=0, vmax=5 * np.pi)
        top.set_title(name, fontsize=SMALL)
        if name == "truth":
            bottom.set_visible(False)
            continue
        rms = float(np.sqrt(np.nanmean(differs**2)))
        reach = np.pi if rms > 0.3 else 0.2
        color = _show(bottom, differs, cmap="RdBu_r", vmin=-reach, vmax=reach)
        bottom.set_title(f"minus truth, rms {rms:.2g} rad", fontsize=SMALL)
        found.setdefault(reach, [color]).append(bottom)
    for color, *bottoms in found.values():
        _bar(color, bottoms, "phase [rad]")
    _bar(turns, axes[0], "phase [rad]")
    _length(axes[0, 0], radius / (t.CUTOFF * t.WAVELENGTH * t.RELAY) * 1e3, "1 mm", "black")
    return figure


def depths(predicted: Rows, true: np.ndarray, goal: float) -> Figure:
    """Predicted depth against the true one, and its error; the dotted planes calibrated it."""
    figure = Figure(figsize=(9, 3.8), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(true, true, color="0.6", lw=0.8, label="truth")
    for name, found in _in_order(predicted).items():
        how = {"color": COLORS[name], "label": name, "ls": "", "marker": MARKS[name]}
        left.plot(true, found, **how)
        right.semilogy(true, np.maximum(np.abs(found - true), 1e-3), **how)
    right.axhline(goal, color="0.4", ls="--", lw=0.8, label=f"goal of the mean, {goal:g} µm")
    for ax, label in ((left, "predicted depth [µm]"), (right, "error of the depth [µm]")):
        for plane in t.DEPTHS:
            ax.axvline(plane, color="0.8", ls=":", lw=0.8, zorder=0)
        ax.set(xlabel="true depth [µm]", ylabel=label)
        ax.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, frameon=False)
    return figure


def _place(depth: float) -> str:
    return f"{depth:+.0f} µm" if depth else "in focus"


def _in_order(rows: Rows) -> Rows:
    """From the truth to ours."""
    return {name: rows[name] for name in ("truth", *COLORS) if name in rows}


def _board(rows: int, columns: int, size: float) -> tuple[Figure, np.ndarray]:
    """Bare axes for pictures of this size [inches]."""
    shape = (size * columns + 1.6, size * rows + 0.4)
    figure = Figure(figsize=shape, dpi=150, layout="compressed")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    return figure, axes


def _show(ax: Axes, values: np.ndarray, **how: Any) -> Any:
    return ax.imshow(values, interpolation="nearest", **how)


def _bar(picture: Any, axes: Any, label: str) -> None:
    """A color bar at the right of these axes."""
    axes = np.asarray(axes)
    rows = axes.shape[0] if axes.ndim == 2 else 1
    bar = axes.flat[0].figure.colorbar(picture, ax=list(axes.flat), pad=0.02, aspect=14 * rows)
    bar.set_label(label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=7)
    bar.ax.yaxis.get_offset_text().set_fontsize(7)
    bar.formatter.set_powerlimits((-2, 3))


def _length(ax: Axes, pixels: float, label: str, color: str = "white") -> None:
    """A scale bar."""
    thick = 0.015 * abs(np.diff(ax.get_ylim())[0])
    font = {"fontproperties": {"size": 7}}
    bar = AnchoredSizeBar(
        ax.transData, pixels, label, "lower left", color=color, frameon=False, size_vertical=thick,
        sep=2, **font,
    )  # fmt: skip
    ax.add_artist(bar)
