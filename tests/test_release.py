"""Releases: versions agree, archives are whole and run outside of the repository."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import jaxwave

ROOT = Path(__file__).parents[1]
if not (ROOT / ".github").exists():
    pytest.skip("an unpacked source archive has no history", allow_module_level=True)
SPEC = importlib.util.spec_from_file_location("release", ROOT / ".ci" / "release.py")
assert SPEC is not None and SPEC.loader is not None
release = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(release)


def test_the_version_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE)[1] == jaxwave.__version__
    heads = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert heads[0] == "Unreleased" and heads[1:2] in ([], [jaxwave.__version__])


def test_a_release_writes_its_version_into_three_places(tmp_path):
    (tmp_path / "jaxwave").mkdir()
    for name in ("jaxwave/_version.py", "CITATION.cff", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    for _ in range(2):  # a second run changes nothing
        release.bump(tmp_path, "9.8.7rc1", "2030-01-02")
        assert '"9.8.7rc1"' in (tmp_path / "jaxwave" / "_version.py").read_text("utf-8")
        assert "\nversion: 9.8.7rc1\n" in (tmp_path / "CITATION.cff").read_text("utf-8")
        log = (tmp_path / "CHANGELOG.md").read_text("utf-8")
        assert log.count("## Unreleased\n\n## 9.8.7rc1 (2030-01-02)\n\n### Added") == 1
    with pytest.raises(SystemExit, match="looks like"):
        release.bump(tmp_path, "v1", "2030-01-02")


def test_hosted_jobs_and_forms_are_well_formed():
    yaml = pytest.importorskip("yaml")
    jobs = {
        path.stem: yaml.safe_load(path.read_text()) for path in ROOT.glob(".github/workflows/*")
    }
    assert set(jobs) == {"quick", "nightly", "docs"}
    assert len(jobs["quick"]["jobs"]["tests"]["strategy"]["matrix"]["os"]) == 3
    assert {"run": ".ci/run"} in jobs["nightly"]["jobs"]["everything"]["steps"]
    forms = [yaml.safe_load(path.read_text()) for path in ROOT.glob(".github/ISSUE_TEMPLATE/*")]
    assert "jaxwave --version --report" in str(forms)


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **more}


@pytest.mark.slow
def test_archives_run_outside_of_the_repository(tmp_path):
    """Built without a network; the wheel is asked for a PSF, the source archive for its tests."""
    pytest.importorskip("build")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    for name in filter(None, names.stdout.split("\0")):
        if (ROOT / name).is_file():  # one may be gone in the working tree
            (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / "clone" / name)
    source, wheel = release.build(tmp_path / "clone", tmp_path / "dist", "--no-isolation")

    place = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(place), str(wheel)], check=True)
    words = ["psf", "--objective", "20x/0.8", "--camera", "6.5 um", "--wavelength", "600 nm"]
    words += ["--dz", "1 um", "--planes", "3", "--size", "15", "-o", "psf.tif"]
    program = (
        f"import jaxwave_start, sys; sys.argv[1:] = {words}; raise SystemExit(jaxwave_start.main())"
    )
    ran = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(place)),
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0 and (tmp_path / "psf.tif").stat().st_size > 675, ran.stderr

    with tarfile.open(source) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (root,) = (tmp_path / "source").iterdir()
    tests = ["tests/test_units.py", "tests/test_readme.py", "-k", "units or links or pinned"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=root,
        env=environment(PYTHONPATH=str(root)),
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-1000:]
