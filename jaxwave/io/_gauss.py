"""Widths of spots: least squares of a Gaussian with its own width along y and x."""

from __future__ import annotations

import numpy as np


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
    from scipy.optimize import least_squares

    y, x = (np.arange(n) - n // 2.0 for n in plane.shape)
    scale = float(np.abs(plane).max()) or 1.0
    data = plane / scale
    light = np.clip(data - data.min(), 0, None)
    total = max(light.sum(), 1e-12)
    spread = [np.sqrt(max(light.sum(1 - k) @ a**2 / total, 0.25)) for k, a in enumerate((y, x))]
    start = np.array([total, data.min(), 0.0, 0.0, *spread])
    most = 10.0 * max(plane.shape)
    low = [-np.inf, -np.inf, -np.inf, -np.inf, 0.1, 0.1]
    high = [np.inf, np.inf, np.inf, np.inf, most, most]
    found = least_squares(
        lambda p: _model(p, y, x)[0].ravel() - data.ravel(),
        start,
        lambda p: _model(p, y, x)[1],
        bounds=(low, high),
        x_scale="jac",
    ).x
    return float(found[5]), float(found[4])
