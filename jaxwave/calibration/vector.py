"""The learned numbers of a model as one real vector, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from jaxwave import _check
from jaxwave.calibration._tree import Leaves, Structure, split
from jaxwave.calibration.constraints import Constraint
from jaxwave.elements.names import matching_names

_WHERE = "calibrate"


@dataclasses.dataclass(frozen=True)
class _Part:
    """One learned parameter: where it lies in the vector and how it gets back into the model."""

    name: str
    start: int
    size: int  # real numbers
    shape: tuple[int, ...]  # of the free numbers
    free: np.dtype
    dtype: np.dtype  # of the parameter
    constraint: Constraint | None

    @property
    def complex(self) -> bool:
        return self.free.kind == "c"


@dataclasses.dataclass(frozen=True)
class Layout:
    """The static part of a :class:`Vector`; equal layouts share their compiled program."""

    structure: Structure
    parts: tuple[_Part, ...]
    dtype: np.dtype

    def values(self, flat: Array, scales: Leaves) -> Leaves:
        """The learned parameters in their own units."""
        sizes = [part.size for part in self.parts]
        pieces = jax.lax.split(flat, sizes) if len(sizes) > 1 else [flat]
        return {
            part.name: _value(part, piece, scales.get(part.name))
            for part, piece in zip(self.parts, pieces, strict=True)
        }

    def model(self, values: Leaves, fixed: Leaves) -> Any:
        """The model with these learned parameters; the others are passed as they are."""
        return self.structure.merge({**fixed, **values})


class Vector:
    r"""Packs the learned parameters of a model into one real vector.

    .. math:: p_j = f_j(s_j\,x_j)

    with the constraint f (identity without one) and the scale s (one without one) of every
    parameter. A complex parameter is its real part followed by its imaginary part, so that a
    gradient with respect to the vector needs no conjugation. Valid for any flax nnx module and
    any pytree of arrays. Everything else of the model stays outside the vector.

    Args:
        model: The model.
        learn: Patterns of dotted names, such as ``["mask.phase", "lens.*"]``. By default the
            ``nnx.Param`` of a module, or all real and complex arrays of a plain pytree.
        constraints: Constraint by pattern.
        scales: Unit of the free numbers by pattern, a number or an array like the parameter.

    Raises:
        ValueError: If a pattern matches nothing, nothing is learned, or a parameter starts
            outside what its constraint allows; the message names it.
        TypeError: If the model holds something that is not an array.

    Example:
        >>> vector = Vector({"f": 180.0, "mask": jnp.zeros((2, 2))}, scales={"f": 10.0})
        >>> vector.names, vector.flat.tolist()
        (('f', 'mask'), [18.0, 0.0, 0.0, 0.0, 0.0])
        >>> float(vector.unpack(vector.flat + 1)["f"])
        190.0

    References:
        J. Nocedal and S. Wright, *Numerical Optimization*, 2nd ed., Sec. 2.2 (scaling).
    """

    def __init__(
        self,
        model: Any,
        *,
        learn: str | Iterable[str] | None = None,
        constraints: Mapping[str, Constraint] | None = None,
        scales: Mapping[str, Any] | None = None,
    ) -> None:
        structure, leaves = split(_WHERE, model)
        if learn is None:
            names = list(structure.marked)
        else:
            names = matching_names(_WHERE, structure.parameters, learn)
        if not names:
            raise ValueError(
                f"{_WHERE}: nothing is learned. Make parameters nnx.Param, or name them in "
                f"learn=[...]. The model's parameters are: "
                f"{', '.join(structure.parameters) or 'none'}."
            )
        limits = by_name("constraints", constraints, structure, names)
        _require_constraints(limits)
        self.scales: Leaves = {
            name: jnp.asarray(np.asarray(scale), _real(leaves[name].dtype))
            for name, scale in by_name("scales", scales, structure, names).items()
        }
        self.fixed: Leaves = {k: v for k, v in leaves.items() if k not in names}
        free = {
            name: _free(name, leaves[name], limits.get(name), self.scales.get(name))
            for name in names
        }
        self._layout = _arrange(structure, leaves, free, limits)
        self.flat = self._join(free)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Dotted names of the learned parameters, in the order of the vector."""
        return tuple(part.name for part in self._layout.parts)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where every parameter lies in the vector."""
        return {p.name: slice(p.start, p.start + p.size) for p in self._layout.parts}

    @property
    def size(self) -> int:
        """How many real numbers are learned."""
        return int(self.flat.size)

    @property
    def layout(self) -> Layout:
        """The static part, which a compiled program may depend on."""
        return self._layout

    def pack(self, model: object) -> Array:
        """Reads the vector ``(size,)`` out of a model of the same structure."""
        structure, leaves = split(_WHERE, model)
        if structure != self._layout.structure:
            raise ValueError(
                f"{_WHERE}: the model must have the same structure as the one that the vector "
                f"was made for, with the parameters {', '.join(self._layout.structure.names)}; got "
                f"{', '.join(structure.names)}."
            )
        free = {}
        for part in self._layout.parts:
            scale = self.scales.get(part.name)
            value = _free(part.name, leaves[part.name], part.constraint, scale)
            if value.shape != part.shape:
                raise ValueError(
                    f"{_WHERE}: the parameter {part.name!r} must keep its shape; its free "
                    f"numbers had {part.shape}, now {value.shape}."
                )
            free[part.name] = value
        return self._join(free)

    def values(self, flat: Array) -> Leaves:
        """The learned parameters by name, in their own units, from the vector ``(size,)``."""
        return self._layout.values(flat, self.scales)

    def unpack(self, flat: Array) -> Any:
        """Builds the model from the vector ``(size,)``; what is not learned is as at the start."""
        return self._layout.model(self.values(flat), self.fixed)

    def _join(self, free: Leaves) -> Array:
        pieces = []
        for part in self._layout.parts:
            u = jnp.ravel(free[part.name])
            pieces += [u.real, u.imag] if part.complex else [u]
        return jnp.concatenate([piece.astype(self._layout.dtype) for piece in pieces])


def by_name(
    option: str, patterns: Mapping[str, Any] | None, structure: Structure, learned: Iterable[str]
) -> dict[str, Any]:
    """Options by pattern as options by name of the learned parameters; a later pattern wins."""
    result: dict[str, Any] = {}
    learned = set(learned)
    for pattern, value in (patterns or {}).items():
        hits = matching_names(f"{_WHERE}: {option}", structure.parameters, [pattern])
        result.update({name: value for name in hits if name in learned})
    return result


def _require_constraints(limits: dict[str, Any]) -> None:
    for name, limit in limits.items():
        if not isinstance(limit, Constraint):
            got = f"the function {limit.__name__}" if hasattr(limit, "__name__") else repr(limit)
            raise TypeError(
                f"{_WHERE}: constraints[{name!r}] must be a Constraint, such as positive(), got "
                f"{got}."
            )


def _arrange(structure: Structure, leaves: Leaves, free: Leaves, limits: dict) -> Layout:
    parts, start = [], 0
    for name, u in free.items():
        size = u.size * (2 if jnp.iscomplexobj(u) else 1)
        kinds = np.dtype(u.dtype), np.dtype(leaves[name].dtype)
        parts.append(_Part(name, start, size, u.shape, *kinds, limits.get(name)))
        start += size
    dtype = np.result_type(*(_real(part.free) for part in parts))
    return Layout(structure, tuple(parts), np.dtype(dtype))


def _real(dtype: DTypeLike | None) -> np.dtype:
    return np.zeros(0, dtype).real.dtype


def _free(name: str, value: Array, constraint: Constraint | None, scale: Array | None) -> Array:
    _check.finite_array(_WHERE, name, value)
    if scale is not None:
        _check.nonzero(_WHERE, f"scales[{name!r}]", scale)
    u = value if constraint is None else jnp.asarray(constraint.inverse(value))
    if constraint is not None and _check.is_concrete(u) and not np.all(np.isfinite(np.asarray(u))):
        raise ValueError(
            f"{_WHERE}: the parameter {name!r} starts outside of what its constraint allows: it "
            f"lies between {float(jnp.min(value)):g} and {float(jnp.max(value)):g}. "
            "Start inside, or change the constraint."
        )
    if scale is None:
        return u
    if scale.ndim > u.ndim or any(
        a not in (1, b) for a, b in zip(scale.shape[::-1], u.shape[::-1], strict=False)
    ):
        raise ValueError(
            f"{_WHERE}: scales[{name!r}] must be one number or fit the free numbers {u.shape}, got "
            f"the shape {scale.shape}."
        )
    return u / scale


def _value(part: _Part, piece: Array, scale: Array | None) -> Array:
    if part.complex:
        half = part.size // 2
        u = jax.lax.complex(piece[:half], piece[half:]).reshape(part.shape).astype(part.free)
    else:
        u = piece.reshape(part.shape).astype(part.free)
    u = u if scale is None else u * scale
    return (u if part.constraint is None else part.constraint.forward(u)).astype(part.dtype)
