"""Cameras: the light of points at the sensor behind a lens with thin plates."""

from jaxwave.cameras.lens import Lens, haze

__all__ = ["Lens", "haze"]
