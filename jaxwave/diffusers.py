"""Diffusers: ground glass, and phases that scatter into a given cone."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, grid, sampling
from jaxwave.field import AnyField, Field, modulate, with_parameters
from jaxwave.numerics import cis


def random_diffuser(
    key: Array,
    field: AnyField,
    roughness: ArrayLike | str,
    *,
    correlation: ArrayLike | str,
) -> AnyField:
    r"""Scatters a field at ground glass: a Gaussian random optical path.

    .. math:: u' = u\,e^{2\pi i\,W/\lambda}, \qquad \langle W\rangle = 0, \quad
        \langle W(\mathbf r)\,W(\mathbf r + \mathbf s)\rangle = \sigma^2 e^{-s^2/l^2}

    The light that is not scattered is :math:`e^{-(2\pi\sigma/\lambda)^2}`; a strong diffuser
    scatters into a Gaussian cone of the standard deviation
    :math:`\sqrt 2\,\sigma/l` in sin θ along each axis. Valid for a thin diffuser. All wavelengths
    and batch entries see the same glass. The path repeats beyond the window's edges.

    Args:
        key: Random key of :func:`jax.random.key`, shape ``()`` [none].
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        roughness: Standard deviation σ of the path, ``(...)`` [µm].
        correlation: Correlation length l, where the correlation is 1/e, ``(...)`` [µm].

    Returns:
        The field behind the diffuser, with the same power.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If a length is out of range or the shapes do not fit.

    Example:
        >>> import jax
        >>> from jaxwave.sources import plane_wave
        >>> wave = plane_wave((64, 64), spacing=1.0, wavelength=0.5)
        >>> rough = random_diffuser(jax.random.key(0), wave, 0.05, correlation=5.0)
        >>> round(float(rough.power), 5)
        1.0

    References:
        J. W. Goodman, *Speckle Phenomena in Optics*, Sec. 4.5.
    """
    _check.key("random_diffuser", key)
    where = "random_diffuser"
    _check.is_field(where, field, Field)
    roughness = _check.length(where, "roughness", roughness)
    correlation = _check.length(where, "correlation", correlation)
    _check.nonnegative(where, "roughness", roughness, unit="µm")
    _check.positive(where, "correlation", correlation, unit="µm")
    names = dict(roughness=roughness, correlation=correlation)
    field, (roughness, correlation) = with_parameters(where, field, **names)
    if _check.is_concrete(field.spacing, correlation):
        ratio = float(np.max(np.asarray(field.spacing) / np.asarray(correlation)[..., None]))
        if ratio > 0.75:
            _check.warn(
                where,
                f"the correlation length is {1 / ratio:.3g} samples, which do not resolve it. Use "
                "a spacing of at most three quarters of it.",
            )
    opd = _rough(field.shape, key, field.spacing, roughness, correlation)
    return modulate(field, cis(opd / field.wavelength[..., None, None]))


@partial(jax.jit, static_argnums=0)
def _rough(
    shape: tuple[int, int], key: Array, spacing: Array, roughness: Array, correlation: Array
) -> Array:
    """White noise through the root of the spectrum, whose mean power is made one."""
    noise = jnp.fft.fft2(jax.random.normal(key, shape, spacing.dtype))
    fy, fx = grid.sample_frequencies(shape, spacing, centered=False)
    square = (fy**2 + fx**2) * correlation[..., None, None] ** 2
    spectrum = jnp.exp(-0.5 * (jnp.pi**2) * square)
    power = jnp.mean(spectrum**2, axis=(-2, -1), keepdims=True)
    path = jnp.fft.ifft2(noise * spectrum).real / jnp.sqrt(power)
    return roughness[..., None, None] * path


def engineered_diffuser(
    key: Array, field: AnyField, angle: ArrayLike, *, n: ArrayLike = 1.0, steps: int = 30
) -> AnyField:
    r"""Scatters a field evenly into a cone: a random phase made for it.

    .. math:: u' = u\,e^{i\varphi}, \qquad |\mathcal F e^{i\varphi}|^2 \approx
        \begin{cases} \text{const} & \lambda |\mathbf f|/n < \sin\alpha \\ 0 & \text{else}
        \end{cases}

    The phase is found by Gerchberg and Saxton's iteration between the phase-only plane and the
    disk, from the light's first wavelength. Valid for a thin diffuser; some percent of the light
    remain outside the cone. The phase repeats beyond the window's edges.

    Args:
        key: Random key of :func:`jax.random.key`, shape ``()`` [none].
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        angle: Half angle of the cone in the medium, scalar [rad].
        n: Refractive index of the medium, scalar.
        steps: Number of iterations.

    Returns:
        The field behind the diffuser, with the same power.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If the angle is not positive.

    Example:
        >>> import jax
        >>> from jaxwave.sources import plane_wave
        >>> wave = plane_wave((64, 64), spacing=1.0, wavelength=0.5)
        >>> even = engineered_diffuser(jax.random.key(0), wave, 0.1)
        >>> round(float(even.power), 5)
        1.0

    References:
        R. W. Gerchberg and W. O. Saxton, Optik 35, 237 (1972).
    """
    _check.key("engineered_diffuser", key)
    where = "engineered_diffuser"
    _check.is_field(where, field, Field)
    _check.positive(where, "angle", angle, unit="rad")
    _check.positive(where, "n", n)
    _check.integer(where, "steps", steps, 1)
    pair = field.spacing.reshape(-1, 2)[0]
    edge = jnp.sin(jnp.asarray(angle, pair.dtype)) * n / field.wavelength.reshape(-1)[0]
    sampling.warn_frequency(where, "the cone", field.shape, pair, (edge, edge))
    return modulate(field, _even(field.shape, steps, key, pair, edge))


@partial(jax.jit, static_argnums=(0, 1))
def _even(shape: tuple[int, int], steps: int, key: Array, spacing: Array, edge: Array) -> Array:
    fy, fx = grid.sample_frequencies(shape, spacing, centered=False)
    disk = jnp.where(fy**2 + fx**2 <= edge**2, 1.0, 0.0).astype(spacing.dtype)
    u = cis(jax.random.uniform(key, shape, spacing.dtype))

    def unit(u: Array) -> Array:
        return u / jnp.maximum(jnp.abs(u), 1e-20)

    def step(_: Array, u: Array) -> Array:
        return unit(jnp.fft.ifft2(unit(jnp.fft.fft2(u)) * disk))

    return lax.stop_gradient(lax.fori_loop(0, steps, step, u))
