"""Calling conventions, the cache, and what a wrapped function is as an object."""

import dataclasses
import enum
import functools
import pickle
import threading
from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest
import torch

from torch_bridge import BridgedFunction, _call, wrap


class Pair(NamedTuple):
    a: object
    b: object


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Field:
    u: object
    spacing: object
    name: str = dataclasses.field(default="", metadata={"static": True})


class Mode(enum.Enum):
    SUM = 1
    MEAN = 2


@wrap
def module_level(x):
    """Doubles."""
    return x * 2


def test_decorator_keeps_the_function():
    assert isinstance(module_level, BridgedFunction)
    assert module_level.__name__ == "module_level" and module_level.__doc__ == "Doubles."
    assert module_level.jax_fn(jnp.ones(2)).tolist() == [2, 2]

    @wrap(static_argnames="n", name="powers")
    def f(x, n):
        return x**n

    assert f(torch.tensor(3.0), n=2) == 9 and f.__name__ == "powers"
    assert repr(f) == "<torch_bridge.wrap of powers>"


def test_pytrees_in_and_out():
    f = wrap(lambda p, field: Pair({"x": p.a}, [Field(field.u * field.spacing, p.b, "out"), None]))
    field = Field(torch.ones(2), torch.tensor(3.0), "in")
    out = f(Pair(torch.ones(1), torch.zeros(1)), field)
    assert isinstance(out, Pair) and isinstance(out.b[0], Field)
    assert out.b[0].name == "out" and out.b[1] is None
    assert torch.equal(out.b[0].u, torch.full((2,), 3.0))


def test_text_and_numbers_in_results():
    assert wrap(lambda x: ("text", 3, 2.5, x))(torch.ones(1))[:2] == ("text", torch.tensor(3))


def test_static_values_retrace_and_numbers_do_not():
    traces = []

    def f(x, scale, flag=True, mode=Mode.SUM, label="a"):
        traces.append((flag, mode, label))
        y = x * scale
        return (jnp.sum if mode is Mode.SUM else jnp.mean)(y) if flag else y

    bridge = wrap(f)
    x = torch.arange(3.0)
    assert [bridge(x, s).item() for s in (1.0, 2.0, -3.5)] == [3, 6, -10.5]
    assert len(traces) == 1
    assert bridge(x, 1.0, mode=Mode.MEAN) == 1
    assert bridge(x, 1.0, flag=False).shape == (3,)
    bridge(x, 1.0, label="b")
    assert len(traces) == 4 == bridge.cache_info().misses
    bridge(x, 1)  # an int is another type
    assert len(traces) == 5


def test_true_and_one_are_different():
    bridge = wrap(lambda x, n: x * 2 if n is True else x, static_argnames="n")
    assert bridge(torch.ones(()), 1) == 1 and bridge(torch.ones(()), True) == 2


STATIC_TWINS = {  # values that Python calls equal, or that differ from themselves
    "a part": ((1,), (True,)),
    "sign of zero": (0.0, -0.0),
    "deep": ((0.0, frozenset({1})), (0.0, frozenset({True}))),
    "int and float": (1, 1.0),
}


@pytest.mark.parametrize("case", STATIC_TWINS)
def test_equal_static_values_that_are_not_the_same(case):
    bridge = wrap(lambda x, c: (x, repr(c)), static_argnames="c")
    for value in STATIC_TWINS[case]:
        assert bridge(torch.ones(1), value)[1] == repr(value)
    assert bridge.cache_info().misses == 2


def test_static_dataclasses_and_nan():
    Twin = dataclasses.make_dataclass("Twin", ["c"], frozen=True)
    bridge = wrap(lambda x, c: (x, repr(c)), static_argnames="c")
    nan = float("nan")
    values = [Twin(1), Twin(True), nan, float("nan"), complex(0, nan), complex(0, nan)]
    for value in values:
        assert bridge(torch.ones(1), value)[1] == repr(value)
    assert bridge.cache_info().misses == 4


def test_methods_bind():
    class Gain:
        factor = 2.0

        @wrap(static_argnums=0)
        def scaled(self, x, *, power=1.0):
            return (self.factor * x) ** power

    gain = Gain()
    assert gain.scaled(torch.ones(2)).tolist() == [2, 2]
    assert gain.scaled(torch.ones(2), power=2.0).tolist() == [4, 4]
    assert Gain.scaled(gain, torch.ones(2)).tolist() == [2, 2]


def test_a_static_argument_from_behind():
    def fn(x, *more):
        return x.sum(more[-1]) * more[0]

    bridge = wrap(fn, static_argnums=-1)
    x = torch.ones(2, 3)
    assert bridge(x, 2.0, 1).tolist() == bridge(x, 2.0, 9.0, 1).tolist() == [6, 6]
    compiled = torch.compile(lambda x: bridge(x, 2.0, 1), fullgraph=True, backend="eager")
    assert compiled(x).tolist() == [6, 6]


def test_a_static_dataclass_whose_hash_leaves_a_field_out():
    @dataclasses.dataclass(frozen=True)
    class Lens:
        f: float
        history: list = dataclasses.field(hash=False)

    bridge = wrap(lambda x, lens: x * lens.f, static_argnames="lens")
    for lens in (Lens(2.0, [1]), Lens(2.0, [1]), Lens(2.0, [True])):
        assert bridge(torch.ones(1), lens).item() == 2
    assert bridge.cache_info().misses == 2


def test_names_in_messages_are_those_that_were_given():
    bridges = [wrap(lambda x: jnp.log(x), name="log", check_finite=True) for _ in range(2)]
    for bridge in bridges:
        with pytest.raises(FloatingPointError, match=r"^log: output 0 is not finite"):
            bridge(-torch.ones(1))


def test_calls_that_hit_tell_no_names(monkeypatch):
    # Names of arguments are for errors: finding one takes longer than the rest of a call.
    bridge = wrap(lambda x, i, n: x[i] * n, static_argnames="n")
    args = (torch.ones(4), torch.tensor([1, 2]), 3)
    bridge(*args)
    monkeypatch.setattr(_call, "leaf_name", None)
    monkeypatch.setattr(_call, "positional_name", None)
    assert bridge(*args).tolist() == [3, 3]


def test_an_evicted_plan_that_a_program_names_keeps_what_it_has_compiled():
    bridge = wrap(lambda x: x * 2, cache_size=1)
    x = torch.ones(2, requires_grad=True)
    bridge.warmup(x)
    (plan,) = bridge.pinned.values()
    compiled = dict(plan.op.cache)
    bridge(torch.ones(3))
    assert compiled and plan.op.cache == compiled


def test_many_functions_of_one_name():
    bridges = [wrap(lambda x, k=k: x + k) for k in range(300)]
    assert len({bridge.handle for bridge in bridges}) == 300
    assert bridges[7](torch.zeros(1)).item() == 7


@pytest.mark.parametrize(
    "options", [{"static_argnames": ("shape",)}, {"static_argnums": 1}, {"static_argnums": -1}]
)
def test_static_arguments_by_name_and_place(options):
    bridge = wrap(lambda x, shape: jnp.reshape(x, shape), **options)
    assert bridge(torch.ones(6), (2, 3)).shape == (2, 3)
    assert bridge(torch.ones(6), shape=(3, 2)).shape == (3, 2)


def test_numbers_keep_weak_types_and_are_not_differentiated():
    x = torch.ones(2, dtype=torch.bfloat16, requires_grad=True)
    out = wrap(lambda x, s: x * s)(x, 2.0)
    assert out.dtype is torch.bfloat16
    out.sum().backward()
    assert x.grad.tolist() == [2, 2]


@pytest.mark.parametrize("number", [2, 2.5, 1 + 2j], ids=str)
@pytest.mark.parametrize("residuals", ["auto", "save", "recompute"])
def test_numbers_in_every_mode(number, residuals):
    bridge = wrap(lambda x, s: jnp.sum(jnp.abs(jnp.sin(x) * s) ** 2), residuals=residuals)
    x = torch.randn(3, requires_grad=True)
    bridge(x, 0 * number)  # the value of another call must not stick
    (grad,) = torch.autograd.grad(bridge(x, number), x)
    y = (torch.sin(x) * number).abs() ** 2
    torch.testing.assert_close(grad, torch.autograd.grad(y.sum(), x)[0])


def test_explicit_device_for_numpy_views(monkeypatch):
    # What happens where JAX's default device is a GPU and the tensors are on the CPU.
    import torch_bridge._wrap as module

    monkeypatch.setattr(module, "_numpy_device", lambda xs: jax.devices("cpu")[0])
    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    wrap(lambda x: jnp.sum(jnp.sin(x)))(x).backward()
    torch.testing.assert_close(x.grad, torch.cos(x.detach()))


def test_without_tensors():
    assert wrap(lambda n: jnp.ones(3) * n)(2.0).tolist() == [2, 2, 2]
    assert wrap(lambda: ())() == ()


def test_one_trace_for_a_thousand_calls():
    traces = []

    def f(x):
        traces.append(1)
        return jnp.sum(x**2)

    bridge = wrap(f)
    x = torch.ones(3, requires_grad=True)
    for _ in range(1000):
        bridge(x).backward()
    assert len(traces) == 1
    assert bridge.cache_info() == (999, 1, 64, 1)
    (plan,) = bridge._cache._plans.values()
    (saved,) = (v for (name, *_), v in plan.op.cache.items() if name == "save")
    assert saved.compiled._cache_size() == 1


def test_least_recently_used_signature_is_dropped():
    bridge = wrap(lambda x: x * 2, cache_size=2)
    for n in (1, 2, 1, 3, 1, 2):
        bridge(torch.ones(n))
    assert bridge.cache_info() == (2, 4, 2, 2)
    bridge.cache_clear()
    assert bridge.cache_info() == (0, 0, 2, 0)


def test_backward_works_after_its_signature_was_dropped():
    bridge = wrap(lambda x: x**2, cache_size=1)
    x = torch.ones(2, requires_grad=True)
    out = bridge(x)
    bridge(torch.ones(3))
    out.sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_warmup_compiles_forward_and_backward():
    bridge = wrap(lambda x: jnp.sum(x**2))
    x = torch.ones(3, requires_grad=True)
    assert bridge.warmup(x) is bridge and x.grad is None
    (plan,) = bridge._cache._plans.values()
    assert [name for name, *_ in plan.op.cache].count("pull") == 1
    assert bridge.cache_info().misses == 1


def test_pickle_and_copy():
    import copy

    assert pickle.loads(pickle.dumps(module_level)) is module_level
    again = pickle.loads(pickle.dumps(wrap(_triple, residuals="recompute")))
    assert again(torch.ones(2)).tolist() == [3, 3]
    assert copy.deepcopy(again) is again
    partial = pickle.loads(pickle.dumps(wrap(functools.partial(_triple))))
    assert partial(torch.ones(2)).tolist() == [3, 3]


def _triple(x):
    return 3 * x


def test_threads_trace_once_and_agree():
    traces = []

    def f(x):
        traces.append(1)
        return jnp.sum(jnp.sin(x) ** 2)

    bridge, grads = wrap(f), {}
    start = threading.Barrier(4)

    def work(index):
        x = torch.full((5,), 0.1 * index, requires_grad=True)
        start.wait()
        for _ in range(20):
            x.grad = None
            bridge(x).backward()
        grads[index] = x.grad

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(traces) == 1
    for index, grad in grads.items():
        torch.testing.assert_close(grad, torch.sin(2 * torch.full((5,), 0.1 * index)))


def test_callbacks_inside_the_function():
    seen = []

    def f(x):
        jax.debug.callback(lambda v: seen.append(float(v)), jnp.sum(x))
        y = jax.pure_callback(lambda v: v * 2, jax.ShapeDtypeStruct(x.shape, x.dtype), x)
        return y + 1

    assert wrap(f)(torch.ones(1000, 1000)).sum() == 3e6
    jax.effects_barrier()
    assert seen == [1e6]


def test_jitted_function_with_constants():
    table = jnp.arange(4.0)
    inner = jax.jit(lambda x: x * table)
    x = torch.ones(4, requires_grad=True)
    wrap(lambda x: inner(jnp.sin(x)))(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.arange(4.0) * torch.cos(torch.ones(4)))
