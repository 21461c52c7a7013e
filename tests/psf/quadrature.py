"""Reference for point-spread functions: the Richards-Wolf integrals in float64, by numpy and scipy.

Written from the textbook, not from jaxwave; it shares no code with it. The field at (x, y, z) is

    E(r) = C * integral of a(s) P(s) exp[2 pi i (s.r + path(s)) / wavelength] d^2 s,

over the disk |s| <= na, with the transverse direction s = n_i sin(theta); a is cos(theta)^p with
p = -1/2 (aplanatic), -1 (herschel) or 0 (none); C = 1 / (wavelength na sqrt(pi)), so that a clear
pupil carries unit power. The variable is psi with s = n_c sin(psi), n_c the least index, and chi
with s = n_c cosh(chi) beyond it, so that no root has a branch point inside a panel.

Functions of the pupil, such as `pupil` below, get rho = s / na.
"""

from itertools import pairwise

import numpy as np
from scipy.special import jv

POWER = {"aplanatic": -0.5, "herschel": -1.0, "none": 0.0}


def gauss(a, b, count):
    t, w = np.polynomial.legendre.leggauss(count)
    return a + (b - a) * (t + 1) / 2, w * (b - a) / 2


def directions(na, least, count):
    """Nodes s and weights of the integral over s, split at the least index."""
    top = np.arcsin(min(1.0, na / least))
    psi, w = gauss(0, top, count)
    s, weight = least * np.sin(psi), w * least * np.cos(psi)
    if na > least:
        chi, w = gauss(0, np.arccosh(na / least), count)
        s = np.concatenate([s, least * np.cosh(chi)])
        weight = np.concatenate([weight, w * least * np.sinh(chi)])
    return s, weight


def root(n, s):
    """Longitudinal component, +i|.| beyond the critical angle."""
    return np.sqrt((n - s) * (n + s) + 0j)


def layer_path(s, *, n_s, n_i, t_s, n_g=(), t_g=(), n_g0=None, t_g0=None, n_i0=None, t_i0=100.0,
               t_i=None, z=0.0, motion="stage"):  # fmt: skip
    """The literal Gibson-Lanni path without its value on the axis, complex.

    In extended precision: in double the sum over 100 µm is off by 1e-13 wavelengths or more.
    """
    n_g0 = n_g if n_g0 is None else n_g0
    t_g0 = t_g if t_g0 is None else t_g0
    n_i0 = n_i if n_i0 is None else n_i0
    if t_i is None:
        ratio = sum(t / n for t, n in zip(t_g0, n_g0, strict=True)) + t_i0 / n_i0
        ratio -= sum(t / n for t, n in zip(t_g, n_g, strict=True)) + t_s / n_s
        t_i = n_i * ratio
    s = np.concatenate([np.ravel(s), [0.0]]).astype(np.longdouble)
    path = t_s * root(n_s, s) + t_i * root(n_i, s) - t_i0 * root(n_i0, s)
    path = path + sum(t * root(n, s) for t, n in zip(t_g, n_g, strict=True))
    path = path - sum(t * root(n, s).real for t, n in zip(t_g0, n_g0, strict=True))
    path = path + z * root(n_i if motion == "stage" else n_s, s)
    return (path - path[-1])[:-1].astype(complex)


def fresnel(s, indices):
    """Transmissions q_s, q_p through the interfaces of media, as Born and Wolf write them."""
    q_s = q_p = 1.0
    for n1, n2 in pairwise(indices):
        c1, c2 = root(n1, s) / n1, root(n2, s) / n2
        q_s = q_s * 2 * n1 * c1 / (n1 * c1 + n2 * c2)
        q_p = q_p * 2 * n1 * c1 / (n2 * c1 + n1 * c2)
    return q_s, q_p


class Round:
    """A circularly symmetric pupil at its quadrature nodes."""

    def __init__(self, *, wavelength, na, n, pupil=None, opd=None, apodization="aplanatic",
                 layers=None, motion="stage", transmit=False, count=200):  # fmt: skip
        self.wavelength, self.na, self.n = wavelength, na, n
        self.layers, self.motion, self.kept = layers, motion, {}
        n_s = layers["n_s"] if layers else n
        self.s, weight = directions(na, min(n, n_s), count)
        rho = self.s / na
        amplitude = (root(n, self.s).real / n) ** POWER[apodization] * (pupil or np.ones_like)(rho)
        if opd is not None:
            amplitude = amplitude * np.exp(2j * np.pi * opd(rho) / wavelength)
        self.amplitude = 2 * np.pi * self.s * weight * amplitude
        self.amplitude = self.amplitude / (wavelength * na * np.sqrt(np.pi))
        self.q_s = self.q_p = np.ones_like(self.s)
        self.n_s, self.cosine = n_s, root(n_s, self.s) / n_s
        if transmit:
            indices = (n, *reversed(layers.get("n_g", ())), n_s)
            self.q_s, self.q_p = fresnel(self.s, indices)

    def phase(self, z):
        if self.layers is None:
            path = z * (root(self.n, self.s) - self.n)
        else:
            path = layer_path(self.s, **self.layers, n_i=self.n, z=z, motion=self.motion)
        return np.exp(2j * np.pi * path / self.wavelength)

    def bessel(self, order, r):
        """J_order at the distinct radii and the nodes, kept for the next plane."""
        key = (order, r.tobytes())
        if key not in self.kept:
            self.kept[key] = jv(order, 2 * np.pi * np.outer(r, self.s) / self.wavelength)
        return self.kept[key]

    def integral(self, order, factor, r, z):
        """Integral of factor * J_order over the pupil, for an array of radii."""
        radii, inverse = np.unique(np.ravel(r), return_inverse=True)
        value = self.bessel(order, radii) @ (self.amplitude * self.phase(z) * factor)
        return value[inverse].reshape(np.shape(r))

    def scalar(self, y, x, z=0.0):
        return self.integral(0, 1.0, np.hypot(y, x), z)

    def parts(self, r, z):
        """I0, I1, I2 with E = (I0 + I2 cos 2phi, I2 sin 2phi, -2i I1 cos phi)."""
        along = self.q_p * self.cosine
        i0 = self.integral(0, (self.q_s + along) / 2, r, z)
        i1 = self.integral(1, self.q_p * (self.s / self.n_s) / 2, r, z)
        i2 = self.integral(2, (self.q_s - along) / 2, r, z)
        return i0, i1, i2

    def matrix(self, y, x, z=0.0):
        """Field of both Jones vectors, ``[component, jones]``."""
        y, x = np.broadcast_arrays(y, x)
        r, phi = np.hypot(y, x), np.arctan2(y, x)
        i0, i1, i2 = self.parts(r, z)
        c, s = i2 * np.cos(2 * phi), i2 * np.sin(2 * phi)
        e_z = -2j * i1
        return np.array([[i0 + c, s], [s, i0 - c], [e_z * np.cos(phi), e_z * np.sin(phi)]])

    def vector(self, y, x, z=0.0, jones=(1, 0)):
        return np.tensordot(self.matrix(y, x, z), np.asarray(jones), axes=([1], [0])).reshape(
            3, *np.broadcast_shapes(np.shape(y), np.shape(x))
        )

    def rings(self, y, x, z=0.0, kind="radial"):
        """Field of a pupil that is polarized along s (radial) or across it (azimuthal)."""
        r, phi = np.hypot(y, x), np.arctan2(y, x)
        if kind == "azimuthal":
            e_phi = 1j * self.integral(1, self.q_s, r, z)
            return np.array([-e_phi * np.sin(phi), e_phi * np.cos(phi), np.zeros_like(e_phi)])
        e_r = 1j * self.integral(1, self.q_p * self.cosine, r, z)
        e_z = -self.integral(0, self.q_p * self.s / self.n_s, r, z)
        return np.array([e_r * np.cos(phi), e_r * np.sin(phi), e_z])


def direct(y, x, z, *, wavelength, na, n, pupil=None, jones=(1, 0), apodization="aplanatic",
           least=None, count=80, angles=128, path=None):  # fmt: skip
    """Second method: the vector field at one point by a sum over plane waves, any pupil(y, x).

    Polar nodes, Gauss-Legendre in psi and equidistant in phi; polarization by rotating the vector
    about the axis normal to the meridional plane, not by Bessel functions. `pupil` gets
    (y, x) = (rho sin phi, rho cos phi); `path` gets s and replaces the defocus z of one medium.
    """
    s, weight = directions(na, least or n, count)
    phi = 2 * np.pi * np.arange(angles) / angles
    s, weight, phi = s[:, None], weight[:, None] * (2 * np.pi / angles), phi[None]
    cos = root(n, s).real / n
    sx, sy = s * np.cos(phi), s * np.sin(phi)
    wave = s * weight * cos ** POWER[apodization] / (wavelength * na * np.sqrt(np.pi))
    wave = wave * (pupil(sy / na, sx / na) if pupil else 1.0)
    opd = z * (root(n, s) - n) if path is None else path(s.ravel())[:, None]
    wave = wave * np.exp(2j * np.pi * (sx * x + sy * y + opd) / wavelength)
    sin = s / n
    across = np.array([-np.sin(phi), np.cos(phi)])
    along = np.array([np.cos(phi), np.sin(phi)])
    e_across = across[0] * jones[0] + across[1] * jones[1]
    e_along = along[0] * jones[0] + along[1] * jones[1]
    vector = np.array(
        [
            across[0] * e_across + along[0] * cos * e_along,
            across[1] * e_across + along[1] * cos * e_along,
            -sin * e_along * np.ones_like(phi),
        ]
    )
    return (vector * wave).sum((-2, -1))
