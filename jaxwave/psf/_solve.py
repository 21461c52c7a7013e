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
from jaxwave._noun import changed
from jaxwave.psf import _bounds, _nodes, _planes, _radial
from jaxwave.psf.camera import Camera, expose
from jaxwave.psf.objective import JonesPupil, Objective, Pupil, RadialPupil, Window, ZernikePupil

NONE = (False, False, False)


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
    radial = as_radial(pupil)
    if radial is None:
        if kind in ("radial", "azimuthal"):
            raise ValueError(
                f"{where}: polarization={kind!r} goes with circularly symmetric pupils. Pass "
                f"pupil=JonesPupil({kind}_polarization), with other factors multiplied."
            )
        return _planar(where, kind, intensity, objective, window, pupil, e, nodes, camera, sigma)
    return _round(where, kind, intensity, objective, window, radial, e, nodes, camera, sigma)


def check_nouns(where: str, objective: object, window: object) -> None:
    """Requires the two nouns in their order."""
    for name, value, kind in (("objective", objective, Objective), ("window", window, Window)):
        if not isinstance(value, kind):
            raise TypeError(
                f"{where}: `{name}` must be psf.{kind.__name__}(...), got {type(value).__name__}."
            )
    # Before anything counts with its numbers.
    _batch(where, objective, _ranks(objective), {})


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
    which = [np.ndim(a) > r for a, r in zip(leaves, jax.tree.leaves(ranks), strict=True)]
    moving = [
        jnp.broadcast_to(a, (*batch, *a.shape[a.ndim - r :])).reshape(-1, *a.shape[a.ndim - r :])
        for a, r, w in zip(leaves, jax.tree.leaves(ranks), which, strict=True)
        if w
    ]

    def step(parts: list[Array]) -> Array:
        rest = iter(parts)
        return one(
            jax.tree.unflatten(
                tree, [next(rest) if w else a for a, w in zip(leaves, which, strict=True)]
            )
        )

    result = lax.map(step, moving) if loop else jax.vmap(step)(moving)
    return result.reshape(*batch, *result.shape[1:])


def _ranks(tree: object, rank: int = 0) -> Any:
    return jax.tree.map(lambda _: rank, tree)


def _cast(v: object, real: DTypeLike | None) -> Any:
    def one(a: Array) -> Array:
        a = jnp.asarray(a)
        if jnp.issubdtype(a.dtype, jnp.complexfloating):
            return a.astype(jnp.result_type(real, jnp.complex64))
        return a.astype(real)

    return jax.tree.map(one, v)


# -- the planar solver ---------------------------------------------------------------------


def _planar(
    where: str,
    kind: str,
    intensity: bool,
    objective: Objective,
    window: Window,
    pupil: Pupil,
    e: ArrayLike,
    nodes: object,
    camera: Camera | None,
    sigma: ArrayLike,
) -> Array:
    parts = _planes.taken_apart(where, pupil)
    zeros = NONE
    if _check.is_concrete(e):
        flat = np.asarray(e).reshape(-1, np.shape(e)[-1])
        zeros = tuple(bool(np.all(flat[:, k] == 0)) for k in range(flat.shape[1]))
    plan = _planes.plan_of(where, kind, intensity, objective, window, parts, zeros, nodes)
    real = np.dtype(jnp.result_type(float))
    values = _planes.values_at(where, plan, parts, real)
    ny, nx = plan.samples if parts.samples is not None else (2, 2)
    v = _planes.Numbers(
        objective, window.spacing, window.z, window.y, window.x, e, parts.coefficients, values,
        np.array([2 / (ny - 1), 2 / (nx - 1)]),
    )  # fmt: skip
    batch = _batch(where, v, _planar_ranks(v, plan), {"e": "polarization", "values": "pupil"})
    return _planar_program(plan, batch, real, camera, v, blur_of(sigma))


def _planar_ranks(v: _planes.Numbers, plan: _planes.Plan) -> _planes.Numbers:
    return _planes.Numbers(
        _ranks(v.objective),
        min(np.ndim(v.spacing), 1),
        min(np.ndim(v.z), 1),
        0,
        0,
        1,
        _ranks(v.coefficients, 1),
        _ranks(v.values, 3 if plan.nodes is None else 5),
        1,
    )


def blur_of(sigma: ArrayLike) -> Any | None:
    """The width of a blur, or None if it is known to be zero."""
    known = _check.is_concrete(sigma) and bool(np.all(np.asarray(sigma) == 0))
    return None if known else sigma


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _planar_program(
    plan: _planes.Plan,
    batch: tuple[int, ...],
    real: DTypeLike | None,
    camera: Camera | None,
    v: _planes.Numbers,
    sigma: ArrayLike,
) -> Array:
    v = _cast(v, real)
    v = v._replace(spacing=grid.spacing_pair(v.spacing))

    def one(numbers: _planes.Numbers) -> Array:
        result = _planes.one(plan, numbers)
        if camera is None:
            return result
        return expose(camera, result, numbers.spacing, sigma)

    return mapped(one, v, _planar_ranks(v, plan), batch, loop=True)


# -- the radial solver ---------------------------------------------------------------------


def _round(
    where: str,
    kind: str,
    intensity: bool,
    objective: Objective,
    window: Window,
    pupil: RadialPupil,
    e: Any,
    nodes: object,
    camera: Camera | None,
    sigma: ArrayLike,
) -> Array:
    folded, pixel = _is_folded(window), 0
    if camera is not None and folded and kind == "rotating" and blur_of(sigma) is None:
        # The radial table knows the integral over every pixel: no samples are made.
        pixel = 3 + math.ceil(2 * camera.ratio)
        spacing = window.spacing * camera.ratio
        window = changed(window, shape=camera.shape, spacing=spacing)
    counts = _nodes.radial(objective, _wider(window) if pixel else window, pupil, intensity)
    if nodes is not None:
        counts = _nodes.asked_radial(where, objective, window, counts, nodes)
    plan = _radial.Plan(kind, intensity, window.shape, counts, folded, _zeros(kind, e), pixel)
    real = np.dtype(jnp.result_type(float))
    profile, samples = pupil.profile, None
    if profile is not None and not callable(profile):
        profile, samples = None, profile
    bare = changed(pupil, profile=None)
    v = _radial.Numbers(
        objective, bare, window.spacing, window.z, window.y, window.x, e, samples, None
    )
    batch = _batch(where, v, _radial_ranks(v), {"e": "polarization", "samples": "profile"})
    if profile is not None:
        rho = _directions(plan, real, objective)
        v = v._replace(profile=jnp.broadcast_to(profile(rho), rho.shape))
        batch = _batch(where, v, _radial_ranks(v), {"e": "polarization", "samples": "profile"})
    return _radial_program(plan, batch, real, camera, v, blur_of(sigma))


def _wider(window: Window) -> Window:
    """The window with the outer halves of its pixels."""
    return changed(window, shape=(window.shape[0] + 2, window.shape[1] + 2))


def _radial_ranks(v: _radial.Numbers) -> _radial.Numbers:
    pupil = _ranks(v.pupil)
    if v.pupil.coefficients is not None:
        # The ranks are no pupil; they only have its structure.
        flat, tree = jax.tree.flatten(v.pupil)
        ranks = [1 if leaf is v.pupil.coefficients else 0 for leaf in flat]
        pupil = jax.tree.unflatten(tree, ranks)
    place: list[Any] = [min(np.ndim(v.spacing), 1), min(np.ndim(v.z), 1), 0, 0]
    rest: list[Any] = [1, _ranks(v.samples, 1), _ranks(v.profile, 1)]
    return _radial.Numbers(_ranks(v.objective), pupil, *place, *rest)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _radial_program(
    plan: _radial.Plan,
    batch: tuple[int, ...],
    real: DTypeLike | None,
    camera: Camera | None,
    v: _radial.Numbers,
    sigma: ArrayLike,
) -> Array:
    v = _cast(v, real)
    planes = v.z.ndim
    v = v._replace(spacing=grid.spacing_pair(v.spacing), z=v.z if planes else v.z[None])

    def one(numbers: _radial.Numbers) -> Array:
        result = _radial.one(plan, numbers)
        if plan.pixel:
            return result * (numbers.spacing[0] * numbers.spacing[1])
        if camera is None:
            return result
        return expose(camera, result, numbers.spacing, sigma)

    result = mapped(one, v, _radial_ranks(v), batch, loop=False)
    if not planes:
        result = jnp.squeeze(result, len(batch))
    return jnp.squeeze(result, -3) if plan.intensity or plan.kind == "scalar" else result


@partial(jax.jit, static_argnums=(0, 1))
def _directions(plan: _radial.Plan, real: DTypeLike | None, objective: Objective) -> Array:
    o = _cast(objective, real)
    ranks = _ranks(o)
    batch = np.broadcast_shapes(*(leaf.shape for leaf in jax.tree.leaves(o)))
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
