"""The facade chooses a model; all of them agree."""

import jax.numpy as jnp
import numpy as np
import pytest
from reference import error

from jaxwave import psf

SCOPE = psf.Microscope(na=1.2, wavelength=0.6, shape=(16, 15), pitch=6.5, magnification=60, n=1.33)


def test_models_agree():
    aberration = dict(coefficients=jnp.array([0.04]), modes=[(4, 0)])
    spherical = SCOPE.psf(0.3, x=0.07, y=-0.05, **aberration)
    x, y = psf.pupil_coordinates((129, 129))
    function = lambda x, y: psf.zernike_pupil(x, y, wavelength=0.6, **aberration)  # noqa: E731
    nodes = SCOPE.psf(0.3, x=0.07, y=-0.05, pupil=function, nodes=64)
    samples = SCOPE.psf(0.3, x=0.07, y=-0.05, pupil=function(x, y))
    assert error(nodes, spherical) < 1e-5
    assert error(samples, spherical) < 1e-3
    assert SCOPE.model(None, [(4, 0)]) == "spherical" and SCOPE.model(None, [(2, 2)]) == "nodes"
    assert SCOPE.model(np.ones((9, 9))) == "samples"


def test_emitter_is_where_it_is():
    image = np.asarray(SCOPE.psf(0.0, x=3 * SCOPE.spacing, y=-2 * SCOPE.spacing))
    assert np.unravel_index(image.argmax(), image.shape) == (8 - 2, 7 + 3)
    c = np.sqrt(1 - (1.2 / 1.33) ** 2)
    assert 0.8 * (1 - c) / 2 < image.sum() < (1 - c) / 2  # most of what is collected


def test_bad_input_is_said():
    with pytest.raises(ValueError, match="`na` must be below"):
        psf.Microscope(na=1.4, wavelength=0.6, shape=(8, 8), pitch=0.1, n=1.33)
    with pytest.raises(TypeError, match="`layers` must be Layers, got float"):
        psf.Microscope(na=1.1, wavelength=0.6, shape=(8, 8), pitch=0.1, layers=1.33)
    with pytest.raises(TypeError, match="the number 4 without its convention"):
        SCOPE.psf(coefficients=[0.1], modes=[4])
    with pytest.raises(ValueError, match="come together"):
        SCOPE.psf(modes=[(2, 2)])
    with pytest.raises(ValueError, match="is sampled"):
        SCOPE.psf(pupil=np.ones((33, 33)), coefficients=[0.1], modes=[(2, 2)])
