"""Cubic splines through samples on a grid, as polynomials in every cell."""

from __future__ import annotations

import numpy as np


def matrix(count: int) -> np.ndarray:
    """Polynomials of the cells of a line from its samples, ``(4, count - 1, count)``.

    Entry ``[p, k]`` gives, from the samples, the coefficient of u**p in the cell from sample k to
    k + 1, 0 <= u <= 1. Value, slope and curvature are continuous; the third derivative is too at
    the second knot and the last but one (not a knot), so that cubics come out exactly.
    """
    cells = count - 1
    rows = np.zeros((4 * cells, cells, 4))
    right = np.zeros((4 * cells, count))
    k, inner = np.arange(cells), np.arange(cells - 1)
    rows[k, k, 0] = right[k, k] = 1
    rows[cells + k, k, :] = 1
    right[cells + k, k + 1] = 1
    slope, bend = 2 * cells + inner, 3 * cells - 1 + inner
    rows[slope, inner, :] = [0, 1, 2, 3]
    rows[slope, inner + 1, 1] = -1
    rows[bend, inner, :] = [0, 0, 2, 6]
    rows[bend, inner + 1, 2] = -2
    for place, row in ((0, 4 * cells - 2), (cells - 2, 4 * cells - 1)):
        rows[row, place, 3], rows[row, place + 1, 3] = 1, -1
    solved = np.linalg.solve(rows.reshape(4 * cells, 4 * cells), right)
    return solved.reshape(cells, 4, count).transpose(1, 0, 2)


def coefficients(samples: np.ndarray) -> np.ndarray:
    """The spline of samples ``(z, y, x)``: ``(pz, py, px, z, y, x)``, one cell less on each axis.

    In the cell (k, j, i) it is the sum of c[a, b, c] w**a v**b u**c, where w, v, u run from 0 to 1.
    """
    by_z, by_y, by_x = (matrix(n) for n in samples.shape)
    return np.einsum("akz,bjy,cix,zyx->abckji", by_z, by_y, by_x, samples, optimize=True)
