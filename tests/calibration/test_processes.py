"""One calibration in many processes: the same numbers, and what happens if one of them dies.

The processes run the script of the documentation under `jax.distributed`, each with one thread.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from calibration import many_calls

from jaxwave.calibration import least_squares
from jaxwave.calibration._spread import Common, samples_of, spread, two_samples

SCRIPT = Path(__file__).parents[2] / "docs" / "how_to" / "many_processes.py"
CALLS = Path(many_calls.__file__)
FLAGS = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"  # one thread

slow = pytest.mark.slow


def started(count: int, *options: str, script: Path = SCRIPT) -> list[subprocess.Popen]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "XLA_FLAGS": FLAGS, "OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
    line = [sys.executable, str(script)]
    rest = [str(count), "--address", f"127.0.0.1:{port}", *options]
    return [
        subprocess.Popen(
            [*line, str(k), *rest],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for k in range(count)
    ]


def ended(processes: list[subprocess.Popen], seconds: float = 300) -> list[str]:
    """What they wrote, once all have ended by themselves."""
    try:
        return [p.communicate(timeout=seconds)[0] for p in processes]
    finally:
        for p in processes:
            p.kill()
            p.wait()
            p.stdout.close()


def numbers(text: str) -> np.ndarray:
    rows = [line.split()[1:] for line in text.splitlines() if line.startswith(("modes", "depths"))]
    assert len(rows) == 2, text
    return np.array([float(x) for row in rows for x in row])


@pytest.fixture(scope="module")
def alone() -> np.ndarray:
    return numbers(ended(started(1))[0])


@slow
def test_one_process_finds_the_truth(alone):
    assert alone[:3] == pytest.approx([0.5, -0.3, 0.2], abs=0.03)
    assert alone[3:] == pytest.approx(np.linspace(0.5, 3, 7), abs=0.03)


@slow
@pytest.mark.parametrize("count", [2, 4])
def test_many_processes_find_the_same(alone, count):
    texts = ended(processes := started(count))
    assert [p.returncode for p in processes] == [0] * count, texts
    assert numbers(texts[0]) == pytest.approx(alone, rel=1e-5, abs=1e-6)
    assert all("modes" not in text and "calibration" not in text for text in texts[1:]), texts


def when_saved(folder: Path, processes: list[subprocess.Popen]) -> None:
    """Waits until the run is well on its way."""
    end = time.monotonic() + 120
    while not (folder / "state.previous.npz").exists():
        assert time.monotonic() < end and all(p.poll() is None for p in processes)
        time.sleep(0.05)


@slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_peer_ends_the_others_in_seconds_and_the_run_goes_on(alone, victim, tmp_path):
    processes = started(2, "--folder", str(tmp_path), "--slow", "0.3")
    when_saved(tmp_path, processes)
    processes[victim].send_signal(signal.SIGKILL)
    began = time.monotonic()
    texts = ended(processes, 30)
    assert time.monotonic() - began < 20
    assert all(p.returncode != 0 for p in processes)
    if victim == 1:
        assert "another process of this calibration has ended" in texts[0], texts
        assert f"steps is in '{tmp_path}'" in texts[0], texts
    # One process goes on with what two have begun.
    assert numbers(ended(started(1, "--folder", str(tmp_path)))[0]) == pytest.approx(
        alone, rel=1e-5, abs=1e-6
    )


@slow
def test_a_signal_to_one_process_stops_all_with_the_state_saved(tmp_path):
    processes = started(2, "--folder", str(tmp_path), "--slow", "0.3", "--steps", "200")
    when_saved(tmp_path, processes)
    processes[1].send_signal(signal.SIGTERM)
    texts = ended(processes, 30)
    assert [p.returncode for p in processes] == [143, 143], texts


@slow
def test_means_and_minibatches_are_those_of_one_process(tmp_path):
    texts = ended(started(2, "--out", str(tmp_path), script=CALLS))
    found = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("*.json"))]
    assert len(found) == 2, texts
    for name, expected in many_calls.results().items():
        for one in found:
            assert one["results"][name] == pytest.approx(expected, rel=1e-5, abs=1e-6), name
    for one in found:
        assert one["joined"] == pytest.approx([31 / 6, 31 / 6 - 0.0299], rel=1e-4)
        neither, other = one["refused"][:2]
        assert "must be a sum or a mean over the samples" in neither
        assert "`data` of process 1 is not that of process 0" in other


def test_what_every_sample_needs_is_not_shared_out():
    """A basis with as many modes as there are samples."""
    data = {"basis": Common(np.ones((3, 8, 8))), "image": np.ones((3, 4)), "scale": np.float32(2)}
    leaves, _, dealt, count = samples_of({}, data)
    assert (count, dealt) == (3, (False, True, False))
    assert [a.shape for a in two_samples(leaves, dealt)] == [(3, 8, 8), (2, 4), ()]
    with pytest.raises(ValueError, match="must hold the samples"):
        samples_of({}, {"scale": np.float32(2)})


@pytest.mark.parametrize("kind", ["sum", "mean", "squares"])
def test_one_device_has_all_samples(kind):
    """Sums and means are told apart, and the loss is that of the function."""
    data = np.arange(5.0, dtype=np.float32)
    losses = {
        "sum": lambda model, d: jnp.sum((model["a"] - d) ** 2),
        "mean": lambda model, d: jnp.mean((model["a"] - d) ** 2),
        "squares": least_squares(lambda model, d: model["a"] - d),
    }
    model = {"a": jnp.float32(0.5)}
    whole, shares = spread(losses[kind], model, data)
    assert whole.mean == (kind == "mean")
    expected = losses[kind](model, data)
    rows = whole.rows(model, shares) if kind == "squares" else None
    found = whole(model, shares) if rows is None else jnp.sum(rows**2) / 2
    assert float(found) == pytest.approx(float(expected))
