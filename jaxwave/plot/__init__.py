"""Pictures for papers and reports: every function returns a matplotlib ``Figure``.

Figures are made without pyplot: no global state, no display, safe in threads. Rows of an array
run downward, as in a camera image; intensities and phases share their color limits within one
picture wherever they can be compared.
"""

from __future__ import annotations

from jaxwave.plot.calibrations import plot_calibration
from jaxwave.plot.fields import plot_field, plot_pupil
from jaxwave.plot.fits import plot_history, plot_zernikes
from jaxwave.plot.stacks import plot_comparison, plot_orthoslices
from jaxwave.plot.sweeps import plot_sweep

__all__ = [
    "plot_calibration",
    "plot_comparison",
    "plot_field",
    "plot_history",
    "plot_orthoslices",
    "plot_pupil",
    "plot_sweep",
    "plot_zernikes",
]
