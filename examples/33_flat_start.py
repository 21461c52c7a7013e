"""A flat plate that learns to focus three colors, beside a designed Fresnel lens.

The plate is diffractive, free in every sample, and starts flat. There is no decoder: the loss is
the mean square difference between a distant scene with a spectrum of 1/f² and its image, in closed
form, so no pictures are needed to learn. Phases are in radians at the design wavelength, so that
one step of Adam is a useful one from the first on.

    python 33_flat_start.py [--quick] [-o FOLDER]
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
from jaxwave import cameras
from jaxwave import elements as el
from jaxwave.calibration import calibrate

COLORS, SIZE, RIM = np.array([0.64, 0.55, 0.46]), 288, 48
TEST = ("astronaut", "chelsea", "coffee")


def picture(name: str) -> np.ndarray:
    """The middle of a picture in linear light, ``(3, y, x)``, from 0 to 1."""
    raw = getattr(data, name)()
    y, x = (n // 2 - SIZE // 2 for n in raw.shape[:2])
    return np.moveaxis((raw[y : y + SIZE, x : x + SIZE] / 255.0) ** 2.2, -1, 0)


def blur(psf: jax.Array, power: jax.Array) -> jax.Array:
    """Mean square error of an image that stays as it is; light outside is a veil."""
    h = jnp.fft.rfft2(jnp.fft.ifftshift(psf, axes=(-2, -1))).at[:, 0, 0].set(1.0)
    return jnp.mean(jnp.sum(power * jnp.abs(1 - h) ** 2, axis=(-2, -1)))


@jax.jit
def seen(image: jax.Array, psf: jax.Array) -> jax.Array:
    """The image on the sensor, with the light that misses the window as a veil."""
    veil = cameras.haze(psf)[:, None, None] * jnp.mean(image, axis=(1, 2), keepdims=True)
    return jw.convolve_psf(image, psf, boundary="reflect") + veil


def scores(psf: jax.Array) -> dict:
    """PSNR and SSIM of pictures of which nothing was learned."""
    psnr, ssim, inner = [], [], np.s_[:, RIM:-RIM, RIM:-RIM]
    for name in TEST:
        truth = picture(name)
        image = jw.add_read_noise(jax.random.key(0), seen(truth, psf), read_noise=0.005)
        image, truth = jnp.clip(image, 0, 1)[inner], truth[inner]
        psnr.append(-10 * np.log10(np.mean((np.asarray(image) - truth) ** 2)))
        ssim.append(np.mean(jw.ssim(image, truth, data_range=1.0)))
    found = {"psnr_mean_db": np.mean(psnr), "psnr_worst_db": min(psnr), "ssim_mean": np.mean(ssim)}
    return {name: round(float(value), 3) for name, value in found.items()}


def parsed() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="128 samples, a minute")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("-o", "--output", type=Path, default=Path("results/33_flat_start"))
    return parser.parse_args()


def main() -> None:
    """Learns the relief from a flat start, writes numbers and a figure."""
    options = parsed()
    n = 128 if options.quick else 256
    lens = cameras.Lens((n, n), 4.0, n * 35.2, 4.0, (n, n), points=2)
    plate = (n, n), 4.0, "fused silica", 0.55
    flat = el.FreeHeights(*plate, nnx.Param(jnp.zeros((n, n))))
    f2 = np.fft.fftfreq(n)[:, None] ** 2 + np.fft.rfftfreq(n) ** 2
    power = 1 / (f2 + n**-2.0)
    power[0, 0] = 0

    def psfs(model: el.HeightMap) -> jax.Array:
        return lens.psfs(model, [np.inf], COLORS)[0]

    def loss(model: el.HeightMap, power: jax.Array) -> jax.Array:
        return blur(psfs(model), power)

    adam = optax.adam(optax.cosine_decay_schedule(0.2, options.steps, 0.05))
    given = jnp.asarray(power / power.sum(), jnp.float32)
    fit = calibrate(flat, loss, given, optimizer=adam, steps=options.steps)
    fresnel = el.HeightMap(*plate, f=n * 35.2, order=1)
    models = {"flat": flat, "fresnel": fresnel, "optimized": fit.model}
    results = {name: scores(psfs(model)) for name, model in models.items()}
    for name, found in results.items():
        print(name, found)
    settings = {"quick": options.quick, "steps": options.steps, "samples": n, "spacing_um": 4.0,
                "sensor_distance_um": n * 35.2, "wavelengths_um": COLORS.tolist(),
                "material": "fused silica", "learning_rate": 0.2, "read_noise": 0.005,
                "test": TEST}  # fmt: skip
    print(json.dumps(settings))
    report = {"lenses": results, "optimized": ["optimized"], "settings": settings}
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "result.json").write_text(json.dumps(report, indent=1) + "\n")

    axes = (figure := Figure(figsize=(9, 6), dpi=120, layout="constrained")).subplots(2, 3)
    for column, (name, model) in zip(axes.T, models.items(), strict=True):
        shown = column[0].imshow(np.broadcast_to(model.height(), (n, n)), cmap="viridis")
        figure.colorbar(shown, ax=column[0], fraction=0.046, label="height [µm]")
        column[0].set_title(f"{name}: {results[name]['psnr_mean_db']:.1f} dB", fontsize=8)
        image = np.asarray(seen(picture("astronaut"), psfs(model)))[:, RIM:-RIM, RIM:-RIM]
        column[1].imshow(np.moveaxis(np.clip(image, 0, 1) ** (1 / 2.2), 0, -1))
    for ax in axes.ravel():
        ax.set_axis_off()
    figure.savefig(options.output / "flat_start.png")
    gain = [results["optimized"]["psnr_mean_db"] - results[k]["psnr_mean_db"] for k in models]
    print(f"gain over the flat plate {gain[0]:.2f} dB, over the Fresnel lens {gain[1]:.2f} dB")
    assert gain[0] > (5 if options.steps >= 300 else 0), gain


if __name__ == "__main__":
    main()
