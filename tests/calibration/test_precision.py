"""Every product of floats in a step asks for all digits: a GPU or TPU rounds it to 10 bits else.

The programs are lowered for CUDA and TPU on the CPU, which runs nothing there.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxwave as jw
from jaxwave import psf
from jaxwave.beads import BeadModel
from jaxwave.beads.basis import basis_of
from jaxwave.beads.loss import make_pieces
from jaxwave.beads.stack_model import Stack
from jaxwave.calibration import lbfgs, levenberg_marquardt, remove_gauge
from jaxwave.calibration.constraints import rotationally_symmetric
from jaxwave.calibration.optimizers import Objective, as_method

SHAPE = (6, 5)
RNG = np.random.default_rng(0)
MODES = [(2, 0), (2, 2), (3, -1)]
Y, X = jw.coordinates(SHAPE, 0.3)
DATA = RNG.uniform(1, 2, SHAPE).astype(np.float32)
FLAT = jnp.array([0.3, -0.2, 0.1])


def rows(flat):
    light = jw.scalar_field(jnp.ones(SHAPE), spacing=0.5, wavelength=0.6)
    image = jw.ff_lens(jw.opd_mask(light, jw.zernike_opd(flat, MODES, Y, X)), 9.0, spacing=0.4)
    return (image.intensity - DATA).ravel()


def half_square(flat):
    return 0.5 * jnp.vdot(rows(flat), rows(flat), precision="highest")


OBJECTIVE = Objective(half_square, rows)
METHODS = {
    "adam": optax.adam(0.1),
    "lbfgs": lbfgs(),
    "dense": levenberg_marquardt(),
    "by conjugate gradients": levenberg_marquardt(dense_limit=1),
}


def step(name):
    method = as_method("test", METHODS[name])
    return lambda flat: method.step(OBJECTIVE, flat, method.init(flat), None).flat


BEAD = BeadModel(
    psf.Objective(0.8, 0.5, 1.0), pixel=0.13, shape=(8, 8), order=2, pupil_samples=16, margin=2,
    bead_diameter=0.1,
)  # fmt: skip
PARTS = make_pieces(BEAD, (0, 1, 2), (3,), True)
PROBLEM = {
    "basis": basis_of(BEAD),
    "data": jnp.ones((4, 8, 8)),
    "weight": jnp.ones((4, 8, 8)),
    "z": jnp.arange(4.0),
    "known": jnp.zeros((1, 1, 1)),
}
FREE = {**BEAD.start(), "maps": jnp.ones(())}
for part in ("phase", "amplitude"):
    FREE[f"further_{part}"] = jnp.zeros(len(PROBLEM["basis"][f"further_{part}"]))


def mirror(response):
    d = {name: PROBLEM[name] for name in ("z", "known", "weight")}
    d |= {"stack": PROBLEM["data"], "command": jnp.ones(2)}
    rows = Stack(BEAD).residuals(PROBLEM["basis"], {**BEAD.start(), "response": response}, d)
    return jnp.sum(rows**2)


CASES = {
    "bead": (jax.grad(lambda p: jnp.sum(PARTS.residuals(p, PROBLEM) ** 2)), FREE),
    "bead and mirror": (jax.grad(mirror), jnp.zeros((2, len(BEAD.modes)))),
    **{name: (step(name), FLAT) for name in METHODS},
    "gauge": (
        lambda path: remove_gauge(path, na=1.2, n=1.5),
        jnp.asarray(RNG.normal(size=(9, 9)).astype(np.float32)),
    ),
    "constraint": (rotationally_symmetric(9).inverse, jnp.ones((9, 9))),
}


@pytest.mark.parametrize("name", CASES)
def test_products_ask_for_all_digits(name):
    function, argument = CASES[name]
    lowered = jax.jit(function).trace(argument).lower(lowering_platforms=("cuda", "tpu"))
    products = re.findall(r"stablehlo\.dot_general.*", lowered.as_text())
    floats = [line for line in products if not re.search(r"tensor<[^>]*i\d+>", line)]
    assert all("precision = [HIGHEST, HIGHEST]" in line for line in floats), floats
