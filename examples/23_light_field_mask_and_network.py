"""A Fourier light-field microscope whose phase mask and network are learned together.

Three lenses in the pupil see the sample from three sides, so one image tells depths, and far from
the focal plane all three are blurred. A phase mask in front of the lenses, made of JAX optics, and
a torch network that reads volumes from the images are learned at once:

    beads (batch, z, y, x) --jaxwave: objective, mask, lenses, camera--> photons --network--> beads

The same network is trained behind the lenses alone, for comparison. The network first takes the
three images apart and moves them by the parallax of every depth; what it learns is the rest.

    python examples/23_light_field_mask_and_network.py [--quick | --steps 250] [-o results/mask]
"""

import argparse
import copy
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax.scipy.ndimage import map_coordinates
from matplotlib.figure import Figure
from torch import nn
from tqdm import trange

import jaxwave as jw
from jaxwave import lightfield as lf
from jaxwave.psf import Objective
from torch_bridge import wrap

DEPTHS = np.linspace(-30.0, 30.0, 5)  # lengths in µm
ANGLES = 2 * np.pi * np.arange(3) / 3 + 0.1
CENTERS = 260.0 * np.stack([np.sin(ANGLES), np.cos(ANGLES)], -1)
LENSES = lf.LensArray(1e4, centers=CENTERS, lenslet="round", diameter=440.0)
CAMERA, FIELD, MASK = (144, 144), 30, 48  # pixels; samples of the mask
SCOPE = lf.FourierMicroscope(Objective(0.5, 0.53), 20, 2e4, LENSES, 6.5, CAMERA, emitter="scalar")
PHOTONS, BACKGROUND, BEADS = 3000.0, 2.0, 8
STEPS, QUICK = 250, 40


def psfs(phase_rad: jax.Array) -> lf.LightFieldPSF:
    """Light of a bead at every depth, behind a mask of ``(MASK, MASK)`` samples of the pupil."""

    def mask(y: jax.Array, x: jax.Array) -> jax.Array:
        at = [(a + 1) * (MASK - 1) / 2 for a in jnp.broadcast_arrays(y, x)]
        phase = map_coordinates(phase_rad, at, order=1, mode="nearest")
        return jax.lax.complex(jnp.cos(phase), jnp.sin(phase))

    return SCOPE.psf(DEPTHS, pupil=mask)


@wrap
def microscope(phase_rad: jax.Array, beads: jax.Array, seed: jax.Array) -> jax.Array:
    """Photons on the camera, (batch, y, x)."""
    margins = [(n // 2 - FIELD // 2, n - n // 2 - FIELD + FIELD // 2) for n in CAMERA]
    volume = jnp.pad(PHOTONS * beads, [(0, 0), (0, 0), *margins])
    light = lf.Projector(psfs(phase_rad), CAMERA).project(volume)
    return jw.shot_noise(jax.random.key(seed), jnp.maximum(light, 0) + BACKGROUND)


class Network(nn.Module):
    """Refocuses by the lenses' parallax, then five convolutions."""

    def __init__(self, width: int = 24):
        super().__init__()
        pixel = float(SCOPE.pixel_in_sample)
        s = CENTERS * 20 / 2e4
        slope = -s / np.sqrt(1 - (s**2).sum(1, keepdims=True)) / pixel
        at = CENTERS / 6.5 + DEPTHS[:, None, None] * slope + np.array(CAMERA) // 2 - FIELD // 2
        self.corners = np.rint(at).astype(int).reshape(-1, 2).tolist()
        first = [nn.Conv2d(len(self.corners), width, 3, padding=1), nn.SiLU()]
        block = [nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(4, width), nn.SiLU()]
        blocks = [layer for _ in range(3) for layer in copy.deepcopy(block)]
        last = nn.Conv2d(width, len(DEPTHS), 3, padding=1)
        self.layers = nn.Sequential(*first, *blocks, last)
        nn.init.zeros_(last.weight)  # starts from the empty volume
        nn.init.zeros_(last.bias)

    def forward(self, photons: torch.Tensor) -> torch.Tensor:
        """Volumes (batch, z, y, x) from images (batch, y, x)."""
        root = (photons / 20).clamp(min=0.01).sqrt()  # evens out the noise
        return self.layers(
            torch.stack([root[:, y : y + FIELD, x : x + FIELD] for y, x in self.corners], 1)
        )


def random_beads(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Beads at random places, (count, z, y, x), and what the network shall see: soft spots."""
    beads = torch.zeros(count, len(DEPTHS), FIELD, FIELD)
    z = torch.randint(len(DEPTHS), (count, BEADS))
    y, x = torch.randint(3, FIELD - 3, (2, count, BEADS))
    beads[torch.arange(count)[:, None], z, y, x] = 1.0
    axis = torch.exp(-(torch.arange(-3.0, 4.0) ** 2) / 2)
    kernel = (axis[:, None] * axis)[None, None]
    spots = nn.functional.conv2d(beads.flatten(0, 1)[:, None], kernel, padding=3)
    return beads, spots.view_as(beads)


def nmse(found: torch.Tensor, spots: torch.Tensor) -> torch.Tensor:
    """Normalized mean square error of volumes: 1 for empty ones."""
    return ((found - spots) ** 2).sum() / (spots**2).sum()


def train(phase_rad: nn.Parameter, steps: int, title: str) -> Network:
    """Learns the network, and the mask if it requires a gradient."""
    torch.manual_seed(0)
    network = Network()
    calm = min(1.0, steps / 200)  # few steps must be small ones
    groups = [
        {"params": network.parameters(), "lr": 4e-3 * calm},
        {"params": [phase_rad], "lr": 0.1 * calm},  # rad a step
    ]
    adam = torch.optim.Adam(groups)
    plan = torch.optim.lr_scheduler.OneCycleLR(adam, [g["lr"] for g in groups], steps + 1)
    bar = trange(steps, desc=f"{title:<13}", unit="step")
    for step in bar:
        beads, spots = random_beads(8)
        loss = nmse(network(microscope(phase_rad, beads, step)), spots)
        adam.zero_grad()
        loss.backward()
        adam.step()
        plan.step()
        bar.set_postfix_str(f"error {loss.item():.3f}", refresh=False)
    return network


def picture(rows: list[dict], spots: np.ndarray, path: Path) -> None:
    """Mask, light of a bead at three depths, image, and the volume, for both; the truth below."""
    figure = Figure(figsize=(13, 4.2), dpi=110, layout="constrained")
    axes = figure.subplots(2, 7)
    for line, row in zip(axes, rows, strict=True):
        wrapped = np.angle(np.exp(1j * row["phase_rad"]))
        panels = [(wrapped, f"{row['title']}: phase", "twilight")]
        for k in (0, 2, 4):
            panels.append((np.sqrt(row["psfs"][k]), f"bead at {DEPTHS[k]:+.0f} µm", "inferno"))
        panels.append((row["photons"], "camera", "gray"))
        panels.append((row["found"].max(0), f"found, error {row['error']:.2f}", "magma"))
        panels.append((spots.max(0), "truth", "magma"))
        for ax, (image, title, colors) in zip(line, panels, strict=True):
            ax.imshow(image, cmap=colors, interpolation="none")
            ax.set_title(title, fontsize=9)
            ax.set(xticks=[], yticks=[])
    figure.savefig(path)


def main(words: list[str] | None = None) -> dict:
    """Trains behind the lenses alone and together with a mask; writes the result folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of each training")
    parser.add_argument("-o", "--out", type=Path, default=Path("results") / "light_field_mask")
    parser.add_argument("--quick", action="store_const", const=QUICK, dest="steps", help="40 steps")
    options = parser.parse_args(words)
    jw.tune_cpu()
    torch.set_num_threads(1)  # torch's threads and XLA's get into each other's way
    torch.manual_seed(1)
    beads, spots = random_beads(32)  # never seen in training
    rows = []
    for title, learned in (("lenses alone", False), ("learned mask", True)):
        phase_rad = nn.Parameter(torch.zeros(MASK, MASK), requires_grad=learned)
        network = train(phase_rad, options.steps, title)
        with torch.no_grad():
            photons = microscope(phase_rad, beads, 10**6)
            found = network(photons)
        phase = phase_rad.detach().numpy()
        row = {"title": title, "phase_rad": phase, "psfs": np.asarray(psfs(phase).values)[:, 0, 0]}
        row |= {"photons": photons[0].numpy(), "found": found[0].numpy()}
        rows.append(row | {"error": nmse(found, spots).item()})

    alone, mask = (row["error"] for row in rows)
    result = {"error_lenses_alone": alone, "error_learned_mask": mask, "steps": options.steps}
    options.out.mkdir(parents=True, exist_ok=True)
    picture(rows, spots[0].numpy(), options.out / "light_field_mask.png")
    np.save(options.out / "mask_phase_rad.npy", rows[1]["phase_rad"])
    (options.out / "result.json").write_text(json.dumps(result, indent=2))
    print(
        f"error of the volumes (1: empty): {alone:.3f} behind the lenses alone, {mask:.3f} with "
        f"the mask learned together; results in {options.out}"
    )
    if options.steps >= STEPS:
        assert mask < 0.12 and mask < 0.3 * alone  # 0.07 and 0.45
    elif options.steps >= QUICK:
        assert mask < 0.8  # 0.62: learning has begun
    return result


if __name__ == "__main__":
    main()
