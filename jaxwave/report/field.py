"""The picture of a field: every spot that was found, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jaxwave import _files
from jaxwave.beads import Bead
from jaxwave.beads.find import window_of

_GOOD, _BAD = "#4ade80", "#ff9b85"  # bright enough for a dark field
_EDGE = 0.72  # share of the width from which on words stand to the left of their spot


def draw_field(stack: object, beads: list[Bead], size: int, path: Path) -> Path:
    """Draws the projection of a stack with the windows of its beads, numbered as in the table.

    Args:
        stack: Values, ``(z, y, x)`` [counts].
        beads: What was found in it.
        size: Width of a window [pixels].
        path: File to write.

    Returns:
        The file.

    Example:
        >>> from jaxwave.beads import Bead
        >>> draw_field.__name__
        'draw_field'
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    projection = np.asarray(stack, np.float64).max(axis=0)
    low, high = np.quantile(projection, [0.01, 0.9995])
    shown = np.sqrt(np.clip((projection - low) / max(high - low, 1e-30), 0, 1))
    ny, nx = projection.shape
    figure = Figure(figsize=(8, max(2.5, min(12.0, 8 * ny / nx))), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shown, cmap="gray", interpolation="nearest")
    for number, bead in enumerate(beads, 1):
        _, y, x = bead.center
        color = _GOOD if bead.ok else _BAD
        rows, columns = window_of(bead.center, (size, size), projection.shape)
        corner = (columns.start - 0.5, rows.start - 0.5)
        if bead.ok:
            axes.add_patch(Rectangle(corner, size, size, fill=False, edgecolor=color, lw=1.4))
        axes.plot(x, y, "+" if bead.ok else "x", color=color, markersize=8, markeredgewidth=1.6)
        word = str(number) if bead.ok else f"{number} {bead.rejected.split(':')[0]}"
        left, high = x > _EDGE * nx and not bead.ok, y < 0.04 * ny
        axes.annotate(
            word,
            (x, y),
            (-6 if left else 6, -2 if high else 2),
            textcoords="offset points",
            color=color,
            fontsize=11,
            ha="right" if left else "left",
            va="top" if high else "bottom",
            path_effects=[withStroke(linewidth=2.5, foreground="black")],
        )
    good = sum(bead.ok for bead in beads)
    spots = f"{len(beads)} spot{'s' * (len(beads) != 1)}, {good} to be fitted"
    axes.set_title(
        f"{spots} (green, windows of {size} pixels); brightest of the "
        f"{len(np.asarray(stack))} planes, square root",
        fontsize=11,
    )
    axes.set_xlabel("x [pixels]")
    axes.set_ylabel("y [pixels]")
    axes.set_xlim(-0.5, nx - 0.5)
    axes.set_ylim(ny - 0.5, -0.5)
    _files.atomic(
        "draw_field",
        path,
        lambda stream: figure.savefig(
            stream, dpi=110, format="png", metadata={"Software": "jaxwave"}
        ),
    )
    return path
