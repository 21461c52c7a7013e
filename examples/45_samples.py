"""A fluorescent filament at three depths under an oil objective, and the light behind a bead.

The sample is watery, so that every plane has a point-spread function of its own, the worse the
deeper; the images are made plane by plane, and the depth could be learned. The bead is cut into
slices that light goes through.
"""

from pathlib import Path

import jax
import numpy as np
from matplotlib.figure import Figure

import jaxwave as jw
from jaxwave import psf

PIXEL, STEP, SHAPE = 0.1, 0.25, (13, 64, 72)
DEPTHS = (0.5, 5.0, 15.0)  # of the plane in focus, µm behind the coverslip


@jax.jit
def image_at(depth: jax.Array, volume: jax.Array) -> jax.Array:
    """The image of the volume around that depth; the stage has brought its middle into focus."""
    layers = psf.Layers(n_s=1.33, n_g=1.52, n_i=1.518, t_s=depth)
    scope = psf.Microscope(1.3, 0.52, (41, 41), PIXEL, layers=layers, motion="emitter")
    return scope.image(volume, (np.arange(SHAPE[0]) - SHAPE[0] // 2) * STEP)


def behind_a_bead(radius: float = 2.5, d: float = 0.125) -> tuple[np.ndarray, jw.Field]:
    """Light along the axis behind a bead of polystyrene in oil, from the last slice on."""
    bead = jw.spheres((48, 128, 120), [(0, 0, 0)], radius, spacing=(d, 0.125, 0.125))
    n, oil = 1.59, 1.515
    wave = jw.plane_wave((128, 120), spacing=0.125, wavelength=0.6, power=16.0 * 15.0)
    out = jw.multislice(wave, (n - oil) * bead, d, n=oil)
    far = jw.angular_spectrum(out, np.linspace(0, 14, 57), n=oil)
    return np.asarray(far.intensity[:, 64]), out


def main() -> None:
    """Images, the light behind the bead, and what the depth costs."""
    ends = [(-0.9, -2.2, -2.6), (0.0, 0.4, -0.3), (0.9, 2.0, 2.7)]
    volume = jw.filaments(SHAPE, ends, 0.15, spacing=(STEP, PIXEL, PIXEL))
    images = [np.asarray(image_at(depth, volume)) for depth in DEPTHS]
    beam, out = behind_a_bead()

    figure = Figure(figsize=(10, 2.9), dpi=130, layout="constrained")
    axes = figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.5))
    for ax, image, depth in zip(axes, images, DEPTHS, strict=False):
        ax.imshow(image, cmap="magma", vmin=0, vmax=images[0].max())
        ax.set_title(f"{depth:g} µm deep", fontsize=8)
        ax.set_axis_off()
    axes[3].imshow(beam.T, cmap="viridis", extent=(0, 14, -7.5, 7.5), origin="lower", aspect="auto")
    axes[3].set_xlabel("z behind the bead [µm]", fontsize=8)
    axes[3].set_ylabel("x [µm]", fontsize=8)
    axes[3].set_title("focus of a bead in oil", fontsize=8)
    Path("results").mkdir(exist_ok=True)
    figure.savefig("results/45_samples.png")
    peaks = [float(image.max() / images[0].max()) for image in images]
    print("brightest pixel against depth:", ", ".join(f"{p:.2f}" for p in peaks))
    print(f"brightest light behind the bead: {beam.max():.1f}, power {float(out.power) / 240:.4f}")
    assert 1 > peaks[1] > peaks[2]
    assert abs(float(out.power) / 240 - 1) < 1e-3


if __name__ == "__main__":
    main()
