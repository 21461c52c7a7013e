"""The mean of a batch: pupil, modes, widths and PSF with their spread, on the page and exported."""

import contextlib
import csv
import io
import json
import re
import shutil
import subprocess

import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave import psf, report
from jaxwave.beads import BeadFit, BeadModel
from jaxwave.beads.basis import basis_of
from jaxwave.beads.model import SCALES, physical, pupil
from jaxwave.cli import batch
from jaxwave.cli.main import main

pytest.importorskip("matplotlib")
pytest.importorskip("tifffile")
MODEL = BeadModel(
    psf.Objective(na=0.8, wavelength=0.5, n=1.0),
    pixel=0.15,
    shape=16,
    order=2,
    vectorial=False,
    margin=2,
)
Z = np.linspace(-1, 1, 5)
ASTIGMATISM = (0.01, 0.02, 0.06)  # µm, of three beads


def bead(astigmatism: float, error: float = 0.001) -> BeadFit:
    parameters = {k: np.array(v) for k, v in MODEL.start().items()}
    parameters["zernike"][MODEL.modes.index((2, 2))] = astigmatism / SCALES["zernike"]
    parameters["x"] = np.float32(3.0)  # where it stands is no part of the mean
    values = physical(MODEL, parameters)
    inside = {k: jnp.asarray(v) for k, v in parameters.items()}
    amplitude, opd = (np.asarray(a) for a in pupil(MODEL, inside, basis_of(MODEL)))
    names = ("heldout_one_gain", "heldout_per_plane_gain", "fitted_per_plane_gain", "noise_floor")
    return BeadFit(
        model=MODEL,
        parameters=parameters,
        values=values,
        errors={name: np.full(np.shape(value), error) for name, value in values.items()},
        pupil_amplitude=amplitude,
        pupil_opd=opd,
        image=np.ones((5, 16, 16)),
        gain=np.ones(5),
        background=np.zeros(5),
        fitted=np.array([0, 2, 4]),
        heldout=np.array([1, 3]),
        scores=dict.fromkeys((*names, "reduced_chi_squared"), 1e-3),
        history={"loss": np.ones(2), "heldout_loss": np.ones(1), "report_steps": np.array([2])},
        seconds=1.0,
        reason="all steps done",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("batch")
    rows = []
    for k, value in enumerate(ASTIGMATISM):
        name = f"-poke-{k:03d}"  # a cell that the table guards
        settings = {"status": "ok", "reason": ""}
        result = report.save_bead_fit(
            place / name, bead(value), np.ones((5, 16, 16)), Z, settings=settings, page=False
        )
        row = batch.row(name, "a.tif")
        row.update(batch.numbers(result), folder=name, y=10.0 * k, x=5.0 * k, z=2.0)
        rows.append(row)
    batch.write(place, rows)
    batch.summary(place, rows)
    return place


@pytest.mark.slow
def test_a_batch_shows_its_mean_and_its_spread(folder):
    result = json.loads((folder / "result.json").read_text())
    [mode] = [row for row in result["zernikes"] if (row["n"], row["m"]) == (2, 2)]
    assert mode["mean_nm"] == pytest.approx(30, rel=1e-5)
    assert mode["sd_nm"] == pytest.approx(1e3 * np.std(ASTIGMATISM, ddof=1), rel=1e-5)
    assert set(result["means"]) >= {"fwhm_x_nm", "fwhm_z_nm", "strehl", "rms_nm"}
    with np.load(folder / "mean.npz") as file:
        arrays = dict(file)
    lit = arrays["pupil_amplitude"] > 0.99 * arrays["pupil_amplitude"].max()
    _, opd = pupil(MODEL, {k: jnp.asarray(v) for k, v in bead(0.03).parameters.items()},
                   basis_of(MODEL))  # fmt: skip
    np.testing.assert_allclose(arrays["pupil_opd_um"][lit], np.asarray(opd)[lit], atol=1e-6)
    ratio = np.std(ASTIGMATISM, ddof=1) / 0.03
    expected = ratio * np.abs(np.asarray(opd)[lit])
    np.testing.assert_allclose(arrays["pupil_opd_sd_um"][lit], expected, atol=1e-6)
    assert arrays["psf"].sum() == pytest.approx(1) and arrays["psf_sd"].max() > 0
    middle = np.unravel_index(np.argmax(arrays["psf"]), arrays["psf"].shape)
    assert middle[1:] == (8, 8)  # centered, wherever the beads stood
    page = (folder / "report.html").read_text()
    said = "Mean of 3 good beads: diffraction-limited: the wavefront error is 30 nm rms"
    assert said in page and "a.tif" in page and "no page of their own yet" in page
    for text in ("Mean pupil and mean PSF", "Aberrations over the field", "FWHM x [nm], mean and"):
        assert text in page


@pytest.mark.slow
def test_a_batch_exports_its_mean_by_default(folder, tmp_path, capsys):
    def astigmatism(*words):
        path = tmp_path / "modes.csv"
        assert main(["export", str(folder), "--coefficients", str(path), "--force", *words]) == 0
        rows = csv.DictReader(io.StringIO(path.read_text()))
        return {(int(r["n"]), int(r["m"])): float(r["opd_nm"]) for r in rows}[2, 2]

    assert astigmatism() == pytest.approx(30, rel=1e-5)
    assert "the mean of 3 good beads" in capsys.readouterr().out
    assert astigmatism("--bead=-poke-002") == pytest.approx(60, rel=1e-5)
    assert astigmatism("--best") == pytest.approx(10, rel=1e-5)
    assert main(["export", str(folder), "--pupil", "a.npz", "--best", "--bead=x"]) == 2


def test_a_result_without_error_bars_is_read_back(tmp_path):
    fit = bead(0.02, error=np.inf)
    report.save_bead_fit(tmp_path, fit, np.ones((5, 16, 16)), Z, page=False)
    saved = report.load_bead_fit(tmp_path)
    assert np.all(np.isinf(saved.fit.errors["zernike_um"]))
    np.testing.assert_allclose(saved.fit.values["zernike_um"], fit.values["zernike_um"])
    path = report.write_report(
        tmp_path / "again.html", saved.fit, saved.data, z=saved.z, result=saved.result
    )
    assert "± –" in path.read_text()


def pages_printed(page, place):
    """How many A4 pages a browser makes of a page."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("chromium is not installed")
    paper = place / "page.pdf"
    flags = ("headless", "no-sandbox", "disable-gpu", "no-pdf-header-footer", "no-first-run")
    command = [browser, *(f"--{flag}" for flag in flags), f"--user-data-dir={place / 'browser'}"]
    command += [f"--print-to-pdf={paper}", page.resolve().as_uri()]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(command, capture_output=True, timeout=120, check=False)
    if not paper.is_file():
        pytest.skip("chromium does not print here")
    return len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes()))


@pytest.mark.slow
def test_pages_print_on_few_sheets(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "batch")
    rows = batch.read(copy)
    why = "cut by the edge: its window needs the rows -27:39 of 0:400"
    rows += [batch.row(f"a-{k:03d}", "a.tif", status="failed", reason=why) for k in range(20)]
    batch.summary(copy, rows)
    assert pages_printed(copy / "report.html", tmp_path) <= 3
    assert pages_printed(batch.page_of(copy / rows[0]["folder"]), tmp_path) <= 2
