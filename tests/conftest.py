"""Fixtures of all tests."""

import jax
import pytest


@pytest.fixture
def x64():
    """Double precision inside one test; restored afterwards."""
    with jax.enable_x64(True):
        yield
