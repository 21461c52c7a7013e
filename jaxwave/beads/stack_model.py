"""The model of one of many stacks, and the error bars of a fit to all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxwave.beads.linear import solve_gain_background
from jaxwave.beads.model import EXACT, BeadModel, Parameters, bead_stack
from jaxwave.calibration.joint import Joint
from jaxwave.calibration.uncertainty import information

OWN = ("y", "x", "z")


def at_command(parameters: Mapping[str, Array], command: Array) -> Parameters:
    """The parameters of a bead's stack at a (scaled) command, ``(actuators,)``."""
    rest = {name: value for name, value in parameters.items() if name != "response"}
    moved = jnp.matmul(command, parameters["response"], precision=EXACT)
    return {**rest, "zernike": parameters["zernike"] + moved}


@dataclasses.dataclass(frozen=True)
class Stack:
    """Model, residuals and score of one stack; its numbers are in ``d``."""

    model: BeadModel

    def image(self, basis: dict, parameters: Parameters, d: dict, weight: Array) -> Array:
        """The image with the best gain and background."""
        now = at_command(parameters, d["command"])
        m = bead_stack(self.model, now, d["z"], basis, opd=d["known"])
        gain, background = solve_gain_background(m, d["stack"], weight)
        return gain * m + background

    def residuals(self, basis: dict, parameters: Parameters, d: dict) -> Array:
        """What is left of the data, over its noise."""
        image = self.image(basis, parameters, d, d["weight"])
        return jnp.sqrt(d["weight"]) * (image - d["stack"])

    def alone(self, parameters: Parameters, data: dict) -> Array:
        """Residuals of one stack, for a calibration."""
        return self.residuals(data["basis"], parameters, data["stacks"])


@dataclasses.dataclass(frozen=True)
class Together:
    """Residuals of all stacks, for a calibration; few are computed at once."""

    stack: Stack
    batch_size: int = 4

    def __call__(self, joint: Joint, data: dict) -> Array:
        """What is left of the data of all stacks, over its noise."""
        one = partial(self.stack.residuals, data["basis"])
        # A rest that does not fill a batch would be computed, too.
        even = max(k for k in range(1, self.batch_size + 1) if joint.count % k == 0)
        return joint.map(one, data["stacks"], batch_size=even)


@dataclasses.dataclass(frozen=True)
class _Beside:
    """Residuals of one stack as a function of what was learned, shared and its own."""

    model: BeadModel

    def __call__(self, learned: tuple, rest: Parameters, basis: dict, d: dict) -> Array:
        return Stack(self.model).residuals(basis, {**rest, **learned[0], **learned[1]}, d)


def stack_errors(
    model: BeadModel,
    joint: Joint,
    problem: dict,
    learned: list[str],
    widths: Mapping[str, float],
) -> dict[str, np.ndarray]:
    """Standard errors of what was learned: by the residuals, or by the scatter of the stacks."""
    shared = {k: jnp.asarray(joint.shared[k][...]) for k in learned if k not in OWN}
    order = np.concatenate([np.full(np.size(v), k) for k, v in sorted(shared.items())])
    count, total = len(order), len(order) + len(OWN) * joint.count
    full, pulls, chi2, used = np.zeros((total, total)), np.zeros((joint.count, total)), 0.0, 0
    for k in range(joint.count):
        every = joint.model(k)
        # Names in the order of the tree: shared ones first.
        mine = ({k: v for k, v in shared.items()}, {name: every[name] for name in OWN})
        rest = {k: v for k, v in every.items() if k not in shared and k not in OWN}
        d = {name: value[k] for name, value in problem["stacks"].items()}
        call = _Beside(model)
        part, pull, left, seen = information(call, mine, rest, problem["basis"], d)
        place = np.r_[0:count, count + len(OWN) * k : count + len(OWN) * (k + 1)]
        full[np.ix_(place, place)] += part
        pulls[k, place] = pull
        chi2, used = chi2 + left, used + seen
    width = np.concatenate([[widths.get(k, np.inf) for k in order], np.full(total - count, 30.0)])
    inverse = np.linalg.pinv(full + np.diag(1 / width**2), hermitian=True)
    variance = np.diag(inverse) * max(1.0, chi2 / max(used - total, 1))
    centered = (pulls - pulls.mean(axis=0))[:, :count]
    moved = inverse[:count, :count] @ centered.T
    scatter = np.sum(moved**2, axis=1) * joint.count / max(joint.count - 1, 1)
    error = np.sqrt(variance)
    error[:count] = np.sqrt(np.maximum(variance[:count], scatter))
    result = {k: error[:count][order == k].reshape(v.shape) for k, v in shared.items()}
    own = np.argsort(np.argsort(OWN))  # a tree's names are sorted
    return {**result, "position": error[count:].reshape(joint.count, len(OWN))[:, own]}
