"""Point-spread functions of high numerical aperture: the Richards-Wolf integral and its kin."""

from __future__ import annotations

from jaxwave.psf._parity import PolarNodes
from jaxwave.psf.camera import (
    band_average,
    bead_intensity,
    confocal_intensity,
    expected_photons,
    gaussian_blur,
    integrate_pixels,
)
from jaxwave.psf.emitters import emitters_image
from jaxwave.psf.focusing import (
    emitter_field,
    emitter_image,
    focus,
    focus_intensity,
    nodes,
    scalar_focus,
    scalar_focus_intensity,
)
from jaxwave.psf.layers import (
    Layers,
    defocus_path,
    fresnel_transmission,
    gibson_lanni_path,
    multilayer_transmission,
)
from jaxwave.psf.lens import dipole_pupil, high_na_ff_lens, high_na_ff_lens_scalar
from jaxwave.psf.microscope import Microscope
from jaxwave.psf.objective import JonesPupil, Objective, RadialPupil, Window, ZernikePupil
from jaxwave.psf.pupils import (
    apodization,
    azimuthal_polarization,
    circular_polarization,
    gaussian_pupil,
    half_moon,
    linear_polarization,
    pupil_coordinates,
    radial_polarization,
    top_hat,
    vortex,
    zernike_pupil,
)

__all__ = [
    # What is described once
    "Objective",
    "Window",
    "Microscope",
    # Light at the focus
    "scalar_focus",
    "scalar_focus_intensity",
    "focus",
    "focus_intensity",
    # Images of emitters
    "emitter_field",
    "emitter_image",
    "emitters_image",
    # How finely the pupil is sampled
    "nodes",
    "PolarNodes",
    # Pupils
    "RadialPupil",
    "ZernikePupil",
    "JonesPupil",
    "pupil_coordinates",
    "zernike_pupil",
    "vortex",
    "half_moon",
    "top_hat",
    "gaussian_pupil",
    "linear_polarization",
    "circular_polarization",
    "radial_polarization",
    "azimuthal_polarization",
    # What camera, bead and spectrum add
    "integrate_pixels",
    "gaussian_blur",
    "bead_intensity",
    "confocal_intensity",
    "band_average",
    "expected_photons",
    # Fields in, fields out
    "high_na_ff_lens",
    "high_na_ff_lens_scalar",
    "dipole_pupil",
    # Layers between emitter and objective
    "Layers",
    "gibson_lanni_path",
    "defocus_path",
    # Amplitudes
    "apodization",
    "fresnel_transmission",
    "multilayer_transmission",
]
