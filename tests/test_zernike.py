"""Zernike modes against published tables, exact rational arithmetic and Gauss quadrature."""

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxwave._check import JaxwaveWarning
from jaxwave.zernike import (
    rms_wavefront,
    zernike_index,
    zernike_mode,
    zernike_modes,
    zernike_modes_up_to,
    zernike_name,
    zernike_norm,
    zernike_number,
    zernike_opd,
    zernike_polynomials,
    zernike_radial,
)

polynomials = jax.jit(zernike_polynomials, static_argnums=0)
opd_of = jax.jit(zernike_opd, static_argnums=1)

# Thibos et al. (2002), Table 3, from j = 0.
OSA = [
    *[(0, 0), (1, -1), (1, 1), (2, -2), (2, 0), (2, 2), (3, -3), (3, -1), (3, 1), (3, 3)],
    *[(4, -4), (4, -2), (4, 0), (4, 2), (4, 4), (5, -5), (5, -3), (5, -1), (5, 1), (5, 3), (5, 5)],
]
# Noll (1976), Table I, from j = 1; even numbers are cosines.
NOLL = [
    *[(0, 0), (1, 1), (1, -1), (2, 0), (2, -2), (2, 2), (3, -1), (3, 1), (3, -3), (3, 3)],
    *[(4, 0), (4, 2), (4, -2), (4, 4), (4, -4), (5, 1), (5, -1), (5, 3), (5, -3), (5, 5)],
    *[(5, -5), (6, 0), (6, -2), (6, 2), (6, -4), (6, 4), (6, -6), (6, 6)],
]
# Wyant and Creath (1992), Table III, from j = 1.
FRINGE = [
    *[(0, 0), (1, 1), (1, -1), (2, 0), (2, 2), (2, -2), (3, 1), (3, -1), (4, 0), (3, 3)],
    *[(3, -3), (4, 2), (4, -2), (5, 1), (5, -1), (6, 0), (4, 4), (4, -4), (5, 3), (5, -3)],
    *[(6, 2), (6, -2), (7, 1), (7, -1), (8, 0), (5, 5), (5, -5), (6, 4), (6, -4), (7, 3)],
    *[(7, -3), (8, 2), (8, -2), (9, 1), (9, -1), (10, 0)],
]
ORDER_20 = zernike_modes_up_to(20)


def exact_radial(n: int, m: int, square: Fraction) -> Fraction:
    """R_n^m / rho^m from the factorial formula (Born and Wolf, Sec. 9.2.1), exactly."""
    m, f = abs(m), math.factorial
    return sum(
        (
            Fraction((-1) ** s * f(n - s), f(s) * f((n + m) // 2 - s) * f((n - m) // 2 - s))
            * square ** ((n - m) // 2 - s)
            for s in range((n - m) // 2 + 1)
        ),
        Fraction(0),
    )


def exact_mode(n: int, m: int, x: Fraction, y: Fraction) -> float:
    real, imaginary = Fraction(1), Fraction(0)
    for _ in range(abs(m)):
        real, imaginary = x * real - y * imaginary, x * imaginary + y * real
    value = exact_radial(n, m, x * x + y * y) * (imaginary if m < 0 else real)
    return math.sqrt((1 if m == 0 else 2) * (n + 1)) * float(value)


# -- numbers, pairs and names --------------------------------------------------------------


@pytest.mark.parametrize(
    ("convention", "first", "table"),
    [("osa", 0, OSA), ("ansi", 0, OSA), ("noll", 1, NOLL), ("fringe", 1, FRINGE)],
)
def test_numbers_match_the_published_tables(convention, first, table):
    numbers = range(first, first + len(table))
    assert list(zernike_modes(numbers, convention=convention)) == table
    assert [zernike_number(n, m, convention=convention) for n, m in table] == list(numbers)


@pytest.mark.parametrize(("convention", "first"), [("osa", 0), ("noll", 1), ("fringe", 1)])
@pytest.mark.filterwarnings("ignore:zernike_index")
def test_numbers_and_pairs_are_one_to_one(convention, first):
    numbers = range(first, 201)
    modes = [zernike_index(j, convention=convention) for j in numbers]
    assert len(set(modes)) == len(modes)
    assert [zernike_number(n, m, convention=convention) for n, m in modes] == list(numbers)


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from(["osa", "noll", "fringe"]))
@settings(max_examples=60, deadline=None)
def test_every_mode_has_a_number(order, place, convention):
    mode = (order, -order + 2 * (place % (order + 1)))
    j = zernike_number(*mode, convention=convention)
    if (convention, j) != ("fringe", 37):
        assert zernike_index(j, convention=convention) == mode


def test_osa_is_the_default_and_orders_are_complete():
    assert zernike_index(4) == (2, 0)
    assert zernike_number(2, 0) == 4
    assert zernike_modes_up_to(5) == tuple(OSA)
    assert zernike_modes_up_to(5, start=2) == tuple(OSA[3:])
    assert len(ORDER_20) == 21 * 22 // 2


def test_the_37th_fringe_number_warns():
    with pytest.warns(JaxwaveWarning, match=r"programs whose set ends at 37 mean \(12, 0\)"):
        assert zernike_index(37, convention="fringe") == (6, 6)
    assert zernike_number(12, 0, convention="fringe") == 49


def test_names():
    expected = {
        (0, 0): "piston",
        (2, -2): "oblique astigmatism",
        (2, 0): "defocus",
        (2, 2): "vertical astigmatism",
        (3, -1): "vertical coma",
        (3, 1): "horizontal coma",
        (4, 0): "primary spherical",
    }
    for mode, name in expected.items():
        assert zernike_name(*mode) == name
        assert zernike_mode(name.title()) == mode
    names = [zernike_name(n, m) for n, m in ORDER_20]
    assert len(set(names)) == len(names)
    assert zernike_name(7, -3) == "Z(7, -3)"
    with pytest.raises(ValueError, match="Did you mean 'vertical coma'"):
        zernike_mode("vertcal coma")


# -- values --------------------------------------------------------------------------------

POINTS = [(0, 0), (1, 0), (0, -1), (0.5, 0.25), (-0.375, 0.75), (0.0625, -0.03125), (0.75, 0.625)]


def both_precisions(function):
    """Runs a function in float32 and in float64."""
    single = np.asarray(function(np.float32), np.float64)
    with jax.enable_x64(True):
        return single, np.asarray(function(np.float64))


def test_values_to_order_20_against_rational_arithmetic():
    exact = np.array([[exact_mode(n, m, *map(Fraction, p)) for p in POINTS] for n, m in ORDER_20])
    x, y = np.array(POINTS).T
    single, double = both_precisions(
        lambda d: zernike_polynomials(ORDER_20, jnp.asarray(y, d), jnp.asarray(x, d))
    )
    # The largest values are sqrt(42) = 6.5. The rounding of rho^2 alone moves a mode by up to
    # n (n + 2) / 2 units in the last place, 220 * 6.5 * 1.2e-7 / 2 = 1e-4 at worst at the rim;
    # these points stay well below it.
    np.testing.assert_allclose(double, exact, atol=2e-13)
    np.testing.assert_allclose(single, exact, atol=3e-5)


def test_float32_keeps_its_digits_over_the_whole_disk():
    axis = np.linspace(-1, 1, 65)
    x, y = axis[:, None], axis[None, :]
    inside = x * x + y * y <= 1
    single, double = both_precisions(
        lambda d: zernike_polynomials(ORDER_20, jnp.asarray(y, d), jnp.asarray(x, d))
    )
    # 1e-5 of the largest value: about 100 rounding errors, the slope 220 at the rim halved.
    assert np.max(np.abs(single - double) * inside) < 1e-5 * np.sqrt(42)


def test_orthonormal_to_order_20_by_gauss_quadrature():
    # Gauss-Legendre in rho^2 with 24 nodes and 48 azimuths are exact to degree 46 > 2 * 20.
    nodes, weights = np.polynomial.legendre.leggauss(24)
    rho = np.sqrt((nodes + 1) / 2)[:, None]
    phi = 2 * np.pi * np.arange(48) / 48
    with jax.enable_x64(True):
        z = np.asarray(zernike_polynomials(ORDER_20, rho * np.sin(phi), rho * np.cos(phi)))
    gram = np.einsum("iab,jab,a->ij", z, z, weights / 2 / 48, optimize=True)
    # 231^2 sums of 1152 terms of size 40: rounding is below 1e-13.
    np.testing.assert_allclose(gram, np.eye(len(ORDER_20)), atol=1e-12)


def test_radial_polynomials_and_norms():
    rho = [Fraction(k, 8) for k in range(9)]
    with jax.enable_x64(True):
        for n, m in [(0, 0), (1, -1), (4, 2), (7, 3), (12, 0), (20, 0), (20, -14), (20, 20)]:
            exact = [float(exact_radial(n, m, r * r) * r ** abs(m)) for r in rho]
            values = np.asarray(zernike_radial(n, m, np.array(rho, float)))
            np.testing.assert_allclose(values, exact, atol=1e-13)  # rounding of a recurrence
            assert values[-1] == pytest.approx(1, abs=1e-14)
            angle = 0.7
            x, y = np.array(rho, float) * np.cos(angle), np.array(rho, float) * np.sin(angle)
            wave = np.sin(-m * angle) if m < 0 else np.cos(m * angle)
            mode = polynomials(((n, m),), y, x)[0]
            np.testing.assert_allclose(mode, zernike_norm(n, m) * values * wave, atol=1e-12)


def test_orientation():
    # x grows along the columns and the azimuth runs from +x toward +y.
    axis = jnp.linspace(-1, 1, 5)
    modes = ((1, 1), (1, -1), (2, -2))
    tilt_x, tilt_y, oblique = polynomials(modes, axis[:, None], axis[None, :])
    assert tilt_x[2, 4] == 2
    assert tilt_y[4, 2] == 2
    assert oblique[4, 4] > 0
    assert oblique[0, 4] < 0


# -- derivatives ---------------------------------------------------------------------------


def test_gradients_to_order_20_against_finite_differences():
    x, y = np.array(POINTS).T
    step = 1e-4
    with jax.enable_x64(True):

        def modes(a, b):
            return zernike_polynomials(ORDER_20, b, a)

        _, gx = jax.jvp(modes, (x, y), (np.ones_like(x), np.zeros_like(y)))
        _, gy = jax.jvp(modes, (x, y), (np.zeros_like(x), np.ones_like(y)))

        def difference(dx, dy):
            def at(k):
                return np.asarray(modes(x + k * step * dx, y + k * step * dy))

            return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)

        # The fourth-order formula leaves h^4 f5 / 30, with f5 up to 2e10 at the rim, where the
        # gradient is 1.4e3; rounding adds 1e-15 * 6.5 / h.
        np.testing.assert_allclose(gx, difference(1, 0), atol=2e-6)
        np.testing.assert_allclose(gy, difference(0, 1), atol=2e-6)


def test_derivatives_are_finite_at_the_center_and_at_the_rim():
    points = jnp.array([(0, 0), (1, 0), (0, 1), (-(0.5**0.5), 0.5**0.5)])
    for mode, derivative in [
        ((20, 0), jax.hessian),
        ((19, -1), jax.hessian),
        ((8, 8), jax.hessian),
        ((20, 20), jax.grad),
    ]:
        rate = derivative(lambda q, mode=mode: zernike_polynomials([mode], *q[::-1])[0])
        assert jnp.all(jnp.isfinite(jax.jit(jax.vmap(rate))(points)))
    # Closed form: the Laplacian of sqrt(3) (2 rho^2 - 1) is 8 sqrt(3).
    hessian = jax.jit(jax.hessian(lambda q: zernike_polynomials([(2, 0)], *q[::-1])[0]))(
        jnp.zeros(2)
    )
    assert jnp.trace(hessian) == pytest.approx(8 * math.sqrt(3), rel=1e-6)


# -- sums ----------------------------------------------------------------------------------


def test_opd_is_the_weighted_sum():
    rng = np.random.default_rng(0)
    modes = zernike_modes_up_to(4)
    x, y = np.linspace(-1, 1, 9)[None, :], np.linspace(-1, 1, 7)[:, None]
    c = rng.normal(size=(3, 2, len(modes)))
    basis = np.array(
        [
            [[exact_mode(n, m, Fraction(a), Fraction(b)) for a in x[0]] for b in y[:, 0]]
            for n, m in modes
        ]
    )
    expected = np.einsum("...j,jyx->...yx", c, basis)
    result = opd_of(c, modes, y, x)
    assert result.shape == (3, 2, 7, 9)
    np.testing.assert_allclose(result, expected, atol=2e-5)  # 15 terms of size 6 in float32
    np.testing.assert_allclose(opd_of(c[0, 0], modes, y, x), expected[0, 0], atol=2e-5)


def test_opd_of_a_large_grid_inside_jit():
    # jax 0.10.2 computed wrong weighted sums over more than 2^15 samples (jax issue 39103).
    modes, c = zernike_modes_up_to(3), jnp.arange(1.0, 11.0)
    axis = jnp.linspace(-1, 1, 256)
    opd = jax.jit(lambda c: zernike_opd(c, modes, axis[:, None], axis[None, :]))(c)
    basis = np.asarray(polynomials(modes, axis[:, None], axis[None, :]), np.float64)
    expected = np.tensordot(np.asarray(c, np.float64), basis, 1)
    np.testing.assert_allclose(opd, expected, atol=1e-4)  # 10 terms of up to 80 in float32


def test_batches_of_coordinates_and_coefficients():
    modes = ((2, 0), (3, 1), (4, -4))
    scale = jnp.array([0.5, 0.8, 1.0])[:, None, None]
    axis = jnp.linspace(-1, 1, 6)
    x, y = axis * scale, axis[:5, None] * scale
    c = jnp.array([[1.0, 2.0, 3.0], [0.1, 0.2, 0.3], [-1.0, 0.0, 1.0]])
    assert jax.eval_shape(lambda: zernike_polynomials(modes, y, x)).shape == (3, 3, 5, 6)
    loop = jnp.stack([opd_of(c[k], modes, y[k], x[k]) for k in range(3)])
    np.testing.assert_allclose(opd_of(c, modes, y, x), loop, atol=1e-5)  # rounding
    mapped = jax.jit(jax.vmap(lambda a, b, d: zernike_opd(a, modes, b, d)))(c, y, x)
    np.testing.assert_allclose(mapped, loop, atol=1e-5)


@pytest.mark.parametrize("shape", [(), (4,), (1, 1), (2, 3)])
def test_points_of_any_shape(shape):
    x, y = jnp.full(shape, 0.3), jnp.full(shape, -0.2)
    modes = ((2, 0), (3, 1))
    assert polynomials(modes, y, x).shape == (*shape[:-2], 2, *shape[-2:])
    opd = opd_of(jnp.array([[1.0, 2.0]]), modes, y, x)
    expected = exact_mode(2, 0, Fraction(3, 10), Fraction(-1, 5)) + 2 * exact_mode(
        3, 1, Fraction(3, 10), Fraction(-1, 5)
    )
    assert opd.shape == (1, *shape)
    np.testing.assert_allclose(opd, expected, rtol=1e-5)  # float32


def test_rms_wavefront_against_quadrature():
    modes = zernike_modes_up_to(6)
    c = np.random.default_rng(1).normal(size=len(modes))
    nodes, weights = np.polynomial.legendre.leggauss(8)  # exact to degree 15 > 2 * 6
    rho, phi = np.sqrt((nodes + 1) / 2)[:, None], 2 * np.pi * np.arange(16) / 16
    with jax.enable_x64(True):
        opd = np.asarray(opd_of(c, modes, rho * np.sin(phi), rho * np.cos(phi)))
        mean = np.einsum("ab,a->", opd, weights / 2 / 16)
        variance = np.einsum("ab,a->", (opd - mean) ** 2, weights / 2 / 16)
        assert float(rms_wavefront(c, modes)) == pytest.approx(math.sqrt(variance), rel=1e-12)
        assert float(mean) == pytest.approx(c[0], rel=1e-10)


def test_rms_wavefront_at_a_perfect_wavefront():
    modes = zernike_modes_up_to(2)
    value, gradient = jax.jit(jax.value_and_grad(lambda c: rms_wavefront(c, modes)))(jnp.zeros(6))
    assert value == 0
    assert jnp.all(gradient == 0)
    assert rms_wavefront(jnp.ones((4, 6)), modes).shape == (4,)


def test_gradient_of_a_fit_finds_the_coefficients():
    # The gradient of the squared error over exact quadrature nodes is 2 (c - target).
    modes = zernike_modes_up_to(5)
    nodes, weights = np.polynomial.legendre.leggauss(8)
    rho, phi = np.sqrt((nodes + 1) / 2)[:, None], 2 * np.pi * np.arange(16) / 16
    target = np.linspace(-1, 1, len(modes))
    with jax.enable_x64(True):
        x, y, w = rho * np.sin(phi), rho * np.cos(phi), weights[:, None] / 2 / 16
        goal = opd_of(target, modes, y, x)
        loss = jax.jit(jax.grad(lambda c: jnp.sum(w * (opd_of(c, modes, y, x) - goal) ** 2)))
        np.testing.assert_allclose(loss(jnp.zeros(len(modes))), -2 * target, atol=1e-13)


# -- bad input -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: zernike_index(4, convention="nol"), ValueError, "Did you mean 'noll'"),
        (lambda: zernike_index(0, convention="noll"), ValueError, "`j` must be at least 1, got 0"),
        (lambda: zernike_index(-1), ValueError, "at least 0"),
        (lambda: zernike_index(2.0), TypeError, "must be an integer"),
        (lambda: zernike_index(True), TypeError, "must be an integer"),
        (lambda: zernike_number(2, 1), ValueError, r"n - m even, got \(2, 1\)"),
        (lambda: zernike_number(1, 3), ValueError, r"n >= \|m\|"),
        (lambda: zernike_norm(-2, 0), ValueError, r"got \(-2, 0\)"),
        (lambda: zernike_modes_up_to(2.5), TypeError, "`order` must be an integer"),
        (lambda: zernike_modes_up_to(-1), ValueError, "`order` must be at least 0"),
        (lambda: zernike_polynomials([4, 5], 0.0, 0.0), TypeError, "name the convention"),
        (lambda: zernike_polynomials(4, 0.0, 0.0), TypeError, "Name its convention"),
        (lambda: zernike_polynomials((2, 0), 0.0, 0.0), TypeError, r"pass \[\(2, 0\)\]"),
        (lambda: zernike_polynomials(["defocus"], 0.0, 0.0), TypeError, "Pass zernike_mode"),
        (lambda: zernike_polynomials([], 0.0, 0.0), ValueError, "at least one"),
        (lambda: zernike_polynomials([(2, 0, 1)], 0.0, 0.0), ValueError, "two integers"),
        (lambda: zernike_polynomials([(2, 0)], 1j, 0.0), TypeError, "`y` must be real"),
        (lambda: zernike_polynomials([(2, 0)], np.ones(2), np.ones(3)), ValueError, "broadcast"),
        (lambda: zernike_opd([1.0], [(2, 0), (3, 1)], 0.0, 0.0), ValueError, "each of the 2 modes"),
        (lambda: zernike_opd(1.0, [(2, 0)], 0.0, 0.0), ValueError, r"got the shape \(\)"),
        (lambda: zernike_opd([1j], [(2, 0)], 0.0, 0.0), TypeError, "`coefficients` must be real"),
        (lambda: rms_wavefront([1.0, 2.0], [(2, 0)]), ValueError, "each of the 1 modes"),
        (lambda: zernike_radial(3, 2, 0.5), ValueError, "n - m even"),
        (lambda: zernike_radial(2, 0, "rim"), TypeError, "`rho` must be real"),
    ],
)
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_oblique_and_vertical_modes_are_told_from_each_other():
    """The pair of a name has opposite orders, and sine terms of even order are the oblique ones."""
    for n, m in ORDER_20:
        name = zernike_name(n, m)
        if name.startswith(("oblique", "vertical")) and m % 2 == 0:
            assert name.startswith("oblique") == (m < 0), (n, m, name)
            other = {"oblique": "vertical", "vertical": "oblique"}[name.split()[0]]
            assert zernike_name(n, -m) == name.replace(name.split()[0], other)
