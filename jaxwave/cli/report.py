"""``jaxwave report``: the pages again, from the numbers."""

import argparse
import csv
from pathlib import Path

from jaxwave.cli import batch
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
    table = folder / "beads.csv"
    if table.is_file():
        with table.open(encoding="utf-8", newline="") as stream:
            rows = [{k: batch.value(v) for k, v in row.items()} for row in csv.DictReader(stream)]
        batch.summary(folder, rows)
        say(folder / "report.html")
    return 0
