"""The file of a sweep: read, and checked as far as that goes without JAX."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from pathlib import Path
from typing import Any

from jaxwave.cli.settings import UsageError

# Keys of the file, the types they may have, and what they say.
_KEYS: dict[str, tuple[tuple[type, ...], str]] = {
    "function": ((str,), '"file.py:name" or "package.module:name"'),
    "settings": ((dict,), "a table of values by name"),
    "folder": ((str,), "a folder"),
    "kind": ((str,), '"grid", "list", "random" or "sobol"'),
    "points": ((int,), "a whole number"),
    "key": ((int,), "a whole number"),
    "reduce": ((str, list, dict), 'a name such as "mean", a list, or a table'),
    "max_bytes": ((int, float), "a number"),
    "batch": ((int,), "a whole number"),
    "format": ((str,), '"npz" or "zarr"'),
    "out": ((str,), "a file: .npz, .csv, .nc or .zarr"),
    "cluster": ((dict,), "a table of what the cluster needs, such as timeout_min"),
}
_RANGE = {"start", "stop", "points"}


@dataclasses.dataclass(frozen=True)
class Job:
    """A sweep from a file.

    Args:
        place: Folder of the file, which the other names are relative to.
        module: File or module of the function.
        name: Its name there.
        values: The other keys as they stand in the file.
    """

    place: Path
    module: str
    name: str
    values: dict[str, Any]

    @property
    def folder(self) -> Path:
        """Where the chunks go."""
        return self.place / self.values.get("folder", "sweeps")


def read(path: str) -> Job:
    """Reads a TOML file."""
    try:
        with open(path, "rb") as stream:
            table = tomllib.load(stream)
    except OSError as error:
        raise UsageError(f"cannot read {path!r}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path!r} is no TOML file: {error}.") from None
    for key, value in table.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"{path!r}: unknown key {key!r}.{hint} Keys: {', '.join(_KEYS)}.")
        kinds, text = _KEYS[key]
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise UsageError(f"{path!r}: {key!r} must be {text}, got {value!r}.")
    for key in ("function", "settings"):
        if key not in table:
            raise UsageError(f"{path!r}: {key!r} is missing: {_KEYS[key][1]}.")
    module, _, name = table["function"].rpartition(":")
    if not module or not name.isidentifier():
        raise UsageError(
            f"{path!r}: 'function' must be {_KEYS['function'][1]}, got {table['function']!r}."
        )
    place = Path(path).resolve().parent
    if module.endswith(".py") and not (place / module).is_file():
        raise UsageError(f"{path!r}: there is no file {str(place / module)!r}.")
    table["settings"] = {name: _values(path, name, v) for name, v in table["settings"].items()}
    return Job(place, module, name, table)


def _values(path: str, name: str, value: object) -> Any:
    """Numbers as they are; a table is a range of evenly spaced ones."""
    if not isinstance(value, dict):
        return value
    if {*value} != _RANGE:
        raise UsageError(
            f"{path!r}: {name!r} must be numbers or a range such as "
            f"{{start = 1.0, stop = 1.4, points = 9}}, got the keys {', '.join(value) or 'none'}."
        )
    start, stop, points = value["start"], value["stop"], value["points"]
    if not isinstance(points, int) or isinstance(points, bool) or points < 1:
        raise UsageError(f"{path!r}: {name!r} needs at least 1 point, got {points!r}.")
    if not all(isinstance(end, int | float) for end in (start, stop)):
        raise UsageError(f"{path!r}: {name!r} must go from a number to a number.")
    step = (stop - start) / max(points - 1, 1)
    return [start + k * step for k in range(points - 1)] + [stop if points > 1 else start]
