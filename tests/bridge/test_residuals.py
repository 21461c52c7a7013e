"""What goes through memory between the forward and the backward pass."""

import jax
import jax.numpy as jnp
import pytest
import torch

from torch_bridge import wrap

N = 16


def image_loss(u, phase, target):
    """A 4f system: what has to be carried are two transforms, a sine and a cosine."""
    v = jnp.fft.ifft2(jnp.fft.fft2(u) * jax.lax.complex(jnp.cos(phase), jnp.sin(phase)))
    return jnp.mean((jnp.real(v) ** 2 + jnp.imag(v) ** 2 - target) ** 2)


def test_same_gradient_in_every_way():
    u = torch.randn(N, N, dtype=torch.complex64, requires_grad=True)
    phase = torch.randn(N, N, requires_grad=True)
    grads = [
        torch.autograd.grad(wrap(image_loss, residuals=way)(u, phase, torch.ones(N, N)), [u, phase])
        for way in ("auto", "save", "recompute")
    ]
    for found in grads[1:]:
        torch.testing.assert_close(found, grads[0], rtol=1e-5, atol=1e-7)


def test_an_input_that_is_needed_only_to_make_a_residual_again():
    def f(a, b):
        return jnp.sum(jnp.sin(a * b + 1) * jax.lax.stop_gradient(2 * b))

    a, b = torch.ones(4, requires_grad=True), torch.full((4,), 0.5)
    (grad,) = torch.autograd.grad(wrap(f, residuals="save")(a, b), [a])
    torch.testing.assert_close(grad, torch.cos(a * b + 1) * b * 2 * b)


@pytest.mark.parametrize("keep", [jnp.round, jax.lax.stop_gradient], ids=["round", "stop"])
def test_a_residual_that_repeats_what_is_no_residual(keep):
    @jax.custom_vjp
    def sine(x):
        return jnp.sin(x)

    sine.defvjp(lambda x: (jnp.sin(x), jnp.exp(x)), lambda residual, g: (g * residual,))
    x = torch.linspace(-1, 1, 5).requires_grad_()
    (grad,) = torch.autograd.grad(wrap(lambda x: keep(jnp.exp(x)) + sine(x))(x).sum(), x)
    torch.testing.assert_close(grad, torch.exp(x.detach()))


def test_constants_are_found_without_running_the_function():
    seen, weights = [], jnp.arange(5.0)

    def weighted(x):
        jax.debug.callback(lambda v: seen.append(v.tolist()), x[0])
        return x * jnp.exp(weights)

    x = torch.full((5,), 2.0, requires_grad=True)
    (grad,) = torch.autograd.grad(wrap(weighted)(x).sum(), x)
    jax.effects_barrier()
    torch.testing.assert_close(grad, torch.exp(torch.arange(5.0)))
    assert seen == [2.0]
