"""How many quadrature nodes a picture needs: one rule for each solver.

For traced aberrations the rule takes two waves rms of the worst mode. That costs little: a pupil's
many nodes are gathered at the few that hold the optics and the image (in float32, see few).

The planar rule: the integrand is an entire function of the chord coordinates (t, a).
Gauss-Legendre nodes lie at equal steps of arccos(t), so a phase whose steepest slope is w turns per
radian of that angle (or of arccos(a)) asks for 1.15 pi w nodes beyond the 20 (float64: 34) of the
disk itself.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxwave import _check
from jaxwave.numerics import TAU
from jaxwave.psf import _parity
from jaxwave.psf._bounds import (
    FAR,
    aperture,
    are_known,
    breaks,
    degree,
    depth,
    digits,
    is_steep,
    known,
    least,
    most,
    paths,
    planes,
    reach,
    seen,
    waves,
)
from jaxwave.psf._parity import Nodes, PolarNodes
from jaxwave.psf.objective import Objective, RadialPupil, Window
from jaxwave.zernike import Mode, mode_list, zernike_norm

MOST = 2048
RMS = 2.0  # waves of aberration that traced coefficients are taken to have at most
OPAQUE = 100  # nodes for those of a traced function: two waves of modes to order 4, but (4, +-4)


# -- planar solver: functions of the pupil -------------------------------------------------


def multiple(x: float) -> int:
    return 4 * math.ceil(x / 4)


def rule(objective: Objective, window: Window) -> int:
    """Chord nodes of a pupil without aberrations."""
    disk = 20 if digits() <= 6 else 34
    wave = max(waves(objective, window))
    return multiple(2 * math.pi * wave + math.pi * depth(objective, window) + disk)


def rings_of(objective: Objective, nodes: int, factor: float) -> PolarNodes:
    """Rings that resolve the phase of so many chord nodes, split at the critical angles."""
    count = math.ceil(factor * (nodes / 3 + 8))
    return PolarNodes(4 * count // 3, count, breaks(objective))


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


Kept = TypeVar("Kept")


def kept(store: OrderedDict[Any, Kept], key: object, make: Callable[[], Kept]) -> Kept:
    """What is stored under a key, made where it is missing; the latest 256 stay."""
    if key not in store:
        store[key] = make()
        if len(store) > 256:
            store.popitem(last=False)
    return store[key]


def planar(
    objective: Objective, window: Window, modes: tuple[Mode, ...], coefficients: ArrayLike
) -> int | PolarNodes:
    """Nodes for a clear pupil or one with Zernike modes."""
    base = rule(objective, window)
    more = extra(modes, coefficients, objective.wavelength) if modes else 0
    if is_steep(objective) or breaks(objective):
        return rings_of(objective, base + more, 1.5)
    return base + more


def _size(count: int | PolarNodes) -> int:
    """Nodes in a quadrant."""
    if isinstance(count, PolarNodes):
        return count.radial * count.azimuthal * (len(count.breaks) + 1)
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
    return nodes._replace(breaks=tuple(float(b) for b in nodes.breaks))


PupilFunction = Callable[[Array, Array], Array]


def evaluate(
    where: str,
    pupil: PupilFunction,
    nodes: Nodes,
    dtype: DTypeLike | None,
    jones: int,
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
    spacing = known(window.spacing)
    result = [0, 0]
    for axis, count in enumerate(window.shape):
        need = None
        if na is not None and wavelength is not None and spacing is not None:
            half = float(_parity.half_indices(count)[-1])
            d = float(np.max(spacing if not spacing.ndim else spacing[..., axis]))
            need = degree(2 * math.pi * half * d * na / float(np.min(wavelength)))
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
    n, na = float(np.min(known(objective.n_i))), float(np.max(known(objective.na)))
    far = max(reach(window) or [0.0])
    if na < n:
        far += max(abs(z) for z in planes(objective, window)) * na / math.sqrt(n**2 - na**2)
    need = math.ceil(4 * far * na / float(np.min(known(objective.wavelength)))) + 1
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


# -- radial solver -------------------------------------------------------------------------

RadialCount = tuple[int, int, int]  # nodes inside and beyond the least index, and of r^2


def _series_length(x: float, tolerance: float) -> int:
    """Least k with J_k(x) below a tolerance, by the bound (e x / 2k)**k / sqrt(2 pi k)."""
    k = max(2, math.ceil(x))
    while k * (1 + math.log(max(x, 1e-9) / (2 * k))) - 0.5 * math.log(TAU * k) > math.log(
        tolerance
    ):
        k += 1
    return k


# Counts by all numbers of a picture: an eager call would search for them again and again.
_COUNTED: OrderedDict[Any, RadialCount] = OrderedDict()


def radial(
    objective: Objective, window: Window, pupil: RadialPupil, intensity: bool
) -> RadialCount:
    """Nodes of the radial solver for a picture."""
    leaves, structure = jax.tree.flatten((objective, window, pupil))
    numbers = [seen(leaf) for leaf in leaves]
    if any(value is None for value in numbers):
        return _radial(objective, window, pupil, intensity)
    sizes = tuple((a.shape, a.dtype.char, a.tobytes()) for a in numbers if a is not None)
    key = (structure, intensity, digits(), sizes)
    return kept(_COUNTED, key, lambda: _radial(objective, window, pupil, intensity))


def _radial(
    objective: Objective, window: Window, pupil: RadialPupil, intensity: bool
) -> RadialCount:
    double = digits() > 6
    tolerance = 1e-15 if double else 3e-8
    x = TAU * math.hypot(*waves(objective, window))
    if (far := reach(window)) is not None and are_known((objective.na, objective.wavelength)):
        # The table covers one pixel at least.
        pitch = float(np.max(known(window.spacing)))
        scale = most(objective.na, 1.0) / least(objective.wavelength, 0.5)
        x = TAU * scale * max(math.hypot(*far), pitch)
    table = _series_length(x if intensity else x / 2, math.sqrt(tolerance)) + 2
    lowest, na = 0.0, 1.0
    if are_known((objective.na, objective.n_i, objective.n_s)):
        na = most(objective.na, 1.0)
        lowest = min(least(objective.n_i, 1.0), least(objective.n_s, 1.0))
    has_edge = objective.layers is not None and na >= lowest * (1 - 1e-3)
    floor = (24 if double else 14) if objective.layers is None else (56 if double else 28)
    slopes = _radial_slopes(objective, window, pupil, x, na, lowest or na)
    inner = max(floor, _series_length(slopes[0], tolerance) // 2 + 6)
    outer = max(floor * 3 // 4, _series_length(slopes[1], tolerance) // 2 + 6) if has_edge else 0
    return 8 * math.ceil(inner / 8), 8 * math.ceil(outer / 8), 4 * math.ceil(table / 4)


def _radial_slopes(
    objective: Objective, window: Window, pupil: RadialPupil, x: float, na: float, lowest: float
) -> list[float]:
    """Largest change of phase per unit of a variable on [-1, 1], in both panels."""
    edge = min(na, lowest)
    t = np.linspace(0, 1, 129)
    panels = [lowest * np.sin(t * np.arcsin(edge / lowest)), edge + (na - edge) * t * t]
    all_known = are_known(objective)
    shorter = least(objective.wavelength, 0.5)
    unknown = 13 + math.pi * 1.5 * max(
        FAR, max(abs(z) for z in planes(objective, window)) / shorter
    )
    result = []
    for s, stretch in zip(panels, (math.pi / 2, 1.0), strict=True):
        rate = (len(t) - 1) / 2
        across = np.abs(np.diff(s)) * x / na
        if not all_known:
            result.append(unknown + x / 2 * stretch + _aberration(pupil, shorter, t, s / na))
            continue
        # Relative to the largest aperture, as paths() takes its rays.
        steps = [
            np.abs(np.diff(TAU / shorter * paths(objective, s / na, z).real, axis=-1))
            for z in planes(objective, window)
        ]
        total = np.max(np.maximum.reduce(steps), axis=0) + across
        result.append(float(np.max(total)) * rate + _aberration(pupil, shorter, t, s / na))
    return result


def _aberration(pupil: RadialPupil, wavelength: float, t: np.ndarray, rho: np.ndarray) -> float:
    """What Zernike modes and a Gaussian filling add to the slope; two waves if they are traced."""
    rho, total = np.minimum(rho, 1), 0.0
    rate = (len(t) - 1) / 2
    if pupil.modes:
        # The modes (n, 0) are Legendre polynomials of 2 rho^2 - 1.
        basis = np.stack([
            zernike_norm(n, 0) * np.polynomial.legendre.Legendre.basis(n // 2)(2 * rho * rho - 1)
            for n, _ in pupil.modes
        ])  # fmt: skip
        steps = np.diff(basis, axis=-1) * rate
        c = known(pupil.coefficients)
        waves_of = np.eye(len(pupil.modes)) * RMS if c is None else c / wavelength
        turns = waves_of.reshape(-1, len(pupil.modes)) @ steps
        total += TAU * float(np.max(np.abs(turns), initial=0.0))
    if pupil.filling is not None:
        # exp(-rho^2 / w^2) has the degrees of a wave of 1 / w^2 radians or so.
        w = max(least(pupil.filling, 0.1), 1e-2)
        total += 2 / w**2 if w > 0.2 else 10 / w
    return total


def asked_radial(
    where: str, objective: Objective, window: Window, need: RadialCount, nodes: object
) -> RadialCount:
    """Nodes that the caller chose, with a warning if a known picture needs more."""
    given = tuple(nodes) if isinstance(nodes, tuple | list) else ()
    if len(given) != 3 or not all(_check.is_integer(k) for k in given):
        raise ValueError(
            f"{where}: `nodes` must be three integers (inside and beyond the critical angle, and "
            f"radial) for a circularly symmetric pupil, got {nodes!r}. Take them from psf.nodes."
        )
    if are_known((objective, window)) and any(h < n for h, n in zip(given, need, strict=True)):
        _check.warn(
            where,
            f"`nodes` {given} may be too few for this aperture, window and z; {need} would do.",
        )
    return int(given[0]), int(given[1]), int(given[2])
