"""Experiments 4.1.2 and 4.2.2: the depth of images from the model's stack, before and after.

The microscope has aberrations, a slightly wrong magnification and photon noise; with a modulator,
a cubic mask whose pixels leave some of the light alone. Three images calibrate it.
"""

import time

import jax
import numpy as np
from matplotlib.figure import Figure

from waveblocks import fits, pictures
from waveblocks import model as m
from waveblocks import truth as t

ALL = np.arange(-50.0, 51.0, 2.0)
SHOWN = (-24.0, 0.0, 24.0)
PLACES = np.flatnonzero(np.isin(ALL, SHOWN))
_stack = jax.jit(m.images)
_old_stack = jax.jit(m.free_form_images)


def predicted(stack: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Depth of every image: the model's plane with the smallest error, and a parabola there."""
    power = (stack**2).sum((1, 2))
    overlap = np.einsum("kyx,jyx->kj", seen, stack)
    wrong = 1 - overlap**2 / power / (seen**2).sum((1, 2))[:, None]
    found = []
    for line in wrong:
        k = int(np.clip(line.argmin(), 1, len(ALL) - 2))
        left, middle, right = line[k - 1 : k + 2]
        bend = left - 2 * middle + right
        part = (left - right) / (2 * bend) if bend > 0 else 0.0
        found.append(ALL[k] + (ALL[1] - ALL[0]) * np.clip(part, -1, 1))
    return np.array(found)


def microscope(rng: np.random.Generator, modulator: bool) -> tuple[t.Truth, np.ndarray]:
    """A microscope and the mask that its modulator was told, on the model's pupil."""
    stretch = tuple(rng.uniform(0.95, 1.05, 2)) if not modulator else (1.0, 1.0)
    spectrum = t.focus(stretch, tuple(rng.uniform(-3, 3, 2)), 0.0)
    rms, degrees = (0.3, range(2, 7)) if modulator else (0.6, range(2, 9))
    spectrum = spectrum * np.exp(1j * t.aberration(rng, rms, degrees, stretch))
    if not modulator:
        return t.Truth(spectrum, {}), np.zeros((m.BOX, m.BOX))
    y, x = rng.uniform(-0.1, 0.1, 2)
    mask = t.Mask("cubic", float(rng.uniform(1.2, 1.5)), float(y), float(x))
    return t.Truth(spectrum * mask.pixelated(0.2), {}), mask.phase(*m.frequencies())


def one(
    k: int, seed: int, target: np.ndarray, ensemble: str, baseline: bool, modulator: bool = False
) -> dict:
    """Makes the microscope number k, calibrates it and reads the depth of 48 other images."""
    rng = np.random.default_rng([seed, k])
    real, told = microscope(rng, modulator)
    clean = np.stack([real.image(target, depth) for depth in ALL])
    seen = np.stack([t.photons(rng, image) for image in clean])
    known = np.isin(ALL, t.DEPTHS)
    began = time.process_time()
    data = fits.data_of(seen[known], target, noise=True)
    if modulator:
        found = fits.fit_told_mask(data, told)
    else:
        found = fits.fit_pupil(data, target, free=20)
    seconds = time.process_time() - began
    setup = data["setup"] | {"kernels": m.kernels(tuple(ALL))}
    plain = m.setup(target) | {"kernels": setup["kernels"]}
    before = m.start() | {"free": np.asarray(told, np.float32)}
    stacks = {"truth": clean, "ours": np.asarray(_stack(found, setup))}
    stacks["before"] = np.asarray(_stack(before, plain))
    fields = {"truth": np.stack([t.middle(real.field(depth), t.IMAGE) for depth in SHOWN])}
    fields["ours"], fields["before"] = _fields(found, setup), _fields(before, plain)
    result: dict = {}
    if baseline:
        began = time.process_time()
        u = fits.fit_free_form(seen[known], target)
        result["free_form"] = {"cpu_s": time.process_time() - began}
        old = m.free_form_setup(target, tuple(ALL))
        stacks["free-form"] = np.asarray(_old_stack(u, old))
        fields["free-form"] = np.asarray(m.free_form_fields(u, old))[PLACES]
    depths = {name: predicted(stack, seen) for name, stack in stacks.items() if name != "truth"}
    errors = {name: float(np.abs(found - ALL)[~known].mean()) for name, found in depths.items()}
    ours = {"depth_error_um": errors["ours"], "depth_error_before_um": errors["before"]}
    result["ours"] = ours | {"cpu_s": seconds}
    if baseline:
        result["free_form"]["depth_error_um"] = errors["free-form"]
    images = {name: stack[PLACES] for name, stack in stacks.items()}
    return result | {"depths": depths, "images": images, "fields": fields}


def _fields(p: m.Numbers, setup: m.Numbers) -> np.ndarray:
    """Fields of a point at the depths that are shown."""
    shown = setup | {"kernels": m.kernels(SHOWN)}
    return t.middle(np.fft.fftshift(m.fields(p, shown), (-2, -1)), t.IMAGE)


def draw(result: dict) -> dict[str, Figure]:
    """Predicted depths, and at two of them and in focus a point and the target."""
    return {
        "": pictures.depths(result["depths"], ALL, 0.2),
        "_points": pictures.points(result["fields"], SHOWN),
        "_target": pictures.target(result["images"], SHOWN),
    }
