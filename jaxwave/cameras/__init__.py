"""Cameras: the light of points at the sensor behind a lens, and what is made of their images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxwave.cameras.expected import expected_error
from jaxwave.cameras.lens import Lens, haze
from jaxwave.cameras.split import check_split

if TYPE_CHECKING:
    from jaxwave.cameras.unet import UNet

__all__ = ["Lens", "UNet", "check_split", "expected_error", "haze"]


def __getattr__(name: str) -> Any:
    if name == "UNet":  # needs flax
        from jaxwave.cameras.unet import UNet

        return UNet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
