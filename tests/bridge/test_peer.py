"""The cases of the peers' own suites, written anew: torch2jax's and torch-jax-interop's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from torch_bridge import to_jax, to_torch, wrap, wrap_torch

RNG = np.random.default_rng(0)


def draw(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


def first(*structs):
    return structs[0]


def torch_fn(a, b):
    return torch.sin(a + 2 * b) * torch.softmax(a - b, dim=0).reshape(-1)[0]


def jax_fn(a, b):
    return jnp.sin(a + 2 * b) * jax.nn.softmax(a - b, axis=0).reshape(-1)[0]


@pytest.mark.parametrize("argnums", [0, 1, (0, 1)], ids=str)
def test_jacobian_and_hessian_under_jit(argnums):
    a, b, ours = draw(2, 3), draw(2, 3), wrap_torch(torch_fn, first)

    def jacobian(fn):
        return jax.jacrev(fn, argnums=argnums)

    for order in (jacobian, lambda fn: jacobian(jacobian(fn))):
        got, need = jax.jit(order(ours))(a, b), jax.jit(order(jax_fn))(a, b)
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), got, need)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_integer_argument_anywhere(place):
    def with_integers(fn):
        def call(*args):
            rest = [x for i, x in enumerate(args) if i != place]
            return fn(*rest) * (args[place] > 50)

        return call

    args = [draw(10), draw(10)]
    args.insert(place, jnp.asarray(RNG.integers(0, 100, 10)))
    floats = tuple(i for i in range(3) if i != place)
    ours = wrap_torch(with_integers(torch_fn), lambda *s: s[floats[0]])
    grads = [
        jax.grad(lambda *args, fn=fn: jnp.sum(fn(*args)), argnums=floats)(*args)
        for fn in (ours, with_integers(jax_fn))
    ]
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), *grads)


def test_vmap_of_a_solver_over_one_argument():
    matrices, x = draw(4, 5, 5) + 4 * jnp.eye(5), draw(5, 7)
    solve = wrap_torch(torch.linalg.solve, lambda a, b: b)
    got = jax.jit(jax.vmap(solve, in_axes=(0, None)))(matrices, x)
    need = np.linalg.solve(np.asarray(matrices), np.asarray(x)[None])
    np.testing.assert_allclose(got, need, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "calls"), [("sequential", 6), ("expand_dims", 1), ("broadcast_all", 1)]
)
def test_how_often_vmap_calls(method, calls):
    count = []

    def double(x):
        count.append(1)
        return 2 * x

    ours, x = wrap_torch(double, first, vmap_method=method), draw(6, 8)
    np.testing.assert_allclose(jax.vmap(ours)(x), 2 * x)
    assert len(count) == calls


@pytest.mark.parametrize("shape", [(1,), (10, 10), (3, 4, 5), (1, 2, 3, 4, 5)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "bool", "complex64", "bfloat16"])
def test_there_and_back(shape, dtype):
    x = (100 * RNG.random(shape)).astype("float32")
    t = torch.from_numpy(x).to(getattr(torch, dtype))
    a = to_jax(t)
    assert isinstance(a, jax.Array) and a.dtype == jnp.dtype(dtype)
    back = to_torch(a)
    assert back.dtype == t.dtype and torch.equal(back, t)
    same = wrap(lambda a: a)(t)
    assert same.dtype == t.dtype and torch.equal(same, t)


def test_devices_and_trees():
    tree = {"a": [torch.ones(2), (torch.zeros(3, dtype=torch.int32), None)], "b": "word"}
    arrays = to_jax(tree)
    assert arrays["a"][0].devices() == {jax.devices("cpu")[0]} and arrays["b"] == "word"
    assert to_torch(arrays)["a"][1][0].device == torch.device("cpu")


def test_a_network_that_learns_in_the_other_library():
    """A JAX loss trains a torch module, by its parameters as an argument."""
    net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    call = wrap_torch(
        lambda p, x: torch.func.functional_call(net, p, x),
        lambda p, x: jax.ShapeDtypeStruct((x.shape[0], 1), x.dtype),
    )
    p = to_jax({name: value.detach() for name, value in net.named_parameters()})
    x = draw(32, 3)
    y = jnp.sin(x.sum(1, keepdims=True))
    step = jax.jit(jax.value_and_grad(lambda p: jnp.mean((call(p, x) - y) ** 2)))
    ((net(to_torch(x)) - to_torch(y)) ** 2).mean().backward()
    for name, value in net.named_parameters():
        np.testing.assert_allclose(step(p)[1][name], value.grad, atol=1e-6)
    losses = []
    for _ in range(60):
        loss, slope = step(p)
        losses.append(float(loss))
        p = jax.tree.map(lambda v, g: v - 0.3 * g, p, slope)
    assert losses[-1] < 0.6 * losses[0]


def test_a_function_with_several_results_and_none_that_is_differentiable():
    ours = wrap(lambda x: (jnp.argsort(x), jnp.sort(x), x.shape[0]))
    x = torch.tensor([3.0, 1.0, 2.0], requires_grad=True)
    order, values, count = ours(x)
    assert order.tolist() == [1, 2, 0] and not order.requires_grad and count == 3
    (slope,) = torch.autograd.grad(values @ torch.tensor([1.0, 2.0, 3.0]), x)
    assert slope.tolist() == [3.0, 1.0, 2.0]
