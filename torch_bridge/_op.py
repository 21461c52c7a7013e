"""A flat JAX function and the operations derived from it, each made once, on demand."""

import functools
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import torch

from torch_bridge import _convert, _guard
from torch_bridge._arguments import narrow

Mask = tuple[bool, ...]
Aval = jax.ShapeDtypeStruct

_lock = threading.RLock()


def settings(x64: bool, device: Any = None) -> AbstractContextManager[Any]:
    """The 64-bit switch of this thread as it was at the trace, and where numpy views shall go."""
    same = jax.config.jax_enable_x64 == x64
    if device is None:
        return nullcontext() if same else jax.enable_x64(x64)
    stack = ExitStack()
    stack.enter_context(jax.enable_x64(x64))
    stack.enter_context(jax.default_device(device))
    return stack


def once(method: Callable[..., Any]) -> Callable[..., Any]:
    """Caches a method in its instance; two threads that race build one result."""
    name = method.__name__

    @functools.wraps(method)
    def cached(self: Any, *key: Any) -> Any:
        found = self.cache.get((name, *key))
        if found is None:
            with _lock:
                found = self.cache.get((name, *key))
                if found is None:
                    found = self.cache[name, *key] = method(self, *key)
        return found

    return cached


def is_inexact(aval: Any) -> bool:
    """Tells whether values of this kind have derivatives."""
    return bool(jnp.issubdtype(aval.dtype, jnp.inexact))


class Op:
    """A pure function of flat arrays, ready to run on torch tensors.

    ``fn((consts, numbers), *arrays)`` returns a tuple of arrays. ``consts`` are the arrays that the
    user's function closed over: they enter as arguments, so that XLA neither folds nor copies
    them. ``numbers`` are the Python numbers of one call.

    Complex derivatives follow torch: the pull-back is ``conj(vjp(conj(g)))``, with both
    conjugates inside the compiled function. Tangents are not conjugated.
    """

    def __init__(
        self,
        fn: Callable[..., tuple[Any, ...]],
        consts: Sequence[Any],
        numbers: Sequence[Any],
        ins: Sequence[Aval],
        *,
        x64: bool,
        device: Any,
        handle: str,
        residuals: str = "save",
        check_finite: bool = False,
    ) -> None:
        self.fn, self.consts, self.example = fn, tuple(consts), tuple(numbers)
        self.ins, self.x64, self.device, self.handle = tuple(ins), x64, device, handle
        self.residuals, self.check_finite = residuals, check_finite
        self.cache: dict[tuple[Any, ...], Any] = {}
        self.compiled = jax.jit(fn)
        self.narrows = not x64 and any(jnp.issubdtype(x.dtype, jnp.integer) for x in ins)

    def settings(self) -> AbstractContextManager[Any]:
        """Where and with which precision everything of this op runs, if it may run at all."""
        _guard.check_process(self.name)
        return settings(self.x64, self.device)

    @property
    def name(self) -> str:
        """The name of the wrapped function."""
        return self.handle.partition("@")[0]

    @property
    def outs(self) -> tuple[Aval, ...]:
        """Shapes and dtypes of the results."""
        return self._outs()

    @once
    def _outs(self) -> tuple[Aval, ...]:
        with self.settings():
            return tuple(jax.eval_shape(self.fn, (self.consts, self.example), *self.ins))

    @once
    def differentiable(self) -> Mask:
        """Which results have derivatives."""
        return tuple(map(is_inexact, self.outs))

    def run(self, numbers: Sequence[Any], xs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Runs the compiled function; the results own fresh memory and are ready."""
        arrays = self.arrays(xs)
        with self.settings():
            results = self.compiled((self.consts, numbers), *arrays)
        tensors = [_convert.export_array(r) for r in results]
        if self.check_finite:
            check_finite(self.handle, tensors)
        return tensors

    def arrays(self, xs: Sequence[torch.Tensor]) -> list[Any]:
        """The inputs for the compiled function; 64-bit integers are checked and narrowed."""
        if self.narrows:
            where = f"{self.name}: an argument"
            pairs = zip(xs, self.ins, strict=True)
            xs = [x if dtype_of(x) == aval.dtype else narrow(where, x) for x, aval in pairs]
        return [_convert.import_tensor(x) for x in xs]

    def derive(self, suffix: str, fn: Callable[..., Any], ins: Sequence[Aval]) -> "Op":
        """Another function of the same constants and numbers."""
        return Op(
            fn,
            self.consts,
            self.example,
            ins,
            x64=self.x64,
            device=self.device,
            handle=f"{self.handle}/{suffix}",
            check_finite=self.check_finite,
        )

    @once
    def vjp(self, mask: Mask, given: Mask) -> "Op":
        """Gradients of the inputs in ``mask`` from inputs and the cotangents in ``given``."""
        count = len(self.ins)

        def pull_back(aux: Any, *arrays: Any) -> tuple[Any, ...]:
            _, pull = linearize(self.fn, aux, arrays[:count], mask)
            return conjugated_pull(pull, self.outs, given, arrays[count:])

        cotangents = [out for out, is_given in zip(self.outs, given, strict=True) if is_given]
        return self.derive(f"vjp:{bits(mask)}:{bits(given)}", pull_back, [*self.ins, *cotangents])

    @once
    def jvp(self, mask: Mask) -> "Op":
        """Tangents of the differentiable results from inputs and the tangents in ``mask``."""
        count = len(self.ins)

        def push_forward(aux: Any, *arrays: Any) -> tuple[Any, ...]:
            xs, tangents = arrays[:count], arrays[count:]
            part, chosen = partial_in(self.fn, aux, xs, mask)
            _, out = jax.jvp(lambda *v: select_inexact(part(*v)), chosen, tuple(tangents))
            return out

        tangents = [x for x, has_tangent in zip(self.ins, mask, strict=True) if has_tangent]
        return self.derive(f"jvp:{bits(mask)}", push_forward, [*self.ins, *tangents])

    @once
    def vmap(self, dims: tuple[int | None, ...], size: int) -> "Op":
        """The function over a batch; results carry the batch axis first."""
        batched = jax.vmap(self.fn, in_axes=(None, *dims), axis_size=size)
        ins = [
            x if dim is None else Aval((*x.shape[:dim], size, *x.shape[dim:]), x.dtype)
            for x, dim in zip(self.ins, dims, strict=True)
        ]
        return self.derive(f"vmap:{dims}:{size}", batched, ins)


def dtype_of(x: torch.Tensor) -> Any:
    """The dtype of a tensor in JAX's terms."""
    return _convert.JAX_DTYPES[x.dtype]


def bits(mask: Mask) -> str:
    """A mask as text, for handles."""
    return "".join("01"[value] for value in mask)


def partial_in(
    fn: Callable[..., Any], aux: Any, xs: Sequence[Any], mask: Mask
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The function of the chosen inputs alone, and their values."""
    chosen = tuple(x for x, wanted in zip(xs, mask, strict=True) if wanted)

    def part(*values: Any) -> tuple[Any, ...]:
        rest = iter(values)
        return fn(aux, *[next(rest) if wanted else x for x, wanted in zip(xs, mask, strict=True)])

    return part, chosen


def select_inexact(outs: Sequence[Any]) -> tuple[Any, ...]:
    """The results that have derivatives."""
    return tuple(out for out in outs if is_inexact(out))


def linearize(
    fn: Callable[..., Any], aux: Any, xs: Sequence[Any], mask: Mask
) -> tuple[tuple[Any, ...], Callable[..., Any]]:
    """All results, and JAX's pull-back of the differentiable ones to the chosen inputs."""
    part, chosen = partial_in(fn, aux, xs, mask)

    def split(*values: Any) -> tuple[Any, Any]:
        outs = part(*values)
        return select_inexact(outs), outs

    _, pull, outs = jax.vjp(split, *chosen, has_aux=True)
    return outs, pull


def conjugated_pull(
    pull: Callable[..., Any], outs: Sequence[Aval], given: Mask, cotangents: Sequence[Any]
) -> tuple[Any, ...]:
    """The gradient of torch, ``conj(vjp(conj(g)))``; cotangents that are not given are zero."""
    rest = iter(cotangents)
    full = []
    for out, is_given in zip(outs, given, strict=True):
        value = next(rest) if is_given else None
        if is_inexact(out):
            full.append(jnp.zeros(out.shape, out.dtype) if value is None else jnp.conj(value))
    return tuple(jnp.conj(grad) for grad in pull(tuple(full)))


def check_finite(handle: str, tensors: Sequence[torch.Tensor]) -> None:
    """Raises if a result or a gradient is not finite.

    Raises:
        FloatingPointError: Naming the function and the index of the tensor.
    """
    for index, tensor in enumerate(tensors):
        if not torch.isfinite(tensor).all():
            name, _, derived = handle.partition("/")
            kind = "gradient" if derived.startswith("vjp") else "output"
            raise FloatingPointError(
                f"{name.partition('@')[0]}: {kind} {index} is not finite. Call it without "
                "check_finite, or under jax.debug_nans(True), to find the operation."
            )
