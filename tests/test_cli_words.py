"""What the command line says: its own flags, at once, in one line, on any terminal."""

import os
import platform
import re
import subprocess
import sys
import textwrap
import time
import types
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxwave import _alarms, psf
from jaxwave import io as jio
from jaxwave.cli import batch, cache, checks, finding, options, progress, terminal
from jaxwave.cli.main import main
from jaxwave.cli.settings import gather

ROOT = Path(__file__).parents[1]
OPTICS = ["--na", "0.8", "--wavelength", "500 nm"]
VOXEL = ["--pixel", "130 nm", "--dz", "0.35 um"]


# -- before JAX ----------------------------------------------------------------------------

WRONG = [
    ["calibrate", "--modle", "scalar"],
    ["calibrate", "no.tif", *OPTICS],
    ["calibrate", "a.tif", "--na", "1.2", "--wavelength", "500 nm"],
    ["calibrate", "a.tif", "--na", "0.8", "--wavelength", "520 m"],
    ["calibrate", "a.tif", *OPTICS, "--pixel", "130"],
    ["calibrate", "*.tif", *OPTICS],
    ["resume", "."],
    ["export", ".", "--psf", "a.png"],
    ["psf", "--na", "0.8"],
]


@pytest.mark.slow
def test_wrong_arguments_are_told_before_jax_is_loaded(tmp_path):
    """One process makes all the mistakes; what would cost seconds is not imported for any."""
    program = f"""
        import io, sys
        sys.path.insert(0, {str(ROOT)!r})
        import jaxwave_start
        codes = []
        for words in {WRONG!r}:
            sys.argv = ["jaxwave", *words]
            sys.modules.pop("jaxwave", None)
            codes.append(jaxwave_start.main())
        print(codes, "jax" in sys.modules, "numpy" in sys.modules)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert run.stdout.split("] ")[1].strip() == "False False", run.stdout + run.stderr
    assert run.stdout.startswith(str([2] * len(WRONG)))
    assert len(run.stderr.splitlines()) == len(WRONG)


@pytest.mark.slow
def test_the_command_starts_and_names_a_missing_package(tmp_path):
    """JAX is loaded in the middle of the command; what is not installed is named."""
    program = f"""
        import sys
        sys.path.insert(0, {str(ROOT)!r})
        sys.modules["flax"] = None
        import jaxwave_start
        sys.argv = ["jaxwave", "psf", *{[*OPTICS, *VOXEL]!r}]
        code = jaxwave_start.main()
        import jaxwave
        print(code, jaxwave.thin_lens.__name__, jaxwave.__version__ != "")
    """
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    command = [sys.executable, "-c", textwrap.dedent(program)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert run.stdout == "1 thin_lens True\n", run.stderr
    assert run.stderr.count("\n") == 1
    assert 'needs flax, which is not installed. Run pip install "jaxwave[all]".' in run.stderr
    assert (tmp_path / "jaxwave" / "compiled").is_dir()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.tif", "--na", "0.8", "--wavelength", "520 m"], "between 0.1 and 20 µm"),
        (["a.tif", "--na", "0.8", "--wavelength", "520e-9"], "--wavelength '5.2e-07 m'"),
        (["a.tif", *OPTICS, "--pixel", "130"], "looks like nanometres. Pass --pixel '130 nm'"),
        (["a.tif", *OPTICS, "--dz", "-0.3"], "--dz must be positive"),
        (["a.tif", *OPTICS, "--n-s", "1.3", "--t-s", "-1"], "--t-s must be zero or more"),
        (["a.tif", *OPTICS, "--t-s", "2"], "--t-s matters only behind an interface; pass --n-s"),
        (["a.tif", *OPTICS, "--select", "C"], "--select must look like C=0, got 'C'"),
        (["a.tif", *OPTICS, "--na", "nan"], "--na must be positive"),
        (["beds.npy", *OPTICS], "Did you mean 'beads.npy'?"),
        (["nowhere/beads.npy", *OPTICS], "there is no folder"),
        (["a.tif", *OPTICS, "--max-bytes"], "--max-bytes: expected one argument"),
        (["a.tif", *OPTICS, "--wavelenth", "1"], "Did you mean --wavelength?"),
        (["a.tif", "--NA", "0.8"], "Did you mean --na?"),
        (["a.tif", *OPTICS, "--lambda", "0.5"], "Did you mean --wavelength?"),
        (["a.tif", *OPTICS, "--pixel_size", "0.1"], "Did you mean --pixel?"),
        (["a.tif", *OPTICS, "--channel", "1"], "Did you mean --select?"),
        (["a.tif", *OPTICS, "--pixel", "130", "nm"], "one word: '130 nm' in quotes, or 130nm"),
        (["a.tif", *OPTICS, "--na", "0,8"], "--na must be a number, got '0,8'. Write 0.8."),
        (["a.tif", *OPTICS, "--dz", "300"], "the depth of focus is 1.2 µm"),
        (["a.tif", *OPTICS, "--known", "2,2=15"], "such as '2,2=15 nm', got '2,2=15'"),
        (["a.tif", *OPTICS, "--known", "2,2=15 mm"], "15000 µm is more than an aberration has"),
        (["a.tif", *OPTICS, "--camera-gain", "0"], "--camera-gain must be positive, got 0"),
        (["a.tif", *OPTICS, "--read-noise", "2"], "--camera-gain is needed with --read-noise"),
        (["a.tif", *OPTICS, "--read-noise", "-1"], "--read-noise must be zero or more, got -1"),
        (
            ["a.tif", *OPTICS, "--camera-gain", "1", "--quantum-efficiency", "82"],
            "at most 1, got 82. Pass 0.82 for 82 %.",
        ),
        (["a.tif", *OPTICS, "--excess-noise", "0.5"], "--excess-noise must be 1 or more, got 0.5"),
        (["a.tif", *OPTICS, "--camera-offset", "inf"], "--camera-offset must be a finite number"),
        (["a.tif", *OPTICS, "--n-g", "15.2"], "--n-g is a refractive index and must lie between"),
        (["a.tif", *OPTICS, "--n-g", "1.5", "--t-g", "0.17"], "Pass --t-g '0.17 mm'."),
        (["a.tif", *OPTICS, "--bead", "100"], "Pass --bead '100 nm' if it is in nanometers"),
        (["a.tif", *OPTICS, "--blur", "60 mm"], "--blur is 60000 µm as it was given"),
    ],
)
def test_flags_are_named(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.tif").touch()
    (tmp_path / "beads.npy").touch()
    assert main(["calibrate", *words]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_a_command_that_is_mistyped(capsys):
    assert main(["calibrat", "a.tif"]) == 2
    assert "Did you mean calibrate?" in capsys.readouterr().err


# -- messages of the functions -------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "read_stack: `pixel` is needed. Pass it as text, such as pixel='130 nm'.",
            "--pixel is needed. Pass it as text, such as --pixel '130 nm'.",
        ),
        ("find_beads: x. Pass nan='mask' to leave", "x. Pass --nan mask to leave"),
        ("A: B: choose select={'C': 0, 'T': -1}.", "choose --select C=0 T=-1."),
        ("x; missing='trim' keeps", "x; --missing trim keeps"),
        ("Pass a larger `max_bytes` if", "Pass a larger --max-bytes if"),
        ("Pass axes='ZYX' if", "Pass --axes ZYX if"),
        ("job.toml: `na`: must be", "job.toml: --na: must be"),
        ("its image differs from its pixel", "its image differs from its pixel"),
    ],
)
def test_messages_speak_of_flags(said, shown):
    assert terminal.in_flags(said, options.CALIBRATE) == shown


def test_too_little_memory_is_told_with_what_would_do():
    said = "RESOURCE_EXHAUSTED: Out of memory allocating 17179869184 bytes."
    for table, fix in (
        (options.CALIBRATE, "--size or --order"),
        (options.PSF, "--size or --planes"),
    ):
        shown = terminal.in_flags(said, table)
        assert shown == (
            "there is not enough memory (17.2 GB more were needed). Pass a smaller "
            f"{fix}; half the --size needs a quarter."
        )
    shown = terminal.in_flags("RESOURCE_EXHAUSTED: x", options.CALIBRATE, size=49)
    assert "Pass --size 24, which needs a quarter, or a smaller --order." in shown


def test_a_whole_message_of_the_reader(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.ones((5, 16, 16), np.float32) * np.nan)
    np.save(tmp_path / "b.npy", np.ones((2, 5, 16, 16)))
    out = ["-o", str(tmp_path / "out")]
    assert main(["calibrate", str(tmp_path / "a.npy"), *OPTICS, *out]) == 1
    assert "such as --dz '300 nm'" in capsys.readouterr().err
    words = [str(tmp_path / "b.npy"), *OPTICS, *VOXEL, "--axes", "CZYX", *out]
    assert main(["calibrate", *words]) == 1
    said = capsys.readouterr().err
    assert "Choose one entry of the others with --select, such as --select C=0" in said
    assert "read_stack" not in said
    assert main(["calibrate", *words, "--select", "C=0"]) == 1, "it is constant"
    capsys.readouterr()
    words = [str(tmp_path / name) for name in ("a.npy", "b.npy")]
    assert main(["calibrate", *words, *OPTICS, "-o", str(tmp_path / "many")]) == 1
    table = (tmp_path / "many" / "beads.csv").read_text()
    assert "--dz '300 nm'" in table and "read_stack" not in table


def test_a_warning_speaks_of_flags(tmp_path, capsys):
    path = jio.write_stack(tmp_path / "a.tif", np.ones((5, 16, 16)), spacing=(0.3, 0.1, 0.1))
    words = [str(path), *OPTICS, "--pixel", "130 nm", "-o", str(tmp_path / "out")]
    assert main(["calibrate", *words]) == 1
    said = capsys.readouterr().err
    assert "warning: --pixel is 0.13 µm by your argument and 0.1 µm by the file" in said


# -- the terminal --------------------------------------------------------------------------


def test_control_characters_do_not_reach_the_terminal(capsys):
    terminal.say("a\x1b]0;title\x07b\x9bc\u202ed\udce9\r\nµ 漢")
    out = capsys.readouterr().out
    assert out == "a\\x1b]0;title\\x07b\\x9bc\\u202ed\\udce9\\x0d\nµ 漢\n"


def test_a_file_with_a_hostile_name(tmp_path, capsys):
    path = tmp_path / "a\x1bc.npy"
    np.save(path, np.ones((5, 16, 16)))
    words = [str(path), str(path) + "x", *OPTICS, *VOXEL, "-o", str(tmp_path / "out")]
    assert main(["calibrate", *words]) == 1
    text = "".join(capsys.readouterr())
    assert "\x1b" not in text and "a\\x1bc" in text


def test_a_terminal_that_lacks_letters(monkeypatch):
    class Stream:
        encoding = "ascii"
        text = ""

        def write(self, text):
            text.encode(self.encoding)
            self.text += text

        def flush(self):
            pass

    stream = Stream()
    monkeypatch.setattr(sys, "stdout", stream)
    terminal.say("\u00b5 \u6f22")
    assert stream.text == "\\xb5 \\u6f22\n"


def test_one_bead_is_not_beads():
    assert [terminal.count(n, "bead") for n in (0, 1, 2)] == ["0 beads", "1 bead", "2 beads"]
    row = batch.row("a-001", "a.tif", status="failed", reason="x")
    assert batch.text([row]).endswith("\n1 bead: 1 failed")


# -- progress ------------------------------------------------------------------------------


def test_a_log_tells_that_it_compiles_and_each_stage(capsys, monkeypatch):
    clock = iter(range(0, 10_000, 11))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    with progress.shown() as log:
        assert isinstance(log, progress.Log)
        for step in range(6):
            log("zernike", step, 60, 0.5, 0.25)
        log("pupil", 1, 80, 0.5, 0.25)
    lines = capsys.readouterr().err.splitlines()
    assert "compiling the fit" in lines[0]
    assert [line.split(": ")[2].split(",")[0] for line in lines[1:]] == ["zernike"] * 2 + ["pupil"]
    assert "step 1 of 80, loss 0.5, held-out 0.25" in lines[-1]


def test_a_terminal_shows_the_seconds_and_then_the_steps(capsys):
    with progress.Live() as live:
        time.sleep(0.5)
        live("zernike", 3, 60, 0.5, 0.25)
    said = capsys.readouterr().err
    assert "compiling, 0 s" in said and "3/60" in said
    with progress.Live():
        pass  # an error before the first step: nothing hangs


# -- the cache -----------------------------------------------------------------------------


def test_half_a_program_in_the_cache_is_forgotten(tmp_path, monkeypatch):
    """A killed run leaves a program without its time; JAX would keep nothing ever after."""
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(cache.Path, "home", lambda: tmp_path)
    monkeypatch.setitem(sys.modules, "jax", None)
    place = cache.folder()
    place.mkdir(parents=True)
    for name in ("whole-cache", "whole-atime", "half-cache", "written-now-cache"):
        (place / name).write_bytes(b"1234")
    for name in ("whole-cache", "half-cache"):
        os.utime(place / name, (1, 1))
    environment = dict(os.environ)
    try:
        cache.use()
    finally:
        os.environ.clear()
        os.environ.update(environment)
    left = sorted(path.name for path in place.iterdir())
    assert left == ["whole-atime", "whole-cache", "written-now-cache"]


def test_the_cache_is_in_the_users_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache.folder() == tmp_path / "jaxwave" / "compiled"
    assert main(["--help"]) == 0
    assert str(tmp_path / "jaxwave" / "compiled") in capsys.readouterr().out
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
    assert cache.folder() == tmp_path / "mine"


def test_a_user_without_a_home_computes_all_the_same(monkeypatch, capsys):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setattr(cache.Path, "home", home)
    assert main(["--help"]) == 0
    assert "no folder, as this user has no home" in capsys.readouterr().out
    cache.use()


def test_what_jax_was_told_wins(tmp_path, monkeypatch):
    """Every setting of the cache is given once, to the environment and to a JAX that is loaded."""
    told = {}
    config = types.SimpleNamespace(jax_compilation_cache_dir=None, update=told.__setitem__)
    monkeypatch.setitem(sys.modules, "jax", types.SimpleNamespace(config=config))
    names = ("COMPILATION_CACHE_DIR", "ENABLE_COMPILATION_CACHE", "COMPILATION_CACHE_MAX_SIZE")
    for name in (*names, "PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"):
        monkeypatch.setenv(f"JAX_{name}", "")  # comes back after the test
        monkeypatch.delenv(f"JAX_{name}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "5")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(cache.Path, "home", lambda: tmp_path)
    cache.use()
    assert told.pop("jax_compilation_cache_dir") == str(tmp_path / "jaxwave" / "compiled")
    assert told.pop("jax_persistent_cache_min_entry_size_bytes") == -1
    assert set(told) <= {"jax_compilation_cache_max_size"}
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path / "jaxwave" / "compiled")
    assert os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] == "5"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--t-g", "160 um"], "--t-g matters only with the coverslip's index"),
        (["--n-g", "1.52", "--t-g", "0"], "--t-g must be positive"),
        (["--n-i-design", "-1"], "--n-i-design must be positive"),
        (["--t-i-design", "200 um"], "pass --n-i-design"),
        (["--fit", "t_g"], "changes nothing without --n-g"),
        (["--fit", "n_s"], "changes nothing without --t-s"),
        (["--known-exactly", "pixel", "blur"], "must be pixel, dz or na, got 'blur'"),
        (["--n-g", "1.52", "--fit", "tg"], "Did you mean 't_g'?"),
        (["--n-g", "1.52", "--fit", "t_g=wide"], "must look like t_g or 't_g=5 um'"),
        (["--n-g", "1.52", "--fit", "n", "--order", "3"], "pass --order 4"),
    ],
)
def test_what_the_objective_is_made_for_is_checked(tmp_path, capsys, words, text):
    stack = tmp_path / "a.tif"
    stack.write_bytes(b"no image")
    given = ["calibrate", str(stack), "--na", "1.2", "--n", "1.33", "--wavelength", "520 nm"]
    assert main([*given, "-o", str(tmp_path / "out"), *words]) == 2
    assert text in capsys.readouterr().err


def test_what_is_fitted_of_the_layers_reaches_the_fit():
    given = {"n_g": 1.523, "fit": ["t-g=5 um", "n=0.001", "t_g_design"]}
    settings = gather(options.CALIBRATE, given)
    assert checks.departures(settings) == {"t_g": 5.0, "n_i": 0.001, "t_g_design": None}


def test_design_and_actual_values_reach_the_model():
    given = {"na": 1.2, "n": 1.33, "wavelength": "0.52", "n_g": 1.523, "t_g": "150 um"}
    settings = gather(options.CALIBRATE, {**given, "t_g_design": "170 um", "n_i_design": 1.333})
    layers = finding.objective(settings).layers
    need = psf.Layers(n_s=1.33, n_g=1.523, n_i=1.33, t_g=150.0, t_g_design=170.0, n_i_design=1.333)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(a == b), layers, need))
    alone = gather(options.CALIBRATE, {**given, "t_g": None, "t_g_design": "175 um"})
    assert float(finding.objective(alone).layers.t_g[0]) == 175.0


def test_a_report_tells_versions_and_devices_and_no_person(capsys, monkeypatch):
    assert main(["--version", "--report"]) == 0
    said = capsys.readouterr().out
    names = [line.split()[0] for line in said.splitlines()]
    for name in ("jaxwave", "python", "jax", "jaxlib", "numpy", "flax", "optax", "torch"):
        assert name in names
    assert "system" in names and "devices" in names and jax.__version__ in said
    private = {str(Path.home()), os.environ.get("USER", ""), platform.node(), os.sep}
    assert not [word for word in private - {"", "root"} if word in said]
    assert main(["--report"]) == 2


def test_alarms_of_the_compiler_are_silent_for_the_command_alone():
    for command, need in (
        (["python", "-m", "jaxwave", "psf"], {"TF_CPP_MIN_LOG_LEVEL": "3"}),
        (["python", "script.py", "jaxwave"], {}),
        (["python", "-m", "pytest"], {}),
    ):
        environment: dict[str, str] = {}
        _alarms.silence(command, environment)
        assert environment == need
    own = {"TF_CPP_MIN_LOG_LEVEL": "0"}
    _alarms.silence(["python", "-m", "jaxwave"], own)
    assert own == {"TF_CPP_MIN_LOG_LEVEL": "0"}


@pytest.mark.slow
def test_alarms_of_the_compiler_do_not_reach_the_user(tmp_path):
    # programs that come from a cache are the usual reason: "could lead to ... SIGILL"
    kept = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path), "JAX_ENABLE_COMPILATION_CACHE": "1"}
    own = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    words = ["psf", *OPTICS, *VOXEL, "--size", "9", "--planes", "3", "--model", "scalar"]
    for k in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "jaxwave", *words, "-o", str(tmp_path / f"{k}.npz")],
            env=own | kept,
            capture_output=True,
            text=True,
            check=True,
        )
        assert not re.search(r"^[EWIF]\d{4} |XLA|SIGILL", done.stderr, re.M), done.stderr
