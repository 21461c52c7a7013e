"""From the arguments of the spherical models to the compiled program and back."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxwave import _check, grid
from jaxwave.psf import _radial
from jaxwave.psf._radial import Plan
from jaxwave.psf.round_pupil import RoundPupil, count_nodes

NodeCounts = tuple[int, int, int]


def _reach(shape: tuple[int, int], spacing: Any, y: Any, x: Any) -> float | None:
    """Largest distance of a sample from the axis [µm], if the spacing is known.

    A place that is not known leaves the axis in the window.
    """
    if not _check.is_concrete(spacing):
        return None
    pitch = np.asarray(spacing, float)
    pitch = np.broadcast_to(pitch, (2,)) if not pitch.ndim else pitch
    legs = []
    for axis, (count, place) in enumerate(zip(shape, (y, x), strict=True)):
        half = count // 2 * np.max(pitch[..., axis])
        known = _check.is_concrete(place)
        legs.append(half + (np.max(np.abs(np.asarray(place, float))) if known else half))
    # The table covers one pixel at least.
    return float(max(np.hypot(*legs), np.max(pitch)))


def count(
    where: str, pupil: RoundPupil, shape: tuple[int, int], window: tuple, intensity: bool
) -> NodeCounts:
    """The numbers of nodes that the rule asks for, or those given, checked where they can be."""
    spacing, z, y, x, nodes = window
    legs = [
        count // 2 * (1 if _check.is_concrete(place) else 2)
        for count, place in zip(shape, (y, x), strict=True)
    ]
    corner = float(np.hypot(*legs))
    need = count_nodes(pupil, _reach(shape, spacing, y, x), z, corner, intensity)
    if not _check.is_concrete(y, x):  # further out where the pixels are small
        more = count_nodes(pupil, None, z, corner, intensity)
        need = (max(need[0], more[0]), max(need[1], more[1]), max(need[2], more[2]))
    if nodes is None:
        return need
    given = tuple(nodes)
    if len(given) != 3 or not all(_check.is_integer(k) for k in given):
        raise ValueError(
            f"{where}: `nodes` must be three integers (inside and beyond the critical angle, and "
            f"radial), got {nodes!r}. Take them from spherical_nodes."
        )
    known = _check.is_concrete(pupil, spacing, z, y, x)
    if known and any(have < least for have, least in zip(given, need, strict=True)):
        _check.warn(
            where,
            f"`nodes` {given} may be too few for this aperture, window and z; {need} would do.",
        )
    return int(given[0]), int(given[1]), int(given[2])


def _ranks(pupil: RoundPupil) -> RoundPupil:
    """Number of axes of every leaf that are not batch axes."""
    ranks = jax.tree.map(lambda _: 0, pupil)
    return ranks if pupil.coefficients is None else dataclasses.replace(ranks, coefficients=1)


def _spread(where: str, v: dict[str, Any], ranks: dict[str, Any]) -> tuple[tuple, dict]:
    """Broadcasts every leaf to the common batch axes."""
    leaves = jax.tree.leaves(v)
    kinds = jax.tree.leaves(ranks)
    shapes = [np.shape(a)[: np.ndim(a) - k] for a, k in zip(leaves, kinds, strict=True)]
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(v)]
    batch = _check.broadcast(where, **dict(zip(names, shapes, strict=True)))
    spread = [
        jnp.broadcast_to(a, (*batch, *np.shape(a)[np.ndim(a) - k :]))
        for a, k in zip(leaves, kinds, strict=True)
    ]
    return batch, jax.tree.unflatten(jax.tree.structure(v), spread)


def compute(
    where: str,
    kind: str,
    pupil: RoundPupil,
    shape: Any,
    window: tuple,
    *,
    intensity: bool,
    polarization: Any = (),
) -> Array:
    """Checks, chooses the nodes and runs: ``(..., [planes,] components, y, x)``."""
    if not isinstance(pupil, RoundPupil):
        raise TypeError(
            f"{where}: `pupil` must be a RoundPupil, got {type(pupil).__name__}. Make one with "
            "round_pupil."
        )
    shape = _check.grid_shape(where, shape)
    spacing, z, y, x, nodes = window
    spacing, z, y, x = (
        _check.length(where, name, value)
        for name, value in (("spacing", spacing), ("z", z), ("y", y), ("x", x))
    )
    _check.positive(where, "spacing", spacing, unit="µm")
    for name, value in (("z", z), ("y", y), ("x", x)):
        _check.finite(where, name, value)
    counts = count(where, pupil, shape, (spacing, z, y, x, nodes), intensity)
    real = pupil.na.dtype
    e = jnp.asarray(polarization, jnp.result_type(real, jnp.complex64))
    plan = Plan(
        kind, intensity, shape, counts, _is_folded(spacing, y, x), _zeros(kind, polarization)
    )
    planes = jnp.asarray(z, real)
    v = {
        "pupil": pupil,
        "z": jnp.atleast_1d(planes),
        "y": jnp.asarray(y, real),
        "x": jnp.asarray(x, real),
        "spacing": grid.spacing_pair(spacing, real),
        "e": e,
        "samples": None,
        "profile": None,
    }
    ranks = {"z": 1, "y": 0, "x": 0, "spacing": 1, "e": 1, "samples": None, "profile": None}
    profile = pupil.profile
    if profile is not None:
        v["pupil"] = pupil = dataclasses.replace(pupil, profile=None)
    if callable(profile):
        batch, bare = _spread(where, {"pupil": pupil}, {"pupil": _ranks(pupil)})
        rho = _radial.directions(plan, batch, bare["pupil"])
        v["profile"], ranks["profile"] = jnp.broadcast_to(profile(rho), rho.shape), 1
    elif profile is not None:
        v["samples"], ranks["samples"] = profile, 1
    batch, v = _spread(where, v, {"pupil": _ranks(pupil), **ranks})
    result = _radial.run(plan, batch, v)
    return result if planes.ndim else jnp.squeeze(result, len(batch))


def _is_folded(spacing: Any, y: Any, x: Any) -> bool:
    """Tells whether the pixels are square and stand about the axis, whatever their pitch."""
    if not _check.is_concrete(y, x) or np.any(np.asarray(y) != 0) or np.any(np.asarray(x) != 0):
        return False
    if not np.ndim(spacing):
        return True
    if not _check.is_concrete(spacing):
        return False
    pair = np.asarray(spacing)
    return bool(np.all(pair[..., :1] == pair))


def _zeros(kind: str, polarization: Any) -> tuple[bool, ...]:
    """Which terms vanish: Stokes S1, S2, then every component."""
    count = {"vector": 2, "dipole": 3}.get(kind, 0)
    if not count:
        return ()
    if not _check.is_concrete(polarization):
        return (False,) * (2 + count)
    e = np.asarray(polarization)
    size = np.max(np.abs(e)) ** 2
    s1 = np.abs(e[..., 0]) ** 2 - np.abs(e[..., 1]) ** 2
    s2 = 2 * np.real(e[..., 0] * np.conj(e[..., 1]))
    none = [bool(np.all(np.abs(s) <= 1e-9 * size)) for s in (s1, s2)]
    return (*none, *(bool(np.all(e[..., k] == 0)) for k in range(count)))


def vector_of(where: str, name: str, value: Any, count: int) -> Any:
    """Requires a number of components on the last axis."""
    if np.shape(value)[-1:] != (count,):
        raise ValueError(
            f"{where}: `{name}` must have {count} components on the last axis, got the shape "
            f"{np.shape(value)}."
        )
    _check.finite_array(where, name, value)
    return value


def polarized(where: str, polarization: Any) -> tuple[str, Any]:
    """Kind of pupil and Jones vector."""
    if isinstance(polarization, str):
        _check.choice(where, "polarization", polarization, ("radial", "azimuthal"))
        return polarization, (0.0, 0.0)
    return "vector", vector_of(where, "polarization", polarization, 2)


def unit_dipole(where: str, dipole: Any) -> Any:
    """Dipole moment of unit length."""
    vector_of(where, "dipole", dipole, 3)
    if not _check.is_concrete(dipole):
        dipole = jnp.asarray(dipole)
        size = jnp.sum((dipole * dipole.conj()).real, axis=-1, keepdims=True)
        return dipole / jnp.sqrt(size)
    size = np.linalg.norm(np.asarray(dipole), axis=-1, keepdims=True)
    _check.positive(where, "dipole", size[..., 0], fix="A dipole needs a direction.")
    return np.asarray(dipole) / size
