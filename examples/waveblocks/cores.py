"""Truths are found on every core."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor

import jaxwave as jw


def found(one: Callable[[int], dict], numbers: range) -> Iterator[dict]:
    """What is found of every truth, in order; a process is begun where it has eight of them."""
    cores = min(os.cpu_count() or 1, len(numbers) // 8)
    try:
        if cores < 2:
            yield from map(one, numbers)
            return
        fresh = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(cores, mp_context=fresh, initializer=keep_to_one_core) as pool:
            yield from pool.map(one, numbers)
    except KeyboardInterrupt:
        raise SystemExit("stopped; the same command goes on after the last truth") from None


def keep_to_one_core() -> None:
    """A process of several leaves the other cores and Ctrl-C to others; before it computes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    flag = "--xla_cpu_multi_thread_eigen=false"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
    jw.tune_cpu()
