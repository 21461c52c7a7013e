"""Numbers that no microscope has, told in the words of the command line before JAX is loaded."""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Iterable, Sequence

from jaxwave.cli.settings import Settings, UsageError, is_table
from jaxwave.units import length

_MOST_DEPTHS = 20  # of focus from plane to plane
_INDICES = (1.0, 5.0)
# Largest length of each kind [µm]; a larger number was meant in nanometers.
_LARGEST = {"bead": 20.0, "blur": 20.0, "radius": 200.0}
# Glasses are engraved in millimeters: 0.17.
_ENGRAVED = {name: (0.02, 2.0) for name in ("t_g", "t_g_design")}
_LONGEST_PATH = 20.0  # of a Zernike mode [µm]
_CAMERA = ("camera_gain", "quantum_efficiency", "excess_noise", "read_noise", "camera_offset")
# What newcomers type for a flag, beside what is spelled nearly like it.
_MEANT = {
    "--lambda": "--wavelength",
    "--emission": "--wavelength",
    "--ri": "--n",
    "--index": "--n",
    "--immersion": "--n",
    "--pixelsize": "--pixel",
    "--voxel": "--pixel",
    "--zstep": "--dz",
    "--step": "--dz",
    "--spacing": "--dz",
    "--output": "--out",
    "--channel": "--select",
    "--position": "--select",
    "--series": "--select",
    "--mag": "--magnification",
    "--offset": "--camera-offset",
    "--crop": "--size",
    "--window": "--size",
    "--modes": "--order",
    "--coverslip": "--t-g",
    "--qe": "--quantum-efficiency",
}
_UNITS = ("nm", "um", "µm", "μm", "mm", "cm", "m")


def check(settings: Settings) -> None:
    """Requires numbers of a calibration that microscopes and cameras have."""
    planes(settings, settings["dz"])
    for name in ("n", "n_s", "n_g", "n_g_design", "n_i_design"):
        _index(settings, name)
    for name in _ENGRAVED:
        _engraved(settings, name)
    for name in ("bead", "radius"):
        largest(name, settings[name])
    for name in _CAMERA:
        _camera(name, settings[name])
    said = [_flag(name) for name in _CAMERA if settings[name] is not None]
    if said and settings["camera_gain"] is None:
        raise UsageError(
            f"--camera-gain is needed with {said[0]}: the electrons of one count, such as "
            "--camera-gain 0.46."
        )
    terms("--known", settings["known"] or ())


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _index(settings: Settings, name: str) -> None:
    value, (low, high) = settings[name], _INDICES
    if value is not None and not low <= value <= high:
        raise UsageError(
            f"{_flag(name)} is a refractive index and must lie between {low:g} and {high:g}, got "
            f"{value:g}."
        )


def _engraved(settings: Settings, name: str) -> None:
    value, (low, high) = settings[name], _ENGRAVED[name]
    if value is not None and low <= value <= high:
        raise UsageError(
            f"{_flag(name)} is {value:g} µm as it was given, thinner than coverslips are; an "
            f"engraved {value:g} is in millimeters. Pass {_flag(name)} '{value:g} mm'."
        )


def largest(name: str, value: float | None) -> None:
    """Requires a length that is not a thousand times too large, as nanometers without a unit."""
    if value is not None and value > _LARGEST[name]:
        raise UsageError(
            f"{_flag(name)} is {value:g} µm as it was given (micrometers without a unit), more "
            f"than {_LARGEST[name]:g} µm. Pass {_flag(name)} '{value:g} nm' if it is in nanometers."
        )


def planes(settings: Settings, dz: float | None) -> None:
    """Requires planes of which several show the bead; nanometers without their unit do not."""
    na, n = settings["na"], settings["n"]
    depth = settings["wavelength"] / (n - (n**2 - na**2) ** 0.5)
    if dz is not None and dz > _MOST_DEPTHS * depth:
        raise UsageError(
            f"the planes are {dz:g} µm apart, but the depth of focus is {depth:.2g} µm. A length "
            f"without a unit is in micrometers; pass it as --dz '{dz:g} nm' if it is in nanometers."
        )


def _camera(name: str, text: str | float | None) -> None:
    try:
        value = float(text) if text is not None else 1.0
    except ValueError:
        return  # a map
    word, good = {
        "camera_offset": ("a finite number", True),
        "read_noise": ("zero or more", value >= 0),
        "excess_noise": ("1 or more", value >= 1),
    }.get(name, ("positive", value > 0))
    if not good or not math.isfinite(value):
        raise UsageError(f"{_flag(name)} must be {word}, got {text}.")
    if name == "quantum_efficiency" and value > 1:
        percent = f" Pass {value / 100:g} for {value:g} %." if value <= 100 else ""
        raise UsageError(f"{_flag(name)} is a share and at most 1, got {text}.{percent}")


def terms(flag: str, texts: Iterable[str]) -> None:
    """Requires lengths of modes that a wavefront has; a file of them is read later."""
    for text in texts:
        if is_table(text):
            continue
        try:
            path = float(length(text.partition("=")[2].strip()))
        except (ValueError, TypeError) as error:
            raise UsageError(
                f"{flag}: expected a mode and a length, such as '2,2=15 nm', got {text!r} "
                f"({error})."
            ) from None
        if abs(path) > _LONGEST_PATH:
            raise UsageError(
                f"{flag} {text}: {path:g} µm is more than an aberration has. Check its unit."
            )


def hint(message: str, words: Sequence[str], flags: Sequence[str], commands: Iterable[str]) -> str:
    """What may be meant by words that nobody knows, as a sentence; empty if there is no guess."""
    wrong = [w.partition("=")[0].rstrip(":") for w in message.split() if w.startswith("--")]
    unknown = message.startswith("unrecognized arguments: ")
    if unknown and message.split()[2] in _UNITS:
        unit = message.split()[2]
        number = next((a for a, b in itertools.pairwise(words) if b == unit), "520")
        return (
            f" A length with its unit is one word: '{number} {unit}' in quotes, or {number}{unit}."
        )
    if "invalid choice: " in message and "COMMAND" in message:
        near = difflib.get_close_matches(message.split("'")[1], list(commands), n=1)
        return f" Did you mean {near[0]}?" if near else ""
    if not wrong or wrong[0] in flags:
        return ""
    word = wrong[0].lower().replace("_", "-")
    meant = _MEANT.get(word) or _MEANT.get("--" + word.strip("-").replace("-", ""))
    near = [meant] if meant in flags else difflib.get_close_matches(word, flags, n=1)
    return f" Did you mean {near[0]}?" if near else ""
