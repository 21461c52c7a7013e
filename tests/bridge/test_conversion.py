"""Every kind of tensor crosses with its values, without a copy where there need be none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from torch_bridge import _dlpack, _private, wrap

identity = wrap(lambda x: x, x64="auto")

FLOAT8 = [
    *(torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz)
]  # torch 2.6 refuses them from DLPack
DTYPES = [
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64),
    torch.complex128,
    *(FLOAT8 if _private.RELEASE > (2, 6) else ()),
]


def plain(t):
    """float8 has no comparison in torch."""
    return t.float() if "float8" in str(t.dtype) else t


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(3, 4), (), (0, 2)], ids=str)
def test_dtypes_and_shapes(dtype, shape):
    t = (torch.randn(shape) * 3).abs().to(dtype)
    out = identity(t)
    assert out.dtype is dtype and out.shape == t.shape
    assert torch.equal(plain(out), plain(t))


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint64], ids=str)
def test_long_integers(dtype):
    t = torch.tensor([1, 2, 3], dtype=dtype)
    narrow = {torch.int64: torch.int32, torch.uint64: torch.uint32}[dtype]
    assert identity(t).dtype is narrow
    with jax.enable_x64(True):
        assert identity(t).dtype is dtype


BASE = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
FIELD = torch.randn(3, 4, dtype=torch.complex64)
LAYOUTS = {
    "transposed": BASE.mT,
    "permuted": BASE.permute(2, 0, 1),
    "strided": BASE[:, ::2, 1::2],
    "expanded": torch.ones(3, 1).expand(3, 4),
    "stride 0": torch.tensor(2.0).expand(5),
    "diagonal": BASE[0].diagonal(),
    "unfolded": torch.arange(10.0).unfold(0, 4, 1),
    "offset row": BASE[1, 1],
    "misaligned": torch.arange(9.0)[1:],
    "real part": FIELD.real,
    "imaginary part": FIELD.imag,
    "channels last": torch.randn(1, 3, 4, 5).to(memory_format=torch.channels_last),
    "conjugate bit": FIELD.conj(),
    "negative bit": FIELD.conj().imag,
    "negative bit, compact": torch.tensor(1 + 2j).conj().imag,
    "conjugate of a transpose": FIELD.mH,
    "inference tensor": torch.inference_mode()(lambda: torch.ones(3))(),
    "zero tensor": torch._efficientzerotensor((3,)),
    "parameter": torch.nn.Parameter(torch.arange(3.0)),
    "read-only numpy": torch.from_numpy(np.arange(3.0, dtype=np.float32)),
}


@pytest.mark.parametrize("name", LAYOUTS, ids=lambda name: name.replace(" ", "-"))
def test_layouts_and_lazy_bits(name):
    t = LAYOUTS[name]
    with torch.no_grad():
        assert torch.equal(identity(t), t.clone())


def test_the_negative_bit_is_not_lost():
    # DLPack does lose it: without resolve_neg, this is +2.
    t = torch.tensor(1 + 2j).conj().imag
    assert t.is_neg() and identity(t).item() == -2.0


def test_half_precision_keeps_lazy_bits_and_strides():
    t = torch.arange(6, dtype=torch.bfloat16).reshape(2, 3).mT
    assert torch.equal(identity(t), t)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64], ids=str)
def test_import_does_not_copy(dtype):
    t = torch.ones(16, dtype=dtype)
    view = _dlpack.import_tensor(t)
    assert view.__array_interface__["data"][0] == t.data_ptr()


def test_export_does_not_copy():
    a = jax.jit(lambda: jnp.arange(32.0))()
    assert _dlpack.export_array(a).data_ptr() == a.unsafe_buffer_pointer()


def test_the_public_exporter_agrees(monkeypatch):
    # What a future jax without the private call falls back to.
    monkeypatch.setattr(_dlpack, "_export", torch.from_dlpack)
    x = torch.randn(3, dtype=torch.complex64, requires_grad=True)
    wrap(lambda z: jnp.sum(jnp.abs(z) ** 2))(x).backward()
    torch.testing.assert_close(x.grad, 2 * x.detach())


def test_exporter_falls_back_if_the_private_call_is_gone(monkeypatch):
    monkeypatch.setattr(_private, "tensor_of", None)
    _dlpack._export_from.cache_clear()
    assert _dlpack._export_from(jax.devices()[0]) is torch.from_dlpack
    _dlpack._export_from.cache_clear()


def test_stride_0_cotangent():
    x = torch.randn(3, 4, requires_grad=True)
    wrap(lambda x: x * 2)(x).sum().backward()
    assert torch.equal(x.grad, torch.full((3, 4), 2.0))


def test_conjugate_and_transposed_cotangent():
    z = torch.randn(3, 4, dtype=torch.complex128, requires_grad=True)
    bridge = wrap(lambda z: z * (1 + 2j))
    bridge(z).mH.abs().pow(2).sum().backward()
    torch.testing.assert_close(z.grad, 10 * z.detach())


def test_numpy_arrays_and_numbers():
    bridge = wrap(lambda x, n: x * n)
    assert torch.equal(bridge(np.ones(2, np.float32), 3), torch.full((2,), 3.0))
    assert bridge(np.float32(2), 3).item() == 6


def test_tensor_subclass():
    class Mine(torch.Tensor):
        pass

    t = torch.ones(3).as_subclass(Mine)
    assert type(identity(t)) is torch.Tensor and torch.equal(identity(t), torch.ones(3))


def test_buffer_and_parameter_types():
    assert torch.equal(identity(torch.nn.Buffer(torch.ones(2))), torch.ones(2))


def test_canary_copy_true_does_not_copy_in_jax():
    # jax.dlpack.from_dlpack(copy=True) shares memory today. Once this fails, jax has fixed it, and
    # to_jax may use it.
    t = torch.ones(1024)
    a = jax.dlpack.from_dlpack(t, copy=True)
    assert a.unsafe_buffer_pointer() == t.data_ptr()


def test_canary_jit_outputs_own_their_memory():
    # The bridge hands outputs out writable because a jitted call returns fresh buffers.
    x = np.ones(1024, np.float32)
    constant = jnp.arange(8.0)
    a, b, c = jax.jit(lambda k, x: (x, x, k))(constant, x)
    pointers = {v.unsafe_buffer_pointer() for v in (a, b, c, constant)}
    assert len(pointers | {x.__array_interface__["data"][0]}) == 5


def test_numpy_numbers_do_not_change_the_precision():
    bridge = wrap(lambda x, n: x * n)
    for number in (np.float64(2), np.float32(2), np.int64(2)):
        for dtype in (torch.float16, torch.float32, torch.float64):
            assert bridge(torch.ones(2, dtype=dtype), number).dtype == dtype
    assert bridge.cache_info().misses == 6  # a float and an int for each of three dtypes
