"""One array across the border: a view, or DLPack by the fastest call that works here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import ml_dtypes
import numpy as np
import torch

from torch_bridge import _guard, _private

# numpy has no name for these: they cross as integers of the same width.
CARRIERS: dict[torch.dtype, tuple[torch.dtype, type]] = {
    torch.bfloat16: (torch.int16, ml_dtypes.bfloat16),
    torch.float8_e4m3fn: (torch.uint8, ml_dtypes.float8_e4m3fn),
    torch.float8_e5m2: (torch.uint8, ml_dtypes.float8_e5m2),
    torch.float8_e4m3fnuz: (torch.uint8, ml_dtypes.float8_e4m3fnuz),
    torch.float8_e5m2fnuz: (torch.uint8, ml_dtypes.float8_e5m2fnuz),
}


def import_tensor(t: torch.Tensor) -> np.ndarray | jax.Array:
    """The tensor as something a jitted function takes: a numpy view (CPU) or a jax.Array (CUDA).

    A numpy view costs 1 µs where DLPack costs 20 to 40 µs, keeps any strides, and shares the
    executable with native JAX callers (a DLPack import is committed to its device, which makes
    jit compile again).
    """
    if not t.is_cpu:
        return _import_cuda(t)
    try:
        if _private.is_zero(t):  # torch 2.6 gives a view of no memory
            return _import_odd(t.detach())
        return t.detach().numpy()
    except (RuntimeError, TypeError):  # a lazy bit, a dtype without numpy name, a subclass
        return _import_odd(t.detach())


def _import_odd(t: torch.Tensor) -> np.ndarray:
    t = resolve(t)
    if t.dtype not in CARRIERS:
        return t.numpy()
    carrier, name = CARRIERS[t.dtype]
    return t.view(carrier).numpy().view(name)


def resolve(t: torch.Tensor) -> torch.Tensor:
    """A plain dense tensor of the same values: no lazy conjugate, sign or zero, no subclass."""
    if type(t) is not torch.Tensor:
        t = t.as_subclass(torch.Tensor)
    if _private.is_zero(t):
        return torch.zeros(t.shape, dtype=t.dtype, device=t.device)
    if t.layout is not torch.strided:
        t = t.to_dense()
    return t.resolve_conj().resolve_neg()


def _import_cuda(t: torch.Tensor) -> jax.Array:
    _guard.check_capture("torch_bridge")
    t = resolve(t.detach()).contiguous()
    if t.device.index == torch.cuda.current_device():
        return _import_from(t.device)(t)
    with torch.cuda.device(t.device):  # torch exports only from the current device
        return _import_from(t.device)(t)


@functools.cache
def _import_from(device: torch.device) -> Callable[[torch.Tensor], jax.Array]:
    """The fastest importer from a CUDA device that works here; the public one otherwise.

    Either is DLPack, which lets JAX's stream wait for torch's.
    """
    buffer_of: Any = _private.buffer_of
    try:
        target = next(d for d in jax.devices("cuda") if d.local_hardware_id == device.index)
        stream = target.get_stream_for_external_ready_events()
        probe = torch.arange(3.0, device=device)
        if buffer_of(probe.__dlpack__(stream=stream), target, stream, None).tolist() == [0, 1, 2]:
            return lambda t: buffer_of(t.__dlpack__(stream=stream), target, stream, None)
    except Exception:  # whatever a changed private function may raise
        pass
    return jax.dlpack.from_dlpack


@functools.cache
def _export_from(device: jax.Device) -> Callable[[jax.Array], torch.Tensor]:
    """The fastest exporter from a device that works here; the public one otherwise."""
    capsule_of, tensor_of = _private.capsule_of, _private.tensor_of

    def of_cpu(a: jax.Array) -> torch.Tensor:
        return tensor_of(capsule_of(a))

    def of_cuda(a: Any) -> torch.Tensor:  # torch's stream waits for JAX's
        stream = torch.cuda.current_stream(device.local_hardware_id).cuda_stream
        return tensor_of(a.__dlpack__(stream=stream or 1))

    fast = of_cpu if device.platform == "cpu" else of_cuda
    try:
        with jax.ensure_compile_time_eval():
            probe = jax.device_put(np.arange(3, dtype=np.float32), device)
        if fast(probe).tolist() == [0.0, 1.0, 2.0]:
            return fast
    except Exception:  # whatever a changed private function may raise
        pass
    return torch.from_dlpack


_export: Callable[[jax.Array], torch.Tensor] | None = None


def export_array(a: jax.Array) -> torch.Tensor:
    """The array as a tensor on the same memory, waiting (CPU) or ordered by streams (CUDA).

    Only the direct outputs of a jitted call may be handed out: they own fresh memory, so torch
    may write into them.
    """
    global _export
    if _export is None:  # to ask starts JAX, which importing this package must not do
        only_cpu = jax.default_backend() == "cpu"
        _export = (
            _export_from(jax.devices()[0]) if only_cpu else lambda a: _export_from(a.device)(a)
        )
    try:
        return _export(a)
    except Exception:
        check_concrete([a])
        raise


def check_concrete(arrays: Sequence[object]) -> None:
    """Raises if JAX, tracing a program around this call, has computed nothing.

    Raises:
        RuntimeError: If one of the arrays is a tracer.
    """
    if any(isinstance(a, _private.Tracer) for a in arrays):
        raise RuntimeError(
            "torch_bridge: a bridged function was called while JAX traces a program around it "
            "(jit, grad, vmap), or closes over a tracer. Call its `.jax_fn` there, with JAX arrays."
        )
