"""Light-field microscopes as elements: the nouns, learned, with true slopes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxwave import elements as el
from jaxwave import lightfield as lf
from jaxwave import psf

COMA = el.ZernikePupil([0.12], [(3, 1)])
VOLUME = np.random.default_rng(0).uniform(0, 1, (2, 11, 8))


def two_kinds(**options):
    """Two focal lengths that go around (multi-focus), everything distinct."""
    array = el.LensArray([1500.0, 1800.0], pitch=[24.0, 18.0], y=3.0, x=-2.0)
    given = dict(camera_distance=1600.0, emitter="scalar", z=[-9.0, 5.0], shape=(9, 7), samples=3)
    return el.LightFieldMicroscope(
        el.Objective(0.35, 0.53, n=1.33), 20, array, [12.0, 9.0], **(given | options)
    )


def lenses_in_the_pupil(**options):
    lenses = el.LensArray(
        "20 mm", centers=[[100.0, -500.0], [0.0, 480.0]], lenslet="round", diameter=830.0
    )
    given = dict(emitter="scalar", z=[-9.0, 5.0], samples=3)
    objective = el.Objective(0.5, 0.53)
    return el.FourierMicroscope(objective, 20, "30 mm", lenses, 30.0, (34, 62), **(given | options))


@pytest.mark.slow
def test_the_element_is_its_noun():
    array = lf.LensArray([1500.0, 1800.0], pitch=[24.0, 18.0], y=3.0, x=-2.0)
    objective = psf.Objective(0.35, 0.53, n=1.33)
    options = dict(camera_distance=1600.0, emitter="scalar")
    scope = lf.LightFieldMicroscope(objective, 20, array, [12.0, 9.0], **options)
    need = scope.psf([-9.0, 5.0], shape=(9, 7), pupil=COMA(), samples=3)
    element = two_kinds()
    got = element.psf(COMA)
    assert got.period == need.period == (4, 4)
    np.testing.assert_allclose(got.values, need.values, rtol=0, atol=1e-7)
    image = lf.Projector(need, (11, 8)).project(VOLUME)
    np.testing.assert_allclose(element(VOLUME, COMA), image, rtol=1e-5)
    graph, state = nnx.split(element)
    traced = jax.jit(lambda s: nnx.merge(graph, s)(jnp.asarray(VOLUME), COMA))(state)
    np.testing.assert_allclose(traced, image, rtol=1e-5)
    learned = set(el.parameters(element))
    assert {"array.pitch", "array.f", "camera_distance", "objective.na", "z"} <= learned
    moved = el.replace(element, {"array.f": [1500.0, 2100.0]})
    assert not np.allclose(moved.psf().values, element.psf().values, rtol=0.01)


SLOPES = {
    "conventional": (
        two_kinds,
        "array.f array.pitch array.phi array.x camera_pitch camera_distance magnification "
        "objective.na objective.wavelength z",
    ),
    "fourier": (
        lenses_in_the_pupil,
        "f array.f array.centers array.diameter camera_pitch magnification objective.na z",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOPES)
def test_slopes_are_those_of_finite_differences(name):
    make, names = SLOPES[name]
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        element = make()
        volume = jnp.asarray(rng.uniform(0, 1, (2, 11, 8)))
        weight = rng.normal(size=element(volume).shape)
        if name == "fourier":  # wide spots, which noise would average away
            volume = jnp.zeros((2, 34, 62)).at[0, 16, 33].set(1.0).at[1, 17, 29].set(2.0)
            y, x = np.arange(34)[:, None] / 34, np.arange(62) / 62
            weight = np.sin(9 * y + 1) * np.cos(17 * x + 2) + y * x

        @jax.jit
        def value(numbers):
            return jnp.sum(weight * el.replace(element, numbers)(volume))

        at = {k: el.parameters(element)[k][...] for k in names.split()}
        rough = "array.f array.pitch array.phi array.x".split() if name == "conventional" else []
        slopes = jax.jit(jax.grad(value))(at)
        for key, slope in slopes.items():
            way = rng.uniform(0.5, 1.5, at[key].shape)
            scale = (1e-3 if key in rough else 1e-4) * max(float(jnp.max(jnp.abs(at[key]))), 1.0)
            up, down = (at | {key: at[key] + s * scale * way} for s in (1, -1))
            need = (value(up) - value(down)) / (2 * scale)
            got = jnp.sum(slope * way)
            # Between two lenses the light bends, so differences have noise there.
            np.testing.assert_allclose(got, need, rtol=5e-3, err_msg=key)
            assert got != 0


@pytest.mark.slow
def test_a_pitch_of_any_size_has_an_image_but_no_period():
    array = el.LensArray(1500.0, pitch=61.0, phi=0.1)
    element = el.LightFieldMicroscope(psf.Objective(0.35, 0.53), 20, array, 12.0, emitter="scalar")
    with pytest.raises(ValueError, match="after whole pixels, and it repeats after"):
        element.psf()
    assert isinstance(element.objective, el.Objective)
    need = element.model().image((9, 8), z=4.0, y=0.3, samples=3)
    element.samples = 3
    np.testing.assert_array_equal(element.image((9, 8), z=4.0, y=0.3), need)


def test_wrong_parts_are_named():
    with pytest.raises(TypeError, match=r"`array` must be elements\.LensArray"):
        el.LightFieldMicroscope(el.Objective(0.35, 0.53), 20, 60.0, 12.0)
    with pytest.raises(ValueError, match="`z` must rise"):
        two_kinds(z=[5.0, -9.0]).psf()
    with pytest.raises(ValueError, match="`camera_distance` is needed"):
        two_kinds(camera_distance=None)
