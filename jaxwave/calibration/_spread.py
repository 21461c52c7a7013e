"""A loss whose samples lie on many devices: each computes that of its own, and they are added.

XLA would spread a program over devices by itself, but it gathers the whole batch for every Fourier
transform, so that each device does all of the work. Here every device sees its samples only.

Of n samples on D devices each device has n // D, its block; one more lies on each of the first
n % D devices, and a copy with weight zero on the others. So no sample counts twice, all devices run
the same program, and a device without samples has one to wait with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxwave.calibration._tree import Leaves, Structure, split
from jaxwave.calibration.engine import scalar

_WHERE = "calibrate"
_AXIS = "samples"
_SAME = 1e-4  # by how much a sum of two losses may differ from the loss of two


class Shares(NamedTuple):
    """Data dealt out to the devices; lists of leaves."""

    block: list[Array]  # (devices * m, ...)
    odd: list[Array]  # (devices, ...), or (0, ...) where all is in the blocks
    weight: Array  # (devices, 2), of a block and of an odd sample
    common: list[Array]  # what all samples need


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Common:
    """Marks data that all samples need, whatever their shapes are; a loss sees them plain."""

    tree: Any


def unmarked(data: Any) -> Any:
    """The data without marks."""
    return jax.tree.map(lambda x: x.tree if _is_mark(x) else x, data, is_leaf=_is_mark)


def _is_mark(x: Any) -> bool:
    return isinstance(x, Common)


@dataclasses.dataclass(frozen=True)
class Spread:
    """A sum or a mean over samples that lie on the devices of all processes."""

    loss: Callable
    mesh: Mesh
    tree: Any  # of the data
    dealt: tuple[bool, ...]  # which of its leaves have an axis of samples
    mean: bool

    @property
    def everywhere(self) -> NamedSharding:
        """What all devices have."""
        return NamedSharding(self.mesh, PartitionSpec())

    def __call__(self, model: Any, shares: Shares) -> Array:
        """The loss of all samples."""
        return jnp.sum(self._each(_value, model, shares))

    def pick(self, shares: Shares, numbers: Array) -> Shares:
        """The samples of a minibatch, dealt out anew."""
        here = NamedSharding(self.mesh, PartitionSpec(_AXIS))
        devices, count = self.mesh.size, len(numbers)
        inside = count - count % devices

        def taken(block: Array, odd: Array) -> Array:
            last = numbers - len(block)
            if len(odd) == 0:
                return jnp.take(block, numbers, axis=0)
            if len(block) == 0:
                return jnp.take(odd, last, axis=0)
            first = jnp.take(block, jnp.minimum(numbers, len(block) - 1), axis=0)
            rest = jnp.take(odd, jnp.maximum(last, 0), axis=0)
            return jnp.where((last < 0).reshape(-1, *[1] * (block.ndim - 1)), first, rest)

        leaves = [taken(b, o) for b, o in zip(shares.block, shares.odd, strict=True)]
        pairs = [_dealt(leaf, inside, devices) for leaf in leaves]
        pairs = jax.lax.with_sharding_constraint(pairs, here)
        weight = jnp.asarray(_weights(count, devices, self.mean), shares.weight.dtype)
        return Shares([b for b, _ in pairs], [o for _, o in pairs], weight, shares.common)

    def _each(self, combine: Callable, model: Any, shares: Shares) -> Array:
        """What every device finds, one after the other."""
        structure, leaves = split(_WHERE, model)
        prefix = _own_prefix(model)
        own = {k: v for k, v in leaves.items() if prefix and k.startswith(prefix)}
        pairs = {k: _dealt(v, len(shares.block[0]), self.mesh.size) for k, v in own.items()}
        here, everywhere = PartitionSpec(_AXIS), PartitionSpec()
        specs: tuple[Any, ...] = (here, here, here, everywhere)
        return jax.shard_map(
            partial(self._part, combine, structure),
            mesh=self.mesh,
            in_specs=(everywhere, here, here, Shares(*specs)),
            out_specs=here,
            check_vma=False,
        )(
            {k: v for k, v in leaves.items() if k not in own},
            {k: block for k, (block, _) in pairs.items()},
            {k: odd for k, (_, odd) in pairs.items()},
            shares,
        )

    def _part(
        self,
        combine: Callable,
        structure: Structure,
        shared: Leaves,
        own_block: Leaves,
        own_odd: Leaves,
        shares: Shares,
    ) -> Array:
        """What one device finds."""
        parts = []
        both = ((own_block, shares.block), (own_odd, shares.odd))
        for k, (own, rows) in enumerate(both):
            if len(rows[0]):
                model = _narrow(structure.merge({**shared, **own}), len(rows[0]))
                data = _joined(self.tree, self.dealt, rows, shares.common)
                parts.append(combine(self.loss, model, data, shares.weight[0, k]))
        return jnp.concatenate(parts)


class SpreadSquares(Spread):
    """The same for residuals."""

    def rows(self, model: Any, shares: Shares) -> Array:
        """The residuals of all samples."""
        return self._each(_rows, model, shares)


def _value(loss: Callable, model: Any, data: Any, weight: Array) -> Array:
    return (weight * scalar(loss(model, data))).reshape(1)


def _rows(loss: Any, model: Any, data: Any, weight: Array) -> Array:
    return jnp.sqrt(weight) * loss.rows(model, data)


def _joined(tree: Any, dealt: tuple[bool, ...], rows: list, common: list) -> Any:
    """The data of some samples as the loss knows them."""
    samples, rest = iter(rows), iter(common)
    return jax.tree.unflatten(tree, [next(samples if own else rest) for own in dealt])


def _own_prefix(model: Any) -> str | None:
    """What the names of parameters begin with that every sample has for itself."""
    return getattr(type(model), "OWN_PREFIX", None)


def _narrow(model: Any, count: int) -> Any:
    """The model of some samples only."""
    if _own_prefix(model):
        model.count = count
    return model


def _dealt(leaf: Array, inside: int, devices: int) -> tuple[Array, Array]:
    """The samples in blocks, and one odd sample (or a copy) for each device."""
    odd = leaf[inside:]
    if len(odd):
        copies = jnp.broadcast_to(odd[-1:], (devices - len(odd), *odd.shape[1:]))
        odd = jnp.concatenate([odd, copies])
    return leaf[:inside], odd


def _weights(count: int, devices: int, mean: bool) -> np.ndarray:
    block, odd = divmod(count, devices)
    weight = np.ones((devices, 2))
    weight[odd:, 1] = 0
    return weight * np.array([block, 1]) / count if mean else weight


# -- dealing out -----------------------------------------------------------------------------


def spread(loss: Any, model: Any, data: Any) -> tuple[Spread, Shares]:
    """The loss and its data on the devices of all processes."""
    leaves, tree, dealt, count = samples_of(model, data)
    pair = two_samples(leaves, dealt)
    mean = count > 1 and _is_mean(loss, model, tree, dealt, pair)
    mesh = Mesh(np.array(jax.devices()), (_AXIS,))
    kind = SpreadSquares if hasattr(loss, "rows") else Spread
    whole = kind(loss, mesh, tree, dealt, mean)
    chosen = [leaf for leaf, own in zip(leaves, dealt, strict=True) if own]
    shares = Shares(
        [_block(leaf, count, mesh) for leaf in chosen],
        [_odd(leaf, count, mesh) for leaf in chosen],
        _filled(_weights(count, mesh.size, mean).astype(np.float32), mesh),
        [np.asarray(leaf) for leaf, own in zip(leaves, dealt, strict=True) if not own],
    )
    return whole, shares


def samples_of(model: Any, data: Any) -> tuple[list, Any, tuple[bool, ...], int]:
    """The leaves of the data, which of them have an axis of samples, and how many there are."""
    marks = jax.tree.map(
        lambda x: jax.tree.map(lambda _: _is_mark(x), x.tree if _is_mark(x) else x),
        data,
        is_leaf=_is_mark,
    )
    leaves, tree = jax.tree.flatten(unmarked(data))
    free = [a for a, mark in zip(leaves, jax.tree.leaves(marks), strict=True) if not mark]
    largest = max((a for a in free if a.ndim), key=lambda a: a.size, default=None)
    if largest is None or largest.shape[0] == 0:
        raise ValueError(
            f"{_WHERE}: on several processes `data` must hold the samples that are shared out, "
            "along the leading axis of its arrays. Run it in one process."
        )
    count = model.count if _own_prefix(model) else largest.shape[0]
    pairs = zip(leaves, jax.tree.leaves(marks), strict=True)
    return leaves, tree, tuple(not m and a.shape[:1] == (count,) for a, m in pairs), count


def two_samples(leaves: list, dealt: tuple[bool, ...]) -> list:
    """The data of the first and the last sample, and what all samples need."""
    return [ends(leaf) if own else leaf for leaf, own in zip(leaves, dealt, strict=True)]


def is_global(leaf: Any) -> bool:
    """Tells whether other processes hold parts of an array."""
    return isinstance(leaf, Array) and not leaf.is_fully_addressable


def ends(leaf: Any) -> np.ndarray:
    """The first and the last sample of an array."""
    if is_global(leaf):
        everywhere = NamedSharding(leaf.sharding.mesh, PartitionSpec())
        return np.asarray(jax.jit(_first_and_last, out_shardings=everywhere)(leaf))
    return np.concatenate([np.asarray(leaf[:1]), np.asarray(leaf[leaf.shape[0] - 1 :])])


def _first_and_last(leaf: Array) -> Array:
    return jnp.concatenate([leaf[:1], leaf[-1:]])


def _block(leaf: Any, count: int, mesh: Mesh) -> Array:
    here = NamedSharding(mesh, PartitionSpec(_AXIS))
    if is_global(leaf):
        if count % mesh.size:
            raise ValueError(
                f"{_WHERE}: global arrays must have the same number of samples on each of the "
                f"{mesh.size} devices, got {count} samples. Pass all of the data in every process."
            )
        return jax.device_put(leaf, here)
    shape = count - count % mesh.size, *leaf.shape[1:]
    kind = jax.dtypes.canonicalize_dtype(leaf.dtype)

    def rows(at: Any) -> np.ndarray:
        return np.asarray(leaf[at[0]], kind)

    return jax.make_array_from_callback(shape, here, rows)


def _odd(leaf: Any, count: int, mesh: Mesh) -> Array:
    here, odd = NamedSharding(mesh, PartitionSpec(_AXIS)), count % mesh.size
    kind = jax.dtypes.canonicalize_dtype(leaf.dtype)

    def row(at: Any) -> np.ndarray:
        if not odd:
            return np.zeros((0, *leaf.shape[1:]), kind)
        place = count - odd + min(at[0].start or 0, odd - 1)
        return np.asarray(leaf[place : place + 1], kind)

    shape = mesh.size if odd else 0, *leaf.shape[1:]
    return jax.make_array_from_callback(shape, here, row)


def _filled(rows: np.ndarray, mesh: Mesh) -> Array:
    here = NamedSharding(mesh, PartitionSpec(_AXIS))
    return jax.make_array_from_callback(rows.shape, here, lambda at: rows[at])


def _is_mean(loss: Any, model: Any, tree: Any, dealt: tuple[bool, ...], pair: list) -> bool:
    """Tells a mean over samples from a sum, by the loss of two samples and of each."""
    structure, leaves = split(_WHERE, model)
    prefix = _own_prefix(model)

    def of(*which: int) -> float:
        numbers = {
            k: ends(v)[list(which)] if prefix and k.startswith(prefix) else v
            for k, v in leaves.items()
        }
        rows = [a[list(which)] for a, own in zip(pair, dealt, strict=True) if own]
        common = [a for a, own in zip(pair, dealt, strict=True) if not own]

        @jax.jit
        def value(numbers: Leaves, rows: list, common: list) -> Array:
            part = _narrow(structure.merge(numbers), len(which))
            return scalar(loss(part, _joined(tree, dealt, rows, common)))

        return float(value(numbers, rows, common))

    try:
        both, a, b = of(0, 1), of(0), of(1)
    except Exception as error:
        first = str(error).splitlines()[0]
        if first.startswith(f"{_WHERE}:"):
            raise
        raise ValueError(
            f"{_WHERE}: on several processes the leading axis of `data` counts the samples, and "
            f"`loss` must take any number of them; with two of them it failed ({first}). Make "
            "what all samples share a parameter that is not learned."
        ) from error
    size = abs(a) + abs(b)
    if not np.isfinite(both) or abs(both - (a + b)) <= _SAME * size:
        return False
    if abs(both - (a + b) / 2) <= _SAME * size:
        return True
    raise ValueError(
        f"{_WHERE}: on several processes the loss must be a sum or a mean over the samples, the "
        f"leading axis of `data`; of two samples it is {both:g}, of each alone {a:g} and {b:g}. "
        "Write what concerns parameters alone as `priors`."
    )
