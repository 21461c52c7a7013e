"""Samples of the posterior, where an error bar is not enough."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxwave import _check
from jaxwave.calibration._rows import ModelResiduals, PriorRows, rows_of
from jaxwave.calibration.priors import Prior
from jaxwave.calibration.profile import Rows
from jaxwave.calibration.uncertainty import (
    named_priors,
    plus_minus,
    uncertainty,
)
from jaxwave.calibration.vector import Vector


@dataclasses.dataclass(frozen=True)
class Posterior:
    r"""Samples of all learned numbers, with signs of whether they can be trusted.

    .. math:: p \sim P(p \mid d) \propto e^{-\chi^2(p)/2 s^2}\,P(p)

    Valid as :func:`sample_posterior` is, which makes it. Printing it gives "mean ± standard
    deviation unit" of every number.

    Args:
        names: One name per number, such as ``mask.coefficients[3]``.
        draws: The samples, ``(chains, samples, count)`` [``units``].
        units: Unit of every number, "" for none.
        rhat: Gelman and Rubin's ratio, ``(count,)`` [1]; above 1.01 the chains disagree.
        effective: Number of independent samples that the chains are worth, ``(count,)`` [1].

    Example:
        >>> draws = np.random.default_rng(0).normal(180, 0.5, (2, 500, 1))
        >>> print(Posterior(("f",), draws, ("µm",), np.ones(1), np.full(1, 1000.0)))
        f = 179.98 ± 0.49 µm

    References:
        A. Gelman et al., *Bayesian Data Analysis*, 3rd ed., Sec. 11.4 and 11.5.
    """

    names: tuple[str, ...]
    draws: np.ndarray
    units: tuple[str, ...]
    rhat: np.ndarray
    effective: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """Mean of every number, ``(count,)``."""
        return self.draws.mean(axis=(0, 1))

    @property
    def errors(self) -> np.ndarray:
        """Standard deviation of every number, ``(count,)``."""
        return self.draws.std(axis=(0, 1), ddof=1)

    def __getitem__(self, name: str) -> np.ndarray:
        """All samples of one number, ``(chains * samples,)``."""
        _check.choice("Posterior", "name", name, self.names)
        return self.draws[..., self.names.index(name)].ravel()

    def __str__(self) -> str:
        width = max(map(len, self.names))
        rows = zip(self.names, self.values, self.errors, self.units, strict=True)
        return "\n".join(f"{n:{width}} = {plus_minus(v, e)} {u}".rstrip() for n, v, e, u in rows)


def sample_posterior(
    key: Array,
    model: object,
    residuals: Callable[..., Any],
    data: object,
    *,
    learn: str | list[str] | None = None,
    priors: Mapping[str, Prior] | None = None,
    scale: float | None = None,
    samples: int = 1000,
    warmup: int = 300,
    chains: int = 2,
) -> Posterior:
    r"""Samples the learned parameters by Hamiltonian Monte Carlo (NUTS, from blackjax).

    .. math:: \log P(p \mid d) = -\frac{\chi^2(p)}{2 s^2} + \log P(p) + \text{const}

    in coordinates in which the posterior would be a round Gaussian if the residuals were linear;
    the chains start from that Gaussian. Valid for one connected region of likely parameters. The
    same key gives the same samples. Needs the extra ``jaxwave[sampling]``.

    Args:
        key: Random key, shape ``()`` [none].
        model: The fitted model, an nnx module or a pytree of arrays.
        residuals: ``residuals(model, data)``, (model - data)/noise, arrays of any shape; or a
            :class:`~jaxwave.calibration.calibrate.least_squares` of them.
        data: What ``residuals`` needs, a pytree of arrays of any shape [its units].
        learn: Patterns of the parameters' names; by default what ``calibrate`` learns.
        priors: What was known before by pattern; they return any shape [1].
        scale: The factor s by which the noise is widened; by default from the residuals.
        samples: Samples of each chain that are kept.
        warmup: Samples of each chain that adapt the step and are thrown away.
        chains: Number of chains.

    Returns:
        The samples. A warning tells when the chains disagree.

    Raises:
        ModuleNotFoundError: If blackjax is not installed.
        ValueError: If the data and the priors leave a parameter open; the message names it.

    Example:
        >>> x = jnp.linspace(-1, 1, 101)
        >>> line = lambda model, d: (model["slope"] * x - d) / 0.1
        >>> model = {"slope": jnp.float32(2.0)}
        >>> posterior = sample_posterior(jax.random.key(0), model, line, 2 * x)  # doctest: +SKIP
        >>> print(posterior)  # doctest: +SKIP
        slope = 2.000 ± 0.017

    References:
        M. D. Hoffman and A. Gelman, "The No-U-Turn sampler", J. Mach. Learn. Res. 15, 1593 (2014).
    """
    _check.key("sample_posterior", key)
    where = "sample_posterior"
    try:
        import blackjax
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"{where}: needs blackjax. Install it with: pip install 'jaxwave[sampling]'"
        ) from None
    for name, value, low in (
        ("samples", samples, 4),
        ("warmup", warmup, 20),
        ("chains", chains, 2),
    ):
        _check.integer(where, name, value, low)
    with _check.named("uncertainty", where):
        known = uncertainty(model, residuals, data, learn=learn, priors=priors, scale=scale)
    if not np.all(np.isfinite(known.errors)):
        open_ = [n for n, e in zip(known.names, known.errors, strict=True) if not np.isfinite(e)]
        raise ValueError(
            f"{where}: the data and the priors leave {', '.join(open_)} open. "
            "Give a prior, or do not learn all of them."
        )
    with _check.named("calibrate", where):
        vector = Vector(model, learn=learn)
    rows = Rows(
        ModelResiduals(rows_of(where, residuals), vector.layout),
        PriorRows(vector.layout, tuple(named_priors(vector, priors or {}).items())),
    )
    kind = vector.flat.dtype
    root = jnp.asarray(np.linalg.cholesky(known.covariance), kind)
    numbers = (vector.scales, vector.fixed, data)
    counts = (samples, warmup, chains)
    width = jnp.asarray(known.scale, kind)
    draws = _sample(rows, counts, key, vector.flat, root, width, numbers)
    rhat = np.asarray(blackjax.diagnostics.potential_scale_reduction(draws))
    effective = np.asarray(blackjax.diagnostics.effective_sample_size(draws))
    if np.max(rhat) > 1.05:
        worst = known.names[int(np.argmax(rhat))]
        _check.warn(
            where,
            f"the chains disagree about {worst!r} (R-hat {np.max(rhat):.3f}, should be below 1.01)."
            " Take more samples and warmup, or give a prior.",
        )
    return Posterior(known.names, np.asarray(draws, np.float64), known.units, rhat, effective)


@partial(jax.jit, static_argnums=(0, 1))
def _sample(
    rows: Rows,
    counts: tuple[int, int, int],
    key: Array,
    best: Array,
    root: Array,
    width: Array,
    numbers: tuple,
) -> Array:
    import blackjax

    samples, warmup, chains = counts
    at_best = rows(best, numbers)

    def logdensity(q: Array) -> Array:
        r = rows(best + jnp.matmul(root, q, precision="highest"), numbers)
        # A difference of squares, so that one survives among a million.
        return -0.5 * jnp.vdot(r - at_best, r + at_best, precision="highest") / width**2

    def chain(key: Array) -> Array:
        first, second, third = jax.random.split(key, 3)
        start = jax.random.normal(first, best.shape, best.dtype)
        adapt = blackjax.window_adaptation(blackjax.nuts, logdensity)
        (state, options), _ = adapt.run(second, start, num_steps=warmup)
        kernel = blackjax.nuts(logdensity, **options)

        def step(state: object, key: Array) -> tuple[Any, Array]:
            state, _ = kernel.step(key, state)
            return state, state.position

        return jax.lax.scan(step, state, jax.random.split(third, samples))[1]

    draws = jax.lax.map(chain, jax.random.split(key, chains))
    return best + jnp.einsum("ij,csj->csi", root, draws, precision="highest")
