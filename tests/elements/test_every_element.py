"""Every element against the function that it wraps: one table.

To add an element, add a row: how it is made, and what it is called with. The numbers of a row are
given by name; what is not a number stands in ``static``.
"""

import dataclasses
import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from interpreter import interpreted

import jaxwave as jw
from jaxwave import elements as el
from jaxwave import psf
from jaxwave.elements.element import Element

N = 6
RNG = np.random.default_rng(0)


def picture(*shape: int) -> np.ndarray:
    return RNG.uniform(0.5, 1.5, size=shape or (N, N)).astype(np.float32)


def field():
    u = picture() * np.exp(1j * picture())
    return jw.scalar_field(u, spacing=0.5, wavelength=0.53)


def polarized():
    u = np.stack([picture() * np.exp(1j * picture()) for _ in range(3)]) * [
        [[1.0]],
        [[1.0]],
        [[0.0]],
    ]
    return jw.vector_field(u.astype(np.complex64), spacing=0.5, wavelength=0.53)


POLARIZED = (polarized(),)
FIELD, KEY = field(), jax.random.key(0)
GRID = {"spacing": 0.5, "wavelength": 0.53}


@dataclasses.dataclass(frozen=True)
class Row:
    numbers: dict[str, Any]
    inputs: tuple = (FIELD,)
    static: dict[str, Any] = dataclasses.field(default_factory=dict)


def source(**arguments: Any) -> Row:
    """A source's row; whole numbers are static."""
    static = {k: v for k, v in arguments.items() if isinstance(v, int | tuple)}
    numbers = {k: v for k, v in arguments.items() if k not in static}
    return Row({**GRID, **numbers}, (), {"shape": (N, N), **static})


AXIS = {"z": 1.0, "n": 1.2, "y": 0.3, "x": -0.2, "ky": 0.2, "kx": -0.3, "power": 1.3}
BATCH = jw.scalar_field(picture(2, N, N), spacing=0.5, wavelength=0.53)


PLACE = {"angle": 0.3, "y": 0.1, "x": -0.07}
VIEW = {"spacing": 0.7, "y": 0.3, "x": -0.2}
PHOTONS = {"quantum_efficiency": 0.8, "dark_current": 0.1, "exposure": 2.0}
IMAGE = (picture(),)
TABLE = {
    "PlaneWave": source(kx=0.7, ky=-0.4, power=1.3),
    "GaussianBeam": source(waist=[0.8, 0.75], astigmatism=0.7, **AXIS),
    "HermiteGaussBeam": source(waist=[0.8, 0.75], **AXIS, order=(0, 1)),
    "LaguerreGaussBeam": source(waist=0.8, **AXIS, charge=1, radial=1),
    "BesselBeam": source(kr=1.1, waist=2.0, y=0.3, x=-0.2, power=1.3, charge=1),
    "GaussianSchellBeam": source(coherence=3.0, waist=[0.8, 0.75], z=5.0, n=1.2, order=4),
    "LpModes": source(radius=1.1, na=0.4, y=0.3, x=-0.2, power=1.3, orders=((0, 1), (-1, 1))),
    "Speckle": Row({**GRID, "na": 0.4, "power": 1.3}, (KEY,), {"shape": (N, N)}),
    "TotalIntensity": Row({}, (BATCH,)),
    "KoehlerImage": Row(
        {"illumination": [[0.07, 0.03, 0.4], [-0.1, 0.02, 0.3], [0.01, -0.06, 0.2]]}
        | {"spacing": 0.2, "wavelength": 0.53, "na": 0.31, "n": 1.2, "z": 0.6},
        (picture(),),
        {"batch": 2},
    ),
    "PointSource": source(z=4.0, n=1.2, y=0.3, x=-0.2, power=1.3),
    "ObjectivePointSource": Row(
        {"spacing": 400.0, "wavelength": 0.53, "f": 3000.0, "na": 0.37, "n": 1.3}
        | {"z": 2.0, "y": 0.3, "x": -0.2, "power": 1.3},
        (),
        {"shape": (N, N)},
    ),
    "AngularSpectrum": Row({"z": 0.61, "n": 1.3}),
    "Fresnel": Row({"z": 0.61, "n": 1.3}),
    "Carrier": Row({"z": 0.61, "n": 1.3}),
    "Fraunhofer": Row({"z": 900.0, "n": 1.3, **VIEW}, static={"shape": (4, 5)}),
    "RayleighSommerfeld": Row({"z": 2.61, "n": 1.3, "y": 0.3, "x": -0.2}, static={"shape": (4, 5)}),
    "ScalableAngularSpectrum": Row({"z": 2.61, "n": 1.3, **VIEW}, static={"shape": (4, 5)}),
    "Propagate": Row({"z": 0.61, "n": 1.3}),
    "RayTransfer": Row({"abcd": [[0.9, 2.0], [-0.05, 1.0]], "n": 1.3, **VIEW}),
    "TiltedPlane": Row({"angle": 0.2, "n": 1.3}, static={"axis": "x"}),
    "AbsorbingBoundary": Row({"width": 1.2}),
    "ThinLens": Row({"f": 9.0, "n": 1.3}),
    "Lens": Row({"f": 9.0, "front": 4.0, "back": 7.0, "n": 1.3, "spacing": 0.7}),
    "FourF": Row({"f1": 9.0, "f2": 7.0, "n": 1.3, "pupil": picture()}),
    "CylindricalLens": Row({"f": 9.0, "phi": 0.4, "n": 1.3}),
    "MicrolensArray": Row(
        {"f": [9.0, 8.0], "pitch": 1.3, "phi": 0.2, "y": 0.1, "x": -0.07, "n": 1.3}
        | {"diameter": 1.2, "gap": 0.3},
        static={"layout": "hexagonal", "lenslet": "round"},
    ),
    "Prism": Row({"apex": 0.1, "n_prism": 1.6, "n": 1.3, "phi": 0.4}),
    "Axicon": Row({"angle": 0.1, "n_axicon": 1.6, "n": 1.3, "y": 0.1, "x": -0.07}),
    "RefractingSurface": Row(
        {"radius": 9.0, "n_before": 1.0, "n_behind": 1.5, "conic": -0.5, "coefficients": [1e-3]}
    ),
    "BinaryGrating": Row(
        {"period": 2.3, "opd": 0.1, "transmission": 0.4, "duty": 0.4, "phi": 0.2, "shift": 0.3}
    ),
    "BlazedGrating": Row({"period": 2.3, "opd": 0.4, "phi": 0.2, "shift": 0.3}),
    "SinusoidalGrating": Row({"period": 2.3, "opd": 0.4, "phi": 0.2, "shift": 0.3}),
    "RandomDiffuser": Row({"roughness": 0.1, "correlation": 1.2}, (KEY, FIELD)),
    "EngineeredDiffuser": Row({"angle": 0.2, "n": 1.1}, (KEY, FIELD), {"steps": 5}),
    "FFLens": Row({"f": 9.0, "n": 1.3, "spacing": 0.7}, static={"shape": (4, 5)}),
    "HighNAFFLens": Row(
        {"f": 2.0, "na": 0.8, "n": 1.3, "spacing": 0.2, "z": 0.1, "polarization": [0.6, 0.8]},
        static={"shape": (4, 4), "apodization": "herschel"},
    ),
    "HighNAFFLensScalar": Row(
        {"f": 2.0, "na": 0.8, "n": 1.3, "spacing": 0.2, "z": 0.1}, static={"shape": (4, 4)}
    ),
    "PhaseMask": Row({"phase": picture(4, 5), **PLACE, "pitch": 1.1}),
    "OpdMask": Row({"opd": 0.1 * picture(4, 5), **PLACE, "pitch": 1.1}),
    "AmplitudeMask": Row({"transmission": picture(4, 5), **PLACE, "pitch": 1.1}),
    "CubicMask": Row({"opd": 0.3, "radius": 2.9, **PLACE}),
    "SpiralMask": Row(PLACE, static={"charge": 2}),
    "AnnularAperture": Row({"inner": 0.6, "outer": 1.02, "y": 0.1, "x": -0.07}),
    "RectangularAperture": Row({"size": [1.2, 1.7], **PLACE}),
    "PolygonAperture": Row({"vertices": [(-1, -1.2), (-0.8, 1.1), (1.1, 0.2)], **PLACE}),
    "Slits": Row({"width": 0.3, "pitch": 0.9, "length": 1.3, **PLACE}, static={"count": 2}),
    "ZonePlate": Row(
        {"f": 3.1, "wavelength": 0.6, "second": -0.5, "n": 1.1, "y": 0.1, "x": -0.07},
        static={"zones": 2},
    ),
    "Dmd": Row(
        {"mirrors": picture(4, 5) / 2, "pitch": 0.9, "fill_factor": 0.8, **PLACE}
        | {"mirror_tilt": 0.2}
    ),
    "DeformableMirror": Row(
        {"commands": [0.1, -0.2, 0.3], "influence": picture(3, N, N), "stroke": 0.25}
    ),
    "Slm": Row(
        {"levels": 2 * picture(4, 5), "pitch": 0.6, "table": [0.1, 2.0, 3.3, 4.0]}
        | {"fill_factor": 0.83, "gap": 0.7, "crosstalk": 0.4, "correction": 0.7 * picture(4, 5)}
        | {"flatness": 0.1 * picture(4, 5), "tilt": [0.1, 0.3], **PLACE}
    ),
    "CircularAperture": Row({"radius": 1.02, "y": 0.1, "x": -0.07}),
    "Polarize": Row({"jones": np.array([0.6, 0.8], np.float32)}),
    "Unpolarized": Row({}),
    "Polarizer": Row({"angle": 0.7, "leakage": 0.01}, POLARIZED),
    "Retarder": Row({"retardance": 1.3, "angle": 0.7}, POLARIZED),
    "RetarderMask": Row({"retardance": picture(), "angle": picture()}, POLARIZED),
    "Rotator": Row({"angle": 0.7}, POLARIZED),
    "QPlate": Row({"retardance": 1.3, "angle": 0.7, "y": 0.1, "x": -0.07}, POLARIZED, {"q": 0.5}),
    "JonesMask": Row({"jones": picture(2, 2)}, POLARIZED),
    "PolarizingBeamSplitter": Row({"angle": 0.7, "leakage": 0.01}, POLARIZED),
    "Stokes": Row({}, POLARIZED),
    "ThinSample": Row({"dn": picture(), "thickness": 0.3}),
    "Multislice": Row(
        {"dn": picture(3, N, N), "thickness": 0.3, "n": 1.2}, static={"segment": 2, "border": 1}
    ),
    "Pad": Row({}, static={"shape": (8, 9)}),
    "Crop": Row({}, static={"shape": (4, 3)}),
    "Resample": Row({"spacing": 0.6}, static={"shape": (5, 7)}),
    "Shift": Row({"y": 0.31, "x": -0.17}),
    "Flip": Row({}, static={"axis": "x"}),
    "Normalize": Row({"power": 1.3}),
    "Wiener": Row({"psf": picture(2, 3, 3), "weight": 0.1}, IMAGE, {"boundary": "edge"}),
    "ConvolvePsf": Row({"psf": picture(3, 3)}, IMAGE, {"boundary": "reflect"}),
    "ImageVolume": Row({"psf": picture(2, 3, 3)}, (picture(2, N, N),), {"boundary": "edge"}),
    "Camera": Row(
        {**PHOTONS, "read_noise": 1.6, "gain": 0.4, "offset": 100.0, "full_well": 3e4},
        (KEY, 50 * picture()),
        {"bit_depth": 12},
    ),
    "ExpectedCounts": Row(
        {**PHOTONS, "gain": 0.4, "offset": 100.0, "full_well": 3e4}, IMAGE, {"bit_depth": 12}
    ),
    "CountsVariance": Row({**PHOTONS, "read_noise": 1.6, "gain": 0.4}, IMAGE),
    "PixelIntegrate": Row(
        {"spacing": 0.5, "pitch": 0.9, "fill_factor": 0.8}, IMAGE, {"shape": (3, 3)}
    ),
    "Expose": Row(PHOTONS, IMAGE),
    "ShotNoise": Row({}, (KEY, 50 * picture())),
    "AddReadNoise": Row({"read_noise": 1.6}, (KEY, 50 * picture())),
    "Saturate": Row({"full_well": 1.1}, IMAGE),
    "Quantize": Row({"gain": 0.3, "offset": 100.0}, IMAGE, {"bit_depth": 12}),
    "IntegratePixels": Row(
        {"spacing": 0.1, "pixel": 0.13, "sigma": 0.05}, IMAGE, {"shape": (5, 4)}
    ),
    "GaussianBlur": Row({"spacing": 0.1, "sigma": 0.07}, IMAGE),
    "ExpectedPhotons": Row({"photons": 100.0, "background": 2.0}, IMAGE),
}

NOUNS = {
    "Layers": Row(
        {"n_s": 1.33, "n_g": 1.52, "n_i": 1.51, "t_s": 2.0, "t_g": 170.0, "t_i_design": 100.0}, ()
    ),
    "Objective": Row({"na": 0.9, "wavelength": 0.6, "n": 1.33}, (), {"apodization": "herschel"}),
    "Window": Row({"spacing": [0.1, 0.12], "z": 0.3, "y": 0.05, "x": -0.1}, (), {"shape": (N, 9)}),
    "RadialPupil": Row({"coefficients": [0.05], "filling": 1.2}, (), {"modes": ((4, 0),)}),
    "LensArray": Row({"f": [900.0, 1100.0], "pitch": 51.0, "phi": 0.1, "y": 2.0, "x": -3.0}, ()),
    "ZernikePupil": Row({"coefficients": [0.05, -0.02]}, (), {"modes": ((4, 0), (3, 1))}),
}
TABLE |= NOUNS

# Elements that wrap no function, or more than one; each has tests of its own.
VERBS = {
    "ScalarFocus": {},
    "ScalarFocusIntensity": {},
    "Focus": {"polarization": [0.6, 0.8]},
    "FocusIntensity": {"polarization": [0.6, 0.8j]},
    "EmitterField": {"dipole": [0.6, 0.0, 0.8]},
    "EmitterImage": {"dipole": [0.6, 0.3, 0.8]},
}
OTHERS = {"Element", "ZernikeMask", "Intensity", "Microscope", "EmittersImage", "DipolePupil"}
OTHERS |= {"LightFieldMicroscope", "FourierMicroscope"}  # test_lightfield_elements.py
OTHERS |= set(VERBS) | {n for n in el.__all__ if "Height" in n}  # test_height_elements.py
# (element, argument) that differs from its function on purpose, with the reason.
DIFFERENCES = {("PixelIntegrate", "spacing"): "by default that of the field it is called with"}


def make(name: str, **changed: Any) -> Element:
    row = TABLE[name]
    return getattr(el, name)(**{**row.numbers, **row.static, **changed})


def call(element: Any, inputs: tuple) -> Any:
    return element(*inputs)


def total(result: Any) -> jax.Array:
    """A real number in which every sample counts differently."""
    value = 0.0
    for k, leaf in enumerate(jax.tree.leaves(result)):
        w, v = np.random.default_rng(k).normal(size=(2, *leaf.shape)).astype(np.float32)
        value += jnp.sum(w * leaf.real + v * leaf.imag + 0.3 * w * jnp.abs(leaf) ** 2)
    return value


def near(got: Any, need: Any, tolerance: float, floor: Any = None) -> None:
    """To a tolerance of the largest number of each leaf, or the floor of that leaf."""
    floors = floor or jax.tree.map(lambda _: 0.0, need)
    for a, b, c in zip(*map(jax.tree.leaves, (got, need, floors)), strict=True):
        atol = max(tolerance * float(jnp.abs(b).max()), c)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=atol)


rows = pytest.mark.parametrize("name", TABLE)
SLOW = {"HighNAFFLens", "HighNAFFLensScalar"}  # long programs
SLOW_GRADIENT = {
    *"GaussianSchellBeam Slm PhaseMask OpdMask AmplitudeMask Lens LaguerreGaussBeam".split(),
    *"GaussianBeam HermiteGaussBeam KoehlerImage ScalableAngularSpectrum Speckle Dmd".split(),
    *"RayleighSommerfeld ZonePlate BesselBeam MicrolensArray LpModes".split(),
}


def with_slow(names: Iterable[str], slow: set[str]) -> pytest.MarkDecorator:
    marks = {name: pytest.mark.slow if name in slow else () for name in names}
    return pytest.mark.parametrize("name", [pytest.param(n, marks=m) for n, m in marks.items()])


numbered = [name for name in TABLE if TABLE[name].numbers]


def test_every_element_is_tested():
    classes = {n for n in el.__all__ if isinstance(getattr(el, n), type)}
    elements = {n for n in classes if issubclass(getattr(el, n), Element)}
    assert elements == set(TABLE) | OTHERS


@rows
def test_signature_is_that_of_the_function(name):
    cls, row = getattr(el, name), TABLE[name]
    function = inspect.signature(cls._function).parameters
    mine = inspect.signature(cls).parameters
    names = list(function)[len(row.inputs) :]
    assert [n for n in names if n in mine] == [n for n in names] and set(mine) == set(names)
    for key in names:
        if (name, key) in DIFFERENCES:
            continue
        assert mine[key].default == function[key].default, key
        if name not in NOUNS:  # an option of a noun may go by place
            assert mine[key].kind == function[key].kind, key


@pytest.mark.parametrize("of", [psf.Microscope, psf.Microscope.psf])
def test_signature_of_the_microscope(of):
    mine = inspect.signature(el.Microscope).parameters
    for key, parameter in inspect.signature(of).parameters.items():
        if key != "self":
            assert mine[key].default == parameter.default, key


@with_slow(TABLE, SLOW)
def test_value_is_that_of_the_function(name):
    row = TABLE[name]
    numbers = {k: jnp.asarray(v, jnp.float32) for k, v in row.numbers.items()}
    need = getattr(el, name)._function(*row.inputs, **numbers, **row.static)
    got = make(name)(*row.inputs)
    assert jax.tree.structure(got) == jax.tree.structure(need)
    near(got, need, 0)


def slopes(function: Callable, numbers: Any) -> tuple:
    value, slope = jax.value_and_grad(function)(numbers)
    return value, *jax.tree.leaves(slope)


@with_slow(numbered, SLOW | SLOW_GRADIENT)
def test_compiled_once_and_differentiated_as_the_function(name):
    row, traces = TABLE[name], []
    element = el.learn(make(name), "*")
    graph, state = nnx.split(element)
    names = list(el.parameters(element))
    assert set(row.numbers) <= set(names)

    @interpreted
    def of_element(state, *inputs):
        traces.append(1)
        return slopes(lambda s: total(nnx.merge(graph, s)(*inputs)), state)

    @interpreted
    def gradient(numbers, *inputs):
        function = getattr(el, name)._function
        return slopes(lambda v: total(function(*inputs, **v, **row.static)), numbers)

    values = {k: element.arguments()[k] for k in row.numbers}
    size, *slope = gradient(values, *row.inputs)
    need = jax.tree.unflatten(jax.tree.structure(values), slope)
    _, *slope = of_element(state, *row.inputs)
    slope = jax.tree.unflatten(jax.tree.structure(state), slope)
    got = el.parameters(nnx.merge(graph, slope))
    # Where nothing depends on a number, its gradient is the rounding of the total.
    rounding = {k: 1e-6 * abs(float(size)) / float(jnp.abs(v).max()) for k, v in values.items()}
    near({k: got[k] for k in row.numbers}, need, 1e-4, rounding)
    other = el.replace(element, {k: 1.01 * v for k, v in values.items()})
    assert nnx.graphdef(other) == graph
    of_element(nnx.state(other), *row.inputs)
    assert len(traces) == 1, "a changed number compiled the element again"


@rows
def test_a_number_is_fixed_and_prints(name):
    element = make(name)
    assert el.learned(element) == []
    assert repr(element).startswith(name + "(") and "\n" not in repr(element)
    for key in TABLE[name].numbers:
        assert type(getattr(element, key)) is el.Fixed


def test_zernike_mask_is_an_opd_mask_of_modes():
    modes, c, radius = [(2, 0), (3, 1)], jnp.array([0.05, -0.02]), 2.0
    opd = jw.zernike_opd(c, modes, FIELD.y / radius, FIELD.x / radius)
    mask = el.ZernikeMask(c, modes, "2 um")
    near(mask(FIELD), jw.opd_mask(FIELD, opd), 1e-6)
    batch = el.ZernikeMask(jnp.stack([c, 2 * c]), modes, radius)(FIELD)
    near(batch.u[1], jw.opd_mask(FIELD, 2 * opd).u, 1e-5)


def test_pixels_take_the_spacing_of_a_field():
    pixels = el.PixelIntegrate(pitch=0.9, shape=(3, 3))
    need = jw.pixel_integrate(FIELD.intensity, spacing=0.5, pitch=0.9, shape=(3, 3))
    near(pixels(FIELD), need, 1e-6)
    with pytest.raises(ValueError, match="has no spacing"):
        pixels(FIELD.intensity)


def test_intensity_needs_a_field():
    near(el.Intensity()(FIELD), FIELD.intensity, 0)
    with pytest.raises(TypeError, match="Intensity: `field` must be a Field"):
        el.Intensity()(jnp.ones((2, 2)))


def test_several_layers_of_a_coverslip():
    need = psf.Layers(n_s=1.33, n_g=(1.5, 1.6), n_i=1.51, t_g=(100.0, 60.0))
    layers = el.Layers(n_s=1.33, n_g=[1.5, 1.6], n_i=1.51, t_g=[100.0, 60.0])
    near(layers(), need, 1e-6)  # the element holds float32
    assert len(layers().n_g) == 2


# -- without flax's graph mode, which is going to be dropped -------------------------------

TREE_MODE = {"NNX_GRAPH_MODE": "false", "NNX_GRAPH_UPDATES": "false"}


def program(element: Element, inputs: tuple) -> tuple[str, list, list[str]]:
    """The whole program of an element with every number learned, its constants and its names."""
    if el.parameters(element):
        element = el.learn(element, "*")
    graph, state = nnx.split(element)
    traced = jax.make_jaxpr(lambda state, *inputs: nnx.merge(graph, state)(*inputs))
    closed = traced(state, *inputs)
    again = el.replace(nnx.merge(graph, state), el.parameters(element))
    assert nnx.graphdef(again) == graph
    return str(closed.jaxpr), closed.consts, list(el.parameters(again))


def same_in_tree_mode(build: Callable[[], Element], inputs: tuple) -> None:
    """One program, letter for letter: so values, slopes and batches are the same too."""
    if not nnx.set_graph_mode.current_value():
        pytest.skip("this is tree mode already")
    text, constants, names = program(build(), inputs)
    with nnx.set_graph_mode(False), nnx.set_graph_updates(False):
        in_tree = program(build(), inputs)
    assert in_tree[0] == text and in_tree[2] == names
    for a, b in zip(in_tree[1], constants, strict=True):
        np.testing.assert_array_equal(a, b)


@rows
def test_tree_mode_traces_the_same_program(name):
    same_in_tree_mode(lambda: make(name), TABLE[name].inputs)


@pytest.mark.slow
def test_the_rest_of_the_folder_in_tree_mode():
    """Systems, names, storage, torch and reliefs, where elements meet flax."""
    if not nnx.set_graph_mode.current_value():
        pytest.skip("this is tree mode already")
    folder = Path(__file__).parent
    files = [str(p) for p in sorted(folder.glob("test_*.py")) if p.name not in TRACED]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files]
    run = subprocess.run(
        [*command, "-m", "not slow", "-o", "slow_list="],
        cwd=folder.parents[1],
        env={**os.environ, **TREE_MODE},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
    assert " passed" in run.stdout


# Files whose elements are traced above instead: their tests are of the physics.
TRACED = ("test_every_element.py", "test_microscope_element.py")


# -- verbs: an objective, a window, a pupil ------------------------------------------------


def parts(element):
    """Nouns of a verb's element, from its own numbers."""
    layers = psf.Layers(n_s=1.36, n_g=1.52, n_i=1.49, t_s=0.7)
    return (
        psf.Objective(0.9, 0.6, layers=layers),
        psf.Window((7, N), (0.12, 0.1), z=0.3, y=0.05, x=-0.1),
    )


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_is_its_function_and_its_nouns_are_learned(name):
    objective, window = parts(name)
    options = VERBS[name]
    pupil = el.ZernikePupil([0.05, -0.02], [(3, 1), (2, -2)])
    element = getattr(el, name)(objective, window, **options)
    need = element._function(objective, window, pupil(), **options)
    near(element(pupil), need, 2e-6)
    model = el.System(pupil=pupil, lens=element)
    names = ["pupil.coefficients", "lens.objective.na", "lens.objective.layers.n_s"]
    names += ["lens.window.spacing", *(f"lens.{key}" for key in options)]
    assert set(names) <= set(el.parameters(model))
    again = el.replace(model, {"lens.window.z": 0.5})
    moved = element._function(objective, dataclasses.replace(window, z=0.5), pupil(), **options)
    near(again.lens(pupil), moved, 1e-5)


@pytest.mark.slow
def test_a_verb_is_differentiated_as_its_function():
    objective, window = parts("EmitterImage")
    element = el.learn(el.EmitterImage(objective, window), "*")
    graph, state = nnx.split(element)
    rate = jax.jit(jax.grad(lambda s: total(nnx.merge(graph, s)())))(state)
    by_hand = jax.jit(jax.grad(lambda o, w: total(psf.emitter_image(o, w)), argnums=(0, 1)))
    o, w = by_hand(objective, window)
    got = el.parameters(nnx.merge(graph, rate))
    near(
        [got[k] for k in ("objective.na", "objective.layers.t_s", "window.spacing", "window.x")],
        [o.na, o.layers.t_s, w.spacing, w.x],
        1e-4,
    )


def test_wrong_nouns_are_named():
    with pytest.raises(TypeError, match=r"Focus: `objective` must be elements\.Objective"):
        el.Focus(1.4, psf.Window((8, 8), 0.1))
    with pytest.raises(TypeError, match=r"DipolePupil: `objective` must be elements\.Objective"):
        el.DipolePupil(0.9, (8, 8), spacing=900.0, f=2000.0, dipole=[1, 0, 0])
    noun = psf.Objective(0.9, 0.6, n=1.33)
    pupil = el.DipolePupil(noun, (8, 8), spacing=900.0, f=2000.0, dipole=[1, 0, 0])
    assert isinstance(pupil.objective, el.Objective)
    with pytest.raises(ValueError, match="Objective: `na` must be below"):
        el.Objective(1.4, 0.5)


@pytest.mark.parametrize("name", [*VERBS, "Microscope", "EmittersImage", "ZernikeMask"])
def test_tree_mode_traces_the_same_program_of_several_nouns(name):
    def scope():
        return el.Microscope(1.2, 0.6, (6, 8), pixel=0.12, n=1.33)

    builds = {
        "Microscope": (scope, (picture(16, 17),)),
        "EmittersImage": (lambda: el.EmittersImage(scope(), [[0.2, 0.1, -0.2]], size=5), ()),
        "ZernikeMask": (lambda: el.ZernikeMask([0.05, -0.02], [(2, 0), (3, 1)], 2.0), (FIELD,)),
    }

    def verb():
        return getattr(el, name)(*parts(name), **VERBS[name])

    same_in_tree_mode(*builds.get(name, (verb, ())))


def test_dipole_pupil_and_emitters():
    pupil = el.DipolePupil(
        el.Objective(0.9, 0.6, n=1.33), (N, 9), spacing=[900.0, 700.0], f=2000.0,
        dipole=[0.6, 0.0, 0.8], z=0.3,
    )  # fmt: skip
    need = psf.dipole_pupil(
        psf.Objective(0.9, 0.6, n=1.33), (N, 9), spacing=(900.0, 700.0), f=2000.0,
        dipole=[0.6, 0.0, 0.8], z=0.3,
    )  # fmt: skip
    near(pupil().u, need.u, 1e-6)
    scope = el.Microscope(1.2, 0.6, (20, 24), pixel=0.12, n=1.33)
    places = [[0.2, 0.31, -0.2], [-0.1, -0.5, 0.9]]
    frame = el.EmittersImage(scope, places, photons=[100.0, 50.0], size=15)
    near(frame(), psf.emitters_image(scope.model(), places, [100.0, 50.0], size=15), 1e-6)
    assert "microscope.wavelength" in el.parameters(frame)
