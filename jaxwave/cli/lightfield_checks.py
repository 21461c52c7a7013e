"""What can be said about the arguments of ``jaxwave lightfield`` before JAX is loaded."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable

from jaxwave.cli import checks, options
from jaxwave.cli.settings import Option, Settings, UsageError, gather

_FEWEST = 2.0  # pixels of a lenslet
_SMALLEST = 16  # pixels of an image with a lattice
_ENDINGS = (".ome.tiff", ".ome.tif", ".tiff", ".tif", ".zarr", ".npz", ".json")


def calibrate(arguments: argparse.Namespace) -> Settings:
    """Settings of a lattice that is to be found."""
    settings = _gathered(options.LATTICE, arguments)
    if not settings["out"].lower().endswith(".json"):
        raise UsageError(f"-o: the name must end in .json, got {settings['out']!r}.")
    if settings["pitch"] is not None and settings["camera_pitch"] is None:
        raise UsageError("--pitch tells the pixels of a lenslet only with --camera-pitch.")
    if settings["pitch"] is not None:
        _enough_pixels(settings)
    _outputs(settings, arguments.force, (".json", ".png"))
    return settings


def reconstruct(arguments: argparse.Namespace) -> Settings:
    """Settings of a volume that is to be found."""
    settings = _gathered(options.VOLUME, arguments)
    needed = ("na", "wavelength", "magnification", "pitch", "f", "z_min", "z_max", "dz")
    missing = [_flag(name) for name in needed if settings[name] is None]
    if missing:
        raise UsageError(
            f"{', '.join(missing)} must be given; jaxwave lightfield reconstruct --help has an "
            "example."
        )
    checks.optics(settings)
    for name in ("magnification", "f", "camera_distance", "dz", "memory"):
        _positive(settings, name)
    for name, least in (("steps", 1), ("pixels", 2), ("crop", _SMALLEST)):
        checks.at_least(settings, name, least)
    if not 0 <= settings["background"] < math.inf:
        raise UsageError(f"--background must be zero or more, got {settings['background']:g}.")
    low, high = settings["z_min"], settings["z_max"]
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise UsageError(
            f"--z-min must not be above --z-max, got {low:g} µm and {high:g} µm. Exchange them."
        )
    if settings["camera_pitch"] is not None:
        _enough_pixels(settings)
    checks.format_of("volume", settings["out"], flag="-o")
    _outputs(settings, arguments.force, ("", ".png", ".toml"))
    for name in ("lattice", "dark"):
        if settings[name] is not None:
            checks.exist([settings[name]])
    return settings


CHECKS: dict[str, Callable[[argparse.Namespace], Settings]] = {
    "lightfield calibrate": calibrate,
    "lightfield reconstruct": reconstruct,
}


def stem(path: str) -> str:
    """The name of a file without its ending: what its pictures are called after."""
    ending = next((e for e in _ENDINGS if path.lower().endswith(e)), "")
    return path[: len(path) - len(ending)]


def _gathered(table: tuple[Option, ...], arguments: argparse.Namespace) -> Settings:
    settings = gather(table, vars(arguments), arguments.config)
    images = settings["image"] or []
    if len(images) != 1:
        raise UsageError(f"one raw image is needed, got {len(images)}. Frames may lie in one file.")
    checks.exist(images)
    if settings["dark"] is not None:
        checks.exist([settings["dark"]])
    for name in ("pitch", "camera_pitch"):
        _positive(settings, name)
    checks.chosen(settings["select"])
    return settings


def _outputs(settings: Settings, force: bool, endings: tuple[str, ...]) -> None:
    out = settings["out"]
    free = [out if ending in ("", ".json") else stem(out) + ending for ending in endings]
    checks.free(free, force=force)
    if os.path.isdir(out) and not out.lower().endswith(".zarr"):
        raise UsageError(f"-o must name a file, and {out!r} is a folder.")


def _positive(settings: Settings, name: str) -> None:
    value = settings[name]
    if value is not None and not 0 < value < math.inf:
        raise UsageError(f"{_flag(name)} must be positive, got {value:g}.")


def _enough_pixels(settings: Settings) -> None:
    pixels = settings["pitch"] / settings["camera_pitch"]
    if pixels < _FEWEST:
        raise UsageError(
            f"--pitch {settings['pitch']:g} µm over --camera-pitch {settings['camera_pitch']:g} µm "
            f"is {pixels:.3g} pixels, and no lenslet of under two is seen. Check their units."
        )


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
