"""Many emitters are the sum of single ones, wherever they are, with their gradient."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from psf.polar import off
from reference import error

from jaxwave import psf
from jaxwave.psf import _bounds

SCOPE = psf.Microscope(na=1.2, wavelength=0.6, shape=(14, 19), pixel=0.12, n=1.33)
LAYERS = psf.Layers(n_s=1.36, n_g=1.52, n_i=1.5, t_s=0.6)
DEEP = psf.Microscope(1.25, 0.6, (14, 19), 0.15, layers=LAYERS, motion="emitter")
ABERRATION = dict(coefficients=np.array([0.05, -0.03]), modes=[(2, -2), (3, 1)])
# In the middle, between pixels, on the first and the last row, in a corner, beyond the frame.
PLACES = np.array([
    [0.0, 0.0, 0.0], [0.35, 0.131, -0.418], [-0.4, -0.83, 0.07], [0.2, 0.77, 1.01],
    [0.1, -0.91, -1.1], [-0.2, 1.1, 0.31], [0.3, 0.2, -1.45],
])  # fmt: skip
PHOTONS = np.array([900.0, 500.0, 700.0, 300.0, 400.0, 2000.0, 1500.0])
ALL = 61  # pixels of a window that holds the frame, wherever the emitter is


def sum_of_singles(scope, places, photons, dipoles=None, **options):
    """A picture for each, all in one program; that a batch is a loop, test_solve.py shows."""
    z, y, x = places.T
    each = scope.psf(z[:, None], y=y, x=x, dipole=dipoles, **options)[:, 0]
    return np.tensordot(photons, np.asarray(each, float), 1)


@pytest.mark.parametrize("scope", [SCOPE, DEEP], ids=["one medium", "layers"])
def test_a_sum_of_single_ones(scope):
    # A blur sees the light that the rim of a single picture cuts off: a cosine series rings there.
    for blur, tolerance in ((0.0, 1e-5), (0.05, 1e-3)):
        options = ABERRATION | dict(sigma=blur)
        got = psf.emitters_image(scope, PLACES, PHOTONS, size=ALL, background=3.0, **options)
        need = sum_of_singles(scope, PLACES, PHOTONS, **options)
        assert got.shape == (14, 19)
        assert off(got, need + 3.0, need.max()) < tolerance


def test_a_sum_of_fixed_dipoles():
    """Real moments of any direction: the six images span them."""
    d = np.random.default_rng(0).normal(size=(4, 3))
    options = dict(pupil=lambda y, x: jnp.exp(0.4j * x - 0.2j * y * y))
    got = psf.emitters_image(DEEP, PLACES[:4], PHOTONS[:4], dipoles=d, size=ALL, **options)
    need = sum_of_singles(DEEP, PLACES[:4], PHOTONS[:4], d, **options)
    assert off(got, need, need.max()) < 1e-5


def test_depths_beyond_the_critical_angle():
    """Molecules above a coverslip, 5 µm deep: light that decays with the depth, and much phase."""
    layers = psf.Layers(n_s=1.36, n_g=1.52, n_i=1.515, t_s=0.0)
    scope = psf.Microscope(1.45, 0.6, (9, 8), 0.15, layers=layers, motion="emitter")
    places = np.array([[0.0, 0.02, 0.1], [0.07, -0.1, 0.2], [2.1, 0.0, 0.03], [5.0, 0.1, 0.0]])
    got = psf.emitters_image(scope, places, [100.0, 100.0, 600.0, 900.0], size=33)
    need = sum_of_singles(scope, places, [100.0, 100.0, 600.0, 900.0])
    # The cone of light 5 µm from focus is cut off by the window: its cosine series rings.
    assert off(got, need, need.max()) < 1e-3


def test_what_lies_far_outside_leaves_nothing():
    far = np.array([[0.0, 9.0, 0.0], [0.0, 0.0, -9.0], [0.1, 50.0, 50.0]])
    alone = psf.emitters_image(SCOPE, PLACES[:1], PHOTONS[:1], size=11)
    both = psf.emitters_image(
        SCOPE, np.concatenate([PLACES[:1], far]), np.r_[PHOTONS[:1], 1e6, 1e6, 1e6], size=11
    )
    assert off(both, np.asarray(alone), float(alone.max())) < 1e-6


def test_the_window_that_is_chosen_holds_the_light():
    scope = psf.Microscope(na=1.2, wavelength=0.6, shape=(101, 99), pixel=0.12, n=1.33)
    places = np.array([[0.0, 0.0, 0.0], [1.5, 0.05, -0.03]])
    for one in places:
        frame = psf.emitters_image(scope, one[None])
        whole = scope.psf(one[0], y=one[1], x=one[2])
        assert 0.95 < float(frame.sum() / whole.sum()) <= 1.0001
        assert np.max(np.abs(frame - whole)) < 2e-3 * float(whole.max())


def test_traced_positions_are_the_same_picture():
    many = jax.jit(lambda p, n: psf.emitters_image(SCOPE, p, n, size=21, **ABERRATION))
    need = psf.emitters_image(SCOPE, PLACES, PHOTONS, size=21, **ABERRATION)
    assert error(many(PLACES, PHOTONS), need) < 1e-5
    # Other emitters, deeper, in the same program.
    deeper = PLACES + np.array([0.5, 0.013, -0.02])  # none between two pixels
    need = psf.emitters_image(SCOPE, deeper, PHOTONS, size=21, **ABERRATION)
    assert error(many(deeper, PHOTONS), need) < 1e-5


def slopes_are_differences(value, p, step=1e-6):
    gradient, value, rng = jax.jit(jax.grad(value))(p), jax.jit(value), np.random.default_rng(2)
    for name, number in p.items():
        along = rng.normal(size=number.shape)
        low, high = (value(p | {name: number + s * along}) for s in (-step, step))
        need = float(high - low) / (2 * step)
        slope = float(jnp.sum(gradient[name] * along))
        assert slope == pytest.approx(need, rel=1e-5, abs=1e-6), name


@pytest.mark.slow
def test_the_gradient_is_that_of_differences(x64, monkeypatch):
    """By places, photons, aberrations, blur and the data sheet."""
    # Traced depths are taken to be within ten wavelengths; here one, a seventh of the planes.
    monkeypatch.setattr(_bounds, "FAR", 1.0)
    weight = np.random.default_rng(0).normal(size=(14, 19))

    def value(p):
        scope = psf.Microscope(p["na"], 0.6, (14, 19), p["pixel"], n=1.33)
        frame = psf.emitters_image(
            scope, p["places"], p["photons"], coefficients=p["c"], modes=ABERRATION["modes"],
            sigma=p["sigma"], size=7,
        )  # fmt: skip
        return jnp.sum(frame * weight)

    p = dict(places=PLACES[:5], photons=PHOTONS[:5] / 900, c=ABERRATION["coefficients"])
    p |= dict(sigma=0.05, pixel=0.12, na=1.2)
    slopes_are_differences(value, {k: jnp.asarray(v) for k, v in p.items()})


def test_the_gradient_by_directions_is_that_of_differences(x64):
    """Of fixed dipoles whose places are known."""
    weight = np.random.default_rng(0).normal(size=(14, 19))
    stack = psf.Microscope(1.2, 0.6, (14, 19), 0.12, n=1.33)

    def value(p):
        frame = psf.emitters_image(
            stack, PLACES[:5], PHOTONS[:5] / 900, dipoles=p["dipoles"], size=7
        )
        return jnp.sum(frame * weight)

    dipoles = np.random.default_rng(1).normal(size=(5, 3))
    slopes_are_differences(value, dict(dipoles=jnp.asarray(dipoles)))


def test_no_emitter_is_background():
    frame = psf.emitters_image(SCOPE, np.zeros((0, 3)), background=2.0)
    assert frame.shape == (14, 19) and np.all(np.asarray(frame) == 2)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (dict(microscope=1.2), TypeError, "`microscope` must be psf.Microscope"),
        (dict(positions=[0.0, 1.0, 2.0]), ValueError, r"`positions` must be \(emitters, 3\) as"),
        (dict(positions=[[0.0, 1.0]]), ValueError, r"`positions` must be \(emitters, 3\)"),
        (dict(positions=[[np.nan, 0, 0]]), ValueError, "`positions` must be finite"),
        (dict(photons=-1.0), ValueError, "`photons` must be zero or more"),
        (dict(photons=np.ones(3)), ValueError, "emitters_image: .*photons"),
        (dict(background=np.ones((14, 1))), ValueError, "`background` must be one number or one"),
        (dict(size=8), ValueError, "`size` must be odd, got 8"),
        (
            dict(coefficients=np.ones((2, 1)), modes=[(2, 2)]),
            ValueError,
            "`coefficients` has batch",
        ),
        (dict(microscope=dataclasses.replace(SCOPE, na=[1.1, 1.2])), ValueError, "`na` has batch"),
        (dict(dipoles=np.ones((3, 3))), ValueError, "`dipoles` must have a direction"),
        (dict(sigma=-0.1), ValueError, "`sigma` must be zero or more"),
        (dict(size=2), ValueError, "`size`"),
        (dict(coefficients=[0.1], modes=[4]), TypeError, "emitters_image: `modes` has the number"),
        (dict(pupil=np.ones(5)), ValueError, "emitters_image: `pupil`"),
    ],
)
def test_bad_input_is_said(change, kind, message):
    given = dict(microscope=SCOPE, positions=[[0.0, 0.1, 0.2], [0.1, 0.0, 0.0]])
    with pytest.raises(kind, match=message):
        psf.emitters_image(**(given | change))


def test_windows_of_traced_depths_hold_what_is_promised():
    """The default window under jit is a smaller one: for any optics it holds the same emitters."""
    low = psf.Microscope(0.5, 0.52, (61, 60), pixel=0.25)
    depth = 0.52 / (2 * 0.5**2)
    at = np.array([[depth, 0.1, -0.2]])
    known, traced = psf.emitters_image(low, at), jax.jit(lambda p: psf.emitters_image(low, p))(at)
    assert np.abs(traced - known).max() < 1e-3 * known.max()
    assert 0.98 < traced.sum() / known.sum() < 1
