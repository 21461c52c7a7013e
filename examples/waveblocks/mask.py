"""Experiment 4.2.1: an unknown mask in the pupil, from three images of a known target."""

import time

import jax
import numpy as np
from matplotlib.figure import Figure

from waveblocks import fits, scores
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
    fy, fx = np.broadcast_arrays(*m.frequencies())
    inside = np.hypot(fy, fx) < 1
    need = mask.phase(fy, fx)
    got = 2 * np.pi * np.asarray(_turns(found, data["setup"]))
    ours = {
        "image_nmse": scores.nmse(np.asarray(_images(found, data["setup"])), clean),
        "mask_nmse": scores.phase_nmse(got[inside], need[inside]),
        "cpu_s": seconds,
    }
    result = {"ours": ours, "fields": (need, got, inside)}
    if baseline:
        images, phase = fits.fit_free_mask(seen, target)
        score = scores.phase_nmse(np.asarray(phase)[inside], need[inside])
        image = scores.nmse(np.asarray(images), clean)
        result["free_form"] = {"image_nmse": image, "mask_nmse": score}
        result["free_form_fields"] = np.asarray(phase)
    return result


def draw(result: dict) -> Figure:
    """The true mask, the one that was found, and what differs, modulo a turn."""
    need, got, inside = result["fields"]
    maps = {"truth": need, "ours": got}
    if "free_form_fields" in result:
        maps["free-form"] = result["free_form_fields"]
    figure = Figure(figsize=(3.2 * len(maps), 6), dpi=120, layout="constrained")
    axes = figure.subplots(2, len(maps))
    for k, (name, phase) in enumerate(maps.items()):
        differs = phase - need
        differs = np.angle(np.exp(1j * (differs - scores.piston(differs[inside]))))
        shown = need + differs if k else need
        bottom = need[inside].min()
        for ax, values, low, high, colors in (
            (axes[0, k], shown, bottom, bottom + 5 * np.pi, "twilight"),
            (axes[1, k], differs, -0.5, 0.5, "RdBu_r"),
        ):
            values = np.where(inside, values, np.nan)
            picture = ax.imshow(values, cmap=colors, vmin=low, vmax=high)
            ax.set_axis_off()
            figure.colorbar(picture, ax=ax, label="rad")
        axes[0, k].set_title(name, fontsize=9)
        axes[1, k].set_title("minus truth, modulo 2π", fontsize=9)
    return figure
