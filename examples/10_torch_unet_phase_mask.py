"""Designs a microscope and a network together: torch learns a phase mask made of JAX optics.

One camera image shall tell where beads are in three dimensions. Behind a clear pupil a bead above
the focus looks like one below it, so no network can tell them apart. A phase mask in the back
focal plane gives every depth its own point-spread function. Which mask is best depends on the
network that reads the images, so both are learned at once:

    beads (batch, z, y, x) --jaxwave: objective, mask, tube lens, camera--> counts --U-Net--> beads

`torch_bridge.wrap` makes the jaxwave microscope an ordinary torch operation, shot noise included:
the loop below is plain torch. The same network is trained behind the clear pupil for comparison.

    python examples/10_torch_unet_phase_mask.py [--quick | --steps 600] [-o results/unet]

The objective is a 60x/1.0 water dipping one. Light between the planes, pixels of finite size and
polarization are neglected. The result folder holds the picture, `result.json` and the mask's phase.
The idea: E. Nehme et al., "DeepSTORM3D", Nature Methods 17, 734 (2020).
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np
import torch
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from torch import nn
from tqdm import trange

import jaxwave as jw
from torch_bridge import wrap

SIZE, PIXEL_UM, MAGNIFICATION = 64, 6.5, 60.0  # an sCMOS camera's pixels, 108 nm in the sample
DEPTHS_UM = np.linspace(-1.5, 1.5, 7)
OBJECTIVE = {"f": 3000.0, "na": 1.0, "n": 1.33, "wavelength": 0.6}  # 60x/1.0 W, lengths in µm
PUPIL = {"shape": (64, 64), "spacing": 100.0}  # samples of the mask [µm]
BEAD_PHOTONS, BACKGROUND_PHOTONS, BEADS = 5000.0, 10.0, 12
STEPS, QUICK = 600, 60
CAMERA = {"quantum_efficiency": 0.8, "read_noise": 1.6, "gain": 0.5, "offset": 100.0}


def psfs(phase_rad: jax.Array) -> jax.Array:
    """PSF of every depth: what share of a bead's light falls on each pixel, (z, y, x)."""
    pupil = jw.objective_point_source(**PUPIL, **OBJECTIVE, z=DEPTHS_UM)
    pupil = jw.phase_mask(pupil, phase_rad)
    image = jw.ff_lens(pupil, OBJECTIVE["f"] * MAGNIFICATION, spacing=PIXEL_UM, shape=(65, 65))
    return image.intensity * PIXEL_UM**2


@wrap
def microscope(phase_rad: jax.Array, beads: jax.Array, seed: jax.Array) -> jax.Array:
    """Camera counts of beads, (batch, y, x)."""
    photons = jw.image_volume(BEAD_PHOTONS * beads, psfs(phase_rad)) + BACKGROUND_PHOTONS
    return jw.camera(jax.random.key(seed), photons, **CAMERA)


class UNet(nn.Module):
    """Two levels down, two up, with bridges between: an image in, a stack of depths out."""

    def __init__(self, planes: int, width: int = 16):
        super().__init__()
        w = width

        def block(before: int, after: int) -> nn.Sequential:
            def half(n: int) -> list[nn.Module]:
                return [nn.Conv2d(n, after, 3, padding=1), nn.GroupNorm(4, after), nn.SiLU()]

            return nn.Sequential(*half(before), *half(after))

        self.down = nn.ModuleList([block(1, w), block(w, 2 * w), block(2 * w, 4 * w)])
        self.up = nn.ModuleList([block(6 * w, 2 * w), block(3 * w, w)])
        self.last = nn.Conv2d(w, planes, 1)
        nn.init.zeros_(self.last.weight)  # starts from the empty volume
        nn.init.zeros_(self.last.bias)

    def forward(self, counts: torch.Tensor) -> torch.Tensor:
        """Volumes (batch, z, y, x) from counts (batch, y, x); the root evens out the shot noise."""
        x = ((counts - CAMERA["offset"]) / 100).clamp(min=0.01).sqrt()[:, None]
        fine = self.down[0](x)
        middle = self.down[1](nn.functional.max_pool2d(fine, 2))
        x = self.down[2](nn.functional.max_pool2d(middle, 2))
        for bridge, block in zip((middle, fine), self.up, strict=True):
            x = block(torch.cat([nn.functional.interpolate(x, scale_factor=2.0), bridge], 1))
        return self.last(x)


def random_beads(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Beads at random places, (count, z, y, x), and what the network shall see: soft spots."""
    beads = torch.zeros(count, len(DEPTHS_UM), SIZE, SIZE)
    z = torch.randint(len(DEPTHS_UM), (count, BEADS))
    y, x = torch.randint(6, SIZE - 6, (2, count, BEADS))
    beads[torch.arange(count)[:, None], z, y, x] = 1.0
    axis = torch.exp(-(torch.arange(-3.0, 4.0) ** 2) / 2)
    kernel = (axis[:, None] * axis)[None, None]
    spots = nn.functional.conv2d(beads.flatten(0, 1)[:, None], kernel, padding=3)
    return beads, spots.view_as(beads)


def nmse(found: torch.Tensor, spots: torch.Tensor) -> torch.Tensor:
    """Normalized mean square error of a volume: 1 for an empty one."""
    return ((found - spots) ** 2).sum() / (spots**2).sum()


def train(phase_rad: nn.Parameter, steps: int, title: str) -> tuple[UNet, list[float]]:
    """Learns the network, and the mask if it requires a gradient."""
    torch.manual_seed(0)
    network = UNet(len(DEPTHS_UM))
    groups = [
        {"params": network.parameters(), "lr": 3e-3},
        {"params": [phase_rad], "lr": 3e-2},  # rad a step
    ]
    adam = torch.optim.Adam(groups)
    plan = torch.optim.lr_scheduler.OneCycleLR(adam, [g["lr"] for g in groups], steps + 1)
    history = []
    bar = trange(steps, desc=f"{title:<14}", unit="step")
    for step in bar:
        beads, spots = random_beads(4)
        loss = nmse(network(microscope(phase_rad, beads, step)), spots)
        adam.zero_grad()
        loss.backward()
        adam.step()
        plan.step()
        history.append(loss.item())
        bar.set_postfix_str(f"error {loss.item():.3f}", refresh=False)
    return network, history


def in_color(volume: np.ndarray) -> np.ndarray:
    """A volume (z, y, x) as one picture, (y, x, 3): the hue is the depth."""
    hue = np.linspace(0, 0.8, len(volume))
    colors = hsv_to_rgb(np.stack([hue, 0.85 * np.ones_like(hue), np.ones_like(hue)], -1))
    return np.einsum("zyx,zc->yxc", np.clip(volume, 0, 1), colors).clip(0, 1)


def picture(rows: list[dict], spots: np.ndarray, path: Path) -> None:
    """Masks, PSFs over depth, and what each network reads from its camera's image."""
    figure = Figure(figsize=(12, 6.2), dpi=110, layout="constrained")
    optics, reading = figure.subfigures(2, 1, height_ratios=[3.1, 2.3])
    y, x = np.indices(PUPIL["shape"]) - np.array(PUPIL["shape"])[:, None, None] // 2
    pupil = np.hypot(y, x) * PUPIL["spacing"] <= OBJECTIVE["f"] * OBJECTIVE["na"]
    colors = in_color(np.eye(len(DEPTHS_UM))[:, None])[0]
    for axes, row in zip(optics.subplots(2, 1 + len(DEPTHS_UM)), rows, strict=True):
        wrapped = np.where(pupil, np.angle(np.exp(1j * row["phase_rad"])), np.nan)
        shown = axes[0].imshow(wrapped, cmap="twilight", vmin=-np.pi, vmax=np.pi)
        axes[0].set_title(f"{row['title']}: phase", fontsize=9)
        for ax, psf, z, color in zip(axes[1:], row["psfs"], DEPTHS_UM, colors, strict=True):
            ax.imshow(np.sqrt(psf[8:-8, 8:-8]), cmap="inferno")
            height = f"{z:+.1f}".replace("+0.0", "0").replace("-", "−")
            ax.set_title(f"PSF, z = {height} µm", fontsize=9)
            for side in ax.spines.values():
                side.set(color=color, linewidth=3)
    bar = optics.colorbar(shown, ax=optics.axes, ticks=[-np.pi, 0, np.pi], aspect=30, pad=0.01)
    bar.ax.set_yticklabels(["−π", "0", "π"])
    bar.set_label("phase [rad]", fontsize=9)
    optics.suptitle("Phase in the pupil; square root of each PSF up to its peak", fontsize=10)
    panels = [("the beads: color is depth", in_color(spots), {})]
    for row in rows:
        gray = {"cmap": "gray", "vmin": 0, "vmax": max(r["counts"].max() for r in rows)}
        panels.append((f"{row['title']}: camera", row["counts"], gray))
        found = f"its U-Net, error {row['error']:.2f}"
        panels.append((found, in_color(row["found"]), {}))
    axes = reading.subplots(1, 6, width_ratios=[1, 1, 1, 1, 1, 1.1])
    for ax, (title, image, options) in zip(axes, panels, strict=False):
        ax.imshow(image, **options)
        ax.set_title(title, fontsize=9)
    for ax in [*optics.axes[:-1], *axes[:-1]]:
        ax.set(xticks=[], yticks=[])
    axes[-1].set_box_aspect(1)
    for row, color in zip(rows, ("#8a8a8a", "#d1662b"), strict=True):
        axes[-1].semilogy(row["history"], color=color, lw=0.8, label=row["title"])
    axes[-1].set_title("error over training steps", fontsize=9)
    axes[-1].tick_params(labelsize=8)
    axes[-1].legend(fontsize=8, frameon=False, loc="upper right")
    figure.savefig(path)


def main(words: list[str] | None = None) -> dict:
    """Trains behind the clear pupil and together with a mask; writes the result folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of each training")
    parser.add_argument("-o", "--out", type=Path, default=Path("results") / "unet")
    parser.add_argument("--quick", action="store_const", const=QUICK, dest="steps", help="60 steps")
    options = parser.parse_args(words)
    jw.tune_cpu()
    torch.set_num_threads(1)  # torch's threads and XLA's get into each other's way
    torch.manual_seed(1)
    beads, spots = random_beads(32)  # never seen in training
    rows = []
    for title, learned in (("clear pupil", False), ("learned mask", True)):
        phase_rad = nn.Parameter(torch.zeros(PUPIL["shape"]), requires_grad=learned)
        network, history = train(phase_rad, options.steps, title)
        with torch.no_grad():
            counts = microscope(phase_rad, beads, 10**6)
            found = network(counts)
        phase = phase_rad.detach().numpy()
        row = {"title": title, "phase_rad": phase, "psfs": np.asarray(psfs(phase))}
        row |= {"counts": counts[0].numpy(), "found": found[0].numpy(), "history": history}
        rows.append(row | {"error": nmse(found, spots).item()})

    clear, mask = (row["error"] for row in rows)
    result = {"error_clear_pupil": clear, "error_learned_mask": mask, "steps": options.steps}
    options.out.mkdir(parents=True, exist_ok=True)
    picture(rows, spots[0].numpy(), options.out / "unet.png")
    np.save(options.out / "mask_phase_rad.npy", rows[1]["phase_rad"])
    (options.out / "result.json").write_text(json.dumps(result, indent=2))
    print(
        f"error of the volumes (1: empty): {clear:.3f} behind the clear pupil, {mask:.3f} with the "
        f"mask learned together; results in {options.out}"
    )
    if options.steps >= STEPS:
        assert mask <= 0.15 and mask <= 0.4 * clear
    elif options.steps >= QUICK:
        assert mask < min(0.75, clear)  # 0.64 and 0.68: learning has begun, with the mask first
    return result


if __name__ == "__main__":
    main()
