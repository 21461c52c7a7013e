"""The sweep itself: chunks in order, each computed once, kept or reduced."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxwave import _check, _notebook
from jaxwave._code import fingerprint
from jaxwave._files import size_text
from jaxwave.sweeps import failing
from jaxwave.sweeps.claims import Worker
from jaxwave.sweeps.points import WHERE, Points, Settings
from jaxwave.sweeps.points import points as read_points
from jaxwave.sweeps.program import Plan, Program, finite_rows, plan
from jaxwave.sweeps.reduce import Reduction, reductions
from jaxwave.sweeps.result import VALUE, Sweep, named
from jaxwave.sweeps.store import Folder
from jaxwave.sweeps.target import Target, target

Progress = Callable[[int, int, float, float], None]
_SHARE = 0.5  # of the machine's memory that a sweep may use unless it is told otherwise
_UNKNOWN = 8e9  # bytes of a machine that does not tell


def sweep(
    function: object,
    settings: Settings,
    *arguments: object,
    kind: str = "grid",
    points: int | None = None,
    key: jax.Array | None = None,
    reduce: object = None,
    folder: str | os.PathLike | None = None,
    format: str = "npz",
    max_bytes: float | None = None,
    batch: int | None = None,
    progress: Progress | bool = False,
) -> Sweep:
    """Computes a function or a model for many settings in one compiled program, in little memory.

    The settings run in a loop over small batches, so the memory stays the same however many they
    are, and nothing is compiled again between chunks. A setting that fails (the library refuses
    its numbers, or its result is not finite) costs nothing but itself: its row is NaN, and
    ``failures`` holds the reason. Devices of the process share each chunk.

    With ``folder`` every chunk is written when it is done, under a name that is a checksum of
    settings and code. The same line, run again after a crash, goes on where it stopped; run in many
    processes at once, on one machine or on many, it shares the work, and each gets all results.

    Args:
        function: A function of named numbers and arrays, or a model, whose parameters are named as
            in ``jaxwave.elements.parameters``.
        settings: Values by name. A list or array (its first axis are the settings) is swept, a
            single number stays the same. Also rows: a list of dicts, or a data frame.
        *arguments: What the function takes besides, in front.
        kind: ``"grid"`` for every combination, ``"list"`` for one setting after the other,
            ``"random"`` or ``"sobol"`` for points between two ends (low, high).
        points: How many random or Sobol points.
        key: Random key, scalar ``()`` [unit: none]: needed for random points; scrambles Sobol's.
        reduce: What to keep instead of every result: ``"mean"``, ``"std"``, ``"min"``, ``"max"``,
            ``"argmin"``, ``"argmax"`` (elementwise, the number of the setting), ``"quantiles"``,
            a function that joins two results, or a list or dict of these, such as
            ``{"quantiles": (0.1, 0.9)}``. Settings that failed are left out. Quantiles of
            more results than fit into a quarter of ``max_bytes`` are those of a random share.
        folder: Folder for the chunks.
        format: ``"npz"``, or ``"zarr"``: the folder then holds ``results.zarr``, with the settings
            beside the results, which xarray opens while the sweep runs. Results that are larger
            than ``max_bytes`` are possible in this way only; ``values`` are then Zarr arrays.
        max_bytes: Limit of memory [bytes]; half of the machine's by default.
        batch: Settings side by side; chosen from the memory of one by default.
        progress: True for a bar with rate and time left, or a function that is called as
            ``progress(done, count, settings a second, seconds left)``.

    Returns:
        The results with their settings; ``to_xarray()``, ``to_pandas()`` and
        ``jaxwave.plot.plot_sweep`` open them.

    Raises:
        TypeError: If the function cannot be called with the settings.
        ValueError: If a name is unknown, a range has no points, settings do not go together, the
            memory does not suffice, or the folder belongs to another sweep.
        OSError: If the folder cannot be written.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxwave as jw
        >>> def width(na, n):
        ...     return 0.5 * 0.52 / jnp.minimum(na, n)
        >>> result = jw.sweep(width, {"na": [0.8, 1.2, 1.4], "n": [1.0, 1.33]})
        >>> result.values.shape
        (3, 2)
        >>> best = jw.sweep(width, {"na": (0.5, 1.5), "n": 1.33}, kind="sobol", points=64,
        ...                 reduce="argmin")
        >>> best.setting(best.values)["na"] > 1.3
        True
    """
    spots = read_points(settings, kind=kind, count=points, key=key)
    goal = target(function, arguments, [*spots.values, *spots.fixed])
    limit = _limit() if max_bytes is None else float(max_bytes)
    if batch is not None and (isinstance(batch, bool) or not isinstance(batch, int) or batch < 1):
        raise ValueError(f"{WHERE}: `batch` must be a positive integer, got {batch!r}.")
    sizes = plan(goal, spots, max_bytes=limit, batch=batch)
    chosen = None if reduce is None else _chosen(spots, sizes, limit)
    sums = None if reduce is None else reductions(reduce, chosen)
    if format not in FORMATS:
        raise ValueError(f"{WHERE}: `format` must be one of {FORMATS}, got {format!r}.")
    if folder is None and format != "npz":
        raise ValueError(f"{WHERE}: `format={format!r}` needs a `folder`.")
    style = "npz" if sums is not None else format
    store = None if folder is None else _folder(folder, goal, spots, sizes, (reduce, chosen), style)
    if store is not None:
        sizes = dataclasses.replace(sizes, **{n: store.header[n] for n in ("batch", "chunk")})
    lazy = style == "zarr" and _row_bytes(sizes) * spots.count > limit
    if sums is None and not lazy:
        _require_room(goal, spots, sizes, store, limit)
    job = Job(goal, spots, sizes, sums, limit)
    report = _Report(spots.count, progress)
    if lazy and store is not None:
        _compute(job, store, report)
        values = store.lazy(jax.tree.structure(sizes.result))
        failures = {k: v for c in range(job.chunks) for k, v in store.failures(c).items()}
    else:
        values, failures = _gathered(job, _parts(job, store, report))
    if failures:
        index, text = next(iter(failures.items()))
        given = ", ".join(f"{n}={_short(v)}" for n, v in spots.row(index).items())
        _check.warn(
            WHERE,
            f"{len(failures)} of {spots.count} settings failed; their rows are NaN, and "
            f"`failures` holds the reasons. The first one, {given}: {text}",
        )
    if sums is not None and not isinstance(reduce, Mapping | list | tuple):
        (values,) = values.values()
    place = None if store is None else str(store.path)
    return Sweep(
        goal.name, spots, values, failures, sums is not None, sizes.batch, sizes.chunk, place
    )


def _whole(sizes: Plan) -> int:
    """A chunk of whole batches on every device."""
    step = sizes.batch * jax.local_device_count()
    return max(sizes.chunk // step, 1) * step


def _short(value: np.ndarray) -> str:
    return f"{value:.6g}" if value.ndim == 0 else f"array{value.shape}"


# -- one chunk -------------------------------------------------------------------------------


class Job:
    """Computes any chunk of a sweep; compiled when the first one is asked for."""

    def __init__(
        self,
        goal: Target,
        spots: Points,
        sizes: Plan,
        sums: dict[str, Reduction] | None,
        max_bytes: float,
    ) -> None:
        self.goal, self.points, self.sizes, self.sums = goal, spots, sizes, sums
        self.max_bytes = max_bytes
        self._program: Program | None = None
        self._careful = failing.has_refusals(goal, spots)
        self._part = jax.jit(self._reduced)
        self._halved = False
        self.in_order = False  # whether the next chunk follows, so that it may begin early
        self._ahead: dict[tuple[int, int], Any] = {}

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return math.ceil(self.points.count / self.sizes.chunk)

    def count(self, chunk: int) -> int:
        """How many settings a chunk holds."""
        return min(self.sizes.chunk, self.points.count - chunk * self.sizes.chunk)

    def rows(self, chunk: int) -> dict[str, np.ndarray]:
        """The settings of a chunk."""
        first = chunk * self.sizes.chunk
        return self.points.rows(first, first + self.count(chunk))

    @property
    def structure(self) -> Any:
        """How the arrays of a chunk hang together."""
        if self.sums is None:
            return jax.tree.structure(self.sizes.result)
        shapes = jax.eval_shape(self._reduced, self._one_row(), np.ones(1, bool), 0)
        zeros = jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), shapes)
        return jax.tree.structure({n: s.host(zeros[n]) for n, s in self.sums.items()})

    def _one_row(self) -> Any:
        return jax.tree.map(
            lambda a: jax.ShapeDtypeStruct((1, *a.shape), a.dtype), self.sizes.result
        )

    def _reduced(self, values: object, valid: Any, first: Any) -> dict[str, Any]:
        assert self.sums is not None
        return {name: s.part(values, valid, first) for name, s in self.sums.items()}

    def compute(self, chunk: int) -> tuple[Any, dict[int, str]]:
        """Results or reductions of a chunk, and the messages of what failed."""
        first = chunk * self.sizes.chunk
        last = min(first + self.sizes.chunk, self.points.count)
        pieces = [*self._pieces(first, last)]
        failures = {k: text for _, found in pieces for k, text in found.items()}
        trees = [tree for tree, _ in pieces]
        if self.sums is None:
            joined = jax.tree.map(lambda *a: np.concatenate(a) if len(a) > 1 else a[0], *trees)
            return joined, failures
        total = trees[0]
        for tree in trees[1:]:
            total = {n: s.join(total[n], tree[n]) for n, s in self.sums.items()}
        return total, failures

    def _pieces(self, first: int, last: int) -> Iterator[tuple[Any, dict[int, str]]]:
        """A chunk in one go, or in two where the memory did not suffice."""
        while first < last:
            if self._program is None:
                self._program = self._compiled()
            stop = min(first + self._program.size, last)
            try:
                piece = self._piece(self._program, first, stop)
            except (jax.errors.JaxRuntimeError, MemoryError) as error:
                self._halve(error)
                continue
            yield piece
            first = stop

    def _compiled(self) -> Program:
        """The program of a chunk; the compiler may find that it needs more than the estimate."""
        sizes = self.sizes
        while True:
            program = Program(self.goal, self.points, sizes)
            if program.memory.bytes <= self.max_bytes or sizes.batch == 1:
                return program
            sizes = dataclasses.replace(sizes, batch=math.ceil(sizes.batch / 2))
            sizes = dataclasses.replace(sizes, chunk=_whole(sizes))

    def _halve(self, error: Exception) -> None:
        """Goes on with half as many settings at a time; only once."""
        if not _check.exhausted(error):
            raise error
        if self._halved or self.sizes.chunk == 1:
            raise MemoryError(
                f"{WHERE}: out of memory even with {self.sizes.batch} settings at a time. Pass a "
                "smaller `batch`, or make the function smaller."
            ) from None
        self._halved = True
        self._ahead.clear()
        small = dataclasses.replace(
            self.sizes, batch=max(self.sizes.batch // 2, 1), chunk=max(self.sizes.chunk // 2, 1)
        )
        self._program = None  # the old one is not needed beside the new one
        self._program = Program(
            self.goal, self.points, dataclasses.replace(small, chunk=_whole(small))
        )

    def _begun(self, program: Program, first: int, last: int) -> Any:
        """The results of a piece; the next one begins before anybody looks at them."""
        begun = self._ahead.pop((first, last), None)
        values = program(self.points.rows(first, last)) if begun is None else begun
        if self.in_order and last < self.points.count:
            chunk = last // self.sizes.chunk
            end = chunk * self.sizes.chunk + self.count(chunk)
            following = last, min(last + program.size, end)
            self._ahead = {following: program(self.points.rows(*following))}
        return values

    def _piece(self, program: Program, first: int, last: int) -> tuple[Any, dict[int, str]]:
        values = self._begun(program, first, last)
        finite = finite_rows(values)[: last - first]
        failures: dict[int, str] = {}
        if self._careful:
            reasons = {k: failing.refusal(self.goal, self.points, k) for k in range(first, last)}
            failures = {k: text for k, text in reasons.items() if text}
        for k in first + np.flatnonzero(~finite):
            if int(k) not in failures:
                row = jax.tree.map(lambda v, k=k: np.asarray(v[k - first]), values)
                failures[int(k)] = failing.not_finite(row)
        failures = dict(sorted(failures.items()))
        if self.sums is not None:
            valid = np.zeros(program.size, bool)
            valid[: last - first] = True
            valid[[k - first for k in failures]] = False
            part = jax.device_get(self._part(values, valid, first))
            return {n: s.host(part[n]) for n, s in self.sums.items()}, failures
        kept = jax.tree.map(lambda v: np.asarray(v)[: last - first], values)
        if failures:
            kept = jax.tree.map(np.array, kept)
            for leaf in jax.tree.leaves(kept):
                for k in failures:
                    failing.erase(leaf, k - first)
        return kept, failures


# -- all of them -----------------------------------------------------------------------------


def _parts(
    job: Job, store: Folder | None, report: _Report
) -> Iterator[tuple[int, Any, dict[int, str]]]:
    """All chunks in order, computed or read."""
    if store is None:
        job.in_order = True
        with report:
            for chunk in range(job.chunks):
                tree, failures = job.compute(chunk)
                report.add(job.count(chunk))
                yield chunk, tree, failures
        return
    _compute(job, store, report)
    structure = job.structure
    for chunk in range(job.chunks):
        yield chunk, *store.load(chunk, structure)


def _compute(job: Job, store: Folder, report: _Report) -> None:
    """Computes what is not there yet, together with every other process on the folder."""
    with report, Worker(store.path, job.chunks, store.has) as worker:
        known = 0
        for chunk in worker:
            others = store.done() - known
            report.add(others * job.sizes.chunk, computed=False)
            store.save(chunk, *job.compute(chunk), job.rows(chunk))
            report.add(job.count(chunk))
            known += others + 1
        report.end()


def _gathered(
    job: Job, parts: Iterable[tuple[int, Any, dict[int, str]]]
) -> tuple[Any, dict[int, str]]:
    """Joins the chunks."""
    failures: dict[int, str] = {}
    total: Any = None
    if job.sums is None:
        total = jax.tree.map(
            lambda a: np.empty((job.points.count, *a.shape), a.dtype), job.sizes.result
        )
    for chunk, tree, found in parts:
        failures |= found
        if job.sums is not None:
            total = tree if total is None else _joined(job.sums, total, tree)
            continue
        first = chunk * job.sizes.chunk
        for all_rows, rows in zip(jax.tree.leaves(total), jax.tree.leaves(tree), strict=True):
            all_rows[first : first + len(rows)] = rows
    if job.sums is not None:
        return {n: s.finish(total[n]) for n, s in job.sums.items()}, failures
    shape = job.points.shape
    return jax.tree.map(lambda v: v.reshape(*shape, *v.shape[1:]), total), failures


def _joined(sums: dict[str, Reduction], a: Any, b: Any) -> Any:
    return {name: s.join(a[name], b[name]) for name, s in sums.items()}


FORMATS = ("npz", "zarr")


def _folder(
    path: str | os.PathLike, goal: Target, spots: Points, sizes: Plan, reduce: Any, form: str
) -> Folder:
    options = (*reduce, form, str(jnp.result_type(float)))
    content = (goal.identity, dataclasses.astuple(spots), options)
    shapes = jax.tree.map(lambda a: f"{a.dtype}{a.shape}", sizes.result)
    text = f"{goal.name} over {', '.join(spots.values)}, {spots.count} settings"
    header = {
        "text": text,
        "kind": spots.kind,
        "settings": spots.count,
        "batch": sizes.batch,
        "chunk": sizes.chunk,
        "results": jax.tree.leaves(shapes),
    }
    rows = None
    if form == "zarr":
        given = {name: jax.ShapeDtypeStruct(v.shape, v.dtype) for name, v in spots.row(0).items()}
        given = {name: given[name] for name in spots.values}
        found = named(sizes.result)
        rows = given | {n if n not in given else f"{VALUE}_{n}": v for n, v in found.items()}
    digest = fingerprint((content, jax.__version__, _package()))
    return Folder(path, goal.name, digest, header, rows, [*spots.values])


def _package() -> Any:
    return sweep  # stands for the sources of jaxwave


def _chosen(spots: Points, sizes: Plan, limit: float) -> np.ndarray | None:
    """The settings whose results make quantiles, or None where all of them fit."""
    most = max(int(limit / 4 / max(_row_bytes(sizes), 1)), 1)
    if most >= spots.count:
        return None
    # Not every so-many-th one: that would follow an axis of a grid.
    return np.unique(np.random.default_rng(0).integers(0, spots.count, most))


def _row_bytes(sizes: Plan) -> int:
    leaves = jax.tree.leaves(sizes.result)
    return sum(math.prod(a.shape) * a.dtype.itemsize for a in leaves)


def _require_room(
    goal: Target, spots: Points, sizes: Plan, store: Folder | None, limit: float
) -> None:
    need = _row_bytes(sizes) * spots.count
    if need > limit:
        raise ValueError(
            f"{WHERE}: {spots.count} results of {goal.name}() need {size_text(need)}, more than "
            f"the limit of {size_text(limit)}. Keep less of them with `reduce`, write them to a "
            '`folder` with `format="zarr"`, or pass a larger `max_bytes`.'
        )


def _limit() -> float:
    """Half of the memory that results are made in."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return _SHARE * stats["bytes_limit"]
    try:
        return _SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _SHARE * _UNKNOWN


class _Report(contextlib.AbstractContextManager):
    """Tells how many settings are done, how fast, and for how long it will go on."""

    def __init__(self, count: int, progress: Progress | bool) -> None:
        self._count, self._done, self._computed = count, 0, 0
        self._call = progress if callable(progress) else None
        self._bar: Any = None
        self._start = time.monotonic()  # no clock that somebody sets
        if progress is True:
            self._bar = _notebook.bar(total=count, unit=" settings")

    def add(self, count: int, *, computed: bool = True) -> None:
        """Counts settings that are done; those of other processes say nothing about speed."""
        count = min(count, self._count - self._done)
        if count == 0:
            return
        self._done += count
        self._computed += count * computed
        if self._bar is not None:
            if not computed:
                self._bar.initial += count
            self._bar.update(count)
        if self._call is not None:
            rate = self._computed / max(time.monotonic() - self._start, 1e-9)
            left = (self._count - self._done) / rate if rate else math.inf
            self._call(self._done, self._count, rate, left)

    def end(self) -> None:
        """Counts what others have done since."""
        if self._done < self._count:
            self.add(self._count - self._done, computed=False)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
