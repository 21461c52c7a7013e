"""The functional lens of high aperture against Richards-Wolf, ff_lens and the dipole's image."""

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
    u = psf.high_na_ff_lens(
        pupil_light(samples, f), f, na=NA, n=N, spacing=0.1, shape=shape, z=jnp.array([0.0, 1.0])
    ).u
    index, y, x = polar.window(shape, single(0.1), every=(5, 4))
    for k, z in enumerate((0.0, 1.0)):
        need = -1j * polar.focus(
            lambda x, y: 1.0 + 0 * x, y, x, na=NA, wavelength=WAVELENGTH, n=N, z=z
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


def test_a_dipole_through_objective_and_tube_lens():
    """The image turned by 180 degrees; the share of the light that the objective collects."""
    na, n, f, m = 1.2, 1.33, 3000.0, 60.0
    d = 2 * f * na / 250
    pupil = psf.dipole_pupil(
        (256, 256), dipole=(1, 0, 0.5), spacing=d, wavelength=0.6, f=f, na=na, n=n, z=0.5, x=0.3
    )
    camera = jw.ff_lens(pupil, f * m, spacing=0.1 * m, shape=(31, 31))
    need = psf.cartesian_dipole_intensity(
        None, (31, 31), dipole=(1, 0, 0.5), spacing=0.1, na=na, wavelength=0.6, n=n, z=-0.5, x=-0.3
    )
    assert error(camera.intensity[::-1, ::-1] * m**2, need) < 1e-3
    z = psf.dipole_pupil((256, 256), dipole=(0, 0, 1), spacing=d, wavelength=0.6, f=f, na=na, n=n)
    c = np.sqrt(1 - (na / n) ** 2)
    assert float(z.power) == pytest.approx((2 - 3 * c + c**3) / 4, rel=1e-2)


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
    with pytest.warns(JaxwaveWarning, match="taken as dark"):
        psf.high_na_ff_lens(light, 2 * F, na=NA, n=N, spacing=0.1)
