"""OME-XML: the images that a file declares, their planes and their voxel sizes."""

from __future__ import annotations

import dataclasses
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import numpy as np

from jaxwave.io import _lengths

Plane = tuple[int, int, int]  # t, c, z
Place = tuple[str, str, int]  # another file and its UUID, or "" and "" for the file itself; page
_XML_LIMIT = 16_000_000
_MOST_PLANES = 1_000_000  # of all images together
_TOLERANCE = 0.05  # of a step, between the planes' positions and the declared size


@dataclasses.dataclass(frozen=True)
class Image:
    """One image of the XML: its sizes, and where each plane lies."""

    name: str
    sizes: tuple[int, int, int, int, int]  # t, c, z, y, x
    planes: dict[Plane, Place]
    lengths: dict[str, _lengths.Length]
    notes: tuple[str, ...]
    order: str = "TCZYX"  # of the axes as they are stored, the slowest first

    def __str__(self) -> str:
        sizes = zip("TCZYX", self.sizes, strict=True)
        return f"{self.name}, " + " ".join(f"{k} {n}" for k, n in sizes if n > 1)

    @property
    def count(self) -> int:
        """Number of planes."""
        return math.prod(self.sizes[:3])


def is_ome(description: str) -> bool:
    """Tells whether an image description is OME-XML."""
    return description.rstrip().rstrip("\0").endswith("OME>")


def parse(where: str, name: str, text: str, pages: int) -> list[Image]:
    """Reads the XML of a file of ``pages`` pages; images without pixels are left out."""
    root = _root(where, name, text)
    own = {root.get("UUID"), ""}
    try:
        images: list[Image] = []
        left = _MOST_PLANES
        for image in _children(root, "Image"):
            for pixels in _children(image, "Pixels"):
                if pixels.get("SizeX") and pixels.get("SizeY"):
                    images.append(_image(image, pixels, own, name, pages, left))
                    left -= len(images[-1].planes)
        return images
    except (ValueError, TypeError, OverflowError, KeyError) as error:
        raise ValueError(
            f"{where}: the OME-XML of {name!r} contradicts itself ({error}). Save the stack "
            "again as a plain TIFF."
        ) from None


def _root(where: str, name: str, text: str) -> ElementTree.Element:
    """The document, if it is small, well-formed and brings no entities of its own."""
    if len(text) > _XML_LIMIT:
        raise ValueError(
            f"{where}: the OME-XML of {name!r} has {len(text) / 1e6:.0f} MB, more than the "
            f"limit of {_XML_LIMIT / 1e6:.0f} MB. Save the stack again as a plain TIFF."
        )
    if re.search(r"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise ValueError(
            f"{where}: the OME-XML of {name!r} declares a DOCTYPE or entities, which OME files "
            "do not need and attackers do; it is not read. Save the stack again as a plain TIFF."
        )
    try:
        return ElementTree.fromstring(text.rstrip("\0 \n"))
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(
            f"{where}: the OME-XML of {name!r} is not well-formed ({error}). Save the stack "
            "again as a plain TIFF."
        ) from None


def _children(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (e for e in element if e.tag.rsplit("}", 1)[-1] == name)


def _image(
    image: ElementTree.Element,
    pixels: ElementTree.Element,
    own: set[str | None],
    name: str,
    pages: int,
    most: int,
) -> Image:
    samples = [int(c.get("SamplesPerPixel", "1")) for c in _children(pixels, "Channel")]
    t, c, z, y, x = (int(pixels.get(f"Size{axis}", "1")) for axis in "TCZYX")
    c = max(c // max(samples, default=1), 1)
    if min(t, c, z, y, x) < 1 or t * c * z > _MOST_PLANES:
        raise ValueError(f"its sizes are T {t}, C {c}, Z {z}, Y {y}, X {x}")
    order = pixels.get("DimensionOrder", "XYZCT")
    if sorted(order) != sorted("XYZCT") or order[:2] != "XY":
        raise ValueError(f"its order of dimensions is {order!r}")
    planes = _planes(pixels, order, {"T": t, "C": c, "Z": z}, own, name, pages, most)
    lengths, notes = _sizes(pixels, z)
    label = image.get("Name") or image.get("ID") or "image"
    return Image(label, (t, c, z, y, x), planes, lengths, notes, order[::-1])


def _planes(
    pixels: ElementTree.Element,
    order: str,
    sizes: dict[str, int],
    own: set[str | None],
    name: str,
    pages: int,
    most: int,
) -> dict[Plane, Place]:
    """Which page of which file holds each plane; without TiffData, page after page.

    Planes are numbered in the order of the file, k = sum of index * stride; what is declared and
    not there costs nothing.
    """
    fastest, middle, slowest = order[2], order[3], order[4]
    strides = {axis: 1 for axis in sizes}
    strides[middle] = sizes[fastest]
    strides[slowest] = sizes[fastest] * sizes[middle]
    total = math.prod(sizes.values())
    blocks = list(_children(pixels, "TiffData"))
    found: dict[Plane, Place] = {}
    for block in blocks or [ElementTree.Element("TiffData")]:
        first = {a: int(block.get(f"First{a}", "0")) for a in "TCZ"}
        page = int(block.get("IFD", "0"))
        count = int(
            block.get("PlaneCount", block.get("NumPlanes", 1 if "IFD" in block.attrib else 0))
        )
        inside = all(0 <= first[a] < sizes[a] for a in "TCZ")
        if not inside or page < 0 or count < 0:
            raise ValueError(f"a block of planes begins at T, C, Z = {tuple(first.values())}")
        file, uuid = next((_file(e, own, name) for e in _children(block, "UUID")), ("", ""))
        start = sum(first[a] * strides[a] for a in "TCZ")
        count = min(count or max(pages - page, 0), total - start)
        most -= count
        if most < 0:
            raise ValueError(f"its blocks name more than {_MOST_PLANES} planes")
        for k in range(count):
            t, c, z = ((start + k) // strides[a] % sizes[a] for a in "TCZ")
            found[t, c, z] = (file, uuid, page + k)
    return found


def _file(uuid: ElementTree.Element, own: set[str | None], name: str) -> tuple[str, str]:
    """The other file that a block names, and its UUID; "" for the file itself."""
    other, text = uuid.get("FileName", ""), (uuid.text or "").strip()
    if text in own - {None, ""} or not other or (None in own and other == name):
        return "", ""
    return other, text


def identity(where: str, name: str, text: str) -> tuple[str, str]:
    """The UUID of a file, and the name of the companion that describes it, where it has one."""
    root = _root(where, name, text)
    only = next(_children(root, "BinaryOnly"), None)
    if only is None:
        return root.get("UUID", ""), ""
    return only.get("UUID", root.get("UUID", "")), only.get("MetadataFile", "")


def _sizes(
    pixels: ElementTree.Element, count: int
) -> tuple[dict[str, _lengths.Length], tuple[str, ...]]:
    """Voxel size; positions of the planes that say something else make it unusable."""
    found: dict[str, _lengths.Length] = {}
    numbers: dict[str, float] = {}
    for axis in "ZYX":
        text = pixels.get(f"PhysicalSize{axis}")
        if text is None:
            continue
        unit = pixels.get(f"PhysicalSize{axis}Unit", "µm")
        one = _lengths.stated(text, unit, f"OME PhysicalSize{axis}")
        found[f"d{axis.lower()}"] = one
        numbers[f"d{axis.lower()}"] = math.nan if one.problem else float(text)
    found = _lengths.without_defaults(found, numbers)
    step = _step(pixels, count)
    declared = found.get("dz")
    if step is None:
        return found, ()
    if declared is None or declared.problem:
        return {**found, "dz": step.length if declared is None or step.sure else declared}, ()
    problem = step.against(declared.value)
    if not problem:
        return found, ()
    if not step.sure:  # in no unit: many writers mean micrometers, and some count something else
        return found, (f"the file states PhysicalSizeZ, which is used; {problem}",)
    problem = f"contradicts itself: PhysicalSizeZ is {declared.value:.4g} µm, and {problem}"
    return {**found, "dz": _lengths.Length(math.nan, declared.source, problem)}, (problem,)


@dataclasses.dataclass(frozen=True)
class _Step:
    """Distance of the planes by their positions, in a unit that may be no length."""

    size: float
    uneven: float  # largest departure from it, 0 where the planes lie evenly
    unit: str | None  # of a file whose positions are no lengths

    @property
    def sure(self) -> bool:
        """Tells whether the positions are lengths."""
        return self.unit is None

    @property
    def _words(self) -> str:
        unit = "µm" if self.sure else f"in the unit {self.unit!r}" if self.unit else "in no unit"
        even = f"{abs(self.size):.4g} {unit} apart"
        return f"at uneven distances, {self.uneven:.3g} {unit} off" if self.uneven else even

    @property
    def length(self) -> _lengths.Length:
        """The distance as a length, or why it is none."""
        source = "OME PositionZ"
        if self.sure and not self.uneven:
            return _lengths.Length(self.size, source)
        return _lengths.Length(math.nan, source, f"states planes {self._words} ({source})")

    def against(self, declared: float) -> str:
        """What contradicts a declared distance; empty where both agree."""
        close = abs(abs(declared) - abs(self.size)) <= _TOLERANCE * abs(declared)
        return "" if close and not self.uneven else f"its planes lie {self._words} (OME PositionZ)"


def _step(pixels: ElementTree.Element, count: int) -> _Step | None:
    """How far apart the planes are by their positions, if all have one and they differ."""
    positions, units = {}, set()
    for plane in _children(pixels, "Plane"):
        text = plane.get("PositionZ")
        if text is None or plane.get("TheT", "0") != "0" or plane.get("TheC", "0") != "0":
            continue
        unit = plane.get("PositionZUnit", "")
        factor = _lengths.unit_factor(unit)
        units.add(unit if factor is None else None)
        try:
            positions[int(plane.get("TheZ", "0"))] = float(text) * (factor or 1.0)
        except ValueError:
            return None
    if len(positions) < 2 or len(positions) != count or len(units) > 1:
        return None
    height = np.array([positions[k] for k in sorted(positions)])
    step = float(height[-1] - height[0]) / (len(height) - 1)
    if not np.isfinite(height).all() or abs(step) < 1e-6:
        return None
    uneven = float(np.abs(np.diff(height) - step).max())
    return _Step(step, uneven if uneven > 0.5 * abs(step) else 0.0, units.pop())
