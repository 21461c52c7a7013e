"""The planar solver: any pupil, by real sums over nodes of its plane.

A pupil becomes values in four quadrants, the quadrants become even and odd parts, and every factor
of the optics (apodization, polarization, defocus, layers) is circularly symmetric or odd in one
coordinate, so it acts on the parts. One matrix product for each parity sums them up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxwave import _check, grid, numerics
from jaxwave.numerics import TAU, cis, word
from jaxwave.psf import _bounds, _nodes, _parity
from jaxwave.psf._bounds import Numbers
from jaxwave.psf._parity import Nodes, PolarNodes
from jaxwave.psf.layers import complex_root, fresnel_transmission, gibson_lanni_path, roots
from jaxwave.psf.objective import JonesPupil, Objective, RadialPupil, Window, ZernikePupil, samples
from jaxwave.psf.pupils import apodization
from jaxwave.zernike import Mode, mode_list

NONE = (False, False, False)


class Plan(NamedTuple):
    """What is known when the program is traced."""

    kind: str  # "scalar", "focus", "dipole", "rotating"
    intensity: bool
    shape: tuple[int, int]  # samples of the image
    nodes: int | PolarNodes | None  # None: samples
    samples: tuple[int, int]  # of a sampled pupil; (0, 0) for nodes
    shifted: bool  # the window is off the axis
    modes: tuple[Mode, ...] = ()  # of an aberration
    between: _parity.Between = (0, 0)
    zeros: tuple[bool, ...] = NONE  # which numbers of the polarization vanish
    few: _parity.Chords | None = None  # nodes of the optics, if they are fewer


def nodes_of(plan: Plan, step: Array) -> Nodes:
    """The quadrature nodes of a quadrant, in pupil radii."""
    if plan.nodes is not None:
        return _parity.smooth_nodes(plan.nodes)
    h, k = (n // 2 + 1 for n in plan.samples)
    dy, dx = step[0], step[1]
    # A grid that begins at the axis.
    share = grid.disk_coverage((h, k), step, 1.0, y=-(h // 2) * dy, x=-(k // 2) * dx)
    return _parity.grid_nodes(plan.samples, (dy, dx), share)


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


# -- the optics at the nodes ---------------------------------------------------------------


class Factors(NamedTuple):
    """Transmissions of both polarizations and the angle in the sample, at the nodes."""

    s: Any
    p_cosine: Any
    p_sine: Any  # per s / |s|
    envelope: Array


def radius(nodes: Nodes, na: Array) -> Array:
    """Transverse directions s of the nodes."""
    square = nodes.x**2 + nodes.y**2
    if isinstance(square, np.ndarray):
        return na * np.sqrt(square)
    return na * numerics.safe_sqrt(square)


def factors(objective: Objective, nodes: Nodes, transmission: bool) -> Factors:
    """Apodization in the immersion, transmission into the sample, angle in the sample."""
    layers, na, n_i = objective.layers, objective.na, objective.n_i
    s = radius(nodes, na)
    # Samples on the rim reach a little beyond the aperture.
    envelope = apodization(jnp.minimum(s, 0.9999 * n_i), n_i, kind=objective.apodization)
    if layers is None:
        return Factors(1.0, roots(s, n_i)[0] / n_i, na / n_i, envelope)
    q_s = q_p = jnp.ones((), na.dtype)
    if transmission:
        q_s, q_p = fresnel_transmission(s, layers.n)
    cosine = complex_root(s, layers.n_s) / layers.n_s
    return Factors(q_s, q_p * cosine, q_p * (na / layers.n_s), envelope)


def matrix(nodes: Nodes, f: Factors) -> tuple[Any, ...]:
    """Factors xx, yy, xy, zx, zy of the polarization; xy is odd in both, zx in x, zy in y."""
    x2, y2, xy = nodes.x**2, nodes.y**2, nodes.x * nodes.y
    square = x2 + y2
    center = square == 0
    where = np.where if isinstance(square, np.ndarray) else jnp.where
    safe = where(center, 1, square)
    cos2, sin2, mixed = (where(center, 0, a / safe) for a in (x2, y2, xy))
    bend = f.s - f.p_cosine
    xx, yy = f.s - bend * cos2, f.s - bend * sin2
    return xx, yy, -bend * mixed, -f.p_sine * nodes.x, -f.p_sine * nodes.y


def waves(objective: Objective, nodes: Nodes) -> Callable[[Array], Array]:
    """Phase (and decay) in the pupil as a function of z."""
    layers, na, n_i, wavelength = (
        objective.layers, objective.na, objective.n_i, objective.wavelength
    )  # fmt: skip
    square = nodes.x**2 + nodes.y**2
    fixed, dynamic = np.ones(()), square
    if isinstance(square, np.ndarray):
        fixed, dynamic = square, jnp.ones((), na.dtype)

    def defocus(z: Array) -> Array:
        return defocus_turns(fixed, z, na, n_i, wavelength, dynamic)

    if layers is None:
        return lambda z: cis(defocus(z))
    s = radius(nodes._replace(x=nodes.x.astype(na.dtype), y=nodes.y.astype(na.dtype)), na)

    def layered(z: Array) -> Array:
        path = gibson_lanni_path(s, layers, z=z, motion=objective.motion)
        return cis(path.opd / wavelength) * jnp.exp(-TAU * path.decay / wavelength)

    if objective.motion == "emitter":
        return layered
    still = layered(jnp.zeros((), na.dtype))
    return lambda z: still * cis(defocus(z))


# -- polarization --------------------------------------------------------------------------


class Term(NamedTuple):
    """A factor times a pupil, and whether the factor is odd in y and in x."""

    factor: Any
    pupil: Array  # (2, 2, h, k)
    y: int = 0
    x: int = 0


def _total(*terms: Term) -> Array:
    total = None
    for factor, pupil, y, x in terms:
        a = _parity.swap_parity(pupil, y, x)
        # A real factor (without layers) acts on both parts: a third of a complex product.
        real = not jnp.iscomplexobj(factor)
        part = lax.complex(factor * a.real, factor * a.imag) if real else factor * a
        total = part if total is None else total + part
    assert total is not None
    return total


def components(plan: Plan, rows: tuple[Any, ...], ax: Array, ay: Array, e: Array) -> list[Array]:
    """Folded spectra of the components, quarters ``(2, 2, h, k)``, of two Cartesian pupils."""
    xx, yy, xy, zx, zy = rows

    def some(*numbered: tuple[int, Term]) -> Array:
        """Adds the terms whose number of the polarization does not vanish, one at least."""
        found = [term for k, term in numbered if not plan.zeros[k]]
        return _total(*(found or [numbered[0][1]]))

    if plan.kind == "scalar":
        return [ax]
    if plan.kind == "focus":
        # A number in `e` turns the pupil, not the five factors.
        ax, ay = ax * e[0], ay * e[1]
        return [
            some((0, Term(xx, ax)), (1, Term(xy, ay, 1, 1))),
            some((0, Term(xy, ax, 1, 1)), (1, Term(yy, ay))),
            some((0, Term(zx, ax, 0, 1)), (1, Term(zy, ay, 1, 0))),
        ]
    if plan.kind == "dipole":
        x = ((0, Term(xx * e[0], ax)), (1, Term(xy * e[1], ax, 1, 1)))
        y = ((0, Term(xy * e[0], ay, 1, 1)), (1, Term(yy * e[1], ay)))
        return [
            some(*x, (2, Term(zx * e[2], ax, 0, 1))),
            some(*y, (2, Term(zy * e[2], ay, 1, 0))),
        ]
    first = [_total(Term(xx, ax)), _total(Term(xy, ax, 1, 1)), _total(Term(zx, ax, 0, 1))]
    if ay is not ax:
        second = [_total(Term(xy, ay, 1, 1)), _total(Term(yy, ay)), _total(Term(zy, ay, 1, 0))]
        return first + second
    return [first[0], _total(Term(yy, ax)), *first[1:], _total(Term(zy, ax, 1, 0))]


def counts(kind: str, number: int) -> np.ndarray:
    """How often each component counts; a rotating dipole's xy stands for yx too."""
    return np.array([1, 1, 2, 1, 1] if kind == "rotating" and number == 5 else [1] * number)


# -- the program ---------------------------------------------------------------------------


def _aberration(plan: Plan, nodes: Nodes, v: Numbers) -> Array:
    """exp(2 pi i W / wavelength) in the quadrants, ``(2, 2, h, k)``.

    A mode keeps or changes its sign with y and with x, so one quadrant holds all of it.
    """
    zernike = np.stack(np.broadcast_arrays(*mode_list(plan.modes, nodes.y, nodes.x)))
    turns = v.coefficients / v.objective.wavelength
    signed = jnp.asarray(_mode_signs(plan.modes), turns.dtype) * turns[:, None, None]
    w = jnp.einsum("jpq,jhk->pqhk", signed, zernike.astype(turns.dtype), precision="highest")
    return cis(w)


def _mode_signs(modes: tuple[Mode, ...]) -> np.ndarray:
    """Sign of each mode in the quadrants, ``(modes, 2, 2)``.

    cos(m phi) is even in y, and odd in x with m; sin(m phi) is odd in y, and even in x with odd m.
    """
    result = np.ones((len(modes), 2, 2))
    for j, (_, m) in enumerate(modes):
        odd_y, odd_x = m < 0, (abs(m) % 2 == 1) != (m < 0)
        result[j, 1] *= -1 if odd_y else 1
        result[j, :, 1] *= -1 if odd_x else 1
    return result


def _quadrants(plan: Plan, nodes: Nodes, v: Numbers) -> Array:
    """The pupil in the quadrants, ``(2, 2, jones, h, k)``."""
    values, is_grid = v.values, plan.nodes is None
    if is_grid:
        values = _parity.quadrants_of_grid(values)
    if plan.modes:
        # The nodes of a grid lie at multiples of traced steps: Zernikes of their static places.
        turned = _aberration(plan, _static_grid(plan) if is_grid else nodes, v)[:, :, None]
        values = turned if values is None else values * turned
    if values is None:
        shape = (2, 2, 1, *nodes.weight.shape)
        values = jnp.ones(shape, jnp.result_type(v.objective.na.dtype, jnp.complex64))
    return values


def _static_grid(plan: Plan) -> Nodes:
    (h, k), (ny, nx) = (tuple(n // 2 + 1 for n in plan.samples), plan.samples)
    y, x = np.arange(h)[:, None] * 2 / (ny - 1), np.arange(k)[None, :] * 2 / (nx - 1)
    return Nodes(False, y, x, np.ones((h, k)), (1.0, 1.0))


def one(plan: Plan, v: Numbers) -> Array:
    """Field ``([planes,] c, y, x)`` or intensity ``([planes,] y, x)`` without batch axes."""
    nodes = nodes_of(plan, v.step)
    quadrants = _quadrants(plan, nodes, v)
    o, dtype = v.objective, v.objective.na.dtype
    if plan.shifted:
        quadrants = quadrants * _ramp(plan, nodes, v)[:, :, None]
    folded = _parity.fold(quadrants) * nodes.weight.astype(dtype)
    if plan.few is not None and plan.nodes is not None:
        folded = _parity.gathered(folded, plan.nodes, plan.few)
        nodes = _parity.few_nodes(plan.few)
    near = nodes._replace(x=nodes.x.astype(dtype), y=nodes.y.astype(dtype))
    optics = factors(o, near, o.transmission and plan.kind != "scalar")
    rows = matrix(near, optics)
    scale = scale_of(plan.kind, o) if v.scale is None else v.scale
    folded = folded * (scale * optics.envelope)
    kernels = _parity.matrices(nodes, plan.shape, v.spacing, o.na, o.wavelength, plan.between)
    one = 1 + 0 * lax.stop_gradient(jnp.sum(quadrants[0, 0, :, 0, 0].real))
    wave = waves(o, nodes)

    def plane(z: Array) -> Array:
        there = _parity.stored(folded * wave(z), one)
        jones = [part[:, :, 0] for part in lax.split(there, (1,) * there.shape[2], axis=2)]
        spectra = components(plan, rows, jones[0], jones[-1], v.e)
        t = _parity.transform(nodes, jnp.stack(spectra, axis=2), kernels)
        t = _parity.spread(t, plan.shape, plan.between)
        if plan.intensity:
            return _parity.intensity(t, plan.shape, counts(plan.kind, len(spectra)))
        result = _parity.field(t, plan.shape)
        return result[0] if plan.kind == "scalar" else result

    return _parity.planes(plane, v.z, 6 * plan.shape[0] * plan.shape[1])


def _ramp(plan: Plan, nodes: Nodes, v: Numbers) -> Array:
    """exp(2 pi i s . r / wavelength) of the window's middle, in the four quadrants."""
    o, turns = v.objective, []
    for axis, place, values in ((0, v.y, nodes.y), (1, v.x, nodes.x)):
        middle = _parity.center(plan.shape[axis], v.spacing[axis], place)
        if isinstance(values, np.ndarray):
            turns.append(_parity.product_turns(values, o.na, middle, o.wavelength))
        else:
            turns.append(values * (o.na * middle / o.wavelength))
    ty, tx = turns
    return jnp.stack([jnp.stack([cis(sy * ty + sx * tx) for sx in (1, -1)]) for sy in (1, -1)])


def scale_of(kind: str, objective: Objective) -> Array:
    """Amplitude of the spectrum: unit power in the pupil, or radiated by the dipole."""
    o = objective
    if kind in ("scalar", "focus"):
        return o.na / (o.wavelength * math.sqrt(math.pi))
    # (3 / 8 pi) sin^2 of unit power in the sample; per area of s in the immersion; a third of
    # the power for each direction of a dipole that rotates.
    share = 3 / (8 * math.pi) / (3 if kind == "rotating" else 1)
    return o.na**2 / o.wavelength * jnp.sqrt(share / (o.n_i * o.n_s))


# -- from a pupil to a plan ----------------------------------------------------------------


class Pupil(NamedTuple):
    """A pupil taken apart: what it multiplies, where it is sampled, its aberration."""

    function: Callable[[Array, Array], Array] | None
    samples: Array | None  # (..., jones, y, x)
    jones: int
    modes: tuple[Mode, ...]
    coefficients: Any


def taken_apart(where: str, pupil: object) -> Pupil:
    """The parts of any pupil of this solver."""
    modes: tuple[Mode, ...] = ()
    coefficients = None
    if isinstance(pupil, ZernikePupil):
        modes, coefficients, pupil = tuple(pupil.modes), pupil.coefficients, pupil.pupil
    if isinstance(pupil, RadialPupil):
        pupil = _of_radius(where, pupil)
    jones = 1
    if isinstance(pupil, JonesPupil):
        pupil, jones = pupil.factors, 2
    if callable(pupil):
        _check.takes(where, "pupil", pupil, "y", "x")
    if pupil is None or callable(pupil):
        return Pupil(pupil, None, jones, modes, coefficients)
    values = samples(where, "pupil", pupil, jones=jones == 2)
    return Pupil(
        None, values if jones == 2 else values[..., None, :, :], jones, modes, coefficients
    )


def _of_radius(where: str, pupil: RadialPupil) -> Callable[[Array, Array], Array] | None:
    """A radial pupil as a function of (y, x), for masks that are multiplied with others."""
    if pupil.coefficients is not None or (
        pupil.profile is not None and not callable(pupil.profile)
    ):
        raise TypeError(
            f"{where}: a RadialPupil inside a ZernikePupil may have a filling and a function as "
            "profile. Put its modes into the ZernikePupil, its samples into a function."
        )
    if pupil.profile is None and pupil.filling is None:
        return None

    def function(y: Array, x: Array) -> Array:
        square = x * x + y * y
        values = jnp.ones_like(square)
        if pupil.filling is not None:
            values = jnp.exp(-square / pupil.filling**2)
        if pupil.profile is not None:
            rho = numerics.safe_sqrt(square)
            values = values * pupil.profile(rho)  # type: ignore[operator]
        return values

    return function


def plan_of(
    where: str,
    kind: str,
    intensity: bool,
    objective: Objective,
    window: Window,
    parts: Pupil,
    zeros: tuple[bool, ...],
    nodes: object,
) -> Plan:
    """Everything static: how many nodes, which terms vanish, whether the window is off the axis."""
    if kind == "scalar" and parts.jones == 2:
        raise TypeError(f"{where}: `pupil` is a JonesPupil, but the model is scalar.")
    count: int | PolarNodes | None = None
    between, shape = (0, 0), (0, 0)
    if parts.samples is not None:
        shape = (parts.samples.shape[-2], parts.samples.shape[-1])
        _nodes.check_samples(where, shape, objective, window)
        between = _nodes.between(where, objective, window, nodes)
    elif nodes is not None:
        count = _nodes.asked(where, objective, window, nodes)
    else:
        count = _nodes.planar(
            where, objective, window, parts.function, parts.jones, parts.modes, parts.coefficients
        )
    few = None if count is None else _nodes.few(objective, window, count)
    centered = _bounds.is_zero(window.y, window.x)
    odd = window.shape[0] % 2 and window.shape[1] % 2
    return Plan(
        kind, intensity, window.shape, count, shape, not (centered and odd), parts.modes, between,
        zeros, few,
    )  # fmt: skip


def prepared(
    where: str,
    kind: str,
    intensity: bool,
    objective: Objective,
    window: Window,
    pupil: object,
    e: Any,
    nodes: object,
) -> tuple[Plan, Numbers]:
    """Plan and numbers of a picture."""
    parts = taken_apart(where, pupil)
    zeros = NONE
    if _check.is_concrete(e):
        flat = np.asarray(e).reshape(-1, np.shape(e)[-1])
        zeros = tuple(bool(np.all(column == 0)) for column in flat.T)
    plan = plan_of(where, kind, intensity, objective, window, parts, zeros, nodes)
    values, step, real = parts.samples, None, jnp.result_type(float)
    if values is not None:
        step = np.array([2 / (n - 1) for n in plan.samples])
    elif parts.function is not None and plan.nodes is not None:
        at = _parity.smooth_nodes(plan.nodes)
        values = _nodes.evaluate(where, parts.function, parts.jones, at, real)
    if values is not None:
        values = values.astype(jnp.result_type(real, jnp.complex64))
    return plan, Numbers(
        objective, window.spacing, window.z, window.y, window.x, e, parts.coefficients, values,
        step,
    )  # fmt: skip
