"""Does this grid resolve this step, and which one would?

Every function that writes a phase, a window or an aperture asks here, once, where its numbers are
known (never of tracers), and :func:`tell` warns with the grid that would do. The question is put
to the samples where the light is: a lens may be undersampled in the dark.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.field import Field


@dataclasses.dataclass(frozen=True)
class Sampling:
    """The answer to a sampling question: criterion, value, limit, and a grid that satisfies it.

    Valid for the step that made it.

    Args:
        criterion: The condition in words.
        value: What the grid has [unit in ``criterion``], scalar.
        limit: The most it may have [same unit], scalar.
        shape: A number of samples (ny, nx) that satisfies the criterion.
        spacing: The sample spacing (dy, dx) that goes with this shape, one number each [µm].

    Example:
        >>> Sampling("f <= f_max [1/µm]", 0.5, 1.0, (64, 64), (0.5, 0.5)).ok
        True
    """

    criterion: str
    value: float
    limit: float
    shape: tuple[int, int]
    spacing: tuple[float, float]

    @property
    def ok(self) -> bool:
        """Whether the criterion is satisfied."""
        return bool(self.value <= self.limit)


def tell(where: str, answer: Sampling | None, fix: str) -> None:
    """Warns of a criterion that is not satisfied; ``fix`` may name {spacing} and {shape}."""
    if answer is None or answer.ok:
        return
    spacing = min(answer.spacing)
    text = fix.format(spacing=f"{spacing:.3g}", shape=answer.shape)
    _check.warn(
        where,
        f"needs {answer.criterion}, got {answer.value:.4g} where {answer.limit:.4g} is the limit. "
        f"{text}",
    )


# -- phases that are written ---------------------------------------------------------------

TOLERANCE = 1 + 1e-5  # rounding of float32 numbers that lie on the limit


def frequency_sampling(
    what: str, shape: Sequence[int], spacing: ArrayLike, frequency: Sequence[ArrayLike]
) -> Sampling | None:
    """Whether samples hold the highest local frequencies (fy, fx) [1/µm] of what is written.

    None where a number is traced. The worst axis and batch entry count.
    """
    if not _check.is_concrete(spacing, *frequency):
        return None
    pair = np.asarray(spacing, np.float64)
    used = [
        np.abs(np.asarray(f, np.float64)) * (n > 1)
        for f, n in zip(frequency, shape[-2:], strict=True)
    ]
    ratio = [np.max(2 * f * pair[..., k], initial=0.0) for k, f in enumerate(used)]
    worst = int(np.argmax(ratio))
    finest = [float(np.min(pair[..., k]) / max(1.0, 1.02 * ratio[k])) for k in (0, 1)]
    need = [int(np.ceil(n * max(1.0, 1.02 * r))) for n, r in zip(shape[-2:], ratio, strict=True)]
    limit = 1 / (2 * np.max(pair[..., worst]))
    return Sampling(
        f"a local frequency of {what} below 1/(2 spacing) [1/µm]",
        float(ratio[worst] * limit),
        float(limit * TOLERANCE),
        (need[0], need[1]),
        (finest[0], finest[1]),
    )


FINER = "The samples hold another wave. Use a spacing of at most {spacing} µm."


def warn_frequency(
    where: str, what: str, shape: Sequence[int], spacing: ArrayLike, frequency: Sequence[ArrayLike]
) -> None:
    """Warns where samples cannot hold the local frequencies (fy, fx) of what is written."""
    tell(where, frequency_sampling(what, shape, spacing, frequency), FINER)


def warn_travel(where: str, k: Sequence[ArrayLike], wavelength: ArrayLike, n: ArrayLike) -> None:
    """Warns of a wave (ky, kx) [rad/µm] that no medium of this index carries."""
    if not _check.is_concrete(*k, wavelength, n):
        return
    ky, kx = (np.asarray(a, np.float64) for a in k)
    most = 2 * np.pi * np.asarray(n, np.float64) / np.asarray(wavelength, np.float64)
    ratio = np.hypot(ky, kx) / most
    if np.any(ratio > TOLERANCE):
        _check.warn(
            where,
            f"the wave is evanescent: it is {float(np.max(ratio)):.4g} times as steep as light "
            "that travels in this medium. Use a smaller kx and ky, or the medium's index `n`.",
        )


LINES = 64  # rows and columns of a picture that are looked at


def _lines(array: np.ndarray, axis: int) -> np.ndarray:
    """Some rows (axis -1) or columns (axis -2), whole, as (lines, samples)."""
    array = np.swapaxes(array, -1, axis)
    step = max(1, array.shape[-2] // LINES)
    return array[..., step // 2 :: step, :].reshape(-1, array.shape[-1])


def lit_half_widths(field: Field, fraction: float = 0.99) -> tuple[np.ndarray, np.ndarray] | None:
    """Distance from the axis (y, x) within which a fraction of the light lies [µm]; or None."""
    if not _check.is_concrete(field.u, field.spacing):
        return None
    u = np.asarray(field.u)
    pair = np.asarray(field.spacing, np.float64)
    result = []
    for k, axis in enumerate((-2, -1)):
        lines = _lines(u, axis)
        power = (lines.real**2 + lines.imag**2).sum(0, dtype=np.float64)
        far = np.abs(np.arange(len(power)) - len(power) // 2)
        order = np.argsort(far, kind="stable")
        share = np.cumsum(power[order]) / max(power.sum(), np.finfo(float).tiny)
        reach = far[order][min(np.searchsorted(share, fraction), len(power) - 1)]
        result.append(reach * pair[..., k])
    return result[0], result[1]


def warn_slope(where: str, field: Field, what: str, turns: ArrayLike) -> None:
    """Warns of a smooth phase (..., y, x) of more than half a turn from lit sample to lit sample.

    Wrapped phases, steps and random phases jump by as much, and mean it: there the slope changes
    from sample to sample.
    """
    if not _check.is_concrete(field.u, field.spacing, turns):
        return
    phase, u = np.asarray(turns), np.asarray(field.u)
    lit = u.real**2 + u.imag**2
    lit = lit.sum(-3) if field._rank == 3 else lit
    bright = lit > 1e-4 * np.max(lit, initial=0.0)
    slopes = []
    for axis in (-2, -1):
        lines = _lines(phase, axis).astype(np.float64)
        light = _lines(bright, axis)
        light = light if len(light) == len(lines) else np.ones_like(lines, bool)
        first = np.abs(np.diff(lines))
        bend = np.abs(np.diff(lines, 2))
        steep = (first[:, 1:] > 0.5) & light[:, 2:] & light[:, 1:-1] & light[:, :-2]
        smooth = steep & (bend < 0.25 * first[:, 1:])
        counts = np.count_nonzero(steep), np.count_nonzero(smooth)
        many = counts[1] > 0.5 * counts[0] and counts[1] > 0.01 * max(1, steep.size)
        slopes.append(np.percentile(first[:, 1:][smooth], 99) if many else 0.0)
    pair = np.asarray(field.spacing, np.float64)
    frequency = [s / np.min(pair[..., k]) for k, s in enumerate(slopes)]
    warn_frequency(where, what, field.shape, pair.reshape(-1, 2).min(0), frequency)


def warn_lens(
    where: str, field: Field, what: str, rate: ArrayLike, bias: Sequence[ArrayLike] = (0.0, 0.0)
) -> None:
    """Warns where a parabola of local frequency ``rate * x + bias`` is too steep for its light."""
    if not _check.is_concrete(field.u, rate, *bias):
        return
    reach = lit_half_widths(field)
    if reach is None:
        return
    rate, frequency = np.abs(np.asarray(rate, np.float64)), []
    for r, b in zip(reach, bias, strict=True):
        frequency.append(np.max(rate * np.max(r)) + np.max(np.abs(np.asarray(b, np.float64))))
    warn_frequency(where, what, field.shape, field.spacing, frequency)


# -- windows, apertures, pixels ------------------------------------------------------------


def warn_beam(
    where: str,
    shape: Sequence[int],
    spacing: ArrayLike,
    radius: Sequence[ArrayLike],
    frequency: Sequence[ArrayLike],
    tilt: Sequence[ArrayLike] = (0.0, 0.0),
) -> None:
    """Warns of a beam (radii at 1/e of the amplitude) that its window cuts or samples miss.

    All come as (y, x); ``frequency`` is the 1/e radius of its spectrum about ``tilt`` [1/µm].
    """
    if not _check.is_concrete(spacing, *radius, *frequency, *tilt):
        return
    pair = np.asarray(spacing, np.float64)
    half = [
        pair[..., k] * n / 2 if n > 1 else np.full(pair.shape[:-1], np.inf)
        for k, n in enumerate(shape[-2:])
    ]
    radius = [np.asarray(r, np.float64) for r in radius]
    cut = [float(np.max(r / h, initial=0.0)) for r, h in zip(radius, half, strict=True)]
    need = [int(np.ceil(n * max(1.0, c))) for n, c in zip(shape[-2:], cut, strict=True)]
    worst = float(np.max(radius[int(np.argmax(cut))], initial=0.0))
    answer = Sampling(
        "the beam's radius within half the window [µm]",
        worst,
        worst / max(*cut, 1e-300) * TOLERANCE,
        (need[0], need[1]),
        tuple(float(v) for v in pair.reshape(-1, 2).min(0)),  # type: ignore[arg-type]
    )
    tell(where, answer, "The rest is cut off. Use a shape of at least {shape}, or larger samples.")
    local = [
        np.minimum(1, h / r) * np.asarray(f) + np.abs(np.asarray(t, np.float64))
        for h, r, f, t in zip(half, radius, frequency, tilt, strict=True)
    ]
    warn_frequency(where, "the beam", shape, spacing, local)


def warn_window(
    where: str,
    what: str,
    shape: Sequence[int],
    spacing: ArrayLike,
    limit: Sequence[ArrayLike],
    fix: str = "a finer input",
) -> None:
    """Warns of an output window larger than what stands in ``limit`` (height, width) [µm]."""
    if not _check.is_concrete(spacing, *limit):
        return
    pair = np.asarray(spacing, np.float64)
    size = [np.max(pair[..., k] * shape[k] / np.asarray(limit[k], float)) for k in (0, 1)]
    k = int(np.argmax(size))
    if size[k] <= 1:
        return
    most = float(np.min(np.asarray(limit[k], float)))
    need = [max(1, int(n / max(1.0, s))) for n, s in zip(shape[-2:], size, strict=True)]
    answer = Sampling(
        f"a window within {what} [µm]",
        float(size[k] * most),
        most * TOLERANCE,
        (need[0], need[1]),
        tuple(float(v) for v in pair.reshape(-1, 2).min(0)),  # type: ignore[arg-type]
    )
    tell(where, answer, f"Use a shape of at most {{shape}}, or {fix}.")


def warn_outside(where: str, field: Field, y: ArrayLike, x: ArrayLike, reach: ArrayLike) -> None:
    """Warns of an opening about (y, x) that reaches nowhere into the field's window."""
    if not _check.is_concrete(field.spacing, y, x, reach):
        return
    half = np.asarray(field.spacing, np.float64) * field.shape / 2
    gap = [
        np.max(np.abs(np.asarray(c, float)) - np.asarray(reach, float) - half[..., k])
        for k, c in enumerate((y, x))
    ]
    if max(gap) >= 0:
        k = int(np.argmax(gap))
        _check.warn(
            where,
            f"the opening lies outside the window, which ends at {np.min(half[..., k]):.4g} µm: "
            f"all light is stopped. Move `{'yx'[k]}` by at least {max(gap):.4g} µm, or pad the "
            "field.",
        )


def warn_pixels(where: str, field: Field, pitch: ArrayLike) -> None:
    """Warns of hardware pixels finer than the samples, which then see their mean."""
    if not _check.is_concrete(field.spacing, pitch):
        return
    spacing, pitch = np.asarray(field.spacing, np.float64), np.asarray(pitch, np.float64)
    ratio = float(np.max(spacing / pitch))
    fine = tuple(float(v) for v in (spacing / max(ratio, 1)).reshape(-1, 2).min(0))
    need = tuple(int(np.ceil(n * ratio)) for n in field.shape)
    answer = Sampling("a sample within a pixel [pixels]", ratio, TOLERANCE, need, fine)  # type: ignore[arg-type]
    tell(where, answer, "The device is blurred. Use a spacing of at most {spacing} µm.")


# -- propagation ---------------------------------------------------------------------------


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
        >>> from jaxwave.beams import gaussian_beam
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
        (float(spacing[0]), float(spacing[1])),
    )


def warn_propagation(where: str, field: Field, z: ArrayLike, n: ArrayLike) -> None:
    """Warns, where the values are concrete, when a propagation spreads light past its window.

    Only geometry is looked at (no transform of the field): the window must subtend more than
    one spatial frequency step, else hardly anything of the field stays in it.
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
            f"wide) resolves only {kept:.2g} spatial frequencies: light spreads past it, and it "
            f"shows the middle. Use a window of at least {needed:.4g} µm, or ff_lens for a far "
            "field.",
        )
