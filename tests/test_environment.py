"""The compiler computes right numbers here, and a release that does not is known by name."""

import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxwave
from jaxwave import _environment

ROOT = Path(__file__).parents[1]
ADVICE = (
    "This release of jaxlib computes wrong numbers: exclude it in pyproject.toml and add it to "
    "jaxwave/_environment.py."
)


def assert_close(got: jax.Array, right: np.ndarray) -> None:
    """float32 sums of three terms are right to 1e-6; the known bugs are off by 0.1 and more."""
    error = np.abs(np.asarray(got) - right).max() / np.abs(right).max()
    assert error < 1e-5, f"relative error {error:.2g}. {ADVICE}"


@pytest.mark.parametrize("shape", [(3, 181, 181), (3, 182, 182), (15, 256, 256)])
@pytest.mark.parametrize("captured", [True, False])
def test_weighted_sum_of_a_basis(shape, captured):
    """jaxlib 0.10.2 is off by 100 % from 2**15 pixels on (jax issue 39103)."""
    rng = np.random.default_rng(0)
    basis = rng.standard_normal(shape).astype(np.float32)
    c = rng.standard_normal(shape[0]).astype(np.float32)
    right = np.tensordot(c.astype(float), basis.astype(float), 1)
    array = jnp.asarray(basis)

    def total(c, basis):
        return jnp.sum(c[:, None, None] * basis, 0)

    got = jax.jit(lambda c: total(c, array))(c) if captured else jax.jit(total)(c, array)
    assert_close(got, right)


def test_sum_behind_a_vmapped_matrix_vector_product():
    """jaxlib 0.10.2 is off by 14 % from 2**15 rows on (jax issue 39103)."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((2**15 + 1, 3)).astype(np.float32)
    matrix = rng.standard_normal((3, 3)).astype(np.float32)
    right = ((rows.astype(float) @ matrix.T.astype(float)) ** 2).sum(1)
    assert_close(jax.jit(jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2)))(rows), right)


def test_weighted_sum_over_many_axes():
    """jaxlib 0.10.2 and 0.11.0 end the process here (jax issue 39257), so a child runs it."""
    program = (
        "import jax, jax.numpy as jnp\n"
        "a, b = jnp.ones((10, 4, 6)), jnp.ones((10, 4, 6, 9, 9, 9, 9, 9))\n"
        "s = (..., *[None] * 5)\n"
        "f = lambda a, b: jnp.log(jnp.maximum(jnp.sum(a[s] * b, 2), 1e-9))\n"
        "print(float(jax.jit(f)(a, b).max()))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, f"the process ended with {run.returncode}. {ADVICE}"
    assert np.isclose(float(run.stdout), np.log(6))


def test_excluded_releases_are_the_ones_that_are_warned_of():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (jax_pin,) = [d for d in project["dependencies"] if d.startswith("jax")]
    excluded = {part[2:] for part in jax_pin.split(",") if part.startswith("!=")}
    assert excluded == set(_environment.BAD_JAXLIB)


@pytest.mark.parametrize("version", _environment.BAD_JAXLIB)
def test_bad_release_warns(version, monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    with pytest.warns(jaxwave.JaxwaveWarning, match=f"jaxlib {version} .* on CPUs. Install"):
        _environment.check_jaxlib(version)


@pytest.mark.parametrize("case", ["good release", "cured by a flag", "no CPU", "CPU as well"])
def test_when_a_bad_release_warns(case, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", _environment.CURE if case == "cured by a flag" else "")
    platforms = {"no CPU": "cuda", "CPU as well": "cuda,cpu"}.get(case, "")
    monkeypatch.setattr(_environment.jax, "config", type("C", (), {"jax_platforms": platforms}))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _environment.check_jaxlib("0.12.0" if case == "good release" else "0.10.2")
    assert len(caught) == (case == "CPU as well")


def test_import_starts_no_backend():
    program = (
        "import jaxwave\n"
        "from jax._src import xla_bridge\n"
        "print(xla_bridge.backends_are_initialized())\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr
