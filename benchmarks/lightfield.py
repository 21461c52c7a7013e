"""Is the light-field projection faster than WaveBlocks' algorithm in plain torch, one thread each?

    XLA_FLAGS=--xla_cpu_multi_thread_eigen=false python benchmarks/lightfield.py [--rounds 9]

An image of 143 x 143 pixels, 11 x 11 positions, PSFs of 77 x 77 pixels, 3 depths. The peer is the
space-variant camera of WaveBlocks: one strided transposed convolution for every position, of the
voxels that lie there under all lenslets. WaveBlocks computes 36 positions and mirrors them to the
others; here all 121 are used by both, so that both are right for every PSF. Values are compared
before anything is timed. WaveBlocks has no adjoint; that of the peer is torch's derivative.
"""

import argparse
import os

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import numpy as np
import torch
from timing import cpu_times, relative_error, report

from jaxwave.lightfield import LightFieldPSF, Projector

SHAPE, PERIOD, KERNEL, DEPTHS = 143, 11, 77, 3


def waveblocks(volume: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Image of ``(depths, y, x)`` through ``(depths, a, b, y, x)``, position by position."""
    half = KERNEL // 2
    total = torch.zeros(SHAPE + 2 * KERNEL, SHAPE + 2 * KERNEL)
    shift = SHAPE // 2
    for a in range(PERIOD):
        for b in range(PERIOD):
            top, left = (a + shift) % PERIOD, (b + shift) % PERIOD
            voxels = volume[None, :, top::PERIOD, left::PERIOD]
            kernel = values[:, a, b][:, None]
            part = torch.nn.functional.conv_transpose2d(voxels, kernel, stride=PERIOD)[0, 0]
            y, x = top - half + KERNEL, left - half + KERNEL
            total[y : y + part.shape[0], x : x + part.shape[1]] += part
    return total[KERNEL : KERNEL + SHAPE, KERNEL : KERNEL + SHAPE]


def main() -> None:
    """Prints the ratios of projection, adjoint and several frames."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    values = random.random((DEPTHS, PERIOD, PERIOD, KERNEL, KERNEL)).astype(np.float32)
    volume = random.random((DEPTHS, SHAPE, SHAPE)).astype(np.float32)
    image = random.random((SHAPE, SHAPE)).astype(np.float32)
    projector = Projector(LightFieldPSF(values, z=[-25.0, 0.0, 25.0], pixel=0.5), (SHAPE, SHAPE))
    project, backproject = projector.project, projector.backproject  # compiled programs
    kernels, voxels = torch.from_numpy(values), torch.from_numpy(volume).requires_grad_()
    seen = torch.from_numpy(image)
    need = waveblocks(voxels, kernels).detach()
    print(f"image: relative difference {relative_error(project(volume), need):.1e}")
    (back,) = torch.autograd.grad(waveblocks(voxels, kernels), voxels, seen)
    print(f"adjoint: relative difference {relative_error(backproject(image), back):.1e}")

    def peer_adjoint() -> torch.Tensor:
        return torch.autograd.grad(waveblocks(voxels, kernels), voxels, seen)[0]

    frames = np.broadcast_to(volume, (8, *volume.shape)).copy()
    with torch.no_grad():
        contestants = {
            "jaxwave, projection": lambda: project(volume),
            "WaveBlocks' algorithm, projection": lambda: waveblocks(voxels, kernels),
            "jaxwave, adjoint": lambda: backproject(image),
            "jaxwave, 8 frames": lambda: project(frames),
        }
        times = cpu_times(contestants, rounds)
    times |= cpu_times({"torch's derivative (forward, backward)": peer_adjoint}, rounds)
    ours = "jaxwave, projection"
    report("projection, one thread", times, ours, {"WaveBlocks' algorithm, projection": 3})
    print(f"adjoint / forward {times['jaxwave, adjoint'] / times[ours]:.2f} (goal: at most 1.8)")


if __name__ == "__main__":
    main()
