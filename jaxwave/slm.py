"""Spatial light modulators and mirror devices: pixels, gaps, and what a level does."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, grid, numerics, pixels, sampling
from jaxwave.field import AnyField, Field, broadcast, modulate
from jaxwave.numerics import cis
from jaxwave.pixels import Lattice

_TWELVE_DEGREES = math.radians(12)

_product = partial(jnp.matmul, precision="highest")


def _look_up(levels: Array, table: Array) -> Array:
    """Straight lines between the table's entries; beyond its ends the end, without a slope."""
    last = table.shape[-1] - 1
    levels = jnp.where(levels < 0, 0, jnp.where(levels > last, last, levels))
    below = jnp.clip(jnp.floor(lax.stop_gradient(levels)).astype(int), 0, last - 1)
    part = levels - below
    return table[below] * (1 - part) + table[below + 1] * part


def _blur(count: int, sigma: Array) -> Array:
    """Gaussian weights of the pixels along one axis, ``(..., count, count)``; rows sum to one."""
    distance = grid.indices(count)[:, None] - grid.indices(count)
    square = (distance**2).astype(sigma.dtype)
    sigma = sigma[..., None, None]
    sharp = sigma == 0
    weight = jnp.exp(-square / (2 * jnp.where(sharp, 1, sigma) ** 2))
    weight = jnp.where(sharp, square == 0, weight)
    return weight / jnp.sum(weight, axis=-1, keepdims=True)


def _transmission(
    field: Field, modulated: Array, at: Lattice, share: Array, gap: Array, tilt: ArrayLike | None
) -> Array:
    """Mean over every sample of a device whose pixels send on ``modulated``, its gaps ``gap``."""
    spacing = field.spacing
    if tilt is not None:
        spacing, at = pixels.tilted("slm", spacing, at, tilt)
    gap = gap[..., None, None]
    width = at.pitch * jnp.sqrt(share)[..., None]
    active = pixels.samples_mean(field.shape, spacing, modulated - gap, at, width)
    # All of the device, gaps included, is one rectangle.
    return active + gap * pixels.samples_covered(field.shape, spacing, modulated.shape, at)


def slm(
    field: AnyField,
    levels: ArrayLike,
    *,
    pitch: ArrayLike | str,
    table: ArrayLike | None = None,
    fill_factor: ArrayLike = 1.0,
    gap: ArrayLike = 1.0,
    crosstalk: ArrayLike | None = None,
    correction: ArrayLike | None = None,
    flatness: ArrayLike | None = None,
    angle: ArrayLike | None = None,
    tilt: ArrayLike | None = None,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
) -> AnyField:
    r"""Sends a field through the pixels of a spatial light modulator (or off them, unfolded).

    .. math:: u' = u\,\frac{1}{\Delta y\,\Delta x}\iint_\text{sample} t\,dy\,dx,\qquad
        t = \sum_{jk}\left[g\,\Pi\!\left(\frac{y - y_j}{p}, \frac{x - x_k}{p}\right)
        + (e^{i\varphi_{jk}} - g)\,\Pi\!\left(\frac{y - y_j}{a}, \frac{x - x_k}{a}\right)\right]

    with the rectangle :math:`\Pi`, the pitch p, the active width
    :math:`a = p\sqrt{\text{fill factor}}` and :math:`\varphi_{jk}` = table(levels). The gaps send
    on unmodulated light, so a constant phase leaves :math:`|F e^{i\varphi} + (1 - F) g|^2` in the
    zero order, and the far field has the envelope sinc(a f). Beyond the device it is dark.
    A correction is added to the levels modulo the length of the table, as vendors' programs do. A
    device that is not flat adds :math:`2\pi\,\text{flatness}/\lambda`.

    Every sample takes the mean over its area, so that gradients with respect to the pitch, the
    fill factor and the position are true. It also damps the far field by
    :math:`\mathrm{sinc}(\Delta x f_x)`, and orders that the grid cannot hold lose their light:
    take four samples a pixel or more.
    Exact, and lossless for \|g\| = 1, where edges of pixels are edges of samples: for a pitch of an
    odd number of samples and a fill factor of one. Valid for thin pixels of one phase each.
    Every component of a vector field is modulated. Levels that hardware can show come from
    :func:`~jaxwave.calibration.constraints.quantized`.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        levels: Level of every pixel, ``(..., rows, columns)`` [levels], or phases [rad] without a
            table.
        pitch: Distance of the pixels, one number or ``(..., 2)`` as (dy, dx) [µm].
        table: Phase at the levels 0, 1, 2 ..., ``(..., K)`` [rad], with straight lines in between
            and constant beyond; None if the levels are phases.
        fill_factor: Active share of a pixel's area, a centered rectangle, ``(...)``
            [none].
        gap: Amplitude that the rest of the pixel sends on, real or complex, ``(...)`` [none].
        crosstalk: Standard deviation of a Gaussian blur of the phases, ``(...)`` [pixels]; None for
            sharp pixels.
        correction: What the vendor adds to the levels, ``(..., rows, columns)`` [levels, or rad
            without a table]; None for nothing.
        flatness: Optical path of the device's own shape, twice its height,
            ``(..., rows, columns)`` [µm]; None for a flat device.
        angle: Turn of the device in its plane, from +x toward +y, ``(...)`` [rad]; None for none.
        tilt: Angle of incidence on the device, in the planes of y and z, and of x and z, one
            number or ``(..., 2)`` [rad]: foreshortens its pixels by the cosine. None for none.
        y: Position of the center of pixel (rows // 2, columns // 2), ``(...)`` [µm].
        x: Position of the center of the same pixel, ``(...)`` [µm].

    Returns:
        The field behind the device, on the same grid.

    Raises:
        TypeError: If ``field`` is not a field or the levels or the table are complex.
        ValueError: If a length is not positive, the fill factor not between zero and one, the
            table shorter than two numbers, something not finite or the shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((6, 6), spacing=2.0, wavelength=0.532)
        >>> levels = jnp.array([[0.0, 128.0], [128.0, 255.0]])
        >>> image = slm(field, levels, pitch=6.0, table=jnp.linspace(0, 6.0, 256), y=3.0, x=3.0)
        >>> [round(float(p), 2) for p in (image.phase[0, 0], image.phase[0, 5])]
        [0.0, 3.01]

    References:
        E. Ronzitti et al., "LCoS nematic SLM characterization and modeling for diffraction
        efficiency optimization, zero and ghost orders suppression", Opt. Express 20, 17843 (2012).
    """
    where = "slm"
    _check.is_field(where, field, Field)
    phase = check_levels(where, levels)
    check_device(where, fill_factor, gap)
    dtype = field.real_dtype
    maps: dict[str, Any] = {
        "table": None if table is None else check_table(where, table),
        "correction": correction,
        "flatness": flatness,
        "crosstalk": None,
        "tilt": None,
    }
    for name in ("correction", "flatness"):
        if maps[name] is not None:
            maps[name] = check_map(where, name, maps[name], phase.shape, "one number a pixel")
    if crosstalk is not None:
        _check.nonnegative(where, "crosstalk", crosstalk, unit="pixels")
        maps["crosstalk"] = numerics.number(crosstalk, dtype)
    if tilt is not None:
        check_tilt(where, tilt)
        maps["tilt"] = grid.pair(where, "tilt", tilt, dtype)
    at = pixels.lattice(where, dtype, pitch=pitch, y=y, x=x, angle=angle)
    sampling.warn_pixels(where, field, at.pitch)
    gap = numerics.number(gap, field.dtype if jnp.iscomplexobj(gap) else dtype)
    return _modulated(field, phase, at, numerics.number(fill_factor, dtype), gap, maps)


@numerics.program()
def _modulated(
    field: AnyField,
    levels: Array,
    at: Lattice,
    share: Array,
    gap: Array,
    maps: dict[str, Array | None],
) -> AnyField:
    where, dtype = "slm", field.real_dtype
    maps = {k: None if v is None else v.astype(dtype) for k, v in maps.items()}
    phase = _phases(where, levels.astype(dtype), maps)
    shapes = {"levels": phase.shape[:-2], "fill_factor": share.shape, "gap": gap.shape}
    turns = phase / numerics.TAU
    if (path := maps["flatness"]) is not None:
        shapes |= {"flatness": path.shape[:-2], "wavelength": field.wavelength.shape}
        _check.broadcast(where, **shapes)
        turns = turns + path / field.wavelength[..., None, None]
    batch = _check.broadcast(where, field=field.batch_shape, **shapes, **at.batch_shapes)
    transmission = _transmission(field, cis(turns), at, share, gap, maps["tilt"])
    batch = _check.broadcast(where, field=batch, tilt=transmission.shape[:-2])
    return modulate(broadcast(field, batch), transmission)


def _phases(where: str, levels: Array, maps: dict[str, Array | None]) -> Array:
    """Phases of the pixels [rad] from their levels."""
    table, correction, crosstalk = (maps[k] for k in ("table", "correction", "crosstalk"))
    if correction is not None:
        shapes = {"levels": levels.shape[:-2], "correction": correction.shape[:-2]}
        _check.broadcast(where, **shapes)
        levels = levels + correction
    if table is not None:
        _check.broadcast(where, levels=levels.shape[:-2], table=table.shape[:-1])
        if correction is not None:
            levels = jnp.mod(levels, table.shape[-1])
        levels = jnp.vectorize(_look_up, signature="(y,x),(k)->(y,x)")(levels, table)
    if crosstalk is not None:
        _check.broadcast(where, levels=levels.shape[:-2], crosstalk=crosstalk.shape)
        rows, columns = (_blur(count, crosstalk) for count in levels.shape[-2:])
        levels = _product(_product(rows, levels), jnp.swapaxes(columns, -1, -2))
    return levels


def dmd(
    field: AnyField,
    mirrors: ArrayLike,
    *,
    pitch: ArrayLike | str,
    fill_factor: ArrayLike = 1.0,
    mirror_tilt: ArrayLike = _TWELVE_DEGREES,
    angle: ArrayLike | None = None,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
) -> AnyField:
    r"""Sends a field over the tilted mirrors of a digital micromirror device (unfolded).

    .. math:: t = \sum_{jk} m_{jk}\, \exp\!\left[\frac{2\pi i}{\lambda}\,
        \frac{(j + k)\, p \sin 2\theta}{\sqrt 2}\right]
        \Pi\!\left(\frac{y - y_j}{a}, \frac{x - x_k}{a}\right)

    The axis is the light's direction behind a mirror that is on, along the chip's normal. Mirrors
    turn by :math:`\theta` about their diagonals, so the light comes at :math:`2\theta` and has an
    optical path that differs from mirror to mirror: the chip is a blazed grating, whose orders lie
    off the axis unless the step is a whole number of wavelengths. What a mirror that is off sends
    away is lost, and so is what hits the gaps.
    Every sample takes the mean over its area (see :func:`slm`). Valid for flat mirrors.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        mirrors: State of every mirror, ``(..., rows, columns)``, 0 for off, 1 for on, in between
            for states that are still being learned [none].
        pitch: Distance of the mirrors, one number or ``(..., 2)`` as (dy, dx) [µm].
        fill_factor: Mirror's share of a pixel's area, a centered rectangle, ``(...)`` [none].
        mirror_tilt: Angle of a mirror that is on, ``(...)`` [rad]; zero for a flat mask of pixels.
        angle: Turn of the chip in its plane, from +x toward +y, ``(...)`` [rad]; None for none.
        y: Position of the center of mirror (rows // 2, columns // 2), ``(...)`` [µm].
        x: Position of the center of the same mirror, ``(...)`` [µm].

    Returns:
        The field behind the device, on the same grid.

    Raises:
        TypeError: If ``field`` is not a field or the states are complex.
        ValueError: If a state or the fill factor is not between zero and one, the pitch not
            positive, something not finite or the shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((6, 6), spacing=2.5, wavelength=0.532)
        >>> image = dmd(field, jnp.array([[0, 1], [1, 0]]), pitch=7.5, y=2.5, x=2.5)
        >>> [round(float(a), 3) for a in image.amplitude[::5, 0] / field.amplitude[0, 0]]
        [0.0, 1.0]

    References:
        M.-C. Park et al., "Properties of DMDs for holographic displays", J. Mod. Opt. 62, 1600
        (2015).
    """
    where = "dmd"
    _check.is_field(where, field, Field)
    states = check_levels(where, mirrors, name="mirrors")
    _check.between(where, "mirrors", states, 0, 1)
    check_device(where, fill_factor, 0.0)
    _check.finite(where, "mirror_tilt", mirror_tilt, unit="rad")
    dtype = field.real_dtype
    at = pixels.lattice(where, dtype, pitch=pitch, y=y, x=x, angle=angle)
    sampling.warn_pixels(where, field, at.pitch)
    share, tilt = (numerics.number(a, dtype) for a in (fill_factor, mirror_tilt))
    return _mirrored(field, states, at, share, tilt)


@numerics.program()
def _mirrored(field: AnyField, states: Array, at: Lattice, share: Array, tilt: Array) -> AnyField:
    where, dtype = "dmd", field.real_dtype
    shapes = {"mirrors": states.shape[:-2], "fill_factor": share.shape, "mirror_tilt": tilt.shape}
    batch = _check.broadcast(where, field=field.batch_shape, **shapes, **at.batch_shapes)
    path = at.pitch * (jnp.sin(2 * tilt) / math.sqrt(2))[..., None]
    step = path / field.wavelength[..., None]  # from mirror to mirror [turns]
    step = step - jnp.round(lax.stop_gradient(step))
    row, column = (grid.indices(count).astype(dtype) for count in states.shape[-2:])
    turns = step[..., 0, None, None] * row[:, None] + step[..., 1, None, None] * column
    width = at.pitch * jnp.sqrt(share)[..., None]
    sent = states.astype(dtype) * cis(turns)
    mean = pixels.samples_mean(field.shape, field.spacing, sent, at, width)
    return modulate(broadcast(field, batch), mean)


def levels_for_phase(phase: ArrayLike, table: ArrayLike) -> Array:
    r"""Finds the level whose phase is nearest, modulo a turn: what is written to a modulator.

    .. math:: l = \arg\min_k \bigl|e^{i\varphi} - e^{i T_k}\bigr|

    Exact for any table, also one that is not monotonic; of equal levels the lowest one. The result
    is a number of a list, so it has no slope: to learn levels, take
    :func:`~jaxwave.calibration.quantized`.

    Args:
        phase: Wanted phases, ``(..., rows, columns)`` [rad].
        table: Phase at the levels 0, 1, 2 ..., ``(K,)`` [rad]: 256 for 8 bits, 1024 for 10 bits.

    Returns:
        Levels, ``(..., rows, columns)``, as integers.

    Raises:
        TypeError: If the phases or the table are complex.
        ValueError: If something is not finite or the table shorter than two phases.

    Example:
        >>> table = jnp.linspace(0, 2 * jnp.pi, 256, endpoint=False)
        >>> levels_for_phase(jnp.array([[0.0, jnp.pi, -jnp.pi / 2, 6.28]]), table).tolist()
        [[0, 128, 192, 0]]

    References:
        D. Engström et al., "Calibration of spatial light modulators suffering from spatially
        varying phase response", Opt. Express 21, 16086 (2013).
    """
    where = "levels_for_phase"
    _check.finite_array(where, "phase", phase)
    phase, table = _check.real_array(where, "phase", phase), check_table(where, table)
    if table.ndim != 1:
        raise ValueError(f"{where}: `table` must have the axes (K,), got the shape {table.shape}.")
    return _nearest(phase, table)


@numerics.program()
def _nearest(phase: Array, table: Array) -> Array:
    turns = table / numerics.TAU
    order = jnp.argsort(turns - jnp.floor(turns), stable=True)
    ring = (turns - jnp.floor(turns))[order]
    order = order[jnp.searchsorted(ring, ring)]  # of equal phases the lowest level
    wanted = phase / numerics.TAU
    wanted = wanted - jnp.floor(wanted)
    above = jnp.searchsorted(ring, wanted)
    count = ring.shape[0]
    candidates = [order[(above + k) % count] for k in (-1, 0)]
    distance = [jnp.abs((p := wanted - turns[c]) - jnp.round(p)) for c in candidates]
    return jnp.where(distance[0] <= distance[1], candidates[0], candidates[1])


def check_levels(where: str, levels: ArrayLike, *, name: str = "levels") -> Array:
    """Levels as real numbers on the pixels."""
    _check.at_least(where, name, levels, 2, "(..., rows, columns)")
    _check.not_empty(where, name, np.shape(levels))
    _check.finite_array(where, name, levels)
    return _check.real_array(where, name, levels)


def check_table(where: str, table: ArrayLike) -> Array:
    """A table of at least two phases."""
    _check.at_least(where, "table", table, 1, "(..., K)")
    _check.finite_array(where, "table", table)
    table = _check.real_array(where, "table", table)
    if table.shape[-1] < 2:
        raise ValueError(
            f"{where}: `table` must have at least two phases, got {table.shape[-1]}. "
            "Leave it out for levels that are phases."
        )
    return table


def check_tilt(where: str, tilt: ArrayLike) -> None:
    """Angles of incidence below a right angle."""
    _check.between(where, "tilt", tilt, -1.57, 1.57)


def check_map(
    where: str, name: str, values: ArrayLike, pixels: tuple[int, ...], need: str
) -> Array:
    """A map with one real number for every pixel."""
    _check.finite_array(where, name, values)
    values = _check.real_array(where, name, values)
    if values.shape[-2:] != tuple(pixels[-2:]):
        raise ValueError(
            f"{where}: `{name}` needs {need}, {tuple(pixels[-2:])}, got {values.shape}."
        )
    return values


def check_device(where: str, fill_factor: ArrayLike, gap: ArrayLike) -> None:
    """What is between the pixels."""
    _check.positive(where, "fill_factor", fill_factor)
    _check.between(where, "fill_factor", fill_factor, 0, 1)
    _check.finite_array(where, "gap", gap)
