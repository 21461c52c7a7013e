"""PSFs at the sensor against sums over exact paths, and the laws of depth of field and color."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxwave as jw
from jaxwave import cameras, heights
from jaxwave.cameras import Lens

TAU = 2 * np.pi


def exact(lens, distance, wavelength, angle, opd=0.0, points=4):
    """Light in the pixels by sums over the whole paths from point to pixel, in float64."""
    (ny, nx), (my, mx) = lens.shape, lens.window
    dy, dx = np.broadcast_to(lens.spacing, 2)
    y, x = (np.arange(ny) - ny // 2)[:, None] * dy, (np.arange(nx) - nx // 2) * dx
    stop = np.asarray(jw.grid.disk_coverage((ny, nx), jnp.asarray([dy, dx]), lens.radius), float)
    ty, tx = np.tan(angle)
    path = opd + np.sqrt(distance**2 + (y - distance * ty) ** 2 + (x - distance * tx) ** 2)
    path = path - np.sqrt(lens.f**2 + y**2 + x**2)
    u, z = stop * np.exp(1j * TAU / wavelength * (path - distance)), float(lens.z)
    nodes, weights = np.polynomial.legendre.leggauss(points)
    result = np.zeros(lens.window)
    for j in range(my):
        for k in range(mx):
            for a, v in zip(nodes / 2, weights, strict=True):
                for b, w in zip(nodes / 2, weights, strict=True):
                    py = (j - my // 2 + a) * lens.pitch[0] - z * ty
                    px = (k - mx // 2 + b) * lens.pitch[1] - z * tx
                    s = np.sqrt(z**2 + (py - y) ** 2 + (px - x) ** 2)
                    sum_ = np.sum(u * np.exp(1j * TAU / wavelength * s))
                    result[j, k] += v * w / 4 * abs(sum_) ** 2
    cosine = 1 / np.sqrt(1 + ty**2 + tx**2)
    share = dy * dx * np.prod(lens.pitch) / np.sum(stop**2) / (wavelength * z) ** 2
    return result * share * cosine**4


@pytest.mark.parametrize("angle", [(0.0, 0.0), (0.09, -0.08)])
def test_sums_over_exact_paths(angle):
    """The oblique point lies on a diagonal, where one matrix for each axis would err by 1 %."""
    pitch, window = np.array([4.0, 3.0]), (12, 15)
    lens = Lens((48, 45), (8.0, 8.8), 4500.0, pitch, window, f=np.array(4450.0), radius=183.0)
    rng = np.random.default_rng(0)
    opd = 0.1 * rng.normal(size=(48, 45))
    got = np.asarray(lens.psfs(opd, [2e5], [0.55], angles=angle))
    need = exact(lens, 2e5, 0.55, np.array(angle), opd)
    assert got.shape == (1, 1, 12, 15)
    assert np.linalg.norm(got[0, 0] - need) < 1.5e-3 * np.linalg.norm(need)
    # A mirrored angle is another PSF.
    other = np.asarray(lens.psfs(opd, [2e5], [0.55], angles=[(angle[1], angle[0])]))
    assert other.shape == (1, 1, 1, 12, 15)
    # So it is where the angle is traced.
    traced = jax.jit(lambda a: lens.psfs(opd, [2e5], [0.55], angles=a))(np.array(angle))
    np.testing.assert_allclose(traced, got, atol=3e-4 * got.max())


@pytest.mark.parametrize(("shape", "window"), [((32, 31), (9, 10)), ((31, 33), (8, 7))])
def test_no_shift_for_odd_and_even_sizes(shape, window):
    lens = Lens(shape, 8.0, 4500.0, 6.0, window, f=4500.0)
    psf = np.asarray(lens.psfs(None, [np.inf], [0.55]))[0, 0]
    my, mx = (m // 2 for m in window)
    assert np.unravel_index(psf.argmax(), window) == (my, mx)
    reach = min(my, mx, window[0] - 1 - my, window[1] - 1 - mx)
    part = psf[my - reach : my + reach + 1, mx - reach : mx + reach + 1]
    np.testing.assert_allclose(part, part[::-1, ::-1], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(part, part.T, rtol=1e-3, atol=1e-6)


def test_light_is_counted_in_shares_of_the_stop():
    # Airy's disk: encircled energy 1 - J0^2 - J1^2, 83.8 % in the first dark ring.
    lens = Lens((64, 64), 4.0, 4500.0, 1.0, (65, 65), f=4500.0)
    wide = np.asarray(lens.psfs(None, [np.inf], [0.55]))[0, 0]
    y, x = np.mgrid[-32:33, -32:33]
    airy = 1.22 * 0.55 * 4500.0 / (2 * 126.0)
    assert wide[np.hypot(y, x) < airy].sum() == pytest.approx(0.838, abs=0.01)
    assert float(cameras.haze(wide)) == pytest.approx(0.05, abs=0.04)
    # A pixel of twice the width has the light of four.
    twice = Lens((64, 64), 4.0, 4500.0, 3.0, (5, 5), f=4500.0).psfs(None, [np.inf], [0.55])
    need = wide[31 - 6 : 31 + 9, 31 - 6 : 31 + 9].reshape(5, 3, 5, 3).sum((1, 3))
    np.testing.assert_allclose(twice[0, 0], need, rtol=1e-3, atol=1e-5)


def test_the_focus_of_a_diffractive_lens_goes_with_one_over_the_wavelength():
    f, w0, n = 4500.0, 0.55, 1.46
    relief = heights.lens((128, 128), f, n, spacing=4.0, wavelength=w0, order=1)
    for w in (0.46, 0.64):
        z = f * w0 / w * np.array([0.97, 1.0, 1.03])
        path = heights.opd(relief, n, wavelength=w)
        peaks = [
            float(Lens((128, 128), 4.0, k, 4.0, (3, 3)).psfs(path, [np.inf], [w])[0, 0, 1, 1])
            for k in z
        ]
        assert peaks[1] > 1.03 * max(peaks[0], peaks[2])
        # Its light is that of a lens of this focal length, less what goes into other orders.
        clear = Lens((128, 128), 4.0, z[1], 4.0, (3, 3), f=z[1]).psfs(None, [np.inf], [w])
        efficiency = np.sinc(1 - w0 / w) ** 2
        assert peaks[1] / float(clear[0, 0, 1, 1]) == pytest.approx(efficiency, rel=0.04)


def test_a_cubic_plate_has_the_depth_of_field_of_dowski_and_cathey():
    # Their square pupil: the round stop lies outside the samples. W20 is given by the distance.
    n, d, z, w, alpha = 96, 4.0, 4500.0, 0.55, 30.0
    half = n * d / 2
    lens = Lens((n, n), d, z, 2.0, (192, 192), f=z, radius=10 * half, points=2)
    height = heights.cubic((n, n), alpha / TAU * w / 0.5, spacing=d, radius=half)
    distances = half**2 * np.pi / (w * np.array([1e-9, 5.0, 10.0]))  # psi = pi R^2 / (w d)
    path = heights.opd(height, 1.5, wavelength=w)
    both = [np.asarray(lens.psfs(p, distances, [w]))[:, 0] for p in (path, None)]
    f = np.fft.rfftfreq(192, 2.0)
    u = f * w * z / (2 * half) * 2  # their frequency, 2 at the limit
    band = (u > 0.3) & (u < 0.9)
    mtf, clear = (abs(np.fft.rfft(p.sum(-2)))[:, band] for p in both)
    need = np.sqrt(np.pi / (12 * alpha * u[band]))
    need = need * np.sinc(f[band] * 2.0)  # the pixel's
    for curve in mtf[:2]:
        assert np.max(abs(curve / need - 1)) < 0.2
        assert np.mean(curve / need) == pytest.approx(1, abs=0.03)
    assert np.mean(mtf[2] / need) == pytest.approx(1, abs=0.06)
    assert np.mean(clear[2] / clear[0]) < 0.1  # without it, defocus wipes the image out


def test_undiffracted_light_goes_as_if_there_were_no_plate():
    lens = Lens((32, 32), 8.0, 4500.0, 4.0, (12, 12), f=4500.0)
    path = heights.opd(heights.cubic((32, 32), 1.0, spacing=8.0), 1.5, wavelength=[0.5, 0.6])
    at = ([1e5, np.inf], [0.5, 0.6])
    clear, coded = lens.psfs(None, *at), lens.psfs(path, *at)
    mixed = lens.psfs(path, *at, undiffracted=0.3)
    np.testing.assert_allclose(mixed, 0.3 * clear + 0.7 * coded, rtol=1e-5, atol=1e-8)


def test_float32_holds_a_lens_of_five_millimeters():
    # 160 waves of each parabola, of which a dozen are left.
    def psf():
        lens = Lens((48, 48), 106.0, "35.5 mm", 4.0, (9, 9), f="35.5 mm", points=2)
        return np.asarray(lens.psfs(None, np.array([2e7]), np.array([0.46])))

    single = psf()
    with jax.enable_x64(True):
        double = psf()
    assert single.dtype == np.float32
    assert np.linalg.norm(single - double) < 2e-4 * np.linalg.norm(double)


def test_derivatives_of_the_lens_itself():
    def total(p):
        lens = Lens((16, 17), 8.0, p["z"], p["pitch"], (4, 5), f=p["f"], radius=60.0, points=2)
        psf = lens.psfs(p["opd"], jnp.stack([p["d"]]), jnp.stack([p["w"]]), angles=p["a"])
        return jnp.sum(psf * np.arange(20.0).reshape(4, 5))

    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        p = {"z": 2300.0, "f": 2250.0, "pitch": 4.0, "d": 1e5, "w": 0.55}
        p = jax.tree.map(jnp.asarray, p | {"a": np.array([0.03, -0.02])})
        p |= {"opd": jnp.asarray(0.1 * rng.normal(size=(16, 17)))}
        total = jax.jit(total)
        slope = jax.jit(jax.grad(total))(p)
        for key, g in slope.items():
            step = 1e-6 * jnp.maximum(jnp.abs(p[key]), 1e-2) * rng.normal(size=g.shape)
            need = (total(p | {key: p[key] + step}) - total(p | {key: p[key] - step})) / 2
            assert float(jnp.sum(g * step)) == pytest.approx(float(need), rel=1e-4, abs=1e-12)


class _Plate:
    def opd(self, wavelengths):
        return heights.opd(
            heights.cubic((16, 16), 1.0, spacing=8.0), "PMMA", wavelength=wavelengths
        )


def test_anything_with_a_path_is_a_plate():
    lens = Lens((16, 16), 8.0, 4500.0, 4.0, (5, 5), f=4500.0)
    got = lens.psfs(_Plate(), [np.inf], [0.5, 0.6])
    need = lens.psfs(_Plate().opd(np.array([0.5, 0.6])), [np.inf], [0.5, 0.6])
    np.testing.assert_array_equal(got, need)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: x.psfs(None, [0.5], [0.55]), "micrometers.*Meters are 1e6"),
        (lambda x: x.psfs(None, [2.0], [0.55]), "diopters is 1e6 / D"),
        (lambda x: x.psfs(None, 1e5, [0.55]), "must be a row"),
        (lambda x: x.psfs(None, [1e5], 0.55), "must be a row"),
        (lambda x: x.psfs(None, [1e5], [550.0]), "nanometres"),
        (lambda x: x.psfs(np.ones((2, 8, 8)), [1e5], [0.55]), r"\(16, 16\) samples"),
        (lambda x: x.psfs(np.ones((2, 16, 16)), [1e5], [0.5, 0.55, 0.6]), "broadcast"),
        (lambda x: x.psfs(None, [1e5], [0.55], angles=(5.0, 0.0)), "radians"),
        (lambda x: x.psfs(None, [1e5], [0.55], angles=0.1), r"\(y, x\)"),
        (lambda _: Lens((16, 16), 8.0, -1.0, 4.0, (5, 5)), "positive"),
        (lambda _: Lens((16, 16), 8.0, 1e3, 4.0, (5, 5), f=[1e3] * 3).psfs(None, [1e5], [0.5, 0.6]),
         "one for each"),
    ],
)  # fmt: skip
def test_errors_name_what_was_typed(call, words):
    with pytest.raises(ValueError, match=words):
        call(Lens((16, 16), 8.0, 4500.0, 4.0, (5, 5), f=4500.0))


def test_a_window_with_replicas_and_a_steep_defocus_are_told():
    wide = Lens((16, 16), 8.0, 1000.0, 4.0, (64, 64), f=1000.0)
    with pytest.warns(jw.JaxwaveWarning, match="window's edge.*spacing of at most"):
        wide.psfs(None, [np.inf], [0.55])
    with pytest.warns(jw.JaxwaveWarning, match="defocus.*spacing of at most"):
        Lens((16, 16), 20.0, 1500.0, 4.0, (8, 8), f=1500.0).psfs(None, [1000.0], [0.55])
