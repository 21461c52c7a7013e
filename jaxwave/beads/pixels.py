"""Pixels of a measured stack: their noise, and those that are hot, dead or masked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jaxwave import _check

_NEIGHBORS = [(j, k) for j in (-1, 0, 1) for k in (-1, 0, 1) if (j, k) != (0, 0)]


def hot_pixels(stack: Any) -> np.ndarray:
    r"""Finds the hot and dead pixels of a stack, which a fit should give the weight zero.

    .. math::
        d - \operatorname{med} d > 4\,(\max_\text{around} d - \operatorname{med} d)
        \quad\text{and}\quad d - \operatorname{med}_\text{around} d > 6\sigma

    for hot pixels, whose neighbors are dark (below 6 :math:`\sigma`) or which are so in half of the
    planes; then they are marked in all. Dead ones are 6 :math:`\sigma` below their neighbors and
    the median of the plane in half of the planes. Valid for images that spread over more than one
    pixel; :math:`\sigma` is as in :func:`find_beads`, at least one count for whole numbers.

    Args:
        stack: Values, ``(z, y, x)`` [counts]; what a ``Stack`` masks is left out.

    Returns:
        True for hot and dead pixels, ``(z, y, x)``.

    Raises:
        ValueError: If the stack does not have three axes or is not finite.
        TypeError: If the stack is not real.

    Example:
        >>> stack = np.random.default_rng(0).normal(100, 2, (5, 16, 16))
        >>> stack[2, 4, 5] = 900
        >>> np.argwhere(hot_pixels(stack)).tolist()
        [[2, 4, 5]]

    References:
        F. Huang et al., *Video-rate nanoscopy using sCMOS camera-specific algorithms*, Nat.
        Methods 10, 653 (2013).
    """
    return cleaned("hot_pixels", stack)[2]


def cleaned(where: str, stack: ArrayLike | None) -> tuple[np.ndarray, float, np.ndarray]:
    """The stack without its masked, hot and dead pixels, its noise, and where those are."""
    volume = checked_volume(where, stack).astype(np.float32)
    volume = _without_masked(volume, getattr(stack, "mask", None))
    noise = noise_level(volume)
    volume, bad = _without_bad_pixels(volume, noise)
    return volume, noise, bad


def checked_volume(where: str, stack: ArrayLike | None) -> np.ndarray:
    """Requires a finite stack (z, y, x)."""
    volume = np.asarray(stack)
    if volume.ndim != 3 or 0 in volume.shape:
        raise ValueError(f"{where}: `stack` must be (z, y, x), got the shape {volume.shape}.")
    if volume.dtype.kind not in "fiub":
        raise TypeError(f"{where}: `stack` must be real, got {volume.dtype}.")
    _check.finite_array(where, "stack", volume, fix="Read it with nan='mask'.")
    return volume


def _without_masked(volume: np.ndarray, mask: ArrayLike | None) -> np.ndarray:
    """The stack with its median where it is masked."""
    if mask is None or not np.any(mask):
        return volume
    return np.where(mask, np.median(volume[~np.asarray(mask)]), volume)


def shifted(plane: np.ndarray) -> np.ndarray:
    """The eight neighbors of every pixel, ``(8, y, x)``; mirrored at the edge."""
    padded = np.pad(plane, 1, mode="reflect")
    ny, nx = plane.shape
    return np.stack([padded[1 + j : 1 + j + ny, 1 + k : 1 + k + nx] for j, k in _NEIGHBORS])


def _without_bad_pixels(volume: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """The median of the neighbors where a pixel is hot or dead, and where that is.

    A hot pixel stands alone, as no optical image does; a dead one is below all around it.
    """
    if np.all(volume == np.round(volume)):
        noise = max(noise, 1.0)  # sparse counts, most of them equal
    bad, always = np.zeros(volume.shape, bool), np.zeros((2, *volume.shape[1:]), int)
    for k, plane in enumerate(volume):
        around, floor = shifted(plane), np.median(plane)
        alone = plane - floor > 4 * (around.max(axis=0) - floor)
        hot = alone & (plane - np.median(around, axis=0) > 6 * noise)
        bad[k] = hot & (around.max(axis=0) - floor < 6 * noise)  # else it may be a sharp bead
        always += hot, plane < np.minimum(around.min(axis=0), floor) - 6 * noise
    # A defect of the camera, also where the bead hides it.
    bad |= (always >= 0.5 * len(volume)).any(axis=0)
    clean = volume.copy()
    for k, plane in enumerate(volume):
        clean[k, bad[k]] = np.median(shifted(plane)[:, bad[k]], axis=0)
    return clean, bad


def noise_level(volume: np.ndarray) -> float:
    """Standard deviation of a pixel, from differences of neighbors that most pixels share."""
    longest = 2 if volume.shape[2] > 1 else 1
    steps = np.abs(np.diff(volume, axis=longest))
    sigma = float(np.quantile(steps, 0.6827)) / math.sqrt(2) if steps.size else 0.0
    rounding = 1 / math.sqrt(12) if np.all(volume == np.round(volume)) else 0.0
    return max(sigma, rounding, 1e-6 * float(np.ptp(volume)))


def smooth(volume: np.ndarray) -> np.ndarray:
    """Means of 3 x 3 pixels of every plane."""
    return np.stack([(plane + shifted(plane).sum(axis=0)) / 9 for plane in volume])
