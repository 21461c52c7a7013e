"""Microscopes that scan a focus: light that returns through a pinhole."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, numerics
from jaxwave.psf.camera import _filter, _image
from jaxwave.special import j1_over_x


def confocal_intensity(
    excitation: ArrayLike,
    detection: ArrayLike,
    *,
    spacing: ArrayLike | str,
    pinhole: ArrayLike | str,
) -> Array:
    r"""Image of an emitter in a confocal microscope.

    .. math:: h(\mathbf r) = h_\mathrm{exc}(\mathbf r) \int_{|\mathbf r'| < d/2}
        h_\mathrm{det}(\mathbf r - \mathbf r')\, d^2r'

    the pinhole by its transfer function, the Airy pattern's :math:`2 J_1(x)/x`: exact where the
    spacing resolves the intensity, spacing <= wavelength / (4 na), and the pinhole's radius away
    from the rim of the window. Valid for one photon, without saturation, and emitters whose
    brightness does not depend on the light's polarization. A pinhole much wider than the spot
    leaves the excitation, a small one the product of both. With
    :func:`~jaxwave.psf.focus_intensity` and :func:`~jaxwave.psf.emitter_image` of one pupil in
    equal windows, y, x and z of both are those of the image, aberrations included.

    Args:
        excitation: Intensity of the focused laser, ``(..., y, x)`` [any unit].
        detection: Image of an emitter at the emission's wavelength, ``(..., y, x)`` [power/µm²].
        spacing: Sample spacing of both, one number or ``(2,)`` as (dy, dx) [µm].
        pinhole: Diameter of the pinhole in the sample, scalar [µm]; 1.22 wavelength / na is one
            Airy unit.

    Returns:
        Detected share times the excitation, ``(..., y, x)`` [unit of both].

    Raises:
        ValueError: If a length is not positive, or the two differ in their grid.
        TypeError: If an intensity is complex.

    Example:
        >>> from jaxwave.psf import Objective, Window, emitter_image, focus_intensity
        >>> window = Window((31, 31), spacing=0.08, z=[-1.0, 0.0, 1.0])
        >>> laser, light = (Objective(0.8, w) for w in (0.488, 0.52))
        >>> both = focus_intensity(laser, window), emitter_image(light, window)
        >>> h = confocal_intensity(*both, spacing=0.08, pinhole=1.22 * 0.52 / 0.8)
        >>> bool(h[0].sum() < 0.5 * h[1].sum())
        True

    References:
        T. Wilson and C. Sheppard, *Theory and Practice of Scanning Optical Microscopy*, Ch. 3.
    """
    where = "confocal_intensity"
    detection, pair = _image(where, detection, spacing)
    fix = "Pass an intensity, not a field."
    excitation = _check.real_array(where, "excitation", excitation, fix=fix)
    _check.at_least(where, "excitation", excitation, 2, "(..., y, x)")
    if excitation.shape[-2:] != detection.shape[-2:]:
        raise ValueError(
            f"{where}: `excitation` and `detection` must have the same samples (y, x), got "
            f"{excitation.shape[-2:]} and {detection.shape[-2:]}. Compute both in one window."
        )
    pinhole = _check.length(where, "pinhole", pinhole)
    _check.positive(where, "pinhole", pinhole, unit="µm")
    width = numerics.number(pinhole, detection.dtype)
    return _confocal(excitation, detection, pair, width)


@numerics.program()
def _confocal(excitation: Array, detection: Array, pair: Array, pinhole: Array) -> Array:
    def transfer(fy: Array, fx: Array) -> Array:
        f = numerics.safe_sqrt(fy**2 + fx**2)
        return jnp.pi * pinhole**2 / 2 * j1_over_x(jnp.pi * pinhole * f)

    return excitation * _filter(detection, pair, transfer)
