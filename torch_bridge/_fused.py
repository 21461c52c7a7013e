"""Value and gradients in one program."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import torch

from torch_bridge._op import Aval, Mask, Op, check_finite, conjugated_pull, linearize
from torch_bridge._residuals import Forward

Tensors = Sequence[torch.Tensor]


class Fused(Forward):
    """Value and gradients in one program, for a function whose one result is a real scalar.

    The backward pass only multiplies: XLA sees value and gradient together, and nothing but the
    gradients is kept in between.
    """

    def __init__(self, op: Op, mask: Mask) -> None:
        self.op, self.mask = op, mask
        given = op.differentiable()
        scalars = [out for out, has in zip(op.outs, given, strict=True) if has]
        shapes = [f"{out.dtype}{list(out.shape)}" for out in scalars]
        if len(scalars) != 1 or scalars[0].shape or scalars[0].dtype.kind == "c":
            raise ValueError(
                f"{op.handle.partition('@')[0]}: residuals='fused' needs a function with one real "
                f"scalar result (a loss), got {', '.join(shapes) or 'none'}. Use residuals='save'."
            )

        def run(aux: Any, *xs: Any) -> Any:
            outs, pull = linearize(op.fn, aux, xs, mask)
            return outs, conjugated_pull(pull, op.outs, given, [jnp.ones((), scalars[0].dtype)])

        self._forward = jax.jit(run)

    def shapes(self) -> tuple[Aval, ...]:
        """Shapes and dtypes of the gradients."""
        return tuple(x for x, wanted in zip(self.op.ins, self.mask, strict=True) if wanted)

    def pull(
        self,
        numbers: Sequence[Any],
        xs: Tensors,
        residuals: Tensors,
        cotangents: Tensors,
        wanted: Mask,
        given: Mask,
    ) -> list[torch.Tensor]:
        """The kept gradients times the one cotangent."""
        keep = (w for w, had in zip(wanted, self.mask, strict=True) if had)
        kept = [r for r, is_kept in zip(residuals, keep, strict=True) if is_kept]
        grads = [(r * cotangents[0]).to(r.dtype) for r in kept]
        if self.op.check_finite:
            check_finite(f"{self.op.handle}/vjp", grads)
        return grads
