"""The six verbs: light at the focus of an objective, light of an emitter on a camera.

A pupil chooses how it is integrated. None, :class:`RadialPupil` and Zernike modes (n, 0) go through
radial tables; functions of (y, x) and other modes through quadrature nodes that converge
exponentially; samples through sums with an area-weighted rim. A clear pupil carries unit power;
masks take away what they absorb.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jax import Array

from jaxwave.psf._parity import PolarNodes
from jaxwave.psf._solve import check_nouns, counted, oriented, polarized, solve
from jaxwave.psf.objective import (
    Dipole,
    Objective,
    Polarization,
    Pupil,
    Window,
)

Nodes: TypeAlias = int | PolarNodes | tuple[int, int, int] | None

_SCALAR = np.ones(1)


def scalar_focus(
    objective: Objective, window: Window, pupil: Pupil = None, *, nodes: Nodes = None
) -> Array:
    r"""Scalar field at the focus of a pupil.

    .. math:: E(\mathbf r) = \frac{\mathrm{NA}}{\sqrt\pi\,\lambda} \iint_{x^2 + y^2 \le 1}
        P(y, x)\, a(s)\,
        e^{2\pi i [\mathbf s \cdot \mathbf r + z (\sqrt{n^2 - s^2} - n)]/\lambda}\, dx\, dy,
        \qquad \mathbf s = \mathrm{NA}\,(x, y)

    Exact as a Debye integral over the whole aperture, so for focal lengths of many wavelengths;
    polarization is neglected, which is wrong by 1 % of the peak at NA 0.4 and by a third at NA
    0.95. With the apodization "none" the focus is the Airy pattern.

    Args:
        objective: The objective.
        window: Samples and planes.
        pupil: What stands in the pupil: None (clear), a function of (y, x) [pupil radii], samples
            ``(..., y, x)`` [none] on :func:`pupil_coordinates`, :class:`RadialPupil` or
            :class:`ZernikePupil`.
        nodes: For experts: what :func:`nodes` counts.

    Returns:
        The field, complex ``(..., [planes,] y, x)`` [1/µm for unit power]; the first axes are the
        batch axes of all arguments.

    Raises:
        ValueError: If batch axes do not broadcast, or the pupil has a wrong layout or is not
            smooth.
        TypeError: If an argument is of the wrong kind.

    Warns:
        JaxwaveWarning: If samples or nodes are too few for the window and the planes.

    Example:
        >>> objective = Objective(na=0.8, wavelength=0.5)
        >>> u = scalar_focus(objective, Window((33, 31), spacing=0.1))
        >>> u.shape, round(float(abs(u[16, 15])), 3)
        ((33, 31), 3.162)

    References:
        M. Gu, *Advanced Optical Imaging Theory*, Sec. 6.2.
    """
    return solve("scalar_focus", "scalar", False, objective, window, pupil, _SCALAR, nodes)


def scalar_focus_intensity(
    objective: Objective, window: Window, pupil: Pupil = None, *, nodes: Nodes = None
) -> Array:
    r"""Scalar intensity at the focus of a pupil.

    .. math:: I(\mathbf r) = |E(\mathbf r)|^2

    of :func:`scalar_focus`, valid as that is; the field itself is never made.

    Args:
        objective: The objective.
        window: Samples and planes.
        pupil: As in :func:`scalar_focus`; samples are ``(..., y, x)`` [none].
        nodes: For experts: what :func:`nodes` counts.

    Returns:
        The intensity, ``(..., [planes,] y, x)`` [1/µm² for unit power].

    Raises:
        ValueError: As :func:`scalar_focus`.

    Example:
        >>> objective = Objective(na=0.9, wavelength=0.5)
        >>> scalar_focus_intensity(objective, Window((31, 33), spacing=0.05)).shape
        (31, 33)

    References:
        M. Gu, *Advanced Optical Imaging Theory*, Sec. 6.2.
    """
    where = "scalar_focus_intensity"
    return solve(where, "scalar", True, objective, window, pupil, _SCALAR, nodes)


def focus(
    objective: Objective,
    window: Window,
    pupil: Pupil = None,
    *,
    polarization: Polarization | None = None,
    nodes: Nodes = None,
) -> Array:
    r"""Vector field at the focus of a pupil.

    .. math:: \mathbf E(\mathbf r) = \frac{1}{\sqrt\pi\,\lambda\,\mathrm{NA}}
        \iint_{|s| \le \mathrm{NA}} a(s)\,[q_s\,\hat{\mathbf s}\hat{\mathbf s}^T
        + q_p\,\hat{\mathbf p}\hat{\boldsymbol\rho}^T]\,\mathbf P\,\mathbf e\;
        e^{2\pi i [\mathbf s \cdot \mathbf r + z (\sqrt{n^2 - s^2} - n)]/\lambda}\, d^2s

    Exact within the Debye approximation (focal length much larger than the wavelength). The sum of
    the intensity over a plane exceeds the power, because \|E\|² of an oblique wave exceeds its flux
    by 1/cos(theta). For a round pupil it is the integrals I0, I1, I2 of Richards and Wolf.

    Args:
        objective: The objective.
        window: Samples and planes.
        pupil: None (clear), a function of (y, x) [pupil radii], samples ``(..., y, x)`` [none] on
            :func:`pupil_coordinates`, :class:`RadialPupil`, :class:`ZernikePupil` or
            :class:`JonesPupil`.
        polarization: Jones vector (ex, ey) of the light, complex ``(..., 2)`` [none]; with a round
            pupil also "radial" (along s) or "azimuthal" (from x toward y). By default (1, 0); with
            a :class:`JonesPupil` (1, 1), so that the pupil alone makes it.
        nodes: For experts: what :func:`nodes` counts.

    Returns:
        The components x, y, z, complex ``(..., [planes,] 3, y, x)`` [1/µm for unit power].

    Raises:
        ValueError: If batch axes do not broadcast, or the pupil has a wrong layout or is not
            smooth.
        TypeError: If an argument is of the wrong kind.

    Warns:
        JaxwaveWarning: If samples or nodes are too few for the window and the planes.

    Example:
        >>> objective = Objective(na=1.3, wavelength=0.632, n=1.518)
        >>> focus(objective, Window((31, 33), spacing=0.05), polarization=(1, 1j)).shape
        (3, 31, 33)

    References:
        B. Richards and E. Wolf, Proc. R. Soc. A 253, 358 (1959); L. Novotny and B. Hecht,
        *Principles of Nano-Optics*, Sec. 3.5.
    """
    kind, e = polarized("focus", polarization, pupil)
    return solve("focus", kind, False, objective, window, pupil, e, nodes)


def focus_intensity(
    objective: Objective,
    window: Window,
    pupil: Pupil = None,
    *,
    polarization: Polarization | None = None,
    nodes: Nodes = None,
) -> Array:
    r"""Intensity of the vector field at the focus of a pupil.

    .. math:: I = |E_x|^2 + |E_y|^2 + |E_z|^2

    of :func:`focus`, valid as that is; the field itself is never made. It is what an absorbing
    molecule that rotates freely sees.

    Args:
        objective: The objective.
        window: Samples and planes.
        pupil: As in :func:`focus`; samples are ``(..., y, x)`` [none].
        polarization: As in :func:`focus`, complex ``(..., 2)`` [none].
        nodes: For experts: what :func:`nodes` counts.

    Returns:
        The intensity, ``(..., [planes,] y, x)`` [1/µm² for unit power].

    Raises:
        ValueError: As :func:`focus`.

    Example:
        >>> objective = Objective(na=1.3, wavelength=0.632, n=1.518)
        >>> donut = focus_intensity(objective, Window((31, 31), spacing=0.05),
        ...                         polarization="azimuthal")
        >>> bool(donut[15, 15] < 1e-6 * donut.max())
        True

    References:
        B. Richards and E. Wolf, Proc. R. Soc. A 253, 358 (1959).
    """
    kind, e = polarized("focus_intensity", polarization, pupil)
    return solve("focus_intensity", kind, True, objective, window, pupil, e, nodes)


def emitter_field(
    objective: Objective,
    window: Window,
    pupil: Pupil = None,
    *,
    dipole: Dipole,
    nodes: Nodes = None,
) -> Array:
    r"""Field on a camera of a dipole of fixed orientation.

    .. math:: \mathbf E(\mathbf r) = \frac{1}{\lambda} \sqrt{\frac{3}{8\pi n_i n_s}}
        \iint_{|s| \le \mathrm{NA}} \mathbf P\, a(s)\,[q_s\,\hat{\mathbf s}\hat{\mathbf s}^T
        + q_p\,\hat{\boldsymbol\rho}\hat{\mathbf p}^T]\,\mathbf d\;
        e^{2\pi i [\mathbf s \cdot \mathbf r + z (\sqrt{n^2 - s^2} - n)]/\lambda}\, d^2s

    Valid for an emitter of unit power (radiated into all directions of an unbounded sample) and a
    magnification much larger than the aperture, so that light at the camera is paraxial. The image
    is upright here; behind a real objective and tube lens it is turned by 180 degrees. The light
    near an interface follows from reciprocity: the dipole emits into a direction what a wave from
    there would make at its place.

    Args:
        objective: The objective; rays keep their power with the apodization "aplanatic".
        window: Camera samples in the coordinates of the sample; ``z`` is the position of the focal
            plane relative to the emitter, along the light (with ``motion="emitter"`` how much
            deeper the emitter is), (y, x) that of the window's middle.
        pupil: Transmission of the back focal plane, as in :func:`focus`; samples are
            ``(..., y, x)`` [none].
        dipole: Direction (x, y, z) of the moment, complex ``(..., 3)`` [none]; its length does not
            matter.
        nodes: For experts: what :func:`nodes` counts.

    Returns:
        The components x, y, complex ``(..., [planes,] 2, y, x)`` [1/µm].

    Raises:
        ValueError: As :func:`focus`, or if the dipole is zero.

    Example:
        >>> objective = Objective(na=1.2, wavelength=0.6, n=1.33)
        >>> emitter_field(objective, Window((31, 33), spacing=0.065), dipole=(1, 0, 0)).shape
        (2, 31, 33)

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Secs. 4.1 and 10.6; D. Axelrod,
        J. Microsc. 247, 147 (2012).
    """
    kind, e = oriented("emitter_field", _required(dipole))
    return solve("emitter_field", kind, False, objective, window, pupil, e, nodes)


def emitter_image(
    objective: Objective,
    window: Window,
    pupil: Pupil = None,
    *,
    dipole: Dipole | None = None,
    nodes: Nodes = None,
) -> Array:
    r"""Image of a dipole on a camera, fixed or freely rotating.

    .. math:: I(\mathbf r) = |E_x|^2 + |E_y|^2, \qquad
        \langle I \rangle = \tfrac13 \sum_{\mathbf d = \hat x, \hat y, \hat z} |E_x|^2 + |E_y|^2

    of :func:`emitter_field`, valid as that is. The average over orientations stands for molecules
    that turn much faster than they are imaged and emit. The image integrates over the plane to the
    share of the emitter's power that the objective collects.

    Args:
        objective: The objective.
        window: Camera samples in the coordinates of the sample, as in :func:`emitter_field`.
        pupil: Transmission of the back focal plane, as in :func:`focus`; samples are
            ``(..., y, x)`` [none].
        dipole: Direction (x, y, z) of the moment, complex ``(..., 3)`` [none]; None for a molecule
            that rotates freely.
        nodes: For experts: what :func:`nodes` counts.

    Returns:
        The intensity, ``(..., [planes,] y, x)`` [1/µm²].

    Raises:
        ValueError: As :func:`focus`, or if the dipole is zero.

    Example:
        >>> objective = Objective(na=1.2, wavelength=0.6, n=1.33)
        >>> image = emitter_image(objective, Window((31, 31), spacing=0.1), dipole=(0, 0, 1))
        >>> bool(image[15, 15] < 1e-6 * image.max())
        True

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Secs. 4.1 and 10.6.
    """
    kind, e = oriented("emitter_image", dipole)
    return solve("emitter_image", kind, True, objective, window, pupil, e, nodes)


def _required(dipole: Dipole | None) -> Dipole:
    if dipole is None:
        raise ValueError(
            "emitter_field: `dipole` must be a direction (x, y, z), got None. A molecule that "
            "rotates has no field; see emitter_image."
        )
    return dipole


def nodes(
    objective: Objective, window: Window, pupil: Pupil = None, *, intensity: bool = True
) -> int | PolarNodes | tuple[int, ...]:
    r"""Number of quadrature nodes that a picture takes.

    .. math:: N = 2\pi w + \pi d + 20 + 1.15\,\pi\,\max(s_t, s_a)

    chord nodes for a window of w waves per pupil radius, d waves of defocus and an aberration whose
    slopes by the angles arccos of both chord coordinates are s turns (float64: 34 instead of 20).
    Valid for an error of 1e-6 (1e-9) of the peak. The models use it by themselves. Where numbers
    are traced, static shapes bound them: samples that resolve the intensity, planes within ten
    wavelengths, aberrations of two waves rms. To know whether a compiled program covers a picture,
    compare its count with that of the known numbers.

    Args:
        objective: The objective; take the largest aperture and the shortest wavelength.
        window: The window; take the largest.
        pupil: The pupil, as in :func:`focus`; samples are ``(..., y, x)`` [none].
        intensity: Whether an intensity is wanted, not a field (for round pupils).

    Returns:
        For a round pupil nodes inside and beyond the critical angle and of the radial table; for
        others chord nodes, or rings for pupils with steps; 0 for samples.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If the pupil is not smooth enough.

    Example:
        >>> objective = Objective(na=1.3, wavelength=0.632, n=1.5)
        >>> window = Window((201, 201), spacing=0.02)
        >>> nodes(objective, window), nodes(objective, window, lambda y, x: 1 + 0 * x)
        ((32, 0, 60), 48)

    References:
        L. N. Trefethen, *Approximation Theory and Approximation Practice*, Ch. 8 and 19.
    """
    check_nouns("nodes", objective, window)
    return counted("nodes", "focus", intensity, objective, window, pupil) or 0
