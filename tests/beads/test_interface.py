"""A bead in a sample of another index, against the layered models of jaxwave.psf."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave import psf
from jaxwave.beads import model as bead_model
from jaxwave.beads.basis import pupil_basis
from jaxwave.beads.model import BeadModel

bead_stack = jax.jit(bead_model.bead_stack, static_argnums=0)
GLASS, PIXEL, WAVELENGTH = 1.518, 0.06, 0.52
SHAPE = (24, 25)
MODEL = BeadModel(
    na=1.2,
    wavelength=WAVELENGTH,
    n=GLASS,
    pixel=PIXEL,
    shape=SHAPE,
    pupil_samples=128,
    order=2,
    n_sample=1.33,
    depth=2.0,
)
Z = np.array([-0.4, 0.0, 0.7])


def image(model, z=Z):
    sharp = {**model.start(), "blur": jnp.full(2, -20.0)}
    return np.asarray(bead_stack(model, sharp, z, pupil_basis(model)), np.float64)


def layered(model, z, vectorial=True):
    """The same by Gibson-Lanni, with the focus put onto the emitter; pixels integrated."""
    layers = psf.coverslip_layers(n_s=model.n_sample, n_g=GLASS, n_i=GLASS, t_s=model.depth)
    scope = psf.Microscope(model.na, WAVELENGTH, SHAPE, pixel=PIXEL, layers=layers)
    return np.asarray(scope.psf(z), np.float64)


def difference(a, b):
    """Of two stacks, each in units of its whole light in the window."""
    a, b = a / a.sum(), b / b.sum()
    return np.abs(a - b).max() / b.max()


@pytest.mark.parametrize(("na", "depth"), [(1.2, 2.0), (1.45, 0.0), (1.45, 0.05)])
def test_a_bead_behind_an_interface(na, depth):
    model = dataclasses.replace(MODEL, na=na, depth=depth)
    assert difference(image(model), layered(model, Z)) < 2e-3


def test_the_interface_is_seen():
    model = dataclasses.replace(MODEL, n_sample=None, depth=0.0)
    assert difference(image(model), layered(MODEL, Z)) > 0.1
    assert difference(image(MODEL), layered(MODEL, -Z)) > 0.1


def test_the_same_index_is_no_interface():
    same = dataclasses.replace(MODEL, n_sample=GLASS)
    alone = dataclasses.replace(MODEL, n_sample=None, depth=0.0)
    assert difference(image(same), image(alone)) < 1e-5


def test_depth_without_an_interface():
    with pytest.raises(ValueError, match="n_sample"):
        dataclasses.replace(MODEL, n_sample=None)
