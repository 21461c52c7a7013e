"""What the bridge's README promises: every snippet runs, in order, and the install line is true."""

import pathlib
import re
import tomllib
import warnings

import pytest
import torch

import torch_bridge

FOLDER = pathlib.Path(torch_bridge.__file__).parent
TEXT = (FOLDER / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_snippets_run():
    pytest.importorskip("flax")
    torch._dynamo.reset()
    names: dict = {}
    snippets = [code for language, code in BLOCKS if language == "python"]
    assert len(snippets) >= 4
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, of its compiler
        for code in snippets:
            exec(compile(code, "README.md", "exec"), names)
    u = names["u"].detach()
    # Parseval: the power of the transform is 64^2 times that of the field.
    torch.testing.assert_close(names["u"].grad, 2 * 64**2 * u, rtol=1e-4, atol=1e-2)
    assert names["total"](torch.ones(2, 3), 1).tolist() == [3, 3]
    value, gradient = names["loss"](names["target"])
    assert value.shape == () and gradient.shape == (1, 8, 8)


def test_install_line():
    (line,) = [code.strip() for language, code in BLOCKS if not language]
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text())
    assert line == f'pip install "{project["project"]["name"]}[torch]"'
    (needed,) = project["project"]["optional-dependencies"]["torch"]
    assert needed.removeprefix("torch>=") in TEXT.split("Supported are torch ")[1][:10]
    assert "README.md" in project["tool"]["setuptools"]["package-data"]["torch_bridge"]
