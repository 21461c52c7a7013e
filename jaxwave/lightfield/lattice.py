"""Where the lenslets are on a camera, and images in which they repeat after whole pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, numerics
from jaxwave._noun import Number, noun, number, settle, static
from jaxwave.microlenses import LAYOUTS

_ORDERS = {  # reciprocal vectors in units of the first two, nearest first
    "square": ((1, 0), (0, 1), (1, 1), (1, -1), (2, 0), (0, 2)),
    "hexagonal": ((1, 0), (0, 1), (1, -1), (1, 1), (2, -1), (1, -2)),
}
_PEAK = 40.0  # how far a peak stands out of the spectrum around it
_PERIODS = 3  # across the image, that a lattice must have
_CONTRAST = 0.01  # of the swing of the picture, that a lattice must have


@noun
class Lattice:
    r"""The lenslets of an array as they lie on an image.

    .. math:: \mathbf c_{ij} = \mathbf c_0 + R(\phi)\,(i\,p_y,\ j\,p_x)

    for a square layout, in pixels of the image; (y, x) is the place of one center relative to the
    axis N // 2. Valid for every layout of :func:`~jaxwave.microlens_array`. Every number is a
    leaf.

    Args:
        pitch: Distance of the centers, ``(2,)`` as (y, x) or one number, in pixels rather
            than [µm].
        phi: Turn from +x toward +y, scalar [rad].
        y: Place of the center nearest to the axis, scalar, in pixels rather than [µm].
        x: Place of the center nearest to the axis, scalar, in pixels rather than [µm].
        layout: "square" or "hexagonal".

    Raises:
        ValueError: If the pitch is under two pixels or a number is not finite.

    Example:
        >>> Lattice(15.38, phi=0.01).centers((40, 47)).shape
        (9, 2)

    References:
        D. G. Dansereau et al., CVPR (2013), 1027.
    """

    pitch: Number
    phi: Number = 0.0
    y: Number = 0.0
    x: Number = 0.0
    layout: str = static(default="square")

    def __post_init__(self) -> None:
        where = "Lattice"
        _check.choice(where, "layout", self.layout, LAYOUTS)
        _check.positive(where, "pitch", self.pitch)
        _above_two(where, self.pitch)
        if np.shape(self.pitch) not in ((), (2,)) or (
            np.ndim(self.pitch) and self.layout == "hexagonal"
        ):
            raise ValueError(
                f"{where}: `pitch` must be one number, or (2,) as (y, x) for a square layout, got "
                f"the shape {np.shape(self.pitch)}."
            )
        for name in ("phi", "y", "x"):
            _check.finite(where, name, getattr(self, name))
        settle(self, **{k: number(where, k, getattr(self, k)) for k in ("pitch", "phi", "y", "x")})

    @property
    def cell(self) -> tuple[Any, Any]:
        """Height and width of the rectangle that repeats [pixels]."""
        pitch = self.pitch
        if np.ndim(pitch):
            return pitch[0], pitch[1]
        return (pitch * math.sqrt(3) if self.layout == "hexagonal" else pitch), pitch

    def centers(self, shape: tuple[int, int]) -> np.ndarray:
        """Centers (y, x) inside an image, relative to its axis [pixels], ``(L, 2)``."""
        tall, wide = (float(c) for c in self.cell)
        reach = math.hypot(*shape) / 2
        i, j = (np.arange(-k, k + 1) for k in (math.ceil(reach / c) + 1 for c in (tall, wide)))
        rows, columns = (a.ravel() for a in np.meshgrid(i * tall, j * wide, indexing="ij"))
        if self.layout == "hexagonal":
            rows = np.concatenate([rows, rows + tall / 2])
            columns = np.concatenate([columns, columns + wide / 2])
        c, s = math.cos(float(self.phi)), math.sin(float(self.phi))
        found = np.stack([c * rows + s * columns, c * columns - s * rows], -1)
        found += [float(self.y), float(self.x)]
        low = np.array([-(n // 2) - 0.5 for n in shape])
        inside = np.all((found >= low) & (found < low + shape), axis=-1)
        return found[inside]

    def __repr__(self) -> str:
        if not _check.is_concrete(self.pitch, self.phi, self.y, self.x):
            return f"Lattice({self.layout}, traced)"
        pitch = np.round(np.asarray(self.pitch), 4).tolist()
        return (
            f"Lattice(pitch={pitch} pixels, phi={float(self.phi):.5f}, y={float(self.y):.3f}, "
            f"x={float(self.x):.3f}, {self.layout})"
        )


def _above_two(where: str, pitch: object) -> None:
    if _check.is_concrete(pitch) and np.any(np.asarray(pitch) < 2):
        raise ValueError(
            f"{where}: `pitch` must be two pixels or more, got {np.asarray(pitch).tolist()}: a "
            "camera sees no lenslet that is smaller. Is it in pixels?"
        )


def find_lattice(
    image: ArrayLike, *, pitch: float | Sequence[float] | None = None, layout: str = "square"
) -> Lattice:
    r"""Pitch, turn and place of a lens array, from a flat or any other raw image.

    .. math:: \hat{\mathbf g}_k = \arg\max_{\mathbf f} \left|\sum_{\mathbf r} w(\mathbf r)\,
        I(\mathbf r)\,e^{-2\pi i \mathbf f \cdot \mathbf r}\right|, \qquad
        \mathbf c_0 = -\frac{\arg \hat I(\hat{\mathbf g}_k)}{2\pi} \text{ along } \mathbf g_k

    The window w keeps the peaks of the spectrum apart, so they are found to a thousandth of their
    width; six of them fix the lattice by weighted least squares. Valid for four lenslets or more
    each way whose picture is brightest in the middle (the image of a pupil that is narrower than
    1.2 pitches). A flat field is best: a sample moves the places a little.

    Args:
        image: The raw image, ``(y, x)`` [any unit].
        pitch: About how far the lenslets are apart, one number or (y, x), in pixels
            rather than [µm]; None searches.
        layout: "square" or "hexagonal".

    Returns:
        The lattice; of all centers it names that nearest to the axis.

    Raises:
        ValueError: If the image is no picture, is not finite, shows no lenslets, or if the pitch
            is under two pixels.

    Warns:
        JaxwaveWarning: If the lattice is sheared by more than a thousandth.

    Example:
        >>> y, x = np.mgrid[-60:60, -70:71]
        >>> image = np.cos(np.pi * (y - 1.3) / 10.2) ** 2 * np.cos(np.pi * (x - 2.2) / 10.2) ** 2
        >>> find_lattice(image)
        Lattice(pitch=[10.2, 10.2] pixels, phi=0.00000, y=1.300, x=2.200, square)

    References:
        D. G. Dansereau, O. Pizarro and S. B. Williams, "Decoding, calibration and rectification
        for lenselet-based plenoptic cameras", CVPR (2013), 1027.
    """
    where = "find_lattice"
    _check.choice(where, "layout", layout, LAYOUTS)
    picture = np.asarray(_check.real_array(where, "image", image), float)
    if picture.ndim != 2 or min(picture.shape) < 16:
        raise ValueError(
            f"{where}: `image` must be one picture (y, x) of 16 pixels or more, got the shape "
            f"{picture.shape}."
        )
    _check.finite_array(where, "image", picture)
    if pitch is not None:
        _check.positive(where, "pitch", pitch)
        _above_two(where, pitch)
    windowed = _windowed(picture)
    start = _first_vectors(where, windowed, pitch, layout)
    orders = np.array(_ORDERS[layout])
    vectors, weights = _refined(windowed, orders, start)
    base = _solve(orders, vectors, weights)
    if not _is_seen(picture, windowed, base):
        raise ValueError(_no_lenslets(where, pitch, layout))
    center = _place(windowed, orders, base)
    return _described(where, base, center, layout)


def _is_seen(picture: np.ndarray, windowed: np.ndarray, base: np.ndarray) -> bool:
    """Whether lenslets are many and brighter than rounding, side lobes and steps of a slope."""
    light = math.prod(float(_blackman_harris(n).sum()) for n in picture.shape)
    amplitude = 2 * min(abs(_transform(windowed, g)) for g in base) / light
    low, high = np.percentile(picture, [1, 99])
    least = max(_CONTRAST * float(high - low), 1e-6 * float(np.abs(picture).max()))
    return amplitude > least and np.hypot(*base.T).min() * min(picture.shape) > _PERIODS


def _windowed(picture: np.ndarray) -> np.ndarray:
    """The picture without its slow part, under a window with low side lobes."""
    windows = [_blackman_harris(n) for n in picture.shape]
    weight = windows[0][:, None] * windows[1]
    mean = (picture * weight).sum() / weight.sum()
    return (picture - mean) * weight


def _blackman_harris(n: int) -> np.ndarray:
    t = 2 * np.pi * (np.arange(n) + 0.5) / n
    terms = (0.35875, -0.48829, 0.14128, -0.01168)
    return sum(a * np.cos(k * t) for k, a in enumerate(terms))  # type: ignore[return-value]


def _no_lenslets(where: str, pitch: object, layout: str) -> str:
    near = f" near a pitch of {pitch} pixels" if pitch is not None else ""
    return (
        f"{where}: `image` shows no lenslets: no two peaks of its spectrum stand out as a "
        f"{layout} lattice makes them{near}. At least {_PERIODS} to 5 lenslets each way and a "
        "pitch of two pixels are needed; take a flat field, and try the other layout."
    )


def _first_vectors(where: str, windowed: np.ndarray, pitch: object, layout: str) -> np.ndarray:
    """Two reciprocal vectors (y, x) [1/pixel] to within a bin: rows of the result."""
    ny, nx = windowed.shape
    size = [numerics.fast_len(2 * n) for n in (ny, nx)]
    power = np.abs(np.fft.fft2(windowed, size)) ** 2
    fy, fx = np.fft.fftfreq(size[0])[:, None], np.fft.fftfreq(size[1])
    radius = np.hypot(fy, fx)
    least = 4.5 / min(ny, nx)
    if pitch is not None:
        rough = np.broadcast_to(np.asarray(pitch, float), (2,))
        scale = 2 / math.sqrt(3) if layout == "hexagonal" else 1.0
        low, high = scale / rough.max() / 1.15, scale / rough.min() * 1.15
    else:
        low, high = least, 0.5
    allowed = (radius > max(low, least)) & (radius < high)
    level = _level(power, radius)
    prominence = np.where(allowed, power / level, 0)
    turn = math.pi / 2 if layout == "square" else math.pi / 3
    best, found = 0.0, None
    for index in _peaks(prominence, 40):
        g = np.array([fy[index[0], 0], fx[index[1]]])
        c, s = math.cos(turn), math.sin(turn)
        partner = np.array([c * g[0] + s * g[1], c * g[1] - s * g[0]])
        if pitch is not None and np.ndim(pitch):
            partner *= np.hypot(*g) ** -1 * 1 / rough[0 if abs(g[1]) > abs(g[0]) else 1]
        second, strength = _near(prominence, partner, size)
        if min(prominence[index], strength) < _PEAK:
            continue
        score = math.sqrt(power[index] * _near(power, partner, size)[1])
        if score > best:
            best, found = score, np.stack([g, second])
    if found is None:
        raise ValueError(_no_lenslets(where, pitch, layout))
    # A picture with sharp rims has strong harmonics: the half is meant if it is strong as well.
    while True:
        halves = [_near(power, g / 2, size) for g in found]
        strong = all(
            h[1] > 0.5 * _near(power, g, size)[1] and np.hypot(*h[0]) > max(low, least)
            for h, g in zip(halves, found, strict=True)
        )
        if not strong:
            return found
        found = np.stack([h[0] for h in halves])


def _level(power: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Mean power in rings of equal frequency, without what stands out: the ground of the peaks."""
    rings = np.minimum((radius * 60).astype(int), 60)
    level = np.zeros(61)
    for k in range(61):
        values = power[rings == k]
        level[k] = np.median(values) if len(values) else 0
    floor = max(1e-12 * power.max(), 1e-300)
    return np.maximum(level, floor)[rings]


def _peaks(prominence: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Strongest local maxima, half of the plane."""
    highest = prominence.copy()
    for axis in (0, 1):
        highest = np.maximum(
            highest, np.maximum(np.roll(highest, 1, axis), np.roll(highest, -1, axis))
        )
    at = np.argwhere((prominence >= highest) & (prominence > 0))
    half = at[at[:, 0] <= prominence.shape[0] // 2]
    order = np.argsort(-prominence[half[:, 0], half[:, 1]])[:count]
    return [(int(a), int(b)) for a, b in half[order]]


def _near(prominence: np.ndarray, g: np.ndarray, size: Sequence[int]) -> tuple[np.ndarray, float]:
    """The strongest bin within a tenth of a vector from where it should be."""
    reach = max(2, round(0.06 * np.hypot(*g) * max(size)))
    offsets = np.arange(-reach, reach + 1)
    rows, columns = (np.round(f * n).astype(int) + offsets for f, n in zip(g, size, strict=True))
    block = prominence[np.ix_(rows % size[0], columns % size[1])]
    i, j = np.unravel_index(np.argmax(block), block.shape)
    return np.array([rows[i] / size[0], columns[j] / size[1]]), float(block[i, j])


def _refined(
    windowed: np.ndarray, orders: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies of the orders at the tops of their peaks, and their weights."""
    base = start
    vectors = np.zeros((len(orders), 2))
    weights = np.zeros(len(orders))
    # The first two by themselves, then the others from what those say.
    for chosen in ([0, 1], range(len(orders))):
        for k in chosen:
            f = orders[k] @ base
            if np.max(np.abs(f)) < 0.5:
                vectors[k], weights[k] = _top(windowed, f)
        base = _solve(orders[list(chosen)], vectors[list(chosen)], weights[list(chosen)])
    return vectors, weights


def _top(windowed: np.ndarray, f: np.ndarray) -> tuple[np.ndarray, float]:
    """Newton's steps to the top of |transform|^2 near a frequency; its height there."""
    y, x = (np.arange(n) - n // 2 for n in windowed.shape)
    start, limit = f, 1.5 / np.array(windowed.shape)
    height = 0.0
    for _ in range(20):
        ey, ex = np.exp(-2j * np.pi * f[0] * y), np.exp(-2j * np.pi * f[1] * x)
        rows = windowed @ np.stack([ex, -2j * np.pi * x * ex, -4 * np.pi**2 * x**2 * ex], -1)
        sums = np.stack([ey, -2j * np.pi * y * ey, -4 * np.pi**2 * y**2 * ey]) @ rows
        value = sums[0, 0]
        height = abs(value) ** 2
        slope = np.array([sums[1, 0], sums[0, 1]])
        bend = np.array([[sums[2, 0], sums[1, 1]], [sums[1, 1], sums[0, 2]]])
        gradient = 2 * (np.conj(value) * slope).real
        hessian = 2 * (np.conj(value) * bend + np.outer(np.conj(slope), slope)).real
        if height == 0 or np.max(np.linalg.eigvalsh(hessian)) >= 0:
            step = gradient / max(np.hypot(*gradient), 1e-300) * limit / 8
        else:
            step = -np.linalg.solve(hessian, gradient)
        f = np.clip(f + np.clip(step, -limit / 3, limit / 3), start - limit, start + limit)
        if np.max(np.abs(step)) < 1e-12:
            break
    return f, height


def _solve(orders: np.ndarray, vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The two reciprocal vectors that fit all orders."""
    weight = np.sqrt(weights)[:, None]
    base, *_ = np.linalg.lstsq(orders * weight, vectors * weight, rcond=None)
    return base


def _transform(windowed: np.ndarray, f: np.ndarray) -> complex:
    """The wave of one frequency (y, x) in the picture, from its middle."""
    y, x = (np.arange(n) - n // 2 for n in windowed.shape)
    return complex(np.exp(-2j * np.pi * f[0] * y) @ windowed @ np.exp(-2j * np.pi * f[1] * x))


def _place(windowed: np.ndarray, orders: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Center (y, x) nearest to the axis, from the phases of the peaks."""
    first = np.array([_transform(windowed, g) for g in base])
    turns = -np.angle(first) / (2 * np.pi)
    center = np.linalg.solve(base, turns)
    rows, right, weights = [], [], []
    for order in orders:
        g = order @ base
        if np.max(np.abs(g)) >= 0.5:
            continue
        value = _transform(windowed, g)
        turn = -np.angle(value) / (2 * np.pi)
        rest = (turn - g @ center + 0.25) % 0.5 - 0.25  # the sign of a higher order is its own
        rows.append(g)
        right.append(g @ center + rest)
        weights.append(abs(value))
    weight = np.array(weights)
    center, *_ = np.linalg.lstsq(
        np.array(rows) * weight[:, None], np.array(right) * weight, rcond=None
    )
    cells = np.linalg.inv(base).T  # rows are the lattice vectors
    near = [
        center - np.round(np.linalg.solve(cells.T, center) + np.array([i, j])) @ cells
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
    ]
    return min(near, key=lambda c: float(np.hypot(*c)))


def _described(where: str, base: np.ndarray, center: np.ndarray, layout: str) -> Lattice:
    """Pitch and turn of a pair of reciprocal vectors."""
    cells = np.linalg.inv(base).T
    if layout == "hexagonal":
        # Six neighbors; the one nearest to +x tells the turn.
        six = [k @ cells for k in np.array([(1, 0), (0, 1), (1, 1), (1, -1), (-1, 2), (2, 1)])]
        lengths = sorted(np.hypot(*v) for v in six)
        pitch = float(np.mean(lengths[:3]))
        near = [v for v in six if np.hypot(*v) < 1.3 * lengths[0]]
        angles = [math.atan2(v[0], v[1]) for v in near]
        turns = np.exp(6j * np.array(angles))
        phi = float(np.angle(turns.mean()) / 6)
        shear = max(lengths[:3]) / min(lengths[:3]) - 1
        result: Any = pitch
    else:
        along = max((s * v for v in cells for s in (1, -1)), key=lambda v: v[1] - 1e-9 * abs(v[0]))
        across = next(v for v in cells if abs(v @ along) < 0.5 * np.hypot(*v) * np.hypot(*along))
        across = across if across[0] > 0 else -across
        ax, ay = math.atan2(along[0], along[1]), math.atan2(-across[1], across[0])
        phi, shear = (ax + ay) / 2, abs(ax - ay)
        result = np.array([np.hypot(*across), np.hypot(*along)])
    if shear > 1e-3:
        _check.warn(where, f"the lattice is sheared by {shear:.2g}, which Lattice leaves out.")
    return Lattice(result, phi=phi, y=center[0], x=center[1], layout=layout)


def rectify(
    image: ArrayLike,
    lattice: Lattice,
    *,
    pixels: int | tuple[int, int] | None = None,
    shape: tuple[int, int] | None = None,
) -> Array:
    r"""Image in which the lens array repeats after whole pixels.

    .. math:: I'(i, j) = |J|\; I\!\left(\mathbf c_0 + R(\phi)\left(\frac{i\,p_y}{N_y},
        \frac{j\,p_x}{N_x}\right)\right)

    with i, j from the axis, where a lenslet's center comes to lie; \|J\| is the area of the new
    pixel, so the light is kept. Between pixels a cubic is laid (Keys), exact for slow images and
    wrong by 1 % at half the sampling limit. Beyond the image there is darkness. Differentiable in
    the image and the lattice.

    Args:
        image: Raw images, ``(..., y, x)`` [any unit].
        lattice: Where the lenslets are, see :func:`find_lattice`.
        pixels: Pixels of the cell that repeats (a lenslet; of a hexagonal layout a rectangle of
            two), one number or (y, x); by default the nearest odd numbers.
        shape: Pixels of the result; by default the whole cells that fit into the image.

    Returns:
        The images, ``(..., y, x)`` [unit of ``image``].

    Raises:
        TypeError: If ``lattice`` is no Lattice.
        ValueError: If a shape does not fit.

    Example:
        >>> flat = np.ones((60, 64))
        >>> rectify(flat, Lattice(10.4, phi=0.02), pixels=11, shape=(33, 33)).shape
        (33, 33)

    References:
        R. G. Keys, IEEE Trans. Acoust. Speech Signal Process. 29, 1153 (1981).
    """
    where = "rectify"
    if not isinstance(lattice, Lattice):
        raise TypeError(f"{where}: `lattice` must be a Lattice, got {type(lattice).__name__}.")
    image = _check.real_array(where, "image", image)
    _check.at_least(where, "image", image, 2, "(..., y, x)")
    cell = lattice.cell
    if pixels is None:
        if not _check.is_concrete(*cell):
            raise TypeError(f"{where}: `pixels` is needed where the pitch is traced.")
        pixels = tuple(2 * (round(float(c)) // 2) + 1 for c in cell)
    counts = _check.grid_shape(where, pixels, name="pixels")
    if min(counts) < 2:
        raise ValueError(f"{where}: `pixels` must be two or more, got {counts}.")
    if shape is None:
        if not _check.is_concrete(*cell):
            raise TypeError(f"{where}: `shape` is needed where the pitch is traced.")
        sizes = zip(image.shape[-2:], counts, cell, strict=True)
        shape = tuple(max(1, int(n // float(c))) * k for n, k, c in sizes)  # type: ignore[assignment]
    assert shape is not None
    shape = _check.grid_shape(where, shape)
    steps = [c / k for c, k in zip(cell, counts, strict=True)]
    numbers = [numerics.number(a, image.dtype) for a in (lattice.phi, lattice.y, lattice.x, *steps)]
    return _resampled(shape, jnp.asarray(image), *numbers)


@numerics.program("shape")
def _resampled(
    shape: tuple[int, int], image: Array, phi: Array, y: Array, x: Array, dy: Array, dx: Array
) -> Array:
    ny, nx = image.shape[-2:]
    rows = (np.arange(shape[0]) - shape[0] // 2)[:, None] * dy
    columns = (np.arange(shape[1]) - shape[1] // 2) * dx
    c, s = jnp.cos(phi), jnp.sin(phi)
    at = (y + c * rows + s * columns + ny // 2, x + c * columns - s * rows + nx // 2)
    first = [jnp.floor(a) for a in at]
    rest = [a - f for a, f in zip(at, first, strict=True)]
    wide = jnp.pad(image, [(0, 0)] * (image.ndim - 2) + [(2, 2)] * 2)
    whole = [jnp.clip(f, -2, n).astype(int) for f, n in zip(first, (ny, nx), strict=True)]
    inside = (at[0] > -1) & (at[0] < ny) & (at[1] > -1) & (at[1] < nx)
    total = jnp.zeros((*image.shape[:-2], *shape), image.dtype)
    for i in range(-1, 3):
        for j in range(-1, 3):
            row = jnp.clip(whole[0] + i + 2, 0, ny + 3)
            column = jnp.clip(whole[1] + j + 2, 0, nx + 3)
            weight = _cubic(rest[0] - i) * _cubic(rest[1] - j)
            total = total + weight * wide[..., row, column]
    return total * inside * (dy * dx)


def _cubic(t: Array) -> Array:
    """Keys' kernel of third order."""
    t = jnp.abs(t)
    inner = 1 + t * t * (1.5 * t - 2.5)
    outer = 2 + t * (-4 + t * (2.5 - 0.5 * t))
    return jnp.where(t < 1, inner, jnp.where(t < 2, outer, 0))
