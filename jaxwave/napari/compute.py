"""What the widgets compute, from the texts of their fields; no screen is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxwave.cli import cache, checks
from jaxwave.cli.settings import Settings, toml_text
from jaxwave.napari import fields

Layer = tuple[np.ndarray, dict[str, Any], str]  # as readers of napari return it


def point_spread(given: Mapping[str, Any]) -> tuple[Settings, Layer]:
    """The PSF that ``jaxwave psf`` writes for these settings, as a layer around its focus.

    Args:
        given: Texts of the fields that are filled in.

    Returns:
        The settings with all that follows from them, and the layer.
    """
    cache.use()
    from jaxwave.cli import psf

    settings = checks.microscope(given)
    stack = np.asarray(psf.point_spread(settings), np.float32)
    scale = (settings["dz"], settings["pixel"], settings["pixel"])
    text = toml_text(fields.PSF, settings, "psf --config psf.toml")
    return settings, image(stack, scale, "PSF", centered=True, settings=text)


def image(
    stack: np.ndarray,
    scale: tuple[float, ...],
    name: str,
    *,
    centered: bool = False,
    **metadata: object,
) -> Layer:
    """A layer with its voxel size [µm]; a centered one has N // 2 at the origin."""
    options: dict[str, Any] = {"name": name, "scale": scale, "units": ("um",) * stack.ndim}
    if centered:
        middle = [n // 2 * step for n, step in zip(stack.shape, scale, strict=True)]
        options["translate"] = tuple(-place for place in middle)
        options["blending"] = "additive"  # it may lie over the corner of a picture
    options["metadata"] = {"jaxwave": metadata} if metadata else {}
    return stack, options, "image"
