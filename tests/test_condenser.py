"""Koehler images: clear fields, coherent and incoherent limits, weak objects, dark field."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import TAU, axis, error

import jaxwave as jw
from jaxwave import psf

NA, WAVELENGTH, SPACING, SHAPE = 0.4, 0.5, (0.25, 0.3), (48, 40)
KIND = dict(spacing=SPACING, wavelength=WAVELENGTH, na=NA)
Y, X = axis(SHAPE[0], 0.25)[:, None], axis(SHAPE[1], 0.3)


def grating(phase, my, mx):
    """A weak sinusoid of my and mx periods in the window, and its frequency."""
    fy, fx = my / (SHAPE[0] * 0.25), mx / (SHAPE[1] * 0.3)
    wave = np.cos(TAU * (fy * Y + fx * X))
    return np.exp(1j * phase * wave), (fy, fx), wave


def test_points_integrate_polynomials_over_their_part():
    for side, sign in (("right", 1), ("left", -1)):
        y, x, w = np.asarray(jw.illumination_points(0.5, inner=0.2, side=side, rings=3)).T
        assert np.all(sign * x > 0) and np.all(np.hypot(y, x) > 0.2)
    for side, sign in (("bottom", 1), ("top", -1)):
        y = np.asarray(jw.illumination_points(0.5, side=side, rings=3))[:, 0]
        assert np.all(sign * y > 0)
    y, x, w = np.asarray(jw.illumination_points(0.5, inner=0.2, y=0.1, x=-0.3, rings=3), float).T
    area = np.pi * (0.5**2 - 0.2**2)
    second = np.pi / 4 * (0.5**4 - 0.2**4) / area
    np.testing.assert_allclose(
        [
            w.sum(),
            w @ y,
            w @ x,
            w @ (y - 0.1) ** 2,
            w @ (x + 0.3) ** 2,
            w @ ((y - 0.1) * (x + 0.3)),
        ],
        [1, 0.1, -0.3, second, second, 0],
        atol=1e-6,
    )
    halves = [jw.illumination_points(0.5, side=s, rings=3) for s in ("left", "right")]
    full = np.asarray(jw.illumination_points(0.5, rings=3))
    both = np.concatenate(halves) * [1, 1, 0.5]

    def ordered(a):
        return a[np.lexsort(np.round(a[:, :2], 5).T)]

    np.testing.assert_allclose(ordered(both), ordered(full), atol=1e-6)


def test_one_direction_is_coherent_imaging():
    """Against a Fourier sum written out; the sample is not symmetric and complex."""
    rng = np.random.default_rng(1)
    t = rng.normal(size=SHAPE) + 1j * rng.normal(size=SHAPE)
    sy, sx, z, n = 0.07, -0.11, 1.7, 1.33
    got = jw.koehler_image(t, [[sy, sx, 1.0]], n=n, z=z, **KIND)
    fy = np.fft.fftfreq(SHAPE[0], 0.25)[:, None] + sy / WAVELENGTH
    fx = np.fft.fftfreq(SHAPE[1], 0.3) + sx / WAVELENGTH
    f2 = fy**2 + fx**2
    # The stop in the sense of areas, by 200 x 200 points in each sample of the spectrum.
    sub = (np.arange(200) + 0.5) / 200 - 0.5
    gy, gx = (
        (f[..., None] + sub / (c * d))
        for f, c, d in ((fy[:, 0], SHAPE[0], 0.25), (fx, SHAPE[1], 0.3))
    )
    stop = np.array(
        [[np.mean(a[:, None] ** 2 + b**2 <= (NA / WAVELENGTH) ** 2) for b in gx] for a in gy]
    )
    defocus = np.exp(1j * TAU * z * (np.sqrt((n / WAVELENGTH) ** 2 - f2 + 0j) - n / WAVELENGTH))
    need = np.abs(np.fft.ifft2(stop * np.where(stop, defocus, 0) * np.fft.fft2(t))) ** 2
    assert error(got, need) < 5e-3  # rim shares: see grid.disk_coverage


def test_clear_and_dark_fields():
    clear = np.ones(SHAPE)
    np.testing.assert_allclose(
        jw.koehler_image(clear, jw.illumination_points(0.3), z=3.0, **KIND), 1, rtol=1e-5
    )
    dark = jw.illumination_points(0.7, inner=0.5)
    assert float(jnp.max(jw.koehler_image(clear, dark, **KIND))) == 0
    t, _, _ = grating(0.2, 7, 0)
    assert float(jnp.mean(jw.koehler_image(t, dark, **KIND))) > 1e-3
    # Half of a condenser of twice the aperture's area misses the objective.
    wide = jw.illumination_points(NA * 2**0.5, rings=12)
    np.testing.assert_allclose(jw.koehler_image(clear, wide, **KIND)[0, 0], 0.5, atol=0.03)


def weak(side, fy, fx, na, source):
    """Transfer function of a weak phase for a half-disk of light: Hamilton & Sheppard 1984.

    I = 1 + 2 Re[i phi/2 (P(s + f) e + P(s - f) / e)] with e = exp(2 pi i f r) is 1 plus the phase
    times (P(s - f) - P(s + f)) sin(2 pi f r); the pupils are areas here.
    """
    s = (np.arange(1200) + 0.5) / 1200 * 2 - 1
    sy, sx = source * s[:, None], source * s
    on = (sy**2 + sx**2 <= source**2) & (side * sx > 0)
    pass_plus = (sy + fy * WAVELENGTH) ** 2 + (sx + fx * WAVELENGTH) ** 2 <= na**2
    pass_minus = (sy - fy * WAVELENGTH) ** 2 + (sx - fx * WAVELENGTH) ** 2 <= na**2
    through = on & (sy**2 + sx**2 <= na**2)
    return (np.sum(pass_minus & through) - np.sum(pass_plus & through)) / np.sum(on)


@pytest.mark.parametrize(("my", "mx"), [(0, 3), (2, 7), (-3, 5)])
def test_differential_phase_contrast_is_the_weak_object_transfer_function(my, mx):
    phase = 0.01
    t, (fy, fx), wave = grating(phase, my, mx)
    source = 0.999 * NA  # the peers' sigma = 1, inside the rim
    right, left = (
        jw.koehler_image(t, jw.illumination_points(source, side=s, rings=14), **KIND)
        for s in ("right", "left")
    )
    got = np.asarray((right - left) / (right + left), float)
    sine = np.sin(TAU * (fy * Y + fx * X))
    amplitude = np.sum(got * sine) / np.sum(sine**2)
    need = phase * weak(1, fy, fx, NA, source)
    assert need != 0
    np.testing.assert_allclose(amplitude, need, rtol=0.06)  # rims against samples of the spectrum
    assert abs(np.sum(got * wave)) < 0.05 * abs(np.sum(got * sine))


def test_a_sample_that_bends_light_to_the_right_is_bright_in_light_from_the_left():
    """Light that runs toward -x is bent back into the objective by a prism toward +x."""
    period = 8 * 0.3
    t, _, _ = grating(0.0, 0, 0)
    prism = np.exp(1j * TAU * X / period) * t  # one order, at +x
    sine = WAVELENGTH / period
    inside, outside = ([[0.0, s, 1.0]] for s in (-NA - sine / 2, NA - sine / 2))
    assert float(jw.koehler_image(prism, inside, **KIND)[0, 0]) > 0.9
    assert float(jw.koehler_image(prism, outside, **KIND)[0, 0]) < 0.1


def test_cut_off_and_defocus():
    # 0.5 amplitude grating: visible up to (NA + source) / lambda, and no further.
    for my, seen in ((9, True), (17, False)):
        fy = my / (SHAPE[0] * 0.25)
        assert (fy < (NA + 0.2) / WAVELENGTH) == seen
        t = 1 + 0.1 * np.cos(TAU * fy * Y) + 0 * X
        image = jw.koehler_image(t, jw.illumination_points(0.2), **KIND)
        assert (float(image.std()) > 1e-3) == seen
    # A phase is seen out of focus, with opposite signs on both sides.
    t, _, wave = grating(0.05, 3, 0)
    light = jw.illumination_points(0.05, rings=2)
    seen = [np.sum(jw.koehler_image(t, light, z=z, **KIND) * wave) for z in (-2.0, 2.0)]
    f = 3 / (SHAPE[0] * 0.25)
    need = 2 * 0.05 * np.sin(np.pi * WAVELENGTH * 2.0 * f**2) * np.sum(wave**2)
    np.testing.assert_allclose(seen, [-need, need], rtol=0.03)


def test_a_pupil_is_an_aberration():
    t, _, _ = grating(0.3, 4, 2)
    light = jw.illumination_points(0.2, rings=2)

    def defocus(y, x):
        return psf.zernike_pupil(y, x, coefficients=[0.06], modes=[(2, 0)], wavelength=WAVELENGTH)

    plain, changed = (jw.koehler_image(t, light, pupil=p, **KIND) for p in (None, defocus))
    assert error(changed, plain) > 0.02
    same = jw.koehler_image(t, light, pupil=lambda y, x: jnp.ones_like(y + x), **KIND)
    assert error(same, plain) < 1e-6


def test_the_light_can_be_learned():
    t, _, _ = grating(0.3, 4, 2)

    def loss(points, na):
        image = jw.koehler_image(t, points, spacing=SPACING, wavelength=WAVELENGTH, na=na)
        return jnp.sum(image**2)

    points = jnp.array([[0.05, 0.39, 1.0], [-0.2, 0.1, 0.5]])
    slope = jax.grad(loss, argnums=(0, 1))(points, NA)
    assert np.all(np.isfinite(slope[0])) and abs(slope[1]) > 0 and np.all(slope[0][0] != 0)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"`illumination` must have rows \(y, x, power\)"):
        jw.koehler_image(np.ones(SHAPE), [0.1, 0.2], **KIND)
    with pytest.raises(ValueError, match=r"`inner` must be below `na` = 0\.3, got 0\.4"):
        jw.illumination_points(0.3, inner=0.4)
    with pytest.raises(ValueError, match=r"`side` must be one of .* Did you mean 'right'"):
        jw.illumination_points(0.3, side="rigt")
    with pytest.warns(jw.JaxwaveWarning, match="Use a spacing of at most"):
        jw.koehler_image(np.ones((4, 4)), [[0.0, 0.0, 1.0]], spacing=1.0, wavelength=0.5, na=0.4)


def test_a_pupil_over_a_window_of_centimeters():
    kind = dict(spacing=2000.0, wavelength=0.5, na=6e-5)
    light = [[0.0, 0.0, 1.0]]
    plain = jw.koehler_image(np.ones((8, 8)), light, **kind)
    ones = jw.koehler_image(np.ones((8, 8)), light, pupil=lambda y, x: 1 + 0 * (y + x), **kind)
    np.testing.assert_allclose(ones, plain, rtol=1e-6)
