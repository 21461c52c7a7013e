"""Cameras as elements: called with photons, electrons or intensities.

Elements that draw random numbers take a random ``key`` first; a System hands it to them.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, sensors
from jaxwave.elements.element import Element, Number, check_values
from jaxwave.field import Field


class _Sensor(Element):
    """Something with the numbers of a camera's data sheet."""

    def check(self) -> None:
        rules = {
            "exposure": _check.nonnegative,
            "dark_current": _check.nonnegative,
            "read_noise": _check.nonnegative,
            "gain": _check.positive,
            "offset": _check.finite,
            "full_well": _check.positive,
        }
        names = {field.name for field in self._fields}
        check_values(self, **{name: rule for name, rule in rules.items() if name in names})
        where = type(self).__name__
        if "quantum_efficiency" in names:
            _check.between(
                where, "quantum_efficiency", self.arguments()["quantum_efficiency"], 0, 1
            )
        if "bit_depth" in names:
            _check.integer(where, "bit_depth", self.arguments()["bit_depth"], 1, 24)


class Camera(_Sensor, function=sensors.camera):
    """A camera that draws noisy counts.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> Camera(read_noise=1.6, offset=100.0)(jax.random.key(0), jnp.ones((4, 4))).shape
        (4, 4)
    """

    quantum_efficiency: Number = 1.0
    dark_current: Number = 0.0
    exposure: Number = 1.0
    read_noise: Number = 0.0
    gain: Number = 1.0
    offset: Number = 0.0
    full_well: Number | None = None
    bit_depth: int = 16

    def __call__(self, key: Array, photons: ArrayLike) -> Array:
        return sensors.camera(key, photons, **self.arguments())


class ExpectedCounts(_Sensor, function=sensors.expected_counts):
    """A camera without noise: what it counts on average.

    Example:
        >>> import jax.numpy as jnp
        >>> ExpectedCounts(gain=2.0, offset=100.0)(jnp.full((2, 2), 10.0))[0, 0].item()
        105.0
    """

    quantum_efficiency: Number = 1.0
    dark_current: Number = 0.0
    exposure: Number = 1.0
    gain: Number = 1.0
    offset: Number = 0.0
    full_well: Number | None = None
    bit_depth: int = 16

    def __call__(self, photons: ArrayLike) -> Array:
        return sensors.expected_counts(photons, **self.arguments())


class CountsVariance(_Sensor, function=sensors.counts_variance):
    """The variance of a camera's counts.

    Example:
        >>> import jax.numpy as jnp
        >>> CountsVariance(read_noise=2.0)(jnp.full((2, 2), 10.0)).shape
        (2, 2)
    """

    quantum_efficiency: Number = 1.0
    dark_current: Number = 0.0
    exposure: Number = 1.0
    read_noise: Number = 0.0
    gain: Number = 1.0

    def __call__(self, photons: ArrayLike) -> Array:
        return sensors.counts_variance(photons, **self.arguments())


class Expose(_Sensor, function=sensors.expose):
    """An exposure: from photons to electrons.

    Example:
        >>> Expose(quantum_efficiency=0.5)(10.0).item()
        5.0
    """

    quantum_efficiency: Number = 1.0
    dark_current: Number = 0.0
    exposure: Number = 1.0

    def __call__(self, photons: ArrayLike) -> Array:
        return sensors.expose(photons, **self.arguments())


class ShotNoise(_Sensor, function=sensors.shot_noise):
    """The noise of counting.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> ShotNoise()(jax.random.key(0), jnp.full((2, 2), 10.0)).shape
        (2, 2)
    """

    def __call__(self, key: Array, electrons: ArrayLike) -> Array:
        return sensors.shot_noise(key, electrons)


class AddReadNoise(_Sensor, function=sensors.add_read_noise):
    """The noise of reading a pixel.

    Example:
        >>> AddReadNoise(read_noise=1.6)
        AddReadNoise(read_noise=1.6 e)
    """

    read_noise: Number

    def __call__(self, key: Array, electrons: ArrayLike) -> Array:
        return sensors.add_read_noise(key, electrons, **self.arguments())


class Saturate(_Sensor, function=sensors.saturate):
    """A full well.

    Example:
        >>> Saturate(full_well=30e3)(1e6).item()
        30000.0
    """

    full_well: Number

    def __call__(self, electrons: ArrayLike) -> Array:
        return sensors.saturate(electrons, **self.arguments())


class Quantize(_Sensor, function=sensors.quantize):
    """A converter from electrons to counts.

    Example:
        >>> Quantize(gain=2.0, bit_depth=12)(11.0).item()
        6.0
    """

    gain: Number = 1.0
    offset: Number = 0.0
    bit_depth: int = 16

    def __call__(self, electrons: ArrayLike) -> Array:
        return sensors.quantize(electrons, **self.arguments())


class PixelIntegrate(Element, function=sensors.pixel_integrate):
    """Camera pixels, which collect the light on their area.

    Example:
        >>> import jaxwave as jw
        >>> field = jw.gaussian_beam((64, 64), spacing=1.0, wavelength=0.5, waist=8.0)
        >>> pixels = PixelIntegrate(pitch=4.0, shape=(16, 16))
        >>> round(float(pixels(field).sum()), 4)
        1.0
    """

    pitch: Number
    shape: tuple[int, int]
    spacing: Number | None = None  # that of the field
    fill_factor: Number = 1.0

    def check(self) -> None:
        check_values(self, spacing=_check.positive, pitch=_check.positive)
        _check.grid_shape("PixelIntegrate", self.shape)
        _check.between("PixelIntegrate", "fill_factor", self.fill_factor[...], 0, 1)

    def __call__(self, intensity: Field | ArrayLike) -> Array:
        options = self.arguments()
        if isinstance(intensity, Field):
            given = options["spacing"]
            options["spacing"] = intensity.spacing if given is None else given
            intensity = intensity.intensity
        elif options["spacing"] is None:
            raise ValueError(
                "PixelIntegrate: an array of intensities has no spacing. Call it with a field, or "
                "make it with `spacing`."
            )
        return sensors.pixel_integrate(jnp.asarray(intensity), **options)
