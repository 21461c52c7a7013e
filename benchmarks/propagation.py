"""Propagators against the bare transforms that they contain: ratios of CPU medians, one run.

Windows are compared with the padded pair of transforms, many distances with as many calls.
"""

import argparse
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from journal import record
from timing import cpu_times, report

import jaxwave as jw
from jaxwave.numerics import fast_len

SPACING, WAVELENGTH = 0.5, 0.5


def beam(n: int) -> jw.Field:
    return jw.gaussian_beam((n, n), spacing=SPACING, wavelength=WAVELENGTH, waist=n * SPACING / 10)


def bare(n: int, total: int, count: int = 2) -> Callable[[], object]:
    """Two or three transforms of ``total`` samples a side, nothing else."""
    u = jnp.zeros((total, total), jnp.complex64).at[:n, :n].set(beam(n).u)

    @jax.jit
    def chain(v: Array) -> Array:
        for k in range(count):
            v = jnp.fft.ifft2(v) if k % 2 else jnp.fft.fft2(v)
        return v

    return lambda: chain(u)


def against_transforms(n: int) -> None:
    field, z = beam(n), jnp.float32(n * SPACING)
    far = jnp.float32(20 * n * SPACING**2 / WAVELENGTH)
    calls: dict[str, Callable[..., object]] = {
        "angular_spectrum": lambda f, z: jw.angular_spectrum(f, z).u,
        "fresnel": lambda f, z: jw.fresnel(f, z).u,
        "rayleigh_sommerfeld": lambda f, z: jw.rayleigh_sommerfeld(f, z).u,
        "angular_spectrum, shifted": lambda f, z: jw.angular_spectrum(f, z, x=20.0).u,
    }
    for part in (n // 8, n // 4, n // 2, n):
        window = dict(spacing=0.3 * SPACING, shape=(part, part))
        name = f"angular_spectrum to {part}"
        calls[name] = lambda f, z, w=window: jw.angular_spectrum(f, z, **w).u
        calls[f"fresnel to {part}"] = lambda f, z, w=window: jw.fresnel(f, z, **w).u
    compiled = {name: jax.jit(call) for name, call in calls.items()}
    contestants: dict[str, Callable[[], object]] = {
        name: (lambda call=call, d=(far if "rayleigh" in name else z): call(field, d))
        for name, call in compiled.items()
    }
    name = f"two bare transforms of {fast_len(2 * n)}"
    fine = fast_len(int(1.3 * n / 0.3))
    others = {
        "three bare transforms (rayleigh_sommerfeld's own)": bare(n, fast_len(2 * n), 3),
        f"two of {fine}: a window as fine by padding": bare(n, fine),
    }
    times = cpu_times({name: bare(n, fast_len(2 * n)), **others, **contestants})
    for key in contestants:
        record(f"N = {n}", {key: times[key], name: times[name]}, key)
    print(f"\nN = {n}: times of the padded pair (goal: at most 1.6; windows 1.0)")
    for key, value in times.items():
        print(f"  {key:44s} {value:9.2f} ms   {value / times[name]:6.2f}")


def many(n: int, planes: int = 16) -> None:
    field, z = beam(n), jnp.linspace(20.0, 80.0, planes, dtype=jnp.float32)
    for function in (jw.angular_spectrum, jw.fresnel):
        once = jax.jit(lambda f, z, function=function: function(f, z).u)
        times = cpu_times(
            {
                "one call": lambda once=once: once(field, z),
                f"{planes} calls": lambda once=once: [once(field, d) for d in z],
            },
            rounds=7,
        )
        report(f"{function.__name__}, {planes} distances, N = {n}", times, "one call", {})
        print(f"  share {times['one call'] / times[f'{planes} calls']:.2f} (goal: below 0.60)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    options = parser.parse_args()
    jw.tune_cpu()
    print(f"jax {jax.__version__}, numpy {np.__version__}")
    for n in options.sizes:
        against_transforms(n)
        many(n)


if __name__ == "__main__":
    main()
