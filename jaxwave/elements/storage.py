"""Models in files that people can read: JSON, with large arrays in an npz file beside it."""

from __future__ import annotations

import difflib
import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxwave import _check, _files, _npy, psf
from jaxwave._version import __version__
from jaxwave.elements import labels, names
from jaxwave.elements.element import Element, Fixed
from jaxwave.elements.system import System

_FORMAT, _VERSION = "jaxwave model", 1
_MOST_NUMBERS = 16  # in the text; longer arrays go beside it


# -- writing -------------------------------------------------------------------------------


def save_model(path: str | os.PathLike, model: Element | System) -> Path:
    """Saves a model as readable JSON, with its large arrays in an npz file beside it.

    Valid for elements and systems, your own ones too: names of classes, static fields, numbers,
    what is learned. Numbers are written exactly. Arrays of more than 16 numbers go to
    ``name.<checksum>.npz``. Files are replaced as a whole, so that a crash leaves the old model or
    the new one, and nothing in them is ever executed.

    Args:
        path: The file, such as ``"model.json"``.
        model: The model.

    Returns:
        The path of the file.

    Raises:
        TypeError: If the model has parts that a file cannot keep: a function, a foreign module.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> from jaxwave.elements import ThinLens
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_model(f"{folder}/lens.json", ThinLens("200 mm"))
        ...     load_model(path)
        ThinLens(f=200000 µm)
    """
    where, path = "save_model", _files.as_path("save_model", path)
    _require_model(where, model)
    if path.suffix == ".npz":
        raise ValueError(f"{where}: `path` is that of the text; use {path.stem + '.json'!r}.")
    writer = _Writer(where)
    content: dict[str, Any] = {
        "format": _FORMAT,
        "version": _VERSION,
        "jaxwave": __version__,
        "model": writer.module(model, ()),
    }
    old = _beside(path)
    if writer.arrays:
        buffer = io.BytesIO()
        _npy.write_npz(buffer, writer.arrays)  # type: ignore[arg-type]
        checksum = hashlib.sha256(buffer.getvalue()).hexdigest()
        name = f"{path.stem}.{checksum[:8]}.npz"
        content["arrays"] = {"file": name, "sha256": checksum}
        _files.atomic(where, path.with_name(name), lambda s: s.write(buffer.getvalue()))
    text = _text(content) + "\n"
    _files.atomic(where, path, lambda s: s.write(text.encode()))
    if old is not None and old != content.get("arrays", {}).get("file"):
        path.with_name(old).unlink(missing_ok=True)
    return path


def _require_model(where: str, model: object) -> None:
    if not isinstance(model, Element | System):
        raise TypeError(
            f"{where}: `model` must be an Element or a System, got a {type(model).__name__}."
        )


def _beside(path: Path) -> str | None:
    """The array file of the model that is there already."""
    try:
        name = json.loads(path.read_text(encoding="utf-8"))["arrays"]["file"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) and name == Path(name).name else None


def _text(entry: object, indent: str = "\n") -> str:
    """JSON with one line for each field: what holds numbers or shapes is not broken up."""
    if not isinstance(entry, dict) or not entry or not _is_tree(entry):
        return json.dumps(entry, ensure_ascii=False, allow_nan=False)
    inner = indent + "  "
    parts = (f"{inner}{json.dumps(key)}: {_text(value, inner)}" for key, value in entry.items())
    return "{" + ",".join(parts) + indent + "}"


def _is_tree(entry: dict[str, Any]) -> bool:
    return "learned" not in entry and any(isinstance(value, dict) for value in entry.values())


class _Writer:
    """Turns a model into what JSON knows, and collects the arrays."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.arrays: dict[str, np.ndarray] = {}
        self.seen: dict[int, str] = {}

    def module(self, module: Any, path: tuple[str, ...]) -> dict[str, Any]:
        cls = type(module)
        if cls is System:
            parts = {n: self.module(e, (*path, n)) for n, e in module.items()}
            return {"class": "System", "elements": parts}
        if not isinstance(module, Element):
            self._refuse(path, module)
        if cls.__init__ is not Element.__init__:
            raise TypeError(
                f"{self.where}: {cls.__name__} has an __init__ of its own, so that a file cannot "
                "tell how it is made. Annotate its fields instead."
            )
        fields = {}
        for field in cls._fields:
            fields[field.name] = self.value(getattr(module, field.name), (*path, field.name))
        return {"class": cls.__name__, "module": cls.__module__, "fields": fields}

    def value(self, value: object, path: tuple[str, ...]) -> Any:
        if isinstance(value, nnx.Module):
            return self.module(value, path)
        if isinstance(value, nnx.Variable):
            return self.number(value, ".".join(path))
        return self.static(value, path)

    def number(self, variable: nnx.Variable, name: str) -> dict[str, Any]:
        if id(variable) in self.seen:
            return {"same_as": self.seen[id(variable)]}
        self.seen[id(variable)] = name
        if type(variable) not in (Fixed, nnx.Param):
            raise TypeError(
                f"{self.where}: {name!r} is a {type(variable).__name__}; a file keeps Fixed and "
                "Param."
            )
        if not _check.is_concrete(variable.get_value()):
            raise TypeError(f"{self.where}: {name!r} is traced. Save outside of jit and grad.")
        array = np.asarray(variable.get_value())
        entry: dict[str, Any] = {}
        if array.size > _MOST_NUMBERS or not np.all(np.isfinite(array)):
            self.arrays[name] = array
            entry = {"array": name, "shape": list(array.shape)}
        elif np.iscomplexobj(array):
            entry = {"real": _plain(array.real), "imag": _plain(array.imag)}
        else:
            entry = {"value": _plain(array)}
        unit = labels.unit_of(name)
        entry |= {"unit": unit} if unit else {}
        return entry | {"dtype": str(array.dtype), "learned": isinstance(variable, nnx.Param)}

    def static(self, value: object, path: tuple[str, ...]) -> Any:
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, psf.PolarNodes):
            return {"polar_nodes": list(value)}
        if isinstance(value, tuple):
            return [self.static(v, path) for v in value]
        if isinstance(value, np.dtype) or hasattr(value, "dtype"):
            return {"dtype": str(np.dtype(value))}
        name = getattr(value, "__name__", "")
        if name in psf.__all__ and getattr(psf, name) is value:
            return {"function": f"psf.{name}"}
        return self._refuse(path, value)

    def _refuse(self, path: tuple[str, ...], value: object) -> Any:
        raise TypeError(
            f"{self.where}: {'.'.join(path)!r} is {_kind(value)}, which a file cannot keep. "
            "Write an Element for it."
        )


def _kind(value: object) -> str:
    if callable(value) and hasattr(value, "__name__"):
        return f"the function {value.__name__}"
    return f"a {type(value).__name__}"


def _plain(array: np.ndarray) -> Any:
    """Numbers with just the digits that tell them from their neighbors."""
    if array.ndim:
        return [_plain(a) for a in array]
    return float(str(array)) if array.dtype.itemsize <= 4 else float(array)


# -- reading -------------------------------------------------------------------------------


def load_model(path: str | os.PathLike) -> Any:
    """Loads a model that :func:`save_model` wrote.

    Valid for elements of jaxwave, and for your own ones if they are defined (import the file that
    defines them first): classes are looked up by name, never imported, and nothing is executed.
    The numbers are exact, if 64-bit mode is on for those that were saved in it.

    Args:
        path: The JSON file; the array file lies beside it.

    Returns:
        The model.

    Raises:
        FileNotFoundError: If there is no such file, or the array file beside it is missing.
        ValueError: If a file is damaged or no model, or a class is unknown.

    Example:
        >>> import tempfile
        >>> from jaxwave.elements import System, ThinLens, learn
        >>> system = learn(System(lens=ThinLens("200 mm")), "lens.f")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     load_model(save_model(f"{folder}/system.json", system)).lens
        ThinLens(f=learned 200000 µm)
    """
    where = "load_model"
    path = _files.existing(where, path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: {path.name!r} is no readable JSON ({error}).") from None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError(f"{where}: {path.name!r} is no model of jaxwave; save_model writes them.")
    if content.get("version") != _VERSION:
        raise ValueError(
            f"{where}: {path.name!r} has version {content.get('version')!r} of the format, this "
            f"jaxwave reads version {_VERSION}. Load it with jaxwave {content.get('jaxwave')}."
        )
    try:
        arrays = _arrays(where, path, content["arrays"]) if "arrays" in content else {}
        return _Reader(where, path.name, arrays).module(content["model"], ())
    except (KeyError, AttributeError, TypeError, IndexError, ArithmeticError, RecursionError) as e:
        text = f"{where}: {path.name!r} is incomplete: {e}. Was it edited by hand?"
        raise ValueError(text) from None
    except ValueError as error:
        if str(error).startswith(where):
            raise
        raise ValueError(f"{where}: {path.name!r} holds no model that is right: {error}") from None


def _arrays(where: str, path: Path, entry: dict[str, str]) -> dict[str, np.ndarray]:
    name = str(entry["file"])
    if name != Path(name).name:
        raise ValueError(f"{where}: the array file must lie beside {path.name!r}, got {name!r}.")
    beside = _files.existing(where, path.with_name(name))
    if _files.sha256(beside) != entry["sha256"]:
        raise ValueError(
            f"{where}: {name!r} is damaged or belongs to another model (its checksum differs). "
            "Copy it again, together with the JSON file."
        )
    return _npy.read_npz(where, beside, beside.stat().st_size)  # they are stored as they are


class _Reader:
    """Makes the model anew, so that its values are checked again."""

    def __init__(self, where: str, file: str, arrays: dict[str, np.ndarray]) -> None:
        self.where, self.file, self.arrays = where, file, arrays
        self.variables: dict[str, nnx.Variable] = {}

    def module(self, entry: dict[str, Any], path: tuple[str, ...]) -> Any:
        if entry["class"] == "System":
            parts = {n: self.module(e, (*path, n)) for n, e in entry["elements"].items()}
            return System(**parts)
        cls = self._class(entry["class"], entry["module"])
        known = [field.name for field in cls._fields]
        for name in entry["fields"]:
            if name not in known:
                raise ValueError(
                    f"{self.where}: {cls.__name__} has no field {name!r} (any more). Its fields "
                    f"are: {', '.join(known)}."
                )
        return cls(**{n: self.value(v, (*path, n)) for n, v in entry["fields"].items()})

    def value(self, entry: object, path: tuple[str, ...]) -> Any:
        if isinstance(entry, list):
            return tuple(self.value(v, path) for v in entry)
        if not isinstance(entry, dict):
            return entry
        if "class" in entry:
            return self.module(entry, path)
        if "same_as" in entry:
            return self.variables[entry["same_as"]]
        if "learned" in entry:
            kind = nnx.Param if entry["learned"] else Fixed
            name = ".".join(path)
            try:
                self.variables[name] = variable = kind(self._array(entry))
            except (TypeError, ValueError):
                raise ValueError(
                    f"{self.where}: {self.file!r} has no numbers for {name!r}."
                ) from None
            return variable
        if "polar_nodes" in entry:
            radial, azimuthal, *edges = entry["polar_nodes"]
            return psf.PolarNodes(radial, azimuthal, *map(tuple, edges))
        if "dtype" in entry:
            return _dtype(entry["dtype"])
        name = entry["function"].removeprefix("psf.")
        _check.choice(self.where, "function", name, psf.__all__)
        return getattr(psf, name)

    def _array(self, entry: dict[str, Any]) -> Any:
        if "array" in entry:
            array = self.arrays[entry["array"]]
        elif "real" in entry:
            array = np.asarray(entry["real"]) + 1j * np.asarray(entry["imag"])
        else:
            array = np.asarray(entry["value"])
        return jnp.asarray(array.astype(_dtype(entry["dtype"])))

    def _class(self, name: str, module: str) -> type[Element]:
        found = [cls for cls in _element_classes(Element) if cls.__name__ == name]
        here = [cls for cls in found if cls.__module__ == module]
        if here:
            return here[-1]  # defined anew in a notebook: the newest
        if len({cls.__module__ for cls in found}) == 1:
            return found[-1]
        known = sorted({cls.__name__ for cls in _element_classes(Element)})
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near and not found else ""
        if found:
            hint = f" There are several of that name: {[c.__module__ for c in found]}."
        raise ValueError(
            f"{self.where}: {self.file!r} needs the element {name!r} of {module!r}, which is not "
            f"defined. Import the file that defines it first.{hint}"
        )


def _dtype(name: str) -> np.dtype:
    """A type of single numbers; text, records and arrays of any length are none."""
    found = jnp.dtype(name)
    if not isinstance(name, str) or not (
        jnp.issubdtype(found, jnp.number) or jnp.issubdtype(found, jnp.bool_)
    ):
        raise ValueError(f"{name!r} is no type of numbers")
    return found


def _element_classes(cls: type[Element]) -> list[type[Element]]:
    found = []
    for sub in cls.__subclasses__():
        found += [sub] if not sub.__name__.startswith("_") else []
        found += _element_classes(sub)
    return found


# -- describing ----------------------------------------------------------------------------


def describe(model: nnx.Module) -> str:
    r"""Describes a model, one line for each field, so that two of them can be compared by diff.

    Numbers are exact; arrays are described by shape, type, range
    and the first digits of their checksum.

    Args:
        model: The model, any nnx module.

    Returns:
        The text, in the order of the model.

    Raises:
        TypeError: If ``model`` is not an nnx module.

    Example:
        >>> from jaxwave.elements import System, ThinLens, learn
        >>> print(describe(learn(System(lens=ThinLens("200 mm")), "lens.f")))
        lens: ThinLens
        lens.f = 200000.0 µm (learned)
        lens.n = 1.0
    """
    names.require_module("describe", model)
    return "\n".join(_lines(model, ()))


def _lines(node: object, path: tuple[str, ...]) -> list[str]:
    name = ".".join(path)
    if isinstance(node, nnx.Variable):
        unit = labels.unit_of(name)
        mark = " (learned)" if isinstance(node, nnx.Param) else ""
        return [f"{name} = {_exact(node.get_value(), unit)}{mark}"]
    if isinstance(node, nnx.Module) or names.holds_variables(node):
        # The root and the rows of a bench need no line of their own.
        head = [f"{name or 'model'}: {type(node).__name__}"]
        head = [] if isinstance(node, System) and not path else head
        children = [(k, v) for k, v in names.children(node) if not k.startswith("_")]
        return head + [line for k, v in children for line in _lines(v, (*path, k))]
    return [f"{name} = {labels.static_text(node)}"]


def _exact(value: object, unit: str) -> str:
    if not _check.is_concrete(value) or getattr(value, "dtype", None) is None:
        return labels.array_text(value, unit)
    array = np.asarray(value)
    if array.size > _MOST_NUMBERS:
        checksum = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        return f"{labels.array_text(array, unit)}, sha256 {checksum[:12]}"
    text = array.tolist() if np.iscomplexobj(array) else _plain(array)
    return f"{text} {unit}".rstrip()
