"""Many processes on one folder: nothing lost, nothing twice, whoever is killed and when."""

import collections
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import jaxwave as jw
from jaxwave.sweeps import claims, program
from jaxwave.sweeps.claims import Worker

# A worker without JAX, which starts in a moment; the packages run no code of theirs.
WORKER = """
import importlib.util, os, sys, time
for name in ("jaxwave", "jaxwave.sweeps"):
    sys.modules[name] = importlib.util.module_from_spec(importlib.util.find_spec(name))
from pathlib import Path
from jaxwave import _files
from jaxwave.sweeps import claims
folder, chunks, me = Path(sys.argv[1]), int(sys.argv[2]), os.getpid()
if sys.argv[3] == "without locks":
    claims.fcntl, claims.BEAT, claims.PATIENCE = None, 0.02, 0.5
claims.WAIT = 0.02
log = os.open(folder / "log", os.O_WRONLY | os.O_APPEND)
def file(chunk): return folder / "chunks" / f"{chunk:08d}.npz"
with claims.Worker(folder, chunks, lambda chunk: file(chunk).exists()) as worker:
    for chunk in worker:
        os.write(log, f"begin {chunk} {me}\\n".encode())
        time.sleep(0.004)
        _files.atomic("test", file(chunk), lambda stream: stream.write(str(me).encode()))
        os.write(log, f"end {chunk} {me}\\n".encode())
"""


def prepared(folder, chunks):
    (folder / "chunks").mkdir()
    (folder / "log").touch()
    claims.prepare(folder, chunks)


def start(folder, chunks, locks="with locks"):
    command = [sys.executable, "-c", WORKER, str(folder), str(chunks), locks]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def finish(processes):
    for process in processes:
        _, error = process.communicate(timeout=100)
        assert process.returncode in (0, -signal.SIGKILL), error


def checked(folder, chunks, killed):
    """Every chunk is there, and only what a killed worker had not finished was begun again."""
    files = sorted((folder / "chunks").iterdir())
    assert [p.name for p in files] == [f"{k:08d}.npz" for k in range(chunks)]
    began = collections.defaultdict(list)
    for line in (folder / "log").read_text().splitlines():
        word, chunk, who = line.split()
        if word == "begin":
            began[int(chunk)].append(int(who))
    for chunk, who in began.items():
        assert who[-1] == int(files[chunk].read_text()), "somebody computed a finished chunk"
        assert {*who[:-1]} <= killed, f"chunk {chunk} was computed twice: {who}"
    assert len(began) == chunks
    assert not [*(folder / "todo").iterdir()] and not [*(folder / "taken").iterdir()]


def test_workers_that_are_killed_lose_nothing(tmp_path):
    chunks, dice, killed = 400, random.Random(5), set()
    prepared(tmp_path, chunks)
    running = [start(tmp_path, chunks) for _ in range(3)]
    ended = []
    for _ in range(20):
        # Not before its log has a line of it: it holds a chunk, in whatever state.
        victim = dice.choice(running)
        while f" {victim.pid}\n" not in (tmp_path / "log").read_text():
            time.sleep(0.005)
            assert victim.poll() is None, "the chunks were done before the worker began"
        time.sleep(dice.random() * 0.02)
        victim.send_signal(signal.SIGKILL)
        killed.add(victim.pid)
        running.remove(victim)
        ended.append(victim)
        running.append(start(tmp_path, chunks))
    finish(running + ended)
    checked(tmp_path, chunks, killed)
    assert len(killed) == 20


def test_without_locks_a_number_that_is_counted_up_shows_life(tmp_path):
    prepared(tmp_path, 60)
    running = [start(tmp_path, 60, "without locks") for _ in range(2)]
    while " " not in (tmp_path / "log").read_text():
        time.sleep(0.005)
    who = int((tmp_path / "log").read_text().split()[2])
    os.kill(who, signal.SIGKILL)
    finish(running)
    checked(tmp_path, 60, {who})


def test_a_worker_without_a_chunk_ends_and_one_that_stops_gives_back(tmp_path):
    prepared(tmp_path, 2)
    done = set()
    with Worker(tmp_path, 2, done.__contains__) as first:
        chunks = iter(first)
        done.add(next(chunks))
        assert next(chunks) == 1
        with pytest.raises(KeyboardInterrupt), Worker(tmp_path, 2, done.__contains__) as second:
            assert not second._free()  # the other one's chunk is neither free nor abandoned
            assert not second._is_dead(first.name)
            raise KeyboardInterrupt
    assert [p.name for p in (tmp_path / "todo").iterdir()] == ["00000001"]
    assert [p.name for p in (tmp_path / "workers").iterdir()] == [".door"]
    with Worker(tmp_path, 2, done.__contains__) as third:
        for chunk in third:
            done.add(chunk)
    assert done == {0, 1}
    with Worker(tmp_path, 2, done.__contains__) as idle:
        assert [*idle] == []
    done.remove(0)  # a file that somebody deleted
    with Worker(tmp_path, 2, done.__contains__) as mending:
        for chunk in mending:
            done.add(chunk)
    assert done == {0, 1}


SWEEP = """
import sys, jax.numpy as jnp, numpy as np, jaxwave as jw
from jaxwave.sweeps import program
program._MOST_CHUNK, program._MOST_BATCH = 40, 8
def simulate(a, b): return {"sum": jnp.sum(jnp.arange(5.0) * a) + b}
settings = {"a": np.linspace(0, 1, 50), "b": [1.0, 2.0]}
result = jw.sweep(simulate, settings, folder=sys.argv[1])
print(result.folder)
np.save(sys.argv[2], result.values["sum"])
"""


@pytest.mark.slow
def test_two_processes_with_the_same_line_share_the_work(tmp_path):
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", SWEEP, str(tmp_path / "out"), str(tmp_path / f"{k}.npy")],
            stdout=subprocess.PIPE,
            text=True,
        )
        for k in range(2)
    ]
    folders = {process.communicate(timeout=300)[0] for process in runs}
    assert len(folders) == 1, "the processes found different names for the same sweep"
    a, b = (np.load(tmp_path / f"{k}.npy") for k in range(2))
    np.testing.assert_array_equal(a, b)
    need = 10 * np.linspace(0, 1, 50)[:, None] + [1.0, 2.0]
    np.testing.assert_allclose(a, need, rtol=1e-6)


def test_progress_counts_what_others_did(tmp_path, monkeypatch):
    monkeypatch.setattr(program, "_MOST_CHUNK", 2)
    monkeypatch.setattr(program, "_MOST_BATCH", 2)
    reports = []

    def line():
        return jw.sweep(
            lambda a: 2 * a,
            {"a": np.arange(5.0)},
            folder=tmp_path,
            progress=lambda *r: reports.append(r),
        )

    folder = line().folder
    assert [r[0] for r in reports] == [2, 4, 5]
    chunk = sorted((tmp_path / folder / "chunks").iterdir())[1]
    chunk.unlink()
    reports.clear()
    np.testing.assert_array_equal(line().values, 2 * np.arange(5))
    assert [r[0] for r in reports] == [4, 5], "two chunks were there, one was computed"
