"""What the forward pass keeps for the backward pass, and the pull-back that uses it."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import torch

from torch_bridge import _convert
from torch_bridge._cheap import Recipe
from torch_bridge._op import (
    Aval,
    Mask,
    Op,
    check_finite,
    conjugated_pull,
    linearize,
)

Tensors = Sequence[torch.Tensor]


class Forward:
    """A compiled forward pass that hands out its residuals beside the results."""

    op: Op
    _forward: Callable[..., Any]

    def run(
        self, numbers: Sequence[Any], xs: Tensors
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """The results and the residuals, all in fresh memory."""
        arrays = self.op.arrays(xs)
        with self.op.settings():
            outs, residuals = self._forward((self.op.consts, numbers), *arrays)
        tensors = [_convert.export_array(out) for out in outs]
        if self.op.check_finite:
            check_finite(self.op.handle, tensors)
        return tensors, [_convert.export_array(r) for r in residuals]


class Saved(Forward):
    """A forward pass that returns its residuals, with one compiled pull-back per mask.

    The residuals of ``jax.vjp`` are found once. Those that are inputs or closed-over constants are
    not copied out at every call: the pull-back takes them from where they already are. Those that
    follow from constants alone (a transfer function, a cast mask) are computed once and kept. Those
    that a few cheap operations make of the others are made again in the pull-back, where they cost
    less than their way through memory.
    """

    def __init__(self, op: Op, mask: Mask) -> None:
        self.op, self.mask = op, mask
        self._pulls: dict[tuple[Mask, Mask], Callable[..., Any]] = {}
        with op.settings():
            self._trace()

    def _trace(self) -> None:
        op, count = self.op, len(self.op.outs)
        store: dict[str, Any] = {}

        def forward(aux: Any, *xs: Any) -> Any:
            outs, pull = linearize(op.fn, aux, xs, self.mask)
            residuals, store["tree"] = jax.tree_util.tree_flatten(pull)
            return outs, residuals

        aux = (op.consts, op.example)
        closed = jax.make_jaxpr(forward)(aux, *op.ins)
        self._tree = store["tree"]
        self._recipe = Recipe(closed.jaxpr, count, len(op.consts), len(op.example))
        fix = self._recipe.fix()
        self._constants = jax.jit(lambda *consts: jax.core.eval_jaxpr(fix, closed.consts, *consts))(
            *op.consts
        )
        _convert.check_concrete(self._constants)
        carried = list(self._recipe.carried.values())
        jaxpr = closed.jaxpr.replace(outvars=[*closed.jaxpr.outvars[:count], *carried])

        def run(aux: Any, *xs: Any) -> Any:
            flat = jax.core.eval_jaxpr(jaxpr, closed.consts, *aux[0], *aux[1], *xs)
            outs, carried = flat[:count], flat[count:]
            packing = [_packing(value) for value in carried]
            self._unpack = [unpack for _, unpack in packing]
            packed = [pack(value) for value, (pack, _) in zip(carried, packing, strict=True)]
            return outs, packed

        self._forward = jax.jit(run)
        self._shapes = tuple(jax.eval_shape(self._forward, aux, *op.ins)[1])

    def shapes(self) -> tuple[Aval, ...]:
        """Shapes and dtypes of what is carried."""
        return self._shapes

    def pull(
        self,
        numbers: Sequence[Any],
        xs: Tensors,
        residuals: Tensors,
        cotangents: Tensors,
        wanted: Mask,
        given: Mask,
    ) -> list[torch.Tensor]:
        """The gradients of the inputs in ``wanted`` from the cotangents in ``given``."""
        pull = self._pulls.get((wanted, given))
        if pull is None:
            pull = self._pulls.setdefault((wanted, given), self._compile(wanted, given))
        used = {i: _convert.import_tensor(xs[i]) for i in self._recipe.inputs}
        saved = [_convert.import_tensor(r) for r in residuals]
        cts = [_convert.import_tensor(c) for c in cotangents]
        with self.op.settings():
            grads = pull((self.op.consts, numbers), self._constants, used, saved, cts)
        tensors = [_convert.export_array(g) for g in grads]
        if self.op.check_finite:
            check_finite(f"{self.op.handle}/vjp", tensors)
        return tensors

    def _compile(self, wanted: Mask, given: Mask) -> Callable[..., Any]:
        # XLA drops the work for gradients that are not returned.
        keep = [w for w, had in zip(wanted, self.mask, strict=True) if had]

        def pull(aux: Any, constants: Any, used: Any, saved: Any, cts: Any) -> list[Any]:
            carried = [unpack(value) for unpack, value in zip(self._unpack, saved, strict=True)]
            inputs = [used.get(i) for i in range(len(self.op.ins))]
            leaves = self._recipe.residuals(carried, constants, [*aux[0], *aux[1], *inputs])
            back = jax.tree_util.tree_unflatten(self._tree, leaves)
            grads = conjugated_pull(back, self.op.outs, given, cts)
            return [grad for grad, kept in zip(grads, keep, strict=True) if kept]

        return jax.jit(pull)


def _same(x: Any) -> Any:
    return x


def _packing(x: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """How a residual that torch has no dtype for crosses: random keys, four-bit integers."""
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        impl = jax.random.key_impl(x)
        return jax.random.key_data, lambda data: jax.random.wrap_key_data(data, impl=impl)
    if x.dtype not in _convert.TORCH_DTYPES and jnp.issubdtype(x.dtype, jnp.integer):
        wide = jnp.uint8 if jnp.issubdtype(x.dtype, jnp.unsignedinteger) else jnp.int8
        return lambda v: v.astype(wide), lambda v: v.astype(x.dtype)
    return _same, _same
