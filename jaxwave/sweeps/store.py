"""Where results go: into memory, or chunk by chunk into a folder that nothing can corrupt."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxwave import _files, _npy
from jaxwave.sweeps import claims, zarr_chunks
from jaxwave.sweeps.points import WHERE

HEADER, CHUNKS = "sweep.json", "chunks"
_FORMAT = 1
_FAILURES = "failures"  # the array that holds messages, as JSON


class Folder:
    """The folder of one sweep: a header, and one file for every chunk that is done.

    A file appears whole or not at all, so what is there counts, whoever wrote it and whenever.

    Args:
        path: Folder that holds the folders of sweeps, or the one of this sweep.
        name: Name of the function, for people.
        digest: Checksum of settings and code.
        header: What the first process decides for all: sizes, and how to tell them to people.
        rows: Shapes of one row of everything that becomes a Zarr array, or None for npz files.
        settings: The names among them that are settings, which come first.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        name: str,
        digest: str,
        header: Mapping[str, Any],
        rows: Mapping[str, Any] | None,
        settings: list[str],
    ) -> None:
        self.path = Path(path)
        self._rows, self._settings = rows, settings
        if not (self.path / HEADER).exists():
            word = "".join(c if c.isalnum() or c in "_-." else "_" for c in name).strip("._")
            self.path /= f"{word or 'sweep'}-{digest[:16]}"
        try:
            if not self.path.exists():
                self._make({"format": _FORMAT, "digest": digest, **header})
            self.header = json.loads((self.path / HEADER).read_text())
        except json.JSONDecodeError:
            raise ValueError(
                f"{WHERE}: {str(self.path / HEADER)!r} is damaged. Move the folder away."
            ) from None
        except OSError as error:
            raise type(error)(
                error.errno,
                f"{WHERE}: cannot use the folder {str(self.path)!r}: {error.strerror or error}. "
                "Choose another `folder`, or make room",
            ) from None
        if self.header.get("digest") != digest or self.header.get("format") != _FORMAT:
            raise ValueError(
                f"{WHERE}: the folder {str(self.path)!r} holds another sweep "
                f"({self.header.get('text', 'of an unknown kind')}); its settings or its code "
                "differ. Choose another `folder`."
            )

    def _make(self, header: Mapping[str, Any]) -> None:
        """The folder appears whole; of many processes that make it, one succeeds."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = _files.temporary(self.path)
        new.mkdir()
        try:
            (new / CHUNKS).mkdir()
            claims.prepare(new, math.ceil(header["settings"] / header["chunk"]))
            if self._rows is not None:
                sizes = header["settings"], header["chunk"]
                zarr_chunks.prepare(new, self._rows, self._settings, *sizes)
            (new / HEADER).write_text(json.dumps(header, indent=1))
            try:
                os.rename(new, self.path)
            except OSError:
                if not (self.path / HEADER).exists():
                    raise
        finally:
            shutil.rmtree(new, ignore_errors=True)
        _files.sync_folder(self.path.parent)

    def file(self, chunk: int) -> Path:
        """Name of the file of a chunk."""
        return self.path / CHUNKS / f"{chunk:08d}.npz"

    def has(self, chunk: int) -> bool:
        """Tells whether a chunk is done."""
        return self.file(chunk).exists()

    def done(self) -> int:
        """How many chunks are done."""
        return sum(name.endswith(".npz") for name in os.listdir(self.path / CHUNKS))

    def save(
        self, chunk: int, tree: object, failures: Mapping[int, str], settings: Mapping[str, Any]
    ) -> None:
        """Writes a chunk; its npz file comes last, and makes it count."""
        leaves = [np.asarray(v) for v in jax.tree.leaves(tree)]
        arrays = {} if self._rows else {str(k): v for k, v in enumerate(leaves)}
        text = json.dumps({str(k): v for k, v in failures.items()}).encode()
        arrays[_FAILURES] = np.frombuffer(text, np.uint8)
        try:
            if self._rows is not None:
                columns = [*settings.values(), *leaves]
                for (name, row), v in zip(self._rows.items(), columns, strict=True):
                    v = v.astype(row.dtype)
                    zarr_chunks.write(self.path, name, chunk, v, self.header["chunk"])
            _files.atomic(WHERE, self.file(chunk), lambda s: _npy.write_npz(s, arrays))
        except OSError as error:
            raise type(error)(
                error.errno,
                f"{error.strerror}. {self.done()} chunks are safe in {str(self.path)!r}: "
                "make room, and run the same line again to go on",
            ) from None

    def lazy(self, structure: object) -> Any:
        """Results that are read where they are looked at."""
        assert self._rows is not None
        names = [*self._rows][len(self._settings) :]
        return jax.tree.unflatten(structure, [zarr_chunks.lazy(self.path, n) for n in names])

    def failures(self, chunk: int) -> dict[int, str]:
        """Messages of a chunk."""
        arrays = _npy.read_npz(WHERE, self.file(chunk), np.inf)
        return {int(k): v for k, v in json.loads(arrays[_FAILURES].tobytes() or b"{}").items()}

    def load(self, chunk: int, structure: object) -> tuple[Any, dict[int, str]]:
        """Reads a chunk; a damaged one is an error that names its file."""
        arrays = _npy.read_npz(WHERE, self.file(chunk), np.inf)
        failures = json.loads(arrays.pop(_FAILURES).tobytes() or b"{}")
        if self._rows is None:
            leaves = [arrays[str(k)] for k in range(len(arrays))]
        else:
            size = self.header["chunk"]
            count = min(size, self.header["settings"] - chunk * size)
            rows = [*self._rows.items()][len(self._settings) :]
            leaves = [zarr_chunks.read(self.path, n, chunk, row, count) for n, row in rows]
        tree = jax.tree.unflatten(structure, leaves)
        return tree, {int(k): v for k, v in failures.items()}
