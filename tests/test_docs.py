"""The documentation: its snippets run, its commands are the program's, its site builds."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from jaxwave.cli.main import parser

ROOT = Path(__file__).parents[1]
PAGES = sorted(p.relative_to(ROOT) for p in (ROOT / "docs").glob("[a-z]*/*.md"))
PAGES = [page for page in PAGES if page.parts[1] in ("first_hour", "how_to", "explain")]
BOTH = re.MULTILINE | re.DOTALL
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", BOTH)
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed"
)


def blocks(page: Path, kind: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [code for found, code in BLOCK.findall(text) if found == kind]


def marked(page: Path):
    marks = [pytest.mark.slow]
    if "torch" in "".join(blocks(page, "python")):
        marks.append(needs_torch)
    return pytest.param(page, id=page.stem, marks=marks)


@pytest.mark.parametrize("page", [marked(page) for page in PAGES if blocks(page, "python")])
def test_the_snippets_of_a_page_run_one_after_the_other(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for code in blocks(page, "python"):
        exec(compile(code, str(page), "exec"), names)


COMMANDS = [
    (page, line)
    for page in PAGES
    for code in blocks(page, "")
    for line in code.splitlines()
    if line.startswith("jaxwave ")
]


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[line[:40] for _, line in COMMANDS])
def test_commands_are_those_of_the_program(page, line):
    found = parser().parse_args(shlex.split(line)[1:])
    assert found.command or found.version, f"{page}: {line}"


def test_every_example_has_its_picture():
    examples = {path.stem for path in (ROOT / "examples").glob("[0-9]*.py")}
    pictures = {path.stem for path in (ROOT / "docs" / "gallery").glob("*.png")}
    assert examples == pictures, "see docs/gallery.py"


NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.md"))


SHOWN = NOTEBOOKS[-3]  # the one that the site's test runs too; the hosted job shows all of them


def cells_of(page: Path) -> list[str]:
    return re.findall(r"^```\{code-cell\} python\n(.*?)^```$", page.read_text("utf-8"), BOTH)


@needs_torch
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # a notebook shows warnings, or hides them
@pytest.mark.parametrize("page", [p for p in NOTEBOOKS if p != SHOWN], ids=lambda p: p.stem)
def test_the_cells_of_a_notebook_run_one_after_the_other(page, monkeypatch, capsys):
    """In this process: a kernel for each of them would import everything again."""
    plt = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.chdir(page.parent)
    before = set(plt.get_fignums())
    names: dict = {}
    try:
        for code in cells_of(page):
            exec(compile(code.replace(":tags: [remove-stderr]", ""), str(page), "exec"), names)
        assert re.search(r"\d", capsys.readouterr().out)
    finally:
        for number in set(plt.get_fignums()) - before:
            plt.close(number)


def test_notebooks_end_in_a_number_that_is_checked():
    assert len(NOTEBOOKS) == 6
    for page in NOTEBOOKS:
        cells = cells_of(page)
        last = cells[-1].splitlines()
        assert any(line.startswith("print(") for line in last), page.name
        assert any(line.startswith("assert ") for line in last), page.name
        assert max(map(len, "\n".join(cells).splitlines())) <= 92, f"{page.name}: too wide"


@needs_torch
@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("myst_nb") is None, reason="myst-nb is not installed")
def test_the_site_builds_without_a_warning(tmp_path):
    """Links between pages, names of the API and formulas; a notebook runs; nothing is fetched."""
    words = [sys.executable, "-m", "sphinx", "-W", "-q", "-d", str(tmp_path / "trees")]
    others = " ".join(f"notebooks/{page.name}" for page in NOTEBOOKS if page != SHOWN)
    run = subprocess.run(
        [*words, str(ROOT / "docs"), str(tmp_path / "site")],
        env={**os.environ, "NOTEBOOKS_LEFT_OUT": others},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    page = (tmp_path / "site" / "first_hour" / "student.html").read_text(encoding="utf-8")
    fetched = re.findall(r'<(?:script|link)[^>]*(?:src|href)="(\w+://[^"]*)"', page)
    assert "Poisson" in page and fetched == []
    pages = {page: tmp_path / "site" / "notebooks" / f"{page.stem}.html" for page in NOTEBOOKS}
    shown = {page: path.read_text(encoding="utf-8") for page, path in pages.items()}
    outputs = "".join(re.findall(r'<div class="output.*?</pre>', shown[SHOWN], BOTH))
    assert "<img" in shown[SHOWN] and re.search(r"\d", outputs)
    for page, text in shown.items():
        assert str(ROOT.parent) not in text, f"{page.name} shows a folder of this machine"
