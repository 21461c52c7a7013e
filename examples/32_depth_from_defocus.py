"""Depth from one picture: a relief whose blur tells the distance, against a clear aperture.

A scene is as likely at each distance as its local spectrum is that of a 1/f² scene through this
distance's PSF (a whitening filter for each distance, its local energy, the smallest one wins). The
relief is learned without pictures: distances are told apart by the divergence of those spectra, and
the loss bounds the expected error in diopters. Tested on a stereo picture with true disparities and
on drawn layers, rendered with near parts in front of the blur of far ones.

    python 32_depth_from_defocus.py [--quick] [-o FOLDER]
"""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from matplotlib.figure import Figure
from skimage import data

import jaxwave as jw
from jaxwave import cameras, scenes
from jaxwave import elements as el
from jaxwave.calibration import calibrate

COLORS, SIZE, RIM, NOISE = np.array([0.64, 0.55, 0.46]), 256, 24, 0.005
PIXELS = 13  # of the window, standard deviation 13 / 2
CONTRASTS = np.array([1e-3, 1e-2, 1e-1])


def stereo(diopters: np.ndarray) -> tuple:
    """A motorcycle, its distances in diopters from its disparities, and where they are known."""
    left, _, disparity = data.stereo_motorcycle()
    part = np.s_[200 : 200 + SIZE, 250 : 250 + SIZE]
    d, known = disparity[part], np.isfinite(disparity[part])
    d = np.where(known, d, np.min(d[known]))
    d = (d - d.min()) / (d.max() - d.min()) * diopters[-1]
    return np.moveaxis((left[part] / 255.0) ** 2.2, -1, 0), d, known


def drawn(seed: int, diopters: np.ndarray) -> tuple:
    """Three textures one in front of the other, at random distances."""
    rng = np.random.default_rng(seed)
    image, d = np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE))
    y, x = np.mgrid[:SIZE, :SIZE]
    for k, depth in enumerate(np.sort(rng.uniform(0, diopters[-1], 3))):
        texture = getattr(data, ("grass", "brick", "gravel")[k])()[:SIZE, :SIZE]
        cy, cx = rng.uniform(0.3 * SIZE, 0.7 * SIZE, 2)
        inside = np.hypot(y - cy, x - cx) < SIZE * (2, 0.36, 0.2)[k]
        image, d = np.where(inside, (texture / 255.0) ** 2.2, image), np.where(inside, depth, d)
    return np.repeat(image[None], 3, axis=0), d, np.ones_like(d, bool)


def spectra(psfs: jax.Array, contrast: jax.Array, n: int) -> jax.Array:
    """Power of 1/f² scenes on the sensor, ``(depths, colors, y, x)``, with the noise."""
    before = n // 2 - psfs.shape[-1] // 2
    margins = (before, n - psfs.shape[-1] - before)
    wide = jnp.pad(psfs, ((0, 0), (0, 0), margins, margins))
    h = jnp.abs(jnp.fft.rfft2(wide)) ** 2
    f2 = np.fft.fftfreq(n)[:, None] ** 2 + np.fft.rfftfreq(n) ** 2
    power = 1 / (f2 + n**-2.0)
    power[0, 0] = 0
    return h * (contrast * power / power.mean()).astype(np.float32) + NOISE**2


def confusion(psfs: jax.Array, diopters: jax.Array) -> jax.Array:
    """Logarithm of a bound of the error: apart in diopters, less what the divergence tells."""
    p = spectra(psfs, 0.01, psfs.shape[-1])
    ratio = p[:, None] / p[None]
    told = 0.5 * PIXELS**2 * jnp.sum(jnp.mean(ratio - 1 - jnp.log(ratio), axis=(-2, -1)), axis=-1)
    apart = jnp.log(jnp.abs(diopters[:, None] - diopters) + 1e-9)
    return jax.nn.logsumexp(apart - 0.1 * told)  # 0.1: neighbors are not independent


@jax.jit
def depth_of(raw: jax.Array, psfs: jax.Array, diopters: jax.Array) -> jax.Array:
    """The distance of every pixel in diopters, by the smallest local energy."""
    y = jnp.fft.rfft2(raw - jnp.mean(raw, axis=(1, 2), keepdims=True))
    t = np.arange(SIZE) - SIZE // 2
    bell = np.exp(-(t**2) / (2 * (PIXELS / 2) ** 2)).astype(np.float32)
    window = np.outer(bell, bell) / bell.sum() ** 2
    energies = []
    for contrast in CONTRASTS:
        p = spectra(psfs, contrast, SIZE)
        white = jnp.fft.irfft2(y / jnp.sqrt(p), (SIZE, SIZE)) ** 2
        cost = jnp.sum(white + jnp.mean(jnp.log(p), axis=(-2, -1), keepdims=True), axis=1)
        energies.append(jw.convolve_psf(cost, window, boundary="reflect"))
    return diopters[jnp.argmin(jnp.min(jnp.stack(energies), axis=0), axis=0)]


def errors(psfs: jax.Array, tests: list, diopters: np.ndarray) -> tuple[list, list]:
    """Mean error of every scene in diopters, and the distances that were found."""
    found, maps = [], []
    distances = 1e6 / np.maximum(diopters, 1e-6)
    for image, d, known in tests:
        clean = scenes.render(image, 1e6 / np.maximum(d, 1e-6), psfs, distances=distances)
        raw = jw.add_read_noise(jax.random.key(1), clean, read_noise=NOISE)
        maps.append(np.asarray(depth_of(raw, psfs, jnp.asarray(diopters, jnp.float32))))
        inner = known.copy()
        inner[:RIM] = inner[-RIM:] = inner[:, :RIM] = inner[:, -RIM:] = False
        found.append(float(np.mean(np.abs(maps[-1] - d)[inner])))
    return found, maps


def draw(folder: Path, tests: list, maps: dict, most: float) -> None:
    """The scenes and their distances."""
    axes = (figure := Figure(figsize=(9, 7), dpi=120, layout="constrained")).subplots(3, 4)
    for k, (row, (image, _, _)) in enumerate(zip(axes, tests, strict=True)):
        row[0].imshow(np.moveaxis(np.clip(image, 0, 1) ** (1 / 2.2), 0, -1))
        for ax, (title, found) in zip(row[1:], maps.items(), strict=True):
            shown = ax.imshow(found[k], vmin=0, vmax=most, cmap="viridis")
            ax.set_title(title, fontsize=8)
    for ax in axes.ravel():
        ax.set_axis_off()
    figure.colorbar(shown, ax=axes, shrink=0.5, label="distance [diopters]")
    figure.savefig(folder / "depth.png")


def parsed() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="128 samples, two minutes")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("-o", "--output", type=Path, default=Path("results/32_depth_from_defocus"))
    return parser.parse_args()


def main() -> None:
    """Learns the relief, finds the distances of three scenes, writes numbers and a figure."""
    options = parsed()
    n, window, count = (128, 64, 9) if options.quick else (256, 96, 15)
    diopters = np.linspace(0, 84.0 * 128 / n, count)  # five waves of defocus at 550 nm
    distances = 1e6 / np.maximum(diopters, 1e-6)
    z = n * 35.2
    tests = [stereo(diopters), drawn(1, diopters), drawn(2, diopters)]

    def lens_of(focus: float) -> cameras.Lens:
        f = 1 / (1 / z + focus * diopters[-1] / 1e6)
        return cameras.Lens((n, n), 4.0, z, 4.0, (window, window), f=f, points=2)

    clear = {f"clear, focus {k:g}": lens_of(k).psfs(None, distances, COLORS) for k in (0, 0.5, 1)}
    lens = lens_of(0.5)

    def loss(model: el.FreeHeights, given: jax.Array) -> jax.Array:
        return confusion(lens.psfs(model, distances, COLORS), given)

    start = nnx.Param(0.3 * jax.random.normal(jax.random.key(0), (n, n)))
    plate = el.FreeHeights((n, n), 4.0, "fused silica", 0.55, start)
    adam = optax.adam(optax.cosine_decay_schedule(0.1, options.steps, 0.05))
    fit = calibrate(plate, loss, jnp.asarray(diopters, jnp.float32), optimizer=adam,
                    steps=options.steps)  # fmt: skip
    psfs = clear | {"optimized": lens.psfs(fit.model, distances, COLORS)}
    results, maps = {}, {}
    for name, psf in psfs.items():
        found, maps[name] = errors(psf, tests, diopters)
        results[name] = {"error_mean_diopters": round(float(np.mean(found)), 3),
                         "error_worst_diopters": round(max(found), 3),
                         "loss": round(float(confusion(psf, diopters)), 3)}  # fmt: skip
        print(name, results[name])
    settings = {"quick": options.quick, "steps": options.steps, "samples": n, "window": window,
                "diopters": diopters.tolist(), "wavelengths_um": COLORS.tolist(),
                "read_noise": NOISE, "sensor_distance_um": z, "learning_rate": 0.1}  # fmt: skip
    print(json.dumps(settings))
    report = {"lenses": results, "optimized": ["optimized"], "settings": settings}
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "result.json").write_text(json.dumps(report, indent=1) + "\n")

    best = min(clear, key=lambda k: results[k]["error_mean_diopters"])
    draw(options.output, tests, {"truth": [d for _, d, _ in tests], best: maps[best],
                                 "optimized": maps["optimized"]}, diopters[-1])  # fmt: skip
    share = results["optimized"]["error_mean_diopters"] / results[best]["error_mean_diopters"]
    print(f"error of the optimized relief: {share:.2f} of that of the best clear aperture")
    assert share < 1 or options.steps < 200, share


if __name__ == "__main__":
    main()
