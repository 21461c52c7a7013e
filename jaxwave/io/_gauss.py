"""Widths of spots: least squares of a Gaussian with its own width along y and x."""

from __future__ import annotations

import numpy as np

_STEPS = 100
_ENOUGH = 1e-10


def _model(p: np.ndarray, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values at the pixels' middles, and their derivatives by the six numbers."""
    light, ground, y0, x0, sy, sx = p
    v, u = (y - y0) / sy, (x - x0) / sx
    spot = np.exp(-(v[:, None] ** 2) / 2 - u**2 / 2) / (2 * np.pi * sy * sx)
    parts = [
        spot,
        np.ones_like(spot),
        light * spot * (v / sy)[:, None],
        light * spot * (u / sx),
        light * spot * ((v**2 - 1) / sy)[:, None],
        light * spot * ((u**2 - 1) / sx),
    ]
    return light * spot + ground, np.stack([part.ravel() for part in parts], axis=1)


def widths(plane: np.ndarray) -> tuple[float, float]:
    """Standard deviations (s_x, s_y) of the Gaussian nearest to a plane ``(y, x)`` [pixels]."""
    y, x = (np.arange(n) - n // 2.0 for n in plane.shape)
    scale = float(np.abs(plane).max()) or 1.0
    data = plane / scale
    light = np.clip(data - data.min(), 0, None)
    total = max(light.sum(), 1e-12)
    spread = [np.sqrt(max(light.sum(1 - k) @ a**2 / total, 0.25)) for k, a in enumerate((y, x))]
    p = np.array([total, data.min(), 0.0, 0.0, *spread])
    damping, (now, slopes) = 1e-3, _model(p, y, x)
    error = float(((data - now) ** 2).sum())
    for _ in range(_STEPS):
        normal = slopes.T @ slopes
        right = slopes.T @ (data - now).ravel()
        change = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-15), right)
        trial = p + change
        trial[4:] = np.clip(np.abs(trial[4:]), 0.1, 10 * max(plane.shape))
        new = _model(trial, y, x)
        left = float(((data - new[0]) ** 2).sum())
        if left < error:
            done = error - left < _ENOUGH * error
            p, error, damping, (now, slopes) = trial, left, damping / 5, new
            if done:
                break
        else:
            damping *= 5
            if damping > 1e12:
                break
    return float(p[5]), float(p[4])
