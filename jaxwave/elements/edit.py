"""What a person does to a field, as elements: pad, crop, resample, shift, flip, normalize."""

from __future__ import annotations

from jaxwave import _check, edit
from jaxwave.elements.element import Element, Number, check_values
from jaxwave.field import AnyField


class Pad(Element, function=edit.pad):
    """A larger window around the axis.

    Example:
        >>> Pad((96, 128))
        Pad(shape=(96, 128))
    """

    shape: tuple[int, int]

    def check(self) -> None:
        _check.grid_shape("Pad", self.shape)

    def __call__(self, field: AnyField) -> AnyField:
        return edit.pad(field, self.shape)


class Crop(Element, function=edit.crop):
    """A smaller window around the axis.

    Example:
        >>> Crop((32, 32))
        Crop(shape=(32, 32))
    """

    shape: tuple[int, int]

    def check(self) -> None:
        _check.grid_shape("Crop", self.shape)

    def __call__(self, field: AnyField) -> AnyField:
        return edit.crop(field, self.shape)


class Resample(Element, function=edit.resample):
    """Another grid, by band-limited interpolation.

    Example:
        >>> Resample("130 nm", (64, 64))
        Resample(spacing=0.13 µm, shape=(64, 64))
    """

    spacing: Number
    shape: tuple[int, int]

    def check(self) -> None:
        _check.grid_shape("Resample", self.shape)
        check_values(self, spacing=_check.positive)

    def __call__(self, field: AnyField) -> AnyField:
        return edit.resample(field, **self.arguments())


class Shift(Element, function=edit.shift):
    """A sideways move by any distance.

    Example:
        >>> Shift(x="130 nm")
        Shift(x=0.13 µm)
    """

    y: Number = 0.0
    x: Number = 0.0

    def check(self) -> None:
        check_values(self, y=_check.finite, x=_check.finite)

    def __call__(self, field: AnyField) -> AnyField:
        return edit.shift(field, **self.arguments())


class Flip(Element, function=edit.flip):
    """A mirror image about the axis.

    Example:
        >>> Flip(axis="x")
        Flip(axis='x')
    """

    axis: str

    def check(self) -> None:
        _check.choice("Flip", "axis", self.axis, ("x", "y", "xy"))

    def __call__(self, field: AnyField) -> AnyField:
        return edit.flip(field, axis=self.axis)


class Normalize(Element, function=edit.normalize):
    """A scaling to a given power.

    Example:
        >>> Normalize(power=2.0)
        Normalize(power=2)
    """

    power: Number = 1.0

    def check(self) -> None:
        check_values(self, power=_check.nonnegative)

    def __call__(self, field: AnyField) -> AnyField:
        return edit.normalize(field, **self.arguments())
