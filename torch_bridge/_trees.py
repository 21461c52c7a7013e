"""Whole trees of arrays across the border, as data: no gradient follows."""

from typing import Any, Literal

import jax
import torch

from torch_bridge import _arguments, _convert
from torch_bridge._arguments import WIDE

_LONG = frozenset({torch.int64, torch.uint64})


def to_jax(
    tree: Any, *, share: bool = False, x64: Literal["auto", "error", "cast"] = "error"
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

    References:
        Python array API standard, *Data interchange mechanisms* (DLPack).
    """
    _arguments.check_option("to_jax", "x64", x64, ("auto", "error", "cast"))
    leaves, treedef = jax.tree_util.tree_flatten(tree)
    arrays = []
    for index, leaf in enumerate(leaves):
        if isinstance(leaf, torch.Tensor):
            path = jax.tree_util.tree_flatten_with_path(tree)[0][index][0]
            leaf = _tensor_to_jax(jax.tree_util.keystr(path) or "tree", leaf, share, x64)
        arrays.append(leaf)
    return jax.tree_util.tree_unflatten(treedef, arrays)


def _tensor_to_jax(name: str, t: torch.Tensor, share: bool, x64: str) -> jax.Array:
    plain = _arguments.as_tensor(t)
    if plain is None:
        _arguments.refuse_leaf("to_jax", name, t)
    _arguments.check_tensor("to_jax", name, plain)
    _arguments.check_devices("to_jax", [name], [plain])
    t = plain.detach()
    if t.dtype in WIDE | _LONG and not jax.config.jax_enable_x64:
        if x64 == "error":
            raise TypeError(
                f"to_jax: '{name}' is {str(t.dtype)[6:]} but JAX would silently make it 32 bits "
                'wide; use x64="auto", x64="cast" or jax_enable_x64.'
            )
        if x64 == "auto":
            with jax.enable_x64(True):
                return _share(name, t) if share else _copy(t)
        t = _arguments.narrow(f"to_jax: '{name}'", t)
    return _share(name, t) if share else _copy(t)


def _copy(t: torch.Tensor) -> jax.Array:
    # jax.dlpack.from_dlpack(copy=True) does not copy on the CPU: torch does.
    t = _convert.resolve(t).clone(memory_format=torch.contiguous_format)
    return _import(t)


def _import(t: torch.Tensor) -> jax.Array:
    if t.is_cpu:
        return jax.dlpack.from_dlpack(t)
    with torch.cuda.device(t.device):
        return jax.dlpack.from_dlpack(t)


def _share(name: str, t: torch.Tensor) -> jax.Array:
    lazy = t.is_conj() or t.is_neg() or t._is_zerotensor()
    if lazy or not t.is_contiguous() or t.data_ptr() % 64:
        reason = "lazily conjugated or negated" if lazy else "not contiguous"
        if not lazy and t.is_contiguous():
            reason = "not aligned to 64 bytes"
        raise ValueError(
            f"to_jax: '{name}' is {reason}, so JAX cannot share its memory. Use share=False."
        )
    return _import(t)


def to_torch(tree: Any, *, share: bool = False) -> Any:
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

    References:
        Python array API standard, *Data interchange mechanisms* (DLPack).
    """

    def convert(path: Any, leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array):
            return leaf
        _check_array(jax.tree_util.keystr(path) or "tree", leaf)
        shared = torch.from_dlpack(leaf)
        return shared if share else shared.clone()

    return jax.tree_util.tree_map_with_path(convert, tree)


def _check_array(name: str, a: Any) -> None:
    if isinstance(a, jax.core.Tracer):
        raise TypeError(
            f"to_torch: '{name}' is a tracer, which has no values yet. Use torch_bridge.wrap_torch "
            "to call torch inside a JAX program."
        )
    if jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key):
        raise TypeError(
            f"to_torch: '{name}' is a random key, which torch does not have. Convert "
            "jax.random.key_data(key) instead."
        )
    if a.dtype not in _convert.TORCH_DTYPES:
        raise TypeError(f"to_torch: '{name}' has dtype {a.dtype}, which torch does not have.")
