"""Lenses."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, collins, fourier, grid, numerics, sampling
from jaxwave.field import AnyField, Field, modulate, with_parameters
from jaxwave.numerics import TwoWord, cis, word


def _plain_parabola(count: int, *parameters: Array) -> Array:
    spacing, wavelength, f, n = parameters
    x = grid.indices(count).astype(spacing.dtype) * spacing
    return -0.5 * n / (wavelength * f) * x**2


@numerics.two_words(_plain_parabola)
def _parabola_turns(count: int, *parameters: Array) -> Array:
    """Phase -n x^2 / (2 lambda f) along one axis."""
    spacing, wavelength, f, n = (word(p, p.dtype) for p in parameters)
    rate = numerics.divide(
        numerics.multiply(n, numerics.multiply(spacing, spacing)), numerics.multiply(wavelength, f)
    )
    half = TwoWord(-0.5 * rate.hi, -0.5 * rate.lo)
    squares = grid.indices(count).astype(float) ** 2
    return numerics.product_turns(half, word(squares, parameters[0].dtype))


def thin_lens(field: AnyField, f: ArrayLike | str, *, n: ArrayLike = 1.0) -> AnyField:
    r"""Refracts a field in a thin lens.

    .. math:: u' = u\,\exp\!\left[-i\pi\frac{n}{\lambda f}(x^2 + y^2)\right]

    Paraxial and thin, without a rim (see :func:`~jaxwave.apertures.circular_aperture`). A positive
    focal length converges. The phase keeps two words in float32. Sampled while the lens' local
    frequency :math:`n|x|/(\lambda f)` stays below :math:`1/(2\Delta x)`.

    Args:
        field: The field in front of the lens, ``(..., y, x)`` or ``(..., 3, y, x)``.
        f: Focal length in the medium, ``(...)``, negative for a diverging lens [µm].
        n: Refractive index of the medium, ``(...)``.

    Returns:
        The field behind the lens, with the same power.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If ``f`` is zero or not finite, ``n`` is not positive or shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> field = plane_wave((64, 64), spacing=1.0, wavelength=0.5)
        >>> round(float(thin_lens(field, 1000.0).phase[32, 42]), 4)
        -0.6283

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 6.1, Eq. 6-10.
    """
    where = "thin_lens"
    _check.is_field(where, field, Field)
    f = _check.length(where, "f", f)
    _check.finite(where, "f", f, unit="µm")
    _check.nonzero(where, "f", f, unit="µm", fix="A plane plate of no power needs no lens.")
    _check.positive(where, "n", n)
    _check.broadcast(where, field=field.batch_shape, f=np.shape(f), n=np.shape(n))
    if _check.is_concrete(field.wavelength, f, n):
        power = np.asarray(n, float) / np.asarray(f, float)
        rate = np.max(np.abs(power)) / np.min(np.asarray(field.wavelength))
        sampling.warn_lens(where, field, "the lens", rate)
    return _refract(field, *(numerics.number(a, field.real_dtype) for a in (f, n)))


@numerics.program()
def _refract(field: AnyField, f: Array, n: Array) -> AnyField:
    field, (f, n) = with_parameters("thin_lens", field, f=f, n=n)

    def axis(count: int, spacing: Array) -> Array:
        def one(*parameters: Array) -> Array:
            return cis(_parabola_turns(count, *parameters))

        return numerics.vectorize(one, f.shape)(spacing, field.wavelength, f, n)

    dy, dx = field.spacing[..., 0], field.spacing[..., 1]
    ny, nx = field.shape
    return modulate(modulate(field, axis(ny, dy)[..., :, None]), axis(nx, dx)[..., None, :])


def lens(
    field: AnyField,
    f: ArrayLike | str,
    *,
    front: ArrayLike | str,
    back: ArrayLike | str,
    n: ArrayLike = 1.0,
    spacing: ArrayLike | str | None = None,
    shape: tuple[int, int] | None = None,
    inverse: bool = False,
) -> AnyField:
    r"""Propagates a field through a lens, from any plane in front to any plane behind.

    .. math:: \begin{pmatrix} A & B \\ C & D \end{pmatrix} = \begin{pmatrix}
        1 - b/f & a + b - ab/f \\ -1/f & 1 - a/f \end{pmatrix}

    by Collins' integral (:func:`~jaxwave.collins.ray_transfer`), with the distances a in front
    and b behind the lens. Paraxial, without a rim; the carrier over a + b is left out. By default
    the output has the spacing of a Fourier transform, :math:`\lambda |B|/(n N \Delta x)`, and all
    the power, and ``inverse=True`` undoes it exactly. An image (B = 0) needs ``spacing``, with
    which every pair of planes is computed for that grid.

    Args:
        field: The field in the front plane, ``(..., y, x)`` or ``(..., 3, y, x)``.
        f: Focal length in the medium, ``(...)``, negative for a diverging lens [µm].
        front: Distance from the front plane to the lens, ``(...)``, may be negative [µm].
        back: Distance from the lens to the back plane, ``(...)``, may be negative [µm].
        n: Refractive index of the medium, ``(...)``.
        spacing: Output spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        shape: Number of output samples (ny, nx); by default the field's.
        inverse: True leads from the back plane to the front plane.

    Returns:
        The field in the other plane.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If ``f`` is zero, an image has no ``spacing``, a number is out of range or the
            shapes do not fit.

    Example:
        >>> from jaxwave.beams import gaussian_beam
        >>> beam = gaussian_beam((64, 64), spacing=2.0, wavelength=0.5, waist=16.0)
        >>> image = lens(beam, 1000.0, front=1500.0, back=3000.0, spacing=4.0)
        >>> back = lens(lens(beam, 1000.0, front=800.0, back=1000.0), 1000.0,
        ...             front=800.0, back=1000.0, inverse=True)
        >>> round(float(image.power), 4), bool(jnp.allclose(back.u, beam.u, atol=1e-5))
        (1.0, True)

    References:
        S. A. Collins, J. Opt. Soc. Am. 60, 1168 (1970); J. W. Goodman, *Introduction to Fourier
        Optics*, Sec. 6.2.
    """
    where = "lens"
    _check.is_field(where, field, Field)
    f, front, back = (
        _check.length(where, k, v) for k, v in (("f", f), ("front", front), ("back", back))
    )
    _check.finite(where, "f", f, unit="µm")
    _check.nonzero(where, "f", f, unit="µm", fix="A plane plate of no power needs no lens.")
    _check.finite(where, "front", front, unit="µm")
    _check.finite(where, "back", back, unit="µm")
    _check.positive(where, "n", n)
    field, (f, front, back, n) = with_parameters(where, field, f=f, front=front, back=back, n=n)
    a, d = 1 - back / f, 1 - front / f
    b = front + back * d
    if spacing is None and (shape is None or inverse):
        _check_no_image(where, b, front, back)
    if spacing is None and shape is None:
        return collins.single_transform(field, (a, b, d), n, inverse)
    view = collins.window(where, field, spacing, shape, None, None)
    assert view is not None
    return collins.apply(where, field, (a, b, -1 / f, d), n, view, adjoint=inverse)


def _check_no_image(where: str, b: Array, front: Array, back: Array) -> None:
    if not _check.is_concrete(b, front, back):
        return
    size = np.abs(np.asarray(front)) + np.abs(np.asarray(back))
    if np.any(np.abs(np.asarray(b)) <= 1e-6 * size):
        raise ValueError(
            f"{where}: `spacing` is needed for an image (1/front + 1/back = 1/f), which has no "
            "Fourier transform's spacing. Pass spacing, for example the field's times back/front."
        )


def four_f(
    field: AnyField,
    f1: ArrayLike | str,
    f2: ArrayLike | str,
    *,
    n: ArrayLike = 1.0,
    pupil: ArrayLike | None = None,
) -> AnyField:
    r"""Images a field by two lenses that share a focus, through a pupil between them.

    .. math:: u'(x) = -\frac{f_1}{f_2}\, (u * h)\!\left(-\frac{f_1}{f_2}\,x\right),
        \qquad h = \mathcal F^{-1} P

    Paraxial; the image is inverted and magnified by f2/f1, and so is its spacing. Without a pupil
    all power is kept.

    Args:
        field: The field in the front focal plane, ``(..., y, x)`` or ``(..., 3, y, x)``.
        f1: Focal length of the first lens in the medium, ``(...)`` [µm].
        f2: Focal length of the second lens in the medium, ``(...)`` [µm].
        n: Refractive index of the medium, ``(...)``.
        pupil: Transmission of the shared focal plane, ``(..., ny, nx)``, real or complex, on the
            samples of ``ff_lens(field, f1)`` [amplitude].

    Returns:
        The image.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If a focal length is not positive or the pupil does not fit the field.

    Example:
        >>> from jaxwave.beams import gaussian_beam
        >>> beam = gaussian_beam((64, 64), spacing=2.0, wavelength=0.5, waist=16.0)
        >>> [round(float(d), 3) for d in four_f(beam, "100 mm", "180 mm").spacing]
        [3.6, 3.6]

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 8.1.
    """
    for name, value in (("f1", f1), ("f2", f2)):
        _check.positive("four_f", name, _check.length("four_f", name, value), unit="µm")
    middle = ff_lens(field, f1, n=n)
    if pupil is not None:
        _check.same_grid("four_f", "pupil", np.shape(pupil), field.shape)
        middle = modulate(middle, jnp.asarray(pupil))
    return ff_lens(middle, f2, n=n)


def ff_lens(
    field: AnyField,
    f: ArrayLike | str,
    *,
    n: ArrayLike = 1.0,
    spacing: ArrayLike | str | None = None,
    shape: tuple[int, int] | None = None,
    inverse: bool = False,
) -> AnyField:
    r"""Propagates a field from the front to the back focal plane of a lens.

    .. math:: u'(x, y) = \frac{n}{i\lambda f} \iint u(\xi, \eta)\,
        \exp\!\left[-i 2\pi\frac{n}{\lambda f}(x\xi + y\eta)\right] d\xi\,d\eta

    Paraxial, without a rim. The carrier over 2f is left out. Two lenses in a row make an
    inverted image with the factor -1 (:math:`1/i` each). By default the output has the spacing
    of the Fourier transform, :math:`\lambda f/(n N \Delta x)`, and all the power; with
    ``spacing`` or ``shape`` it is evaluated exactly on that grid (a matrix transform), also for
    a spacing that is swept or learned.

    Args:
        field: The field in the front focal plane, ``(..., y, x)`` or ``(..., 3, y, x)``.
        f: Focal length in the medium, ``(...)`` [µm].
        n: Refractive index of the medium, ``(...)``.
        spacing: Output spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        shape: Number of output samples (ny, nx); by default the field's.
        inverse: True propagates from the back to the front focal plane: without ``spacing`` and
            ``shape`` the exact inverse.

    Returns:
        The field in the other focal plane; its spacing follows the wavelength.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If ``f``, ``n`` or ``spacing`` is not positive or the shapes do not fit.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> pupil = plane_wave((100, 100), spacing=50.0, wavelength=0.5)
        >>> ff_lens(pupil, 180e3)
        Field((100, 100) complex64, spacing=18 µm, wavelength=0.5 µm)

    References:
        J. W. Goodman, *Introduction to Fourier Optics*, Sec. 6.2.2, Eq. 6-17.
    """
    where = "ff_lens"
    _check.is_field(where, field, Field)
    f = _check.length(where, "f", f)
    fix = "For the reverse direction pass inverse=True."
    _check.positive(where, "f", f, unit="µm", fix=fix)
    _check.positive(where, "n", n)
    view = collins.window(where, field, spacing, shape, None, None)
    shape, new = (None, None) if view is None else view[:2]
    f, n = (numerics.number(a, field.real_dtype) for a in (f, n))
    windows = np.shape(new)[:-1]
    _check.broadcast(where, field=field.batch_shape, f=f.shape, n=n.shape, spacing=windows)
    if new is not None and _check.is_concrete(field.spacing, field.wavelength, f, n):
        scale = np.asarray(field.wavelength) * np.asarray(f) / np.asarray(n)
        replica = [scale / np.asarray(field.spacing)[..., k] for k in (0, 1)]
        sampling.warn_window(where, "one replica", shape or field.shape, new, replica)
    return _transform(field, f, n, new, shape, inverse)


@numerics.program("shape", "inverse")
def _transform(
    field: AnyField,
    f: Array,
    n: Array,
    spacing: ArrayLike | None,
    shape: tuple[int, int] | None,
    inverse: bool,
) -> AnyField:
    where = "ff_lens"
    field, (f, n) = with_parameters(where, field, f=f, n=n)
    scale = (field.wavelength * f / n)[..., None]
    factor = 1j if inverse else -1j
    new = scale / field.extent if spacing is None else spacing
    if shape is None:
        u = (fourier.ift2 if inverse else fourier.ft2)(field.u)
    else:
        view = collins.Window(shape, new, 0.0, 0.0)
        field, (scale,), new, _ = collins.settle(where, field, view, scale=scale[..., 0])
        alpha = field.spacing * new / scale[..., None]
        alpha = alpha[..., None, :] if field._rank == 3 else alpha
        u = fourier.matrix_ft2(field.u, alpha, shape, inverse=inverse)
    density = jnp.sqrt(jnp.prod(field.spacing / new, axis=-1))
    u = factor * u * field.expand(density)
    return field.replace(u=u.astype(field.dtype), spacing=new)
