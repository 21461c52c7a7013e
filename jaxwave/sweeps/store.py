"""Where results go: into memory, or chunk by chunk into a folder that nothing can corrupt."""

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
from jaxwave.sweeps import claims
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
    """

    def __init__(self, path: str | os.PathLike, name: str, digest: str, header: Mapping) -> None:
        self.path = Path(path)
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

    def save(self, chunk: int, tree: Any, failures: Mapping[int, str]) -> None:
        """Writes a chunk."""
        arrays = {str(k): np.asarray(v) for k, v in enumerate(jax.tree.leaves(tree))}
        text = json.dumps({str(k): v for k, v in failures.items()}).encode()
        arrays[_FAILURES] = np.frombuffer(text, np.uint8)
        try:
            _files.atomic(WHERE, self.file(chunk), lambda s: _npy.write_npz(s, arrays))
        except OSError as error:
            raise type(error)(
                error.errno,
                f"{error.strerror}. {self.done()} chunks are safe in {str(self.path)!r}: "
                "make room, and run the same line again to go on",
            ) from None

    def load(self, chunk: int, structure: Any) -> tuple[Any, dict[int, str]]:
        """Reads a chunk; a damaged one is an error that names its file."""
        arrays = _npy.read_npz(WHERE, self.file(chunk), np.inf)
        failures = json.loads(arrays.pop(_FAILURES).tobytes() or b"{}")
        leaves = [arrays[str(k)] for k in range(len(arrays))]
        tree = jax.tree.unflatten(structure, leaves)
        return tree, {int(k): v for k, v in failures.items()}
