"""Stops against exact areas, against Fresnel integrals and against Poisson's spot."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import axis
from scipy.special import fresnel as fresnel_integrals
from scipy.special import j0

import jaxwave as jw
from jaxwave.coverage import polygon_coverage, ring_coverage

SPACING = np.array([0.8, 1.3])
FORM = np.array([(-6.0, -8.0), (-5.0, 7.0), (0.3, 2.0), (6.0, 9.0), (7.0, -3.0)])  # not convex


def bright(shape, spacing=SPACING, wavelength=0.5):
    """A plane wave of unit amplitude."""
    return jw.scalar_field(np.ones(shape), spacing=spacing, wavelength=wavelength)


def clipped(points: list, inside, cut) -> list:
    """Sutherland and Hodgman's clip of a polygon by one line."""
    result = []
    for a, b in zip(points, points[1:] + points[:1], strict=True):
        if inside(a) != inside(b):
            result += [cut(a, b)] if inside(a) else [cut(a, b), b]
        elif inside(b):
            result.append(b)
    return result


def exact_share(vertices, low, size) -> float:
    """Area of a polygon in a cell, by clipping it with the cell's four sides (float64)."""
    points = [tuple(map(float, v)) for v in vertices]
    for k in (0, 1):
        for bound, sign in ((low[k], 1), (low[k] + size[k], -1)):

            def cut(a, b, k=k, bound=bound):
                t = (bound - a[k]) / (b[k] - a[k])
                return tuple(p + t * (q - p) for p, q in zip(a, b, strict=True))

            points = clipped(points, lambda p, k=k, b=bound, s=sign: s * (p[k] - b) >= 0, cut)
    if not points:
        return 0.0
    y, x = np.array(points).T
    return abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2 / (size[0] * size[1])


def exact_cover(shape, vertices) -> np.ndarray:
    corners = [axis(n, d) - d / 2 for n, d in zip(shape, SPACING, strict=True)]
    return np.array(
        [[exact_share(vertices, (y, x), SPACING) for x in corners[1]] for y in corners[0]]
    )


def by_angle(points, angle, y=0.0, x=0.0):
    """Points turned from +x toward +y, then moved."""
    z = (points[:, 1] + 1j * points[:, 0]) * np.exp(1j * angle)
    return np.stack([z.imag + y, z.real + x], axis=-1)


# -- areas ---------------------------------------------------------------------------------


def test_polygons_against_exact_areas(x64):
    shape = (24, 21)
    cover = jax.jit(lambda v: polygon_coverage(shape, jnp.asarray(SPACING), v))
    for vertices in (FORM, FORM[::-1], by_angle(FORM, 2.2, 1.3, -2.1)):
        np.testing.assert_allclose(cover(vertices), exact_cover(shape, vertices), atol=1e-12)
    box = np.array([(-3.2, -3.9), (-3.2, 3.25), (2.8, 3.25), (2.8, -3.9)])  # some on the samples'
    for vertices in (box, by_angle(box, np.pi / 2), by_angle(box, 1e-9), by_angle(box, 0.3)):
        got = cover(np.concatenate([vertices, vertices[-1:]]))  # a corner twice changes nothing
        np.testing.assert_allclose(got, exact_cover(shape, vertices), atol=2e-9)


def test_float32_is_good_to_a_hundred_thousandth_of_a_sample():
    shape, vertices = (300, 260), 12 * FORM
    got = polygon_coverage(shape, jnp.asarray(SPACING, jnp.float32), jnp.asarray(vertices))
    # half a unit in the last place of 100 samples, at every rim that crosses one
    assert np.abs(got - exact_cover(shape, vertices)).max() < 3e-5


@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_slopes_of_a_rectangle(angle, x64):
    field = bright((24, 21))

    def moment(size, angle, y, x):
        cut = jw.rectangular_aperture(field, size, angle=angle, y=y, x=x).u.real
        return jnp.sum(cut * (field.y + 2 * field.x * field.y + field.x**2))

    p = (np.array([7.31, 9.17]), angle, 0.13, -0.21)
    slope = jax.jit(jax.grad(moment, (0, 1, 2, 3)))(*p)
    run, h = jax.jit(moment), 1e-6
    for k in range(4):
        step = np.array([0.6, 0.8]) if k == 0 else 1.0
        ahead, back = (run(*p[:k], p[k] + s * h * step, *p[k + 1 :]) for s in (1, -1))
        need = float((ahead - back) / (2 * h))
        assert float(np.sum(slope[k] * step)) == pytest.approx(need, rel=1e-5, abs=1e-4), k


def test_zones_are_disks_added_and_taken_away(x64):
    shape, at = (64, 63), {"y": 0.3, "x": -0.2}
    spacing = jnp.array([0.8, 0.9])
    for zones in (1, 2, 7, 8):
        got = ring_coverage(
            shape,
            spacing,
            (jnp.float64(90.0), jnp.float64(0.5)),
            *map(jnp.float64, at.values()),
            zones,
        )
        field = bright(shape, spacing)
        disks = [
            jw.circular_aperture(field, np.sqrt(90 * j + 0.5 * j**2), **at).u
            for j in range(1, zones + 1)
        ]
        need = sum((-1) ** j * disk for j, disk in enumerate(disks))
        np.testing.assert_allclose(got, need.real, atol=1e-12)


@pytest.mark.parametrize(("dy", "dx", "radius"), [(5.0, 6.0, 53.7), (0.11, 0.08, 0.9)])
def test_the_area_of_a_disk_in_samples_of_any_size(dy, dx, radius):
    light = jw.scalar_field(np.ones((41, 43)), spacing=np.array([dy, dx]), wavelength=0.5)
    share = jw.circular_aperture(light, radius, y=1.3 * dy, x=-0.7 * dx).u.real
    assert np.sum(share) * dy * dx == pytest.approx(np.pi * radius**2, rel=4e-4)


def test_a_ring_is_a_disk_less_a_disk():
    field = bright((40, 30))
    ring = jw.annular_aperture(field, 3.1, 9.2, y=1.0, x=-0.4)
    small, large = (jw.circular_aperture(field, r, y=1.0, x=-0.4) for r in (3.1, 9.2))
    np.testing.assert_allclose(ring.u, (large - small).u, atol=1e-6)


def test_slits_stand_where_they_should(x64):
    field = bright((90, 100), 0.5)
    cut = jw.slits(field, 2.3, pitch=7.0, count=4, length=11.0, angle=0.0, y=1.7, x=-0.6)
    rows, columns = cut.u.real.sum(1) * 0.25 / (4 * 2.3), cut.u.real.sum(0) * 0.25 / 11
    assert rows.sum() == pytest.approx(11.0) and columns.sum() == pytest.approx(4 * 2.3)
    x = axis(100, 0.5)
    for k in range(4):
        near = np.abs(x - (7.0 * (k - 1.5) - 0.6)) < 3.4
        assert np.sum(columns[near] * x[near]) / 2.3 == pytest.approx(7 * (k - 1.5) - 0.6, abs=0.02)
    turned = jw.slits(field, 2.3, pitch=7.0, count=2, angle=np.pi / 2)  # now along x, no ends
    np.testing.assert_allclose(
        turned.u.real, np.broadcast_to(turned.u.real[:, :1], (90, 100)), atol=1e-9
    )
    assert float(jnp.sum(turned.u.real[:, 0]) * 0.5) == pytest.approx(4.6, rel=1e-9)


# -- light ---------------------------------------------------------------------------------


def test_fraunhofer_pattern_of_a_turned_rectangle(x64):
    size, angle, f = (12.0, 7.0), 0.5, 1e4
    cut = jw.rectangular_aperture(bright((128, 120), 0.5), size, angle=angle)
    far = jw.ff_lens(cut, f, spacing=40.0, shape=(41, 37))
    fy, fx = far.y / (0.5 * f), far.x / (0.5 * f)
    v, u = np.cos(angle) * fy - np.sin(angle) * fx, np.sin(angle) * fy + np.cos(angle) * fx
    need = 84 * np.sinc(size[0] * v) * np.sinc(size[1] * u) / (0.5 * f)
    # shares of cut samples: (pi sample f)^2 / 24 of the peak
    assert np.abs(far.u * 1j - need).max() < 2e-3 * need.max()


def test_a_straight_edge_has_fresnels_fringes(x64):
    count, spacing, z, at = 1024, 0.5, 300.0, 0.1
    x = axis(count, spacing)
    field = bright((52, count), spacing)
    edge = jw.rectangular_aperture(field, 400.0, x=200.0 + at)
    # Soft ends, so that only one edge makes fringes; the window's ends in y divide out.
    soft = np.broadcast_to(0.5 * (1 - np.tanh((np.abs(x) - 170.0) / 25.0)), field.shape)
    got, free = (jw.fresnel(jw.amplitude_mask(f, soft), z).intensity[26] for f in (edge, field))
    got = got / free
    look = np.abs(x) < 40
    s, c = fresnel_integrals((x[look] - at) * np.sqrt(2 / (0.5 * z)))
    need = ((0.5 + c) ** 2 + (0.5 + s) ** 2) / 2
    # the soft end, and a sample's share of the fringes
    assert np.abs(got[look] - need).max() < 5e-3


def test_poissons_spot_behind_a_disk(x64):
    """Behind a disk of radius a: z^2 / (z^2 + a^2) on the axis, J0(k a r / z)^2 beside it."""
    field = bright((512, 500), 0.4)
    field = jw.amplitude_mask(field, np.exp(-((np.hypot(field.y, field.x) / 80.0) ** 12)))
    z, radius = 400.0, 12.0
    spot = jw.angular_spectrum(field - jw.circular_aperture(field, radius), z)
    r = 0.4 * np.arange(9)
    need = z**2 / (z**2 + radius**2) * j0(4 * np.pi * radius * r / z) ** 2
    np.testing.assert_allclose(spot.intensity[256, 250:259], need, atol=5e-3)


@pytest.mark.parametrize(("second", "gain"), [(0.0, 10.0), (-1.0, 19.0)])
def test_a_zone_plate_focuses(second, gain, x64):
    """N zones of equal area: (N + 1) waves in step if half of them are clear, else 2 N."""
    f = 2000.0
    plate = jw.zone_plate(bright((300, 290), 1.0), f, wavelength=0.5, zones=19, second=second)
    light = jw.angular_spectrum(plate, jnp.array([0.9 * f, f, 1.1 * f])).amplitude[:, 150, 145]
    # samples of a seventh of the outermost zone's period: sinc^2, averaged over the area, 1.5 %
    assert float(light[1]) == pytest.approx(2 * gain, rel=0.025)
    assert light[1] > 4 * light[0] and light[1] > 4 * light[2]


# -- errors --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: jw.rectangular_aperture(f, (1.0, -2.0)), "`size` must be positive, got -2.0 µm"),
        (
            lambda f: jw.rectangular_aperture(f, 2.0, angle=np.nan),
            "`angle` must be finite, got nan",
        ),
        (lambda f: jw.annular_aperture(f, 3.0, 2.0), "`inner` must be below `outer`, got 3"),
        (
            lambda f: jw.polygon_aperture(f, [(0, 0), (1, 1)]),
            "at least three corners .* got \\(2, 2\\)",
        ),
        (
            lambda f: jw.polygon_aperture(f, [(0, 0), (2, 2), (0, 2), (2, 0)]),
            "edges .* 0 and 2 cross",
        ),
        (lambda f: jw.slits(f, 3.0, pitch=2.0, count=2), "slits overlap: `width` must be at most"),
        (lambda f: jw.slits(f, 1.0, pitch=2.0, count=0), "`count` must be at least 1, got 0"),
        (lambda f: jw.zone_plate(f, -1.0, wavelength=0.5, zones=3), "`f` must be positive"),
        (lambda f: jw.zone_plate(f, 10.0, wavelength=500, zones=3), "looks like nanometres"),
        (lambda f: jw.slits(f, np.ones(3), pitch=2 * np.ones(2), count=2), "batch axes must broad"),
    ],
)
def test_bad_numbers(call, message):
    with pytest.raises(ValueError, match=message):
        call(bright((8, 6)))


def test_a_zone_plate_warns_before_its_zones_alias():
    with pytest.warns(jw.JaxwaveWarning, match="zone_plate: the outermost of 50 zones is"):
        jw.zone_plate(bright((8, 6)), 20.0, wavelength=0.5, zones=50)


@pytest.mark.parametrize("name", ["y", "x"])
def test_a_stop_moved_along_one_axis_is_a_batch(name):
    wave, places = jw.plane_wave((9, 8), spacing=(0.5, 0.6), wavelength=0.5), np.array([-0.7, 0.3])
    many = jw.rectangular_aperture(wave, (2.0, 1.5), angle=0.3, **{name: places})
    for k, place in enumerate(places):
        one = jw.rectangular_aperture(wave, (2.0, 1.5), angle=0.3, **{name: place})
        np.testing.assert_allclose(many.u[k], one.u, atol=1e-6)
