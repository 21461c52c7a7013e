"""The one place where torch meets an :class:`Op`: autograd, forward mode, torch.func, vmap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from torch_bridge import _private
from torch_bridge._op import Batch, Context, Mask, Numbers, Op, Tensors, pick

_DTYPES = {int: torch.int64, float: torch.float64, complex: torch.complex128}


def apply(op: Op, numbers: Numbers, xs: Tensors) -> Sequence[torch.Tensor]:
    """Runs an op on tensors, with a graph only where something asks for derivatives."""
    if _private.transforms_active():
        return _Transformed.apply(op, numbers, *xs)
    if (
        torch.is_grad_enabled() and any([x.requires_grad for x in xs])
    ) or _private.in_forward_mode():
        return _Recorded.apply(op, numbers, *xs)
    return execute(op, numbers, xs)


def execute(op: Op, numbers: Numbers, xs: Tensors) -> Sequence[torch.Tensor]:
    """Runs an op; under a tracing or counting mode of torch, as the custom op that it sees."""
    if _private.count_modes() > 0:  # make_fx, torch.func.linearize, counters
        values = [torch.tensor(n, dtype=_DTYPES[type(n)], device="cpu") for n in numbers]
        return torch.ops.torch_bridge.call(op.handle, [*values, *xs])
    return op.run(numbers, xs)


def _mark_integers(ctx: Context, op: Op, outs: Tensors) -> None:
    differentiable = op.differentiable()
    if not all(differentiable):
        fixed = [out for out, has in zip(outs, differentiable, strict=True) if not has]
        ctx.mark_non_differentiable(*fixed)


def scatter(mask: Mask, grads: Tensors) -> list[torch.Tensor | None]:
    """Gradients at their places; None where the mask has none."""
    rest = iter(grads)
    return [next(rest) if wanted else None for wanted in mask]


def _differentiable_pull(
    op: Op, numbers: Numbers, xs: Tensors, cts: Sequence[torch.Tensor | None], wanted: Mask
) -> Sequence[torch.Tensor]:
    """The pull-back as one more op, so that it can be differentiated, batched, transformed."""
    given = tuple(ct is not None for ct in cts)
    derived = op.vjp(tuple(wanted), given)
    return _batched(apply, derived, numbers, [*xs, *(ct for ct in cts if ct is not None)])


def _push(op: Op, numbers: Numbers, xs: Tensors, tangents: Sequence[torch.Tensor | None]) -> Any:
    """Tangents of all results; None where a result has no derivative."""
    mask = tuple(
        t is not None and x.dtype.is_floating_point | x.dtype.is_complex
        for t, x in zip(tangents, xs, strict=True)
    )
    outs = _batched(apply, op.jvp(mask), numbers, [*xs, *pick(tangents, mask)])
    return tuple(scatter(op.differentiable(), outs))


class _Recorded(torch.autograd.Function):
    """Plain autograd. The legacy style: it costs 6 µs a call, ``setup_context`` 20 µs."""

    @staticmethod
    def forward(ctx: Context, op: Op, numbers: Numbers, *xs: torch.Tensor) -> Any:
        ctx.op, ctx.numbers, ctx.count = op, numbers, len(xs)
        ctx.set_materialize_grads(False)
        ctx.mask = tuple(ctx.needs_input_grad[2:])
        ctx.saves = op.residuals != "recompute" and any(ctx.mask) and not _private.count_modes()
        if _private.in_forward_mode():
            ctx.save_for_forward(*xs)
        count = len(op.outs)
        outs = execute(op.save(ctx.mask) if ctx.saves else op, numbers, xs)
        ctx.save_for_backward(*xs, *outs[count:])
        _mark_integers(ctx, op, outs[:count])
        return tuple(outs[:count])

    @staticmethod
    def backward(ctx: Context, *cts: torch.Tensor | None) -> Any:
        wanted, op = _wanted(ctx), ctx.op
        saved = ctx.saved_tensors
        if not any(wanted) or all([ct is None for ct in cts]):
            return (None,) * (2 + ctx.count)
        xs, residuals = saved[: ctx.count], saved[ctx.count :]
        if not ctx.saves or _must_differentiate(cts):
            grads = _differentiable_pull(op, ctx.numbers, xs, cts, wanted)
        else:
            given = tuple([ct is not None for ct in cts])
            used = [xs[index] for index in op.save(ctx.mask).used]
            present = [ct for ct in cts if ct is not None]
            pull = op.pull(ctx.mask, wanted, given)
            grads = pull.run(ctx.numbers, [*used, *residuals, *present])
        return None, None, *scatter(wanted, grads)

    @staticmethod
    def jvp(ctx: Context, *tangents: torch.Tensor | None) -> Any:
        return _push(ctx.op, ctx.numbers, ctx.saved_tensors, tangents[2:])


def _wanted(ctx: Context) -> Mask:
    """The inputs whose gradient this backward pass is after.

    ``needs_input_grad`` says which inputs require one at all; ``autograd.grad(loss, [x])`` is
    after one of them. torch tells only for tensors that are no leaves.
    """
    mask = ctx.needs_input_grad[2:]
    if sum(mask) < 2:
        return tuple(mask)
    nodes = ctx.next_functions  # one entry for each tensor among the inputs
    return tuple([needs and _is_run(node) for needs, (node, _) in zip(mask, nodes, strict=True)])


def _is_run(node: object) -> bool:
    return hasattr(node, "variable") or _private.will_execute(node)


def _must_differentiate(cts: Sequence[torch.Tensor | None]) -> bool:
    return (
        torch.is_grad_enabled()
        or _private.in_forward_mode()
        or _private.transforms_active()
        or any([ct is not None and _private.is_batched(ct) for ct in cts])
    )


class _Transformed(torch.autograd.Function):
    """Autograd under torch.func transforms, which need ``setup_context`` and a vmap rule.

    torch.func differentiates its backward pass again, so residuals could not be used anyway. Where
    it runs in a part that torch.compile left to Python, dynamo must not look into JAX.
    """

    @staticmethod
    def forward(op: Op, numbers: Numbers, *xs: torch.Tensor) -> Any:
        return tuple(execute(op, numbers, xs))

    @staticmethod
    def setup_context(ctx: Context, inputs: tuple[Any, ...], output: Tensors) -> None:
        ctx.op, ctx.numbers, *xs = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*xs)
        ctx.save_for_forward(*xs)
        _mark_integers(ctx, ctx.op, output)

    @staticmethod
    @torch.compiler.disable
    def backward(ctx: Context, *cts: torch.Tensor | None) -> Any:
        wanted = ctx.needs_input_grad[2:]
        xs = ctx.saved_tensors
        if not any(wanted) or all(ct is None for ct in cts):
            return (None,) * (2 + len(xs))
        grads = _differentiable_pull(ctx.op, ctx.numbers, xs, cts, wanted)
        return None, None, *scatter(wanted, grads)

    @staticmethod
    @torch.compiler.disable
    def jvp(ctx: Context, *tangents: torch.Tensor | None) -> Any:
        return _push(ctx.op, ctx.numbers, ctx.saved_tensors, tangents[2:])

    @staticmethod
    @torch.compiler.disable
    def vmap(
        info: Batch, in_dims: tuple[int | None, ...], op: Op, numbers: Numbers, *xs: torch.Tensor
    ) -> Any:
        dims = tuple(
            None if d is None else d % x.dim() for d, x in zip(in_dims[2:], xs, strict=True)
        )
        outs = apply(op.vmap(dims, info.batch_size), numbers, xs)
        return tuple(outs), (0,) * len(outs)


def _batched(
    run: Callable[..., Any], op: Op, numbers: Numbers, xs: Tensors
) -> Sequence[torch.Tensor]:
    """``run(op, numbers, xs)``, over the batch if any tensor has one of torch's older vmap.

    ``is_grads_batched`` and ``vectorize=True`` do not go through ``autograd.Function.vmap``: their
    tensors reach the backward pass as they are, so they are unwrapped here and wrapped again.
    """
    batched = [_private.is_batched(x) for x in xs]
    if not any(batched):
        return run(op, numbers, xs)
    level = _private.batch_level()
    # The batch size is used only for tensors that are not batched.
    plain = [
        _private.remove_batch(x, level, 1, 0) if b else x for x, b in zip(xs, batched, strict=True)
    ]
    size = next(x.shape[0] for x, b in zip(plain, batched, strict=True) if b)
    outs = _batched(run, op.vmap(tuple(0 if b else None for b in batched), size), numbers, plain)
    return [_private.add_batch(out, 0, level) for out in outs]
