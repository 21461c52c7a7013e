"""torch.compile without graph breaks, torch.export, and the custom op behind them."""

import dataclasses
import gc
import re
import subprocess
import sys
import textwrap
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from torch_bridge import _compile, _plan, _private, wrap

EXPORTS = pytest.mark.skipif(_private.RELEASE < (2, 7), reason="this torch exports no names")


class Pair(NamedTuple):
    a: object
    b: object


def ours(p, s, flag):
    value = jnp.sin(p["x"]) * p["y"] * s
    return {"v": value, "n": Pair([jnp.sum(p["x"] ** 2)], "up" if flag else None)}


def theirs(p, s, flag):
    value = torch.sin(p["x"]) * p["y"] * s
    return {"v": value, "n": Pair([(p["x"] ** 2).sum()], "up" if flag else None)}


def loss_of(fn):
    def loss(x, y, s):
        out = fn({"x": x * 2, "y": y}, s, True)
        assert out["n"].b == "up"
        return out["v"].sum() * 2 + out["n"].a[0]

    return loss


BACKENDS = ["eager", "aot_eager", pytest.param("inductor", marks=pytest.mark.slow)]


@pytest.fixture(autouse=True)
def _fresh_dynamo():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*TF32.*")
@pytest.mark.parametrize("residuals", ["save", "recompute"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_fullgraph_with_gradients_and_changing_shapes(backend, residuals):
    bridge = wrap(ours, residuals=residuals)
    compiled = torch.compile(loss_of(bridge), fullgraph=True, backend=backend)
    for size, number in [(3, 2.5), (4, 3.5), (5, 4.5), (5, 5.5)]:
        x, y = torch.randn(size, requires_grad=True), torch.randn(size)
        result, expected = compiled(x, y, number), loss_of(theirs)(x, y, number)
        torch.testing.assert_close(result, expected)
        grads = (torch.autograd.grad(value, x) for value in (result, expected))
        torch.testing.assert_close(*grads)
    assert bridge.cache_info().misses == 3


def test_new_numbers_do_not_compile_again():
    graphs = []

    def count(graph, example):
        graphs.append(graph)
        return graph.forward

    bridge = wrap(lambda x, s: x * s)
    compiled = torch.compile(lambda x, s: bridge(x, s), fullgraph=True, backend=count)
    for number in range(12):
        assert compiled(torch.ones(1), 0.5 * number).item() == 0.5 * number
    for number in range(3, 15):
        assert compiled(torch.ones(1), number).item() == number
    assert len(graphs) <= 4 and bridge.cache_info().misses == 2
    with pytest.raises(OverflowError, match="an argument holds 1099511627776, which does not fit"):
        compiled(torch.ones(1), 2**40)


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's own, where dynamo looks at .grad
def test_a_training_step_with_breaks():
    # dynamo must look into neither the bridge nor JAX where it leaves Python running.
    layer, bridge = torch.nn.Linear(3, 3), wrap(lambda x: jnp.sum(jnp.sin(x) ** 2))

    def step(x):
        torch._dynamo.graph_break()
        total = sum(bridge(layer(v)) for v in (k * x for k in (1, 2)))
        total.backward()
        return total.detach()

    x = torch.linspace(-1, 1, 3)
    found = torch.compile(step, backend="aot_eager")(x), layer.weight.grad.clone()
    layer.weight.grad = None
    torch.testing.assert_close(found, (step(x), layer.weight.grad))


def test_errors_keep_their_words():
    bridge = wrap(lambda x, axis: x.sum(axis), name="total")
    compiled = torch.compile(lambda x, axis: bridge(x, axis), fullgraph=True, backend="eager")
    with pytest.raises(Exception, match=r"total: a value in 'axis' is needed.*static_argnames"):
        compiled(torch.ones(2, 3), 1)
    narrow = wrap(lambda x: x, x64="error", name="narrow")
    compiled = torch.compile(lambda x: narrow(x), fullgraph=True, backend="eager")
    with pytest.raises(Exception, match=r"narrow: argument 'x' is float64 but JAX"):
        compiled(torch.ones(2, dtype=torch.float64))


def test_unsorted_keys_and_none():
    # JAX flattens a dict in the order of its keys, torch in the order of insertion.
    bridge = wrap(lambda p, s: p["a"] - 2 * p["b"]["d"] + (0 if p["n"] is None else 1) + p["s"] - s)
    compiled = torch.compile(lambda p, s: bridge(p, s), fullgraph=True, backend="eager")
    p = {"s": 2.0, "n": None, "b": {"d": torch.ones(2)}, "a": torch.full((2,), 5.0)}
    assert compiled(p, 0.5).tolist() == bridge(p, 0.5).tolist() == [4.5, 4.5]


def test_complex_and_float64_under_compile():
    bridge = wrap(lambda z: jnp.sum(jnp.abs(jnp.fft.fft(z)) ** 4))
    compiled = torch.compile(lambda z: bridge(z) * 2, fullgraph=True, backend="eager")
    z = torch.randn(6, dtype=torch.complex128, requires_grad=True)
    (grad,) = torch.autograd.grad(compiled(z), z)
    (expected,) = torch.autograd.grad((torch.fft.fft(z).abs() ** 4).sum() * 2, z)
    torch.testing.assert_close(grad, expected, rtol=1e-12, atol=1e-12)


def test_second_derivative_under_compile():
    bridge = wrap(lambda x: jnp.sin(x) * x)
    compiled = torch.compile(lambda x: bridge(x).sum(), fullgraph=True, backend="eager")
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad(compiled(x), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x)
    torch.testing.assert_close(h, 2 * torch.cos(x) - x * torch.sin(x))


def test_residuals_are_kept_under_compile():
    # One forward and one pull-back run; the forward is not repeated in the backward pass.
    bridge = wrap(lambda x: jnp.sum(jnp.sin(x)))
    seen = []

    def record(graph, example):
        calls = [node for node in graph.graph.nodes if "torch_bridge" in str(node.target)]
        seen.extend(node.args[0] for node in calls)
        return make_boxed_func(graph.forward)

    from functorch.compile import make_boxed_func
    from torch._dynamo.backends.common import aot_autograd

    backend = aot_autograd(fw_compiler=record, bw_compiler=record)
    x = torch.randn(3, requires_grad=True)
    torch.compile(lambda x: bridge(x), fullgraph=True, backend=backend)(x).backward()
    assert [handle.partition("/")[2] for handle in seen] == ["save:1", "pull:1:1:1"]
    torch.testing.assert_close(x.grad, torch.cos(x.detach()))


def test_integers_are_checked_and_narrowed_at_run_time():
    bridge = wrap(lambda x, i: x[i], name="pick")
    compiled = torch.compile(lambda x, i: bridge(x, i) + 0, fullgraph=True, backend="eager")
    x = torch.arange(4.0)
    assert compiled(x, torch.tensor([2, 1])).tolist() == [2, 1]
    with pytest.raises(OverflowError, match="holds 1099511627776, which does not fit"):
        compiled(x, torch.tensor([2**40, 1]))


def test_cast_and_autocast_under_compile():
    bridge = wrap(lambda x: x * 2, x64="cast")
    compiled = torch.compile(lambda x: bridge(x), fullgraph=True, backend="eager")
    x = torch.ones(3, dtype=torch.float64, requires_grad=True)
    out = compiled(x)
    out.sum().backward()
    assert out.dtype is torch.float32 and x.grad.dtype is torch.float64
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert compiled(torch.ones(3, dtype=torch.bfloat16)).dtype is torch.float32


def test_vmap_of_the_custom_op():
    bridge = wrap(lambda x: jnp.sum(x**2))
    compiled = torch.compile(torch.func.vmap(bridge), fullgraph=True, backend="eager")
    x = torch.randn(5, 3)
    torch.testing.assert_close(compiled(x), (x**2).sum(1))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_opcheck():
    bridge = wrap(lambda x, y: (jnp.sin(x) * y, jnp.argmax(x)))
    x, y = torch.randn(4, requires_grad=True), torch.randn(4, requires_grad=True)
    bridge.warmup(x, y)
    (handle,) = bridge.pinned
    report = torch.library.opcheck(_compile.custom_op, (handle, [x, y]))
    assert set(report.values()) == {"SUCCESS"}


def test_a_dead_function_is_named():
    bridge = wrap(lambda x: x * 2, name="gone")
    bridge.warmup(torch.ones(2))
    (handle,) = bridge.pinned
    del bridge
    with pytest.raises(RuntimeError, match="no function named 'gone' is wrapped"):
        _compile.custom_op(handle, [torch.ones(2)])


def test_arguments_that_dynamo_cannot_trace_break_the_graph():
    state = jax.tree_util.Partial(max)  # a pytree of JAX alone
    bridge = wrap(lambda p, x: x * 2)
    compiled = torch.compile(lambda x: bridge(state, x) + 1, backend="eager")
    assert compiled(torch.ones(2)).tolist() == [3, 3]


class Model(torch.nn.Module):
    def __init__(self, fn):
        super().__init__()
        self.layer = torch.nn.Linear(3, 3)
        self.fn = fn

    def forward(self, x):
        return self.fn(self.layer(x), 2.0) + 1


def test_export_round_trip(tmp_path):
    model = Model(wrap(lambda x, s: jnp.tanh(x) * s, name="tanh"))
    x = torch.randn(2, 3)
    program = torch.export.export(model, (x,))
    targets = [str(node.target) for node in program.graph.nodes]
    assert "torch_bridge.call.default" in targets
    torch.testing.assert_close(program.module()(x), model(x))


def test_a_program_never_runs_another_function_of_the_same_name():
    x = torch.ones(2, 3)
    program = torch.export.export(Model(wrap(lambda x, s: x * s)), (x,)).module()
    torch._dynamo.reset()  # it keeps the function alive
    gc.collect()
    other = wrap(lambda x, s: x - s)
    other(x, 2.0)
    with pytest.raises(RuntimeError, match="no function named '<lambda>"):
        program(x)


def exported(fn, *inputs):
    return torch.export.export(Model(fn), inputs)


def handle_of(program):
    (node,) = [n for n in program.graph.nodes if "torch_bridge" in str(n.target)]
    return node.args[0]


@EXPORTS
def test_what_an_exported_program_says_does_not_depend_on_what_ran_before():
    x = torch.ones(2, 3)

    def scaled(factor, name="scaled"):
        return wrap(lambda x, s: x * s * factor, name=name)

    wrap(lambda x, s: x + s, name="other")(x, 2.0)
    first, unnamed = scaled(3), wrap(lambda x, s: x - s)
    handle = handle_of(exported(first, x))
    assert re.fullmatch("scaled@[0-9a-f]{16}", handle)
    again = scaled(3)  # a cell of a notebook, run twice
    assert handle_of(exported(again, x)) == handle
    assert re.fullmatch("<lambda>#[0-9]+@[0-9a-f]{32}", handle_of(exported(unnamed, x)))


@EXPORTS
def test_two_living_functions_of_one_given_name():
    x = torch.ones(2, 3)
    first, second = (wrap(lambda x, s, k=k: x * s * k, name="one name") for k in (3, 5))
    program = exported(first, x).module()
    torch.testing.assert_close(program(x), Model.forward(program_model(first, program), x))
    other = exported(second, x).module()
    torch.testing.assert_close(other(x), Model.forward(program_model(second, other), x))
    with pytest.raises(RuntimeError, match="several living functions are named 'one name'"):
        program(x)
    del second, other
    torch._dynamo.reset()
    torch.testing.assert_close(program(x), Model.forward(program_model(first, program), x))


def program_model(fn, program):
    model = Model(fn)
    model.load_state_dict(program.state_dict())
    return model


def test_compiled_graphs_on_disk_know_what_the_function_computes():
    # torch keeps graphs between runs by their text: a function that was changed is another one.
    x = torch.arange(6.0).reshape(2, 3)
    functions = [jnp.max, jnp.argmax, lambda x, axis: jnp.max(x, axis) * 2]
    constants = [lambda x, axis, c=c: x * c for c in (jnp.arange(3.0), jnp.ones(3))]
    digests = set()
    for fn in (*functions, *constants):
        bridge = wrap(fn, static_argnums=1, name="changed")
        digests.add(bridge.pin(bridge.reader.read((x, 1), {})).op.handle.partition("@")[2])
    assert len(digests) == 5 and len({digest[:16] for digest in digests}) == 1


def test_static_values_that_print_alike():
    @dataclasses.dataclass(frozen=True)
    class Gain:
        value: float = dataclasses.field(repr=False)

    def by_callback(x, gain):  # a program tells its callback's address alone
        return jax.pure_callback(lambda x: x * np.float32(gain.value), x, x)

    x = torch.ones(2)
    for fn in (lambda x, gain: x * gain.value, by_callback):
        bridge = wrap(fn, static_argnames="gain", name="alike")
        calls = [bridge.reader.read((x, Gain(value)), {}) for value in (2.0, 3.0, 2.0)]
        plans = [bridge.pin(call) for call in calls]
        for handles in (
            [plan.op.handle for plan in plans],
            [_plan.export_handle(bridge, plan) for plan in plans],
        ):
            assert handles[0] == handles[2] != handles[1]
            assert [_compile.find(h).run((), [x])[0][0].item() for h in handles] == [2, 3, 2]


def test_objects_that_compute_the_same_are_one_exported_program():
    class Thing:
        gain = 2.0

    bridge = wrap(lambda x, s, thing: x * s * thing.gain, static_argnames="thing", name="thing")
    calls = [bridge.reader.read((torch.ones(2), 2.0, Thing()), {}) for _ in range(2)]
    plans = [bridge.pin(call) for call in calls]
    assert len({plan.op.handle for plan in plans}) == 2  # their derivatives might differ
    (handle,) = {_plan.export_handle(bridge, plan) for plan in plans}
    assert re.fullmatch("thing@[0-9a-f]{16}", handle)


@pytest.mark.slow
def test_exported_program_runs_in_another_process(tmp_path):
    model = Model(wrap(lambda x, s: jnp.tanh(x) * s, name="exported tanh"))
    x = torch.randn(2, 3)
    torch.export.save(torch.export.export(model, (x,)), tmp_path / "model.pt2")
    torch.save((x, model(x).detach()), tmp_path / "data.pt")
    code = f"""
        import jax.numpy as jnp, torch
        from torch_bridge import wrap
        program = torch.export.load({str(tmp_path / "model.pt2")!r}).module()
        x, expected = torch.load({str(tmp_path / "data.pt")!r})
        try:
            program(x)
        except RuntimeError as error:
            assert "wrap(fn, name='exported tanh').warmup(...)" in str(error)
        bridge = wrap(lambda x, s: jnp.tanh(x) * s, name="exported tanh").warmup(x, 2.0)
        torch.testing.assert_close(program(x), expected)
        print("same")
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert run.stdout.strip().endswith("same"), run.stderr
