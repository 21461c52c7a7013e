"""How the public names look, and what their documentation says.

Public is what a module lists in `__all__`. A new rule is one function below, decorated with
`rule`: it gets one public object and returns what is wrong with it, in words. An exception to a
rule goes into EXCEPTIONS, with its reason.
"""

import ast
import builtins
import dataclasses
import doctest
import fnmatch
import importlib
import inspect
import io
import pkgutil
import re
import typing
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import jaxwave

ROOT = Path(__file__).parents[1]
PACKAGES = ["jaxwave"]
if importlib.util.find_spec("torch_bridge") and importlib.util.find_spec("torch"):
    PACKAGES.append("torch_bridge")

# Public names are of two kinds. Physics: a docstring gives one sentence, the equation, what is
# neglected and where it stops being valid, shapes and units, the errors that really happen, an
# example and the source. Containers and tools, which are these: a sentence, the arguments and an
# example; an equation or a citation that is there for the rule's sake is noise.
TOOLS = [
    "torch_bridge.*",
    "jaxwave.JaxwaveWarning",
    "jaxwave.Sampling",
    "jaxwave.Material",
    "jaxwave.tune_cpu",
    "jaxwave.stack",
    *(f"jaxwave.{name}" for name in ("sweep", "Sweep", "memory", "Memory")),
    *(f"jaxwave.{name}" for name in ("save_program", "load_program", "Program")),
    *(
        f"jaxwave.{part}.*"
        for part in "elements calibration beads io plot report cli sweeps".split()
    ),
]
OF_PHYSICS = {"equation", "validity", "references"}

# (rule, public name; * and ? are wildcards) -> reason
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("key_first", "jaxwave.elements.bench"): "few systems draw random numbers",
    ("arguments", "torch_bridge.BridgedFunction"): "made by wrap, which describes them",
    ("keyword_only_options", "torch_bridge.wrap"): "a decorator, with or without parentheses",
    ("units", "jaxwave.plot.plot_pupil"): "a pupil's spacing is in pupil radii",
    ("units", "jaxwave.zernike_*"): "normalized pupil coordinates are in pupil radii",
    ("units", "jaxwave.psf.zernike_pupil"): "normalized pupil coordinates are in pupil radii",
    ("units", "jaxwave.psf.vortex"): "normalized pupil coordinates are in pupil radii",
    ("units", "jaxwave.psf.half_moon"): "normalized pupil coordinates are in pupil radii",
    ("units", "jaxwave.psf.top_hat"): "normalized pupil coordinates are in pupil radii",
    ("units", "jaxwave.psf.gaussian_pupil"): "normalized pupil coordinates are in pupil radii",
    ("units", "jaxwave.psf.*al_polarization"): "normalized pupil coordinates are in pupil radii",
    ("units", "jaxwave.seidel_opd"): "normalized pupil coordinates are in pupil radii",
    ("units", "jaxwave.special.*"): "the argument of a special function is a pure number",
    ("units", "jaxwave.beads.find_beads"): "the radius is in pixels of the stack",
    ("keyword_only_options", "jaxwave.psf.*focus*"): "an objective, a window, a pupil",
    ("keyword_only_options", "jaxwave.psf.emitter_*"): "an objective, a window, a pupil",
    ("keyword_only_options", "jaxwave.psf.nodes"): "an objective, a window, a pupil",
    ("keyword_only_options", "jaxwave.psf.emitters_image"): "a microscope, places, photons",
    ("keyword_only_options", "jaxwave.zernike_opd"): "coefficients and modes, then the point",
    ("keyword_only_options", "jaxwave.calibration.calibrate"): "a model, a loss, then the data",
    ("key_first", "jaxwave.calibration.calibrate"): "an option: only minibatches are random",
    ("key_first", "jaxwave.sweep"): "an option: only random sets need one",
    ("key_first", "jaxwave.beads.fit_stacks"): "an option: only further starts are random",
    ("keyword_only_options", "jaxwave.calibration.sample_posterior"): "the key, and what is fitted",
    ("keyword_only_options", "jaxwave.beads.bead_stack"): "parameters of one model",
    ("keyword_only_options", "jaxwave.report.save_bead_fit"): "where to, and what was fitted",
}

# Names have one unit throughout the library.
UNITS = {
    name: unit
    for unit, names in {
        "µm": "spacing wavelength z f x y dx dy dz waist radius pitch pixel opd thickness depth",
        "rad/µm": "kx ky",
        "1/µm": "fx fy",
        "rad": "phase theta phi",
        "power": "power",
    }.items()
    for name in names.split()
}
# Numbers without a unit; any other argument that may be an array names its unit in brackets.
PURE = set("n na rho transmission magnification fraction mask weight".split())

# The glossary: what the left is called here.
SYNONYMS = {
    "lam": "wavelength",
    "lambda_": "wavelength",
    "wl": "wavelength",
    "refractive_index": "n",
    "index": "n",
    "focal_length": "f",
    "distance": "z",
    "NA": "na",
    "numerical_aperture": "na",
    "pixel_size": "pitch (hardware) or spacing (grid)",
    "rng": "key",
    "seed": "key",
}
MOST_POSITIONAL = 3
MOST_LETTERS_OF_A_TYPE = 40


# -- finding what is public ----------------------------------------------------------------


def modules(package: str) -> Iterator[ModuleType]:
    """A package and everything in it."""
    top = importlib.import_module(package)
    yield top
    for found in pkgutil.walk_packages(top.__path__, package + "."):
        if found.name.startswith("jaxwave.napari."):  # widgets, which need napari and a screen
            continue
        yield importlib.import_module(found.name)


MODULES = {module.__name__: module for package in PACKAGES for module in modules(package)}


def is_namespace(name: str) -> bool:
    """Modules with `__all__` whose path has no private part."""
    return hasattr(MODULES[name], "__all__") and "._" not in name


NAMESPACES = [name for name in MODULES if is_namespace(name)]


def public_objects() -> dict[str, Any]:
    """Public functions and classes by name; an object with two names is listed once."""
    found: dict[str, Any] = {}
    seen: set[int] = set()
    for space in sorted(NAMESPACES, key=lambda name: name.count(".")):
        for name in MODULES[space].__all__:
            thing = getattr(MODULES[space], name)
            if callable(thing) and id(thing) not in seen:
                seen.add(id(thing))
                found[f"{space}.{name}"] = thing
    return found


PUBLIC = public_objects()


# -- reading a docstring -------------------------------------------------------------------

HEADERS = ("Args", "Returns", "Yields", "Raises", "Warns", "Example", "References", "Attributes")


def sections(thing: Any) -> dict[str, str]:
    """The parts of a docstring by their headers; what comes before them is the part ''."""
    parts: dict[str, list[str]] = {"": []}
    current = ""
    for line in (inspect.getdoc(thing) or "").splitlines():
        if line.rstrip(":") in HEADERS and line.endswith(":"):
            current = line.rstrip(":")
            parts[current] = []
        else:
            parts[current].append(line)
    return {name: inspect.cleandoc("\n".join(lines)) for name, lines in parts.items()}


def entries(text: str) -> dict[str, str]:
    """`name: description` items, their continuation lines joined."""
    items: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if match := re.match(r"(\*{0,2}\w+)(?: \([^)]*\))?:(.*)", line):
            name = match[1].lstrip("*")
            items[name] = match[2].strip()
        elif name:
            items[name] += " " + line.strip()
    return items


def parameters(thing: Any) -> dict[str, inspect.Parameter]:
    if inspect.isclass(thing) and issubclass(thing, BaseException):
        return {}
    found = inspect.signature(thing).parameters
    return {name: p for name, p in found.items() if not name.startswith("_")}


def is_array_like(thing: Any, parameter: inspect.Parameter) -> bool:
    """Whether it may be an array, also under the name of an alias such as ``Dipole``."""
    text = parameter.annotation if isinstance(parameter.annotation, str) else ""
    try:
        text += str(eval(text, vars(MODULES[thing.__module__])))
    except (NameError, TypeError, KeyError):
        pass  # imported for type checkers only
    return bool(re.search(r"Array|ndarray|\bNumber\b", text))


# -- the rules -----------------------------------------------------------------------------

Check = Callable[[str, Any], str | None]
RULES: dict[str, Check] = {}


def rule(check: Check) -> Check:
    RULES[check.__name__] = check
    return check


@rule
def sentence(name: str, thing: Any) -> str | None:
    first = (inspect.getdoc(thing) or "").split("\n\n")[0]
    if not first.endswith(".") or "\n" in first:
        return f"the docstring must begin with one sentence on one line, got {first!r}"
    return None


@rule
def equation(name: str, thing: Any) -> str | None:
    return None if ".. math::" in sections(thing)[""] else "has no equation (`.. math::`)"


@rule
def validity(name: str, thing: Any) -> str | None:
    words = r"(?i)\b(valid|exact|neglect|applies|holds|paraxial)"
    if re.search(words, sections(thing)[""]):
        return None
    return "does not say where it is valid and what it neglects"


@rule
def arguments(name: str, thing: Any) -> str | None:
    documented = [*entries(sections(thing).get("Args", ""))]
    actual = [*parameters(thing)]
    return None if documented == actual else f"takes {actual}, but Args describes {documented}"


@rule
def units(name: str, thing: Any) -> str | None:
    described = entries(sections(thing).get("Args", ""))
    missing = []
    for key, parameter in parameters(thing).items():
        text = described.get(key, "")
        if key in UNITS and f"[{UNITS[key]}]" not in text:
            missing.append(f"`{key}` needs [{UNITS[key]}]")
        elif is_array_like(thing, parameter) and key not in PURE | {*UNITS} and "[" not in text:
            missing.append(f"`{key}` needs its unit in brackets, or a place in PURE")
    return "; ".join(missing) or None


@rule
def shapes(name: str, thing: Any) -> str | None:
    described = entries(sections(thing).get("Args", ""))
    arrays = [key for key, p in parameters(thing).items() if is_array_like(thing, p)]
    silent = [
        k for k in arrays if not re.search(r"``\(|scalar|shape|one number", described.get(k, ""))
    ]
    return f"Args must tell the shape of {silent}, such as ``(...)``" if silent else None


@rule
def returns(name: str, thing: Any) -> str | None:
    if inspect.isclass(thing) or inspect.signature(thing).return_annotation is None:
        return None
    parts = sections(thing)
    return None if parts.get("Returns") or parts.get("Yields") else "has no Returns"


@rule
def raises(name: str, thing: Any) -> str | None:
    if inspect.isclass(thing) and issubclass(thing, BaseException):
        return None
    named = entries(sections(thing).get("Raises", ""))
    unknown = [key for key in named if not hasattr(builtins, key)]
    if unknown or not (named or is_tool(name)):
        return f"Raises must list exceptions that exist, got {[*named]}"
    return None


@rule
def example(name: str, thing: Any) -> str | None:
    return None if ">>>" in sections(thing).get("Example", "") else "has no Example that runs"


@rule
def references(name: str, thing: Any) -> str | None:
    return None if sections(thing).get("References") else "has no References"


# Of a container or a tool: no equation between words, no citation of what is no source of
# knowledge, no error that Python raises for every call of its kind.
EMPTY_WORDS = {
    "": r"\.\. math::[^\n]*(\\iff|\\text\{(file|fit|folder|value|status|result|NaN))|\\in *\\\{",
    "Raises": r"(a part|``\w+``) is missing|it is frozen",
    "References": r"(?i)wikipedia|encyclop|documentation|\bRFC \d|FIPS|WHATWG|ISO/IEC|data model\*",
}


@rule
def no_empty_words(name: str, thing: Any) -> str | None:
    parts = sections(thing) if is_tool(name) else {}
    found = [re.search(words, parts.get(key, "")) for key, words in EMPTY_WORDS.items()]
    said = [match[0] for match in found if match]
    return f"says {said}, which tells a reader nothing" if said else None


@rule
def annotations(name: str, thing: Any) -> str | None:
    bare = [k for k, p in parameters(thing).items() if p.annotation is p.empty]
    if not inspect.isclass(thing) and inspect.signature(thing).return_annotation is inspect._empty:
        bare.append("return")
    return f"has no annotation for {bare}" if bare else None


def signatures(name: str, thing: Any) -> Iterator[tuple[str, inspect.Signature]]:
    """Of a function, or of a class and its public methods; what ``help()`` prints."""
    if not (inspect.isclass(thing) and issubclass(thing, BaseException)):
        yield name, inspect.signature(thing)
    for key, member in vars(thing).items() if inspect.isclass(thing) else ():
        function = getattr(member, "fget", None) or getattr(member, "__func__", member)
        if inspect.isfunction(function) and (key == "__call__" or not key.startswith("_")):
            yield f"{name}.{key}", inspect.signature(function)


@rule
def short_types(name: str, thing: Any) -> str | None:
    """Aliases are printed by their names, not by what they stand for."""
    long = []
    for spot, signature in signatures(name, thing):
        kinds = {key: p.annotation for key, p in signature.parameters.items()}
        kinds["return"] = signature.return_annotation
        for key, kind in kinds.items():
            if kind is inspect.Parameter.empty or kind is None:
                continue
            noise = re.search(r"Union\[|typing\.|_typing|jaxlib|variablelib", str(kind))
            if not isinstance(kind, str) or len(kind) > MOST_LETTERS_OF_A_TYPE or noise:
                long.append(f"{spot}({key}: {inspect.formatannotation(kind)})")
    return f"prints long types, give them an alias: {long}" if long else None


@rule
def keyword_only_options(name: str, thing: Any) -> str | None:
    if dataclasses.is_dataclass(thing) or (inspect.isclass(thing) and not own_init(thing)):
        return None
    flat = [p for p in parameters(thing).values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    options = [p.name for p in flat if p.default is not p.empty]
    if options:
        return f"has options that may be passed by place: put * before {options[0]!r}"
    if len(flat) > MOST_POSITIONAL:
        return f"has {len(flat)} positional arguments, at most {MOST_POSITIONAL} can be remembered"
    return None


def own_init(cls: type) -> bool:
    return "__init__" in vars(cls)


@rule
def key_first(name: str, thing: Any) -> str | None:
    names = [*parameters(thing)]
    return "the random `key` comes first" if "key" in names[1:] else None


@rule
def glossary(name: str, thing: Any) -> str | None:
    wrong = {key: SYNONYMS[key] for key in parameters(thing) if key in SYNONYMS}
    return f"uses synonyms, call them {wrong}" if wrong else None


@rule
def members(name: str, thing: Any) -> str | None:
    if not inspect.isclass(thing):
        return None
    silent = []
    for key, member in vars(thing).items():
        is_code = isinstance(member, property | staticmethod | classmethod) or inspect.isfunction(
            member
        )
        if is_code and not key.startswith("_"):
            doc = inspect.getdoc(getattr(thing, key)) or ""
            if not doc.split("\n\n")[0].rstrip().endswith((".", "dark samples")):
                silent.append(key)
    return f"members without a documented sentence: {silent}" if silent else None


def is_tool(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in TOOLS)


def excused(rule_name: str, name: str) -> bool:
    if rule_name in OF_PHYSICS and is_tool(name):
        return True
    return any(r == rule_name and fnmatch.fnmatch(name, n) for r, n in EXCEPTIONS)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name(name):
    complaints = []
    for rule_name, check in RULES.items():
        complaint = check(name, PUBLIC[name])
        if complaint and not excused(rule_name, name):
            complaints.append(f"  {rule_name}: {complaint}")
    assert not complaints, "\n".join([f"{name}", *complaints])


@pytest.mark.parametrize(("rule_name", "name"), EXCEPTIONS)
def test_exceptions_are_needed(rule_name, name):
    if name.split(".")[0] not in PACKAGES:
        pytest.skip("package is not installed")
    hits = [n for n in PUBLIC if fnmatch.fnmatch(n, name)]
    needed = any(RULES[rule_name](n, PUBLIC[n]) for n in hits)
    assert needed, f"no public name needs ({rule_name!r}, {name!r}); take it out of EXCEPTIONS"


# -- lists of names ------------------------------------------------------------------------


@pytest.mark.parametrize("space", NAMESPACES)
def test_names_are_listed_once(space):
    names = MODULES[space].__all__
    assert not (twice := [n for n, count in Counter(names).items() if count > 1]), twice
    assert not (private := [n for n in names if n.startswith("_")]), private


@pytest.mark.parametrize("space", NAMESPACES)
def test_packages_list_what_they_import(space):
    path = Path(typing.cast(str, MODULES[space].__file__))
    if path.name != "__init__.py":
        pytest.skip("not a package")
    imported = {
        alias.asname or alias.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES
        for alias in node.names
    }
    public = {name for name in imported if not name.startswith("_")}
    missing = public - {*MODULES[space].__all__}
    assert not missing, f"{space} imports these but does not list them in __all__: {missing}"


def test_names_stand_under_headings():
    text = Path(typing.cast(str, jaxwave.__file__)).read_text()
    listed = text.split("__all__ = [\n")[1].split("]")[0].splitlines()
    assert listed[0].strip().startswith("#"), "the first name has no heading"
    headings = [line for line in listed if line.strip().startswith("#")]
    assert len(headings) == len({*headings}), "a heading stands twice"


@pytest.mark.parametrize("name", [n for n in MODULES if n.startswith("jaxwave.")])
def test_nothing_public_is_forgotten(name):
    """A docstring with references is written for users, so its name has to be listed."""
    listed = {id(thing) for thing in PUBLIC.values()}
    forgotten = [
        key
        for key, thing in vars(MODULES[name]).items()
        if not key.startswith("_")
        and getattr(thing, "__module__", "") == name
        and callable(thing)
        and "References" in sections(thing)
        and id(thing) not in listed
    ]
    assert not forgotten, f"{name}: documented for users, but in no `__all__`: {forgotten}"


@pytest.mark.parametrize("space", [n for n in NAMESPACES if n != "jaxwave.units"])
def test_constants_are_documented(space):
    """A number has no docstring, so the module's tells what it is (units name themselves)."""
    module = MODULES[space]
    constants = [n for n in module.__all__ if isinstance(getattr(module, n), int | float)]
    silent = [n for n in constants if n not in (module.__doc__ or "")]
    assert not silent, f"{space}: the module's docstring does not mention {silent}"


# -- examples ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    runner = doctest.DocTestRunner(optionflags=flags, verbose=False)
    output = io.StringIO()
    for case in doctest.DocTestFinder().find(MODULES[name], name):
        runner.run(case, out=output.write)
    assert not runner.failures, output.getvalue()
