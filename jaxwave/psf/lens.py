"""The lens of high numerical aperture, from a field in its pupil to the field at its focus."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from jaxwave import _check, grid
from jaxwave._noun import typed
from jaxwave.field import Field, VectorField
from jaxwave.numerics import TAU, cis
from jaxwave.psf import _nodes, _planes
from jaxwave.psf._bounds import Numbers
from jaxwave.psf._parity import Nodes
from jaxwave.psf._planes import Plan
from jaxwave.psf._solve import cast, mapped, oriented, polarized, ranks_of
from jaxwave.psf.layers import Path, defocus_path, gibson_lanni_path
from jaxwave.psf.objective import Dipole, Jones, Objective, Window


def _focus(
    where: str,
    kind: str,
    field: Field,
    vector: object,
    f: ArrayLike | str,
    samples: tuple[Any, Any, Any],  # shape, spacing, z
    **optics: Any,
) -> tuple[Array, Array, Array]:
    """Samples at the focus, their spacing and the wavelength, with batch axes."""
    f, (shape, spacing, z) = _check.length(where, "f", f), samples
    _check.positive(where, "f", f, unit="µm")
    with _check.named("Objective", where):
        objective = Objective(wavelength=field.wavelength, **optics)
    with _check.named("Window", where):
        window = Window(field.shape if shape is None else shape, spacing, z=z)
    shape, z, na, n = window.shape, window.z, objective.na, objective.n
    shapes = {"f": np.shape(f), "na": np.shape(na), "n": np.shape(n), "z": np.shape(z)}
    shapes |= {"spacing": np.shape(window.spacing)[:-1], "field": field.batch_shape}
    batch = _check.broadcast(where, **shapes)
    _check_field(where, field, objective, window, f)
    plan = Plan(
        kind, False, shape, None, field.shape, shape[0] * shape[1] % 2 == 0,
        between=_nodes.between(where, objective, window, None),
    )  # fmt: skip
    u = field.u[..., :2, :, :] if field._rank == 3 else field.u[..., None, :, :]
    real = field.real_dtype
    v = Numbers(objective, window.spacing, z, window.y, window.x, vector, None, u)
    result = _program(plan, batch, real, *typed((v, f), real), field.spacing)
    pairs = jnp.broadcast_to(grid.spacing_pair(window.spacing, real), (*batch, 2))
    return result, pairs, jnp.broadcast_to(field.wavelength, batch)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _program(
    plan: Plan, batch: tuple[int, ...], real: DTypeLike | None, v: Numbers, f: Array, old: Array
) -> Array:
    """The focus of one pupil after the other; many planes of one pupil share its nodes."""
    v, f, old = cast((v, f, old), real)
    o = v.objective
    v = v._replace(
        spacing=grid.spacing_pair(v.spacing),
        # The light of the pupil's point +x runs toward -x.
        values=-1j * jnp.flip(_centered(v.values), (-2, -1)),
        step=old * o.n[..., None] / (f * o.na)[..., None],
        scale=f / o.n * o.na**2 / o.wavelength,
    )
    ranks, still = ranks_of(v, plan), v._replace(z=None)
    if jax.tree.map(jnp.ndim, still) == ranks_of(still, plan):
        return _planes.one(plan, v)
    return mapped(partial(_planes.one, plan), v, ranks._replace(z=0), batch, loop=True)


def _centered(u: Array) -> Array:
    """Samples with the axis in the middle, odd in number, so that a flip keeps it there."""
    ny, nx = u.shape[-2:]
    return jnp.pad(u, [(0, 0)] * (u.ndim - 2) + [(0, 1 - ny % 2), (0, 1 - nx % 2)])


def _check_field(
    where: str, field: Field, objective: Objective, window: Window, f: ArrayLike
) -> None:
    """Warns where the aperture is wider than the field, or its samples are too few."""
    if not _check.is_concrete(field.spacing, f, objective.na, objective.n):
        return
    widths = 2 * np.asarray(f, float) * np.asarray(objective.na) / np.asarray(objective.n)
    need = float(np.max(widths))
    have = float(np.min(np.asarray(field.spacing) * (np.array(field.shape) - 1)))
    if have < need * (1 - 1e-5):
        _check.warn(
            where,
            f"the aperture is {need:.4g} µm wide (2 f na / n), the field only {have:.4g} µm; what "
            "is beyond is taken as dark. Pad the field, or make its `spacing` larger.",
        )
    # The smallest number of samples across any aperture stands for the batch.
    across = round(float(np.min(widths) / np.max(np.asarray(field.spacing)))) + 1
    _nodes.check_samples(where, (across, across), objective, window, "`field` across its aperture")


def high_na_ff_lens(
    field: Field,
    f: ArrayLike | str,
    *,
    na: ArrayLike,
    spacing: ArrayLike | str,
    shape: tuple[int, int] | None = None,
    n: ArrayLike = 1.0,
    z: ArrayLike | str = 0.0,
    polarization: Jones = (1.0, 0.0),
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
    if isinstance(polarization, str):
        raise TypeError(
            f"{where}: `polarization` must be two numbers (ex, ey), got {polarization!r}. For "
            "light that is radially polarized pass a VectorField."
        )
    e = polarized(where, polarization)[1]
    if np.ndim(e) != 1:
        raise ValueError(
            f"{where}: `polarization` must be two numbers (ex, ey), got the shape {np.shape(e)}. "
            "For one that varies pass a VectorField."
        )
    if isinstance(field, VectorField):
        e = np.ones(2)
    samples, optics = (shape, spacing, z), dict(na=na, n=n, apodization=apodization)
    return VectorField(*_focus(where, "focus", field, e, f, samples, **optics))


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
    samples, optics = (shape, spacing, z), dict(na=na, n=n, apodization=apodization)
    return Field(*_focus(where, "scalar", field, np.ones(1), f, samples, **optics))


def dipole_pupil(
    objective: Objective,
    shape: tuple[int, int],
    *,
    spacing: ArrayLike | str,
    f: ArrayLike | str,
    dipole: Dipole,
    z: ArrayLike | str = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    focus: ArrayLike | str = 0.0,
) -> VectorField:
    r"""Back focal plane of an objective that collects the light of a dipole.

    .. math:: \mathbf E(\mathbf h) = \frac1f \sqrt{\frac{3}{8\pi n_i n_s}}
        \frac{1}{\sqrt{\cos\theta}}\,[q_s\,\hat{\mathbf s}\hat{\mathbf s}^T
        + q_p\,\hat{\boldsymbol\rho}\hat{\mathbf p}^T]\,\mathbf d\;
        e^{2\pi i [\mathrm{OPD}(s) - \mathbf s \cdot \mathbf r_0]/\lambda},
        \qquad \mathbf h = f \mathbf s

    Exact for objectives that obey the sine condition. The dipole radiates unit power into all
    directions of an unbounded sample, so the power is the share that the objective collects, but
    for the samples on the rim: their amplitude is the share of their area inside, which images
    right and counts up to 1 % of the power too little (256 samples across). Put a
    mask here, then a tube lens (:func:`~jaxwave.lenses.ff_lens`): the image is turned by 180
    degrees and magnified by f_tube / f. The carrier is left out.

    Args:
        objective: The objective, with scalar numbers.
        shape: Number of samples (ny, nx).
        spacing: Sample spacing in the back focal plane, one number or ``(2,)`` as (dy, dx) [µm].
        f: Effective focal length in air (tube lens / magnification), scalar [µm].
        dipole: Direction of the moment (x, y, z), ``(3,)`` [none], complex for one that turns.
        z: Displacement of the emitter toward the objective, scalar [µm].
        y: Position of the emitter, scalar [µm].
        x: Position of the emitter, scalar [µm].
        focus: Displacement of the focal plane toward the objective (stage), scalar [µm].

    Returns:
        The field in the back focal plane; its axial component is zero.

    Raises:
        ValueError: If a number is out of range or not a scalar.
        TypeError: If something is of the wrong kind.

    Warns:
        JaxwaveWarning: If the window is smaller than the aperture.

    Example:
        >>> objective = Objective(na=1.2, wavelength=0.52, n=1.33)
        >>> dipole_pupil(objective, (128, 128), spacing=60.0, f=3000.0, dipole=(1, 0, 0))
        VectorField((3, 128, 128) complex64, spacing=60 µm, wavelength=0.52 µm)

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 4.1 and 10.6.
    """
    where = "dipole_pupil"
    if not isinstance(objective, Objective):
        raise TypeError(
            f"{where}: `objective` must be psf.Objective(...), got {type(objective).__name__}."
        )
    with _check.named("Window", where):
        window = Window(shape, spacing, z=z, y=y, x=x)
    numbers = {name: _check.length(where, name, v) for name, v in (("f", f), ("focus", focus))}
    _check.positive(where, "f", numbers["f"], unit="µm")
    _check.finite(where, "focus", numbers["focus"], unit="µm")
    numbers |= {"z": window.z, "y": window.y, "x": window.x}
    for name, value in (numbers | {"na": objective.na, "wavelength": objective.wavelength}).items():
        if np.ndim(value):
            raise ValueError(
                f"{where}: `{name}` must be one number, got the shape {np.shape(value)}. For "
                "several use jax.vmap."
            )
    numbers["spacing"] = window.spacing
    _check_back_focal_plane(where, window.shape, numbers, objective)
    real = np.dtype(jnp.result_type(float))
    moment = oriented(where, dipole)[1]
    u, pair = _far_field(window.shape, real, objective, moment, numbers)
    return VectorField(u, pair, jnp.asarray(objective.wavelength, real))


def _check_back_focal_plane(
    where: str, shape: tuple[int, int], numbers: dict[str, Any], objective: Objective
) -> None:
    f, spacing = numbers["f"], numbers["spacing"]
    if not _check.is_concrete(f, objective.na, spacing):
        return
    width = float(2 * np.max(f) * np.max(objective.na))
    have = float(np.min(np.asarray(spacing) * np.array(shape)))
    if have < width * (1 - 1e-5):
        _check.warn(
            where,
            f"the back focal plane is {width:.4g} µm wide (2 f na), the window only {have:.4g} µm: "
            f"the rest of the light is left out. Make `spacing` at least {width / min(shape):.4g} "
            "µm, or `shape` larger.",
        )


@partial(jax.jit, static_argnums=(0, 1))
def _far_field(
    shape: tuple[int, int],
    real: DTypeLike | None,
    objective: Objective,
    p: Array,
    v: dict[str, Any],
) -> tuple[Array, Array]:
    o: Objective = jax.tree.map(lambda a: jnp.asarray(a, real), objective)
    v = {name: jnp.asarray(a, real) for name, a in v.items()}
    p = jnp.asarray(p, jnp.result_type(real, jnp.complex64))
    pair = grid.spacing_pair(v["spacing"])
    hy, hx = grid.sample_coordinates(shape, pair)
    layers, na, wavelength = o.layers, o.na, o.wavelength
    stop = grid.disk_coverage(shape, pair, v["f"] * na)
    y, x = hy / (v["f"] * na), hx / (v["f"] * na)
    nodes = Nodes(False, y, x, stop, (0.0, 0.0))
    factors = _planes.factors(o, nodes, o.transmission)
    xx, yy, xy, zx, zy = _planes.matrix(nodes, factors)
    s = _planes.radius(nodes, na)
    if layers is None:
        path = defocus_path(s, o.n_i, v["focus"] - v["z"])
    else:
        emitter = gibson_lanni_path(s, layers, z=-v["z"], motion="emitter")
        path = Path(emitter.opd + defocus_path(s, o.n_i, v["focus"]).opd, emitter.decay)
    tilt = cis(-na * y * v["y"] / wavelength) * cis(-na * x * v["x"] / wavelength)
    stop = stop * factors.envelope
    wave = stop * jnp.exp(-TAU * path.decay / wavelength) * cis(path.opd / wavelength) * tilt
    scale = jnp.sqrt(3 / (8 * math.pi) / (o.n_i * o.n_s)) / v["f"]
    ex = (xx * p[0] + xy * p[1] + zx * p[2]) * wave * scale
    ey = (xy * p[0] + yy * p[1] + zy * p[2]) * wave * scale
    return jnp.stack([ex, ey, jnp.zeros_like(ex)]).astype(p.dtype), pair
