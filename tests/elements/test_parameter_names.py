"""Parameters by name: listed, selected, learned, frozen, replaced; models are never changed."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxwave as jw
from jaxwave import elements as el


class Bench(nnx.Module):
    """Not an element: any flax module works."""

    def __init__(self):
        self.mask = el.PhaseMask(jnp.zeros((16, 16)))
        self.lens = el.ThinLens(200.0)
        self.parts = nnx.List([el.Fresnel(10.0), el.Fresnel(20.0)])
        self.count = nnx.Variable(jnp.zeros((), int))

    def __call__(self, field):
        field = self.lens(self.mask(field))
        for part in self.parts:
            field = part(field)
        return field


NAMES = ["mask.phase", "lens.f", "lens.n", "parts.0.z", "parts.0.n", "parts.1.z", "parts.1.n"]


def field():
    return jw.gaussian_beam((16, 16), spacing=1.0, wavelength=0.5, waist=4.0)


def test_parameters_have_dotted_names():
    values = el.parameters(Bench())
    assert sorted(values) == sorted(NAMES)  # the whole number is not one
    assert values["lens.f"] == 200 and values["parts.1.z"] == 20


def test_select_by_name_pattern_and_part():
    bench = Bench()
    assert el.select(bench, "lens.f") == ["lens.f"]
    assert el.select(bench, "lens") == ["lens.f", "lens.n"]
    assert set(el.select(bench, ["*.z", "lens.f"])) == {"lens.f", "parts.0.z", "parts.1.z"}
    assert el.select(bench, "parts.?.z", "parts.0.z") == ["parts.0.z", "parts.1.z"]


@pytest.mark.parametrize("patterns", [("lens.f", "parts.0.z"), (["lens.f", "parts.0.z"],)])
def test_patterns_are_passed_one_by_one_or_as_a_list(patterns):
    names = {"lens.f", "parts.0.z"}
    assert set(el.select(Bench(), *patterns)) == names
    model = el.learn(Bench(), *patterns)
    assert names <= set(el.learned(model))
    assert not names & set(el.learned(el.freeze(model, *patterns)))


TYPOS = {"mask.phse": "mask.phase", "phase": "mask.phase", "lens.ff": "lens.f"}


@pytest.mark.parametrize("typo", TYPOS)
@pytest.mark.parametrize("call", [el.learn, el.freeze, el.select])
def test_a_typo_is_an_error_with_a_suggestion(call, typo):
    with pytest.raises(ValueError) as error:
        call(Bench(), typo)
    text = str(error.value)
    assert text.startswith(f"{call.__name__}: no parameter matches '{typo}'.")
    assert f"Did you mean '{TYPOS[typo]}'?" in text
    assert all(name in text for name in NAMES)


def test_other_errors():
    bench = Bench()
    with pytest.raises(TypeError, match=r"learn: `model` must be a flax nnx module.*got a dict"):
        el.learn({}, "a")
    with pytest.raises(ValueError, match="learn: name at least one parameter"):
        el.learn(bench)
    with pytest.raises(TypeError, match="name must be a text, got 3"):
        el.learn(bench, 3)
    with pytest.raises(ValueError, match=r"replace: no parameter matches 'lens.g'. Did you mean"):
        el.replace(bench, {"lens.g": 1.0})
    with pytest.raises(ValueError, match=r"replace: needs the exact name of a parameter, got 'l"):
        el.replace(bench, {"lens.*": 1.0})


def test_learn_and_freeze_return_new_models():
    bench = Bench()
    first = el.learn(bench, "mask.phase", "*.z")
    assert el.learned(bench) == []
    assert set(el.learned(first)) == {"mask.phase", "parts.0.z", "parts.1.z"}
    second = el.freeze(el.learn(first, "lens"), "parts.0")
    assert set(el.learned(second)) == {"mask.phase", "lens.f", "lens.n", "parts.1.z"}
    assert type(second.parts[0].z) is el.Fixed and type(second.lens.f) is nnx.Param
    assert set(el.learned(first)) == {"mask.phase", "parts.0.z", "parts.1.z"}
    for name, value in el.parameters(second).items():
        np.testing.assert_array_equal(value, el.parameters(bench)[name])
    np.testing.assert_array_equal(second(field()).u, bench(field()).u)


def test_metadata_of_a_variable_survives():
    lens = el.ThinLens(nnx.Param(2.0, note="from the catalog"))
    assert el.freeze(lens, "f").f.get_metadata("note") == "from the catalog"


def test_replace_sweeps_inside_vmap():
    bench, focal = Bench(), jnp.array([100.0, 200.0, 300.0])
    images = jax.vmap(lambda f: el.replace(bench, {"lens.f": f})(field()).intensity)(focal)
    assert images.shape == (3, 16, 16)
    np.testing.assert_allclose(images[1], bench(field()).intensity, rtol=1e-5, atol=1e-8)
    assert bench.lens.f[...] == 200


def test_replace_takes_units_and_keeps_what_is_learned():
    lens = el.replace(el.learn(el.ThinLens(2.0), "f"), {"f": "3 mm"})
    assert lens.f[...] == 3000 and el.learned(lens) == ["f"]


def test_learning_a_scalar_allocates_nothing_for_the_mask():
    bench = el.learn(Bench(), "lens.f")
    _, learned, rest = nnx.split(bench, nnx.Param, ...)
    state = optax.adam(1e-3).init(learned)
    numbers = sum(np.size(leaf) for leaf in jax.tree.leaves(state))
    assert numbers == 3  # two moments and the count
    assert sum(np.size(leaf) for leaf in jax.tree.leaves(rest)) > 256


def test_learning_every_parameter_of_a_network():
    network = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    assert set(el.learned(network)) == {"kernel", "bias"}
    assert el.learned(el.freeze(network, "bias")) == ["kernel"]
