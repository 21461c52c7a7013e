"""Results: JSON for people and programs, npz for arrays; both atomic, both without pickle."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxwave import _check, _files, _npy
from jaxwave._version import __version__

_CHECKSUM = "sha256"


def _plain(where: str, value: object, place: str) -> Any:
    """Turns a value into what JSON knows; ``place`` is its name for the error."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, complex):
        return {part: _plain(where, getattr(value, part), place) for part in ("real", "imag")}
    if isinstance(value, Mapping):
        return {str(k): _plain(where, v, f"{place}.{k}") for k, v in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [_plain(where, v, f"{place}[{k}]") for k, v in enumerate(value)]
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        array = np.asarray(value)
        if array.dtype.kind in "fiubcU":
            return _plain(where, array.tolist(), place)
        if array.dtype.kind == "V":  # bfloat16 and its kin
            return _plain(where, array.astype(np.float64).tolist(), place)
    raise TypeError(
        f"{where}: {place} must be made of numbers, text, lists and dicts, got "
        f"{type(value).__name__}. Convert it first."
    )


def write_json(path: str | os.PathLike, value: object) -> Path:
    r"""Writes a JSON file atomically.

    Valid for numbers, text, lists, dicts, numpy and jax arrays, nested at will; complex numbers
    become ``{"real": ..., "imag": ...}``. A reader sees the old file or the whole new one, even
    when the program is killed in between.

    Args:
        path: File to write; its folder must exist.
        value: What to write; arrays of any shape become nested lists.

    Returns:
        The path that was written.

    Raises:
        TypeError: If a part of the value has no counterpart in JSON; the error names it.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_json(folder / "a.json", {"z": np.float32(0.5), "bad": np.nan}).read_text()
        '{\n  "z": 0.5,\n  "bad": null\n}\n'
    """
    plain = _plain("write_json", value, "value")
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    data = text.encode(errors="backslashreplace")  # file names may be no text
    return _files.atomic("write_json", path, lambda stream: stream.write(data))


def versions() -> dict[str, str]:
    """Versions of Python, jaxwave and what it computes with."""
    found = {"python": platform.python_version(), "jaxwave": __version__}
    for name in ("jax", "numpy", "flax", "optax"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def write_result(path: str | os.PathLike, result: Mapping[str, Any]) -> Path:
    """Writes the result of a run, with the versions it was made with.

    Valid for whatever :func:`write_json` can write; an entry ``versions`` of the caller is kept.

    Args:
        path: File to write, usually ``result.json``; its folder must exist.
        result: Named results, settings and errors; lengths in [µm] unless the name says otherwise.

    Returns:
        The path that was written.

    Raises:
        TypeError: If ``result`` is not a dict or holds something that JSON cannot.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> path = write_result(Path(tempfile.mkdtemp()) / "result.json", {"heldout_nmse": 0.007})
        >>> sorted(json.loads(path.read_text()))
        ['heldout_nmse', 'versions']
    """
    if not isinstance(result, Mapping):
        raise TypeError(
            f"write_result: `result` must be a dict of named results, got {type(result).__name__}. "
            "Use write_json for anything else."
        )
    return write_json(path, {**result, "versions": result.get("versions", versions())})


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def save_arrays(path: str | os.PathLike, arrays: Mapping[str, Any]) -> Path:
    """Saves named arrays in an npz file, atomically and with a checksum.

    Valid for numbers, booleans and text of any shape; never for Python objects. The same arrays
    give the same file, byte for byte. ``numpy.load`` reads it too.

    Args:
        path: File to write, usually ``*.npz``; its folder must exist.
        arrays: Arrays by name, any shape; the name ``sha256`` is taken.

    Returns:
        The path that was written.

    Raises:
        TypeError: If an array holds Python objects or a type that npz does not know.
        ValueError: If an array has the name ``sha256``.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> path = save_arrays(Path(tempfile.mkdtemp()) / "fit.npz", {"phase": np.zeros((2, 3))})
        >>> load_arrays(path)["phase"].shape
        (2, 3)
    """
    _check.instance("save_arrays", "arrays", arrays, Mapping, "a dict of arrays by name")
    plain = {str(name): np.asarray(array) for name, array in arrays.items()}
    if _CHECKSUM in plain:
        raise ValueError(f"save_arrays: the name {_CHECKSUM!r} is taken. Choose another one.")
    for name, array in plain.items():
        if array.dtype.kind not in "fiubcU":
            raise TypeError(
                f"save_arrays: `{name}` must hold numbers, booleans or text, got {array.dtype}. "
                "Convert it first, for example with astype('float32')."
            )
    entries = plain | {_CHECKSUM: np.array(_digest(plain))}
    return _files.atomic("save_arrays", path, lambda stream: _npy.write_npz(stream, entries))


def load_arrays(path: str | os.PathLike, *, max_bytes: float = 2**34) -> dict[str, np.ndarray]:
    """Loads what :func:`save_arrays` saved and verifies its checksum.

    Valid for any npz file of plain arrays; one without a checksum is guarded by the CRC of the
    zip format only. Nothing is unpickled.

    Args:
        path: File to read.
        max_bytes: Largest total size that is accepted [bytes].

    Returns:
        The arrays by name.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not an npz file, is damaged, or holds Python objects.

    Example:
        >>> import tempfile
        >>> path = save_arrays(Path(tempfile.mkdtemp()) / "fit.npz", {"gain": 2.5})
        >>> {name: float(a) for name, a in load_arrays(path).items()}
        {'gain': 2.5}
    """
    path = _files.existing("load_arrays", path)
    arrays = _npy.read_npz("load_arrays", path, max_bytes)
    stored = arrays.pop(_CHECKSUM, None)
    if stored is not None and str(stored) != _digest(arrays):
        raise ValueError(
            f"load_arrays: {path.name!r} is damaged: its arrays do not match their checksum. "
            "Use a copy or the previous generation."
        )
    return arrays
