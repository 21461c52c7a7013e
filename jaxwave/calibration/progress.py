"""A progress bar over the stages of a fit."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Any, Self

_WAITING = "{desc} [{elapsed}]"


class Bar:
    """A bar in the terminal: stage, steps, loss and held-out score."""

    def __init__(self) -> None:
        from tqdm import tqdm

        # Nothing is counted before the first report, which comes when all is compiled.
        self._bar: Any = tqdm(desc="compiling", bar_format=_WAITING, dynamic_ncols=True)
        self._bar.unit = " steps"
        self._stage = ""

    def __call__(self, stage: str, step: int, steps: int, loss: float, heldout_loss: float) -> None:
        """Shows a report."""
        if stage != self._stage:
            self._stage, self._bar.bar_format = stage, None
            self._bar.reset(total=steps)
            self._bar.set_description(stage)
        rest = "" if math.isnan(heldout_loss) else f", held-out {heldout_loss:.4g}"
        self._bar.set_postfix_str(f"loss {loss:.4g}{rest}", refresh=False)
        self._bar.update(step - self._bar.n)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
