"""What a camera and its filter get wrong, expected over scenes, without an image."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, numerics
from jaxwave.filters import SCENES, filter_of, scene_power, transfer


def expected_error(
    psfs: ArrayLike,
    noise: ArrayLike,
    *,
    shape: tuple[int, int],
    weight: ArrayLike | None = None,
    scene: str = "natural",
    haze: bool = True,
) -> Array:
    r"""Mean square error at each depth of a camera whose images go through one Wiener filter.

    .. math:: E_d = \left\langle |1 - G H_d|^2\, S + |G|^2\, N \right\rangle_f, \qquad
        G = \frac{\overline{H_d}^{\,*}\, S}{\overline{|H_d|^2}\, S + w}

    The expectation over all scenes of the power S, noise of the variance N, and periodic images, in
    closed form: as a loss for designing a lens it needs neither images nor random numbers. The
    filter is that of :func:`jaxwave.wiener`, one for all depths. With w = N the mean of E_d is the
    least that a linear filter without knowledge of the depth can reach. Valid for noise of one
    variance; the rim of an image, its positivity and its edges are neglected.

    Args:
        psfs: Point-spread functions, ``(depths, ..., y, x)`` [none], such as those of
            :class:`jaxwave.cameras.Lens`.
        noise: N over the variance of the scene, one number or ``(...)`` [none].
        shape: Pixels of an image (y, x), at least those of a PSF.
        weight: w, one number or ``(...)`` [none]; by default N. A filter that was fitted to images
            has more, because it makes up for what the model neglects.
        scene: ``"natural"``, for the power of photographs, or ``"white"``.
        haze: Whether what a PSF of a sum below one misses veils the image evenly; otherwise it is
            lost.

    Returns:
        The errors over the variance of the scene, ``(depths, ...)``. Their mean is a loss, their
        maximum that of the worst depth.

    Raises:
        TypeError: If something is complex.
        ValueError: If a shape does not fit or a number is not positive.

    Example:
        >>> sharp = jnp.zeros((1, 5, 5)).at[0, 2, 2].set(1.0)
        >>> soft = jnp.full((1, 5, 5), 1 / 25)
        >>> [round(float(expected_error(h, 0.01, shape=(32, 32))[0]), 3) for h in (sharp, soft)]
        [0.01, 0.288]

    References:
        N. Wiener, *Extrapolation, Interpolation, and Smoothing of Stationary Time Series* (1949);
        D. J. Field, J. Opt. Soc. Am. A 4, 2379 (1987).
    """
    where = "expected_error"
    psfs = _check.real_array(where, "psfs", psfs, fix="Take the intensity.")
    _check.at_least(where, "psfs", psfs, 3, "(depths, ..., y, x)")
    _check.not_empty(where, "psfs", psfs.shape)
    _check.choice(where, "scene", scene, SCENES)
    size = _check.grid_shape(where, shape)
    if any(m > n for m, n in zip(psfs.shape[-2:], size, strict=True)):
        raise ValueError(
            f"{where}: `shape` must be at least that of a PSF {psfs.shape[-2:]}, got {size}."
        )
    numbers = []
    for name, value in (("noise", noise), ("weight", noise if weight is None else weight)):
        value = _check.real_array(where, name, value)
        _check.positive(where, name, value)
        _check.broadcast(where, psfs=psfs.shape[1:-2], **{name: value.shape})
        numbers.append(jnp.asarray(value))
    return _expected(psfs, numbers[0], numbers[1], size, scene, haze)


@numerics.program("size", "scene", "haze")
def _expected(
    psfs: Array, noise: Array, weight: Array, size: tuple[int, int], scene: str, haze: bool
) -> Array:
    power = scene_power(size, scene, (size[0] * size[1]) ** -0.5).astype(psfs.dtype)
    h = transfer(psfs, size, haze)
    gain = filter_of(h, power, weight.astype(psfs.dtype))
    left = 1 - gain * h
    error = (left.real**2 + left.imag**2) * power
    error = error + (gain.real**2 + gain.imag**2) * noise.astype(psfs.dtype)[..., None, None]
    # Columns between the first and the middle stand for their mirror images, too.
    columns = np.full(size[1] // 2 + 1, 2.0)
    columns[0] = 1
    if size[1] % 2 == 0:
        columns[-1] = 1
    share = jnp.asarray(columns / (size[0] * size[1]), psfs.dtype)
    return jnp.einsum("...yx,x->...", error, share, precision=jax.lax.Precision.HIGHEST)
