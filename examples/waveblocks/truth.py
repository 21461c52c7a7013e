"""What the camera sees: the microscope in numpy, float64, on a finer pupil than any model here.

The focus is the analytic Airy pattern, stretched and displaced; aberrations, masks and depths act
on its spectrum of 1,024 x 1,024 samples. A depth in the sample is MAG**2 times longer behind the
microscope.
"""

import dataclasses
import functools
import math

import numpy as np
from scipy import fft, special

NA, MAG, WAVELENGTH, PIXEL = 0.45, 20.0, 0.63, 6.9  # lengths in µm
RELAY, SLM_PITCH = 150e3, 8.0
CUTOFF = NA / MAG / WAVELENGTH  # highest frequency of the ideal field on the camera [1/µm]
OBJECT, IMAGE, FINE = 341, 171, 1024  # samples
DEPTHS = (-50.0, 0.0, 50.0)  # [µm]
PEAK = 1e4  # photons in the brightest pixel


@functools.cache
def frequencies() -> tuple[np.ndarray, np.ndarray]:
    """Spatial frequencies of the fine spectrum (fy, fx) [1/µm], FFT order."""
    f = fft.fftfreq(FINE, PIXEL)
    return f[:, None], f[None]


def middle(array: np.ndarray, size: int) -> np.ndarray:
    """The central part, or the array among zeros; centers lie at N // 2."""
    have = array.shape[-1]
    if size <= have:
        first = have // 2 - size // 2
        return array[..., first : first + size, first : first + size]
    before = size // 2 - have // 2
    return np.pad(array, [(before, size - have - before)] * 2)


@dataclasses.dataclass(frozen=True)
class Truth:
    """One microscope: the spectrum of its field in focus, and the numbers that made it."""

    spectrum: np.ndarray
    numbers: dict

    def field(self, depth: float) -> np.ndarray:
        """Field of a point at this depth [µm], ``(1024, 1024)``, of unit power."""
        square = frequencies()[0] ** 2 + frequencies()[1] ** 2
        wave = -square / (1 / WAVELENGTH + np.sqrt(np.maximum(WAVELENGTH**-2 - square, 0)))
        return fft.fftshift(fft.ifft2(self.spectrum * np.exp(2j * np.pi * MAG**2 * depth * wave)))

    def image(self, target: np.ndarray, depth: float, zero_order: float = 0.0) -> np.ndarray:
        """The camera's image of the target, ``(171, 171)``; dark beyond the target."""
        light = np.abs(self.field(depth)) ** 2
        drawn = fft.rfft2(fft.ifftshift(middle(target, FINE)))
        whole = fft.irfft2(fft.rfft2(fft.ifftshift(light)) * drawn, (FINE, FINE))
        return middle(fft.fftshift(whole), IMAGE)


def focus(stretch: tuple[float, float], shift: tuple[float, float], defocus: float) -> np.ndarray:
    """Spectrum of an Airy pattern, stretched (y, x), displaced [pixels], out of focus [µm]."""
    at = np.arange(FINE) - FINE // 2
    y, x = ((at - s) / k * PIXEL for s, k in zip(shift, stretch, strict=True))
    v = 2 * math.pi * CUTOFF * np.hypot(y[:, None], x[None])
    airy = np.where(v == 0, 1, 2 * special.j1(v) / np.where(v == 0, 1, v))
    spectrum = fft.fft2(fft.ifftshift(airy))
    square = frequencies()[0] ** 2 + frequencies()[1] ** 2
    spectrum = spectrum * np.exp(-1j * math.pi * WAVELENGTH * defocus * square)
    return spectrum * FINE / np.sqrt((np.abs(spectrum) ** 2).sum())


def aberration(
    rng: np.random.Generator, rms: float, degrees: range, stretch: tuple[float, float] = (1, 1)
) -> np.ndarray:
    """Random Zernike phases [rad] on the fine spectrum, written out from the factorials."""
    fy, fx = (f * k for f, k in zip(frequencies(), stretch, strict=True))
    rho, phi = np.hypot(fy, fx) / CUTOFF, np.arctan2(fy, fx)
    rho = np.minimum(rho, 1.2)
    terms = [(n, m) for n in degrees for m in range(-n, n + 1, 2)]
    weights = rng.normal(size=len(terms))
    weights *= rms / np.linalg.norm(weights)
    phase = np.zeros_like(rho)
    for c, (n, m) in zip(weights, terms, strict=True):
        radial = sum(
            (-1) ** k
            * math.comb(n - k, k)
            * math.comb(n - 2 * k, (n - abs(m)) // 2 - k)
            * rho ** (n - 2 * k)
            for k in range((n - abs(m)) // 2 + 1)
        )
        norm = math.sqrt((1 if m == 0 else 2) * (n + 1))
        phase += c * norm * radial * (np.cos(m * phi) if m >= 0 else np.sin(-m * phi))
    return phase


def microscope(rng: np.random.Generator, ensemble: str) -> Truth:
    """A random microscope of experiment 4.1.1."""
    shift, stretch = rng.uniform(-20, 20, 2), rng.uniform(0.7, 1.3, 2)
    defocus = rng.choice([-1, 1]) * rng.uniform(200, 1000)
    numbers = {"shift": shift.tolist(), "stretch": stretch.tolist(), "defocus": float(defocus)}
    spectrum = focus(tuple(stretch), tuple(shift), defocus)
    if ensemble == "aberrated":
        spectrum = spectrum * np.exp(1j * aberration(rng, 0.6, range(2, 9), tuple(stretch)))
    return Truth(spectrum, numbers)


@dataclasses.dataclass(frozen=True)
class Mask:
    """A cubic phase, or a circular gradient, of up to 5 pi in the pupil."""

    kind: str
    size: float  # pupil radii
    y: float
    x: float

    def phase(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Phase [rad] at these places [pupil radii]."""
        v, u = (y - self.y) / self.size, (x - self.x) / self.size
        if self.kind == "cubic":
            return 2.5 * math.pi * (v**3 + u**3)
        return 5 * math.pi * np.hypot(v, u)

    def pixelated(self, zero_order: complex = 0.0) -> np.ndarray:
        """What the modulator's pixels do to the fine spectrum; some light it leaves alone."""
        unit = RELAY * WAVELENGTH
        at = (np.rint(f * unit / SLM_PITCH) * SLM_PITCH / unit / CUTOFF for f in frequencies())
        return zero_order + (1 - abs(zero_order)) * np.exp(1j * self.phase(*at))


def random_mask(rng: np.random.Generator) -> Mask:
    """A mask of random kind, size and place."""
    kind = str(rng.choice(["cubic", "circular"]))
    y, x = rng.uniform(-0.2, 0.2, 2)
    return Mask(kind, float(rng.uniform(1.0, 1.5)), float(y), float(x))


def photons(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """The image with photon noise, in the image's own unit."""
    unit = image.max() / PEAK
    return rng.poisson(np.maximum(image, 0) / unit) * unit
