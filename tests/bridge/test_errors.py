"""What the bridge refuses, word by word."""

import enum
import os
import re
import warnings

import jax
import jax.numpy as jnp
import pytest
import torch

from torch_bridge import _convert, _dlpack, _guard, _private, wrap, wrap_torch


def system(x, *rest, params=None, mode="sum"):
    return jnp.sum(x)


bridge = wrap(system, x64="error")


def raises(kind, text):
    return pytest.raises(kind, match=f"^{re.escape(text)}$")


def test_jax_array():
    with raises(
        TypeError,
        "system: argument 'x' is a jax.Array; call `system.jax_fn` inside JAX, or "
        "`torch_bridge.to_torch(x)`.",
    ):
        bridge(jnp.ones(3))


def test_tracer():
    with pytest.raises(TypeError, match=r"argument 'params\['w'\]\[0\]' is a jax.Array; call"):
        jax.jit(lambda a: bridge(torch.ones(2), params={"w": [a]}))(jnp.ones(3))


def test_variadic_argument_is_named():
    with pytest.raises(TypeError, match=r"argument 'rest\[1\]' is a jax.Array"):
        bridge(torch.ones(2), 1.0, jnp.ones(3))


@pytest.mark.parametrize(
    ("dtype", "computed"), [(torch.float64, "float32"), (torch.complex128, "complex64")]
)
def test_wide_floats(dtype, computed):
    with raises(
        TypeError,
        f"system: argument 'x' is {str(dtype)[6:]} but JAX would silently compute in {computed}; "
        'use x64="auto", x64="cast" or jax_enable_x64.',
    ):
        bridge(torch.ones(3, dtype=dtype))


@pytest.mark.parametrize("value", [2**40 + 5, -(2**31) - 1])
def test_int64_out_of_range(value):
    with raises(
        OverflowError,
        f"system: argument 'x' holds {value}, which does not fit into int32, JAX's integer "
        "while jax_enable_x64 is off. Use jax.config.update('jax_enable_x64', True).",
    ):
        bridge(torch.tensor([1, value]))


def test_uint64_out_of_range():
    with pytest.raises(OverflowError, match="holds 4294967296, which does not fit into uint32"):
        bridge(torch.tensor([1, 2**32], dtype=torch.uint64))


def test_python_int_out_of_range():
    with pytest.raises(OverflowError, match=r"argument 'params\['n'\]' holds 2147483648, which"):
        bridge(torch.ones(2), params={"n": 2**31})


UNSUPPORTED = {
    "sparse": (
        lambda: torch.eye(3).to_sparse(),
        "sparse (torch.sparse_coo), which JAX does not have; call .to_dense() first.",
    ),
    "quantized": (
        lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        "quantized (torch.qint8), which JAX does not have; call .dequantize() first.",
    ),
    "complex32": (
        lambda: torch.ones(3, dtype=torch.complex32),
        "torch.complex32, which JAX does not have; convert it to a dtype that JAX has, such as "
        "torch.complex64.",
    ),
    "meta": (
        lambda: torch.ones(3, device="meta"),
        "a meta tensor without values, which JAX does not have; materialize it on a device first.",
    ),
    "meta long": (
        lambda: torch.ones(3, device="meta", dtype=torch.int64),
        "a meta tensor without values, which JAX does not have; materialize it on a device first.",
    ),
    "nested": (
        lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        "nested, which JAX does not have; pad it with torch.nested.to_padded_tensor.",
    ),
}


@pytest.mark.parametrize("name", UNSUPPORTED, ids=lambda name: name.replace(" ", "-"))
def test_unsupported_tensors(name):
    make, text = UNSUPPORTED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own: prototype and deprecated layouts
        t = make()
    with raises(TypeError, f"system: argument 'x' is {text}"):
        bridge(t)


def test_fake_tensor():
    with (
        torch._subclasses.FakeTensorMode(),
        raises(
            TypeError,
            "system: argument 'x' is a FakeTensor, which has no values. Call the bridge on real "
            "tensors, or under torch.compile or torch.export.",
        ),
    ):
        bridge(torch.ones(3))


def test_unknown_object():
    with raises(
        TypeError,
        "system: argument 'params' is a object, which is neither a tensor, a number, nor a bool, "
        "str or enum. Name it in static_argnames if it is a choice.",
    ):
        bridge(torch.ones(2), params=object())


def test_mixed_devices():
    with raises(
        ValueError,
        "system: all tensors must be on one device, got x -> cpu, rest[0] -> cuda:1.",
    ):
        _convert.check_devices("system", ["x", "rest[0]"], [torch.ones(2), FakeCuda()])


class FakeCuda:
    """What check_devices sees of a CUDA tensor; CUDA itself is not run here."""

    device = torch.device("cuda:1")
    is_cpu = False


def test_cuda_tensor_without_jax_gpu(monkeypatch):
    monkeypatch.setattr(_guard, "has_jax_gpu", lambda: False)
    with raises(
        RuntimeError,
        "system: the tensors are on cuda:1, but this JAX has only the backend 'cpu'. Install JAX "
        "with CUDA support (jax[cuda12]), check that its cuDNN was not replaced by an older one "
        "that torch loaded first, or move the tensors to the CPU.",
    ):
        _convert.check_devices("system", ["x"], [FakeCuda()])


def test_foreign_device():
    class Other:
        device = torch.device("xpu:0")

    with raises(
        RuntimeError,
        "system: tensors on 'xpu:0' cannot be shared with JAX. Move them to the CPU or to CUDA.",
    ):
        _convert.check_devices("system", ["x"], [Other()])


def test_cuda_graph_capture(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with raises(
        RuntimeError,
        "system: a CUDA graph is being captured, and XLA's kernels would not be part of it. Call "
        "the bridge outside torch.cuda.graph, or use torch.compile without CUDA graphs.",
    ):
        _guard.check_capture("system")
    with pytest.raises(RuntimeError, match="a CUDA graph is being captured"):
        _dlpack._import_cuda(torch.ones(2))  # what every CUDA tensor goes through


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_jit_trace():
    with raises(
        RuntimeError,
        "system: torch.jit.trace would freeze the values of this call into the graph. Use "
        "torch.compile or torch.export instead.",
    ):
        torch.jit.trace(bridge.__call__, (torch.ones(3),), check_trace=False)


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")
def test_forked_child():
    # Without the check the child would hang in JAX.
    saved = wrap(system, residuals="save")  # of a loss its gradient is there already
    out = saved(torch.ones(3, requires_grad=True))
    bridge.warmup(torch.ones(3))
    (handle,) = bridge.pinned
    calls = [
        lambda: bridge(torch.ones(3)),
        out.backward,
        lambda: torch.ops.torch_bridge.call(handle, [torch.ones(3)]),
    ]
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        texts = []
        for call in calls:
            try:
                texts.append(f"no error: {call()}")
            except RuntimeError as error:
                texts.append(str(error))
        os.write(write, "\n".join(texts).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 4000).decode().splitlines() == 3 * [
        "system: this process was forked after JAX had started, and JAX would hang here. Start "
        "workers with the 'spawn' or 'forkserver' method "
        "(DataLoader(..., multiprocessing_context='spawn'))."
    ]


def test_call_inside_a_callback():
    outer = wrap_torch(lambda x: bridge(x), lambda x: jax.ShapeDtypeStruct((), x.dtype))
    with pytest.raises(Exception, match=r"called inside a wrap_torch callback.*can deadlock"):
        outer(jnp.ones(3)).block_until_ready()


def test_unhashable_static():
    chosen = wrap(system, static_argnames="mode")
    with raises(
        TypeError,
        "system: static argument 'mode' must be hashable, got a list. Pass a tuple, or a frozen "
        "dataclass.",
    ):
        chosen(torch.ones(2), mode=[1])


def test_unknown_static():
    with raises(
        ValueError,
        "wrap: ['mod'] in static_argnames are no arguments of system, which has ['x', 'params', "
        "'mode'].",
    ):
        wrap(system, static_argnames="mod")
    with raises(
        ValueError,
        "wrap: [2] in static_argnums are beyond the 2 positional arguments of <lambda>.",
    ):
        wrap(lambda x, n: x, static_argnums=2)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (
            {"residuals": "keep"},
            "wrap: `residuals` must be one of auto, save, recompute, got 'keep'.",
        ),
        ({"x64": "on"}, "wrap: `x64` must be one of auto, error, cast, got 'on'."),
        ({"cache_size": 0}, "wrap: `cache_size` must be at least 1, got 0."),
    ],
)
def test_unknown_option(option, text):
    with raises(ValueError, text):
        wrap(system, **option)


@pytest.mark.parametrize("residuals", ["auto", "save", "recompute"])
def test_check_finite(residuals):
    checked = wrap(
        lambda x: jnp.sum(jnp.sqrt(x)), check_finite=True, name="roots", residuals=residuals
    )
    hint = "Call it without check_finite, or under jax.debug_nans(True), to find the operation."
    with raises(FloatingPointError, f"roots: output 0 is not finite. {hint}"):
        checked(torch.tensor([1.0, -1.0]))
    zero = torch.tensor([1.0, 0.0], requires_grad=True)
    with raises(FloatingPointError, f"roots: gradient 0 is not finite. {hint}"):
        checked(zero).backward()


def test_integer_requires_grad_is_refused_by_torch():
    with pytest.raises(RuntimeError, match=r"[Oo]nly Tensors of floating point"):
        torch.ones(2, dtype=torch.int32, requires_grad=True)


def test_result_without_torch_dtype():
    with raises(
        TypeError,
        "key: result 0 has dtype key<fry>, which torch does not have. Return "
        "jax.random.key_data(key) for a random key, and convert other types with .astype.",
    ):
        wrap(lambda x: jax.random.key(0), name="key")(torch.ones(2))


def test_errors_of_the_function_itself_come_through():
    def broken(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        wrap(broken)(torch.ones(2))


def test_preallocation_warning(monkeypatch):
    # The GPU itself is faked: not run here.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(_private, "jax_has_started", lambda: False)
    monkeypatch.setattr(_guard, "has_jax_gpu_plugin", lambda: True)
    for name in ("XLA_PYTHON_CLIENT_PREALLOCATE", "XLA_CLIENT_MEM_FRACTION"):
        monkeypatch.delenv(name, raising=False)
    with pytest.warns(UserWarning, match="JAX reserves 75 % of the GPU's memory"):
        _guard.warn_preallocation()
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    _guard.warn_preallocation()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA: not run here")
def test_cuda_round_trip():
    x = torch.randn(64, device="cuda", dtype=torch.complex64, requires_grad=True)
    out = wrap(lambda z: jnp.sum(jnp.abs(z) ** 2))(x)
    out.backward()
    torch.testing.assert_close(x.grad, 2 * x.detach())


class Mode(enum.Enum):
    A = 1


def test_enum_is_accepted():
    assert wrap(lambda x, m: x * m.value)(torch.ones(2), Mode.A).sum() == 2


def test_inside_a_jax_trace():
    bridge = wrap(lambda x: x * jnp.exp(jnp.arange(3.0)))
    x = torch.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="called while JAX traces a program around it"):
        jax.jit(lambda a: a + bridge(x).sum().item())(1.0)
    with pytest.raises(RuntimeError, match="or closes over a tracer"):
        jax.jit(lambda a: wrap(lambda x: x * a)(x).sum().item())(1.0)
    bridge(x).sum().backward()  # nothing of the trace is left behind
    torch.testing.assert_close(x.grad, torch.exp(torch.arange(3.0)))


def test_without_jit():
    with (
        jax.disable_jit(),
        pytest.raises(RuntimeError, match=r"^system: jax\.disable_jit is on, and only compiled"),
    ):
        bridge(torch.ones(2))


# What a newcomer types first: a number where JAX needs a constant.
NEEDED = {
    "axis": (lambda x, axis: x.sum(axis), (1,), "'axis'", "static_argnames='axis'"),
    "shape": (
        lambda x, rows, cols: x.reshape(rows, cols),
        (3, 2),
        "'rows' and 'cols'",
        "static_argnames=('rows', 'cols')",
    ),
    "if": (lambda x, n: x if n > 1 else -x, (3,), "'n'", "static_argnames='n'"),
    "jitted": (
        jax.jit(lambda x, n: x.reshape(n, -1), static_argnames="n"),
        (3,),
        "'n'",
        "static_argnames='n'",
    ),
    "variadic": (lambda x, *rest: x.sum(rest[1]), (2.0, 1), "'rest[1]'", "static_argnums=(2,)"),
    "in a tree": (
        lambda p: p["x"].sum(p["axis"]),
        (),
        "'p'",
        "as an argument of its own, in static_argnames",
    ),
}


@pytest.mark.parametrize("case", NEEDED)
def test_a_number_that_must_be_static(case):
    fn, numbers, names, remedy = NEEDED[case]
    first = {"x": torch.ones(2, 3), "axis": 1} if case == "in a tree" else torch.ones(2, 3)
    with pytest.raises(TypeError) as error:
        wrap(fn, name="f")(first, *numbers)
    text = str(error.value)
    assert text.startswith(f"f: a value in {names} is needed while") and remedy in text
    assert "Tracer" not in text and "jaxpr" not in text.lower() and error.value.__cause__ is None


def test_a_tensor_that_has_no_value_yet():
    with pytest.raises(jax.errors.TracerBoolConversionError) as error:
        wrap(lambda x: x if x.sum() > 0 else -x, name="f")(torch.ones(2))
    note = error.value.__notes__[-1]  # JAX has one of its own
    assert note.startswith("f: tensors ('x') have no values") and "jnp.where" in note


def test_torch_inside_the_function():
    with pytest.raises(TypeError) as error:
        wrap(lambda x: torch.sin(x), name="f")(torch.ones(2))
    assert "arguments are JAX arrays" in error.value.__notes__[-1]


def test_modules_and_methods():
    class Net(torch.nn.Module):
        @wrap
        def scale(self, x):
            return x

    with pytest.raises(TypeError, match=r"'self' is a Net, whose parameters.*static_argnums=0"):
        Net().scale(torch.ones(2))
    with pytest.raises(TypeError, match="static argument 'x' is a Tensor, whose values may change"):
        wrap(lambda x: x, static_argnames="x")(torch.ones(2))


def test_what_is_no_nnx_module():
    nnx, linen = pytest.importorskip("flax.nnx"), pytest.importorskip("flax.linen")
    from torch_bridge import JaxModule

    with pytest.raises(TypeError, match=r"got a Dense of flax.linen.*nnx.bridge.ToNNX"):
        JaxModule(linen.Dense(3))
    with pytest.raises(TypeError, match="got a Linear, which is a torch module already"):
        JaxModule(torch.nn.Linear(2, 2))
    with pytest.raises(TypeError, match="got the class Linear: make one"):
        JaxModule(nnx.Linear)


def test_without_flax(monkeypatch):
    import importlib.util

    import torch_bridge

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    names: dict = {}
    exec("from torch_bridge import *", names)
    assert hasattr(torch_bridge, "JaxModule") and "JaxModule" in dir(torch_bridge)
    with pytest.raises(ImportError, match="needs flax, which is not installed: pip install flax"):
        names["JaxModule"](None)
