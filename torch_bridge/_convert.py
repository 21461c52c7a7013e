"""Arrays across the border, one or whole trees: zero copy where the platform allows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NoReturn

import jax
import numpy as np
import torch
from jax import Array

from torch_bridge import _guard, _private
from torch_bridge._dlpack import CARRIERS, resolve

JAX_DTYPES: dict[torch.dtype, np.dtype] = {
    **{
        getattr(torch, name): np.dtype(name)
        for name in (
            "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 "
            "float16 float32 float64 complex64 complex128"
        ).split()
    },
    **{ours: np.dtype(theirs) for ours, (_, theirs) in CARRIERS.items()},
}
TORCH_DTYPES: dict[np.dtype, torch.dtype] = {theirs: ours for ours, theirs in JAX_DTYPES.items()}
WIDE = frozenset({torch.float64, torch.complex128})
LONG = frozenset({torch.int64, torch.uint64})
NARROW = {
    torch.float64: torch.float32,
    torch.complex128: torch.complex64,
    torch.int64: torch.int32,
    torch.uint64: torch.uint32,
}


def key_impl(aval: object) -> Any:
    """The kind of generator of random keys of this dtype."""
    found: list[Any] = []  # key_impl takes arrays and tracers only
    jax.eval_shape(lambda key: found.append(jax.random.key_impl(key)), aval)
    return found[0]


# -- What JAX can take --------------------------------------------------------------------------


def as_tensor(leaf: object) -> torch.Tensor | None:
    """The leaf as a plain tensor if it is one, or is a numpy array; else None."""
    if isinstance(leaf, torch.Tensor):
        if isinstance(leaf, _private.FakeTensor) or _private.is_functional(leaf):
            return None
        plain = type(leaf) in (torch.Tensor, torch.nn.Parameter) or leaf.is_nested
        return leaf if plain else leaf.as_subclass(torch.Tensor)
    if isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind in "biufc":
        return torch.from_numpy(np.array(leaf))
    return None


def narrow(where: Callable[[], str], t: torch.Tensor) -> torch.Tensor:
    """A 64-bit tensor in 32 bits, differentiably; integers only where they fit.

    ``where`` tells the argument, if one must be told: that takes long.

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
    check_integer(where, low, limits)
    check_integer(where, high, limits)
    return t.to(target)


def check_integer(where: Callable[[], str], value: int, limits: torch.iinfo | None = None) -> None:
    """Raises if an integer does not fit into 32 bits.

    Raises:
        OverflowError: Naming the argument and the value.
    """
    limits = limits or torch.iinfo(torch.int32)
    if not limits.min <= value <= limits.max:
        raise OverflowError(
            f"{where()} holds {value}, which does not fit into {limits.dtype}, JAX's integer while "
            "jax_enable_x64 is off. Use jax.config.update('jax_enable_x64', True)."
        )


def refuse_leaf(where: str, name: str, leaf: object) -> NoReturn:
    """Raises for a leaf that is neither tensor, number nor static value.

    Raises:
        TypeError: Naming the argument and the remedy.
    """
    if isinstance(leaf, jax.Array | _private.Tracer):
        raise TypeError(
            f"{where}: argument '{name}' is a jax.Array; call `{where}.jax_fn` inside JAX, or "
            f"`torch_bridge.to_torch({name})`."
        )
    kind = type(leaf).__name__
    if isinstance(leaf, torch.Tensor):
        raise TypeError(
            f"{where}: argument '{name}' is a {kind}, which has no values. Call the bridge on real "
            "tensors, or under torch.compile or torch.export."
        )
    if isinstance(leaf, torch.fx.Proxy):
        raise TypeError(
            f"{where}: argument '{name}' is a torch.fx Proxy, which has no values. Trace with "
            "torch.compile or torch.export, or name the call with torch.fx.wrap."
        )
    if callable(getattr(leaf, "parameters", None)):  # a torch module, or `self` of one
        raise TypeError(
            f"{where}: argument '{name}' is a {kind}, whose parameters JAX does not see. Pass the "
            "tensors that the function needs, or name it in static_argnames (of a method: "
            "@wrap(static_argnums=0)) if its values never change."
        )
    raise TypeError(
        f"{where}: argument '{name}' is a {kind}, which is neither a tensor, a number, nor a bool, "
        f"str or enum. Name it in static_argnames if it is a choice."
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
    elif t.dtype not in JAX_DTYPES:
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


# -- Whole trees, as data: no gradient follows --------------------------------------------------


def to_jax(
    tree: object, *, share: bool = False, x64: Literal["auto", "error", "cast"] = "error"
) -> Any:
    """Turns every tensor of a tree into a jax.Array of the same shape.

    Warning:
        With ``share=True`` both sides see one memory. A later in-place operation of torch changes
        the jax.Array, which JAX believes to be constant; and JAX may still be reading when torch
        writes.

    Args:
        tree: Any pytree; leaves that are not tensors stay as they are. Tensors of ``(...)`` may
            have any strides, lazy bits, and may require a gradient, which is not carried over.
        share: Whether to share memory instead of copying.
        x64: What to do with 64-bit tensors while ``jax_enable_x64`` is off: "error" raises, "auto"
            makes 64-bit arrays all the same, "cast" makes 32-bit arrays, if integers fit.

    Returns:
        The tree with jax.Arrays ``(...)``, on the tensors' devices.

    Raises:
        TypeError: For a 64-bit tensor with ``x64="error"``, or a dtype or layout JAX does not have.
        ValueError: With ``share=True``, for a tensor whose memory JAX cannot use in place.
        OverflowError: With ``x64="cast"``, for integers that do not fit.

    Example:
        >>> import torch
        >>> to_jax({"x": torch.arange(3, dtype=torch.float32), "n": 2})
        {'n': 2, 'x': Array([0., 1., 2.], dtype=float32)}
    """
    check_option("to_jax", "x64", x64, ("auto", "error", "cast"))

    def convert(path: tuple[Any, ...], leaf: object) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        return _tensor_to_jax(jax.tree_util.keystr(path) or "tree", leaf, share, x64)

    return jax.tree_util.tree_map_with_path(convert, tree)


def _tensor_to_jax(name: str, t: torch.Tensor, share: bool, x64: str) -> jax.Array:
    plain = as_tensor(t)
    if plain is None:
        refuse_leaf("to_jax", name, t)
    check_tensor("to_jax", name, plain)
    check_devices("to_jax", [name], [plain])
    t = plain.detach()
    if t.dtype in WIDE | LONG and not jax.config.jax_enable_x64:
        if x64 == "error":
            raise TypeError(
                f"to_jax: '{name}' is {str(t.dtype)[6:]} but JAX would silently make it 32 bits "
                'wide; use x64="auto", x64="cast" or jax_enable_x64.'
            )
        if x64 == "auto":
            with jax.enable_x64(True):
                return _share(name, t) if share else _copy(t)
        t = narrow(lambda: f"to_jax: '{name}'", t)
    return _share(name, t) if share else _copy(t)


def _copy(t: torch.Tensor) -> jax.Array:
    # jax.dlpack.from_dlpack(copy=True) does not copy on the CPU: torch does.
    t = resolve(t).clone(memory_format=torch.contiguous_format)
    return _import(t)


def _import(t: torch.Tensor) -> jax.Array:
    if t.is_cpu:
        return jax.dlpack.from_dlpack(t)
    with torch.cuda.device(t.device):
        return jax.dlpack.from_dlpack(t)


def _share(name: str, t: torch.Tensor) -> jax.Array:
    lazy = t.is_conj() or t.is_neg() or _private.is_zero(t)
    if lazy or not t.is_contiguous() or t.data_ptr() % 64:
        reason = "lazily conjugated or negated" if lazy else "not contiguous"
        if not lazy and t.is_contiguous():
            reason = "not aligned to 64 bytes"
        raise ValueError(
            f"to_jax: '{name}' is {reason}, so JAX cannot share its memory. Use share=False."
        )
    return _import(t)


def to_torch(tree: object, *, share: bool = False) -> Any:
    """Turns every jax.Array of a tree into a tensor of the same shape.

    Warning:
        With ``share=True`` both sides see one memory, and torch can write into an array that JAX
        believes to be constant (and may have used twice). Only read such a tensor.

    Args:
        tree: Any pytree; leaves that are not jax.Arrays stay as they are.
        share: Whether to share memory instead of copying.

    Returns:
        The tree with contiguous tensors ``(...)``, on the arrays' devices, without gradients.

    Raises:
        TypeError: For a tracer, a random key, or a dtype that torch does not have.

    Example:
        >>> import jax.numpy as jnp
        >>> to_torch([jnp.arange(3.0), "text"])
        [tensor([0., 1., 2.]), 'text']
    """

    def convert(path: tuple[Any, ...], leaf: object) -> Any:
        if not isinstance(leaf, jax.Array):
            return leaf
        _check_array(jax.tree_util.keystr(path) or "tree", leaf)
        shared = torch.from_dlpack(leaf)
        return shared if share else shared.clone()

    return jax.tree_util.tree_map_with_path(convert, tree)


def _check_array(name: str, a: Array) -> None:
    if isinstance(a, _private.Tracer):
        raise TypeError(
            f"to_torch: '{name}' is a tracer, which has no values yet. Use torch_bridge.wrap_torch "
            "to call torch inside a JAX program."
        )
    if jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key):
        raise TypeError(
            f"to_torch: '{name}' is a random key, which torch does not have. Convert "
            "jax.random.key_data(key) instead."
        )
    if a.dtype not in TORCH_DTYPES:
        raise TypeError(f"to_torch: '{name}' has dtype {a.dtype}, which torch does not have.")
