"""Compiled programs are kept between runs, in the folder that the system has for such things."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from pathlib import Path

_MOST = 2_000_000_000  # bytes


def folder() -> Path | None:
    """Where compiled programs are kept; None where the user has no home."""
    given = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if given:
        return Path(given)
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "jaxwave" / "compiled"


def use() -> None:
    """Tells JAX where to keep programs; its own settings win."""
    environment = os.environ
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # XLA's alarms are not for users
    if environment.get("JAX_ENABLE_COMPILATION_CACHE", "").lower() in ("0", "false", "off"):
        return
    place = folder()
    if place is None:
        return
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:  # it cannot be written: then without
        return
    own = not environment.get("JAX_COMPILATION_CACHE_DIR")
    wanted: dict[str, str | float] = {"jax_compilation_cache_dir": str(place)}
    wanted["jax_persistent_cache_min_compile_time_secs"] = 0.1
    wanted["jax_persistent_cache_min_entry_size_bytes"] = -1
    if own and importlib.util.find_spec("filelock") is not None:  # JAX counts bytes with it
        _forget_halves(place)
        wanted["jax_compilation_cache_max_size"] = _MOST
    wanted = {name: value for name, value in wanted.items() if name.upper() not in environment}
    environment.update({name.upper(): str(value) for name, value in wanted.items()})
    jax = sys.modules.get("jax")
    if jax is not None and jax.config.jax_compilation_cache_dir is None:  # python -m jaxwave
        for name, value in wanted.items():  # it has read the environment already
            jax.config.update(name, value)


def _forget_halves(place: Path) -> None:
    """Removes programs without the time of their last use, which a killed run leaves behind.

    JAX would fail to count the folder's bytes, and so to keep any program, in every later run.
    """
    for program in place.glob("*-cache"):
        used = program.with_name(program.name.removesuffix("-cache") + "-atime")
        try:
            if not used.exists() and time.time() - program.stat().st_mtime > 10:
                program.unlink()
        except OSError:  # another run was faster
            continue
