"""The sums behind the planar solver: places in the image, polarizations that vanish, corners."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from psf.polar import window
from psf.quadrature import Round
from reference import error

from jaxwave import JaxwaveWarning, psf
from jaxwave.psf import _parity

OIL = psf.Objective(1.3, 0.632, 1.5)


def noise(shape):
    return np.exp(1j * np.random.default_rng(0).normal(size=shape))


@pytest.mark.parametrize(
    ("shape", "place"), [((81, 80), (0.0, 0.0)), ((64, 99), (0.3, -0.7)), ((1, 70), (0.0, 0.0))]
)
def test_places_in_the_image_give_every_sample(shape, place, x64):
    """Where the spacing is traced every sample is summed; fewer places must give the same."""
    mask, y = noise((66, 65)), place[0]

    def image(spacing):
        return psf.scalar_focus(OIL, psf.Window(shape, spacing, 0.4, *place), mask)

    every = jax.jit(image)(0.02)  # far closer than the image needs
    assert error(image(0.02), every) < 1e-12
    assert y or image(0.02).shape == shape


def test_polynomials_of_the_image_are_interpolated_exactly(x64):
    for count in (40, 41):
        half = _parity.half_indices(count) / _parity.half_indices(count)[-1]
        places = _parity.places(count, 8) / _parity.half_indices(count)[-1]
        for odd in (False, True):
            m = _parity._interpolation(count, 8, odd, np.dtype(float))
            for power in range(odd, 16, 2):
                assert np.allclose(places**power @ m, half**power, atol=1e-13)


def test_too_few_places_are_said():
    to = psf.Window((81, 81), 0.05)
    with pytest.warns(JaxwaveWarning, match="`nodes` = 8 are too few for this window; .* would do"):
        psf.scalar_focus(OIL, to, noise((64, 64)), nodes=8)
    with pytest.raises(ValueError, match="`nodes` must be an integer where `pupil` is sampled"):
        psf.scalar_focus(OIL, to, noise((64, 64)), nodes=psf.PolarNodes())


LAYERS = {"n_s": 1.34, "n_g": (1.40, 1.6, 1.52), "n_i": 1.515, "t_s": 0.4, "t_g": (0.2, 3.0, 150.0)}


@pytest.mark.slow
def test_every_polarization_through_five_media(x64):
    """Also those of which one number vanishes, for which half of the terms are left out."""
    layers = psf.Layers(**LAYERS, t_g_design=170.0, n_g_design=1.52)
    literal = {k: LAYERS[k] for k in ("n_s", "n_g", "t_s", "t_g")} | {"t_g0": (170.0,)}
    reference = Round(
        wavelength=0.6, na=1.25, n=1.515, layers=literal | {"n_g0": (1.52,)}, transmit=True
    )
    o, to = psf.Objective(1.25, 0.6, layers=layers), psf.Window((8, 7), (0.1, 0.08), 0.3, 0.05, 0.1)
    _, y, x = window((8, 7), (0.1, 0.08), 0.05, 0.1)
    clear = lambda y, x: 1 + 0 * x  # noqa: E731
    traced = jax.jit(lambda e: psf.focus_intensity(o, to, clear, polarization=e, nodes=80))
    for jones in ((1, 0), (0, 1), (1, 1j), (0.3, 0.5 - 0.2j)):
        need = reference.vector(y, x, 0.3, jones)
        if not all(jones):
            assert error(psf.focus(o, to, clear, polarization=jones, nodes=80), need) < 1e-6
        got = traced(jnp.asarray(jones, complex))
        assert error(got, np.sum(np.abs(need) ** 2, 0)) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    "pupil", [lambda y, x: 1 + 0 * x, np.ones((17, 18))], ids=["chords", "grid"]
)
def test_nothing_is_nan_for_any_sample_and_aperture(pupil):
    """Values and derivatives, n_s from air to oil, with rays beyond the critical angle."""

    def peak(n_s, na):
        layers = psf.Layers(n_s=n_s, n_g=1.523, n_i=1.518, t_s=1.0)
        nodes = 16 if callable(pupil) else None
        o = psf.Objective(na, 0.6, layers=layers)
        return jnp.sum(psf.emitter_image(o, psf.Window((3, 2), 0.1), pupil, nodes=nodes))

    n_s, na = np.meshgrid(np.linspace(1.0, 1.52, 53), [0.3, 1.0, 1.33, 1.45, 1.517])
    n_s = np.concatenate([n_s.ravel(), [1.333, 1.518]]).astype(np.float32)
    na = np.concatenate([na.ravel(), [1.333, 1.4]]).astype(np.float32)
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(peak, argnums=(0, 1))))(n_s, na)
    assert np.isfinite(value).all() and (np.asarray(value) > 0).all()
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("fine", [60, psf.PolarNodes(9, 8, (0.3,))])
def test_rough_values_at_many_nodes_are_gathered_at_few(fine):
    """Sums of noise times what an objective and a wave make, by the nodes and by few of them."""
    nodes, few = _parity.smooth_nodes(fine), _parity.few_nodes((44, 36))
    rng = np.random.default_rng(3)
    shape = (2, 2, 2, *nodes.weight.shape)
    f = (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * nodes.weight

    def light(at):
        """In the four quadrants, ``(2, 2, 1, h, k)``: even and odd in y and x, all distinct."""
        signs = _parity.signs()[..., None, None]
        y, x = signs[:, :, 0] * at.y, signs[:, :, 1] * at.x
        rho2 = x * x + y * y
        wave = np.exp(2j * np.pi * (1.3 * y - 2.1 * x + 0.8 * np.sqrt(1 - 0.7 * rho2)))
        return ((1 + 0.2 * x * y + 0.1 * y) * (1 - 0.7 * rho2) ** -0.25 * wave)[:, :, None]

    need = np.sum(f * light(nodes), axis=(0, 1, 3, 4))

    @jax.jit
    def gathered(f, light):
        parts = _parity.gathered(_parity.fold(f), fine, (44, 36))
        return jnp.sum(parts * _parity.fold(light), axis=(0, 1, 3, 4)) / 4

    got = np.asarray(gathered(f.astype("complex64"), light(few).astype("complex64")))
    assert np.max(np.abs(got - need)) < 3e-6 * np.max(np.abs(need))
