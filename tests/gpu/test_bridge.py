"""Torch and JAX on one GPU: the bridge's features, its streams, its memory."""

import gc
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("torch has no GPU", allow_module_level=True)
pytest.importorskip("flax")

from bridge.features import FEATURES  # noqa: E402
from bridge.test_matrix import EXCEPTIONS, MODES, NEED_PATH, NOTES, loss  # noqa: E402

import jaxwave as jw  # noqa: E402
from torch_bridge import to_jax, to_torch, wrap, wrap_torch  # noqa: E402


@pytest.fixture(autouse=True)
def _fresh():
    torch.manual_seed(0)
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def moved(feature):
    module = getattr(feature.call, "module", None)
    if module is not None:
        module.cuda()
    return feature._replace(inputs=tuple(x.cuda() for x in feature.inputs))


def cells():
    """Inductor compiles for minutes: three features stand for the others."""
    for feature, mode in itertools.product(FEATURES, MODES):
        few = feature in ("complex", "Python numbers", "float64, complex128")
        if mode not in NEED_PATH and (few or mode != "inductor"):
            yield feature, mode


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("feature", "mode"), list(cells()))
def test_cell(feature, mode):
    note = EXCEPTIONS.get((feature, mode))
    if note is None:
        MODES[mode](moved(FEATURES[feature]()))
    else:
        with pytest.raises(Exception, match=NOTES[note]):
            MODES[mode](moved(FEATURES[feature]()))


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_an_exported_program(tmp_path):
    feature = moved(FEATURES["complex"]())
    MODES["export, save, load"](feature, str(tmp_path / "file.pt2"))


def test_results_and_gradients_stay_on_the_gpu():
    z = torch.randn(65, 70, dtype=torch.complex64, device="cuda", requires_grad=True)
    out = wrap(lambda z: jnp.fft.fft2(z) * jnp.conj(z))(z)
    assert out.device == z.device
    (slope,) = torch.autograd.grad(loss(out), z)
    expected = torch.autograd.grad(loss(torch.fft.fft2(z) * z.conj()), z)[0]
    assert slope.device == z.device
    assert (slope - expected).norm() < 1e-5 * expected.norm()


def slow(x):
    """A millisecond and more of matrix products."""
    return jax.lax.fori_loop(0, 30, lambda _, y: jnp.tanh(x @ y), x)


def square(scale):
    return scale * torch.randn(1024, 1024, device="cuda") / 40


@pytest.mark.parametrize("side", [False, True])
def test_streams_are_ordered(side):
    """Torch writes an input before and after JAX reads it, on whatever stream, without a wait."""
    bridge = wrap(lambda x: slow(x))
    inputs = [square(1 + k / 10) for k in range(10)]
    need = []
    for x in inputs:
        need.append(bridge(x))
        torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream() if side else torch.cuda.current_stream()):
        x = torch.zeros_like(inputs[0])
        for k, wanted in enumerate(need):
            busy = inputs[k]
            for _ in range(30):  # the input is not ready when the bridge is called
                busy = torch.tanh(busy @ inputs[k])
            x.copy_(inputs[k] + 0 * busy)
            got = bridge(x)
            x.zero_()  # JAX may not see it
            assert torch.equal(got, wanted)


def test_torch_reads_what_jax_is_still_computing():
    bridge = wrap(lambda x: slow(x), name="slow")
    x = square(1.0)
    need = 2 * bridge(x)
    torch.cuda.synchronize()
    for _ in range(10):
        total = bridge(x)
        total.mul_(2)  # torch may write into a result
        assert torch.equal(total, need)


def test_zero_copy_both_ways():
    x = torch.arange(24, dtype=torch.float32, device="cuda").reshape(4, 6)
    a = to_jax(x, share=True)
    assert a.unsafe_buffer_pointer() == x.data_ptr()
    back = to_torch(a, share=True)
    assert back.data_ptr() == x.data_ptr() and torch.equal(back, x)
    copy = to_jax(x)
    assert copy.unsafe_buffer_pointer() != x.data_ptr()
    assert np.array_equal(copy, x.cpu())


def test_layouts():
    z = torch.randn(6, 5, 4, dtype=torch.complex64, device="cuda")
    bridge = wrap(lambda z: z * (2 + 1j))
    for view in (z, z.mT, z[::2, 1:], z.flip(0), z.conj(), z.conj().imag, z[:0], z[0, 0, 0]):
        torch.testing.assert_close(bridge(view), view * (2 + 1j))


def test_memory_is_flat():
    bridge = wrap(lambda x: jnp.sum(jnp.sin(x) ** 2))
    x = torch.randn(512, 512, device="cuda", requires_grad=True)

    def run(calls):
        for _ in range(calls):
            x.grad = None
            bridge(x).backward()
        torch.cuda.synchronize()
        gc.collect()
        stats = jax.devices()[0].memory_stats() or {}
        return torch.cuda.memory_allocated(), stats.get("bytes_in_use", 0)

    before = run(50)
    after = run(500)
    assert after[0] <= before[0] and after[1] <= before[1] + 2**20


def test_devices_that_differ_are_told():
    bridge = wrap(lambda x, y: x + y, name="both")
    with pytest.raises(ValueError, match="one device"):
        bridge(torch.ones(3), torch.ones(3, device="cuda"))


def test_the_cpu_still_works_beside_the_gpu():
    x = torch.linspace(0, 1, 5, requires_grad=True)
    y = wrap(lambda x: jnp.sin(x))(x)
    assert y.device.type == "cpu"
    torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0], x.cos())


@pytest.mark.filterwarnings("ignore:The CUDA Graph is empty")
def test_a_graph_capture_is_refused():
    bridge = wrap(lambda x: x * 2, name="captured")
    x = torch.ones(3, device="cuda")
    bridge(x)
    with pytest.raises(RuntimeError, match="CUDA graph"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        bridge(x)


def test_torch_inside_jax():
    inside = wrap_torch(lambda x: torch.sin(x) * 2, jax.ShapeDtypeStruct((7,), jnp.float32))
    x = jnp.linspace(0.0, 1.0, 7)
    value, slope = jax.jit(jax.value_and_grad(lambda x: jnp.sum(inside(x))))(x)
    np.testing.assert_allclose(value, 2 * np.sin(np.asarray(x)).sum(), rtol=1e-6)
    np.testing.assert_allclose(slope, 2 * np.cos(np.asarray(x)), rtol=1e-6)


def test_full_precision():
    """No product is rounded to the ten bits of TensorFloat: a lens by matrices, through torch."""

    def image(phase):
        light = jw.plane_wave((96, 90), spacing=50.0, wavelength=0.6)
        return jw.ff_lens(jw.phase_mask(light, phase), 1e5, spacing=3, shape=(64, 66)).intensity

    phase = torch.randn(96, 90, dtype=torch.float64)
    exact = wrap(image, x64="auto", name="exact")(phase)
    got = wrap(image, name="single")(phase.float().cuda()).cpu().double()
    assert ((got - exact).norm() / exact.norm()).item() < 1e-5
