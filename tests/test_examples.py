"""Every example runs as it stands and ends in a picture and a number.

An example is `examples/NN_name.py`. It has a `main()`, writes below `results/` in the current
folder, asserts its number and prints it. The main job, `01_calibrate_bead.py`, is run by
tests/test_readme.py, by its command.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
MAIN_JOB = "01_calibrate_bead.py"
MOST_LINES = 100  # about one screen of code, and its comments
LONG = {
    MAIN_JOB: "a program with a command line, for any stack",
    "10_torch_unet_phase_mask.py": "a network, its training twice, and the picture of both",
    "11_torch_denoiser_calibration.py": "a network's training, a fit with and without it",
    "30_edof.py": "thirteen lenses, photographs, scores and their picture",
    "22_slm_zero_order.py": "a device in numpy beside the fitted one",
    "31_super_resolution.py": "a decoder, its expected error, pictures and a learned relief",
    "32_depth_from_defocus.py": "scenes, a decoder, its loss and a learned relief",
    "33_flat_start.py": "a learned relief beside two others, and their pictures",
    "23_light_field_mask_and_network.py": "a network, its training twice, and the picture of both",
}

QUICK = {  # minutes otherwise; the number that it asserts is another one
    "05_deformable_mirror.py": ["2"],  # starts; tests/beads/test_stacks.py has the others
    "10_torch_unet_phase_mask.py": ["--quick"],
    "11_torch_denoiser_calibration.py": ["--quick"],
    "30_edof.py": ["--quick", "--samples", "64", "--steps", "40", "--lenses", "cubic", "free"],
    "23_light_field_mask_and_network.py": ["--quick"],
    "20_waveblocks.py": ["psf", "--truths", "2", "--baseline", "0"],
    **{f"{n}.py": ["--quick", "--steps", "20"]
       for n in ("31_super_resolution", "32_depth_from_defocus", "33_flat_start")},
}  # fmt: skip


def by_name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("script", SCRIPTS, ids=by_name)
def test_example_is_short_and_named(script):
    text = script.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert re.fullmatch(r"\d\d_[a-z0-9_]+\.py", script.name), "examples are numbered"
    assert ast.get_docstring(tree), "an example says what it shows"
    assert 'if __name__ == "__main__":' in text, "an example runs as it stands"
    mains = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "main"]
    assert mains, "an example has a main()"
    assert any(isinstance(n, ast.Assert) for n in ast.walk(tree)), "an example asserts its number"
    lines = len(text.splitlines())
    assert lines <= MOST_LINES or script.name in LONG, f"{lines} lines do not fit on one screen"


@pytest.mark.slow
@pytest.mark.parametrize("script", [s for s in SCRIPTS if s.name != MAIN_JOB], ids=by_name)
def test_example_runs(script, tmp_path):
    run = subprocess.run(
        [sys.executable, str(script), *QUICK.get(script.name, ())],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"\d", run.stdout), "an example prints its number"
    assert list((tmp_path / "results").rglob("*.png")), "an example ends in a picture"


def test_the_figures_of_the_paper_are_drawn(tmp_path, monkeypatch):
    """With and without the free-form baseline; runs of the mask and of depths take minutes."""
    monkeypatch.syspath_prepend(ROOT / "examples")
    from waveblocks import pictures

    random = np.random.default_rng(0)
    inside = np.hypot(*np.mgrid[-20:21, -20:21]) < 15
    for names in (("truth", "before", "ours"), ("ours", "truth", "free-form", "before")):
        fields = {n: random.normal(size=(3, 171, 171)) + 1j for n in names}
        images = {n: random.random((3, 20, 20)) for n in names}
        phases = {n: random.random((41, 41)) for n in names}
        lines = {n: np.arange(5.0) for n in names if n != "truth"}
        figures = [
            pictures.points(fields, (-50.0, 0.0, 50.0), (19.0, -20.0)),
            pictures.target(images, (-50.0, 0.0, 50.0)),
            pictures.masks(phases, inside, 15.0),
            pictures.depths(lines, np.arange(5.0), 0.2),
        ]
        rows = [len(names), len(names), 2]
        for figure, count in zip(figures, rows, strict=False):
            assert figure.axes[0].get_subplotspec().get_gridspec().nrows == count
        labels = [ax.get_ylabel() for ax in figures[0].axes if ax.get_ylabel() in names]
        assert labels == [n for n in ("truth", "before", "free-form", "ours") if n in names]
    figures[2].savefig(tmp_path / "masks.png", dpi=40)  # the layout of each takes a second
