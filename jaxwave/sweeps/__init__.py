"""Many settings in one program: sweeps, their memory beforehand, their labelled results."""

from jaxwave.sweeps.memory import Memory, memory
from jaxwave.sweeps.result import Sweep
from jaxwave.sweeps.run import sweep

__all__ = ["Memory", "Sweep", "memory", "sweep"]
