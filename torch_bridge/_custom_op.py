"""The custom op that torch.compile and torch.export see, told what to run by a handle.

A handle is text, ``name@signature/derived/derived``, so that an exported program finds its function
again in another process that has wrapped and warmed it up under the same name.
"""

import ast
from collections.abc import Sequence
from typing import Any

import torch

from torch_bridge import _convert, _registry
from torch_bridge._autograd import saver
from torch_bridge._op import Mask, Op, bits, is_inexact


class Saving:
    """The forward pass of an op that also returns its residuals."""

    def __init__(self, op: Op, mask: Mask) -> None:
        kind = saver(op, mask)
        if kind is None:
            raise RuntimeError(f"torch_bridge: {op.handle} keeps no residuals.")
        self.op, self.kind, self.ins = op, kind, op.ins
        self.outs = (*op.outs, *kind.shapes())

    def run(self, numbers: Sequence[Any], xs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Results, then residuals."""
        outs, residuals = self.kind.run(numbers, xs)
        return [*outs, *residuals]


class Pulling:
    """The pull-back of a :class:`Saving`, from inputs, residuals and cotangents."""

    def __init__(self, saving: Saving, wanted: Mask, given: Mask) -> None:
        self.saving, self.wanted, self.given = saving, wanted, given
        op = saving.op
        self.outs = tuple(x for x, w in zip(op.ins, wanted, strict=True) if w)
        given_outs = [out for out, is_given in zip(op.outs, given, strict=True) if is_given]
        self.ins = (*op.ins, *saving.outs[len(op.outs) :], *given_outs)

    def run(self, numbers: Sequence[Any], xs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The gradients."""
        count, residuals = len(self.saving.op.ins), len(self.saving.kind.shapes())
        parts = xs[:count], xs[count : count + residuals], xs[count + residuals :]
        return self.saving.kind.pull(numbers, *parts, self.wanted, self.given)


def find(handle: str) -> Any:
    """The op of a handle.

    Raises:
        RuntimeError: If no living wrapped function has it.
    """
    root, *steps = handle.split("/")
    plan = _registry.find_plan(root)
    if plan is None:
        name = root.partition("@")[0]
        raise RuntimeError(
            f"torch_bridge: no function named '{name}' is wrapped for this signature. Keep the "
            f"wrapped function alive; in a new process, call wrap(fn, name='{name}').warmup(...) "
            "before the program runs."
        )
    op: Any = plan.op
    for step in steps:
        op = _derive(op, *step.split(":"))
    return op


def _derive(op: Any, kind: str, *details: str) -> Any:
    if kind == "vmap":
        return op.vmap(ast.literal_eval(details[0]), int(details[1]))
    masks = [tuple(bit == "1" for bit in text) for text in details]
    if kind == "save":
        return Saving(op, *masks)
    if kind == "pull":
        return Pulling(op, *masks)
    return getattr(op, kind)(*masks)


@torch.library.custom_op("torch_bridge::call", mutates_args=())
def call(
    handle: str, numbers: Sequence[torch.types.Number], xs: Sequence[torch.Tensor]
) -> list[torch.Tensor]:
    """Runs the op of a handle on numbers and tensors."""
    return find(handle).run(tuple(numbers), list(xs))


@call.register_fake
def _call_fake(handle: str, numbers: Any, xs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    device = xs[0].device if xs else "cpu"
    return [
        torch.empty(out.shape, dtype=_convert.TORCH_DTYPES[out.dtype], device=device)
        for out in find(handle).outs
    ]


def _setup_context(ctx: Any, inputs: Any, output: Any) -> None:
    handle, ctx.numbers, xs = inputs
    ctx.handle, ctx.count = handle, len(xs)
    op = find(handle)
    ctx.outs = len(op.op.outs) if isinstance(op, Saving) else len(op.outs)
    ctx.save_for_backward(*xs, *output[ctx.outs :])


def _backward(ctx: Any, grads: Sequence[torch.Tensor | None]) -> Any:
    wanted = tuple(bool(w) for w in ctx.needs_input_grad[-1])
    saved = ctx.saved_tensors
    root, _, saving = ctx.handle.rpartition("/save:")
    root = root or ctx.handle
    given = [
        g is not None and is_inexact(out) for g, out in zip(grads, find(root).outs, strict=False)
    ]
    empty = None if ctx.numbers else []  # torch takes an empty list for a list of tensors
    if not any(wanted) or not any(given):
        return None, empty, [None] * ctx.count
    cts = [g for g, is_given in zip(grads, given, strict=False) if is_given]
    masks = f"{bits(wanted)}:{bits(tuple(given))}"
    if saving and root != ctx.handle and not torch.is_grad_enabled():
        results = iter(call(f"{ctx.handle}/pull:{masks}", ctx.numbers, [*saved, *cts]))
    else:
        results = iter(call(f"{root}/vjp:{masks}", ctx.numbers, [*saved[: ctx.count], *cts]))
    return None, empty, [next(results) if w else None for w in wanted]


def _vmap(info: Any, in_dims: Any, handle: str, numbers: Any, xs: Sequence[torch.Tensor]) -> Any:
    root = handle.rpartition("/save:")[0] or handle  # torch.func differentiates again
    outs = call(f"{root}/vmap:{tuple(in_dims[-1])}:{info.batch_size}", numbers, list(xs))
    missing = len(find(handle).outs) - len(outs)
    if missing:
        raise NotImplementedError("torch_bridge: vmap of a forward pass that keeps residuals.")
    return outs, [0] * len(outs)


call.register_autograd(_backward, setup_context=_setup_context)
call.register_vmap(_vmap)
