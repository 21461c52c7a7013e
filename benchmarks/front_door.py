"""What does a newcomer wait for? The obvious lines, first and later calls, in fresh processes.

Run with ``python benchmarks/front_door.py [-o front_door.json] [--only PART] [--rounds 3]``. Every
line runs in processes of its own, without a compilation cache, eagerly and (where that makes sense)
under jit. Counted are CPU seconds of the process (summed over threads) and programs that XLA
compiled. psfmodels and psf-generator run beside them where they are installed; what they compute
differs (no pixels, other layers), so only the speed is compared..
"""

import argparse
import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
OURS = """
import jax
import jax.numpy as jnp
import numpy as np
from jaxwave import psf

scope = psf.Microscope(na=1.3, wavelength=0.52, n=1.518, shape=(201, 201), pixel=0.02)
objective, window = scope.objective, psf.Window((201, 201), spacing=0.02)
c, modes = jnp.array([0.03, 0.02, -0.02]), [(2, -2), (2, 2), (3, 1)]
z1, z32 = 0.2, np.linspace(-0.93, 0.93, 32)  # steps of 60 nm
clear = lambda z: scope.psf(z)
aberrated = lambda c: scope.psf(z1, coefficients=c, modes=modes)
slope = jax.value_and_grad(lambda c: jnp.sum(aberrated(c) ** 2))
obvious = lambda c: psf.focus_intensity(objective, window, psf.ZernikePupil(c, modes))
"""
COUNTED = """
count = psf.nodes(objective, window, psf.ZernikePupil(c, modes))
counted = lambda c: psf.focus_intensity(
    objective, window, psf.ZernikePupil(c, modes), nodes=count)
"""
FRAME = """
frame = psf.Microscope(na=1.3, wavelength=0.52, n=1.518, shape=(512, 512), pixel=0.1)
places = np.random.default_rng(0).uniform((-0.3, -25, -25), (0.3, 25, 25), (10_000, 3))
places = jnp.asarray(places, jnp.float32)
image = lambda places: psf.emitters_image(frame, places, 1000.0)
climb = jax.value_and_grad(lambda places: jnp.sum(image(places) ** 2))
"""
MODELS = """
import numpy as np
import psfmodels

lens = {"NA": 1.3, "ns": 1.518, "ni": 1.518, "ni0": 1.518, "ng": 1.518, "ng0": 1.518}
call = lambda z: psfmodels.vectorial_psf(z, nx=201, dxy=0.02, wvl=0.52, params=lens)
z1, z32 = np.array([0.2]), np.linspace(-0.93, 0.93, 32)
"""
GENERATOR = """
import torch
from psf_generator import propagators

def call(kind, planes, aberrated=False, learn=False):
    c = {"zernike_coefficients": torch.zeros(9, requires_grad=learn)} if aberrated else {}
    model = getattr(propagators, kind + "Propagator")(
        n_pix_pupil=257, n_pix_psf=201, wavelength=520, na=1.3, pix_size=20, n_i=1.518, n_i0=1.518,
        n_defocus=planes, defocus_step=60, **c)
    image = (model.compute_focus_field().abs() ** 2).sum(1)
    return torch.autograd.grad((image ** 2).sum(), *c.values()) if learn else image
"""
# Runs the preparation and the call; its last line of output is what it counted.
CHILD = """
import json, statistics, sys, time
compiled, wait = [], lambda result: result
prepare, call, later = json.loads(sys.argv[1])
if "jax" in prepare + call:  # the peers do not pay for it
    import jax
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, _, **__: compiled.append(name)
        if name == "/jax/core/compile/backend_compile_duration" else None)
    wait = jax.block_until_ready
space = {"__name__": "__main__"}
exec(prepare, space)
call = compile(call, "call", "exec" if later == 0 else "eval")
setup, ready = len(compiled), time.process_time()
wait(eval(call, space))
first, count = time.process_time() - ready, len(compiled) - setup
whole, times = time.process_time(), []
for _ in range(later):
    start = time.process_time()
    wait(eval(call, space))
    times.append(time.process_time() - start)
print(json.dumps({
    "process_s": whole, "first_s": first, "compilations": count, "setup_compilations": setup,
    "later_ms": 1e3 * statistics.median(times) if times else None,
    "later_compilations": len(compiled) - setup - count}))
"""


@dataclass(frozen=True)
class Line:
    """A line that somebody types: what precedes it, and how often it is repeated."""

    part: str
    name: str
    prepare: str
    call: str
    later: int = 15


def eager_and_jit(
    part: str, function: str, argument: str, more: str = "", later: int = 15, name: str = "jaxwave"
) -> list[Line]:
    """The same call twice."""
    compiled = f"{OURS}{more}\ncompiled = jax.jit({function})"
    return [
        Line(part, name, OURS + more, f"{function}({argument})", later),
        Line(part, f"{name}, jit", compiled, f"compiled({argument})", later),
    ]


def lines() -> list[Line]:
    """All of them, ours first in every part."""
    models = [Line(f"clear, {n} plane(s)", "psfmodels", MODELS, f"call(z{n})") for n in (1, 32)]
    generator = [
        Line(part, "psf_generator, N = 257", GENERATOR, call)
        for part, call in (
            ("clear, 1 plane(s)", "call('VectorialSpherical', 1)"),
            ("clear, 32 plane(s)", "call('VectorialSpherical', 32)"),
            ("aberrated, 1 plane", "call('VectorialCartesian', 1, True)"),
            ("gradient of it", "call('VectorialCartesian', 1, True, learn=True)"),
        )
    ]
    code = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    if code is None:
        raise RuntimeError("README.md has no Python block")
    ours = [
        *eager_and_jit("aberrated, 1 plane", "aberrated", "c"),
        *eager_and_jit("gradient of it", "slope", "c"),
        *eager_and_jit("clear, 1 plane(s)", "clear", "z1"),
        *eager_and_jit("clear, 32 plane(s)", "clear", "z32"),
        *eager_and_jit("focus of 201 x 201", "obvious", "c"),
        *eager_and_jit("focus of 201 x 201", "counted", "c", COUNTED, name="nodes given"),
        *eager_and_jit("10,000 emitters", "image", "places", FRAME, 3),
        *eager_and_jit("gradient by their places", "climb", "places", FRAME, 3),
        Line("README's first example", "jaxwave", "", code[1], 0),
    ]
    found = (("psfmodels", models), ("psf_generator", generator))
    peers = [line for name, rows in found if importlib.util.find_spec(name) for line in rows]
    return sorted(ours + peers, key=lambda line: [o.part for o in ours].index(line.part))


def run(line: Line) -> dict[str, float | None]:
    """One fresh process."""
    arguments = json.dumps([line.prepare, line.call, line.later])
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, arguments], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise RuntimeError(f"{line.part}, {line.name}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def median(runs: list[dict[str, float | None]]) -> dict[str, float | None]:
    """Of every number."""
    columns = {k: [r[k] for r in runs] for k in runs[0]}
    return {k: None if None in v else statistics.median(v) for k, v in columns.items()}  # type: ignore[type-var]


def main() -> None:
    """Prints a row for every line, and the ratio of its later calls to those of the first row."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the medians")
    parser.add_argument("--only", default="", help="parts whose names hold this text")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    chosen = [line for line in lines() if options.only in line.part]
    runs: list[list[dict[str, float | None]]] = [[] for _ in chosen]
    for _ in range(options.rounds):  # interleaved
        for line, results in zip(chosen, runs, strict=True):
            results.append(run(line))
    results = [median(r) for r in runs]
    ours: dict[str, dict[str, float | None]] = {}
    for line, row in zip(chosen, results, strict=True):
        if line.part not in ours:
            print(f"\n{line.part}\n{'process s':>36s}   first s  compiled  later ms  row/first row")
        best = ours.setdefault(line.part, row)
        later, base = row["later_ms"], best["later_ms"]
        text = "" if later is None or base is None else f"{later:10.2f}{later / base:15.2f}"
        numbers = f"{row['process_s']:10.2f}{row['first_s']:10.2f}{row['compilations']:10.0f}"
        print(f"  {line.name:24s}{numbers}{text}")
    if options.output is not None:
        rows = [{"part": w.part, "name": w.name} | r for w, r in zip(chosen, results, strict=True)]
        options.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        print(f"\nwrote {options.output}")


if __name__ == "__main__":
    main()
