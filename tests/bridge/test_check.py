"""``check`` passes what is right and names what is wrong."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
import torch

from torch_bridge import check, wrap


def test_a_right_function():
    report = check(
        lambda p, s, flag: jnp.fft.fft(p["z"] * s) * p["x"],
        {"z": torch.randn(2, dtype=torch.complex64), "x": torch.randn(2)},
        2.0,
        True,
    )
    assert report == dict.fromkeys(
        ["reverse mode", "forward mode", "second derivatives", "vmap", "compile"], "ok"
    )


def wrong_gradient():
    @jax.custom_vjp
    def f(x):
        return x**2

    f.defvjp(lambda x: (x**2, x), lambda x, g: (3 * x * g,))
    return f


def test_a_wrong_gradient_is_found():
    with pytest.raises(RuntimeError, match="f failed:\n  reverse mode: GradcheckError") as error:
        check(wrong_gradient(), torch.ones(2))
    assert "vmap" not in str(error.value)


def test_jax_only_containers():
    @jax.tree_util.register_dataclass
    @dataclasses.dataclass
    class Field:
        u: object

    report = check(lambda f: Field(f.u**2), Field(torch.ones(2)))
    assert report["compile"].startswith("skipped: torch.compile cannot look into")
    assert report["reverse mode"] == "ok"


def test_nothing_to_differentiate():
    report = check(wrap(lambda i: i + 1), torch.arange(3))
    assert report["reverse mode"].startswith("skipped") and report["compile"] == "ok"
