"""The Stack: a measured z stack that knows its spacing and where each number came from."""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np
from jax.typing import DTypeLike


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Stack:
    """A measured z stack, :math:`d(z, y, x)`, with its voxel size and its provenance.

    Valid for one channel and one time. :func:`read_stack` makes one from a file and checks
    everything; the constructor checks nothing. Numpy functions take it as the array ``data``, and
    indexing with three slices gives a smaller stack.

    Args:
        data: Values, float32 ``(z, y, x)`` [counts, as in the file].
        spacing: Voxel size (dz, dy, dx) [µm].
        provenance: Where each number came from, by name.
        file_dtype: Type of the numbers in the file.
        saturation: Level from which a pixel counts as saturated [counts]; infinite if unknown.
        mask: True where a value cannot be used, ``(z, y, x)``.
        path: The file's name.
        sha256: The file's checksum, 64 hexadecimal digits.
        notes: What the reader decided or noticed, one sentence each.

    Raises:
        TypeError: If it is indexed with anything but three slices.

    Example:
        >>> stack = Stack(np.zeros((5, 8, 8), np.float32), (0.3, 0.13, 0.13))
        >>> stack
        Stack((5, 8, 8) float32, spacing=(0.3, 0.13, 0.13) µm)
        >>> stack[:, 2:6, 2:6].shape
        (5, 4, 4)
    """

    data: np.ndarray
    spacing: tuple[float, float, float]
    provenance: dict[str, str] = dataclasses.field(default_factory=dict)
    file_dtype: str = ""
    saturation: float = float("inf")
    mask: np.ndarray = None  # type: ignore[assignment]
    path: str = ""
    sha256: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.mask is None:
            object.__setattr__(self, "mask", np.zeros(self.data.shape, bool))

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of planes, rows and columns."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """Number of axes, 3."""
        return self.data.ndim

    @property
    def saturated(self) -> np.ndarray:
        """True where a pixel has reached the saturation level, ``(z, y, x)``."""
        return self.data >= self.saturation

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.data, dtype, copy=copy)

    def __getitem__(self, index: object) -> Self:
        parts = index if isinstance(index, tuple) else (index,)
        if len(parts) > 3 or not all(isinstance(part, slice) for part in parts):
            raise TypeError(
                f"Stack: index with up to three slices (z, y, x), got {index!r}. "
                "Use stack.data[...] for single planes or pixels."
            )
        if any(part.step not in (None, 1) for part in parts):
            raise TypeError("Stack: slices must have step 1, because a step changes the spacing.")
        names = zip(("planes", "rows", "columns"), parts, self.shape, strict=False)
        bounds = ((name, part.indices(size)) for name, part, size in names)
        text = ", ".join(f"{name} {low}:{high}" for name, (low, high, _) in bounds)
        earlier = self.provenance.get("crop")
        crop = f"{earlier}; then {text}" if earlier else text
        return dataclasses.replace(
            self,
            data=self.data[parts],
            mask=self.mask[parts],
            provenance={**self.provenance, "crop": crop},
        )

    def describe(self) -> str:
        """Tells in words what was read and where every number came from, one line each."""
        lines = [f"{self.path or 'stack'}: {self!r}, stored as {self.file_dtype or 'float32'}"]
        lines += [f"  {name}: {text}" for name, text in self.provenance.items()]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def __repr__(self) -> str:
        spacing = ", ".join(f"{value:.4g}" for value in self.spacing)
        return f"Stack({self.shape} {self.data.dtype}, spacing=({spacing}) µm)"
