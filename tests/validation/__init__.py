"""How right every public function is: one row for each, against something independent.

A row is a function in one of this folder's files that returns what jaxwave computes and what it
should be, ``(got, need)``; the decorator :func:`row` names the functions that it validates, the
reference and the range of validity. ``python tests/write_validation.py`` runs all rows in float32
and in float64 and writes docs/VALIDATION.md; tests/test_validation.py watches over both.

Numbers in rows have few binary digits (0.5, 0.375), so that the error in float32 is that of the
arithmetic and not of the inputs.
"""

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np

ROWS: list["Row"] = []


@dataclasses.dataclass(frozen=True)
class Row:
    names: tuple[str, ...]
    reference: str
    valid: str
    check: Callable[[], tuple[Any, Any]]

    def error(self) -> float:
        """Relative error ||got - need|| / ||need|| in JAX's present precision."""
        got, need = (np.asarray(a, np.complex128) for a in self.check())
        assert got.shape == need.shape, (self.names, got.shape, need.shape)
        return float(np.linalg.norm(got - need) / np.linalg.norm(need))


def row(*names: str, reference: str, valid: str) -> Callable:
    """Registers a function as the validation of public names such as ``"psf.vortex"``."""

    def register(check: Callable[[], tuple[Any, Any]]) -> Callable:
        ROWS.append(Row(names, reference, valid, check))
        return check

    return register


def rows() -> list[Row]:
    """The rows of all files of this folder, in the order of their names."""
    for found in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{found.name}")
    return sorted(ROWS, key=lambda r: r.names)


HEAD = """# Validation

How right every function is, against something that was not computed with jaxwave: a closed form,
a sum in float64, a conservation law. The error is ||got - need|| / ||need||; what it is in float64
shows the method, what it is in float32 the arithmetic. Where both are equal, the sampling or a
truncation decides, and the range of validity says which.

Made by `python tests/write_validation.py`; the rows are in `tests/validation/`.

| function | reference | valid for | float32 | float64 |
| --- | --- | --- | --- | --- |
"""


def line(r: Row, single: str, double: str) -> str:
    names = ", ".join(f"`{name}`" for name in r.names)
    return f"| {names} | {r.reference} | {r.valid} | {single} | {double} |"
