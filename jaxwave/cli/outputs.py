"""What a command may write: never a file that it reads, never one that it did not make."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from jaxwave.cli.settings import MARK, UsageError

JOB, TABLE = "job.toml", "beads.csv"
_LOCK = "run.lock"
_RESULTS = (TABLE, "calibration.npz", "calibration.png", "psf.ome.tif", "report.html")
_RESULTS += ("mean.npz", "result.json", "zernikes.csv")


# How the table of a batch begins.
_HEADER = "bead,file,z,y,x,snr,status,"


def is_ours(folder: Path) -> bool:
    """Tells whether a calibration has written into the folder: its settings, or its table."""
    return is_our_job(folder / JOB) or has_table(folder)


def has_table(folder: Path) -> bool:
    """Tells whether a folder holds the table of a calibration."""
    return _begins(folder / TABLE, _HEADER)


def is_our_job(path: Path) -> bool:
    """Tells whether a file of settings was written by a calibration, not by a user."""
    return _begins(path, MARK)


def is_our_picture(path: Path) -> bool:
    """Tells whether a PNG file says that it was drawn here."""
    try:
        with path.open("rb") as stream:
            return b"Software\0jaxwave" in stream.read(1000)
    except OSError:
        return False


def _begins(path: Path, text: str) -> bool:
    try:
        with path.open(encoding="utf-8") as stream:
            return stream.readline().startswith(text)
    except (OSError, UnicodeDecodeError):
        return False


def is_result_of_a_bead(folder: Path) -> bool:
    """Tells whether a folder holds a bead that was calibrated here."""
    try:
        return '"versions"' in (folder / "result.json").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def same(one: str | os.PathLike, other: str | os.PathLike) -> bool:
    """Tells whether two names mean one file, through links too."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def spare(path: str | os.PathLike, inputs: Iterable[str | os.PathLike], fix: str) -> None:
    """Requires that an output is none of the files that are read."""
    for source in inputs:
        inside = Path(os.path.realpath(source)) in Path(os.path.realpath(path)).parents
        if same(path, source) or (inside and Path(source).is_dir()):
            raise UsageError(f"{str(path)!r} would replace {str(source)!r}, which is read. {fix}")


def claim(
    folder: Path,
    places: Iterable[Path],
    inputs: Iterable[str],
    *,
    force: bool,
    own: bool = False,
    fix: str = "Choose another folder with -o. (--force replaces it.)",
) -> None:
    """Requires that results may be written to the places, which lie in one result folder.

    Args:
        folder: The result folder.
        places: The folders that results go to.
        inputs: Files that are read.
        force: True lets foreign files be replaced, inputs never.
        own: True where the settings are read from the folder's own file, which stays as it is.
        fix: What to do about a foreign file.
    """
    inputs = list(inputs)
    ours = is_ours(folder)
    for place in places:
        for name in (_LOCK, *_RESULTS) if own else (JOB, _LOCK, *_RESULTS):
            path = place / name
            if not path.exists():
                continue
            spare(path, inputs, "Choose another folder with -o.")
            known = ours and (place == folder or is_result_of_a_bead(place))
            known = is_our_job(path) if name == JOB else known
            if not known and not force and not _may_stay(path, ours):
                raise UsageError(
                    f"{str(path)!r} is there already and was not written by this calibration. {fix}"
                )


def _may_stay(path: Path, ours: bool) -> bool:
    """A lock of an earlier run, or what a killed run left in a folder of a bead."""
    if path.name == _LOCK:
        return path.stat().st_size == 0 or path.read_bytes().startswith(b"process ")
    return ours and path.name not in (JOB, "result.json")
