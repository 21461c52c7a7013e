"""The common checks of arguments, and how their errors are worded.

Values are checked where they are concrete, shapes everywhere, and no check ever branches on a
tracer: a traced value passes, because its producer was checked.
"""

from __future__ import annotations

import contextlib
import difflib
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxwave import units


class JaxwaveWarning(UserWarning):
    """Warns that a result is computed as asked, but may not be what the user wants.

    Warnings of this class can be silenced or turned into errors with :mod:`warnings`.

    Example:
        >>> import warnings
        >>> warnings.simplefilter("ignore", JaxwaveWarning)
        >>> warnings.resetwarnings()
    """


def warn(where: str, text: str) -> None:
    """Warns the first caller outside jaxwave."""
    level, frame = 2, sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "jaxwave":
        level, frame = level + 1, frame.f_back
    warnings.warn(f"{where}: {text}", JaxwaveWarning, stacklevel=level)


def is_concrete(*values: object) -> bool:
    """Tells whether every value can be looked at now (no tracer, no abstract shape)."""
    leaves = jax.tree_util.tree_leaves(values)
    return not any(isinstance(x, jax.core.Tracer | jax.ShapeDtypeStruct) for x in leaves)


def _numbers(where: str, name: str, value: object) -> np.ndarray | None:
    if isinstance(value, str):
        raise TypeError(f"{where}: `{name}` must be a number, got the text {value!r}.")
    if not is_concrete(value):
        return None
    array = np.asarray(value)
    if array.dtype.kind in "fiub":
        return array
    if array.dtype.kind == "c":
        raise TypeError(f"{where}: `{name}` must be real, got {array.dtype}.")
    raise TypeError(f"{where}: `{name}` must be a number, got {value!r:.60}.")


def _worst(array: np.ndarray, bad: np.ndarray, unit: str) -> str:
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    place = f" at index {index}" if index else ""
    return f"{array[index]}{' ' + unit if unit else ''}{place}"


def _require(
    where: str, name: str, value: object, test: Any, need: str, unit: str, fix: str
) -> None:
    array = _numbers(where, name, value)
    if array is None:
        return
    bad = ~test(array)
    if np.any(bad):
        tail = f" {fix}" if fix else ""
        raise ValueError(f"{where}: `{name}` must be {need}, got {_worst(array, bad, unit)}.{tail}")


def finite(where: str, name: str, value: object, *, unit: str = "", fix: str = "") -> None:
    """Requires finite numbers."""
    _require(where, name, value, np.isfinite, "finite", unit, fix)


def positive(where: str, name: str, value: object, *, unit: str = "", fix: str = "") -> None:
    """Requires finite numbers above zero."""
    _require(where, name, value, lambda a: np.isfinite(a) & (a > 0), "positive", unit, fix)


def nonnegative(where: str, name: str, value: object, *, unit: str = "", fix: str = "") -> None:
    """Requires finite numbers that are zero or more."""
    _require(where, name, value, lambda a: np.isfinite(a) & (a >= 0), "zero or more", unit, fix)


def between(
    where: str, name: str, value: object, low: float, high: float, *, fix: str = ""
) -> None:
    """Requires finite numbers in the closed interval from ``low`` to ``high``."""
    need = f"between {low} and {high}"
    _require(where, name, value, lambda a: (a >= low) & (a <= high), need, "", fix)


# Lengths [µm] that nobody means: below the first number they were given in meters, from the
# second one on in nanometers. The kind of a length is its name.
_RANGES: dict[str, tuple[float, float]] = {
    "wavelength": (1e-5, 100),
    "spacing": (1e-4, 1e7),
    "pitch": (1e-2, 1e6),
    "pixel": (1e-3, 50),
    "diameter": (1e-3, 1e4),
    "waist": (1e-2, 1e8),
    "radius": (1e-3, 1e9),
    "f": (0.5, 1e10),
    "z": (1e-7, 1e13),
}


def length(where: str, name: str, value: object) -> Any:
    """Turns a string such as ``"130 nm"`` into micrometers, and guards against other units.

    A pair or list of strings, such as ``("1 mm", "0.2 mm")``, becomes a tuple of numbers, and one
    of traced numbers an array, which has a shape.
    """
    if isinstance(value, tuple | list) and any(isinstance(part, str) for part in value):
        value = tuple(length(where, name, part) for part in value)
    if isinstance(value, tuple | list) and not is_concrete(value):
        value = jax.numpy.asarray(value)
    if not isinstance(value, str):
        _in_micrometers(where, name, value)
        return value
    try:
        return units.length(value)
    except ValueError:
        raise ValueError(
            f"{where}: `{name}`: expected a number and a unit, such as '520 nm', got {value!r}. "
            f"{_unit_hint(value)}"
        ) from None


def _unit_hint(text: str) -> str:
    number = text.strip()
    if re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", number):
        return f"Write {number} for micrometers, or '{number} nm'."
    return f"The units are {', '.join(units.LENGTHS)}."


def _in_micrometers(where: str, name: str, value: object) -> None:
    """Refuses a length that must have been given in meters or nanometers."""
    if name not in _RANGES or not is_concrete(value):
        return
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        return
    (least, most), size = _RANGES[name], np.abs(array)
    large, small = np.isfinite(size) & (size >= most), (size > 0) & (size < least)
    for bad, word, unit, factor in (
        (large, "nanometres", "nm", 1e-3),
        (small, "metres", "m", 1e6),
    ):
        if np.any(bad):
            got = float(array[tuple(np.argwhere(bad)[0])])
            raise ValueError(
                f"{where}: `{name}` is in micrometers; {got:g} looks like {word}; "
                f"pass {got * factor:g} or '{got:g} {unit}'."
            )


def wavelength(where: str, value: object) -> Any:
    """Requires a positive vacuum wavelength."""
    value = length(where, "wavelength", value)
    positive(where, "wavelength", value, unit="µm")
    return value


def numerical_aperture(where: str, na: ArrayLike, n: ArrayLike | str | None) -> None:
    """Requires 0 < na < n."""
    positive(where, "na", na)
    if is_concrete(na, n) and np.any(np.asarray(na) >= np.asarray(n)):
        raise ValueError(
            f"{where}: `na` must be below the refractive index, got na={np.asarray(na)} with "
            f"n={np.asarray(n)}. Pass the immersion medium's index as `n`."
        )


def grid_shape(where: str, shape: object, *, name: str = "shape") -> tuple[int, int]:
    """Requires a shape (ny, nx) of positive integers; one integer means a square."""
    if isinstance(shape, int | np.integer):
        shape = (shape, shape)
    if not isinstance(shape, Iterable) or isinstance(shape, str):
        raise TypeError(f"{where}: `{name}` must be (ny, nx), got {shape!r}.")
    result = tuple(shape)
    if len(result) != 2 or not all(isinstance(s, int | np.integer) for s in result):
        raise ValueError(f"{where}: `{name}` must be two integers (ny, nx), got {result}.")
    if min(result) < 1:
        raise ValueError(f"{where}: `{name}` must be at least (1, 1), got {result}.")
    return int(result[0]), int(result[1])


def at_least(where: str, name: str, array: ArrayLike, rank: int, layout: str) -> None:
    """Requires an array with at least ``rank`` axes."""
    if isinstance(array, str):
        raise TypeError(
            f"{where}: `{name}` must be an array with the axes {layout}, got the text {array!r}."
        )
    try:
        shape = np.shape(array)
    except ValueError:
        raise ValueError(
            f"{where}: `{name}` must have the axes {layout}, got rows of different lengths."
        ) from None
    if array is None:
        raise TypeError(f"{where}: `{name}` must be an array with the axes {layout}, got None.")
    if len(shape) < rank:
        raise ValueError(f"{where}: `{name}` must have the axes {layout}, got the shape {shape}.")


def same_grid(where: str, name: str, shape: Sequence[int], grid: Sequence[int]) -> None:
    """Requires an array on the field's samples (or one that broadcasts along a whole axis)."""
    got, need = tuple(shape[-2:]), tuple(grid)
    if got != need:
        raise ValueError(
            f"{where}: `{name}` must match the field's {need} samples, got {got}. "
            "Resample it first."
        )


def broadcast(where: str, **shapes: Sequence[int]) -> tuple[int, ...]:
    """Requires batch shapes that broadcast against each other and returns the result."""
    try:
        return tuple(np.broadcast_shapes(*(tuple(s) for s in shapes.values())))
    except ValueError:
        listed = ", ".join(f"`{name}` {tuple(shape)}" for name, shape in shapes.items())
        raise ValueError(
            f"{where}: the batch axes must broadcast against each other, got {listed}. "
            "Add axes of length one, for example z[:, None]."
        ) from None


def choice(where: str, name: str, value: object, options: Iterable[str]) -> None:
    """Requires one of a few names and suggests the nearest one."""
    options = list(options)
    if value in options:
        return
    near = difflib.get_close_matches(str(value), options, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(
        f"{where}: `{name}` must be one of {', '.join(map(repr, options))}, got {value!r}.{hint}"
    )


def function(where: str, name: str, value: object) -> None:
    """Requires what can be called."""
    if not callable(value):
        raise TypeError(f"{where}: `{name}` must be a function, got {_what(value)}.")


def takes(where: str, name: str, function: Callable[..., object], *arguments: str) -> None:
    """Requires a function that can be called with so many arguments by place."""
    listed = ", ".join(arguments)
    if not callable(function):
        raise TypeError(
            f"{where}: `{name}` must be a function of ({listed}), got {function!r:.60}."
        )
    try:
        signature = inspect.signature(function)
    except ValueError:
        return  # compiled functions may have none
    try:
        signature.bind(*arguments)
    except TypeError:
        raise TypeError(
            f"{where}: `{name}` must be a function of ({listed}), got one of {signature}."
        ) from None


def key(where: str, value: object) -> Any:
    """Requires a random key, of the new kind or of the old one."""
    kind = getattr(value, "dtype", None)
    if kind is not None and jax.dtypes.issubdtype(kind, jax.dtypes.prng_key):
        return value
    if kind == np.uint32 and np.ndim(value):
        return value
    seed = value if is_integer(value) else 0
    got = f"the number {value}" if is_integer(value) else type(value).__name__
    raise TypeError(
        f"{where}: `key` must be a random key, such as jax.random.key({seed}), got {got}."
    )


@contextlib.contextmanager
def named(inner: str, where: str) -> Iterator[None]:
    """Errors of an inner function in the name of the one that the user called."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if not str(error).startswith(f"{inner}:"):
            raise
        raise type(error)(f"{where}{str(error)[len(inner) :]}") from None


def no_such_argument(where: str, name: str, names: Iterable[str]) -> TypeError:
    """The error for an argument that does not exist, with the one that may be meant."""
    names = list(names)
    lower = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), lower, n=1)
    near += [known for known in names if known in name.split("_")]  # pixel_size, focal_f
    hint = f" Did you mean {lower.get(near[0], near[0])!r}?" if near else ""
    listed = ", ".join(names) or "none"
    return TypeError(f"{where}: there is no argument {name!r}.{hint} The arguments are: {listed}.")


def finite_array(where: str, name: str, array: ArrayLike | None, *, fix: str = "") -> None:
    """Requires data without NaN or infinity and reports how many there are and where."""
    if not is_concrete(array):
        return
    values = np.asarray(array)
    if values.dtype.kind not in "fc":
        return
    bad = ~np.isfinite(values)
    if np.any(bad):
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{where}: `{name}` must be finite, got {int(bad.sum())} NaN or infinite values, the "
            f"first one at index {first}.{' ' + fix if fix else ''}"
        )


def is_field(where: str, value: object, kind: type | tuple[type, ...], *, fix: str = "") -> None:
    """Requires a Field (or one of its kinds)."""
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        need = " or ".join(k.__name__ for k in kinds)
        tail = f" {fix}" if fix else " Make one with scalar_field, vector_field or a source."
        raise TypeError(f"{where}: `field` must be a {need}, got {type(value).__name__}.{tail}")


def nonzero(where: str, name: str, value: object, *, unit: str = "", fix: str = "") -> None:
    """Requires finite numbers other than zero."""
    _require(where, name, value, lambda a: np.isfinite(a) & (a != 0), "other than zero", unit, fix)


def is_integer(value: object) -> bool:
    """Tells whether a value is a Python or numpy integer (a truth value is not)."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def integer(where: str, name: str, value: Any, low: int, high: int | None = None) -> None:
    """Requires a Python integer from ``low`` to ``high``."""
    if not is_integer(value):
        raise TypeError(f"{where}: `{name}` must be an integer, got {value!r}.")
    if value < low or (high is not None and value > high):
        need = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{where}: `{name}` must be {need}, got {value}.")


def real_array(where: str, name: str, array: ArrayLike | None, *, fix: str = "") -> jax.Array:
    """Requires real numbers, whatever their values, and makes a floating-point array of them."""
    tail = f" {fix}" if fix else ""
    if isinstance(array, str):
        raise TypeError(f"{where}: `{name}` must be real, got the text {array!r}.{tail}")
    if isinstance(array, int | float) and not isinstance(array, bool | np.generic):
        return cast(jax.Array, np.asarray(array, jax.numpy.result_type(float)))  # stays known
    if isinstance(array, jax.core.Tracer) and jax.numpy.issubdtype(array.dtype, np.floating):
        return array  # to convert it to its own type would be an operation of an eager `jax.grad`
    try:
        result = jax.numpy.asarray(array)
    except (TypeError, ValueError):
        got = type(array).__name__
        raise TypeError(f"{where}: `{name}` must be numbers, got {got}.{tail}") from None
    if jax.numpy.issubdtype(result.dtype, jax.numpy.floating):
        return result
    if result.dtype.kind not in "iub":
        raise TypeError(f"{where}: `{name}` must be real, got {result.dtype}.{tail}")
    return result.astype(jax.numpy.result_type(float))


def instance(where: str, name: str, value: object, kind: type, words: str) -> None:
    """Requires an object of a kind, told in the words with which a user makes it."""
    if not isinstance(value, kind):
        raise TypeError(f"{where}: `{name}` must be {words}, got {_what(value)}.")


def _what(value: object) -> str:
    """What somebody passed by mistake, in a word or two."""
    if value is None or isinstance(value, str | bool | int | float):
        return f"{value!r:.60}"
    return "a traced array" if isinstance(value, jax.core.Tracer) else type(value).__name__


def known_numbers(where: str, name: str, value: object) -> np.ndarray:
    """Requires real numbers that are known, whatever their values, and makes float64 of them."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        array = np.asarray(None)
    if array.dtype.kind not in "fiub":
        got = _what(value) if array.dtype.kind != "c" else array.dtype
        raise TypeError(f"{where}: `{name}` must be real numbers, got {got}.")
    return array.astype(np.float64)


def matches(where: str, name: str, shape: Sequence[int], other: str, need: Sequence[int]) -> None:
    """Requires two arrays on the same grid with batch axes that broadcast."""
    if tuple(shape[-2:]) != tuple(need[-2:]):
        raise ValueError(
            f"{where}: `{name}` must have the shape of `{other}` {tuple(need)}, got {tuple(shape)}."
        )
    broadcast(where, **{name: shape, other: need})


def not_negative_counts(where: str, name: str, value: object) -> None:
    """Requires counted photons, which are zero or more."""
    fix = "Use gaussian_nll for data with read noise or a subtracted background."
    _require(where, name, value, lambda a: ~(a < 0), "zero or more", "", fix)


def not_empty(where: str, name: str, shape: Sequence[int]) -> None:
    """Requires an array with at least one number."""
    if 0 in tuple(shape):
        raise ValueError(f"{where}: `{name}` must not be empty, got the shape {tuple(shape)}.")


def exhausted(error: BaseException) -> bool:
    """Tells whether an error is a lack of memory, of the machine or of an accelerator."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
