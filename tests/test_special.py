"""Bessel functions against scipy in float64, at zero, at the seams, far out and differentiated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jaxwave import special

# Both signs, zero, both sides of the seams at 2 and 8, far out.
X = np.concatenate(
    [
        np.linspace(-30, 60, 4001),
        [0.0, 1e-12, -1e-6, 1e-3, 2.0, 8.0, np.nextafter(2, 0), np.nextafter(8, 0), -8.0],
        10 ** np.linspace(1, 4, 400),
    ]
)
PLAIN = {0: special.j0, 1: special.j1, 2: special.j2}
RATIO = {1: special.j1_over_x, 2: special.j2_over_x2}
# float32: half a dozen roundings; float64: the same, and the phase of 1e4 rad has 1e-12 of digits
# left, times the amplitude 0.008.
TOLERANCE = {np.float32: 1e-6, np.float64: 1e-13}


@pytest.fixture(params=[np.float32, np.float64])
def kind(request):
    with jax.enable_x64(request.param is np.float64):
        yield request.param


def ratio(m, x):
    """J_m(x) / x**m, by its series where the quotient loses digits."""
    series = sum(
        (-0.25) ** k * x ** (2 * k) / (2.0**m * scipy.special.gamma(k + 1 + m))
        / scipy.special.gamma(k + 1)
        for k in range(6)
    )  # fmt: skip
    near = np.abs(x) < 0.1
    return np.where(near, series, scipy.special.jv(m, x) / np.where(near, 1, x) ** m)


@pytest.mark.parametrize("order", PLAIN)
def test_values(order, kind):
    x = X.astype(kind)
    value = np.asarray(PLAIN[order](x))
    assert value.dtype == kind
    error = np.abs(value - scipy.special.jv(order, x.astype(float)))
    # scipy's jv itself is off by 3e-14 near 1e4.
    assert error.max() < TOLERANCE[kind]


@pytest.mark.parametrize("order", RATIO)
def test_ratios(order, kind):
    x = X.astype(kind)
    error = np.abs(np.asarray(RATIO[order](x)) - ratio(order, x.astype(float)))
    assert error.max() < TOLERANCE[kind]
    assert RATIO[order](kind(0)) == pytest.approx(0.5**order / order, abs=TOLERANCE[kind])


@pytest.mark.parametrize("order", PLAIN)
@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev])
def test_three_derivatives(order, mode, kind):
    x = X[::7].astype(kind)
    x = np.concatenate([x, [0, 8, 2]]).astype(kind)
    first = mode(PLAIN[order])

    def second(x):
        one = first(x)
        return one, one

    def third(x):
        two, one = mode(second, has_aux=True)(x)
        return two, (one, two)

    three, (one, two) = jax.jit(jax.vmap(mode(third, has_aux=True)))(x)
    for degree, value in enumerate((one, two, three), 1):
        exact = scipy.special.jvp(order, x.astype(float), degree)
        assert np.abs(np.asarray(value) - exact).max() < TOLERANCE[kind]


@pytest.mark.parametrize("order", RATIO)
def test_derivatives_of_the_ratios(order, kind):
    x = np.array([-9.0, -3.0, -1.0, 0.0, 0.3, 2.0, 5.0, 8.0, 40.0]).astype(kind)
    xd = x.astype(float)
    one = jax.grad(RATIO[order])
    two = jax.grad(one)
    derivatives = jax.jit(jax.vmap(lambda x: (one(x), two(x), jax.jacfwd(two)(x))))
    exact = (
        -xd * ratio(order + 1, xd),
        xd**2 * ratio(order + 2, xd) - ratio(order + 1, xd),
        3 * xd * ratio(order + 2, xd) - xd**3 * ratio(order + 3, xd),
    )
    for value, right in zip(derivatives(x), exact, strict=True):
        # x**3 at the far end, relative to the largest term.
        assert np.abs(value - right).max() < 10 * TOLERANCE[kind]


def test_scaled_functions_of_the_square(x64):
    q = jnp.array([0.0, 1e-9, 0.5, 4.0, 63.9, 64.0, 900.0])
    x = np.sqrt(np.asarray(q))
    for m in range(4):
        assert np.allclose(special.scaled_bessel(m, q), ratio(m, x), atol=1e-15, rtol=1e-13)
        slope = jax.vmap(jax.grad(lambda p, m=m: special.scaled_bessel(m, p)))(q)
        assert np.allclose(slope, -0.5 * ratio(m + 1, x), atol=1e-15, rtol=1e-13)


def test_integers_and_half_precision_become_floats():
    assert special.j0(0) == pytest.approx(1, abs=2e-7)
    assert special.j1(jnp.float16(0.5)).dtype == jnp.float32


def test_complex_numbers_are_refused():
    with pytest.raises(TypeError, match=r"j1: `x` must be real, got complex"):
        special.j1(1j)
