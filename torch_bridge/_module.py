"""``JaxModule``: a flax nnx module as a torch module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from torch_bridge import _convert, _private
from torch_bridge._convert import to_jax
from torch_bridge._op import Aval, is_inexact
from torch_bridge._wrap import BridgedFunction, wrap

_TAKEN = frozenset(dir(torch.nn.Module())) | {"_bridge"}  # names that torch.nn.Module uses
_REAL = {torch.float32: torch.complex64, torch.float64: torch.complex128}


class JaxModule(torch.nn.Module):
    """A flax nnx module as a torch module, with parameters that torch owns.

    Every variable of the kind ``wrt`` becomes a :class:`torch.nn.Parameter` under the nnx module's
    own nested name (``blocks.0.kernel``), every other one a buffer. The values are copies: torch
    optimizers write in place. Variables that a call changes (batch statistics, random counts) are
    written back to the buffers. Random keys and unsigned counts are kept as int32 of the same bits.

    Args:
        nnx_module: The module; it is not changed.
        wrt: The kind of variable that is learned; integers never are.
        method: The method that ``forward`` calls, on tensors of the shapes it takes.
        **wrap_options: As for :func:`wrap`.

    Raises:
        TypeError: If ``nnx_module`` is no nnx module.
        AttributeError: If it has no such method.

    Example:
        >>> import torch
        >>> from flax import nnx
        >>> layer = JaxModule(nnx.Linear(3, 2, rngs=nnx.Rngs(0)))
        >>> [name for name, _ in layer.named_parameters()]
        ['bias', 'kernel']
        >>> layer(torch.ones(5, 3)).shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        nnx_module: nnx.Module,
        *,
        wrt: Any = nnx.Param,
        method: str = "__call__",
        **wrap_options: Any,
    ) -> None:
        super().__init__()
        if not isinstance(nnx_module, nnx.Module):
            raise TypeError(_refusal(nnx_module))
        if not callable(getattr(nnx_module, method, None)):
            raise AttributeError(
                f"JaxModule: {type(nnx_module).__name__} has no method '{method}'."
            )
        self._wrt, self._method, self._wrap_options = wrt, method, wrap_options
        self._kind = type(nnx_module).__name__
        graphdef, *states = nnx.split(nnx_module, wrt, ...)
        self._graphdef, self._graphdefs = graphdef, _modes(graphdef, states)
        self._states = jax.tree_util.tree_map(_abstract, tuple(states))
        self._places: list[tuple[torch.nn.Module, str]] = []
        learned = len(jax.tree_util.tree_leaves(states[0]))
        for index, (path, leaf) in enumerate(_leaves(states)):
            self._register(path, leaf, learned=index < learned)
        self._bridges: dict[Any, BridgedFunction] = {}
        self._make_bridge()

    def _register(self, path: Sequence[str], leaf: object, *, learned: bool) -> None:
        """Puts one value under its nested name."""
        value = _encode(jnp.asarray(leaf))
        tensor = torch.from_dlpack(value).clone()
        module: torch.nn.Module = self
        for part in path[:-1]:
            name = _free_name(part)
            if name not in module._modules:
                module.add_module(name, torch.nn.Module())
            module = module._modules[name]  # type: ignore[assignment]
        name = _free_name(path[-1])
        while hasattr(module, name):  # two names may become one: a.b and a_b
            name += "_"
        if learned and is_inexact(value):
            module.register_parameter(name, torch.nn.Parameter(tensor))
        else:
            module.register_buffer(name, tensor)
        self._places.append((module, name))

    def _make_bridge(self) -> None:
        """The bridge of the present mode; each mode keeps its own, with what it has compiled."""
        graphdef, method, wrt = self._graphdef, self._method, self._wrt
        if graphdef in self._bridges:
            self._bridge = (self._bridges[graphdef],)
            return
        avals, treedef = jax.tree_util.tree_flatten(self._states)

        def forward(values: np.ndarray, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
            leaves = [_decode(v, aval) for v, aval in zip(values, avals, strict=True)]
            module = nnx.merge(graphdef, *jax.tree_util.tree_unflatten(treedef, leaves))
            results = getattr(module, method)(*args, **kwargs)
            after = jax.tree_util.tree_leaves(tuple(nnx.split(module, wrt, ...)[1:]))
            changed = {
                str(i): _encode(new)
                for i, (new, old) in enumerate(zip(after, leaves, strict=True))
                if new is not old
            }
            return results, changed

        forward.__name__ = f"JaxModule.{self._kind}"
        bridge = wrap(forward, **self._wrap_options)
        bridge.writes = True
        self._bridges[graphdef] = bridge
        self._bridge = (bridge,)  # dynamo takes an attribute with a __get__ for a class's

    def forward(self, *args: object, **kwargs: object) -> Any:
        """Calls the nnx module's method on tensors; see :class:`JaxModule`."""
        values = [getattr(module, name) for module, name in self._places]
        if _private.transforms_active() and not torch.compiler.is_compiling():
            # torch.func keeps the arguments for the derivative, and buffers are written in place.
            values = [x if isinstance(x, torch.nn.Parameter) else x.clone() for x in values]
        results, changed = self._bridge[0](values, args, kwargs)
        for index, value in changed.items():
            module, name = self._places[int(index)]
            _write_back(getattr(module, name), value)
        return results

    def __repr__(self) -> str:
        """The nnx module with its present values, as it prints itself."""
        try:
            text = repr(self.to_nnx())
        except Exception:  # meta tensors, values of other shapes: no module can be made of them
            text = self._kind
        return f"JaxModule({text})"

    def train(self, mode: bool = True) -> JaxModule:
        """Sets training or evaluation mode, of the nnx module too (dropout, batch statistics).

        Until it is called, the nnx module is in the mode it was in when it was handed over.
        """
        super().train(mode)
        self._graphdef = self._graphdefs[bool(mode)]
        self._make_bridge()
        return self

    def to_nnx(self) -> nnx.Module:
        """A new nnx module with copies of the present values.

        Returns:
            The module, for use in JAX; later changes of one do not reach the other.

        Example:
            >>> from flax import nnx
            >>> print(JaxModule(nnx.Linear(1, 1, rngs=nnx.Rngs(0))).to_nnx().bias[...])
            [0.]
        """
        avals, treedef = jax.tree_util.tree_flatten(self._states)
        tensors = [getattr(module, name) for module, name in self._places]
        arrays = to_jax(tensors, x64="auto")
        leaves = [_decode(array, aval) for array, aval in zip(arrays, avals, strict=True)]
        return nnx.merge(self._graphdef, *jax.tree_util.tree_unflatten(treedef, leaves))

    def load_nnx(self, module: nnx.Module) -> None:
        """Copies the values of an nnx module of the same structure into the parameters and buffers.

        Args:
            module: The module; it is not changed.

        Raises:
            ValueError: If names or shapes differ.

        Example:
            >>> from flax import nnx
            >>> layer = JaxModule(nnx.Linear(1, 1, rngs=nnx.Rngs(0)))
            >>> layer.load_nnx(nnx.Linear(1, 1, rngs=nnx.Rngs(1)))
        """
        states = nnx.split(module, self._wrt, ...)[1:]
        theirs = {".".join(path): _encode(jnp.asarray(leaf)) for path, leaf in _leaves(states)}
        names = [".".join(path) for path, _ in _leaves(self._states)]
        ours = {
            name: getattr(module, attribute)
            for name, (module, attribute) in zip(names, self._places, strict=True)
        }
        if theirs.keys() != ours.keys():
            odd = sorted(theirs.keys() ^ ours.keys())
            raise ValueError(f"load_nnx: the modules differ in {', '.join(odd)}.")
        for name, value in theirs.items():
            if value.shape != tuple(ours[name].shape):
                raise ValueError(
                    f"load_nnx: '{name}' must have shape {tuple(ours[name].shape)}, got "
                    f"{value.shape}."
                )
        with torch.no_grad():
            for name, value in theirs.items():
                ours[name].copy_(torch.from_dlpack(value))

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        # torch's .to(float64) drops the imaginary part of complex buffers, .double() skips them.
        return super()._apply(
            lambda t: _apply_to_parts(fn, t) if t.is_complex() else fn(t), recurse
        )

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the bridges, which are made anew."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_bridge", "_bridges")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Makes the bridge anew."""
        super().__setstate__(state)
        self._bridges = {}
        self._make_bridge()


def _refusal(module: object) -> str:
    """Why something is no nnx module, and what to do with it."""
    kind = type(module).__name__
    bases = {base.__module__.rpartition(".")[0] for base in type(module).__mro__}
    text = f"JaxModule: needs a flax nnx module, got a {kind}"
    if isinstance(module, type):
        return f"JaxModule: needs a flax nnx module, got the class {module.__name__}: make one."
    if "flax.linen" in bases:
        return (
            f"{text} of flax.linen, which keeps its parameters outside. Convert it: "
            "flax.nnx.bridge.ToNNX(module, rngs=nnx.Rngs(0)).lazy_init(example)."
        )
    if any(base.startswith("equinox") for base in bases):
        return (
            f"{text} of equinox. Split it with equinox.partition, keep its arrays as torch "
            "parameters, and wrap(lambda arrays, *args: equinox.combine(arrays, rest)(*args))."
        )
    if isinstance(module, torch.nn.Module):
        return f"{text}, which is a torch module already. torch_bridge.wrap_torch takes it to JAX."
    return f"{text}."


def _apply_to_parts(fn: Callable[[torch.Tensor], torch.Tensor], t: torch.Tensor) -> torch.Tensor:
    """``fn`` (a move, a conversion) on real and imaginary part; complex half becomes complex64."""
    parts = fn(torch.view_as_real(t))
    if parts.is_complex():  # the conversion was to a complex dtype already
        return parts[..., 0] + 1j * parts[..., 1]
    if parts.dtype not in _REAL:
        parts = parts.to(torch.float32) if parts.is_floating_point() else parts
    return torch.view_as_complex(parts)


def _write_back(buffer: torch.Tensor, value: torch.Tensor) -> None:
    """Gives a buffer a new value, while a recorded graph keeps the old one for its derivative."""
    in_place = torch.compiler.is_compiling() or _private.transforms_active()
    if in_place or value.is_inference():
        buffer.copy_(value.detach())
    else:
        buffer.data = value.detach()


def _modes(graphdef: nnx.GraphDef, states: Sequence[Any]) -> dict[bool, Any]:
    """The module's static part in evaluation and in training mode."""
    module = nnx.merge(graphdef, *states)
    nnx.Module.eval(module)  # a module may have a flag of its own that is called train
    evaluating = nnx.graphdef(module)
    nnx.Module.train(module)
    return {False: evaluating, True: nnx.graphdef(module)}


def _leaves(states: Sequence[Any]) -> list[tuple[list[str], Any]]:
    """Names and values of all variables, in the order of the flattened states."""
    found = []
    for state in states:
        for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]:
            parts = [str(getattr(key, "key", getattr(key, "name", key))) for key in path]
            found.append((parts[:-1] if parts[-1].lstrip(".") == "value" else parts, leaf))
    return found


def _free_name(part: str) -> str:
    """A name that torch.nn.Module does not use itself."""
    name = part.replace(".", "_")
    while name in _TAKEN:
        name += "_"
    return name


def _abstract(leaf: object) -> Aval:
    value = jnp.asarray(leaf)
    return Aval(value.shape, value.dtype)


def _encode(value: jax.Array) -> Any:
    """Random keys and uint32 as int32 of the same bits, which torch handles everywhere."""
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    if value.dtype == jnp.uint32:
        return jax.lax.bitcast_convert_type(value, jnp.int32)
    return value


def _decode(value: jax.Array, aval: Aval) -> Any:
    is_key = jnp.issubdtype(aval.dtype, jax.dtypes.prng_key)
    if is_key or aval.dtype == jnp.uint32:
        value = jax.lax.bitcast_convert_type(jnp.asarray(value), jnp.uint32)
    if is_key:
        return jax.random.wrap_key_data(value, impl=_convert.key_impl(aval))
    return value
