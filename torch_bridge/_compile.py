"""A call under torch.compile or torch.export: the custom op that these see, and what is constant.

A handle is text, ``name@signature/derived/derived``, so that an exported program finds its function
again in another process that has wrapped and warmed it up under the same name (see _plan.py). The
Python numbers of a call travel as 0-dim tensors before its tensors: torch.compile would make
another graph for every number, and torch.export could not save an empty list of them.
"""

from __future__ import annotations

import ast
import enum
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import torch

from torch_bridge import _call, _convert, _plan, _private
from torch_bridge._autograd import scatter
from torch_bridge._op import Batch, Context, Number, Op, Tensors, bits, is_inexact

if TYPE_CHECKING:
    from torch_bridge._wrap import BridgedFunction

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
_TRACEABLE = (torch.Tensor, int, float, complex, type(None), *_call.STATIC)
_NUMBERS = (int, float, complex)  # tuples: dynamo of torch 2.6 knows no `int | float`
_NAMED: dict[str, type] = {}  # named tuples in results: dynamo takes classes from globals alone


def find(handle: str) -> Op:
    """The op of a handle.

    Raises:
        RuntimeError: If no living wrapped function has it.
    """
    root, *steps = handle.split("/")
    plan = _plan.find_plan(root)
    if plan is None:
        name = root.partition("@")[0].partition("#")[0]
        raise RuntimeError(
            f"torch_bridge: no function named '{name}' is wrapped for this signature. Keep the "
            f"wrapped function alive; in a new process, call wrap(fn, name='{name}').warmup(...) "
            "before the program runs, with the same function if it had no name when it was saved."
        )
    op: Any = plan.op
    for step in steps:
        kind, *details = step.split(":")
        if kind == "vmap":
            op = op.vmap(ast.literal_eval(details[0]), int(details[1]))
        else:
            op = getattr(op, kind)(*(tuple(bit == "1" for bit in text) for text in details))
    return op


@torch.library.custom_op(
    "torch_bridge::call", mutates_args=(), schema="(str handle, Tensor[] xs) -> Tensor[]"
)
def custom_op(handle: str, xs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Runs the op of a handle on its numbers and tensors."""
    op = find(handle)
    count = len(op.example)
    numbers = tuple([x.item() for x in xs[:count]])
    for number in numbers:
        if isinstance(number, int) and not op.x64:
            _convert.check_integer(op.where, number)
    return op.run(numbers, list(xs[count:]))


@custom_op.register_fake
def _fake(handle: str, xs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    device = xs[-1].device if xs else "cpu"  # numbers come first
    return [
        torch.empty(out.shape, dtype=_convert.TORCH_DTYPES[out.dtype], device=device)
        for out in find(handle).outs
    ]


def _setup_context(
    ctx: Context, inputs: tuple[str, Tensors], output: Sequence[torch.Tensor]
) -> None:
    ctx.handle, xs = inputs
    op = find(ctx.handle)
    ctx.count = len(xs)
    ctx.save_for_backward(*xs, *(output[op.results :] if op.results is not None else ()))


def _backward(ctx: Context, grads: Sequence[torch.Tensor | None]) -> Any:
    op, xs = find(ctx.handle), ctx.saved_tensors[: ctx.count]
    root, _, saving = ctx.handle.rpartition("/")
    saves = saving.startswith("save:")
    base: Any = find(root) if saves else op
    numbers, xs = xs[: len(op.example)], xs[len(op.example) :]
    wanted = tuple(bool(w) for w in ctx.needs_input_grad[-1])[len(numbers) :]
    given = tuple(
        g is not None and is_inexact(out) for g, out in zip(grads, base.outs, strict=False)
    )
    if not any(wanted) or not any(given):
        return None, [None] * ctx.count
    cts = [g for g, is_given in zip(grads, given, strict=False) if is_given]
    if saves and not torch.is_grad_enabled():
        mask = saving.removeprefix("save:")
        used = [xs[index] for index in op.used]
        handle = f"{root}/pull:{mask}:{bits(wanted)}:{bits(given)}"
        results = custom_op(handle, [*numbers, *used, *ctx.saved_tensors[ctx.count :], *cts])
    else:
        handle = f"{root if saves else ctx.handle}/vjp:{bits(wanted)}:{bits(given)}"
        results = custom_op(handle, [*numbers, *xs, *cts])
    return None, [*[None] * len(numbers), *scatter(wanted, results)]


def _vmap(info: Batch, in_dims: Sequence[Any], handle: str, xs: Sequence[torch.Tensor]) -> Any:
    root = handle.rpartition("/save:")[0] or handle  # torch.func differentiates again
    op: Any = find(root)
    dims = tuple(in_dims[-1])[len(op.example) :]
    size = len(range(info.batch_size))  # a constant, also where sizes are dynamic
    outs = custom_op(f"{root}/vmap:{dims}:{size}".replace(" ", ""), list(xs))
    if len(find(handle).outs) != len(outs):
        raise NotImplementedError("torch_bridge: vmap of a forward pass that keeps residuals.")
    return outs, [0] * len(outs)


custom_op.register_autograd(_backward, setup_context=_setup_context)
custom_op.register_vmap(_vmap)


class Program(NamedTuple):
    """What a compiled graph must know of one signature; plain constants only.

    Attributes:
        handle: Handle of the op.
        order: JAX's order of the leaves: it sorts a dict's keys, torch does not.
        dtypes: What the tensors must be converted to in the graph; None leaves them alone.
        results: The results' structure as nested tuples; see :func:`describe`.
        saves: Whether the forward pass keeps residuals.
        written: Which tensors the caller will write into: the graph works on copies of them.
    """

    handle: str
    order: tuple[int, ...]
    dtypes: tuple[torch.dtype | None, ...]
    results: Any
    saves: bool
    written: tuple[int, ...]


def call(bridge: BridgedFunction, args: Args, kwargs: Kwargs) -> Any:
    """A call under torch.compile or torch.export; dynamo traces this function."""
    if _differentiates():
        return _under_torch_func(bridge, args, kwargs)
    places, names = bridge.static
    count = len(args)
    if places or names:
        fixed = [i for i in range(count) if i in places or i - count in places]
        keys = fixed + [k for k in kwargs if k in names]
        values = [args[key] if isinstance(key, int) else kwargs[key] for key in keys]
        known = _private.OBJECTS_ARE_CONSTANT or _exports()
        if not (known or all([_is_plain(value) for value in values])):
            return _with_static_objects(bridge, args, kwargs)
        traced = tuple([None if i in fixed else a for i, a in enumerate(args)])
        named = {k: None if k in names else v for k, v in kwargs.items()}
    else:
        keys, values, traced, named = [], [], args, kwargs
    leaves = [*traced, *named.values()]
    if all([isinstance(leaf, _TRACEABLE) for leaf in leaves]):  # dynamo is slow in trees
        indices = range(count, len(leaves))
        template: Any = (tuple(range(count)), dict(zip(named, indices, strict=True)))
    else:
        leaves, spec = _private.flatten((traced, named))
        if not all([isinstance(leaf, _TRACEABLE) for leaf in leaves]):
            return _with_foreign_containers(bridge, args, kwargs)
        template = _private.unflatten(list(range(len(leaves))), spec)
    described = [_describe(leaf) for leaf in leaves]
    # One by one: dynamo makes constants of an object, not of containers of objects.
    info = _specialize(bridge.handle, template, described, keys, *[_constant(v) for v in values])
    leaves = [leaves[index] for index in info.order]
    numbers = [_as_tensor(x) for x in leaves if _is_number(x)]
    return _run(info, numbers, [x for x in leaves if isinstance(x, torch.Tensor)])


def _is_number(leaf: object) -> bool:
    return isinstance(leaf, _NUMBERS) and not isinstance(leaf, bool)


def _as_tensor(number: Number) -> torch.Tensor:
    """A Python number as a tensor; dynamo keeps a sum, and nothing else, free of its value."""
    dtype = (
        torch.int64
        if isinstance(number, int)
        else torch.float64
        if isinstance(number, float)
        else torch.complex128
    )
    return torch.zeros((), dtype=dtype, device="cpu") + number


def _constant(value: object) -> Any:
    """A static value, made a constant of the graph where dynamo holds a symbol for it."""
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple([_constant(part) for part in value])
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _private.guard_scalar(value)
    return value


def _is_plain(value: object) -> bool:
    """Tells whether any torch takes a static value for a constant of the graph."""
    if isinstance(value, tuple):
        return all([_is_plain(part) for part in value])
    return value is None or isinstance(value, (bool, int, float, complex, str, bytes, enum.Enum))


def _describe(leaf: object) -> tuple[Any, ...]:
    """What is constant about a leaf; ``len(range(n))`` makes a dynamic size constant."""
    if isinstance(leaf, torch.Tensor):
        shape = tuple([len(range(size)) for size in leaf.shape])
        return ("tensor", shape, leaf.dtype, str(leaf.device))
    if not _is_number(leaf):
        return ("value", leaf)
    return (
        "number",
        int if isinstance(leaf, int) else float if isinstance(leaf, float) else complex,
    )


def _break(reason: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A graph break that says why, where torch can show it (from 2.8 on)."""
    known = "reason" in inspect.signature(torch.compiler.disable).parameters
    return torch.compiler.disable(**({"reason": reason} if known else {}))


def _run_in_python(bridge: BridgedFunction, args: Args, kwargs: Kwargs) -> Any:
    return bridge.run(args, kwargs)


_with_foreign_containers = _break(
    "torch_bridge: torch.compile cannot look into an argument of this wrapped function. Pass "
    "dicts, lists, tuples, named tuples of tensors and numbers, or compile without fullgraph=True."
)(_run_in_python)
_with_static_objects = _break(
    "torch_bridge: before torch 2.13 torch.compile does not take an object (a static argument, the "
    "`self` of a method) for a constant. Pass a number, string, enum or tuple, or compile without "
    "fullgraph=True."
)(_run_in_python)
_under_torch_func = _break(
    "torch_bridge: torch.func's derivatives of a wrapped function are not available inside a "
    "compiled graph. Compile without fullgraph=True, or take the derivative with "
    "torch.autograd.grad or .backward()."
)(_run_in_python)
# In a part that dynamo left to Python; it must not look into JAX all the same.
uncompiled = torch.compiler.disable(_run_in_python)


@torch.compiler.assume_constant_result
def _differentiates() -> bool:
    """Tells whether a torch.func transform other than vmap is active; dynamo guards on these."""
    stack = _private.transform_stack() or ()
    return any([level.key() != _private.Vmap for level in stack])


@torch.compiler.assume_constant_result
def _exports() -> bool:
    """Tells whether torch.export is tracing; asked by dynamo itself, torch 2.11 always says so."""
    return bool(_private.is_exporting())


@torch.compiler.assume_constant_result
def _specialize(
    handle: str,
    template: tuple[Any, ...],
    leaves: Sequence[Any],
    keys: Sequence[int | str],
    *values: object,
) -> Program:
    static = dict(zip(keys, values, strict=True))
    with _private.disable_modes():  # torch.export runs this on fake tensors
        return _program(_plan.bridges[handle], template, leaves, static)


def _example(kind: str, value: Any, *details: Any) -> Any:
    """A leaf of the described kind; a tensor takes no memory."""
    if kind == "tensor":
        dtype, device = details
        return torch.zeros((), dtype=dtype, device=device).expand(value)
    return value(1) if kind == "number" else value


def _program(
    bridge: BridgedFunction,
    template: tuple[Any, ...],
    leaves: Sequence[Any],
    static: dict[int | str, Any],
) -> Program:
    # JAX has no leaf at None, where torch has one.
    places = tuple(None if i in static else place for i, place in enumerate(template[0]))
    named = {k: None if k in static else place for k, place in template[1].items()}
    order = tuple(jax.tree_util.tree_leaves((places, named)))
    examples = [_example(*leaf) for leaf in leaves]
    args, kwargs = jax.tree_util.tree_map(lambda index: examples[index], (places, named))
    args = tuple(static.get(i, a) for i, a in enumerate(args))
    kwargs = {k: static.get(k, v) for k, v in kwargs.items()}
    call = bridge.reader.read(args, kwargs)
    plan = bridge.pin(call)
    before = [examples[i].dtype for i in order if isinstance(examples[i], torch.Tensor)]
    dtypes = [
        x.dtype if x.dtype != dtype and (x.is_floating_point() or x.is_complex()) else None
        for x, dtype in zip(call.xs, before, strict=True)
    ]
    numbers = iter(range(len(plan.op.outs)))
    results = [next(numbers) if kept is None else kept.value for kept in plan.kept]
    results = jax.tree_util.tree_unflatten(plan.out_tree, results)
    written = tuple(map(int, results[1])) if bridge.writes else ()
    saves = plan.op.residuals != "recompute"
    handle = plan.op.handle
    if bridge.is_named and _private.is_exporting():
        handle = _plan.export_handle(bridge, plan)
    return Program(handle, order, tuple(dtypes), describe(results), saves, written)


def _run(info: Program, numbers: Sequence[torch.Tensor], xs: Sequence[torch.Tensor]) -> Any:
    """The part that dynamo traces: conversions, the custom op, the structure of the results."""
    tensors = [x if d is None else x.to(d) for x, d in zip(xs, info.dtypes, strict=True)]
    if info.written:
        tensors = [x.clone() if i in info.written else x for i, x in enumerate(tensors)]
    mask = [x.requires_grad for x in tensors]
    handle = info.handle
    if (
        info.saves
        and any(mask)
        and torch.is_grad_enabled()
        and not _exports()
        and not _private.transforms_active()  # vmap would batch what it keeps
    ):
        handle = handle + "/save:" + "".join(["1" if m else "0" for m in mask])
    outs = custom_op(handle, [*numbers, *tensors])
    return build(info.results, outs)


def describe(tree: Any) -> tuple[Any, ...]:
    """A structure as nested tuples, the only containers that dynamo takes from outside.

    Raises:
        TypeError: For a container that is not a dict, list, tuple or named tuple.
    """
    if tree is None or isinstance(tree, int | str | bytes):
        return ("tensor" if isinstance(tree, int) else "value", tree)
    if type(tree) is dict:
        return ("dict", tuple(tree), tuple(describe(v) for v in tree.values()))
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        name = f"{type(tree).__module__}.{type(tree).__qualname__}"
        _NAMED[name] = type(tree)
        return ("named", name, tuple(map(describe, tree)))
    if type(tree) in (tuple, list):
        return (type(tree).__name__, None, tuple(map(describe, tree)))
    raise TypeError(
        f"torch_bridge: under torch.compile a result cannot be a {type(tree).__name__}. Return a "
        "dict, list or tuple, or call the function outside the compiled region."
    )


def build(node: tuple[Any, ...], outs: Sequence[torch.Tensor]) -> Any:
    """The structure of :func:`describe` with tensors in it."""
    kind, value = node[0], node[1]
    if kind == "tensor":
        return outs[value]
    if kind == "value":
        return value
    parts = [build(part, outs) for part in node[2]]
    if kind == "dict":
        return dict(zip(value, parts, strict=True))
    if kind == "named":
        return _NAMED[value](*parts)
    return tuple(parts) if kind == "tuple" else parts
