"""Pupils at quadrature nodes, and how many nodes they need."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxwave import _check
from jaxwave.psf import _folded
from jaxwave.psf._folded import Nodes, PolarNodes
from jaxwave.psf.stratified import immersion_thickness

MOST = 2048


def clear(x: Array, y: Array) -> Array:
    """The pupil that lets everything pass."""
    return jnp.ones_like(x * y)


def evaluate(
    where: str,
    pupil: Callable[[Array, Array], Array],
    nodes: Nodes,
    dtype: Any,
    jones: int = 1,
    room: int | None = None,
) -> Array:
    """Values of a pupil function in the four quadrants, ``(2, 2, jones, h, k)``.

    With ``room`` there are always so many points, whatever the nodes: one shape to compile for.
    """
    signs = _folded.signs()[..., None, None]
    shape = (2, 2, *nodes.weight.shape)
    y = np.broadcast_to(signs[:, :, 0] * nodes.y, shape).reshape(-1, shape[-1])
    x = np.broadcast_to(signs[:, :, 1] * nodes.x, shape).reshape(-1, shape[-1])
    size = x.size
    if room is not None:
        y, x = (np.pad(a.ravel(), (0, room - size), mode="edge")[None] for a in (y, x))
    values = jnp.asarray(pupil(jnp.asarray(x, dtype), jnp.asarray(y, dtype)))
    if values.ndim > 3 or (values.ndim == 3 and values.shape[0] not in (1, jones)):
        need = "(y, x) or (2, y, x)" if jones == 2 else "(y, x)"
        raise ValueError(
            f"{where}: `pupil` must make values {need} at points (y, x), got the shape "
            f"{values.shape} at {x.shape}. For a batch of pupils use jax.vmap."
        )
    try:
        values = jnp.broadcast_to(values, (*values.shape[:-2], *x.shape))
    except ValueError:
        raise ValueError(
            f"{where}: `pupil` must make one value for each point, got the shape {values.shape} "
            f"at {x.shape} points."
        ) from None
    _check.finite_array(where, "pupil", values)
    values = values.reshape(-1, x.size)[:, :size]
    return jnp.moveaxis(values.reshape(-1, *shape), 0, 2)


def sampled(where: str, pupil: Any, jones: int) -> Array:
    """Requires samples ``(y, x)`` or ``(2, y, x)`` and returns ``(jones, y, x)``."""
    if isinstance(pupil, str):
        raise TypeError(f"{where}: `pupil` must be a function or samples, got {pupil!r}.")
    pupil = jnp.asarray(pupil)
    layout = "(y, x) or (2, y, x)" if jones == 2 else "(y, x)"
    if pupil.ndim not in ((2, 3) if jones == 2 else (2,)) or (
        pupil.ndim == 3 and pupil.shape[0] != 2
    ):
        raise ValueError(
            f"{where}: `pupil` must be a function or samples {layout}, got the shape "
            f"{pupil.shape}. For a batch of pupils use jax.vmap."
        )
    if min(pupil.shape[-2:]) < 8:
        raise ValueError(
            f"{where}: `pupil` must have at least (8, 8) samples, got {pupil.shape[-2:]}."
        )
    _check.finite_array(where, "pupil", pupil)
    return pupil.reshape(-1, *pupil.shape[-2:])


# -- how many ------------------------------------------------------------------------------


def _places(shape: tuple[int, int], o: dict[str, Any]) -> tuple[list[float], list[float]]:
    """First, middle and last sample of both axes [µm]."""
    result = []
    for axis, name in ((0, "y"), (1, "x")):
        count, d, middle = shape[axis], float(o["spacing"][axis]), float(o[name])
        low, high = middle - (count // 2) * d, middle + ((count - 1) // 2) * d
        result.append([low, middle, high])
    return result[0], result[1]


def _farthest(shape: tuple[int, int], o: dict[str, Any]) -> float:
    return max(abs(p) for axis in _places(shape, o) for p in axis)


def _depth(o: dict[str, Any]) -> float:
    """Turns of defocus between the axis and the rim."""
    na, n, wavelength = (float(o[k]) for k in ("na", "n", "wavelength"))
    z = float(np.max(np.abs(np.asarray(o["z"], float)), initial=0.0))
    return z * n / wavelength * (1 - math.sqrt(1 - (na / n) ** 2))


def rule(shape: tuple[int, int], o: dict[str, Any], digits: int, depth: float | None = None) -> int:
    """Nodes for a pupil without aberrations: 2 pi times the waves over half the field, and some."""
    waves = float(o["na"]) * _farthest(shape, o) / float(o["wavelength"])
    depth = _depth(o) if depth is None else depth
    need = 2 * math.pi * waves + math.pi * depth + (20 if digits <= 6 else 34)
    return 4 * math.ceil(need / 4)


def between(where: str, shape: tuple[int, int], o: dict[str, Any]) -> _folded.Between:
    """Places across half the image at which a sampled pupil is summed, if fewer than samples.

    A wave of w turns across half the image is a polynomial of 2 pi w degrees and some.
    """
    asked = o["nodes"]
    concrete = _check.is_concrete([o[k] for k in ("na", "wavelength", "spacing")])
    if isinstance(asked, PolarNodes):
        raise ValueError(
            f"{where}: `nodes` must be an integer where `pupil` is sampled, got {asked}. "
            "Pass the pupil as a function to use rings."
        )
    if asked is not None:
        asked = _even(where, asked)
    result = [0, 0]
    for axis, count in enumerate(shape):
        need = None
        if concrete:
            half = float(_folded.half_indices(count)[-1]) * np.max(o["spacing"][..., axis])
            waves = half * np.max(o["na"]) / np.min(o["wavelength"])
            need = degree(float(2 * math.pi * waves))
        if asked is not None and need is not None and asked < need - 12:
            _check.warn(where, f"`nodes` = {asked} are too few for this window; {need} would do.")
        nodes = need if asked is None else asked
        # Not worth it for a few samples less.
        if nodes is not None and nodes < 0.8 * count:
            result[axis] = nodes // 2
    return result[0], result[1]


def degree(x: float) -> int:
    """Terms of exp(i x t), -1 < t < 1, in Chebyshev polynomials: J_n(x) beyond them is rounding."""
    slope, more = (7, 6) if jnp.result_type(float) == jnp.float32 else (11.5, 12)
    return 8 * math.ceil((x + slope * x ** (1 / 3) + more) / 8)


def _turns(o: dict[str, Any], s: np.ndarray, z: float) -> np.ndarray:
    """Phase of a plane and its layers (imaginary: decay), in numpy: jax would compile each step."""
    n, wavelength = float(o["n"]), float(o["wavelength"])
    if o["layers"] is None:
        return -z / wavelength * s**2 / (n + np.sqrt(n**2 - s**2))
    layers = jax.tree.map(lambda a: np.asarray(a, float), o["layers"])

    def root(index: Any) -> np.ndarray:
        return np.sqrt(index * index - s * s + 0j) - index

    emitter = o["motion"] == "emitter"
    depth = layers.t_s + (z if emitter else 0.0)
    path = depth * root(layers.n_s).real + 1j * abs(depth) * root(layers.n_s).imag
    path = path + (immersion_thickness(layers) + (0.0 if emitter else z)) * root(n).real
    for index, t in zip(layers.n_g, layers.t_g, strict=True):
        path = path + t * root(index)
    design = zip(layers.n_g_design, layers.t_g_design, strict=True)
    for index, t in (*design, (layers.n_i_design, layers.t_i_design)):
        path = path - t * root(index).real
    return path / wavelength


def _layered_depth(o: dict[str, Any]) -> float:
    """Range of the phase over the aperture, in turns."""
    z = np.append(np.asarray(o["z"], float), 0.0)
    s = np.linspace(0, float(o["na"]), 65)
    return max(float(np.ptp(_turns(o, s, e).real)) for e in (np.min(z), np.max(z)))


def sums(
    where: str,
    pupil: Any,
    shape: tuple[int, int],
    o: dict[str, Any],
    count: int | PolarNodes,
    room: int,
) -> np.ndarray:
    """Scalar field at the window's corners, sides and middle in the outermost planes."""
    nodes = _folded.smooth_nodes(count)
    values = np.ones((), complex)
    if pupil is not clear:
        values = np.asarray(evaluate(where, pupil, nodes, float, 2, room))[:, :, 0].astype(complex)
    na, wavelength = float(o["na"]), float(o["wavelength"])
    s = na * np.sqrt(nodes.x**2 + nodes.y**2)
    power = {"aplanatic": -0.25, "herschel": -0.5, "none": 0.0}[o["apodization"]]
    weight = nodes.weight * (1 - (s / float(o["n"])) ** 2) ** power
    ys, xs = _places(shape, o)
    signs = _folded.signs()[..., None, None]
    z = np.asarray(o["z"], float)
    results = []
    for plane in {float(z.min()), float(z.max())} if z.size else {0.0}:
        u = values * weight * np.exp(2j * np.pi * _turns(o, s, plane))
        for py in ys:
            wave = u * np.exp(2j * np.pi * na / wavelength * py * signs[:, :, 0] * nodes.y)
            for px in xs:
                x = np.exp(2j * np.pi * na / wavelength * px * signs[:, :, 1] * nodes.x)
                results.append(np.sum(wave * x))
    return np.array(results)


def _is_known(o: dict[str, Any]) -> bool:
    names = ("na", "wavelength", "n", "spacing", "z", "y", "x", "layers")
    return _check.is_concrete([o[name] for name in names])


def require_known(where: str, o: dict[str, Any]) -> None:
    """Requires optics that are not traced."""
    if not _is_known(o):
        raise ValueError(
            f"{where}: `nodes` must be given where the optics are traced (inside jit, grad or "
            "vmap), because it is the size of the program. Pass nodes=cartesian_nodes(...) of the "
            "largest window, na and |z|, or 64 for windows of +-2 µm."
        )


def count(where: str, pupil: Any, shape: tuple[int, int], o: dict[str, Any]) -> int | PolarNodes:
    """Nodes across the pupil: as asked, or by the rule and a check of convergence."""
    concrete = _is_known(o)
    digits = 6 if jnp.result_type(float) == jnp.float32 else 9
    asked = o["nodes"]
    if isinstance(asked, PolarNodes):
        return _polar(where, asked)
    if asked is not None:
        asked = _even(where, asked)
        if concrete and asked < (least := rule(shape, o, 0) - 16):
            _check.warn(
                where,
                f"`nodes` = {asked} are too few for this window and z range (less than 1e-2 "
                f"right); {rule(shape, o, digits)} would do. It is {least} at the very least.",
            )
        return asked
    require_known(where, o)
    return converged(where, pupil, shape, o, digits)


def _even(where: str, asked: Any) -> int:
    _check.integer(where, "nodes", asked, 4, MOST)
    if asked % 2:
        raise ValueError(f"{where}: `nodes` must be even, got {asked}. Pass {asked + 1}.")
    return int(asked)


def _polar(where: str, asked: PolarNodes) -> PolarNodes:
    _check.integer(where, "nodes.radial", asked.radial, 2, MOST)
    _check.integer(where, "nodes.azimuthal", asked.azimuthal, 2, MOST)
    edges = (0.0, *asked.breaks, 1.0)
    if any(b <= a for a, b in pairwise(edges)):
        raise ValueError(
            f"{where}: `nodes.breaks` must ascend between 0 and 1, got {asked.breaks}."
        )
    return asked._replace(breaks=tuple(float(b) for b in asked.breaks))


def converged(
    where: str, pupil: Any, shape: tuple[int, int], o: dict[str, Any], digits: int
) -> int | PolarNodes:
    """Raises the number of nodes until the field does not change: chords first, then rings."""
    nodes = rule(shape, o, digits)
    steep = float(o["na"]) > 0.98 * float(o["n"])  # the apodization is almost singular
    if pupil is clear and o["layers"] is None and not steep:
        return nodes
    if o["layers"] is not None:  # from where the search below begins, it finds 12 more by itself
        nodes = max(nodes, rule(shape, o, digits, _layered_depth(o)) - 12)
    with jax.enable_x64(True):
        chords = [4 * math.ceil(nodes * 1.2**k / 4) + 8 * (k > 0) for k in range(5)]
        x = np.zeros((1, chords[-1] ** 2))
        if pupil is not clear and not _check.is_concrete(pupil(jnp.asarray(x), jnp.asarray(x))):
            return nodes + 12  # a learned pupil: room for an aberration of a wave or two

        def settle(sizes: list[Any]) -> Any:
            room = 4 * _folded.smooth_nodes(sizes[-1]).weight.size
            before = sums(where, pupil, shape, o, sizes[0], room)
            for size, more in pairwise(sizes):
                after = sums(where, pupil, shape, o, more, room)
                if np.max(np.abs(after - before)) < 0.3 * 10.0**-digits * np.max(np.abs(after)):
                    return size
                before = after
            return None

        found = settle(chords) or settle([_rings(o, nodes, 1.5**k) for k in range(4)])
    if found is None:
        raise ValueError(
            f"{where}: `pupil` is not smooth enough for an error of 1e-{digits}. Pass "
            "nodes=PolarNodes(breaks=...) with the radii of its steps, or samples (y, x) instead "
            f"of the function; or nodes={chords[-1]} to accept a larger error."
        )
    return found


def _rings(o: dict[str, Any], nodes: int, factor: float) -> PolarNodes:
    """Rings for as much phase as so many chord nodes take; with a break at the critical angle."""
    count = math.ceil(factor * (nodes / 3 + 8))
    breaks: tuple[float, ...] = ()
    if o["layers"] is not None:
        indices = {float(n) / float(o["na"]) for n in o["layers"].n[1:]}
        breaks = tuple(sorted(b for b in indices if 1e-3 < b < 0.999))
    return PolarNodes(4 * count // 3, count, breaks)


def check_samples(
    where: str,
    samples: tuple[int, int],
    shape: tuple[int, int],
    o: dict[str, Any],
    name: str = "`pupil`",
) -> None:
    """Warns where the phase changes by more than half a turn between samples."""
    if not _check.is_concrete([o[k] for k in ("na", "wavelength", "n", "spacing", "z", "y", "x")]):
        return
    na, n, wavelength = (float(o[k]) for k in ("na", "n", "wavelength"))
    z = float(np.max(np.abs(np.asarray(o["z"], float)), initial=0.0))
    blur = z * na / math.sqrt(n**2 - na**2)
    reach = _farthest(shape, o) + blur
    most = wavelength / (2 * na)  # of reach times step
    need = math.ceil(2 * reach / most) + 1
    if min(samples) < need:
        _check.warn(
            where,
            f"{name} of {samples} samples is too coarse for a window and z range that reach "
            f"{reach:.3g} µm: the image repeats. Pass at least ({need}, {need}) samples.",
        )
