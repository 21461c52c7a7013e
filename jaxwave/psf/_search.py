"""How many nodes a function of the pupil takes: raised until the picture does not change.

A function whose values are known is tried where the program is traced, in float64: chords for what
is smooth, rings for what turns about the axis, rings with breaks for what jumps on circles. Optics
that are traced are replaced by usual ones, since what a pupil asks for beyond a clear one hardly
depends on them.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxwave import _check
from jaxwave.psf import _parity
from jaxwave.psf._bounds import (
    are_known,
    breaks,
    digits,
    is_steep,
    known,
    look,
    paths,
    planes,
    steps,
)
from jaxwave.psf._nodes import (
    OPAQUE,
    PupilFunction,
    evaluate,
    kept,
    multiple,
    rings_of,
    rule,
)
from jaxwave.psf._parity import PolarNodes
from jaxwave.psf.objective import Objective, Window


def searched(
    where: str, pupil: PupilFunction, jones: int, objective: Objective, window: Window
) -> int | PolarNodes:
    """Nodes for a function of the pupil: by convergence where all is known."""
    base = rule(objective, window)
    seen = _seen(where, pupil, jones)
    has_rings = is_steep(objective) or bool(breaks(objective))
    if seen is None:
        return rings_of(objective, base + OPAQUE, 1.5) if has_rings else base + OPAQUE
    if are_known((objective, window)):
        return _known(where, pupil, jones, objective, window, seen)
    # What the pupil asks for beyond a clear one is seen in a picture of known numbers.
    usual, plain = Objective(1.0, 1.0, n=1.5), Window(window.shape, spacing=0.25)
    found, bare = _known(where, pupil, jones, usual, plain, seen), rule(usual, plain)
    if isinstance(found, PolarNodes):
        rings = rings_of(
            objective, base, 1.5 * found.azimuthal / rings_of(usual, bare, 1.0).azimuthal
        )
        edges = tuple(sorted({*breaks(objective), *found.breaks}))
        return rings._replace(breaks=edges)
    count = base + max(found - bare, 0) + 8
    return rings_of(objective, count, 1.5) if has_rings else count


def _known(
    where: str,
    pupil: PupilFunction,
    jones: int,
    objective: Objective,
    window: Window,
    seen: np.ndarray,
) -> int | PolarNodes:
    """The set of nodes where all is known, found once."""
    base = rule(objective, window)
    numbers = [np.asarray(known(leaf)).tobytes() for leaf in jax.tree.leaves((objective, window))]
    statics = (window.shape, digits(), objective.apodization, objective.motion)
    key = hashlib.sha256(b"".join([seen.tobytes(), *numbers, repr(statics).encode()])).digest()

    def search() -> int | PolarNodes:
        return _converged(where, pupil, jones, look(objective), look(window), base)

    return kept(_FOUND, key, search)


# Found by the values of the pupil at a probe of nodes, the optics and the window.
_FOUND: OrderedDict[bytes, int | PolarNodes] = OrderedDict()


def _seen(where: str, pupil: PupilFunction, jones: int) -> np.ndarray | None:
    """The pupil's values at a probe of nodes, if they do not depend on anything traced."""
    try:
        with jax.ensure_compile_time_eval():
            probe = _parity.smooth_nodes(32)
            values = evaluate(where, pupil, probe, jnp.result_type(float), jones)
    except jax.errors.UnexpectedTracerError:
        return None
    return np.asarray(values) if _check.is_concrete(values) else None


def _converged(
    where: str,
    pupil: PupilFunction,
    jones: int,
    objective: Objective,
    window: Window,
    base: int,
) -> int | PolarNodes:
    """Raises the number of nodes until the field does not change: chords first, then rings."""
    right = digits()
    chords = [multiple(base * 1.2**k) + 8 * (k > 0) for k in range(5)]
    rings = [rings_of(objective, base, 1.5**k) for k in range(4)]

    def settle(sizes: list[Any]) -> Any:
        room = 4 * _parity.smooth_nodes(sizes[-1]).weight.size
        before = _sums(where, pupil, jones, objective, window, sizes[0], room)
        for size, more in pairwise(sizes):
            after = _sums(where, pupil, jones, objective, window, more, room)
            if np.max(np.abs(after - before)) < 0.3 * 10.0**-right * np.max(np.abs(after)):
                return size
            before = after
        return None

    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        found = settle(chords) or settle(rings)
        jumps = () if found else steps(pupil)
        if jumps:
            edges = tuple(sorted({*breaks(objective), *jumps}))
            found = settle([ring._replace(breaks=edges) for ring in rings])
        # A slope that is steep, but a slope.
        found = found or settle([multiple(f * chords[-1]) for f in (1, 1.5, 2.2, 3.2)])
    if found is None:
        raise ValueError(
            f"{where}: `pupil` is not smooth enough for an error of 1e-{right}. Pass "
            "nodes=PolarNodes(breaks=...) with the radii of its steps, or samples (y, x) instead "
            f"of the function; or nodes={chords[-1]} to accept a larger error."
        )
    return found


def _sums(
    where: str,
    pupil: PupilFunction,
    jones: int,
    objective: Objective,
    window: Window,
    count: int | PolarNodes,
    room: int,
) -> np.ndarray:
    """Scalar field at the window's corners, sides and middle in the outermost planes."""
    nodes = _parity.smooth_nodes(count)
    values = np.asarray(evaluate(where, pupil, nodes, float, jones, room))[:, :, 0].astype(complex)
    rho = np.sqrt(nodes.x**2 + nodes.y**2)
    n, na, wavelength = (
        float(np.max(objective.n_i)), float(np.max(objective.na)),
        float(np.min(objective.wavelength)),
    )  # fmt: skip
    power = {"aplanatic": -0.25, "herschel": -0.5, "none": 0.0}[objective.apodization]
    weight = nodes.weight * (1 - (na * rho / n) ** 2) ** power
    ys, xs = _places(window)
    signs = _parity.signs()[..., None, None]
    results = []
    for z in planes(objective, window):
        path = paths(objective, rho.reshape(-1), z)[0].reshape(rho.shape)
        u = values * weight * np.exp(2j * np.pi * path / wavelength)
        for py in ys:
            wave = u * np.exp(2j * np.pi * na / wavelength * py * signs[:, :, 0] * nodes.y)
            for px in xs:
                x = np.exp(2j * np.pi * na / wavelength * px * signs[:, :, 1] * nodes.x)
                results.append(np.sum(wave * x))
    return np.array(results)


def _places(window: Window) -> list[list[float]]:
    """First, middle and last sample of both axes [µm]."""
    pair = np.broadcast_to(window.spacing, (2,)) if np.ndim(window.spacing) == 0 else window.spacing
    result = []
    for axis, place in enumerate((window.y, window.x)):
        count, d, middle = window.shape[axis], float(np.max(pair[..., axis])), float(np.max(place))
        low, high = middle - (count // 2) * d, middle + ((count - 1) // 2) * d
        result.append([low, middle, high])
    return result
