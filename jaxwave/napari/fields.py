"""What the widgets show of the tables of the command line, and errors in the names of fields."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxwave.cli import checks, options
from jaxwave.cli.settings import Option, Settings, UsageError, gather, write_toml
from jaxwave.cli.terminal import in_flags

PSF = tuple(option for option in options.PSF if option.name not in checks.OUTPUTS)
# The stack of a calibration is an open layer, and its folder has an own field.
_FILE = ("files", "out", "axes", "select", "name", "max_bytes", "missing")
CALIBRATE = tuple(option for option in options.CALIBRATE if option.name not in _FILE)
# What a layer tells by itself, or an engraving: it is made again when the settings are read.
_DERIVED = ("default", "objective", "camera")

_FLAG = re.compile(r"--([a-z][a-z-]*[a-z]|n\b)")
# What the command line says of its own means, in the words of the widgets.
_WORDS = {
    r"; jaxwave \w+ --help has an example": "",
    r", such as( --[a-z]+ (\".*?\"|\S+?))+\.$": ".",
    r"another folder with -o": "another folder",
    r"or replace them with --force": "or let earlier results be replaced",
    r" ?\(--force replaces it\.\)": "",
}


def in_fields(text: str, table: Sequence[Option]) -> tuple[str, list[str]]:
    """A message in the names of fields, and the fields that it names.

    Args:
        text: A message of the command line, or of a function.
        table: The fields.

    Returns:
        The message, and the names in the order of the message.
    """
    known = {option.flag: option.name for option in table}
    found: list[str] = []

    def named(match: re.Match[str]) -> str:
        name = known.get(match.group(0))
        if name is None:
            return match.group(0)
        found.append(name)
        return name

    for words, ours in _WORDS.items():
        text = re.sub(words, ours, text)
    return _FLAG.sub(named, text), list(dict.fromkeys(found))


def sentence(error: BaseException, table: Sequence[Option]) -> tuple[str, list[str]]:
    """An error in one sentence, with the fields that it names."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.split(".")[0]
        return f'{package} is not installed. Run pip install "jaxwave[napari]".', []
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else ""), []
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; take fewer pixels.", []
    text = " ".join(str(error).split())[:1000] or type(error).__name__
    if not isinstance(error, UsageError):  # of a function, whose name is not for users
        text = in_flags(text, tuple(table))
    return in_fields(text, table)


def given(settings: Settings, table: Sequence[Option]) -> dict[str, Any]:
    """What a user gave, as the texts of fields; defaults and what follows from others stay open."""
    kept = {}
    for option in table:
        value = settings[option.name]
        if value is None or settings.origins.get(option.name, "default") in _DERIVED:
            continue
        kept[option.name] = value if isinstance(value, list) else shown(option, value)
    return kept


def derived(settings: Settings, table: Sequence[Option]) -> dict[str, str]:
    """What follows from an engraving, as the texts of fields."""
    found = [o for o in table if settings.origins.get(o.name) in ("objective", "camera")]
    return {option.name: shown(option, settings[option.name]) for option in found}


def shown(option: Option, value: Any) -> str:
    """A value as a field shows it, which reads as the same value again."""
    if option.kind != "length":
        return str(value)
    for unit, factor in (("nm", 1e3), ("µm", 1.0)):
        text = f"{value * factor:.12g} {unit}"
        if (unit != "nm" or abs(value) < 2) and option.read(text, option.name) == value:
            return text
    return f"{value!r} µm"


def read(path: str, table: Sequence[Option]) -> dict[str, Any]:
    """The texts of fields from a TOML file of the command line."""
    return given(gather(_whole(table), {}, path), table)


def write(path: str, table: Sequence[Option], settings: Settings) -> None:
    """Writes a TOML file that the command line reads."""
    command = "psf" if table is PSF else "calibrate"
    write_toml(Path(path), table, settings, f"{command} --config {Path(path).name}")


def _whole(table: Sequence[Option]) -> Sequence[Option]:
    """The command's table, since a file may hold what no field shows."""
    return options.PSF if table is PSF else options.CALIBRATE
