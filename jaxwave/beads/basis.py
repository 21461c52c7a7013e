"""The arrays on the pupil grid that a bead's model needs and that no fit changes."""

from __future__ import annotations

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxwave import grid
from jaxwave.beads.model import BeadModel, require_model
from jaxwave.numerics import TAU, gauss_legendre
from jaxwave.psf.layers import Layers, Path, fresnel_transmission, gibson_lanni_path
from jaxwave.zernike import zernike_modes_up_to


def pupil_basis(model: BeadModel) -> dict[str, np.ndarray]:
    r"""Computes the arrays on the pupil grid that do not change in a fit.

    .. math:: Z_j(s/\mathrm{NA}),\qquad \cos\theta = \sqrt{1 - |s|^2/n^2}

    They are arguments of the compiled program, not constants in it. Valid for one model; the
    modes go on a little beyond the rim, so that the fitted aperture may grow.

    Args:
        model: The microscope.

    Returns:
        Arrays ``(..., s_y, s_x)`` by name, float32 [1].

    Raises:
        AttributeError: If ``model`` is not a BeadModel.

    Example:
        >>> from jaxwave import psf
        >>> objective = psf.Objective(na=0.85, wavelength=0.52, n=1.0)
        >>> model = BeadModel(objective, pixel=0.13, shape=(32, 32), order=2)
        >>> pupil_basis(model)["phase"].shape
        (2, 48, 48)

    References:
        R. J. Noll, "Zernike polynomials and atmospheric turbulence", JOSA 66, 207 (1976).
    """
    require_model("pupil_basis", model)
    place = grid.indices(model.samples) * model.step
    sy, sx = np.meshgrid(place, place, indexing="ij")
    square = sy**2 + sx**2
    near = square <= (1.04 * model.na) ** 2
    cosine = np.sqrt(np.maximum(1 - square / model.n**2, 0.05))

    phase = model.polynomials(model.modes)
    gauge = np.stack([np.ones_like(sy), sy, sx, cosine]) * near
    amplitude = model.polynomials(model.amplitude_modes)
    heights, spheres = _slices(model)
    return {
        "bead_z": heights.astype(np.float32),
        "bead": spheres.astype(np.float32),
        "cosine": cosine.astype(np.float32),
        "dipoles": _dipoles(model, sy, sx, cosine),
        "phase": phase.astype(np.float32),
        "amplitude": amplitude.astype(np.float32),
        "phase_gauge": _orthonormal(np.concatenate([gauge, phase]), near),
        "amplitude_gauge": _orthonormal(np.concatenate([gauge[:1], amplitude]), near),
        **_further(model),
        "near": near.astype(np.float32),
    }


@lru_cache(maxsize=4)
def basis_of(model: BeadModel) -> dict[str, Array]:
    """The arrays of :func:`pupil_basis` on the device, made once for a model."""
    return jax.tree.map(jnp.asarray, pupil_basis(model))


def _further(model: BeadModel) -> dict[str, np.ndarray]:
    """The modes that follow the model's own: what free maps can do beside them, for error bars."""
    own = {"phase": model.order, "amplitude": 4}
    modes = {
        name: [(n, m) for n, m in zernike_modes_up_to(order + 2) if n > order]
        for name, order in own.items()
    }
    return {
        f"further_{name}": model.polynomials(which).astype(np.float32)
        for name, which in modes.items()
    }


def _slices(model: BeadModel) -> tuple[np.ndarray, np.ndarray]:
    """Heights of a bead's slices (Gauss-Legendre), and the spectra of their disks by their share.

    The spectrum of a disk is 2 J1(v)/v, here a Gauss-Chebyshev sum over its chords; pixels are
    the nominal ones.
    """
    radius = model.bead_diameter / 2
    if radius == 0:
        return np.zeros(1), np.ones((1, 1, 1))
    depth = model.wavelength / (model.n - np.sqrt(model.n**2 - model.na**2))
    t, weight = gauss_legendre(3 + round(16 * radius / depth))
    ny, nx = model.grid_shape
    fine = model.pixel / model.samples_per_pixel
    f = np.hypot(np.fft.fftfreq(ny, fine)[:, None], np.fft.rfftfreq(nx, fine))
    v = TAU * radius * np.sqrt(1 - t**2)[:, None, None] * f
    angle = np.pi * np.arange(1, 33 + int(v.max())) / (33 + int(v.max()))
    chords = 2 * np.sin(angle) ** 2 / (len(angle) + 1)
    disk = sum(c * np.cos(v * a) for c, a in zip(chords, np.cos(angle), strict=True))
    return radius * t, (0.75 * weight * (1 - t**2))[:, None, None] * disk


def _orthonormal(functions: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Orthonormal rows that span functions on the pupil, ``(k, y x)``."""
    rows = (functions * near).reshape(len(functions), -1)
    return np.linalg.qr(rows.T)[0].T.astype(np.float32)


# The pupil integral is written out here, not taken from jaxwave.psf: the bead has another y and x
# in every plane, of which a call there has one, and maps and basis live on a pupil grid wider than
# the fitted aperture, whose rim moves over it.
def _dipoles(model: BeadModel, sy: np.ndarray, sx: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """What the orientations of a dipole put into the pupil: xx, yy, xy, xz, yz; or a scalar."""
    objective = model.objective
    if objective.layers is None:
        q_s, q_p, waves = 1.0, 1.0, np.ones_like(cosine)
        n, inner = model.n, cosine
    else:
        n, square = float(objective.n_s), sy**2 + sx**2
        inner = np.sqrt(1 - square / n**2 + 0j)  # +i beyond the critical angle: it decays
        with jax.enable_x64(True):  # once for a model
            path, q_s, q_p = jax.tree.map(np.asarray, _through(np.sqrt(square), objective.layers))
        waves = np.exp(TAU * (1j * path.opd - path.decay) / model.wavelength)
        q_s, q_p = (q_s, q_p) if objective.transmission else (1.0, 1.0)
    if not model.vectorial:
        return _narrow(waves[None])
    safe = np.where(sy**2 + sx**2 > 0, sy**2 + sx**2, 1)
    across = (q_p * inner - q_s) / safe
    fields = [q_s + across * sx**2, q_s + across * sy**2, across * sx * sy]
    fields += [-q_p * sx / n, -q_p * sy / n]
    return _narrow(np.stack([field * waves for field in fields]))


@jax.jit
def _through(s: Array, layers: Layers) -> tuple[Path, Array, Array]:
    """Path, decay and transmission from the immersion to the bead."""
    return gibson_lanni_path(s, layers), *fresnel_transmission(s, layers.n)


def _narrow(fields: np.ndarray) -> np.ndarray:
    return fields.astype(np.complex64 if np.iscomplexobj(fields) else np.float32)
