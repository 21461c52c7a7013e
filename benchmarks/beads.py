"""How long does the command line take for one bead, and for fifty?

Run with ``python benchmarks/beads.py``. Each command is a fresh process without a compilation
cache: what a user waits for. The batch is the shipped bead, fifty times with another shot noise
and another place in its window; the goal is less than six times the time of one.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from jaxwave import io

STACK = Path(__file__).resolve().parents[1] / "examples" / "data" / "bead_air_na085.tif"
OPTICS = ["--na", "0.85", "--wavelength", "520 nm", "--pixel", "130 nm", "--dz", "300 nm"]
SIZE = 48


def beads(folder: Path, count: int) -> list[str]:
    """Files with one bead each, a little moved and with noise of their own."""
    data = np.asarray(io.read_stack(STACK, pixel=0.13, dz=0.3).data)
    rng = np.random.default_rng(0)
    for k in range(count):
        y, x = rng.integers(4, 12, 2)
        noisy = rng.poisson(np.clip(data[:, y : y + SIZE, x : x + SIZE], 0, None))
        io.write_stack(
            folder / f"bead{k:02}.tif", noisy.astype(np.uint16), spacing=(0.3, 0.13, 0.13)
        )
    return [str(path) for path in sorted(folder.glob("bead*.tif"))]


def run(files: list[str], out: Path) -> tuple[float, float]:
    """Wall and CPU time of one command [s]."""
    words = [sys.executable, "-m", "jaxwave", "calibrate", *files, *OPTICS, "--size", str(SIZE)]
    clean = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*words, "-o", str(out)], check=True, capture_output=True, env=clean)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return time.perf_counter() - wall, cpu


def main() -> None:
    """Runs one bead and the batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = beads(folder, options.count)
        one = run(files[:1], folder / "one")
        many = run(files, folder / "many")
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    print(f"one bead: {one[0]:.0f} s wall, {one[1]:.0f} s CPU   (goal: 30 s wall)")
    print(f"{options.count} beads: {many[0]:.0f} s wall, {many[1]:.0f} s CPU")
    print(f"ratio: {many[0] / one[0]:.1f} wall, {many[1] / one[1]:.1f} CPU   (goal: 6 for 50)")


if __name__ == "__main__":
    main()
