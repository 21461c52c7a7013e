"""Elements of jaxwave of every kind as torch operations, in float64.

tests/test_transforms.py holds their gradients against finite differences; here torch's gradients
are held against those, and a few second derivatives against finite differences.
"""

import jax
import numpy as np
import pytest
import torch
from test_transforms import TABLE, smooth

import torch_bridge

SHAPE = (4, 5)
KINDS = [
    *("plane_wave", "angular_spectrum", "ff_lens", "phase_mask", "circular_aperture"),
    *("zernike_opd", "convolve_psf", "nmse"),
]
TWICE = ["phase_mask", "nmse"]


def loss(name: str, shape: tuple[int, int]):
    """A real number in which every sample of a row counts differently."""
    return lambda p: smooth(jax.tree.leaves(TABLE[name].call(p, shape)), name, 0.3)


def tensors(name: str) -> dict[str, torch.Tensor]:
    values = {k: v(SHAPE) if callable(v) else np.asarray(v) for k, v in TABLE[name].numbers.items()}
    return {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in values.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_gradients_equal_jax(name):
    inputs = tensors(name)
    found = torch_bridge.wrap(loss(name, SHAPE))(inputs)
    grads = torch.autograd.grad(found, list(inputs.values()))
    with jax.enable_x64(True):
        arrays = {k: x.detach().numpy() for k, x in inputs.items()}
        value, expected = jax.jit(jax.value_and_grad(loss(name, SHAPE)))(arrays)
        expected = [torch.tensor(np.asarray(expected[k])) for k in inputs]
    torch.testing.assert_close(found.item(), float(value), rtol=1e-12, atol=0)
    torch.testing.assert_close(list(grads), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", TWICE)
def test_gradgradcheck(name):
    inputs = tensors(name)
    bridged = torch_bridge.wrap(loss(name, SHAPE))

    def call(*values: torch.Tensor) -> torch.Tensor:
        return bridged(dict(zip(inputs, values, strict=True)))

    values = tuple(inputs.values())
    assert torch.autograd.gradgradcheck(call, values, fast_mode=True, rtol=1e-3, atol=1e-4)
