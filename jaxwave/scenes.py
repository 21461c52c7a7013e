"""Scenes with depth: layers of distances, their blurred images one in front of the other.

Images are ``(..., colors, y, x)``, distances maps ``(..., y, x)``, PSFs
``(depths, colors, y, x)`` as :meth:`jaxwave.cameras.Lens.psfs` makes them.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, grid, numerics
from jaxwave.imaging import convolve_psf
from jaxwave.numerics import share

__all__ = ["layers", "render", "vignetting"]


def _distances(where: str, distances: ArrayLike) -> Array:
    """Reciprocal distances of the layers, in order."""
    if np.ndim(distances) != 1 or not np.size(distances):
        raise ValueError(
            f"{where}: `distances` must be a row, (depths,), got the shape {np.shape(distances)}."
        )
    if _check.is_concrete(distances):
        values = np.asarray(distances, np.float64)
        bad = ~(values > 0)
        if np.any(bad):
            raise ValueError(f"{where}: `distances` must be positive, got {values[bad][0]}.")
        if np.any(np.diff(values) == 0) or len({*np.sign(np.diff(values))}) > 1:
            raise ValueError(
                f"{where}: `distances` must rise or fall from layer to layer, got {values}. Sort "
                "them, with their PSFs."
            )
        return numerics.number(1 / values, jnp.result_type(float))
    return 1 / jnp.asarray(distances, jnp.result_type(float))


def layers(depth: ArrayLike, distances: ArrayLike, *, interpolate: bool = True) -> Array:
    r"""Shares of every pixel in layers of fixed distances.

    .. math:: w_k = \max\left(0, 1 - \left|\frac{1/d - 1/d_k}{1/d_{k\pm1} - 1/d_k}\right|\right)

    Straight in the reciprocal distance, in which defocus is straight too; what lies beyond the
    first or the last layer belongs to it. Valid for layers whose PSFs resemble each other's; one
    wave of defocus from layer to layer is enough.

    Args:
        depth: Distance of every pixel, ``(..., y, x)`` [µm]; ``inf`` is far away.
        distances: Distances of the layers, rising or falling, ``(depths,)`` [µm].
        interpolate: False puts every pixel into the nearest layer alone.

    Returns:
        The shares, ``(..., depths, y, x)``; their sum is one.

    Raises:
        ValueError: If a distance is not positive, or the layers are not in order.

    Example:
        >>> layers([[2.0, 3.0]], [2.0, 6.0])[:, 0, 1].round(3).tolist()
        [0.5, 0.5]

    References:
        H. Ikoma et al., "Depth from defocus with learned optics", ICCP (2021), Sec. 3.
    """
    where = "layers"
    _check.at_least(where, "depth", depth, 2, "(..., y, x)")
    depth = _check.real_array(where, "depth", depth)
    if _check.is_concrete(depth) and not np.all(np.asarray(depth) > 0):
        raise ValueError(f"{where}: `depth` must be positive distances [µm].")
    return _shares(1 / depth, _distances(where, distances), interpolate)


@numerics.program("interpolate")
def _shares(near: Array, at: Array, interpolate: bool) -> Array:
    at = at.astype(near.dtype)
    count = at.shape[0]
    if count == 1:
        return jnp.ones_like(near)[..., None, :, :]
    near = jnp.clip(near, jnp.min(at), jnp.max(at))[..., None, :, :]
    steps = jnp.diff(at)
    # Places between the layers: 0 at the first one, count - 1 at the last.
    parts = jnp.clip((near - at[:-1, None, None]) / steps[:, None, None], 0, 1)
    place = jnp.sum(parts, axis=-3, keepdims=True)
    if not interpolate:
        place = lax.stop_gradient(jnp.round(place))
    return jnp.maximum(1 - jnp.abs(place - np.arange(count)[:, None, None]), 0)


def _image(where: str, image: ArrayLike, colors: int) -> Array:
    """An image with the axes (..., colors, y, x), from 0 to 1."""
    _check.at_least(where, "image", image, 3, "(..., colors, y, x)")
    shape = np.shape(image)
    if shape[-3] != colors and shape[-1] == colors:
        raise ValueError(
            f"{where}: `image` must have the axes (..., colors, y, x), got the shape {shape} with "
            "the colors behind. Pass jnp.moveaxis(image, -1, -3)."
        )
    if shape[-3] not in (1, colors):
        raise ValueError(
            f"{where}: `image` must have the {colors} colors of the PSFs on axis -3, got the shape "
            f"{shape}."
        )
    image = _check.real_array(where, "image", image)
    if _check.is_concrete(image):
        low, high = float(np.min(np.asarray(image))), float(np.max(np.asarray(image)))
        if low < 0 or high > 2:
            raise ValueError(
                f"{where}: `image` must be linear light from 0 to 1, got {low:g} to {high:g}. "
                "Divide counts by the largest one."
            )
    return image


def render(
    image: ArrayLike,
    depth: ArrayLike,
    psfs: ArrayLike,
    *,
    distances: ArrayLike,
    occlusion: bool = True,
    interpolate: bool = True,
    haze: bool = True,
    boundary: str = "edge",
) -> Array:
    r"""Image of a scene with depth, whose near parts hide the blur of the far ones.

    .. math:: I = \sum_k \tilde c_k \prod_{j < k} (1 - \tilde a_j),\qquad
        \tilde c_k = s_k\,\frac{h_k * (w_k c)}{E_k},\quad
        \tilde a_k = \frac{h_k * w_k}{E_k},\quad E_k = h_k * \sum_{j \ge k} w_j

    from the nearest layer k on, with the shares w of :func:`layers`, PSFs h of sum one and their
    light s. The denominator continues a layer behind what hides it. The image of a flat scene is
    plain convolution. Without ``occlusion`` the images are selected: every pixel is that of its
    own layer's image. Valid for opaque scenes; what is hidden is guessed from its
    surroundings.

    Args:
        image: The scene in linear light, ``(..., colors, y, x)`` [from 0 to 1].
        depth: Distance of every pixel, ``(..., y, x)`` [µm].
        psfs: PSFs of the layers, shares of the light in pixels, ``(depths, colors, y, x)`` [none].
        distances: Distances of the layers, rising or falling, ``(depths,)`` [µm].
        occlusion: False selects from the images of all layers.
        interpolate: False puts every pixel into the nearest layer alone.
        haze: Whether the light that misses the windows of the PSFs veils the image evenly; else
            it is lost.
        boundary: What is beyond the image, see :func:`jaxwave.convolve_psf`.

    Returns:
        The image, ``(..., colors, y, x)`` [as ``image``].

    Raises:
        TypeError: If something is complex.
        ValueError: If a shape does not fit, the image is not from 0 to 1 or its colors are behind.

    Example:
        >>> image, depth = jnp.ones((3, 8, 8)), jnp.full((8, 8), 1e6)
        >>> psfs = jnp.ones((2, 3, 3, 3)) / 9
        >>> render(image, depth, psfs, distances=[1e6, 2e6]).shape
        (3, 8, 8)

    References:
        H. Ikoma et al., "Depth from defocus with learned optics", ICCP (2021), Eqs. 3 to 6.
    """
    where = "render"
    _check.at_least(where, "psfs", psfs, 4, "(depths, colors, y, x)")
    psfs = _check.real_array(where, "psfs", psfs)
    image = _image(where, image, psfs.shape[-3])
    _check.at_least(where, "depth", depth, 2, "(..., y, x)")
    if np.shape(depth)[-2:] != image.shape[-2:]:
        raise ValueError(
            f"{where}: `depth` must have the image's {image.shape[-2:]} pixels, got "
            f"{np.shape(depth)[-2:]}."
        )
    count = np.shape(distances)[0] if np.ndim(distances) else 0
    if psfs.ndim != 4 or psfs.shape[0] != count:
        raise ValueError(
            f"{where}: `psfs` must be (depths, colors, y, x) with the {count} depths of "
            f"`distances`, got the shape {psfs.shape}."
        )
    weights = layers(depth, distances, interpolate=interpolate)
    near = _distances(where, distances)
    return _rendered(image, weights, psfs, near, occlusion, haze, boundary)


@numerics.program("occlusion", "haze", "boundary")
def _rendered(
    image: Array,
    weights: Array,
    psfs: Array,
    near: Array,
    occlusion: bool,
    haze: bool,
    boundary: str,
) -> Array:
    far_first = near[0] < near[-1]
    weights = jnp.where(far_first, weights[..., ::-1, :, :], weights)
    psfs = jnp.where(far_first, psfs[::-1], psfs)
    sums = jnp.sum(psfs, axis=(-2, -1), keepdims=True)
    psfs = psfs / jnp.where(sums > 0, sums, 1)
    weights = weights[..., None, :, :]  # (..., depths, 1, y, x)
    parts = weights * image[..., None, :, :, :]
    blurred = _blend if occlusion else _select
    result = jnp.sum(sums * blurred(image, weights, parts, psfs, boundary), axis=-4)
    if haze:
        veil = jnp.mean((1 - sums) * parts, axis=(-2, -1), keepdims=True)
        result = result + jnp.sum(veil, axis=-4)
    return result


def _select(image: Array, weights: Array, parts: Array, psfs: Array, boundary: str) -> Array:
    return weights * convolve_psf(image[..., None, :, :, :], psfs, boundary=boundary)


def _blend(image: Array, weights: Array, parts: Array, psfs: Array, boundary: str) -> Array:
    """Layers from the nearest one on, each behind those in front of it."""
    beyond = "edge" if boundary == "zero" else boundary
    behind = jnp.flip(jnp.cumsum(jnp.flip(weights, -4), axis=-4), -4)
    masks = jnp.stack([weights + 0 * psfs[:, :, :1, :1], behind + 0 * psfs[:, :, :1, :1]])
    own, whole = convolve_psf(masks, psfs, boundary=beyond)
    colors = convolve_psf(parts, psfs, boundary=boundary)
    whole = jnp.where(whole > 1e-4, whole, 0)
    opaque = share(own, whole)
    clear = jnp.cumprod(1 - opaque, axis=-4)
    in_front = jnp.concatenate(
        [jnp.ones_like(clear[..., :1, :, :, :]), clear[..., :-1, :, :, :]], -4
    )
    return in_front * share(colors, whole)


def vignetting(
    shape: tuple[int, int],
    *,
    pitch: ArrayLike | str,
    z: ArrayLike | str,
    radius: ArrayLike | str | None = None,
    rim: ArrayLike | str | None = None,
    rim_distance: ArrayLike | str = 0.0,
) -> Array:
    r"""Illumination of a sensor relative to its center.

    .. math:: V = \cos^4\theta\;\frac{|D_a \cap D_b(t \tan\theta)|}{|D_a \cap D_b(0)|},\qquad
        \tan\theta = r / z

    with the disk of the stop of radius a and that of a rim of radius b at the distance t from it,
    which cuts oblique light. Valid for a thin lens in the stop; without a rim it is the law of the
    fourth power.

    Args:
        shape: Pixels of the sensor (ny, nx).
        pitch: Their distance, one number or (dy, dx), ``(2,)`` [µm].
        z: From the stop to the sensor, scalar [µm].
        radius: Radius a of the stop, scalar [µm]; needed with a rim.
        rim: Radius b of the rim, scalar [µm]; None for no rim.
        rim_distance: Distance t of the rim from the stop, scalar [µm].

    Returns:
        The illumination, ``(y, x)``, to multiply an image by.

    Raises:
        ValueError: If a length is not positive, or there is a rim and no stop.

    Example:
        >>> round(float(vignetting((5, 5), pitch=100.0, z=200.0)[2, 4]), 3)
        0.25

    References:
        M. Born and E. Wolf, *Principles of Optics*, 7th ed., Sec. 4.8.1; R. Kingslake, *Optics in
        Photography*, SPIE Press (1992), Ch. 7.
    """
    where = "vignetting"
    shape = _check.grid_shape(where, shape)
    given: dict[str, Any] = {"pitch": pitch, "z": z, "radius": radius, "rim": rim}
    given = {name: _check.length(where, name, value) for name, value in given.items()}
    for name, value in given.items():
        if value is not None:
            _check.positive(where, name, value, unit="µm")
    rim_distance = _check.length(where, "rim_distance", rim_distance)
    _check.nonnegative(where, "rim_distance", rim_distance, unit="µm")
    if rim is not None and radius is None:
        raise ValueError(f"{where}: `rim` needs the `radius` of the stop.")
    real = jnp.result_type(float)
    pair = grid.pair(where, "pitch", given["pitch"], real)
    far = numerics.number(given["z"], real)
    rest = None
    if rim is not None:
        rest = [numerics.number(a, real) for a in (given["radius"], given["rim"], rim_distance)]
    return _illumination(pair, far, rest, shape)


@numerics.program("shape")
def _illumination(pair: Array, z: Array, rest: Any, shape: tuple[int, int]) -> Array:
    y, x = grid.sample_coordinates(shape, pair / z)
    square = y**2 + x**2
    natural = 1 / (1 + square) ** 2
    if rest is None:
        return natural
    a, b, t = rest
    away = t * numerics.safe_sqrt(square)
    return natural * _overlap(a, b, away) / _overlap(a, b, jnp.zeros(()))


def _overlap(a: Array, b: Array, s: Array) -> Array:
    """Area that two disks share whose centers are at the distance s."""
    small = jnp.minimum(a, b)
    meets = (s > jnp.abs(a - b)) & (s < a + b)
    s_ = jnp.where(meets, s, jnp.maximum(a, b))
    p, q = (s_**2 + a**2 - b**2) / (2 * s_), (s_**2 + b**2 - a**2) / (2 * s_)
    # Segments of both disks beyond their common chord.
    half = numerics.safe_sqrt(a**2 - p**2)
    lens = a**2 * jnp.arctan2(half, p) + b**2 * jnp.arctan2(half, q) - s_ * half
    apart = jnp.where(s >= a + b, 0, jnp.pi * small**2)
    return jnp.where(meets, lens, apart)
