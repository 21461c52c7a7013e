"""Dipoles behind any pupil, against the circularly symmetric models and conservation of power."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import error

from jaxwave import JaxwaveWarning, psf

LAYERS = dict(n_s=1.38, n_g=1.5, n_i=1.5, t_s=2.0)
KIND = dict(na=1.3, wavelength=0.632)
WINDOW = dict(spacing=0.08, z=0.3, y=0.05, x=-0.1)


@pytest.mark.parametrize("dipole", [(1, 0, 0), (0, 1, 0), (0, 0, 2), (0.6, 0.3j, -0.7)])
def test_dipoles_are_those_of_the_round_pupil(dipole, x64):
    layers = psf.coverslip_layers(**LAYERS)
    need = psf.spherical_dipole(
        psf.round_pupil(layers=layers, **KIND), (12, 11), dipole=dipole, **WINDOW
    )
    kind = dict(layers=layers, **KIND, **WINDOW)
    got = psf.cartesian_dipole(None, (12, 11), dipole=dipole, nodes=72, **kind)
    assert error(got, need) < 1e-9
    image = psf.cartesian_dipole_intensity(None, (12, 11), dipole=dipole, nodes=72, **kind)
    assert error(image, np.sum(np.abs(need) ** 2, 0)) < 1e-9
    turned = jax.jit(lambda p: psf.cartesian_dipole(None, (12, 11), dipole=p, nodes=72, **kind))
    assert error(turned(jnp.asarray(dipole, complex)), need) < 1e-9


def test_rotating_dipole_is_the_mean_of_three():
    """With a pupil that acts on x and y differently, whose six components all count."""
    x, y = psf.pupil_coordinates((65, 65))
    pupil = jnp.stack([jnp.exp(1j * x * y), 0.7 * jnp.exp(-0.5j * x + 0 * y)])
    kind = dict(n=1.5, **KIND, **WINDOW)
    fixed = [psf.cartesian_dipole_intensity(pupil, (9, 8), dipole=d, **kind) for d in np.eye(3)]
    mean = psf.cartesian_dipole_intensity(pupil, (9, 8), **kind)
    assert error(mean, sum(fixed) / 3) < 1e-6


def test_emitter_and_stage_see_the_same_light_in_one_medium():
    """An emitter that goes deeper by z is a focal plane that goes by z toward the objective."""
    layers = psf.coverslip_layers(n_s=1.5, n_g=1.5, n_i=1.5, t_s=3.0)
    kind = dict(layers=layers, spacing=0.1, nodes=48, **KIND)
    stage, emitter = (
        psf.cartesian_dipole_intensity(None, (9, 8), dipole=(1, 0, 0), z=0.8, motion=m, **kind)
        for m in ("stage", "emitter")
    )
    assert error(stage, emitter) < 1e-5
    # The emitter's own pupil: deeper is away from the objective, z = -0.8.
    d = 2 * 3000.0 * 1.3 / 250
    back = dict(dipole=(1, 0, 0), spacing=d, f=3000.0, layers=layers, **KIND)
    deeper = psf.dipole_pupil((256, 256), z=-0.8, **back)
    nearer = psf.dipole_pupil((256, 256), focus=0.8, **back)
    assert error(deeper.u, nearer.u) < 1e-4


def test_bad_dipoles_and_windows_are_said():
    kind = dict(spacing=0.1, n=1.5, **KIND)
    with pytest.raises(ValueError, match="`dipole` must be finite"):
        psf.cartesian_dipole(None, (5, 5), dipole=(np.nan, 0, 1), **kind)
    with pytest.raises(ValueError, match="`dipole` must not be zero"):
        psf.cartesian_dipole(None, (5, 5), dipole=(0, 0, 0), **kind)
    with pytest.warns(JaxwaveWarning, match="Make `spacing` at least 975 µm"):
        psf.dipole_pupil((8, 8), dipole=(1, 0, 0), f=3000.0, **(kind | {"spacing": 50.0}))


def test_power_of_a_dipole_through_water(x64):
    """Share of the light of dipoles along and across the axis, by Fresnel's power transmission.

    Far from the interface the light below the critical angle is what the interface transmits.
    """
    n_s, n_i, na = 1.33, 1.515, 1.2
    layers = psf.coverslip_layers(n_s=n_s, n_g=n_i, n_i=n_i, t_s=50.0)
    t, w = np.polynomial.legendre.leggauss(100)
    s, w = na * (t + 1) / 2, w * na / 2
    r1, r2 = np.sqrt(n_s**2 - s**2), np.sqrt(n_i**2 - s**2)
    t_s = 4 * r1 * r2 / (r1 + r2) ** 2
    t_p = 4 * n_s**2 * n_i**2 * r1 * r2 / (n_i**2 * r1 + n_s**2 * r2) ** 2
    cosine = r1 / n_s
    solid = 2 * np.pi * s * w / (n_s * r1)  # of the sample
    along = np.sum(3 / (8 * np.pi) * (s / n_s) ** 2 * t_p * solid)
    across = np.sum(3 / (16 * np.pi) * (t_s + cosine**2 * t_p) * solid)
    d = 2 * 3000.0 * na / 600
    for dipole, need in (((0, 0, 1), along), ((1, 0, 0), across)):
        pupil = psf.dipole_pupil(
            (640, 640), dipole=dipole, spacing=d, wavelength=0.6, f=3000.0, na=na, layers=layers
        )
        # The rim's samples carry the square of their share: 0.1 % too little.
        assert float(pupil.power) == pytest.approx(need, rel=4e-3)
