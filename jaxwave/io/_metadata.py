"""Voxel sizes in the dialects of TIFF: ImageJ, SCIFIO, tifffile, BoundingBox, resolution tags."""

from __future__ import annotations

import contextlib
import json
import math
import re
from typing import Any

from jaxwave.io import _lengths
from jaxwave.io._lengths import Length, stated

# 4 and 5 stand in no standard; tifffile writes them.
_RESOLUTION_UNITS = {2: "inch", 3: "cm", 4: "mm", 5: "µm"}


_UNCALIBRATED = (20, 21)  # ImageJ's "none" and "uncalibrated optical density"


def pairs(description: str) -> dict[str, str]:
    """The lines ``key=value`` of ImageJ and SCIFIO."""
    return dict(line.split("=", 1) for line in description.splitlines() if "=" in line)


def _imagej(description: str, tags: dict[str, Any]) -> dict[str, Length]:
    keys = pairs(description)
    unit = keys.get("unit", "")
    found: dict[str, Length] = {}
    numbers: dict[str, Any] = {}
    if "spacing" in keys:
        found["dz"] = stated(keys["spacing"], keys.get("zunit", unit), "ImageJ spacing")
        with contextlib.suppress(ValueError):
            numbers["dz"] = float(keys["spacing"])
    for axis in "yx":
        own = keys.get(f"{axis}unit", unit)
        # ImageJ's own rule: resolutions per centimeter of an image in "um" are what they say.
        own = "cm" if own == "um" and int(tags.get("ResolutionUnit", 1)) == 3 else own
        one, numbers[f"d{axis}"] = _resolution(tags, axis, own, "ImageJ resolution")
        if one is not None:
            found[f"d{axis}"] = one
    return _lengths.without_defaults(found, numbers)


def _resolution(
    tags: dict[str, Any], axis: str, unit: str, source: str
) -> tuple[Length | None, float]:
    try:
        numerator, denominator = (float(v) for v in tags.get(f"{axis.upper()}Resolution", (0, 0)))
    except (TypeError, ValueError):
        return None, math.nan
    if not numerator or not denominator:
        return None, math.nan
    number = denominator / numerator
    if number == 1 and not unit:  # what writers put in when they do not know
        return None, number
    one = stated(number, unit, source)
    return (_lengths.printed(one) if unit in ("inch", "in", "cm") else one), number


def _scifio(description: str) -> dict[str, Length]:
    keys = pairs(description)
    lists = [keys.get(name, "").split(",") for name in ("axes", "scales", "units")]
    found, numbers = {}, {}
    for axis, scale, unit in zip(*lists, strict=False):
        name = f"d{axis.strip().lower()}"
        if name in ("dz", "dy", "dx") and unit not in ("null", ""):
            found[name] = stated(scale, unit, "SCIFIO scale")
            with contextlib.suppress(ValueError):
                numbers[name] = float(scale)
    return _lengths.without_defaults(found, numbers)


def scifio_axes(description: str) -> tuple[str, list[int]]:
    """Letters and lengths of all axes as SCIFIO lists them, the slowest first; none if unclear."""
    keys = pairs(description)
    names = [name.strip()[:1].upper() for name in keys.get("axes", "").split(",")][::-1]
    try:
        shape = [int(n) for n in keys.get("lengths", "").split(",")][::-1]
    except ValueError:
        return "", []
    return ("".join(names), shape) if len(names) == len(shape) and all(names) else ("", [])


def order_of_pages(description: str) -> tuple[str, list[int]] | None:
    """Axes through which the pages of a file run, the slowest first; None if it does not say."""
    if description.startswith("ImageJ="):
        keys = pairs(description)
        names = {"T": "frames", "Z": "slices", "C": "channels"}
        try:
            counts = {k: int(keys[name]) for k, name in names.items() if name in keys}
        except ValueError:
            return None
        return ("".join(counts), [*counts.values()]) if counts else None
    if description.startswith("SCIFIO="):
        letters, shape = scifio_axes(description)
    else:
        try:
            found = json.loads(description) if description.startswith("{") else {}
            shape = list(found["shape"])
            letters = str(found.get("axes", ""))
            if not letters and len(shape) > 3:  # nobody knows which is which
                letters = "QRPHVIE"[: len(shape) - 2] + "YX"
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
    if len(letters) != len(shape) or letters[-2:] != "YX":
        return None
    return letters[:-2], shape[:-2]


def _json(description: str, tags: dict[str, Any]) -> dict[str, Length]:
    """What tifffile writes: a JSON object with the shape and whatever the caller gave."""
    keys = json.loads(description)
    unit = str(keys.get("unit", ""))
    found: dict[str, Length] = {}
    if "spacing" in keys:
        found["dz"] = stated(keys["spacing"], unit, "tifffile spacing")
    for axis in "zyx":
        name = f"PhysicalSize{axis.upper()}"
        if name in keys:
            found[f"d{axis}"] = stated(
                keys[name], keys.get(f"{name}Unit", "µm"), f"tifffile {name}"
            )
    for axis in "yx" if unit and int(tags.get("ResolutionUnit", 1)) == 1 else "":
        one, _ = _resolution(tags, axis, unit, "tifffile resolution")
        if one is not None:
            found.setdefault(f"d{axis}", one)
    return found


def _bounding_box(description: str, planes: dict[str, int]) -> dict[str, Length]:
    match = re.match(r"BoundingBox((?:\s+[-+.\deE]+){6})\s*$", description)
    if match is None:
        return {}
    edges = [float(text) for text in match.group(1).split()]
    depth = math.prod(n for letter, n in planes.items() if letter not in "YX")
    counts = (planes.get("X", 1), planes.get("Y", 1), depth)
    # The box runs from the middle of the first sample to that of the last one (Amira's rule).
    return {
        name: stated((edges[2 * k + 1] - edges[2 * k]) / (counts[k] - 1), "µm", "BoundingBox")
        for k, name in enumerate(("dx", "dy", "dz"))
        if counts[k] > 1
    }


def lengths(description: str, tags: dict[str, Any], planes: dict[str, int]) -> dict[str, Length]:
    """Voxel size as far as a TIFF file states it: ``dz``, ``dy``, ``dx``; not that of OME."""
    found: dict[str, Length] = {}
    with contextlib.suppress(ValueError, TypeError, AttributeError, RecursionError):
        if description.startswith("SCIFIO="):
            found = _scifio(description)
        elif description.startswith("ImageJ="):
            found = _imagej(description, tags)
        elif description.startswith("{"):
            found = _json(description, tags)
        else:
            found = _bounding_box(description, planes)
    return found


def resolution(tags: dict[str, Any]) -> dict[str, Length]:
    """Pixel size by the resolution tags of plain TIFF."""
    found = {}
    with contextlib.suppress(ValueError, TypeError):
        unit = _RESOLUTION_UNITS.get(int(tags.get("ResolutionUnit", 1)), "")
        for axis in "yx" if unit else "":
            one, number = _resolution(tags, axis, unit, "TIFF resolution")
            if one is not None and number != 1:
                found[f"d{axis}"] = one
    return found


def hints(description: str) -> list[str]:
    """What a description says under names that speak of lengths, however it is written."""
    found: dict[str, Any] = dict(pairs(description))
    with contextlib.suppress(ValueError, RecursionError):
        keys = json.loads(description) if description.startswith("{") else {}
        found |= keys if isinstance(keys, dict) else {}
    named = {"spacing", "unit", "axes", "scales", "lengths", "min", "max", "shape"}
    found = {k.strip(): v for k, v in found.items() if k.strip() not in named}
    said = _lengths.hints(found)
    free = not said and not description.startswith(("ImageJ=", "SCIFIO=", "{", "<"))
    match = (
        re.search(
            r"(?i)[^\n]*\b(pixel|voxel|spacing|z.?step|resolution)\b[^\n]*\d[^\n]*",
            description[:4000],
        )
        if free
        else None
    )
    return [match.group().strip()[:80]] if match else said


def calibration(description: str) -> tuple[float, float, str] | None:
    """ImageJ's straight line from stored numbers to values: offset, slope, unit; None without.

    Another function than a straight line has NaN as its numbers.
    """
    keys = pairs(description) if description.startswith(("ImageJ=", "SCIFIO=")) else {}
    try:
        kind = int(keys.get("cf", "-1"))
        if kind not in (-1, 0, *_UNCALIBRATED):
            return math.nan, math.nan, keys.get("vunit", "")
        if kind != 0:
            return None
        offset, slope = float(keys.get("c0", "0")), float(keys.get("c1", "1"))
    except ValueError:
        return None
    return None if (offset, slope) == (0, 1) else (offset, slope, keys.get("vunit", ""))
