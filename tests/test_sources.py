"""Sources against closed forms in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import TAU, axis, error, gaussian, single

import jaxwave as jw


def test_plane_wave():
    kx, ky, d = single(5.3), single(-2.1), (single(0.4), single(0.5))
    wave = jw.plane_wave((200, 301), spacing=d, wavelength=0.5, kx=kx, ky=ky, power=3.0)
    y, x = axis(200, d[0])[:, None], axis(301, d[1])
    need = np.exp(1j * (kx * x + ky * y)) * np.sqrt(3 / (200 * 301 * d[0] * d[1]))
    assert error(wave.u, need) < 1e-6  # 60 turns at the edge: the phase needs two words


@pytest.mark.filterwarnings("ignore::jaxwave.JaxwaveWarning")  # beyond what its grid holds
@pytest.mark.parametrize("z", [0.0, 700.0, -1e5])
def test_gaussian_beam(z):
    wavelength, waist, n = single(0.532), single(12.3), single(1.33)
    beam = jw.gaussian_beam(
        (90, 81), spacing=2.0, wavelength=wavelength, waist=waist, z=z, n=n, power=2.0
    )
    y, x = axis(90, 2.0)[:, None], axis(81, 2.0)
    need = np.sqrt(2) * gaussian(y, x, waist, wavelength, z, n)
    assert error(beam.u, need) < 2e-6


@pytest.mark.filterwarnings("ignore::jaxwave.JaxwaveWarning")  # beyond what its grid holds
@pytest.mark.parametrize("z", [3.0, -50.0, 1e4, 1e6])
def test_point_source_is_the_exact_spherical_wave(z):
    wavelength, n, d, power = single(0.532), single(1.5), 0.5, 2.0
    wave = jw.point_source(
        (64, 301), spacing=d, wavelength=wavelength, z=z, n=n, x=20.25, y=-3.5, power=power
    )
    y, x = axis(64, d)[:, None] + 3.5, axis(301, d) - 20.25
    r = np.sqrt(x**2 + y**2 + z**2)
    path = np.sign(z) * (x**2 + y**2) / (r + abs(z))
    need = np.sqrt(power / (4 * np.pi)) * np.exp(1j * TAU * n / wavelength * path) / r
    got = np.asarray(wave.u)
    print(f"z = {z:g}: {np.abs(got / need - 1).max():.2g}")
    assert np.abs(got / need - 1).max() < 1.5e-6  # relative, at every sample


def test_point_source_flux_through_a_far_sphere():
    wave = jw.point_source((41, 41), spacing=1.0, wavelength=0.5, z=1000.0, power=5.0)
    assert float(wave.power) == pytest.approx(5.0 * 41**2 / (4 * np.pi * 1e6), rel=1e-3)


@pytest.mark.parametrize(("na", "n"), [(0.85, 1.0), (1.2, 1.33), (1.45, 1.515)])
@pytest.mark.parametrize("z", [0.0, 1.0, -40.0])
def test_objective_point_source_is_exact(na, n, z):
    # Chromatix' paraxial defocus is wrong by 0.05, 0.4 and 0.5 waves at 1 µm.
    wavelength, f, d, y0, x0 = single(0.532), 2000.0, 64.0, 1.5, -2.25
    na, n = single(na), single(n)
    shape = (100, 103)
    got = np.asarray(
        jw.objective_point_source(
            shape, spacing=d, wavelength=wavelength, f=f, na=na, n=n, z=z, y=y0, x=x0
        ).u
    )
    hy, hx = axis(100, d)[:, None], axis(103, d)
    sine2 = (hy**2 + hx**2) / (n * f) ** 2
    inside = np.sqrt(hy**2 + hx**2) < f * na - d  # away from the weighted rim
    cosine = np.sqrt(np.where(inside, 1 - sine2, 1))
    phase = -(n / wavelength) * ((hy * y0 + hx * x0) / (n * f) - z * sine2 / (1 + cosine))
    need = np.where(inside, np.exp(1j * TAU * phase) / np.sqrt(cosine), 0)
    scale = np.abs(got[50, 51])
    # The tilt of 7 turns is one float32 word: 7 * 6e-8 * 2 pi, three roundings; the defocus of up
    # to 150 turns keeps two.
    assert np.abs(np.where(inside, got, 0) / scale - need).max() < 8e-6


def test_the_light_of_an_objective_is_that_of_its_aperture(x64):
    """The amplitude in the focus, the pupil's integral: its error is of the second order."""
    na, n, f, power = 1.1, 1.33, 2000.0, 1.7
    cosine = np.sqrt(1 - (na / n) ** 2)
    a = np.sqrt(power / (2 * np.pi * (n * f) ** 2 * (1 - cosine)))
    need = a * 2 * np.pi * (n * f) ** 2 * 2 / 3 * (1 - cosine**1.5)
    wrong = []
    for count in (48, 97):  # samples across the pupil
        d = 2 * na * f / count
        pupil = jw.objective_point_source(
            (count + 4, count + 5), spacing=d, wavelength=0.5, f=f, na=na, n=n, power=power
        )
        wrong.append(abs(float(jnp.sum(pupil.u).real) * d**2 / need - 1))
    print(f"the focus is wrong by {wrong[0]:.2g} and {wrong[1]:.2g}")
    assert wrong[0] < 5e-4 and wrong[1] < 1.5e-4


def test_objective_point_source_gradients_are_true(x64):
    def focus(na, z):
        pupil = jw.objective_point_source(
            (64, 64), spacing=60.0, wavelength=0.5, f=2000.0, na=na, z=z
        )
        return jw.ff_lens(pupil, 2e5, spacing=6.5, shape=(5, 5)).intensity[2, 2]

    h = 1e-6
    slopes = jax.jit(jax.grad(focus, (0, 1)))(0.8, 0.4)
    brightness = jax.jit(focus)
    assert float(slopes[0]) == pytest.approx(
        float((brightness(0.8 + h, 0.4) - brightness(0.8 - h, 0.4)) / (2 * h)), rel=1e-6
    )
    assert float(slopes[1]) == pytest.approx(
        float((brightness(0.8, 0.4 + h) - brightness(0.8, 0.4 - h)) / (2 * h)), rel=1e-6
    )
    assert float(slopes[0]) > 0.01 * float(brightness(0.8, 0.4))


def test_batches():
    z = jnp.array([2.0, 3.0, 4.0])
    colors = jnp.array([0.5, 0.6])[:, None]
    for make in (
        lambda **o: jw.point_source((4, 5), spacing=0.5, **o),
        lambda **o: jw.gaussian_beam((4, 5), spacing=0.8, waist=1.0, **o),
        lambda **o: jw.objective_point_source((4, 5), spacing=500.0, f=2000.0, na=0.6, **o),
    ):
        field = make(wavelength=colors, z=z)
        assert field.batch_shape == (2, 3) == field.wavelength.shape
        assert error(field.u[1, 2], make(wavelength=0.6, z=4.0).u) < 2e-6


def test_dtype_follows_the_argument(x64):
    options = dict(spacing=0.5, wavelength=0.5)
    for make in (
        lambda **o: jw.plane_wave((4, 4), **options, **o),
        lambda **o: jw.gaussian_beam((4, 4), waist=1.0, **options, **o),
        lambda **o: jw.point_source((4, 4), z=3.0, **options, **o),
        lambda **o: jw.objective_point_source((4, 4), f=10.0, na=0.1, **options, **o),
    ):
        assert make().dtype == np.complex128
        assert make(dtype=np.complex64).dtype == np.complex64
        assert make(dtype=np.complex64).spacing.dtype == np.float32


MAKERS = {
    "plane_wave": lambda **o: jw.plane_wave(
        **{"shape": (4, 4), "spacing": 1, "wavelength": 0.5} | o
    ),
    "gaussian_beam": lambda **o: jw.gaussian_beam(
        **{"shape": (4, 4), "spacing": 1, "wavelength": 0.5, "waist": 1} | o
    ),
    "point_source": lambda **o: jw.point_source(
        **{"shape": (4, 4), "spacing": 1, "wavelength": 0.5, "z": 1} | o
    ),
    "objective_point_source": lambda **o: jw.objective_point_source(
        **{"shape": (4, 4), "spacing": 1, "wavelength": 0.5, "f": 10, "na": 0.5} | o
    ),
}


@pytest.mark.parametrize("name", MAKERS)
def test_errors_of_all_sources(name):
    make = MAKERS[name]
    with pytest.raises(
        ValueError, match=f"{name}: `wavelength` is in micro.* 520 looks like nanometres"
    ):
        make(wavelength=520)
    with pytest.raises(ValueError, match=r"looks like nanometres; pass 0\.52 or '520 nm'"):
        make(wavelength=520.0)
    with pytest.raises(ValueError, match=r"looks like metres; pass 0\.52 or '5\.2e-07 m'"):
        make(wavelength=5.2e-7)
    with pytest.raises(ValueError, match=f"{name}: `wavelength` must be positive, got -1"):
        make(wavelength=-1)
    with pytest.raises(
        ValueError, match=rf"{name}: `spacing` must be positive, got 0\.0 µm at index \(1,\)"
    ):
        make(spacing=(1.0, 0.0))
    with pytest.raises(
        ValueError, match=r"`spacing` must be one number or \(..., 2\) as \(dy, dx\)"
    ):
        make(spacing=(1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match=rf"{name}: `shape` must be two integers \(ny, nx\), got"):
        make(shape=(4, 4, 4))
    with pytest.raises(ValueError, match=f"{name}: `power` must be zero or more, got -1"):
        make(power=-1)
    with pytest.raises(
        TypeError, match=f"{name}: `dtype` must be complex64 or complex128, got float32"
    ):
        make(dtype=np.float32)
    with pytest.raises(
        ValueError, match=f"{name}: complex128 needs 64-bit mode, which is off. Call"
    ):
        make(dtype=np.complex128)
    with pytest.raises(ValueError, match=f"{name}: the batch axes must broadcast"):
        make(wavelength=np.full(3, 0.5), power=np.ones(2))


def test_errors_of_single_sources():
    with pytest.raises(
        ValueError, match=r"point_source: `z` must not be zero.* Use objective_point_source"
    ):
        MAKERS["point_source"](z=0.0)
    with pytest.raises(ValueError, match=r"gaussian_beam: `waist` must be positive, got 0"):
        MAKERS["gaussian_beam"](waist=0)
    with pytest.raises(
        ValueError,
        match=r"objective_point_source: `na` must be below .* na=1\.2 with n=1\.0. Pass the imm",
    ):
        MAKERS["objective_point_source"](na=1.2)
    with pytest.raises(
        ValueError, match=r"objective_point_source: `f` must be positive, got -1 µm"
    ):
        MAKERS["objective_point_source"](f=-1)
    with pytest.raises(ValueError, match=r"plane_wave: `kx` must be finite, got nan"):
        MAKERS["plane_wave"](kx=np.nan)
    for name in ("gaussian_beam", "point_source", "objective_point_source"):
        with pytest.raises(ValueError, match=rf"{name}: `n` must be positive, got 0"):
            MAKERS[name](n=0)


def test_objective_warns_of_a_pupil_that_does_not_fit():
    scene = {"wavelength": 0.5, "f": 3000.0, "na": 0.5}
    with pytest.warns(jw.JaxwaveWarning, match=r"1500 µm does not fit.*at least \(60, 60\)"):
        jw.objective_point_source((32, 32), spacing=50.0, **scene)
    with pytest.warns(jw.JaxwaveWarning, match=r"fewer than two samples.*at most 187.5 µm"):
        jw.objective_point_source((32, 32), spacing=1000.0, **scene)
