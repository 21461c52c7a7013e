"""Any camera pixel: the model against sums over a fine grid in float64, everything distinct."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave import psf
from jaxwave.beads import model as bead_model
from jaxwave.beads.basis import pupil_basis
from jaxwave.beads.model import SCALES, BeadModel, blur_parameter

bead_stack = jax.jit(bead_model.bead_stack, static_argnums=0)
FINE = 9  # samples of a pixel in the reference
PUPIL = 400  # its samples across the pupil
ERF = np.vectorize(math.erf)
COEFFICIENTS = {(2, 2): 0.031, (3, 1): -0.024, (3, -1): 0.04, (4, 0): 0.018}


def zernike(mode: tuple[int, int], r: np.ndarray, phi: np.ndarray) -> np.ndarray:
    return {
        (2, 2): np.sqrt(6) * r**2 * np.cos(2 * phi),
        (3, 1): np.sqrt(8) * (3 * r**3 - 2 * r) * np.cos(phi),
        (3, -1): np.sqrt(8) * (3 * r**3 - 2 * r) * np.sin(phi),
        (4, 0): np.sqrt(5) * (6 * r**4 - 6 * r**2 + 1),
    }[mode]


def on_pixels(size: int, count: int, sigma: float) -> np.ndarray:
    """Share of the light at every fine sample that a blurred pixel gets: an integral of erf."""
    at = (np.arange(count) - count // 2) / FINE
    pixel = np.arange(size)[:, None] - size // 2
    high, low = at - pixel + 0.5, at - pixel - 0.5
    return (ERF(high / sigma / math.sqrt(2)) - ERF(low / sigma / math.sqrt(2))) / 2


def reference(model: BeadModel, y0: float, x0: float, z: float, sigma: tuple) -> np.ndarray:
    step = 2 / PUPIL
    s = (np.arange(PUPIL) - PUPIL / 2 + 0.5) * step
    parts = np.linspace(-0.5, 0.5, 17)[1::2] * step
    near = [np.hypot(s[:, None] + a, s + b) <= 1 for a in parts for b in parts]
    rim = np.mean(near, axis=0)
    r, phi = np.hypot(s[:, None], s), np.arctan2(s[:, None], s + 0 * s[:, None])
    sine = np.minimum(r, 1.01) * model.na / model.n
    cosine = np.sqrt(1 - sine**2)
    path = sum(c * zernike(mode, r, phi) for mode, c in COEFFICIENTS.items())
    path = path + z * model.n * (cosine - 1)
    pupil = rim / np.sqrt(cosine) * np.exp(2j * np.pi * path / model.wavelength)
    e_p = np.stack([np.cos(phi), np.sin(phi)])  # behind the objective
    e_s = np.stack([-np.sin(phi), np.cos(phi)])
    dipoles = [
        cosine * np.cos(phi) * e_p - np.sin(phi) * e_s,
        cosine * np.sin(phi) * e_p + np.cos(phi) * e_s,
        -sine * e_p,
    ]
    sizes = [(n + 10) * FINE // 2 * 2 + 1 for n in model.shape]
    waves = [
        np.exp(
            2j
            * np.pi
            * np.outer((np.arange(m) - m // 2) / FINE * model.pixel - c, s * model.na)
            / model.wavelength
        )
        for m, c in zip(sizes, (y0, x0), strict=True)
    ]
    light = sum(
        np.abs(waves[0] @ (pupil * field) @ waves[1].T) ** 2 for d in dipoles for field in d
    )
    # Parseval: the power of an infinite grid, for the share of the light
    area = (step * model.na * model.pixel / FINE / model.wavelength) ** 2
    power = 2 * np.sum(np.abs(pupil) ** 2)
    rows, columns = (on_pixels(n, m, w) for n, m, w in zip(model.shape, sizes, sigma, strict=True))
    return rows @ light @ columns.T * area / power


@pytest.mark.parametrize(
    ("na", "wavelength", "pixel", "samples"),
    [(1.4, 0.52, 0.108, 2), (1.45, 0.605, 0.16, 2), (1.3, 0.5, 0.25, 3), (1.2, 0.6, 0.08, 1)],
)
def test_any_pixel_is_the_integral_of_the_light(na, wavelength, pixel, samples):
    model = BeadModel(
        psf.Objective(na=na, wavelength=wavelength, n=1.518),
        pixel=pixel,
        shape=(17, 14),
        pupil_samples=96,
    )
    assert model.samples_per_pixel == samples
    y, x, sigma, z = 0.07, -0.11, (0.55, 0.75), np.array([-0.4, 0.5])
    values = np.zeros(len(model.modes))
    for mode, value in COEFFICIENTS.items():
        values[model.modes.index(mode)] = value / SCALES["zernike"]
    start = model.start() | {
        "y": jnp.float32(y / SCALES["y"]),
        "x": jnp.float32(x / SCALES["x"]),
        "zernike": jnp.asarray(values, jnp.float32),
        "blur": jnp.asarray(blur_parameter(sigma), jnp.float32),
    }
    got = np.asarray(bead_stack(model, start, z, pupil_basis(model)))
    for image, height in zip(got, z, strict=True):
        need = reference(model, y, x, height, sigma)
        share = image.sum() / need.sum()  # the power of a rim of 96 samples: a percent
        error = np.abs(image / share - need).max() / need.max()
        assert abs(share - 1) < 0.01 and error < 1e-3, (share, error)
