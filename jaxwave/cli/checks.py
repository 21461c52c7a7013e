"""What can be said about the arguments before JAX is loaded, in the words of the command line."""

from __future__ import annotations

import argparse
import difflib
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxwave.cli import catalog, device, early, names, options, scan_checks, sweep_job
from jaxwave.cli.outputs import JOB, is_our_job, spare
from jaxwave.cli.settings import MASKS, Settings, UsageError, gather, inputs
from jaxwave.units import length

EXCHANGE = (".mat", ".h5", ".yaml")  # of SMAP and DECODE, uiPSF, picasso
FORMATS = {
    "psf": (".tif", ".tiff", ".zarr", ".npz", *EXCHANGE),
    "pupil": (".npz", ".csv", ".json", ".dat"),
    "coefficients": (".csv", ".json"),
    "slm": (".bmp", ".png", ".tif"),
    "volume": (".tif", ".tiff", ".zarr", ".npz"),
}
EXPORTS = ("psf", "pupil", "coefficients", "slm")
# Range of each length [µm]: microscopes have no others.
_RANGES = {
    "wavelength": (0.1, 20.0),
    "excitation": (0.1, 20.0),
    "pixel": (0.005, 50.0),
    "dz": (0.001, 1000.0),
}
_SMALLEST = 8  # pixels of a window
OUTPUTS = ("out", "save", "picture")  # files that jaxwave psf writes


def calibrate(arguments: argparse.Namespace) -> Settings:
    """Settings of a new calibration."""
    settings = gather(options.CALIBRATE, vars(arguments), arguments.config)
    settings.values["files"] = names.expand(settings["files"] or [])
    _complete(settings)
    return settings


def resume(arguments: argparse.Namespace) -> Settings:
    """Settings of a calibration that goes on."""
    folder = Path(arguments.folder)
    if not (folder / JOB).is_file():
        raise UsageError(
            f"{str(folder)!r} holds no {JOB}, so there is nothing to resume. Start with "
            "jaxwave calibrate."
        )
    settings = gather(options.CALIBRATE, {"out": str(folder)}, str(folder / JOB))
    if not is_our_job(folder / JOB):  # a user may have written patterns and folders
        settings.values["files"] = names.expand(settings["files"] or [])
    _complete(settings)
    return settings


def report(arguments: argparse.Namespace) -> Settings:
    """A report has no settings; its folder has to be there."""
    _folder(arguments.folder)
    return Settings({}, {})


def export(arguments: argparse.Namespace) -> Settings:
    """Settings of an export."""
    settings = gather(options.EXPORT, vars(arguments))
    if not any(settings[kind] for kind in EXPORTS):
        raise UsageError(
            "nothing to write: pass --psf, --pupil, --coefficients or --slm with a file."
        )
    for kind in EXPORTS:
        for name in settings[kind] or []:
            format_of(kind, name)
    for name in ("planes", "size"):
        at_least(settings, name, 1)
    for name in ("pixel", "dz"):
        _length(settings, name)
    chosen(settings["select"])
    device.check(settings)
    _folder(arguments.folder)
    written = [name for kind in EXPORTS for name in settings[kind] or []]
    written += [device.table_beside(name) for name in settings["slm"] or []]
    twice = next((name for k, name in enumerate(written) if name in written[:k]), None)
    if twice is not None:
        raise UsageError(f"{twice!r} would be written twice. Choose another name.")
    free(written, force=arguments.force)
    for name in ("like", "slm_table"):
        if settings[name] is not None:
            exist([settings[name]])
    return settings


def psf(arguments: argparse.Namespace) -> Settings:
    """Settings of a PSF from numbers, and the files that it is written to."""
    settings = microscope(vars(arguments), arguments.config)
    format_of("psf", settings["out"])
    written = [settings[name] for name in OUTPUTS if settings[name] is not None]
    for path in written:
        spare(path, inputs(options.PSF, settings.values), "Choose another name.")
    free(written, force=arguments.force)
    return settings


def microscope(given: Mapping[str, Any], config: str | None = None) -> Settings:
    """Settings of a PSF from what was given, as text or as values, wherever it will be shown."""
    settings = gather(options.PSF, given, config)
    catalog.complete(settings)
    needed = ("na", "wavelength", "pixel", "dz")
    missing = [f"--{name}" for name in needed if settings[name] is None]
    if missing:
        raise UsageError(f"{', '.join(missing)} must be given; jaxwave psf --help has an example.")
    optics(settings)
    for name in ("pixel", "dz"):
        _length(settings, name)
    at_least(settings, "planes", 1)
    pixels_of(settings)
    _sample(settings)
    _spot(settings)
    scan_checks.scan(settings)
    _length(settings, "excitation")
    _light(settings)
    if settings["mask"] is not None and mask(settings["mask"]) is None:
        exist([settings["mask"]], "--mask: ")
    return settings


def pixels_of(settings: Settings) -> int:
    """Width of a PSF in pixels, an odd number of them where it is given as a length."""
    pixels, size = width(settings["size"], 1)
    if size is not None:
        pixels = max(2 * round((size / settings["pixel"] - 1) / 2) + 1, 1)
    return int(pixels or 1)


def _spot(settings: Settings) -> None:
    for name in ("bead", "blur", "band", "t_s"):
        if not 0 <= settings[name] < math.inf:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} must be zero or more, got {settings[name]:g} µm.")
    for name in ("bead", "blur"):
        early.largest(name, settings[name])
    if settings["band"] >= settings["wavelength"]:
        raise UsageError(f"--band {settings['band']:g} µm is wider than the wavelength.")


def _light(settings: Settings) -> None:
    """Requires that what is said about the light goes with its kind and its model."""
    direction(settings["dipole"])
    polarization(settings["polarization"])
    filling = settings["filling"]
    if filling is not None and not 0 < filling < math.inf:
        raise UsageError(f"--filling must be positive, got {filling:g}.")
    given = [name for name in ("dipole", "polarization") if settings.origin(name) != "default"]
    wrong = {"emission": "polarization", "focus": "dipole"}[settings["kind"]]
    if settings["mode"] in scan_checks.SCANNING:
        wrong = "dipole"
    if wrong in given:
        other = "focus" if wrong == "polarization" else "emission"
        raise UsageError(f"--{wrong} goes with --kind {other}, not with {settings['kind']}.")
    if settings["model"] == "scalar" and given:
        raise UsageError(f"--{given[0]} needs --model vectorial: scalar light has no direction.")


def direction(text: str | None) -> tuple[complex, complex, complex] | None:
    """Direction (x, y, z) of a dipole."""
    if text is None:
        return None
    axes = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
    if text.strip().lower() in axes:
        return axes[text.strip().lower()]
    try:
        x, y, z = (float(word) for word in text.replace(",", " ").split())
    except ValueError:
        x = y = z = 0.0
    if not any((x, y, z)) or not all(map(math.isfinite, (x, y, z))):
        raise UsageError(f"--dipole must be x, y, z, or three numbers 'x,y,z', got {text!r}.")
    return x, y, z


def polarization(text: str) -> str | tuple[complex, complex]:
    """Jones vector (ex, ey), or the name of light that has another one in every direction."""
    word = text.strip().lower()
    if word in ("radial", "azimuthal"):
        return word
    known: dict[str, tuple[complex, complex]] = {
        "x": (1.0, 0.0), "y": (0.0, 1.0), "circular": (0.5**0.5, 1j * 0.5**0.5)
    }  # fmt: skip
    if word in known:
        return known[word]
    try:
        ex, ey = (complex(part.strip()) for part in text.split(","))
    except ValueError:
        ex = ey = 0j
    size = math.hypot(abs(ex), abs(ey))
    if not 0 < size < math.inf:
        raise UsageError(
            "--polarization must be x, y, circular, radial, azimuthal, or two numbers such as "
            f"'1,1j', got {text!r}."
        )
    return ex / size, ey / size


def mask(text: str) -> tuple[str, float | None] | None:
    """Name of a mask and its number; None for a file."""
    name, equal, value = text.partition("=")
    if name.strip().lower() not in MASKS:
        return None
    try:
        number = float(value) if equal else None
    except ValueError:
        number = math.nan
    if number is not None and not math.isfinite(number):
        raise UsageError(f"--mask: expected a number behind {name}=, got {value!r}.")
    name = name.strip().lower()
    if name == "vortex" and number is not None and not number.is_integer():
        raise UsageError(f"--mask: the charge of a vortex is a whole number, got {value!r}.")
    if name == "top-hat" and number is not None and not 0 < number < 1:
        raise UsageError(f"--mask: the radius of a top-hat lies between 0 and 1, got {value!r}.")
    return name, number


def sweep(arguments: argparse.Namespace) -> sweep_job.Job:
    """The file of a sweep."""
    if arguments.workers < 1:
        raise UsageError(f"--workers must be at least 1, got {arguments.workers}.")
    return sweep_job.read(arguments.job)


CHECKS: dict[str, Callable[[argparse.Namespace], Settings | sweep_job.Job]] = {
    "calibrate": calibrate,
    "resume": resume,
    "report": report,
    "export": export,
    "psf": psf,
    "sweep": sweep,
}


def chosen(texts: list[str] | None) -> dict[str, int]:
    """Entries of other axes, from texts such as ``C=0``."""
    result = {}
    for text in texts or []:
        axis, _, number = text.partition("=")
        if not number.strip().removeprefix("-").isdecimal() or len(axis.strip()) != 1:
            raise UsageError(f"--select must look like C=0, got {text!r}.")
        result[axis.strip()] = int(number)
    return result


def places(text: str | None) -> list[tuple[float, float]]:
    """Places (y, x) of beads, from a text such as ``"120,88; 40.5,61"`` [pixels]."""
    result = []
    for part in filter(str.strip, (text or "").split(";")):
        try:
            y, x = (float(word) for word in part.replace(",", " ").split())
        except ValueError:
            raise UsageError(
                f"--beads must look like 'y,x; y,x' in pixels, got {part.strip()!r}."
            ) from None
        result.append((y, x))
    return result


def width(value: str | int | None, least: int = _SMALLEST) -> tuple[int | None, float | None]:
    """Width of a window, in pixels or [µm]; neither where it is left open."""
    if value is None:
        return None, None
    text = str(value).strip()
    try:
        pixels, size = (int(text), None) if text.isdecimal() else (None, float(length(text)))
    except (ValueError, TypeError):
        raise UsageError(
            f"--size must be a number of pixels or a length such as '6 um', got {text!r}."
        ) from None
    if pixels is not None and pixels < least:
        raise UsageError(f"--size must be at least {least}, got {pixels}.")
    if size is not None and not 0 < size < math.inf:
        raise UsageError(f"--size must be positive, got {text!r}.")
    return pixels, size


def blur(text: str) -> float | None:
    """The fixed blur [µm], or None where it is fitted."""
    if text == "fit":
        return None
    try:
        sigma = 0.0 if text == "none" else float(length(text))
    except (ValueError, TypeError):
        raise UsageError(
            f"--blur must be fit, none, or a length such as '60 nm', got {text!r}."
        ) from None
    if not 0 <= sigma < math.inf:
        raise UsageError(f"--blur must not be negative, got {text!r}.")
    early.largest("blur", sigma)
    return sigma


def _complete(settings: Settings) -> None:
    """Requires the settings without which nothing can start."""
    if not settings["files"]:
        raise UsageError("no files: name the stacks of beads, or give `files` in the TOML file.")
    catalog.complete(settings)
    missing = [name for name in ("na", "wavelength") if settings[name] is None]
    if missing:
        example = {"na": "--na 0.85", "wavelength": '--wavelength "520 nm"'}
        listed = " ".join(example[name] for name in missing)
        flags = " and ".join(f"--{name}" for name in missing)
        raise UsageError(f"{flags} must be given, such as {listed}.")
    optics(settings)
    for name in ("pixel", "dz"):
        _length(settings, name)
    steps = settings["steps"]
    if len(steps) != 2 or min(steps) < 0 or max(steps) < 1:
        listed = " ".join(map(str, steps))
        raise UsageError(f"--steps must be two counts, not both zero, got {listed}.")
    for name, least in (("most", 1), ("order", 2)):
        at_least(settings, name, least)
    for name in ("bead", "t_s"):
        if not 0 <= settings[name] < math.inf:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} must be zero or more, got {settings[name]:g} µm.")
    _sample(settings)
    early.check(settings)
    departures(settings)
    exact(settings["known_exactly"])
    blur(settings["blur"])
    chosen(settings["select"])
    places(settings["beads"])
    width(settings["size"])
    exist(settings["files"])


# What stands between the bead and the objective, or what the objective is made for.
LAYERS = ("n_s", "n_g", "t_g", "n_g_design", "t_g_design", "n_i_design", "t_i_design")


def _sample(settings: Settings) -> None:
    if settings["n_s"] is None and settings["t_s"]:
        raise UsageError("--t-s matters only behind an interface; pass --n-s with it.")
    for name in LAYERS:
        value, flag = settings[name], name.replace("_", "-")
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"--{flag} must be positive, got {value:g}.")
        if value is not None and name in ("t_g", "n_g_design", "t_g_design"):
            if settings["n_g"] is None:
                raise UsageError(f"--{flag} matters only with the coverslip's index; pass --n-g.")
    if settings["t_i_design"] is not None and settings["n_i_design"] is None:
        raise UsageError("--t-i-design matters only in another immersion; pass --n-i-design.")


# Numbers that may be fitted, and the flag without which they change nothing.
_DEPARTURES = {
    "t_g": "n_g",
    "n_g": "n_g",
    "t_g_design": "n_g",
    "n": "n",
    "n_s": "t_s",
    "t_s": "n_s",
}


def departures(settings: Settings) -> dict[str, float | None]:
    """Numbers of the layers that are fitted, with their tolerances where they are given."""
    result: dict[str, float | None] = {}
    for text in settings["fit"] or []:
        name, equal, value = text.partition("=")
        name = name.strip().replace("-", "_")
        name = "n" if name == "n_i" else name
        if name not in _DEPARTURES:
            near = difflib.get_close_matches(name, _DEPARTURES, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"--fit must be one of {', '.join(_DEPARTURES)}, got {name!r}.{hint}")
        needed = _DEPARTURES[name]
        if not settings[needed]:
            flag = needed.replace("_", "-")
            raise UsageError(f"--fit {name}: it changes nothing without --{flag}; pass both.")
        result["n_i" if name == "n" else name] = _tolerance(text, value) if equal else None
    if result and settings["order"] < 4:
        raise UsageError("--fit needs spherical aberration among the modes; pass --order 4.")
    return result


def exact(names: list[str] | None) -> tuple[str, ...]:
    """Numbers that stay as they were given."""
    for name in names or []:
        if name not in ("pixel", "dz", "na"):
            raise UsageError(f"--known-exactly must be pixel, dz or na, got {name!r}.")
    return tuple(names or [])


def _tolerance(text: str, value: str) -> float:
    """A tolerance: a number, or a length with its unit."""
    try:
        width = float(length(value.strip())) if value.strip()[-1:].isalpha() else float(value)
    except (ValueError, TypeError):
        width = math.nan
    if not 0 < width < math.inf:
        raise UsageError(f"--fit must look like t_g or 't_g=5 um', got {text!r}.")
    return width


def optics(settings: Settings) -> None:
    """Requires an aperture below the index, and a wavelength that microscopes have."""
    for name in ("na", "n"):
        if not 0 < settings[name] < math.inf:
            raise UsageError(f"--{name} must be positive, got {settings[name]:g}.")
    _length(settings, "wavelength")
    if settings["na"] >= settings["n"]:
        raise UsageError(
            f"--na: the numerical aperture {settings['na']:g} must be below the refractive index "
            f"{settings['n']:g} ({settings.origin('n')}). Pass the immersion medium's index with "
            "--n."
        )


def _length(settings: Settings, name: str) -> None:
    """Requires a length that microscopes have, and sees other units in one that is not."""
    value = settings[name]
    low, high = _RANGES[name]
    if value is None or low <= value <= high:
        return
    if not 0 < value < math.inf:
        raise UsageError(f"--{name} must be positive, got {value:g} µm.")
    for factor, unit, word in ((1e-3, "nm", "nanometres"), (1e6, "m", "metres")):
        if low <= value * factor <= high:
            raise UsageError(
                f"--{name} is {value:g} µm as it was given (micrometers without a unit), which "
                f"looks like {word}. Pass --{name} '{value:g} {unit}'."
            )
    raise UsageError(
        f"--{name} must lie between {low:g} and {high:g} µm, got {value:g} µm. Check its unit."
    )


def at_least(settings: Settings, name: str, least: int) -> None:
    """Requires a count of at least so many, if it is given."""
    if settings[name] is not None and settings[name] < least:
        raise UsageError(f"--{name} must be at least {least}, got {settings[name]}.")


def format_of(kind: str, name: str, flag: str | None = None) -> None:
    """Requires a name with an ending that is written."""
    if not name.lower().endswith(FORMATS[kind]):
        listed = ", ".join(FORMATS[kind])
        raise UsageError(f"{flag or '--' + kind}: the name must end in {listed}, got {name!r}.")


def free(paths: list[str], *, force: bool) -> None:
    """Requires that no file is replaced unless that is wanted."""
    for path in paths:
        if os.path.exists(path) and not force:
            raise UsageError(f"{path!r} is there already. Choose another name, or pass --force.")
        if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            raise UsageError(f"there is no folder for {path!r}. Make it first.")


def _folder(path: str) -> None:
    if not os.path.isdir(path):
        raise UsageError(f"there is no folder {path!r}. Pass the folder of a calibration.")


def exist(paths: list[str], flag: str = "") -> None:
    """Requires that a file is there; one of many may be missing, which the batch tells."""
    gone = [path for path in paths if not os.path.exists(path)]
    if len(gone) < len(paths):
        return
    path = Path(gone[0])
    try:
        near = difflib.get_close_matches(path.name, os.listdir(path.parent), n=1)
    except OSError:
        text = f"there is no folder {str(path.parent)!r}. Check the path."
        raise UsageError(flag + text) from None
    hint = f"Did you mean {near[0]!r}?" if near else "Check the path."
    raise UsageError(f"{flag}there is no file {str(path)!r}. {hint}")
