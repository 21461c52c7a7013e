"""Optical elements as flax modules: a number is fixed, an ``nnx.Param`` is learned."""

from jaxwave.elements.element import Element, Fixed, Number
from jaxwave.elements.lenses import FFLens, HighNAFFLens, HighNAFFLensScalar, ThinLens
from jaxwave.elements.masks import (
    AmplitudeMask,
    CircularAperture,
    OpdMask,
    PhaseMask,
    ZernikeMask,
)
from jaxwave.elements.names import freeze, learn, learned, parameters, replace, select
from jaxwave.elements.propagation import AngularSpectrum, Carrier, Fresnel

__all__ = [
    # What an element is
    "Element",
    "Number",
    "Fixed",
    # Parameters by name
    "parameters",
    "learned",
    "select",
    "learn",
    "freeze",
    "replace",
    # Propagation
    "AngularSpectrum",
    "Fresnel",
    "Carrier",
    # Lenses
    "ThinLens",
    "FFLens",
    "HighNAFFLens",
    "HighNAFFLensScalar",
    # Masks
    "PhaseMask",
    "OpdMask",
    "AmplitudeMask",
    "CircularAperture",
    "ZernikeMask",
]
