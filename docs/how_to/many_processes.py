"""One calibration in many processes: what all beads share, and the depth of each.

Run the same line in every process, K = 0 ... N - 1:  python many_processes.py K N
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np

from jaxwave import calibration

SIZE, BEADS = 16, 7
v, u = np.meshgrid(*[np.linspace(-1.3, 1.3, SIZE)] * 2, indexing="ij")
PUPIL = (u**2 + v**2 < 1).astype(np.float32)
MODES = np.stack([u**2 - v**2, u * v, u * (u**2 + v**2)]).astype(np.float32)
DEFOCUS = (u**2 + v**2).astype(np.float32)


def image(microscope: dict) -> jax.Array:
    """The image of one bead."""
    phase = jnp.tensordot(microscope["modes"], MODES, 1) + microscope["z"] * DEFOCUS
    return jnp.abs(jnp.fft.fft2(PUPIL * jnp.exp(1j * phase), norm="ortho")) ** 2


def residuals(microscope: dict, bead: jax.Array) -> jax.Array:
    """What is left of the data of one bead, over its noise."""
    return (image(microscope) - bead) / 0.01


def measured() -> np.ndarray:
    """All beads; real ones are `np.load("beads.npy", mmap_mode="r")`."""
    depths = np.linspace(0.5, 3, BEADS).astype(np.float32)
    truth = [{"modes": jnp.array([0.5, -0.3, 0.2]), "z": z} for z in depths]
    noise = np.random.default_rng(0).normal(0, 0.01, (BEADS, SIZE, SIZE))
    one = jax.jit(image)
    return np.stack([one(t) for t in truth]) + noise.astype(np.float32)


def main() -> None:
    """Calibrates together with the other processes."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("process", type=int)
    ask.add_argument("count", type=int)
    ask.add_argument("--address", default="127.0.0.1:39411", help="host:port of process 0")
    ask.add_argument("--folder", help="keeps the state, to go on after a crash")
    ask.add_argument("--steps", type=int, default=20)
    ask.add_argument("--slow", type=float, default=0, help="seconds to wait at every report")
    wanted = ask.parse_args()
    # Before anything else of JAX; on a cluster with SLURM or Open MPI `initialize()` is enough.
    jax.distributed.initialize(wanted.address, wanted.count, wanted.process)

    beads = measured()
    start = {"modes": jnp.zeros(3), "z": jnp.float32(1.5)}
    joint = calibration.Joint(start, len(beads), own=["z"])
    result = calibration.calibrate(
        joint,
        calibration.joint_loss(calibration.least_squares(residuals)),
        beads,
        optimizer=calibration.lbfgs(),
        steps=wanted.steps,
        report_every=2,
        tolerance=0.0,
        progress=lambda *report: time.sleep(wanted.slow) if wanted.slow else print(*report),
        checkpoint=wanted.folder,
        resume=wanted.folder is not None,
    )
    if jax.process_index() == 0:  # every process has the result; one writes it
        print(result)
        print("modes", *result.parameters()["shared.modes"].tolist())
        print("depths", *result.parameters()["own.z"].tolist())


if __name__ == "__main__":
    main()
