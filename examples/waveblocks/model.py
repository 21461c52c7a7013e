"""What is fitted: a pupil of few numbers, a free pupil, and the free-form field of 2020."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxwave as jw
from jaxwave.numerics import cis
from waveblocks import truth as t

GRID = 400  # samples of the model's window; an image never meets what wraps around it
BOX = 296  # samples of the spectrum that carry light
LOW = [(2, -2), (2, 2), (3, -3), (3, -1), (3, 1), (3, 3), (4, 0)]
HIGH = [k for k in jw.zernike_modes_up_to(6, start=2) if k not in [*LOW, (2, 0)]]
MORE = jw.zernike_modes_up_to(10, start=7)

Numbers = dict[str, Any]


def frequencies() -> tuple[np.ndarray, np.ndarray]:
    """Frequencies of the box (fy, fx) over the cutoff of the ideal microscope."""
    f = (np.arange(BOX) - BOX // 2) / (GRID * t.PIXEL * t.CUTOFF)
    return f[:, None], f[None]


def start() -> Numbers:
    """The ideal microscope."""
    return {
        "shift": jnp.zeros(2),  # pixels
        "stretch": jnp.zeros(2),  # logarithm
        "defocus": jnp.zeros(()),  # turns at the rim
        "light": jnp.zeros(()),  # logarithm
        "low": jnp.zeros(len(LOW)),  # rad
        "high": jnp.zeros(len(HIGH)),
        "more": jnp.zeros(0),
        "free": jnp.zeros((BOX, BOX)),
        "gain": jnp.zeros((BOX, BOX)),  # logarithm
        "zero": jnp.zeros(2),  # light that a modulator leaves alone, real and imaginary
    }


def kernels(depths: tuple[float, ...]) -> np.ndarray:
    """Propagation from the focus to these depths, on the whole grid in FFT order."""
    fy, fx = frequencies()
    square = (fy**2 + fx**2) * t.CUTOFF**2
    wave = -square / (1 / t.WAVELENGTH + np.sqrt(t.WAVELENGTH**-2 - square))
    turns = t.MAG**2 * np.asarray(depths)[:, None, None] * wave
    wide = np.stack([t.middle(k, GRID) for k in np.exp(2j * np.pi * turns)])
    return np.fft.ifftshift(wide, (-2, -1)).astype(np.complex64)


def setup(target: np.ndarray, stretch: Any = (1.0, 1.0), *, more: bool = False) -> Numbers:
    """What a fit needs besides its images: the target, the modes, the depths."""
    known = [*LOW, *HIGH, *(MORE if more else ())]
    y, x = np.broadcast_arrays(*(f * k for f, k in zip(frequencies(), stretch, strict=True)))
    modes = jw.zernike_polynomials(known, y, x)
    corner = np.roll(t.middle(target, GRID), (t.IMAGE // 2 - 2 * (GRID // 2),) * 2, (0, 1))
    drawn = np.fft.rfft2(np.roll(corner, (GRID // 2,) * 2, (0, 1)))  # its image begins at (0, 0)
    return {
        "target": drawn.astype(np.complex64),
        "modes": modes.astype(jnp.float32),
        "kernels": kernels(t.DEPTHS),
    }


def pupil(p: Numbers, setup: Numbers) -> jax.Array:
    """Spectrum of the field in focus, on the box, of unit power in the field."""
    rim = _rim(jnp.exp(p["stretch"]))
    whole = turns(p, setup)
    unmodulated = jax.lax.complex(*p["zero"]) * cis(whole - p["free"] / (2 * np.pi))
    wave = rim * (jnp.exp(p["gain"]) * cis(whole) + unmodulated)
    power = jnp.sum(wave.real**2 + wave.imag**2)
    return wave * (GRID * jnp.exp(p["light"] / 2) / jnp.sqrt(power))


def turns(p: Numbers, setup: Numbers) -> jax.Array:
    """Phase of the pupil [turns], on the box."""
    fy, fx = (jnp.asarray(f, jnp.float32) for f in frequencies())
    place = p["shift"] * t.PIXEL * t.CUTOFF
    weights = jnp.concatenate([p["low"], p["high"], p["more"]])
    phase = jnp.tensordot(weights, setup["modes"], 1) + p["free"]
    defocus = p["defocus"] * (fy**2 + fx**2)
    return defocus - place[0] * fy - place[1] * fx + phase / (2 * np.pi)


def _rim(stretch: jax.Array) -> jax.Array:
    """An elliptic pupil of radius one whose rim rises over four samples to either side.

    A sharp rim, or one weighed by areas, would be that of a field whose rings are repeated in, or
    fade over, the window. This one's derivative across the rim is the sum of the waves that end
    where the window does, so within the window the field is that of a sharp rim.
    """
    fy, fx = (f * k for f, k in zip(frequencies(), stretch, strict=True))
    square = jnp.maximum(fy**2 + fx**2, 0.1)  # what is far inside has no slope, and no root of zero
    steep = jnp.maximum((stretch[0] * fy) ** 2 + (stretch[1] * fx) ** 2, 0.01)
    samples = (square - jnp.sqrt(square)) / jnp.sqrt(steep) * (GRID * t.PIXEL * t.CUTOFF)
    turn = jnp.pi / 4 * jnp.clip(samples, -4, 4)
    waves = sum(jnp.sin(k * turn) / (k * jnp.pi) for k in (1, 2, 3))
    return 0.5 - turn / (2 * jnp.pi) - waves - jnp.sin(4 * turn) / (8 * jnp.pi)


def fields(p: Numbers, setup: Numbers) -> jax.Array:
    """Fields of a point at every depth, in FFT order."""
    before = GRID // 2 - BOX // 2
    wide = jnp.pad(pupil(p, setup), [(before, GRID - BOX - before)] * 2)
    return jnp.fft.ifft2(jnp.fft.ifftshift(wide) * setup["kernels"])


def images(p: Numbers, setup: Numbers) -> jax.Array:
    """Images of the target at every depth."""
    return _see(fields(p, setup), setup["target"])


def _see(u: jax.Array, target: jax.Array) -> jax.Array:
    light = jnp.fft.rfft2(u.real**2 + u.imag**2) * target
    return jnp.fft.irfft2(light, u.shape[-2:])[..., : t.IMAGE, : t.IMAGE]


def residuals(p: Numbers, data: Numbers) -> jax.Array:
    """Differences in units of their noise."""
    return (images(p, data["setup"]) - data["images"]) / data["sigma"]


# -- the free-form field, unpadded, as it was learned in 2020 --------------------------------


def ideal_field() -> jax.Array:
    """Focus of the ideal microscope on the camera's pixels, real and imaginary part."""
    u = jnp.fft.fftshift(fields(start(), setup(np.zeros((t.OBJECT, t.OBJECT))))[1])
    first = GRID // 2 - t.IMAGE // 2
    u = u[first : first + t.IMAGE, first : first + t.IMAGE]
    return jnp.stack([u.real, u.imag])


def free_form_setup(target: np.ndarray, depths: tuple[float, ...] = t.DEPTHS) -> Numbers:
    """Propagation on the camera's own window, and the target's spectrum."""
    f = np.fft.fftfreq(t.IMAGE, t.PIXEL)
    square = f[:, None] ** 2 + f**2
    wave = -square / (1 / t.WAVELENGTH + np.sqrt(t.WAVELENGTH**-2 - square))
    turns = t.MAG**2 * np.asarray(depths)[:, None, None] * wave
    size = jw.numerics.fast_len(t.OBJECT)
    drawn = np.fft.rfft2(target, (size, size))
    return {
        "target": drawn.astype(np.complex64),
        "kernels": np.exp(2j * np.pi * turns).astype(np.complex64),
    }


def free_form_fields(u: jax.Array, setup: Numbers) -> jax.Array:
    """Fields at every depth."""
    return jnp.fft.ifft2(jnp.fft.fft2(jax.lax.complex(u[0], u[1])) * setup["kernels"])


def free_form_images(u: jax.Array, setup: Numbers) -> jax.Array:
    """Images where the whole field lies over the target."""
    size = setup["target"].shape[0]
    v = free_form_fields(u, setup)
    light = jnp.fft.rfft2(v.real**2 + v.imag**2, (size, size)) * setup["target"]
    whole = jnp.fft.irfft2(light, (size, size))
    valid = slice(t.IMAGE - 1, t.OBJECT)
    return whole[..., valid, valid]
