"""What a pupil cannot tell from the emitter's position: piston, tilt and the true defocus."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, grid
from jaxwave._noun import spelled


@spelled
class Gauge(NamedTuple):
    r"""A pupil without what belongs to the emitter's position, and that position.

    .. math:: \mathrm{OPD} = \mathrm{OPD}_\text{rest} + c - s_y y - s_x x + n z (1 - \cos\theta)

    Valid where :func:`remove_gauge` is.

    Args:
        opd: Optical path difference that is left, ``(..., s_y, s_x)`` [µm].
        piston: The constant c, ``(...)`` [µm].
        y: Position of the emitter, ``(...)`` [µm].
        x: Position of the emitter, ``(...)`` [µm].
        z: Displacement of the emitter toward the objective, ``(...)`` [µm].

    Example:
        >>> Gauge(jnp.zeros((4, 4)), 0.0, 0.0, 0.0, 0.5).z
        0.5

    References:
        B. M. Hanser et al., J. Microsc. 216, 32 (2004).
    """

    opd: Array
    piston: Array
    y: Array
    x: Array
    z: Array


def remove_gauge(
    opd: ArrayLike,
    *,
    na: float,
    n: float = 1.0,
    pupil_radius: float | None = None,
    weight: ArrayLike | None = None,
) -> Gauge:
    r"""Takes piston, tilt and defocus out of a pupil by weighted least squares.

    .. math:: \min_{c,y,x,z} \sum w\,\bigl[\mathrm{OPD} - c + s_y y + s_x x
        - n z (1 - \cos\theta)\bigr]^2,\qquad n \cos\theta = \sqrt{n^2 - s^2}

    The defocus is that of a sphere at any aperture, not the Zernike mode (2, 0), which it differs
    from by spherical aberration. Valid for a medium of one index; the result depends on the
    weights, for which the intensity of the pupil is the natural choice.

    Args:
        opd: Optical path difference on a pupil grid with the axis at the samples N // 2,
            ``(..., s_y, s_x)`` [µm].
        na: Numerical aperture.
        n: Refractive index.
        pupil_radius: Samples from the axis to the rim, a real number; by default half the smaller
            side.
        weight: Weights, ``(s_y, s_x)``; nothing counts beyond the rim.

    Returns:
        The rest, zero beyond the rim, and the position that was taken out.

    Raises:
        ValueError: If the numbers are out of range, or the shapes differ.

    Example:
        >>> s = (np.arange(32) - 16) / 16 * 0.8
        >>> cosine = np.sqrt(np.maximum(1 - s[:, None] ** 2 - s**2, 0))
        >>> gauge = remove_gauge(0.3 * (1 - cosine), na=0.8)
        >>> round(float(gauge.z), 3), bool(abs(gauge.opd).max() < 1e-5)
        (0.3, True)

    References:
        M. Gu, *Advanced Optical Imaging Theory*, Sec. 6.3; B. M. Hanser et al., J. Microsc. 216,
        32 (2004).
    """
    where = "remove_gauge"
    _check.at_least(where, "opd", opd, 2, "(..., s_y, s_x)")
    _check.numerical_aperture(where, na, n)
    path = _check.real_array(where, "opd", opd)
    ny, nx = path.shape[-2:]
    radius = min(ny, nx) / 2 if pupil_radius is None else pupil_radius
    _check.positive(where, "pupil_radius", radius)
    sy, sx = (grid.indices(k) * (na / radius) for k in (ny, nx))
    square = sy[:, None] ** 2 + sx**2
    inside = square <= na**2
    w = np.ones((ny, nx)) if weight is None else np.asarray(weight, np.float64)
    _check.same_grid(where, "weight", w.shape, (ny, nx))
    _check.nonnegative(where, "weight", w)
    cosine = np.sqrt(np.maximum(n**2 - np.minimum(square, na**2), 0))
    one = np.ones((ny, nx))
    shapes = np.stack([one, -sy[:, None] * one, -sx * one, n - cosine])
    root = np.sqrt(w * inside)
    if np.count_nonzero(root) < 4:
        raise ValueError(f"{where}: at least 4 samples of the pupil must count, got fewer.")
    solve = np.linalg.pinv((shapes * root).reshape(4, -1).T).reshape(4, ny, nx) * root
    einsum = partial(jnp.einsum, precision="highest")
    found = einsum("kyx,...yx->...k", solve.astype(path.dtype), path * inside)
    rest = path - einsum("...k,kyx->...yx", found, shapes.astype(path.dtype))
    return Gauge(rest * inside, *(found[..., k] for k in range(4)))
