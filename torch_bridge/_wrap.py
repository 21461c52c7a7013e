"""``wrap``: a JAX function as an ordinary torch operation."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from typing import Any, Literal

import jax
import torch

from torch_bridge import _autograd, _call, _compile, _convert, _guard, _plan, _private
from torch_bridge._call import Call
from torch_bridge._plan import Cache, CacheInfo, Plan


class BridgedFunction:
    """A JAX function that torch can call, differentiate, transform and compile.

    Made by :func:`wrap`. Call it with any pytree of tensors, numbers and static values, of the
    shapes that the function takes; it returns the function's pytree with tensors in it, which own
    fresh memory.

    Attributes:
        jax_fn: The function itself, for use inside JAX.

    Example:
        >>> import torch
        >>> double = wrap(lambda x: 2 * x)
        >>> double(torch.ones(3))
        tensor([2., 2., 2.])
        >>> double.cache_info()
        CacheInfo(hits=0, misses=1, maxsize=64, currsize=1)
    """

    __name__: str
    __qualname__: str

    def __init__(self, fn: Callable[..., Any], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, fn, updated=())
        self.__name__ = options["name"] or getattr(fn, "__name__", type(fn).__name__)
        self.__qualname__ = getattr(fn, "__qualname__", self.__name__)
        self.jax_fn, self._options = fn, options
        self.writes = False  # whether the second result is what to write into the first argument
        names, positions = options["static_argnames"], options["static_argnums"]
        self.static = _call.static_arguments(fn, names, positions)
        self.reader = _call.Reader(
            fn, self.__name__, self.static, options["x64"], options["autocast_dtype"]
        )
        self._cache = Cache(options["cache_size"])
        self.pinned: dict[str, Plan] = {}
        self.is_named = options["name"] is not None
        self.handle = _plan.register(self, self.__name__)

    def __call__(self, *args: object, **kwargs: object) -> Any:
        """Calls the function on tensors; see :func:`wrap`."""
        if torch.compiler.is_compiling():
            return _compile.call(self, args, kwargs)
        if _private.frame_callback():  # dynamo looks into every frame, and JAX's are not for it
            return _compile.uncompiled(self, args, kwargs)
        return self.run(args, kwargs)

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call outside torch.compile."""
        call = self.reader.read(args, kwargs)
        plan = self._cache.get(call, self._build)
        return plan.join(_autograd.apply(plan.op, call.numbers, call.xs))

    def __get__(self, instance: object, owner: type | None = None) -> Callable[..., Any]:
        """As a method: ``instance`` is the first argument."""
        return self if instance is None else functools.partial(self, instance)

    def _build(self, call: Call) -> Plan:
        _guard.check_process(self.__name__)
        self.reader.check(call)
        try:
            return Plan(
                self.jax_fn,
                call,
                device=_numpy_device(call.xs),
                bridge=self.handle,
                others=self.plans(),
                residuals=self._options["residuals"],
                check_finite=self._options["check_finite"],
            )
        except (TypeError, ValueError, IndexError) as error:  # JAX's own are among these
            needed = self.reader.explain(call, error)
        raise needed

    def plans(self) -> list[Plan]:
        """All plans that are kept."""
        return [*self.pinned.values(), *self._cache.plans()]

    def pin(self, call: Call) -> Plan:
        """The plan of a call, kept for programs that name it by its handle."""
        plan = self._cache.get(call, self._build)
        plan.pinned = True
        self.pinned[plan.op.handle] = plan
        return plan

    def find(self, handle: str) -> Plan | None:
        """The plan of a handle, kept from now on."""
        for plan in [] if handle in self.pinned else self._cache.plans():
            if plan.op.handle == handle:
                plan.pinned = True
                self.pinned[handle] = plan
        return self.pinned.get(handle)

    def warmup(self, *args: object, **kwargs: object) -> BridgedFunction:
        """Traces and compiles for the signature of an example: forward, and backward if needed.

        Args:
            *args: Example arguments; tensors that require a gradient get a compiled pull-back.
            **kwargs: Example keyword arguments.

        Returns:
            The bridged function itself.

        Example:
            >>> import torch
            >>> wrap(lambda x: 2 * x).warmup(torch.ones(3)).cache_info().currsize
            1
        """
        self.pin(self.reader.read(args, kwargs))
        results, _ = jax.tree_util.tree_flatten(self(*args, **kwargs))
        outs = [x for x in results if isinstance(x, torch.Tensor) and x.requires_grad]
        leaves, _ = jax.tree_util.tree_flatten((args, kwargs))
        inputs = [x for x in leaves if isinstance(x, torch.Tensor) and x.requires_grad]
        if outs and inputs:
            zeros = [torch.zeros_like(x) for x in outs]
            torch.autograd.grad(outs, inputs, zeros, allow_unused=True)
        return self

    def cache_info(self) -> CacheInfo:
        """Hits, misses (traces of the function), capacity and number of signatures."""
        return self._cache.info()

    def cache_clear(self) -> None:
        """Forgets every traced signature and its compiled programs.

        Programs made by torch.compile keep theirs.
        """
        self._cache.clear()

    def __repr__(self) -> str:
        return f"<torch_bridge.wrap of {self.__name__}>"

    def __copy__(self) -> BridgedFunction:
        return self

    def __deepcopy__(self, memo: object) -> BridgedFunction:
        return self

    def __reduce__(self) -> Any:
        found: Any = sys.modules.get(self.__module__)
        for part in self.__qualname__.split("."):
            found = getattr(found, part, None)
        return (
            self.__qualname__ if found is self else (BridgedFunction, (self.jax_fn, self._options))
        )


def _numpy_device(xs: list[torch.Tensor]) -> Any:
    """The device for numpy views, where it is not JAX's default one."""
    on_cpu = bool(xs) and xs[0].is_cpu
    return jax.devices("cpu")[0] if on_cpu and jax.default_backend() != "cpu" else None


def wrap(
    fn: Callable[..., Any] | None = None,
    *,
    static_argnames: str | Iterable[str] = (),
    static_argnums: int | Iterable[int] = (),
    residuals: Literal["auto", "save", "recompute"] = "auto",
    x64: Literal["auto", "error", "cast"] = "auto",
    autocast_dtype: torch.dtype | None = torch.float32,
    cache_size: int = 64,
    check_finite: bool = False,
    name: str | None = None,
) -> Any:
    r"""Makes a pure JAX function an ordinary, differentiable torch operation.

    The gradient of a complex tensor follows torch, not JAX:

    .. math::
        \nabla_x L = \overline{\mathrm{vjp}_f(\overline{g})},

    so that a step along the negative gradient descends. Integer and bool results have no gradient.
    Contiguous CPU tensors enter without a copy, and results leave without one, in memory of their
    own. ``fn`` must be pure: side effects happen once, when it is traced.

    Args:
        fn: The function, of any pytree of arrays ``(...)``, to any pytree of arrays. Tensors and
            numbers in its arguments are traced; bool, str, None and enum are static. Left out,
            ``wrap`` returns a decorator.
        static_argnames: Names of further arguments that are static (hashable).
        static_argnums: Positions of further arguments that are static.
        residuals: What a call that may be differentiated keeps. "save": what the pull-back needs;
            "recompute": the inputs; "auto": the gradient of a loss (a function with one real scalar
            result), computed with its value in one program, and like "save" of all others.
        x64: What to do with float64 while ``jax_enable_x64`` is off. "auto" computes in float64;
            "error" raises; "cast" computes in float32, with float64 gradients. int64 alone does
            not switch to 64 bits: it is narrowed where its values fit.
        autocast_dtype: What float16 and bfloat16 tensors become under ``torch.autocast``; None
            leaves them alone.
        cache_size: Number of signatures (structure, shapes, dtypes, static values) to keep.
        check_finite: Whether to check every result and gradient.
        name: The name in messages and in exported programs.

    Returns:
        A :class:`BridgedFunction`.

    Raises:
        TypeError: At a call, for a jax.Array, an unsupported dtype or layout, an unhashable static
            argument, or float64 with ``x64="error"``.
        ValueError: For an unknown option or static argument; at a call, for tensors on several
            devices.
        OverflowError: At a call, for an integer that does not fit into 32 bits.
        RuntimeError: At a call, where JAX cannot run: no GPU for a CUDA tensor, CUDA graph capture,
            ``torch.jit.trace``, ``jax.disable_jit``, a forked child, a JAX trace around the call.
        FloatingPointError: With ``check_finite``, for a result or gradient that is not finite.

    Example:
        >>> import jax.numpy as jnp, torch
        >>> @wrap
        ... def power(u):
        ...     return jnp.sum(jnp.abs(u) ** 2)
        >>> u = torch.tensor([1 + 2j, 3j], requires_grad=True)
        >>> power(u).backward()
        >>> u.grad
        tensor([2.+4.j, 0.+6.j])

    References:
        K. Kreutz-Delgado, *The Complex Gradient Operator and the CR-Calculus* (2009), Sec. 4.
    """
    _convert.check_option("wrap", "residuals", residuals, ("auto", "save", "recompute"))
    _convert.check_option("wrap", "x64", x64, ("auto", "error", "cast"))
    if cache_size < 1:
        raise ValueError(f"wrap: `cache_size` must be at least 1, got {cache_size}.")
    options = {key: value for key, value in locals().items() if key != "fn"}
    if fn is None:
        return functools.partial(BridgedFunction, options=options)
    return BridgedFunction(fn, options)
