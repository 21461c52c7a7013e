"""Linear algebra of error bars, in double precision: information, scatter, inverse."""

from __future__ import annotations

import math

import numpy as np
from jax import Array


def information_of(jacobian: Array) -> np.ndarray:
    """J J^T, summed in float64: what is nearly degenerate would drown in float32."""
    rows = np.asarray(jacobian)
    total = np.zeros((len(rows), len(rows)))
    for start in range(0, rows.shape[1], 2**16):
        block = rows[:, start : start + 2**16].astype(np.float64)
        total += block @ block.T
    return total


def by_group(jacobian: Array, r: Array, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Information ``(groups, count, count)`` and pull ``(groups, count)`` of every group."""
    rows, values = np.asarray(jacobian), np.asarray(r, np.float64)
    if groups.shape != values.shape:
        raise ValueError(
            f"standard_errors: `groups` must have one number for each of the {values.size} "
            f"residuals, got the shape {groups.shape}."
        )
    blocks = [(rows[:, k].astype(np.float64), values[k]) for k in _members(groups)]
    return np.stack([b @ b.T for b, _ in blocks]), np.stack([b @ v for b, v in blocks])


def _members(groups: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(groups == k) for k in np.unique(groups)]


def pull_variance(pulls: np.ndarray, information: np.ndarray) -> np.ndarray:
    """Variances by the scatter of the pulls of groups of residuals (a sandwich estimate)."""
    centered = pulls - pulls.mean(axis=0)  # the priors' pull is shared by all
    moved = covariance_of(information, 0.0) @ centered.T
    return np.sum(moved**2, axis=1) * len(pulls) / max(len(pulls) - 1, 1)


def birge(jacobian: Array, r: Array) -> float:
    """sqrt(chi²/degrees of freedom), one at least; masked residuals do not count."""
    rows, values = np.asarray(jacobian), np.asarray(r, np.float64)
    used = int(np.count_nonzero((values != 0) | np.any(rows != 0, axis=0)))
    return math.sqrt(max(1.0, float(np.sum(values**2)) / max(used - len(rows), 1)))


def scaled(information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The information in units where its diagonal is one, and those units."""
    size = np.sqrt(np.diag(information))
    safe = np.where(size > 0, size, 1)
    return information / np.outer(safe, safe) + np.diag(np.where(size > 0, 0.0, 1.0)), size


def covariance_of(information: np.ndarray, nothing: float) -> np.ndarray:
    """The inverse; infinite variances for what takes part in a direction without information."""
    unit, size = scaled(information)
    values, vectors = np.linalg.eigh(unit)
    known = values > nothing
    inverse = (vectors[:, known] / values[known]) @ vectors[:, known].T
    safe = np.where(size > 0, size, 1)
    covariance = inverse / np.outer(safe, safe)
    open_ = (size == 0) | np.any(np.abs(vectors[:, ~known]) > 1e-3, axis=1)
    covariance[np.diag_indices_from(covariance)] += np.where(open_, np.inf, 0.0)
    return covariance
