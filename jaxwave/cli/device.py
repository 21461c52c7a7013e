"""What can be said about a phase device, in the words of the command line."""

from __future__ import annotations

import os

from jaxwave.cli.settings import Settings, UsageError


def table_beside(name: str) -> str:
    """The table of phases that goes with a picture of levels."""
    return os.path.splitext(name)[0] + ".csv"


def check(settings: Settings) -> None:
    """Requires the pixels of a phase device, and those of the pupil on it."""
    given = [name for name in ("slm_size", "slm_diameter") if settings[name] is not None]
    if not settings["slm"]:
        if given or settings["slm_table"] is not None:
            raise UsageError("--slm-size, --slm-diameter and --slm-table go with --slm FILE.")
        return
    if len(given) < 2:
        raise UsageError(
            "--slm needs the pixels of the device and those across the pupil on it, such as "
            "--slm-size 1080x1920 --slm-diameter 900."
        )
    rows, columns = device_size(settings["slm_size"])
    if not 4 <= settings["slm_diameter"] <= min(rows, columns):
        raise UsageError(
            f"--slm-diameter must lie between 4 and the {min(rows, columns)} pixels of the device, "
            f"got {settings['slm_diameter']:g}."
        )


def device_size(text: str) -> tuple[int, int]:
    """Rows and columns of a device, from a text such as ``1080x1920``."""
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise UsageError(f"--slm-size must be rows x columns, such as 1080x1920, got {text!r}.")
    rows, columns = (int(part) for part in parts)
    if not (4 <= rows <= 16384 and 4 <= columns <= 16384):
        raise UsageError(f"--slm-size must be 4 to 16384 pixels each way, got {text!r}.")
    return rows, columns
