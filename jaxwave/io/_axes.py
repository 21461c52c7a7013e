"""Which axis is z: chosen by rule where the file is clear, an error where it is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

_FEW_CHANNELS = 4


def _named(where: str, array: np.ndarray, axes: str | None, stored: str) -> str:
    """Letters of the array's axes: the user's, else the file's."""
    if axes is None:
        return stored
    letters = str(axes).upper()
    if len(set(letters)) != len(letters) or not {"Z", "Y", "X"} <= set(letters):
        raise ValueError(
            f"{where}: `axes` must name every axis once and contain Z, Y and X, such as 'ZYX', "
            f"got {axes!r}."
        )
    return letters


def to_zyx(
    where: str,
    name: str,
    array: np.ndarray,
    stored: str,
    axes: str | None,
    select: Mapping[str, int] | None,
) -> tuple[np.ndarray, str, str]:
    """Brings an array into the order (z, y, x); also says by which rule, and a doubt if any."""
    letters = _named(where, array, axes, stored)
    shape = array.shape
    if len(letters) != array.ndim:
        array = array.squeeze()
    if len(letters) != array.ndim:
        raise ValueError(
            f"{where}: `axes` must name the {len(shape)} axes of {name!r}, whose shape is {shape}, "
            f"got {axes!r}."
        )
    array, letters = _select(where, name, array, letters, select or {})
    extra = [k for k in letters if k not in "ZYX" and array.shape[letters.index(k)] > 1]
    array, letters = _drop_single(array, letters, extra)
    rest = [k for k in letters if k not in "YX"]
    listed = f"the shape {shape} with the axes {stored if axes is None else axes}"
    if not {"Y", "X"} <= set(letters) or not rest or array.shape[letters.index(rest[0])] < 2:
        raise ValueError(
            f"{where}: a z stack (z, y, x) of two planes or more is needed, and {name!r} holds "
            f"one image: {listed}. Save all planes in one file."
        )
    if len(rest) > 1:
        picks = ", ".join(f"{k!r}: 0" for k in rest if k != "Z")
        hint = "Say which axis is z with `axes`, such as axes='ZCYX', and choose"
        hint = "Choose" if "Z" in rest else hint
        raise ValueError(
            f"{where}: `axes` are ambiguous: {name!r} has {listed}, and a z stack has three."
            f" {hint} one entry of the others with `select`, such as select={{{picks}}}."
        )
    z = rest[0]
    planes = array.shape[letters.index(z)]
    if z in "CS" and planes <= _FEW_CHANNELS:
        raise ValueError(
            f"{where}: `axes` are ambiguous: {name!r} has {listed}, and {planes} entries may be "
            "colors or planes. Pass axes='ZYX' if they are planes."
        )
    rule = "user" if axes is not None else "file"
    text = f"{rule}: {letters}" + ("" if z == "Z" else f", {z} read as z, the only stack axis")
    doubt = f"{name!r} stores its {planes} planes as {z}; they are read as z." if z in "TC" else ""
    order = [letters.index(k) for k in (z, "Y", "X")]
    return array.transpose(order), text, doubt


def _select(
    where: str, name: str, array: np.ndarray, letters: str, select: Mapping[str, int]
) -> tuple[np.ndarray, str]:
    for key, index in select.items():
        letter = str(key).upper()
        if letter not in letters or letter in "YX":
            raise ValueError(
                f"{where}: `select` must choose from the stack axes of {name!r}, which are "
                f"{letters!r}, got {key!r}."
            )
        axis = letters.index(letter)
        if not -array.shape[axis] <= index < array.shape[axis]:
            raise ValueError(
                f"{where}: `select` must lie within the {array.shape[axis]} entries of axis "
                f"{letter}, got {index}."
            )
        array, letters = np.take(array, index, axis), letters.replace(letter, "")
    return array, letters


def _drop_single(array: np.ndarray, letters: str, extra: list[str]) -> tuple[np.ndarray, str]:
    """Drops axes of length one, Z too when another stack axis is longer."""
    for letter in letters:
        single = array.shape[letters.index(letter)] == 1
        if single and (letter not in "ZYX" or (letter == "Z" and extra)):
            array, letters = array.squeeze(letters.index(letter)), letters.replace(letter, "")
    return array, letters


def letters(names: Iterable[object], count: int) -> str | None:
    """One letter for each named axis, or None where the names do not tell all of them apart."""
    known = {"channel": "C", "time": "T", "position": "P", "depth": "Z", "row": "Y", "col": "X"}
    known |= {"plane": "Z", "slice": "Z", "column": "X", "height": "Y", "width": "X", "frame": "T"}
    texts = [str(name or "").strip().lower() for name in names]
    found = "".join(known.get(text, text[:1].upper() or "?") for text in texts)
    whole = len(found) == count and len(set(found)) == count and {"Y", "X"} <= set(found)
    return found if whole and "?" not in found else None


def guess(shape: tuple[int, ...]) -> str | None:
    """Axes of an array without labels, or None where (z, y, x) would be a guess."""
    if len(shape) == 2:
        return "YX"
    if len(shape) != 3 or shape[2] <= _FEW_CHANNELS:
        return None
    looks_like_yxz = shape[0] == shape[1] != shape[2]
    return None if looks_like_yxz else "ZYX"
