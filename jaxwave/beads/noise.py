"""The noise of a bead's stack: from what is known of the camera, or from the stack itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.beads.pixels import smooth

_SURE = 20.0  # signal over noise of a pixel that needs no neighbors
_LEAST_SHARE = 0.05  # of the frequencies have to be free of light


@dataclasses.dataclass(frozen=True)
class Camera:
    r"""What is known of a camera, as numbers or as maps of its pixels.

    .. math:: V = \frac{F\,(d - d_0)_+}{g} + \frac{\sigma^2}{g^2}

    is the variance of a pixel with d counts. Valid for a linear camera; maps are those of the whole
    frame and are cut together with the beads. A photon makes efficiency/gain counts: where those
    are maps, a fit sees the counts of a camera with equal pixels.

    Args:
        offset: Counts d0 of a dark pixel, a number or ``(y, x)`` [counts].
        gain: Electrons g of one count, a number or ``(y, x)`` [electrons/count]. A camera whose
            electrons are multiplied has the gain behind the multiplication.
        read_noise: Standard deviation of the read noise, a number or ``(y, x)`` [electrons].
        quantum_efficiency: Electrons of one photon, a number or ``(y, x)`` [1].
        excess_noise: Factor F of the variance of multiplied electrons: 2 for an EMCCD, else 1.

    Raises:
        ValueError: If a number is out of its range, or the maps have different shapes.

    Example:
        >>> camera = Camera(offset=100, gain=0.46, read_noise=1.6)
        >>> round(float(camera.variance(np.array(1100.0))))
        2186

    References:
        F. Huang et al., *Video-rate nanoscopy using sCMOS camera-specific algorithms*, Nat.
        Methods 10, 653 (2013).
    """

    offset: ArrayLike = 0.0
    gain: ArrayLike = 1.0
    read_noise: ArrayLike = 0.0
    quantum_efficiency: ArrayLike = 1.0
    excess_noise: float = 1.0

    def __post_init__(self) -> None:
        shapes = set()
        for name in ("offset", "gain", "read_noise", "quantum_efficiency"):
            value = _check.known_numbers("Camera", name, getattr(self, name))
            _check.finite_array("Camera", name, value)
            object.__setattr__(self, name, value)
            if value.ndim not in (0, 2):
                raise ValueError(
                    f"Camera: `{name}` must be a number or a map (y, x), got the shape "
                    f"{value.shape}."
                )
            shapes |= {value.shape} if value.ndim else set()
        if len(shapes) > 1:
            raise ValueError(f"Camera: the maps have different shapes, {sorted(shapes)}.")
        _check.positive("Camera", "gain", self.gain)
        _check.nonnegative("Camera", "read_noise", self.read_noise)
        _check.between("Camera", "quantum_efficiency", self.quantum_efficiency, 1e-3, 1)
        _check.between("Camera", "excess_noise", self.excess_noise, 1, 10)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (ny, nx) of the maps; empty if all are numbers."""
        names = ("offset", "gain", "read_noise", "quantum_efficiency")
        return max((np.shape(getattr(self, name)) for name in names), key=len)

    def cut(self, rows: slice, columns: slice) -> Camera:
        """The same camera seen through a window of its frame."""
        maps = {
            name: value[rows, columns]
            for name, value in dataclasses.asdict(self).items()
            if np.ndim(value)
        }
        return dataclasses.replace(self, **maps)

    def variance(self, counts: ArrayLike) -> np.ndarray:
        """The variance of pixels with these ``counts`` on average [counts²]."""
        electrons = np.maximum(np.asarray(counts, np.float64) - self.offset, 0) * self.gain
        rounding = 1 / 12
        noise = self.excess_noise * electrons + np.asarray(self.read_noise) ** 2
        return noise / np.asarray(self.gain) ** 2 + rounding

    @property
    def sensitivity(self) -> np.ndarray:
        """Counts of a photon in every pixel, over their mean; one where all are numbers."""
        counts = np.asarray(self.quantum_efficiency) / np.asarray(self.gain)
        return counts / counts.mean()

    def evened(self, counts: ArrayLike) -> np.ndarray:
        """What a camera of equal pixels had counted."""
        counts = np.asarray(counts, np.float64)
        if not self.shape:
            return counts
        return (counts - self.offset) / self.sensitivity + np.mean(self.offset)

    def uneven(self, counts: ArrayLike) -> np.ndarray:
        """What this camera counts where one of equal pixels has ``counts``."""
        counts = np.asarray(counts)
        if not self.shape:
            return counts
        return (counts - np.mean(self.offset)) * self.sensitivity + self.offset

    def photons(self, counts: ArrayLike) -> np.ndarray:
        """The photons that ``counts`` above the background stand for, on the average pixel."""
        one = np.mean(np.asarray(self.quantum_efficiency) / np.asarray(self.gain))
        return np.asarray(counts, np.float64) / one


def noise_variance(
    stack: ArrayLike,
    *,
    model_error: float = 0.02,
    camera: Camera | None = None,
    cutoff: float | None = None,
    expected: ArrayLike | None = None,
) -> tuple[np.ndarray, float, float]:
    r"""Finds the variance of every pixel, from the camera or from the stack itself.

    .. math:: V = \sigma_b^2 + a\,(\bar d - b)_+ + \epsilon^2 (d - b)_+^2

    The border gives the background b and its variance. The expected counts are those of the pixel
    where they are sure, else the mean of its neighbors: weights must not know the noise that they
    weigh. Without a camera, the shot noise a of a
    count comes from the frequencies that hold no light: their power around every pixel grows with
    its counts, whatever the offset of the camera is. Valid where the border holds mainly
    background; the model is trusted to a share of the light.

    Args:
        stack: Data, ``(z, y, x)`` [counts].
        model_error: Share of the signal to which the model is trusted [1].
        camera: What is known of the camera, its maps cut like the stack.
        cutoff: Highest frequency of the light, 2 na pixel/wavelength [1/pixel]; without it, or
            where no frequency is above it, differences of neighboring pixels are taken.
        expected: Expected counts, such as a fit of the stack, ``(z, y, x)`` [counts]; by default
            as above.

    Returns:
        The variance, ``(z, y, x)`` [counts²], the background and its noise [counts].

    Raises:
        ValueError: If the stack has fewer than three axes, or the camera another shape.

    Example:
        >>> data = np.random.default_rng(0).normal(100, 10, (4, 32, 32))
        >>> variance, background, noise = noise_variance(data)
        >>> bool(abs(background - 100) < 3), bool(abs(noise - 10) < 2)
        (True, True)

    References:
        J. R. Janesick, *Photon Transfer*, SPIE Press (2007), Ch. 4.
    """
    _check.at_least("noise_variance", "stack", stack, 3, "(z, y, x)")
    data = _check.known_numbers("noise_variance", "stack", stack)
    _check.nonnegative("noise_variance", "model_error", model_error)
    if cutoff is not None:
        _check.positive("noise_variance", "cutoff", cutoff)
    require_camera("noise_variance", camera)
    border = data[:, :, [0, -1]]
    background = float(np.median(border))
    # Differences of neighbors along the border are blind to a slow background.
    steps = np.diff(border, axis=1).ravel() / np.sqrt(2)
    noise = _spread_of(steps)
    noise = max(noise, 1e-5 * float(np.ptp(data)), float(np.finfo(np.float32).tiny))
    likely = data if expected is None else np.asarray(expected, np.float64)
    signal = np.maximum(likely - background, 0)
    if camera is not None:
        if camera.shape not in ((), data.shape[1:]):
            raise ValueError(
                f"noise_variance: the maps of `camera` must match the stack {data.shape[1:]}, got "
                f"{camera.shape}. Cut them with camera.cut."
            )
        even = camera.sensitivity if camera.shape else 1.0
        own = _of_expected(
            lambda light: camera.variance(light * even + camera.offset),
            (likely - camera.offset) / even,
            sure=expected is not None,
        )
        noise = float(np.sqrt(np.median(own[:, :, [0, -1]])))
    else:
        shot = _shot_noise(data, background, noise, cutoff)
        own = _of_expected(
            lambda light: noise**2 + shot * np.maximum(light, 0),
            likely - background,
            sure=expected is not None,
        )
    return own + (model_error * signal) ** 2, background, noise


def _spread_of(steps: np.ndarray) -> float:
    """Standard deviation without outliers: a median of whole numbers is off by a sixth."""
    off = steps - np.median(steps)
    rough = 1.4826 * float(np.median(np.abs(off)))
    inside = np.abs(off) <= 4 * rough
    return float(np.sqrt(np.mean(off[inside] ** 2))) if rough else 0.0


def _of_expected(
    variance: Callable[[np.ndarray], np.ndarray], light: np.ndarray, *, sure: bool
) -> np.ndarray:
    """The variance of the light that was expected, not of what a pixel happened to count.

    A weight that knows the noise of its own pixel trusts the pixels that counted too little: the
    fit comes out an electron too low wherever there is light, of which the wings of a bead hold
    few. So where the noise is a good part of a pixel, its neighbors speak.
    """
    if sure:
        return variance(light)
    around = smooth(smooth(light))
    share = np.maximum(around, 0) ** 2
    share = share / (share + _SURE**2 * variance(around))
    return variance(share * light + (1 - share) * around)


def _shot_noise(data: np.ndarray, background: float, noise: float, cutoff: float | None) -> float:
    """Variance that one count of light adds [counts].

    What a filter without light lets through has the variance of the pixels around, weighted by the
    square of its kernel; a line through those variances, over the counts with the same weights.
    """
    ny, nx = data.shape[-2:]
    fy, fx = np.fft.fftfreq(ny)[:, None], np.fft.fftfreq(nx)
    window = (np.abs(fy) > 0.2) & (np.abs(fx) > 0.2)  # the frame's edges leak along the axes
    if cutoff is not None:
        window &= np.hypot(fy, fx) > cutoff
    passed = window.astype(float)
    if cutoff is None or window.mean() < _LEAST_SHARE:
        passed = 16 * (np.sin(np.pi * fy) * np.sin(np.pi * fx)) ** 2  # second differences
    around = np.abs(np.fft.ifft2(passed)) ** 2
    weights = np.fft.fft2(around / around.sum())
    rough = np.fft.ifft2(np.fft.fft2(data) * passed).real ** 2 / around.sum()
    mean = np.fft.ifft2(np.fft.fft2(np.maximum(data - background, 0)) * weights).real
    slope = 0.0
    for _ in range(8):  # each variance is known to its own size; a structure is an outlier
        expected = noise**2 + slope * np.maximum(mean, 0)
        inside = rough < 12 * expected if slope else np.ones_like(rough, bool)
        w = np.where(inside, mean, 0) / expected**2
        slope = max(float(np.sum(w * (rough - noise**2)) / max(np.sum(w * mean), 1e-300)), 0.0)
    return slope


def require_camera(where: str, camera: object) -> None:
    """Requires a camera, or none."""
    if camera is not None:
        _check.instance(where, "camera", camera, Camera, "beads.Camera(...) or None")
