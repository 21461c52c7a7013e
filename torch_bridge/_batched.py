"""The older vmap inside torch.autograd: ``is_grads_batched`` and ``vectorize=True``.

It does not go through ``autograd.Function.vmap``: its batched tensors reach the backward pass as
they are, so they are unwrapped here, run through the vmapped op, and wrapped again.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from torch_bridge._op import Op


def is_batched(t: torch.Tensor) -> bool:
    """Tells whether this is a batched tensor of the older vmap."""
    return bool(torch._C._functorch.is_legacy_batchedtensor(t))


def apply(
    run: Callable[..., Any], op: Op, numbers: Sequence[Any], xs: Sequence[torch.Tensor]
) -> Sequence[torch.Tensor]:
    """``run(op, numbers, xs)``, over the batch if any of the tensors is batched."""
    batched = [is_batched(x) for x in xs]
    if not any(batched):
        return run(op, numbers, xs)
    level = _level()
    plain = [_unwrap(x, level) if b else x for x, b in zip(xs, batched, strict=True)]
    dims = tuple(0 if b else None for b in batched)
    size = next(x.shape[0] for x, b in zip(plain, batched, strict=True) if b)
    outs = apply(run, op.vmap(dims, size), numbers, plain)
    return [torch._add_batch_dim(out, 0, level) for out in outs]


def _level() -> int:
    # Entering tells the level: there is no question without a side effect.
    level = torch._C._vmapmode_increment_nesting()
    torch._C._vmapmode_decrement_nesting()
    return level - 1


def _unwrap(x: torch.Tensor, level: int) -> torch.Tensor:
    # The batch size is used only for tensors that are not batched.
    return torch._remove_batch_dim(x, level, 1, 0)
