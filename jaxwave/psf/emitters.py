"""Many emitters on one camera: memory that does not grow with them, exact places between pixels.

The image of an emitter is a smooth function of its depth and, in a window around it, a cosine
series of its place. So the microscope computes a few planes at Chebyshev depths once, as cosine
coefficients; every emitter then costs one interpolation in depth and two small matrix products,
whose first factors are the cosines at its pixels times the transfer function of a pixel.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike, DTypeLike

from jaxwave import _check, numerics
from jaxwave._noun import typed
from jaxwave.psf import _bounds
from jaxwave.psf._solve import blur_of, solve
from jaxwave.psf.camera import cosine_series
from jaxwave.psf.microscope import MARGIN, Microscope, aberrated
from jaxwave.psf.objective import Pupil, Window
from jaxwave.zernike import Modes

BATCH = 64  # emitters at once
RIM = 8  # cosines beyond the band of the intensity
# Dipoles whose images span those of all orientations, as (x, y, z).
_DIPOLES = np.array(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], float
) / np.sqrt([1, 1, 1, 2, 2, 2])[:, None]  # fmt: skip


class _Plan(NamedTuple):
    frame: tuple[int, int]  # pixels of the camera
    size: int  # pixels of a window
    samples: int  # of a window, along each axis
    orders: int  # cosines of the series that are kept
    ratio: float  # samples in a pixel


def emitters_image(
    microscope: Microscope,
    positions: ArrayLike,
    photons: ArrayLike = 1.0,
    *,
    pupil: Pupil = None,
    coefficients: ArrayLike | None = None,
    modes: Modes = (),
    convention: str | None = None,
    dipoles: ArrayLike | None = None,
    sigma: ArrayLike | str = 0.0,
    background: ArrayLike = 0.0,
    size: int | None = None,
) -> Array:
    r"""Image of many emitters that do not interfere.

    .. math:: \mu_{jk} = b + \sum_e N_e\, P_{jk}(z_e, y_e, x_e)

    with the share P of :meth:`Microscope.psf`. Valid inside the window around every emitter; the
    light beyond the window is left out. Memory grows with the frame and by one window of
    ``size * size`` numbers with every emitter; nothing is rounded to pixels. Differentiable in all
    numbers.

    Args:
        microscope: The microscope; its shape is that of the frame.
        positions: Depth behind the focal plane and place ``(emitters, 3)`` as (z, y, x) [µm]; the
            origin of (y, x) is the middle of the pixel N // 2, as in :meth:`Microscope.psf`.
        photons: Photons of every emitter, one number or ``(emitters,)`` [photons].
        pupil: What stands in the pupil, see :func:`focus`; samples are ``(y, x)`` [none].
        coefficients: Aberrations, path differences of ``modes``, ``(modes,)`` [µm].
        modes: Zernike modes (n, m), or single numbers of the ``convention``.
        convention: "osa", "noll" or "fringe" for single numbers.
        dipoles: Directions (x, y, z) of the moments, real ``(emitters, 3)`` [none]; None for
            molecules that rotate freely.
        sigma: Width of a Gaussian blur in the sample, scalar [µm].
        background: Photons in every pixel, one number or ``(y, x)`` [photons].
        size: Pixels of the window around an emitter, an odd number; by default what holds the
            emitter that is farthest from focus. Traced depths do not tell it: the window then
            reaches 3 wavelength/na, which agrees with that of known depths to 1e-3 of an emitter's
            brightest pixel within n wavelength/(2 na^2) of the focus. Pass it for deeper ones.

    Returns:
        The expected photons, ``(y, x)`` [photons].

    Raises:
        ValueError: If the shapes do not fit, or numbers are not finite or negative.
        TypeError: If something is of the wrong kind.

    Example:
        >>> scope = Microscope(na=1.4, wavelength=0.6, n=1.518, shape=(60, 64), pixel=0.1)
        >>> frame = emitters_image(scope, [[0.2, 1.03, -0.51], [0.0, -1.2, 0.44]], 1000.0)
        >>> frame.shape
        (60, 64)

    References:
        H. P. Babcock and X. Zhuang, Sci. Rep. 7, 552 (2017); L. Novotny and B. Hecht,
        *Principles of Nano-Optics*, Sec. 4.1.
    """
    where = "emitters_image"
    if not isinstance(microscope, Microscope):
        raise TypeError(
            f"{where}: `microscope` must be psf.Microscope(...), got {type(microscope).__name__}."
        )
    _check.finite_array(where, "positions", positions)
    if np.ndim(positions) != 2 or np.shape(positions)[-1] != 3:
        raise ValueError(
            f"{where}: `positions` must be (emitters, 3) as (z, y, x) [µm], got the shape "
            f"{np.shape(positions)}."
        )
    count = np.shape(positions)[0]
    _check.nonnegative(where, "photons", photons)
    _one_or_all(where, "photons", photons, (count,), "one for each emitter")
    _one_or_all(where, "background", background, microscope.shape, "one for each pixel")
    _no_batch(where, microscope, coefficients)
    if dipoles is not None and np.shape(dipoles) != (count, 3):
        raise ValueError(
            f"{where}: `dipoles` must have a direction (x, y, z) for each of the {count} emitters, "
            f"got the shape {np.shape(dipoles)}."
        )
    sigma = _check.length(where, "sigma", sigma)
    _check.nonnegative(where, "sigma", sigma, unit="µm")
    size = _size(microscope, positions) if size is None else size
    _check.integer(where, "size", size, 3)
    if size % 2 == 0:
        raise ValueError(f"{where}: `size` must be odd, got {size}. Take {size + 1}.")
    whole = aberrated(where, pupil, coefficients, modes, convention)
    if not count:
        return jnp.broadcast_to(jnp.asarray(background, float), microscope.shape)
    ratio = microscope.camera().ratio
    samples = math.ceil(ratio * (size + 1 + 2 * MARGIN))
    low, high = _range(positions)
    depths, nodes = _depths(microscope, low, high)
    window = Window((samples, samples), microscope.pixel_in_sample / ratio, z=depths)
    stack = _stack(where, microscope, window, whole, dipoles is not None)
    plan = _Plan(microscope.shape, size, samples, _orders(microscope, samples, ratio), ratio)
    numbers = (positions, photons, microscope.pixel_in_sample, low, high, background, dipoles)
    return _program(plan, nodes, stack, *typed((numbers, blur_of(sigma)), stack[0].dtype))


def _one_or_all(where: str, name: str, value: object, shape: tuple[int, ...], each: str) -> None:
    if np.shape(value) not in ((), shape):
        raise ValueError(
            f"{where}: `{name}` must be one number or {each}, {shape}, got the shape "
            f"{np.shape(value)}."
        )


def _no_batch(where: str, microscope: Microscope, coefficients: object) -> None:
    """One microscope makes a frame; `jax.vmap` maps over many."""
    leaves = jax.tree_util.tree_leaves_with_path(microscope)
    shapes = {jax.tree_util.keystr(path[-1:], simple=True): np.shape(leaf) for path, leaf in leaves}
    shapes["coefficients"] = np.shape(coefficients)[1:]
    for name, shape in shapes.items():
        if shape:
            raise ValueError(
                f"{where}: `{name}` has batch axes, but one frame has one microscope. Map over it "
                "with jax.vmap."
            )


def _size(microscope: Microscope, positions: ArrayLike) -> int:
    """Pixels that hold the geometric blur of the farthest emitter and its diffraction rings."""
    found, pixel = _bounds.known(positions), _bounds.known(microscope.pixel_in_sample)
    wavelength = _bounds.known(microscope.wavelength)
    na, n = _bounds.aperture(microscope.objective), _bounds.most(microscope.objective.n_i, 1.5)
    if pixel is None or wavelength is None or na is None:
        return 25
    if found is None:  # depths of which nothing is known: the rings of an emitter in focus
        reach = 3.0 * float(np.max(wavelength)) / na
    else:
        far = float(np.max(np.abs(found[:, 0]), initial=0.0))
        blur = far * na / math.sqrt(max(n * n - na * na, 0.1 * n * n))
        reach = blur + 4.0 * float(np.max(wavelength)) / na
    return 2 * math.ceil(reach / float(np.max(pixel)) - 1e-6) + 1


def _orders(microscope: Microscope, samples: int, ratio: float) -> int:
    """Cosines that hold the intensity: up to its band, and some for the rim of the window.

    The mirror image beyond the rim makes a kink, whose waves beyond the band stay near the rim.
    """
    need = microscope.needed()
    if need is None or _bounds.digits() > 6:  # that kink is 1e-6 of the picture
        return samples
    return min(samples, math.ceil(samples * need / ratio) + RIM)


def _range(positions: ArrayLike) -> tuple[Any, Any]:
    """Least and largest depth; known numbers stay known."""
    found = _bounds.known(positions)
    if found is not None:
        low, high = (float(v) for v in (found[:, 0].min(), found[:, 0].max()))
        return low - 1e-3, high + 1e-3
    z = lax.stop_gradient(jnp.asarray(positions)[:, 0])
    return jnp.min(z) - 1e-3, jnp.max(z) + 1e-3


def _depths(microscope: Microscope, low: Any, high: Any) -> tuple[Any, int]:
    """Chebyshev depths, as many as the intensity has degrees in z."""
    o = microscope.objective
    na, wavelength = _bounds.aperture(o), _bounds.least(o.wavelength, 0.5)
    # What moves with z: the immersion, or the emitter in its sample.
    indices = [o.n_i] if o.motion == "stage" else [o.n_i, o.n_s]
    spread = 0.0
    for n in (_bounds.most(index, 1.5) for index in indices):
        spread = max(spread, 0.7 * n if na is None else n - math.sqrt(max(n * n - na * na, 0.0)))
    half = (high - low) / 2 if _check.is_concrete(low) else _bounds.FAR * wavelength / 2
    nodes = _bounds.degree(2 * math.pi * half * spread / wavelength)
    t = np.cos(math.pi * (np.arange(nodes) + 0.5) / nodes)
    return (low + high) / 2 + (high - low) / 2 * t, nodes


def _stack(
    where: str, microscope: Microscope, window: Window, pupil: Pupil, fixed: bool
) -> list[Array]:
    """Intensities ``(depths, y, x)`` of one rotating dipole, or of six fixed ones."""
    o = microscope.objective
    if not fixed:
        return [solve(where, "rotating", True, o, window, pupil, np.ones(3), None)]
    return [solve(where, "dipole", True, o, window, pupil, d, None) for d in _DIPOLES]


@partial(jax.jit, static_argnums=(0, 1))
def _program(
    plan: _Plan, nodes: int, stack: list[Array], numbers: tuple[Any, ...], sigma: ArrayLike
) -> Array:
    real = stack[0].dtype
    *others, dipoles = numbers
    positions, photons, pixel, low, high, background = (jnp.asarray(a, real) for a in others)
    dipoles = None if dipoles is None else jnp.asarray(dipoles, real)
    series = cosine_series(plan.samples)[: plan.orders].astype(real)
    planes = jnp.stack(stack)
    planes = jnp.einsum("uy,dzyx->dzux", series, planes, precision="highest")
    planes = jnp.einsum("vx,dzux->dzuv", series, planes, precision="highest")
    # From depths to coefficients of Chebyshev polynomials of the depth.
    j, k = np.arange(nodes)[:, None], np.arange(nodes)
    fit = np.where(j, 2, 1) / nodes * np.cos(math.pi * j * (k + 0.5) / nodes)
    planes = jnp.einsum("jz,dzuv->djuv", fit.astype(real), planes, precision="highest")
    planes = planes.reshape(-1, plan.orders**2)
    area = (pixel / plan.ratio) ** 2

    turns = np.arange(plan.orders) / (2 * plan.samples)  # per sample
    transfer = (plan.ratio * np.sinc(plan.ratio * turns)).astype(real)
    if sigma is not None:
        width = jnp.asarray(sigma, real) * plan.ratio / pixel
        transfer = transfer * jnp.exp(-2 * (math.pi * width * turns.astype(real)) ** 2)
    pixels = (np.arange(plan.size) - plan.size // 2) * plan.ratio + (plan.samples // 2 + 0.5)
    waves = 2 * math.pi * np.outer(pixels, turns)
    cosines, sines = np.cos(waves).astype(real), np.sin(waves).astype(real)

    def axis(fraction: Array) -> Array:
        """Cosines at the pixels of a window, ``(pixels, orders)``; place in pixels.

        By the sum of two angles: an emitter costs a cosine and a sine for each order alone.
        """
        turned = numerics.cis(fraction * (plan.ratio * turns).astype(real))
        return cosines * (turned.real * transfer) + sines * (turned.imag * transfer)

    def window(emitter: tuple[Array, ...]) -> Array:
        t, dy, dx, light = emitter
        angle = jnp.arccos(jnp.clip(t, -0.9999999, 0.9999999))
        depth = jnp.cos(np.arange(nodes).astype(real) * angle)
        weights = (light[:, None] * depth).reshape(-1)
        coefficients = jnp.matmul(weights, planes, precision="highest")
        coefficients = coefficients.reshape(plan.orders, plan.orders)
        rows = jnp.matmul(axis(dy), coefficients, precision="highest")
        return jnp.matmul(rows, axis(dx).T, precision="highest")

    t = (positions[:, 0] - (low + high) / 2) / ((high - low) / 2)
    places = positions[:, 1:] / pixel
    corners = lax.stop_gradient(jnp.round(places)).astype(jnp.int32)
    fraction = places - corners
    brightness = jnp.broadcast_to(photons * area, (len(positions),))
    light = brightness[:, None] * _orientations(dipoles, len(positions), real)
    emitters = (t, fraction[:, 0], fraction[:, 1], light)
    windows = numerics.map_rows(jax.checkpoint(window), emitters, BATCH)
    middle = np.array([n // 2 - plan.size // 2 for n in plan.frame], np.int32)
    return _placed(plan, windows, corners + middle) + background


def _orientations(dipoles: Array | None, count: int, real: DTypeLike | None) -> Array:
    """Weights of the six images (one, if molecules rotate), ``(emitters, images)``.

    An image is quadratic in the moment; the mixed terms are those of the diagonal dipoles minus
    those of the axes.
    """
    if dipoles is None:
        return jnp.ones((count, 1), real)
    d = dipoles / jnp.sqrt(jnp.sum(dipoles**2, axis=-1, keepdims=True))
    x, y, z = d[:, 0], d[:, 1], d[:, 2]
    xy, xz, yz = x * y, x * z, y * z
    axes = [x * x - xy - xz, y * y - xy - yz, z * z - xz - yz]
    return jnp.stack([*axes, 2 * xy, 2 * xz, 2 * yz], axis=-1)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _placed(plan: _Plan, windows: Array, corners: Array) -> Array:
    """Adds windows to the frame, one after the other; what is outside is left out."""
    (ny, nx), w = plan.frame, plan.size
    frame = jnp.zeros((ny + 2 * w, nx + 2 * w), windows.dtype)

    def add(k: Array, frame: Array) -> Array:
        at = _inside(plan, corners[k])
        seen = lax.dynamic_slice(frame, at, (w, w))
        return lax.dynamic_update_slice(frame, seen + windows[k], at)

    return lax.fori_loop(0, len(windows), add, frame)[w : w + ny, w : w + nx]


def _inside(plan: _Plan, corner: Array) -> tuple[Array, Array]:
    """A corner in the frame with its margins of one window."""
    (ny, nx), w = plan.frame, plan.size
    return jnp.clip(corner[0], -w, ny) + w, jnp.clip(corner[1], -w, nx) + w


def _placed_forward(plan: _Plan, windows: Array, corners: Array) -> tuple[Array, Array]:
    return _placed(plan, windows, corners), corners


def _placed_backward(plan: _Plan, corners: Array, rate: Array) -> tuple[Array, None]:
    w = plan.size
    wide = jnp.pad(rate, w)

    def seen(corner: Array) -> Array:
        return lax.dynamic_slice(wide, _inside(plan, corner), (w, w))

    return numerics.map_rows(seen, corners, BATCH), None


_placed.defvjp(_placed_forward, _placed_backward)
