"""Light-field microscopy."""

from jaxwave.lightfield.projector import LightFieldPSF, Projector

__all__ = ["LightFieldPSF", "Projector"]
