"""The estimate of memory beside the peak that the system saw, on ten models."""

import subprocess
import sys

import pytest

MEASURE = """
import ctypes, gc
import jax, jax.numpy as jnp
import jaxwave as jw
from jaxwave import psf

# Every block comes from the system and goes back, so that its peak is that of the program.
ctypes.CDLL(None).mallopt(-3, 2**16)

def beam(n):
    return jw.gaussian_beam((n, n), spacing=0.5, wavelength=0.5, waist=n / 20)

def focus(na, planes):
    window = psf.Window((129, 129), spacing=0.05, z=jnp.linspace(-1, 1, planes))
    return psf.focus_intensity(psf.Objective(na=na, wavelength=0.5, n=1.5), window)

def slices(dn, field):
    return jnp.sum(jw.multislice(field, dn, 0.5).intensity[:90])

n, ones = 512, jnp.ones
models = {
    "angular_spectrum": (lambda f, z: jw.angular_spectrum(f, z).u, beam(n), 100.0),
    "fresnel": (lambda f, z: jw.fresnel(f, z).u, beam(n), 5000.0),
    "ff_lens": (lambda f: jw.ff_lens(f, 200.0).u, beam(n)),
    "distances": (lambda f, z: jw.angular_spectrum(f, z).intensity, beam(128), ones(100)),
    "distances, vmap": (jax.vmap(lambda z, f: jw.angular_spectrum(f, z).intensity, (0, None)),
                        jnp.linspace(1, 90, 50), beam(128)),
    "mask, gradient": (jax.grad(lambda p, f: jnp.sum(jw.angular_spectrum(
        jw.phase_mask(f, p), 9.0).intensity[:99])), jnp.zeros((n, n)), beam(n)),
    "slices, gradient": (jax.grad(slices), jnp.zeros((24, 256, 256)), beam(256)),
    "focus, 64 planes": (lambda na: focus(na, 64), jnp.float32(1.2)),
    "convolve": (jw.convolve_psf, ones((n, n)), ones((101, 101))),
    "products": (lambda a: (a @ a) @ a, ones((1200, 1200))),
}

def peak():
    with open("/proc/self/status") as file:
        (line,) = [line for line in file if line.startswith("VmHWM")]
    return 1024 * int(line.split()[1])

for name, (function, *arguments) in models.items():
    need = jw.memory(function, *arguments)
    compiled = jax.jit(function).lower(*arguments).compile()
    jax.block_until_ready(compiled(*arguments))
    gc.collect()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = peak()
    jax.block_until_ready(compiled(*arguments))
    print(name, need.outputs + need.scratch, peak() - before, sep="\\t", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_estimates_are_within_30_percent_of_the_peak():
    run = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    rows = [line.split("\t") for line in run.stdout.splitlines()]
    assert len(rows) == 10
    ratios = {name: int(need) / max(int(got), 1) for name, need, got in rows}
    wrong = {name: ratio for name, ratio in ratios.items() if not 0.7 < ratio < 1.3}
    assert not wrong, ratios
