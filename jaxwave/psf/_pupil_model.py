"""What happens at every direction of the pupil: apodization, polarization, defocus, layers.

All factors are circularly symmetric or odd in one coordinate, so they act on folded pupils.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxwave import grid, numerics
from jaxwave.numerics import TAU, cis, word
from jaxwave.psf import _folded
from jaxwave.psf._folded import Nodes, PolarNodes
from jaxwave.psf.stratified import complex_root, gibson_lanni_path, roots
from jaxwave.psf.transmission import apodization, fresnel_transmission


class Plan(NamedTuple):
    """What is known when the program is traced."""

    shape: tuple[int, int]  # samples of the image
    nodes: int | PolarNodes  # of a pupil function; 0: the pupil is sampled
    samples: tuple[int, int]  # of a sampled pupil
    kind: str  # "scalar", "focus", "dipole", "rotating"
    intensity: bool
    apodization: str
    shifted: bool  # the window is off the axis
    motion: str = "stage"
    transmission: bool = True


def nodes_of(plan: Plan, step: Any) -> Nodes:
    """The quadrature nodes of a quadrant, in pupil radii."""
    if plan.nodes:
        return _folded.smooth_nodes(plan.nodes)
    k, h = (n // 2 + 1 for n in plan.samples)
    dy, dx = step
    # A grid that begins at the axis; its rows are x.
    pair = jnp.stack([dx, dy])
    share = grid.disk_coverage((h, k), pair, 1.0, y=-(h // 2) * dx, x=-(k // 2) * dy)
    return _folded.grid_nodes(plan.samples, (dy, dx), share)


# -- defocus -------------------------------------------------------------------------------


def _plain_defocus(square: np.ndarray, *factors: Array) -> Array:
    z, na, n, wavelength, scale = factors
    sine2 = jnp.asarray(square, z.dtype) * scale * (na / n) ** 2
    inside = sine2 < 1
    cosine = jnp.sqrt(jnp.where(inside, 1 - sine2, 1))
    return -z * (n / wavelength) * (sine2 / (1 + cosine))


@numerics.with_plain_derivative(_plain_defocus)
def defocus_turns(square: np.ndarray, *factors: Array) -> Array:
    """Phase z (n/wavelength) (cos(theta) - 1) where rho^2 is ``square * scale``."""
    z, na, n, wavelength, scale = factors
    dtype = z.dtype
    if dtype == jnp.float64:
        return _plain_defocus(square, *factors)
    ratio = numerics.divide(word(na, dtype), word(n, dtype))
    sine2 = numerics.multiply(word(scale, dtype), word(square, dtype))
    sine2 = numerics.multiply(sine2, numerics.multiply(ratio, ratio))
    rate = numerics.divide(word(n, dtype), word(wavelength, dtype))
    one = word(1.0, dtype)
    path = numerics.multiply(word(z, dtype), rate)
    return numerics.root_turns(path, one, one, numerics.negative(sine2))[0]


# -- polarization --------------------------------------------------------------------------


class Factors(NamedTuple):
    """Transmissions of both polarizations and the angle in the sample, at the nodes."""

    s: Any
    p_cosine: Any
    p_sine: Any  # per s / |s|
    envelope: Array


def _azimuth(nodes: Nodes) -> tuple[Any, Any, Any]:
    """cos(phi)^2, sin(phi)^2, sin(phi) cos(phi); free of singularities."""
    x2, y2, xy = nodes.x**2, nodes.y**2, nodes.x * nodes.y
    square = x2 + y2
    center = square == 0
    where = np.where if isinstance(square, np.ndarray) else jnp.where
    safe = where(center, 1, square)
    return where(center, 0, x2 / safe), where(center, 0, y2 / safe), where(center, 0, xy / safe)


def components(kind: str, rows: tuple[Any, ...], folded: list[Array], e: Array) -> list[Array]:
    """Folded spectra of the components, a list of ``(2, 2, h, k)``.

    ``folded`` has one pupil, or one for each Cartesian component; ``e`` is a Jones vector or the
    dipole of a dipole.
    """
    xx, yy, xy, zx, zy = rows
    ax, ay = folded[0], folded[-1]
    if kind == "scalar":
        return [xx * ax]

    def odd(a: Array, y: int, x: int) -> Array:
        return _folded.swap_parity(a, y, x)

    if kind == "focus":
        ax, ay = ax * e[0], ay * e[1]
        return [
            xx * ax + xy * odd(ay, 1, 1),
            xy * odd(ax, 1, 1) + yy * ay,
            zx * odd(ax, 0, 1) + zy * odd(ay, 1, 0),
        ]
    if kind == "dipole":
        return [
            (xx * e[0]) * ax + (xy * e[1]) * odd(ax, 1, 1) + (zx * e[2]) * odd(ax, 0, 1),
            (yy * e[1]) * ay + (xy * e[0]) * odd(ay, 1, 1) + (zy * e[2]) * odd(ay, 1, 0),
        ]
    if len(folded) == 2:
        return [
            *(xx * ax, xy * odd(ax, 1, 1), zx * odd(ax, 0, 1)),
            *(xy * odd(ay, 1, 1), yy * ay, zy * odd(ay, 1, 0)),
        ]
    return [xx * ax, yy * ax, xy * odd(ax, 1, 1), zx * odd(ax, 0, 1), zy * odd(ax, 1, 0)]


def counts(kind: str, number: int) -> np.ndarray:
    """How often each component counts; a rotating dipole's xy stands for yx too."""
    return np.array([1, 1, 2, 1, 1] if kind == "rotating" and number == 5 else [1] * number)


def matrix(nodes: Nodes, f: Factors, scalar: bool = False) -> tuple[Any, ...]:
    """Factors xx, yy, xy, zx, zy of the lens; xy is odd in both, zx in x, zy in y."""
    if scalar:
        return (f.envelope,) * 5
    cos2, sin2, mixed = _azimuth(nodes)
    bend = f.s - f.p_cosine
    xx, yy = f.s - bend * cos2, f.s - bend * sin2
    rows = [xx, yy, -bend * mixed, -f.p_sine * nodes.x, -f.p_sine * nodes.y]
    return tuple(f.envelope * row for row in rows)


# -- the program ---------------------------------------------------------------------------


def factors(plan: Plan, nodes: Nodes, v: dict[str, Any]) -> Factors:
    """Apodization in the immersion, transmission into the sample, angle in the sample."""
    layers, na = v["layers"], v["na"]
    n_i = v["n"] if layers is None else layers.n_i
    s = radius(nodes, na)
    # Samples on the rim reach a little beyond the aperture.
    envelope = apodization(jnp.minimum(s, 0.9999 * n_i), n_i, kind=plan.apodization)
    if layers is None:
        return Factors(1.0, roots(s, n_i)[0] / n_i, na / n_i, envelope)
    q_s = q_p = jnp.ones((), na.dtype)
    if plan.transmission:
        q_s, q_p = fresnel_transmission(s, layers.n)
    cosine = complex_root(s, layers.n_s) / layers.n_s
    return Factors(q_s, q_p * cosine, q_p * (na / layers.n_s), envelope)


def radius(nodes: Nodes, na: Array) -> Array:
    square = nodes.x**2 + nodes.y**2
    if isinstance(square, np.ndarray):
        return na * np.sqrt(square)
    center = square == 0
    return na * jnp.where(center, 0, jnp.sqrt(jnp.where(center, 1, square)))


def waves(plan: Plan, nodes: Nodes, v: dict[str, Any]) -> Callable[[Array], Array]:
    """Phase (and decay) in the pupil as a function of z."""
    layers, na, wavelength = v["layers"], v["na"], v["wavelength"]
    square = nodes.x**2 + nodes.y**2
    static, dynamic = np.ones(()), square
    if isinstance(square, np.ndarray):
        static, dynamic = square, jnp.ones((), na.dtype)
    n_i = v["n"] if layers is None else layers.n_i

    def defocus(z: Array) -> Array:
        return defocus_turns(static, z, na, n_i, wavelength, dynamic)

    if layers is None:
        return lambda z: cis(defocus(z))
    s = radius(nodes._replace(x=_cast(nodes.x, na.dtype), y=_cast(nodes.y, na.dtype)), na)

    def layered(z: Array) -> Array:
        path = gibson_lanni_path(s, layers, z=z, motion=plan.motion)
        return cis(path.opd / wavelength) * jnp.exp(-TAU * path.decay / wavelength)

    if plan.motion == "emitter":
        return layered
    still = layered(jnp.zeros((), na.dtype))
    return lambda z: still * cis(defocus(z))


@partial(jax.jit, static_argnums=0)
def run(plan: Plan, quadrants: Array, v: dict[str, Any]) -> Array:
    """Field ``(*z, c, y, x)`` or intensity ``(*z, y, x)`` of a pupil ``(2, 2, jones, h, k)``."""
    na, wavelength, spacing = v["na"], v["wavelength"], v["spacing"]
    nodes = nodes_of(plan, v["step"])
    if plan.shifted:
        quadrants = quadrants * _ramp(plan, nodes, v)[:, :, None]
    near = nodes._replace(**{k: _cast(getattr(nodes, k), na.dtype) for k in ("x", "y", "weight")})
    rows = matrix(near, factors(plan, near, v), plan.kind == "scalar")
    folded = _folded.fold(quadrants) * (v["scale"] * near.weight)
    kernels = _folded.matrices(nodes, plan.shape, spacing, na, wavelength)
    kernels, folded, rows = lax.optimization_barrier((kernels, folded, rows))
    wave = waves(plan, nodes, v)

    def plane(z: Array) -> Array:
        there = lax.optimization_barrier(folded * wave(z))
        pupils = [a.squeeze(2) for a in lax.split(there, (1,) * there.shape[2], axis=2)]
        spectra = components(plan.kind, rows, pupils, v["e"])
        t = _folded.transform(nodes, spectra, kernels)
        if plan.intensity:
            return _folded.intensity(t, plan.shape, counts(plan.kind, len(spectra)))
        result = _folded.field(t, plan.shape)
        return result[0] if plan.kind == "scalar" else result

    work = 6 * plan.shape[0] * plan.shape[1]
    return _folded.planes(plane, v["z"], work)


def _cast(values: Any, dtype: Any) -> Any:
    return values.astype(dtype)


def _ramp(plan: Plan, nodes: Nodes, v: dict[str, Array]) -> Array:
    """exp(2 pi i s . r / wavelength) of the window's middle, in the four quadrants."""
    parts = []
    for axis, place, values in ((0, v["y"], nodes.y), (1, v["x"], nodes.x)):
        middle = _folded.center(plan.shape[axis], v["spacing"][axis], place)
        if isinstance(values, np.ndarray):
            turns = _folded.product_turns(values, v["na"], middle, v["wavelength"])
        else:
            turns = values * (v["na"] * middle / v["wavelength"])
        parts.append(jnp.stack([turns, -turns]))
    return cis(parts[0][:, None] + parts[1][None, :])
