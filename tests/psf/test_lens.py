"""The functional lens of high aperture against Richards-Wolf, ff_lens and the dipole's image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from psf import polar
from reference import error, single

import jaxwave as jw
from jaxwave import JaxwaveWarning, psf

NA, N, WAVELENGTH, F = (single(v) for v in (1.3, 1.5, 0.632, 2000.0))


def pupil_light(samples, f=F):
    """A plane wave of unit power through the aperture."""
    spacing = 2 * f * NA / N / (samples - 3)
    area = np.pi * (f * NA / N) ** 2
    power = (samples * spacing) ** 2 / area
    return jw.plane_wave((samples, samples), spacing=spacing, wavelength=WAVELENGTH, power=power)


@pytest.mark.parametrize(("samples", "f", "most"), [(128, F, 1e-3), (256, 700.0, 1e-4)])
def test_richards_wolf(samples, f, most):
    """1e-3 and 1e-4 with 128 and 256 samples, whatever f is, in focus and 1 µm behind it."""
    shape = (40, 41)
    to = dict(na=NA, n=N, spacing=0.1, shape=shape, z=jnp.array([0.0, 1.0]))
    u = psf.high_na_ff_lens(pupil_light(samples, f), f, **to).u
    index, y, x = polar.window(shape, single(0.1), every=(5, 4))
    for k, z in enumerate((0.0, 1.0)):
        need = -1j * polar.focus(
            lambda y, x: 1.0 + 0 * x, y, x, na=NA, wavelength=WAVELENGTH, n=N, z=z
        ).reshape(3, *y.shape)
        # Defocus doubles the phase's slope at the rim: 3e-4, 5e-5 in focus; 6e-4, 1.1e-4 behind it.
        assert error(np.asarray(u[k])[:, index[0], index[1]], need) < most * (1.5 if z else 1)


def test_low_aperture_is_ff_lens_with_order_two():
    errors = []
    for na in (0.2, 0.1, 0.05):
        spacing = 2 * F * na / 61
        light = jw.circular_aperture(
            jw.plane_wave((64, 64), spacing=spacing, wavelength=0.6, kx=2e-3 * na), 0.9 * F * na
        )
        to = dict(spacing=0.12 / na, shape=(32, 33))
        need = jw.ff_lens(light, F, **to)
        errors.append(error(psf.high_na_ff_lens(light, F, na=na, **to).u[0], need.u))
        plain = psf.high_na_ff_lens_scalar(light, F, na=na, apodization="none", **to)
        assert error(plain.u, need.u) < 2e-6
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(np.abs(orders - 2) < 0.1)


def test_batches_of_colors_and_planes():
    light = jw.plane_wave((32, 32), spacing=150.0, wavelength=jnp.array([0.5, 0.6]))
    to = dict(na=1.0, n=1.33, spacing=0.1, shape=(8, 9))
    many = psf.high_na_ff_lens(light, F, z=jnp.array([[0.0], [0.4], [1.0]]), **to)
    assert many.batch_shape == (3, 2) and many.u.shape == (3, 2, 3, 8, 9)
    one = psf.high_na_ff_lens(light[1], F, z=0.4, **to)
    assert error(many.u[1, 1], one.u) < 1e-6


def test_everything_distinct(x64):
    """A field that is nothing but different along y and x, with a polarization that turns."""
    na, n, wavelength, f = 1.1, 1.33, 0.6, 900.0
    spacing, (ny, nx) = np.array([5.0, 6.0]), (321, 262)
    jones, to = np.array([0.5, 0.3 - 0.7j]), dict(spacing=np.array([0.11, 0.08]), shape=(7, 10))

    def smooth(y, x):  # in pupil radii; the lens turns the picture of the pupil
        return np.exp(1j * (0.9 * y - 1.7 * x + 0.8 * x * y * y)) * (1 + 0.3 * x - 0.2 * y)

    radius = f * na / n
    y, x = ((np.arange(m) - m // 2) * d / radius for m, d in zip((ny, nx), spacing, strict=True))
    u = smooth(y[:, None], x)
    field = jw.scalar_field(u, spacing=spacing, wavelength=wavelength)
    got = psf.high_na_ff_lens(field, f, na=na, n=n, z=0.4, polarization=jones, **to)
    _, ys, xs = polar.window(to["shape"], to["spacing"])
    rays = polar.Aperture(na=na, wavelength=wavelength, n=n)
    turned = lambda y, x: smooth(-y, -x)  # noqa: E731
    # The quadrature has unit power in a clear pupil; here it has the radius f na / n.
    need = -1j * np.sqrt(np.pi) * radius * rays.focus((turned, turned), ys, xs, 0.4, jones)
    assert error(got.u, need) < 3e-4
    same = psf.high_na_ff_lens(
        jw.vector_field(np.stack([jones[0] * u, jones[1] * u, 0 * u]), spacing=spacing,
                        wavelength=wavelength), f, na=na, n=n, z=0.4, **to,
    )  # fmt: skip
    assert error(same.u, got.u) < 1e-12


# -- dipoles -------------------------------------------------------------------------------


def test_a_dipole_through_objective_and_tube_lens():
    """The image turned by 180 degrees; the share of the light that the objective collects."""
    o, f, m = psf.Objective(1.2, 0.6, 1.33), 3000.0, 60.0
    back = dict(spacing=2 * f * 1.2 / 250, f=f)
    pupil = psf.dipole_pupil(o, (256, 256), dipole=(1, 0, 0.5), z=0.5, x=0.3, y=-0.2, **back)
    camera = jw.ff_lens(pupil, f * m, spacing=0.1 * m, shape=(31, 31))
    need = psf.emitter_image(
        o, psf.Window((31, 31), 0.1, z=-0.5, x=-0.3, y=0.2), dipole=(1, 0, 0.5)
    )
    assert error(camera.intensity[::-1, ::-1] * m**2, need) < 1e-3
    z = psf.dipole_pupil(o, (256, 256), dipole=(0, 0, 1), **back)
    c = np.sqrt(1 - (1.2 / 1.33) ** 2)
    assert float(z.power) == pytest.approx((2 - 3 * c + c**3) / 4, rel=1e-2)


def test_a_dipole_behind_layers_through_a_tube_lens():
    """Three indices, an emitter that is deeper than the focus, a stage that moved, any moment."""
    layers = psf.Layers(n_s=1.35, n_g=1.52, n_i=1.5, t_s=0.4)
    o, f, m, d = psf.Objective(1.4, 0.6, layers=layers), 3000.0, 60.0, np.array([34.0, 36.0])
    dipole, place = (0.4, 0.5j, -0.7), dict(y=0.15, x=-0.3)
    pupil = psf.dipole_pupil(
        o, (256, 242), spacing=d, f=f, dipole=dipole, z=-0.3, focus=0.5, **place
    )
    camera = jw.ff_lens(pupil, f * m, spacing=np.array([0.1, 0.08]) * m, shape=(15, 21))
    literal = dict(n_s=1.35, n_g=(1.52,), t_s=0.7, t_g=(170.0,), t_g0=(170.0,), t_i0=100.0)
    # The emitter lies 0.3 µm deeper than the immersion was set for, and the stage moved by 0.5 µm.
    t_i = 1.5 * (100 / 1.5 - 0.4 / 1.35)
    rays = polar.Aperture(na=1.4, wavelength=0.6, n=1.5, layers=literal | {"t_i": t_i}, radial=120)
    _, y, x = polar.window((15, 21), (0.1, 0.08), -0.15, 0.3)
    clear = lambda y, x: 1 + 0 * x  # noqa: E731
    need = np.sum(np.abs(rays.emitter((clear, clear), y, x, 0.5, dipole)) ** 2, 0)
    assert error(camera.intensity[::-1, ::-1] * m**2, need) < 5e-3  # samples at the critical angle


def test_emitter_and_stage_are_one_motion_in_one_medium():
    """Deeper is away from the objective, z = -0.8."""
    layers = psf.Layers(n_s=1.5, n_g=1.5, n_i=1.5, t_s=3.0)
    o = psf.Objective(1.3, 0.632, layers=layers)
    back = dict(dipole=(1, 0, 0), spacing=2 * 3000.0 * 1.3 / 250, f=3000.0)
    deeper = psf.dipole_pupil(o, (256, 256), z=-0.8, **back)
    nearer = psf.dipole_pupil(o, (256, 256), focus=0.8, **back)
    assert error(deeper.u, nearer.u) < 1e-4


def test_power_of_a_dipole_through_water(x64):
    """Share of the light of dipoles along and across the axis, by Fresnel's power transmission.

    Far from the interface the light below the critical angle is what the interface transmits.
    """
    n_s, n_i, na = 1.33, 1.515, 1.2
    o = psf.Objective(na, 0.6, layers=psf.Layers(n_s=n_s, n_g=n_i, n_i=n_i, t_s=50.0))
    t, w = np.polynomial.legendre.leggauss(100)
    s, w = na * (t + 1) / 2, w * na / 2
    r1, r2 = np.sqrt(n_s**2 - s**2), np.sqrt(n_i**2 - s**2)
    t_s = 4 * r1 * r2 / (r1 + r2) ** 2
    t_p = 4 * n_s**2 * n_i**2 * r1 * r2 / (n_i**2 * r1 + n_s**2 * r2) ** 2
    cosine = r1 / n_s
    solid = 2 * np.pi * s * w / (n_s * r1)  # of the sample
    along = np.sum(3 / (8 * np.pi) * (s / n_s) ** 2 * t_p * solid)
    across = np.sum(3 / (16 * np.pi) * (t_s + cosine**2 * t_p) * solid)
    d = 2 * 3000.0 * na / 600
    for dipole, need in (((0, 0, 1), along), ((1, 0, 0), across)):
        pupil = psf.dipole_pupil(o, (640, 640), dipole=dipole, spacing=d, f=3000.0)
        # The rim's samples carry the square of their share: 0.1 % too little.
        assert float(pupil.power) == pytest.approx(need, rel=4e-3)


@pytest.mark.parametrize("name", ["z", "f", "na"])
def test_one_traced_number_beside_a_known_field(name):
    light, known = pupil_light(32), dict(f=F, na=NA, n=N, spacing=0.1, z=0.0)

    def focus(value):
        return psf.high_na_ff_lens(light, **known | {name: value}, shape=(8, 9)).u

    assert jax.eval_shape(focus, jnp.float32(known[name])).shape == (3, 8, 9)


# -- bad input -----------------------------------------------------------------------------


def test_bad_input_is_said():
    light = pupil_light(32)
    with pytest.raises(ValueError, match="`na` must be below"):
        psf.high_na_ff_lens(light, F, na=1.6, n=1.5, spacing=0.1)
    with pytest.raises(TypeError, match="high_na_ff_lens"):
        psf.high_na_ff_lens_scalar(
            jw.vector_field(jnp.ones((3, 8, 8)), spacing=1.0, wavelength=0.5), F, na=1, spacing=0.1
        )
    with pytest.warns(JaxwaveWarning, match=r"too coarse .* Pass at least \(51, 51\) samples"):
        psf.high_na_ff_lens(light, F, na=NA, n=N, spacing=0.1, shape=(8, 121))
    # The same window 5 µm behind the focus: rays at the rim walk sideways by 5 tan(60 degrees).
    with pytest.warns(JaxwaveWarning, match=r"z range that reach 9\.\d+ µm"):
        psf.high_na_ff_lens(light, F, na=NA, n=N, spacing=0.1, shape=(8, 9), z=5.0)
    with pytest.warns(JaxwaveWarning, match="taken as dark"):
        psf.high_na_ff_lens(light, 2 * F, na=NA, n=N, spacing=0.1)


def test_bad_dipole_pupils_are_said():
    o, back = psf.Objective(1.3, 0.632, 1.5), dict(dipole=(1, 0, 0), spacing=1000.0, f=3000.0)
    with pytest.warns(JaxwaveWarning, match="Make `spacing` at least 975 µm"):
        psf.dipole_pupil(o, (8, 8), **(back | {"spacing": 50.0}))
    with pytest.raises(TypeError, match=r"dipole_pupil: `objective` must be psf.Objective"):
        psf.dipole_pupil((8, 8), (8, 8), **back)
    with pytest.raises(ValueError, match=r"`na` must be one number, got the shape \(2,\)"):
        psf.dipole_pupil(psf.Objective([1.0, 1.2], 0.6, 1.5), (8, 8), **back)
    with pytest.raises(ValueError, match=r"`dipole` must have 3 components \(x, y, z\)"):
        psf.dipole_pupil(o, (8, 8), **(back | {"dipole": (1, 0)}))
