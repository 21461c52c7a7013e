"""The planar solver against float64 quadrature, closed forms, finite differences."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from interpreter import interpreted
from psf import polar
from psf.quadrature import Round
from reference import error, single
from scipy.special import j1

from jaxwave import psf

NA, N, WAVELENGTH, SPACING = (single(v) for v in (1.3, 1.5, 0.632, 0.04))
OIL = psf.Objective(NA, WAVELENGTH, N)
JONES = np.array([0.48 - 0.64j, 0.6j])
MODES, COEFFICIENTS = [(2, 2), (3, 1)], [single(0.05), single(-0.04)]


def aberrated(y, x):
    kind = dict(coefficients=jnp.array(COEFFICIENTS), modes=MODES, wavelength=WAVELENGTH)
    return psf.zernike_pupil(y, x, **kind)


def reference_pupil(y, x):
    a, c = COEFFICIENTS
    w = a * np.sqrt(6) * (x * x - y * y) + c * np.sqrt(8) * (3 * (x * x + y * y) - 2) * x
    return np.exp(2j * np.pi * w / WAVELENGTH)


def clear(y, x):
    return 1 + 0 * x * y


def check(shape, z, tolerance, y=0.0, x=0.0):
    got = psf.focus(
        OIL, psf.Window(shape, SPACING, z, y, x), aberrated, polarization=JONES, nodes=64
    )
    index, ys, xs = polar.window(shape, SPACING, single(y), single(x), (7, 6))
    need = polar.focus(
        reference_pupil, ys, xs, na=NA, wavelength=WAVELENGTH, n=N, z=z, jones=JONES
    ).reshape(3, *ys.shape)
    assert error(np.asarray(got)[:, index[0], index[1]], need) < tolerance


def test_smooth_pupil_is_the_quadrature_in_float32():
    check((65, 65), 0.0, 1e-6)  # measured 2e-7


def test_smooth_pupil_is_the_quadrature_in_float64(x64):
    check((66, 65), 1.0, 1e-11, 0.25, -0.5)  # measured 2e-14: rounding


def test_nodes_converge_exponentially(x64):
    shape = (65, 65)
    index, y, x = polar.window(shape, SPACING, every=(8, 8))
    need = polar.scalar(reference_pupil, y, x, na=NA, wavelength=WAVELENGTH, n=N)
    to = psf.Window(shape, SPACING)
    errors = [
        error(
            np.asarray(psf.scalar_focus(OIL, to, aberrated, nodes=k))[index], need.reshape(y.shape)
        )
        for k in (36, 44, 52, None)
    ]
    assert errors[1] < 1e-2 * errors[0] and errors[2] < 1e-2 * errors[1]
    assert errors[3] < 1e-9  # what is counted without asking


def test_airy_pattern():
    na, wavelength, shape = single(0.9), single(0.6), (61, 60)
    o = psf.Objective(na, wavelength, apodization="none")
    got = psf.scalar_focus(o, psf.Window(shape, 0.03), clear)
    _, y, x = polar.window(shape, 0.03)
    q = 2 * np.pi * na / wavelength * np.hypot(y, x)
    safe = np.where(q == 0, 1, q)
    need = np.sqrt(np.pi) * na / wavelength * np.where(q == 0, 1, 2 * j1(safe) / safe)
    assert error(got, need) < 1e-6  # float32


def test_a_round_pupil_is_that_of_the_radial_solver():
    layers = psf.Layers(n_s=1.38, n_g=1.5, n_i=1.5, t_s=3.0)
    o = psf.Objective(NA, WAVELENGTH, layers=layers, apodization="herschel")
    to = psf.Window((33, 30), 0.05, [-0.5, 0.7], 0.1, -0.2)

    def function(y, x):
        return psf.zernike_pupil(y, x, coefficients=[0.05], modes=[(4, 0)], wavelength=WAVELENGTH)

    got = psf.emitter_image(o, to, function, nodes=64)
    need = psf.emitter_image(o, to, psf.RadialPupil(None, [0.05], [(4, 0)]))
    assert error(got, need) < 2e-5  # float32 paths of a few hundred turns


# -- sampled pupils ------------------------------------------------------------------------


def sampled_error(n):
    y, x = psf.pupil_coordinates((n, n))
    shape = (41, 40)
    values = reference_pupil(np.asarray(y), np.asarray(x))
    got = psf.scalar_focus(OIL, psf.Window(shape, 0.08), values)
    _, ys, xs = polar.window(shape, 0.08)
    need = polar.scalar(reference_pupil, ys, xs, na=NA, wavelength=WAVELENGTH, n=N)
    return error(got, need.reshape(shape))


def test_weighted_rim():
    """1e-4 at 257 samples; of second order (2.5 measured), for even and odd sizes alike."""
    errors = {n: sampled_error(n) for n in (65, 257, 64, 256)}
    assert errors[257] < 1e-4 and errors[256] < 1e-4
    for n in (65, 64):
        order = np.log(errors[n] / errors[4 * (n - n % 2) + n % 2]) / np.log(4)
        assert order > 2.0


def test_rows_and_columns_of_a_pupil_are_y_and_x():
    y, x = psf.pupil_coordinates((128, 129))
    tilted = np.exp(2j * np.pi * NA * (0.4 * np.asarray(x) - 0.2 * np.asarray(y)) / WAVELENGTH)
    image = np.asarray(psf.focus_intensity(OIL, psf.Window((65, 66), SPACING), tilted))
    row, column = np.unravel_index(image.argmax(), image.shape)
    assert (row - 32, column - 33) == (5, -10)  # a path that grows with x moves it toward -x


def test_two_components_of_a_pupil():
    y, x = psf.pupil_coordinates((65, 64))
    mask = aberrated(y, x)
    both = psf.JonesPupil(jnp.stack([mask * JONES[0], mask * JONES[1]]))
    to = psf.Window((33, 32), SPACING)
    got = psf.focus(OIL, to, both, polarization=(1, 1))
    assert error(got, psf.focus(OIL, to, mask, polarization=JONES)) < 1e-6


def test_steps_and_vortices_on_rings():
    y, x = psf.pupil_coordinates((257, 257))
    to = psf.Window((33, 32), SPACING)
    for pupil in (psf.vortex, psf.half_moon):
        got = psf.scalar_focus(OIL, to, pupil(y, x))
        assert error(got, psf.scalar_focus(OIL, to, pupil, nodes=psf.PolarNodes(32, 24))) < 2e-4
    fine, more = (psf.PolarNodes(k, k, (0.5**0.5,)) for k in (24, 36))
    hats = [psf.scalar_focus(OIL, to, psf.top_hat, nodes=k) for k in (fine, more)]
    assert error(*hats) < 1e-6
    index, ys, xs = polar.window((33, 32), SPACING, every=(8, 7))
    # The step of the top hat, as the difference of two round pupils, from the quadrature.
    inner = Round(wavelength=WAVELENGTH, na=NA * 0.5**0.5, n=N).scalar(ys, xs)
    whole = Round(wavelength=WAVELENGTH, na=NA, n=N).scalar(ys, xs)
    assert error(np.asarray(hats[0])[index], whole - 2 * 0.5**0.5 * inner) < 1e-6


# -- physics -------------------------------------------------------------------------------


def flux(field, spacing, wavelength, n):
    """Power through a plane: the sum of cos(theta) |E|^2 over plane waves, from a wide window."""
    spectrum = np.fft.fft2(np.asarray(field)) * spacing**2
    m = field.shape[-1]
    f = np.fft.fftfreq(m, spacing) * wavelength / n
    cosine = np.sqrt(np.maximum(1 - f[:, None] ** 2 - f**2, 0))
    return float(np.sum(np.abs(spectrum) ** 2 * cosine) / (m * spacing) ** 2)


def test_power_through_the_focal_plane():
    to = psf.Window((301, 301), 0.15, [0.0, 0.6])
    for u in psf.focus(OIL, to, clear, polarization=JONES, nodes=288):
        # 1 % of the light is outside of the window of 45 µm
        assert abs(flux(u, 0.15, WAVELENGTH, N) - 1) < 0.015


def test_vector_becomes_scalar_at_low_aperture():
    na = np.array([0.4, 0.2, 0.1])
    o, to = psf.Objective(na, 0.6), psf.Window((21, 21), 0.1 / na[:, None] * np.ones(2))
    pairs = zip(
        psf.focus_intensity(o, to, clear, nodes=64),
        psf.scalar_focus_intensity(o, to, clear, nodes=64),
        strict=True,
    )
    errors = [error(vector, scalar) for vector, scalar in pairs]
    assert errors[-1] < 3e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.15)  # order na^2
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.15)


def test_gibson_lanni_width():
    layers = psf.Layers(n_s=1.3, n_g=1.5, n_i=1.5, t_s=1.0)
    o = psf.Objective(1.3, 0.632, layers=layers, apodization="none")
    line = np.asarray(psf.scalar_focus_intensity(o, psf.Window((1, 301), 0.002), clear))[0]
    place = (np.arange(301) - 150) * 0.002
    half = np.interp(-line.max() / 2, -line[150:], place[150:])
    assert 2e3 * half == pytest.approx(271.5, abs=0.1)  # nm


# -- transformations -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("pupil", ["modes", "samples"])
def test_gradients_are_finite_differences(pupil, x64):
    layers = psf.Layers(n_s=1.33, n_g=1.5, n_i=1.5, t_s=0.5)
    p = dict(spacing=0.1, na=1.2, wavelength=0.6, z=0.3, y=0.0, x=0.0)
    p |= dict(c=0.05, n_s=1.33, t_s=0.5, n_i=1.5, e=0.3)
    place = psf.pupil_coordinates((32, 33))
    weight = np.random.default_rng(0).normal(size=(2, 6, 5))

    def value(p):
        stack = dataclasses.replace(layers, **{k: p[k] for k in ("n_s", "t_s", "n_i")})
        o = psf.Objective(p["na"], p["wavelength"], layers=stack)
        to = psf.Window((6, 5), p["spacing"], jnp.stack([p["z"], 0 * p["z"]]), p["y"], p["x"])
        aberration = dict(coefficients=p["c"][None], modes=[(3, 1)])
        mask, nodes = psf.ZernikePupil(**aberration), 32
        if pupil == "samples":
            mask = psf.zernike_pupil(*place, wavelength=p["wavelength"], **aberration)
            nodes = None
        e = jnp.stack([jnp.cos(p["e"]), 1j * jnp.sin(p["e"])])
        return jnp.sum(psf.focus_intensity(o, to, mask, polarization=e, nodes=nodes) * weight)

    p = {k: jnp.asarray(v) for k, v in p.items()}
    both = interpreted(jax.value_and_grad(value))
    for key, g in both(p)[1].items():
        h = 1e-5
        low, high = (both(p | {key: p[key] + s * h})[0] for s in (-1, 1))
        need = (high - low) / (2 * h)
        assert abs(g - need) < 2e-6 * (abs(need) + 1), key


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (7, 1), (2, 2)])
def test_small_windows(shape):
    u = psf.scalar_focus(OIL, psf.Window(shape, SPACING), aberrated, nodes=48)
    _, y, x = polar.window(shape, SPACING)
    need = polar.scalar(reference_pupil, y, x, na=NA, wavelength=WAVELENGTH, n=N)
    assert error(u, need.reshape(shape)) < 1e-6
