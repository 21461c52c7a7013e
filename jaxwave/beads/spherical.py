"""Which departure of coverslip, immersion or collar makes the spherical aberration of a fit.

In plane layers the path depends on s = n sin(theta) alone, so every number of the layers (an index,
a thickness, the setting of a collar) shows in the modes (n, 0) only; the paraxial focus is the
position of the bead. One stack knows those modes well, but they are few and nearly proportional
for all numbers: how the aberration is shared among them, and with the objective's own, is decided
by tolerances. The modes and their covariance are all that a stack says about the layers, so the
estimate is one of a few numbers, made after the fit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.beads.model import SCALES, BeadModel
from jaxwave.numerics import gauss_legendre
from jaxwave.psf.layers import Layers, gibson_lanni_path
from jaxwave.zernike import mode_list

Wanted: TypeAlias = Sequence[str] | Mapping[str, float | None]

# What may be fitted, how it is called, and how far it usually is from what is given [µm], [1].
DEPARTURES = {
    "t_g": ("the coverslip's thickness", 10.0),
    "n_g": ("the coverslip's index", 0.003),
    "t_g_design": ("the collar's setting", 10.0),
    "n_i": ("the immersion's index", 0.003),
    "n_s": ("the sample's index", 0.01),
    "t_s": ("the depth of the bead", 1.0),
}
# What else may be hardly told apart from spherical aberration.
_BESIDE = {
    "dz": "the distance of the planes",
    "na": "the numerical aperture",
    "z": "the place in z",
}
OWN = 0.01  # spherical aberration that a good objective has by itself, each mode [µm rms]
_NODES = 48
_STEPS = 4
_SILENT = 1e-7  # what changes the modes by less [µm] changes nothing
_TIED = 0.85
_UNKNOWN = 0.8  # of a tolerance that is left: the stack has said next to nothing


class Departure(NamedTuple):
    """A number of the layers as the stack has it.

    Args:
        name: Its name, such as ``"t_g"``.
        given: What the model has [µm] or [1].
        value: What the stack says.
        error: Standard error.
        tolerance: How far it was expected from what was given.
        ties: What it is hardly told apart from, with the correlation.
    """

    name: str
    given: float
    value: float
    error: float
    tolerance: float
    ties: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        if self.name.startswith("n"):
            text = f"{self.value:.4f} ± {self.error:.4f} (given {self.given:.4f})"
        else:
            text = f"{self.value:.4g} ± {self.error:.2g} µm (given {self.given:.4g})"
        return f"{DEPARTURES[self.name][0]} {text}"


def wanted(where: str, model: BeadModel, names: Wanted) -> dict[str, float]:
    """The tolerances of the numbers that are to be fitted, checked."""
    given = dict(names) if isinstance(names, Mapping) else dict.fromkeys(names)
    result = {}
    for name, width in given.items():
        _check.choice(where, "layers", name, DEPARTURES)
        result[name] = DEPARTURES[name][1] if width is None else float(width)
        _check.positive(where, f"layers[{name!r}]", result[name])
    if not result:
        return result
    if not spherical_modes(model):
        raise ValueError(
            f"{where}: `layers` shows in spherical aberration, which a model of `order` "
            f"{model.order} does not have. Pass order=4 or more."
        )
    layers = _layers(model)
    if len(layers.t_g) > 1 and {"t_g", "n_g", "t_g_design"} & set(result):
        raise ValueError(
            f"{where}: `layers` {sorted(result)} cannot be fitted where the coverslip has "
            f"{len(layers.t_g)} layers."
        )
    start = _modes_of(model, layers)
    for name in result:
        moved = _modes_of(model, _with(layers, {name: _value(layers, name) + DEPARTURES[name][1]}))
        if np.abs(moved - start).max() < _SILENT:
            raise ValueError(
                f"{where}: `layers` has {name!r}, but {DEPARTURES[name][0]} changes nothing in "
                "this model: its neighbors have the same index, or there is no depth. Give the "
                "indices and thicknesses of the layers."
            )
    return result


def spherical_modes(model: BeadModel) -> list[int]:
    """Numbers of the modes (n, 0) of a model."""
    return [k for k, (_, m) in enumerate(model.modes) if m == 0]


def departures(
    model: BeadModel,
    tolerances: Mapping[str, float],
    parameters: Mapping[str, Any],
    covariance: np.ndarray,
    errors: Mapping[str, Any],
) -> tuple[Departure, ...]:
    """Shares the spherical aberration of a fit among numbers of the layers.

    Args:
        model: The microscope, whose layers are the given ones.
        tolerances: What is fitted, and how far it is expected from what is given.
        parameters: What the fit learned, scaled, by name.
        covariance: Its covariance, in the order of the sorted names.
        errors: Its standard errors, by name, which may be larger.

    Returns:
        One for each number; their errors count in the other ones and the objective's own.
    """
    if not tolerances:
        return ()
    places = [(name, k) for name in sorted(parameters) for k in range(np.size(parameters[name]))]
    bars = np.concatenate([np.ravel(errors[name]) for name in sorted(parameters)])
    size = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(size, size)
    mine = [places.index(("zernike", k)) for k in spherical_modes(model)]
    error = np.asarray(bars, np.float64)[mine] * SCALES["zernike"]
    known = _Known(
        np.asarray(parameters["zernike"], np.float64)[spherical_modes(model)] * SCALES["zernike"],
        correlation[np.ix_(mine, mine)] * np.outer(error, error),
        error,
        {
            word: correlation[places.index((name, 0)), mine]
            for name, word in _BESIDE.items()
            if name in parameters
        },
    )
    return _shared(model, tolerances, known)


class _Known(NamedTuple):
    """The modes (n, 0), their covariance and errors [µm], and what else goes with them."""

    modes: np.ndarray
    covariance: np.ndarray
    error: np.ndarray
    beside: dict[str, np.ndarray]


def _shared(
    model: BeadModel, tolerances: Mapping[str, float], known: _Known
) -> tuple[Departure, ...]:
    r"""The numbers that the modes say.

    .. math:: \hat\delta = \arg\min\; (c - c(\delta))^T (C + \sigma^2)^{-1} (c - c(\delta))
        + \sum_i \delta_i^2 / T_i^2
    """
    names, layers = list(tolerances), _layers(model)
    width = np.array([tolerances[name] for name in names])
    usual = np.array([DEPARTURES[name][1] for name in names])
    given = np.array([_value(layers, name) for name in names])
    spread = known.covariance + OWN**2 * np.eye(len(known.modes))
    at_rest, delta = _modes_of(model, layers), np.zeros(len(names))

    def at(delta: np.ndarray) -> np.ndarray:
        values = dict(zip(names, given + delta, strict=True))
        return _modes_of(model, _with(layers, values)) - at_rest

    for _ in range(_STEPS):  # Gauss and Newton; the path is nearly linear
        steps = 0.1 * np.diag(usual)
        slope = np.stack([(at(delta + s) - at(delta - s)) / (2 * s.max()) for s in steps], axis=1)
        pull = np.linalg.solve(spread, slope).T
        posterior = np.linalg.inv(pull @ slope + np.diag(1 / width**2))
        delta = posterior @ (pull @ (known.modes - at(delta) + slope @ delta))
    error = np.sqrt(np.diag(posterior))
    among = posterior / np.outer(error, error)
    share = posterior @ pull * known.error / error[:, None]
    found = []
    for k, name in enumerate(names):
        rows = [(DEPARTURES[n][0], among[k, j]) for j, n in enumerate(names) if j != k]
        rows += [(word, share[k] @ row) for word, row in known.beside.items()]
        ties = tuple((word, float(r)) for word, r in rows if abs(r) > _TIED)
        start, end = float(given[k]), float(given[k] + delta[k])
        found.append(Departure(name, start, end, float(error[k]), float(width[k]), ties))
    return tuple(found)


def sentence(found: Iterable[Departure]) -> str:
    """What the spherical aberration would be, and what cannot be told apart."""
    listed = list(found)
    if not listed:
        return ""
    text = "Read as a departure of the layers, the spherical aberration means "
    text += "; ".join(map(str, listed))
    text += f". The errors allow {1e3 * OWN:.0f} nm in each of its modes to the objective itself"
    pairs = {}
    for part in listed:
        for word, value in part.ties:
            pair = frozenset((DEPARTURES[part.name][0], word))
            pairs.setdefault(pair, f"{DEPARTURES[part.name][0]} and {word} ({value:+.2f})")
    if pairs:
        text += f", and one stack hardly tells apart {'; '.join(pairs.values())}"
    open_ = [DEPARTURES[d.name][0] for d in listed if d.error > _UNKNOWN * d.tolerance]
    if open_:
        text += f". It says next to nothing about {' and '.join(open_)}: the tolerance is left"
    return text + "."


def read_departures(result: Mapping[str, Any]) -> tuple[Departure, ...]:
    """What a ``result.json`` says of the layers."""
    return tuple(
        Departure(**{**part, "ties": tuple((word, float(r)) for word, r in part["ties"])})
        for part in result.get("layers", ())
    )


# -- layers --------------------------------------------------------------------------------


def _layers(model: BeadModel) -> Layers:
    if model.objective.layers is not None:
        return model.objective.layers
    return Layers(n_s=model.n, n_g=model.n, n_i=model.n)


def _value(layers: Layers, name: str) -> float:
    value = getattr(layers, name)
    return float(value[0] if isinstance(value, tuple) else value)


def _with(layers: Layers, values: Mapping[str, float]) -> Layers:
    numbers: dict[str, Any] = {
        name: (np.float64(v),) if isinstance(getattr(layers, name), tuple) else np.float64(v)
        for name, v in values.items()
    }
    return dataclasses.replace(layers, **numbers)


@jax.jit
def _path(s: ArrayLike, layers: Layers) -> Any:
    return gibson_lanni_path(s, layers).opd


def _modes_of(model: BeadModel, layers: Layers) -> np.ndarray:
    """The modes (n, 0) of the path through layers [µm], beside piston and the true defocus."""
    nodes, weight = gauss_legendre(_NODES)
    rho = np.sqrt((nodes + 1) / 2)  # equal shares of the pupil's area
    with jax.enable_x64(True):
        path = np.asarray(_path(model.na * rho, layers), np.float64)
    orders = [model.modes[k] for k in spherical_modes(model)]
    n = float(layers.n_i)
    cosine = np.sqrt(1 - (model.na * rho / n) ** 2)
    columns = np.stack([np.ones_like(rho), cosine, *mode_list(orders, rho, 0 * rho)], axis=1)
    root = np.sqrt(weight)
    return np.linalg.lstsq(columns * root[:, None], path * root, rcond=None)[0][2:]
