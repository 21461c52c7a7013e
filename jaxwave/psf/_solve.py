"""From nouns to one compiled program: which solver, which sizes, which batch axes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike, DTypeLike

from jaxwave import _check, grid
from jaxwave._noun import changed, typed
from jaxwave.psf import _bounds, _planes, _radial
from jaxwave.psf._bounds import Numbers
from jaxwave.psf.camera import Camera, expose
from jaxwave.psf.objective import JonesPupil, Objective, Pupil, RadialPupil, Window, ZernikePupil


def solve(
    where: str,
    kind: str,
    intensity: bool,
    objective: Objective,
    window: Window,
    pupil: Pupil,
    e: ArrayLike,
    nodes: object,
    camera: Camera | None = None,
    sigma: ArrayLike = 0.0,
) -> Array:
    """Field ``(..., [planes,] c, y, x)`` or intensity ``(..., [planes,] y, x)`` by its solver.

    With a camera the intensity is that of its samples, and the result the light in its pixels.
    """
    check_nouns(where, objective, window)
    if camera is None:
        _bounds.check_spacing(where, objective, window)
    radial, blur = as_radial(pupil), blur_of(sigma)
    plan: _planes.Plan | _radial.Plan
    if radial is None and kind in ("radial", "azimuthal"):
        raise ValueError(
            f"{where}: polarization={kind!r} goes with circularly symmetric pupils. Pass "
            f"pupil=JonesPupil({kind}_polarization), with other factors multiplied."
        )
    if radial is None:
        plan, v = _planes.prepared(where, kind, intensity, objective, window, pupil, e, nodes)
    else:
        # The radial table knows the integral over every pixel: no samples are made.
        has_pixels = camera if kind == "rotating" and blur is None and _is_folded(window) else None
        plan, v = _round(where, kind, intensity, objective, window, radial, e, nodes, has_pixels)
        camera = None if has_pixels else camera
    names = {"e": "polarization", "values": "pupil" if radial is None else "profile"}
    batch, real = _batch(where, v, ranks_of(v, plan), names), np.dtype(jnp.result_type(float))
    return _program(plan, batch, real, camera, *typed((v, blur), real))


def check_nouns(where: str, objective: object, window: object) -> None:
    """Requires the two nouns in their order."""
    for name, value, kind in (("objective", objective, Objective), ("window", window, Window)):
        if not isinstance(value, kind):
            raise TypeError(
                f"{where}: `{name}` must be psf.{kind.__name__}(...), got {type(value).__name__}."
            )
    # Before anything counts with its numbers.
    _batch(where, objective, jax.tree.map(lambda _: 0, objective), {})


def as_radial(pupil: Pupil) -> RadialPupil | None:
    """The circularly symmetric pupil that a pupil is, or None."""
    if pupil is None:
        return RadialPupil()
    if isinstance(pupil, RadialPupil):
        return pupil
    if isinstance(pupil, ZernikePupil) and all(m == 0 for _, m in pupil.modes):
        inner = as_radial(pupil.pupil) if not isinstance(pupil.pupil, ZernikePupil) else None
        if inner is not None and inner.coefficients is None:
            return dataclasses.replace(inner, coefficients=pupil.coefficients, modes=pupil.modes)
    return None


# -- batch axes ----------------------------------------------------------------------------


def _batch(where: str, v: object, ranks: object, names: dict[str, str]) -> tuple[int, ...]:
    """The common batch axes of all leaves, named as the user names them."""
    shapes: dict[str, tuple[int, ...]] = {}
    leaves = jax.tree_util.tree_leaves_with_path(v)
    for (path, leaf), rank in zip(leaves, jax.tree.leaves(ranks), strict=True):
        name = str(getattr(path[-1], "name", getattr(path[-1], "idx", "")))
        name = names.get(name, name)
        if len(path) > 1 and hasattr(path[-2], "name") and name.isdigit():
            name = names.get(path[-2].name, path[-2].name)
        shape = np.shape(leaf)
        shapes[name if name not in shapes else f"{name} {len(shapes)}"] = shape[: len(shape) - rank]
    return _check.broadcast(where, **{n: s for n, s in shapes.items() if s})


def mapped(
    one: Callable[[Any], Array], v: object, ranks: object, batch: tuple[int, ...], *, loop: bool
) -> Array:
    """A function of unbatched leaves over the leaves that have batch axes; others stay shared."""
    if not batch:
        return one(v)
    leaves, tree = jax.tree.flatten(v)
    moving = {
        k: jnp.broadcast_to(a, (*batch, *a.shape[a.ndim - r :])).reshape(-1, *a.shape[a.ndim - r :])
        for k, (a, r) in enumerate(zip(leaves, jax.tree.leaves(ranks), strict=True))
        if a.ndim > r
    }

    def step(parts: dict[int, Array]) -> Array:
        return one(jax.tree.unflatten(tree, [parts.get(k, a) for k, a in enumerate(leaves)]))

    result = lax.map(step, moving) if loop else jax.vmap(step)(moving)
    return result.reshape(*batch, *result.shape[1:])


def ranks_of(v: Numbers, plan: _planes.Plan | _radial.Plan) -> Numbers:
    """How many axes of every leaf are no batch axes."""
    values = 1 if isinstance(plan, _radial.Plan) else 3 if plan.nodes is None else 5
    most = (0, 1, 1, 0, 0, 1, 1, values, 1, 0, 0)  # in the order of Numbers

    def one(part: object, rank: int) -> Any:
        return jax.tree.map(lambda leaf: min(np.ndim(leaf), rank), part)

    return Numbers(*map(one, v, most))


def cast(v: object, real: DTypeLike | None) -> Any:
    def one(a: Array) -> Array:
        a = jnp.asarray(a)
        if jnp.issubdtype(a.dtype, jnp.complexfloating):
            return a.astype(jnp.result_type(real, jnp.complex64))
        return a.astype(real)

    return jax.tree.map(one, v)


def counted(
    where: str, kind: str, intensity: bool, objective: Objective, window: Window, pupil: Pupil
) -> Any:
    """Nodes of a picture; None for samples."""
    radial = as_radial(pupil)
    if radial is not None:
        return _bounds.radial(objective, window, radial, intensity)
    parts = _planes.taken_apart(where, pupil)
    return _planes.plan_of(where, kind, True, objective, window, parts, _planes.NONE, None).nodes


def blur_of(sigma: ArrayLike) -> Any | None:
    """The width of a blur, or None if it is known to be zero."""
    known = _check.is_concrete(sigma) and bool(np.all(np.asarray(sigma) == 0))
    return None if known else sigma


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _program(
    plan: _planes.Plan | _radial.Plan,
    batch: tuple[int, ...],
    real: DTypeLike | None,
    camera: Camera | None,
    v: Numbers,
    sigma: ArrayLike,
) -> Array:
    v = cast(v, real)
    v = v._replace(spacing=grid.spacing_pair(v.spacing))

    def one(numbers: Numbers) -> Array:
        if isinstance(plan, _planes.Plan):
            result = _planes.one(plan, numbers)
        else:
            result = _radial.one(plan, numbers)
        return result if camera is None else expose(camera, result, numbers.spacing, sigma)

    return mapped(one, v, ranks_of(v, plan), batch, loop=isinstance(plan, _planes.Plan))


# -- the radial solver ---------------------------------------------------------------------


def _round(
    where: str,
    kind: str,
    intensity: bool,
    objective: Objective,
    window: Window,
    pupil: RadialPupil,
    e: ArrayLike,
    nodes: object,
    camera: Camera | None,
) -> tuple[_radial.Plan, Numbers]:
    """Plan and numbers of a picture; with a camera that of its pixels."""
    pixel, counted = 0, window
    if camera is not None:
        pixel = 3 + math.ceil(2 * camera.ratio)
        spacing = window.spacing * camera.ratio
        window = changed(window, shape=camera.shape, spacing=spacing)
        # The outer halves of its pixels belong to it.
        counted = changed(window, shape=(window.shape[0] + 2, window.shape[1] + 2))
    counts = _bounds.radial(objective, counted, pupil, intensity)
    if nodes is not None:
        counts = _bounds.asked_radial(where, objective, window, counts, nodes)
    folded, profile = _is_folded(window), pupil.profile
    plan = _radial.Plan(
        kind, intensity, window.shape, counts, folded, _zeros(kind, e), tuple(pupil.modes),
        not callable(profile), pixel,
    )  # fmt: skip
    if callable(profile):
        real = np.dtype(jnp.result_type(float))
        rho = _directions(plan, real, typed(objective, real))
        profile = jnp.broadcast_to(profile(rho), rho.shape)
    return plan, Numbers(
        objective, window.spacing, window.z, window.y, window.x, e, pupil.coefficients, profile,
        filling=pupil.filling,
    )  # fmt: skip


@partial(jax.jit, static_argnums=(0, 1))
def _directions(plan: _radial.Plan, real: DTypeLike | None, objective: Objective) -> Array:
    o = cast(objective, real)
    batch = np.broadcast_shapes(*(leaf.shape for leaf in jax.tree.leaves(o)))
    ranks = jax.tree.map(lambda _: 0, o)
    return mapped(partial(_radial.directions, plan), o, ranks, batch, loop=False)


def _is_folded(window: Window) -> bool:
    """Tells whether the pixels are square and stand about the axis, whatever their spacing."""
    if not _bounds.is_zero(window.y, window.x):
        return False
    if not np.ndim(window.spacing):
        return True
    pair = _bounds.known(window.spacing)
    return pair is not None and bool(np.all(pair[..., :1] == pair))


def _zeros(kind: str, e: ArrayLike) -> tuple[bool, ...]:
    """Which terms vanish: Stokes S1, S2, then every component."""
    count = {"focus": 2, "dipole": 3}.get(kind, 0)
    if not count:
        return ()
    if not _check.is_concrete(e):
        return (False,) * (2 + count)
    e = np.asarray(e)
    size = np.max(np.abs(e)) ** 2
    s1 = np.abs(e[..., 0]) ** 2 - np.abs(e[..., 1]) ** 2
    s2 = 2 * np.real(e[..., 0] * np.conj(e[..., 1]))
    none = [bool(np.all(np.abs(s) <= 1e-9 * size)) for s in (s1, s2)]
    return (*none, *(bool(np.all(e[..., k] == 0)) for k in range(count)))


# -- what the user asks for ----------------------------------------------------------------


def polarized(where: str, polarization: object, pupil: Pupil = None) -> tuple[str, Any]:
    """Kind of pupil and Jones vector ``(..., 2)``; a JonesPupil makes the polarization itself."""
    if polarization is None:
        inner = pupil.pupil if isinstance(pupil, ZernikePupil) else pupil
        polarization = (1.0, 1.0) if isinstance(inner, JonesPupil) else (1.0, 0.0)
    if isinstance(polarization, str):
        if polarization not in ("radial", "azimuthal"):
            raise ValueError(
                f"{where}: `polarization` must be one of 'radial', 'azimuthal', or a pair (ex, ey) "
                f"such as (1, 0), got {polarization!r}."
            )
        return polarization, np.zeros(2)
    return "focus", _vector(where, "polarization", polarization, 2, "(ex, ey)")


def oriented(where: str, dipole: object) -> tuple[str, Any]:
    """Kind of emitter and its moment ``(..., 3)``; its length is taken off in the program."""
    if dipole is None:
        return "rotating", np.ones(3)
    p = _vector(where, "dipole", dipole, 3, "(x, y, z)")
    if _check.is_concrete(p):
        size = np.linalg.norm(np.asarray(p), axis=-1, keepdims=True)
        if np.any(size == 0):
            raise ValueError(f"{where}: `dipole` must have a direction (x, y, z), got zeros.")
        return "dipole", np.asarray(p) / size
    size = jnp.sum((p * p.conj()).real, axis=-1, keepdims=True)
    return "dipole", p / jnp.sqrt(size)


def _vector(where: str, name: str, value: Any, count: int, layout: str) -> Any:
    if isinstance(value, str):
        raise TypeError(f"{where}: `{name}` must be {count} numbers {layout}, got {value!r}.")
    if np.shape(value)[-1:] != (count,):
        raise ValueError(
            f"{where}: `{name}` must have {count} components {layout} on the last axis, got the "
            f"shape {np.shape(value)}."
        )
    _check.finite_array(where, name, value)
    if not _check.is_concrete(value):
        return jnp.asarray(value, jnp.result_type(jnp.result_type(float), jnp.complex64))
    return np.asarray(value, complex)
