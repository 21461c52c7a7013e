"""Linear algebra of error bars, in double precision: information, scatter, inverse."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

_BLOCK = 2**16  # residuals whose columns are held in float64 at once


def information_of(jacobian: Array) -> np.ndarray:
    """J J^T, summed in float64: what is nearly degenerate would drown in float32."""
    count = jacobian.shape[1]
    blocks = np.arange(count) // _BLOCK
    return by_group(jacobian, np.zeros(count, np.float32), blocks)[0].sum(axis=0)


def by_group(
    jacobian: ArrayLike, r: ArrayLike, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Information ``(groups, count, count)`` and pull ``(groups, count)`` of every group."""
    if groups.shape != np.shape(r):
        raise ValueError(
            f"standard_errors: `groups` must have one number for each of the {np.size(r)} "
            f"residuals, got the shape {groups.shape}."
        )
    counts = np.unique(groups, return_counts=True)[1]
    first = np.cumsum(counts) - counts
    place = np.arange(counts.max(initial=0))
    inside = place < counts[:, None]
    members = np.argsort(groups, kind="stable")[np.where(inside, first[:, None] + place, 0)]
    # XLA's products: numpy's threads wait by spinning, ten times as long as they multiply.
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, _products(jacobian, r, members, inside))


@jax.jit
def _products(jacobian: Array, r: Array, members: Array, inside: Array) -> tuple[Array, Array]:
    def one(part: tuple[Array, Array]) -> tuple[Array, Array]:
        which, kept = part
        block = jacobian[:, which].astype(np.float64) * kept
        exact = jax.lax.Precision.HIGHEST
        pull = jnp.matmul(block, r[which].astype(np.float64), precision=exact)
        return jnp.matmul(block, block.T, precision=exact), pull

    return jax.lax.map(one, (members, inside))  # one block at a time


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
