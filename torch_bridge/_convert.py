"""One array across the border: zero copy where the platform allows it."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import torch

from torch_bridge import _guard

# numpy has no name for these: they cross as integers of the same width.
_CARRIERS: dict[torch.dtype, tuple[torch.dtype, Any]] = {
    torch.bfloat16: (torch.int16, ml_dtypes.bfloat16),
    torch.float8_e4m3fn: (torch.uint8, ml_dtypes.float8_e4m3fn),
    torch.float8_e5m2: (torch.uint8, ml_dtypes.float8_e5m2),
    torch.float8_e4m3fnuz: (torch.uint8, ml_dtypes.float8_e4m3fnuz),
    torch.float8_e5m2fnuz: (torch.uint8, ml_dtypes.float8_e5m2fnuz),
}

JAX_DTYPES: dict[torch.dtype, Any] = {
    **{
        getattr(torch, name): np.dtype(name)
        for name in (
            "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 "
            "float16 float32 float64 complex64 complex128"
        ).split()
    },
    **{ours: np.dtype(theirs) for ours, (_, theirs) in _CARRIERS.items()},
}
TORCH_DTYPES: dict[Any, torch.dtype] = {theirs: ours for ours, theirs in JAX_DTYPES.items()}


def import_tensor(t: torch.Tensor) -> Any:
    """The tensor as something a jitted function takes: a numpy view (CPU) or a jax.Array (CUDA).

    A numpy view costs 1 µs where DLPack costs 20 to 40 µs, keeps any strides, and shares the
    executable with native JAX callers (a DLPack import is committed to its device, which makes
    jit compile again).
    """
    if not t.is_cpu:
        return _import_cuda(t)
    try:
        return t.detach().numpy()
    except (RuntimeError, TypeError):  # a lazy bit, a dtype without numpy name, a subclass
        return _import_odd(t.detach())


def _import_odd(t: torch.Tensor) -> np.ndarray:
    t = resolve(t)
    if t.dtype not in _CARRIERS:
        return t.numpy()
    carrier, name = _CARRIERS[t.dtype]
    return t.view(carrier).numpy().view(name)


def resolve(t: torch.Tensor) -> torch.Tensor:
    """A plain dense tensor of the same values: no lazy conjugate, sign or zero, no subclass."""
    if type(t) is not torch.Tensor:
        t = t.as_subclass(torch.Tensor)
    if t._is_zerotensor():
        return torch.zeros(t.shape, dtype=t.dtype, device=t.device)
    if t.layout is not torch.strided:
        t = t.to_dense()
    return t.resolve_conj().resolve_neg()


def _import_cuda(t: torch.Tensor) -> jax.Array:
    # Public DLPack on both sides orders the two libraries' streams. torch exports only from the
    # current device.
    _guard.check_capture("torch_bridge")
    with torch.cuda.device(t.device):
        return jax.dlpack.from_dlpack(resolve(t.detach()).contiguous())


def _find_exporter() -> Callable[[jax.Array], torch.Tensor]:
    """The fastest exporter that works with the installed versions; the public one otherwise."""
    try:
        from jax._src.lib import _jax

        capsule, tensor = _jax.buffer_to_dlpack_managed_tensor, torch._C._from_dlpack
        with jax.ensure_compile_time_eval():
            probe = jnp.arange(3, dtype=jnp.float32)
        if tensor(capsule(probe)).tolist() == [0.0, 1.0, 2.0]:
            return lambda a: tensor(capsule(a))
    except Exception:
        pass
    return torch.from_dlpack


_export_cpu: Callable[[jax.Array], torch.Tensor] | None = None


def export_array(a: jax.Array) -> torch.Tensor:
    """The array as a tensor on the same memory, waiting (CPU) or ordered by streams (CUDA).

    Only the direct outputs of a jitted call may be handed out: they own fresh memory, so torch
    may write into them.
    """
    global _export_cpu
    if _export_cpu is None:
        # The probe starts JAX, which importing this package must not do.
        _export_cpu = _find_exporter() if jax.default_backend() == "cpu" else torch.from_dlpack
    try:
        return _export_cpu(a)
    except Exception:
        check_concrete([a])
        raise


def check_concrete(arrays: Sequence[Any]) -> None:
    """Raises if JAX, tracing a program around this call, has computed nothing.

    Raises:
        RuntimeError: If one of the arrays is a tracer.
    """
    if any(isinstance(a, jax.core.Tracer) for a in arrays):
        raise RuntimeError(
            "torch_bridge: a bridged function was called while JAX traces a program around it "
            "(jit, grad, vmap), or closes over a tracer. Call its `.jax_fn` there, with JAX arrays."
        )
