"""How fast is `angular_spectrum`, against torchoptics, plain torch and two bare transforms?

Run with ``python benchmarks/angular_spectrum.py [--threads 1]``; needs torch and, for the peer
of that name, torchoptics 1.0.2. The kernel is computed on the fly; z, wavelength and n are
arguments of the compiled program.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch

import jaxwave as jw

sys.path.insert(0, str(Path(__file__).parent))
from timing import cpu_times, relative_error, report

SPACING, WAVELENGTH, Z = 0.5, 0.5, 100.0


def torch_kernel(size: int, z: torch.Tensor) -> torch.Tensor:
    """Transfer function as a torch user writes it, with real square root and the carrier off."""
    f = torch.fft.fftfreq(size, SPACING)
    square = f[:, None] ** 2 + f**2
    m = 1 / WAVELENGTH
    w = torch.sqrt(torch.clamp(m**2 - square, min=0.0))
    return torch.exp(1j * 2 * torch.pi * z * (w - m)) * (square < m**2)


def torch_propagate(u: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    n = u.shape[-1]
    size = 2 * n
    spectrum = torch.fft.fft2(u, (size, size))
    return torch.fft.ifft2(spectrum * torch_kernel(size, z))[..., :n, :n]


def torch_textbook(u: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """The same as most torch code has it: centered grids, complex square root, carrier in."""
    n = u.shape[-1]
    pad = n // 2
    padded = torch.nn.functional.pad(u, (pad, pad, pad, pad))
    f = torch.fft.fftshift(torch.fft.fftfreq(2 * n, SPACING))
    fy, fx = torch.meshgrid(f, f, indexing="ij")
    w = torch.sqrt((1 / WAVELENGTH**2 - fx**2 - fy**2).to(torch.complex64))
    kernel = torch.exp(2j * torch.pi * z * w)
    spectrum = torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(padded)))
    out = torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(spectrum * kernel)))
    return out[pad : pad + n, pad : pad + n]


def torch_many(u: torch.Tensor, z: torch.Tensor) -> list[torch.Tensor]:
    n = u.shape[-1]
    size = 2 * n
    spectrum = torch.fft.fft2(u, (size, size))
    return [torch.fft.ifft2(spectrum * torch_kernel(size, zi))[:n, :n] for zi in z]


def torch_gradient(
    propagate: Callable, mask: torch.Tensor, z: torch.Tensor, target: torch.Tensor
) -> Callable:
    def call() -> tuple[torch.Tensor, ...]:
        u = torch.exp(1j * mask)
        out = propagate(u, z)
        loss = ((out.abs() ** 2 - target) ** 2).sum()
        return torch.autograd.grad(loss, (mask, z))

    return call


def torchoptics_call(u: np.ndarray) -> Callable | None:
    try:
        import torchoptics
    except ImportError:
        return None
    field = torchoptics.Field(
        torch.from_numpy(u.copy()), wavelength=WAVELENGTH, spacing=SPACING, z=0.0
    )
    n = u.shape[-1]
    return lambda: field.propagate(
        (n, n), Z, SPACING, propagation_method="ASM", asm_pad=(n // 2, n // 2)
    )


def forward(n: int) -> None:
    beam = jw.gaussian_beam((n, n), spacing=SPACING, wavelength=WAVELENGTH, waist=n / 10)
    u = np.asarray(beam.u)
    t, zt = torch.from_numpy(u.copy()), torch.tensor(Z)
    ours = jax.jit(lambda field, z, index: jw.angular_spectrum(field, z, n=index).u)
    z, index = jnp.float32(Z), jnp.float32(1.0)
    size = 2 * n
    padded = jnp.zeros((size, size), jnp.complex64).at[:n, :n].set(beam.u)
    bare = jax.jit(lambda v: jnp.fft.ifft2(jnp.fft.fft2(v)))
    contestants: dict[str, Callable[[], object]] = {
        "jaxwave": lambda: ours(beam, z, index),
        "two bare padded power-of-two FFTs (XLA)": lambda: bare(padded),
        "torch, tuned by hand": lambda: torch_propagate(t, zt),
        "torch, textbook form": lambda: torch_textbook(t, zt),
    }
    goals = {"two bare padded power-of-two FFTs (XLA)": 1.0}
    peer = torchoptics_call(u)
    if peer is not None:
        contestants["torchoptics ASM"] = peer
        goals["torchoptics ASM"] = 6.0
    error = relative_error(contestants["torch, tuned by hand"](), ours(beam, z, index))
    report(
        f"forward, N = {n} (torch differs by {error:.1e})", cpu_times(contestants), "jaxwave", goals
    )


def gradient(n: int) -> None:
    rng = np.random.default_rng(0)
    mask = rng.uniform(0, 1, (n, n)).astype(np.float32)
    target = np.ones((n, n), np.float32)
    wave = jw.scalar_field(jnp.ones((n, n)), spacing=SPACING, wavelength=WAVELENGTH)

    def loss(mask, z, wave, target):  # type: ignore[no-untyped-def]
        out = jw.angular_spectrum(jw.phase_mask(wave, mask), z)
        return jnp.sum((out.intensity - target) ** 2)

    ours = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    value = jax.jit(loss)
    z = jnp.float32(Z)
    mt = torch.tensor(mask, requires_grad=True)
    zt = torch.tensor(Z, requires_grad=True)
    tt = torch.from_numpy(target)
    times = cpu_times(
        {
            "jaxwave value_and_grad": lambda: ours(mask, z, wave, target),
            "jaxwave forward": lambda: value(mask, z, wave, target),
            "torch autograd, tuned by hand": torch_gradient(torch_propagate, mt, zt, tt),
            "torch autograd, textbook form": torch_gradient(torch_textbook, mt, zt, tt),
        }
    )
    report(
        f"value_and_grad over mask and z, N = {n}",
        times,
        "jaxwave value_and_grad",
        {"torch autograd, textbook form": 4.0},
    )
    ratio = times["jaxwave value_and_grad"] / times["jaxwave forward"]
    print(f"  gradient/forward {ratio:.2f} (goal: at most 2.7)")


def many(n: int = 512, planes: int = 16) -> None:
    beam = jw.gaussian_beam((n, n), spacing=SPACING, wavelength=WAVELENGTH, waist=n / 10)
    ours = jax.jit(lambda field, z: jw.angular_spectrum(field, z).u)
    z = np.linspace(50, 200, planes).astype(np.float32)
    t, zt = torch.from_numpy(np.asarray(beam.u).copy()), torch.from_numpy(z)
    times = cpu_times(
        {"jaxwave": lambda: ours(beam, z), "torch, shared forward FFT": lambda: torch_many(t, zt)},
        rounds=7,
    )
    report(
        f"{planes} distances from one field, N = {n}",
        times,
        "jaxwave",
        {"torch, shared forward FFT": 8.0},
    )


def phase_error() -> None:
    """Error of exp(i phase) in float32 against float64, over the propagating frequencies."""
    from jaxwave.free_space import exact_turns

    print("\nerror of exp(i phase) in float32 (n = 1.5, wavelength 0.5 µm, sin up to 0.95)")
    size = (512, 512)
    for z, goal in ((2.0, 1e-6), (100.0, 1e-6), (1e3, 1e-6), (1e4, 1e-5), (1e5, None), (1e6, None)):
        n, wavelength, dx = np.float32(1.5), np.float32(0.5), np.float32(0.175)
        turns = jax.jit(exact_turns, static_argnums=0)(size, np.float32(z), wavelength, n, dx, dx)
        f = np.fft.fftfreq(512) / np.float64(dx)
        m = np.float64(n) / np.float64(wavelength)
        square = f[:, None] ** 2 + f**2
        used = square < (0.95 * m) ** 2
        exact = z * (np.sqrt(np.where(used, m**2 - square, 0)) - m)
        error = np.abs(
            np.exp(2j * np.pi * np.asarray(turns, np.float64)) - np.exp(2j * np.pi * exact)
        )
        print(f"  z = {z:9.0f} µm: {error[used].max():.1e}" + (f" (goal {goal:g})" if goal else ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--quick", action="store_true", help="N = 256 only")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    jw.tune_cpu()  # for every contestant: the allocator belongs to the process
    print(f"jax {jax.__version__}, torch {torch.__version__} with {options.threads} threads")
    sizes = (256,) if options.quick else (256, 512, 1024)
    for n in sizes:
        forward(n)
    for n in sizes:
        gradient(n)
    many(256 if options.quick else 512)
    phase_error()


if __name__ == "__main__":
    main()
