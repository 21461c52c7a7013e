"""A lens array as one thing to describe."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jaxwave import _check, microlenses
from jaxwave._noun import Number, noun, number, settle, static
from jaxwave.field import AnyField


@noun
class LensArray:
    r"""An array of micro-lenses.

    .. math:: t(\mathbf r) = \exp\!\left[-i\pi\frac{|\mathbf r - \mathbf c_k|^2}{\lambda f_k}
        \right] \quad \text{inside lenslet } k

    as :func:`~jaxwave.microlens_array` applies it: paraxial, thin, of any pitch, turn and focal
    lengths. Every number is a leaf.

    Args:
        f: Focal lengths, one number or ``(K,)`` for several kinds that go around [µm].
        pitch: Distance of the centers, one number, or ``(2,)`` as (y, x) for "square" [µm].
        layout: "square" or "hexagonal" (neighbors along x at one pitch).
        centers: Centers as (y, x), ``(L, 2)`` [µm], instead of a pitch.
        phi: Turn from +x toward +y, scalar [rad].
        y: Place of the array's center on the camera, scalar [µm].
        x: Place of the array's center on the camera, scalar [µm].
        lenslet: "full" for lenslets that fill their cells, "round" for disks.
        diameter: Diameter of round lenslets, one number [µm]; by default the pitch.
        gap: Amplitude transmission between round lenslets, scalar.

    Raises:
        ValueError: If a length is not positive, a choice is unknown, or both or neither of
            ``pitch`` and ``centers`` are given.

    Example:
        >>> LensArray(2500.0, pitch="100 um", layout="hexagonal").period
        (173.20508075688772, 100.0)

    References:
        M. Broxton et al., Opt. Express 21, 25418 (2013), Eq. 4.
    """

    f: Number
    pitch: Number = None
    layout: str = static(default="square")
    centers: Number = None
    phi: Number = 0.0
    y: Number = 0.0
    x: Number = 0.0
    lenslet: str = static(default="full")
    diameter: Number = None
    gap: Number = 0.0

    def __post_init__(self) -> None:
        where = "LensArray"
        f, pitch, centers, diameter = microlenses.check_array(  # type: ignore[no-untyped-call]
            where, self.f, self.pitch, self.layout, self.centers, self.lenslet, self.diameter
        )
        values = {"f": f, "pitch": pitch, "centers": centers, "diameter": diameter}
        for name in ("y", "x"):
            values[name] = _check.length(where, name, getattr(self, name))
        values |= {"phi": self.phi, "gap": self.gap}
        for name in ("y", "x", "phi", "gap"):
            _check.finite(where, name, values[name])
        kept = {k: None if v is None else number(where, k, v) for k, v in values.items()}
        settle(self, **kept)

    @property
    def period(self) -> tuple[Any, Any]:
        """Distances after which the array repeats along its own y and x [µm]."""
        if self.pitch is None:
            raise ValueError(
                "LensArray: listed `centers` do not repeat. Pass `pitch` and `layout`, or use "
                "them in a FourierMicroscope."
            )
        kinds = np.shape(self.f)[0] if np.ndim(self.f) else 1
        pitch = self.pitch
        y, x = (pitch[0], pitch[1]) if np.ndim(pitch) else (pitch, pitch)
        if self.layout == "square":
            return _plain(kinds * y), _plain(kinds * x)
        rows = kinds // math.gcd(kinds, 3)
        return _plain(math.sqrt(3) * rows * y), _plain(kinds * x)

    def reach(self) -> Any:
        """Half the width of a lenslet, or None if it is not known."""
        size = self.pitch if self.pitch is not None else self.diameter
        return float(np.max(np.asarray(size))) / 2 if _check.is_concrete(size) else None

    def refract(self, field: AnyField) -> AnyField:
        """The field behind the array."""
        return microlenses.microlens_array(
            field,
            self.f,
            pitch=self.pitch,
            layout=self.layout,
            centers=self.centers,
            phi=self.phi,
            y=self.y,
            x=self.x,
            lenslet=self.lenslet,
            diameter=self.diameter,
            gap=self.gap,
        )


def _plain(value: Any) -> Any:
    return float(value) if _check.is_concrete(value) else value
