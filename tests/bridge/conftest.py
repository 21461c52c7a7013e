"""torch's own deprecation warnings are got over with before warnings count as errors."""

import warnings

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_quiet_torch_thread():
    # Two OpenMP threads on a busy machine cost more than they bring. torch 2.13 scripts its
    # forward-mode decompositions on first use, with a DeprecationWarning.
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.autograd.forward_ad._maybe_load_decompositions()


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)
