"""Objects from their incoherent images: the inverse of :func:`jaxwave.imaging.convolve_psf`.

Three ways, from the fastest to the one that knows most: a linear filter (:func:`wiener`), steps
that raise the likelihood of counted photons (:func:`richardson_lucy`), and images of few edges
(:func:`total_variation`). All are differentiable in the image, the PSF and their weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.tree_util import Partial
from jax.typing import ArrayLike

from jaxwave import _check, numerics
from jaxwave.filters import SCENES, Window, depth_axis, filter_of, scene_power, transfer, window_of
from jaxwave.imaging import BOUNDARIES, Convolution, common_type, prepare
from jaxwave.numerics import share

Linear = Callable[[Array], Array]

_FIX = "Subtract less, or pass the offset as `background`."


# -- a linear filter -----------------------------------------------------------------------


def wiener(
    image: ArrayLike,
    psf: ArrayLike,
    weight: ArrayLike,
    *,
    depths: int | str | None = "auto",
    scene: str = "natural",
    haze: bool = False,
    boundary: str = "reflect",
) -> Array:
    r"""Object by the linear filter of the least mean square error.

    .. math:: G = \frac{\overline{H_d}^{\,*}\, S}{\overline{|H_d|^2}\, S + w}, \qquad
        S \propto \frac{1}{f^2 + f_0^2} \ \text{or}\ 1

    The bars are means over the depths of a scene, so one filter serves all of them: it needs no
    depth and is the best that a linear filter can do without one. With one PSF it is the filter of
    that depth. S is the power of scenes at a frequency, of mean one: that of photographs
    (``"natural"``, f0 is one period in the image) or of noise (``"white"``: Tikhonov's filter). The
    mean brightness is kept. Valid for additive noise; w is its variance divided by that of the
    scene, which is a good start for a weight that is learned (as ``jnp.exp(p)``, to stay
    positive). The filter and its derivative are finite at zeros of the transfer function.

    Args:
        image: Image, ``(..., y, x)`` [any unit].
        psf: Point-spread function of any size, ``(..., y, x)`` [none], with the image's spacing.
        weight: Variance of the noise over that of the scene, one number or ``(...)``, of the
            image's leading axes.
        depths: Axis of ``psf`` over depths that share one filter; None if every leading axis is
            one of the image. By default, where nothing is ambiguous, the first of a ``psf`` that
            has one axis more than the image.
        scene: ``"natural"`` or ``"white"``.
        haze: Whether what a PSF of a sum below one misses is spread evenly over the image (as
            light from outside of a window of the PSF is), instead of lost.
        boundary: What is beyond the image: ``"reflect"`` and ``"edge"`` (both blended from rim to
            rim, without a seam), ``"zero"`` or ``"periodic"``.

    Returns:
        The object on the image's grid, ``(..., y, x)`` [unit of ``image``]; it may be negative.

    Raises:
        TypeError: If something is complex.
        ValueError: If a shape does not fit, the axis of the depths is ambiguous, the weight is
            not positive, or a choice is unknown.

    Example:
        >>> from jaxwave import convolve_psf
        >>> scene = jnp.zeros((1, 32)).at[0, 12].set(1.0)
        >>> psf = jnp.array([[0.25, 0.5, 0.25]])
        >>> image = convolve_psf(scene, psf, boundary="periodic")
        >>> round(float(image[0, 12]), 2)
        0.5
        >>> round(float(wiener(image, psf, 1e-4, scene="white", boundary="periodic")[0, 12]), 2)
        0.93

    References:
        N. Wiener, *Extrapolation, Interpolation, and Smoothing of Stationary Time Series* (1949);
        D. J. Field, J. Opt. Soc. Am. A 4, 2379 (1987), for the power of scenes.
    """
    where = "wiener"
    _check.choice(where, "scene", scene, SCENES)
    psf = _check.real_array(where, "psf", psf, fix="Take field.intensity.")
    axis = depth_axis(where, np.ndim(image), psf.ndim, depths)
    image = _check.real_array(where, "image", image, fix="Take field.intensity.")
    for name, array in (("image", image), ("psf", psf)):
        _check.at_least(where, name, array, 2, "(..., y, x)")
        _check.not_empty(where, name, array.shape)
    _check.choice(where, "boundary", boundary, BOUNDARIES)
    weight = _check.real_array(where, "weight", weight)
    _check.positive(where, "weight", weight)
    batch = list(psf.shape[:-2])
    if axis is not None:
        del batch[axis if axis >= 0 else axis + 2]
    _check.broadcast(where, image=image.shape[:-2], weight=weight.shape, psf=batch)
    window = window_of(image.shape, psf.shape, boundary)
    return _wiener(image, psf, jnp.asarray(weight), axis, window, scene, haze)


@numerics.program("axis", "window", "scene", "haze")
def _wiener(
    image: Array,
    psf: Array,
    weight: Array,
    axis: int | None,
    window: Window,
    scene: str,
    haze: bool,
) -> Array:
    image, psf = common_type(image, psf)
    psf = psf[None] if axis is None else jnp.moveaxis(psf, axis, 0)
    ny, nx = image.shape[-2:]
    power = scene_power(window.size, scene, (ny * nx) ** -0.5)
    gain = filter_of(transfer(psf, window.size, haze), power, weight.astype(image.dtype))
    back = jnp.fft.irfft2(gain * jnp.fft.rfft2(window.extend(image)), window.size)
    return back[..., :ny, :nx]


# -- counted photons -----------------------------------------------------------------------


def richardson_lucy(
    image: ArrayLike,
    psf: ArrayLike | tuple[Linear, Linear],
    *,
    steps: int = 20,
    start: ArrayLike | None = None,
    background: ArrayLike = 0.0,
    accelerated: bool = False,
    boundary: str = "reflect",
) -> Array:
    r"""Object whose image is most likely the counted one, by multiplicative steps.

    .. math:: O \leftarrow \frac{O}{H^T 1}\, H^T\!\left(\frac{I}{H O + b}\right)

    Every step raises the likelihood of counts with Poisson's statistics, and the object stays
    positive. Valid for counts of variance near their mean, with the background b of camera and
    sample. Noise grows with the steps, so their number smooths. An accelerated step starts from
    where the last two point to, for the likelihood of about the square of the steps; it needs one
    object more of memory and no more time. :func:`jaxwave.lightfield.richardson_lucy` is the same
    for volumes behind a lens array.

    Args:
        image: Image, not negative, ``(..., y, x)`` [photons].
        psf: Point-spread function of any size, not negative, ``(..., y, x)`` [none], with the
            image's spacing; or two functions ``(project, backproject)``, any linear imaging H
            of one object and its adjoint. Functions are told apart by identity: write them once,
            or as ``jax.tree_util.Partial(function, arrays)``.
        steps: Number of steps.
        start: Where to start, shaped like the object, ``(...)`` [photons]; by default a uniform
            one. From the result of an earlier call that was not accelerated it goes on as if not
            interrupted.
        background: Light that no object gives, one number or ``(..., y, x)`` [photons].
        accelerated: Whether steps are extrapolated.
        boundary: What is beyond the object, see :func:`jaxwave.convolve_psf`; nothing if ``psf``
            is functions.

    Returns:
        The object, ``(..., y, x)`` or as ``backproject`` makes it [photons].

    Raises:
        TypeError: If something is complex.
        ValueError: If the image, the PSF, the start or the background is negative, or a shape does
            not fit.

    Example:
        >>> from jaxwave import convolve_psf
        >>> psf = jnp.array([[0.25, 0.5, 0.25]])
        >>> image = convolve_psf(jnp.zeros((1, 9)).at[0, 4].set(80.0), psf)
        >>> richardson_lucy(image, psf, steps=100)[0, 3:6].round().tolist()
        [0.0, 80.0, 0.0]

    References:
        W. H. Richardson, J. Opt. Soc. Am. 62, 55 (1972); D. S. C. Biggs and M. Andrews,
        "Acceleration of iterative image restoration algorithms", Appl. Opt. 36, 1766 (1997).
    """
    where = "richardson_lucy"
    _check.integer(where, "steps", steps, 1)
    if isinstance(psf, tuple):
        image, pair = counted_image(where, image), _functions(where, psf)
        shape = jax.eval_shape(pair[1], image).shape
        known = _counts(where, image, shape, start, background)
        return _lucy_of_functions(image, *pair, *known, steps, accelerated)
    image, psf, convolution = prepare(where, "image", image, psf, boundary, 2, "(..., y, x)")
    image = counted_image(where, image)
    _check.nonnegative(where, "psf", psf, fix="An intensity is not negative.")
    batch = np.broadcast_shapes(image.shape[:-2], psf.shape[:-2])
    known = _counts(where, image, (*batch, *image.shape[-2:]), start, background)
    return _lucy_of_psf(image, psf, *known, convolution, steps, accelerated)


def _functions(where: str, pair: tuple) -> tuple[Linear, Linear]:
    """Imaging and its adjoint, as what a program takes for an argument."""
    if len(pair) != 2 or not all(callable(f) for f in pair):
        raise TypeError(
            f"{where}: `psf` must be an array, or a pair of functions (project, backproject), got "
            f"a tuple of {[type(f).__name__ for f in pair]}."
        )
    project, backproject = (f if isinstance(f, Partial) else Partial(f) for f in pair)
    return project, backproject


def counted_image(where: str, image: ArrayLike) -> Array:
    """Requires an image that is not negative, but for rounding, which is no mistake."""
    image = _check.real_array(where, "image", image)
    _check.finite_array(where, "image", image)
    if _check.is_concrete(image):
        values = np.asarray(image)
        rounding = (values < 0) & (values > -1e-5 * np.max(np.abs(values), initial=0.0))
        if np.any(rounding):
            image = jnp.asarray(np.where(rounding, 0, values))
    _check.nonnegative(where, "image", image, fix=_FIX)
    return image


def _counts(
    where: str, image: Array, shape: tuple[int, ...], start: Any, background: ArrayLike
) -> tuple[Array | None, Array]:
    """Start and background, checked."""
    background = _check.real_array(where, "background", background)
    _check.nonnegative(where, "background", background)
    _check.broadcast(where, image=image.shape, background=background.shape)
    if start is not None:
        start = _check.real_array(where, "start", start)
        if start.shape != tuple(shape):
            raise ValueError(f"{where}: `start` must have the shape {shape}, got {start.shape}.")
        _check.nonnegative(where, "start", start)
    return start, background


@numerics.program("convolution", "steps", "accelerated")
def _lucy_of_psf(
    image: Array,
    psf: Array,
    start: Array | None,
    background: Array,
    convolution: Convolution,
    steps: int,
    accelerated: bool,
) -> Array:
    image, psf = _together(image, psf)
    project, backproject = _blur(psf, convolution, image)
    seen = backproject(jnp.ones_like(image))
    counts = image, background.astype(image.dtype)
    return lucy(
        project, backproject, *counts, seen, start, steps, accelerated=accelerated, axes=(2, 2)
    )


def _together(image: Array, psf: Array) -> tuple[Array, Array]:
    """Image and PSF of one type, the image with the batch axes of both."""
    image, psf = common_type(image, psf)
    batch = np.broadcast_shapes(image.shape[:-2], psf.shape[:-2])
    return jnp.broadcast_to(image, (*batch, *image.shape[-2:])), psf


def _blur(psf: Array, convolution: Convolution, image: Array) -> tuple[Linear, Linear]:
    """Convolution with a PSF, whose spectrum is made once, and its exact adjoint."""
    spectrum = convolution.psf(psf)

    def project(scene: Array) -> Array:
        return convolution.back(convolution.image(scene) * spectrum)

    transpose = jax.linear_transpose(project, image)
    return project, lambda y: transpose(y)[0]


@numerics.program("steps", "accelerated")
def _lucy_of_functions(
    image: Array,
    project: Linear,
    backproject: Linear,
    start: Array | None,
    background: Array,
    steps: int,
    accelerated: bool,
) -> Array:
    (image,) = common_type(image)
    seen = backproject(jnp.ones_like(image))
    counts = image, background.astype(image.dtype)
    axes = image.ndim, seen.ndim
    return lucy(
        project, backproject, *counts, seen, start, steps, accelerated=accelerated, axes=axes
    )


def lucy(
    project: Linear,
    backproject: Linear,
    image: Array,
    background: Array,
    seen: Array,
    start: Array | None,
    steps: int,
    *,
    axes: tuple[int, int],
    accelerated: bool = False,
    smooth: Linear | None = None,
) -> Array:
    """The steps of Richardson and Lucy for any linear imaging; a part of its caller's program.

    ``seen`` is H^T 1; ``axes`` are the numbers of last axes of one image and of one object, the
    axes before them are a batch; ``smooth`` acts on the object after every step.
    """
    # Where hardly any light reaches the camera from, the object would grow without bound.
    seen = jnp.where(seen > 1e-3 * jnp.max(seen), seen, 0)
    last = tuple(range(-axes[1], 0))
    if start is None:
        light = jnp.sum(image, tuple(range(-axes[0], 0)))
        mean = share(light, jnp.sum(seen, last))
        start = mean.reshape(*mean.shape, *[1] * axes[1]) * jnp.ones(seen.shape, image.dtype)

    def step(scene: Array) -> Array:
        ratio = share(image, project(scene) + background)
        back = jnp.maximum(backproject(ratio), 0)  # rounding may be negative
        scene = share(scene * back, jnp.broadcast_to(seen, scene.shape))
        return scene if smooth is None else smooth(scene)

    start = start.astype(image.dtype) * (seen > 0)
    if not accelerated:
        return lax.scan(lambda scene, _: (step(scene), None), start, length=steps)[0]

    def leap(carry: tuple[Array, Array, Array], _: None) -> tuple[tuple, None]:
        """From x + a (x - x_before), where a tells how the last two moves agree."""
        scene, towards, move = carry
        new = step(towards)
        now = new - towards
        square = jnp.sum(move * move, last, keepdims=True)
        length = jnp.clip(share(jnp.sum(now * move, last, keepdims=True), square), 0, 1)
        return (new, jnp.maximum(new + length * (new - scene), 0), now), None

    carry = (start, start, jnp.zeros_like(start))
    return lax.scan(leap, carry, length=steps)[0][0]


# -- few edges -----------------------------------------------------------------------------


def total_variation(
    image: ArrayLike,
    psf: ArrayLike,
    weight: ArrayLike,
    *,
    steps: int = 100,
    inner: int = 10,
    nonnegative: bool = True,
    boundary: str = "reflect",
) -> Array:
    r"""Object with few edges whose image is close to the measured one.

    .. math:: \arg\min_{O \ge 0}\ \tfrac12 \|H O - I\|^2
        + w \sum_{y, x} \sqrt{(\Delta_y O)^2 + (\Delta_x O)^2}

    by accelerated proximal steps: a step downhill of the first term, as long as the norm of H
    allows, then the proximal map of the second, by accelerated steps for its dual that start where
    the last ones ended. Valid for additive noise of one variance, and objects of even areas: fine
    texture below the noise becomes flat. Differentiable in the image, the PSF and the weight.

    Args:
        image: Image, ``(..., y, x)`` [any unit].
        psf: Point-spread function of any size, ``(..., y, x)`` [none], with the image's spacing;
            the delta ``[[1.0]]`` only removes noise.
        weight: w, about the noise's standard deviation times a few tenths, one number or ``(...)``
            of the image's leading axes [unit of ``image``].
        steps: Number of steps.
        inner: Number of steps for the dual in each of them.
        nonnegative: Whether the object is kept from being negative.
        boundary: What is beyond the object, see :func:`jaxwave.convolve_psf`.

    Returns:
        The object on the image's grid, ``(..., y, x)`` [unit of ``image``].

    Raises:
        TypeError: If something is complex.
        ValueError: If a shape does not fit, the weight is negative, or the boundary is unknown.

    Example:
        >>> edge = jnp.array([[1.0, 1.0, 1.0, 5.0, 5.0, 5.0]])
        >>> total_variation(edge, jnp.array([[1.0]]), 0.75).round(3).tolist()
        [[1.25, 1.25, 1.25, 4.75, 4.75, 4.75]]

    References:
        A. Beck and M. Teboulle, "Fast gradient-based algorithms for constrained total variation
        image denoising and deblurring problems", IEEE Trans. Image Process. 18, 2419 (2009).
    """
    where = "total_variation"
    _check.integer(where, "steps", steps, 1)
    _check.integer(where, "inner", inner, 1)
    image, psf, convolution = prepare(where, "image", image, psf, boundary, 2, "(..., y, x)")
    weight = _check.real_array(where, "weight", weight)
    _check.nonnegative(where, "weight", weight)
    _check.broadcast(where, image=image.shape[:-2], weight=weight.shape)
    weight = jnp.asarray(weight)
    return _total_variation(image, psf, weight, convolution, steps, inner, nonnegative)


@numerics.program("convolution", "steps", "inner", "nonnegative")
def _total_variation(
    image: Array,
    psf: Array,
    weight: Array,
    convolution: Convolution,
    steps: int,
    inner: int,
    nonnegative: bool,
) -> Array:
    image, psf = _together(image, psf)
    project, backproject = _blur(psf, convolution, image)
    square = _square_of_norm(psf, convolution, image)
    strength = share(weight.astype(image.dtype)[..., None, None], square)
    clip = (lambda scene: jnp.maximum(scene, 0)) if nonnegative else (lambda scene: scene)

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        scene, ahead, dual, t = carry
        down = ahead - share(
            backproject(project(ahead) - image), jnp.broadcast_to(square, image.shape)
        )
        new, dual = _proximal(down, strength, dual, clip, inner)
        following = (1 + jnp.sqrt(1 + 4 * t * t)) / 2
        return (new, new + (t - 1) / following * (new - scene), dual, following), None

    start = clip(image)
    dual = jnp.zeros((2, *image.shape), image.dtype)
    carry = (start, start, dual, jnp.ones((), image.dtype))
    return lax.scan(step, carry, length=steps)[0][0]


def _square_of_norm(psf: Array, convolution: Convolution, image: Array) -> Array:
    """A bound of the largest eigenvalue of H^T H: largest sums of rows and of columns (Schur)."""
    project, backproject = _blur(jnp.abs(psf), convolution, image)
    ones = jnp.ones_like(image)
    largest = [jnp.max(f(ones), (-2, -1), keepdims=True) for f in (project, backproject)]
    return largest[0] * largest[1]


def _proximal(
    image: Array, strength: Array, dual: Array, clip: Linear, steps: int
) -> tuple[Array, Array]:
    """Least of (O - image)^2 / 2 + strength TV(O), and its dual, by steps from a given dual."""

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        dual, ahead, t = carry
        slope = _slopes(clip(image - strength * _divergence(ahead)))
        new = ahead + share(slope, jnp.broadcast_to(8 * strength, slope.shape))
        new = new / jnp.sqrt(jnp.maximum(jnp.sum(new * new, 0), 1))
        following = (1 + jnp.sqrt(1 + 4 * t * t)) / 2
        return (new, new + (t - 1) / following * (new - dual), following), None

    carry = (dual, dual, jnp.ones((), image.dtype))
    dual = lax.scan(step, carry, length=steps)[0][0]
    return clip(image - strength * _divergence(dual)), dual


def _slopes(scene: Array) -> Array:
    """Differences to the next sample along y and x, zero at the rim."""
    return jnp.stack(
        [
            jnp.pad(jnp.diff(scene, axis=-2), [(0, 0)] * (scene.ndim - 2) + [(0, 1), (0, 0)]),
            jnp.pad(jnp.diff(scene, axis=-1), [(0, 0)] * (scene.ndim - 1) + [(0, 1)]),
        ]
    )


def _divergence(dual: Array) -> Array:
    """The adjoint of the slopes."""
    y, x = dual
    none = [(0, 0)] * (y.ndim - 2)
    y = jnp.pad(y[..., :-1, :], [*none, (1, 1), (0, 0)])
    x = jnp.pad(x[..., :-1], [*none, (0, 0), (1, 1)])
    return -jnp.diff(y, axis=-2) - jnp.diff(x, axis=-1)
