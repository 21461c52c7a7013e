"""Values and derivatives against torch's own, in torch's complex convention."""

import jax.numpy as jnp
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from torch_bridge import wrap

C, R = torch.complex128, torch.float64


def tensor(dtype, *shape):
    return torch.randn(*shape, dtype=dtype, requires_grad=True)


# name -> (JAX function, the same in torch, dtypes of its inputs)
FUNCTIONS = {
    "holomorphic": (lambda z: jnp.sin(z) * z**2, lambda z: torch.sin(z) * z**2, [C]),
    "conjugate": (
        lambda z: jnp.conj(z) * z**2 + jnp.exp(1j * jnp.real(z)),
        lambda z: torch.conj(z) * z**2 + torch.exp(1j * z.real),
        [C],
    ),
    "complex to real": (lambda z: jnp.abs(z) ** 2, lambda z: z.abs() ** 2, [C]),
    "real to complex": (lambda x: jnp.exp(1j * x), lambda x: torch.exp(1j * x), [R]),
    "real through complex": (
        lambda x: jnp.abs(jnp.exp(1j * x) + 1) ** 2,
        lambda x: (torch.exp(1j * x) + 1).abs() ** 2,
        [R],
    ),
    "fft": (
        lambda z: jnp.fft.ifft(jnp.fft.fft(z) * (1 + 2j) ** 2),
        lambda z: torch.fft.ifft(torch.fft.fft(z) * (1 + 2j) ** 2),
        [C],
    ),
    "fft to intensity": (
        lambda z: jnp.abs(jnp.fft.fft(z)) ** 2,
        lambda z: torch.fft.fft(z).abs() ** 2,
        [C],
    ),
    "mixed": (lambda z, x: z * jnp.exp(1j * x) * x, lambda z, x: z * torch.exp(1j * x) * x, [C, R]),
    "two complex to real": (
        lambda a, b: jnp.real(a * jnp.conj(b)),
        lambda a, b: (a * b.conj()).real,
        [C, C],
    ),
    "several results": (
        lambda z, x: (z * x, jnp.abs(z) + x),
        lambda z, x: (z * x, z.abs() + x),
        [C, R],
    ),
}


@pytest.fixture(params=FUNCTIONS, ids=lambda name: name.replace(" ", "-"))
def case(request):
    theirs, ours, dtypes = FUNCTIONS[request.param]
    return wrap(theirs, name=request.param), ours, [tensor(dtype, 3) for dtype in dtypes]


def test_first_derivatives(case):
    bridge, _, inputs = case
    assert gradcheck(
        bridge,
        inputs,
        check_forward_ad=True,
        check_batched_grad=True,
        check_undefined_grad=True,
        check_batched_forward_grad=True,
    )


@pytest.mark.parametrize("residuals", ["save", "recompute"])
def test_gradients_equal_torch(case, residuals):
    bridge, reference, inputs = case
    bridge = wrap(bridge.jax_fn, residuals=residuals)
    ours, theirs = bridge(*inputs), reference(*inputs)
    ours, theirs = (x if isinstance(x, tuple) else (x,) for x in (ours, theirs))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    cotangents = [torch.randn_like(x) for x in theirs]
    grads = torch.autograd.grad(ours, inputs, cotangents)
    expected = torch.autograd.grad(theirs, inputs, cotangents)
    torch.testing.assert_close(grads, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["conjugate", "mixed", "fft to intensity"])
def test_second_derivatives(name):
    theirs, _, dtypes = FUNCTIONS[name]
    inputs = [tensor(dtype, 2) for dtype in dtypes]
    assert gradgradcheck(wrap(theirs), inputs, check_fwd_over_rev=True, check_batched_grad=True)


def test_third_derivative():
    x = tensor(R, 3)
    value = wrap(lambda x: jnp.sin(x) * x**3)(x)
    expected = torch.sin(x) * x**3
    for _ in range(3):
        (value,) = torch.autograd.grad(value.sum(), x, create_graph=True)
        (expected,) = torch.autograd.grad(expected.sum(), x, create_graph=True)
        torch.testing.assert_close(value, expected)


def test_descent_on_a_complex_parameter_converges():
    # The conjugate of the gradient, which JAX's convention gives, diverges here.
    target = torch.randn(5, dtype=C)
    loss = wrap(lambda z, a: jnp.sum(jnp.abs(z - a) ** 2))
    z = torch.randn(5, dtype=C, requires_grad=True)
    optimizer = torch.optim.SGD([z], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        loss(z, target).backward()
        optimizer.step()
    assert loss(z, target).item() < 1e-15


def test_pytrees_carry_gradients():
    bridge = wrap(lambda p: {"a": p["w"] * p["x"][0], "b": (jnp.sum(p["x"][1]), None)})
    w, x0, x1 = (tensor(R, 3) for _ in range(3))
    out = bridge({"w": w, "x": [x0, x1]})
    assert out["b"][1] is None
    grads = torch.autograd.grad(out["a"].sum() + out["b"][0], [w, x0, x1])
    torch.testing.assert_close(grads, (x0, w, torch.ones(3, dtype=R)))


def test_integer_results_have_no_gradient():
    x = tensor(R, 4)
    values, index = wrap(lambda x: (x * 2, jnp.argmax(x)))(x)
    assert values.requires_grad and not index.requires_grad
    assert index.item() == int(x.argmax())
    values.sum().backward()
    torch.testing.assert_close(x.grad, torch.full((4,), 2.0, dtype=R))


def test_integer_inputs_beside_floats():
    index = torch.tensor([2, 0], dtype=torch.int32)
    x = tensor(R, 3)
    wrap(lambda x, i: x[i] ** 2)(x, index).sum().backward()
    torch.testing.assert_close(x.grad, 2 * x * torch.tensor([1.0, 0.0, 1.0]))


@pytest.mark.parametrize("residuals", ["save", "recompute"])
def test_each_subset_of_inputs(residuals):
    bridge = wrap(lambda a, b, c: jnp.sum(a * jnp.sin(b) * c**2), residuals=residuals)
    for mask in [(True, False, False), (False, True, True), (True, True, True)]:
        inputs = [torch.randn(3, dtype=R, requires_grad=wanted) for wanted in mask]
        bridge(*inputs).backward()
        copies = [x.detach().clone().requires_grad_(x.requires_grad) for x in inputs]
        a, b, c = copies
        (a * torch.sin(b) * c**2).sum().backward()
        for x, copy in zip(inputs, copies, strict=True):
            torch.testing.assert_close(x.grad, copy.grad)


def test_only_the_asked_gradient_is_computed():
    bridge = wrap(lambda a, b: jnp.sum((a @ b) ** 2), residuals="save")
    a, b = tensor(R, 30, 30) + 0, tensor(R, 30, 30) + 0
    both = torch.autograd.grad(bridge(a, b), [a, b])
    (one,) = torch.autograd.grad(bridge(a, b), [a])
    assert torch.equal(one, both[0])
    (plan,) = bridge._cache._plans.values()
    pulls = {key[2]: op for key, op in plan.op.cache.items() if key[0] == "pull"}
    products = {wanted: _count_products(pull) for wanted, pull in pulls.items()}
    assert products == {(True, True): 2, (True, False): 1}


def _count_products(pull):
    """Matrix products in a compiled pull-back."""
    with pull.settings():
        lowered = pull.compiled.lower((pull.consts, pull.example), *pull.ins)
        return lowered.compile().as_text().count(" dot(")


def test_unused_results_and_inputs():
    x, y = tensor(R, 3), tensor(R, 3)
    first, second = wrap(lambda x, y: (x**2, y**3))(x, y)
    (grad,) = torch.autograd.grad(first.sum(), [x], retain_graph=True)
    torch.testing.assert_close(grad, 2 * x)
    (grad,) = torch.autograd.grad(second.sum(), [y])
    torch.testing.assert_close(grad, 3 * y**2)


def test_no_graph_without_need():
    bridge = wrap(lambda x: x * 2)
    assert bridge(torch.ones(2)).grad_fn is None
    x = torch.ones(2, requires_grad=True)
    assert bridge(x).grad_fn is not None
    with torch.no_grad():
        assert bridge(x).grad_fn is None
    with torch.inference_mode():
        assert bridge(x).grad_fn is None


def test_a_loss_and_its_gradient_in_one_program_equal_two_programs():
    def loss(z, x):
        return jnp.sum(jnp.abs(jnp.fft.fft(z * jnp.exp(1j * x))) ** 4)

    z, x = tensor(C, 8), tensor(R, 8)
    grads = [
        torch.autograd.grad(3 * wrap(loss, residuals=mode)(z, x), [z, x])
        for mode in ("save", "auto")
    ]
    torch.testing.assert_close(*grads)
    fused = wrap(loss)
    assert gradcheck(fused, (z, x)) and gradgradcheck(fused, (z, x))


@pytest.mark.parametrize(
    ("fn", "whole"),
    [
        (lambda x: jnp.sum(x**2), True),
        (lambda x: (jnp.sum(x**2), jnp.argmax(x), "text"), True),
        (lambda x: (jnp.sum(x**2), x), False),
        (lambda x: jnp.sum(x**2)[None], False),
        (lambda x: jnp.sum(x + 1j), False),
        (lambda x: jnp.sum(x**2).astype("float16"), False),  # loss scaling must reach the inside
    ],
)
def test_a_loss_keeps_its_gradient_and_nothing_else(fn, whole):
    x = torch.linspace(-1, 1, 5, requires_grad=True)
    bridge = wrap(fn)
    bridge(x)
    (plan,) = bridge.plans()
    assert plan.op.residuals == ("fused" if whole else "save")


def test_a_gradient_that_is_kept_can_be_asked_for_twice():
    x = torch.linspace(-1, 1, 5, requires_grad=True)
    loss = wrap(lambda x: jnp.sum(x**2))(x)
    loss.backward(retain_graph=True)
    x.grad.mul_(100)
    (again,) = torch.autograd.grad(3 * loss, x)
    torch.testing.assert_close(again, 6 * x.detach())


def test_custom_vjp_is_kept():
    import jax

    @jax.custom_vjp
    def clipped(x):
        return x * 2

    clipped.defvjp(lambda x: (x * 2, None), lambda _, g: (g * 100,))
    x = tensor(R, 2)
    wrap(clipped)(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.full((2,), 100.0, dtype=R))


def test_random_keys_as_residuals():
    import jax

    def noisy(x, seed):
        key = jax.random.key(seed)
        return jax.checkpoint(lambda x: jnp.sum(x * jax.random.normal(key, x.shape)))(x)

    x = tensor(R, 5)
    wrap(noisy)(x, 3).backward()
    with jax.enable_x64(True):
        expected = jax.grad(noisy)(jnp.zeros(5, jnp.float64), 3)
    torch.testing.assert_close(x.grad, torch.tensor(expected.tolist(), dtype=R))
