"""A modulator, a lens, and a camera in its focus."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave._noun import Number, noun, number, settle, static
from jaxwave.numerics import cis, program
from jaxwave.slm import slm
from jaxwave.sources import plane_wave

Device = dict[str, Any]


@noun
class ModulatorBench:
    r"""A spatial light modulator in a plane wave, and a camera in the focus of a lens.

    .. math:: I(\mathbf r) = L\left|\iint t(\mathbf r')\,
        e^{-2\pi i \mathbf r \cdot \mathbf r' / (\lambda f)}\,d^2r'\right|^2

    with the transmission t of :func:`~jaxwave.slm`, whose pixels are rectangles with known far
    fields. Valid for a camera whose pixels are small against f times the wavelength over the width
    of the device. Every number is a leaf.

    Args:
        pitch: Distance of the device's pixels, scalar [µm].
        wavelength: Vacuum wavelength, scalar [µm].
        f: Focal length of the lens, scalar [µm].
        camera_pitch: Pixels of the camera, scalar [µm].
        shape: Pixels of the camera (ny, nx); its axis is the pixel N // 2.

    Raises:
        ValueError: If a length is not positive or the shape not two whole numbers.

    Example:
        >>> bench = ModulatorBench(8.0, "633 nm", "100 mm", camera_pitch=180.0, shape=(16, 20))
        >>> device = {"table": np.linspace(0, 6.2, 256), "fill_factor": 0.9}
        >>> bench.image(device, np.zeros((8, 8))).shape
        (16, 20)

    References:
        E. Ronzitti et al., Opt. Express 20, 17843 (2012).
    """

    pitch: Number
    wavelength: Number
    f: Number
    camera_pitch: Number
    shape: tuple[int, int] = static()

    def __post_init__(self) -> None:
        where = "ModulatorBench"
        values = {}
        for name in ("pitch", "wavelength", "f", "camera_pitch"):
            value = _check.length(where, name, getattr(self, name))
            _check.positive(where, name, value, unit="µm")
            values[name] = number(where, name, value)
        settle(self, shape=_check.grid_shape(where, self.shape), **values)

    def image(self, device: Device, levels: ArrayLike) -> Array:
        """Light on the camera.

        Args:
            device: What the device is: ``table`` and, as far as known, ``fill_factor``, ``gap``,
                ``crosstalk``, ``flatness`` as :func:`~jaxwave.slm` takes them, and ``light``, the
                factor of the whole image.
            levels: What the device shows, ``(rows, columns)`` [levels].

        Returns:
            The image, ``(y, x)`` [unit of ``light``; 1 is the peak of an ideal mirror].

        Raises:
            ValueError: If a number of the device is out of range.
        """
        return _image(self, dict(device), jnp.asarray(levels, float))


@program()
def _image(bench: ModulatorBench, device: Device, levels: Array) -> Array:
    """Every pixel is a rectangle, so its far field is known: no samples within it are needed."""
    wave = plane_wave(levels.shape, spacing=bench.pitch, wavelength=bench.wavelength, power=1.0)  # type: ignore[arg-type]
    pixels = {k: v for k, v in device.items() if k in ("table", "crosstalk", "flatness")}
    shown = slm(wave, levels, pitch=bench.pitch, **pixels).u / jnp.abs(wave.u)  # one sample each
    gap = jnp.asarray(device.get("gap", 1.0)).astype(shown.dtype)
    width = jnp.sqrt(jnp.asarray(device.get("fill_factor", 1.0), shown.real.dtype))
    step = bench.camera_pitch * bench.pitch / (bench.wavelength * bench.f)
    at = [jnp.asarray(np.arange(n) - n // 2) * step for n in bench.shape]  # [1 / pitch]
    counts = [np.arange(n) - n // 2 for n in levels.shape]
    waves = [cis(-f[:, None] * k) for f, k in zip(at, counts, strict=True)]

    def envelope(wide: Array | float) -> Array:
        rows, columns = (wide * jnp.sinc(wide * f) for f in at)
        return rows[:, None] * columns

    sent = _product(_product(waves[0], shown - gap), waves[1].T)
    gaps = gap * jnp.sum(waves[0], 1)[:, None] * jnp.sum(waves[1], 1)
    u = (sent * envelope(width) + gaps * envelope(1.0)) / levels.size
    return jnp.asarray(device.get("light", 1.0)) * (u.real**2 + u.imag**2)


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")


def gratings(shape: tuple[int, int], *, knots: ArrayLike, period: int = 4) -> np.ndarray:
    r"""Patterns that tell everything about a modulator's pixels from images of its focus.

    .. math:: \ell_k(j) = \ell_K \left\lfloor \frac{2 j}{p} \right\rfloor \bmod 2

    A flat one, bars of period p between level 0 and each of the other knots along y, one of them
    along x too, bars twice as wide to tell crosstalk from the fill factor, and stairs of all
    knots. Valid for devices that show a level in the same way everywhere.

    Args:
        shape: Pixels of the device, ``(rows, columns)``.
        knots: Levels between which the table is smooth, rising, from 0 to the highest, ``(K,)``
            [levels].
        period: Pixels of a period p, even.

    Returns:
        The levels, ``(K + 3, rows, columns)`` [levels].

    Raises:
        ValueError: If the knots are less than three, do not begin at 0 or do not rise, or the
            period is odd.

    Example:
        >>> gratings((12, 12), knots=[0, 128, 255]).shape
        (6, 12, 12)

    References:
        Patterns of this kind are used by the vendors' own programs for measuring tables.
    """
    where = "gratings"
    rows, columns = _check.grid_shape(where, shape)
    knots = known_knots(where, knots)
    _check.integer(where, "period", period, 2)
    if period % 2:
        raise ValueError(f"{where}: `period` must be even, got {period}. Pass {period + 1}.")

    def bars(count: int, width: int) -> np.ndarray:
        return np.arange(count) // width % 2

    flat = np.zeros((rows, columns))
    along_y = [flat + top * bars(rows, period // 2)[:, None] for top in knots[1:]]
    along_x = flat + knots[len(knots) // 2] * bars(columns, period // 2)
    wide = flat + knots[-1] * bars(rows, period)[:, None]
    stairs = flat + knots[np.arange(rows) % len(knots)][:, None]
    return np.stack([flat, *along_y, along_x, wide, stairs])


def known_knots(where: str, knots: ArrayLike) -> np.ndarray:
    """Knots of a table, checked."""
    knots = np.asarray(knots, float)
    if knots.ndim != 1 or len(knots) < 3 or knots[0] != 0 or np.any(np.diff(knots) <= 0):
        raise ValueError(
            f"{where}: `knots` must be three levels or more that rise from 0, got {knots.tolist()}."
        )
    return knots
