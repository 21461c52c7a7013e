"""One aperture through windows of every size: near, zoomed, aside, far, and on a tilted screen.

Each picture is one call with the output's spacing, shape, place; `propagate` says what it chose.
"""

import logging
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import jaxwave as jw

WAVELENGTH, RADIUS = 0.532, 60.0


def aperture() -> jw.Field:
    """A round hole, lit by a plane wave of amplitude one."""
    wave = jw.plane_wave((200, 200), spacing=1.0, wavelength=WAVELENGTH, power=200.0**2)
    return jw.circular_aperture(wave, RADIUS)


def axis_field(z: float) -> complex:
    """The field on the axis behind a round hole, exactly (Rayleigh and Sommerfeld's integral)."""
    r, k = np.hypot(RADIUS, z), 2 * np.pi / WAVELENGTH
    return 1 - z / r * np.exp(1j * k * (r - z))


def main() -> None:
    """Draws six windows and compares the field on the axis with its closed form."""
    logging.basicConfig(level="INFO", format="%(message)s")
    hole = aperture()
    views = {
        "z = 0.3 mm": jw.propagate(hole, "0.3 mm"),
        "z = 3 mm": jw.propagate(hole, "3 mm"),
        "z = 3 mm, zoomed 5 times": jw.propagate(hole, "3 mm", spacing=0.2),
        "z = 3 mm, the rim at x = 60 µm": jw.propagate(hole, "3 mm", spacing=0.25, x=60.0),
        "z = 60 mm, six times wider": jw.propagate(hole, "60 mm", spacing=6.0),
        "z = 3 mm, screen tilted by 0.2 rad": jw.tilted_plane(jw.propagate(hole, "3 mm"), 0.2),
    }
    figure = Figure(figsize=(9, 6.4), dpi=130, layout="constrained")
    for ax, (title, field) in zip(figure.subplots(2, 3).ravel(), views.items(), strict=True):
        half = np.asarray(field.extent) / 2
        extent = (-half[1], half[1], half[0], -half[0])
        ax.imshow(np.asarray(field.intensity), cmap="magma", extent=extent)
        ax.set_title(title, fontsize=8)
        ax.set_xlabel("µm from its axis sample", fontsize=7)
    Path("results").mkdir(exist_ok=True)
    figure.savefig("results/43_windows.png")

    distances = (1500.0, 3000.0, 20000.0)
    got = [jw.propagate(hole, z, spacing=0.2, shape=(3, 3)).u[1, 1] for z in distances]
    need = [axis_field(z) for z in distances]
    error = float(np.abs(np.array(got) - need).max())
    print(f"on the axis at {distances} µm: largest error {error:.1e} of the incident amplitude")
    assert error < 0.02  # the sampled rim: 60 samples a radius


if __name__ == "__main__":
    main()
