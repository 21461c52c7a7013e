"""How values are written for people: short, with a unit, and also while they are traced."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxwave import _check

# One unit for a name, throughout the library.
_UNITS = {
    name: unit
    for unit, names in {
        "µm": "spacing wavelength z f x y waist radius pitch pixel opd coefficients sigma focus "
        "coherence inner outer size vertices length flatness influence thickness "
        "t_s t_g t_i t_g_design t_i_design diameter width front back f1 f2 period correlation "
        "camera_pitch camera_distance centers astigmatism",
        "rad/µm": "kx ky kr",
        "rad": "phase table angle retardance tilt mirror_tilt",
        "e": "full_well read_noise",
        "s": "exposure",
        "pixels": "crosstalk",
    }.items()
    for name in names.split()
}


def unit_of(name: str) -> str:
    """The unit of an argument by its (last) name, "" for pure numbers and unknown names."""
    return _UNITS.get(name.rpartition(".")[2], "")


def number_text(value: object) -> str:
    """A number with the digits that its type holds: 0.532, not 0.5320000052452087."""
    value = np.asarray(value)[()]
    if np.iscomplexobj(value):
        return f"{number_text(value.real)}{'+' if value.imag >= 0 else '-'}" + (
            f"{number_text(abs(value.imag))}j"
        )
    return f"{value:.6g}"


def array_text(value: object, unit: str = "") -> str:
    """A scalar by its value, an array by shape, type and range."""
    tail = f" {unit}" if unit else ""
    shape, dtype = tuple(getattr(value, "shape", ())), getattr(value, "dtype", None)
    if dtype is None:
        return f"<{type(value).__name__}>"
    if not _check.is_concrete(value):
        return f"<traced {shape} {dtype}>{tail}" if shape else f"<traced>{tail}"
    array = np.asarray(value)
    if not shape:
        return number_text(array) + tail
    if array.size <= 4 and len(shape) == 1:
        return "[" + ", ".join(number_text(v) for v in array) + f"]{tail}"
    if not array.size:
        return f"{shape} {dtype}"
    values = np.abs(array) if np.iscomplexobj(array) else array
    name = "modulus " if np.iscomplexobj(array) else ""
    low, high = values.min(), values.max()
    span = number_text(low) if low == high else f"{number_text(low)} ... {number_text(high)}"
    return f"{shape} {dtype}, {name}{span}{tail}"


def static_text(value: object) -> str:
    """What is not a number: names, shapes, switches, functions."""
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    return repr(value)


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows as columns of equal width."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
