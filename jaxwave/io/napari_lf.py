"""Light-field calibrations of napari-LF (``.lfc``): optics and PSFs, without unpickling them."""

from __future__ import annotations

import dataclasses
import io
import math
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxwave import _files
from jaxwave.io import _optional, _pickled

if TYPE_CHECKING:
    from jaxwave.lightfield import LightFieldPSF

_WHERE = "read_napari_lf"
_OPTICS = {  # their name -> (our name, factor to µm)
    "objective_na": ("na", 1.0), "medium_index": ("n", 1.0),
    "objective_magnification": ("magnification", 1.0), "center_wavelength": ("wavelength", 1e-3),
    "ulens_pitch": ("pitch", 1.0), "ulens_focal_length": ("f", 1.0),
    "ulens_focal_distance": ("camera_distance", 1.0), "pixel_size": ("camera_pitch", 1.0),
    "tubelens_focal_length": ("tube_lens", 1e3),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class NapariLightField:
    """A calibration of napari-LF.

    Args:
        optics: ``na``, ``n``, ``magnification`` [1], ``wavelength``, ``pitch``, ``f``,
            ``camera_distance``, ``camera_pitch``, ``tube_lens`` [µm], those that the file has.
        lattice: Coefficients of the warp from rectified to raw pixels, ``(...)`` [file],
            or None.
        z: Depths of the emitters, ``(planes,)`` [µm]; empty without PSFs.
        values: Light of an emitter at each place under a lenslet, ``(planes, a, b, y, x)`` [unit
            of the file]; y and x are rectified pixels, whole lenslets, with the emitter's lenslet
            in the middle.
        lenslet: Pixels of a rectified lenslet (ny, nx).

    Example:
        >>> NapariLightField.__dataclass_params__.frozen
        True
    """

    optics: dict[str, float]
    lattice: np.ndarray | None
    z: np.ndarray
    values: np.ndarray
    lenslet: tuple[int, int]

    def psf(self) -> LightFieldPSF:
        """The PSF for our projectors; each emitter's shares have the sum one.

        Returns:
            The PSF, on voxels as wide as pixels.

        Raises:
            ValueError: If the file has no PSF, or one on other voxels than its pixels.
        """
        from jaxwave.lightfield import LightFieldPSF

        if self.values.shape[1:3] != self.lenslet or not self.z.size:
            raise ValueError(
                f"NapariLightField.psf: voxels must be as wide as pixels, {self.lenslet} in a "
                f"lenslet, got {self.values.shape[1:3]} and {self.z.size} depths. Calibrate in "
                "napari-LF with a supersampling of as many as a lenslet has pixels."
            )
        planes, ny, nx, height, width = self.values.shape
        # A window that holds every displacement from the emitter's own pixel, odd.
        size = (2 * (height // 2 + ny) + 1, 2 * (width // 2 + nx) + 1)
        out = np.zeros((planes, ny, nx, *size), np.float32)
        for a, b in np.ndindex(ny, nx):
            # pixel - emitter, from the first pixel of the window of whole lenslets
            top = size[0] // 2 - (height - ny) // 2 - a
            left = size[1] // 2 - (width - nx) // 2 - b
            place = (a - ny // 2) % ny, (b - nx // 2) % nx
            out[:, *place, top : top + height, left : left + width] = self.values[:, a, b]
        light = out.sum(axis=(-2, -1), keepdims=True)
        pixel = self.optics["camera_pitch"] / self.optics["magnification"]
        return LightFieldPSF(out / np.where(light > 0, light, 1), self.z, pixel)


def read_napari_lf(path: str | os.PathLike, *, max_bytes: float = 2**32) -> NapariLightField:
    """Reads optics, lattice and PSFs of a napari-LF calibration (``.lfc``, HDF5).

    napari-LF keeps its PSFs as a pickle inside of the file. Pickles can run programs, so it is not
    unpickled: its numbers are decoded, and nothing in it is looked up or called. Rays
    (``rayspread_db``) are not read.

    Args:
        path: File to read.
        max_bytes: Largest size of the PSFs in memory [bytes].

    Returns:
        What the file holds.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If h5py is not installed; the error names the extra.
        ValueError: If the file is none of napari-LF, damaged, or larger than the limit.

    Example:
        >>> read_napari_lf("microscope.lfc")
        Traceback (most recent call last):
        ...
        FileNotFoundError: read_napari_lf: there is no file 'microscope.lfc'. Check the path.
    """
    place = _files.existing(_WHERE, path)
    h5py = _optional.require(_WHERE, "h5py", "hdf5", "HDF5 files")
    try:
        with h5py.File(place, "r") as file:
            said = dict(file["optics"].attrs)
            lattice = _numbers(file, "geometry/reverseCoefficients", max_bytes)
            data = _numbers(file, "psf/psf_db", max_bytes)
    except (OSError, KeyError, RuntimeError) as error:
        raise ValueError(
            f"{_WHERE}: {place.name!r} is no calibration of napari-LF ({error})."
        ) from None
    optics = {
        ours: float(said[name]) * factor
        for name, (ours, factor) in _OPTICS.items()
        if name in said and np.ndim(said[name]) == 0
    }
    if data is None:
        return NapariLightField(optics, lattice, np.zeros(0), np.zeros((0, 0, 0, 0, 0)), (0, 0))
    try:
        found = _pickled.decoded(data.astype(np.uint8).tobytes())
        z, values, lenslet = _dense(found, place.name, max_bytes)
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{_WHERE}: the PSF of {place.name!r} lacks {error}.") from None
    except ValueError as error:
        text = str(error)
        whole = (
            text if text.startswith(_WHERE) else f"the PSF of {place.name!r} is not read: {text}"
        )
        raise ValueError(f"{_WHERE}: {whole.removeprefix(_WHERE + ': ')}") from None
    return NapariLightField(optics, lattice, z, values, lenslet)


def _numbers(file: Any, name: str, max_bytes: float) -> np.ndarray | None:
    """A dataset of numbers, or None if there is none."""
    if name not in file:
        return None
    found = file[name]
    if found.dtype.kind not in "fiu" or found.external or found.is_virtual:
        raise KeyError(f"plain numbers in {name!r}")
    _files.fits(_WHERE, name, math.prod(found.shape) * found.dtype.itemsize, max_bytes)
    return np.asarray(found[...])


def _dense(found: Any, name: str, max_bytes: float) -> tuple[np.ndarray, np.ndarray, Any]:
    """Depths, PSFs as arrays, and the pixels of a lenslet."""
    state = found.state if isinstance(found, _pickled.Made) else None
    if not isinstance(state, dict):
        raise ValueError("it is no data base of PSFs")
    by_name = {k.decode() if isinstance(k, bytes) else k: v for k, v in state.items()}
    nx, ny, fine = (int(by_name[key]) for key in ("nu", "nv", "supersample_factor"))
    z = np.atleast_1d(np.asarray(by_name["z_coords"], np.float64))
    places = {key: np.asarray(v) for key, v in by_name["psf_coordinates"].items()}
    light = by_name["psf_coefficients"]
    keys = {(x, y, k) for x in range(fine) for y in range(fine) for k in range(len(z))}
    if set(places) != keys or min(nx, ny, fine) < 1:
        raise ValueError(f"it has {len(places)} of {len(keys)} places and depths")
    reach = [max(int(np.abs(p[:, k]).max(initial=0)) for p in places.values()) for k in (3, 2)]
    shape = [(2 * r + 1) * n for r, n in zip(reach, (ny, nx), strict=True)]
    _files.fits(_WHERE, name, 4.0 * len(z) * fine**2 * math.prod(shape), max_bytes)
    values = np.zeros((len(z), fine, fine, *shape), np.float32)
    for (x, y, k), p in places.items():
        u, v, s, t = p.T
        if ((u < 0) | (u >= nx) | (v < 0) | (v >= ny)).any():
            raise ValueError("a pixel lies outside of its lenslet")
        np.add.at(
            values[k, y, x],
            ((t + reach[0]) * ny + v, (s + reach[1]) * nx + u),
            np.asarray(light[x, y, k], np.float32),
        )
    return z, values, (ny, nx)


def write_napari_lf(
    path: str | os.PathLike, psf: LightFieldPSF, *, like: str | os.PathLike
) -> Path:
    """Writes a calibration of napari-LF with another PSF, atomically.

    All else (optics, lattice, radiometry) is that of a calibration that napari-LF made, whose
    rectified lenslets have as many pixels as the PSF's period. Voxels become as wide as pixels.
    napari-LF unpickles its files; what is written makes its own data base and numpy's arrays.

    Args:
        path: File to write, ``.lfc``; its folder must exist.
        psf: The PSF, such as :meth:`jaxwave.lightfield.LightFieldMicroscope.psf` computes.
        like: A calibration of the same microscope, made by napari-LF.

    Returns:
        The path that was written.

    Raises:
        FileNotFoundError: If there is no calibration ``like``.
        ImportError: If h5py is not installed; the error names the extra.
        ValueError: If ``like`` is no calibration with a lattice, or has other lenslets.
        OSError: If the file cannot be written.

    Example:
        >>> from jaxwave.lightfield import LightFieldPSF
        >>> psf = LightFieldPSF(np.ones((1, 3, 3, 9, 9)) / 81, z=[0.0], pixel=0.5)
        >>> write_napari_lf("new.lfc", psf, like="old.lfc")
        Traceback (most recent call last):
        ...
        FileNotFoundError: write_napari_lf: there is no file 'old.lfc'. Check the path.
    """
    where = "write_napari_lf"
    source = _files.existing(where, like)
    h5py = _optional.require(where, "h5py", "hdf5", "HDF5 files")
    whole = io.BytesIO(source.read_bytes())
    try:
        with h5py.File(whole, "r+") as file:
            said = file["geometry"].attrs
            nu, nv, ns, nt = (int(said[name]) for name in ("nu", "nv", "ns", "nt"))
            if psf.period != (nv, nu):
                raise ValueError(
                    f"{where}: `psf` must have the period of the lenslets of {source.name!r}, "
                    f"{(nv, nu)} pixels, got {psf.period}."
                )
            z = np.asarray(psf.z, np.float64)
            step = float(np.diff(z).mean()) if z.size > 1 else 1.0
            spread = file.require_group("rayspread").attrs
            numbers = {"num_z_slices": z.size, "um_per_z_slice": step, "z_center": z.mean()}
            spread.update(numbers)
            group = file.require_group("psf")
            if "psf_db" in group:
                del group["psf_db"]
            data = _database(psf, z, (nu, nv, ns, nt))
            group.create_dataset("psf_db", data=np.frombuffer(data, np.uint8), compression="gzip")
    except (OSError, KeyError, RuntimeError) as error:
        raise ValueError(
            f"{where}: {source.name!r} is no calibration of napari-LF with a lattice ({error})."
        ) from None
    whole.seek(0)
    return _files.atomic(where, path, lambda stream: shutil.copyfileobj(whole, stream))


def _database(psf: LightFieldPSF, z: np.ndarray, counts: tuple[int, int, int, int]) -> bytes:
    """The pickle of napari-LF's data base of PSFs."""
    nu, nv, ns, nt = counts
    values = np.asarray(psf.values, np.float32)
    half = [n // 2 for n in psf.shape]
    pixel = np.broadcast_to(np.asarray(psf.pixel, np.float64), (2,))
    coordinates, coefficients = {}, {}
    for k, a, b in np.ndindex(*values.shape[:3]):
        y, x = (a + nv // 2) % nv, (b + nu // 2) % nu
        lit = np.argwhere(values[k, a, b])
        t, v = np.divmod(y + lit[:, 0] - half[0], nv)
        s, u = np.divmod(x + lit[:, 1] - half[1], nu)
        coordinates[x, y, k] = np.stack([u, v, s, t], axis=1).astype(np.int32)
        coefficients[x, y, k] = values[k, a, b][tuple(lit.T)]
    state = {
        "raw_splats": {}, "psf_coordinates": coordinates, "psf_coefficients": coefficients,
        "nu": nu, "nv": nv, "ns": ns, "nt": nt, "nrays": nu * nv * ns * nt, "z_coords": z,
        "y_coords": (np.arange(nv) - (nv - 1) / 2) * pixel[0],
        "x_coords": (np.arange(nu) - (nu - 1) / 2) * pixel[1],
        "nx": ns * nu, "ny": nt * nv, "nz": z.size, "nvoxels": ns * nu * nt * nv * z.size,
        "supersample_factor": nu, "z_center": float(z.mean()),
        "max_coefficient": float(values.max()),
    }  # fmt: skip
    # An object of their class whose attributes are the state: class, (), NEWOBJ, state, BUILD.
    head = b"\x80\x03clflib.optics\nPsfDatabase\n)\x81"
    return head + _pickled.encoded(state) + b"b."
