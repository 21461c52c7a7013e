"""The numbers of a stack: float32, finite, with the level at which they saturate."""

from __future__ import annotations

import numpy as np

from jaxwave import _check

_FLAT_TOP = 8
_ADC_BITS = (10, 12, 14, 16)


def to_float32(
    where: str, name: str, array: np.ndarray, nan: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Converts to float32 and finds what cannot be used: data, mask, notes."""
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"{where}: {name!r} must hold real numbers, got {array.dtype}. Save its intensity."
        )
    bad = ~np.isfinite(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    notes: list[str] = []
    if bad.all():
        raise ValueError(f"{where}: {name!r} holds no finite value at all. Save the stack again.")
    if bad.any() and nan == "error":
        fix = "Pass nan='mask' to leave them out."
        _check.finite_array(where, name, array, fix=fix)
    if bad.any():
        array = np.where(bad, np.median(array[~bad]), array)
        notes.append(f"{int(bad.sum())} values are NaN or infinite and masked (nan='mask')")
    largest = float(np.abs(array).max())
    if largest > float(np.finfo(np.float32).max):
        raise ValueError(
            f"{where}: {name!r} holds {largest:.3g}, which float32 cannot. Rescale the stack."
        )
    if array.dtype.kind in "iu" and largest > 2**24:
        notes.append(f"values up to {largest:.0f} are rounded to the 24 bits of float32")
    return np.ascontiguousarray(array, np.float32), bad, notes


def saturation(array: np.ndarray) -> tuple[float, str, list[str]]:
    """Level at which pixels saturate (infinite if none is seen), how it is known, notes."""
    integer = array.dtype.kind in "iu"
    top = float(array.max())
    notes: list[str] = []
    full = float(np.iinfo(array.dtype).max) if integer else float("inf")
    if integer and array.dtype.itemsize == 2 and top > 0:
        bits = 16 - _trailing_zeros(array)
        if bits in _ADC_BITS[:3] and int(top) >= 2**bits:
            step = 2 ** (16 - bits)
            notes.append(
                f"{bits}-bit numbers, left-justified in 16 bits: every value is a multiple of "
                f"{step}, so the camera's gain counts {step}-fold"
            )
            return float((2**bits - 1) * step), f"file: {bits} bits, left-justified", notes
    if integer and int(top) + 1 in (2**bits for bits in _ADC_BITS):
        return top, f"data: the largest value is 2^{int(top).bit_length()} - 1", notes
    if _flat_topped(array, top):
        return top, "data: many pixels share the largest value", notes
    return full, f"file: largest {array.dtype}" if integer else "unknown", notes


def _trailing_zeros(array: np.ndarray) -> int:
    merged = int(np.bitwise_or.reduce(array, axis=None)) & 0xFFFF
    return (merged & -merged).bit_length() - 1 if merged else 0


def _flat_topped(array: np.ndarray, top: float) -> bool:
    """Tells whether far more pixels sit at the maximum than just below it."""
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    low = float(finite.min())
    near = max(0.02 * (top - low), 3.0 if array.dtype.kind in "iu" else 0.0)
    at_top = int(np.count_nonzero(finite == top))
    below = int(np.count_nonzero(finite >= top - near)) - at_top
    return top > low and at_top < 0.2 * finite.size and at_top >= max(_FLAT_TOP, 2 * below)
