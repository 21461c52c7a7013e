"""What goes wrong in a laboratory, one test (or more) per row of the list of faults.

The number in a test's name is the row. The parts have thorough tests of their own; here every fault
takes the way that a user meets it: reading a stack, finding and fitting beads, calibrating, saving.
"""

import errno
import json
import os
import pickle
import re
import resource
import signal
import struct
import subprocess
import sys
import textwrap
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxwave as jw
from jaxwave import beads, elements, io, psf, report
from jaxwave._check import JaxwaveWarning
from jaxwave.beads import (
    BeadModel,
    bead_stack,
    find_beads,
    fit_bead,
    hot_pixels,
    pupil_basis,
)
from jaxwave.calibration import calibrate
from jaxwave.calibration.run_folder import CURRENT, PREVIOUS, RunFolder
from jaxwave.cli.main import main

tifffile = pytest.importorskip("tifffile")

SIZES = dict(pixel="130 nm", dz="300 nm")
VOLUME = np.random.default_rng(0).integers(90, 110, (5, 16, 17)).astype(np.uint16)


def tiff(path, array=VOLUME, **options):
    tifffile.imwrite(path, array, **options)
    return path


# -- a bead that is fitted in a moment -----------------------------------------------------

MODEL = BeadModel(
    psf.Objective(na=0.8, wavelength=0.5, n=1.0),
    pixel=0.13,
    shape=(16, 16),
    order=2,
    pupil_samples=24,
    vectorial=False,
    margin=2,
)
Z = np.arange(-3, 4) * 0.4


@pytest.fixture(scope="module")
def bead():
    """A stack without noise, on a background of 100 counts."""
    return 1e4 * np.asarray(bead_stack(MODEL, MODEL.start(), Z, pupil_basis(MODEL))) + 100


def fit(stack, z=Z, **options):
    return fit_bead(stack, z, MODEL, steps=(10, 0), **options)


@pytest.fixture(scope="module")
def fitted(bead):
    return fit(bead)


def spots(*places, shape=(11, 64, 64), background=100.0):
    """Gaussian beads (y, x, peak) that widen with defocus."""
    z, y, x = np.indices(shape, float)
    stack = np.full(shape, background)
    for y0, x0, peak in places:
        spread = 1 + ((z - shape[0] // 2) / 3) ** 2
        stack += peak / spread * np.exp(-((y - y0) ** 2 + (x - x0) ** 2) / (8 * spread))
    return stack


# -- a calibration that can be killed ------------------------------------------------------

PROGRAM = textwrap.dedent(
    """
    import os, resource, signal, sys, time, warnings
    import jax, jax.numpy as jnp, numpy as np, optax
    from jaxwave.calibration import calibrate

    warnings.simplefilter("always")
    folder, pause, fault = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    x = np.linspace(-1, 1, 64, dtype=np.float32)
    data = {"x": x, "y": 2 * x - x**2}

    def loss(m, d):
        return jnp.mean((m["a"] * d["x"] + m["b"] * d["x"] ** 2 - d["y"]) ** 2)

    def show(stage, step, steps, value, heldout):
        print(step, flush=True)
        time.sleep(pause)

    if fault == "kill in the write":
        calls, replace = [], os.replace

        def kill(*names):
            calls.append(names)
            if len(calls) == 8:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(*names)

        os.replace = kill
    if fault == "full disk":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    start = {"a": jnp.float32(0), "b": jnp.float32(0)}
    found = calibrate(start, loss, data, optimizer=optax.adam(0.02), steps=300, report_every=10,
                      batch_size=8, checkpoint=folder, resume=True, progress=show)
    print("end", float(found.loss).hex(), *(float(v).hex() for v in found.model.values()))
    """
)


def start(folder, *, pause=0.0, fault="none"):
    command = [sys.executable, "-c", PROGRAM, str(folder), str(pause), fault]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(folder, **options):
    """The line of results of a run that comes to its end, and what it said."""
    process = start(folder, **options)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.splitlines()[-1], err


def wait_for(process, step):
    for line in process.stdout:
        if int(line) >= step:
            return


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    result, _ = run(tmp_path_factory.mktemp("whole"))
    assert result.startswith("end ")
    return result


def test_row_01_kill_in_the_middle(tmp_path, uninterrupted):
    process = start(tmp_path, pause=0.02)
    wait_for(process, 150)
    process.kill()
    process.communicate()
    assert (tmp_path / CURRENT).exists()
    assert len(list(tmp_path.glob(".*.tmp"))) <= 2
    assert run(tmp_path)[0] == uninterrupted
    assert not list(tmp_path.glob(".*.tmp"))


def test_row_02_kill_in_the_write(tmp_path, uninterrupted):
    process = start(tmp_path, pause=0.05, fault="kill in the write")
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert list(tmp_path.glob(".*.tmp"))
    assert run(tmp_path)[0] == uninterrupted


def test_row_03_full_disk(tmp_path, uninterrupted):
    result, err = run(tmp_path, pause=0.01, fault="full disk")
    assert result == uninterrupted
    assert err.count("could not be saved") == 1, err
    assert not (tmp_path / CURRENT).exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_row_26_signals(tmp_path, uninterrupted, number, code):
    process = start(tmp_path, pause=0.02)
    wait_for(process, 100)
    if number == signal.SIGTERM:  # row 27: while it runs, nobody else gets the folder
        with pytest.raises(RuntimeError, match=f"in use by process {process.pid} on "):
            RunFolder(tmp_path).__enter__()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert run(tmp_path)[0] == uninterrupted


# -- the same calibration inside this process ----------------------------------------------

X = np.linspace(-1, 1, 64, dtype=np.float32)
LINE = {"x": X, "y": 2 * X - X**2}


def line(m, d):
    return jnp.mean((m["a"] * d["x"] + m["b"] * d["x"] ** 2 - d["y"]) ** 2)


def calibrated(folder=None, **options):
    begin = {"a": jnp.float32(0), "b": jnp.float32(0)}
    settings = dict(optimizer=optax.adam(0.02), steps=60, report_every=10) | options
    return calibrate(begin, line, LINE, checkpoint=folder, **settings)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def two_generations(folder):
    """Also where the run was too short to save more than once."""
    if not (folder / PREVIOUS).exists():
        (folder / PREVIOUS).write_bytes((folder / CURRENT).read_bytes())


def test_row_04_damaged_checkpoint(tmp_path):
    whole = calibrated(tmp_path)
    two_generations(tmp_path)
    flip(tmp_path / CURRENT)
    with pytest.warns(jw.JaxwaveWarning, match=f"{CURRENT}' is damaged.*{PREVIOUS}"):
        again = calibrated(tmp_path, resume=True)
    assert float(again.loss) == float(whole.loss)


def test_row_05_checkpoint_of_other_settings(tmp_path):
    calibrated(tmp_path)
    with pytest.raises(ValueError, match=r"stages.* -> "):
        calibrated(tmp_path, resume=True, optimizer=optax.adam(0.03))
    with pytest.raises(ValueError, match="holds the state of a calibration"):
        calibrated(tmp_path)


def test_row_14_nan_in_the_loss():
    def cliff(m, d):
        return jnp.where(m["phase"] > 1, jnp.nan, -m["phase"]) + m["gain"] ** 2

    begin = {"phase": jnp.float32(0.9), "gain": jnp.float32(1.0)}
    with pytest.warns(jw.JaxwaveWarning, match="'phase'"):
        found = calibrate(begin, cliff, optimizer=optax.sgd(0.5), steps=50, report_every=10)
    assert np.isfinite(found.loss)
    assert float(found.model["phase"]) <= 1
    assert "phase" in found.reason


def test_row_27_two_processes_in_one_folder(tmp_path):
    with RunFolder(tmp_path), pytest.raises(RuntimeError, match=f"process {os.getpid()} on "):
        calibrated(tmp_path)


def test_row_28_clock_jumps(tmp_path, monkeypatch):
    calm = calibrated(tmp_path / "a")
    jumps = np.random.default_rng(0)
    for name in ("time", "monotonic", "perf_counter"):
        monkeypatch.setattr(time, name, lambda: float(jumps.normal() * 1e6))
    wild = calibrated(tmp_path / "b")
    again = calibrated(tmp_path / "b", resume=True)
    monkeypatch.undo()
    for other in (wild, again):
        assert jax.tree.map(float, other.model) == jax.tree.map(float, calm.model)


# -- files ---------------------------------------------------------------------------------


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("bomb",))


def test_row_06_pickles(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objects = np.array([Bomb()], object)
    np.save("a.npy", objects, allow_pickle=True)
    np.savez("a.npz", data=objects)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ValueError, match="never unpickled"):
            io.read_stack(name, **SIZES)
    with pytest.raises(ValueError, match="never unpickled"):
        io.load_arrays("a.npz")
    (tmp_path / "b.pkl").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="a pickle, which is never loaded"):
        io.read_stack("b.pkl", **SIZES)
    text = f"<OME><Pixels/><Value>{pickle.dumps(Bomb()).hex()}</Value></OME>"
    tiff(tmp_path / "c.tif", description=text, metadata=None)
    assert io.read_stack("c.tif", axes="ZYX", **SIZES).shape == VOLUME.shape
    folder = tmp_path / "run"
    with RunFolder(folder) as run_folder:
        (folder / CURRENT).write_bytes((tmp_path / "a.npz").read_bytes())
        with pytest.raises(ValueError, match="never unpickled"):
            run_folder.load({})
    assert not (tmp_path / "bomb").exists()


def test_row_06_pickles_in_a_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    elements.save_model("m.json", elements.PhaseMask(np.zeros((8, 8))))
    [arrays] = tmp_path.glob("*.npz")
    np.savez(arrays, **{"phase": np.array([Bomb()], object)})
    with pytest.raises(ValueError, match=r"unpickled|damaged|checksum"):
        elements.load_model("m.json")
    assert not (tmp_path / "bomb").exists()


def test_row_06_foreign_matlab_file(tmp_path):
    (tmp_path / "tform.mat").write_bytes(
        b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + b"\xff" * 40
    )
    with pytest.raises((ValueError, ImportError), match=r"tform\.mat|matlab"):
        io.read_stack(tmp_path / "tform.mat", **SIZES)


def test_row_07_truncated_tiff(tmp_path):
    path = tiff(tmp_path / "a.tif", imagej=True, metadata={"axes": "ZYX"})
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(ValueError, match=r"declares 5 planes .*, 1 readable"):
        io.read_stack(path, **SIZES)


def test_row_08_tiff_bomb(tmp_path):
    tags = [(256, 120_000), (257, 120_000), (258, 16), (259, 1), (262, 1), (273, 200), (277, 1)]
    tags += [(278, 120_000), (279, 10)]
    body = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in tags)
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + body + struct.pack("<I", 0)
    (tmp_path / "a.tif").write_bytes(head.ljust(200, b"\0") + bytes(10))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"28\.8 GB"):
        io.read_stack(tmp_path / "a.tif", **SIZES)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_row_09_axes(tmp_path):
    path = tiff(tmp_path / "t.tif", imagej=True, metadata={"axes": "TYX"})
    with pytest.warns(jw.JaxwaveWarning, match="T"):
        stack = io.read_stack(path, **SIZES)
    assert stack.shape == VOLUME.shape
    assert "T" in stack.provenance["axes"]
    both = np.stack([VOLUME, VOLUME + 1], 1)
    path = tiff(tmp_path / "zc.tif", both, imagej=True, metadata={"axes": "ZCYX"})
    with pytest.raises(ValueError, match=r"`axes` are ambiguous.*5 Z.*2 C|select") as caught:
        io.read_stack(path, **SIZES)
    assert "select=" in str(caught.value)
    np.testing.assert_array_equal(io.read_stack(path, select={"C": 1}, **SIZES).data, VOLUME + 1)
    path = tiff(tmp_path / "rgb.tif", np.zeros((5, 16, 16, 3), np.uint8), photometric="rgb")
    with pytest.raises(ValueError, match="color image"):
        io.read_stack(path, **SIZES)


def test_row_10_metadata_and_argument_disagree(tmp_path):
    options = dict(imagej=True, resolution=(1 / 0.054,) * 2)
    path = tiff(
        tmp_path / "a.tif", metadata={"axes": "ZYX", "unit": "um", "spacing": 0.3}, **options
    )
    with pytest.warns(jw.JaxwaveWarning, match=r"0\.13.*0\.054|0\.054.*0\.13"):
        stack = io.read_stack(path, pixel="130 nm")
    assert stack.spacing[1] == pytest.approx(0.13)
    with pytest.raises(ValueError, match=r"`(pixel|dz)` is needed"):
        io.read_stack(tiff(tmp_path / "b.tif"))


@pytest.mark.parametrize(
    ("wrong", "fix"), [(605, "0.605 or '605 nm'"), (6.05e-7, "0.605 or '6.05e-07 m'")]
)
def test_row_11_nanometers_and_meters(tmp_path, wrong, fix):
    with pytest.raises(ValueError, match=re.escape(fix)):
        BeadModel(psf.Objective(na=0.8, wavelength=wrong, n=1.0), pixel=0.13, shape=(16, 16))
    with pytest.raises(ValueError, match=re.escape(fix)):
        jw.plane_wave((8, 8), spacing=0.1, wavelength=wrong)
    with pytest.raises(ValueError, match="is in micrometers"):
        io.read_stack(tiff(tmp_path / "a.tif"), pixel=wrong, dz=0.3)


def test_row_12_impossible_numbers(tmp_path, bead):
    with pytest.raises(ValueError, match=r"below the refractive index.*1\.2"):
        BeadModel(psf.Objective(na=1.2, wavelength=0.5, n=1.0), pixel=0.05, shape=(16, 16))
    path = tiff(tmp_path / "a.tif")
    for dz in (0, -0.3, "0 nm"):
        with pytest.raises(ValueError, match="`dz`"):
            io.read_stack(path, pixel=0.13, dz=dz)
    with pytest.raises(ValueError, match="different for every plane"):
        fit(bead, np.zeros(7))


def test_row_12_planes_in_any_order(bead, fitted):
    held = [1, 3, 5]
    back = fit(bead[::-1], Z[::-1], heldout=held)
    np.testing.assert_allclose(back.image[::-1], fitted.image, rtol=2e-3, atol=2)


def test_row_13_nan(tmp_path, bead, fitted):
    bad = bead.copy()
    bad[2, 5, 7] = bad[3, 1, 1] = np.nan
    path = tmp_path / "a.npy"
    np.save(path, bad.astype(np.float32))
    with pytest.raises(ValueError, match=r"2 NaN.*\(2, 5, 7\).*nan='mask'"):
        io.read_stack(path, **SIZES)
    with pytest.raises(ValueError, match=r"2 NaN.*\(2, 5, 7\).*weight 0"):
        fit(bad)
    stack = io.read_stack(path, nan="mask", **SIZES)
    assert stack.mask.sum() == 2
    result = fit(stack, weight=1.0 - stack.mask)
    np.testing.assert_allclose(result.image, fitted.image, rtol=1e-2, atol=2)


# -- cameras -------------------------------------------------------------------------------


def test_row_15_saturated(tmp_path):
    stack = np.minimum(spots((30, 32, 6e4)), 4095).astype(np.uint16)
    read = io.read_stack(tiff(tmp_path / "a.tif", stack), **SIZES)
    assert read.saturation == 4095
    assert 0.0 < read.saturated.mean() < 0.2
    found = find_beads(read, size=32)
    assert not any(b.ok for b in found)
    assert all("saturated" in b.rejected for b in found)


def test_row_15_saturated_samples_are_left_out(bead, fitted):
    level = 0.7 * bead.max()
    weight = (bead < level).astype(float)
    share = np.mean(weight[bead - 100 > 0.5 * (bead.max() - 100)] == 0)  # of all its planes' peaks
    with pytest.warns(JaxwaveWarning, match=f"{share:.0%} of the bead's peak .* not reliable"):
        result = fit_bead(np.minimum(bead, level), Z, MODEL, steps=(60, 0), weight=weight)
    assert float(np.max(result.image)) > 0.9 * bead.max()


def test_row_16_hot_and_dead_pixels():
    stack = spots((30.3, 32.6, 900))
    bad = stack.copy()
    bad[:, 20, 40], bad[:, 33, 30], bad[4, 50, 10] = 6e4, 0, 3e4
    [clean], [found] = find_beads(stack, size=32), find_beads(bad, size=32)
    assert found.ok
    np.testing.assert_allclose(found.center, clean.center, atol=0.1)
    noise = np.random.default_rng(3).normal(0, 5, stack.shape)
    marked = hot_pixels(bad + noise)
    assert marked[:, 20, 40].all() and marked[:, 33, 30].all() and marked[4, 50, 10]
    assert marked.sum() == 2 * len(stack) + 1
    assert not hot_pixels(stack + noise).any(), "a bead and its noise are left alone"
    counts = np.random.default_rng(5).poisson(0.2, stack.shape)
    assert not hot_pixels(counts).any(), "counted photons"
    z, y, x = np.indices(stack.shape)
    slope = 300 + 100 * np.tanh((x - 20) / 9) + noise / 100
    assert not hot_pixels(slope).any(), "a dark side, with little noise"
    spread = 1 + ((z - 5) / 3) ** 2  # in focus 4.5 times as bright as its neighbors
    sharp = 5000 / spread * np.exp(-1.5 * ((y - 30) ** 2 + (x - 32) ** 2) / spread) + 100
    assert not hot_pixels(sharp + noise).any(), "an undersampled one, too"


def test_row_16_bad_pixels_do_not_reach_the_fit(tmp_path, bead):
    bead = np.pad(bead, ((0, 0), (4, 4), (4, 4)), constant_values=100.0)
    noisy = np.random.default_rng(4).normal(bead, 3).clip(1)
    noisy[:, 8, 9], noisy[:, 14, 17], noisy[3, 16, 6] = 3000, 0, 2500
    path = tiff(tmp_path / "hot.tif", noisy.astype(np.uint16))
    words = ["calibrate", str(path), "--na", "0.8", "--wavelength", "500 nm", "--model", "scalar"]
    words += ["--pixel", "130 nm", "--dz", "400 nm", "--size", str(MODEL.shape[0])]
    assert main([*words, "--order", "2", "--steps", "10", "0", "-o", str(tmp_path / "out")]) == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["heldout_nmse"] < 0.01 and result["settings"]["status"] == "ok"
    assert "hot or dead pixels" in result["provenance"]["note 1"]
    saved = report.load_bead_fit(tmp_path / "out")
    assert np.isnan(saved.data).sum() == 2 * len(bead) + 1
    assert "15 values that the fit left out" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float32])
def test_row_17_number_types(tmp_path, dtype):
    read = io.read_stack(tiff(tmp_path / "a.tif", VOLUME.astype(dtype)), **SIZES)
    assert read.data.dtype == np.float32
    np.testing.assert_array_equal(read.data, VOLUME)


def test_row_17_left_justified(tmp_path):
    stack = spots((30, 32, 900)).astype(np.uint16) * 16
    read = io.read_stack(tiff(tmp_path / "a.tif", stack), **SIZES)
    assert any("12" in note for note in read.notes), read.notes


def test_row_18_negative_values(tmp_path, bead, fitted):
    path = tmp_path / "a.npy"
    np.save(path, (bead - 150).astype(np.float32))
    stack = io.read_stack(path, **SIZES)
    result = fit(stack)
    np.testing.assert_allclose(result.image + 150, fitted.image, rtol=1e-2, atol=2)
    with pytest.raises(ValueError, match="Use gaussian_nll"):
        jw.poisson_nll(stack.data, stack.data, axis=None)
    assert np.isfinite(jw.anscombe_loss(stack.data, stack.data, read_noise=2.0, axis=None))


@pytest.mark.parametrize("value", [0, 1000])
def test_row_19_nothing_there(tmp_path, value):
    flat = np.full((7, 16, 16), value, np.uint16)
    stack = io.read_stack(tiff(tmp_path / "a.tif", flat), **SIZES)
    with pytest.raises(ValueError, match="no bead found"):
        find_beads(stack, size=16)
    with pytest.raises(ValueError, match=rf"no bead found: the stack is constant \({value}\)"):
        fit(stack)
    with pytest.raises(ValueError, match="of weight zero everywhere"):
        fit(stack, weight=np.zeros(stack.shape))


def test_row_19_zero_background(bead, fitted):
    result = fit(bead - 100)
    assert result.scores["heldout_per_plane_gain"] < 1e-2
    [found] = find_beads(spots((30, 32, 900), background=0.0), size=32)
    assert found.ok


@pytest.mark.parametrize("shape", [(11, 61, 64), (10, 64, 67), (3, 33, 47)])
def test_row_20_sizes(shape):
    """The center's pixel becomes N // 2 of the window, for odd and even windows alike."""
    y, x = shape[1] // 2 + 0.2, shape[2] // 2 - 0.3
    stack = spots((y, x, 900), shape=shape)
    [found] = find_beads(stack, size=24)
    np.testing.assert_allclose(found.center[1:], (y, x), atol=0.1)
    for size in (20, 21):
        window = beads.cut_bead(stack, found, size)
        best = np.unravel_index(np.argmax(window.max(axis=0)), (size, size))
        assert best == (size // 2, size // 2)


def test_row_20_too_small(tmp_path, bead):
    with pytest.raises(ValueError, match="two planes or more"):
        io.read_stack(tiff(tmp_path / "a.tif", VOLUME[0]), **SIZES)
    with pytest.raises(ValueError, match="at least 3 fitted planes"):
        fit(bead[:2], Z[:2])
    with pytest.raises(ValueError, match="find_beads: "):
        find_beads(np.ones((3, 3, 3)), size=3)


def test_row_21_neighbors_and_edges():
    stack = spots((20, 20, 900), (20, 30, 700), (45, 62, 800), (46, 25, 500))
    found = {tuple(np.rint(b.center[1:]).astype(int)): b for b in find_beads(stack, size=24)}
    assert "overlap" in found[20, 20].rejected
    assert "edge" in found[45, 62].rejected
    assert found[46, 25].ok


def test_row_21_a_bad_bead_never_stops_the_others(bead):
    bad = bead.copy()
    bad[0, 0, 0] = np.nan
    with_nan, good = beads.fit_beads([bad, bead], Z, MODEL, steps=(10, 0))
    assert with_nan.status == "failed"
    assert "NaN" in with_nan.reason
    assert good.fit is not None


def test_row_22_too_large(tmp_path):
    with pytest.raises(ValueError, match="`max_bytes`"):
        io.read_stack(tiff(tmp_path / "a.tif"), max_bytes=4000, **SIZES)


def test_row_23_undersampling():
    with pytest.raises(ValueError, match="`pupil_samples` = 16 repeats the image"):
        BeadModel(
            psf.Objective(na=0.8, wavelength=0.5, n=1.0),
            pixel=0.13,
            shape=(64, 64),
            pupil_samples=16,
        )
    wave = jw.plane_wave((32, 32), spacing=0.1, wavelength=0.5)
    with pytest.warns(jw.JaxwaveWarning, match="angular_spectrum: "):
        jw.angular_spectrum(wave, 1e4)


def test_row_24_precision(bead):
    """float32 is right to a thousandth of the peak, and complex128 stays where it may."""
    with jax.enable_x64(True):
        start = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), MODEL.start())
        exact = 1e4 * np.asarray(bead_stack(MODEL, start, Z, pupil_basis(MODEL))) + 100
        assert exact.dtype == np.float64
        field = jw.scalar_field(np.ones((32, 32), complex), spacing=0.1, wavelength=0.5)
        assert field.u.dtype == jnp.complex128
        assert jw.angular_spectrum(field, 0.5).u.dtype == jnp.complex128
    np.testing.assert_allclose(bead, exact, atol=1e-5 * exact.max())


def test_row_25_torch_tensors_of_all_kinds():
    torch = pytest.importorskip("torch")
    bridge = pytest.importorskip("torch_bridge")
    double = bridge.wrap(lambda a: 2 * a * a)
    whole = torch.arange(12.0).reshape(3, 4)
    turned = whole.T.requires_grad_()
    assert not turned.is_contiguous()
    double(turned).sum().backward()
    torch.testing.assert_close(turned.grad, 4 * whole.T)
    torch.testing.assert_close(double(whole), 2 * whole**2)
    assert not double(whole).requires_grad
    assert double(torch.zeros(0, 4)).shape == (0, 4)


# -- results -------------------------------------------------------------------------------


FLAGS = ["--na", "0.8", "--wavelength", "500 nm", "--pixel", "130 nm", "--dz", "400 nm"]
FLAGS += ["--model", "scalar", "--order", "2", "--size", "16"]
FLAGS += ["--pages", "none"]


@pytest.mark.slow
def test_row_03_command_line_on_a_full_disk(tmp_path, bead, monkeypatch, capsys):
    """The disk fills while the bead is fitted: the exit code tells that nothing was saved."""
    np.save(tmp_path / "bead.npy", np.pad(bead, ((0, 0), (4, 4), (4, 4)), constant_values=100))
    out = tmp_path / "out"
    write, fsync = beads.fit_beads, os.fsync

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fit_then_fill(*parts, **options):
        for outcome in write(*parts, **options):
            monkeypatch.setattr(os, "fsync", full)
            yield outcome

    monkeypatch.setattr("jaxwave.cli.calibrate.fit_beads", fit_then_fill)
    words = ["calibrate", str(tmp_path / "bead.npy"), *FLAGS, "--steps", "3", "0", "-o", str(out)]
    code = main(words)
    monkeypatch.setattr(os, "fsync", fsync)
    said = capsys.readouterr()
    assert code == 1
    assert re.search("cannot be saved: .*No space left", said.out)  # the table of the beads
    assert "No space left" in said.err


def test_row_03_a_full_disk_keeps_the_old_result(tmp_path, monkeypatch):
    path = io.write_json(tmp_path / "result.json", {"loss": 1.0})
    before = path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"cannot write .*No space left"):
        io.write_json(path, {"loss": 2.0})
    with pytest.raises(OSError, match="No space left"):
        io.save_arrays(tmp_path / "a.npz", {"a": np.zeros(3)})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.slow
def test_row_01_command_line_killed_and_resumed(tmp_path, bead):
    """Killed after the first of three beads; the others come out as if nothing had happened."""
    rng = np.random.default_rng(1)
    field = np.full((7, 24, 72), 100.0)
    for x in (4, 28, 52):
        field[:, 4:20, x : x + 16] = bead
    np.save(tmp_path / "beads.npy", rng.poisson(field).astype(np.uint16))
    words = ["calibrate", str(tmp_path / "beads.npy"), *FLAGS, "--steps", "300", "0", "-o"]
    assert main([*words, str(tmp_path / "whole")]) == 0
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "jaxwave", *words, str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    give_up = time.monotonic() + 200
    while not list(out.glob("*/result.json")) and time.monotonic() < give_up:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert len(list(out.glob("*/result.json"))) < 3
    assert main(["resume", str(out)]) == 0
    for path in sorted((tmp_path / "whole").glob("*/result.json")):
        whole, again = (
            json.loads((folder / path.parent.name / "result.json").read_text())
            for folder in (tmp_path / "whole", out)
        )
        assert again["heldout_nmse"] == pytest.approx(whole["heldout_nmse"], rel=1e-6)
    assert len(list(out.glob("*/result.json"))) == 3
