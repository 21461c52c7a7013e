"""Tests for a machine with a GPU that JAX drives; elsewhere one line says that they were skipped.

JAX and torch share the memory here: set ``XLA_PYTHON_CLIENT_PREALLOCATE=false`` before.
"""

import importlib.util

import jax
import pytest

PLUGINS = ("jax_cuda13_plugin", "jax_cuda12_plugin", "jax_rocm7_plugin")


def pytest_ignore_collect(collection_path):
    """Without a plug-in only the file that says so: hundreds of skipped tests say no more."""
    if collection_path.name.startswith("test_") and collection_path.name != "test_present.py":
        return None if any(map(importlib.util.find_spec, PLUGINS)) else True
    return None


@pytest.fixture(autouse=True)
def _on_the_gpu():
    if jax.default_backend() != "gpu":
        pytest.skip(f"JAX computes on {jax.default_backend()} here")
