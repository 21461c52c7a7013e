"""How fast are the Cartesian propagators, against psf_generator and a jitted chirp-z?

Run with ``python benchmarks/psf_cartesian.py [--threads 1]``; needs torch and psf-generator 0.1.0.
NA, wavelength, index, pixel, z and the pupil are arguments of the compiled programs.
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
from jaxwave import psf

sys.path.insert(0, str(Path(__file__).parent))
from timing import cpu_times, report

SHAPE, NODES = (201, 201), 48
OPTICS = {k: jnp.float32(v) for k, v in dict(spacing=0.02, na=1.3, wavelength=0.632, n=1.5).items()}
MODES = [(2, -2), (2, 2), (3, 1)]


def smooth(c, z, optics):  # type: ignore[no-untyped-def]
    def pupil(x, y):  # type: ignore[no-untyped-def]
        return psf.zernike_pupil(x, y, coefficients=c, modes=MODES, wavelength=optics["wavelength"])

    return psf.cartesian_vector_intensity(pupil, SHAPE, z=z, nodes=NODES, **optics)


def peer(samples: int, planes: int, learn: bool = False):  # type: ignore[no-untyped-def]
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
            )
            u = model.compute_focus_field()
            image = (u.abs() ** 2).sum(1)
            return torch.autograd.grad((image**2).sum(), c) if learn else image

    return call


def main() -> None:
    """Prints ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    jw.tune_cpu()
    print(f"jax {jax.__version__}, torch {torch.__version__} with {options.threads} threads")
    c = jnp.array([0.03, 0.02, -0.02])
    forward = jax.jit(smooth)
    slope = jax.jit(
        jax.value_and_grad(lambda c, z, o: jnp.sum(smooth(c, z, o) ** 2), argnums=(0, 1))
    )
    for planes, goals in ((1, (100, 20)), (32, (10, 10))):
        z = jnp.linspace(-0.96, 0.96, planes) if planes > 1 else jnp.zeros(1)
        names = ("psf_generator, N = 513", "psf_generator autograd, N = 513")
        contestants = {"jaxwave": lambda z=z: forward(c, z, OPTICS), names[0]: peer(513, planes)}
        times = cpu_times(contestants, options.rounds if planes == 1 else 3)
        report(f"smooth pupil, {planes} planes", times, "jaxwave", {names[0]: goals[0]})
        if planes == 1:
            contestants = {
                "jaxwave": lambda z=z: slope(c, z, OPTICS),
                names[1]: peer(513, planes, learn=True),
            }
            times = cpu_times(contestants, options.rounds)
            report(f"value_and_grad, {planes} planes", times, "jaxwave", {names[1]: goals[1]})
    samples(options.rounds)


def samples(rounds: int) -> None:
    """Masks of N x N samples."""
    rng = np.random.default_rng(0)
    grids = jax.jit(lambda p, o: psf.cartesian_vector_intensity(p, SHAPE, **o))
    for n in (129, 257, 513, 1025):
        mask = jnp.asarray(np.exp(1j * rng.normal(size=(n, n))).astype(np.complex64))
        alpha = 2 / (n - 1) * 1.3 * 0.02 / 0.632
        chirp = jax.jit(
            lambda p, alpha=alpha: jnp.sum(
                jnp.abs(jw.chirp_ft2(p[None] * jnp.ones((3, 1, 1)), alpha, SHAPE)) ** 2, 0
            )
        )
        contestants = {
            "jaxwave": lambda mask=mask: grids(mask, OPTICS),
            "jitted chirp-z, 3 components": lambda mask=mask, chirp=chirp: chirp(mask),
            "psf_generator": peer(n, 1),
        }
        goals = {"psf_generator": 8.0, "jitted chirp-z, 3 components": 2.0}
        report(f"samples, N = {n}", cpu_times(contestants, rounds), "jaxwave", goals)


if __name__ == "__main__":
    main()
