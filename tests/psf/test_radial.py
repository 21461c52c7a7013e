"""Circularly symmetric pupils against the quadrature, Airy, power and finite differences."""

import dataclasses
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from interpreter import interpreted
from psf.polar import off, window
from psf.quadrature import Round
from scipy.special import j1

from jaxwave import psf

W = 0.6
LAYERS = {"n_s": 1.33, "n_g": 1.52, "n_i": 1.515, "t_s": 1.5, "n_i_design": 1.51}
REFERENCE = {"n_s": 1.33, "n_g": (1.52,), "t_s": 1.5, "t_g": (170.0,), "n_i0": 1.51}
Z = np.array([-1.0, 0.0, 2.0])
JONES = np.array([0.36 - 0.48j, 0.1 + 0.8j])
DIPOLE = np.array([0.18 - 0.24j, 0.5j, 0.7]) / np.linalg.norm([0.3, 0.5, 0.7])
C, FILLING = np.array([0.11, -0.04]), 0.8


def layers():
    return psf.Layers(**LAYERS)


def profile(rho):
    return 1 - 0.4 * rho**2 + 0.2j * rho**4


def whole(rho):
    return profile(rho) * np.exp(-((rho / FILLING) ** 2))


def opd(rho):
    mode = np.polynomial.legendre.Legendre.basis
    t = 2 * rho**2 - 1
    return C[0] * np.sqrt(5) * mode(2)(t) + C[1] * np.sqrt(7) * mode(3)(t)


FULL = dict(profile=profile, coefficients=C, modes=[(4, 0), (6, 0)], filling=FILLING)


def stacked(function, y, x, z=Z):
    return np.stack([function(y, x, one) for one in z])


def square(field, axis):
    return (np.abs(field) ** 2).sum(axis)


# -- against the quadrature ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("double", "na", "optics", "place", "full"),
    [
        (True, 1.45, "layers", dict(spacing=(0.06, 0.075), y=0.21, x=-0.4), True),
        (False, 1.3, "oil", dict(spacing=0.06), False),
    ],
    ids=["beyond the critical angle, float64", "oil, float32"],
)
def test_every_verb(double, na, optics, place, full):
    # Of the peak of a clear pupil. float32: phases of 100 rad in the pupil, half a unit each.
    limit = 1e-12 if double else 2e-6
    shape = (12, 15)
    n = 1.5 if optics == "oil" else 1.515
    medium = dict(n=n) if optics == "oil" else dict(layers=layers())
    extra = {"layers": REFERENCE, "transmit": True} if optics == "layers" else {}
    extra |= {"pupil": whole, "opd": opd} if full else {}
    reference = Round(wavelength=W, na=na, n=n, **extra)
    factor = np.sqrt(3 / (8 * reference.n_s * n)) * na
    _, y, x = window(shape, **place)
    with jax.enable_x64(double):
        o, to = psf.Objective(na, W, **medium), psf.Window(shape, z=Z, **place)
        pupil = psf.RadialPupil(**FULL) if full else None
        matrix = stacked(reference.matrix, y, x)
        peak = np.sqrt(np.pi) * na / W
        focus = np.einsum("zcjyx,j->zcyx", matrix, JONES)
        found = psf.focus(o, to, pupil, polarization=JONES)
        assert found.dtype == (jnp.complex128 if double else jnp.complex64)
        assert off(found, focus, peak) < limit
        found = psf.focus_intensity(o, to, pupil, polarization=JONES)
        assert off(found, square(focus, 1), peak**2) < limit
        image = np.einsum("zcjyx,c->zjyx", matrix, DIPOLE) * factor
        peak = peak * factor
        found = psf.emitter_field(o, to, pupil, dipole=2 * DIPOLE)
        assert off(found, image, peak) < limit
        found = psf.emitter_image(o, to, pupil, dipole=DIPOLE)
        assert off(found, square(image, 1), peak**2) < limit
        found = psf.emitter_image(o, to, pupil)
        assert off(found, square(matrix * factor, (1, 2)) / 3, peak**2) < limit


def test_a_traced_dipole_has_no_length():
    o, to = psf.Objective(1.3, W, 1.5), psf.Window((3, 4), 0.11)
    got = jax.jit(lambda dipole: psf.emitter_image(o, to, dipole=dipole))(3 * DIPOLE)
    need = psf.emitter_image(o, to, dipole=DIPOLE)
    assert off(got, need, float(need.max())) < 2e-6


def test_layers_in_float32():
    o, shape = psf.Objective(1.45, W, layers=layers()), (12, 15)
    _, y, x = window(shape, 0.06)
    reference = Round(wavelength=W, na=1.45, n=1.515, layers=REFERENCE, transmit=True)
    factor = np.sqrt(3 / (8 * 1.33 * 1.515)) * 1.45
    need = square(stacked(reference.matrix, y, x) * factor, (1, 2)) / 3
    got = psf.emitter_image(o, psf.Window(shape, 0.06, Z))
    assert off(got, need, (np.sqrt(np.pi) * 1.45 / W * factor) ** 2) < 2e-6


@pytest.mark.parametrize("kind", ["radial", "azimuthal"])
def test_rings_of_polarization(kind, x64):
    o = psf.Objective(1.45, W, layers=layers())
    reference = Round(wavelength=W, na=1.45, n=1.515, layers=REFERENCE, transmit=True)
    _, y, x = window((7, 10), 0.1)
    fields = np.stack([reference.rings(y, x, z, kind) for z in Z])
    to = psf.Window((7, 10), 0.1, Z)
    assert off(psf.focus(o, to, polarization=kind), fields, 4.2) < 1e-12
    intensity = psf.focus_intensity(o, to, polarization=kind)
    assert off(intensity, square(fields, 1), 18) < 1e-12


@pytest.mark.parametrize("motion", ["stage", "emitter"])
def test_scalar_at_and_beyond_the_critical_angle(motion, x64):
    """na = n_s is the end of the first panel; just below it the root is nearly singular."""
    na = np.array([1.33, 1.3299, 1.4])
    _, y, x = window((6, 15), 0.1)
    found = psf.scalar_focus(
        psf.Objective(na, W, layers=layers(), motion=motion), psf.Window((6, 15), 0.1, Z)
    )
    for k, one in enumerate(na):
        reference = Round(wavelength=W, na=one, n=1.515, layers=REFERENCE, motion=motion)
        need = stacked(reference.scalar, y, x)
        assert off(found[k], need, np.sqrt(np.pi) * one / W) < 1e-12


@pytest.mark.parametrize(
    ("shape", "y"), [((1, 1), 0.0), ((1, 6), 0.0), ((2, 1), 0.0), ((1, 3), 0.3)]
)
def test_any_window(shape, y, x64):
    _, ys, xs = window(shape, 0.1, y)
    need = Round(wavelength=W, na=1.3, n=1.5).scalar(ys, xs, 0.7)
    found = psf.scalar_focus_intensity(psf.Objective(1.3, W, 1.5), psf.Window(shape, 0.1, 0.7, y))
    assert off(found, np.abs(need) ** 2, 3.8**2) < 1e-12


def test_airy_pattern():
    """Fourier optics, the apodization "none": 2 J1(x)/x, in float32."""
    o = psf.Objective(0.9, W, apodization="none")
    v = 2 * np.pi * 0.9 * np.abs(window((1, 121), 0.05)[2]) / W
    airy = np.where(v > 0, 2 * j1(v) / np.where(v > 0, v, 1), 1)
    peak = np.sqrt(np.pi) * 0.9 / W
    assert off(psf.scalar_focus(o, psf.Window((1, 121), 0.05)), peak * airy, peak) < 1e-6


def test_width_of_the_paper():
    """NA 1.3, n_s 1.3, n_i = n_g = 1.5, 1 µm deep, 632 nm, no apodization: 271.5 nm."""
    stack = psf.Layers(n_s=1.3, n_g=1.5, n_i=1.5, t_s=1.0)
    o = psf.Objective(1.3, 0.632, layers=stack, apodization="none")
    row = np.asarray(psf.scalar_focus_intensity(o, psf.Window((1, 801), 0.0005)))[0, 400:]
    width = 2000 * np.interp(-row[0] / 2, -row, 0.0005 * np.arange(401))
    assert abs(width - 271.5) < 0.1


@pytest.mark.parametrize("apodization", ["herschel", "none"])
def test_what_stands_in_the_pupil(apodization, x64):
    """Profile, Gaussian beam and spherical aberrations of two orders."""
    o = psf.Objective(1.2, W, 1.5, apodization=apodization)
    reference = Round(wavelength=W, na=1.2, n=1.5, pupil=whole, opd=opd, apodization=apodization)
    _, y, x = window((5, 12), 0.12)
    found = psf.scalar_focus(o, psf.Window((5, 12), 0.12, 0.4), psf.RadialPupil(**FULL))
    assert off(found, reference.scalar(y, x, 0.4), 3.5) < 1e-12


def test_sampled_profile_converges(x64):
    _, y, x = window((1, 20), 0.1)
    exact = Round(wavelength=W, na=1.2, n=1.5, pupil=np.cos).scalar(y, x)
    errors = []
    for count in (9, 33):
        pupil = psf.RadialPupil(np.cos(np.linspace(0, 1, count)))
        found = psf.scalar_focus(psf.Objective(1.2, W, 1.5), psf.Window((1, 20), 0.1), pupil)
        errors.append(off(found, exact, 3.5))
    # The interpolant's error, h^4 / 43 at most, and the quadrature's at its kinks.
    assert errors[0] < 6e-6 and errors[1] < errors[0] / 50


# -- power ---------------------------------------------------------------------------------


def test_power_through_the_focal_plane(x64):
    """Poynting's vector; the magnetic field is the electric one of the turned polarization."""
    w = 0.4  # the rim is dark, so that the window holds all but 1e-7
    o, to = psf.Objective(1.3, W, 1.5), psf.Window((121, 121), 0.1, 0.3)
    e, h = psf.focus(o, to, psf.RadialPupil(filling=w), polarization=np.eye(2))
    power = 0.1**2 * np.sum((e[0] * h[1].conj() - e[1] * h[0].conj()).real)
    assert power == pytest.approx(w**2 / 2 * (1 - np.exp(-2 / w**2)), abs=1e-5)


def test_an_image_holds_the_collected_light(x64):
    w = 0.4
    o, to = psf.Objective(1.3, W, 1.5), psf.Window((121, 121), 0.1)
    image = psf.emitter_image(o, to, psf.RadialPupil(filling=w))
    t, weight = np.polynomial.legendre.leggauss(60)
    top = np.arcsin(1.3 / 1.5)
    theta = (t + 1) / 2 * top
    taper = np.exp(-2 * (np.sin(theta) * 1.5 / 1.3 / w) ** 2)
    collected = np.sum(weight * top / 2 * np.sin(theta) / 2 * taper)
    assert 0.01 * np.sum(image) == pytest.approx(collected, abs=1e-6)


# -- derivatives ---------------------------------------------------------------------------

NUMBERS = {
    "wavelength": 0.6, "na": 1.2, "n_s": 1.33, "n_g": 1.52, "n_i": 1.515, "t_s": 1.5, "t_g": 169.0,
    "n_i_design": 1.51, "coefficients": 0.05, "filling": 1.1, "spacing": 0.11, "z": 0.4,
}  # fmt: skip
SHAPE = (5, 6)
WEIGHTS = np.random.default_rng(0).normal(size=SHAPE)


def loss(p, motion, place, layered):
    thickness = {"t_g_design": 170.0, "t_i_design": 120.0, "n_g_design": 1.515}
    if layered:
        names = ("n_s", "n_g", "n_i", "t_s", "t_g", "n_i_design")
        medium = {"layers": psf.Layers(**{k: p[k] for k in names}, **thickness)}
    else:
        medium = {"n": p["n_i"]}
    o = psf.Objective(p["na"], p["wavelength"], motion=motion, **medium)
    pupil = psf.RadialPupil(None, p["coefficients"][None], [(4, 0)], p["filling"])
    at = (p["y"], p["x"]) if place else ()
    to = psf.Window(SHAPE, p["spacing"], p["z"][None], *at)
    image = psf.emitter_image(o, to, pupil, dipole=(0.6, 0.0, 0.8), nodes=(56, 48, 24))
    return jnp.sum(image * WEIGHTS)


@cache
def of(motion, place, layered):
    return interpreted(jax.value_and_grad(lambda p: loss(p, motion, place, layered)))


def both(p, motion="stage", place=False, layered=True):
    return of(motion, place, layered)(p)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "options", "step", "tolerance"),
    [
        ({}, {}, 1e-6, 1e-6),
        ({"na": 1.45}, {"motion": "emitter"}, 1e-6, 1e-6),
        # At the critical angle the second derivative is infinite: differences err by sqrt(step).
        ({"na": 1.33}, {}, 1e-7, 3e-3),
        ({"y": 0.0, "x": 0.13}, {"place": True, "layered": False}, 1e-5, 1e-6),
    ],
    ids=["below", "beyond", "critical", "window"],
)
def test_gradients(change, options, step, tolerance, x64):
    """Every parameter, with the pixel on the axis among the samples."""
    p = {k: jnp.asarray(v) for k, v in (NUMBERS | change).items()}
    gradient = both(p, **options)[1]
    unused = {"n_s", "n_g", "t_s", "t_g", "n_i_design"} if "layered" in options else set()
    for name in p:
        ends = [both(p | {name: p[name] + s}, **options)[0] for s in (-step, step)]
        expected = (ends[1] - ends[0]) / (2 * step)
        scale = tolerance * (1 + abs(expected))
        assert abs(gradient[name] - expected) < scale + 1e-10 / step, name
        assert (gradient[name] == 0) == (name in unused), name


@pytest.mark.slow
def test_forward_and_reverse_mode_agree(x64):
    p = {k: jnp.asarray(v) for k, v in (NUMBERS | {"na": 1.4}).items()}
    gradient = both(p)[1]
    rng = np.random.default_rng(1)
    along = {name: jnp.asarray(rng.normal()) for name in p}
    value = lambda q: loss(q, "stage", False, True)  # noqa: E731
    slope = interpreted(lambda q, v: jax.jvp(value, (q,), (v,))[1])(p, along)
    assert np.isclose(slope, sum(gradient[name] * along[name] for name in p), rtol=1e-10)


@pytest.mark.slow
def test_finite_for_any_sample_index():
    """Values and gradients in float32, n_s from air to oil, with rays beyond the critical angle."""

    def peak(n_s, na):
        o = psf.Objective(na, W, layers=psf.Layers(n_s=n_s, n_g=1.523, n_i=1.518, t_s=1))
        return jnp.sum(psf.emitter_image(o, psf.Window((3, 3), 0.1), nodes=(40, 32, 16)))

    n_s, na = np.meshgrid(np.linspace(1.0, 1.52, 53), [0.3, 1.0, 1.33, 1.45, 1.515])
    n_s = np.concatenate([n_s.ravel(), [1.333, 1.518]]).astype(np.float32)
    na = np.concatenate([na.ravel(), [1.333, 1.4]]).astype(np.float32)
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(peak, argnums=(0, 1))))(n_s, na)
    assert np.isfinite(value).all() and (value > 0).all()
    assert np.isfinite(gradient).all()


# -- size ----------------------------------------------------------------------------------


def test_a_thousand_settings_compile_once():
    traces = []

    @jax.jit
    def many(na, z):
        traces.append(1)

        def one(na, z):
            return psf.scalar_focus_intensity(psf.Objective(na, W, 1.5), psf.Window((5, 5), 0.1, z))

        return jax.vmap(one)(na, z)

    na, z = np.linspace(0.5, 1.4, 1000), np.linspace(-1, 1, 1000)
    images = many(na, z)
    many(na + 0.01, z)
    assert len(traces) == 1 and images.shape == (1000, 5, 5)
    _, y, x = window((5, 5), 0.1)
    need = np.abs(Round(wavelength=W, na=na[700], n=1.5).scalar(y, x, z[700])) ** 2
    assert off(images[700], need, np.pi * na[700] ** 2 / W**2) < 2e-6


@pytest.mark.slow
def test_memory_grows_with_the_output():
    o = psf.Objective(1.3, W, 1.5)

    def field(z):
        return psf.focus(o, psf.Window((201, 201), 0.02, z), nodes=(64, 0, 60))

    plan = jax.jit(field).lower(np.linspace(-5, 5, 101)).compile().memory_analysis()
    assert plan.temp_size_in_bytes + plan.output_size_in_bytes < 200e6


def test_large_picture_row_by_row():
    """Beyond the size of the constant matrix: the same numbers."""
    o = psf.Objective(1.3, W, 1.5)
    large = psf.scalar_focus_intensity(o, psf.Window((601, 611), 0.02))
    small = psf.scalar_focus_intensity(o, psf.Window((31, 21), 0.02))
    middle = large[300 - 15 : 300 + 16, 305 - 10 : 305 + 11]
    # float32 sums of 200 terms.
    assert np.abs(middle - small).max() < 3e-6 * small.max()


@pytest.mark.filterwarnings("ignore:.*larger than the focus")  # each sample is right by itself
def test_the_rule_for_nodes_holds(x64):
    """Settings drawn at random: the counts of the rule reach 1e-12 in float64."""
    rng = np.random.default_rng(1)
    for _ in range(4):
        n, t_s = rng.uniform(1.33, 1.52), rng.uniform(0, 5)
        na, n_s = rng.uniform(0.2, 0.97) * n, rng.uniform(1.2, 1.5)
        z, d = rng.uniform(-8, 8), rng.uniform(0.1, 0.8)
        stack = psf.Layers(n_s=n_s, n_g=1.5, n_i=n, t_s=t_s)
        o = psf.Objective(na, W, layers=stack, transmission=False)
        layer = {"n_s": n_s, "n_g": (1.5,), "t_s": t_s, "t_g": (170.0,)}
        reference = Round(wavelength=W, na=na, n=n, layers=layer, count=400)
        _, y, x = window((2, 12), d)
        found = psf.scalar_focus(o, psf.Window((2, 12), d, z))
        assert off(found, reference.scalar(y, x, z), np.sqrt(np.pi) * na / W) < 1e-12


def test_modes_and_numbers_are_those_of_a_zernike_pupil():
    """Modes (n, 0) before a clear pupil take this solver, whatever they are called."""
    o, to = psf.Objective(1.2, W, 1.5), psf.Window((9, 8), 0.1, 0.3)
    pupil = psf.ZernikePupil(C, [11, 22], convention="noll")
    same = dataclasses.replace(psf.RadialPupil(**FULL), profile=None, filling=None)
    assert psf.nodes(o, to, pupil) == psf.nodes(o, to, same)
    assert np.array_equal(psf.scalar_focus(o, to, pupil), psf.scalar_focus(o, to, same))
