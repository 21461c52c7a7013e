"""From a raw light field to a volume: lattice, rectification, PSF, Richardson-Lucy.

A camera sees six beads at different depths through a lens array that is turned and
whose pitch is no whole number of pixels. Everything but the microscope's numbers is found.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from jaxwave import lightfield as lf
from jaxwave.psf import Objective

OBJECTIVE, MAGNIFICATION = Objective(0.45, 0.525), 20
PITCH, F, CAMERA = 100.0, 2200.0, 14.06  # lenslets and pixels of the camera [µm]
TURN, SHIFT = 0.015, (11.0, -23.0)
SHAPE = (150, 164)
DEPTHS = np.arange(-45.0, 46.0, 15.0)
BEADS = [(-45, -24, -12), (-45, 20, 30), (0, -8, 22), (15, 14, -20), (30, 3, 4), (30, -20, -35)]


def raw_images() -> tuple[np.ndarray, np.ndarray]:
    """What the camera sees: a flat field, and beads, each by an exact simulation of its own."""
    y, x = SHIFT
    array = lf.LensArray(F, pitch=PITCH, phi=TURN, y=y, x=x)
    scope = lf.LightFieldMicroscope(OBJECTIVE, MAGNIFICATION, array, CAMERA, emitter="scalar")
    light = sum(np.asarray(scope.image(SHAPE, z=z, y=v, x=u), float) for z, v, u in BEADS)
    random = np.random.default_rng(0)
    # The flat field of a wide sample: every lenslet shows the objective's pupil.
    centers = lf.Lattice(PITCH / CAMERA, phi=TURN, y=y / CAMERA, x=x / CAMERA).centers(SHAPE)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]] - np.array(SHAPE).reshape(2, 1, 1) // 2
    radius = F * 0.45 / MAGNIFICATION / CAMERA
    distance = np.min([np.hypot(rows - a, columns - b) for a, b in centers], axis=0)
    flat = 1e4 / (1 + np.exp((distance - radius) / 0.4))
    return random.poisson(flat), random.poisson(2e5 * light + 0.5)


def main() -> None:
    """Finds the lattice and the beads, and says how far off they are."""
    flat, raw = raw_images()
    lattice = lf.find_lattice(flat)
    print(lattice)
    image = np.asarray(lf.rectify(raw, lattice, pixels=7))
    array = lf.LensArray(F, pitch=PITCH)
    scope = lf.LightFieldMicroscope(OBJECTIVE, MAGNIFICATION, array, PITCH / 7, emitter="scalar")
    projector = lf.Projector(scope.psf(DEPTHS), image.shape)
    volume = np.asarray(
        lf.richardson_lucy(
            projector,
            np.maximum(image, 0),
            steps=60,
            background=0.5,
            cutoff=lf.sampling_cutoff(scope, DEPTHS),
        )
    )
    # The rectified axis is the found lenslet, so beads move by its place and the turn.
    errors, found = [], []
    pixel = float(scope.pixel_in_sample)
    c, s = np.cos(lattice.phi), np.sin(lattice.phi)
    for z, y, x in BEADS:
        v, u = (y - lattice.y * CAMERA / MAGNIFICATION, x - lattice.x * CAMERA / MAGNIFICATION)
        place = np.array([c * v - s * u, c * u + s * v])
        row, column = np.round(place / pixel).astype(int) + np.array(image.shape) // 2
        near = volume[:, row - 4 : row + 5, column - 4 : column + 5]
        peak = np.unravel_index(np.argmax(near), near.shape)
        errors.append([DEPTHS[peak[0]] - z, (peak[1] - 4) * pixel, (peak[2] - 4) * pixel])
        found.append((row, column))

    figure = Figure(figsize=(10, 3.4), dpi=130, layout="constrained")
    axes = figure.subplots(1, 3)
    axes[0].imshow(np.sqrt(raw), cmap="magma")
    axes[0].set_title("raw light field", fontsize=8)
    axes[1].imshow(flat, cmap="gray")
    at = lattice.centers(SHAPE) + np.array(SHAPE) // 2
    axes[1].plot(at[:, 1], at[:, 0], "r+", markersize=4)
    axes[1].set_title("flat field and the lattice found in it", fontsize=8)
    depth = np.where(volume.max(0) > 0.02 * volume.max(), DEPTHS[np.argmax(volume, axis=0)], np.nan)
    shown = axes[2].imshow(depth, cmap="turbo", vmin=-50, vmax=50)
    figure.colorbar(shown, ax=axes[2], label="depth [µm]")
    axes[2].plot(*np.array(found).T[::-1], "ko", markersize=9, fillstyle="none")
    axes[2].set_title("depth of the brightest voxel, true beads (circles)", fontsize=8)
    Path("results").mkdir(exist_ok=True)
    figure.savefig("results/21_light_field.png")
    worst = np.abs(errors).max(axis=0)
    print(
        f"{len(BEADS)} beads: worst depth {worst[0]:.1f} µm, worst place {worst[1:].max():.2f} µm"
    )
    assert worst[0] <= 15 and worst[1:].max() < 2.5


if __name__ == "__main__":
    main()
