"""Finds and cuts fluorescent beads in measured stacks, in plain numpy.

A stack is an array ``(z, y, x)`` or anything that numpy takes as one, such as
``jaxwave.io.Stack``; its saturation level is used if it has one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jaxwave import _check
from jaxwave.beads.pixels import checked_volume, cleaned, shifted, smooth

_RING_CONTRAST = 3.0  # a neighbor is a bead, not a diffraction ring, if it outshines its ring so
_FAINT = 0.05  # spots below this part of the brightest bead that is not saturated are rejected
_LEAST = 2e-4  # and below this part of the brightest of all they are its stray light
_SPLIT = 0.35  # of the split of two beads: lobes part by less in some planes


@dataclasses.dataclass(frozen=True)
class Bead:
    r"""A bead that was found in a stack, and why it should not be used, if so.

    .. math:: \mathrm{snr} = (\text{peak} - \text{background}) / \text{noise}

    Valid for one bright spot; nothing is said about its shape.

    Args:
        center: Center (z, y, x) [pixels]; z is the brightest plane, y and x the center of mass.
        peak: Largest value [counts].
        background: Median around the bead [counts].
        noise: Standard deviation of one pixel [counts].
        rejected: The reason to reject the bead, empty if it is good.
        lobes: Number of spots that its light makes.

    Example:
        >>> Bead((12.0, 31.5, 32.2), 4000.0, 100.0, 10.0).ok
        True

    References:
        K. I. Mortensen et al., *Optimized localization analysis*, Nat. Methods 7, 377 (2010).
    """

    center: tuple[float, float, float]
    peak: float
    background: float
    noise: float
    rejected: str = ""
    lobes: int = 1

    @property
    def ok(self) -> bool:
        """Tells whether nothing speaks against the bead."""
        return not self.rejected

    @property
    def snr(self) -> float:
        """Peak above background over the noise of one pixel."""
        return (self.peak - self.background) / self.noise


# -- centers and windows -------------------------------------------------------------------


def mass_center(stack: ArrayLike) -> tuple[float, float]:
    r"""Center of mass of the maximum projection of a stack with one bead.

    .. math::
        p = \max_z d - \operatorname{median}(\max_z d),\qquad
        c = \frac{\sum_{p \ge p_{\max}/5} p\, r}{\sum_{p \ge p_{\max}/5} p}

    Valid for one bead without hot pixels; :func:`find_beads` is robust to both. Values below 20 %
    of the peak count as zero. This is the rule by which the scored crop of a bead is cut.

    Args:
        stack: Values, ``(z, y, x)`` [counts].

    Returns:
        The center (y, x) [pixels].

    Raises:
        ValueError: If the stack does not have three axes or is constant.

    Example:
        >>> stack = np.zeros((3, 9, 9))
        >>> stack[1, 3, 4:6] = 1.0
        >>> mass_center(stack)
        (3.0, 4.5)

    References:
        M. K. Cheezum et al., *Quantitative comparison of algorithms*, Biophys. J. 81, 2378 (2001).
    """
    projection = checked_volume("mass_center", stack).max(axis=0).astype(np.float64)
    return _mass_center("mass_center", projection)


def _mass_center(where: str, projection: np.ndarray) -> tuple[float, float]:
    light = projection - np.median(projection)
    light = np.where(light < 0.2 * light.max(), 0, light)
    total = float(light.sum(dtype=np.float64))
    if not total > 0:
        raise ValueError(
            f"{where}: no bead found: the projection is constant ({projection.flat[0]:g}). "
            "Check that the stack holds a bead."
        )
    y, x = np.indices(light.shape)
    return float((light * y).sum() / total), float((light * x).sum() / total)


def _start(center: float, size: int, available: int) -> int:
    """First index of the window; one that sticks out by a few pixels is moved inside."""
    start = round(center) - size // 2
    slack = size // 8
    inside = min(max(start, 0), max(available - size, 0))
    return inside if abs(inside - start) <= slack else start


def window_of(
    center: Sequence[float], size: tuple[int, int], shape: tuple[int, ...]
) -> list[slice]:
    """Rows and columns of a bead's window, also where it leaves the frame."""
    starts = [_start(c, s, n) for c, s, n in zip(center[-2:], size, shape[-2:], strict=True)]
    return [slice(start, start + s) for start, s in zip(starts, size, strict=True)]


def _outside(window: list[slice], shape: tuple[int, ...]) -> str:
    """Tells how a window leaves the frame; empty if it does not."""
    for name, part, n in zip(("rows", "columns"), window, shape[-2:], strict=True):
        if part.start < 0 or part.stop > n:
            return f"its window needs the {name} {part.start}:{part.stop} of 0:{n}"
    return ""


def cut_bead(stack: ArrayLike, center: Bead | Sequence[float], size: int | tuple[int, int]) -> Any:
    r"""Cuts the window of one bead out of a stack, all planes.

    .. math:: d'(z, y, x) = d(z,\, y + y_0,\, x + x_0),\qquad y_0 = [c_y] - \lfloor N_y/2 \rfloor

    Valid for windows inside the frame; one that sticks out by at most an eighth of its size is
    moved inside. The center's pixel becomes N // 2.

    Args:
        stack: Values, ``(z, y, x)`` [counts]; a ``Stack`` stays one.
        center: A :class:`Bead`, or (y, x), or (z, y, x) [pixels].
        size: Window, one number or (ny, nx) [pixels].

    Returns:
        The window, ``(z, ny, nx)``, of the type that was given.

    Raises:
        ValueError: If the window leaves the frame or the stack does not have three axes.

    Example:
        >>> stack = np.arange(2 * 9 * 9).reshape(2, 9, 9)
        >>> cut_bead(stack, (4, 4), 3)[0].tolist()
        [[30, 31, 32], [39, 40, 41], [48, 49, 50]]

    References:
        C. S. Smith et al., *Fast, single-molecule localization*, Nat. Methods 7, 373 (2010).
    """
    if np.ndim(stack) != 3:
        raise ValueError(f"cut_bead: `stack` must be (z, y, x), got the shape {np.shape(stack)}.")
    pair = _check.grid_shape("cut_bead", size, name="size")
    bare = center.center if isinstance(center, Bead) else center
    place = tuple(np.atleast_1d(_check.known_numbers("cut_bead", "center", bare)))
    if len(place) not in (2, 3):
        raise ValueError(f"cut_bead: `center` must be (y, x) or (z, y, x), got {place}.")
    window = window_of(place, pair, np.shape(stack))
    outside = _outside(window, np.shape(stack))
    if outside:
        raise ValueError(
            f"cut_bead: the bead is cut by the edge: {outside}. Choose a smaller `size` or "
            "another bead."
        )
    return stack[(slice(None), *window)]


# -- finding -------------------------------------------------------------------------------


def find_beads(
    stack: ArrayLike,
    *,
    size: int,
    threshold: float = 8.0,
    radius: float | None = None,
    saturation: float | None = None,
    cone: float | None = None,
) -> list[Bead]:
    r"""Finds the beads in a stack and says which should not be used, and why.

    .. math::
        p(y, x) = \max_z\, (d * \tfrac19 1_{3\times 3})(z, y, x),\qquad
        p - p_\text{around} > \text{threshold}\cdot \sigma / 3

    Valid for beads that are sharper than their window in some plane and spread over more than one
    pixel: isolated bright pixels are taken for hot ones and left out. The noise :math:`\sigma`
    comes from differences of neighboring pixels, so that a slowly varying background does not
    count. A fainter spot around a bead is a bead of its own if it clearly outshines the ring of
    its distance; else it is taken for a diffraction ring. Spots whose light moves and parts along
    z are the lobes of one emitter, as of an astigmatic, tetrapod or double-helix PSF: the light of
    two beads is parted along their axis by the same amount in every plane.

    Args:
        stack: Values, ``(z, y, x)`` [counts]; a ``Stack`` brings its saturation level and mask.
        size: Width of the window that one bead needs [pixels].
        threshold: Lowest peak over the noise of the smoothed planes.
        radius: Peaks closer than this are one bead [pixels]; an eighth of ``size`` by default.
        saturation: Level from which pixels count as saturated [counts].
        cone: Growth of the radius of a bead's light from plane to plane, dz tan(theta)/pixel
            [pixels]: a spot that is brightest in another plane than a brighter one, and within
            its cone there, is a lobe of it. None does not judge by that.

    Returns:
        Beads, brightest first. A bead is rejected that is saturated, overlaps with another one,
        is cut by the edge of the frame or the end of the stack, or has less than 5 % of the
        contrast of the brightest bead that is not saturated.

    Raises:
        ValueError: If no bead is found, or the stack is not (z, y, x).

    Example:
        >>> z, y, x = np.mgrid[-4:5, -32:32, -32:32]
        >>> stack = 100 + 900 * np.exp(-(x**2 + y**2) / 8 - z**2 / 4)
        >>> [bead] = find_beads(stack, size=32)
        >>> bead.ok, [round(c, 3) for c in bead.center]
        (True, [4.0, 32.0, 32.0])

    References:
        A. J. Berglund et al., *Fast, bias-free algorithm for tracking single particles*,
        Opt. Express 16, 14064 (2008).
    """
    where = "find_beads"
    _check.positive(where, "threshold", threshold)
    _check.grid_shape(where, size, name="size")
    radius = size / 8 if radius is None else radius
    _check.positive(where, "radius", radius, unit="pixels")
    level = getattr(stack, "saturation", math.inf) if saturation is None else saturation
    volume, noise, bad = cleaned(where, stack)
    projection = smooth(volume).max(axis=0)
    peaks, best = _peaks(projection, size, max(radius, 1.0), threshold * noise / 3)
    if not peaks:
        raise ValueError(_nothing(volume, best, noise, threshold, int(np.count_nonzero(bad))))
    sharp = volume.max(axis=0)
    spots = [measure_spot(volume, sharp, peak, size, radius, noise) for peak in peaks]
    beads = sorted(_emitters(volume, spots, size, cone), key=lambda bead: -bead.peak)
    good = [_contrast(bead) for bead in beads if bead.peak < level]
    bar = _FAINT * max(good, default=0.0)
    reasons = [_reason(volume, bead, beads, size, radius, level, bar) for bead in beads]
    return [
        dataclasses.replace(bead, rejected=reason)
        for bead, reason in zip(beads, reasons, strict=True)
    ]


def ring_profile(projection: np.ndarray, place: tuple[int, int], size: int) -> np.ndarray:
    """Median of the projection at every whole distance from a peak, up to ``size``."""
    (y, x), (ny, nx) = place, projection.shape
    rows, columns = np.ogrid[max(y - size, 0) : min(y + size + 1, ny), :nx]
    columns = columns[:, max(x - size, 0) : x + size + 1]
    distance = np.rint(np.hypot(rows - y, columns - x)).astype(int)
    values = projection[rows, columns].ravel()[np.argsort(distance, axis=None, kind="stable")]
    ends = np.cumsum(np.bincount(distance.ravel(), minlength=size + 1))[: size + 1]
    rings = np.split(values, ends)[:-1]
    return np.asarray([np.median(ring) if ring.size else 0.0 for ring in rings])


def _around(projection: np.ndarray, y: int, x: int, size: int) -> float:
    """Background at a peak: a plane through the border of its window, without outliers."""
    half = max(size // 2, 2)
    top, left = max(y - half, 0), max(x - half, 0)
    part = projection[top : y + half + 1, left : x + half + 1]
    rows, columns = np.indices(part.shape)
    rows, columns = rows + top - y, columns + left - x
    border = np.maximum(abs(rows), abs(columns)) >= half - 2
    if np.count_nonzero(border) < 8:
        return float(np.median(projection))
    values = part[border]
    basis = np.stack([np.ones(values.size), rows[border], columns[border]], axis=1)
    off = abs(values - np.median(values))
    for _ in range(3):
        good = off <= max(3 * float(np.median(off)), 1e-9 * float(np.ptp(projection)))
        plane = np.linalg.lstsq(basis[good], values[good], rcond=None)[0]
        off = abs(values - basis @ plane)
    return float(plane[0])


def _peaks(
    projection: np.ndarray, size: int, radius: float, lowest: float
) -> tuple[list[tuple[int, int]], float]:
    """Places of the beads, brightest first, and the highest contrast that was seen."""
    top = (projection >= shifted(projection).max(axis=0)) & (projection > projection.min())
    places = np.argwhere(top)
    values = projection[tuple(places.T)]
    floor = float(np.median(projection))
    places = places[np.argsort(-values, kind="stable")]
    found: dict[tuple[int, int], np.ndarray] = {}
    best = 0.0
    for place in ((int(y), int(x)) for y, x in places):
        if projection[place] - floor <= min(best, lowest):
            break
        if any(math.dist(place, other) <= radius for other in found):
            continue
        contrast = float(projection[place]) - _around(projection, *place, size)
        best = max(best, contrast)
        stray = contrast < _LEAST * best
        if contrast <= lowest or stray or _is_ring(projection, place, found, floor):
            continue
        found[place] = ring_profile(projection, place, size)
    return list(found), best


def _is_ring(
    projection: np.ndarray,
    place: tuple[int, int],
    found: dict[tuple[int, int], np.ndarray],
    floor: float,
) -> bool:
    """Tells whether a peak belongs to the diffraction rings of a brighter one."""
    for bead, rings in found.items():
        distance = round(math.dist(place, bead))
        if distance < len(rings):
            ring = float(rings[distance]) - floor
            if float(projection[place]) - floor < _RING_CONTRAST * ring:
                return True
    return False


def measure_spot(
    volume: np.ndarray,
    sharp: np.ndarray,
    peak: tuple[int, int],
    size: int,
    radius: float,
    noise: float,
) -> Bead:
    """Center, peak and background of the bead at a peak of the projection."""
    y, x = peak
    half = max(round(radius), 2)
    rows = slice(max(y - half, 0), y + half + 1)
    columns = slice(max(x - half, 0), x + half + 1)
    near = sharp[rows, columns]
    background = _around(sharp, y, x, size)
    light = np.maximum(near - background, 0)
    light = np.where(light < 0.2 * light.max(), 0, light)
    j, k = np.indices(light.shape)
    total = max(float(light.sum()), 1e-300)
    center_y = rows.start + float((light * j).sum()) / total
    center_x = columns.start + float((light * k).sum()) / total
    profile = volume[:, rows, columns].max(axis=(1, 2))
    return Bead((_vertex(profile), center_y, center_x), float(near.max()), background, noise)


# -- lobes of one emitter ------------------------------------------------------------------


def _emitters(volume: np.ndarray, spots: list[Bead], size: int, cone: float | None) -> list[Bead]:
    """Spots that belong together as one bead, at the center of their light."""
    groups: list[list[Bead]] = []
    for spot in sorted(spots, key=lambda spot: -spot.peak):
        mine = [g for g in groups if any(_together(volume, a, spot, size, cone) for a in g)]
        groups = [g for g in groups if g not in mine]
        groups.append([*(a for g in mine for a in g), spot])
    return [_joined(group) for group in groups]


def _together(volume: np.ndarray, a: Bead, b: Bead, size: int, cone: float | None) -> bool:
    """Tells whether two spots that would overlap are lobes of one emitter."""
    apart = math.dist(a.center[1:], b.center[1:])
    if max(abs(p - q) for p, q in zip(a.center[1:], b.center[1:], strict=True)) > size / 2:
        return False
    planes = abs(a.center[0] - b.center[0])
    fainter = _contrast(b) / _contrast(a)
    if cone is not None and planes >= 1 and apart <= cone * planes and fainter < 0.5:
        return True
    return _moves(volume, a, b, apart)


def _moves(volume: np.ndarray, a: Bead, b: Bead, apart: float) -> bool:
    """Tells whether the light is parted along the spots' axis in some planes only.

    The second moment along the axis less that across it is, for two beads, the square of half
    their distance (times 4ab/(a+b)² for unequal brightness) in every plane, in focus or not.
    """
    (y1, x1), (y2, x2) = a.center[1:], b.center[1:]
    share = _contrast(a) / (_contrast(a) + _contrast(b))
    y0, x0 = share * y1 + (1 - share) * y2, share * x1 + (1 - share) * x2
    half = math.ceil(1.2 * apart) + 2
    rows = slice(max(round(y0) - half, 0), round(y0) + half + 1)
    columns = slice(max(round(x0) - half, 0), round(x0) + half + 1)
    part = volume[:, rows, columns].astype(np.float64)
    j, k = np.indices(part.shape[1:])
    dy, dx = j + rows.start - y0, k + columns.start - x0
    inside = np.hypot(dy, dx) <= half
    rim = inside & (np.hypot(dy, dx) > half - 2)
    light = (part - np.median(part[:, rim], axis=1)[:, None, None]) * inside
    light[light < 3 * a.noise] = 0
    flux = light.sum(axis=(1, 2))
    along = (dy * (y2 - y1) + dx * (x2 - x1)) / apart
    across = (dy * (x2 - x1) - dx * (y2 - y1)) / apart
    split = (light * (along**2 - across**2)).sum(axis=(1, 2)) / np.maximum(flux, 1e-300)
    bright = flux > 0.25 * flux.max()
    expected = share * (1 - share) * apart**2
    return np.count_nonzero(bright & (split < _SPLIT * expected)) >= max(2, 0.2 * bright.sum())


def _joined(group: list[Bead]) -> Bead:
    """One bead, at the center of its bright lobes."""
    lobes = [bead for bead in group if _contrast(bead) > 0.5 * _contrast(group[0])]
    weights = np.array([_contrast(bead) for bead in lobes])
    z, y, x = np.average([bead.center for bead in lobes], axis=0, weights=weights)
    return dataclasses.replace(group[0], center=(float(z), float(y), float(x)), lobes=len(group))


# -- one spot ------------------------------------------------------------------------------


def _vertex(profile: np.ndarray) -> float:
    """Place of the maximum, between samples by a parabola."""
    k = int(np.argmax(profile))
    if not 0 < k < len(profile) - 1:
        return float(k)
    left, middle, right = profile[k - 1 : k + 2]
    curvature = left - 2 * middle + right
    return k + 0.5 * float(left - right) / float(curvature) if curvature < 0 else float(k)


def _contrast(bead: Bead) -> float:
    return max(bead.peak - bead.background, 1e-300)


def _reason(
    volume: np.ndarray,
    bead: Bead,
    beads: list[Bead],
    size: int,
    radius: float,
    level: float,
    bar: float,
) -> str:
    """Why a bead should not be used; empty if nothing speaks against it."""
    z, y, x = bead.center
    half = max(round(radius), 2)
    core = volume[:, max(round(y) - half, 0) :, max(round(x) - half, 0) :]
    full = int(np.count_nonzero(core[:, : 2 * half + 1, : 2 * half + 1] >= level))
    if full:  # first, because a flat top has no brightest plane and may look like several peaks
        return f"saturated: {full} pixels at {level:g} counts or above"
    if _contrast(bead) < bar:
        return f"faint: {_FAINT * _contrast(bead) / bar:.1%} of the brightest bead's contrast"
    window = window_of(bead.center, (size, size), volume.shape)
    outside = _outside(window, volume.shape)
    if outside:
        return f"cut by the edge: {outside}"
    planes = len(volume)
    if planes > 2 and not 0 < round(z) < planes - 1:
        return f"cut by the end of the stack: the brightest of {planes} planes is {round(z)}"
    for other in beads:
        dy, dx = other.center[1] - y, other.center[2] - x
        near = max(abs(dy), abs(dx)) <= size / 2
        if other is not bead and near and _contrast(other) >= _FAINT * _contrast(bead):
            part = _contrast(other) / _contrast(bead)
            text = f"{math.hypot(dy, dx):.1f} pixels away, {part:.0%} as bright"
            return f"overlapping: another bead is {text}"
    return ""


def _nothing(volume: np.ndarray, best: float, noise: float, threshold: float, hot: int) -> str:
    if not np.ptp(volume) > 0:
        text = f"every value is {volume.flat[0]:g}"
        if hot:
            text += f" but {hot} isolated pixels, which were taken for hot ones"
        return f"find_beads: no bead found: {text}. Check that this is the right file."
    pixels = f" ({hot} isolated pixels were taken for hot ones)" if hot else ""
    return (
        f"find_beads: no bead found: the highest peak is {3 * best / noise:.1f} times the noise "
        f"of the smoothed planes ({noise / 3:.3g} counts), {threshold:g} is needed{pixels}. Check "
        "that a bead is in the stack and in focus, or lower `threshold`."
    )
