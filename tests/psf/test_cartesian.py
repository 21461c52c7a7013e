"""Focusing of any pupil against float64 quadrature, closed forms, finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from psf import polar
from reference import error, single
from scipy.special import j1

from jaxwave import JaxwaveWarning, psf

NA, N, WAVELENGTH, SPACING = (single(v) for v in (1.3, 1.5, 0.632, 0.04))
OPTICS = dict(spacing=SPACING, na=NA, wavelength=WAVELENGTH, n=N)
JONES = np.array([0.8, 0.6j])
MODES, COEFFICIENTS = [(2, 2), (3, 1)], [single(0.05), single(-0.04)]
AIRY = dict(spacing=0.03, na=single(0.9), wavelength=single(0.6), apodization="none")


def aberrated(x, y):
    return psf.zernike_pupil(
        x, y, coefficients=jnp.array(COEFFICIENTS), modes=MODES, wavelength=WAVELENGTH
    )


def reference_pupil(x, y):
    a, c = COEFFICIENTS
    w = a * np.sqrt(6) * (x * x - y * y) + c * np.sqrt(8) * (3 * (x * x + y * y) - 2) * x
    return np.exp(2j * np.pi * w / WAVELENGTH)


def check(shape, z, tolerance, y=0.0, x=0.0):
    got = psf.cartesian_vector(
        aberrated, shape, polarization=JONES, z=z, y=y, x=x, nodes=64, **OPTICS
    )
    index, ys, xs = polar.window(shape, SPACING, single(y), single(x), (7, 6))
    need = polar.focus(
        reference_pupil, ys, xs, na=NA, wavelength=WAVELENGTH, n=N, z=z, jones=JONES
    ).reshape(3, *ys.shape)
    assert error(np.asarray(got)[:, index[0], index[1]], need) < tolerance
    bright = psf.cartesian_vector_intensity(
        aberrated, shape, polarization=JONES, z=z, y=y, x=x, nodes=64, **OPTICS
    )
    assert error(bright, np.sum(np.abs(np.asarray(got)) ** 2, 0)) < max(tolerance, 1e-12)


@pytest.mark.parametrize(
    ("shape", "z", "y", "x"), [((65, 65), 0.0, 0.0, 0.0), ((50, 37), 0.75, 0.25, -0.5)]
)
def test_smooth_pupil_is_the_quadrature_in_float32(shape, z, y, x):
    check(shape, z, 1e-6, y, x)  # measured 2e-7


def test_smooth_pupil_is_the_quadrature_in_float64(x64):
    check((66, 65), 1.0, 1e-11, 0.25, -0.5)  # measured 2e-14: rounding


def test_nodes_converge_exponentially(x64):
    shape = (65, 65)
    fields = [psf.cartesian_vector(aberrated, shape, nodes=k, **OPTICS) for k in (36, 44, 52, 80)]
    errors = [error(f, fields[-1]) for f in fields[:-1]]
    assert errors[1] < 1e-2 * errors[0] and errors[2] < 1e-2 * errors[1]
    rule = psf.cartesian_nodes(aberrated, shape, digits=9, **OPTICS)
    assert error(psf.cartesian_vector(aberrated, shape, nodes=rule, **OPTICS), fields[-1]) < 1e-9


def test_airy_pattern():
    shape = (61, 60)
    got = psf.cartesian_scalar(None, shape, **AIRY)
    _, y, x = polar.window(shape, 0.03)
    q = 2 * np.pi * AIRY["na"] / AIRY["wavelength"] * np.hypot(y, x)
    safe = np.where(q == 0, 1, q)
    need = (
        np.sqrt(np.pi) * AIRY["na"] / AIRY["wavelength"] * np.where(q == 0, 1, 2 * j1(safe) / safe)
    )
    assert error(got, need) < 1e-6  # float32


@pytest.mark.parametrize("apodization", ["aplanatic", "none"])
def test_cartesian_is_spherical(apodization):
    shape, z = (33, 30), np.array([-0.5, 0.7])
    window = dict(spacing=0.05, y=0.1, x=-0.2)
    layers = psf.coverslip_layers(n_s=1.38, n_g=1.5, n_i=1.5, t_s=3.0)
    optics = dict(wavelength=WAVELENGTH, na=NA, layers=layers, apodization=apodization)
    pupil = psf.round_pupil(coefficients=[0.05], modes=[(4, 0)], **optics)
    aberration = dict(coefficients=jnp.array([0.05]), modes=[(4, 0)], wavelength=WAVELENGTH)

    def function(x, y):
        return psf.zernike_pupil(x, y, **aberration)

    got = psf.cartesian_vector(function, shape, z=z, nodes=64, **window, **optics)
    need = psf.spherical_vector(pupil, shape, z=z, **window)
    assert error(got, need) < 2e-5  # float32 paths of a few hundred turns
    if apodization == "aplanatic":
        optics.pop("apodization")
        got = psf.cartesian_dipole_intensity(function, shape, z=z, nodes=64, **window, **optics)
        assert error(got, psf.spherical_dipole_intensity(pupil, shape, z=z, **window)) < 2e-5


# -- sampled pupils ------------------------------------------------------------------------


def sampled_error(n, z=0.0):
    x, y = psf.pupil_coordinates((n, n))
    shape = (41, 40)
    kind = dict(polarization=JONES, z=z, **(OPTICS | {"spacing": 0.08}))
    got = psf.cartesian_vector(reference_pupil(np.asarray(x), np.asarray(y)), shape, **kind)
    return error(got, psf.cartesian_vector(aberrated, shape, nodes=64, **kind))


def test_weighted_rim():
    """1e-4 at 257 samples; of second order (2.5 measured), for even and odd sizes alike."""
    errors = {n: sampled_error(n) for n in (65, 257, 64, 256)}
    assert errors[257] < 1e-4 and errors[256] < 1e-4
    for n in (65, 64):
        order = np.log(errors[n] / errors[4 * (n - n % 2) + n % 2]) / np.log(4)
        assert order > 2.0


def test_rows_and_columns_of_a_pupil_are_y_and_x():
    x, y = psf.pupil_coordinates((128, 129))
    tilted = np.exp(2j * np.pi * NA * (0.4 * np.asarray(x) - 0.2 * np.asarray(y)) / WAVELENGTH)
    image = np.asarray(psf.cartesian_vector_intensity(tilted, (65, 66), **OPTICS))
    row, column = np.unravel_index(image.argmax(), image.shape)
    assert (row - 32, column - 33) == (5, -10)  # a path that grows with x moves it toward -x


def test_two_components_of_a_pupil():
    x, y = psf.pupil_coordinates((65, 65))
    mask = aberrated(x, y)
    both = jnp.stack([mask * JONES[0], mask * JONES[1]])
    got = psf.cartesian_vector(both, (33, 33), polarization=(1, 1), **OPTICS)
    assert error(got, psf.cartesian_vector(mask, (33, 33), polarization=JONES, **OPTICS)) < 1e-6


def test_steps_and_vortices_on_rings():
    kind = dict(polarization=JONES, **OPTICS)
    x, y = psf.pupil_coordinates((257, 257))
    for pupil in (psf.vortex, psf.half_moon):
        got = psf.cartesian_vector(pupil(x, y), (33, 32), **kind)
        rings = psf.PolarNodes(32, 24)
        assert error(got, psf.cartesian_vector(pupil, (33, 32), nodes=rings, **kind)) < 2e-4
    fine, more = (psf.PolarNodes(k, k, (0.5**0.5,)) for k in (24, 36))
    hats = [psf.cartesian_vector(psf.top_hat, (33, 32), nodes=k, **kind) for k in (fine, more)]
    assert error(*hats) < 1e-6


# -- physics -------------------------------------------------------------------------------


def flux(field, spacing, wavelength, n):
    """Power through a plane: the sum of cos(theta) |E|^2 over plane waves, from a wide window."""
    spectrum = np.fft.fft2(np.asarray(field)) * spacing**2
    m = field.shape[-1]
    f = np.fft.fftfreq(m, spacing) * wavelength / n
    cosine = np.sqrt(np.maximum(1 - f[:, None] ** 2 - f**2, 0))
    return float(np.sum(np.abs(spectrum) ** 2 * cosine) / (m * spacing) ** 2)


@pytest.mark.parametrize("z", [0.0, 0.6])
def test_power_through_the_focal_plane(z):
    kind = OPTICS | {"spacing": 0.15}
    u = psf.cartesian_vector(None, (301, 301), polarization=JONES, z=z, **kind)
    # 1 % of the light is outside of the window of 45 µm
    assert abs(flux(u, 0.15, WAVELENGTH, N) - 1) < 0.015


def test_vector_becomes_scalar_at_low_aperture():
    errors = []
    for na in (0.4, 0.2, 0.1):
        kind = dict(spacing=0.1 / na, na=na, wavelength=0.6)
        vector = psf.cartesian_vector_intensity(None, (21, 21), **kind)
        errors.append(error(vector, psf.cartesian_scalar_intensity(None, (21, 21), **kind)))
    assert errors[-1] < 3e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.15)  # order na^2
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.15)


def test_gibson_lanni_width():
    layers = psf.coverslip_layers(n_s=1.3, n_g=1.5, n_i=1.5, t_s=1.0)
    line = np.asarray(
        psf.cartesian_scalar_intensity(
            None,
            (1, 301),
            spacing=0.002,
            na=1.3,
            wavelength=0.632,
            layers=layers,
            apodization="none",
            nodes=128,
        )
    )[0]
    place = (np.arange(301) - 150) * 0.002
    half = np.interp(-line.max() / 2, -line[150:], place[150:])
    assert 2e3 * half == pytest.approx(271.5, abs=0.1)  # nm


# -- transformations -----------------------------------------------------------------------

SMALL = dict(spacing=0.1, na=1.2, wavelength=0.6, n=1.4, z=0.3, y=0.0, x=0.0)


@pytest.mark.parametrize("pupil", ["function", "samples"])
def test_gradients_are_finite_differences(pupil, x64):
    layers = psf.coverslip_layers(n_s=1.33, n_g=1.5, n_i=1.5, t_s=0.5)
    p = {k: v for k, v in SMALL.items() if k != "n"} | {"c": 0.05, "n_s": 1.33, "t_s": 0.5}
    p |= {"n_i": 1.5, "e": 0.3}
    place = psf.pupil_coordinates((32, 33))
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(2, 6, 5))

    def value(p):
        def function(x, y):
            return psf.zernike_pupil(
                x, y, coefficients=p["c"][None], modes=[(3, 1)], wavelength=p["wavelength"]
            )

        stack = layers.__class__(
            **{f: getattr(layers, f) for f in layers.__dataclass_fields__}
            | {"n_s": p["n_s"], "t_s": p["t_s"], "n_i": p["n_i"]}
        )
        names = ("spacing", "na", "wavelength", "y", "x")
        image = psf.cartesian_vector_intensity(
            function if pupil == "function" else function(*place),
            (6, 5),
            polarization=jnp.stack([jnp.cos(p["e"]), 1j * jnp.sin(p["e"])]),
            z=jnp.stack([p["z"], 0 * p["z"]]),
            layers=stack,
            nodes=32 if pupil == "function" else None,
            **{k: p[k] for k in names},
        )
        return jnp.sum(image * weight)

    p = {k: jnp.asarray(v) for k, v in p.items()}
    slope, value = jax.jit(jax.grad(value))(p), jax.jit(value)
    for key, g in slope.items():
        h = 1e-5
        need = (value(p | {key: p[key] + h}) - value(p | {key: p[key] - h})) / (2 * h)
        assert abs(g - need) < 2e-6 * (abs(need) + 1), key


def test_vmap_is_a_loop_and_compiles_once():
    traces = []

    @jax.jit
    def image(na, z):
        traces.append(1)
        return psf.cartesian_vector_intensity(
            None, (8, 9), spacing=0.1, na=na, wavelength=0.6, n=1.4, z=z, nodes=32
        )

    na, z = jnp.array([0.9, 1.1, 1.3]), jnp.array([0.0, 0.1, 0.2])
    loop = jnp.stack([image(a, b) for a, b in zip(na, z, strict=True)])
    assert len(traces) == 1
    assert error(jax.jit(jax.vmap(image))(na, z), loop) < 2e-6


def test_many_planes_are_single_planes():
    z = np.linspace(-1, 1, 11)
    stack = psf.cartesian_vector(aberrated, (21, 20), z=z, nodes=48, **OPTICS)
    assert stack.shape == (11, 3, 21, 20)
    for k in (0, 7, 10):
        one = psf.cartesian_vector(aberrated, (21, 20), z=z[k], nodes=48, **OPTICS)
        assert error(stack[k], one) < 1e-6


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (7, 1), (2, 2)])
def test_small_windows(shape):
    u = psf.cartesian_vector(None, shape, **OPTICS)
    big = psf.cartesian_vector(None, (9, 9), **OPTICS)
    top, left = 4 - shape[0] // 2, 4 - shape[1] // 2
    assert error(u, big[:, top : top + shape[0], left : left + shape[1]]) < 1e-6


def test_nothing_is_nan_beyond_the_critical_angle():
    for n_s in (1.0, 1.2, 1.333, 1.5):
        layers = psf.coverslip_layers(n_s=n_s, n_g=1.5, n_i=1.5, t_s=0.3)
        for na in (1.2, 1.4):
            u = psf.cartesian_vector(
                None, (5, 6), spacing=0.1, na=na, wavelength=0.6, layers=layers, nodes=48
            )
            assert np.all(np.isfinite(np.asarray(u)))


# -- bad input -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (dict(na=1.6), ValueError, "`na` must be below the refractive index"),
        (dict(wavelength=-0.5), ValueError, "`wavelength` must be positive"),
        (dict(wavelength=532.0), ValueError, "nanometres"),
        (dict(spacing=0.0), ValueError, "`spacing` must be positive"),
        (dict(n=0.0), ValueError, "`n` must be positive"),
        (dict(apodization="aplantic"), ValueError, "Did you mean 'aplanatic'"),
        (dict(motion="stages"), ValueError, "Did you mean 'stage'"),
        (dict(nodes=33), ValueError, "must be even"),
        (dict(na=jnp.array([1.0, 1.1])), ValueError, "jax.vmap"),
        (dict(pupil=np.ones((3, 33, 33))), ValueError, "samples"),
        (dict(pupil=lambda x, y: jnp.ones((2, 2))), ValueError, "one value for each point"),
        (dict(layers=1.3), TypeError, "must be Layers"),
        (dict(polarization=(1, 0, 0)), ValueError, "two numbers"),
        (dict(z=np.nan), ValueError, "`z` must be finite"),
        (dict(pupil=psf.top_hat), ValueError, "not smooth enough"),
        (dict(pupil=lambda x, y: x * np.nan, nodes=8), ValueError, "`pupil` must be finite"),
        (dict(pupil="vortex"), TypeError, "`pupil` must be a function or samples"),
        (dict(polarization=(np.nan, 0)), ValueError, "`polarization` must be finite"),
        (dict(polarization="radial"), TypeError, "pass radial_polarization as `pupil`"),
    ],
)
def test_errors(change, kind, words):
    arguments = dict(pupil=None, shape=(9, 9)) | OPTICS | change
    pupil, shape = arguments.pop("pupil"), arguments.pop("shape")
    with pytest.raises(kind, match=words):
        psf.cartesian_vector(pupil, shape, **arguments)


def test_traced_optics_need_nodes():
    with pytest.raises(ValueError, match="`nodes` must be given"):
        jax.jit(lambda na: psf.cartesian_scalar(None, (9, 9), **(OPTICS | {"na": na})))(1.2)


def test_too_few_nodes_and_samples_are_said():
    with pytest.warns(JaxwaveWarning, match="would do"):
        psf.cartesian_scalar(None, (201, 201), nodes=16, **OPTICS)
    with pytest.warns(JaxwaveWarning, match="Pass at least"):
        psf.cartesian_scalar(np.ones((16, 16)), (201, 201), **OPTICS)
