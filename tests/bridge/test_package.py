"""The package keeps its own rules: documented, small, independent of jaxwave."""

import ast
import doctest
import importlib
import inspect
import pathlib
import sys

import pytest

import torch_bridge

FOLDER = pathlib.Path(torch_bridge.__file__).parent
FILES = sorted(FOLDER.glob("*.py"))


def public():
    for name in torch_bridge.__all__:
        thing = getattr(torch_bridge, name)
        yield name, thing
        if inspect.isclass(thing):
            for key, value in vars(thing).items():
                if not key.startswith("_") and inspect.isfunction(value):
                    yield f"{name}.{key}", value


PUBLIC = dict(public())
SHORT = {  # torch calls these, and their class explains them
    "JaxModule.forward",
    "JaxModule.train",
    "BridgedFunction.cache_info",
    "BridgedFunction.cache_clear",
    "BridgedFunction.find",
    "BridgedFunction.run",
    "BridgedFunction.pin",
    "BridgedFunction.plans",
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_docstrings(name):
    doc = inspect.getdoc(PUBLIC[name])
    assert doc and doc[0].isupper()
    if name not in SHORT:
        assert "Example:" in doc


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_doctests(file):
    name = "torch_bridge" + ("" if file.stem == "__init__" else f".{file.stem}")
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_there_are_doctests():
    finder = doctest.DocTestFinder()
    modules = [importlib.import_module(f"torch_bridge.{f.stem}") for f in FILES if f.stem[1] != "_"]
    assert sum(bool(t.examples) for m in modules for t in finder.find(m)) >= 9


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_size_and_imports(file):
    text = file.read_text()
    assert len(text.splitlines()) <= 420
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.end_lineno - node.body[0].lineno
            docstring = ast.get_docstring(node)
            assert body - len((docstring or "").splitlines()) <= 60, node.name
        names = [a.name for a in getattr(node, "names", [])] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module]
        allowed = {"jax", "torch", "numpy", "ml_dtypes", "torch_bridge"}
        if file.stem == "_module":
            allowed |= {"flax"}
        for name in names:
            root = name.partition(".")[0]
            assert root in allowed or root in sys.stdlib_module_names, name
