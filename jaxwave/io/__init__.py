"""Files: measured stacks come in with the provenance of every number, results go out atomically.

Levels that phase devices show, and their tables of phases, are read and written too.

Lengths are converted at this border: inside jaxwave they are micrometers. Nothing is ever
unpickled, and what a header claims is checked against the file before memory is taken for it.
"""

from __future__ import annotations

from jaxwave.io.exchange import write_picasso, write_smap, write_uipsf
from jaxwave.io.heights import read_heights, write_heights
from jaxwave.io.levels import (
    read_levels,
    read_phase_table,
    write_levels,
    write_phase_table,
)
from jaxwave.io.napari_lf import NapariLightField, read_napari_lf, write_napari_lf
from jaxwave.io.opd import write_opd
from jaxwave.io.psf import read_psf
from jaxwave.io.reader import read_stack
from jaxwave.io.results import load_arrays, save_arrays, write_json, write_result
from jaxwave.io.stack import Stack
from jaxwave.io.writer import write_stack

__all__ = [
    "NapariLightField",
    "Stack",
    "load_arrays",
    "read_heights",
    "read_levels",
    "read_napari_lf",
    "read_phase_table",
    "read_psf",
    "read_stack",
    "save_arrays",
    "write_heights",
    "write_json",
    "write_levels",
    "write_napari_lf",
    "write_opd",
    "write_phase_table",
    "write_picasso",
    "write_result",
    "write_smap",
    "write_stack",
    "write_uipsf",
]
