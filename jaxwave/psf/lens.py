"""The lens of high numerical aperture, from a field in its pupil to the field at its focus."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, grid, numerics
from jaxwave.field import Field, VectorField, broadcast
from jaxwave.psf import _folded, _nodes, _pupil_model
from jaxwave.psf._propagate import jones_vector
from jaxwave.psf._pupil_model import Plan
from jaxwave.psf.transmission import APODIZATIONS


def _focus(
    where: str, kind: str, field: Any, vector: Array, f: Any, options: dict[str, Any]
) -> tuple[Array, Array, Array]:
    """Samples at the focus, their spacing and the wavelength, with batch axes."""
    f, z = _check.length(where, "f", f), _check.length(where, "z", options["z"])
    _check.positive(where, "f", f, unit="µm")
    _check.positive(where, "n", options["n"])
    _check.numerical_aperture(where, options["na"], options["n"])
    _check.finite(where, "z", z, unit="µm")
    _check.choice(where, "apodization", options["apodization"], APODIZATIONS)
    spacing = _check.length(where, "spacing", options["spacing"])
    _check.positive(where, "spacing", spacing, unit="µm")
    shape = options["shape"]
    shape = field.shape if shape is None else _check.grid_shape(where, shape)
    real = field.real_dtype
    pair = grid.spacing_pair(spacing, real)
    values = {"f": f, "na": options["na"], "n": options["n"]}
    arrays = {name: jnp.asarray(v, real) for name, v in values.items()} | {
        "z": jnp.asarray(z, real)
    }
    shapes = {name: a.shape for name, a in arrays.items()} | {"spacing": pair.shape[:-1]}
    batch = _check.broadcast(where, field=field.batch_shape, **shapes)
    still = _check.broadcast(where, field=field.batch_shape, **(shapes | {"z": ()}))
    _check_window(where, field, arrays)
    _check_samples(where, field, shape, pair, arrays)
    seen = {"na": options["na"], "wavelength": field.wavelength, "spacing": pair, "nodes": None}
    plan = Plan(
        shape, 0, field.shape, kind, False, options["apodization"], shape[0] * shape[1] % 2 == 0,
        between=_nodes.between(where, shape, seen),
    )  # fmt: skip

    def one(
        u: Array, old: Array, wavelength: Array, f: Array, na: Array, n: Array, new: Array, z: Array
    ) -> Array:
        # The light of the pupil's point +x runs toward -x.
        values = u if u.ndim == 3 else u[None]
        quadrants = [row[::-1] for row in _folded.quadrants_of_grid(-1j * values)[::-1]]
        step = old * n / (f * na)
        zero = jnp.zeros((), na.dtype)
        v: dict[str, Any] = {
            "na": na,
            "wavelength": wavelength,
            "n": n,
            "spacing": new,
            "z": z,
            "y": zero,
            "x": zero,
        }
        v |= {"step": (step[0], step[1]), "layers": None, "e": vector.astype(u.dtype)}
        v["scale"] = f / n * na**2 / wavelength
        return _pupil_model.run(plan, quadrants, v)

    pairs = jnp.broadcast_to(pair, (*batch, 2))
    if not still:  # one pupil, many planes
        p = (
            (field.u[..., :2, :, :] if field._rank == 3 else field.u),
            field.spacing,
            field.wavelength,
        )
        u = one(*p, arrays["f"], arrays["na"], arrays["n"], pair, arrays["z"])
        return u, pairs, jnp.broadcast_to(field.wavelength, batch)
    field = broadcast(field, batch)
    rest = [jnp.broadcast_to(arrays[k], batch) for k in ("f", "na", "n")]
    samples = field.u[..., :2, :, :] if field._rank == 3 else field.u
    u = numerics.map_batch(
        one,
        batch,
        samples,
        field.spacing,
        field.wavelength,
        *rest,
        pairs,
        jnp.broadcast_to(arrays["z"], batch),
    )
    return u, pairs, field.wavelength


def _check_window(where: str, field: Any, arrays: dict[str, Array]) -> None:
    if not _check.is_concrete(field.spacing, arrays):
        return
    radius = np.max(np.asarray(arrays["f"] * arrays["na"] / arrays["n"]))
    need = 2 * radius
    have = float(np.min(np.asarray(field.spacing) * (np.array(field.shape) - 1)))
    if have < need * (1 - 1e-5):
        _check.warn(
            where,
            f"the aperture is {need:.4g} µm wide (2 f na / n), the field only {have:.4g} µm; what "
            "is beyond is taken as dark. Pad the field, or make its `spacing` larger.",
        )


def _check_samples(
    where: str, field: Any, shape: tuple[int, int], pair: Array, arrays: dict[str, Array]
) -> None:
    """Warns where the samples in the aperture are too few for the output window and z."""
    if not _check.is_concrete(field.spacing, field.wavelength, pair, arrays):
        return
    f, na, n, z = (np.asarray(arrays[k], float) for k in ("f", "na", "n", "z"))
    # The smallest number of samples across any aperture stands for the batch.
    step = np.max(field.spacing) / np.min(2 * f * na / n)
    o = {"na": np.max(na), "n": np.min(n), "wavelength": np.min(field.wavelength)}
    if o["na"] >= o["n"]:
        return
    o |= {"spacing": np.full(2, np.max(pair)), "z": z, "y": 0.0, "x": 0.0}
    across = round(1 / float(step)) + 1
    _nodes.check_samples(where, (across, across), shape, o, "`field` across its aperture")


def high_na_ff_lens(
    field: Field,
    f: ArrayLike | str,
    *,
    na: ArrayLike,
    spacing: ArrayLike | str,
    shape: tuple[int, int] | None = None,
    n: ArrayLike = 1.0,
    z: ArrayLike | str = 0.0,
    polarization: ArrayLike | tuple[complex, complex] = (1.0, 0.0),
    apodization: str = "aplanatic",
) -> VectorField:
    r"""Focuses a field in the pupil of a lens of high numerical aperture.

    .. math:: \mathbf E(\mathbf r) = \frac{f}{i \lambda n} \iint_{|s| \le \mathrm{NA}} a(s)\,
        [\hat{\mathbf s}\hat{\mathbf s}^T + \hat{\mathbf p}\hat{\boldsymbol\rho}^T]\,
        \mathbf u(\boldsymbol\xi)\,
        e^{-2\pi i [\mathbf s \cdot \mathbf r - z (\sqrt{n^2 - s^2} - n)]/\lambda}\, d^2s,
        \qquad \mathbf s = n\,\boldsymbol\xi/f

    Exact as a Debye integral over a lens that obeys the sine condition; valid for apertures of
    many wavelengths. The aperture of the radius f na/n is applied here, with weights for the
    area of every sample and beyond (the error falls with the power 2.5 of the pupil's sampling),
    so the field should reach a little beyond it. Every ray keeps its power for the aplanatic
    lens; the sum of the focal intensity is larger than the power, because oblique waves spend
    more energy in a plane than they carry through it. For a low aperture it is
    :func:`~jaxwave.lenses.ff_lens` of the same field with a relative difference of order (na/n)^2.

    Args:
        field: The field in the front focal plane, ``(..., y, x)``; or a vector field, whose axial
            component is left out.
        f: Focal length in the medium, ``(...)`` [µm].
        na: Numerical aperture, ``(...)``, below ``n``.
        spacing: Output spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        shape: Number of output samples (ny, nx); by default the field's.
        n: Refractive index of the medium, ``(...)``.
        z: Position of the output plane relative to the focus, ``(...)`` [µm].
        polarization: Jones vector (ex, ey) of a scalar field's light, ``(2,)`` [none].
        apodization: "aplanatic", "herschel" or "none", see :func:`apodization`.

    Returns:
        The field at the focus; all arguments broadcast to its batch axes.

    Raises:
        TypeError: If ``field`` is not a field.
        ValueError: If a number is out of range or shapes do not fit.

    Warns:
        JaxwaveWarning: If the aperture is larger than the field, or the field's samples are too few
            for the window and z.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> pupil = plane_wave((128, 128), spacing=35.0, wavelength=0.532)
        >>> high_na_ff_lens(pupil, 2500.0, na=1.3, n=1.518, spacing=0.04, shape=(64, 64))
        VectorField((3, 64, 64) complex64, spacing=0.04 µm, wavelength=0.532 µm)

    References:
        B. Richards and E. Wolf, Proc. R. Soc. A 253, 358 (1959); L. Novotny and B. Hecht,
        *Principles of Nano-Optics*, Sec. 3.5; M. Leutenegger et al., Opt. Express 14, 11277
        (2006).
    """
    where = "high_na_ff_lens"
    _check.is_field(where, field, Field)
    e = jones_vector(where, polarization)
    if isinstance(field, VectorField):
        e = jnp.ones_like(e)
    options = dict(na=na, n=n, z=z, spacing=spacing, shape=shape, apodization=apodization)
    return VectorField(*_focus(where, "focus", field, e, f, options))


def high_na_ff_lens_scalar(
    field: Field,
    f: ArrayLike | str,
    *,
    na: ArrayLike,
    spacing: ArrayLike | str,
    shape: tuple[int, int] | None = None,
    n: ArrayLike = 1.0,
    z: ArrayLike | str = 0.0,
    apodization: str = "aplanatic",
) -> Field:
    r"""Focuses a scalar field in the pupil of a lens of high numerical aperture.

    .. math:: E(\mathbf r) = \frac{f}{i \lambda n} \iint_{|s| \le \mathrm{NA}} a(s)\,
        u(\boldsymbol\xi)\,
        e^{-2\pi i [\mathbf s \cdot \mathbf r - z (\sqrt{n^2 - s^2} - n)]/\lambda}\, d^2s,
        \qquad \mathbf s = n\,\boldsymbol\xi/f

    As :func:`high_na_ff_lens`, but polarization is neglected: valid up to an aperture of about 0.5.
    With ``apodization="none"`` and z = 0 it is exactly
    :func:`~jaxwave.lenses.ff_lens` behind a circular aperture.

    Args:
        field: The field in the front focal plane, ``(..., y, x)``.
        f: Focal length in the medium, ``(...)`` [µm].
        na: Numerical aperture, ``(...)``, below ``n``.
        spacing: Output spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        shape: Number of output samples (ny, nx); by default the field's.
        n: Refractive index of the medium, ``(...)``.
        z: Position of the output plane relative to the focus, ``(...)`` [µm].
        apodization: "aplanatic", "herschel" or "none", see :func:`apodization`.

    Returns:
        The field at the focus; all arguments broadcast to its batch axes.

    Raises:
        TypeError: If ``field`` is not a scalar field.
        ValueError: If a number is out of range or shapes do not fit.

    Warns:
        JaxwaveWarning: If the aperture is larger than the field, or the field's samples are too few
            for the window and z.

    Example:
        >>> from jaxwave.sources import plane_wave
        >>> pupil = plane_wave((128, 128), spacing=35.0, wavelength=0.532)
        >>> high_na_ff_lens_scalar(pupil, 2500.0, na=0.5, spacing=0.1, shape=(64, 64)).shape
        (64, 64)

    References:
        M. Gu, *Advanced Optical Imaging Theory*, Sec. 6.2.
    """
    where = "high_na_ff_lens_scalar"
    _check.is_field(where, field, Field)
    if isinstance(field, VectorField):
        raise TypeError(f"{where}: `field` must be scalar, got a VectorField. Use high_na_ff_lens.")
    options = dict(na=na, n=n, z=z, spacing=spacing, shape=shape, apodization=apodization)
    return Field(*_focus(where, "scalar", field, jnp.ones(1), f, options))
