"""torch.func, forward mode, the older vmap: each against torch's own version of the function."""

import jax.numpy as jnp
import pytest
import torch
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from torch_bridge import wrap


def ours(x, w):
    return jnp.sum(jnp.tanh(x @ w) ** 2, axis=-1)


def theirs(x, w):
    return (torch.tanh(x @ w) ** 2).sum(-1)


bridge = wrap(ours)
X, W = torch.linspace(-1, 1, 3).double(), torch.linspace(0.2, 1, 12).reshape(3, 4).double()


def total(fn):
    return lambda *args: fn(*args).sum()


TRANSFORMS = {
    "grad": lambda f: grad(f, argnums=(0, 1))(X, W),
    "grad and value": lambda f: torch.func.grad_and_value(f)(X, W),
    "grad of grad": lambda f: grad(lambda x: grad(f)(x, W).sum())(X),
    "vjp": lambda f: vjp(f, X, W)[1](torch.tensor(2.0).double()),
    "jvp": lambda f: jvp(f, (X, W), (X * 2, W * 3)),
    "jvp of grad": lambda f: jvp(lambda x: grad(f)(x, W), (X,), (X,)),
    "jacrev": lambda f: jacrev(f, argnums=1)(X, W),
    "jacfwd": lambda f: jacfwd(f, argnums=1)(X, W),
    "hessian": lambda f: hessian(f)(X, W),
    "jacrev of jacrev": lambda f: jacrev(jacrev(f))(X, W),
    "vmap": lambda f: vmap(f, in_dims=(0, None))(torch.stack([X, 2 * X]), W),
    "vmap last axis": lambda f: vmap(f, in_dims=(-1, None))(torch.stack([X, 2 * X], -1), W),
    "nested vmap": lambda f: vmap(vmap(f, (0, None)), (None, 0))(
        torch.stack([X, 2 * X]), torch.stack([W, W + 1, W + 2])
    ),
    "per-sample gradients": lambda f: vmap(grad(f, argnums=1), (0, None))(
        torch.stack([X, 2 * X, 3 * X]), W
    ),
    "vmap over jvp": lambda f: vmap(lambda t: jvp(lambda x: f(x, W), (X,), (t,))[1])(
        torch.eye(3).double()
    ),
    "grad of vmap": lambda f: grad(lambda w: vmap(f, (0, None))(torch.stack([X, 2 * X]), w).sum())(
        W
    ),
}


@pytest.mark.parametrize("name", TRANSFORMS, ids=lambda name: name.replace(" ", "-"))
def test_torch_func(name):
    result, expected = TRANSFORMS[name](bridge), TRANSFORMS[name](theirs)
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)


def test_torch_func_on_complex():
    def f(z):
        return jnp.sum(jnp.abs(jnp.fft.fft(z)) ** 4)

    def reference(z):
        return (torch.fft.fft(z).abs() ** 4).sum()

    z = torch.randn(4, dtype=torch.complex128)
    torch.testing.assert_close(grad(wrap(f))(z), grad(reference)(z))
    twice = lambda f: grad(lambda z: grad(f)(z).abs().sum())(z)  # noqa: E731
    torch.testing.assert_close(twice(wrap(f)), twice(reference))


def test_forward_mode():
    def run(fn):
        with forward_ad.dual_level():
            out = fn(forward_ad.make_dual(X, 2 * X), W)
            return forward_ad.unpack_dual(out)

    torch.testing.assert_close(tuple(run(bridge)), tuple(run(theirs)))


def test_forward_over_reverse():
    def run(fn):
        with forward_ad.dual_level():
            x = forward_ad.make_dual(X.clone().requires_grad_(), 2 * X)
            (g,) = torch.autograd.grad(fn(x, W), [x], create_graph=True)
            return tuple(forward_ad.unpack_dual(g))

    torch.testing.assert_close(run(bridge), run(theirs))


def test_reverse_over_forward():
    def run(fn):
        x = X.clone().requires_grad_()
        with forward_ad.dual_level():
            tangent = forward_ad.unpack_dual(fn(forward_ad.make_dual(x, 2 * X), W)).tangent
            return torch.autograd.grad(tangent, [x])

    torch.testing.assert_close(run(bridge), run(theirs))


def test_batched_gradients():
    batch = vmap(wrap(ours), (0, None))
    x = torch.stack([X, 2 * X, -X]).requires_grad_()

    def run(fn):
        out = fn(x, W)
        return torch.autograd.grad(out, [x], torch.eye(3).double(), is_grads_batched=True)

    torch.testing.assert_close(run(batch), run(theirs))
    torch.testing.assert_close(run(wrap(ours)), run(theirs))


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_vectorized_jacobian(strategy):
    # Elementwise: torch's own matrix product fails under the older vmap in forward mode.
    def run(fn):
        return torch.autograd.functional.jacobian(fn, (X, X), vectorize=True, strategy=strategy)

    ours = wrap(lambda x, y: jnp.sin(x) * y**2)
    torch.testing.assert_close(run(ours), run(lambda x, y: torch.sin(x) * y**2))


@pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr")
def test_linearize():
    # torch traces the function here: its values must not be frozen into the trace.
    for argument in (X, 2 * X):
        out, push = torch.func.linearize(lambda x: bridge(x, W), argument)
        expected, tangent = jvp(lambda x: theirs(x, W), (argument,), (X,))
        torch.testing.assert_close((out, push(X)), (expected, tangent))


def test_make_fx_records_the_operation():
    from torch.fx.experimental.proxy_tensor import make_fx

    graph = make_fx(lambda x: bridge(x, W))(X)
    torch.testing.assert_close(graph(2 * X), theirs(2 * X, W))


def test_vmap_over_integers_checks_their_range():
    take = wrap(lambda x, i: x[i])
    x = torch.randn(4, 3)
    index = torch.tensor([0, 1, 2, 0])
    assert torch.equal(vmap(take)(x, index), x[torch.arange(4), index])
    with pytest.raises(OverflowError, match="an argument holds 1099511627776, which does not fit"):
        vmap(take)(x, index + 2**40)


def test_vmap_of_several_results_and_integers():
    def f(x):
        return {"max": jnp.max(x), "where": jnp.argmax(x)}

    x = torch.randn(5, 4)
    out = vmap(wrap(f))(x)
    torch.testing.assert_close(out["max"], x.max(1).values)
    assert torch.equal(out["where"].long(), x.argmax(1))


def test_functional_call_ensemble():
    layer = torch.nn.Linear(3, 2)
    scale = wrap(lambda y: jnp.tanh(y) * 2)
    stacked = {k: torch.stack([v, v * 2]).detach() for k, v in layer.named_parameters()}
    x = torch.randn(3)
    run = lambda f: vmap(lambda p: f(torch.func.functional_call(layer, p, (x,))))(stacked)  # noqa: E731
    torch.testing.assert_close(run(scale), run(lambda y: torch.tanh(y) * 2))
