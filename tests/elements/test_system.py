"""The System: a sequence with names that prints as an optical bench; and the hot path."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxwave as jw
from jaxwave import elements as el

N = 32


def beam():
    return el.GaussianBeam((N, N), spacing=2.0, wavelength=0.5, waist=12.0)


def relay(**changed):
    parts = {
        "source": beam(),
        "mask": el.PhaseMask(nnx.Param(jnp.zeros((N, N)))),
        "lens": el.ThinLens(2000.0),
        "gap": el.AngularSpectrum(1000.0),
    }
    return el.System(**{**parts, **changed})


def by_hand(f=2000.0, phase=0.0):
    field = jw.gaussian_beam((N, N), spacing=2.0, wavelength=0.5, waist=12.0)
    field = jw.phase_mask(field, phase + jnp.zeros((N, N)))
    return jw.angular_spectrum(jw.thin_lens(field, f), 1000.0)


# -- a sequence with names -----------------------------------------------------------------


def test_a_system_is_its_elements_in_order():
    system = relay()
    np.testing.assert_array_equal(system().u, by_hand().u)
    np.testing.assert_array_equal(system[1:](system.source()).u, by_hand().u)
    assert system.names == ("source", "mask", "lens", "gap")
    assert [type(e).__name__ for e in system] == [
        *("GaussianBeam", "PhaseMask", "ThinLens", "AngularSpectrum")
    ]
    assert system["lens"] is system.lens is system[2] is system[-2]
    assert len(system) == 4 and "mask" in system and "f" not in system
    assert [name for name, _ in system.planes()] == list(system.names)


def test_order_survives_splitting_and_learning():
    """Flax sorts attributes by name."""
    system = el.learn(nnx.merge(*nnx.split(relay())), "lens.f")
    assert system.names == ("source", "mask", "lens", "gap")
    assert list(el.parameters(system))[-4:] == ["lens.f", "lens.n", "gap.z", "gap.n"]
    np.testing.assert_array_equal(system().u, by_hand().u)


def test_elements_without_names_get_those_of_their_classes():
    def mirror(field):
        return jw.flip(field, axis="x")

    system = el.System(el.ThinLens(2.0), el.FFLens(1.0), el.ThinLens(3.0), mirror, last=el.Pad(9))
    assert system.names == ("thin_lens", "ff_lens", "thin_lens_2", "mirror", "last")


def test_systems_nest_and_take_any_function():
    inner = el.System(lens=el.ThinLens(2000.0), gap=el.AngularSpectrum(1000.0))
    system = el.System(
        source=beam(), flat=lambda field: jw.phase_mask(field, jnp.zeros((N, N))), relay=inner
    )
    np.testing.assert_array_equal(system().u, by_hand().u)
    assert "relay.lens.f" in el.parameters(system)


def test_random_elements_get_their_own_keys():
    camera = el.Camera(read_noise=2.0)
    system = el.System(noise=camera)
    photons = jnp.full((8, 8), 100.0)
    a, b = (system(photons, key=jax.random.key(k)) for k in (0, 1))
    assert not np.array_equal(a, b)
    np.testing.assert_array_equal(a, system(photons, key=jax.random.key(0)))
    need = camera(jax.random.fold_in(jax.random.key(0), 0), photons)
    np.testing.assert_array_equal(a, need)
    with pytest.raises(TypeError, match=r"'noise' draws random numbers; pass key="):
        system(photons)


ERRORS = {
    "number": (lambda: el.System(a=3), TypeError, "'a' must be an Element"),
    "variable": (lambda: el.System(a=nnx.Param(3.0)), TypeError, "got Param"),
    "class": (lambda: el.System(a=el.ThinLens), TypeError, "make an element of it first"),
    "taken": (lambda: el.System(names=el.ThinLens(2.0)), ValueError, "the name is taken"),
    "dotted": (lambda: el.System(**{"a.b": el.ThinLens(2.0)}), ValueError, "an identifier"),
    "private": (lambda: el.System(_order=el.ThinLens(2.0)), ValueError, "the name is taken"),
    "empty": (lambda: el.System(), ValueError, "at least one element"),
    "key": (lambda: relay()["lenz"], ValueError, "Did you mean 'lens'"),
    "source": (lambda: relay()(beam()()), TypeError, r"is a source; call the system without"),
    "no source": (lambda: relay()[1:](), TypeError, r"'mask' \(PhaseMask\) needs `field`"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_fix(name):
    make, kind, text = ERRORS[name]
    with pytest.raises(kind, match=text):
        make()


def test_an_error_inside_names_the_element():
    system = relay(mask=el.PhaseMask(jnp.zeros((8, 8))))
    with pytest.raises(ValueError, match="phase_mask: `phase` must match") as error:
        system()
    assert "in 'mask', element 2 of 4 of the system" in error.value.__notes__[0]


# -- printing ------------------------------------------------------------------------------


def test_a_system_prints_as_a_bench():
    text = str(el.learn(relay(gap=el.System(a=el.Fresnel(1000.0), b=el.Fresnel(500.0))), "lens.f"))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "System of 4 elements"
    assert lines[2] == (
        "0 source GaussianBeam(shape=(32, 32), spacing=2 µm, wavelength=0.5 µm, waist=12 µm)"
    )
    assert "0 lens ThinLens(f=learned 2000 µm)" in lines
    assert "1500 end" in lines
    assert lines[-1] == f"learned: mask.phase ({N * N} values), lens.f"


def test_printing_a_traced_system():
    seen = []

    @jax.jit
    def trace(f):
        system = el.replace(relay(), {"lens.f": f, "gap.z": f})
        seen.append(str(system))
        return system().power

    trace(3.0)
    assert "ThinLens(f=<traced> µm)" in seen[0] and "<traced>  end" in seen[0]


def test_the_bench_plane_by_plane():
    table = [line.split() for line in el.bench(relay()).splitlines()]
    assert table[0][:3] == ["z", "[µm]", "behind"]
    assert [row[1] for row in table[1:]] == ["source", "mask", "lens", "gap"]
    assert [row[0] for row in table[1:]] == ["0", "0", "0", "1000"]
    assert table[1][2:] == ["(32,", "32)", "2", "64", "1"]  # samples, spacing, window, power
    assert table[2][-3:] == ["phase", "(1024", "values)"]
    system = el.System(relay(), el.Intensity())
    assert el.bench(system).splitlines()[-1].split()[-2:] == ["sum", "0.25"]  # power over 2 x 2 µm
    with pytest.raises(TypeError, match="bench: `system` must be a System, got a ThinLens"):
        el.bench(el.ThinLens(2.0))


def test_the_bench_of_a_4f_system_knows_its_length():
    system = el.System(el.FFLens(100.0), el.FFLens(300.0))
    assert system.distance() == 800
    assert el.System(el.FFLens(100.0), el.FFLens(100.0, inverse=True)).distance() == 0


# -- the hot path: split, jax.jit, merge ---------------------------------------------------


def test_fifty_values_compile_once():
    system, traces = el.learn(relay(), "lens.f"), []
    graph = nnx.graphdef(system)

    @jax.jit
    def power(state):
        traces.append(1)
        return jnp.max(nnx.merge(graph, state)().intensity)

    for f in np.linspace(1000.0, 3000.0, 50):
        changed = el.replace(system, {"lens.f": f})
        assert nnx.graphdef(changed) == graph
        result = power(nnx.state(changed))
    assert len(traces) == 1
    np.testing.assert_allclose(result, by_hand(3000.0).intensity.max(), rtol=1e-5)


def test_a_number_given_in_any_way_compiles_once():
    """A Python float inside a Param would be weakly typed, and cost another trace."""
    traces = []

    def run(graph, state):
        traces.append(1)
        return nnx.merge(graph, state)().power

    compiled = jax.jit(run, static_argnums=0)
    for f in (2000, 2000.0, np.float64(2000), "2 mm", jnp.float32(2000)):
        compiled(*nnx.split(relay(lens=el.ThinLens(nnx.Param(f)))))
    assert len(traces) == 1


def test_a_system_is_an_argument_of_plain_jax():
    """Elements are pytrees: handed over as an argument, nothing is baked into the program."""
    system, traces = relay(), []

    @jax.jit
    def peak(system):
        traces.append(1)
        return system().intensity.max()

    for f in (1000.0, 2000.0, 3000.0):
        result = peak(el.replace(system, {"lens.f": f}))
    assert len(traces) == 1
    np.testing.assert_allclose(result, by_hand(3000.0).intensity.max(), rtol=1e-5)
    gradient = jax.grad(peak)(system)
    need = jax.grad(lambda f: by_hand(f).intensity.max())(2000.0)
    np.testing.assert_allclose(gradient.lens.f[...], need, rtol=1e-3)


def test_vmap_over_a_parameter():
    system = el.freeze(el.learn(relay(), "lens.f"), "mask")
    graph, learned, rest = nnx.split(system, nnx.Param, ...)
    focal = jnp.array([1000.0, 2000.0, 3000.0])
    swept = jax.tree.map(lambda _: focal, learned)
    many = jax.jit(jax.vmap(lambda p: nnx.merge(graph, p, rest)().u))(swept)
    for k, f in enumerate(focal):
        np.testing.assert_allclose(many[k], by_hand(f).u, rtol=1e-4, atol=1e-7)


def test_gradients_agree_with_the_functions():
    target = jax.random.uniform(jax.random.key(0), (N, N))
    system = el.learn(relay(), "lens.f")
    graph, learned, rest = nnx.split(system, nnx.Param, ...)

    def loss(learned):
        return jnp.sum(target * nnx.merge(graph, learned, rest)().intensity)

    def plain(f, phase):
        return jnp.sum(target * by_hand(f, phase).intensity)

    got = jax.jit(jax.grad(loss))(learned)
    need = jax.jit(jax.grad(plain, (0, 1)))(jnp.float32(2000.0), jnp.zeros((N, N)))
    np.testing.assert_allclose(got["lens"]["f"][...], need[0], rtol=1e-4)
    np.testing.assert_allclose(
        got["mask"]["phase"][...], need[1], rtol=1e-4, atol=1e-6 * float(jnp.abs(need[1]).max())
    )


def test_learning_the_focal_length_beside_a_large_mask():
    """A few steps of optax find the lens; the mask costs the optimizer nothing."""
    truth = by_hand(1500.0).intensity
    system = el.freeze(el.learn(relay(), "lens.f"), "mask.phase")
    graph, learned, rest = nnx.split(system, nnx.Param, ...)
    optimizer = optax.adam(30.0)
    state = optimizer.init(learned)
    assert sum(leaf.size for leaf in jax.tree.leaves(state)) == 3  # two moments and the count

    @jax.jit
    def step(learned, state, truth):
        def loss(learned):
            return jw.nmse(nnx.merge(graph, learned, rest)().intensity, truth)

        value, gradient = jax.value_and_grad(loss)(learned)
        update, state = optimizer.update(gradient, state)
        return optax.apply_updates(learned, update), state, value

    for _ in range(60):
        learned, state, value = step(learned, state, truth)
    assert value < 1e-4
    found = nnx.merge(graph, learned, rest)
    np.testing.assert_allclose(found.lens.f[...], 1500, rtol=1e-2)
    assert system.lens.f[...] == 2000
