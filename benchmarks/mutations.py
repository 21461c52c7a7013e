"""Plants mistakes one at a time and counts those that the tests notice.

    python benchmarks/mutations.py --count 200 --seed 0 jaxwave/lenses.py jaxwave/masks.py
    python benchmarks/mutations.py --list jaxwave/propagation.py

A mistake is a small change that a tired person makes: a swapped axis, a sign, a factor of two, a
dropped option, an index of another medium. Candidates are found in the source (docstrings, checks
and messages are left out) and drawn at random, the same ones for the same seed. Every mistake is
planted in a copy of the project, where the tests of its file and its rows of the tables run until
one fails. What survives is printed: a missing test, or a change that changes nothing.
Not part of the tests: one mistake takes half a minute.
"""

import argparse
import ast
import dataclasses
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

# (what is written, what is written instead); every place in the code is a candidate.
SWAPS = [
    (r"\[\.\.\., 0\]", "[..., 1]"),
    (r"\[\.\.\., 1\]", "[..., 0]"),
    (r"\[\.\.\., 0, None, None\]", "[..., 1, None, None]"),
    (r"\bdy\b", "dx"),
    (r"\bdx\b", "dy"),
    (r"\bny\b", "nx"),
    (r"\bnx\b", "ny"),
    (r"\bfy\b", "fx"),
    (r"\by0\b", "x0"),
    (r"\brows\b", "columns"),
    (r"(?<=[\w\])]) \+ (?=[\w(])", " - "),
    (r"(?<=[\w\])]) - (?=[\w(])", " + "),
    (r"(?<=[=(,]) ?-(?=[a-z0-9])", " "),
    (r"\b0\.5 \* ", ""),
    (r"\b2 \* ", ""),
    (r"\*\*2\b", "**3"),
    (r" \* n\b", ""),
    (r" / n\b", ""),
    (r"\bn_s\b", "n_i"),
    (r"\bn_g\b", "n_s"),
    (r"\bcis\(-", "cis("),
    (r"\bcis\((?=[a-z])", "cis(-"),
    (r" // 2\b", " // 2 + 1"),
    (r"\bjnp\.floor\b", "jnp.round"),
    (r"\bjnp\.minimum\b", "jnp.maximum"),
    (r"\bjnp\.sqrt\(", "jnp.abs("),
    (r"jnp\.swapaxes\((\w+), -1, -2\)", r"\1"),
    (r"\baxis=-3\b", "axis=-1"),
    (r", (y|x|z|n|gap|motion|filling|inverse|polarization)=\1(?=[,)])", ""),
    (r" <= ", " >= "),
    (r"\.conj\(\)", ""),
]
LEFT_OUT = re.compile(r"_check\.|raise |warn\(|^\s*#|^\s*(from|import|def|class|@)|f\"|where =")


@dataclasses.dataclass(frozen=True)
class Mistake:
    """One line of a file, before and after."""

    path: str
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}\n  - {self.before.strip()}\n  + {self.after.strip()}"


def documented(tree: ast.Module) -> set[int]:
    """Numbers of the lines that are docstrings or other bare texts."""
    texts = [n for n in ast.walk(tree) if isinstance(n, ast.Expr) and is_text(n.value)]
    return {k for n in texts for k in range(n.lineno, (n.end_lineno or n.lineno) + 1)}


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def candidates(path: str) -> Iterator[Mistake]:
    """Every mistake that can be made in a file and still can be read by Python."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    skipped = documented(ast.parse("\n".join(lines)))
    for number, line in enumerate(lines, 1):
        if number in skipped or LEFT_OUT.search(line):
            continue
        for pattern, instead in SWAPS:
            for match in re.finditer(pattern, line):
                after = line[: match.start()] + match.expand(instead) + line[match.end() :]
                changed = [*lines[: number - 1], after, *lines[number:]]
                if after != line and is_python("\n".join(changed)):
                    yield Mistake(path, number, line, after)


def is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


# Files whose tests stand under other names.
TESTED_BY = {
    "grid": "grid apertures",
    "masks": "masks pixels",
    "free_space": "propagation windows",
    "filters": "deconvolution",
    "far": "windows",
    "collins": "windows",
    "planes": "windows",
    "surfaces": "bench_parts",
    "gratings": "bench_parts",
    "diffusers": "bench_parts",
    "microlenses": "bench_parts",
    "mirrors": "pixels",
    "coverage": "apertures",
    "polarizers": "polarization",
}


def tests_of(path: str) -> list[list[str]]:
    """What pytest runs for a file, cheapest first: its tests and its rows, then the slow ones."""
    parts = Path(path).with_suffix("").parts[1:]
    tests, name = ROOT / "tests", parts[0].strip("_")
    if len(parts) > 1 and (tests / name).is_dir():
        chosen = [tests / name]
    else:
        words = TESTED_BY.get(name, name).split()
        chosen = sorted(path for word in words for path in tests.glob(f"test_{word}*.py"))
    if not chosen:
        raise FileNotFoundError(f"{path} has no tests: name them in TESTED_BY.")
    own = [p.relative_to(ROOT).as_posix() for p in chosen]
    rows = ["tests/test_transforms.py", "tests/test_conventions.py", "-k", rows_of(path)]
    return [[*own, "-m", "not slow"], rows, [*own, "-m", "slow"]]


def rows_of(path: str) -> str:
    """Public functions of the file as pytest selects them; those of its package for others."""
    package, *inside = Path(path).with_suffix("").parts[1:]
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    names = [name for name in found if not name.startswith("_")]
    if (inside or [package])[-1].startswith("_") or not names:
        names = [package] if inside else ["propagation or angular_spectrum or lens"]
    return " or ".join(["conventions", *names])


def is_noticed(mistake: Mistake, copy: Path, seconds: float) -> bool:
    """Plants a mistake in the copy, runs the tests and takes it out again."""
    file = copy / mistake.path
    right = file.read_text(encoding="utf-8")
    lines = right.splitlines(keepends=True)
    lines[mistake.line - 1] = mistake.after + "\n"
    file.write_text("".join(lines), encoding="utf-8")
    try:
        return any(fails(chosen, copy, seconds) for chosen in tests_of(mistake.path))
    finally:
        file.write_text(right, encoding="utf-8")


def fails(chosen: list[str], copy: Path, seconds: float) -> bool:
    """Tells whether one of these tests fails, or does not end."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *chosen]
    try:
        run = subprocess.run(command, cwd=copy, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return True  # the right program ends in time
    # 1: a test failed, 2: a file could not be imported, 5: none was selected.
    if run.returncode not in (0, 1, 2, 5):
        raise RuntimeError(f"pytest ended with {run.returncode}:\n{run.stdout.decode()[-2000:]}")
    return run.returncode in (1, 2)


def main() -> None:
    """Draws mistakes, plants them and prints the count and the survivors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", help="files of jaxwave, relative to the project")
    parser.add_argument("--count", type=int, default=200, help="mistakes to plant")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=900, help="limit of one mistake")
    parser.add_argument("--list", action="store_true", help="only print the mistakes")
    given = parser.parse_args()
    found = [mistake for path in given.files for mistake in candidates(path)]
    drawn = random.Random(given.seed).sample(found, min(given.count, len(found)))
    if given.list:
        print(*drawn, sep="\n")
        return
    caught = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "jaxwave"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", ".jax_cache"))
        for count, mistake in enumerate(drawn, 1):
            noticed = is_noticed(mistake, copy, given.seconds)
            caught += noticed
            print(f"{caught} of {count} noticed", flush=True)
            if not noticed:
                print(f"SURVIVED {mistake}", flush=True)


if __name__ == "__main__":
    main()
