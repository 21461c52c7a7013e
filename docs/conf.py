"""How the site is built: see CONTRIBUTING.md. Nothing is fetched: formulas need no network."""

import ast
import importlib
import inspect
import os
import re
from pathlib import Path
from types import ModuleType

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.pop("MPLBACKEND", None)  # a notebook's kernel has its own, which shows the pictures
HERE = Path(__file__).parent
MODULES = ("jaxwave", "jaxwave.psf", "jaxwave.elements", "jaxwave.calibration", "jaxwave.beads")
MODULES += ("jaxwave.lightfield", "jaxwave.modulators", "jaxwave.heights", "jaxwave.cameras")
MODULES += ("jaxwave.scenes", "jaxwave.mosaic", "jaxwave.sweeps", "jaxwave.io", "jaxwave.plot")
MODULES += ("jaxwave.report", "torch_bridge")

import jaxwave  # noqa: E402

project = "jaxwave"
version = release = jaxwave.__version__
copyright = "the jaxwave developers"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx-mathjax-offline",
]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"jaxwave {version}"
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
# Notebooks run while the site is built; -D nb_execution_mode=off leaves their outputs out.
nb_execution_mode = "force"
nb_execution_excludepatterns = os.environ.get("NOTEBOOKS_LEFT_OUT", "").split()  # tested elsewhere
nb_execution_timeout = 300  # seconds for a cell, on a busy machine
nb_execution_raise_on_error = True
nb_merge_streams = True
autodoc_typehints = "none"  # descriptions of the arguments tell shapes and units
napoleon_custom_sections = [("Warns", "returns_style")]


_SHOWN: set[int] = set()  # a function that two modules offer stands on the first one's page


def _page(module: str) -> str:
    """What a module offers, one after the other; few pages, since each holds the whole menu."""
    space = importlib.import_module(module)
    rows = [module, "=" * len(module), ""]
    for name in sorted(space.__all__, key=str.lower):
        thing = getattr(space, name)
        if isinstance(thing, ModuleType) or not callable(thing) or id(thing) in _SHOWN:
            continue
        _SHOWN.add(id(thing))
        kind = "class" if inspect.isclass(thing) else "function"
        rows += [f".. auto{kind}:: {module}.{name}", ""]
        if kind == "class" and module != "jaxwave.elements":
            rows[-1:] = ["   :members:", ""]
    return "\n".join(rows)


# Written, because autodoc reads files: what is public is listed in one place, the modules.
(HERE / "api").mkdir(exist_ok=True)
for _module in MODULES:
    (HERE / "api" / f"{_module}.rst").write_text(_page(_module))


def _examples(_: str) -> str:
    """The first sentence and the picture of every example."""
    rows = []
    for path in sorted((HERE.parent / "examples").glob("[0-9]*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        said = " ".join(text.split("\n\n")[0].split())
        number, _, name = path.stem.partition("_")
        rows += [f"## {number} {name.replace('_', ' ')}", "", said, ""]
        rows += [f"![{said}](gallery/{path.stem}.png)", "", f"`examples/{path.name}`", ""]
    return "\n".join(rows)


def _file(name: str) -> str:
    """A text of the project; its links to other files of the project become words."""
    text = (HERE.parent / name).read_text(encoding="utf-8")
    return re.sub(r"\[([^\]]+)\]\((?!\w+://|#)[^)]+\)", r"\1", text)


def _filled(_: object, __: str, source: list[str]) -> None:
    """Fills in lines such as ``@examples`` and ``@file CHANGELOG.md``."""
    made = {"@examples": _examples, "@file": _file}
    lines = []
    for line in source[0].splitlines():
        word, _, rest = line.partition(" ")
        lines.append(made[word](rest) if word in made else line)
    source[0] = "\n".join(lines)


def setup(app: object) -> None:
    """Tells Sphinx what fills the pages in."""
    app.connect("source-read", _filled)  # type: ignore[attr-defined]
