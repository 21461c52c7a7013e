"""Data across the border: copies by default, views on request."""

import jax
import jax.numpy as jnp
import pytest
import torch

from torch_bridge import to_jax, to_torch


def test_copies_are_copies():
    t = torch.ones(1024)
    a = to_jax({"t": [t], "s": "text", "n": 3})
    t.zero_()
    assert a["t"][0].sum() == 1024 and a["s"] == "text" and a["n"] == 3
    b = to_torch(a)
    b["t"][0].zero_()
    assert a["t"][0].sum() == 1024


def test_views_share_memory():
    t = torch.ones(1024)
    a = to_jax(t, share=True)
    assert a.unsafe_buffer_pointer() == t.data_ptr()
    b = to_torch(a, share=True)
    assert b.data_ptr() == t.data_ptr()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: torch.ones(4, 4)[:, 1], "not contiguous"),
        (lambda: torch.ones(100)[1:], "not aligned to 64 bytes"),
        (lambda: torch.ones(16, dtype=torch.complex64).conj(), "lazily conjugated or negated"),
        (lambda: torch.tensor(1 + 2j).conj().imag, "lazily conjugated or negated"),
    ],
    ids=["strided", "misaligned", "conjugate", "negative"],
)
def test_what_cannot_be_shared(make, reason):
    t = make()
    with pytest.raises(ValueError, match=rf"^to_jax: '\['x'\]' is {reason}, so JAX cannot share"):
        to_jax({"x": t}, share=True)
    assert to_torch(to_jax({"x": t}))["x"].equal(t)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.bool, torch.complex64, torch.int8])
def test_round_trip(dtype):
    t = torch.tensor([[0, 1], [1, 1]]).to(dtype).mT
    assert torch.equal(to_torch(to_jax(t)), t)


def test_requires_grad_is_dropped():
    assert not to_torch(to_jax(torch.ones(2, requires_grad=True))).requires_grad


def test_64_bits():
    t = {"x": torch.tensor([1 + 1e-12], dtype=torch.float64)}
    text = r"to_jax: '\['x'\]' is float64 but JAX would silently make it 32 bits wide; use x64="
    with pytest.raises(TypeError, match=text):
        to_jax(t)
    assert to_jax(t, x64="auto")["x"].dtype == jnp.float64
    assert to_jax(t, x64="cast")["x"].dtype == jnp.float32
    with pytest.raises(OverflowError, match=r"to_jax: '\[0\]' holds 1099511627776"):
        to_jax([torch.tensor(2**40)], x64="cast")
    with jax.enable_x64(True):
        assert to_jax(t)["x"].item() == 1 + 1e-12


def test_refusals():
    with pytest.raises(TypeError, match=r"to_jax: argument 'tree' is sparse"):
        to_jax(torch.eye(2).to_sparse())
    with pytest.raises(TypeError, match="to_torch: 'tree' is a random key"):
        to_torch(jax.random.key(0))
    with pytest.raises(TypeError, match=r"to_torch: '\[0\]' is a tracer"):
        jax.jit(lambda x: to_torch([x]))(jnp.ones(2))
    with pytest.raises(TypeError, match="has dtype int4"):
        to_torch(jnp.ones(2, jnp.int4))
    with pytest.raises(ValueError, match="`x64` must be one of auto, error, cast"):
        to_jax(1, x64="on")
