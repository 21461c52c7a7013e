"""Light-field microscopes: lens arrays in the image or in the pupil of a microscope."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave._noun import Number, noun, number, settle, static
from jaxwave.field import scalar_field
from jaxwave.lightfield.array import LensArray
from jaxwave.lightfield.camera import Sizes, margins, record, samples_per_pixel, sheet
from jaxwave.lightfield.projector import LightFieldPSF, depths, pixels
from jaxwave.numerics import program
from jaxwave.psf import Objective, Window, emitter_field, scalar_focus
from jaxwave.psf.objective import JonesPupil, Pupil, ZernikePupil

_FEWEST = 2  # pixels of a lenslet
EMITTERS = ("rotating", "scalar")
_MOST = 2**27  # bytes of fields at once


@noun
class LightFieldMicroscope:
    r"""A microscope with a lens array in its image plane and the camera behind it.

    .. math:: I(\mathbf r) = \sum_m \left|\mathcal P_d\left[t(\mathbf r)\,
        E_m(\mathbf r / M)\right]\right|^2

    with the exact field E of the objective, the array t and the propagation over d to the camera,
    integrated over its pixels. Valid where the array's lenses are paraxial. A camera at another
    distance than f is a focused light-field camera; several focal lengths make it multi-focus.
    Pictures are upright: a real microscope turns them by 180 degrees. Every number is a leaf.

    Args:
        objective: The objective, :class:`~jaxwave.psf.Objective`.
        magnification: Magnification of objective and tube lens.
        array: The lens array; its shape is that of its own numbers [none].
        camera_pitch: Pixels of the camera, one number or ``(2,)`` as (y, x) [µm].
        camera_distance: From the array to the camera, scalar [µm]; by default the focal length.
        emitter: "rotating" for dipoles that turn freely (exact), "scalar" for the scalar model.

    Raises:
        ValueError: If a length is not positive, or the distance is missing where the array has
            several focal lengths.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> from jaxwave.psf import Objective
        >>> scope = LightFieldMicroscope(Objective(0.4, 0.53), 20, LensArray(2000.0, pitch=75.0),
        ...                              camera_pitch=15.0, emitter="scalar")
        >>> scope.psf([-20.0, 0.0]).period
        (5, 5)

    References:
        M. Levoy et al., "Light field microscopy", ACM Trans. Graph. 25, 924 (2006); M. Broxton et
        al., Opt. Express 21, 25418 (2013).
    """

    objective: Objective
    magnification: Number
    array: LensArray
    camera_pitch: Number
    camera_distance: Number = None
    emitter: str = static(default="rotating")

    def __post_init__(self) -> None:
        where = "LightFieldMicroscope"
        check_microscope(where, self)
        if self.array.pitch is not None and _check.is_concrete(self.array.pitch, self.camera_pitch):
            pitch, pixel = np.asarray(self.array.pitch, float), np.asarray(self.camera_pitch, float)
            if np.any(pitch < _FEWEST * pixel * (1 - 1e-6)):
                raise ValueError(
                    f"{where}: `array.pitch` must be two pixels or more, got {pitch} µm with "
                    f"`camera_pitch` {pixel} µm: no lenslet that is smaller is seen. Check their "
                    "units."
                )

    @property
    def period(self) -> tuple[float, float]:
        """Pixels after which the light field repeats, (y, x); whole ones after rectification."""
        y, x = self.array.period
        pitch = np.broadcast_to(np.asarray(self.camera_pitch, float), (2,))
        return float(y / pitch[0]), float(x / pitch[1])

    def psf(
        self,
        z: ArrayLike,
        *,
        shape: tuple[int, int] | None = None,
        pupil: Pupil = None,
        samples: int | None = None,
    ) -> LightFieldPSF:
        """PSFs of all places in one period of the array.

        Args:
            z: Depths behind the focal plane, rising, ``(planes,)`` [µm].
            shape: Pixels that the light of one emitter is followed to, (y, x); by default those
                that its geometric image falls on.
            pupil: What stands in the pupil, see :func:`jaxwave.psf.focus`.
            samples: Samples in a pixel behind the lenslets, odd; by default what holds the light.

        Returns:
            The PSFs, ``(planes, a, b, y, x)``.

        Raises:
            ValueError: If the array does not repeat after whole pixels, or is turned.
            TypeError: If a number that shapes depend on is traced.
        """
        where = "LightFieldMicroscope.psf"
        z = depths(where, z)
        return self.places(z, pupil, self.sizes(where, shape, samples, z=z, repeats=True))

    def places(self, z: Array, pupil: Pupil, sizes: Sizes) -> LightFieldPSF:
        """PSFs of all places in one period; all numbers may be traced."""
        period, count = sizes.period or (1, 1), sizes.samples
        plan = sheet(sizes)
        spacing = self._pitch() / count
        wide = tuple((w + p) * count for w, p in zip(plan.window, period, strict=True))
        mask = _mask(wide, plan.shape, self, spacing)  # type: ignore[arg-type]
        places = np.stack(np.meshgrid(*(np.arange(p) for p in period), indexing="ij"), -1)
        starts = places.reshape(-1, 2) * count
        step = max(1, _MOST // (40 * math.prod(plan.shape)))
        found = []
        for k in range(0, np.shape(z)[0], step):
            window = Window(plan.shape, spacing / self.magnification, z[k : k + step])
            parts, weights = emitted(self.objective, window, pupil, self.emitter)
            numbers = self._numbers(spacing, weights)
            found.append(record(plan, period, parts, mask, starts, numbers))
        values = found[0] if len(found) == 1 else jnp.concatenate(found)
        return LightFieldPSF(values, z, self.pixel_in_sample)

    def image(
        self,
        shape: tuple[int, int],
        *,
        z: ArrayLike = 0.0,
        y: ArrayLike = 0.0,
        x: ArrayLike = 0.0,
        pupil: Pupil = None,
        samples: int | None = None,
    ) -> Array:
        """Light field of one emitter, for arrays of any pitch and turn.

        Args:
            shape: Pixels of the camera (ny, nx); its axis is the pixel N // 2.
            z: Depth behind the focal plane, one number [µm].
            y: Place of the emitter in the sample, scalar [µm].
            x: Place of the emitter in the sample, scalar [µm].
            pupil: What stands in the pupil, see :func:`jaxwave.psf.focus`.
            samples: Samples in a pixel behind the lenslets, odd; by default what holds the light.

        Returns:
            Shares of the emitter's light, ``(y, x)`` [none].

        Raises:
            ValueError: If a number is out of range.
        """
        where = "LightFieldMicroscope.image"
        return self.emitter_image(z, y, x, pupil, self.sizes(where, shape, samples))

    def emitter_image(
        self, z: ArrayLike, y: ArrayLike, x: ArrayLike, pupil: Pupil, sizes: Sizes
    ) -> Array:
        """Light field of one emitter; all numbers may be traced."""
        where = "LightFieldMicroscope.image"
        numbers = {k: _check.length(where, k, v) for k, v in (("z", z), ("y", y), ("x", x))}
        for name, value in numbers.items():
            _check.finite(where, name, value, unit="µm")
        plan = sheet(sizes)
        spacing = self._pitch() / sizes.samples
        mask = _mask(plan.shape, plan.shape, self, spacing)
        at = {k: -jnp.asarray(v) if not _check.is_concrete(v) else -np.asarray(v, float)
              for k, v in numbers.items() if k != "z"}  # fmt: skip
        z = numbers["z"]
        z = np.reshape(z, (1,)) if _check.is_concrete(z) else jnp.reshape(jnp.asarray(z), (1,))
        window = Window(plan.shape, spacing / self.magnification, z, **at)
        parts, weights = emitted(self.objective, window, pupil, self.emitter)
        numbers = self._numbers(spacing, weights)
        return record(plan, None, parts, mask, np.zeros((1, 2), int), numbers)

    @property
    def pixel_in_sample(self) -> Any:
        """Width of a camera pixel in the sample [µm]."""
        return self.camera_pitch / self.magnification

    def _pitch(self) -> Any:
        """Width of a camera pixel (dy, dx) [µm]; what is known stays known."""
        if _check.is_concrete(self.camera_pitch):
            return np.broadcast_to(np.asarray(self.camera_pitch, float), (2,))
        return jnp.broadcast_to(jnp.asarray(self.camera_pitch, float), (2,))

    def _numbers(self, spacing: ArrayLike, weights: Array) -> tuple[Any, ...]:
        """What the camera needs to know."""
        wavelength = self.objective.wavelength
        return self._distance(), wavelength, spacing, weights, self.magnification

    def _distance(self) -> Any:
        return self.array.f if self.camera_distance is None else self.camera_distance

    def sizes(
        self,
        where: str,
        shape: tuple[int, int] | None,
        samples: int | None,
        *,
        z: ArrayLike = 0.0,
        repeats: bool = False,
    ) -> Sizes:
        """What the numbers decide about shapes."""
        period = self._whole_period(where) if repeats else None
        kernel = self._kernel(where, z) if shape is None else _check.grid_shape(where, shape)
        margin = margins(self.array.reach(), self.camera_pitch)
        return Sizes(period, kernel, margin, self._samples(where, samples))

    def _whole_period(self, where: str) -> tuple[int, int]:
        """The period in whole pixels."""
        phi = self.array.phi
        if not _check.is_concrete(self.array.pitch, self.camera_pitch, phi):
            raise TypeError(
                f"{where}: `array.pitch`, `array.phi` and `camera_pitch` decide about shapes; "
                "they must be known here. `image` takes traced ones."
            )
        period = self.period
        whole = tuple(round(p) for p in period)
        if np.any(np.asarray(phi) != 0) or any(
            abs(p - w) > 1e-4 or w < 1 for p, w in zip(period, whole, strict=True)
        ):
            turned = f" and is turned by {float(phi):g} rad" if np.any(np.asarray(phi)) else ""
            raise ValueError(
                f"{where}: `array` must repeat after whole pixels, and it repeats after "
                f"({period[0]:.5g}, {period[1]:.5g}) pixels{turned}. Rectify the image "
                "(lightfield.rectify) and pass the camera_pitch of its pixels."
            )
        return whole  # type: ignore[return-value]

    def _kernel(self, where: str, z: ArrayLike) -> tuple[int, int]:
        """Pixels of the geometric image of an emitter and of one lenslet around it."""
        o = self.objective
        if not _check.is_concrete(z, o.na, o.n_s, self.magnification):
            raise TypeError(f"{where}: `shape` is needed where `z` or the aperture is traced.")
        far, na, n = (float(np.max(np.abs(np.asarray(a)))) for a in (z, o.na, o.n_s))
        tangent = na / math.sqrt(max(n * n - na * na, 0.05 * n * n))
        radius = float(np.asarray(self.magnification)) * far * tangent
        reach = radius + 3 * (self.array.reach() or 0.0)
        pitch = np.broadcast_to(np.asarray(self.camera_pitch, float), (2,))
        return tuple(2 * math.ceil(reach / float(p)) + 1 for p in pitch)  # type: ignore[return-value]

    def _samples(self, where: str, samples: int | None) -> int:
        o, reach = self.objective, self.array.reach()
        steepest = None
        known = (o.na, o.wavelength, self.magnification, self.array.f, self.camera_pitch)
        if reach is not None and _check.is_concrete(*known):
            short = float(np.min(np.abs(np.asarray(self.array.f))))
            tilt = float(np.max(np.asarray(o.na))) / float(np.min(np.asarray(self.magnification)))
            steepest = (tilt + reach / short) / float(np.min(np.asarray(o.wavelength)))
        return samples_per_pixel(where, samples, self.camera_pitch, steepest, reach)


def check_microscope(where: str, one: Any) -> None:
    """Checks what both microscopes have and settles their numbers."""
    if not isinstance(one.objective, Objective):
        raise TypeError(
            f"{where}: `objective` must be psf.Objective(...), got {type(one.objective).__name__}."
        )
    if not isinstance(one.array, LensArray):
        raise TypeError(f"{where}: `array` must be a LensArray, got {type(one.array).__name__}.")
    _check.choice(where, "emitter", one.emitter, EMITTERS)
    _check.positive(where, "magnification", one.magnification)
    pitch = pixels(where, "camera_pitch", one.camera_pitch)
    distance = _check.length(where, "camera_distance", one.camera_distance)
    if distance is not None:
        _check.positive(where, "camera_distance", distance, unit="µm")
        distance = number(where, "camera_distance", distance)
    elif np.ndim(one.array.f):
        raise ValueError(
            f"{where}: `camera_distance` is needed, because the array has "
            f"{np.shape(one.array.f)[0]} focal lengths."
        )
    settle(
        one,
        magnification=number(where, "magnification", one.magnification),
        camera_pitch=pitch,
        camera_distance=distance,
    )


@program("wide", "shape")
def _mask(
    wide: tuple[int, int], shape: tuple[int, int], microscope: LightFieldMicroscope, spacing: Array
) -> Array:
    """The array on a grid whose axis is the sample of the window's middle."""
    # A grid twice as wide on the near side has its axis N // 2 at the window's middle.
    whole = tuple(2 * max(s // 2, w - s // 2) + 1 for w, s in zip(wide, shape, strict=True))
    ones = jnp.ones(whole, jnp.result_type(float, jnp.complex64))
    field = scalar_field(ones, spacing=spacing, wavelength=microscope.objective.wavelength)
    u = microscope.array.refract(field).u
    first = [n // 2 - s // 2 for n, s in zip(whole, shape, strict=True)]
    return u[first[0] : first[0] + wide[0], first[1] : first[1] + wide[1]]


def emitted(objective: Objective, window: Window, pupil: Pupil, kind: str) -> tuple[Array, Array]:
    """Incoherent parts of an emitter's light ``(planes, parts, y, x)`` and their weights."""
    if kind == "scalar":
        return _parts(False, objective, (scalar_focus(objective, window, pupil),))
    fields = tuple(emitter_field(objective, window, pupil, dipole=d) for d in np.eye(3))
    inner = pupil.pupil if isinstance(pupil, ZernikePupil) else pupil
    return _parts(isinstance(inner, JonesPupil), objective, fields)


@program("is_jones")
def _parts(is_jones: bool, objective: Objective, fields: tuple[Array, ...]) -> tuple[Array, Array]:
    if len(fields) == 1:
        return fields[0][:, None], 1 / clear_power(objective)[None]
    x, y, z = fields
    if is_jones:
        return jnp.concatenate([x, y, z], axis=1), jnp.full(6, 1 / 3)
    # The y component of the dipole x is the x component of the dipole y.
    parts = jnp.stack([x[:, 0], y[:, 1], x[:, 1], z[:, 0], z[:, 1]], axis=1)
    return parts, jnp.asarray([1, 1, 2, 1, 1]) / 3


def clear_power(objective: Objective) -> Array:
    """Power of the scalar model's clear pupil: the mean of 1 / cos(theta) over the aperture."""
    q = jnp.asarray(objective.na) / objective.n_i
    powers = {"aplanatic": 2 / (1 + jnp.sqrt(1 - q * q))}
    return powers.get(objective.apodization, jnp.ones(()))
