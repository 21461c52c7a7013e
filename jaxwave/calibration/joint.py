"""One model for many stacks: what they share, and what each has for itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from jaxwave import _check, numerics
from jaxwave.calibration._memory import refuse
from jaxwave.calibration._tree import split
from jaxwave.calibration.calibrate import least_squares
from jaxwave.elements.element import Fixed, init_signature
from jaxwave.elements.names import matching_names


@init_signature
class Joint(nnx.Module):
    r"""Describes many stacks by one model whose named parameters differ from stack to stack.

    .. math:: m_k = m(p_\text{shared},\ p_{\text{own},k})

    Its parameters are called ``shared.<name>`` and ``own.<name>``, the latter stacked along a new
    leading axis. What the model learns is learned. Valid for any nnx module and any pytree of
    arrays.

    Args:
        model: The model of one stack; it is not changed.
        count: Number of stacks.
        own: Patterns of the names that every stack has for itself, such as ``["z", "y", "x"]``.

    Raises:
        ValueError: If a pattern matches nothing, or ``count`` is less than one.

    Example:
        >>> joint = Joint({"pupil": jnp.zeros(4), "z": 0.5}, 3, own=["z"])
        >>> joint.own["z"][...].tolist(), float(joint.model(2)["z"])
        ([0.5, 0.5, 0.5], 0.5)

    References:
        S. Liu et al., "Universal inverse modeling of point spread functions for SMLM
        localization and microscope characterization", Nat. Methods 21, 1082 (2024).
    """

    OWN_PREFIX = "own."  # of the names whose leading axis counts the stacks

    def __init__(self, model: Any, count: int, *, own: str | Iterable[str]) -> None:
        _check.integer("Joint", "count", count, 1)
        structure, leaves = split("Joint", model)
        patterns = [own] if isinstance(own, str) else list(own)
        chosen = set(matching_names("Joint", structure.parameters, patterns))
        self.count = count
        self._structure = structure

        def variable(name: str, value: Array) -> nnx.Variable:
            return (nnx.Param if name in structure.marked else Fixed)(value)

        self.shared = nnx.Dict({k: variable(k, v) for k, v in leaves.items() if k not in chosen})
        self.own = nnx.Dict(
            {k: variable(k, jnp.stack([leaves[k]] * count)) for k in leaves if k in chosen}
        )

    def model(self, k: int) -> Any:
        """The model of the stack number k."""
        return self._merged({name: v[...][k] for name, v in self.own.items()})

    def map(self, function: Callable[[Any, Any], Any], data: object, *, batch_size: int = 4) -> Any:
        """Applies ``function(model, data)`` to every stack; few at a time, to spare memory.

        Where memory does not suffice, half as many are tried.
        """
        own = {name: v[...] for name, v in self.own.items()}

        def one(x: tuple[dict, Any]) -> Any:
            return function(self._merged(x[0]), x[1])

        while True:
            try:
                result = numerics.map_rows(one, (own, data), batch_size)
                return jax.block_until_ready(result) if _check.is_concrete(result) else result
            except (jax.errors.JaxRuntimeError, MemoryError) as error:
                if not _check.exhausted(error):
                    raise
                if batch_size == 1:
                    refuse("Joint.map", error, "One stack alone needs more: pass smaller ones.")
                batch_size = batch_size // 2

    def _merged(self, own: dict[str, Array]) -> Any:
        shared = {name: v[...] for name, v in self.shared.items()}
        return self._structure.merge({**shared, **own})


def joint_loss(loss: Callable[[Any, Any], Array], *, batch_size: int = 4) -> Callable:
    r"""Makes the loss of many stacks out of that of one.

    .. math:: L = \sum_k L(m_k, d_k)

    Valid for independent stacks. The residuals of a :class:`least_squares` stay residuals.

    Args:
        loss: ``loss(model, data)`` of one stack, shape ``()`` [any unit].
        batch_size: Stacks that are computed at once.

    Returns:
        ``loss(joint, data)`` for a :class:`Joint` model and data whose leading axis counts the
        stacks.

    Raises:
        ValueError: When called, if the data have another number of stacks.

    Example:
        >>> joint = Joint({"a": jnp.float32(1.0), "b": jnp.float32(0.0)}, 2, own=["b"])
        >>> loss = joint_loss(lambda model, data: (model["a"] + model["b"] - data) ** 2)
        >>> float(loss(joint, jnp.array([1.0, 3.0])))
        4.0

    References:
        A. Gelman et al., *Bayesian Data Analysis*, 3rd ed., Ch. 5.
    """
    if isinstance(loss, least_squares):
        return least_squares(_Each(loss.rows, batch_size))
    _check.function("joint_loss", "loss", loss)
    return _Sum(_Each(loss, batch_size))


@dataclasses.dataclass(frozen=True)
class _Each:
    """A function of one stack, for every stack."""

    function: Callable[[Any, Any], Any]
    batch_size: int

    def __call__(self, joint: Joint, data: object) -> Any:
        counts = {jnp.shape(leaf)[0] for leaf in jax.tree.leaves(data) if jnp.ndim(leaf)}
        if counts - {joint.count}:
            raise ValueError(
                f"joint_loss: the leading axis of all data must count the {joint.count} stacks, "
                f"got {sorted(counts)}."
            )
        return joint.map(self.function, data, batch_size=self.batch_size)


@dataclasses.dataclass(frozen=True)
class _Sum:
    each: _Each

    def __call__(self, joint: Joint, data: object) -> Array:
        return jnp.sum(self.each(joint, data))
