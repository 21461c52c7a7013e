"""A spatial light modulator: pixels, gaps between them, and what a level does."""

from functools import partial

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, grid, numerics, sampling
from jaxwave.field import AnyField, Field, broadcast, modulate
from jaxwave.numerics import cis

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


def _transmission(field: Field, phase: Array, device: dict[str, Array], gap: Array) -> Array:
    """Mean of the device's transmission over the area of every sample."""
    pitch, width = device["pitch"], device["width"]

    def shares(axis: int, at: Array, active: Array) -> Array:
        """Share of sample i that lies on pixel j, ``(..., samples, pixels)``."""
        n, m, spacing = field.shape[axis], phase.shape[axis - 2], field.spacing[..., axis]
        length = grid.shared_length(n, spacing, m, pitch[..., axis], active[..., axis], at=at)
        return jnp.swapaxes(length, -1, -2) / spacing[..., None, None]

    rows, columns = shares(0, device["y"], width), shares(1, device["x"], width)
    columns = jnp.swapaxes(columns, -1, -2)
    modulated = cis(phase / numerics.TAU) - gap[..., None, None]
    parts = (_product(_product(rows, part(modulated)), columns) for part in (jnp.real, jnp.imag))
    # All of the device, gaps included, is one rectangle.
    height = jnp.sum(shares(0, device["y"], pitch), axis=-1)
    breadth = jnp.sum(shares(1, device["x"], pitch), axis=-1)
    whole = height[..., :, None] * breadth[..., None, :]
    return lax.complex(*parts) + gap[..., None, None] * whole


def slm(
    field: AnyField,
    levels: ArrayLike,
    *,
    pitch: ArrayLike | str,
    table: ArrayLike | None = None,
    fill_factor: ArrayLike = 1.0,
    gap: ArrayLike = 1.0,
    crosstalk: ArrayLike | None = None,
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
    levels = check_levels(where, levels)
    pitch, y, x = (_check.length(where, k, v) for k, v in (("pitch", pitch), ("y", y), ("x", x)))
    check_device(where, pitch, fill_factor, gap, y, x)
    dtype = field.real_dtype
    table = None if table is None else check_table(where, table)
    if crosstalk is not None:
        _check.nonnegative(where, "crosstalk", crosstalk, unit="pixels")
        crosstalk = numerics.number(crosstalk, dtype)
    share, y, x = (numerics.number(a, dtype) for a in (fill_factor, y, x))
    pitch, gap = grid.spacing_pair(pitch, dtype), jnp.asarray(gap)
    sampling.warn_pixels(where, field, pitch)
    return _modulated(field, levels, pitch, table, share, gap, crosstalk, y, x)


@numerics.program()
def _modulated(
    field: AnyField,
    levels: Array,
    pitch: Array,
    table: Array | None,
    share: Array,
    gap: Array,
    crosstalk: Array | None,
    y: Array,
    x: Array,
) -> AnyField:
    where, dtype = "slm", field.real_dtype
    phase = levels.astype(dtype)
    if table is not None:
        table = table.astype(dtype)
        _check.broadcast(where, levels=phase.shape[:-2], table=table.shape[:-1])
        phase = jnp.vectorize(_look_up, signature="(y,x),(k)->(y,x)")(phase, table)
    if crosstalk is not None:
        _check.broadcast(where, levels=phase.shape[:-2], crosstalk=crosstalk.shape)
        rows, columns = (_blur(count, crosstalk) for count in phase.shape[-2:])
        phase = _product(_product(rows, phase), jnp.swapaxes(columns, -1, -2))
    gap = gap.astype(field.dtype if jnp.iscomplexobj(gap) else dtype)
    batch = _check.broadcast(
        where,
        field=field.batch_shape,
        levels=phase.shape[:-2],
        pitch=pitch.shape[:-1],
        fill_factor=share.shape,
        gap=gap.shape,
        y=y.shape,
        x=x.shape,
    )
    device = {"pitch": pitch, "width": pitch * jnp.sqrt(share)[..., None], "y": y, "x": x}
    return modulate(broadcast(field, batch), _transmission(field, phase, device, gap))


def check_levels(where: str, levels: ArrayLike) -> Array:
    """Levels as real numbers on the pixels."""
    _check.at_least(where, "levels", levels, 2, "(..., rows, columns)")
    _check.not_empty(where, "levels", jnp.shape(levels))
    _check.finite_array(where, "levels", levels)
    return _check.real_array(where, "levels", levels)


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


def check_device(
    where: str, pitch: ArrayLike, fill_factor: ArrayLike, gap: ArrayLike, y: ArrayLike, x: ArrayLike
) -> None:
    """The numbers of the device that are not pictures."""
    _check.positive(where, "pitch", pitch, unit="µm")
    _check.positive(where, "fill_factor", fill_factor)
    _check.between(where, "fill_factor", fill_factor, 0, 1)
    _check.finite_array(where, "gap", gap)
    _check.finite(where, "y", y, unit="µm")
    _check.finite(where, "x", x, unit="µm")
