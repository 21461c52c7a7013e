"""Numbers of nodes that nobody gives: traced, unusual or singular pictures against quadrature."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from psf.polar import Aperture, directions, off, phases, window, zernike
from psf.quadrature import Round
from scipy import special

from jaxwave import JaxwaveWarning, psf
from jaxwave.psf import _bounds, _nodes

W, OIL = 0.6, psf.Objective(1.3, 0.6, 1.5)
PEAK = np.pi * 1.3**2 / W**2


def clear(y, x):
    return 1 + 0 * x * y


# -- aberrations ---------------------------------------------------------------------------

MODES = [(n, m) for n in range(1, 5) for m in range(-n, n + 1, 2)] + [(6, 2)]
SHAPE, SPACING = (13, 10), 0.11


def reference(c):
    rays = Aperture(na=1.3, wavelength=W, n=1.5, radial=180, azimuthal=360)
    _, y, x = window(SHAPE, SPACING)
    index, ys, xs = np.ix_(range(0, 13, 3), range(0, 10, 3)), y[::3, ::3], x[::3, ::3]
    pupil = lambda y, x: np.exp(2j * np.pi * path(c, y, x) / W)  # noqa: E731
    return index, np.abs(rays.scalar(pupil, ys, xs)) ** 2


def path(c, y, x):
    return sum(a * zernike(n, m, y, x) for a, (n, m) in zip(c, MODES, strict=True) if a)


def worst():
    """Two waves rms in the direction in which they are steepest along a chord at the rim."""
    along, _ = _nodes._slopes(tuple(MODES))
    c = along[:, np.argmax(np.sum(along**2, axis=0))]
    return 2 * W * c / np.linalg.norm(c)


@pytest.fixture(scope="module")
def learned():
    to = psf.Window(SHAPE, SPACING)
    return jax.jit(lambda c: psf.scalar_focus_intensity(OIL, to, psf.ZernikePupil(c, MODES)))


CASES = {f"{mode}": 2 * W * np.eye(len(MODES))[k] for k, mode in enumerate(MODES) if mode[0] > 1}
FEW = ["(2, 0)", "(3, -3)", "(4, 2)", "(4, -4)", "(6, 2)"]
MIXED = np.random.default_rng(0).normal(size=len(MODES))
CASES = {k: CASES[k] for k in FEW} | {
    "small": 0.02 * W * MIXED / np.linalg.norm(MIXED),
    "none": 0 * MIXED,
    "a fifth of a wave": 0.2 * W * MIXED / np.linalg.norm(MIXED),
    "mixed": 2 * W * MIXED / np.linalg.norm(MIXED),
    "steepest": worst(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_coefficients_that_are_traced(name, learned):
    """Two waves rms and little: one set of nodes, to 1e-6 of the peak."""
    c = CASES[name]
    index, need = reference(c)
    # float32 coefficients: 2 pi rms rounding of two waves.
    assert off(np.asarray(learned(jnp.asarray(c)))[index], need, PEAK) < 1.5e-6


def test_traced_aberrations_in_float64_keep_their_digits(x64):
    """Coefficients from nothing to two waves: gathering at fewer nodes would leave 1e-10."""
    o, to = dataclasses.replace(OIL, apodization="none"), psf.Window((5, 4), 0.11)

    @jax.jit
    def image(c):
        return psf.scalar_focus_intensity(o, to, psf.ZernikePupil(c, [(3, 1)]))

    count = psf.nodes(o, to, jax.eval_shape(lambda: psf.ZernikePupil([0.1], [(3, 1)])))
    assert _nodes.few(o, to, count) is None
    with jax.enable_x64(False):
        few = _nodes.few(o, to, count)
        assert few is not None and few[0] * few[1] < 0.8 * count**2
    _, y, x = window((5, 4), 0.11)
    rays = Aperture(na=1.3, wavelength=W, n=1.5, apodization="none", radial=120)
    for c in (0.0, 0.03, 0.06, 0.1, 0.2, 0.5):
        coma = lambda y, x, c=c: np.exp(  # noqa: E731
            2j * np.pi * c * np.sqrt(8) * (3 * (x * x + y * y) - 2) * x / W
        )
        need = np.abs(rays.scalar(coma, y, x)) ** 2
        assert off(image(jnp.array([c])), need, PEAK) < 1e-9


def test_far_from_the_focus():
    """Eleven turns from the middle of the pupil to its rim ask for 36 nodes more."""
    to, c = psf.Window((5, 4), SPACING, 9.0), 0.02
    _, y, x = window((5, 4), SPACING)
    mask = lambda y, x: np.exp(2j * np.pi * c * np.sqrt(6) * (x * x - y * y) / W)  # noqa: E731
    need = Aperture(na=1.3, wavelength=W, n=1.5, radial=180).scalar(mask, y, x, 9.0)
    got = psf.scalar_focus(OIL, to, psf.ZernikePupil([c], [(2, 2)]))
    assert off(got, need, np.sqrt(PEAK)) < 2e-6


@pytest.mark.parametrize("n", [1.5, 1.32])  # chords, and rings for a rim that is nearly singular
def test_a_function_of_a_traced_number(n):
    """What nobody can look at gets nodes for two waves rms of coma."""
    o, to = psf.Objective(1.3, W, n), psf.Window((5, 4), SPACING)
    coma = lambda y, x: np.sqrt(8) * (3 * (x * x + y * y) - 2) * x  # noqa: E731
    image = jax.jit(
        lambda c: psf.scalar_focus_intensity(o, to, lambda y, x: jnp.exp(1j * c * coma(y, x)))
    )
    _, y, x = window((5, 4), SPACING)
    rays = Aperture(na=1.3, wavelength=W, n=n, radial=150)
    need = np.abs(rays.scalar(lambda y, x: np.exp(4j * np.pi * coma(y, x)), y, x)) ** 2
    assert off(image(4 * np.pi), need, PEAK) < 2e-6


# -- everything traced ---------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["clear", "modes", "samples", "function"])
@pytest.mark.parametrize("layered", [False, True])
def test_everything_traced_is_the_quadrature(kind, layered):
    pupils = {
        "clear": None,
        "modes": psf.ZernikePupil([0.1, -0.07], [(2, 2), (3, -1)]),
        "samples": np.exp(0.4j * np.add(*psf.pupil_coordinates((193, 192)))),
        "function": lambda y, x: jnp.exp(0.4j * (x + y)),
    }
    tilt = lambda y, x: np.exp(0.4j * (x + y))  # noqa: E731

    def modes(y, x):
        w = 0.1 * np.sqrt(6) * (x * x - y * y) - 0.07 * np.sqrt(8) * (3 * (x * x + y * y) - 2) * y
        return np.exp(2j * np.pi * w / W)

    mask = {"clear": clear, "modes": modes}.get(kind, tilt)
    o, n, literal = OIL, 1.5, {}
    if layered:
        o = psf.Objective(1.3, W, layers=psf.Layers(n_s=1.4, n_g=1.52, n_i=1.515, t_s=0.8))
        n = 1.515
        literal = dict(layers=dict(n_s=1.4, n_g=(1.52,), t_s=0.8, t_g=(170.0,)), transmit=True)
    to = psf.Window((7, 8), np.array([0.1, 0.09]), [0.4, -0.7], 0.2, -0.1)
    pupil = pupils[kind]
    if callable(pupil):
        image = jax.jit(lambda o, to: psf.emitter_image(o, to, pupil, dipole=(0.2, 0.5j, 0.7)))
        got = image(o, to)
    else:
        image = jax.jit(lambda o, to, p: psf.emitter_image(o, to, p, dipole=(0.2, 0.5j, 0.7)))
        got = image(o, to, pupil)
    rays = Aperture(na=1.3, wavelength=W, n=n, **literal)
    _, y, x = window((7, 8), (0.1, 0.09), 0.2, -0.1)
    limit = (3e-4 if kind == "samples" else 0) + (5e-6 if layered else 2e-6)
    for k, z in enumerate((0.4, -0.7)):
        need = np.sum(np.abs(rays.emitter((mask, mask), y, x, z, (0.2, 0.5j, 0.7))) ** 2, 0)
        assert off(got[k], need, PEAK * rays.emission**2) < limit


def test_a_traced_place_in_the_window():
    """An emitter at the corner of its window needs a table that reaches to the other corner."""
    image = jax.jit(lambda y, x: psf.emitter_image(OIL, psf.Window((9, 7), 0.18, 0.3, y, x)))
    _, y, x = window((9, 7), 0.18, 0.7, 0.5)
    rays = Round(wavelength=W, na=1.3, n=1.5)
    factor = np.sqrt(3 / 8) / 1.5 * 1.3
    need = np.sum(np.abs(rays.matrix(y, x, 0.3) * factor) ** 2, (0, 1)) / 3
    assert off(image(0.7, 0.5), need, PEAK * factor**2) < 2e-6


def test_a_traced_aperture_and_a_distant_plane(x64):
    def image(na, z):
        return psf.scalar_focus_intensity(psf.Objective(na, W, 1.5), psf.Window((3, 4), 0.1, z))

    _, y, x = window((3, 4), 0.1)
    got = jax.jit(lambda na: image(na, [0.0, 40.0]))(1.3)
    for one, z in zip(got, (0.0, 40.0), strict=True):
        need = np.abs(Round(wavelength=W, na=1.3, n=1.5, count=700).scalar(y, x, z)) ** 2
        assert off(one, need, np.max(need)) < 1e-9


def test_traced_planes_behind_deep_layers(x64):
    """Spherical aberration of 30 waves that is known, while z is not."""
    layers = psf.Layers(n_s=1.33, n_g=1.52, n_i=1.518, t_s=100.0, t_i_design=300.0)
    o = psf.Objective(1.3, W, layers=layers)
    got = jax.jit(lambda z: psf.scalar_focus(o, psf.Window((3, 4), 0.1, z)))(5.0)
    literal = dict(n_s=1.33, n_g=(1.52,), t_s=100.0, t_g=(170.0,), t_i0=300.0)
    _, y, x = window((3, 4), 0.1)
    need = Round(wavelength=W, na=1.3, n=1.518, layers=literal, count=600).scalar(y, x, 5.0)
    assert off(got, need, np.max(np.abs(need))) < 1e-9


# -- unusual pupils ------------------------------------------------------------------------


@pytest.mark.parametrize("filling", [0.03, 0.07, 0.3])
def test_narrow_beams(filling):
    """A beam that is a thirtieth of the pupil, without asking for nodes."""
    to = psf.Window((1, 61), 0.15, 0.4)
    taper = lambda rho: np.exp(-((rho / filling) ** 2))  # noqa: E731
    rays = Round(wavelength=W, na=1.3, n=1.5, pupil=taper, count=400)
    _, y, x = window((1, 61), 0.15)
    need = np.sum(np.abs(rays.vector(y, x, 0.4)) ** 2, 0)
    got = psf.focus_intensity(OIL, to, psf.RadialPupil(filling=filling))
    assert off(got, need, np.max(need)) < 2e-6
    if filling == 0.03:
        learn = jax.jit(lambda w: psf.focus_intensity(OIL, to, psf.RadialPupil(filling=w)))
        assert off(learn(0.1), np.sum(np.abs(Round(
            wavelength=W, na=1.3, n=1.5, pupil=lambda r: np.exp(-(r / 0.1) ** 2)
        ).vector(y, x, 0.4)) ** 2, 0), 1.0) < 1e-3  # fmt: skip


@pytest.mark.parametrize("kind", ["aplanatic", "herschel"])
def test_an_aperture_close_to_the_index(kind, x64):
    o = psf.Objective(1.516, W, 1.518, apodization=kind)
    to = psf.Window((5, 4), 0.1)
    _, y, x = window((5, 4), 0.1)
    need = Round(wavelength=W, na=1.516, n=1.518, apodization=kind).scalar(y, x)
    assert off(psf.scalar_focus(o, to, clear), need, 4.5) < 1e-9
    assert off(psf.scalar_focus(o, to), need, 4.5) < 1e-9


def test_an_immersion_that_is_too_thin():
    """Ten micrometers of defocus that are in the layers, not in z."""
    layers = psf.Layers(n_s=1.45, n_g=1.5, n_i=1.5, t_s=1.0, t_i=90.0)
    o, to = psf.Objective(1.3, W, layers=layers), psf.Window((3, 3), 0.2)
    literal = dict(n_s=1.45, n_g=(1.5,), t_s=1.0, t_g=(170.0,), t_i=90.0)
    _, y, x = window((3, 3), 0.2)
    need = Round(wavelength=W, na=1.3, n=1.5, layers=literal, count=400).scalar(y, x)
    for pupil in (None, clear):
        # float32 of a focus that is far away
        assert off(psf.scalar_focus(o, to, pupil), need, np.max(np.abs(need))) < 5e-4


# -- the rule itself -----------------------------------------------------------------------


@pytest.mark.parametrize("motion", ["stage", "emitter"])
def test_the_path_that_counts_nodes_is_the_path(motion, x64):
    s = np.linspace(0, 1.49, 60)
    design = dict(n_g_design=1.52, t_g_design=165.0, n_i_design=1.515, t_i_design=120.0)
    for layers in (
        psf.Layers(n_s=1.33, n_g=1.523, n_i=1.518, t_s=0.4, **design),
        psf.Layers(n_s=1.4, n_g=(1.4, 1.5), n_i=1.518, t_s=1, t_g=(0.3, 170), t_i=99),
    ):
        o = psf.Objective(1.5, W, layers=layers, motion=motion)
        path = psf.gibson_lanni_path(s, layers, z=-0.7, motion=motion)
        found = _bounds.paths(o, s / 1.5, -0.7)[0]
        np.testing.assert_allclose(found.real, path.opd, atol=1e-11)
        np.testing.assert_allclose(found.imag, path.decay, atol=1e-11)


def test_unknown_numbers_take_the_nyquist_spacing():
    known = psf.nodes(OIL, psf.Window((29, 29), W / (4 * 1.3)))
    traced = []
    jax.eval_shape(lambda d: traced.append(psf.nodes(OIL, psf.Window((29, 29), d))) or d, 0.1)
    assert traced == [known]


def test_what_is_counted_is_what_is_used():
    to, modes = psf.Window((9, 8), 0.1, 0.2), psf.ZernikePupil([0.1], [(2, 2)])
    for pupil in (None, modes, lambda y, x: jnp.exp(0.3j * x)):
        count = psf.nodes(OIL, to, pupil)
        chosen = psf.scalar_focus_intensity(OIL, to, pupil, nodes=count)
        assert np.array_equal(chosen, psf.scalar_focus_intensity(OIL, to, pupil))
    assert psf.nodes(OIL, to, np.ones((33, 33))) == 0


def test_samples_that_are_too_coarse_for_layers_or_planes_are_told():
    with pytest.warns(JaxwaveWarning, match=r"scalar_focus: .*too coarse .*reach 10"):
        to = psf.Window((5, 5), 0.1, 6.0)
        jax.eval_shape(lambda: psf.scalar_focus(OIL, to, np.ones((65, 65))))


# -- pupils that jump ----------------------------------------------------------------------


def two_steps(y, x):
    """A ring of half a wave between radii that stand on no grid, beside an aberration."""
    square = x * x + y * y
    return jnp.where((square > 0.31**2) & (square < 0.767**2), -1, 1) * jnp.exp(1j * x * y)


def test_steps_are_found_where_they_are():
    with jax.enable_x64(True):
        found = _bounds.steps(two_steps)
        assert found == pytest.approx((0.31, 0.767), abs=1e-9)
        # A slope is no step, however steep; nor is an edge across the pupil.
        assert _bounds.steps(lambda y, x: jnp.tanh(3000 * (x * x + y * y - 0.4))) == ()
        assert _bounds.steps(lambda y, x: 1.0 * (y > 0.2 * x)) == ()


def by_panels(pupil, y, x, jones=(1, 0.4j)):
    """Intensity of Richards and Wolf's integral, Gauss-Legendre between all steps and axes."""
    t, w = np.polynomial.legendre.leggauss(70)
    radii = np.arcsin(np.array([0, 0.31, 0.5**0.5, 0.767, 1]) * 1.3 / 1.5)
    panels = [radii, np.arange(5) * np.pi / 2]
    places = [(a[1:, None] + a[:-1, None] + np.diff(a)[:, None] * t).ravel() / 2 for a in panels]
    shares = [(np.diff(a)[:, None] * w).ravel() / 2 for a in panels]
    theta, phi = (a.ravel() for a in np.meshgrid(*places, indexing="ij"))
    k, s, p, before = directions(theta, phi)
    weight = np.outer(*shares).ravel() * np.sin(theta) * np.sqrt(np.cos(theta)) * 1.5**2
    rho, e = 1.5 * np.sin(theta) / 1.3, np.array([*jones, 0])[:, None]
    amplitude = np.asarray(pupil(rho * np.sin(phi), rho * np.cos(phi))) * weight
    field = s * np.sum(s * e, axis=0) + p * np.sum(before * e, axis=0)
    waves = phases(k, y, x, 0.0, 1.5, W)
    u = (field * amplitude) @ waves / (W * np.sqrt(np.pi) * 1.3)
    return np.sum(np.abs(u) ** 2, axis=0).reshape(y.shape)


@pytest.mark.parametrize(
    "pupil",
    [two_steps, psf.top_hat, psf.half_moon, psf.vortex],
    ids=["two steps", "top-hat", "half-moon", "vortex"],
)
def test_pupils_that_jump_are_the_quadrature_with_traced_optics_too(pupil):
    """One program for any spacing and aperture; rings and breaks are found, nobody passes them."""

    def image(na, spacing):
        objective, place = psf.Objective(na, W, 1.5), psf.Window(SHAPE, spacing)
        return psf.focus_intensity(objective, place, pupil, polarization=(1, 0.4j))

    _, y, x = window(SHAPE, SPACING)
    with jax.enable_x64(True):
        need = by_panels(pupil, y[::3, ::3], x[::3, ::3])
    for got in (image(1.3, SPACING), jax.jit(image)(1.3, SPACING)):
        assert off(got[::3, ::3], need, need.max()) < 2e-6


@pytest.mark.parametrize("x", [0.0, 0.3, 2.65, 7.0, 40.0, 300.0])
def test_a_degree_leaves_rounding_and_no_more_than_that(x):
    """exp(i x t) has the Chebyshev coefficients 2 i^n J_n(x)."""
    n = _bounds.degree(x)
    assert abs(special.jv(np.arange(n, n + 40), x)).max() < 1e-8
    # Counts are multiples of eight; with less than two thirds of them something would be missing.
    assert n == 8 or abs(special.jv(2 * n // 3 - 8, x)) > 1e-8
