"""Cubic splines through samples on a grid, as polynomials in every cell."""

from __future__ import annotations

import numpy as np


def matrix(count: int) -> np.ndarray:
    """Polynomials of the cells of a line from its samples, ``(4, count - 1, count)``.

    Entry ``[p, k]`` gives, from the samples, the coefficient of u**p in the cell from sample k to
    k + 1, 0 <= u <= 1. Value, slope and curvature are continuous; the third derivative is too at
    the second knot and the last but one (not a knot), so that cubics come out exactly.
    """
    from scipy.interpolate import CubicSpline

    return CubicSpline(np.arange(count), np.eye(count), bc_type="not-a-knot").c[::-1]


def coefficients(samples: np.ndarray) -> np.ndarray:
    """The spline of samples ``(z, y, x)``: ``(pz, py, px, z, y, x)``, one cell less on each axis.

    In the cell (k, j, i) it is the sum of c[a, b, c] w**a v**b u**c, where w, v, u run from 0 to 1.
    """
    by_z, by_y, by_x = (matrix(n) for n in samples.shape)
    return np.einsum("akz,bjy,cix,zyx->abckji", by_z, by_y, by_x, samples, optimize=True)
