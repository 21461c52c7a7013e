"""``check``: every derivative and transform of one's own function, in one call."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import torch
from torch.autograd import gradcheck, gradgradcheck

from torch_bridge import _private
from torch_bridge._wrap import BridgedFunction, wrap

Tensors = tuple[torch.Tensor, ...]
_WIDE = {torch.float32: torch.float64, torch.complex64: torch.complex128}
_WIDE |= {torch.float16: torch.float64, torch.bfloat16: torch.float64}


def check(fn: Callable[..., Any], *example: object) -> dict[str, str]:
    """Checks a JAX function as torch will use it: derivatives, vmap, torch.compile.

    Runs, in double precision: gradcheck with forward mode and batched gradients, gradgradcheck with
    forward over reverse, ``torch.func.vmap`` against a loop, and ``torch.compile(fullgraph=True)``
    against a plain call. Derivatives are compared with finite differences, so ``fn`` must be smooth
    at the example, and the example small.

    Args:
        fn: A JAX function, or a :class:`BridgedFunction`.
        *example: Arguments: any pytrees of tensors ``(...)``, numbers and static values.

    Returns:
        What was checked: ``{"reverse mode": "ok", ...}``; "skipped: ..." where nothing applied.

    Raises:
        RuntimeError: If a check failed, with what failed and why.

    Example:
        >>> import jax.numpy as jnp, torch
        >>> check(jnp.sin, torch.linspace(0, 1, 3))["second derivatives"]
        'ok'
    """
    bridge = fn if isinstance(fn, BridgedFunction) else wrap(fn)
    flat, inputs, traceable = _flatten(bridge, example)
    checks: dict[str, Callable[[], Any]] = {
        "reverse mode": lambda: gradcheck(flat, inputs, check_batched_grad=True),
        "forward mode": lambda: gradcheck(
            flat, inputs, check_forward_ad=True, check_backward_ad=False
        ),
        "second derivatives": lambda: gradgradcheck(flat, inputs, check_fwd_over_rev=True),
        "vmap": lambda: _check_vmap(flat, inputs),
    }
    if traceable:
        checks["compile"] = lambda: _check_compile(flat, inputs)
    report = {name: _report(name, run, inputs) for name, run in checks.items()}
    report.setdefault("compile", "skipped: torch.compile cannot look into these arguments")
    failures = {k: v for k, v in report.items() if v != "ok" and not v.startswith("skipped")}
    if failures:
        lines = "\n".join(f"  {name}: {text}" for name, text in failures.items())
        raise RuntimeError(f"check: {bridge.__name__} failed:\n{lines}")
    return report


def _report(name: str, run: Callable[[], Any], inputs: Tensors) -> str:
    if name != "compile" and not inputs:
        return "skipped: the example has no floating-point tensor"
    try:
        with warnings.catch_warnings():
            # torch's own, on first use of its forward mode and its compiler.
            warnings.simplefilter("ignore", DeprecationWarning)
            run()
    except Exception as error:
        return f"{type(error).__name__}: {error}".strip()
    return "ok"


def _flatten(bridge: BridgedFunction, example: tuple[Any, ...]) -> tuple[Any, Tensors, bool]:
    """The function of its floating-point tensors alone, these, and whether dynamo can trace it."""
    leaves, treedef = jax.tree_util.tree_flatten(example)
    unflatten: Callable[..., Any] = partial(jax.tree_util.tree_unflatten, treedef)
    flatten: Callable[..., Any] = jax.tree_util.tree_leaves
    seen, spec = _private.flatten(example)
    traceable = _ids(seen) == _ids(leaves)
    if traceable:
        leaves, flatten = seen, (lambda tree: _private.flatten(tree)[0])
        unflatten = partial(_private.unflatten, treespec=spec)
    leaves = [x.detach().to(_WIDE.get(x.dtype, x.dtype)) if _is_tensor(x) else x for x in leaves]
    places = [i for i, x in enumerate(leaves) if _is_tensor(x) and _is_inexact(x)]
    inputs = tuple(leaves[i].clone().requires_grad_() for i in places)

    def flat(*values: torch.Tensor) -> Tensors:
        filled = list(leaves)
        for place, value in zip(places, values, strict=True):
            filled[place] = value
        found = flatten(bridge(*unflatten(filled)))
        return tuple([x for x in found if _is_tensor(x) and _is_inexact(x)])

    return flat, inputs, traceable


def _ids(leaves: Sequence[Any]) -> list[int]:
    return sorted(id(x) for x in leaves if x is not None)


def _is_tensor(x: object) -> bool:
    return isinstance(x, torch.Tensor)


def _is_inexact(x: torch.Tensor) -> bool:
    return x.is_floating_point() or x.is_complex()


def _check_vmap(flat: Callable[..., Tensors], inputs: Tensors) -> None:
    stacked = [torch.stack([x, 0.9 * x]).detach() for x in inputs]
    batched = torch.func.vmap(flat)(*stacked)
    loop = [flat(*(s[i] for s in stacked)) for i in range(2)]
    for index, out in enumerate(batched):
        expected = torch.stack([result[index] for result in loop])
        torch.testing.assert_close(out, expected)


def _check_compile(flat: Callable[..., Tensors], inputs: Sequence[torch.Tensor]) -> None:
    compiled = torch.compile(flat, fullgraph=True, backend="aot_eager")
    ours, expected = compiled(*inputs), flat(*inputs)
    torch.testing.assert_close(ours, expected)
    if not inputs:
        return
    cotangents = [torch.ones_like(x) for x in expected]
    grads = [
        torch.autograd.grad(outs, inputs, cotangents, allow_unused=True, materialize_grads=True)
        for outs in (ours, expected)
    ]
    torch.testing.assert_close(*grads)
