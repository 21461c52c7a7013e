"""Windows of beads: how wide they have to be, and beads at places that the user names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.beads.find import Bead, measure_spot, ring_profile, window_of
from jaxwave.beads.pixels import cleaned, smooth

_LEAST, _REST = 16, 0.01  # pixels; share of the peak that may stay outside
_AIRY, _CONE = 2.5, 0.35  # of wavelength/na, and of the cone of light at the last plane
_FOCUS = 0.45  # of wavelength/na: the radius of a focus


def bead_window(stack: Any, *, na: float, n: float, wavelength: float) -> int:
    r"""Finds how wide the window of a bead has to be.

    .. math:: w = 2\,[2.5\,\lambda/\mathrm{NA} + 0.35\,(z_{\max} - z_{\min})/2 \cdot \tan\theta]

    That holds nearly all the light of a widefield stack. Less is taken where the light ends before,
    as in confocal stacks: where the projection around the brightest spot has fallen to 1 % of its
    peak. Valid for stacks with a spacing, such as ``jaxwave.io.Stack``.

    Args:
        stack: Values, ``(z, y, x)`` [counts], with ``spacing`` (dz, dy, dx) [µm].
        na: Numerical aperture.
        n: Refractive index of the immersion.
        wavelength: Vacuum wavelength [µm].

    Returns:
        The width [pixels], an even number, at most that of the frame.

    Raises:
        ValueError: If the stack is not (z, y, x) or the numerical aperture not below the index.

    Example:
        >>> from jaxwave.io import Stack
        >>> z, y, x = np.mgrid[-4:5, -32:32, -32:32]
        >>> spot = 100 + 900 * np.exp(-(x**2 + y**2) / 8 - z**2 / 4)
        >>> bead_window(Stack(spot, (0.3, 0.1, 0.1)), na=0.8, n=1.0, wavelength=0.5)
        24

    References:
        S. F. Gibson and F. Lanni, "Experimental test of an analytical model of aberration", JOSA
        A 8, 1601 (1991).
    """
    where = "bead_window"
    if not hasattr(stack, "spacing"):
        raise TypeError(
            f"{where}: `stack` must know its spacing, got {type(stack).__name__}. Pass what "
            "io.read_stack returns, or io.Stack(array, spacing=(dz, dy, dx))."
        )
    volume, _, _ = cleaned(where, stack)
    _check.numerical_aperture(where, na, n)
    dz, _, dx = stack.spacing
    cone = dz * (len(volume) - 1) / 2 * na / math.sqrt(n**2 - na**2)
    most = min(volume.shape[1:]) // 2 * 2
    half = (_AIRY * wavelength / na + _CONE * cone) / dx
    half = min(half, _light_radius(stack, volume, most // 2))
    width = 2 * math.ceil(half)
    return min(max(width, _LEAST), most)


def _light_radius(stack: ArrayLike | None, volume: np.ndarray, most: int) -> float:
    """Radius where the projection around the brightest spot has fallen to a hundredth [pixels]."""
    projection = smooth(volume).max(axis=0)
    level = getattr(stack, "saturation", math.inf)
    usable = np.where(projection < 0.9 * level, projection, -np.inf)
    y, x = np.unravel_index(int(np.argmax(usable)), usable.shape)
    profile = ring_profile(projection, (int(y), int(x)), most)
    floor = float(np.median(projection))
    below = np.flatnonzero(profile - floor < _REST * (profile[0] - floor))
    return float(most) if not below.size else 1.3 * float(below[0]) + 2


def bead_at(stack: Any, place: tuple[float, float], size: int) -> Bead:
    r"""Makes the bead at a place that the user knows, whatever its neighborhood looks like.

    .. math:: z = \arg\max_z d(z, y, x)

    Valid where there is a bead: nothing is judged. The center stays where the user put it.

    Args:
        stack: Values, ``(z, y, x)`` [counts].
        place: The place (y, x) [pixels].
        size: Width of its window [pixels].

    Returns:
        The bead.

    Raises:
        ValueError: If the place is outside the frame.

    Example:
        >>> stack = np.zeros((3, 20, 21))
        >>> stack[1, 9, 11] = 5
        >>> bead_at(stack, (9, 11), 8).center
        (1.0, 9.0, 11.0)

    References:
        C. S. Smith et al., *Fast, single-molecule localization*, Nat. Methods 7, 373 (2010).
    """
    volume, noise, _ = cleaned("bead_at", stack)
    if np.shape(place) != (2,):
        raise ValueError(f"bead_at: `place` must be (y, x) [pixels], got {place!r:.60}.")
    y, x = (round(float(c)) for c in _check.known_numbers("bead_at", "place", place))
    if not (0 <= y < volume.shape[1] and 0 <= x < volume.shape[2]):
        raise ValueError(
            f"bead_at: `place` ({place[0]:g}, {place[1]:g}) lies outside the frame of "
            f"{volume.shape[1:]} pixels. It is (y, x), from zero."
        )
    spot = measure_spot(volume, volume.max(axis=0), (y, x), size, size / 8, noise)
    center = (spot.center[0], float(place[0]), float(place[1]))
    return Bead(center, spot.peak, spot.background, spot.noise)


def neighbor_light(
    stack: Any, bead: Bead, beads: list[Bead], size: int, *, na: float, n: float, wavelength: float
) -> np.ndarray:
    """Where the light of another spot reaches into the window of a bead, ``(z, size, size)``.

    Out of focus a spot is a disk, as wide as the cone of its light there, over which its peak is
    spread. Its light counts where it is above the noise of a pixel; that of a saturated spot, whose
    peak is not known, always. Spots inside the window are judged by :func:`find_beads`.
    """
    dz, dy, dx = stack.spacing
    rows, columns = window_of(bead.center, (size, size), stack.shape)
    z = np.arange(stack.shape[0])[:, None, None]
    y = np.arange(rows.start, rows.stop)[:, None]
    x = np.arange(columns.start, columns.stop)
    tangent, edge = na / math.sqrt(n**2 - na**2), wavelength / na
    reached = np.zeros((stack.shape[0], size, size), bool)
    for other in beads:
        apart = [abs(p - q) for p, q in zip(other.center[1:], bead.center[1:], strict=True)]
        if max(apart) <= size / 2:  # itself, or one that is judged as overlapping
            continue
        there = np.hypot((y - other.center[1]) * dy, (x - other.center[2]) * dx)
        cone = np.abs(z - other.center[0]) * dz * tangent
        spread = 1 / (1 + (cone / (_FOCUS * edge)) ** 2)
        full = other.peak >= getattr(stack, "saturation", math.inf)
        bright = full | ((other.peak - other.background) * spread > bead.noise)
        reached |= bright & (there <= cone + edge)
    own = np.hypot((y - bead.center[1]) * dy, (x - bead.center[2]) * dx) <= edge
    return reached & ~(own & (np.abs(z - bead.center[0]) * dz * tangent <= edge))
