"""Height maps: formulas in float64, splines of scipy, shared areas."""

import jax
import numpy as np
import scipy.integrate
from reference import axis
from scipy.interpolate import BSpline

from jaxwave import heights
from validation import row
from validation.imaging import polynomials

TAU = 2 * np.pi
SHAPE, PAIR = (9, 12), (3.0, 4.0)
Y, X = axis(9, 3.0)[:, None], axis(12, 4.0)
R = np.hypot(Y, X)
TURN = np.mod(np.arctan2(Y, X) / TAU, 1)
RELIEF = np.round(np.random.default_rng(4).uniform(-2, 3, (5, 6)) * 64) / 64
THIN = "thin reliefs"
B = BSpline.basis_element([-2, -1, 0, 1, 2], extrapolate=False)


def spline(t):
    return np.nan_to_num(B(t))


# -- a plate -------------------------------------------------------------------------------


@row("heights.opd", "heights.wave_height", reference="(n - n') h and w / (n - n'), Malitson's n",
     valid=THIN)  # fmt: skip
def _():
    w = np.array([0.4375, 0.625])
    b, c = (0.6961663, 0.4079426, 0.8974794), (0.0684043, 0.1162414, 9.896161)
    rise = np.sqrt(1 + sum(p * w**2 / (w**2 - q**2) for p, q in zip(b, c, strict=True))) - 1.125
    options = dict(wavelength=w, medium=1.125)
    got = heights.opd(RELIEF, "fused silica", **options).ravel()
    one = heights.wave_height("fused silica", **options)
    need = (rise[:, None, None] * RELIEF).ravel()
    return np.concatenate([got, one]), np.concatenate([need, w / rise])


@row("heights.wrap", "heights.levels", reference="remainder of numpy; the nearest of all levels",
     valid="depths of whole waves")  # fmt: skip
def _():
    depth, count = 0.75, 5
    wrapped = heights.wrap(RELIEF, depth)
    rounded = heights.levels(RELIEF, count, depth)
    levels = depth * np.arange(count + 1) / count
    rest = np.mod(RELIEF, depth)
    nearest = np.argmin(abs(rest[..., None] - levels), axis=-1) % count
    return np.array([wrapped, rounded]), np.array([rest, levels[nearest]])


# -- shapes --------------------------------------------------------------------------------


@row("heights.blocks", "heights.rank_one", reference="their definitions", valid="all")
def _():
    got = [heights.blocks((4, 8), RELIEF[:2, :3], block=(2, 3))]
    need = [np.repeat(np.repeat(RELIEF[:2, :3], 2, 0), 3, 1)[:, :8]]
    got.append(heights.rank_one(RELIEF[0, :4], RELIEF[1:3].reshape(-1)[:8]))
    need.append(np.outer(RELIEF[0, :4], RELIEF[1:3].reshape(-1)[:8]))
    return np.array(got), np.array(need)


@row("heights.fourier", reference="its sum", valid="periodic maps")
def _():
    c = RELIEF[:4, :3]
    need = np.zeros(SHAPE)
    for (a, b), value in np.ndenumerate(c):
        turn = TAU * ((a - 2) * axis(9, 1)[:, None] / 9 + (b - 1) * axis(12, 1) / 12)
        need += value * (np.cos(turn) + np.sin(turn))
    return heights.fourier(SHAPE, c), need


@row("heights.zernike", reference="rational arithmetic", valid="the disk")
def _():
    c = np.array([0.5, -0.25, 0.75, 1.0])
    need = np.tensordot(c, polynomials(*np.broadcast_arrays(Y / 32, X / 32)), 1)
    modes = [(2, -2), (3, 1), (4, 0), (5, -3)]
    return heights.zernike(SHAPE, c, modes, spacing=PAIR, radius=32.0), need


@row("heights.rings", reference="interpolation of numpy", valid="all")
def _():
    v = RELIEF[0]
    need = np.interp(R, np.linspace(0, 16, 6), v)
    return heights.rings(SHAPE, v, spacing=PAIR, radius=16.0), need


@row("heights.polar", "heights.spline", reference="B-splines of scipy, term by term",
     valid="away from the axis; all")  # fmt: skip
def _():
    v = RELIEF
    r, phi = np.minimum(R / 16, 1) * 4, TURN * 6
    disk, square = np.zeros(SHAPE), np.zeros(SHAPE)
    j, k = np.linspace(0, 4, 9)[:, None], np.linspace(0, 5, 12)
    for a in range(-1, 6):
        for b in range(-2, 8):
            row_, column = np.clip(a, 0, 4), np.clip(b, 0, 5)
            disk += v[row_, b % 6] * spline(r - a) * spline(phi - b)
            if -1 <= b <= 6:
                square += v[row_, column] * spline(j - a) * spline(k - b)
    got = [heights.polar(SHAPE, v, spacing=PAIR, radius=16.0), heights.spline(SHAPE, v)]
    return np.array(got), np.array([disk, square])


@row("heights.cubic", reference="its definition, turned", valid=THIN)
def _():
    c, s = np.cos(0.375), np.sin(0.375)
    need = 0.75 * ((c * X + s * Y) ** 3 + (c * Y - s * X) ** 3) / 16**3
    return heights.cubic(SHAPE, 0.75, spacing=PAIR, radius=16.0, angle=0.375), need


# -- lenses --------------------------------------------------------------------------------


def path(f):
    return f - np.sqrt(f**2 + R**2)


@row("heights.lens", "heights.multi_focal", "heights.multi_color", "heights.diffracted_rotation",
     reference="waves of the spherical path, sector by sector, ring by ring",
     valid=THIN + " that the samples hold")  # fmt: skip
def _():
    options, n = dict(spacing=PAIR), 1.5
    f, w = np.array([1024.0, 1280.0]), np.array([0.5, 0.625])
    got = [heights.lens(SHAPE, f[0], n, wavelength=w[0], **options) / w[0]]
    need = [2 * path(f[0]) / w[0]]
    relief = heights.lens(SHAPE, f[1], n, wavelength=w[0], order=2, **options)
    got.append(np.exp(0.5j * TAU * np.asarray(relief) / w[0]))
    need.append(np.exp(1j * TAU * path(f[1]) / w[0]))
    # Five sectors and three wings: no sample lies on their edges, but for those that begin at +x.
    sector = np.floor(5 * TURN).astype(int) % 2
    ring = np.minimum(np.floor(2 * R**2 / 17.0**2), 1).astype(int)
    wing = w[0] + (w[1] - w[0]) * np.mod(3 * TURN, 1)
    made = [
        (heights.multi_focal(SHAPE, f, n, wavelength=w[0], sectors=5, **options), f[sector], w[0]),
        (heights.multi_color(SHAPE, f[0], n, wavelength=w, radius=17.0, **options), f[0], w[ring]),
        (heights.diffracted_rotation(SHAPE, f[0], n, wavelength=w, **options), f[0], wing),
    ]
    for relief, focal, wave in made:
        got.append(np.exp(0.5j * TAU * np.asarray(relief) / wave))
        need.append(np.exp(1j * TAU * path(focal) / wave))
    return np.array(got), np.array(need)


# -- fabrication ---------------------------------------------------------------------------


@row("heights.height_error", reference="quantiles of the uniform distribution",
     valid="errors without correlation (statistical error)")  # fmt: skip
def _():
    noisy = heights.height_error(jax.random.key(3), np.full((256, 256), 0.5), tolerance=0.125)
    share = np.array([0.02, 0.25, 0.5, 0.9])
    return np.quantile(np.asarray(noisy), share), 0.375 + 0.25 * share


@row("heights.minimum_feature", reference="areas of a disk in samples, by quadrature",
     valid="writers that add up")  # fmt: skip
def _():
    one = np.zeros((7, 8))
    one[3, 4] = 1
    dy, dx, radius = 1.0, 0.75, 1.625

    def shared(y, x):
        """Area of the disk in one sample."""

        def height(t):
            half = np.sqrt(np.maximum(radius**2 - t**2, 0))
            return max(0, min(y + dy / 2, half) - max(y - dy / 2, -half))

        return scipy.integrate.quad(height, x - dx / 2, x + dx / 2, limit=200)[0]

    need = [[shared(y, x) for x in axis(8, dx)] for y in axis(7, dy)]
    got = heights.minimum_feature(one, 2 * radius, spacing=(dy, dx))
    return got, np.array(need) / (np.pi * radius**2)


@row("heights.roughness", reference="differences in numpy, both norms", valid="resolved reliefs")
def _():
    wide = np.pad(RELIEF, 1, mode="edge")
    bend = np.diff(wide[:, 1:-1], 2, axis=0) / 4 + np.diff(wide[1:-1], 2, axis=1) / 9
    got = [heights.roughness(RELIEF, spacing=(2.0, 3.0), norm=p) for p in (1, 2)]
    return np.array(got), np.array([np.mean(abs(bend)), np.mean(bend**2)])
