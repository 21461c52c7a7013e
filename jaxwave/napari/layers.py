"""What layers hold: arrays with their voxel size, as far as the layer tells it."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxwave.cli.settings import UsageError


def array_of(layer: Any, what: str, least: int, most: int | None = None) -> np.ndarray:
    """The finest data of an image layer, as float32, with so many axes.

    Args:
        layer: The layer, or None if none is chosen.
        what: What it is called in messages.
        least: Smallest number of axes.
        most: Largest number of axes.

    Returns:
        The array as it is stored.

    Raises:
        UsageError: If there is no layer, or it holds something else.
    """
    if layer is None:
        raise UsageError(f"{what}: choose a layer; none is open, or none is chosen.")
    name = layer.name
    if getattr(layer, "rgb", False):
        raise UsageError(
            f"{what}: {name!r} is an RGB picture, which has no counts; split its channels "
            "(right click > Split RGB) and take one of them."
        )
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    array = np.asarray(data)
    if array.ndim < least or (most is not None and array.ndim > most):
        axes = "(y, x)" if least == 2 else "(z, y, x)"
        raise UsageError(
            f"{what}: {name!r} has the shape {array.shape}; {axes} is needed"
            + ("." if array.ndim < least else ", so take one channel or time of it.")
        )
    if array.dtype.kind not in "fiub":
        raise UsageError(f"{what}: {name!r} must hold real numbers, got {array.dtype}.")
    if array.size == 0:
        raise UsageError(f"{what}: {name!r} is empty.")
    return array


def finite(array: np.ndarray, name: str, what: str) -> np.ndarray:
    """The array in float32; a value that is not finite is a mistake."""
    values = np.asarray(array, np.float32)
    wrong = np.count_nonzero(~np.isfinite(values))
    if wrong:
        raise UsageError(
            f"{what}: {wrong} of {values.size} values of {name!r} are not finite. Replace them, "
            "or crop the layer."
        )
    return values


def voxel(layer: Any) -> tuple[float, ...] | None:
    """Spacing [µm] along every axis, or None where the layer does not tell it.

    Scales of layers without units are micrometers, as other readers write them, but for ones,
    which are what a layer has that nobody has told anything.
    """
    scale = np.abs(np.asarray(layer.scale, float))
    result = []
    for step, unit in zip(scale, layer.units, strict=True):
        name = str(unit)
        if name in ("pixel", "px", "dimensionless"):
            result.append(float(step))
            continue
        try:
            result.append(float((float(step) * unit).to("micrometer").magnitude))
        except Exception:  # seconds, or a unit of the user's own
            result.append(float("nan"))
    told = any(str(unit) not in ("pixel", "px") for unit in layer.units) or np.any(scale != 1)
    return tuple(result) if told else None
