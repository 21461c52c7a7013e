"""Numbers of the result folder against their definitions (the folder: test_examples)."""

from types import SimpleNamespace

import numpy as np
import pytest

from jaxwave import psf, report
from jaxwave.beads import Bead, BeadModel
from jaxwave.beads.judge import described
from jaxwave.beads.model import blur_parameter
from jaxwave.cli import batch
from jaxwave.plot import _canvas, fits, stacks
from jaxwave.report import page, verdict
from jaxwave.report.field import draw_field
from jaxwave.report.quality import raw_quality


def test_wavefront_quality_is_weighted_and_blind_to_piston():
    rng = np.random.default_rng(0)
    amplitude, opd = rng.uniform(0, 1, (9, 9)), 0.02 * rng.normal(size=(9, 9))
    model = SimpleNamespace(wavelength=0.6)
    weight = amplitude / amplitude.sum()
    need = np.sqrt(np.sum(weight * opd**2) - np.sum(weight * opd) ** 2)
    for piston in (0.0, 0.3):
        fit = SimpleNamespace(pupil_amplitude=amplitude, pupil_opd=opd + piston, model=model)
        rms, strehl = report.wavefront_quality(fit)
        assert rms == pytest.approx(need, rel=1e-9)
        # Marechal: exp(-(2 pi W/lambda)^2), fourth order in the phase
        assert strehl == pytest.approx(np.exp(-((2 * np.pi * need / 0.6) ** 2)), abs=2e-3)


@pytest.fixture(scope="module")
def plain():
    """A scalar microscope of low NA without aberrations or blur, as a fit that was saved."""
    model = BeadModel(
        psf.Objective(na=0.3, wavelength=0.5, n=1.0),
        pixel=0.2,
        shape=(40, 40),
        order=2,
        vectorial=False,
    )
    parameters = {k: np.array(v) for k, v in model.start().items()}
    parameters["blur"] = blur_parameter(np.full(2, 1e-3))
    return SimpleNamespace(model=model, parameters=parameters, values={"na": 0.3})


def test_widths_and_transfer_of_a_perfect_microscope(plain):
    z = np.linspace(-12, 12, 9)
    quality = report.psf_quality(plain, z)
    for axis, need in (("x", 0.5145 * 0.5 / 0.3), ("y", 0.5145 * 0.5 / 0.3)):
        # the fine pixel widens by 0.3 %, the amplitude 1/sqrt(cos) narrows by as much
        assert quality.fwhm_um[axis]["fitted"] == pytest.approx(need, rel=0.015)
        assert quality.fwhm_um[axis]["ideal"] == pytest.approx(need, rel=0.015)
    axial = 0.886 * 0.5 / (1 - np.sqrt(1 - 0.3**2))
    assert quality.fwhm_um["z"]["fitted"] == pytest.approx(axial, rel=0.02)
    cut = np.clip(quality.frequency * 0.5 / (2 * 0.3), 0, 1)
    need = 2 / np.pi * (np.arccos(cut) - cut * np.sqrt(1 - cut**2))
    np.testing.assert_allclose(
        quality.mtf_x, need, atol=0.045
    )  # 4 % of the light is in rings outside
    np.testing.assert_allclose(quality.mtf_y, quality.mtf_x, atol=1e-3)


def test_bounds_follow_the_light(plain):
    z = np.linspace(-6, 6, 9)
    few = report.psf_quality(plain, z, photons=1000, background=0.0)
    many = report.psf_quality(plain, z, photons=4000, background=0.0)
    np.testing.assert_allclose(few.crlb_um, 2 * many.crlb_um, rtol=1e-3)
    dim = report.psf_quality(plain, z, photons=1000, background=5.0)
    assert np.all(dim.crlb_um > few.crlb_um)
    # In focus, all of an Airy pattern gives wavelength/(2 pi NA sqrt(N)). The rings outside the
    # window, 4 % of the light, hold four times that share of it, and the pixels blur its zeros.
    focus = int(np.argmin(np.abs(few.z)))
    exact = 0.5 / (2 * np.pi * 0.3) / np.sqrt(1000)
    assert exact < few.crlb_um[0, focus] < 1.2 * exact
    # without background, pixels in the dark rings count, of which float32 knows two digits
    assert few.crlb_um[1, focus] == pytest.approx(few.crlb_um[0, focus], rel=2e-2)
    # an image that is even in z does not change with it there
    assert few.crlb_um[2, focus] > 100 * few.crlb_um[2].min()


# -- the first sentence --------------------------------------------------------------------


def _result(**modes: float) -> dict:
    """A result with modes in nm by name nNmM."""
    listed = [
        {"n": int(k[1]), "m": int(k[3:].replace("_", "-")), "opd_nm": v} for k, v in modes.items()
    ]
    rms = float(np.sqrt(sum(v**2 for v in modes.values())))
    return {
        "model": {"objective": {"wavelength": 0.56}},
        "rms_wavefront_nm": rms,
        "zernikes": listed,
    }


def test_the_sentence_names_what_dominates_and_what_could_be_turned():
    text = verdict.sentence(_result(n4m0=-60.0, n6m0=8.0, n3m1=20.0, n3m_1=15.0))
    assert text.startswith("Not diffraction-limited: the wavefront error is 65 nm rms, 0.117 waves")
    assert "spherical aberration dominates with 61 nm, then coma with 25 nm" in text
    assert "correction collar" in text
    good = verdict.sentence(_result(n2m2=20.0, n4m4=3.0))
    assert good.startswith("Diffraction-limited: ") and "Look at" not in good


def test_a_bead_larger_than_the_psf_is_said_to_be_that():
    result = _result(n2m2=20.0)
    result["model"]["pixel"] = 0.1
    small, large = ({"na": 1.2, "blur_sigma_pixels": [b, b]} for b in (0.5, 1.5))
    assert "larger" not in verdict.sentence({**result, "parameters": small})
    text = verdict.sentence({**result, "parameters": large})
    assert text.endswith("the blur of 150 nm is that of a bead of 0.67 µm.")


def test_a_poor_fit_is_no_verdict_on_the_microscope():
    """Two beads in one spot, say, whose held-out planes are described well enough."""
    text = verdict.sentence({**_result(n2m2=20.0), "settings": {"status": "poor"}})
    assert text == "This fit says nothing about the microscope; the reason stands below."


@pytest.mark.parametrize(
    ("score", "floor", "word"), [(0.03, 0.025, "good"), (0.03, 0.001, "fair"), (0.2, 0.01, "bad")]
)
def test_a_score_is_judged_against_the_noise(score, floor, word):
    text = verdict.scale({"heldout_nmse": score, "noise_floor_nmse": floor})
    assert f": {word};" in text and f"leaves {floor:.4f}" in text


def test_the_page_and_the_fit_judge_by_one_rule():
    """What the fit calls poor, the page calls bad, and the other way round."""
    for score, floor, chi2, word in (
        (0.2, 0.01, 9.0, "bad"),
        (0.2, 0.01, 1.1, "good"),  # a faint bead: the noise again
        (0.06, 0.001, 1.8, "fair"),
        (0.97, 0.95, 1.0, "noisy"),
        (0.5, 0.48, 1.0, "good"),
    ):
        assert described(score, floor, chi2) == word
        result = _result(n2m2=20.0)
        result |= {"heldout_nmse": score, "noise_floor_nmse": floor, "reduced_chi_squared": chi2}
        assert f": {word};" in verdict.scale(result)
        told = "nothing can be said" in verdict.sentence(result)
        assert told == (word in ("bad", "noisy"))


def test_raw_widths_of_a_spot_that_is_known():
    z, y, x = np.mgrid[-12:13, -20:20, -21:22]
    at = (z * 0.2, y * 0.1 - 0.03, x * 0.1 + 0.02)
    sigma = (0.35, 0.14, 0.12)  # µm
    spot = 900 * np.exp(-sum((a / s) ** 2 for a, s in zip(at, sigma, strict=True)) / 2)
    background = np.linspace(90, 110, 25)
    found = raw_quality(spot + background[:, None, None], background, (0.2, 0.1, 0.1))
    for axis, need in zip("zyx", sigma, strict=True):
        # between planes the line is straight, between pixels it is not
        assert found[f"fwhm_{axis}_um"] == pytest.approx(2.3548 * need, rel=0.02)
    assert found["asymmetry"] == pytest.approx(0.12 / 0.14, rel=0.02)
    assert found["signal_to_background"] == pytest.approx(9, rel=0.05)


def test_loss_and_score_have_their_own_axes():
    pytest.importorskip("matplotlib")
    loss, held = np.geomspace(9, 1, 20), np.array([0.03, 0.02])
    drawing = fits.draw_history("test", loss, held, np.array([10, 20]), apart=True)
    figure = _canvas.render("test", [[drawing]], None)
    left, right = figure.axes
    assert left.get_ylabel() == "loss" and right.get_ylabel() == "held-out NMSE"
    assert len(left.lines) == 1 and right.get_ylim()[1] < left.get_ylim()[0]


def test_the_head_of_a_page_names_file_date_objective_and_note():
    result = {
        "provenance": {"file": "/data/<b>.tif, sha256 00", "date": "2026-11-28, when written"},
        "settings": {"objective": "60x/1.4 oil", "note": "A & B"},
    }
    said = page._source(result)
    assert said == "<br>&lt;b&gt;.tif, 2026-11-28, 60x/1.4 oil, A &amp; B"
    assert page._source({}) == ""


def test_numbers_are_written_out():
    for value, digits, text in (
        (33661.7, 4, "33660"),
        (-207.3, 2, "−210"),
        (0.000123, 2, "0.00012"),
        (2.5e-7, 2, "2.5e−07"),
        (0.0, 2, "0"),
        (100.0, 4, "100"),
        (np.nan, 2, "–"),
    ):
        assert page.number(value, digits) == text


def test_a_reason_stands_below_its_bead(tmp_path):
    rows = [
        batch.row("a-001", "a.tif"),
        batch.row("a-002", "a.tif", status="failed", reason="<dim>"),
    ]
    text = batch._every_bead(tmp_path, rows)
    assert '<tr class="why"><td></td><td colspan="7"><div>&lt;dim&gt;</div></td></tr>' in text
    assert text.count("<tr") == 4 and "&lt;dim&gt;" not in text.split("colspan")[0]


def test_the_field_names_every_spot_and_why_it_was_left_out(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    seen = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (seen.append(self), save(self, *a, **k))[1]
    )
    stack = np.random.default_rng(0).poisson(20.0, (3, 60, 80))
    beads = [
        Bead((1.0, 30.0, 40.0), 500.0, 20.0, 4.0),
        Bead((1.0, 1.0, 78.0), 300.0, 20.0, 4.0, "cut by the edge: its window needs more"),
        Bead((1.0, 40.0, 9.0), 300.0, 20.0, 4.0, "faint: 1% of the brightest"),
    ]
    draw_field(stack, beads, 16, tmp_path / "a.png")
    [axes] = seen[0].axes
    assert [text.get_text() for text in axes.texts] == ["1", "2 cut by the edge", "3 faint"]
    assert "3 spots, 1 to be fitted" in axes.get_title()
    box = axes.get_window_extent()
    for text in axes.texts:  # inside the picture, and large enough to be read
        place = text.get_window_extent()
        assert box.x0 <= place.x0 and place.x1 <= box.x1 and place.y1 <= box.y1 + 1
        assert text.get_fontsize() >= 10


def test_a_high_offset_does_not_color_the_picture():
    measured = np.full((3, 8, 8), 100.0)
    measured[1, 4, 4] = 130.0
    (_, colors, _), *_ = stacks._rows(measured, measured, True)
    assert colors["vmin"] == pytest.approx(10.0)
