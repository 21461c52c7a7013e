r"""Point-spread functions at the sensor behind a stop with thin plates.

The light of a point goes through the stop at the place r and on to a place near the chief ray's
point on the sensor. Both paths, less their value on the chief ray, are

.. math:: W = \frac{r^2}{2}\left(\frac1{L} + \frac1{D} - \frac1{f}\right)
    - \sum_i \frac{q_i^2}{2 L_i (S_i + L_i)^2},\qquad q_i = r^2 - 2\,\mathbf r\cdot\mathbf p_i

with the lengths L and D of the chief ray behind and in front of the stop; its linear part vanishes,
since both points lie on the chief ray. The three large parabolas are one number, found in float64
where it is known, so only what is left of them is sampled. The sum over r is a matrix Fourier
transform straight to points in the sensor's pixels, the same for every wavelength; points on a
diagonal of the field need a few of them (:func:`_kernels`).
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, grid, numerics, sampling
from jaxwave._noun import Number, noun, number, settle, static
from jaxwave.fourier import contract
from jaxwave.heights.shapes import largest
from jaxwave.numerics import cis, gauss_legendre


@noun
class Lens:
    r"""The lens of a camera: a round stop, a thin lens and thin plates in it, the sensor behind.

    .. math:: P(\mathbf x) = \frac{1}{\lambda^2 L^2 \sum A^2}\int_\text{pixel}
        \left|\sum_{\mathbf r} A\,e^{2\pi i (W + \mathrm{OPD} - \mathbf x\cdot\mathbf r/L)/\lambda}
        \right|^2 d^2x

    Valid for a thin stack of plates in the stop and pixels near the chief ray's: a few degrees of
    field, where the sensor's points differ in direction by less than the stop's light. Every number
    is a leaf.

    Args:
        shape: Samples of the stop (ny, nx).
        spacing: Their spacing, one number or (dy, dx), ``(2,)`` [µm].
        z: From the stop to the sensor, scalar [µm].
        pitch: Pixels of the sensor, one number or (dy, dx), ``(2,)`` [µm].
        window: Pixels of a PSF (my, mx).
        f: Focal length of a thin lens beside the plates, scalar or one for each wavelength
            ``(wavelengths,)`` [µm]; None for no lens. It images a distant axial point without
            aberrations.
        radius: Radius of the stop, scalar [µm]; by default the largest disk
            on the samples.
        points: Points in a pixel along each axis; by default as many as the finest fringe needs.

    Raises:
        ValueError: If a number is not positive.
        TypeError: If a shape is not of integers.

    Example:
        >>> lens = Lens((64, 64), 4.0, z="5 mm", pitch=4.0, window=(33, 33), f="5 mm")
        >>> psf = lens.psfs(None, [np.inf], [0.55])
        >>> psf.shape, round(float(psf.sum()), 2)
        ((1, 1, 33, 33), 0.98)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 6.4; R. Soummer et al., Opt. Express
        15, 15935 (2007).
    """

    shape: tuple[int, int] = static()
    spacing: Number
    z: Number
    pitch: Number
    window: tuple[int, int] = static()
    f: Number = None
    radius: Number = None
    points: int | None = static(default=None)

    def __post_init__(self) -> None:
        where = "Lens"
        values = {}
        for name in ("spacing", "z", "pitch", "f", "radius"):
            value = _check.length(where, name, getattr(self, name))
            if value is None:
                values[name] = None
                continue
            rule = _check.nonzero if name == "f" else _check.positive
            rule(where, name, value, unit="µm")
            values[name] = number(where, name, value)
        if self.points is not None:
            _check.integer(where, "points", self.points, 1, 16)
        shapes = {k: _check.grid_shape(where, getattr(self, k), name=k) for k in _SHAPES}
        settle(self, **values, **shapes)

    def psfs(
        self,
        opd: ArrayLike,
        distances: ArrayLike,
        wavelengths: ArrayLike,
        *,
        angles: ArrayLike | None = None,
        undiffracted: ArrayLike = 0.0,
    ) -> Array:
        """Shares of the stop's light in the pixels of the sensor, for points at all distances.

        Args:
            opd: Path of the plates at each wavelength, ``(wavelengths, y, x)`` or ``(y, x)`` [µm];
                or what has a method ``opd(wavelengths)`` of it, such as the elements of height
                maps; or None.
            distances: From the points to the stop, ``(depths,)`` [µm]; ``np.inf`` for far away.
            wavelengths: Vacuum wavelengths, ``(wavelengths,)`` [µm].
            angles: Field angles (y, x) of the points, ``(2,)`` or ``(fields, 2)`` [rad]; None for
                the axis. A point at +x is imaged at -x; the middle of the window follows it.
            undiffracted: Share of the light that the plates do not act on, scalar [none].

        Returns:
            The PSFs, ``(depths, wavelengths, y, x)``, or with angles of shape ``(fields, 2)``
            ``(fields, depths, wavelengths, y, x)``. Their sum is one less the :func:`haze`.

        Raises:
            ValueError: If a distance is no distance or the path does not fit.
            TypeError: If the path is complex.
        """
        where = "Lens.psfs"
        distances, wavelengths = self._points(where, distances, wavelengths)
        path = self._path(where, opd, wavelengths)
        field, many = _angles(where, angles)
        _check.between(where, "undiffracted", undiffracted, 0, 1)
        self._look(where, path, distances, wavelengths)
        count = self.points or self._count(where, wavelengths)
        leaves = self._numbers(distances, wavelengths, field)
        plan = (self.shape, self.window, count, self._nodes(field, wavelengths))
        result = _psfs(plan, path, leaves)
        if not (_check.is_concrete(undiffracted) and np.all(np.asarray(undiffracted) == 0)):
            share = jnp.asarray(undiffracted, result.dtype)
            result = (1 - share) * result + share * _psfs(plan, None, leaves)
        return result if many else result[0]

    def _points(self, where: str, distances: ArrayLike, wavelengths: ArrayLike) -> tuple[Any, Any]:
        """Distances and wavelengths, each a row."""
        distances = _check.length(where, "distances", distances)
        if np.ndim(distances) != 1:
            raise ValueError(
                f"{where}: `distances` must be a row, (depths,), got the shape "
                f"{np.shape(distances)}."
            )
        wavelengths = _check.wavelength(where, wavelengths)
        if np.ndim(wavelengths) != 1:
            raise ValueError(
                f"{where}: `wavelengths` must be a row, (wavelengths,), got the shape "
                f"{np.shape(wavelengths)}."
            )
        if _check.is_concrete(distances):
            values = np.asarray(distances, np.float64)
            low = self._rim() if _check.is_concrete(self.spacing, self.radius) else 0.0
            bad = ~(values > low)
            if np.any(bad):
                raise ValueError(
                    f"{where}: `distances` are in micrometers and must be longer than the stop's "
                    f"radius of {low:g} µm, got {values[bad][0]:g}. Meters are 1e6 µm, and a "
                    "distance of D diopters is 1e6 / D."
                )
        real = jnp.result_type(float)
        known = [number(where, "", v) for v in (distances, wavelengths)]
        return known[0], numerics.number(known[1], real)

    def _path(self, where: str, opd: ArrayLike, wavelengths: ArrayLike) -> Array | None:
        if opd is None:
            return None
        if hasattr(opd, "opd"):
            opd = opd.opd(wavelengths)
        opd = _check.real_array(where, "opd", opd, fix="Pass a path in µm, not a transmission.")
        if opd.ndim not in (2, 3) or opd.shape[-2:] != self.shape:
            raise ValueError(
                f"{where}: `opd` must be (wavelengths, y, x) on the stop's {self.shape} samples, "
                f"got the shape {opd.shape}."
            )
        _check.broadcast(where, opd=opd.shape[:-2], wavelengths=np.shape(wavelengths))
        return opd

    def _rim(self) -> float:
        """Radius of the stop, at most that of the corner of the samples."""
        pair = np.broadcast_to(np.asarray(self.spacing), (2,))
        radius = None if self.radius is None else np.asarray(self.radius)
        corner = np.hypot(*(pair * self.shape)) / 2
        return float(min(largest(radius, self.shape, pair, np), corner))

    def _count(self, where: str, wavelengths: ArrayLike) -> int:
        """Gauss points in a pixel: the finest fringe is D / (wavelength z) cycles."""
        if not _check.is_concrete(self.spacing, self.z, self.pitch, self.radius, wavelengths):
            raise TypeError(f"{where}: pass Lens `points` where the lens's numbers are traced.")
        short = float(np.min(np.asarray(wavelengths)))
        cycles = 2 * self._rim() / (short * float(np.max(np.asarray(self.z))))
        cycles *= float(np.max(np.asarray(self.pitch)))
        return min(16, math.ceil(2 * cycles - 1e-6) + 1)

    def _nodes(self, field: ArrayLike, wavelengths: ArrayLike) -> int:
        """Nodes for the term that mixes y and x: its phase changes by a along a window."""
        if not _check.is_concrete(self.spacing, self.z, self.pitch, self.radius, field,
                                  wavelengths):  # fmt: skip
            return 4
        tangent = np.tan(np.asarray(field, np.float64))
        square = 1 + np.sum(tangent**2, axis=-1)
        mixed = float(np.max(np.abs(np.prod(tangent, axis=-1)) / square**1.5))
        half = float(np.broadcast_to(np.asarray(self.pitch), (2,))[0]) * self.window[0] / 2
        short = float(np.min(np.asarray(wavelengths))) * float(np.asarray(self.z))
        a = 2 * np.pi * mixed * self._rim() * half / short
        # Chebyshev's interpolation of exp(i a t) errs by 2 (a / 2)^k / k!.
        errors = (2 * (a / 2) ** k / math.factorial(k) for k in range(1, 12))
        return 0 if a < 1e-4 else 1 + sum(1 for e in errors if e > 1e-4)

    def _numbers(
        self, distances: ArrayLike, wavelengths: ArrayLike, field: ArrayLike
    ) -> dict[str, Array]:
        """Everything that is traced; the sum of the parabolas in float64 where it is known."""
        real = jnp.result_type(float)
        xp: ModuleType = np
        if not _check.is_concrete(self.z, self.f, distances, field):
            xp = jnp
        tangent = xp.tan(xp.asarray(field))
        secant = xp.sqrt(1 + xp.sum(tangent**2, axis=-1))[:, None, None]  # (fields, 1, 1)
        reciprocal = 1 / xp.asarray(distances)[:, None]
        bend = (1 / xp.asarray(self.z) + reciprocal) / secant
        power = xp.zeros(1) if self.f is None else xp.reshape(1 / xp.asarray(self.f), (-1,))
        size = power.shape[0]
        if size not in (1, np.shape(wavelengths)[0]):
            raise ValueError(
                f"Lens.psfs: `f` must be one number or one for each of the "
                f"{np.shape(wavelengths)[0]} wavelengths, got {size}."
            )
        numbers = {
            "bend": bend - power,
            "power": power,
            "reciprocal": reciprocal[:, 0],
            "tangent": tangent,
            "z": self.z,
            "wavelengths": wavelengths,
        }
        pair = grid.pair("Lens", "spacing", self.spacing, real)
        radius = largest(self.radius, self.shape, pair, np if isinstance(pair, np.ndarray) else jnp)
        numbers |= {"spacing": pair, "radius": radius}
        numbers["pitch"] = grid.pair("Lens", "pitch", self.pitch, real)
        return {k: numerics.number(v, real) for k, v in numbers.items()}

    def _look(
        self, where: str, path: Array | None, distances: ArrayLike, wavelengths: ArrayLike
    ) -> None:
        """Warns of a window with replicas and of a path that is too steep for the samples."""
        if not _check.is_concrete(self.spacing, self.z, self.pitch, wavelengths):
            return
        pair = np.broadcast_to(np.asarray(self.spacing, np.float64), (2,))
        pitch = np.broadcast_to(np.asarray(self.pitch, np.float64), (2,))
        short, z = float(np.min(np.asarray(wavelengths))), float(np.asarray(self.z))
        edge = [m * p / (2 * short * z) for m, p in zip(self.window, pitch, strict=True)]
        sampling.warn_frequency(where, "the window's edge", self.shape, pair, edge)
        if not _check.is_concrete(distances, self.f, self.radius):
            return
        power = 0.0 if self.f is None else 1 / np.asarray(self.f, np.float64)
        bend = np.max(np.abs(1 / z + 1 / np.asarray(distances, np.float64)[:, None] - power))
        steep = bend * self._rim() / short
        if path is None:
            sampling.warn_frequency(where, "the defocus", self.shape, pair, (steep, steep))


_SHAPES = ("shape", "window")


def _angles(where: str, angles: object) -> tuple[Any, bool]:
    """Field angles as (fields, 2), and whether there are several."""
    if angles is None:
        return np.zeros((1, 2)), False
    if np.ndim(angles) not in (1, 2) or np.shape(angles)[-1] != 2:
        raise ValueError(
            f"{where}: `angles` must be (2,) or (fields, 2) as (y, x), got the shape "
            f"{np.shape(angles)}."
        )
    _check.between(where, "angles", angles, -1.5, 1.5, fix="Angles are in radians.")
    angles = number(where, "angles", angles)
    return (angles if angles.ndim == 2 else angles[None]), np.ndim(angles) == 2


# -- the sum ---------------------------------------------------------------------------------


@numerics.program("plan")
def _psfs(plan: tuple, path: Array | None, p: dict[str, Array]) -> Array:
    shape, window, count, _ = plan
    # Behind the barrier the compiler cannot fold whole maps and kernels into constants.
    p = lax.optimization_barrier(p)
    stop = grid.disk_coverage(shape, p["spacing"], p["radius"])
    turns = _paths(shape, p) / p["wavelengths"][:, None, None]
    if path is not None:
        turns = turns + path / p["wavelengths"][:, None, None]
    u = stop * cis(turns)  # (fields, depths, wavelengths, y, x)
    u = _transform(u, *_kernels(plan, p))
    dy, dx = p["spacing"]
    square = jnp.real(u) ** 2 + jnp.imag(u) ** 2
    weights = np.outer(*(gauss_legendre(count)[1] / 2,) * 2)
    square = square.reshape(*u.shape[:-2], window[0], count, window[1], count)
    total = jnp.einsum("...yixj,ij->...yx", square, weights.astype(square.dtype),
                       precision="highest")  # fmt: skip
    sines, far = _directions(p)
    scale = dy * dx * jnp.prod(p["pitch"]) / jnp.sum(stop**2)
    scale = scale * (1 - jnp.sum(sines**2, axis=-1)) / far**2  # (fields,)
    return total * (scale[:, None, None] / p["wavelengths"] ** 2)[..., None, None]


def _directions(p: dict[str, Array]) -> tuple[Array, Array]:
    """Sines of the chief ray, ``(fields, 2)``, and its length behind the stop."""
    secant = jnp.sqrt(1 + jnp.sum(p["tangent"] ** 2, axis=-1))
    return p["tangent"] / secant[:, None], p["z"] * secant


def _paths(shape: tuple[int, int], p: dict[str, Array]) -> Array:
    """The path W, ``(fields, depths, wavelengths or 1, y, x)``."""
    y, x = grid.sample_coordinates(shape, p["spacing"])
    square = y**2 + x**2
    ty, tx = (p["tangent"][:, k, None, None, None, None] for k in (0, 1))
    secant = jnp.sqrt(1 + ty**2 + tx**2)
    sine = (ty * y + tx * x) / secant  # of the chief ray, times r
    z, near = p["z"], p["reciprocal"][:, None, None, None]
    # Beyond the parabola: of the light behind the stop, in front of it, and of the thin lens.
    behind = _beyond(square + 2 * z * secant * sine, 1 / (z * secant))
    before = _beyond_far(square, sine, near / secant)
    power = p["power"][:, None, None]
    return 0.5 * p["bend"][..., None, None] * square + behind + before - _beyond(square, power)


def _beyond(q: Array, c: Array) -> Array:
    """(sqrt(1 + q c^2) - 1) / c - q c / 2, with the sign of c."""
    return -(q**2) * c**3 / (2 * (jnp.sqrt(1 + q * c**2) + 1) ** 2)


def _beyond_far(square: Array, sine: Array, c: Array) -> Array:
    """The same of q = r^2 - 2 r.p, where p = sine / c may be far away."""
    q = square * c - 2 * sine  # times c
    return -(q**2) * c / (2 * (jnp.sqrt(1 + q * c) + 1) ** 2)


def _kernels(plan: tuple, p: dict[str, Array]) -> tuple[Array, Array, Array | None, Array]:
    r"""Matrices of the two axes, and what an oblique field needs between and behind them.

    With the sines n of the chief ray, the path changes by r.A x / L, A = 1 - n n^T, which has a
    term of r_x x_y. On the sheared places xi = x_x + kappa x_y, kappa = A_xy / A_xx, it has none:

        r.A x = A_xx r_x xi + A_xy r_y xi + (A_yy - kappa A_xy) r_y x_y

    The middle term is a product with what the sum over r_x leaves. A field on the places xi of a
    few fixed x_y, the nodes, is interpolated to the true x_y by polynomials.
    """
    shape, window, count, nodes = plan
    points = gauss_legendre(count)[0] / 2
    sines, far = _directions(p)
    y, x = (
        (grid.indices(m)[:, None] + points).reshape(-1).astype(p["z"].dtype) * p["pitch"][axis]
        for axis, m in enumerate(window)
    )
    ry, rx = (
        grid.indices(n).astype(p["z"].dtype) * p["spacing"][axis] for axis, n in enumerate(shape)
    )
    yy, xx = ((1 - sines[:, k] ** 2)[:, None] for k in (0, 1))
    cross = -(sines[:, 0] * sines[:, 1])[:, None] if nodes else jnp.zeros_like(yy)
    kappa = cross / xx
    at, weights = _nodes(nodes, window[0], y / p["pitch"][0])
    xi = x + (kappa * at * p["pitch"][0])[..., None]  # (fields, nodes, points)

    def matrix(place: Array, moved: Array) -> Array:
        turns = moved[..., None, None, :] / far.reshape(-1, *(1,) * moved.ndim)
        return cis(-place[:, None] * (turns / p["wavelengths"][:, None, None]))

    left = matrix(ry, (yy - kappa * cross) * y)  # (fields, wavelengths, samples, points)
    right = matrix(rx, xx[..., None] * xi)  # (fields, nodes, wavelengths, samples, points)
    between = matrix(ry, cross[..., None] * xi) if nodes else None
    return left, right, between, weights


def _nodes(nodes: int, window: int, y: Array) -> tuple[np.ndarray, Array]:
    """Chebyshev's nodes over a window [pixels], and Lagrange's polynomials at y, ``(nodes, y)``."""
    if not nodes:
        return np.zeros(1), jnp.ones((1, y.shape[0]), y.dtype)
    at = (window + 1) / 2 * np.cos((np.arange(nodes) + 0.5) * np.pi / nodes)
    rows = []
    for k in range(nodes):
        rest = np.delete(at, k)
        rows.append(jnp.prod((y - rest[:, None]) / (at[k] - rest)[:, None], axis=0))
    return at, jnp.stack(rows).astype(y.dtype)


def _transform(u: Array, left: Array, right: Array, between: Array | None, weights: Array) -> Array:
    """Sums over both axes, ``(fields, depths, wavelengths, y, x)``."""

    def one(part: Array, i: int, k: int) -> Array:
        if between is None:
            return _columns(contract(part, right[i, 0, k]), left[i, k])
        rows = contract(part[:, None], right[i, :, k]) * between[i, :, k]
        return jnp.sum(weights[..., None] * _columns(rows, left[i, k]), axis=1)

    fields, colors = u.shape[0], u.shape[2]
    rows = [jnp.stack([one(u[i, :, k], i, k) for k in range(colors)], 1) for i in range(fields)]
    return jnp.stack(rows)


def _columns(rows: Array, left: Array) -> Array:
    return jnp.swapaxes(contract(jnp.swapaxes(rows, -1, -2), left), -1, -2)


# -- light that misses the window --------------------------------------------------------------


def haze(psfs: ArrayLike) -> Array:
    r"""Share of a point's light that misses the window of its PSF and veils the whole image.

    .. math:: \eta = 1 - \sum_{yx} P_{yx}

    Valid for PSFs that are shares of the light through the stop, as those of :class:`Lens` are.

    Args:
        psfs: PSFs, ``(..., y, x)`` [none].

    Returns:
        The shares, ``(...)``.

    Raises:
        TypeError: If the PSFs are complex.
        ValueError: If there are fewer than two axes.

    Example:
        >>> round(float(haze(jnp.full((2, 2), 0.2))), 3)
        0.2

    References:
        V. Sitzmann et al., ACM Trans. Graph. 37, 114 (2018), normalize the window instead.
    """
    _check.at_least("haze", "psfs", psfs, 2, "(..., y, x)")
    return 1 - jnp.sum(_check.real_array("haze", "psfs", psfs), axis=(-2, -1))
