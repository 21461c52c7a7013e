"""Micro-lens arrays: square, hexagonal or listed centers, of any pitch, turn and focal lengths."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, grid, sampling
from jaxwave.field import AnyField, Field, modulate, with_parameters
from jaxwave.numerics import cis, number, program

LAYOUTS = ("square", "hexagonal")
SHAPES = ("full", "round")


def microlens_array(
    field: AnyField,
    f: ArrayLike | str,
    *,
    pitch: ArrayLike | str | None = None,
    layout: str = "square",
    centers: ArrayLike | None = None,
    phi: ArrayLike = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    n: ArrayLike = 1.0,
    lenslet: str = "full",
    diameter: ArrayLike | str | None = None,
    gap: ArrayLike = 0.0,
) -> AnyField:
    r"""Refracts a field in an array of small lenses.

    .. math:: u' = \begin{cases} u\,\exp\!\left[-i\pi\frac{n}{\lambda f_k}
        |\mathbf r - \mathbf c_k|^2\right] & \text{inside lenslet } k \\
        g\,u & \text{between the lenslets} \end{cases}

    Every sample belongs to the nearest center :math:`\mathbf c_k`: cells are squares, hexagons,
    or polygons about listed centers. Paraxial and thin. The pitch needs no whole number of
    samples; pitch, turn, place, focal lengths and diameters have gradients, and round rims are
    weighted by their share of a sample. In a hexagonal layout the neighbors of a lenslet stand
    along x at a distance of one pitch.

    Several focal lengths (..., K) go around: in a square layout lenslet (i, j) has number
    (i + j) mod K, in a hexagonal one (i - j) mod K along its lattice vectors, so that three kinds
    never touch their like; with ``centers`` every lens has its own or they go around.

    Args:
        field: The field in front of the array, ``(..., y, x)`` or ``(..., 3, y, x)``.
        f: Focal lengths in the medium, one number or ``(K,)`` [µm].
        pitch: Distance of the centers, one number for every layout, or ``(2,)`` as (y, x) for
            "square"; not with ``centers`` [µm].
        layout: "square" or "hexagonal".
        centers: Centers of the lenslets as (y, x), ``(L, 2)`` [µm].
        phi: Turn of the array about (y, x), from +x toward +y, scalar [rad].
        y: Place of the array's center, scalar [µm].
        x: Place of the array's center, scalar [µm].
        n: Refractive index of the medium, scalar.
        lenslet: "full" for lenslets that fill their cells, "round" for disks.
        diameter: Diameter of round lenslets, one number [µm]; by default the pitch.
        gap: Amplitude transmission between round lenslets, scalar: 0 is a mask, 1 clear glass
            [none].

    Returns:
        The field behind the array.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If a length is not positive, both or neither of ``pitch`` and ``centers`` are
            given, a choice is unknown or the shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> wave = plane_wave((64, 64), spacing=2.0, wavelength=0.5)
        >>> array = microlens_array(wave, "2 mm", pitch=31.3, layout="hexagonal", phi=0.1)
        >>> round(float(array.power), 5)
        1.0

    References:
        M. Broxton et al., "Wave optics theory and 3-D deconvolution for the light field
        microscope", Opt. Express 21, 25418 (2013), Eq. 4.
    """
    where = "microlens_array"
    _check.is_field(where, field, Field)
    f, pitch, centers, diameter = check_array(where, f, pitch, layout, centers, lenslet, diameter)
    y, x = _check.length(where, "y", y), _check.length(where, "x", x)
    for name, value in (("y", y), ("x", x), ("phi", phi), ("gap", gap)):
        _check.finite(where, name, value)
    _check.positive(where, "n", n)
    size = pitch if pitch is not None else diameter
    _warn_lenslets(where, field, f, n, size)
    if diameter is None and lenslet == "round":
        diameter = pitch  # the smaller one
    numbers: Any = [
        None if a is None else number(a, field.real_dtype)
        for a in (f, n, pitch, centers, phi, y, x, diameter, gap)
    ]
    return _through(field, layout, lenslet == "round", *numbers)


def check_array(
    where: str,
    f: ArrayLike | str,
    pitch: ArrayLike | str | None,
    layout: object,
    centers: object,
    lenslet: object,
    diameter: object,
):  # type: ignore[no-untyped-def]
    """Checks how an array is described; returns f, pitch, centers and diameter in µm."""
    f = _check.length(where, "f", f)
    _check.finite(where, "f", f, unit="µm")
    _check.nonzero(where, "f", f, unit="µm", fix="A plane plate of no power needs no lenses.")
    if np.ndim(f) > 1:
        raise ValueError(f"{where}: `f` must be one number or (K,), got the shape {np.shape(f)}.")
    _check.choice(where, "layout", layout, LAYOUTS)
    _check.choice(where, "lenslet", lenslet, SHAPES)
    if (pitch is None) == (centers is None):
        raise ValueError(f"{where}: needs either `pitch` or `centers`. Pass one of them.")
    if diameter is not None:
        diameter = _check.length(where, "diameter", diameter)
        _check.positive(where, "diameter", diameter, unit="µm")
        if lenslet == "full":
            raise ValueError(f"{where}: `diameter` belongs to lenslet='round', got 'full'.")
    if centers is not None:
        centers = _check.length(where, "centers", centers)
        if np.ndim(centers) != 2 or np.shape(centers)[-1] != 2 or not np.shape(centers)[0]:
            raise ValueError(
                f"{where}: `centers` must be (L, 2) as (y, x), got the shape {np.shape(centers)}."
            )
        _check.finite(where, "centers", centers, unit="µm")
        if lenslet == "round" and diameter is None:
            raise ValueError(f"{where}: `diameter` is needed for round lenslets at `centers`.")
        return f, None, centers, diameter
    pitch = _check.length(where, "pitch", pitch)
    _check.positive(where, "pitch", pitch, unit="µm")
    if np.shape(pitch) not in ((), (2,)) or (np.ndim(pitch) and layout == "hexagonal"):
        raise ValueError(
            f"{where}: `pitch` must be one number, or (2,) as (y, x) for a square layout, got the "
            f"shape {np.shape(pitch)} for {layout!r}."
        )
    return f, pitch, None, diameter


def _warn_lenslets(where, field: AnyField, f: ArrayLike, n: ArrayLike, size: ArrayLike):  # type: ignore[no-untyped-def]
    """Warns of lenslets whose rims are steeper than the samples hold."""
    if size is None or not _check.is_concrete(field.spacing, field.wavelength, f, n, size):
        return
    reach = 0.5 * float(np.max(np.asarray(size)))
    m = float(np.max(np.asarray(n))) / float(np.min(np.asarray(field.wavelength)))
    steep = m * reach / float(np.min(np.abs(np.asarray(f))))
    sampling.warn_frequency(where, "the lenslets", field.shape, field.spacing, (steep, steep))


@program("layout", "is_round")
def _through(
    field: AnyField,
    layout: str,
    is_round: bool,
    f: Array,
    n: Array,
    pitch: Array | None,
    centers: Array | None,
    phi: Array,
    y: Array,
    x: Array,
    diameter: Array | None,
    gap: Array,
) -> AnyField:
    """The field behind the lenses."""
    kind = layout if centers is None else None
    places = pitch if centers is None else centers
    assert places is not None
    square, lens, depth = _lenslets(field.shape, kind, field.spacing, places, phi, y, x)
    strength = (1 / jnp.atleast_1d(f))[lens % jnp.size(f)]
    field, (n,) = with_parameters("microlens_array", field, n=n)
    waves = cis(-0.5 * (n / field.wavelength)[..., None, None] * square * strength)
    if is_round:
        rim = 0.5 * jnp.min(jnp.asarray(diameter))
        share = jnp.clip(0.5 + (rim - jnp.sqrt(depth)) / _width(field, square), 0, 1)
        waves = share * waves + (1 - share) * gap
    return modulate(field, waves)


def _width(field: Field, like: Array) -> Array:
    """Mean width of a sample, shaped like a picture."""
    mean = jnp.mean(field.spacing, axis=-1)
    return mean[..., None, None] + 0 * like


def _lenslets(
    shape: tuple[int, int],
    layout: str | None,
    spacing: Array,
    places: Array,
    phi: Array,
    y0: Array,
    x0: Array,
) -> tuple[Array, Array, Array]:
    """Squared distance from the nearest center, the number of its lens, and a safe square.

    The choice of the center has no derivative, and needs none: where it changes, both are right.
    """
    y, x = grid.sample_coordinates(shape, spacing)
    y, x = y - y0, x - x0
    c, s = jnp.cos(phi), jnp.sin(phi)
    u, v = c * x + s * y, c * y - s * x  # along and across the array's own x
    if layout is None:
        dv, du, lens = _nearest_listed(v, u, places)
    elif layout == "square":
        dv, du, lens = _nearest_square(v, u, jnp.broadcast_to(places, (2,)))
    else:
        dv, du, lens = _nearest_hexagonal(v, u, places)
    square = dv**2 + du**2
    return square, lens, jnp.where(square > 0, square, jnp.finfo(square.dtype).tiny)


def _nearest_square(v: Array, u: Array, pitch: Array) -> tuple[Array, Array, Array]:
    i, j = (lax.stop_gradient(jnp.round(a / p)) for a, p in zip((v, u), pitch, strict=True))
    return v - i * pitch[0], u - j * pitch[1], (i + j).astype(int)


def _nearest_hexagonal(v: Array, u: Array, pitch: Array) -> tuple[Array, Array, Array]:
    """The nearer one of two interleaved rectangular lattices, pitch by sqrt(3) pitch."""
    tall = math.sqrt(3) * pitch
    best = None
    for half in (0.0, 0.5):
        i = lax.stop_gradient(jnp.round(v / tall - half)) + half
        j = lax.stop_gradient(jnp.round(u / pitch - half)) + half
        # Row 2 i is lattice vector (1/2, sqrt(3)/2) taken 2 i times, and column j - i the rest.
        found = (v - i * tall, u - j * pitch, (j - 3 * i).astype(int))
        if best is None:
            best = found
        else:
            nearer = best[0] ** 2 + best[1] ** 2 <= found[0] ** 2 + found[1] ** 2
            best = tuple(jnp.where(nearer, a, b) for a, b in zip(best, found, strict=True))
    assert best is not None
    return best[0], best[1], best[2]


def _nearest_listed(v: Array, u: Array, centers: Array) -> tuple[Array, Array, Array]:
    """One center after the other, so that memory does not grow with their number."""
    zero = jnp.zeros(jnp.broadcast_shapes(v.shape, u.shape), int)

    def step(best: tuple[Array, Array], item: tuple[Array, Array]) -> tuple[tuple, None]:
        distance, lens = best
        center, k = item
        new = (v - center[0]) ** 2 + (u - center[1]) ** 2
        nearer = new < distance
        return (jnp.where(nearer, new, distance), jnp.where(nearer, k, lens)), None

    start = (jnp.full(zero.shape, jnp.inf, v.dtype), zero)
    fixed = lax.stop_gradient(centers)
    (_, lens), _ = lax.scan(step, start, (fixed, jnp.arange(len(centers))))
    own = centers[lens]
    return v - own[..., 0], u - own[..., 1], lens
