"""Sets of settings: their values by number, so that a million of them need no memory."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from jaxwave import units

WHERE = "sweep"
KINDS = ("grid", "list", "random", "sobol")
_DRAWS = 4  # numbers that one step of the counter gives


@runtime_checkable
class Table(Protocol):
    """What is used of a pandas data frame."""

    @property
    def columns(self) -> Iterable[Any]:
        """The names."""

    def __getitem__(self, name: object, /) -> Any:
        """A column, which has ``to_numpy``."""


Settings = Mapping[str, Any] | Sequence[Mapping[str, Any]] | Table


@dataclasses.dataclass(frozen=True)
class Points:
    """Settings by number.

    Args:
        kind: One of ``KINDS``.
        values: Values by name, ``(points, ...)``; for random sets the ends, ``(2, ...)``.
        fixed: Values that stay the same.
        count: How many settings there are.
        seed: Two integers of 64 bits for random sets.
    """

    kind: str
    values: Mapping[str, np.ndarray]
    fixed: Mapping[str, np.ndarray]
    count: int
    seed: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each axis: one for every name of a grid, otherwise a single one."""
        if self.kind == "grid":
            return tuple(len(v) for v in self.values.values())
        return (self.count,)

    def rows(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """The values of the settings from ``start`` to ``stop``, one row for each."""
        if self.kind == "list":
            return {name: v[start:stop] for name, v in self.values.items()}
        if self.kind == "grid":
            numbers = np.unravel_index(np.arange(start, stop), self.shape) if self.shape else ()
            pairs = zip(self.values.items(), numbers, strict=True)
            return {name: v[index] for (name, v), index in pairs}
        sizes = {name: v[0].size for name, v in self.values.items()}
        draw = self._random if self.kind == "random" else self._sobol
        u, result, first = draw(start, stop, sum(sizes.values())), {}, 0
        for name, ends in self.values.items():
            part = u[:, first : first + sizes[name]].reshape(-1, *ends.shape[1:])
            result[name] = ends[0] + (ends[1] - ends[0]) * part
            first += sizes[name]
        return result

    def row(self, index: int) -> dict[str, np.ndarray]:
        """The values of one setting, those that stay the same included."""
        return {**{name: v[0] for name, v in self.rows(index, index + 1).items()}, **self.fixed}

    def _random(self, start: int, stop: int, size: int) -> np.ndarray:
        """Uniform numbers by their place in one stream, whatever was drawn before."""
        first = start * size
        stream = np.random.Philox(key=self.seed[0] + (self.seed[1] << 64))
        stream.advance(first // _DRAWS)
        numbers = np.random.Generator(stream).random(first % _DRAWS + (stop - start) * size)
        return numbers[first % _DRAWS :].reshape(-1, size)

    def _sobol(self, start: int, stop: int, size: int) -> np.ndarray:
        from scipy.stats import qmc

        seed = np.random.default_rng(self.seed) if self.seed else None
        engine = qmc.Sobol(size, scramble=bool(self.seed), seed=seed)
        if start:
            engine.fast_forward(start)
        return engine.random(stop - start) if stop - start == 1 else _quiet(engine, stop - start)


def _quiet(engine: Any, count: int) -> np.ndarray:
    """The next points; a part of the sequence need not be a power of two."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return engine.random(count)


def points(
    settings: Settings,
    *,
    kind: str = "grid",
    count: int | None = None,
    key: jax.Array | None = None,
) -> Points:
    """Reads what a user wrote as settings."""
    if kind not in KINDS:
        near = difflib.get_close_matches(str(kind), KINDS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{WHERE}: `kind` must be one of {KINDS}, got {kind!r}.{hint}")
    table, kind = _table(settings, kind)
    values = {name: _array(name, v) for name, v in table.items()}
    fixed = {name: v for name, v in values.items() if v.ndim == 0}
    values = {name: v for name, v in values.items() if v.ndim}
    if not values:
        raise ValueError(
            f"{WHERE}: `settings` needs a list of values for at least one name, got "
            f"{', '.join(map(repr, table)) or 'none'}."
        )
    for name, v in values.items():
        if len(v) == 0:
            raise ValueError(f"{WHERE}: `{name}` has no points. Give it at least one value.")
    if kind in ("grid", "list"):
        if count is not None:
            raise ValueError(f"{WHERE}: `points` is for random and Sobol sets, not for a {kind}.")
        return _grid(values, fixed) if kind == "grid" else _listed(values, fixed)
    return _drawn(kind, values, fixed, count, key)


def _table(settings: Settings, kind: str) -> tuple[dict[str, Any], str]:
    """Values by name; a table of rows (records, a data frame) is a list of settings."""
    if isinstance(settings, Table):
        return {str(name): settings[name].to_numpy() for name in settings.columns}, "list"
    if isinstance(settings, Mapping):
        return {str(name): v for name, v in settings.items()}, kind
    records = isinstance(settings, Sequence) and not isinstance(settings, str) and len(settings)
    if records and all(isinstance(row, Mapping) for row in settings):
        names = settings[0].keys()
        for number, row in enumerate(settings):
            if row.keys() != names:
                raise ValueError(
                    f"{WHERE}: every row of `settings` needs the names {[*names]}, but row "
                    f"{number} has {[*row]}."
                )
        return {str(name): [row[name] for row in settings] for name in names}, "list"
    raise TypeError(
        f"{WHERE}: `settings` must be a dict of values by name, such as {{'na': [1.0, 1.2]}}, or "
        f"a list of such dicts, got {type(settings).__name__}."
    )


def _array(name: str, value: object) -> np.ndarray:
    """Numbers, texts of lengths among them, as an array."""
    if isinstance(value, str):
        return np.asarray(_length(name, value))
    if isinstance(value, Iterable) and not hasattr(value, "shape"):
        value = [_length(name, v) if isinstance(v, str) else v for v in value]
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(
            f"{WHERE}: the values of `{name}` have different shapes. Give every setting one of "
            "the same shape."
        ) from None
    if array.dtype.kind not in "fiubc":
        raise TypeError(f"{WHERE}: `{name}` must be numbers, got {array.dtype}: {value!r:.60}.")
    return array


def _length(name: str, text: str) -> float:
    try:
        return units.length(text)
    except ValueError as error:
        raise ValueError(f"{WHERE}: `{name}`: {error}") from None


def _grid(values: dict[str, np.ndarray], fixed: dict[str, np.ndarray]) -> Points:
    return Points("grid", values, fixed, math.prod(len(v) for v in values.values()))


def _listed(values: dict[str, np.ndarray], fixed: dict[str, np.ndarray]) -> Points:
    sizes = {name: len(v) for name, v in values.items()}
    count = max(sizes.values())
    if {*sizes.values()} - {1, count}:
        listed = ", ".join(f"`{name}` {size}" for name, size in sizes.items())
        raise ValueError(
            f"{WHERE}: the names of a list need equally many values, got {listed}. Leave out "
            '`kind="list"` if you want every combination.'
        )
    full = {n: np.broadcast_to(v, (count, *v.shape[1:])) for n, v in values.items()}
    return Points("list", full, fixed, count)


def _drawn(
    kind: str,
    values: dict[str, np.ndarray],
    fixed: dict[str, np.ndarray],
    count: int | None,
    key: jax.Array | None,
) -> Points:
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise ValueError(
            f"{WHERE}: a {kind} set needs `points`, a positive integer, got {count!r}."
        )
    for name, v in values.items():
        if len(v) != 2 or not np.all(np.isfinite(v)):
            raise ValueError(
                f"{WHERE}: a {kind} set takes `{name}` as its two ends (low, high), got "
                f"{v.tolist()!r:.60}."
            )
    if kind == "random" and key is None:
        raise ValueError(f"{WHERE}: a random set needs `key`, such as jax.random.key(0).")
    return Points(kind, values, fixed, int(count), () if key is None else _seed(key))


def _seed(key: jax.Array) -> tuple[int, int]:
    bits = jax.random.bits(key, (4,), np.uint32)
    a, b, c, d = (int(v) for v in np.asarray(bits))
    return a + (b << 32), c + (d << 32)


def unknown(given: Iterable[str], known: Sequence[str], what: str) -> None:
    """Refuses names that are not there, with the name that may be meant."""
    for name in given:
        if name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        listed = ", ".join(known) or "none"
        raise ValueError(f"{WHERE}: {what} has no parameter {name!r}.{hint} It has: {listed}.")
