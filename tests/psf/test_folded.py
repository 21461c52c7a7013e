"""The sums behind the Cartesian models: places in the image, polarizations that vanish, corners."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from psf.quadrature import Round
from reference import error

from jaxwave import JaxwaveWarning, psf
from jaxwave.psf import _folded

OPTICS = dict(spacing=0.05, wavelength=0.632, n=1.5)
FINE = OPTICS | {"spacing": 0.02}  # samples far closer than the image needs


def noise(shape):
    return np.exp(1j * np.random.default_rng(0).normal(size=shape))


@pytest.mark.parametrize(
    ("shape", "place"), [((81, 80), (0.0, 0.0)), ((64, 99), (0.3, -0.7)), ((1, 70), (0.0, 0.0))]
)
def test_places_in_the_image_give_every_sample(shape, place, x64):
    """Traced optics without nodes sum every sample; fewer places must give the same."""
    y, x = place
    mask = noise((66, 65))

    def image(mask, na, nodes=None):
        return psf.cartesian_vector(mask, shape, na=na, z=0.4, y=y, x=x, nodes=nodes, **FINE)

    every = jax.jit(image)(mask, 1.3)
    assert error(image(mask, 1.3), every) < 1e-12  # chosen from the concrete numbers
    if y:
        enough = psf.cartesian_nodes(None, shape, na=1.3, y=y, x=x, **FINE)
        assert error(jax.jit(image, static_argnums=2)(mask, 1.3, enough), every) < 1e-6


def test_polynomials_of_the_image_are_interpolated_exactly(x64):
    for count in (40, 41):
        half = _folded.half_indices(count) / _folded.half_indices(count)[-1]
        places = _folded.places(count, 8) / _folded.half_indices(count)[-1]
        for odd in (False, True):
            m = _folded._interpolation(count, 8, odd, np.dtype(float))
            for power in range(odd, 16, 2):
                assert np.allclose(places**power @ m, half**power, atol=1e-13)


def test_too_few_places_are_said():
    with pytest.warns(JaxwaveWarning, match="`nodes` = 8 are too few for this window; .* would do"):
        psf.cartesian_scalar(noise((64, 64)), (81, 81), na=1.3, nodes=8, **OPTICS)
    with pytest.raises(ValueError, match="`nodes` must be an integer where `pupil` is sampled"):
        psf.cartesian_scalar(noise((64, 64)), (9, 9), na=1.3, nodes=psf.PolarNodes(), **OPTICS)


LAYERS = {"n_s": 1.34, "n_g": (1.40, 1.6, 1.52), "n_i": 1.515, "t_s": 0.4, "t_g": (0.2, 3.0, 150.0)}
KIND = dict(spacing=0.1, na=1.25, wavelength=0.6)


@pytest.mark.parametrize("jones", [(1, 0), (0, 1), (1, 1j), (0.3, 0.5 - 0.2j)])
def test_every_polarization_through_five_media(jones, x64):
    """Also those of which one number vanishes, for which half of the terms are left out."""
    layers = psf.coverslip_layers(**LAYERS, t_g_design=170.0, n_g_design=1.52)
    literal = {k: LAYERS[k] for k in ("n_s", "n_g", "t_s", "t_g")} | {"t_g0": (170.0,)}
    reference = Round(
        wavelength=0.6, na=1.25, n=1.515, layers=literal | {"n_g0": (1.52,)}, transmit=True
    )
    shape = (8, 7)
    y = (np.arange(8) - 4)[:, None] * 0.1
    x = (np.arange(7) - 3) * 0.1
    need = reference.vector(*np.broadcast_arrays(y, x), 0.3, jones)
    got = psf.cartesian_vector(
        None, shape, polarization=jones, z=0.3, layers=layers, nodes=80, **KIND
    )
    assert error(got, need) < 1e-6
    traced = jax.jit(
        lambda e: psf.cartesian_vector_intensity(
            None, shape, polarization=e, z=0.3, layers=layers, nodes=80, **KIND
        )
    )(jnp.asarray(jones, complex))
    assert error(traced, np.sum(np.abs(need) ** 2, 0)) < 1e-6


@pytest.mark.parametrize(
    "pupil", [None, pytest.param(np.ones((17, 18)), marks=pytest.mark.slow)], ids=["chords", "grid"]
)
def test_nothing_is_nan_for_any_sample_and_aperture(pupil):
    """Values and derivatives, n_s from air to oil, with rays beyond the critical angle."""

    def peak(n_s, na):
        layers = psf.coverslip_layers(n_s=n_s, n_g=1.523, n_i=1.518, t_s=1.0)
        nodes = 16 if pupil is None else None
        image = psf.cartesian_dipole_intensity(
            pupil, (3, 2), spacing=0.1, na=na, wavelength=0.6, layers=layers, nodes=nodes
        )
        return jnp.sum(image)

    n_s, na = np.meshgrid(np.linspace(1.0, 1.52, 53), [0.3, 1.0, 1.33, 1.45, 1.517])
    n_s = np.concatenate([n_s.ravel(), [1.333, 1.518]]).astype(np.float32)
    na = np.concatenate([na.ravel(), [1.333, 1.4]]).astype(np.float32)
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(peak, argnums=(0, 1))))(n_s, na)
    assert np.isfinite(value).all() and (np.asarray(value) > 0).all()
    assert np.isfinite(slope).all()


def test_batches_of_masks_and_axes_of_z():
    masks = noise((3, 32, 33)).astype(np.complex64)
    z = np.array([[0.0, 0.2, 0.4], [0.6, 0.8, 1.0]])
    kind = dict(na=1.2, nodes=16, z=z, **OPTICS)

    def image(mask):
        return psf.cartesian_vector_intensity(mask, (10, 9), **kind)

    many = jax.vmap(image)(masks)
    assert many.shape == (3, 2, 3, 10, 9)
    one = psf.cartesian_vector_intensity(masks[2], (10, 9), **(kind | {"z": 0.8}))
    assert error(many[2, 1, 1], one) < 1e-6
