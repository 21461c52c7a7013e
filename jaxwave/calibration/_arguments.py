"""What the arguments of a calibration must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxwave.calibration import _processes

_WHERE = "calibrate"


def require_functions(**given: Any) -> None:
    """Requires functions, or None, or True."""
    for name, value in given.items():
        if value is not None and value is not True and not callable(value):
            raise TypeError(f"{_WHERE}: `{name}` must be a function, got {type(value).__name__}.")


def require_mappings(**given: Any) -> None:
    """Requires dicts by pattern, or None."""
    for name, value in given.items():
        if value is not None and not isinstance(value, Mapping):
            raise TypeError(
                f"{_WHERE}: `{name}` must be a dict by pattern, such as {{'lens.f': ...}}, got "
                f"{type(value).__name__}."
            )
        if name == "priors":
            require_functions(**{f"priors[{k!r}]": prior for k, prior in (value or {}).items()})


def require_lists(**given: Any) -> None:
    """Requires lists or tuples."""
    for name, value in given.items():
        if not isinstance(value, list | tuple):
            raise TypeError(f"{_WHERE}: `{name}` must be a list, got {type(value).__name__}.")


def as_arrays(name: str, data: Any) -> Any:
    """The data as arrays; those that many processes share stay where they are, such as in files."""
    if data is None:
        return None
    many = name == "data" and _processes.are_many()

    def array(a: Any) -> Any:
        if isinstance(a, Array) or (many and hasattr(a, "shape") and hasattr(a, "dtype")):
            return a
        return np.asarray(a) if many else jnp.asarray(np.asarray(a))

    try:
        return jax.tree.map(array, data)
    except TypeError:
        kinds = sorted({type(leaf).__name__ for leaf in jax.tree.leaves(data)})
        raise TypeError(
            f"{_WHERE}: `{name}` must be a pytree of arrays, got {', '.join(kinds)}."
        ) from None
