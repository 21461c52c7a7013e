"""Pupils and polarizations: what they do to a focus."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from psf.polar import off

from jaxwave import psf
from jaxwave.psf import _bounds, _parity

OIL = psf.Objective(1.3, 0.632, 1.5)
RINGS = dict(nodes=psf.PolarNodes(32, 24))


@pytest.mark.parametrize(("apodization", "bright"), [("herschel", 0.797), ("aplanatic", 0.765)])
def test_vortex_with_circular_polarization(apodization, bright):
    o, to = dataclasses.replace(OIL, apodization=apodization), psf.Window((41, 41), 0.02)

    def center(charge, helicity):
        e = psf.circular_polarization(helicity)
        spiral = partial(psf.vortex, charge=charge)
        image = psf.focus_intensity(o, to, spiral, polarization=e, **RINGS)
        return float(image[20, 20] / image.max())

    assert center(1, 1) < 1e-9 and center(-1, -1) < 1e-9
    assert center(1, -1) == pytest.approx(bright, abs=2e-3)  # the peak lies between samples
    assert center(-1, 1) == pytest.approx(bright, abs=2e-3)


def test_half_moon_has_a_dark_line_and_the_mean_on_its_step():
    to = psf.Window((21, 21), 0.02)
    image = psf.focus_intensity(OIL, to, psf.half_moon, polarization=(0, 1), **RINGS)
    assert float(image[10, 10] / image.max()) < 1e-9
    # Off the center the lens makes 1 % of the crossed polarization.
    assert float(image[:, 10].max() / image.max()) < 0.02
    y, x = psf.pupil_coordinates((9, 9))
    assert np.all(np.asarray(psf.half_moon(y, x))[:, 4] == 0)


def test_what_fills_the_dark_line_of_a_half_moon():
    to = psf.Window((3, 21), 0.05)
    across, along = psf.focus_intensity(OIL, to, psf.half_moon, polarization=np.eye(2), **RINGS)[
        :, 1
    ]
    assert along[10] < 1e-10 * along.max()
    assert across[10] > 0.3 * across.max()


def test_top_hat_of_half_the_area_is_dark_on_the_axis():
    """In the paraxial limit both parts of the pupil cancel; with little aperture nearly."""
    rings = psf.PolarNodes(12, 8, (0.5**0.5,))
    o, to = psf.Objective(0.2, 0.6), psf.Window((3, 3), 0.4)
    clear, hat = (
        psf.scalar_focus_intensity(o, to, p, nodes=rings)
        for p in (lambda y, x: 1 + 0 * x, psf.top_hat)
    )
    assert float(hat[1, 1] / clear[1, 1]) < 1e-4


def test_radial_light_is_axial_and_azimuthal_light_is_not():
    radial, azimuthal = (
        np.abs(
            psf.focus(
                OIL, psf.Window((21, 21), 0.02), psf.JonesPupil(p), polarization=(1, 1), **RINGS
            )
        ) ** 2
        for p in (psf.radial_polarization, psf.azimuthal_polarization)
    )  # fmt: skip
    assert radial[2, 10, 10] > 0.9 * radial.sum(0).max()
    assert azimuthal[2].max() < 1e-9 * azimuthal.max() and azimuthal[:, 10, 10].max() < 1e-9


def test_conventions_of_zernike_numbers_have_names():
    y, x = psf.pupil_coordinates((5, 5))
    kind = dict(coefficients=jnp.array([0.07]), wavelength=0.5)
    pairs = psf.zernike_pupil(y, x, modes=[(3, -1)], **kind)
    for convention, j in (("osa", 7), ("noll", 7), ("fringe", 8)):
        got = psf.zernike_pupil(y, x, modes=[j], convention=convention, **kind)
        assert np.allclose(got, pairs)
    with pytest.raises(TypeError, match="convention"):
        psf.zernike_pupil(y, x, modes=[7], **kind)


def test_masks_by_hand():
    """Values at points whose y and x differ: nothing of it would survive an exchange."""
    y, x = 0.3, -0.4
    phi, rho2 = np.arctan2(y, x), 0.25
    assert np.allclose(psf.vortex(y, x, charge=3), np.exp(3j * phi), atol=1e-6)
    assert np.allclose(psf.radial_polarization(y, x), [np.cos(phi), np.sin(phi)], atol=1e-6)
    assert np.allclose(psf.azimuthal_polarization(y, x), [-np.sin(phi), np.cos(phi)], atol=1e-6)
    assert np.allclose(psf.gaussian_pupil(y, x, width=0.7), np.exp(-rho2 / 0.49), atol=1e-6)
    assert np.allclose(psf.top_hat(y, x, radius=0.51, phase=0.3), np.exp(0.3j), atol=1e-6)
    assert psf.top_hat(y, x, radius=0.49, phase=0.3) == 1
    assert psf.half_moon(y, x) == -1 and psf.half_moon(y, x, angle=np.pi / 2) == 1
    w = 0.05 * np.sqrt(8) * (3 * rho2 - 2) * y - 0.02 * np.sqrt(6) * (x * x - y * y)
    got = psf.zernike_pupil(
        y, x, coefficients=[0.05, -0.02], modes=[(3, -1), (2, 2)], wavelength=0.5
    )
    assert np.allclose(got, np.exp(2j * np.pi * w / 0.5), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: psf.RadialPupil(filling=0.0), ValueError, r"RadialPupil: `filling` must be posit"),
        (lambda: psf.RadialPupil(coefficients=[0.1]), ValueError, r"must come together"),
        (
            lambda: psf.RadialPupil(coefficients=[0.1, 0.2], modes=[(4, 0)]),
            ValueError,
            r"RadialPupil: `coefficients` must have one number for each of the 1 modes",
        ),
        (
            lambda: psf.RadialPupil(coefficients=[0.1], modes=[(2, 2)]),
            ValueError,
            r"circularly symmetric, \(n, 0\), got \(2, 2\). Use ZernikePupil",
        ),
        (lambda: psf.RadialPupil(np.ones(3)), ValueError, r"`profile` must have at least 4 sampl"),
        (lambda: psf.RadialPupil(np.full(9, np.nan)), ValueError, r"`profile` must be finite"),
        (lambda: psf.ZernikePupil([0.1], [4]), TypeError, r"the number 4 without its convention"),
        (lambda: psf.ZernikePupil([0.1], [(3, 2)]), ValueError, r"\(3, 2\)|n - \|m\|"),
        (
            lambda: psf.ZernikePupil([[0.1], [0.2]], [(2, 2), (3, 1)]),
            ValueError,
            r"ZernikePupil: `coefficients` must have one number for each of the 2 modes on the la",
        ),
        (lambda: psf.ZernikePupil([0.1], []), ValueError, r"must come together"),
        (lambda: psf.ZernikePupil([np.nan], [(2, 2)]), ValueError, r"`coefficients` must be fini"),
        (
            lambda: psf.ZernikePupil([0.1], [(2, 2)], psf.ZernikePupil([0.1], [(3, 1)])),
            TypeError,
            r"pass all modes at once",
        ),
        (lambda: psf.JonesPupil(np.ones((33, 33))), ValueError, r"`factors` must be .* \(33, 33"),
        (lambda: psf.JonesPupil(np.ones((3, 33, 33))), ValueError, r"\(\.\.\., 2, y, x\)"),
        (lambda: psf.JonesPupil(np.ones((2, 4, 33))), ValueError, r"at least \(8, 8\) samples"),
        (lambda: psf.JonesPupil("radial"), TypeError, r"`factors` must be a function or samples"),
    ],
)
def test_bad_pupils(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_pupils_are_trees_of_their_numbers():
    pupil = psf.ZernikePupil([0.1, 0.2], [5, 7], psf.RadialPupil(filling=0.8), convention="noll")
    assert pupil.modes == ((2, -2), (3, -1))
    assert [np.shape(a) for a in jax.tree.leaves(pupil)] == [(2,), ()]
    twice = jax.tree.map(lambda a: 2 * a, pupil)
    assert twice.modes == pupil.modes and float(twice.pupil.filling) == 1.6
    spiral = psf.JonesPupil(psf.radial_polarization)
    assert not jax.tree.leaves(spiral) and jax.tree.map(lambda a: a, spiral).factors is not None


@pytest.mark.parametrize("name", ["radial", "azimuthal"])
def test_a_jones_pupil_is_the_light_s_polarization(name):
    """The line that one writes first, without a word on the polarization behind the mask."""
    pupil = psf.JonesPupil(getattr(psf, f"{name}_polarization"))
    window = psf.Window((19, 17), (0.05, 0.06), z=0.3)
    need = psf.focus(OIL, window, polarization=name)
    assert off(psf.focus(OIL, window, pupil), np.asarray(need), float(abs(need).max())) < 2e-6
    tilted = psf.ZernikePupil([0.0], [(1, 1)], pupil=pupil)
    got = psf.focus_intensity(OIL, window, tilted)
    intensity = np.sum(np.abs(np.asarray(need)) ** 2, axis=0)
    assert off(got, intensity, intensity.max()) < 2e-6


def test_jumps_along_rays_are_found(x64):
    """In the quadrant that all share; what turns smoothly or jumps along an axis has none."""
    turned = [_bounds.rays(lambda y, x, a=a: psf.half_moon(y, x, angle=a)) for a in (0.2, -0.5)]
    assert [r[0] for r in turned] == pytest.approx([np.pi / 2 - 0.2, np.pi / 2 - 0.5], abs=1e-8)
    assert _bounds.rays(psf.half_moon) == _bounds.rays(psf.vortex) == ()
    nodes = _parity.polar_nodes(psf.PolarNodes(9, 8, (0.3,), turned[0]))
    assert np.sum(nodes.weight) == pytest.approx(np.pi / 4, rel=1e-12)
    inside = np.arctan2(nodes.y, nodes.x) < turned[0][0]
    assert np.sum(nodes.weight[inside]) == pytest.approx(turned[0][0] / 2, rel=1e-12)


@pytest.mark.slow
def test_a_turned_half_moon_equals_the_integral_over_its_halves():
    """Refused before: no nodes but those that end at the step converge."""
    turn, (t, w) = np.radians(10), np.polynomial.legendre.leggauss(60)
    o, to = psf.Objective(0.9, 0.5), psf.Window((5, 4), spacing=0.15, z=0.3)
    got = psf.scalar_focus(o, to, lambda y, x: psf.half_moon(y, x, angle=turn))
    rho = ((t + 1) / 2)[:, None]
    root = np.sqrt(1 - (0.9 * rho) ** 2)
    need = np.zeros((5, 4), complex)
    for sign, middle in ((1, turn), (-1, turn + np.pi)):
        phi = middle + t * np.pi / 2
        weight = sign * (w / 2)[:, None] * (w * np.pi / 2) * rho / np.sqrt(root)
        for j, y in enumerate((np.arange(5) - 2) * 0.15):
            for k, x in enumerate((np.arange(4) - 2) * 0.15):
                path = 0.9 * rho * (np.cos(phi) * x + np.sin(phi) * y) + 0.3 * (root - 1)
                need[j, k] += np.sum(weight * np.exp(2j * np.pi / 0.5 * path))
    need *= 0.9 / (np.sqrt(np.pi) * 0.5)
    assert np.abs(got - need).max() < 1e-6 * np.abs(need).max()
    with pytest.raises(ValueError, match=r"scalar_focus: `nodes.rays` must ascend between 0 and"):
        psf.scalar_focus(o, to, psf.half_moon, nodes=psf.PolarNodes(9, 8, (), (0.3, 0.2)))
