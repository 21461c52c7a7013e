"""Optical elements as flax modules: a number is fixed, an ``nnx.Param`` is learned."""

from __future__ import annotations

from jaxwave.elements.apertures import (
    AnnularAperture,
    CircularAperture,
    PolygonAperture,
    RectangularAperture,
    Slits,
    ZonePlate,
)
from jaxwave.elements.beams import (
    BesselBeam,
    GaussianBeam,
    GaussianSchellBeam,
    HermiteGaussBeam,
    LaguerreGaussBeam,
    LpModes,
    Speckle,
)
from jaxwave.elements.edit import Crop, Flip, Normalize, Pad, Resample, Shift
from jaxwave.elements.element import Element, Fixed, Number
from jaxwave.elements.focus import (
    DipolePupil,
    EmitterField,
    EmitterImage,
    Focus,
    FocusIntensity,
    Layers,
    Objective,
    RadialPupil,
    ScalarFocus,
    ScalarFocusIntensity,
    Window,
    ZernikePupil,
)
from jaxwave.elements.heights import (
    CubicHeights,
    FourierHeights,
    FreeHeights,
    HeightMap,
    MultiColorHeights,
    MultiFocalHeights,
    PolarHeights,
    RankOneHeights,
    RingHeights,
    RotationHeights,
    SplineHeights,
    ZernikeHeights,
)
from jaxwave.elements.imaging import (
    ConvolvePsf,
    ImageVolume,
    Intensity,
    KoehlerImage,
    TotalIntensity,
    Wiener,
)
from jaxwave.elements.lenses import (
    FFLens,
    FourF,
    HighNAFFLens,
    HighNAFFLensScalar,
    Lens,
    ThinLens,
)
from jaxwave.elements.lightfield import FourierMicroscope, LensArray, LightFieldMicroscope
from jaxwave.elements.masks import (
    AmplitudeMask,
    CubicMask,
    DeformableMirror,
    Dmd,
    OpdMask,
    PhaseMask,
    Slm,
    SpiralMask,
    ZernikeMask,
)
from jaxwave.elements.names import freeze, learn, learned, parameters, replace, select
from jaxwave.elements.polarization import (
    JonesMask,
    Polarize,
    Polarizer,
    PolarizingBeamSplitter,
    QPlate,
    Retarder,
    RetarderMask,
    Rotator,
    Stokes,
    Unpolarized,
)
from jaxwave.elements.propagation import (
    AbsorbingBoundary,
    AngularSpectrum,
    Carrier,
    Fraunhofer,
    Fresnel,
    Propagate,
    RayleighSommerfeld,
    RayTransfer,
    ScalableAngularSpectrum,
    TiltedPlane,
)
from jaxwave.elements.psf import (
    EmittersImage,
    ExpectedPhotons,
    GaussianBlur,
    IntegratePixels,
    Microscope,
)
from jaxwave.elements.samples import Multislice, ThinSample
from jaxwave.elements.sensors import (
    AddReadNoise,
    Camera,
    CountsVariance,
    ExpectedCounts,
    Expose,
    PixelIntegrate,
    Quantize,
    Saturate,
    ShotNoise,
)
from jaxwave.elements.sources import ObjectivePointSource, PlaneWave, PointSource
from jaxwave.elements.storage import describe, load_model, save_model
from jaxwave.elements.surfaces import (
    Axicon,
    BinaryGrating,
    BlazedGrating,
    CylindricalLens,
    EngineeredDiffuser,
    MicrolensArray,
    Prism,
    RandomDiffuser,
    RefractingSurface,
    SinusoidalGrating,
)
from jaxwave.elements.system import System, bench

__all__ = [
    # What an element is
    "Element",
    "Number",
    "Fixed",
    # A sequence of elements
    "System",
    "bench",
    # Parameters by name
    "parameters",
    "learned",
    "select",
    "learn",
    "freeze",
    "replace",
    # Models in files and in words
    "save_model",
    "load_model",
    "describe",
    # Sources
    "PlaneWave",
    "GaussianBeam",
    "HermiteGaussBeam",
    "LaguerreGaussBeam",
    "BesselBeam",
    "GaussianSchellBeam",
    "LpModes",
    "Speckle",
    "PointSource",
    "ObjectivePointSource",
    # Propagation
    "AngularSpectrum",
    "Fresnel",
    "Fraunhofer",
    "RayleighSommerfeld",
    "ScalableAngularSpectrum",
    "Propagate",
    "RayTransfer",
    "TiltedPlane",
    "AbsorbingBoundary",
    "Carrier",
    # Lenses
    "ThinLens",
    "FFLens",
    "Lens",
    "FourF",
    "CylindricalLens",
    "MicrolensArray",
    "Prism",
    "Axicon",
    "RefractingSurface",
    "BinaryGrating",
    "BlazedGrating",
    "SinusoidalGrating",
    "RandomDiffuser",
    "EngineeredDiffuser",
    "HighNAFFLens",
    "HighNAFFLensScalar",
    # Masks
    "PhaseMask",
    "OpdMask",
    "AmplitudeMask",
    "CubicMask",
    "SpiralMask",
    "ZernikeMask",
    # Height maps
    "HeightMap",
    "FreeHeights",
    "FourierHeights",
    "ZernikeHeights",
    "RingHeights",
    "PolarHeights",
    "SplineHeights",
    "RankOneHeights",
    "CubicHeights",
    "MultiFocalHeights",
    "MultiColorHeights",
    "RotationHeights",
    # Stops
    "CircularAperture",
    "AnnularAperture",
    "RectangularAperture",
    "PolygonAperture",
    "Slits",
    "ZonePlate",
    # Modulators and mirrors
    "Slm",
    "Dmd",
    "DeformableMirror",
    # Polarization
    "Polarize",
    "Unpolarized",
    "Polarizer",
    "Retarder",
    "RetarderMask",
    "Rotator",
    "QPlate",
    "JonesMask",
    "PolarizingBeamSplitter",
    "Stokes",
    # Samples
    "ThinSample",
    "Multislice",
    # Editing fields
    "Pad",
    "Crop",
    "Resample",
    "Shift",
    "Flip",
    "Normalize",
    # Images
    "Intensity",
    "TotalIntensity",
    "KoehlerImage",
    "ConvolvePsf",
    "Wiener",
    "ImageVolume",
    # The microscope
    "Microscope",
    "EmittersImage",
    "Layers",
    "IntegratePixels",
    "GaussianBlur",
    "ExpectedPhotons",
    "LightFieldMicroscope",
    "FourierMicroscope",
    "LensArray",
    # Light of high aperture
    "Objective",
    "Window",
    "RadialPupil",
    "ZernikePupil",
    "ScalarFocus",
    "ScalarFocusIntensity",
    "Focus",
    "FocusIntensity",
    "EmitterField",
    "EmitterImage",
    "DipolePupil",
    # Cameras
    "Camera",
    "ExpectedCounts",
    "CountsVariance",
    "PixelIntegrate",
    "Expose",
    "ShotNoise",
    "AddReadNoise",
    "Saturate",
    "Quantize",
]
