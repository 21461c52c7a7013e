"""Light fields: matrices written out, sums over the pupil, pictures of known lattices."""

import numpy as np
from reference import axis

from jaxwave import lightfield
from jaxwave.psf import Objective, ZernikePupil
from validation import row
from validation.imaging import kernel

TAU = 2 * np.pi


def matrix(values, shape):
    """Of the projection: every voxel paints its own PSF; light beyond the image is lost."""
    planes, ny, nx, ky, kx = values.shape
    sy, sx = shape
    result = np.zeros((sy, sx, planes, sy, sx))
    for z, j, k in np.ndindex(planes, sy, sx):
        one = values[z, (j - sy // 2) % ny, (k - sx // 2) % nx]
        for a, b in np.ndindex(ky, kx):
            y, x = j + a - ky // 2, k + b - kx // 2
            if 0 <= y < sy and 0 <= x < sx:
                result[y, x, z, j, k] = one[a, b]
    return result.reshape(sy * sx, -1)


def projector():
    values = kernel((2, 3, 2, 4, 5), 11)
    psf = lightfield.LightFieldPSF(values, z=[-1.0, 2.0], pixel=0.5)
    return lightfield.Projector(psf, (9, 8)), matrix(values, (9, 8))


@row("lightfield.Projector", reference="the matrix of all voxels, and its transpose",
     valid="PSFs that repeat after whole pixels")  # fmt: skip
def _():
    one, whole = projector()
    volume, image = kernel((2, 9, 8), 12), kernel((9, 8), 13)
    got = [one.project(volume).ravel(), one.backproject(image).ravel()]
    return np.concatenate(got), np.concatenate([whole @ volume.ravel(), whole.T @ image.ravel()])


@row("lightfield.richardson_lucy", reference="its steps by matrices", valid="counted photons")
def _():
    one, whole = projector()
    image = 4 + 8 * kernel((9, 8), 14)
    need = kernel((2, 9, 8), 15) + 0.5
    got = lightfield.richardson_lucy(one, image, steps=3, start=need, background=0.5)
    need, seen = need.ravel(), whole.sum(0)
    for _ in range(3):
        need = need / seen * (whole.T @ (image.ravel() / (whole @ need + 0.5)))
    return got, need.reshape(2, 9, 8)


NA, W, M, PITCH, F, PIXEL, N = 0.34375, 0.53125, 20.0, 60.0, 1500.0, 12.0, 1.328125


def scope():
    array = lightfield.LensArray(F, pitch=PITCH)
    return lightfield.LightFieldMicroscope(Objective(NA, W, n=N), M, array, PIXEL, emitter="scalar")


@row("lightfield.LightFieldMicroscope",
     reference="sums over the pupil of one emitter under coma, padded transforms, 9 x 9 samples in "
     "a pixel", valid="paraxial lenslets, windows that hold the light")  # fmt: skip
def _():
    z, (a, b), pixels, fine = 6.0, (4, 3), 15, 9
    coma = ZernikePupil([0.125], [(3, 1)])
    psf = scope().psf([z], shape=(25, 25), pupil=coma, samples=5)
    n, d = (pixels + 10) * fine, PIXEL / fine
    t, s = axis(n, d), axis(121, 1 / 60.5)
    sy, sx = s[:, None], s
    square = sy**2 + sx**2
    root = np.sqrt(N**2 - np.minimum(square * NA**2, 1.0))
    opd = 0.125 * np.sqrt(8) * (3 * square - 2) * sx + z * (root - N)
    inside = np.clip(0.5 + (1 - np.sqrt(square)) * 60.5, 0, 1)
    pupil = inside / np.sqrt(root) * np.exp(1j * TAU * opd / W)
    waves = np.exp(1j * TAU / W * NA / M * np.outer(t, s))
    cy, cx = (np.mod(t + k * PIXEL + PITCH / 2, PITCH) - PITCH / 2 for k in (a, b))
    u = waves @ pupil @ waves.T * np.exp(-0.5j * TAU / (W * F) * (cy[:, None] ** 2 + cx**2))
    f = np.fft.fftfreq(2 * n, d)
    turns = F * (np.sqrt(1 / W**2 - f[:, None] ** 2 - f**2) - 1 / W)
    u = np.fft.ifft2(np.fft.fft2(u, (2 * n, 2 * n)) * np.exp(1j * TAU * turns))[:n, :n]
    light = (abs(u) ** 2).reshape(25, fine, 25, fine).sum((1, 3))[5:20, 5:20]
    got = np.asarray(psf.values[0, a, b], float)[5:20, 5:20]
    return got / got.sum(), light / light.sum()


@row("lightfield.sampling_cutoff", reference="Broxton's formula at the focus and far from it",
     valid="cameras in the lenslets' focal plane")  # fmt: skip
def _():
    z = np.array([0.0, 64.0, 128.0])
    need = [M / (2 * PITCH), *(PITCH * N / (0.94 * W * M * z[1:]))]
    return lightfield.sampling_cutoff(scope(), z), np.minimum(need, 2 * NA / W)


@row("lightfield.find_lattice", reference="a picture of known pitch, turn and place",
     valid="four lenslets or more each way")  # fmt: skip
def _():
    y, x = axis(100, 1.0)[:, None] - 2.25, axis(121, 1.0) + 3.5
    c, s = np.cos(0.03125), np.sin(0.03125)
    v, u = (c * y - s * x) / 11.25, (c * x + s * y) / 12.375
    image = (1 + np.cos(TAU * v)) ** 2 * (1 + np.cos(TAU * u))
    got = lightfield.find_lattice(image)
    return [*got.pitch, got.phi, got.y, got.x], [11.25, 12.375, 0.03125, 2.25, -3.5]


@row("lightfield.rectify", reference="Keys' cubics are exact for parabolas",
     valid="slow images; 1 % at half the sampling limit")  # fmt: skip
def _():
    def image(y, x):
        return 2 + 0.125 * y - 0.25 * x + 2.0**-7 * (y * y - x * y + 2 * x * x)

    lattice = lightfield.Lattice((8.0, 8.5), phi=0.125, y=0.75, x=-1.25)
    got = lightfield.rectify(image(axis(40, 1.0)[:, None], axis(43, 1.0)), lattice, pixels=7,
                             shape=(20, 21))  # fmt: skip
    rows, columns = axis(20, 8 / 7)[:, None], axis(21, 8.5 / 7)
    c, s = np.cos(0.125), np.sin(0.125)
    need = image(0.75 + c * rows + s * columns, -1.25 + c * columns - s * rows)
    return got, need * 8 * 8.5 / 49
