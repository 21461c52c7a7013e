"""Which files are meant, and what their beads are called."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path

from jaxwave.cli.settings import UsageError

# What the reader knows. An ending that is not here belongs to the name: poke_-0.0150.
_ENDINGS = ("tif", "tiff", "btf", "tf8", "lsm", "stk", "npy", "npz", "zarr", "h5", "hdf5", "ims")
_ENDINGS += ("mat", "nd2", "czi")
_ENDING = re.compile(rf"(\.ome)?\.({'|'.join(_ENDINGS)})(\.zip)?$|\.companion\.ome$", re.IGNORECASE)
_ZARR = ("zarr.json", ".zgroup", ".zarray")


def expand(paths: Iterable[str]) -> list[str]:
    """The files behind names, patterns such as ``day1/*.tif``, and folders."""
    found: list[str] = []
    for path in paths:
        found += _matching(path) if glob.has_magic(path) and not os.path.exists(path) else [path]
    listed: list[str] = []
    for path in found:
        listed += _inside(Path(path)) if _is_plain_folder(path) else [path]
    return list(dict.fromkeys(listed))


def _matching(pattern: str) -> list[str]:
    found = sorted(glob.glob(pattern, recursive=True))
    if not found:
        raise UsageError(f"no file matches {pattern!r}. Check the folder and the pattern.")
    return found


def _is_plain_folder(path: str) -> bool:
    return os.path.isdir(path) and not any(os.path.isfile(os.path.join(path, z)) for z in _ZARR)


def _inside(folder: Path) -> list[str]:
    """The stacks of a folder, by their endings; folders in it are not searched."""
    found = [
        str(path)
        for path in sorted(folder.iterdir())
        if _ENDING.search(path.name) and not path.name.startswith(".")
    ]
    if not found:
        listed = ", ".join(f".{ending}" for ending in _ENDINGS)
        raise UsageError(
            f"the folder {str(folder)!r} holds no stack (a file that ends in {listed}). Name the "
            "files, or a pattern such as 'folder/*/*.tif'."
        )
    return found


def stem(path: str) -> str:
    """A file's name without the ending of its format; dots inside it stay."""
    place = Path(path)
    name = _ENDING.sub("", place.name) or "stack"
    image = place.parent.name
    return f"{stem(image)}-{name}" if name.isdigit() and image.lower().endswith("zarr") else name


def stems(paths: list[str]) -> list[str]:
    """A name for every file; no two are equal, also where a disk ignores upper case."""
    plain = [stem(path) for path in paths]
    folded = [name.casefold() for name in plain]
    taken = {name for name in folded if folded.count(name) == 1}
    names = []
    for number, (name, key) in enumerate(zip(plain, folded, strict=True), 1):
        if folded.count(key) > 1:
            name = f"{name}-file{number}"
            while name.casefold() in taken:
                name += "-again"
        taken.add(name.casefold())
        names.append(name)
    return names
