"""How fast are round pupils, against psf_generator's VectorialSpherical and PSFmodels?

Run with ``python benchmarks/psf_spherical.py [--threads 1]``; the peers are psf-generator 0.1.0 and
psfmodels 0.3.3. 201x201 samples, vectorial intensity, one plane and 32 planes. Wavelength, NA,
index, pixel, aberration and z are arguments of the compiled program; only shapes and numbers of
nodes are fixed. A call of psf_generator includes its constructor, which is where its parameters
enter. What the peers compute differs (PSFmodels: an emitter behind layers, integrated over
pixels), so only the speed is compared with them; the error is that against our own float64.
"""

import argparse
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax import Array

import jaxwave as jw
from jaxwave import psf

sys.path.insert(0, str(Path(__file__).parent))
from timing import cpu_times, report

SHAPE, SPACING, WAVELENGTH, NA, N = (201, 201), 0.02, 0.632, 1.3, 1.5
MODES = [(4, 0)]


def described(p: dict[str, Array]) -> tuple[psf.Objective, psf.Window, psf.RadialPupil]:
    """What a picture is made of, out of the arguments of a compiled program."""
    objective = psf.Objective(p["na"], p["wavelength"], n=p["n"])
    window = psf.Window(SHAPE, p["spacing"], z=p["z"])
    return objective, window, psf.RadialPupil(coefficients=p["spherical"][None], modes=MODES)


def parameters(z: np.ndarray) -> dict[str, Array]:
    numbers = {"wavelength": WAVELENGTH, "na": NA, "n": N, "spherical": 0.0, "spacing": SPACING}
    return {name: jnp.asarray(value) for name, value in numbers.items()} | {"z": jnp.asarray(z)}


def programs(z: np.ndarray, model: Callable, intensity: bool = True) -> list[Callable]:
    """The compiled picture, a loss of it, and the loss with its gradient by every number."""
    known = psf.Objective(NA, WAVELENGTH, n=N), psf.Window(SHAPE, SPACING, z=z)
    nodes = psf.nodes(*known, intensity=intensity)

    def picture(p: dict[str, Array]) -> Array:
        return model(*described(p), nodes=nodes)

    def loss(p: dict[str, Array], target: Array) -> Array:
        return jnp.sum((picture(p) - target) ** 2)

    return [jax.jit(picture), jax.jit(loss), jax.jit(jax.value_and_grad(loss))]


def generator(planes: int, pupil_samples: int = 129) -> Callable[[], object] | None:
    try:
        from psf_generator.propagators import VectorialSphericalPropagator
    except ImportError:
        return None

    def call() -> object:
        model = VectorialSphericalPropagator(
            n_pix_pupil=pupil_samples,
            n_pix_psf=SHAPE[0],
            wavelength=1e3 * WAVELENGTH,
            na=NA,
            pix_size=1e3 * SPACING,
            n_defocus=planes,
            defocus_step=100,
            apod_factor=True,
        )
        field = model.compute_focus_field()
        return (field.abs() ** 2).sum(1)

    return call


def models(planes: int) -> dict[str, Callable[[], object]]:
    try:
        import psfmodels
    except ImportError:
        return {}
    z = 0.1 * (np.arange(planes) - planes // 2)
    lens = {"NA": NA, "ns": N, "ni": N, "ni0": N, "ng": N, "ng0": N}

    def call(oversampling: int) -> Callable[[], object]:
        setting = {"nx": SHAPE[0], "dxy": SPACING, "wvl": WAVELENGTH}
        setting["params"] = {**lens, "sf": oversampling}
        return lambda: psfmodels.vectorial_psf(z, **setting)

    return {
        "psfmodels (oversampling 3, its default)": call(3),
        "psfmodels (oversampling 1)": call(1),
    }


def precision(z: np.ndarray) -> float:
    """Largest error of float32, of the peak, against float64 with the same numbers."""
    single = programs(z, psf.focus_intensity)[0](parameters(z))
    rounded = {k: np.asarray(v) for k, v in parameters(z).items()}
    with jax.enable_x64(True):
        p = {k: jnp.asarray(v, jnp.float64) for k, v in rounded.items()}
        double = np.asarray(programs(z, psf.focus_intensity)[0](p))
    return float(np.max(np.abs(np.asarray(single) - double)) / double.max())


def race(planes: int, rounds: int) -> None:
    z = (0.1 * (np.arange(planes) - planes // 2)).astype(np.float32)
    p = parameters(z)
    linear, loss, gradient = programs(z, psf.focus_intensity)
    emitter, *_ = programs(z, psf.emitter_image)
    field, *_ = programs(z, psf.focus, intensity=False)
    target = jnp.zeros((planes, *SHAPE))
    ours = "jaxwave, linear polarization"
    contestants: dict[str, Callable[[], object]] = {
        ours: lambda: linear(p),
        "jaxwave, rotating dipole": lambda: emitter(p),
        "jaxwave, complex field": lambda: field(p),
        "jaxwave, loss": lambda: loss(p, target),
        "jaxwave, value_and_grad": lambda: gradient(p, target),
    }
    goals = {}
    peer = generator(planes)
    if peer is not None:
        contestants["psf_generator VectorialSpherical (N = 129)"] = peer
        goals["psf_generator VectorialSpherical (N = 129)"] = 25 if planes == 1 else 50
    contestants |= models(planes)
    goals["psfmodels (oversampling 3, its default)"] = 5 if planes == 1 else 20
    times = cpu_times(contestants, rounds)
    title = f"{planes} plane(s) of {SHAPE[0]}x{SHAPE[1]} (float32 error {precision(z):.1e})"
    report(title, times, ours, goals)
    ratio = times["jaxwave, value_and_grad"] / times["jaxwave, loss"]
    print(f"  value_and_grad/value of the loss {ratio:.2f} (goal: at most 3)")


def memory() -> None:
    """Growth of the process's peak while 101 planes are made."""
    z = np.linspace(-5, 5, 101).astype(np.float32)
    for name, model, intensity, size in (
        ("intensity", psf.focus_intensity, True, 1),
        ("complex field", psf.focus, False, 6),
    ):
        program = programs(z, model, intensity)[0].lower(parameters(z)).compile()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        jax.block_until_ready(program(parameters(z)))
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        output = 101 * SHAPE[0] * SHAPE[1] * 4 * size / 1e6
        use = program.memory_analysis()
        print(
            f"  101 planes, {name}: peak + {(after - before) / 1e3:.0f} MB, planned "
            f"{(use.temp_size_in_bytes + use.output_size_in_bytes) / 1e6:.0f} MB, output "
            f"{output:.0f} MB (goal: below 200 MB)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"jax {jax.__version__}, torch {torch.__version__} with {options.threads} threads")
    memory()
    jw.tune_cpu()  # for every contestant: the allocator belongs to the process
    race(1, options.rounds)
    race(32, options.rounds)


if __name__ == "__main__":
    main()
