"""What people read in a terminal or a log: flags instead of arguments, no control characters."""

from __future__ import annotations

import contextlib
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TextIO

from jaxwave._files import size_text
from jaxwave.cli.settings import Option

_WHERE = re.compile(r"^(?:[A-Za-z_][A-Za-z0-9_]*: )+")
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def count(number: int, word: str) -> str:
    """A number and its noun: 1 bead, 2 beads."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def printable(text: str) -> str:
    """Text whose control characters, which could steer a terminal, are spelled out."""

    def spelled(letter: str) -> str:
        if letter == "\n" or unicodedata.category(letter) not in _HIDDEN:
            return letter
        code = ord(letter)
        return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"

    return "".join(map(spelled, text))


_listener: ContextVar[Callable[[str], None] | None] = ContextVar("_listener", default=None)


@contextlib.contextmanager
def heard_by(listener: Callable[[str], None]) -> Iterator[None]:
    """Gives the lines of this thread to a function, where they are not for a terminal."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def say(text: object) -> None:
    """Prints a line of results."""
    _print(str(text), sys.stdout)


def warn(text: object) -> None:
    """Prints a line about the run, to the stream of errors."""
    _print(f"jaxwave: {text}", sys.stderr)


def _print(text: str, stream: TextIO) -> None:
    text = printable(text)
    listener = _listener.get()
    if listener is not None:
        listener(text)
        return
    code = stream.encoding or "utf-8"  # a terminal that lacks a letter gets its number
    print(text.encode(code, "backslashreplace").decode(code), file=stream, flush=True)


def in_flags(text: str, options: tuple[Option, ...], *, size: int | None = None) -> str:
    """A message of a function in the words of the command line.

    The name of the function goes, and what is to be passed becomes flags, as far as there are
    flags for it: ``select={'C': 0}`` is ``--select C=0``.

    Args:
        text: The message.
        options: The flags of the command.
        size: Width of the window that was computed [pixels], if it is known.
    """
    if "RESOURCE_EXHAUSTED" in text:
        return _no_memory(text, [option.flag for option in options], size)
    text = _WHERE.sub("", text)
    flags = {option.name: option.flag for option in options if option.kind != "paths"}
    if "select" in flags:
        text = re.sub(r"select=(\{[^}]*\})", lambda m: _select(m.group(1)), text)
    for name, flag in flags.items():

        def worded(match: re.Match[str], flag: str = flag) -> str:
            return f"{flag} {_word(match.group(1))}"

        text = re.sub(rf"\b{name}='([^']*)'", worded, text)
        text = re.sub(rf"`{name}`", flag, text)
    return text


def _no_memory(text: str, flags: list[str], size: int | None) -> str:
    """What would do: memory goes with the pixels of a window."""
    asked = re.search(r"allocat\w* (\d+)", text)
    more = f" ({size_text(int(asked.group(1)))} more were needed)" if asked else ""
    if size is not None:
        fix = f"Pass --size {max(size // 2, 8)}, which needs a quarter, or a smaller --order."
    else:
        smaller = [flag for flag in ("--size", "--planes", "--order") if flag in flags]
        fix = f"Pass a smaller {' or '.join(smaller)}; half the --size needs a quarter."
    return f"there is not enough memory{more}. {fix}"


def _select(text: str) -> str:
    pairs = re.findall(r"'(\w)': (-?\d+)", text)
    return "--select " + " ".join(f"{axis}={number}" for axis, number in pairs)


def _word(text: str) -> str:
    return f"'{text}'" if " " in text else text
