"""Cameras, scenes with depth, color mosaics: sums over whole paths, matrices, numpy and scipy."""

import jax.numpy as jnp
import numpy as np
import scipy.integrate
from reference import axis
from scipy.signal import convolve

from jaxwave import cameras, grid, mosaic, scenes
from validation import row
from validation.imaging import blur, kernel

TAU = 2 * np.pi


@row("cameras.Lens", reference="sums over the whole paths, a point 5 degrees off on a diagonal",
     valid="thin plates, a few degrees of field; f/12, with its square")  # fmt: skip
def _():
    shape, window, (dy, dx), z, f, w, far = (
        (48, 45),
        (6, 7),
        (8.0, 8.5),
        4500.0,
        4448.0,
        0.5625,
        2e5,
    )
    pitch, (ty, tx), a = (4.0, 3.0), np.tan([0.0625, -0.0625]), 184.0
    y, x = axis(48, dy)[:, None], axis(45, dx)
    opd = 0.125 * np.sin(np.arange(48)[:, None] + 0.5 * np.arange(45))
    stop = np.asarray(grid.disk_coverage(shape, jnp.asarray([dy, dx]), a), float)
    front = np.sqrt(far**2 + (y - far * ty) ** 2 + (x - far * tx) ** 2)
    u = stop * np.exp(1j * TAU / w * (opd + front - np.sqrt(f**2 + y**2 + x**2)))
    nodes, weights = np.polynomial.legendre.leggauss(3)
    points = [(np.arange(m)[:, None] - m // 2 + nodes / 2).ravel() for m in window]
    light = np.empty((18, 21))
    for j, k in np.ndindex(18, 21):
        py, px = points[0][j] * pitch[0] - z * ty, points[1][k] * pitch[1] - z * tx
        light[j, k] = (
            abs(np.sum(u * np.exp(1j * TAU / w * np.sqrt(z**2 + (py - y) ** 2 + (px - x) ** 2))))
            ** 2
        )
    need = np.einsum("yixj,i,j->yx", light.reshape(6, 3, 7, 3), weights / 2, weights / 2)
    cosine = 1 / np.sqrt(1 + ty**2 + tx**2)
    need *= dy * dx * np.prod(pitch) / np.sum(stop**2) / (w * z) ** 2 * cosine**4
    lens = cameras.Lens(shape, (dy, dx), z, pitch, window, f=f, radius=a, points=3)
    return lens.psfs(opd, [far], [w], angles=(0.0625, -0.0625))[0, 0], need


@row("cameras.haze", reference="the sum in numpy", valid="shares of the stop's light")
def _():
    psfs = kernel((2, 3, 4, 5), 8) / 16
    return cameras.haze(psfs), 1 - psfs.sum((-2, -1))


@row("cameras.expected_error", reference="covariances by matrices; two depths, two colors",
     valid="periodic images, noise of one variance")  # fmt: skip
def _():
    h, shape, noise, weight = kernel((2, 2, 3, 4), 5), (6, 5), np.array([0.25, 0.5]), 0.75
    fy, fx = np.fft.fftfreq(6)[:, None], np.fft.fftfreq(5)
    power = 1 / (fy**2 + fx**2 + 1 / 30)
    scene = blur(np.fft.fftshift(np.fft.ifft2(power / power.mean()).real), shape)
    need = np.empty((2, 2))
    for color in range(2):
        seen = [blur(one, shape) for one in h[:, color]]
        mean = sum(seen) / 2
        both = sum(m @ scene @ m.T for m in seen) / 2 + weight * np.eye(30)
        best = scene @ mean.T @ np.linalg.inv(both)
        flat = np.full((30, 30), 1 / 30)  # the mean is known: it is kept
        best += flat / h[:, color].sum((1, 2)).mean() - best @ flat
        for depth, m in enumerate(seen):
            rest = np.eye(30) - best @ m
            error = rest @ scene @ rest.T + noise[color] * best @ best.T
            need[depth, color] = np.trace(error) / 30
    got = cameras.expected_error(h, noise, shape=shape, weight=weight, haze=False)
    return got, need


# -- scenes --------------------------------------------------------------------------------

AT = np.array([1024.0, 2048.0, 8192.0])


@row("scenes.layers", reference="interpolation of numpy in the reciprocal distance",
     valid="layers whose PSFs resemble each other's")  # fmt: skip
def _():
    depth = np.array([[512.0, 1024.0, 1536.0, 4096.0, 16384.0, np.inf]])
    near = np.clip(1 / depth, 1 / AT[-1], 1 / AT[0])
    need = [np.interp(near, 1 / AT[::-1], one[::-1]) for one in np.eye(3)]
    return scenes.layers(depth, AT), np.array(need)


@row("scenes.render", reference="its sums by scipy.signal.convolve, near halves before far ones",
     valid="opaque scenes; what is hidden is guessed")  # fmt: skip
def _():
    image, psfs = kernel((2, 8, 9), 6), kernel((2, 2, 3, 3), 7) / 4
    near = (np.arange(9) < 4) * np.ones((8, 1))
    masks, sums = np.array([near, 1 - near]), psfs.sum((-2, -1))

    def blurred(part, depth, color):
        return convolve(np.pad(part, 1, mode="edge"), psfs[depth, color] / sums[depth, color],
                        mode="valid", method="direct")  # fmt: skip

    need = np.zeros_like(image)
    for c in range(2):
        opaque = blurred(masks[0], 0, c)
        front = blurred(masks[0] * image[c], 0, c)
        back = blurred(masks[1] * image[c], 1, c) / np.maximum(blurred(masks[1], 1, c), 1e-9)
        clear = np.where(blurred(masks[1], 1, c) > 1e-4, 1 - opaque, 0)
        need[c] = sums[0, c] * front + sums[1, c] * clear * back
        for k in range(2):
            need[c] += (1 - sums[k, c]) * np.mean(masks[k] * image[c])
    depth = np.where(near > 0, AT[0], AT[1])
    return scenes.render(image, depth, psfs, distances=AT[:2]), need


@row("scenes.vignetting", reference="cos^4 and the area of two disks by quadrature",
     valid="thin lenses in the stop")  # fmt: skip
def _():
    a, b, t, z = 100.0, 80.0, 320.0, 1024.0
    y, x = axis(4, 256.0)[:, None], axis(5, 192.0)
    slope = np.hypot(y, x) / z

    def both(s):
        """Area that the disk of radius b around s shares with that of radius a around zero."""

        def height(t):
            return 2 * np.sqrt(np.maximum(0, np.minimum(a**2 - t**2, b**2 - (t - s) ** 2)))

        ends = [max(-a, s - b), min(a, s + b)]
        corner = (s**2 + a**2 - b**2) / (2 * s) if s > 0 else 0.0
        points = [corner] if ends[0] < corner < ends[1] else None
        return scipy.integrate.quad(height, *ends, points=points, epsabs=1e-9)[0]

    share = np.vectorize(both)(t * slope) / (np.pi * b**2)
    got = scenes.vignetting((4, 5), pitch=(256.0, 192.0), z=z, radius=a, rim=b, rim_distance=t)
    return got, share / (1 + slope**2) ** 2


# -- color mosaics -------------------------------------------------------------------------


@row("mosaic.bayer", "mosaic.demosaic",
     reference="pixel by pixel; planes by the mean of neighbors, grey planes by both methods",
     valid="straight parts of images")  # fmt: skip
def _():
    y, x = np.mgrid[0:7, 0:8] / 8
    planes = np.array([y + 0.5, x + 0.25, 1 - 0.5 * x])
    raw = mosaic.bayer(planes, pattern="GBRG")
    letters = np.array([["GBRG".index("G"), 1], [2, 3]])
    need = np.empty((7, 8))
    for (j, k), n in np.ndenumerate(letters):
        need[j::2, k::2] = planes["RGB".index("GBRG"[n]), j::2, k::2]
    got = mosaic.demosaic(raw, pattern="GBRG", method="bilinear")[:, 2:-2, 2:-2]
    grey = np.array([planes[2]] * 3)
    other = mosaic.demosaic(mosaic.bayer(grey))[:, 2:-2, 2:-2]
    inside = np.array([planes, grey])[..., 2:-2, 2:-2]
    got = np.concatenate([np.ravel(raw), np.ravel(got), np.ravel(other)])
    return got, np.concatenate([need.ravel(), inside.ravel()])


@row("mosaic.sensitivities", "mosaic.to_colors", reference="their definitions",
     valid="linear sensors")  # fmt: skip
def _():
    w = np.array([0.4375, 0.5, 0.5625, 0.625])
    peak, width = np.array([0.625, 0.53125, 0.46875]), np.array([0.09375, 0.125, 0.0625])
    bells = 2.0 ** (-4 * ((w - peak[:, None]) / width[:, None]) ** 2)
    light = kernel((2, 4, 3, 3), 9)
    got = mosaic.sensitivities(w, peak=peak, width=width)
    colors = mosaic.to_colors(light, got)
    need = np.einsum("cw,bwyx->bcyx", bells / bells.sum(1, keepdims=True), light)
    return np.concatenate([got.ravel(), colors.ravel()]), np.concatenate(
        [bells.ravel(), need.ravel()]
    )


@row("mosaic.merge_exposures", reference="all light over all time, pixel by pixel",
     valid="linear cameras")  # fmt: skip
def _():
    times = np.array([0.25, 1.0, 8.0])
    light = np.array([2.0, 24.0, 100.0, 2000.0])
    counts = np.minimum(light * times[:, None] + 5 + np.array([0.5, -0.25, 1.0, 0]), 128.0)
    need = []
    for pixel in counts.T:
        chosen = [k for k in range(3) if pixel[k] < 128] or [0]
        need.append(sum(pixel[k] - 5 for k in chosen) / sum(times[k] for k in chosen))
    return mosaic.merge_exposures(counts[:, None], times, full=128.0, offset=5.0), np.array([need])
