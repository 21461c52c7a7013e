"""Any compiled JAX function as an ordinary torch operation, and the other way round."""

from __future__ import annotations

import importlib.util
from typing import Any

from torch_bridge import _guard
from torch_bridge._callback import wrap_torch
from torch_bridge._check import check
from torch_bridge._convert import to_jax, to_torch
from torch_bridge._wrap import BridgedFunction, wrap

__all__ = [
    "BridgedFunction",
    "JaxModule",
    "check",
    "to_jax",
    "to_torch",
    "wrap",
    "wrap_torch",
]

_guard.warn_preallocation()


def __getattr__(name: str) -> Any:
    if name != "JaxModule":
        raise AttributeError(f"module 'torch_bridge' has no attribute {name!r}")
    if importlib.util.find_spec("flax") is None:
        return _guard.WithoutFlax
    from torch_bridge._module import JaxModule  # flax is needed, and loaded, for this alone

    return JaxModule


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
