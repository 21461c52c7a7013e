"""Every public function through jit, vmap, grad, float32, batch axes: one table.

To add a function, add a row: the name, a call of a dict of numbers ``p`` and a grid ``s``, and
the numbers, which are floats, arrays or functions of the grid that make arrays. What is in
``p`` is traced, mapped and differentiated; what is static stands in the call. Numbers are float64
and become JAX's precision. A row's ``batched=False`` says that its numbers have no batch axes.
What is float64 is computed by numpy (``interpreter``), what is float32 by XLA: a row compiles three
programs, so keep its arrays small.
"""

import dataclasses
import re
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from interpreter import interpreted

import jaxwave as jw
from jaxwave import cameras, heights, lightfield, mosaic, psf, scenes


@dataclasses.dataclass(frozen=True)
class Row:
    call: Callable[[dict, tuple[int, int]], Any]
    numbers: dict[str, Any]
    batched: bool = True
    float32: float = 5e-6  # relative: rounding of inputs times phases of a few radians
    programs: int = 1  # that an eager call may compile, with what the row does around it


def noise(seed: int):
    return lambda s: np.random.default_rng(seed).normal(size=s)


def light(seed: int):
    return lambda s: np.random.default_rng(seed).uniform(0.5, 2.0, size=s)


def lit(p):
    return jw.scalar_field(jax.lax.complex(p["re"], p["im"]), spacing=p["d"], wavelength=p["w"])


def turning(p):
    """Elliptically polarized light, whose state differs from sample to sample."""
    u = jnp.stack([lit(p).u, lit(p).u * (0.3 + 0.7j) + 0.4, 0 * lit(p).u], axis=-3)
    return jw.vector_field(u, spacing=p["d"], wavelength=p["w"])


D = np.array([0.45, 0.5])
GRID = {"d": D, "w": 0.53}
VIEW = {"to": 1.3 * D, "y": 0.3, "x": -0.2}
AXIS = {"z": 1.0, "n": 1.2, "y": 0.3, "x": -0.2, "ky": 0.2, "kx": -0.3, "power": 1.3}
LIGHT = {"re": noise(1), "im": noise(2), **GRID}
TURNED = {"angle": 0.37, "y": 0.1, "x": -0.07}


def tau(p, name):
    return p[name][..., None, None]


def source(function, **names):
    def call(p, s):
        rest = {k: v for k, v in p.items() if k not in ("d", "w")}
        return function(s, spacing=p["d"], wavelength=p["w"], **rest)

    return Row(call, {**GRID, **names})


def transform(function):
    return Row(
        lambda p, s: function(jax.lax.complex(p["re"], p["im"])), {"re": noise(1), "im": noise(2)}
    )


TABLE = {
    "scalar_field": Row(lambda p, s: lit(p), LIGHT),
    "vector_field": Row(
        lambda p, s: jw.vector_field(
            jnp.stack([p["re"], p["im"], p["re"] * p["im"]], axis=-3),
            spacing=p["d"],
            wavelength=p["w"],
        ),
        LIGHT,
        programs=3,
    ),
    "plane_wave": source(jw.plane_wave, kx=0.7, ky=-0.4, power=1.3),
    "gaussian_beam": source(jw.gaussian_beam, waist=np.array([0.8, 0.75]), astigmatism=0.7, **AXIS),
    "hermite_gauss_beam": source(
        partial(jw.hermite_gauss_beam, order=(2, 1)), waist=np.array([0.8, 0.75]), **AXIS
    ),
    "laguerre_gauss_beam": source(
        partial(jw.laguerre_gauss_beam, radial=1, charge=-2), waist=0.8, **AXIS
    ),
    "bessel_beam": source(
        partial(jw.bessel_beam, charge=1), kr=1.3, waist=2.1, y=0.3, x=-0.2, power=1.3
    ),
    "gaussian_schell_beam": dataclasses.replace(
        source(
            partial(jw.gaussian_schell_beam, order=4),
            coherence=3.1,
            waist=np.array([0.8, 0.75]),
            z=5.0,
        ),
        batched=False,
    ),
    "lp_modes": dataclasses.replace(
        source(
            partial(jw.lp_modes, orders=((-1, 1),)),
            radius=1.1,
            na=0.4,
            y=0.3,
            x=-0.2,
            power=1.3,
        ),
        batched=False,
    ),
    "spectrum": Row(
        lambda p, s: jw.spectrum(p["w"], p["a"], count=3),
        {"w": np.array([0.5, 0.53, 0.6, 0.7]), "a": np.array([0.3, 1.0, 0.7, 0.2])},
        batched=False,
    ),
    "illumination_points": Row(
        lambda p, s: jw.illumination_points(
            p["na"], inner=p["i"], y=p["y"], x=p["x"], side="left", rings=2
        ),
        {"na": 0.6, "i": 0.1, "y": 0.1, "x": 0.2},
        batched=False,
    ),
    "koehler_image": Row(
        lambda p, s: jw.koehler_image(
            jax.lax.complex(p["re"], p["im"]),
            p["light"],
            spacing=p["d"],
            wavelength=p["w"],
            na=p["na"],
            n=p["n"],
            z=p["z"],
            batch=2,
        ),
        {"light": np.array([[0.07, 0.03, 0.4], [-0.1, 0.02, 0.3], [0.01, -0.06, 0.2]])}
        | {"na": 0.31, "n": 1.2, "z": 0.6, "re": noise(1), "im": noise(2), "d": D / 2, "w": 0.53},
        batched=False,
        programs=6,
    ),
    "incoherent_sum": Row(
        lambda p, s: jw.incoherent_sum(jnp.square, jnp.stack([p["a"]] * 3), batch=2),
        {"a": light(1)},
        programs=7,  # it runs what a user gives it
    ),
    "total_intensity": Row(
        lambda p, s: jw.total_intensity(jw.unpolarized(lit(p))), LIGHT, batched=False, programs=7
    ),
    "point_source": source(jw.point_source, z=4.0, n=1.2, y=0.3, x=-0.2, power=1.3),
    "objective_point_source": Row(
        lambda p, s: jw.objective_point_source(
            s, spacing=p["d"], wavelength=p["w"], **{k: v for k, v in p.items() if k not in "dw"}
        ),
        {"d": 1000 * D, "w": 0.53, "f": 3000.0, "na": 0.37, "n": 1.3, "z": 2.0, "y": 0.3, "x": -0.2}
        | {"power": 1.3},
    ),
    "angular_spectrum": Row(
        lambda p, s: jw.angular_spectrum(lit(p), p["z"], n=p["n"]), {"z": 0.61, "n": 1.3, **LIGHT}
    ),
    "angular_spectrum of a period": Row(
        lambda p, s: jw.angular_spectrum(lit(p), p["z"], n=p["n"], boundary="periodic"),
        {"z": 0.61, "n": 1.3, **LIGHT},
    ),
    "fresnel": Row(
        lambda p, s: jw.fresnel(lit(p), p["z"], n=p["n"]), {"z": 0.61, "n": 1.3, **LIGHT}
    ),
    "carrier": Row(
        lambda p, s: jw.carrier(lit(p), p["z"], n=p["n"]), {"z": 0.61, "n": 1.3, **LIGHT}
    ),
    "angular_spectrum to a window": Row(
        lambda p, s: jw.angular_spectrum(
            lit(p), p["z"], n=p["n"], spacing=p["to"], shape=(4, 5), y=p["y"], x=p["x"]
        ),
        {"z": 0.61, "n": 1.3, **VIEW, **LIGHT},
    ),
    "fraunhofer": Row(
        lambda p, s: jw.fraunhofer(lit(p), p["z"], n=p["n"]),
        {"z": 90.0, "n": 1.3, **LIGHT},
        float32=2e-5,  # the rim of the far field has 20 turns
    ),
    "rayleigh_sommerfeld": Row(
        lambda p, s: jw.rayleigh_sommerfeld(
            lit(p), p["z"], n=p["n"], shape=(4, 5), y=p["y"], x=p["x"]
        ),
        {"z": 3.61, "n": 1.3, "y": 0.3, "x": -0.2, **LIGHT},
    ),
    "scalable_angular_spectrum": Row(
        lambda p, s: jw.scalable_angular_spectrum(
            lit(p), p["z"], n=p["n"], spacing=p["to"], shape=(4, 5), y=p["y"], x=p["x"]
        ),
        {"z": 9.61, "n": 1.3, **VIEW, **LIGHT},
    ),
    "ray_transfer": Row(
        lambda p, s: jw.ray_transfer(
            lit(p),
            jnp.stack([jnp.stack([p["a"], p["b"]], -1), jnp.stack([p["c"], p["e"]], -1)], -2),
            n=p["n"],
            spacing=p["to"],
            shape=(4, 5),
        ),
        {"a": 0.9, "b": 2.0, "c": -0.05, "e": 1.0, "n": 1.3, "to": 0.7 * D, **LIGHT},
    ),
    "tilted_plane": Row(
        lambda p, s: jw.tilted_plane(lit(p), p["angle"], n=p["n"]),
        {"angle": 0.2, "n": 1.3, **LIGHT},
    ),
    "absorbing_boundary": Row(
        lambda p, s: jw.absorbing_boundary(lit(p), p["b"]), {"b": 0.2, **LIGHT}
    ),
    "thin_lens": Row(
        lambda p, s: jw.thin_lens(lit(p), p["f"], n=p["n"]), {"f": 9.0, "n": 1.3, **LIGHT}
    ),
    "ff_lens": Row(
        lambda p, s: jw.ff_lens(lit(p), p["f"], n=p["n"]), {"f": 9.0, "n": 1.3, **LIGHT}
    ),
    "ff_lens to a grid": Row(
        lambda p, s: jw.ff_lens(lit(p), p["f"], n=p["n"], spacing=p["to"], shape=(5, 6)),
        {"f": 9.0, "n": 1.3, "to": 1.3 * D, **LIGHT},
    ),
    "lens": Row(
        lambda p, s: jw.lens(lit(p), p["f"], front=p["front"], back=p["back"], n=p["n"]),
        {"f": 9.0, "front": 4.0, "back": 7.0, "n": 1.3, **LIGHT},
    ),
    "lens to a grid, inverse": Row(
        lambda p, s: jw.lens(
            lit(p), p["f"], front=p["front"], back=7.0, spacing=p["to"], shape=(5, 4), inverse=True
        ),
        {"f": 9.0, "front": 4.0, "to": 1.3 * D, **LIGHT},
    ),
    "four_f": Row(
        lambda p, s: jw.four_f(lit(p), p["f1"], p["f2"], n=p["n"], pupil=p["m"]),
        {"f1": 9.0, "f2": 7.0, "n": 1.3, "m": light(3), **LIGHT},
    ),
    "cylindrical_lens": Row(
        lambda p, s: jw.cylindrical_lens(lit(p), p["f"], phi=p["phi"], n=p["n"]),
        {"f": 9.0, "phi": 0.4, "n": 1.3, **LIGHT},
    ),
    "microlens_array": Row(
        lambda p, s: jw.microlens_array(
            lit(p), p["f"], pitch=p["pitch"], layout="hexagonal", phi=p["phi"], y=p["y"], x=p["x"]
        ),
        {"f": np.array([9.0, 8.0]), "pitch": 1.3, "phi": 0.2, "y": 0.11, "x": -0.07, **LIGHT},
        batched=False,
    ),
    "microlens_array, listed": Row(
        lambda p, s: jw.microlens_array(
            lit(p), p["f"], centers=p["c"], lenslet="round", diameter=p["size"], gap=p["gap"]
        ),
        {"f": 9.0, "c": np.array([[0.1, 0.2], [-1.1, 0.9]]), "size": 1.71, "gap": 0.3, **LIGHT},
        batched=False,
    ),
    "prism": Row(
        lambda p, s: jw.prism(lit(p), p["apex"], n_prism=p["n1"], n=p["n"], phi=p["phi"]),
        {"apex": 0.1, "n1": 1.6, "n": 1.3, "phi": 0.4, **LIGHT},
    ),
    "axicon": Row(
        lambda p, s: jw.axicon(lit(p), p["a"], n_axicon=p["n1"], y=p["y"], x=p["x"]),
        {"a": 0.1, "n1": 1.6, "y": 0.1, "x": -0.07, **LIGHT},
    ),
    "asphere_sag": Row(
        lambda p, s: jw.asphere_sag(p["y"], p["x"], p["r"], conic=p["k"], coefficients=[p["c"]]),
        {"y": noise(1), "x": noise(2), "r": 7.0, "k": -0.5, "c": 1e-3},
        batched=False,
    ),
    "refracting_surface": Row(
        lambda p, s: jw.refracting_surface(
            lit(p), p["r"], n_before=p["n"], n_behind=p["n1"], conic=p["k"]
        ),
        {"r": 9.0, "n": 1.0, "n1": 1.5, "k": -0.5, **LIGHT},
    ),
    "seidel_opd": Row(
        lambda p, s: jw.seidel_opd(p["c"], p["y"], p["x"], field_y=p["hy"], field_x=p["hx"]),
        {"c": np.array([0.1, 0.2, -0.1, 0.3, 0.2]), "y": noise(1), "x": noise(2)}
        | {"hy": 0.3, "hx": 0.6},
        batched=False,
    ),
    "binary_grating": Row(
        lambda p, s: jw.binary_grating(
            lit(p), p["b"], opd=p["m"], transmission=p["t"], duty=p["duty"], shift=p["x"]
        ),
        {"b": 2.3, "m": 0.1, "t": 0.4, "duty": 0.41, "x": 0.3, **LIGHT},
    ),
    "blazed_grating": Row(
        lambda p, s: jw.blazed_grating(lit(p), p["b"], opd=p["m"], phi=p["phi"], shift=p["x"]),
        {"b": 2.3, "m": 0.4, "phi": 0.2, "x": 0.33, **LIGHT},
    ),
    "sinusoidal_grating": Row(
        lambda p, s: jw.sinusoidal_grating(lit(p), p["b"], opd=p["m"], phi=p["phi"], shift=p["x"]),
        {"b": 2.3, "m": 0.4, "phi": 0.2, "x": 0.3, **LIGHT},
    ),
    "grating_efficiency": Row(
        lambda p, s: jw.grating_efficiency("blazed", 1, p["m"], wavelength=p["w"], levels=3),
        {"m": 0.4, "w": 0.53},
    ),
    "phase_mask": Row(lambda p, s: jw.phase_mask(lit(p), p["m"]), {"m": noise(3), **LIGHT}),
    "opd_mask": Row(lambda p, s: jw.opd_mask(lit(p), p["m"]), {"m": noise(3), **LIGHT}),
    "amplitude_mask": Row(lambda p, s: jw.amplitude_mask(lit(p), p["m"]), {"m": noise(3), **LIGHT}),
    "phase_mask of its own pixels": Row(
        lambda p, s: jw.phase_mask(
            lit(p), p["m"], pitch=p["pitch"], angle=p["angle"], y=p["y"], x=p["x"]
        ),
        {"m": lambda s: noise(3)((3, 5)), "pitch": 2.13 * D, **TURNED, **LIGHT},
    ),
    "amplitude_mask of its own, finer pixels": Row(
        lambda p, s: jw.amplitude_mask(lit(p), p["m"], pitch=p["pitch"], angle=p["angle"]),
        {"m": lambda s: noise(3)((9, 11)), "pitch": 0.62 * D, "angle": 0.3, **LIGHT},
    ),
    "cubic_mask": Row(
        lambda p, s: jw.cubic_mask(
            lit(p), p["opd"], radius=p["r"], angle=p["angle"], y=p["y"], x=p["x"]
        ),
        {"opd": 0.2, "r": 2.3, **TURNED, **LIGHT},
    ),
    "spiral_mask": Row(
        lambda p, s: jw.spiral_mask(lit(p), -3, angle=p["angle"], y=p["y"], x=p["x"]),
        {**TURNED, **LIGHT},
    ),
    "annular_aperture": Row(
        lambda p, s: jw.annular_aperture(lit(p), p["i"], p["o"], y=p["y"], x=p["x"]),
        {"i": 0.53, "o": 1.02, "y": 0.1, "x": -0.07, **LIGHT},
    ),
    "rectangular_aperture": Row(
        lambda p, s: jw.rectangular_aperture(
            lit(p), p["size"], angle=p["angle"], y=p["y"], x=p["x"]
        ),
        {"size": np.array([1.1, 1.7]), **TURNED, **LIGHT},
    ),
    "polygon_aperture": Row(
        lambda p, s: jw.polygon_aperture(lit(p), p["v"], angle=p["angle"], y=p["y"], x=p["x"]),
        {"v": np.array([[-1.1, -0.9], [-0.8, 1.2], [0.1, 0.3], [1.1, 0.2]]), **TURNED, **LIGHT},
    ),
    "slits": Row(
        lambda p, s: jw.slits(
            lit(p), p["w"], pitch=p["p"], count=2, length=p["h"], angle=p["angle"], y=p["y"]
        ),
        {"w": 0.31, "p": 0.77, "h": 1.4, "angle": 0.3, "y": 0.1, **LIGHT},
    ),
    "zone_plate": Row(
        lambda p, s: jw.zone_plate(
            lit(p), p["f"], wavelength=p["to"], zones=2, second=p["a"], n=p["n"], y=p["y"]
        ),
        {"f": 3.1, "to": 0.61, "a": -0.4, "n": 1.1, "y": 0.1, **LIGHT},
    ),
    "circular_aperture": Row(
        lambda p, s: jw.circular_aperture(lit(p), p["r"], y=p["y"], x=p["x"]),
        {"r": 1.02, "y": 0.1, "x": -0.07, **LIGHT},
    ),
    "slm": Row(
        lambda p, s: jw.slm(
            lit(p),
            p["m"],
            pitch=p["pitch"],
            table=p["table"],
            fill_factor=p["fill"],
            gap=p["gap"],
            crosstalk=p["blur"],
            y=p["y"],
            x=p["x"],
        ),
        {"m": lambda s: light(3)((3, 5)), "pitch": 1.13 * D, "table": np.array([0.1, 2.0, 3.3])}
        | {"fill": 0.83, "gap": 0.7, "blur": 0.4, "y": 0.1, "x": -0.07, **LIGHT},
    ),
    "slm, turned and corrected": Row(
        lambda p, s: jw.slm(
            lit(p),
            p["m"],
            pitch=p["pitch"],
            table=p["table"],
            correction=p["c"],
            flatness=p["flat"],
            angle=p["angle"],
            tilt=p["tilt"],
            gap=0.3,
            x=p["x"],
        ),
        {"m": lambda s: light(3)((3, 5)), "pitch": 1.13 * D, "table": np.array([0.1, 2.0, 3.3])}
        | {"c": lambda s: 0.3 * light(4)((3, 5)), "flat": lambda s: 0.1 * light(5)((3, 5))}
        | {"angle": 0.37, "tilt": np.array([0.1, 0.3]), "x": -0.07, **LIGHT},
    ),
    "dmd": Row(
        lambda p, s: jw.dmd(
            lit(p),
            p["m"],
            pitch=p["pitch"],
            fill_factor=p["fill"],
            mirror_tilt=p["tilt"],
            angle=p["angle"],
            y=p["y"],
            x=p["x"],
        ),
        {"m": lambda s: light(3)((3, 5)) / 2.2, "pitch": 2.13 * D, "fill": 0.83, "tilt": 0.2}
        | {**TURNED, **LIGHT},
    ),
    "deformable_mirror": Row(
        lambda p, s: jw.deformable_mirror(lit(p), p["c"], p["g"], stroke=p["stroke"]),
        {"c": np.array([0.1, -0.3]), "g": lambda s: noise(6)((2, *s)), **LIGHT}
        | {"stroke": np.array([0.2, 0.27])},
    ),
    "gaussian_influence": Row(
        lambda p, s: jw.gaussian_influence(
            s, p["c"], spacing=p["d"], pitch=p["pitch"], coupling=p["k"], peak=p["peak"]
        ),
        {"c": np.array([[0.1, -0.3], [0.7, 1.1]]), "d": D, "pitch": 1.1, "k": 0.2, "peak": 2.0},
    ),
    "polarize": Row(
        lambda p, s: jw.polarize(lit(p), jnp.stack([p["m"], 1j * p["e"] + 0 * p["m"]], -3)),
        {"m": noise(3), "e": noise(4), **LIGHT},
    ),
    "unpolarized": Row(lambda p, s: jw.unpolarized(lit(p)), LIGHT, batched=False),
    "polarizer": Row(
        lambda p, s: jw.polarizer(turning(p), p["a"], leakage=p["l"]),
        {"a": 0.7, "l": 0.01, **LIGHT},
    ),
    "retarder": Row(
        lambda p, s: jw.retarder(turning(p), p["delta"], p["a"]),
        {"delta": 1.3, "a": 0.7, **LIGHT},
    ),
    "retarder_mask": Row(
        lambda p, s: jw.retarder_mask(turning(p), p["m"], p["a"]),
        {"m": noise(3), "a": noise(4), **LIGHT},
    ),
    "rotator": Row(lambda p, s: jw.rotator(turning(p), p["a"]), {"a": 0.7, **LIGHT}),
    "q_plate": Row(
        lambda p, s: jw.q_plate(
            turning(p), -0.5, retardance=p["delta"], angle=p["a"], y=p["y"], x=p["x"]
        ),
        {"delta": 1.3, "a": 0.7, "y": 0.1, "x": -0.07, **LIGHT},
    ),
    "jones_mask": Row(
        lambda p, s: jw.jones_mask(
            turning(p), jnp.stack([jnp.stack([p["m"], 1j * p["e"]], -3)] * 2, -3)
        ),
        {"m": noise(3), "e": noise(4), **LIGHT},
    ),
    "polarizing_beam_splitter": Row(
        lambda p, s: jw.polarizing_beam_splitter(turning(p), angle=p["a"], leakage=p["l"]),
        {"a": 0.7, "l": 0.01, **LIGHT},
        programs=6,  # five of them make the light
    ),
    "stokes": Row(lambda p, s: jw.stokes(turning(p)), LIGHT),
    "degree_of_polarization": Row(
        lambda p, s: jw.degree_of_polarization(jnp.stack([p["m"] + 5, p["a"], p["b"], p["c"]], -3)),
        {"m": light(1), "a": noise(2), "b": noise(3), "c": noise(4)},
    ),
    "mueller_matrix": Row(
        lambda p, s: jw.mueller_matrix(lambda f: jw.retarder(f, p["delta"], p["a"]), lit(p)),
        {"delta": 1.3, "a": 0.7, **LIGHT},
    ),
    "thin_sample": Row(
        lambda p, s: jw.thin_sample(lit(p), jax.lax.complex(p["m"], p["k"]), p["t"]),
        {"m": noise(3), "k": noise(4), "t": 0.11, **LIGHT},
    ),
    "multislice": Row(
        lambda p, s: jw.multislice(lit(p), p["m"], p["t"], n=p["n"], segment=2, border=min(s) // 3),
        {"m": lambda s: noise(3)((3, *s)), "t": 0.21, "n": 1.3, **LIGHT},
    ),
    "multislice, birefringent": Row(
        lambda p, s: jw.multislice(turning(p), p["m"], p["t"], birefringence=p["b"], axis=p["a"]),
        {"m": lambda s: noise(3)((3, *s)), "t": 0.21, "b": lambda s: noise(4)((3, *s))}
        | {"a": lambda s: noise(5)((3, *s)), **LIGHT},
        programs=6,  # the light around it
    ),
    "usaf_1951": Row(
        lambda p, s: jw.usaf_1951(s, spacing=p["d"], groups=(8, 9), y=p["y"], x=p["x"]),
        {"d": 5 * D, "y": 0.1, "x": -0.07},
    ),
    "siemens_star": Row(
        lambda p, s: jw.siemens_star(
            s, spacing=p["d"], radius=p["r"], spokes=3, angle=p["a"], y=p["y"], x=p["x"]
        ),
        {"d": D, "r": 1.02, "a": 0.37, "y": 0.1, "x": -0.07},
    ),
    "slanted_edge": Row(
        lambda p, s: jw.slanted_edge(s, spacing=p["d"], angle=p["a"], y=p["y"], x=p["x"]),
        {"d": D, "a": 0.37, "y": 0.1, "x": -0.07},
    ),
    "spheres": Row(
        lambda p, s: jw.spheres((4, *s), p["c"], p["r"], spacing=p["d"], shell=p["t"]),
        {"c": np.array([[0.1, 0.3, -0.2], [0.4, -0.8, 0.5]]), "r": 1.1, "t": 0.43}
        | {"d": np.array([0.6, *D])},
        batched=False,
    ),
    "filaments": Row(
        lambda p, s: jw.filaments((4, *s), p["c"], p["r"], spacing=p["d"]),
        {"c": np.array([[0.1, 0.3, -0.2], [0.4, -0.8, 0.5], [0.1, 0.7, 0.9]]), "r": 0.61}
        | {"d": np.array([0.6, *D])},
        batched=False,
    ),
    "refractive_index": Row(
        lambda p, s: (
            jw.refractive_index("N-SF11", p["w"], temperature=p["t"]),
            jw.refractive_index("water", p["w"], temperature=p["t"]),
            jw.refractive_index("SU-8", p["w"]),
            jw.refractive_index("air", p["w"]),
            jw.refractive_index(jw.Material("x", "sellmeier", p["c"], (0.3, 1.0), "me"), p["w"]),
        ),
        {"w": 0.53, "t": 31.0, "c": np.array([1.1, 0.012])},
        batched=False,
        programs=5,  # five formulas
    ),
    "overlap": Row(
        lambda p, s: jw.overlap(lit(p), lit(p | {"re": p["m"]})),
        {"m": noise(3), **LIGHT},
        programs=2,
    ),
    "centroid": Row(lambda p, s: jw.centroid(lit(p)), LIGHT),
    "second_moments": Row(lambda p, s: jw.second_moments(lit(p)), LIGHT),
    "encircled_energy": Row(
        lambda p, s: jw.encircled_energy(lit(p), p["r"], y=p["y"], x=p["x"]),
        {"r": 1.02, "y": 0.1, "x": -0.07, **LIGHT},
    ),
    "strehl_ratio": Row(lambda p, s: jw.strehl_ratio(lit(p)), LIGHT),
    "radial_profile": Row(lambda p, s: jw.radial_profile(lit(p), bins=4)[1], LIGHT),
    "pad": Row(lambda p, s: jw.pad(lit(p), (s[0] + 3, s[1] + 2)), LIGHT),
    "crop": Row(lambda p, s: jw.crop(lit(p), (max(1, s[0] - 3), s[1])), LIGHT),
    "resample": Row(lambda p, s: jw.resample(lit(p), p["to"], (7, 6)), {"to": 0.83 * D, **LIGHT}),
    "shift": Row(
        lambda p, s: jw.shift(lit(p), y=p["y"], x=p["x"]), {"y": 0.31, "x": -0.17, **LIGHT}
    ),
    "flip": Row(lambda p, s: jw.flip(lit(p), axis="x"), LIGHT),
    "normalize": Row(lambda p, s: jw.normalize(lit(p), power=p["power"]), {"power": 1.3, **LIGHT}),
    "stack": Row(lambda p, s: jw.stack([lit(p), 2 * lit(p)]), LIGHT, batched=False, programs=3),
    "coordinates": Row(lambda p, s: jw.coordinates(s, p["d"]), {"d": D}),
    "frequencies": Row(lambda p, s: jw.frequencies(s, p["d"]), {"d": D}),
    "ft2": transform(jw.ft2),
    "ift2": transform(jw.ift2),
    "matrix_ft2": Row(
        lambda p, s: jw.matrix_ft2(jax.lax.complex(p["re"], p["im"]), p["a"], (5, 4)),
        {"a": np.array([0.11, 0.13]), "re": noise(1), "im": noise(2)},
    ),
    "chirp_ft2": transform(lambda u: jw.chirp_ft2(u, (0.11, 0.13), (5, 4))),
    "zoom_ft2": transform(lambda u: jw.zoom_ft2(u, (0.11, 0.13), (5, 4))),
    "cis": Row(lambda p, s: jw.cis(p["t"]), {"t": noise(3)}),
    "zernike_polynomials": Row(
        lambda p, s: jw.zernike_polynomials([(1, -1), (4, 0), (5, 3)], p["y"], p["x"]),
        {"x": noise(1), "y": noise(2)},
    ),
    "zernike_opd": Row(
        lambda p, s: jw.zernike_opd(p["c"], [(2, 2), (4, 0)], p["y"], p["x"]),
        {"c": np.array([0.3, -0.2]), "x": noise(1), "y": noise(2)},
        batched=False,
    ),
    "zernike_radial": Row(lambda p, s: jw.zernike_radial(6, 2, p["rho"]), {"rho": light(1)}),
    "rms_wavefront": Row(
        lambda p, s: jw.rms_wavefront(p["c"], [(2, 2), (4, 0)]), {"c": np.array([0.3, -0.2])}
    ),
    "convolve_psf": Row(
        lambda p, s: jw.convolve_psf(p["a"], p["b"]), {"a": light(1), "b": light(2)}
    ),
    "wiener": Row(
        lambda p, s: jw.wiener(p["a"], p["b"], p["w"], depths=None),
        {"a": light(1), "b": light(2), "w": 0.3},
        float32=2e-5,  # divides by what may be small
    ),
    "richardson_lucy": Row(
        lambda p, s: jw.richardson_lucy(p["a"], p["b"], steps=3, background=tau(p, "k")),
        {"a": light(1), "b": light(2), "k": 0.2},
        programs=2,
    ),
    "total_variation": Row(
        lambda p, s: jw.total_variation(p["a"], p["b"] / 50, p["w"], steps=3, inner=2),
        {"a": light(1), "b": light(2), "w": 0.1},
        programs=2,
    ),
    "image_volume": Row(
        lambda p, s: jw.image_volume(jnp.stack([p["a"], p["b"]], -3), jnp.stack([p["b"]] * 2, -3)),
        {"a": light(1), "b": light(2)},
        programs=2,
    ),
    "otf": Row(lambda p, s: jw.otf(p["a"]), {"a": light(1)}),
    "mtf": Row(lambda p, s: jw.mtf(p["a"]), {"a": light(1)}),
    "pixel_integrate": Row(
        lambda p, s: jw.pixel_integrate(p["a"], spacing=p["d"], pitch=p["pitch"], shape=(3, 4)),
        {"a": light(1), "d": D, "pitch": 1.13 * D},
    ),
    "pixel_otf": Row(
        lambda p, s: jw.pixel_otf(p["fy"], p["fx"], pitch=p["pitch"]),
        {"fy": noise(1), "fx": noise(2), "pitch": 0.7},
        batched=False,
        programs=2,
    ),
    "expose": Row(
        lambda p, s: jw.expose(
            p["a"], quantum_efficiency=p["q"], dark_current=p["dark"], exposure=p["t"]
        ),
        {"a": light(1), "q": 0.7, "dark": 0.2, "t": 1.3},
        batched=False,
    ),
    "saturate": Row(lambda p, s: jw.saturate(p["a"], full_well=1.5), {"a": light(1)}),
    "expected_counts": Row(
        lambda p, s: jw.expected_counts(p["a"], gain=p["g"], offset=p["o"]),
        {"a": light(1), "g": 0.4, "o": 100.0},
        batched=False,
    ),
    "counts_variance": Row(
        lambda p, s: jw.counts_variance(p["a"], gain=p["g"], read_noise=p["r"]),
        {"a": light(1), "g": 0.4, "r": 1.4},
        batched=False,
    ),
    "nmse": Row(lambda p, s: jw.nmse(p["a"], p["b"]), {"a": light(1), "b": light(2)}),
    "gaussian_nll": Row(
        lambda p, s: jw.gaussian_nll(p["a"], p["b"], p["v"]),
        {"a": light(1), "b": light(2), "v": light(3)},
    ),
    "poisson_nll": Row(lambda p, s: jw.poisson_nll(p["a"], p["b"]), {"a": light(1), "b": light(2)}),
    "poisson_deviance": Row(
        lambda p, s: jw.poisson_deviance(p["a"], p["b"]), {"a": light(1), "b": light(2)}
    ),
    "anscombe_loss": Row(
        lambda p, s: jw.anscombe_loss(p["a"], p["b"]), {"a": light(1), "b": light(2)}
    ),
    "ssim": Row(
        lambda p, s: jw.ssim(*(jnp.tile(p[k], (12, 12)) for k in "ab"), data_range=2.0),
        {"a": light(1), "b": light(2)},
        programs=3,
    ),
    "psf.gibson_lanni_path": Row(
        lambda p, s: psf.gibson_lanni_path(
            tau({"s": p["s"]}, "s") * jnp.linspace(0, 1, s[1]),
            psf.Layers(n_s=p["n_s"], n_g=1.52, n_i=1.515, t_s=p["t_s"]),
            z=p["z"],
        ),
        {"s": 1.27, "n_s": 1.33, "t_s": 2.1, "z": 0.4},
        batched=False,
    ),
    "psf.focus": Row(
        lambda p, s: psf.focus(
            psf.Objective(p["na"], p["w"], n=p["n"]), psf.Window(s, p["d"], z=p["z"])
        ),
        {"w": 0.53, "na": 1.1, "n": 1.5, "d": 0.11, "z": 0.6},
        batched=False,
    ),
    "psf.emitter_image": Row(
        lambda p, s: psf.emitter_image(
            psf.Objective(
                p["na"],
                p["w"],
                layers=psf.Layers(n_s=p["n_s"], n_g=1.52, n_i=1.515, t_s=p["t_s"]),
            ),
            psf.Window(s, p["d"], z=p["z"], y=p["y"]),
        ),
        {"w": 0.53, "na": 1.2, "n_s": 1.33, "t_s": 1.3, "d": 0.11, "z": 0.6, "y": 0.07},
        batched=False,
    ),
    "psf.focus of modes": Row(
        lambda p, s: psf.focus(
            psf.Objective(p["na"], p["w"], n=p["n"]),
            psf.Window(s, jnp.stack([p["d"], 1.2 * p["d"]]), z=p["z"], x=p["x"]),
            psf.ZernikePupil(p["c"], [(3, 1)]),
            polarization=jnp.stack([1j * p["e"], p["w"]]),
        ),
        {"c": np.array([0.04]), "w": 0.53, "na": 1.1, "n": 1.5, "d": 0.11, "z": 0.6, "e": 0.3}
        | {"x": -0.09},
        batched=False,
    ),
    "psf.emitter_image of samples": Row(
        lambda p, s: psf.emitter_image(
            psf.Objective(
                p["na"],
                p["w"],
                layers=psf.Layers(n_s=p["n_s"], n_g=1.52, n_i=1.515, t_s=p["t_s"]),
                motion="emitter",
            ),
            psf.Window(s, p["d"], z=p["z"]),
            p["mask"],
        ),
        {"mask": lambda s: light(1)((13, 14)), "w": 0.53, "na": 1.2, "n_s": 1.33, "t_s": 1.3}
        | {"d": 0.11, "z": 0.6},
        batched=False,
    ),
    "psf.Microscope": Row(
        lambda p, s: psf.Microscope(p["na"], p["w"], (4, 3), pixel=p["d"], n=p["n"]).psf(
            p["z"], coefficients=p["c"], modes=[(2, 2)], y=p["y"], sigma=p["sigma"]
        ),
        {"c": np.array([0.04]), "w": 0.53, "na": 1.1, "n": 1.5, "d": 0.17, "z": 0.6, "y": 0.07}
        | {"sigma": 0.05},
        batched=False,
    ),
    "psf.emitters_image": Row(
        lambda p, s: psf.emitters_image(
            psf.Microscope(1.1, 0.53, (9, 8), pixel=0.11, n=1.5),
            p["at"],
            p["photons"],
            size=7,
            background=p["b"],
        ),
        {"at": np.array([[0.1, 0.04, -0.13], [-0.2, 0.3, 0.22]]), "photons": 100.0, "b": 2.0},
        batched=False,
    ),
    "psf.high_na_ff_lens": Row(
        lambda p, s: psf.high_na_ff_lens(
            lit(p), p["f"], na=p["na"], n=p["n"], spacing=p["to"], shape=(5, 4), z=p["z"]
        ),
        {"f": 2.0, "na": 0.7, "n": 1.3, "to": 0.21, "z": 0.3, **LIGHT},
        batched=False,
    ),
    "psf.dipole_pupil": Row(
        lambda p, s: (
            1e4
            * psf.dipole_pupil(
                psf.Objective(p["na"], p["w"], n=p["n"]),
                s,
                spacing=p["d"],
                f=p["f"],
                dipole=p["p"],
                z=p["z"],
                y=p["y"],
                x=p["x"],
            ).u
        ),
        {"p": np.array([0.5, -0.3, 0.7]), "d": 1300.0, "w": 0.53, "f": 3000.0, "na": 1.07}
        | {"n": 1.33, "z": 0.4, "y": 0.1, "x": -0.2},
        batched=False,
    ),
    "psf.multilayer_transmission": Row(
        lambda p, s: psf.multilayer_transmission(
            p["s"], (1.5, p["n"], 1.33), (p["t"],), wavelength=p["w"]
        ),
        {"s": 1.1, "n": 1.7, "t": 0.13, "w": 0.53},
    ),
    "psf effects": Row(
        lambda p, s: psf.expected_photons(
            psf.integrate_pixels(
                psf.gaussian_blur(p["a"], spacing=p["d"], sigma=p["sigma"]),
                (2, 2),
                spacing=p["d"],
                pixel=p["pixel"],
                sigma=p["sigma"],
            ),
            photons=p["photons"],
            background=p["b"],
        ),
        {"a": light(1), "d": 0.1, "sigma": 0.08, "pixel": 0.11, "photons": 100.0, "b": 2.0},
        batched=False,
    ),
    "psf confocal": Row(
        lambda p, s: psf.confocal_intensity(p["a"], p["b"], spacing=p["d"], pinhole=p["w"]),
        {"a": light(1), "b": light(2), "d": 0.1, "w": 0.33},
        batched=False,
    ),
    "heights plate": Row(
        lambda p, s: (
            heights.opd(p["h"], p["m"], wavelength=p["w"], medium=p["n"]),
            heights.wrap(p["h"], p["depth"]),
            heights.levels(p["h"], 3, p["depth"], blend=0.4, straight_through=False),
            heights.wave_height(p["m"], wavelength=p["w"], medium=p["n"]),
        ),
        {"h": noise(1), "m": 1.5, "w": 0.53, "n": 1.1, "depth": 0.7},
        batched=False,
        programs=12,  # four functions
    ),
    "heights fabrication": Row(
        lambda p, s: (
            heights.roughness(p["h"], spacing=p["d"]),
            heights.minimum_feature(p["h"], 1.3, spacing=0.5),
        ),
        {"h": noise(1), "d": D},
        batched=False,
        programs=4,
    ),
    "heights shapes": Row(
        lambda p, s: (
            heights.blocks(s, p["b"], block=2),
            heights.fourier(s, p["f"]),
            heights.spline(s, p["s"]),
            heights.rank_one(p["s"][:, 0], p["s"][0]),
        ),
        {
            "b": lambda s: noise(1)(tuple((n + 1) // 2 for n in s)),
            "f": lambda s: noise(2)(tuple(min(n, 3) for n in s)),
            "s": lambda s: noise(3)((3, 4)),
        },
        batched=False,
        programs=9,
    ),
    "heights disks": Row(
        lambda p, s: (
            heights.zernike(s, p["c"], [(2, 0), (3, 1)], spacing=p["d"], radius=p["r"]),
            heights.rings(s, p["v"], spacing=p["d"], radius=p["r"]),
            heights.polar(s, p["q"], spacing=p["d"], radius=p["r"]),
            heights.cubic(s, p["h"], spacing=p["d"], angle=p["a"]),
        ),
        {
            "c": np.array([0.3, -0.2]),
            "v": np.array([0.3, 0.1, 0.5]),
            "q": lambda s: noise(3)((3, 5)),
        }
        | {"d": D, "r": 1.67, "h": 0.3, "a": 0.4},
        batched=False,
        programs=8,
    ),
    "heights lenses": Row(
        lambda p, s: (
            heights.lens(s, p["f"], p["n"], spacing=p["d"], wavelength=p["w"]),
            heights.multi_focal(
                s, jnp.stack([p["f"], 1.3 * p["f"]]), p["n"], spacing=p["d"], wavelength=p["w"]
            ),
            heights.multi_color(
                s, p["f"], p["n"], spacing=p["d"], wavelength=jnp.stack([p["w"], 1.2 * p["w"]])
            ),
            heights.diffracted_rotation(
                s, p["f"], p["n"], spacing=p["d"], wavelength=jnp.stack([p["w"], 1.2 * p["w"]])
            ),
        ),
        {"f": 29.0, "n": 1.5, "d": D, "w": 0.53},
        batched=False,
        programs=24,
    ),
    "scenes": Row(
        lambda p, s: (
            scenes.render(p["a"] * jnp.ones((2, 1, 1)), p["far"], p["psf"] ** 2, distances=p["at"]),
            scenes.vignetting(
                s, pitch=p["d"], z=p["z"], radius=p["r"], rim=p["b"], rim_distance=p["t"]
            ),
        ),
        {"a": light(1), "far": light(2), "psf": lambda s: 0.3 * noise(3)((2, 2, 2, 3)), "d": D}
        | {"at": np.array([0.6, 1.7]), "z": 2.3, "r": 1.1, "b": 0.9, "t": 1.7},
        batched=False,
        programs=16,
    ),
    "mosaic": Row(
        lambda p, s: (
            mosaic.bayer(jnp.stack([p["a"], 2 * p["a"], p["b"]])),
            mosaic.demosaic(jnp.tile(p["a"], (4, 4))),
            mosaic.to_colors(jnp.stack([p["a"], p["b"]]), mosaic.sensitivities(p["w"])),
        ),
        {"a": light(1), "b": light(2), "w": np.array([0.5, 0.6])},
        batched=False,
        programs=12,
    ),
    "lightfield": Row(
        lambda p, s: (
            lightfield.Projector(
                lightfield.LightFieldPSF(p["h"], z=[-1.0, 2.0], pixel=0.5), s
            ).project(p["v"]),
            lightfield.rectify(
                p["a"], lightfield.Lattice(p["pitch"], phi=p["phi"], y=0.1), pixels=3, shape=(3, 4)
            ),
        ),
        {"h": lambda s: light(1)((2, 2, 1, 2, 3)), "v": lambda s: light(2)((2, *s)), "a": light(3)}
        | {"pitch": 3.3, "phi": 0.21},
        batched=False,
        programs=12,
    ),
    "cameras.Lens": Row(
        lambda p, s: cameras.Lens(
            s, p["d"], p["z"], p["pitch"], (3, 2), f=p["f"], radius=p["r"], points=2
        ).psfs(p["opd"], jnp.stack([p["far"]]), jnp.stack([p["w"]]), angles=p["a"]),
        {"d": 8 * D, "z": 900.0, "pitch": 7.0, "f": 870.0, "r": 11.3, "opd": noise(1)}
        | {"far": 9e4, "w": 0.53, "a": np.array([0.03, -0.02])},
        batched=False,
        programs=24,  # the numbers of the lens come from tracers
    ),
    "Field.properties": Row(
        lambda p, s: (
            lit(p).intensity,
            lit(p).power,
            lit(p).amplitude,
            lit(p).phase,
            lit(p).extent,
        ),
        LIGHT,
        programs=5,
    ),
}

# Names without a row, each with its reason.
EXEMPT = {
    "Field": "a class; its factories and properties are in the table",
    "VectorField": "a class; vector_field is in the table",
    "Sampling": "an answer in numbers, not traced",
    "choose_propagator": "an answer in words",
    "propagate": "calls one of three propagators of the table",
    "propagation_sampling": "answers questions about concrete fields; refuses tracers (tested)",
    "fast_len": "an integer of an integer",
    "levels_for_phase": "integers",
    "scattering_slices": "random: test_samples has its statistics",
    "Material": "a class; refractive_index is in the table",
    **dict.fromkeys(["material", "materials"], "names"),
    "units": "a module of constants",
    "JaxwaveWarning": "a class",
    "tune_cpu": "a setting of the process",
    **dict.fromkeys(["sweep", "Sweep", "memory", "Memory"], "tools: tests/sweeps"),
    **dict.fromkeys(["save_program", "load_program", "Program"], "tools: tests/test_programs"),
    "camera": "random and rounded: test_sensors has its statistics and gradients",
    "random_diffuser": "random: test_bench_parts has its statistics",
    "engineered_diffuser": "random: test_bench_parts has its statistics",
    "speckle": "random: test_coherence has its statistics",
    "shot_noise": "random: test_sensors has its statistics and gradients",
    "add_read_noise": "random: test_sensors has its statistics and gradients",
    "quantize": "rounded, with a straight-through gradient: in test_sensors",
    **dict.fromkeys(
        [f"zernike_{n}" for n in "index mode modes modes_up_to name norm number".split()],
        "integers and names",
    ),
}


def test_every_public_name_has_a_row_or_a_reason():
    missing = set(jw.__all__) - set(TABLE) - set(EXEMPT)
    assert not missing, f"add rows to TABLE in tests/test_transforms.py for {sorted(missing)}"
    assert not set(EXEMPT) - set(jw.__all__)


def numbers(row: Row, s: tuple[int, int], scale: float = 1.0) -> dict:
    """The row's numbers in JAX's precision, rounded to float32 first, so that both agree."""
    values = {k: v(s) if callable(v) else np.asarray(v) for k, v in row.numbers.items()}
    return {k: jnp.asarray((scale * v).astype(np.float32), float) for k, v in values.items()}


def near(got, need, tolerance: float):
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(need), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        assert np.all(np.isfinite(a))
        assert np.linalg.norm(a - b) <= tolerance * max(np.linalg.norm(b), 1e-30)


def smooth(leaves, name: str, square: Any):
    """A smooth real number of everything a function returns; every sample counts differently."""
    result = 0.0
    for k, leaf in enumerate(leaves):
        rng = np.random.default_rng([zlib.crc32(name.encode()), k])
        w, v = rng.normal(size=(2, *leaf.shape)).astype(leaf.real.dtype)
        result += jnp.sum(w * leaf.real + v * leaf.imag)
        if not isinstance(square, float) or square:
            result += square * jnp.sum(w * jnp.abs(leaf) ** 2)
    return result


def everything(name: str, s: tuple[int, int], square: float | None = None) -> Callable[..., Any]:
    """Value, number and slope in one function, so that all tests of a row share its program."""

    def total(p, square):
        leaves = jax.tree.leaves(TABLE[name].call(p, s))
        return smooth(leaves, name, square), leaves

    def function(p, traced=0.3):
        factor = traced if square is None else square
        (number, leaves), slope = jax.value_and_grad(total, has_aux=True)(p, factor)
        return leaves, number, slope

    return function


def stacked(trees):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


# Names whose eager calls compile more programs than one, until they adopt numerics.program.
MANY_PROGRAMS = {name for name in TABLE if name.startswith("psf")} | {
    *"polarize unpolarized polarizer retarder retarder_mask q_plate jones_mask stokes".split(),
    *"degree_of_polarization mueller_matrix fraunhofer scalable_angular_spectrum".split(),
    *"ray_transfer tilted_plane absorbing_boundary lens".split(),
    *"asphere_sag refracting_surface seidel_opd binary_grating grating_efficiency".split(),
    "slits",
    "angular_spectrum to a window",
    "lens to a grid, inverse",
    "microlens_array",
    "microlens_array, listed",
    *"rayleigh_sommerfeld four_f blazed_grating sinusoidal_grating rotator".split(),
    *"phase_mask opd_mask refractive_index".split(),
}

rows = pytest.mark.parametrize("name", TABLE)
MAIN, SMALL = (6, 7), (1, 4)  # even and odd both ways
COMPILED = [0]


def _count(event: str, *_: Any, **__: Any) -> None:
    COMPILED[0] += "backend_compile" in event


jax.monitoring.register_event_duration_secs_listener(_count)


@rows
def test_value_and_gradient_in_every_mode(name):
    """Float64: finite differences, vmap and batch axes against a loop.

    Float32: near it, eagerly too and in one program, and finite in the corners.
    """
    row, traces = TABLE[name], []
    with jax.enable_x64(True):
        computed = interpreted(everything(name, MAIN))
        double = lambda p, square=0.3: computed(p, square)  # noqa: E731
        ones = [numbers(row, MAIN, scale) for scale in (1.0, 0.9, 1.07)]
        singles = [double(p) for p in ones]
        at = len(singles[0][0])  # the number stands behind the leaves
        finite_difference(lambda p: computed(p, 0.3, only=at), ones[0], singles[0])
        batches_are_a_loop(row, ones, singles)
        slopes = double(ones[0], 0.0)[2]
    p = numbers(row, MAIN)
    function = everything(name, MAIN, square=0.0)
    single = jax.jit(lambda p: (traces.append(1), function(p))[1])
    value, _, slope = single(p)
    slopes_are_near(slope, slopes, ones[0], row.float32)
    for a, b in zip(value, singles[0][0], strict=True):
        assert a.dtype in (np.float32, np.complex64) and b.dtype in (np.float64, np.complex128)
    near(value, singles[0][0], row.float32)
    eager_is_one_program(name, p, value)
    finite_in_the_corners(single, p)
    assert len(traces) == 1, "a changed number compiled the function again"
    lowers_at_full_precision(name, single, p)


def slopes_are_near(got, need, p, tolerance):
    """In float32, relative to the slope of the number that counts most."""
    got, need, p = ({k: np.asarray(v, float) for k, v in d.items()} for d in (got, need, p))
    size = max(np.linalg.norm(need[key] * p[key]) for key in p)
    for key in p:
        error = np.linalg.norm((got[key] - need[key]) * p[key])
        assert error <= 3 * tolerance * size, key


def batches_are_a_loop(row, ones, singles):
    def both(p):
        call = lambda p: jax.tree.leaves(row.call(p, MAIN))  # noqa: E731
        # Batch axes by broadcasting are the same loop.
        return jax.vmap(call)(p), call(p) if row.batched else ()

    need = stacked([leaves for leaves, _, _ in singles])
    for got in interpreted(both)(stacked(ones)):
        if got:
            near(got, need, 1e-9)  # other order of operations


def eager_is_one_program(name, p, value):
    if "re" in p:  # what stands around the function in many rows
        jax.lax.complex(p["re"], p["im"])
        if "d" in p:
            lit(p)
    before = COMPILED[0]
    eager = TABLE[name].call(p, MAIN)
    programs = COMPILED[0] - before
    # Either is as far from the truth as float32 goes.
    near(jax.tree.leaves(eager), value, 2 * TABLE[name].float32)
    most = TABLE[name].programs
    assert name in MANY_PROGRAMS or programs <= most, f"an eager call compiles {programs} programs"


def finite_difference(function, p, result):
    """The slope along a random direction of every number, from values of the same program.

    Only what the value needs of it is computed.
    """
    _, value, slope = result
    rng = np.random.default_rng(0)
    for key, g in slope.items():
        assert np.all(np.isfinite(g)), key
        direction = rng.normal(size=g.shape) * np.maximum(np.abs(p[key]), 0.1)
        h = 1e-5
        steps = (-2 * h, -h, h, 2 * h)
        values = [function(p | {key: p[key] + d * direction}) for d in steps]
        need = np.dot((1, -8, 8, -1), values) / (12 * h)
        # 1e-6: fifth derivatives times h^4, and 1e-16 / h of rounding
        size = np.abs(np.sum(np.abs(g * direction))) + np.abs(value) * 1e-3
        assert abs(np.sum(g * direction) - need) < 1e-6 * size, key


def finite_in_the_corners(function, p):
    """Gradients of dark light and of infinite contrast."""
    dark = {k: jnp.zeros_like(v) if k in ("re", "im", "m") else v for k, v in p.items()}
    dark |= {k: jnp.zeros_like(p[k]) for k in ("kx", "ky", "y", "x") if k in p}
    contrast = {
        k: v.at[..., 0].set(0).at[..., 1].set(1e12) if k in ("re", "im") else v
        for k, v in p.items()
    }
    for case in (dark, contrast):
        for key, g in function(case)[2].items():
            assert np.all(np.isfinite(g)), key


PRODUCT = re.compile(r"stablehlo\.dot_general.*")


def lowers_at_full_precision(name, function, p):
    """For GPU and TPU, where a float32 product rounds to 10 bits unless it is told otherwise."""
    text = function.trace(p).lower(lowering_platforms=("cuda", "tpu")).as_text()
    for line in PRODUCT.findall(text):
        if re.search(r"xi\d+>|tensor<i\d+>", line):
            continue
        assert "precision = [HIGHEST, HIGHEST]" in line, f"{name} is rounded on a GPU: {line}"


@rows
def test_small_windows(name):
    """One row of samples in both precisions; one sample has a finite gradient."""
    row, s = TABLE[name], SMALL

    def function(p):
        return row.call(p, s)

    single = jax.jit(function)(numbers(row, s))
    with jax.enable_x64(True):
        near(single, interpreted(function)(numbers(row, s)), row.float32)
    p = numbers(row, (1, 1))
    for key, g in interpreted(everything(name, (1, 1), square=0.0))(p)[2].items():
        assert np.all(np.isfinite(g)), key
