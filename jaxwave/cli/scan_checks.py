"""What can be said about microscopes that scan, in the words of the command line."""

from __future__ import annotations

import math

from jaxwave.cli.settings import Settings, UsageError
from jaxwave.units import length

SCANNING = ("confocal", "two-photon")
_MOST_AIRY = 10.0  # Airy units of a pinhole


def scan(settings: Settings) -> None:
    """Requires what the microscope's mode needs, and nothing that it ignores."""
    mode = settings["mode"]
    needs = {"confocal": ("excitation", "pinhole"), "two-photon": ("excitation",)}
    needs["light-sheet"] = ("sheet",)
    for name in ("excitation", "pinhole", "sheet"):
        given, needed = settings[name] is not None, name in needs.get(mode, ())
        if given and not needed:
            home = " or ".join(key for key in needs if name in needs[key])
            raise UsageError(f"--{name} goes with --mode {home}, not with {mode}.")
        if needed and not given:
            raise UsageError(f"--mode {mode} needs --{name}; jaxwave psf --help tells what it is.")
    if mode == "widefield":
        return
    if settings["kind"] != "emission":
        raise UsageError(f"--kind focus is the laser's light alone; --mode {mode} is an image.")
    if mode in SCANNING and settings["dipole"] is not None:
        raise UsageError(f"--dipole goes with --mode widefield or light-sheet, not with {mode}.")
    if mode in SCANNING and settings["unit"] == "share":
        raise UsageError("--unit share tells what a camera collects; pass sum or peak.")
    if mode in SCANNING and settings.origin("integrate") != "default":
        raise UsageError("--integrate is a camera's; a scan takes the light at its places.")
    if settings["sheet"] is not None and not 0 < settings["sheet"] < math.inf:
        raise UsageError(f"--sheet must be positive, got {settings['sheet']:g} µm.")
    if mode == "confocal":
        pinhole(settings)


def pinhole(settings: Settings) -> float:
    """Diameter of the pinhole in the sample [µm]; 0 without one."""
    text = settings["pinhole"]
    if text is None:
        return 0.0
    airy = 1.22 * settings["wavelength"] / settings["na"]
    number, _, unit = text.strip().rpartition(" ")
    try:
        size = float(number) * airy if unit.lower() == "au" else float(length(text))
    except (ValueError, TypeError):
        raise UsageError(
            "--pinhole must be Airy units such as '1 AU', or a length in the sample such as "
            f"'0.5 um', got {text!r}."
        ) from None
    if not 0 < size <= _MOST_AIRY * airy:
        raise UsageError(
            f"--pinhole must be positive and at most {_MOST_AIRY:g} AU ({_MOST_AIRY * airy:.3g} µm "
            f"here), got {text!r} ({size:.3g} µm). In the sample it is its width over the "
            "magnification."
        )
    return size
