"""Is a sweep as fast as a loop written by hand, faster than torch, and flat in memory?

Run with ``python benchmarks/sweep.py``; torch is the peer. Whole calls of ``jaxwave.sweep`` after
the first one: reading the settings, choosing sizes, all chunks, the results on the host.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxwave as jw

sys.path.insert(0, str(Path(__file__).parent))
from timing import cpu_times, report

SPACING, WAVELENGTH = 0.5, 0.5


def beam(n: int) -> jw.Field:
    return jw.gaussian_beam((n, n), spacing=SPACING, wavelength=WAVELENGTH, waist=n * SPACING / 10)


def intensity(field: jw.Field, z: jax.Array) -> jax.Array:
    return jw.angular_spectrum(field, z).intensity


def by_torch(n: int, distances: np.ndarray) -> Callable[[], object]:
    """A loop of torch, one distance after the other."""
    import torch
    from angular_spectrum import torch_propagate

    torch.set_num_threads(1)
    u = torch.from_numpy(np.array(beam(n).u))
    steps = torch.from_numpy(distances)
    with torch.no_grad():
        return lambda: torch.stack([torch_propagate(u, z).abs() ** 2 for z in steps])


def by_hand(n: int, distances: np.ndarray, batch: int | None) -> Callable[[], object]:
    """What a user writes who knows ``lax.map``; without a batch, ``vmap``."""
    field, z = beam(n), jnp.asarray(distances)

    @jax.jit
    def program(field: jw.Field, z: jax.Array) -> jax.Array:
        if batch is None:
            return jax.vmap(intensity, (None, 0))(field, z)
        return jax.lax.map(lambda zi: intensity(field, zi), z, batch_size=batch)

    return lambda: np.asarray(program(field, z))


def by_sweep(n: int, distances: np.ndarray) -> Callable[[], object]:
    field = beam(n)
    return lambda: jw.sweep(lambda field, z: intensity(field, z), {"z": distances}, field)


def settings(n: int, count: int, rounds: int) -> None:
    z = np.linspace(1.0, n * SPACING, count, dtype=np.float32)
    field, swept = beam(n), intensity
    ours = "jw.sweep"
    contestants = {ours: lambda: jw.sweep(swept, {"z": z}, field).values}
    for batch in (1, 4, 8, 16, None):
        name = "jit(vmap)" if batch is None else f"jit(lax.map), batch {batch}"
        contestants[name] = by_hand(n, z, batch)
    contestants["torch, a loop, one thread"] = by_torch(n, z)
    times = cpu_times(contestants, rounds)
    goals = {"torch, a loop, one thread": 5.0}
    goals |= {name: 0.9 for name in times if name.startswith("jit(lax.map)")}
    report(f"{count} settings of an angular spectrum, {n} x {n}", times, ours, goals)
    best = min(v for name, v in times.items() if name.startswith("jit"))
    print(f"  best by hand / ours {best / times[ours]:.2f} (goal 0.9)")


def overhead(chunks: int) -> None:
    """What a chunk costs besides its program, in memory and in a folder."""
    from jaxwave.sweeps import program

    program._MOST_CHUNK = 8
    x = np.arange(8.0 * chunks)

    def double(x: jax.Array) -> jax.Array:
        return 2 * x

    def kept() -> object:
        with tempfile.TemporaryDirectory() as folder:
            return jw.sweep(double, {"x": x}, batch=8, folder=folder)

    times = cpu_times({"memory": lambda: jw.sweep(double, {"x": x}, batch=8), "folder": kept}, 3)
    print(f"\nOverhead of one of {chunks} chunks (goal: below 5 ms)")
    for name, value in times.items():
        print(f"  {name:44s} {value / chunks:9.2f} ms")


def focus(defocus: jax.Array, spherical: jax.Array) -> jax.Array:
    """A scalar PSF of 64 x 64 samples from a pupil of as many."""
    rho = jnp.linspace(-1.0, 1.0, 64)
    square = rho[:, None] ** 2 + rho**2
    phase = defocus * square + spherical * square**2
    pupil = jw.cis(phase) * (square <= 1)
    return jnp.abs(jnp.fft.fft2(pupil)) ** 2


def many(count: int) -> None:
    ends = {"defocus": (-2.0, 2.0), "spherical": (-1.0, 1.0)}
    options = dict(kind="sobol", reduce="mean")
    jw.sweep(focus, ends, points=1000, **options)
    start, wall = time.process_time(), time.monotonic()
    jw.sweep(focus, ends, points=count, **options)
    cpu, wall = time.process_time() - start, time.monotonic() - wall
    print(f"\n{count} scalar PSFs of 64 x 64: {cpu:.1f} s CPU, {wall:.1f} s wall (goal 60 s)")


def peak() -> int:
    """Peak memory of the process [kB]."""
    with open("/proc/self/status") as file:
        (line,) = [line for line in file if line.startswith("VmHWM")]
    return int(line.split()[1])


def memory(way: str, count: int) -> None:
    """Prints the growth of the peak memory of one way, in a process of its own."""
    z = np.linspace(1.0, 64.0, count, dtype=np.float32)
    field = beam(128)
    jax.block_until_ready(intensity(field, 1.0))
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = peak()
    if way == "sweep":
        jw.sweep(intensity, {"z": z}, field)
    elif way == "sweep, mean":
        jw.sweep(intensity, {"z": z}, field, reduce="mean")
    else:
        by_hand(128, z, None if way == "vmap" else 8)()
    print(round((peak() - before) / 1000))


def memories(counts: list[int]) -> None:
    print("\nPeak memory over the start, 128 x 128 [MB]; the results alone take 66 kB a setting")
    for way in ("sweep", "sweep, mean", "lax.map", "vmap"):
        found = []
        for count in counts[: 1 if way == "vmap" else None]:  # more of them fill the machine
            command = [sys.executable, __file__, "--one", way, "--counts", str(count)]
            run = subprocess.run(command, capture_output=True, text=True)
            found.append(run.stdout.strip().split("\n")[-1] if run.returncode == 0 else "failed")
        print(f"  {way:44s} {found}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", help="one way only, for its memory")
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--settings", type=int, default=1000)
    parser.add_argument("--psfs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.one:
        memory(options.one, options.counts[0])
        return
    jw.tune_cpu()
    settings(128, options.settings, options.rounds)
    many(options.psfs)
    memories(options.counts)
    overhead(100)


if __name__ == "__main__":
    main()
