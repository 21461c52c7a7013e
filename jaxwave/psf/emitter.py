"""Images of dipoles through an objective, the plane of its pupil, and a tube lens.

Directions are s = n sin(theta) (cos(phi), sin(phi)) and pupil coordinates (x, y) = s / na, as in
:mod:`jaxwave.psf.cartesian`; images are in the coordinates of the sample.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, grid
from jaxwave.field import VectorField
from jaxwave.numerics import TAU, cis
from jaxwave.psf import _pupil_model
from jaxwave.psf._folded import Nodes, PolarNodes
from jaxwave.psf._propagate import Pupil, check_optics, propagate, vanishing
from jaxwave.psf._pupil_model import Plan
from jaxwave.psf.stratified import Layers, Path, defocus_path, gibson_lanni_path

# The rays of an objective keep their power.
_EMISSION = {"apodization": "aplanatic"}


def dipole_vector(where: str, dipole: Any) -> Array:
    """Requires three numbers and returns a vector of unit length."""
    p = jnp.asarray(dipole, jnp.result_type(jnp.result_type(float), jnp.complex64))
    if p.shape != (3,):
        raise ValueError(
            f"{where}: `dipole` must be three numbers (x, y, z), got the shape {p.shape}. "
            "For several dipoles use jax.vmap."
        )
    _check.finite_array(where, "dipole", p)
    size = jnp.sum(p.real**2 + p.imag**2)
    if _check.is_concrete(size) and float(size) == 0:
        raise ValueError(f"{where}: `dipole` must not be zero.")
    return p / jnp.sqrt(size)


def cartesian_dipole(
    pupil: Pupil | ArrayLike | None,
    shape: tuple[int, int],
    *,
    dipole: ArrayLike,
    spacing: ArrayLike | str,
    na: ArrayLike,
    wavelength: ArrayLike | str,
    n: ArrayLike | None = None,
    z: ArrayLike | str = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    layers: Layers | None = None,
    motion: str = "stage",
    transmission: bool = True,
    nodes: int | PolarNodes | None = None,
) -> Array:
    r"""Field of a dipole's image, behind any pupil.

    .. math:: \mathbf E(\mathbf r) = \frac{1}{\lambda} \sqrt{\frac{3}{8\pi n_i n_s}}
        \iint_{|s| \le \mathrm{NA}}
        \frac{P}{\sqrt{\cos\theta}}\,[q_s\,\hat{\mathbf s}\hat{\mathbf s}^T
        + q_p\,\hat{\boldsymbol\rho}\hat{\mathbf p}^T]\,\mathbf d\;
        e^{2\pi i [\mathbf s \cdot \mathbf r + z (\sqrt{n^2 - s^2} - n)]/\lambda}\, d^2s

    Valid for an emitter of unit power (radiated into all directions in a medium of the sample's
    index) and a magnification much larger than the aperture, so that light at the camera is
    paraxial. The image is upright here; behind a real objective and tube lens it is turned by 180
    degrees. The light near an interface follows from reciprocity: the dipole emits into a direction
    what a wave from there would make at its place.

    Args:
        pupil: Transmission of the back focal plane as a function of the pupil coordinates (x, y)
            [pupil radii], samples ``(y, x)`` or ``(2, y, x)`` [none], or None for a clear pupil.
            An axis of two holds the factors of the x and y components.
        shape: Number of image samples (ny, nx).
        dipole: Direction of the moment (x, y, z), ``(3,)`` [none], complex for one that
            turns; its length does not matter.
        spacing: Sample spacing in the sample, one number or ``(2,)`` as (dy, dx) [µm]: the camera's
            pitch divided by the magnification.
        na: Numerical aperture, scalar, below the immersion's index.
        wavelength: Vacuum wavelength, scalar [µm].
        n: Refractive index of immersion and sample, scalar; by default 1. Leave it out if there
            are ``layers``.
        z: Position of the focal plane relative to the emitter, along the light, ``(...)`` [µm];
            or, with layers and ``motion="emitter"``, how much deeper the emitter is.
        y: Where the sample N // 2 of the window is relative to the emitter, scalar [µm].
        x: Where the sample N // 2 of the window is relative to the emitter, scalar [µm].
        layers: Sample, coverslip and immersion, see :func:`coverslip_layers`.
        motion: What moves by z if there are layers, "stage" or "emitter".
        transmission: Whether the interfaces of the layers transmit as Fresnel says, or everything.
        nodes: Quadrature nodes across the pupil if it is a function, an even integer, or
            :class:`PolarNodes`; by default what an error of 1e-6 needs (float64: 1e-9), see
            :func:`cartesian_nodes`. If it is sampled, places across the image from which the
            others follow (the same number will do); by default none where the optics are traced.

    Returns:
        The components x and y, complex ``(..., 2, y, x)`` [sqrt(power)/µm]; the first axes are
        those of ``z``.

    Raises:
        ValueError: If a number is out of range, ``na`` is not below the index, shapes do not fit,
            or the optics are traced and ``nodes`` is not given.
        TypeError: If something is of the wrong kind.

    Warns:
        JaxwaveWarning: If the nodes or samples are too few for the window and the planes.

    Example:
        >>> u = cartesian_dipole(
        ...     None, (31, 31), dipole=(1, 0, 0), spacing=0.065, na=1.2, wavelength=0.6,
        ...     n=1.33)
        >>> u.shape
        (2, 31, 31)

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 4.1 and 10.6; D. Axelrod,
        "Fluorescence excitation and imaging of single molecules near dielectric-coated and bare
        surfaces", J. Microsc. 247, 147 (2012).
    """
    optics: dict[str, Any] = dict(spacing=spacing, na=na, wavelength=wavelength, n=n, z=z, y=y, x=x)
    optics |= dict(layers=layers, motion=motion, transmission=transmission, nodes=nodes)
    e = dipole_vector("cartesian_dipole", dipole)
    optics["zeros"] = vanishing(dipole)
    return propagate("cartesian_dipole", "dipole", False, pupil, shape, e, _EMISSION | optics)


def cartesian_dipole_intensity(
    pupil: Pupil | ArrayLike | None,
    shape: tuple[int, int],
    *,
    dipole: ArrayLike | None = None,
    spacing: ArrayLike | str,
    na: ArrayLike,
    wavelength: ArrayLike | str,
    n: ArrayLike | None = None,
    z: ArrayLike | str = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    layers: Layers | None = None,
    motion: str = "stage",
    transmission: bool = True,
    nodes: int | PolarNodes | None = None,
) -> Array:
    r"""Image of a dipole, fixed or freely rotating, behind any pupil.

    .. math:: I(\mathbf r) = |E_x|^2 + |E_y|^2, \qquad
        \langle I \rangle = \tfrac13 \sum_{\mathbf d = \hat x, \hat y, \hat z} |E_x|^2 + |E_y|^2

    of :func:`cartesian_dipole`, valid as that is. The average over orientations stands for
    molecules that turn much faster than they are imaged and emit.

    Args:
        pupil: Transmission of the back focal plane as a function of the pupil coordinates (x, y)
            [pupil radii], samples ``(y, x)`` or ``(2, y, x)`` [none], or None for a clear pupil.
            An axis of two holds the factors of the x and y components.
        shape: Number of image samples (ny, nx).
        dipole: Direction of the moment (x, y, z), ``(3,)`` [none], complex for one that
            turns; its length does not matter. None for a molecule that rotates freely.
        spacing: Sample spacing in the sample, one number or ``(2,)`` as (dy, dx) [µm]: the camera's
            pitch divided by the magnification.
        na: Numerical aperture, scalar, below the immersion's index.
        wavelength: Vacuum wavelength, scalar [µm].
        n: Refractive index of immersion and sample, scalar; by default 1. Leave it out if there
            are ``layers``.
        z: Position of the focal plane relative to the emitter, along the light, ``(...)`` [µm];
            or, with layers and ``motion="emitter"``, how much deeper the emitter is.
        y: Where the sample N // 2 of the window is relative to the emitter, scalar [µm].
        x: Where the sample N // 2 of the window is relative to the emitter, scalar [µm].
        layers: Sample, coverslip and immersion, see :func:`coverslip_layers`.
        motion: What moves by z if there are layers, "stage" or "emitter".
        transmission: Whether the interfaces of the layers transmit as Fresnel says, or everything.
        nodes: Quadrature nodes across the pupil if it is a function, an even integer, or
            :class:`PolarNodes`; by default what an error of 1e-6 needs (float64: 1e-9), see
            :func:`cartesian_nodes`. If it is sampled, places across the image from which the
            others follow (the same number will do); by default none where the optics are traced.

    Returns:
        The intensity, ``(..., y, x)`` [power/µm²]; its first axes are those of ``z``.

    Raises:
        ValueError: If a number is out of range, ``na`` is not below the index, shapes do not fit,
            or the optics are traced and ``nodes`` is not given.
        TypeError: If something is of the wrong kind.

    Warns:
        JaxwaveWarning: If the nodes or samples are too few for the window and the planes.

    Example:
        >>> psf = cartesian_dipole_intensity(
        ...     None, (31, 31), dipole=(0, 0, 1), spacing=0.1, na=1.2, wavelength=0.6, n=1.33)
        >>> bool(psf[15, 15] < 1e-6 * psf.max())
        True

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 4.1 and 10.6; D. Axelrod,
        "Fluorescence excitation and imaging of single molecules near dielectric-coated and bare
        surfaces", J. Microsc. 247, 147 (2012).
    """
    optics: dict[str, Any] = dict(spacing=spacing, na=na, wavelength=wavelength, n=n, z=z, y=y, x=x)
    optics |= dict(layers=layers, motion=motion, transmission=transmission, nodes=nodes)
    where = "cartesian_dipole_intensity"
    kind, e = "rotating", jnp.ones(1)
    if dipole is not None:
        kind, e = "dipole", dipole_vector(where, dipole)
        optics["zeros"] = vanishing(dipole)
    return propagate(where, kind, True, pupil, shape, e, _EMISSION | optics)


def dipole_pupil(
    shape: tuple[int, int],
    *,
    dipole: ArrayLike,
    spacing: ArrayLike | str,
    wavelength: ArrayLike | str,
    f: ArrayLike | str,
    na: ArrayLike,
    n: ArrayLike | None = None,
    z: ArrayLike | str = 0.0,
    y: ArrayLike | str = 0.0,
    x: ArrayLike | str = 0.0,
    layers: Layers | None = None,
    focus: ArrayLike | str = 0.0,
    transmission: bool = True,
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
        shape: Number of samples (ny, nx).
        dipole: Direction of the moment (x, y, z), ``(3,)`` [none], complex for one that turns.
        spacing: Sample spacing in the back focal plane, one number or ``(2,)`` as (dy, dx) [µm].
        wavelength: Vacuum wavelength, scalar [µm].
        f: Effective focal length in air (tube lens / magnification), scalar [µm].
        na: Numerical aperture, scalar, below the immersion's index.
        n: Refractive index of immersion and sample, scalar; by default 1. Leave it out if there
            are ``layers``.
        z: Displacement of the emitter toward the objective, scalar [µm].
        y: Position of the emitter, scalar [µm].
        x: Position of the emitter, scalar [µm].
        layers: Sample, coverslip and immersion, see :func:`coverslip_layers`.
        focus: Displacement of the focal plane toward the objective (stage), scalar [µm].
        transmission: Whether the interfaces of the layers transmit as Fresnel says, or everything.

    Returns:
        The field in the back focal plane; its axial component is zero.

    Raises:
        ValueError: If a number is out of range, ``na`` is not below the index or shapes do not fit.
        TypeError: If something is of the wrong kind.

    Warns:
        JaxwaveWarning: If the window is smaller than the aperture.

    Example:
        >>> pupil = dipole_pupil((128, 128), dipole=(1, 0, 0), spacing=60.0, wavelength=0.52,
        ...                      f=3000.0, na=1.2, n=1.33)
        >>> pupil
        VectorField((3, 128, 128) complex64, spacing=60 µm, wavelength=0.52 µm)

    References:
        L. Novotny and B. Hecht, *Principles of Nano-Optics*, Sec. 4.1 and 10.6.
    """
    where = "dipole_pupil"
    shape = _check.grid_shape(where, shape)
    _check.positive(where, "f", _check.length(where, "f", f), unit="µm")
    o: dict[str, Any] = dict(spacing=spacing, na=na, wavelength=wavelength, n=n, z=z, y=y, x=x)
    o = check_optics(where, o | _EMISSION | dict(layers=layers, motion="stage"))
    real = jnp.result_type(float)
    _check_back_focal_plane(where, shape, f, o)
    f, focus = (jnp.asarray(_check.length(where, "f", a), real) for a in (f, focus))
    names = ("na", "wavelength", "n", "spacing", "z", "y", "x")
    v: dict[str, Any] = {name: jnp.asarray(o[name], real) for name in names}
    v |= {"layers": layers, "f": f, "focus": focus}
    u = _far_field(shape, transmission, dipole_vector(where, dipole), v)
    return VectorField(u, v["spacing"], v["wavelength"])


def _check_back_focal_plane(where: str, shape: tuple[int, int], f: Any, o: dict[str, Any]) -> None:
    f = _check.length(where, "f", f)
    if not _check.is_concrete(f, o["na"], o["spacing"]):
        return
    width = float(2 * np.max(f) * np.max(o["na"]))
    have = float(np.min(np.asarray(o["spacing"]) * np.array(shape)))
    if have < width * (1 - 1e-5):
        _check.warn(
            where,
            f"the back focal plane is {width:.4g} µm wide (2 f na), the window only {have:.4g} µm: "
            f"the rest of the light is left out. Make `spacing` at least {width / min(shape):.4g} "
            "µm, or `shape` larger.",
        )


@partial(jax.jit, static_argnums=(0, 1))
def _far_field(shape: tuple[int, int], transmission: bool, p: Array, v: dict[str, Any]) -> Array:
    hy, hx = grid.coordinates(shape, v["spacing"])
    layers, na, wavelength = v["layers"], v["na"], v["wavelength"]
    stop = grid.disk_coverage(shape, v["spacing"], v["f"] * na)
    y, x = hy / (v["f"] * na), hx / (v["f"] * na)
    plan = Plan(shape, 0, shape, "dipole", False, "aplanatic", False, transmission=transmission)
    nodes = Nodes(False, 0, y, x, stop, (0.0, 0.0))
    factors = _pupil_model.factors(plan, nodes, v)
    xx, yy, xy, zx, zy = _pupil_model.matrix(nodes, factors)
    s = _pupil_model.radius(nodes, na)
    if layers is None:
        path = defocus_path(s, v["n"], v["focus"] - v["z"])
    else:
        emitter = gibson_lanni_path(s, layers, z=-v["z"], motion="emitter")
        path = Path(emitter.opd + defocus_path(s, v["n"], v["focus"]).opd, emitter.decay)
    tilt = cis(-na * y * v["y"] / wavelength) * cis(-na * x * v["x"] / wavelength)
    stop = stop * factors.envelope
    wave = stop * jnp.exp(-TAU * path.decay / wavelength) * cis(path.opd / wavelength) * tilt
    n_s = v["n"] if layers is None else layers.n_s
    scale = jnp.sqrt(3 / (8 * math.pi) / (v["n"] * n_s)) / v["f"]
    ex = (xx * p[0] + xy * p[1] + zx * p[2]) * wave * scale
    ey = (xy * p[0] + yy * p[1] + zy * p[2]) * wave * scale
    return jnp.stack([ex, ey, jnp.zeros_like(ex)]).astype(p.dtype)
