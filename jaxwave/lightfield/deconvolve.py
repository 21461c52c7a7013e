"""Volumes from light fields: Richardson-Lucy with a filter against aliases."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, numerics
from jaxwave.deconvolution import counted_image, lucy
from jaxwave.lightfield.microscope import LightFieldMicroscope
from jaxwave.lightfield.projector import Projector


def richardson_lucy(
    projector: Projector,
    image: ArrayLike,
    *,
    steps: int = 20,
    start: ArrayLike | None = None,
    background: ArrayLike = 0.0,
    cutoff: ArrayLike | None = None,
    accelerated: bool = False,
) -> Array:
    r"""Volume whose light field is most likely the image, by multiplicative steps.

    .. math:: V \leftarrow F\!\left[\frac{V}{H^T 1}\,
        H^T\!\left(\frac{I}{H V + b}\right)\right]

    raises the likelihood of photons that are counted (without F) and keeps the volume positive;
    valid for counts of variance near their mean, with the background b of camera and sample. The
    filter F against aliases is a Gaussian of unit sum, as wide as the array's sampling at each
    depth is coarse (:func:`sampling_cutoff`). Frames are leading axes and are deconvolved
    together, so the transfer of the PSF is read once for all of them. Light that comes from beyond
    the image has no voxel to go to: leave a rim of lenslets.

    Args:
        projector: The map from volumes to images.
        image: Light fields, not negative, ``(..., y, x)`` [photons].
        steps: Number of steps.
        start: Where to start, ``(..., planes, y, x)`` [photons]; by default a uniform volume. From
            the result of an earlier call it goes on as if not interrupted.
        background: Light that no voxel gives, one number or ``(..., y, x)`` [photons].
        cutoff: Frequency at which F halves, one number or ``(planes,)`` [1/µm]; None for no filter.
        accelerated: Whether steps are extrapolated, as in :func:`jaxwave.richardson_lucy`.

    Returns:
        The volume, ``(..., planes, y, x)`` [photons emitted, in the scale of the PSF].

    Raises:
        TypeError: If ``projector`` is no Projector.
        ValueError: If the image or the start is negative or has another shape.

    Example:
        >>> from jaxwave.lightfield import LightFieldPSF
        >>> psf = LightFieldPSF(np.ones((1, 1, 1, 1, 1)), z=[0.0], pixel=0.5)
        >>> richardson_lucy(Projector(psf, (2, 3)), jnp.full((2, 3), 7.0), steps=2).sum().item()
        42.0

    References:
        W. H. Richardson, J. Opt. Soc. Am. 62, 55 (1972); A. Stefanoiu et al., "Artifact-free
        deconvolution in light field microscopy", Opt. Express 27, 31644 (2019).
    """
    where = "richardson_lucy"
    if not isinstance(projector, Projector):
        raise TypeError(
            f"{where}: `projector` must be a Projector, got {type(projector).__name__}. Make one "
            "with Projector(psf, image.shape)."
        )
    _check.integer(where, "steps", steps, 1)
    image = counted_image(where, image)
    if image.shape[-2:] != projector.shape:
        raise ValueError(
            f"{where}: `image` must be (..., y, x) with the projector's {projector.shape} pixels, "
            f"got the shape {image.shape}."
        )
    _check.nonnegative(where, "background", background)
    if start is not None:
        start = _check.real_array(where, "start", start)
        need = (*image.shape[:-2], len(projector.psf.values), *projector.shape)
        if start.shape != need:
            raise ValueError(f"{where}: `start` must have the shape {need}, got {start.shape}.")
        _check.nonnegative(where, "start", start)
    widths = None
    if cutoff is not None:
        _check.positive(where, "cutoff", cutoff, unit="1/µm")
        count = len(projector.psf.values)
        if np.shape(cutoff) not in ((), (count,)):
            raise ValueError(
                f"{where}: `cutoff` must be one number or one for each of {count} depths, got the "
                f"shape {np.shape(cutoff)}."
            )
        widths = jnp.broadcast_to(jnp.asarray(cutoff, image.dtype), (count,))
    background = jnp.asarray(background, image.dtype)
    return _iterate(steps, accelerated, projector, image, start, background, widths)


@numerics.program("steps", "accelerated")
def _iterate(
    steps: int,
    accelerated: bool,
    projector: Projector,
    image: Array,
    start: Any,
    background: Array,
    cutoff: Array | None,
) -> Array:
    smooth = None if cutoff is None else partial(_smooth, _filters(projector, cutoff))
    seen = projector.backproject(jnp.ones(projector.shape, image.dtype))
    imaging = projector.project, projector.backproject
    return lucy(
        *imaging,
        image,
        background,
        seen,
        start,
        steps,
        axes=(2, 3),
        accelerated=accelerated,
        smooth=smooth,
    )


def _filters(projector: Projector, cutoff: Array) -> tuple[Array, Array]:
    """Matrices ``(planes, n, n)`` that blur rows and columns and keep the light.

    A Gaussian whose transform is one half at the cutoff. Columns have unit sum, so no light is
    lost at the rim.
    """
    pixel = jnp.broadcast_to(jnp.asarray(projector.psf.pixel, cutoff.dtype), (2,))
    sigma = math.sqrt(2 * math.log(2)) / (2 * math.pi * cutoff)

    def blur(n: int, width: Array) -> Array:
        distance = np.arange(n)[:, None] - np.arange(n)
        weight = jnp.exp(-0.5 * (distance * (width / sigma)[:, None, None]) ** 2)
        return weight / jnp.sum(weight, axis=1, keepdims=True)

    return blur(projector.shape[0], pixel[0]), blur(projector.shape[1], pixel[1])


def _smooth(filters: tuple[Array, Array], volume: Array) -> Array:
    volume = jnp.einsum("zij,...zjx->...zix", filters[0], volume, precision="highest")
    return jnp.einsum("zij,...zyj->...zyi", filters[1], volume, precision="highest")


def sampling_cutoff(microscope: LightFieldMicroscope, z: ArrayLike) -> Array:
    r"""Highest spatial frequency that a conventional light field samples at each depth.

    .. math:: \nu(z) = \min\!\left[\frac{p\,n}{0.94\,\lambda M |z|},\
        \frac{M}{2p}\left(1 + 3.26\,\frac{|z|}{z_c}\right),\ \frac{2\,\mathrm{NA}}{\lambda}\right],
        \qquad z_c = \frac{n p^2}{2 M^2 \lambda}

    Far from the focal plane the lenslet's diffraction limits the frequency; at the focal plane
    every lenslet is one sample, with the Nyquist frequency M / (2 p). Between the plane and the
    depth z_c, where many rays meet again, the limit is taken to rise in a straight line, which
    is a choice and no theorem. Valid for a camera in the lenslets' focal plane.

    Args:
        microscope: The microscope.
        z: Depths, ``(planes,)`` [µm].

    Returns:
        The frequencies, ``(planes,)`` [1/µm].

    Raises:
        TypeError: If the microscope is of another kind.

    Example:
        >>> from jaxwave.lightfield import LensArray
        >>> from jaxwave.psf import Objective
        >>> scope = LightFieldMicroscope(Objective(0.5, 0.525, n=1.0), 20,
        ...                              LensArray(2500.0, pitch=125.0), camera_pitch=25.0)
        >>> [f"{f:.3f}" for f in sampling_cutoff(scope, [0.0, 100.0])]
        ['0.080', '0.127']

    References:
        M. Broxton et al., Opt. Express 21, 25418 (2013), Eq. 13.
    """
    where = "sampling_cutoff"
    if not isinstance(microscope, LightFieldMicroscope):
        raise TypeError(
            f"{where}: `microscope` must be a LightFieldMicroscope, got "
            f"{type(microscope).__name__}. The lenses of a Fourier light field do not alias."
        )
    z = _check.length(where, "z", z)
    _check.finite(where, "z", z, unit="µm")
    z = jnp.abs(jnp.asarray(z, float))
    o = microscope.objective
    if microscope.array.pitch is None:
        raise ValueError(f"{where}: `array` needs a pitch; listed centers have none.")
    pitch = jnp.max(jnp.asarray(microscope.array.pitch, float))
    medium, m = jnp.asarray(o.wavelength) / o.n_s, jnp.asarray(microscope.magnification)
    critical = pitch**2 / (2 * m**2 * medium)
    far = pitch / (0.94 * medium * m * jnp.maximum(z, 1e-3 * critical))
    near = m / (2 * pitch) * (1 + 3.26 * z / critical)
    return jnp.minimum(jnp.minimum(far, near), 2 * jnp.asarray(o.na) / o.wavelength)
