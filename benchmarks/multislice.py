"""Thick samples against the bare transforms that they contain: ratios of CPU medians, one run.

The forward pass takes one pair of transforms more than there are slices; a gradient with
checkpoints has three such passes at least: forward, forward again, backward.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from journal import record
from timing import cpu_times

import jaxwave as jw

SPACING, WAVELENGTH, THICKNESS, INDEX = 0.5, 0.5, 1.0, 1.33


def image(dn: Array, field: jw.Field) -> Array:
    return jw.multislice(field, dn, THICKNESS, n=INDEX).u


def loss(dn: Array, field: jw.Field) -> Array:
    return jnp.sum(jnp.abs(image(dn, field)[field.shape[0] // 2 :]) ** 4)


def speed(n: int, slices: int) -> None:
    field = jw.gaussian_beam((n, n), spacing=SPACING, wavelength=WAVELENGTH, waist=n * SPACING / 10)
    dn = jnp.asarray(0.01 * np.random.default_rng(0).normal(size=(slices, n, n)), jnp.float32)

    @jax.jit
    def bare(u: Array) -> Array:
        def pair(u: Array, _: None) -> tuple[Array, None]:
            return jnp.fft.ifft2(jnp.fft.fft2(u)), None

        return lax.scan(pair, u, None, length=slices + 1)[0]

    forward, slope = jax.jit(image), jax.jit(jax.grad(loss))
    times = cpu_times(
        {
            "transforms": lambda: bare(field.u),
            "forward": lambda: forward(dn, field),
            "gradient": lambda: slope(dn, field),
        },
        rounds=11,
    )
    record(f"N = {n}, {slices} slices", times, "forward")
    one, two = times["forward"] / times["transforms"], times["gradient"] / times["forward"]
    print(f"\nN = {n}, {slices} slices: {times['transforms']:.1f} ms of transforms")
    print(f"  forward / transforms  {one:5.2f} (goal: at most 1.2)")
    print(f"  gradient / forward    {two:5.2f} (goal: at most 3.2)")
    print(f"  gradient / transforms {one * two:5.2f} (both goals together: 3.84)")


def memory(n: int) -> None:
    print(f"\nN = {n}: scratch memory, in fields")
    field = jw.plane_wave((n, n), spacing=SPACING, wavelength=WAVELENGTH)
    for slices in (16, 64, 256):
        dn = jax.ShapeDtypeStruct((slices, n, n), jnp.float32)
        used = [
            jax.jit(f).lower(dn, field).compile().memory_analysis().temp_size_in_bytes / (8 * n * n)
            for f in (image, jax.grad(loss))
        ]
        print(f"  {slices:4d} slices   forward {used[0]:6.1f}   gradient {used[1]:6.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512])
    options = parser.parse_args()
    jw.tune_cpu()
    print(f"jax {jax.__version__}, numpy {np.__version__}")
    for n in options.sizes:
        speed(n, 24 if n < 512 else 12)
    memory(64)


if __name__ == "__main__":
    main()
