"""Objective and window: what is refused, what is told, what is a leaf."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave import psf

LAYERS = dict(n_s=1.33, n_g=1.52, n_i=1.515)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"na": 1.5, "n": 1.5}, ValueError, r"Objective: `na` must be below the .*index"),
        ({"na": -0.1}, ValueError, r"Objective: `na` must be positive, got -0.1"),
        ({"wavelength": 0.0}, ValueError, r"`wavelength` must be positive, got 0.0 µm"),
        ({"wavelength": 532}, ValueError, r"`wavelength` is in micrometers|nanometres"),
        ({"n": -1.0}, ValueError, r"`n` must be positive"),
        ({"apodization": "aplantic"}, ValueError, r"Did you mean 'aplanatic'"),
        ({"motion": "stages"}, ValueError, r"Did you mean 'stage'"),
        ({"layers": LAYERS}, TypeError, r"`layers` must be Layers, got dict. Make them with"),
        ({"na": "1.2"}, TypeError, r"`na`"),
        ({"na": 1.2 + 0j}, TypeError, r"`na`"),
    ],
)
def test_bad_objectives(arguments, kind, message):
    with pytest.raises(kind, match=message):
        psf.Objective(**{"na": 0.9, "wavelength": 0.6} | arguments)


def test_an_index_stands_once():
    layers = psf.Layers(**LAYERS)
    with pytest.raises(ValueError, match=r"Objective: `n` is that of the immersion in `layers`"):
        psf.Objective(0.9, 0.6, 1.5, layers)
    with pytest.raises(ValueError, match=r"`na` must be below"):
        psf.Objective(1.52, 0.6, layers=layers)
    o = psf.Objective(1.4, 0.6, layers=layers)
    assert (float(o.n_i), float(o.n_s)) == (np.float32(1.515), np.float32(1.33)) or (
        float(o.n_i), float(o.n_s)) == (1.515, 1.33)  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"spacing": 0.0}, ValueError, r"Window: `spacing` must be positive, got 0.0 µm"),
        ({"spacing": np.ones(3)}, ValueError, r"`spacing` must be one number or .* got the .*3"),
        ({"z": np.nan}, ValueError, r"`z` must be finite"),
        ({"y": np.inf}, ValueError, r"`y` must be finite"),
        ({"shape": (8, 0)}, ValueError, r"`shape`"),
        ({"shape": (8, 8, 8)}, ValueError, r"`shape`"),
        ({"x": 1j}, TypeError, r"`x`"),
        ({"z": "near"}, (TypeError, ValueError), r"`z`"),
    ],
)
def test_bad_windows(arguments, kind, message):
    with pytest.raises(kind, match=message):
        psf.Window(**{"shape": (8, 8), "spacing": 0.1} | arguments)


def test_units_and_prints():
    o = psf.Objective(1.2, "520 nm", 1.33, motion="emitter", transmission=False)
    assert float(o.wavelength) == pytest.approx(0.52)
    assert repr(o) == (
        "Objective(na=1.2, wavelength=0.52 µm, n=1.33, motion='emitter', transmission=False)"
    )
    to = psf.Window((4, 5), "50 nm", z=["-1 um", 0.5] if False else [-1, 0.5], y="100 nm")
    assert repr(to) == "Window((4, 5), spacing=0.05 µm, 2 planes, y=0.1 µm)"
    seen = []
    jax.jit(lambda na: (seen.append(repr(psf.Objective(na, 0.5))), na)[1])(0.9)
    assert seen == ["Objective(na=traced, wavelength=0.5 µm, n=1)"]


def test_every_number_is_a_leaf_and_a_known_one_stays_known():
    layers = psf.Layers(**LAYERS)
    assert len(jax.tree.leaves(psf.Objective(1.2, 0.6, 1.5))) == 3
    assert len(jax.tree.leaves(psf.Objective(1.2, 0.6, layers=layers))) == 2 + 9
    assert len(jax.tree.leaves(psf.Window((4, 5), 0.1))) == 4
    kinds = []

    def image(z):
        to = psf.Window((4, 5), 0.1, z)
        kinds.extend(isinstance(a, jax.core.Tracer) for a in (to.spacing, to.y, to.z))
        return jnp.sum(to.z)

    jax.eval_shape(image, 0.1)
    assert kinds == [False, False, True]
    many = jax.tree.map(lambda a: np.stack([a, a]), psf.Window((4, 5), 0.1))
    assert many.shape == (4, 5) and many.z.shape == (2,)


MODES = psf.ZernikePupil([0.05], [(2, 2)])
SCOPE = psf.Microscope(0.9, 0.5, (8, 9), pixel=0.15, n=1.33)
STILL = psf.Window((8, 9), spacing=0.05)
# Nouns made once are constants of a function that is used in both precisions.
CLOSED = {
    "modes": lambda s: psf.scalar_focus_intensity(SCOPE.objective, STILL, MODES) * s,
    "radial": lambda s: psf.scalar_focus_intensity(
        SCOPE.objective, STILL, psf.RadialPupil([1.0, 0.9, 0.8, 0.7])
    ),
    "microscope": lambda s: SCOPE.psf(0.1 * s),
    "volume": lambda s: SCOPE.image(s * jnp.ones((1, 8, 9)), np.zeros(1)),
    "emitters": lambda s: psf.emitters_image(SCOPE, np.zeros((1, 3)), s),
}


@pytest.mark.parametrize("name", CLOSED)
def test_nouns_serve_single_and_double_precision(name):
    function = jax.jit(lambda s: CLOSED[name](s))
    for double in (False, True):
        with jax.enable_x64(double):
            lowered = function.lower(1.0)
            assert lowered.out_info.dtype.itemsize == 4 + 4 * double
