"""The command ``sweep``: workers on one folder, here or on a cluster, and the result of all."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxwave.cli import terminal
from jaxwave.cli.settings import UsageError
from jaxwave.cli.sweep_job import Job
from jaxwave.sweeps import Sweep
from jaxwave.sweeps import sweep as run

_SOME_FAILED, _ALL_FAILED = 3, 1


def sweep(arguments: argparse.Namespace) -> int:
    """Computes a sweep, alone or as one of many workers."""
    job: Job = arguments.settings
    if arguments.cluster is not None:
        return _submit(arguments, job)
    others = [_start(arguments.job) for _ in range(arguments.workers - 1)]
    try:
        result = _result(job, arguments.workers, progress=sys.stderr.isatty())
    finally:
        for process in others:
            process.wait()
    if os.environ.get(_WORKER):
        return 0
    return _tell(job, result)


_WORKER = "JAXWAVE_SWEEP_WORKERS"  # tells a process that it is one of so many


def _start(path: str) -> subprocess.Popen:
    """One more process on the same folder; what it has to say, the first one says."""
    command = [sys.executable, "-m", "jaxwave", "sweep", path]
    silent = subprocess.DEVNULL
    environment = {**os.environ, _WORKER: "1"}
    return subprocess.Popen(command, stdout=silent, stderr=silent, env=environment)


def _submit(arguments: argparse.Namespace, job: Job) -> int:
    """Hands the workers to a cluster."""
    try:
        submitit = importlib.import_module("submitit")
    except ImportError:
        raise UsageError(
            '--cluster needs the package submitit. Run pip install "jaxwave[cluster]".'
        ) from None
    executor = submitit.AutoExecutor(folder=job.folder / "submitit", cluster=arguments.cluster)
    executor.update_parameters(**job.values.get("cluster", {}))
    path = str(Path(arguments.job).resolve())
    command = [sys.executable, "-m", "jaxwave", "sweep", path]
    function = submitit.helpers.CommandFunction(command, env={_WORKER: "1"})
    with executor.batch():
        jobs = [executor.submit(function) for _ in range(arguments.workers)]
    numbers = ", ".join(str(j.job_id) for j in jobs)
    terminal.say(f"{terminal.count(len(jobs), 'worker')} submitted: {numbers}")
    terminal.say(f"jaxwave sweep {arguments.job} joins them, and writes the result of all")
    return 0


def _result(job: Job, workers: int, *, progress: bool) -> Sweep:
    options = {n: job.values[n] for n in _OPTIONS if n in job.values}
    if "key" in job.values:
        options["key"] = jax.random.key(job.values["key"])
    return run(
        _function(job), job.values["settings"], folder=job.folder, progress=progress, **options
    )


_OPTIONS = ("kind", "points", "reduce", "max_bytes", "batch", "format")


def _function(job: Job) -> Any:
    """The function or the model that the file names."""
    if str(job.place) not in sys.path:
        sys.path.insert(0, str(job.place))
    if job.module.endswith(".py"):
        path = job.place / job.module
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(job.module)
    if not hasattr(module, job.name):
        raise UsageError(f"{job.module!r} has no function {job.name!r}.")
    return getattr(module, job.name)


def _tell(job: Job, result: Sweep) -> int:
    """Writes the result beside the chunks, or where the file says, and prints what it is."""
    assert result.folder is not None
    place = job.values.get("out")
    path = Path(result.folder) / "result.npz" if place is None else job.place / place
    result.save(path)
    terminal.say(result)
    if result.reduced:
        for name, value in _small(result.values).items():
            terminal.say(f"{name} {value}")
    terminal.say(path)
    if not result.failures:
        return 0
    return _ALL_FAILED if len(result.failures) == result.points.count else _SOME_FAILED


def _small(values: ArrayLike) -> dict[str, Any]:
    """Single numbers among the results."""
    from jaxwave.sweeps.result import named

    return {n: np.asarray(v).item() for n, v in named(values).items() if np.size(v) == 1}
