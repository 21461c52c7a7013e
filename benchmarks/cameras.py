"""Is a training step of a camera faster than the same in plain torch, and how much memory is it?

    XLA_FLAGS=--xla_cpu_multi_thread_eigen=false python benchmarks/cameras.py [--rounds 7]

A plate of 512 x 512 samples, 3 wavelengths, 3 depths, 2 photographs of 256 x 256 pixels: PSFs of
128 x 128 pixels, images at every depth, one Wiener filter for all depths, the mean square error,
and its gradient by the plate. The peer propagates as DeepOptics does, by a padded pair of
transforms for each PSF, with a transfer function that is made once; the rest is the same. One
thread each. Values are compared before anything is timed. Also the step without images (the
expected error).
"""

import argparse
import os

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import jax
import jax.numpy as jnp
import numpy as np
import torch
from timing import cpu_times, relative_error, report

import jaxwave as jw
from jaxwave.cameras import Lens, expected_error
from jaxwave.grid import disk_coverage

N, WINDOW, IMAGE, SPACING, Z = 512, 128, 256, 4.0, 20_000.0
WAVELENGTHS, DISTANCES = np.array([0.64, 0.55, 0.46]), np.array([0.5e6, 0.75e6, np.inf])
RISE, WEIGHT = np.array([0.4568, 0.4599, 0.4648]), 0.01
RADIUS = (N - 1) * SPACING / 2
LENS = Lens((N, N), SPACING, z=Z, pitch=SPACING, window=(WINDOW, WINDOW), radius=RADIUS, points=1)


def psfs(height):
    """PSFs ``(depths, colors, y, x)`` of a height map [µm]."""
    return LENS.psfs(height * RISE[:, None, None].astype(np.float32), DISTANCES, WAVELENGTHS)


def loss(height, images):
    """Mean square error of photographs ``(images, colors, y, x)`` at all depths."""
    h = psfs(height)
    taken = jw.convolve_psf(images[:, None], h, boundary="zero")
    found = jw.wiener(taken, h, WEIGHT, depths=0, scene="white", boundary="zero")
    return jnp.mean((found - images[:, None]) ** 2)


def expected(height):
    """The same without photographs."""
    return jnp.mean(expected_error(psfs(height), WEIGHT, shape=(IMAGE, IMAGE), haze=False))


class Peer:
    """The camera in torch; what does not change is made once."""

    def __init__(self) -> None:
        at = (np.arange(N) - N // 2) * SPACING
        square = at[:, None] ** 2 + at**2
        waves = WAVELENGTHS[:, None, None]
        near = np.array([0 if np.isinf(d) else 1 / d for d in DISTANCES])[:, None, None, None]
        path = square * near / (1 + np.sqrt(1 + square * near**2))
        f = np.fft.fftfreq(2 * N, SPACING)
        s = waves**2 * (f[:, None] ** 2 + f**2)
        turns = -Z / waves * s / (1 + np.sqrt(np.maximum(1 - s, 0)))
        stop = np.asarray(disk_coverage((N, N), jnp.full(2, SPACING), RADIUS))
        self.source = torch.from_numpy((stop * np.exp(2j * np.pi * path / waves)).astype("c8"))
        self.transfer = torch.from_numpy(np.exp(2j * np.pi * turns).astype("c8"))
        self.slope = torch.from_numpy((2 * np.pi * RISE[:, None, None] / waves).astype("f4"))
        self.light = float(np.sum(stop**2))

    def psfs(self, height):
        """As ours."""
        field = self.source * torch.exp(1j * self.slope * height)
        spectrum = torch.fft.fft2(field, s=(2 * N, 2 * N)) * self.transfer
        low, high = N // 2 - WINDOW // 2, N // 2 + WINDOW // 2
        u = torch.fft.ifft2(spectrum)[..., low:high, low:high]
        return (u.real**2 + u.imag**2) / self.light

    def loss(self, height, images):
        """As ours."""
        h, size = self.psfs(height), IMAGE + WINDOW
        k = torch.fft.rfft2(torch.roll(torch.nn.functional.pad(
            h, (0, size - WINDOW, 0, size - WINDOW)), (-WINDOW // 2,) * 2, (-2, -1)))  # fmt: skip
        whole = torch.fft.irfft2(
            torch.fft.rfft2(images[:, None], s=(size, size)) * k, s=(size,) * 2
        )
        taken = whole[..., :IMAGE, :IMAGE]
        mean, square = k.mean(0), (k.real**2 + k.imag**2).mean(0)
        gain = mean.conj() / (square + WEIGHT)
        light = torch.zeros(gain.shape[-2:])
        light[0, 0] = 1
        gain = gain * (1 - light) + light / mean[..., :1, :1].real
        back = torch.fft.irfft2(torch.fft.rfft2(taken, s=(size, size)) * gain, s=(size,) * 2)
        return ((back[..., :IMAGE, :IMAGE] - images[:, None]) ** 2).mean()


def main() -> None:
    """Prints the ratios and the memory of a step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    at = (np.arange(N) - N // 2) * SPACING
    focus = -(at[:, None] ** 2 + at**2) / (2 * Z) / RISE[1]
    height = (focus + 0.05 * random.random((N, N))).astype(np.float32)
    images = random.random((2, 3, IMAGE, IMAGE)).astype(np.float32)
    peer, x, seen = Peer(), torch.from_numpy(height).requires_grad_(), torch.from_numpy(images)
    step, blind = jax.jit(jax.value_and_grad(loss)), jax.jit(jax.value_and_grad(expected))

    def torch_step() -> torch.Tensor:
        return torch.autograd.grad(peer.loss(x, seen), x)[0]

    with torch.no_grad():
        print(
            f"PSFs: relative difference {relative_error(jax.jit(psfs)(height), peer.psfs(x)):.1e}"
        )
    print(
        f"gradient: relative difference {relative_error(step(height, images)[1], torch_step()):.1e}"
    )
    for name, need in (
        ("a step", jw.memory(jax.value_and_grad(loss), height, images)),
        ("a step without images", jw.memory(jax.value_and_grad(expected), height)),
    ):
        print(f"{name}: {need.bytes / 1e9:.2f} GB (goal: at most 1.5)")
    times = cpu_times(
        {
            "jaxwave, images": lambda: step(height, images),
            "jaxwave, expected error": lambda: blind(height),
            "torch, images": torch_step,
        },
        rounds,
    )
    report("a step, one thread", times, "jaxwave, images", {"torch, images": 2})


if __name__ == "__main__":
    main()
