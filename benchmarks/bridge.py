"""How fast is the bridge? Ratios against named peers, interleaved in one process.

    python benchmarks/bridge.py [--sync] [--sizes 512 1024] [--rounds 15]

Peers: pure torch (one thread, and all threads), pure JAX, jax2torch's scheme repaired so that it
runs with today's JAX (written out below), and torch-jax-interop where it is installed. Times are
medians of the CPU time of the whole process, all threads. ``--sync`` turns JAX's asynchronous
dispatch on the CPU off, which small functions like.
"""

import argparse
import gc
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from journal import record

import jaxwave as jw
from torch_bridge import wrap

Contestants = dict[str, Callable[[], Any]]


def repaired_jax2torch(fn: Callable[..., jax.Array]) -> Callable[..., torch.Tensor]:
    """The scheme of jax2torch 0.0.7 (an eager ``jax.vjp`` a call), with working converters.

    Its gradient of a complex tensor is the conjugate of torch's: timed here, not recommended.
    """

    def call(*tensors: torch.Tensor) -> torch.Tensor:
        class Function(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, *xs: torch.Tensor) -> torch.Tensor:
                arrays = [jax.dlpack.from_dlpack(x.detach()) for x in xs]
                out, ctx.pull = jax.vjp(fn, *arrays)
                return torch.from_dlpack(out)

            @staticmethod
            def backward(ctx: Any, grad: torch.Tensor) -> Any:
                grads = ctx.pull(jax.dlpack.from_dlpack(grad.contiguous()))
                return tuple(torch.from_dlpack(g) for g in grads)

        return Function.apply(*tensors)

    return call


def interop(fn: Callable[..., jax.Array]) -> Callable[..., torch.Tensor] | None:
    """torch-jax-interop's wrapper, if it is installed and runs."""
    try:
        from torch_jax_interop import jax_to_torch

        return jax_to_torch(fn)
    except Exception as error:
        print(f"  torch-jax-interop: not measured ({type(error).__name__}: {error})")
        return None


def cpu_times(contestants: Contestants, rounds: int, repeats: int = 1) -> dict[str, float]:
    """Median CPU time of each contestant, in microseconds; every one runs in every round."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for call in contestants.values():
        for _ in range(3):
            call()
    for _ in range(rounds):
        for name, call in contestants.items():
            start = time.process_time()
            for _ in range(repeats):
                call()
            times[name].append(1e6 * (time.process_time() - start) / repeats)
    return {name: statistics.median(values) for name, values in times.items()}


def table(title: str, times: dict[str, float], ours: str, goals: dict[str, str]) -> None:
    """Prints times, the ratio ours / peer, and the goal."""
    record(title, times, ours)
    print(f"\n{title}")
    for name, value in times.items():
        ratio = f"{ours} / this = {times[ours] / value:6.2f}" if name != ours else ""
        goal = f"   (goal: {goals[name]})" if name in goals else ""
        print(f"  {name:38s} {value:12.1f} us   {ratio}{goal}")


def step(fn: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> Callable[[], None]:
    """One forward and backward pass."""

    def run() -> None:
        for x in inputs:
            x.grad = None
        fn(*inputs).backward()

    return run


def silent(fn: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> Callable[[], None]:
    """One forward pass without a graph."""

    def run() -> None:
        with torch.no_grad():
            fn(*inputs)

    return run


def tiny(rounds: int) -> None:
    """Overhead: a loss of two 8x8 complex tensors."""
    x, w = (torch.randn(8, 8, dtype=torch.complex64, requires_grad=True) for _ in range(2))
    bridge, saved = wrap(tiny_jax), wrap(tiny_jax, residuals="save")
    jitted = jax.jit(tiny_jax)
    fns: dict[str, Any] = {
        "bridge": bridge,
        "bridge, saved": saved,
        "pure torch": tiny_torch,
        "jax2torch, repaired, jitted": repaired_jax2torch(jitted),
        "jax2torch, repaired": repaired_jax2torch(tiny_jax),
        "torch-jax-interop, jitted": interop(jitted),
    }
    runs = {name: step(fn, x, w) for name, fn in fns.items() if fn is not None}
    goals = {"pure torch": "<= 2.5", "jax2torch, repaired, jitted": "<= 0.2"}
    table("tiny function, forward + backward", cpu_times(runs, rounds, 50), "bridge", goals)
    custom = torch.library.custom_op("bench::loss", tiny_torch, mutates_args=())
    nograd = {name: silent(fns[name], x, w) for name in ("bridge", "pure torch")}
    nograd["the same as a torch.library op"] = silent(custom, x, w)
    nograd["one torch op (sin)"] = silent(lambda x, w: torch.sin(x), x, w)
    goals = {"pure torch": "<= 2", "one torch op (sin)": "<= 2"}
    table("tiny function, forward under no_grad", cpu_times(nograd, rounds, 50), "bridge", goals)


def tiny_jax(x: Any, w: Any) -> Any:
    """The tiny function in JAX."""
    y = x * w + x
    return jnp.sum(jnp.real(y) ** 2 + jnp.imag(y) ** 2)


def tiny_torch(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """The tiny function in torch."""
    y = x * w + x
    return (y.real**2 + y.imag**2).sum()


def four_f(size: int, rounds: int) -> None:
    """A 4f system with a phase mask: loss and gradients with respect to field and mask.

    JAX's side uses ``jw.numerics.cis`` for the mask, as jaxwave does, bridged or not.
    """
    generator = np.random.default_rng(0)
    fx = np.fft.fftfreq(size)
    pupil = (fx[:, None] ** 2 + fx[None] ** 2 < 0.2**2).astype(np.float32)
    target = generator.random((size, size), dtype=np.float32)
    pupil_j, target_j = jnp.asarray(pupil), jnp.asarray(target)
    pupil_t, target_t = torch.from_numpy(pupil), torch.from_numpy(target)

    def image(u: Any, phase: Any) -> Any:
        # XLA's sine and cosine cost more than the transforms; jaxwave's cis (of turns) does not.
        mask = jw.numerics.cis(phase / (2 * np.pi)) * pupil_j
        v = jnp.fft.ifft2(jnp.fft.fft2(u) * mask)
        return jnp.real(v) ** 2 + jnp.imag(v) ** 2

    def loss(u: Any, phase: Any) -> Any:
        return jnp.mean((image(u, phase) - target_j) ** 2)

    def image_torch(u: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
        v = torch.fft.ifft2(torch.fft.fft2(u) * torch.polar(pupil_t, phase))
        return v.real**2 + v.imag**2

    def loss_torch(u: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
        return ((image_torch(u, phase) - target_t) ** 2).mean()

    u = torch.randn(size, size, dtype=torch.complex64, requires_grad=True)
    phase = torch.randn(size, size, requires_grad=True)
    u_j, phase_j = jnp.asarray(u.detach().numpy()), jnp.asarray(phase.detach().numpy())
    value_and_grad = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    ours, saved, recompute = (wrap(loss, residuals=r) for r in ("auto", "save", "recompute"))
    picture = wrap(image)
    _compare(u, phase, {"bridge": ours, "bridge, saved": saved}, loss_torch)
    repaired = repaired_jax2torch(jax.jit(loss))
    runs: Contestants = {
        "bridge": step(ours, u, phase),
        "bridge, saved": step(saved, u, phase),
        "bridge, recompute": step(recompute, u, phase),
        "bridge, loss in torch": step(
            lambda u, p: ((picture(u, p) - target_t) ** 2).mean(), u, phase
        ),
        "pure JAX value_and_grad": lambda: jax.block_until_ready(value_and_grad(u_j, phase_j)),
        "pure torch, one thread": step(loss_torch, u, phase),
        "pure torch, all threads": _threaded(step(loss_torch, u, phase)),
        "jax2torch, repaired, jitted": step(repaired, u, phase),
    }
    times = cpu_times(runs, rounds)
    title = f"4f system with phase mask, {size}x{size} complex64, forward + backward"
    goals = {"pure JAX value_and_grad": "<= 1.25", "pure torch, one thread": "< 1"}
    table(title, times, "bridge", goals)


def _compare(u: torch.Tensor, phase: torch.Tensor, ours: dict[str, Any], theirs: Any) -> None:
    """A wrong peer must not be timed: the gradients agree first."""
    expected = torch.autograd.grad(theirs(u, phase), [u, phase])
    for name, fn in ours.items():
        for a, b in zip(torch.autograd.grad(fn(u, phase), [u, phase]), expected, strict=True):
            error = ((a - b).norm() / b.norm()).item()
            if error > 1e-4:
                raise AssertionError(f"{name} differs from torch by {error:.1e}")


def _threaded(run: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        torch.set_num_threads(os.cpu_count() or 1)
        try:
            run()
        finally:
            torch.set_num_threads(1)

    return call


def endurance() -> None:
    """Traces and memory over 3,000 calls."""
    traces: list[int] = []

    def fn(x: Any) -> Any:
        traces.append(1)
        return jnp.sum(jnp.sin(x) ** 2)

    bridge = wrap(fn)
    x = torch.randn(256, 256, requires_grad=True)
    run = step(bridge, x)
    for _ in range(200):
        run()
    gc.collect()
    before = _megabytes()
    for _ in range(3000):
        run()
    gc.collect()
    print(
        f"\n3,000 calls: {len(traces)} trace (goal: 1), memory {_megabytes() - before:+.1f} MB "
        "(goal: < +5)"
    )


def first_use(rounds: int) -> None:
    """The first call of a new function, compiled by torch and not; dynamo itself is warm."""

    def tiny(x: Any) -> Any:
        return jnp.sum(jnp.sin(x) ** 2)

    def optics(x: Any) -> Any:
        field = jnp.fft.ifft2(jnp.fft.fft2(jw.numerics.cis(x)) * jw.numerics.cis(x**2))
        return jnp.mean((jnp.abs(field) ** 2 - 1) ** 2)

    def time_one(fn: Callable[..., Any], through: Callable[..., Any]) -> float:
        torch.compiler.reset()
        bridge, x = wrap(lambda x: fn(x)), torch.randn(64, 64, requires_grad=True)
        start = time.process_time()
        through(lambda x: bridge(x))(x).backward()
        return time.process_time() - start

    def by_torch(call: Callable[..., Any]) -> Callable[..., Any]:
        return torch.compile(call, backend="eager", fullgraph=True)

    print()
    for fn in (tiny, optics):
        time_one(fn, by_torch)
        pairs = [(time_one(fn, by_torch), time_one(fn, lambda call: call)) for _ in range(rounds)]
        compiled, eager = (statistics.median(times) for times in zip(*pairs, strict=True))
        print(
            f"first use, {fn.__name__} function: {1e3 * compiled:.0f} ms, compiled / eager = "
            f"{compiled / eager:.2f}   (goal: <= 1.5)"
        )


def shapes() -> None:
    """Memory over 100 shapes, of which the cache keeps four."""
    bridge = wrap(lambda x: jnp.sum(jnp.sin(x) ** 2), cache_size=4)

    def run(sizes: range) -> float:
        for size in sizes:
            bridge(torch.randn(size, requires_grad=True)).backward()
        gc.collect()
        return _megabytes()

    before = run(range(2, 12))
    print(f"100 shapes, cache_size=4: memory {run(range(12, 112)) - before:+.1f} MB (goal: < +10)")


def _megabytes() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Runs everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sync", action="store_true", help="without asynchronous dispatch")
    parser.add_argument("--sizes", type=int, nargs="*", default=[512, 1024])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    if options.sync:
        jax.config.update("jax_cpu_enable_async_dispatch", False)
    torch.set_num_threads(1)
    print(f"jax {jax.__version__}, torch {torch.__version__}, {os.cpu_count()} cores", end="")
    print(
        f", asynchronous dispatch {'off' if options.sync else 'on'}, load {os.getloadavg()[0]:.1f}"
    )
    tiny(options.rounds)
    for size in options.sizes:
        four_f(size, options.rounds)
    first_use(min(options.rounds, 9))
    endurance()
    shapes()


if __name__ == "__main__":
    main()
