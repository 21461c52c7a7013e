"""Error bars from the curvature of a least-squares fit, and what the data cannot tell apart."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from jaxwave import _check, _notebook, numerics
from jaxwave.calibration._curvature import (
    birge,
    by_group,
    covariance_of,
    information_of,
    pull_variance,
    scaled,
)
from jaxwave.calibration._memory import refuse
from jaxwave.calibration._rows import ModelResiduals, PriorRows, TreeResiduals, rows_of
from jaxwave.calibration._tree import real_vector
from jaxwave.calibration.priors import Prior
from jaxwave.calibration.vector import Vector, by_name
from jaxwave.elements.labels import unit_of

# Eigenvalues of the information, in units where its diagonal is one, that rounding cannot tell
# from zero; by the bytes of the Jacobian's type.
_MOST_LINES = 24  # of a printed table
_NOTHING = {4: 1e-10, 8: 1e-13}


class Combination(NamedTuple):
    """Parameters that change the data in nearly the same way."""

    names: tuple[str, ...]
    changes: tuple[float, ...]  # of each, relative to the first one's
    inflation: float  # how much worse their common change is known than each of them alone

    def __str__(self) -> str:
        if len(self.names) == 1 and math.isinf(self.inflation):
            return f"{self.names[0]}: the data do not depend on it"
        ratio = " : ".join(f"{change:.3g}" for change in self.changes)
        known = "not at all" if math.isinf(self.inflation) else f"{self.inflation:.3g} times worse"
        return f"{', '.join(self.names)} changed as {ratio} are known {known}"


@dataclasses.dataclass(frozen=True)
class Uncertainty:
    r"""What is known of every learned number: value, standard error, correlations.

    .. math:: C = s^2\,(J^T J + P)^{-1},\qquad \sigma_i = \sqrt{C_{ii}}

    Valid as :func:`uncertainty` is, which makes it. Printing it gives a line per number, "value ±
    error unit", and what the data cannot tell apart. A number that the data leave open has an
    infinite error.

    Args:
        names: One name per number, such as ``mask.coefficients[3]``.
        values: Their values, ``(count,)`` [``units``].
        errors: Their standard errors, ``(count,)`` [``units``].
        covariance: Covariance, ``(count, count)`` [products of ``units``].
        information: Fisher information of the data alone, without priors, ``(count, count)``
            [inverse products of ``units``].
        units: Unit of every number, "" for none.
        scale: The factor s by which the misfit widened the errors.

    Example:
        >>> one = np.ones(1)
        >>> square = one[:, None]
        >>> print(Uncertainty(("f",), 180 * one, one / 4, square / 16, 16 * square, ("µm",), 1.0))
        f = 180.00 ± 0.25 µm

    References:
        W. H. Press et al., *Numerical Recipes*, 3rd ed., Sec. 15.6.
    """

    names: tuple[str, ...]
    values: np.ndarray
    errors: np.ndarray
    covariance: np.ndarray
    information: np.ndarray
    units: tuple[str, ...]
    scale: float

    @cached_property
    def correlation(self) -> np.ndarray:
        """Correlation coefficients ``(count, count)``; NaN where an error is infinite."""
        size = np.where(np.isfinite(self.errors) & (self.errors > 0), self.errors, np.nan)
        return self.covariance / np.outer(size, size)

    def __getitem__(self, name: str) -> tuple[float, float]:
        """Value and standard error of one number."""
        _check.choice("Uncertainty", "name", name, self.names)
        k = self.names.index(name)
        return float(self.values[k]), float(self.errors[k])

    def identifiability(self, *, limit: float = 10.0) -> list[Combination]:
        """Combinations of parameters that the data alone tell badly apart, the worst first.

        Args:
            limit: Only those that are known this many times worse than each parameter alone.

        Returns:
            The combinations with the ratio of the changes that cancel each other.
        """
        unit, size = scaled(self.information)
        values, vectors = np.linalg.eigh(unit)
        found = [Combination((self.names[k],), (1.0,), math.inf) for k in np.flatnonzero(size == 0)]
        for value, vector in zip(values, vectors.T, strict=True):
            inflation = math.inf if value < _NOTHING[4] else value**-0.5
            if inflation < limit:
                break
            heavy = np.argsort(-np.abs(vector))
            heavy = heavy[np.abs(vector[heavy]) > 0.2 * np.abs(vector[heavy[0]])]
            changes = vector[heavy] / size[heavy]
            names = tuple(self.names[k] for k in heavy)
            ratios = tuple(float(change) for change in changes / changes[0])
            found.append(Combination(names, ratios, inflation))
        return found

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        width = max(map(len, self.names))
        lines = [f"{name:{width}} = {text}" for name, text in self._lines()]
        if len(lines) > _MOST_LINES:
            lines[_MOST_LINES - 1 :] = [f"... and {len(lines) - _MOST_LINES + 1} more"]
        return "\n".join(lines + self._badly_told_apart())

    def _repr_html_(self) -> str:
        """What a notebook shows: a row per number, with the one that it is most tied to."""
        ties = np.nan_to_num(self.correlation) - np.eye(len(self.names))
        rows = []
        for (name, text), row in zip(self._lines()[:_MOST_LINES], ties, strict=False):
            k = int(np.argmax(np.abs(row)))
            tie = f"{row[k]:+.2f} with {self.names[k]}" if abs(row[k]) >= 0.005 else ""
            rows.append((name, text, tie))
        if (left := len(self.names) - _MOST_LINES) > 0:
            rows.append((f"... and {left} more", "", ""))
        shown = _notebook.table(("parameter", "value ± error", "largest correlation"), rows)
        return shown + "".join(map(_notebook.words, self._badly_told_apart()))

    def _lines(self) -> list[tuple[str, str]]:
        rows = zip(self.names, self.values, self.errors, self.units, strict=True)
        return [(n, f"{plus_minus(v, e)} {u}".rstrip()) for n, v, e, u in rows]

    def _badly_told_apart(self) -> list[str]:
        return [f"Hardly told apart: {c}" for c in self.identifiability(limit=100.0)]


def plus_minus(value: float, error: float) -> str:
    """Writes a value with the digits that its error leaves: 180.02 ± 0.31."""
    if not (math.isfinite(error) and error > 0):
        return f"{value:.6g} ± {error:.2g}"
    digits = 1 - math.floor(math.log10(error))
    if digits > 7 or digits < -4:
        shown = max(0, math.floor(math.log10(max(abs(value), error))) + digits)
        return f"{value:.{shown}e} ± {error:.1e}"
    return f"{round(value, digits):.{max(digits, 0)}f} ± {round(error, digits):.{max(digits, 0)}f}"


def uncertainty(
    model: object,
    residuals: Callable[..., Any],
    data: object,
    *,
    learn: str | list[str] | None = None,
    priors: Mapping[str, Prior] | None = None,
    units: Mapping[str, str] | None = None,
    scale: float | None = None,
) -> Uncertainty:
    r"""Error bars, covariance and identifiability of the learned parameters of a model.

    .. math:: C = s^2\,(J^T J + P)^{-1},\qquad J_{ki} = \frac{\partial r_k}{\partial p_i},\qquad
        s^2 = \max(1, \chi^2/\nu)

    with the residuals r in units of their noise and the information P of the priors. The scale s
    widens the errors where the model does not reach the noise (Birge ratio). Valid near the
    minimum, where the residuals are linear in the parameters over an error bar; what is not learned
    is taken as known. The Jacobian is held as a whole, so a few hundred numbers can be learned.

    Args:
        model: The fitted model, an nnx module or a pytree of arrays.
        residuals: ``residuals(model, data)``, (model - data)/noise, arrays of any shape; or a
            :class:`~jaxwave.calibration.calibrate.least_squares` of them.
        data: What ``residuals`` needs, a pytree of arrays of any shape [its units].
        learn: Patterns of the parameters' names; by default what ``calibrate`` learns.
        priors: What was known before by pattern, such as ``{"na": normal(0.85, 0.01)}``; they
            return any shape [1].
        units: Units for printing by pattern; by default those of the library's names.
        scale: The factor s; by default from the residuals. 1 trusts the noise.

    Returns:
        The uncertainty of every learned number.

    Raises:
        ValueError: If a pattern matches nothing, a residual is not finite, or there is one only.
        TypeError: If a parameter is neither real nor complex.

    Example:
        >>> x = jnp.linspace(-1, 1, 101)
        >>> line = lambda model, d: (model["slope"] * x + model["offset"] - d) / 0.1
        >>> model = {"slope": jnp.float32(2.0), "offset": jnp.float32(0.5)}
        >>> print(uncertainty(model, line, 2 * x + 0.5))
        offset = 0.5000 ± 0.0100
        slope  = 2.000 ± 0.017

    References:
        W. H. Press et al., *Numerical Recipes*, 3rd ed., Sec. 15.6; R. T. Birge, Phys. Rev. 40,
        207 (1932).
    """
    with _check.named("calibrate", "uncertainty"):
        vector = Vector(model, learn=learn)
    call = ModelResiduals(rows_of("uncertainty", residuals), vector.layout)
    jacobian, r = _linearize(call, vector.flat, (vector.scales, vector.fixed, data))
    _check.finite_array("uncertainty", "residuals", r)
    if r.size == 1 < vector.size:
        raise ValueError(
            f"uncertainty: `residuals` must return (model - data)/noise of every sample, got one "
            f"number for {vector.size} parameters. Pass the residuals, not the loss."
        )
    information, nothing = information_of(jacobian), _NOTHING[jacobian.dtype.itemsize]
    total = information
    if priors:
        rows = PriorRows(vector.layout, tuple(named_priors(vector, priors).items()))
        total = information + information_of(_linearize(rows, vector.flat, vector.scales)[0])
    factor = birge(jacobian, r) if scale is None else float(scale)
    covariance = factor**2 * covariance_of(total, nothing)
    names, values = labels(vector)
    return Uncertainty(
        names=names,
        values=values,
        errors=np.sqrt(np.diag(covariance)),
        covariance=covariance,
        information=information,
        units=_units(vector, units),
        scale=factor,
    )


def standard_errors(
    residuals: Callable[..., Array],
    parameters: object,
    *data: object,
    prior: object = None,
    scale: float | None = None,
    groups: ArrayLike | None = None,
) -> tuple[Any, np.ndarray]:
    r"""Standard errors of the parameters of a weighted least-squares fit.

    .. math:: C = s^2\,(J^T J + S^{-2})^{-1},\qquad \sigma_i = \sqrt{C_{ii}},\qquad
        s^2 = \max(1, \chi^2/\nu)

    with the Jacobian J of the residuals in units of their noise and the widths S of Gaussian
    priors. The scale s widens the errors where the model does not reach the noise (Birge
    ratio). Valid near the minimum, where the residuals are linear in the parameters; parameters
    that are not passed are taken as known. :func:`uncertainty` does the same for a model whose
    parameters have names, and also where the data leave some of them open.

    Args:
        residuals: ``residuals(parameters, *data)``, (model - data)/noise, any shape [1].
        parameters: Parameters at the minimum, a pytree of real arrays (a few hundred numbers).
        data: Further arguments of ``residuals``.
        prior: Pytree like ``parameters`` of the widths of Gaussian priors (infinite for none).
        scale: The factor s; by default from the residuals.
        groups: Number of the group that every residual belongs to, such as its image,
            ``(residuals,)`` [1]. Residuals of a group may go together, as where the model is
            slightly wrong: the error is the larger one of that above and of the scatter of the
            groups' pulls, C = H⁻¹ (Σ g gᵀ) H⁻¹ with the gradient g of every group.

    Returns:
        The errors, a pytree like ``parameters`` [their units], and the covariance,
        ``(count, count)``, in the order of ``jax.flatten_util.ravel_pytree``.

    Raises:
        ValueError: If the data cannot tell parameters apart; the message names them.

    Example:
        >>> x = jnp.linspace(-1, 1, 101)
        >>> errors, _ = standard_errors(lambda p: (p["a"] * x) / 0.1, {"a": jnp.float32(0.0)})
        >>> round(float(errors["a"]), 4)
        0.0171

    References:
        W. H. Press et al., *Numerical Recipes*, 3rd ed., Sec. 15.6; R. T. Birge, Phys. Rev. 40,
        207 (1932).
    """
    _check.function("standard_errors", "residuals", residuals)
    flat, unravel = ravel_pytree(parameters)
    jacobian, r = _linearize(TreeResiduals(residuals, unravel), flat, data)
    information = information_of(jacobian)
    if prior is not None:
        width = np.asarray(ravel_pytree(prior)[0], np.float64)
        information = information + np.diag(1 / width**2)
    _require_resolved(information, parameters)
    factor = birge(jacobian, r) if scale is None else scale
    covariance = factor**2 * covariance_of(information, 0.0)
    variance = np.diag(covariance)
    if groups is not None:
        variance = np.maximum(variance, _scatter(jacobian, r, information, np.asarray(groups)))
    return unravel(jnp.asarray(np.sqrt(variance), flat.dtype)), covariance


class GroupedErrors(NamedTuple):
    """Standard errors by the curvature or the scatter of groups, and by resampling the groups."""

    errors: Any
    covariance: np.ndarray
    bootstrap: Any


def grouped_errors(
    residuals: Callable[..., Array],
    parameters: object,
    *data: object,
    prior: object,
    counts: object,
    groups: ArrayLike,
    draws: int = 200,
) -> GroupedErrors:
    r"""The errors of :func:`standard_errors` with groups, and a bootstrap over the groups.

    .. math:: \delta_b = \Bigl(\sum_k w_{bk} H_k + S^{-2}\Bigr)^{-1} \sum_k (w_{bk} - 1)\, g_k

    is the step from the minimum to that of a fit in which the group k counts w times, drawn with
    replacement; its standard deviation over the draws is the error. One step of Gauss and Newton,
    exact for residuals that are linear over an error bar; the draws are always the same.

    Args:
        residuals: As for :func:`standard_errors`, of any shape.
        parameters: The parameters at the minimum, a pytree.
        data: Further arguments of ``residuals``.
        prior: Widths of the Gaussian priors, a pytree like ``parameters``.
        counts: How many times as much as by its width each prior counts, a pytree like
            ``parameters``: more than once where the residuals know less than their noise says.
        groups: Number of the group of every residual, ``(residuals,)``.
        draws: How many sets of groups are drawn.
    """
    flat, unravel = ravel_pytree(parameters)
    jacobian, r = _linearize(TreeResiduals(residuals, unravel), flat, data)
    own, pulls = by_group(jacobian, r, np.asarray(groups))
    width, times = (np.asarray(ravel_pytree(tree)[0], np.float64) for tree in (prior, counts))
    rest = np.diag(times / width**2)
    information = own.sum(axis=0) + rest
    _require_resolved(information, parameters)
    inverse = covariance_of(information, 0.0)
    covariance = birge(jacobian, r) ** 2 * inverse
    # What a prior may be off by moves the minimum as much as the prior counts, beyond once.
    scatter = pull_variance(pulls, information)
    scatter = scatter + np.square(inverse) @ (times * (times - 1) / width**2)
    variance = np.maximum(np.diag(covariance), scatter)
    count = np.random.default_rng(0).multinomial(len(own), np.full(len(own), 1 / len(own)), draws)
    with jax.enable_x64(True):
        steps = np.asarray(_steps(np.tensordot(count, own, 1) + rest, (count - 1.0) @ pulls))
    errors, resampled = (
        unravel(jnp.asarray(v, flat.dtype)) for v in (np.sqrt(variance), np.std(steps, axis=0))
    )
    return GroupedErrors(errors, covariance, resampled)


@jax.jit  # numpy's solver has its threads wait by spinning, which costs seconds on busy cores
def _steps(curvatures: Array, pulls: Array) -> Array:
    factor = jax.scipy.linalg.cho_factor(curvatures)
    return jax.scipy.linalg.cho_solve(factor, pulls[..., None])[..., 0]


def scatter_over_noise(
    residuals: Callable[..., Array],
    parameters: object,
    *data: object,
    prior: object,
    groups: ArrayLike,
) -> tuple[np.ndarray, np.ndarray]:
    """The information J J^T, and how many times the variance that it says is that over groups.

    White noise of the residuals' size leaves one. What a wrong model leaves is alike in many
    residuals, which know less together than as many independent ones. The arguments are those of
    :func:`grouped_errors`; infinite widths are no priors.
    """
    flat, unravel = ravel_pytree(parameters)
    jacobian, r = _linearize(TreeResiduals(residuals, unravel), flat, data)
    own, pulls = by_group(jacobian, r, np.asarray(groups))
    width = np.asarray(ravel_pytree(prior)[0], np.float64)
    whole = own.sum(axis=0) + np.diag(1 / width**2)
    return own.sum(axis=0), pull_variance(pulls, whole) / np.diag(covariance_of(whole, 0.0))


def information(
    residuals: Callable[..., Array], parameters: object, *data: object
) -> tuple[np.ndarray, np.ndarray, float, int]:
    """The information J J^T of one set of data, its pull J r, its chi-squared, and how many count.

    They add up over sets of data whose Jacobian would not fit into memory as a whole.
    """
    flat, unravel = ravel_pytree(parameters)
    jacobian, r = _linearize(TreeResiduals(residuals, unravel), flat, data)
    rows, values = np.asarray(jacobian), np.asarray(r, np.float64)
    used = int(np.count_nonzero((values != 0) | np.any(rows != 0, axis=0)))
    return information_of(jacobian), rows.astype(np.float64) @ values, float(values @ values), used


# -- the Jacobian --------------------------------------------------------------------------


def _linearize(
    residuals: Callable[..., Any], flat: Array, numbers: object, columns: int = 4
) -> tuple[Array, Array]:
    """The Jacobian, ``(count, residuals)``, and the residuals; few columns at a time."""
    try:
        return jax.block_until_ready(_jacobian(residuals, columns, flat, numbers))
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        if not _check.exhausted(error):
            raise
        if columns == 1:
            fix = "Pass data of half the width, which need a quarter."
            refuse("standard_errors", error, fix)
    return _linearize(residuals, flat, numbers, columns // 2)


@partial(jax.jit, static_argnums=(0, 1))  # the same residuals again compile nothing
def _jacobian(
    residuals: Callable[..., Any], columns: int, flat: Array, numbers: object
) -> tuple[Array, Array]:
    r, push = jax.linearize(lambda p: real_vector(residuals(p, numbers)), flat)
    # Columns in a loop: a wide jacfwd would hold every plane of every column at once.
    return numerics.map_rows(push, jnp.eye(flat.size, dtype=flat.dtype), columns), r


# -- what is wrong with the numbers ------------------------------------------------------


def _scatter(jacobian: Array, r: Array, information: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Variances by the scatter of the pulls of groups of residuals (a sandwich estimate)."""
    return pull_variance(by_group(jacobian, r, groups)[1], information)


def _require_resolved(information: np.ndarray, parameters: object) -> None:
    names = _tree_names(parameters)
    unit, size = scaled(information)
    if np.any(size == 0) or not np.all(np.isfinite(size)):
        bad = [name for name, s in zip(names, size, strict=True) if not s > 0]
        raise ValueError(
            f"standard_errors: the data do not depend on {', '.join(bad)}. "
            "Fix them, or give a prior."
        )
    values, vectors = np.linalg.eigh(unit)
    if values[0] < _NOTHING[4]:
        weights = np.abs(vectors[:, 0])
        mixed = [names[i] for i in np.argsort(weights)[::-1][:4] if weights[i] > 0.1]
        raise ValueError(
            f"standard_errors: the data cannot tell {', '.join(mixed)} apart. "
            "Fix one of them, or give a prior."
        )


# -- names ---------------------------------------------------------------------------------


def _tree_names(parameters: object) -> list[str]:
    names = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(parameters):
        key = jax.tree_util.keystr(path)
        names += [f"{key}[{i}]" for i in range(np.size(leaf))] if np.ndim(leaf) else [key]
    return names


def labels(vector: Vector) -> tuple[tuple[str, ...], np.ndarray]:
    """A name for every learned number, and its value."""
    names: list[str] = []
    values: list[np.ndarray] = []
    for name, value in vector.values(vector.flat).items():
        array = np.asarray(value)
        places = [f"{name}{list(i)}" if i else name for i in np.ndindex(array.shape)]
        if np.iscomplexobj(array):
            names += [f"{place}.{part}" for part in ("real", "imag") for place in places]
            values += [array.real.ravel(), array.imag.ravel()]
        else:
            names += places
            values.append(array.ravel())
    return tuple(names), np.concatenate(values).astype(np.float64)


def named_priors(vector: Vector, priors: Mapping[str, Prior]) -> dict[str, Prior]:
    """Priors by the names of the learned parameters; a later pattern wins."""
    return by_name("priors", priors, vector.layout.structure, vector.names)


def _units(vector: Vector, units: Mapping[str, str] | None) -> tuple[str, ...]:
    given = by_name("units", units, vector.layout.structure, vector.names)
    sizes = {name: part.stop - part.start for name, part in vector.slices.items()}
    return tuple(given.get(n, unit_of(n)) for n in vector.names for _ in range(sizes[n]))
