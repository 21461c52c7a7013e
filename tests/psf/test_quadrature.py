"""The reference itself: it converges to 1e-13 and agrees with two other methods."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.integrate
import scipy.special
from psf.polar import Aperture
from psf.quadrature import Round, direct, layer_path

Y, X = np.array([0.0, 0.3, -0.7, 1.1]), np.array([0.0, -0.2, 0.9, 1.6])
LAYERS = {"n_s": 1.33, "n_g": (1.52,), "t_s": 1.5, "t_g": (170.0,), "n_i0": 1.51, "t_i0": 120.0}
CASES = {
    "air": {"na": 0.95, "n": 1.0},
    "oil": {"na": 1.3, "n": 1.5},
    "layers": {"na": 1.25, "n": 1.515, "layers": LAYERS, "transmit": True},
    "beyond": {"na": 1.45, "n": 1.515, "layers": LAYERS, "transmit": True},
    "critical": {"na": 1.33, "n": 1.515, "layers": LAYERS, "motion": "emitter"},
}


@pytest.mark.parametrize("case", CASES)
def test_converged(case):
    """60 more nodes change nothing: the panels leave no singularity inside."""
    for z in (-1.0, 0.0, 2.0):
        fine = Round(wavelength=0.6, **CASES[case], count=220).vector(Y, X, z, (0.6, 0.8j))
        coarse = Round(wavelength=0.6, **CASES[case], count=160).vector(Y, X, z, (0.6, 0.8j))
        # Of the peak of a clear pupil without aberration.
        peak = np.sqrt(np.pi) * CASES[case]["na"] / 0.6
        assert np.abs(fine - coarse).max() < 1e-13 * peak


@pytest.mark.parametrize("case", ["air", "oil"])
def test_against_a_sum_of_plane_waves(case):
    setting = {"wavelength": 0.6, "apodization": "herschel", **CASES[case]}
    reference = Round(**setting)
    for y, x, z in zip(Y, X, (0.0, 1.0, -1.0, 0.5), strict=True):
        field = direct(y, x, z, jones=(0.6, 0.8j), **setting)
        assert np.abs(field - reference.vector(y, x, z, (0.6, 0.8j))).max() < 1e-13 * 5


@pytest.mark.parametrize("case", CASES)
def test_rays_of_any_pupil_are_those_of_a_round_one(case):
    setting = {"wavelength": 0.6, **CASES[case]}
    reference = Round(**setting)
    setting.setdefault("transmit", False)
    rays = Aperture(radial=160, **setting)
    clear = lambda y, x: 1.0 + 0 * x  # noqa: E731
    field, need = rays.matrix((clear, clear), Y, X, 1.3), reference.matrix(Y, X, 1.3)
    assert np.abs(field - need).max() < 1e-12 * 5
    assert np.abs(rays.scalar(clear, Y, X, 1.3) - reference.scalar(Y, X, 1.3)).max() < 1e-12 * 5


def test_against_adaptive_integration_in_the_angle():
    """Gibson-Lanni with rays beyond the critical angle, by scipy's adaptive rule in theta."""
    reference = Round(wavelength=0.6, **CASES["beyond"] | {"transmit": False}, apodization="none")
    n, na = 1.515, 1.45
    r, z = 0.4, 0.7

    def integrand(theta):
        s = n * np.sin(theta)
        path = layer_path(s, **LAYERS, n_i=n, z=z)
        wave = np.exp(2j * np.pi * path / 0.6)[0]
        return wave * scipy.special.jv(0, 2 * np.pi * r * s / 0.6) * s * n * np.cos(theta)

    ends = (0, np.arcsin(1.33 / n), np.arcsin(na / n))
    total = sum(
        scipy.integrate.quad(integrand, a, b, complex_func=True, epsabs=1e-11, limit=200)[0]
        for a, b in pairwise(ends)
    )
    total *= 2 * np.pi / (0.6 * na * np.sqrt(np.pi))
    assert abs(total - reference.scalar(0.0, r, z)) < 1e-9


def test_airy():
    r = np.linspace(0, 3, 50)
    x = 2 * np.pi * 0.9 * r / 0.6
    airy = np.sqrt(np.pi) * 0.9 / 0.6 * np.where(r > 0, 2 * scipy.special.j1(x) / (x + 1e-300), 1)
    field = Round(wavelength=0.6, na=0.9, n=1.0, apodization="none").scalar(0.0, r)
    assert np.abs(field - airy).max() < 1e-13 * airy[0]


def test_width_of_the_paper():
    """NA 1.3, n_s 1.3, n_i = n_g = 1.5, 1 µm deep, 632 nm, scalar: 271.5 nm."""
    layers = {"n_s": 1.3, "t_s": 1.0, "n_g": (1.5,), "t_g": (170.0,)}
    psf = Round(wavelength=0.632, na=1.3, n=1.5, layers=layers, apodization="none")
    r = np.linspace(0.1, 0.2, 2001)
    intensity = np.abs(psf.scalar(0.0, r)) ** 2
    half = np.abs(psf.scalar(0.0, np.zeros(1))) ** 2 / 2
    width = 2 * np.interp(-half, -intensity, r)[0]
    assert abs(1e3 * width - 271.5) < 0.05
