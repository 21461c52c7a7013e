"""Reads measured stacks: TIFF in its dialects, npy, npz; by extras Zarr, HDF5, MATLAB, ND2, CZI."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxwave import _check, _files, _npy
from jaxwave.io import _axes, _czi, _hdf5, _lengths, _tiff, _values, _zarr
from jaxwave.io._raw import Raw, Request
from jaxwave.io.stack import Stack

PixelSize = float | str | Sequence[float | str]  # one length, or (dy, dx)
_LIMITS = {"pixel": (0.005, 50.0), "dz": (0.001, 1000.0)}
_TOLERANCE = 0.01
_HEAD = 2000  # bytes that tell a format; XML may begin with a long comment
_FOREIGN = {
    b"\x80\x02": "a pickle, which is never loaded because it could run any program",
    b"\x80\x03": "a pickle, which is never loaded because it could run any program",
    b"\x80\x04": "a pickle, which is never loaded because it could run any program",
    b"\x80\x05": "a pickle, which is never loaded because it could run any program",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x70\0\0\0": "a LIF file of Leica's LAS X",
    b"\xd0\xcf\x11\xe0": "an OLE file, such as Olympus' OIB or Zeiss' ZVI",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"BM": "a BMP image",
}


_SUFFIXES = "TIFF, npy, npz, Zarr, HDF5, Imaris, MATLAB, ND2 or CZI"


def _load(ask: Request, path: Path) -> Raw:
    """Recognizes a file by its first bytes, never by its name, and reads it."""
    where = ask.where
    if path.is_dir():
        return _zarr.read(ask, path)
    with path.open("rb") as stream:
        magic = stream.read(_HEAD)
        if magic[:6] == b"\x93NUMPY":
            stream.seek(0)
            size = path.stat().st_size
            array = _npy.read_npy(where, path.name, stream, size, ask.max_bytes)
            return Raw(array, _axes.guess(array.shape), {})
    if magic[:4] == b"PK\x03\x04":
        return _from_zip(ask, path)
    if magic[:4] in _tiff.MAGIC:
        return _tiff.read(ask, path)
    if magic[:4] == b"\x89HDF" or magic[:10] == b"MATLAB 7.3":
        return _hdf5.read_hdf5(ask, path)
    if magic[:6] == b"MATLAB":
        return _hdf5.read_matlab(ask, path)
    if magic[:4] == b"\xda\xce\xbe\x0a":
        return _hdf5.read_nd2(ask, path)
    if magic[:10] == b"ZISRAWFILE":
        return _czi.read(ask, path)
    if re.match(rb"(\xef\xbb\xbf)?\s*(<\?xml.*?\?>\s*)?(<!--.*?-->\s*)*<(\w+:)?OME\b", magic, re.S):
        return _tiff.read_companion(ask, path)
    foreign = next((text for head, text in _FOREIGN.items() if magic.startswith(head)), None)
    raise ValueError(
        f"{where}: {path.name!r} is not a {_SUFFIXES} file; it "
        + (f"is {foreign}" if foreign else f"begins with {magic[:8]!r}")
        + ". Save the stack as (OME-)TIFF, in its own program or in Fiji."
    )


def _from_zip(ask: Request, path: Path) -> Raw:
    try:
        with zipfile.ZipFile(path) as archive:
            if _zarr.is_zip(archive):
                return _zarr.read(ask, path, archive)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
        raise ValueError(
            f"{ask.where}: {path.name!r} is damaged ({error}). Copy it again."
        ) from None
    return _from_npz(ask, path)


def _from_npz(ask: Request, path: Path) -> Raw:
    where, name = ask.where, ask.name
    arrays = _npy.read_npz(where, path, ask.max_bytes)
    stacks = {key: array for key, array in arrays.items() if array.ndim >= 2}
    if name is not None and name not in stacks:
        raise ValueError(
            f"{where}: {path.name!r} holds no stack {name!r}; it holds {', '.join(stacks)}."
        )
    if name is not None:
        stacks = {name: stacks[name]}
    name = "data" if "data" in stacks else next(iter(stacks), "")
    if not stacks or (len(stacks) > 1 and name != "data"):
        raise ValueError(
            f"{where}: {path.name!r} must hold one stack, or one with the name 'data', got the "
            f"arrays {', '.join(f'{k} {a.shape}' for k, a in arrays.items()) or 'none'}. "
            "Pass the one you mean as `name`."
        )
    lengths = _lengths.triple(arrays, "spacing", "npz spacing")
    others = {key: array for key, array in arrays.items() if array.ndim < 2}
    shape = stacks[name].shape
    return Raw(stacks[name], _axes.guess(shape), lengths, hints=_lengths.hints(others))


def _user_length(where: str, name: str, value: object) -> float:
    """One length from the user [µm], checked against what microscopes have."""
    if np.ndim(value):  # type: ignore[arg-type]
        raise TypeError(f"{where}: `{name}` must be one length, got {value!r}.")
    value = _check.length(where, name, value)
    _check.positive(where, name, value, unit="µm")
    value = float(value)
    low, high = _LIMITS[name]
    for factor, unit, other in ((1e-3, "nm", "nanometres"), (1e6, "m", "metres")):
        if not low <= value <= high and low <= value * factor <= high:
            raise ValueError(
                f"{where}: `{name}` is in micrometers; {value:g} looks like {other}; pass "
                f"{value * factor:g} or '{value:g} {unit}'."
            )
    _check.between(where, name, value, low, high, fix="It is in micrometers.")
    return value


def _user_lengths(where: str, pixel: PixelSize | None, dz: float | str | None) -> dict[str, float]:
    """The user's lengths by axis."""
    given: dict[str, float] = {}
    if dz is not None:
        given["dz"] = _user_length(where, "dz", dz)
    if pixel is not None:
        pair = pixel if isinstance(pixel, tuple | list | np.ndarray) and np.ndim(pixel) else [pixel]
        if len(pair) not in (1, 2):
            raise ValueError(f"{where}: `pixel` must be one length or (dy, dx), got {pixel!r}.")
        given["dy"] = _user_length(where, "pixel", pair[0])
        given["dx"] = _user_length(where, "pixel", pair[-1])
    return given


@dataclasses.dataclass
class _Spacing:
    """The voxel size with its provenance, and what has to be said about it."""

    values: dict[str, float] = dataclasses.field(default_factory=dict)
    provenance: dict[str, str] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    conflicts: dict[str, str] = dataclasses.field(default_factory=dict)


def _spacing(where: str, name: str, given: dict[str, float], raw: Raw) -> _Spacing:
    """Voxel size: the user's value wins over the file's; one that neither has is asked for."""
    found = _Spacing()
    for axis in ("dz", "dy", "dx"):
        option = "dz" if axis == "dz" else "pixel"
        file = _usable(axis, option, raw.lengths.get(axis), found.notes)
        if axis in given:
            found.values[axis], found.provenance[axis] = given[axis], f"{given[axis]:.6g} µm, user"
            if file and not file.problem:
                _compare(axis, given[axis], file, found)
        elif file and not file.problem:
            found.values[axis] = file.value
            found.provenance[axis] = f"{file.value:.6g} µm, file ({file.source})"
        else:
            example = "'300 nm'" if option == "dz" else "'130 nm'"
            why = file.problem if file else _unknown(axis, raw)
            raise ValueError(
                f"{where}: `{option}` is needed, because {name!r} {why}. Pass it "
                f"in micrometers or as text, such as {option}={example}."
            )
    return found


def _unknown(axis: str, raw: Raw) -> str:
    """Why a file has no such length: what it says instead, or that it says nothing."""
    other = raw.lengths.get({"dy": "dx", "dx": "dy"}.get(axis, ""))
    if other and not other.problem:
        side, missing = ("x", "y") if axis == "dy" else ("y", "x")
        return f"states {other.value:.4g} µm along {side} ({other.source}) and none along {missing}"
    if raw.hints:
        return f"does not state it in a way known here (it holds {', '.join(raw.hints)})"
    return "does not state it"


def _usable(
    axis: str, option: str, file: _lengths.Length | None, notes: list[str]
) -> _lengths.Length | None:
    """The file's length with a positive sign, or what is wrong with it; also said in the notes."""
    if file is None:
        return None
    low, high = _LIMITS[option]
    if not file.problem and not low <= abs(file.value) <= high:
        problem = f"states {file.value:.4g} µm ({file.source}), which is absurd"
        file = dataclasses.replace(file, problem=problem)
    if file.problem:
        notes.append(f"{axis} is not that of the file: it {file.problem}")
    elif file.value < 0:
        notes.append(f"{axis} is negative in the file ({file.source}); its size is used")
        file = dataclasses.replace(file, value=-file.value)
    return file


def _compare(axis: str, mine: float, file: _lengths.Length, found: _Spacing) -> None:
    """Says what the file says, and loudly where the user's number differs; that one is used."""
    found.provenance[axis] += f"; the file says {file.value:.6g} µm ({file.source})"
    if abs(file.value / mine - 1) > _TOLERANCE:
        option = "dz" if axis == "dz" else "pixel"
        found.conflicts[option] = (
            f"`{option}` is {mine:.4g} µm by your argument and {file.value:.4g} µm "
            f"by the file ({file.source}). Yours is used."
        )


def _checksum(path: Path) -> str:
    """Checksum of a file; of a folder, that of the checksums of its files by name."""
    if path.is_file():
        return _files.sha256(path)
    parts = sorted(part for part in path.rglob("*") if part.is_file())
    lines = (f"{part.relative_to(path).as_posix()} {_files.sha256(part)}\n" for part in parts)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _chosen(where: str, select: object) -> dict[str, int]:
    """Entries of other axes by their letters."""
    if isinstance(select, Mapping) and all(
        isinstance(index, int | np.integer) for index in select.values()
    ):
        return {str(letter).upper(): int(index) for letter, index in select.items()}
    if select is None:
        return {}
    raise TypeError(
        f"{where}: `select` must look like {{'C': 0}}, with whole numbers, got {select!r}."
    )


def read_stack(
    path: str | os.PathLike,
    *,
    pixel: PixelSize | None = None,
    dz: float | str | None = None,
    axes: str | None = None,
    select: Mapping[str, int] | None = None,
    name: str | None = None,
    max_bytes: float = 2**32,
    nan: str = "error",
    missing: str = "error",
) -> Stack:
    """Reads a measured z stack and says where every number came from.

    Valid for TIFF (OME, ImageJ, BoundingBox or plain), npy and npz files of one channel, and with
    the extras ``zarr``, ``hdf5``, ``matlab``, ``nd2`` and, from Python 3.12 on, ``czi`` for those
    formats (MATLAB's arrays are (y, x, z)); the values stay as they are in the file. Your numbers
    win over the file's, with a warning if they differ by more than 1 %. What the header claims is
    compared with the file before it is read, and nothing is unpickled.

    Args:
        path: File to read, or a Zarr folder.
        pixel: Pixel size in the sample, one length or (dy, dx) [µm], or text as ``"130 nm"``.
        dz: Distance of the planes, positive [µm], or text as ``"300 nm"``.
        axes: Letters of the stored axes, such as ``"ZYX"`` or ``"CZYX"``, if the file is silent
            or wrong.
        select: Which entry of an axis to keep, such as ``{"C": 0}``; P chooses the image
            (position, series) of a file that holds several.
        name: Which array to read where an npz, HDF5 or MATLAB file holds several.
        max_bytes: Largest size in memory that is accepted [bytes].
        nan: ``"error"`` refuses NaN and infinity, ``"mask"`` fills them with the median and
            marks them in ``Stack.mask``.

        missing: What to do where planes or chunks are not in the file: ``"error"``, ``"trim"``
            keeps the planes before the gap (of a stopped acquisition), and ``"fill"`` takes the
            value that Zarr and HDF5 files name for chunks that they leave out.

    Returns:
        The stack, ``(z, y, x)``, with spacing, provenance, saturation level, mask and checksum.

    Raises:
        FileNotFoundError: If there is no such file.
        IsADirectoryError: If the path is a folder that is not Zarr.
        ImportError: If the package for the format is not installed; the error names the extra.
        ValueError: If the file is empty, truncated, too large, in color, not a stack, ambiguous,
            damaged, holds pickled objects, NaN or infinity, or if a length is missing or absurd.

    Warns:
        JaxwaveWarning: If your numbers and the file's disagree, or z is stored as time or channel.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "beads.npy"
        >>> np.save(path, np.ones((5, 16, 16), np.uint16))
        >>> stack = read_stack(path, pixel="130 nm", dz="300 nm")
        >>> stack
        Stack((5, 16, 16) float32, spacing=(0.3, 0.13, 0.13) µm)
        >>> stack.provenance["dz"]
        '0.3 µm, user'
    """
    where = "read_stack"
    _check.choice(where, "nan", nan, ("error", "mask"))
    _check.choice(where, "missing", missing, ("error", "trim", "fill"))
    given = _user_lengths(where, pixel, dz)
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"{where}: `path` must be the name of a file, got {type(path).__name__}.")
    path = Path(path)
    if not _zarr.is_zarr(path):
        path = _files.existing(where, path)
    _check.positive(where, "max_bytes", max_bytes, unit="bytes")
    ask = Request(where, max_bytes, axes, name, _chosen(where, select), missing)
    raw = _load(ask, path)
    if raw.axes is None and axes is None:
        raise ValueError(
            f"{where}: `axes` are needed, because {path.name!r} has the shape {raw.array.shape} "
            "and does not name them. Pass them in the stored order, such as axes='YXZ'."
        )
    stored = raw.axes or ""
    array, order, doubt = _axes.to_zyx(where, path.name, raw.array, stored, axes, ask.select)
    size = _spacing(where, path.name, given, raw)
    data, mask, remarks = _values.to_float32(where, path.name, array, nan)
    level, origin, more = _values.saturation(np.where(mask, data, array) if mask.any() else array)
    doubts = [doubt + " Pass axes='ZYX' if that is right."] if doubt else []
    for text in [*size.conflicts.values(), *doubts]:
        _check.warn(where, text)
    saturation = f"{level:g} counts, {origin}"
    return Stack(
        data,
        (size.values["dz"], size.values["dy"], size.values["dx"]),
        provenance={**size.provenance, "axes": order, "saturation": saturation},
        file_dtype=str(array.dtype),
        saturation=level,
        mask=mask,
        path=str(path),
        sha256=_checksum(path),
        notes=(*raw.notes, *size.notes, *remarks, *more, *([doubt] if doubt else [])),
    )
