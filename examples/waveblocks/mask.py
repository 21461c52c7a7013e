"""Experiment 4.2.1: an unknown mask in the pupil, from three images of a known target."""

import time

import jax
import numpy as np
from matplotlib.figure import Figure

from waveblocks import fits, pictures, scores
from waveblocks import model as m
from waveblocks import truth as t

_images, _turns = jax.jit(m.images), jax.jit(m.turns)


def one(k: int, seed: int, target: np.ndarray, ensemble: str, baseline: bool) -> dict:
    """Makes the mask number k, finds it and says how right it is."""
    rng = np.random.default_rng([seed, k])
    mask = t.random_mask(rng)
    real = t.Truth(t.focus((1.0, 1.0), (0.0, 0.0), 0.0) * mask.pixelated(), {})
    clean = np.stack([real.image(target, depth) for depth in t.DEPTHS])
    noise = ensemble == "noise"
    seen = np.stack([t.photons(rng, image) for image in clean]) if noise else clean
    began = time.process_time()
    data = fits.data_of(seen, target, noise=noise)
    found = fits.fit_mask(data, target, jax.random.key(k))
    seconds = time.process_time() - began
    need = mask.phase(*np.broadcast_arrays(*m.frequencies()))
    got = 2 * np.pi * np.asarray(_turns(found, data["setup"]))
    images = {"truth": clean, "ours": np.asarray(_images(found, data["setup"]))}
    phases = {"truth": need, "ours": got}
    if k == 0:  # it is drawn
        images["before"] = np.asarray(_images(m.start(), m.setup(target)))
        phases["before"] = np.zeros_like(need)
    result = {"ours": _score(images["ours"], got, clean, need) | {"cpu_s": seconds}}
    if baseline:
        began = time.process_time()
        old, phase = (np.asarray(a) for a in fits.fit_free_mask(seen, target))
        seconds = time.process_time() - began
        result["free_form"] = _score(old, phase, clean, need) | {"cpu_s": seconds}
        images["free-form"], phases["free-form"] = old, phase
    return result | {"images": images, "phases": phases}


def _inside() -> np.ndarray:
    fy, fx = m.frequencies()
    return np.hypot(fy, fx) < 1


def _score(images: np.ndarray, phase: np.ndarray, clean: np.ndarray, need: np.ndarray) -> dict:
    score = scores.phase_nmse(phase[_inside()], need[_inside()])
    return {"image_nmse": scores.nmse(images, clean), "mask_nmse": score}


def draw(result: dict) -> dict[str, Figure]:
    """The masks, and what the camera sees of the target."""
    return {
        "": pictures.masks(result["phases"], _inside(), m.GRID * t.PIXEL * t.CUTOFF),
        "_target": pictures.target(result["images"], t.DEPTHS),
    }
