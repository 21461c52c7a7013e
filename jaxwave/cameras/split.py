"""Pictures that train a camera and pictures that test it: never parts of one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jaxwave import _check

Pictures = Mapping[str, ArrayLike] | Sequence[ArrayLike] | ArrayLike
TILE = 16  # pixels a side; a shared part that holds an aligned one is found
SAME = 0.99  # correlation of what is shared
_KERNELS = 4  # random projections of a tile


def check_split(train: Pictures, test: Pictures) -> None:
    r"""Refuses pictures for a test that share a part with pictures for training.

    .. math:: \frac{\langle (a - \bar a)(b - \bar b) \rangle}{\sigma_a \sigma_b} > 0.99

    over all that two pictures a and b have in common when one is laid on the other: the same
    picture twice, or two crops of one picture that overlap by 33 by 33 pixels. Tiles of the tests
    are looked up among all places of the training pictures, by random projections. Valid for
    pictures at one scale, whatever their brightness and contrast; turned, mirrored or resized
    copies are not found.

    Args:
        train: Pictures that something is learned from, ``(images, ..., y, x)``, or a list or a
            dict (by name) of ``(..., y, x)`` [any unit].
        test: Pictures that tell how well it was learned, ``(images, ..., y, x)`` or as above
            [any unit].

    Returns:
        Nothing.

    Raises:
        ValueError: If they overlap; the message names both pictures and the place. Also for
            pictures smaller than 4 by 4 or not finite.
        TypeError: If a picture is complex.

    Example:
        >>> scene = np.random.default_rng(0).random((3, 60, 64))
        >>> check_split({"left": scene[..., :50]}, {"right": scene[..., 14:]})
        Traceback (most recent call last):
        ValueError: check_split: `test` picture 'right' shares 60 x 36 pixels with `train` ...

    References:
        J. P. Lewis, "Fast normalized cross-correlation", Vision Interface (1995).
    """
    pictures = _pictures("train", train), _pictures("test", test)
    sides = [min(p.shape) for _, p in (*pictures[0], *pictures[1])]
    if not sides:
        return
    tile = min(TILE, min(sides) - 2)
    kernels = np.random.default_rng(0).normal(size=(_KERNELS, tile, tile))
    kernels -= kernels.mean((1, 2), keepdims=True)
    known = [_projections(p, kernels) for _, p in pictures[0]]
    for name, picture in pictures[1]:
        seen = _projections(picture, kernels)[:, 1::tile, 1::tile]  # not the rim's
        for (other, trained), places in zip(pictures[0], known, strict=True):
            shared = _shared(picture, trained, seen, places, tile)
            if shared is not None:
                (ny, nx), (y, x), (v, u) = shared
                raise ValueError(
                    f"check_split: `test` picture {name} shares {ny} x {nx} pixels with `train` "
                    f"picture {other}: those from (y, x) = ({y}, {x}) are those from ({v}, {u}) "
                    "there. Test with other pictures than are trained with."
                )


def _pictures(which: str, given: Any) -> list[tuple[str, np.ndarray]]:
    """Names and grey pictures in float64."""
    named = given.items() if isinstance(given, Mapping) else enumerate(given)
    found = []
    for name, picture in named:
        picture = np.asarray(_check.real_array("check_split", which, picture), np.float64)
        _check.finite_array("check_split", which, picture)
        if picture.ndim < 2 or min(picture.shape[-2:]) < 4:
            raise ValueError(
                f"check_split: `{which}` must be pictures (..., y, x) of at least 4 by 4 pixels, "
                f"got the shape {picture.shape} for {name!r}."
            )
        found.append((repr(name), picture.reshape(-1, *picture.shape[-2:]).mean(0)))
    return found


def _projections(picture: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """Of every tile's bend, normalized, ``(kernels, y, x)``; NaN where a tile has no texture."""
    wide = np.pad(picture, 1, mode="edge")
    bend = wide[2:, 1:-1] + wide[:-2, 1:-1] + wide[1:-1, 2:] + wide[1:-1, :-2] - 4 * picture
    tile = kernels.shape[-1]
    places = tuple(n - tile + 1 for n in picture.shape)
    spectrum = np.fft.rfft2(np.stack([bend, bend**2]))

    def sums(of: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        turned = np.conj(np.fft.rfft2(kernel, picture.shape))
        return np.fft.irfft2(of * turned, picture.shape)[..., : places[0], : places[1]]

    mean, square = sums(spectrum, np.ones((tile, tile))) / tile**2
    spread = square - mean**2
    texture = spread > 1e-5 * max(np.ptp(picture), 1e-300) ** 2
    size = np.sqrt(np.where(texture, spread, np.nan)) * tile
    return np.stack([sums(spectrum[0], kernel) for kernel in kernels]) / size


def _shared(picture: np.ndarray, trained: np.ndarray, seen: np.ndarray, places: np.ndarray,
            tile: int) -> Any:  # fmt: skip
    """Size and places of what two pictures share, or None."""
    columns = places.reshape(_KERNELS, -1)
    order = np.argsort(columns[0])  # NaN last
    first = columns[0][order]
    for j, k in np.argwhere(np.isfinite(seen[0])):
        mine = seen[:, j, k]
        low, high = (int(np.searchsorted(first, mine[0] + d)) for d in (-0.01, 0.01))
        near = order[low:high]
        near = near[np.all(abs(columns[:, near] - mine[:, None]) < 0.01, axis=0)]
        for v, u in np.stack(np.unravel_index(near, places.shape[1:]), -1):
            move = int(v) - int(j) * tile - 1, int(u) - int(k) * tile - 1
            if (found := _common(picture, trained, move)) is not None:
                return found
    return None


def _common(picture: np.ndarray, trained: np.ndarray, move: tuple[int, int]) -> Any:
    """What both have in common if it is the same, when one is moved onto the other."""
    start = [max(0, -m) for m in move]
    stop = [min(n, t - m) for n, t, m in zip(picture.shape, trained.shape, move, strict=True)]
    size = tuple(b - a for a, b in zip(start, stop, strict=True))
    there = [a + m for a, m in zip(start, move, strict=True)]
    a = picture[start[0] : stop[0], start[1] : stop[1]]
    b = trained[there[0] : there[0] + size[0], there[1] : there[1] + size[1]]
    a, b = a - a.mean(), b - b.mean()
    if np.sum(a * b) > SAME * np.linalg.norm(a) * np.linalg.norm(b):
        return size, tuple(start), tuple(there)
    return None
