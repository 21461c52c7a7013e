"""What is done where memory does not suffice: half as much at once, or a sentence that says how."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any, NoReturn

from jaxwave._files import size_text


def halved(loss: Callable[..., Any]) -> Any:
    """A loss with half as many stacks at once, also inside another one; None if it has one."""
    if not dataclasses.is_dataclass(loss) or isinstance(loss, type):
        return None
    size = getattr(loss, "batch_size", None)
    if isinstance(size, int):
        return dataclasses.replace(loss, batch_size=size // 2) if size > 1 else None
    for field in dataclasses.fields(loss):
        inner = halved(getattr(loss, field.name))
        if inner is not None:
            return dataclasses.replace(loss, **{field.name: inner})
    return None


def refuse(where: str, error: BaseException, fix: str) -> NoReturn:
    """Raises what says how much was missing, and what would do."""
    asked = re.search(r"allocat\w* (\d+)", str(error))
    more = f" allocating {asked.group(1)} bytes, {size_text(int(asked.group(1)))}" if asked else ""
    raise MemoryError(
        f"{where}: there is not enough memory (RESOURCE_EXHAUSTED{more}). {fix}"
    ) from None
