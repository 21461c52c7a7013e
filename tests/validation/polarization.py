"""Polarization: matrices of the textbook, Malus, charges of vortices."""

import numpy as np

import jaxwave as jw
from validation import row

SHAPE, SPACING = (8, 9), (0.5, 0.25)


def light(seed=0):
    rng = np.random.default_rng(seed)
    u = rng.normal(size=(3, *SHAPE)) + 1j * rng.normal(size=(3, *SHAPE))
    u[2] = 0
    u = u.astype(np.complex64).astype(complex)
    return jw.vector_field(u, spacing=SPACING, wavelength=0.5), u


def wave(jones=None):
    plain = jw.plane_wave(SHAPE, spacing=SPACING, wavelength=0.5)
    return plain if jones is None else jw.polarize(plain, jones)


def matrix(angle, first, second):
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    return turn @ np.diag([first, second]) @ turn.T


def act(m, u):
    return np.concatenate([np.einsum("ab,byx->ayx", m, u[:2]), 0 * u[:1]])


THIN = "collimated light (Ez is dropped, with a warning)"


@row("polarize", reference="its definition; power of a unit Jones vector", valid="collimated light")
def _():
    u = np.asarray(wave().u, complex)
    return wave((0.6, 0.8j)).u, np.stack([0.6 * u, 0.8j * u, 0 * u])


@row("unpolarized", reference="half the power behind any polarizer", valid="collimated light")
def _():
    angles = np.array([0.0, 0.5, 2.0])
    powers = [jw.polarizer(jw.unpolarized(wave()), a).power.sum() for a in angles]
    return powers, 0.5 * np.ones(3)


@row("polarizer", reference="Malus's law and the projector, leakage 1/64", valid=THIN)
def _():
    field, u = light()
    return jw.polarizer(field, 0.375, leakage=1 / 64).u, act(matrix(0.375, 1, 1 / 8), u)


@row("retarder", reference="diag(exp(-i d/2), exp(i d/2)) in turned axes", valid=THIN)
def _():
    field, u = light()
    m = matrix(0.375, np.exp(-0.625j), np.exp(0.625j))
    return jw.retarder(field, 1.25, 0.375).u, act(m, u)


@row("retarder_mask", reference="the retarder's matrix, sample by sample", valid=THIN)
def _():
    field, u = light()
    delta, angle = np.random.default_rng(1).integers(-64, 64, size=(2, *SHAPE)) / 32
    need = np.zeros_like(u)
    for i, j in np.ndindex(*SHAPE):
        phase = np.exp(0.5j * delta[i, j])
        need[:2, i, j] = matrix(angle[i, j], 1 / phase, phase) @ u[:2, i, j]
    return jw.retarder_mask(field, delta, angle).u, need


@row("rotator", reference="the rotation matrix", valid=THIN)
def _():
    field, u = light()
    c, s = np.cos(0.375), np.sin(0.375)
    return jw.rotator(field, 0.375).u, act(np.array([[c, -s], [s, c]]), u)


@row("q_plate", reference="vortex exp(2 i q phi) of the other helicity", valid=THIN)
def _():
    field = wave(np.array([1, 1j]) / np.sqrt(2))
    got = jw.q_plate(field, 1.5, x=0.125, y=0.0625).u
    y = (np.arange(8) - 4)[:, None] * 0.5 - 0.0625
    x = (np.arange(9) - 4) * 0.25 - 0.125
    amplitude = 1 / np.sqrt(72 * 0.125)
    vortex = -1j * amplitude * np.exp(3j * np.arctan2(y, x)) / np.sqrt(2)
    return got, np.stack([vortex, -1j * vortex, 0 * vortex])


@row("jones_mask", reference="the matrix product, sample by sample", valid=THIN)
def _():
    field, u = light()
    m = light(2)[1][0] + np.arange(4).reshape(2, 2, 1, 1)
    need = np.concatenate([np.einsum("abyx,byx->ayx", m, u[:2]), 0 * u[:1]])
    return jw.jones_mask(field, m).u, need


@row("polarizing_beam_splitter", reference="both projectors; powers add up", valid=THIN)
def _():
    field, u = light()
    a, b = np.sqrt(63 / 64), 1 / 8
    ports = jw.polarizing_beam_splitter(field, angle=0.375, leakage=1 / 64)
    need = [act(matrix(0.375, *p), u) for p in ((a, b), (b, a))]
    return np.stack([p.u for p in ports]), np.stack(need)


@row("stokes", reference="powers behind six analyzers", valid="collimated light")
def _():
    field, u = light()
    a = [(1, 0), (0, 1), (2**-0.5, 2**-0.5), (2**-0.5, -(2**-0.5))]
    a += [(2**-0.5, 2**-0.5 * 1j), (2**-0.5, -(2**-0.5) * 1j)]
    p = [np.abs(np.einsum("a,ayx->yx", np.conj(e), u[:2])) ** 2 for e in a]
    return jw.stokes(field), np.stack([p[0] + p[1], p[0] - p[1], p[2] - p[3], p[4] - p[5]])


@row("degree_of_polarization", reference="(1 - e)/(1 + e) behind a leaky polarizer", valid="all")
def _():
    half = jw.stokes(jw.polarizer(jw.unpolarized(wave()), 0.375, leakage=0.25)).sum(0)
    return jw.degree_of_polarization(half), 0.6 * np.ones(SHAPE)


@row("mueller_matrix", reference="quarter-wave plate of Bohren & Huffman", valid="linear systems")
def _():
    m = jw.mueller_matrix(lambda f: jw.retarder(f, np.pi / 2, 0.0), wave())[..., 0, 0]
    need = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]])
    return m, need / (72 * 0.125)
