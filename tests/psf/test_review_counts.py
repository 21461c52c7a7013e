"""Numbers of nodes where a value is traced, unusual or has a singularity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import error

import jaxwave
from jaxwave import psf
from jaxwave.psf import _nodes

OPTICS = dict(wavelength=0.6, na=1.3, n=1.5)


def test_a_traced_place_in_the_window():
    """An emitter at the corner of its window needs a table that reaches to the other corner."""
    pupil = psf.round_pupil(**OPTICS)
    window = dict(spacing=0.18, z=0.3)
    image = jax.jit(lambda y, x: psf.spherical_dipole_intensity(pupil, (9, 7), y=y, x=x, **window))
    need = psf.spherical_dipole_intensity(pupil, (9, 7), y=0.7, x=0.5, **window)
    assert error(image(0.7, 0.5), need) < 1e-5


def test_a_traced_aperture_and_a_distant_plane(x64):
    def image(na):
        pupil = psf.round_pupil(**(OPTICS | {"na": na}))
        return psf.spherical_scalar_intensity(pupil, (3, 4), spacing=0.1, z=[0.0, 40.0])

    for got, need in zip(jax.jit(image)(1.3), image(1.3), strict=True):
        assert error(got, need) < 1e-9


def test_traced_planes_behind_deep_layers(x64):
    """Spherical aberration of 30 waves that is known, while z is not."""
    layers = psf.coverslip_layers(n_s=1.33, n_g=1.52, n_i=1.518, t_s=100.0, t_i_design=300.0)
    pupil = psf.round_pupil(wavelength=0.6, na=1.3, layers=layers)
    image = lambda z: psf.spherical_scalar_intensity(pupil, (3, 4), spacing=0.1, z=z)  # noqa: E731
    assert error(jax.jit(image)(5.0), image(5.0)) < 1e-9


@pytest.mark.parametrize("motion", psf.stratified.MOTIONS)
def test_the_path_that_counts_nodes_is_the_path(motion, x64):
    s = np.linspace(0, 1.49, 60)
    design = dict(n_g_design=1.52, t_g_design=165.0, n_i_design=1.515, t_i_design=120.0)
    for layers in (
        psf.coverslip_layers(n_s=1.33, n_g=1.523, n_i=1.518, t_s=0.4, **design),
        psf.coverslip_layers(n_s=1.4, n_g=(1.4, 1.5), n_i=1.518, t_s=1, t_g=(0.3, 170), t_i=99),
    ):
        o = dict(n=1.518, wavelength=0.6, layers=layers, motion=motion)
        path = psf.gibson_lanni_path(s, layers, z=-0.7, motion=motion)
        turns = _nodes._turns(o, s, -0.7) * 0.6
        np.testing.assert_allclose(turns.real, path.opd, atol=1e-11)
        np.testing.assert_allclose(turns.imag, path.decay, atol=1e-11)


def test_an_immersion_that_is_too_thin():
    """Ten micrometers of defocus that are in the layers, not in z."""
    layers = psf.coverslip_layers(n_s=1.45, n_g=1.5, n_i=1.5, t_s=1.0, t_i=90.0)
    optics = dict(spacing=0.2, na=1.3, wavelength=0.6, layers=layers)
    got = psf.cartesian_scalar(None, (3, 3), **optics)
    pupil = psf.round_pupil(wavelength=0.6, na=1.3, layers=layers)
    need = psf.spherical_scalar(pupil, (3, 3), spacing=0.2)
    assert error(got, need) < 3e-4  # float32 of a focus that is far away


@pytest.mark.parametrize("kind", ["aplanatic", "herschel"])
def test_an_aperture_close_to_the_index(kind, x64):
    optics = dict(wavelength=0.6, na=1.516, n=1.518, apodization=kind)
    got = psf.cartesian_vector(None, (5, 4), spacing=0.1, **optics)
    need = psf.spherical_vector(psf.round_pupil(**optics), (5, 4), spacing=0.1)
    assert error(got, need) < 1e-9


SCOPE = psf.Microscope(na=1.2, wavelength=0.6, shape=(6, 7), pitch=0.11, n=1.33)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"coefficients": [0.05], "modes": [11], "convention": "noll"},
        {"coefficients": [0.05], "modes": [(2, 2)]},
        {"pupil": np.ones((33, 33))},
    ],
)
def test_nodes_of_the_microscope_are_those_of_its_model(options):
    nodes = SCOPE.nodes([-0.5, 0.5], x=0.1, **options)
    image = jax.jit(lambda z: SCOPE.psf(z, x=0.1, nodes=nodes, **options))
    assert error(image(jnp.array([-0.5, 0.5])), SCOPE.psf([-0.5, 0.5], x=0.1, **options)) < 1e-5


@pytest.mark.parametrize("name", ["na", "wavelength", "pitch", "magnification", "n"])
def test_the_microscope_is_differentiable_in_its_data_sheet(name, x64):
    sheet = dict(na=1.1, wavelength=0.6, pitch=6.5, magnification=60.0, n=1.33)

    def light(value):
        scope = psf.Microscope(shape=(4, 5), samples_per_pixel=1, **(sheet | {name: value}))
        return scope.psf(0.2, y=0.05, nodes=(32, 0, 24))[1, 2]

    both = jax.jit(jax.value_and_grad(light))
    value, step = sheet[name], 1e-4 * sheet[name]
    need = (both(value + step)[0] - both(value - step)[0]) / (2 * step)
    assert float(both(value)[1]) == pytest.approx(float(need), rel=1e-5)


def test_samples_of_a_pixel_are_said():
    with pytest.raises(ValueError, match="`samples_per_pixel` must be given where `na`"):
        jax.jit(lambda na: psf.Microscope(na, 0.6, (4, 4), 0.1).psf())(0.9)
    with pytest.warns(jaxwave.JaxwaveWarning, match="`samples_per_pixel` = 1 do not resolve"):
        psf.Microscope(0.9, 0.6, (4, 4), 0.3, samples_per_pixel=1).psf()


def test_what_fills_the_dark_line_of_a_half_moon():
    optics = dict(spacing=0.05, nodes=psf.PolarNodes(16, 12), **OPTICS)
    across, along = (
        psf.cartesian_vector_intensity(psf.half_moon, (3, 21), polarization=e, **optics)[1]
        for e in ((1, 0), (0, 1))
    )
    assert along[10] < 1e-10 * along.max()
    assert across[10] > 0.3 * across.max()
