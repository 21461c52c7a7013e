"""The one place where torch meets an :class:`Op`: autograd, forward mode, torch.func, vmap."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.autograd import forward_ad

from torch_bridge import _batched
from torch_bridge._fused import Fused
from torch_bridge._op import Op
from torch_bridge._residuals import Saved

Tensors = Sequence[torch.Tensor]


def apply(op: Op, numbers: Sequence[Any], xs: Tensors) -> Sequence[torch.Tensor]:
    """Runs an op on tensors, with a graph only where something asks for derivatives."""
    if torch._C._are_functorch_transforms_active():
        return _Transformed.apply(op, numbers, *xs)
    if (torch.is_grad_enabled() and any([x.requires_grad for x in xs])) or in_forward_mode():
        return _Recorded.apply(op, numbers, *xs)
    return execute(op, numbers, xs)


def execute(op: Op, numbers: Sequence[Any], xs: Tensors) -> Sequence[torch.Tensor]:
    """Runs an op; under a tracing or counting mode of torch, as the custom op that it sees."""
    if is_traced():
        return torch.ops.torch_bridge.call(op.handle, list(numbers), list(xs))
    return op.run(numbers, xs)


def is_traced() -> bool:
    """Tells whether torch watches its operations (make_fx, torch.func.linearize, counters)."""
    return torch._C._len_torch_dispatch_stack() > 0


def in_forward_mode() -> bool:
    """Tells whether a dual level (forward-mode AD) is open."""
    return forward_ad._current_level >= 0


def saver(op: Op, mask: tuple[bool, ...]) -> Saved | Fused | None:
    """The forward pass that keeps residuals in the op's way, or None to recompute."""
    if op.residuals == "recompute" or not any(mask):
        return None
    found = op.cache.get(("saver", mask))
    if found is None:
        kind = Fused if op.residuals == "fused" else Saved
        found = op.cache.setdefault(("saver", mask), kind(op, mask))
    return found


def _mark_integers(ctx: Any, op: Op, outs: Tensors) -> None:
    differentiable = op.differentiable()
    if not all(differentiable):
        fixed = [out for out, has in zip(outs, differentiable, strict=True) if not has]
        ctx.mark_non_differentiable(*fixed)


def _scatter(mask: Sequence[bool], grads: Tensors) -> list[torch.Tensor | None]:
    rest = iter(grads)
    return [next(rest) if wanted else None for wanted in mask]


def _differentiable_pull(
    op: Op, numbers: Sequence[Any], xs: Tensors, cts: Sequence[torch.Tensor | None], wanted: Any
) -> Sequence[torch.Tensor]:
    """The pull-back as one more op, so that it can be differentiated, batched, transformed."""
    given = tuple(ct is not None for ct in cts)
    derived = op.vjp(tuple(wanted), given)
    return _batched.apply(apply, derived, numbers, [*xs, *(ct for ct in cts if ct is not None)])


def _push(op: Op, numbers: Sequence[Any], xs: Tensors, tangents: Sequence[Any]) -> Any:
    """Tangents of all results; None where a result has no derivative."""
    mask = tuple(
        t is not None and x.dtype.is_floating_point | x.dtype.is_complex
        for t, x in zip(tangents, xs, strict=True)
    )
    given = [t for t, has in zip(tangents, mask, strict=True) if has]
    outs = _batched.apply(apply, op.jvp(mask), numbers, [*xs, *given])
    return tuple(_scatter(op.differentiable(), outs))


class _Recorded(torch.autograd.Function):
    """Plain autograd. The legacy style: it costs 6 µs a call, ``setup_context`` 20 µs."""

    @staticmethod
    def forward(ctx: Any, op: Op, numbers: Sequence[Any], *xs: torch.Tensor) -> Any:
        ctx.op, ctx.numbers, ctx.count = op, numbers, len(xs)
        ctx.set_materialize_grads(False)
        ctx.mask = tuple(ctx.needs_input_grad[2:])
        ctx.saver = None if is_traced() else saver(op, ctx.mask)
        if in_forward_mode():
            ctx.save_for_forward(*xs)
        if ctx.saver is None:
            outs, residuals = execute(op, numbers, xs), ()
        else:
            outs, residuals = ctx.saver.run(numbers, xs)
        ctx.save_for_backward(*xs, *residuals)
        _mark_integers(ctx, op, outs)
        return tuple(outs)

    @staticmethod
    def backward(ctx: Any, *cts: Any) -> Any:
        wanted = _wanted(ctx)
        saved = ctx.saved_tensors
        if not any(wanted) or all([ct is None for ct in cts]):
            return (None,) * (2 + ctx.count)
        xs, residuals = saved[: ctx.count], saved[ctx.count :]
        if ctx.saver is None or _must_differentiate(cts):
            grads = _differentiable_pull(ctx.op, ctx.numbers, xs, cts, wanted)
        else:
            given = tuple([ct is not None for ct in cts])
            present = [ct for ct in cts if ct is not None]
            grads = ctx.saver.pull(ctx.numbers, xs, residuals, present, wanted, given)
        return None, None, *_scatter(wanted, grads)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return _push(ctx.op, ctx.numbers, ctx.saved_tensors, tangents[2:])


def _wanted(ctx: Any) -> tuple[bool, ...]:
    """The inputs whose gradient this backward pass is after.

    ``needs_input_grad`` says which inputs require one at all; ``autograd.grad(loss, [x])`` is
    after one of them. torch tells only for tensors that are no leaves.
    """
    mask = ctx.needs_input_grad[2:]
    if sum(mask) < 2:
        return tuple(mask)
    nodes = ctx.next_functions  # one entry for each tensor among the inputs
    return tuple([needs and _is_run(node) for needs, (node, _) in zip(mask, nodes, strict=True)])


def _is_run(node: Any) -> bool:
    return hasattr(node, "variable") or torch._C._will_engine_execute_node(node)


def _must_differentiate(cts: Sequence[torch.Tensor | None]) -> bool:
    return (
        torch.is_grad_enabled()
        or in_forward_mode()
        or torch._C._are_functorch_transforms_active()
        or any([ct is not None and _batched.is_batched(ct) for ct in cts])
    )


class _Transformed(torch.autograd.Function):
    """Autograd under torch.func transforms, which need ``setup_context`` and a vmap rule.

    torch.func differentiates its backward pass again, so residuals could not be used anyway.
    """

    @staticmethod
    def forward(op: Op, numbers: Sequence[Any], *xs: torch.Tensor) -> Any:
        return tuple(execute(op, numbers, xs))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensors) -> None:
        ctx.op, ctx.numbers, *xs = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*xs)
        ctx.save_for_forward(*xs)
        _mark_integers(ctx, ctx.op, output)

    @staticmethod
    def backward(ctx: Any, *cts: Any) -> Any:
        wanted = ctx.needs_input_grad[2:]
        xs = ctx.saved_tensors
        if not any(wanted) or all(ct is None for ct in cts):
            return (None,) * (2 + len(xs))
        grads = _differentiable_pull(ctx.op, ctx.numbers, xs, cts, wanted)
        return None, None, *_scatter(wanted, grads)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return _push(ctx.op, ctx.numbers, ctx.saved_tensors, tangents[2:])

    @staticmethod
    def vmap(info: Any, in_dims: Any, op: Op, numbers: Sequence[Any], *xs: torch.Tensor) -> Any:
        dims = tuple(
            None if d is None else d % x.dim() for d, x in zip(in_dims[2:], xs, strict=True)
        )
        outs = apply(op.vmap(dims, info.batch_size), numbers, xs)
        return tuple(outs), (0,) * len(outs)
