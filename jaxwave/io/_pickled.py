"""What a pickle holds, without unpickling it: data only, no class is looked up, nothing is called.

``encoded`` writes the few instructions of plain data, for programs that keep theirs in pickles.

The standard library's list of instructions is walked with a stack of our own. Numbers, text,
lists, tuples and dicts come out as such, numpy's arrays and scalars are built from their bytes,
and whatever else a pickle would make stays a name with its arguments.
"""

from __future__ import annotations

import dataclasses
import math
import pickletools
import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

_NUMPY = re.compile(r"numpy(\._?core)?(\.multiarray|\.numeric)?")
_DTYPE = re.compile(r"[<>|=]?[fiub][1248]")
_MOST_STEPS = 50_000_000


@dataclasses.dataclass
class Made:
    """What a pickle would have made: a name, its arguments, its state."""

    name: str
    arguments: Any = ()
    state: Any = None


@dataclasses.dataclass(frozen=True)
class _Name:
    module: str
    name: str


def _dtype(value: Any) -> np.dtype:
    """The type of plain numbers that a pickled one stands for."""
    if not isinstance(value, Made) or value.name != "numpy.dtype":
        raise ValueError("an array is not of numbers")
    text, state = str(value.arguments[0]), value.state
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
    if not _DTYPE.fullmatch(text):
        raise ValueError(f"an array is of the type {text[:20]!r}")
    return np.dtype((order if order in ("<", ">") else "=") + text.lstrip("<>|="))


def _array(shape: Any, dtype: np.dtype, fortran: bool, data: Any) -> np.ndarray:
    sizes = tuple(int(n) for n in (shape if isinstance(shape, tuple) else (shape,)))
    if min(sizes, default=0) < 0 or not isinstance(data, bytes | bytearray):
        raise ValueError("an array has no plain numbers")
    if math.prod(sizes) * dtype.itemsize != len(data):
        raise ValueError(f"an array of the shape {sizes} has {len(data)} bytes")
    return np.frombuffer(data, dtype).reshape(sizes, order="F" if fortran else "C")


def _call(function: Any, arguments: Any) -> Any:
    """What a call stands for; only numpy's own and the encoding of bytes are known."""
    if not isinstance(function, _Name) or not isinstance(arguments, tuple):
        return Made("?", arguments)
    if _NUMPY.fullmatch(function.module):
        if function.name == "scalar":
            return _array((), _dtype(arguments[0]), False, arguments[1]).item()
        if function.name == "_frombuffer":
            data, kind, shape, order = arguments
            return _array(shape, _dtype(kind), order == "F", bytes(data))
        if function.name in ("_reconstruct", "dtype"):
            return Made(f"numpy.{function.name}", arguments)
    if (function.module, function.name) == ("_codecs", "encode"):
        return str(arguments[0]).encode("latin-1")
    return Made(f"{function.module}.{function.name}", arguments)


def _build(thing: Any, state: Any) -> Any:
    if isinstance(thing, Made) and thing.name == "numpy._reconstruct":
        _, shape, kind, fortran, data = state
        return _array(shape, _dtype(kind), bool(fortran), data)
    if isinstance(thing, Made):
        thing.state = state
    return thing


class _Stack:
    """The stack, its marks, and the memory of a pickle."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.marks: list[int] = []
        self.memory: dict[int, Any] = {}

    def pop(self) -> Any:
        return self.items.pop()

    def cut(self) -> list[Any]:
        """Everything above the last mark."""
        place = self.marks.pop()
        above = self.items[place:]
        del self.items[place:]
        return above

    def pairs(self, above: list[Any]) -> dict[Any, Any]:
        return dict(zip(above[::2], above[1::2], strict=True))

    def remember(self, number: int) -> None:
        self.memory[number] = self.items[-1]


def _state(s: _Stack) -> Any:
    state = s.pop()
    return _build(s.pop(), state)


def _reduced(s: _Stack) -> Any:
    arguments = s.pop()
    return _call(s.pop(), arguments)


def _named(s: _Stack) -> Any:
    name = s.pop()
    return _Name(str(s.pop()), str(name))


def _last(s: _Stack, count: int) -> tuple[Any, ...]:
    place = len(s.items) - count
    found = tuple(s.items[place:])
    del s.items[place:]
    return found


# Instructions that push what they compute from the stack and their argument.
_PUSHES: dict[str, Callable[[_Stack, Any], Any]] = {
    "NONE": lambda s, a: None, "NEWTRUE": lambda s, a: True, "NEWFALSE": lambda s, a: False,
    "EMPTY_DICT": lambda s, a: {}, "EMPTY_LIST": lambda s, a: [], "EMPTY_TUPLE": lambda s, a: (),
    "TUPLE": lambda s, a: tuple(s.cut()), "LIST": lambda s, a: s.cut(),
    "DICT": lambda s, a: s.pairs(s.cut()), "TUPLE1": lambda s, a: _last(s, 1),
    "TUPLE2": lambda s, a: _last(s, 2), "TUPLE3": lambda s, a: _last(s, 3),
    "GLOBAL": lambda s, a: _Name(*str(a).split(" ", 1)), "STACK_GLOBAL": lambda s, a: _named(s),
    "REDUCE": lambda s, a: _reduced(s), "NEWOBJ": lambda s, a: _reduced(s),
    "BUILD": lambda s, a: _state(s), "DUP": lambda s, a: s.items[-1],
    **{name: lambda s, a: s.memory[int(a)] for name in ("GET", "BINGET", "LONG_BINGET")},
    **{
        name: lambda s, a: a
        for name in (
            "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT UNICODE BINUNICODE "
            "SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8"
        ).split()
    },
    **{  # of Python 2, whose arrays are text
        name: lambda s, a: a.encode("latin-1") if isinstance(a, str) else a
        for name in ("BINSTRING", "SHORT_BINSTRING", "STRING")
    },
}  # fmt: skip


def _change(s: _Stack, name: str, argument: Any) -> bool:
    """Instructions that change the stack or what lies on it; whether this is one."""
    if name in ("PROTO", "FRAME", "STOP"):
        return True
    if name == "MARK":
        s.marks.append(len(s.items))
    elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
        s.remember(int(argument))
    elif name == "MEMOIZE":
        s.remember(len(s.memory))
    elif name == "POP":
        s.pop()
    elif name == "POP_MARK":
        s.cut()
    elif name in ("APPEND", "APPENDS"):
        more = s.cut() if name == "APPENDS" else [s.pop()]
        s.items[-1].extend(more)
    elif name in ("SETITEM", "SETITEMS"):
        more = s.cut() if name == "SETITEMS" else list(_last(s, 2))
        s.items[-1].update(s.pairs(more))
    else:
        return False
    return True


def decoded(data: bytes) -> Any:
    """The data in a pickle.

    Raises:
        ValueError: If it is damaged, or holds what is no data.
    """
    s = _Stack()
    try:
        for count, (code, argument, _) in enumerate(pickletools.genops(data)):
            if count > _MOST_STEPS:
                raise ValueError("it has too many instructions")
            if _change(s, code.name, argument):
                continue
            if code.name not in _PUSHES:
                raise ValueError(f"it holds the instruction {code.name}")
            s.items.append(_PUSHES[code.name](s, argument))
        (whole,) = s.items
    except (IndexError, KeyError, TypeError, AttributeError, UnicodeError) as error:
        raise ValueError(f"its instructions do not fit ({error})") from None
    return whole


# -- the other way -------------------------------------------------------------------------


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _bytes(data: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(data)) + data


def encoded(value: Any) -> bytes:
    """Numbers, text, tuples, dicts and arrays as instructions of protocol 3, without its frame."""
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(data)]) + data
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        text = value.encode()
        return b"X" + struct.pack("<I", len(text)) + text
    if isinstance(value, tuple):
        return b"(" + b"".join(map(encoded, value)) + b"t"
    if isinstance(value, dict):
        pairs = (encoded(key) + encoded(part) for key, part in value.items())
        return b"}(" + b"".join(pairs) + b"u"
    array = np.asarray(value)
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    kind = _global("numpy", "dtype") + encoded((array.dtype.str[1:], False, True)) + b"R"
    kind += encoded((3, "<", None, None, None, -1, -1, 0)) + b"b"
    made = _global("numpy.core.multiarray", "_reconstruct") + b"(" + _global("numpy", "ndarray")
    made += encoded((0,)) + _bytes(b"b") + b"tR"
    state = encoded(1) + encoded(array.shape) + kind + b"\x89" + _bytes(array.tobytes())
    return made + b"(" + state + b"tb"
