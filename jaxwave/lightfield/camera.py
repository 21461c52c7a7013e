"""From the field behind a lens array to the pixels of the camera."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, numerics
from jaxwave.propagation import exact_transfer

FINER = 1.5  # samples, over what just holds the field behind the lenslets


class Sizes(NamedTuple):
    """What numbers decide about shapes; known before they are traced."""

    period: tuple[int, int] | None  # pixels
    kernel: tuple[int, int]  # pixels that are kept
    margin: tuple[int, int]  # pixels around them
    samples: int  # in a pixel


class Sheet(NamedTuple):
    """How the plane of a lens array is sampled: whole pixels, an odd number of samples in each."""

    kernel: tuple[int, int]  # pixels that are kept
    window: tuple[int, int]  # pixels that are computed, odd
    samples: int  # in a pixel
    size: tuple[int, int]  # samples of the transform

    @property
    def shape(self) -> tuple[int, int]:
        """Samples of the window."""
        return self.window[0] * self.samples, self.window[1] * self.samples


def margins(width: float | None, pitch: ArrayLike) -> tuple[int, int]:
    """Pixels that hold a margin [µm]; three where it or they are unknown."""
    if width is None or not _check.is_concrete(pitch):
        return 3, 3
    dy, dx = np.broadcast_to(np.asarray(pitch, float), (2,))
    return math.ceil(width / dy), math.ceil(width / dx)


def sheet(sizes: Sizes) -> Sheet:
    """A window with a margin around the pixels that are kept."""
    wide = [k + 2 * m for k, m in zip(sizes.kernel, sizes.margin, strict=True)]
    window = tuple(w + 1 - w % 2 for w in wide)
    size = tuple(numerics.fast_len(w * sizes.samples) for w in window)
    return Sheet(sizes.kernel, window, sizes.samples, size)  # type: ignore[arg-type]


def samples_per_pixel(
    where: str, samples: int | None, pitch: ArrayLike, steepest: float | None, spacing: float | None
) -> int:
    """Odd number of samples in a pixel that hold light of the steepest frequency [1/µm]."""
    need = None
    if spacing is not None and steepest is not None:
        widest = float(np.max(np.asarray(pitch)))
        need = 2 * steepest * widest
    if samples is None:
        count = 3 if need is None else max(1, math.ceil(FINER * need - 1e-9))
        return count + 1 - count % 2
    _check.integer(where, "samples", samples, 1)
    if samples % 2 == 0:
        raise ValueError(f"{where}: `samples` must be odd, got {samples}. Pass {samples + 1}.")
    if need is not None and samples < need:
        _check.warn(
            where,
            f"`samples` = {samples} in a pixel do not hold the light behind the lenslets; "
            f"{2 * (math.ceil(need) // 2) + 1} would do.",
        )
    return samples


def pixel_matrix(pixels: int, kept: int, samples: int, size: int) -> np.ndarray:
    """Light in pixels ``(kept, size)`` from samples of an intensity, exact for what they hold.

    The integral over a pixel of the trigonometric polynomial through the samples, in units of one
    sample's width.
    """
    start = pixels // 2 - kept // 2
    middle = (np.arange(start, start + kept) + 0.5) * samples - 0.5
    frequency = np.fft.fftfreq(size)
    weight = samples * np.sinc(samples * frequency)
    distance = middle[:, None] - np.arange(size)
    phases = np.exp(2j * np.pi * frequency * np.arange(size)[:, None])  # of the distance in samples
    # All distances are whole samples: one row, shifted.
    row = (phases @ weight).real / size
    return row[np.round(distance).astype(int) % size]


@partial(jax.jit, static_argnums=(0, 1))
def record(
    plan: Sheet,
    period: tuple[int, int] | None,
    fields: Array,
    mask: Array,
    starts: Array,
    numbers: Any,
) -> Array:
    """Pixels ``(planes, a, b, y, x)`` behind the array; without a period the first ``(y, x)``.

    Args:
        plan: How the plane is sampled.
        period: Places of a period, in which ``starts`` are sorted.
        fields: Incoherent parts in front of the array, ``(planes, parts, y, x)``.
        mask: The array on more samples than the window.
        starts: Where the window begins in the mask, for every place, ``(places, 2)`` [samples].
        numbers: Distance, wavelength, spacing (dy, dx) [µm], the weight of each part, and how many
            times larger all is than where the fields were computed.
    """
    distance, wavelength, spacing, weights, magnification = numbers
    real = fields.real.dtype
    dy, dx = jnp.asarray(spacing, real)
    weights = weights * dy * dx / jnp.asarray(magnification, real) ** 2
    parameters = tuple(jnp.asarray(a, real) for a in (distance, wavelength, 1.0, dy, dx))
    transfer = exact_transfer(plan.size, parameters).T  # type: ignore[arg-type]
    pixels = [
        pixel_matrix(*parts).astype(real)
        for parts in zip(plan.window, plan.kernel, (plan.samples,) * 2, plan.size, strict=True)
    ]

    def place(start: Array, parts: Array) -> Array:
        seen = lax.dynamic_slice(mask, (start[0], start[1]), plan.shape)

        def part(total: Array, item: tuple[Array, Array]) -> tuple[Array, None]:
            spectrum = jnp.fft.fft2(item[0] * seen, plan.size)
            behind = jnp.fft.ifft2(spectrum * transfer)
            return total + item[1] * (behind.real**2 + behind.imag**2), None

        light, _ = lax.scan(jax.checkpoint(part), jnp.zeros(plan.size, real), (parts, weights))
        rows = jnp.matmul(pixels[0], light, precision="highest")
        return jnp.matmul(rows, pixels[1].T, precision="highest")

    def plane(parts: Array) -> Array:
        return lax.map(lambda start: place(start, parts), starts)

    found = lax.map(plane, fields)
    return found[0, 0] if period is None else found.reshape(-1, *period, *plan.kernel)
