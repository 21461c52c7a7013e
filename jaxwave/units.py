"""Length units as plain factors: every length inside jaxwave is a number of micrometers.

>>> from jaxwave.units import nm, mm
>>> float(532 * nm), float(180 * mm)
(0.532, 180000.0)
"""

from __future__ import annotations

import re

__all__ = ["cm", "deg", "length", "m", "mm", "mrad", "nm", "pm", "rad", "um"]

pm = 1e-6
nm = 1e-3
um = 1.0
mm = 1e3
cm = 1e4
m = 1e6

rad = 1.0
mrad = 1e-3
deg = 0.017453292519943295

LENGTHS = {"pm": pm, "nm": nm, "um": um, "µm": um, "μm": um, "mm": mm, "cm": cm, "m": m}
_PATTERN = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([a-zA-Zµμ]+)\s*")


def length(value: float | str) -> float:
    r"""Converts a length with a unit, such as ``"520 nm"``, into micrometers.

    .. math:: \ell_{\mathrm{µm}} = \text{number} \times \text{unit}/\mathrm{µm}

    Valid for the units pm, nm, um (µm), mm, cm and m. A number is taken to be in micrometers
    already and comes back unchanged.

    Args:
        value: A number [µm], or a string made of a number and a unit.

    Returns:
        The length [µm], a scalar (shape ``()``).

    Raises:
        ValueError: If the string is not a number followed by a known unit.

    Example:
        >>> length("520 nm"), length("0.18 m"), length(0.52)
        (0.52, 180000.0, 0.52)

    References:
        BIPM, *The International System of Units*, 9th ed., Table 7 (prefixes).
    """
    if not isinstance(value, str):
        return value
    match = _PATTERN.fullmatch(value)
    if match is None or match.group(2) not in LENGTHS:
        raise ValueError(
            f"length: expected a number and a unit, such as '520 nm', got {value!r}. "
            f"The units are {', '.join(sorted(LENGTHS))}."
        )
    number, scale = float(match.group(1)), LENGTHS[match.group(2)]
    # Dividing by 1000 keeps '520 nm' at exactly 0.52, where 520 * 1e-3 would not.
    return number / round(1 / scale) if scale < 1 else number * scale
