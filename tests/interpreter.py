"""JAX programs computed by numpy, one operation after the other, without a compiler.

A test that calls a long program a few times spends its time in the compiler, and in float64 its
numbers are a reference for others. `interpreted(f)` traces ``f`` as `jax.jit` does (so also
`jax.grad` and `jax.vmap` inside it) and computes the operations with numpy: what XLA makes of
a program is then compared with something that XLA did not make. What stands in no table below is
left to JAX, one small program for each operation, which all tests share.
"""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal

RULES: dict[str, Callable] = {}


def rule(*names: str) -> Callable:
    def register(function: Callable) -> Callable:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


# -- numbers -------------------------------------------------------------------------------

PLAIN = {
    "add": np.add, "add_any": np.add, "sub": np.subtract, "mul": np.multiply, "neg": np.negative,
    "max": np.maximum, "min": np.minimum, "abs": np.abs, "sign": np.sign, "floor": np.floor,
    "ceil": np.ceil, "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "log1p": np.log1p,
    "expm1": np.expm1, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin,
    "acos": np.arccos, "atan": np.arctan, "atan2": np.arctan2, "sinh": np.sinh, "cosh": np.cosh,
    "tanh": np.tanh, "pow": np.power, "square": np.square, "real": np.real, "imag": np.imag,
    "conj": np.conj, "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
    "gt": np.greater, "ge": np.greater_equal, "and": np.bitwise_and, "or": np.bitwise_or,
    "xor": np.bitwise_xor, "not": np.invert, "is_finite": np.isfinite,
}  # fmt: skip
RULES |= {name: lambda out, *x, f=f, **_: f(*x) for name, f in PLAIN.items()}


@rule("stop_gradient", "copy", "copy_p")
def same(out, x, **_):
    return x


@rule("optimization_barrier")
def barrier(out, *x, **_):
    return x


@rule("div")
def divide(out, x, y, **_):
    if np.issubdtype(out[0].dtype, np.inexact):
        return x / y
    return NotImplemented  # integers are rounded toward zero


@rule("round")
def rounded(out, x, rounding_method, **_):
    return (
        np.rint(x) if rounding_method == jax.lax.RoundingMethod.TO_NEAREST_EVEN else NotImplemented
    )


@rule("integer_pow")
def power(out, x, y, **_):
    return np.power(x, y) if y >= 0 else 1 / np.power(x, -y)


@rule("rsqrt")
def inverse_root(out, x, **_):
    return 1 / np.sqrt(x)


@rule("complex")
def pair(out, re, im, **_):
    z = np.empty(out[0].shape, out[0].dtype)
    z.real, z.imag = re, im
    return z


@rule("select_n")
def select(out, which, *cases, **_):
    if len(cases) != 2:
        return NotImplemented
    return np.where(which, cases[1], cases[0])


@rule("convert_element_type")
def convert(out, x, new_dtype, **_):
    if np.iscomplexobj(x) and not np.issubdtype(new_dtype, np.complexfloating):
        x = x.real
    return x.astype(new_dtype)


@rule("bitcast_convert_type")
def bits(out, x, new_dtype, **_):
    same_size = x.dtype.itemsize == np.dtype(new_dtype).itemsize
    return x.view(new_dtype) if same_size else NotImplemented


# -- shapes --------------------------------------------------------------------------------


@rule("broadcast_in_dim")
def broadcast(out, x, *_, shape, broadcast_dimensions, **__):
    if len(shape) != len(out[0].shape):
        return NotImplemented
    wide = [1] * len(shape)
    for size, axis in zip(x.shape, broadcast_dimensions, strict=True):
        wide[axis] = size
    return np.broadcast_to(x.reshape(wide), out[0].shape)


@rule("reshape")
def reshaped(out, x, *_, dimensions=None, **__):
    return NotImplemented if dimensions is not None else x.reshape(out[0].shape)


@rule("squeeze", "expand_dims")
def squeezed(out, x, **_):
    return x.reshape(out[0].shape)


@rule("slice")
def cut(out, x, start_indices, limit_indices, strides, **_):
    steps = strides or (1,) * x.ndim
    return x[tuple(map(slice, start_indices, limit_indices, steps))]


@rule("pad")
def padded(out, x, value, padding_config, **_):
    """Numbers between the samples first, then those around them; a negative width cuts."""
    spread = [
        n + max(n - 1, 0) * gap for n, (_, _, gap) in zip(x.shape, padding_config, strict=True)
    ]
    wide = np.full(spread, value, x.dtype)
    wide[tuple(slice(None, None, gap + 1) for *_, gap in padding_config)] = x
    wide = np.pad(
        wide, [(max(a, 0), max(b, 0)) for a, b, _ in padding_config], constant_values=value
    )
    edges = [
        (max(-a, 0), n - max(-b, 0))
        for n, (a, b, _) in zip(wide.shape, padding_config, strict=True)
    ]
    return wide[tuple(slice(*edge) for edge in edges)]


@rule("transpose")
def transposed(out, x, permutation, **_):
    return np.transpose(x, permutation)


@rule("rev")
def reversed_(out, x, dimensions, **_):
    return np.flip(x, dimensions)


@rule("concatenate")
def joined(out, *x, dimension, **_):
    return np.concatenate(x, dimension)


@rule("stack")
def stacked(out, *x, axis, **_):
    return np.stack(x, axis)


@rule("unstack")
def unstacked(out, x, axis, **_):
    return list(np.moveaxis(x, axis, 0))


@rule("split")
def parts(out, x, sizes, axis, **_):
    return np.split(x, np.cumsum(sizes)[:-1], axis)


# -- sums ----------------------------------------------------------------------------------

SUMS = {
    "reduce_sum": np.add, "reduce_prod": np.multiply, "reduce_max": np.maximum,
    "reduce_min": np.minimum, "reduce_or": np.bitwise_or, "reduce_and": np.bitwise_and,
}  # fmt: skip


def _reduction(f: np.ufunc) -> Callable:
    return lambda out, x, axes, **_: f.reduce(x, tuple(axes))


RULES |= {name: _reduction(f) for name, f in SUMS.items()}


@rule("dot_general")
def product(out, a, b, dimension_numbers, **_):
    (along_a, along_b), (batch_a, batch_b) = dimension_numbers
    rest_a = [k for k in range(a.ndim) if k not in (*along_a, *batch_a)]
    rest_b = [k for k in range(b.ndim) if k not in (*along_b, *batch_b)]
    left = np.transpose(a, (*batch_a, *rest_a, *along_a))
    right = np.transpose(b, (*batch_b, *along_b, *rest_b))
    batch = left.shape[: len(batch_a)]
    inner = math.prod(a.shape[k] for k in along_a)
    left = left.reshape(*batch, -1 if a.size else 0, inner)
    right = right.reshape(*batch, inner, -1 if b.size else 0)
    return (left @ right).reshape(out[0].shape)


@rule("fft")
def transform(out, x, fft_type, fft_lengths, **_):
    function = {"FFT": np.fft.fftn, "IFFT": np.fft.ifftn}.get(fft_type.name)
    axes = tuple(range(-len(fft_lengths), 0))
    return NotImplemented if function is None else function(x, axes=axes)


# -- programs inside programs --------------------------------------------------------------


@rule("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat2",
      "checkpoint")  # fmt: skip
def call(out, *x, **params):
    inner = params.get("jaxpr", params.get("call_jaxpr", params.get("fun_jaxpr")))
    return run(inner, x)


@rule("cond")
def branch(out, which, *x, branches, **_):
    return run(branches[int(np.clip(which, 0, len(branches) - 1))], x)


@rule("while")
def loop(out, *x, cond_jaxpr, cond_nconsts, body_jaxpr, body_nconsts, **_):
    ask, fixed = x[:cond_nconsts], x[cond_nconsts : cond_nconsts + body_nconsts]
    carry = x[cond_nconsts + body_nconsts :]
    while run(cond_jaxpr, (*ask, *carry))[0]:
        carry = run(body_jaxpr, (*fixed, *carry))
    return carry


@rule("scan")
def scanned(out, *x, jaxpr, length, reverse, num_consts=None, num_carry=None, ft_in=None, **_):
    if num_consts is None:  # since jax 0.12: a tree of the three groups
        num_consts, num_carry, _ = map(len, ft_in.unpack())
    fixed, rest = x[:num_consts], x[num_consts:]
    carry, rows = rest[:num_carry], rest[num_carry:]
    results = [np.empty(o.shape, o.dtype) for o in out[num_carry:]]
    for k in range(length)[:: -1 if reverse else 1]:
        outs = run(jaxpr, (*fixed, *carry, *(row[k] for row in rows)))
        carry = outs[:num_carry]
        for result, value in zip(results, outs[num_carry:], strict=True):
            result[k] = value
    return (*carry, *results)


# -- the interpreter -----------------------------------------------------------------------


def plain(x: Any) -> Any:
    """An array of numpy; random keys have no numbers and stay JAX's."""
    if type(x) is np.ndarray:
        return x
    keys = isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.extended)
    return x if keys else np.asarray(x)


def by_jax(eqn: Any, values: list) -> Any:
    return eqn.primitive.bind(*map(jax.numpy.asarray, values), **eqn.params)


def run(closed: Any, inputs: Any) -> list:
    """The outputs of a jaxpr; every array is numpy's, in the type that JAX gives it."""
    jaxpr = getattr(closed, "jaxpr", closed)
    numbers = dict(zip(jaxpr.constvars, map(plain, getattr(closed, "consts", ())), strict=True))
    numbers |= dict(zip(jaxpr.invars, map(plain, inputs), strict=True))

    def read(v):
        return plain(v.val) if type(v) is Literal else numbers[v]

    for eqn in jaxpr.eqns:
        values = [read(v) for v in eqn.invars]
        types = [v.aval for v in eqn.outvars]
        function = RULES.get(eqn.primitive.name)
        result = function(types, *values, **eqn.params) if function else NotImplemented
        if result is NotImplemented:
            result = by_jax(eqn, values)
        if not isinstance(result, list | tuple):
            result = [result]
        for v, value in zip(eqn.outvars, result, strict=True):
            value, aval = plain(value), v.aval
            assert value.shape == aval.shape, (eqn, value.shape)
            same = value.dtype == aval.dtype or not isinstance(value, np.ndarray)
            numbers[v] = value if same else value.astype(aval.dtype)
    return [read(v) for v in jaxpr.outvars]


def alone(closed: Any, output: int) -> Any:
    """What one output needs of a program: without the rest, such as the slope of a number."""
    jaxpr = closed.jaxpr
    needed, kept = {jaxpr.outvars[output]}, []
    for eqn in reversed(jaxpr.eqns):
        if eqn.effects or not needed.isdisjoint(eqn.outvars):
            needed.update(v for v in eqn.invars if type(v) is not Literal)
            kept.append(eqn)
    outvars = [jaxpr.outvars[output]]
    part = SimpleNamespace(constvars=jaxpr.constvars, invars=jaxpr.invars, outvars=outvars)
    part.eqns = kept[::-1]
    return SimpleNamespace(jaxpr=part, consts=closed.consts)


def interpreted(function: Callable) -> Callable:
    """``function``, traced once for all numbers of one shape and type, computed by numpy.

    With ``only=k`` its k-th output is computed and nothing else, by the same program.
    """
    programs, parts = {}, {}

    def compute(*arguments: Any, only: int | None = None) -> Any:
        leaves, structure = jax.tree.flatten(arguments)
        leaves = [plain(jax.numpy.asarray(leaf)) for leaf in leaves]
        key = structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        if key not in programs:
            programs[key] = jax.make_jaxpr(function, return_shape=True)(
                *jax.tree.unflatten(structure, leaves)
            )
        program, shapes = programs[key]
        if only is not None and (key, only) not in parts:
            parts[key, only] = alone(program, only)
        with np.errstate(all="ignore"):
            if only is not None:
                return run(parts[key, only], leaves)[0]
            outputs = run(program, leaves)
        return jax.tree.unflatten(jax.tree.structure(shapes), outputs)

    return compute
