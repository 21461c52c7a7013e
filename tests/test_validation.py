"""docs/VALIDATION.md: complete, and as right as it says."""

import fnmatch
import re

import jax
import pytest
import validation
from write_validation import PATH

import jaxwave as jw
from jaxwave import cameras, heights, lightfield, mosaic, psf, scenes, special

ROWS = validation.rows()
NUMBER = r"\d(?:\.\d+)?e[+-]\d+"
FIX = "run python tests/write_validation.py"

# Public functions without a row; * is a wildcard.
NO_PHYSICS = {
    "scalar_field", "vector_field", "tune_cpu", "fast_len", "coordinates", "frequencies", "stack",
    "pad", "crop", "flip", "normalize", "zernike_[imn]*", "propagation_sampling",
    "sweep", "memory", "save_program", "load_program", "cameras.check_split",
}  # fmt: skip


# Nouns whose methods compute.
NOUNS = {"cameras.Lens", "lightfield.Projector", "lightfield.LightFieldMicroscope"}


def functions() -> set[str]:
    found = {n for n in jw.__all__ if callable(getattr(jw, n)) and n[0].islower()} | NOUNS
    for space in (cameras, heights, lightfield, mosaic, psf, scenes, special):
        prefix = space.__name__.removeprefix("jaxwave.") + "."
        found |= {prefix + n for n in space.__all__ if n[0].islower()}
    return found


def test_every_function_has_a_row():
    named = [name for r in ROWS for name in r.names]
    assert len(named) == len({*named}), "a function has two rows; put them into one"
    assert not (unknown := {*named} - functions()), f"no public functions: {unknown}"
    for name in functions() - {*named}:
        assert any(fnmatch.fnmatch(name, p) for p in NO_PHYSICS), (
            f"{name} has no row in tests/validation"
        )
    for pattern in NO_PHYSICS:
        left = [n for n in functions() - {*named} if fnmatch.fnmatch(n, pattern)]
        assert left, f"{pattern} has its rows; take it out of the list"


def test_the_file_has_the_rows():
    text = PATH.read_text(encoding="utf-8")
    need = validation.HEAD + "\n".join(validation.line(r, "#", "#") for r in ROWS) + "\n"
    got = re.sub(rf"\| {NUMBER} \| {NUMBER} \|", "| # | # |", text)
    assert got == need, f"docs/VALIDATION.md is not that of the rows; {FIX}"


@pytest.mark.slow
@pytest.mark.parametrize("r", ROWS, ids=lambda r: r.names[0])
def test_errors_are_those_of_the_file(r):
    text = PATH.read_text(encoding="utf-8")
    line = re.escape(validation.line(r, "#", "#")).replace(r"\#", f"({NUMBER})")
    recorded = [float(v) for v in re.search(line, text).groups()]
    errors = [r.error()]
    with jax.enable_x64(True):
        errors.append(r.error())
    for error, most, floor in zip(errors, recorded, (1e-7, 3e-16), strict=True):
        assert error < 4 * max(most, floor), f"{r.names}: {error:.1e}, recorded {most:.0e}; {FIX}"
