"""``wrap_torch``: a torch module inside a JAX program."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax.tree_util import PyTreeDef

from torch_bridge import _convert, _guard, _private
from torch_bridge._op import Aval, is_inexact, pick, select_inexact

VmapMethod = Literal["sequential", "expand_dims", "broadcast_all"]
FlatTorch = Callable[[Sequence[torch.Tensor]], Sequence[torch.Tensor]]


def wrap_torch(
    module_or_fn: Callable[..., Any],
    out_spec: object,
    *,
    vmap_method: VmapMethod = "sequential",
    differentiable: bool = True,
) -> Callable[..., Any]:
    r"""Makes a torch module or function callable inside a JAX program, with gradients.

    The reverse-mode derivative follows JAX, whose cotangents are not conjugated:

    .. math::
        \mathrm{vjp}_f(c) = \overline{\nabla_f(\overline{c})},

    with torch's pull-back on the right. It may be differentiated again; forward mode is not
    available. Gradients flow to the arguments alone: to differentiate with respect to a module's
    parameters, pass them as an argument (``torch.func.functional_call``). The program runs on one
    device, with one thread of Python at a time.

    Warning:
        The function sees XLA's own memory: it must copy what it keeps after the call, must not
        write into its arguments, and must not call JAX, which can deadlock. The gradient runs it
        again: one that draws random numbers (dropout in training) gets the gradient of other
        numbers than those of its value, and one that counts its calls (batch norm in training)
        counts twice. Call ``module.eval()`` first. A result that torch's graph does not reach
        (``detach``, ``no_grad``, ``autograd.grad`` without ``create_graph``) has gradient zero.

    Args:
        module_or_fn: The torch function, of tensors ``(...)`` in any pytree.
        out_spec: The results' shapes and dtypes: a pytree of ``jax.ShapeDtypeStruct``, or a
            function from the arguments' ``jax.ShapeDtypeStruct`` to one.
        vmap_method: What ``jax.vmap`` does: "sequential" calls once a sample; "expand_dims" and
            "broadcast_all" call once, with a leading batch axis that the function must accept.
        differentiable: Whether to define the derivative.

    Returns:
        A function of jax.Arrays, for use inside and outside ``jax.jit``.

    Raises:
        TypeError: At a call, if the results' structure is not that of ``out_spec``, or a dtype
            cannot become that of ``out_spec`` (complex to real, float to integer).
        ValueError: For an unknown ``vmap_method``; at a call, if a result's shape is not that of
            ``out_spec``. JAX reports errors inside a call as runtime errors with this text.

    Example:
        >>> import jax, jax.numpy as jnp, torch
        >>> square = wrap_torch(lambda x: x**2, lambda x: x)
        >>> print(jax.grad(lambda x: square(x).sum())(jnp.arange(3.0)))
        [0. 2. 4.]
    """
    methods = ("sequential", "expand_dims", "broadcast_all")
    _convert.check_option("wrap_torch", "vmap_method", vmap_method, methods)
    name = getattr(module_or_fn, "__name__", type(module_or_fn).__name__)

    @functools.lru_cache(maxsize=64)
    def build(
        treedef: PyTreeDef, ins: tuple[Aval, ...], out_tree: PyTreeDef, outs: tuple[Aval, ...]
    ) -> Any:
        def flat(xs: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
            results = module_or_fn(*jax.tree_util.tree_unflatten(treedef, xs))
            leaves, found = jax.tree_util.tree_flatten(results)
            if found != out_tree:
                raise TypeError(f"wrap_torch: {name} returned {found}, out_spec says {out_tree}.")
            return leaves

        return TorchOp(flat, ins, outs, name, vmap_method, differentiable)

    def call(*args: object) -> Any:
        leaves, treedef = jax.tree_util.tree_flatten(args)
        arrays = [jnp.asarray(leaf) for leaf in leaves]
        ins = tuple(Aval(a.shape, a.dtype) for a in arrays)
        spec = out_spec
        if callable(out_spec):
            spec = out_spec(*jax.tree_util.tree_unflatten(treedef, ins))
        specs, out_tree = jax.tree_util.tree_flatten(spec)
        outs = tuple(Aval(s.shape, s.dtype) for s in specs)
        results = build(treedef, ins, out_tree, outs)(*arrays)
        return jax.tree_util.tree_unflatten(out_tree, results)

    return call


class TorchOp:
    """A flat torch function as a JAX function, with its pull-back as another one."""

    def __init__(
        self,
        fn: FlatTorch,
        ins: Sequence[Aval],
        outs: Sequence[Aval],
        name: str,
        vmap_method: str,
        differentiable: bool,
    ) -> None:
        self.fn, self.ins, self.outs, self.name = fn, tuple(ins), tuple(outs), name
        self.vmap_method = vmap_method
        self._run = self._with_vjp() if differentiable else self._callback

    def __call__(self, *arrays: jax.Array) -> Any:
        """The results, as a list."""
        return self._run(*arrays)

    def _callback(self, *arrays: jax.Array) -> Any:
        return _private.buffer_callback()(
            self._host, list(self.outs), vmap_method=self.vmap_method
        )(*arrays)

    def _host(self, context: Any, outs: Sequence[Any], *buffers: object) -> None:
        """Runs the function on views of XLA's buffers, and writes into XLA's results."""
        xs = [torch.from_dlpack(buffer) for buffer in buffers]
        targets = [torch.from_dlpack(out) for out in outs]
        tensors = [*xs, *targets]
        if any(not t.is_cpu for t in tensors):  # pragma: no cover - needs CUDA, not run here
            stream = torch.cuda.ExternalStream(context.stream)
            with torch.cuda.stream(stream):
                self._compute(xs, targets)
        else:
            self._compute(xs, targets)

    def _compute(self, xs: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]) -> None:
        # In gradient mode: the function may use torch.autograd itself (forces from energies).
        with _guard.inside_callback(), torch.enable_grad():
            results = [result.detach() for result in self.fn(xs)]
            for index, (result, target) in enumerate(zip(results, targets, strict=True)):
                if result.shape != target.shape:
                    raise ValueError(
                        f"wrap_torch: result {index} of {self.name} has shape "
                        f"{tuple(result.shape)}, out_spec says {tuple(target.shape)}."
                    )
                if not torch.can_cast(result.dtype, target.dtype):
                    raise TypeError(
                        f"wrap_torch: result {index} of {self.name} is {result.dtype}, out_spec "
                        f"says {target.dtype}."
                    )
                target.copy_(result)

    def _with_vjp(self) -> Callable[..., Any]:
        run = jax.custom_vjp(self._callback)

        def forward(*arrays: jax.Array) -> Any:
            return run(*arrays), arrays  # not the bare callback: it must be differentiable again

        def backward(arrays: Sequence[jax.Array], cts: Sequence[jax.Array]) -> Any:
            given = [
                jnp.conj(ct) for ct, out in zip(cts, self.outs, strict=True) if is_inexact(out)
            ]
            grads = iter(self._pull(*arrays, *given))
            return tuple(
                jnp.conj(next(grads)) if is_inexact(x) else np.zeros(a.shape, jax.dtypes.float0)
                for x, a in zip(self.ins, arrays, strict=True)
            )

        run.defvjp(forward, backward)
        return run

    @functools.cached_property
    def _pull(self) -> TorchOp:
        """The torch pull-back, from inputs and cotangents; differentiable in turn."""
        wanted, given = tuple(map(is_inexact, self.ins)), tuple(map(is_inexact, self.outs))
        count = len(self.ins)

        def pull(tensors: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
            again = any(t.requires_grad for t in tensors)
            with torch.enable_grad():
                xs = [
                    _tracked(x) if is_wanted else x
                    for x, is_wanted in zip(tensors[:count], wanted, strict=True)
                ]
                outs = pick(self.fn(xs), given)
                pairs = [p for p in zip(outs, tensors[count:], strict=True) if p[0].requires_grad]
            roots = pick(xs, wanted)
            if not pairs:
                return [torch.zeros_like(x) for x in roots]
            ys, cts = zip(*pairs, strict=True)
            return torch.autograd.grad(
                ys, roots, cts, create_graph=again, allow_unused=True, materialize_grads=True
            )

        ins, outs = [*self.ins, *select_inexact(self.outs)], select_inexact(self.ins)
        # A batch axis of one would sum the gradients over the batch.
        batched = "sequential" if self.vmap_method == "sequential" else "broadcast_all"
        return TorchOp(pull, ins, outs, f"the gradient of {self.name}", batched, True)


def _tracked(x: torch.Tensor) -> torch.Tensor:
    """The tensor with a graph of its own behind it."""
    return x.view_as(x) if x.requires_grad else x.detach().requires_grad_()
