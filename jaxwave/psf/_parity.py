"""Fourier integrals over a pupil, folded by parity into real matrix products of half the size.

The pupil's nodes and the image's samples lie symmetrically about the axis. Even and odd parts of
the pupil then need cosines and sines of one quadrant only: four times fewer products, all real,
and the image is unfolded (or its intensity formed) at the end.

Quarters of a pupil are arrays ``(2, 2, ..., h, k)`` over the nodes with x, y >= 0: the first two
axes are the signs (+, -) of y and x, after folding their parities (even, odd). On a grid the nodes
are (y, x) and the sum over x comes first; on chords they are (x, y) and the sum over y comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import DTypeLike

from jaxwave import numerics
from jaxwave._noun import spelled
from jaxwave.numerics import cis, gauss_legendre, word

HIGHEST = lax.Precision.HIGHEST


class Nodes(NamedTuple):
    """Quadrature nodes of a quadrant of the pupil, in pupil radii; their weights add up to pi/4."""

    chord: bool  # rows of different length (Gauss-Legendre), or a grid
    y: Any  # (h, k) for chords, (h, 1) on a grid
    x: Any  # (h, 1) for chords, (1, k) on a grid
    weight: Any  # (h, k)
    step: tuple[Any, Any]  # distance of the samples of a grid (y, x), ones for chords


# -- nodes ---------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _legendre(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Positive half of the Gauss-Legendre nodes on [-1, 1] and their weights."""
    t, w = gauss_legendre(count)
    return t[count // 2 :], w[count // 2 :]


Chords = tuple[int, int]  # chords, and nodes on each


def chord_nodes(count: int) -> Nodes:
    """Gauss-Legendre nodes on chords: x = sin(a), y = cos(a) t, both smooth up to the rim."""
    t, w = _legendre(count)
    a, wa = 0.5 * np.pi * t, 0.5 * np.pi * w
    x, half = np.sin(a)[:, None], np.cos(a)[:, None]
    return Nodes(True, half * t, x, half**2 * wa[:, None] * w, (1.0, 1.0))


def few_nodes(count: Chords) -> Nodes:
    """Nodes (x, t) for polynomials, y = sqrt(1 - x^2) t, without weights (see gathered)."""
    (x, _), (t, _) = (_legendre(n) for n in count)
    x = x[:, None]
    return Nodes(True, np.sqrt(1 - x * x) * t, x, np.ones((len(x), len(t))), (1.0, 1.0))


@spelled
class PolarNodes(NamedTuple):
    r"""Quadrature nodes on rings, for pupils with a singular axis or circular steps.

    .. math:: \iint_{\rho \le 1} P\,\rho\,d\rho\,d\phi \approx
        \sum_{\text{panels}} \sum_{jk} w_j w_k\,\rho_j\,P(\rho_j, \phi_k)

    by Gauss-Legendre in the radius between the breaks and in the azimuth within each quadrant:
    exact to all digits for vortices, radial polarization, half-moons along an axis or a ray, and
    steps at the breaks (a critical angle too). Pass it as ``nodes``; it costs a few times more than
    chords.

    Args:
        radial: Nodes in each panel between two breaks.
        azimuthal: Nodes in each quadrant.
        breaks: Radii of circular steps, ascending, between zero and one [pupil radii].
        rays: Azimuths of steps along a ray from the axis, mirrored into the quadrant of positive y
            and x, ascending [rad]; each panel between two of them has all azimuthal nodes.

    Raises:
        ValueError: By the propagator, if the numbers make no nodes.

    Example:
        >>> PolarNodes(radial=16, breaks=(0.5,))
        PolarNodes(radial=16, azimuthal=24, breaks=(0.5,), rays=())

    References:
        P. J. Davis and P. Rabinowitz, *Methods of Numerical Integration*, Sec. 5.6.
    """

    radial: int = 24
    azimuthal: int = 24
    breaks: tuple[float, ...] = ()
    rays: tuple[float, ...] = ()


@lru_cache(maxsize=16)
def polar_nodes(kind: PolarNodes) -> Nodes:
    """Nodes on rings, in the form of chords of one node each."""
    t, w = gauss_legendre(kind.radial)
    a, wa = gauss_legendre(kind.azimuthal)
    edges = np.array([0.0, *kind.breaks, 1.0])
    half = np.diff(edges)[:, None] / 2
    middle = (edges[:-1, None] + edges[1:, None]) / 2
    # Nodes that crowd at the breaks make the square root at a critical angle smooth.
    t, w = np.sin(np.pi / 2 * t), w * np.pi / 2 * np.cos(np.pi / 2 * t)
    rho, weight = (middle + half * t).ravel(), (half * w).ravel()
    edges = np.array([0.0, *kind.rays, np.pi / 2])
    half = np.diff(edges)[:, None] / 2
    phi, wa = (((edges[:-1, None] + edges[1:, None]) / 2 + half * a).ravel(), (half * wa).ravel())
    x, y = np.outer(rho, np.cos(phi)).ravel(), np.outer(rho, np.sin(phi)).ravel()
    weight = np.outer(rho * weight, wa).ravel()
    return Nodes(True, y[:, None], x[:, None], weight[:, None], (1.0, 1.0))


def smooth_nodes(kind: int | PolarNodes) -> Nodes:
    """Nodes for a pupil function."""
    return polar_nodes(kind) if isinstance(kind, PolarNodes) else chord_nodes(kind)


def _lagrange(count: int, places: np.ndarray) -> np.ndarray:
    """Values at the positive nodes to those at places, of even and of odd polynomials.

    ``(2, places, nodes)``, by Legendre polynomials: those of even and those of odd degree.
    """
    t, w = _legendre(count)
    at, here = (np.polynomial.legendre.legvander(p, count - 1) for p in (t, places))
    norm = 2 * np.arange(count) + 1.0
    return np.stack([(here[:, k::2] * norm[k::2]) @ (at[:, k::2].T * w) for k in (0, 1)])


@lru_cache(maxsize=16)
def _to_few(fine: int | PolarNodes, few: Chords) -> tuple[np.ndarray, np.ndarray]:
    """Polynomials at a few nodes to those at many: along each chord, and across ``(2, 2, h, k)``.

    What is odd in y is the chord's half length times a polynomial of x.
    """
    nodes, half = smooth_nodes(fine), np.sqrt(1 - _legendre(few[0])[0] ** 2)
    long = np.sqrt(1 - nodes.x**2)
    t = nodes.y / long
    along = _lagrange(few[1], t[:, 0] if isinstance(fine, PolarNodes) else t[0])
    across = _lagrange(few[0], nodes.x[:, 0])
    return along, np.stack([across, across * long / half])


def gathered(folded: Array, fine: int | PolarNodes, few: Chords) -> Array:
    """Weighted parts of a pupil at many nodes as parts at few, ``(2, 2, jones, h, k)``.

    What the optics multiplies a pupil with is a polynomial of the chord coordinates, and so is the
    wave to the image: both are known from their values at a few nodes. Transposed, the sums over a
    pupil's many nodes are sums over the few. The pupil may be as rough as its own nodes hold, and
    it costs what a clear one costs but for this step.
    """
    along, across = (m.astype(numerics.real_dtype(folded.dtype)) for m in _to_few(fine, few))
    parts = jnp.concatenate([folded.real, folded.imag], axis=2)
    if isinstance(fine, PolarNodes):
        parts = parts * along[:, None, None]
    else:
        parts = jnp.einsum("pqjhk,pkl->pqjhl", parts, along, precision=HIGHEST)
    parts = jnp.einsum("pqjhl,pqhm->pqjml", parts, across, precision=HIGHEST)
    return lax.complex(*lax.split(parts, (folded.shape[2],) * 2, axis=2))


def grid_nodes(samples: tuple[int, int], step: tuple[Any, Any], share: Array) -> Nodes:
    """Samples (ny, nx) of a grid around its axis; ``share`` is what the disk covers, (y, x)."""
    (h, k), (dy, dx) = share.shape, step
    weight = _corrected(share, samples) * (dy * dx)
    # The axis is its own mirror image: it would count twice.
    half = np.where(np.arange(h) == 0, 0.5, 1)[:, None] * np.where(np.arange(k) == 0, 0.5, 1)
    y, x = np.arange(h)[:, None] * dy, np.arange(k)[None, :] * dx
    return Nodes(False, y, x, weight * half, step)


def _corrected(share: Array, samples: tuple[int, int]) -> Array:
    """Weights whose error is of higher order than that of the covered areas.

    A sum of samples times covered areas integrates the function blurred by one sample, f + h^2/24
    laplacian(f). Taking that off the weights leaves the rim's ripple, of order 2.5.
    """
    result = share
    for axis, count in zip((0, 1), samples, strict=True):
        if share.shape[axis] == 1:
            continue
        mirror = lax.slice_in_dim(share, 1, 2, axis=axis)  # about the axis
        edge = lax.slice_in_dim(share, -1, None, axis=axis)
        padded = jnp.concatenate([mirror, share, edge], axis=axis)
        size = share.shape[axis]
        before = lax.slice_in_dim(padded, 0, size, axis=axis)
        after = lax.slice_in_dim(padded, 2, size + 2, axis=axis)
        result = result - (before - 2 * share + after) / 24
        if count % 2 == 0:  # the last row has no mirror image: what is beyond the rim moves in
            result = _move_in(result, share, axis)
    return result


def _move_in(weight: Array, share: Array, axis: int) -> Array:
    size = weight.shape[axis]
    if size < 3:
        return weight
    rest, inner, outer = (
        lax.slice_in_dim(weight, a, b, axis=axis)
        for a, b in ((0, size - 2), (size - 2, size - 1), (size - 1, size))
    )
    dark = lax.slice_in_dim(share, size - 1, size, axis=axis) == 0
    moved = jnp.where(dark, outer, 0)
    return jnp.concatenate([rest, inner + moved, outer - moved], axis=axis)


# -- folding -------------------------------------------------------------------------------


def signs() -> np.ndarray:
    """Signs of y, x in the four quadrants, ``(2, 2, 2)``: [y?, x?, (y, x)]."""
    s = np.array([1.0, -1.0])
    return np.stack(np.meshgrid(s, s, indexing="ij"), axis=-1)


def fold(q: Array) -> Array:
    """Even and odd parts of values in the quadrants, ``(2, 2, ...)``."""
    rows = jnp.stack([q[0] + q[1], q[0] - q[1]])
    return jnp.stack([rows[:, 0] + rows[:, 1], rows[:, 0] - rows[:, 1]], axis=1)


def quadrants_of_grid(values: Array) -> Array:
    """Samples ``(..., ny, nx)`` about N // 2 as quadrants ``(2, 2, ..., h, k)``.

    The axis belongs to all of them.
    """
    ny, nx = values.shape[-2:]
    widths = [(0, 0)] * (values.ndim - 2) + [(0, 1 - ny % 2), (0, 1 - nx % 2)]
    values = jnp.pad(values, widths)

    def halves(a: Array, axis: int) -> Array:
        # Splitting, not slicing: the derivative of a slice is a whole array of zeros.
        half = a.shape[axis] // 2
        minus, middle, plus = lax.split(a, (half, 1, half), axis=axis)
        pairs = [middle, plus], [middle, jnp.flip(minus, axis)]
        return jnp.stack([jnp.concatenate(p, axis) for p in pairs])

    columns = halves(values, values.ndim - 1)  # [x?]
    return halves(columns, columns.ndim - 2)  # [y?, x?]


def stored(a: Array, one: Array) -> Array:
    """The same numbers, computed once; ``one`` is a one that the compiler cannot see through.

    XLA's CPU compiler drops barriers and repeats what looks cheap in each of its users (here all
    of the pupil's phases, once for each matrix product), but it never repeats a division.
    """
    return lax.complex(a.real / one, a.imag / one)


def swap_parity(folded: Array, y: int, x: int) -> Array:
    """What a factor that is odd in y or x does to the parities ``(2, 2, ...)``."""
    axes = tuple(axis for axis, odd in ((0, y), (1, x)) if odd)
    return lax.rev(folded, axes) if axes else folded


# -- phases --------------------------------------------------------------------------------


def _plain_turns(products: np.ndarray, *factors: Array) -> Array:
    *up, wavelength = factors
    rate = up[0]
    for factor in up[1:]:
        rate = rate * factor
    return jnp.asarray(products, wavelength.dtype) * (rate / wavelength)


@numerics.with_plain_derivative(_plain_turns)
def product_turns(products: np.ndarray, *factors: Array) -> Array:
    """Phase products * a * b * ... / wavelength, modulo one in float32; products are constants."""
    dtype = factors[0].dtype
    if dtype == jnp.float64:
        return _plain_turns(products, *factors)
    *up, wavelength = (word(f, dtype) for f in factors)
    rate = up[0]
    for factor in up[1:]:
        rate = numerics.multiply(rate, factor)
    return numerics.product_turns(numerics.divide(rate, wavelength), word(products, dtype))


def half_indices(count: int) -> np.ndarray:
    """Places of the samples of half an axis from its center, in samples."""
    return np.arange((count + 1) // 2) + (0.5 if count % 2 == 0 else 0.0)


# Places across half the image in each axis (y, x) at which sums are made; zero: at every sample.
Between = tuple[int, int]


def places(count: int, between: int) -> np.ndarray:
    """Samples of half an axis, or the Chebyshev nodes between which they lie, in samples."""
    half = half_indices(count)
    if not between:
        return half
    return half[-1] * np.cos(np.pi * (np.arange(between) + 0.5) / (2 * between))


@lru_cache(maxsize=32)
def _interpolation(count: int, between: int, odd: bool, dtype: DTypeLike | None) -> np.ndarray:
    """Values of an even or odd polynomial at the nodes to the samples, ``(nodes, samples)``."""
    half = half_indices(count)
    order = 2 * np.arange(between) + odd
    node = np.pi * (np.arange(between) + 0.5) / (2 * between)
    series = np.where(order, 2, 1) / between * np.cos(np.outer(node, order))
    return (series @ np.cos(np.outer(order, np.arccos(half / half[-1])))).astype(dtype)


def spread(t: Array, shape: tuple[int, int], between: Between) -> Array:
    """From the nodes in the image to its samples: the sums are polynomials of their place."""
    dtype = np.dtype(t.dtype)
    for axis, product in ((0, "pqcnx,pny->pqcyx"), (1, "pqcyn,qnx->pqcyx")):
        if between[axis]:
            m = [_interpolation(shape[axis], between[axis], odd, dtype) for odd in (False, True)]
            t = jnp.einsum(product, t, np.stack(m), precision=HIGHEST)
    return t


def center(count: int, spacing: Array, place: Any) -> Any:
    """Where the middle of an axis is, if its sample N // 2 is at ``place``."""
    return place - 0.5 * spacing if count % 2 == 0 else place


def matrices(
    nodes: Nodes,
    shape: tuple[int, int],
    spacing: Array,
    na: Array,
    wavelength: Array,
    between: Between = (0, 0),
) -> tuple[Array, Array]:
    """Cosines and sines of s . r / wavelength: even and odd kernels of y and of x.

    For chords ``(2, h, k, my)`` and ``(2, h, mx)``, on a grid ``(2, h, my)`` and ``(2, k, mx)``.
    """
    dy, dx = spacing[0], spacing[1]
    iy, ix = (places(count, some) for count, some in zip(shape, between, strict=True))
    if nodes.chord:
        ty = product_turns(nodes.y[..., None] * iy, na, dy, wavelength)
        tx = product_turns(nodes.x * ix, na, dx, wavelength)
    else:
        h, k = nodes.weight.shape
        sy, sx = (jnp.asarray(s, na.dtype) for s in nodes.step)
        ty = product_turns(np.outer(np.arange(h), iy), na, sy, dy, wavelength)
        tx = product_turns(np.outer(np.arange(k), ix), na, sx, dx, wavelength)
    wy, wx = cis(ty), cis(tx)
    return jnp.stack([wy.real, wy.imag]), jnp.stack([wx.real, wx.imag])


# -- the transform -------------------------------------------------------------------------


def transform(nodes: Nodes, spectra: Array, kernels: tuple[Array, Array]) -> Array:
    """Real sums over the nodes, ``(parity y, parity x, 2 c, my, mx)``.

    ``spectra`` are the components, complex quarters ``(2, 2, c, h, k)``; the two halves of the
    third axis of the result are the real and the imaginary parts. An even part of the pupil needs
    cosines only, an odd one sines only.
    """
    parts = jnp.concatenate([spectra.real, spectra.imag], axis=2)
    ky, kx = kernels
    if nodes.chord:
        first = [jnp.einsum("qchk,hky->qhcy", parts[p], ky[p], precision=HIGHEST) for p in (0, 1)]
        over_x = "hcy,hx->cyx"
        rows = [[jnp.einsum(over_x, f[q], kx[q], precision=HIGHEST) for q in (0, 1)] for f in first]
    else:
        # The sum over x is one product for each parity of x, whatever the component.
        sums = [jnp.einsum("pchk,kx->pchx", parts[:, q], kx[q], precision=HIGHEST) for q in (0, 1)]
        over_y = "chx,hy->cyx"
        rows = [[jnp.einsum(over_y, s[p], ky[p], precision=HIGHEST) for s in sums] for p in (0, 1)]
    return jnp.stack([jnp.stack(row) for row in rows])


def _corners(t: Array) -> tuple[Array, Array]:
    """Real and imaginary parts of the field in the quadrants of the image, ``(2, 2, c, y, x)``.

    With cosines c and sines s, e^{i(y+x)} = (c + is)(c + is): ee and oo add up with the signs -1
    and +1 of sy sx, eo and oe with i sx and i sy.
    """
    count = t.shape[2] // 2
    r, i = lax.split(t, (count, count), axis=2)

    def corner(sy: int, sx: int) -> tuple[Array, Array]:
        even_r, even_i = r[0, 0] - sy * sx * r[1, 1], i[0, 0] - sy * sx * i[1, 1]
        odd_r, odd_i = sx * r[0, 1] + sy * r[1, 0], sx * i[0, 1] + sy * i[1, 0]
        return even_r - odd_i, even_i + odd_r

    rows = [[corner(sy, sx) for sx in (1, -1)] for sy in (1, -1)]
    real, imag = (jnp.stack([jnp.stack([c[k] for c in row]) for row in rows]) for k in (0, 1))
    return real, imag


def _unfold(corners: Array, shape: tuple[int, int]) -> Array:
    """Puts quadrants ``(2, 2, ..., y, x)`` together, the negative ones mirrored."""
    my, mx = shape

    def join(plus: Array, minus: Array, count: int, axis: int) -> Array:
        if count == 1:
            return plus
        minus = lax.rev(lax.slice_in_dim(minus, count % 2, None, axis=axis), (axis,))
        return jnp.concatenate([minus, plus], axis=axis)

    rows = join(corners[:, 0], corners[:, 1], mx, corners.ndim - 2)
    return join(rows[0], rows[1], my, rows.ndim - 3)


def field(t: Array, shape: tuple[int, int]) -> Array:
    """Complex field ``(c, my, mx)``."""
    return _unfold(lax.complex(*_corners(t)), shape)


def intensity(t: Array, shape: tuple[int, int], counts: np.ndarray) -> Array:
    """Weighted sum of the components' squared moduli, formed before unfolding, ``(my, mx)``."""
    real, imag = _corners(t)
    weight = np.asarray(counts, t.dtype)[:, None, None]
    return _unfold(jnp.sum((real * real + imag * imag) * weight, axis=2), shape)


def planes(function: Callable[[Array], Array], z: Array, work: int) -> Array:
    """Maps over planes in small batches: ``work`` numbers are alive in each plane."""
    if z.ndim == 0:
        return function(z)
    flat = z.reshape(-1)
    batch = max(1, min(8, 2_000_000 // max(work, 1), flat.size))
    if flat.size * work > 10_000_000:  # a rest of planes would be joined by a copy of all
        batch = next(b for b in range(batch, 0, -1) if flat.size % b == 0)
    if flat.size == 1:
        result = function(flat[0])[None]
    elif batch == 1:
        result = lax.map(function, flat)
    else:
        result = numerics.map_rows(function, flat, batch)
    return jax.tree.map(lambda a: a.reshape(*z.shape, *a.shape[1:]), result)
