"""PSFs in the format that a name asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxwave import io
from jaxwave.cli import checks


def write_psf(
    name: str,
    psf: np.ndarray,
    spacing: tuple[float, float, float],
    *,
    optics: Mapping[str, Any],
    rising: bool = True,
) -> Path:
    """Writes a PSF; the programs of molecules get its planes along the light.

    Args:
        name: File to write; its ending chooses the format.
        psf: Light in the pixels, ``(z, y, x)`` [any unit].
        spacing: Voxel size (dz, dy, dx) [µm].
        optics: ``wavelength`` [µm], ``na`` and ``n`` of the microscope.
        rising: Whether z grows from plane to plane.
    """
    ending = next((e for e in checks.EXCHANGE if name.lower().endswith(e)), None)
    if ending is None:
        return io.write_stack(name, psf, spacing=spacing)
    psf = psf if rising else psf[::-1]
    if ending == ".mat":
        return io.write_smap(name, psf, spacing=spacing)
    if ending == ".yaml":
        return io.write_picasso(name, psf, spacing=spacing)
    return io.write_uipsf(name, psf, spacing=spacing, **optics)
