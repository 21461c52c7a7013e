"""Many settings in one program: sweeps, their memory beforehand, their labelled results."""

from __future__ import annotations

from jaxwave.sweeps.library import PsfLibrary, psf_library
from jaxwave.sweeps.memory import Memory, memory
from jaxwave.sweeps.result import Sweep
from jaxwave.sweeps.run import sweep

__all__ = ["Memory", "PsfLibrary", "Sweep", "memory", "psf_library", "sweep"]
