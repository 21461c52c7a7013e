"""Spherical models against the quadrature, Airy, conservation of power and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from psf.quadrature import Round

import jaxwave as jw
from jaxwave import psf
from jaxwave.psf.round_pupil import count_nodes

W = 0.6
LAYERS = {"n_s": 1.33, "n_g": 1.52, "n_i": 1.515, "t_s": 1.5, "n_i_design": 1.51}
REFERENCE = {"n_s": 1.33, "n_g": (1.52,), "t_s": 1.5, "t_g": (170.0,), "n_i0": 1.51}
Z = np.array([-1.0, 0.0, 2.0])
JONES = np.array([0.6, 0.1 + 0.8j])
DIPOLE = np.array([0.3, 0.5j, 0.7]) / np.linalg.norm([0.3, 0.5, 0.7])


def layers():
    return psf.coverslip_layers(**LAYERS)


def case(name):
    """Our pupil, its reference, and the factor from focusing to emission."""
    numbers = {"oil": (1.3, 1.5, False), "deep": (1.25, 1.515, True), "beyond": (1.45, 1.515, True)}
    na, n, layered = numbers[name]
    extra = {"layers": layers()} if layered else {"n": n}
    pupil = psf.round_pupil(wavelength=W, na=na, **extra)
    extra = {"layers": REFERENCE, "transmit": True} if layered else {}
    reference = Round(wavelength=W, na=na, n=n, **extra)
    return pupil, reference, np.sqrt(3 / (8 * reference.n_s * n)) * na


def grid(shape, dy, dx, y=0.0, x=0.0):
    rows = (np.arange(shape[0]) - shape[0] // 2)[:, None] * dy + y
    return np.broadcast_arrays(rows, (np.arange(shape[1]) - shape[1] // 2) * dx + x)


def stacked(function, y, x, z=Z):
    return np.stack([function(y, x, one) for one in z])


def error(value, reference, peak):
    assert value.shape == reference.shape
    return np.abs(np.asarray(value) - reference).max() / peak


def square(field, axis):
    return (np.abs(field) ** 2).sum(axis)


# -- against the quadrature ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "double"),
    [("oil", True), ("oil", False), ("deep", True), ("beyond", True), ("beyond", False)],
)
def test_focus_and_dipole(name, double):
    # Of the peak of a clear pupil. float32: phases of 100 rad in the pupil, half a unit each.
    limit = 1e-12 if double else 2e-6
    shape, d = (24, 31), 0.06
    with jax.enable_x64(double):
        pupil, reference, factor = case(name)
        y, x = grid(shape, d, d)
        matrix = stacked(reference.matrix, y, x)
        peak = np.sqrt(np.pi) * reference.na / W
        focus = np.einsum("zcjyx,j->zcyx", matrix, JONES)
        options = {"spacing": d, "z": Z}
        found = psf.spherical_vector(pupil, shape, polarization=JONES, **options)
        assert found.dtype == (jnp.complex128 if double else jnp.complex64)
        assert error(found, focus, peak) < limit
        found = psf.spherical_vector_intensity(pupil, shape, polarization=JONES, **options)
        assert error(found, square(focus, 1), peak**2) < limit
        image = np.einsum("zcjyx,c->zjyx", matrix, DIPOLE) * factor
        peak = peak * factor
        found = psf.spherical_dipole(pupil, shape, dipole=2 * DIPOLE, **options)
        assert error(found, image, peak) < limit
        found = psf.spherical_dipole_intensity(pupil, shape, dipole=DIPOLE, **options)
        assert error(found, square(image, 1), peak**2) < limit
        found = psf.spherical_dipole_intensity(pupil, shape, **options)
        average = square(matrix * factor, (1, 2)) / 3
        assert error(found, average, peak**2) < limit


@pytest.mark.parametrize("kind", ["radial", "azimuthal"])
def test_rings_of_polarization(kind, x64):
    pupil, reference, _ = case("beyond")
    y, x = grid((9, 12), 0.1, 0.1)
    fields = np.stack([reference.rings(y, x, z, kind) for z in Z])
    options = {"spacing": 0.1, "z": Z, "polarization": kind}
    assert error(psf.spherical_vector(pupil, (9, 12), **options), fields, 4.2) < 1e-12
    intensity = psf.spherical_vector_intensity(pupil, (9, 12), **options)
    assert error(intensity, square(fields, 1), 18) < 1e-12


@pytest.mark.parametrize("motion", ["stage", "emitter"])
@pytest.mark.parametrize("na", [1.33, 1.3299, 1.4])
def test_scalar_at_and_beyond_the_critical_angle(motion, na, x64):
    """na = n_s is the end of the first panel; just below it the root is nearly singular."""
    pupil = psf.round_pupil(wavelength=W, na=na, layers=layers(), motion=motion)
    reference = Round(wavelength=W, na=na, n=1.515, layers=REFERENCE, motion=motion)
    y, x = grid((6, 15), 0.1, 0.1)
    expected = stacked(reference.scalar, y, x)
    peak = np.sqrt(np.pi) * na / W
    assert error(psf.spherical_scalar(pupil, (6, 15), spacing=0.1, z=Z), expected, peak) < 1e-12
    intensity = psf.spherical_scalar_intensity(pupil, (6, 15), spacing=0.1, z=Z)
    assert error(intensity, np.abs(expected) ** 2, peak**2) < 1e-12


@pytest.mark.parametrize(
    ("shape", "spacing", "y", "x"),
    [((7, 10), (0.08, 0.11), 0.0, 0.0), ((8, 5), 0.1, 0.237, -1.4), ((1, 1), 0.1, 0.0, 0.0),
     ((1, 6), 0.1, 0.0, 0.0), ((2, 1), 0.1, 0.0, 0.0), ((1, 3), 0.1, 0.3, 0.0)],
)  # fmt: skip
def test_any_window(shape, spacing, y, x, x64):
    pupil, reference, factor = case("oil")
    dy, dx = np.broadcast_to(spacing, 2)
    ys, xs = grid(shape, dy, dx, y, x)
    focus = reference.vector(ys, xs, 0.7, JONES)
    options = {"spacing": spacing, "z": 0.7, "y": y, "x": x}
    found = psf.spherical_vector(pupil, shape, polarization=JONES, **options)
    assert error(found, focus, 3.8) < 1e-12
    found = psf.spherical_vector_intensity(pupil, shape, polarization=JONES, **options)
    assert error(found, square(focus, 0), 3.8**2) < 1e-12
    image = np.einsum("cjyx,c->jyx", reference.matrix(ys, xs, 0.7), DIPOLE) * factor
    found = psf.spherical_dipole_intensity(pupil, shape, dipole=DIPOLE, **options)
    assert error(found, square(image, 0), 3.8**2) < 1e-12


def test_airy_pattern():
    """Fourier optics, the apodization "none": 2 J1(x)/x, in float32."""
    pupil = psf.round_pupil(wavelength=W, na=0.9, n=1.0, apodization="none")
    y, x = grid((1, 121), 0.05, 0.05)
    v = 2 * np.pi * 0.9 * np.hypot(y, x) / W
    airy = np.where(v > 0, 2 * scipy.special.j1(v) / np.where(v > 0, v, 1), 1)
    peak = np.sqrt(np.pi) * 0.9 / W
    field = psf.spherical_scalar(pupil, (1, 121), spacing=0.05)
    assert error(field, peak * airy, peak) < 1e-6


def test_width_of_the_paper():
    """NA 1.3, n_s 1.3, n_i = n_g = 1.5, 1 µm deep, 632 nm, no apodization: 271.5 nm."""
    stack = psf.coverslip_layers(n_s=1.3, n_g=1.5, n_i=1.5, t_s=1.0)
    pupil = psf.round_pupil(wavelength=0.632, na=1.3, layers=stack, apodization="none")
    row = np.asarray(psf.spherical_scalar_intensity(pupil, (1, 801), spacing=0.0005))[0, 400:]
    width = 2000 * np.interp(-row[0] / 2, -row, 0.0005 * np.arange(401))
    assert abs(width - 271.5) < 0.1


@pytest.mark.parametrize("apodization", ["aplanatic", "herschel", "none"])
def test_what_stands_in_the_pupil(apodization, x64):
    """Profile, Gaussian beam and spherical aberrations of two orders."""
    c, filling = np.array([0.11, -0.04]), 0.8

    def profile(rho):
        return 1 - 0.4 * rho**2 + 0.2j * rho**4

    def whole(rho):
        return profile(rho) * np.exp(-((rho / filling) ** 2))

    def opd(rho):
        mode = np.polynomial.legendre.Legendre.basis
        t = 2 * rho**2 - 1
        return c[0] * np.sqrt(5) * mode(2)(t) + c[1] * np.sqrt(7) * mode(3)(t)

    pupil = psf.round_pupil(
        wavelength=W, na=1.2, n=1.5, profile=profile, coefficients=c, modes=[(4, 0), (6, 0)],
        filling=filling, apodization=apodization,
    )  # fmt: skip
    reference = Round(wavelength=W, na=1.2, n=1.5, pupil=whole, opd=opd, apodization=apodization)
    y, x = grid((5, 12), 0.12, 0.12)
    expected = reference.vector(y, x, 0.4)
    found = psf.spherical_vector(pupil, (5, 12), spacing=0.12, z=0.4)
    assert error(found, expected, 3.5) < 1e-12


def test_sampled_profile_converges(x64):
    y, x = grid((1, 20), 0.1, 0.1)
    exact = Round(wavelength=W, na=1.2, n=1.5, pupil=np.cos).scalar(y, x)
    errors = []
    for count in (9, 33):
        samples = np.cos(np.linspace(0, 1, count))
        pupil = psf.round_pupil(wavelength=W, na=1.2, n=1.5, profile=samples)
        errors.append(error(psf.spherical_scalar(pupil, (1, 20), spacing=0.1), exact, 3.5))
    # The interpolant's error, h^4 / 43 at most, and the quadrature's at its kinks.
    assert errors[0] < 6e-6 and errors[1] < errors[0] / 50


# -- power ---------------------------------------------------------------------------------


def test_power_through_the_focal_plane(x64):
    """Poynting's vector; the magnetic field is the electric one of the turned polarization."""
    w = 0.4  # the rim is dark, so that the window holds all but 1e-7
    pupil = psf.round_pupil(wavelength=W, na=1.3, n=1.5, filling=w)
    options = {"spacing": 0.1, "z": 0.3}
    e = psf.spherical_vector(pupil, (121, 121), polarization=(1, 0), **options)
    h = psf.spherical_vector(pupil, (121, 121), polarization=(0, 1), **options)
    power = 0.1**2 * jnp.sum((e[0] * h[1].conj() - e[1] * h[0].conj()).real)
    assert power == pytest.approx(w**2 / 2 * (1 - np.exp(-2 / w**2)), abs=1e-5)


def test_an_image_holds_the_collected_light(x64):
    w = 0.4
    pupil = psf.round_pupil(wavelength=W, na=1.3, n=1.5, filling=w)
    image = psf.spherical_dipole_intensity(pupil, (121, 121), spacing=0.1)
    t, weight = np.polynomial.legendre.leggauss(60)
    top = np.arcsin(1.3 / 1.5)
    theta = (t + 1) / 2 * top
    taper = np.exp(-2 * (np.sin(theta) * 1.5 / 1.3 / w) ** 2)
    collected = np.sum(weight * top / 2 * np.sin(theta) / 2 * taper)
    assert 0.01 * jnp.sum(image) == pytest.approx(collected, abs=1e-6)


# -- derivatives ---------------------------------------------------------------------------

NUMBERS = {
    "wavelength": 0.6, "na": 1.2, "n_s": 1.33, "n_g": 1.52, "n_i": 1.515, "t_s": 1.5, "t_g": 169.0,
    "n_i_design": 1.51, "coefficients": 0.05, "filling": 1.1, "spacing": 0.11, "z": 0.4,
}  # fmt: skip
SHAPE = (5, 6)


def loss(p, weights, motion="stage", window=False, layered=True):
    thickness = {"t_g_design": 170.0, "t_i_design": 120.0, "n_g_design": 1.515}
    if layered:
        names = ("n_s", "n_g", "n_i", "t_s", "t_g", "n_i_design")
        medium = {"layers": psf.coverslip_layers(**{k: p[k] for k in names}, **thickness)}
    else:
        medium = {"n": p["n_i"]}
    pupil = psf.round_pupil(
        wavelength=p["wavelength"], na=p["na"], motion=motion, filling=p["filling"],
        coefficients=p["coefficients"][None], modes=[(4, 0)], **medium,
    )  # fmt: skip
    options = {"spacing": p["spacing"], "z": p["z"][None], "nodes": (56, 48, 24)}
    if window:
        options |= {"y": p["y"], "x": p["x"]}
    image = psf.spherical_dipole_intensity(pupil, SHAPE, dipole=(0.6, 0.0, 0.8), **options)
    return jnp.sum(image * weights)


@pytest.mark.parametrize(
    ("change", "options", "step", "tolerance"),
    [
        ({}, {}, 1e-6, 1e-6),
        ({"na": 1.45}, {"motion": "emitter"}, 1e-6, 1e-6),
        # At the critical angle the second derivative is infinite: differences err by sqrt(step).
        ({"na": 1.33}, {}, 1e-7, 3e-3),
        ({"y": 0.0, "x": 0.13}, {"window": True, "layered": False}, 1e-5, 1e-6),
    ],
    ids=["below", "beyond", "critical", "window"],
)
def test_gradients(change, options, step, tolerance, x64):
    """Every parameter, with the pixel on the axis among the samples."""
    p = {k: jnp.asarray(v) for k, v in (NUMBERS | change).items()}
    weights = np.random.default_rng(0).normal(size=SHAPE)

    @jax.jit
    def both(p):
        return jax.value_and_grad(lambda q: loss(q, weights, **options))(p)

    gradient = both(p)[1]
    unused = {"n_s", "n_g", "t_s", "t_g", "n_i_design"} if "layered" in options else set()
    for name in p:
        ends = [both(p | {name: p[name] + s})[0] for s in (-step, step)]
        expected = (ends[1] - ends[0]) / (2 * step)
        scale = tolerance * (1 + abs(expected))
        assert abs(gradient[name] - expected) < scale + 1e-10 / step, name
        assert (gradient[name] == 0) == (name in unused), name


def test_forward_and_reverse_mode_agree(x64):
    p = {k: jnp.asarray(v) for k, v in (NUMBERS | {"na": 1.4}).items()}
    weights = np.random.default_rng(0).normal(size=SHAPE)
    gradient = jax.jit(jax.grad(lambda q: loss(q, weights)))(p)
    rng = np.random.default_rng(1)
    along = {name: jnp.asarray(rng.normal()) for name in p}
    slope = jax.jit(lambda q, v: jax.jvp(lambda r: loss(r, weights), (q,), (v,))[1])(p, along)
    assert np.isclose(slope, sum(gradient[name] * along[name] for name in p), rtol=1e-10)


def test_finite_for_any_sample_index():
    """Values and gradients in float32, n_s from air to oil, with rays beyond the critical angle."""

    def peak(n_s, na):
        stack = psf.coverslip_layers(n_s=n_s, n_g=1.523, n_i=1.518, t_s=1.0)
        pupil = psf.round_pupil(wavelength=W, na=na, layers=stack)
        image = psf.spherical_dipole_intensity(pupil, (3, 3), spacing=0.1, nodes=(40, 32, 16))
        return jnp.sum(image)

    n_s, na = np.meshgrid(np.linspace(1.0, 1.52, 53), [0.3, 1.0, 1.33, 1.45, 1.515])
    n_s = np.concatenate([n_s.ravel(), [1.333, 1.518]]).astype(np.float32)
    na = np.concatenate([na.ravel(), [1.333, 1.4]]).astype(np.float32)
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(peak, argnums=(0, 1))))(n_s, na)
    assert np.isfinite(value).all() and (value > 0).all()
    assert np.isfinite(gradient).all()


# -- transforms and shapes -----------------------------------------------------------------


def test_batch_axes_equal_a_loop():
    na, wavelength = np.array([0.8, 1.2]), np.array([[0.5], [0.6], [0.7]])
    z = np.array([0.0, 0.5])
    pupil = psf.round_pupil(wavelength=wavelength, na=na, n=1.5, profile=jnp.cos)
    images = psf.spherical_vector_intensity(pupil, (4, 5), spacing=0.1, z=z)
    assert images.shape == (3, 2, 2, 4, 5)
    for i in range(3):
        for j in range(2):
            one = psf.round_pupil(wavelength=wavelength[i, 0], na=na[j], n=1.5, profile=jnp.cos)
            alone = psf.spherical_vector_intensity(one, (4, 5), spacing=0.1, z=z[1])
            assert np.allclose(images[i, j, 1], alone, atol=2e-5)


def test_a_thousand_settings_compile_once():
    traces = []

    @jax.jit
    def many(na, z):
        traces.append(1)

        def one(na, z):
            pupil = psf.round_pupil(wavelength=W, na=na, n=1.5)
            return psf.spherical_vector_intensity(pupil, (5, 5), spacing=0.1, z=z)

        return jax.vmap(one)(na, z)

    na, z = np.linspace(0.5, 1.4, 1000), np.linspace(-1, 1, 1000)
    images = many(na, z)
    many(na + 0.01, z)
    assert len(traces) == 1 and images.shape == (1000, 5, 5)
    pupil = psf.round_pupil(wavelength=W, na=na[700], n=1.5)
    one = psf.spherical_vector_intensity(pupil, (5, 5), spacing=0.1, z=z[700])
    assert np.allclose(images[700], one, atol=2e-5)


@pytest.mark.slow
def test_memory_grows_with_the_output():
    def field(z):
        pupil = psf.round_pupil(wavelength=W, na=1.3, n=1.5)
        return psf.spherical_vector(pupil, (201, 201), spacing=0.02, z=z)

    plan = jax.jit(field).lower(np.linspace(-5, 5, 101)).compile().memory_analysis()
    assert plan.temp_size_in_bytes + plan.output_size_in_bytes < 200e6


def test_large_picture_row_by_row():
    """Beyond the size of the constant matrix: the same numbers."""
    pupil = psf.round_pupil(wavelength=W, na=1.3, n=1.5)
    large = psf.spherical_scalar_intensity(pupil, (601, 611), spacing=0.02)
    small = psf.spherical_scalar_intensity(pupil, (31, 21), spacing=0.02)
    middle = large[300 - 15 : 300 + 16, 305 - 10 : 305 + 11]
    # float32 sums of 200 terms.
    assert np.abs(middle - small).max() < 3e-6 * small.max()


def test_the_rule_for_nodes_holds(x64):
    """Settings drawn at random: the counts of the rule reach 1e-12 in float64."""
    rng = np.random.default_rng(1)
    for _ in range(6):
        n, t_s = rng.uniform(1.33, 1.52), rng.uniform(0, 5)
        na, n_s = rng.uniform(0.2, 0.97) * n, rng.uniform(1.2, 1.5)
        z = rng.uniform(-8, 8)
        stack = psf.coverslip_layers(n_s=n_s, n_g=1.5, n_i=n, t_s=t_s)
        pupil = psf.round_pupil(wavelength=W, na=na, layers=stack, transmission=False)
        layer = {"n_s": n_s, "n_g": (1.5,), "t_s": t_s, "t_g": (170.0,)}
        reference = Round(wavelength=W, na=na, n=n, layers=layer, count=400)
        d = rng.uniform(0.1, 0.8)
        y, x = grid((2, 12), d, d)
        found = psf.spherical_scalar(pupil, (2, 12), spacing=d, z=z)
        peak = np.sqrt(np.pi) * na / W
        assert error(found, reference.scalar(y, x, z), peak) < 1e-12


# -- bad input -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"na": 1.5, "n": 1.5}, r"`na` must be below the immersion's index, got 1.5 with n = 1.5"),
        ({"na": -0.1}, r"`na` must be positive, got -0.1"),
        ({"wavelength": 0.0}, r"`wavelength` must be positive, got 0.0 µm"),
        ({"wavelength": 532}, r"`wavelength` is in micrometers"),
        ({"n": -1.0}, r"`n` must be positive"),
        ({"apodization": "cosine"}, r"`apodization` must be one of 'aplanatic', 'herschel'"),
        ({"motion": "stages"}, r"Did you mean 'stage'"),
        ({"filling": 0.0}, r"`filling` must be positive"),
        ({"coefficients": [0.1]}, r"`coefficients` and `modes` belong together"),
        ({"coefficients": [0.1, 0.2], "modes": [(4, 0)]}, r"one number for each of the 1 modes"),
        ({"coefficients": [0.1], "modes": [(2, 2)]}, r"circularly symmetric, \(n, 0\), got \(2, 2"),
        ({"profile": np.ones(3)}, r"`profile` must have at least 4 samples"),
        ({"profile": np.full(9, np.nan)}, r"`profile` must be finite, got 9 NaN"),
    ],
)
def test_bad_pupils(arguments, message):
    with pytest.raises(ValueError, match=message):
        psf.round_pupil(**{"wavelength": W, "na": 0.9} | arguments)


def test_an_index_stands_once():
    with pytest.raises(ValueError, match=r"`n` is in `layers` already"):
        psf.round_pupil(wavelength=W, na=0.9, n=1.5, layers=layers())
    with pytest.raises(TypeError, match=r"`layers` must be Layers, got dict"):
        psf.round_pupil(wavelength=W, na=0.9, layers=LAYERS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spacing": 0.0}, r"`spacing` must be positive, got 0.0 µm"),
        ({"z": np.nan}, r"`z` must be finite"),
        ({"polarization": "circular"}, r"`polarization` must be one of 'radial', 'azimuthal'"),
        ({"polarization": (1, 0, 0)}, r"`polarization` must have 2 components"),
        ({"nodes": 30}, r"`nodes` must be three integers|not iterable"),
    ],
)
def test_bad_pictures(arguments, message):
    pupil = psf.round_pupil(wavelength=W, na=0.9)
    with pytest.raises((ValueError, TypeError), match=message):
        psf.spherical_vector(pupil, (8, 8), **{"spacing": 0.1} | arguments)


def test_bad_dipoles_and_pupils():
    pupil = psf.round_pupil(wavelength=W, na=0.9)
    with pytest.raises(ValueError, match=r"`dipole` must have 3 components"):
        psf.spherical_dipole(pupil, (8, 8), spacing=0.1, dipole=(1, 0))
    with pytest.raises(ValueError, match=r"`dipole` must be positive"):
        psf.spherical_dipole(pupil, (8, 8), spacing=0.1, dipole=(0, 0, 0))
    with pytest.raises(TypeError, match=r"`pupil` must be a RoundPupil, got ndarray"):
        psf.spherical_scalar(np.ones((8, 8)), (8, 8), spacing=0.1)


def test_too_few_nodes_are_reported_with_those_that_would_do():
    pupil = psf.round_pupil(wavelength=W, na=1.3, n=1.5)
    need = psf.spherical_nodes(pupil, (41, 41), spacing=0.1, z=20.0)
    message = rf"`nodes` \(16, 0, 20\) may be too few .* \({need[0]}, 0, {need[2]}\) would do"
    with pytest.warns(jw.JaxwaveWarning, match=message):
        psf.spherical_vector_intensity(pupil, (41, 41), spacing=0.1, z=20.0, nodes=(16, 0, 20))


def test_unknown_numbers_take_the_nyquist_spacing():
    pupil = psf.round_pupil(wavelength=W, na=1.3, n=1.5)
    unknown = count_nodes(pupil, None, 0.0, 20.0, True)
    known = count_nodes(pupil, 20 * W / (4 * 1.3), 0.0, 20.0, True)
    assert unknown == known
