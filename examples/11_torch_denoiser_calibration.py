"""Calibrates a microscope on an unknown sample, with a torch denoiser as the prior of the sample.

Phase diversity: three camera images of one sample, in focus and 1.2 µm to either side, tell the
objective's aberrations (Zernike coefficients) and the sample together. With few photons the sample
fills with noise, and the aberrations follow. A small network therefore learns in torch how such
samples look: it takes noise away. What it would change in an estimate is no sample, so the loss is

    squared deviation of the counts, in units of their noise, / pixels
        + weight * mean((sample - denoiser(sample))**2) / noise**2

`torch_bridge.wrap_torch` puts the network into the JAX program: optax gets exact gradients through
optics, camera and network. The same fit without the network shows what the prior is worth: there,
the longer the fit, the more noise in the sample (0.2 of its power after 300 steps, 0.5 after 600).

    python examples/11_torch_denoiser_calibration.py [--quick | --steps 600] [-o results/denoiser]

The objective is a 60x/1.0 water dipping one. Thick samples, pixels of finite size and polarization
are neglected; tilt and defocus of the sample as a whole are not fitted. The prior: S. A. Bigdeli
and M. Zwicker, "Image Restoration using Autoencoding Priors", VISAPP (2018).
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from matplotlib.figure import Figure
from torch import nn
from tqdm import trange

import jaxwave as jw
from torch_bridge import to_jax, wrap_torch

SIZE, PIXEL_UM, MAGNIFICATION = 64, 6.5, 60.0  # an sCMOS camera's pixels, 108 nm in the sample
FOCI_UM = np.array([-1.2, 0.0, 1.2])
OBJECTIVE = {"f": 3000.0, "na": 1.0, "n": 1.33, "wavelength": 0.6}  # 60x/1.0 W, lengths in µm
PUPIL = {"shape": (64, 64), "spacing": 100.0}  # samples of the back focal plane [µm]
CAMERA = {"quantum_efficiency": 0.8, "gain": 0.5, "offset": 100.0}
READ_NOISE_ELECTRONS, PHOTONS, BACKGROUND_PHOTONS = 1.6, 40.0, 2.0  # photons on the brightest pixel
MODES = tuple(mode for mode in jw.zernike_modes_up_to(4, start=2) if mode != (2, 0))
NOISE, WEIGHT = 0.1, 1.0  # noise that the denoiser takes away [of the sample's peak]
STEPS, QUICK = 600, 100


def photons(opd_um: jax.Array, sample: jax.Array) -> jax.Array:
    """Photons on the camera at each focus, (z, y, x)."""
    pupil = jw.objective_point_source(**PUPIL, **OBJECTIVE, z=FOCI_UM)
    rim_um = OBJECTIVE["f"] * OBJECTIVE["na"]
    pupil = jw.opd_mask(pupil, jw.zernike_opd(opd_um, MODES, pupil.y / rim_um, pupil.x / rim_um))
    image = jw.ff_lens(pupil, OBJECTIVE["f"] * MAGNIFICATION, spacing=PIXEL_UM, shape=(49, 49))
    psf = image.intensity * PIXEL_UM**2
    return jw.convolve_psf(PHOTONS * sample, psf, boundary="reflect") + BACKGROUND_PHOTONS


def random_samples(count: int) -> torch.Tensor:
    """Six bent filaments each, (count, y, x), between 0 and 1."""
    t = torch.linspace(-1, 1, 160)
    powers = torch.stack([torch.ones_like(t), t, t**2, t**3])
    sizes = torch.tensor([12.0, 20.0, 14.0, 7.0])  # pixels
    places = SIZE / 2 + torch.randn(count, 6, 2, 4) * sizes @ powers
    pixels = torch.arange(float(SIZE))[:, None]
    y, x = torch.exp(-((pixels - places[..., None, :]) ** 2) / 2).unbind(2)
    return 1 - torch.exp(-(y @ x.mT).sum(1))


def train_denoiser(steps: int) -> nn.Module:
    """Learns to name the noise in a sample."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()]
    for reach in (1, 2, 4, 1):
        layers += [nn.Conv2d(16, 16, 3, padding=reach, dilation=reach), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Conv2d(16, 1, 3, padding=1))
    adam = torch.optim.Adam(network.parameters())
    plan = torch.optim.lr_scheduler.OneCycleLR(adam, 3e-3, steps + 1)
    bar = trange(steps, desc="denoiser       ", unit="step")
    for _ in bar:
        noise = NOISE * torch.randn(8, 1, SIZE, SIZE)
        loss = ((network(random_samples(8)[:, None] + noise) - noise) ** 2).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        plan.step()
        bar.set_postfix_str(f"noise left {loss.item() ** 0.5 / NOISE:.0%}", refresh=False)
    return network.eval().requires_grad_(False)


def fit(counts: jax.Array, noise_in: Callable | None, steps: int, title: str) -> dict:
    """Fits aberrations and sample to the counts, with the denoiser's prior if there is one."""

    def loss(parameters: dict, electrons: jax.Array) -> jax.Array:
        sample = jax.nn.softplus(parameters["sample"])  # no negative light
        model = photons(parameters["opd_um"], sample) * CAMERA["quantum_efficiency"]
        misfit = jw.anscombe_loss(model, electrons, read_noise=READ_NOISE_ELECTRONS)
        prior = jnp.mean(noise_in(sample) ** 2) / NOISE**2 if noise_in else 0.0
        return misfit.sum() / SIZE**2 / len(FOCI_UM) + WEIGHT * prior

    @jax.jit
    def step(parameters: dict, state: optax.OptState, electrons: jax.Array) -> tuple:
        value, gradient = jax.value_and_grad(loss)(parameters, electrons)
        updates, state = adam.update(gradient, state)
        return optax.apply_updates(parameters, updates), state, value

    rates = {"opd_um": 0.01, "sample": 0.1}
    adam = optax.partition(
        {k: optax.adam(optax.cosine_decay_schedule(r, steps)) for k, r in rates.items()},
        {k: k for k in rates},
    )
    parameters = {"opd_um": jnp.zeros(len(MODES)), "sample": jnp.full((SIZE, SIZE), -1.5)}
    state = adam.init(parameters)
    electrons = (counts - CAMERA["offset"]) * CAMERA["gain"]
    bar = trange(steps, desc=title, unit="step")
    for _ in bar:
        parameters, state, value = step(parameters, state, electrons)
        bar.set_postfix_str(f"loss {value:.4f}", refresh=False)
    return {"opd_um": parameters["opd_um"], "sample": jax.nn.softplus(parameters["sample"])}


def picture(truth: dict, counts: jax.Array, fits: dict, path: Path) -> None:
    """Camera images, the sample and its two estimates, and the Zernike coefficients."""
    figure = Figure(figsize=(10, 8), dpi=110, layout="constrained")
    rows = figure.subfigures(2, 1, height_ratios=[3, 1.5])
    axes = rows[0].subplots(2, 3)
    for ax, image, z in zip(axes[0], counts, FOCI_UM, strict=True):
        shown = ax.imshow(image, cmap="gray", vmin=float(counts.min()), vmax=float(counts.max()))
        height = f"{z:+.1f}".replace("+0.0", "0").replace("-", "−")
        ax.set_title(f"camera, focus {height} µm", fontsize=9)
    rows[0].colorbar(shown, ax=list(axes[0]), label="counts", pad=0.01)
    for ax, (title, found) in zip(axes[1], {"true sample": truth, **fits}.items(), strict=True):
        shown = ax.imshow(found["sample"], cmap="inferno", vmin=0, vmax=1)
        error = f", error {found['nmse']:.3f}" if found is not truth else ""
        ax.set_title(title + error, fontsize=9)
    rows[0].colorbar(shown, ax=list(axes[1]), label="share of peak", pad=0.01)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    ax, places = rows[1].subplots(), np.arange(len(MODES))
    bars = {"true": truth, **fits}
    for k, ((title, found), color) in enumerate(
        zip(bars.items(), ("#222222", "#a8a8a8", "#d1662b"), strict=True)
    ):
        error = f", error {found['error_nm']:.1f} nm rms" if found is not truth else ""
        opd_nm = 1e3 * np.asarray(found["opd_um"])
        ax.bar(places + 0.27 * (k - 1), opd_nm, 0.25, color=color, label=title + error)
    ax.axhline(0, color="#222222", lw=0.6)
    ax.set_ylabel("path difference [nm]", fontsize=9)
    ax.set_xticks(places, [jw.zernike_name(*mode).replace(" ", "\n") for mode in MODES], fontsize=8)
    ax.legend(fontsize=8, frameon=False)
    figure.savefig(path)


def main(words: list[str] | None = None) -> dict:
    """Trains the denoiser, fits with and without it, and writes the result folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of each fit")
    parser.add_argument("-o", "--out", type=Path, default=Path("results") / "denoiser")
    parser.add_argument(
        "--quick", action="store_const", const=QUICK, dest="steps", help=f"{QUICK} steps"
    )
    options = parser.parse_args(words)
    jw.tune_cpu()
    torch.set_num_threads(1)  # torch's threads and XLA's get into each other's way
    network = train_denoiser(max(1, options.steps // 2))
    noise_in = wrap_torch(lambda x: network(x[None, None])[0, 0], lambda x: x)

    torch.manual_seed(5)
    sizes_um = jnp.array([0.05 / (n - 1) for n, _ in MODES])
    opd_um = sizes_um * jax.random.normal(jax.random.key(2), (len(MODES),))
    truth = {"sample": to_jax(random_samples(1)[0]), "opd_um": opd_um}
    light = photons(opd_um, truth["sample"])
    counts = jw.camera(jax.random.key(1), light, read_noise=READ_NOISE_ELECTRONS, **CAMERA)
    fits = {"without prior": None, "with denoiser": noise_in}
    for title, prior in fits.items():
        found = fit(counts, prior, options.steps, f"{title:<15}")
        found["nmse"] = float(jw.nmse(found["sample"], truth["sample"]))
        found["error_nm"] = 1e3 * float(jw.rms_wavefront(found["opd_um"] - opd_um, MODES))
        fits[title] = found

    before, after = fits.values()
    result = {
        "true_wavefront_nm_rms": 1e3 * float(jw.rms_wavefront(opd_um, MODES)),
        "sample_nmse": {title: found["nmse"] for title, found in fits.items()},
        "wavefront_error_nm_rms": {title: found["error_nm"] for title, found in fits.items()},
    }
    options.out.mkdir(parents=True, exist_ok=True)
    picture(truth, counts, fits, options.out / "denoiser.png")
    (options.out / "result.json").write_text(json.dumps(result, indent=2))
    print(
        f"error of the sample {before['nmse']:.3f} without prior, {after['nmse']:.3f} with it; "
        f"wavefront of {result['true_wavefront_nm_rms']:.0f} nm rms known to "
        f"{before['error_nm']:.1f} and {after['error_nm']:.1f} nm; results in {options.out}"
    )
    if options.steps >= STEPS:
        assert after["nmse"] <= 0.06 and after["error_nm"] <= 0.85 * before["error_nm"]
    elif options.steps >= QUICK:  # too short for the noise that the prior keeps out
        assert after["nmse"] <= 0.12 and after["error_nm"] <= 0.4 * result["true_wavefront_nm_rms"]
    return result


if __name__ == "__main__":
    main()
