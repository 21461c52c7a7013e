"""Reads TIFF files with tifffile, plane by plane where OME-XML says which page is which."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from jaxwave import _files
from jaxwave.io import _metadata, _ome, _optional, _pages
from jaxwave.io._raw import Raw, Request

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def require_tifffile(where: str) -> Any:
    """Imports tifffile or tells how to install it."""
    return _optional.require(where, "tifffile", "files", "TIFF files")


def read(ask: Request, path: Path) -> Raw:
    """Reads a TIFF file: the array, its axes as letters, and its voxel size as far as known.

    A writer may store three or four gray planes as the samples of a color; they are read if the
    user names the axes.
    """
    tifffile = require_tifffile(ask.where)
    where, trust = ask.where, ask.axes is not None
    trim = ask.missing == "trim"
    chain = _pages.walk(where, path)
    description = chain.pages[0].get("description", "") if chain.pages else ""
    images = []
    if _ome.is_ome(description):
        images = _ome.parse(where, path.name, description, len(chain.pages))
        if not images:
            _, companion = _ome.identity(where, path.name, description)
            if companion:
                raise ValueError(
                    f"{where}: {path.name!r} is one part of a set that {companion!r} describes. "
                    "Read that file."
                )
    pages = _pages.check(
        where,
        path,
        chain,
        ask.max_bytes,
        trust_axes=trust,
        ome=bool(images),
        trim=trim or bool(images),
    )
    try:
        shaped = None if _pages.is_shaped(description) else False
        with (
            _optional.quiet("tifffile"),
            tifffile.TiffFile(path, _multifile=False, is_shaped=shaped) as file,
        ):
            tags = {tag.name: tag.value for tag in file.pages[0].tags}
            if images:
                raw = _ome_stack(ask, path, images, {"": (file, pages)}, tifffile)
            else:
                raw = _plain_stack(ask, path, file, pages, tags)
    except (MemoryError, ImportError):
        raise
    except Exception as error:
        if str(error).startswith(where):
            raise
        if "imagecodecs" in str(error):
            _optional.require(where, "imagecodecs", "compressed", "TIFF files of this compression")
        raise ValueError(
            f"{where}: {path.name!r} cannot be read ({type(error).__name__}: {error}). Save it "
            "again as an uncompressed TIFF stack."
        ) from error
    return _with_resolution(raw, tags)


def _with_resolution(raw: Raw, tags: Mapping[str, Any]) -> Raw:
    """Adds what the resolution tags say about axes that nothing better is known of."""
    for axis, one in _metadata.resolution(dict(tags)).items():
        known = raw.lengths.get(axis)
        if known is None or (known.problem and not one.problem and not known.default):
            raw.lengths[axis] = one
    return raw


# -- without OME ---------------------------------------------------------------------------


def _plain_stack(
    ask: Request, path: Path, file: Any, pages: _pages.Pages, tags: dict[str, Any]
) -> Raw:
    sizes = {
        (_pages.number(p, "width", 0), _pages.number(p, "height", 0)) for p in pages.chain.pages
    }
    if len(sizes) > 1:
        listed = ", ".join(f"{width} x {height}" for width, height in sorted(sizes))
        raise ValueError(
            f"{ask.where}: {path.name!r} holds pages of several sizes ({listed} pixels), not one "
            "stack. Save the stack you want alone."
        )
    notes: list[str] = []
    if pages.readable < pages.promised or pages.chain.broken:
        array, axes = _before_the_gap(ask, path, file, pages)
        kept = math.prod(array.shape[: -file.pages[0].ndim])
        notes.append(f"{kept} of {pages.promised} planes are there (missing='trim')")
    else:
        array, axes = _scifio_axes(*_series(file), pages.description)
    planes = dict(zip(axes, array.shape, strict=True))
    calibrated = _metadata.calibration(pages.description)
    if calibrated is not None:
        offset, slope, unit = calibrated
        if (offset, slope) == (-32768, 1) and array.dtype == np.uint16:
            array = (array.astype(np.int32) - 32768).astype(np.int16)
            notes.append("ImageJ stores signed numbers as unsigned: 32768 is taken off again")
        else:
            line = "by a curve" if math.isnan(slope) else f"{offset:g} + {slope:g} v"
            line += f" ({unit})" if unit else ""
            notes.append(
                f"the file's calibration {line} is not applied: the values are those that the "
                "camera stored"
            )
    lengths = _metadata.lengths(pages.description, tags, planes)
    return Raw(array, axes, lengths, notes, _metadata.hints(pages.description))


def _series(file: Any) -> tuple[np.ndarray, str]:
    many = [s for s in file.series if math.prod(s.shape[:-2]) > 1]
    if len(many) > 1:
        shapes = ", ".join(str(tuple(s.shape)) for s in many)
        raise ValueError(f"it holds {len(many)} stacks of the shapes {shapes}, not one")
    series = many[0] if many else file.series[0]
    return np.asarray(series.asarray()), series.axes


def _before_the_gap(
    ask: Request, path: Path, file: Any, pages: _pages.Pages
) -> tuple[np.ndarray, str]:
    """The pages that are there, without those of an entry that lacks others.

    Pages run through channels and planes in the order that the description tells: of the slowest
    axis whole entries are kept, or a part of the first where there is no other.
    """
    letters, counts = _metadata.order_of_pages(pages.description) or ("Z", [pages.promised])
    if math.prod(counts) != pages.promised:
        listed = ", ".join(f"{k} {n}" for k, n in zip(letters, counts, strict=True))
        raise ValueError(
            f"{ask.where}: {path.name!r} lacks pages, and its description ({listed}) does not fit "
            f"its {pages.promised} planes, so that nobody knows which are there. Copy it again."
        )
    whole = list(counts)
    for k, count in enumerate(counts):
        whole[k] = pages.readable // math.prod(counts[k + 1 :])
        if whole[k]:
            whole[k] = min(whole[k], count)
            break
        whole[k] = 1
    planes = _first_planes(file, path, math.prod(whole))
    return planes.reshape(*whole, *planes.shape[1:]), letters + file.pages[0].axes


def _first_planes(file: Any, path: Path, count: int) -> np.ndarray:
    """The first planes, also where one page stands for many (stacks above 4 GB)."""
    page = file.pages[0]
    if count <= len(file.pages):
        return np.stack([file.pages[k].asarray() for k in range(count)])
    kind, size = page.dtype.newbyteorder(file.byteorder), count * page.size
    values = np.fromfile(path, kind, size, offset=page.dataoffsets[0])
    return values.astype(page.dtype, copy=False).reshape(count, *page.shape)


def _scifio_axes(array: np.ndarray, axes: str, description: str) -> tuple[np.ndarray, str]:
    """The axes as SCIFIO lists them, fastest first, where they fit the pages."""
    if not description.startswith("SCIFIO="):
        return array, axes
    names, shape = _metadata.scifio_axes(description)
    fits = len(names) == len(set(names)) and math.prod(shape) == array.size
    return (array.reshape(shape), names) if fits else (array, axes)


# -- OME -----------------------------------------------------------------------------------


def _ome_stack(
    ask: Request,
    path: Path,
    images: list[_ome.Image],
    files: dict[str, tuple[Any, _pages.Pages]],
    tifffile: ModuleType,
) -> Raw:
    """Assembles one image, page by page; what is not there is an error, never zeros."""
    image = ask.position(path.name, images, lambda i: i.count > 1, str)
    t, c, z, y, x = image.sizes
    times, channels = ask.entries("T", t), ask.entries("C", c)
    wanted = [(i, j, k) for i in times for j in channels for k in range(z)]
    others = {place[0] for place in image.planes.values()}
    if "" in files and others and "" not in others:
        raise ValueError(
            f"{ask.where}: {path.name!r} holds none of the planes that it declares; they are in "
            f"{', '.join(map(repr, sorted(others)[:3]))}. Read that file."
        )
    heights = z
    gaps = [key for key in wanted if not _is_there(image, key, files)]
    if gaps and all(image.planes.get(key, ("",))[0] == "" for key in gaps):
        heights = _whole_planes(ask, path, image, gaps, files[""][1] if "" in files else None)
        wanted = [key for key in wanted if key[2] < heights]
    itemsize = 4
    _files.fits(ask.where, path.name, float(len(wanted)) * y * x * itemsize, ask.max_bytes)
    with contextlib.ExitStack() as stack:
        first = _page(ask, path, image.planes[wanted[0]], files, tifffile, stack)
        if first.ndim == 2 and first.shape != (y, x):
            raise ValueError(
                f"{ask.where}: the OME-XML of {path.name!r} declares planes of {y} x {x} pixels, "
                f"its page has {first.shape[0]} x {first.shape[1]}. Save the stack again."
            )
        array = np.empty((len(wanted), *first.shape), first.dtype)
        for n, key in enumerate(wanted):
            plane = _page(ask, path, image.planes[key], files, tifffile, stack)
            if plane.shape != first.shape or plane.dtype != first.dtype:
                raise ValueError(
                    f"{ask.where}: the planes of {path.name!r} differ: {first.dtype} "
                    f"{first.shape} and {plane.dtype} {plane.shape}. Save the stack again."
                )
            array[n] = plane
    array = array.reshape(len(times), len(channels), heights, *first.shape)
    stack_axes = image.order[:3]
    array = array.transpose(*("TCZ".index(k) for k in stack_axes), *range(3, array.ndim))
    axes = stack_axes + "YX" + "S" * (first.ndim - 2)
    for letter, count in (("C", c), ("T", t)):  # axes that the file does not have
        if count == 1:
            array, axes = array.squeeze(axes.index(letter)), axes.replace(letter, "")
    notes = list(image.notes)
    if heights < z:
        notes.append(f"{heights} of {z} planes are there (missing='trim')")
    return Raw(array, axes, dict(image.lengths), notes=notes)


def _is_there(image: _ome.Image, key: _ome.Plane, files: dict[str, tuple[Any, Any]]) -> bool:
    place = image.planes.get(key)
    if place is None or (place[0] == "" and "" not in files):
        return False
    return place[0] != "" or place[2] < files[""][1].readable


def _whole_planes(
    ask: Request, path: Path, image: _ome.Image, gaps: list[_ome.Plane], pages: Any
) -> int:
    """How many planes every time and channel has, where the user lets the others go."""
    whole = min(key[2] for key in gaps)
    if ask.missing == "trim" and whole > 0:
        return whole
    size = _files.size_text(path.stat().st_size)
    there = (
        image.count - len(gaps) if pages is None else min(pages.readable, image.count - len(gaps))
    )
    plane = _files.size_text(pages.plane_bytes) if pages is not None else "unknown size"
    raise ValueError(
        f"{ask.where}: {path.name!r} declares {image.count} planes of {plane}, {there} readable in "
        f"a file of {size}: the file is truncated or its header is wrong. Copy it again from its "
        "source. If the acquisition was stopped, missing='trim' keeps the planes before the gap."
    )


def _page(
    ask: Request,
    path: Path,
    place: _ome.Place,
    files: dict[str, tuple[Any, _pages.Pages]],
    tifffile: ModuleType,
    stack: contextlib.ExitStack,
) -> np.ndarray:
    name, uuid, page = place
    if name not in files:
        files[name] = _open_part(ask, path, name, uuid, tifffile, stack)
    file, pages = files[name]
    if page >= pages.readable:
        raise ValueError(
            f"{ask.where}: {name or path.name!r} holds {pages.readable} planes, {page + 1} are "
            "needed: the file is truncated. Copy it again."
        )
    return np.asarray(file.pages[page].asarray())


def _open_part(
    ask: Request,
    path: Path,
    name: str,
    uuid: str,
    tifffile: ModuleType,
    stack: contextlib.ExitStack,
) -> tuple[Any, _pages.Pages]:
    """Opens another file of an OME set, if it lies beside the first and says who it is."""
    where, part = ask.where, path.parent / name
    if Path(name).name != name or name in (".", "..") or "\\" in name:
        raise ValueError(
            f"{where}: {path.name!r} takes planes from {name!r}, which does not lie beside it; it "
            "is not read. Put the files of the set into one folder."
        )
    if not part.is_file():
        raise ValueError(
            f"{where}: {path.name!r} takes planes from {name!r}, which is missing. Copy the whole "
            "set into one folder, or merge it into one file."
        )
    pages = _pages.check(
        where,
        part,
        _pages.walk(where, part),
        ask.max_bytes,
        trust_axes=ask.axes is not None,
        ome=True,
        trim=False,
    )
    own = ("", "")
    if _ome.is_ome(pages.description):
        own = _ome.identity(where, name, pages.description)
    if not uuid or own[0] != uuid:
        raise ValueError(
            f"{where}: {path.name!r} takes planes from {name!r}, but that is another file than the "
            "one of its set (the UUIDs differ). Copy the set again, or merge it into one file."
        )
    return stack.enter_context(tifffile.TiffFile(part, _multifile=False)), pages


def read_companion(ask: Request, path: Path) -> Raw:
    """Reads the set of TIFF files that a companion file describes."""
    tifffile = require_tifffile(ask.where)
    text = path.read_text(encoding="utf-8", errors="replace")
    images = _ome.parse(ask.where, path.name, text, 0)
    with _optional.quiet("tifffile"):
        return _ome_stack(ask, path, images, {}, tifffile)
