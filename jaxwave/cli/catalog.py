"""What is engraved on an objective, the name of a camera, and what follows from them."""

from __future__ import annotations

import dataclasses
import difflib
import re

from jaxwave import units
from jaxwave.cli.instruments import CAMERAS, IMMERSIONS, OBJECTIVES, TUBES
from jaxwave.cli.settings import Settings, UsageError

_ENGRAVED = re.compile(
    r"(\d+(?:\.\d+)?)\s*[x×]\s*[a-z]*\s*/?\s*(?:na\s*)?(\d*\.\d+|\d)", re.IGNORECASE
)
_EXAMPLE = "such as '60x/1.4 oil' or 'Olympus 20x/0.75 air', or name it (--list objectives)"


@dataclasses.dataclass(frozen=True)
class Engraved:
    """Numbers of an objective, and the tube lens [mm] of its maker, if the maker is named."""

    magnification: float
    na: float
    n: float
    tube: float | None


def objective(text: str) -> Engraved:
    """Reads magnification, aperture and immersion from ``60x/1.4 oil``, or knows the name."""
    named = _named(text)
    if named is not None:
        return named
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


def _named(text: str) -> Engraved | None:
    """An objective by the name that its maker gives it, with the maker or without."""
    known = {_letters(name): made for name, made in OBJECTIVES.items()}
    makers = sorted({*TUBES, *(made.maker.lower() for made in OBJECTIVES.values())})
    key = _letters(text)
    for maker in makers:
        key = key.removeprefix(maker)
    made = known.get(key)
    if made is None:
        return None
    tube = TUBES[made.maker.lower()]
    return Engraved(made.magnification, made.na, IMMERSIONS[made.immersion], tube)


def _letters(text: str) -> str:
    """A name without blanks and signs; Greek lambda is written out."""
    return re.sub(r"[^a-z0-9]", "", text.lower().replace("λ", "lambda"))


def camera(text: str) -> float:
    """Width of a camera's pixels [µm], from a length or the name of a camera."""
    try:
        return float(units.length(text)) if not _is_number(text) else float(text)
    except (ValueError, TypeError):
        pass
    names = {name.lower(): name for name in CAMERAS}
    key = text.lower().strip()
    # The model alone names a camera, too: exactly, or as a part of one name.
    near = [name for name in names if key and (name == key or name.partition(" ")[2] == key)]
    near = near or [name for name in names if key and (key in name or name in key)]
    near = near or difflib.get_close_matches(key, names, n=1, cutoff=0.8)
    if len(near) != 1:
        raise UsageError(
            f"--camera must be the width of its pixels, such as '6.5 um', or one of "
            f"{', '.join(CAMERAS)}, got {text!r}."
        )
    return CAMERAS[names[near[0]]].pixel


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
