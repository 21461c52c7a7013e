"""HDF5, MATLAB and ND2 files: one stack out of what they hold."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxwave import _files
from jaxwave.io import _axes, _metadata, _optional

Raw = tuple[np.ndarray, str | None, dict[str, _metadata.Length]]


def _choose(where: str, path: Path, shapes: dict[str, tuple[int, ...]], name: str | None) -> str:
    """The array that is meant: by name, the only stack, or the one called data."""
    stacks = [key for key, shape in shapes.items() if sum(n > 1 for n in shape) >= 3]
    listed = ", ".join(f"{key} {shape}" for key, shape in shapes.items()) or "none"
    if name is not None:
        if name in shapes:
            return name
        raise ValueError(f"{where}: {path.name!r} holds no array {name!r}; it holds {listed}.")
    if len(stacks) == 1:
        return stacks[0]
    if "data" in stacks:
        return "data"
    raise ValueError(
        f"{where}: {path.name!r} must hold one stack, or one with the name 'data', got the arrays "
        f"{listed}. Pass the one you mean as `name`."
    )


def read_hdf5(where: str, path: Path, max_bytes: float, name: str | None) -> Raw:
    """Reads a dataset of real numbers; links to other files and objects are not followed."""
    h5py = _optional.require(where, "h5py", "hdf5", "HDF5 files and MATLAB files of version 7.3")
    try:
        with h5py.File(path, "r") as file:
            sets = {key: file[key] for key in _datasets(h5py, file)}
            key = _choose(where, path, {k: v.shape for k, v in sets.items()}, name)
            found = sets[key]
            if found.dtype.kind not in "fiub":
                raise ValueError(f"{where}: {key!r} of {path.name!r} must hold real numbers.")
            if found.external or found.is_virtual:
                raise ValueError(
                    f"{where}: {key!r} of {path.name!r} keeps its data in other files or data "
                    "sets, which are not read. Save it into one file as a plain data set."
                )
            size = found.dtype.itemsize * float(np.prod(found.shape, dtype=object))
            _files.fits(where, path.name, size, max_bytes)
            array, attributes = np.asarray(found[...]), dict(found.attrs)
    except OSError as error:
        raise ValueError(f"{where}: {path.name!r} is damaged ({error}). Copy it again.") from None
    lengths = {}
    size = np.asarray(attributes.get("element_size_um", ()))  # as ilastik and Fiji write it
    if size.shape == (3,) and size.dtype.kind in "fiu":
        for axis, value in zip(("dz", "dy", "dx"), size.tolist(), strict=True):
            lengths[axis] = _metadata.Length(float(value), "element_size_um")
    with path.open("rb") as stream:
        matlab = stream.read(6) == b"MATLAB"
    if matlab:  # columns first: the file's last axis is MATLAB's first
        return array.T, "YXZ" if array.ndim == 3 else None, lengths
    return array, _axes.guess(array.shape), lengths


def _datasets(h5py: Any, file: Any) -> list[str]:
    """Names of the datasets inside the file itself."""
    names: list[str] = []

    def visit(name: str, thing: Any) -> None:
        if isinstance(thing, h5py.Dataset) and thing.dtype.kind in "fiub" and thing.ndim >= 2:
            names.append(name)

    file.visititems(visit)  # follows neither soft nor external links
    return names


def read_matlab(where: str, path: Path, max_bytes: float, name: str | None) -> Raw:
    """Reads a MATLAB file before version 7.3: numeric arrays only, never objects."""
    scipy = _optional.require(where, "scipy.io", "matlab", "MATLAB files")
    try:
        listed = {key: tuple(shape) for key, shape, _ in scipy.whosmat(str(path))}
        key = _choose(where, path, listed, name)
        _files.fits(where, path.name, 8 * float(np.prod(listed[key], dtype=object)), max_bytes)
        array = scipy.loadmat(str(path), variable_names=[key])[key]
    except (ValueError, MemoryError) as error:
        if str(error).startswith(where):
            raise
        raise ValueError(f"{where}: {path.name!r} is damaged ({error}). Copy it again.") from None
    except Exception as error:
        raise ValueError(
            f"{where}: {path.name!r} cannot be read as a MATLAB file ({error}). Save it again."
        ) from None
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"{where}: {key!r} of {path.name!r} is a MATLAB object or struct, which is not read. "
            "Save the numbers as a plain array."
        )
    return array, "YXZ" if array.ndim == 3 else None, {}


def read_nd2(where: str, path: Path, max_bytes: float) -> Raw:
    """Reads an ND2 file with its voxel size."""
    nd2 = _optional.require(where, "nd2", "nd2", "ND2 files")
    try:
        with nd2.ND2File(path) as file:
            sizes = dict(file.sizes)
            count = float(np.prod(list(sizes.values()), dtype=object))
            _files.fits(where, path.name, count * file.dtype.itemsize, max_bytes)
            array, voxel = np.asarray(file.asarray()), file.voxel_size()
    except (MemoryError, ValueError) as error:
        if str(error).startswith(where):
            raise
        raise ValueError(f"{where}: {path.name!r} is damaged ({error}). Copy it again.") from None
    except Exception as error:
        raise ValueError(f"{where}: {path.name!r} cannot be read as ND2 ({error}).") from None
    lengths = {
        f"d{axis}": _metadata.Length(float(value), "ND2 voxel size")
        for axis, value in zip("xyz", voxel, strict=True)
        if value
    }
    return array, "".join(k[0] for k in sizes), lengths
