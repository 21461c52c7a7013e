"""The folder of a run: kills, damaged bytes, full disks, locks and signals, with real processes."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

import jaxwave as jw
from jaxwave.calibration import run_folder
from jaxwave.calibration.run_folder import CURRENT, PREVIOUS, RunFolder

SETTINGS = {"na": 0.85, "learn": ["mask.*"], "grid": {"shape": (64, 64)}, "start": float("nan")}
STATE = {
    "mask.phase": np.arange(12, dtype=np.float32).reshape(3, 4),
    "step": np.int64(7),
    "u": np.array([1 + 2j]),
    "empty": np.zeros((0, 3)),
    "name": np.array("adam"),
}


def program(text, *arguments, **options):
    """Starts a Python program in a process of its own."""
    text = "from jaxwave.calibration.run_folder import *\nimport sys, numpy as np, os, time\n" + (
        textwrap.dedent(text)
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", text, *map(str, arguments)]
    return subprocess.Popen(command, **{**pipes, **options})


def equal(a, b):
    assert set(a) == set(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
        assert np.asarray(a[name]).dtype == np.asarray(b[name]).dtype, name


def two_states(path):
    """A folder with state 1 and, before it, state 0."""
    with RunFolder(path) as run:
        for n in (0, 1):
            assert run.save({"n": np.full(50, n)}, SETTINGS)


# -- what goes in comes out ----------------------------------------------------------------


def test_state_comes_back_with_its_types(tmp_path):
    state = {**STATE, "half": jnp.asarray([1.5, -2], jnp.bfloat16)}
    with RunFolder(tmp_path / "a" / "b") as run:
        assert run.load(SETTINGS) is None
        assert run.save(state, SETTINGS)
    with RunFolder(tmp_path / "a" / "b") as run:
        equal(run.load(SETTINGS), {k: np.asarray(v) for k, v in state.items()})
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == ["run.lock", CURRENT]


def test_numpy_reads_it_and_it_tells_its_settings_and_versions(tmp_path):
    two_states(tmp_path)
    with np.load(tmp_path / CURRENT) as file:
        np.testing.assert_array_equal(file["n"], np.ones(50))
        header = json.loads(file["run"].tobytes())
    assert header["settings"]["grid"] == {"shape": [64, 64]}
    assert header["versions"]["jaxwave"] == jw.__version__
    assert header["format"] == 1


def test_two_generations(tmp_path):
    two_states(tmp_path)
    (tmp_path / CURRENT).unlink()
    with RunFolder(tmp_path) as run, pytest.warns(jw.JaxwaveWarning, match="previous.npz") as told:
        assert run.load(SETTINGS)["n"][0] == 0
    assert CURRENT in str(told[0].message)


def test_file_system_without_links(tmp_path, monkeypatch):
    def no_link(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_link)
    test_two_generations(tmp_path)


@pytest.mark.parametrize(
    ("arrays", "settings", "error", "match"),
    [
        ({"a": np.array([{}])}, {}, TypeError, "`a` must hold numbers"),
        ({"run": 1}, {}, ValueError, "taken"),
        ({"a": 1}, {"f": print}, TypeError, "`settings` must be made of"),
        ({"a": 1}, {"f": np.array([{}])}, TypeError, "`settings` must be made of"),
    ],
)
def test_what_cannot_be_saved(tmp_path, arrays, settings, error, match):
    with RunFolder(tmp_path) as run, pytest.raises(error, match=match):
        run.save(arrays, settings)
    assert not (tmp_path / CURRENT).exists()


def test_needs_its_lock(tmp_path):
    for call in ("save", "load"):
        with pytest.raises(RuntimeError, match="inside `with"):
            getattr(RunFolder(tmp_path), call)(*({}, {})[: 2 if call == "save" else 1])


# -- other settings, foreign files ---------------------------------------------------------


def test_other_settings_are_listed(tmp_path):
    two_states(tmp_path)
    other = {**SETTINGS, "na": 0.9, "grid": {"shape": (64, 32)}, "new": True}
    with RunFolder(tmp_path) as run:
        with pytest.raises(ValueError, match="other settings") as caught:
            run.load(other)
        assert run.load(other, force=True)["n"][0] == 1
    text = str(caught.value)
    for change in ("na: 0.85 -> 0.9", "grid.shape: [64, 64] -> [64, 32]", "new: (none) -> True"):
        assert change in text
    assert "learn" not in text
    assert "start" not in text  # NaN is NaN


def test_other_versions(tmp_path, monkeypatch):
    two_states(tmp_path)
    monkeypatch.setattr(run_folder, "_versions", lambda: {"jaxwave": "9", "jax": "9"})
    with RunFolder(tmp_path) as run, pytest.raises(ValueError, match=r"versions.jaxwave: .* -> 9"):
        run.load(SETTINGS)
    monkeypatch.setattr(run_folder, "_versions", lambda: {"jaxwave": jw.__version__, "jax": "9"})
    with RunFolder(tmp_path) as run, pytest.warns(jw.JaxwaveWarning, match="another jax"):
        assert run.load(SETTINGS)["n"][0] == 1


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("bomb",))


def pickled(path):
    with path.open("wb") as stream:
        np.savez(stream, a=np.array([Bomb()], object))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (pickled, "never unpickled"),
        (lambda path: path.write_bytes(b"II*\0" + bytes(500)), "no checkpoint of jaxwave"),
        (lambda path: path.write_bytes(b""), "no checkpoint of jaxwave"),
        (lambda path: np.savez(path, a=np.zeros(3)), "no checkpoint of jaxwave"),
        (lambda path: path.mkdir(), "cannot be read"),
    ],
    ids=["pickle", "tiff", "empty", "npz", "folder"],
)
def test_foreign_files(tmp_path, monkeypatch, make, match):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / CURRENT)
    with RunFolder(tmp_path) as run, pytest.raises(ValueError, match=match) as caught:
        run.load(SETTINGS)
    assert str(caught.value).startswith("RunFolder: ")
    assert not (tmp_path / "bomb").exists()


# -- damage --------------------------------------------------------------------------------


def test_every_flipped_byte_is_noticed(tmp_path):
    """Also those that the zip format does not guard: names, dates, the comment."""
    two_states(tmp_path)
    whole = (tmp_path / CURRENT).read_bytes()
    with RunFolder(tmp_path) as run:
        for place in range(len(whole)):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << place % 8
            (tmp_path / CURRENT).write_bytes(damaged)
            with pytest.warns(
                jw.JaxwaveWarning, match=r"'state.npz' is damaged.*'state.previous.npz'"
            ):
                assert run.load(SETTINGS)["n"][0] == 0, place


def test_every_truncation_is_noticed(tmp_path):
    two_states(tmp_path)
    whole = (tmp_path / CURRENT).read_bytes()
    with RunFolder(tmp_path) as run:
        for size in [*range(0, len(whole), 29), len(whole) - 1]:
            (tmp_path / CURRENT).write_bytes(whole[:size])
            with pytest.warns(jw.JaxwaveWarning, match=r"state.previous.npz"):
                assert run.load(SETTINGS)["n"][0] == 0, size


def test_added_bytes_are_noticed(tmp_path):
    two_states(tmp_path)
    with (tmp_path / CURRENT).open("ab") as file:
        file.write(b"\0")
    with RunFolder(tmp_path) as run, pytest.warns(jw.JaxwaveWarning, match="damaged"):
        assert run.load(SETTINGS)["n"][0] == 0


def test_both_damaged(tmp_path):
    two_states(tmp_path)
    for name in (CURRENT, PREVIOUS):
        (tmp_path / name).write_bytes(b"broken")
    with RunFolder(tmp_path) as run, pytest.raises(ValueError, match="can be resumed") as caught:
        run.load(SETTINGS)
    assert CURRENT in str(caught.value)
    assert PREVIOUS in str(caught.value)


@pytest.mark.parametrize("load_first", [True, False])
def test_a_damaged_state_never_replaces_a_whole_one(tmp_path, load_first, monkeypatch):
    two_states(tmp_path)
    (tmp_path / CURRENT).write_bytes(b"broken")
    with RunFolder(tmp_path) as run:
        if load_first:
            with pytest.warns(jw.JaxwaveWarning):
                run.load(SETTINGS)
        assert run.save({"n": np.full(50, 2)}, SETTINGS)
        assert run.load(SETTINGS)["n"][0] == 2
        (tmp_path / CURRENT).unlink()
        with pytest.warns(jw.JaxwaveWarning):
            assert run.load(SETTINGS)["n"][0] == 0


def test_a_crafted_checksum_does_not_unpickle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle = io.BytesIO()
    np.save(pickle, np.array([Bomb()], object), allow_pickle=True)
    path = tmp_path / CURRENT
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", pickle.getvalue())
        archive.comment = run_folder._MARK + b"0" * 64
    with path.open("r+b") as stream:
        digest = run_folder._digest(stream, path.stat().st_size)
        stream.seek(-64, os.SEEK_END)
        stream.write(digest)
    assert run_folder._is_whole(path)
    with RunFolder(tmp_path) as run, pytest.raises(ValueError, match="never unpickled"):
        run.load(SETTINGS)
    assert not (tmp_path / "bomb").exists()


# -- kills ---------------------------------------------------------------------------------

KILLS = """
    import random, signal, warnings
    warnings.simplefilter("ignore")
    random.seed(5)
    path, last, kept = sys.argv[1], 0, 0
    for kill in range(int(sys.argv[2])):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            with RunFolder(path) as run:
                state = run.load({"a": 1})
                n = 0 if state is None else int(state["n"])
                while True:
                    n += 1
                    run.save({"n": np.int64(n), "mask": np.full(20000, n)}, {"a": 1})
                    os.write(write, b"%d " % n)
        os.close(write)
        time.sleep(random.uniform(0.01, 0.15))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        told = os.read(read, 10**6).split()
        os.close(read)
        if told:
            last = int(told[-1])
        left = [name for name in os.listdir(path) if name.endswith(".tmp")]
        kept += bool(left)
        assert len(left) <= 2, left
        with RunFolder(path) as run:
            state = run.load({"a": 1})
            assert not [name for name in os.listdir(path) if name.endswith(".tmp")]
            if state is None:
                assert last == 0
            else:
                assert last <= state["n"] <= last + 1, (last, state["n"])
                assert np.all(state["mask"] == state["n"])
    print(last, kept)
"""


def test_kill_at_any_moment(tmp_path):
    """After each of many kills the newest state that was announced is there, and whole."""
    run = program(KILLS, tmp_path, 40)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    states, interrupted = map(int, out.split())
    assert states > 40
    assert interrupted > 3  # kills in the middle of a write did happen


# -- full and read-only disks --------------------------------------------------------------

FULL = """
    import resource, warnings
    warnings.simplefilter("always")
    with RunFolder(sys.argv[1]) as run:
        assert run.save({"n": np.zeros(10)}, {})
        before = open(run.path / CURRENT, "rb").read()
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        for _ in range(5):
            assert run.save({"n": np.ones(100000)}, {}) is False
        assert run.failure is not None
        assert open(run.path / CURRENT, "rb").read() == before
        assert sorted(os.listdir(run.path)) == ["run.lock", CURRENT], os.listdir(run.path)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        assert run.save({"n": np.ones(100000)}, {}) is True
        assert run.failure is None
        assert run.load({})["n"].sum() == 100000
"""


def test_full_disk(tmp_path):
    """The run goes on, says so once, and keeps the last state."""
    run = program(FULL, tmp_path)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    assert err.count("could not be saved") == 1, err
    assert "attempt 1" in err


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_warns_once_a_minute(tmp_path, monkeypatch, code):
    two_states(tmp_path)
    clock = [1000.0]
    monkeypatch.setattr(run_folder.time, "monotonic", lambda: clock[0])

    def refuse(_):
        raise OSError(code, os.strerror(code))

    with RunFolder(tmp_path) as run:
        monkeypatch.setattr(os, "fsync", refuse)
        told = []
        for _ in range(130):
            with pytest.WarningsRecorder(_ispytest=True) as record:
                assert not run.save({"n": np.full(50, 2)}, SETTINGS)
            told += [str(w.message) for w in record]
            clock[0] += 1
        assert len(told) == 3
        assert len(set(told)) == 3  # Python shows the same text once only
        assert os.strerror(code) in told[0]
        assert run.failure.errno == code
        monkeypatch.undo()
        assert run.load(SETTINGS)["n"][0] == 1
        (tmp_path / CURRENT).unlink()
        with pytest.warns(jw.JaxwaveWarning):
            assert run.load(SETTINGS)["n"][0] == 0


@pytest.mark.parametrize("place", ["file", "under a file"])
def test_folder_that_cannot_be_made(tmp_path, place):
    (tmp_path / "file").write_text("x")
    path = tmp_path / "file" / ("sub" if place != "file" else "")
    with pytest.raises(OSError, match="RunFolder: cannot write to the folder"), RunFolder(path):
        pass


# -- the lock ------------------------------------------------------------------------------

HOLD = """
    with RunFolder(sys.argv[1]) as run:
        print(os.getpid(), flush=True)
        time.sleep(60)
"""


def test_second_process_is_refused_until_the_first_is_gone(tmp_path):
    two_states(tmp_path)
    first = program(HOLD, tmp_path)
    pid = int(first.stdout.readline())
    stale = tmp_path / f".{CURRENT}.{pid}.0123abcd.tmp"
    stale.write_text("half a state")
    with pytest.raises(RuntimeError, match=f"in use by process {pid} on ") as caught:
        RunFolder(tmp_path).__enter__()
    assert os.uname().nodename in str(caught.value)
    assert stale.exists()  # it belongs to the other run
    first.kill()
    first.communicate()
    with RunFolder(tmp_path) as run:
        assert run.load(SETTINGS)["n"][0] == 1
        assert not stale.exists()


def test_lock_within_a_process_and_after_an_error(tmp_path):
    with RunFolder(tmp_path), pytest.raises(RuntimeError, match=f"process {os.getpid()}"):
        RunFolder(tmp_path).__enter__()
    with pytest.raises(ZeroDivisionError), RunFolder(tmp_path):
        _ = 1 / 0
    with RunFolder(tmp_path):
        pass


def test_only_its_own_leftovers_are_removed(tmp_path):
    names = ["mine.tmp", ".hidden.tmp", ".result.json.77.0a1b2c3d.tmp"]
    for name in names:
        (tmp_path / name).write_text("x")
    with RunFolder(tmp_path):
        assert [(tmp_path / name).exists() for name in names] == [True, True, False]


# -- signals -------------------------------------------------------------------------------

LOOP = """
    with RunFolder(sys.argv[1]) as run:
        n = 0
        while not run.stop_signal:
            n += 1
            print("ready", flush=True) if n == 1 else time.sleep(0.01)
        run.save({"n": np.int64(n)}, {})
        if sys.argv[2:]:
            print("saving", flush=True)
            time.sleep(60)
        raise SystemExit(run.exit_code)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_saves_and_exits(tmp_path, number, code):
    run = program(LOOP, tmp_path)
    assert run.stdout.readline() == "ready\n"
    run.send_signal(number)
    _, err = run.communicate(timeout=30)
    assert run.returncode == code, err
    with RunFolder(tmp_path) as folder:
        assert folder.load({})["n"] > 0


def test_second_signal_acts_as_usual(tmp_path):
    run = program(LOOP, tmp_path, "hang")
    for _ in range(2):
        run.stdout.readline()
        run.send_signal(signal.SIGTERM)
    run.communicate(timeout=30)
    assert run.returncode == -signal.SIGTERM


def test_handlers_are_given_back(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with RunFolder(tmp_path) as run:
        signal.raise_signal(signal.SIGINT)
        assert run.stop_signal == signal.SIGINT
        assert run.exit_code == 130
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_an_ignored_signal_stays_ignored(tmp_path):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with RunFolder(tmp_path) as run:
            signal.raise_signal(signal.SIGINT)
            assert run.stop_signal is None
            assert run.exit_code == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_a_thread(tmp_path):
    import threading

    done = []

    def work():
        with RunFolder(tmp_path) as run:
            done.append(run.save({"n": 1}, {}))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
