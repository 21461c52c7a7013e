"""Error bars against linear regression and against the scatter of many noisy fits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.flatten_util import ravel_pytree

from jaxwave import psf
from jaxwave.calibration.calibrate import least_squares
from jaxwave.calibration.priors import normal
from jaxwave.calibration.uncertainty import (
    Combination,
    Uncertainty,
    plus_minus,
    standard_errors,
    uncertainty,
)

X = np.linspace(-1, 1, 41)


def test_equals_linear_regression() -> None:
    design = np.stack([np.ones_like(X), X, X**2], -1)
    expected = np.linalg.inv(design.T @ design / 0.3**2)

    def residuals(p: dict, x: jax.Array) -> jax.Array:
        return (p["c"][0] + p["c"][1] * x + p["c"][2] * x**2) / 0.3

    errors, covariance = standard_errors(residuals, {"c": jnp.zeros(3)}, jnp.asarray(X))
    np.testing.assert_allclose(covariance, expected, rtol=1e-4, atol=1e-8)  # float32 normal matrix
    np.testing.assert_allclose(errors["c"], np.sqrt(np.diag(expected)), rtol=1e-4)


def test_the_scatter_of_noisy_fits_equals_the_error() -> None:
    rng = np.random.default_rng(1)

    @jax.jit
    def model(p: jax.Array) -> jax.Array:
        return jnp.exp(-p[0] * (X + 1)) + p[1]

    slope, truth = jax.jit(jax.jacfwd(model)), jnp.array([1.3, 0.2])
    fits = []
    for _ in range(200):
        data = np.asarray(model(truth)) + rng.normal(0, 0.02, X.shape)
        p = truth
        for _ in range(4):  # Gauss-Newton
            jacobian = np.asarray(slope(p))
            p = p + np.linalg.lstsq(jacobian, data - np.asarray(model(p)), rcond=None)[0]
        fits.append(np.asarray(p))
    residuals = lambda p: (model(p) - model(truth)) / 0.02  # noqa: E731
    errors, _ = standard_errors(residuals, truth)
    # 200 draws know their standard deviation to 5 %; three of those are allowed
    np.testing.assert_allclose(np.std(fits, axis=0), errors, rtol=0.15)


def test_a_misfit_widens_the_errors() -> None:
    good, _ = standard_errors(lambda p: p * X, jnp.float32(0.0))
    poor, _ = standard_errors(lambda p: p * X + 3 * np.sign(np.sin(40 * X)), jnp.float32(0.0))
    assert 2.5 < float(poor / good) < 3.5  # residuals of three standard deviations


def test_a_prior_bounds_the_error() -> None:
    errors, _ = standard_errors(lambda p: 1e-3 * p * X, jnp.float32(0.0), prior=jnp.float32(0.5))
    assert float(errors) == pytest.approx(0.5, rel=1e-3)


def test_what_the_data_cannot_tell_is_named() -> None:
    start = {"na": jnp.float32(1.0), "pixel": jnp.float32(1.0), "x": jnp.float32(0.0)}
    with pytest.raises(ValueError, match=r"cannot tell \['(na|pixel)'\], \['(na|pixel)'\] apart"):
        standard_errors(lambda p: (p["na"] + p["pixel"]) * X + p["x"], start)
    with pytest.raises(ValueError, match=r"do not depend on \['x'\]"):
        standard_errors(lambda p: p["na"] * X, {"na": jnp.float32(1.0), "x": jnp.float32(0.0)})


# -- uncertainty of a model's named parameters ---------------------------------------------


def line(model: dict, d: jax.Array) -> jax.Array:
    return (model["a"] * X + model["b"][0] + model["b"][1] * X**2 - d) / 0.3


def line_model() -> dict:
    return {"a": jnp.float32(2.0), "b": jnp.array([0.5, -1.0])}


def test_named_errors_equal_linear_regression() -> None:
    model = line_model()
    data = 2 * X + 0.5 - X**2
    got = uncertainty(model, line, data, scale=1.0)
    design = np.stack([X, np.ones_like(X), X**2], -1)
    expected = np.linalg.inv(design.T @ design / 0.3**2)
    assert got.names == ("a", "b[0]", "b[1]")
    np.testing.assert_allclose(got.values, [2, 0.5, -1])
    np.testing.assert_allclose(got.covariance, expected, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(got.errors**2, np.diag(expected), rtol=1e-5)
    size = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(got.correlation, expected / np.outer(size, size), atol=1e-5)
    assert got["b[1]"] == (got.values[2], got.errors[2])
    with pytest.raises(ValueError, match=r"Did you mean 'b\[1\]'"):
        got["b[7]"]


def test_only_what_is_learned_is_unknown() -> None:
    got = uncertainty(line_model(), line, jnp.zeros(41), learn=["a"], scale=1.0)
    assert got.names == ("a",)
    np.testing.assert_allclose(got.errors, 0.3 / np.sqrt(np.sum(X**2)), rtol=1e-5)
    with pytest.raises(ValueError, match="'c'"):
        uncertainty(line_model(), line, jnp.zeros(41), learn=["c"])


def test_misfit_masks_and_priors() -> None:
    model, mask = line_model(), (np.abs(X) < 0.8).astype(np.float32)
    data = 2 * X + 0.5 - X**2 + 0.9 * np.sign(np.sin(40 * X))
    kept = uncertainty(model, lambda m, d: mask * line(m, d), data)
    used = mask > 0
    cut = uncertainty(model, lambda m, d: line(m, d)[used], data)
    assert kept.scale == pytest.approx(cut.scale, rel=1e-6)  # masked samples are no freedom
    assert 2.9 < kept.scale < 3.3
    np.testing.assert_allclose(kept.errors, cut.errors, rtol=1e-5)
    trusted = uncertainty(model, lambda m, d: mask * line(m, d), data, scale=1.0)
    np.testing.assert_allclose(kept.errors, kept.scale * trusted.errors, rtol=1e-6)
    tight = uncertainty(model, line, data, priors={"b": normal(0.5, 1e-3)}, scale=1.0)
    np.testing.assert_allclose(tight.errors[1:], 1e-3, rtol=1e-3)
    np.testing.assert_allclose(tight.information, uncertainty(model, line, data).information)


def test_printed_with_units() -> None:
    model = {"lens": {"f": jnp.float32(180.0)}, "tilt": jnp.float32(0.0)}
    x = jnp.linspace(-1, 1, 41)
    rows = lambda m, d: (m["lens"]["f"] * x + m["tilt"]) / 0.8  # noqa: E731
    got = uncertainty(model, rows, (), scale=1.0, units={"tilt": "rad"})
    assert str(got).splitlines() == ["lens.f = 180.00 ± 0.21 µm", "tilt   = 0.00 ± 0.12 rad"]


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (180.0249, 0.312, "180.02 ± 0.31"),
        (3e-4, 1.24, "0.0 ± 1.2"),
        (123456.0, 124.0, "123460 ± 120"),
        (1.23456e-9, 2.5e-12, "1.2346e-09 ± 2.5e-12"),
        (5.0, 2.5e7, "5.0e+00 ± 2.5e+07"),
        (2.0, np.inf, "2 ± inf"),
    ],
)
def test_digits_follow_the_error(value: float, error: float, text: str) -> None:
    assert plus_minus(value, error) == text


def test_complex_parameters() -> None:
    basis = np.exp(1j * X)
    got = uncertainty(
        {"t": jnp.complex64(1 + 2j)}, lambda m, d: (m["t"] * basis - d) / 0.1, (1 + 2j) * basis
    )
    assert got.names == ("t.real", "t.imag")
    np.testing.assert_allclose(got.values, [1, 2])
    np.testing.assert_allclose(got.errors, 0.1 / np.sqrt(41), rtol=1e-5)


def test_a_least_squares_loss_counts_as_its_residuals() -> None:
    data = 2 * X + 0.5 - X**2
    loss = least_squares(line)
    np.testing.assert_array_equal(
        uncertainty(line_model(), loss, data).errors, uncertainty(line_model(), line, data).errors
    )
    with pytest.raises(ValueError, match="Pass the residuals, not the loss"):
        uncertainty(line_model(), lambda m, d: jnp.sum(line(m, d) ** 2), data)


def test_modules_of_both_kinds_of_numbers() -> None:
    mask = nnx.Dict(height=nnx.Param(jnp.float32(1.0)), width=nnx.Variable(jnp.float32(2.0)))
    rows = lambda m, d: m["height"][...] * X / m["width"][...] - d  # noqa: E731
    assert uncertainty(mask, rows, X / 2).names == ("height",)
    assert uncertainty(mask, rows, X / 2, learn=["width"]).names == ("width",)


def test_compiles_once_for_the_same_residuals() -> None:
    traces = []

    def rows(m: dict, d: jax.Array) -> jax.Array:
        traces.append(1)
        return m["a"] * X - d

    for shift in (0.0, 0.5):
        uncertainty({"a": jnp.float32(shift)}, rows, jnp.asarray(X + shift))
    assert len(traces) == 1


# -- what the data cannot tell apart -------------------------------------------------------


def test_hidden_parameters_have_infinite_errors() -> None:
    model = {"na": jnp.float32(0.8), "pixel": jnp.float32(0.1), "x": jnp.float32(0.0)}
    model["unused"] = jnp.float32(7.0)
    got = uncertainty(model, lambda m, d: m["na"] * m["pixel"] * X + m["x"], (), scale=1.0)
    errors = dict(zip(got.names, got.errors, strict=True))
    assert np.isinf([errors["na"], errors["pixel"], errors["unused"]]).all()
    assert errors["x"] == pytest.approx(1 / np.sqrt(41), rel=1e-5)
    unused, product = got.identifiability()
    assert unused == Combination(("unused",), (1.0,), np.inf)
    assert set(product.names) == {"na", "pixel"}
    # d(na pixel) = 0: the pixel changes by -0.1/0.8 per unit of na
    ratio = (
        product.changes[product.names.index("pixel")] / product.changes[product.names.index("na")]
    )
    assert ratio == pytest.approx(-0.125, rel=1e-4)
    assert "unused: the data do not depend on it" in str(got)


def test_inflation_of_a_known_correlation() -> None:
    """Two columns at an angle t: the difference is known 1/sqrt(1 - cos t) times worse."""
    u, v = np.linalg.qr(np.random.default_rng(0).normal(size=(41, 2)))[0].T
    angle = 0.05
    other = np.cos(angle) * u + np.sin(angle) * v
    model = {"p": jnp.float32(0), "q": jnp.float32(0)}
    got = uncertainty(model, lambda m, d: m["p"] * u + m["q"] * other, (), scale=1.0)
    (only,) = got.identifiability()
    assert only.inflation == pytest.approx(1 / np.sqrt(1 - np.cos(angle)), rel=1e-3)
    assert only.changes == pytest.approx((1.0, -1.0), rel=1e-3)
    assert got.identifiability(limit=50) == []


def emitter(model: dict, data: dict) -> jax.Array:
    """The image of a molecule on a camera, minus the data, in units of the noise."""
    image = psf.scalar_focus_intensity(
        psf.Objective(model["na"], 0.6, n=1.33),
        psf.Window((25, 25), model["pitch"], z=data["z"] - model["z"], x=model["x"]),
        psf.ZernikePupil(model["z4"][None], [(2, 0)], lambda y, x: 1 + 0 * x),
        nodes=16,
    )
    return (model["gain"] * image * model["pitch"] ** 2 - data["image"]) / 1e-4


def emitter_uncertainty(planes: np.ndarray, learn: list[str]) -> Uncertainty:
    model = {"na": 0.5, "pitch": 0.2, "z": 0.0, "z4": 0.0, "x": 0.05, "gain": 1.0}
    model = {name: jnp.float32(value) for name, value in model.items()}
    data = {"z": jnp.asarray(planes, jnp.float32), "image": jnp.zeros((len(planes), 25, 25))}
    return uncertainty(model, emitter, data, learn=learn, scale=1.0)


def test_aperture_and_pixel_pitch_cannot_be_told_apart() -> None:
    """In focus the image of a point depends on NA pitch; depth, which goes with NA², helps."""
    learn = ["na", "pitch", "x", "gain"]
    plane = emitter_uncertainty(np.array([0.0, 0.0]), learn)
    worst = plane.identifiability()[0]
    assert {"na", "pitch"} <= set(worst.names)
    assert "x" not in worst.names
    changes = dict(zip(worst.names, worst.changes, strict=True))
    assert changes["pitch"] / changes["na"] == pytest.approx(-0.2 / 0.5, rel=0.03)
    stack = emitter_uncertainty(np.array([-2.0, 2.0]), learn)
    assert stack["na"][1] < 0.1 * plane["na"][1]


def test_fourth_zernike_mode_and_depth_cannot_be_told_apart() -> None:
    """n z (1 - cos t) is z NA²/(2 n) rho² and Z4 2 sqrt(3) c rho²: c = z NA²/(4 sqrt(3) n)."""
    stack = emitter_uncertainty(np.array([-2.0, 2.0]), ["z", "z4", "x", "gain"])
    (worst,) = stack.identifiability(limit=100)
    assert set(worst.names) == {"z", "z4"}
    ratio = worst.changes[worst.names.index("z4")] / worst.changes[worst.names.index("z")]
    assert abs(ratio) == pytest.approx(0.5**2 / (4 * np.sqrt(3) * 1.33), rel=0.05)
    assert "Hardly told apart: z" in str(stack)


def test_scatter_of_one_hundred_fits_of_a_spot_equals_the_stated_errors() -> None:
    """Position, width, brightness and background of a pixelated spot, fitted to 100 noise draws."""
    place = np.arange(-6, 7) * 0.1
    truth = {k: jnp.float32(v) for k, v in dict(y=0.02, x=-0.03, s=0.2, n=5.0, b=1.0).items()}

    def image(m: dict) -> jax.Array:
        r2 = (place[:, None] - m["y"]) ** 2 + (place - m["x"]) ** 2
        return m["n"] * jnp.exp(-r2 / (2 * m["s"] ** 2)) + m["b"]

    def rows(m: dict, d: jax.Array) -> jax.Array:
        return (image(m) - d) / 0.2

    def fit(data: jax.Array) -> jax.Array:
        flat, unravel = ravel_pytree(truth)
        residuals = lambda p: jnp.ravel(rows(unravel(p), data))  # noqa: E731

        def step(p: jax.Array, _: None) -> tuple[jax.Array, None]:  # Gauss-Newton
            slope = jax.jacfwd(residuals)(p)
            return p - jnp.linalg.solve(slope.T @ slope, slope.T @ residuals(p)), None

        return jax.lax.scan(step, flat, None, length=5)[0]

    noise = np.random.default_rng(7).normal(0, 0.2, (100, 13, 13)).astype(np.float32)
    fits = jax.jit(jax.vmap(fit))(np.asarray(image(truth)) + noise)
    stated = uncertainty(truth, rows, image(truth), scale=1.0)
    assert stated.names == ("b", "n", "s", "x", "y")
    np.testing.assert_allclose(np.std(np.asarray(fits), axis=0), stated.errors, rtol=0.15)
