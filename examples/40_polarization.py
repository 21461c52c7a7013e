"""Light of a wave plate between polarizers, and the donut of a vortex retarder.

A birefringent grain between crossed polarizers, as a polarizing microscope shows it; its retardance
and axis again from Stokes parameters; and a q-plate that turns a beam into a vortex with a dark
focus.
"""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import jaxwave as jw
from jaxwave import psf

SHAPE, SPACING, WAVELENGTH = (96, 96), 0.25, 0.55


def grain() -> tuple[np.ndarray, np.ndarray]:
    """Retardance and fast axis of a spherulite: a radial axis, thick in the middle."""
    y, x = jw.coordinates(SHAPE, SPACING)
    return np.asarray(2.2 * jnp.exp(-(x**2 + y**2) / 6.0**2)), np.asarray(jnp.arctan2(y, x))


def main() -> None:
    """Computes the pictures, asserts what is known about them, saves them."""
    wave = jw.plane_wave(SHAPE, spacing=SPACING, wavelength=WAVELENGTH)
    delta, axis = grain()
    flat = float(wave.intensity[0, 0])

    # Between crossed polarizers: sin^2(delta / 2) sin^2(2 (axis - polarizer)), the Maltese cross.
    lit = jw.polarize(wave, psf.linear_polarization(0.0))
    crossed = jw.polarizer(jw.retarder_mask(lit, delta, axis), np.pi / 2).intensity / flat
    cross = np.sin(delta / 2) ** 2 * np.sin(2 * axis) ** 2
    # Circular light shows the retardance and the axis together.
    s = jw.stokes(jw.retarder_mask(jw.polarize(wave, psf.circular_polarization(1)), delta, axis))
    found_delta = np.arctan2(np.hypot(s[1], s[2]), s[3])
    found_axis = np.arctan2(s[1], -s[2]) / 2
    seen = delta > 0.1
    turn = np.angle(np.exp(2j * (found_axis - axis)))[seen] / 2

    # A beam through a vortex retarder (q = 1/2, charge 1) and a lens: a dark center.
    beam = jw.gaussian_beam((128, 128), spacing=20.0, wavelength=WAVELENGTH, waist=500.0)
    plate = jw.q_plate(jw.polarize(beam, psf.circular_polarization(1)), 0.5)
    focus = jw.ff_lens(plate, 20e3, spacing=0.5, shape=(101, 101)).intensity
    plain = jw.ff_lens(beam, 20e3, spacing=0.5, shape=(101, 101)).intensity
    darkness = float(focus[50, 50] / focus.max())

    pictures = {
        "crossed polarizers": (crossed, "inferno"),
        "retardance from Stokes [rad]": (np.where(seen, found_delta, np.nan), "viridis"),
        "axis from Stokes [rad]": (np.where(seen, found_axis, np.nan), "twilight"),
        "focus": (plain, "inferno"),
        "focus behind a q-plate": (focus, "inferno"),
    }
    figure = Figure(figsize=(12, 2.8), dpi=150, layout="constrained")
    for ax, (name, (image, colors)) in zip(figure.subplots(1, 5), pictures.items(), strict=True):
        figure.colorbar(ax.imshow(np.asarray(image), cmap=colors), ax=ax, shrink=0.7)
        ax.set_title(name, fontsize=8)
        ax.set_axis_off()
    Path("results").mkdir(exist_ok=True)
    figure.savefig("results/40_polarization.png")

    error = float(np.abs(crossed - cross).max())
    print(f"Maltese cross against its formula: {error:.1e}")
    print(f"retardance from Stokes: {np.abs(found_delta - delta)[seen].max():.1e} rad off")
    print(f"axis from Stokes: {np.abs(turn).max():.1e} rad off")
    print(f"center of the donut: {darkness:.1e} of its ring")
    assert error < 1e-5
    assert np.abs(found_delta - delta)[seen].max() < 1e-4
    assert np.abs(turn).max() < 1e-3
    assert darkness < 1e-6


if __name__ == "__main__":
    main()
