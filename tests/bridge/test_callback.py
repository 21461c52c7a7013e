"""A torch module inside a JAX program, against the same function written in JAX."""

import jax
import jax.numpy as jnp
import pytest
import torch

from torch_bridge import wrap, wrap_torch

Z = jnp.array([1 + 2j, 3 - 1j], dtype=jnp.complex64)


def theirs(z, x):
    return (z.abs() ** 2 * torch.exp(1j * z.real)).sum() * x


def ours(z, x):
    return (jnp.abs(z) ** 2 * jnp.exp(1j * z.real)).sum() * x


bridge = wrap_torch(theirs, lambda z, x: jax.ShapeDtypeStruct(x.shape, z.dtype))


def loss(fn):
    return lambda z, x: jnp.abs(fn(z, x)) ** 2


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_value_and_gradients(jit):
    run = [jax.value_and_grad(loss(fn), argnums=(0, 1)) for fn in (bridge, ours)]
    run = [jax.jit(f) for f in run] if jit else run
    for result, expected in zip(*map(jax.tree.leaves, [f(Z, 0.5) for f in run]), strict=True):
        assert jnp.allclose(result, expected, rtol=1e-5)


def test_second_derivative():
    def twice(fn):
        inner = jax.grad(loss(fn))
        return jax.grad(lambda z: jnp.sum(jnp.abs(inner(z, 0.5)) ** 2))(Z)

    assert jnp.allclose(twice(bridge), twice(ours), rtol=1e-4)


@pytest.mark.parametrize("method", ["sequential", "expand_dims", "broadcast_all"])
def test_vmap_with_gradients(method):
    layer = torch.nn.Linear(3, 2).requires_grad_(False)
    spec = lambda x: jax.ShapeDtypeStruct((*x.shape[:-1], 2), x.dtype)  # noqa: E731
    f = wrap_torch(layer, spec, vmap_method=method)
    weight, bias = jnp.asarray(layer.weight.numpy()), jnp.asarray(layer.bias.numpy())
    x = jnp.arange(12.0).reshape(4, 3)
    assert jnp.allclose(jax.vmap(f)(x), x @ weight.T + bias, atol=1e-5)
    grad = jax.vmap(jax.grad(lambda x: jnp.sum(f(x) ** 2)))(x)
    expected = jax.vmap(jax.grad(lambda x: jnp.sum((weight @ x + bias) ** 2)))(x)
    assert jnp.allclose(grad, expected, rtol=1e-4, atol=1e-4)


def test_module_parameters_as_an_argument():
    layer = torch.nn.Linear(3, 1)
    params = {k: jnp.asarray(v.detach().numpy()) for k, v in layer.named_parameters()}
    f = wrap_torch(
        lambda p, x: torch.func.functional_call(layer, p, (x,)),
        lambda p, x: jax.ShapeDtypeStruct((*x.shape[:-1], 1), x.dtype),
    )
    x = jnp.arange(6.0).reshape(2, 3)
    grads = jax.grad(lambda p: jnp.sum(f(p, x)))(params)
    assert jnp.allclose(grads["weight"], x.sum(0)) and jnp.allclose(grads["bias"], 2)


def test_pytrees_integers_and_unused_arguments():
    def f(tree):
        return {"y": tree["x"][tree["i"].long()] * 2, "n": tree["i"] + 1}

    def spec(tree):
        return {"y": jax.ShapeDtypeStruct(tree["i"].shape, tree["x"].dtype), "n": tree["i"]}

    g = wrap_torch(f, spec)
    tree = {"x": jnp.arange(3.0), "i": jnp.array([2, 0]), "unused": jnp.ones(2)}
    assert g(tree)["n"].tolist() == [3, 1]
    grad = jax.grad(lambda x, u: jnp.sum(g({**tree, "x": x, "unused": u})["y"]), argnums=(0, 1))
    gx, gu = grad(tree["x"], tree["unused"])
    assert gx.tolist() == [2, 0, 2] and gu.tolist() == [0, 0]


def test_a_function_that_uses_autograd_itself():
    def force(x):  # of the energy sum(x^4)
        x = x if x.requires_grad else x.detach().requires_grad_()
        return -torch.autograd.grad((x**4).sum(), x, create_graph=True)[0]

    f = wrap_torch(force, lambda x: x)
    x = jnp.array([1.0, 2.0])
    assert jnp.allclose(f(x), -4 * x**3)
    assert jnp.allclose(jax.jit(f)(x), -4 * x**3)
    assert jnp.allclose(jax.grad(lambda x: f(x).sum())(x), -12 * x**2)


def test_result_independent_of_the_arguments():
    f = wrap_torch(lambda x: torch.ones(2), jax.ShapeDtypeStruct((2,), jnp.float32))
    assert jax.grad(lambda x: f(x).sum())(jnp.ones(3)).tolist() == [0, 0, 0]


def test_lazy_bits_in_results():
    f = wrap_torch(lambda z: z.conj().imag, lambda z: jax.ShapeDtypeStruct(z.shape, jnp.float32))
    assert f(Z).tolist() == [-2, 1]


def test_not_differentiable():
    f = wrap_torch(lambda x: x * 2, lambda x: x, differentiable=False)
    assert f(jnp.ones(2)).tolist() == [2, 2]
    with pytest.raises(ValueError, match="do not support JVP"):
        jax.grad(lambda x: f(x).sum())(jnp.ones(2))


def test_torch_in_jax_in_torch():
    inner = wrap_torch(lambda x: torch.sin(x), lambda x: x)
    x = torch.randn(3, requires_grad=True)
    wrap(lambda x: jnp.sum(inner(x) ** 2))(x).backward()
    torch.testing.assert_close(x.grad, torch.sin(2 * x.detach()))


def test_large_arrays_in_jit_do_not_deadlock():
    f = wrap_torch(lambda x: x @ x, lambda x: x)
    x = jnp.ones((1000, 1000)) / 1000
    step = jax.jit(lambda x: f(f(x) * 1.0))
    for _ in range(3):
        assert jnp.allclose(step(x), 1e-3, rtol=1e-4)


def test_denoiser_in_a_jax_fit():
    optax = pytest.importorskip("optax")
    torch.manual_seed(0)
    net = torch.nn.Conv1d(1, 1, 3, padding=1, bias=False).requires_grad_(False)
    net.weight.fill_(1 / 3)
    smooth = wrap_torch(net, lambda x: x)
    target = jnp.sin(jnp.arange(16.0))[None]
    optimizer = optax.adam(0.1)

    @jax.jit
    def step(x, state):
        value, grad = jax.value_and_grad(lambda x: jnp.mean((smooth(x) - target) ** 2))(x)
        updates, state = optimizer.update(grad, state)
        return optax.apply_updates(x, updates), state, value

    x = jnp.zeros((1, 16))
    state, values = optimizer.init(x), []
    for _ in range(60):
        x, state, value = step(x, state)
        values.append(float(value))
    assert values[-1] < 0.05 * values[0]


def test_wrong_shape_and_structure_and_option():
    f = wrap_torch(lambda x: x[:1], lambda x: x)
    with pytest.raises(Exception, match=r"result 0 of <lambda> has shape \(1,\), out_spec says"):
        jax.block_until_ready(f(jnp.ones(3)))
    f = wrap_torch(lambda x: (x, x), lambda x: x)
    with pytest.raises(Exception, match="out_spec says"):
        jax.block_until_ready(f(jnp.ones(3)))
    with pytest.raises(ValueError, match="`vmap_method` must be one of sequential"):
        wrap_torch(torch.sin, lambda x: x, vmap_method="legacy")


@pytest.mark.parametrize("method", ["sequential", "expand_dims", "broadcast_all"])
def test_gradient_under_vmap_of_an_argument_without_batch(method):
    f = wrap_torch(lambda x, y: x * y**2, lambda x, y: x, vmap_method=method)
    x, y = jnp.arange(6.0).reshape(2, 3), jnp.arange(3.0)
    grads = jax.vmap(jax.grad(lambda x, y: f(x, y).sum(), argnums=1), in_axes=(0, None))(x, y)
    assert jnp.allclose(grads, 2 * x * y)


@pytest.mark.parametrize(
    ("fn", "dtype"), [(lambda x: x / 2, jnp.int32), (lambda x: x * 1j, jnp.float32)]
)
def test_wrong_dtype(fn, dtype):
    f = wrap_torch(fn, lambda x: jax.ShapeDtypeStruct(x.shape, dtype))
    with pytest.raises(Exception, match="result 0 of <lambda> is torch"):
        jax.block_until_ready(f(jnp.ones(3)))
