"""The living wrapped functions by name: how compiled programs find them."""

import itertools
import weakref
from typing import Any

from torch_bridge._plan import Plan

bridges: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()


def register(bridge: Any, name: str) -> str:
    """A name that no living bridge has, the same in every process that wraps in the same order."""
    name = name.replace("/", "_").replace("@", "_")
    names = itertools.chain([name], (f"{name}#{number}" for number in itertools.count(2)))
    handle = next(candidate for candidate in names if candidate not in bridges)
    bridges[handle] = bridge
    return handle


def find_plan(handle: str) -> Plan | None:
    """The plan of a handle, ``name@signature``, if it was compiled for or warmed up."""
    bridge = bridges.get(handle.partition("@")[0])
    return None if bridge is None else bridge.find(handle)
