"""Experiment 4.1.1: the field of an unknown microscope from three images of a known target."""

import time

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from waveblocks import fits, scores
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
    shown = np.asarray(jnp.fft.fftshift(_fields(found, data["setup"]), (-2, -1)))
    ours = _score(
        np.asarray(_images(found, data["setup"])), t.middle(shown, t.IMAGE), clean, fields
    )
    result = {"ours": ours | {"cpu_s": seconds}, "fields": (t.middle(shown, t.IMAGE), fields)}
    if baseline:
        setup = m.free_form_setup(target)
        u = fits.fit_free_form(seen, target)
        old = np.asarray(m.free_form_fields(u, setup))
        result["free_form"] = _score(np.asarray(m.free_form_images(u, setup)), old, clean, fields)
        result["free_form_fields"] = old
    return result


def _score(images: np.ndarray, fields: np.ndarray, clean: np.ndarray, need: np.ndarray) -> dict:
    return {
        "image_nmse": scores.nmse(images, clean),
        "field_nmse": scores.aligned_nmse(fields[1], need[1]),
        "intensity_nmse": scores.nmse(np.abs(fields) ** 2, np.abs(need) ** 2),
    }


def draw(result: dict) -> Figure:
    """The true and the found light of a point at all depths, and the field's phase in focus."""
    found, need = result["fields"]
    rows = {"truth": need, "ours": found}
    if "free_form_fields" in result:
        rows["free-form"] = result["free_form_fields"]
    figure = Figure(figsize=(10, 2.5 * len(rows)), dpi=120, layout="constrained")
    axes = figure.subplots(len(rows), 4, squeeze=False)
    for line, (name, fields) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(name)
        for ax, u, v, depth in zip(line, fields, need, t.DEPTHS, strict=False):
            top = np.abs(v).max()
            ax.imshow(np.abs(u), cmap="inferno", vmin=0, vmax=top)
            ax.set_title(f"amplitude, {depth:.0f} µm", fontsize=8)
        u = fields[1] * np.exp(-1j * np.angle(np.vdot(need[1], fields[1])))
        place = np.unravel_index(np.abs(need[1]).argmax(), u.shape)
        y, x = (int(np.clip(c, 30, t.IMAGE - 31)) for c in place)
        near = u[y - 30 : y + 31, x - 30 : x + 31]
        strength = np.abs(near) / np.abs(need[1]).max()
        line[3].imshow(np.angle(near), cmap="twilight", alpha=np.clip(3 * strength, 0, 1))
        line[3].set_title("phase in focus, 61 pixels", fontsize=8)
        for ax in line:
            ax.set(xticks=[], yticks=[])
    return figure
