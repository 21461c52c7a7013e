"""PSFs of microscopes that scan a focus: confocal and two-photon ones."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array

import jaxwave.psf as optics
from jaxwave.cli.scan_checks import pinhole as width_of
from jaxwave.cli.settings import Settings

_FINER = 0.9  # of the sampling that the product of two intensities needs
_MARGIN = 8  # samples around the picture

Light = Callable[[optics.Window], Array]


def scanned(
    settings: Settings, z: np.ndarray, size: int, excite: Light, detect: Light, slices: int
) -> Array:
    """The image of an emitter, ``(z, y, x)``: values at the places of the scan.

    Args:
        settings: Mode, pinhole, bead, blur and pixel.
        z: Heights of the planes, ``(z,)`` [µm].
        size: Pixels each way.
        excite: Intensity of the laser in a window.
        detect: Image of an emitter in a window.
        slices: Slices of a bead.
    """
    waves = [settings["excitation"]]
    waves.append(settings["wavelength"] if settings["mode"] == "confocal" else waves[0])
    need = _FINER / (4 * settings["na"] * sum(1 / w for w in waves))
    steps = math.ceil(settings["pixel"] / need)
    steps += 1 - steps % 2  # odd: the middle of a pixel is a sample
    fine = settings["pixel"] / steps
    pinhole = width_of(settings)
    margin = _MARGIN + math.ceil((pinhole / 2 + settings["bead"] / 2 + 3 * settings["blur"]) / fine)
    shape = (size * steps + 2 * margin,) * 2

    def point(heights: Array) -> Array:
        window = optics.Window(shape, spacing=fine, z=heights)
        if settings["mode"] == "two-photon":
            return excite(window) ** 2
        return optics.confocal_intensity(
            excite(window), detect(window), spacing=fine, pinhole=pinhole
        )

    stack = point(jnp.asarray(z))
    if settings["bead"]:
        stack = optics.bead_intensity(
            point, z, diameter=settings["bead"], spacing=fine, slices=slices
        )
    if settings["blur"]:
        stack = optics.gaussian_blur(stack, spacing=fine, sigma=settings["blur"])
    start = shape[0] // 2 - (size // 2) * steps
    cut = slice(start, start + (size - 1) * steps + 1, steps)
    return stack[:, cut, cut]
