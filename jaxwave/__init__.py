"""Differentiable wave optics: pure, compiled functions from fields to fields.

Lengths are micrometers, angles and phases radians, arrays ``(..., y, x)`` with the optical axis
at the sample N // 2. ``jaxwave/CONVENTIONS.md`` is the whole story.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from types import ModuleType

from jaxwave import _alarms as _alarms  # first: before anything loads JAX
from jaxwave import units
from jaxwave._check import JaxwaveWarning
from jaxwave._environment import check_jaxlib as _check_jaxlib
from jaxwave._version import __version__ as __version__
from jaxwave.apertures import (
    annular_aperture,
    circular_aperture,
    polygon_aperture,
    rectangular_aperture,
    slits,
    zone_plate,
)
from jaxwave.beams import (
    bessel_beam,
    gaussian_beam,
    hermite_gauss_beam,
    laguerre_gauss_beam,
)
from jaxwave.coherence import (
    gaussian_schell_beam,
    incoherent_sum,
    speckle,
    spectrum,
    total_intensity,
)
from jaxwave.collins import fraunhofer, ray_transfer
from jaxwave.compute import tune_cpu
from jaxwave.condenser import illumination_points, koehler_image
from jaxwave.deconvolution import richardson_lucy, total_variation, wiener
from jaxwave.diffusers import engineered_diffuser, random_diffuser
from jaxwave.edit import crop, flip, normalize, pad, resample, shift, stack
from jaxwave.far import (
    choose_propagator,
    propagate,
    rayleigh_sommerfeld,
    scalable_angular_spectrum,
)
from jaxwave.fibers import lp_modes
from jaxwave.field import Field, VectorField, scalar_field, vector_field
from jaxwave.fourier import chirp_ft2, ft2, ift2, matrix_ft2, zoom_ft2
from jaxwave.gratings import (
    binary_grating,
    blazed_grating,
    grating_efficiency,
    sinusoidal_grating,
)
from jaxwave.grid import coordinates, frequencies
from jaxwave.imaging import convolve_psf, image_volume, mtf, otf
from jaxwave.lenses import ff_lens, four_f, lens, thin_lens
from jaxwave.losses import anscombe_loss, gaussian_nll, nmse, poisson_deviance, poisson_nll, ssim
from jaxwave.masks import amplitude_mask, cubic_mask, opd_mask, phase_mask, spiral_mask
from jaxwave.materials import Material, material, materials, refractive_index
from jaxwave.measure import (
    centroid,
    encircled_energy,
    overlap,
    radial_profile,
    second_moments,
    strehl_ratio,
)
from jaxwave.microlenses import microlens_array
from jaxwave.mirrors import deformable_mirror, gaussian_influence
from jaxwave.numerics import cis, fast_len
from jaxwave.phantoms import filaments, siemens_star, slanted_edge, spheres, usaf_1951
from jaxwave.planes import absorbing_boundary, tilted_plane
from jaxwave.polarization import (
    degree_of_polarization,
    mueller_matrix,
    polarize,
    stokes,
    unpolarized,
)
from jaxwave.polarizers import (
    jones_mask,
    polarizer,
    polarizing_beam_splitter,
    q_plate,
    retarder,
    retarder_mask,
    rotator,
)
from jaxwave.programs import Program, load_program, save_program
from jaxwave.propagation import angular_spectrum, carrier, fresnel
from jaxwave.samples import multislice, scattering_slices, thin_sample
from jaxwave.sampling import Sampling, propagation_sampling
from jaxwave.sensors import (
    add_read_noise,
    camera,
    counts_variance,
    expected_counts,
    expose,
    pixel_integrate,
    pixel_otf,
    quantize,
    saturate,
    shot_noise,
)
from jaxwave.slm import dmd, levels_for_phase, slm
from jaxwave.sources import objective_point_source, plane_wave, point_source
from jaxwave.surfaces import (
    asphere_sag,
    axicon,
    cylindrical_lens,
    prism,
    refracting_surface,
    seidel_opd,
)
from jaxwave.sweeps import Memory, Sweep, memory, sweep
from jaxwave.zernike import (
    rms_wavefront,
    zernike_index,
    zernike_mode,
    zernike_modes,
    zernike_modes_up_to,
    zernike_name,
    zernike_norm,
    zernike_number,
    zernike_opd,
    zernike_polynomials,
    zernike_radial,
)

__all__ = [
    # Fields
    "Field",
    "VectorField",
    "scalar_field",
    "vector_field",
    # Sources
    "plane_wave",
    "gaussian_beam",
    "hermite_gauss_beam",
    "laguerre_gauss_beam",
    "bessel_beam",
    "point_source",
    "objective_point_source",
    # Partial coherence
    "spectrum",
    "gaussian_schell_beam",
    "lp_modes",
    "speckle",
    "illumination_points",
    "koehler_image",
    "incoherent_sum",
    "total_intensity",
    # Propagation
    "angular_spectrum",
    "fresnel",
    "fraunhofer",
    "rayleigh_sommerfeld",
    "scalable_angular_spectrum",
    "propagate",
    "choose_propagator",
    "ray_transfer",
    "tilted_plane",
    "absorbing_boundary",
    "carrier",
    # Lenses
    "thin_lens",
    "ff_lens",
    "lens",
    "four_f",
    "cylindrical_lens",
    "microlens_array",
    # Prisms, surfaces, aberrations
    "prism",
    "axicon",
    "asphere_sag",
    "refracting_surface",
    "seidel_opd",
    # Gratings and diffusers
    "binary_grating",
    "blazed_grating",
    "sinusoidal_grating",
    "grating_efficiency",
    "random_diffuser",
    "engineered_diffuser",
    # Masks
    "phase_mask",
    "opd_mask",
    "amplitude_mask",
    "cubic_mask",
    "spiral_mask",
    # Stops
    "circular_aperture",
    "annular_aperture",
    "rectangular_aperture",
    "polygon_aperture",
    "slits",
    "zone_plate",
    # Modulators and mirrors
    "slm",
    "levels_for_phase",
    "dmd",
    "deformable_mirror",
    "gaussian_influence",
    # Polarization
    "polarize",
    "unpolarized",
    "polarizer",
    "retarder",
    "retarder_mask",
    "rotator",
    "q_plate",
    "jones_mask",
    "polarizing_beam_splitter",
    "stokes",
    "degree_of_polarization",
    "mueller_matrix",
    # Samples
    "thin_sample",
    "multislice",
    "scattering_slices",
    # Phantoms
    "usaf_1951",
    "siemens_star",
    "slanted_edge",
    "spheres",
    "filaments",
    # Materials
    "refractive_index",
    "Material",
    "material",
    "materials",
    # Zernike modes
    "zernike_polynomials",
    "zernike_opd",
    "zernike_radial",
    "zernike_modes",
    "zernike_modes_up_to",
    "zernike_mode",
    "zernike_name",
    "zernike_index",
    "zernike_number",
    "zernike_norm",
    "rms_wavefront",
    # Incoherent imaging
    "convolve_psf",
    "image_volume",
    "otf",
    "mtf",
    # Objects from their images
    "wiener",
    "richardson_lucy",
    "total_variation",
    # Cameras
    "camera",
    "expected_counts",
    "counts_variance",
    "pixel_integrate",
    "pixel_otf",
    "expose",
    "shot_noise",
    "add_read_noise",
    "saturate",
    "quantize",
    # Losses
    "nmse",
    "gaussian_nll",
    "poisson_deviance",
    "poisson_nll",
    "anscombe_loss",
    "ssim",
    # Measuring fields
    "overlap",
    "centroid",
    "second_moments",
    "encircled_energy",
    "strehl_ratio",
    "radial_profile",
    # Editing fields
    "pad",
    "crop",
    "resample",
    "shift",
    "flip",
    "normalize",
    "stack",
    # Grids and sampling
    "coordinates",
    "frequencies",
    "Sampling",
    "propagation_sampling",
    # Fourier transforms
    "ft2",
    "ift2",
    "matrix_ft2",
    "chirp_ft2",
    "zoom_ft2",
    # Numerics
    "cis",
    "fast_len",
    # Sweeps
    "sweep",
    "Sweep",
    "memory",
    "Memory",
    # Simulators in files
    "save_program",
    "load_program",
    "Program",
    # Units, warnings, settings
    "units",
    "JaxwaveWarning",
    "tune_cpu",
]

# Parts with more needs than jax and numpy: `import jaxwave as jw; jw.io.read_stack(...)` loads them
# when they are first used.
_LAZY = (
    *("beads", "calibration", "cameras", "elements", "heights", "io", "lightfield", "modulators"),
    *("mosaic", "plot", "psf", "report", "scenes", "special"),
)


def __getattr__(name: str) -> ModuleType:
    if name in _LAZY:
        return import_module(f"jaxwave.{name}")
    near = get_close_matches(name, [*__all__, *_LAZY], n=1)
    hint = f". Did you mean {near[0]!r}?" if near else ""
    raise AttributeError(f"module 'jaxwave' has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])


_check_jaxlib()
