"""The engine of calibrations: learns named parameters of any model from data, with error bars."""

from __future__ import annotations

from jaxwave.calibration.calibrate import Calibration, Stage, calibrate, least_squares
from jaxwave.calibration.constraints import (
    Constraint,
    band_limited,
    chain,
    interval,
    periodic,
    positive,
    quantized,
    rotationally_symmetric,
    unit_sum,
)
from jaxwave.calibration.fisher import cramer_rao, fisher_information, localization_bound
from jaxwave.calibration.gauge import Gauge, remove_gauge
from jaxwave.calibration.joint import Joint, joint_loss
from jaxwave.calibration.lbfgs import Minimum, minimize
from jaxwave.calibration.optimizers import lbfgs, levenberg_marquardt
from jaxwave.calibration.posterior import Posterior, sample_posterior
from jaxwave.calibration.priors import normal, smooth
from jaxwave.calibration.profile import Profile, profile_likelihood
from jaxwave.calibration.starts import random_starts, twin_start
from jaxwave.calibration.uncertainty import Uncertainty, standard_errors, uncertainty
from jaxwave.calibration.vector import Vector

__all__ = [
    # Learning named parameters from data
    "calibrate",
    "Calibration",
    "Stage",
    "least_squares",
    "lbfgs",
    "levenberg_marquardt",
    "Vector",
    "Joint",
    "joint_loss",
    "random_starts",
    "twin_start",
    "Gauge",
    "remove_gauge",
    # What is known of a parameter
    "Constraint",
    "positive",
    "interval",
    "periodic",
    "band_limited",
    "rotationally_symmetric",
    "quantized",
    "unit_sum",
    "chain",
    "normal",
    "smooth",
    # Parts of a fit
    "Minimum",
    "minimize",
    # Error bars
    "uncertainty",
    "Uncertainty",
    "standard_errors",
    "fisher_information",
    "cramer_rao",
    "localization_bound",
    "profile_likelihood",
    "Profile",
    "sample_posterior",
    "Posterior",
]
