"""What was put into synthetic data comes out again, through the library's own functions."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxwave as jw
from jaxwave import psf
from jaxwave.calibration import (
    Stage,
    calibrate,
    lbfgs,
    least_squares,
    levenberg_marquardt,
    normal,
)
from jaxwave.elements import AngularSpectrum, System, ThinLens

SIZE = 48
OBJECT = 0.2 + 0.8 * jax.random.uniform(jax.random.key(3), (12, 12))
OBJECT = jnp.pad(jnp.kron(OBJECT, jnp.ones((2, 2))), 12)
LM = levenberg_marquardt(damping=1e-2)


def wave(wavelength: object = 0.6) -> jw.Field:
    field = jw.plane_wave((SIZE, SIZE), spacing=2.0, wavelength=wavelength)
    return jw.amplitude_mask(field, OBJECT)


def image_residuals(system: System, data: tuple) -> jax.Array:
    field, image = data
    return (system(field).intensity - image) / jnp.mean(image)


def noisy(image: jax.Array, photons: float, seed: int = 0) -> jax.Array:
    scale = photons / jnp.mean(image)
    counts = jax.random.poisson(jax.random.key(seed), image * scale)
    return counts.astype(jnp.float32) / scale


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "name", "truth", "start", "error"),
    [
        (lambda z: System(free=AngularSpectrum(z)), "free.z", 230.0, 200.0, 0.05),
        (
            lambda f: System(lens=ThinLens(f), free=AngularSpectrum(450.0)),
            "lens.f",
            900.0,
            1000.0,
            0.5,
        ),
    ],
    ids=["distance", "focal length"],
)
def test_a_length(make, name, truth, start, error) -> None:
    data = noisy(make(truth)(wave()).intensity, 1e3)
    found = calibrate(
        make(start),
        least_squares(image_residuals),
        (wave(), data),
        learn=[name],
        scales={name: 10.0},
        optimizer=LM,
        steps=20,
    )
    assert float(found.parameters()[name]) == pytest.approx(truth, abs=error)


def test_wavelength() -> None:
    def residuals(model: dict, image: jax.Array) -> jax.Array:
        field = jw.angular_spectrum(wave(model["wavelength"]), 300.0)
        return field.intensity - image

    data = noisy(jw.angular_spectrum(wave(0.61), 300.0).intensity, 1e3)
    found = calibrate(
        {"wavelength": jnp.float32(0.58)},
        least_squares(residuals),
        data,
        scales={"wavelength": 0.01},
        optimizer=LM,
        steps=20,
    )
    assert float(found.model["wavelength"]) == pytest.approx(0.61, abs=1e-4)


# -- an objective --------------------------------------------------------------------------

MODES = [mode for mode in jw.zernike_modes_up_to(6, start=2) if mode != (2, 0)]
Z = jnp.linspace(-1.0, 1.0, 5)


def stack(model: dict) -> jax.Array:
    def pupil(x: jax.Array, y: jax.Array) -> jax.Array:
        return psf.zernike_pupil(x, y, coefficients=model["zernike"], modes=MODES, wavelength=0.6)

    image = psf.cartesian_dipole_intensity(
        pupil,
        (24, 24),
        z=Z,
        spacing=model["pitch"],
        na=model["na"],
        wavelength=0.6,
        n=1.515,
        nodes=48,
    )
    return 1e5 * image * model["pitch"] ** 2 + 1.0


def stack_residuals(model: dict, data: jax.Array) -> jax.Array:
    # Anscombe: weights out of the noisy data themselves would pull all widths upward.
    return 2 * (jnp.sqrt(stack(model) + 0.375) - jnp.sqrt(data + 0.375))


@pytest.mark.slow
def test_aperture_pitch_and_aberrations_together() -> None:
    c = 0.03 * jax.random.normal(jax.random.key(5), (len(MODES),)) / jnp.sqrt(len(MODES))
    truth = {"zernike": c, "na": jnp.float32(1.18), "pitch": jnp.float32(0.093)}
    data = jax.random.poisson(jax.random.key(6), stack(truth)).astype(jnp.float32)
    start = {"zernike": jnp.zeros(len(MODES)), "na": jnp.float32(1.2), "pitch": jnp.float32(0.09)}
    found = calibrate(
        start,
        least_squares(stack_residuals),
        data,
        scales={"zernike": 0.02, "na": 0.01, "pitch": 0.001},
        priors={"na": normal(1.2, 0.05)},
        optimizer=LM,
        steps=10,
    )
    assert float(found.model["na"]) == pytest.approx(1.18, abs=5e-3)
    assert float(found.model["pitch"]) == pytest.approx(0.093, abs=2e-4)
    assert float(jnp.abs(found.model["zernike"] - c).max()) < 2e-3  # two nanometers
    # chi² of shot noise: one for each pixel
    assert 2 * found.loss / data.size == pytest.approx(1, abs=0.1)


# -- a free pupil --------------------------------------------------------------------------


@pytest.mark.slow
def test_a_free_pupil_from_defocused_images() -> None:
    size, planes = 48, jnp.array([-400.0, -150.0, 150.0, 400.0])
    field = jw.gaussian_beam((size, size), spacing=4.0, wavelength=0.6, waist=12.0)
    rough = jax.random.normal(jax.random.key(8), (size, size))
    k = np.fft.fftfreq(size)
    low = np.exp(-((np.hypot(k[:, None], k) / 0.06) ** 2))
    truth = jnp.fft.ifft2(jnp.fft.fft2(rough) * low).real
    truth = 1.2 * truth / jnp.std(truth)

    def image(phase: jax.Array, z: jax.Array, field: jw.Field) -> jax.Array:
        pupil = jw.ff_lens(field, 5000.0)
        return jw.angular_spectrum(jw.ff_lens(jw.phase_mask(pupil, phase), 5000.0), z).intensity

    def images(phase: jax.Array, field: jw.Field) -> jax.Array:
        return jax.vmap(image, in_axes=(None, 0, None))(phase, planes, field)

    clean = images(truth, field)
    data = noisy(clean, 1e3)

    def loss(model: dict, data: tuple) -> jax.Array:
        images_, field = data
        return jnp.sum((images(model["phase"], field) - images_) ** 2) / jnp.sum(images_**2)

    found = calibrate(
        {"phase": jnp.zeros((size, size))},
        loss,
        (data, field),
        stages=[Stage(steps=200, optimizer=optax.adam(0.05)), Stage(steps=60, optimizer=lbfgs())],
    )
    lit = jw.ff_lens(field, 5000.0).intensity
    off = np.asarray(found.model["phase"] - truth)
    turn = jnp.angle(jnp.sum(lit * jnp.exp(1j * off)))
    rest = np.angle(np.exp(1j * (off - turn)))
    rms = np.sqrt(np.sum(lit * rest**2) / np.sum(lit))
    assert rms < 0.05 and found.loss < 2e-3
