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
from jaxwave.psf._folded import Nodes, PolarNodes, Quarters
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
    between: _folded.Between = (0, 0)
    zeros: tuple[bool, ...] = (False, False, False)  # which numbers of the polarization vanish


def nodes_of(plan: Plan, step: Any) -> Nodes:
    """The quadrature nodes of a quadrant, in pupil radii."""
    if plan.nodes:
        return _folded.smooth_nodes(plan.nodes)
    h, k = (n // 2 + 1 for n in plan.samples)
    dy, dx = step
    # A grid that begins at the axis.
    pair = jnp.stack([dy, dx])
    share = grid.disk_coverage((h, k), pair, 1.0, y=-(h // 2) * dy, x=-(k // 2) * dx)
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


class Term(NamedTuple):
    """A factor times a pupil, and whether the factor is odd in y and in x."""

    factor: Any
    pupil: Quarters
    y: int = 0
    x: int = 0


def _product(factor: Array, a: Array) -> Array:
    """A real factor (without layers) acts on both parts: a third of a complex product."""
    if jnp.iscomplexobj(factor):
        return factor * a
    return lax.complex(factor * a.real, factor * a.imag)


def _total(*terms: Term) -> Quarters:
    total = None
    for factor, pupil, y, x in terms:
        swapped = _folded.swap_parity(pupil, y, x)
        part = _folded.each(lambda a, f=factor: _product(f, a), swapped)
        total = part if total is None else _folded.each(jnp.add, total, part)
    assert total is not None
    return total


def components(
    plan: Plan, rows: tuple[Any, ...], folded: list[Quarters], e: Array
) -> list[Quarters]:
    """Folded spectra of the components, quarters ``(h, k)``.

    ``folded`` has one pupil, or one for each Cartesian component; ``e`` is a Jones vector or the
    dipole of a dipole.
    """
    xx, yy, xy, zx, zy = rows
    ax, ay = folded[0], folded[-1]

    def some(*numbered: tuple[int, Term]) -> list[Term]:
        """The terms whose number of the polarization does not vanish, one at least."""
        found = [term for k, term in numbered if not plan.zeros[k]]
        return found or [numbered[0][1]]

    if plan.kind == "scalar":
        return [ax]
    if plan.kind == "focus":
        # A number in `e` turns the pupil, not the five factors.
        ax, ay = (_folded.each(lambda p, k=k: p * e[k], a) for k, a in enumerate((ax, ay)))
        return [
            _total(*some((0, Term(xx, ax)), (1, Term(xy, ay, 1, 1)))),
            _total(*some((0, Term(xy, ax, 1, 1)), (1, Term(yy, ay)))),
            _total(*some((0, Term(zx, ax, 0, 1)), (1, Term(zy, ay, 1, 0)))),
        ]
    if plan.kind == "dipole":
        x = ((0, Term(xx * e[0], ax)), (1, Term(xy * e[1], ax, 1, 1)))
        y = ((0, Term(xy * e[0], ay, 1, 1)), (1, Term(yy * e[1], ay)))
        return [
            _total(*some(*x, (2, Term(zx * e[2], ax, 0, 1)))),
            _total(*some(*y, (2, Term(zy * e[2], ay, 1, 0)))),
        ]
    first = [_total(Term(xx, ax)), _total(Term(xy, ax, 1, 1)), _total(Term(zx, ax, 0, 1))]
    if len(folded) == 2:
        second = [_total(Term(xy, ay, 1, 1)), _total(Term(yy, ay)), _total(Term(zy, ay, 1, 0))]
        return first + second
    return [first[0], _total(Term(yy, ax)), *first[1:], _total(Term(zy, ax, 1, 0))]


def counts(kind: str, number: int) -> np.ndarray:
    """How often each component counts; a rotating dipole's xy stands for yx too."""
    return np.array([1, 1, 2, 1, 1] if kind == "rotating" and number == 5 else [1] * number)


def matrix(nodes: Nodes, f: Factors) -> tuple[Any, ...]:
    """Factors xx, yy, xy, zx, zy of the polarization; xy is odd in both, zx in x, zy in y."""
    cos2, sin2, mixed = _azimuth(nodes)
    bend = f.s - f.p_cosine
    xx, yy = f.s - bend * cos2, f.s - bend * sin2
    return xx, yy, -bend * mixed, -f.p_sine * nodes.x, -f.p_sine * nodes.y


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
def run(plan: Plan, quadrants: Quarters, v: dict[str, Any]) -> Array:
    """Field ``(*z, c, y, x)`` or intensity ``(*z, y, x)`` of quadrants ``(jones, h, k)``."""
    na, wavelength, spacing = v["na"], v["wavelength"], v["spacing"]
    nodes = nodes_of(plan, v["step"])
    if plan.shifted:
        quadrants = _folded.each(jnp.multiply, quadrants, _ramp(plan, nodes, v))
    near = nodes._replace(**{k: _cast(getattr(nodes, k), na.dtype) for k in ("x", "y", "weight")})
    optics = factors(plan, near, v)
    rows = matrix(near, optics)
    weight = v["scale"] * near.weight * optics.envelope
    folded = _folded.each(lambda a: a * weight, _folded.fold(quadrants))
    kernels = _folded.matrices(nodes, plan.shape, spacing, na, wavelength, plan.between)
    corner = quadrants[0][0][..., 0, 0].real
    one = 1 + 0 * lax.stop_gradient(jnp.sum(corner))
    wave = waves(plan, nodes, v)

    def plane(z: Array) -> Array:
        there = wave(z)
        there = _folded.each(lambda a: _folded.stored(a * there, one), folded)
        pupils = [_folded.each(lambda a, k=k: a[k], there) for k in range(there[0][0].shape[0])]
        spectra = components(plan, rows, pupils, v["e"])
        t = _folded.transform(nodes, spectra, kernels)
        t = _folded.spread(t, plan.shape, plan.between)
        if plan.intensity:
            return _folded.intensity(t, plan.shape, counts(plan.kind, len(spectra)))
        result = _folded.field(t, plan.shape)
        return result[0] if plan.kind == "scalar" else result

    work = 6 * plan.shape[0] * plan.shape[1]
    return _folded.planes(plane, v["z"], work)


def _cast(values: Any, dtype: Any) -> Any:
    return values.astype(dtype)


def _ramp(plan: Plan, nodes: Nodes, v: dict[str, Array]) -> Quarters:
    """exp(2 pi i s . r / wavelength) of the window's middle, in the four quadrants."""
    parts = []
    for axis, place, values in ((0, v["y"], nodes.y), (1, v["x"], nodes.x)):
        middle = _folded.center(plan.shape[axis], v["spacing"][axis], place)
        if isinstance(values, np.ndarray):
            turns = _folded.product_turns(values, v["na"], middle, v["wavelength"])
        else:
            turns = values * (v["na"] * middle / v["wavelength"])
        parts.append([turns, -turns])
    return [[cis(ty + tx) for tx in parts[1]] for ty in parts[0]]
