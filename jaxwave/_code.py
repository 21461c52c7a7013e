"""What a function is, in words and as checksums, for files that another process goes on with."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import jax
import numpy as np


def describe(thing: Any, _above: tuple[int, ...] = ()) -> str:
    """The same in words, for settings that have to agree when a run goes on."""
    if id(thing) in _above:
        return "itself"
    inner = functools.partial(describe, _above=(*_above, id(thing)))
    if isinstance(thing, FunctionType):
        cells = [inner(content(cell)) for cell in thing.__closure__ or ()]
        name = thing.__qualname__.partition(".")[0]  # of the function that made this one
        return f"{name}({', '.join(cells)})" if cells else name
    if isinstance(thing, functools.partial):
        words = [f"{name}={inner(value)}" for name, value in sorted(thing.keywords.items())]
        return f"{inner(thing.func)}({', '.join([*map(inner, thing.args), *words])})"
    if isinstance(thing, MethodType):
        return thing.__func__.__qualname__
    if hasattr(thing, "_fields") and hasattr(thing, "update"):
        return inner(thing.update)  # an optimizer
    if hasattr(thing, "_fields") and hasattr(thing, "forward"):
        return inner(thing.forward)  # a constraint
    if isinstance(thing, tuple):
        return f"{type(thing).__name__}({', '.join(map(inner, thing))})"
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type) and is_frozen(thing):
        parts = [f"{field.name}={inner(getattr(thing, field.name))}" for field in fields(thing)]
        return f"{type(thing).__name__}({', '.join(parts)})"
    if isinstance(thing, float) and thing.is_integer():
        return repr(int(thing))  # a schedule makes 40.0 of its own 40 when it is first called
    if isinstance(thing, float | int | str | bool | None):
        return repr(thing)
    if is_number(thing):
        return repr(thing.item())
    if isinstance(thing, jax.Array | np.ndarray):
        return f"array{tuple(thing.shape)}"
    return getattr(thing, "__qualname__", type(thing).__qualname__)


def code_digest(function: Callable[..., Any] | None) -> str:
    """A checksum of a function's own instructions, which tells an edited one."""
    checksum = hashlib.sha256()
    for code in _codes(function, set()):
        constants = sorted(repr(c) for c in code.co_consts if not isinstance(c, _NO_ORDER))
        checksum.update(code.co_code + repr((code.co_names, constants)).encode())
    return checksum.hexdigest()[:8]


_NO_ORDER = CodeType | frozenset | set  # what has an address or no order in its text


def _codes(thing: object, seen: set[int]) -> Iterator[CodeType]:
    if id(thing) in seen:
        return
    seen.add(id(thing))
    parts: list[Any] = []
    if isinstance(thing, CodeType):
        yield thing
        parts = list(thing.co_consts)
    elif isinstance(thing, FunctionType):
        parts = [thing.__code__, *map(content, thing.__closure__ or ())]
    elif isinstance(thing, functools.partial):
        parts = [thing.func, *thing.args, *thing.keywords.values()]
    elif isinstance(thing, MethodType):
        parts = [thing.__func__]
    elif dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        parts = [getattr(thing, field.name) for field in fields(thing)]
    for part in parts:
        yield from _codes(part, seen)


def content(cell: Any) -> Any:
    """What a closure's cell holds."""
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def is_number(thing: Any) -> bool:
    """Tells whether it is one known number in an array, as those of an objective."""
    known = isinstance(thing, jax.Array | np.ndarray) and not isinstance(thing, jax.core.Tracer)
    return known and thing.shape == () and thing.dtype.kind in "biufc"


def is_frozen(thing: Any) -> bool:
    """Tells a frozen dataclass that compares by value: others may change behind an equal copy."""
    return thing.__dataclass_params__.frozen and thing.__dataclass_params__.eq


def fields(thing: Any) -> tuple:
    """The fields of a dataclass."""
    return dataclasses.fields(thing)


# -- checksums of everything a function computes with ----------------------------------------


def fingerprint(thing: object) -> str:
    """A checksum of a function and of everything that it computes with, 64 hexadecimal digits.

    It covers the instructions, closures, defaults, the numbers in arrays, the helpers and
    constants of the function's own module, and the versions of the packages that it calls. What
    it cannot see: a file that the function reads, and objects that live outside Python.
    """
    checksum = hashlib.sha256()
    _feed(checksum, thing, set())
    return checksum.hexdigest()


def _feed(checksum: Any, thing: Any, seen: set[int]) -> None:
    """Adds one thing to a checksum; what was added before counts by its name only."""
    checksum.update(type(thing).__name__.encode())
    if isinstance(thing, bool | int | float | complex | str | bytes | None):
        checksum.update(repr(thing).encode())
        return
    if isinstance(thing, np.ndarray | np.generic | jax.Array) and not _is_key(thing):
        array = np.asarray(thing)
        checksum.update(f"{array.dtype}{array.shape}".encode())
        checksum.update(np.ascontiguousarray(array).tobytes())
        return
    if id(thing) in seen:
        return
    seen.add(id(thing))
    for part in _parts(checksum, thing):
        _feed(checksum, part, seen)


def _is_key(thing: object) -> bool:
    return isinstance(thing, jax.Array) and jax.dtypes.issubdtype(thing.dtype, jax.dtypes.prng_key)


def _parts(checksum: Any, thing: Any) -> list[Any]:
    """What a thing is made of; its own name and version go into the checksum at once."""
    if isinstance(thing, FunctionType):
        checksum.update(thing.__qualname__.encode())
        if _is_library(thing.__module__):
            return [_version(thing.__module__)]
        held = [content(cell) for cell in thing.__closure__ or ()]
        return [thing.__code__, held, thing.__defaults__, thing.__kwdefaults__, _globals(thing)]
    if isinstance(thing, CodeType):
        checksum.update(thing.co_code + repr(thing.co_names).encode())
        constants = [
            sorted(map(repr, c)) if isinstance(c, frozenset) else c for c in thing.co_consts
        ]
        return [constants]
    if isinstance(thing, ModuleType):
        return [thing.__name__, _version(thing.__name__)]
    if isinstance(thing, functools.partial):
        return [thing.func, thing.args, thing.keywords]
    if isinstance(thing, MethodType):
        return [thing.__func__, thing.__self__]
    if isinstance(thing, type):
        own = not _is_library(thing.__module__)
        made = {k: v for k, v in vars(thing).items() if isinstance(v, FunctionType) and own}
        return [f"{thing.__module__}.{thing.__qualname__}", made]
    if hasattr(thing, "__wrapped__"):  # a jitted function
        return [thing.__wrapped__]
    if isinstance(thing, Mapping):
        return [x for pair in sorted(thing.items(), key=lambda p: str(p[0])) for x in pair]
    if isinstance(thing, list | tuple):
        return list(thing)
    if _is_key(thing):
        return [jax.random.key_data(thing)]
    leaves, tree = jax.tree_util.tree_flatten(thing)
    if len(leaves) == 1 and leaves[0] is thing:  # no pytree
        return [type(thing), getattr(thing, "__dict__", None)]
    return [type(thing), _ADDRESS.sub("", str(tree)), leaves]


_ADDRESS = re.compile(r"0x[0-9a-f]+")  # of a function that a module holds


def _globals(function: FunctionType) -> dict[str, Any]:
    """The globals that a function and the functions inside it name."""
    names = {name for code in _codes(function.__code__, set()) for name in code.co_names}
    return {name: function.__globals__[name] for name in names if name in function.__globals__}


def _is_library(module: str | None) -> bool:
    """Tells what is installed from what the user edits."""
    file = getattr(sys.modules.get(module or ""), "__file__", None) or ""
    top = (module or "").partition(".")[0]
    return top in ("jaxwave", *sys.stdlib_module_names) or "site-packages" in file


@functools.cache
def _version(module: str) -> str:
    """Name and version of a package; of jaxwave, whose version covers many states, its sources."""
    top = module.partition(".")[0]
    if top != "jaxwave":
        return f"{top} {getattr(sys.modules.get(top), '__version__', '')}"
    checksum = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        checksum.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return f"jaxwave {checksum.hexdigest()}"
