"""What is known of objective and window when a program is traced, and what bounds the rest.

The size of a program must be known when the program is traced. Two sources bound it. Numbers that
are known: factories and keyword arguments, and what an eager ``jax.grad`` differentiates. Else what
static shapes imply: a traced spacing is taken to resolve the intensity (spacing <= wavelength /
(4 na)), a traced aperture to stay below the immersion's index, a traced place inside the window,
traced planes within ten wavelengths of the focus.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxwave import _check
from jaxwave._noun import changed
from jaxwave.numerics import TAU
from jaxwave.psf.objective import Objective, RadialPupil, Window
from jaxwave.zernike import zernike_norm


class Numbers(NamedTuple):
    """What may be traced. Every leaf has the batch axes in front; z has its planes behind."""

    objective: Objective
    spacing: Any  # (..., 2)
    z: Any  # (..., planes)
    y: Any
    x: Any
    e: Any  # (..., 2 or 3): Jones vector or dipole
    coefficients: Any  # (..., modes) or None
    values: Any  # of the pupil: at the solver's nodes, samples, or None
    step: Any = None  # (..., 2): spacing of a sampled pupil [pupil radii]
    scale: Any = None  # amplitude of the spectrum, if it is not that of unit power
    filling: Any = None  # of a round pupil


FAR = 10.0  # wavelengths from the focus that traced planes are taken to be at most
RMS = 2.0  # waves of aberration that traced coefficients are taken to have at most


def known(value: object) -> np.ndarray | None:
    """A number as numpy where it can be looked at, also inside an eager ``jax.grad``."""
    while isinstance(value, jax.core.Tracer):
        value = getattr(value, "primal", None)
    if value is None or isinstance(value, jax.ShapeDtypeStruct):
        return None
    return np.asarray(value, float)


def are_known(tree: object) -> bool:
    """Tells whether every number of a pytree can be looked at."""
    return all(known(leaf) is not None for leaf in jax.tree.leaves(tree))


def look(tree: object) -> Any:
    """The pytree in numpy; every number must be known."""
    return jax.tree.map(known, tree)


def is_zero(*values: object) -> bool:
    """Tells whether all of these numbers are known to be zero."""
    found = [known(value) for value in values]
    return all(value is not None and not np.any(value) for value in found)


def digits() -> int:
    """Decimal digits that the precision asks for."""
    return 6 if jnp.result_type(float) == jnp.float32 else 9


def most(value: object, default: float) -> float:
    """Largest entry, or a default if it is not known."""
    found = known(value)
    return default if found is None else float(np.max(np.abs(found), initial=0.0))


def least(value: object, default: float) -> float:
    """Smallest entry, or a default if it is not known."""
    found = known(value)
    return default if found is None else float(np.min(found))


Kept = TypeVar("Kept")
_KEPT: OrderedDict[object, Any] = OrderedDict()


def kept(make: Callable[[], Kept], tree: object, *statics: object) -> Kept:
    """What is made of known numbers, made once for them; the latest 256 stay."""
    leaves, structure = jax.tree.flatten(tree)
    numbers = [known(leaf) for leaf in leaves]
    if any(number is None for number in numbers):
        return make()
    sizes = tuple((a.shape, a.tobytes()) for a in numbers if a is not None)
    key = (structure, digits(), statics, sizes)
    if key not in _KEPT:
        _KEPT[key] = make()
        if len(_KEPT) > 256:
            _KEPT.popitem(last=False)
    return _KEPT[key]


# -- the window ----------------------------------------------------------------------------


def aperture(objective: Objective) -> float | None:
    """Largest aperture that the objective may have: its own, or its index if it is traced."""
    na, n = known(objective.na), known(objective.n_i)
    if na is not None:
        return float(np.max(na))
    return None if n is None else float(np.max(n))


def spacings(window: Window) -> list[float] | None:
    """Largest spacing along y and x [µm], if it is known."""
    spacing = known(window.spacing)
    if spacing is None:
        return None
    pair = spacing if spacing.ndim else np.broadcast_to(spacing, (2,))
    return [float(np.max(pair[..., axis])) for axis in (0, 1)]


def reach(window: Window, *, offset: bool = True) -> list[float] | None:
    """Farthest sample from the origin along y and x [µm], if the spacing is known.

    Without ``offset`` from the middle of the window.
    """
    pair = spacings(window)
    if pair is None:
        return None
    halves = [n // 2 * d for n, d in zip(window.shape, pair, strict=True)]
    places = zip(halves, (window.y, window.x), strict=True)
    return [half + most(place, half) * offset for half, place in places]


def waves(objective: Objective, window: Window, *, offset: bool = True) -> list[float]:
    """Turns of phase that the farthest samples (y, x) add across the radius of the pupil."""
    na, wavelength = aperture(objective), known(objective.wavelength)
    far = reach(window, offset=offset)
    bound = [
        n // 2 * (0.5 if offset and not is_zero(p) else 0.25)
        for n, p in zip(window.shape, (window.y, window.x), strict=True)
    ]
    if na is None or wavelength is None or far is None:
        return bound
    found = [na * f / float(np.min(wavelength)) for f in far]
    if known(objective.na) is not None:
        return found
    # An aperture up to the index: no further than where the samples resolve the intensity.
    return [min(pair) for pair in zip(found, bound, strict=True)]


# -- the path ------------------------------------------------------------------------------


def paths(objective: Objective, s: np.ndarray, z: float) -> np.ndarray:
    """Optical path of rays s to a plane, complex ``(batch, rays)`` [µm]; imaginary: decay.

    In numpy, without the piston; every leaf of the objective is known. ``s`` is in units of na.
    """
    o: Objective = look(objective)
    batch = np.broadcast_shapes(*(np.shape(leaf) for leaf in jax.tree.leaves(o)))

    def column(value: object) -> np.ndarray:
        return np.broadcast_to(np.asarray(value, float), batch).reshape(-1, 1)

    ray = s * column(o.na)

    def root(index: object) -> np.ndarray:
        index = column(index)
        return np.sqrt(index * index - ray * ray + 0j) - index

    if o.layers is None:
        return z * root(o.n)
    layers, emitter = o.layers, o.motion == "emitter"
    depth = column(layers.t_s) + (z if emitter else 0.0)
    path = depth * root(layers.n_s).real + 1j * np.abs(depth) * root(layers.n_s).imag
    parts = [(n, t, 1) for n, t in zip(layers.n_g, layers.t_g, strict=True)]
    parts += [(n, t, -1) for n, t in zip(layers.n_g_design, layers.t_g_design, strict=True)]
    parts += [(layers.n_i_design, layers.t_i_design, -1)]
    thickness = -column(layers.t_s) / column(layers.n_s) * column(layers.n_i)
    for n, t, sign in parts:
        path = path + sign * column(t) * (root(n) if sign > 0 else root(n).real)
        thickness = thickness - sign * column(t) / column(n) * column(layers.n_i)
    thickness = thickness if layers.t_i is None else column(layers.t_i)
    return path + (thickness + (0.0 if emitter else z)) * root(layers.n_i).real


def planes(objective: Objective, window: Window) -> list[float]:
    """The outermost planes [µm], or as far as traced ones are taken to be."""
    z = known(window.z)
    if z is None:
        far = FAR * least(objective.wavelength, 0.5)
        return [-far, far]
    return sorted({float(np.min(z, initial=0.0)), float(np.max(z, initial=0.0))})


def depth(objective: Objective, window: Window) -> float:
    """Range of the phase over the pupil [turns] in the outermost planes."""
    n, na = most(objective.n_i, 1.5), aperture(objective)
    cosine = 0.3 if na is None else math.sqrt(max(1 - (na / n) ** 2, 0.0))
    shortest, ends = least(objective.wavelength, 0.5), planes(objective, window)
    if objective.layers is not None and are_known(objective):
        s = np.linspace(0, 1, 65)
        ranges = [np.ptp(paths(objective, s, z).real, axis=-1) for z in ends]
        return float(np.max(ranges)) / shortest
    far = max(abs(z) for z in ends) / shortest
    return far * n * (1 - cosine) + (FAR if objective.layers is not None else 0.0)


def breaks(objective: Objective) -> tuple[float, ...]:
    """Radii of critical angles inside the aperture, in pupil radii."""
    if objective.layers is None or not are_known((objective.na, objective.layers)):
        return ()
    o = look(objective)
    indices = [n / o.na for n in o.layers.n[1:]]
    found = {float(b) for index in indices for b in np.ravel(index)}
    return tuple(sorted(b for b in found if 1e-3 < b < 0.999))


def steps(pupil: Callable[[Array, Array], Array]) -> tuple[float, ...]:
    """Radii of the circles on which a function of (y, x) jumps, in pupil radii."""
    angle = 0.17 + 2 * math.pi * np.arange(11) / 11
    return tuple(_jumps(pupil, (np.arange(512) + 0.437) / 512, lambda rho: (rho, angle)).tolist())


def rays(pupil: Callable[[Array, Array], Array]) -> tuple[float, ...]:
    """Azimuths of the rays from the axis on which a function jumps, in the first quadrant."""
    rho = (np.arange(11) + 0.6) / 11.7
    edges = (np.arange(1025) + 0.437) * 2 * math.pi / 1024
    found = _jumps(pupil, edges, lambda phi: (rho, phi)) % math.pi
    folded = np.sort(np.minimum(found, math.pi - found))
    folded = folded[(folded > 1e-6) & (folded < math.pi / 2 - 1e-6)]
    return tuple(folded[np.diff(folded, prepend=0) > 1e-6].tolist())


def _jumps(
    pupil: Callable[[Array, Array], Array],
    edges: np.ndarray,
    polar: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Places between ``edges`` at which a function jumps.

    What changes between neighbors on most of a few lines is halved until it is a thousand millionth
    wide; a change that is still there is a jump, a steep slope is not. Places and lines are (radii,
    azimuths) by ``polar``.
    """

    def at(place: np.ndarray) -> np.ndarray:
        rho, angle = polar(place[:, None])
        y, x = rho * np.sin(angle), rho * np.cos(angle)
        values = np.asarray(pupil(jnp.asarray(y), jnp.asarray(x)))
        return np.broadcast_to(values, (*values.shape[:-2], *y.shape)).reshape(-1, *y.shape)

    values = at(edges)
    size = float(np.max(np.abs(values), initial=0.0))
    change = np.median(np.max(np.abs(np.diff(values, axis=1)), axis=0), axis=-1)
    found = np.flatnonzero(change > 0.01 * size)
    if not 0 < len(found) <= 32:
        return np.zeros(0)
    low, high = edges[found], edges[found + 1]
    first, last = at(low), at(high)
    for _ in range(24):
        middle = (low + high) / 2
        here = at(middle)
        is_low = np.sum(np.abs(here - first), axis=(0, -1)) < np.sum(
            np.abs(here - last), axis=(0, -1)
        )
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
        first = np.where(is_low[:, None], here, first)
        last = np.where(is_low[:, None], last, here)
    jump = np.median(np.max(np.abs(last - first), axis=0), axis=-1) > 0.005 * size
    return ((low + high) / 2)[jump]


def is_steep(objective: Objective) -> bool:
    """Tells whether the apodization is almost singular at the rim."""
    na, n = known(objective.na), known(objective.n_i)
    return na is not None and n is not None and bool(np.any(na > 0.98 * n))


def check_spacing(where: str, objective: Objective, window: Window) -> None:
    """Warns of a window whose neighbors are so far apart that not two lie in the focus.

    Fields and intensities may be sampled more coarsely than they could be drawn (wavelength/(2 na)
    and half of that): every sample is right. Beyond wavelength/na a unit was meant otherwise.
    """
    spacing = known(window.spacing)
    if spacing is None or not are_known((objective.wavelength, objective.na)):
        return
    limit = most(objective.wavelength, 1.0) / least(objective.na, 1.0)
    pair = spacing if spacing.ndim else np.broadcast_to(spacing, (2,))
    widest = max((float(np.min(pair[..., k])) for k in (0, 1) if window.shape[k] > 1), default=0.0)
    if widest > limit:
        _check.warn(
            where,
            f"the window's `spacing` of {widest:.4g} µm is larger than the focus (wavelength/na = "
            f"{limit:.3g} µm), of which it shows one sample. {limit / 4:.2g} µm resolve the "
            "intensity; lengths are in micrometers, or texts such as '50 nm'.",
        )


def degree(x: float) -> int:
    """Terms of exp(i x t), -1 < t < 1, in Chebyshev polynomials: J_n(x) beyond them is rounding."""
    slope, more, least = (7, 6, -19) if digits() <= 6 else (11.5, 12, -37)
    large = math.ceil(x + slope * x ** (1 / 3) + more)
    # J_n(x) < (x / 2)^n / n!, which tells more where x is small.
    half = math.log(max(x, 1e-9) / 2)
    few = (n for n in range(1, large) if n * half - math.lgamma(n + 1) < least)
    return 8 * math.ceil(next(few, large) / 8)


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


def radial(
    objective: Objective, window: Window, pupil: RadialPupil, intensity: bool
) -> RadialCount:
    """Nodes of the radial solver for a picture; they do not depend on the profile."""
    nouns = objective, window, changed(pupil, profile=None)
    return kept(lambda: _radial(*nouns, intensity), nouns, intensity)


def _radial(
    objective: Objective, window: Window, pupil: RadialPupil, intensity: bool
) -> RadialCount:
    double = digits() > 6
    tolerance = 1e-15 if double else 3e-8
    x = TAU * math.hypot(*waves(objective, window))
    if (far := reach(window)) is not None and are_known((objective.na, objective.wavelength)):
        # The table covers one pixel at least.
        pitch = max(spacings(window) or [0.0])
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
    shorter, ends = least(objective.wavelength, 0.5), planes(objective, window)
    result = []
    for s, stretch in zip(panels, (math.pi / 2, 1.0), strict=True):
        slope = _aberration(pupil, shorter, t, s / na)
        if are_known(objective):
            # Relative to the largest aperture, as paths() takes its rays.
            turns = [TAU / shorter * paths(objective, s / na, z).real for z in ends]
            steps = np.max(np.abs(np.diff(turns)), axis=(0, 1)) + np.diff(s) * x / na
            slope += float(np.max(steps)) * (len(t) - 1) / 2
        else:
            far = max(FAR, max(abs(z) for z in ends) / shorter)
            slope += 13 + math.pi * 1.5 * far + x / 2 * stretch
        result.append(slope)
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
