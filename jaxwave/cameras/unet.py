"""A small network that makes better images of those that a filter has made."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.elements.element import init_signature


@init_signature
class UNet(nnx.Module):
    r"""A convolutional network of few levels that adds to an image what it finds missing.

    .. math:: x \mapsto x + g(x)

    Each level has two convolutions of 3 x 3; between levels the image is halved and doubled again,
    and joined with what the level had seen. The last convolution starts at zero, so that a new
    network changes nothing: it is put behind :func:`jaxwave.wiener` and learned together with the
    lens. Valid for images of any size; what a network has learned holds for images like those it
    has seen.

    Args:
        key: Random key of the first numbers, shape ``()`` [none].
        channels: Channels of an image.
        features: Numbers of features, from the finest level to the coarsest.

    Raises:
        ValueError: If a number is less than one.
        TypeError: If a number is not an integer.

    Example:
        >>> net = UNet(jax.random.key(0), channels=3, features=(4, 8))
        >>> net(jnp.ones((2, 3, 13, 10))).shape
        (2, 3, 13, 10)

    References:
        O. Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation",
        MICCAI (2015).
    """

    def __init__(
        self, key: Array, *, channels: int = 3, features: Sequence[int] = (16, 32, 64)
    ) -> None:
        where = "UNet"
        _check.integer(where, "channels", channels, 1)
        if not features:
            raise ValueError(f"{where}: `features` must have one level or more, got none.")
        for k, count in enumerate(features):
            _check.integer(where, f"features[{k}]", count, 1)
        before = [channels, *features[:-1]]
        down = list(zip(before, features, strict=True))
        up = [(a + b, b) for a, b in zip(features[:0:-1], features[-2::-1], strict=True)]
        kernels = _kernels(key, [pair for a, b in down + up for pair in ((a, b), (b, b))])
        pairs = list(zip(kernels[::2], kernels[1::2], strict=True))
        self.down = nnx.List([_Block(*pair) for pair in pairs[: len(down)]])
        self.up = nnx.List([_Block(*pair) for pair in pairs[len(down) :]])
        self.last = _Conv(np.zeros((1, 1, features[0], channels), np.float32))
        self.channels = channels

    def __call__(self, image: ArrayLike) -> Array:
        """The image and what the network adds to it.

        Args:
            image: Image, ``(..., channels, y, x)`` [1].

        Returns:
            The better image, of the same shape.

        Raises:
            TypeError: If the image is complex.
            ValueError: If it has other channels.
        """
        image = _check.real_array("UNet", "image", image)
        if image.ndim < 3 or image.shape[-3] != self.channels:
            raise ValueError(
                f"UNet: `image` must be (..., {self.channels}, y, x), got the shape {image.shape}. "
                "Channels stand before y and x."
            )
        ny, nx = image.shape[-2:]
        many = jnp.moveaxis(image.reshape(-1, *image.shape[-3:]), 1, -1)
        least = 2 ** len(self.up)
        rest = [(0, -n % least) for n in (ny, nx)]
        x = jnp.pad(many, [(0, 0), *rest, (0, 0)], mode="edge")
        kept = []
        for k, block in enumerate(self.down):
            x = block(x if k == 0 else _halve(x))
            kept.append(x)
        for block, fine in zip(self.up, kept[-2::-1], strict=True):
            x = block(jnp.concatenate([_double(x), fine], axis=-1))
        found = many + self.last(x)[:, :ny, :nx]
        return jnp.moveaxis(found, -1, 1).reshape(image.shape)


class _Conv(nnx.Module):
    """A convolution of (batch, y, x, channels) with a kernel, and a number for every feature."""

    def __init__(self, kernel: ArrayLike) -> None:
        self.kernel = nnx.Param(jnp.asarray(kernel))
        self.bias = nnx.Param(jnp.asarray(np.zeros(np.shape(kernel)[-1], np.float32)))

    def __call__(self, x: Array) -> Array:
        layout = ("NHWC", "HWIO", "NHWC")
        kernel = self.kernel[...].astype(x.dtype)
        found = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)
        return found + self.bias[...]


class _Block(nnx.Module):
    """Two convolutions, each followed by what is positive of it."""

    def __init__(self, first: ArrayLike, second: ArrayLike) -> None:
        self.first, self.second = _Conv(first), _Conv(second)

    def __call__(self, x: Array) -> Array:
        return jax.nn.relu(self.second(jax.nn.relu(self.first(x))))


def _kernels(key: Array, pairs: Sequence[tuple[int, int]]) -> list[ArrayLike]:
    """Kernels of 3 x 3 that keep the variance of what is cut at zero (He), from one draw."""
    sizes = [9 * a * b for a, b in pairs]
    drawn = jax.random.normal(key, (sum(sizes),))
    flat = np.asarray(drawn) if _check.is_concrete(drawn) else drawn
    starts = np.cumsum([0, *sizes[:-1]])
    return [
        flat[start : start + size].reshape(3, 3, a, b) * np.float32((2 / (9 * a)) ** 0.5)
        for start, size, (a, b) in zip(starts, sizes, pairs, strict=True)
    ]


def _halve(x: Array) -> Array:
    """Means of two by two samples."""
    b, ny, nx, c = x.shape
    return x.reshape(b, ny // 2, 2, nx // 2, 2, c).mean((2, 4))


def _double(x: Array) -> Array:
    """Every sample twice along y and x."""
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
