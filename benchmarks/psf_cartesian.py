"""How fast is the focus of any pupil, against psf_generator and a jitted chirp-z?

Run with ``python benchmarks/psf_cartesian.py [--threads 1]``; needs torch and psf-generator 0.1.0.
NA, wavelength, index, pixel, z and the pupil are arguments of the compiled programs. The chirp-z
transforms make the same picture from the same arguments, with the same rim and apodization: once
as in the textbook (length n + m - 1, complex exponentials), once with jaxwave's sizes and cis.
"""

import argparse
import contextlib
import io
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch

import jaxwave as jw
from jaxwave import grid, numerics, psf

sys.path.insert(0, str(Path(__file__).parent))
from timing import cpu_times, report

SHAPE, NODES = (201, 201), 48
OPTICS = {k: jnp.float32(v) for k, v in dict(spacing=0.02, na=1.3, wavelength=0.632, n=1.5).items()}
MODES = [(2, -2), (2, 2), (3, 1)]


def described(o, z=0.0, shape=SHAPE):  # type: ignore[no-untyped-def]
    """Objective and window out of the arguments of a compiled program."""
    objective = psf.Objective(o["na"], o["wavelength"], n=o["n"])
    return objective, psf.Window(shape, o["spacing"], z=z)


def smooth(c, z, optics):  # type: ignore[no-untyped-def]
    def pupil(y, x):  # type: ignore[no-untyped-def]
        return psf.zernike_pupil(y, x, coefficients=c, modes=MODES, wavelength=optics["wavelength"])

    return psf.focus_intensity(*described(optics, z), pupil, nodes=NODES)


def peer(samples: int, planes: int, learn: bool = False, device: str = "cpu"):  # type: ignore[no-untyped-def]
    from psf_generator.propagators import VectorialCartesianPropagator

    def call() -> object:
        c = torch.zeros(9, requires_grad=learn)
        with contextlib.redirect_stdout(io.StringIO()), torch.set_grad_enabled(learn):
            model = VectorialCartesianPropagator(
                n_pix_pupil=samples,
                n_pix_psf=201,
                wavelength=632,
                na=1.3,
                pix_size=20,
                defocus_step=60,
                n_defocus=planes,
                n_i=1.5,
                n_i0=1.5,
                zernike_coefficients=c,
                device=device,
            )
            u = model.compute_focus_field()
            image = (u.abs() ** 2).sum(1)
            return torch.autograd.grad((image**2).sum(), c) if learn else image

    return call


def chirp_axis(u, alpha, m, tuned):  # type: ignore[no-untyped-def]
    """Bluestein's algorithm along the last axis, about the middle of both grids."""
    n = u.shape[-1]
    size = jw.fast_len(n + m - 1) if tuned else n + m - 1
    j, k = grid.indices(n), grid.indices(m)
    d = np.arange(k[0] - j[-1], k[-1] - j[0] + 1)

    def chirp(index, sign):  # type: ignore[no-untyped-def]
        half = 0.5 * index.astype(float) ** 2
        if not tuned:
            return jnp.exp(2j * jnp.pi * sign * alpha * half.astype(np.float32))
        return jw.cis(numerics.product_turns(numerics.word(alpha, u.real.dtype),
                                             numerics.word(sign * half, u.real.dtype)))  # fmt: skip

    spectrum = jnp.fft.fft(u * chirp(j, 1), size) * jnp.fft.fft(chirp(d, -1), size)
    return jnp.fft.ifft(spectrum)[..., n - 1 : n - 1 + m] * chirp(k, 1)


def chirp_model(mask, o, tuned):  # type: ignore[no-untyped-def]
    """The intensity of psf.focus_intensity by chirp-z transforms, up to a factor."""
    n = mask.shape[-1]
    step = 2 / (n - 1)
    x = jnp.asarray(grid.indices(n) * step, jnp.float32)
    y = x[:, None]
    sine2 = (x * x + y * y) * (o["na"] / o["n"]) ** 2
    cosine = jnp.sqrt(jnp.maximum(1 - sine2, 1e-3))
    a = mask * grid.disk_coverage((n, n), jnp.full(2, step), 1.0) / jnp.sqrt(cosine)
    bend = (o["na"] / o["n"]) ** 2 / (1 + cosine)
    parts = jnp.stack([(1 - bend * x * x) * a, -bend * x * y * a, -o["na"] / o["n"] * x * a])
    alpha = step * o["na"] * o["spacing"] / o["wavelength"]
    u = jnp.swapaxes(chirp_axis(parts, alpha, SHAPE[1], tuned), -1, -2)
    u = jnp.swapaxes(chirp_axis(u, alpha, SHAPE[0], tuned), -1, -2)
    return jnp.sum(u.real**2 + u.imag**2, axis=0)


def main() -> None:
    """Prints ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"jax {jax.__version__}, torch {torch.__version__} with {options.threads} threads")
    memory()
    jw.tune_cpu()
    functions(options.rounds)
    samples(options.rounds)
    settings()


def functions(rounds: int) -> None:
    """Pupil functions with three Zernike modes."""
    c = jnp.array([0.03, 0.02, -0.02])
    forward = jax.jit(smooth)
    slope = jax.jit(
        jax.value_and_grad(lambda c, z, o: jnp.sum(smooth(c, z, o) ** 2), argnums=(0, 1))
    )
    names = ("psf_generator, N = 513", "psf_generator autograd, N = 513")
    for planes, goals in ((1, (100, 20)), (32, (10, 10))):
        z = jnp.linspace(-0.96, 0.96, planes) if planes > 1 else jnp.zeros(1)
        several = rounds if planes == 1 else 3
        contestants = {"jaxwave": lambda z=z: forward(c, z, OPTICS), names[0]: peer(513, planes)}
        times = cpu_times(contestants, several)
        report(f"smooth pupil, {planes} planes", times, "jaxwave", {names[0]: goals[0]})
        contestants = {
            "jaxwave": lambda z=z: slope(c, z, OPTICS),
            names[1]: peer(513 if planes == 1 else 257, planes, learn=True),
        }
        times = cpu_times(contestants, several)
        title = f"value_and_grad, {planes} planes" + (" (peer with N = 257)" if planes > 1 else "")
        report(title, times, "jaxwave", {names[1]: goals[1]})


def samples(rounds: int) -> None:
    """Masks of N x N samples."""
    rng = np.random.default_rng(0)
    ours = jax.jit(lambda p, o: psf.focus_intensity(*described(o), p, nodes=NODES))
    every = jax.jit(lambda p, o: psf.focus_intensity(*described(o), p))
    textbook = jax.jit(lambda p, o: chirp_model(p, o, tuned=False))
    tuned = jax.jit(lambda p, o: chirp_model(p, o, tuned=True))
    slope = jax.jit(
        jax.value_and_grad(lambda phase, o: jnp.sum(ours(jw.cis(phase), o) ** 2), argnums=0)
    )
    for n in (129, 257, 513, 1025):
        phase = jnp.asarray(rng.normal(size=(n, n)).astype(np.float32)) / 6
        mask = jw.cis(phase)
        contestants = {
            "jaxwave": lambda mask=mask: ours(mask, OPTICS),
            "jaxwave, without nodes": lambda mask=mask: every(mask, OPTICS),
            "jitted chirp-z, textbook": lambda mask=mask: textbook(mask, OPTICS),
            "jitted chirp-z, jaxwave's sizes and cis": lambda mask=mask: tuned(mask, OPTICS),
            "psf_generator": peer(n, 1),
            "jaxwave, value_and_grad": lambda phase=phase: slope(phase, OPTICS),
            "psf_generator autograd": peer(n, 1, learn=True),
        }
        goals = {"psf_generator": 8.0, "jitted chirp-z, textbook": 2.0}
        times = cpu_times(contestants, rounds)
        report(f"samples, N = {n}", times, "jaxwave", goals)
        ratio = times["psf_generator autograd"] / times["jaxwave, value_and_grad"]
        print(f"  psf_generator autograd/jaxwave value_and_grad {ratio:.1f}")
        if n == 257:
            a, b = (np.asarray(f(mask, OPTICS)) for f in (ours, tuned))
            a, b = a / a.max(), b / b.max()
            print(f"  largest difference to the chirp-z {np.abs(a - b).max():.1e} of the peak")


def memory() -> None:
    """What 101 planes take, output included."""
    z = jnp.linspace(-5, 5, 101)
    fields = jax.jit(
        lambda z, o: psf.focus(*described(o, z), lambda y, x: 1 + 0 * x, nodes=2 * NODES),
    )
    for name, program, size in (("intensity", jax.jit(smooth), 1), ("complex field", fields, 6)):
        arguments = (jnp.zeros(3), z, OPTICS) if program is not fields else (z, OPTICS)
        use = program.lower(*arguments).compile().memory_analysis()
        total = (use.temp_size_in_bytes + use.output_size_in_bytes) / 1e6
        print(
            f"101 planes of 201x201, vectorial, {name}: {total:.0f} MB, of which output "
            f"{101 * 201 * 201 * 4 * size / 1e6:.0f} MB (goal: below 200 MB)"
        )


def settings() -> None:
    """A thousand settings in one vmap."""
    traces = []

    @jax.jit
    def many(na, c):  # type: ignore[no-untyped-def]
        def one(na, c):  # type: ignore[no-untyped-def]
            traces.append(1)
            o = OPTICS | {"na": na}

            def pupil(y, x):  # type: ignore[no-untyped-def]
                return psf.zernike_pupil(y, x, coefficients=c, modes=MODES, wavelength=0.632)

            return psf.focus_intensity(*described(o, shape=(32, 32)), pupil, nodes=32)

        return jax.vmap(one)(na, c)

    for first in (1.0, 1.1, 1.2):
        jax.block_until_ready(many(jnp.linspace(first, 1.3, 1000), jnp.zeros((1000, 3))))
    print(f"\n1,000 settings, three times: traced {len(traces)} time(s)")


if __name__ == "__main__":
    main()
