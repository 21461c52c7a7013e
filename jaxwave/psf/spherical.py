"""Focus and image of circularly symmetric pupils: exact, fast, differentiable.

Fields are per square root of power: the squared modulus of a field through a clear pupil of power
one, integrated over the focal plane with the cosine of every direction, is one. Coordinates are
those of the sample, and E(x, y) is the sum over s of a(s) exp[2 pi i (sx x + sy y)/wavelength]; the
image on a camera is the same picture, enlarged.
"""

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.psf._round import compute, count, polarized, unit_dipole
from jaxwave.psf.round_pupil import RoundPupil


def spherical_nodes(
    pupil: RoundPupil,
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    z: ArrayLike | str = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    intensity: bool = True,
) -> tuple[int, int, int]:
    r"""Numbers of quadrature nodes that a picture needs, for programs whose numbers are traced.

    .. math:: |J_{2N}(\Phi)| \le \epsilon, \qquad \Phi = \tfrac12 \max_t |d\varphi/dt|,
        \qquad J_K(k\,\mathrm{NA}\,R)^2 \le \epsilon

    N nodes t of the pupil resolve the steepest phase :math:`\varphi` of all z and of the
    farthest sample R; K nodes of :math:`r^2` resolve the picture (a field: half the argument).
    Valid for profiles that vary no faster than that; :math:`\epsilon` is that of the precision.
    The functions of this module use it by themselves where the numbers are known. Under ``jit``,
    ``vmap`` or ``grad`` they are not: then the pixels are taken to be at most wavelength/(4 NA),
    z to stay below ten wavelengths, and the axis to lie in the window (traced ``y`` and ``x`` of
    at most half its width); pass these counts as ``nodes`` for pictures beyond that, or to make a
    finely sampled one faster.

    Args:
        pupil: The pupil; take the largest aperture and the shortest wavelength.
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        z: Positions of the planes, ``(..., planes)`` or one number [µm].
        y: Position of the sample ny // 2, ``(...)`` [µm].
        x: Position of the sample nx // 2, ``(...)`` [µm].
        intensity: Whether the intensity is wanted, not the field.

    Returns:
        Nodes of the pupil inside and beyond the critical angle, nodes of the radial table.

    Raises:
        ValueError: If the shape is not (ny, nx).

    Example:
        >>> from jaxwave.psf.round_pupil import round_pupil
        >>> pupil = round_pupil(wavelength=0.632, na=1.3, n=1.5)
        >>> spherical_nodes(pupil, (201, 201), spacing=0.02)
        (32, 0, 60)

    References:
        L. N. Trefethen, *Approximation Theory and Approximation Practice*, Ch. 8 and 19.
    """
    shape = _check.grid_shape("spherical_nodes", shape)
    return count("spherical_nodes", pupil, shape, (spacing, z, y, x, None), intensity)


def spherical_scalar(
    pupil: RoundPupil,
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    z: ArrayLike | str = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    nodes: tuple[int, int, int] | None = None,
) -> Array:
    r"""Scalar field of a circularly symmetric pupil.

    .. math:: E = \frac{2 \sqrt{\pi}}{\lambda\,\mathrm{NA}} \int_0^\mathrm{NA} a(s)\,
        J_0\!\Bigl(\frac{2\pi s r}{\lambda}\Bigr)\,s\,ds

    Exact for the scalar Helmholtz equation; polarization is neglected, so it applies up to NA of
    about half the index. With the apodization "none" and nothing else it is the Airy pattern.

    Args:
        pupil: The pupil, see :func:`round_pupil`.
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        z: Positions of the planes along the light, ``(..., planes)`` or one number [µm]; with
            layers see :func:`gibson_lanni_path`.
        y: Position of the sample ny // 2, ``(...)`` [µm].
        x: Position of the sample nx // 2, ``(...)`` [µm].
        nodes: Numbers of nodes, see :func:`spherical_nodes`; by default what the numbers ask
            for.

    Returns:
        The field, complex ``(..., planes, y, x)``, without the planes' axis for one number z
        [1/µm for unit power].

    Raises:
        ValueError: If a number is out of range or a shape does not fit.
        TypeError: If ``pupil`` is not a :class:`RoundPupil`.

    Warns:
        JaxwaveWarning: If ``nodes`` are too few for the numbers.

    Example:
        >>> from jaxwave.psf.round_pupil import round_pupil
        >>> pupil = round_pupil(wavelength=0.5, na=0.9)
        >>> spherical_scalar(pupil, (31, 33), spacing=0.05, z=[0.0, 1.0]).shape
        (2, 31, 33)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 6.2.
    """
    window = (spacing, z, y, x, nodes)
    result = compute("spherical_scalar", "scalar", pupil, shape, window, intensity=False)
    return jnp.squeeze(result, -3)


def spherical_scalar_intensity(
    pupil: RoundPupil,
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    z: ArrayLike | str = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    nodes: tuple[int, int, int] | None = None,
) -> Array:
    r"""Scalar intensity of a circularly symmetric pupil.

    .. math:: I = |E|^2

    The squared modulus of :func:`spherical_scalar`, computed without making the field, and as
    exact.

    Args:
        pupil: The pupil, see :func:`round_pupil`.
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        z: Positions of the planes along the light, ``(..., planes)`` or one number [µm]; with
            layers see :func:`gibson_lanni_path`.
        y: Position of the sample ny // 2, ``(...)`` [µm].
        x: Position of the sample nx // 2, ``(...)`` [µm].
        nodes: Numbers of nodes, see :func:`spherical_nodes`; by default what the numbers ask
            for.

    Returns:
        The intensity, ``(..., planes, y, x)`` [1/µm² for unit power].

    Raises:
        ValueError: If a number is out of range or a shape does not fit.
        TypeError: If ``pupil`` is not a :class:`RoundPupil`.

    Warns:
        JaxwaveWarning: If ``nodes`` are too few for the numbers.

    Example:
        >>> from jaxwave.psf.round_pupil import round_pupil
        >>> pupil = round_pupil(wavelength=0.5, na=0.9)
        >>> spherical_scalar_intensity(pupil, (31, 33), spacing=0.05).shape
        (31, 33)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 6.2.
    """
    window = (spacing, z, y, x, nodes)
    where = "spherical_scalar_intensity"
    return jnp.squeeze(compute(where, "scalar", pupil, shape, window, intensity=True), -3)


def spherical_vector(
    pupil: RoundPupil,
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    z: ArrayLike | str = 0.0,
    polarization: ArrayLike | tuple[complex, complex] | str = (1.0, 0.0),
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    nodes: tuple[int, int, int] | None = None,
) -> Array:
    r"""Vector field in the focus of a circularly symmetric pupil.

    .. math:: \mathbf{E} = \begin{pmatrix} I_0 + I_2 \cos 2\phi \\ I_2 \sin 2\phi \\
        -2i I_1 \cos\phi \end{pmatrix} e_x + \begin{pmatrix} I_2 \sin 2\phi \\
        I_0 - I_2 \cos 2\phi \\ -2i I_1 \sin\phi \end{pmatrix} e_y

    Exact within the Debye approximation (focal length much larger than the wavelength). The
    parts are :math:`I_0 = \int a (q_s + q_p \cos\theta) J_0\,s\,ds`, :math:`I_1 = \int a q_p
    \sin\theta\,J_1\,s\,ds`, :math:`I_2 = \int a (q_s - q_p \cos\theta) J_2\,s\,ds`, each times
    :math:`\sqrt\pi/(\lambda\,\mathrm{NA})`, with the transmissions q and the angle of the sample.

    Args:
        pupil: The pupil, see :func:`round_pupil`.
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        z: Positions of the planes along the light, ``(..., planes)`` or one number [µm]; with
            layers see :func:`gibson_lanni_path`.
        polarization: Jones vector (x, y) of the pupil, complex ``(..., 2)`` [none], (1, 1j)/√2 for
            circular; or "radial" (along s) or "azimuthal" (from x toward y).
        y: Position of the sample ny // 2, ``(...)`` [µm].
        x: Position of the sample nx // 2, ``(...)`` [µm].
        nodes: Numbers of nodes, see :func:`spherical_nodes`; by default what the numbers ask
            for.

    Returns:
        The components x, y, z, complex ``(..., planes, 3, y, x)`` [1/µm for unit power].

    Raises:
        ValueError: If a number is out of range or a shape does not fit.
        TypeError: If ``pupil`` is not a :class:`RoundPupil`.

    Warns:
        JaxwaveWarning: If ``nodes`` are too few for the numbers.

    Example:
        >>> from jaxwave.psf.round_pupil import round_pupil
        >>> pupil = round_pupil(wavelength=0.5, na=0.9)
        >>> spherical_vector(pupil, (31, 33), spacing=0.05, polarization=(1, 1j)).shape
        (3, 31, 33)

    References:
        B. Richards and E. Wolf, Proc. R. Soc. A 253, 358 (1959), Eqs. 2.30-2.32.
    """
    where = "spherical_vector"
    kind, e = polarized(where, polarization)
    window = (spacing, z, y, x, nodes)
    return compute(where, kind, pupil, shape, window, intensity=False, polarization=e)


def spherical_vector_intensity(
    pupil: RoundPupil,
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    z: ArrayLike | str = 0.0,
    polarization: ArrayLike | tuple[complex, complex] | str = (1.0, 0.0),
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    nodes: tuple[int, int, int] | None = None,
) -> Array:
    r"""Intensity in the focus of a circularly symmetric pupil, all three components.

    .. math:: I = |E_x|^2 + |E_y|^2 + |E_z|^2

    The squared modulus of :func:`spherical_vector`, computed without making the field, and as
    exact. It is what an absorbing molecule that rotates freely sees.

    Args:
        pupil: The pupil, see :func:`round_pupil`.
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        z: Positions of the planes along the light, ``(..., planes)`` or one number [µm]; with
            layers see :func:`gibson_lanni_path`.
        polarization: Jones vector (x, y) of the pupil, complex ``(..., 2)`` [none], (1, 1j)/√2 for
            circular; or "radial" (along s) or "azimuthal" (from x toward y).
        y: Position of the sample ny // 2, ``(...)`` [µm].
        x: Position of the sample nx // 2, ``(...)`` [µm].
        nodes: Numbers of nodes, see :func:`spherical_nodes`; by default what the numbers ask
            for.

    Returns:
        The intensity, ``(..., planes, y, x)`` [1/µm² for unit power].

    Raises:
        ValueError: If a number is out of range or a shape does not fit.
        TypeError: If ``pupil`` is not a :class:`RoundPupil`.

    Warns:
        JaxwaveWarning: If ``nodes`` are too few for the numbers.

    Example:
        >>> from jaxwave.psf.round_pupil import round_pupil
        >>> pupil = round_pupil(wavelength=0.5, na=0.9)
        >>> spherical_vector_intensity(pupil, (31, 33), spacing=0.05).shape
        (31, 33)

    References:
        B. Richards and E. Wolf, Proc. R. Soc. A 253, 358 (1959), Eqs. 2.30-2.32.
    """
    where = "spherical_vector_intensity"
    kind, e = polarized(where, polarization)
    window = (spacing, z, y, x, nodes)
    result = compute(where, kind, pupil, shape, window, intensity=True, polarization=e)
    return jnp.squeeze(result, -3)


def spherical_dipole(
    pupil: RoundPupil,
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    z: ArrayLike | str = 0.0,
    dipole: ArrayLike | tuple[complex, complex, complex],
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    nodes: tuple[int, int, int] | None = None,
) -> Array:
    r"""Field on a camera of a dipole of fixed orientation.

    .. math:: \mathbf{E} = \begin{pmatrix}
        I_0 + I_2 \cos 2\phi & I_2 \sin 2\phi & -2i I_1 \cos\phi \\
        I_2 \sin 2\phi & I_0 - I_2 \cos 2\phi & -2i I_1 \sin\phi \end{pmatrix} \mathbf{p}

    The amplitude matrix is that of focusing with the ways reversed (reciprocity), so the
    transmissions and the angles are right for any layers; rays beyond the critical angle of the
    sample carry the emitter's near field. A camera point is given in the coordinates of the
    sample; the tube lens is paraxial. The parts are those of :func:`spherical_vector`, but for
    the factor: the power on the camera is the share that is collected of what the dipole radiates
    in an unbounded sample. Exact with the aplanatic apodization.

    Args:
        pupil: The pupil, see :func:`round_pupil`.
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        z: Positions of the planes along the light, ``(..., planes)`` or one number [µm]; with
            layers see :func:`gibson_lanni_path`.
        dipole: Direction (x, y, z) of the dipole moment, complex ``(..., 3)`` [none].
        y: Position of the sample ny // 2, ``(...)`` [µm].
        x: Position of the sample nx // 2, ``(...)`` [µm].
        nodes: Numbers of nodes, see :func:`spherical_nodes`; by default what the numbers ask
            for.

    Returns:
        The components x, y, complex ``(..., planes, 2, y, x)`` [1/µm].

    Raises:
        ValueError: If a number is out of range or a shape does not fit.
        TypeError: If ``pupil`` is not a :class:`RoundPupil`.

    Warns:
        JaxwaveWarning: If ``nodes`` are too few for the numbers.

    Example:
        >>> from jaxwave.psf.round_pupil import round_pupil
        >>> pupil = round_pupil(wavelength=0.5, na=0.9)
        >>> spherical_dipole(pupil, (31, 33), spacing=0.05, dipole=(0, 0, 1)).shape
        (2, 31, 33)

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, 2nd ed., Secs. 4.1 and 10.3.
    """
    where = "spherical_dipole"
    e = unit_dipole(where, dipole)
    window = (spacing, z, y, x, nodes)
    return compute(where, "dipole", pupil, shape, window, intensity=False, polarization=e)


def spherical_dipole_intensity(
    pupil: RoundPupil,
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    z: ArrayLike | str = 0.0,
    dipole: ArrayLike | tuple[complex, complex, complex] | None = None,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    nodes: tuple[int, int, int] | None = None,
) -> Array:
    r"""Image on a camera of a dipole, fixed or freely rotating.

    .. math:: \langle I \rangle = \tfrac{2}{3}\bigl(|I_0|^2 + 2 |I_1|^2 + |I_2|^2\bigr), \qquad
        I = |E_x|^2 + |E_y|^2

    For a fixed orientation the squared modulus of :func:`spherical_dipole`. The image integrates
    to the share of the radiation (into an unbounded sample) that reaches the camera, and it is as
    exact.

    Args:
        pupil: The pupil, see :func:`round_pupil`.
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        z: Positions of the planes along the light, ``(..., planes)`` or one number [µm]; with
            layers see :func:`gibson_lanni_path`.
        dipole: Direction (x, y, z) of the dipole moment, complex ``(..., 3)`` [none]; None for
            a molecule that rotates freely, the average over all orientations.
        y: Position of the sample ny // 2, ``(...)`` [µm].
        x: Position of the sample nx // 2, ``(...)`` [µm].
        nodes: Numbers of nodes, see :func:`spherical_nodes`; by default what the numbers ask
            for.

    Returns:
        The intensity, ``(..., planes, y, x)`` [1/µm² for one photon emitted].

    Raises:
        ValueError: If a number is out of range or a shape does not fit.
        TypeError: If ``pupil`` is not a :class:`RoundPupil`.

    Warns:
        JaxwaveWarning: If ``nodes`` are too few for the numbers.

    Example:
        >>> from jaxwave.psf.round_pupil import round_pupil
        >>> pupil = round_pupil(wavelength=0.5, na=0.9)
        >>> spherical_dipole_intensity(pupil, (31, 33), spacing=0.05).shape
        (31, 33)

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, 2nd ed., Secs. 4.1 and 10.3;
        F. Aguet et al., Opt. Express 17, 6829 (2009).
    """
    where = "spherical_dipole_intensity"
    kind, e = "rotating", ()
    if dipole is not None:
        kind, e = "dipole", unit_dipole(where, dipole)
    window = (spacing, z, y, x, nodes)
    result = compute(where, kind, pupil, shape, window, intensity=True, polarization=e)
    return jnp.squeeze(result, -3)
