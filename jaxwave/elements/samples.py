"""Samples as elements."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from jaxwave import _check, samples
from jaxwave.elements.element import Element, Number, check_values
from jaxwave.field import AnyField


class ThinSample(Element, function=samples.thin_sample):
    """A thin sample: what its index does over its thickness.

    Example:
        >>> import jax.numpy as jnp
        >>> ThinSample(jnp.zeros((64, 64)), "5 um")
        ThinSample(dn=(64, 64) float32, 0, thickness=5 µm)
    """

    dn: Number
    thickness: Number

    def check(self) -> None:
        _check.at_least("ThinSample", "dn", self.dn[...], 2, "(..., y, x)")
        _check.finite_array("ThinSample", "dn", self.dn[...])
        check_values(self, thickness=_check.nonnegative)

    def __call__(self, field: AnyField) -> AnyField:
        return samples.thin_sample(field, **self.arguments())


class Multislice(Element, function=samples.multislice):
    """A thick sample in slices.

    Example:
        >>> import jax.numpy as jnp
        >>> Multislice(jnp.zeros((20, 64, 64)), "0.5 um", n=1.33)
        Multislice(dn=(20, 64, 64) float32, 0, thickness=0.5 µm, n=1.33)
    """

    dn: Number
    thickness: Number
    n: Number = 1.0
    birefringence: Number = None
    axis: Number = None
    border: int = 0
    segment: int | None = None

    def check(self) -> None:
        _check.at_least("Multislice", "dn", self.dn[...], 3, "(..., slices, y, x)")
        _check.finite_array("Multislice", "dn", self.dn[...])
        check_values(self, thickness=_check.positive, n=_check.positive)

    def distance(self) -> Array:
        """Distance that the light travels along the axis, scalar [µm]."""
        return jnp.max(self.thickness[...]) * self.dn[...].shape[-3]

    def __call__(self, field: AnyField) -> AnyField:
        return samples.multislice(field, **self.arguments())
