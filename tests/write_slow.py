"""Writes tests/slow.txt from the times of a whole run: which tests the quick part leaves out.

Run `pytest -n 2 --junitxml=report.xml` on an idle machine, then `python tests/write_slow.py
report.xml`. `tests/conftest.py` marks what is listed as slow; a test that is slow whatever the
machine carries the mark itself.
"""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

PATH = Path(__file__).with_name("slow.txt")
MOST = 0.7  # seconds of a test in the quick part


def slow(report: str) -> list[str]:
    """Names of the tests that took longer than that, as pytest selects them."""
    names = set()
    for case in ET.parse(report).iter("testcase"):
        file = case.get("classname", "").replace(".", "/") + ".py"
        if float(case.get("time", 0)) > MOST:
            names.add(f"{file}::{case.get('name')}")
    return sorted(names)


if __name__ == "__main__":
    PATH.write_text("\n".join(slow(sys.argv[1])) + "\n", encoding="utf-8")
