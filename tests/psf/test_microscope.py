"""The data sheet: pixels, places, blur, and everything that may be traced."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from interpreter import interpreted
from psf.polar import Aperture, off
from psf.quadrature import Round
from reference import error

import jaxwave
from jaxwave import psf

W, NA, PIXEL = 0.6, 1.2, 0.11
SHEET = dict(na=NA, wavelength=W, shape=(10, 13), pixel=PIXEL)
SCOPE = psf.Microscope(**SHEET, n=1.33)
C, MODES = np.array([0.05, -0.03]), [(2, -2), (3, 1)]


def coma(y, x):
    r2 = x * x + y * y
    w = C[0] * np.sqrt(6) * 2 * x * y + C[1] * np.sqrt(8) * (3 * r2 - 2) * x
    return np.exp(2j * np.pi * w / W)


def clear(y, x):
    return 1 + 0 * x * y


def points(shape, pixel, y, x, count, some=slice(None)):
    """Gauss-Legendre points inside of pixels, ``(ny, a, nx, b)``, relative to an emitter."""
    t, w = np.polynomial.legendre.leggauss(count)
    rows, columns = (np.arange(n) - n // 2 for n in shape)
    ys = ((rows[some, None] + t / 2) * pixel - y)[:, :, None, None]
    xs = (columns[some, None] + t / 2) * pixel - x
    return *np.broadcast_arrays(ys, xs), (w / 2 * pixel)[:, None, None] * (w / 2 * pixel)


def exact(image, shape, pixel, y=0.0, x=0.0, count=7, some=slice(None)):
    """The integral over pixels of an intensity that is known everywhere."""
    ys, xs, weight = points(shape, pixel, y, x, count, some)
    return np.sum(image(ys, xs) * weight, axis=(1, 3))


def rotating(rays):
    factor = np.sqrt(3 / (8 * rays.n_s * rays.n)) * rays.na
    return lambda y, x, z=0.0: np.sum(np.abs(rays.matrix(y, x, z) * factor) ** 2, (0, 1)) / 3


# -- pixels --------------------------------------------------------------------------------


def test_pixels_about_the_axis():
    """The radial table, whose polynomials are integrated over the pixels."""
    rays = Round(wavelength=W, na=NA, n=1.33)
    for z in (0.0, 0.6):
        need = exact(lambda y, x, z=z: rotating(rays)(y, x, z), SCOPE.shape, PIXEL)
        assert off(SCOPE.psf(z), need, np.max(need)) < 2e-6
    image = SCOPE.psf()
    c = np.sqrt(1 - (NA / 1.33) ** 2)
    assert 0.8 * (1 - c) / 2 < float(image.sum()) < (1 - c) / 2  # most of what is collected


def test_pixels_of_an_emitter_off_the_axis():
    rays = Round(wavelength=W, na=NA, n=1.33)
    need = exact(lambda y, x: rotating(rays)(y, x, 0.4), SCOPE.shape, PIXEL, -0.07, 0.23)
    assert off(SCOPE.psf(0.4, y=-0.07, x=0.23), need, np.max(need)) < 2e-6


def test_pixels_of_an_aberrated_dipole_behind_layers():
    """Pixels of the most common sCMOS at 60x, above wavelength / (4 na), three indices."""
    layers = psf.Layers(n_s=1.36, n_g=1.52, n_i=1.5, t_s=0.6)
    scope = psf.Microscope(
        1.25, W, (7, 9), pitch=9.75, magnification=65.0, layers=layers, motion="emitter"
    )
    dipole = (0.3, 0.5j, -0.7)
    got = scope.psf(0.3, coefficients=C, modes=MODES, dipole=dipole, y=0.11, x=-0.18)
    literal = dict(n_s=1.36, n_g=(1.52,), t_s=0.6, t_g=(170.0,))
    rays = Aperture(na=1.25, wavelength=W, n=1.5, layers=literal, motion="emitter",
                    radial=40, azimuthal=80)  # fmt: skip

    def image(y, x):
        return np.sum(np.abs(rays.emitter((coma, coma), y, x, 0.3, dipole)) ** 2, 0)

    some = slice(None, None, 3)
    need = exact(image, (7, 9), 0.15, 0.11, -0.18, 5, some)
    assert off(np.asarray(got)[some, some], need, np.max(got)) < 4e-6


def test_blurred_pixels():
    rays, sigma = Round(wavelength=W, na=NA, n=1.33), 0.08
    t, w = np.polynomial.hermite_e.hermegauss(12)
    w = w / np.sum(w)

    def image(y, x):
        ys, xs = y[..., None, None] + sigma * t[:, None], x[..., None, None] + sigma * t
        return np.sum(rotating(rays)(ys, xs, 0.2) * w[:, None] * w, (-2, -1))

    some = slice(1, None, 4)
    need = exact(image, SCOPE.shape, PIXEL, 0.05, 0.02, 4, some)
    got = np.asarray(SCOPE.psf(0.2, y=0.05, x=0.02, sigma=sigma))
    assert off(got[some, some], need, got.max()) < 5e-6
    # Beside the axis and on it the blur is the same.
    assert error(SCOPE.psf(0.2, sigma=sigma), SCOPE.psf(0.2, y=1e-7, sigma=sigma)) < 1e-5


def test_models_agree():
    aberration = dict(coefficients=[0.04], modes=[(4, 0)])
    place = dict(x=0.07, y=-0.05)
    radial = SCOPE.psf(0.3, **place, **aberration)
    function = lambda y, x: psf.zernike_pupil(y, x, wavelength=W, **aberration)  # noqa: E731
    nodes = SCOPE.psf(0.3, pupil=function, **place)
    samples = SCOPE.psf(0.3, pupil=function(*psf.pupil_coordinates((129, 128))), **place)
    assert error(nodes, radial) < 1e-5
    assert error(samples, radial) < 1e-3


def test_the_brightest_pixel_is_that_of_the_emitter():
    image = np.asarray(SCOPE.psf(x=3 * PIXEL, y=-2 * PIXEL))
    assert np.unravel_index(image.argmax(), image.shape) == (5 - 2, 6 + 3)


def test_modes_before_a_pupil_that_was_measured():
    """Samples and coefficients together are their product, with one number for each mode."""
    y, x = (np.asarray(a) for a in psf.pupil_coordinates((65, 64)))
    mask = np.exp(0.5j * y - 0.3j * x * y)
    both = SCOPE.psf(0.2, pupil=mask, coefficients=C, modes=MODES)
    assert error(both, SCOPE.psf(0.2, pupil=mask * coma(y, x))) < 1e-5


# -- what is traced ------------------------------------------------------------------------


@pytest.mark.slow
def test_a_long_window_is_a_part_of_the_square():
    """Of an aberrated pupil, whose samples reach as far along either axis as its pixels do."""
    square, long = (
        psf.Microscope(0.9, W, shape, pixel=0.15, n=1.0).psf(coefficients=[0.05], modes=[(3, 1)])
        for shape in ((18, 18), (3, 18))
    )
    need = np.asarray(square)
    assert off(long, need[8:11], need.max()) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, dict(coefficients=C, modes=MODES)], ids=["clear", "modes"])
def test_the_data_sheet_is_traced(options, x64):
    """Without samples a pixel and nodes: values and derivatives by every number of it."""
    sheet = dict(na=1.1, wavelength=0.6, pitch=6.5, magnification=60.0, n=1.33, z=0.2, y=0.05)

    @interpreted
    @jax.value_and_grad
    def light(sheet):
        p = dict(sheet)
        z, y = p.pop("z"), p.pop("y")
        return psf.Microscope(shape=(4, 5), **p).psf(z, y=y, x=-0.03, **options)[1, 2]

    sheet = {k: jnp.asarray(v) for k, v in sheet.items()}
    value, slope = light(sheet)
    known = {k: float(v) for k, v in sheet.items() if k not in ("z", "y")}
    scope = psf.Microscope(shape=(4, 5), **known)
    need = scope.psf(0.2, y=0.05, x=-0.03, **options)[1, 2]
    assert float(value) == pytest.approx(float(need), rel=2e-5)  # of two windows with margins
    for name, number in sheet.items():
        step = 1e-4 * number
        ends = [light(sheet | {name: number + s * step})[0] for s in (-1, 1)]
        need = float(ends[1] - ends[0]) / (2 * float(step))
        assert float(slope[name]) == pytest.approx(need, rel=1e-4), name


# -- volumes -------------------------------------------------------------------------------

DEEP = dict(na=1.3, wavelength=W, shape=(8, 9), pixel=0.15, motion="emitter")
LAYERS = psf.Layers(n_s=1.36, n_g=1.52, n_i=1.518, t_s=3.0)
DEPTHS = np.array([-1.3, 0.4, 0.9, 4.0, 9.6])  # deeper than ten wavelengths
VOLUME = np.random.default_rng(3).uniform(0, 9, (5, 13, 12))


def sum_of_points(volume, kernels):
    """Every voxel's light, laid down around it."""
    (ny, nx), (my, mx) = volume.shape[1:], kernels.shape[1:]
    wide = np.zeros((ny + my, nx + mx))
    for plane, kernel in zip(volume, np.asarray(kernels), strict=True):
        for (y, x), light in np.ndenumerate(plane):
            wide[y : y + my, x : x + mx] += light * kernel
    return wide[my // 2 : my // 2 + ny, mx // 2 : mx // 2 + nx]


def test_a_volume_is_the_sum_of_its_points(x64):
    """Planes in a sample of another index, each with the aberration of its depth."""
    scope = psf.Microscope(**DEEP, layers=LAYERS)
    kernels = np.asarray(scope.psf(DEPTHS))
    need = sum_of_points(VOLUME, kernels)
    assert error(scope.image(VOLUME, DEPTHS, batch=2), need) < 1e-12
    assert error(need, sum_of_points(VOLUME, kernels[[1] * 5])) > 0.05  # one kernel for all


def test_a_volume_of_any_pupil():
    scope = psf.Microscope(**DEEP, layers=LAYERS)
    options = dict(coefficients=C, modes=MODES, y=0.06, x=-0.04, dipole=(1, 0.3, 0.2), sigma=0.05)
    options |= dict(pupil=lambda y, x: jnp.exp(-(x**2) - 0.3j * y))
    need = jaxwave.image_volume(VOLUME[:4], scope.psf(DEPTHS[:4], **options))
    assert error(scope.image(VOLUME[:4], DEPTHS[:4], **options), need) < 1e-5


@pytest.mark.slow
def test_the_memory_of_a_volume_does_not_grow_with_its_depth():
    """That of the gradient neither, and the gradient is right."""

    @jax.jit
    @jax.value_and_grad
    def both(t_s, volume, z):
        layers = psf.Layers(n_s=1.36, n_g=1.52, n_i=1.518, t_s=t_s)
        image = psf.Microscope(**DEEP, layers=layers).image(volume, z)
        return jnp.sum(image[5:9] ** 2) / planes

    used = []
    for planes in (128, 16):
        volume, z = jnp.ones((planes, 13, 12)), jnp.linspace(-1, 1, planes)
        program = both.lower(jnp.float32(3.0), volume, z).compile()
        used.append(program.memory_analysis().temp_size_in_bytes)
    assert used[0] < 1.1 * used[1], used
    (low, _), (_, slope), (high, _) = (
        both(jnp.float32(3.0 + h), volume, z) for h in (-0.1, 0, 0.1)
    )
    assert float(slope) == pytest.approx(float(high - low) / 0.2, rel=0.01)


# -- bad input -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: psf.Microscope(**SHEET | {"na": 1.4}, n=1.33), ValueError, "`na` must be below"),
        (lambda: psf.Microscope(1.1, 0.6, (8, 8)), ValueError, r"Microscope: pass `pixel` \(in"),
        (lambda: psf.Microscope(1.1, 0.6, (8, 8), 0.1, pitch=6.5), ValueError, "pass `pixel`"),
        (lambda: psf.Microscope(1.1, 0.6, (8, 8), pitch=6.5), ValueError, "pass `pixel`"),
        (lambda: psf.Microscope(1.1, 0.6, (8, 8), -0.1), ValueError, "`pixel` must be positive"),
        (lambda: psf.Microscope(**SHEET, layers=1.33), TypeError, "`layers` must be Layers, got"),
        (lambda: psf.Microscope(**SHEET, motion="lens"), ValueError, "`motion` must be one of"),
        (
            lambda: SCOPE.psf(coefficients=[0.1], modes=[4]),
            TypeError,
            "Microscope.psf: `modes` has",
        ),
        (lambda: SCOPE.psf(modes=[(2, 2)]), ValueError, "Microscope.psf: `coeff.*come together"),
        (lambda: SCOPE.psf(sigma=-0.1), ValueError, "Microscope.psf: `sigma` must be zero or more"),
        (lambda: SCOPE.image(VOLUME, [0.0]), ValueError, "`z` must have a depth for each of the"),
        (lambda: SCOPE.image(VOLUME, DEPTHS, batch=0), ValueError, "`batch` must be at least 1"),
        (lambda: SCOPE.psf(y=np.nan), ValueError, "`y` must be finite"),
        (lambda: SCOPE.psf(z=np.inf), ValueError, "`z` must be finite"),
        (lambda: SCOPE.psf(dipole=(0, 0, 0)), ValueError, "Microscope.psf: `dipole` must have a "),
        (lambda: SCOPE.psf(pupil="vortex"), TypeError, "Microscope.psf: `pupil` must be a functi"),
        (
            lambda: SCOPE.psf(pupil=psf.ZernikePupil([0.1], [(2, 2)]), coefficients=[1], modes=[3]),
            (ValueError, TypeError),
            "Microscope.psf: ",
        ),
    ],
)
def test_bad_input_is_said(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_too_few_samples_of_a_pixel_are_said():
    with pytest.warns(jaxwave.JaxwaveWarning, match="`samples_per_pixel` = 1 do not resolve"):
        psf.Microscope(0.9, 0.6, (4, 4), 0.3, samples_per_pixel=1).camera()


def test_texts_are_lengths_and_errors_name_the_method():
    scope = psf.Microscope(na=1.1, wavelength=0.6, n=1.33, shape=(8, 9), pixel=0.15)
    same = (
        scope.psf(coefficients=c, modes=[(2, 2), (3, -1)]) for c in (["50 nm", 0.02], [0.05, 0.02])
    )
    np.testing.assert_array_equal(*same)
    with pytest.raises(ValueError, match=r"^Microscope\.psf: `z` must be finite"):
        scope.psf(np.nan)
