"""What the processes of one calibration tell each other, under `jax.distributed`.

The numbers that decide (when to stop, which chunk is made again) are those of the first process,
so that no two ever decide differently and wait for each other; only the first one writes and shows.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import logging
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, Self

import jax
import numpy as np

from jaxwave.calibration.run_folder import RunFolder

_WHERE = "calibrate"


def are_many() -> bool:
    """Tells whether this process is one of several."""
    return jax.process_count() > 1


def is_first() -> bool:
    """Tells whether this is the process that writes and shows."""
    return jax.process_index() == 0


class Listener(RunFolder):
    """Listens to signals as a run's folder does, for the processes that do not write."""

    def __enter__(self) -> Self:
        self._catch_signals()
        return self

    def save(self, arrays: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
        """Leaves it to the first process."""
        return True


def entered(parts: contextlib.ExitStack, path: str | os.PathLike) -> RunFolder:
    """The open folder of a run: the first process has it, the others listen to signals."""
    if not are_many():
        return parts.enter_context(RunFolder(path))
    run = RunFolder(path) if is_first() else Listener(path)

    def enter() -> bytes:
        parts.enter_context(run)
        return b""

    from_first(enter)
    return run if is_first() else parts.enter_context(run)


def from_first(make: Callable[[], bytes]) -> bytes:
    """What the first process made, in all of them; or its error, in all of them."""
    from jax.experimental import multihost_utils

    content, error = b"", None
    if is_first():
        try:
            content = make()
        except Exception as caught:
            content, error = str(caught).encode(), caught
    head = np.array([len(content), error is not None], np.int32)
    size, failed = multihost_utils.broadcast_one_to_all(head)
    padded = np.zeros(int(size), np.uint8)
    if is_first():
        padded[:] = np.frombuffer(content, np.uint8)
    content = np.asarray(multihost_utils.broadcast_one_to_all(padded), np.uint8).tobytes()
    if error is not None:
        raise error
    if failed:
        raise ValueError(content.decode())
    return content


def arrays_from_first(make: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
    """Arrays by name that the first process read, in all of them."""
    if not are_many():
        return make()

    def packed() -> bytes:
        found, stream = make(), io.BytesIO()
        if found is not None:
            # The npy format has no names for bfloat16 and its kin.
            wide = {k: v.astype(np.float32) if v.dtype.kind == "V" else v for k, v in found.items()}
            np.savez(stream, **wide)
        return stream.getvalue()

    content = from_first(packed)
    if not content:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def together(small: Any) -> Any:
    """Small arrays as the first process has them."""
    if not are_many():
        return small
    leaves, tree = jax.tree.flatten(jax.tree.map(np.asarray, small))
    text = b"".join(leaf.tobytes() for leaf in leaves)
    first = _gathered(np.frombuffer(text, np.uint8))[0].tobytes()
    place, agreed = 0, []
    for leaf in leaves:
        piece = first[place : place + leaf.nbytes]
        agreed.append(np.frombuffer(piece, leaf.dtype).reshape(leaf.shape))
        place += leaf.nbytes
    return jax.tree.unflatten(tree, agreed)


def signal_of_any(number: int | None) -> int | None:
    """The signal that one of the processes has got."""
    if not are_many():
        return number
    return int(_gathered(np.array([number or 0], np.uint8)).max()) or None


def _gathered(row: np.ndarray) -> np.ndarray:
    """The bytes of every process, a row each."""
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(row), np.uint8)


def require_same(**digests: str) -> None:
    """Requires that all processes were called alike; digests have 16 characters each."""
    rows = _gathered(np.frombuffer("".join(digests.values()).encode(), np.uint8))
    for k, name in enumerate(digests):
        part = rows[:, 16 * k : 16 * (k + 1)]
        others = np.flatnonzero(np.any(part != part[0], axis=1))
        if len(others):
            fix = "Start the same script in all of them."
            if name == "data":
                fix = (
                    "Every process passes all of the data (a numpy memmap is read in part only), "
                    "or global arrays of jax.make_array_from_process_local_data."
                )
            raise ValueError(
                f"{_WHERE}: all processes must be called alike, but `{name}` of process "
                f"{others[0]} is not that of process 0. {fix}"
            )


def lost(error: Exception, done: int, path: Path | None, saved: bool) -> NoReturn:
    """Ends the calibration of a process whose peer has gone."""
    _leave_soon()
    first = str(error).splitlines()[0]
    if not is_first():
        where = "Process 0 keeps the state, if it has a `checkpoint`"
    elif saved:
        where = f"The state after {done} steps is in {str(path)!r}"
    elif path is not None:
        where = f"What {str(path)!r} held before is untouched"
    else:
        where = "Nothing is kept, since there is no `checkpoint`"
    raise RuntimeError(
        f"{_WHERE}: another process of this calibration has ended ({first}). {where}. Start all "
        "processes again, with resume=True."
    ) from error


_LEAVING: list[bool] = []


def _leave_soon() -> None:
    """At its end this process does not wait for the ones that are gone.

    JAX waits there until all processes have come, or kills itself when the heartbeats of one have
    been missing for long (100 s, unless it is told otherwise). This runs before it does.
    """
    if not _LEAVING:
        _LEAVING.append(True)
        atexit.register(_leave)


def _leave() -> None:
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(1)
