"""Calibrates a microscope's pupil from the image stack of one bead."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.beads.bars import errors_of, physical_errors, turned
from jaxwave.beads.basis import basis_of
from jaxwave.beads.judge import judge
from jaxwave.beads.loss import FURTHER, MAPS, TOLERANCES, Pieces, known_opd, make_pieces, started
from jaxwave.beads.model import SCALES, BeadModel, Parameters, physical, require_model
from jaxwave.beads.noise import Camera, noise_variance, require_camera
from jaxwave.beads.spherical import Departure, Wanted, wanted
from jaxwave.beads.spherical import sentence as departed
from jaxwave.beads.ties import Tie, pulled
from jaxwave.beads.ties import sentence as tied
from jaxwave.calibration.calibrate import Calibration, Progress, Stage, calibrate
from jaxwave.calibration.optimizers import lbfgs
from jaxwave.zernike import zernike_name

_SHOWN = 8  # modes of a printed fit
_REPORT = 10  # steps between two reports
_CORE = 0.15  # of the highest light: the bead itself, without its rings


@dataclasses.dataclass(frozen=True)
class BeadFit:
    r"""A calibrated microscope: the pupil, the bead's stack, and how well they agree.

    .. math:: \mathrm{NMSE} = \frac{\sum |d - m|^2}{\sum |d - b|^2}

    over the held-out planes, with the background b of the stack's border. Valid for the stack
    that was fitted. A stack and its mirror image in z with the conjugate, rotated pupil look the
    same, so the direction of z has to be known from the instrument.

    Args:
        model: The microscope that was fitted.
        parameters: Scaled parameters ``(...)`` by name at the minimum [``SCALES``].
        values: The parameters in physical units, by name.
        errors: Their standard errors, by the same names.
        pupil_amplitude: Amplitude on the pupil grid, ``(s_y, s_x)`` [1].
        pupil_opd: Optical path difference on the pupil grid, ``(s_y, s_x)`` [µm].
        image: The fitted stack, gain and background included, ``(z, y, x)`` [counts].
        gain: Counts through the pupil in every plane, ``(z,)`` [counts].
        background: Background of every plane, ``(z,)`` [counts].
        fitted: Numbers of the fitted planes, ``(planes,)`` [1].
        heldout: Numbers of the held-out planes, ``(planes,)`` [1].
        scores: NMSE by name: held-out with one gain and per-plane gain, fitted; what the noise
            leaves of it; the same of the bead's middle; photons in a plane where the camera is
            known.
        history: Loss after every step, held-out NMSE at every report and its step, ``(...)`` [1].
        seconds: Wall time [s].
        reason: Why the minimization ended.
        bootstrap: Errors by the names of ``errors`` as drawing the planes anew gives them, a
            check of the bars.
        ties: What the stack hardly tells apart, the worst first.
        layers: What the fitted numbers of the layers are, if any were fitted.

    Example:
        >>> BeadFit.__dataclass_params__.frozen
        True

    References:
        B. M. Hanser et al., J. Microsc. 216, 32 (2004).
    """

    model: BeadModel
    parameters: Parameters
    values: dict[str, Any]
    errors: dict[str, Any]
    pupil_amplitude: np.ndarray
    pupil_opd: np.ndarray
    image: np.ndarray
    gain: np.ndarray
    background: np.ndarray
    fitted: np.ndarray
    heldout: np.ndarray
    scores: dict[str, float]
    history: dict[str, np.ndarray]
    seconds: float
    reason: str
    bootstrap: dict[str, Any] = dataclasses.field(default_factory=dict)
    ties: tuple[Tie, ...] = ()
    layers: tuple[Departure, ...] = ()

    def __str__(self) -> str:
        """Scores, modes with their error bars, and what cannot be told apart."""
        rows = zip(
            self.model.modes, self.values["zernike_um"], self.errors["zernike_um"], strict=True
        )
        large = sorted(rows, key=lambda row: -abs(row[1]))[:_SHOWN]
        lines = [
            f"{zernike_name(*mode)} {mode}: {1e3 * v:.2f} ± {1e3 * e:.2f} nm"
            for mode, v, e in large
        ]
        head = f"held-out NMSE {self.scores.get('heldout_per_plane_gain', np.nan):.4f}"
        told = [departed(self.layers), tied(self.ties), pulled(self.values, self.model.na)]
        return "\n".join([head, *lines, *filter(None, told)])


def fit_bead(
    stack: ArrayLike,
    z: ArrayLike,
    model: BeadModel,
    *,
    weight: ArrayLike | None = None,
    heldout: ArrayLike | None = None,
    start: Mapping[str, ArrayLike] | None = None,
    freeze: Sequence[str] = (),
    known: ArrayLike | None = None,
    camera: Camera | None = None,
    layers: Wanted = (),
    steps: tuple[int, int] = (100, 40),
    model_error: float = 0.02,
    per_plane_gain: bool = True,
    progress: Progress | bool = False,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
) -> BeadFit:
    r"""Fits pupil, position, focus, pixel, blur, drift, background and gain to a bead's stack.

    .. math:: p^* = \arg\min_p \sum_{kyx} \frac{(g_k m_{kyx}(p) + b_k - d_{kyx})^2}{V_{kyx}}
        + \sum_i \frac{p_i^2}{S_i^2} + \text{smoothness of the free maps}

    with gain and background solved inside the loss. First the Zernike modes, then the free phase
    and amplitude of the pupil on top (orthogonal to the modes, to piston, tilt and the true
    defocus, which is the position); both are stages of one calibration and the same compiled
    program. The first one holds the scale (pixel, aperture, distance of the planes), which would
    imitate large aberrations while they are not found. The second one goes in coordinates in which
    the curvature of the first one's end is the same along every direction, so that it gets along
    valleys such as that of pixel against aperture. Valid as
    :class:`~jaxwave.beads.model.BeadModel` says. The error bars are the larger ones of two: those
    of the residuals' size, and those of the scatter from plane to plane, which a model that is
    slightly wrong makes larger. Free maps add the modes that follow the model's own to what is not
    known.

    Args:
        stack: One bead, ``(z, y, x)`` [counts].
        z: Nominal positions of the focal plane in the sample along the light's way, ``(z,)``
            [µm], not necessarily sorted.
        model: The microscope.
        weight: Further weight of every pixel, zero for bad ones, ``(z, y, x)`` [1].
        heldout: Numbers of planes that are not fitted, ``(planes,)`` [1]; by default every other.
        start: Scaled parameters ``(...)`` by name that shall not start from the unaberrated
            microscope, such as the pupil of another bead [``SCALES``].
        freeze: Names of the parameters that stay where they start, such as ``"blur"``.
        known: Optical path difference that was added on purpose, ``(s_y, s_x)`` or
            ``(z, s_y, s_x)`` [µm], as from ``model.opd``.
        camera: What is known of the camera; its maps are cut like the stack. Where a photon makes
            other counts in other pixels, the fit sees those of equal pixels.
        layers: Numbers of the model's layers whose departure from what was given is fitted to the
            spherical aberration, such as ``"t_g"``, ``"n_i"`` or ``"t_g_design"`` (the collar);
            or by name with their tolerance [µm or 1].
        steps: Minimization steps with Zernike modes alone, and with the free maps.
        model_error: Share of the signal to which the model is trusted [1].
        per_plane_gain: False fits one gain and background to the whole stack.
        progress: True for a bar in the terminal, or a function that is called as
            ``progress(stage, step, steps, loss, heldout NMSE)``.
        checkpoint: Folder that holds the state, so that a killed fit can go on.
        resume: Goes on from the folder's state, if there is one, to the very same numbers.

    Returns:
        The fit, with its scores and error bars.

    Raises:
        ValueError: If the shapes do not fit, data are not finite where they are weighted, or
            there are fewer than three planes to fit.

    Example:
        >>> from jaxwave.beads import bead_stack, pupil_basis
        >>> from jaxwave import psf
        >>> model = BeadModel(psf.Objective(0.8, 0.5, 1.0), pixel=0.13, shape=(16, 16),
        ...                   order=2, pupil_samples=24, vectorial=False, margin=2)
        >>> z = np.arange(-3, 4) * 0.4
        >>> data = 1e4 * bead_stack(model, model.start(), z, pupil_basis(model)) + 100
        >>> fit = fit_bead(data, z, model, steps=(10, 0))
        >>> fit.scores["heldout_per_plane_gain"] < 1e-2
        True

    References:
        B. M. Hanser et al., J. Microsc. 216, 32 (2004); P. N. Petrov et al., "Measurement-based
        estimation of global pupil functions in 3D localization microscopy", Opt. Express 25,
        7945 (2017).
    """
    where = "fit_bead"
    data, z, mask = _inputs(where, stack, z, model, weight)
    if not np.iterable(steps) or len(steps) != 2 or min(steps) < 0 or max(steps) < 1:
        raise ValueError(f"{where}: `steps` must be two counts, not both zero, got {steps}.")
    planes = _planes(where, heldout, len(z))
    for name in freeze:
        _check.choice(where, "freeze", name, SCALES)
    tolerances = wanted(where, model, layers)
    if tolerances and "zernike" in freeze:
        raise ValueError(f"{where}: `layers` are fitted to the modes, which `freeze` holds.")
    problem = _problem(where, model, data, z, mask, model_error, camera, known)
    brightest = int(np.argmax((data * mask).max(axis=(1, 2))))
    parameters = _start(where, model, float(z[brightest]), start)
    named = tuple(k for k in parameters if k not in (*freeze, *MAPS))
    pieces = make_pieces(model, *planes, per_plane_gain, (*named, *(FURTHER if steps[1] else ())))
    run, parameters = _descended(
        pieces,
        problem,
        {k: np.asarray(v) for k, v in parameters.items()},
        _legs(steps, near="zernike" in (start or {})),
        [name for name in MAPS if name not in freeze],
        partial(_weights, model, data, mask, model_error, camera),
        {"progress": progress, "checkpoint": checkpoint, "resume": resume},
    )
    fit = _result(pieces, run, parameters, problem, camera, tolerances)
    judge(where, fit, mask)
    return fit


class _Leg(NamedTuple):
    """A part of the way down: its steps, whether the maps are free, and in which coordinates."""

    name: str
    steps: int
    maps: float
    round: bool


def _legs(steps: tuple[int, int], near: bool) -> list[_Leg]:
    """First the modes alone, then with the free maps; the last one in round coordinates.

    There are two legs at least, as the first one's image gives the second one's weights.
    Whole reports, so that nothing recompiles.
    """
    first, last = (-(-count // _REPORT) for count in steps)
    if first and last:
        legs = [_Leg("Zernike modes", first, 0.0, near), _Leg("free pupil", last, 1.0, True)]
    else:
        name, maps, half = ("free pupil", 1.0, last) if last else ("Zernike modes", 0.0, first)
        far = half // 2 if near else half - half // 3
        legs = [_Leg(name, far, maps, near), _Leg(f"{name}, its valley", half - far, maps, True)]
    legs = [leg._replace(steps=_REPORT * leg.steps) for leg in legs if leg.steps]
    return [*legs[:-1], legs[-1]._replace(round=True)] if legs else []


def _descended(
    pieces: Pieces,
    problem: dict,
    parameters: Parameters,
    legs: list[_Leg],
    maps: list[str],
    weights: Callable[[np.ndarray], tuple[dict[str, np.ndarray], float]],
    options: dict[str, Any],
) -> tuple[dict[str, Calibration], Parameters]:
    """The stages one after the other, by name, and where they end."""
    runs = {}
    basis, folder = problem["basis"], options["checkpoint"]
    further = {k: np.zeros(len(basis[k]), np.float32) for k in FURTHER if k in pieces.named}
    count = sum(np.size({**parameters, **further}[k]) for k in pieces.named)
    move = np.zeros(count, np.float32)
    whole: dict[str, Any] = {}
    for k, leg in enumerate(legs):
        if k:
            problem |= weights(np.asarray(pieces.compiled_summary(whole, problem)["image"]))[0]
        whole = {**parameters, **further, "maps": np.asarray(leg.maps, np.float32)}
        if leg.round:
            turn, trusted = turned(pieces, whole, problem)
            problem |= {"doubt": np.float32(trusted)}
        else:
            turn = _held(pieces, whole)
        place = None if folder is None else Path(folder) / f"{k + 1}"
        run = calibrate(
            {**whole, "move": move, "turn": turn},
            pieces.loss,
            problem,
            stages=[Stage(name=leg.name, steps=leg.steps)],
            learn=["move", *maps],
            optimizer=lbfgs(),
            heldout=problem,
            heldout_loss=pieces.heldout,
            report_every=_REPORT,
            **{**options, "checkpoint": place},
        )
        runs[leg.name] = run
        ended = jax.tree.map(np.asarray, pieces.compiled_whole(run.model, problem))
        parameters = {k: ended[k] for k in parameters}
        whole = {**parameters, "maps": whole["maps"]}
    return runs, {**parameters, "maps": np.asarray(legs[-1].maps, np.float32)}


def _held(pieces: Pieces, parameters: Parameters) -> np.ndarray:
    """Steps of all but the scale, which would imitate large aberrations that are not found yet."""
    named = {k: np.full(np.shape(parameters[k]), k not in TOLERANCES) for k in pieces.named}
    return np.diag(np.concatenate([np.ravel(named[k]) for k in sorted(named)])).astype(np.float32)


def _problem(
    where: str,
    model: BeadModel,
    data: np.ndarray,
    z: np.ndarray,
    mask: np.ndarray,
    model_error: float,
    camera: Camera | None,
    known: ArrayLike | None,
) -> dict[str, Any]:
    """The numbers of a fit."""
    require_camera(where, camera)
    weights, background = _weights(model, data, mask, model_error, camera)
    arrays = {
        "data": data if camera is None else camera.evened(data),
        **weights,
        "mask": mask,
        "z": z,
        "background": background,
        "known": known_opd(where, model, known, len(z)),
        "doubt": np.ones(()),
    }
    return {"basis": basis_of(model), **{k: np.asarray(v, np.float32) for k, v in arrays.items()}}


def _weights(
    model: BeadModel,
    data: np.ndarray,
    mask: np.ndarray,
    model_error: float,
    camera: Camera | None,
    image: np.ndarray | None = None,
) -> tuple[dict[str, np.ndarray], float]:
    """Weights and variances for a camera of equal pixels, and the background.

    Those of a fitted ``image`` know nothing of the noise that they weigh.
    """
    expected = image if image is None or camera is None else camera.uneven(image)
    noise = partial(noise_variance, data, camera=camera, cutoff=model.cutoff, expected=expected)
    variance, background, _ = noise(model_error=model_error)
    measured, _, _ = noise(model_error=0.0)
    even = 1.0 if camera is None else camera.sensitivity**2
    found = {"weight": mask * even / variance, "variance": measured / even}
    return {k: v.astype(np.float32) for k, v in found.items()}, background


def _planes(
    where: str, heldout: ArrayLike | None, count: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Numbers of the fitted and of the held-out planes."""
    held = np.arange(1, count, 2) if heldout is None else np.atleast_1d(np.asarray(heldout))
    if not held.size or held.dtype.kind not in "iu":
        raise ValueError(f"{where}: `heldout` must be numbers of planes, got {heldout!r:.60}.")
    _check.between(where, "heldout", held, 0, count - 1)
    fitted = np.setdiff1d(np.arange(count), held)
    if len(fitted) < 3:
        raise ValueError(
            f"{where}: a pupil needs at least 3 fitted planes at different z, got {len(fitted)} of "
            f"{count}. Hold out fewer planes, or record more."
        )
    return tuple(fitted.tolist()), tuple(np.unique(held).tolist())


def _start(
    where: str, model: BeadModel, z: float, given: Mapping[str, ArrayLike] | None
) -> Parameters:
    """Parameters to start from, with the bead in the focus at z [µm]."""
    return started(where, model.start(float(z)), given)


def _inputs(
    where: str, stack: ArrayLike, z: ArrayLike, model: BeadModel, weight: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    require_model(where, model)
    data, z = (_check.known_numbers(where, k, v) for k, v in (("stack", stack), ("z", z)))
    if data.ndim != 3 or data.shape[1:] != tuple(model.shape):
        raise ValueError(
            f"{where}: `stack` must be (z, y, x) with the model's {tuple(model.shape)} pixels, got "
            f"the shape {data.shape}. Cut the bead with cut_bead first."
        )
    if z.shape != data.shape[:1]:
        raise ValueError(
            f"{where}: `z` must have one number per plane {data.shape[:1]}, got {z.shape}."
        )
    _check.finite_array(where, "z", z)
    if len(np.unique(z)) < len(z):
        raise ValueError(f"{where}: `z` must be different for every plane, got {z.tolist()} µm.")
    mask = np.ones_like(data) if weight is None else _check.known_numbers(where, "weight", weight)
    if mask.shape != data.shape:
        raise ValueError(f"{where}: `weight` must match the stack {data.shape}, got {mask.shape}.")
    _check.nonnegative(where, "weight", mask)
    used = mask > 0
    fix = "Give those pixels the weight 0, or read the file with nan='mask'."
    _check.finite_array(where, "stack", np.where(used, data, 0), fix=fix)
    seen = data[used]
    if not seen.size or np.ptp(seen) == 0:
        got = f"constant ({seen[0]:g})" if seen.size else "of weight zero everywhere"
        raise ValueError(
            f"{where}: no bead found: the stack is {got}. Check that the window holds a bead."
        )
    data = np.where(used, data, np.median(seen))
    return data, z, mask


def _scores(pieces: Pieces, summary: dict[str, np.ndarray], problem: dict) -> dict[str, float]:
    """NMSE, the NMSE that the noise alone would leave, and chi-squared per degree of freedom."""
    data, mask, variance = (problem[k].astype(np.float64) for k in ("data", "mask", "variance"))

    def nmse(error: np.ndarray, planes: np.ndarray) -> float:
        light = np.sum(mask[planes] * (data[planes] - problem["background"]) ** 2)
        return float(np.sum(mask[planes] * error[planes]) / max(light, 1e-30))

    own, one = ((summary[name] - data) ** 2 for name in ("image", "one_gain"))
    fit, held = pieces.fitted, pieces.held
    seen = mask[held] > 0
    chi2 = float(np.sum(seen * own[held] / variance[held]))
    light = summary["image"] - summary["background"]
    core = np.zeros_like(mask)
    core[held] = seen & (light[held] > _CORE * np.max(light[held]))
    left, noise, total = (
        float(np.sum(core * part)) for part in (own, variance, (data - summary["background"]) ** 2)
    )
    return {
        "heldout_one_gain": nmse(one, held),
        "heldout_per_plane_gain": nmse(own, held),
        "fitted_per_plane_gain": nmse(own, fit),
        "noise_floor": nmse(variance, held),
        "reduced_chi_squared": chi2 / max(int(np.count_nonzero(seen)) - 2 * len(held), 1),
        "core_chi_squared": float(np.sum(core * own / variance)) / max(float(core.sum()), 1.0),
        "core_unexplained": max(left - noise, 0.0) / max(total, 1e-30),
    }


def _result(
    pieces: Pieces,
    runs: dict[str, Calibration],
    parameters: Parameters,
    problem: dict,
    camera: Camera | None,
    tolerances: Mapping[str, float],
) -> BeadFit:
    model = pieces.model
    bars = errors_of(pieces, parameters, problem, tolerances)
    summary = jax.tree.map(np.asarray, pieces.compiled_summary(parameters, problem))
    parameters.pop("maps")
    values = physical(model, parameters)
    scores = _scores(pieces, summary, problem)
    if camera is not None:
        scores["photons"] = float(camera.photons(np.median(summary["gain"])))
    return BeadFit(
        model=model,
        parameters=parameters,
        values=values,
        errors=physical_errors(values, bars.errors),
        pupil_amplitude=summary["amplitude"],
        pupil_opd=summary["opd"],
        image=summary["image"] if camera is None else camera.uneven(summary["image"]),
        gain=summary["gain"].ravel(),
        background=summary["background"].ravel(),
        fitted=pieces.fitted,
        heldout=pieces.held,
        scores=scores,
        history=_history(list(runs.values())),
        seconds=sum(run.seconds for run in runs.values()),
        reason="; ".join(f"{name}: {run.reason}" for name, run in runs.items()),
        bootstrap=physical_errors(values, bars.bootstrap),
        ties=bars.ties,
        layers=bars.layers,
    )


def _history(runs: list[Calibration]) -> dict[str, np.ndarray]:
    """Losses and scores of all stages in a row."""
    parts = [run.history for run in runs]
    row = {k: np.concatenate([part[k] for part in parts]) for k in ("loss", "heldout_loss")}
    before = np.cumsum([0, *(len(part["loss"]) for part in parts)])
    steps = [part["report_steps"] + b for part, b in zip(parts, before, strict=False)]
    return {**row, "report_steps": np.concatenate(steps)}
