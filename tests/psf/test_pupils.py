"""Pupils and polarizations: what they do to a focus."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave import psf

OPTICS = dict(spacing=0.02, na=1.3, wavelength=0.632, n=1.5, nodes=psf.PolarNodes(32, 24))


@pytest.mark.parametrize(("apodization", "bright"), [("herschel", 0.797), ("aplanatic", 0.765)])
def test_vortex_with_circular_polarization(apodization, bright):
    def center(charge, helicity):
        image = psf.cartesian_vector_intensity(
            lambda x, y: psf.vortex(x, y, charge=charge),
            (41, 41),
            polarization=psf.circular_polarization(helicity),
            apodization=apodization,
            **OPTICS,
        )
        return float(image[20, 20] / image.max())

    assert center(1, 1) < 1e-9 and center(-1, -1) < 1e-9
    assert center(1, -1) == pytest.approx(bright, abs=2e-3)  # the peak lies between samples
    assert center(-1, 1) == pytest.approx(bright, abs=2e-3)


def test_half_moon_has_a_dark_line_and_the_mean_on_its_step():
    image = psf.cartesian_vector_intensity(psf.half_moon, (21, 21), polarization=(0, 1), **OPTICS)
    assert float(image[10, 10] / image.max()) < 1e-9
    # Off the center the lens makes 1 % of the crossed polarization.
    assert float(image[:, 10].max() / image.max()) < 0.02
    x, y = psf.pupil_coordinates((9, 9))
    assert np.all(np.asarray(psf.half_moon(x, y))[:, 4] == 0)


def test_top_hat_of_half_the_area_is_dark_on_the_axis():
    """In the paraxial limit both parts of the pupil cancel; with little aperture nearly."""
    rings = psf.PolarNodes(12, 8, (0.5**0.5,))
    kind = dict(spacing=0.4, na=0.2, wavelength=0.6, nodes=rings)
    clear = psf.cartesian_scalar_intensity(None, (3, 3), **kind)
    hat = psf.cartesian_scalar_intensity(psf.top_hat, (3, 3), **kind)
    assert float(hat[1, 1] / clear[1, 1]) < 1e-4


def test_radial_light_is_axial_and_azimuthal_light_is_not():
    radial, azimuthal = (
        np.abs(np.asarray(psf.cartesian_vector(p, (21, 21), polarization=(1, 1), **OPTICS))) ** 2
        for p in (psf.radial_polarization, psf.azimuthal_polarization)
    )
    assert radial[2, 10, 10] > 0.9 * radial.sum(0).max()
    assert azimuthal[2].max() < 1e-9 * azimuthal.max() and azimuthal[:, 10, 10].max() < 1e-9


def test_conventions_of_zernike_numbers_have_names():
    x, y = psf.pupil_coordinates((5, 5))
    kind = dict(coefficients=jnp.array([0.07]), wavelength=0.5)
    pairs = psf.zernike_pupil(x, y, modes=[(3, -1)], **kind)
    for convention, j in (("osa", 7), ("noll", 7), ("fringe", 8)):
        got = psf.zernike_pupil(x, y, modes=[j], convention=convention, **kind)
        assert np.allclose(got, pairs)
    with pytest.raises(TypeError, match="convention"):
        psf.zernike_pupil(x, y, modes=[7], **kind)
