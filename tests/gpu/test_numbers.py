"""The GPU's numbers are the CPU's: each row of the table of transforms, float32 and float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_transforms import MAIN, TABLE, everything, near, numbers, slopes_are_near

import jaxwave as jw
from jaxwave import psf

LAYERS = dict(n_s=1.38, n_g=1.523, n_i=1.515, t_s=2.0)


def on_cpu(name):
    with jax.default_device(jax.devices("cpu")[0]), jax.enable_x64(True):
        return jax.device_get(jax.jit(everything(name, MAIN))(numbers(TABLE[name], MAIN)))


@pytest.mark.parametrize("name", TABLE)
def test_values_and_slopes(name):
    leaves, _, slopes = on_cpu(name)
    single = jax.jit(everything(name, MAIN))(numbers(TABLE[name], MAIN))
    assert all(x.devices() == {jax.devices("gpu")[0]} for x in jax.tree.leaves(single))
    near(single[0], leaves, 2 * TABLE[name].float32)
    p, row = numbers(TABLE[name], MAIN), TABLE[name]
    slopes_are_near(single[2], slopes, p, 2 * row.float32)
    with jax.enable_x64(True):
        double = jax.jit(everything(name, MAIN))(numbers(TABLE[name], MAIN))
        near(double[0], leaves, 1e-9)


def both(function):
    """The function's result on the GPU in single, on the CPU in double precision."""
    got = jax.device_get(jax.jit(function)())
    with jax.default_device(jax.devices("cpu")[0]), jax.enable_x64(True):
        return got, jax.device_get(jax.jit(function)())


def test_a_large_window():
    """Phases of thousands of turns, transforms of 2 x 601 x 2 x 512 samples."""

    def image():
        beam = jw.gaussian_beam((601, 512), spacing=(0.5, 0.6), wavelength=0.53, waist=(40.0, 30.0))
        return jw.angular_spectrum(beam, 2500.0, n=1.33).intensity

    near(*both(image), 2e-5)


@pytest.mark.parametrize("pupil", ["clear", "modes", "samples"])
def test_a_stack_of_point_spread_functions(pupil):
    rng = np.random.default_rng(0)
    mask = np.exp(0.3j * rng.normal(size=(65, 65)))

    def stack():
        objective = psf.Objective(1.3, 0.52, layers=psf.Layers(**LAYERS))
        window = psf.Window((33, 40), (0.11, 0.13), z=jnp.linspace(-1.0, 1.3, 9), y=0.04, x=-0.07)
        pupils = {"clear": None, "samples": mask}
        modes = psf.ZernikePupil(jnp.array([0.05, -0.03]), [(2, 2), (3, -1)])
        return psf.emitter_image(objective, window, pupils.get(pupil, modes))

    near(*both(stack), 2e-5)
