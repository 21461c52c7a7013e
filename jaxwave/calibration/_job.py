"""What a calibration is made of while it runs: its stages, what they share, and the best place."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax import Array

from jaxwave._code import describe
from jaxwave.calibration._spread import Shares, Spread, ends, is_global
from jaxwave.calibration.optimizers import Method
from jaxwave.calibration.run_folder import RunFolder


@dataclasses.dataclass(frozen=True)
class Plan:
    """One stage with everything filled in."""

    name: str
    learn: Any
    method: Method
    steps: int
    length: int
    batch: int
    tolerance: float
    patience: int | None
    constraints: Mapping[str, Any]
    scales: Mapping[str, Any]
    rates: Mapping[str, Any]
    priors: Mapping[str, Any]
    values: Mapping[str, Any]

    def settings(self) -> dict[str, Any]:
        """What has to agree when a run goes on."""
        plain: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "values":
                plain[field.name] = digest(dict(value))
            elif isinstance(value, Mapping):
                plain[field.name] = {k: describe(v) for k, v in value.items()}
            elif field.name == "method":
                plain["optimizer"] = describe(value)
            else:
                plain[field.name] = value
        return plain


@dataclasses.dataclass
class Job:
    """What all stages share, and what they have reached so far."""

    loss: Callable
    data: Any
    heldout: Any
    score: Callable | None
    key: Array
    starts: int  # 0 for one model
    show: Callable | None = None
    watch: Callable | None = None
    folder: RunFolder | None = None
    spread: tuple[Spread, Shares] | None = None  # loss and data on the devices of many processes
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    saved: dict[str, np.ndarray] | None = None  # a state to go on from
    losses: list[np.ndarray] = dataclasses.field(default_factory=list)  # (starts, steps)
    scores: list[np.ndarray] = dataclasses.field(default_factory=list)  # (starts, 1)
    report_steps: list[int] = dataclasses.field(default_factory=list)
    learned: list[str] = dataclasses.field(default_factory=list)  # in earlier stages
    reasons: list[str] = dataclasses.field(default_factory=list)  # why they ended
    last_save: float = -np.inf
    save_took: float = 0.0

    @property
    def steps(self) -> int:
        """Steps that were made, over all stages."""
        return sum(part.shape[1] for part in self.losses)


@dataclasses.dataclass
class Best:
    """The places to keep, one for every start, and whether it still gets better."""

    flat: np.ndarray  # (starts, size)
    loss: np.ndarray  # (starts,)
    heldout: np.ndarray
    stale: int = 0  # reports without an improvement of any start

    def update(self, report: dict[str, np.ndarray], best: bool, by_heldout: bool) -> None:
        """Takes the newest place, or only a better one."""
        new, old = (report["heldout"], self.heldout) if by_heldout else (report["loss"], self.loss)
        better = np.isfinite(new) & ~(new >= old)
        self.stale = 0 if better.any() else self.stale + 1
        take = better if best else np.ones_like(better)
        self.flat = np.where(take[:, None], report["flat"], self.flat)
        self.loss = np.where(take, report["loss"], self.loss)
        self.heldout = np.where(take, report["heldout"], self.heldout)


def digest(tree: Any) -> str:
    """A checksum of all numbers of a pytree, so that a run goes on with its own data only."""
    checksum = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = ends(leaf) if is_global(leaf) else np.asarray(leaf)
        checksum.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode())
        checksum.update(np.ascontiguousarray(array).tobytes())
    return checksum.hexdigest()[:16]
