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
    positive,
)
from jaxwave.elements import (
    AngularSpectrum,
    FFLens,
    GaussianBeam,
    PixelIntegrate,
    Slm,
    System,
    ThinLens,
)

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
    image = psf.emitter_image(
        psf.Objective(model["na"], 0.6, n=1.515),
        psf.Window((24, 24), model["pitch"], z=Z),
        psf.ZernikePupil(model["zernike"], MODES),
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


# -- indices -------------------------------------------------------------------------------


def test_the_index_of_a_medium() -> None:
    def make(n: float) -> System:
        return System(free=AngularSpectrum(400.0, n=n))

    data = noisy(make(1.362)(wave()).intensity, 1e3)
    found = calibrate(
        make(1.33),
        least_squares(image_residuals),
        (wave(), data),
        learn=["free.n"],
        scales={"free.n": 0.01},
        optimizer=LM,
        steps=12,
    )
    assert float(found.parameters()["free.n"]) == pytest.approx(1.362, abs=5e-4)


@pytest.mark.slow
def test_indices_of_sample_and_immersion_with_the_aperture() -> None:
    """An emitter 8 µm deep in a cell, seen through oil that is not what the objective wants."""

    def image(model: dict) -> jax.Array:
        layers = psf.Layers(
            n_s=model["n_s"],
            n_g=1.523,
            n_i=model["n_i"],
            n_i_design=1.515,
            t_s=8.0,
            t_g=170.0,
            t_g_design=170.0,
        )
        planes = psf.emitter_image(
            psf.Objective(model["na"], 0.6, layers=layers),
            psf.Window((24, 24), 0.1, z=jnp.linspace(-1.5, 1.5, 7)),
            nodes=(96, 0, 48),
        )
        return 3e4 * planes + 1.0

    def residuals(model: dict, data: jax.Array) -> jax.Array:
        return 2 * (jnp.sqrt(image(model) + 0.375) - jnp.sqrt(data + 0.375))

    truth = {"n_s": jnp.float32(1.372), "n_i": jnp.float32(1.5135), "na": jnp.float32(1.22)}
    start = {"n_s": jnp.float32(1.34), "n_i": jnp.float32(1.515), "na": jnp.float32(1.2)}
    data = jax.random.poisson(jax.random.key(11), image(truth)).astype(jnp.float32)
    found = calibrate(
        start,
        least_squares(residuals),
        data,
        scales={"n_s": 0.01, "n_i": 0.002, "na": 0.01},
        optimizer=LM,
        steps=12,
    )
    for name, error in (("n_s", 1.5e-3), ("n_i", 3e-4), ("na", 1e-3)):
        assert float(found.model[name]) == pytest.approx(float(truth[name]), abs=error), name


# -- a spatial light modulator -------------------------------------------------------------

TABLE = 6.6 * jnp.linspace(0, 1, 8) ** 1.4 + 0.2


def modulator(**numbers: object) -> System:
    """Random levels, seen in the focal plane of a lens."""
    levels = jax.random.randint(jax.random.key(1), (4, 16, 16), 0, 8).astype(float)
    return System(
        beam=GaussianBeam((64, 64), spacing=2.0, wavelength=0.6, waist=45.0, power=1e8),
        slm=Slm(levels, y=2.1, x=3.4, **numbers),
        lens=FFLens(5000.0),
    )


@pytest.mark.slow
def test_fill_factor_table_and_pitch_of_a_modulator() -> None:
    truth = {"fill_factor": 0.83, "table": TABLE, "pitch": 8.03}
    start = {"fill_factor": 0.95, "table": jnp.linspace(0, 6, 8), "pitch": 8.0}
    data = jax.random.poisson(jax.random.key(2), modulator(**truth)().intensity)

    def residuals(model: System, data: jax.Array) -> jax.Array:
        return 2 * (jnp.sqrt(model().intensity + 0.375) - jnp.sqrt(data + 0.375))

    found = calibrate(
        modulator(**start),
        least_squares(residuals),
        data.astype(jnp.float32),
        learn=[f"slm.{name}" for name in truth],
        scales={"slm.table": 0.3, "slm.fill_factor": 0.05, "slm.pitch": 0.05},
        optimizer=LM,
        steps=15,
    )
    got = found.model.slm.arguments()
    assert float(got["fill_factor"]) == pytest.approx(0.83, abs=2e-3)
    assert float(got["pitch"]) == pytest.approx(8.03, abs=1e-3)
    assert float(jnp.abs(got["table"] - TABLE).max()) < 0.03


# -- a camera ------------------------------------------------------------------------------


def test_gain_and_read_noise_from_images() -> None:
    """Photon transfer: how the noise grows with the mean tells electrons from counts."""
    lamp = 1 + 0.5 * jnp.sin(jnp.linspace(0, 7, 48)) * jnp.ones((48, 1))
    exposure = jnp.array([0.0, 1.0, 4.0, 16.0, 40.0, 100.0])[:, None, None]
    truth = {"level": 25.0, "gain": 0.46, "read_noise": 1.9, "offset": 100.3}
    start = {"level": 20.0, "gain": 0.7, "read_noise": 3.0, "offset": 99.0}
    truth, start = ({k: jnp.float32(v) for k, v in p.items()} for p in (truth, start))

    def photons(model: dict) -> jax.Array:
        return model["level"] * exposure * lamp

    rest = {k: v for k, v in truth.items() if k != "level"}
    data = jw.camera(jax.random.key(4), photons(truth), **rest)

    def loss(model: dict, data: jax.Array) -> jax.Array:
        light, gain = photons(model), model["gain"]
        mean = jw.expected_counts(light, gain=gain, offset=model["offset"])
        spread = jw.counts_variance(light, gain=gain, read_noise=model["read_noise"])
        return jw.gaussian_nll(mean, data, spread, axis=None) / data.size

    found = calibrate(
        start,
        loss,
        data,
        constraints={"gain": positive(), "read_noise": positive()},
        scales={"level": 5.0},
        optimizer=lbfgs(),
        steps=80,
    )
    # Squared noise of 14,000 pixels is known to 1.2 %.
    assert float(found.model["gain"]) == pytest.approx(0.46, rel=0.02)
    assert float(found.model["read_noise"]) == pytest.approx(1.9, rel=0.03)
    assert float(found.model["offset"]) == pytest.approx(100.3, abs=0.2)
    # In electrons the light is known no better than the gain, in counts much better.
    ratio = found.model["level"] / found.model["gain"]
    assert float(ratio) == pytest.approx(25 / 0.46, rel=1e-3)


def test_the_pitch_of_a_camera() -> None:
    def residuals(model: PixelIntegrate, data: tuple) -> jax.Array:
        photons, image = data
        got = model(photons)
        return 2 * (jnp.sqrt(got + 0.375) - jnp.sqrt(image + 0.375))

    def make(pitch: float, fill: float) -> PixelIntegrate:
        return PixelIntegrate(spacing=2.0, pitch=pitch, fill_factor=fill, shape=(14, 14))

    photons = 100 * OBJECT
    data = jax.random.poisson(jax.random.key(7), make(6.43, 0.8)(photons)).astype(jnp.float32)
    found = calibrate(
        make(6.5, 0.9),
        least_squares(residuals),
        (photons, data),
        learn=["pitch", "fill_factor"],
        scales={"pitch": 0.05, "fill_factor": 0.05},
        optimizer=LM,
        steps=15,
    )
    assert float(found.parameters()["pitch"]) == pytest.approx(6.43, abs=3e-3)
    assert float(found.parameters()["fill_factor"]) == pytest.approx(0.8, abs=3e-3)
