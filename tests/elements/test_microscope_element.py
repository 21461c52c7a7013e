"""The Microscope as an element: its PSF, its images, its numbers under jit, grad and vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxwave as jw
from jaxwave import elements as el
from jaxwave import psf

OPTICS = dict(na=0.9, wavelength=0.6, shape=(12, 12), pitch=6.5, magnification=40.0, n=1.33)


@pytest.fixture(scope="module")
def scope():
    return el.Microscope(**OPTICS, z=jnp.array([0.0, 0.8]))


def test_the_psf_is_that_of_the_data_sheet(scope):
    need = psf.Microscope(**OPTICS).psf(jnp.array([0.0, 0.8]))
    # The element's nodes have a reserve, so that the two differ by their quadrature.
    np.testing.assert_allclose(scope.psf(), need, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(scope.psf(0.8), need[1], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(scope.psf("800 nm"), need[1], rtol=1e-4, atol=1e-7)


def test_images_of_points_and_volumes(scope):
    kernels = scope.psf()
    point = jnp.zeros((24, 24)).at[10, 11].set(1.0)
    stack = scope(point)
    assert stack.shape == (2, 24, 24)
    np.testing.assert_allclose(stack[0, 10, 11], kernels[0, 6, 6], rtol=1e-3)
    volume = jnp.stack([point, 2 * jnp.roll(point, 3, 1)])
    need = jw.image_volume(volume, kernels)
    np.testing.assert_allclose(scope(volume), need, rtol=1e-5, atol=1e-8)


def test_numbers_can_be_traced(scope):
    """The oversampling and the nodes are settled when it is made."""
    names = ["na", "wavelength", "pitch", "magnification", "n"]
    model, traces = el.learn(scope, *names), []
    graph, learned, rest = nnx.split(model, nnx.Param, ...)
    target = psf.Microscope(**{**OPTICS, "na": 0.88}).psf(jnp.array([0.0, 0.8]))

    @jax.jit
    def loss(learned):
        traces.append(1)
        return jnp.sum((nnx.merge(graph, learned, rest).psf() - target) ** 2)

    gradient = jax.jit(jax.grad(loss))(learned)
    values = el.parameters(model)
    for name in ("na", "pitch"):
        h = 2e-3 * float(values[name])
        low, high = (
            loss(nnx.state(el.replace(model, {name: values[name] + s * h}), nnx.Param))
            for s in (-1, 1)
        )
        # 2e-2: central difference of float32 values
        np.testing.assert_allclose(gradient[name][...], (high - low) / (2 * h), rtol=2e-2)
    assert len(traces) == 1, "a changed number compiled the microscope again"
    assert np.all(np.isfinite(jax.tree.leaves(gradient)))


def test_vmap_over_the_aperture(scope):
    apertures = jnp.array([0.85, 0.9])
    many = jax.vmap(lambda na: el.replace(scope, {"na": na}).psf(0.0))(apertures)
    need = psf.Microscope(**{**OPTICS, "na": 0.85}).psf(0.0)
    np.testing.assert_allclose(many[0], need, rtol=1e-3, atol=1e-6)


def test_sampled_pupils_and_blur():
    y, x = psf.pupil_coordinates((33, 33))
    options = dict(pupil=jnp.exp(-(x**2) - y**2), sigma=0.05)
    model = el.Microscope(**OPTICS, **options)
    assert {"pupil", "sigma"} <= set(el.parameters(model))
    need = psf.Microscope(**OPTICS).psf(0.0, **options)
    np.testing.assert_allclose(model.psf(), need, rtol=1e-4, atol=1e-7)


def test_layers_are_numbers_too():
    layers = psf.Layers(n_s=1.33, n_g=1.523, n_i=1.518, t_s=2.0)
    options = {**OPTICS, "n": None, "layers": layers}
    model = el.Microscope(**options)
    assert isinstance(model.layers, el.Layers)
    assert "layers.t_s" in el.parameters(model)
    np.testing.assert_allclose(model.psf(), psf.Microscope(**options).psf(), rtol=1e-4, atol=1e-7)
    deeper = el.replace(model, {"layers.t_s": 6.0})
    assert deeper.psf().max() < 0.99 * model.psf().max()


@pytest.mark.slow
def test_aberrations_can_be_learned_from_zero():
    """The nodes have a reserve for what a fit finds."""
    model = el.Microscope(**OPTICS, coefficients=[0.0, 0.0], modes=[5, 7], convention="noll")
    assert model.modes == ((2, -2), (3, -1))
    found = jnp.array([0.06, -0.05])
    need = psf.Microscope(**OPTICS).psf(0.0, coefficients=found, modes=model.modes)
    got = el.replace(model, {"coefficients": found}).psf()
    np.testing.assert_allclose(got, need, rtol=1e-4, atol=1e-7)


ERRORS = {
    "na": (dict(na=1.4), "Microscope: `na` must be below the refractive index"),
    "wavelength": (dict(wavelength=600.0), "looks like nanometres"),
    "modes": (dict(modes=[(2, 2)]), "`coefficients` .* and `modes` must come together"),
    "sigma": (dict(sigma=-1.0), "Microscope: `sigma` must be zero or more, got -1.0 µm"),
    "motion": (dict(motion="stge"), "Did you mean 'stage'"),
    "shape": (dict(shape=(0, 3)), "`shape` must be at least"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_fix(name):
    changed, text = ERRORS[name]
    with pytest.raises(ValueError, match=text):
        el.Microscope(**{**OPTICS, **changed})


def test_layers_of_the_wrong_kind():
    with pytest.raises(TypeError, match="`layers` must be Layers, got tuple"):
        el.Microscope(**{**OPTICS, "n": None, "layers": (1.33, 1.5)})
