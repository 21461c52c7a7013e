"""Prepares a release: ``python .ci/release.py 0.2.0`` from the root of a clean clone.

Writes the version into its three places, closes the part "Unreleased" of the changelog, builds the
wheel and the source archive into ``dist/``, looks into both, and prints the commands that are left
to a person: the commit, the tag, the upload.
"""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IN_SOURCE = ("docs/index.md", "tests/test_units.py", "examples/data/bead_air_na085.tif", "LICENSE")
IN_SOURCE += ("NOTICE", "CHANGELOG.md", "CITATION.cff", "conftest.py", "benchmarks/stored.json")
IN_SOURCE += ("requirements/dev.txt", "docs/notebooks/first_psf.md", "tests/slow.txt")
IN_WHEEL = ("jaxwave/py.typed", "jaxwave/CONVENTIONS.md", "jaxwave/napari.yaml", "jaxwave_start.py")
IN_WHEEL += ("torch_bridge/README.md",)


def bump(root: Path, version: str, day: str) -> None:
    """Writes the version into the package, the changelog and the citation."""
    if not re.fullmatch(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?", version):
        raise SystemExit(f"a version looks like 0.2.0 or 0.2.0rc1, not {version!r}")
    replace(root / "jaxwave" / "_version.py", r'(?<=__version__ = ").*(?=")', version)
    replace(root / "CITATION.cff", r"(?<=^version: ).*$", version)
    log = root / "CHANGELOG.md"
    if f"\n## {version} " not in log.read_text(encoding="utf-8"):
        replace(log, r"^## Unreleased$", f"## Unreleased\n\n## {version} ({day})")


def replace(path: Path, pattern: str, new: str) -> None:
    """Replaces the one place where a pattern stands."""
    text = path.read_text(encoding="utf-8")
    text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
    if count != 1:
        raise SystemExit(f"{path.name}: the version must stand in one place, not in {count}")
    path.write_text(text, encoding="utf-8")


def build(root: Path, out: Path, *options: str) -> tuple[Path, Path]:
    """Builds both archives and says what is missing in them, or too much."""
    words = [sys.executable, "-m", "build", *options, "-o", str(out), str(root)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    (source,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as zipped:
        inside = set(zipped.namelist())
    lacking = [*set(IN_SOURCE) - names, *set(IN_WHEEL) - inside]
    tops = {name.split("/")[0] for name in inside if ".dist-info/" not in name}
    surplus = tops - {"jaxwave", "torch_bridge", "jaxwave_start.py"}
    if lacking or surplus or not any(n.endswith("licenses/NOTICE") for n in inside):
        raise SystemExit(f"the archives lack {lacking} or hold too much: {sorted(surplus)}")
    return source, wheel


def main(words: list[str]) -> None:
    """Does all of it for the version that is given."""
    (version,) = words
    if subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True).stdout:
        raise SystemExit("there are changes that are not committed; a release is made of a commit")
    bump(ROOT, version, datetime.date.today().isoformat())
    for path in build(ROOT, ROOT / "dist"):
        print(f"dist/{path.name}")
    print(f'git commit -am "Version {version}" && git tag v{version} && git push --tags')
    print("python -m twine upload dist/*")


if __name__ == "__main__":
    main(sys.argv[1:])
