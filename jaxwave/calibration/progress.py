"""What a person sees of a fit: a bar over its stages, and its page in a notebook."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import import_module
from types import TracebackType
from typing import Any, Self

import numpy as np

from jaxwave import _notebook
from jaxwave.elements.labels import unit_of

_MOST_ROWS = 24
_WAITING = "{desc} [{elapsed}]"


def told(loss: float, heldout_loss: float) -> list[str]:
    """What a report says of the losses that it has."""
    losses = {"loss": loss, "held-out": heldout_loss}
    return [f"{name} {value:.4g}" for name, value in losses.items() if not math.isnan(value)]


class Bar:
    """A bar in a terminal or a notebook: stage, steps, loss and held-out score."""

    def __init__(self) -> None:
        # Nothing is counted before the first report, which comes when all is compiled.
        self._bar: Any = _notebook.bar(desc="compiling", bar_format=_WAITING)
        self._bar.unit = " steps"
        self._stage = ""

    def __call__(self, stage: str, step: int, steps: int, loss: float, heldout_loss: float) -> None:
        """Shows a report."""
        if stage != self._stage:
            self._stage, self._bar.bar_format = stage, None
            self._bar.reset(total=steps)
            self._bar.set_description(stage)
        self._bar.set_postfix_str(", ".join(told(loss, heldout_loss)), refresh=False)
        self._bar.update(step - self._bar.n)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()


def page(text: str, learned: Mapping[str, np.ndarray], history: Mapping[str, np.ndarray]) -> str:
    """A calibration in a notebook: its sentence, what was learned, and the loss step by step."""
    rows = [(name, _value(name, value)) for name, value in learned.items()]
    if len(rows) > _MOST_ROWS:
        rows[_MOST_ROWS - 1 :] = [(f"... and {len(rows) - _MOST_ROWS + 1} more", "")]
    shown = _notebook.words(text) + _notebook.table(("learned", "value"), rows)
    if not np.isfinite(history["loss"]).any():
        return shown
    return shown + _notebook.picture(lambda: _loss(history), "loss against steps")


def _value(name: str, value: np.ndarray) -> str:
    if value.ndim:
        return f"array {value.shape}"
    return f"{value:.6g} {unit_of(name)}".rstrip()


def _loss(history: Mapping[str, np.ndarray]) -> Any:
    """The picture of the loss, with the held-out one where there is one."""
    heldout: dict[str, Any] = {}
    if np.isfinite(history["heldout_loss"]).any():
        heldout = {"heldout_loss": history["heldout_loss"]}
        heldout["heldout_steps"] = history["report_steps"]
    return import_module("jaxwave.plot").plot_history(history["loss"], **heldout)
