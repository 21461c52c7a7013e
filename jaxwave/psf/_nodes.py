"""How many quadrature nodes the planar solver needs for a picture.

For traced aberrations the rule takes two waves rms of the worst mode. That costs little: a pupil's
many nodes are gathered at the few that hold the optics and the image (in float32, see few).

The planar rule: the integrand is an entire function of the chord coordinates (t, a).
Gauss-Legendre nodes lie at equal steps of arccos(t), so a phase whose steepest slope is w turns per
radian of that angle (or of arccos(a)) asks for 1.15 pi w nodes beyond the 20 (float64: 34) of the
disk itself.

A function whose values are known is tried where the program is traced, in float64, until the
picture does not change: chords for what is smooth, rings for what turns about the axis, rings with
breaks for what jumps on circles. Optics that are traced are replaced by usual ones, since what a
pupil asks for beyond a clear one hardly depends on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxwave import _check
from jaxwave.numerics import TAU
from jaxwave.psf import _parity
from jaxwave.psf._bounds import (
    RMS,
    aperture,
    are_known,
    breaks,
    degree,
    depth,
    digits,
    is_steep,
    kept,
    known,
    least,
    look,
    most,
    paths,
    planes,
    rays,
    reach,
    spacings,
    steps,
    waves,
)
from jaxwave.psf._parity import Nodes, PolarNodes
from jaxwave.psf.objective import Objective, Window
from jaxwave.zernike import Mode, mode_list

MOST = 2048
OPAQUE = 100  # nodes for those of a traced function: two waves of modes to order 4, but (4, +-4)


# -- planar solver: functions of the pupil -------------------------------------------------


def multiple(x: float) -> int:
    return 4 * math.ceil(x / 4)


def rule(objective: Objective, window: Window) -> int:
    """Chord nodes of a pupil without aberrations."""
    disk = 20 if digits() <= 6 else 34
    wave = max(waves(objective, window))
    return multiple(2 * math.pi * wave + math.pi * depth(objective, window) + disk)


def rings_of(
    objective: Objective, nodes: int, factor: float = 1.5, jumps: tuple[float, ...] = ()
) -> PolarNodes:
    """Rings that resolve the phase of so many chord nodes, split where optics or pupil jump."""
    count = math.ceil(factor * (nodes / 3 + 8))
    return PolarNodes(4 * count // 3, count, tuple(sorted({*breaks(objective), *jumps})))


def _fitting(objective: Objective, nodes: int) -> int | PolarNodes:
    """Chords, or rings where the optics has an edge."""
    return rings_of(objective, nodes) if is_steep(objective) or breaks(objective) else nodes


@lru_cache(maxsize=64)
def _slopes(modes: tuple[Mode, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Modes by the angles whose cosines are t and a, ``(modes, points)``; x = sin(pi a / 2).

    Gauss-Legendre nodes lie at equal steps of that angle: a slope at a rim costs little.
    """
    t = np.linspace(-0.995, 0.995, 64)
    angle = 0.5 * np.pi * t[:, None]
    y, x = np.cos(angle) * t, np.sin(angle) + 0 * t
    z = np.stack(mode_list(modes, y, x))
    step = t[1] - t[0]
    dense = np.sqrt(1 - ((t[1:] + t[:-1]) / 2) ** 2)
    along, across = np.diff(z, axis=2) / step * dense, np.diff(z, axis=1) / step * dense[:, None]
    return along.reshape(len(modes), -1), across.reshape(len(modes), -1)


def extra(modes: tuple[Mode, ...], coefficients: ArrayLike, wavelength: ArrayLike) -> int:
    """Nodes for an aberration, or for two waves rms of the worst mode if it is traced."""
    along, across = _slopes(modes)
    c = known(coefficients)
    if c is None or known(wavelength) is None:
        steps = [RMS * float(np.max(np.abs(a))) for a in (along, across)]
    else:
        turns = c.reshape(-1, len(modes)) / float(np.min(known(wavelength)))
        steps = [float(np.max(np.abs(turns @ a), initial=0.0)) for a in (along, across)]
    if not any(steps):
        return 0
    growth = 1.0 if digits() <= 6 else 1.3
    return multiple(growth * 1.15 * math.pi * max(steps) + 8)


def planar(
    where: str,
    objective: Objective,
    window: Window,
    pupil: PupilFunction | None,
    jones: int,
    modes: tuple[Mode, ...],
    coefficients: ArrayLike,
) -> int | PolarNodes:
    """Nodes for a clear pupil or a function of it, with Zernike modes in front."""
    more = extra(modes, coefficients, objective.wavelength) if modes else 0
    if pupil is None:
        return _fitting(objective, rule(objective, window) + more)
    count = searched(where, pupil, jones, objective, window)
    if isinstance(count, PolarNodes):
        return count._replace(radial=count.radial + more, azimuthal=count.azimuthal + more)
    return count + more


def _size(count: int | PolarNodes) -> int:
    """Nodes in a quadrant."""
    if isinstance(count, PolarNodes):
        return _parity.polar_nodes(count).weight.size
    return count * count // 4


def few(objective: Objective, window: Window, count: int | PolarNodes) -> _parity.Chords | None:
    """Nodes (x, t) that hold the optics and the waves to the image, if they are fewer.

    The degree of the nodes is the steepest slope by arccos(x), or arccos(t), and what the square
    root of the defocus and the apodization ask for: its branch point lies on the ellipse of an
    angle. Seven digits are held so; float64 has its own nodes, as 1e-10 would be left of 1e-13.
    """
    if digits() > 7 or is_steep(objective) or breaks(objective):
        return None
    n, na = most(objective.n_i, 1.5), aperture(objective)
    square = min(0.96 if na is None else (na / n) ** 2, 0.96)
    angle = math.acosh(1 / math.sqrt(square))
    x, t = np.meshgrid(np.linspace(0, 1, 65), np.linspace(0, 1, 65))
    rim_x, rim_t = np.sqrt(1 - x * x), np.sqrt(1 - t * t)
    rho2 = x * x + rim_x**2 * t * t
    # The defocus by rho, over rho.
    rate = square / np.sqrt(1 - square * rho2) / (1 - math.sqrt(1 - square))
    rate *= depth(objective, window)
    wy, wx = waves(objective, window, offset=False)
    slopes = (
        wx * rim_x + wy * t * x + rate * x * rim_t**2 * rim_x,
        wy * rim_x * rim_t + rate * rim_x**2 * t * rim_t,
    )
    turns = [TAU * float(np.max(slope)) for slope in slopes]
    need = [max(14 / angle, w + 7 * w ** (1 / 3) + 1.75 / angle) for w in turns]
    result = multiple(need[0]), multiple(need[1])
    return result if 4 * _size(count) > 1.3 * result[0] * result[1] else None


def asked(where: str, objective: Objective, window: Window, nodes: object) -> int | PolarNodes:
    """Nodes that the caller chose, with a warning if a known picture needs more."""
    if isinstance(nodes, PolarNodes):
        return _polar(where, nodes)
    nodes = _even(where, nodes)
    if are_known((objective, window)):
        need = rule(objective, window)
        least_right = need - 36
        if nodes < least_right:
            _check.warn(
                where,
                f"`nodes` = {nodes} are too few for this window and z range (less than 1e-2 "
                f"right); {need} would do. It is {least_right} at the very least.",
            )
    return nodes


def _even(where: str, nodes: Any) -> int:
    _check.integer(where, "nodes", nodes, 4, MOST)
    if nodes % 2:
        raise ValueError(f"{where}: `nodes` must be even, got {nodes}. Pass {nodes + 1}.")
    return int(nodes)


def _polar(where: str, nodes: PolarNodes) -> PolarNodes:
    _check.integer(where, "nodes.radial", nodes.radial, 2, MOST)
    _check.integer(where, "nodes.azimuthal", nodes.azimuthal, 2, MOST)
    edges = (0.0, *nodes.breaks, 1.0)
    if any(b <= a for a, b in pairwise(edges)):
        raise ValueError(
            f"{where}: `nodes.breaks` must ascend between 0 and 1, got {nodes.breaks}."
        )
    if any(b <= a for a, b in pairwise((0.0, *nodes.rays, math.pi / 2))):
        raise ValueError(
            f"{where}: `nodes.rays` must ascend between 0 and pi/2, got {nodes.rays}. A step at "
            "another azimuth is mirrored into that quadrant."
        )
    edges, rays = (tuple(map(float, e)) for e in (nodes.breaks, nodes.rays))
    return nodes._replace(breaks=edges, rays=rays)


PupilFunction = Callable[[Array, Array], Array]


def evaluate(
    where: str,
    pupil: PupilFunction,
    jones: int,
    nodes: Nodes,
    dtype: DTypeLike | None,
    room: int | None = None,
) -> Array:
    """Values of a pupil function in the four quadrants, ``(2, 2, jones, h, k)``.

    With ``room`` there are always so many points, whatever the nodes: one shape to compile for.
    """
    signs = _parity.signs()[..., None, None]
    shape = (2, 2, *nodes.weight.shape)
    y = np.broadcast_to(signs[:, :, 0] * nodes.y, shape).reshape(-1, shape[-1])
    x = np.broadcast_to(signs[:, :, 1] * nodes.x, shape).reshape(-1, shape[-1])
    size = x.size
    if room is not None:
        y, x = (np.pad(a.ravel(), (0, room - size), mode="edge")[None] for a in (y, x))
    values = jnp.asarray(pupil(jnp.asarray(y, dtype), jnp.asarray(x, dtype)))
    layout = (jones, *x.shape) if jones == 2 else x.shape
    if values.ndim != len(layout) and values.ndim > (jones == 2):
        _refuse(where, jones, values.shape, x.shape)
    try:
        values = jnp.broadcast_to(values, layout)
    except ValueError:
        _refuse(where, jones, values.shape, x.shape)
    _check.finite_array(where, "pupil", values)
    values = values.reshape(-1, x.size)[:, :size]
    return jnp.moveaxis(values.reshape(-1, *shape), 0, 2)


def _refuse(where: str, jones: int, got: tuple[int, ...], points: tuple[int, ...]) -> None:
    if jones == 2:
        need, fix = (
            "values (2, y, x)",
            "Its first axis holds the factors of the x and y components.",
        )
    else:
        need = "one value for each point (y, x)"
        fix = "For factors of the x and y components pass JonesPupil; for a batch use jax.vmap."
    raise ValueError(
        f"{where}: `pupil` must make {need}, got the shape {got} at {points} points. {fix}"
    )


# -- planar solver: places in the image ----------------------------------------------------


def between(where: str, objective: Objective, window: Window, nodes: object) -> _parity.Between:
    """Places across half the image at which a pupil is summed, if fewer than samples.

    A wave of w turns across half the image is a polynomial of 2 pi w degrees and some.
    """
    if isinstance(nodes, PolarNodes):
        raise ValueError(
            f"{where}: `nodes` must be an integer where `pupil` is sampled, got {nodes}. "
            "Pass the pupil as a function to use rings."
        )
    if nodes is not None:
        nodes = _even(where, nodes)
    na, wavelength = aperture(objective), known(objective.wavelength)
    pair, result = spacings(window), [0, 0]
    for axis, count in enumerate(window.shape):
        need = None
        if na is not None and wavelength is not None and pair is not None:
            half = (count - 1) / 2 * pair[axis]
            need = degree(TAU * half * na / float(np.min(wavelength)))
        if nodes is not None and need is not None and nodes < need - 12:
            _check.warn(where, f"`nodes` = {nodes} are too few for this window; {need} would do.")
        chosen = need if nodes is None else nodes
        # Not worth it for a few samples less.
        if chosen is not None and chosen < 0.8 * count:
            result[axis] = chosen // 2
    return result[0], result[1]


def check_samples(
    where: str,
    samples: tuple[int, int],
    objective: Objective,
    window: Window,
    name: str = "`pupil`",
) -> None:
    """Warns where the phase changes by more than half a turn between samples."""
    if not are_known((objective, window)):
        return
    n, na = least(objective.n_i, 1.0), most(objective.na, 1.0)
    far = max(reach(window) or [0.0])
    if na < n:
        far += max(abs(z) for z in planes(objective, window)) * na / math.sqrt(n**2 - na**2)
    need = math.ceil(4 * far * na / least(objective.wavelength, 0.5)) + 1
    if min(samples) < need:
        _check.warn(
            where,
            f"{name} of {samples} samples is too coarse for a window and z range that reach "
            f"{far:.3g} µm: the image repeats. Pass at least ({need}, {need}) samples.",
        )
    elif (edges := breaks(objective)) and min(samples) < 2049:
        error = 2.4e-3 * (257 / min(samples)) ** 1.5
        _check.warn(
            where,
            f"{name} is sampled across the critical angle at {edges[0]:.3g} pupil radii: up to "
            f"{error:.1g} of the peak off. Pass it as a function of (y, x), which is not.",
        )


# -- planar solver: search for the nodes of a function -------------------------------------

Values = Callable[..., Array]  # evaluate for one pupil


def searched(
    where: str, pupil: PupilFunction, jones: int, objective: Objective, window: Window
) -> int | PolarNodes:
    """Nodes for a function of the pupil: by convergence where all is known."""
    base, values = rule(objective, window), partial(evaluate, where, pupil, jones)
    seen = _seen(values)
    if seen is None:
        return _fitting(objective, base + OPAQUE)

    def found_for(o: Objective, w: Window) -> int | PolarNodes:
        return kept(lambda: _converged(where, pupil, values, look(o), look(w)), (o, w), seen)

    if are_known((objective, window)):
        return found_for(objective, window)
    # What the pupil asks for beyond a clear one is seen in a picture of known numbers.
    usual, plain = Objective(1.0, 1.0, n=1.5), Window(window.shape, spacing=0.25)
    found, bare = found_for(usual, plain), rule(usual, plain)
    if isinstance(found, PolarNodes):
        more = found.azimuthal / rings_of(usual, bare, 1.0).azimuthal
        return rings_of(objective, base, 1.5 * more, found.breaks)._replace(rays=found.rays)
    return _fitting(objective, base + max(found - bare, 0) + 8)


def _seen(values: Values) -> bytes | None:
    """The pupil's values at a probe of nodes, if they do not depend on anything traced."""
    try:
        with jax.ensure_compile_time_eval():
            seen = values(_parity.smooth_nodes(32), jnp.result_type(float))
    except jax.errors.UnexpectedTracerError:
        return None
    return np.asarray(seen).tobytes() if _check.is_concrete(seen) else None


def _converged(
    where: str, pupil: PupilFunction, values: Values, objective: Objective, window: Window
) -> int | PolarNodes:
    """Raises the number of nodes until the field does not change: chords first, then rings."""
    right, base = digits(), rule(objective, window)
    chords = [multiple(base * 1.2**k) + 8 * (k > 0) for k in range(5)]

    change = 0.0

    def settle(sizes: list[Any]) -> Any:
        nonlocal change
        room = 4 * _parity.smooth_nodes(sizes[-1]).weight.size
        before = _sums(values, objective, window, sizes[0], room)
        for size, more in pairwise(sizes):
            after = _sums(values, objective, window, more, room)
            change = float(np.max(np.abs(after - before)) / np.max(np.abs(after)))
            if change < 0.3 * 10.0**-right:
                return size
            before = after
        return None

    def rings(jumps: tuple[float, ...] = (), at: tuple[float, ...] = ()) -> list[PolarNodes]:
        return [rings_of(objective, base, 1.5**k, jumps)._replace(rays=at) for k in range(4)]

    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        found = settle(chords) or settle(rings())
        if not found and any(jumps := (steps(pupil), rays(pupil))):
            found = settle(rings(*jumps))
        # A slope that is steep, but a slope.
        found = found or settle([multiple(f * chords[-1]) for f in (1, 1.5, 2.2, 3.2)])
    if found is None:
        raise ValueError(
            f"{where}: `pupil` is not smooth enough for an error of 1e-{right}. Pass "
            "nodes=PolarNodes(breaks=..., rays=...) with the radii and azimuths of its steps, or "
            "samples (y, x) instead of the function; or nodes="
            f"{multiple(3.2 * chords[-1])} to accept an error of about {change:.0e}."
        )
    return found


def _sums(
    values: Values, objective: Objective, window: Window, count: int | PolarNodes, room: int
) -> np.ndarray:
    """Scalar field at the window's corners, sides and middle in the outermost planes."""
    nodes = _parity.smooth_nodes(count)
    pupil = np.asarray(values(nodes, float, room))[:, :, 0].astype(complex)
    rho = np.sqrt(nodes.x**2 + nodes.y**2)
    n, na = least(objective.n_i, 1.0), most(objective.na, 1.0)
    rate = 2j * np.pi / least(objective.wavelength, 0.5)
    power = {"aplanatic": -0.25, "herschel": -0.5, "none": 0.0}[objective.apodization]
    weight = nodes.weight * (1 - (na * rho / n) ** 2) ** power
    ys, xs = _places(window)
    signs = _parity.signs()[..., None, None]
    results = []
    for z in planes(objective, window):
        path = paths(objective, rho.reshape(-1), z)[0].reshape(rho.shape)
        u = pupil * weight * np.exp(rate * path)
        for py in ys:
            wave = u * np.exp(rate * na * py * signs[:, :, 0] * nodes.y)
            results += [
                np.sum(wave * np.exp(rate * na * px * signs[:, :, 1] * nodes.x)) for px in xs
            ]
    return np.array(results)


def _places(window: Window) -> list[list[float]]:
    """First, middle and last sample of both axes [µm]."""
    result = []
    for count, d, place in zip(
        window.shape, spacings(window) or (), (window.y, window.x), strict=True
    ):
        middle = float(np.max(place))
        result.append([middle - count // 2 * d, middle, middle + (count - 1) // 2 * d])
    return result
