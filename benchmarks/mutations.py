"""Plants mistakes one at a time and counts those that the tests notice.

    python benchmarks/mutations.py --count 160 --seed 1 -o drawn.txt    # draws and plants
    python benchmarks/mutations.py benchmarks/mutations.txt             # plants the kept list again

A mistake is a small change that a tired person makes: a swapped axis, a sign, a factor of two, a
dropped option, an index of another medium. Candidates are found in the source of the physics
(docstrings, checks and messages are left out) and drawn at random, two in every file. Every
mistake is planted in a copy of the project, where those tests of its file run that reach its
function, the nearest first, until one fails. What survives is a missing test, or a change that
changes nothing. `benchmarks/mutations.txt` is the kept list with what became of each.
Not part of the tests: one mistake takes about ten CPU seconds.
"""

import argparse
import ast
import dataclasses
import functools
import importlib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACES = "jaxwave jaxwave/psf jaxwave/lightfield jaxwave/modulators jaxwave/heights jaxwave/cameras"
OTHERS = """_check _code _npy _files _notebook compute programs numerics units __init__ _version
_environment _alarms __main__ _noun losses measure""".split()
OF_BEADS = "basis linear model noise pixels spherical stack_model window".split()
FIRST, LIMIT = 10, 300  # tests of the first run; seconds of a run that decides nothing

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
        return f"@ {self.path}\n- {self.before.strip()}\n+ {self.after.strip()}"


def documented(tree: ast.Module) -> set[int]:
    """Numbers of the lines that are docstrings or other bare texts."""
    texts = [n for n in ast.walk(tree) if isinstance(n, ast.Expr) and is_text(n.value)]
    return {k for n in texts for k in range(n.lineno, (n.end_lineno or n.lineno) + 1)}


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def candidates(path: str) -> Iterator[Mistake]:
    """Every mistake that can be made in a file and still can be read by Python."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    tree = ast.parse("\n".join(lines))
    skipped, ends = documented(tree), [(n.lineno, n.end_lineno or n.lineno) for n in tree.body]
    for number, line in enumerate(lines, 1):
        if number in skipped or LEFT_OUT.search(line):
            continue
        near = [(a, b) for a, b in ends if a <= number <= b]
        around = "\n".join("\n".join(lines[a - 1 : b]) for a, b in near)
        for pattern, instead in SWAPS:
            for match in re.finditer(pattern, line):
                if instead.isidentifier() and not re.search(rf"\b{instead}\b", around):
                    continue  # no such name there: everything would notice
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
    "slm": "slm pixels",
    "coverage": "apertures",
    "beams": "beams sources",
    "condenser": "condenser coherence",
    "lenses": "lenses bench_parts",
    "fourier": "fourier field",
    "field": "field edit",
    "numerics": "numerics",
    "polarizers": "polarization",
}


# -- which tests ---------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Piece:
    """A function, a class or a number of a file, and the words that its source uses."""

    path: str
    name: str
    lines: tuple[int, int]
    words: frozenset[str]


@functools.cache
def pieces(path: Path) -> list[Piece]:
    found = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [getattr(node, "name", "")]
        if isinstance(node, ast.Assign):
            names = [t.id for t in node.targets if isinstance(t, ast.Name)]
        words = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        words |= {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
        words |= {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}  # fixtures
        lines = (node.lineno, node.end_lineno or node.lineno)
        relative = path.relative_to(ROOT).as_posix()
        found += [Piece(relative, name, lines, frozenset(words)) for name in names if name]
    return found


@functools.cache
def of_the_package() -> list[Piece]:
    files = sorted((ROOT / "jaxwave").rglob("*.py"))
    return [piece for file in files if file.name != "__init__.py" for piece in pieces(file)]


def reached(mistake: Mistake) -> dict[str, int]:
    """Names that lead to the line of a mistake, and how many calls away they are."""
    near = [p for p in pieces(ROOT / mistake.path) if p.lines[0] <= mistake.line <= p.lines[1]]
    far, edge = {}, {p.name for p in near}
    for distance in range(5):
        far |= {name: distance for name in edge if name not in far}
        edge = {p.name for p in of_the_package() if p.words & edge} - far.keys()
    return far


def tests_of(path: str) -> list[Path]:
    """Files with the tests of a file; the tables too."""
    parts = Path(path).with_suffix("").parts[1:]
    tests, name = ROOT / "tests", parts[0].strip("_")
    if len(parts) > 1 and (tests / name).is_dir():
        chosen = sorted((tests / name).glob("test_*.py"))
    else:
        words = (name if len(parts) > 1 else TESTED_BY.get(name, name)).split()
        chosen = sorted(path for word in words for path in tests.glob(f"test_{word}*.py"))
    if not chosen:
        raise FileNotFoundError(f"{path} has no tests: name them in TESTED_BY.")
    return [*chosen, tests / "test_conventions.py"]


def ranked(mistake: Mistake) -> list[str]:
    """Tests that reach a mistake, the nearest first; the rows of the table come after them."""
    far, found = reached(mistake), []
    own = Path(mistake.path).stem.strip("_")
    slow = (ROOT / "tests" / "slow.txt").read_text(encoding="utf-8")
    for file in tests_of(mistake.path):
        inside = {p.name: p for p in pieces(file)}
        for piece in inside.values():
            if not piece.name.startswith("test_"):
                continue
            words, new = set(piece.words), set(piece.words)
            while new:  # helpers and fixtures of the file
                new = {w for n in new if n in inside for w in inside[n].words} - words
                words |= new
            distances = [far[w] for w in words if w in far]
            if distances:
                name = f"{piece.path}::{piece.name}"
                other = own not in file.stem.split("_")  # the file's own tests first
                found.append((other, min(distances), slow.count(name), len(found), name))
    return [name for *_, name in sorted(found)]


@functools.cache
def validated() -> dict[str, str]:
    """The row of every function in the validation, which is called by its first function."""
    found = {}
    for file in sorted((ROOT / "tests" / "validation").glob("*.py")):
        text = file.read_text(encoding="utf-8")
        for listed in re.findall(r"@row\(((?:\s*\"[\w.]+\",?)+)", text):
            names = re.findall(r"[\w.]+", listed)
            found |= {name.split(".")[-1]: names[0] for name in names}
    return found


def rows(mistake: Mistake) -> dict[str, list[str]]:
    """Rows of the tables of functions that reach a mistake, the four nearest."""
    far = {n: d for n, d in reached(mistake).items() if not n.startswith("_")}
    near = sorted(far, key=far.get)
    row = "tests/test_validation.py::test_errors_are_those_of_the_file"
    validation = dict.fromkeys(validated()[n] for n in near if n in validated())
    transforms = ["tests/test_transforms.py", "-k", " or ".join(near[:4]), *QUICK]
    return {
        "transforms": transforms if near else [],
        "validation": [f"{row}[{name}]" for name in list(validation)[:4]],
    }


# -- planting ------------------------------------------------------------------------------


def is_noticed(mistake: Mistake, copy: Path) -> str:
    """Plants a mistake in the copy and says which run of tests noticed it, if one did."""
    file = copy / mistake.path
    right = file.read_text(encoding="utf-8")
    lines = right.splitlines(keepends=True)
    lines[mistake.line - 1] = mistake.after + "\n"
    file.write_text("".join(lines), encoding="utf-8")
    tests = ranked(mistake) or [p.relative_to(ROOT).as_posix() for p in tests_of(mistake.path)]
    runs = {"nearest": [*tests[:FIRST], *QUICK], **rows(mistake)}
    runs |= {"rest": [*tests[FIRST:], *QUICK] if tests[FIRST:] else []}
    try:
        for name, chosen in runs.items():
            if chosen and fails(chosen, copy):
                return name
        return "slow" if fails([*tests, *SLOW], copy) else ""
    except TimeoutError:  # a busy machine, or a mistake that never ends
        return ""
    finally:
        file.write_text(right, encoding="utf-8")


QUICK, SLOW = ["-m", "not slow", "-o", "slow_list="], ["-m", "slow", "-o", "slow_list="]


def fails(chosen: list[str], copy: Path) -> bool:
    """Tells whether one of these tests fails, or does not end, in a process of its own."""
    child = os.fork()
    if child == 0:
        os.chdir(copy)
        os.setsid()
        with open(copy / "log", "w") as log:
            os.dup2(log.fileno(), 1), os.dup2(log.fileno(), 2)
        code = importlib.import_module("pytest").main(
            ["-q", "-x", "-p", "no:cacheprovider", "--rootdir", str(copy), *chosen]
        )
        os._exit(int(code))
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            # 1: a test failed, 2: a file could not be imported, 5: none was selected.
            code = os.waitstatus_to_exitcode(status)
            if code not in (0, 1, 2, 5):
                raise RuntimeError((copy / "log").read_text()[-2000:])
            return code in (1, 2)
        time.sleep(0.1)
    os.killpg(child, 9), os.waitpid(child, 0)
    raise TimeoutError


def prepare() -> Path:
    """Copies the project, and imports here what every child would import again."""
    copy = Path(tempfile.mkdtemp()) / "jaxwave"
    left_out = shutil.ignore_patterns(".git", ".venv", ".jax_cache", "_build", "gallery")
    shutil.copytree(ROOT, copy, ignore=left_out)
    sys.path[:] = [str(copy), str(copy / "tests"), *sys.path]
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(copy.parent / "cache"))
    importlib.import_module("conftest")  # settings, before JAX
    for name in "jax.numpy jax.scipy.special flax.nnx optax scipy.integrate scipy.special".split():
        importlib.import_module(name)
    return copy


# -- the list ------------------------------------------------------------------------------


def physics() -> list[str]:
    """Files of the physics, where mistakes are numbers."""
    files = [f for place in PLACES.split() for f in sorted((ROOT / place).glob("*.py"))]
    files = [f for f in files if f.stem not in OTHERS]
    files += [ROOT / "jaxwave" / "beads" / f"{name}.py" for name in OF_BEADS]
    return [f.relative_to(ROOT).as_posix() for f in files]


def drawn(count: int, seed: int) -> list[Mistake]:
    """Two of every file, then more of all, no two in a line."""
    rng, all_of = random.Random(seed), {path: list(candidates(path)) for path in physics()}
    chosen: dict[tuple[str, int], Mistake] = {}
    for found in all_of.values():
        rng.shuffle(found)
        chosen |= {(m.path, m.line): m for m in found[:2]}
    rest = [m for found in all_of.values() for m in found[2:]]
    rng.shuffle(rest)
    for mistake in rest:
        if len(chosen) >= count:
            break
        chosen.setdefault((mistake.path, mistake.line), mistake)
    found = list(chosen.values())
    rng.shuffle(found)
    return found


def read(path: Path) -> list[Mistake]:
    """The mistakes of a kept list, where their lines stand now."""
    found = []
    for entry in path.read_text(encoding="utf-8").strip().split("\n\n"):
        name, before, after = [line[2:] for line in entry.splitlines() if line[:2] in "@ - + "]
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        places = [k for k, line in enumerate(lines, 1) if line.strip() == before]
        if not places:
            print(f"gone: {name}: {before}")
            continue
        line = lines[places[0] - 1]
        found.append(Mistake(name, places[0], line, line.replace(before, after)))
    return found


def main() -> None:
    """Plants mistakes and tells what became of each; the last line counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("list", nargs="?", type=Path, help="a kept list; without it, draws")
    parser.add_argument("--count", type=int, default=160, help="mistakes to draw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, help="where the list is written")
    given = parser.parse_args()
    mistakes = read(given.list) if given.list else drawn(given.count, given.seed)
    copy, caught = prepare(), 0
    for count, mistake in enumerate(mistakes, 1):
        by = is_noticed(mistake, copy)
        caught += bool(by)
        entry = f"{mistake}\n= {by or 'SURVIVED'}\n"
        print(entry, f"{caught} of {count} noticed", sep="", flush=True)
        if given.out:
            with given.out.open("a", encoding="utf-8") as file:
                file.write(entry + "\n")
    subprocess.run(["rm", "-r", str(copy.parent)], check=True)


if __name__ == "__main__":
    main()
