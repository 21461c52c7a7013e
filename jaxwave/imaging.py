"""Incoherent image formation: an image is the object convolved with the point-spread function.

A PSF is a kernel of numbers: the share of an emitter's light that arrives at each sample. It is
centered at N // 2, needs neither the size of the image nor a sum of one (light lost at the
aperture stays lost), and has the image's sample spacing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, numerics
from jaxwave.numerics import fast_len

BOUNDARIES = ("zero", "periodic", "reflect", "edge")
_PADDING = {"reflect": "symmetric", "edge": "edge"}


class _Axis(NamedTuple):
    """How one axis is convolved: margins, the part of the PSF that matters, transform size."""

    samples: int
    before: int
    after: int
    first: int
    last: int
    size: int
    start: int


def _axis(n: int, m: int, boundary: str) -> _Axis:
    center = m // 2
    if boundary == "periodic":
        return _Axis(n, 0, 0, 0, m, n, center % n)
    if boundary == "zero":
        first, last = max(0, center - n + 1), min(m, center + n)
        center -= first
        # Light that wraps around may only fall where nothing is read.
        return _Axis(
            n, 0, 0, first, last, fast_len(n + max(center, last - first - 1 - center)), center
        )
    return _Axis(n, m - 1 - center, center, 0, m, fast_len(n + m - 1), m - 1)


class Convolution(NamedTuple):
    """A convolution of fixed shapes: transforms in, product outside, transform back."""

    y: _Axis
    x: _Axis
    boundary: str

    @property
    def size(self) -> tuple[int, int]:
        """Samples of the transforms, (y, x)."""
        return self.y.size, self.x.size

    def image(self, image: Array) -> Array:
        """Spectrum of the image, extended over its boundary."""
        if self.boundary in _PADDING:
            margins = [(a.before, a.after) for a in (self.y, self.x)]
            widths = [(0, 0)] * (image.ndim - 2) + margins
            image = jnp.pad(image, widths, mode=_PADDING[self.boundary])
        return jnp.fft.rfft2(image, self.size)

    def psf(self, psf: Array) -> Array:
        """Spectrum of the part of the PSF that reaches the image."""
        if self.boundary == "periodic":
            psf = fold(fold(psf, self.y.size, -2), self.x.size, -1)
        psf = psf[..., self.y.first : self.y.last, self.x.first : self.x.last]
        return jnp.fft.rfft2(psf, self.size)

    def back(self, spectrum: Array) -> Array:
        """Image on its own grid from the product of the spectra."""
        full = jnp.fft.irfft2(spectrum, self.size)
        if self.boundary == "periodic":
            return jnp.roll(full, (-self.y.start, -self.x.start), axis=(-2, -1))
        rows = slice(self.y.start, self.y.start + self.y.samples)
        return full[..., rows, self.x.start : self.x.start + self.x.samples]


def fold(psf: Array, n: int, axis: int) -> Array:
    """Adds up what a periodic image cannot tell apart, where the PSF is larger than it."""
    m = psf.shape[axis]
    if m <= n:
        return psf
    widths = [(0, 0)] * psf.ndim
    widths[axis] = (0, -m % n)
    psf = jnp.moveaxis(jnp.pad(psf, widths), axis, -1)
    return jnp.moveaxis(psf.reshape(*psf.shape[:-1], -1, n).sum(-2), -1, axis)


def prepare(
    where: str, name: str, image: ArrayLike, psf: ArrayLike, boundary: str, rank: int, layout: str
) -> tuple[Array, Array, Convolution]:
    """Image and PSF, checked, and how they are convolved."""
    _check.choice(where, "boundary", boundary, BOUNDARIES)
    fix = "Images and PSFs are intensities; take field.intensity."
    image = _check.real_array(where, name, image, fix=fix)
    psf = _check.real_array(where, "psf", psf, fix=fix)
    _check.at_least(where, name, image, rank, layout)
    _check.at_least(where, "psf", psf, rank, layout)
    _check.not_empty(where, name, image.shape)
    _check.not_empty(where, "psf", psf.shape)
    _check.broadcast(where, **{name: image.shape[:-rank], "psf": psf.shape[:-rank]})
    (ny, nx), (my, mx) = image.shape[-2:], psf.shape[-2:]
    steps = Convolution(_axis(ny, my, boundary), _axis(nx, mx, boundary), boundary)
    return image, psf, steps


# -- images --------------------------------------------------------------------------------


def convolve_psf(image: ArrayLike, psf: ArrayLike, *, boundary: str = "zero") -> Array:
    r"""Image of a plane object in incoherent light.

    .. math:: I(y, x) = \sum_{y', x'} h(y', x')\, O(y - y', x - x')

    with h centered at N // 2. Valid for a PSF that is the same everywhere; an emitter's light is
    multiplied by the sum of ``psf``. Beyond the image there is darkness (``"zero"``: light
    that leaves the window is lost, light from outside is missing), the image again
    (``"periodic"``: exact for every PSF; no light is lost), its mirror image at the rim of the
    outermost samples (``"reflect"``: no light is lost for a symmetric PSF), or its outermost
    sample (``"edge"``).

    Args:
        image: Object, ``(..., y, x)`` [any unit].
        psf: Point-spread function of any size, ``(..., y, x)`` [none], with the image's spacing.
        boundary: ``"zero"``, ``"periodic"``, ``"reflect"`` or ``"edge"``.

    Returns:
        The image on the object's grid, ``(..., y, x)`` [unit of ``image``].

    Raises:
        TypeError: If something is complex.
        ValueError: If a shape does not fit or the boundary is unknown.

    Example:
        >>> image = jnp.zeros((3, 4)).at[1, 1].set(1.0)
        >>> convolve_psf(image, jnp.array([[0.25, 0.5, 0.25]])).round(3)[1, :3].tolist()
        [0.25, 0.5, 0.25]

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 6.1.3.
    """
    where = "convolve_psf"
    image, psf, steps = prepare(where, "image", image, psf, boundary, 2, "(..., y, x)")
    return _convolve(image, psf, steps)


def common_type(*arrays: Array) -> list[Array]:
    """The arrays in the widest of their types, which is no narrower than float32."""
    kind = jnp.result_type(*arrays, jnp.float32)
    return [array.astype(kind) for array in arrays]


@numerics.program("steps")
def _convolve(image: Array, psf: Array, steps: Convolution) -> Array:
    image, psf = common_type(image, psf)
    return steps.back(steps.image(image) * steps.psf(psf))


def image_volume(volume: ArrayLike, psf: ArrayLike, *, boundary: str = "zero") -> Array:
    r"""Image of a volume in incoherent light: the sum of its planes' images.

    .. math:: I(y, x) = \sum_z \sum_{y', x'} h_z(y', x')\, O_z(y - y', x - x')

    The planes are added in Fourier space, so there is one inverse transform, and one by one, so
    that there is one plane of scratch memory. Valid for objects that neither absorb nor scatter
    the emitted light; multiply by the plane distance if ``volume`` is a density. The boundaries
    are those of :func:`convolve_psf`.

    Args:
        volume: Object, ``(..., z, y, x)`` [any unit].
        psf: Point-spread function of each plane, ``(..., z, y, x)`` [none].
        boundary: ``"zero"``, ``"periodic"``, ``"reflect"`` or ``"edge"``.

    Returns:
        The image on the object's grid, ``(..., y, x)`` [unit of ``volume``].

    Raises:
        TypeError: If something is complex.
        ValueError: If a shape does not fit, the numbers of planes differ or the boundary is
            unknown.

    Example:
        >>> volume = jnp.zeros((2, 1, 5)).at[1, 0, 2].set(1.0)
        >>> psf = jnp.array([[[0.0, 1.0, 0.0]], [[0.25, 0.5, 0.25]]])
        >>> image_volume(volume, psf).round(3).tolist()
        [[0.0, 0.25, 0.5, 0.25, 0.0]]

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 6.1.3; M. Broxton et al., "Wave
        optics theory and 3-D deconvolution for the light field microscope", Opt. Express 21,
        25418 (2013).
    """
    where = "image_volume"
    volume, psf, steps = prepare(where, "volume", volume, psf, boundary, 3, "(..., z, y, x)")
    if volume.shape[-3] != psf.shape[-3]:
        raise ValueError(
            f"{where}: `psf` must have a plane for each of the volume's {volume.shape[-3]} planes, "
            f"got {psf.shape[-3]}. For one plane use convolve_psf."
        )

    return _image_planes(volume, psf, steps)


@numerics.program("steps")
def _image_planes(volume: Array, psf: Array, steps: Convolution) -> Array:
    return steps.back(_add_planes(steps, *common_type(volume, psf)))


def _add_planes(steps: Convolution, volume: Array, psf: Array) -> Array:
    """Spectrum of the sum of all planes' images; the gradient repeats the transforms."""

    def product(plane: tuple[Array, Array]) -> Array:
        return steps.image(plane[0]) * steps.psf(plane[1])

    @jax.checkpoint
    def add_plane(total: Array, plane: tuple[Array, Array]) -> tuple[Array, None]:
        return total + product(plane), None

    planes = jnp.moveaxis(volume, -3, 0), jnp.moveaxis(psf, -3, 0)
    first = jax.eval_shape(product, (planes[0][0], planes[1][0]))
    return lax.scan(add_plane, jnp.zeros(first.shape, first.dtype), planes)[0]


def image_computed(
    where: str,
    volume: ArrayLike,
    psf: Callable[[Array], Array],
    z: Array,
    boundary: str,
    batch: int,
) -> Array:
    """As :func:`image_volume`, with point-spread functions made where they are needed.

    ``psf`` makes ``(..., planes, y, x)`` of depths ``(..., planes)``; ``batch`` planes exist at a
    time, in the gradient too.
    """
    count = jnp.shape(volume)[-3]
    batch = min(batch, count)
    layout = "(..., z, y, x)"
    first = jax.eval_shape(psf, z[..., :batch])
    volume, _, steps = prepare(
        where, "volume", volume, np.zeros(first.shape[-3:], bool), boundary, 3, layout
    )
    (volume,) = common_type(volume)

    def product(planes: tuple[Array, Array]) -> Array:
        """Spectrum of some planes' images; the axis of planes comes first, as a scan wants it."""
        objects = steps.image(jnp.moveaxis(planes[0], 0, -3))
        kernels = steps.psf(psf(jnp.moveaxis(planes[1], 0, -1)))
        return jnp.sum(objects * kernels, axis=-3)

    @jax.checkpoint
    def add(total: Array, planes: tuple[Array, Array]) -> tuple[Array, None]:
        return total + product(planes), None

    planes = jnp.moveaxis(volume, -3, 0), jnp.moveaxis(z, -1, 0)
    whole = count // batch
    chunks = [a[: whole * batch].reshape(whole, batch, *a.shape[1:]) for a in planes]
    spectrum = jax.eval_shape(product, (chunks[0][0], chunks[1][0]))
    total = lax.scan(add, jnp.zeros(spectrum.shape, spectrum.dtype), tuple(chunks))[0]
    if count % batch:
        total, _ = add(total, (planes[0][whole * batch :], planes[1][whole * batch :]))
    return steps.back(total)


# -- transfer functions --------------------------------------------------------------------


def otf(psf: ArrayLike) -> Array:
    r"""Optical transfer function of a point-spread function.

    .. math:: H(f_y, f_x) = \frac{\sum h(y, x)\, e^{-2\pi i (f_x x + f_y y)}}{\sum h(y, x)}

    Valid for a PSF centered at N // 2 whose window holds its light. The frequencies are those of
    :func:`jaxwave.grid.frequencies`, with zero at N // 2, where H is one.

    Args:
        psf: Point-spread function, ``(..., y, x)`` [any unit].

    Returns:
        Transfer function, ``(..., fy, fx)``, complex [none].

    Raises:
        TypeError: If ``psf`` is complex.
        ValueError: If ``psf`` has fewer than two axes or holds no light.

    Example:
        >>> otf(jnp.array([[0.0, 0.25, 0.5, 0.25]])).real.round(3).tolist()
        [[0.0, 0.5, 1.0, 0.5]]

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 6.3.
    """
    return _transfer("otf", psf)


def mtf(psf: ArrayLike) -> Array:
    r"""Modulation transfer function of a point-spread function: contrast against frequency.

    .. math:: M(f_y, f_x) = |H(f_y, f_x)|

    Valid as :func:`otf` is. Its gradient at the zeros of the transfer function is taken as zero.

    Args:
        psf: Point-spread function, ``(..., y, x)`` [any unit].

    Returns:
        Contrast, ``(..., fy, fx)`` [none]; zero frequency at N // 2.

    Raises:
        TypeError: If ``psf`` is complex.
        ValueError: If ``psf`` has fewer than two axes or holds no light.

    Example:
        >>> mtf(jnp.array([[0.0, 0.5, 0.5]])).round(3).tolist()
        [[0.5, 1.0, 0.5]]

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 6.3.
    """
    return _transfer("mtf", psf, modulus=True)


def _transfer(where: str, psf: ArrayLike, *, modulus: bool = False) -> Array:
    psf = _check.real_array(where, "psf", psf, fix="Take the intensity of an amplitude PSF.")
    _check.at_least(where, "psf", psf, 2, "(..., y, x)")
    h, light = _spectrum(psf, modulus)
    _check.nonzero(where, "sum(psf)", light)
    return h


@numerics.program("modulus")
def _spectrum(psf: Array, modulus: bool) -> tuple[Array, Array]:
    light = jnp.sum(psf, axis=(-2, -1), keepdims=True)
    spectrum = jnp.fft.fft2(jnp.fft.ifftshift(psf, axes=(-2, -1)))
    h = jnp.fft.fftshift(spectrum, axes=(-2, -1)) / light
    if not modulus:
        return h, light
    return numerics.safe_sqrt(h.real**2 + h.imag**2), light
