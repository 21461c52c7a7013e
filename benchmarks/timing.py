"""Interleaved CPU-time medians: every contestant runs once per round, in one process."""

import statistics
import time
from collections.abc import Callable

import jax
import numpy as np
from journal import record


def finish(result: object) -> None:
    """Waits for a JAX result; other results are ready when they are returned."""
    jax.block_until_ready(result)


def cpu_times(contestants: dict[str, Callable[[], object]], rounds: int = 15) -> dict[str, float]:
    """Median CPU time of each contestant, summed over threads [ms]."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for call in contestants.values():
        finish(call())  # compile, allocate
        finish(call())
    for _ in range(rounds):
        for name, call in contestants.items():
            start = time.process_time()
            finish(call())
            times[name].append(1e3 * (time.process_time() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def relative_error(a: object, b: object) -> float:
    """Relative L2 difference of two arrays."""
    a, b = np.asarray(a), np.asarray(b)
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def report(title: str, times: dict[str, float], ours: str, goals: dict[str, float]) -> None:
    """Prints milliseconds and the ratio peer / ours beside its goal."""
    record(title, times, ours, goals)
    print(f"\n{title}")
    for name, value in times.items():
        line = f"  {name:44s} {value:9.2f} ms"
        if name != ours:
            line += f"   peer/ours {value / times[ours]:6.2f}"
        if name in goals:
            line += f"   (goal {goals[name]:g})"
        print(line)
