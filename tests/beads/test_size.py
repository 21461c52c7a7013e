"""A finite bead against emitters put side by side in its volume."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave import psf
from jaxwave.beads import model as bead_model
from jaxwave.beads.basis import pupil_basis
from jaxwave.beads.model import SCALES, BeadModel

bead_stack = jax.jit(bead_model.bead_stack, static_argnums=0)
POINT = BeadModel(
    psf.Objective(na=0.8, wavelength=0.5, n=1.0),
    pixel=0.1,
    shape=(24, 25),
    order=4,
    pupil_samples=32,
    vectorial=False,
)
Z = np.array([-0.8, 0.0, 0.5])


def aberrated(model: BeadModel) -> dict:
    parameters = model.start(0.0)
    values = np.zeros(len(model.modes))
    values[model.modes.index((4, 0))] = 0.03 / SCALES["zernike"]
    values[model.modes.index((3, 1))] = 0.02 / SCALES["zernike"]
    return {**parameters, "zernike": jnp.asarray(values, jnp.float32)}


def image(model: BeadModel) -> np.ndarray:
    basis = jax.tree.map(jnp.asarray, pupil_basis(model))
    return np.asarray(bead_stack(model, aberrated(model), jnp.asarray(Z), basis), np.float64)


def emitters(diameter: float) -> np.ndarray:
    """Mean of the images of points: Gauss-Legendre along z and radius, even in azimuth."""
    basis, parameters = jax.tree.map(jnp.asarray, pupil_basis(POINT)), aberrated(POINT)
    radius, total, light = diameter / 2, 0.0, 0.0
    t, weight_t = np.polynomial.legendre.leggauss(7)
    s, weight_s = np.polynomial.legendre.leggauss(4)
    for height, share in zip(radius * t, weight_t, strict=True):
        edge = np.sqrt(radius**2 - height**2)
        for r, w in zip(edge * (s + 1) / 2, weight_s, strict=True):
            for phi in 2 * np.pi * np.arange(9) / 9:
                part = share * w * r * edge / 2
                place = {"z": height, "y": r * np.sin(phi), "x": r * np.cos(phi)}
                moved = {k: jnp.float32(v / SCALES[k]) for k, v in place.items()}
                point = bead_stack(POINT, {**parameters, **moved}, jnp.asarray(Z), basis)
                total, light = total + part * np.asarray(point, np.float64), light + part
    return total / light


@pytest.mark.parametrize("diameter", [0.2, 0.6])
def test_a_bead_is_the_sum_of_its_emitters(diameter):
    bead = image(dataclasses.replace(POINT, bead_diameter=diameter))
    need, point = emitters(diameter), image(POINT)
    # 1e-4 is what the quadrature of this test leaves at the larger one
    assert np.abs(bead - need).max() < 2e-4 * need.max()
    assert np.abs(point - need).max() > 20 * np.abs(bead - need).max(), "the bead must matter"


def test_a_small_bead_is_a_point_and_light_is_kept():
    point, tiny = image(POINT), image(dataclasses.replace(POINT, bead_diameter=1e-3))
    np.testing.assert_allclose(tiny, point, atol=1e-5 * point.max())
    bead = image(dataclasses.replace(POINT, bead_diameter=0.3))
    np.testing.assert_allclose(bead.sum((1, 2)), point.sum((1, 2)), rtol=5e-3)


@pytest.mark.parametrize(("diameter", "text"), [(-0.1, "zero or more"), (170.0, "micrometers")])
def test_an_absurd_bead_is_refused(diameter, text):
    with pytest.raises(ValueError, match=text):
        dataclasses.replace(POINT, bead_diameter=diameter)
