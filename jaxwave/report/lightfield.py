"""Pictures of light fields: the lattice on its image, and the volume behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from jaxwave._files import atomic
from jaxwave.lightfield import Lattice

_NEAR = 8  # lenslets each way that the close-up shows


def draw_lattice(image: np.ndarray, lattice: Lattice, path: Path) -> Path:
    """The image, and its middle with the centers that were found."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots(1, 2)
    low, high = np.percentile(image, [1, 99.8])
    middle = np.array(image.shape) // 2
    at = lattice.centers(image.shape) + middle  # type: ignore[arg-type]
    for ax in axes:
        ax.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-12), interpolation="none")
        ax.set(xlabel="x [pixels]", ylabel="y [pixels]")
    axes[0].set_title(f"image, {len(at)} lenslets")
    axes[1].plot(at[:, 1], at[:, 0], "r+", markersize=8)
    axes[1].set_title("its middle, with the centers that were found")
    reach = _NEAR / 2 * max(float(c) for c in lattice.cell)
    axes[1].set_xlim(middle[1] - reach, middle[1] + reach)
    axes[1].set_ylim(middle[0] + reach, middle[0] - reach)
    return _save(figure, path)


def draw_volume(
    image: np.ndarray,
    volume: np.ndarray,
    z: np.ndarray,
    spacing: tuple[float, float, float],
    path: Path,
) -> Path:
    """The straightened image, the brightest voxels along each axis, and the light of each depth."""
    dz, dy, dx = spacing
    tall, wide, deep = (n * d for n, d in zip((*volume.shape[1:], len(z)), (dy, dx, dz)))  # noqa: B905
    figure = Figure(figsize=(11, 9), layout="constrained")
    axes = figure.subplots(2, 2)
    high = np.percentile(image, 99.8)
    raw = axes[0, 0].imshow(image, cmap="magma", vmax=max(high, 1e-12), interpolation="none")
    axes[0, 0].set(xlabel="x [pixels]", ylabel="y [pixels]", title="raw image, straightened")
    figure.colorbar(raw, ax=axes[0, 0], label="counts of a pixel")
    top = max(float(np.percentile(volume, 99.95)), 1e-12)
    ends = (z[0] - dz / 2, z[-1] + dz / 2)
    views: list[tuple[Any, int, tuple, str, str]] = [
        (axes[0, 1], 0, (-wide / 2, wide / 2, tall / 2, -tall / 2), "x [µm]", "y [µm]"),
        (axes[1, 0], 1, (-wide / 2, wide / 2, *ends[::-1]), "x [µm]", "z [µm]"),
        (axes[1, 1], 2, (-tall / 2, tall / 2, *ends[::-1]), "y [µm]", "z [µm]"),
    ]
    for ax, axis, extent, across, up in views:
        shape = "equal" if axis == 0 or deep > 0.1 * max(tall, wide) else "auto"
        how = {"vmin": 0, "vmax": top, "extent": extent, "aspect": shape}
        shown = ax.imshow(volume.max(axis), cmap="magma", interpolation="none", **how)
        if axis == 0:
            figure.colorbar(shown, ax=ax, label="counts of a voxel's light")
        ax.set(xlabel=across, ylabel=up)
        ax.set_title("brightest voxel along " + "zyx"[axis])
    return _save(figure, path)


def _save(figure: Figure, path: Path) -> Path:
    def write(stream: Any) -> None:
        figure.savefig(stream, dpi=110, format="png", metadata={"Software": "jaxwave"})

    return Path(atomic("lightfield", path, write))
