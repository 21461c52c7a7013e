"""The house rules that can be read off the source: what imports what, sizes, words.

A new file goes into LAYERS, at the place where everything it imports stands above it. An exception
to a rule goes into the table of that rule, with its reason.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jaxwave"
BRIDGE = ROOT / "torch_bridge"

# A file imports only from what stands above it; a name with a slash is a folder. Beside each layer:
# the packages that it may import besides the standard library, jax and numpy.
LAYERS: dict[str, tuple[str, set[str]]] = {
    "foundations": (
        "units _check _code _noun _notebook _files _npy _alarms _environment _version "
        "numerics special grid coverage fourier field edit compute",
        {"jaxlib"},
    ),
    "physics": (
        "sampling sources beams coherence fibers collins free_space propagation far planes lenses "
        "surfaces gratings diffusers microlenses pixels apertures masks slm mirrors polarization "
        "polarizers zernike materials samples phantoms condenser measure imaging filters "
        "deconvolution sensors heights/ scenes mosaic psf/ lightfield/ losses",
        set(),
    ),
    "elements": ("elements/", {"flax"}),
    "calibration": ("calibration/", {"flax", "optax", "tqdm", "blackjax"}),
    "sweeps": ("sweeps/ programs", {"scipy", "tqdm", "xarray", "pandas", "zarr", "flatbuffers"}),
    "applications": ("beads/ cameras/ modulators/", {"flax"}),
    "edges": (
        "io/ plot/ report/ cli/ __main__",
        {
            "tifffile",
            "matplotlib",
            "tqdm",
            "scipy",
            "h5py",
            "zarr",
            "nd2",
            "czifile",
            "imagecodecs",
            "stl",
            "gdstk",
            "submitit",
        },
    ),
    "viewer": ("napari/", {"napari", "qtpy"}),
}
ORDER = [name.rstrip("/") for names, _ in LAYERS.values() for name in names.split()]
EDGES = [n.rstrip("/") for layer in ("edges", "viewer") for n in LAYERS[layer][0].split()]
EVERYWHERE = {"jax", "numpy"} | set(sys.stdlib_module_names)

# What makes `import jaxwave` slow.
HEAVY = ("flax", "optax", "torch", "matplotlib", "tifffile", "scipy", "tqdm")

MOST_LINES = 500
MOST_LINES_OF_A_FUNCTION = 60  # without its docstring

# path or "path:function" -> reason
LONG: dict[str, str] = {
    "jaxwave/sensors.py": "half of it are docstrings; it is one topic",
    "jaxwave/zernike.py": "half of it are docstrings; it is one topic",
}


def sources(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def tracked_files() -> list[Path]:
    """The files of the project, whatever else lies in the folder."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / line for line in listed.stdout.splitlines()]
    return [path for path in files if path.is_file()]


def name_of(path: Path) -> str:
    """Path relative to the project, for messages and tables."""
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every imported module by its full name, wherever in the file the import stands."""
    module = module_of(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, node.module or ""] if node.level else [node.module or ""])
            base = base.rstrip(".")
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield (full if is_module(full) else base), node.lineno


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def place(module: str) -> str:
    """The entry of LAYERS that a module of jaxwave belongs to."""
    return module.split(".")[1] if "." in module else ""


def layer_of(entry: str) -> str:
    for layer, (names, _) in LAYERS.items():
        if entry in [name.rstrip("/") for name in names.split()]:
            return layer
    raise KeyError(entry)


def files_of_package() -> list[Path]:
    return [path for path in sources(PACKAGE) if path != PACKAGE / "__init__.py"]


def by_name(path: Path) -> str:
    return name_of(path)


# -- imports -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", files_of_package(), ids=by_name)
def test_every_file_has_its_place(path):
    entry = place(module_of(path))
    assert entry in ORDER, (
        f"{name_of(path)} is not in LAYERS of tests/test_architecture.py. Put {entry!r} into the "
        f"layer it belongs to ({', '.join(LAYERS)}), below everything it imports."
    )


@pytest.mark.parametrize("path", files_of_package(), ids=by_name)
def test_imports_run_one_way(path):
    me = place(module_of(path))
    if me not in ORDER:
        pytest.skip("has no place yet, see test_every_file_has_its_place")
    for target, line in imports(path):
        if target.split(".")[0] != "jaxwave":
            continue
        other = place(target)
        spot = f"{name_of(path)}:{line}"
        assert other, f"{spot} imports jaxwave itself; import the file that you need from it."
        if other == me:
            continue
        assert other not in EDGES or me in EDGES, f"{spot} imports {target}: nothing imports edges."
        assert other in ORDER and ORDER.index(other) < ORDER.index(me), (
            f"{spot} imports {target}, which does not stand above {me!r} in LAYERS. Move what both "
            "need further up, or pass it as an argument."
        )


def test_package_itself_imports_no_edge():
    for target, line in imports(PACKAGE / "__init__.py"):
        assert place(target) not in EDGES, f"jaxwave/__init__.py:{line} imports {target}."


@pytest.mark.parametrize("folder", [p.parent for p in PACKAGE.glob("*/__init__.py")], ids=by_name)
def test_no_circle_within_a_folder(folder):
    members = {module_of(p): p for p in sources(folder) if p.name != "__init__.py"}
    edges = {m: [t for t, _ in imports(p) if t in members] for m, p in members.items()}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, "these import each other: " + " -> ".join((*trail, module))
        if module not in done:
            for target in edges[module]:
                visit(target, (*trail, module))
            done.add(module)

    for module in members:
        visit(module, ())


@pytest.mark.parametrize("path", files_of_package(), ids=by_name)
def test_foreign_packages(path):
    me = place(module_of(path))
    if me not in ORDER:
        pytest.skip("has no place yet, see test_every_file_has_its_place")
    layer = layer_of(me)
    allowed = EVERYWHERE | LAYERS[layer][1] | {"jaxwave"}
    for target, line in imports(path):
        assert target.split(".")[0] in allowed, (
            f"{name_of(path)}:{line} imports {target}; the layer {layer!r} may import "
            f"{', '.join(sorted({'jax', 'numpy'} | LAYERS[layer][1]))}."
        )


def test_bridge_does_not_know_jaxwave():
    for path in sources(BRIDGE):
        for target, line in imports(path):
            assert target.split(".")[0] != "jaxwave", (
                f"{name_of(path)}:{line} imports {target}: the bridge works for any JAX function."
            )


def test_import_jaxwave_loads_nothing_heavy():
    program = f"import sys, jaxwave; print(*[m for m in {HEAVY} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert not run.stdout.split(), f"`import jaxwave` loads {run.stdout}"


# -- sizes ---------------------------------------------------------------------------------


def length_of_function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    lines = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node, clean=False) is not None:
        doc = node.body[0]
        assert doc.end_lineno is not None
        lines -= doc.end_lineno - doc.lineno + 1
    return lines


def too_long() -> dict[str, int]:
    result = {}
    for path in sources(PACKAGE, BRIDGE, ROOT / "examples", ROOT / "benchmarks"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MOST_LINES:
            result[name_of(path)] = lines
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = length_of_function(node)
                if lines > MOST_LINES_OF_A_FUNCTION:
                    result[f"{name_of(path)}:{node.name}"] = lines
    return result


def test_files_and_functions_are_short():
    new = {name: lines for name, lines in too_long().items() if name not in LONG}
    assert not new, (
        f"Split these (files past {MOST_LINES} lines, functions past {MOST_LINES_OF_A_FUNCTION} "
        f"without docstring), or give a reason in LONG: {new}"
    )


def test_exceptions_to_length_are_needed():
    idle = set(LONG) - set(too_long())
    assert not idle, f"These are short again; take them out of LONG: {sorted(idle)}"


# -- types ---------------------------------------------------------------------------------

MOST_ANY = 0.06  # of the arguments; optax and equinox have 0.04


def arguments_of(path: Path) -> Iterator[tuple[str, str]]:
    """Place and annotation of every argument but self and cls; empty without annotation."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            a = node.args
            rest = [one for one in (a.vararg, a.kwarg) if one]
            for one in (*a.posonlyargs, *a.args, *a.kwonlyargs, *rest):
                if one.arg not in ("self", "cls"):
                    kind = ast.unparse(one.annotation) if one.annotation else ""
                    yield f"{name_of(path)}:{node.name}({one.arg})", kind


@pytest.mark.parametrize("folder", [PACKAGE, BRIDGE], ids=by_name)
def test_arguments_have_honest_types(folder):
    kinds = [kind for path in sources(folder) for _, kind in arguments_of(path)]
    share = sum(kind in ("", "Any", "typing.Any") for kind in kinds) / len(kinds)
    assert share < MOST_ANY, f"{share:.1%} of the arguments are Any, or have no type"


def test_types_are_checked_in_every_module():
    """What mypy leaves out is named in one table, and none of it is a whole package of ours."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    text = text.partition("[[tool.mypy.overrides]]")[2]
    modules = re.findall(r'"((?:jaxwave|torch_bridge)[\w.*]*)"', text)
    places = [ROOT.joinpath(*module.split(".")).with_suffix(".py") for module in modules]
    assert modules and all(place.is_file() for place in places), modules
    loose = [module for module in modules if not module.split(".")[1].startswith("_")]
    assert not loose, f"mypy is told to overlook {loose}"


# -- words ---------------------------------------------------------------------------------

MACHINE_PATH = re.compile(r"(?<![\w.~/-])(?:/(?:work|home|root|opt|Users|mnt)/\w|[A-Z]:\\\w)")
ADDRESS = re.compile(r"\w+://")
# Where an installer could be told an address. Others may quote a source.
SETTINGS = ("pyproject.toml", "requirements/", ".ci/", ".pre-commit-config.yaml", "README.md")
TEXT = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".cfg", ""}


def lines_with(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    found = []
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{name_of(path)}:{number}: {line.strip()[:80]}")
    return found


def test_no_folder_of_tests_hides_a_package():
    # tests/ is on the import path, where a folder without __init__.py is a package too.
    names = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    assert not names & {"jaxwave", "torch_bridge", *HEAVY}


def test_no_path_of_a_machine():
    files = [path for path in tracked_files() if path.suffix in TEXT]
    assert not (found := lines_with(MACHINE_PATH, files)), "\n".join(found)


def test_no_address_in_the_settings():
    files = [path for path in tracked_files() if name_of(path).startswith(SETTINGS)]
    assert not (found := lines_with(ADDRESS, files)), "\n".join(found)


@pytest.mark.parametrize("path", sources(PACKAGE, BRIDGE), ids=by_name)
def test_nothing_is_unpickled(path):
    for target, line in imports(path):
        assert target.split(".")[0] not in {"pickle", "dill", "cloudpickle", "joblib", "shelve"}, (
            f"{name_of(path)}:{line} imports {target}: a file could run code."
        )
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant) and node.value.value is False, (
                f"{name_of(path)}:{node.value.lineno} allows pickles: a file could run code."
            )


@pytest.mark.parametrize("path", sources(PACKAGE), ids=by_name)
def test_phases_go_through_cis(path):
    """XLA's sine and cosine are 18 times slower than numerics.cis; numpy at trace time may."""
    for node in ast.walk(tree_of(path)):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) in ("jnp.exp", "lax.exp")):
            continue
        imaginary = [
            part
            for argument in node.args
            for part in ast.walk(argument)
            if isinstance(part, ast.Constant) and isinstance(part.value, complex)
        ]
        assert not imaginary, (
            f"{name_of(path)}:{node.lineno} takes the exponential of a complex number: use "
            "numerics.cis, with the phase in turns."
        )


# -- one vocabulary ------------------------------------------------------------------------

# One word for one thing, from the command line to the reports; beside it what others call it.
WORDS = {
    "pixel": "pixel_size pixelsize pixel_width px dxy voxel_size",  # in the sample
    "pitch": "pixel_pitch hardware_pixel camera_pixel sensor_pixel",  # of the hardware
    "spacing": "grid_spacing sample_spacing sampling_step",
    "n_s": "n_sample n_medium ns ri_sample",
    "n_g": "n_glass n_coverslip ng",
    "n_i": "n_immersion n_oil ni",
    "t_s": "t_sample sample_depth",
    "t_g": "t_glass t_coverslip tg",
    "t_i": "t_immersion t_oil ti working_distance",
    "heldout": "held_out holdout validation test_planes",
    "heldout_loss": "validation_loss heldout_score test_loss",
}


def words_of(tree: ast.Module) -> Iterator[tuple[str, int, str]]:
    """Names that a user types, with their line and their annotation: arguments, fields, flags."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                yield a.arg, node.lineno, ast.unparse(a.annotation) if a.annotation else ""
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node.lineno, ast.unparse(node.annotation)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "Option":
            flag = node.args[0]
            yield ast.literal_eval(flag).replace("-", "_").lstrip("_"), node.lineno, ""


@pytest.mark.parametrize("path", sources(PACKAGE), ids=by_name)
def test_one_word_for_one_thing(path):
    other = {theirs: ours for ours, words in WORDS.items() for theirs in words.split()}
    for word, line, kind in words_of(tree_of(path)):
        assert word not in other, f"{name_of(path)}:{line} says {word} for {other[word]}"
        if word == "heldout" and not name_of(path).startswith("jaxwave/calibration/_"):
            assert kind not in ("float", "Loss | None", "Loss"), (
                f"{name_of(path)}:{line}: a loss of what is held out is `heldout_loss`"
            )


# -- the rules themselves ------------------------------------------------------------------


def test_order_has_no_name_twice():
    assert all(a != b for a, b in pairwise(sorted(ORDER)))


def test_tables_name_what_exists():
    missing = [
        e for e in ORDER if not (PACKAGE / e).is_dir() and not (PACKAGE / f"{e}.py").is_file()
    ]
    missing += [name for name in LONG if not (ROOT / name.partition(":")[0]).is_file()]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    tools = settings["tool"]
    patterns = [*tools["ruff"]["lint"]["per-file-ignores"], *tools["mypy"]["files"]]
    patterns += tools["pytest"]["ini_options"]["testpaths"]
    for package, files in tools["setuptools"]["package-data"].items():
        patterns += [f"{package}/{name}" for name in files]
    missing += [pattern for pattern in patterns if not any(ROOT.glob(pattern))]
    slow = (ROOT / "tests" / "slow.txt").read_text(encoding="utf-8").split()
    missing += [
        line for line in slow if "::" in line and not (ROOT / line.split("::")[0]).is_file()
    ]
    assert not missing, f"tables name files that do not exist: {missing}"


def test_branch_coverage_is_measured_by_a_job():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    coverage = settings["tool"]["coverage"]
    assert coverage["run"]["branch"]
    assert coverage["run"]["source_pkgs"] == settings["tool"]["mypy"]["files"]
    job = (ROOT / ".github" / "workflows" / "nightly.yml").read_text(encoding="utf-8")
    assert "- run: pytest -n 2 --dist worksteal --cov " in job


# -- style and types -----------------------------------------------------------------------

TOOLS = {
    "format": ["ruff", "format", "--check", "--quiet", "."],
    "lint": ["ruff", "check", "--quiet", "."],
    "types": ["mypy"],
}


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS)
def test_style(tool):
    run = subprocess.run(
        [sys.executable, "-m", *TOOLS[tool]], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
