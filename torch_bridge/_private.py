"""Every name of torch and JAX that is not public: looked up once, each with a way to do without.

A release may take one of them away. Then its fallback runs, which is right but slower, or refuses
in words; ``LOST`` names it, and tests/bridge/test_private.py fails with that name.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from typing import Any, NoReturn

import torch

LOST: list[str] = []
FALLBACKS: dict[str, Any] = {}


def _find(name: str, path: str, fallback: object) -> Any:
    """The thing at ``package.module:attribute.attribute``, or its fallback."""
    FALLBACKS[name] = fallback
    module, _, attributes = path.partition(":")
    try:
        found = importlib.import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError):
        LOST.append(path)
        return fallback
    return found


def _refusing(what: str) -> Callable[..., NoReturn]:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise RuntimeError(
            f"torch_bridge: {what} is not available with the installed releases of torch and JAX, "
            "which have lost a name that it needs. Install releases that the README names."
        )

    return refuse


def _yes(*_: object) -> bool:
    return True


def _no(*_: object) -> bool:
    return False


class _NoFakeTensor:
    """No tensor is an instance of it."""


# -- torch: is a transformation, a tracer, forward mode watching? Where it is unknown, the slower
# way that is always right.
transforms_active = _find("transforms_active", "torch:_C._are_functorch_transforms_active", _yes)
transform_stack = _find("transform_stack", "torch:_C._functorch.get_interpreter_stack", lambda: ())
Vmap = _find("Vmap", "torch:_C._functorch.TransformType.Vmap", None)
count_modes = _find("count_modes", "torch:_C._len_torch_dispatch_stack", lambda: 0)
disable_modes = _find(
    "disable_modes", "torch.utils._python_dispatch:_disable_current_modes", contextlib.nullcontext
)
_find("forward_level", "torch.autograd.forward_ad:_current_level", 0)
_forward_ad = importlib.import_module("torch.autograd.forward_ad")
will_execute = _find("will_execute", "torch:_C._will_engine_execute_node", _yes)


def in_forward_mode() -> bool:
    """Tells whether a dual level (forward-mode AD) is open."""
    return getattr(_forward_ad, "_current_level", 0) >= 0


# -- torch: odd tensors.
FakeTensor = _find("FakeTensor", "torch._subclasses.fake_tensor:FakeTensor", _NoFakeTensor)
is_functional = _find("is_functional", "torch:_is_functional_tensor", _no)
is_zero = _find("is_zero", "torch:Tensor._is_zerotensor", _no)

# -- torch: the vmap inside torch.autograd (is_grads_batched, vectorize=True).
_batching = _refusing("torch.autograd's older vmap (is_grads_batched, vectorize)")
is_batched = _find("is_batched", "torch:_C._functorch.is_legacy_batchedtensor", _no)
add_batch = _find("add_batch", "torch:_add_batch_dim", _batching)
remove_batch = _find("remove_batch", "torch:_remove_batch_dim", _batching)
_enter = _find("_enter", "torch:_C._vmapmode_increment_nesting", _batching)
_leave = _find("_leave", "torch:_C._vmapmode_decrement_nesting", _batching)


def batch_level() -> int:
    """The level of the older vmap: entering tells it, there is no question without side effect."""
    if _batching in (_enter, _leave):
        _batching()
    level = _enter()
    _leave()
    return level - 1


# -- torch: under torch.compile. dynamo knows these functions; they must be the originals.
flatten = _find("flatten", "torch.utils._pytree:tree_flatten", _refusing("torch.compile"))
unflatten = _find("unflatten", "torch.utils._pytree:tree_unflatten", _refusing("torch.compile"))
frame_callback = _find(
    "frame_callback", "torch._C:_dynamo.eval_frame.get_eval_frame_callback", lambda: None
)
# dynamo knows the function from torch 2.7 on, and takes an object for a constant from 2.13 on.
RELEASE = tuple(int(part) for part in torch.__version__.split(".")[:2])
guard_scalar = (
    _find("guard_scalar", "torch.fx.experimental.symbolic_shapes:guard_scalar", lambda value: value)
    if RELEASE >= (2, 7)
    else lambda value: value
)
OBJECTS_ARE_CONSTANT = RELEASE >= (2, 13)
is_exporting = (
    _find("is_exporting", "torch.compiler:is_exporting", _no) if RELEASE >= (2, 7) else _no
)

# -- the fastest ways of an array between JAX and torch; None: the public ones.
buffer_of = _find("buffer_of", "jax._src.lib:_jax.dlpack_managed_tensor_to_buffer", None)
capsule_of = _find("capsule_of", "jax._src.lib:_jax.buffer_to_dlpack_managed_tensor", None)
tensor_of = _find("tensor_of", "torch:_C._from_dlpack", None)

# -- JAX. An unknown state is taken for the dangerous one: JAX has started.
jax_has_started = _find("jax_has_started", "jax._src.xla_bridge:backends_are_initialized", _yes)
eval_jaxpr = _find("eval_jaxpr", "jax.core:eval_jaxpr", _refusing("torch_bridge"))
Tracer = _find("Tracer", "jax.core:Tracer", _NoFakeTensor)


def buffer_callback() -> Callable[..., Any]:
    """JAX's callback on buffers: an experimental one, which only ``wrap_torch`` needs."""
    return _find(
        "buffer_callback",
        "jax.experimental.buffer_callback:buffer_callback",
        _refusing("wrap_torch"),
    )
