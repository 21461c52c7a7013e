"""Batches of every leaf equal loops; transformations of what is traced; how much is compiled."""

import dataclasses
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from interpreter import interpreted
from psf.polar import Aperture, off, window

from jaxwave import psf

W = 0.6
LAYERS = dict(n_s=1.36, n_g=1.52, n_i=1.5, t_s=1.2, n_i_design=1.51)
C, MODES = np.array([0.06, -0.04]), [(2, 2), (3, -1)]


def objective(**change):
    names = ("na", "wavelength", "motion")
    optics = {k: change.pop(k) for k in names if k in change}
    layers = psf.Layers(**LAYERS | {"t_g": 169.0, "t_g_design": 170.0} | change)
    return psf.Objective(**{"na": 1.25, "wavelength": W, "layers": layers} | optics)


def picture(o, to, pupil, e):
    nodes = 56 if isinstance(pupil, psf.ZernikePupil) else (72, 0, 24)
    return psf.emitter_image(o, to, pupil, dipole=e, nodes=nodes)


def tree(kind):
    pupil = psf.ZernikePupil(C, MODES)
    if kind == "radial":
        samples = np.cos(np.linspace(0, 1, 17)) + 0.2j * np.linspace(0, 1, 17)
        pupil = psf.RadialPupil(samples, C, [(4, 0), (6, 0)], 0.9)
    to = psf.Window((4, 5), np.array([0.11, 0.08]), np.array([0.3, -0.2]), 0.13, -0.21)
    return objective(), to, pupil, np.array([0.3, 0.5j, -0.7])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["planar", "radial"])
def test_batches_of_every_leaf_equal_loops(kind):
    """Leaves take turns: one has the axis (3, 1), the next (2,), the third none."""
    rng = np.random.default_rng(3)
    leaves, structure = jax.tree.flatten(tree(kind))
    shift = 0
    axes = [[(3, 1), (2,), ()][(k + shift) % 3] for k in range(len(leaves))]
    many = [
        leaf + 0.01 * np.reshape(rng.normal(size=axis), axis + (1,) * np.ndim(leaf)) * np.abs(leaf)
        for leaf, axis in zip(leaves, axes, strict=True)
    ]
    images = picture(*jax.tree.unflatten(structure, many))
    assert images.shape == (3, 2, 2, 4, 5)
    for i, j in ((0, 0), (2, 1), (1, 0)):
        one = [
            a[i, 0] if axis == (3, 1) else a[j] if axis == (2,) else a
            for a, axis in zip(many, axes, strict=True)
        ]
        alone = picture(*jax.tree.unflatten(structure, one))
        # float32: the fraction of a path of hundreds of turns is rounded in another order.
        assert off(images[i, j], np.asarray(alone), np.max(alone)) < 2e-5
    assert off(images[0, 0], np.asarray(images[2, 1]), np.max(images)) > 1e-3


@pytest.mark.parametrize("kind", ["planar", "radial"])
def test_each_leaf_alone_may_have_a_batch_axis(kind):
    leaves, structure = jax.tree.flatten(tree(kind))
    for k, leaf in enumerate(leaves):
        some = [np.stack([a, a]) if j == k else a for j, a in enumerate(leaves)]
        shape = jax.eval_shape(lambda some=some: picture(*jax.tree.unflatten(structure, some)))
        assert shape.shape == (2, 2, 4, 5), (k, np.shape(leaf))


def test_two_coefficients_of_one_mode_are_two_images():
    o, to = psf.Objective(1.2, W, 1.5), psf.Window((6, 5), 0.1)
    for mode in ((2, 2), (4, 0)):
        pupils = [psf.ZernikePupil(c, [mode]) for c in ([[0.05], [-0.08]], [0.05], [-0.08])]
        # One set of nodes for all.
        count = psf.nodes(o, to, pupils[0])
        both, *single = (psf.emitter_image(o, to, p, nodes=count) for p in pupils)
        assert both.shape == (2, 6, 5)
        assert off(both, np.stack(single), np.max(both)) < 2e-6
        assert np.max(np.abs(both[0] - both[1])) > 1e-2 * np.max(both)


@pytest.mark.parametrize("pupil", [None, psf.ZernikePupil([[0.05], [0.1]], [(2, 2)])])
def test_batches_that_do_not_broadcast_are_refused_by_name(pupil):
    o, to = psf.Objective([1.0, 1.2, 1.3], W, 1.5), psf.Window((6, 5), 0.1)
    if pupil is not None:
        with pytest.raises(ValueError, match=r"emitter_image: .*`?na`?.*\(3,\).*\(2,\)|coeffic"):
            psf.emitter_image(o, to, pupil)
    wide = dataclasses.replace(o, wavelength=np.array([0.5, 0.6]))
    with pytest.raises(ValueError, match=r"focus: .*na.*wavelength|focus: .*wavelength.*na"):
        psf.focus(wide, to, pupil)
    with pytest.raises(ValueError, match=r"focus_intensity: .*(na.*polarization|polarization.*na)"):
        psf.focus_intensity(o, to, polarization=np.eye(2))
    with pytest.raises(ValueError, match=r"emitter_field: .*y"):
        psf.emitter_field(o, psf.Window((6, 5), 0.1, y=[0.0, 0.1]), pupil, dipole=(0, 0, 1))
    with pytest.raises(ValueError, match=r"scalar_focus: .*spacing"):
        psf.scalar_focus(o, psf.Window((6, 5), 0.1 * np.ones((2, 2))), pupil)


def test_a_batch_of_samples_is_a_batch():
    o, to = psf.Objective([[1.1], [1.2]], W, 1.5), psf.Window((6, 5), 0.1, [0.0, 0.1, 0.2])
    masks = np.exp(1j * np.random.default_rng(0).normal(size=(3, 33, 32)))
    many = psf.scalar_focus_intensity(o, to, masks)
    assert many.shape == (2, 3, 3, 6, 5)
    alone = psf.scalar_focus_intensity(psf.Objective(1.2, W, 1.5), to, masks[1])
    assert off(many[1, 1], np.asarray(alone), np.max(alone)) < 2e-6


# -- what is traced ------------------------------------------------------------------------


def test_planes_and_maps_are_loops_and_compile_once():
    traces = []
    e = jnp.array([0.8, 0.6j])

    @jax.jit
    def image(na, z, c):
        traces.append(1)
        o, to = psf.Objective(na, W, 1.4), psf.Window((6, 5), 0.1, z)
        return psf.focus_intensity(o, to, psf.ZernikePupil(c, MODES), polarization=e, nodes=48)

    na, z = jnp.array([0.9, 1.1, 1.3]), jnp.linspace(-0.4, 0.5, 11)
    stacks = [image(a, z, C) for a in na]
    assert len(traces) == 1 and stacks[0].shape == (11, 6, 5)
    mapped = jax.jit(jax.vmap(image, (0, None, None)))(na, z, C)
    assert off(mapped, np.stack(stacks), np.max(mapped)) < 2e-6
    _, y, x = window((6, 5), 0.1)

    def path(y, x):
        r2 = x * x + y * y
        w = C[0] * np.sqrt(6) * (x * x - y * y) + C[1] * np.sqrt(8) * (3 * r2 - 2) * y
        return np.exp(2j * np.pi * w / W)

    rays = Aperture(na=float(na[1]), wavelength=W, n=1.4)
    need = np.sum(np.abs(rays.focus((path, path), y, x, float(z[7]), np.asarray(e))) ** 2, 0)
    assert off(mapped[1, 7], need, np.pi * 1.1**2 / W**2) < 2e-6


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["planar", "radial"])
def test_gradients_by_everything_without_a_number_of_nodes(kind, x64):
    """Every leaf of objective, window, pupil and polarization is traced, in focus and out of it."""
    weight = np.random.default_rng(0).normal(size=(2, 4, 5))

    @interpreted
    @jax.value_and_grad
    def both(leaves):
        o, to, pupil, e = jax.tree.unflatten(structure, leaves)
        return jnp.sum(psf.focus_intensity(o, to, pupil, polarization=e[:2]) * weight)

    parts = tree(kind)
    parts = (objective(motion="emitter"), *parts[1:3], np.array([0.3, 0.5, -0.7]))
    leaves, structure = jax.tree.flatten(parts)
    leaves = [jnp.asarray(leaf) for leaf in leaves]
    gradient = both(leaves)[1]
    rng = np.random.default_rng(1)
    for k, (leaf, g) in enumerate(zip(leaves, gradient, strict=True)):
        along = rng.normal(size=leaf.shape)
        if jnp.iscomplexobj(leaf):
            continue
        low, high = (both([*leaves[:k], leaf + s * along, *leaves[k + 1 :]])[0]
                     for s in (-1e-6, 1e-6))  # fmt: skip
        need = float(high - low) / 2e-6
        assert float(jnp.sum(g * along)) == pytest.approx(need, rel=1e-5, abs=1e-4), k


# -- how much is compiled ------------------------------------------------------------------


class Compiled(logging.Handler):
    """Names of the programs that are compiled."""

    def __init__(self):
        super().__init__()
        self.names = []

    def emit(self, record):
        message = record.getMessage()
        if message.startswith("Compiling "):
            self.names.append(message.split()[1])


@pytest.fixture
def compiled():
    handler, logger = Compiled(), logging.getLogger("jax._src.interpreters.pxla")
    logger.addHandler(handler)
    old, logger.propagate = logger.propagate, False
    with jax.log_compiles():
        yield handler.names
    logger.removeHandler(handler)
    logger.propagate = old


def pictures(change):
    """The obvious calls, with numbers that differ a little."""
    o = psf.Objective(1.2 + change, W - change, 1.5)
    layered = objective(na=1.2 + change, n_s=1.36 + change)
    to = psf.Window((7, 6), 0.1 + change / 10, [0.1, 0.2 + change], 0.1, change)
    modes = psf.ZernikePupil(C + change, MODES)
    samples = np.ones((33, 34)) * (1 + change)
    e, d = np.array([1, 0.3 + 0.6j + change]), np.array([0.1, 0.2, 1j + change])
    scope = psf.Microscope(1.2 + change / 10, W, (7, 6), 0.1 + change / 10, n=1.5)
    places = [[0.1, 0.3, -0.1 + change], [change, 0.0, 0.2]]
    yield "scalar_focus", lambda: psf.scalar_focus(o, to, modes)
    yield "scalar_focus_intensity", lambda: psf.scalar_focus_intensity(o, to, samples)
    yield "focus", lambda: psf.focus(layered, to, polarization=e)
    yield "focus_intensity", lambda: psf.focus_intensity(layered, to, modes, polarization=e)
    yield "emitter_field", lambda: psf.emitter_field(layered, to, samples, dipole=d)
    yield "emitter_image", lambda: psf.emitter_image(o, to)
    aberration = dict(coefficients=C + change, modes=MODES)
    yield "psf", lambda: scope.psf(0.1 + change, y=change, **aberration)
    yield "emitters", lambda: psf.emitters_image(scope, places, 100 + change, **aberration)


@pytest.mark.slow
def test_one_program_for_the_first_call_and_none_for_the_second(compiled):
    jax.clear_caches()
    most = {"emitters": 2}  # the planes, then the frame
    for name, call in pictures(0.0):
        compiled.clear()
        call()
        assert len(compiled) <= most.get(name, 1), (name, compiled)
    for name, call in pictures(1e-3):
        compiled.clear()
        call()
        assert not compiled, name
