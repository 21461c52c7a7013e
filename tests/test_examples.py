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
