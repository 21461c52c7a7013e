"""Calibration: from measured images to the parameters of an instrument."""

from jaxwave.calibration.bead_batch import BeadOutcome, fit_beads, shared_start
from jaxwave.calibration.bead_fit import BeadFit, fit_bead, noise_variance
from jaxwave.calibration.bead_model import BeadModel, bead_stack, pupil_basis
from jaxwave.calibration.beads import Bead, cut_bead, find_beads, mass_center
from jaxwave.calibration.lbfgs import Minimum, minimize
from jaxwave.calibration.linear import solve_gain_background
from jaxwave.calibration.uncertainty import standard_errors

__all__ = [
    # Beads in a stack
    "Bead",
    "find_beads",
    "mass_center",
    "cut_bead",
    # The model of a bead's stack and its fit
    "BeadModel",
    "bead_stack",
    "pupil_basis",
    "BeadFit",
    "fit_bead",
    "noise_variance",
    "BeadOutcome",
    "fit_beads",
    "shared_start",
    # Parts of a fit
    "Minimum",
    "minimize",
    "solve_gain_background",
    "standard_errors",
]
