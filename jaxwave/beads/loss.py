"""The loss of a bead's fit, its score on the held-out planes, and its summary."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.beads.linear import solve_gain_background
from jaxwave.beads.model import EXACT, PRIORS, BeadModel, Parameters, bead_stack, pupil

# Expected step of the free maps from one pupil sample to the next [rad], [1]. Wider ones let the
# maps fit noise, whose halo the fit then takes for a larger pixel and a smaller aperture.
PHASE_STEP, AMPLITUDE_STEP = 0.06, 0.04

MAPS = ("phase_map", "amplitude_map")
TOLERANCES = ("pixel", "dz", "na")  # given by makers
FURTHER = ("further_phase", "further_amplitude")  # modes of the maps, see basis.py


def known_opd(where: str, model: BeadModel, known: ArrayLike | None, planes: int) -> np.ndarray:
    """Known path differences with an axis of planes, of one plane if they are all the same."""
    size = (model.samples, model.samples)
    if known is None:
        return np.zeros((1, 1, 1), np.float32)
    maps = _check.known_numbers(where, "known", known).astype(np.float32)
    maps = maps[None] if maps.ndim == 2 else maps
    if maps.shape not in ((1, *size), (planes, *size)):
        raise ValueError(
            f"{where}: `known` must be a map {size} on the model's pupil, or one for each of the "
            f"{planes} planes, got the shape {np.shape(known)}. model.opd makes it of coefficients."
        )
    _check.finite_array(where, "known", maps)
    return maps


def started(
    where: str,
    parameters: Parameters,
    given: Mapping[str, ArrayLike] | None,
    *,
    never: Sequence[str] = (),
) -> Parameters:
    """The parameters, of which some start elsewhere; all but those that ``never`` do."""
    given = {} if given is None else given
    _check.instance(where, "start", given, Mapping, "a dict of scaled parameters by name")
    result = dict(parameters)
    for name, value in given.items():
        _check.choice(where, "start", name, sorted(set(parameters) - set(never)))
        _check.finite_array(where, f"start[{name!r}]", value)
        if np.shape(value) != parameters[name].shape:
            raise ValueError(
                f"{where}: `start[{name!r}]` must have the shape {parameters[name].shape}, got "
                f"{np.shape(value)}. Take it from a fit of the same model."
            )
        result[name] = jnp.asarray(value, parameters[name].dtype)
    return result


@lru_cache(maxsize=16)  # the same object for the next bead of this shape: nothing compiles again
def make_pieces(
    model: BeadModel,
    fitted: tuple[int, ...],
    held: tuple[int, ...],
    per_plane: bool,
    named: tuple[str, ...] = (),
) -> Pieces:
    """The loss of a model and its planes, made once."""
    return Pieces(model, np.asarray(fitted, int), np.asarray(held, int), per_plane, named)


@dataclasses.dataclass(frozen=True, eq=False)
class Pieces:
    """The loss and the score of a fit; static parts here, numbers in the problem."""

    model: BeadModel
    fitted: np.ndarray
    held: np.ndarray
    per_plane: bool
    named: tuple[str, ...] = ()  # what is fitted beside the maps, all of it in one row of numbers

    @cached_property
    def compiled_summary(self) -> Callable[..., dict[str, Any]]:
        """The summary as a program."""
        return jax.jit(self.summary)

    @cached_property
    def compiled_whole(self) -> Callable[..., Parameters]:
        """The whole parameters as a program."""
        return jax.jit(self.whole)

    def stack(self, parameters: Parameters, problem: dict, planes: np.ndarray | slice) -> Array:
        """The stack of unit light in some planes."""
        active = self.whole(parameters, problem)
        maps = active.pop("maps")
        active = {k: v * maps if k in MAPS else v for k, v in active.items()}
        # The drift counts in units of the whole stack's range, so all z go in.
        full = jnp.max(jnp.abs(problem["z"]))
        known = problem["known"]
        known = known[planes] if known.shape[0] > 1 else known
        z = problem["z"][planes]
        return bead_stack(self.model, active, z, problem["basis"], z_range=full, opd=known)

    def whole(self, parameters: Parameters, problem: dict) -> Parameters:
        """The parameters with their common move, and the maps with the modes that are theirs."""
        p = dict(parameters)
        if (move := p.pop("move", None)) is not None:
            turn = p.pop("turn")
            flat, unravel = ravel_pytree({name: p[name] for name in self.named})
            p |= unravel(flat + jnp.matmul(turn, move, precision=EXACT))
        for name, part in zip(MAPS, FURTHER, strict=True):
            if (further := p.pop(part, None)) is not None:
                p[name] += jnp.tensordot(further, problem["basis"][part], 1, precision=EXACT)
        return p

    def residuals(self, parameters: Parameters, problem: dict) -> Array:
        """What is left of the fitted planes, over its noise."""
        image = self.stack(parameters, problem, self.fitted)
        data, weight = problem["data"][self.fitted], problem["weight"][self.fitted]
        gain, background = solve_gain_background(image, data, weight, per_plane=self.per_plane)
        return jnp.sqrt(weight) * (gain * image + background - data)

    def residuals_beside(self, parameters: Parameters, known: Parameters, problem: dict) -> Array:
        """Residuals for some parameters, the rest being known."""
        return self.residuals({**parameters, **known}, problem)

    def loss(self, parameters: Parameters, problem: dict) -> Array:
        """The loss of a pixel, with the priors."""
        p = self.whole(parameters, problem)
        chi2 = jnp.sum(self.residuals(p, problem) ** 2)
        prior = sum(
            jnp.sum((p[name] / width) ** 2) * (problem["doubt"] if name in TOLERANCES else 1)
            for name, width in PRIORS.items()
        )
        for name, step in (("phase_map", PHASE_STEP), ("amplitude_map", AMPLITUDE_STEP)):
            rough = sum(jnp.sum(jnp.diff(p[name], axis=a) ** 2) for a in (0, 1))
            prior += rough / step**2
        return (chi2 + prior) / (len(self.fitted) * self.model.shape[0] * self.model.shape[1])

    def summary(self, parameters: Parameters, problem: dict) -> dict[str, Any]:
        """The stack with every plane's own gain, and with the one of the fitted planes."""
        data, mask = problem["data"], problem["mask"]
        parameters = self.whole(parameters, problem)
        image = self.stack(parameters, problem, slice(None))
        fitted = np.zeros((len(data), 1, 1), np.float32)
        fitted[self.fitted] = 1
        gain, background = solve_gain_background(image, data, mask)
        one = solve_gain_background(image, data, mask * fitted, per_plane=False)
        amplitude, opd = pupil(
            self.model, {k: v for k, v in parameters.items() if k != "maps"}, problem["basis"]
        )
        return {
            "image": gain * image + background,
            "one_gain": one[0] * image + one[1],
            "gain": gain,
            "background": background,
            "amplitude": amplitude,
            "opd": opd,
        }

    def heldout(self, parameters: Parameters, problem: dict) -> Array:
        """NMSE of the held-out planes."""
        image = self.stack(parameters, problem, self.held)
        data, mask = problem["data"][self.held], problem["mask"][self.held]
        gain, background = solve_gain_background(image, data, mask)
        light = jnp.sum(mask * (data - problem["background"]) ** 2)
        error = jnp.sum(mask * (gain * image + background - data) ** 2)
        return error / jnp.maximum(light, 1e-30)
