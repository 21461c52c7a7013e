"""What notebooks show: objects as escaped words, tables and pictures; bars."""

import pickle
import re
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

import jaxwave as jw
from jaxwave import _notebook

pytest.importorskip("flax")
pytest.importorskip("optax")

from jaxwave import calibration, elements

CELL = re.compile(r"<td[^>]*>(.*?)</td>")


def test_a_system_is_a_table_with_escaped_words():
    def odd(field):
        return field

    odd.__name__ = "<script>"
    bench = elements.System(light=elements.PlaneWave((8, 8), spacing=1, wavelength=0.5), odd=odd)
    shown = bench._repr_html_()
    assert "<script>" not in shown and "&lt;script&gt;" in shown
    assert CELL.findall(shown)[:2] == ["0", "light"] and "learned: nothing" in shown


def fitted():
    loss = calibration.least_squares(lambda model, data: (model["a"] - data) / 0.1)
    start, data = {"a": jnp.float32(0.0), "b": jnp.zeros(3)}, jnp.float32(2.0)
    return loss, data, calibration.calibrate(start, loss, data, steps=5)


def test_a_calibration_and_its_errors_show_themselves():
    pytest.importorskip("matplotlib")
    loss, data, found = fitted()
    shown = found._repr_html_()
    assert "<pre>Calibration(" in shown and "data:image/png;base64," in shown
    names = CELL.findall(shown)
    assert names[::2] == ["a", "b"] and names[3] == "array (3,)"
    errors = calibration.uncertainty(found.model, loss, data, learn=["a"], scale=1.0)
    assert CELL.findall(errors._repr_html_())[:2] == ["a", str(errors).split("= ")[1]]


def test_a_notebook_shows_what_a_plot_returns():
    """Matplotlib's own formatters know the figures of pyplot alone."""
    pytest.importorskip("matplotlib")
    figure = jw.gaussian_beam((16, 16), spacing=1, wavelength=0.5, waist=4).plot()
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert pickle.loads(pickle.dumps(figure))._repr_png_()


def test_errors_name_the_strongest_tie():
    values, sigma = np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.3])
    correlation = np.array([[1, 0.1, -0.9], [0.1, 1, 0.2], [-0.9, 0.2, 1]])
    covariance = correlation * np.outer(sigma, sigma)
    found = calibration.Uncertainty(
        ("a<b", "c", "d"), values, sigma, covariance, np.linalg.inv(covariance), ("µm",) * 3, 1.0
    )
    cells = CELL.findall(found._repr_html_())
    assert cells[2::3] == ["-0.90 with d", "+0.20 with d", "-0.90 with a&lt;b"]
    assert cells[:2] == ["a&lt;b", "1.00 ± 0.10 µm"]


def test_a_picture_is_left_out_without_matplotlib():
    def draw():
        raise ImportError("no matplotlib")

    assert _notebook.picture(draw, "a field") == ""


BAR = """
import sys, types, warnings
warnings.simplefilter("error")
if len(sys.argv) > 1:  # as in a notebook's kernel; ipywidgets is missing
    shell = types.SimpleNamespace(config={"IPKernelApp": 1})
    sys.modules["ipywidgets"] = None
    sys.modules["IPython"] = types.ModuleType("IPython")
    sys.modules["IPython"].get_ipython = lambda: shell
    sys.modules["IPython.display"] = types.ModuleType("IPython.display")
    sys.modules["IPython.display"].display = print
    sys.modules["IPython.core"] = sys.modules["IPython.core.getipython"] = types.ModuleType("x")
from jaxwave import _notebook
with _notebook.bar(total=2, unit=" settings") as bar:
    bar.update(2)
"""


@pytest.mark.parametrize("words", [[], ["notebook"]], ids=["terminal", "notebook"])
def test_bars_work_in_terminals_and_notebooks(words):
    pytest.importorskip("tqdm")
    run = subprocess.run([sys.executable, "-c", BAR, *words], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "2/2" in run.stderr and "settings/s" in run.stderr
