"""Maps of optical path differences in the files of interferometers."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
from jax.typing import ArrayLike

from jaxwave import _check, _files

_MAGIC, _FORMAT, _HEADER = 0x881B036F, 1, 834
_RESOLUTION, _STEPS = 1, 32768  # of a wave
_INVALID = 2147483640


def write_opd(
    path: str | os.PathLike, opd: ArrayLike, *, spacing: float | str, wavelength: float | str
) -> Path:
    r"""Writes a map of optical path differences as Zygo MetroPro file (``.dat``), atomically.

    .. math:: p_{ji} = \mathrm{round}(32768\,\mathrm{OPD}_{ji} / \lambda)

    Valid for one map; NaN is a pixel without data. The header (format 1, 834 bytes, big-endian)
    says how to read it: scale and obliquity factors are 1, so programs show the path difference
    itself, not half of it as for a surface in reflection. The first row of the file is y = 0 of
    the array, the first value x = 0. The file has no intensities. Rounding is at most
    ``wavelength / 65536``.

    Args:
        path: File to write, ``.dat``; its folder must exist.
        opd: Optical path difference ``(y, x)`` [µm]; NaN outside the pupil.
        spacing: Distance of the samples [µm], equal in y and x.
        wavelength: Vacuum wavelength [µm], in which programs show the map.

    Returns:
        The path that was written.

    Raises:
        TypeError: If the map is complex.
        ValueError: If the map is not (y, x), has no finite value, is beyond 65,000 waves, its
            samples are not square, or the name does not end in ``.dat``.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> tilt = 0.01 * np.arange(12.0).reshape(3, 4)
        >>> path = write_opd(
        ...     Path(tempfile.mkdtemp()) / "a.dat", tilt, spacing=10.0, wavelength="633 nm"
        ... )
        >>> path.stat().st_size
        882

    References:
        Zygo Corporation, *MetroPro Reference Guide*, OMP-0347, "MetroPro data file format".
    """
    where, place = "write_opd", Path(path)
    values = np.asarray(opd)
    if values.dtype.kind not in "fiu":
        raise TypeError(f"{where}: `opd` must be real, got {values.dtype}.")
    if values.ndim != 2 or not values.size or max(values.shape) > 65535:
        raise ValueError(f"{where}: `opd` must have the axes (y, x), got {values.shape}.")
    if place.suffix.lower() != ".dat":
        raise ValueError(f"{where}: the name must end in .dat, got {place.name!r}.")
    length = float(_check.length(where, "wavelength", wavelength))
    _check.positive(where, "wavelength", length, unit="µm")
    spacing = np.asarray(_check.length(where, "spacing", spacing), np.float64)
    _check.positive(where, "spacing", spacing, unit="µm")
    dy, dx = np.broadcast_to(spacing, (2,)).tolist()
    if abs(dy / dx - 1) > 1e-6:
        raise ValueError(f"{where}: samples must be square in the file, got {dy:g} x {dx:g} µm.")
    lit = np.isfinite(values)
    waves = np.where(lit, values, 0).astype(np.float64) / length
    if not lit.any() or np.abs(waves).max() * _STEPS >= _INVALID - 1:
        raise ValueError(
            f"{where}: `opd` must have finite values below 65,000 waves, got "
            f"{np.abs(waves).max():g} waves of {length:g} µm in {int(lit.sum())} samples."
        )
    phase = np.where(lit, np.round(waves * _STEPS), _INVALID).astype(">i4")
    data = _header(phase.shape, length, dx) + phase.tobytes()
    return _files.atomic(where, place, lambda stream: stream.write(data))


def _header(shape: tuple[int, ...], wavelength: float, spacing: float) -> bytes:
    """What readers need, each number at its place; lengths are meters."""
    head = bytearray(_HEADER)

    def put(place: int, kind: str, *numbers: float) -> None:
        struct.pack_into(f">{kind}", head, place, *numbers)

    put(0, "IHI", _MAGIC, _FORMAT, _HEADER)
    put(10, "H", 1)  # the kind of software
    put(68, "HHI", shape[1], shape[0], 4 * shape[0] * shape[1])
    put(164, "ff", 1.0, wavelength * 1e-6)  # scale
    put(176, "ff", 1.0, 0.0)  # obliquity, magnification
    put(184, "f", spacing * 1e-6)
    put(218, "H", _RESOLUTION)
    put(234, "HH", shape[1], shape[0])  # of the camera
    put(360, "f", 1.0)  # index
    return bytes(head)
