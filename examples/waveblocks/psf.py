"""Experiment 4.1.1: the field of an unknown microscope from three images of a known target."""

import time

import jax
import numpy as np
from matplotlib.figure import Figure

from waveblocks import fits, pictures, scores
from waveblocks import model as m
from waveblocks import truth as t

_images, _fields = jax.jit(m.images), jax.jit(m.fields)


def one(k: int, seed: int, target: np.ndarray, ensemble: str, baseline: bool) -> dict:
    """Makes the truth number k, fits it and says how right the fit is."""
    rng = np.random.default_rng([seed, k])
    real = t.microscope(rng, ensemble)
    clean = np.stack([real.image(target, depth) for depth in t.DEPTHS])
    noise = ensemble == "noise"
    seen = np.stack([t.photons(rng, image) for image in clean]) if noise else clean
    fields = np.stack([t.middle(real.field(depth), t.IMAGE) for depth in t.DEPTHS])
    began = time.process_time()
    data = fits.data_of(seen, target, noise=noise)
    found = fits.fit_pupil(data, target, free=20)
    seconds = time.process_time() - began
    images, shown = {"truth": clean}, {"truth": fields}
    if k == 0:  # it is drawn
        images["before"], shown["before"] = _seen(m.start(), m.setup(target))
    images["ours"], shown["ours"] = _seen(found, data["setup"])
    result = {"ours": _score(images["ours"], shown["ours"], clean, fields) | {"cpu_s": seconds}}
    if baseline:
        setup = m.free_form_setup(target)
        began = time.process_time()
        u = fits.fit_free_form(seen, target)
        seconds = time.process_time() - began
        old = np.asarray(m.free_form_images(u, setup)), np.asarray(m.free_form_fields(u, setup))
        images["free-form"], shown["free-form"] = old
        result["free_form"] = _score(*old, clean, fields) | {"cpu_s": seconds}
    shift = tuple(real.numbers["shift"])
    return result | {"images": images, "fields": shown, "shift": shift}


def _seen(p: m.Numbers, setup: m.Numbers) -> tuple[np.ndarray, np.ndarray]:
    """Images of the target and fields of a point on the camera."""
    fields = np.fft.fftshift(_fields(p, setup), (-2, -1))
    return np.asarray(_images(p, setup)), t.middle(fields, t.IMAGE)


def draw(result: dict) -> dict[str, Figure]:
    """The light of a point and the pupil, and what the camera sees of the target."""
    return {
        "": pictures.points(result["fields"], t.DEPTHS, result["shift"]),
        "_target": pictures.target(result["images"], t.DEPTHS),
    }


def _score(images: np.ndarray, fields: np.ndarray, clean: np.ndarray, need: np.ndarray) -> dict:
    return {
        "image_nmse": scores.nmse(images, clean),
        "field_nmse": scores.aligned_nmse(fields[1], need[1]),
        "intensity_nmse": scores.nmse(np.abs(fields) ** 2, np.abs(need) ** 2),
    }
