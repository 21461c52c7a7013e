"""A Shack-Hartmann sensor: a hexagonal lens array whose foci tell the slopes of a wavefront.

The array's pitch is no whole number of samples, its lenslets are round, and it is turned.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import jaxwave as jw

WAVELENGTH, PITCH, TURN, F, SPACING = 0.633, 97.3, 0.11, 2500.0, 2.5


def picture(opd: jax.Array, pitch: jax.Array, turn: jax.Array) -> jax.Array:
    """What a camera sees in the focal plane of the array."""
    wave = jw.plane_wave((240, 240), spacing=SPACING, wavelength=WAVELENGTH, power=600.0**2)
    array = jw.microlens_array(
        jw.opd_mask(wave, opd), F, pitch=pitch, layout="hexagonal", phi=turn, lenslet="round"
    )
    return jw.fresnel(array, F).intensity


def slopes(image: np.ndarray, flat: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """How far every focus has moved, over the focal length: the wavefront's slopes (y, x).

    Squared intensities keep the neighbors' side lobes out of the centers of mass.
    """
    y, x = (np.mgrid[:240, :240] - 120) * SPACING

    def centroid(picture: np.ndarray, cy: float, cx: float) -> np.ndarray:
        light = picture**2 * (np.hypot(y - cy, x - cx) < PITCH / 2)
        return np.array([(light * y).sum(), (light * x).sum()]) / light.sum()

    moved = [centroid(image, *c) - centroid(flat, *c) for c in centers]
    return np.array(moved) / F


def main() -> None:
    """Measures the slopes of a coma, finds the array's own numbers, draws both."""
    y, x = jnp.meshgrid(*((jnp.arange(240) - 120) * SPACING,) * 2, indexing="ij")
    opd = jw.zernike_opd(jnp.array([0.06, 0.08]), [(2, 2), (3, 1)], y / 300, x / 300)
    see = jax.jit(picture)
    flat, image = (np.asarray(see(w, PITCH, TURN)) for w in (0 * opd, opd))

    i, j = np.mgrid[-4:5, -4:5].reshape(2, -1)
    v, u = i * PITCH * np.sqrt(3) / 2, (j + i / 2) * PITCH
    centers = np.stack(
        [np.cos(TURN) * v + np.sin(TURN) * u, np.cos(TURN) * u - np.sin(TURN) * v], -1
    )
    centers = centers[np.hypot(*centers.T) < 220]
    got = slopes(image, flat, centers)
    gradient = np.stack(np.gradient(np.asarray(opd), SPACING), -1)
    lenslets = [np.hypot(y - cy, x - cx) < PITCH / 2 for cy, cx in centers]
    need = np.array([gradient[np.asarray(inside)].mean(0) for inside in lenslets])
    error = np.sqrt(((got - need) ** 2).mean() / (need**2).mean())

    figure = Figure(figsize=(9, 3.2), dpi=130, layout="constrained")
    axes = figure.subplots(1, 3)
    axes[0].imshow(np.asarray(opd), cmap="RdBu")
    axes[0].set_title("path of the wavefront", fontsize=8)
    axes[1].imshow(image**0.5, cmap="magma", extent=(-300, 300, 300, -300))
    axes[1].set_title("foci of the lens array", fontsize=8)
    axes[2].quiver(centers[:, 1], centers[:, 0], got[:, 1], got[:, 0], color="k", label="measured")
    axes[2].quiver(centers[:, 1], centers[:, 0], need[:, 1], need[:, 0], color="r", alpha=0.5)
    axes[2].margins(0.2)
    axes[2].set_aspect("equal")
    axes[2].invert_yaxis()
    axes[2].set_title("slopes: measured (black) and true (red)", fontsize=8)
    Path("results").mkdir(exist_ok=True)
    figure.savefig("results/44_microlens_array.png")
    print(f"slopes of {len(centers)} lenslets: error {100 * error:.1f} % of their rms")
    assert error < 0.05


if __name__ == "__main__":
    main()
