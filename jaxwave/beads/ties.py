"""What one bead's stack cannot tell apart, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxwave.beads.model import PRIORS, SCALES, BeadModel
from jaxwave.zernike import zernike_name

_LEAST = 0.85  # correlation: each is known twice as well if the other is known
_MOST = 6  # pairs that are told
_WORDS = {
    "pixel": "the pixel",
    "dz": "the distance of the planes",
    "na": "the numerical aperture",
    "blur": "the blur along",
    "x": "the place in x",
    "y": "the place in y",
    "z": "the place in z",
}
_AXES = ("y", "x")
_DRIFTS = {"drift_y": (1, 2, 3), "drift_x": (1, 2, 3), "drift_z": (2, 3, 4)}
# Of these somebody wants to know the number; places and drifts only spoil them.
_WANTED = ("zernike", "pixel", "dz", "na")
_FAR = 2.0  # tolerances of what was given


class Tie(NamedTuple):
    """Two fitted numbers that change the stack in nearly the same way.

    Args:
        names: What they are, in words.
        correlation: Correlation of their errors, from -1 to 1.
    """

    names: tuple[str, str]
    correlation: float

    @property
    def inflation(self) -> float:
        """How many times worse each is known than if the other were known."""
        return float(1 / np.sqrt(max(1 - self.correlation**2, 1e-12)))

    def __str__(self) -> str:
        return f"{self.names[0]} and {self.names[1]} (correlation {self.correlation:+.2f})"


def _word(model: BeadModel, name: str, place: int) -> str:
    if name in ("zernike", "amplitude"):
        n, m = (model.modes if name == "zernike" else model.amplitude_modes)[place]
        known = zernike_name(n, m)
        called = f"({n}, {m})" if known.startswith("Z(") else f"{known} ({n}, {m})"
        return called if name == "zernike" else f"the amplitude's {called}"
    if name in _DRIFTS:
        return f"the drift in {name[-1]} with the power {_DRIFTS[name][place]} of z"
    return f"{_WORDS[name]} {_AXES[place]}" if name == "blur" else _WORDS[name]


def ties_of(
    model: BeadModel, covariance: np.ndarray, parameters: Mapping[str, Any]
) -> tuple[Tie, ...]:
    """The pairs that are hardly told apart, the worst first.

    Args:
        model: The microscope.
        covariance: Covariance of the parameters in the order of their sorted names.
        parameters: What was learned, by name.
    """
    places = [(name, k) for name in sorted(parameters) for k in range(np.size(parameters[name]))]
    size = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(size, size)
    found = []
    for i, j in zip(*np.nonzero(np.triu(np.abs(correlation) > _LEAST, 1)), strict=True):
        pair = places[i], places[j]
        told = all(not name.startswith("further") for name, _ in pair)
        if told and any(name in _WANTED for name, _ in pair):
            words = sorted(pair, key=lambda part: part[0] not in _WANTED)
            names = tuple(_word(model, *part) for part in words)
            found.append(Tie(names, float(correlation[i, j])))  # type: ignore[arg-type]
    return tuple(sorted(found, key=lambda tie: -abs(tie.correlation))[:_MOST])


def sentence(ties: Iterable[Tie]) -> str:
    """What cannot be told apart, as a sentence; empty where everything can."""
    listed = list(ties)
    if not listed:
        return ""
    worst = max(tie.inflation for tie in listed)
    return (
        f"This stack hardly tells apart {'; '.join(map(str, listed))}: each is known up to "
        f"{worst:.2g} times worse than if the other were known. The error bars count that in."
    )


def pulled(values: Mapping[str, Any], na: float) -> str:
    """Which numbers a fit moved further from what was given than they are usually off, in words.

    Magnifying the image, opening the aperture and moving the planes closer together leave a stack
    nearly as it was; what is left to tell them apart, a small fault of the model outweighs.

    Args:
        values: Fitted numbers by name, as from :func:`~jaxwave.beads.model.physical`.
        na: The numerical aperture that was given.
    """
    factors = {
        "pixel": values.get("pixel_factor", 1.0),
        "dz": values.get("dz_factor", 1.0),
        "na": values.get("na", na) / na,
    }
    far = [
        f"{_WORDS[name]} by {100 * (float(factor) - 1):+.1f}%"
        for name, factor in factors.items()
        if abs(np.log(float(factor))) > _FAR * PRIORS[name] * SCALES[name]
    ]
    if not far:
        return ""
    return (
        f"The fit has moved {', '.join(far)} from what was given. Of pixel, aperture and distance "
        "of the planes a stack knows two ratios well, and their common scale only as well as the "
        "model is right: what you know better, hold (command line: --known-exactly, Python: "
        "freeze)."
    )
