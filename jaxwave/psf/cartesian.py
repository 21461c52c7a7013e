"""Focusing by any pupil: the Debye-Wolf integral over a plane of directions.

Directions are s = n sin(theta) (cos(phi), sin(phi)), conserved across interfaces, so the numerical
aperture is the largest |s|. A pupil is a function of (x, y) = s / na, or samples of one at
2 (j - N // 2) / (N - 1). A clear pupil carries unit power; masks take away what they absorb.
"""

from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.psf import _nodes
from jaxwave.psf._folded import PolarNodes
from jaxwave.psf._propagate import Pupil, check_optics, jones_vector, propagate, vanishing
from jaxwave.psf.stratified import Layers


def cartesian_scalar(
    pupil: Pupil | ArrayLike | None,
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    na: ArrayLike,
    wavelength: ArrayLike | str,
    n: ArrayLike | None = None,
    z: ArrayLike | str = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    apodization: str = "aplanatic",
    layers: Layers | None = None,
    motion: str = "stage",
    nodes: int | PolarNodes | None = None,
) -> Array:
    r"""Scalar field at the focus of a pupil.

    .. math:: E(\mathbf r) = \frac{\mathrm{NA}}{\sqrt\pi\,\lambda} \iint_{x^2 + y^2 \le 1}
        P(x, y)\, a(s)\,
        e^{2\pi i [\mathbf s \cdot \mathbf r + z (\sqrt{n^2 - s^2} - n)]/\lambda}\, dx\, dy,
        \qquad \mathbf s = \mathrm{NA}\,(x, y)

    Exact as a Debye integral over the whole aperture; polarization is neglected, which is wrong by
    a few percent of the peak from a numerical aperture of 0.5 on. A function is integrated on
    Gauss-Legendre chords, whose error falls exponentially with the nodes as long as it is smooth.
    Samples keep an area-weighted rim; their error falls with the square of the step. Do not cut
    samples at the rim: the aperture is applied here, and samples beyond it count with the part of
    their area that is inside. Coordinates are directions of the light, so a path that grows with
    x moves the spot toward -x. The carrier is left out.

    Args:
        pupil: Transmission as a function of the pupil coordinates (x, y) [pupil radii], samples
            ``(y, x)`` [none], or None for a clear pupil.
        shape: Number of image samples (ny, nx).
        spacing: Sample spacing at the focus, one number or ``(2,)`` as (dy, dx) [µm].
        na: Numerical aperture, scalar, below the immersion's index.
        wavelength: Vacuum wavelength, scalar [µm].
        n: Refractive index of immersion and sample, scalar; by default 1. Leave it out if there
            are ``layers``.
        z: Position of the planes along the light's way, relative to the focus, ``(...)`` [µm].
        y: Where the sample N // 2 of the window is, scalar [µm].
        x: Where the sample N // 2 of the window is, scalar [µm].
        apodization: "aplanatic", "herschel" or "none", see :func:`apodization`.
        layers: Sample, coverslip and immersion, see :func:`coverslip_layers`.
        motion: What moves by z if there are layers, "stage" or "emitter".
        nodes: Quadrature nodes across the pupil if it is a function, an even integer, or
            :class:`PolarNodes`; by default what an error of 1e-6 needs (float64: 1e-9), see
            :func:`cartesian_nodes`. If it is sampled, places across the image from which the
            others follow (the same number will do); by default none where the optics are traced.

    Returns:
        The field, complex ``(..., y, x)`` [sqrt(power)/µm]; its first axes are those of ``z``.

    Raises:
        ValueError: If a number is out of range, ``na`` is not below the index, shapes do not fit,
            or the optics are traced and ``nodes`` is not given.
        TypeError: If something is of the wrong kind.

    Warns:
        JaxwaveWarning: If the nodes or samples are too few for the window and the planes.

    Example:
        >>> u = cartesian_scalar(None, (33, 33), spacing=0.1, na=0.8, wavelength=0.5)
        >>> u.shape, round(float(abs(u[16, 16])), 3)
        ((33, 33), 3.162)

    References:
        M. Gu, *Advanced Optical Imaging Theory*, Sec. 6.2.
    """
    optics = dict(
        transmission=False,
        spacing=spacing,
        na=na,
        wavelength=wavelength,
        n=n,
        z=z,
        y=y,
        x=x,
        apodization=apodization,
        layers=layers,
        motion=motion,
        nodes=nodes,
    )
    e = jnp.ones(1)
    return propagate("cartesian_scalar", "scalar", False, pupil, shape, e, optics)


def cartesian_scalar_intensity(
    pupil: Pupil | ArrayLike | None,
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    na: ArrayLike,
    wavelength: ArrayLike | str,
    n: ArrayLike | None = None,
    z: ArrayLike | str = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    apodization: str = "aplanatic",
    layers: Layers | None = None,
    motion: str = "stage",
    nodes: int | PolarNodes | None = None,
) -> Array:
    r"""Scalar intensity at the focus of a pupil.

    .. math:: I(\mathbf r) = |E(\mathbf r)|^2

    of :func:`cartesian_scalar`, valid as that is; formed before the quadrants of the image are put
    together, so it costs less than the field.

    Args:
        pupil: Transmission as a function of the pupil coordinates (x, y) [pupil radii], samples
            ``(y, x)`` [none], or None for a clear pupil.
        shape: Number of image samples (ny, nx).
        spacing: Sample spacing at the focus, one number or ``(2,)`` as (dy, dx) [µm].
        na: Numerical aperture, scalar, below the immersion's index.
        wavelength: Vacuum wavelength, scalar [µm].
        n: Refractive index of immersion and sample, scalar; by default 1. Leave it out if there
            are ``layers``.
        z: Position of the planes along the light's way, relative to the focus, ``(...)`` [µm].
        y: Where the sample N // 2 of the window is, scalar [µm].
        x: Where the sample N // 2 of the window is, scalar [µm].
        apodization: "aplanatic", "herschel" or "none", see :func:`apodization`.
        layers: Sample, coverslip and immersion, see :func:`coverslip_layers`.
        motion: What moves by z if there are layers, "stage" or "emitter".
        nodes: Quadrature nodes across the pupil if it is a function, an even integer, or
            :class:`PolarNodes`; by default what an error of 1e-6 needs (float64: 1e-9), see
            :func:`cartesian_nodes`. If it is sampled, places across the image from which the
            others follow (the same number will do); by default none where the optics are traced.

    Returns:
        The intensity, ``(..., y, x)`` [power/µm²]; its first axes are those of ``z``.

    Raises:
        ValueError: If a number is out of range, ``na`` is not below the index, shapes do not fit,
            or the optics are traced and ``nodes`` is not given.
        TypeError: If something is of the wrong kind.

    Warns:
        JaxwaveWarning: If the nodes or samples are too few for the window and the planes.

    Example:
        >>> psf = cartesian_scalar_intensity(None, (33, 33), spacing=0.1, na=0.8, wavelength=0.5)
        >>> [int(i) for i in jnp.unravel_index(psf.argmax(), psf.shape)]
        [16, 16]

    References:
        M. Gu, *Advanced Optical Imaging Theory*, Sec. 6.2.
    """
    optics = dict(
        transmission=False,
        spacing=spacing,
        na=na,
        wavelength=wavelength,
        n=n,
        z=z,
        y=y,
        x=x,
        apodization=apodization,
        layers=layers,
        motion=motion,
        nodes=nodes,
    )
    e = jnp.ones(1)
    return propagate("cartesian_scalar_intensity", "scalar", True, pupil, shape, e, optics)


def cartesian_vector(
    pupil: Pupil | ArrayLike | None,
    shape: tuple[int, int],
    *,
    polarization: ArrayLike | tuple[complex, complex] = (1.0, 0.0),
    spacing: ArrayLike | str,
    na: ArrayLike,
    wavelength: ArrayLike | str,
    n: ArrayLike | None = None,
    z: ArrayLike | str = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    apodization: str = "aplanatic",
    layers: Layers | None = None,
    motion: str = "stage",
    transmission: bool = True,
    nodes: int | PolarNodes | None = None,
) -> Array:
    r"""Vector field at the focus of a pupil (Richards-Wolf integral).

    .. math:: \mathbf E(\mathbf r) = \frac{\mathrm{NA}}{\sqrt\pi\,\lambda} \iint_{x^2 + y^2 \le 1}
        a(s)\,[q_s\,\hat{\mathbf s}\hat{\mathbf s}^T
        + q_p\,\hat{\mathbf p}\hat{\boldsymbol\rho}^T]\,
        \mathbf P(x, y)\,
        e^{2\pi i [\mathbf s \cdot \mathbf r + z (\sqrt{n^2 - s^2} - n)]/\lambda}\, dx\, dy

    Exact as a Debye integral over the whole aperture: valid for lenses of many wavelengths. s and p
    are the directions across and in the plane of incidence; q are one without layers. Pupils are
    integrated as in :func:`cartesian_scalar`. The power through the focal plane, the integral of
    :math:`\cos\theta\,|\mathbf E|^2` over the plane waves, is that through the pupil for the
    aplanatic lens; the plain sum of the intensity is larger, because oblique light spends more of
    it.

    Args:
        pupil: Transmission as a function of the pupil coordinates (x, y) [pupil radii], samples
            ``(y, x)`` or ``(2, y, x)`` [none], or None for a clear pupil. An axis of two holds the
            factors of the x and y components.
        shape: Number of image samples (ny, nx).
        polarization: Jones vector (ex, ey) of the pupil's light, ``(2,)`` [none].
        spacing: Sample spacing at the focus, one number or ``(2,)`` as (dy, dx) [µm].
        na: Numerical aperture, scalar, below the immersion's index.
        wavelength: Vacuum wavelength, scalar [µm].
        n: Refractive index of immersion and sample, scalar; by default 1. Leave it out if there
            are ``layers``.
        z: Position of the planes along the light's way, relative to the focus, ``(...)`` [µm].
        y: Where the sample N // 2 of the window is, scalar [µm].
        x: Where the sample N // 2 of the window is, scalar [µm].
        apodization: "aplanatic", "herschel" or "none", see :func:`apodization`.
        layers: Sample, coverslip and immersion, see :func:`coverslip_layers`.
        motion: What moves by z if there are layers, "stage" or "emitter".
        transmission: Whether the interfaces of the layers transmit as Fresnel says, or everything.
        nodes: Quadrature nodes across the pupil if it is a function, an even integer, or
            :class:`PolarNodes`; by default what an error of 1e-6 needs (float64: 1e-9), see
            :func:`cartesian_nodes`. If it is sampled, places across the image from which the
            others follow (the same number will do); by default none where the optics are traced.

    Returns:
        The components x, y, z, complex ``(..., 3, y, x)`` [sqrt(power)/µm]; its first axes are
        those of ``z``.

    Raises:
        ValueError: If a number is out of range, ``na`` is not below the index, shapes do not fit,
            or the optics are traced and ``nodes`` is not given.
        TypeError: If something is of the wrong kind.

    Warns:
        JaxwaveWarning: If the nodes or samples are too few for the window and the planes.

    Example:
        >>> z = jnp.zeros(2)
        >>> u = cartesian_vector(None, (33, 31), spacing=0.1, na=0.8, wavelength=0.5, z=z)
        >>> u.shape
        (2, 3, 33, 31)

    References:
        B. Richards and E. Wolf, Proc. R. Soc. A 253, 358 (1959), Eq. 2.26; L. Novotny and
        B. Hecht, *Principles of Nano-Optics*, Sec. 3.6.
    """
    optics = dict(
        spacing=spacing,
        na=na,
        wavelength=wavelength,
        n=n,
        z=z,
        y=y,
        x=x,
        apodization=apodization,
        layers=layers,
        motion=motion,
        transmission=transmission,
        nodes=nodes,
        zeros=vanishing(polarization),
    )
    e = jones_vector("cartesian_vector", polarization)
    return propagate("cartesian_vector", "focus", False, pupil, shape, e, optics)


def cartesian_vector_intensity(
    pupil: Pupil | ArrayLike | None,
    shape: tuple[int, int],
    *,
    polarization: ArrayLike | tuple[complex, complex] = (1.0, 0.0),
    spacing: ArrayLike | str,
    na: ArrayLike,
    wavelength: ArrayLike | str,
    n: ArrayLike | None = None,
    z: ArrayLike | str = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    apodization: str = "aplanatic",
    layers: Layers | None = None,
    motion: str = "stage",
    transmission: bool = True,
    nodes: int | PolarNodes | None = None,
) -> Array:
    r"""Intensity of the vector field at the focus of a pupil.

    .. math:: I(\mathbf r) = |E_x|^2 + |E_y|^2 + |E_z|^2

    of :func:`cartesian_vector`, valid as that is; formed before the quadrants of the image are
    put together, so it costs less than the field.

    Args:
        pupil: Transmission as a function of the pupil coordinates (x, y) [pupil radii], samples
            ``(y, x)`` or ``(2, y, x)`` [none], or None for a clear pupil. An axis of two holds the
            factors of the x and y components.
        shape: Number of image samples (ny, nx).
        polarization: Jones vector (ex, ey) of the pupil's light, ``(2,)`` [none].
        spacing: Sample spacing at the focus, one number or ``(2,)`` as (dy, dx) [µm].
        na: Numerical aperture, scalar, below the immersion's index.
        wavelength: Vacuum wavelength, scalar [µm].
        n: Refractive index of immersion and sample, scalar; by default 1. Leave it out if there
            are ``layers``.
        z: Position of the planes along the light's way, relative to the focus, ``(...)`` [µm].
        y: Where the sample N // 2 of the window is, scalar [µm].
        x: Where the sample N // 2 of the window is, scalar [µm].
        apodization: "aplanatic", "herschel" or "none", see :func:`apodization`.
        layers: Sample, coverslip and immersion, see :func:`coverslip_layers`.
        motion: What moves by z if there are layers, "stage" or "emitter".
        transmission: Whether the interfaces of the layers transmit as Fresnel says, or everything.
        nodes: Quadrature nodes across the pupil if it is a function, an even integer, or
            :class:`PolarNodes`; by default what an error of 1e-6 needs (float64: 1e-9), see
            :func:`cartesian_nodes`. If it is sampled, places across the image from which the
            others follow (the same number will do); by default none where the optics are traced.

    Returns:
        The intensity, ``(..., y, x)`` [power/µm²]; its first axes are those of ``z``.

    Raises:
        ValueError: If a number is out of range, ``na`` is not below the index, shapes do not fit,
            or the optics are traced and ``nodes`` is not given.
        TypeError: If something is of the wrong kind.

    Warns:
        JaxwaveWarning: If the nodes or samples are too few for the window and the planes.

    Example:
        >>> z = jnp.linspace(-1, 1, 3)
        >>> psf = cartesian_vector_intensity(
        ...     None, (33, 33), spacing=0.1, na=0.8, wavelength=0.5, z=z)
        >>> psf.shape, bool(psf[1].max() > psf[0].max())
        ((3, 33, 33), True)

    References:
        B. Richards and E. Wolf, Proc. R. Soc. A 253, 358 (1959), Eq. 2.26; L. Novotny and
        B. Hecht, *Principles of Nano-Optics*, Sec. 3.6.
    """
    optics = dict(
        spacing=spacing,
        na=na,
        wavelength=wavelength,
        n=n,
        z=z,
        y=y,
        x=x,
        apodization=apodization,
        layers=layers,
        motion=motion,
        transmission=transmission,
        nodes=nodes,
        zeros=vanishing(polarization),
    )
    e = jones_vector("cartesian_vector_intensity", polarization)
    return propagate("cartesian_vector_intensity", "focus", True, pupil, shape, e, optics)


def cartesian_nodes(
    pupil: Pupil | None,
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    na: float,
    wavelength: float | str,
    n: float | None = None,
    z: ArrayLike | str = 0.0,
    y: float | str = 0.0,
    x: float | str = 0.0,
    layers: Layers | None = None,
    motion: str = "stage",
    digits: int = 6,
) -> int | PolarNodes:
    r"""Number of quadrature nodes that a pupil function needs.

    .. math:: N \approx 2\pi\,\frac{\mathrm{NA}\,R}{\lambda}
        + \pi\,\frac{z (n - \sqrt{n^2 - \mathrm{NA}^2})}{\lambda} + 20

    with the half-width R of the window, then raised until the field at the window's corners,
    sides and middle does not change. Valid for smooth pupils and for those that :class:`PolarNodes`
    resolves; other steps need samples. Ask for the largest window, aperture
    and |z| of a sweep, and pass the result as ``nodes``.

    Args:
        pupil: Transmission as a function of the coordinates (x, y), of any shape ``(...)`` [pupil
            radii], or None for a clear pupil.
        shape: Number of image samples (ny, nx).
        spacing: Sample spacing at the focus, one number or ``(2,)`` as (dy, dx) [µm].
        na: Numerical aperture.
        wavelength: Vacuum wavelength [µm].
        n: Refractive index; leave it out if there are ``layers``.
        z: Positions of the planes, ``(...)`` [µm].
        y: Where the sample N // 2 of the window is [µm].
        x: Where the sample N // 2 of the window is [µm].
        layers: Sample, coverslip and immersion, see :func:`coverslip_layers`.
        motion: What moves by z if there are layers, "stage" or "emitter".
        digits: Decimal digits that the field shall have, as a part of its largest value.

    Returns:
        The number of chord nodes across the pupil, even; :class:`PolarNodes` if chords do not
        converge (a vortex, radial polarization, rays beyond a critical angle).

    Raises:
        ValueError: If a number is out of range or traced, or the pupil is not smooth enough.

    Example:
        >>> cartesian_nodes(None, (201, 201), spacing=0.02, na=1.3, wavelength=0.632, n=1.5)
        48

    References:
        L. N. Trefethen, *Approximation Theory and Approximation Practice*, Ch. 19.
    """
    where = "cartesian_nodes"
    shape = _check.grid_shape(where, shape)
    _check.integer(where, "digits", digits, 1, 14)
    o: dict[str, Any] = dict(spacing=spacing, na=na, wavelength=wavelength, n=n, z=z, y=y, x=x)
    o |= dict(layers=layers, motion=motion, apodization="aplanatic", nodes=None)
    o = check_optics(where, o)
    _nodes.require_known(where, o)
    return _nodes.converged(where, pupil or _nodes.clear, shape, o, digits)
