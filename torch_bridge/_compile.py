"""A call under torch.compile or torch.export: what dynamo traces, and what is constant to it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import _disable_current_modes

from torch_bridge import _arguments, _custom_op, _registry
from torch_bridge._plan import Kept

_TRACEABLE = (torch.Tensor, int, float, complex, type(None), *_arguments.STATIC)
_NAMED: dict[str, type] = {}  # named tuples in results: dynamo takes classes from globals alone


class Program(NamedTuple):
    """What a compiled graph must know of one signature; plain constants only.

    Attributes:
        handle: Handle of the op.
        order: JAX's order of the leaves: it sorts a dict's keys, torch does not.
        dtypes: What the tensors must be converted to in the graph; None leaves them alone.
        results: The results' structure as nested tuples; see :func:`describe`.
        saves: Whether the forward pass keeps residuals.
    """

    handle: str
    order: tuple[int, ...]
    dtypes: tuple[torch.dtype | None, ...]
    results: Any
    saves: bool


def call(bridge: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call under torch.compile or torch.export; dynamo traces this function."""
    leaves, spec = pytree.tree_flatten((args, kwargs))
    if not all(isinstance(leaf, _TRACEABLE) for leaf in leaves):
        return _call_uncompiled(bridge, args, kwargs)
    template = pytree.tree_unflatten(list(range(len(leaves))), spec)
    described = [_describe(leaf) for leaf in leaves]
    info = _specialize(bridge.handle, template, described)
    leaves = [leaves[index] for index in info.order]
    numbers = [x for x in leaves if isinstance(x, int | float | complex) and type(x) is not bool]
    return _run(info, numbers, [x for x in leaves if isinstance(x, torch.Tensor)])


def _describe(leaf: Any) -> tuple[Any, ...]:
    """What is constant about a leaf; ``len(range(n))`` makes a dynamic size constant."""
    if isinstance(leaf, torch.Tensor):
        shape = tuple([len(range(size)) for size in leaf.shape])
        return ("tensor", shape, leaf.dtype, str(leaf.device))
    if isinstance(leaf, bool) or not isinstance(leaf, int | float | complex):
        return ("value", leaf)
    return (
        "number",
        int if isinstance(leaf, int) else float if isinstance(leaf, float) else complex,
    )


@torch.compiler.disable
def _call_uncompiled(bridge: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A graph break, for arguments that dynamo cannot look into."""
    return bridge(*args, **kwargs)


@torch.compiler.assume_constant_result
def _specialize(handle: str, template: Any, leaves: Sequence[Any]) -> Program:
    with _disable_current_modes():  # torch.export runs this on fake tensors
        return _program(_registry.bridges[handle], template, leaves)


def _example(kind: str, value: Any, *details: Any) -> Any:
    """A leaf of the described kind; a tensor takes no memory."""
    if kind == "tensor":
        dtype, device = details
        return torch.zeros((), dtype=dtype, device=device).expand(value)
    return value(1) if kind == "number" else Kept(value)


def _program(bridge: Any, template: Any, leaves: Sequence[Any]) -> Program:
    examples = [_example(*leaf) for leaf in leaves]
    args, kwargs = pytree.tree_map(lambda index: examples[index], template)
    call = bridge.reader.read(args, kwargs)
    plan = bridge.pin(call)
    if not bridge.has_own_name:  # who gives a name may give it again, to the same function
        _registry.retire(bridge.handle)
    in_order = [examples[index] for index in jax.tree_util.tree_leaves(template)]
    before = [x.dtype for x in in_order if isinstance(x, torch.Tensor)]
    dtypes = [
        x.dtype if x.dtype != dtype and (x.is_floating_point() or x.is_complex()) else None
        for x, dtype in zip(call.xs, before, strict=True)
    ]
    numbers = iter(range(len(plan.op.outs)))
    results = [next(numbers) if kept is None else kept.value for kept in plan.kept]
    tree = describe(jax.tree_util.tree_unflatten(plan.out_tree, results))
    order = tuple(jax.tree_util.tree_leaves(template))
    saves = plan.op.residuals != "recompute"
    return Program(plan.op.handle, order, tuple(dtypes), tree, saves)


def _run(info: Program, numbers: Sequence[Any], xs: Sequence[torch.Tensor]) -> Any:
    """The part that dynamo traces: conversions, the custom op, the structure of the results."""
    tensors = [x if d is None else x.to(d) for x, d in zip(xs, info.dtypes, strict=True)]
    mask = [x.requires_grad for x in tensors]
    handle = info.handle
    if info.saves and any(mask) and torch.is_grad_enabled() and not torch.compiler.is_exporting():
        handle = handle + "/save:" + "".join(["1" if m else "0" for m in mask])
    outs = _custom_op.call(handle, numbers, tensors)
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
