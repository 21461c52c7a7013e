"""States of the process in which calling JAX would hang or give wrong numbers."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import jax
import torch

from torch_bridge import _private

_FORKED = False
try:
    _malloc_trim = ctypes.CDLL(None).malloc_trim
except (AttributeError, OSError, TypeError):  # another C library, another system
    _malloc_trim = None
_callback = threading.local()


def _mark_forked() -> None:
    global _FORKED
    _FORKED = bool(_private.jax_has_started())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_forked)


@contextmanager
def inside_callback() -> Iterator[None]:
    """Marks this thread as running a torch function on behalf of a JAX program."""
    before = getattr(_callback, "active", False)
    _callback.active = True
    try:
        yield
    finally:
        _callback.active = before


def check_process(name: str) -> None:
    """Raises where a call of JAX could not give a right answer.

    Raises:
        RuntimeError: In a forked child, under ``torch.jit.trace`` or ``jax.disable_jit``, or inside
            a ``wrap_torch`` callback.
    """
    if _FORKED:
        raise RuntimeError(
            f"{name}: this process was forked after JAX had started, and JAX would hang here. "
            "Start workers with the 'spawn' or 'forkserver' method "
            "(DataLoader(..., multiprocessing_context='spawn'))."
        )
    if torch.jit.is_tracing():
        raise RuntimeError(
            f"{name}: torch.jit.trace would freeze the values of this call into the graph. Use "
            "torch.compile or torch.export instead."
        )
    if jax.config.jax_disable_jit:  # type: ignore[attr-defined]
        raise RuntimeError(
            f"{name}: jax.disable_jit is on, and only compiled functions give their results memory "
            f"of their own. Look into `{name}.jax_fn` with JAX arrays."
        )
    if getattr(_callback, "active", False):
        raise RuntimeError(
            f"{name}: called inside a wrap_torch callback, where calling JAX can deadlock. Call "
            f"`{name}.jax_fn` in the JAX program instead."
        )


def check_capture(name: str) -> None:
    """Raises while a CUDA graph is being captured: XLA launches on streams of its own."""
    if torch.cuda.is_current_stream_capturing():
        raise RuntimeError(
            f"{name}: a CUDA graph is being captured, and XLA's kernels would not be part of it. "
            "Call the bridge outside torch.cuda.graph, or use torch.compile without CUDA graphs."
        )


def warn_preallocation() -> None:
    """Warns once, at import, that JAX is about to take most of the GPU's memory."""
    settings = ("XLA_PYTHON_CLIENT_PREALLOCATE", "XLA_CLIENT_MEM_FRACTION")
    names = (*settings, "XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_ALLOCATOR")
    if any(name in os.environ for name in names) or not torch.cuda.is_available():
        return
    if _private.jax_has_started() or not has_jax_gpu_plugin():
        return
    warnings.warn(
        "torch_bridge: JAX reserves 75 % of the GPU's memory at its first operation, which torch "
        f"then cannot use. Set {settings[0]}=false or {settings[1]}=0.4 before JAX starts.",
        UserWarning,
        stacklevel=3,
    )


def has_jax_gpu_plugin() -> bool:
    """Tells whether a CUDA plug-in for JAX is installed, without starting JAX."""
    plugins = ("jax_cuda13_plugin", "jax_cuda12_plugin")
    return any(importlib.util.find_spec(plugin) for plugin in plugins)


def has_jax_gpu() -> bool:
    """Tells whether JAX sees a CUDA device."""
    try:
        return bool(jax.devices("cuda"))
    except RuntimeError:
        return False


def give_memory_back() -> None:
    """Gives what compilers have freed back to the system, where the C library can.

    The GNU allocator keeps it, scattered, about 2 MB for every compiled signature.
    """
    if _malloc_trim is not None:
        _malloc_trim(0)


class WithoutFlax:
    """What ``torch_bridge.JaxModule`` is where flax is missing."""

    def __init__(self, *_: object, **__: object) -> None:
        raise ImportError("JaxModule: needs flax, which is not installed: pip install flax")
