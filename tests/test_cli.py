"""The command line: settings, exit codes, batches, resuming, exports."""

import csv
import json
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave import io as jio
from jaxwave import psf, report
from jaxwave.beads import BeadModel, bead_stack, pupil_basis
from jaxwave.beads.model import SCALES
from jaxwave.cli import checks, finding, options
from jaxwave.cli.export import bead_folder
from jaxwave.cli.main import main, parser
from jaxwave.cli.settings import Option, Settings, UsageError, gather, toml_text

PIXEL, DZ, PLANES = 0.13, 0.35, 9
MODEL = BeadModel(
    psf.Objective(na=0.8, wavelength=0.5, n=1.0),
    pixel=PIXEL,
    shape=(24, 24),
    order=4,
    vectorial=False,
)
Z = (np.arange(PLANES) - PLANES // 2) * DZ
FLAGS = ["--na", "0.8", "--wavelength", "500 nm", "--model", "scalar", "--order", "4"]
FLAGS += ["--size", "24", "--steps", "25", "0"]
OPTICS = ["--na", "0.8", "--wavelength", "500 nm"]
VOXEL = ["--pixel", "130 nm", "--dz", "0.35 um"]


def bead(photons: float = 2e5, astigmatism: float = 0.03) -> np.ndarray:
    parameters = MODEL.start(0.0)
    values = np.zeros(len(MODEL.modes))
    values[MODEL.modes.index((2, 2))] = astigmatism / SCALES["zernike"]
    parameters["zernike"] = jnp.asarray(values, jnp.float32)
    return photons * np.asarray(bead_stack(MODEL, parameters, Z, pupil_basis(MODEL)))


def field(places: list[tuple[int, int]], shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    clean = np.full((PLANES, *shape), 100.0)
    one = bead()
    for y, x in places:
        clean[:, y - 12 : y + 12, x - 12 : x + 12] += one
    return np.random.default_rng(seed).poisson(clean).astype(np.uint16)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    np.save(folder / "one.npy", field([(20, 20)], (40, 40)))
    # three good beads, one cut by the edge (in a file of its own, as it would overlap)
    np.save(folder / "three.npy", field([(20, 20), (20, 60), (60, 40)], (80, 80), seed=1))
    np.save(folder / "edge.npy", field([(12, 12)], (40, 40), seed=2)[:, 6:, :])
    (folder / "broken.tif").write_bytes(b"II*\0")
    return folder


@pytest.fixture(scope="module")
def single(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("single") / "out"
    assert main(["calibrate", str(files / "one.npy"), *FLAGS, *VOXEL, "-o", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def several(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("several") / "out"
    names = [str(files / name) for name in ("three.npy", "broken.tif", "edge.npy")]
    assert main(["calibrate", *names, *FLAGS, *VOXEL, "-o", str(out)]) == 0
    return out


def table(out: Path) -> list[dict[str, str]]:
    with (out / "beads.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


# -- one bead ------------------------------------------------------------------------------


def test_the_folder_of_one_bead(single):
    result = json.loads((single / "result.json").read_text())
    assert result["heldout_nmse"] < 2e-3
    found = {(row["n"], row["m"]): row["opd_nm"] for row in result["zernikes"]}
    assert found[2, 2] == pytest.approx(30, abs=1)
    assert result["provenance"]["na"] == "0.8, user"
    assert result["provenance"]["n"] == "1.0, default"
    assert result["provenance"]["dz"].endswith("user")
    names = {path.name for path in single.iterdir()}
    assert {"job.toml", "beads.csv", "report.html", "psf.ome.tif", "zernikes.csv"} <= names
    [row] = table(single)
    assert row["status"] == "ok" and row["folder"] == "."


class Page(HTMLParser):
    """Collects what a page points to, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []
        self.pictures = 0

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.links += [v for k, v in attrs if k in ("href", "src")]
        self.pictures += tag == "img" and bool(values.get("alt"))
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_stands_alone_and_tells_everything(single):
    text = (single / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert not page.open and page.pictures == 7
    assert all(link.startswith("data:image/") for link in page.links), "nothing from the network"
    for word in ("Strehl", "rms wavefront", "FWHM", "Modulation", "Cramér-Rao", "Noll", "Fringe"):
        assert word in text
    assert "500 nm" in text and "0.35 µm, user" in text and "jaxwave 0" in text


def test_the_written_psf_has_unit_sum_and_its_voxel(single):
    psf = jio.read_stack(single / "psf.ome.tif")
    assert psf.spacing == pytest.approx((DZ, PIXEL, PIXEL))
    assert float(psf.data.sum()) == pytest.approx(1, abs=1e-5)
    assert np.unravel_index(psf.data.argmax(), psf.shape)[1:] == (12, 12), "centered"


def test_a_saved_fit_reads_back_whole(single):
    saved = report.load_bead_fit(single)
    assert saved.fit.model.shape == (24, 24) and saved.data.shape == (PLANES, 24, 24)
    again = json.loads(json.dumps(report.bead_summary(saved.fit), default=np.ndarray.tolist))
    for name, value in again.items():
        assert value == near(saved.result[name]), name


def near(value):
    """The same to the last digits, however nested."""
    if isinstance(value, dict):
        return {k: near(v) for k, v in value.items()}
    if isinstance(value, list):
        return [near(v) for v in value]
    return pytest.approx(value, rel=1e-9) if isinstance(value, float) else value


# -- a batch -------------------------------------------------------------------------------


def test_one_bad_file_or_bead_never_stops_the_batch(several, capsys):
    rows = table(several)
    states = {row["bead"]: row["status"] for row in rows}
    good = [name for name, status in states.items() if status == "ok"]
    assert len(good) == 3 and all(name.startswith("three-") for name in good)
    assert states["broken"] == "failed"
    assert states["edge-001"] == "rejected"
    reasons = {row["bead"]: row["reason"] for row in rows}
    assert "no readable TIFF page" in reasons["broken"]
    assert "cut by the edge" in reasons["edge-001"]


def test_the_batch_sums_up(several):
    result = json.loads((several / "result.json").read_text())
    assert result["good_beads"] == 3 and result["heldout_nmse"] < 2e-3
    mode = {(row["n"], row["m"]): row for row in result["zernikes"]}[2, 2]
    assert mode["mean_nm"] == pytest.approx(30, abs=1) and 0 < mode["sd_nm"] < 1
    page = Page()
    page.feed((several / "report.html").read_text(encoding="utf-8"))
    linked = [link for link in page.links if not link.startswith("data:")]
    assert len(linked) == 3 and all((several / link).is_file() for link in linked)


def test_resume_does_only_what_is_missing(several, capsys):
    gone, kept, _ = (row for row in table(several) if row["status"] == "ok")
    before = (several / kept["folder"] / "result.json").stat().st_mtime_ns
    numbers = json.loads((several / gone["folder"] / "result.json").read_text())
    (several / gone["folder"] / "result.json").unlink()
    assert main(["resume", str(several)]) == 0
    assert "2 of 3 beads are done already" in capsys.readouterr().out
    assert (several / kept["folder"] / "result.json").stat().st_mtime_ns == before
    again = json.loads((several / gone["folder"] / "result.json").read_text())
    assert again["heldout_nmse"] == pytest.approx(numbers["heldout_nmse"], rel=0.05)
    assert [row["status"] for row in table(several)].count("ok") == 3


def test_report_writes_the_pages_again(several, capsys):
    (several / "report.html").unlink()
    assert main(["report", str(several)]) == 0
    assert (several / "report.html").is_file()
    assert capsys.readouterr().out.count("report.html") == 4


def test_nothing_to_fit_is_said(files, tmp_path, capsys):
    assert main(["calibrate", str(files / "edge.npy"), *FLAGS, *VOXEL, "-o", str(tmp_path)]) == 1
    assert "0 of 1 bead kept, because: cut by the edge" in capsys.readouterr().err
    assert table(tmp_path)[0]["status"] == "rejected"


# -- settings ------------------------------------------------------------------------------


def test_the_job_file_gives_the_same_settings(single):
    job = gather(options.CALIBRATE, {}, str(single / "job.toml"))
    assert (job["na"], job["wavelength"], job["steps"]) == (0.8, 0.5, [25, 0])
    assert job["heldout"] is None and job["dz"] == 0.35
    again = toml_text(options.CALIBRATE, job)
    assert [line.split("  #")[0] for line in again.splitlines()] == [
        line.split("  #")[0] for line in (single / "job.toml").read_text().splitlines()
    ]


def test_flags_win_over_the_file(tmp_path):
    (tmp_path / "job.toml").write_text('na = 0.9\nwavelength = "520 nm"\nfiles = ["a.tif"]\n')
    path = str(tmp_path / "job.toml")
    job = gather(options.CALIBRATE, {"na": "0.7"}, path)
    assert (job["na"], job["wavelength"], job["n"]) == (0.7, 0.52, 1.0)
    assert (job.origin("na"), job.origin("wavelength")) == ("user", "job.toml")
    assert job.origin("n") == "default"
    assert job["files"] == [str(tmp_path / "a.tif")], "relative to the file that names it"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('wavelenght = "520 nm"', "Did you mean 'wavelength'"),
        ('wavelength = "520 nanos"', "expected a number and a unit"),
        ("na = true", "must be a number"),
        ("order = 4.5", "must be a whole number"),
        ("size = inf", "must be a number or text, got inf"),
        ('model = "vector"', "Did you mean 'vectorial'"),
        ("na = ", "is not a TOML file"),
    ],
)
def test_a_wrong_file_of_settings_is_told(tmp_path, text, message):
    (tmp_path / "job.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        gather(options.CALIBRATE, {}, str(tmp_path / "job.toml"))


def test_other_settings_do_not_mix_in_a_folder(files, single, capsys):
    words = ["calibrate", str(files / "one.npy"), *FLAGS, *VOXEL, "-o", str(single)]
    assert main([*words, "--threshold", "9"]) == 2
    assert "threshold (8.0 there, 9.0 now)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["calibrate"], 2, "no files"),
        (["calibrate", "a.tif"], 2, "--na and --wavelength must be given"),
        (["calibrate", "a.tif", "--na", "1.2", "--wavelength", "500 nm"], 2, "Pass the immersion"),
        (["calibrate", "a.tif", "--na", "0.8", "--wavelength", "500"], 2, "looks like nanometres"),
        (["calibrate", "a.tif", "--na", "0.8", "--wavelength", "5 ft"], 2, "--wavelength: "),
        (["calibrate", "no.tif", "--na", "0.8", "--wavelength", "0.5"], 2, "there is no file"),
        (["calibrate", "a.tif", *OPTICS, "--steps", "0", "0"], 2, "not both zero"),
        (["calibrate", "a.tif", *OPTICS, "--size", "1"], 2, "--size must be at least 8, got 1"),
        (["calibrate", "a.tif", *OPTICS, "--most", "0"], 2, "--most must be at least 1"),
        (["calibrate", "a.tif", *OPTICS, "--blur", "-60 nm"], 2, "must not be negative"),
        (["calibrate", "--modle", "scalar"], 2, "Did you mean --model?"),
        (["calibrate", "--config", "no.toml"], 2, "there is no file 'no.toml'"),
        (["resume", "."], 2, "nothing to resume"),
        (["report", "."], 2, "holds no calibrated bead"),
        (["export", "."], 2, "nothing to write"),
        (["export", ".", "--psf", "a.png"], 2, "must end in .tif"),
        (["export", ".", "--psf", "a.tif"], 1, "no result.json"),
        (["psf", "--na", "0.8"], 2, "--wavelength, --pixel, --dz must be given"),
        (["psf", *OPTICS, *VOXEL, "--na", "0"], 2, "--na must be positive, got 0"),
        (["psf", *OPTICS, *VOXEL, "--zernike", "2,1=3 nm"], 2, "n >= |m| and n - m even"),
        ([], 2, ""),
    ],
)
def test_errors_are_one_sentence_and_a_code(tmp_path, monkeypatch, capsys, words, code, message):
    monkeypatch.chdir(tmp_path)
    assert main(words) == code
    err = capsys.readouterr().err
    assert message in err and "Traceback" not in err
    assert len(err.strip().splitlines()) <= 1


def test_debug_shows_the_traceback(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["resume", ".", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_planes_in_nanometers_without_their_unit(files, tmp_path, capsys):
    words = ["calibrate", str(files / "one.npy"), *FLAGS, "--pixel", "0.13", "--dz", "350"]
    assert main([*words, "-o", str(tmp_path / "out")]) == 2
    assert "--dz '350 nm'" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such permissions")
def test_a_folder_without_permission(files, tmp_path, capsys):
    (tmp_path / "out").write_text("a file, not a folder")
    words = ["calibrate", str(files / "one.npy"), *FLAGS, *VOXEL, "-o", str(tmp_path / "out")]
    assert main(words) == 1
    assert "cannot be written" in capsys.readouterr().err


COMMANDS = ["", "calibrate", "resume", "report", "export", "psf"]
COMMANDS += ["lightfield calibrate", "lightfield reconstruct"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_reads_well(capsys, command):
    assert main([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert "example" in text and "jaxwave" in text
    assert max(map(len, text.splitlines())) <= 100


def test_every_option_has_a_help_and_no_flag_is_abbreviated_away():
    for table_ in (options.CALIBRATE, options.EXPORT, options.PSF, options.LATTICE, options.VOLUME):
        for option in table_:
            assert isinstance(option, Option) and option.help and not option.help.endswith(".")
    assert parser().prog == "jaxwave"


# -- exports -------------------------------------------------------------------------------


def test_export_like_an_image_conserves_the_light(single, tmp_path):
    pytest.importorskip("tifffile")
    image = np.ones((11, 30, 30), np.float32)
    jio.write_stack(tmp_path / "image.tif", image, spacing=(0.2, 0.2, 0.2))
    out = tmp_path / "psf.ome.tif"
    like = ["--like", str(tmp_path / "image.tif")]
    assert main(["export", str(single), "--psf", str(out), *like]) == 0
    psf = jio.read_stack(out)
    assert psf.spacing == pytest.approx((0.2, 0.2, 0.2))
    assert float(psf.data.sum()) == pytest.approx(1, abs=1e-5)
    peak = np.unravel_index(psf.data.argmax(), psf.shape)
    assert peak[1:] == (psf.shape[1] // 2, psf.shape[2] // 2) and psf.shape[1] % 2 == 1
    # coarse pixels are sums of fine ones, which are computed on their own
    fit = report.load_bead_fit(single).fit
    fine = report.calibrated_psf(fit, [0.0, 0.7], pixel=0.05, shape=45)
    coarse = report.calibrated_psf(fit, [0.0, 0.7], pixel=0.25, shape=9)
    summed = fine.reshape(2, 9, 5, 9, 5).sum(axis=(2, 4))
    np.testing.assert_allclose(coarse, summed, atol=2e-3 * coarse.max())


@pytest.mark.parametrize("name", ["psf.tif", "psf.npz", "psf.zarr"])
def test_export_formats(single, tmp_path, name):
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    path = tmp_path / name
    size = ["--size", "21", "--planes", "5", "--pixel", "100 nm", "--dz", "400 nm"]
    assert main(["export", str(single), "--psf", str(path), *size]) == 0
    psf = jio.read_stack(path)
    assert psf.shape == (5, 21, 21) and psf.spacing == pytest.approx((0.4, 0.1, 0.1))
    assert float(psf.data.sum()) == pytest.approx(1, abs=1e-5)


def test_export_takes_every_number_at_its_word(single, tmp_path, capsys):
    for flag, value in (("--pixel", "0"), ("--dz", "0"), ("--size", "0"), ("--planes", "-2")):
        assert main(["export", str(single), "--psf", str(tmp_path / "a.tif"), flag, value]) != 0
        assert "must be" in capsys.readouterr().err
    assert main(["export", str(single), "--pupil", str(tmp_path / "P.CSV")]) == 0
    assert (tmp_path / "P.CSV").read_text().startswith("sy,sx")


def test_export_pupil_and_coefficients(single, tmp_path):
    pupil, modes = tmp_path / "pupil.csv", tmp_path / "zernikes.json"
    words = ["export", str(single), "--pupil", str(pupil), "--coefficients", str(modes)]
    assert main(words) == 0
    [first, *_] = rows = json.loads(modes.read_text())
    assert {"osa", "noll", "fringe", "n", "m", "opd_nm", "error_nm"} <= set(first)
    assert len(rows) == len(MODEL.modes)
    with pupil.open(encoding="utf-8", newline="") as stream:
        values = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]
    assert max(np.hypot(v["sx"], v["sy"]) for v in values) == pytest.approx(0.8, abs=0.04)


def test_psf_from_numbers_is_the_airy_pattern(tmp_path):
    path = tmp_path / "psf.npz"
    words = ["psf", "--na", "0.3", "--wavelength", "500 nm", "--pixel", "100 nm", "--dz", "1 um"]
    words += ["--model", "scalar", "--size", "41", "--planes", "3", "-o", str(path)]
    assert main(words) == 0
    row = jio.read_stack(path).data[1, 20].astype(float)
    x = np.abs(np.arange(41) - 20) * 0.1
    from scipy.special import j1

    v = 2 * np.pi * 0.3 * np.maximum(x, 1e-9) / 0.5
    airy = (2 * j1(v) / v) ** 2
    # the pixel averages: 1.5 % of the peak at this sampling, the paraxial formula less
    np.testing.assert_allclose(row / row.max(), airy, atol=0.02)


@pytest.mark.parametrize("pixel", ["2 um", "31 nm"])
def test_psf_of_any_pixel(tmp_path, pixel):
    path = tmp_path / "psf.npz"
    words = ["psf", *OPTICS, "--model", "scalar", "--dz", "0.5", "--pixel", pixel]
    assert main([*words, "--size", "9", "--planes", "3", "-o", str(path)]) == 0
    psf = jio.read_stack(path).data
    assert np.unravel_index(psf.argmax(), psf.shape) == (1, 4, 4)


def test_psf_with_aberrations(tmp_path, capsys):
    words = ["psf", "--na", "0.8", "--wavelength", "500 nm", "--pixel", "100 nm", "--dz", "300 nm"]
    words += ["--size", "21", "--planes", "5", "-o"]
    right = [*words, str(tmp_path / "psf.tif"), "--zernike", "primary spherical=20 nm", "2,2=15 nm"]
    assert main(right) == 0
    words.append(str(tmp_path / "none.tif"))
    assert main([*words, "--zernike", "2,1=20 nm"]) == 2
    assert main([*words, "--zernike", "spherica"]) == 2
    assert capsys.readouterr().err.count("--zernike") == 2


# -- signals -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_run_and_resume_goes_on(files, tmp_path, number, code):
    out = tmp_path / "out"
    words = [sys.executable, "-m", "jaxwave", "calibrate", str(files / "three.npy")]
    words += [*FLAGS, *VOXEL, "--steps", "3000", "0", "-o", str(out)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        deadline = time.monotonic() + 120
        while not (out / "job.toml").is_file() and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(2)
        second = main(["resume", str(out)])  # the folder is locked
        run.send_signal(number)
        text = run.communicate(timeout=120)[1].decode()
    assert second == 1
    assert run.returncode == code, text
    assert re.search("go on with: jaxwave resume", text)
    assert main(["resume", str(out)]) == 0
    assert [row["status"] for row in table(out)] == ["ok"] * 3


def test_svg_pictures_are_well_formed(single):
    import base64

    text = (single / "report.html").read_text(encoding="utf-8")
    found = re.findall(r"data:image/svg\+xml;base64,([^\"]+)", text)
    assert len(found) == 5
    for data in found:
        ElementTree.fromstring(base64.b64decode(data))


# -- which beads, and what is known ------------------------------------------------------------


def test_places_and_widths_are_read():
    assert checks.places("120,88; 40.5 61") == [(120.0, 88.0), (40.5, 61.0)]
    assert checks.width("48") == (48, None) and checks.width("6 um") == (None, 6.0)
    assert checks.width(None) == (None, None)
    for wrong in ("12", "a,b", "1,2,3"):
        with pytest.raises(UsageError, match="--beads must look like 'y,x; y,x'"):
            checks.places(wrong)


def test_known_aberrations_of_texts_and_tables(tmp_path):
    path = tmp_path / "known.csv"
    path.write_text("n,m,nm,plane\n2,2,15,\n3,-1,40,1\n")
    settings = Settings({"known": ["primary spherical=20 nm", str(path)]}, {})
    total = finding.known(settings, MODEL, 3)
    one = MODEL.opd([0.015, 0.02], [(2, 2), (4, 0)])
    np.testing.assert_allclose(total[0], one, atol=1e-7)
    np.testing.assert_allclose(total[1], one + MODEL.opd([0.04], [(3, -1)]), atol=1e-7)
    path.write_text("n,m,nm,plane\n2,2,15,7\n")
    with pytest.raises(UsageError, match=r"--known: known.csv must have the columns"):
        finding.known(settings, MODEL, 3)


def test_a_camera_of_numbers_and_maps(tmp_path):
    np.save(tmp_path / "offset.npy", np.arange(12.0).reshape(3, 4))
    none = dict.fromkeys(
        ("camera_offset", "camera_gain", "read_noise", "quantum_efficiency", "excess_noise")
    )
    known = none | {"camera_offset": str(tmp_path / "offset.npy"), "camera_gain": "0.46"}
    camera = finding.camera(Settings(known, {}), (3, 4))
    assert camera.shape == (3, 4) and float(camera.gain) == 0.46
    assert finding.camera(Settings(none, {}), (3, 4)) is None
    with pytest.raises(
        UsageError, match=r"--camera-offset: the map has \(3, 4\) pixels, the stack"
    ):
        finding.camera(Settings(known, {}), (5, 4))
    with pytest.raises(UsageError, match="--camera-gain is needed"):
        finding.camera(Settings(none | {"read_noise": "1.6"}, {}), (3, 4))


def test_the_bead_of_a_batch_that_is_exported(tmp_path, capsys):
    rows = "bead,status,heldout_nmse,folder\na,ok,0.02,a\nb,ok,0.01,b\nc,poor,1e-3,c\nd,no,,\n"
    (tmp_path / "beads.csv").write_text(rows)
    assert bead_folder(tmp_path, None) == tmp_path / "b"
    assert "the best of 3 beads is b" in capsys.readouterr().out
    assert bead_folder(tmp_path, "c") == tmp_path / "c"
    with pytest.raises(UsageError, match="--bead: there is no 'd'; the beads are a, b, c"):
        bead_folder(tmp_path, "d")
    assert bead_folder(tmp_path / "elsewhere", None) == tmp_path / "elsewhere"


# -- other programs ------------------------------------------------------------------------


def test_export_for_the_programs_of_molecules(single, tmp_path):
    """The bead has 30 nm of astigmatism; what the files say is the calibrated model's."""
    loadmat = pytest.importorskip("scipy.io").loadmat
    h5py = pytest.importorskip("h5py")
    names = [str(tmp_path / name) for name in ("a_3dcal.mat", "a.h5", "a.npz")]
    voxel = ["--size", "15", "--planes", "9", "--pixel", "120 nm", "--dz", "200 nm"]
    words = ["export", str(single), *voxel, *(w for name in names for w in ("--psf", name))]
    assert main(words) == 0
    z = 0.2 * (np.arange(9) - 4)
    psf = report.calibrated_psf(report.load_bead_fit(single).fit, z, pixel=0.12, shape=15)
    spline = loadmat(names[0], struct_as_record=False, squeeze_me=True)["SXY"].cspline
    # in its corners the spline is the samples: y first, planes against the light
    found = spline.coeff[..., 0].transpose(2, 0, 1) * psf[4].sum()
    np.testing.assert_allclose(found, psf[::-1][:-1, :-1, :-1], atol=1e-6 * psf.max())
    with h5py.File(names[1]) as file:
        np.testing.assert_allclose(
            file["res/I_model"][()] * psf[4].sum(), psf[::-1], atol=1e-6 * psf.max()
        )
        assert json.loads(file.attrs["params"])["option"]["imaging"]["NA"] == 0.8
    stack = jio.read_stack(names[2]).data
    np.testing.assert_allclose(stack * psf.sum(), psf, atol=1e-6 * psf.max())
    assert main(words) == 2  # nothing is replaced


def test_export_of_the_wavefront(single, tmp_path, capsys):
    images = pytest.importorskip("PIL.Image")
    fit = report.load_bead_fit(single).fit
    table = 2.5 * np.pi * (np.arange(200) / 199) ** 1.2  # a device's own, beyond a turn
    given = jio.write_phase_table(tmp_path / "device.csv", table)
    words = ["export", str(single), "--slm", str(tmp_path / "flat.bmp"), "--slm-size", "90x120"]
    words += ["--slm-diameter", "64", "--slm-table", str(given)]
    assert main([*words, "--pupil", str(tmp_path / "pupil.dat")]) == 0
    levels = np.asarray(images.open(tmp_path / "flat.bmp"))
    assert levels.shape == (90, 120) and levels.dtype == np.uint8
    phase = jio.read_phase_table(tmp_path / "flat.csv")[levels]
    y, x = (np.arange(90) - 45)[:, None] / 32, (np.arange(120) - 60) / 32
    inside = y**2 + x**2 < 0.9
    assert (levels[y**2 + x**2 > 1.01] == levels[0, 0]).all()
    # sqrt(6) (x^2 - y^2) times 30 nm is taken away; the other modes are small
    need = -2 * np.pi * np.sqrt(6) * (x**2 - y**2) * 0.030 / 0.5
    wrong = np.angle(np.exp(1j * (phase - need)))[inside]
    assert np.sqrt(np.mean((wrong - wrong.mean()) ** 2)) < 0.1
    turned = np.angle(np.exp(1j * (phase + need)))[inside]
    assert np.std(turned) > 0.5
    data = (tmp_path / "pupil.dat").read_bytes()
    raw = np.frombuffer(data, ">i4", offset=834).reshape(fit.pupil_opd.shape)
    lit = fit.pupil_amplitude > 0
    assert (raw[~lit] == 2147483640).all()
    np.testing.assert_allclose(raw[lit] * 0.5 / 32768, fit.pupil_opd[lit], atol=1e-5)
    for more, told in (
        (["--slm-diameter", "91"], "between 4 and the 90 pixels of the device, got 91"),
        (["--slm-size", "90"], "rows x columns, such as 1080x1920, got '90'"),
        (["--coefficients", str(tmp_path / "flat.csv")], "would be written twice"),
        (["--slm", str(tmp_path / "device.bmp"), "--force"], "device.csv' would replace"),
    ):
        capsys.readouterr()
        assert main([*words, *more]) == 2
        assert told in capsys.readouterr().err


def test_psf_from_numbers_for_other_programs(tmp_path, capsys):
    yaml = pytest.importorskip("yaml")
    path = tmp_path / "cal.yaml"
    words = ["psf", "--na", "0.8", "--wavelength", "600 nm", "--pixel", "100 nm", "--dz", "100 nm"]
    words += ["--model", "scalar", "--size", "13", "--planes", "13"]
    assert main([*words, "--zernike", "2,2=60 nm", "-o", str(path)]) == 0
    told = yaml.safe_load(path.read_text())
    # CONVENTIONS: with x^2 - y^2 an emitter nearer to the objective has an image long along x;
    # picasso's z grows away from the objective
    wide, high = (np.polyval(told[f"{name} Coefficients"], -400.0) for name in "XY")
    assert told["Step size in nm"] == pytest.approx(100) and wide > 1.2 * high
    assert main([*words, "-o", str(tmp_path / "no.yaml")]) == 1
    assert "astigmatism" in capsys.readouterr().err and not (tmp_path / "no.yaml").exists()
