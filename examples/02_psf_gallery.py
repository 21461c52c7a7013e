"""A gallery of point-spread functions at high aperture, made by the Richards-Wolf integral.

Scalar against vectorial at NA 0.5 and 1.3, index mismatch, donut, half-moon, astigmatism.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from jaxwave import psf

WAVELENGTH, N, SHAPE, SPACING = 0.632, 1.5, (101, 101), 0.025
WINDOW = psf.Window(SHAPE, SPACING)
CIRCULAR = psf.circular_polarization(1)
RINGS = psf.PolarNodes(36, 30)


def peak_one(image) -> np.ndarray:  # type: ignore[no-untyped-def]
    """An image whose peak is one."""
    return np.asarray(image / image.max())


def width(image: np.ndarray, axis: int) -> float:
    """Standard deviation of a cut through the middle along an axis [µm]."""
    line = image[:, 50] if axis == 0 else image[50]
    place = (np.arange(101) - 50) * SPACING
    return float(np.sqrt(np.sum(line * place**2) / np.sum(line)))


def main() -> None:
    """Computes the pictures, asserts what is known about them, saves them."""
    pictures = {}
    differences = {}
    for na in (0.5, 1.3):
        objective = psf.Objective(na, WAVELENGTH, n=N)
        scalar = psf.scalar_focus_intensity(objective, WINDOW)
        vector = psf.focus_intensity(objective, WINDOW, polarization=CIRCULAR)
        pictures[f"scalar, NA {na}"] = peak_one(scalar)
        pictures[f"vectorial, NA {na}"] = peak_one(vector)
        amplitude = [np.sqrt(pictures[f"{k}, NA {na}"]) for k in ("scalar", "vectorial")]
        differences[na] = float(np.abs(amplitude[0] - amplitude[1]).max())
    layers = psf.Layers(n_s=1.3, n_g=1.5, n_i=1.5, t_s=1.0)
    depth = np.linspace(-1.25, 1.25, 101)
    section = psf.emitter_image(
        psf.Objective(1.3, WAVELENGTH, layers=layers), psf.Window((1, 101), SPACING, z=depth)
    )[:, 0]
    pictures["n 1.3 under glass, x-z"] = peak_one(section)
    best = depth[np.argmax(section[:, 50])]
    high = psf.Objective(1.3, WAVELENGTH, n=N)
    donut, moon = (
        peak_one(psf.focus_intensity(high, WINDOW, pupil, polarization=CIRCULAR, nodes=RINGS))
        for pupil in (psf.vortex, psf.half_moon)
    )
    pictures |= {"donut": donut, "half-moon": moon}
    # One radian of vertical astigmatism, peak.
    astigmatism = psf.ZernikePupil([WAVELENGTH / (2 * np.pi) / np.sqrt(6)], [(2, 2)])
    planes = psf.Window(SHAPE, SPACING, z=[-0.5, 0.0, 0.5])
    stack = psf.focus_intensity(high, planes, astigmatism, polarization=CIRCULAR)
    for z, image in zip((-0.5, 0.0, 0.5), stack, strict=True):
        pictures[f"astigmatism, z = {z} µm"] = peak_one(image)
    figure = Figure(figsize=(10, 4.4), dpi=150, layout="constrained")
    for ax, (name, image) in zip(figure.subplots(2, 5).flat, pictures.items(), strict=True):
        ax.imshow(np.sqrt(image), cmap="inferno", vmin=0, vmax=1, extent=(-1.26, 1.26, 1.26, -1.26))
        ax.set_title(name, fontsize=8)
        ax.tick_params(labelsize=6)
    figure.supxlabel("x [µm]", fontsize=8)
    figure.supylabel("y [µm] downward (x-z: z)", fontsize=8)
    figure.suptitle("Amplitude (square root of the intensity), peak one, 632 nm", fontsize=9)
    Path("results").mkdir(exist_ok=True)
    figure.savefig("results/02_psf_gallery.png")
    before, focus, behind = (np.asarray(i) for i in stack)
    print(f"scalar - vectorial: {differences[0.5]:.3f} at NA 0.5, {differences[1.3]:.3f} at NA 1.3")
    print(f"best focus 1 µm deep in n = 1.3: {best:.3f} µm from the nominal one")
    print(f"donut's center: {donut[50, 50]:.1e} of the peak")
    assert differences[0.5] < 0.06 < 0.1 < differences[1.3] < 0.25
    assert -0.4 < best < -0.1
    assert donut[50, 50] < 1e-6
    assert abs(width(focus, 0) / width(focus, 1) - 1) < 0.01
    assert (width(before, 0) > width(before, 1)) != (width(behind, 0) > width(behind, 1))


if __name__ == "__main__":
    main()
