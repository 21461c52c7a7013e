"""Point-spread functions out of the files of other programs, complex ones too."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from jaxwave import _check, _files
from jaxwave.io import _axes
from jaxwave.io._raw import Request
from jaxwave.io.reader import _load

_WHERE = "read_psf"
_PARTS = 2  # real and imaginary
_NARROW = 4  # pixels of an image that is taken for one with other axes


def read_psf(
    path: str | os.PathLike,
    *,
    axes: str | None = None,
    select: Mapping[str, int] | None = None,
    name: str | None = None,
    max_bytes: float = 2**32,
) -> np.ndarray:
    """Reads a PSF of any program: intensities, or a complex field in any of its usual layouts.

    Valid for npy, npz, TIFF, Zarr, HDF5 and MATLAB files (each with its extra) that hold one PSF.
    Complex numbers come as such, as structures of two fields (``r, i`` or ``real, imag``), or as
    real numbers whose last axis holds real and imaginary parts, as in WaveBlocks' files
    ``[1, depths, y, x, 2]``. Axes of length one are dropped. The values are not scaled: divide by
    their sum for a kernel of :func:`~jaxwave.convolve_psf`.

    Args:
        path: File to read, or a Zarr folder.
        axes: Letters of the stored axes if the file is silent or wrong, such as ``"YXZ"``; C is
            the axis of real and imaginary parts, as in ``"CZYX"``.
        select: Which entry of another axis to keep, such as ``{"P": 3}``.
        name: Which array to read where a file holds several.
        max_bytes: Largest size in memory that is accepted [bytes].

    Returns:
        The PSF, ``(z, y, x)``, float32 or complex64 [unit of the file]; one image has one plane.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If the package for the format is not installed; the error names the extra.
        ValueError: If the file holds no or several arrays, its axes are not told apart (an array
            ``(y, x, z)`` looks so, and two planes with negative values, which may be real and
            imaginary parts), parts of complex numbers are not two, or a value is not finite.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> path = Path(tempfile.mkdtemp()) / "psf.npz"
        >>> np.savez(path, psf=np.ones((1, 3, 9, 7, 2), np.float32))
        >>> h = read_psf(path)
        >>> h.shape, h.dtype, complex(h[0, 0, 0])
        ((3, 9, 7), dtype('complex64'), (1+1j))

    References:
        J. Page and P. Favaro, ICIP 2020, the files of their software WaveBlocks.
    """
    path = _files.as_path(_WHERE, path)
    if not path.is_dir():
        path = _files.existing(_WHERE, path)
    chosen = {str(letter).upper(): int(index) for letter, index in (select or {}).items()}
    raw = _load(Request(_WHERE, max_bytes, axes, name, chosen, fields=True), path)
    stored = raw.axes if raw.axes and len(raw.axes) == raw.array.ndim else None
    if axes is None and "C" in (stored or "") and "C" not in chosen:
        entries = raw.array.shape[(stored or "").index("C")]
        if entries > 1:
            raise ValueError(
                f"{_WHERE}: {path.name!r} has {entries} channels. Choose one with `select`, such "
                f"as select={{'C': 0}}; if two are real and imaginary parts, pass axes={stored!r}."
            )
    array, letters = _lettered(path.name, _as_complex(path.name, raw.array), axes or stored, chosen)
    order = [letters.index(letter) for letter in "ZYX"]
    h = array.transpose(order)
    if h.shape[0] < 1 or min(h.shape[1:]) < 2:
        raise ValueError(
            f"{_WHERE}: a PSF (z, y, x) has several pixels, and {path.name!r} has the shape "
            f"{raw.array.shape}. Pass its `axes`, such as axes='ZYX'."
        )
    if axes is None:
        _doubt(path.name, raw.array.shape, h)
    parts = [h.real, h.imag] if np.iscomplexobj(h) else [h]
    for part in parts:
        _check.finite_array(_WHERE, path.name, part, fix="Compute the PSF again.")
    return np.ascontiguousarray(h, np.complex64 if np.iscomplexobj(h) else np.float32)


def _doubt(name: str, shape: tuple[int, ...], h: np.ndarray) -> None:
    """What a PSF does not look like has other axes than those that were taken."""
    least, most = sorted(h.shape[1:])
    if least <= _NARROW and 2 * least < most:
        raise ValueError(
            f"{_WHERE}: `axes` are needed, because {name!r} has the shape {shape}, and images of "
            f"{h.shape[1]} x {h.shape[2]} pixels look transposed. Pass one letter for each in the "
            "stored order, such as axes='ZYX', with C for real and imaginary parts."
        )
    if len(h) == _PARTS and not np.iscomplexobj(h) and h.size and np.min(h) < 0:
        raise ValueError(
            f"{_WHERE}: `axes` are needed, because {name!r} has the shape {shape} with negative "
            "values: real and imaginary parts, or two planes? Pass one letter for each in the "
            "stored order, C for parts and Z for planes, such as axes='CYX'."
        )


def _as_complex(name: str, array: np.ndarray) -> np.ndarray:
    """Structures of two numbers as complex ones."""
    fields = array.dtype.names
    if fields is None:
        if array.dtype.kind not in "fiubc":
            raise ValueError(f"{_WHERE}: {name!r} must hold numbers, got {array.dtype}.")
        return array
    pairs = [{"r", "i"}, {"real", "imag"}, {"re", "im"}]
    kinds = {array.dtype[field].kind for field in fields}
    if {field.lower() for field in fields} not in pairs or not kinds <= set("fiu"):
        raise ValueError(
            f"{_WHERE}: {name!r} holds structures with the fields {', '.join(fields)}; complex "
            "numbers have r and i, or real and imag. Save a plain complex array."
        )
    real = next(field for field in fields if field.lower()[0] == "r")
    imaginary = next(field for field in fields if field != real)
    return array[real] + 1j * array[imaginary]


def _lettered(
    name: str, array: np.ndarray, axes: str | None, select: dict[str, int]
) -> tuple[np.ndarray, str]:
    """The array with the axes Z, Y and X, in any order, and their letters."""
    shape = array.shape
    if axes is None and array.ndim >= 4 and shape[-1] == _PARTS and not np.iscomplexobj(array):
        array = array[..., 0] + 1j * array[..., 1]
    if axes is None:
        array = array.squeeze() if array.ndim > 3 else array
        axes = _axes.guess(array.shape)
    letters = (axes or "").upper()
    known = len(letters) == array.ndim == len(set(letters)) and {"Y", "X"} <= set(letters)
    if not known:
        raise ValueError(
            f"{_WHERE}: `axes` are needed, because {name!r} has the shape {shape}"
            + (f", got {axes!r}" if axes else ", which does not tell them apart")
            + ". Pass one letter for each in the stored order, such as axes='YXZ', with C for real "
            "and imaginary parts."
        )
    for letter, index in select.items():
        if (
            letter not in letters
            or not -array.shape[letters.index(letter)]
            <= index
            < (array.shape[letters.index(letter)])
        ):
            raise ValueError(
                f"{_WHERE}: `select` must name an entry of the axes {letters!r} of {name!r}, whose "
                f"shape is {shape}, got {letter!r}: {index}."
            )
        array = np.take(array, index, letters.index(letter))
        letters = letters.replace(letter, "")
    if "C" in letters and array.shape[letters.index("C")] != 1:
        array, letters = _joined(name, array, letters)
    for letter in letters:
        if letter not in "YX" and array.shape[letters.index(letter)] == 1:
            array = array.squeeze(letters.index(letter))
            letters = letters.replace(letter, "")
    rest = [letter for letter in letters if letter not in "YX"]
    if len(rest) > 1:
        raise ValueError(
            f"{_WHERE}: a PSF has the axes z, y and x, and {name!r} has {letters!r} with the shape "
            f"{array.shape}. Choose one entry with `select`, such as select={{{rest[0]!r}: 0}}."
        )
    if not rest:
        return array[None], "Z" + letters
    return array, letters.replace(rest[0], "Z")


def _joined(name: str, array: np.ndarray, letters: str) -> tuple[np.ndarray, str]:
    """Real and imaginary parts along the axis C as complex numbers."""
    place = letters.index("C")
    if array.shape[place] != _PARTS or np.iscomplexobj(array):
        raise ValueError(
            f"{_WHERE}: the axis C of {name!r} must hold real and imaginary parts, two entries of "
            f"real numbers, got {array.shape[place]} of {array.dtype}. Choose a channel with "
            "`select`, such as select={'C': 0}."
        )
    real, imaginary = (np.take(array, k, place) for k in range(_PARTS))
    return real + 1j * imaginary, letters.replace("C", "")
