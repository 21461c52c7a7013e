"""The Debye-Wolf integral in float64 by Gauss-Legendre in the angle and the trapezoid in azimuth.

Written with angles (theta, phi) and cross products of vectors, as in Richards and Wolf, not in the
form that jaxwave uses. Converged to 1e-13 with the default nodes for windows of +-2 µm. Pupils are
functions of (y, x).
"""

from math import factorial

import numpy as np
from psf.quadrature import POWER, fresnel, layer_path, root
from psf.quadrature import directions as nodes

TAU = 2 * np.pi


def rays(na, n, radial=90, azimuthal=180):
    """Angles and weights of solid angle."""
    t, w = np.polynomial.legendre.leggauss(radial)
    most = np.arcsin(na / n)
    theta = most * (t + 1) / 2
    phi = (np.arange(azimuthal) + 0.25) * TAU / azimuthal
    weight = (most / 2 * w * np.sin(theta))[:, None] * np.full(azimuthal, TAU / azimuthal)
    theta, phi = np.broadcast_to(theta[:, None], weight.shape), np.broadcast_to(phi, weight.shape)
    return theta.ravel(), phi.ravel(), weight.ravel()


def directions(theta, phi):
    """Direction of the ray, and of s and p polarization before and behind the lens."""
    zero = 0 * theta
    k = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)])
    s = np.stack([-np.sin(phi), np.cos(phi), zero])
    p = np.cross(s, k, axis=0)
    before = np.stack([np.cos(phi), np.sin(phi), zero])
    return k, s, p, before


def focus(pupil, y, x, *, na, wavelength, n, z=0.0, jones=(1, 0), power=0.5):
    """Components x, y, z ``(3, points)``: power is the exponent of cos(theta) per solid angle."""
    theta, phi, weight = rays(na, n)
    k, s, p, before = directions(theta, phi)
    e = np.array([*jones, 0])[:, None]
    rho = n * np.sin(theta) / na
    amplitude = pupil(rho * np.sin(phi), rho * np.cos(phi)) * np.cos(theta) ** power * weight * n**2
    field = s * np.sum(s * e, axis=0) + p * np.sum(before * e, axis=0)
    wave = phases(k, y, x, z, n, wavelength)
    return (field * amplitude) @ wave / (wavelength * np.sqrt(np.pi) * na)


def scalar(pupil, y, x, *, na, wavelength, n, z=0.0, power=0.5):
    theta, phi, weight = rays(na, n)
    rho = n * np.sin(theta) / na
    amplitude = pupil(rho * np.sin(phi), rho * np.cos(phi)) * np.cos(theta) ** power * weight * n**2
    wave = phases(directions(theta, phi)[0], y, x, z, n, wavelength)
    return amplitude @ wave / (wavelength * np.sqrt(np.pi) * na)


def phases(k, y, x, z, n, wavelength):
    y, x = np.ravel(y), np.ravel(x)
    path = np.outer(k[0], x) + np.outer(k[1], y) + ((k[2] - 1) * z)[:, None]
    return np.exp(1j * TAU * n / wavelength * path)


class Aperture:
    """Rays through any pupil and any layers, with the critical angle at the end of a panel."""

    def __init__(self, *, na, wavelength, n, layers=None, motion="stage", transmit=True,
                 apodization="aplanatic", radial=90, azimuthal=180):  # fmt: skip
        self.na, self.n, self.wavelength, self.layers = na, n, wavelength, layers
        self.n_s = n if layers is None else layers["n_s"]
        self.motion = motion
        self.s, weight = nodes(na, min(n, self.n_s), radial)
        self.phi = (np.arange(azimuthal) + 0.25)[:, None] * TAU / azimuthal
        lens = (root(n, self.s).real / n) ** POWER[apodization]
        self.weight = lens * weight * self.s * TAU / azimuthal
        self.q_s = self.q_p = np.ones_like(self.s)
        if layers is not None and transmit:
            media = (n, *reversed(layers.get("n_g", ())), self.n_s)
            self.q_s, self.q_p = fresnel(self.s, media)
        self.emission = na * np.sqrt(3 / (8 * n * self.n_s))

    def path(self, z):
        if self.layers is None:
            return z * (root(self.n, self.s) - self.n)
        return layer_path(self.s, **self.layers, n_i=self.n, z=z, motion=self.motion)

    def sums(self, factors, pupil, y, x, z):
        """Integrals of factors ``(..., azimuth, s)`` times the pupil, ``(..., *y.shape)``."""
        rho = self.s / self.na
        wave = self.weight * np.exp(TAU * 1j * self.path(z) / self.wavelength)
        wave = wave * pupil(rho * np.sin(self.phi), rho * np.cos(self.phi))
        y, x = np.broadcast_arrays(y, x)
        sx, sy = (self.s * f(self.phi) for f in (np.cos, np.sin))
        turns = np.outer(sx, x.ravel()) + np.outer(sy, y.ravel())
        flat = (np.asarray(factors) * wave).reshape(-1, turns.shape[0])
        result = flat @ np.exp(TAU * 1j * turns / self.wavelength)
        result = result / (self.wavelength * np.sqrt(np.pi) * self.na)
        return result.reshape(*np.shape(factors)[:-2], *y.shape)

    def scalar(self, pupil, y, x, z=0.0):
        return self.sums(np.ones((len(self.phi), len(self.s))), pupil, y, x, z)

    def matrix(self, pupils, y, x, z=0.0):
        """Field of both Jones vectors ``[component, jones]``, each behind its own pupil."""
        sine, cosine = self.s / self.n_s, root(self.n_s, self.s) / self.n_s
        c, s = np.cos(self.phi), np.sin(self.phi)
        one = np.ones_like(self.s)
        across = [-s * one, c * one, 0 * s * one]
        along = [c * cosine, s * cosine, -sine * (c * 0 + 1)]
        before = [(-s, c), (c, s)]
        return np.stack([
            self.sums(
                [self.q_s * a * before[0][j] + self.q_p * b * before[1][j]
                 for a, b in zip(across, along, strict=True)],
                pupils[j], y, x, z,
            )
            for j in (0, 1)
        ], axis=1)  # fmt: skip

    def focus(self, pupils, y, x, z=0.0, jones=(1, 0)):
        return np.einsum("cj...,j->c...", self.matrix(pupils, y, x, z), np.asarray(jones))

    def emitter(self, pupils, y, x, z=0.0, dipole=(0, 0, 1)):
        moment = np.asarray(dipole) / np.linalg.norm(dipole) * self.emission
        return np.einsum("cj...,c->j...", self.matrix(pupils, y, x, z), moment)

    def rotating(self, pupils, y, x, z=0.0):
        square = np.abs(self.matrix(pupils, y, x, z) * self.emission) ** 2
        return square.sum((0, 1)) / 3


def zernike(n, m, y, x):
    """Orthonormal on the disk, by the textbook's sum; cosines for m >= 0, sines below."""
    rho, phi, k = np.hypot(y, x), np.arctan2(y, x), abs(m)
    radial = sum(
        (-1) ** j * factorial(n - j) * rho ** (n - 2 * j)
        / (factorial(j) * factorial((n + k) // 2 - j) * factorial((n - k) // 2 - j))
        for j in range((n - k) // 2 + 1)
    )  # fmt: skip
    norm = np.sqrt((1 if m == 0 else 2) * (n + 1))
    return norm * radial * (np.cos(k * phi) if m >= 0 else np.sin(k * phi))


def window(shape, spacing, y=0.0, x=0.0, every=(1, 1)):
    """Some of the samples of a window: indices and places (y, x)."""
    (ny, nx), (dy, dx) = shape, np.broadcast_to(spacing, 2)
    iy, ix = np.arange(0, ny, every[0]), np.arange(0, nx, every[1])
    places = np.meshgrid(y + (iy - ny // 2) * dy, x + (ix - nx // 2) * dx, indexing="ij")
    return np.ix_(iy, ix), places[0], places[1]


def off(got, need, peak):
    """Largest error, of a peak."""
    got = np.asarray(got)
    assert got.shape == need.shape
    return np.abs(got - need).max() / peak
