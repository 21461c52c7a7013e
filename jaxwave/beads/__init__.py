"""Beads: from measured stacks of small bright spheres to the pupil of the microscope.

Find the beads (:func:`find_beads`), cut their windows (:func:`cut_bead`), describe the microscope
(:class:`BeadModel`) and fit one (:func:`fit_bead`), many (:func:`fit_beads`), or stacks at known
commands of a deformable mirror (:func:`fit_stacks`).
"""

from __future__ import annotations

from jaxwave.beads.basis import pupil_basis
from jaxwave.beads.batch import BeadOutcome, fit_beads, shared_start
from jaxwave.beads.find import Bead, cut_bead, find_beads, mass_center
from jaxwave.beads.fit import BeadFit, fit_bead
from jaxwave.beads.linear import solve_gain_background
from jaxwave.beads.model import BeadModel, bead_stack
from jaxwave.beads.noise import Camera, noise_variance
from jaxwave.beads.pixels import hot_pixels
from jaxwave.beads.stacks import StacksFit, StacksPrediction, fit_stacks, predict_stacks
from jaxwave.beads.window import bead_at, bead_window

__all__ = [
    # Beads in a stack
    "Bead",
    "find_beads",
    "hot_pixels",
    "mass_center",
    "cut_bead",
    "bead_window",
    "bead_at",
    # The model of a bead's stack and its fit
    "BeadModel",
    "bead_stack",
    "pupil_basis",
    "BeadFit",
    "fit_bead",
    "Camera",
    "noise_variance",
    "solve_gain_background",
    "BeadOutcome",
    "fit_beads",
    "shared_start",
    # Many stacks of one pupil and its responses
    "fit_stacks",
    "predict_stacks",
    "StacksFit",
    "StacksPrediction",
]
