"""What a GPU makes of it: jaxwave, JAX's bare transforms, torch and psf_generator on one device.

    XLA_PYTHON_CLIENT_PREALLOCATE=false python benchmarks/gpu.py [--rounds 30]

Wall-clock medians, every contestant in every round; each waits until its device has finished.
psf_generator 0.1.0 is measured where it is installed.
"""

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from bridge import step, tiny_jax, tiny_torch
from psf_cartesian import peer

import jaxwave as jw
from jaxwave import psf
from jaxwave.numerics import fast_len
from torch_bridge import wrap

Calls = dict[str, Callable[[], object]]


def finish(result: object) -> None:
    """Waits for whichever library has work left."""
    jax.block_until_ready(result)
    torch.cuda.synchronize()


def wall_times(calls: Calls, rounds: int, repeats: int = 1) -> dict[str, float]:
    """Median wall time of each contestant [µs]."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(3):
            finish(call())
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(repeats):
                result = call()
            finish(result)
            times[name].append(1e6 * (time.perf_counter() - start) / repeats)
    return {name: statistics.median(values) for name, values in times.items()}


def show(title: str, times: dict[str, float], ours: str) -> None:
    print(f"\n{title}")
    for name, value in times.items():
        ratio = "" if name == ours else f"   this / {ours} {value / times[ours]:7.2f}"
        print(f"  {name:36s} {value:10.1f} us{ratio}", flush=True)


def propagation(n: int, rounds: int) -> None:
    """The angular spectrum against the padded pair of transforms that it contains."""
    field = jw.gaussian_beam((n, n), spacing=0.5, wavelength=0.5, waist=n / 20)
    z, total = jnp.float32(0.5 * n), fast_len(2 * n)
    padded = jnp.zeros((total, total), jnp.complex64).at[:n, :n].set(field.u)
    pair = jax.jit(lambda v: jnp.fft.ifft2(jnp.fft.fft2(v)))
    plane = torch.randn(total, total, dtype=torch.complex64, device="cuda")
    ours = jax.jit(lambda f, z: jw.angular_spectrum(f, z).u)
    calls: Calls = {
        "jaxwave": lambda: ours(field, z),
        f"two transforms of {total}, JAX": lambda: pair(padded),
        f"two transforms of {total}, torch": lambda: torch.fft.ifft2(torch.fft.fft2(plane)),
    }
    show(f"angular_spectrum, {n} x {n}", wall_times(calls, rounds), "jaxwave")


def spots(planes: int, rounds: int) -> None:
    """The obvious calls: a stack of an aberrated microscope, jitted and eager."""
    z = jnp.linspace(-0.03 * planes, 0.03 * planes, planes)
    modes, c = [(2, -2), (2, 2), (3, 1)], jnp.array([0.03, 0.02, -0.02])
    scope = psf.Microscope(na=1.3, n=1.5, wavelength=0.632, shape=(201, 201), pixel=0.02)
    jitted = jax.jit(lambda c: scope.psf(z, coefficients=c, modes=modes))
    slope = jax.jit(
        jax.value_and_grad(lambda c: jnp.sum(scope.psf(z, coefficients=c, modes=modes) ** 2))
    )
    calls: Calls = {
        "jaxwave, jit": lambda: jitted(c),
        "jaxwave, eager": lambda: scope.psf(z, coefficients=c, modes=modes),
        "jaxwave, value_and_grad": lambda: slope(c),
    }
    if importlib.util.find_spec("psf_generator"):
        calls["psf_generator, N = 257, GPU"] = peer(257, planes, device="cuda")
    show(f"PSF of {planes} planes of 201 x 201", wall_times(calls, rounds), "jaxwave, jit")


def tiny(rounds: int) -> None:
    """Overhead of a call."""
    xs = [
        torch.randn(8, 8, dtype=torch.complex64, device="cuda", requires_grad=True)
        for _ in range(2)
    ]
    arrays = [jnp.asarray(x.detach().cpu().numpy()) for x in xs]
    native = jax.jit(jax.value_and_grad(tiny_jax, argnums=(0, 1)))
    native_out: Callable[[], object] = lambda: native(*arrays)  # noqa: E731
    bridge, saved = wrap(tiny_jax), wrap(tiny_jax, residuals="save")
    calls: Calls = {
        "bridge": step(bridge, *xs),
        "bridge, saved": step(saved, *xs),
        "pure torch": step(tiny_torch, *xs),
        "pure JAX value_and_grad": native_out,
    }
    show("tiny function, forward and backward", wall_times(calls, rounds, 20), "bridge")


def four_f(n: int, rounds: int) -> None:
    """A 4f system with a phase mask: loss and gradients of field and mask."""
    rng = np.random.default_rng(0)
    fx = np.fft.fftfreq(n)
    pupil = (fx[:, None] ** 2 + fx[None] ** 2 < 0.2**2).astype(np.float32)
    target = rng.random((n, n), dtype=np.float32)
    pupil_j, target_j = jnp.asarray(pupil), jnp.asarray(target)
    pupil_t, target_t = torch.from_numpy(pupil).cuda(), torch.from_numpy(target).cuda()

    def ours(u: Any, phase: Any) -> Any:
        v = jnp.fft.ifft2(jnp.fft.fft2(u) * jw.numerics.cis(phase / (2 * np.pi)) * pupil_j)
        return jnp.mean((jnp.real(v) ** 2 + jnp.imag(v) ** 2 - target_j) ** 2)

    def theirs(u: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
        v = torch.fft.ifft2(torch.fft.fft2(u) * torch.polar(pupil_t, phase))
        return ((v.real**2 + v.imag**2 - target_t) ** 2).mean()

    u = torch.randn(n, n, dtype=torch.complex64, device="cuda", requires_grad=True)
    phase = torch.randn(n, n, device="cuda", requires_grad=True)
    u_j, phase_j = (jnp.asarray(x.detach().cpu().numpy()) for x in (u, phase))
    value_and_grad = jax.jit(jax.value_and_grad(ours, argnums=(0, 1)))
    bridge, saved = wrap(ours), wrap(ours, residuals="save")
    need = torch.autograd.grad(theirs(u, phase), [u, phase])
    for a, b in zip(torch.autograd.grad(bridge(u, phase), [u, phase]), need, strict=True):
        if (a - b).norm() > 1e-4 * b.norm():
            raise AssertionError("the bridge's gradient is not torch's")
    calls: Calls = {
        "bridge": step(bridge, u, phase),
        "bridge, saved": step(saved, u, phase),
        "pure torch": step(theirs, u, phase),
        "pure JAX value_and_grad": lambda: value_and_grad(u_j, phase_j),
    }
    show(f"4f system, {n} x {n}, forward and backward", wall_times(calls, rounds), "bridge")


def main() -> None:
    """Prints times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    torch.backends.cuda.matmul.allow_tf32 = False
    print(f"jax {jax.__version__}, torch {torch.__version__}, {torch.cuda.get_device_name()}")
    tiny(rounds)
    for n in (512, 1024, 2048):
        four_f(n, rounds)
        propagation(n, rounds)
    for planes in (1, 32):
        spots(planes, rounds)


if __name__ == "__main__":
    main()
