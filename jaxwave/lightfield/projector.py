"""Light fields of volumes and the exact adjoint, by the phases of a period (polyphase).

A lens array repeats, so its PSF does: h depends on where inside a period the emitter lies. Pixels
and voxels are sorted by their place inside the period; between every two places the imaging is an
ordinary convolution on the coarse grid of whole periods. There the transforms are tiny, and what
remains is one matrix (places of pixels, depths times places of voxels) for every coarse frequency.
A shift-invariant PSF has a period of one pixel and goes the same way.
"""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave._noun import Number, noun, number, settle, static


@noun
class LightFieldPSF:
    r"""What a camera behind a lens array sees of one emitter, for every place in a period.

    .. math:: h_z(a, b, j, k), \qquad
        I(Y + j - \lfloor K_y/2 \rfloor,\ X + k - \lfloor K_x/2 \rfloor)
        \mathrel{+}= h_z(a, b, j, k)\, V(z, Y, X)

    with a = Y - N_y // 2 modulo the period of the array, b in the same way: (a, b) = (0, 0) is
    the voxel on the axis. Valid for arrays that repeat after whole pixels, and with a period of
    (1, 1) for light fields that are the same everywhere. Voxels are as wide as pixels in the
    sample. Every number is a leaf.

    Args:
        values: Shares of an emitter's light, ``(planes, a, b, y, x)`` [none].
        z: Depths of the emitters, rising, ``(planes,)`` [µm].
        pixel: Width of a pixel in the sample, one number or ``(2,)`` as (dy, dx) [µm].

    Raises:
        ValueError: If the axes do not fit, or the depths are none or not rising.
        TypeError: If the values are complex.

    Example:
        >>> psf = LightFieldPSF(np.ones((2, 3, 4, 7, 8)) / 56, z=[-1.0, 1.0], pixel=0.5)
        >>> psf.period, psf.shape
        ((3, 4), (7, 8))

    References:
        M. Broxton et al., Opt. Express 21, 25418 (2013), Sec. 3.
    """

    values: Number
    z: Number
    pixel: Number

    def __post_init__(self) -> None:
        where = "LightFieldPSF"
        values = number(where, "values", self.values)
        if np.ndim(values) != 5:
            raise ValueError(
                f"{where}: `values` must be (planes, a, b, y, x), got the shape "
                f"{np.shape(values)}. A PSF (planes, y, x) that is the same everywhere is "
                "values[:, None, None]."
            )
        _check.not_empty(where, "values", np.shape(values))
        _check.finite_array(where, "values", values)
        z = depths(where, self.z)
        if np.shape(z) != np.shape(values)[:1]:
            raise ValueError(
                f"{where}: `z` must have one depth for each of the {np.shape(values)[0]} planes of "
                f"`values`, got the shape {np.shape(z)}."
            )
        settle(self, values=values, z=z, pixel=pixels(where, "pixel", self.pixel))

    @property
    def period(self) -> tuple[int, int]:
        """Pixels after which the light field repeats, (y, x)."""
        return np.shape(self.values)[1:3]

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels that the light of one emitter falls on, (y, x)."""
        return np.shape(self.values)[3:]

    def __repr__(self) -> str:
        planes = np.shape(self.values)[0]
        return f"LightFieldPSF({planes} depths, period {self.period}, shape {self.shape})"


def pixels(where: str, name: str, value: object) -> Any:
    """Width of a camera's pixels [µm], one number or (dy, dx), checked."""
    value = _check.length(where, name, value)
    _check.positive(where, name, value, unit="µm")
    if np.shape(value) not in ((), (2,)):
        raise ValueError(
            f"{where}: `{name}` must be one number or (2,) as (y, x), got the shape "
            f"{np.shape(value)}."
        )
    return number(where, name, value)


def depths(where: str, z: ArrayLike | str) -> Any:
    """Requires a rising list of depths [µm], not empty."""
    z = _check.length(where, "z", z)
    _check.finite(where, "z", z, unit="µm")
    z = number(where, "z", z)
    if np.ndim(z) != 1 or not np.shape(z)[0]:
        raise ValueError(
            f"{where}: `z` must be a list of one depth or more, got the shape {np.shape(z)}."
        )
    if _check.is_concrete(z) and np.any(np.diff(np.asarray(z)) <= 0):
        raise ValueError(
            f"{where}: `z` must rise from plane to plane, got {np.asarray(z).tolist()}. Sort them."
        )
    return z


class _Axis(NamedTuple):
    """How one axis is cut into periods."""

    pixels: int  # of the image
    kernel: int  # of the PSF
    period: int
    cells: int  # periods in the image
    before: int  # periods that light reaches backward
    total: int  # periods of the PSF
    size: int  # of the coarse transform


def _axis(pixels: int, kernel: int, period: int) -> _Axis:
    cells = -(-pixels // period)
    before = -(-(kernel // 2) // period)
    after = (kernel - 1 - kernel // 2 + period - 1) // period
    # Light that wraps around may only fall where nothing is read.
    reach = max(min(before, cells - 1), min(after, cells - 1))
    size = _smooth(cells + reach)
    return _Axis(pixels, kernel, period, cells, before, before + after + 1, size)


def _smooth(n: int) -> int:
    """Smallest even length at least n without prime factors above seven."""
    while n > 1:
        rest = n
        for p in (2, 3, 5, 7):
            while rest % p == 0:
                rest //= p
        if rest == 1 and n % 2 == 0:
            break
        n += 1
    return max(n, 2)


@noun
class Projector:
    r"""The linear map from volumes to light fields, and its adjoint.

    .. math:: (HV)(J, K) = \sum_{z, Y, X} h_z(a, b, J - Y, K - X)\, V(z, Y, X), \qquad
        \langle HV, I \rangle = \langle V, H^T I \rangle

    exact for the PSF that is given; light from outside the volume and light that leaves the image
    are missing. Volume and image have the same lateral grid, with the middle of a period on the
    axis N // 2. What does not depend on the volume is computed once, when the projector is made,
    and kept: (planes) x (period)² complex numbers for each pixel of a padded image. With
    ``planes`` only that many depths are in memory at once, and they are computed again in each
    call. Differentiable in the PSF, too; leading axes are frames and share all reading of memory.

    Args:
        psf: The PSF.
        shape: Pixels of the images (ny, nx).
        planes: Depths in memory at once; None keeps all.

    Raises:
        TypeError: If ``psf`` is no LightFieldPSF.
        ValueError: If the shape is not two positive integers.

    Example:
        >>> psf = LightFieldPSF(np.ones((2, 3, 3, 7, 7)) / 49, z=[-1.0, 1.0], pixel=0.5)
        >>> projector = Projector(psf, (30, 33))
        >>> projector.project(jnp.ones((2, 30, 33))).shape
        (30, 33)

    References:
        J. M. Taylor, "Fast algorithm for 3D volume reconstruction from light field microscopy
        datasets", Opt. Lett. 48, 4177 (2023); P. P. Vaidyanathan, *Multirate Systems and Filter
        Banks*, Ch. 4.
    """

    psf: LightFieldPSF
    shape: tuple[int, int] = static()
    planes: int | None = static(default=None)
    transfer: Any = dataclasses.field(init=False, default=None)

    def __post_init__(self) -> None:
        where = "Projector"
        if not isinstance(self.psf, LightFieldPSF):
            raise TypeError(
                f"{where}: `psf` must be a LightFieldPSF, got {type(self.psf).__name__}."
            )
        settle(self, shape=_check.grid_shape(where, self.shape))
        if self.planes is not None:
            _check.integer(where, "planes", self.planes, 1)
            settle(self, transfer=None)
        else:
            settle(self, transfer=_transfer(self._axes(), jnp.asarray(self.psf.values, float)))

    def _axes(self) -> tuple[_Axis, _Axis]:
        sizes = zip(self.shape, self.psf.shape, self.psf.period, strict=True)
        y, x = (_axis(*one) for one in sizes)
        return y, x

    def project(self, volume: ArrayLike) -> Array:
        """Light field of a volume.

        Args:
            volume: Light of every voxel, ``(..., planes, y, x)`` [any unit].

        Returns:
            The image, ``(..., y, x)`` [unit of ``volume``].

        Raises:
            ValueError: If the shape is not that of the projector.
        """
        volume = _check.real_array("Projector.project", "volume", volume)
        need = (np.shape(self.psf.values)[0], *self.shape)
        _fits("Projector.project", "volume", volume.shape, need, "planes, y, x")
        return _project(self._axes(), self.planes, self._numbers(), jnp.asarray(volume))

    def backproject(self, image: ArrayLike) -> Array:
        """Adjoint of :meth:`project`.

        Args:
            image: The image, ``(..., y, x)`` [any unit].

        Returns:
            The volume, ``(..., planes, y, x)`` [unit of ``image``].

        Raises:
            ValueError: If the shape is not that of the projector.
        """
        image = _check.real_array("Projector.backproject", "image", image)
        _fits("Projector.backproject", "image", image.shape, self.shape, "y, x")
        return _backproject(self._axes(), self.planes, self._numbers(), jnp.asarray(image))

    def _numbers(self) -> Array:
        return self.transfer if self.planes is None else jnp.asarray(self.psf.values, float)

    def __repr__(self) -> str:
        return f"Projector({self.psf!r}, shape={self.shape})"


def _fits(where: str, name: str, got: tuple, need: tuple, layout: str) -> None:
    if got[-len(need) :] != need:
        raise ValueError(
            f"{where}: `{name}` must be (..., {layout}) with the shape (..., "
            f"{', '.join(map(str, need))}), got {got}."
        )


# -- transfer ------------------------------------------------------------------------------


@partial(jax.jit, static_argnums=0)
def _transfer(axes: tuple[_Axis, _Axis], values: Array) -> Array:
    """Real and imaginary parts ``(2, frequencies, pixels, planes * voxels)``.

    For a period of one pixel ``(planes, frequencies)``, complex.
    """
    y, x = axes
    values = jnp.roll(values, (y.pixels // 2, x.pixels // 2), axis=(1, 2))
    values = _sheared(values, x, 2)  # (planes, a, b, y, M, d)
    values = jnp.moveaxis(values, 3, -1)  # (planes, a, b, M, d, y)
    values = _sheared(values, y, 1)  # (planes, a, b, M, d, m, c)
    values = values.transpose(0, 1, 2, 6, 4, 5, 3)  # (planes, a, b, c, d, m, M)
    values = _wrapped(_wrapped(values, y, -2), x, -1)
    spectrum = jnp.fft.rfft2(values, (y.size, x.size))
    planes, count = values.shape[0], y.period * x.period
    spectrum = spectrum.reshape(planes, count, count, -1)
    if count == 1:
        return spectrum[:, 0, 0]
    spectrum = spectrum.transpose(3, 2, 0, 1).reshape(-1, count, planes * count)
    return jnp.stack([spectrum.real, spectrum.imag])


def _sheared(values: Array, axis: _Axis, place: int) -> Array:
    """Sorts the last axis of the PSF by the period and the place of the pixel in it.

    An emitter at the place a of its period lights the pixel t = a + (offset from the emitter). So
    the row a has to move by a: rows one longer than needed, read as rows of the right length.
    """
    width = axis.period * axis.total
    start = axis.before * axis.period - axis.kernel // 2
    values = jnp.moveaxis(values, place, -2)
    margins = [(0, 0)] * (values.ndim - 1) + [(start, width + 1 - start - axis.kernel)]
    values = jnp.pad(values, margins)
    head = values.shape[:-2]
    values = values.reshape(*head, -1)[..., : axis.period * width]
    values = values.reshape(*head, axis.period, axis.total, axis.period)
    return jnp.moveaxis(values, -3, place)


def _wrapped(values: Array, axis: _Axis, place: int) -> Array:
    """Brings the period of the emitter to index zero of the coarse transform."""
    low = max(0, axis.before - axis.cells + 1)  # farther light does not fall on the image
    high = min(axis.total, axis.before + axis.cells)
    values = lax.slice_in_dim(values, low, high, axis=place % values.ndim)
    margins = [(0, 0)] * values.ndim
    margins[place] = (0, axis.size - (high - low))
    return jnp.roll(jnp.pad(values, margins), low - axis.before, axis=place)


# -- projection ----------------------------------------------------------------------------


@partial(jax.jit, static_argnums=(0, 1))
def _project(axes: tuple[_Axis, _Axis], planes: int | None, numbers: Array, volume: Array) -> Array:
    head = volume.shape[:-3]
    volume = volume.reshape(-1, *volume.shape[-3:])
    if planes is None:
        return _forward(axes, numbers, volume).reshape(*head, *(a.pixels for a in axes))
    total = jnp.zeros((len(volume), *(a.pixels for a in axes)), volume.dtype)
    values, volume = _chunks(numbers, planes, 0), _chunks(volume, planes, 1)

    @jax.checkpoint
    def step(total: Array, chunk: tuple[Array, Array]) -> tuple[Array, None]:
        return total + _forward(axes, _transfer(axes, chunk[0]), chunk[1]), None

    total, _ = lax.scan(step, total, (values, volume))
    return total.reshape(*head, *total.shape[-2:])


@partial(jax.jit, static_argnums=(0, 1))
def _backproject(
    axes: tuple[_Axis, _Axis], planes: int | None, numbers: Array, image: Array
) -> Array:
    head = image.shape[:-2]
    image = image.reshape(-1, *image.shape[-2:])
    if planes is None:
        volume = _adjoint(axes, numbers, image)
    else:

        @jax.checkpoint
        def chunk(values: Array) -> Array:
            return _adjoint(axes, _transfer(axes, values), image)

        found = lax.map(chunk, _chunks(numbers, planes, 0))  # (chunks, frames, planes, y, x)
        found = jnp.moveaxis(found, 1, 0)
        volume = found.reshape(len(image), -1, *found.shape[-2:])[:, : len(numbers)]
    return volume.reshape(*head, *volume.shape[-3:])


def _chunks(array: Array, planes: int, place: int) -> Array:
    """Depths in groups on a new first axis; the last one is filled up with darkness."""
    count = -(-array.shape[place] // planes)
    margins = [(0, 0)] * array.ndim
    margins[place] = (0, count * planes - array.shape[place])
    array = jnp.pad(array, margins)
    shape = array.shape
    array = array.reshape(*shape[:place], count, planes, *shape[place + 1 :])
    return jnp.moveaxis(array, place, 0)


def _forward(axes: tuple[_Axis, _Axis], transfer: Array, volume: Array) -> Array:
    """Image ``(frames, y, x)`` of ``(frames, planes, y, x)``."""
    y, x = axes
    spectrum = _analyze(axes, volume)
    if y.period * x.period == 1:
        spectrum = jnp.sum(transfer[None] * spectrum[:, :, 0], axis=1)[:, None]
        return _synthesize(axes, spectrum)
    vector = spectrum.reshape(len(volume), -1, spectrum.shape[-1]).transpose(2, 1, 0)
    both = jnp.concatenate([vector.real, vector.imag], -1)
    a, b = (jnp.einsum("foi,fit->fot", t, both, precision="highest") for t in transfer)
    frames = len(volume)
    real, imag = a[..., :frames] - b[..., frames:], a[..., frames:] + b[..., :frames]
    return _synthesize(axes, lax.complex(real, imag).transpose(2, 1, 0))


def _adjoint(axes: tuple[_Axis, _Axis], transfer: Array, image: Array) -> Array:
    """Volume ``(frames, planes, y, x)`` of ``(frames, y, x)``."""
    y, x = axes
    frames, count = len(image), y.period * x.period
    spectrum = _analyze(axes, image[:, None])[:, 0]  # (frames, places, frequencies)
    if count == 1:
        return _synthesize(axes, (jnp.conj(transfer)[None] * spectrum)[:, :, None])
    vector = spectrum.transpose(2, 0, 1)  # as rows: XLA is slow with the transposed matrix
    both = jnp.concatenate([vector.real, vector.imag], 1)
    a, b = (jnp.einsum("fto,foi->fti", both, t, precision="highest") for t in transfer)
    real, imag = a[:, :frames] + b[:, frames:], a[:, frames:] - b[:, :frames]
    found = lax.complex(real, imag).transpose(1, 2, 0)
    return _synthesize(axes, found.reshape(frames, -1, count, found.shape[-1]))


def _analyze(axes: tuple[_Axis, _Axis], picture: Array) -> Array:
    """Coarse spectra of the places of a period, ``(..., places, frequencies)``."""
    y, x = axes
    margins = [(0, 0)] * (picture.ndim - 2)
    margins += [(0, a.cells * a.period - a.pixels) for a in axes]
    picture = jnp.pad(picture, margins)
    head = picture.shape[:-2]
    parts = picture.reshape(*head, y.cells, y.period, x.cells, x.period)
    parts = jnp.moveaxis(parts, (-3, -1), (-4, -3))
    spectrum = jnp.fft.rfft2(parts, (y.size, x.size))
    return spectrum.reshape(*head, y.period * x.period, -1)


def _synthesize(axes: tuple[_Axis, _Axis], spectrum: Array) -> Array:
    """The picture that has these coarse spectra."""
    y, x = axes
    head = spectrum.shape[:-2]
    spectrum = spectrum.reshape(*head, y.period, x.period, y.size, -1)
    parts = jnp.fft.irfft2(spectrum, (y.size, x.size))[..., : y.cells, : x.cells]
    parts = jnp.moveaxis(parts, (-4, -3), (-3, -1))
    picture = parts.reshape(*head, y.cells * y.period, x.cells * x.period)
    return picture[..., : y.pixels, : x.pixels]


def memory(psf_values: tuple[int, ...], shape: tuple[int, int]) -> float:
    """Bytes that the transfer of one depth takes, in float32."""
    axes = [_axis(*one) for one in zip(shape, psf_values[3:], psf_values[1:3], strict=True)]
    frequencies = axes[0].size * (axes[1].size // 2 + 1)
    return 8.0 * frequencies * math.prod(psf_values[1:3]) ** 2
