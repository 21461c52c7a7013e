"""Are propagation, lens and a calibration step faster than WaveBlocks' algorithms in plain torch?

    XLA_FLAGS=--xla_cpu_multi_thread_eigen=false python benchmarks/waveblocks.py [--rounds 9]

One thread each, interleaved; forward and backward. The peer propagates unpadded, with shifts made
of concatenations, and resamples real and imaginary parts bicubically where the size is even; its
lens always makes two propagations over no distance. As the peer propagates, light wraps around, and
so it does with `boundary="periodic"`; `jw.angular_spectrum` pads to twice the size by itself, which
stands beside the peer with a padded field (on the odd size near by that suits its transforms best).
"Bare transforms" are the four of a size without the kernel: no way of doing them is faster.
"""

import argparse
import os
from collections.abc import Callable

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import jax
import jax.numpy as jnp
import numpy as np
import torch
from timing import cpu_times, report

import jaxwave as jw
from jaxwave.numerics import cis

WAVELENGTH, PIXEL = 0.63, 6.9
PSF, OBJECT, DEPTHS = 171, 511, (-20e3, 0.0, 20e3)


def shift(u: torch.Tensor, count: int) -> torch.Tensor:
    """A roll of both axes made of concatenations."""
    for axis in (-2, -1):
        first, rest = u.narrow(axis, 0, count), u.narrow(axis, count, u.shape[axis] - count)
        u = torch.cat([rest, first], axis)
    return u


def resampled(u: torch.Tensor, n: int) -> torch.Tensor:
    """Real and imaginary part, bicubically, on another number of samples."""
    if u.shape[-1] == n:
        return u
    parts = torch.stack([u.real, u.imag])[None]
    parts = torch.nn.functional.interpolate(parts, size=(n, n), mode="bicubic", align_corners=False)
    return torch.complex(parts[0, 0], parts[0, 1])


def torch_kernel(n: int, z: torch.Tensor | float) -> torch.Tensor:
    """The transfer function with its carrier, center in the middle."""
    f = (torch.arange(n) - n // 2) / (n * PIXEL)
    square = (WAVELENGTH * f[:, None]) ** 2 + (WAVELENGTH * f) ** 2
    phase = 2 * np.pi / WAVELENGTH * z * torch.sqrt(1 - square)
    return torch.exp(1j * phase)


def torch_propagate(u: torch.Tensor, z: torch.Tensor | float) -> torch.Tensor:
    """WaveBlocks' propagation."""
    size = u.shape[-1]
    n = size if size % 2 else size - 1
    u = resampled(u, n)
    spectrum = shift(torch.fft.fft2(shift(u, n // 2)), n - n // 2) * torch_kernel(n, z)
    return resampled(shift(torch.fft.ifft2(shift(spectrum, n // 2)), n - n // 2), size)


def torch_lens(u: torch.Tensor, mask: torch.Tensor, f: float) -> torch.Tensor:
    """WaveBlocks' lens from focus to focus."""
    n = u.shape[-1]
    u = torch_propagate(u, 0.0)
    carrier = np.exp(2j * np.pi * f / WAVELENGTH) / (1j * WAVELENGTH * f) * PIXEL**2
    v = shift(torch.fft.fft2(shift(u, n // 2)), n - n // 2) * carrier * mask
    return torch_propagate(v, 0.0)


def torch_camera(u: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """WaveBlocks' camera: padded to the sum of the sizes, cut to the size of the PSF."""
    n = OBJECT + PSF - 1
    light = torch.fft.rfft2(u.real**2 + u.imag**2, (n, n)) * torch.fft.rfft2(target, (n, n))
    whole = torch.fft.irfft2(light, (n, n))
    first = (n - PSF) // 2
    return whole[..., first : first + PSF, first : first + PSF]


def jax_kernel(n: int, z: jax.Array | float) -> jax.Array:
    """The transfer function without its carrier, FFT order."""
    f = np.fft.fftfreq(n, PIXEL)
    square = f[:, None] ** 2 + f**2
    wave = -square / (1 / WAVELENGTH + np.sqrt(WAVELENGTH**-2 - square))
    return cis(jnp.asarray(z)[..., None, None] * wave.astype(np.float32))


def torch_gradient(function: object, *start: torch.Tensor) -> object:
    """Value and gradients of a torch function."""

    def call() -> torch.Tensor:
        leaves = [a.clone().requires_grad_() for a in start]
        function(*leaves).backward()  # type: ignore[operator]
        return leaves[0].grad

    return call


def energy(u: jax.Array, weight: jax.Array) -> jax.Array:
    """A real number of a field."""
    return jnp.sum(weight * (u.real**2 + u.imag**2))


def random_field(n: int) -> tuple[np.ndarray, np.ndarray]:
    """A smooth random field and weights of its samples."""
    rng = np.random.default_rng(0)
    low = np.fft.fft2(rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)))
    f = np.fft.fftfreq(n)
    low *= np.exp(-((f[:, None] ** 2 + f**2) * 400))
    return np.fft.ifft2(low).astype(np.complex64), rng.uniform(size=(n, n)).astype(np.float32)


def odd_size(least: int) -> int:
    """The next size without large prime factors that the peer does not resample."""
    size = least + 1 - least % 2
    while max(p for p in range(3, size + 1, 2) if size % p == 0 and is_prime(p)) > 11:
        size += 2
    return size


def is_prime(p: int) -> bool:
    """Whether an odd number from 3 on has no divisor."""
    return all(p % k for k in range(3, int(p**0.5) + 1, 2))


def propagation(n: int, rounds: int) -> None:
    u, weight = random_field(n)
    tu, tw = torch.from_numpy(u), torch.from_numpy(weight)
    border = odd_size(2 * n) - n

    def theirs(v: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        w = torch_propagate(v, z)
        return (tw * (w.real**2 + w.imag**2)).sum()

    def theirs_padded(v: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        half = border // 2
        w = torch_propagate(torch.nn.functional.pad(v, (half, border - half) * 2), z)
        w = w[half : half + n, half : half + n]
        return (tw * (w.real**2 + w.imag**2)).sum()

    def own(boundary: str) -> Callable[[jax.Array, jax.Array], jax.Array]:
        def function(v: jax.Array, z: jax.Array) -> jax.Array:
            field = jw.scalar_field(v, spacing=PIXEL, wavelength=WAVELENGTH)
            return energy(jw.angular_spectrum(field, z, boundary=boundary).u, weight)

        return jax.jit(jax.value_and_grad(function, (0, 1)))

    v, z = jnp.asarray(u), jnp.float32(2000.0)
    period, zero = own("periodic"), own("zero")
    bare = jax.jit(jax.value_and_grad(lambda v: energy(jnp.fft.ifft2(jnp.fft.fft2(v)), weight)))
    start = tu, torch.tensor(2000.0)
    title = f"propagation {n}, forward and backward"
    calls = {
        "jaxwave, periodic": lambda: period(v, z),
        "bare transforms": lambda: bare(v),
        "WaveBlocks' algorithm": torch_gradient(theirs, *start),
    }
    times = cpu_times(calls, rounds)  # type: ignore[arg-type]
    report(title, times, "jaxwave, periodic", {"WaveBlocks' algorithm": 8})
    calls = {
        "jaxwave": lambda: zero(v, z),
        "WaveBlocks' algorithm, padded": torch_gradient(theirs_padded, *start),
    }
    report(f"{title}, padded", cpu_times(calls, rounds), "jaxwave", {})  # type: ignore[arg-type]


def lens(n: int, rounds: int, f: float = 165e3) -> None:
    u, weight = random_field(n)
    tu, tw, mask = torch.from_numpy(u), torch.from_numpy(weight), torch.ones(n, n)

    def theirs(v: torch.Tensor) -> torch.Tensor:
        w = torch_lens(v, mask, f)
        return (tw * (w.real**2 + w.imag**2)).sum()

    def own(v: jax.Array) -> jax.Array:
        field = jw.scalar_field(v, spacing=PIXEL, wavelength=WAVELENGTH)
        return energy(jw.ff_lens(field, f).u, weight)

    ours, v = jax.jit(jax.value_and_grad(own)), jnp.asarray(u)
    calls = {"jaxwave": lambda: ours(v), "WaveBlocks' algorithm": torch_gradient(theirs, tu)}
    times = cpu_times(calls, rounds)  # type: ignore[arg-type]
    report(f"lens {n}, forward and backward", times, "jaxwave", {"WaveBlocks' algorithm": 15})


def calibration_step(rounds: int) -> None:
    u, _ = random_field(PSF)
    target = np.asarray(jw.usaf_1951((OBJECT, OBJECT), spacing=0.345, groups=(7, 8)), np.float32)
    tu, tt = torch.from_numpy(u), torch.from_numpy(target.copy())

    def torch_images(v: torch.Tensor) -> torch.Tensor:
        fields = torch.stack([torch_propagate(v, z) for z in DEPTHS])
        return torch_camera(fields, tt)

    seen = torch_images(0.9 * tu).detach()

    def theirs(v: torch.Tensor) -> torch.Tensor:
        return ((torch_images(v) - seen) ** 2).sum() / (seen**2).sum()

    # Only the target's middle is seen, and light that wraps around is not.
    need = 2 * PSF - 1
    first = (OBJECT - need) // 2
    size = jw.numerics.fast_len(need)
    drawn = jnp.fft.rfft2(target[first : first + need, first : first + need], (size, size))
    kernels, want = jax_kernel(PSF, jnp.asarray(DEPTHS, jnp.float32)), jnp.asarray(seen.numpy())

    def own(v: jax.Array) -> jax.Array:
        w = jnp.fft.ifft2(jnp.fft.fft2(v) * kernels)
        light = jnp.fft.rfft2(w.real**2 + w.imag**2, (size, size)) * drawn
        image = jnp.fft.irfft2(light, (size, size))[..., PSF - 1 : need, PSF - 1 : need]
        return jnp.sum((image - want) ** 2) / jnp.sum(want**2)

    ours, v = jax.jit(jax.value_and_grad(own)), jnp.asarray(u)
    print(f"\nloss: {float(theirs(tu)):.6f} theirs, {float(ours(v)[0]):.6f} ours")
    calls = {"jaxwave": lambda: ours(v), "WaveBlocks' algorithm": torch_gradient(theirs, tu)}
    times = cpu_times(calls, rounds)  # type: ignore[arg-type]
    title = f"calibration step, PSF {PSF}, object {OBJECT}, {len(DEPTHS)} depths"
    report(title, times, "jaxwave", {"WaveBlocks' algorithm": 8})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sizes", type=int, nargs="+", default=[511, 512, 1023, 1024])
    options = parser.parse_args()
    torch.set_num_threads(1)
    jw.tune_cpu()
    print(f"jax {jax.__version__}, torch {torch.__version__}")
    for n in options.sizes:
        propagation(n, options.rounds)
    for n in options.sizes[::2]:
        lens(n, options.rounds)
    calibration_step(options.rounds)


if __name__ == "__main__":
    main()
