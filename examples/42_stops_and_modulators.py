"""Stops, plates and modulators: eight of them and their far fields, and what the gaps of one cost.

Every rim is weighted by area, so the area of every stop is exact and has a slope.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import jaxwave as jw

WAVELENGTH, SPACING, SHAPE, F = 0.532, 8.0, (192, 192), 50e3
FILL = 0.9


def beam() -> jw.Field:
    """A Gaussian beam that fills the device."""
    return jw.gaussian_beam(SHAPE, spacing=SPACING, wavelength=WAVELENGTH, waist=450.0)


def devices() -> dict[str, jw.Field]:
    """The beam behind every device."""
    light = beam()
    corners = [(-400, -350), (-100, 100), (-450, 300), (350, 450), (300, -250)]
    ramp = 2 * np.pi * np.arange(48) / 6
    levels = jw.levels_for_phase(np.broadcast_to(ramp, (48, 48)), table := slm_table())
    centers = np.stack(np.meshgrid([-300, 0, 300], [-300, 0, 300]), -1).reshape(-1, 2)
    bumps = jw.gaussian_influence(SHAPE, centers, spacing=SPACING, pitch=300.0)
    flat = light * (1 / light.amplitude.max())
    return {
        "polygon": jw.polygon_aperture(light, corners),
        "slits": jw.slits(light, 40.0, pitch=160.0, count=5, length=900.0, angle=0.3),
        "ring": jw.annular_aperture(light, 300.0, 400.0),
        "spiral": jw.spiral_mask(light, 3),
        "cubic": jw.cubic_mask(jw.circular_aperture(light, 600.0), 4.0, radius=600.0),
        "zone plate": jw.zone_plate(flat, F, wavelength=WAVELENGTH, zones=15),
        "modulator": jw.slm(light, levels, pitch=32.0, table=table, fill_factor=FILL, angle=0.2),
        "mirror": jw.deformable_mirror(light, [0.3, 0, 0, -0.5, 0, 0.4, 0, 0.2, 0], bumps),
    }


def slm_table() -> np.ndarray:
    """A device whose 256 levels are not quite linear."""
    return 2 * np.pi * (np.arange(256) / 256) ** 1.1


def zero_order(fill: float) -> jax.Array:
    """Share of the light in the zero order of a checkerboard of 0 and pi."""
    light = jw.scalar_field(np.ones(SHAPE), spacing=SPACING, wavelength=WAVELENGTH)
    board = np.pi * (np.indices((16, 16)).sum(0) % 2)
    sent = jw.slm(light, board, pitch=12 * SPACING, fill_factor=fill, y=44.0, x=44.0)
    return jnp.abs(jnp.mean(sent.u)) ** 2


def main() -> None:
    """Draws the devices and their far fields, asserts what the gaps leave in the zero order."""
    figure = Figure(figsize=(14, 4), dpi=120, layout="constrained")
    axes = figure.subplots(2, 8)
    for (name, field), column in zip(devices().items(), axes.T, strict=True):
        far = jw.ff_lens(field, F, spacing=6.0, shape=(128, 128))
        phase = name in ("spiral", "cubic", "modulator", "mirror")
        shown = field.phase if phase else field.amplitude
        column[0].imshow(shown, cmap="twilight" if phase else "gray")
        column[0].set_title(name + (" (phase)" if phase else ""), fontsize=9)
        column[1].imshow(np.sqrt(far.intensity), cmap="inferno")
        for ax in column:
            ax.set_axis_off()
    Path("results").mkdir(exist_ok=True)
    figure.savefig("results/42_stops_and_modulators.png")

    value, slope = jax.value_and_grad(zero_order)(FILL)
    print(f"zero order of a checkerboard with {FILL:.0%} fill: {float(value):.4%}")
    print(f"expected (1 - fill)^2: {(1 - FILL) ** 2:.4%}, slope {float(slope):.4f}")
    assert abs(float(value) - (1 - FILL) ** 2) < 1e-6
    assert abs(float(slope) + 2 * (1 - FILL)) < 1e-4


if __name__ == "__main__":
    main()
