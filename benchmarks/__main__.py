"""All benchmarks, or some: ``python -m benchmarks [QUESTION ...]``.

Each question runs in a process of its own and prints as it does alone; at the end stand a table of
ratios (peer / jaxwave) and the machine. A stored run is compared by ratios, which depend less on
the machine than times do: one that fell by more than a fifth is an error.
"""

import argparse
import ast
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
STORED, README = FOLDER / "stored.json", FOLDER / "README.md"
START, END = "<!-- stored run: begin -->", "<!-- stored run: end -->"
LEAST = 0.8  # of a stored ratio
TOOLS = ("__main__", "__init__", "journal", "timing", "mutations")
PEERS = ("jax", "numpy", "torch", "torchoptics", "psf-generator", "psfmodels")
Row = dict[str, Any]


def questions(folder: Path = FOLDER) -> dict[str, str]:
    """Files of questions, with the first sentence of each."""
    found = {}
    for path in sorted(folder.glob("*.py")):
        if path.stem not in TOOLS:
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            found[path.stem] = text.split("\n")[0]
    return found


def machine() -> dict[str, Any]:
    """What the times depend on."""
    names = [platform.processor() or platform.machine()]
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    versions = {}
    for peer in PEERS:
        try:
            versions[peer] = importlib.metadata.version(peer)
        except importlib.metadata.PackageNotFoundError:
            continue
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    return {
        "processor": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "load": load,
        "python": platform.python_version(),
        "versions": versions,
    }


def ask(question: str, folder: Path, more: Sequence[str]) -> tuple[list[Row], str]:
    """Runs one question; returns what it noted, and what went wrong."""
    with tempfile.TemporaryDirectory() as place:
        journal = Path(place) / "journal"
        environment = {**os.environ, "JAXWAVE_BENCHMARK_JOURNAL": str(journal)}
        command = [sys.executable, str(folder / f"{question}.py"), *more]
        run = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True)
        lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    fault = run.stderr.strip().split("\n")[-1] if run.returncode else ""
    return [json.loads(line) for line in lines], fault


def ratios(rows: list[Row]) -> Iterator[tuple[str, str, str, float, float | None]]:
    """Question, title, peer, peer / ours and its goal."""
    for row in rows:
        ours = row["times"][row["ours"]]
        for peer, value in row["times"].items():
            if peer != row["ours"]:
                goal = row["goals"].get(peer)
                yield row["question"], row["title"], peer, value / max(ours, 1e-12), goal


def table(run: dict[str, Any]) -> str:
    """The ratios and the machine, in Markdown."""
    lines = ["| question | what | peer | peer / jaxwave | goal |", "|---|---|---|---|---|"]
    for question, title, peer, ratio, goal in ratios(run["rows"]):
        wanted = "–" if goal is None else f"{goal:g}" + (": **missed**" if ratio < goal else "")
        lines.append(f"| {question} | {title} | {peer} | {ratio:.2f} | {wanted} |")
    about = run["machine"]
    versions = ", ".join(f"{name} {text}" for name, text in about["versions"].items())
    lines += ["", f"{about['processor']}, {about['cores']} cores at a load of {about['load']};"]
    return "\n".join([*lines, f"Python {about['python']}, {versions}."])


def fallen(new: list[Row], old: list[Row]) -> list[str]:
    """Ratios that are less than four fifths of the stored ones."""
    before = {key[:3]: key[3] for key in ratios(old)}
    found = []
    for *key, ratio, _ in ratios(new):
        least = LEAST * before.get(tuple(key), 0.0)  # type: ignore[call-overload]
        if ratio < least:
            found.append(f"{' / '.join(key)}: {ratio:.2f}, was {before[tuple(key)]:.2f}")  # type: ignore[index]
    return found


def quoted(text: str, run: dict[str, Any]) -> str:
    """A text whose part between two marks is the table of a run."""
    before, rest = text.split(START)
    return f"{before}{START}\n{table(run)}\n{END}{rest.split(END)[1]}"


def store(run: dict[str, Any]) -> None:
    """Keeps a run as the one to compare with, and quotes it in the README."""
    known = json.loads(STORED.read_text(encoding="utf-8"))["rows"] if STORED.exists() else []
    asked = {row["question"] for row in run["rows"]}
    run["rows"] = [r for r in known if r["question"] not in asked] + run["rows"]
    STORED.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    README.write_text(quoted(README.read_text(encoding="utf-8"), run), encoding="utf-8")


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help="all of them by default")
    parser.add_argument("--list", action="store_true", help="print the questions and end")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the run")
    parser.add_argument(
        "--compare", type=Path, nargs="?", const=STORED, help="a run whose ratios must not fall"
    )
    parser.add_argument("--store", action="store_true", help="keep the run, quoted in the README")
    parser.add_argument("--with", dest="more", default="", help="flags for the questions, a text")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    options, known = arguments(words), questions(folder)
    if options.list:
        print("\n".join(f"{name:18s} {text}" for name, text in known.items()))
        return 0
    unknown = [name for name in options.questions if name not in known]
    if unknown:
        print(f"no question {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    old = json.loads(options.compare.read_text(encoding="utf-8")) if options.compare else None
    rows: list[Row] = []
    faults: dict[str, str] = {}
    for question in options.questions or known:
        print(f"\n== {question}: {known[question]}", flush=True)
        found, fault = ask(question, folder, options.more.split())
        rows += found
        if fault:
            faults[question] = fault
            print(f"  not measured: {fault}")
    run = {"machine": machine(), "rows": rows}
    print(f"\n{table(run)}")
    if options.output is not None:
        options.output.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    if options.store:
        store(run)
    worse = fallen(rows, old["rows"]) if old else []
    if old and old["machine"]["processor"] != run["machine"]["processor"]:
        print(f"compared with a run on another machine: {old['machine']['processor']}")
    for line in worse:
        print(f"fell by more than a fifth: {line}", file=sys.stderr)
    broken = [q for q, text in faults.items() if "ModuleNotFoundError" not in text]
    return 1 if worse or broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
