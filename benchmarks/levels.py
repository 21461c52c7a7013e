"""Which gradient of the rounding to levels learns the better relief?

    python benchmarks/levels.py [--seeds 2] [--steps 250] [--samples 96]

A free plate on a lens, wrapped, at three colors and three depths, is learned for the error that is
expected over all scenes (jaxwave.cameras.expected_error), and judged with its levels: rounded when
it was done, with a blend that rises from zero to one (its true gradient; the default, which is
straight through once the blend is one), and straight through from the start.
Numbers are decibels below a scene of variance one, the mean and the spread over the seeds; nothing
is timed. The results stand in README.md; the default of jaxwave.heights.levels follows from them.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxwave import heights
from jaxwave.cameras import Lens, expected_error

SILICA, GREEN, NOISE = "fused silica", 0.55, 4e-4
WAVELENGTHS = np.array([0.64, 0.55, 0.46])
COUNTS = (16, 8, 4, 2)
WAYS = ("straight through", "blended", "default", "rounded when done")


def camera(samples: int):
    """The loss of a relief [dB]: a lens with five waves of defocus from near to far."""
    radius, z = 2.0 * samples, 35.156 * samples
    near = radius**2 / 2 / (5 * GREEN)
    distances = np.array([near, 2 * near, np.inf])
    f = 1 / (1 / z + 0.5 / near)
    lens = Lens((samples,) * 2, 4.0, z, 4.0, (samples // 2,) * 2, f=f, points=2)

    def loss(relief):
        path = heights.opd(relief, SILICA, wavelength=WAVELENGTHS)
        psfs = lens.psfs(path, distances, WAVELENGTHS)
        errors = expected_error(psfs, NOISE, shape=(2 * samples,) * 2)
        return 10 * jnp.log10(jnp.mean(errors))

    return loss


def learned(loss, start, steps: int):
    """Phases of the least loss, by Adam; the loss also takes the share of the steps done."""
    adam = optax.adam(optax.cosine_decay_schedule(0.2, steps, 0.05))

    @jax.jit
    def run(phase):
        def step(carry, k):
            phase, state = carry
            slope = jax.grad(loss)(phase, k / steps)
            change, state = adam.update(slope, state)
            return (optax.apply_updates(phase, change), state), None

        return jax.lax.scan(step, (phase, adam.init(phase)), jnp.arange(steps))[0][0]

    return run(start)


def compared(samples: int, steps: int, seed: int) -> dict[tuple[int, str], float]:
    """Loss [dB] by levels and way; zero levels are the smooth relief."""
    loss, depth = camera(samples), float(heights.wave_height(SILICA, wavelength=GREEN))
    # Away from height zero, below which the level zero begins again.
    start = np.pi + 0.3 * jax.random.normal(jax.random.key(seed), (samples, samples))
    wrapped = lambda p: heights.wrap(p * depth / (2 * np.pi), depth)  # noqa: E731
    smooth = learned(lambda p, _: loss(wrapped(p)), start, steps)
    judge, risen = jax.jit(loss), lambda t: jnp.minimum(1.25 * t, 1.0)
    found = {(0, "smooth"): float(judge(wrapped(smooth)))}
    for count in COUNTS:
        made = lambda p, n=count, **how: heights.levels(wrapped(p), n, depth, **how)  # noqa: E731
        ways = {
            "straight through": lambda p, _, f=made: loss(f(p)),
            "blended": lambda p, t, f=made: loss(f(p, blend=risen(t), straight_through=False)),
            "default": lambda p, t, f=made: loss(f(p, blend=risen(t))),
        }
        found[count, WAYS[-1]] = float(judge(made(smooth)))
        for name, rounded in ways.items():
            found[count, name] = float(judge(made(learned(rounded, start, steps))))
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--samples", type=int, default=96)
    options = parser.parse_args()
    runs = [compared(options.samples, options.steps, seed) for seed in range(options.seeds)]
    mean = {k: np.mean([r[k] for r in runs]) for k in runs[0]}
    spread = {k: np.ptp([r[k] for r in runs]) for k in runs[0]}
    told = lambda k: f"{-mean[k]:6.2f} +- {spread[k] / 2:.2f}"  # noqa: E731
    print(f"smooth: {told((0, 'smooth'))} dB below the scene; {options}")
    print(f"{'levels':>8s}" + "".join(f"{w:>22s}" for w in WAYS))
    for count in COUNTS:
        print(f"{count:8d}" + "".join(f"{told((count, w)):>22s}" for w in WAYS))
    best = [max(WAYS, key=lambda w, n=n: -mean[n, w]) for n in COUNTS]
    print("best: " + ", ".join(f"{n}: {w}" for n, w in zip(COUNTS, best, strict=True)))


if __name__ == "__main__":
    main()
