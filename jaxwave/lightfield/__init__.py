"""Light-field microscopy: from microscopes to PSFs, from raw images to volumes.

Describe a microscope (:class:`LightFieldMicroscope`, :class:`FourierMicroscope`) with its
:class:`LensArray`; its ``psf`` is a :class:`LightFieldPSF`, and a :class:`Projector` maps volumes
to images and back. Find the lenslets on a raw image (:func:`find_lattice`), bring them to whole
pixels (:func:`rectify`), and get the volume (:func:`richardson_lucy`).
"""

from __future__ import annotations

from jaxwave.lightfield.array import LensArray
from jaxwave.lightfield.deconvolve import richardson_lucy, sampling_cutoff
from jaxwave.lightfield.fourier import FourierMicroscope
from jaxwave.lightfield.lattice import Lattice, find_lattice, rectify
from jaxwave.lightfield.microscope import LightFieldMicroscope
from jaxwave.lightfield.projector import LightFieldPSF, Projector

__all__ = [
    # What is described once
    "LensArray",
    "LightFieldMicroscope",
    "FourierMicroscope",
    "LightFieldPSF",
    # Volumes and images
    "Projector",
    "richardson_lucy",
    "sampling_cutoff",
    # Raw images
    "Lattice",
    "find_lattice",
    "rectify",
]
