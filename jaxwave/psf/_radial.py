"""Focus and image of circularly symmetric pupils, from radial tables.

The integrals over the pupil are even functions of r times powers of r, so they are polynomials of
r**2: Gauss-Legendre nodes in the pupil, Chebyshev nodes in r**2, one matrix from there to the
pixels. On a square grid about the axis the matrix depends on pixel numbers only.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import DTypeLike

from jaxwave import grid, numerics
from jaxwave.numerics import TAU, cis, gauss_legendre
from jaxwave.psf._bounds import Numbers
from jaxwave.psf.layers import (
    complex_root,
    defocus_path,
    fresnel_transmission,
    gibson_lanni_path,
    roots,
)
from jaxwave.psf.objective import Objective
from jaxwave.psf.pupils import apodization
from jaxwave.special import scaled_bessel
from jaxwave.zernike import Mode, zernike_norm, zernike_radial

# Largest constant matrix [numbers]; beyond it rows are made one by one.
_MOST_CONSTANTS = 4_000_000
# Largest result that is made in one piece [numbers].
_MOST_AT_ONCE = 6_000_000


class Plan(NamedTuple):
    """What is known when the program is traced."""

    kind: str  # "scalar", "focus", "radial", "azimuthal", "dipole", "rotating"
    intensity: bool
    shape: tuple[int, int]
    nodes: tuple[int, int, int]
    folded: bool  # square pixels about the axis
    zeros: tuple[bool, ...]  # which parts of the polarization vanish
    modes: tuple[Mode, ...]  # of an aberration
    sampled: bool  # the profile is known by samples, not at the nodes
    pixel: int = 0  # Gauss-Legendre points across a pixel to integrate over; 0: samples


# -- the pupil at its nodes ----------------------------------------------------------------


class Nodes(NamedTuple):
    """Directions s and weights of the integral over s, ``(nodes,)``."""

    s: Array
    weight: Array


def _gauss(count: int, dtype: DTypeLike | None) -> tuple[Any, Any]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    t, w = gauss_legendre(count)
    return ((t + 1) / 2).astype(dtype), (w / 2).astype(dtype)


def pupil_nodes(objective: Objective, counts: tuple[int, int]) -> Nodes:
    """Nodes in the angle psi, s = m sin(psi), and beyond the least index, s = m + (na - m) v**2.

    m is the aperture or the least index, whichever is less: the square root of the critical
    angle is smooth in psi and in v. The seam is a little below the index, where the angle still
    has a derivative by the aperture.
    """
    na = objective.na
    dtype = na.dtype
    least = objective.n if objective.layers is None else jnp.minimum(objective.n_i, objective.n_s)
    inner, outer = counts
    edge = na if not outer else jnp.minimum(na, least * (1 - _seam(dtype)))
    # An angle, not sin(angle) = edge / least, would have no derivative at the least index.
    top = jnp.arcsin(jnp.minimum(edge / least, 1 - _seam(dtype)))
    t, w = _gauss(inner, dtype)
    psi = t * top
    s, weight = least * jnp.sin(psi), w * top * least * jnp.cos(psi)
    if outer:
        v, w = _gauss(outer, dtype)
        s = jnp.concatenate([s, edge + (na - edge) * (v * v)])
        weight = jnp.concatenate([weight, (na - edge) * (2 * v * w)])
    return Nodes(s, weight)


def _seam(dtype: DTypeLike | None) -> float:
    return 1e-5 if dtype == jnp.float32 else 1e-10


def interpolate(samples: Array, rho: Array) -> Array:
    """Cubics through four neighbors of equidistant samples on [0, 1], even about zero."""
    last = samples.shape[-1] - 1
    place = rho * last
    first = jnp.clip(jnp.floor(place).astype(int) - 1, -1, last - 3)
    t = place - (first + 1)
    weights = (
        -t * (t - 1) * (t - 2) / 6,
        (t + 1) * (t - 1) * (t - 2) / 2,
        -(t + 1) * t * (t - 2) / 2,
        (t + 1) * t * (t - 1) / 6,
    )
    parts = [w * samples[jnp.abs(first + k)] for k, w in enumerate(weights)]
    return parts[0] + parts[1] + parts[2] + parts[3]


def amplitudes(plan: Plan, v: Numbers, nodes: Nodes) -> Array:
    """Amplitude times weight for every plane, complex ``(planes, nodes)``."""
    o, z = v.objective, jnp.atleast_1d(v.z)[:, None]
    s, rho = nodes.s, nodes.s / o.na
    size = TAU * s * nodes.weight * apodization(s, o.n_i, kind=o.apodization)
    if v.filling is not None:
        size = size * jnp.exp(-((rho / v.filling) ** 2))
    if o.layers is None:
        path = defocus_path(s, o.n_i, z)
    else:
        path = gibson_lanni_path(s, o.layers, z=z, motion=o.motion)
        size = size * jnp.exp(-TAU * path.decay / o.wavelength)
    opd = path.opd
    for k, (order, _) in enumerate(plan.modes):
        opd = opd + v.coefficients[k] * (zernike_norm(order, 0) * zernike_radial(order, 0, rho))
    wave = size * cis(opd / o.wavelength)
    if v.values is None:
        return wave
    return wave * (interpolate(v.values, rho) if plan.sampled else v.values)


# -- tables over r**2 ----------------------------------------------------------------------


def _unit_nodes(count: int) -> np.ndarray:
    """Chebyshev nodes of r**2 on [0, 1]."""
    return (1 + np.cos(math.pi * (np.arange(count) + 0.5) / count)) / 2


def _series_matrix(count: int) -> np.ndarray:
    """Values at the nodes to coefficients of T_j, ``(nodes, j)``."""
    j, k = np.arange(count), np.arange(count)[:, None]
    return np.where(j, 2, 1) / count * np.cos(math.pi * j * (k + 0.5) / count)


def _integrals(factors: list[tuple[int, Any]], waves: Array, s: Array, k: Array, u: Array) -> list:
    """Integrals of factor * J_m(k s r) / r**m at r**2 = u: pairs (re, im) of ``(planes, u)``."""
    q = (k * s) ** 2
    bessel = {m: scaled_bessel(m, q[:, None] * u) for m in {m for m, _ in factors}}
    result = []
    for m, factor in factors:
        w = waves * (factor * (k * s) ** m)
        parts = jnp.concatenate([w.real, w.imag])
        table = jnp.matmul(parts, bessel[m], precision="highest")
        result.append(tuple(lax.split(table, (waves.shape[0],) * 2, axis=0)))
    return result


def _factors(kind: str, o: Objective, s: Array) -> list[tuple[int, Any]]:
    """Order m and factor of every integral, by Fresnel factors and angles in the sample."""
    if kind == "scalar":
        return [(0, 1.0)]
    root = roots(s, o.n_s)[0] if o.layers is None else complex_root(s, o.n_s)
    q_s = q_p = jnp.ones_like(root)
    if o.layers is not None and o.transmission:
        q_s, q_p = fresnel_transmission(s, o.layers.n)
    along, sine = q_p * (root / o.n_s), q_p * (s / o.n_s)
    if kind == "azimuthal":
        return [(1, q_s)]
    if kind == "radial":
        return [(1, along), (0, sine)]
    return [(0, (q_s + along) / 2), (1, sine / 2), (2, (q_s - along) / 2)]


def _square(a: tuple[Array, Array]) -> Array:
    return a[0] * a[0] + a[1] * a[1]


def _product(a: tuple[Array, Array], b: tuple[Array, Array]) -> tuple[Array, Array]:
    """Real and imaginary part of a * conj(b)."""
    return a[0] * b[0] + a[1] * b[1], a[1] * b[0] - a[0] * b[1]


def _columns(plan: Plan, parts: list, u: Array) -> list[Array]:
    """Functions of r**2 that make up the picture; what multiplies powers of x and y comes later."""
    if not plan.intensity:
        return [part for pair in parts for part in pair]
    if plan.kind == "scalar":
        return [_square(parts[0])]
    if plan.kind == "azimuthal":
        return [u * _square(parts[0])]
    if plan.kind == "radial":
        return [u * _square(parts[0]) + _square(parts[1])]
    i0, i1, i2 = parts
    even = _square(i0) + u * (2 * _square(i1) + u * _square(i2))
    if plan.kind == "rotating":
        return [even * (2 / 3)]
    mixed = 2 * _product(i0, i2)[0]
    if plan.kind == "dipole":
        total = (i0[0] + u * i2[0], i0[1] + u * i2[1])
        columns = [_square(i0) + u * u * _square(i2), 4 * _square(i1)]
        return [*columns, mixed, *_product(i1, total)]
    return [even] if all(plan.zeros[:2]) else [even, mixed + 2 * _square(i1)]


def _table(plan: Plan, v: Numbers, reach2: Array) -> Array:
    """The columns at the nodes of r**2 up to ``reach2``, ``(planes, columns, nodes)``."""
    o = v.objective
    nodes = pupil_nodes(o, plan.nodes[:2])
    waves = amplitudes(plan, v, nodes)
    if plan.kind in ("dipole", "rotating"):
        scale = jnp.sqrt(3 / (4 * TAU * o.n_s * o.n_i)) / o.wavelength
    else:
        scale = 1 / (o.wavelength * o.na * math.sqrt(math.pi))
    factors = _factors(plan.kind, o, nodes.s)
    u = reach2 * _unit_nodes(plan.nodes[2]).astype(o.na.dtype)
    parts = _integrals(factors, waves * scale, nodes.s, TAU / o.wavelength, u)
    return jnp.stack(_columns(plan, parts, u), axis=1)


# -- from the table to the pixels ----------------------------------------------------------

# A component is a list of (values, oddness in y, oddness in x) on a patch; its sum is the picture.
Component = list[tuple[Array, bool, bool]]


def _plain(values: Array) -> list[Component]:
    return [[(values, False, False)]]


def _intensity(plan: Plan, c: list[Array], y: Array, x: Array, e: Array) -> list[Component]:
    if len(c) == 1 and plan.kind != "focus":
        return _plain(c[0])
    difference, twice = x * x - y * y, 2 * x * y
    square = jnp.abs(e) ** 2
    s0, s1 = square[0] + square[1], square[0] - square[1]
    s2 = 2 * (e[0] * e[1].conj()).real
    if plan.kind == "focus":
        even = s0 * c[0] if plan.zeros[0] else s0 * c[0] + (s1 * difference) * c[1]
        odd = [] if plan.zeros[1] else [((s2 * twice) * c[1], True, True)]
        return [[(even, False, False), *odd]]
    # A dipole: its part in the plane, its axial part, and what mixes both.
    even = s0 * c[0] + square[2] * (x * x + y * y) * c[1] + (s1 * difference) * c[2]
    wx, wy = 4 * e[2] * e[0].conj(), 4 * e[2] * e[1].conj()
    mixed_x, mixed_y = (w.real * c[4] + w.imag * c[3] for w in (wx, wy))
    return [
        [
            (even, False, False),
            ((s2 * twice) * c[2], True, True),
            (x * mixed_x, False, True),
            (y * mixed_y, True, False),
        ]
    ]


def _field(plan: Plan, c: list[Array], y: Array, x: Array, e: Array) -> list[Component]:
    parts = [lax.complex(re, im) for re, im in zip(c[::2], c[1::2], strict=True)]
    if plan.kind == "scalar":
        return _plain(parts[0])
    if plan.kind == "azimuthal":
        swirl = 1j * parts[0]
        return [[(-swirl * y, True, False)], [(swirl * x, False, True)], []]
    if plan.kind == "radial":
        return [
            [(1j * parts[0] * x, False, True)],
            [(1j * parts[0] * y, True, False)],
            [(-parts[1], False, False)],
        ]
    i0, i1, i2 = parts
    difference, twice = x * x - y * y, 2 * x * y
    # What the components of the polarization are multiplied with.
    xx, yy = (i0 + i2 * difference, False, False), (i0 - i2 * difference, False, False)
    xy, zx, zy = (i2 * twice, True, True), (-2j * i1 * x, False, True), (-2j * i1 * y, True, False)
    rows: list[tuple[tuple[Array, bool, bool], ...]] = [(xx, xy), (xy, yy), (zx, zy)]
    if plan.kind == "dipole":
        rows = [(xx, xy, zx), (xy, yy, zy)]
    return [
        [
            (e[k] * v, odd_y, odd_x)
            for k, (v, odd_y, odd_x) in enumerate(row)
            if not plan.zeros[2 + k]
        ]
        for row in rows
    ]


def _components(plan: Plan, values: Array, y: Array, x: Array, e: Array) -> list[Component]:
    """``values`` is ``(columns, planes, ...)``."""
    columns = [part[0] for part in lax.split(values, (1,) * values.shape[0], axis=0)]
    make = _intensity if plan.intensity else _field
    return make(plan, columns, y, x, e)


def _unfold(part: tuple[Array, bool, bool], shape: tuple[int, int]) -> Array:
    """A quadrant with the axis in its corner to the whole picture."""
    values, odd_y, odd_x = part
    for axis, odd, count in ((-1, odd_x, shape[1]), (-2, odd_y, shape[0])):
        half = count // 2
        if not half:
            continue
        # Splitting, not slicing: the derivative of a slice is a whole array of zeros.
        sizes = (1, half) if count % 2 else (1, half - 1, 1)
        axis_values, middle, *last = lax.split(values, sizes, axis=axis % values.ndim)
        mirror = [*last, jnp.flip(middle, axis=axis)]
        mirror = [-m for m in mirror] if odd else mirror
        values = jnp.concatenate([*mirror, axis_values, middle], axis=axis)
    return values


def _sum(parts: list[Array], shape: tuple[int, ...], dtype: DTypeLike | None) -> Array:
    return sum(parts[1:], parts[0]) if parts else jnp.zeros(shape, dtype)


def _reach(shape: tuple[int, int], pixel: int) -> float:
    """Squared distance of the farthest point of a quadrant, in pixels."""
    legs = [n // 2 + (0.5 if pixel else 0.0) for n in shape]
    return max(legs[0] ** 2 + legs[1] ** 2, 1.0)


@lru_cache(maxsize=16)
def _pixel_matrix(
    shape: tuple[int, int], count: int, dtype: DTypeLike | None, pixel: int = 0
) -> np.ndarray:
    """From the nodes of r**2 to the pixels of a quadrant, ``(nodes, pixels)``.

    With ``pixel`` every polynomial is integrated over the pixel (in units of its area): the
    integral is linear, so it costs nothing when the picture is made.
    """
    t, w = gauss_legendre(pixel) if pixel else (np.zeros(1), np.array([2.0]))
    far, series, total = _reach(shape, pixel), _series_matrix(count), 0.0
    y, x = (np.arange(n // 2 + 1)[:, None] + t / 2 for n in shape)
    y2, x2 = y * y, x * x
    for a, wa in enumerate(w / 2):
        for b, wb in enumerate(w / 2):
            squares = y2[:, a, None] + x2[:, b]
            values, inverse = np.unique(squares, return_inverse=True)
            # T_j(2 rho^2 - 1) = cos(2 j arccos(rho)), with the angle from both legs.
            angle = 2 * np.arctan2(np.sqrt(np.maximum(far - values, 0)), np.sqrt(values))
            basis = series @ np.cos(np.arange(count)[:, None] * angle)
            total = total + wa * wb * basis[:, inverse.ravel()]
    return np.asarray(total, dtype)


def _folded(plan: Plan, v: Numbers) -> Array:
    """The picture on square pixels about the axis, ``(planes, components, y, x)``."""
    pitch = v.spacing[0]
    rows, columns = plan.shape[0] // 2, plan.shape[1] // 2
    table = _table(plan, v, pitch * pitch * _reach(plan.shape, plan.pixel))
    matrix = _pixel_matrix(plan.shape, plan.nodes[2], np.dtype(table.dtype), plan.pixel)
    y = jnp.arange(rows + 1, dtype=table.dtype)[:, None] * pitch
    x = jnp.arange(columns + 1, dtype=table.dtype) * pitch

    def planes(part: Array) -> Array:
        count = part.shape[0]
        flat = jnp.moveaxis(part, 1, 0).reshape(-1, plan.nodes[2])
        values = jnp.matmul(flat, matrix, precision="highest")
        values = values.reshape(-1, count, rows + 1, columns + 1)
        kind = v.e.dtype if not plan.intensity else table.dtype
        pictures = [
            _sum([_unfold(p, plan.shape) for p in parts], (count, *plan.shape), kind)
            for parts in _components(plan, values, y, x, v.e)
        ]
        return jnp.stack(pictures, axis=1) if len(pictures) > 1 else pictures[0][:, None]

    pixels = plan.shape[0] * plan.shape[1] * (1 if plan.intensity else 6)
    if table.shape[0] * pixels <= _MOST_AT_ONCE:
        return planes(table)
    step = max(1, _MOST_AT_ONCE // (8 * pixels))
    return numerics.map_rows(lambda one: planes(one[None])[0], table, step)


def _chebyshev_rows(count: int, w: Array) -> Array:
    """T_j(w - 1) for j below ``count``, ``(count, ...)``; keeps its digits where w is small."""

    def step(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], Array]:
        last, pair = carry
        pair = 2 * w * last - pair  # T_{j+1} + T_j
        return (pair - last, pair), last

    # T_1 + T_0 = w; half of the recurrence before the first step.
    one = jnp.ones_like(w)
    _, rows = lax.scan(step, (w - 1, w), None, length=count - 1)
    return jnp.concatenate([one[None], rows])


def _free(plan: Plan, v: Numbers) -> Array:
    """The picture anywhere, row by row, ``(planes, components, y, x)``."""
    ny, nx = plan.shape
    dtype = v.spacing.dtype
    ys = grid.indices(ny).astype(dtype) * v.spacing[0] + v.y
    xs = grid.indices(nx).astype(dtype) * v.spacing[1] + v.x
    tiny = np.asarray(1e-12, dtype)
    reach2 = jnp.maximum(jnp.max(ys * ys) + jnp.max(xs * xs), tiny)
    table = _table(plan, v, reach2)
    planes, columns, count = table.shape
    series = jnp.matmul(table, _series_matrix(count).astype(dtype), precision="highest")
    series = jnp.moveaxis(series, 1, 0).reshape(-1, count)

    @jax.checkpoint
    def row(y: Array) -> Array:
        basis = _chebyshev_rows(count, 2 * (y * y + xs * xs) / reach2)
        values = jnp.matmul(series, basis, precision="highest").reshape(columns, planes, nx)
        kind = v.e.dtype if not plan.intensity else dtype
        pictures = [
            _sum([part[0] for part in parts], (planes, nx), kind)
            for parts in _components(plan, values, y, xs, v.e)
        ]
        return jnp.stack(pictures, axis=1)

    step = max(1, _MOST_CONSTANTS // (8 * nx * (count + columns * planes)))
    rows = numerics.map_rows(row, ys, step) if ny > 1 else row(ys[0])[None]
    return jnp.moveaxis(rows, 0, -2)


def one(plan: Plan, v: Numbers) -> Array:
    """Field ``([planes,] c, y, x)`` or intensity ``([planes,] y, x)`` without batch axes."""
    quadrant = (plan.shape[0] // 2 + 1) * (plan.shape[1] // 2 + 1)
    folded = plan.folded and quadrant * plan.nodes[2] <= _MOST_CONSTANTS
    result = _folded(plan, v) if folded else _free(plan, v)
    if plan.pixel:
        result = result * (v.spacing[0] * v.spacing[1])
    result = result if np.ndim(v.z) else jnp.squeeze(result, 0)
    return jnp.squeeze(result, -3) if plan.intensity or plan.kind == "scalar" else result


def directions(plan: Plan, objective: Objective) -> Array:
    """The nodes in pupil radii, ``(nodes,)``."""
    return pupil_nodes(objective, plan.nodes[:2]).s / objective.na
