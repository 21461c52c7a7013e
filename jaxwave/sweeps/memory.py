"""What a call will cost: bytes from the compiled program, time from its operations."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxwave._files import size_text
from jaxwave.sweeps.target import split_arguments

# Operations a second of one ordinary processor; what matters for chunks is that two processes
# find the same numbers, so they are not measured.
NOMINAL = {"fft": 8e9, "matmul": 4e10, "other": 2e9}
# Operations of one function, in sums; measured on the compiler's own for CPUs.
_DEAR = {"sin": 100, "cos": 100, "tan": 100, "atan2": 30, "erf": 30, "pow": 20}
_DEAR |= dict.fromkeys(("exp", "log", "tanh", "sqrt", "rsqrt", "div", "logistic"), 10)
_LIBRARY = 2**20  # bytes; measured
_FUSED = {"broadcast_in_dim", "reshape", "squeeze", "convert_element_type", "iota", "copy"}


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes and time of one call, before it runs.

    Args:
        bytes: Peak over the call: arguments, results and scratch together.
        arguments: Bytes of the arguments.
        outputs: Bytes of the results.
        scratch: Bytes in between, of the compiled program and of its transforms.
        seconds: Processor time of a call, a rough guess: mostly right to a factor of three.

    Example:
        >>> Memory(bytes=3_000_000, arguments=0, outputs=1_000_000, scratch=2_000_000, seconds=0.01)
        Memory: 3 MB (arguments 0 bytes, results 1 MB, scratch 2 MB), about 0.01 s a call
    """

    bytes: int
    arguments: int
    outputs: int
    scratch: int
    seconds: float

    def __repr__(self) -> str:
        parts = f"arguments {size_text(self.arguments)}, results {size_text(self.outputs)}"
        parts += f", scratch {size_text(self.scratch)}"
        return f"Memory: {size_text(self.bytes)} ({parts}), about {self.seconds:.2g} s a call"


def memory(function: Callable[..., Any], *arguments: object, **named: object) -> Memory:
    """Tells bytes and time of a call without making it.

    The function is compiled for the shapes of its arguments, as ``jax.jit`` would, and the compiler
    is asked what it needs; what it does not count (the scratch of transforms and of matrix
    products) is added. Floating-point numbers and arrays are traced, other arguments are taken as
    they are. Arrays may be given as ``jax.ShapeDtypeStruct``, which need no memory themselves.

    Args:
        function: Any function of arrays and numbers.
        *arguments: What it would be called with.
        **named: What it would be called with by name.

    Returns:
        Peak bytes, their parts, and an estimate of the time.

    Raises:
        TypeError: If ``function`` is not callable.

    Example:
        >>> need = memory(jnp.fft.fft2, jax.ShapeDtypeStruct((256, 256), jnp.complex64))
        >>> need.arguments, need.outputs
        (524288, 524288)
    """
    if not callable(function):
        raise TypeError(
            f"memory: `function` must be a function, got {type(function).__name__}. Pass the "
            "function and its arguments, not its result."
        )
    numbers, join = split_arguments((arguments, named))

    def call(numbers: list[Any]) -> Any:
        positional, words = join(numbers)
        return function(*positional, **words)

    traced = jax.jit(call).trace(numbers)
    seconds = sum(n / _rates()[kind] for kind, n in operations(traced.jaxpr.jaxpr).items())
    return of_compiled(traced.jaxpr.jaxpr, traced.lower().compile(), seconds)


def of_compiled(jaxpr: object, compiled: Any, seconds: float) -> Memory:
    """Memory of a compiled program."""
    stats = compiled.memory_analysis()
    given, made = stats.argument_size_in_bytes, stats.output_size_in_bytes
    scratch = stats.temp_size_in_bytes + _uncounted(jaxpr)
    made -= stats.alias_size_in_bytes
    return Memory(given + made + scratch, given, made, scratch, seconds)


def _uncounted(jaxpr: object) -> int:
    """Scratch of the libraries for transforms and matrix products, which the compiler ignores."""
    count = operations(jaxpr)
    return _LIBRARY if count["fft"] + count["matmul"] else 0


# -- counting --------------------------------------------------------------------------------


def _inner(equation: Any) -> Iterator[tuple[Any, int]]:
    """Programs inside an equation, and how often they run."""
    times = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
    for value in equation.params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if hasattr(part, "jaxpr"):
                yield part.jaxpr, times
            elif hasattr(part, "eqns"):
                yield part, times


def operations(jaxpr: Any) -> dict[str, float]:
    """Counts the operations of a program by the kind of engine that does them."""
    total = dict.fromkeys(NOMINAL, 0.0)
    for equation in jaxpr.eqns:
        parts = [*_inner(equation)]
        for part, times in parts:
            for kind, count in operations(part).items():
                total[kind] += times * count
        if not parts:
            kind, count = _of_one(equation)
            total[kind] += count
    return total


def _of_one(equation: Any) -> tuple[str, float]:
    name = equation.primitive.name
    size = sum(math.prod(v.aval.shape) for v in equation.outvars)
    if name == "fft":
        n = math.prod(equation.params["fft_lengths"])
        return "fft", 5 * max(size, n) * math.log2(max(n, 2))
    if name == "dot_general":
        (left, _), _ = equation.params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        parts = 4 if np.issubdtype(equation.outvars[0].aval.dtype, np.complexfloating) else 1
        return "matmul", 2.0 * parts * size * math.prod(shape[i] for i in left)
    if name in _FUSED:
        return "other", 0.0
    return "other", float(size * _DEAR.get(name, 1))


def working_set(jaxpr: Any) -> int:
    """Bytes that the hungriest step of a program reads and writes."""
    most = 0
    for equation in jaxpr.eqns:
        parts = [*_inner(equation)]
        for part, _ in parts:
            most = max(most, working_set(part))
        if not parts and equation.primitive.name not in _FUSED:
            most = max(most, sum(_bytes(v) for v in (*equation.invars, *equation.outvars)))
    return most


def _bytes(variable: Any) -> int:
    aval = variable.aval
    return math.prod(aval.shape) * getattr(aval.dtype, "itemsize", 8)


@functools.cache
def _rates() -> dict[str, float]:
    """Operations a second of this machine, measured once on small programs [1/s]."""
    image, matrix = jnp.ones((512, 512), jnp.complex64), jnp.ones((384, 384), jnp.float32)
    wave = jnp.ones((1024, 1024), jnp.float32)
    programs = {
        "fft": (jnp.fft.fft2, image),
        "matmul": (lambda a: a @ a, matrix),
        "other": (lambda a: jnp.where(a > 2, a * a, a + 1) * 3 + a, wave),
    }
    rates = {}
    for kind, (function, argument) in programs.items():
        program = jax.jit(function)
        count = operations(program.trace(argument).jaxpr.jaxpr)[kind]
        jax.block_until_ready(program(argument))
        times = []
        for _ in range(3):
            start = time.process_time()
            jax.block_until_ready(program(argument))
            times.append(time.process_time() - start)
        rates[kind] = count / max(min(times), 1e-7)
    return rates
