"""Warns when the installed compiler is known to be wrong, without starting it."""

from __future__ import annotations

import os

import jax
import jaxlib

from jaxwave import _check

# pyproject.toml excludes the same releases; tests/test_environment.py holds the canaries.
BAD_JAXLIB = {
    "0.10.2": "silently computes wrong weighted sums (jax issue 39103)",
    "0.11.0": "crashes in weighted sums over many axes (jax issue 39257)",
}
CURE = "--xla_cpu_experimental_ynn_fusion_type="


def check_jaxlib(version: str = jaxlib.__version__) -> None:
    """Warns of a bad release, unless CPUs are excluded or the compiler flag that cures it is set.

    Only settings are read: to ask for the devices would start the backend.
    """
    platforms = jax.config.jax_platforms
    if platforms and "cpu" not in platforms.split(","):
        return
    if version in BAD_JAXLIB and CURE not in os.environ.get("XLA_FLAGS", "").split():
        _check.warn(
            "jaxwave",
            f"jaxlib {version} {BAD_JAXLIB[version]} on CPUs. Install another release, or set the "
            f"environment variable XLA_FLAGS={CURE} before the start.",
        )
