"""Settings: one table tells the flags, the keys of a TOML file and their defaults."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import math
import os
import tomllib
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxwave import units
from jaxwave._files import atomic

# How the file of settings that a calibration writes begins.
MARK = "# Settings of this calibration."
_ORIGINS = "origins"
_URI = "file://"
MASKS = ("vortex", "half-moon", "top-hat")


class UsageError(Exception):
    """A wrong setting; the command ends with exit code 2."""


@dataclasses.dataclass(frozen=True)
class Option:
    """One setting.

    Args:
        name: Its key in a TOML file; the flag has dashes instead of underscores.
        kind: ``"length"``, ``"number"``, ``"integer"``, ``"text"``, ``"amount"``, ``"path"``,
            ``"choice"``, ``"numbers"`` (a list of integers), ``"map"`` (a number or a file),
            ``"terms"`` (modes or files), or ``"mask"`` (a word or a file).
        help: What it does.
        default: Its value where nothing is given; None leaves it open.
        choices: What a ``"choice"`` may be.
        group: Heading in the help.
        show: What stands for the value in the help.
    """

    name: str
    kind: str
    help: str
    default: Any = None
    choices: tuple[str, ...] = ()
    group: str = "options"
    show: str | None = None

    @property
    def flag(self) -> str:
        """The flag on the command line."""
        return "--" + self.name.replace("_", "-")

    def read(self, value: object, place: str) -> Any:
        """Turns what was given into a value, or says what is wrong with it."""
        try:
            return _READERS[self.kind](self, value)
        except (ValueError, TypeError) as error:
            text = str(error).removeprefix("length: ")
            joint = " " if place.startswith("--") and text.startswith("must") else ": "
            raise UsageError(f"{place}{joint}{text}") from None


def _length(option: Option, value: object) -> float:
    """A length [µm]; a bare number is micrometers."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return float(units.length(value))
    return _number(option, value)


def _number(option: Option, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"must be a number, got {value!r}.")
    try:
        return float(value)
    except ValueError:
        point = str(value).replace(",", ".")
        hint = f" Write {point}." if point != value and _is_number(point) else ""
        raise ValueError(f"must be a number, got {value!r}.{hint}") from None


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _integer(option: Option, value: object) -> int:
    number = _number(option, value)
    if not number.is_integer():
        raise ValueError(f"must be a whole number, got {value!r}.")
    return int(number)


def _text(option: Option, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"must be text, got {value!r}.")
    return value


def _amount(option: Option, value: object) -> str:
    """A number, or a text that says more: a unit, or a file of numbers."""
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        raise TypeError(f"must be a number or text, got {value!r}.")
    return repr(value) if isinstance(value, int | float) else _text(option, value)


def _path(option: Option, value: object) -> str:
    text = _text(option, value)
    if text.startswith(_URI):
        text = os.fsdecode(urllib.parse.unquote_to_bytes(text.removeprefix(_URI)))
    return os.path.abspath(os.path.expanduser(text))


def _choice(option: Option, value: object) -> str:
    if value not in option.choices:
        near = difflib.get_close_matches(str(value), option.choices, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        listed = ", ".join(map(repr, option.choices))
        raise ValueError(f"must be one of {listed}, got {value!r}.{hint}")
    return str(value)


def _map(option: Option, value: object) -> str:
    """A number, or a file that holds one for every pixel."""
    text = _amount(option, value)
    return _path(option, text) if _names_file(option, text) else text


def _term(option: Option, value: object) -> str:
    """A mode with its length, or a file of many."""
    text = _text(option, value)
    return _path(option, text) if _names_file(option, text) else text


def _mask(option: Option, value: object) -> str:
    """The name of a mask, or a file that holds one."""
    text = _text(option, value)
    return _path(option, text) if _names_file(option, text) else text


def is_table(text: str) -> bool:
    """Tells a file of aberrations from a mode such as ``2,2=15 nm``."""
    return "=" not in text or text.lower().endswith(".csv")


def _names_file(option: Option, value: object) -> bool:
    """Tells whether a value, or one of a list, is the name of a file."""
    if not isinstance(value, str):
        return False
    if option.kind == "map":
        try:
            float(value)
        except ValueError:
            return True
        return False
    if option.kind == "mask":
        return value.partition("=")[0].strip().lower() not in MASKS
    return option.kind in ("path", "paths") or (option.kind == "terms" and is_table(value))


def inputs(options: Sequence[Option], values: Mapping[str, Any]) -> list[str]:
    """Every file that a command reads because a setting names it."""
    found: list[str] = []
    for option in options:
        value = None if option.kind == "path" else values.get(option.name)
        listed = value if isinstance(value, list) else [value]
        found += [str(part) for part in listed if _names_file(option, part)]
    return found


def _list(option: Option, value: Any, read: Any) -> list:
    return [read(option, v) for v in (value if isinstance(value, list) else [value])]


_READERS: dict[str, Any] = {
    "length": _length,
    "number": _number,
    "integer": _integer,
    "text": _text,
    "amount": _amount,
    "path": _path,
    "choice": _choice,
    "numbers": lambda option, value: _list(option, value, _integer),
    "texts": lambda option, value: _list(option, value, _text),
    "paths": lambda option, value: _list(option, value, _path),
    "map": _map,
    "terms": lambda option, value: _list(option, value, _term),
    "mask": _mask,
}
_SHOWN = {"length": "LENGTH", "number": "NUMBER", "integer": "N", "numbers": "N", "path": "PATH"}


@dataclasses.dataclass(frozen=True)
class Settings:
    """The effective settings of a command, and where each came from.

    Args:
        values: Every setting by name; lengths in µm, paths absolute.
        origins: ``"command line"``, the name of a TOML file, or ``"default"``.
    """

    values: dict[str, Any]
    origins: dict[str, str]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def origin(self, name: str) -> str:
        """Who gave a number: user, file of settings, or default."""
        text = self.origins.get(name, "default")
        return "user" if text == "command line" else text


def add_options(parser: argparse.ArgumentParser, options: Sequence[Option]) -> None:
    """Gives a parser the flags of a table, under their headings."""
    groups: dict[str, Any] = {"options": parser}
    for option in options:
        if option.kind == "paths":
            continue
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(option.group)
        text = option.help
        if option.default is not None:
            shown = option.default
            if isinstance(shown, list):
                shown = " ".join(map(str, shown))
            text += f" (default: {shown})"
        if option.kind == "choice":
            show = "{" + ",".join(option.choices) + "}"
        else:
            show = option.show or _SHOWN.get(option.kind, "TEXT")
        flags = ["-o", option.flag] if option.name == "out" else [option.flag]
        count: dict[str, Any] = {}
        if option.kind in ("numbers", "texts", "terms"):
            # Texts gather (--select C=0 --select T=1); of numbers the last ones count.
            count = {"nargs": "+", "action": "store" if option.kind == "numbers" else "extend"}
        groups[option.group].add_argument(
            *flags, dest=option.name, metavar=show, help=text.replace("%", "%%"), **count
        )


def gather(
    options: Sequence[Option], given: Mapping[str, Any], config: str | None = None
) -> Settings:
    """Merges flags, a TOML file and defaults, in this order of precedence."""
    table = {option.name: option for option in options}
    values = {option.name: option.default for option in options}
    for option in options:
        if option.kind == "path" and option.default is not None:
            values[option.name] = option.read(option.default, option.flag)  # of this folder
    origins: dict[str, str] = {}
    if config is not None:
        path = Path(config)
        found = read_toml(path)
        earlier = found.pop(_ORIGINS, {})  # of a job that is read again
        earlier = earlier if isinstance(earlier, dict) else {}
        for name, value in found.items():
            if name not in table:
                near = difflib.get_close_matches(name.replace("-", "_"), table, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise UsageError(
                    f"{path.name}: there is no setting {name!r}.{hint} The settings are "
                    f"{', '.join(table)}."
                )
            option = table[name]
            value = _beside(path, option, value)
            values[name] = option.read(value, f"{path.name}: `{name}`")
            origins[name] = str(earlier.get(name, path.name))
    for name, option in table.items():
        value = given.get(name)
        if value is not None and value != []:
            place = option.flag if option.kind != "paths" else f"`{name}`"
            values[name] = option.read(value, place)
            origins[name] = "command line"
    return Settings(values, origins)


def _beside(path: Path, option: Option, value: Any) -> Any:
    """Names of files are relative to the file of settings that holds them."""
    if isinstance(value, list):
        return [_beside(path, option, v) for v in value]
    if not _names_file(option, value) or value.startswith((_URI, "~")):
        return value
    return os.path.join(path.absolute().parent, value)


def read_toml(path: Path) -> dict[str, Any]:
    """The keys of a TOML file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"there is no file {str(path)!r} with settings.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} is not a TOML file: {error}.") from None


def toml_text(
    options: Sequence[Option], settings: Settings, again: str = "calibrate --config job.toml"
) -> str:
    """The effective settings, and who gave each, as a TOML file that gives them again."""
    mark = MARK if again.startswith("calibrate") else "# Settings."
    lines = [f"{mark} Run it again: jaxwave {again}"]
    origins = []
    for option in options:
        value = settings[option.name]
        if value is None:
            lines.append(f"# {option.name} = not given")
            continue
        if option.kind == "length":
            value = f"{value!r} µm"
        lines.append(f"{option.name} = {_toml(value, option)}")
        origins.append(f"{option.name} = {_quoted(settings.origins.get(option.name, 'default'))}")
    return "\n".join([*lines, "", f"[{_ORIGINS}]", *origins]) + "\n"


def _toml(value: object, option: Option) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_toml(part, option) for part in value)}]"
    if isinstance(value, str):
        return _quoted(_uri(value) if _names_file(option, value) else value)
    return repr(value)  # TOML writes numbers, inf and nan as Python does


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _uri(path: str) -> str:
    """A path as it is, or as ``file://`` where its bytes are no text that TOML could hold."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return _URI + urllib.parse.quote_from_bytes(os.fsencode(path))
    return path


def write_toml(path: Path, options: Sequence[Option], settings: Settings, *again: str) -> None:
    """Writes the effective settings, atomically; ``again`` is the command that reads them."""
    text = toml_text(options, settings, *again).encode()
    atomic("jaxwave", path, lambda stream: stream.write(text))


def differences(earlier: Settings, settings: Settings) -> list[str]:
    """Settings that differ from those of an earlier job, in words."""
    return [
        f"{name} ({earlier[name]!r} there, {settings[name]!r} now)"
        for name in settings.values
        if earlier[name] != settings[name] and name != "out"
    ]
