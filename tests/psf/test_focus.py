"""Six verbs and every pupil, everything distinct at once, against float64 quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from psf.polar import Aperture, off, window

from jaxwave import JaxwaveWarning, psf

W, NA = 0.6, 1.25
JONES = np.array([0.36 - 0.48j, 0.1 + 0.8j])
DIPOLE = np.array([0.18 - 0.24j, 0.5j, -0.7])
SHAPE, PLACE, Z = (6, 9), dict(spacing=(0.11, 0.08), y=0.23, x=-0.31), np.array([-0.4, 0.7])
C, MODES = np.array([0.06, -0.04, 0.03]), [(2, 2), (3, -1), (4, 0)]
LAYERS = dict(n_s=1.36, n_g=1.52, n_i=1.5, t_s=1.2, n_i_design=1.51)
LITERAL = dict(n_s=1.36, n_g=(1.52,), t_s=1.2, t_g=(170.0,), n_i0=1.51)
PEAK = np.sqrt(np.pi) * NA / W


def mask(y, x):
    return np.exp(0.7j * x - 0.4j * y * y + 0.5j * x * y) * (1 + 0.3 * x - 0.2 * y)


def other(y, x):
    return 0.7 * np.exp(-0.5j * x + 0.9j * y) * (1 - 0.4 * x * y)


def function(y, x):
    return jnp.exp(0.7j * x - 0.4j * y * y + 0.5j * x * y) * (1 + 0.3 * x - 0.2 * y)


def pair(y, x):
    return jnp.stack([function(y, x), 0.7 * jnp.exp(-0.5j * x + 0.9j * y) * (1 - 0.4 * x * y)])


def path(y, x):
    r2 = x * x + y * y
    w = C[0] * np.sqrt(6) * (x * x - y * y) + C[1] * np.sqrt(8) * (3 * r2 - 2) * y
    return np.exp(2j * np.pi * (w + C[2] * np.sqrt(5) * (6 * r2 * r2 - 6 * r2 + 1)) / W)


def round_(y, x):
    return np.exp(-(x * x + y * y) / 0.81) * (1 + 0.2j * (x * x + y * y)) + 0 * y


RADIAL = psf.RadialPupil(lambda rho: 1 + 0.2j * rho * rho, filling=0.9)


def sampled(*functions):
    y, x = (np.asarray(a, float) for a in psf.pupil_coordinates((193, 170)))
    values = np.stack([f(y, x) for f in functions])
    return values[0] if len(functions) == 1 else psf.JonesPupil(values)


def aberrated(pupil=None):
    return psf.ZernikePupil(C, MODES, pupil)


def times(*functions):
    return lambda y, x: np.prod([f(y, x) for f in functions], axis=0)


# name: (pupil, what it does to x and y, verb, moves, error of its sampling)
CASES = {
    "function": (lambda: function, (mask, mask), "focus", "stage", 0),
    "two functions, field of an emitter": (
        lambda: psf.JonesPupil(pair), (mask, other), "emitter_field", "emitter", 0),
    "two functions, emitter that rotates": (
        lambda: psf.JonesPupil(pair), (mask, other), "rotating", "stage", 0),
    "samples": (lambda: sampled(mask), (mask, mask), "focus_intensity", "emitter", 6e-4),
    "samples, scalar": (lambda: sampled(other), (other, other), "scalar_focus", "stage", 6e-4),
    "samples of two": (
        lambda: sampled(mask, other), (mask, other), "emitter_image", "stage", 6e-4),
    "modes": (aberrated, (path, path), "scalar_focus", "emitter", 0),
    "modes before a function": (
        lambda: aberrated(function), (times(path, mask),) * 2, "emitter_image", "stage", 0),
    "modes before samples": (
        lambda: aberrated(sampled(mask)), (times(path, mask),) * 2, "scalar_focus_intensity",
        "stage", 6e-4),
    "modes before samples of two": (
        lambda: aberrated(sampled(mask, other)), (times(path, mask), times(path, other)),
        "emitter_field", "stage", 6e-4),
    "modes before two functions": (
        lambda: aberrated(psf.JonesPupil(pair)), (times(path, mask), times(path, other)),
        "focus", "emitter", 0),
    "modes before a round pupil": (
        lambda: aberrated(RADIAL), (times(path, round_),) * 2, "rotating", "emitter", 0),
}  # fmt: skip


def call(verb, o, to, pupil):
    if verb == "rotating":
        return psf.emitter_image(o, to, pupil)
    extra = {}
    if verb.startswith("focus"):
        extra = dict(polarization=JONES)
    if verb.startswith("emitter"):
        extra = dict(dipole=2 * DIPOLE)
    return getattr(psf, verb)(o, to, pupil, **extra)


def reference(verb, rays, pupils, y, x, z):
    if verb == "rotating":
        return rays.rotating(pupils, y, x, z)
    if verb.startswith("scalar"):
        field = rays.scalar(pupils[0], y, x, z)[None]
    elif verb.startswith("focus"):
        field = rays.focus(pupils, y, x, z, JONES)
    else:
        field = rays.emitter(pupils, y, x, z, DIPOLE)
    if verb.endswith(("intensity", "image")):
        return np.sum(np.abs(field) ** 2, axis=0)
    return field[0] if verb == "scalar_focus" else field


@pytest.mark.parametrize("name", CASES)
def test_everything_distinct(name):
    make, pupils, verb, motion, sampling = CASES[name]
    o = psf.Objective(NA, W, layers=psf.Layers(**LAYERS), motion=motion)
    got = call(verb, o, psf.Window(SHAPE, z=Z, **PLACE), make())
    transmit = not verb.startswith("scalar")
    rays = Aperture(na=NA, wavelength=W, n=1.5, layers=LITERAL, motion=motion, transmit=transmit)
    _, y, x = window(SHAPE, **PLACE)
    need = np.stack([reference(verb, rays, pupils, y, x, z) for z in Z])
    amplitude = rays.emission if verb.startswith(("emitter", "rotating")) else 1.0
    peak = PEAK * amplitude
    squared = verb.endswith(("intensity", "image", "rotating"))
    assert off(got, need, peak**2 if squared else peak) < 5e-6 + sampling


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["emitter_image", "focus"])
def test_everything_distinct_in_float64_beyond_the_critical_angle(verb, x64):
    """Rings that are split at the critical angle of the sample, in float64."""
    layers = psf.Layers(**LAYERS | {"t_s": 0.4})
    o, to = psf.Objective(1.45, W, layers=layers), psf.Window(SHAPE, z=0.3, **PLACE)
    literal = LITERAL | {"t_s": 0.4}
    rays = Aperture(na=1.45, wavelength=W, n=1.5, layers=literal, radial=140, azimuthal=240)
    _, y, x = window(SHAPE, **PLACE)
    need = reference(verb, rays, (times(path, mask),) * 2, y, x, 0.3)
    peak = PEAK * 1.45 / NA * (rays.emission if verb == "emitter_image" else 1)
    peak = peak**2 if verb == "emitter_image" else peak
    assert off(call(verb, o, to, aberrated(function)), need, peak) < 1e-8


def test_samples_across_the_critical_angle_are_told():
    layers = psf.Layers(**LAYERS)
    o, to = psf.Objective(1.45, W, layers=layers), psf.Window((5, 6), 0.1)
    with pytest.warns(JaxwaveWarning, match=r"sampled across the critical angle at 0.938 pupil"):
        psf.scalar_focus_intensity(o, to, sampled(mask))


def test_modes_across_the_critical_angle_take_rings():
    layers = psf.Layers(**LAYERS)
    o, to = psf.Objective(1.45, W, layers=layers), psf.Window((5, 6), 0.1)
    rings = psf.nodes(o, to, aberrated())
    assert isinstance(rings, psf.PolarNodes) and rings.breaks == pytest.approx((1.36 / 1.45,))
    rays = Aperture(na=1.45, wavelength=W, n=1.5, layers=LITERAL, transmit=False, radial=120)
    _, y, x = window((5, 6), 0.1)
    need = np.abs(rays.scalar(path, y, x)) ** 2
    got = psf.scalar_focus_intensity(o, to, aberrated())
    assert off(got, need, (PEAK * 1.45 / NA) ** 2) < 2e-6


# -- bad input -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (dict(objective=1.2), TypeError, r"focus: `objective` must be psf.Objective\(...\), got"),
        (dict(window=(9, 9)), TypeError, r"focus: `window` must be psf.Window\(...\), got tuple"),
        (dict(pupil=lambda y, x: 1 + 0 * x, nodes=33), ValueError, "`nodes` must be even"),
        (dict(pupil=lambda y, x: jnp.ones((2, 2))), ValueError, "one value for each point"),
        (dict(pupil=lambda y, x: jnp.ones((3, *x.shape))), ValueError, "one value for each point"),
        (dict(pupil=psf.radial_polarization), ValueError, "of the x and y components pass Jones"),
        (dict(pupil=psf.JonesPupil(lambda y, x: x)), ValueError, r"must make values \(2, y, x\)"),
        (dict(pupil=np.ones(33)), ValueError, r"`pupil` must be .* got the shape \(33,\)"),
        (dict(pupil=np.ones((4, 33))), ValueError, r"at least \(8, 8\) samples"),
        (
            dict(pupil=lambda y, x: y > x / 3 + 0.1),
            ValueError,
            "focus: `pupil` is not smooth enough",
        ),
        (dict(pupil=lambda y, x: x * np.nan, nodes=8), ValueError, "`pupil` must be finite"),
        (dict(pupil=np.full((9, 9), np.inf)), ValueError, "`pupil` must be finite"),
        (dict(pupil="vortex"), TypeError, "`pupil` must be a function or samples"),
        (dict(polarization=(1, 0, 0)), ValueError, r"`polarization` must have 2 components"),
        (dict(polarization=(np.nan, 0)), ValueError, "`polarization` must be finite"),
        (dict(polarization="circular"), ValueError, "`polarization` must be one of 'radial'"),
        (
            dict(polarization="radial", pupil=lambda y, x: 1 + 0 * x),
            ValueError,
            r"focus: polarization='radial' goes with .*JonesPupil\(radial_polarization\)",
        ),
        (dict(nodes=30), ValueError, r"focus: `nodes` must be three integers .* got 30"),
        (dict(nodes=(8, 0, 3.5)), ValueError, "`nodes` must be three integers"),
    ],
)
def test_errors(change, kind, words):
    given = dict(objective=psf.Objective(1.3, 0.6, 1.5), window=psf.Window((9, 8), 0.1))
    with pytest.raises(kind, match=words):
        psf.focus(**(given | change))


def test_errors_of_the_other_verbs_name_them():
    o, to = psf.Objective(1.3, 0.6, 1.5), psf.Window((9, 8), 0.1)
    jones = psf.JonesPupil(pair)
    with pytest.raises(TypeError, match=r"scalar_focus: `pupil` is a JonesPupil, but the model"):
        psf.scalar_focus(o, to, jones)
    with pytest.raises(ValueError, match="emitter_image: `dipole` must have a direction"):
        psf.emitter_image(o, to, dipole=(0, 0, 0))
    with pytest.raises(ValueError, match="emitter_image: `dipole` must be finite"):
        psf.emitter_image(o, to, dipole=(np.nan, 0, 1))
    with pytest.raises(ValueError, match=r"emitter_field: `dipole` must have 3 components"):
        psf.emitter_field(o, to, dipole=(1, 0))
    with pytest.raises(ValueError, match="emitter_field: `dipole` must be a direction"):
        psf.emitter_field(o, to, dipole=None)
    with pytest.raises(TypeError, match="emitter_image: a RadialPupil inside a ZernikePupil may"):
        inner = psf.RadialPupil(coefficients=[0.1], modes=[(4, 0)])
        psf.emitter_image(o, to, psf.ZernikePupil([0.1], [(2, 2)], inner))
    with pytest.raises(TypeError, match="nodes: `objective` must be"):
        psf.nodes(to, o)


def test_too_few_nodes_and_samples_are_said():
    o, to = psf.Objective(1.3, 0.6, 1.5), psf.Window((201, 201), 0.04)
    clear = lambda y, x: 1 + 0 * x  # noqa: E731
    with pytest.warns(JaxwaveWarning, match="scalar_focus: `nodes` = 16 are too few .* would do"):
        jax.eval_shape(lambda: psf.scalar_focus(o, to, clear, nodes=16))
    with pytest.warns(JaxwaveWarning, match="Pass at least"):
        jax.eval_shape(lambda: psf.scalar_focus(o, to, np.ones((16, 16))))
    far = psf.Window((41, 41), 0.1, 20.0)
    need = psf.nodes(o, far)
    message = rf"`nodes` \(16, 0, 20\) may be too few .* \({need[0]}, 0, {need[2]}\) would do"
    with pytest.warns(JaxwaveWarning, match=message):
        jax.eval_shape(lambda: psf.focus_intensity(o, far, nodes=(16, 0, 20)))


@pytest.mark.parametrize(
    ("verb", "window"),
    [
        (psf.focus, psf.Window((5, 6), spacing=50)),
        (psf.scalar_focus_intensity, psf.Window((5, 1), spacing=(6.5, 0.1))),
        (psf.emitter_image, psf.Window((1, 6), spacing="50 um", z=[0.0, 0.1])),
    ],
)
def test_a_window_that_its_spacing_cannot_resolve_is_named(verb, window):
    objective = psf.Objective(1.3, 0.52, n=1.518)
    with pytest.warns(
        JaxwaveWarning, match=rf"{verb.__name__}: the window's `spacing` of .*0.1 µm"
    ):
        jax.eval_shape(lambda: verb(objective, window))
    fine = psf.Window(window.shape, spacing=np.where(np.array(window.shape) > 1, 0.39, 50))
    jax.eval_shape(lambda: verb(objective, fine))  # 0.39 < 0.4, and one sample is one sample
