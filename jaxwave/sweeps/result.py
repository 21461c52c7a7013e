"""The labelled result of a sweep."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxwave import _files, _npy
from jaxwave.sweeps.points import WHERE, Points

SETTING, VALUE, MESSAGE = "setting", "value", "message"


@dataclasses.dataclass(frozen=True, eq=False)
class Sweep:
    """Results of a sweep with the settings they belong to.

    Args:
        name: Name of the function or the model.
        points: The settings, by number.
        values: Results: what the function returns, with the axes of the settings in front (one
            for each name of a grid, otherwise one); or the reductions.
        failures: Message of every setting that failed, by its number.
        reduced: Whether ``values`` holds reductions.
        batch: Settings that went side by side.
        chunk: Settings of one call.
        folder: Folder of the chunks, or None.

    Example:
        >>> import jaxwave as jw
        >>> result = jw.sweep(lambda a, b: a * b, {"a": [1.0, 2.0, 3.0], "b": [10.0, 20.0]})
        >>> result
        Sweep of <lambda>: a (3) x b (2), 6 settings
        >>> result.setting(5)
        {'a': 3.0, 'b': 20.0}
    """

    name: str
    points: Points
    values: Any
    failures: Mapping[int, str]
    reduced: bool
    batch: int
    chunk: int
    folder: str | None = None

    def __repr__(self) -> str:
        axes = " x ".join(f"{n} ({len(v)})" for n, v in self.points.values.items())
        what = axes if self.points.kind == "grid" else ", ".join(self.points.values)
        text = f"Sweep of {self.name}: {what}, {self.points.count} settings"
        return text + (f", {len(self.failures)} failed" if self.failures else "")

    @property
    def settings(self) -> dict[str, np.ndarray]:
        """Values of all settings by name, one row for each setting."""
        return self.points.rows(0, self.points.count)

    def setting(self, index: int | Any) -> dict[str, Any]:
        """The values of one setting, such as the one that ``reduce="argmin"`` found."""
        number = int(index)
        if not 0 <= number < self.points.count:
            raise IndexError(
                f"{WHERE}: there are {self.points.count} settings, got the number {number}."
            )
        row = self.points.row(number)
        return {name: v.item() if v.ndim == 0 else v for name, v in row.items()}

    def to_xarray(self) -> Any:
        """An ``xarray.Dataset`` whose coordinates are the settings."""
        xarray = _import("xarray")
        axes = () if self.reduced else self._axes()
        coordinates: dict[str, Any] = {}
        if not self.reduced:
            grid = self.points.kind == "grid"
            for name, v in (self.points.values if grid else self.settings).items():
                more = [f"{name}_{k}" for k in range(v.ndim - 1)]
                # An axis is labelled by numbers; lists of them stand beside it.
                label = f"{name}_values" if grid and more else name
                coordinates[label] = ((name if grid else SETTING, *more), v)
        variables = {
            name: ((*axes, *_dims(name, leaf.ndim - len(axes))), leaf)
            for name, leaf in named(self.values).items()
        }
        if not self.reduced:
            messages = np.full(self.points.count, "", object)
            for index, text in self.failures.items():
                messages[index] = text
            variables[MESSAGE] = (axes, messages.reshape(self.points.shape))
        fixed = {name: v.tolist() for name, v in self.points.fixed.items()}
        return xarray.Dataset(variables, coordinates, attrs={"function": self.name, **fixed})

    def save(self, path: str | os.PathLike) -> Path:
        """Writes settings, results and messages to a file: .npz, .csv, .nc or .zarr.

        An npz file holds the settings as ``settings.na``, the results under their own names and
        the messages as text; a csv file is that of ``to_pandas``, the others those of
        ``to_xarray``.
        """
        path = Path(path)
        kind = path.suffix.lower()
        if kind == ".npz":
            settings = {f"settings.{name}": v for name, v in self.points.values.items()}
            messages = json.dumps({str(k): text for k, text in self.failures.items()})
            arrays = {**settings, **named(self.values), MESSAGE: np.asarray(messages)}
            return _files.atomic(WHERE, path, lambda stream: _npy.write_npz(stream, arrays))
        if kind == ".csv":
            text = self.to_pandas().to_csv(index=False).encode()
            return _files.atomic(WHERE, path, lambda stream: stream.write(text))
        if kind not in (".nc", ".zarr"):
            raise ValueError(
                f"{WHERE}: results go to .npz, .csv, .nc or .zarr files, got {path.name!r}."
            )
        data = self.to_xarray()
        _import("zarr" if kind == ".zarr" else "scipy")
        if kind == ".nc":
            data.to_netcdf(path, engine="scipy")
        else:
            with _files.replacing_folder(path) as new:
                data.to_zarr(new, mode="w", consolidated=False)
        return path

    def _axes(self) -> tuple[str, ...]:
        return tuple(self.points.values) if self.points.kind == "grid" else (SETTING,)

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` with one row for every setting, for results that are numbers."""
        pandas = _import("pandas")
        if self.reduced:
            raise ValueError(
                f"{WHERE}: a table has one row for each setting, but these are reductions. Leave "
                "out `reduce`, or look at `values`."
            )
        columns: dict[str, Any] = {}
        for name, v in self.settings.items():
            columns[name] = v if v.ndim == 1 else [*v]
        for name, leaf in named(self.values).items():
            if leaf.shape != self.points.shape:
                raise ValueError(
                    f"{WHERE}: a table holds one number for each setting, but {name!r} has the "
                    f"shape {leaf.shape}. Use to_xarray(), or let the function return numbers."
                )
            columns[name if name not in columns else f"{VALUE}_{name}"] = leaf.reshape(-1)
        if self.failures:
            columns[MESSAGE] = [self.failures.get(i, "") for i in range(self.points.count)]
        return pandas.DataFrame(columns)


def _import(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise ImportError(
            f"{WHERE}: this needs the package {package}, which is not installed. Run "
            'pip install "jaxwave[sweeps]".'
        ) from None


def named(values: object) -> dict[str, np.ndarray]:
    """Arrays of a result by their names."""
    pairs = jax.tree_util.tree_leaves_with_path(values)
    return {
        jax.tree_util.keystr(path, simple=True, separator=".") or VALUE: _array(leaf)
        for path, leaf in pairs
    }


def _array(leaf: object) -> Any:
    """An array; shapes and arrays on the disk stay what they are."""
    return leaf if hasattr(leaf, "shape") else np.asarray(leaf)


def _dims(name: str, count: int) -> list[str]:
    """Names of a result's own axes: pictures end in y and x."""
    if count >= 2:
        return [*(f"{name}_{k}" for k in range(count - 2)), "y", "x"]
    return [f"{name}_{k}" for k in range(count)]
