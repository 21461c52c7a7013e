"""What phase devices show and how they answer: images of levels, and tables of phases."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jaxwave import _check, _files, _npy
from jaxwave.io import _lengths, _optional, _tiff
from jaxwave.io._raw import Request

_MOST = 2.0**28  # bytes of an image, of a table
_MOST_LEVELS = 1 << 16
_ENDINGS = (".png", ".bmp", ".tif", ".tiff")
_ANGLES = {"rad": 1.0, "radian": 1.0, "radians": 1.0, "pi": math.pi, "π": math.pi}
_ANGLES |= dict.fromkeys(("turn", "turns", "wave", "waves", "2pi", "2π"), 2 * math.pi)
_ANGLES |= dict.fromkeys(("deg", "degree", "degrees", "°"), math.pi / 180)
_UNITS = "rad, pi, turns, deg, or a length such as nm"


# -- images of levels ----------------------------------------------------------------------


def read_levels(path: str | os.PathLike, *, shape: tuple[int, int] | None = None) -> np.ndarray:
    """Reads the image of levels that a phase device shows.

    Valid for PNG, BMP, TIFF and npy files of one gray channel, or of colors that are equal, as
    vendors' programs write them; no palette, no gamma and no scaling is applied.

    Args:
        path: File to read.
        shape: Pixels (ny, nx) of the device; None takes any size.

    Returns:
        The levels, uint8 or uint16 ``(y, x)`` [no unit], for :func:`jaxwave.slm`.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If Pillow or tifffile is not installed; the error names the extra.
        ValueError: If the file is damaged, of another kind, in color, transparent, of less than 8
            bits, or of another shape.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "blaze.png"
        >>> path = write_levels(path, np.arange(12).reshape(3, 4) * 23)
        >>> read_levels(path, shape=(3, 4))[2].tolist()
        [184, 207, 230, 253]
    """
    where, path = "read_levels", _files.existing("read_levels", path)
    with path.open("rb") as stream:
        head = stream.read(33)
    if head[:8] == b"\x89PNG\r\n\x1a\n" or head[:2] == b"BM":
        _check_depth(where, path, head)
        levels = _picture(where, path)
    elif head[:4] in _tiff.MAGIC:
        levels = _tiff.read(Request(where, _MOST), path).array.squeeze()
    elif head[:6] == b"\x93NUMPY":
        with path.open("rb") as stream:
            levels = _npy.read_npy(where, path.name, stream, path.stat().st_size, _MOST)
    else:
        raise ValueError(
            f"{where}: {path.name!r} is not a PNG, BMP, TIFF or npy file; it begins with "
            f"{head[:4]!r}. Save the levels as PNG (JPEG changes them)."
        )
    if levels.ndim != 2 or levels.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"{where}: {path.name!r} must hold one image (y, x) of 8 or 16 bits without sign, got "
            f"{levels.dtype} {levels.shape}. Save the levels as a gray PNG."
        )
    if shape is not None and levels.shape != tuple(shape):
        raise ValueError(
            f"{where}: `shape` must be that of {path.name!r}, {levels.shape}, got {tuple(shape)}. "
            "Levels are not resampled: compute them for the pixels of the device."
        )
    return np.ascontiguousarray(levels.astype(levels.dtype.newbyteorder("="), copy=False))


def _check_depth(where: str, path: Path, head: bytes) -> None:
    """Requires levels that Pillow neither spreads (below 8 bits) nor cuts (colors of 16)."""
    if head[:2] == b"BM" or len(head) < 26:
        return
    depth, color = head[24], head[25]
    if depth < 8 or (depth == 16 and color != 0):
        raise ValueError(
            f"{where}: {path.name!r} has {depth} bits {'a pixel' if depth < 8 else 'a color'}, "
            "and levels are read from 8 or 16 gray bits. Save them as a gray PNG."
        )


def _picture(where: str, path: Path) -> np.ndarray:
    """The one channel of a PNG or BMP file, as it is stored."""
    images = _optional.require(where, "PIL.Image", "plot", "PNG and BMP images")
    try:
        with images.open(path, formats=("PNG", "BMP")) as image:
            _files.fits(where, path.name, 4 * math.prod(image.size), _MOST)
            if image.mode == "P":
                image = image.convert("RGBA" if "transparency" in image.info else "RGB")
            array, mode = np.asarray(image), image.mode
    except Exception as error:
        if str(error).startswith(where):
            raise
        raise ValueError(f"{where}: {path.name!r} is damaged ({error}). Copy it again.") from None
    if mode in ("LA", "RGBA"):
        if (array[..., -1] != 255).any():
            raise ValueError(f"{where}: {path.name!r} is transparent in places. Save it as gray.")
        array = array[..., :-1]
    if array.ndim == 3:
        if (array != array[..., :1]).any():
            raise ValueError(
                f"{where}: {path.name!r} is a color image, and a device has one level a pixel. "
                "Save the channel that it shows as gray."
            )
        array = array[..., 0]
    return array.astype(np.uint16) if mode == "I" and array.max(initial=0) < 65536 else array


def write_levels(path: str | os.PathLike, levels: ArrayLike, *, bits: int = 8) -> Path:
    """Writes the image of levels that a phase device is to show, atomically.

    Valid for one image. Up to 8 bits the file has 8 (``.png``, ``.bmp``, ``.tif``), above that 16
    (``.png``, ``.tif``), in which the numbers stay what they are: 10 bits end at 1023.

    Args:
        path: File to write; its ending chooses the format, its folder must exist.
        levels: Whole numbers ``(y, x)`` [no unit], such as :func:`jaxwave.levels_for_phase` gives.
        bits: Bits b of the device, 1 to 16.

    Returns:
        The path that was written.

    Raises:
        ImportError: If Pillow or tifffile is not installed; the error names the extra.
        TypeError: If the levels are complex or ``bits`` is no integer.
        ValueError: If a level is no whole number or beyond the device, the shape is not (y, x), or
            the name ends in no format that takes them.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_levels(folder / "a.bmp", np.full((4, 6), 128)).name
        'a.bmp'
        >>> write_levels(folder / "a.png", np.full((4, 6), 1024), bits=10)
        Traceback (most recent call last):
        ...
        ValueError: write_levels: `levels` must lie between 0 and 1023 (10 bits), got 1024 to ...
    """
    where, place = "write_levels", _files.as_path("write_levels", path)
    _check.integer(where, "bits", bits, 1)
    values = np.asarray(levels)
    if values.dtype.kind not in "uifb":
        raise TypeError(f"{where}: `levels` must be real, got {values.dtype}.")
    if values.ndim != 2 or not values.size:
        raise ValueError(f"{where}: `levels` must have the axes (y, x), got {values.shape}.")
    if not (np.isfinite(values) & (values == np.round(values))).all():
        raise ValueError(
            f"{where}: `levels` must be whole numbers. Round them, or take "
            "levels_for_phase(phase, table)."
        )
    low, high, most = int(values.min()), int(values.max()), 2**bits - 1
    if low < 0 or high > most or bits > 16:
        raise ValueError(
            f"{where}: `levels` must lie between 0 and {most} ({bits} bits), got {low} to {high}; "
            "`bits` are 1 to 16. Take the levels modulo the device's, or pass its `bits`."
        )
    ending = place.suffix.lower()
    allowed = _ENDINGS if bits <= 8 else tuple(e for e in _ENDINGS if e != ".bmp")
    if ending not in allowed:
        raise ValueError(
            f"{where}: the name must end in {', '.join(allowed)} for {bits} bits, got "
            f"{place.name!r}."
        )
    values = np.ascontiguousarray(values, np.uint8 if bits <= 8 else np.uint16)
    if ending in (".tif", ".tiff"):
        tifffile = _tiff.require_tifffile(where)
        options: dict[str, Any] = {"photometric": "minisblack", "metadata": None}
        return _files.atomic(where, place, lambda file: tifffile.imwrite(file, values, **options))
    image = _optional.require(where, "PIL.Image", "plot", "PNG and BMP images").fromarray(values)
    return _files.atomic(where, place, lambda file: image.save(file, format=ending[1:]))


# -- tables of phases ----------------------------------------------------------------------


def read_phase_table(
    path: str | os.PathLike, *, unit: str | None = None, wavelength: float | str | None = None
) -> np.ndarray:
    r"""Reads which phase a device gives at each of its levels.

    .. math:: \varphi_l = \varphi_a + \frac{l-a}{b-a}(\varphi_b-\varphi_a),\qquad a \le l \le b

    Valid for a text table of two columns, level and phase, from level 0 upward; levels a < b may
    be measured with gaps, between which the phase is a straight line. The unit stands in the
    heading, as in ``phase [rad]``, or is given.

    Args:
        path: CSV file, with commas, semicolons, tabs or blanks between the columns.
        unit: Unit of the second column: rad, pi, turns, deg, or a length (of the optical path);
            None takes that of the heading.
        wavelength: Vacuum wavelength [µm], or text as ``"633 nm"``; needed for a length only.

    Returns:
        Phase at the levels 0, 1, 2 ..., ``(K,)`` [rad], for :func:`jaxwave.slm` and
        :func:`jaxwave.levels_for_phase`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a row is no pair of numbers, the levels do not rise from 0, a phase is not
            finite, or the unit is missing, unknown, or a length without a wavelength.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "lut.csv"
        >>> _ = path.write_text("level;stroke [nm]\n0;0\n2;316.5\n3;633\n")
        >>> np.round(read_phase_table(path, wavelength="633 nm") / np.pi, 3).tolist()
        [0.0, 0.5, 1.0, 2.0]

    References:
        C. Lingel, T. Haist and W. Osten, "Optimizing the diffraction efficiency of SLM-based
        holography with respect to the fringing field effect", Appl. Opt. 52, 6877 (2013).
    """
    where, path = "read_phase_table", _files.existing("read_phase_table", path)
    _files.fits(where, path.name, path.stat().st_size, _MOST)
    heading, rows = _rows(where, path)
    factor = _radians(where, path.name, heading if unit is None else f"[{unit}]", wavelength)
    levels, phases = np.array(rows).T
    steps = np.diff(levels)
    whole = (levels == np.round(levels)).all() and (steps > 0).all() and levels[0] == 0
    if not whole or len(rows) < 2 or levels[-1] >= _MOST_LEVELS:
        raise ValueError(
            f"{where}: the levels of {path.name!r} must be whole numbers that rise from 0 to at "
            f"most {_MOST_LEVELS - 1}, got {len(rows)} from {levels[0]:g} to {levels[-1]:g}."
        )
    _check.finite_array(where, path.name, phases)
    return np.interp(np.arange(int(levels[-1]) + 1), levels, phases * factor)


def _rows(where: str, path: Path) -> tuple[str, list[tuple[float, float]]]:
    """The heading, "" without one, and the pairs of numbers."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    lines = [line for line in map(str.strip, text.splitlines()) if line and line[0] != "#"]
    heading = "" if not lines or lines[0][0] in "+-.0123456789" else lines.pop(0)
    rows = []
    for number, line in enumerate(lines, 1):
        parts = [part for part in re.split(r"[;\t]|,\s*|\s+", line) if part]
        try:
            level, phase = (float(part) for part in parts)
        except ValueError:
            raise ValueError(
                f"{where}: row {number} of {path.name!r} must be a level and a phase, got "
                f"{line[:60]!r}. Keep two columns, with a point in the numbers."
            ) from None
        rows.append((level, phase))
    if not rows:
        raise ValueError(f"{where}: {path.name!r} holds no row of a level and a phase.")
    return heading, rows


def _radians(where: str, name: str, heading: str, wavelength: float | str | None) -> float:
    """Radians in the unit of a heading such as ``phase [rad]``."""
    found = re.findall(r"[\[(]([^\])]+)[\])]", heading)
    unit = found[-1].strip() if found else ""
    if unit.lower() in _ANGLES:
        return _ANGLES[unit.lower()]
    factor = _lengths.unit_factor(unit) if unit else None
    if factor is None:
        what = f"its unit {unit!r} is unknown" if unit else "its heading names none"
        raise ValueError(
            f"{where}: `unit` is needed, because {what} ({name!r}). Pass one of {_UNITS}, or write "
            "it into the heading: level,phase [rad]."
        )
    if wavelength is None:
        raise ValueError(
            f"{where}: `wavelength` is needed, because {name!r} holds lengths in {unit}. Pass it "
            "in micrometers or as text, such as wavelength='633 nm'."
        )
    length = float(_check.length(where, "wavelength", wavelength))
    _check.positive(where, "wavelength", length, unit="µm")
    return 2 * math.pi * factor / length


def write_phase_table(path: str | os.PathLike, table: ArrayLike) -> Path:
    """Writes which phase a device gives at each of its levels, atomically.

    Valid for any table of :func:`jaxwave.slm`; :func:`read_phase_table` reads it back without loss.

    Args:
        path: CSV file to write; its folder must exist.
        table: Phase at the levels 0, 1, 2 ..., ``(K,)`` [rad].

    Returns:
        The path that was written.

    Raises:
        TypeError: If the phases are complex.
        ValueError: If the table is not (K,), shorter than two phases or not finite.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> path = write_phase_table(Path(tempfile.mkdtemp()) / "lut.csv", [0.0, 1.5, 3.25])
        >>> path.read_text().splitlines()
        ['level,phase [rad]', '0,0.0', '1,1.5', '2,3.25']
    """
    where, phases = "write_phase_table", np.asarray(table)
    if phases.dtype.kind not in "uif":
        raise TypeError(f"{where}: `table` must be real, got {phases.dtype}.")
    if phases.ndim != 1 or not 2 <= phases.size <= _MOST_LEVELS:
        raise ValueError(
            f"{where}: `table` must have the axes (K,) with 2 to {_MOST_LEVELS} phases, got the "
            f"shape {phases.shape}."
        )
    _check.finite_array(where, "table", phases)
    lines = [f"{level},{phase!r}" for level, phase in enumerate(phases.astype(float).tolist())]
    text = "\n".join(["level,phase [rad]", *lines, ""]).encode()
    return _files.atomic(where, path, lambda file: file.write(text))
