"""What an element is: numbers and static fields, errors, printing, five lines of one's own."""

import inspect
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxwave as jw
from jaxwave import elements as el


class Tilt(el.Element):
    slope: el.Number

    def __call__(self, field):
        return jw.opd_mask(field, self.slope[...] * (field.x + 0 * field.y))


class Options(el.Element):
    gain: el.Number
    name: str
    modes: tuple = ((2, 0),)
    offset: "el.Number | None" = None

    def __call__(self, field):
        return field


def wave(n=8):
    return jw.plane_wave((n, n), spacing=1.0, wavelength=0.5)


# -- numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [2, 2.0, np.float64(2), np.int32(2), "2 um", jnp.float32(2)])
def test_a_number_is_fixed_and_strongly_typed(value):
    variable = el.ThinLens(value).f
    array = variable.get_value()
    assert type(variable) is el.Fixed
    assert isinstance(array, jax.Array) and not array.weak_type
    assert array.dtype == jnp.float32 and array.shape == () and array == 2


def test_a_parameter_is_learned_and_stays_the_callers():
    parameter = nnx.Param(200.0)
    lens = el.ThinLens(parameter)
    assert lens.f is parameter
    assert not parameter.get_value().weak_type  # a Python float would cause another trace


def test_a_parameter_may_be_shared_by_two_elements():
    shared = nnx.Param(200.0)
    system = nnx.List([el.ThinLens(shared), el.ThinLens(shared)])
    if not nnx.set_graph_mode.current_value():
        pytest.skip("a tree has no shared variables")
    assert list(el.parameters(system)) == ["0.f", "0.n", "1.n"]
    changed = el.replace(system, {"0.f": 3.0})
    assert changed[0].f is changed[1].f
    assert changed[1].f[...] == 3


def test_double_precision_is_kept(x64):
    assert el.ThinLens(0.1).f[...].dtype == jnp.float64
    assert el.ThinLens(jnp.float32(0.1)).f[...].dtype == jnp.float32


def test_complex_values_stay_complex():
    assert el.AmplitudeMask(1j * jnp.ones((2, 2))).transmission[...].dtype == jnp.complex64


def test_an_assigned_number_keeps_its_kind_and_is_checked():
    lens = el.ThinLens(nnx.Param(200.0))
    lens.f = "3 mm"
    lens.n = 1.33
    assert type(lens.f) is nnx.Param and type(lens.n) is el.Fixed
    assert lens.f[...] == 3000 and not lens.n[...].weak_type
    with pytest.raises(ValueError, match="`f` must be other than zero"):
        lens.f = 0.0
    assert lens.f[...] == 3000
    lens.f = nnx.Param(5.0)
    assert not lens.f[...].weak_type


def test_fields_that_are_no_numbers_are_static():
    element = Options(1.0, "a", modes=[[2, 0], [4, 0]])
    assert element.modes == ((2, 0), (4, 0)) and element.offset is None
    assert list(el.parameters(element)) == ["gain"]
    hash(nnx.graphdef(element))


# -- errors --------------------------------------------------------------------------------

ERRORS = {
    "missing": (lambda: el.ThinLens(), TypeError, "missing a required argument: 'f'"),
    "unknown": (lambda: el.ThinLens(1.0, nn=2.0), TypeError, "Did you mean 'n'?"),
    "by place": (lambda: el.ThinLens(1.0, 2.0), TypeError, r"Use it as ThinLens\(f, n=1.0\)"),
    "object": (lambda: el.ThinLens(object()), TypeError, "`f` must be a number, an array"),
    "key": (lambda: el.ThinLens(jax.random.key(0)), TypeError, "`f` must be a number"),
    "unit": (lambda: el.ThinLens("2 parsec"), ValueError, "ThinLens: `f`"),
    "zero": (lambda: el.ThinLens(0.0), ValueError, "`f` must be other than zero, got 0.0 µm"),
    "param": (lambda: el.FFLens(nnx.Param(-1.0)), ValueError, "FFLens: `f` must be positive"),
    "index": (lambda: el.AngularSpectrum(1.0, n=0), ValueError, "`n` must be positive"),
    "nan": (lambda: el.Fresnel(np.nan), ValueError, "`z` must be finite"),
    "rank": (lambda: el.PhaseMask(jnp.ones(3)), ValueError, r"the axes \(..., y, x\)"),
    "complex": (lambda: el.PhaseMask(1j * jnp.ones((3, 3))), TypeError, "must be real"),
    "aperture": (lambda: el.HighNAFFLens(2.0, na=1.2, spacing=0.1), ValueError, "`na` must be"),
    "modes": (lambda: el.ZernikeMask([1.0], [(2, 0), (4, 0)], 2.0), ValueError, "2 modes"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_fix(name):
    make, kind, text = ERRORS[name]
    with pytest.raises(kind, match=text):
        make()


def test_checks_are_left_out_where_values_are_traced():
    """Rebuilding inside a transformation may not look at the values."""
    field = wave()
    power = jax.vmap(lambda f: el.ThinLens(f, n=f)(field).power)(jnp.arange(1.0, 4.0))
    np.testing.assert_allclose(power, 1, rtol=1e-5)


# -- one's own, and printing ---------------------------------------------------------------


def test_an_element_of_ones_own_in_five_lines():
    source = inspect.getsource(Tilt)
    assert len([line for line in source.splitlines() if line.strip()]) <= 5
    field, tilt = wave(), Tilt(nnx.Param(0.01))
    np.testing.assert_allclose(tilt(field).phase[4, 5], 2 * np.pi * 0.01 / 0.5, rtol=1e-4)
    graph, state = nnx.split(tilt, nnx.Param)

    def value(state):
        return jnp.real(nnx.merge(graph, state)(field).u[4, 5])

    gradient = jax.tree.leaves(jax.jit(jax.grad(value))(state))[0]
    c = 2 * np.pi / 0.5  # d cos(c s)/ds of the sample at x = 1, whose modulus is 1/8
    np.testing.assert_allclose(gradient, -c * np.sin(c * 0.01) / 8, rtol=1e-4)


def test_repr_is_short_and_works_on_tracers():
    mask = el.PhaseMask(nnx.Param(jnp.zeros((4, 4))))
    assert repr(el.ThinLens("200 mm")) == "ThinLens(f=200000 µm)"
    assert repr(mask) == "PhaseMask(phase=learned (4, 4) float32, 0 rad)"
    seen = []

    @jax.jit
    def trace(f, phase):
        seen.append(repr(el.ThinLens(f)))
        seen.append(str(el.replace(mask, {"phase": phase})))
        return f

    trace(2.0, jnp.ones((4, 4)))
    assert seen[0] == "ThinLens(f=<traced> µm)"
    assert seen[1] == "PhaseMask(phase=learned <traced (4, 4) float32> rad)"


def test_an_element_does_not_change_itself():
    lens = el.learn(el.ThinLens(200.0), "f")
    before = vars(lens).copy()
    lens(wave())
    assert vars(lens) == before


def test_without_flax_the_error_says_what_to_install():
    program = "import sys; sys.modules['flax'] = None; import jaxwave; jaxwave.elements"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 1
    last = run.stderr.strip().splitlines()[-1]
    assert last == (
        'ImportError: jaxwave.elements needs flax. Run pip install "jaxwave[calibration]".'
    )
