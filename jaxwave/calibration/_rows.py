"""Residuals as functions of one row of numbers: the static parts of compiled programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from jax import Array

from jaxwave import _check
from jaxwave.calibration.calibrate import least_squares
from jaxwave.calibration.priors import Prior


@dataclasses.dataclass(frozen=True)
class ModelResiduals:
    """Residuals as a function of the learned numbers; the static part of a compiled program."""

    residuals: Callable[..., Any]
    layout: Any

    def __call__(self, flat: Array, numbers: tuple) -> Any:
        """Residuals with ``numbers``, the scales, the fixed parameters and the data."""
        scales, fixed, data = numbers
        model = self.layout.model(self.layout.values(flat, scales), fixed)
        return self.residuals(model, data)


@dataclasses.dataclass(frozen=True)
class PriorRows:
    """The priors' residuals as a function of the learned numbers."""

    layout: Any
    priors: tuple[tuple[str, Prior], ...]

    def __call__(self, flat: Array, scales: object) -> Any:
        """Residuals of all priors; ``scales`` are those of the vector."""
        values = self.layout.values(flat, scales)
        return [prior(values[name]) for name, prior in self.priors]


@dataclasses.dataclass(frozen=True)
class TreeResiduals:
    """Residuals of a tree of parameters, as a function of its numbers in a row."""

    residuals: Callable[..., Any]
    unravel: Callable[[Array], Any]

    def __call__(self, flat: Array, data: tuple) -> Any:
        """Residuals with ``data``."""
        return self.residuals(self.unravel(flat), *data)


def rows_of(where: str, residuals: Callable[..., Any]) -> Callable[..., Any]:
    """The residuals of a least-squares loss; other functions are passed on."""
    _check.function(where, "residuals", residuals)
    return residuals.residuals if isinstance(residuals, least_squares) else residuals
