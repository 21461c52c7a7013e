"""One transparent cell under four kinds of light: the condenser of a microscope.

Brightfield hides what has no color; a half-open condenser (differential phase contrast), a dark
field and a little defocus show it. The phase comes back from two images by the transfer function.
Below, beams: Gauss, Hermite, Laguerre, Bessel, and speckle.
"""

from pathlib import Path

import jax
import numpy as np
from matplotlib.figure import Figure

import jaxwave as jw

SHAPE, SPACING, WAVELENGTH, NA = (96, 96), 0.2, 0.55, 0.5


def cell() -> np.ndarray:
    """Phase of a thin cell with a nucleus [rad]."""
    y, x = (np.asarray(c) for c in jw.coordinates(SHAPE, SPACING))
    body = 1 / (1 + np.exp(4 * (np.hypot(y / 1.3, x) - 4.0)))
    nucleus = 1 / (1 + np.exp(6 * (np.hypot(y - 1.0, x + 0.8) - 1.4)))
    return 0.05 * body + 0.05 * nucleus


def draw(images: dict, beams: set[str]) -> None:
    """All pictures; in focus and out of it on one scale, for in focus a phase cannot be seen."""
    figure = Figure(figsize=(12, 4.6), dpi=150, layout="constrained")
    for ax, (name, image) in zip(figure.subplots(2, 6).flat, images.items(), strict=True):
        like = images["defocused by 3 µm"] if name == "brightfield" else image
        limits = dict(vmin=float(np.min(like)), vmax=float(np.max(like)))
        ax.imshow(np.asarray(image), cmap="inferno" if name in beams else "gray", **limits)
        ax.set_title(name, fontsize=8)
        ax.set_axis_off()
    Path("results").mkdir(exist_ok=True)
    figure.savefig("results/41_condenser.png")


def main() -> None:
    """Makes the images, asserts what is known about them, saves the picture."""
    phase = cell()
    t = np.exp(1j * phase)
    kind = dict(spacing=SPACING, wavelength=WAVELENGTH, na=NA)
    source = NA  # inside the rim of the objective, large details would be lost
    halves = {s: jw.illumination_points(source, side=s) for s in ("left", "right", "top", "bottom")}
    left, right, top, bottom = (jw.koehler_image(t, p, **kind) for p in halves.values())
    dpc_x, dpc_y = ((a - b) / (a + b) for a, b in ((right, left), (bottom, top)))
    images = {
        "brightfield": jw.koehler_image(t, jw.illumination_points(source), **kind),
        "defocused by 3 µm": jw.koehler_image(t, jw.illumination_points(0.2), z=3.0, **kind),
        "dark field": jw.koehler_image(t, jw.illumination_points(0.7, inner=0.55), **kind),
        "differential contrast, x": dpc_x,
        "differential contrast, y": dpc_y,
    }
    # Small phases are linear: learn what a weak grid makes of them, and divide (Tikhonov).
    point = np.zeros(SHAPE)
    point[48, 48] = 0.2
    responses = []
    for a, b in (("right", "left"), ("bottom", "top")):
        i, j = (jw.koehler_image(np.exp(1j * point), halves[s], **kind) for s in (a, b))
        responses.append(np.fft.fft2(np.fft.ifftshift(np.asarray((i - j) / (i + j)) / 0.2)))
    measured = [np.fft.fft2(np.asarray(d)) for d in (dpc_x, dpc_y)]
    top_ = sum(np.conj(h) * m for h, m in zip(responses, measured, strict=True))
    found = np.fft.ifft2(top_ / (sum(np.abs(h) ** 2 for h in responses) + 1e-4)).real
    images["phase from both [rad]"] = found

    grid = dict(spacing=0.5, wavelength=WAVELENGTH)
    beams = {
        "elliptic Gauss": jw.gaussian_beam(SHAPE, waist=(5.0, 12.0), **grid),
        "Hermite-Gauss (2, 1)": jw.hermite_gauss_beam(SHAPE, order=(2, 1), waist=8.0, **grid),
        "Laguerre-Gauss, charge 2": jw.laguerre_gauss_beam(SHAPE, charge=2, waist=8.0, **grid),
        "Bessel": jw.bessel_beam(SHAPE, kr=0.9, waist=20.0, **grid),
        "speckle": jw.speckle(jax.random.key(0), SHAPE, na=0.1, **grid),
        "partly coherent": jw.gaussian_schell_beam(
            SHAPE, waist=9.0, coherence=6.0, order=14, **grid
        ),
    }
    images |= {
        name: beam.intensity if not beam.batch_shape else jw.total_intensity(beam)
        for name, beam in beams.items()
    }
    draw(images, set(beams))

    contrast = {name: float(np.std(images[name])) for name in ("brightfield", "defocused by 3 µm")}
    error = np.linalg.norm(found - phase + np.mean(phase - found)) / np.linalg.norm(phase)
    print(
        f"contrast in focus {contrast['brightfield']:.1e}, defocused "
        f"{contrast['defocused by 3 µm']:.1e}"
    )
    print(f"phase from differential contrast: {100 * error:.1f} % off")
    assert contrast["brightfield"] < 0.2 * contrast["defocused by 3 µm"]
    assert float(np.min(images["dark field"])) < 0.02 * float(np.max(images["dark field"]))
    assert error < 0.03


if __name__ == "__main__":
    main()
