"""A figure that notebooks show, though pyplot does not know it."""

from __future__ import annotations

import io

import matplotlib.figure


class Figure(matplotlib.figure.Figure):
    """Matplotlib shows the figures of pyplot alone; this one has its picture made where it is."""

    def _repr_png_(self) -> bytes:
        self.savefig(buffer := io.BytesIO(), format="png", dpi=100)
        return buffer.getvalue()
