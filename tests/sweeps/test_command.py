"""The command ``jaxwave sweep``: its file, its workers, its exit codes."""

import csv
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxwave.cli import sweep_job
from jaxwave.cli.main import main
from jaxwave.cli.settings import UsageError

MODEL = """
import jax.numpy as jnp
def image(a, b):
    return {"total": jnp.sum(jnp.arange(4.0) * a) + jnp.sqrt(b)}
"""
JOB = """
function = "model.py:image"
folder = "out"
[settings]
a = {start = 0.0, stop = 1.0, points = 5}
b = [4.0, 9.0]
"""
NEED = 6 * np.linspace(0, 1, 5)[:, None] + [2.0, 3.0]


@pytest.fixture
def job(tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "job.toml").write_text(JOB)
    return tmp_path / "job.toml"


def result_of(folder):
    (path,) = folder.glob("out/image-*/result.npz")
    return np.load(path)


def test_one_worker(job, capsys):
    assert main(["sweep", str(job)]) == 0
    result = result_of(job.parent)
    np.testing.assert_allclose(result["total"], NEED, rtol=1e-6)
    np.testing.assert_allclose(result["settings.a"], np.linspace(0, 1, 5))
    assert "a (5) x b (2), 10 settings" in capsys.readouterr().out
    job.write_text(
        'kind = "list"\nreduce = "max"\nout = "best.npz"\n'
        + JOB.replace("points = 5", "points = 2")
    )
    assert main(["sweep", str(job)]) == 0
    assert "total 9.0" in capsys.readouterr().out and (job.parent / "best.npz").is_file()


def test_settings_that_fail_and_a_table(job, capsys):
    pytest.importorskip("pandas")
    job.write_text('out = "table.csv"\n' + JOB.replace("4.0", "-4.0"))
    assert main(["sweep", str(job)]) == 3
    with (job.parent / "table.csv").open() as stream:
        rows = [*csv.DictReader(stream)]
    assert len(rows) == 10 and rows[0]["total"] == "" and "not finite" in rows[0]["message"]
    assert float(rows[1]["total"]) == 3.0 and "5 of 10 settings failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'function' is missing"),
        ('function = "model.py:image"', "'settings' is missing"),
        (JOB.replace("folder", "foldr"), "unknown key 'foldr'. Did you mean 'folder'"),
        (JOB.replace("model.py:image", "image"), "'function' must be"),
        (JOB.replace("model.py:image", "modell.py:image"), "there is no file"),
        (JOB.replace("stop", "end"), "or a range such as"),
        (JOB.replace("points = 5", "points = 0"), "at least 1 point"),
        (JOB.replace("stop = 1.0", 'stop = "x"'), "from a number to a number"),
        (JOB.replace('"out"', "3"), "'folder' must be a folder"),
        ("function = ", "is no TOML file"),
    ],
)
def test_bad_files(job, text, message):
    job.write_text(text)
    with pytest.raises(UsageError, match=message):
        sweep_job.read(str(job))


def test_bad_calls(job, capsys):
    assert main(["sweep", str(job), "--workers", "0"]) == 2
    assert main(["sweep", str(job.parent / "none.toml")]) == 2
    job.write_text(JOB.replace(":image", ":imag"))
    assert main(["sweep", str(job)]) == 2
    job.write_text(JOB.replace("a = {", "aa = {"))
    assert main(["sweep", str(job)]) == 1
    errors = capsys.readouterr().err
    for text in ("at least 1, got 0", "cannot read", "no function 'imag'", "Did you mean 'a'"):
        assert text in errors


@pytest.mark.slow
def test_many_workers_here(job):
    command = [sys.executable, "-m", "jaxwave", "sweep", str(job), "--workers", "2"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    np.testing.assert_allclose(result_of(job.parent)["total"], NEED, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of submitit
def test_workers_of_a_cluster(job):
    pytest.importorskip("submitit")
    job.write_text(JOB + "[cluster]\ntimeout_min = 5\n")
    command = [sys.executable, "-m", "jaxwave", "sweep", str(job), "--cluster", "local"]
    run = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert run.returncode == 0, run.stderr
    assert "1 worker submitted" in run.stdout
    deadline = time.monotonic() + 200
    while not [*job.parent.glob("out/image-*/chunks/*.npz")]:
        assert time.monotonic() < deadline, [p.read_text() for p in job.parent.rglob("*.err")]
        time.sleep(0.2)
    assert main(["sweep", str(job)]) == 0
    np.testing.assert_allclose(result_of(job.parent)["total"], NEED, rtol=1e-6)
