"""A calibration on the GPU ends where the same calibration on the CPU ends."""

from pathlib import Path

import jax
import numpy as np
import pytest

import jaxwave as jw

pytest.importorskip("flax")
pytest.importorskip("optax")
from jaxwave import calibration, elements

BEAD = Path(__file__).parents[2] / "examples" / "data" / "bead_air_na085.tif"


def on_both(function):
    got = function()
    with jax.default_device(jax.devices("cpu")[0]):
        return got, function()


def bench(z):
    light = elements.PlaneWave((96, 90), spacing=(4, 4.2), wavelength="532 nm", power=1e8)
    stop, free = elements.CircularAperture("100 um"), elements.AngularSpectrum(z)
    return elements.System(light=light, stop=stop, free=free, image=elements.Intensity())


@pytest.mark.parametrize("optimizer", ["levenberg_marquardt", "lbfgs"])
def test_a_bench_is_learned(optimizer):
    with jax.default_device(jax.devices("cpu")[0]):
        image = np.asarray(bench("21 mm")())
    image = image + 20 * np.random.default_rng(0).normal(size=image.shape).astype(np.float32)
    names = ["stop.radius", "free.z"]

    def fit():
        loss = calibration.least_squares(lambda system, image: (system() - image) / 20)
        optimizer_ = getattr(calibration, optimizer)()
        found = calibration.calibrate(
            bench("20 mm"), loss, image, learn=names, optimizer=optimizer_
        )
        return calibration.uncertainty(found.model, loss, image, learn=names)

    gpu, cpu = on_both(fit)
    assert np.all(np.abs(gpu.values - cpu.values) < 0.1 * cpu.errors)
    assert np.all(np.abs(gpu.errors / cpu.errors - 1) < 0.02)
    assert np.all(np.abs(gpu.values - [21000, 100]) < 4 * gpu.errors)


def test_a_bead_is_calibrated():
    io = pytest.importorskip("jaxwave.io")
    from jaxwave.beads import BeadModel, cut_bead, find_beads, fit_bead

    with pytest.warns(jw.JaxwaveWarning, match="pixel"):  # the file states another one
        stack = io.read_stack(BEAD, pixel=0.13, dz=0.3)
    window = cut_bead(stack, next(b for b in find_beads(stack, size=32) if b.ok), 32)
    z = 0.3 * (np.arange(len(window.data)) - len(window.data) // 2)
    model = BeadModel(
        na=0.85, wavelength=0.52, pixel=0.13, n=1.0, shape=window.data.shape[1:], order=4
    )
    gpu, cpu = on_both(lambda: fit_bead(window.data, z, model))
    score = "heldout_per_plane_gain"
    assert abs(gpu.scores[score] / cpu.scores[score] - 1) < 0.05  # a flat valley


def test_random_numbers_are_the_same():
    got, need = on_both(lambda: jw.shot_noise(jax.random.key(3), np.full((9, 11), 40.0)))
    assert np.array_equal(got, need)
