"""What a reader is asked for, and what it returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from jaxwave.io._lengths import Length

Item = TypeVar("Item")
_LISTED = 8


@dataclasses.dataclass
class Raw:
    """The array as stored, its axes, the lengths it states, and what was noticed.

    ``hints`` quotes what may speak of lengths, for the error about a length that is not known.
    """

    array: np.ndarray
    axes: str | None
    lengths: dict[str, Length]
    notes: list[str] = dataclasses.field(default_factory=list)
    hints: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Request:
    """What the user wants of a file.

    Args:
        where: Function that is called.
        max_bytes: Most memory.
        axes: The user's letters, or None.
        name: The array that is meant, or None.
        select: Entries by letter; a reader takes away what it has chosen itself.
        missing: ``"error"``, ``"trim"`` or ``"fill"``.
        fields: Whether complex numbers are taken, and single images.
    """

    where: str
    max_bytes: float
    axes: str | None = None
    name: str | None = None
    select: dict[str, int] = dataclasses.field(default_factory=dict)
    missing: str = "error"
    fields: bool = False

    def takes(self, dtype: np.dtype) -> bool:
        """Tells whether an array of this kind of numbers may be meant."""
        parts = dtype.names is not None and len(dtype.names) == 2
        return dtype.kind in "fiub" or (self.fields and (dtype.kind == "c" or parts))

    def position(
        self,
        file: str,
        images: Sequence[Item],
        is_stack: Callable[[Item], bool],
        describe: Callable[[Item], str],
    ) -> Item:
        """The image that is meant: by ``select``'s P, else the only stack."""
        if "P" in self.select:
            index = self.select.pop("P")
            if not -len(images) <= index < len(images):
                raise ValueError(
                    f"{self.where}: `select` must lie within the {len(images)} images (P) of "
                    f"{file!r}, got {index}."
                )
            return images[index]
        stacks = [k for k, image in enumerate(images) if is_stack(image)]
        if len(stacks) <= 1:
            return images[stacks[0] if stacks else 0]
        listed = ", ".join(f"P {k}: {describe(images[k])}" for k in stacks[:_LISTED])
        more = "" if len(stacks) <= _LISTED else f" and {len(stacks) - _LISTED} more"
        raise ValueError(
            f"{self.where}: {file!r} holds {len(stacks)} stacks ({listed}{more}). Choose one with "
            f"`select`, such as select={{'P': {stacks[0]}}}."
        )

    def entries(self, letter: str, count: int) -> list[int]:
        """The entries of an axis that are to be read: all, or the one of ``select``."""
        if self.axes is not None or letter not in self.select:
            return list(range(count))
        index = self.select[letter]
        if not -count <= index < count:
            raise ValueError(
                f"{self.where}: `select` must lie within the {count} entries of axis {letter}, "
                f"got {index}."
            )
        self.select[letter] = 0
        return [index % count]
