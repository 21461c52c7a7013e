"""Height maps as elements: the functions that they are made of, what is learned, what is said."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from interpreter import interpreted

import jaxwave as jw
from jaxwave import cameras, heights
from jaxwave import elements as el

N, D, W, F = (8, 9), (4.0, 5.0), 0.55, 600.0
RNG = np.random.default_rng(0)
TAU = 2 * np.pi


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


# element: its own numbers, what is static, and its phase by the functions
FREE, WAVES, Z, RINGS = normal(4, 5), normal(3, 3), normal(2), normal(5)
POLAR, SPLINE, ROWS, COLUMNS = normal(3, 6), normal(3, 4), normal(2, 8), normal(2, 9)
MODES = ((2, 0), (3, 1))
SHAPES = {
    "FreeHeights": ({"values": FREE}, {"block": 2}, lambda: heights.blocks(N, FREE, block=2)),
    "FourierHeights": ({"coefficients": WAVES}, {}, lambda: heights.fourier(N, WAVES)),
    "ZernikeHeights": (
        {"coefficients": Z, "radius": 15.0},
        {"modes": MODES},
        lambda: heights.zernike(N, Z, MODES, spacing=D, radius=15.0),
    ),
    "RingHeights": ({"values": RINGS}, {}, lambda: heights.rings(N, RINGS, spacing=D)),
    "PolarHeights": ({"values": POLAR}, {}, lambda: heights.polar(N, POLAR, spacing=D)),
    "SplineHeights": ({"values": SPLINE}, {}, lambda: heights.spline(N, SPLINE)),
    "RankOneHeights": (
        {"rows": ROWS, "columns": COLUMNS}, {}, lambda: np.einsum("ky,kx->yx", ROWS, COLUMNS)
    ),
    "CubicHeights": (
        {"strength": 7.0, "angle": 0.3}, {}, lambda: heights.cubic(N, 7.0, spacing=D, angle=0.3)
    ),
}  # fmt: skip


def make(name, **options):
    numbers, static, _ = SHAPES[name]
    return getattr(el, name)(N, D, "PMMA", W, **{**numbers, **static, **options})


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_in_radians_and_a_lens_make_a_relief(name):
    one = float(heights.wave_height("PMMA", wavelength=W))
    shape = np.asarray(SHAPES[name][2]())
    plain = make(name)
    np.testing.assert_allclose(plain.height(), shape * one / TAU, rtol=1e-5, atol=1e-6)
    lens = heights.lens(N, F, "PMMA", spacing=D, wavelength=W)
    wrapped = make(name, f=F, order=1).height()
    turns = (np.asarray(wrapped) - shape * one / TAU - lens) / one
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-4)
    assert repr(plain).startswith(name + "(shape=(8, 9)")
    path = plain.opd([0.5, 0.6])
    np.testing.assert_allclose(
        path, heights.opd(plain.height(), "PMMA", wavelength=[0.5, 0.6]), rtol=1e-6
    )


@pytest.mark.parametrize("name", SHAPES)
def test_every_number_of_a_shape_has_its_slope(name):
    element = el.learn(make(name, f=F, order=1), "*")
    graph, state = nnx.split(element)
    weights = RNG.normal(size=N)

    @interpreted
    def loss(state):
        total = lambda s: jnp.sum(weights * nnx.merge(graph, s).height())  # noqa: E731
        value, slope = jax.value_and_grad(total)(state)
        return value, *jax.tree.leaves(slope)

    with jax.enable_x64(True):
        state = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), state)
        _, *slopes = loss(state)
        leaves, tree = jax.tree.flatten(state)
        names = list(el.parameters(nnx.merge(graph, state)))
        assert len(names) == len(leaves)
        steps = [1e-7 * np.maximum(abs(a), 0.1) * RNG.normal(size=a.shape) for a in leaves]
        for k, (leaf, slope, step) in enumerate(zip(leaves, slopes, steps, strict=True)):
            ends = []
            for sign in (1, -1):
                moved = [*leaves[:k], leaf + sign * step, *leaves[k + 1 :]]
                ends.append(float(loss(jax.tree.unflatten(tree, moved))[0]))
            got, need = float(np.sum(slope * step)), (ends[0] - ends[1]) / 2
            assert got == pytest.approx(need, rel=2e-4, abs=1e-13), k


def test_lenses_are_those_of_the_functions():
    options = dict(spacing=D, order=1)
    one = el.HeightMap(N, D, 1.5, W, f=F, order=1)
    need = heights.lens(N, F, 1.5, wavelength=W, **options)
    np.testing.assert_allclose(one.height(), need, atol=2e-5)
    rows = (
        ("MultiFocalHeights", heights.multi_focal, [F, 1.2 * F], W, {"sectors": 4}),
        ("MultiColorHeights", heights.multi_color, F, [0.5, 0.6], {"radius": 14.0}),
        ("RotationHeights", heights.diffracted_rotation, F, [0.5, 0.6], {"wings": 2}),
    )
    for name, function, f, w, rest in rows:
        got = getattr(el, name)(N, D, 1.5, w, f=f, order=1, **rest).height()
        need = function(N, jnp.asarray(f), 1.5, wavelength=jnp.asarray(w), **options, **rest)
        off = abs(np.asarray(got) - need)
        np.testing.assert_allclose(np.minimum(off, abs(off - W / 0.5)), 0, atol=2e-5)


def test_levels_of_a_relief():
    depth = float(heights.wave_height("PMMA", wavelength=W))
    relief = make("FreeHeights", f=F, order=1, levels=4).height()
    steps = np.asarray(relief) / depth * 4
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)
    assert set(np.round(steps).ravel()) == {0, 1, 2, 3}
    smooth = make("FreeHeights", f=F, order=1, levels=4, blend=0.0).height()
    turns = (np.asarray(smooth) - make("FreeHeights", f=F, order=1).height()) / depth
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-4)
    assert np.max(abs(smooth - relief)) <= depth / 8 * 1.001  # half of a level, all the way


def test_plates_in_a_system_and_in_a_field():
    singlet = el.HeightMap(N, D, "PMMA", W, f=F)
    plates = el.System(singlet=singlet, coded=make("CubicHeights"))
    w = [0.5, 0.6]
    need = singlet.opd(w) + make("CubicHeights").opd(w)
    np.testing.assert_allclose(plates.opd(w), need, rtol=1e-6)
    lens = cameras.Lens(N, D, F, 4.0, (5, 5), points=2)
    np.testing.assert_allclose(lens.psfs(plates, [1e6], w), lens.psfs(need, [1e6], w), rtol=1e-5)
    field = jw.plane_wave(N, spacing=D, wavelength=jnp.array(w))
    u = plates(field).u
    turns = need / np.array(w)[:, None, None]
    np.testing.assert_allclose(u / field.u, np.exp(2j * np.pi * turns), atol=1e-4)
    with pytest.raises(TypeError, match=r"System.opd: 'gap' \(Fresnel\) is no height map"):
        el.System(plate=singlet, gap=el.Fresnel(10.0)).opd(w)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"levels": 4}, "levels.*order=1"),
        ({"order": 0}, "at least 1"),
        ({"f": 0.0}, "other than zero"),
        ({"medium": -1.0}, "positive"),
    ],
)
def test_errors_name_what_was_typed(options, words):
    with pytest.raises(ValueError, match=words):
        make("FreeHeights", **options)
    with pytest.raises(ValueError, match="pass f"):
        el.MultiFocalHeights(N, D, "PMMA", W)
    with pytest.raises(ValueError, match="several"):
        el.MultiColorHeights(N, D, "PMMA", [0.5, 0.6], f=F, levels=4)
