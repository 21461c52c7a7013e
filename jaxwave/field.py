"""The Field: samples of a monochromatic wave that know their spacing and wavelength.

The time dependence is exp(-i omega t) and is left out, so a wave traveling along +z has the phase
+k z. Leading axes are batch axes, shared by every leaf: a ``vmap``-ped Field is a Field, and
several wavelengths are one more batch axis.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxwave import _check, _notebook, grid, numerics


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Field:
    r"""A scalar field on a grid, :math:`u(y, x)` at the vacuum wavelength :math:`\lambda`.

    .. math:: P = \sum |u|^2\,\Delta y\,\Delta x

    Valid as a scalar wave (paraxial, or one Cartesian component). Make one with
    :func:`scalar_field` or a source; the constructor does not check anything, because
    transformations such as ``vmap`` rebuild the object with placeholders.

    Args:
        u: Complex amplitude, ``(..., y, x)`` [sqrt(power)/µm].
        spacing: Sample spacing (dy, dx), ``(..., 2)`` [µm].
        wavelength: Vacuum wavelength, ``(...)`` [µm].

    Raises:
        TypeError: When fields are combined with what has no samples.
        ValueError: When fields on different grids are added.

    Example:
        >>> field = scalar_field(jnp.ones((64, 64)), spacing=0.5, wavelength=0.532)
        >>> field
        Field((64, 64) complex64, spacing=0.5 µm, wavelength=0.532 µm)
        >>> float(field.power)
        1024.0
        >>> (0.5j * field).replace(wavelength=jnp.float32(0.6))
        Field((64, 64) complex64, spacing=0.5 µm, wavelength=0.6 µm)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 3.2.
    """

    u: Array
    spacing: Array
    wavelength: Array

    __array_ufunc__ = None  # numpy numbers leave the arithmetic to this class

    @property
    def _rank(self) -> int:
        return 2

    @property
    def shape(self) -> tuple[int, int]:
        """Number of samples (ny, nx)."""
        ny, nx = self.u.shape[-2:]
        return ny, nx

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the leading axes that all leaves share."""
        return self.u.shape[: -self._rank]

    @property
    def dtype(self) -> np.dtype:
        """Complex type of the samples."""
        return np.dtype(self.u.dtype)

    @property
    def real_dtype(self) -> np.dtype:
        """Real type of the same precision."""
        return numerics.real_dtype(self.u.dtype)

    @property
    def y(self) -> Array:
        """Coordinates of the rows, ``(..., ny, 1)`` [µm]."""
        return grid.sample_coordinates(self.shape, self.spacing)[0]

    @property
    def x(self) -> Array:
        """Coordinates of the columns, ``(..., 1, nx)`` [µm]."""
        return grid.sample_coordinates(self.shape, self.spacing)[1]

    @property
    def fy(self) -> Array:
        """Spatial frequencies of the rows, centered, ``(..., ny, 1)`` [1/µm]."""
        return grid.sample_frequencies(self.shape, self.spacing)[0]

    @property
    def fx(self) -> Array:
        """Spatial frequencies of the columns, centered, ``(..., 1, nx)`` [1/µm]."""
        return grid.sample_frequencies(self.shape, self.spacing)[1]

    @property
    def extent(self) -> Array:
        """Size of the window (height, width), ``(..., 2)`` [µm]."""
        return self.spacing * np.asarray(self.shape, self.real_dtype)

    # -- light ----------------------------------------------------------------------------

    @property
    def intensity(self) -> Array:
        """Squared modulus, summed over vector components, ``(..., y, x)`` [power/µm²]."""
        return _intensity(self)

    @property
    def amplitude(self) -> Array:
        """Modulus of the samples, shaped like ``u``; its gradient is zero at dark samples."""
        return _amplitude(self.u)

    @property
    def phase(self) -> Array:
        """Phase of the samples in (-pi, pi], shaped like ``u`` [rad]; zero at dark samples."""
        return _phase(self.u)

    @property
    def power(self) -> Array:
        """Power in the window, ``(...)`` [power]."""
        return _power(self)

    # -- editing --------------------------------------------------------------------------

    def replace(self, **leaves: Any) -> Self:
        """Returns a copy with some of ``u``, ``spacing``, ``wavelength`` replaced."""
        return dataclasses.replace(self, **leaves)

    def conj(self) -> Self:
        """Returns the complex conjugate: the wave that runs backward in time."""
        return self.replace(u=jnp.conj(self.u))

    def astype(self, dtype: DTypeLike | None) -> Self:
        """Returns the field in complex64 or complex128 (all leaves)."""
        dtype = complex_dtype("astype", dtype)
        real = numerics.real_dtype(dtype)
        return self.replace(
            u=self.u.astype(dtype),
            spacing=self.spacing.astype(real),
            wavelength=self.wavelength.astype(real),
        )

    def expand(self, value: ArrayLike) -> Array:
        """Appends axes so that a value of the batch's shape broadcasts against ``u``."""
        value = jnp.asarray(value, self.real_dtype)
        return value.reshape(*value.shape, *(1,) * self._rank)

    def on_grid(self, array: ArrayLike) -> Array:
        """Shapes an array ``(..., y, x)`` so that it broadcasts against ``u``."""
        return jnp.asarray(array)

    def __getitem__(self, index: object) -> Self:
        """Selects from the batch axes, never from the samples."""
        if not self.batch_shape:
            raise IndexError(
                "Field: indexing selects from the batch axes, and this field has none. "
                "Use field.u[...] for samples, or crop."
            )
        parts = index if isinstance(index, tuple) else (index,)
        if any(part is Ellipsis for part in parts):
            raise IndexError("Field: '...' would reach into the samples; name the batch axes.")
        if _check.is_concrete(parts):
            np.empty(self.batch_shape, np.int8)[index]  # numpy raises where jax would clamp
        return jax.tree.map(lambda leaf: leaf[index], self)

    def __len__(self) -> int:
        if not self.batch_shape:
            raise TypeError("Field: a field without batch axes has no length.")
        return self.batch_shape[0]

    def __iter__(self) -> Iterator[Self]:
        return (self[k] for k in range(len(self)))

    # -- arithmetic -----------------------------------------------------------------------

    def _combine(self, other: Any, operation: Any) -> Self:
        if not isinstance(other, Field):
            return NotImplemented
        if type(self) is not type(other):
            raise TypeError("Field: a scalar and a vector field cannot be added.")
        if self.shape != other.shape:
            raise ValueError(
                f"Field: fields on different grids cannot be added, got {self.shape} and "
                f"{other.shape} samples. Crop, pad or resample one of them."
            )
        batch = _check.broadcast("Field", left=self.batch_shape, right=other.batch_shape)
        for name, unit in (("spacing", "µm"), ("wavelength", "µm")):
            a, b = getattr(self, name), getattr(other, name)
            if _check.is_concrete(a, b) and not np.allclose(a, b, rtol=1e-5, atol=0):
                raise ValueError(
                    f"Field: fields of different {name} cannot be added, got {np.asarray(a)} and "
                    f"{np.asarray(b)} {unit}. Add their intensities, or resample one of them."
                )
        left = broadcast(self, batch)
        return left.replace(u=operation(left.u, other.u))

    def __add__(self, other: object) -> Self:
        return self._combine(other, jnp.add)

    def __sub__(self, other: object) -> Self:
        return self._combine(other, jnp.subtract)

    def __mul__(self, factor: ArrayLike) -> Self:
        if isinstance(factor, Field):
            raise TypeError("Field: multiply by an array (a transmission), not by a Field.")
        return modulate(self, factor)

    __rmul__ = __mul__

    def __truediv__(self, factor: ArrayLike) -> Self:
        return self.replace(u=self.u / factor) if np.ndim(factor) == 0 else self * (1 / factor)

    def __neg__(self) -> Self:
        return self.replace(u=-self.u)

    # -- pictures and printing ------------------------------------------------------------

    def plot(self, **options: object) -> Any:
        """Plots the intensity and the phase; options as for :func:`jaxwave.plot.plot_field`."""
        return import_module("jaxwave.plot").plot_field(self, **options)

    def _repr_html_(self) -> str:
        """What a notebook shows: the sentence, and a picture where one can be drawn."""
        text = _notebook.words(repr(self))
        if not _check.is_concrete(self.u, self.spacing) or getattr(self.u, "ndim", 0) < self._rank:
            return text
        first = self
        if index := (0,) * len(self.batch_shape):
            first = self[index]
            text += _notebook.words(
                f"field[{', '.join('0' for _ in index)}] of {self.batch_shape}:"
            )
        return text + _notebook.picture(first.plot, "the field")

    def __repr__(self) -> str:
        shape = getattr(self.u, "shape", None)
        if shape is None:
            return f"{type(self).__name__}(<placeholder>)"
        return (
            f"{type(self).__name__}({tuple(shape)} {self.u.dtype}, "
            f"spacing={_summary(self.spacing, pair=True)}, "
            f"wavelength={_summary(self.wavelength)})"
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class VectorField(Field):
    r"""A vector field on a grid, the Cartesian components :math:`(E_x, E_y, E_z)`.

    .. math:: P = \sum (|E_x|^2 + |E_y|^2 + |E_z|^2)\,\Delta y\,\Delta x

    Valid wherever Maxwell's equations are. The components are axis -3 of ``u``, in the order
    x, y, z. Make one with :func:`vector_field`.

    Args:
        u: Complex amplitudes, ``(..., 3, y, x)`` [sqrt(power)/µm].
        spacing: Sample spacing (dy, dx), ``(..., 2)`` [µm].
        wavelength: Vacuum wavelength, ``(...)`` [µm].

    Raises:
        TypeError: When it is added to a scalar field.
        ValueError: When fields on different grids are added.

    Example:
        >>> vector_field(jnp.ones((3, 32, 64)), spacing=(0.5, 0.25), wavelength=0.532)
        VectorField((3, 32, 64) complex64, spacing=(0.5, 0.25) µm, wavelength=0.532 µm)

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 2.12.
    """

    @property
    def _rank(self) -> int:
        return 3

    def on_grid(self, array: ArrayLike) -> Array:
        """Shapes an array ``(..., y, x)`` so that it broadcasts against ``u``."""
        return jnp.asarray(array)[..., None, :, :]


# A function that takes a field of either kind returns a field of that kind.
AnyField = TypeVar("AnyField", bound=Field)


# -- making fields -------------------------------------------------------------------------


def complex_dtype(where: str, dtype: DTypeLike | None = None) -> np.dtype:
    """Complex type: what is asked for, else that of JAX's default precision."""
    if dtype is None:
        return np.dtype(jnp.result_type(complex))
    result = np.dtype(dtype)
    if result.kind != "c":
        raise TypeError(f"{where}: `dtype` must be complex64 or complex128, got {result}.")
    if result == np.complex128 != np.dtype(jnp.result_type(complex)):
        raise ValueError(
            f"{where}: complex128 needs 64-bit mode, which is off. "
            "Call jax.config.update('jax_enable_x64', True) first."
        )
    return result


def _make(
    kind: type, where: str, u: ArrayLike, spacing: ArrayLike | str, wavelength: ArrayLike | str
) -> Any:
    rank = 3 if kind is VectorField else 2
    layout = "(..., y, x)" if rank == 2 else "(..., 3, y, x)"
    _check.at_least(where, "u", u, rank, layout)
    u = jnp.asarray(u)
    if rank == 3 and u.shape[-3] != 3:
        raise ValueError(
            f"{where}: `u` must have the axes (..., 3, y, x) with the components x, y, z on axis "
            f"-3, got the shape {u.shape}."
        )
    if 0 in u.shape:
        raise ValueError(f"{where}: `u` must not be empty, got the shape {u.shape}.")
    wavelength = _check.wavelength(where, wavelength)
    real = numerics.real_dtype(jnp.result_type(u.dtype, jnp.complex64))
    pair = grid.checked_spacing(where, spacing, real)
    wavelength = numerics.number(wavelength, real)
    batch = _check.broadcast(
        where, u=u.shape[:-rank], spacing=pair.shape[:-1], wavelength=wavelength.shape
    )
    return _broadcast(kind(u, jnp.asarray(pair), jnp.asarray(wavelength)), batch)


def scalar_field(u: ArrayLike, *, spacing: ArrayLike | str, wavelength: ArrayLike | str) -> Field:
    r"""Makes a scalar field from samples.

    .. math:: u_{jk} = u(y_j, x_k),\qquad x_k = (k - \lfloor N_x/2 \rfloor)\,\Delta x

    Valid for any sampling; whether a step resolves it is that step's business.

    Args:
        u: Samples, ``(..., y, x)``, real or complex [sqrt(power)/µm].
        spacing: Sample spacing, one number or (dy, dx), ``(..., 2)`` [µm]; or ``"130 nm"``.
        wavelength: Vacuum wavelength, ``(...)`` [µm]; or a text such as ``"532 nm"``.

    Returns:
        The field, all of whose leaves have the common batch axes.

    Raises:
        ValueError: If the shapes do not fit or a number is not positive.
        TypeError: If a number is not real.

    Example:
        >>> scalar_field(jnp.ones((8, 8)), spacing=0.5, wavelength=jnp.array([0.45, 0.65]))
        Field((2, 8, 8) complex64, spacing=0.5 µm, wavelength=0.45 ... 0.65 µm)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 3.2.
    """
    return _make(Field, "scalar_field", u, spacing, wavelength)


def vector_field(
    u: ArrayLike, *, spacing: ArrayLike | str, wavelength: ArrayLike | str
) -> VectorField:
    r"""Makes a vector field from the samples of its Cartesian components.

    .. math:: u = (E_x, E_y, E_z)

    Valid for any sampling.

    Args:
        u: Components, ``(..., 3, y, x)``, real or complex [sqrt(power)/µm].
        spacing: Sample spacing, one number or (dy, dx), ``(..., 2)`` [µm]; or ``"130 nm"``.
        wavelength: Vacuum wavelength, ``(...)`` [µm]; or a text such as ``"532 nm"``.

    Returns:
        The field, all of whose leaves have the common batch axes.

    Raises:
        ValueError: If the shapes do not fit or a number is not positive.
        TypeError: If a number is not real.

    Example:
        >>> vector_field(jnp.ones((3, 8, 8)), spacing=0.5, wavelength=0.6).shape
        (8, 8)

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 2.12.
    """
    return _make(VectorField, "vector_field", u, spacing, wavelength)


# -- batches -------------------------------------------------------------------------------


def broadcast(field: AnyField, batch: Sequence[int]) -> AnyField:
    """Broadcasts every leaf to the batch axes ``batch``."""
    batch = tuple(batch)
    if field.batch_shape == batch == field.wavelength.shape == field.spacing.shape[:-1]:
        return field
    return field.replace(
        u=jnp.broadcast_to(field.u, batch + field.u.shape[-field._rank :]),
        spacing=jnp.broadcast_to(field.spacing, (*batch, 2)),
        wavelength=jnp.broadcast_to(field.wavelength, batch),
    )


def with_parameters(
    where: str, field: AnyField, **parameters: ArrayLike
) -> tuple[AnyField, list[Array]]:
    """Broadcasts a field and parameters ``(...)`` to their common batch axes."""
    arrays = {name: jnp.asarray(p, field.real_dtype) for name, p in parameters.items()}
    shapes = {name: a.shape for name, a in arrays.items()}
    batch = _check.broadcast(where, field=field.batch_shape, **shapes)
    return broadcast(field, batch), [jnp.broadcast_to(a, batch) for a in arrays.values()]


def modulate(field: AnyField, transmission: ArrayLike) -> AnyField:
    """Multiplies a field by a transmission: a scalar, or an array ``(..., y, x)``."""
    t = jnp.asarray(transmission)
    if t.ndim == 0:
        return field.replace(u=(field.u * t).astype(field.dtype))
    if t.ndim == 1:
        raise ValueError(
            f"Field: a factor must be a scalar or (..., y, x), got the shape {t.shape}. "
            "Use field.expand(value) for one value per batch entry."
        )
    for got, need in zip(t.shape[-2:], field.shape, strict=True):
        if got not in (1, need):
            _check.same_grid("Field", "factor", t.shape, field.shape)
    batch = _check.broadcast("Field", field=field.batch_shape, factor=t.shape[:-2])
    field = broadcast(field, batch)
    return field.replace(u=(field.u * field.on_grid(t)).astype(field.dtype))


@numerics.program("batch")
def _broadcast(field: AnyField, batch: tuple[int, ...]) -> AnyField:
    u = field.u.astype(jnp.result_type(field.u.dtype, jnp.complex64))
    return broadcast(field.replace(u=u), batch)


# -- what the properties compute -----------------------------------------------------------


def _squared(u: Array) -> Array:
    return jnp.real(u) ** 2 + jnp.imag(u) ** 2


@numerics.program()
def _intensity(field: Field) -> Array:
    square = _squared(field.u)
    return jnp.sum(square, axis=-3) if isinstance(field, VectorField) else square


@numerics.program()
def _amplitude(u: Array) -> Array:
    return numerics.safe_sqrt(_squared(u))


@numerics.program()
def _phase(u: Array) -> Array:
    lit = _squared(u) > 0
    return jnp.where(lit, jnp.angle(jnp.where(lit, u, jnp.ones_like(u))), 0)


@numerics.program()
def _power(field: Field) -> Array:
    axes = tuple(range(-field._rank, 0))
    return jnp.sum(_squared(field.u), axis=axes) * jnp.prod(field.spacing, axis=-1)


def _summary(value: object, pair: bool = False) -> str:
    if not _check.is_concrete(value) or not hasattr(value, "shape"):
        return "<traced>"
    array = np.asarray(value, np.float64)
    if array.size == 0:
        return "<empty>"
    if pair and array.shape[-1:] == (2,):
        rows = array.reshape(-1, 2)
        if not np.allclose(rows[:, 0], rows[:, 1], rtol=1e-6):
            low, high = rows.min(0), rows.max(0)
            text = f"({low[0]:.4g}, {low[1]:.4g})"
            if not np.allclose(low, high, rtol=1e-6):
                text += f" ... ({high[0]:.4g}, {high[1]:.4g})"
            return f"{text} µm"
    low, high = array.min(), array.max()
    return f"{low:.4g} µm" if np.isclose(low, high, rtol=1e-6) else f"{low:.4g} ... {high:.4g} µm"
