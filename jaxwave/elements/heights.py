"""Height maps as elements: plates whose relief is learned, or designed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, heights, masks
from jaxwave.elements.element import Element, Number, check_values
from jaxwave.field import AnyField
from jaxwave.numerics import TAU

_COMMON = {
    "shape": "Number of samples (ny, nx).",
    "spacing": "Sample spacing, one number or (dy, dx), ``(2,)`` [µm].",
    "material": "A name of :func:`jaxwave.materials`, or one index for all wavelengths, scalar "
    "[none].",
    "wavelength": "Design wavelength, scalar [µm].",
    "f": "Focal length of a lens in the same relief at the design wavelength, scalar [µm]; None "
    "for no lens.",
    "order": "Waves after which the relief is wrapped; None for a whole one.",
    "levels": "Number of levels of a wrapped relief; None for a smooth one.",
    "blend": "Share of the rounding to levels, scalar, from 0 to 1 [none].",
    "medium": "Index of what fills the relief, scalar [none].",
}


def _documentation(cls: type) -> str:
    """The class's own words, with the arguments that all height maps have."""
    head, _, rest = inspect.cleandoc(cls.__doc__ or "").partition("Args:\n")
    own, _, tail = rest.partition("\n\n")
    texts = dict(_COMMON)
    for entry in re.split(r"\n(?=    \w)", "\n" + own):
        name, _, text = entry.strip().partition(":")
        texts[name] = " ".join(text.split())
    lines = [f"    {name}: {texts[name]}" for name in inspect.signature(cls).parameters]
    return f"{head}Args:\n" + "\n".join(lines) + f"\n\n{tail}"


class HeightMap(Element):
    """The base of all height maps: a relief of a material, in a stop or in a field.

    Subclass it and give ``phase``: phases at the design wavelength, from numbers of order one,
    which optimizers like. A height map is a plate: :meth:`jaxwave.cameras.Lens.psfs` takes it, and
    called with a field it is a mask.

    Args:
        shape: Number of samples (ny, nx).
        spacing: Sample spacing, one number or (dy, dx), ``(2,)`` [µm].
        material: A name of :func:`jaxwave.materials`, or one index for all wavelengths,
            scalar [none].
        wavelength: Design wavelength, scalar [µm].
        f: Focal length of a lens in the same relief at the design wavelength, scalar [µm]; None
            for no lens.
        order: Waves after which the relief is wrapped; None for a whole one.
        levels: Number of levels of a wrapped relief; None for a smooth one.
        blend: Share of the rounding to levels, scalar, from 0 to 1 [none].
        medium: Index of what fills the relief, scalar [none].

    Raises:
        ValueError: If a number is out of range, or there are levels and no order.

    Example:
        >>> fresnel = HeightMap((64, 64), 4.0, "fused silica", 0.55, f="5 mm", order=1)
        >>> round(float(fresnel.height().max()), 2)
        1.19
    """

    shape: tuple[int, int]
    spacing: Number
    material: Number | str
    wavelength: Number
    f: Number = None
    order: int | None = None
    levels: int | None = None
    blend: Number = 1.0
    medium: Number = 1.0

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.__doc__ = _documentation(cls)

    def check(self) -> None:
        where = type(self).__name__
        _check.grid_shape(where, self.shape)
        check_values(self, spacing=_check.positive, wavelength=_check.positive)
        check_values(self, f=_check.nonzero, medium=_check.positive)
        for name, low in (("order", 1), ("levels", 2)):
            if getattr(self, name) is not None:
                _check.integer(where, name, getattr(self, name), low)
        if self.levels is not None and self.order is None:
            raise ValueError(f"{where}: `levels` needs a wrapped relief: pass order=1.")
        self.wave_height()

    def wave_height(self) -> Array:
        """Height of one wave at the design wavelength [µm]."""
        given = self.arguments()
        options = dict(wavelength=given["wavelength"], medium=given["medium"])
        return heights.wave_height(given["material"], **options)

    def _given(self, *names: str) -> dict[str, Any]:
        """Some of the arguments, by name."""
        given = self.arguments()
        return {name: given[name] for name in names}

    def phase(self) -> Array | float:
        """Phase of the shape at the design wavelength, without the lens, ``(y, x)`` [rad]."""
        return 0.0

    def height(self) -> Array:
        """The relief: shape and lens, wrapped and rounded, ``(y, x)`` [µm]."""
        one = self.wave_height()
        height = self.phase() * (one / TAU)
        if self.f is not None:
            height = height + heights.lens(self.shape, *self._lens(), **self._grid())
        return self._finished(jnp.broadcast_to(height, self.shape), one)

    def _finished(self, height: Array, one: Array) -> Array:
        """A whole relief, wrapped and rounded."""
        if self.order is None:
            return height
        depth = self.order * one
        if self.levels is None:
            return heights.wrap(height, depth)
        return heights.levels(height, self.levels, depth, blend=self.blend[...])

    def _lens(self) -> tuple[Any, Any]:
        given = self.arguments()
        return given["f"], given["material"]

    def _grid(self) -> dict[str, Any]:
        given = self.arguments()
        return {name: given[name] for name in ("spacing", "wavelength", "medium")}

    def opd(self, wavelength: ArrayLike) -> Array:
        """Path at wavelengths ``(...)`` [µm]: ``(..., y, x)`` [µm]."""
        given = self.arguments()
        options = dict(wavelength=wavelength, medium=given["medium"])
        return heights.opd(self.height(), given["material"], **options)

    def __call__(self, field: AnyField) -> AnyField:
        return masks.opd_mask(field, self.opd(field.wavelength))


class FreeHeights(HeightMap):
    """A free relief, of pixels that may be several samples wide.

    Args:
        values: Phases at the design wavelength, one for each block, ``(rows, columns)`` [rad].
        block: Samples in a block, one number or (by, bx).

    Example:
        >>> from flax import nnx
        >>> plate = FreeHeights((8, 8), 4.0, "PMMA", 0.55, nnx.Param(jnp.zeros((4, 4))), block=2)
        >>> plate.opd([0.5, 0.6]).shape
        (2, 8, 8)
    """

    values: Number  # type: ignore[misc]
    block: int | tuple[int, int] = 1

    def phase(self) -> Array:
        return heights.blocks(self.shape, self.values[...], block=self.block)


class FourierHeights(HeightMap):
    """A relief of its lowest frequencies.

    Args:
        coefficients: Amplitudes of the waves cos + sin at the design wavelength,
            ``(fy, fx)`` [rad].

    Example:
        >>> FourierHeights((8, 8), 4.0, "PMMA", 0.55, jnp.zeros((5, 5))).height().shape
        (8, 8)
    """

    coefficients: Number  # type: ignore[misc]

    def phase(self) -> Array:
        return heights.fourier(self.shape, self.coefficients[...])


class ZernikeHeights(HeightMap):
    """A relief of Zernike modes.

    Args:
        coefficients: RMS phases at the design wavelength, ``(modes,)`` [rad].
        modes: Pairs (n, m), see :func:`jaxwave.zernike_modes_up_to`.
        radius: Radius of the disk, scalar [µm]; by default the largest one on the samples.

    Example:
        >>> ZernikeHeights((8, 8), 4.0, "PMMA", 0.55, [0.0, 1.0], [(2, 0), (3, 1)]).height().shape
        (8, 8)
    """

    coefficients: Number  # type: ignore[misc]
    modes: Sequence[tuple[int, int]]  # type: ignore[misc]
    radius: Number = None

    def phase(self) -> Array:
        options = self._given("spacing", "radius")
        return heights.zernike(self.shape, self.coefficients[...], self.modes, **options)


class RingHeights(HeightMap):
    """A relief of revolution.

    Args:
        values: Phases at the design wavelength from the axis to the rim, ``(rings,)`` [rad].
        radius: Radius of the rim, scalar [µm]; by default of the largest disk on the samples.

    Example:
        >>> RingHeights((8, 8), 4.0, "PMMA", 0.55, jnp.zeros(5), f="1 mm", order=1).height().shape
        (8, 8)
    """

    values: Number  # type: ignore[misc]
    radius: Number = None

    def phase(self) -> Array:
        return heights.rings(self.shape, self.values[...], **self._given("spacing", "radius"))


class PolarHeights(HeightMap):
    """A smooth relief on rings and spokes.

    Args:
        values: Phases at the design wavelength at control points, ``(rings, spokes)`` [rad].
        radius: Radius of the last ring, scalar [µm]; by default of the largest disk on the samples.

    Example:
        >>> PolarHeights((8, 8), 4.0, "PMMA", 0.55, jnp.zeros((3, 6))).height().shape
        (8, 8)
    """

    values: Number  # type: ignore[misc]
    radius: Number = None

    def phase(self) -> Array:
        return heights.polar(self.shape, self.values[...], **self._given("spacing", "radius"))


class SplineHeights(HeightMap):
    """A smooth relief on a square lattice of control points.

    Args:
        values: Phases at the design wavelength at control points, ``(rows, columns)`` [rad].

    Example:
        >>> SplineHeights((8, 8), 4.0, "PMMA", 0.55, jnp.zeros((3, 4))).height().shape
        (8, 8)
    """

    values: Number  # type: ignore[misc]

    def phase(self) -> Array:
        return heights.spline(self.shape, self.values[...])


class RankOneHeights(HeightMap):
    """A relief that is a product of a column and a row, or a sum of a few of them.

    Args:
        rows: Phases along y at the design wavelength, ``(y,)`` or ``(rank, y)`` [rad].
        columns: Factors along x, ``(x,)`` or ``(rank, x)`` [none].

    Example:
        >>> RankOneHeights((8, 8), 4.0, "PMMA", 0.55, jnp.ones(8), jnp.ones(8)).height().shape
        (8, 8)
    """

    rows: Number  # type: ignore[misc]
    columns: Number  # type: ignore[misc]

    def phase(self) -> Array:
        outer = heights.rank_one(self.rows[...], self.columns[...])
        return jnp.sum(outer, axis=0) if outer.ndim == 3 else outer


class CubicHeights(HeightMap):
    """A cubic relief, for depth of field; with ``f`` also a lens.

    Args:
        strength: Phase at x = R, y = 0 at the design wavelength, scalar [rad].
        radius: Radius R, scalar [µm]; by default of the largest disk on the samples.
        angle: Turn from +x toward +y, scalar [rad].

    Example:
        >>> CubicHeights((8, 8), 4.0, "PMMA", 0.55, 20.0, f="1 mm").height().shape
        (8, 8)
    """

    strength: Number  # type: ignore[misc]
    radius: Number = None
    angle: Number = 0.0

    def phase(self) -> Array:
        options = self._given("spacing", "radius", "angle")
        return heights.cubic(self.shape, self.strength[...], **options)


class MultiFocalHeights(HeightMap):
    """A lens whose sectors have different focal lengths in turn.

    Args:
        f: Focal lengths at the design wavelength, ``(K,)`` [µm].
        sectors: Number of sectors.

    Example:
        >>> MultiFocalHeights((8, 8), 4.0, "PMMA", 0.55, f=[900.0, 1000.0], order=1).height().shape
        (8, 8)
    """

    sectors: int = 12

    def check(self) -> None:
        super().check()
        _check_focal(self)

    def height(self) -> Array:
        options = self._grid() | {"order": None, "sectors": self.sectors}
        whole = heights.multi_focal(self.shape, *self._lens(), **options)
        return self._finished(whole, self.wave_height())


class MultiColorHeights(HeightMap):
    """A Fresnel lens whose rings of equal area are designed for different wavelengths.

    Args:
        wavelength: Design wavelengths of the rings, ``(K,)`` [µm].
        f: Focal length of all rings, scalar [µm].
        order: Waves in a zone.
        levels: None: the rings have different depths.
        radius: Radius of the stop, scalar [µm]; by default of the largest disk on the samples.

    Example:
        >>> MultiColorHeights((8, 8), 4.0, "PMMA", [0.46, 0.55], f=1000.0).height().shape
        (8, 8)
    """

    order: int = 1
    radius: Number = None

    def check(self) -> None:
        super().check()
        _check_ordered(self)

    def height(self) -> Array:
        options = self._grid() | {"order": self.order, "radius": self.arguments()["radius"]}
        return heights.multi_color(self.shape, *self._lens(), **options)


class RotationHeights(HeightMap):
    """A Fresnel lens whose focus has wings that turn with the wavelength.

    Args:
        wavelength: The first and the last design wavelength, ``(2,)`` [µm].
        f: Focal length, scalar [µm].
        order: Waves in a zone.
        levels: None: the depth changes along a sector.
        wings: Number of sectors.

    Example:
        >>> RotationHeights((8, 8), 4.0, "PMMA", [0.45, 0.65], f=1000.0).height().shape
        (8, 8)
    """

    order: int = 1
    wings: int = 3

    def check(self) -> None:
        super().check()
        _check_ordered(self)

    def height(self) -> Array:
        options = self._grid() | {"order": self.order, "wings": self.wings}
        return heights.diffracted_rotation(self.shape, *self._lens(), **options)


def _check_ordered(self: HeightMap) -> None:
    """A relief whose depth changes from place to place has an order and no levels."""
    where = type(self).__name__
    _check_focal(self)
    _check.integer(where, "order", self.order, 1)
    if self.levels is not None:
        raise ValueError(f"{where}: `levels` needs one depth, and this relief has several.")


def _check_focal(self: HeightMap) -> None:
    if self.f is None:
        raise ValueError(f"{type(self).__name__}: needs a focal length: pass f.")
