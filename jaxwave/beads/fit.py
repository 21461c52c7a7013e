"""Calibrates a microscope's pupil from the image stack of one bead."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.beads.linear import solve_gain_background
from jaxwave.beads.model import (
    PRIORS,
    SCALES,
    BeadModel,
    Parameters,
    bead_stack,
    physical,
    pupil,
    pupil_basis,
)
from jaxwave.beads.noise import noise_variance
from jaxwave.calibration.lbfgs import Minimum, minimize
from jaxwave.calibration.progress import Bar
from jaxwave.calibration.uncertainty import standard_errors

Progress = Callable[[str, int, int, float, float], None]

# Expected step of the free maps from one pupil sample to the next [rad], [1].
_PHASE_STEP, _AMPLITUDE_STEP = 0.25, 0.15
_MAPS = ("phase_map", "amplitude_map")
_MOST_LEFT_OUT = 0.2  # of the peak's pixels


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
        scores: NMSE by name: held-out with one gain and per-plane gain, fitted.
        history: Loss after every step, held-out NMSE at every report and its step, ``(...)`` [1].
        seconds: Wall time [s].
        reason: Why the minimization ended.

    Raises:
        TypeError: If a part is missing.

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


def fit_bead(
    stack: ArrayLike,
    z: ArrayLike,
    model: BeadModel,
    *,
    weight: ArrayLike | None = None,
    heldout: ArrayLike | None = None,
    start: Mapping[str, ArrayLike] | None = None,
    freeze: Sequence[str] = (),
    steps: tuple[int, int] = (60, 80),
    model_error: float = 0.02,
    per_plane_gain: bool = True,
    progress: Progress | bool = False,
) -> BeadFit:
    r"""Fits pupil, position, focus, pixel, blur, drift, background and gain to a bead's stack.

    .. math:: p^* = \arg\min_p \sum_{kyx} \frac{(g_k m_{kyx}(p) + b_k - d_{kyx})^2}{V_{kyx}}
        + \sum_i \frac{p_i^2}{S_i^2} + \text{smoothness of the free maps}

    with gain and background solved inside the loss. First the Zernike modes, then the free phase
    and amplitude of the pupil on top (orthogonal to the modes, to piston, tilt and the true
    defocus, which is the position); both stages are the same compiled program. Valid as
    :class:`~jaxwave.beads.model.BeadModel` says. Zernike errors take the free maps
    as known.

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
        steps: Minimization steps with Zernike modes alone, and with the free maps.
        model_error: Share of the signal to which the model is trusted [1].
        per_plane_gain: False fits one gain and background to the whole stack.
        progress: True for a bar in the terminal, or a function that is called as
            ``progress(stage, step, steps, loss, heldout NMSE)``.

    Returns:
        The fit, with its scores and error bars.

    Raises:
        ValueError: If the shapes do not fit, data are not finite where they are weighted, or
            there are fewer than three planes to fit.

    Example:
        >>> model = BeadModel(na=0.8, wavelength=0.5, n=1.0, pixel=0.13, shape=(16, 16),
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
    if len(steps) != 2 or min(steps) < 0 or max(steps) < 1:
        raise ValueError(f"{where}: `steps` must be two counts, not both zero, got {steps}.")
    planes = _planes(where, heldout, len(z))
    for name in freeze:
        _check.choice(where, "freeze", name, SCALES)
    pieces = _pieces(model, *planes, per_plane_gain, tuple(sorted(set(freeze))))
    variance, background, _ = noise_variance(data, model_error=model_error)
    problem = {
        "data": jnp.asarray(data, jnp.float32),
        "weight": jnp.asarray(mask / variance, jnp.float32),
        "mask": jnp.asarray(mask, jnp.float32),
        "z": jnp.asarray(z, jnp.float32),
        "background": jnp.float32(background),
        "basis": pieces.basis,
        "maps": jnp.float32(0),
    }
    brightest = int(np.argmax((data * mask).max(axis=(1, 2))))
    parameters = _start(where, model, float(z[brightest]), start)
    runs: list[Minimum] = []
    bar = Bar() if progress is True else contextlib.nullcontext(progress or None)
    with bar as shown:
        for stage, count, maps in (("Zernike modes", steps[0], 0), ("free pupil", steps[1], 1)):
            if count < 1:
                continue
            problem["maps"] = jnp.float32(maps)
            report = None if shown is None else _reporter(shown, stage, count)
            run = minimize(
                pieces.loss,
                parameters,
                problem,
                steps=count,
                heldout=pieces.heldout,
                progress=report,
            )
            parameters = jax.tree.map(jnp.asarray, run.parameters)
            runs.append(run)
    fit = _result(pieces, parameters, problem, runs)
    _judge(where, fit)
    _judge_peak(where, fit, mask)
    return fit


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


def _judge_peak(where: str, fit: BeadFit, mask: np.ndarray) -> None:
    """Warns where much of the peak was left out, as by saturation."""
    light = fit.image - fit.background[:, None, None]
    left_out = float(np.mean(mask[light > 0.5 * light.max()] == 0))
    if left_out > _MOST_LEFT_OUT:
        _check.warn(
            where,
            f"{left_out:.0%} of the bead's peak (above half of its height) was left out, being "
            "saturated or masked: its amplitudes are not reliable. Record it with less light.",
        )


def _judge(where: str, fit: BeadFit) -> None:
    """Warns of a fit that does not describe the data, so that its numbers are not believed."""
    score = fit.scores["heldout_per_plane_gain"]
    far = [
        name
        for name, width in PRIORS.items()
        if name in ("pixel", "dz", "na") and abs(float(fit.parameters[name])) > 4 * width
    ]
    if score > 0.1 or far:
        remark = f" The fit pulled {', '.join(far)} far from what was given." if far else ""
        _check.warn(
            where,
            f"the model does not describe the data: held-out NMSE {score:.2g}, where a good fit "
            f"reaches 0.01.{remark} Check na, n, wavelength, pixel and dz, and that the microscope "
            "is a widefield one.",
        )


def _reporter(progress: Progress, stage: str, count: int) -> Callable:
    def report(step: int, loss: float, score: float | None) -> None:
        progress(stage, step, count, loss, float("nan") if score is None else score)

    return report


def _start(
    where: str, model: BeadModel, z: float, given: Mapping[str, ArrayLike] | None
) -> Parameters:
    """Parameters to start from, with the bead in the focus at z [µm]."""
    parameters = model.start(float(z))
    for name, value in (given or {}).items():
        _check.choice(where, "start", name, parameters)
        _check.finite_array(where, f"start[{name!r}]", value)
        if np.shape(value) != parameters[name].shape:
            raise ValueError(
                f"{where}: `start[{name!r}]` must have the shape {parameters[name].shape}, got "
                f"{np.shape(value)}. Take it from a fit of the same model."
            )
        parameters[name] = jnp.asarray(value, parameters[name].dtype)
    return parameters


def _inputs(
    where: str, stack: Any, z: Any, model: BeadModel, weight: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    data = np.asarray(stack, np.float64)
    if data.ndim != 3 or data.shape[1:] != tuple(model.shape):
        raise ValueError(
            f"{where}: `stack` must be (z, y, x) with the model's {tuple(model.shape)} pixels, got "
            f"the shape {data.shape}. Cut the bead with cut_bead first."
        )
    z = np.asarray(z, np.float64)
    if z.shape != data.shape[:1]:
        raise ValueError(
            f"{where}: `z` must have one number per plane {data.shape[:1]}, got {z.shape}."
        )
    _check.finite_array(where, "z", z)
    if len(np.unique(z)) < len(z):
        raise ValueError(f"{where}: `z` must be different for every plane, got {z.tolist()} µm.")
    mask = np.ones_like(data) if weight is None else np.asarray(weight, np.float64)
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


@lru_cache(maxsize=16)  # the same object for the next bead of this shape: nothing compiles again
def _pieces(
    model: BeadModel,
    fitted: tuple[int, ...],
    held: tuple[int, ...],
    per_plane: bool,
    frozen: tuple[str, ...],
) -> "_Pieces":
    return _Pieces(model, np.asarray(fitted, int), np.asarray(held, int), per_plane, frozen)


@dataclasses.dataclass(frozen=True, eq=False)
class _Pieces:
    """The loss and the score of a fit; static parts here, numbers in the problem."""

    model: BeadModel
    fitted: np.ndarray
    held: np.ndarray
    per_plane: bool
    frozen: tuple[str, ...] = ()

    @cached_property
    def basis(self) -> dict[str, Array]:
        return jax.tree.map(jnp.asarray, pupil_basis(self.model))

    @cached_property
    def compiled_summary(self) -> Callable[..., dict[str, Any]]:
        return jax.jit(self.summary)

    @cached_property
    def compiled_pupil(self) -> Callable[..., tuple[Array, Array]]:
        return jax.jit(partial(pupil, self.model))

    def stack(self, parameters: Parameters, problem: dict, planes: np.ndarray) -> Array:
        active = {k: v * problem["maps"] if k in _MAPS else v for k, v in parameters.items()}
        # The drift counts in units of the whole stack's range, so all z go in.
        full = jnp.max(jnp.abs(problem["z"]))
        z = problem["z"][planes]
        return bead_stack(self.model, active, z, problem["basis"], z_range=full)

    def residuals(self, parameters: Parameters, problem: dict) -> Array:
        image = self.stack(parameters, problem, self.fitted)
        data, weight = problem["data"][self.fitted], problem["weight"][self.fitted]
        gain, background = solve_gain_background(image, data, weight, per_plane=self.per_plane)
        return jnp.sqrt(weight) * (gain * image + background - data)

    def residuals_beside(self, parameters: Parameters, known: Parameters, problem: dict) -> Array:
        """Residuals for some parameters, the rest being known."""
        return self.residuals({**parameters, **known}, problem)

    def loss(self, parameters: Parameters, problem: dict) -> Array:
        held = {name: jax.lax.stop_gradient(parameters[name]) for name in self.frozen}
        parameters = {**parameters, **held}
        chi2 = jnp.sum(self.residuals(parameters, problem) ** 2)
        prior = sum(jnp.sum((parameters[name] / width) ** 2) for name, width in PRIORS.items())
        for name, step in (("phase_map", _PHASE_STEP), ("amplitude_map", _AMPLITUDE_STEP)):
            rough = sum(jnp.sum(jnp.diff(parameters[name], axis=a) ** 2) for a in (0, 1))
            prior += rough / step**2
        return (chi2 + prior) / (len(self.fitted) * self.model.shape[0] * self.model.shape[1])

    def summary(self, parameters: Parameters, problem: dict) -> dict[str, Any]:
        everything = np.arange(problem["data"].shape[0])
        data, mask = problem["data"], problem["mask"]
        image = self.stack(parameters, problem, everything)
        fit, held = self.fitted, self.held
        one = solve_gain_background(image[fit], data[fit], mask[fit], per_plane=False)
        own = solve_gain_background(image, data, mask)

        def error(gain: Array, background: Array, planes: np.ndarray) -> Array:
            rest = mask[planes] * (gain * image[planes] + background - data[planes]) ** 2
            return jnp.sum(rest) / self._light(problem, planes)

        scores = {
            "heldout_one_gain": error(*one, held),
            "heldout_per_plane_gain": error(own[0][held], own[1][held], held),
            "fitted_per_plane_gain": error(own[0][fit], own[1][fit], fit),
        }
        picture = own[0] * image + own[1]
        return {"scores": scores, "image": picture, "gain": own[0], "background": own[1]}

    def _light(self, problem: dict, planes: np.ndarray) -> Array:
        signal = problem["mask"][planes] * (problem["data"][planes] - problem["background"]) ** 2
        return jnp.maximum(jnp.sum(signal), 1e-30)

    def heldout(self, parameters: Parameters, problem: dict) -> Array:
        return self.summary(parameters, problem)["scores"]["heldout_per_plane_gain"]


def _result(pieces: _Pieces, parameters: Parameters, problem: dict, runs: list[Minimum]) -> BeadFit:
    model = pieces.model
    known = (*_MAPS, *pieces.frozen)
    named = {k: v for k, v in parameters.items() if k not in known}
    rest = {k: v for k, v in parameters.items() if k in known}
    prior = {k: jnp.full_like(v, PRIORS[k]) for k, v in named.items()}
    try:
        errors, _ = standard_errors(pieces.residuals_beside, named, rest, problem, prior=prior)
    except ValueError as error:  # the fit itself is good
        _check.warn("fit_bead", f"there are no error bars: {error}")
        errors = jax.tree.map(lambda a: jnp.full_like(a, jnp.inf), named)
    summary = jax.tree.map(np.asarray, pieces.compiled_summary(parameters, problem))
    amplitude, opd = pieces.compiled_pupil(parameters, problem["basis"])
    values = physical(model, parameters)
    return BeadFit(
        model=model,
        parameters=jax.tree.map(np.asarray, parameters),
        values=values,
        errors=_physical_errors(values, {**jax.tree.map(jnp.zeros_like, rest), **errors}),
        pupil_amplitude=np.asarray(amplitude),
        pupil_opd=np.asarray(opd),
        image=summary["image"],
        gain=summary["gain"].ravel(),
        background=summary["background"].ravel(),
        fitted=pieces.fitted,
        heldout=pieces.held,
        scores={name: float(score) for name, score in summary["scores"].items()},
        history={
            "loss": np.concatenate([run.loss for run in runs]),
            "heldout": np.concatenate([run.heldout for run in runs]),
            "report_steps": _report_steps(runs),
        },
        seconds=sum(run.seconds for run in runs),
        reason=runs[-1].reason,
    )


def _report_steps(runs: list[Minimum]) -> np.ndarray:
    """Steps, counted over all stages, at which the held-out score was reported."""
    steps: list[int] = []
    for run in runs:
        first = steps[-1] if steps else 0
        steps += [first + run.report_every * (k + 1) for k in range(len(run.heldout))]
    return np.asarray(steps)


_SOURCES = {
    "zernike_um": "zernike",
    "amplitude_modes": "amplitude",
    "y_um": "y",
    "x_um": "x",
    "z_um": "z",
    "drift_y_um": "drift_y",
    "drift_x_um": "drift_x",
    "drift_z_um": "drift_z",
    "pixel_factor": "pixel",
    "dz_factor": "dz",
    "na": "na",
    "blur_sigma_pixels": "blur",
}
_LOGARITHMIC = ("pixel_factor", "dz_factor", "na", "blur_sigma_pixels")


def _physical_errors(values: dict[str, Any], errors: Parameters) -> dict[str, Any]:
    result = {}
    for name, source in _SOURCES.items():
        error = np.asarray(errors[source], np.float64) * SCALES[source]
        result[name] = error * values[name] if name in _LOGARITHMIC else error
    return result
