"""What a calibration leaves behind: numbers, pictures and one page that shows them.

A result folder holds ``result.json`` (numbers, errors, settings, versions), ``calibration.npz``
(pupil, data, model, parameters), ``psf.ome.tif`` (the calibrated PSF), ``zernikes.csv``, the
picture and ``report.html``. Everything but the first two can be made again from them.
"""

from __future__ import annotations

from jaxwave.report.folder import SavedBead, load_bead_fit, save_bead_fit
from jaxwave.report.page import write_report
from jaxwave.report.quality import PsfQuality, calibrated_psf, psf_quality
from jaxwave.report.result import bead_summary, prepare, wavefront_quality

__all__ = [
    # The result folder
    "SavedBead",
    "load_bead_fit",
    "prepare",
    "save_bead_fit",
    # Numbers
    "PsfQuality",
    "bead_summary",
    "calibrated_psf",
    "psf_quality",
    "wavefront_quality",
    # The page
    "write_report",
]
