"""Propagators, lenses, gratings, masks, modulators, samples: explicit sums and closed forms."""

import jax.numpy as jnp
import numpy as np
from reference import axis, rayleigh_sommerfeld
from scipy.special import jv

import jaxwave as jw
from validation import row

SHAPE, (DY, DX), W = (9, 8), (0.5, 0.375), 0.5
Y, X = axis(9, DY)[:, None], axis(8, DX)
THIN = "thin elements"
TAU = 2 * np.pi


def noise(shape=SHAPE, seed=0):
    u = np.random.default_rng(seed).normal(size=(2, *shape)).astype(np.float32)
    return (u[0] + 1j * u[1]).astype(complex)


U = noise()


def light(u=U, spacing=(DY, DX)):
    return jw.scalar_field(u, spacing=spacing, wavelength=W)


# -- propagators ---------------------------------------------------------------------------


def bundle(ny=64, nx=60, spacing=0.25):
    """A lopsided field of 1.5 µm that is dark at the edge."""
    y, x = axis(ny, spacing)[:, None], axis(nx, spacing)
    envelope = np.exp(-((y / 1.375) ** 2) - ((x - 0.625) / 1.5) ** 2)
    return envelope * (1 + 0.5j * y - 0.25 * x * y) * np.exp(1j * (x - 0.75 * y))


def distant(z, n, dy, dx, shape, y, x):
    y, x = np.meshgrid(axis(shape[0], dy) + y, axis(shape[1], dx) + x, indexing="ij")
    return rayleigh_sommerfeld(bundle(), 0.25, 0.25, z, W, y, x, n).reshape(shape)


VIEW = dict(spacing=(0.125, 0.1875), shape=(7, 6), y=-1.25, x=2.0)


@row("rayleigh_sommerfeld", reference="the sum in float64, another window, index 1.375",
     valid="light that the samples resolve")  # fmt: skip
def _():
    got = jw.rayleigh_sommerfeld(light(bundle(), 0.25), 12.0, n=1.375, **VIEW)
    return got.u, distant(12.0, 1.375, *VIEW["spacing"], VIEW["shape"], -1.25, 2.0)


@row("propagate", reference="Rayleigh-Sommerfeld sum, another window", valid="as what it chooses")
def _():
    got = jw.propagate(light(bundle(), 0.25), 5.0, n=1.375, **VIEW)
    return got.u, distant(5.0, 1.375, *VIEW["spacing"], VIEW["shape"], -1.25, 2.0)


@row("scalable_angular_spectrum", reference="Rayleigh-Sommerfeld sum",
     valid="long distances")  # fmt: skip
def _():
    view = VIEW | {"spacing": (0.875, 1.125)}
    got = jw.scalable_angular_spectrum(light(bundle(), 0.25), 40.0, n=1.375, **view)
    return got.u, distant(40.0, 1.375, *view["spacing"], VIEW["shape"], -1.25, 2.0)


def collins(u, a, b, d, y, x, spacing=(DY, DX), n=1.0):
    """Collins' integral as a sum."""
    sy, sx = axis(u.shape[0], spacing[0]), axis(u.shape[1], spacing[1])
    k = 1j * np.pi * n / (W * b)
    fy = np.exp(k * (a * sy**2 - 2 * np.outer(y, sy) + d * y[:, None] ** 2))
    fx = np.exp(k * (a * sx**2 - 2 * np.outer(x, sx) + d * x[:, None] ** 2))
    return n / (1j * W * b) * spacing[0] * spacing[1] * fy @ u @ fx.T


@row("ray_transfer", reference="Collins' integral as a sum", valid="paraxial light")
def _():
    a, b, c = 0.5, 96.0, -1 / 128
    d = (1 + b * c) / a
    got = jw.ray_transfer(light(), ((a, b), (c, d)), n=1.25, spacing=(2.0, 1.5), shape=(5, 6))
    return got.u, collins(U, a, b, d, axis(5, 2.0), axis(6, 1.5), n=1.25)


@row("lens", reference="Collins' integral of front, lens, back", valid="paraxial light, no rim")
def _():
    f, front, back = 64.0, 40.0, 24.0
    a, b, d = 1 - back / f, front + back - front * back / f, 1 - front / f
    got = jw.lens(light(), f, front=front, back=back, spacing=(1.5, 1.0), shape=(5, 6))
    return got.u, collins(U, a, b, d, axis(5, 1.5), axis(6, 1.0))


@row("fraunhofer", reference="its integral as a sum", valid="the far field")
def _():
    z = 1024.0
    got = jw.fraunhofer(light(), z, n=1.25, spacing=(8.0, 12.0), shape=(5, 6), y=16.0, x=-8.0)
    y, x = axis(5, 8.0) + 16, axis(6, 12.0) - 8
    return got.u, collins(U, 0.0, z, 1.0, y, x, n=1.25)


@row("four_f", reference="the inverted, magnified field; a clear pupil", valid="paraxial light")
def _():
    got = jw.four_f(light(), 64.0, 96.0)
    turned = np.roll(U[::-1, ::-1], (1 - 9 % 2, 1 - 8 % 2), (0, 1))
    return got.u, -64 / 96 * turned


# -- refraction ----------------------------------------------------------------------------


@row("cylindrical_lens", "prism", "axicon", reference="their definitions", valid=THIN)
def _():
    s = X * np.cos(0.5) + Y * np.sin(0.5)
    got = [
        jw.cylindrical_lens(light(), 24.0, phi=0.5, n=1.25).u,
        jw.prism(light(), 0.125, n_prism=1.5, n=1.25, phi=0.5).u,
        jw.axicon(light(), 0.125, n_axicon=1.5, n=1.25, y=0.25, x=-0.5).u,
    ]
    cone = np.hypot(Y - 0.25, X + 0.5)
    need = [
        U * np.exp(-1j * np.pi * 1.25 / (W * 24) * s**2),
        U * np.exp(1j * TAU / W * 0.25 * np.tan(0.125) * s),
        U * np.exp(-1j * TAU / W * 0.25 * np.tan(0.125) * cone),
    ]
    return np.array(got), np.array(need)


@row("refracting_surface", reference="the path of its sag", valid="rays that hardly move inside")
def _():
    got = jw.refracting_surface(light(), 24.0, n_before=1.0, n_behind=1.5, conic=-0.5)
    square = Y**2 + X**2
    sag = square / 24 / (1 + np.sqrt(1 - 0.5 * square / 24**2))
    return got.u, U * np.exp(-1j * TAU / W * 0.5 * sag)


@row("microlens_array", reference="the nearest center's parabola", valid="thin, paraxial lenslets")
def _():
    centers = np.array([[-1.0, -0.75], [1.25, 0.5], [0.25, 1.25]])
    got = jw.microlens_array(light(), 16.0, centers=centers, n=1.25)
    square = (Y - centers[:, 0, None, None]) ** 2 + (X - centers[:, 1, None, None]) ** 2
    need = U * np.exp(-1j * np.pi * 1.25 / (W * 16) * square.min(0))
    return got.u, need


# -- gratings ------------------------------------------------------------------------------


@row("sinusoidal_grating", reference="its definition", valid=THIN)
def _():
    got = jw.sinusoidal_grating(light(), 3.0, opd=0.375, phi=0.5, shift=0.25)
    s = X * np.cos(0.5) + Y * np.sin(0.5) - 0.25
    return got.u, U * np.exp(1j * np.pi * 0.375 / W * np.sin(TAU * s / 3))


def orders(field, q):
    """Share of the light in an order of 16 samples a period."""
    spectrum = np.fft.fft(np.asarray(field.u, complex)[0]) / field.u.shape[-1]
    return np.abs(spectrum[4 * q]) ** 2


@row("blazed_grating", "binary_grating", "grating_efficiency",
     reference="sinc^2(1/N), coefficients of bars, Bessel functions", valid=THIN)  # fmt: skip
def _():
    wave = jw.plane_wave((1, 64), spacing=0.25, wavelength=W)
    wave = wave.replace(u=jnp.ones_like(wave.u))
    bars = jw.binary_grating(wave, 4.0, opd=0.25, duty=0.5, shift=0.125)
    steps = jw.blazed_grating(wave, 4.0, opd=0.5, levels=4, shift=-0.125)
    of = jw.grating_efficiency
    got = [orders(bars, 0), of("binary", 1, 0.25, wavelength=W)]
    got += [of("binary", 3, 0.125, wavelength=W, duty=0.375)]
    got += [of("blazed", 1, 0.5, wavelength=W, levels=4), of("blazed", 2, 0.375, wavelength=W)]
    got += [of("sinusoidal", 2, 0.375, wavelength=W)]
    delta = np.exp(2j * np.pi * 0.125 / W)
    need = [0.0, (2 / np.pi) ** 2, np.abs((delta - 1) * 0.375 * np.sinc(3 * 0.375)) ** 2]
    need += [np.sinc(1 / 4) ** 2, np.sinc(2 - 0.75) ** 2, jv(2, np.pi * 0.375 / W) ** 2]
    # Four steps of a period in four orders: their sum is the light of the order +1 and its kin.
    t = np.exp(2j * np.pi * np.arange(4) / 4)
    coefficient = np.mean(np.repeat(t, 4) * np.exp(-2j * np.pi * np.arange(16) / 16))
    return np.array([*got, orders(steps, 1)]), np.array([*need, np.abs(coefficient) ** 2])


# -- masks ---------------------------------------------------------------------------------


@row("cubic_mask", reference="its definition", valid=THIN)
def _():
    got = jw.cubic_mask(light(), 0.125, radius=4.0, angle=0.5, y=0.25, x=-0.5)
    y, x = Y - 0.25, X + 0.5
    a, b = x * np.cos(0.5) + y * np.sin(0.5), y * np.cos(0.5) - x * np.sin(0.5)
    return got.u, U * np.exp(1j * TAU / W * 0.125 * (a**3 + b**3) / 4.0**3)


@row("spiral_mask", reference="a vortex with the mean of its middle sample", valid=THIN)
def _():
    got = jw.spiral_mask(light(), -2, angle=0.25, y=0.25, x=-0.1875)
    z = (X + 0.1875) + 1j * (Y - 0.25)
    square = np.abs(z) ** 2
    turn = (z / np.abs(z)) ** -2 * np.exp(0.5j)
    return got.u, U * turn * square / (square + 2 * DY * DX / 12)


def shares(edges, axis_, spacing):
    """Share of every sample between two edges."""
    low = np.maximum(axis_ - spacing / 2, edges[0])
    high = np.minimum(axis_ + spacing / 2, edges[1])
    return np.maximum(high - low, 0) / spacing


@row("rectangular_aperture", "slits", reference="shared areas", valid="all sizes")
def _():
    got = [jw.rectangular_aperture(light(), (1.75, 1.0), y=0.375, x=-0.25).u]
    got += [jw.slits(light(), 0.3125, pitch=0.875, count=3, length=2.75, y=0.25).u]
    sy, sx = axis(9, DY), axis(8, DX)
    need = [np.outer(shares((-0.5, 1.25), sy, DY), shares((-0.75, 0.25), sx, DX))]
    bars = sum(shares((c - 0.15625, c + 0.15625), sx, DX) for c in (-0.875, 0.0, 0.875))
    need += [np.outer(shares((-1.125, 1.625), sy, DY), bars)]
    return np.array(got), U * np.array(need)


@row("polygon_aperture", "annular_aperture", "zone_plate",
     reference="their areas", valid="radii of several samples")  # fmt: skip
def _():
    wave = jw.plane_wave((96, 90), spacing=(0.25, 0.25), wavelength=W)
    wave = wave.replace(u=jnp.ones_like(wave.u))
    area = lambda field: jnp.sum(field.u.real) / 16  # noqa: E731
    corners = np.array([(-4.0, -3.5), (-2.5, 5.0), (4.5, 1.25), (1.0, -6.0)])
    y, x = corners.T
    shoelace = abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
    rings = 32 * W * np.arange(8) + (np.arange(8) * W / 2) ** 2
    got = [
        area(jw.polygon_aperture(wave, corners)),
        area(jw.annular_aperture(wave, 4.0, 7.5, y=0.375, x=-1.0)),
        area(jw.zone_plate(wave, 32.0, wavelength=W, zones=5, second=0.25, x=0.125)),
    ]
    bright, dark = sum(rings[[1, 3, 5]] - rings[[0, 2, 4]]), sum(rings[[2, 4]] - rings[[1, 3]])
    need = [shoelace, np.pi * (7.5**2 - 4**2), np.pi * (bright + 0.25 * dark)]
    return np.array(got) / need, np.ones(3)


@row("absorbing_boundary", reference="its definition", valid="a mask")
def _():
    got = jw.absorbing_boundary(light(), 1.25)
    need = U.copy()
    for count, spacing, turn in ((9, DY, (slice(None), None)), (8, DX, (slice(None),))):
        inside = (0.5 + np.minimum(np.arange(count), np.arange(count)[::-1])) * spacing
        need = need * np.sin(np.pi / 2 * np.minimum(1, inside / 1.25))[turn] ** 2
    return got.u, need


# -- modulators ----------------------------------------------------------------------------


@row("slm", reference="means of its pixels and gaps by shared areas", valid="light along the axis")
def _():
    levels = np.array([[0.0, 3.0, 1.0], [2.0, 0.0, 3.0]])
    table = np.array([0.0, 1.25, 3.5, 5.0])
    got = jw.slm(light(), levels, pitch=1.25, table=table, fill_factor=0.5625, gap=0.5)
    sy, sx, phase = axis(9, DY), axis(8, DX), table[levels.astype(int)]
    need = 0
    for j in range(2):
        for k in range(3):
            for width, value in ((1.25, 0.5), (0.9375, np.exp(1j * phase[j, k]) - 0.5)):
                ends = [(c - width / 2, c + width / 2) for c in ((j - 1) * 1.25, (k - 1) * 1.25)]
                need = need + value * np.outer(
                    shares(ends[0], sy, DY), shares(ends[1], sx, DX)
                )  # fmt: skip
    return got.u, U * need


@row("levels_for_phase", reference="all levels tried", valid="any table")
def _():
    table, phase = np.array([0.0, 2.5, 1.25, 5.5]), np.linspace(-7, 9, 33).reshape(3, 11) + 0.0625
    off = np.abs(np.exp(1j * phase[..., None]) - np.exp(1j * table))
    return jw.levels_for_phase(phase, table), off.argmin(-1)


@row("gaussian_influence", "deformable_mirror", reference="their definitions", valid=THIN)
def _():
    centers, commands = np.array([[0.5, -0.75], [-1.0, 0.25]]), np.array([0.125, -0.5])
    grid = dict(spacing=(DY, DX), pitch=1.5, coupling=0.25, peak=0.75)
    g = jw.gaussian_influence(SHAPE, centers, **grid)
    got = jw.deformable_mirror(light(), commands, g, stroke=0.25)
    square = (Y - centers[:, 0, None, None]) ** 2 + (X - centers[:, 1, None, None]) ** 2
    bumps = 0.75 * 0.25 ** (square / 1.5**2)
    path = 0.125 * bumps[0] - 0.25 * bumps[1]
    need = [*bumps.astype(complex), U * np.exp(1j * TAU / W * path)]
    return np.array([*g, got.u]), np.array(need)


# -- samples and materials -----------------------------------------------------------------


@row(
    "thin_sample", reference="its definition, absorbing", valid="samples thinner than light spreads"
)
def _():
    dn = 0.0625 * np.cos(Y * X) + 0.015625j
    return jw.thin_sample(light(), dn, 1.5).u, U * np.exp(1j * TAU / W * dn * 1.5)


@row("multislice", reference="a homogeneous slab in a plane wave: n1 instead of n",
     valid="small differences of the index; Mie's sphere is met to 5e-3 up to 20 degrees"
)  # fmt: skip
def _():
    wave = light(np.ones(SHAPE, complex))
    got = jw.multislice(wave, np.full((4, *SHAPE), 0.046875), 0.75, n=1.375)
    return got.u, np.full(SHAPE, np.exp(1j * TAU / W * 0.046875 * 3.0))


@row("refractive_index", reference="Sellmeier's formula of fused silica (Malitson 1965)",
     valid="the range of each material")  # fmt: skip
def _():
    w = np.array([0.4375, 0.5, 0.625, 1.0])
    b, c = (0.6961663, 0.4079426, 0.8974794), (0.0684043, 0.1162414, 9.896161)
    square = 1 + sum(p * w**2 / (w**2 - q**2) for p, q in zip(b, c, strict=True))
    return jw.refractive_index("fused silica", w), np.sqrt(square)


@row("spheres", "filaments", reference="volumes of a sphere, a shell and a capsule",
     valid="radii of several voxels")  # fmt: skip
def _():
    grid, ends = dict(spacing=(0.25, 0.25, 0.25)), [[-1.0, 0.5, -1.5], [1.0, -0.5, 1.5]]
    center = np.array([[0.125, -0.0625, 0.25]])
    got = [
        jnp.sum(jw.spheres((40, 36, 38), center, 3.0, **grid)) / 64,
        jnp.sum(jw.spheres((40, 36, 38), center, 3.0, shell=1.0, **grid)) / 64,
        jnp.sum(jw.filaments((40, 36, 38), ends, 1.5, **grid)) / 64,
    ]
    long = np.sqrt(4 + 1 + 9)
    need = [36 * np.pi, 4 / 3 * np.pi * (27 - 8), np.pi * 1.5**2 * (long + 2.0)]
    return np.array(got) / need, np.ones(3)
