"""float64 stays float64 although JAX's 64-bit switch is off; integers are never cut silently."""

import threading

import jax
import jax.numpy as jnp
import pytest
import torch
from torch.autograd import gradcheck

from torch_bridge import wrap

D = torch.float64


def test_the_switch_is_off_here():
    assert not jax.config.jax_enable_x64


def test_auto_computes_in_float64():
    x = torch.tensor([1 + 1e-9], dtype=D)
    out = wrap(lambda x: x * jnp.cos(0.0))(x)
    assert out.dtype is D and out.item() == 1 + 1e-9
    assert not jax.config.jax_enable_x64


@pytest.mark.parametrize("residuals", ["auto", "save", "recompute"])
def test_gradcheck_with_the_switch_off(residuals):
    x = torch.randn(4, dtype=D, requires_grad=True)
    assert gradcheck(wrap(lambda x: jnp.sum(jnp.sin(x) ** 2), residuals=residuals), [x])


@pytest.mark.parametrize("residuals", ["auto", "save", "recompute"])
def test_backward_in_another_thread(residuals):
    # The switch belongs to a thread: the backward pass must set it again.
    x = torch.randn(4, dtype=D, requires_grad=True)
    out = wrap(lambda x: jnp.sum(jnp.sin(x)), residuals=residuals)(x)
    thread = threading.Thread(target=out.backward)
    thread.start()
    thread.join()
    torch.testing.assert_close(x.grad, torch.cos(x.detach()), rtol=1e-14, atol=1e-14)


def test_forward_under_the_switch_and_backward_outside():
    x = torch.randn(4, requires_grad=True)
    bridge = wrap(lambda x: jnp.sin(x) * jnp.arange(4))
    with jax.enable_x64(True):
        out = bridge(x)
    out.double().sum().backward()
    torch.testing.assert_close(x.grad, torch.cos(x.detach()) * torch.arange(4))
    bridge(x).sum().backward()
    assert bridge.cache_info().misses == 2


def test_mixed_precision_follows_jax():
    x32, x64 = torch.ones(2, requires_grad=True), torch.ones(2, dtype=D, requires_grad=True)
    out = wrap(lambda a, b: a * b)(x32, x64)
    assert out.dtype is D
    out.sum().backward()
    assert x32.grad.dtype is torch.float32 and x64.grad.dtype is D


def test_cast_computes_in_float32_and_returns_float64_gradients():
    x = torch.tensor([1 + 1e-9, 2.0], dtype=D, requires_grad=True)
    z = torch.ones(2, dtype=torch.complex128, requires_grad=True)
    out = wrap(lambda x, z: x * z, x64="cast")(x, z)
    assert out.dtype is torch.complex64 and out[0] == 1
    out.real.sum().backward()
    assert x.grad.dtype is D and z.grad.dtype is torch.complex128


def test_error_accepts_float64_once_jax_does():
    with jax.enable_x64(True):
        assert wrap(lambda x: x, x64="error")(torch.ones(1, dtype=D)).dtype is D


def test_int64_in_range_is_narrowed_and_kept_beside_float64():
    t = torch.tensor([2**31 - 1, -(2**31)])
    assert torch.equal(wrap(lambda x: x)(t).long(), t)
    big = torch.tensor([2**40 + 5])
    out, _ = wrap(lambda i, x: (i, x))(big, torch.ones(1, dtype=D))
    assert out.item() == 2**40 + 5
    assert wrap(lambda x: x)(torch.empty(0, dtype=torch.int64)).shape == (0,)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast_promotes_half_precision(dtype):
    seen = []

    def f(x):
        seen.append(x.dtype)
        return x * 2

    x = torch.ones(3, dtype=dtype, requires_grad=True)
    bridge, alone = wrap(f), wrap(f, autocast_dtype=None)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = bridge(x)
        alone(x)
    bridge(x)
    half = jnp.dtype(str(dtype)[6:])
    assert seen == [jnp.float32, half, half]
    out.sum().backward()
    assert out.dtype is torch.float32 and x.grad.dtype is dtype


def test_autocast_backward_of_a_layer():
    layer = torch.nn.Linear(4, 4)
    bridge = wrap(lambda y: jnp.sum(y**2))
    x = torch.randn(2, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = bridge(layer(x))
        expected = (layer(x).float() ** 2).sum()
    torch.testing.assert_close(loss, expected)
    loss.backward()
    ours = layer.weight.grad.clone()
    layer.weight.grad = None
    expected.backward()
    torch.testing.assert_close(ours, layer.weight.grad, rtol=1e-2, atol=1e-2)


def test_bfloat16_gradients():
    x = torch.ones(3, dtype=torch.bfloat16, requires_grad=True)
    wrap(lambda x: jnp.sum(jnp.sin(x) * x))(x).backward()
    y = x.detach().clone().requires_grad_()
    (torch.sin(y) * y).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
