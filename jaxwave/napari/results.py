"""Result folders of jaxwave as layers: the PSF, the pupil; no screen is needed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from jaxwave import io, report
from jaxwave.cli.outputs import has_table, is_result_of_a_bead
from jaxwave.napari.compute import Layer, image


def is_result(folder: Path) -> bool:
    """Tells whether a folder holds a calibration of one bead or of a batch."""
    return is_result_of_a_bead(folder) or has_table(folder)


def layers_of(folder: Path) -> list[Layer]:
    """PSF, path and amplitude of the pupil: of a batch the means over its good beads.

    Args:
        folder: Result folder of ``jaxwave calibrate``.

    Returns:
        Layers; the pupils have coordinates in pupil radii and the path in nanometers.

    Raises:
        ValueError: If nothing was fitted.
    """
    if not (folder / "mean.npz").is_file():
        return _bead(_only_bead(folder))
    arrays = io.load_arrays(folder / "mean.npz")
    first = next(path.parent for path in sorted(folder.glob("*/calibration.npz")))
    return _layers(folder, first, arrays["pupil_amplitude"], arrays["pupil_opd_um"], "mean")


def _only_bead(folder: Path) -> Path:
    """The folder of the only bead, or of the best one where no mean was made."""
    if (folder / "calibration.npz").is_file():
        return folder
    beads = [path.parent for path in sorted(folder.glob("*/calibration.npz"))]
    if not beads:
        raise ValueError(
            f"{str(folder)!r} holds no bead that was fitted; beads.csv in it tells why."
        )
    scores = [
        json.loads((bead / "result.json").read_text("utf-8"))["heldout_nmse"] for bead in beads
    ]
    return beads[int(np.argmin([np.inf if score is None else score for score in scores]))]


def _bead(folder: Path) -> list[Layer]:
    arrays = io.load_arrays(folder / "calibration.npz")
    both = (arrays["pupil_amplitude"], arrays["pupil_opd_um"])
    return _layers(folder, folder, *both, folder.name)


def _layers(
    folder: Path, bead: Path, amplitude: np.ndarray, opd: np.ndarray, name: str
) -> list[Layer]:
    model = report.load_bead_fit(bead).fit.model
    stack = io.read_stack(folder / "psf.ome.tif")
    step = (model.step / model.na,) * 2
    path = np.where(amplitude > 0, 1e3 * opd, np.nan).astype(np.float32)
    made = [
        image(stack.data, stack.spacing, f"PSF {name}", centered=True, folder=str(folder)),
        image(path, step, f"pupil path {name} [nm]", centered=True),
        image(np.asarray(amplitude, np.float32), step, f"pupil amplitude {name}", centered=True),
    ]
    for _, options, _ in made[1:]:
        options |= {"units": None, "visible": False, "colormap": "viridis"}
    return made
