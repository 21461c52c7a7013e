"""Private names of torch and JAX: all in one file, all there today, and what happens without."""

import pathlib
import re

import jax
import jax.numpy as jnp
import pytest
import torch

from torch_bridge import _dlpack, _private, to_jax, wrap, wrap_torch

FOLDER = pathlib.Path(_private.__file__).parent
SLOWER = [name for name, f in _private.FALLBACKS.items() if getattr(f, "__name__", "") != "refuse"]
SLOWER.remove("forward_level")  # tested below
REFUSED = ["add_batch", "remove_batch", "_enter", "_leave"]


def test_nothing_has_been_taken_away():
    _private.buffer_callback()
    assert not _private.LOST, f"this torch or JAX has lost {_private.LOST}: see _private.py"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda f: f.stem)
def test_private_names_are_in_one_file(file):
    if file.stem == "_private":
        return
    found = re.findall(
        r"\b(?:torch|jax)(?:\.\w+)*\._\w+|from (?:torch|jax)(?:\.\w+)*\._\w+", file.read_text()
    )
    assert not found


@pytest.mark.parametrize("name", SLOWER)
def test_the_bridge_does_without(name, monkeypatch):
    monkeypatch.setattr(_private, name, _private.FALLBACKS[name])
    monkeypatch.setattr(_dlpack, "_export", None)
    _dlpack._export_from.cache_clear()
    _dlpack._import_from.cache_clear()
    bridge = wrap(lambda x, y, s: jnp.sum(jnp.sin(x) * y**2) * s)
    x, y = torch.linspace(-1, 1, 3).requires_grad_(), torch.ones(3, requires_grad=True)
    value = bridge(x, y, 2.0)
    gx, gy = torch.autograd.grad(value, [x, y], create_graph=True)
    (gxy,) = torch.autograd.grad(gx.sum(), y)
    torch.testing.assert_close(gx, 2 * torch.cos(x) * y**2)
    torch.testing.assert_close(gy, 4 * torch.sin(x) * y)
    torch.testing.assert_close(gxy, 4 * torch.cos(x).detach())
    torch.testing.assert_close(torch.func.grad(bridge)(x, y, 2.0), gx)
    assert to_jax(torch.ones(2)).tolist() == [1, 1]


def test_forward_mode_without_the_level(monkeypatch):
    monkeypatch.delattr(_private._forward_ad, "_current_level")
    assert _private.in_forward_mode()
    x = torch.ones(3, requires_grad=True)
    wrap(jnp.sin)(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.cos(x.detach()))


@pytest.mark.parametrize("name", REFUSED)
def test_the_older_vmap_is_refused_in_words(name, monkeypatch):
    monkeypatch.setattr(_private, name, _private.FALLBACKS[name])
    x = torch.ones(2, requires_grad=True)
    out = wrap(jnp.sin)(x)
    with pytest.raises(RuntimeError, match="have lost a name that it needs"):
        torch.autograd.grad(out, [x], torch.eye(2), is_grads_batched=True)


def test_wrap_torch_without_the_callback(monkeypatch):
    refuse = _private._refusing("wrap_torch")
    monkeypatch.setattr(_private, "buffer_callback", lambda: refuse)
    with pytest.raises(RuntimeError, match="wrap_torch is not available with the installed"):
        wrap_torch(torch.sin, lambda x: x)(jax.numpy.ones(2))
