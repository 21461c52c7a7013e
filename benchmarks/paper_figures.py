"""Figures 6 and 7 of "Revisiting PSF models" (Liu et al., 2025) as tables, for both libraries.

Run with ``python benchmarks/paper_figures.py [--threads 1]``; needs torch, psf-generator 0.1.0 and
psfmodels 0.3.3. Figure 6 is the time of one picture of 201x201 samples (NA 0.9, field of 3 µm)
against the samples of the pupil, Figure 7 the error against the Airy pattern. psf_generator is
called as its users do, constructor included; its pixel is n / (n - 1) times what is asked, which is
allowed for here. Times are medians of CPU time, summed over threads and interleaved. In jaxwave NA,
wavelength, index and pixel are arguments of the compiled programs.
"""

import argparse
import contextlib
import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import psfmodels
import torch
from psf_generator import propagators
from psf_generator.utils.integrate import riemann_rule, simpsons_rule
from scipy.special import j1

import jaxwave as jw
from jaxwave import psf

sys.path.insert(0, str(Path(__file__).parent))
from timing import cpu_times, relative_error

SHAPE, SPACING, NA, N, WAVELENGTH = (201, 201), 0.015, 0.9, 1.5, 0.632
SAMPLES = (17, 33, 65, 129, 257, 513, 1025)
OPTICS = {
    k: jnp.float32(v) for k, v in dict(spacing=SPACING, na=NA, wavelength=WAVELENGTH, n=N).items()
}


def airy() -> np.ndarray:
    """The field of a uniform pupil in Fourier optics, one on the axis."""
    x = (np.arange(201) - 100) * SPACING
    v = 2 * np.pi * NA / WAVELENGTH * np.hypot(x[:, None], x)
    return np.where(v == 0, 1, 2 * j1(v) / np.where(v == 0, 1, v))


def generator(name: str, samples: int, **options: object) -> Callable[[], object]:
    """The field of a model of psf_generator."""

    def call() -> object:
        # It prints, and warns of an even number of samples, of which there is none here.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = getattr(propagators, f"{name}Propagator")(
                n_pix_pupil=samples,
                n_pix_psf=SHAPE[0],
                wavelength=1e3 * WAVELENGTH,
                na=NA,
                pix_size=1e3 * SPACING * (SHAPE[0] - 1) / SHAPE[0],
                n_i=N,
                n_i0=N,
                **options,
            )
            return model.compute_focus_field()

    return call


# Fourier optics, whose focus is the Airy pattern.
PLAIN = {"ScalarCartesian": {"sz_correction": False}, "ScalarSpherical": {"cos_factor": True}}


def described(o: dict, apodization: str) -> tuple[psf.Objective, psf.Window]:
    """Objective and window out of the arguments of a compiled program."""
    objective = psf.Objective(o["na"], o["wavelength"], n=o["n"], apodization=apodization)
    return objective, psf.Window(SHAPE, o["spacing"])


def sampled(vector: bool, apodization: str = "aplanatic") -> Callable:
    model = psf.focus if vector else psf.scalar_focus
    return jax.jit(lambda p, o: model(*described(o, apodization), p, nodes=48))


def chords(vector: bool, nodes: int, apodization: str = "aplanatic") -> Callable:
    model = psf.focus if vector else psf.scalar_focus

    def clear(y: jax.Array, x: jax.Array) -> jax.Array:  # a function, lest it go on rings
        return 1 + 0 * x

    return jax.jit(lambda o: model(*described(o, apodization), clear, nodes=nodes))


def rings(vector: bool, nodes: int, apodization: str = "aplanatic") -> Callable:
    model = psf.focus if vector else psf.scalar_focus
    return jax.jit(lambda o: model(*described(o, apodization), nodes=(nodes, 0, nodes + 12)))


def table(title: str, head: str, rows: list[tuple[int, list[float]]], form: str) -> None:
    print(f"\n{title}\n  {head}")
    for n, values in rows:
        print(f"  {n:5d}" + "".join(f"{value:{form}}" for value in values))


def figure_6(rounds: int) -> None:
    """Run times."""
    kinds = ("ScalarCartesian", "ScalarSpherical", "VectorialCartesian", "VectorialSpherical")
    peers, ours, few = [], [], []
    masks = (sampled(False), sampled(True))
    for n in SAMPLES[2:]:
        pupil = jnp.ones((n, n), jnp.complex64)
        calls = {kind: generator(kind, n) for kind in kinds}
        calls |= {f"ours {k}": lambda f=f, p=pupil: f(p, OPTICS) for k, f in enumerate(masks)}
        times = cpu_times(calls, rounds)
        peers.append((n, [times[kind] for kind in kinds]))
        ours.append((n, [times[f"ours {k}"] for k in (0, 1)]))
    for n in (24, 32, 48):
        programs = {
            f"{make.__name__} {vector}": make(vector, n)
            for vector in (False, True)
            for make in (chords, rings)
        }
        times = cpu_times({k: lambda f=f: f(OPTICS) for k, f in programs.items()}, rounds)
        few.append((n, list(times.values())))
    head = "    N   scalar: Cart.  spherical   vectorial: Cart.  spherical"
    table("Figure 6, ms: psf_generator 0.1.0", head, peers, "14.2f")
    table("Figure 6, ms: jaxwave, sampled pupil", "    N   scalar     vectorial", ours, "12.2f")
    table("Figure 6, ms: jaxwave, pupil function", head.replace("N", "nodes"), few, "14.2f")
    lens = {"NA": NA, "ns": N, "ni": N, "ni0": N, "ng": N, "ng0": N}
    setting = dict(nx=SHAPE[0], dxy=SPACING, wvl=WAVELENGTH)
    times = cpu_times(
        {
            f"{model}, oversampling {sf}": lambda m=model, sf=sf: psfmodels.make_psf(
                [0.0], model=m, **setting, **lens, oversample_factor=sf
            )
            for model in ("scalar", "vectorial")
            for sf in (1, 3)
        },
        rounds,
    )
    print("\nFigure 6, ms: psfmodels 0.3.3 (intensity)")
    for name, value in times.items():
        print(f"  {name}: {value:.2f}")


def figure_7() -> None:
    """Relative L2 errors of the field, scaled to the Airy pattern's."""
    truth = airy()

    def wrong(field: object) -> float:
        field = np.asarray(field, np.complex128).reshape(truth.shape)
        return relative_error(field * (np.vdot(field, truth) / np.vdot(field, field)), truth)

    rows = []
    ours = sampled(False, "none")
    for n in SAMPLES:
        values = [generator("ScalarCartesian", n, **PLAIN["ScalarCartesian"])()]
        for rule in (riemann_rule, simpsons_rule):
            options = PLAIN["ScalarSpherical"] | {"integrator": rule}
            values.append(generator("ScalarSpherical", n, **options)())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jw.JaxwaveWarning)
            values.append(ours(jnp.ones((n, n), jnp.complex64), OPTICS))
        rows.append((n, [wrong(value) for value in values]))
    head = "    N   psf_generator Cart.  Riemann     Simpson   jaxwave, sampled"
    table("Figure 7, relative error against the Airy pattern", head, rows, "13.1e")
    rows = []
    for n in (16, 20, 24, 32, 40, 48):
        errors = [wrong(make(False, n, "none")(OPTICS)) for make in (chords, rings)]
        with jax.enable_x64(True):
            o = {"spacing": SPACING, "na": NA, "wavelength": WAVELENGTH, "n": N}
            errors += [wrong(make(False, n, "none")(o)) for make in (chords, rings)]
        rows.append((n, errors))
    head = " nodes  float32: chords   spherical  float64: chords  spherical"
    table("Figure 7, jaxwave, pupil function", head, rows, "14.1e")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    jw.tune_cpu()
    print(f"jax {jax.__version__}, torch {torch.__version__} with {options.threads} threads")
    figure_7()
    figure_6(options.rounds)


if __name__ == "__main__":
    main()
