"""What notebooks show of an object: its words, a table, a picture; and their progress bars."""

from __future__ import annotations

import base64
import html
import io
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any


def words(text: str) -> str:
    """A text as it would be printed."""
    return f"<pre>{html.escape(text)}</pre>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of texts below a head; what is shown as a table need not be aligned by spaces."""

    def row(kind: str, cells: Sequence[str]) -> str:
        style = 'style="text-align:left"'
        return "".join(f"<{kind} {style}>{html.escape(cell)}</{kind}>" for cell in cells)

    body = "".join(f"<tr>{row('td', cells)}</tr>" for cells in rows)
    return f"<table><thead><tr>{row('th', head)}</tr></thead><tbody>{body}</tbody></table>"


def picture(draw: Callable[[], Any], name: str) -> str:
    """A figure as an image within the page; nothing where matplotlib is not installed."""
    try:
        draw().savefig(buffer := io.BytesIO(), format="png", dpi=80)
    except ImportError:
        return ""
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(name)}" src="data:image/png;base64,{data}">'


def bar(**options: Any) -> Any:
    """A tqdm bar: a widget in notebooks that have ipywidgets, else a line of text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tqdm, where ipywidgets is missing: a line does as well
        made: Any = import_module("tqdm.auto").tqdm(dynamic_ncols=True, **options)
    return made
