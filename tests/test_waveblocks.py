"""docs/WAVEBLOCKS.md runs line by line, and what WaveBlocks calls learnable has a gradient."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxwave as jw
from jaxwave import lightfield, psf

TEXT = (Path(__file__).parents[1] / "docs" / "WAVEBLOCKS.md").read_text(encoding="utf-8")
ROWS = [
    (row.split("|")[1].strip(), re.findall(r"`([^`]*)`", row)[-1])
    for row in TEXT.splitlines()
    if row.startswith("| ") and "---" not in row and "`" in row
]


def test_the_table_has_every_block():
    blocks = "OpticConfig WavePropagation Lens PhaseMask PeriodicMLA CoordinateMLA Camera PSF Noise"
    blocks += " PSFScatter RichardsonLucy BrightFieldMicroscope fourier_lightfield_mla_micro"
    assert all(any(name in row for row, _ in ROWS) for name in blocks.split())


@pytest.mark.slow
def test_every_line_runs():
    space: dict = {}
    exec(re.search(r"```python\n(.*?)```", TEXT, re.S)[1], space)
    failed = {}
    for block, line in ROWS:
        try:
            result = eval(line, space)
            leaves = jax.tree_util.tree_leaves(result)
            assert leaves and all(np.all(np.isfinite(np.asarray(leaf))) for leaf in leaves)
        except Exception as error:
            failed[block] = f"{line}: {type(error).__name__}: {error}"
    assert not failed, "\n".join(failed.values())


def slm_light(beam, pitch, phi):
    return jw.slm(beam, PHASE, pitch=pitch, angle=phi)


def listed(beam, y, x):
    return jw.microlens_array(
        beam, 2500.0, centers=[[y, -40.0], [9.0, x]], lenslet="round", diameter=55.0
    )


def coverslip(beam, n, t):
    layers = psf.Layers(n_s=n, n_g=1.52, n_i=1.0, t_s=t)
    return psf.scalar_focus(psf.Objective(0.45, 0.63, layers=layers), SHARP)


SHARP = psf.Window((24, 26), spacing=(0.31, 0.29), z=7.0, y=0.4, x=-0.7)
TURNED = np.random.default_rng(3).uniform(0, 5, (24, 26))
PHASE = np.random.default_rng(1).uniform(0, 5, (12, 12))
LEARNABLE = {  # what WaveBlocks declares learnable, as functions of two numbers
    "distance, focal length": (
        lambda u, z, f: jw.angular_spectrum(jw.thin_lens(u, f), z),
        (900.0, 4000.0),
    ),
    "focal length and aperture of a lens": (
        lambda u, f, r: jw.ff_lens(jw.circular_aperture(u, r), f),
        (5000.0, 61.3),
    ),
    "pitch and turn of a modulator": (slm_light, (11.3, 0.07)),
    "offset of a modulator": (
        lambda u, y, x: jw.slm(u, PHASE, pitch=11.3, y=y, x=x, fill_factor=0.9),
        (3.1, -4.7),
    ),
    "tilt of a modulator and its flatness": (
        lambda u, t, h: jw.slm(u, PHASE, pitch=11.3, tilt=t, flatness=h * PHASE[::-1]),
        (0.4, 0.03),
    ),
    "lens between two planes": (
        lambda u, f, z: jw.lens(u, f, front=7000.0, back=z),
        (5000.0, 9000.0),
    ),
    "focal lengths of a 4f system": (
        lambda u, f, g: jw.four_f(u, f, g, pupil=1 + 0.1 * TURNED),
        (5000.0, 6100.0),
    ),
    "turn and offset of an array": (
        lambda u, phi, x: jw.microlens_array(u, 2500.0, pitch=47.3, phi=phi, x=x, lenslet="round"),
        (0.2, 6.3),
    ),
    "places of listed lenses": (listed, (-3.0, 37.0)),
    "aperture and wavelength of an objective": (
        lambda u, na, w: psf.scalar_focus(psf.Objective(na, w), SHARP),
        (0.45, 0.63),
    ),
    "index and depth behind a coverslip": (coverslip, (1.36, 11.0)),
    "focal length and pitch of an array": (
        lambda u, f, p: jw.microlens_array(u, f, pitch=p, lenslet="round"),
        (2500.0, 47.3),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNABLE)
def test_what_is_learnable_has_its_gradient(name):
    function, at = LEARNABLE[name]
    with jax.enable_x64(True):
        beam = jw.gaussian_beam((24, 26), spacing=6.9, wavelength=0.63, waist=60.0)
        weight = np.random.default_rng(2).normal(size=(2, 24, 26))

        @jax.jit
        def value(a, b):
            u = function(beam, a, b)
            u = u.u if isinstance(u, jw.Field) else u
            return jnp.sum(weight[0] * u.real + weight[1] * u.imag)

        slopes = jax.jit(jax.grad(value, (0, 1)))(*at)
        for k, slope in enumerate(slopes):
            step = 1e-5 * at[k]
            up, down = ([p + s * step * (i == k) for i, p in enumerate(at)] for s in (1, -1))
            need = (value(*up) - value(*down)) / (2 * step)
            np.testing.assert_allclose(slope, need, rtol=1e-3)
            assert slope != 0


def test_names_of_the_table_exist():
    for name in re.findall(r"`lightfield\.(\w+)", TEXT):
        assert hasattr(lightfield, name)
    for name in re.findall(r"`psf\.(\w+)", TEXT):
        assert hasattr(psf, name)
