"""Light that interferes with itself in part: spectra, modes, speckle, and how to add it up.

Partially coherent light is a batch of fields that do not interfere with each other: the modes of
a source, its points, the wavelengths of its spectrum. The power of each is in its amplitude, so
that an image is the sum of the images of all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxwave import _check, fourier, grid, numerics
from jaxwave.beams import mode_fields, waists
from jaxwave.field import Field
from jaxwave.sources import checked, common

# -- adding up -----------------------------------------------------------------------------


def incoherent_sum(function: Callable[[Any], Any], modes: object, *, batch: int = 8) -> Any:
    r"""Sums what a function makes of every mode, a few modes at a time.

    .. math:: I = \sum_k I(\text{mode}_k)

    Exact. The memory is that of ``batch`` modes, also for the gradient, which computes each batch
    again.

    Args:
        function: From one mode to an array (or a tree of arrays), such as
            ``lambda field: jw.ff_lens(field, f, spacing=0.1).intensity``.
        modes: A field or any tree of arrays, whose first axis counts the modes.
        batch: Number of modes that are computed at once.

    Returns:
        The sum.

    Raises:
        TypeError: If ``batch`` is no integer.
        ValueError: If there are no modes or ``modes`` have first axes of several lengths.

    Example:
        >>> float(incoherent_sum(lambda a: a**2, jnp.arange(5.0), batch=2))
        30.0

    References:
        J. W. Goodman, *Statistical Optics*, 2nd ed., Sec. 5.6.
    """
    where = "incoherent_sum"
    _check.integer(where, "batch", batch, 1)
    lengths = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(modes)}
    if len(lengths) != 1 or lengths & {(), (0,)}:
        raise ValueError(
            f"{where}: `modes` must have one first axis that counts them, got first axes of "
            f"{sorted(lengths)}. Make a batch with stack([...])."
        )
    count = lengths.pop()[0]
    whole = count // batch

    @jax.checkpoint
    def images(part: object) -> Any:
        return jax.tree.map(lambda a: jnp.sum(a, axis=0), jax.vmap(function)(part))

    def step(total: object, part: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, images(part)), None

    rest = jax.tree.map(lambda a: jnp.asarray(a)[whole * batch :], modes)
    if count % batch:
        total = images(rest)
    else:
        one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), rest)
        total = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(function, one))
    if whole:
        parts = jax.tree.map(
            lambda a: jnp.reshape(a[: whole * batch], (whole, batch, *a.shape[1:])), modes
        )
        total, _ = jax.lax.scan(step, total, parts)
    return total


def total_intensity(field: Field, *, axis: int = 0) -> Array:
    r"""Intensity of light that does not interfere: modes, source points, wavelengths.

    .. math:: I = \sum_k |u_k|^2

    Exact, on one common grid: a lens gives every wavelength a spacing of its own, and pixels of
    different size cannot be added. ``ff_lens(..., spacing=...)`` makes them equal.

    Args:
        field: The field with a batch axis for the modes, ``(modes, ..., y, x)``.
        axis: The batch axis to sum over.

    Returns:
        The intensity, ``(..., y, x)`` [power/µm²].

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If the field has no such axis or its spacing changes along it.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> waves = plane_wave((4, 4), spacing=0.5, wavelength=[0.5, 0.6], power=[0.25, 0.75])
        >>> total_intensity(waves)[0, 0].item()
        0.25

    References:
        J. W. Goodman, *Statistical Optics*, 2nd ed., Sec. 5.2.
    """
    where = "total_intensity"
    _check.is_field(where, field, Field)
    rank = len(field.batch_shape)
    if not -rank <= axis < rank:
        raise ValueError(
            f"{where}: `axis` must be one of the field's {rank} batch axes, got {axis}."
        )
    axis %= rank
    if _check.is_concrete(field.spacing):
        spacing = np.asarray(field.spacing)
        if not np.allclose(spacing, np.take(spacing, [0], axis), rtol=1e-5, atol=0):
            raise ValueError(
                f"{where}: the spacing must be one along the axis {axis}, got "
                f"{spacing.min():.4g} ... {spacing.max():.4g} µm. Give the lens a common grid, "
                "ff_lens(..., spacing=...), or resample each field."
            )
    return jnp.sum(field.intensity, axis=axis)


# -- spectra -------------------------------------------------------------------------------


def spectrum(wavelength: ArrayLike | str, density: ArrayLike, *, count: int) -> tuple[Array, Array]:
    r"""Wavelengths and weights that stand for a measured spectrum.

    .. math:: w_k = \frac{1}{W}\int_{\text{bin } k} S(\lambda)\,d\lambda, \qquad
        \lambda_k = \frac{1}{W w_k}\int_{\text{bin } k} \lambda\,S(\lambda)\,d\lambda

    Exact for a density that is linear between its samples, in bins of equal width: power and mean
    wavelength are kept. Valid while what depends on the wavelength is linear within a bin. A source
    takes both, ``plane_wave(..., wavelength=w, power=weights)``.

    Args:
        wavelength: Increasing wavelengths of the samples, ``(samples,)`` [µm].
        density: Power density at the samples, ``(samples,)`` [any unit].
        count: Number of wavelengths wanted.

    Returns:
        Wavelengths ``(count,)`` [µm] and weights ``(count,)`` of sum one.

    Raises:
        ValueError: If the wavelengths do not increase, a density is negative or shapes differ.

    Example:
        >>> w, weights = spectrum([0.50, 0.52, 0.54], [0.0, 1.0, 0.0], count=2)
        >>> [round(float(v), 4) for v in (*w, *weights)]
        [0.5133, 0.5267, 0.5, 0.5]

    References:
        J. W. Goodman, *Statistical Optics*, 2nd ed., Sec. 5.1.
    """
    where = "spectrum"
    wavelength = _check.wavelength(where, wavelength)
    _check.nonnegative(where, "density", density)
    _check.integer(where, "count", count, 1)
    w, s = (numerics.number(v, jnp.result_type(float)) for v in (wavelength, density))
    if w.shape != s.shape or w.ndim != 1 or w.size < 2:
        raise ValueError(
            f"{where}: `wavelength` and `density` must be two arrays of equal length (samples,), "
            f"got the shapes {w.shape} and {s.shape}."
        )
    if _check.is_concrete(w) and np.any(np.diff(np.asarray(w)) <= 0):
        raise ValueError(f"{where}: `wavelength` must increase from sample to sample.")
    if _check.is_concrete(s):
        _check.nonzero(
            where, "sum(density)", np.sum(np.asarray(s)), fix="There is no light in this spectrum."
        )
    return _spectrum(w, s, count)


@numerics.program("count")
def _spectrum(w: Array, s: Array, count: int) -> tuple[Array, Array]:
    edges = jnp.linspace(w[0], w[-1], count + 1)
    nodes = jnp.sort(jnp.concatenate([w, edges]))
    a, b = nodes[:-1], nodes[1:]
    sa, sb = jnp.interp(a, w, s), jnp.interp(b, w, s)
    middle, mean = w.mean(), (sa + sb) / 2
    # Simpson's rule is exact for the parabola (lambda - middle) S within a segment.
    moment = ((a - middle) * sa + 4 * ((a + b) / 2 - middle) * mean + (b - middle) * sb) / 6

    def bins(rate: Array) -> Array:
        total = jnp.concatenate([jnp.zeros(1), jnp.cumsum(rate * (b - a))])
        return jnp.diff(jnp.interp(edges, nodes, total))

    power, first = bins(mean), bins(moment)
    center = middle + numerics.share(first, power)
    center = jnp.where(power > 0, center, (edges[1:] + edges[:-1]) / 2)
    return center, numerics.share(power, jnp.sum(power))


# -- modes and realizations ----------------------------------------------------------------


def gaussian_schell_beam(
    shape: tuple[int, int],
    *,
    coherence: ArrayLike | str,
    order: int,
    spacing: ArrayLike | str,
    wavelength: ArrayLike | str,
    waist: ArrayLike | str,
    z: ArrayLike | str = 0.0,
    n: ArrayLike = 1.0,
    power: ArrayLike = 1.0,
    dtype: DTypeLike | None = None,
) -> Field:
    r"""Makes a Gaussian beam that is coherent over a length only, as modes.

    .. math:: \langle u^*(x_1)\,u(x_2) \rangle \propto
        \exp\!\left[-\frac{x_1^2 + x_2^2}{w^2} - \frac{(x_1 - x_2)^2}{2\sigma^2}\right]

    at the waist, in x as in y. Paraxial. The modes are Hermite-Gauss beams of the waist
    :math:`c^{-1/2}` with powers that fall as :math:`\kappa^m`,
    :math:`\kappa = b/(a + b + c)`, :math:`a = 1/w^2`, :math:`b = 1/(2\sigma^2)`,
    :math:`c = \sqrt{a^2 + 2ab}`. Those of the orders below ``order`` are made; a warning tells how
    much of the power is in the others. A multimode laser or fiber is a beam of few modes.

    Args:
        shape: Number of samples (ny, nx).
        coherence: Length over which the light is coherent, ``(...)`` [µm].
        order: Modes with my + mx below it are made, order (order + 1) / 2 of them.
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        wavelength: Vacuum wavelength, ``(...)`` [µm].
        waist: Radius where the intensity is 1/e², one number or ``(..., 2)`` as (wy, wx) [µm].
        z: Distance behind the waist, ``(...)`` [µm].
        n: Refractive index of the medium, ``(...)``.
        power: Power of all modes, ``(...)`` [power].
        dtype: complex64 or complex128; by default JAX's precision.

    Returns:
        The modes, ``(modes, ..., y, x)``.

    Raises:
        TypeError: If ``order`` is no integer.
        ValueError: If a number is out of range or the shapes do not fit.

    Example:
        >>> modes = gaussian_schell_beam(
        ...     (64, 64), coherence=8.0, order=9, spacing=0.5, wavelength=0.5, waist=5.0)
        >>> modes.batch_shape, round(float(modes.power.sum()), 2)
        ((45,), 1.0)

    References:
        A. Starikov and E. Wolf, J. Opt. Soc. Am. 72, 923 (1982).
    """
    where = "gaussian_schell_beam"
    coherence = _check.length(where, "coherence", coherence)
    _check.positive(where, "coherence", coherence, unit="µm")
    _check.positive(where, "n", n)
    _check.nonnegative(where, "power", power)
    _check.integer(where, "order", order, 1)
    waist_y, waist_x = waists(where, waist)
    if _check.is_concrete(waist_y, waist_x, coherence):
        _warn_truncated(where, order, *(np.asarray(v) for v in (waist_y, waist_x, coherence)))
    numbers = dict(waist_y=waist_y, waist_x=waist_x, coherence=coherence, z=z, n=n, power=power)
    shape, *parameters = checked(where, shape, spacing, wavelength, dtype, **numbers)
    return _gaussian_schell(shape, order, *parameters)


@numerics.program("shape", "order")
def _gaussian_schell(shape: tuple[int, int], order: int, *parameters: Array) -> Field:
    pair, wavelength, waist_y, waist_x, coherence, z, n, power = common(*parameters)
    (mode_y, share_y), (mode_x, share_x) = (_schell(w, coherence) for w in (waist_y, waist_x))
    orders = [(my, total - my) for total in range(order) for my in range(total + 1)]
    my, mx = np.array(orders).T.reshape(2, -1, *(1,) * power.ndim)
    zero = jnp.zeros_like(power)
    modes = mode_fields(
        shape, orders, pair, wavelength, mode_y, mode_x, z, n, zero, zero, zero, zero, power
    )
    weight = _weight(share_y, my) * _weight(share_x, mx)
    return modes * numerics.safe_sqrt(weight)[..., None, None]


def _schell(waist: Array, coherence: Any) -> tuple[Any, Any]:
    """Waist of the modes along one axis, and the ratio of the powers of one and the next."""
    a, b = 1 / waist**2, 0.5 / coherence**2
    c = (a**2 + 2 * a * b) ** 0.5
    return c**-0.5, b / (a + b + c)


def _weight(share: ArrayLike, order: int) -> Any:
    return (1 - share) * share**order


def _warn_truncated(where: str, order: int, waist_y: Any, waist_x: Any, coherence: Any) -> None:
    y, x = (_schell(w, coherence)[1] for w in (waist_y, waist_x))
    kept = sum(_weight(y, my) * _weight(x, m - my) for m in range(order) for my in range(m + 1))
    if (lost := 1 - float(np.min(kept))) > 0.01:
        _check.warn(
            where,
            f"{lost:.2g} of the power is in modes of the order {order} and above, which are left "
            "out. Use a higher order.",
        )


def speckle(
    key: Array,
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    wavelength: ArrayLike | str,
    na: ArrayLike,
    power: ArrayLike = 1.0,
    dtype: DTypeLike | None = None,
) -> Field:
    r"""Makes fully developed speckle: laser light behind a diffuser, seen through an aperture.

    .. math:: u = \mathcal F^{-1}\bigl[\xi(f)\,\mathbf 1_{|f| \le \mathrm{NA}/\lambda}\bigr],
        \qquad \xi \text{ complex normal}

    Exact as statistics: the intensity is exponentially distributed (contrast one), and correlated
    as :math:`|2 J_1(v)/v|^2`, :math:`v = 2\pi\,\mathrm{NA}\,r/\lambda`. Periodic in the window. A
    new key is a new realization; two of them are the modes of unpolarized speckle.

    Args:
        key: Random key of :func:`jax.random.key`, shape ``()`` [none].
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        wavelength: Vacuum wavelength, ``(...)`` [µm].
        na: Numerical aperture that the diffuser's light comes through, ``(...)``.
        power: Mean power in the window, ``(...)`` [power].
        dtype: complex64 or complex128; by default JAX's precision.

    Returns:
        The field.

    Raises:
        ValueError: If a number is out of range or the shapes do not fit.

    Example:
        >>> light = speckle(jax.random.key(0), (256, 256), spacing=0.5, wavelength=0.5, na=0.2)
        >>> round(float(light.intensity.std() / light.intensity.mean()), 1)
        1.0

    References:
        J. W. Goodman, *Speckle Phenomena in Optics*, Sec. 3.2 and 5.2.
    """
    _check.key("speckle", key)
    where = "speckle"
    _check.positive(where, "na", na)
    _check.nonnegative(where, "power", power)
    shape, *parameters = checked(where, shape, spacing, wavelength, dtype, na=na, power=power)
    _check_speckle(where, shape, *parameters[:3])
    return _speckle(key, shape, *parameters)


@numerics.program("shape")
def _speckle(key: Array, shape: tuple[int, int], *parameters: Array) -> Field:
    pair, wavelength, na, power = common(*parameters)
    kind = jnp.result_type(pair.dtype, jnp.complex64)
    noise = jax.random.normal(key, (*na.shape, *shape), kind)  # complex, variance one
    step = 1 / (pair * np.asarray(shape, pair.dtype))
    stop = grid.disk_coverage(shape, step, na / wavelength)
    scale = power / (jnp.sum(stop**2, axis=(-2, -1)) * jnp.prod(pair, axis=-1))
    u = numerics.safe_sqrt(scale)[..., None, None] * fourier.ift2(stop * noise)
    return Field(u, pair, wavelength)


def _check_speckle(where: str, shape: object, pair: Array, wavelength: Array, na: Array) -> None:  # type: ignore[no-untyped-def]
    if not _check.is_concrete(pair, wavelength, na):
        return
    radius = np.asarray(na) / np.asarray(wavelength)
    step = 1 / (np.asarray(pair) * shape)
    limit = float(np.min(0.5 / np.asarray(pair) - np.asarray(radius)[..., None]))
    if limit < 0:
        need = float(np.min(0.5 / np.asarray(radius)))
        _check.warn(where, f"the grid cuts the aperture. Use a spacing of at most {need:.4g} µm.")
    elif np.any(np.asarray(radius)[..., None] < np.asarray(step)):
        need = float(np.max(1 / np.asarray(radius)))
        _check.warn(where, f"the window holds less than one speckle. Make it {need:.4g} µm wide.")
