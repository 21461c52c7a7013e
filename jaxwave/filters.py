"""Parts of linear filters that undo a blur: transfers, powers of scenes, images without a seam."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxwave import _check
from jaxwave.imaging import fold
from jaxwave.numerics import fast_len, share

SCENES = ("natural", "white")


def depth_axis(where: str, image_rank: int, rank: int, depths: int | str | None) -> int | None:
    """The axis of a PSF's depths, or None; what could mean two things is refused."""
    if depths is None:
        return None
    if depths != "auto":
        _check.integer(where, "depths", depths, -rank)
        assert isinstance(depths, int)
        if not -rank <= depths < rank - 2 or depths in (-1, -2):
            raise ValueError(
                f"{where}: `depths` must be a leading axis of `psf`, whose {rank} axes end with "
                f"(y, x), got {depths}."
            )
        return depths
    if rank <= 2:
        return None
    if rank == image_rank + 1:
        return 0
    raise ValueError(
        f"{where}: `psf` has {rank} axes and the image {image_rank}, which leaves open which one "
        "runs over depths. Say depths=0 (one filter for all along the first axis) or depths=None "
        "(a filter for each)."
    )


def transfer(psf: Array, size: tuple[int, int], haze: bool) -> Array:
    """Half of a PSF's transform about its first sample; light in a haze counts at f = 0 only."""
    for axis, n in zip((-2, -1), size, strict=True):
        psf = fold(psf, n, axis)
    spectrum = jnp.fft.rfft2(psf, size)
    return spectrum.at[..., 0, 0].set(1) if haze else spectrum


def scene_power(size: tuple[int, int], scene: str, knee: float) -> Array:
    """Power of a scene with a variance of one, at the frequencies of :func:`jnp.fft.rfft2`."""
    if scene == "white":
        return jnp.ones(())
    fy, fx = (np.fft.fftfreq(n) ** 2 for n in size)
    mean = np.mean(1 / (fy[:, None] + fx + knee**2))
    return 1 / (mean * (fy[:, None] + fx[: size[1] // 2 + 1] + knee**2))


def filter_of(h: Array, power: Array, weight: Array) -> Array:
    """The filter for transfers ``(depths, ..., fy, fx)``; it keeps the mean of what they image."""
    mean, square = jnp.mean(h, 0), jnp.mean(h.real**2 + h.imag**2, 0)
    whole = square * power + weight[..., None, None]
    gain = jnp.conj(mean) * share(jnp.broadcast_to(power, whole.shape), whole)
    light = mean[..., 0, 0].real
    return gain.at[..., 0, 0].set(share(jnp.ones_like(light), jnp.abs(light)) * jnp.sign(light))


class Window(NamedTuple):
    """How an image is extended to the transform's size, without a seam where it closes."""

    size: tuple[int, int]
    before: tuple[int, int]
    boundary: str

    def extend(self, image: Array) -> Array:
        """The extended image, rolled by the place of the PSF's center."""
        for axis in (-2, -1):
            gap = self.size[axis] - image.shape[axis]
            before = self.before[axis]
            if self.boundary == "periodic":
                image = jnp.roll(image, before, axis)
                continue
            filling = self._filling(image, axis, gap)
            head = lax.slice_in_dim(filling, gap - before, gap, axis=axis % image.ndim)
            tail = lax.slice_in_dim(filling, 0, gap - before, axis=axis % image.ndim)
            image = jnp.concatenate([head, image, tail], axis)
        return image

    def _filling(self, image: Array, axis: int, gap: int) -> Array:
        """What fills the gap between the end of an axis and its beginning."""
        axis %= image.ndim
        n = image.shape[axis]
        if self.boundary == "zero":
            shape = [*image.shape]
            shape[axis] = gap
            return jnp.zeros(shape, image.dtype)
        steps = np.arange(gap)
        if self.boundary == "edge":
            after, ahead = np.full(gap, n - 1), np.zeros(gap, int)
        else:  # mirror images of mirror images, where the gap is wider than the image
            mirror = lambda i: np.where(i % (2 * n) < n, i % (2 * n), 2 * n - 1 - i % (2 * n))  # noqa: E731
            after, ahead = mirror(n + steps), mirror(steps - gap)
        share_of_next = np.expand_dims(
            ((steps + 1) / (gap + 1)).astype(image.dtype), tuple(range(1, image.ndim - axis))
        )
        end, begin = jnp.take(image, after, axis), jnp.take(image, ahead, axis)
        return end + share_of_next * (begin - end)


def window_of(image: tuple[int, ...], psf: tuple[int, ...], boundary: str) -> Window:
    """An image's extension by at least one PSF, rolled so that the PSF's center needs no shift."""
    size = [
        n if boundary == "periodic" else fast_len(n + m - 1)
        for n, m in zip(image[-2:], psf[-2:], strict=True)
    ]
    before = [m // 2 for m in psf[-2:]]
    return Window((size[0], size[1]), (before[0], before[1]), boundary)
