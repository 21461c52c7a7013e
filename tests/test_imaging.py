"""Incoherent imaging against scipy and against the explicit sum, in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxwave.grid import frequencies
from jaxwave.imaging import convolve_psf, image_volume, mtf, otf

BOUNDARIES = ["zero", "periodic", "reflect", "edge"]
# Even and odd, non-square, one row, PSF smaller and larger than the image.
SHAPES = [
    ((8, 9), (3, 4)),
    ((7, 6), (5, 5)),
    ((5, 4), (12, 11)),
    ((4, 5), (9, 2)),
    ((1, 6), (3, 8)),
    ((6, 1), (1, 1)),
]


compiled = {b: jax.jit(partial(convolve_psf, boundary=b)) for b in BOUNDARIES}


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def index(i: int, n: int, boundary: str) -> int | None:
    """Sample that stands at position i, or None in darkness."""
    if boundary == "zero":
        return i if 0 <= i < n else None
    if boundary == "periodic":
        return i % n
    if boundary == "edge":
        return min(max(i, 0), n - 1)
    i %= 2 * n
    return i if i < n else 2 * n - 1 - i


def explicit_sum(image, psf, boundary):
    (ny, nx), (my, mx) = image.shape, psf.shape
    result = np.zeros_like(image)
    for y, x in np.ndindex(ny, nx):
        for j, i in np.ndindex(my, mx):
            row, column = (
                index(y - (j - my // 2), ny, boundary),
                index(x - (i - mx // 2), nx, boundary),
            )
            if row is not None and column is not None:
                result[y, x] += psf[j, i] * image[row, column]
    return result


# -- values --------------------------------------------------------------------------------


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_every_size_against_the_explicit_sum(boundary):
    with jax.enable_x64(True):
        for image_shape, psf_shape in SHAPES:
            image, psf = random(*image_shape), random(*psf_shape, seed=1)
            result = compiled[boundary](image, psf)
            assert result.shape == image_shape
            # Rounding of transforms of about 20 samples with values of about 30.
            np.testing.assert_allclose(result, explicit_sum(image, psf, boundary), atol=1e-12)


def test_zero_boundary_against_scipy_signal():
    image, psf = random(37, 50), random(11, 15, seed=1)
    expected = scipy.signal.convolve2d(image, psf, mode="same")  # odd PSF: the same center
    result = convolve_psf(image, psf)
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, expected, atol=1e-4)  # float32, sums of 165 terms


@pytest.mark.parametrize(
    ("boundary", "mode"),
    [("periodic", "wrap"), ("reflect", "reflect"), ("edge", "nearest"), ("zero", "constant")],
)
def test_boundaries_against_scipy_ndimage(boundary, mode):
    image, psf = random(13, 10), random(5, 7, seed=1)
    with jax.enable_x64(True):
        result = compiled[boundary](image, psf)
    np.testing.assert_allclose(result, scipy.ndimage.convolve(image, psf, mode=mode), atol=1e-12)


@given(st.sampled_from(BOUNDARIES), st.integers(0, 2**31), st.floats(-3, 3, width=32))
@settings(max_examples=15, deadline=None)
def test_the_image_is_linear(boundary, seed, factor):
    one, two, psf = random(6, 7, seed=seed), random(6, 7, seed=seed + 1), random(4, 3, seed=2)
    image = compiled[boundary]
    together = image(one + factor * two, psf)
    np.testing.assert_allclose(
        together, image(one, psf) + factor * image(two, psf), atol=1e-4
    )  # float32


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_point_shows_the_psf_and_the_center_is_at_half(boundary):
    for image_shape, psf_shape in [((9, 8), (3, 4)), ((8, 9), (4, 3))]:
        image, psf = np.zeros(image_shape), random(*psf_shape)
        image[4, 4] = 1
        result = np.asarray(compiled[boundary](image, psf))
        top, left = 4 - psf_shape[0] // 2, 4 - psf_shape[1] // 2
        window = result[top : top + psf_shape[0], left : left + psf_shape[1]]
        np.testing.assert_allclose(window, psf, atol=1e-6)  # float32


def test_a_letter_keeps_its_orientation():
    letter = np.zeros((9, 9))
    letter[1:8, 3] = letter[1, 3:7] = letter[4, 3:6] = 1  # F
    for m in (4, 5):
        point = np.zeros((m, m))
        point[m // 2, m // 2] = 1
        image = compiled["zero"]
        np.testing.assert_allclose(image(letter, point), letter, atol=1e-6)
        point = np.roll(point, (1, -1), (0, 1))  # a PSF that is down and left moves it there
        moved = np.roll(letter, (1, -1), (0, 1))
        np.testing.assert_allclose(image(letter, point), moved, atol=1e-6)


# -- energy --------------------------------------------------------------------------------


def test_energy():
    image, psf = np.abs(random(12, 11)), np.abs(random(5, 7, seed=1))
    light = image.sum() * psf.sum()
    symmetric = psf + psf[::-1, ::-1] + psf[::-1] + psf[:, ::-1]
    # 1e-5: float32 sums of 132 samples.
    assert float(compiled["periodic"](image, psf).sum()) == pytest.approx(light, 1e-5)
    reflected = compiled["reflect"](image, symmetric)
    assert float(reflected.sum()) == pytest.approx(4 * light, 1e-5)
    lost = image.copy()
    lost[:2] = lost[-2:] = lost[:, :3] = lost[:, -3:] = 0  # nothing reaches the rim
    assert float(compiled["zero"](lost, psf).sum()) == pytest.approx(lost.sum() * psf.sum(), 1e-5)
    assert float(compiled["zero"](image, psf).sum()) < light
    flat = compiled["edge"](np.ones((12, 11)), psf)
    np.testing.assert_allclose(flat, psf.sum(), rtol=1e-5)


# -- adjoint and gradients -----------------------------------------------------------------


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_adjoint(boundary):
    # <H x, y> = <x, H^T y>, with H^T from the reverse mode; and the same for the PSF.
    x, h, y = random(6, 7), random(9, 4, seed=1), random(6, 7, seed=2)
    with jax.enable_x64(True):
        forward, transpose = jax.vjp(compiled[boundary], x, h)
        x_back, h_back = transpose(jnp.asarray(y))
        inner = float(np.sum(np.asarray(forward) * y))
        assert float(np.sum(x * x_back)) == pytest.approx(inner, rel=1e-12)  # rounding
        assert float(np.sum(h * h_back)) == pytest.approx(inner, rel=1e-12)
        if boundary == "zero":  # closed form: the adjoint is the correlation
            centered = np.pad(h[::-1, ::-1], ((0, 0), (1, 0)))
            np.testing.assert_allclose(x_back, explicit_sum(y, centered, "zero"), atol=1e-12)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_volume_is_the_sum_of_its_planes(boundary):
    volume, psf = random(2, 3, 6, 7), random(2, 3, 9, 4, seed=1)
    with jax.enable_x64(True):
        image = jax.jit(partial(image_volume, boundary=boundary))
        result = image(volume, psf)
        expected = [
            sum(explicit_sum(v, h, boundary) for v, h in zip(vs, hs, strict=True))
            for vs, hs in zip(volume, psf, strict=True)
        ]
        assert result.shape == (2, 6, 7)
        np.testing.assert_allclose(result, expected, atol=1e-12)  # rounding
        np.testing.assert_allclose(image(volume[0], psf[0]), expected[0], atol=1e-12)


def test_volume_adjoint_and_gradient():
    v, h, y = random(3, 6, 7), random(3, 5, 4, seed=1), random(6, 7, seed=2)
    with jax.enable_x64(True):
        forward, transpose = jax.vjp(image_volume, v, h)
        v_back, h_back = transpose(jnp.asarray(y))
        inner = float(np.sum(np.asarray(forward) * y))
        assert float(np.sum(v * v_back)) == pytest.approx(inner, rel=1e-12)  # rounding
        assert float(np.sum(h * h_back)) == pytest.approx(inner, rel=1e-12)
        for k in range(3):
            alone = jax.vjp(compiled["zero"], v[k], h[k])[1](jnp.asarray(y))
            np.testing.assert_allclose(v_back[k], alone[0], atol=1e-12)
            np.testing.assert_allclose(h_back[k], alone[1], atol=1e-12)


def test_volume_needs_one_inverse_transform_and_one_plane_of_scratch():
    arrays = [jax.ShapeDtypeStruct((64, 60, 60), jnp.float32)] * 2
    program = jax.jit(image_volume).lower(*arrays).compile()
    assert program.as_text().count("fft_type=IRFFT") == 1
    # 64 planes of 90 x 46 complex numbers are 2.1 MB; a few planes of scratch are 0.2.
    assert program.memory_analysis().temp_size_in_bytes < 0.4e6
    gradient = jax.grad(lambda v, h: jnp.sum(image_volume(v, h) ** 2), argnums=(0, 1))
    program = jax.jit(gradient).lower(*arrays).compile()
    # The gradient repeats the transforms instead of keeping the spectra.
    assert program.memory_analysis().temp_size_in_bytes < 0.4e6


# -- transformations -----------------------------------------------------------------------


def test_batches():
    images, psfs = random(3, 1, 5, 6), random(2, 3, 3, seed=1)
    result = compiled["zero"](images, psfs)
    assert result.shape == (3, 2, 5, 6)
    for k, j in np.ndindex(3, 2):
        alone = compiled["zero"](images[k, 0], psfs[j])
        np.testing.assert_allclose(result[k, j], alone, atol=1e-5)
    mapped = jax.jit(jax.vmap(convolve_psf, (0, None)))(images[:, 0], psfs[0])
    np.testing.assert_allclose(mapped, result[:, 0], atol=1e-5)  # float32


def test_integer_images():
    image = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert convolve_psf(image, np.ones((1, 1), int)).dtype == jnp.float32
    np.testing.assert_allclose(convolve_psf(image, np.ones((1, 1))), image, atol=1e-5)
    assert convolve_psf(image.astype(np.float16), np.ones((1, 1))).dtype == jnp.float32


# -- transfer functions --------------------------------------------------------------------


def test_otf_of_a_gaussian():
    # Closed form: exp(-2 pi^2 s^2 f^2). The window is 8 standard deviations wide at least, and
    # the spectrum is 1e-12 at the Nyquist frequency: 1e-6 in float32.
    for shape in [(48, 51)]:
        s, spacing = 0.3, (0.1, 0.12)
        y, x = (np.arange(n) - n // 2 for n in shape)
        psf = np.exp(-((y[:, None] * spacing[0]) ** 2 + (x * spacing[1]) ** 2) / (2 * s * s))
        fy, fx = frequencies(shape, spacing)
        expected = np.exp(-2 * np.pi**2 * s * s * (np.asarray(fy) ** 2 + np.asarray(fx) ** 2))
        np.testing.assert_allclose(otf(7 * psf), expected, atol=2e-6)
        np.testing.assert_allclose(mtf(psf), expected, atol=2e-6)
        shifted = np.roll(psf, (1, 2), (0, 1))
        ramp = np.exp(-2j * np.pi * (np.asarray(fy) * spacing[0] + np.asarray(fx) * 2 * spacing[1]))
        np.testing.assert_allclose(otf(shifted), expected * ramp, atol=4e-6)


def test_otf_is_the_explicit_transform_and_filters_waves():
    psf = np.abs(random(6, 5))
    with jax.enable_x64(True):
        h = np.asarray(otf(psf))
        fy, fx = (np.asarray(f) for f in frequencies((6, 5), 1.0))
        y, x = np.arange(6) - 3, np.arange(5) - 2
        for j, k in np.ndindex(6, 5):
            wave = np.exp(-2j * np.pi * (fy[j, 0] * y[:, None] + fx[0, k] * x))
            assert h[j, k] == pytest.approx(np.sum(psf * wave) / psf.sum(), abs=1e-14)
        assert h[3, 2] == pytest.approx(1)
        # The image of a cosine has the contrast that the transfer function says.
        wave = 1 + np.cos(2 * np.pi * (fx[0, 3] * x) + 0.3) + 0 * y[:, None]
        image = convolve_psf(wave, psf / psf.sum(), boundary="periodic")
        angle = 2 * np.pi * fx[0, 3] * x + 0.3 + np.angle(h[3, 3])
        expected = 1 + np.abs(h[3, 3]) * np.cos(angle) + 0 * y[:, None]
        np.testing.assert_allclose(image, expected, atol=1e-13)


def test_gradient_of_mtf_is_finite_at_its_zeros():
    psf = jnp.zeros((1, 4)).at[0, 1:3].set(1.0)  # two equal samples: zero contrast at Nyquist
    assert mtf(psf)[0, 0] == 0
    assert jnp.all(jnp.isfinite(jax.jit(jax.grad(lambda h: mtf(h).sum()))(psf)))
    with jax.enable_x64(True):
        psf, step = np.abs(random(5, 4)), 1e-6
        weight, direction = random(5, 4, seed=1), random(5, 4, seed=2)

        def total(h):
            return jnp.sum(weight * mtf(h))

        slope = np.sum(np.asarray(jax.jit(jax.grad(total))(psf)) * direction)
        difference = (total(psf + step * direction) - total(psf - step * direction)) / 2 / step
        assert slope == pytest.approx(float(difference), rel=1e-7)  # step^2 and rounding / step


# -- bad input -----------------------------------------------------------------------------

ONE = np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda: convolve_psf(ONE, ONE, boundary="mirror"),
            ValueError,
            "one of 'zero', 'periodic'",
        ),
        (lambda: convolve_psf(1j * ONE, ONE), TypeError, "`image` must be real.*field.intensity"),
        (lambda: convolve_psf(ONE, 1j * ONE), TypeError, "`psf` must be real"),
        (lambda: convolve_psf(ONE[0], ONE), ValueError, r"axes \(..., y, x\)"),
        (lambda: convolve_psf(ONE, np.ones((0, 3))), ValueError, "`psf` must not be empty"),
        (
            lambda: convolve_psf(np.ones((2, 2, 3)), np.ones((3, 2, 3))),
            ValueError,
            r"`image` \(2,\), `psf` \(3,\)",
        ),
        (lambda: image_volume(ONE, ONE), ValueError, r"axes \(..., z, y, x\)"),
        (
            lambda: image_volume(np.ones((2, 3, 3)), np.ones((1, 3, 3))),
            ValueError,
            "each of the volume's 2 planes, got 1",
        ),
        (lambda: otf(0 * ONE), ValueError, r"`sum\(psf\)` must be other than zero"),
        (lambda: mtf(1j * ONE), TypeError, "intensity of an amplitude PSF"),
        (lambda: otf(ONE[0]), ValueError, r"axes \(..., y, x\)"),
    ],
)
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call()
