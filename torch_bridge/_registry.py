"""The living wrapped functions by name: how compiled programs find them."""

import itertools
import weakref
from typing import Any

from torch_bridge._plan import Plan

bridges: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
_retired: set[str] = set()


def register(bridge: Any, name: str) -> str:
    """A name that no other bridge has, the same in every process that wraps in the same order."""
    name = name.replace("/", "_").replace("@", "_")
    names = itertools.chain([name], (f"{name}#{number}" for number in itertools.count(2)))
    handle = next(n for n in names if n not in bridges and n not in _retired)
    bridges[handle] = bridge
    return handle


def retire(handle: str) -> None:
    """Keeps a name from other functions for good: a program that outlives its own may hold it."""
    _retired.add(handle)


def find_plan(handle: str) -> Plan | None:
    """The plan of a handle, ``name@signature``, if it was compiled for or warmed up."""
    bridge = bridges.get(handle.partition("@")[0])
    return None if bridge is None else bridge.find(handle)
