"""A flat JAX function and the operations derived from it, each made once, on demand."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import torch

from torch_bridge import _convert, _dlpack, _guard, _private

Mask = tuple[bool, ...]
Aval = jax.ShapeDtypeStruct
Number = int | float | complex
Numbers = Sequence[Number]
Tensors = Sequence[torch.Tensor]
Aux = tuple[Sequence[jax.Array], Numbers]  # constants and numbers; see :class:`Op`
FlatFunction = Callable[..., tuple[jax.Array, ...]]


class Batch(Protocol):
    """What torch tells a rule of ``vmap`` about the batch."""

    batch_size: int


class Context(Protocol):
    """What a forward pass leaves for a backward pass: torch's part, and ours."""

    op: Op
    numbers: Numbers
    count: int  # of the inputs
    mask: Mask  # of the inputs that need a gradient
    saves: bool
    handle: str
    needs_input_grad: tuple[Any, ...]
    next_functions: Sequence[Any]

    @property
    def saved_tensors(self) -> tuple[torch.Tensor, ...]:
        """What was saved."""

    def save_for_backward(self, *xs: torch.Tensor) -> None:
        """Saves for the backward pass."""

    def save_for_forward(self, *xs: torch.Tensor) -> None:
        """Saves for forward mode."""

    def mark_non_differentiable(self, *outs: torch.Tensor) -> None:
        """Names results that have no derivative."""

    def set_materialize_grads(self, value: bool) -> None:
        """Whether missing gradients become zeros."""


_lock = threading.RLock()


def settings(x64: bool, device: jax.Device | None = None) -> AbstractContextManager[Any]:
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
    def cached(self: Op, *key: object) -> Any:
        found = self.cache.get((name, *key))
        if found is None:
            with _lock:
                found = self.cache.get((name, *key))
                if found is None:
                    found = self.cache[name, *key] = method(self, *key)
        return found

    return cached


def is_inexact(aval: object) -> bool:
    """Tells whether values of this kind have derivatives."""
    return bool(jnp.issubdtype(aval.dtype, jnp.inexact))


class Op:
    """A pure function of flat arrays, ready to run on torch tensors.

    ``fn((consts, numbers), *arrays)`` returns a tuple of arrays. ``consts`` are the arrays that the
    user's function closed over: they enter as arguments, so that XLA neither folds nor copies
    them. ``numbers`` are the Python numbers of one call.

    Complex derivatives follow torch: the pull-back is ``conj(vjp(conj(g)))``, with both
    conjugates inside the compiled function. Tangents are not conjugated.

    Attributes:
        used: For what :meth:`save` returns: the inputs that :meth:`pull` needs.
        results: The number of outputs that are results of the user's function; None: all.
    """

    used: tuple[int, ...] = ()
    results: int | None = None

    def __init__(
        self,
        fn: FlatFunction,
        consts: Sequence[jax.Array],
        numbers: Numbers,
        ins: Sequence[Aval],
        outs: Sequence[Aval] | None,
        *,
        x64: bool,
        device: jax.Device | None,
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
        if outs is None:
            with self.settings():
                outs = jax.eval_shape(fn, (self.consts, self.example), *ins)
        self.outs = tuple(outs)

    def settings(self) -> AbstractContextManager[Any]:
        """Where and with which precision everything of this op runs, if it may run at all."""
        _guard.check_process(self.name)
        return settings(self.x64, self.device)

    @property
    def name(self) -> str:
        """The name of the wrapped function."""
        return self.handle.partition("#")[0]

    def where(self) -> str:
        """An argument whose name is not known here, in messages."""
        return f"{self.name}: an argument"

    @once
    def differentiable(self) -> Mask:
        """Which results have derivatives."""
        return tuple(map(is_inexact, self.outs))

    def run(self, numbers: Numbers, xs: Tensors) -> list[torch.Tensor]:
        """Runs the compiled function; the results own fresh memory and are ready."""
        if self.narrows:
            xs = [
                x if _convert.JAX_DTYPES[x.dtype] == aval.dtype else _convert.narrow(self.where, x)
                for x, aval in zip(xs, self.ins, strict=True)
            ]
        with self.settings():  # JAX narrows what it imports outside of them
            arrays = [_dlpack.import_tensor(x) for x in xs]
            results = self.compiled((self.consts, numbers), *arrays)
        tensors = [_dlpack.export_array(r) for r in results]
        if self.check_finite:
            check_finite(self.handle, tensors[: self.results])
        return tensors

    def derive(
        self, suffix: str, fn: FlatFunction, ins: Sequence[Aval], outs: Sequence[Aval] | None = None
    ) -> Op:
        """Another function of the same constants and numbers."""
        return Op(
            fn,
            self.consts,
            self.example,
            ins,
            outs,
            x64=self.x64,
            device=self.device,
            handle=f"{self.handle}/{suffix}",
            check_finite=self.check_finite,
        )

    @once
    def vjp(self, mask: Mask, given: Mask) -> Op:
        """Gradients of the inputs in ``mask`` from inputs and the cotangents in ``given``."""
        count = len(self.ins)

        def pull_back(aux: Aux, *arrays: jax.Array) -> tuple[Any, ...]:
            _, pull = linearize(self.fn, aux, arrays[:count], mask)
            return conjugated_pull(pull, self.outs, given, arrays[count:])

        ins = [*self.ins, *pick(self.outs, given)]
        return self.derive(f"vjp:{bits(mask)}:{bits(given)}", pull_back, ins, pick(self.ins, mask))

    @once
    def jvp(self, mask: Mask) -> Op:
        """Tangents of the differentiable results from inputs and the tangents in ``mask``."""
        count = len(self.ins)

        def push_forward(aux: Aux, *arrays: jax.Array) -> tuple[Any, ...]:
            xs, tangents = arrays[:count], arrays[count:]
            part, chosen = partial_in(self.fn, aux, xs, mask)
            _, out = jax.jvp(lambda *v: select_inexact(part(*v)), chosen, tuple(tangents))
            return out

        ins = [*self.ins, *pick(self.ins, mask)]
        return self.derive(f"jvp:{bits(mask)}", push_forward, ins, select_inexact(self.outs))

    @once
    def vmap(self, dims: tuple[int | None, ...], size: int) -> Op:
        """The function over a batch; results carry the batch axis first."""
        batched = jax.vmap(self.fn, in_axes=(None, *dims), axis_size=size)
        ins = [
            x if dim is None else Aval((*x.shape[:dim], size, *x.shape[dim:]), x.dtype)
            for x, dim in zip(self.ins, dims, strict=True)
        ]
        return self.derive(f"vmap:{dims}:{size}".replace(" ", ""), batched, ins)

    @once
    def save(self, mask: Mask) -> Op:
        """The function that returns, after its results, what :meth:`pull` needs besides inputs."""
        make = _fused if self.residuals == "fused" else _saved
        with _lock, self.settings():
            return make(self, mask)

    @once
    def pull(self, mask: Mask, wanted: Mask, given: Mask) -> Op:
        """Gradients of ``wanted`` from used inputs, residuals, and the cotangents in ``given``."""
        saved = self.save(mask)
        # XLA drops the work for gradients that are not returned.
        keep = pick(wanted, mask)
        handle = f"pull:{bits(mask)}:{bits(wanted)}:{bits(given)}"
        if self.residuals == "fused":
            return Product(f"{self.handle}/{handle}", saved, keep)
        residuals = saved.outs[len(self.outs) :]
        used, count = len(saved.used), len(saved.used) + len(residuals)
        back = self.cache["back", mask]

        def run(aux: Aux, *arrays: jax.Array) -> tuple[Any, ...]:
            pull = back(aux, arrays[:used], arrays[used:count])
            grads = conjugated_pull(pull, self.outs, given, arrays[count:])
            return pick(grads, keep)

        ins = [*(self.ins[i] for i in saved.used), *residuals, *pick(self.outs, given)]
        return self.derive(handle, run, ins, pick(self.ins, wanted))


def _saved(op: Op, mask: Mask) -> Op:
    """A forward pass that returns its residuals.

    The residuals of ``jax.vjp`` are found once. Those that are inputs, closed-over constants or
    numbers are not copied out at every call: the pull-back takes them from where they are.
    """
    count, store = len(op.outs), {}

    def forward(aux: Aux, *xs: jax.Array) -> tuple[Any, ...]:
        outs, pull = linearize(op.fn, aux, xs, mask)
        residuals, store["tree"] = jax.tree_util.tree_flatten(pull)
        return (*outs, *residuals)

    traced = jax.make_jaxpr(forward)((op.consts, op.example), *op.ins)
    tree, jaxpr = store["tree"], traced.jaxpr
    before = len(op.consts) + len(op.example)
    places = {id(var): index for index, var in enumerate(jaxpr.invars)}
    residuals = jaxpr.outvars[count:]
    used = sorted({places[id(v)] for v in residuals if places.get(id(v), -1) >= before})
    # A variable that comes twice is carried once; a literal is known.
    outside = {id(v): v for v in residuals if id(v) not in places and not hasattr(v, "val")}
    slots = {key: slot for slot, key in enumerate(outside)}
    packing = [_packing(var.aval) for var in outside.values()]
    indices = [count + [id(v) for v in residuals].index(key) for key in outside]

    def run(aux: Aux, *xs: jax.Array) -> tuple[Any, ...]:
        flat = _private.eval_jaxpr(jaxpr, traced.consts, *aux[0], *aux[1], *xs)
        carried = [pack(flat[i]) for i, (pack, _) in zip(indices, packing, strict=True)]
        return (*flat[:count], *carried)

    def back(aux: Aux, inputs: Sequence[Any], carried: Sequence[Any]) -> Callable[..., Any]:
        given = dict(zip(used, inputs, strict=True))
        given |= enumerate([*aux[0], *aux[1]])
        values = [unpack(v) for v, (_, unpack) in zip(carried, packing, strict=True)]
        leaves = [
            v.val if hasattr(v, "val") else given[places[id(v)]] if id(v) in places
            else values[slots[id(v)]]
            for v in residuals
        ]  # fmt: skip
        return jax.tree_util.tree_unflatten(tree, leaves)

    op.cache["back", mask] = back
    saved = op.derive(f"save:{bits(mask)}", run, op.ins)
    saved.used, saved.results = tuple(index - before for index in used), count
    return saved


def _packing(aval: object) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """How a residual that torch has no dtype for crosses: random keys, four-bit integers."""
    if jnp.issubdtype(aval.dtype, jax.dtypes.prng_key):
        impl = _convert.key_impl(aval)
        return jax.random.key_data, lambda data: jax.random.wrap_key_data(data, impl=impl)
    if aval.dtype not in _convert.TORCH_DTYPES and jnp.issubdtype(aval.dtype, jnp.integer):
        wide = jnp.uint8 if jnp.issubdtype(aval.dtype, jnp.unsignedinteger) else jnp.int8
        return lambda v: v.astype(wide), lambda v: v.astype(aval.dtype)
    return _same, _same


def _same(x: object) -> Any:
    return x


def _fused(op: Op, mask: Mask) -> Op:
    """Value and gradients of a loss in one program.

    XLA sees value and gradient together, and nothing but the gradients is kept in between: the
    backward pass only multiplies.
    """
    given, (scalar,) = op.differentiable(), select_inexact(op.outs)

    def run(aux: Aux, *xs: jax.Array) -> tuple[Any, ...]:
        outs, pull = linearize(op.fn, aux, xs, mask)
        grads = conjugated_pull(pull, op.outs, given, [jnp.ones((), scalar.dtype)])
        return (*outs, *grads)

    saved = op.derive(f"save:{bits(mask)}", run, op.ins, [*op.outs, *pick(op.ins, mask)])
    saved.results = len(op.outs)
    return saved


class Product(Op):
    """The pull-back of a fused forward pass: its gradients times the one cotangent."""

    def __init__(self, handle: str, saved: Op, keep: Mask) -> None:
        self.handle, self.keep, self.check_finite = handle, keep, saved.check_finite
        self.example, self.x64 = saved.example, saved.x64
        self.outs = pick(saved.outs[saved.results :], keep)

    def run(self, numbers: Numbers, xs: Tensors) -> list[torch.Tensor]:
        """The kept gradients times the cotangent, which is last."""
        grads = [(r * xs[-1]).to(r.dtype) for r in pick(xs[:-1], self.keep)]
        if self.check_finite:
            check_finite(self.handle, grads)
        return grads


def bits(mask: Mask) -> str:
    """A mask as text, for handles."""
    return "".join("01"[value] for value in mask)


def pick(things: Sequence[Any], mask: Mask) -> tuple[Any, ...]:
    """Those of the things that the mask chooses."""
    return tuple(thing for thing, chosen in zip(things, mask, strict=True) if chosen)


def partial_in(
    fn: FlatFunction, aux: Aux, xs: Sequence[Any], mask: Mask
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The function of the chosen inputs alone, and their values."""

    def part(*values: object) -> tuple[Any, ...]:
        rest = iter(values)
        return fn(aux, *[next(rest) if wanted else x for x, wanted in zip(xs, mask, strict=True)])

    return part, pick(xs, mask)


def select_inexact(outs: Sequence[Any]) -> tuple[Any, ...]:
    """The results that have derivatives."""
    return tuple(out for out in outs if is_inexact(out))


def linearize(
    fn: FlatFunction, aux: Aux, xs: Sequence[Any], mask: Mask
) -> tuple[tuple[Any, ...], Callable[..., Any]]:
    """All results, and JAX's pull-back of the differentiable ones to the chosen inputs."""
    part, chosen = partial_in(fn, aux, xs, mask)

    def split(*values: object) -> tuple[Any, Any]:
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


def check_finite(handle: str, tensors: Tensors) -> None:
    """Raises if a result or a gradient is not finite.

    Raises:
        FloatingPointError: Naming the function and the index of the tensor.
    """
    for index, tensor in enumerate(tensors):
        if not torch.isfinite(tensor).all():
            derived = handle.partition("/")[2]
            kind = "gradient" if derived.startswith(("vjp", "pull")) else "output"
            raise FloatingPointError(
                f"{handle.partition('#')[0]}: {kind} {index} is not finite. Call it without "
                "check_finite, or under jax.debug_nans(True), to find the operation."
            )
