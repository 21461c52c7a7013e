"""``python -m benchmarks``: questions, table, stored run, ratios that fell."""

import json
import re

import pytest

from benchmarks import __main__ as benchmarks

QUESTION = '''
"""Is it fast?"""
import sys
sys.path.insert(0, {tools!r})
from journal import record
times = {{"jaxwave": 2.0, "peer": {peer}, "other": 1.0}}
record("one", times, "jaxwave", {{"peer": 3, "other": 0.1}})
'''


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "fast.py").write_text(QUESTION.format(tools=str(benchmarks.FOLDER), peer=8.0))
    (tmp_path / "lost.py").write_text('"""Is it there?"""\nimport no_such_peer\n')
    return tmp_path


def test_a_run_its_table_and_its_comparison(folder, capfd):
    place = folder / "run.json"
    assert benchmarks.main(["-o", str(place)], folder) == 0
    out = capfd.readouterr().out
    assert "| fast | one | peer | 4.00 | 3 |" in out and "No module named 'no_such_peer'" in out
    assert "== fast: Is it fast?" in out
    run = json.loads(place.read_text())
    assert run["rows"][0]["times"]["peer"] == 8.0 and run["machine"]["cores"] >= 1
    compare = ["fast", "--compare", str(place)]
    (folder / "fast.py").write_text(QUESTION.format(tools=str(benchmarks.FOLDER), peer=6.6))
    assert benchmarks.main(compare, folder) == 0
    (folder / "fast.py").write_text(QUESTION.format(tools=str(benchmarks.FOLDER), peer=5.8))
    assert benchmarks.main(compare, folder) == 1
    captured = capfd.readouterr()
    assert "fast / one / peer: 2.90, was 4.00" in captured.err
    assert "| 2.90 | 3: **missed** |" in captured.out
    (folder / "fast.py").write_text("1 / 0")
    assert benchmarks.main(["fast"], folder) == 1
    assert benchmarks.main(["slow"], folder) == 2
    assert benchmarks.main(["--list"], folder) == 0


def test_every_file_is_a_question_and_the_readme_lists_it():
    text = benchmarks.README.read_text(encoding="utf-8")
    listed = {*re.findall(r"^\| `(\w+)\.py` \|", text, re.M)}
    assert listed == {*benchmarks.questions()}


def test_the_readme_quotes_the_stored_run():
    run = json.loads(benchmarks.STORED.read_text(encoding="utf-8"))
    text = benchmarks.README.read_text(encoding="utf-8")
    assert benchmarks.quoted(text, run) == text
