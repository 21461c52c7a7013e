"""Objects of known form, drawn at any resolution: every sample holds the mean over its area.

Pictures have values from zero to one; multiply them by a transmission, a brightness or a
difference of indices. Volumes are ``(z, y, x)``.

A phantom is what the light meets, not a part of the bench, so there are no elements of phantoms:
it goes into one, as the transmission of an AmplitudeMask, the indices of a ThinSample or a
Multislice, the object of a Microscope, and is learned there.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, coverage, grid, numerics


def _numbers(where: str, positive: str, **values: object) -> dict[str, Array]:
    """Checked lengths and angles; the names in ``positive`` have to be above zero."""
    found = {}
    for name, value in values.items():
        value = _check.length(where, name, value)
        unit = "rad" if name == "angle" else "µm"
        above = name in positive.split()
        (_check.positive if above else _check.finite)(where, name, value, unit=unit)
        pair = grid.spacing_pair if name == "spacing" else numerics.number
        found[name] = pair(value, jnp.result_type(float))
    return found


def usaf_1951(
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    groups: tuple[int, ...] = (6, 7),
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
) -> Array:
    r"""Draws the elements of a USAF 1951 resolution target.

    .. math:: w = \frac{500\,\text{µm}}{2^{\,g + (e - 1)/6}}

    is the width of a bar in element e = 1 ... 6 of group g, and of the gaps; a bar is 5 w long. An
    element is three bars across x beside three across y. Every group is a column of its six
    elements, from the widest at the smallest y; groups stand side by side toward +x. Exact: the
    shares of samples are those of rectangles.

    Args:
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        groups: Groups to draw.
        y: Center of the drawing, ``(...)`` [µm].
        x: Center of the drawing, ``(...)`` [µm].

    Returns:
        One on the bars, zero beside them, ``(..., ny, nx)``.

    Raises:
        TypeError: If a group is not an integer.
        ValueError: If the spacing is not positive, there is no group or something is not finite.

    Example:
        >>> target = usaf_1951((540, 260), spacing=0.5, groups=(6,))
        >>> float(target.max()), round(float(target.sum()) * 0.25 / 6656.7, 2)
        (1.0, 1.0)

    References:
        MIL-STD-150A, *Photographic Lenses*, Sec. 5.1.1.7.
    """
    where = "usaf_1951"
    shape = _check.grid_shape(where, shape)
    if not groups:
        raise ValueError(f"{where}: `groups` must not be empty.")
    for group in groups:
        _check.integer(where, "groups", group, -2, 12)
    p = _numbers(where, "spacing", spacing=spacing, y=y, x=x)
    return _bars(shape, tuple(groups), **p)


def _layout(groups: tuple[int, ...]) -> np.ndarray:
    """Centers and sizes (y, x, height, width) of all bars [µm], around the drawing's center."""
    bars, left = [], 0.0
    for group in groups:
        top = 0.0
        for element in range(1, 7):
            w = 500 / 2 ** (group + (element - 1) / 6)
            for k in (-1, 0, 1):
                bars.append((top + 2.5 * w, left + 2.5 * w + 2 * k * w, 5 * w, w))
                bars.append((top + 2.5 * w + 2 * k * w, left + 9.5 * w, w, 5 * w))
            top += 7 * w
        left += 15 * 500 / 2**group
    found = np.array(bars)
    low = (found[:, :2] - found[:, 2:] / 2).min(0)
    high = (found[:, :2] + found[:, 2:] / 2).max(0)
    found[:, :2] -= (low + high) / 2
    return found


@numerics.program("shape", "groups")
def _bars(
    shape: tuple[int, int], groups: tuple[int, ...], spacing: Array, y: Array, x: Array
) -> Array:
    bars = _layout(groups).astype(spacing.dtype)

    def along(axis: int, at: Array) -> Array:
        """Share of sample i along one axis in bar k, ``(..., k, i)``."""
        d = spacing[..., axis, None, None]
        left = (grid.indices(shape[axis]).astype(spacing.dtype) - 0.5) * d - at[..., None, None]
        low, high = (bars[:, axis] + s * bars[:, 2 + axis] / 2 for s in (-1, 1))
        covered = [jnp.clip(edge[:, None] - left, 0, d) for edge in (low, high)]
        return (covered[1] - covered[0]) / d

    rows, columns = along(0, y), along(1, x)
    return jnp.einsum("...ki,...kj->...ij", rows, columns, precision="highest")


def siemens_star(
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    radius: ArrayLike | str,
    spokes: int = 36,
    angle: ArrayLike = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
) -> Array:
    r"""Draws a Siemens star: spokes whose period grows with the radius.

    .. math:: p(r) = \frac{2\pi r}{N}

    Exact shares but at the rim, where they are products of those of the spokes and of the disk.

    Args:
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        radius: Radius of the star, ``(...)`` [µm].
        spokes: Number N of bright spokes.
        angle: Azimuth at which a bright spoke begins, from +x toward +y, ``(...)`` [rad].
        y: Center of the star, ``(...)`` [µm].
        x: Center of the star, ``(...)`` [µm].

    Returns:
        One on the spokes, zero beside them, ``(..., ny, nx)``.

    Raises:
        TypeError: If the number of spokes is not an integer.
        ValueError: If a length is not positive, there are fewer than two spokes or something is not
            finite.

    Example:
        >>> star = siemens_star((120, 120), spacing=0.5, radius=25.0, spokes=12)
        >>> round(float(star.sum()) * 0.25 / (jnp.pi * 25.0**2 / 2), 3)
        1.0

    References:
        ISO 12233:2023, *Photography: Resolution and spatial frequency responses*, Annex E.
    """
    where = "siemens_star"
    shape = _check.grid_shape(where, shape)
    _check.integer(where, "spokes", spokes, 2)
    p = _numbers(where, "spacing radius", spacing=spacing, radius=radius, angle=angle, y=y, x=x)
    return _star(shape, spokes, **p)


@numerics.program("shape", "spokes")
def _star(
    shape: tuple[int, int],
    spokes: int,
    spacing: Array,
    radius: Array,
    angle: Array,
    y: Array,
    x: Array,
) -> Array:
    # One polygon that comes back to the center after every spoke, and goes beyond the rim.
    phi = np.pi * (2 * np.arange(spokes)[:, None] + np.array([0, 0, 1])) / spokes
    far = np.array([0, 1.5, 1.5]) / np.cos(np.pi / 2 / spokes)
    unit = np.stack([far * np.sin(phi), far * np.cos(phi)], -1).reshape(-1, 2)
    points = radius[..., None, None] * jnp.asarray(unit, spacing.dtype)
    wedges = coverage.polygon_coverage(shape, spacing, coverage.turned(points, angle, y, x))
    return wedges * grid.disk_coverage(shape, spacing, radius, y=y, x=x)


def slanted_edge(
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    angle: ArrayLike = 0.0873,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
) -> Array:
    r"""Draws an edge that is turned by a small angle against the rows, to measure an MTF.

    .. math:: o(y, x) = \begin{cases} 1 & \text{if } (x - x_0)\cos\alpha + (y - y_0)\sin\alpha > 0\\
        0 & \text{else}\end{cases}

    Exact: the shares of samples are those of a half-plane.

    Args:
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        angle: Angle of the edge's normal from +x toward +y, ``(...)`` [rad]; five degrees if it is
            not given.
        y: A point of the edge, ``(...)`` [µm].
        x: A point of the edge, ``(...)`` [µm].

    Returns:
        One on the side to which the normal points, zero on the other, ``(..., ny, nx)``.

    Raises:
        TypeError: If a number is not real.
        ValueError: If the spacing is not positive or something is not finite.

    Example:
        >>> edge = slanted_edge((5, 4), spacing=1.0, angle=0.0, x=0.25)
        >>> edge[0].tolist()
        [0.0, 0.0, 0.25, 1.0]

    References:
        ISO 12233:2023, *Photography: Resolution and spatial frequency responses*, Sec. 6.
    """
    where = "slanted_edge"
    shape = _check.grid_shape(where, shape)
    return _edge(shape, **_numbers(where, "spacing", spacing=spacing, angle=angle, y=y, x=x))


@numerics.program("shape")
def _edge(shape: tuple[int, int], spacing: Array, angle: Array, y: Array, x: Array) -> Array:
    size = jnp.sum(spacing * np.asarray(shape, spacing.dtype), axis=-1)
    far = 2 * (size + jnp.abs(y) + jnp.abs(x))
    corners = jnp.array([[-1, 0], [-1, 1], [1, 1], [1, 0]], spacing.dtype)
    points = far[..., None, None] * corners
    return coverage.polygon_coverage(shape, spacing, coverage.turned(points, angle, y, x))


def spheres(
    shape: tuple[int, int, int],
    centers: ArrayLike,
    radius: ArrayLike | str,
    *,
    spacing: ArrayLike,
    shell: ArrayLike | str | None = None,
) -> Array:
    r"""Draws beads or hollow shells in a volume.

    .. math:: o(\mathbf r) = \max_k\, \Pi\!\left(|\mathbf r - \mathbf r_k| < R\right)

    A voxel that the surface cuts takes the share of a flat surface across its extent along the
    normal, right to first order; valid for radii of at least two voxels.

    Args:
        shape: Number of voxels (nz, ny, nx).
        centers: Centers (z, y, x), ``(K, 3)`` [µm], around the voxel (nz // 2, ny // 2, nx // 2).
        radius: Outer radius, one number or ``(K,)`` [µm].
        spacing: Voxel (dz, dy, dx), one number or ``(3,)`` [µm].
        shell: Thickness of the wall, one number or ``(K,)`` [µm]; None for full beads.

    Returns:
        One inside, zero outside, ``(nz, ny, nx)``.

    Raises:
        TypeError: If a number is not real.
        ValueError: If the centers are not triples, a length is not positive or something is not
            finite.

    Example:
        >>> bead = spheres((40, 40, 40), [(0, 0, 0)], 1.5, spacing=0.1)
        >>> round(float(bead.sum()) * 0.001 / (4 / 3 * jnp.pi * 1.5**3), 2)
        1.0

    References:
        H. Kirshner et al., "3-D PSF fitting for fluorescence microscopy", J. Microsc. 249, 13
        (2013), on bead phantoms.
    """
    where = "spheres"
    size = _volume(where, shape)
    p = _solids(where, centers, "centers", radius=radius, spacing=spacing, shell=shell)
    return _balls(size, **p)


@numerics.program("shape")
def _balls(
    shape: tuple[int, int, int],
    centers: Array,
    radius: Array,
    spacing: Array,
    shell: Array | None,
) -> Array:
    total = jnp.zeros(shape, centers.dtype)
    radius = jnp.broadcast_to(radius, centers.shape[:1])
    wall = jnp.broadcast_to(radius if shell is None else shell, centers.shape[:1])
    for k in range(centers.shape[0]):
        away = [a - c for a, c in zip(_axes(shape, spacing), centers[k], strict=True)]
        one = _inside(away, radius[k], spacing)
        if shell is not None:
            one = one - jnp.where(
                wall[k] < radius[k], _inside(away, radius[k] - wall[k], spacing), 0
            )
        total = jnp.maximum(total, one)
    return total


def filaments(
    shape: tuple[int, int, int],
    points: ArrayLike,
    radius: ArrayLike | str,
    *,
    spacing: ArrayLike,
) -> Array:
    r"""Draws a filament along a chain of points in a volume.

    .. math:: o(\mathbf r) = \Pi\!\left(\min_k \operatorname{dist}(\mathbf r,
        \overline{\mathbf r_k \mathbf r_{k+1}}) < R\right)

    with round ends. A voxel that the surface cuts takes the share of a flat surface; valid for
    radii of at least one voxel. Put several together with ``jnp.maximum``.

    Args:
        shape: Number of voxels (nz, ny, nx).
        points: Points (z, y, x) of the chain, ``(K, 3)`` [µm], around the voxel
            (nz // 2, ny // 2, nx // 2).
        radius: Radius of the filament, scalar [µm].
        spacing: Voxel (dz, dy, dx), one number or ``(3,)`` [µm].

    Returns:
        One inside, zero outside, ``(nz, ny, nx)``.

    Raises:
        TypeError: If a number is not real.
        ValueError: If there are fewer than two points, a length is not positive or something is not
            finite.

    Example:
        >>> rod = filaments((30, 30, 60), [(0, 0, -2.0), (0, 0, 2.0)], 0.5, spacing=0.1)
        >>> round(float(rod.sum()) * 0.001 / (jnp.pi * 0.25 * (4 + 4 / 3 * 0.5)), 1)
        1.0

    References:
        D. Sage et al., "Super-resolution fight club", Nat. Methods 16, 387 (2019), on phantoms of
        microtubules.
    """
    where = "filaments"
    size = _volume(where, shape)
    p = _solids(where, points, "points", radius=radius, spacing=spacing, shell=None)
    if p["centers"].shape[0] < 2:
        raise ValueError(f"{where}: `points` must be at least two, got {p['centers'].shape[0]}.")
    return _chain(size, p["centers"], p["radius"], p["spacing"])


@numerics.program("shape")
def _chain(shape: tuple[int, int, int], points: Array, radius: Array, spacing: Array) -> Array:
    total = jnp.zeros(shape, points.dtype)
    axes = _axes(shape, spacing)
    for k in range(points.shape[0] - 1):
        way = points[k + 1] - points[k]
        square = jnp.sum(way**2)
        along = sum((a - p) * w for a, p, w in zip(axes, points[k], way, strict=True))
        part = jnp.clip(along / jnp.where(square > 0, square, 1), 0, 1)
        away = [a - p - part * w for a, p, w in zip(axes, points[k], way, strict=True)]
        total = jnp.maximum(total, _inside(away, radius, spacing))
    return total


def _volume(where: str, shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ValueError(f"{where}: `shape` must be (nz, ny, nx), got {tuple(shape)}.")
    for count in shape:
        _check.integer(where, "shape", count, 1)
    return int(shape[0]), int(shape[1]), int(shape[2])


def _solids(where: str, places: Any, name: str, **lengths: object) -> dict[str, Any]:
    """Checked places (z, y, x) and lengths of solids; the voxel has three sides."""
    _check.at_least(where, name, places, 2, "(K, 3)")
    if np.ndim(places) != 2 or np.shape(places)[-1] != 3:
        raise ValueError(f"{where}: `{name}` must be (z, y, x), (K, 3), got {np.shape(places)}.")
    _check.finite(where, name, places, unit="µm")
    dtype = jnp.result_type(float)
    found: dict[str, Any] = {"centers": numerics.number(places, dtype)}
    for key, value in lengths.items():
        if value is not None:
            value = _check.length(where, key, value)
            _check.positive(where, key, value, unit="µm")
            value = numerics.number(value, dtype)
        found[key] = value
    voxel = found["spacing"]
    if voxel.shape not in ((), (3,)):
        raise ValueError(
            f"{where}: `spacing` must be one number or (dz, dy, dx), got the shape {voxel.shape}."
        )
    return found


def _axes(shape: tuple[int, int, int], spacing: Array) -> list[Array]:
    """Coordinates z, y, x of the voxels, that broadcast."""
    spacing = jnp.broadcast_to(spacing, (3,))
    return [
        (grid.indices(n).astype(spacing.dtype) * d).reshape([-1 if k == i else 1 for k in range(3)])
        for i, (n, d) in enumerate(zip(shape, spacing, strict=True))
    ]


def _inside(away: list[Array], radius: Array, spacing: Array) -> Array:
    """Share of voxels within a radius of what they are ``away`` from."""
    spacing = jnp.broadcast_to(spacing, (3,))
    square = sum(a**2 for a in away)
    safe = jnp.where(square > 0, square, 1)
    distance = jnp.where(square > 0, jnp.sqrt(safe), 0)
    # Root mean square extent of the voxel along the normal: the width of its share's rise.
    extent = sum((a * d) ** 2 for a, d in zip(away, spacing, strict=True)) / safe
    width = jnp.sqrt(jnp.where(square > 0, extent, jnp.max(spacing) ** 2))
    return jnp.clip(0.5 + (radius - distance) / width, 0, 1)
