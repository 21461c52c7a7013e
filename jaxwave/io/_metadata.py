"""Voxel sizes in the dialects of TIFF: OME-XML, ImageJ, BoundingBox, plain resolution tags."""

import dataclasses
import math
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

_UNITS = {"pm": 1e-6, "Å": 1e-4, "nm": 1e-3, "µm": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6}
_UNITS |= {"μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0}
_UNITS |= {"millimeter": 1e3, "nanometer": 1e-3, "inch": 25400.0, "in": 25400.0}
_RESOLUTION_UNITS = {2: 25400.0, 3: 1e4}
_XML_LIMIT = 16_000_000


@dataclasses.dataclass(frozen=True)
class Length:
    """A length that a file states [µm], and the place where it does."""

    value: float
    source: str


def unit_factor(name: str) -> float | None:
    """Micrometers in a unit that files name, or None if nobody knows it."""
    return _UNITS.get(name)


def is_ome(description: str) -> bool:
    """Tells whether an image description is OME-XML."""
    return description.rstrip().endswith("OME>")


def check_xml(where: str, name: str, description: str) -> None:
    """Requires that XML in an image description is small and brings no entities of its own."""
    if not is_ome(description):
        return
    if len(description) > _XML_LIMIT:
        raise ValueError(
            f"{where}: the OME-XML of {name!r} has {len(description) / 1e6:.0f} MB, more than the "
            f"limit of {_XML_LIMIT / 1e6:.0f} MB. Save the stack again as a plain TIFF."
        )
    if re.search(r"<!(DOCTYPE|ENTITY)", description, re.IGNORECASE):
        raise ValueError(
            f"{where}: the OME-XML of {name!r} declares a DOCTYPE or entities, which OME files "
            "do not need and attackers do; it is not read. Save the stack again as a plain TIFF."
        )
    try:
        root = ElementTree.fromstring(description)
    except ElementTree.ParseError as error:
        raise ValueError(
            f"{where}: the OME-XML of {name!r} is not well-formed ({error}). Save the stack "
            "again as a plain TIFF."
        ) from None
    files = {e.get("FileName") for e in _elements(root, "UUID")} - {None}
    if len(files) > 1:
        raise ValueError(
            f"{where}: {name!r} is one of {len(files)} files of an OME set, and the planes in "
            "the others would be read as zeros. Merge the set into one file."
        )


def _elements(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [e for e in root.iter() if e.tag.rsplit("}", 1)[-1] == name]


def ome_planes(description: str) -> int:
    """Number of planes that OME-XML declares, over all its images."""
    pixels = _elements(ElementTree.fromstring(description), "Pixels")
    sizes = ([int(p.get(f"Size{axis}", "1")) for axis in "ZCT"] for p in pixels)
    return sum(math.prod(size) for size in sizes)


def _ome(description: str) -> dict[str, Length]:
    pixels = _elements(ElementTree.fromstring(description), "Pixels")
    found: dict[str, Length] = {}
    for axis in "ZYX" if pixels else "":
        name = f"PhysicalSize{axis}"
        unit = _UNITS.get(pixels[0].get(f"{name}Unit", "µm"))
        text = pixels[0].get(name)
        if text and unit:
            found[f"d{axis.lower()}"] = Length(float(text) * unit, f"OME {name}")
    return found


def _imagej(description: str, tags: dict[str, Any]) -> dict[str, Length]:
    pairs = dict(line.split("=", 1) for line in description.splitlines() if "=" in line)
    name = pairs.get("unit", "").encode().decode("unicode_escape", "replace")
    name = "µm" if name.startswith(("\\u00B5", "Âµ")) else name
    unit = _UNITS.get(name)
    found: dict[str, Length] = {}
    if unit and "spacing" in pairs:
        found["dz"] = Length(float(pairs["spacing"]) * unit, "ImageJ spacing")
    for axis in "yx" if unit else "":
        found |= _resolution(tags, axis, unit or 1.0, "ImageJ resolution")
    return found


def _resolution(tags: dict[str, Any], axis: str, unit: float, source: str) -> dict[str, Length]:
    numerator, denominator = tags.get(f"{axis.upper()}Resolution", (0, 0))
    if not numerator or not denominator or numerator == denominator:
        return {}  # 1/1 is what writers put in when they do not know
    return {f"d{axis}": Length(unit * denominator / numerator, source)}


def _bounding_box(description: str, planes: dict[str, int]) -> dict[str, Length]:
    match = re.match(r"BoundingBox((?:\s+[-+.\deE]+){6})\s*$", description)
    if match is None:
        return {}
    edges = [float(text) for text in match.group(1).split()]
    depth = math.prod(n for letter, n in planes.items() if letter not in "YX")
    counts = (planes.get("X", 1), planes.get("Y", 1), depth)
    # The box runs from the middle of the first sample to that of the last one (Amira's rule).
    return {
        name: Length((edges[2 * k + 1] - edges[2 * k]) / (counts[k] - 1), "BoundingBox")
        for k, name in enumerate(("dx", "dy", "dz"))
        if counts[k] > 1
    }


def lengths(description: str, tags: dict[str, Any], planes: dict[str, int]) -> dict[str, Length]:
    """Voxel size as far as a TIFF file states it: ``dz``, ``dy``, ``dx``."""
    found: dict[str, Length] = {}
    try:
        if is_ome(description):
            found = _ome(description)
        elif description.startswith("ImageJ="):
            found = _imagej(description, tags)
        else:
            found = _bounding_box(description, planes)
    except (ValueError, UnicodeError):
        found = {}
    unit = _RESOLUTION_UNITS.get(int(tags.get("ResolutionUnit", 1)))
    for axis in "yx" if unit else "":
        found = _resolution(tags, axis, unit or 1.0, "TIFF resolution") | found
    return {k: v for k, v in found.items() if math.isfinite(v.value) and v.value != 0}
