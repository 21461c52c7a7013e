"""What a benchmark measured, for whoever started it: lines of JSON in a file."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

PLACE = "JAXWAVE_BENCHMARK_JOURNAL"  # names the file; without it nothing is written


def record(
    title: str, times: Mapping[str, float], ours: str, goals: Mapping[str, float] | None = None
) -> None:
    """Notes the times of contestants that ran interleaved, all in the same unit.

    Args:
        title: What they did.
        times: Medians by contestant.
        ours: Which of them is jaxwave; ratios are peer / ours.
        goals: Least ratios that are wanted, by peer.
    """
    place = os.environ.get(PLACE)
    if not place:
        return
    row = {
        "question": Path(sys.argv[0]).stem,
        "title": title,
        "ours": ours,
        "times": dict(times),
        "goals": dict(goals or {}),
    }
    with open(place, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")
