"""What a report of a fault tells: versions and devices; no names of users, no folders."""

from __future__ import annotations

import platform
from importlib import metadata

import jax

from jaxwave._version import __version__

_PACKAGES = ("jax", "jaxlib", "numpy", "flax", "optax", "torch", "matplotlib", "tifffile")


def report() -> str:
    """Versions, the system and the devices, a line each."""
    rows = {"jaxwave": __version__, "python": platform.python_version()}
    rows |= {name: _version(name) for name in _PACKAGES}
    rows["system"] = f"{platform.system()} {platform.release()} {platform.machine()}"
    rows["devices"] = _devices()
    rows["double precision"] = "on" if jax.numpy.result_type(float) == "float64" else "off"
    width = max(map(len, rows))
    return "\n".join(f"{name:{width}}  {text}" for name, text in rows.items())


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _devices() -> str:
    """Kinds of devices with their numbers, the first one of which computes."""
    try:
        kinds = [f"{device.platform} ({device.device_kind})" for device in jax.devices()]
    except RuntimeError:  # a platform was asked for that is not there; its text may name folders
        return "none that JAX can use"
    return ", ".join(f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds))
