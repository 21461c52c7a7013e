"""A bead in a sample of another index, against the layered models of jaxwave.psf."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave import psf
from jaxwave.beads import model as bead_model
from jaxwave.beads.basis import pupil_basis
from jaxwave.beads.model import BeadModel, blur_parameter

bead_stack = jax.jit(bead_model.bead_stack, static_argnums=0)
GLASS, PIXEL, WAVELENGTH = 1.518, 0.06, 0.52
SHAPE = (24, 25)


def through(na, n_s=1.33, t_s=2.0, **others):
    """A model of a bead in a sample of the index n_s, t_s behind the coverslip."""
    rest = {"n_g": GLASS, "n_i": GLASS} | others
    layers = psf.Layers(n_s=n_s, t_s=t_s, **rest)
    objective = psf.Objective(na=na, wavelength=WAVELENGTH, layers=layers)
    return BeadModel(objective, pixel=PIXEL, shape=SHAPE, pupil_samples=128, order=2)


MODEL = through(1.2)
PLAIN = dataclasses.replace(MODEL, objective=psf.Objective(1.2, WAVELENGTH, GLASS))
Z = np.array([-0.4, 0.0, 0.7])


def image(model, z=Z):
    sharp = {**model.start(), "blur": jnp.asarray(blur_parameter(np.zeros(2)), jnp.float32)}
    return np.asarray(bead_stack(model, sharp, z, pupil_basis(model)), np.float64)


def layered(model, z, vectorial=True):
    """The same by Gibson-Lanni, with the focus put onto the emitter; pixels integrated."""
    layers = model.objective.layers
    scope = psf.Microscope(model.na, WAVELENGTH, SHAPE, pixel=PIXEL, layers=layers)
    return np.asarray(scope.psf(z), np.float64)


def difference(a, b):
    """Of two stacks, each in units of its whole light in the window."""
    a, b = a / a.sum(), b / b.sum()
    return np.abs(a - b).max() / b.max()


@pytest.mark.parametrize(("na", "depth"), [(1.2, 2.0), (1.45, 0.0), (1.45, 0.05)])
def test_a_bead_behind_an_interface(na, depth):
    model = through(na, t_s=depth)
    assert difference(image(model), layered(model, Z)) < 2e-3


def test_a_coverslip_of_the_wrong_thickness():
    model = through(1.2, t_s=0.5, n_g=1.53, n_i=1.515, t_g=172.0, n_g_design=1.523, t_g_design=170)
    assert difference(image(model), layered(model, Z)) < 2e-3
    assert difference(image(through(1.2, t_s=0.5)), layered(model, Z)) > 0.05


def test_the_interface_is_seen():
    assert difference(image(PLAIN), layered(MODEL, Z)) > 0.1
    assert difference(image(MODEL), layered(MODEL, -Z)) > 0.1


def test_the_same_index_is_no_interface():
    assert difference(image(through(1.2, n_s=GLASS)), image(PLAIN)) < 1e-5
