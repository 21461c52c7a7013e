"""From the arguments of a public propagator to its compiled program."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, grid
from jaxwave.psf import _folded, _nodes, _pupil_model
from jaxwave.psf._folded import PolarNodes
from jaxwave.psf._pupil_model import Plan
from jaxwave.psf.stratified import MOTIONS, Layers
from jaxwave.psf.transmission import APODIZATIONS

Pupil = Callable[[Array, Array], Array]


def propagate(
    where: str,
    kind: str,
    intensity: bool,
    pupil: Pupil | ArrayLike | None,
    shape: tuple[int, int],
    vector: Any,
    o: dict[str, Any],
) -> Array:
    """Checks the arguments ``o`` of a public function and runs the program."""
    shape = _check.grid_shape(where, shape)
    o = {"zeros": (False, False, False)} | check_optics(where, o)
    real = jnp.result_type(float)
    kind_complex = jnp.result_type(real, jnp.complex64)
    jones = 1 if kind == "scalar" else 2
    if pupil is None or callable(pupil):
        pupil = _nodes.clear if pupil is None else pupil
        count: int | PolarNodes = _nodes.count(where, pupil, shape, o)
        values = _nodes.evaluate(where, pupil, _folded.smooth_nodes(count), real, jones)
        quadrants = [[values[y, x] for x in (0, 1)] for y in (0, 1)]
        samples, step, between = (0, 0), (1.0, 1.0), (0, 0)
    else:
        pupil = _nodes.sampled(where, pupil, jones)
        count, samples = 0, (pupil.shape[-2], pupil.shape[-1])
        step = (2 / (samples[0] - 1), 2 / (samples[1] - 1))
        _nodes.check_samples(where, samples, shape, o)
        between = _nodes.between(where, shape, o)
        quadrants = _folded.quadrants_of_grid(pupil)
    at_axis = _check.is_concrete(o["y"], o["x"]) and o["y"] == 0 and o["x"] == 0
    shifted = not (at_axis and shape[0] % 2 and shape[1] % 2)
    names = ("na", "wavelength", "n", "spacing", "z", "y", "x")
    v: dict[str, Any] = {name: jnp.asarray(o[name], real) for name in names}
    v["layers"] = None
    v["step"] = tuple(jnp.asarray(s, real) for s in step)
    if o["layers"] is not None:
        v["layers"] = jax.tree.map(lambda a: jnp.asarray(a, real), o["layers"])
    v["e"] = vector
    v["scale"] = scale_of(kind, v)
    plan = Plan(
        shape,
        count,
        samples,
        kind,
        intensity,
        o["apodization"],
        shifted,
        o["motion"],
        o["transmission"],
        between,
        o["zeros"],
    )
    quadrants = _folded.each(lambda a: a.astype(kind_complex), quadrants)
    return _pupil_model.run(plan, quadrants, v)


def scale_of(kind: str, v: dict[str, Any]) -> Array:
    """Amplitude of the spectrum: unit power in the pupil, or radiated by the dipole."""
    if kind in ("scalar", "focus"):
        return v["na"] / (v["wavelength"] * math.sqrt(math.pi))
    layers = v["layers"]
    n_i, n_s = (v["n"], v["n"]) if layers is None else (layers.n_i, layers.n_s)
    # (3 / 8 pi) sin^2 of unit power in the sample; per area of s in the immersion; a third of
    # the power for each direction of a dipole that rotates.
    share = 3 / (8 * math.pi) / (3 if kind == "rotating" else 1)
    return v["na"] ** 2 / v["wavelength"] * jnp.sqrt(share / (n_i * n_s))


def check_optics(where: str, o: dict[str, Any]) -> dict[str, Any]:
    """Requires values that make sense, as scalars (z may be an array)."""
    o = dict(o)
    o["wavelength"] = _check.wavelength(where, o["wavelength"])
    for name in ("z", "y", "x"):
        o[name] = _check.length(where, name, o[name])
        _check.finite(where, name, o[name], unit="µm")
    _check.choice(where, "apodization", o["apodization"], APODIZATIONS)
    _check.choice(where, "motion", o["motion"], MOTIONS)
    layers = o["layers"]
    if layers is not None and not isinstance(layers, Layers):
        raise TypeError(
            f"{where}: `layers` must be Layers, got {type(layers).__name__}. "
            "Make them with coverslip_layers."
        )
    if layers is not None and o["n"] is not None:
        raise ValueError(f"{where}: `n` is that of the immersion in `layers`; leave it out.")
    if layers is None:
        o["n"] = 1.0 if o["n"] is None else o["n"]
        _check.positive(where, "n", o["n"])
    else:
        o["n"] = layers.n_i
    _check.numerical_aperture(where, o["na"], o["n"])
    spacing = _check.length(where, "spacing", o["spacing"])
    _check.positive(where, "spacing", spacing, unit="µm")
    o["spacing"] = grid.spacing_pair(spacing, jnp.result_type(float))
    shapes = {name: jnp.shape(o[name]) for name in ("na", "wavelength", "n", "y", "x")}
    shapes["spacing"] = o["spacing"].shape[:-1]
    for name, found in shapes.items():
        if found:
            raise ValueError(
                f"{where}: `{name}` must be one number, got the shape {found}. For several use "
                "jax.vmap, or jax.lax.map to save memory."
            )
    return o


def vanishing(polarization: Any) -> tuple[bool, ...]:
    """Tells which of its numbers are known to be zero, so that nothing is computed for them."""
    if not _check.is_concrete(polarization):
        return (False, False, False)
    return tuple(bool(value == 0) for value in np.ravel(np.asarray(polarization)))


def jones_vector(where: str, polarization: Any) -> Array:
    """Requires two complex numbers."""
    if isinstance(polarization, str):
        raise TypeError(
            f"{where}: `polarization` must be two numbers (ex, ey), got {polarization!r}. For a "
            "pupil that is radially polarized pass radial_polarization as `pupil`."
        )
    e = jnp.asarray(polarization, jnp.result_type(jnp.result_type(float), jnp.complex64))
    if e.shape != (2,):
        raise ValueError(
            f"{where}: `polarization` must be two numbers (ex, ey), got the shape {e.shape}. For "
            "one that varies over the pupil put an axis of two into `pupil`."
        )
    _check.finite_array(where, "polarization", e)
    return e
