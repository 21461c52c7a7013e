"""``jaxwave report``: the pages again, from the numbers."""

from __future__ import annotations

import argparse
from pathlib import Path

from jaxwave.cli import batch, outputs
from jaxwave.cli.settings import UsageError
from jaxwave.cli.terminal import say


def report(arguments: argparse.Namespace) -> int:
    """Writes the page of a bead, or of a batch and of all its beads."""
    folder = Path(arguments.folder)
    if (folder / "calibration.npz").is_file():
        say(batch.page_of(folder))
        return 0
    beads = sorted(path.parent for path in folder.glob("*/calibration.npz"))
    if not beads:
        raise UsageError(
            f"{str(folder)!r} holds no calibrated bead. Pass the folder of a calibration."
        )
    for bead in beads:
        say(batch.page_of(bead))
    if outputs.has_table(folder):  # somebody else's beads.csv tells nothing about these
        batch.summary(folder, batch.read(folder))
        say(folder / "report.html")
    return 0
