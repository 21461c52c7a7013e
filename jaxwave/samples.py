"""Samples that light goes through: thin, in slices, birefringent, scattering."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, grid, numerics
from jaxwave.field import AnyField, Field, VectorField, broadcast, modulate
from jaxwave.numerics import cis


def _wave(dn: Array, thickness: Array, wavelength: Array) -> Array:
    """exp(2 pi i dn t / lambda) of a real or complex difference of indices."""
    turns = jnp.real(dn) * thickness / wavelength
    if not jnp.iscomplexobj(dn):
        return cis(turns)
    return cis(turns) * jnp.exp(-numerics.TAU * jnp.imag(dn) * thickness / wavelength)


def _index(where: str, dn: ArrayLike, field: Field, rank: int, layout: str) -> Array:
    _check.at_least(where, "dn", dn, rank, layout)
    _check.not_empty(where, "dn", np.shape(dn))
    _check.finite_array(where, "dn", dn)
    dn = jnp.asarray(dn)
    _check.same_grid(where, "dn", dn.shape, field.shape)
    return dn


def _typed(dn: Array, field: Field) -> Array:
    return dn.astype(field.dtype if jnp.iscomplexobj(dn) else field.real_dtype)


def thin_sample(field: AnyField, dn: ArrayLike, thickness: ArrayLike | str) -> AnyField:
    r"""Sends a field through a thin sample.

    .. math:: u' = u\,\exp\!\left[\frac{2\pi i}{\lambda}\,\Delta n\,t\right]

    The index differs by :math:`\Delta n` from that of the medium; its imaginary part absorbs.
    Valid where light does not spread within the thickness; else use :func:`multislice`.

    Args:
        field: The field, ``(..., y, x)`` or ``(..., 3, y, x)``.
        dn: Difference of the indices, real or complex, on the field's samples, ``(..., y, x)``
            [none].
        thickness: Thickness t, ``(...)`` [µm].

    Returns:
        The field behind the sample.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If the shapes do not fit, the thickness is negative or something not finite.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((4, 4), spacing=0.5, wavelength=0.5)
        >>> round(float(thin_sample(field, jnp.full((4, 4), 0.02), 5.0).phase[0, 0]), 4)
        1.2566

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 5.1.
    """
    where = "thin_sample"
    _check.is_field(where, field, Field)
    dn = _index(where, dn, field, 2, "(..., y, x)")
    thickness = _check.length(where, "thickness", thickness)
    _check.nonnegative(where, "thickness", thickness, unit="µm")
    t = numerics.number(thickness, field.real_dtype)
    _check.broadcast(where, field=field.batch_shape, dn=dn.shape[:-2], thickness=t.shape)
    return _thin(field, dn, t)


@numerics.program()
def _thin(field: AnyField, dn: Array, t: Array) -> AnyField:
    dn = _typed(dn, field)
    batch = _check.broadcast("thin", field=field.batch_shape, dn=dn.shape[:-2], t=t.shape)
    field = broadcast(field, batch)
    wave = _wave(dn, t[..., None, None], field.wavelength[..., None, None])
    return modulate(field, wave)


def multislice(
    field: AnyField,
    dn: ArrayLike,
    thickness: ArrayLike | str,
    *,
    n: ArrayLike = 1.0,
    birefringence: ArrayLike | None = None,
    axis: ArrayLike | None = None,
    border: int = 0,
    segment: int | None = None,
) -> AnyField:
    r"""Sends a field through a thick sample, slice by slice (beam propagation).

    .. math:: u \to P_{d/2}\,T_N\,P_d\,T_{N-1} \cdots P_d\,T_1\,P_{d/2}\,u,\qquad
        T_k = \exp\!\left[\frac{2\pi i}{\lambda}\,\Delta n_k\,d\right]

    with the exact propagation P of plane waves over the thickness d of a slice in the medium n
    (see :func:`~jaxwave.propagation.angular_spectrum`; the carrier is left out).
    A birefringent slice is a retarder with :math:`2\pi\,B\,d/\lambda` between its slow axis
    and the one across it; that needs a vector field.

    Valid for forward scattering: reflections are neglected, and a tilted wave meets the path of an
    untilted one, so angles count in second order. The window is periodic: what leaves it comes
    back on the other side, unless a border absorbs it.
    One transform pair a slice. For a gradient, the fields of ``segment`` slices are kept at a time
    and those between segments; the default, about the square root of their number, keeps least.

    Args:
        field: The field before the first slice, ``(..., y, x)`` or ``(..., 3, y, x)``.
        dn: Difference of the slices' indices to n, real or complex (absorbing),
            ``(..., slices, y, x)``, in the light's order [none].
        thickness: Thickness of a slice, ``(...)`` [µm].
        n: Refractive index of the medium, ``(...)``.
        birefringence: Index along the slow axis less that across, ``(..., slices, y, x)`` [none].
        axis: Azimuth of the slow axis from +x toward +y, ``(..., slices, y, x)`` [rad].
        border: Width of the absorbing border, a number of samples.
        segment: Slices whose fields are kept at a time for the gradient.

    Returns:
        The field behind the last slice.

    Raises:
        TypeError: If ``field`` is not a field, or has no components but the sample is birefringent.
        ValueError: If the shapes do not fit, a number is out of range, or the birefringence comes
            without its axis.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((8, 8), spacing=0.5, wavelength=0.5)
        >>> slab = jnp.full((5, 8, 8), 0.01)
        >>> round(float(multislice(field, slab, 0.4, n=1.33).phase[0, 0]), 4)
        0.2513

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 4.8 (beam propagation);
        U. S. Kamilov et al., "Learning approach to optical tomography", Optica 2, 517 (2015).
    """
    where = "multislice"
    _check.is_field(where, field, Field)
    dn = _index(where, dn, field, 3, "(..., slices, y, x)")
    slices = dn.shape[-3]
    thickness = _check.length(where, "thickness", thickness)
    _check.positive(where, "thickness", thickness, unit="µm")
    _check.positive(where, "n", n)
    _check.integer(where, "border", border, 0, min(field.shape) // 2)
    segment = _segment(slices) if segment is None else segment
    _check.integer(where, "segment", segment, 1)
    optics = _birefringent(where, field, dn, birefringence, axis)
    real = field.real_dtype
    t, n = numerics.number(thickness, real), numerics.number(n, real)
    shapes = {name: a.shape[:-3] for name, a in optics.items()}
    _check.broadcast(where, field=field.batch_shape, thickness=t.shape, n=n.shape, **shapes)
    return _sliced(field, optics, t, n, border, segment)


@numerics.program("border", "segment")
def _sliced(
    field: AnyField, optics: dict[str, Array], t: Array, n: Array, border: int, segment: int
) -> AnyField:
    real = field.real_dtype
    optics = {name: _typed(a, field) for name, a in optics.items()}
    maps = [a.shape[:-3] for a in optics.values()]
    batch = np.broadcast_shapes(field.batch_shape, t.shape, n.shape, *maps)
    field = broadcast(field, batch)
    t, n = (jnp.broadcast_to(a, batch) for a in (t, n))
    half = _kernel(field, t / 2, n)
    kernels = jnp.stack([half * half, half])  # behind the last slice the light goes half as far
    frame = _frame(field.shape, border).astype(real) if border else None
    rate = (t / field.wavelength)[..., None, None]

    def step(u: Array, slice_: dict[str, Array]) -> tuple[Array, None]:
        last = slice_["is_last"]
        kernel = lax.dynamic_index_in_dim(kernels, last.astype(int), keepdims=False)
        u = _transfer(_through(u, slice_, rate, field), kernel, field)
        return u if frame is None else u * jnp.where(last, 1, frame), None

    stack = {name: jnp.moveaxis(a, -3, 0) for name, a in optics.items()}
    stack["is_last"] = jnp.arange(len(stack["dn"])) == len(stack["dn"]) - 1
    u = _scan(step, _transfer(field.u, half, field), stack, segment)
    return field.replace(u=u.astype(field.dtype))


def _birefringent(
    where: str, field: Field, dn: Array, birefringence: Any, axis: Any
) -> dict[str, Array]:
    """The maps of all slices, by name."""
    given = {"birefringence": birefringence, "axis": axis}
    maps = {name: value for name, value in given.items() if value is not None}
    if not maps:
        return {"dn": dn}
    if len(maps) < 2:
        missing = next(name for name in given if name not in maps)
        raise ValueError(f"{where}: a birefringent sample needs `{missing}` too, got none.")
    fix = "A scalar field has no polarization: make one with polarize or vector_field."
    _check.is_field(where, field, VectorField, fix=fix)
    for name, value in maps.items():
        _check.finite_array(where, name, value)
        maps[name] = _check.real_array(where, name, value).astype(field.real_dtype)
        if maps[name].shape[-3:] != dn.shape[-3:]:
            raise ValueError(
                f"{where}: `{name}` must have the slices and samples of `dn`, {dn.shape[-3:]}, got "
                f"{maps[name].shape}."
            )
    return {"dn": dn, **maps}


def _kernel(field: Field, z: Array, n: Array) -> Array:
    """Transfer function of a short distance in FFT order, without the carrier."""
    fy, fx = grid.sample_frequencies(field.shape, field.spacing, centered=False)
    square = fy**2 + fx**2
    z, n, wavelength = (a[..., None, None] for a in (z, n, field.wavelength))
    k = n / wavelength
    rest = k**2 - square
    # w - k without a difference of near-equal numbers; an evanescent wave has the carrier's phase
    turns = -z * jnp.where(rest > 0, square / (numerics.safe_sqrt(rest) + k), k)
    return cis(turns) * jnp.exp(-numerics.TAU * z * numerics.safe_sqrt(-rest))


def _segment(slices: int) -> int:
    """About the square root; a divisor if there is one near, as no slice is copied then."""
    root = math.sqrt(slices)
    near = [k for k in range(1, slices + 1) if slices % k == 0 and root / 2 <= k <= 2 * root]
    return min(near, key=lambda k: k + slices // k, default=math.isqrt(slices - 1) + 1)


def _frame(shape: tuple[int, int], border: int) -> Array:
    """One inside, and down to zero over the border, at least one sample wide."""
    sides = []
    for count in shape:
        index = np.arange(count)
        depth = np.minimum(index, count - 1 - index) + 1.0
        part = np.clip(depth / (border + 1.0), 0, 1)
        sides.append(np.sin(np.pi / 2 * part) ** 0.25)
    return jnp.asarray(np.outer(*sides))


def _transfer(u: Array, kernel: Array, field: Field) -> Array:
    return jnp.fft.ifft2(jnp.fft.fft2(u) * field.on_grid(kernel))


def _through(u: Array, maps: dict[str, Array], rate: Array, field: Field) -> Array:
    """The field behind one slice; a retarder is cos(d/2) + i sin(d/2) (a reflection)."""
    u = u * field.on_grid(_wave(maps["dn"], rate, jnp.ones_like(rate)))
    if "axis" not in maps:
        return u
    half = cis(maps["birefringence"] * rate / 2)
    double = cis(2 * maps["axis"] / numerics.TAU)
    x, y, z = (u[..., k, :, :] for k in range(3))
    c, s = jnp.real(half), 1j * jnp.imag(half)
    cos, sin = jnp.real(double), jnp.imag(double)
    turned = (c * x + s * (cos * x + sin * y), c * y + s * (sin * x - cos * y))
    return jnp.stack([*turned, z], axis=-3)


def _scan(step: Any, u: Array, stack: dict[str, Array], segment: int) -> Array:
    """Steps through all slices; a gradient keeps the fields between segments and of one segment."""
    count = stack["dn"].shape[0]
    whole = count // segment
    parts = jax.tree.map(
        lambda a: a[: whole * segment].reshape(whole, segment, *a.shape[1:]), stack
    )
    rest = jax.tree.map(lambda a: a[whole * segment :], stack)

    # Of a slice only its field is kept: its wave costs less than reading it back.
    kept = jax.checkpoint(step, prevent_cse=False)

    @partial(jax.checkpoint, prevent_cse=False)
    def run(u: Array, part: dict[str, Array]) -> tuple[Array, None]:
        # The last slice stands outside the loop: a gradient that runs a segment again needs the
        # fields before its slices, and the transforms behind the last one fall away.
        body, last = (jax.tree.map(lambda a, cut=cut: a[cut], part) for cut in (slice(-1), -1))
        if body["dn"].shape[0]:
            u, _ = lax.scan(kept, u, body)
        return kept(u, last)[0], None

    if whole:
        u, _ = lax.scan(run, u, parts)
    return run(u, rest)[0] if count % segment else u


def scattering_slices(
    key: Array,
    shape: tuple[int, int, int],
    *,
    spacing: ArrayLike | str,
    wavelength: ArrayLike | str,
    thickness: ArrayLike | str,
    mean_free_path: ArrayLike | str,
    grain: ArrayLike | str,
) -> Array:
    r"""Draws the random slices of a medium that scatters forward, for :func:`multislice`.

    .. math:: \langle\varphi\,\varphi'\rangle = \frac{d}{\ell_s}\,
        \exp\!\left(-\frac{r^2}{2 g^2}\right),\qquad
        |\langle u\rangle|^2 = e^{-N d / \ell_s}

    Every slice has a Gaussian phase :math:`\varphi = 2\pi\,\Delta n\,d/\lambda` with the grain g,
    and slices are independent: the light that is not scattered falls with the mean free path, and
    that which is goes into angles of about :math:`\lambda / (2\pi g)`. Valid for slices much
    thinner than the mean free path; the mean of every slice is that of the medium on average only.

    Args:
        key: Key of the random numbers, shape ``()`` [none].
        shape: Number of slices and samples (slices, ny, nx).
        spacing: Sample spacing, one number or ``(2,)`` as (dy, dx) [µm].
        wavelength: Vacuum wavelength, scalar [µm].
        thickness: Thickness of a slice, scalar [µm].
        mean_free_path: Depth that leaves 1/e of the light unscattered, scalar [µm].
        grain: Standard deviation g of the phase's correlation, scalar [µm].

    Returns:
        Difference of the indices, ``(slices, y, x)``.

    Raises:
        TypeError: If a number is not real.
        ValueError: If a length is not positive or the shape is not three numbers.

    Example:
        >>> optics = {"spacing": 0.5, "wavelength": 0.5, "thickness": 2.0}
        >>> dn = scattering_slices(
        ...     jax.random.key(0), (9, 64, 64), mean_free_path=50.0, grain=1.0, **optics
        ... )
        >>> dn.shape, round(float(jnp.var(2 * jnp.pi * dn * 2.0 / 0.5)) * 50 / 2, 1)
        ((9, 64, 64), 1.0)

    References:
        S. Schott et al., "Characterization of the angular memory effect of scattered light in
        biological tissues", Opt. Express 23, 13505 (2015).
    """
    _check.key("scattering_slices", key)
    where = "scattering_slices"
    if len(shape) != 3:
        raise ValueError(f"{where}: `shape` must be (slices, ny, nx), got {shape}.")
    _check.integer(where, "shape", shape[0], 1)
    size = _check.grid_shape(where, shape[1:])
    given = {"spacing": spacing, "thickness": thickness, "mean_free_path": mean_free_path}
    given |= {"grain": grain, "wavelength": _check.wavelength(where, wavelength)}
    values = {}
    for name, value in given.items():
        value = _check.length(where, name, value)
        _check.positive(where, name, value, unit="µm")
        pair = grid.spacing_pair if name == "spacing" else numerics.number
        values[name] = pair(value, jnp.result_type(float))
    return _scattering(key, (shape[0], *size), values)


@numerics.program("shape")
def _scattering(key: Array, shape: tuple[int, int, int], values: dict[str, Array]) -> Array:
    pair = values["spacing"]
    fy, fx = grid.sample_frequencies(shape[1:], pair, centered=False)
    # White noise with the root of the correlation's spectrum, of unit variance.
    shape_of = jnp.exp(-((numerics.TAU * values["grain"]) ** 2) * (fy**2 + fx**2) / 4)
    shape_of = shape_of / jnp.sqrt(jnp.mean(shape_of**2))
    noise = jax.random.normal(key, shape, pair.dtype)
    smooth = jnp.fft.ifft2(jnp.fft.fft2(noise) * shape_of).real
    d = values["thickness"]
    return (
        smooth * jnp.sqrt(d / values["mean_free_path"]) * values["wavelength"] / (numerics.TAU * d)
    )
