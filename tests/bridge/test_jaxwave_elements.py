"""Every public element of jaxwave as a torch operation: gradcheck in float64.

The table of tests/test_transforms.py says what the elements are; a new row is tested here too.
"""

import numpy as np
import pytest
import torch
from test_transforms import TABLE, loss

import torch_bridge

SHAPE = (4, 5)
# Second derivatives cost twice; a few elements of every kind stand for the rest.
TWICE = ["angular_spectrum", "ff_lens", "phase_mask", "circular_aperture", "zernike_opd", "nmse"]


def tensors(name: str) -> dict[str, torch.Tensor]:
    values = {k: v(SHAPE) if callable(v) else np.asarray(v) for k, v in TABLE[name].numbers.items()}
    return {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in values.items()}


def operation(name: str):
    inputs = tensors(name)
    bridged = torch_bridge.wrap(loss(name, SHAPE))
    names = list(inputs)

    def call(*values: torch.Tensor) -> torch.Tensor:
        return bridged(dict(zip(names, values, strict=True)))

    return call, tuple(inputs.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLE)
def test_gradcheck(name):
    call, inputs = operation(name)
    # fast_mode projects on random directions; 1e-5 of central differences with a step of 1e-6
    assert torch.autograd.gradcheck(call, inputs, fast_mode=True, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", TWICE)
def test_gradgradcheck(name):
    call, inputs = operation(name)
    assert torch.autograd.gradgradcheck(call, inputs, fast_mode=True, rtol=1e-3, atol=1e-4)
