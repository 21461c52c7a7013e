"""Bounds and forms of what is learned: a free vector in, an allowed parameter out."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxwave import _check, grid
from jaxwave._noun import spelled
from jaxwave.calibration._key import cached

_TAU = 2 * np.pi


@spelled
class Constraint(NamedTuple):
    r"""Describes the values that a parameter may have, as a map from free numbers.

    .. math:: p = \mathrm{forward}(u),\qquad u_0 = \mathrm{inverse}(p_0)

    Calibration moves u, the model sees p. Valid where ``forward`` is differentiable.

    Args:
        forward: From the free numbers ``(...)`` to the parameter [the parameter's unit].
        inverse: From a parameter ``(...)`` to free numbers that give it, or the nearest allowed
            one [none].

    Example:
        >>> logarithm = Constraint(jnp.exp, jnp.log)
        >>> float(logarithm.forward(logarithm.inverse(2.0)))
        2.0

    References:
        R. H. Byrd et al., SIAM J. Sci. Comput. 16, 1190 (1995), on bounds and their removal.
    """

    forward: Callable[[Array], Array]
    inverse: Callable[[Array], Array]


@lru_cache
def positive() -> Constraint:
    r"""Keeps a parameter above zero.

    .. math:: p = e^{u}

    Steps and scales are relative: a scale of 0.01 means one percent. Valid for parameters that
    start above zero.

    Returns:
        The constraint.

    Raises:
        ValueError: When calibration starts at zero or below.

    Example:
        >>> round(float(positive().forward(positive().inverse(jnp.float32(180.0)))), 3)
        180.0

    References:
        A. Gelman et al., *Bayesian Data Analysis*, 3rd ed., Sec. 1.8 (transformations).
    """
    return Constraint(jnp.exp, lambda p: jnp.log(_real("positive", p)))


@cached
def interval(low: float, high: float) -> Constraint:
    r"""Keeps a parameter between two bounds.

    .. math:: p = a + \frac{b - a}{1 + e^{-u}}

    Valid for parameters that start between the bounds; the free number u has no unit, one step
    of u = 1 is about a quarter of the interval.

    Args:
        low: Lower bound a, one number [the parameter's unit].
        high: Upper bound b, one number [the parameter's unit].

    Returns:
        The constraint.

    Raises:
        ValueError: If the bounds are not in order.

    Example:
        >>> c = interval(0.8, 0.9)
        >>> round(float(c.forward(9.0)), 4), round(float(c.forward(c.inverse(0.85))), 4)
        (0.9, 0.85)

    References:
        A. Gelman et al., *Bayesian Data Analysis*, 3rd ed., Sec. 1.8 (transformations).
    """
    _check.finite("interval", "low", low)
    _check.finite("interval", "high", high)
    if not low < high:
        raise ValueError(f"interval: `low` must be below `high`, got {low} and {high}.")

    def forward(u: Array) -> Array:
        return low + (high - low) * jax.nn.sigmoid(u)

    def inverse(p: Array) -> Array:
        share = (_real("interval", p) - low) / (high - low)
        return jnp.log(share) - jnp.log1p(-share)

    return Constraint(forward, inverse)


@cached
def periodic(*, period: float = _TAU) -> Constraint:
    r"""Wraps a parameter, such as a phase, into one period about zero.

    .. math:: p = u - P\,\mathrm{round}(u/P)

    The gradient does not see the wrap. Valid for parameters whose period is P; smoothness priors
    see the wrapped values.

    Args:
        period: The period P, one number [the parameter's unit].

    Returns:
        The constraint.

    Raises:
        ValueError: If the period is not positive.

    Example:
        >>> round(float(periodic().forward(jnp.float32(7.0))), 4)
        0.7168

    References:
        K. V. Mardia and P. E. Jupp, *Directional Statistics*, Sec. 2.1.
    """
    _check.positive("periodic", "period", period)

    def forward(u: Array) -> Array:
        return u - period * jnp.round(u / period)

    return Constraint(forward, lambda p: _real("periodic", p))


@cached
def band_limited(cutoff: float) -> Constraint:
    r"""Removes the detail of a map beyond a spatial frequency.

    .. math:: p = \mathcal F^{-1}\,[\,|\nu| \le \nu_c\,]\,\mathcal F u

    Valid for maps on the last two axes; the map is taken as periodic.

    Args:
        cutoff: Highest frequency, one number from 0 to 0.71 [cycles per sample].

    Returns:
        The constraint.

    Raises:
        ValueError: If the cutoff is out of range.

    Example:
        >>> x = jnp.cos(2 * jnp.pi * 4 / 16 * jnp.arange(16)) * jnp.ones((16, 1))
        >>> bool(jnp.abs(band_limited(0.2).forward(x)).max() < 1e-6)
        True

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 2.4.
    """
    _check.between("band_limited", "cutoff", cutoff, 0, 0.71)

    def forward(u: Array) -> Array:
        fy, fx = np.fft.fftfreq(u.shape[-2])[:, None], np.fft.fftfreq(u.shape[-1])
        keep = (np.hypot(fy, fx) <= cutoff + 1e-9).astype(np.float32)
        p = jnp.fft.ifft2(jnp.fft.fft2(u) * keep)
        return p if jnp.iscomplexobj(u) else p.real

    return Constraint(forward, forward)


@cached
def rotationally_symmetric(samples: int) -> Constraint:
    r"""Makes a map a function of the distance from the axis: rings, as of a diffractive lens.

    .. math:: p(r) = (1 - t)\,u_k + t\,u_{k+1},\qquad r = k + t

    The free numbers are the radial profile, one per sample of the radius, so that only they have
    optimizer memory. Valid for square maps on the last two axes with the axis at the sample
    N // 2; a map that is not symmetric starts from its nearest profile in the least-squares sense.

    Args:
        samples: Samples N across the map.

    Returns:
        The constraint.

    Raises:
        ValueError: If the parameter does not have ``(..., N, N)`` samples.

    Example:
        >>> c = rotationally_symmetric(8)
        >>> profile = c.inverse(jnp.ones((8, 8)))
        >>> profile.shape, bool(jnp.allclose(c.forward(profile), 1, atol=1e-6))
        ((7,), True)

    References:
        W. H. Press et al., *Numerical Recipes*, 3rd ed., Sec. 3.2 (linear interpolation).
    """
    where = "rotationally_symmetric"
    _check.integer(where, "samples", samples, 2)
    place = grid.indices(samples).astype(float)
    whole, rest = np.divmod(np.hypot(place[:, None], place), 1)
    ring, t = whole.astype(int), rest.astype(np.float32)
    count = int(ring.max()) + 2

    def forward(u: Array) -> Array:
        return u[..., ring] * (1 - t) + u[..., ring + 1] * t

    def inverse(p: Array) -> Array:
        if p.shape[-2:] != (samples, samples):
            raise ValueError(
                f"{where}: the map must be (..., {samples}, {samples}), got {p.shape}."
            )
        sums = jnp.zeros((*p.shape[:-2], count), p.dtype)
        sums = sums.at[..., ring].add(p * (1 - t)).at[..., ring + 1].add(p * t)
        solver = _ring_solver(ring, rest).astype(t.dtype)
        return jnp.einsum("kr,...r->...k", solver, sums, precision="highest")

    return Constraint(forward, inverse)


def _ring_solver(ring: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Inverse of the normal equations of the interpolation; they are tridiagonal."""
    count = int(ring.max()) + 2
    diagonal = np.bincount(ring.ravel(), ((1 - t) ** 2).ravel(), count)
    diagonal += np.bincount(ring.ravel() + 1, (t**2).ravel(), count)
    beside = np.bincount(ring.ravel(), (t * (1 - t)).ravel(), count)[:-1]
    return np.linalg.pinv(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))


@cached
def quantized(levels: int, *, low: float = 0.0, high: float = _TAU) -> Constraint:
    r"""Rounds a parameter to equidistant levels, as a spatial light modulator or an etch does.

    .. math:: p = a + \frac{b - a}{L}\,\mathrm{round}\!\left(L\,\frac{u - a}{b - a}\right)

    The gradient passes straight through the rounding, which is not exact. The L levels begin at
    ``low``; ``high`` is the next one, as for a phase and its period. Values outside are rounded
    too and not clipped: chain it with :func:`periodic` or :func:`interval`.

    Args:
        levels: Number of levels L from ``low`` up to, but without, ``high``.
        low: First level a, one number [the parameter's unit].
        high: End of the range b, one number [the parameter's unit].

    Returns:
        The constraint.

    Raises:
        ValueError: If there are fewer than two levels, or the bounds are not in order.

    Example:
        >>> [round(v, 3) for v in quantized(4).forward(jnp.array([0.1, 1.7])).tolist()]
        [0.0, 1.571]

    References:
        Y. Bengio, N. Leonard, A. Courville, "Estimating or propagating gradients through
        stochastic neurons", arXiv:1308.3432 (2013).
    """
    _check.integer("quantized", "levels", levels, 2)
    if not low < high:
        raise ValueError(f"quantized: `low` must be below `high`, got {low} and {high}.")
    step = (high - low) / levels

    def forward(u: Array) -> Array:
        return u + jax.lax.stop_gradient(low + step * jnp.round((u - low) / step) - u)

    return Constraint(forward, lambda p: _real("quantized", p))


@lru_cache
def unit_sum() -> Constraint:
    r"""Divides a parameter by its sum, as for a kernel or weights.

    .. math:: p = u / \textstyle\sum u

    Valid while the sum is not zero; ``chain(positive(), unit_sum())`` keeps every part positive.

    Returns:
        The constraint.

    Raises:
        ValueError: When the sum is zero at the start (the loss is not finite there).

    Example:
        >>> unit_sum().forward(jnp.array([1.0, 3.0])).tolist()
        [0.25, 0.75]

    References:
        J. S. Bridle, "Probabilistic interpretation of feedforward classification network outputs",
        in *Neurocomputing*, Springer (1990).
    """
    return Constraint(lambda u: u / jnp.sum(u), lambda p: p)


@lru_cache
def chain(*constraints: Constraint) -> Constraint:
    r"""Applies several constraints, the first one first.

    .. math:: p = f_k(\dots f_2(f_1(u)))

    Valid if the later ones keep what the earlier ones promise.

    Args:
        constraints: The constraints.

    Returns:
        One constraint.

    Raises:
        TypeError: If a part is not a constraint.

    Example:
        >>> weights = chain(positive(), unit_sum())
        >>> weights.forward(jnp.zeros(4)).tolist()
        [0.25, 0.25, 0.25, 0.25]
    """
    for part in constraints:
        if not isinstance(part, Constraint):
            raise TypeError(f"chain: every part must be a Constraint, got {type(part).__name__}.")

    def forward(u: Array) -> Array:
        for part in constraints:
            u = part.forward(u)
        return u

    def inverse(p: Array) -> Array:
        for part in reversed(constraints):
            p = part.inverse(p)
        return p

    return Constraint(forward, inverse)


def _real(where: str, p: Array) -> Array:
    """An order or a wrap is of real numbers."""
    fix = "Learn real and imaginary part, or modulus and phase, as two parameters."
    return _check.real_array(where, "the parameter", p, fix=fix)
