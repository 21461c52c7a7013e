"""A 4f microscope with a phase mask, beside the same microscope written in torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from torch_bridge import wrap


def pupil(size):
    fx = np.fft.fftfreq(size)
    return (fx[:, None] ** 2 + fx[None] ** 2 < 0.2**2).astype(np.float32)


def ours(u, phase, aperture):
    mask = jax.lax.complex(jnp.cos(phase), jnp.sin(phase)) * aperture
    v = jnp.fft.ifft2(jnp.fft.fft2(u) * mask)
    return jnp.real(v) ** 2 + jnp.imag(v) ** 2


def theirs(u, phase, aperture):
    mask = torch.complex(torch.cos(phase), torch.sin(phase)) * aperture
    v = torch.fft.ifft2(torch.fft.fft2(u) * mask)
    return v.real**2 + v.imag**2


def distance(a, b):
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.complex64, 1e-5), (torch.complex128, 1e-12)], ids=str
)
@pytest.mark.parametrize("size", [15, 64])
@pytest.mark.parametrize("residuals", ["save", "recompute"])
def test_image_and_gradients_equal_torch(size, dtype, tolerance, residuals):
    real = torch.float32 if dtype is torch.complex64 else torch.float64
    u = torch.randn(2, size, size, dtype=dtype, requires_grad=True)
    phase = torch.randn(size, size, dtype=real, requires_grad=True)
    aperture = torch.from_numpy(pupil(size)).to(real)
    weights = torch.randn(2, size, size, dtype=real)
    bridge = wrap(ours, residuals=residuals)
    results = []
    for fn in (bridge, theirs):
        image = fn(u, phase, aperture)
        results.append((image, *torch.autograd.grad((image * weights).sum(), [u, phase])))
    assert results[0][0].dtype is real
    for result, expected in zip(*results, strict=True):
        assert distance(result, expected) < tolerance


@pytest.mark.slow
def test_large_field_equals_torch():
    # 2048x2048 complex64, where torch 2.13 with two threads zeroes its inverse FFT: one thread.
    assert torch.get_num_threads() == 1
    size = 2048
    u = torch.randn(size, size, dtype=torch.complex64, requires_grad=True)
    phase = torch.randn(size, size)
    aperture = torch.from_numpy(pupil(size))
    grads = []
    for fn in (wrap(ours), theirs):
        image = fn(u, phase, aperture)
        grads.append((image.detach(), *torch.autograd.grad(image.mean(), u)))
    for result, expected in zip(*grads, strict=True):
        assert expected.norm() > 0 and distance(result, expected) < 1e-5


def test_network_and_mask_learn_together():
    torch.manual_seed(0)
    size = 16
    aperture = torch.from_numpy(pupil(size))
    microscope = wrap(ours)
    objects = torch.rand(4, size, size)
    phase = torch.nn.Parameter(0.1 * torch.randn(size, size))
    network = torch.nn.Conv2d(1, 1, 3, padding=1)
    optimizer = torch.optim.Adam([phase, *network.parameters()], lr=0.02)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        images = microscope(objects.to(torch.complex64), phase, aperture)
        loss = ((network(images[:, None])[:, 0] - objects) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert phase.grad.abs().sum() > 0
