"""The bead model against a float64 polar quadrature of the same physics, written here."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave import _code, psf
from jaxwave.beads import model as bead_model
from jaxwave.beads.basis import pupil_basis
from jaxwave.beads.model import (
    SCALES,
    BeadModel,
    blur_parameter,
    positions,
    pupil,
)
from jaxwave.calibration import _key

bead_stack = jax.jit(bead_model.bead_stack, static_argnums=0)  # op by op it takes seconds
NA, WAVELENGTH, N = 0.85, 0.52, 1.0
MODEL = BeadModel(
    psf.Objective(na=NA, wavelength=WAVELENGTH, n=N), pixel=0.06, shape=(33, 32), margin=8
)


def _angles(n_theta: int = 60, n_phi: int = 120) -> tuple[np.ndarray, ...]:
    node, weight = np.polynomial.legendre.leggauss(n_theta)
    sine = 0.5 * NA / N * (node + 1)
    phi = 2 * np.pi * np.arange(n_phi) / n_phi
    area = (0.5 * NA / N * weight * sine)[:, None] * (2 * np.pi / n_phi) * np.ones(n_phi)
    return sine[:, None] + 0 * phi, phi + 0 * sine[:, None], area


def _intensity(
    y: np.ndarray, x: np.ndarray, z: float, opd: np.ndarray, vectorial: bool
) -> np.ndarray:
    """Sum of |field|^2 over dipoles and polarizations, from spherical unit vectors."""
    sine, phi, area = _angles()
    cosine = np.sqrt(1 - sine**2)
    e_theta = np.stack([cosine * np.cos(phi), cosine * np.sin(phi), -sine])
    e_phi = np.stack([-np.sin(phi), np.cos(phi), 0 * phi])
    e_rho = np.stack([np.cos(phi), np.sin(phi)])  # collimated by the objective
    e_phi2 = e_phi[:2]
    sx, sy = sine * np.cos(phi), sine * np.sin(phi)
    phase = opd + N * (sx[..., None] * x + sy[..., None] * y) + (N * z * (cosine - 1))[..., None]
    wave = np.exp(2j * np.pi * phase / WAVELENGTH) * (area / np.sqrt(cosine))[..., None]
    if not vectorial:
        return np.abs(wave.sum((0, 1))) ** 2
    total = np.zeros(len(x))
    for d in range(3):  # dipoles along x, y, z
        far = e_theta[d] * e_rho + e_phi[d] * e_phi2
        for component in far:
            total += np.abs((component[..., None] * wave).sum((0, 1))) ** 2
    return total


@pytest.mark.parametrize("vectorial", [True, False])
def test_the_stack_is_the_quadrature(vectorial: bool) -> None:
    model = dataclasses.replace(MODEL, vectorial=vectorial, pupil_samples=128)
    sharp = {
        **model.start(),
        "blur": jnp.asarray(blur_parameter(np.zeros(2)), jnp.float32),
        "y": jnp.float32(0.7),
    }
    z = np.array([0.0, 0.9])
    stack = np.asarray(bead_stack(model, sharp, z, pupil_basis(model)), np.float64)
    row, column = np.array([16, 16, 20, 25]), np.array([16, 20, 16, 10])
    y0 = 0.7 * SCALES["y"]
    offsets = (
        np.polynomial.legendre.leggauss(4)[0] * 0.5,
        np.polynomial.legendre.leggauss(4)[1] / 2,
    )
    for k, height in enumerate(z):
        expected = np.zeros(len(row))
        for dy, wy in zip(*offsets, strict=True):  # integral over the pixel
            for dx, wx in zip(*offsets, strict=True):
                y = (row - 16 + dy) * 0.06 - y0
                x = (column - 16 + dx) * 0.06
                opd = np.zeros((60, 120, 1))
                expected += wy * wx * _intensity(y, x, height, opd, vectorial)
        ratio = stack[k, row, column] / expected
        if k == 0:
            unit = ratio[0]
        # 128 samples with an area-weighted rim: a few 1e-4 of the peak
        error = np.abs(stack[k, row, column] / unit - expected) / expected.max()
        assert error.max() < 1e-3, error


def test_aberrations_have_the_right_sign_against_defocus() -> None:
    # +spherical OPD delays the rim; the paraxial and marginal foci part, so +z and -z differ.
    model = dataclasses.replace(MODEL, shape=(32, 32), pupil_samples=64)
    k = model.modes.index((4, 0))
    coefficients = np.zeros(len(model.modes), np.float32)
    coefficients[k] = 0.04 / SCALES["zernike"]
    start = {
        **model.start(),
        "zernike": jnp.asarray(coefficients),
        "blur": jnp.asarray(blur_parameter(np.zeros(2)), jnp.float32),
    }
    z = np.array([-0.8, 0.8])
    stack = np.asarray(bead_stack(model, start, z, pupil_basis(model)))
    sine, _, _ = _angles()
    rho = sine * N / NA
    opd = 0.04 * np.sqrt(5) * (6 * rho**4 - 6 * rho**2 + 1)
    zero = np.zeros(1)
    expected = [_intensity(zero, zero, h, opd[..., None], True)[0] for h in z]
    ratio = stack[1, 16, 16] / stack[0, 16, 16]
    assert ratio == pytest.approx(expected[1] / expected[0], rel=0.05)  # pixel integration is in
    assert abs(np.log(ratio)) > 0.15  # a conjugate pupil would turn the ratio around


def test_light_is_conserved_and_shared() -> None:
    model = dataclasses.replace(MODEL, shape=(80, 80))
    stack = bead_stack(model, model.start(), np.array([0.0, 0.5]), pupil_basis(model))
    assert np.all((np.asarray(stack.sum((1, 2))) > 0.9) & (np.asarray(stack.sum((1, 2))) <= 1.001))


def test_positive_coordinates_move_the_bead_to_positive_pixels() -> None:
    start = {**MODEL.start(), "y": jnp.float32(3.0), "x": jnp.float32(-2.4)}
    stack = np.asarray(bead_stack(MODEL, start, np.array([0.0]), pupil_basis(MODEL)))[0]
    assert np.unravel_index(stack.argmax(), stack.shape) == (16 + 5, 16 - 4)  # 0.30, -0.24 µm


def test_free_maps_carry_no_gauge() -> None:
    basis = pupil_basis(MODEL)
    rng = np.random.default_rng(0)
    noise = {**MODEL.start(), "phase_map": jnp.asarray(rng.normal(size=(48, 48)), jnp.float32)}
    _, opd = pupil(MODEL, noise, basis)
    for function in (*basis["phase"], basis["near"], basis["cosine"] * basis["near"]):
        overlap = np.sum(np.asarray(opd) * function) / np.linalg.norm(function)
        assert abs(overlap) < 1e-4 * np.linalg.norm(opd)


def test_drift_is_a_polynomial_of_the_whole_range() -> None:
    p = {
        **MODEL.start(),
        "drift_x": jnp.array([1.0, 0.0, 0.0]),
        "drift_z": jnp.array([0.0, 1.0, 0.0]),
    }
    _, x, focus = positions(MODEL, p, np.array([-2.0, 0.0, 1.0]))
    np.testing.assert_allclose(x, 0.1 * np.array([-1, 0, 0.5]), atol=1e-6)
    np.testing.assert_allclose(focus, [-2 - 0.1, 0, 1 + 0.1 / 8], atol=1e-6)


def test_a_shape_of_one_number_and_lengths_in_other_units() -> None:
    objective = psf.Objective(na=0.8, wavelength="500 nm", n=1.0)
    model = BeadModel(objective, pixel="130 nm", shape=16)
    assert model.shape == (16, 16) and model.pixel == 0.13
    assert model.cutoff == pytest.approx(2 * 0.8 * 0.13 / 0.5)
    with pytest.raises(ValueError, match=r"BeadModel: `pixel` .* 108 looks like nanometres"):
        BeadModel(objective, pixel=108, shape=16)


def test_objectives_that_a_model_cannot_have() -> None:
    given = dict(na=0.8, wavelength=0.5, n=1.0)
    for wrong, message in (
        ({"na": np.array([0.8, 0.7])}, "`objective` must be one with known numbers"),
        ({"motion": "emitter"}, "motion='stage', got 'aplanatic' and 'emitter'"),
        ({"apodization": "none"}, "apodization='aplanatic'"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            BeadModel(psf.Objective(**given | wrong), pixel=0.13, shape=16)
    with pytest.raises(TypeError, match=r"must be a psf\.Objective, got float"):
        BeadModel(0.8, pixel=0.13, shape=16)
    with pytest.raises(TypeError, match="not traced"):
        jax.jit(lambda na: BeadModel(psf.Objective(na, 0.5), pixel=0.13, shape=16).na)(0.8)


def test_equal_models_are_one_and_come_back_from_a_file() -> None:
    layers = psf.Layers(n_s=1.33, n_g=(1.5, 1.52), n_i=1.518, t_s=2.0, t_g=(100.0, 70.0))
    made = [
        BeadModel(psf.Objective(na=1.2, wavelength=0.52, layers=layers), pixel=0.06, shape=(16, 17))
        for _ in range(2)
    ]
    other = dataclasses.replace(made[0], objective=dataclasses.replace(made[0].objective, na=1.1))
    assert made[0] == made[1] and hash(made[0]) == hash(made[1]) and made[0] != other
    assert _key.key(made[0]) == _key.key(made[1]) != _key.key(other)
    assert _code.describe(made[0]) == _code.describe(made[1]) != _code.describe(other)
    text = json.dumps(bead_model.described(made[0]))
    assert bead_model.restored(json.loads(text)) == made[0]


def test_gradients_are_finite_and_right() -> None:
    with jax.enable_x64(True):
        model = BeadModel(
            psf.Objective(na=NA, wavelength=WAVELENGTH, n=N),
            pixel=0.12,
            shape=(16, 16),
            order=3,
            pupil_samples=24,
            margin=4,
        )
        basis = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), pupil_basis(model))
        start = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64) + 0.05, model.start())
        z, target = jnp.array([-0.5, 0.4]), jnp.full((2, 16, 16), 0.01)

        @jax.jit
        def loss(p: dict) -> jax.Array:
            return 1e3 * jnp.sum((bead_stack(model, p, z, basis) - target) ** 2)

        gradient = jax.jit(jax.grad(loss))(start)
        rng = np.random.default_rng(0)
        for name in start:
            direction = {k: jnp.zeros_like(v) for k, v in start.items()}
            direction[name] = jnp.asarray(rng.normal(size=start[name].shape))

            def moved(step: float, direction: dict = direction) -> float:
                return float(loss(jax.tree.map(lambda a, d: a + step * d, start, direction)))

            numeric = (moved(1e-4) - moved(-1e-4)) / 2e-4
            exact = float(jnp.sum(gradient[name] * direction[name]))
            # float32 constants inside (pupil grid) leave the steps exact, not the last digits
            assert exact == pytest.approx(numeric, rel=2e-4, abs=1e-6), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pupil_samples": 8}, r"`pupil_samples` = 8 repeats the image .* Pass \d+ or more"),
        ({"order": 1}, "`order` must be at least 2"),
        ({"pixel": 120.0}, "120 looks like nanometres; pass 0.12 or '120 nm'"),
    ],
)
def test_errors(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(MODEL, **change)


@pytest.mark.parametrize("pixel", [0.15, 0.31])
def test_the_blur_has_its_standard_deviation_in_pixels(pixel: float) -> None:
    model = dataclasses.replace(MODEL, pixel=pixel, shape=(32, 33), pupil_samples=None)
    fine = model.samples_per_pixel
    origin = [n * fine // 2 for n in (48, 49)]  # of the samples of the intensity
    point = np.zeros((1, *model.grid_shape), np.float32)
    point[0, origin[0], origin[1]] = 1
    width = np.array([1.5, 2.5], np.float32)
    image = np.asarray(bead_model._camera(model, jnp.asarray(point), width**2, 1.0), np.float64)[0]
    assert fine == (1 if pixel < 0.2 else 3)
    y, x = np.arange(32) - 16.0, np.arange(33) - 16.0
    total = image.sum()
    variances = (y**2 @ image.sum(1) / total, x**2 @ image.sum(0) / total)
    # plus the pixel's own 1/12; its sinc is sampled up to Nyquist only
    np.testing.assert_allclose(variances, (1.5**2 + 1 / 12, 2.5**2 + 1 / 12), rtol=2e-3)


def test_positions_are_their_polynomials() -> None:
    model = BeadModel(psf.Objective(na=0.8, wavelength=0.5, n=1.0), pixel=0.13, shape=(16, 16))
    rng = np.random.default_rng(0)
    names = ("y", "x", "z", "dz", "drift_y", "drift_x", "drift_z")
    p = model.start()
    p |= {k: jnp.asarray(rng.normal(size=p[k].shape), jnp.float32) for k in names}
    v = bead_model.physical(model, p)
    z = np.array([-1.0, 0.5, 2.0])
    q = z / 2
    for got, need in zip(
        bead_model.positions(model, p, z),
        (
            v["y_um"] + v["drift_y_um"] @ [q, q**2, q**3],
            v["x_um"] + v["drift_x_um"] @ [q, q**2, q**3],
            z * v["dz_factor"] - v["z_um"] + v["drift_z_um"] @ [q**2, q**3, q**4],
        ),
        strict=True,
    ):
        np.testing.assert_allclose(got, need, rtol=1e-5, atol=1e-6)
