"""Does this grid resolve this step, and which one would?"""

import dataclasses

import numpy as np
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.field import Field


@dataclasses.dataclass(frozen=True)
class Sampling:
    r"""The answer to a sampling question: criterion, value, limit, and a grid that satisfies it.

    .. math:: \text{ok} \iff \text{value} \le \text{limit}

    Valid for the step that made it.

    Args:
        criterion: The condition in words.
        value: What the grid has [unit in ``criterion``], scalar.
        limit: The most it may have [same unit], scalar.
        shape: A number of samples (ny, nx) that satisfies the criterion at the same spacing.
        ok: Whether the criterion is satisfied.

    Raises:
        TypeError: If a part is missing.

    Example:
        >>> Sampling("f <= f_max [1/µm]", 0.5, 1.0, (64, 64), True).ok
        True

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 5.1.
    """

    criterion: str
    value: float
    limit: float
    shape: tuple[int, int]
    ok: bool


def propagation_sampling(
    field: Field, z: float, *, n: float = 1.0, fraction: float = 0.999
) -> Sampling:
    r"""Tells whether a grid resolves the phase of a propagation for the light in a field.

    .. math:: f_{\max} \le \frac{n}{\lambda}
        \left[1 + \left(\frac{2 |z|}{L}\right)^2\right]^{-1/2}, \qquad L = 2 N \Delta x

    where :math:`f_{\max}` bounds the given fraction of the field's power: steeper waves leave
    the doubled window and are removed by the band limit. Valid for
    :func:`~jaxwave.propagation.angular_spectrum` and :func:`~jaxwave.propagation.fresnel`.
    Not for traced values: it answers with numbers.

    Args:
        field: The field at the input plane, ``(..., y, x)``; the worst batch entry counts.
        z: Distance [µm], scalar.
        n: Refractive index, scalar.
        fraction: Share of the power that has to be resolved.

    Returns:
        Criterion, value and limit [1/µm], and a shape (ny, nx) that would do.

    Raises:
        TypeError: If a value is traced.

    Example:
        >>> from jaxwave.sources import gaussian_beam
        >>> beam = gaussian_beam((128, 128), spacing=0.5, wavelength=0.5, waist=2.0)
        >>> propagation_sampling(beam, 100.0).ok, propagation_sampling(beam, 2000.0).ok
        (True, False)

    References:
        K. Matsushima and T. Shimobaba, Opt. Express 17, 19662 (2009), Eq. 13.
    """
    if not _check.is_concrete(field.u, field.spacing, field.wavelength, z, n):
        raise TypeError("propagation_sampling: needs numbers, got a traced value.")
    u = np.asarray(field.u).reshape(-1, *field.shape)
    spacing = np.asarray(field.spacing, np.float64).reshape(-1, 2)
    wavelength = np.asarray(field.wavelength, np.float64).reshape(-1)
    components = max(1, len(u) // max(1, len(wavelength)))
    worst: Sampling | None = None
    for k, plane in enumerate(u):
        b = min(k // components, len(wavelength) - 1)
        result = _axis_sampling(plane, spacing[b], wavelength[b], float(z), float(n), fraction)
        if worst is None or result.value / result.limit > worst.value / worst.limit:
            worst = result
    assert worst is not None
    return worst


def _axis_sampling(
    u: np.ndarray, spacing: np.ndarray, wavelength: float, z: float, n: float, fraction: float
) -> Sampling:
    power = np.abs(np.fft.fft2(u)) ** 2
    shape, results = list(u.shape), []
    for axis in (0, 1):
        count, step = u.shape[axis], spacing[axis]
        density = power.sum(1 - axis)
        f = np.abs(np.fft.fftfreq(count, step))
        order = np.argsort(f)
        share = np.cumsum(density[order]) / max(density.sum(), np.finfo(float).tiny)
        used = f[order][min(np.searchsorted(share, fraction), count - 1)]
        limit = n / wavelength / np.hypot(1, abs(z) / (count * step))
        results.append((used, limit))
        tangent = used * wavelength / n
        if tangent < 1:
            need = abs(z) * tangent / np.sqrt(1 - tangent**2) / step
            shape[axis] = max(count, int(np.ceil(need * 1.05)))
    value, limit = max(results, key=lambda r: r[0] / r[1])
    return Sampling(
        f"highest used frequency <= n/lambda / sqrt(1 + (z/(N dx))^2) for z = {z:g} µm [1/µm]",
        float(value),
        float(limit),
        (shape[0], shape[1]),
        bool(value <= limit),
    )


def warn_propagation(where: str, field: Field, z: ArrayLike, n: ArrayLike) -> None:
    """Warns, where the values are concrete, when a propagation loses light to its band limit.

    Only geometry is looked at (no transform of the field): the window must subtend more than
    one spatial frequency step, else hardly anything of the field survives.
    """
    if not _check.is_concrete(field.spacing, field.wavelength, z, n):
        return
    width = np.asarray(field.spacing, np.float64) * field.shape
    m = np.asarray(n, np.float64) / np.asarray(field.wavelength, np.float64)
    distance = np.abs(np.asarray(z, np.float64))
    limit = np.min(m[..., None] / np.hypot(1, distance[..., None] / width), initial=np.inf)
    kept = float(limit * np.min(width))
    needed = float(np.max(2 * np.sqrt(distance / m), initial=0.0))
    if kept < 4 and np.min(width) < needed:
        _check.warn(
            where,
            f"over z = {float(np.max(distance)):.4g} µm this window ({float(np.min(width)):.4g} µm "
            f"wide) resolves only {kept:.2g} spatial frequencies; the rest is removed. Use a "
            f"window of at least {needed:.4g} µm, or ff_lens for a far field.",
        )
