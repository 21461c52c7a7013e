"""Thin masks as elements."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jax import Array

from jaxwave import _check, masks
from jaxwave.elements.element import Element, Number, check_values
from jaxwave.field import AnyField, Field
from jaxwave.mirrors import check_mirror, deformable_mirror
from jaxwave.slm import check_device, check_levels, check_map, check_table, dmd, slm
from jaxwave.zernike import zernike_opd

_TWELVE_DEGREES = math.radians(12)


class PhaseMask(Element, function=masks.phase_mask):
    """A phase mask or spatial light modulator.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> PhaseMask(nnx.Param(jnp.zeros((64, 64))))
        PhaseMask(phase=learned (64, 64) float32, 0 rad)
    """

    phase: Number
    pitch: Number = None
    angle: Number = None
    y: Number = None
    x: Number = None

    def check(self) -> None:
        _check_picture(self, "phase", fix="Use AmplitudeMask.")
        _check_place(self)

    def __call__(self, field: AnyField) -> AnyField:
        return masks.phase_mask(field, **self.arguments())


class OpdMask(Element, function=masks.opd_mask):
    """A mask given by its optical path: an aberration, a diffractive relief.

    Example:
        >>> import jax.numpy as jnp
        >>> OpdMask(jnp.zeros((64, 64)))
        OpdMask(opd=(64, 64) float32, 0 µm)
    """

    opd: Number
    pitch: Number = None
    angle: Number = None
    y: Number = None
    x: Number = None

    def check(self) -> None:
        _check_picture(self, "opd", fix="Use AmplitudeMask for absorption.")
        _check_place(self)

    def __call__(self, field: AnyField) -> AnyField:
        return masks.opd_mask(field, **self.arguments())


class AmplitudeMask(Element, function=masks.amplitude_mask):
    """A mask given by its transmission, real or complex.

    Example:
        >>> import jax.numpy as jnp
        >>> AmplitudeMask(jnp.ones((64, 64)))
        AmplitudeMask(transmission=(64, 64) float32, 1)
    """

    transmission: Number
    pitch: Number = None
    angle: Number = None
    y: Number = None
    x: Number = None

    def check(self) -> None:
        _check_picture(self, "transmission")
        _check_place(self)

    def __call__(self, field: AnyField) -> AnyField:
        return masks.amplitude_mask(field, **self.arguments())


class CubicMask(Element, function=masks.cubic_mask):
    """A cubic phase plate.

    Example:
        >>> CubicMask(10.0, radius="2 mm")
        CubicMask(opd=10 µm, radius=2000 µm)
    """

    opd: Number
    radius: Number
    angle: Number = 0.0
    y: Number = 0.0
    x: Number = 0.0

    def check(self) -> None:
        check_values(self, radius=_check.positive, opd=_check.finite, angle=_check.finite)
        check_values(self, y=_check.finite, x=_check.finite)

    def __call__(self, field: AnyField) -> AnyField:
        return masks.cubic_mask(field, **self.arguments())


class SpiralMask(Element, function=masks.spiral_mask):
    """A spiral phase plate.

    Example:
        >>> SpiralMask(2)
        SpiralMask(charge=2)
    """

    charge: int
    angle: Number = 0.0
    y: Number = 0.0
    x: Number = 0.0

    def check(self) -> None:
        _check.integer("SpiralMask", "charge", self.charge, -(10**6))
        check_values(self, angle=_check.finite, y=_check.finite, x=_check.finite)

    def __call__(self, field: AnyField) -> AnyField:
        return masks.spiral_mask(field, **self.arguments())


class Slm(Element, function=slm):
    """A spatial light modulator with its pixels, gaps and table.

    Example:
        >>> import jax.numpy as jnp
        >>> Slm(jnp.zeros((64, 64)), pitch="8 um", table=[0.0, 6.2], fill_factor=0.93)
        Slm(levels=(64, 64) float32, 0, pitch=8 µm, table=[0, 6.2] rad, fill_factor=0.93)
    """

    levels: Number
    pitch: Number
    table: Number = None
    fill_factor: Number = 1.0
    gap: Number = 1.0
    crosstalk: Number = None
    correction: Number = None
    flatness: Number = None
    angle: Number = None
    tilt: Number = None
    y: Number = 0.0
    x: Number = 0.0

    def check(self) -> None:
        given, where = self.arguments(), "Slm"
        levels = check_levels(where, given["levels"])
        if given["table"] is not None:
            check_table(where, given["table"])
        for name in ("correction", "flatness"):
            if given[name] is not None:
                check_map(where, name, given[name], levels.shape, "one number a pixel")
        check_device(where, given["fill_factor"], given["gap"])
        check_values(self, pitch=_check.positive, y=_check.finite, x=_check.finite)
        check_values(self, crosstalk=_check.nonnegative, angle=_check.finite, tilt=_check.finite)

    def __call__(self, field: AnyField) -> AnyField:
        return slm(field, **self.arguments())


class Dmd(Element, function=dmd):
    """A digital micromirror device: mirrors that are on or off, and the path from one to the next.

    Example:
        >>> import jax.numpy as jnp
        >>> Dmd(jnp.ones((64, 64)), pitch="7.56 um", mirror_tilt=0.0)
        Dmd(mirrors=(64, 64) float32, 1, pitch=7.56 µm, mirror_tilt=0 rad)
    """

    mirrors: Number
    pitch: Number
    fill_factor: Number = 1.0
    mirror_tilt: Number = _TWELVE_DEGREES
    angle: Number = None
    y: Number = 0.0
    x: Number = 0.0

    def check(self) -> None:
        states = check_levels("Dmd", self.mirrors[...], name="mirrors")
        _check.between("Dmd", "mirrors", states, 0, 1)
        check_device("Dmd", self.fill_factor[...], 0.0)
        check_values(self, pitch=_check.positive, mirror_tilt=_check.finite, angle=_check.finite)
        check_values(self, y=_check.finite, x=_check.finite)

    def __call__(self, field: AnyField) -> AnyField:
        return dmd(field, **self.arguments())


class DeformableMirror(Element, function=deformable_mirror):
    """A deformable mirror: commands, and what each does to the path.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> DeformableMirror(nnx.Param(jnp.zeros(2)), jnp.zeros((2, 64, 64)), stroke=1.0)
        DeformableMirror(commands=learned [0, 0], influence=(2, 64, 64) float32, 0 µm, stroke=1)
    """

    commands: Number
    influence: Number
    stroke: Number = None

    def check(self) -> None:
        given = self.arguments()
        check_mirror("DeformableMirror", given["commands"], given["influence"], given["stroke"])

    def __call__(self, field: AnyField) -> AnyField:
        return deformable_mirror(field, **self.arguments())


class ZernikeMask(Element, function=zernike_opd):
    r"""An aberration given by Zernike modes on a disk of the field.

    .. math:: u' = u\,\exp\!\left[\frac{2\pi i}{\lambda}
        \sum_j c_j\, Z_j\!\left(\frac{x}{R}, \frac{y}{R}\right)\right]

    Valid for a thin element. The path goes on beyond the disk; put a :class:`CircularAperture` of
    the same radius beside it.

    Args:
        coefficients: Path differences, ``(..., modes)`` [µm].
        modes: Pairs (n, m).
        radius: Radius of the disk, scalar [µm].

    Raises:
        TypeError: If a mode is a bare number.
        ValueError: If the numbers of coefficients and modes differ or the radius is not positive.

    Example:
        >>> ZernikeMask([0.05, 0.0], [(2, 0), (4, 0)], radius="2 mm")
        ZernikeMask(coefficients=[0.05, 0] µm, modes=((2, 0), (4, 0)), radius=2000 µm)

    References:
        M. Born and E. Wolf, *Principles of Optics*, 7th ed., Sec. 9.2.
    """

    coefficients: Number
    modes: Sequence[tuple[int, int]]
    radius: Number

    def check(self) -> None:
        check_values(self, coefficients=_check.finite, radius=_check.positive)
        zernike_opd(self.coefficients[...], self.modes, 0.0, 0.0)

    def opd(self, field: Field) -> Array:
        """Optical path on the samples of a field, ``(..., y, x)`` [µm]."""
        radius = self.radius[...][..., None, None]
        return zernike_opd(self.coefficients[...], self.modes, field.y / radius, field.x / radius)

    def __call__(self, field: AnyField) -> AnyField:
        return masks.opd_mask(field, self.opd(field))


def _check_picture(element: Element, name: str, fix: str = "") -> None:
    where, value = type(element).__name__, getattr(element, name)[...]
    _check.at_least(where, name, value, 2, "(..., y, x)")
    if fix:
        _check.real_array(where, name, value, fix=fix)
    _check.finite_array(where, name, value)


def _check_place(element: Element) -> None:
    given = {name: getattr(element, name) for name in ("pitch", "angle", "y", "x")}
    masks.check_place(type(element).__name__, given)
    check_values(element, pitch=_check.positive, angle=_check.finite)
    check_values(element, y=_check.finite, x=_check.finite)
