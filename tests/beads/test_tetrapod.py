"""An engineered PSF through the command line: the printed mask of a tetrapod comes back."""

from pathlib import Path

import numpy as np
import pytest
from scipy import io as sio
from scipy import ndimage

from jaxwave import io, report
from jaxwave.cli.main import main

MASK = Path(__file__).parents[3] / "shared/data/deepstorm3d_masks/mask_tetrapod.mat"
NA, N, LIGHT, PIXEL, RADIUS = 1.45, 1.518, 0.58, 0.16, 82.5  # of the mask, in its pixels


def phase(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The mask at pupil coordinates, between its samples as a complex number."""
    mask = np.asarray(sio.loadmat(MASK)["mask_tetra_model"], float)
    at = [(mask.shape[0] - 1) / 2 + RADIUS * y, (mask.shape[1] - 1) / 2 + RADIUS * x]
    parts = [ndimage.map_coordinates(f(mask), at, order=1) for f in (np.cos, np.sin)]
    return np.arctan2(parts[1], parts[0])


def stack(z: np.ndarray, size: int = 64, fine: int = 5, samples: int = 181) -> np.ndarray:
    """A rotating dipole by sums over the pupil in float64, integrated over the pixels."""
    g = (np.arange(samples) - samples // 2) / (samples / 2)
    y, x = np.meshgrid(g, g, indexing="ij")
    part = (np.arange(8) - 3.5) / 8 * (g[1] - g[0])
    rim = np.mean([np.hypot(y + a, x + b) <= 1 for a in part for b in part], axis=0)
    sine = np.minimum(np.hypot(y, x), 1.02) * NA / N
    cosine, phi = np.sqrt(1 - sine**2), np.arctan2(y, x)
    c, s = np.cos(phi), np.sin(phi)
    fields = [cosine * c * c + s * s, (cosine - 1) * s * c, (cosine - 1) * s * c]
    fields = np.stack([*fields, cosine * s * s + c * c, sine * c, sine * s])
    fields = fields / np.sqrt(cosine) * rim * np.exp(1j * phase(y, x))
    at = ((np.arange(size * fine) - (fine - 1) / 2) / fine - size // 2) * PIXEL
    rows, columns = (np.exp(2j * np.pi * NA / LIGHT * np.outer(at - p, g)) for p in (-0.03, 0.05))
    planes = []
    for height in z:
        wave = fields * np.exp(2j * np.pi * N / LIGHT * cosine * height)
        light = np.sum(np.abs(rows @ wave @ columns.T) ** 2, axis=0)
        planes.append(light.reshape(size, fine, size, fine).sum(axis=(1, 3)))
    return np.stack(planes)


@pytest.mark.slow
@pytest.mark.skipif(not MASK.is_file(), reason="the masks lie beside the repository")
def test_a_tetrapod_comes_back_within_a_tenth_of_a_radian(tmp_path):
    light = stack(np.linspace(-2, 2, 21))
    clean = np.full((21, 80, 80), 50.0)
    clean[:, 8:72, 8:72] += 3e5 * light / light.sum(axis=(1, 2)).mean()
    data = np.random.default_rng(1).poisson(clean).astype(np.uint16)
    path = io.write_stack(tmp_path / "tetra.ome.tif", data, spacing=(0.2, PIXEL, PIXEL))
    words = ["--na", "1.45", "--n", "1.518", "--wavelength", "580 nm"]
    out = tmp_path / "out"
    assert main(["calibrate", str(path), *words, "-o", str(out)]) == 0
    fit = report.load_bead_fit(out).fit
    model = fit.model
    place = (np.arange(model.samples) - model.samples // 2) * model.step / NA
    y, x = np.meshgrid(place, place, indexing="ij")
    inside = np.hypot(y, x) <= 0.97
    y, x, a = y[inside], x[inside], fit.pupil_amplitude[inside]
    off = np.exp(1j * (2 * np.pi * fit.pupil_opd[inside] / LIGHT - phase(y, x)))
    off *= np.exp(-1j * np.angle(np.sum(a * off)))
    gauge = np.stack([np.ones_like(y), y, x, np.sqrt(1 - (y**2 + x**2) * (NA / N) ** 2)], axis=1)
    for _ in range(20):  # piston, tilt and defocus are the place of the bead
        root = np.sqrt(a)
        rest = np.linalg.lstsq(gauge * root[:, None], np.angle(off) * root, rcond=None)[0]
        off *= np.exp(-1j * gauge @ rest)
    assert np.sqrt(np.sum(a * np.angle(off) ** 2) / a.sum()) < 0.1
