"""Sorts the leaves of one call into tensors, numbers and static values, and refuses the rest."""

import enum
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import jax
import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensor

from torch_bridge import _convert, _guard

STATIC = (bool, str, bytes, enum.Enum, type, torch.dtype, np.dtype)
WIDE = frozenset({torch.float64, torch.complex128})
NARROW = {
    torch.float64: torch.float32,
    torch.complex128: torch.complex64,
    torch.int64: torch.int32,
    torch.uint64: torch.uint32,
}
HALF = frozenset({torch.float16, torch.bfloat16})


def as_tensor(leaf: Any) -> torch.Tensor | None:
    """The leaf as a plain tensor if it is one, or is a numpy array; else None."""
    if isinstance(leaf, torch.Tensor):
        if isinstance(leaf, FakeTensor) or torch._is_functional_tensor(leaf):
            return None
        plain = type(leaf) in (torch.Tensor, torch.nn.Parameter) or leaf.is_nested
        return leaf if plain else leaf.as_subclass(torch.Tensor)
    if isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind in "biufc":
        return torch.from_numpy(np.array(leaf))
    return None


def narrow(name: str, t: torch.Tensor) -> torch.Tensor:
    """A 64-bit tensor in 32 bits, differentiably; integers only where they fit.

    Raises:
        OverflowError: If an integer does not fit.
    """
    target = NARROW[t.dtype]
    if t.dtype in WIDE or t.numel() == 0:
        return t.to(target)
    limits = torch.iinfo(target)
    # torch has no min/max for uint64.
    if t.dtype is torch.uint64:
        low, high = int(t.cpu().numpy().min()), int(t.cpu().numpy().max())
    else:
        low, high = (int(v) for v in torch.aminmax(t.detach()))
    check_integer(name, low, limits)
    check_integer(name, high, limits)
    return t.to(target)


def check_integer(name: str, value: int, limits: Any = None) -> None:
    """Raises if an integer does not fit into 32 bits.

    Raises:
        OverflowError: Naming the argument and the value.
    """
    limits = limits or torch.iinfo(torch.int32)
    if not limits.min <= value <= limits.max:
        raise OverflowError(
            f"{name} holds {value}, which does not fit into {limits.dtype}, JAX's integer while "
            "jax_enable_x64 is off. Use jax.config.update('jax_enable_x64', True)."
        )


def promote_half(t: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    """A half-precision tensor under autocast, in the dtype that JAX shall compute in."""
    if dtype is None or t.dtype not in HALF or not torch.is_autocast_enabled(t.device.type):
        return t
    return t.to(dtype)


def leaf_name(fn: Callable[..., Any], treedef: Any, index: int) -> str:
    """How the user knows a leaf of ``(args, kwargs)``: ``x``, or ``params['w']``."""
    tree = jax.tree_util.tree_unflatten(treedef, range(treedef.num_leaves))
    path, _ = jax.tree_util.tree_flatten_with_path(tree)[0][index]
    which, key, rest = path[0].idx, path[1], path[2:]
    name = str(key.key) if which else positional_name(fn, key.idx)
    return name + jax.tree_util.keystr(rest)


def positional_name(fn: Callable[..., Any], index: int) -> str:
    """The name of a positional argument, or its number where there is none."""
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):
        return f"args[{index}]"
    for position, parameter in enumerate(parameters):
        if parameter.kind is parameter.VAR_POSITIONAL:
            return f"{parameter.name}[{index - position}]"
        if position == index:
            return parameter.name
    return f"args[{index}]"


def refuse_leaf(where: str, name: str, leaf: Any) -> NoReturn:
    """Raises for a leaf that is neither tensor, number nor static value.

    Raises:
        TypeError: Naming the argument and the remedy.
    """
    if isinstance(leaf, jax.Array | jax.core.Tracer):
        raise TypeError(
            f"{where}: argument '{name}' is a jax.Array; call `{where}.jax_fn` inside JAX, or "
            f"`torch_bridge.to_torch({name})`."
        )
    if isinstance(leaf, torch.Tensor):
        raise TypeError(
            f"{where}: argument '{name}' is a {type(leaf).__name__}, which has no values. Call the "
            "bridge on real tensors, or under torch.compile or torch.export."
        )
    raise TypeError(
        f"{where}: argument '{name}' is a {type(leaf).__name__}, which is neither a tensor, a "
        f"number, nor a bool, str or enum. Name it in static_argnames if it is a choice."
    )


def check_tensor(where: str, name: str, t: torch.Tensor) -> None:
    """Raises for a tensor that JAX cannot take.

    Raises:
        TypeError: For a layout or dtype that has no counterpart in JAX.
    """
    kind = None
    if t.is_nested:
        kind, remedy = "nested", "pad it with torch.nested.to_padded_tensor"
    elif t.is_quantized:
        kind, remedy = f"quantized ({t.dtype})", "call .dequantize() first"
    elif t.layout is not torch.strided:
        kind, remedy = f"sparse ({t.layout})", "call .to_dense() first"
    elif t.is_meta:
        kind, remedy = "a meta tensor without values", "materialize it on a device first"
    elif t.dtype not in _convert.JAX_DTYPES:
        kind, remedy = str(t.dtype), "convert it to a dtype that JAX has, such as torch.complex64"
    if kind is not None:
        raise TypeError(f"{where}: argument '{name}' is {kind}, which JAX does not have; {remedy}.")


def check_devices(where: str, names: Sequence[str], xs: Sequence[torch.Tensor]) -> None:
    """Raises unless all tensors are on one device that JAX can use.

    Raises:
        ValueError: If the tensors are on several devices.
        RuntimeError: If JAX has no such device, or a CUDA graph is being captured.
    """
    devices = {x.device for x in xs}
    if len(devices) > 1:
        table = ", ".join(f"{names[i]} -> {x.device}" for i, x in enumerate(xs))
        raise ValueError(f"{where}: all tensors must be on one device, got {table}.")
    for device in devices:
        if device.type not in ("cpu", "cuda"):
            raise RuntimeError(
                f"{where}: tensors on '{device}' cannot be shared with JAX. Move them to the "
                "CPU or to CUDA."
            )
        if device.type == "cuda" and not _guard.has_jax_gpu():
            raise RuntimeError(
                f"{where}: the tensors are on {device}, but this JAX has only the backend "
                f"'{jax.default_backend()}'. Install JAX with CUDA support (jax[cuda12]), check "
                "that its cuDNN was not replaced by an older one that torch loaded first, or move "
                "the tensors to the CPU."
            )


def check_option(where: str, name: str, value: str, choices: Sequence[str]) -> None:
    """Raises for a word that is none of the choices.

    Raises:
        ValueError: Naming the choices.
    """
    if value not in choices:
        raise ValueError(f"{where}: `{name}` must be one of {', '.join(choices)}, got {value!r}.")
