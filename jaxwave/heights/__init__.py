"""Height maps of diffractive and refractive plates: shapes, lenses, what fabrication makes of them.

A height map is an array ``(..., y, x)`` in micrometers; :func:`opd` makes the path of every
wavelength of it, whose sum over plates goes into :func:`jaxwave.opd_mask` or
:meth:`jaxwave.cameras.Lens.psfs`. Shapes are linear in their coefficients, so that a coefficient
may be any length, such as ``radians * wave_height(...) / (2 * pi)``.
"""

from __future__ import annotations

from jaxwave.heights.fabrication import height_error, levels, minimum_feature, roughness
from jaxwave.heights.lenses import diffracted_rotation, lens, multi_color, multi_focal
from jaxwave.heights.plate import opd, wave_height, wrap
from jaxwave.heights.shapes import blocks, cubic, fourier, polar, rank_one, rings, spline, zernike

__all__ = [
    # A plate
    "opd",
    "wave_height",
    "wrap",
    # Shapes
    "blocks",
    "fourier",
    "zernike",
    "rings",
    "polar",
    "spline",
    "cubic",
    "rank_one",
    # Lenses
    "lens",
    "multi_focal",
    "multi_color",
    "diffracted_rotation",
    # Fabrication
    "levels",
    "height_error",
    "minimum_feature",
    "roughness",
]
