"""Many bead stacks of one microscope: a shared pupil that answers linearly to commands."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, grid
from jaxwave._noun import spelled
from jaxwave.beads.basis import basis_of
from jaxwave.beads.find import mass_center
from jaxwave.beads.loss import MAPS, known_opd, started
from jaxwave.beads.model import PRIORS, SCALES, BeadModel, Parameters, pupil, require_model
from jaxwave.beads.noise import Camera, noise_variance
from jaxwave.beads.stack_model import OWN, Stack, Together, at_command, stack_errors
from jaxwave.calibration._spread import Common
from jaxwave.calibration.calibrate import Calibration, Progress, Stage, calibrate, least_squares
from jaxwave.calibration.joint import Joint
from jaxwave.calibration.optimizers import lbfgs, levenberg_marquardt
from jaxwave.calibration.priors import normal
from jaxwave.calibration.starts import random_starts
from jaxwave.zernike import zernike_polynomials

_SPREAD = {"zernike": 0.4, "response": 0.4, "z": 2.0}  # of the starts, in units of SCALES


@spelled
class StacksPrediction(NamedTuple):
    r"""What a fit says of stacks that it has not seen.

    .. math:: \mathrm{NMSE} = \frac{\sum |d - g m - b|^2}{\sum |d - b_0|^2}

    with the background b0 of the stack's border. Valid where :func:`predict_stacks` is.

    Args:
        image: Predicted stacks, gain and background included, ``(stack, z, y, x)`` [counts].
        nmse: How far they are from the data, ``(stack,)`` [1].
        position: Position (y, x, z) of every bead, ``(stack, 3)`` [µm].

    Example:
        >>> StacksPrediction(np.zeros((1, 3, 8, 8)), np.zeros(1), np.zeros((1, 3))).nmse.shape
        (1,)

    References:
        B. M. Hanser et al., J. Microsc. 216, 32 (2004).
    """

    image: np.ndarray
    nmse: np.ndarray
    position: np.ndarray


@dataclasses.dataclass(frozen=True)
class StacksFit:
    r"""A microscope calibrated from many stacks: its wavefront, and how commands change it.

    .. math:: \mathrm{OPD}(V) = \sum_j \Bigl(c_j + \sum_a V_a\, g_{aj}\Bigr) Z_j

    Valid in the range of the commands that were fitted. Piston, tilt and defocus of the responses
    are in the beads' positions.

    Args:
        model: The microscope that was fitted.
        parameters: Scaled shared parameters ``(...)`` by name [``SCALES``]; ``response`` is for
            commands in units of ``command_scale``.
        command_scale: Largest fitted command of every actuator, ``(actuators,)`` [its unit].
        zernike: Coefficients c of the shared wavefront, ``(modes,)`` [µm].
        responses: Coefficients g, ``(actuators, modes)`` [µm per unit of the command].
        position: Position (y, x, z) of the bead of every stack, ``(stack, 3)`` [µm].
        image: The fitted stacks, ``(stack, z, y, x)`` [counts].
        nmse: How far they are from the data, ``(stack,)`` [1].
        starts: Mean NMSE that every start has reached, ``(starts,)`` [1].
        errors: Standard errors ``(...)`` of ``zernike``, ``responses`` and ``position`` [their
            units], and of the other shared parameters that were learned, by name [``SCALES``].
        calibration: The best calibration, with its history.

    Example:
        >>> StacksFit.__dataclass_params__.frozen
        True

    References:
        M. J. Booth, "Adaptive optical microscopy: the ongoing quest for a perfect image",
        Light Sci. Appl. 3, e165 (2014).
    """

    model: BeadModel
    parameters: Parameters
    command_scale: np.ndarray
    zernike: np.ndarray
    responses: np.ndarray
    position: np.ndarray
    image: np.ndarray
    nmse: np.ndarray
    starts: np.ndarray
    errors: dict[str, np.ndarray]
    calibration: Calibration

    def opd(self, command: ArrayLike | None = None) -> np.ndarray:
        """Optical path difference at a command, ``(s_y, s_x)`` [µm], zero beyond the rim."""
        command = np.zeros(len(self.command_scale)) if command is None else np.asarray(command)
        scaled = jnp.asarray(command / self.command_scale, jnp.float32)
        now = at_command(self.parameters, scaled)
        amplitude, opd = pupil(self.model, now, basis_of(self.model))
        return np.asarray(opd * (amplitude > 0))

    def response_opd(self, actuator: int) -> np.ndarray:
        """Influence function of an actuator, ``(s_y, s_x)`` [µm per unit of the command]."""
        unit = np.eye(len(self.command_scale))[actuator] * self.command_scale
        return (self.opd(unit) - self.opd()) / self.command_scale[actuator]

    def influence(self, shape: tuple[int, int], spacing: ArrayLike, radius: float) -> np.ndarray:
        """All influence functions, ``(actuators, y, x)`` [µm per unit], for a ``DeformableMirror``.

        On the samples of a field whose pupil has this radius [µm]; they go on beyond the rim.
        """
        rim = _check.length("influence", "radius", radius)
        _check.positive("influence", "radius", rim, unit="µm")
        y, x = grid.coordinates(shape, grid.checked_spacing("influence", spacing))
        modes = zernike_polynomials(self.model.modes, y / rim, x / rim)
        return np.tensordot(self.responses, np.asarray(modes), 1)


@partial(jax.jit, static_argnames="model")
def _score(model: BeadModel, basis: dict, parameters: Parameters, d: dict) -> tuple[Array, Array]:
    """The image of one stack, and its NMSE with the best unweighted gain and background."""
    image = Stack(model).image(basis, parameters, d, d["mask"])
    error = jnp.sum(d["mask"] * (image - d["stack"]) ** 2)
    light = jnp.sum(d["mask"] * (d["stack"] - d["background"]) ** 2)
    return image, error / jnp.maximum(light, 1e-30)


def fit_stacks(
    stacks: ArrayLike,
    z: ArrayLike,
    model: BeadModel,
    *,
    commands: ArrayLike | None = None,
    known: ArrayLike | None = None,
    camera: Camera | None = None,
    weight: ArrayLike | None = None,
    start: Mapping[str, ArrayLike] | None = None,
    starts: int = 1,
    key: Array | None = None,
    freeze: Sequence[str] = ("pixel", "dz", "na"),
    steps: int = 300,
    model_error: float = 0.02,
    progress: Progress | bool = False,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
) -> StacksFit:
    r"""Fits one pupil and its linear responses to many bead stacks, such as of a deformable mirror.

    .. math:: p^* = \arg\min_p \sum_k \sum_r
        \frac{[g_k m(r;\, p, c + V_k G, r_k) + b_k - d_k(r)]^2}{\sigma_k^2(r)}
        + \sum_i \frac{p_i^2}{S_i^2}

    Shared are the wavefront c, the responses G to the commands V, the pupil's amplitude, the blur
    and the drift from plane to plane; every stack has its own position r, and every plane its own
    gain g and background b, which are solved inside the loss. Minimized by L-BFGS from every
    start, in the same compiled program. Valid as
    :class:`~jaxwave.beads.model.BeadModel` says, where the wavefront answers linearly.
    The defocus of a response is in z, so the wavefront has no mode (2, 0). The distance of the
    planes, the pixel and the taper of the amplitude can hardly be told apart: free ``dz`` or
    ``pixel`` only with a reason.

    Args:
        stacks: One stack for every setting, ``(stack, z, y, x)`` [counts].
        z: Nominal positions of the focal plane in the sample along the light's way, ``(z,)`` [µm],
            the same for all stacks.
        model: The microscope.
        commands: Commands (voltages) of the actuators, ``(stack, actuators)`` [any unit]; by
            default none, and all stacks share one wavefront.
        known: Optical path difference that was added on purpose to every stack, or to every plane
            of it, ``(stack, s_y, s_x)`` or ``(stack, z, s_y, s_x)`` [µm], as from ``model.opd``.
        camera: What is known of the camera.
        weight: Further weight of every pixel, zero for bad ones, ``(stack, z, y, x)`` [1].
        start: Scaled shared parameters ``(...)`` by name that shall not start from the unaberrated
            microscope [``SCALES``]; ``response`` is for the largest commands.
        starts: Number of starts. The first is as ``start`` says, the others are scattered around
            it by 20 nm in every mode and response, and by 0.2 µm in z.
        key: Random key of the scattered starts, shape ``()`` [none]; by default
            ``jax.random.key(0)``.
        freeze: Names of the parameters that stay where they start.
        steps: Most minimization steps from every start. Stacks are described well long before the
            responses are settled, so spare them only for a glance.
        model_error: Share of the signal to which the model is trusted [1].
        progress: True for a bar in the terminal, or a function that is called as
            ``progress(start, step, steps, loss, nan)``.
        checkpoint: Folder that holds the state of every start, so that a killed fit can go on.
        resume: Goes on from the folder's states, if there are some, to the very same numbers.

    Returns:
        The fit of the start that ended with the lowest loss.

    Raises:
        ValueError: If the shapes do not fit, data are not finite where they are weighted, or the
            commands cannot tell the actuators apart.

    Example:
        >>> from jaxwave.beads import bead_stack, pupil_basis
        >>> from jaxwave import psf
        >>> model = BeadModel(psf.Objective(0.8, 0.5, 1.0), pixel=0.13, shape=(16, 16),
        ...                   order=2, pupil_samples=24, vectorial=False, margin=2)
        >>> z, basis = np.arange(-2, 3) * 0.5, pupil_basis(model)
        >>> truth = [{**model.start(), "zernike": jnp.array([0.6 * v, 0.0])} for v in (-1, 0, 1)]
        >>> data = [1e4 * bead_stack(model, p, z, basis) + 100 for p in truth]
        >>> fit = fit_stacks(data, z, model, commands=[[-10], [0], [10]], steps=30)
        >>> (10 * fit.responses[0, 0]).round(3).item()
        0.03

    References:
        B. M. Hanser et al., "Phase-retrieved pupil functions in wide-field fluorescence
        microscopy", J. Microsc. 216, 32 (2004); M. J. Booth, Light Sci. Appl. 3, e165 (2014).
    """
    where = "fit_stacks"
    _check.integer(where, "starts", starts, 1)
    volts, scale = _commands(where, commands, np.shape(stacks)[:1])
    scaled = volts / np.where(scale > 0, scale, 1)
    problem = _problem(where, stacks, z, model, scaled, weight, model_error, known, camera)
    joint = _joint(where, model, problem, len(scale), start)
    names = sorted({*SCALES, "response"})
    for name in freeze:
        _check.choice(where, "freeze", name, names)
    idle = () if len(scale) else ("response",)
    learned = [name for name in names if name not in (*freeze, *MAPS, *idle)]
    dotted = {name: f"{'own' if name in OWN else 'shared'}.{name}" for name in learned}
    widths = {**PRIORS, "response": PRIORS["zernike"]}
    models = [joint]
    if starts > 1:
        spread = {dotted[k]: sigma for k, sigma in _SPREAD.items() if k in learned}
        key = jax.random.key(0) if key is None else _check.key(where, key)
        models += random_starts(key, joint, starts - 1, spread=spread)
    runs = [
        calibrate(
            one,
            least_squares(Together(Stack(model))),
            {**problem, "basis": Common(problem["basis"])},
            stages=[Stage(name=f"start {k + 1} of {starts}")],
            learn=list(dotted.values()),
            priors={dotted[name]: normal(0.0, widths[name]) for name in learned if name in widths},
            optimizer=lbfgs(),
            steps=steps,
            tolerance=1e-5,
            progress=progress,
            checkpoint=None if checkpoint is None else Path(checkpoint) / f"start-{k + 1}",
            resume=resume,
        )
        for k, one in enumerate(models)
    ]
    ends = [_scores(model, run.model, problem, camera or Camera()) for run in runs]
    best = int(np.argmin([run.loss for run in runs]))
    means = np.array([nmse.mean() for _, nmse in ends])
    errors = stack_errors(model, runs[best].model, problem, learned, widths)
    return _result(model, runs[best], scale, *ends[best], means, errors)


def predict_stacks(
    fit: StacksFit,
    stacks: ArrayLike,
    z: ArrayLike,
    *,
    commands: ArrayLike | None = None,
    known: ArrayLike | None = None,
    camera: Camera | None = None,
    weight: ArrayLike | None = None,
    steps: int = 15,
    model_error: float = 0.02,
) -> StacksPrediction:
    r"""Predicts stacks at other commands from a fit, to see whether it holds.

    .. math:: m_k = g_k\, m(c + V_k G,\ r_k) + b_k

    Only what no microscope can know beforehand is taken from the data, by least squares: the
    position r of the bead, gain g and background b of every plane. Valid between the commands
    that were fitted.

    Args:
        fit: The fit.
        stacks: The stacks, ``(stack, z, y, x)`` [counts].
        z: Nominal positions of the planes, ``(z,)`` [µm].
        commands: Their commands, ``(stack, actuators)`` [the unit of the fitted ones].
        known: Path differences that were added on purpose, ``(stack, s_y, s_x)`` or
            ``(stack, z, s_y, s_x)`` [µm].
        camera: What is known of the camera.
        weight: Further weight of every pixel, zero for bad ones, ``(stack, z, y, x)`` [1].
        steps: Levenberg-Marquardt steps for the position.
        model_error: Share of the signal to which the model is trusted [1].

    Returns:
        The predicted stacks, their NMSE and the beads' positions.

    Raises:
        ValueError: If the shapes do not fit, or data are not finite where they are weighted.

    Example:
        >>> from jaxwave.beads import bead_stack, pupil_basis
        >>> from jaxwave import psf
        >>> model = BeadModel(psf.Objective(0.8, 0.5, 1.0), pixel=0.13, shape=(16, 16),
        ...                   order=2, pupil_samples=24, vectorial=False, margin=2)
        >>> z, basis = np.arange(-2, 3) * 0.5, pupil_basis(model)
        >>> def measured(v):
        ...     p = {**model.start(), "zernike": jnp.array([0.06 * v, 0.0])}
        ...     return 1e4 * bead_stack(model, p, z, basis) + 100
        >>> volts = [[-10], [0], [10]]
        >>> fit = fit_stacks([measured(v[0]) for v in volts], z, model, commands=volts, steps=30)
        >>> bool(predict_stacks(fit, [measured(5)], z, commands=[[5]]).nmse[0] < 1e-3)
        True

    References:
        B. M. Hanser et al., J. Microsc. 216, 32 (2004).
    """
    where = "predict_stacks"
    _check.instance(where, "fit", fit, StacksFit, "what fit_stacks returns")
    count = len(fit.command_scale)
    volts = np.zeros((len(np.asarray(stacks)), 0)) if commands is None else np.asarray(commands)
    if volts.shape != (len(np.asarray(stacks)), count):
        raise ValueError(
            f"{where}: `commands` must have one row per stack and the {count} actuators of the "
            f"fit, got the shape {volts.shape}."
        )
    _check.finite_array(where, "commands", volts)
    model, scaled = fit.model, volts / fit.command_scale
    problem = _problem(where, stacks, z, model, scaled, weight, model_error, known, camera)
    images, scores, positions = [], [], []
    for k in range(len(scaled)):
        d = {name: value[k] for name, value in problem["stacks"].items()}
        run = calibrate(
            {**fit.parameters, **{name: d["start"][i] for i, name in enumerate(OWN)}},
            least_squares(Stack(model).alone),
            {"basis": problem["basis"], "stacks": d},
            learn=list(OWN),
            optimizer=levenberg_marquardt(),
            steps=steps,
        )
        image, nmse = _score(model, problem["basis"], run.model, d)
        images.append((camera or Camera()).uneven(image))
        scores.append(float(nmse))
        positions.append([float(run.model[name]) * SCALES[name] for name in OWN])
    return StacksPrediction(np.stack(images), np.array(scores), np.array(positions))


# -- parts ---------------------------------------------------------------------------------


def _commands(
    where: str, commands: ArrayLike | None, count: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The commands, and the largest of every actuator."""
    volts = np.zeros((*count, 0)) if commands is None else np.asarray(commands, np.float64)
    if volts.ndim != 2 or volts.shape[:1] != count:
        raise ValueError(
            f"{where}: `commands` must be (stack, actuators) with one row for each of the "
            f"{count[0] if count else 0} stacks, got the shape {volts.shape}."
        )
    _check.finite_array(where, "commands", volts)
    scale = np.abs(volts).max(axis=0)
    known = np.column_stack([np.ones(len(volts)), volts / np.where(scale > 0, scale, 1)])
    rank, needed = np.linalg.matrix_rank(known), known.shape[1]
    if rank < needed:
        raise ValueError(
            f"{where}: `commands` must tell the {needed - 1} actuators and the wavefront without "
            f"a command apart, got {rank} independent settings. Record one stack at rest, and "
            "two that differ in every actuator."
        )
    return volts, scale


def _problem(
    where: str,
    stacks: ArrayLike,
    z: ArrayLike,
    model: BeadModel,
    scaled: np.ndarray,
    weight: ArrayLike | None,
    model_error: float,
    known: ArrayLike | None,
    camera: Camera | None,
) -> dict[str, Any]:
    """The arrays that the loss needs, the leading axis counting the stacks."""
    require_model(where, model)
    data, z = (_check.known_numbers(where, k, v) for k, v in (("stacks", stacks), ("z", z)))
    if data.ndim != 4 or data.shape[2:] != tuple(model.shape):
        raise ValueError(
            f"{where}: `stacks` must be (stack, z, y, x) with the model's {tuple(model.shape)} "
            f"pixels, got the shape {data.shape}. Cut the beads with cut_bead first."
        )
    if z.shape != data.shape[1:2]:
        raise ValueError(
            f"{where}: `z` must have one number per plane {data.shape[1:2]}, got {z.shape}."
        )
    _check.finite_array(where, "z", z)
    mask = np.ones_like(data) if weight is None else np.asarray(weight, np.float64)
    if mask.shape != data.shape:
        raise ValueError(f"{where}: `weight` must match the stacks {data.shape}, got {mask.shape}.")
    _check.nonnegative(where, "weight", mask)
    data = np.where(mask > 0, data, np.nanmedian(np.where(np.isfinite(data), data, np.nan)))
    _check.finite_array(where, "stacks", data, fix="Give those pixels the weight 0.")
    noise = [
        noise_variance(stack, model_error=model_error, camera=camera, cutoff=model.cutoff)
        for stack in data
    ]
    maps = [None] * len(data) if known is None else list(np.asarray(known, np.float32))
    if len(maps) != len(data):
        raise ValueError(
            f"{where}: `known` must have one map, or one for each plane, for each of the "
            f"{len(data)} stacks, got the shape {np.shape(known)}."
        )
    even = 1.0 if camera is None else camera.sensitivity**2
    arrays = {
        "stack": data if camera is None else camera.evened(data),
        "mask": mask,
        "weight": mask * even / np.stack([variance for variance, _, _ in noise]),
        "background": np.array([background for _, background, _ in noise]),
        "z": np.broadcast_to(z, data.shape[:2]),
        "command": scaled,
        "known": np.stack([known_opd(where, model, own, len(z)) for own in maps]),
        "start": np.stack([_place(stack, z, model) for stack in data]),
    }
    return {
        "basis": basis_of(model),
        "stacks": {name: jnp.asarray(value, jnp.float32) for name, value in arrays.items()},
    }


def _place(stack: np.ndarray, z: np.ndarray, model: BeadModel) -> np.ndarray:
    """Where a bead seems to be, in units of SCALES: center of mass, and of the sharpness."""
    peak = stack.max(axis=(1, 2))
    sharp = (peak - peak.min()) ** 2 + 1e-30
    center = np.asarray(mass_center(stack)) - np.array(model.shape) // 2
    y, x = center * model.pixel
    return np.array([y, x, np.sum(sharp * z) / np.sum(sharp)]) / [SCALES[name] for name in OWN]


def _joint(
    where: str,
    model: BeadModel,
    problem: dict,
    actuators: int,
    given: Mapping[str, ArrayLike] | None,
) -> Joint:
    """The model of all stacks, at the start."""
    parameters = {**model.start(), "response": jnp.zeros((actuators, len(model.modes)))}
    parameters = started(where, parameters, given, never=OWN)
    places = problem["stacks"]["start"]
    joint = Joint(parameters, len(places), own=list(OWN))
    for k, name in enumerate(OWN):
        joint.own[name][...] = places[:, k]
    return joint


def _scores(
    model: BeadModel, joint: Joint, problem: dict, camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    """Images and NMSE of all stacks."""
    parts = []
    for k in range(joint.count):
        d = {name: value[k] for name, value in problem["stacks"].items()}
        parts.append(_score(model, problem["basis"], joint.model(k), d))
    return np.stack([camera.uneven(p[0]) for p in parts]), np.array([float(p[1]) for p in parts])


def _result(
    model: BeadModel,
    run: Calibration,
    scale: np.ndarray,
    image: np.ndarray,
    nmse: np.ndarray,
    starts: np.ndarray,
    errors: dict[str, np.ndarray],
) -> StacksFit:
    shared = {name: jnp.asarray(v[...]) for name, v in run.model.shared.items()}
    own = {name: np.asarray(v[...], np.float64) * SCALES[name] for name, v in run.model.own.items()}
    response = np.asarray(shared["response"], np.float64) * SCALES["zernike"]
    unit = {"zernike": SCALES["zernike"], "position": np.array([SCALES[k] for k in OWN])}
    bars = {name: value * unit.get(name, 1.0) for name, value in errors.items()}
    if "response" in bars:
        bars["responses"] = bars.pop("response") * SCALES["zernike"] / scale[:, None]
    return StacksFit(
        errors=bars,
        model=model,
        parameters=shared,
        command_scale=scale,
        zernike=np.asarray(shared["zernike"], np.float64) * SCALES["zernike"],
        responses=response / scale[:, None],
        position=np.stack([own[name] for name in OWN], axis=-1),
        image=image,
        nmse=nmse,
        starts=starts,
        calibration=run,
    )
