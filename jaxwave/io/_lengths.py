"""Lengths that files state: the number, its unit in the words of the file, and what it is worth."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

_PREFIXES = {"y": -24, "z": -21, "a": -18, "f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6}
_PREFIXES |= {"m": -3, "c": -2, "d": -1, "": 0, "da": 1, "h": 2, "k": 3, "M": 6, "G": 9, "T": 12}
_PREFIXES |= {"P": 15, "E": 18, "Z": 21, "Y": 24}
_WORDS = {"yocto": -24, "zepto": -21, "atto": -18, "femto": -15, "pico": -12, "nano": -9}
_WORDS |= {"micro": -6, "milli": -3, "centi": -2, "deci": -1, "": 0, "deca": 1, "hecto": 2}
_WORDS |= {"kilo": 3, "mega": 6, "giga": 9, "tera": 12, "peta": 15, "exa": 18, "zetta": 21}
_WORDS |= {"yotta": 24}
_INCH = 25400.0
_OTHERS = {
    "\u212b": 1e-4,
    "\u00c5": 1e-4,
    "A": 1e-4,
    "angstrom": 1e-4,
    "ångström": 1e-4,
    "ångstrom": 1e-4,
}
_OTHERS |= {"micron": 1.0, "thou": _INCH / 1000, "mil": _INCH / 1000, "li": _INCH / 12}
_OTHERS |= {"inch": _INCH, "inche": _INCH, "in": _INCH, '"': _INCH, "pt": _INCH / 72}
_OTHERS |= {"point": _INCH / 72, "ft": 12 * _INCH, "foot": 12 * _INCH, "feet": 12 * _INCH}
_OTHERS |= {"yd": 36 * _INCH, "yard": 36 * _INCH, "mi": 63360 * _INCH, "mile": 63360 * _INCH}
_PRINTED = 5.0  # µm: from 5080 dots per inch down, a resolution is that of a printer or screen


@dataclasses.dataclass(frozen=True)
class Length:
    """A length that a file states [µm] and the place where it does, or why it cannot be used."""

    value: float
    source: str
    problem: str = ""
    default: bool = False  # what a writer puts in where it does not know


def unit_factor(name: str) -> float | None:
    """Micrometers in a unit by its symbol or name, or None if nobody knows it."""
    name = re.sub(r"\\u00[bB]5", "µ", str(name)).strip().strip("\0").replace("Âµ", "µ")
    if name in _OTHERS:
        return _OTHERS[name]
    if name.endswith("m") and name[:-1] in _PREFIXES:
        return 10.0 ** (_PREFIXES[name[:-1]] + 6)
    word = name.lower().removesuffix("s").replace("metre", "meter")
    if word in _OTHERS:
        return _OTHERS[word]
    if word in ("um", "µm", "μm", "nm"):  # UM and NM are nothing else
        return 1e-3 if word == "nm" else 1.0
    if word.endswith("meter") and word.removesuffix("meter") in _WORDS:
        return 10.0 ** (_WORDS[word.removesuffix("meter")] + 6)
    return None


def stated(number: Any, unit: str, source: str) -> Length:
    """A number of a file with its unit; one that cannot be used says why."""
    text = f"{source} = {str(number)[:60]}"
    try:
        value = float(number)
    except (TypeError, ValueError):
        return Length(math.nan, source, f"states {text}, which is not a number")
    if not math.isfinite(value) or value == 0:
        return Length(math.nan, source, f"states {text}, which is no length")
    factor = unit_factor(unit)
    if factor is None:
        known = "no unit" if not str(unit).strip() else f"the unit {str(unit)[:40]!r}"
        return Length(math.nan, source, f"states {text} in {known}, which is no known length")
    return Length(value * factor, source)


_SPEAKS = re.compile(
    r"(?i)spacing|pixel|voxel|resol|step|calib|scal|transf|^d[xyz]$|um$|micro|size"
)


def hints(*holders: Mapping[str, Any]) -> list[str]:
    """What a file holds under names that speak of lengths, word for word, to be quoted."""
    found = []
    for key, value in (item for holder in holders for item in holder.items()):
        text = np.squeeze(value.decode("latin-1") if isinstance(value, bytes) else value)
        if _SPEAKS.search(str(key)) and text.dtype.kind in "fiuUS" and 0 < text.size <= 6:
            found.append(f"{str(key)[:40]} = {' '.join(str(text.tolist()).split())[:60]}")
    return found[:4]


def triple(holder: Mapping[str, Any], name: str, source: str = "") -> dict[str, Length]:
    """A voxel size (dz, dy, dx) [µm] that a file holds under a name, if it is three numbers."""
    size = np.asarray(holder.get(name, ()))
    if size.shape != (3,) or size.dtype.kind not in "fiu":
        return {}
    values = zip(("dz", "dy", "dx"), size.tolist(), strict=True)
    return {axis: stated(value, "µm", source or name) for axis, value in values}


def printed(length: Length) -> Length:
    """A resolution tag, unless it is that of a print or a screen."""
    if length.problem or abs(length.value) < _PRINTED:
        return length
    dots = _INCH / abs(length.value)
    problem = f"states a resolution of {dots:.4g} dots per inch ({length.source}), that of a print"
    return Length(math.nan, length.source, problem)


def without_defaults(found: dict[str, Length], numbers: dict[str, Any]) -> dict[str, Length]:
    """Takes away the ones that writers put in where they do not know the pixel.

    Args:
        found: Lengths by axis.
        numbers: The same as bare numbers of the file.
    """
    if not all(numbers.get(axis) == 1 for axis in ("dy", "dx")):
        return found
    doubtful = ("dz", "dy", "dx") if numbers.get("dz", 1) == 1 else ("dy", "dx")
    text = "states 1 for {}, which writers put in where they do not know it"
    return {
        axis: Length(math.nan, one.source, text.format(one.source), default=True)
        if axis in doubtful and not one.problem
        else one
        for axis, one in found.items()
    }
