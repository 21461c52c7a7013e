"""No command removes or replaces what it did not make, and a kill leaves the old or the new."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from jaxwave import _files
from jaxwave import io as jio
from jaxwave.cli import calibrate as command
from jaxwave.cli import names, options, outputs
from jaxwave.cli.main import main
from jaxwave.cli.settings import UsageError, gather, toml_text

FLAGS = ["--na", ".8", "--wavelength", ".5", "--pixel", ".13", "--dz", ".4", "--size", "16"]
Z, Y, X = np.indices((7, 32, 32), float)


def spot(y=16, x=16):
    return 100 + 900 * np.exp(-((Y - y) ** 2 + (X - x) ** 2) / 6 - (Z - 3) ** 2 / 4)


def cut_by_the_edge(folder):
    """A stack in which nothing can be fitted, so that the command is quick."""
    np.save(folder / "edge.npy", spot(y=2)[:, :24, :24])
    return str(folder / "edge.npy")


# -- the folder of results -----------------------------------------------------------------


def test_foreign_results_stay(tmp_path, capsys):
    for day in ("monday", "edge-001"):
        (tmp_path / "out" / day).mkdir(parents=True)
        (tmp_path / "out" / day / "result.json").write_text(json.dumps({"precious": day}))
    assert main(["calibrate", cut_by_the_edge(tmp_path), *FLAGS, "-o", str(tmp_path / "out")]) == 1
    for day in ("monday", "edge-001"):
        text = (tmp_path / "out" / day / "result.json").read_text()
        assert json.loads(text) == {"precious": day}


@pytest.mark.parametrize("name", ["result.json", "psf.ome.tif", "job.toml", "beads.csv"])
def test_files_of_others_are_not_replaced(tmp_path, capsys, name):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("precious")
    assert main(["calibrate", cut_by_the_edge(tmp_path), *FLAGS, "-o", str(out)]) == 2
    said = capsys.readouterr().err
    assert name in said and "was not written by this calibration" in said
    assert [p.name for p in out.iterdir()] == [name] and (out / name).read_text() == "precious"


def test_a_lock_of_others_is_not_emptied(tmp_path, capsys):
    (tmp_path / "run.lock").write_text("precious")
    assert main(["calibrate", cut_by_the_edge(tmp_path), *FLAGS, "-o", str(tmp_path)]) == 2
    assert (tmp_path / "run.lock").read_text() == "precious"


def test_no_output_replaces_an_input(tmp_path, capsys, monkeypatch):
    stack = jio.write_stack(tmp_path / "psf.ome.tif", spot(), spacing=(0.4, 0.13, 0.13))
    before = stack.read_bytes()
    for force in ([], ["--force"]):
        assert main(["calibrate", str(stack), *FLAGS, "-o", str(tmp_path), *force]) == 2
        assert "would replace" in capsys.readouterr().err
    link = tmp_path / "link.tif"
    link.symlink_to(stack)
    for target in (stack, link):
        words = ["export", str(tmp_path), "--like", str(stack), "--psf", str(target)]
        assert main(words) == 2
        assert "is there already" in capsys.readouterr().err
        assert main([*words, "--force"]) == 2
        assert "which is read" in capsys.readouterr().err
    assert stack.read_bytes() == before


def test_a_file_of_somebody_else_is_not_replaced(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("psf.npz").write_text("precious")
    words = ["psf", "--na", "0.8", "--wavelength", "500 nm", "--pixel", ".1", "--dz", ".3"]
    assert main([*words, "-o", "psf.npz"]) == 2
    assert main(["export", ".", "--pupil", "psf.npz"]) == 2
    assert capsys.readouterr().err.count("is there already") == 2
    assert Path("psf.npz").read_text() == "precious"
    assert main([*words, "-o", "nowhere/psf.npz"]) == 2
    assert "there is no folder for" in capsys.readouterr().err


def test_an_output_inside_a_zarr_input_is_refused(tmp_path):
    jio.write_stack(tmp_path / "a.zarr", spot(), spacing=(0.4, 0.13, 0.13))
    with pytest.raises(UsageError, match="would replace"):
        outputs.spare(tmp_path / "a.zarr" / "psf.tif", [tmp_path / "a.zarr"], "")


def test_the_settings_that_were_given_are_not_rewritten(tmp_path, capsys):
    job = tmp_path / "job.toml"
    text = f'# mine\nfiles = ["{cut_by_the_edge(tmp_path)}"]\nna = 0.8\nwavelength = 0.5\n'
    job.write_text(text + "pixel = 0.13\ndz = 0.4\nsize = 16\n")
    before = job.read_text()
    assert main(["calibrate", "--config", str(job), "-o", str(tmp_path)]) == 1
    assert main(["calibrate", "--config", str(job), "-o", str(tmp_path), "--na", "0.7"]) == 2
    assert "na (0.8 there, 0.7 now)" in capsys.readouterr().err
    assert job.read_text() == before


def test_settings_of_the_user_open_no_door(tmp_path, capsys):
    """Who keeps job.toml beside other results loses none of them, by no command."""
    job = tmp_path / "job.toml"
    cut_by_the_edge(tmp_path)
    job.write_text(
        'files = ["e*.npy"]\nna = 0.8\nwavelength = 0.5\npixel = 0.13\ndz = 0.4\nsize = 16\n'
    )
    (tmp_path / "result.json").write_text("precious")
    words = ["calibrate", "--config", str(job), "-o", str(tmp_path)]
    for run in (words, ["resume", str(tmp_path)]):
        assert main(run) == 2
        said = capsys.readouterr().err
        assert "was not written by this calibration" in said
        assert ("--force" in said) == (run[0] == "calibrate"), "resume has no such flag"
        assert not (tmp_path / "beads.csv").exists()
    assert (tmp_path / "result.json").read_text() == "precious"
    (tmp_path / "result.json").unlink()
    for run in (words, words, ["resume", str(tmp_path)]):  # patterns are no other settings
        assert main(run) == 1
        assert "0 of 1 bead kept" in capsys.readouterr().err
    before = job.read_bytes()
    assert main(["calibrate", str(tmp_path / "edge.npy"), *FLAGS, "-o", str(tmp_path)]) == 2
    assert "job.toml' is there already" in capsys.readouterr().err
    assert job.read_bytes() == before


@pytest.mark.parametrize(
    ("flag", "name"), [("--known", "zernikes.csv"), ("--camera-offset", "calibration.npz")]
)
def test_tables_and_maps_are_inputs_too(tmp_path, capsys, flag, name):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("precious")
    words = ["calibrate", cut_by_the_edge(tmp_path), *FLAGS, "-o", str(out), "--force"]
    assert main([*words, "--camera-gain", "1", flag, str(out / name)]) == 2
    assert "would replace" in capsys.readouterr().err
    assert (out / name).read_text() == "precious"


def test_a_picture_of_somebody_else_stays(tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    picture = out / "edge.field.png"
    picture.write_text("precious")
    words = ["calibrate", cut_by_the_edge(tmp_path), *FLAGS, "-o", str(out)]
    for _ in range(2):
        assert main(words) == 1
        assert "the field is not drawn" in capsys.readouterr().err
    assert picture.read_text() == "precious"
    picture.unlink()
    assert main(words) == 1 and outputs.is_our_picture(picture)
    old = picture.stat().st_mtime_ns
    assert main(words) == 1 and picture.stat().st_mtime_ns > old, "our own is drawn again"


def test_a_folder_that_was_removed_meanwhile_is_told(tmp_path, capsys):
    given = {"files": ["/d/a.tif"], "out": str(tmp_path / "gone"), "na": 0.8, "wavelength": 0.5}
    settings = gather(options.CALIBRATE, given)
    command._make_again(settings)
    assert "gone' was removed while the fit was running" in capsys.readouterr().err
    again = gather(options.CALIBRATE, {}, str(tmp_path / "gone" / "job.toml"))
    assert again.values == settings.values
    command._make_again(settings)
    assert not capsys.readouterr().err, "it is there"


def test_a_report_believes_no_table_of_somebody_else(tmp_path, capsys, monkeypatch):
    (tmp_path / "a").mkdir()
    for place in ("a/calibration.npz", "beads.csv", "report.html", "result.json"):
        (tmp_path / place).write_text("precious")
    monkeypatch.setattr(command.batch, "page_of", lambda folder: folder / "report.html")
    assert main(["report", str(tmp_path)]) == 0
    for place in ("beads.csv", "report.html", "result.json"):
        assert (tmp_path / place).read_text() == "precious"


def test_resume_goes_on_with_beads_that_would_be_rejected(tmp_path, capsys, monkeypatch):
    waiting = []

    def fit(settings, tasks, *_):
        waiting.append([task.name for task in tasks])
        return iter(())

    monkeypatch.setattr(command, "_fit", fit)
    np.save(tmp_path / "two.npy", spot(14) + spot(20))
    words = ["calibrate", str(tmp_path / "two.npy"), *FLAGS, "-o", str(tmp_path / "out")]
    main([*words, "--keep", "all"])
    assert "overlapping" in capsys.readouterr().out
    main(["resume", str(tmp_path / "out")])
    assert waiting == [["two-001", "two-002"]] * 2


def test_names_in_the_settings_are_relative_to_them(tmp_path, capsys, monkeypatch):
    (tmp_path / "day").mkdir()
    cut_by_the_edge(tmp_path / "day")
    np.save(tmp_path / "day" / "offset.npy", np.full((24, 24), 100.0))
    (tmp_path / "day" / "known=1.csv").write_text("n,m,nm\n2,2,15\n")
    text = 'files = ["edge.npy"]\nna = 0.8\nwavelength = 0.5\npixel = 0.13\ndz = 0.4\nsize = 16\n'
    text += 'camera_offset = "offset.npy"\ncamera_gain = 0.5\nknown = ["2,2=5 nm", "known=1.csv"]\n'
    (tmp_path / "day" / "mine.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert main(["calibrate", "--config", "day/mine.toml"]) == 1
    assert "0 of 1 bead kept" in capsys.readouterr().err
    job = tmp_path / "results" / "job.toml"
    settings = gather(options.CALIBRATE, {}, str(job))
    assert settings["out"] == str(tmp_path / "results"), "the default is no other place next time"
    assert settings["camera_offset"] == str(tmp_path / "day" / "offset.npy")
    assert settings["known"] == ["2,2=5 nm", str(tmp_path / "day" / "known=1.csv")]
    monkeypatch.chdir(tmp_path / "day")
    assert main(["resume", str(job.parent)]) == 1
    assert "0 of 1 bead kept" in capsys.readouterr().err
    assert main(["calibrate", "--config", str(job)]) == 1
    assert not (tmp_path / "day" / "results").exists()


def test_results_are_replaced_when_the_new_ones_are_whole(tmp_path):
    for text in ("one", "two"):
        with _files.replacing_files(tmp_path, last="result.json") as place:
            (place / "result.json").write_text(text)
            (place / "psf.tif").write_text(text)
    with (
        pytest.raises(OSError, match="full"),
        _files.replacing_files(tmp_path, last="result.json") as place,
    ):
        (place / "result.json").write_text("three")
        raise OSError("the disk is full")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        "result.json": "two",
        "psf.tif": "two",
    }


def test_a_kill_between_two_files_leaves_no_whole_result(tmp_path, monkeypatch):
    (tmp_path / "result.json").write_text("old")
    moved = []

    def killed(*names):
        if moved:
            raise KeyboardInterrupt
        moved.append(names)

    monkeypatch.setattr(os, "replace", killed)
    with (
        pytest.raises(KeyboardInterrupt),
        _files.replacing_files(tmp_path, last="result.json") as place,
    ):
        for name in ("a", "b", "result.json"):
            (place / name).write_text("new")
    assert not (tmp_path / "result.json").exists()


# -- Zarr ----------------------------------------------------------------------------------


def zarr(folder, value=1.0):
    array = np.full((3, 8, 8), value)
    return jio.write_stack(folder / "psf.zarr", array, spacing=(0.3, 0.1, 0.1))


@pytest.mark.parametrize("fails", [1, 2])
def test_a_zarr_folder_is_replaced_or_stays(tmp_path, monkeypatch, fails):
    pytest.importorskip("zarr")
    path, calls, replace = zarr(tmp_path), [], os.replace

    def stale(*names):
        calls.append(names)
        if len(calls) == fails:
            raise OSError(116, "Stale file handle")
        replace(*names)

    monkeypatch.setattr(os, "replace", stale)
    with pytest.raises(OSError, match="Stale file handle"):
        zarr(tmp_path, 2.0)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["psf.zarr"]
    assert jio.read_stack(path).data.max() == 1
    assert jio.read_stack(zarr(tmp_path, 2.0)).data.max() == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("fails", [1, 2])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning", "ignore:.*fork.*:RuntimeWarning")
def test_a_zarr_folder_survives_a_kill(tmp_path, fails):
    pytest.importorskip("zarr")
    path, calls, replace = zarr(tmp_path), [], os.replace
    pid = os.fork()
    if not pid:

        def kill(*names):
            calls.append(names)
            if len(calls) == fails:
                os.kill(os.getpid(), 9)
            replace(*names)

        os.replace = kill
        zarr(tmp_path, 2.0)
        os._exit(1)
    os.waitpid(pid, 0)
    assert path.exists() == (fails == 1)
    assert jio.read_stack(path).data.max() == 1, "brought back where it is missed"
    _files.remove_temporary(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["psf.zarr"]


# -- names ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "stem"),
    [
        ("/d/poke_-0.0150.tif", "poke_-0.0150"),
        ("/d/poke_-0.0150", "poke_-0.0150"),
        ("/d/a.b.ome.tiff", "a.b"),
        ("/d/a.OME.TIF", "a"),
        ("/d/a.ome.zarr", "a"),
        ("/d/a.ome.zarr.zip", "a"),
        ("/d/a.ome.zarr/0", "a-0"),
        ("/d/set.companion.ome", "set"),
        ("/d/.tif", "stack"),
        ("/d/2026.11.27 beads.npy", "2026.11.27 beads"),
    ],
)
def test_a_name_keeps_its_dots(path, stem):
    assert names.stem(path) == stem


def test_no_two_beads_share_a_folder(tmp_path, capsys):
    files = [f"{tmp_path}/{n}.npy" for n in ("a.x", "a.y", "a-file1", "sub/a.x", "A.X")]
    (tmp_path / "sub").mkdir()
    for file in files:
        np.save(file, spot())
    found = names.stems(files)
    assert len({name.casefold() for name in found}) == len(files)
    assert found[1:3] == ["a.y", "a-file1"]
    given = dict(
        files=files, na=0.8, wavelength=0.5, pixel=0.13, dz=0.4, size=16, out=str(tmp_path)
    )
    _, tasks = command._find(gather(options.CALIBRATE, given), tmp_path / "out")
    assert len({task.folder for task in tasks}) == len(files)
    assert len({task.job for task in tasks}) == 1, "the same data and settings"


def test_patterns_and_folders(tmp_path, capsys):
    for name in ("b.tif", "a.npy", "notes.txt", ".hidden.tif"):
        (tmp_path / name).write_bytes(b"")
    jio.write_stack(tmp_path / "c.zarr", spot(), spacing=(1, 0.5, 0.5))
    listed = [str(tmp_path / name) for name in ("a.npy", "b.tif", "c.zarr")]
    assert names.expand([str(tmp_path)]) == listed
    assert names.expand([str(tmp_path / "*.npy"), str(tmp_path / "?.tif")]) == listed[:2]
    assert names.expand([listed[0], listed[0]]) == listed[:1]
    odd = tmp_path / "a[1].tif"
    odd.touch()
    assert names.expand([str(odd)]) == [str(odd)], "a file that is there is no pattern"
    with pytest.raises(UsageError, match="no file matches"):
        names.expand([str(tmp_path / "*.lsm")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no stack"):
        names.expand([str(tmp_path / "empty")])
    assert main(["calibrate", str(tmp_path / "*.lsm"), *FLAGS]) == 2


# -- what is written can be read -----------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["plain.tif", 'quote".tif', "back\\slash.tif", "new\nline.tif", "\x7f\x01.tif", "µ 漢.tif"],
)
def test_settings_come_back_whatever_the_path(tmp_path, name):
    _round_trip(tmp_path, name)


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_settings_come_back_with_a_path_that_is_no_text(tmp_path):
    _round_trip(tmp_path, os.fsdecode(b"caf\xe9.tif"))


def _round_trip(folder: Path, name: str) -> None:
    given = {"files": [str(folder / name)], "out": str(folder), "na": 0.8, "threshold": "inf"}
    given["wavelength"] = 0.1 + 0.2
    settings = gather(options.CALIBRATE, given)
    (folder / "job.toml").write_bytes(toml_text(options.CALIBRATE, settings).encode())
    again = gather(options.CALIBRATE, {}, str(folder / "job.toml"))
    assert again.values == settings.values
    assert again.origin("na") == "user" and again.origin("n") == "default"
