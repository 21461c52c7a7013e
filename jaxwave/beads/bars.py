"""Error bars of a bead's fit, and the coordinates in which its valley is round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxwave import _check
from jaxwave.beads.loss import AMPLITUDE_STEP, FURTHER, PHASE_STEP, TOLERANCES, Pieces
from jaxwave.beads.model import PRIORS, SCALES, Parameters
from jaxwave.beads.spherical import Departure, departures
from jaxwave.beads.ties import Tie, ties_of
from jaxwave.calibration.uncertainty import GroupedErrors, grouped_errors, scatter_over_noise

# Curvature of the free maps: what the numbers beside them are scaled to.
_LIKE_MAPS = 100.0


class Bars(NamedTuple):
    """Errors of the scaled parameters and of a bootstrap over planes, ties, and the layers."""

    errors: Parameters
    bootstrap: Parameters
    ties: tuple[Tie, ...]
    layers: tuple[Departure, ...]


def _parts(
    pieces: Pieces, parameters: Parameters, problem: dict
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What is fitted beside the maps, what is taken as known, and the widths of the priors."""
    basis = problem["basis"]
    zero = {k: np.zeros(len(basis[k]), np.float32) for k in FURTHER if k in pieces.named}
    whole = {**zero, **parameters}
    named = {k: v for k, v in whole.items() if k in pieces.named}
    rest = {k: v for k, v in whole.items() if k not in pieces.named}
    prior: dict[str, Any] = {
        k: np.full(np.shape(v), PRIORS[k]) for k, v in named.items() if k in PRIORS
    }
    for name, step in zip(FURTHER, (PHASE_STEP, AMPLITUDE_STEP), strict=True):
        if name in named:
            shapes = np.asarray(basis[name], np.float64)
            rough = sum(np.sum(np.diff(shapes, axis=a) ** 2, axis=(1, 2)) for a in (1, 2))
            prior[name] = step / np.sqrt(rough)
    return named, rest, prior


def _planes(pieces: Pieces) -> np.ndarray:
    """Number of the plane of every residual."""
    return np.repeat(np.arange(len(pieces.fitted)), int(np.prod(pieces.model.shape)))


def turned(pieces: Pieces, parameters: Parameters, problem: dict) -> tuple[np.ndarray, float]:
    r"""Steps ``(count, count)`` of what is fitted beside the maps that all change the fit as much.

    .. math:: T = c\,(J^T J + S^{-2})^{-1/2}

    In them the valleys of what is nearly degenerate, such as pixel and aperture, are round: a
    descent that sees only gradients gets along them. And how many times as much as by their widths
    the tolerances have to count: as many as the scale scatters more over the planes than the noise
    says, because the model is not quite right. By the noise alone thousands of pixels would outvote
    every tolerance for a hundredth of what the model leaves unexplained.
    """
    named, rest, prior = _parts(pieces, parameters, problem)
    count = sum(map(np.size, named.values()))
    even = np.eye(count, dtype=np.float32)
    scale = {k: np.full(np.shape(v), k in TOLERANCES) for k, v in named.items()}
    free = {k: np.where(scale[k], np.inf, v) for k, v in prior.items()}
    try:
        found, excess = scatter_over_noise(
            pieces.residuals_beside, named, rest, problem, prior=free, groups=_planes(pieces)
        )
    except MemoryError:  # slower then, but no worse
        return even, 1.0
    if not np.all(np.isfinite(found)):
        return even, 1.0
    inside = np.concatenate([np.ravel(scale[k]) for k in sorted(scale)])
    doubt = max(1.0, float(np.mean(excess[inside]))) if inside.any() else 1.0
    if not np.isfinite(doubt):
        doubt = 1.0
    width = np.concatenate([np.ravel(prior[name]) for name in sorted(named)])
    width = np.where(inside, width / np.sqrt(doubt), width)
    values, vectors = np.linalg.eigh(found * np.outer(width, width) + np.eye(count))
    root = width[:, None] * (vectors / np.sqrt(values)) @ vectors.T
    return (np.sqrt(_LIKE_MAPS) * root).astype(np.float32), doubt


def errors_of(
    pieces: Pieces, parameters: Parameters, problem: dict, tolerances: Mapping[str, float]
) -> Bars:
    """What is known how well of the scaled parameters; infinite errors where it cannot be had."""
    named, rest, prior = _parts(pieces, parameters, problem)
    counts = {
        k: np.full(np.shape(v), float(problem["doubt"]) if k in TOLERANCES else 1.0)
        for k, v in named.items()
    }
    try:
        found = grouped_errors(
            pieces.residuals_beside,
            named,
            rest,
            problem,
            prior=prior,
            counts=counts,
            groups=_planes(pieces),
        )
        ties = ties_of(pieces.model, found.covariance, named)
        layers = departures(pieces.model, tolerances, named, found.covariance, found.errors)
    except (ValueError, MemoryError, np.linalg.LinAlgError) as error:  # the fit is good
        _check.warn("fit_bead", f"there are no error bars: {error}")
        unknown = {k: np.full(np.shape(v), np.inf) for k, v in named.items()}
        found, ties, layers = GroupedErrors(unknown, np.zeros((0, 0)), unknown), (), ()
    exact: dict[str, Any] = {k: np.zeros(np.shape(v)) for k, v in rest.items()}
    return Bars({**exact, **found.errors}, {**exact, **found.bootstrap}, ties, layers)


_SOURCES = {
    "zernike_um": "zernike",
    "amplitude_modes": "amplitude",
    "y_um": "y",
    "x_um": "x",
    "z_um": "z",
    "drift_y_um": "drift_y",
    "drift_x_um": "drift_x",
    "drift_z_um": "drift_z",
    "pixel_factor": "pixel",
    "dz_factor": "dz",
    "na": "na",
    "blur_sigma_pixels": "blur",
}
_LOGARITHMIC = ("pixel_factor", "dz_factor", "na")


def physical_errors(values: dict[str, Any], errors: Parameters) -> dict[str, Any]:
    """Errors of what :func:`~jaxwave.beads.model.physical` gives, of those of the scaled ones."""
    result = {}
    for name, source in _SOURCES.items():
        error = np.asarray(errors[source], np.float64) * SCALES[source]
        result[name] = error * values[name] if name in _LOGARITHMIC else error
        if source == "blur":  # the variance is what the fit knows; at zero the width is open
            sigma = np.asarray(values[name], np.float64)
            result[name] = np.sqrt(sigma**2 + error) - sigma
    return result
