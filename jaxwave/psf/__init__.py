"""Point-spread functions of high numerical aperture: the Richards-Wolf integral and its kin."""

from jaxwave.psf._folded import PolarNodes
from jaxwave.psf.cartesian import (
    cartesian_nodes,
    cartesian_scalar,
    cartesian_scalar_intensity,
    cartesian_vector,
    cartesian_vector_intensity,
)
from jaxwave.psf.effects import (
    band_average,
    bead_intensity,
    expected_photons,
    gaussian_blur,
    integrate_pixels,
)
from jaxwave.psf.emitter import cartesian_dipole, cartesian_dipole_intensity, dipole_pupil
from jaxwave.psf.lens import high_na_ff_lens, high_na_ff_lens_scalar
from jaxwave.psf.microscope import Microscope
from jaxwave.psf.pupils import (
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
from jaxwave.psf.round_pupil import RoundPupil, round_pupil
from jaxwave.psf.spherical import (
    spherical_dipole,
    spherical_dipole_intensity,
    spherical_nodes,
    spherical_scalar,
    spherical_scalar_intensity,
    spherical_vector,
    spherical_vector_intensity,
)
from jaxwave.psf.stratified import (
    Layers,
    coverslip_layers,
    defocus_path,
    gibson_lanni_path,
    immersion_thickness,
)
from jaxwave.psf.transmission import apodization, fresnel_transmission, multilayer_transmission

__all__ = [
    # Focusing by any pupil
    "cartesian_scalar",
    "cartesian_vector",
    "cartesian_scalar_intensity",
    "cartesian_vector_intensity",
    "cartesian_nodes",
    "PolarNodes",
    # Images of emitters
    "cartesian_dipole",
    "cartesian_dipole_intensity",
    "dipole_pupil",
    # The microscope and what its camera adds
    "Microscope",
    "integrate_pixels",
    "gaussian_blur",
    "bead_intensity",
    "band_average",
    "expected_photons",
    # The lens
    "high_na_ff_lens",
    "high_na_ff_lens_scalar",
    # Pupils
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
    # Circularly symmetric pupils
    "RoundPupil",
    "round_pupil",
    "spherical_scalar",
    "spherical_scalar_intensity",
    "spherical_vector",
    "spherical_vector_intensity",
    "spherical_dipole",
    "spherical_dipole_intensity",
    "spherical_nodes",
    # Layers between emitter and objective
    "Layers",
    "coverslip_layers",
    "immersion_thickness",
    "gibson_lanni_path",
    "defocus_path",
    # Amplitudes
    "apodization",
    "fresnel_transmission",
    "multilayer_transmission",
]
