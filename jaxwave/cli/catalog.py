"""What is engraved on an objective and printed in the data sheet of a camera.

Indices of immersions are those that objectives are designed for: oil by ISO 8036 (n_e = 1.518),
water at 23 °C, glycerol of 80 %, silicone oil as its makers state it. Tube lenses are those of the
makers' infinity systems. Pixels are those of the makers' data sheets.
"""

from __future__ import annotations

import dataclasses
import difflib
import re

from jaxwave import units
from jaxwave.cli.settings import Settings, UsageError

IMMERSIONS = {
    "air": 1.0, "dry": 1.0, "water": 1.333, "w": 1.333, "glycerol": 1.45, "glyc": 1.45,
    "silicone": 1.405, "sil": 1.405, "oil": 1.518,
}  # fmt: skip
TUBES = {
    "nikon": 200.0, "leica": 200.0, "mitutoyo": 200.0, "olympus": 180.0, "evident": 180.0,
    "zeiss": 165.0,
}  # fmt: skip
CAMERAS = {
    "Andor iXon Ultra 888": 13.0, "Andor iXon Ultra 897": 16.0, "Andor Sona 4.2B-11": 11.0,
    "Andor Sona 4.2B-6": 6.5, "Andor Zyla 4.2": 6.5, "Andor Zyla 5.5": 6.5,
    "Hamamatsu ORCA-Flash4.0": 6.5, "Hamamatsu ORCA-Fusion": 6.5, "Hamamatsu ORCA-Quest": 4.6,
    "PCO edge 4.2": 6.5, "PCO edge 5.5": 6.5, "Photometrics CoolSNAP HQ2": 6.45,
    "Photometrics Evolve 512": 16.0, "Photometrics Kinetix": 6.5, "Photometrics Prime 95B": 11.0,
    "Photometrics Prime BSI": 6.5,
}  # fmt: skip

_ENGRAVED = re.compile(
    r"(\d+(?:\.\d+)?)\s*[x×]\s*[a-z]*\s*/?\s*(?:na\s*)?(\d*\.\d+|\d)", re.IGNORECASE
)
_EXAMPLE = "such as '60x/1.4 oil' or 'Olympus 20x/0.75 air'"


@dataclasses.dataclass(frozen=True)
class Engraved:
    """Numbers of an objective, and the tube lens [mm] of its maker, if the maker is named."""

    magnification: float
    na: float
    n: float
    tube: float | None


def objective(text: str) -> Engraved:
    """Reads magnification, aperture and immersion from a text such as ``60x/1.4 oil``."""
    found = _ENGRAVED.search(text)
    if found is None:
        raise UsageError(f"--objective must tell magnification/aperture, {_EXAMPLE}, got {text!r}.")
    magnification, na = float(found[1]), float(found[2])
    words = re.findall(r"[a-z]+", re.sub(r"(?<=\d)\s*x", " ", text.lower()))
    media = [word for word in words if word in IMMERSIONS]
    if not media and na >= 1:
        raise UsageError(
            f"--objective: {text!r} names no immersion. Add one of {', '.join(IMMERSIONS)}."
        )
    tubes = [TUBES[word] for word in words if word in TUBES]
    n = IMMERSIONS[media[0]] if media else 1.0
    return Engraved(magnification, na, n, tubes[0] if tubes else None)


def camera(text: str) -> float:
    """Width of a camera's pixels [µm], from a length or the name of a camera."""
    try:
        return float(units.length(text)) if not _is_number(text) else float(text)
    except (ValueError, TypeError):
        pass
    names = {name.lower(): name for name in CAMERAS}
    key = text.lower().strip()
    # The model alone names a camera, too.
    near = [name for name in names if key and (key in name or name in key)]
    near = near or difflib.get_close_matches(key, names, n=1, cutoff=0.8)
    if len(near) != 1:
        raise UsageError(
            f"--camera must be the width of its pixels, such as '6.5 um', or one of "
            f"{', '.join(CAMERAS)}, got {text!r}."
        )
    return CAMERAS[names[near[0]]]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def complete(settings: Settings) -> None:
    """Fills in aperture, index and pixel from the objective and the camera; what is given wins."""
    seen, magnification = None, settings["magnification"]
    if settings["objective"] is not None:
        seen = objective(settings["objective"])
        _default(settings, "na", seen.na, "objective")
        _default(settings, "n", seen.n, "objective")
        magnification = magnification or _magnification(settings, seen)
    elif settings["tube_lens"] is not None:
        raise UsageError("--tube-lens matters only with --objective, which it magnifies.")
    if settings["camera"] is None:
        return
    if magnification is None:
        raise UsageError("--camera needs --objective or --magnification for the pixel's width.")
    if not 0 < magnification < 1e4:
        raise UsageError(f"--magnification must be positive, got {magnification:g}.")
    _default(settings, "pixel", camera(settings["camera"]) / magnification, "camera")


def _magnification(settings: Settings, seen: Engraved) -> float:
    """What the objective magnifies with the tube lens behind it."""
    tube = settings["tube_lens"]
    if tube is None:
        return seen.magnification
    if seen.tube is None:
        raise UsageError(
            "--tube-lens changes the magnification against the maker's own tube lens; name the "
            f"maker in --objective: one of {', '.join(TUBES)}."
        )
    return seen.magnification * tube / (1e3 * seen.tube)


def _default(settings: Settings, name: str, value: float, origin: str) -> None:
    if settings.origins.get(name, "default") == "default":
        settings.values[name] = value
        settings.origins[name] = origin
