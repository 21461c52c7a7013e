"""Keeps XLA's alarms from those who run ``python -m jaxwave``; it must come before JAX."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping, Sequence
from itertools import pairwise

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"  # read once, when the library is loaded


def silence(command: Sequence[str], environment: MutableMapping[str, str]) -> None:
    """Silences what is not fatal where the command is ours; a level that is set stays."""
    if ("-m", "jaxwave") in pairwise(command):
        environment.setdefault(_LEVEL, "3")


silence(sys.orig_argv, os.environ)
