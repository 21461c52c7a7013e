"""What a wrapped function can take and return, each feature beside the same in plain torch.

The rows of the matrix in torch_bridge/README.md; test_matrix.py runs each in every mode, and the
process that loads exported programs makes them again.
"""

import dataclasses
import enum
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import torch

from torch_bridge import JaxModule, wrap


class Feature(NamedTuple):
    """A function of tensors that uses one feature, the same in torch, and tensors for both."""

    call: Callable
    reference: Callable
    inputs: tuple[torch.Tensor, ...]
    tolerance: float | None = None  # if not that of the dtype: compilers keep more digits


class Pair(NamedTuple):
    a: object
    b: object


class Side(enum.Enum):
    LEFT = 1
    RIGHT = 2


@dataclasses.dataclass(frozen=True)
class Lens:
    f: float


X, Y = torch.linspace(0.2, 1.1, 6).reshape(2, 3), torch.linspace(-1.0, 1.5, 6).reshape(2, 3)


def words():
    def fn(x, flag, mode, nothing, pair):
        assert type(flag) is bool and type(pair) is tuple and nothing is None
        return x * (2 if flag else 3) + (5 if mode == "a" else 7) * x**2 * (1 if pair[0] else 11)

    names = ("flag", "mode", "nothing", "pair")
    bridge = wrap(fn, static_argnames=names, name="words")
    return Feature(
        lambda x: bridge(x, False, mode="a", nothing=None, pair=(False, "b")),
        lambda x: 3 * x + 55 * x**2,
        (X,),
    )


def numbers_that_stay():
    def fn(x, axis, power, side, lens, shape):
        assert side is Side.RIGHT
        return jnp.sum(x**power, axis=axis).reshape(shape) * lens.f

    names = ("axis", "power", "side", "lens", "shape")
    bridge, lens = wrap(fn, static_argnames=names, name="numbers that stay"), Lens(3.0)
    return Feature(
        lambda x: bridge(x, -1, 2.5, side=Side.RIGHT, lens=lens, shape=(2, 1)),
        lambda x: 3 * (x**2.5).sum(-1).reshape(2, 1),
        (X,),
    )


def numbers():
    bridge = wrap(lambda x, i, f, c: jnp.abs(x * c) * f + i * x, name="numbers")
    return Feature(
        lambda x: bridge(x, 3, 0.5, 1 + 2j), lambda x: (x * (1 + 2j)).abs() * 0.5 + 3 * x, (X,)
    )


def pytrees():
    def fn(p, pair):
        return {"z": [p["b"] * pair.a, "text"], "a": Pair(jnp.sin(p["a"]["x"]), None)}

    bridge = wrap(fn, name="pytrees")

    def call(x, y):  # keys in an order that JAX does not keep
        out = bridge({"b": x, "a": {"x": y}}, Pair(y, 2.0))
        assert out["z"][1] == "text" and out["a"].b is None
        return out["z"][0], out["a"].a

    return Feature(call, lambda x, y: (x * y, torch.sin(y)), (X, Y))


def complex_fields():
    bridge = wrap(lambda z, x: jnp.fft.ifft(jnp.fft.fft(z) * jnp.conj(z) * x), name="fields")
    z = torch.complex(X, Y)
    return Feature(
        lambda z, x: bridge(z, x),
        lambda z, x: torch.fft.ifft(torch.fft.fft(z) * z.conj() * x),
        (z, X),
    )


def float64():
    bridge = wrap(lambda x, z: jnp.real(x * z) + 1e-9 * x, name="float64")
    return Feature(
        lambda x, z: bridge(x, z),
        lambda x, z: (x * z).real + 1e-9 * x,
        (X.double(), torch.complex(X, Y).to(torch.complex128)),
    )


def integers():
    bridge = wrap(lambda x, i: (x[:, i] ** 2, jnp.argmax(x, axis=1)), name="integers")
    index = torch.tensor([2, 0])
    return Feature(
        lambda x: bridge(x, index.to(x.device)),
        lambda x: (x[:, index.to(x.device)] ** 2, x.argmax(1).int()),
        (X,),
    )


class Scaled:
    gain = 3.0

    @wrap(static_argnums=0, name="method")
    def scaled(self, x):
        return self.gain * jnp.sin(x)


def methods():
    thing = Scaled()
    return Feature(lambda x: thing.scaled(x), lambda x: 3 * torch.sin(x), (X,))


def autocast():
    bridge = wrap(lambda x: jnp.sin(x) * 2, name="autocast")

    def call(x):
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            return bridge(x.bfloat16())

    return Feature(call, lambda x: torch.sin(x.bfloat16().float()) * 2, (X,), 1e-2)


def random_numbers():
    def fn(x, seed):
        return x * jax.random.normal(jax.random.key(seed), x.shape)

    noise = torch.tensor(jax.random.normal(jax.random.key(7), (2, 3)).tolist())
    bridge = wrap(fn, name="random numbers")
    return Feature(lambda x: bridge(x, 7), lambda x: x * noise.to(x.device), (X,))


def buffers():
    from flax import nnx

    module = JaxModule(nnx.BatchNorm(3, rngs=nnx.Rngs(0)), name="buffers").train()

    def call(x):
        return module(x)

    def reference(x):
        return (x - x.mean(0)) / torch.sqrt(x.var(0, correction=0) + 1e-5)

    call.module = module
    return Feature(call, reference, (torch.linspace(-1, 1, 15).reshape(5, 3) ** 2,))


def batching():
    bridge = wrap(lambda x, y: jnp.sum(x * jnp.sin(y)), name="batching")
    return Feature(
        lambda x, y: torch.func.vmap(bridge, (0, None))(x, y[0]),
        lambda x, y: (x * torch.sin(y[0])).sum(1),
        (X, Y),
    )


FEATURES = {
    "static bool, str, None, tuple": words,
    "static int, float, enum, object, shape": numbers_that_stay,
    "Python numbers": numbers,
    "dicts, lists, named tuples": pytrees,
    "complex": complex_fields,
    "float64, complex128": float64,
    "integers": integers,
    "methods": methods,
    "autocast": autocast,
    "random keys from a seed": random_numbers,
    "`JaxModule` with changing buffers": buffers,
    "`torch.func.vmap` of it": batching,
}
