"""The device from its images: a fit with error bars, predictions, and the light on axis removed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave import calibration as cal
from jaxwave.modulators.bench import Device, ModulatorBench, known_knots
from jaxwave.zernike import Mode, zernike_polynomials

MODES: tuple[Mode, ...] = ((1, -1), (1, 1), (2, -2), (2, 0), (2, 2))
_SCALES = {"fill": 0.1, "gap": 0.1, "flat": 0.05, "table": 0.1, "crosstalk": 0.1, "light": 0.1}

_METHOD: Any = {"optimizer": cal.levenberg_marquardt(), "scales": _SCALES}
_METHOD |= {"report_every": 5, "tolerance": 1e-6}

Numbers = dict[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class ModulatorFit:
    r"""A modulator that was measured.

    .. math:: s(\ell) = \frac{I_\ell(0)}{I_0(0)}, \qquad
        \sigma_s^2 = \nabla s^T\, C\, \nabla s

    is the zero order that it tells for levels not seen before, with the covariance C of the fit.
    Valid for levels of the table that the patterns showed; what the fit left out (a second
    reflection, scattered light) is missing. :func:`measure_modulator` makes it.

    Args:
        bench: The bench.
        device: What :meth:`ModulatorBench.image` takes: table ``(levels,)`` [rad], fill factor,
            gap, crosstalk [pixels], flatness ``(rows, columns)`` [µm], light.
        errors: Standard errors of ``stroke`` [rad], ``fill_factor``, ``gap`` (of its modulus),
            ``crosstalk`` [pixels], ``light`` (relative), ``flatness`` ``(modes,)`` [µm] and
            ``table`` ``(levels,)`` [rad].
        coefficients: Path of the device's shape in Zernike modes, on the disk around it,
            ``(modes,)`` [µm].
        chi_square: Misfit over the number of pixels; one if the noise that was told is all [none].
        learned: The numbers of the fit and their covariance ``(count, count)``
            [products of their units], from which predictions are made.

    Raises:
        ValueError: If levels that are asked for have another shape than the device.

    Example:
        >>> bench = ModulatorBench(8.0, 0.633, 1e5, camera_pitch=180.0, shape=(16, 20))
        >>> fit = ModulatorFit(bench, {"table": np.linspace(0, 6.0, 256)}, {}, np.zeros(5), 1.0, ())
        >>> fit.stroke
        6.0

    References:
        E. Ronzitti et al., Opt. Express 20, 17843 (2012).
    """

    bench: ModulatorBench
    device: Device
    errors: dict[str, Any]
    coefficients: np.ndarray
    chi_square: float
    learned: Any = dataclasses.field(repr=False)

    @property
    def stroke(self) -> float:
        """Phase of the highest level [rad]."""
        return float(self.device["table"][-1])

    def zero_order(self, levels: ArrayLike) -> tuple[float, float]:
        """Light on axis with its standard error, of that on axis when all levels are zero.

        Args:
            levels: What the device shows, ``(rows, columns)`` [levels].

        Returns:
            The share and its standard error.
        """
        numbers, covariance, maps = self.learned
        levels = _fitting("ModulatorFit.zero_order", levels, maps)
        at, unravel = ravel_pytree(numbers)
        value, slope = _share(self.bench, unravel, maps, levels)(at)
        error = np.sqrt(max(float(slope @ covariance @ slope), 0.0))
        return float(value), error

    def corrected(self, levels: ArrayLike, *, steps: int = 60) -> np.ndarray:
        """Whole levels near the given ones that send next to no light on axis.

        Args:
            levels: What the device should show, ``(rows, columns)`` [levels].
            steps: Steps of the search.

        Returns:
            The levels, ``(rows, columns)`` [levels].
        """
        top = len(self.device["table"]) - 1
        middle = tuple(n // 2 for n in self.bench.shape)
        told = _fitting("ModulatorFit.corrected", levels, self.learned[2])
        brightest = self.bench.image(self.device, told).max()

        def loss(shown: Array, device: Device) -> Array:
            light = self.bench.image(device, shown)
            away = jnp.mean((shown - told) ** 2) / top**2
            return light[middle] / brightest + away

        found = cal.minimize(loss, told, self.device, steps=steps).parameters
        return np.rint(np.clip(np.asarray(found), 0, top))


def measure_modulator(
    photons: ArrayLike,
    levels: ArrayLike,
    bench: ModulatorBench,
    *,
    knots: ArrayLike,
    stroke: float = 2 * np.pi,
    fill_factor: float = 0.9,
    modes: Sequence[Mode] = MODES,
    read_noise: float = 3.0,
    steps: int = 40,
) -> ModulatorFit:
    r"""Measures a modulator from images of known patterns in the focus of a lens.

    .. math:: \min \sum \frac{(I_{kj}(\varphi, F, g, \sigma, w) - N_{kj})^2}{N_{kj} + r^2}

    over its table of phases (free and monotone, a cubic spline through the knots), fill factor F,
    light of the gaps g (complex), crosstalk σ, shape w and the light of the whole, by Levenberg and
    Marquardt. Valid for counts of known gain without saturated pixels, and for patterns that show
    every knot, such as those of :func:`gratings`: no image tells the phase of a level that none
    shows, and the error bars do not know of it.

    Args:
        photons: The images, not negative, ``(K, y, x)`` [photons].
        levels: What the device showed, ``(K, rows, columns)`` [levels].
        bench: Pitch, wavelength, lens and camera.
        knots: Levels between which the table is smooth, rising, from 0 to the highest, ``(K,)``
            [levels].
        stroke: About the phase of the highest level, to half a wave [rad].
        fill_factor: About the active share of a pixel.
        modes: Zernike modes of the device's shape; tilts are the camera's place.
        read_noise: Noise of a dark pixel [photons].
        steps: Most steps of the fit.

    Returns:
        The fit.

    Raises:
        ValueError: If shapes do not fit, or something is negative or not finite.
        TypeError: If ``bench`` is no ModulatorBench.

    Example:
        >>> bench = ModulatorBench(8.0, 0.633, 1e5, camera_pitch=700.0, shape=(14, 14))
        >>> from jaxwave.modulators import gratings
        >>> levels = gratings((8, 8), knots=[0, 128, 255])
        >>> device = {"table": np.linspace(0, 6.0, 256), "fill_factor": 0.9, "light": 1e5}
        >>> images = np.stack([bench.image(device, one) for one in levels])
        >>> fit = measure_modulator(images, levels, bench, knots=[0, 128, 255], modes=[(2, 0)])
        >>> f"{fit.stroke:.2f} {fit.device['fill_factor']:.2f}"
        '6.00 0.90'

    References:
        E. Ronzitti et al., "LCoS nematic SLM characterization and modeling for diffraction
        efficiency optimization, zero and ghost orders suppression", Opt. Express 20, 17843 (2012).
    """
    where = "measure_modulator"
    if not isinstance(bench, ModulatorBench):
        raise TypeError(f"{where}: `bench` must be a ModulatorBench, got {type(bench).__name__}.")
    knots = known_knots(where, knots)
    photons, levels = np.asarray(photons, np.float32), np.asarray(levels, np.float32)
    if photons.ndim != 3 or photons.shape[1:] != bench.shape or len(photons) != len(levels):
        raise ValueError(
            f"{where}: `photons` must be ({len(levels)}, {bench.shape[0]}, {bench.shape[1]}), an "
            f"image for each pattern, got the shape {photons.shape}."
        )
    _check.finite_array(where, "photons", photons)
    if levels.ndim != 3 or levels.min() < 0 or levels.max() > knots[-1]:
        raise ValueError(
            f"{where}: `levels` must be (K, rows, columns) between 0 and {knots[-1]:g}, the last "
            f"knot, got {levels.min():g} to {levels.max():g} of the shape {levels.shape}."
        )
    maps = _maps(levels.shape[1:], knots, tuple(modes))
    data = {"photons": photons, "levels": levels, "maps": maps, "bench": bench}
    data["variance"] = np.maximum(photons, 0) + np.float32(read_noise**2)
    p = _start(bench, data, knots, stroke, fill_factor, len(modes))
    # Counts are bad weights where they are few; the fitted images are good ones.
    for _ in range(2):
        fit = cal.calibrate(p, cal.least_squares(_residuals), data, steps=steps, **_METHOD)
        p = fit.model
        data["variance"] = np.asarray(_seen(p, data)) + np.float32(read_noise**2)
    # Pixels that are sharp within a quarter of a pixel tell nothing more about their crosstalk.
    known = cal.uncertainty(p, _residuals, data, priors={"crosstalk": cal.normal(0.0, 0.5)})
    return _result(bench, fit, known, maps, photons.size)


def _fitting(where: str, levels: ArrayLike, maps: Any) -> Array:
    """Levels of every pixel of the device."""
    levels, need = jnp.asarray(levels, float), maps["paths"].shape[1:]
    if levels.shape != need:
        raise ValueError(f"{where}: `levels` must be {need} (rows, columns), got {levels.shape}.")
    return levels


def _start(
    bench: ModulatorBench, data: Numbers, knots: np.ndarray, stroke: float, fill: float, modes: int
) -> Numbers:
    """A straight table, and the light of the first image."""
    p = {"fill": fill, "crosstalk": 0.3, "light": 0.0, "gap": np.array([0.5, 0.0])}
    p |= {"flat": np.zeros(modes), "table": np.log(stroke * np.diff(knots) / knots[-1])}
    p = jax.tree.map(jnp.float32, p)
    first = bench.image(device_of(p, data["maps"]), data["levels"][0])
    p["light"] = jnp.log(data["photons"][0].sum() / first.sum())
    return p


def _maps(shape: tuple[int, ...], knots: np.ndarray, modes: tuple[Mode, ...]) -> dict[str, Any]:
    """What turns numbers into a table and a shape: both are linear."""
    y, x = (np.arange(n) - (n - 1) / 2 for n in shape)
    radius = np.hypot(shape[0], shape[1]) / 2
    at = (y[:, None] / radius, x[None] / radius)
    paths = np.asarray(zernike_polynomials(modes, *at)) if modes else np.zeros((0, *shape))
    return {"paths": paths.astype(np.float32), "spline": _spline(knots).astype(np.float32)}


def _spline(knots: np.ndarray) -> np.ndarray:
    """Matrix from values at the knots to all levels: the cubic spline without a knot at the ends.

    (levels, knots); bends at the knots solve a small linear system, and are linear between them.
    """
    k = len(knots)
    h = np.diff(knots)
    left, right = np.zeros((k, k)), np.zeros((k, k))
    for i in range(1, k - 1):
        left[i, i - 1 : i + 2] = h[i - 1] / 6, (h[i - 1] + h[i]) / 3, h[i] / 6
        right[i, i - 1 : i + 2] = 1 / h[i - 1], -1 / h[i - 1] - 1 / h[i], 1 / h[i]
    if k > 3:  # the third derivative does not jump at the second knot and the last but one
        left[0, :3] = 1 / h[0], -1 / h[0] - 1 / h[1], 1 / h[1]
        left[-1, -3:] = 1 / h[-2], -1 / h[-2] - 1 / h[-1], 1 / h[-1]
    else:  # a parabola
        left[0, :2], left[-1, -2:] = (1, -1), (1, -1)
    bends = np.linalg.solve(left, right)
    at = np.arange(round(float(knots[-1])) + 1.0)
    i = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, k - 2)
    a = (knots[i + 1] - at) / h[i]
    b = 1 - a
    one = np.eye(k)
    wide = h[i][:, None] ** 2 / 6
    table = a[:, None] * one[i] + b[:, None] * one[i + 1]
    return table + wide * ((a**3 - a)[:, None] * bends[i] + (b**3 - b)[:, None] * bends[i + 1])


def device_of(p: Numbers, maps: dict[str, Any]) -> Device:
    """The device of the numbers that are learned."""
    values = jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.exp(p["table"]))])
    return {
        "table": jnp.asarray(maps["spline"]) @ values,
        "fill_factor": p["fill"],
        "gap": jax.lax.complex(p["gap"][0], p["gap"][1]),
        "crosstalk": jnp.abs(p["crosstalk"]),
        "flatness": jnp.tensordot(p["flat"], jnp.asarray(maps["paths"]), 1),
        "light": jnp.exp(p["light"]),
    }


def _residuals(p: Numbers, data: Numbers) -> Array:
    """Differences in units of the photons' noise."""
    return (_seen(p, data) - data["photons"]) / jnp.sqrt(data["variance"])


@jax.jit
def _seen(p: Numbers, data: Numbers) -> Array:
    device = device_of(p, data["maps"])
    return jax.lax.map(lambda one: data["bench"].image(device, one), data["levels"])


def _share(bench: ModulatorBench, unravel: Any, maps: Any, levels: Array) -> Any:
    middle = tuple(n // 2 for n in bench.shape)

    def share(at: Array) -> Array:
        device = device_of(unravel(at), maps)
        both = [bench.image(device, one)[middle] for one in (levels, 0 * levels)]
        return both[0] / both[1]

    return jax.jit(jax.value_and_grad(share))


def _result(
    bench: ModulatorBench, fit: Any, known: cal.Uncertainty, maps: Any, pixels: int
) -> ModulatorFit:
    """Numbers in the units of the device, with errors by the chain rule."""
    p = fit.model
    at, unravel = ravel_pytree(p)

    def shown(at: Array) -> Numbers:
        q = unravel(at)
        return {
            "stroke": jnp.sum(jnp.exp(q["table"])),
            "fill_factor": q["fill"],
            "gap": jnp.hypot(*q["gap"]),
            "crosstalk": jnp.abs(q["crosstalk"]),
            "light": q["light"],
            "flatness": q["flat"],
            "table": device_of(q, maps)["table"],
        }

    slopes = jax.jit(jax.jacfwd(shown))(at)
    errors = {
        name: np.sqrt(
            np.einsum("...i,ij,...j->...", np.asarray(s), known.covariance, np.asarray(s))
        )
        for name, s in slopes.items()
    }
    device = {k: np.asarray(v) for k, v in device_of(p, maps).items()}
    return ModulatorFit(
        bench,
        device,
        errors,
        np.asarray(p["flat"]),
        2 * float(fit.loss) / pixels,
        (p, known.covariance, maps),
    )
