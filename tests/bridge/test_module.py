"""A flax nnx module as a torch module: names, optimizers, saving, conversion."""

import copy
import pickle

import jax
import jax.numpy as jnp
import pytest
import torch

nnx = pytest.importorskip("flax.nnx")

from torch_bridge import JaxModule  # noqa: E402


class Fixed(nnx.Variable):
    pass


class Net(nnx.Module):
    def __init__(self, rngs):
        sizes = [(3, 4), (4, 2)]
        self.blocks = nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in sizes])
        self.phase = nnx.Param(jnp.ones(2, jnp.complex64) * (1 + 2j))
        self.gain = Fixed(jnp.asarray(3.0))
        self.filter = Fixed(jnp.asarray([1j, 2.0], jnp.complex64))

    def __call__(self, x):
        for block in self.blocks:
            x = jnp.tanh(block(x))
        return jnp.abs(x * self.phase * self.filter) ** 2 * self.gain

    def half(self, x, *, offset=0.0):
        return self.blocks[0](x) / 2 + offset


@pytest.fixture
def net():
    return Net(nnx.Rngs(0))


@pytest.fixture
def module(net):
    return JaxModule(net)


X = torch.linspace(-1, 1, 15).reshape(5, 3)


def test_names_kinds_and_values(net, module):
    params = {name: tuple(p.shape) for name, p in module.named_parameters()}
    assert params == {
        "blocks.0.bias": (4,),
        "blocks.0.kernel": (3, 4),
        "blocks.1.bias": (2,),
        "blocks.1.kernel": (4, 2),
        "phase": (2,),
    }
    assert {name for name, _ in module.named_buffers()} == {"gain", "filter"}
    assert torch.equal(module.blocks._modules["0"].kernel, _tensor(net.blocks[0].kernel))
    torch.testing.assert_close(module(X), _tensor(net(jnp.asarray(X.numpy()))))


def _tensor(value):
    return torch.from_dlpack(jnp.asarray(value[...])).clone()


def test_it_prints_like_the_nnx_module(net, module):
    text = repr(module)
    assert text.startswith("JaxModule(Net(") and "blocks=List([" in text
    assert text.index("blocks") < text.index("gain") and "kernel=Param(" in text
    assert repr(torch.nn.Sequential(module)).startswith("Sequential(\n  (0): JaxModule(Net(")
    assert repr(module.to("meta")) == "JaxModule(Net)"  # no values to print


def test_buffers_under_torch_func():
    layer = JaxModule(nnx.BatchNorm(3, rngs=nnx.Rngs(0))).eval()
    params = dict(layer.named_parameters())
    loss = lambda p: (torch.func.functional_call(layer, p, (X,)) ** 2).sum()  # noqa: E731
    grads = torch.func.grad(loss)(params)
    torch.testing.assert_close(grads["bias"], 2 * layer(X).sum(0))


def test_a_linen_module_by_way_of_nnx():
    linen = pytest.importorskip("flax.linen")
    dense = nnx.bridge.ToNNX(linen.Dense(2), rngs=nnx.Rngs(0)).lazy_init(jnp.ones((1, 3)))
    module = JaxModule(dense)
    module(X).sum().backward()
    assert {tuple(p.grad.shape) for p in module.parameters()} == {(3, 2), (2,)}


def test_gradients_equal_jax(net, module):
    module(X).sum().backward()
    graphdef, params, rest = nnx.split(net, nnx.Param, ...)

    def loss(params):
        return jnp.sum(nnx.merge(graphdef, params, rest)(jnp.asarray(X.numpy())))

    grads = jax.tree.leaves(jax.grad(loss)(params))
    for p, grad in zip(module.parameters(), _in_order(module, grads), strict=True):
        torch.testing.assert_close(p.grad, torch.from_dlpack(jnp.conj(grad)).clone())


def _in_order(module, leaves):
    """JAX sorts by name; torch keeps the order of registration."""
    names = [name for name, _ in module.named_parameters()]
    by_name = dict(zip(sorted(names), leaves, strict=True))
    return [by_name[name] for name in names]


def test_method_and_keywords(net):
    module = JaxModule(net, method="half")
    expected = net.half(jnp.asarray(X.numpy()), offset=1.0)
    torch.testing.assert_close(module(X, offset=1.0), torch.from_dlpack(expected).clone())


def test_parameters_do_not_share_memory_with_the_nnx_module(net, module):
    before = net.blocks[0].kernel[...].copy()
    with torch.no_grad():
        for p in module.parameters():
            p.zero_()
    assert jnp.array_equal(net.blocks[0].kernel[...], before)


@pytest.mark.parametrize(("name", "rate"), [("Adam", 0.02), ("LBFGS", 0.02), ("SGD", 1e-4)])
def test_optimizers(module, name, rate):
    target = torch.ones(5, 2)
    optimizer = getattr(torch.optim, name)(module.parameters(), lr=rate)

    def closure():
        optimizer.zero_grad()
        loss = ((module(X) - target) ** 2).mean()
        loss.backward()
        return loss

    first = closure().item()
    for _ in range(20):
        optimizer.step(closure)
    assert closure().item() < 0.7 * first


def test_state_dict_round_trip(module, tmp_path):
    torch.save(module.state_dict(), tmp_path / "state.pt")
    other = JaxModule(Net(nnx.Rngs(1)))
    assert not torch.equal(other(X), module(X))
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(other(X), module(X))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_independent(module, duplicate):
    module(X)
    other = duplicate(module)
    assert torch.equal(other(X), module(X))
    with torch.no_grad():
        other.gain.mul_(2)
    torch.testing.assert_close(other(X), 2 * module(X))


def test_double_keeps_imaginary_parts(module):
    for convert in (lambda m: m.to(torch.float64), lambda m: m.double()):
        other = convert(copy.deepcopy(module))
        assert other.filter.dtype is torch.complex128
        assert torch.equal(other.filter, module.filter.to(torch.complex128))
        assert other.phase.dtype is torch.complex128 and other.phase.requires_grad
        out = other(X.double())
        assert out.dtype is torch.float64
        torch.testing.assert_close(out.float(), module(X))
        out.sum().backward()
        assert other.phase.grad.dtype is torch.complex128
        assert other.to(torch.float32).filter.dtype is torch.complex64


def test_half_keeps_complex64(module):
    half = copy.deepcopy(module).half()
    assert half.gain.dtype is torch.float16
    assert torch.equal(half.filter, module.filter)


def test_inside_a_larger_torch_module(net):
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), JaxModule(net), torch.nn.Linear(2, 1))
    assert model.double()[1].filter.dtype is torch.complex128
    model(X.double()).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_freezing(module):
    module.phase.requires_grad_(False)
    module(X).sum().backward()
    assert module.phase.grad is None
    assert module.blocks._modules["0"].kernel.grad is not None
    module.requires_grad_(False)
    assert not module(X).requires_grad


def test_to_nnx_and_load_nnx(net, module):
    with torch.no_grad():
        module.phase.mul_(2j)
    again = module.to_nnx()
    assert isinstance(again, Net) and isinstance(again.gain, Fixed)
    torch.testing.assert_close(_tensor(again(jnp.asarray(X.numpy()))), module(X).detach())
    module.load_nnx(net)
    assert torch.equal(module.phase, _tensor(net.phase))
    module.phase.data.zero_()
    assert net.phase[...].sum() != 0


def test_load_nnx_refuses_another_structure(module):
    with pytest.raises(ValueError, match=r"load_nnx: the modules differ in bias, blocks"):
        module.load_nnx(nnx.Linear(3, 4, rngs=nnx.Rngs(0)))
    other = JaxModule(nnx.Linear(3, 4, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match=r"'bias' must have shape \(4,\), got \(5,\)"):
        other.load_nnx(nnx.Linear(3, 5, use_bias=True, rngs=nnx.Rngs(0)))


def test_wrong_arguments(net):
    with pytest.raises(TypeError, match="needs a flax nnx module, got a Linear"):
        JaxModule(torch.nn.Linear(1, 1))
    with pytest.raises(AttributeError, match="Net has no method 'fourth'"):
        JaxModule(net, method="fourth")


def test_functional_call_ensemble(net):
    modules = [JaxModule(Net(nnx.Rngs(i))) for i in range(3)]
    params, buffers = torch.func.stack_module_state(modules)

    def call(p, b):
        return torch.func.functional_call(modules[0], (p, b), (X,))

    out = torch.func.vmap(call)(params, buffers)
    torch.testing.assert_close(out, torch.stack([m(X) for m in modules]))


def test_per_sample_gradients(module):
    params = {k: v.detach() for k, v in module.named_parameters()}

    def loss(p, x):
        return torch.func.functional_call(module, p, (x,)).sum()

    grads = torch.func.vmap(torch.func.grad(loss), (None, 0))(params, X)
    for i, x in enumerate(X):
        module.zero_grad()
        module(x).sum().backward()
        torch.testing.assert_close(grads["phase"][i], module.phase.grad)


class Stateful(nnx.Module):
    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(3, momentum=0.5, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.drop(self.norm(x))


def test_state_that_a_call_changes_is_written_back():
    module = JaxModule(Stateful(nnx.Rngs(0)))
    x = torch.randn(100, 3) + 5
    first, second = module(x), module(x)
    assert not torch.equal(first, second)  # the random count moved on
    assert module.drop.rngs.count == 2
    torch.testing.assert_close(module.norm.mean, 0.75 * x.mean(0), rtol=1e-3, atol=1e-3)
    module.eval()
    assert torch.equal(module(x), module(x))
    assert module.drop.rngs.count == 2
    module.train()
    assert not torch.equal(module(x), module(x))


def test_backward_after_the_state_has_changed():
    class Norm(nnx.Module):
        def __init__(self, rngs):
            self.norm = nnx.BatchNorm(3, momentum=0.9, rngs=rngs)

        def __call__(self, x):
            return self.norm(x)

    module = JaxModule(Norm(nnx.Rngs(0)))
    reference = torch.nn.BatchNorm1d(3, momentum=0.1)
    x = torch.randn(10, 3, requires_grad=True)
    grads = [torch.autograd.grad((m(x) ** 3).sum(), x)[0] for m in (module, reference)]
    torch.testing.assert_close(*grads, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(module.norm.mean, reference.running_mean)
    mean = module.norm.mean
    module(x)
    assert module.norm.mean is mean  # DistributedDataParallel keeps the tensor itself


def test_state_survives_saving():
    module = JaxModule(Stateful(nnx.Rngs(0)))
    module(torch.randn(4, 3))
    other = JaxModule(Stateful(nnx.Rngs(7)))
    other.load_state_dict(module.state_dict())
    x = torch.randn(4, 3)
    assert torch.equal(other(x), module(x))


def test_names_that_torch_uses_itself():
    class Odd(nnx.Module):
        def __init__(self):
            self.type = nnx.Param(jnp.ones(2))
            self.training = nnx.Param(jnp.ones(2))

        def __call__(self, x):
            return x * self.type * self.training

    module = JaxModule(Odd())
    assert {name for name, _ in module.named_parameters()} == {"type_", "training_"}
    assert module(torch.ones(2)).tolist() == [1, 1]


def test_checkpoint_and_compile(module):
    torch._dynamo.reset()
    expected = module(X)
    out = torch.utils.checkpoint.checkpoint(module, X, use_reentrant=False)
    torch.testing.assert_close(out, expected)
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(X), expected)
    compiled(X).sum().backward()
    assert module.phase.grad is not None


class Flags(nnx.Module):
    """Names that torch.nn.Module uses, and that become one in torch."""

    def __init__(self):
        self.train = nnx.Param(jnp.ones(1))
        self.train_ = nnx.Param(jnp.full(1, 2.0))
        self.parts = nnx.Dict({"a.b": nnx.Param(jnp.full(1, 3.0)), "a_b": nnx.Param(jnp.zeros(1))})

    def __call__(self, x):
        first, second = self.parts["a.b"], self.parts["a_b"]
        return x + self.train + 10 * self.train_ + 100 * first + 1000 * second


def test_names_that_become_one():
    module = JaxModule(Flags())
    assert len(module.state_dict()) == 4
    assert module(torch.zeros(1)).item() == 321
    module.load_nnx(module.to_nnx())
    assert module(torch.zeros(1)).item() == 321


def test_training_after_a_call_in_inference_mode():
    module = JaxModule(nnx.BatchNorm(2, rngs=nnx.Rngs(0)))
    before = module.mean.clone()
    with torch.inference_mode():
        module(torch.randn(4, 2))
    assert not torch.equal(module.mean, before)
    module(torch.randn(4, 2)).sum().backward()
    assert module.scale.grad is not None
